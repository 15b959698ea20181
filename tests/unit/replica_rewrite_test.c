/* SPDX-License-Identifier: MIT */
/*
 * The role replica-rewrite through its role_ops: what scripts cannot show.  Bursts split at random,
 * the outbox running full, records, limits, and a model that says what each segment must become.
 * Behaviour: tests/pkt/replica-rewrite.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>

#include "core/env.h"
#include "core/make.h"
#include "core/record.h"
#include "core/record_flow.h"
#include "proto/checksum.h"
#include "role/replica/held.h"
#include "role/replica/rewrite_role.h"

#define FRAME_ROOM 2048u

struct rig {
	struct replica_rewrite_config cfg;
	struct counters counters;
	struct role_env env;
	void *role;
	struct outbox out;
	uint64_t hash; /* of all that went out, in order */
	unsigned sent;
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

static struct rig *rig_joined(const struct replica_rewrite_config *cfg, uint32_t ports)
{
	static uint64_t seed;
	struct rig *r = calloc(1, sizeof *r);
	size_t n = replica_rewrite_ops.need(cfg);

	seed = 7;
	assert_true(n > 0);
	r->cfg = *cfg;
	r->env = (struct role_env){
		.random = fixed,
		.random_ctx = &seed,
		.counters = &r->counters,
		.ports = ports,
	};
	n = (n + 63) / 64 * 64;
	r->role = aligned_alloc(64, n);
	memset(r->role, 0, n);
	assert_ptr_equal(replica_rewrite_ops.init(r->role, cfg, &r->env), r->role);
	return r;
}

static struct rig *rig_new(const struct replica_rewrite_config *cfg)
{
	return rig_joined(cfg, 0);
}

static void rig_free(struct rig *r)
{
	free(r->role);
	free(r);
}

/* Takes what is in the outbox: hashed, its checksums looked at. */
static void flush(struct rig *r)
{
	for (unsigned i = 0; i < r->out.n; i++) {
		const struct packet *p = r->out.pkt[i];
		struct view v;

		if (view_parse(p, &v) == R_NONE && v.tcp)
			assert_true(csum_tcp_ok(p, &v));
		r->hash = r->hash * 31 + r->out.port[i] + 1;
		for (uint32_t k = 0; k < p->head_len; k++)
			r->hash = (r->hash ^ p->head[k]) * 0x100000001b3u;
		r->sent++;
	}
	outbox_clear(&r->out);
}

static void expire(struct rig *r, sut_time now)
{
	for (int rounds = 0; replica_rewrite_ops.deadline(r->role) <= now; rounds++) {
		assert_true(rounds < 1000);
		replica_rewrite_ops.expire(r->role, now, &r->out);
		flush(r);
	}
}

/* A frame in memory of its own. */
struct frame {
	uint8_t bytes[FRAME_ROOM];
	struct packet p;
};

static struct lane lane_of(unsigned flow, unsigned port)
{
	struct lane client = {
		.eth_len = 14,
		.ip = 4,
		.ttl = 64,
		.src = { [10] = 0xff, 0xff, 192, 0, 2, 10 },
		.dst = { [10] = 0xff, 0xff, 198, 51, 100, 1 },
		.sport = (uint16_t)(40000 + flow),
		.dport = 80,
	}, server;

	memcpy(client.eth, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0", 14);
	lane_reverse(&client, &server);
	return port == REPLICA_PRIMARY || port == REPLICA_NETWORK ? client : server;
}

static void frame_make(struct frame *f, unsigned flow, unsigned port, struct make_tcp m)
{
	static struct outbox o;
	static const uint8_t zeros[2000];
	struct lane l = lane_of(flow, port);

	outbox_clear(&o);
	m.payload = zeros;
	assert_true(make_tcp(&o, port, &l, &m));
	assert_true(o.pkt[0]->head_len <= FRAME_ROOM - PACKET_HEADROOM);
	memcpy(f->bytes + PACKET_HEADROOM, o.pkt[0]->head, o.pkt[0]->head_len);
	f->p = *o.pkt[0];
	f->p.head = f->bytes + PACKET_HEADROOM;
}

/* One packet in, outbox left as it is. */
static void put(struct rig *r, sut_time now, unsigned flow, unsigned port, struct make_tcp m)
{
	static struct frame f;
	struct packet *p = &f.p;
	struct burst in = { &p, 1, (uint16_t)port, now };

	frame_make(&f, flow, port, m);
	replica_rewrite_ops.input(r->role, &in, &r->out);
}

/* The key of the client's packets. */
static const struct flow_key *flow_key_at(unsigned flow)
{
	static struct flow_key k;
	struct frame f;
	struct view v;

	frame_make(&f, flow, REPLICA_PRIMARY, (struct make_tcp){ .flags = TCP_ACK });
	assert_int_equal(view_parse(&f.p, &v), R_NONE);
	flow_key_of(&f.p, &v, REPLICA_PRIMARY, &k);
	return &k;
}

static const char *describe(const struct rig *r, unsigned flow)
{
	static char text[128];

	return replica_rewrite_describe(r->role, flow_key_at(flow), text, sizeof text) ? text
										       : "none";
}

static struct replica_rewrite_config small(uint32_t flows, uint32_t cells)
{
	struct replica_rewrite_config c;

