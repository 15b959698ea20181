/* SPDX-License-Identifier: MIT */
/*
 * The role replica-compare through its role_ops: random streams against a model that knows for each
 * byte whether the secondary has produced it; bursts split at random; the outbox running full;
 * limits; records.  Behaviour: tests/pkt/replica-compare.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "core/env.h"
#include "core/make.h"
#include "core/record.h"
#include "role/replica/compare_role.h"

#define FRAME_ROOM 2048u
#define ALL_PORTS 31u

struct rig {
	struct counters counters;
	struct role_env env;
	void *role;
	struct outbox out;
	uint64_t hash; /* of all frames that went out, in order */
	unsigned sent, asked; /* frames; DO_CHECKPOINT */
};

static uint64_t rng;

static uint32_t rnd(uint32_t n)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rng >> 33) % n;
}

static uint64_t fixed(void *ctx)
{
	return ++*(uint64_t *)ctx * 0x9e3779b97f4a7c15u;
}

static struct replica_compare_config config(void)
{
	struct replica_compare_config c;

	replica_compare_defaults(&c);
	c.max_flows = 64;
	c.hold_cells = 4096;
	return c;
}

static struct rig *rig_new(const struct replica_compare_config *cfg)
{
	static uint64_t seed;
	struct rig *r = calloc(1, sizeof *r);
	size_t n = replica_compare_ops.need(cfg);

	seed = 7;
	assert_true(n > 0);
	r->env = (struct role_env){
		.ports = ALL_PORTS,
		.random = fixed,
		.random_ctx = &seed,
		.counters = &r->counters,
	};
	n = (n + 63) / 64 * 64;
	r->role = aligned_alloc(64, n);
	memset(r->role, 0, n);
	assert_ptr_equal(replica_compare_ops.init(r->role, cfg, &r->env), r->role);
	return r;
}

static void rig_free(struct rig *r)
{
	free(r->role);
	free(r);
}

/* Takes what is in the outbox. */
static void flush(struct rig *r)
{
	for (unsigned i = 0; i < r->out.n; i++) {
		const struct packet *p = r->out.pkt[i];

		if (r->out.port[i] == COMPARE_NOTIFY) {
			assert_int_equal(p->head_len, 13);
			assert_memory_equal(p->head, "DO_CHECKPOINT", 13);
			r->asked++;
			continue;
		}
		assert_int_equal(r->out.port[i], COMPARE_OUT);
		for (uint32_t k = 0; k < p->head_len; k++)
			r->hash = (r->hash ^ p->head[k]) * 0x100000001b3u;
		r->hash++;
		r->sent++;
	}
	outbox_clear(&r->out);
}

static void expire(struct rig *r, sut_time now)
{
	for (int rounds = 0; replica_compare_ops.deadline(r->role) <= now; rounds++) {
		assert_true(rounds < 1000);
		replica_compare_ops.expire(r->role, now, &r->out);
		flush(r);
	}
}

/* A frame in memory of its own. */
struct frame {
	uint8_t bytes[FRAME_ROOM];
	struct packet p;
};

