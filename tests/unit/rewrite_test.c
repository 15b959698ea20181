/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/rewrite.h"
#include "frame.h"
#include "proto/checksum.h"

#define ROUNDS 20000

static uint64_t rng = 7;

static uint32_t rnd(uint32_t below)
{
	return frame_random(&rng) % below;
}

/* A number that is near the wrap as often as not. */
static uint32_t rnd_number(void)
{
	return rnd(2) ? rnd(4000) - 2000 : frame_random(&rng);
}

/* Options in any order and at any offset: TS, SACK, unknown ones, padded by NOPs in front of each or not. */
static uint32_t random_options(uint8_t opt[40])
{
	uint32_t n = 0, kinds = rnd(8);
	bool sack_first = rnd(2);

	memset(opt, TCPOPT_NOP, 40);
	for (unsigned i = 0; i < 2; i++) {
		n += rnd(4);
		if ((i == 0) == sack_first && (kinds & 1)) {
			uint32_t blocks = 1 + rnd(3);

			if (n + 2 + 8 * blocks > 38)
				continue;
			opt[n] = TCPOPT_SACK;
			opt[n + 1] = (uint8_t)(2 + 8 * blocks);
			for (uint32_t k = 0; k < 2 * blocks; k++)
				store_be32(opt + n + 2 + 4 * k, rnd_number());
			n += 2 + 8 * blocks;
		} else if ((i == 0) != sack_first && (kinds & 2)) {
			if (n + 10 > 38)
				continue;
			opt[n] = TCPOPT_TIMESTAMPS;
			opt[n + 1] = 10;
			store_be32(opt + n + 2, rnd_number());
			store_be32(opt + n + 6, rnd_number());
			n += 10;
		}
	}
	if ((kinds & 4) && n + 5 <= 38) {
		opt[n] = 77;
		opt[n + 1] = 5;
		n += 5;
	}
	return (n + 3) / 4 * 4;
}

/* The layout of rewrite_fast's short way. */
static uint32_t aligned_options(uint8_t opt[40])
{
	uint32_t blocks = rnd(4);

	memcpy(opt, FRAME_TS, 12);
	store_be32(opt + 4, rnd_number());
	store_be32(opt + 8, rnd_number());
	if (blocks == 0)
		return 12;
	memcpy(opt + 12, "\x01\x01\x05", 3);
	opt[15] = (uint8_t)(2 + 8 * blocks);
	for (uint32_t k = 0; k < 2 * blocks; k++)
		store_be32(opt + 16 + 4 * k, rnd_number());
	return 16 + 8 * blocks;
}

static void begin(struct frame *f, int version)
{
	static const uint32_t tags[] = { 0x88a80007, 0x81000009, 0 };

	frame_eth(f, tags + rnd(3), version == 4 ? 0x0800 : 0x86dd);
	if (version == 4)
		frame_ip4(f, 6, 4 * rnd(3));
	else
		frame_ip6(f, 6, 6);
}

/* Any segment with valid checksum; its view and options. */
static struct packet *random_segment(struct frame *f, struct view *v, struct tcp_options *o)
{
	static const uint8_t flags[] = { 0x10, 0x18, 0x11, 0x02, 0x12, 0x04, 0x14, 0x00, 0xd0 };
	uint8_t opt[40], *t;
	uint32_t n = rnd(2) ? aligned_options(opt) : random_options(opt);
	struct packet *p;

	begin(f, rnd(2) ? 4 : 6);
	t = frame_tcp(f, flags[rnd(sizeof flags)], opt, n);
	store_be32(t + 4, rnd_number());
	store_be32(t + 8, rnd_number());
	store_be16(t + 14, (uint16_t)rnd(65536));
	frame_payload(f, rnd(40));
	p = frame_end(f);
	assert_int_equal(view_parse(p, v), R_NONE);
	assert_true(v->tcp);
	assert_int_equal(view_options(p, v, o), R_NONE);
	return p;
}

/* Does v say what the bytes say? */
static void assert_view_true(const struct packet *p, const struct view *v)
{
	struct view again;

	assert_int_equal(view_parse(p, &again), R_NONE);
	assert_int_equal(again.seq, v->seq);
	assert_int_equal(again.ack, v->ack);
	assert_int_equal(again.window, v->window);
	assert_int_equal(again.flags, v->flags);
}

