/* SPDX-License-Identifier: MIT */
/* tcp: each option kind, each malformation, and the short way against a reader written once more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "frame.h"
#include "proto/tcp.h"

#define OPT(s) s, sizeof s - 1

/* clang-format off */
static const struct {
	const char *bytes;
	size_t len;
	enum reason r;
	struct tcp_options o;
} cases[] = {
	{ OPT(""), R_NONE, { 0 } },
	{ OPT("\1\1\1\1"), R_NONE, { 0 } },
	{ OPT("\0\0\0\0"), R_NONE, { 0 } },
	{ OPT("\2\4\5\xb4"), R_NONE, { .present = OPT_MSS, .mss = 1460 } },
	{ OPT("\2\3\5\1"), R_TCP_OPT, { 0 } },
	{ OPT("\2\6\5\xb4\0\0\1\1"), R_TCP_OPT, { 0 } },
	{ OPT("\1\3\3\7"), R_NONE, { .present = OPT_WSCALE, .wscale = 7 } },
	{ OPT("\1\3\3\x0e"), R_NONE, { .present = OPT_WSCALE, .wscale = 14 } },
	{ OPT("\1\3\3\x0f"), R_NONE, { .present = OPT_WSCALE, .wscale = 14 } },
	{ OPT("\1\3\3\xff"), R_NONE, { .present = OPT_WSCALE, .wscale = 14 } },
	{ OPT("\3\4\7\7"), R_TCP_OPT, { 0 } },
	{ OPT("\4\2\1\1"), R_NONE, { .present = OPT_SACK_PERMITTED } },
	{ OPT("\4\3\1\1"), R_TCP_OPT, { 0 } },
	/* SYN as Linux sends it */
	{ OPT("\2\4\5\xb4\4\2\x08\x0a\0\0\0\x0a\0\0\0\0\1\3\3\7"), R_NONE,
	  { .present = OPT_MSS | OPT_SACK_PERMITTED | OPT_TS | OPT_WSCALE, .mss = 1460, .wscale = 7,
	    .ts_off = 28, .tsval = 10 } },
	/* established segments */
	{ OPT("\1\1\x08\x0a\1\2\3\4\5\6\7\x08"), R_NONE,
	  { .present = OPT_TS, .ts_off = 24, .tsval = 0x01020304, .tsecr = 0x05060708 } },
	{ OPT("\x08\x0a\1\2\3\4\5\6\7\x08\0\0"), R_NONE,
	  { .present = OPT_TS, .ts_off = 22, .tsval = 0x01020304, .tsecr = 0x05060708 } },
	{ OPT("\1\1\x08\x0a\1\2\3\4\5\6\7\x08\1\1\5\x0a\0\0\0\1\0\0\0\2"), R_NONE,
	  { .present = OPT_TS | OPT_SACK, .ts_off = 24, .tsval = 0x01020304, .tsecr = 0x05060708,
	    .sack_off = 36, .sack_count = 1 } },
	{ OPT("\1\1\x08\x0a\1\2\3\4\5\6\7\x08\1\1\5\x1a" "aaaaaaaabbbbbbbbcccccccc"), R_NONE,
	  { .present = OPT_TS | OPT_SACK, .ts_off = 24, .tsval = 0x01020304, .tsecr = 0x05060708,
	    .sack_off = 36, .sack_count = 3 } },
	{ OPT("\1\1\5\x22" "aaaaaaaabbbbbbbbccccccccdddddddd"), R_NONE,
	  { .present = OPT_SACK, .sack_off = 24, .sack_count = 4 } },
	{ OPT("\1\1\5\2"), R_TCP_OPT, { 0 } },
	{ OPT("\1\1\5\x09" "aaaaaaa\1\1\1"), R_TCP_OPT, { 0 } },
	{ OPT("\1\1\5\x12" "aaaaaaaa"), R_TCP_OPT, { 0 } },
	{ OPT("\1\1\x08\x0a\1\2\3\4\5\6\7\x08\1\1\5\x12" "aaaaaaaa"), R_TCP_OPT,
	  { .present = OPT_TS, .ts_off = 24, .tsval = 0x01020304, .tsecr = 0x05060708 } },
	{ OPT("\1\1\x08\x08\1\2\3\4\5\6\1\1"), R_TCP_OPT, { 0 } },
	{ OPT("\1\1\x08\x0a\1\2\3\4"), R_TCP_OPT, { 0 } },
	/* the first of a repeated option counts */
	{ OPT("\2\4\0\1\2\4\0\2"), R_NONE, { .present = OPT_MSS, .mss = 1 } },
	{ OPT("\5\x0a" "aaaaaaaa\5\x12" "bbbbbbbbcccccccc\1\1"), R_NONE,
	  { .present = OPT_SACK, .sack_off = 22, .sack_count = 1 } },
	{ OPT("\1\1\x08\x0a\0\0\0\1\0\0\0\2\x08\x0a\0\0\0\3\0\0\0\4\1\1"), R_NONE,
	  { .present = OPT_TS, .ts_off = 24, .tsval = 1, .tsecr = 2 } },
	/* nothing counts behind the end */
	{ OPT("\2\4\0\1\0\3\3\7"), R_NONE, { .present = OPT_MSS, .mss = 1 } },
	{ OPT("\0\2\1\1"), R_NONE, { 0 } },
	/* what signs or changes the numbers */
	{ OPT("\x13\x12" "0123456789abcdef\1\1"), R_NONE, { .present = OPT_MD5 } },
	{ OPT("\x13\x10" "0123456789abcd"), R_TCP_OPT, { 0 } },
	{ OPT("\x1d\4\0\0"), R_NONE, { .present = OPT_AO } },
	{ OPT("\x1d\3\0\1"), R_TCP_OPT, { 0 } },
	{ OPT("\x1e\4\1\1"), R_NONE, { .present = OPT_MPTCP, .mptcp_subtype = MPTCP_CAPABLE } },
	{ OPT("\x1e\4\x10\1"), R_NONE, { .present = OPT_MPTCP, .mptcp_subtype = MPTCP_JOIN } },
	{ OPT("\x1e\2\1\1"), R_TCP_OPT, { 0 } },
	{ OPT("\x22\2\1\1"), R_NONE, { .present = OPT_TFO, .tfo_off = 22 } },
	{ OPT("\x22\x0a" "cookiecc"), R_NONE, { .present = OPT_TFO, .tfo_off = 22, .tfo_len = 8 } },
	{ OPT("\x22\4\1\1"), R_TCP_OPT, { 0 } },
	{ OPT("\x22\x13" "aaaaaaaaaaaaaaaaa\1"), R_TCP_OPT, { 0 } },
	{ OPT("\xfe\4\xf9\x89"), R_NONE,
	  { .present = OPT_EXP | OPT_TFO, .exid = TCP_EXID_TFO, .tfo_off = 24 } },
	{ OPT("\xfd\4\x12\x34\xfe\x08\xf9\x89" "cook"), R_NONE,
	  { .present = OPT_EXP | OPT_TFO, .exid = 0x1234, .tfo_off = 28, .tfo_len = 4 } },
	{ OPT("\x22\2\xfe\4\xf9\x89\1\1"), R_NONE,
	  { .present = OPT_EXP | OPT_TFO, .exid = TCP_EXID_TFO, .tfo_off = 22 } },
	{ OPT("\xfd\2\1\1"), R_NONE, { .present = OPT_EXP } },
	{ OPT("\x45\5" "abc\1\1\1"), R_NONE, { .present = OPT_UNKNOWN } },
	/* lengths */
	{ OPT("\2\4\0\1\x45\0\1\1"), R_TCP_OPT, { .present = OPT_MSS, .mss = 1 } },
	{ OPT("\2\4\0\1\x45\1\1\1"), R_TCP_OPT, { .present = OPT_MSS, .mss = 1 } },
	{ OPT("\2\4\0\1\x45\5\1\1"), R_TCP_OPT, { .present = OPT_MSS, .mss = 1 } },
	{ OPT("\1\1\1\x45"), R_TCP_OPT, { 0 } },
	{ OPT("\1\1\1\2"), R_TCP_OPT, { 0 } },
};
/* clang-format on */

