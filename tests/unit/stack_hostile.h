/* SPDX-License-Identifier: MIT */
#ifndef SUT_TEST_STACK_HOSTILE_H
#define SUT_TEST_STACK_HOSTILE_H
/*
 * stack_hostile - a stack under attack, and beside the attacker a second stack that behaves: all that is done to the first one must leave
 * the second one's transfer alone, which goes there and back, byte for byte.  Virtual time.
 *
 * The victim is stack_world.h's (198.51.100.1); the good one is 192.0.2.2.  What the victim says to others is caught by stack_world.h,
 * and forgotten when it is much.
 */
#include "stack_world.h"

#include <errno.h>

#define GOOD_HERE 0xc0000202u
#define GOOD_PORT 81u
#define HOSTILE_WAY 4096u
#define ONE_WAY SUT_MS(5)

struct way {
	sut_time at;
	uint8_t *bytes;
	uint32_t len;
	struct offload off;
	bool to_good;
};

struct hostile {
	struct world *w;
	struct stack *good;
	void *good_block;
	struct stack_config good_cfg;
	uint64_t good_rng;
	struct way way[HOSTILE_WAY];
	unsigned ways;
	uint64_t sent, sent_others; /* packets between the two; of the victim to others */
	conn_id listener, good_listener;
	/* the transfer */
	uint16_t port;
	conn_id g, v;
	uint64_t total, wrote, took, back;
	bool g_shut, v_shut, done, failed;
};

static inline uint8_t good_byte(uint64_t at)
{
	return (uint8_t)((at * 2654435761u >> 9) + at);
}

static inline void put_on_way(struct hostile *h, const struct stack_out *o, bool to_good)
{
	struct way *x = &h->way[h->ways];
	uint32_t n = o->head_len;

	assert_true(h->ways < HOSTILE_WAY);
	h->ways++;
	h->sent++;
	*x = (struct way){ .at = h->w->now + ONE_WAY,
			   .len = n + o->payload_len,
			   .off = o->off,
			   .to_good = to_good };
	x->bytes = malloc(x->len);
	assert_non_null(x->bytes);
	memcpy(x->bytes, o->head, n);
	for (uint32_t i = 0; i < o->n; i++) {
		memcpy(x->bytes + n, o->slice[i].bytes, o->slice[i].len);
		n += o->slice[i].len;
	}
}

/* world_random() and world_emit() have the world as their context: the hostile one is found behind it. */
static struct hostile *hostile_now;

static int victim_emit(void *ctx, const struct stack_out *o)
{
	struct world *w = ctx;

	if (o->head[0] >> 4 == 4 && load_be32(o->head + 16) == GOOD_HERE) {
		put_on_way(hostile_now, o, true);
		return 0;
	}
	hostile_now->sent_others++;
	if (w->n == WORLD_OUT)
		w->n = w->taken = 0;
	return world_emit(ctx, o);
}

static uint64_t good_random(void *ctx)
{
	struct hostile *h = ctx;

	return (uint64_t)frame_random(&h->good_rng) << 32 | frame_random(&h->good_rng);
}

static int good_emit(void *ctx, const struct stack_out *o)
{
	put_on_way(ctx, o, false);
	return 0;
}

static inline struct stack *stack_made(const struct stack_config *c, const struct stack_env *env,
				       sut_time now, void **ret_block)
{
	char err[96] = "";
	size_t need = stack_need(c, err);

	if (need == 0)
		fail_msg("%s", err);
	need = (need + 63) & ~(size_t)63;
	*ret_block = aligned_alloc(64, need);
	assert_non_null(*ret_block);
	memset(*ret_block, 0, need);
	return stack_init(*ret_block, c, env, now);
}

