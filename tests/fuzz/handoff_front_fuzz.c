/* SPDX-License-Identifier: MIT */
/*
 * handoff_front_fuzz - bytes as a sequence of segments, frames, messages, restarts and time steps into handoff-front.
 *
 * Input: a byte of settings, then steps: a byte says what, the next ones its numbers.  Checked after every call: what leaves can be parsed and has
 * valid checksums, nothing goes to a port that is not joined, and the role is sound (front_check); and at the end, when hours have gone by, that
 * no hand-off is left.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/env.h"
#include "core/flow_row.h"
#include "core/make.h"
#include "core/record.h"
#include "proto/checksum.h"
#include "role/handoff/front.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLIENT_ISN 0xfffffff0u
#define SERVER_ISN 0x7ffffff0u
#define MAX_STEPS 256
#define CLIENTS 4u

struct run {
	const uint8_t *at, *end;
	struct front_config cfg;
	struct front_backend first[2]; /* those of the beginning */
	bool reloaded;
	struct counters counters;
	struct role_env env;
	void *block, *role;
	size_t need;
	struct outbox *out, *made;
	sut_time now;
	uint64_t random;
	uint32_t id; /* as last said to an agent */
	uint32_t snd_nxt[CLIENTS]; /* what the front end sent last to each client */
	uint16_t own_port; /* of the last splice */
	uint32_t own_seq;
	bool damaged; /* the frame in hand */
};

static uint8_t byte(struct run *r)
{
	return r->at < r->end ? *r->at++ : 0;
}

static uint64_t next_random(void *ctx)
{
	uint64_t *s = ctx;

	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return *s ^ *s >> 29;
}

static void mapped(uint8_t ret_ip[16], uint32_t ip)
{
	memset(ret_ip, 0, 10);
	memset(ret_ip + 10, 0xff, 2);
	store_be32(ret_ip + 12, ip);
}

/* --- what leaves */

static void note_message(struct run *r, const struct packet *p)
{
	char text[1500];
	const char *id;

	assert(p->head_len < sizeof text);
	memcpy(text, p->head, p->head_len);
	text[p->head_len] = 0;
	id = strstr(text, " id=");
	if (id != NULL)
		r->id = (uint32_t)strtoul(id + 4, NULL, 10);
}

static void note_segment(struct run *r, const struct packet *p)
{
	struct view v;
	uint16_t sport, dport;

	assert(view_parse(p, &v) == R_NONE);
	if (!v.tcp)
		return;
	assert(r->damaged || csum_tcp_ok(p, &v)); /* what is wrong stays wrong */
	sport = be16_get(view_tcp(p, &v)->sport);
	dport = be16_get(view_tcp(p, &v)->dport);
	if (sport == 80 && dport >= 40000 && dport < 40000 + CLIENTS)
		r->snd_nxt[dport - 40000] = v.seq + view_seg_len(&v);
	if (dport == 8080 && (v.flags & TCP_SYN)) {
		r->own_port = sport;
		r->own_seq = v.seq;
	}
}

static void check_out(struct run *r)
{
	const char *why = front_check(r->role);

	for (unsigned i = 0; i < r->out->n; i++) {
		unsigned port = r->out->port[i];

		assert(r->env.ports >> port & 1);
		if (port == FRONT_CLIENT || port == FRONT_BACKEND)
			note_segment(r, r->out->pkt[i]);
		else if (port == FRONT_AGENTS)
			note_message(r, r->out->pkt[i]);
	}
	outbox_clear(r->out);
	if (why != NULL) {
		fprintf(stderr, "%s\n", why);
		abort();
	}
}

static void input(struct run *r, unsigned port, struct packet *p)
{
	struct burst in = { &p, 1, (uint16_t)port, r->now };

	if (!(r->env.ports >> port & 1))
		return;
	front_role.input(r->role, &in, r->out);
	check_out(r);
}

