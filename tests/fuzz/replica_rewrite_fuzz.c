/* SPDX-License-Identifier: MIT */
/*
 * replica_rewrite_fuzz - bytes as a sequence of segments, frames and time steps into replica-rewrite.
 *
 * Input: steps: a byte says what and for which flow, the next ones the numbers; the last byte says also
 * which ports are joined.  Frames come in at all of them, and commands.  Two roles get the
 * same: one packet by packet, the other in bursts.  Asserted: both send the same bytes in the same
 * order; checksums that were right are right; every packet that came in or was made has left, was
 * dropped with a reason, or is held; flows opened are in the table, closed or evicted; what is
 * saved can be restored and is then the same.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/env.h"
#include "core/make.h"
#include "core/record.h"
#include "proto/checksum.h"
#include "role/replica/rewrite_role.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BURST 24u
#define FRAME_ROOM 1700u
#define FLOWS 6u /* two more than the table holds */
#define MAX_STEPS 1000

struct side {
	void *role;
	struct counters counters;
	struct role_env env;
	struct outbox out;
	uint64_t hash, in, sent, replies;
};

struct frame {
	uint8_t bytes[PACKET_HEADROOM + FRAME_ROOM];
	uint32_t len;
};

struct run {
	const uint8_t *at, *end;
	struct side one, many;
	struct frame pending[BURST]; /* for many */
	unsigned n, port;
	sut_time now;
	bool honest; /* all checksums were right so far */
	uint32_t ports; /* joined */
};

static uint8_t byte(struct run *r)
{
	return r->at < r->end ? *r->at++ : 0;
}

static uint64_t fixed(void *ctx)
{
	(void)ctx;
	return 0x123456789abcdef1u;
}

static struct replica_rewrite_config config(void)
{
	struct replica_rewrite_config c;

	replica_rewrite_defaults(&c);
	c.max_flows = FLOWS - 2;
	c.hold_cells = 32;
	return c;
}

static void *lay_out(const struct role_env *env)
{
	struct replica_rewrite_config c = config();
	size_t n = (replica_rewrite_ops.need(&c) + 63) / 64 * 64;
	void *block = aligned_alloc(64, n);

	assert(block);
	memset(block, 0, n);
	/* cppcheck-suppress returnDanglingLifetime ; init() copies it */
	return replica_rewrite_ops.init(block, &c, env);
}

static void side_init(struct side *s, uint32_t ports)
{
	s->env = (struct role_env){ .random = fixed, .counters = &s->counters, .ports = ports };
	s->role = lay_out(&s->env);
}

static void flush(struct run *r, struct side *s)
{
	for (unsigned i = 0; i < s->out.n; i++) {
		const struct packet *p = s->out.pkt[i];
		struct view v;

		assert(r->ports >> s->out.port[i] & 1 && s->out.port[i] != REPLICA_PRIMARY_OUT);
		if (s->out.port[i] == REPLICA_CONTROL) {
			s->replies++;
			continue;
		}
		if (r->honest && view_parse(p, &v) == R_NONE && v.tcp)
			assert(csum_tcp_ok(p, &v));
		s->hash = s->hash * 31 + s->out.port[i] + 1;
		for (uint32_t k = 0; k < p->head_len; k++)
			s->hash = (s->hash ^ p->head[k]) * 0x100000001b3u;
		s->sent++;
	}
	outbox_clear(&s->out);
}

static void expire(struct run *r, struct side *s)
{
	unsigned rounds = 0;

	while (replica_rewrite_ops.deadline(s->role) <= r->now) {
		rounds++;
		assert(rounds <= 10000);
		replica_rewrite_ops.expire(s->role, r->now, &s->out);
		flush(r, s);
	}
}

static void input(struct run *r, struct side *s, struct frame *f, unsigned n)
{
	struct packet p[BURST], *pkts[BURST];

	for (unsigned i = 0; i < n; i++) {
		p[i] = (struct packet){ .head = f[i].bytes + PACKET_HEADROOM,
					.head_len = f[i].len,
					.off = { .csum = CSUM_COMPLETE } };
		pkts[i] = &p[i];
	}
	replica_rewrite_ops.input(
		s->role, &(struct burst){ pkts, (uint16_t)n, (uint16_t)r->port, r->now }, &s->out);
	s->in += n;
	flush(r, s);
	expire(r, s);
}

static void end_burst(struct run *r)
{
	if (r->n)
		input(r, &r->many, r->pending, r->n);
	r->n = 0;
}