	replica_rewrite_defaults(&c);
	c.max_flows = flows;
	c.hold_cells = cells;
	return c;
}

#define SYN(c)                                               \
	(struct make_tcp)                                    \
	{                                                    \
		.flags = TCP_SYN, .seq = (c), .window = 1000 \
	}
#define SYNACK(s, c)                                                                   \
	(struct make_tcp)                                                              \
	{                                                                              \
		.flags = TCP_SYN | TCP_ACK, .seq = (s), .ack = (c) + 1, .window = 1000 \
	}
#define SEG(s, a, n)                                                                      \
	(struct make_tcp)                                                                 \
	{                                                                                 \
		.flags = TCP_ACK, .seq = (s), .ack = (a), .payload_len = (n), .window = 9 \
	}

static void handshake(struct rig *r, sut_time now, unsigned flow, uint32_t c, uint32_t p,
		      uint32_t s)
{
	put(r, now, flow, REPLICA_PRIMARY, SYN(c));
	put(r, now, flow, REPLICA_SECONDARY, SYNACK(s, c));
	put(r, now, flow, REPLICA_PRIMARY, SEG(c + 1, p + 1, 0));
	flush(r);
}

static void impossible_settings_are_named(void **state)
{
	struct replica_rewrite_config c;

	(void)state;
	replica_rewrite_defaults(&c);
	assert_null(replica_rewrite_config_error(&c));
	assert_true(replica_rewrite_ops.need(&c) > 0);
#define WRONG(field, value, name)                                                \
	do {                                                                     \
		replica_rewrite_defaults(&c);                                    \
		c.field = value;                                                 \
		assert_int_equal(replica_rewrite_ops.need(&c), 0);               \
		assert_non_null(strstr(replica_rewrite_config_error(&c), name)); \
	} while (0)
	WRONG(max_flows, 0, "max-flows");
	WRONG(max_flows, UINT32_MAX, "max-flows");
	WRONG(hold_cells, 0, "hold-cells");
	WRONG(hold_cells, UINT32_MAX, "hold-cells");
	WRONG(time_wait, 0, "time-wait");
	WRONG(half_open_time, 0, "half-open-time");
	WRONG(idle_time, 0, "idle-time");
}

/*
 * Random traffic that knows enough of TCP to get everywhere: handshakes in any order, data,
 * acknowledgements of what was not sent yet, SACK, FIN, RST, late SYNs, port reuse, nonsense.
 * A group comes in at one port at one time.
 */
#define GROUP 48
#define GROUPS 400
#define RANDOM_FLOWS 12

struct talk {
	uint32_t c, p, s, c_next, p_next, s_next, ts;
};

static struct make_tcp random_segment(struct talk *k, unsigned port, uint8_t opt[40])
{
	struct make_tcp m = { .flags = TCP_ACK, .window = 500 };
	uint32_t kind = rnd(40), n = rnd(3) ? 0 : rnd(1400);
	uint32_t *next = port == REPLICA_PRIMARY ? &k->c_next : &k->s_next;

