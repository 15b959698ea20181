/* SPDX-License-Identifier: MIT */
/*
 * replica_compare_fuzz - bytes as a sequence of segments, frames, messages and time steps into replica-compare, frames into
 * replica-mirror.
 *
 * Input: steps: a byte says what and for which flow, the next ones the numbers.  Two comparisons get the same: one frame by
 * frame, the other in bursts.  Asserted: both send the same bytes in the same order; before a failover only frames of the
 * primary go out, and each once; every frame that came in has left, was dropped with a reason, or is held, and after a
 * checkpoint none is; what is saved can be restored and is then the same.  The mirror sends each frame to both ports.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/env.h"
#include "core/make.h"
#include "core/record.h"
#include "role/replica/compare_role.h"
#include "role/replica/mirror_role.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BURST 24u
#define FRAME_ROOM 1700u
#define FLOWS 6u /* two more than the table holds */
#define MAX_STEPS 1000
#define ALL_PORTS 31u

struct side {
	uint8_t *block;
	void *role;
	struct counters counters;
	struct role_env env;
	struct outbox out;
	uint64_t hash, asked, sent;
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
	uint64_t in, primary_in; /* frames */
	sut_time now;
	bool failed_over;
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

static struct replica_compare_config config(void)
{
	struct replica_compare_config c;