static void check_options(const struct tcp_options *a, const struct tcp_options *b)
{
	assert_int_equal(a->present, b->present);
	assert_int_equal(a->mss, b->mss);
	assert_int_equal(a->wscale, b->wscale);
	assert_int_equal(a->sack_count, b->sack_count);
	assert_int_equal(a->sack_off, b->sack_off);
	assert_int_equal(a->ts_off, b->ts_off);
	assert_int_equal(a->tsval, b->tsval);
	assert_int_equal(a->tsecr, b->tsecr);
	assert_int_equal(a->mptcp_subtype, b->mptcp_subtype);
	assert_int_equal(a->tfo_off, b->tfo_off);
	assert_int_equal(a->tfo_len, b->tfo_len);
	assert_int_equal(a->exid, b->exid);
}

/* Reads a copy in a block of exactly len bytes. */
static enum reason read_copy(const void *bytes, size_t len, struct tcp_options *o)
{
	uint8_t *b = malloc(len ? len : 1);
	enum reason r;

	assert_non_null(b);
	memcpy(b, bytes, len);
	memset(o, 0xee, sizeof *o);
	r = tcp_options_read(b, len, o);
	free(b);
	return r;
}

static void reads_each_kind(void **state)
{
	struct tcp_options o;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum reason r = read_copy(cases[i].bytes, cases[i].len, &o);

		if (r != cases[i].r || o.present != cases[i].o.present)
			fail_msg("case %zu: %s, present %x", i, reason_label(r), o.present);
		check_options(&o, &cases[i].o);
	}
}