static void due(struct run *r)
{
	for (unsigned n = 0; front_role.deadline(r->role) <= r->now; n++) {
		assert(n < 100000);
		front_role.expire(r->role, r->now, r->out);
		check_out(r);
	}
}

/* --- frames */

static void frame(struct run *r, unsigned port, const struct lane *l, const struct make_tcp *m,
		  unsigned damage)
{
	struct packet *p;

	outbox_clear(r->made);
	if (!make_tcp(r->made, port, l, m))
		return;
	p = r->made->pkt[0];
	r->damaged = damage > 0;
	if (damage > 0)
		p->head[damage % p->head_len] ^= 0x55;
	input(r, port, p);
	r->damaged = false;
}

static struct lane lane_of(uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport)
{
	struct lane l = { .eth_len = 14, .ip = 4, .ttl = 64, .sport = sport, .dport = dport };

	l.eth[0] = l.eth[6] = 2;
	l.eth[12] = 8;
	mapped(l.src, src);
	mapped(l.dst, dst);
	return l;
}

static uint8_t options(struct run *r, uint8_t opt[40], uint32_t tsval)
{
	uint8_t which = byte(r);

	memset(opt, 0, 40);
	switch (which % 4) {
	case 1:
		memcpy(opt, "\x02\x04\x05\xb4\x04\x02\x08\x0a", 8);
		store_be32(opt + 8, tsval);
		memcpy(opt + 16, "\x01\x03\x03\x05", 4);
		return 20;
	case 2:
		memcpy(opt, "\x01\x01\x08\x0a", 4);
		store_be32(opt + 4, tsval);
		store_be32(opt + 8, which);
		return 12;
	case 3:
		for (unsigned i = 0; i < 8; i++)
			opt[i] = byte(r);
		return 8;
	default:
		return 0;
	}
}

static const char *const texts[] = {
	"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
	"GET / HTTP/1.1\r\nHo",
	"st: a.example\r\n\r\n",
	"POST /up HTTP/1.1\r\nHost: b.example\r\nContent-Length: 100\r\n\r\n0123456789",
	"\x16\x03\x01\x02\x00",
	"garbage\r\n\r\n",
};

static void step_client(struct run *r)
{
	unsigned who = byte(r) % CLIENTS;
	struct lane l = lane_of(0xc000020a, (uint16_t)(40000 + who), 0xc6336401, 80);
	uint8_t opt[40], flags = byte(r);
	uint32_t d_seq = byte(r);
	const char *text = texts[byte(r) % 6];
	struct make_tcp m = {
		.flags = flags & 0x3f,
		.seq = CLIENT_ISN + d_seq,
		.ack = flags & TCP_ACK ? r->snd_nxt[who] + (byte(r) & 3) : 0,
		.window = 0xffff,
		.options = opt,
	};

	if (!(flags & 0x40)) {
		m.payload = (const uint8_t *)text;
		m.payload_len = (uint32_t)strlen(text);
	}
	m.options_len = options(r, opt, (uint32_t)(r->now / 1000000));
	frame(r, FRONT_CLIENT, &l, &m, flags & 0x80 ? byte(r) : 0);
}

static void step_backend(struct run *r)
{
	struct lane l = lane_of(0xcb00710b, 8080, 0xcb007101, r->own_port);
	uint8_t opt[40], flags = byte(r);
	struct make_tcp m = {
		.flags = flags & 0x3f,
		.seq = SERVER_ISN + byte(r),
		.ack = flags & TCP_ACK ? r->own_seq + byte(r) : 0,
		.window = 0x1000,
		.options = opt,
		.payload = (const uint8_t *)texts[3],
		.payload_len = flags & 0x40 ? 50 : 0,
	};

	m.options_len = options(r, opt, 5000 + (uint32_t)(r->now / 1000000));
	frame(r, FRONT_BACKEND, &l, &m, flags & 0x80 ? byte(r) : 0);
}

