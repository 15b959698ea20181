/* SPDX-License-Identifier: MIT */
/*
 * Both roles of handoff between two TCPs of our own, in virtual time, over a network that loses: whatever is lost, each client has each byte of
 * its answer once and in order, and nothing is left behind.
 *
 *     client (stack) ── switch ── handoff-front
 *                         └────── handoff-back, inline ── server (stack)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/env.h"
#include "core/flow_row.h"
#include "core/outbox.h"
#include "core/record.h"
#include "role/handoff/back.h"
#include "role/handoff/front.h"
#include "stack/stack.h"

#define WAYS 8192u
#define CONNS 48u
#define SEEDS 8u
#define DELAY SUT_MS(1)

enum place { AT_CLIENT, AT_SERVER, AT_FRONT, AT_BACK };

/* Something on its way: a frame or a message. */
struct parcel {
	sut_time at;
	enum place to;
	unsigned port; /* of a role */
	uint32_t len;
	struct offload off;
	uint8_t *bytes; /* behind PACKET_HEADROOM */
};

struct world {
	sut_time now;
	uint64_t rng;
	bool deaf; /* the front end hears no states */
	uint32_t lose; /* one in so many frames and messages; 0: none */
	bool agent;
	struct parcel way[WAYS];
	unsigned ways;
	struct stack *client, *server;
	void *front, *back;
	struct counters counters[2];
	struct role_env env; /* of the agent, which keeps a pointer to it */
	struct outbox out;
	conn_id listener;
	/* clients */
	struct {
		conn_id id;
		uint32_t want, got, request, written;
		bool over, failed;
	} conn[CONNS];
	/* what the server has read of each of its connections */
	struct {
		conn_id id;
		char head[64];
		uint32_t read, body, answer, written;
		bool answering;
	} served[4 * CONNS];
};

static struct world w;

static uint32_t rnd(uint32_t n)
{
	w.rng = w.rng * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(w.rng >> 33) % n;
}

static uint64_t random64(void *ctx)
{
	(void)ctx;
	return (uint64_t)rnd(UINT32_MAX) << 32 | rnd(UINT32_MAX);
}

/* --- the network */

static void post(enum place to, unsigned port, const uint8_t *bytes, uint32_t len,
		 const struct offload *off, sut_time delay)
{
	struct parcel *p = &w.way[w.ways];

	assert_true(w.ways < WAYS);
	*p = (struct parcel){ w.now + delay, to, port, len, { 0 }, malloc(len + PACKET_HEADROOM) };
	assert_non_null(p->bytes);
	if (off != NULL)
		p->off = *off;
	memcpy(p->bytes + PACKET_HEADROOM, bytes, len);
	w.ways++;
}

static bool lost(void)
{
	return w.lose != 0 && rnd(w.lose) == 0;
}

/* The switch: link addresses end with 1 (front end), 2 (back end), 10 (client). */
static void switched(const uint8_t *bytes, uint32_t len, const struct offload *off)
{
	sut_time delay = DELAY + (w.lose != 0 ? SUT_MS(rnd(4)) / 4 : 0);

	if (lost())
		return;
	if (bytes[5] == 1)
		post(AT_FRONT, FRONT_CLIENT, bytes, len, off, delay);
	else if (bytes[5] == 2)
		post(AT_BACK, BACK_FRONT, bytes, len, off, delay);
	else
		post(AT_CLIENT, 0, bytes, len, off, delay);
}

static uint32_t frame_of(const struct stack_out *o, uint8_t to, uint8_t from, uint8_t *ret_frame)
{
	uint32_t n = 14;

	memset(ret_frame, 0, 12);
	ret_frame[0] = ret_frame[6] = 2;
	ret_frame[5] = to;
	ret_frame[11] = from;
	store_be16(ret_frame + 12, 0x0800);
	memcpy(ret_frame + n, o->head, o->head_len);
	n += o->head_len;
	for (uint32_t i = 0; i < o->n; i++) {
		memcpy(ret_frame + n, o->slice[i].bytes, o->slice[i].len);
		n += o->slice[i].len;
	}
	return n;
}

static int client_emit(void *ctx, const struct stack_out *o)
{
	uint8_t frame[4096];

	(void)ctx;
	switched(frame, frame_of(o, 1, 10, frame), &(struct offload){ .csum = CSUM_COMPLETE });
	return 0;
}

