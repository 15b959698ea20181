/* SPDX-License-Identifier: MIT */
#include "core/quad.h"

#include <assert.h>

#include "base/packet.h"
#include "proto/ip.h"
#include "proto/view.h"

enum { PORTS_MAX = 256, VID = 0xfff };

static void mapped(uint8_t ret_addr[16], const uint8_t v4[4])
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };	/* RFC 4291, 2.5.5.2 */

	memcpy(ret_addr, prefix, sizeof prefix);
	memcpy(ret_addr + sizeof prefix, v4, 4);
}

uint32_t flow_key_where(const struct view *v, unsigned port)
{
	/* VLAN_NONE has all of its twelve low bits set: 0xfff is no VLAN's number (802.1Q, 9.6). */
	return (uint32_t)port << 24 | (uint32_t)(v->vlan[0] & VID) << 12 | (v->vlan[1] & VID);
}

void flow_key_of(const struct packet *p, const struct view *v, unsigned port,
		 struct flow_key *ret_key)
{
	const struct tcp_hdr *tcp = view_tcp(p, v);

	assert(v->tcp && port < PORTS_MAX);
	if (v->ip == 4) {
		const struct ipv4_hdr *ip = (const struct ipv4_hdr *)(p->head + v->l3);

		mapped(ret_key->src, ip->src);
		mapped(ret_key->dst, ip->dst);
	} else {
		const struct ipv6_hdr *ip = (const struct ipv6_hdr *)(p->head + v->l3);

		memcpy(ret_key->src, ip->src, 16);
		memcpy(ret_key->dst, ip->dst, 16);
	}
	ret_key->sport = tcp->sport;
	ret_key->dport = tcp->dport;
	ret_key->where = flow_key_where(v, port);
}

void flow_key_reverse(const struct flow_key *k, unsigned port, struct flow_key *ret_key)
{
	struct flow_key r;

	assert(port < PORTS_MAX);
	memcpy(r.src, k->dst, 16);
	memcpy(r.dst, k->src, 16);
	r.sport = k->dport;
	r.dport = k->sport;
	r.where = (uint32_t)port << 24 | (k->where & 0xffffff);
	*ret_key = r;
}