	k->ts += rnd(3);
	m.seq = *next;
	m.ack = port == REPLICA_PRIMARY ? k->p_next : k->c_next;
	m.payload_len = n;
	*next += n;
	make_ts_option(opt, k->ts + (port ? 5000 : 0), k->ts + (port ? 0 : 900));
	m.options = opt;
	m.options_len = rnd(4) ? 12 : 0;
	if (port == REPLICA_PRIMARY && rnd(3) == 0)
		k->p_next += rnd(1400); /* the primary is ahead */
	if (kind < 6) {
		m.flags = port == REPLICA_PRIMARY ? TCP_SYN : TCP_SYN | TCP_ACK;
		m.seq = port == REPLICA_PRIMARY ? k->c : k->s;
		m.ack = k->c + 1;
		m.payload_len = 0;
	} else if (kind == 6) {
		m.flags |= TCP_FIN;
		++*next;
	} else if (kind == 7) {
		m.flags = rnd(2) ? TCP_RST : TCP_RST | TCP_ACK;
	} else if (kind == 8) {
		m.flags = (uint8_t)rnd(256);
		m.ack = rnd(UINT32_MAX);
	} else if (kind == 9) { /* used again */
		*k = (struct talk){
			rnd(UINT32_MAX), rnd(UINT32_MAX), rnd(UINT32_MAX), 0, 0, 0, k->ts
		};
		k->c_next = k->c + 1;
		k->p_next = k->p + 1;
		k->s_next = k->s + 1;
	} else if (kind < 14) {
		memset(opt, TCPOPT_NOP, 24);
		opt[2] = TCPOPT_SACK;
		opt[3] = 18;
		for (unsigned i = 0; i < 4; i++)
			store_be32(opt + 4 + 4 * i, k->p_next + rnd(3000) - 1000);
		m.options_len = 20;
	} else if (kind == 14) {
		m.ack -= rnd(2000);
	}
	return m;
}

/* The traffic of a seed, cut into bursts of at most max. */
static struct rig *play(uint64_t seed, unsigned max)
{
	static struct frame frames[GROUP];
	struct packet *pkts[GROUP];
	struct replica_rewrite_config cfg = small(8, 32);
	struct talk talks[RANDOM_FLOWS] = { 0 };
	struct rig *r;
	sut_time now = 0;
	uint64_t cut = seed * 77 + max;

	cfg.time_wait = SUT_MS(300);
	cfg.half_open_time = SUT_MS(2000);
	cfg.idle_time = SUT_MS(900);
	r = rig_new(&cfg);
	rng = seed;
	for (unsigned g = 0; g < GROUPS; g++) {
		unsigned n = 1 + rnd(GROUP), port = rnd(2), size;

		now += SUT_MS(rnd(60));
		for (unsigned i = 0; i < n; i++) {
			unsigned flow = rnd(RANDOM_FLOWS);
			uint8_t opt[40];
			struct make_tcp m = random_segment(&talks[flow], port, opt);

			frame_make(&frames[i], flow, port, m);
			pkts[i] = &frames[i].p;
		}
		expire(r, now);
		for (unsigned at = 0; at < n; at += size) {
			cut = cut * 6364136223846793005u + 1442695040888963407u;
			size = max == GROUP ? n : 1 + (unsigned)(cut >> 40) % max;
			size = size < n - at ? size : n - at;
			replica_rewrite_ops.input(
				r->role,
				&(struct burst){ pkts + at, (uint16_t)size, (uint16_t)port, now },
				&r->out);
			flush(r);
			expire(r, now);
		}
	}
	expire(r, now + SUT_MS(100000));
	expire(r, now + SUT_MS(200000)); /* those that were used since they were looked at */
	return r;
}

static void any_split_gives_the_same(void **state)
{
	uint64_t reached[SUT_EVENT_COUNT] = { 0 };

	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct rig *one = play(seed, 1), *all = play(seed, GROUP), *some = play(seed, 9);

		assert_true(one->sent > 1000);
		assert_int_equal(one->sent, all->sent);
		assert_true(one->hash == all->hash);
		assert_true(one->hash == some->hash);
		assert_memory_equal(&one->counters, &all->counters, sizeof one->counters);
		assert_int_equal(one->counters.event[EV_FLOWS_OPENED],
				 one->counters.event[EV_FLOWS_CLOSED] +
					 one->counters.event[EV_FLOWS_EVICTED]);
		for (unsigned e = 0; e < SUT_EVENT_COUNT; e++)
			reached[e] += one->counters.event[e];
		rig_free(one);
		rig_free(all);
		rig_free(some);
	}
	/* The traffic got everywhere, or the comparison says little. */
	assert_true(reached[EV_TRANSLATED] > 1000 && reached[EV_LEARNT] > 50);
	assert_true(reached[EV_ACK_RELEASED] > 10 && reached[EV_FLOWS_EVICTED] > 10);
	assert_true(reached[EV_FLOWS_REOPENED] > 10 && reached[EV_HELD_BYTES] > 1000);
}

/* The only segment in the outbox at port, parsed; fails if there is none. */
static struct view only(struct rig *r, unsigned port)
{
	struct view v = { 0 };
	unsigned found = 0;

	for (unsigned i = 0; i < r->out.n; i++)
		if (r->out.port[i] == port && ++found)
			assert_int_equal(view_parse(r->out.pkt[i], &v), R_NONE);
	assert_int_equal(found, 1);
	return v;
}

/*
 * Both servers send the same stream, the secondary behind; the client acknowledges the primary.
 * Towards the secondary nothing is acknowledged that it has not sent, and in the end everything.
 */