/* What rewrite_shift should do, field by field, without a checksum. */
static void naive_shift(uint8_t *t, const struct tcp_options *o, struct seam_add a)
{
	bool ack = t[13] & TCP_ACK;

	if (!(ack && (t[13] & TCP_RST) && load_be32(t + 4) == 0))
		store_be32(t + 4, load_be32(t + 4) + a.seq);
	if (ack)
		store_be32(t + 8, load_be32(t + 8) + a.ack);
	if (o->present & OPT_TS)
		store_be32(t + o->ts_off, load_be32(t + o->ts_off) + a.tsval);
	if (ack && (o->present & OPT_TS))
		store_be32(t + o->ts_off + 4, load_be32(t + o->ts_off + 4) + a.tsecr);
	for (unsigned k = 0; ack && (o->present & OPT_SACK) && k < 2u * o->sack_count; k++) {
		uint8_t *e = t + o->sack_off + 4 * k;

		store_be32(e, load_be32(e) + a.ack);
	}
}

static struct seam_add random_add(void)
{
	return (struct seam_add){ rnd_number(), rnd_number(), rnd_number(), rnd_number() };
}

/* All bytes but the checksum as the naive form, and the checksum right: so incremental == full. */
static void shift_is_the_naive_one_with_a_right_checksum(void **state)
{
	static struct frame f, want;
	struct view v;
	struct tcp_options o;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct packet *p = random_segment(&f, &v, &o);
		struct seam_add a = random_add();
		uint8_t *field;

		want = f;
		naive_shift(want.buf + v.l4, &o, a);
		rewrite_shift(p, &v, &o, a);
		assert_true(csum_tcp_ok(p, &v));
		assert_view_true(p, &v);
		field = view_tcp(p, &v)->csum.b;
		store_be16(want.buf + (field - p->head), load_be16(field));
		assert_memory_equal(f.buf, want.buf, f.len);
	}
}

static void there_and_back_is_identity(void **state)
{
	static struct frame f, was;
	struct view v;
	struct tcp_options o;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct packet *p = random_segment(&f, &v, &o);
		struct seam_add a = random_add();

		/* A seq that lands on 0 in a RST|ACK would be taken for a refusal; 0xffff is no sum of a sender. */
		if ((v.flags & TCP_RST) && v.seq + a.seq == 0)
			continue;
		assert_int_not_equal(load_be16(view_tcp(p, &v)->csum.b), 0xffff);
		was = f;
		rewrite_shift(p, &v, &o, a);
		rewrite_shift(
			p, &v, &o,
			(struct seam_add){ 0u - a.seq, 0u - a.ack, 0u - a.tsval, 0u - a.tsecr });
		assert_memory_equal(f.buf, was.buf, f.len);
	}
}

static void fast_equals_shift(void **state)
{
	static struct frame f, g;
	struct view v, w;
	struct tcp_options o;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct packet *p = random_segment(&f, &v, &o), q;
		struct seam_add a = random_add();
		bool val = rnd(2);

		g = f;
		q = *p;
		q.head = g.buf;
		w = v;
		if (val)
			a.tsecr = 0;
		else
			a.tsval = 0;
		rewrite_shift(p, &v, &o, a);
		assert_int_equal(rewrite_fast(&q, &w, a.seq, a.ack, val ? a.tsval : a.tsecr, val),
				 R_NONE);
		assert_memory_equal(f.buf, g.buf, f.len);
		assert_memory_equal(&v, &w, sizeof v);
	}
}

static void a_wrong_checksum_stays_wrong_by_as_much(void **state)
{
	static struct frame f, g;
	struct view v;
	struct tcp_options o;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct packet *p = random_segment(&f, &v, &o);
		uint32_t at = v.l4 + 16u, by = 1 + rnd(0xfffe), right, wrong;
		struct seam_add a = random_add();
		struct view w = v;

		g = f;
		g.p.head = g.buf;
		rewrite_shift(&g.p, &w, &o, a);
		right = load_be16(g.buf + at);

		store_be16(f.buf + at, (uint16_t)((load_be16(f.buf + at) + by) % 0xffff));
		rewrite_shift(p, &v, &o, a);
		wrong = load_be16(f.buf + at);
		assert_int_equal((right + by) % 0xffff, wrong % 0xffff);
		assert_false(csum_tcp_ok(p, &v));
	}
}