static void frame_make(struct frame *f, unsigned flow, struct make_tcp m)
{
	static struct outbox o;
	struct lane l = {
		.eth_len = 14,
		.ip = 4,
		.ttl = 64,
		.src = { [10] = 0xff, 0xff, 198, 51, 100, 1 },
		.dst = { [10] = 0xff, 0xff, 192, 0, 2, 10 },
		.sport = 80,
		.dport = (uint16_t)(40000 + flow),
	};

	memcpy(l.eth, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0", 14);
	outbox_clear(&o);
	m.window = 500;
	assert_true(make_tcp(&o, 0, &l, &m));
	assert_true(o.pkt[0]->head_len <= FRAME_ROOM - PACKET_HEADROOM);
	memcpy(f->bytes + PACKET_HEADROOM, o.pkt[0]->head, o.pkt[0]->head_len);
	f->p = *o.pkt[0];
	f->p.head = f->bytes + PACKET_HEADROOM;
}

static void put_frame(struct rig *r, sut_time now, unsigned port, struct frame *f)
{
	struct packet *p = &f->p;

	replica_compare_ops.input(r->role, &(struct burst){ &p, 1, (uint16_t)port, now }, &r->out);
}

/* One segment in, outbox left as it is. */
static void put(struct rig *r, sut_time now, unsigned flow, unsigned port, struct make_tcp m)
{
	static struct frame f;

	frame_make(&f, flow, m);
	put_frame(r, now, port, &f);
}

static void say(struct rig *r, sut_time now, unsigned port, const char *text)
{
	struct packet p = { .head = (uint8_t *)(uintptr_t)text,
			    .head_len = (uint32_t)strlen(text) },
		      *one = &p;

	replica_compare_ops.input(r->role, &(struct burst){ &one, 1, (uint16_t)port, now },
				  &r->out);
}

static uint8_t zeros[2000];

#define SYNACK(p)                                                   \
	(struct make_tcp)                                           \
	{                                                           \
		.flags = TCP_SYN | TCP_ACK, .seq = (p), .ack = 1001 \
	}
#define SEG(s, n)                                                                               \
	(struct make_tcp)                                                                       \
	{                                                                                       \
		.flags = TCP_ACK, .seq = (s), .ack = 1001, .payload = zeros, .payload_len = (n) \
	}

static void handshake(struct rig *r, sut_time now, unsigned flow, uint32_t isn, uint32_t far_isn)
{
	put(r, now, flow, COMPARE_PRIMARY_IN, SYNACK(isn));
	put(r, now, flow, COMPARE_SECONDARY_IN, SYNACK(far_isn));
	assert_int_equal(r->out.n, 1);
	flush(r);
}

/*
 * One stream of STREAM bytes and a FIN, sent by both servers in segments of their own, out of
 * order, some of them twice.
 */
#define STREAM 6000u
#define SEGS 200u

struct seg {
	uint32_t at, len; /* at 0: the first byte; the FIN is the byte STREAM */
	uint32_t ack;
	bool out;
};

struct stream {
	uint8_t bytes[STREAM + 1];
	uint32_t isn;
	bool produced[STREAM + 1];
	uint32_t acked;
	struct seg segs[SEGS];
	unsigned n, next;
};

static void swap(struct seg *a, struct seg *b)
{
	struct seg c = *a;

	*a = *b;
	*b = c;
}

/* Cuts the stream into segments; the primary's acks rise, the secondary's too, at their own pace. */
static void cut(struct stream *s)
{
	uint32_t at = 0, ack = 1001;

	s->n = s->next = 0;
	while (at <= STREAM) {
		uint32_t len = 1 + rnd(rnd(3) ? 1400 : 40);

		len = len < STREAM + 1 - at ? len : STREAM + 1 - at;
		ack += rnd(50);
		s->segs[s->n++] = (struct seg){ at, len, ack, false };
		at += len;
		if (rnd(5) == 0 && at > 500) { /* again, in other pieces */
			at -= rnd(500);
			s->segs[s->n - 1].ack = ack;
		}
		if (rnd(6) == 0) /* a pure ACK */
			s->segs[s->n++] = (struct seg){ at, 0, ack, false };
		assert_true(s->n < SEGS - 2);
	}
	s->segs[s->n++] = (struct seg){ STREAM + 1, 0, 9000, false };
	for (unsigned i = 0; i + 1 < s->n; i++)
		if (rnd(4) == 0)
			swap(&s->segs[i],
			     &s->segs[i + 1 + rnd(s->n - i - 1 < 6 ? s->n - i - 1 : 6)]);
}

static struct make_tcp segment_of(const struct stream *s, const struct seg *g)
{
	bool fin = g->len && g->at + g->len == STREAM + 1;

	return (struct make_tcp){
		.flags = (uint8_t)(TCP_ACK | (fin ? TCP_FIN : 0)),
		.seq = s->isn + 1 + g->at,
		.ack = g->ack,
		.payload = s->bytes + (g->at < STREAM ? g->at : 0),
		.payload_len = g->len - fin,
	};
}

/*
 * May segment k go out before an earlier one?  Only if all of it was sent before: bytes, or the
 * number of a probe.
 */
static bool may_overtake(const struct stream *p, unsigned k)
{
	const struct seg *g = &p->segs[k];
	uint32_t end = 0;

	for (uint32_t at = g->at; at < g->at + g->len; at++) {
		bool before = false;

		for (unsigned i = 0; i < k; i++)
			before |= at >= p->segs[i].at && at < p->segs[i].at + p->segs[i].len;
		if (!before)
			return false;
	}
	for (unsigned i = 0; i < k; i++)
		end = p->segs[i].at + p->segs[i].len > end ? p->segs[i].at + p->segs[i].len : end;
	return g->at < end;
}

/* Everything that goes out is a frame of the primary's, as it was, once; all bytes and the ack are the secondary's too. */
static void check_out(struct rig *r, struct stream *p, const struct stream *s, unsigned *ret_line)
{
	for (unsigned i = 0; i < r->out.n; i++) {
		struct view v;
		struct seg *g = NULL;

		if (r->out.port[i] != COMPARE_OUT)
			continue;
		assert_int_equal(view_parse(r->out.pkt[i], &v), R_NONE);
		for (unsigned k = 0; k < p->next && !g; k++) {
			struct seg *h = &p->segs[k];

			if (!h->out && h->at == v.seq - p->isn - 1 && h->len == view_seg_len(&v) &&
			    h->ack == v.ack)
				g = h;
		}
		assert_non_null(g);
		for (struct seg *h = p->segs; h < g; h++)
			if (!h->out)
				assert_true(may_overtake(p, (unsigned)(g - p->segs)));
		g->out = true;
		for (uint32_t k = g->at; k < g->at + g->len; k++)
			assert_true(s->produced[k]);
		assert_true(s->acked >= g->ack);
		(*ret_line)++;
	}
	flush(r);
}

static void play_stream(uint32_t seed, uint32_t flip)
{
	struct replica_compare_config cfg = config();
	struct rig *r = rig_new(&cfg);
	static struct stream p, s;
	unsigned got = 0;

	rng = seed;
	memset(&p, 0, sizeof p);
	p.isn = rnd(3) ? rnd(UINT32_MAX) : 0u - rnd(STREAM);
	for (unsigned i = 0; i < STREAM; i++)
		p.bytes[i] = (uint8_t)rnd(seed % 2 ? 256 : 2);
	s = p;
	s.isn = seed % 4 == 3 ? p.isn + (1u << 20) + rnd(1u << 30) : p.isn;
	cut(&p);
	cut(&s);
	if (flip != UINT32_MAX)
		s.bytes[flip] ^= 1;
	handshake(r, 0, 0, p.isn, s.isn);
	while (p.next < p.n || s.next < s.n) {
		bool prim = s.next == s.n || (p.next < p.n && rnd(2));
		struct stream *from = prim ? &p : &s;
		struct seg *g = &from->segs[from->next++];

		if (!prim) {
			memset(s.produced + g->at, true, g->len);
			s.acked = g->ack > s.acked ? g->ack : s.acked;
		}
		put(r, 0, 0, prim ? COMPARE_PRIMARY_IN : COMPARE_SECONDARY_IN, segment_of(from, g));
		check_out(r, &p, &s, &got);
		while (replica_compare_ops.deadline(r->role) == 0) {
			replica_compare_ops.expire(r->role, 0, &r->out);
			check_out(r, &p, &s, &got);
		}
	}
	if (flip == UINT32_MAX) {
		assert_int_equal(got, p.n);
		assert_int_equal(r->counters.event[EV_DIVERGED], 0);
		assert_int_equal(r->asked, 0);
		assert_int_equal(r->counters.event[EV_NUMBERS_DIFFER], s.isn != p.isn);
	} else {
		assert_int_equal(r->counters.event[EV_DIVERGED], 1);
		assert_int_equal(r->asked, 1);
		for (unsigned i = 0; i < p.n; i++)
			assert_false(p.segs[i].out && flip >= p.segs[i].at &&
				     flip < p.segs[i].at + p.segs[i].len);
	}
	rig_free(r);
}

static void equal_streams_go_out_whole(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 400; seed++)
		play_stream(seed, UINT32_MAX);
}

