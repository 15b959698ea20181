/* SPDX-License-Identifier: MIT */
#include "core/rewrite.h"

#include <string.h>

#include "base/compiler.h"
#include "proto/checksum.h"
#include "proto/ip.h"

/*
 * Every function collects what it changes in one csum_delta and applies it once.  Offsets count
 * from the start of the TCP header, which is summed from an even offset: a field's parity is that
 * of its offset here.
 */

#define OPT_OFF ((uint32_t)sizeof(struct tcp_hdr))
#define SACK_BLOCK 8u
#define SACK_MAX 4u

/* Adds to the 32 bits at off in the TCP header at h. */
SUT_INLINE void add32(struct csum_delta *d, uint8_t *h, uint32_t off, uint32_t add)
{
	uint32_t old = load_be32(h + off);

	csum_swap32(d, old, old + add, off & 1);
	store_be32(h + off, old + add);
}

SUT_INLINE void add_edges(struct csum_delta *d, uint8_t *h, uint32_t off, uint32_t count,
			  uint32_t add)
{
	for (uint32_t i = 0; i < 2 * count; i++)
		add32(d, h, off + 4 * i, add);
}

/* seq and ack, in the header and in v. */
SUT_INLINE void add_numbers(struct csum_delta *d, struct tcp_hdr *h, struct view *v,
			    uint32_t add_seq, uint32_t add_ack)
{
	if (!seam_keeps_seq(v->flags, v->seq)) {
		csum_swap32(d, v->seq, v->seq + add_seq, false);
		v->seq += add_seq;
		h->seq = be32_of(v->seq);
	}
	if (v->flags & TCP_ACK) {
		csum_swap32(d, v->ack, v->ack + add_ack, false);
		v->ack += add_ack;
		h->ack = be32_of(v->ack);
	}
}

SUT_INLINE void apply(struct packet *p, const struct view *v, struct csum_delta d)
{
	csum_apply(view_tcp(p, v)->csum.b, &p->off, d);
}

void rewrite_shift(struct packet *p, struct view *v, const struct tcp_options *o, struct seam_add a)
{
	struct tcp_hdr *h = view_tcp(p, v);
	uint8_t *b = p->head + v->l4;
	struct csum_delta d = { 0 };
	bool ack = v->flags & TCP_ACK;

	add_numbers(&d, h, v, a.seq, a.ack);
	if (o->present & OPT_TS) {
		add32(&d, b, o->ts_off, a.tsval);
		if (ack)
			add32(&d, b, o->ts_off + 4u, a.tsecr);
	}
	if (ack && (o->present & OPT_SACK))
		add_edges(&d, b, o->sack_off, o->sack_count, a.ack);
	apply(p, v, d);
}

/* What the four-byte words of the aligned layout are. */
#define WORD_TS 0x0101080au /* NOP NOP TS 10 */
#define WORD_SACK 0x01010500u /* NOP NOP SACK, length to be added */
#define TS_BYTES 12u

/* Blocks of the aligned layout with len bytes at opt, or -1 where the options are laid out in another way. */
SUT_INLINE int aligned_blocks(const uint8_t *opt, uint32_t len)
{
	uint32_t n;

	if (len < TS_BYTES || load_be32(opt) != WORD_TS)
		return -1;
	if (len == TS_BYTES)
		return 0;
	n = (len - TS_BYTES - 4) / SACK_BLOCK;
	if (n == 0 || len != TS_BYTES + 4 + n * SACK_BLOCK ||
	    load_be32(opt + TS_BYTES) != WORD_SACK + 2 + n * SACK_BLOCK)
		return -1;
	return (int)n;
}

static SUT_NOINLINE enum reason fast_general(struct packet *p, struct view *v, struct seam_add a)
{
	struct tcp_options o;
	enum reason r = view_options(p, v, &o);

	if (r == R_NONE)
		rewrite_shift(p, v, &o, a);
	return r;
}

/* rewrite_fast with SACK blocks behind the timestamps. */
static SUT_NOINLINE enum reason fast_sack(struct packet *p, struct view *v, int blocks,
					  struct seam_add a)
{
	struct tcp_options o = {
		.present = OPT_TS | OPT_SACK,
		.sack_count = (uint8_t)blocks,
		.ts_off = OPT_OFF + 4,
		.sack_off = OPT_OFF + TS_BYTES + 4,
	};