static void a_partial_field_stays(void **state)
{
	static struct frame f;
	struct view v;
	struct tcp_options o;

	(void)state;
	for (int i = 0; i < ROUNDS / 10; i++) {
		struct packet *p = random_segment(&f, &v, &o);
		uint32_t at = v.l4 + 16u, field;

		p->off = (struct offload){ .csum = CSUM_PARTIAL,
					   .gso_type = GSO_TCP4,
					   .gso_size = 1448,
					   .csum_start = v.l4,
					   .csum_offset = 16 };
		field = csum_pseudo(p, &v, v.l4_len);
		store_be16(f.buf + at, (uint16_t)field);
		rewrite_shift(p, &v, &o, random_add());
		rewrite_window(p, &v, 77);
		rewrite_nop(p, &v, 20, (uint8_t)view_options_len(&v));
		assert_int_equal(load_be16(f.buf + at), field);
		assert_int_equal(p->off.gso_size, 1448);
		/* A device's sum makes a right checksum of it. */
		assert_true(csum_finish(p));
		assert_true(csum_tcp_ok(p, &v));
	}
}

static void a_refusal_keeps_seq_0(void **state)
{
	static struct frame f;
	struct seam_add a = { 1, 2, 0, 0 };
	struct tcp_options o;
	struct view v;
	struct packet *p;

	(void)state;
	for (int fast = 0; fast < 2; fast++) {
		begin(&f, 4);
		store_be32(frame_tcp(&f, TCP_RST | TCP_ACK, NULL, 0) + 4, 0);
		p = frame_end(&f);
		assert_int_equal(view_parse(p, &v), R_NONE);
		assert_int_equal(view_options(p, &v, &o), R_NONE);
		if (fast)
			assert_int_equal(rewrite_fast(p, &v, 1, 2, 0, true), R_NONE);
		else
			rewrite_shift(p, &v, &o, a);
		assert_int_equal(v.seq, 0);
		assert_int_equal(v.ack, 2002);
		assert_true(csum_tcp_ok(p, &v));
	}
}

static void bad_options_change_nothing(void **state)
{
	/* clang-format off */
	static const char *const bad[] = {
		"\x08\x0b\1\1\1\1\1\1\1\1\1\1",		/* TS of 11 bytes */
		"\1\1\x05\x0b\1\1\1\1\1\1\1\1",		/* SACK of 11 bytes */
		"\1\1\1\1\1\1\1\1\1\1\x4d\0",		/* length 0 */
		"\1\1\1\1\1\1\1\1\1\1\x08\x0a",		/* beyond the header */
	};
	/* clang-format on */
	static struct frame f, was;
	struct view v;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct packet *p;

		begin(&f, 4);
		frame_tcp(&f, TCP_ACK, bad[i], 12);
		p = frame_end(&f);
		assert_int_equal(view_parse(p, &v), R_NONE);
		was = f;
		assert_int_equal(rewrite_fast(p, &v, 1, 1, 1, true), R_TCP_OPT);
		assert_memory_equal(f.buf, was.buf, f.len);
		assert_int_equal(v.seq, 1000);
	}
}

static void one_field_at_a_time(void **state)
{
	static struct frame f, was;
	struct tcp_options o, again;
	struct view v;

	(void)state;
	for (int i = 0; i < ROUNDS / 4; i++) {
		struct packet *p = random_segment(&f, &v, &o);
		uint32_t a = rnd_number(), b = rnd_number();
		uint8_t *t = p->head + v.l4;

		was = f;
		rewrite_seq(p, &v, a);
		assert_true(csum_tcp_ok(p, &v));
		rewrite_ack(p, &v, b);
		assert_true(csum_tcp_ok(p, &v));
		rewrite_window(p, &v, (uint16_t)a);
		assert_true(csum_tcp_ok(p, &v));
		rewrite_flags(p, &v, (uint8_t)b);
		assert_true(csum_tcp_ok(p, &v));
		rewrite_ts(p, &v, &o, a, b);
		assert_true(csum_tcp_ok(p, &v));
		assert_view_true(p, &v);
		assert_int_equal(view_options(p, &v, &again), R_NONE);
		assert_int_equal(again.present, o.present);
		if (o.present & OPT_TS) {
			assert_int_equal(again.tsval, a);
			assert_int_equal(again.tsecr, b);
			memcpy(t + o.ts_off, was.buf + v.l4 + o.ts_off, 8);
		}
		assert_int_equal(load_be32(t + 4), a);
		assert_int_equal(load_be32(t + 8), b);
		/* Nothing else: 4 to 11 and 13 to 17 were to change. */
		memcpy(t + 4, was.buf + v.l4 + 4, 8);
		memcpy(t + 13, was.buf + v.l4 + 13, 5);
		assert_memory_equal(f.buf, was.buf, f.len);
	}
}