static void raw(struct run *r, unsigned port)
{
	uint8_t bytes[PACKET_HEADROOM + 256];
	struct packet p = { .head = bytes + PACKET_HEADROOM };

	p.head_len = byte(r);
	for (uint32_t i = 0; i < p.head_len; i++)
		p.head[i] = byte(r);
	input(r, port, &p);
}

/* An ICMP error that quotes what a back end, or we, had sent. */
static void step_icmp(struct run *r)
{
	uint8_t b[PACKET_HEADROOM + 128] = { 0 }, *h = b + PACKET_HEADROOM;
	struct packet p = { .head = h, .head_len = 14 + 20 + 8 + 20 + 8 };
	bool splice = byte(r) & 1;
	struct view v;

	h[12] = 8;
	memcpy(h + 14, "\x45\0\0\x38\0\0\0\0\x40\x01\0\0\xc0\0\x02\xfe", 16);
	store_be32(h + 30, splice ? 0xcb007101 : 0xc6336401);
	h[34] = 3;
	h[35] = 4;
	store_be16(h + 40, 1400);
	memcpy(h + 42, "\x45\0\x05\xdc\0\0\x40\0\x40\x06\0\0", 12);
	store_be32(h + 54, splice ? 0xcb007101 : 0xc6336401);
	store_be32(h + 58, splice ? 0xcb00710b : 0xc000020a);
	store_be16(h + 62, splice ? r->own_port : 80);
	store_be16(h + 64, splice ? 8080 : (uint16_t)(40000 + byte(r) % CLIENTS));
	store_be32(h + 66, byte(r));
	if (view_parse(&p, &v) == R_NONE && byte(r) % 8 != 0)
		csum_icmp_fill(&p, &v);
	input(r, FRONT_CLIENT, &p);
}

/* --- messages */

static void say(struct run *r, unsigned port, const char *text)
{
	uint8_t bytes[PACKET_HEADROOM + 1024];
	struct packet p = { .head = bytes + PACKET_HEADROOM, .head_len = (uint32_t)strlen(text) };

	memcpy(p.head, text, p.head_len);
	input(r, port, &p);
}

static void step_agent(struct run *r)
{
	static const char *const is[] = { "pending", "there", "closing", "gone", "unknown" };
	static const char *const fins[] = { "none", "in", "out", "both" };
	uint8_t what = byte(r), more = byte(r);
	char text[256];

	switch (what % 4) {
	case 0:
		snprintf(text, sizeof text,
			 "web1 host opts=%s kernel=6.18 boot=%u adopt=%s shift=%s why=no "
			 "rcvwnd=%u wscale=7 origins=0",
			 more & 8 ? "ts" : "ts,sack,ws", (unsigned)(more >> 6),
			 more & 1 ? "yes" : "no", more & 2 ? "yes" : "no", more & 4 ? 64240u : 3u);
		break;
	case 1:
		snprintf(text, sizeof text, "web1 ready id=%u", r->id);
		break;
	case 2:
		snprintf(text, sizeof text, "web1 refused id=%u why=no-room", r->id);
		break;
	default:
		snprintf(text, sizeof text, "web1 state id=%u ack=%u is=%s acked=%u fin=%s rst=0",
			 r->id, CLIENT_ISN + byte(r), is[more % 5], (unsigned)(more >> 7),
			 fins[more >> 3 & 3]);
		break;
	}
	say(r, FRONT_AGENTS, text);
}

