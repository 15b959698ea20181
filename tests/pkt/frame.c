/* SPDX-License-Identifier: MIT */
#include "frame.h"

#include <string.h>

#include "base/be.h"
#include "opt.h"
#include "proto/ip.h"
#include "proto/tcp.h"
#include "sum.h"

/* What goes below a packet's fourth layer. */
struct below {
	const struct seg_marks *m;
	const struct conn *c;
	const uint8_t *src, *dst; /* 16 bytes */
	uint8_t proto;
	bool ip6;
};

/* Ethernet header with tags; returns its length. */
static size_t write_eth(uint8_t *b, const struct lane_of *lane, const struct seg_marks *m,
			uint16_t type)
{
	const uint16_t *vlan = m->vlan_set ? m->vlan : lane->c->vlan;
	unsigned tags = m->vlan_set ? m->vlans : lane->c->vlans;
	size_t n = 12;

	memset(b, 0, 12);
	b[0] = b[6] = 2;
	b[5] = lane->dir == FROM_SOURCE ? 2 : 1;
	b[11] = lane->dir == FROM_SOURCE ? 1 : 2;
	for (unsigned i = 0; i < tags; i++, n += 4) {
		store_be16(b + n, i + 1 < tags ? ETH_QINQ : ETH_VLAN);
		store_be16(b + n + 2, vlan[i]);
	}
	store_be16(b + n, type);
	return n + 2;
}

static size_t write_ip4(uint8_t *b, const struct below *w, size_t l4_len)
{
	static const uint8_t options[4] = { 1, 1, 1, 0 };
	size_t n = w->m->ipopt ? 24 : 20;
	uint16_t good;

	memset(b, 0, n);
	b[0] = (uint8_t)(0x40 | n / 4);
	b[1] = w->m->tos;
	store_be16(b + 2, (uint16_t)(n + l4_len));
	store_be16(b + 6, w->m->frag == FRAG_FIRST   ? IP4_MF
			  : w->m->frag == FRAG_LATER ? 8
						     : IP4_DF);
	b[8] = w->m->ttl;
	b[9] = w->proto;
	memcpy(b + 12, w->src + 12, 4);
	memcpy(b + 16, w->dst + 12, 4);
	if (w->m->ipopt)
		memcpy(b + 20, options, 4);
	good = (uint16_t)~sum_fold(sum_add(0, b, n));
	store_be16(b + 10, sum_fold(good + (w->m->bad_ip_csum ? CSUM_ERROR : 0u)));
	return n;
}

static size_t write_ip6(uint8_t *b, const struct below *w, size_t l4_len)
{
	uint8_t *next = b + 6;
	size_t n = 40;

	memset(b, 0, 40 + 8 * 5);
	store_be32(b, 0x60000000u | (uint32_t)w->m->tos << 20 | 0x12345);
	b[7] = w->m->ttl;
	memcpy(b + 8, w->src, 16);
	memcpy(b + 24, w->dst, 16);
	for (unsigned i = 0; i < w->m->exts; i++, n += 8) {
		*next = w->m->ext[i];
		next = b + n;
		b[n + 2] = w->m->ext[i] == 43 ? 4 : 1; /* routing type, or PadN ... */
		b[n + 3] = w->m->ext[i] == 43 ? 0 : 4; /* ... of 4 bytes; no segment left */
	}
	if (w->m->frag != FRAG_NONE) {
		*next = 44;
		next = b + n;
		store_be16(b + n + 2, w->m->frag == FRAG_FIRST ? 1 : 8 << 3);
		b[n + 7] = 1;
		n += 8;
	}
	*next = w->proto;
	store_be16(b + 4, (uint16_t)(n - 40 + l4_len));
	return n;
}

/* Writes the IP header at b and moves the l4 bytes behind it; returns the whole length. */
static size_t wrap(uint8_t *b, const struct below *w, const uint8_t *l4, size_t l4_len)
{
	size_t n = w->ip6 ? write_ip6(b, w, l4_len) : write_ip4(b, w, l4_len);

	memcpy(b + n, l4, l4_len);
	return n + l4_len;
}

static void fill_payload(const struct seg *g, const struct lane_of *lane, uint32_t seq, uint8_t *b)
{
	uint32_t off = seq - lane->base + !!(g->flags & TCP_SYN);

	if (g->m.payload == PAYLOAD_TEXT)
		memcpy(b, g->m.text, g->len);
	else
		for (uint32_t i = 0; i < g->len; i++)
			b[i] = stream_byte(lane->stream, off + i);
}

