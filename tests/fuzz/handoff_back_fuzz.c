/* SPDX-License-Identifier: MIT */
/*
 * handoff_back_fuzz - bytes as a sequence of messages, segments, reports, time steps and restarts into handoff-back.
 *
 * Input: the first byte says whether it is inline; then steps: a byte says what, the next ones the numbers.  Asserted: every
 * frame that came in has left or was dropped with a reason; what leaves has a right checksum, and every line that leaves can be read; what is owed is paid;
 * what is saved can be restored, and is then the same.
 */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/env.h"
#include "core/flow_row.h"
#include "core/make.h"
#include "core/outbox.h"
#include "core/record.h"
#include "core/way_text.h"
#include "proto/checksum.h"
#include "proto/ip.h"
#include "role/handoff/back.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_STEPS 400
#define FLOWS 4u

struct run {
	const uint8_t *at, *end;
	uint8_t *block;
	void *role;
	struct counters counters;
	struct role_env env;
	struct back_config cfg;
	struct outbox out, made;
	uint64_t in, left;
	sut_time now;
};

static uint8_t byte(struct run *r)
{
	return r->at < r->end ? *r->at++ : 0;
}

static uint64_t fixed(void *ctx)
{
	(void)ctx;
	return 7;
}

static void configure(struct back_config *c)
{
	back_defaults(c);
	c->max_flows = FLOWS;
	c->linger = SUT_MS(50);
	c->idle_timeout = SUT_MS(200);
	c->unsigned_too = true;
	c->host.adopt = c->host.shift = 1;
	c->host.options = 7;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t ip[4] = { 198, 51, 100, (uint8_t)(1 + i) };

		ip4_map(ip, c->origin[i].ip);
		ip4_map(ip, c->origin[i].host_ip);
		store_be16((uint8_t *)&c->origin[i].port, 80);
		c->origin[i].host_port = c->origin[i].port;
	}
	ip4_map((const uint8_t *)"\xcb\x00\x71\x05", c->origin[1].host_ip);
	store_be16((uint8_t *)&c->origin[1].host_port, 8080);
	c->origins = 2;
}

static void begin(struct run *r, const struct role_env *env)
{
	size_t n = back_role.need(&r->cfg) + 64;

	r->block = calloc(1, n);
	assert(r->block);
	r->role = back_role.init(r->block + (64 - (uintptr_t)r->block % 64), &r->cfg, env);
}

static void check_frame(struct run *r, unsigned port, const struct packet *p)
{
	struct view v;

	assert(port == BACK_FRONT || port == BACK_HOST);
	assert(view_parse(p, &v) == R_NONE && v.tcp);
	assert(csum_tcp_ok(p, &v) && csum_ip_ok(p, &v));
	r->left++;
}

static void check_line(unsigned port, const struct packet *p)
{
	const char *text = (const char *)p->head;
	struct hand_msg m;
	struct way_line l;
	size_t n = 0;

	if (port == BACK_PLANE) {
		assert(way_line_read(text, p->head_len, &l) == 0);
	} else if (port == BACK_FRONTS) {
		while (text[n] != ' ')
			n++;
		assert(hand_msg_read(text + n + 1, p->head_len - n - 1, &m) == 0);
	} else {
		assert(port == BACK_CONTROL && p->head_len >= 2);
	}
}

static void flush(struct run *r)
{
	for (unsigned i = 0; i < r->out.n; i++) {
		unsigned port = r->out.port[i];

		assert(r->env.ports >> port & 1);
		if (port == BACK_FRONT || port == BACK_HOST)
			check_frame(r, port, r->out.pkt[i]);
		else
			check_line(port, r->out.pkt[i]);
	}
	outbox_clear(&r->out);
}

static void expire(struct run *r)
{
	for (unsigned i = 0; back_role.deadline(r->role) <= r->now; i++) {
		assert(i < 1000);
		back_role.expire(r->role, r->now, &r->out);
		flush(r);
	}
}

static void give(struct run *r, unsigned port, struct packet *p)
{
	struct packet *one = p;
	struct burst b = { .pkts = &one, .n = 1, .port = (uint16_t)port, .now = r->now };

	back_role.input(r->role, &b, &r->out);
	flush(r);
	expire(r);
}