/* Configurations may be changed before hostile_start(). */
static inline struct hostile *hostile_new(void)
{
	struct hostile *h = calloc(1, sizeof *h);

	assert_non_null(h);
	h->w = world_new();
	h->total = 200000;
	h->port = GOOD_PORT;
	stack_config_default(&h->good_cfg);
	h->good_cfg.max_conns = 64;
	h->good_cfg.max_half_open = 4;
	h->good_cfg.cells = 2048;
	h->good_cfg.nets = 1;
	memcpy(h->good_cfg.net[0].ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x02", 16);
	h->good_cfg.net[0].prefix = 120;
	return h;
}

static inline void hostile_start(struct hostile *h, unsigned backlog)
{
	const struct stack_addr any = { .port = 80 }, good = { .port = GOOD_PORT };
	struct stack_env env = { .random = good_random, .emit = good_emit, .ctx = h };
	struct world *w = h->w;

	hostile_now = h;
	w->env = (struct stack_env){ .random = world_random, .emit = victim_emit, .ctx = w };
	memcpy(w->env.secret, "0123456789abcde", 16);
	w->s = stack_made(&w->cfg, &w->env, w->now, &w->block);
	h->good = stack_made(&h->good_cfg, &env, w->now, &h->good_block);
	assert_int_equal(stack_listen(w->s, &any, backlog, 1, &h->listener), 0);
	assert_int_equal(stack_listen(w->s, &good, 4, 1, &h->good_listener), 0);
}

static inline void hostile_free(struct hostile *h)
{
	const char *why = stack_check(h->good, h->w->now);

	assert_null(why);
	for (unsigned i = 0; i < h->ways; i++)
		free(h->way[i].bytes);
	free(h->good_block);
	world_free(h->w);
	free(h);
}

/* --- the good transfer: there, given back, and both ends closed */

static inline void good_begin(struct hostile *h)
{
	struct stack_addr to = { .port = h->port };

	memcpy(to.ip, h->w->cfg.net[0].ip, 16);
	h->wrote = h->took = h->back = 0;
	h->g_shut = h->v_shut = h->done = false;
	h->v = 0;
	assert_int_equal(stack_connect(h->good, NULL, &to, 0, h->w->now, &h->g), 0);
	stack_flush(h->good, h->w->now);
}

static inline void good_client(struct hostile *h)
{
	uint8_t b[4000];
	int n;

	if (h->g == 0)
		return;
	while (h->wrote < h->total) {
		uint64_t left = h->total - h->wrote;
		uint32_t m = left < sizeof b ? (uint32_t)left : sizeof b;

		for (uint32_t i = 0; i < m; i++)
			b[i] = good_byte(h->wrote + i);
		n = stack_write(h->good, h->g, b, m, h->w->now);
		if (n <= 0)
			break;
		h->wrote += (uint64_t)n;
	}
	if (h->wrote == h->total && !h->g_shut) {
		(void)stack_shutdown(h->good, h->g, h->w->now);
		h->g_shut = true;
	}
	while ((n = stack_read(h->good, h->g, b, sizeof b, h->w->now)) > 0) {
		for (int i = 0; i < n; i++)
			assert_int_equal(b[i], good_byte(h->back + (unsigned)i));
		h->back += (unsigned)n;
	}
	if (n == -EAGAIN)
		return;
	h->failed |= n < 0;
	h->done = true;
	(void)stack_close(h->good, h->g, h->w->now);
	h->g = 0;
}

/* The victim's application gives back what the good one sends. */
static inline void good_server(struct hostile *h)
{
	uint8_t b[4000];
	struct stack_addr peer;
	int n, m;

	if (h->v == 0 && h->port == GOOD_PORT)
		(void)stack_accept(h->w->s, h->good_listener, 0, &h->v, &peer);
	if (h->v == 0)
		return;
	while ((n = stack_peek(h->w->s, h->v, b, sizeof b)) > 0) {
		for (int i = 0; i < n; i++)
			assert_int_equal(b[i], good_byte(h->took + (unsigned)i));
		m = stack_write(h->w->s, h->v, b, (size_t)n, h->w->now);
		if (m <= 0)
			return;
		assert_int_equal(stack_consume(h->w->s, h->v, (size_t)m, h->w->now), 0);
		h->took += (unsigned)m;
	}
	if (n == -EAGAIN)
		return;
	(void)stack_close(h->w->s, h->v, h->w->now);
	h->v = 0;
}

/* --- time */

static inline void arrive(struct hostile *h, unsigned i)
{
	struct way x = h->way[i];
	struct packet k = { .head = x.bytes, .head_len = x.len, .off = x.off };
	struct view v;

	h->ways--;
	memmove(h->way + i, h->way + i + 1, (h->ways - i) * sizeof x);
	if (k.off.csum == CSUM_COMPLETE)
		k.off.csum = CSUM_UNKNOWN;
	assert_int_equal(view_parse_ip(&k, &v), R_NONE);
	(void)stack_input(x.to_good ? h->good : h->w->s, &k, &v, h->w->now);
	free(x.bytes);
}

/* Everybody does what there is to do at this moment. */
static inline void hostile_turn(struct hostile *h)
{
	struct conn_ready r;

	for (unsigned i = 0; i < h->ways;) {
		if (h->way[i].at <= h->w->now)
			arrive(h, i);
		else
			i++;
	}
	stack_expire(h->w->s, h->w->now);
	stack_expire(h->good, h->w->now);
	good_client(h);
	good_server(h);
	while (stack_next(h->w->s, &r) || stack_next(h->good, &r))
		;
	stack_flush(h->w->s, h->w->now);
	stack_flush(h->good, h->w->now);
}

static inline void hostile_sound(struct hostile *h)
{
	const char *why = stack_check(h->good, h->w->now);

	if (why != NULL)
		fail_msg("the good one: %s", why);
	world_sound(h->w);
}

static inline void hostile_passes(struct hostile *h, uint64_t ms)
{
	sut_time end = h->w->now + SUT_MS(ms);

	hostile_turn(h);
	for (;;) {
		sut_time at = stack_deadline(h->w->s), g = stack_deadline(h->good);

		at = g < at ? g : at;
		for (unsigned i = 0; i < h->ways; i++)
			at = h->way[i].at < at ? h->way[i].at : at;
		if (at > end)
			break;
		h->w->now = at > h->w->now ? at : h->w->now;
		hostile_turn(h);
	}
	h->w->now = end;
	hostile_turn(h);
	hostile_sound(h);
}

/* The good transfer ends well within so much time. */
static inline void good_ends(struct hostile *h, uint64_t ms)
{
	for (uint64_t i = 0; i < ms && !h->done; i += 100)
		hostile_passes(h, 100);
	if (!h->done || h->failed || h->back != h->total)
		fail_msg("the good transfer: %llu of %llu bytes came back, %s",
			 (unsigned long long)h->back, (unsigned long long)h->total,
			 h->failed ? "then an error"
			 : h->done ? "then the end"
				   : "then nothing");
}

/* --- the attacker's segments: as says, with bytes of his own */

static inline enum reason attack(struct hostile *h, const struct says *x, const uint8_t *bytes)
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
	if (bytes)
		frame_add(&f, bytes, x->len);
	else
		frame_payload(&f, x->len);
	frame_end(&f);
	f.p.off.csum = CSUM_UNKNOWN;
	assert_int_equal(view_parse_ip(&f.p, &v), R_NONE);
	return stack_input(h->w->s, &f.p, &v, h->w->now);
}

/* What the victim said last to somebody else than the good one. */
static inline const struct told *last_told(const struct hostile *h)
{
	assert_true(h->w->n > 0);
	return &h->w->out[h->w->n - 1];
}

/* Opens a connection from this port: what is to be said on it further; *ret_id is the victim's handle. */
static inline struct says attack_open(struct hostile *h, struct says x, conn_id *ret_id)
{
	struct stack_addr peer;
	const struct told *t;

	x.flags = TCP_SYN;
	x.seq = 999;
	x.ack = 0;
	attack(h, &x, NULL);
	stack_flush(h->w->s, h->w->now);
	t = last_told(h);
	assert_int_equal(t->flags & (TCP_SYN | TCP_ACK), TCP_SYN | TCP_ACK);
	x.flags = TCP_ACK;
	x.seq = 1000;
	x.ack = t->seq + 1;
	x.tsecr = t->tsval;
	x.opt_len = 0;
	attack(h, &x, NULL);
	stack_flush(h->w->s, h->w->now);
	assert_int_equal(stack_accept(h->w->s, h->listener, 0, ret_id, &peer), 0);
	return x;
}
#endif