static void acks_stay_within_what_was_sent(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct replica_rewrite_config cfg = small(4, 4);
		struct rig *r = rig_new(&cfg);
		uint32_t c, p, s, p_sent = 0, s_sent = 0, acked = 0, told = 0;

		rng = seed;
		c = rnd(UINT32_MAX);
		p = rnd(4) ? rnd(UINT32_MAX) : 0u - 1 - rnd(5000);
		s = rnd(4) ? rnd(UINT32_MAX) : 0u - 1 - rnd(5000);
		handshake(r, 0, 0, c, p, s);
		for (int i = 0; i < 300; i++) {
			bool last = i > 250;
			uint32_t n = rnd(1400);
			struct view v;

			if (!last)
				p_sent += rnd(2000);
			if (rnd(2) && !last) {
				acked += rnd(p_sent - acked + 1);
				put(r, 0, 0, REPLICA_PRIMARY, SEG(c + 1, p + 1 + acked, 0));
				v = only(r, REPLICA_SECONDARY);
				told = acked < s_sent ? acked : s_sent;
				assert_int_equal(v.ack, s + 1 + told);
				assert_int_equal(v.seq, c + 1);
			} else if (s_sent < p_sent) {
				n = last ? 1400 : n;
				n = n < p_sent - s_sent ? n : p_sent - s_sent;
				put(r, 0, 0, REPLICA_SECONDARY, SEG(s + 1 + s_sent, c + 1, n));
				v = only(r, REPLICA_PRIMARY);
				assert_int_equal(v.seq, p + 1 + s_sent);
				s_sent += n;
				n = acked < s_sent ? acked : s_sent;
				if (n != told) {
					v = only(r, REPLICA_SECONDARY);
					assert_int_equal(v.ack, s + 1 + n);
					assert_int_equal(v.payload_len, 0);
				} else {
					assert_int_equal(r->out.n, 1);
				}
				told = n;
			}
			flush(r);
			if (last && s_sent == p_sent)
				break;
		}
		if (s_sent >= acked)
			assert_int_equal(told, acked);
		rig_free(r);
	}
}

/* Many flows hold much, all is released in one turn: nothing is lost, each flow keeps its order. */
static void a_full_outbox_loses_nothing(void **state)
{
	enum { FLOWS = 30, EACH = 10 };
	static struct frame frames[FLOWS];
	struct packet *pkts[FLOWS];
	struct replica_rewrite_config cfg = small(64, 1024);
	struct rig *r = rig_new(&cfg);
	uint32_t next[FLOWS] = { 0 };
	unsigned got = 0;

	(void)state;
	for (unsigned f = 0; f < FLOWS; f++) {
		put(r, 0, f, REPLICA_PRIMARY, SYN(1000));
		for (uint32_t i = 0; i < EACH; i++)
			put(r, 0, f, REPLICA_PRIMARY, SEG(1001 + i * 100, 5001, 100));
		assert_int_equal(r->out.n, 1);
		flush(r);
		frame_make(&frames[f], f, REPLICA_SECONDARY, SYNACK(9000, 1000));
		pkts[f] = &frames[f].p;
	}
	replica_rewrite_ops.input(r->role, &(struct burst){ pkts, FLOWS, REPLICA_SECONDARY, 0 },
				  &r->out);
	assert_int_equal(r->out.made, OUTBOX_MADE);
	for (int rounds = 0; r->out.n != 0; rounds++) {
		for (unsigned i = 0; i < r->out.n; i++) {
			struct view v;
			unsigned f;

			assert_int_equal(view_parse(r->out.pkt[i], &v), R_NONE);
			if (r->out.port[i] == REPLICA_PRIMARY) {
				assert_int_equal(v.seq, 5000);
				continue;
			}
			f = be16_get(view_tcp(r->out.pkt[i], &v)->sport) - 40000u;
			assert_int_equal(v.ack, 9001);
			assert_int_equal(v.seq, 1001 + 100 * next[f]++);
			got++;
		}
		flush(r);
		assert_true(rounds < 10);
		if (got < FLOWS * EACH + 1)
			assert_int_equal(replica_rewrite_ops.deadline(r->role), 0);
		if (rounds == 0) /* more of a flow that still waits: behind what it has */
			put(r, 0, FLOWS - 1, REPLICA_PRIMARY, SEG(1001 + EACH * 100, 5001, 100));
		replica_rewrite_ops.expire(r->role, 0, &r->out);
	}
	assert_int_equal(got, FLOWS * EACH + 1);
	assert_true(replica_rewrite_ops.deadline(r->role) > 0);
	assert_int_equal(counters_dropped(&r->counters), 0);
	rig_free(r);
}