	rewrite_shift(p, v, &o, a);
	return R_NONE;
}

/* rewrite_fast of a segment with options, apart so that the one without stays a leaf. */
static SUT_NOINLINE enum reason fast_options(struct packet *p, struct view *v, uint32_t add_seq,
					     uint32_t add_ack, uint32_t add_ts, bool ts_is_val)
{
	uint8_t *b = p->head + v->l4;
	int blocks = aligned_blocks(b + OPT_OFF, view_options_len(v));
	struct seam_add a = { add_seq, add_ack, ts_is_val ? add_ts : 0, ts_is_val ? 0 : add_ts };
	struct csum_delta d = { 0 };

	if (unlikely(blocks != 0))
		return blocks < 0 ? fast_general(p, v, a) : fast_sack(p, v, blocks, a);
	if (ts_is_val)
		add32(&d, b, OPT_OFF + 4, add_ts);
	else if (v->flags & TCP_ACK)
		add32(&d, b, OPT_OFF + 8, add_ts);
	add_numbers(&d, view_tcp(p, v), v, add_seq, add_ack);
	apply(p, v, d);
	return R_NONE;
}

enum reason rewrite_fast(struct packet *p, struct view *v, uint32_t add_seq, uint32_t add_ack,
			 uint32_t add_ts, bool ts_is_val)
{
	struct csum_delta d = { 0 };

	if (view_options_len(v) != 0)
		return fast_options(p, v, add_seq, add_ack, add_ts, ts_is_val);
	add_numbers(&d, view_tcp(p, v), v, add_seq, add_ack);
	apply(p, v, d);
	return R_NONE;
}

void rewrite_seq(struct packet *p, struct view *v, uint32_t seq)
{
	struct csum_delta d = { 0 };

	csum_swap32(&d, v->seq, seq, false);
	view_tcp(p, v)->seq = be32_of(seq);
	v->seq = seq;
	apply(p, v, d);
}

void rewrite_ack(struct packet *p, struct view *v, uint32_t ack)
{
	struct csum_delta d = { 0 };

	csum_swap32(&d, v->ack, ack, false);
	view_tcp(p, v)->ack = be32_of(ack);
	v->ack = ack;
	apply(p, v, d);
}

void rewrite_window(struct packet *p, struct view *v, uint16_t window)
{
	struct csum_delta d = { 0 };

	csum_swap16(&d, v->window, window);
	view_tcp(p, v)->window = be16_of(window);
	v->window = window;
	apply(p, v, d);
}

void rewrite_flags(struct packet *p, struct view *v, uint8_t flags)
{
	struct csum_delta d = { 0 };

	csum_swap16(&d, v->flags, flags);
	view_tcp(p, v)->flags = flags;
	v->flags = flags;
	apply(p, v, d);
}

void rewrite_syn_flags(struct packet *p, struct view *v)
{
	struct tcp_hdr *h = view_tcp(p, v);
	uint8_t doff = h->doff & 0xf0;
	struct csum_delta d = { 0 };

	csum_swap16(&d, (uint16_t)(h->doff << 8 | h->flags), (uint16_t)(doff << 8 | TCP_SYN));
	h->doff = doff;
	h->flags = TCP_SYN;
	v->flags = TCP_SYN;
	apply(p, v, d);
}

void rewrite_ts(struct packet *p, const struct view *v, const struct tcp_options *o, uint32_t tsval,
		uint32_t tsecr)
{
	uint8_t *b = p->head + v->l4;
	struct csum_delta d = { 0 };

	if (!(o->present & OPT_TS))
		return;
	add32(&d, b, o->ts_off, tsval - load_be32(b + o->ts_off));
	add32(&d, b, o->ts_off + 4u, tsecr - load_be32(b + o->ts_off + 4));
	apply(p, v, d);
}

/* Replaces the n bytes at off. */
static void put_bytes(struct packet *p, const struct view *v, uint32_t off, const uint8_t *new,
		      uint32_t n)
{
	uint8_t *b = p->head + v->l4 + off;
	struct csum_delta d = { 0 };

	for (uint32_t i = 0; i < n; i++) {
		unsigned up = (off + i) & 1 ? 0 : 8;

		csum_swap16(&d, (uint16_t)(b[i] << up), (uint16_t)(new[i] << up));
		b[i] = new[i];
	}
	apply(p, v, d);
}