/* The server's host sends to the front end's own address, and to clients directly. */
static int server_emit(void *ctx, const struct stack_out *o)
{
	uint8_t frame[4096];
	bool own = load_be32(o->head + 16) == 0xcb007101;

	(void)ctx;
	post(AT_BACK, BACK_HOST, frame, frame_of(o, own ? 1 : 10, 2, frame),
	     &(struct offload){ .csum = CSUM_COMPLETE }, 0);
	return 0;
}

/* What a role sent. */
static void flush(enum place from)
{
	for (unsigned i = 0; i < w.out.n; i++) {
		const struct packet *p = w.out.pkt[i];
		unsigned port = w.out.port[i];
		char text[1024];
		const char *blank;

		if (from == AT_BACK && port == BACK_HOST) {
			post(AT_SERVER, 0, p->head, p->head_len, &p->off, 0);
		} else if (from == AT_FRONT ? port <= FRONT_BACKEND : port == BACK_FRONT) {
			switched(p->head, p->head_len, &p->off);
		} else if (!lost() && !(w.deaf && from == AT_BACK)) {
			blank = memchr(p->head, ' ', p->head_len);
			assert_non_null(blank);
			snprintf(text, sizeof text, "%s%.*s", from == AT_FRONT ? "fe" : "web1",
				 (int)(p->head_len - (size_t)(blank - (const char *)p->head)),
				 blank);
			post(from == AT_FRONT ? AT_BACK : AT_FRONT,
			     from == AT_FRONT ? (unsigned)BACK_FRONTS : (unsigned)FRONT_AGENTS,
			     (const uint8_t *)text, (uint32_t)strlen(text), NULL, DELAY);
		}
	}
	outbox_clear(&w.out);
}

/* --- the server */

static uint8_t answer_byte(uint32_t at)
{
	return (uint8_t)(at * 2654435761u >> 21);
}

/* "POST /ANSWER HTTP/1.1\r\nHost: h\r\nContent-Length: BODY\r\n\r\n" and the body. */
static void serve_one(unsigned i)
{
	char buf[2048];
	int n;

	while ((n = stack_read(w.server, w.served[i].id, buf, sizeof buf, w.now)) > 0) {
		uint32_t room = (uint32_t)sizeof w.served[i].head - 1;

		for (int k = 0; k < n && w.served[i].read + (uint32_t)k < room; k++)
			w.served[i].head[w.served[i].read + (uint32_t)k] = buf[k];
		w.served[i].read += (uint32_t)n;
	}
	if (!w.served[i].answering && strstr(w.served[i].head, "\r\n\r\n") != NULL) {
		uint32_t head =
			(uint32_t)(strstr(w.served[i].head, "\r\n\r\n") + 4 - w.served[i].head);

		assert_int_equal(sscanf(w.served[i].head,
					"POST /%u HTTP/1.1\r\nHost: h\r\nContent-Length: %u",
					&w.served[i].answer, &w.served[i].body),
				 2);
		w.served[i].answering = w.served[i].read >= head + w.served[i].body;
	}
	while (w.served[i].answering && w.served[i].written < w.served[i].answer) {
		uint32_t k = 0;

		for (; k < sizeof buf && w.served[i].written + k < w.served[i].answer; k++)
			buf[k] = (char)answer_byte(w.served[i].written + k);
		n = stack_write(w.server, w.served[i].id, buf, k, w.now);
		if (n <= 0)
			return;
		w.served[i].written += (uint32_t)n;
	}
	if (w.served[i].answering) {
		(void)stack_close(w.server, w.served[i].id, w.now);
		w.served[i].id = 0;
	} else if (n == 0 || (n < 0 && n != -11)) {
		(void)stack_abort(w.server, w.served[i].id, w.now);
		w.served[i].id = 0;
	}
}

static void serve(void)
{
	struct conn_ready r;

	while (stack_next(w.server, &r)) {
		struct stack_addr peer;
		conn_id c;

		while (r.id == w.listener &&
		       stack_accept(w.server, w.listener, 0, &c, &peer) == 0) {
			unsigned i = 0;

			while (w.served[i].id != 0)
				i++;
			assert_true(i < 4 * CONNS);
			memset(&w.served[i], 0, sizeof w.served[i]);
			w.served[i].id = c;
		}
		for (unsigned i = 0; i < 4 * CONNS; i++)
			if (w.served[i].id != 0)
				serve_one(i);
	}
	stack_flush(w.server, w.now);
}