static void step_plane(struct run *r)
{
	static const char *const lines[] = {

		/* clang-format off */
		"seen 192.0.2.10:4000%u > 198.51.100.1:80 idle=5 packets=1 bytes=60 seen=any,fin fin=3",
		"none 192.0.2.10:4000%u > 198.51.100.1:80",
		"event fin-in 192.0.2.10:4000%u > 198.51.100.1:80 id=%u a=1 b=0",
		"event rst-in 192.0.2.10:4000%u > 198.51.100.1:80 id=%u a=1 b=1",
		"event syn-in 192.0.2.10:4000%u > 198.51.100.1:80 id=%u a=1 b=0",
		"event rst-out 192.0.2.10:4000%u > 198.51.100.1:80 id=%u a=1 b=0",
		"have 192.0.2.10:4000%u > 198.51.100.1:80 act=send id=%u if=3 expect=7",
		"have 192.0.2.10:4000%u > 198.51.100.1:80 act=send flags=src,dst,shift id=%u if=3 mate=203.0.113.11:8080>203.0.113.1:20000",
		"have 203.0.113.11:8080 > 203.0.113.1:2000%u act=send flags=src,dst,shift id=%u if=3 mate=192.0.2.10:40000>198.51.100.1:80",
		"have 203.0.113.11:8080 > 203.0.113.1:2000%u act=user id=%u",
		"end",
		/* clang-format on */
	};
	char text[256];
	uint8_t which = byte(r);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof text, lines[which % 11], (unsigned)(which >> 6), r->id);
#pragma GCC diagnostic pop
	say(r, FRONT_PLANE, text);
}

static void step_world(struct run *r)
{
	static const char *const lines[] = {
		"backend web1 mac 02:00:00:00:00:02 via 02:00:00:00:00:01 if 3",
		"backend web2 mac 02:00:00:00:00:02 via 02:00:00:00:00:01",
		"backend web1 up",
		"backend web1 down no answer",
		"backend web2 down",
		"client if 2",
		"backend web9 up",
	};

	say(r, FRONT_WORLD, lines[byte(r) % 7]);
}

static void routes_of(struct front_config *c)
{
	const char *names[2] = { c->backend[0].name, c->backend[1].name };
	char err[128], all[80] = "default ";

	c->routes = (struct route_table){ 0 };
	route_backends(&c->routes, names, c->backends);
	strcat(strcat(all, names[0]), c->backends > 1 ? "," : "");
	if (c->backends > 1)
		strcat(all, names[1]);
	assert(route_rule_read(&c->routes, all, names, c->backends, err) == 0);
}

/* Other back ends: those of the beginning; one of them; one with another address, and one of the other family; one with an agent elsewhere. */
static void reload(struct run *r, unsigned which)
{
	struct front_config *c = &r->cfg;

	memcpy(c->backend, r->first, sizeof r->first);
	c->backends = 2;
	if (which == 1) {
		c->backend[0] = r->first[1];
		c->backends = 1;
	} else if (which == 2) {
		mapped(c->backend[0].at[0].ip, 0xcb007115);
		memset(c->backend[0].at[1].ip, 0x20, 16);
		c->backend[0].at[1].port = 8080;
	} else if (which == 3) {
		c->backend[0].agent.port = 4510;
		memcpy(c->backend[1].name, "web3", 5);
	}
	routes_of(c);
	assert(front_role.need(c) > 0);
	assert(front_role.configure(r->role, c) == 0);
	r->reloaded = true;
}

static void step_control(struct run *r)
{
	static const char *const lines[] = {
		"status",
		"drain",
		"drain off",
		"backend web1 drain",
		"backend web1 undrain",
		"backend web2 weight 0",
		"backend web1 rung adopt",
		"backend web1 rung shift",
		"backend web1 rung splice",
		"backend web1 rung auto",
		"status web2",
		"nonsense",
	};

	unsigned which = byte(r) % 16;

	if (which < 12)
		say(r, FRONT_CONTROL, lines[which]);
	else
		reload(r, which - 12);
}

/* --- life */

static void lay_out(struct run *r)
{
	r->need = front_role.need(&r->cfg);
	assert(r->need > 0);
	r->block = aligned_alloc(64, (r->need + 63) & ~(size_t)63);
	assert(r->block != NULL);
	memset(r->block, 0, r->need);
	r->role = front_role.init(r->block, &r->cfg, &r->env);
}

