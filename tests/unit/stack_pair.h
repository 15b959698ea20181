/* SPDX-License-Identifier: MIT */
#ifndef SUT_TEST_STACK_PAIR_H
#define SUT_TEST_STACK_PAIR_H
/*
 * stack_pair - two stacks joined by a link in memory, in virtual time; after every step both must be sound (stack_check).
 *
 * Side A is 192.0.2.1 and 2001:db8::1, side B is 192.0.2.2, 2001:db8::2 and 198.51.100.2.  The link takes `delay`, loses one of
 * `lose` packets at random (0: none), and holds one of `hold` back so that others overtake it (0: none).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "frame.h"
#include "stack/stack.h"

#define PAIR_WAY 8192u

enum { A, B };

struct parcel {
	sut_time at;
	uint32_t len;
	int to;
	uint8_t *bytes;
	struct offload off;
};

struct pair;

struct pair_end {
	struct pair *pair;
	struct stack *s;
	int side;
};

struct pair {
	struct pair_end end[2];
	struct stack_config cfg[2]; /* before pair_start() */
	sut_time now, delay;
	uint32_t lose, hold, sent, lost;
	bool cut; /* nothing arrives any more */
	uint64_t rng;
	struct parcel way[PAIR_WAY]; /* unsorted */
	unsigned ways;
};

static inline struct stack_addr pair_addr(const char *ip, uint16_t port)
{
	struct stack_addr a = { .port = port };
	unsigned b[4] = { 0 };

	if (ip[0] == 'x') { /* "x1": 2001:db8::1 */
		store_be32(a.ip, 0x20010db8);
		a.ip[15] = (uint8_t)atoi(ip + 1);
	} else if (ip[0] != '*') {
		assert(sscanf(ip, "%u.%u.%u.%u", &b[0], &b[1], &b[2], &b[3]) == 4);
		a.ip[10] = a.ip[11] = 0xff;
		for (unsigned i = 0; i < 4; i++)
			a.ip[12 + i] = (uint8_t)b[i];
	}
	return a;
}

static inline uint64_t pair_random(void *ctx)
{
	struct pair *p = ((struct pair_end *)ctx)->pair;

	return (uint64_t)frame_random(&p->rng) << 32 | frame_random(&p->rng);
}

static inline int pair_emit(void *ctx, const struct stack_out *o)
{
	struct pair_end *e = ctx;
	struct pair *p = e->pair;
	struct parcel *w = &p->way[p->ways];
	uint32_t at = o->head_len;

	p->sent++;
	if (p->cut || (p->lose && frame_random(&p->rng) % p->lose == 0)) {
		p->lost++;
		return 0;
	}
	assert(p->ways < PAIR_WAY);
	w->at = p->now + p->delay;
	if (p->hold && frame_random(&p->rng) % p->hold == 0)
		w->at += p->delay;
	w->len = o->head_len + o->payload_len;
	w->to = !e->side;
	w->off = o->off;
	w->bytes = malloc(w->len);
	assert(w->bytes);
	memcpy(w->bytes, o->head, o->head_len);
	for (uint32_t i = 0; i < o->n; i++) {
		memcpy(w->bytes + at, o->slice[i].bytes, o->slice[i].len);
		at += o->slice[i].len;
	}
	assert(at == w->len);
	p->ways++;
	return 0;
}

static inline void pair_net(struct stack_config *c, const char *ip, unsigned prefix)
{
	memcpy(c->net[c->nets].ip, pair_addr(ip, 0).ip, 16);
	c->net[c->nets++].prefix = (uint8_t)prefix;
}

/* Configurations at their defaults, small; change them before pair_start(). */
static inline void pair_init(struct pair *p)
{
	memset(p, 0, sizeof *p);
	p->now = SUT_MS(1000);
	p->delay = SUT_MS(5);
	p->rng = 77;
	for (int i = 0; i < 2; i++) {
		stack_config_default(&p->cfg[i]);
		p->cfg[i].max_conns = 64;
		p->cfg[i].max_listeners = 4;
		p->cfg[i].max_half_open = 16;
		p->cfg[i].cells = 1024;
	}
	pair_net(&p->cfg[A], "192.0.2.1", 120);
	pair_net(&p->cfg[A], "x1", 64);
	pair_net(&p->cfg[B], "192.0.2.2", 120);
	pair_net(&p->cfg[B], "x2", 64);
	pair_net(&p->cfg[B], "198.51.100.2", 120);
}