static void say(struct run *r, unsigned port, const char *text, size_t n)
{
	struct packet p = { .head_len = (uint32_t)n };

	p.head = malloc(n ? n : 1);
	assert(p.head);
	memcpy(p.head, text, n);
	give(r, port, &p);
	free(p.head);
}

static void message(struct run *r)
{
	struct hand_msg m = { .kind = (enum hand_msg_kind)(byte(r) % 7), .id = byte(r) % 6 };
	char text[HAND_MSG_MAX + 8];
	uint8_t quad = byte(r);
	size_t n;

	ip4_map((const uint8_t *)"\xc0\x00\x02\x0a", m.client);
	m.client_port = (uint16_t)(40000 + quad % 6);
	memcpy(m.origin, r->cfg.origin[quad >> 4 & 1].ip, 16);
	m.origin_port = quad & 0x80 ? 81 : 80;
	m.seq = 1000u + byte(r) % 4;
	m.ack = byte(r);
	m.end = 1000u + byte(r) % 8;
	m.options = 7;
	m.tsecr = byte(r);
	m.wscale = byte(r) % 15;
	memcpy(text, quad & 0x40 ? "fe1 " : "fe2 ", 4);
	n = 4 + hand_msg_write(&m, text + 4);
	say(r, BACK_FRONTS, text, n);
}

/* A key of a connection that messages speak of, or of its neighbour. */
static void key_of(struct run *r, struct way_key *k, bool out)
{
	uint8_t quad = byte(r);
	const struct way_origin *o = &r->cfg.origin[quad >> 4 & 1];
	struct way_key in;

	memset(&in, 0, sizeof in);
	ip4_map((const uint8_t *)"\xc0\x00\x02\x0a", in.src);
	store_be16((uint8_t *)&in.sport, (uint16_t)(40000 + quad % 6));
	memcpy(in.dst, out || quad & 0x20 ? o->host_ip : o->ip, 16);
	in.dport = out || quad & 0x20 ? o->host_port : o->port;
	*k = in;
	if (!out)
		return;
	memcpy(k->src, in.dst, 16);
	memcpy(k->dst, in.src, 16);
	k->sport = in.dport;
	k->dport = in.sport;
}

static void report(struct run *r)
{
	static const enum way_line_kind kinds[] = { WAY_LINE_EVENT, WAY_LINE_EVENT, WAY_LINE_EVENT,
						    WAY_LINE_SEEN,  WAY_LINE_HAVE,  WAY_LINE_NONE,
						    WAY_LINE_END };
	struct way_line l = { .kind = kinds[byte(r) % 7] };
	char text[WAY_LINE_MAX];
	bool out = byte(r) & 1;
	size_t n;

	key_of(r, &l.key, out && l.kind != WAY_LINE_EVENT);
	l.event = (struct way_event){ .kind = byte(r) % WAY_EV_COUNT,
				      .id = byte(r) % 6,
				      .key = l.key,
				      .a = byte(r),
				      .b = byte(r) & 1 };
	l.way.flags = byte(r);
	l.way.act = WAY_HOST;
	l.way.seen = byte(r) & 31;
	l.idle_ms = byte(r);
	n = way_line_write(&l, text);
	say(r, BACK_PLANE, text, n);
}

static void segment(struct run *r)
{
	static const uint8_t flags[] = { TCP_SYN,	    TCP_SYN | TCP_ACK,
					 TCP_ACK,	    TCP_ACK | TCP_PSH,
					 TCP_ACK | TCP_FIN, TCP_RST,
					 TCP_RST | TCP_ACK, TCP_FIN };
	uint8_t what = byte(r),
		opt[36] = "\x02\x04\x05\xb4\x04\x02\x08\x0a\0\0\0\x64\0\0\xc3\x50\x01\x03\x03\x07"
			  "\xfe\x10\x53\x55";
	bool host = what & 0x80;
	struct make_tcp m = { .flags = flags[what & 7], .window = 500, .payload = opt };
	struct lane l = { .eth_len = 14, .ip = 4, .ttl = 64 };
	struct way_key k;

	key_of(r, &k, host);
	l.eth[12] = 8;
	memcpy(l.src, k.src, 16);
	memcpy(l.dst, k.dst, 16);
	l.sport = load_be16((uint8_t *)&k.sport);
	l.dport = load_be16((uint8_t *)&k.dport);
	m.seq = (host ? 0xfffffffcu : 1000u) + byte(r) % 8;
	m.ack = (host ? 1000u : 0u) + byte(r) % 8;
	m.payload_len = what & 8 ? byte(r) % 6 : 0;
	opt[25] = byte(r) & 1; /* origin */
	opt[26] = byte(r) % 16;
	opt[11] = byte(r);
	if (m.flags & TCP_SYN) {
		m.options = opt;
		m.options_len = what & 16 ? 36 : what & 32 ? 20 : 4;
	} else if (what & 64) {
		m.options = (const uint8_t *)"\x01\x01\x08\x0a\0\0\0\x64\0\0\0\x10";
		m.options_len = 12;
	}
	assert(make_tcp(&r->made, 0, &l, &m));
	r->in++;
	give(r, host ? BACK_HOST : BACK_FRONT, r->made.pkt[0]);
	outbox_clear(&r->made);
}

