/* SPDX-License-Identifier: MIT */
#include "core/quad.h"

void flow_key_of_ip6(const struct packet *p, const struct view *v, unsigned port,
		     struct flow_key *ret_key)
{
	const struct ipv6_hdr *ip = (const struct ipv6_hdr *)(p->head + v->l3);
	const struct tcp_hdr *tcp = view_tcp(p, v);

	memcpy(ret_key->src, ip->src, 16);
	memcpy(ret_key->dst, ip->dst, 16);
	ret_key->sport = tcp->sport;
	ret_key->dport = tcp->dport;
	ret_key->where = flow_key_where(v, port);
}

void flow_key_reverse(const struct flow_key *k, unsigned port, struct flow_key *ret_key)
{
	struct flow_key r;

	assert(port < 256);
	memcpy(r.src, k->dst, 16);
	memcpy(r.dst, k->src, 16);
	r.sport = k->dport;
	r.dport = k->sport;
	r.where = (uint32_t)port << 24 | (k->where & 0xffffff);
	*ret_key = r;
}
