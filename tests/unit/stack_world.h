/* SPDX-License-Identifier: MIT */
#ifndef SUT_TEST_STACK_WORLD_H
#define SUT_TEST_STACK_WORLD_H
/*
 * stack_world - a stack on its own in virtual time, to which segments of any host are said, and whose packets are caught.
 *
 * The stack has 198.51.100.1/24 and 2001:db8:1::1/64; segments come from 192.0.2.10:40000 to its port 80 if nothing else is said.
 * Options and checksums are read and written by ways of this file's own.
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

#define WORLD_OUT 8192u
#define WORLD_HERE 0xc6336401u
#define WORLD_THERE 0xc000020au

/* A packet that went out. */
struct told {
	uint32_t dst; /* IPv4; of an IPv6 address the last word */
	uint16_t sport, dport, window, urg;
	uint32_t seq, ack, len;
	uint8_t flags;
	uint16_t mss; /* option; 0: none */
	bool ts, sack_ok, scale;
	uint8_t shift;
	uint32_t tsval, tsecr;
	unsigned sacks;
	uint32_t left[4], right[4];
	uint8_t tfo_len, tfo[16]; /* of the option's value; 255: no option */
};

/* A segment that comes in. */
struct says {
	uint8_t flags;
	uint32_t seq, ack, len;
	uint16_t wnd; /* as on the wire; 0 stands for 65535, CLOSED for 0 */
	uint16_t urg;
	uint16_t port; /* 0: 40000 */
	uint16_t to; /* 0: 80 */
	uint32_t src, dst; /* IPv4; 0: the usual */
	uint8_t tos;
	bool ts; /* with tsval and tsecr */
	uint32_t tsval, tsecr;
	const void *opt; /* others: a multiple of 4 bytes */
	uint32_t opt_len;
	uint8_t mapped; /* where in an IPv6 header an IPv4-mapped address stands: 8 (the source), 24; 0: nowhere */
	bool v6, bad_csum;
};

#define CLOSED_WINDOW 0xfffeu

struct world {
	void *block;
	struct stack *s;
	struct stack_config cfg;
	struct stack_env env;
	sut_time now;
	struct told out[WORLD_OUT];
	unsigned n, taken;
	uint64_t rng;
};

static uint64_t world_random(void *ctx)
{
	struct world *w = ctx;

	return (uint64_t)frame_random(&w->rng) << 32 | frame_random(&w->rng);
}

static void told_options(const uint8_t *o, uint32_t n, struct told *t)
{
	t->tfo_len = 255;
	for (uint32_t i = 0; i < n && o[i] != 0;) {
		uint32_t len = o[i] == 1 ? 1 : o[i + 1];

		assert_true(len > 0 && i + len <= n);
		switch (o[i]) {
		case 2:
			t->mss = load_be16(o + i + 2);
			break;
		case 3:
			t->scale = true;
			t->shift = o[i + 2];
			break;
		case 4:
			t->sack_ok = true;
			break;
		case 5:
			for (; 2 + 8 * t->sacks < len; t->sacks++) {
				t->left[t->sacks] = load_be32(o + i + 2 + 8 * t->sacks);
				t->right[t->sacks] = load_be32(o + i + 6 + 8 * t->sacks);
			}
			break;
		case 8:
			t->ts = true;
			t->tsval = load_be32(o + i + 2);
			t->tsecr = load_be32(o + i + 6);
			break;
		case 34:
			t->tfo_len = (uint8_t)(len - 2);
			memcpy(t->tfo, o + i + 2, len - 2);
			break;
		default:
			break;
		}
		i += len;
	}
}

static int world_emit(void *ctx, const struct stack_out *o)
{
	struct world *w = ctx;
	struct told *t = &w->out[w->n];
	const uint8_t *h = o->head, *tcp;
	bool v4 = h[0] >> 4 == 4;

	assert_true(w->n < WORLD_OUT);
	tcp = h + (v4 ? 20 : 40);
	if (h[v4 ? 9 : 6] != 6)
		return 0;
	*t = (struct told){ .dst = load_be32(v4 ? h + 16 : h + 36),
			    .sport = load_be16(tcp),
			    .dport = load_be16(tcp + 2),
			    .seq = load_be32(tcp + 4),
			    .ack = load_be32(tcp + 8),
			    .flags = tcp[13],
			    .window = load_be16(tcp + 14),
			    .urg = load_be16(tcp + 18),
			    .len = o->payload_len };
	told_options(tcp + 20, (uint32_t)(tcp[12] >> 4) * 4 - 20, t);
	w->n++;
	return 0;
}

static inline struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	stack_config_default(&w->cfg);
	w->cfg.max_conns = 16;
	w->cfg.max_listeners = 4;
	w->cfg.max_half_open = 4;
	w->cfg.cells = 2048;
	w->cfg.nets = 2;
	memcpy(w->cfg.net[0].ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x01", 16);
	w->cfg.net[0].prefix = 120;
	memcpy(w->cfg.net[1].ip, "\x20\x01\x0d\xb8\0\x01\0\0\0\0\0\0\0\0\0\x01", 16);
	w->cfg.net[1].prefix = 64;
	w->now = SUT_MS(5000000);
	return w;
}

static inline void world_start(struct world *w)
{
	char err[96];
	size_t need = stack_need(&w->cfg, err);

	assert_true(need > 0);
	need = (need + 63) & ~(size_t)63;
	w->block = aligned_alloc(64, need);
	assert_non_null(w->block);
	memset(w->block, 0, need);
	w->env = (struct stack_env){ .random = world_random, .emit = world_emit, .ctx = w };
	memcpy(w->env.secret, "0123456789abcde", 16);
	w->s = stack_init(w->block, &w->cfg, &w->env, w->now);
}