void rewrite_nop(struct packet *p, const struct view *v, uint8_t off, uint8_t n)
{
	uint8_t nops[UINT8_MAX];

	memset(nops, TCPOPT_NOP, sizeof nops);
	put_bytes(p, v, off, nops, n);
}

void rewrite_sack_strip(struct packet *p, const struct view *v, struct tcp_options *o)
{
	if (!(o->present & OPT_SACK))
		return;
	rewrite_nop(p, v, (uint8_t)(o->sack_off - 2), (uint8_t)(2 + SACK_BLOCK * o->sack_count));
	o->present = (uint16_t)(o->present & ~OPT_SACK);
	o->sack_count = 0;
}

static bool beyond(const uint8_t *edge, uint32_t limit)
{
	return (int32_t)(load_be32(edge) - limit) > 0;
}

void rewrite_sack_clamp(struct packet *p, const struct view *v, struct tcp_options *o,
			uint32_t limit)
{
	const uint8_t *old = p->head + v->l4 + o->sack_off;
	uint8_t new[2 + SACK_BLOCK * SACK_MAX], *at = new + 2;
	uint8_t kept = 0;

	if (!(o->present & OPT_SACK))
		return;
	memset(new, TCPOPT_NOP, sizeof new);
	for (uint32_t i = 0; i < o->sack_count && i < SACK_MAX; i++, old += SACK_BLOCK) {
		if (beyond(old, limit) || beyond(old + 4, limit))
			continue;
		memcpy(at, old, SACK_BLOCK);
		at += SACK_BLOCK;
		kept++;
	}
	if (kept == o->sack_count)
		return;
	if (kept == 0) {
		rewrite_sack_strip(p, v, o);
		return;
	}
	new[0] = TCPOPT_SACK;
	new[1] = (uint8_t)(2 + SACK_BLOCK * kept);
	put_bytes(p, v, o->sack_off - 2u, new, 2 + SACK_BLOCK * o->sack_count);
	o->sack_count = kept;
}

/* Replaces the n bytes (a multiple of 4) at b; the change counts in d. */
static void swap_bytes(struct csum_delta *d, uint8_t *b, const uint8_t *new, uint32_t n)
{
	for (uint32_t i = 0; i < n; i += 4)
		csum_swap32(d, load_be32(b + i), load_be32(new + i), false);
	memcpy(b, new, n);
}

/* The sum at f of what is covered anew: d of the pseudo-header, own of the rest. */
static void apply_pseudo(uint8_t *f, const struct offload *off, struct csum_delta d,
			 struct csum_delta own)
{
	if (off->csum == CSUM_PARTIAL) {
		store_be16(f, csum_fold(d.sum + load_be16(f)));
		return;
	}
	own.sum += csum_fold(d.sum);
	csum_apply(f, off, own);
}

bool rewrite_addr(struct packet *p, const struct view *v, enum rewrite_end end,
		  const uint8_t ip[16], uint16_t port)
{
	uint32_t n = v->ip == 4 ? 4 : 16, first = v->ip == 4 ? 12 : 8;
	uint8_t *l3 = p->head + v->l3, *at = l3 + first + (end == REWRITE_DST ? n : 0);
	uint8_t *tcp = p->head + v->l4, *port_at = tcp + (end == REWRITE_DST ? 2 : 0);
	struct csum_delta addr = { 0 }, own = { 0 };
	uint16_t old_port = load_be16(port_at);
	bool summed = true;

	if (ip_is_mapped(ip) != (v->ip == 4))
		return false;
	if (v->ip == 6 && end == REWRITE_DST)
		summed = ip6_final_dst(l3, (uint32_t)(v->l4 - v->l3)) == at;
	swap_bytes(&addr, at, ip + 16 - n, n);
	if (v->ip == 4) {
		uint8_t *sum = l3 + offsetof(struct ipv4_hdr, csum);

		csum_apply(sum, &(struct offload){ .csum = CSUM_COMPLETE }, addr);
	}
	memcpy(port_at, &port, 2);
	csum_swap16(&own, old_port, load_be16(port_at));
	apply_pseudo(view_tcp(p, v)->csum.b, &p->off, summed ? addr : (struct csum_delta){ 0 },
		     own);
	return true;
}