static void nops_at_any_offset(void **state)
{
	static struct frame f, was;
	struct tcp_options o;
	struct view v;

	(void)state;
	for (int i = 0; i < ROUNDS / 4; i++) {
		struct packet *p = random_segment(&f, &v, &o);
		uint32_t len = view_options_len(&v), off, n;

		off = rnd(len + 1);
		n = rnd(len - off + 1);
		was = f;
		rewrite_nop(p, &v, (uint8_t)(20 + off), (uint8_t)n);
		assert_true(csum_tcp_ok(p, &v));
		memset(was.buf + v.l4 + 20 + off, TCPOPT_NOP, n);
		memcpy(was.buf + v.l4 + 16, f.buf + v.l4 + 16, 2);
		assert_memory_equal(f.buf, was.buf, f.len);
	}
}

/* A segment with these edges, the option at an even or odd offset. */
static struct packet *with_sack(struct frame *f, struct view *v, struct tcp_options *o,
				const uint32_t *edge, uint32_t blocks, uint32_t lead)
{
	uint8_t opt[40];
	uint32_t len = lead + 2 + 8 * blocks;
	struct packet *p;

	memset(opt, TCPOPT_NOP, sizeof opt);
	opt[lead] = TCPOPT_SACK;
	opt[lead + 1] = (uint8_t)(2 + 8 * blocks);
	for (uint32_t k = 0; k < 2 * blocks; k++)
		store_be32(opt + lead + 2 + 4 * k, edge[k]);
	begin(f, 4);
	frame_tcp(f, TCP_ACK, opt, (len + 3) / 4 * 4);
	p = frame_end(f);
	assert_int_equal(view_parse(p, v), R_NONE);
	assert_int_equal(view_options(p, v, o), R_NONE);
	return p;
}

/* Edges of up to 4 blocks, 0, 0 ends them; the same that are to be left. */
/* clang-format off */
static const struct { const char *what; uint32_t edge[8], limit, left[8]; } clamps[] = {
	{ "all within", { 10, 20, 30, 40 }, 40, { 10, 20, 30, 40 } },
	{ "right edge beyond", { 10, 20, 30, 41 }, 40, { 10, 20 } },
	{ "the first beyond", { 50, 60, 10, 20, 30, 40 }, 40, { 10, 20, 30, 40 } },
	{ "the middle one", { 10, 20, 50, 60, 30, 40 }, 40, { 10, 20, 30, 40 } },
	{ "all beyond", { 50, 60, 70, 80 }, 40, { 0 } },
	{ "four, none left", { 50, 60, 70, 80, 90, 95, 96, 97 }, 40, { 0 } },
	{ "limit behind the wrap", { 0xfffffff0, 4, 6, 8 }, 5, { 0xfffffff0, 4 } },
	{ "limit before the wrap", { 0xfffffff0, 0xfffffff8, 1, 8 }, 0xfffffff8,
	  { 0xfffffff0, 0xfffffff8 } },
};
/* clang-format on */

static void sack_is_clamped_as_tabled(void **state)
{
	static struct frame f;
	struct tcp_options o, again;
	struct view v;

	(void)state;
	for (size_t i = 0; i < sizeof clamps / sizeof clamps[0]; i++)
		for (uint32_t lead = 0; lead < 3; lead++) {
			uint32_t n = 0, left = 0;
			struct packet *p;

			while (n < 4 && clamps[i].edge[2 * n] != 0)
				n++;
			while (left < 4 && clamps[i].left[2 * left] != 0)
				left++;
			p = with_sack(&f, &v, &o, clamps[i].edge, n, lead);
			rewrite_sack_clamp(p, &v, &o, clamps[i].limit);
			assert_true(csum_tcp_ok(p, &v));
			assert_int_equal(view_options(p, &v, &again), R_NONE);
			assert_int_equal(again.present, left ? OPT_SACK : 0);
			assert_int_equal(o.present, again.present);
			assert_int_equal(o.sack_count, left);
			if (left == 0)
				continue;
			assert_int_equal(again.sack_count, left);
			assert_int_equal(again.sack_off, o.sack_off);
			for (uint32_t k = 0; k < 2 * left; k++)
				if (load_be32(p->head + v.l4 + o.sack_off + 4 * k) !=
				    clamps[i].left[k])
					fail_msg("%s: edge %u", clamps[i].what, k);
			/* A shift afterwards moves what is left, and no NOP. */
			rewrite_shift(p, &v, &o, (struct seam_add){ 1, 1, 1, 1 });
			assert_int_equal(view_options(p, &v, &again), R_NONE);
			assert_int_equal(again.sack_count, left);
			assert_true(csum_tcp_ok(p, &v));
		}
}