static void arrive(struct run *r, unsigned port, const struct frame *f)
{
	struct frame copy = *f;

	if (r->n == BURST || r->port != port)
		end_burst(r);
	r->port = port;
	r->pending[r->n++] = *f;
	input(r, &r->one, &copy, 1);
}

static void step_time(struct run *r)
{
	static const sut_time by[] = { SUT_MS(1),     SUT_MS(300),   SUT_MS(1000),
				       SUT_MS(30000), SUT_MS(61000), SUT_MS(7300000) };

	end_burst(r);
	r->now += by[byte(r) % 6];
	expire(r, &r->one);
	expire(r, &r->many);
}

/* 8 bits of input as a number near an ISN: mostly small steps on, some back, some far. */
static uint32_t number(struct run *r, uint32_t isn)
{
	uint8_t b = byte(r);

	return b < 224 ? isn + 1 + b * 16u % 3000u : b < 248 ? isn + 1 : isn - b * 0x01234567u;
}

static uint8_t options(struct run *r, unsigned port, uint8_t opt[40])
{
	uint8_t kind = byte(r), n = 0;

	if (kind & 1) {
		make_ts_option(opt, 100u + byte(r), 50u + byte(r) + port);
		n = 12;
	}
	if (kind & 2) {
		memcpy(opt + n, "\x01\x01\x05\x0a", 4);
		store_be32(opt + n + 4, number(r, port ? 1000 : 5000));
		store_be32(opt + n + 8, number(r, port ? 1000 : 5000));
		n = (uint8_t)(n + 12);
	}
	if (kind & 4)
		for (uint8_t i = 0; i < 8; i++)
			opt[n++] = byte(r);
	return n;
}