	replica_compare_defaults(&c);
	c.max_flows = FLOWS - 2;
	c.hold_cells = 32;
	c.max_queue_size = 12;
	return c;
}

static void side_init(struct side *s)
{
	struct replica_compare_config c = config();
	/* calloc(), for most of a pool is never touched; aligned by hand */
	size_t n = replica_compare_ops.need(&c) + 64;

	s->block = calloc(1, n);
	assert(s->block);
	s->env = (struct role_env){ .ports = ALL_PORTS, .random = fixed, .counters = &s->counters };
	s->role = replica_compare_ops.init(s->block + (64 - (uintptr_t)s->block % 64), &c, &s->env);
}

static void flush(struct side *s)
{
	for (unsigned i = 0; i < s->out.n; i++) {
		const struct packet *p = s->out.pkt[i];

		if (s->out.port[i] == COMPARE_NOTIFY) {
			s->asked += p->head_len == 13;
			continue;
		}
		s->hash = s->hash * 31 + s->out.port[i] + 1;
		for (uint32_t k = 0; k < p->head_len; k++)
			s->hash = (s->hash ^ p->head[k]) * 0x100000001b3u;
		s->sent += s->out.port[i] == COMPARE_OUT;
	}
	outbox_clear(&s->out);
}

static void expire(const struct run *r, struct side *s)
{
	unsigned rounds = 0;

	while (replica_compare_ops.deadline(s->role) <= r->now) {
		rounds++;
		assert(rounds <= 10000);
		replica_compare_ops.expire(s->role, r->now, &s->out);
		flush(s);
	}
}

static void input(const struct run *r, struct side *s, struct frame *f, unsigned n)
{
	struct packet p[BURST], *pkts[BURST];

	for (unsigned i = 0; i < n; i++) {
		p[i] = (struct packet){ .head = f[i].bytes + PACKET_HEADROOM,
					.head_len = f[i].len,
					.off = { .csum = CSUM_COMPLETE } };
		pkts[i] = &p[i];
	}
	replica_compare_ops.input(
		s->role, &(struct burst){ pkts, (uint16_t)n, (uint16_t)r->port, r->now }, &s->out);
	flush(s);
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
	r->in++;
	r->primary_in += port == COMPARE_PRIMARY_IN;
	input(r, &r->one, &copy, 1);
}

static void step_time(struct run *r)
{
	static const sut_time by[] = { SUT_MS(1),    SUT_MS(300),  SUT_MS(1000),
				       SUT_MS(2999), SUT_MS(7000), SUT_MS(7300000) };

	end_burst(r);
	r->now += by[byte(r) % 6];
	expire(r, &r->one);
	expire(r, &r->many);
}

static void say(struct run *r, unsigned port, const char *text)
{
	struct packet p = { .head = (uint8_t *)(uintptr_t)text,
			    .head_len = (uint32_t)strlen(text) };
	struct packet *one = &p;
	struct side *both[] = { &r->one, &r->many };

	end_burst(r);
	for (unsigned i = 0; i < 2; i++) {
		replica_compare_ops.input(both[i]->role,
					  &(struct burst){ &one, 1, (uint16_t)port, r->now },
					  &both[i]->out);
		flush(both[i]);
		expire(r, both[i]);
	}
}

static void step_message(struct run *r)
{
	static const char *const texts[] = { "COLO_CHECKPOINT",
					     "COLO_CHECKPOINT",
					     "checkpoint",
					     "COLO_USERSPACE_PROXY_INIT",
					     "DO_CHECKPOINT",
					     "failover",
					     "checkpoint and far beyond",
					     "" };
	uint8_t b = byte(r);
	const char *text = texts[b & 7];
	unsigned port = b & 8 ? COMPARE_CONTROL : COMPARE_NOTIFY;

	if (strcmp(text, "failover") == 0 && (b & 0x30) != 0x30)
		return; /* seldom: it ends most of the life */
	r->failed_over |= port == COMPARE_CONTROL && strcmp(text, "failover") == 0;
	say(r, port, text);
}

/* 8 bits of input as a number near an ISN: mostly small steps on, some back, some far. */
static uint32_t number(struct run *r, uint32_t isn)
{
	uint8_t b = byte(r);

	return b < 240 ? isn + 1 + b * 16u : b < 248 ? isn : isn - b * 0x01234567u;
}

/* A segment of flow f from either server; ISN 0xffffff00, the secondary's own 5000. */
static void step_segment(struct run *r, unsigned f, unsigned port)
{
	static const uint8_t flags[] = { TCP_ACK,	    TCP_ACK,	      TCP_ACK | TCP_PSH,
					 TCP_SYN | TCP_ACK, TCP_SYN,	      TCP_FIN | TCP_ACK,
					 TCP_RST,	    TCP_RST | TCP_ACK };
	static struct outbox o;
	static uint8_t bytes[1400];
	uint8_t what = byte(r);
	uint32_t isn = port == COMPARE_SECONDARY_IN && what & 0x20 ? 5000 : 0xffffff00u;
	struct lane l = { .eth_len = 14, .ip = f & 1 ? 6 : 4, .ttl = 64, .sport = 80 };
	struct make_tcp m = { .window = 500, .payload = bytes };
	struct frame frame;

	m.flags = flags[what & 7];
	m.seq = m.flags & TCP_SYN ? isn - (what >> 6 & 1) : number(r, isn);
	m.ack = number(r, 1000);
	m.payload_len = what & 0x40 ? byte(r) * 5u : 0;
	memset(bytes, 0, sizeof bytes);
	if (what & 0x80)
		bytes[byte(r)] = byte(r);
	memcpy(l.eth, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0", 14);
	if (l.ip == 6)
		store_be16(l.eth + 12, 0x86dd);
	memcpy(l.src, "\x20\x01\x0d\xb8", 4);
	memcpy(l.dst, l.src, 4);
	if (l.ip == 4) {
		memcpy(l.src, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x01", 16);
		memcpy(l.dst, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x0a", 16);
	}
	l.dport = (uint16_t)(40000 + f);
	outbox_clear(&o);
	if (!make_tcp(&o, 0, &l, &m))
		return;
	frame.len = o.pkt[0]->head_len;
	memcpy(frame.bytes + PACKET_HEADROOM, o.pkt[0]->head, frame.len);
	if (what & 0x08) { /* another protocol, a fragment, damaged */
		uint8_t at = byte(r) % 48;

		frame.bytes[PACKET_HEADROOM + at] = byte(r);
	}
	arrive(r, port, &frame);
}

static void step_raw(struct run *r, unsigned port)
{
	struct frame f = { .len = byte(r) };

	for (uint32_t i = 0; i < f.len; i++)
		f.bytes[PACKET_HEADROOM + i] = byte(r);
	arrive(r, port, &f);
}

/* What is saved can be restored, and is the same then. */
static void check_records(const struct side *s, sut_time now)
{
	struct side two = { 0 };
	struct record a, b;
	uint32_t at = 0, n = 0;

	side_init(&two);
	while (replica_compare_ops.save(s->role, &at, now, &a)) {
		uint32_t first = n++;

		assert(replica_compare_ops.restore(two.role, &a, now) == 0);
		assert(replica_compare_ops.save(two.role, &first, now, &b) == a.len);
		assert(memcmp(a.bytes, b.bytes, a.len) == 0);
	}
	free(two.block);
}

static void check_end(struct run *r)
{
	const struct counters *c = &r->one.counters;
	uint64_t unknown;

	end_burst(r);
	check_records(&r->one, r->now);
	say(r, COMPARE_CONTROL, "checkpoint");
	unknown = c->dropped[R_MSG_UNKNOWN];
	assert(r->one.hash == r->many.hash && r->one.sent == r->many.sent);
	assert(r->one.asked == r->many.asked);
	assert(r->in == r->one.sent + counters_dropped(c) - unknown);
	assert(r->failed_over || r->one.sent <= r->primary_in);
	for (unsigned i = 0; i < 2; i++) {
		r->now += SUT_MS(10000000);
		expire(r, &r->one);
		expire(r, &r->many);
	}
	assert(c->event[EV_FLOWS_OPENED] == c->event[EV_FLOWS_IDLE] + c->event[EV_FLOWS_EVICTED]);
	assert(memcmp(c, &r->many.counters, sizeof *c) == 0);
}

/* A burst of one frame, cut from the input, through the mirror. */
static void check_mirror(const uint8_t *data, size_t size)
{
	static struct outbox out;
	static uint64_t block[64];
	struct replica_mirror_config c = { .queue = size ? data[0] % 3 : 0 };
	struct counters counters = { 0 };
	struct role_env env = { .ports = 7, .counters = &counters };
	struct packet p = { .head = (uint8_t *)(uintptr_t)data, .head_len = (uint32_t)size };
	struct packet *one = &p;
	uint16_t port = size > 1 ? data[1] % 3 : 0;
	void *role;

	assert(replica_mirror_ops.need(&c) <= sizeof block);
	memset(block, 0, sizeof block);
	role = replica_mirror_ops.init(block, &c, &env);
	outbox_clear(&out);
	replica_mirror_ops.input(role, &(struct burst){ &one, 1, port, 0 }, &out);
	assert(out.n == (port == MIRROR_MIRROR ? 0 : 1 + counters.event[EV_MIRRORED]));
	assert(counters_dropped(&counters) == (port == MIRROR_MIRROR));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run run;
	struct run *r = &run;

	check_mirror(data, size);
	memset(r, 0, sizeof *r);
	r->at = data;
	r->end = data + size;
	side_init(&r->one);
	side_init(&r->many);
	for (unsigned steps = 0; r->at < r->end && steps < MAX_STEPS; steps++) {
		uint8_t op = byte(r);

		if (op >= 0xf0)
			step_time(r);
		else if (op >= 0xe8)
			step_message(r);
		else if (op >= 0xe4)
			step_raw(r, op & 1);
		else
			step_segment(r, (op >> 1 & 7) % FLOWS, op & 1);
	}
	check_end(r);
	free(r->one.block);
	free(r->many.block);
	return 0;
}