static void a_byte_that_differs_never_goes_out(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 200; seed++)
		play_stream(seed, seed * 7919 % STREAM);
}

/* Random traffic of many flows: connections that open, reset, go on in their middle; datagrams; messages. */
#define GROUP 48
#define GROUPS 300
#define RANDOM_FLOWS 90 /* more than the table holds */

static struct make_tcp random_segment(uint32_t *next, unsigned flow, unsigned port)
{
	static const uint8_t flags[] = { TCP_ACK,	    TCP_ACK,	       TCP_ACK,
					 TCP_ACK | TCP_PSH, TCP_ACK | TCP_FIN, TCP_SYN | TCP_ACK,
					 TCP_RST,	    TCP_RST | TCP_ACK };
	struct make_tcp m = { .flags = flags[rnd(8)], .seq = next[flow], .payload = zeros };

	if (m.flags & TCP_RST && rnd(4))
		m.flags = TCP_ACK;
	m.payload_len = rnd(3) ? rnd(1400) : 0;
	m.ack = next[flow] - rnd(3000);
	if (m.flags & TCP_SYN) {
		m.seq = next[flow] = rnd(3) ? 1000000 * flow : rnd(UINT32_MAX);
		m.payload_len = 0;
		next[flow]++;
	} else if (rnd(6)) {
		next[flow] += m.payload_len;
	} else {
		m.seq -= rnd(3000);
	}
	zeros[rnd(sizeof zeros)] = (uint8_t)(rnd(50) == 0);
	(void)port;
	return m;
}