/* The TCP header and payload without a checksum; returns the length, 0 with a fault. */
static size_t write_tcp(const struct seg *g, const struct lane_of *lane, const struct ctx *x,
			uint8_t *b)
{
	uint32_t seq, end, ack = 0, win, urg = 0;
	uint8_t opt[40];
	size_t n;

	if (g->range_any || g->len_any || g->rest_any)
		return fault_say(x->f, "\"*\" and \"...\" are for expected packets only");
	if (!value_get(&g->seq, x, &seq) || !value_get(&g->end, x, &end) ||
	    !value_get(&g->ack, x, &ack) || !value_get(&g->win, x, &win) ||
	    !value_get(&g->urg, x, &urg) || !opts_write(g, x, opt, &n))
		return 0;
	if (end != seq + g->len)
		return fault_say(x->f, "%u:%u is not %u bytes", seq, end, g->len);
	memset(b, 0, 20);
	store_be16(b, lane->c->port[lane->dir]);
	store_be16(b + 2, lane->c->port[!lane->dir]);
	store_be32(b + 4, seq);
	store_be32(b + 8, ack);
	b[12] = (uint8_t)((20 + n) / 4 << 4);
	b[13] = g->flags;
	store_be16(b + 14, (uint16_t)win);
	store_be16(b + 18, (uint16_t)urg);
	memcpy(b + 20, opt, n);
	fill_payload(g, lane, seq, b + 20 + n);
	return 20 + n + g->len;
}

/* Writes a checksum at field, which lies in the n bytes at l4 and is zero. */
static void finish(const struct seg_marks *m, uint32_t pseudo, uint8_t *l4, size_t n,
		   uint8_t *field)
{
	uint16_t good = (uint16_t)~sum_fold(sum_add(pseudo, l4, n));
	uint32_t error = m->bad_csum ? CSUM_ERROR : 0;

	store_be16(field, sum_fold((m->partial ? pseudo : good) + error));
}

static size_t write_udp(const struct seg *g, const struct lane_of *lane, uint8_t *b)
{
	memset(b, 0, 8);
	store_be16(b, lane->c->port[lane->dir]);
	store_be16(b + 2, lane->c->port[!lane->dir]);
	store_be16(b + 4, (uint16_t)(8 + g->len));
	for (uint32_t i = 0; i < g->len; i++)
		b[8 + i] = stream_byte(lane->stream, i);
	return 8 + g->len;
}

void frame_icmp_type(const struct seg *g, bool ip6, uint8_t ret_type_code[2])
{
	static const uint8_t code4[] = { 0, 1, 2, 3, 13 };
	static const uint8_t code6[] = { 0, 3, 3, 4, 1 };
	static const uint8_t type4[] = { 3, 3, 11, 8, 0, 4, 12 };
	static const uint8_t type6[] = { 1, 2, 3, 128, 129, 200, 4 };

	ret_type_code[0] = ip6 ? type6[g->icmp] : type4[g->icmp];
	ret_type_code[1] = g->icmp == SI_UNREACHABLE	   ? (ip6 ? code6 : code4)[g->unreach]
			   : g->icmp == SI_TOO_BIG && !ip6 ? 4
							   : 0;
}

/* The message with the packet that it quotes, which travelled against it. */
static size_t write_icmp(const struct seg *g, const struct lane_of *lane, const struct ctx *x,
			 uint8_t *b)
{
	const struct conn *c = lane->c;
	struct lane_of back = { c, !lane->dir, lane->stream ^ 1, 0 };
	struct below w = { NULL, c, c->addr[back.dir], c->addr[!back.dir], IP_TCP, c->ip6 };
	uint8_t l4[2048];
	uint32_t mtu = 0;
	size_t n, ip;

	memset(b, 0, 8);
	frame_icmp_type(g, c->ip6, b);
	if (!value_get(&g->mtu, x, &mtu))
		return 0;
	store_be32(b + 4, mtu);
	if (!g->quote)
		return 8;
	if (g->quote->len > 1500)
		return fault_say(x->f, "the quoted packet is too long");
	w.m = &g->quote->m;
	n = write_tcp(g->quote, &back, x, l4);
	if (n == 0)
		return 0;
	finish(w.m, sum_pseudo(w.src, w.dst, w.ip6, IP_TCP, n), l4, n, l4 + 16);
	ip = wrap(b + 8, &w, l4, n) - n;
	if (g->m.quote != 0 && g->m.quote < n)
		n = g->m.quote;
	else if (g->m.quote == 0 && n > 64)
		n = 64;
	return 8 + ip + n;
}