/* A segment of flow f as from either end; numbers 1000 (client), 5000 (primary), 0xfffffff0 (secondary). */
static void step_segment(struct run *r, unsigned f, unsigned port)
{
	static const uint8_t flags[] = { TCP_ACK, TCP_ACK,	     TCP_ACK | TCP_PSH,
					 TCP_SYN, TCP_SYN | TCP_ACK, TCP_FIN | TCP_ACK,
					 TCP_RST, TCP_RST | TCP_ACK };
	static struct outbox o;
	static const uint8_t zeros[1400];
	bool client = port == REPLICA_PRIMARY || port == REPLICA_NETWORK;
	uint32_t isn = client ? 1000 : port == REPLICA_PRIMARY_OUT ? 5000 : 0xfffffff0u;
	uint32_t peer = client ? 5000 : 1000;
	struct lane l = { .eth_len = 14, .ip = f & 1 ? 6 : 4, .ttl = 64, .sport = 80 };
	uint8_t opt[40], what = byte(r);
	struct make_tcp m = { .window = 500, .options = opt, .payload = zeros };
	struct frame frame;

	m.flags = what & 0x80 ? byte(r) : flags[what & 7];
	m.seq = m.flags & TCP_SYN ? isn - (what >> 5 & 1) : number(r, isn);
	m.ack = m.flags & TCP_SYN ? peer + 1 - (what >> 5 & 1) : number(r, peer);
	m.payload_len = what & 0x40 ? byte(r) * 5u : 0;
	m.options_len = what & 0x10 ? options(r, !client, opt) : 0;
	memcpy(l.eth, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0", 14);
	if (l.ip == 6)
		store_be16(l.eth + 12, 0x86dd);
	memcpy(l.src, "\x20\x01\x0d\xb8", 4);
	memcpy(l.dst, l.src, 4);
	if (l.ip == 4) {
		memcpy(l.src, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x0a", 16);
		memcpy(l.dst, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x01", 16);
	}
	if (!client) {
		uint8_t was[16];

		memcpy(was, l.src, 16);
		memcpy(l.src, l.dst, 16);
		memcpy(l.dst, was, 16);
		l.dport = (uint16_t)(40000 + f);
	} else {
		l.sport = (uint16_t)(40000 + f);
		l.dport = 80;
	}
	outbox_clear(&o);
	if (!make_tcp(&o, port, &l, &m))
		return;
	frame.len = o.pkt[0]->head_len;
	memcpy(frame.bytes + PACKET_HEADROOM, o.pkt[0]->head, frame.len);
	if (what & 0x08) { /* damaged */
		frame.bytes[PACKET_HEADROOM + byte(r) % frame.len] ^= byte(r);
		r->honest = false;
	}
	arrive(r, port, &frame);
}

/* A command, or words that are none, to both; between bursts. */
static void step_message(struct run *r)
{
	static const char *const words[] = { "failover", "checkpoint", "checkpoint", "",
					     "check\npoint" };
	struct side *const both[] = { &r->one, &r->many };
	const char *word = words[byte(r) % 5];
	uint8_t bytes[16];
	struct packet p = { .head = bytes, .head_len = (uint32_t)strlen(word) }, *pp = &p;

	end_burst(r);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t replies = both[i]->replies;

		memcpy(bytes, word, p.head_len + 1);
		replica_rewrite_ops.input(both[i]->role,
					  &(struct burst){ &pp, 1, REPLICA_CONTROL, r->now },
					  &both[i]->out);
		flush(r, both[i]);
		assert(both[i]->replies == replies + 1);
		expire(r, both[i]);
	}
}

/* One of the ports for frames that are joined. */
static unsigned any_port(struct run *r)
{
	unsigned port = byte(r) % REPLICA_CONTROL;

	return r->ports >> port & 1 ? port : port & 1;
}

static void step_raw(struct run *r, unsigned port)
{
	struct frame f = { .len = byte(r) };

	r->honest = false;
	for (uint32_t i = 0; i < f.len; i++)
		f.bytes[PACKET_HEADROOM + i] = byte(r);
	arrive(r, port, &f);
}

/* What is saved, restored, and saved again is the same.  Returns how many flows there are. */
static unsigned live_flows(const struct side *s, sut_time now)
{
	struct side two = { 0 };
	struct record a, b;
	uint32_t at = 0, of_two = 0;
	unsigned n = 0;

	side_init(&two, s->env.ports);
	while (replica_rewrite_ops.save(s->role, &at, now, &a)) {
		assert(replica_rewrite_ops.restore(two.role, &a, now) == 0);
		n += a.bytes[0] == REC_REPLICA_FLOW;
	}
	at = 0;
	while (replica_rewrite_ops.save(s->role, &at, now, &a)) {
		assert(replica_rewrite_ops.save(two.role, &of_two, now, &b) == a.len);
		assert(memcmp(a.bytes, b.bytes, a.len) == 0);
	}
	free(two.role);
	return n;
}

static void check_books(const struct side *s, sut_time now)
{
	const uint64_t *e = s->counters.event;

	assert(e[EV_FLOWS_OPENED] == e[EV_FLOWS_CLOSED] + e[EV_FLOWS_EVICTED] + live_flows(s, now));
}

/* All timers run out twice, so that nothing is held any more. */
static void check_end(struct run *r)
{
	end_burst(r);
	check_books(&r->one, r->now);
	for (unsigned i = 0; i < 3; i++) {
		r->now += SUT_MS(10000000);
		expire(r, &r->one);
		expire(r, &r->many);
	}
	check_books(&r->one, r->now);
	assert(r->one.hash == r->many.hash && r->one.sent == r->many.sent);
	assert(memcmp(&r->one.counters, &r->many.counters, sizeof r->one.counters) == 0);
	assert(r->one.in + r->one.counters.event[EV_MADE] ==
	       r->one.sent + counters_dropped(&r->one.counters));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run run;
	struct run *r = &run;

	memset(r, 0, sizeof *r);
	r->at = data;
	r->end = data + size;
	r->honest = true;
	r->ports = 1u << REPLICA_PRIMARY | 1u << REPLICA_SECONDARY | 1u << REPLICA_CONTROL;
	if (size > 0)
		r->ports |= data[size - 1] & ((1u << REPLICA_CONTROL) - 1);
	side_init(&r->one, r->ports);
	side_init(&r->many, r->ports);
	for (unsigned steps = 0; r->at < r->end && steps < MAX_STEPS; steps++) {
		uint8_t op = byte(r);

		if (op >= 0xf0)
			step_time(r);
		else if (op >= 0xe8)
			step_raw(r, op & 1 ? 1 : any_port(r));
		else if (op >= 0xe4)
			step_message(r);
		else if (op >= 0xc0)
			step_segment(r, (op >> 1 & 7) % FLOWS, any_port(r));
		else
			step_segment(r, op >> 1 & 7 ? (op >> 1 & 7) % FLOWS : 0, op & 1);
	}
	check_end(r);
	free(r->one.role);
	free(r->many.role);
	return 0;
}