static struct rig *play(uint64_t seed, unsigned max)
{
	static struct frame frames[GROUP];
	struct packet *pkts[GROUP];
	uint32_t next[2][RANDOM_FLOWS] = { { 0 } };
	struct replica_compare_config cfg = config();
	struct rig *r;
	sut_time now = 0;
	uint64_t cut = seed * 77 + max;

	cfg.idle_time = SUT_MS(900);
	cfg.compare_timeout = SUT_MS(300);
	cfg.expired_scan_cycle = SUT_MS(100);
	cfg.max_queue_size = 8;
	cfg.hold_cells = 60;
	r = rig_new(&cfg);
	rng = seed;
	memset(zeros, 0, sizeof zeros);
	for (unsigned g = 0; g < GROUPS; g++) {
		unsigned n = 1 + rnd(GROUP), port = rnd(2), size, span = rnd(3) ? 6 : RANDOM_FLOWS;

		now += SUT_MS(rnd(60));
		for (unsigned i = 0; i < n; i++) {
			unsigned flow = rnd(span);

			frame_make(&frames[i], flow, random_segment(next[port], flow, port));
			if (rnd(30) == 0) /* a datagram, in two ways */
				frames[i].p.head[23] = rnd(2) ? 17 : 1;
			pkts[i] = &frames[i].p;
		}
		expire(r, now);
		for (unsigned at = 0; at < n; at += size) {
			cut = cut * 6364136223846793005u + 1442695040888963407u;
			size = max == GROUP ? n : 1 + (unsigned)(cut >> 40) % max;
			size = size < n - at ? size : n - at;
			replica_compare_ops.input(
				r->role,
				&(struct burst){ pkts + at, (uint16_t)size, (uint16_t)port, now },
				&r->out);
			flush(r);
			expire(r, now);
		}
		if (rnd(9) == 0) {
			say(r, now, COMPARE_NOTIFY,
			    rnd(9) ? "COLO_CHECKPOINT" : "COLO_CHECKPOINT_");
			flush(r);
			expire(r, now);
		}
	}
	say(r, now, COMPARE_NOTIFY, "COLO_CHECKPOINT");
	flush(r);
	expire(r, now);
	expire(r, now + SUT_MS(100000));
	return r;
}

