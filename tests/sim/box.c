/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "box.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/record.h"
#include "device.h"

#define ROUNDS 1000 /* calls of expire() at one time */
#define GUARD 256
#define FILL 0xa5

static uint64_t draw(void *ctx)
{
	return rng_next(ctx);
}

void box_open(struct box *b, const struct role_ops *ops, const void *config, uint32_t ports,
	      uint64_t seed, struct counters *counters)
{
	b->ops = ops;
	b->need = ops->need(config);
	assert(b->need);
	b->block = mmap(NULL, b->need + GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0); /* most of it is never touched */
	if (b->block == MAP_FAILED)
		abort();
	memset(b->block + b->need, FILL, GUARD);
	b->rng.s = seed;
	b->env = (struct role_env){
		.ports = ports,
		.random = draw,
		.random_ctx = &b->rng,
		.counters = counters,
	};
	for (unsigned i = 0; i < sizeof b->env.secret; i++)
		b->env.secret[i] = (uint8_t)rng_next(&b->rng);
	b->role = ops->init(b->block, config, &b->env);
}

struct leaving {
	struct box *b;
	unsigned port;
};

static void wire_frame(void *ctx, struct packet *p)
{
	struct leaving *l = ctx;

	l->b->sent(l->b->ctx, l->port, p);
}

static void flush(struct box *b)
{
	for (unsigned i = 0; i < b->out.n; i++) {
		struct leaving l = { b, b->out.port[i] };
		const char *wrong = device_send(b->out.pkt[i], wire_frame, &l);

		b->fault = b->fault ? b->fault : wrong;
	}
	outbox_clear(&b->out);
}

void box_input(struct box *b, unsigned port, struct packet **pkts, unsigned n, bool split,
	       sut_time now)
{
	unsigned step = split ? 1 : n;
	struct burst in = { .n = (uint16_t)step, .port = (uint16_t)port, .now = now };

	for (unsigned at = 0; at < n; at += step) {
		in.pkts = pkts + at;
		b->ops->input(b->role, &in, &b->out);
		flush(b);
	}
}

void box_tell(struct box *b, unsigned port, const char *text, sut_time now)
{
	uint8_t bytes[PACKET_HEADROOM + 256];
	struct packet p = { .head = bytes + PACKET_HEADROOM, .head_len = (uint32_t)strlen(text) };
	struct packet *ptr = &p;

	assert(p.head_len <= sizeof bytes - PACKET_HEADROOM);
	memcpy(p.head, text, p.head_len);
	box_input(b, port, &ptr, 1, false, now);
}

void box_expire(struct box *b, sut_time now)
{
	for (unsigned i = 0; box_deadline(b) <= now; i++) {
		if (i == ROUNDS) {
			b->fault = "its deadline stays due";
			return;
		}
		b->ops->expire(b->role, now, &b->out);
		flush(b);
	}
}

sut_time box_deadline(const struct box *b)
{
	return b->ops ? b->ops->deadline(b->role) : SUT_NEVER;
}

const char *box_fault(const struct box *b)
{
	for (unsigned i = 0; b->ops && i < GUARD; i++)
		if (b->block[b->need + i] != FILL)
			return "something was written behind its block";
	return b->fault;
}

unsigned box_flows(const struct box *b, sut_time now)
{
	uint32_t cursor = 0;
	unsigned n = 0;
	struct record_reader rd;
	struct record r;

	while (b->ops && b->ops->save(b->role, &cursor, now, &r)) {
		if (record_open(&r, &rd))
			return 1000;
		n += rd.kind == REC_ACCEL_FLOW || rd.kind == REC_REPLICA_FLOW ||
		     rd.kind == REC_REPLICA_COMPARE;
	}
	return n;
}

void box_close(struct box *b)
{
	if (b->ops)
		(void)munmap(b->block, b->need + GUARD);
	memset(b, 0, sizeof *b);
}
