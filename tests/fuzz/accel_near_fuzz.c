/* SPDX-License-Identifier: MIT */
/*
 * accel_near_fuzz - bytes as a sequence of segments, frames and time steps into accel-near.
 *
 * Input: a byte of settings, then steps: a byte says what, the next ones its numbers.  Checked after every call: what leaves has
 * valid checksums, no ACK leaves towards the client beyond what the server acknowledged, or towards the server beyond
 * what the client did, and no more is held than the limits allow; and at the end, when all timers have run out, that nothing is held or
 * counted against a budget.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/env.h"
#include "core/make.h"
#include "proto/checksum.h"
#include "role/accel/near.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLIENT_ISN 0xfffffff0u
#define SERVER_ISN 0x7ffffff0u
#define MAX_STEPS 512

struct run {
	const uint8_t *at, *end;
	struct counters counters;
	void *role;
	struct outbox *out, *made;
	sut_time now;
	uint32_t promise; /* as last seen in a promised SYN-ACK */
	/* most that the server acknowledged of the client, behind CLIENT_ISN */
	uint32_t server_acked;
	bool client_acks; /* the client acknowledged a promise at all */
	int32_t syn_top; /* highest ISN that the client used, behind CLIENT_ISN */
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

/* The packets that left: their form, and the acknowledgements in them. */
static void check_out(struct run *r)
{
	for (unsigned i = 0; i < r->out->n; i++) {
		const struct packet *p = r->out->pkt[i];
		struct view v;

		if (view_parse(p, &v) != R_NONE || !v.tcp || view_tcp(p, &v)->dport.b[0] == 0xee)
			continue;
		if (r->out->port[i] == ACCEL_CLIENT) {
			if ((v.flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))
				r->promise = v.seq;
			if (v.flags & TCP_ACK && !(v.flags & TCP_RST))
				assert((int32_t)(v.ack - CLIENT_ISN - 1) <= r->syn_top ||
				       (int32_t)(v.ack - CLIENT_ISN - r->server_acked) <= 0);
		} else if (v.flags & TCP_ACK && !(v.flags & (TCP_RST | TCP_SYN)) &&
			   v.ack == SERVER_ISN + 1) {
			assert(r->client_acks);
		}
		assert(csum_tcp_ok(p, &v));
	}
}

static void input(struct run *r, unsigned port, struct packet *p)
{
	struct burst in = { &p, 1, (uint16_t)port, r->now };

	outbox_clear(r->out);
	accel_near_ops.input(r->role, &in, r->out);
	check_out(r);
}

static uint8_t options(struct run *r, uint8_t opt[40])
{
	static const uint8_t sets[][20] = {
		{ 0 },
		{ 2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7 },
		{ 2, 4, 2, 24, 1, 3, 3, 0, 1, 1, 4, 2 },
		{ 1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 9 },
		{ 1, 1, 5, 10, 0, 0, 0, 9, 0, 0, 1, 9 },
		{ 30, 12, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 34, 2, 1, 1 },
	};
	static const uint8_t lens[] = { 0, 20, 12, 12, 12, 16 };
	uint8_t which = byte(r);
	uint8_t len = 0;

	if (which % 8 < 6) {
		len = lens[which % 8];
		memcpy(opt, sets[which % 8], len);
	} else {
		len = (uint8_t)(which / 8 % 11 * 4);
		for (uint8_t i = 0; i < len; i++)
			opt[i] = byte(r);
	}
	return len;
}

static struct lane lane(bool client)
{
	static const uint8_t a[16] = { [10] = 0xff, 0xff, 192, 0, 2, 10 };
	static const uint8_t b[16] = { [10] = 0xff, 0xff, 198, 51, 100, 1 };
	struct lane l = { .eth_len = 14,
			  .ip = 4,
			  .ttl = 64,
			  .sport = client ? 40000 : 80,
			  .dport = client ? 80 : 40000 };

	l.eth[12] = 8;
	memcpy(l.src, client ? a : b, 16);
	memcpy(l.dst, client ? b : a, 16);
	return l;
}

static const uint8_t payload[4096];