static void any_split_gives_the_same(void **state)
{
	uint64_t reached[SUT_EVENT_COUNT] = { 0 }, dropped[SUT_REASON_COUNT] = { 0 };

	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct rig *one = play(seed, 1), *all = play(seed, GROUP), *some = play(seed, 9);

		assert_true(one->sent > 1000);
		assert_int_equal(one->sent, all->sent);
		assert_int_equal(one->asked, all->asked);
		assert_true(one->hash == all->hash);
		assert_true(one->hash == some->hash);
		assert_memory_equal(&one->counters, &all->counters, sizeof one->counters);
		assert_int_equal(one->counters.event[EV_FLOWS_OPENED],
				 one->counters.event[EV_FLOWS_IDLE] +
					 one->counters.event[EV_FLOWS_EVICTED]);
		for (unsigned e = 0; e < SUT_EVENT_COUNT; e++)
			reached[e] += one->counters.event[e];
		for (unsigned e = 0; e < SUT_REASON_COUNT; e++)
			dropped[e] += one->counters.dropped[e];
		rig_free(one);
		rig_free(all);
		rig_free(some);
	}
	/* The traffic got everywhere, or the comparison says little. */
	assert_true(reached[EV_RELEASED] > 1000 && reached[EV_FLUSHED] > 100);
	assert_true(reached[EV_DIVERGED] > 50 && reached[EV_NUMBERS_DIFFER] > 5);
	assert_true(reached[EV_CHECKPOINT_ASKED] > 50 && reached[EV_FLOWS_EVICTED] > 10);
	assert_true(dropped[R_QUOTA] > 10 && dropped[R_STORE_FULL] > 10 && dropped[R_STALE] > 10);
}

static uint32_t number_of(const struct packet *p)
{
	struct view v;

	assert_int_equal(view_parse(p, &v), R_NONE);
	return v.seq;
}

/* QEMU releases 1025 waiting frames as 1 to 140, then 1025 down to 141. */
static void a_flush_keeps_the_order(void **state)
{
	struct replica_compare_config cfg = config();
	uint32_t want = 5001;
	struct rig *r;

	(void)state;
	cfg.max_queue_size = 1025;
	r = rig_new(&cfg);
	handshake(r, 0, 0, 5000, 5000);
	for (uint32_t i = 0; i < 1025; i++)
		put(r, 0, 0, COMPARE_PRIMARY_IN, SEG(5001 + i * 10, 10));
	assert_int_equal(r->out.n, 0);
	say(r, 1, COMPARE_NOTIFY, "COLO_CHECKPOINT");
	for (unsigned rounds = 0; r->out.n; rounds++) {
		assert_true(rounds < 20);
		if (rounds == 1) /* one more meanwhile stands behind the others */
			put(r, 1, 0, COMPARE_PRIMARY_IN, SEG(5001 + 1025 * 10, 10));
		for (unsigned i = 0; i < r->out.n; i++, want += 10)
			assert_int_equal(number_of(r->out.pkt[i]), want);
		flush(r);
		replica_compare_ops.expire(r->role, 1, &r->out);
	}
	assert_int_equal(want, 5001 + 1025 * 10);
	assert_int_equal(counters_dropped(&r->counters), 1); /* the secondary's SYN-ACK */
	put(r, 2, 0, COMPARE_SECONDARY_IN, SEG(5001 + 1025 * 10, 10));
	assert_int_equal(r->out.n, 1);
	rig_free(r);
}

