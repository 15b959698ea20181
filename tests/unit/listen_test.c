/* SPDX-License-Identifier: MIT */
#include "stack_world.h"

#include <errno.h>

#include "base/compiler.h"

#define SYN_OPTIONS "\x02\x04\x05\xb4\x04\x02\x01\x01\x01\x03\x03\x05" /* MSS 1460, SACK, scale 5 */
#define OPTIONS_LEN 12u

static struct says syn(uint16_t port)
{
	return (struct says){ .flags = TCP_SYN, .seq = 999, .port = port };
}

static struct says ack_of(const struct told *t, uint16_t port)
{
	return (struct says){ .flags = TCP_ACK, .seq = 1000, .ack = t->seq + 1, .port = port };
}

static struct stack_usage usage(const struct world *w)
{
	struct stack_usage u;

	stack_usage(w->s, &u);
	return u;
}

/* --- the handshake */

static void handshake(void **state)
{
	struct world *w = world_new();
	struct conn_ready r;
	struct stack_addr from;
	const struct told *t;
	conn_id l, c;

	(void)state;
	world_start(w);
	l = world_listen(w, 4);
	world_says(w, syn(5000));
	t = world_expect(w, TCP_SYN | TCP_ACK);
	assert_int_equal(t->ack, 1000);
	assert_int_equal(t->mss, 1460);
	assert_false(t->ts || t->sack_ok || t->scale); /* what was not offered */
	assert_int_equal(usage(w).half_open, 1);
	assert_int_equal(stack_accept(w->s, l, 9, &c, &from), -EAGAIN);
	assert_false(stack_next(w->s, &r));
	world_says(w, ack_of(t, 5000));
	world_quiet(w);
	assert_true(stack_next(w->s, &r));
	assert_int_equal(r.events, CONN_ACCEPTABLE);
	assert_true(r.id == l && r.user == 1);
	assert_int_equal(stack_accept(w->s, l, 9, &c, &from), 0);
	assert_int_equal(from.port, 5000);
	assert_int_equal(world_conn(w, c)->state, ST_ESTABLISHED);
	assert_int_equal(usage(w).half_open, 0);
	assert_true(stack_next(w->s, &r));
	assert_true(r.id == c && r.user == 9);
	assert_int_equal(world_count(w, STACK_OPENED_PASSIVE), 1);
	world_free(w);
}

/* 3.10.7.2, first and second; and what is no SYN. */
static void nothing_but_syns(void **state)
{
	struct world *w = world_new();
	const struct told *t;

	(void)state;
	world_start(w);
	world_listen(w, 4);
	world_says(w, (struct says){ .flags = TCP_RST, .seq = 1 });
	world_says(w, (struct says){ .flags = TCP_FIN, .seq = 1 });
	world_says(w, (struct says){ .flags = 0, .seq = 1 });
	world_says(w, (struct says){ .flags = TCP_SYN | TCP_RST, .seq = 1 });
	world_quiet(w);
	world_says(w, (struct says){ .flags = TCP_ACK, .seq = 1, .ack = 77 });
	t = world_expect(w, TCP_RST);
	assert_int_equal(t->seq, 77);
	world_says(w, (struct says){ .flags = TCP_SYN | TCP_ACK, .seq = 1, .ack = 78 });
	t = world_expect(w, TCP_RST);
	assert_int_equal(t->seq, 78);
	world_quiet(w);
	assert_int_equal(usage(w).conns, 0);
	world_free(w);
}

/* Data, and a FIN, with the handshake's last ACK. */
static void data_with_the_last_ack(void **state)
{
	struct world *w = world_new();
	const struct told *t;
	struct says x;
	uint8_t b[100];
	conn_id l, c;

	(void)state;
	world_start(w);
	l = world_listen(w, 4);
	world_says(w, syn(5000));
	t = world_expect(w, TCP_SYN | TCP_ACK);
	x = ack_of(t, 5000);
	x.flags |= TCP_FIN;
	x.len = 50;
	world_says(w, x);
	t = world_expect(w, TCP_ACK);
	assert_int_equal(t->ack, 1051);
	c = world_accept(w, l);
	assert_int_equal(world_conn(w, c)->state, ST_CLOSE_WAIT);
	assert_int_equal(stack_read(w->s, c, b, sizeof b, w->now), 50);
	assert_int_equal(stack_read(w->s, c, b, sizeof b, w->now), 0);
	world_free(w);
}