static void no_truncation_reads_outside(void **state)
{
	struct tcp_options o, whole;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		read_copy(cases[i].bytes, cases[i].len, &whole);
		for (size_t n = 0; n < cases[i].len; n++) {
			read_copy(cases[i].bytes, n, &o);
			assert_int_equal(o.present & ~whole.present, 0);
		}
	}
}

/* The fixed lengths of kinds 2, 3, 4, 8 and 19; else 0. */
static size_t fixed_len(unsigned kind)
{
	static const uint8_t lens[] = { [2] = 4, [3] = 3, [4] = 2, [8] = 10, [19] = 18 };

	return kind < sizeof lens ? lens[kind] : 0;
}

/* A reader of TS and SACK alone, in the plainest words. */
static enum reason plain_reader(const uint8_t *b, size_t len, struct tcp_options *o)
{
	*o = (struct tcp_options){ 0 };
	for (size_t at = 0; at < len && b[at] != 0;) {
		size_t n = b[at] == 1 ? 1 : at + 1 < len ? b[at + 1] : 0;
		unsigned kind = b[at];

		if (n == 0 || n > len - at || (kind != 1 && n < 2) ||
		    (fixed_len(kind) && fixed_len(kind) != n) ||
		    (kind == 5 && (n < 10 || (n - 2) % 8 || n > 34)))
			return R_TCP_OPT;
		if (kind == 8 && !o->ts_off) {
			o->ts_off = (uint8_t)(at + 22);
			o->tsval = load_be32(b + at + 2);
			o->tsecr = load_be32(b + at + 6);
		} else if (kind == 5 && !o->sack_off) {
			o->sack_off = (uint8_t)(at + 22);
			o->sack_count = (uint8_t)(n / 8);
		}
		at += n;
	}
	return R_NONE;
}

/* Appends an option that is often one of the aligned layout, and sometimes spoilt. */
static size_t random_option(uint8_t *b, uint64_t *seed)
{
	static const struct {
		size_t n;
		const char *bytes;
	} parts[] = {
		{ 1, "\1" },
		{ 2, "\1\1" },
		{ 10, "\x08\x0a\1\2\3\4\5\6\7\x08" },
		{ 12, "\1\1\x08\x0a\4\3\2\1\x08\7\6\5" },
		{ 12, "\1\1\5\x0a"
		      "aaaabbbb" },
		{ 20, "\1\1\5\x12"
		      "aaaabbbbccccdddd" },
		{ 4, "\2\4\5\xb4" },
		{ 1, "\0" },
		{ 28, "\1\1\5\x1a"
		      "aaaabbbbccccddddeeeeffff" },
		{ 3, "\x45\3\1" },
	};
	size_t i = frame_random(seed) % ARRAY_LEN(parts);

	memcpy(b, parts[i].bytes, parts[i].n);
	if (frame_random(seed) % 16 == 0)
		b[frame_random(seed) % parts[i].n] = (uint8_t)frame_random(seed);
	return parts[i].n;
}

