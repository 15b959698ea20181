/* SPDX-License-Identifier: MIT */
/* checksum: against a sum of bytes one by one, and incremental against full recomputation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "frame.h"
#include "proto/checksum.h"
#include "proto/view.h"

/* 0x0000 and 0xffff are the same sum. */
static uint16_t normal(uint16_t sum)
{
	return sum == 0xffff ? 0 : sum;
}

static uint16_t tcp_field(const struct packet *p, const struct view *v)
{
	return be16_get(view_tcp(p, v)->csum);
}

static void parse(const struct packet *p, struct view *v)
{
	assert_int_equal(view_parse(p, v), R_NONE);
	assert_true(v->tcp);
}

static void adds_any_length_at_any_alignment(void **state)
{
	static uint8_t b[70000];
	uint64_t seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof b; i++)
		b[i] = (uint8_t)(frame_random(&seed) | (i % 3 ? 0 : 0xff));
	for (uint32_t at = 0; at < 8; at++)
		for (uint32_t n = 0; n < 300; n++)
			assert_int_equal(normal(csum_fold(csum_add(0, b + at, n))),
					 normal(frame_sum(0, b + at, n)));
	for (uint32_t n = 65000; n < 70000; n += 777)
		assert_int_equal(normal(csum_fold(csum_add(0, b, n))), normal(frame_sum(0, b, n)));
}

static void carries_are_not_lost(void **state)
{
	static uint8_t ones[69632];

	(void)state;
	memset(ones, 0xff, sizeof ones);
	assert_int_equal(csum_fold(csum_add(0, ones, sizeof ones)), 0xffff);
	assert_int_equal(csum_fold(csum_add(1, ones, sizeof ones)), 1);
	assert_int_equal(csum_fold(UINT64_MAX), 0xffff);
	assert_int_equal(csum_fold(0), 0);
}

static void adds_piece_by_piece(void **state)
{
	uint8_t b[512];
	uint64_t seed = 2;

	(void)state;
	for (size_t i = 0; i < sizeof b; i++)
		b[i] = (uint8_t)frame_random(&seed);
	for (uint32_t cut = 0; cut <= 511; cut += 2) {
		uint64_t sum = csum_add(csum_add(77, b, cut), b + cut, 511 - cut);

		assert_int_equal(normal(csum_fold(sum)), normal(frame_sum(77, b, 511)));
	}
}

static void tcp_sum_holds_wherever_head_ends(void **state)
{
	struct frame f;
	struct view v;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		struct packet *p = frame_segment(&f, version, 301);
		uint32_t whole = p->head_len;

		parse(p, &v);
		for (uint32_t cut = v.payload; cut <= whole; cut++) {
			struct packet c = frame_cut(p, cut);

			c.body = f.buf + cut;
			c.body_len = whole - cut;
			assert_true(csum_tcp_ok(&c, &v));
			store_be16(c.head + v.l4 + 16, 0x5555);
			assert_false(csum_tcp_ok(&c, &v));
			csum_tcp_fill(&c, &v);
			assert_int_equal(tcp_field(&c, &v), tcp_field(p, &v));
			free(c.head);
		}
	}
}