/* The SYN again: the SYN-ACK again; and by itself when nothing comes, until the half-open connection is given up. */
static void syn_again(void **state)
{
	struct world *w = world_new();
	uint32_t iss;

	(void)state;
	world_start(w);
	world_listen(w, 4);
	world_says(w, syn(5000));
	iss = world_expect(w, TCP_SYN | TCP_ACK)->seq;
	world_says(w, syn(5000));
	assert_int_equal(world_expect(w, TCP_SYN | TCP_ACK)->seq, iss);
	assert_int_equal(usage(w).conns, 1);
	world_passes(w, 1100);
	assert_int_equal(world_expect(w, TCP_SYN | TCP_ACK)->seq, iss);
	world_passes(w, 400000);
	assert_int_equal(usage(w).conns, 0);
	assert_int_equal(usage(w).half_open, 0);
	world_free(w);
}

/* Back to LISTEN: a RST ends a half-open connection, an unacceptable ACK does not. */
static void reset_while_half_open(void **state)
{
	struct world *w = world_new();
	const struct told *t;
	struct says x;

	(void)state;
	world_start(w);
	world_listen(w, 4);
	world_says(w, syn(5000));
	t = world_expect(w, TCP_SYN | TCP_ACK);
	x = ack_of(t, 5000);
	x.ack += 1;
	world_says(w, x);
	assert_int_equal(world_expect(w, TCP_RST)->seq, x.ack);
	assert_int_equal(usage(w).half_open, 1);
	world_says(w, (struct says){ .flags = TCP_RST, .seq = 1001, .port = 5000 }); /* not exact */
	assert_int_equal(usage(w).half_open, 1);
	world_says(w, (struct says){ .flags = TCP_RST, .seq = 1000, .port = 5000 });
	assert_int_equal(usage(w).half_open, 0);
	assert_int_equal(usage(w).conns, 0);
	world_free(w);
}

/* --- the queue */

/* The last ACK is put off while the queue is full, and the handshake ends when there is room. */
static void queue_full(void **state)
{
	struct world *w = world_new();
	struct says x[3];
	conn_id l;

	(void)state;
	world_start(w);
	l = world_listen(w, 2);
	for (uint16_t i = 0; i < 3; i++) {
		world_says(w, syn((uint16_t)(5000 + i)));
		x[i] = ack_of(world_expect(w, TCP_SYN | TCP_ACK), (uint16_t)(5000 + i));
		world_says(w, x[i]);
	}
	world_quiet(w);
	assert_int_equal(world_count(w, STACK_ACCEPT_FULL), 1);
	assert_int_equal(usage(w).half_open, 1);
	world_accept(w, l);
	world_says(w, x[2]);
	assert_int_equal(usage(w).half_open, 0);
	world_accept(w, l);
	world_accept(w, l);
	world_free(w);
}

/* Who ends while he waits leaves the queue; the others keep their order. */
static void reset_in_the_queue(void **state)
{
	struct world *w = world_new();
	struct stack_addr from;
	conn_id l, c;

	(void)state;
	world_start(w);
	l = world_listen(w, 4);
	for (uint16_t i = 0; i < 3; i++) {
		world_says(w, syn((uint16_t)(5000 + i)));
		world_says(w, ack_of(world_expect(w, TCP_SYN | TCP_ACK), (uint16_t)(5000 + i)));
	}
	world_says(w, (struct says){ .flags = TCP_RST, .seq = 1000, .port = 5001 });
	assert_int_equal(usage(w).conns, 2);
	assert_int_equal(stack_accept(w->s, l, 0, &c, &from), 0);
	assert_int_equal(from.port, 5000);
	assert_int_equal(stack_accept(w->s, l, 0, &c, &from), 0);
	assert_int_equal(from.port, 5002);
	assert_int_equal(stack_accept(w->s, l, 0, &c, &from), -EAGAIN);
	world_free(w);
}