static void raw(struct run *r)
{
	static const unsigned ports[] = { BACK_CONTROL, BACK_FRONTS, BACK_PLANE };
	unsigned port = ports[byte(r) % 3];
	size_t n = byte(r) % 64, left = (size_t)(r->end - r->at);

	if (n > left)
		n = left;
	say(r, port, (const char *)r->at, n);
	r->at += n;
}

static void command(struct run *r)
{
	static const char *const lines[] = { "status", "drain", "drain off", "help" };
	const char *line = lines[byte(r) & 3];

	say(r, BACK_CONTROL, line, strlen(line));
}

static unsigned rows(const struct run *r)
{
	struct flow_row row;
	uint32_t cursor = 0;
	unsigned n = 0;

	while (back_role.list(r->role, &cursor, r->now, &row))
		n++;
	return n;
}

/* Another process takes the records over. */
static void restart(struct run *r)
{
	struct run next = *r;
	struct record rec, again;
	uint32_t cursor = 0, first = 0;
	unsigned n = 0;

	begin(&next, &r->env);
	while (back_role.save(r->role, &cursor, r->now, &rec)) {
		assert(back_role.restore(next.role, &rec, r->now) == 0);
		assert(back_role.restore(next.role, &rec, r->now) == -EEXIST);
		n++;
	}
	assert(n <= FLOWS && rows(&next) == n && rows(r) >= n);
	for (cursor = 0; back_role.save(next.role, &first, r->now, &rec); n--)
		assert(back_role.save(next.role, &cursor, r->now, &again) == rec.len &&
		       memcmp(rec.bytes, again.bytes, rec.len) == 0);
	assert(n == 0);
	free(r->block);
	r->block = next.block;
	r->role = next.role;
	expire(r);
}

static void step(struct run *r)
{
	switch (byte(r) % 12) {
	case 0:
	case 1:
	case 2:
		message(r);
		break;
	case 3:
		report(r);
		break;
	case 4:
		raw(r);
		break;
	case 5:
		command(r);
		break;
	case 6:
		r->now += SUT_MS((sut_time)byte(r) * 4);
		expire(r);
		break;
	case 7:
		restart(r);
		break;
	case 8:
		assert(back_role.configure(r->role, &r->cfg) == 0);
		expire(r);
		break;
	default:
		if (r->env.ports >> BACK_FRONT & 1)
			segment(r);
		else
			report(r);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run r;
	bool beside;

	memset(&r, 0, sizeof r);
	r.at = data;
	r.end = data + size;
	r.now = SUT_MS(1000);
	beside = byte(&r) & 1;
	r.env = (struct role_env){ .random = fixed, .counters = &r.counters };
	r.env.ports = 1u << BACK_CONTROL | 1u << BACK_FRONTS |
		      (beside ? 1u << BACK_PLANE : 1u << BACK_FRONT | 1u << BACK_HOST);
	configure(&r.cfg);
	begin(&r, &r.env);
	for (unsigned i = 0; i < MAX_STEPS && r.at < r.end; i++) {
		uint64_t sent;

		step(&r);
		sent = r.counters.event[EV_RST_SENT];
		assert(beside || r.in + sent - r.left == counters_dropped(&r.counters) -
								 r.counters.dropped[R_MSG_UNKNOWN]);
	}
	free(r.block);
	return 0;
}