/* --- the clients */

static void client_one(unsigned i)
{
	uint8_t buf[2048];
	int n;

	while (w.conn[i].written < w.conn[i].request) {
		char head[64];
		uint32_t body = w.conn[i].request, k = w.conn[i].written;

		int len = snprintf(head, sizeof head,
				   "POST /%u HTTP/1.1\r\nHost: h\r\nContent-Length: %u\r\n\r\n",
				   w.conn[i].want, body);
		memset(buf, 'x', sizeof buf);
		if (k == 0)
			memcpy(buf, head, (size_t)len);
		n = stack_write(w.client, w.conn[i].id, buf,
				k == 0 ? (size_t)len
				       : (body - k < sizeof buf ? body - k : sizeof buf),
				w.now);
		if (n <= 0)
			break;
		w.conn[i].written = k == 0 ? 1 : k + (uint32_t)n;
		if (k == 0) { /* the head counts as nothing: the body follows it */
			w.conn[i].written = 0;
			w.conn[i].request = body;
			n = (int)body;
			while (n > 0) {
				int m = stack_write(
					w.client, w.conn[i].id, memset(buf, 'x', sizeof buf),
					(size_t)n < sizeof buf ? (size_t)n : sizeof buf, w.now);
				assert_true(m > 0);
				n -= m;
			}
			w.conn[i].written = body;
		}
	}
	while ((n = stack_read(w.client, w.conn[i].id, buf, sizeof buf, w.now)) > 0)
		for (int k = 0; k < n; k++)
			assert_int_equal(buf[k], answer_byte(w.conn[i].got++));
	if (n == -11)
		return;
	w.conn[i].over = true;
	w.conn[i].failed = n != 0 || w.conn[i].got != w.conn[i].want;
	(void)stack_close(w.client, w.conn[i].id, w.now);
}

static void clients(void)
{
	struct conn_ready r;

	while (stack_next(w.client, &r))
		if (!w.conn[r.user].over && w.conn[r.user].id == r.id)
			client_one((unsigned)r.user);
	stack_flush(w.client, w.now);
}