/* A listener that is closed resets what has come through it and was not accepted; nothing else. */
static void listener_closed(void **state)
{
	struct world *w = world_new();
	struct says x;
	conn_id l, kept;

	(void)state;
	world_start(w);
	l = world_listen(w, 4);
	kept = world_open(w, l, (struct says){ .port = 5000 }).id;
	world_says(w, syn(5001));
	x = ack_of(world_expect(w, TCP_SYN | TCP_ACK), 5001);
	world_says(w, x);
	world_says(w, syn(5002));
	world_expect(w, TCP_SYN | TCP_ACK);
	assert_int_equal(stack_close(w->s, l, w->now), 0);
	world_flush(w);
	assert_true(world_next(w)->flags & TCP_RST);
	assert_true(world_next(w)->flags & TCP_RST);
	world_quiet(w);
	assert_int_equal(usage(w).conns, 1);
	assert_int_equal(world_conn(w, kept)->state, ST_ESTABLISHED);
	world_says(w, syn(5003));
	world_expect(w, TCP_RST | TCP_ACK);
	world_free(w);
}

/* --- SYN cookies */

/* Fills the half-open table. */
static void fill(struct world *w)
{
	for (uint16_t i = 0; i < w->cfg.max_half_open; i++) {
		world_says(w, syn((uint16_t)(100 + i)));
		world_expect(w, TCP_SYN | TCP_ACK);
	}
	assert_int_equal(usage(w).half_open, w->cfg.max_half_open);
}

static struct says with_options(struct says x)
{
	x.ts = true;
	x.tsval = 500;
	x.opt = SYN_OPTIONS;
	x.opt_len = OPTIONS_LEN;
	return x;
}

/* What the client offered comes back with its ACK: nothing was remembered. */
static void cookie_keeps_options(void **state)
{
	struct world *w = world_new();
	const struct told *t;
	struct conn *c;
	struct says x;
	uint8_t b[10];
	conn_id l, id;

	(void)state;
	w->cfg.ecn = true;
	world_start(w);
	l = world_listen(w, 8);
	fill(w);
	x = with_options(syn(5000));
	x.flags |= TCP_ECE | TCP_CWR;
	world_says(w, x);
	t = world_expect(w, TCP_SYN | TCP_ACK | TCP_ECE);
	assert_true(t->ts && t->sack_ok && t->scale);
	assert_int_equal(usage(w).conns, w->cfg.max_half_open);
	x = ack_of(t, 5000);
	x.ts = true;
	x.tsval = 501;
	x.tsecr = t->tsval;
	x.len = 5; /* data that comes with it is taken */
	x.wnd = 1000;
	world_passes(w, 30);
	w->taken = w->n;
	world_says(w, x);
	id = world_accept(w, l);
	c = world_conn(w, id);
	assert_int_equal(c->flags & (CF_TS | CF_SACK | CF_WSCALE | CF_ECN | CF_COOKIE),
			 CF_TS | CF_SACK | CF_WSCALE | CF_ECN | CF_COOKIE);
	assert_int_equal(c->snd_wscale, 5);
	assert_int_equal(c->snd_wnd, 1000 << 5);
	assert_int_equal(c->peer_mss, 1460);
	assert_int_equal(stack_read(w->s, id, b, 10, w->now), 5);
	/* Timestamps do not go back behind the cookie's. */
	assert_int_equal(stack_write(w->s, id, "x", 1, w->now), 1);
	world_flush(w);
	while (w->taken < w->n)
		assert_false(before(world_next(w)->tsval, x.tsecr));
	assert_int_equal(world_count(w, STACK_COOKIES_TAKEN), 1);
	world_free(w);
}