static inline void pair_start(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		struct stack_env env = { .random = pair_random,
					 .emit = pair_emit,
					 .ctx = &p->end[i] };
		char why[96];
		size_t n = stack_need(&p->cfg[i], why);
		void *block;

		assert_true(n > 0);
		block = aligned_alloc(64, (n + 63) / 64 * 64);
		assert_non_null(block);
		memset(block, 0, n);
		env.secret[0] = (uint8_t)(i + 1);
		p->end[i] = (struct pair_end){ .pair = p, .side = i };
		p->end[i].s = stack_init(block, &p->cfg[i], &env, p->now);
	}
}

static inline void pair_check(const struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		const char *e = stack_check(p->end[i].s, p->now);

		if (e != NULL)
			fail_msg("side %c at %.6f s: %s", "AB"[i], (double)p -> now / 1e9, e);
	}
}

/* The packet that arrives first (of those that went out first); PAIR_WAY: none. */
static inline unsigned pair_first(const struct pair *p)
{
	unsigned first = PAIR_WAY;

	for (unsigned i = 0; i < p->ways; i++) {
		if (first == PAIR_WAY || p->way[i].at < p->way[first].at)
			first = i;
	}
	return first;
}

static inline void pair_arrive(struct pair *p, unsigned i)
{
	struct parcel w = p->way[i];
	struct packet k = { .head = w.bytes, .head_len = w.len, .off = w.off };
	struct view v;

	p->ways--;
	memmove(p->way + i, p->way + i + 1, (p->ways - i) * sizeof p->way[0]);
	assert_int_equal(view_parse_ip(&k, &v), R_NONE);
	(void)stack_input(p->end[w.to].s, &k, &v, p->now);
	free(w.bytes);
}

static inline void pair_flush(struct pair *p)
{
	pair_check(p);
	for (int i = 0; i < 2; i++)
		stack_expire(p->end[i].s, p->now);
	pair_check(p);
}

/* Goes on to what happens next, but not beyond `until`: false: that is reached. */
static inline bool pair_step(struct pair *p, sut_time until)
{
	sut_time at = until;
	unsigned i;

	pair_flush(p);
	for (int k = 0; k < 2; k++) {
		sut_time d = stack_deadline(p->end[k].s);

		at = d < at ? d : at;
	}
	i = pair_first(p);
	if (i != PAIR_WAY && p->way[i].at < at)
		at = p->way[i].at;
	p->now = at > p->now ? at : p->now;
	while ((i = pair_first(p)) != PAIR_WAY && p->way[i].at <= p->now)
		pair_arrive(p, i);
	return p->now < until;
}

static inline void pair_run(struct pair *p, sut_time ns)
{
	sut_time until = p->now + ns;

	while (pair_step(p, until))
		;
	pair_flush(p);
}

/* All connections are let go of: they end in time, and nothing is left. */
static inline void pair_stop(struct pair *p)
{
	for (unsigned i = 0; i < p->ways; i++)
		free(p->way[i].bytes);
	for (int i = 0; i < 2; i++)
		free(p->end[i].s);
}

/* What a connection was told since the last time: the union of its events. Others' are thrown away. */
static inline uint32_t pair_events(struct pair *p, int side, conn_id id)
{
	struct conn_ready r;
	uint32_t events = 0;

	while (stack_next(p->end[side].s, &r))
		events |= r.id == id ? r.events : 0;
	return events;
}

/* A connection from A's to B's port 80, open on both sides. */
static inline void pair_open(struct pair *p, conn_id *ret_l, conn_id *ret_a, conn_id *ret_b)
{
	struct stack_addr any = pair_addr("*", 80), to = pair_addr("192.0.2.2", 80), peer;

	assert_int_equal(stack_listen(p->end[B].s, &any, 8, 7, ret_l), 0);
	assert_int_equal(stack_connect(p->end[A].s, NULL, &to, 8, p->now, ret_a), 0);
	pair_run(p, 4 * p->delay + SUT_MS(1));
	assert_int_equal(stack_accept(p->end[B].s, *ret_l, 9, ret_b, &peer), 0);
}
#endif