static void connect_one(unsigned i)
{
	struct stack_addr vip = { .port = 80 };

	memcpy(vip.ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x01", 16);
	w.conn[i].want = rnd(3) == 0 ? rnd(60000) : rnd(3000);
	w.conn[i].request = 1 + (rnd(3) == 0 ? rnd(9000) : rnd(300));
	assert_int_equal(stack_connect(w.client, NULL, &vip, i, w.now, &w.conn[i].id), 0);
	stack_flush(w.client, w.now);
}

/* --- the world */

static void call(enum place at, unsigned port, struct packet *p)
{
	const struct role_ops *ops = at == AT_FRONT ? &front_role : &back_role;
	void *role = at == AT_FRONT ? w.front : w.back;

	ops->input(role, &(struct burst){ &p, 1, (uint16_t)port, w.now }, &w.out);
	flush(at);
}

static void hears(struct stack *s, const struct packet *p)
{
	struct view v;

	assert_int_equal(view_parse(p, &v), R_NONE);
	if (v.ip != 0)
		(void)stack_input(s, p, &v, w.now);
	stack_flush(s, w.now);
}

static void arrive(const struct parcel *x)
{
	struct packet p = { .head = x->bytes + PACKET_HEADROOM, .head_len = x->len, .off = x->off };

	if (x->to == AT_CLIENT) {
		hears(w.client, &p);
		clients();
	} else if (x->to == AT_SERVER) {
		hears(w.server, &p);
		serve();
	} else {
		call(x->to, x->port, &p);
	}
	free(x->bytes);
}

static sut_time earliest(sut_time a, sut_time b)
{
	return a < b ? a : b;
}

static void timers(void)
{
	if (stack_deadline(w.client) <= w.now) {
		stack_expire(w.client, w.now);
		clients();
	}
	if (stack_deadline(w.server) <= w.now) {
		stack_expire(w.server, w.now);
		serve();
	}
	if (front_role.deadline(w.front) <= w.now) {
		front_role.expire(w.front, w.now, &w.out);
		flush(AT_FRONT);
	}
	if (back_role.deadline(w.back) <= w.now) {
		back_role.expire(w.back, w.now, &w.out);
		flush(AT_BACK);
	}
}

static void run_until(sut_time end)
{
	for (;;) {
		unsigned next = w.ways;
		sut_time at = end;

		for (unsigned i = 0; i < w.ways; i++)
			if (w.way[i].at < at || (w.way[i].at == at && next == w.ways)) {
				at = w.way[i].at;
				next = i;
			}
		at = earliest(at, stack_deadline(w.client));
		at = earliest(at, stack_deadline(w.server));
		at = earliest(at, front_role.deadline(w.front));
		at = earliest(at, back_role.deadline(w.back));
		if (at >= end)
			break;
		if (at > w.now)
			w.now = at;
		if (next < w.ways && w.way[next].at <= w.now) {
			struct parcel x = w.way[next];

			memmove(&w.way[next], &w.way[next + 1],
				(w.ways - next - 1) * sizeof w.way[0]);
			w.ways--;
			arrive(&x);
		}
		timers();
	}
	w.now = end;
	if (front_check(w.front) != NULL)
		fail_msg("%s", front_check(w.front));
}

static void *block(size_t n)
{
	void *b;

	n = (n + 63) & ~(size_t)63;
	assert_true(n > 0);
	b = aligned_alloc(64, n);
	assert_non_null(b);
	return memset(b, 0, n);
}

static struct stack *make_stack(const char *net1, const char *net2,
				int (*emit)(void *, const struct stack_out *))
{
	struct stack_config c;
	struct stack_env env = { .random = random64, .emit = emit };
	char err[96];

	stack_config_default(&c);
	c.nets = net2 != NULL ? 2 : 1;
	memcpy(c.net[0].ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
	memcpy(c.net[0].ip + 12, net1, 4);
	c.net[0].prefix = 128;
	if (net2 != NULL) {
		c.net[1] = c.net[0];
		memcpy(c.net[1].ip + 12, net2, 4);
	}
	c.ecn = c.fastopen = false;
	memcpy(env.secret, net1, 4);
	return stack_init(block(stack_need(&c, err)), &c, &env, 0);
}

static void journal(void *ctx, const struct record *r);

static void make_front(bool header, uint8_t rungs)
{
	static const char *const names[] = { "web1" };
	static struct front_config c;
	static struct role_env env;
	char err[128];

	c = (struct front_config){ .max_conns = 256,
				   .head_max = 16384,
				   .mtu = 1500,
				   .port_lo = 20000,
				   .port_hi = 29999,
				   .head_timeout = SUT_MS(60000),
				   .idle_timeout = SUT_MS(3600000),
				   .linger = SUT_MS(60000),
				   .confirm_timeout = SUT_MS(1000),
				   .header = header,
				   .origins = 1,
				   .backends = 1 };
	env = (struct role_env){ .random = random64, .counters = &w.counters[0] };

	memcpy(c.origin[0].ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x01", 16);
	c.origin[0].port = 80;
	memcpy(c.own_ip4, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xcb\x00\x71\x01", 16);
	memcpy(c.backend[0].name, "web1", 5);
	memcpy(c.backend[0].at[0].ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xcb\x00\x71\x0b", 16);
	c.backend[0].at[0].port = 80;
	c.backend[0].rungs = rungs;
	c.backend[0].has_agent = w.agent;
	memcpy(c.key[0], "0123456789abcdef", 16);
	route_backends(&c.routes, names, 1);
	assert_int_equal(route_rule_read(&c.routes, "default web1", names, 1, err), 0);
	env.journal = journal;
	env.ports = 1u << FRONT_CLIENT | 1u << FRONT_AGENTS | 1u << FRONT_WORLD;
	w.front = front_role.init(block(front_role.need(&c)), &c, &env);
}

static void make_back(void)
{
	static struct back_config c;
	w.env = (struct role_env){ .random = random64, .counters = &w.counters[1] };

	back_defaults(&c);
	memcpy(c.origin[0].ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x01", 16);
	memcpy(c.origin[0].host_ip, c.origin[0].ip, 16);
	store_be16((uint8_t *)&c.origin[0].port, 80);
	c.origin[0].host_port = c.origin[0].port;
	/* Without announcements: what overtakes its SYN must not get a reset. */
	c.origin[0].flags = WAY_ORIGIN_GUARD;
	c.origins = 1;
	c.host = (struct hand_msg){ .kind = HAND_HOST,
				    .kernel = 6 << 16 | 18,
				    .boot = 1,
				    .rcvwnd = 64240,
				    .wscale = 7,
				    .options = WAY_OPT_TS | WAY_OPT_SACK | WAY_OPT_WSCALE,
				    .shift = 1 };
	memcpy(c.key[0], "0123456789abcdef", 16);
	c.keys = 1;
	w.env.ports = 1u << BACK_FRONT | 1u << BACK_HOST | 1u << BACK_FRONTS;
	w.back = back_role.init(block(back_role.need(&c)), &c, &w.env);
}

static void start(uint64_t seed, uint32_t lose, bool agent, bool header, uint8_t rungs)
{
	static const char mac[] = "backend web1 mac 02:00:00:00:00:02 via 02:00:00:00:00:01";
	struct stack_addr any = { .port = 80 };

	memset(&w, 0, sizeof w);
	w.rng = seed;
	w.agent = agent;
	w.client = make_stack("\xc0\x00\x02\x0a", NULL, client_emit);
	w.server = make_stack("\xc6\x33\x64\x01", "\xcb\x00\x71\x0b", server_emit);
	assert_int_equal(stack_listen(w.server, &any, 256, 0, &w.listener), 0);
	make_front(header, rungs);
	make_back();
	post(AT_FRONT, FRONT_WORLD, (const uint8_t *)mac, sizeof mac - 1, NULL, 0);
	run_until(SUT_MS(3000)); /* probes */
	w.lose = lose;
}

static unsigned left(const struct role_ops *ops, const void *role)
{
	struct flow_row row;
	uint32_t cursor = 0;
	unsigned n = 0;

	while (ops->list(role, &cursor, w.now, &row))
		n++;
	return n;
}

static void stop(void)
{
	for (unsigned i = 0; i < w.ways; i++)
		free(w.way[i].bytes);
	free(w.client);
	free(w.server);
	free(w.front);
	free(w.back);
}

/* Until all are over; how many had another end than they should. */
static unsigned play_on(void)
{
	unsigned failed = 0;

	for (unsigned k = 0; k < 600; k++) {
		bool all = true;

		for (unsigned i = 0; i < CONNS; i++)
			all &= w.conn[i].over;
		if (all)
			break;
		run_until(w.now + SUT_MS(500));
	}
	for (unsigned i = 0; i < CONNS; i++)
		failed += !w.conn[i].over || w.conn[i].failed;
	w.lose = 0;
	run_until(w.now + SUT_MS(400000));
	return failed;
}

static unsigned play(void)
{
	for (unsigned i = 0; i < CONNS; i++) {
		connect_one(i);
		run_until(w.now + SUT_MS(rnd(20)));
	}
	return play_on();
}

static void one(uint64_t seed, uint32_t lose, bool agent, bool header, uint8_t rungs,
		enum event handed)
{
	unsigned failed;

	start(seed, lose, agent, header, rungs);
	failed = play();
	if (failed != 0 || left(&front_role, w.front) != 0)
		print_message("seed %u lose %u rungs %u: %u failed, %u left\n", (unsigned)seed,
			      (unsigned)lose, rungs, failed, left(&front_role, w.front));
	assert_int_equal(failed, 0);
	assert_int_equal(left(&front_role, w.front), 0);
	assert_int_equal(left(&back_role, w.back), 0);
	assert_true(w.counters[0].event[handed] > 0);
	if (lose == 0)
		assert_int_equal(w.counters[0].event[handed], CONNS);
	stop();
}

/* More is to be sent again at once than an outbox holds: it waits, and nothing is lost. */
static void crowd(void **state)
{
	uint64_t made;

	(void)state;
	start(1, 0, true, false, 1 << RUNG_SHIFT);
	for (unsigned i = 0; i < CONNS; i++) {
		connect_one(i);
		w.conn[i].request = 12000;
	}
	run_until(w.now + SUT_MS(5));
	w.deaf = true; /* ready was heard */
	made = w.counters[0].event[EV_MADE];
	run_until(w.now + SUT_MS(2000));
	assert_true(w.counters[0].event[EV_REPLAYED_AGAIN] >= 5 * CONNS);
	assert_true(w.counters[0].event[EV_MADE] - made > 2 * OUTBOX_MADE);
	assert_int_equal(w.counters[0].dropped[R_OUTBOX_FULL], 0);
	w.deaf = false;
	assert_int_equal(play_on(), 0);
	assert_int_equal(w.counters[0].event[EV_HANDED_SHIFT], CONNS);
	assert_int_equal(left(&front_role, w.front), 0);
	stop();
}

/* --- the front end is started anew */

#define RECORDS 512u

static struct record records[RECORDS];
static unsigned recorded;

static void journal(void *ctx, const struct record *r)
{
	(void)ctx;
	if (recorded < RECORDS) /* the other tests look at none */
		records[recorded++] = *r;
}

static bool all_there(void)
{
	struct flow_row row;
	uint32_t cursor = 0;
	unsigned n = 0;

	while (front_role.list(w.front, &cursor, w.now, &row))
		n += strcmp(row.state, "THERE") == 0;
	return n == 8;
}

/* What its journal holds is all that is left of it; its clients notice nothing. */
static void start_anew(uint8_t rungs)
{
	static const char mac[] = "backend web1 mac 02:00:00:00:00:02 via 02:00:00:00:00:01";
	void *old;

	recorded = 0;
	start(1, 0, rungs != 1 << RUNG_SPLICE, false, rungs);
	for (unsigned i = 0; i < 8; i++) {
		connect_one(i);
		w.conn[i].want = 400000;
	}
	while (!all_there())
		run_until(w.now + SUT_MS(1));
	old = w.front;
	assert_int_equal(recorded, 8);
	make_front(false, rungs);
	for (unsigned i = 0; i < recorded; i++)
		assert_int_equal(front_role.restore(w.front, &records[i], w.now), 0);
	assert_int_equal(left(&front_role, w.front), 8);
	free(old);
	post(AT_FRONT, FRONT_WORLD, (const uint8_t *)mac, sizeof mac - 1, NULL, 0);
	run_until(w.now + SUT_MS(10000));
	for (unsigned i = 0; i < 8; i++)
		assert_true(w.conn[i].over && !w.conn[i].failed);
	run_until(w.now + SUT_MS(400000));
	assert_int_equal(left(&front_role, w.front), 0);
	assert_int_equal(left(&back_role, w.back), 0);
	/* Nor anything of what was told since. */
	assert_int_equal(recorded, 16);
	free(w.front);
	make_front(false, rungs);
	for (unsigned i = 0; i < recorded; i++)
		assert_int_equal(front_role.restore(w.front, &records[i], w.now), 0);
	assert_int_equal(left(&front_role, w.front), 0);
	stop();
}

static void restart_shift(void **state)
{
	(void)state;
	start_anew(1 << RUNG_SHIFT);
}

static void restart_splice(void **state)
{
	(void)state;
	start_anew(1 << RUNG_SPLICE);
}

static void splice(void **state)
{
	(void)state;
	one(1, 0, false, false, 1 << RUNG_SPLICE, EV_HANDED_SPLICE);
	for (uint64_t seed = 2; seed < SEEDS; seed++)
		one(seed, seed % 2 ? 30 : 10, false, false, 1 << RUNG_SPLICE, EV_HANDED_SPLICE);
}

static void shift(void **state)
{
	(void)state;
	one(1, 0, true, false, 1 << RUNG_SHIFT, EV_HANDED_SHIFT);
	for (uint64_t seed = 2; seed < SEEDS; seed++)
		one(seed, seed % 2 ? 30 : 10, true, false, 1 << RUNG_SHIFT | 1 << RUNG_SPLICE,
		    EV_HANDED_SHIFT);
}

static void shift_in_band(void **state)
{
	(void)state;
	one(1, 0, true, true, 1 << RUNG_SHIFT, EV_HANDED_SHIFT);
	for (uint64_t seed = 2; seed < SEEDS; seed++)
		one(seed, seed % 2 ? 30 : 10, true, true, 1 << RUNG_SHIFT | 1 << RUNG_SPLICE,
		    EV_HANDED_SHIFT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splice),	 cmocka_unit_test(shift),
		cmocka_unit_test(shift_in_band), cmocka_unit_test(crowd),
		cmocka_unit_test(restart_shift), cmocka_unit_test(restart_splice),
	};

	return cmocka_run_group_tests_name("handoff", tests, NULL, NULL);
}