static void agrees_with_the_plain_reader(void **state)
{
	uint64_t seed = 8;
	int both = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		struct tcp_options a, b;
		uint8_t bytes[80];
		size_t len = 0, want = 4 * (frame_random(&seed) % 11);

		while (len < want)
			len += random_option(bytes + len, &seed);
		len = len > 40 || frame_random(&seed) & 1 ? want : len;
		if (plain_reader(bytes, len, &b) != R_NONE) {
			assert_int_equal(read_copy(bytes, len, &a), R_TCP_OPT);
			continue;
		}
		if (read_copy(bytes, len, &a) == R_TCP_OPT)
			continue; /* a spoilt byte made a kind that the plain reader knows not */
		assert_int_equal(!!(a.present & OPT_TS), b.ts_off != 0);
		assert_int_equal(!!(a.present & OPT_SACK), b.sack_off != 0);
		assert_true(a.ts_off == b.ts_off && a.tsval == b.tsval && a.tsecr == b.tsecr);
		assert_true(a.sack_off == b.sack_off && a.sack_count == b.sack_count);
		both += b.ts_off && b.sack_off;
	}
	assert_true(both > 1000);
}

static void random_bytes_keep_offsets_inside(void **state)
{
	uint64_t seed = 9;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		struct tcp_options o;
		uint8_t bytes[40];
		size_t len = frame_random(&seed) % 41;

		for (size_t k = 0; k < len; k++)
			bytes[k] = (uint8_t)(frame_random(&seed) %
					     (frame_random(&seed) & 1 ? 256 : 12));
		read_copy(bytes, len, &o);
		if (o.present & OPT_TS)
			assert_true(o.ts_off >= 22 && o.ts_off + 8u <= 20 + len);
		if (o.present & OPT_SACK)
			assert_true(o.sack_count >= 1 && o.sack_count <= 4 &&
				    o.sack_off + 8u * o.sack_count <= 20 + len);
		if (o.present & OPT_TFO)
			assert_true(o.tfo_len <= 16 && o.tfo_off + 0u + o.tfo_len <= 20 + len);
		assert_true(o.wscale <= TCP_WSCALE_MAX);
	}
}

static void cursor_gives_each_option(void **state)
{
	static const uint8_t b[] = { 1, 2, 4, 5, 0xb4, 0x45, 2, 0, 3, 3 };
	static const struct tcp_option want[] = {
		{ 1, 0, 1 }, { 2, 1, 4 }, { 0x45, 5, 2 }, { 0, 7, 1 }
	};
	struct tcp_option o;
	size_t off = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_true(tcp_option_next(b, sizeof b, &off, &o));
		assert_true(o.kind == want[i].kind && o.off == want[i].off && o.len == want[i].len);
	}
	assert_int_equal(off, sizeof b); /* nothing stands behind EOL */
	assert_false(tcp_option_next(b, sizeof b, &off, &o));
}

static void cursor_stops_at_a_malformed_one(void **state)
{
	static const uint8_t b[] = { 1, 2, 9, 5 };
	struct tcp_option o = { 7, 7, 7 };
	size_t off = 1;

	(void)state;
	assert_false(tcp_option_next(b, sizeof b, &off, &o));
	assert_int_equal(off, 1);
	assert_true(o.kind == 7 && o.off == 7 && o.len == 7);
	off = 3;
	assert_false(tcp_option_next(b, sizeof b, &off, &o));
	assert_int_equal(off, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_each_kind),
		cmocka_unit_test(no_truncation_reads_outside),
		cmocka_unit_test(agrees_with_the_plain_reader),
		cmocka_unit_test(random_bytes_keep_offsets_inside),
		cmocka_unit_test(cursor_gives_each_option),
		cmocka_unit_test(cursor_stops_at_a_malformed_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
