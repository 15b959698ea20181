/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/env.h"
#include "core/outbox.h"
#include "proto/ip.h"
#include "proto/tcp.h"
#include "proto/view.h"
#include "role/wire/line.h"
#include "role/wire/wire.h"

/* A wire, the frames that it sent, and its counters. */
struct rig {
	struct counters counters;
	struct role_env env;
	void *block;
	void *role;
	struct outbox out;
	unsigned n; /* frames that left */
	struct {
		sut_time at;
		unsigned port;
		uint32_t len, id;
		struct offload off;
	} got[20000];
};

static void rig_open(struct rig *r, const struct wire_config *c)
{
	size_t need = wire_ops.need(c);

	memset(r, 0, sizeof *r);
	r->env.counters = &r->counters;
	assert_int_not_equal(need, 0);
	r->block = aligned_alloc(64, need);
	assert_non_null(r->block);
	memset(r->block, 0, need);
	r->role = wire_ops.init(r->block, c, &r->env);
}

/* Reads what is in the outbox, as the app flushes it: a frame's first bytes are its number. */
static void flush(struct rig *r, sut_time now)
{
	for (unsigned i = 0; i < r->out.n; i++) {
		const struct packet *p = r->out.pkt[i];

		assert_in_range(r->n, 0, 19999);
		r->got[r->n].at = now;
		r->got[r->n].port = r->out.port[i];
		r->got[r->n].len = packet_len(p);
		r->got[r->n].off = p->off;
		r->got[r->n++].id = load_be32(p->head);
	}
	outbox_clear(&r->out);
}

static void expire_until(struct rig *r, sut_time until)
{
	while (wire_ops.deadline(r->role) <= until) {
		sut_time now = wire_ops.deadline(r->role);

		wire_ops.expire(r->role, now, &r->out);
		flush(r, now);
	}
}

/* n frames of len bytes, numbered from id, come in at port at once. */
static void input(struct rig *r, unsigned port, sut_time now, uint32_t id, unsigned n, uint32_t len)
{
	static uint8_t bytes[64][2048];
	struct packet pkt[64], *ptr[64];
	struct burst in = { .pkts = ptr, .n = (uint16_t)n, .port = (uint16_t)port, .now = now };

	for (unsigned i = 0; i < n; i++) {
		store_be32(bytes[i], id + i);
		pkt[i] = (struct packet){ .head = bytes[i], .head_len = len };
		ptr[i] = &pkt[i];
	}
	wire_ops.input(r->role, &in, &r->out);
	flush(r, now);
}

static void zero_delay_passes_straight_through(void **state)
{
	static struct rig r;
	struct wire_config c;

	(void)state;
	wire_defaults(&c);
	rig_open(&r, &c);
	input(&r, WIRE_A, 5, 100, 64, 60);
	input(&r, WIRE_B, 6, 200, 1, 1514);
	assert_int_equal(r.n, 65);
	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(r.got[i].id, 100 + i);
		assert_int_equal(r.got[i].port, WIRE_B);
	}
	assert_int_equal(r.got[64].port, WIRE_A);
	assert_int_equal(wire_held(r.role, WIRE_A), 0);
	assert_true(wire_ops.deadline(r.role) == SUT_NEVER);
	free(r.block);
}

static void delay_is_exact_and_per_direction(void **state)
{
	static struct rig r;
	struct wire_config c;

	(void)state;
	wire_defaults(&c);
	c.link[WIRE_A].delay = SUT_MS(20);
	c.link[WIRE_B].delay = SUT_MS(5);
	rig_open(&r, &c);
	input(&r, WIRE_A, 1001, 1, 2, 60);
	input(&r, WIRE_B, 2002, 3, 1, 60);
	assert_int_equal(r.n, 0);
	assert_true(wire_ops.deadline(r.role) == SUT_MS(5) + 2002);
	expire_until(&r, SUT_MS(100));
	assert_int_equal(r.n, 3);
	assert_int_equal(r.got[0].id, 3);
	assert_true(r.got[0].at == SUT_MS(5) + 2002);
	assert_true(r.got[1].at == SUT_MS(20) + 1001 && r.got[1].id == 1);
	assert_int_equal(r.got[2].id, 2);
	free(r.block);
}

