/* SPDX-License-Identifier: MIT */
#ifndef SUT_TEST_STACK_PEER_H
#define SUT_TEST_STACK_PEER_H
/*
 * stack_peer - a stack with one connection, and the peer of it played by hand: what it sends is caught as numbers, what the peer
 * says is built byte by byte.  Virtual time.  Sequence numbers are relative: ours and the peer's first data byte are 1.
 *
 * Does not: share code with what it tests (checksums and options are read here by their own ways).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "frame.h"
#include "proto/tcp.h"
#include "stack/parts.h"

#define PEER_ISN 1000u
#define PEER_OUT 4096u
#define PEER_WND 1000000u

struct caught {
	uint32_t seq, ack, len; /* relative */
	uint8_t flags, ttl, tos;
	uint16_t window, urg, gso_size;
	uint16_t mss; /* option, 0: none */
	uint8_t gso_type, csum;
	bool ts, df;
	uint32_t tsval, tsecr;
	unsigned sacks;
	uint32_t left[4], right[4];
	uint8_t first; /* payload byte */
	uint32_t ip_len;
};

struct peer {
	void *block;
	struct stack *s;
	struct stack_config cfg;
	struct stack_env env;
	sut_time now;
	conn_id id;
	uint32_t iss;
	struct caught out[PEER_OUT];
	unsigned n, taken;
	int refuse; /* so many packets are refused */
	/* what the peer said in its SYN */
	bool ts, sack, wscale, ecn, v6;
	uint16_t mss;
	uint32_t wnd; /* of each segment, bytes */
	uint32_t tsval;
	uint32_t rcv; /* our next number as the peer has it: what it acknowledges by default */
	uint32_t snd; /* the peer's next */
	uint64_t rng;
};

static uint64_t peer_random(void *ctx)
{
	struct peer *p = ctx;

	return (uint64_t)frame_random(&p->rng) << 32 | frame_random(&p->rng);
}

static void peer_options(struct peer *p, const uint8_t *o, uint32_t n, struct caught *c)
{
	for (uint32_t i = 0; i < n;) {
		uint8_t kind = o[i], len = kind <= 1 ? 1 : o[i + 1];

		if (kind == 0)
			return;
		assert_true(len > 0 && i + len <= n);
		if (kind == 2)
			c->mss = load_be16(o + i + 2);
		if (kind == 8) {
			c->ts = true;
			c->tsval = load_be32(o + i + 2);
			c->tsecr = load_be32(o + i + 6);
		}
		if (kind == 5)
			for (c->sacks = 0; 2 + 8 * c->sacks < len; c->sacks++) {
				c->left[c->sacks] = load_be32(o + i + 2 + 8 * c->sacks) - PEER_ISN;
				c->right[c->sacks] = load_be32(o + i + 6 + 8 * c->sacks) - PEER_ISN;
			}
		i += len;
	}
	(void)p;
}

static int peer_emit(void *ctx, const struct stack_out *o)
{
	static uint8_t b[70000];
	struct peer *p = ctx;
	struct caught c = { 0 };
	uint32_t n = o->head_len, l4, hdr;
	const uint8_t *t;

	if (p->refuse > 0) {
		p->refuse--;
		return -11;
	}
	memcpy(b, o->head, n);
	for (uint32_t i = 0; i < o->n; i++) {
		memcpy(b + n, o->slice[i].bytes, o->slice[i].len);
		n += o->slice[i].len;
	}
	assert_int_equal(n, o->head_len + o->payload_len);
	l4 = b[0] >> 4 == 4 ? 20 : 40;
	t = b + l4;
	hdr = (uint32_t)(t[12] >> 4) * 4;
	c.ip_len = n;
	if (l4 == 20) {
		assert_int_equal(load_be16(b + 2), n);
		assert_int_equal(frame_sum(0, b, 20), 0xffff);
		c.df = b[6] & 0x40;
		c.ttl = b[8];
		c.tos = b[1];
	} else {
		assert_int_equal(load_be16(b + 4), n - 40);
		c.ttl = b[7];
		c.tos = (uint8_t)(load_be16(b) >> 4);
	}
	if (b[l4 == 20 ? 9 : 6] != 6) { /* an echo's answer: its caller looks at the counter */
		return 0;
	}
	c.csum = o->off.csum;
	if (c.csum == CSUM_PARTIAL) {
		uint32_t sum = (l4 == 20 ? frame_sum(0, b + 12, 8) : frame_sum(0, b + 8, 32)) + 6u +
			       (n - l4);

		assert_int_equal(o->off.csum_start, l4);
		assert_int_equal(o->off.csum_offset, 16);
		sum = (sum & 0xffff) + (sum >> 16);
		sum = (sum & 0xffff) + (sum >> 16);
		assert_int_equal(load_be16(t + 16), sum);
	} else {
		uint32_t sum = l4 == 20 ? frame_sum(0, b + 12, 8) : frame_sum(0, b + 8, 32);

		assert_int_equal(frame_sum(sum + 6 + n - l4, t, n - l4), 0xffff);
	}
	c.gso_type = o->off.gso_type;
	c.gso_size = o->off.gso_size;
	if (c.gso_type != GSO_NONE)
		assert_int_equal(o->off.hdr_len, l4 + hdr);
	c.flags = t[13];
	if (c.flags & TCP_SYN)
		p->iss = load_be32(t + 4);
	c.seq = load_be32(t + 4) - p->iss;
	c.ack = load_be32(t + 8) - PEER_ISN;
	c.window = load_be16(t + 14);
	c.urg = load_be16(t + 18);
	c.len = n - l4 - hdr;
	c.first = c.len ? t[hdr] : 0;
	peer_options(p, t + 20, hdr - 20, &c);
	assert_true(p->n < PEER_OUT);
	p->out[p->n++] = c;
	return 0;
}

