/* SPDX-License-Identifier: MIT */
/*
 * Two stacks on a link that loses, doubles and reorders, in virtual time: what is written on one side is read on the other, byte for
 * byte, and both ends are gone afterwards.  A seed tells all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>

#include "base/compiler.h"
#include "frame.h"
#include "stack/parts.h"

#define QUEUE 4096u
#define ONE_WAY SUT_MS(10)
#define ROOM 65600u

struct flying {
	sut_time at;
	uint8_t *bytes;
	uint32_t len;
	struct offload off;
};

struct pair;

struct end {
	struct pair *pair;
	struct stack *s;
	void *block;
	struct stack_config cfg;
	struct flying in[QUEUE]; /* on its way to this end */
	unsigned n;
	conn_id id, listener;
	uint64_t wrote, read; /* bytes */
	bool closed, eof, error;
	uint64_t sent; /* packets */
};

struct pair {
	struct end end[2];
	sut_time now;
	uint64_t rng;
	unsigned loss, twice, late; /* of 1000 packets */
	uint64_t total; /* bytes each side writes */
	unsigned slow; /* read at most so many bytes at a time; 0: all */
};

static uint64_t draw(void *ctx)
{
	struct end *e = ctx;

	return (uint64_t)frame_random(&e->pair->rng) << 32 | frame_random(&e->pair->rng);
}

static uint32_t dice(struct pair *p, uint32_t n)
{
	return frame_random(&p->rng) % n;
}

static void fly(struct end *to, const struct stack_out *o, sut_time at)
{
	struct flying *f = &to->in[to->n];
	uint32_t n = o->head_len;

	if (to->n == QUEUE)
		return;
	to->n++;
	*f = (struct flying){ .at = at, .len = n + o->payload_len, .off = o->off };
	f->bytes = malloc(f->len);
	assert_non_null(f->bytes);
	memcpy(f->bytes, o->head, n);
	for (uint32_t i = 0; i < o->n; i++) {
		memcpy(f->bytes + n, o->slice[i].bytes, o->slice[i].len);
		n += o->slice[i].len;
	}
	assert_int_equal(n, f->len);
}

static int emit(void *ctx, const struct stack_out *o)
{
	struct end *e = ctx;
	struct pair *p = e->pair;
	struct end *to = &p->end[e == &p->end[0]];

	e->sent++;
	if (dice(p, 1000) < p->loss)
		return 0;
	fly(to, o, p->now + ONE_WAY + (dice(p, 1000) < p->late ? SUT_MS(dice(p, 30)) : 0));
	if (dice(p, 1000) < p->twice)
		fly(to, o, p->now + ONE_WAY + SUT_MS(dice(p, 5)));
	return 0;
}

/* The byte at this place of what end i writes. */
static uint8_t pattern(unsigned i, uint64_t at)
{
	return (uint8_t)((at * 2654435761u >> 7) + i * 37 + at);
}

static void end_start(struct pair *p, unsigned i)
{
	struct end *e = &p->end[i];
	struct stack_env env = { .random = draw, .emit = emit, .ctx = e };
	char err[96];
	size_t need;

	e->pair = p;
	e->cfg.nets = 1;
	memcpy(e->cfg.net[0].ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01", 16);
	e->cfg.net[0].ip[15] = (uint8_t)(1 + i);
	e->cfg.net[0].prefix = 120;
	need = stack_need(&e->cfg, err);
	assert_true(need > 0);
	need = (need + 63) & ~(size_t)63;
	e->block = aligned_alloc(64, need);
	assert_non_null(e->block);
	memset(e->block, 0, need);
	env.secret[0] = (uint8_t)i;
	e->s = stack_init(e->block, &e->cfg, &env, p->now);
}

static struct pair *pair_new(uint64_t seed)
{
	struct pair *p = calloc(1, sizeof *p);

	assert_non_null(p);
	p->rng = seed;
	p->now = SUT_MS(1000);
	p->total = 200000;
	for (unsigned i = 0; i < 2; i++) {
		stack_config_default(&p->end[i].cfg);
		p->end[i].cfg.max_conns = 4;
		p->end[i].cfg.max_half_open = 2;
		p->end[i].cfg.cells = 1024;
	}
	return p;
}

static void pair_free(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned k = 0; k < p->end[i].n; k++)
			free(p->end[i].in[k].bytes);
		free(p->end[i].block);
	}
	free(p);
}