static void exact_drops_count_per_direction(void **state)
{
	static struct rig r;
	struct wire_config c;

	(void)state;
	wire_defaults(&c);
	c.link[WIRE_A].nth[0] = 2;
	rig_open(&r, &c);
	input(&r, WIRE_B, 0, 1, 3, 60);
	input(&r, WIRE_A, 0, 11, 3, 60);
	assert_int_equal(r.n, 5);
	assert_int_equal(r.got[4].id, 13);
	assert_int_equal(r.counters.dropped[R_WIRE_NTH], 1);
	free(r.block);
}

/*
 * Many times more frames than a burst leave at one moment: all come, in order, over several calls.
 */
static void full_outbox_keeps_the_rest(void **state)
{
	static struct rig r;
	struct wire_config c;

	(void)state;
	wire_defaults(&c);
	c.link[WIRE_A].delay = SUT_MS(1);
	rig_open(&r, &c);
	for (unsigned i = 0; i < 20; i++)
		input(&r, WIRE_A, 0, i * 64, 64, 100);
	wire_ops.expire(r.role, SUT_MS(1), &r.out);
	assert_int_equal(r.out.n, OUTBOX_PKTS);
	assert_true(wire_ops.deadline(r.role) <= SUT_MS(1));
	flush(&r, SUT_MS(1));
	expire_until(&r, SUT_MS(1));
	assert_int_equal(r.n, 20 * 64);
	for (unsigned i = 0; i < r.n; i++)
		assert_int_equal(r.got[i].id, i);
	free(r.block);
}

static void full_memory_is_a_counted_drop(void **state)
{
	static struct rig r;
	struct wire_config c;
	unsigned sent = 0;

	(void)state;
	wire_defaults(&c);
	c.link[WIRE_A].delay = SUT_MS(1);
	c.ring_bytes = LINE_MIN;
	rig_open(&r, &c);
	for (; sent < 64 * 20; sent += 64)
		input(&r, WIRE_A, 0, sent, 64, 1500);
	assert_true(r.counters.dropped[R_WIRE_QUEUE] > 0);
	expire_until(&r, SUT_MS(1));
	assert_int_equal(r.n + r.counters.dropped[R_WIRE_QUEUE], sent);
	for (unsigned i = 0; i < r.n; i++)
		assert_int_equal(r.got[i].id, i);
	for (unsigned i = 0; i < 100; i++) { /* and it is whole again: round the ring many times */
		input(&r, WIRE_A, SUT_MS(10 * (i + 1)), sent + i, 64, 1500);
		expire_until(&r, SUT_MS(10 * (i + 1) + 5));
	}
	assert_int_equal(r.n + r.counters.dropped[R_WIRE_QUEUE], sent + 6400);
	free(r.block);
}

/* What found no room in memory takes no time: the link is free once what was held has left. */
static void full_memory_costs_no_time(void **state)
{
	static struct rig r;
	struct wire_config c;
	sut_time end;
	unsigned held;

	(void)state;
	wire_defaults(&c);
	c.link[WIRE_A].rate_bps = 8000000; /* 1.5 ms a frame */
	c.ring_bytes = LINE_MIN;
	rig_open(&r, &c);
	for (unsigned i = 0; i < 100; i++)
		input(&r, WIRE_A, 0, i * 64, 64, 1500);
	held = (unsigned)wire_held(r.role, WIRE_A);
	end = held * SUT_MS(3) / 2;
	assert_in_range(held, 100, 1000);
	expire_until(&r, SUT_MS(1000000));
	assert_int_equal(r.n, held);
	assert_true(r.got[held - 1].at == end);
	input(&r, WIRE_A, end, 0, 1, 1500);
	assert_true(wire_ops.deadline(r.role) == end + SUT_MS(3) / 2);
	free(r.block);
}

/* The same frames in bursts of any size come out the same: order, times, fates. */
static void splits_do_not_show(void **state)
{
	static struct rig whole, split;
	struct wire_config c;
	uint32_t x = 7;

	(void)state;
	wire_defaults(&c);
	for (unsigned d = 0; d < 2; d++) {
		c.link[d] = (struct link_config){
			.delay = 1000 * d,
			.jitter = 3000,
			.loss_ppm = 100000,
			.seed = d,
			.dup_ppm = 100000,
			.reorder_ppm = 100000,
			.reorder_by = 2000,
		};
	}
	rig_open(&whole, &c);
	rig_open(&split, &c);
	for (unsigned i = 0; i < 200; i++) {
		sut_time now = i * 1000;
		unsigned port = (x = x * 1664525u + 1013904223u) >> 31, n = x >> 16 & 63, k;

		expire_until(&whole, now);
		expire_until(&split, now);
		input(&whole, port, now, i * 64, n, 80);
		for (unsigned at = 0; at < n; at += k) {
			k = 1 + (x >> (at & 7) & 15);
			k = k < n - at ? k : n - at;
			input(&split, port, now, i * 64 + at, k, 80);
		}
	}
	expire_until(&whole, SUT_MS(1000));
	expire_until(&split, SUT_MS(1000));
	assert_int_equal(whole.n, split.n);
	assert_true(whole.n > 4000);
	assert_memory_equal(whole.got, split.got, sizeof whole.got);
	free(whole.block);
	free(split.block);
}