static void a_syn_scan_ends_no_established_flow(void **state)
{
	struct replica_rewrite_config cfg = small(64, 16);
	struct rig *r = rig_new(&cfg);

	(void)state;
	for (unsigned f = 0; f < 40; f++)
		handshake(r, 0, f, 1000, 5000, 9000 + f);
	for (unsigned i = 0; i < 5000; i++) {
		put(r, SUT_MS(i), 100 + i % 20000, REPLICA_PRIMARY, SYN(i));
		flush(r);
	}
	for (unsigned f = 0; f < 40; f++) {
		char want[64];

		snprintf(want, sizeof want, "ESTABLISHED shift far %u", 4000 + f);
		assert_string_equal(describe(r, f), want);
	}
	/* Of the scan the last 24 are in. */
	assert_string_equal(describe(r, 100 + 4975), "none");
	assert_string_equal(describe(r, 100 + 4976), "SYN_SENT");
	rig_free(r);
}

static unsigned save_all(struct rig *r, sut_time now, struct record *ret_r, unsigned max)
{
	uint32_t cursor = 0;
	unsigned n = 0;

	while (n < max && replica_rewrite_ops.save(r->role, &cursor, now, &ret_r[n]))
		n++;
	return n;
}

static bool same_record(const struct record *a, const struct record *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static void what_is_saved_is_restored(void **state)
{
	static struct record a[64], b[64];
	struct replica_rewrite_config cfg = small(32, 64);
	struct rig *one = rig_new(&cfg), *two = rig_new(&cfg);
	unsigned n;

	(void)state;
	for (unsigned f = 0; f < 8; f++)
		handshake(one, SUT_MS(f), f, 1000 * f, 5000 * f, ~f);
	put(one, SUT_MS(20), 3, REPLICA_PRIMARY, SEG(3001, 15001 + 777, 10)); /* withheld */
	put(one, SUT_MS(20), 4, REPLICA_PRIMARY, SYN(4711)); /* pending */
	put(one, SUT_MS(20), 20, REPLICA_PRIMARY, SYN(1)); /* half-open */
	flush(one);
	n = save_all(one, SUT_MS(50), a, 64);
	assert_int_equal(n, 9);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(replica_rewrite_ops.restore(two->role, &a[i], SUT_MS(50)), 0);
		/* Nothing was seen of it since: it gives way to a later record. */
		assert_int_equal(replica_rewrite_ops.restore(two->role, &a[i], SUT_MS(50)), 0);
	}
	assert_int_equal(save_all(two, SUT_MS(50), b, 64), n);
	for (unsigned i = 0; i < n; i++)
		assert_true(same_record(&a[i], &b[i]));
	one->hash = two->hash = 0;
	for (unsigned f = 0; f < 8; f++)
		for (int k = 0; k < 2; k++) {
			struct rig *r = k ? two : one;

			put(r, SUT_MS(60), f, REPLICA_SECONDARY, SEG(~f + 1, 1000 * f + 1, 900));
			put(r, SUT_MS(60), f, REPLICA_PRIMARY,
			    SEG(1000 * f + 1, 5000 * f + 901, 5));
			flush(r);
		}
	assert_true(one->hash == two->hash && one->hash != 0);
	/* By now it has seen packets, and only the end of a flow ends it. */
	assert_int_equal(replica_rewrite_ops.restore(two->role, &a[0], SUT_MS(70)), -EEXIST);
	for (unsigned i = 0; i < 2; i++) {
		record_flow_end(&b[0], flow_key_at(0));
		assert_int_equal(replica_rewrite_ops.restore(two->role, &b[0], SUT_MS(70)), 0);
		assert_string_equal(describe(two, 0), "none");
	}
	rig_free(one);
	rig_free(two);
}

static void bad_records_change_nothing(void **state)
{
	static struct record rec, bad;
	struct replica_rewrite_config cfg = small(1, 4);
	struct rig *one = rig_new(&cfg), *two = rig_new(&cfg);
	unsigned refused = 0;

	(void)state;
	handshake(one, 0, 0, 1000, 5000, 9000);
	assert_int_equal(save_all(one, 0, &rec, 1), 1);
	for (unsigned i = 0; i < rec.len; i++) {
		bad = rec;
		bad.bytes[i] ^= 0x10;
		assert_int_equal(replica_rewrite_ops.restore(two->role, &bad, 0), -EINVAL);
		refused++;
	}
	assert_int_equal(refused, rec.len);
	/* Another version, its checksum right. */
	record_begin(&bad, REC_REPLICA_FLOW, 99);
	record_end(&bad);
	assert_int_equal(replica_rewrite_ops.restore(two->role, &bad, 0), -EPROTO);
	/* What an older version wrote has not all that is needed. */
	record_begin(&bad, REC_REPLICA_FLOW, 1);
	record_end(&bad);
	assert_int_equal(replica_rewrite_ops.restore(two->role, &bad, 0), -EPROTO);
	record_begin(&bad, REC_REPLICA_FLOW, 2);
	record_end(&bad);
	assert_int_equal(replica_rewrite_ops.restore(two->role, &bad, 0), -EINVAL);
	assert_int_equal(save_all(two, 0, &bad, 1), 0);
	/* Full. */
	handshake(two, 0, 1, 1000, 5000, 9000);
	assert_int_equal(replica_rewrite_ops.restore(two->role, &rec, 0), -ENOSPC);
	assert_string_equal(describe(two, 1), "ESTABLISHED shift far 4000");
	rig_free(one);
	rig_free(two);
}