static void sound(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		const char *why = stack_check(p->end[i].s, p->now);

		if (why != NULL)
			fail_msg("end %u: %s", i, why);
	}
}

/* --- the application */

static void do_write(struct pair *p, struct end *e)
{
	uint8_t b[5000];
	int n;

	while (e->wrote < p->total) {
		uint32_t m = 1 + dice(p, sizeof b);

		if (m > p->total - e->wrote)
			m = (uint32_t)(p->total - e->wrote);
		for (uint32_t i = 0; i < m; i++)
			b[i] = pattern(e == &p->end[1], e->wrote + i);
		n = stack_write(e->s, e->id, b, m, p->now);
		if (n == -EAGAIN)
			return;
		assert_true(n > 0);
		e->wrote += (uint64_t)n;
	}
	if (!e->closed) {
		assert_int_equal(stack_shutdown(e->s, e->id, p->now), 0);
		e->closed = true;
	}
}

static void do_read(struct pair *p, struct end *e)
{
	uint8_t b[8000];
	int n;

	for (;;) {
		n = stack_read(e->s, e->id, b, p->slow ? p->slow : sizeof b, p->now);
		if (n == -EAGAIN)
			return;
		if (n == 0) {
			e->eof = true;
			return;
		}
		if (n < 0)
			fail_msg("end %u: error %d after %llu bytes", e == &p->end[1], n,
				 (unsigned long long)e->read);
		for (int i = 0; i < n; i++)
			assert_int_equal(b[i], pattern(e == &p->end[0], e->read + (unsigned)i));
		e->read += (unsigned)n;
		if (p->slow)
			return;
	}
}

static void serve(struct pair *p, struct end *e)
{
	struct conn_ready r;
	struct stack_addr from;

	while (stack_next(e->s, &r)) {
		if (e->listener != 0 && r.id == e->listener) {
			if (e->id == 0)
				assert_int_equal(stack_accept(e->s, e->listener, 0, &e->id, &from),
						 0);
			continue;
		}
		e->error |= (r.events & CONN_ERROR) != 0;
	}
	if (e->id == 0)
		return;
	if (!e->eof)
		do_read(p, e);
	do_write(p, e);
}

/* --- the world */

static void deliver(struct pair *p, struct end *e)
{
	for (unsigned i = 0; i < e->n;) {
		struct flying f = e->in[i];
		static uint8_t room[PACKET_HEADROOM + ROOM];
		struct packet k = { .head = room + PACKET_HEADROOM,
				    .head_len = f.len,
				    .off = f.off };
		struct view v;

		if (f.at > p->now) {
			i++;
			continue;
		}
		memmove(&e->in[i], &e->in[i + 1], (--e->n - i) * sizeof f);
		memcpy(k.head, f.bytes, f.len);
		free(f.bytes);
		if (k.off.csum == CSUM_COMPLETE)
			k.off.csum = CSUM_UNKNOWN;
		assert_int_equal(view_parse_ip(&k, &v), R_NONE);
		(void)stack_input(e->s, &k, &v, p->now);
	}
	stack_flush(e->s, p->now);
}

static sut_time next_event(const struct pair *p)
{
	sut_time at = SUT_NEVER;

	for (unsigned i = 0; i < 2; i++) {
		const struct end *e = &p->end[i];
		sut_time d = stack_deadline(e->s);

		at = d < at ? d : at;
		for (unsigned k = 0; k < e->n; k++)
			at = e->in[k].at < at ? e->in[k].at : at;
	}
	return at;
}

static bool done(const struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		if (!p->end[i].eof || p->end[i].read != p->total || !p->end[i].closed)
			return false;
	}
	return true;
}