static void every_flipped_bit_shows(void **state)
{
	struct frame f;
	struct view v;
	struct packet *p = frame_segment(&f, 4, 33);

	(void)state;
	parse(p, &v);
	for (uint32_t bit = v.l4 * 8u; bit < p->head_len * 8; bit++) {
		p->head[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(csum_tcp_ok(p, &v));
		p->head[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (uint32_t bit = v.l3 * 8u; bit < v.l4 * 8u; bit++) {
		if (bit / 8 == v.l3) /* version and length say how far the sum goes */
			continue;
		p->head[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(csum_ip_ok(p, &v));
		csum_ip_fill(p, &v);
		assert_true(csum_ip_ok(p, &v));
		p->head[bit / 8] ^= (uint8_t)(1 << bit % 8);
		csum_ip_fill(p, &v);
	}
}

static void padding_is_not_summed(void **state)
{
	struct frame f;
	struct view v;
	struct packet *p = frame_segment(&f, 4, 1);

	(void)state;
	memset(p->head + p->head_len, 0xa5, 7);
	p->head_len += 7;
	parse(p, &v);
	assert_true(csum_tcp_ok(p, &v));
}

static void ip_sum_covers_options_and_no_ip6(void **state)
{
	struct frame f;
	struct view v;

	(void)state;
	frame_eth(&f, NULL, 0x0800);
	frame_ip4(&f, 6, 40);
	frame_tcp(&f, 0x10, NULL, 0);
	parse(frame_end(&f), &v);
	assert_true(csum_ip_ok(&f.p, &v));
	f.p.head[v.l4 - 1] ^= 1;
	assert_false(csum_ip_ok(&f.p, &v));
	parse(frame_segment(&f, 6, 1), &v);
	csum_ip_fill(&f.p, &v);
	assert_true(csum_ip_ok(&f.p, &v));
	assert_true(csum_tcp_ok(&f.p, &v));
}

/* Changes the field of n bytes (2 or 4) at `at` of the TCP segment to value, with its checksum. */
static void change(struct packet *p, const struct view *v, uint32_t at, unsigned n, uint32_t value)
{
	struct csum_delta d = { 0 };
	uint8_t *b = p->head + v->l4 + at;

	if (n == 2) {
		csum_swap16(&d, load_be16(b), (uint16_t)value);
		store_be16(b, (uint16_t)value);
	} else {
		csum_swap32(&d, load_be32(b), value, at & 1);
		store_be32(b, value);
	}
	csum_apply(p->head + v->l4 + 16, &p->off, d);
}

/* Any field outside the checksum itself; 4 bytes at any offset, 2 at even ones. */
static void change_random(struct packet *p, const struct view *v, uint64_t *seed)
{
	uint32_t room = v->l4_len - 24, at = frame_random(seed) % room, value = frame_random(seed);
	unsigned n = frame_random(seed) & 1 ? 4 : 2;

	if (n == 2)
		at &= ~1u;
	if (at < 18)
		at = at & 1 ? 19 : 4; /* odd: from the urgent pointer on; even: seq */
	if (frame_random(seed) % 8 == 0)
		value = n == 2 ? load_be16(p->head + v->l4 + at) : load_be32(p->head + v->l4 + at);
	if (frame_random(seed) % 8 == 0)
		value = frame_random(seed) & 1 ? 0 : UINT32_MAX;
	change(p, v, at, n, value);
}

static void incremental_equals_full(void **state)
{
	struct frame f, full;
	struct view v;
	uint64_t seed = 3;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		frame_segment(&f, i & 1 ? 4 : 6, 40 + frame_random(&seed) % 200);
		parse(&f.p, &v);
		for (int k = 0; k < 4; k++)
			change_random(&f.p, &v, &seed);
		assert_true(csum_tcp_ok(&f.p, &v));
		full = f;
		full.p.head = full.buf;
		frame_end(&full);
		assert_int_equal(normal(tcp_field(&f.p, &v)), normal(tcp_field(&full.p, &v)));
	}
}

static void several_fields_in_one_delta(void **state)
{
	struct csum_delta d = { 0 };
	struct frame f;
	struct view v;
	struct packet *p = frame_segment(&f, 4, 10);
	uint8_t *t = p->head + 34;

	(void)state;
	parse(p, &v);
	csum_swap32(&d, load_be32(t + 4), 0xfffffff0, false);
	csum_swap32(&d, load_be32(t + 8), 3, false);
	csum_swap16(&d, load_be16(t + 14), 65535);
	csum_swap32(&d, load_be32(t + 25), 0x01020304, true);
	store_be32(t + 4, 0xfffffff0);
	store_be32(t + 8, 3);
	store_be16(t + 14, 65535);
	store_be32(t + 25, 0x01020304);
	csum_apply(t + 16, &p->off, d);
	assert_true(csum_tcp_ok(p, &v));
}

/* a - b in one's complement. */
static uint16_t minus(uint16_t a, uint16_t b)
{
	return normal(csum_fold((uint64_t)a + (uint16_t)~b));
}

static void wrong_stays_wrong_by_as_much(void **state)
{
	struct frame f, full;
	struct view v;
	uint64_t seed = 4;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		uint16_t right, wrong = (uint16_t)frame_random(&seed);

		frame_segment(&f, i & 1 ? 4 : 6, 64);
		f.p.off.csum = i & 2 ? CSUM_UNKNOWN : CSUM_COMPLETE;
		parse(&f.p, &v);
		right = tcp_field(&f.p, &v);
		store_be16(f.p.head + v.l4 + 16, wrong);
		change_random(&f.p, &v, &seed);
		full = f;
		full.p.head = full.buf;
		frame_end(&full);
		assert_int_equal(minus(tcp_field(&f.p, &v), tcp_field(&full.p, &v)),
				 minus(wrong, right));
	}
}

static void partial_stays_as_it_is(void **state)
{
	struct frame f;
	struct view v;
	uint64_t seed = 5;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint16_t partial;

		frame_segment(&f, i & 1 ? 4 : 6, 64 + frame_random(&seed) % 64);
		parse(&f.p, &v);
		partial = csum_pseudo(&f.p, &v, v.l4_len);
		store_be16(f.p.head + v.l4 + 16, partial);
		f.p.off.csum = CSUM_PARTIAL;
		f.p.off.csum_start = v.l4;
		f.p.off.csum_offset = 16;
		change_random(&f.p, &v, &seed);
		assert_int_equal(tcp_field(&f.p, &v), partial);
		assert_true(csum_tcp_ok(&f.p, &v));
		assert_true(csum_finish(&f.p));
		assert_int_equal(f.p.off.csum, CSUM_COMPLETE);
		assert_true(csum_tcp_ok(&f.p, &v));
	}
}

static void zero_delta_leaves_the_field_alone(void **state)
{
	static const uint16_t fields[] = { 0, 0xffff, 1, 0x1234 };
	struct offload off = { .csum = CSUM_COMPLETE };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		struct csum_delta d = { 0 };
		uint8_t f[2];

		store_be16(f, fields[i]);
		csum_apply(f, &off, d);
		assert_int_equal(load_be16(f), fields[i]);
		csum_swap16(&d, 0x4321, 0x4321);
		csum_swap32(&d, 0xdeadbeef, 0xdeadbeef, false);
		csum_swap32(&d, 0xdeadbeef, 0xdeadbeef, true);
		csum_apply(f, &off, d);
		assert_int_equal(load_be16(f), fields[i]);
	}
}