/*
 * A conversation of which every number is known: the primary and the secondary send the same
 * stream, the client hears the primary until it dies and the secondary from then on.  A command
 * comes at one of its packets; whichever it is, the client's stream has no hole, its numbers stay
 * the primary's, no TSval goes back, and the secondary hears of nothing that it has not sent.
 */
enum { TALK_STEPS = 70, TALK_END = 40 };

struct model {
	struct rig *r;
	uint32_t c, p, s; /* ISNs; s becomes p when the secondary becomes a copy */
	uint32_t p_sent, s_next, s_sent, seen, acked, told, c_sent; /* bytes */
	uint32_t p_clock, s_clock, now; /* of timestamps at now 0; ms */
	uint32_t recent; /* the highest TSval that the client has seen */
	uint32_t s_near,
		s_far; /* the last stamp of the secondary's that the client got, both ways */
	unsigned from; /* the port of the packet that came in */
	bool dead, heard, greeted, opened, stamps, lags, sighted;
};

/*
 * Where the rewriter sees what the primary sends, the primary's clock is the faster one, so that the
 * secondary's is behind at the failover.
 */
static uint32_t primary_stamp(const struct model *m)
{
	return m->p_clock + (m->sighted ? m->now * 5 / 4 : m->now);
}

static uint32_t secondary_stamp(const struct model *m)
{
	return m->s_clock + m->now;
}

static const uint8_t *stamps_of(const struct model *m, uint32_t tsval, uint32_t tsecr,
				uint8_t *ret_len)
{
	static uint8_t opt[12];

	make_ts_option(opt, tsval, tsecr);
	*ret_len = m->stamps ? sizeof opt : 0;
	return opt;
}

/* What the secondary is told. */
static void hears_secondary(struct model *m, const struct packet *p, const struct view *v)
{
	uint32_t told = v->ack - (m->s + 1);
	struct tcp_options o;

	assert_true(v->seq - m->c - 1 <= m->c_sent);
	assert_true(told <= m->s_sent); /* never beyond what it has sent */
	if (told > m->told)
		m->told = told;
	(void)view_options(p, v, &o);
	if (!m->heard || !(o.present & OPT_TS))
		return;
	assert_true((int32_t)(secondary_stamp(m) - o.tsecr) >= 0);
	if (m->from != REPLICA_SECONDARY && m->recent == m->s_near) /* no ACK that was made */
		assert_int_equal(o.tsecr, m->s_far);
}

/* What the client hears after the failover. */
static void hears_client(struct model *m, const struct packet *p, const struct view *v)
{
	uint32_t at = v->seq - (m->p + 1);
	struct tcp_options o;

	assert_true(at <= m->seen); /* no hole, in the primary's numbers */
	if (at + v->payload_len > m->seen)
		m->seen = at + v->payload_len;
	(void)view_options(p, v, &o);
	if (!(o.present & OPT_TS))
		return;
	assert_true((int32_t)(o.tsval - m->recent) >= 0);
	m->recent = m->s_near = o.tsval;
	m->s_far = secondary_stamp(m);
	m->heard = true;
}

static void hear(struct model *m)
{
	for (unsigned i = 0; i < m->r->out.n; i++) {
		const struct packet *p = m->r->out.pkt[i];
		unsigned port = m->r->out.port[i];
		struct view v;

		assert_true(port != REPLICA_CONTROL);
		assert_int_equal(view_parse(p, &v), R_NONE);
		if (v.flags & TCP_SYN)
			continue;
		if (port == REPLICA_SECONDARY)
			hears_secondary(m, p, &v);
		else if (m->dead)
			hears_client(m, p, &v);
		else if (m->greeted && m->opened)
			assert_true(v.seq - (m->p + 1) <= m->s_sent);
	}
	flush(m->r);
	expire(m->r, SUT_MS(m->now));
}

static void talk(struct model *m, unsigned port, struct make_tcp g)
{
	m->from = port;
	put(m->r, SUT_MS(m->now), 0, port, g);
	hear(m);
}

static void client_says(struct model *m, uint32_t payload)
{
	struct make_tcp g = SEG(m->c + 1 + m->c_sent, m->p + 1 + m->acked, payload);

	g.options = stamps_of(m, 5000 + m->now, m->recent, &g.options_len);
	m->c_sent += payload;
	talk(m, m->dead ? REPLICA_NETWORK : REPLICA_PRIMARY, g);
}