/* One moment; false: nothing will ever happen again. */
static bool turn(struct pair *p)
{
	sut_time at = next_event(p);

	if (p->slow && !done(p) && at > p->now + SUT_MS(5))
		at = p->now + SUT_MS(5); /* who reads a little looks again */
	if (at == SUT_NEVER)
		return false;
	if (at > p->now)
		p->now = at;
	for (unsigned i = 0; i < 2; i++) {
		struct end *e = &p->end[i];

		stack_expire(e->s, p->now);
		deliver(p, e);
		serve(p, e);
		stack_flush(e->s, p->now);
	}
	sound(p);
	return true;
}

static void start(struct pair *p)
{
	struct stack_addr any = { .port = 80 }, to = { .port = 80 };

	end_start(p, 0);
	end_start(p, 1);
	memcpy(to.ip, p->end[1].cfg.net[0].ip, 16);
	assert_int_equal(stack_listen(p->end[1].s, &any, 4, 0, &p->end[1].listener), 0);
	assert_int_equal(stack_connect(p->end[0].s, NULL, &to, 0, p->now, &p->end[0].id), 0);
	stack_flush(p->end[0].s, p->now);
}

/* All is written, read and closed; then both stacks are empty once TIME-WAIT is over. */
static void run(struct pair *p, sut_time limit)
{
	struct stack_usage u;

	start(p);
	limit += p->now;
	while (!done(p)) {
		if (!turn(p) || p->now > limit)
			fail_msg("stuck at %llu ms: read %llu and %llu",
				 (unsigned long long)(p->now / 1000000),
				 (unsigned long long)p->end[0].read,
				 (unsigned long long)p->end[1].read);
	}
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(stack_close(p->end[i].s, p->end[i].id, p->now), 0);
	p->end[0].id = p->end[1].id = 0;
	p->loss = 0;
	limit = p->now + SUT_MS(400000);
	while (p->now < limit && turn(p))
		;
	for (unsigned i = 0; i < 2; i++) {
		stack_usage(p->end[i].s, &u);
		assert_int_equal(u.conns, 0);
		assert_int_equal(u.cells, 0);
		assert_int_equal(u.records, 0);
		assert_int_equal(u.ofo_bytes, 0);
		assert_int_equal(u.half_open, 0);
		assert_int_equal(u.time_wait, 0);
	}
}

static void clean_link(void **state)
{
	struct pair *p = pair_new(1);

	(void)state;
	run(p, SUT_MS(10000));
	assert_int_equal(stack_count(p->end[0].s, STACK_RETRANS_SEGS), 0);
	assert_int_equal(stack_count(p->end[1].s, STACK_RETRANS_SEGS), 0);
	pair_free(p);
}

static void lossy_links(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 40; seed++) {
		struct pair *p = pair_new(seed);

		p->loss = (seed % 8) * 20;
		p->twice = (seed % 3) * 20;
		p->late = (seed % 5) * 30;
		p->end[0].cfg.no_sack = seed % 4 == 1;
		p->end[1].cfg.no_timestamps = seed % 4 == 2;
		p->end[0].cfg.no_wscale = seed % 7 == 3;
		p->end[0].cfg.cc = seed % 2 ? STACK_CUBIC : STACK_NEWRENO;
		run(p, SUT_MS(900000));
		pair_free(p);
	}
}

/* Little memory, small windows, slow readers. */
static void narrow(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 20; seed++) {
		struct pair *p = pair_new(100 + seed);

		p->total = 40000;
		p->loss = (seed % 4) * 30;
		p->late = (seed % 3) * 30;
		p->slow = 1 + dice(p, 3000);
		p->end[0].cfg.cells = 32 + dice(p, 32);
		p->end[1].cfg.rcvbuf = 2048 + dice(p, 5000);
		p->end[1].cfg.sndbuf = 2048 + dice(p, 5000);
		run(p, SUT_MS(7200000));
		pair_free(p);
	}
}

