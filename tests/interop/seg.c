/* SPDX-License-Identifier: MIT */
#include "seg.h"

#include <stdio.h>
#include <string.h>

#include "base/be.h"
#include "base/packet.h"
#include "proto/print.h"

#define STREAM_COPY 70000u
#define SUM_ERROR 0x1234u /* how wrong a bad checksum is, in one's complement */

uint16_t seg_sum(uint32_t sum, const uint8_t *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		sum += i & 1 ? b[i] : (uint32_t)b[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

static uint8_t stream_byte(const struct seg *g, uint32_t i)
{
	uint32_t n = (g->first + i) * 2654435761u + (g->flow * 2u + g->from) * 0x51ed2701u;

	return (uint8_t)(n >> 23);
}

static uint32_t put_eth(const struct seg *g, uint8_t *f)
{
	uint32_t n = 12;

	memcpy(f,
	       g->from == CLIENT ? "\x02\0\0\0\0\x01\x02\0\0\0\0\x02"
				 : "\x02\0\0\0\0\x02\x02\0\0\0\0\x01",
	       12);
	for (unsigned i = 0; i < g->vlans; i++, n += 4)
		store_be32(f + n,
			   (i == 0 && g->vlans == 2 && !g->outer_q ? 0x88a80000u : 0x81000000u) |
				   (7u + i + g->vid));
	store_be16(f + n, g->ip6 ? 0x86dd : 0x0800);
	return n + 2;
}

static void put_ip4(const struct seg *g, uint8_t *h, uint32_t l4_len)
{
	uint32_t n = 20u + g->ip_options;

	memset(h, 0, n);
	h[0] = (uint8_t)(0x40 | n / 4);
	store_be16(h + 2, (uint16_t)(n + l4_len));
	store_be16(h + 4, g->made ? 0 : 0x1234);
	store_be16(h + 6, g->frag == FRAG_FIRST ? 0x2000 : g->frag == FRAG_LATER ? 0x00b9 : 0x4000);
	h[8] = 64;
	h[9] = 6;
	store_be32(h + 12, g->from == CLIENT ? 0xc000020a : 0xc6336401);
	store_be32(h + 16, g->from == CLIENT ? 0xc6336401 : 0xc000020a);
	memset(h + 20, 1, g->ip_options);
	store_be16(h + 10, (uint16_t)~seg_sum(0, h, n));
}

static void put_ip6(const struct seg *g, uint8_t *h, uint32_t l4_len)
{
	static const uint8_t addr[2][16] = {
		{ 0x20, 1, 0xd, 0xb8, [15] = 10 },
		{ 0x20, 1, 0xd, 0xb8, 0, 1, [15] = 1 },
	};

	memset(h, 0, 40);
	h[0] = 0x60;
	store_be16(h + 4, (uint16_t)(l4_len + (g->ip6_ext ? 8 : 0)));
	h[6] = g->ip6_ext ? 60 : 6;
	h[7] = 64;
	memcpy(h + 8, addr[g->from], 16);
	memcpy(h + 24, addr[!g->from], 16);
	if (g->ip6_ext)
		memcpy(h + 40, "\6\0\1\4\0\0\0\0", 8);
}

static uint32_t put_sack(const struct seg *g, uint8_t *o)
{
	uint32_t n = 0;

	if (g->sacks > 0) {
		o[0] = 1;
		o[1] = 1;
		o[2] = 5;
		o[3] = (uint8_t)(2 + 8 * g->sacks);
		n = 4;
		for (unsigned i = 0; i < g->sacks; i++, n += 8) {
			store_be32(o + n, g->sack[i][0]);
			store_be32(o + n + 4, g->sack[i][1]);
		}
	}
	memset(o + n, 1, g->sack_nops);
	return n + g->sack_nops;
}

static uint32_t put_options(const struct seg *g, uint8_t *o)
{
	uint32_t n = 0;

	if (g->syn_options) {
		memcpy(o, "\x02\x04\x05\xb4\x01\x03\x03\x07\x01\x01\x04\x02", 12);
		n = 12;
	}
	if (g->ts) {
		memcpy(o + n, "\x01\x01\x08\x0a", 4);
		store_be32(o + n + 4, g->tsval);
		store_be32(o + n + 8, g->tsecr);
		n += 12;
	}
	if (g->fastopen) {
		memcpy(o + n, "\x22\x0a\1\2\3\4\5\6\7\x08\x01\x01", 12);
		n += 12;
	}
	return n + put_sack(g, o + n);
}

static uint32_t put_tcp(const struct seg *g, uint8_t *t)
{
	uint16_t client = (uint16_t)(40000 + g->flow - g->port_of);
	uint32_t opts;

	memset(t, 0, 20);
	store_be16(t, g->from == CLIENT ? client : 80);
	store_be16(t + 2, g->from == CLIENT ? 80 : client);
	store_be32(t + 4, g->seq);
	store_be32(t + 8, g->ack);
	opts = put_options(g, t + 20);
	t[12] = (uint8_t)((20 + opts) / 4 << 4);
	t[13] = g->flags;
	store_be16(t + 14, g->win);
	store_be16(t + 18, g->urg);
	for (uint32_t i = 0; i < g->len; i++)
		t[20 + opts + i] = stream_byte(g, i);
	return 20 + opts + g->len;
}

static uint32_t tcp_len(const struct seg *g)
{
	uint8_t options[64];

	return 20 + put_options(g, options) + g->len;
}

uint32_t seg_frame(const struct seg *g, uint8_t *ret_frame)
{
	uint32_t l3 = put_eth(g, ret_frame),
		 l4 = l3 + (g->ip6 ? 40u + (g->ip6_ext ? 8 : 0) : 20u + g->ip_options);
	uint32_t n = tcp_len(g), addrs = g->ip6 ? 32 : 8, sum;
	uint8_t *t = ret_frame + l4;

	if (g->ip6)
		put_ip6(g, ret_frame + l3, n);
	else
		put_ip4(g, ret_frame + l3, n);
	(void)put_tcp(g, t);
	sum = seg_sum(6 + n, ret_frame + l3 + (g->ip6 ? 8 : 12), addrs);
	sum = (uint16_t)~seg_sum(sum, t, n);
	if (g->bad_sum)
		sum = sum + SUM_ERROR > 0xffff ? sum + SUM_ERROR - 0xffff : sum + SUM_ERROR;
	store_be16(t + 16, (uint16_t)sum);
	n += l4;
	while (g->pad && n < 60)
		ret_frame[n++] = 0;
	return n;
}

uint32_t seg_icmp(const struct seg *g, uint8_t *ret_frame)
{
	uint8_t quoted[SEG_FRAME_MAX], *h = ret_frame + 14, *m = h + 20;
	struct seg to = { .from = CLIENT };

	(void)seg_frame(g, quoted);
	(void)put_eth(&to, ret_frame);
	put_ip4(&to, h, 8 + 28);
	h[9] = 1;
	store_be32(h + 12, 0xcb007109);
	store_be16(h + 10, 0);
	store_be16(h + 10, (uint16_t)~seg_sum(0, h, 20));
	memset(m, 0, 8);
	m[0] = 3;
	m[1] = 4;
	store_be16(m + 6, 1400);
	memcpy(m + 8, quoted + 14, 28);
	store_be16(m + 2, (uint16_t)~seg_sum(0, m, 36));
	return 14 + 20 + 36;
}

uint32_t seg_udp(enum side from, uint32_t n, uint8_t what, uint8_t *ret_frame)
{
	struct seg g = { .from = from };
	uint8_t *h = ret_frame + 14, *u = h + 20;
	uint32_t sum;

	(void)put_eth(&g, ret_frame);
	put_ip4(&g, h, 8 + n);
	h[9] = 17;
	store_be16(h + 10, 0);
	store_be16(h + 10, (uint16_t)~seg_sum(0, h, 20));
	store_be16(u, from == CLIENT ? 40000 : 53);
	store_be16(u + 2, from == CLIENT ? 53 : 40000);
	store_be16(u + 4, (uint16_t)(8 + n));
	store_be16(u + 6, 0);
	memset(u + 8, what, n);
	sum = seg_sum(17 + 8 + n, h + 12, 8);
	store_be16(u + 6, (uint16_t)~seg_sum(sum, u, 8 + n));
	return 14 + 20 + 8 + n;
}

const char *seg_print(const uint8_t *frame, uint32_t len)
{
	static char line[4][PRINT_MAX];
	static uint8_t copy[STREAM_COPY];
	static unsigned n;
	char *s = line[n++ % 4];
	struct packet p = { .head = copy, .head_len = len };

	if (len > sizeof copy)
		len = p.head_len = sizeof copy;
	memcpy(copy, frame, len);
	(void)print_packet(&p, s, PRINT_MAX);
	return s;
}