static void step_segment(struct run *r, unsigned port)
{
	bool client = port == ACCEL_CLIENT;
	uint8_t opt[40];
	struct lane l = lane(client);
	struct make_tcp m = { .flags = byte(r), .options = opt };
	int8_t d_seq = (int8_t)byte(r), d_ack = (int8_t)byte(r);

	m.window = (uint16_t)(byte(r) << 8);
	m.payload_len = byte(r) * 8u;
	m.payload = payload;
	m.options_len = options(r, opt);
	m.seq = (client ? CLIENT_ISN : SERVER_ISN) + (uint32_t)d_seq;
	m.ack = (client ? r->promise + 1 : CLIENT_ISN + 1) + (uint32_t)d_ack;
	if (!(m.flags & TCP_ACK))
		m.ack = 0;
	if (!client && m.flags & TCP_ACK && d_ack >= 0 && (uint32_t)d_ack + 1 > r->server_acked)
		r->server_acked = (uint32_t)d_ack + 1;
	if (client && m.flags & TCP_ACK)
		r->client_acks = true;
	if (client && m.flags & TCP_SYN && d_seq > r->syn_top)
		r->syn_top = d_seq;
	outbox_clear(r->made);
	if (make_tcp(r->made, port, &l, &m))
		input(r, port, r->made->pkt[0]);
}

static void step_raw(struct run *r)
{
	uint8_t buf[256 + PACKET_HEADROOM];
	struct packet p = { .head = buf + PACKET_HEADROOM };
	unsigned port = byte(r) & 1;

	p.head_len = byte(r);
	p.off.csum = byte(r) % 3;
	for (uint32_t i = 0; i < p.head_len; i++)
		p.head[i] = byte(r);
	if (p.head_len > 37)
		p.head[36] = 0xee; /* a destination port that check_out leaves alone */
	input(r, port, &p);
}

static void step_time(struct run *r)
{
	sut_time steps[] = { 0, SUT_MS(1), SUT_MS(6), SUT_MS(250), SUT_MS(1100), SUT_MS(61000) };

	r->now += steps[byte(r) % 6];
	for (unsigned i = 0; i < 100 && accel_near_ops.deadline(r->role) <= r->now; i++) {
		outbox_clear(r->out);
		accel_near_ops.expire(r->role, r->now, r->out);
		check_out(r);
	}
}

/* Time passes until nothing is left to happen: what was taken must have been given back. */
static void end(struct run *r)
{
	for (unsigned i = 0; i < 10000 && accel_near_ops.deadline(r->role) != SUT_NEVER; i++) {
		sut_time at = accel_near_ops.deadline(r->role);

		r->now = at > r->now ? at : r->now;
		outbox_clear(r->out);
		accel_near_ops.expire(r->role, r->now, r->out);
		check_out(r);
	}
	assert(accel_near_ops.deadline(r->role) == SUT_NEVER);
	assert(accel_near_held(r->role) == 0);
	assert(accel_near_pending(r->role) == 0);
}

static void configure(struct run *r, struct accel_near_config *c)
{
	uint8_t b = byte(r);

	accel_near_defaults(c);
	c->mode = b % ACCEL_MODE_COUNT;
	c->first_contact_promise = b & 8;
	c->isn_near_wrap = b & 16;
	c->idempotent[0] = (struct port_range){ 80, 80 };
	c->max_flows = 8;
	c->max_servers = 8;
	c->max_cookies = 8;
	c->hold_cells = 16;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = { .at = data, .end = data + size, .now = SUT_MS(1) };
	struct role_env env = { .secret = { 1 }, .random = fixed, .counters = &r.counters };
	struct accel_near_config cfg;
	size_t need;
	void *block;

	configure(&r, &cfg);
	need = accel_near_ops.need(&cfg);
	block = aligned_alloc(64, (need + 63) & ~(size_t)63);
	memset(block, 0, need);
	r.out = malloc(sizeof *r.out);
	r.made = malloc(sizeof *r.made);
	r.role = accel_near_ops.init(block, &cfg, &env);
	for (unsigned i = 0; i < MAX_STEPS && r.at < r.end; i++) {
		switch (byte(&r) % 8) {
		case 0:
			step_raw(&r);
			break;
		case 1:
			step_time(&r);
			break;
		case 2:
		case 3:
		case 4:
			step_segment(&r, ACCEL_CLIENT);
			break;
		default:
			step_segment(&r, ACCEL_SERVER);
			break;
		}
	}
	end(&r);
	free(r.out);
	free(r.made);
	free(block);
	return 0;
}