static void super_packets(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 10; seed++) {
		struct pair *p = pair_new(200 + seed);

		p->total = 1000000;
		p->loss = (seed % 3) * 10;
		for (unsigned i = 0; i < 2; i++) {
			p->end[i].cfg.offload = STACK_OFFLOAD_CSUM | STACK_OFFLOAD_TSO;
			p->end[i].cfg.mtu = seed % 2 ? 1500 : 9000;
		}
		run(p, SUT_MS(900000));
		pair_free(p);
	}
}

/* MUST-10: two SYNs cross. */
static void simultaneous_open(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 10; seed++) {
		struct pair *p = pair_new(300 + seed);
		struct stack_addr a = { .port = 1000 }, b = { .port = 2000 };

		p->total = 20000;
		p->loss = (seed - 1) * 30;
		end_start(p, 0);
		end_start(p, 1);
		memcpy(a.ip, p->end[0].cfg.net[0].ip, 16);
		memcpy(b.ip, p->end[1].cfg.net[0].ip, 16);
		assert_int_equal(stack_connect(p->end[0].s, &a, &b, 0, p->now, &p->end[0].id), 0);
		assert_int_equal(stack_connect(p->end[1].s, &b, &a, 0, p->now, &p->end[1].id), 0);
		stack_flush(p->end[0].s, p->now);
		stack_flush(p->end[1].s, p->now);
		for (unsigned i = 0; !done(p); i++) {
			if (!turn(p) || i > 100000)
				fail_msg("stuck");
		}
		pair_free(p);
	}
}

/* --- somebody else */

/* A segment with numbers that are drawn, in the name of the other end. */
static void forge(struct pair *p, unsigned i)
{
	struct end *e = &p->end[i];
	const struct conn *c = conn_at(e->s, 0);
	struct frame f = { 0 };
	uint8_t ts[12] = { 1, 1, 8, 10 }, *t;
	struct view v;

	store_be32(ts + 4, frame_random(&p->rng));
	store_be32(ts + 8, frame_random(&p->rng));
	frame_ip4(&f, 6, 0);
	memcpy(f.buf + 12, c->quad.raddr + 12, 4);
	memcpy(f.buf + 16, c->quad.laddr + 12, 4);
	t = frame_tcp(&f, (uint8_t)frame_random(&p->rng), ts, dice(p, 2) ? 12 : 0);
	store_be16(t, c->quad.rport);
	store_be16(t + 2, c->quad.lport);
	store_be32(t + 4, frame_random(&p->rng));
	store_be32(t + 8, frame_random(&p->rng));
	frame_payload(&f, dice(p, 3) ? 0 : dice(p, 1000));
	frame_end(&f);
	assert_int_equal(view_parse_ip(&f.p, &v), R_NONE);
	(void)stack_input(e->s, &f.p, &v, p->now);
}

/* RFC 5961: who does not see the numbers can neither end, nor stop, nor change a connection. */
static void blind_forger(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 8; seed++) {
		struct pair *p = pair_new(600 + seed);
		unsigned forged = 0;

		p->loss = (seed % 3) * 20;
		p->end[0].cfg.no_timestamps = seed & 1;
		start(p);
		while (!done(p)) {
			if (!turn(p) || p->now > SUT_MS(900000))
				fail_msg("stuck");
			for (unsigned i = 0; p->end[1].read > 0 && i < 2; i++) {
				if (conn_at(p->end[i].s, 0)->state < ST_ESTABLISHED)
					continue;
				for (unsigned k = 0; k < 200; k++, forged++)
					forge(p, i);
			}
		}
		assert_true(forged > 500);
		assert_int_equal(stack_count(p->end[0].s, STACK_RESET_IN), 0);
		assert_int_equal(stack_count(p->end[1].s, STACK_RESET_IN), 0);
		pair_free(p);
	}
}

/* --- many at once */

#define MANY 24u

struct caller {
	conn_id id;
	uint64_t wrote, read; /* echoed bytes come back in order */
	uint8_t key;
};

struct crowd {
	struct pair *p;
	struct caller c[MANY];
	conn_id echo[64];
	unsigned echoes, opened, finished;
};