static inline struct peer *peer_new(void)
{
	struct peer *p = calloc(1, sizeof *p);

	assert_non_null(p);
	stack_config_default(&p->cfg);
	p->cfg.mtu = 1500;
	p->cfg.max_conns = 8;
	p->cfg.max_listeners = 2;
	p->cfg.max_half_open = 4;
	p->cfg.cells = 4096;
	p->cfg.sndbuf = p->cfg.rcvbuf = 1 << 20;
	p->cfg.gso_max = 65000;
	p->cfg.ecn = p->cfg.fastopen = false;
	p->cfg.nets = 2;
	memcpy(p->cfg.net[0].ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x01", 16);
	p->cfg.net[0].prefix = 120;
	memcpy(p->cfg.net[1].ip, "\x20\x01\x0d\xb8\0\x01\0\0\0\0\0\0\0\0\0\x01", 16);
	p->cfg.net[1].prefix = 64;
	p->ts = p->sack = p->wscale = true;
	p->mss = 1460;
	p->wnd = PEER_WND;
	p->now = SUT_MS(1000000);
	return p;
}

static inline void peer_free(struct peer *p)
{
	assert_null(stack_check(p->s, p->now));
	free(p->block);
	free(p);
}

static inline void peer_start(struct peer *p)
{
	char err[96];
	size_t need = stack_need(&p->cfg, err);

	assert_true(need > 0);
	need = (need + 63) & ~(size_t)63;
	p->block = aligned_alloc(64, need);
	assert_non_null(p->block);
	memset(p->block, 0, need);
	p->env = (struct stack_env){ .random = peer_random, .emit = peer_emit, .ctx = p };
	p->s = stack_init(p->block, &p->cfg, &p->env, p->now);
}

static inline struct conn *peer_conn(struct peer *p)
{
	struct conn *c = conn_by_id(p->s, p->id);

	assert_non_null(c);
	return c;
}

/* A segment of the peer's; opt (n bytes, a multiple of 4) behind its timestamps; wnd in bytes. */
static inline void peer_says(struct peer *p, uint8_t flags, uint32_t seq, uint32_t ack,
			     const void *opt, uint32_t n, uint32_t len)
{
	struct frame f;
	uint8_t o[40] = { 0 };
	uint32_t on = 0;
	uint8_t *t;
	struct view v;

	memset(&f, 0, sizeof f);
	if (p->v6)
		frame_ip6(&f, 6, 6);
	else
		frame_ip4(&f, 6, 0);
	if (p->ts && !(flags & TCP_RST)) {
		memcpy(o, "\x01\x01\x08\x0a", 4);
		store_be32(o + 4, p->tsval);
		store_be32(o + 8, p->n ? p->out[p->n - 1].tsval : 0);
		on = 12;
	}
	if (n)
		memcpy(o + on, opt, n);
	t = frame_tcp(&f, flags, o, on + n);
	store_be32(t + 4, PEER_ISN + seq);
	store_be32(t + 8, flags & TCP_ACK ? p->iss + ack : 0);
	store_be16(t + 14,
		   (uint16_t)(flags & TCP_SYN || !p->wscale ? (p->wnd > 65535 ? 65535 : p->wnd)
							    : p->wnd >> 7));
	frame_payload(&f, len);
	frame_end(&f);
	assert_int_equal(view_parse_ip(&f.p, &v), R_NONE);
	stack_input(p->s, &f.p, &v, p->now);
}

static inline void peer_flush(struct peer *p)
{
	stack_flush(p->s, p->now);
	assert_null(stack_check(p->s, p->now));
}

/* Lets time pass up to at, timers firing when they are due. */
static inline void peer_until(struct peer *p, sut_time at)
{
	sut_time d;

	while ((d = stack_deadline(p->s)) <= at) {
		if (d > p->now)
			p->now = d;
		stack_expire(p->s, p->now);
		assert_null(stack_check(p->s, p->now));
	}
	p->now = at;
}

static inline void peer_passes(struct peer *p, unsigned ms)
{
	peer_until(p, p->now + SUT_MS(ms));
	p->tsval += ms;
}

/* The next packet that was caught. */
static inline const struct caught *peer_next(struct peer *p)
{
	assert_true(p->taken < p->n);
	return &p->out[p->taken++];
}

static inline void peer_quiet(const struct peer *p)
{
	if (p->taken != p->n)
		print_message("not expected: seq %u len %u flags %02x ack %u\n",
			      p->out[p->taken].seq, p->out[p->taken].len, p->out[p->taken].flags,
			      p->out[p->taken].ack);
	assert_int_equal(p->taken, p->n);
}

static inline const struct caught *peer_expect(struct peer *p, uint32_t seq, uint32_t len,
					       uint8_t flags)
{
	const struct caught *c = peer_next(p);

	if (c->seq != seq || c->len != len || c->flags != flags)
		print_message("want seq %u len %u flags %02x, got seq %u len %u flags %02x\n", seq,
			      len, flags, c->seq, c->len, c->flags);
	assert_int_equal(c->seq, seq);
	assert_int_equal(c->len, len);
	assert_int_equal(c->flags, flags);
	return c;
}

/* The connection, opened by us: 198.51.100.1:80 > 192.0.2.10:40000.  The SYN waits to be looked at. */
static inline void peer_connect(struct peer *p)
{
	struct stack_addr here = { .port = 80 }, there = { .port = 40000 };

	if (p->s == NULL)
		peer_start(p);
	if (p->v6)
		memcpy(there.ip, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x0a", 16);
	else
		memcpy(there.ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x0a", 16);
	if (p->v6)
		memcpy(here.ip, p->cfg.net[1].ip, 16);
	assert_int_equal(stack_connect(p->s, &here, &there, 7, p->now, &p->id), 0);
	peer_flush(p);
}

static inline void peer_synack(struct peer *p, uint32_t ack)
{
	uint8_t o[24] = { 2, 4 };
	uint32_t n = 4;

	store_be16(o + 2, p->mss);
	if (p->sack) {
		memcpy(o + n, "\x01\x01\x04\x02", 4);
		n += 4;
	}
	if (p->wscale) {
		memcpy(o + n, "\x01\x03\x03\x07", 4);
		n += 4;
	}
	peer_says(p, (uint8_t)(TCP_SYN | TCP_ACK | (p->ecn ? TCP_ECE : 0)), 0, ack, o, n, 0);
	p->snd = 1;
}

/* Opens it, with an RTT of `rtt` ms; nothing is left to be looked at. */
static inline void peer_open(struct peer *p, unsigned rtt)
{
	peer_connect(p);
	peer_next(p);
	peer_passes(p, rtt);
	peer_synack(p, 1);
	peer_flush(p);
	peer_expect(p, 1, 0, TCP_ACK);
	peer_says(p, TCP_ACK, 1, 1, NULL, 0,
		  0); /* a SYN-ACK's window is not scaled: now it is a whole one */
	peer_flush(p);
	peer_quiet(p);
}

static inline void peer_write(struct peer *p, uint32_t n)
{
	static uint8_t bytes[1 << 20];

	assert_int_equal(stack_write(p->s, p->id, bytes, n, p->now), (int)n);
	peer_flush(p);
}

/* An ACK with SACK blocks (pairs of left and right, ending with 0) that waits for the flush. */
static inline void peer_says_sack(struct peer *p, uint32_t ack, const uint32_t *sack)
{
	uint8_t o[28];
	uint32_t n = 0;

	if (sack != NULL && sack[0] != 0) {
		for (n = 0; sack[2 * n] != 0; n++) {
			store_be32(o + 4 + 8 * n, p->iss + sack[2 * n]);
			store_be32(o + 8 + 8 * n, p->iss + sack[2 * n + 1]);
		}
		o[0] = o[1] = 1;
		o[2] = 5;
		o[3] = (uint8_t)(2 + 8 * n);
		n = 4 + 8 * n;
	}
	peer_says(p, TCP_ACK, p->snd, ack, o, n, 0);
}

static inline void peer_acks(struct peer *p, uint32_t ack, const uint32_t *sack)
{
	peer_says_sack(p, ack, sack);
	peer_flush(p);
}

static inline void peer_ack(struct peer *p, uint32_t ack)
{
	peer_acks(p, ack, NULL);
}
#endif