/* Of a secondary that is to be replaced by a copy of the primary nothing is known that the primary has not sent. */
static void secondary_says(struct model *m, uint32_t payload)
{
	struct make_tcp g;

	if (m->lags && !m->dead && payload > m->p_sent - m->s_next)
		payload = m->p_sent - m->s_next;
	g = SEG(m->s + 1 + m->s_next, m->c + 1, payload);
	g.options = stamps_of(m, secondary_stamp(m), 5000, &g.options_len);
	m->s_next += payload;
	if (m->s_next > m->s_sent)
		m->s_sent = m->s_next;
	talk(m, REPLICA_SECONDARY, g);
}

static void order(struct rig *r, sut_time now, const char *word, const char *want)
{
	uint8_t bytes[64];
	struct packet p = { .head = bytes, .head_len = (uint32_t)strlen(word) }, *pp = &p;
	const struct packet *reply = NULL;

	memcpy(bytes, word, p.head_len);
	replica_rewrite_ops.input(r->role, &(struct burst){ &pp, 1, REPLICA_CONTROL, now },
				  &r->out);
	assert_int_equal(r->out.n, 1);
	assert_int_equal(r->out.port[0], REPLICA_CONTROL);
	reply = r->out.pkt[0];
	assert_true(reply->head_len >= strlen(want));
	assert_memory_equal(reply->head, want, strlen(want));
	outbox_clear(&r->out);
}

static void primary_dies(struct model *m)
{
	order(m->r, SUT_MS(m->now), "failover", "ok failed over");
	m->dead = true;
	m->s_next = m->told; /* it goes back to what was not acknowledged */
	expire(m->r, SUT_MS(m->now));
}

static void becomes_copy(struct model *m)
{
	order(m->r, SUT_MS(m->now), "checkpoint", "ok checkpoint");
	m->s = m->p;
	m->s_clock = primary_stamp(m) - m->now;
	m->s_sent = m->p_sent;
	m->told = m->s_next = m->acked;
	hear(m);
	expire(m->r, SUT_MS(m->now));
	hear(m);
}

/* The client hears it at once. */
static void primary_says(struct model *m, struct make_tcp g)
{
	g.options = stamps_of(m, primary_stamp(m), 5000, &g.options_len);
	m->p_sent += g.payload_len;
	m->seen = m->p_sent;
	m->recent = primary_stamp(m);
	if (m->sighted)
		talk(m, REPLICA_PRIMARY_OUT, g);
}

static void handshake_step(struct model *m, unsigned step, bool client_first)
{
	uint8_t len;
	struct make_tcp syn = SYN(m->c), synack = SYNACK(m->s, m->c);

	syn.options = stamps_of(m, 5000, 0, &len);
	syn.options_len = len;
	if (step == 0) {
		talk(m, REPLICA_PRIMARY, syn);
		if (m->sighted && rnd(2))
			primary_says(m, SYNACK(m->p, m->c));
	} else if ((step == 1) == client_first) {
		m->opened = true;
		client_says(m, 0);
	} else if (!m->greeted) {
		synack.options = stamps_of(m, secondary_stamp(m), 5000, &len);
		synack.options_len = len;
		talk(m, REPLICA_SECONDARY, synack);
		m->greeted = true;
	}
}

static void data_step(struct model *m)
{
	uint32_t n = 1 + rnd(900);

	switch (rnd(m->dead ? 2 : 3)) {
	case 0:
		m->acked += rnd(m->seen - m->acked + 1);
		client_says(m, rnd(2) ? 0 : rnd(200));
		break;
	case 1:
		secondary_says(m, n);
		break;
	default:
		primary_says(m, SEG(m->p + 1 + m->p_sent, m->c + 1, n));
		break;
	}
}