/* What the server does with each of its connections: all comes back, then it closes too. */
static void echo(struct crowd *w, conn_id *id)
{
	struct end *e = &w->p->end[1];
	uint8_t b[3000];
	int n = stack_peek(e->s, *id, b, sizeof b);

	if (n > 0) {
		int m = stack_write(e->s, *id, b, (size_t)n, w->p->now);

		if (m > 0)
			assert_int_equal(stack_consume(e->s, *id, (size_t)m, w->p->now), 0);
		return;
	}
	if (n == -EAGAIN)
		return;
	assert_int_equal(stack_close(e->s, *id, w->p->now), 0);
	*id = 0;
}

static void serve_crowd(struct crowd *w)
{
	struct end *e = &w->p->end[1];
	struct conn_ready r;
	struct stack_addr from;
	conn_id id;

	while (stack_next(e->s, &r))
		;
	while (w->echoes < 64 && stack_accept(e->s, e->listener, 0, &id, &from) == 0)
		w->echo[w->echoes++] = id;
	for (unsigned i = 0; i < w->echoes; i++) {
		echo(w, &w->echo[i]);
		if (w->echo[i] == 0)
			w->echo[i] = w->echo[--w->echoes];
	}
}

static void call_open(struct crowd *w, struct caller *c)
{
	struct stack_addr to = { .port = 80 };

	memcpy(to.ip, w->p->end[1].cfg.net[0].ip, 16);
	*c = (struct caller){ .key = (uint8_t)w->opened };
	if (stack_connect(w->p->end[0].s, NULL, &to, 0, w->p->now, &c->id) == 0)
		w->opened++;
	else
		c->id = 0;
}

/* One random thing that a client does; what comes back is what it wrote. */
static void call(struct crowd *w, struct caller *c)
{
	struct stack *s = w->p->end[0].s;
	uint32_t what = dice(w->p, 100);
	uint8_t b[2000];
	int n;

	n = stack_read(s, c->id, b, 1 + dice(w->p, sizeof b), w->p->now);
	for (int i = 0; i < n; i++)
		assert_int_equal(b[i], pattern(c->key, c->read + (unsigned)i));
	c->read += n > 0 ? (unsigned)n : 0;
	if (n == 0 || (n < 0 && n != -EAGAIN) || what == 0) {
		if (n == 0) /* both have closed: not a byte is missing */
			assert_int_equal(c->read, c->wrote);
		w->finished += n == 0;
		assert_int_equal(what == 0 && dice(w->p, 2) ? stack_abort(s, c->id, w->p->now)
							    : stack_close(s, c->id, w->p->now),
				 0);
		c->id = 0;
	} else if (what < 5) {
		(void)stack_shutdown(s, c->id, w->p->now);
	} else if (what < 60) {
		uint32_t m = 1 + dice(w->p, sizeof b);

		for (uint32_t i = 0; i < m; i++)
			b[i] = pattern(c->key, c->wrote + i);
		n = stack_write(s, c->id, b, m, w->p->now);
		c->wrote += n > 0 ? (unsigned)n : 0;
	}
}

static void crowd_turn(struct crowd *w, bool more)
{
	struct pair *p = w->p;
	sut_time at = next_event(p), soon = p->now + SUT_MS(3);
	struct conn_ready r;

	p->now = at < soon ? (at > p->now ? at : p->now) : soon;
	for (unsigned i = 0; i < 2; i++) {
		stack_expire(p->end[i].s, p->now);
		deliver(p, &p->end[i]);
	}
	serve_crowd(w);
	while (stack_next(p->end[0].s, &r))
		;
	for (unsigned i = 0; i < MANY; i++) {
		if (w->c[i].id != 0)
			call(w, &w->c[i]);
		else if (more && dice(p, 20) == 0)
			call_open(w, &w->c[i]);
	}
	stack_flush(p->end[0].s, p->now);
	stack_flush(p->end[1].s, p->now);
	sound(p);
}