/* Across flows a flush goes by the arrival of each one's first waiting frame. */
static void a_flush_goes_by_arrival(void **state)
{
	enum { FLOWS = 40, EACH = 10 };
	struct replica_compare_config cfg = config();
	struct rig *r = rig_new(&cfg);
	unsigned order[FLOWS], got = 0;

	(void)state;
	rng = 5;
	for (unsigned f = 0; f < FLOWS; f++) {
		handshake(r, 0, f, 5000, 5000);
		order[f] = f;
	}
	for (unsigned f = FLOWS - 1; f > 0; f--) {
		unsigned g = rnd(f + 1), was = order[f];

		order[f] = order[g];
		order[g] = was;
	}
	/* The secondary is ahead in all, so they wait in another order than that of their chain. */
	for (unsigned f = 0; f < FLOWS; f++)
		put(r, 0, f, COMPARE_SECONDARY_IN, SEG(9000000, 10));
	for (uint32_t i = 0; i < EACH; i++)
		for (unsigned f = 0; f < FLOWS; f++)
			put(r, 0, order[f], COMPARE_PRIMARY_IN, SEG(5001 + i * 10, 10));
	assert_int_equal(r->out.n, 0);
	say(r, 1, COMPARE_CONTROL, "checkpoint");
	for (bool first = true; r->out.n || first; first = false) {
		for (unsigned i = 0; i < r->out.n; i++) {
			struct view v;

			if (r->out.port[i] == COMPARE_CONTROL)
				continue;
			assert_int_equal(view_parse(r->out.pkt[i], &v), R_NONE);
			assert_int_equal(be16_get(view_tcp(r->out.pkt[i], &v)->dport),
					 40000 + order[got / EACH]);
			assert_int_equal(v.seq, 5001 + got % EACH * 10);
			got++;
		}
		outbox_clear(&r->out);
		replica_compare_ops.expire(r->role, 1, &r->out);
	}
	assert_int_equal(got, FLOWS * EACH);
	rig_free(r);
}

static void messages_for_many_flows_are_owed(void **state)
{
	enum { FLOWS = 60 };
	static struct frame frames[FLOWS];
	struct packet *pkts[FLOWS];
	struct replica_compare_config cfg = config();
	struct rig *r = rig_new(&cfg);

	(void)state;
	zeros[0] = 1;
	for (unsigned f = 0; f < FLOWS; f++) {
		handshake(r, 0, f, 5000, 5000);
		put(r, 0, f, COMPARE_PRIMARY_IN, SEG(5001, 10));
		zeros[0] = 0;
		frame_make(&frames[f], f, SEG(5001, 10));
		zeros[0] = 1;
		pkts[f] = &frames[f].p;
	}
	replica_compare_ops.input(r->role, &(struct burst){ pkts, FLOWS, COMPARE_SECONDARY_IN, 0 },
				  &r->out);
	flush(r);
	expire(r, 0);
	assert_int_equal(r->asked, FLOWS);
	assert_int_equal(r->counters.event[EV_DIVERGED], FLOWS);
	rig_free(r);
}

static unsigned save_all(struct rig *r, sut_time now, struct record *ret_r, unsigned max)
{
	uint32_t cursor = 0;
	unsigned n = 0;

	while (n < max && replica_compare_ops.save(r->role, &cursor, now, &ret_r[n]))
		n++;
	return n;
}