/* A super-packet of 3 segments. */
static struct packet super(uint8_t *f)
{
	memset(f, 0, 14 + 40 + 2500);
	store_be16(f + 12, ETH_IP4);
	*(struct ipv4_hdr *)(f + 14) = (struct ipv4_hdr){
		.ver_ihl = 0x45,
		.len = be16_of(40 + 2500),
		.ttl = 64,
		.proto = IP_TCP,
		.src = { 192, 0, 2, 1 },
		.dst = { 198, 51, 100, 1 },
	};
	*(struct tcp_hdr *)(f + 34) = (struct tcp_hdr){ .doff = 0x50, .flags = TCP_ACK };
	return (struct packet){
		.head = f,
		.head_len = 14 + 40 + 2500,
		.off = { .csum = CSUM_PARTIAL,
			 .gso_type = GSO_TCP4,
			 .gso_size = 1000,
			 .csum_start = 34,
			 .csum_offset = 16 },
	};
}

static void super_packets_are_cut_or_stay_one(void **state)
{
	static struct rig r;
	static uint8_t f[3000];
	struct packet p = super(f), *ptr = &p;
	struct burst in = { .pkts = &ptr, .n = 1, .port = WIRE_A };
	struct wire_config c;

	(void)state;
	wire_defaults(&c);
	c.link[WIRE_A].nth[0] = 2;
	rig_open(&r, &c);
	wire_ops.input(r.role, &in, &r.out);
	flush(&r, 0);
	assert_int_equal(r.n, 2); /* the second segment is the second frame of the wire */
	assert_int_equal(r.got[0].len, 1054);
	assert_int_equal(r.got[1].len, 554);
	assert_int_equal(r.got[0].off.gso_type, GSO_NONE);
	assert_int_equal(r.got[0].off.csum, CSUM_COMPLETE);
	free(r.block);

	c.keep_gso = true;
	c.link[WIRE_A].nth[0] = 0;
	c.link[WIRE_A].rate_bps = 8000; /* a byte takes a millisecond */
	rig_open(&r, &c);
	wire_ops.input(r.role, &in, &r.out);
	expire_until(&r, SUT_MS(10000));
	assert_int_equal(r.n, 1);
	assert_true(r.got[0].at == SUT_MS(2500 + 3 * 54));
	assert_int_equal(r.got[0].off.gso_type, GSO_TCP4);
	assert_int_equal(r.got[0].off.csum, CSUM_PARTIAL);
	assert_int_equal(r.got[0].off.csum_start, 34);
	free(r.block);
}

static void impossible_settings_are_named(void **state)
{
	struct wire_config c;

	(void)state;
	wire_defaults(&c);
	assert_null(wire_config_error(&c));
	c.link[1].loss_ppm = 1000001;
	assert_int_equal(wire_ops.need(&c), 0);
	assert_non_null(strstr(wire_config_error(&c), "loss"));
	wire_defaults(&c);
	c.ring_bytes = 5;
	assert_non_null(strstr(wire_config_error(&c), "memory"));
	wire_defaults(&c);
	c.link[0].queue_bytes = 5;
	assert_non_null(strstr(wire_config_error(&c), "queue"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zero_delay_passes_straight_through),
		cmocka_unit_test(delay_is_exact_and_per_direction),
		cmocka_unit_test(exact_drops_count_per_direction),
		cmocka_unit_test(full_outbox_keeps_the_rest),
		cmocka_unit_test(full_memory_is_a_counted_drop),
		cmocka_unit_test(full_memory_costs_no_time),
		cmocka_unit_test(splits_do_not_show),
		cmocka_unit_test(super_packets_are_cut_or_stay_one),
		cmocka_unit_test(impossible_settings_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