static size_t write_arp(uint8_t *b, const struct lane_of *lane)
{
	static const uint8_t head[8] = { 0, 1, 8, 0, 6, 4, 0, 1 };

	memset(b, 0, 28);
	memcpy(b, head, 8);
	b[8] = 2;
	b[13] = lane->dir == FROM_SOURCE ? 1 : 2;
	memcpy(b + 14, lane->c->addr[lane->dir] + 12, 4);
	memcpy(b + 24, lane->c->addr[!lane->dir] + 12, 4);
	return 28;
}

/* The fourth layer of g with its checksum; *ret_csum is where that lies. */
static size_t write_l4(const struct seg *g, const struct lane_of *lane, const struct below *w,
		       const struct ctx *x, uint8_t *b, size_t *ret_csum)
{
	bool bare = w->proto == IP_ICMP;
	size_t n;

	if (g->kind == SEG_TCP)
		n = write_tcp(g, lane, x, b);
	else if (g->kind == SEG_UDP)
		n = write_udp(g, lane, b);
	else
		n = write_icmp(g, lane, x, b);
	if (n == 0)
		return 0;
	*ret_csum = g->kind == SEG_TCP ? 16 : g->kind == SEG_UDP ? 6 : 2;
	finish(&g->m, bare ? 0 : sum_pseudo(w->src, w->dst, w->ip6, w->proto, n), b, n,
	       b + *ret_csum);
	return n;
}

static void set_offload(const struct seg *g, bool ip6, size_t l4_at, size_t csum_at,
			struct offload *ret_off)
{
	*ret_off = (struct offload){ .csum = CSUM_COMPLETE };
	if (!g->m.partial)
		return;
	ret_off->csum = CSUM_PARTIAL;
	ret_off->csum_start = (uint16_t)l4_at;
	ret_off->csum_offset = (uint16_t)csum_at;
	if (g->m.gso == 0)
		return;
	ret_off->gso_type = ip6 ? GSO_TCP6 : GSO_TCP4;
	ret_off->gso_size = g->m.gso;
	ret_off->hdr_len = (uint16_t)(l4_at + 20);
}

static uint8_t proto_of(const struct seg *g, bool ip6)
{
	return g->kind == SEG_TCP ? IP_TCP : g->kind == SEG_UDP ? IP_UDP : ip6 ? IP_ICMP6 : IP_ICMP;
}

/*
 * An IP packet behind the eth bytes already at buf; returns the frame's length, 0 with a fault.
 */
static size_t build_ip(const struct seg *g, const struct lane_of *lane, const struct ctx *x,
		       uint8_t *buf, size_t eth, struct packet *p)
{
	static uint8_t l4[PACKET_MAX];
	const struct conn *c = lane->c;
	struct below w = {
		&g->m,
		c,
		g->from_set ? g->from : c->addr[lane->dir],
		c->addr[!lane->dir],
		proto_of(g, c->ip6),
		c->ip6,
	};
	size_t n, csum, len;

	n = write_l4(g, lane, &w, x, l4, &csum);
	if (n == 0)
		return 0;
	if (n > 65535 - 80)
		return fault_say(x->f, "the packet is longer than IP can carry");
	len = wrap(buf + eth, &w, l4, n);
	set_offload(g, c->ip6, eth + len - n, csum, &p->off);
	return eth + len;
}

bool frame_build(const struct seg *g, const struct lane_of *lane, const struct ctx *x, uint8_t *buf,
		 struct packet *ret_p)
{
	struct packet p = { .head = buf, .off = { .csum = CSUM_COMPLETE } };
	size_t n;

	if (g->kind == SEG_FRAME) {
		memcpy(buf, g->bytes, g->len);
		n = g->len;
	} else if (g->kind == SEG_ARP) {
		n = write_eth(buf, lane, &g->m, ETH_ARP);
		n += write_arp(buf + n, lane);
	} else {
		n = write_eth(buf, lane, &g->m, lane->c->ip6 ? ETH_IP6 : ETH_IP4);
		n = build_ip(g, lane, x, buf, n, &p);
		if (n == 0)
			return false;
	}
	if (g->m.pad && n < 60) {
		memset(buf + n, 0xee, 60 - n);
		n = 60;
	}
	p.head_len = (uint32_t)(g->m.cut < n ? n - g->m.cut : 0);
	*ret_p = p;
	return true;
}