static void sack_is_stripped(void **state)
{
	static const uint32_t edge[] = { 10, 20, 30, 40, 50, 60 };
	static struct frame f;
	struct tcp_options o, again;
	struct view v;

	(void)state;
	for (uint32_t lead = 0; lead < 3; lead++)
		for (uint32_t n = 1; n <= 3; n++) {
			struct packet *p = with_sack(&f, &v, &o, edge, n, lead);

			rewrite_sack_strip(p, &v, &o);
			assert_true(csum_tcp_ok(p, &v));
			assert_int_equal(o.present, 0);
			assert_int_equal(view_options(p, &v, &again), R_NONE);
			assert_int_equal(again.present, 0);
			for (uint32_t k = 0; k < view_options_len(&v); k++)
				assert_int_equal(p->head[v.l4 + 20 + k], TCPOPT_NOP);
			rewrite_sack_strip(p, &v, &o); /* nothing more to do */
			rewrite_sack_clamp(p, &v, &o, 0);
			assert_true(csum_tcp_ok(p, &v));
		}
}

/* Both ends replaced: as if the frame had been built with them, complete or partial. */
static void addresses_are_as_if_built_so(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct tcp_options o;
		struct frame f;
		struct view v;
		struct packet *p = random_segment(&f, &v, &o);
		uint8_t src[16] = { [10] = 0xff, [11] = 0xff }, dst[16], *t = p->head + v.l4;
		bool partial = rnd(2);

		for (unsigned k = v.ip == 4 ? 12 : 0; k < 16; k++)
			src[k] = (uint8_t)rnd(256);
		memcpy(dst, src, 16);
		dst[15] ^= (uint8_t)rnd(256);
		dst[14] ^= 0x55;
		if (partial) {
			p->off = (struct offload){ .csum = CSUM_PARTIAL };
			store_be16(t + 16, csum_pseudo(p, &v, v.l4_len));
		}
		assert_true(rewrite_addr(p, &v, REWRITE_SRC, src, (uint16_t)rnd(65536)));
		assert_true(rewrite_addr(p, &v, REWRITE_DST, dst, 0x5000));
		assert_memory_equal(t + 2, "\x00\x50", 2);
		assert_memory_equal(p->head + v.l3 + (v.ip == 4 ? 12 : 8),
				    src + (v.ip == 4 ? 12 : 0), v.ip == 4 ? 4 : 16);
		assert_true(csum_ip_ok(p, &v));
		if (partial)
			assert_int_equal(load_be16(t + 16) % 0xffff,
					 csum_pseudo(p, &v, v.l4_len) % 0xffff);
		else
			assert_true(csum_tcp_ok(p, &v));
		src[10] ^= 1; /* of the other family, or none of IPv4's */
		assert_int_equal(rewrite_addr(p, &v, REWRITE_SRC, src, 1), v.ip == 6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shift_is_the_naive_one_with_a_right_checksum),
		cmocka_unit_test(there_and_back_is_identity),
		cmocka_unit_test(fast_equals_shift),
		cmocka_unit_test(a_wrong_checksum_stays_wrong_by_as_much),
		cmocka_unit_test(a_partial_field_stays),
		cmocka_unit_test(a_refusal_keeps_seq_0),
		cmocka_unit_test(bad_options_change_nothing),
		cmocka_unit_test(one_field_at_a_time),
		cmocka_unit_test(nops_at_any_offset),
		cmocka_unit_test(sack_is_clamped_as_tabled),
		cmocka_unit_test(sack_is_stripped),
		cmocka_unit_test(addresses_are_as_if_built_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