/* The lowest bits of a cookie's timestamp are taken, but it is never ahead of the clock that goes on behind it. */
static void cookie_clock(void **state)
{
	struct world *w = world_new();
	uint32_t off;

	(void)state;
	world_start(w);
	world_listen(w, 8);
	fill(w);
	for (unsigned i = 0; i < 70; i++) {
		const struct told *t;
		struct conn_quad q = { .lport = 80, .rport = 5000 };

		memcpy(q.laddr, w->cfg.net[0].ip, 16);
		memcpy(q.raddr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x0a", 16);
		off = isn_ts_offset(w->s, &q);
		w->now += SUT_MS(1);
		world_says(w, with_options(syn(5000)));
		t = world_expect(w, TCP_SYN | TCP_ACK);
		assert_int_equal(t->tsval & 63, 16 | 5);
		assert_in_range((uint32_t)(w->now / 1000000) + off - t->tsval, 0, 63);
	}
	world_free(w);
}

/* Without timestamps there is the MSS, and no more. */
static void cookie_without_timestamps(void **state)
{
	static const uint16_t mss[][2] = { { 1460, 1460 },  { 1459, 1440 }, { 536, 536 },
					   { 65535, 8960 }, { 1300, 1220 }, { 100, 216 } };
	struct world *w = world_new();
	conn_id l;

	(void)state;
	world_start(w);
	l = world_listen(w, 8);
	fill(w);
	for (uint16_t i = 0; i < ARRAY_LEN(mss); i++) {
		uint8_t o[12] = SYN_OPTIONS;
		struct says x = syn((uint16_t)(5000 + i));
		const struct told *t;
		struct conn *c;

		store_be16(o + 2, mss[i][0]);
		x.opt = o;
		x.opt_len = OPTIONS_LEN;
		world_says(w, x);
		t = world_expect(w, TCP_SYN | TCP_ACK);
		assert_false(t->ts || t->sack_ok || t->scale);
		world_says(w, ack_of(t, (uint16_t)(5000 + i)));
		c = world_conn(w, world_accept(w, l));
		assert_int_equal(c->peer_mss, mss[i][1]);
		assert_int_equal(c->flags & (CF_TS | CF_SACK | CF_WSCALE | CF_ECN), 0);
	}
	world_quiet(w);
	world_free(w);
}

/* A changed number, another end, another time: no cookie. */
static void cookie_forged(void **state)
{
	struct world *w = world_new();
	const struct told *t;
	struct says x, y;
	conn_id l, c;
	struct stack_addr from;

	(void)state;
	world_start(w);
	l = world_listen(w, 8);
	fill(w);
	world_says(w, syn(5000));
	t = world_expect(w, TCP_SYN | TCP_ACK);
	x = ack_of(t, 5000);
	for (unsigned bit = 0; bit < 32; bit++) {
		y = x;
		y.ack = ((x.ack - 1) ^ 1u << bit) + 1;
		world_says(w, y);
		world_quiet(w); /* what it belongs to may have overtaken the one with the cookie */
	}
	y = x;
	y.seq++;
	world_says(w, y);
	world_quiet(w);
	y = x;
	y.port = 5001;
	world_says(w, y);
	world_quiet(w);
	y = x;
	y.src = WORLD_THERE + 1;
	world_says(w, y);
	world_quiet(w);
	assert_int_equal(world_count(w, STACK_COOKIES_BAD), 35);
	assert_int_equal(usage(w).conns, w->cfg.max_half_open);
	world_says(w, x);
	assert_int_equal(stack_accept(w->s, l, 0, &c, &from), 0);
	world_free(w);
}

/* A connection that is over does not begin again with copies of its first segments. */
static void cookie_spent(void **state)
{
	struct world *w = world_new();
	struct stack_addr from;
	struct says x;
	conn_id l, c;

	(void)state;
	w->cfg.max_conns = 64;
	world_start(w);
	l = world_listen(w, 8);
	fill(w);
	for (uint16_t port = 5000; port < 5300; port++) {
		world_says(w, syn(port));
		x = ack_of(world_expect(w, TCP_SYN | TCP_ACK), port);
		x.len = 10;
		world_says(w, x);
		assert_int_equal(stack_abort(w->s, world_accept(w, l), w->now), 0);
		world_expect(w, TCP_RST | TCP_ACK);
		world_says(w, x);
		assert_int_equal(world_expect(w, TCP_RST)->seq, x.ack);
		assert_int_equal(stack_accept(w->s, l, 0, &c, &from), -EAGAIN);
	}
	world_free(w);
}

/* A cookie is good in its minute and the next; long after the last one was sent, none is believed, and none is counted as bad. */
static void cookie_old(void **state)
{
	struct world *w = world_new();
	struct says x;
	conn_id l, c;
	struct stack_addr from;

	(void)state;
	world_start(w);
	l = world_listen(w, 8);
	fill(w);
	world_says(w, syn(5000));
	x = ack_of(world_expect(w, TCP_SYN | TCP_ACK), 5000);
	world_passes(w, 121000);
	w->taken = w->n;
	world_says(w, x);
	world_quiet(w);
	assert_int_equal(world_count(w, STACK_COOKIES_BAD), 1);
	world_passes(w, 10000);
	w->taken = w->n;
	world_says(w, x);
	world_expect(w, TCP_RST);
	assert_int_equal(world_count(w, STACK_COOKIES_BAD), 1);
	assert_int_equal(stack_accept(w->s, l, 0, &c, &from), -EAGAIN);
	world_free(w);
}

/* A timestamp that no cookie had is not read for what was agreed. */
static void cookie_timestamp_forged(void **state)
{
	struct world *w = world_new();
	const struct told *t;
	struct says x;

	(void)state;
	world_start(w);
	world_listen(w, 8);
	fill(w);
	world_says(w, with_options(syn(5000)));
	t = world_expect(w, TCP_SYN | TCP_ACK);
	x = ack_of(t, 5000);
	x.ts = true;
	x.tsval = 501;
	x.tsecr = t->tsval + 100000;
	world_says(w, x);
	world_quiet(w);
	x.tsecr = t->tsval - 200000;
	world_says(w, x);
	world_quiet(w);
	assert_int_equal(world_count(w, STACK_COOKIES_BAD), 2);
	assert_int_equal(usage(w).half_open, usage(w).conns);
	world_free(w);
}

/* A flood: memory stands still, who is there goes on, who is honest gets in. */
static void flood(void **state)
{
	struct world *w = world_new();
	struct opened o;
	struct stack_usage u;
	conn_id l;

	(void)state;
	world_start(w);
	l = world_listen(w, 8);
	o = world_open(w, l, (struct says){ .port = 7 });
	for (unsigned i = 0; i < 20000; i++) {
		struct says x = syn((uint16_t)(1024 + i % 60000));

		x.src = 0xcb007100u + i % 251;
		x.seq = i * 77777;
		assert_int_equal(world_hears(w, &x), R_NONE);
		stack_flush(w->s, w->now);
		if (i % 50 == 0)
			w->now += SUT_MS(1);
		w->n = w->taken = 0;
	}
	u = usage(w);
	assert_int_equal(u.half_open, w->cfg.max_half_open);
	assert_int_equal(u.conns, w->cfg.max_half_open + 1);
	assert_int_equal(u.cells, 0);
	assert_true(world_count(w, STACK_COOKIES_SENT) > 19000);
	o.x.len = 100;
	world_says(w, o.x);
	assert_int_equal(world_conn(w, o.id)->recvq.unread, 100);
	world_says(w, syn(5000));
	world_says(w, ack_of(world_expect(w, TCP_SYN | TCP_ACK), 5000));
	world_accept(w, l);
	world_free(w);
}

/* --- Fast Open */

/* The SYN with this cookie (len 0: a request) and n bytes of data. */
static struct says tfo(uint16_t port, const uint8_t *cookie, uint8_t len, uint32_t n)
{
	static uint8_t o[20];
	struct says x = syn(port);

	memset(o, 1, sizeof o);
	o[0] = 34;
	o[1] = (uint8_t)(2 + len);
	if (len)
		memcpy(o + 2, cookie, len);
	x.opt = o;
	x.opt_len = (2u + len + 3) / 4 * 4;
	x.len = n;
	return x;
}

static void fastopen(void **state)
{
	struct world *w = world_new();
	const struct told *t;
	uint8_t cookie[16], b[300];
	struct says x;
	conn_id l, c;

	(void)state;
	world_start(w);
	l = world_listen(w, 4);
	world_says(w, tfo(5000, NULL, 0, 0)); /* asked for */
	t = world_expect(w, TCP_SYN | TCP_ACK);
	assert_int_equal(t->tfo_len, 8);
	memcpy(cookie, t->tfo, 8);
	world_says(w, tfo(5001, cookie, 8, 200));
	t = world_expect(w, TCP_SYN | TCP_ACK);
	assert_int_equal(t->tfo_len, 255);
	assert_int_equal(t->ack, 1200);
	c = world_accept(w, l); /* before the handshake is over */
	assert_int_equal(stack_read(w->s, c, b, sizeof b, w->now), 200);
	assert_int_equal(world_conn(w, c)->state, ST_SYN_RECEIVED);
	assert_int_equal(stack_write(w->s, c, "answer", 6, w->now), 6);
	world_flush(w);
	assert_int_equal(world_expect(w, TCP_ACK | TCP_PSH)->len, 6);
	x = ack_of(t, 5001);
	x.seq = 1200;
	x.ack += 6;
	world_says(w, x);
	assert_int_equal(world_conn(w, c)->state, ST_ESTABLISHED);
	assert_int_equal(usage(w).half_open, 1); /* 5000 */
	assert_int_equal(world_count(w, STACK_TFO_IN), 1);
	assert_int_equal(world_conn(w, c)->sendq.bytes, 0);
	world_free(w);
}

/* A wrong cookie, one of another address: the data is not taken, a new cookie comes. */
static void fastopen_wrong(void **state)
{
	struct world *w = world_new();
	const struct told *t;
	uint8_t cookie[16];
	struct says x;
	conn_id l, c;
	struct stack_addr from;

	(void)state;
	world_start(w);
	l = world_listen(w, 4);
	world_says(w, tfo(5000, NULL, 0, 0));
	memcpy(cookie, world_expect(w, TCP_SYN | TCP_ACK)->tfo, 8);
	x = tfo(5001, cookie, 8, 200);
	x.src = WORLD_THERE + 1;
	world_says(w, x);
	t = world_expect(w, TCP_SYN | TCP_ACK);
	assert_int_equal(t->ack, 1000);
	assert_int_equal(t->tfo_len, 8);
	assert_memory_not_equal(t->tfo, cookie, 8);
	cookie[7] ^= 1;
	world_says(w, tfo(5002, cookie, 8, 200));
	t = world_expect(w, TCP_SYN | TCP_ACK);
	assert_int_equal(t->ack, 1000);
	assert_int_equal(t->tfo_len, 8);
	world_says(w, tfo(5003, cookie, 4, 200));
	assert_int_equal(world_expect(w, TCP_SYN | TCP_ACK)->ack, 1000);
	assert_int_equal(stack_accept(w->s, l, 0, &c, &from), -EAGAIN);
	assert_int_equal(world_count(w, STACK_TFO_IN), 0);
	world_free(w);
}

/* RFC 7413, 5.1: those who have not answered yet are bounded; a reset of one that was accepted is told. */
static void fastopen_bounds(void **state)
{
	struct world *w = world_new();
	uint8_t cookie[16];
	struct conn_ready r;
	uint32_t events = 0;
	conn_id l, c;

	(void)state;
	world_start(w);
	l = world_listen(w, 2);
	world_says(w, tfo(5000, NULL, 0, 0));
	memcpy(cookie, world_expect(w, TCP_SYN | TCP_ACK)->tfo, 8);
	world_says(w, (struct says){ .flags = TCP_RST, .seq = 1000, .port = 5000 });
	for (uint16_t i = 1; i <= 3; i++) {
		world_says(w, tfo((uint16_t)(5000 + i), cookie, 8, 10));
		assert_int_equal(world_expect(w, TCP_SYN | TCP_ACK)->ack, i < 3 ? 1010 : 1000);
	}
	c = world_accept(w, l);
	world_says(w, (struct says){ .flags = TCP_RST, .seq = 1010, .port = 5001 });
	while (stack_next(w->s, &r))
		events |= r.id == c ? r.events : 0;
	assert_true(events & CONN_ERROR);
	assert_int_equal(stack_read(w->s, c, cookie, 1, w->now), -ECONNRESET);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshake),
		cmocka_unit_test(nothing_but_syns),
		cmocka_unit_test(data_with_the_last_ack),
		cmocka_unit_test(syn_again),
		cmocka_unit_test(reset_while_half_open),
		cmocka_unit_test(queue_full),
		cmocka_unit_test(reset_in_the_queue),
		cmocka_unit_test(listener_closed),
		cmocka_unit_test(cookie_keeps_options),
		cmocka_unit_test(cookie_clock),
		cmocka_unit_test(cookie_without_timestamps),
		cmocka_unit_test(cookie_forged),
		cmocka_unit_test(cookie_spent),
		cmocka_unit_test(cookie_old),
		cmocka_unit_test(cookie_timestamp_forged),
		cmocka_unit_test(flood),
		cmocka_unit_test(fastopen),
		cmocka_unit_test(fastopen_wrong),
		cmocka_unit_test(fastopen_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