/* Connections come and go in any way, with few places, few cells, few half-open ones: none gets a wrong byte, nothing is left. */
static void crowd(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 12; seed++) {
		struct pair *p = pair_new(500 + seed);
		struct crowd *w = calloc(1, sizeof *w);
		struct stack_usage u;

		assert_non_null(w);
		w->p = p;
		p->loss = (seed % 3) * 20;
		p->late = (seed % 4) * 20;
		for (unsigned i = 0; i < 2; i++) {
			p->end[i].cfg.max_conns = 32 + dice(p, 30);
			p->end[i].cfg.max_half_open = 1 + dice(p, 8);
			p->end[i].cfg.cells = 200 + dice(p, 300);
			p->end[i].cfg.msl = SUT_MS(1000);
		}
		start(p);
		assert_int_equal(stack_abort(p->end[0].s, p->end[0].id, p->now), 0);
		for (unsigned i = 0; i < 4000; i++)
			crowd_turn(w, true);
		for (unsigned i = 0; i < MANY; i++) {
			if (w->c[i].id != 0)
				assert_int_equal(stack_close(p->end[0].s, w->c[i].id, p->now), 0);
			w->c[i].id = 0;
		}
		p->loss = 0;
		for (unsigned i = 0; i < 2; i++) {
			for (sut_time limit = p->now + SUT_MS(400000); p->now < limit;) {
				p->now += SUT_MS(47);
				crowd_turn(w, false);
			}
			/* A reset may have been lost: nobody would ever know. */
			for (; w->echoes > 0; w->echoes--)
				assert_int_equal(
					stack_close(p->end[1].s, w->echo[w->echoes - 1], p->now),
					0);
		}
		assert_true(w->opened > 100 && w->finished > 10);
		for (unsigned i = 0; i < 2; i++) {
			stack_usage(p->end[i].s, &u);
			assert_int_equal(u.conns, 0);
			assert_int_equal(u.cells, 0);
			assert_int_equal(u.records, 0);
			assert_int_equal(u.half_open, 0);
		}
		free(w);
		pair_free(p);
	}
}

/* Numbers of the two ends do not fit: they may say so to each other, but not for ever. */
static void never_an_endless_talk(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 8; seed++) {
		struct pair *p = pair_new(400 + seed);
		struct conn *c[2];
		uint64_t before;

		p->total = 1000;
		start(p);
		while (!done(p) && p->end[1].read < 1000)
			assert_true(turn(p));
		for (unsigned i = 0; i < 2; i++) {
			c[i] = conn_at(p->end[i].s, 0);
			assert_int_equal(c[i]->gen % 2, 1);
		}
		/* As if a third had spoken to one of them. */
		c[0]->rcv_nxt += seed & 1 ? 100000 : 0;
		c[0]->rcv_adv += seed & 1 ? 100000 : 0;
		c[1]->rcv_nxt -= seed & 2 ? 200000 : 0;
		c[1]->rcv_adv -= seed & 2 ? 200000 : 0;
		c[1]->snd_una += seed & 4 ? 300000 : 0;
		c[1]->snd_nxt += seed & 4 ? 300000 : 0;
		for (unsigned i = 0; i < 2; i++) {
			output_ack(p->end[i].s, c[i]);
			output_ack(p->end[i].s, c[i]);
		}
		before = p->end[0].sent + p->end[1].sent;
		while (p->now < SUT_MS(3600000) && next_event(p) != SUT_NEVER) {
			sut_time at = next_event(p);

			p->now = at > p->now ? at : p->now;
			for (unsigned i = 0; i < 2; i++) {
				stack_expire(p->end[i].s, p->now);
				deliver(p, &p->end[i]);
			}
		}
		/* An hour: what is retransmitted until it is given up, and the answers to that. */
		assert_in_range(p->end[0].sent + p->end[1].sent - before, 0, 200);
		pair_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_link),
		cmocka_unit_test(lossy_links),
		cmocka_unit_test(narrow),
		cmocka_unit_test(super_packets),
		cmocka_unit_test(simultaneous_open),
		cmocka_unit_test(blind_forger),
		cmocka_unit_test(crowd),
		cmocka_unit_test(never_an_endless_talk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
