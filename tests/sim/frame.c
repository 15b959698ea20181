/* SPDX-License-Identifier: MIT */
#include "frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/packet.h"
#include "proto/checksum.h"
#include "proto/ip.h"
#include "proto/tcp.h"
#include "proto/view.h"

static uint32_t put_eth(const struct ends *e, uint8_t *f)
{
	uint32_t at = 12;

	memset(f, 0x02, 12);
	f[5] = e->src[3];
	f[11] = (uint8_t)(f[11] + e->mark);
	if (e->vlan) {
		store_be16(f + 12, ETH_VLAN);
		store_be16(f + 14, e->vlan);
		at = 16;
	}
	store_be16(f + at, e->ip == 4 ? ETH_IP4 : ETH_IP6);
	return at + 2;
}

static uint32_t put_ip(const struct ends *e, uint32_t l4_len, uint16_t id, uint8_t *f)
{
	if (e->ip == 4) {
		struct ipv4_hdr h = {
			.ver_ihl = 0x45,
			.len = be16_of((uint16_t)(20 + l4_len)),
			.id = be16_of(id),
			.frag = be16_of(IP4_DF),
			.ttl = 64,
			.proto = IP_TCP,
		};

		memcpy(h.src, e->src, 4);
		memcpy(h.dst, e->dst, 4);
		memcpy(f, &h, sizeof h);
		return sizeof h;
	}
	struct ipv6_hdr h = {
		.ver_tc_flow = be32_of(6u << 28),
		.payload_len = be16_of((uint16_t)l4_len),
		.next = IP_TCP,
		.hop_limit = 64,
	};

	memcpy(h.src, e->src, 16);
	memcpy(h.dst, e->dst, 16);
	memcpy(f, &h, sizeof h);
	return sizeof h;
}

uint32_t frame_build(const struct ends *e, const struct frame_tcp *t, uint16_t ip_id,
		     uint8_t *ret_frame)
{
	uint32_t hdr = 20u + t->opt_len, l3 = put_eth(e, ret_frame);
	uint32_t l4 = l3 + put_ip(e, hdr + t->len, ip_id, ret_frame + l3);
	struct tcp_hdr h = {
		.sport = be16_of(e->sport),
		.dport = be16_of(e->dport),
		.seq = be32_of(t->seq),
		.ack = be32_of(t->ack),
		.doff = (uint8_t)(hdr / 4 << 4),
		.flags = t->flags,
		.window = be16_of(t->window),
	};
	struct packet p = { .head = ret_frame, .head_len = l4 + hdr + t->len };
	struct view v;

	assert(p.head_len <= FRAME_SIZE);
	memcpy(ret_frame + l4, &h, sizeof h);
	memcpy(ret_frame + l4 + 20, t->opt, t->opt_len);
	memcpy(ret_frame + l4 + hdr, t->payload, t->len);
	if (view_parse(&p, &v) != R_NONE)
		abort();
	csum_ip_fill(&p, &v);
	csum_tcp_fill(&p, &v);
	return p.head_len;
}