static void a_conversation(uint64_t seed, unsigned checkpoint_at, unsigned failover_at)
{
	struct replica_rewrite_config cfg = small(4, 64);
	struct model m = { .r = rig_joined(&cfg, 1u << REPLICA_PRIMARY | 1u << REPLICA_SECONDARY |
							 1u << REPLICA_NETWORK |
							 1u << REPLICA_PRIMARY_OUT |
							 1u << REPLICA_CONTROL) };
	bool client_first;

	rng = seed;
	m.stamps = rnd(4) != 0;
	m.lags = checkpoint_at != UINT_MAX;
	m.sighted = rnd(2);
	m.c = rnd(UINT32_MAX);
	m.p = rnd(3) ? rnd(UINT32_MAX) : 0u - rnd(3000);
	m.s = rnd(3) ? rnd(UINT32_MAX) : 0u - rnd(3000);
	m.p_clock = rnd(3) ? rnd(UINT32_MAX) : 0u - rnd(200);
	m.s_clock = rnd(3) ? rnd(UINT32_MAX) : 0u - rnd(200);
	m.recent = m.p_clock;
	client_first = rnd(2);
	for (unsigned i = 0; i < TALK_STEPS; i++) {
		if (i == checkpoint_at)
			becomes_copy(&m);
		if (i == failover_at)
			primary_dies(&m);
		if (i < 3)
			handshake_step(&m, i, client_first);
		else
			data_step(&m);
		m.now += i < 3 ? 0 : 1 + rnd(20);
	}
	if (!m.dead)
		primary_dies(&m);
	for (unsigned i = 0; i < TALK_END; i++) {
		secondary_says(&m, 700);
		m.acked = m.seen;
		client_says(&m, 0);
		m.now++;
	}
	assert_true(m.seen == m.s_sent && m.told == m.acked && m.acked == m.seen);
	assert_int_equal(counters_dropped(&m.r->counters),
			 m.r->counters.dropped[R_STALE] + m.r->counters.dropped[R_LOOKED_AT]);
	rig_free(m.r);
}

static void a_takeover_at_any_packet_is_invisible(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 25; seed++)
		for (unsigned at = 1; at < TALK_STEPS; at++) {
			a_conversation(seed, UINT_MAX, at);
			a_conversation(seed, at, TALK_STEPS - 1);
			a_conversation(seed, at / 2, at);
		}
}

static void held_frames_keep_order_and_bounds(void **state)
{
	enum { CELLS = 200 };
	static uint8_t big[PACKET_MAX];
	struct held *h = aligned_alloc(64, (held_need(CELLS) + 63) / 64 * 64);
	struct held_queue q[4];
	struct packet p = { .head = big }, got;
	unsigned port;

	(void)state;
	memset(h, 0, held_need(CELLS));
	h = held_init(h, CELLS);
	for (unsigned i = 0; i < 4; i++)
		held_queue_init(&q[i]);
	/* A flow's share. */
	p.head_len = 100;
	for (unsigned i = 0; i < HELD_FLOW_CELLS; i++) {
		big[0] = (uint8_t)i;
		assert_int_equal(held_put(h, &q[0], i % 2, &p), R_NONE);
	}
	assert_int_equal(held_put(h, &q[0], 0, &p), R_QUOTA);
	assert_int_equal(held_free(h), CELLS - HELD_FLOW_CELLS);
	/* A super-packet lies in one piece; a frame in head and body too. */
	for (uint32_t i = 0; i < sizeof big; i++)
		big[i] = (uint8_t)(i * 7);
	p = (struct packet){ .head = big, .body = big + 54, .head_len = 54 };
	p.body_len = PACKET_MAX - 54;
	assert_int_equal(held_put(h, &q[1], 1, &p), R_NONE);
	assert_int_equal(held_put(h, &q[1], 1, &p), R_NONE);
	assert_int_equal(held_put(h, &q[1], 1, &p), R_QUOTA);
	assert_int_equal(held_put(h, &q[2], 1, &p), R_NONE);
	assert_int_equal(held_put(h, &q[3], 1, &p), R_STORE_FULL);
	held_take(h, &q[1], &port, &got);
	assert_int_equal(got.head_len, PACKET_MAX);
	assert_memory_equal(got.head, big, PACKET_MAX);
	/* Taken is not free yet. */
	assert_int_equal(held_put(h, &q[3], 1, &p), R_STORE_FULL);
	held_sweep(h);
	assert_int_equal(held_put(h, &q[3], 1, &p), R_NONE);
	for (unsigned i = 0; i < HELD_FLOW_CELLS; i++) {
		held_take(h, &q[0], &port, &got);
		assert_int_equal(got.head[0], i);
		assert_int_equal(port, i % 2);
	}
	assert_int_equal(q[0].first, HELD_NONE);
	assert_int_equal(held_clear(h, &q[1]) + held_clear(h, &q[2]) + held_clear(h, &q[3]), 3);
	held_sweep(h);
	assert_int_equal(held_free(h), CELLS);
	free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(impossible_settings_are_named),
		cmocka_unit_test(any_split_gives_the_same),
		cmocka_unit_test(acks_stay_within_what_was_sent),
		cmocka_unit_test(a_full_outbox_loses_nothing),
		cmocka_unit_test(a_syn_scan_ends_no_established_flow),
		cmocka_unit_test(what_is_saved_is_restored),
		cmocka_unit_test(bad_records_change_nothing),
		cmocka_unit_test(a_takeover_at_any_packet_is_invisible),
		cmocka_unit_test(held_frames_keep_order_and_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