static void step_restart(struct run *r)
{
	void *old_block = r->block, *old = r->role;
	struct record rec;
	uint32_t cursor = 0;

	lay_out(r);
	while (front_role.save(old, &cursor, r->now, &rec) > 0) {
		struct record bad = rec;

		bad.bytes[byte(r) % bad.len] ^= 1;
		assert(front_role.restore(r->role, &bad, r->now) != 0);
		int err = front_role.restore(r->role, &rec, r->now);

		assert(err == 0 || r->reloaded); /* a back end may be gone */
	}
	free(old_block);
}

static void step_time(struct run *r)
{
	uint8_t b = byte(r);

	r->now += SUT_MS((uint64_t)b * b);
	due(r);
}

static void one(struct run *r)
{
	switch (byte(r) % 14) {
	case 0:
	case 1:
	case 2:
		step_client(r);
		break;
	case 3:
	case 4:
		step_backend(r);
		break;
	case 5:
		raw(r, byte(r) % 6);
		break;
	case 6:
	case 7:
		step_agent(r);
		break;
	case 8:
		step_plane(r);
		break;
	case 9:
		step_world(r);
		break;
	case 10:
		step_control(r);
		break;
	case 11:
		step_icmp(r);
		break;
	case 12:
		step_restart(r);
		break;
	default:
		step_time(r);
		break;
	}
	due(r);
}

static void configure(struct run *r, uint8_t settings)
{
	static const char *const names[] = { "web1", "web2" };
	struct front_config *c = &r->cfg;
	char err[128];

	*c = (struct front_config){ .max_conns = 8,
				    .head_max = 200,
				    .mtu = 1500,
				    .port_lo = 20000,
				    .port_hi = 20003,
				    .head_timeout = SUT_MS(10000),
				    .idle_timeout = SUT_MS(3600000),
				    .linger = SUT_MS(60000),
				    .confirm_timeout = SUT_MS(1000),
				    .header = settings & 1,
				    .bad_close = settings & 2,
				    .origins = 1,
				    .backends = 2 };
	mapped(c->origin[0].ip, 0xc6336401);
	c->origin[0].port = 80;
	if (settings & 4)
		mapped(c->own_ip4, 0xcb007101);
	for (unsigned i = 0; i < 2; i++) {
		memcpy(c->backend[i].name, names[i], 5);
		mapped(c->backend[i].at[0].ip, 0xcb00710b + i);
		c->backend[i].at[0].port = 8080;
		c->backend[i].rungs = 7;
		c->backend[i].has_agent = i == 0;
		c->backend[i].far_host = settings & 8;
	}
	memcpy(r->first, c->backend, sizeof r->first);
	route_backends(&c->routes, names, 2);
	assert(route_rule_read(&c->routes, "a.example web1", names, 2, err) == 0);
	assert(route_rule_read(&c->routes, "default web2,web1", names, 2, err) == 0);
	r->env = (struct role_env){ .random = next_random,
				    .random_ctx = &r->random,
				    .counters = &r->counters,
				    .ports = settings & 16 ? 63 : 63 & ~(1u << FRONT_PLANE) };
	if (settings & 32)
		r->env.ports &= ~(1u << FRONT_BACKEND);
}

/* Hours of silence. */
static void silence(struct run *r)
{
	struct flow_row row;
	uint32_t cursor = 0;

	for (unsigned i = 0; i < 3 * 60; i++) {
		r->now += SUT_MS(60000);
		due(r);
	}
	assert(!front_role.list(r->role, &cursor, r->now, &row));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct outbox out, made;
	struct run r = { .at = data, .end = data + size, .out = &out, .made = &made, .random = 1 };

	outbox_clear(&out);
	configure(&r, byte(&r));
	lay_out(&r);
	for (unsigned i = 0; i < MAX_STEPS && r.at < r.end; i++)
		one(&r);
	silence(&r);
	free(r.block);
	return 0;
}