static void pseudo_header_uses_the_last_destination(void **state)
{
	static const struct {
		uint8_t type, last;
	} kinds[] = { { 0, 1 }, { 4, 0 } };
	struct frame f;
	struct view v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		uint8_t dst[16], *h, *t;

		frame_eth(&f, NULL, 0x86dd);
		frame_ip6(&f, 43, 6);
		h = frame_ext(&f, 6, 8 + 32);
		h[2] = kinds[i].type;
		h[3] = 1;
		memset(h + 8, 0x11, 16);
		memset(h + 24, 0x22, 16);
		t = frame_tcp(&f, 0x10, NULL, 0);
		frame_end(&f);
		parse(&f.p, &v);
		assert_int_equal(v.l4, 14 + 40 + 40);
		assert_false(csum_tcp_ok(&f.p, &v));
		memcpy(dst, f.buf + 38, 16);
		memcpy(f.buf + 38, h + 8 + 16 * kinds[i].last, 16);
		frame_end(&f);
		memcpy(f.buf + 38, dst, 16);
		assert_true(csum_tcp_ok(&f.p, &v));
		h[3] = 0; /* no segment left: the header's own address counts */
		assert_false(csum_tcp_ok(&f.p, &v));
		frame_end(&f);
		assert_true(csum_tcp_ok(&f.p, &v));
		assert_ptr_equal(t, f.buf + v.l4);
	}
}

static void fills_icmp(void **state)
{
	struct frame f;
	struct view v;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		uint16_t right;
		uint8_t *h;

		frame_eth(&f, NULL, version == 4 ? 0x0800 : 0x86dd);
		if (version == 4)
			frame_ip4(&f, 1, 0);
		else
			frame_ip6(&f, 58, 58);
		h = frame_add(&f, "\x08\0\0\0\x12\x34\0\x01", 8);
		frame_payload(&f, 21);
		frame_end(&f);
		right = load_be16(h + 2);
		store_be16(h + 2, 0x7777);
		f.p.off.csum = CSUM_UNKNOWN;
		assert_int_equal(view_parse(&f.p, &v), R_NONE);
		csum_icmp_fill(&f.p, &v);
		assert_int_equal(load_be16(h + 2), right);
		assert_int_equal(f.p.off.csum, CSUM_COMPLETE);
	}
}

static void finish_refuses_a_field_outside_head(void **state)
{
	struct frame f;
	struct packet *p = frame_segment(&f, 4, 5), before;

	(void)state;
	assert_true(csum_finish(p)); /* complete already: nothing to do */
	p->off.csum = CSUM_PARTIAL;
	p->off.csum_start = (uint16_t)(p->head_len - 17);
	p->off.csum_offset = 16;
	before = *p;
	assert_false(csum_finish(p));
	p->off.csum_start = p->off.csum_offset = 65535;
	assert_false(csum_finish(p));
	assert_int_equal(p->off.csum, CSUM_PARTIAL);
	assert_int_equal(p->head_len, before.head_len);
	p->off.csum_start = (uint16_t)(p->head_len - 18);
	p->off.csum_offset = 16;
	assert_true(csum_finish(p));
}

static void finish_never_yields_zero(void **state)
{
	uint8_t b[4] = { 0xff, 0xff, 0, 0 };
	struct packet p = { .head = b,
			    .head_len = 4,
			    .off = { .csum = CSUM_PARTIAL, .csum_start = 0, .csum_offset = 2 } };

	(void)state;
	assert_true(csum_finish(&p));
	assert_int_equal(load_be16(b + 2), 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_any_length_at_any_alignment),
		cmocka_unit_test(carries_are_not_lost),
		cmocka_unit_test(adds_piece_by_piece),
		cmocka_unit_test(tcp_sum_holds_wherever_head_ends),
		cmocka_unit_test(every_flipped_bit_shows),
		cmocka_unit_test(padding_is_not_summed),
		cmocka_unit_test(ip_sum_covers_options_and_no_ip6),
		cmocka_unit_test(incremental_equals_full),
		cmocka_unit_test(several_fields_in_one_delta),
		cmocka_unit_test(wrong_stays_wrong_by_as_much),
		cmocka_unit_test(partial_stays_as_it_is),
		cmocka_unit_test(zero_delta_leaves_the_field_alone),
		cmocka_unit_test(pseudo_header_uses_the_last_destination),
		cmocka_unit_test(fills_icmp),
		cmocka_unit_test(finish_refuses_a_field_outside_head),
		cmocka_unit_test(finish_never_yields_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
