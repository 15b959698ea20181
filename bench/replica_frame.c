/* SPDX-License-Identifier: MIT */
#include "replica_frame.h"

#include <string.h>

#include "base/be.h"
#include "base/packet.h"
#include "proto/checksum.h"
#include "proto/ip.h"
#include "proto/tcp.h"
#include "proto/view.h"

static void put_eth(uint8_t *h, const struct rframe *f)
{
	static const uint8_t macs[2][6] = { { 2, 0, 0, 0, 0, 1 }, { 2, 0, 0, 0, 0, 2 } };
	struct eth_hdr *e = (struct eth_hdr *)h;

	memcpy(e->dst, macs[!f->from_server], 6);
	memcpy(e->src, macs[!!f->from_server], 6);
	e->type = be16_of(ETH_IP4);
}

static void put_ip(uint8_t *h, const struct rframe *f, uint32_t len)
{
	struct ipv4_hdr *ip = (struct ipv4_hdr *)(h + RFRAME_L3);
	const uint8_t client[4] = { 192, 0, 2, f->client }, server[4] = { 198, 51, 100, 1 };

	*ip = (struct ipv4_hdr){ .ver_ihl = 0x45, .len = be16_of((uint16_t)len), .ttl = 64 };
	ip->frag = be16_of(IP4_DF);
	ip->proto = IP_TCP;
	memcpy(ip->src, f->from_server ? server : client, 4);
	memcpy(ip->dst, f->from_server ? client : server, 4);
}

static void put_tcp(uint8_t *h, const struct rframe *f)
{
	struct tcp_hdr *t = (struct tcp_hdr *)(h + RFRAME_L4);

	*t = (struct tcp_hdr){ .flags = f->flags, .window = be16_of(f->window) };
	t->sport = be16_of(f->from_server ? 80 : f->port);
	t->dport = be16_of(f->from_server ? f->port : 80);
	t->seq = be32_of(f->seq);
	t->ack = be32_of(f->ack);
	t->doff = (uint8_t)((sizeof *t + f->options_len) / 4 << 4);
	if (f->options_len)
		memcpy(h + RFRAME_OPTIONS, f->options, f->options_len);
}

size_t rframe_build(const struct rframe *f, uint8_t *ret_bytes)
{
	uint8_t *h = ret_bytes + RFRAME_PREFIX;
	uint32_t head = RFRAME_OPTIONS + f->options_len, len = head + f->payload_len;
	struct packet p = { .head = h, .head_len = len };
	struct view v;

	store_be32(ret_bytes, len);
	put_eth(h, f);
	put_ip(h, f, len - RFRAME_L3);
	put_tcp(h, f);
	for (uint32_t i = 0; i < f->payload_len; i++)
		h[head + i] = (uint8_t)('a' + i % 26);
	if (view_parse(&p, &v) == R_NONE) {
		csum_ip_fill(&p, &v);
		csum_tcp_fill(&p, &v);
	}
	return RFRAME_PREFIX + len;
}

void rframe_timestamps(uint8_t ret_opt[12], uint32_t tsval, uint32_t tsecr)
{
	static const uint8_t head[4] = { TCPOPT_NOP, TCPOPT_NOP, TCPOPT_TIMESTAMPS, 10 };

	memcpy(ret_opt, head, sizeof head);
	store_be32(ret_opt + 4, tsval);
	store_be32(ret_opt + 8, tsecr);
}