static void what_is_saved_is_restored(void **state)
{
	static struct record a[64], b[64];
	struct replica_compare_config cfg = config();
	struct rig *one = rig_new(&cfg), *two = rig_new(&cfg);
	unsigned n;

	(void)state;
	memset(zeros, 0, sizeof zeros);
	for (unsigned f = 0; f < 8; f++)
		handshake(one, SUT_MS(f), f, 1000 * f - 500, 5000 * f);
	put(one, SUT_MS(9), 3, COMPARE_PRIMARY_IN, SEG(2601, 100)); /* waits: its sender has it */
	put(one, SUT_MS(9), 4, COMPARE_SECONDARY_IN, SEG(3601, 100));
	n = save_all(one, SUT_MS(50), a, 64);
	assert_int_equal(n, 8);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(replica_compare_ops.restore(two->role, &a[i], SUT_MS(50)), 0);
		assert_int_equal(replica_compare_ops.restore(two->role, &a[i], SUT_MS(50)),
				 -EEXIST);
	}
	assert_int_equal(save_all(two, SUT_MS(50), b, 64), n);
	for (unsigned i = 0; i < n; i++)
		assert_true(a[i].len == b[i].len && memcmp(a[i].bytes, b[i].bytes, a[i].len) == 0);
	for (unsigned f = 0; f < 8; f++) {
		put(two, SUT_MS(60), f, COMPARE_PRIMARY_IN, SEG(1000 * f - 499, 900));
		put(two, SUT_MS(60), f, COMPARE_SECONDARY_IN, SEG(5000 * f + 1, 900));
		assert_int_equal(two->out.n, 1);
		flush(two);
	}
	rig_free(one);
	rig_free(two);
}

static void bad_records_change_nothing(void **state)
{
	static struct record rec, bad;
	struct replica_compare_config cfg = config();
	struct rig *one, *two;

	(void)state;
	cfg.max_flows = 1;
	one = rig_new(&cfg);
	two = rig_new(&cfg);
	handshake(one, 0, 0, 5000, 9000);
	assert_int_equal(save_all(one, 0, &rec, 1), 1);
	for (unsigned i = 0; i < rec.len; i++) {
		bad = rec;
		bad.bytes[i] ^= 0x10;
		assert_int_equal(replica_compare_ops.restore(two->role, &bad, 0), -EINVAL);
	}
	record_begin(&bad, REC_REPLICA_COMPARE, 99);
	record_end(&bad);
	assert_int_equal(replica_compare_ops.restore(two->role, &bad, 0), -EPROTO);
	record_begin(&bad, REC_REPLICA_COMPARE, 1);
	record_end(&bad);
	assert_int_equal(replica_compare_ops.restore(two->role, &bad, 0), -EINVAL);
	assert_int_equal(save_all(two, 0, &bad, 1), 0);
	handshake(two, 0, 1, 5000, 9000);
	assert_int_equal(replica_compare_ops.restore(two->role, &rec, 0), -ENOSPC);
	rig_free(one);
	rig_free(two);
}

static void impossible_settings_are_named(void **state)
{
	struct replica_compare_config c;

	(void)state;
	replica_compare_defaults(&c);
	assert_null(replica_compare_config_error(&c));
	assert_true(replica_compare_ops.need(&c) > 0);
#define WRONG(field, value, name)                                                \
	do {                                                                     \
		replica_compare_defaults(&c);                                    \
		c.field = value;                                                 \
		assert_int_equal(replica_compare_ops.need(&c), 0);               \
		assert_non_null(strstr(replica_compare_config_error(&c), name)); \
	} while (0)
	WRONG(compare_timeout, 0, "compare-timeout");
	WRONG(expired_scan_cycle, 0, "expired-scan-cycle");
	WRONG(max_queue_size, 0, "max-queue-size");
	WRONG(max_flows, 0, "max-flows");
	WRONG(max_flows, UINT32_MAX, "max-flows");
	WRONG(hold_cells, 0, "hold-cells");
	WRONG(hold_cells, UINT32_MAX, "hold-cells");
	WRONG(idle_time, 0, "idle-time");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_streams_go_out_whole),
		cmocka_unit_test(a_byte_that_differs_never_goes_out),
		cmocka_unit_test(any_split_gives_the_same),
		cmocka_unit_test(a_flush_keeps_the_order),
		cmocka_unit_test(a_flush_goes_by_arrival),
		cmocka_unit_test(messages_for_many_flows_are_owed),
		cmocka_unit_test(what_is_saved_is_restored),
		cmocka_unit_test(bad_records_change_nothing),
		cmocka_unit_test(impossible_settings_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