static inline void world_sound(const struct world *w)
{
	const char *why = stack_check(w->s, w->now);

	if (why != NULL)
		fail_msg("%s", why);
}

static inline void world_free(struct world *w)
{
	world_sound(w);
	free(w->block);
	free(w);
}

static const uint8_t says_mapped[16] = { [10] = 0xff, 0xff, 0xc6, 0x33, 0x64 };

static inline void says_ip(struct frame *f, const struct says *x)
{
	if (x->v6) {
		frame_ip6(f, 6, 6);
		f->buf[1] = (uint8_t)(x->tos << 4);
		if (x->mapped) {
			memcpy(f->buf + x->mapped, says_mapped, 16);
			f->buf[x->mapped + 15] = x->mapped == 8 ? 2 : 1;
		}
		return;
	}
	frame_ip4(f, 6, 0);
	f->buf[1] = x->tos;
	if (x->src)
		store_be32(f->buf + 12, x->src);
	if (x->dst)
		store_be32(f->buf + 16, x->dst);
}

/* Says it without a flush behind it. */
static inline enum reason world_hears(struct world *w, const struct says *x)
{
	struct frame f = { 0 };
	uint8_t o[40] = { 0 }, *t;
	uint32_t n = 0;
	struct view v;

	says_ip(&f, x);
	if (x->ts) {
		memcpy(o, "\x01\x01\x08\x0a", 4);
		store_be32(o + 4, x->tsval);
		store_be32(o + 8, x->tsecr);
		n = 12;
	}
	if (x->opt_len)
		memcpy(o + n, x->opt, x->opt_len);
	t = frame_tcp(&f, x->flags, o, n + x->opt_len);
	if (x->port)
		store_be16(t, x->port);
	if (x->to)
		store_be16(t + 2, x->to);
	store_be32(t + 4, x->seq);
	store_be32(t + 8, x->ack);
	store_be16(t + 14, x->wnd == CLOSED_WINDOW ? 0 : x->wnd ? x->wnd : 65535);
	store_be16(t + 18, x->urg);
	frame_payload(&f, x->len);
	frame_end(&f);
	if (x->bad_csum)
		t[4] ^= 1;
	f.p.off.csum = CSUM_UNKNOWN;
	assert_int_equal(view_parse_ip(&f.p, &v), R_NONE);
	return stack_input(w->s, &f.p, &v, w->now);
}

static inline void world_flush(struct world *w)
{
	stack_flush(w->s, w->now);
	world_sound(w);
}

static inline enum reason world_says(struct world *w, struct says x)
{
	enum reason r = world_hears(w, &x);

	world_flush(w);
	return r;
}

static inline void world_passes(struct world *w, uint64_t ms)
{
	sut_time at = w->now + SUT_MS(ms), d;

	while ((d = stack_deadline(w->s)) <= at) {
		if (d > w->now)
			w->now = d;
		stack_expire(w->s, w->now);
	}
	w->now = at;
	stack_expire(w->s, w->now);
	world_sound(w);
}

static inline const struct told *world_next(struct world *w)
{
	assert_true(w->taken < w->n);
	return &w->out[w->taken++];
}

static inline void world_quiet(const struct world *w)
{
	for (unsigned i = w->taken; i < w->n; i++)
		print_message("not expected: %02x seq %u ack %u len %u\n", w->out[i].flags,
			      w->out[i].seq, w->out[i].ack, w->out[i].len);
	assert_int_equal(w->n, w->taken);
}

static inline const struct told *world_expect(struct world *w, uint8_t flags)
{
	const struct told *t = world_next(w);

	if (t->flags != flags)
		print_message("want flags %02x, got %02x\n", flags, t->flags);
	assert_int_equal(t->flags, flags);
	return t;
}

static inline uint64_t world_count(const struct world *w, enum stack_counter c)
{
	return stack_count(w->s, c);
}

static inline conn_id world_listen(struct world *w, unsigned backlog)
{
	const struct stack_addr any = { .port = 80 };
	conn_id l = 0;

	assert_int_equal(stack_listen(w->s, &any, backlog, 1, &l), 0);
	return l;
}

static inline conn_id world_accept(struct world *w, conn_id l)
{
	struct stack_addr peer;
	conn_id c = 0;

	assert_int_equal(stack_accept(w->s, l, 2, &c, &peer), 0);
	return c;
}

/* A connection of 192.0.2.10:port, accepted, whose numbers are x.seq and x.ack; timestamps and options as x has them. */
struct opened {
	conn_id id;
	struct says x; /* an ACK, to be filled in further */
	uint32_t iss;
};

static inline struct opened world_open(struct world *w, conn_id l, struct says x)
{
	struct opened o = { .x = x };
	const struct told *t;

	x.flags = TCP_SYN;
	x.seq = 999;
	x.ack = 0;
	world_says(w, x);
	t = world_expect(w, TCP_SYN | TCP_ACK);
	assert_int_equal(t->ack, 1000);
	o.iss = t->seq;
	o.x.flags = TCP_ACK;
	o.x.seq = 1000;
	o.x.ack = t->seq + 1;
	o.x.tsecr = t->tsval;
	o.x.opt_len = 0;
	world_says(w, o.x);
	world_quiet(w);
	o.id = world_accept(w, l);
	return o;
}

static inline struct conn *world_conn(struct world *w, conn_id id)
{
	struct conn *c = conn_by_id(w->s, id);

	assert_non_null(c);
	return c;
}
#endif
