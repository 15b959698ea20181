/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/record.h"
#include "core/record_flow.h"

static void crc_is_castagnoli(void **state)
{
	uint8_t b[32];

	(void)state;
	/* The check value of every catalogue, and RFC 3720, B.4. */
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	memset(b, 0, sizeof b);
	assert_int_equal(crc32c(0, b, sizeof b), 0x8a9136aa);
	memset(b, 0xff, sizeof b);
	assert_int_equal(crc32c(0, b, sizeof b), 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		b[i] = i;
	assert_int_equal(crc32c(0, b, sizeof b), 0x46dd794e);
	assert_int_equal(crc32c(crc32c(0, b, 7), b + 7, 25), 0x46dd794e);
	assert_int_equal(crc32c(0, NULL, 0), 0);
}

static void sample(struct record *r)
{
	memset(r, 0xee, sizeof *r);
	record_begin(r, REC_REPLICA_FLOW, 5);
	record_put8(r, 0x11);
	record_put16(r, 0x2233);
	record_put32(r, 0x44556677);
	record_put64(r, UINT64_C(0x8899aabbccddeeff));
	record_put(r, "abc", 3);
	record_end(r);
}

static void layout_is_little_endian(void **state)
{
	/* clang-format off */
	static const uint8_t want[] = {
		REC_REPLICA_FLOW, 0, 5, 0, 18, 0, 0, 0,
		0x11, 0x33, 0x22, 0x77, 0x66, 0x55, 0x44,
		0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88, 'a', 'b', 'c',
	};
	/* clang-format on */
	struct record r;
	uint32_t crc;

	(void)state;
	sample(&r);
	crc = crc32c(0, want, sizeof want);
	assert_int_equal(r.len, sizeof want + 4);
	assert_memory_equal(r.bytes, want, sizeof want);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(r.bytes[sizeof want + i], (uint8_t)(crc >> (8 * i)));
}

static void reads_what_was_written(void **state)
{
	struct record r;
	struct record_reader rd;
	char s[3];

	(void)state;
	sample(&r);
	assert_int_equal(record_open(&r, &rd), 0);
	assert_int_equal(rd.kind, REC_REPLICA_FLOW);
	assert_int_equal(rd.version, 5);
	assert_int_equal(record_take8(&rd), 0x11);
	assert_int_equal(record_take16(&rd), 0x2233);
	assert_int_equal(record_take32(&rd), 0x44556677);
	assert_true(record_take64(&rd) == UINT64_C(0x8899aabbccddeeff));
	record_take(&rd, s, 3);
	assert_memory_equal(s, "abc", 3);
	assert_int_equal(rd.left, 0);
	assert_false(rd.failed);
}

static void past_the_end_are_zeroes(void **state)
{
	struct record r;
	struct record_reader rd;
	uint8_t b[5] = { 1, 2, 3, 4, 5 };

	(void)state;
	record_begin(&r, REC_ACCEL_FLOW, 1);
	record_put32(&r, 0xffffffff);
	record_end(&r);

	assert_int_equal(record_open(&r, &rd), 0);
	assert_true(record_take64(&rd) == 0);
	assert_true(rd.failed);
	assert_int_equal(record_take8(&rd), 0); /* failed for good */

	assert_int_equal(record_open(&r, &rd), 0);
	record_take(&rd, b, 5);
	assert_memory_equal(b, "\0\0\0\0\0", 5);
	assert_true(rd.failed);
}

static void every_flipped_bit_is_damage(void **state)
{
	struct record r;
	struct record_reader rd = { .kind = 99 };

	(void)state;
	sample(&r);
	for (unsigned bit = 0; bit < 8u * r.len; bit++) {
		r.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(record_open(&r, &rd), -EINVAL);
		r.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(rd.kind, 99);
	assert_int_equal(record_open(&r, &rd), 0);
}

static void a_reserved_byte_is_damage(void **state)
{
	struct record r;
	struct record_reader rd;

	(void)state;
	record_begin(&r, REC_ACCEL_FLOW, 1);
	r.bytes[3] = 1;
	record_end(&r); /* the CRC is right */
	assert_int_equal(record_open(&r, &rd), -EINVAL);
}

static void every_other_length_is_damage(void **state)
{
	struct record r;
	struct record_reader rd;
	uint16_t len;

	(void)state;
	sample(&r);
	len = r.len;
	for (uint32_t n = 0; n <= UINT16_MAX; n++) {
		r.len = (uint16_t)n;
		assert_int_equal(record_open(&r, &rd), n == len ? 0 : -EINVAL);
	}
}

static void the_longest_record_fits(void **state)
{
	struct record r;
	struct record_reader rd;

	(void)state;
	record_begin(&r, REC_ACCEL_SERVER, 255);
	for (unsigned i = 0; i < RECORD_MAX - 12; i++)
		record_put8(&r, (uint8_t)i);
	record_end(&r);
	assert_int_equal(r.len, RECORD_MAX);
	assert_int_equal(record_open(&r, &rd), 0);
	for (unsigned i = 0; i < RECORD_MAX - 12; i++)
		assert_int_equal(record_take8(&rd), (uint8_t)i);
	assert_false(rd.failed);
}

/* Random bytes, half of them with length and CRC made right: readers stay inside. */
static void any_bytes_are_safe(void **state)
{
	struct record r;
	struct record_reader rd;
	uint8_t b[64];

	(void)state;
	srand(1);
	for (int i = 0; i < 20000; i++) {
		for (size_t k = 0; k < RECORD_MAX; k++)
			r.bytes[k] = (uint8_t)rand();
		r.len = (uint16_t)(rand() % (i & 1 ? 65536 : 80));
		if (r.len >= 12 && r.len <= RECORD_MAX) {
			uint16_t len = r.len;

			r.bytes[3] = 0;
			r.len = (uint16_t)(len - 4);
			record_end(&r);
			assert_int_equal(r.len, len);
		}
		if (record_open(&r, &rd))
			continue;
		while (!rd.failed) {
			assert_in_range(rd.p - r.bytes, 8, r.len - 4);
			assert_int_equal(rd.p + rd.left - r.bytes, r.len - 4);
			record_take(&rd, b, (size_t)rand() % sizeof b);
			if (rd.left == 0)
				(void)record_take8(&rd);
		}
	}
}

/* Key, tracker and lane come back as they went, whatever they hold; what cannot be is refused. */
static void parts_of_flows_come_back(void **state)
{
	struct flow_key key = { .sport = be16_of(40000),
				.dport = be16_of(80),
				.where = 0x01005fff },
			key2;
	struct track t = { .state = TRACK_CLOSING,
			   .opener = FAR,
			   .fin_seen = 3,
			   .edges_known = 15,
			   .isn_known = 2,
			   .isn = { { 7 }, { 0xfffffff0 } },
			   .fin = { { 9 }, { 5 } } },
		     t2;
	struct lane l = { .eth_len = 18,
			  .ip = 6,
			  .ttl = 63,
			  .tos = 4,
			  .flow_label = 0xfedcb,
			  .sport = 1,
			  .dport = 0xffff },
		    l2;
	struct record r;
	struct record_reader rd;

	(void)state;
	memset(key.src, 0x5a, sizeof key.src);
	memset(l.eth, 0xa5, sizeof l.eth);
	memset(l.dst, 3, sizeof l.dst);
	memset(&t2, 0, sizeof t2);
	memset(&l2, 0, sizeof l2);
	record_begin(&r, REC_ACCEL_FLOW, 1);
	record_put_key(&r, &key);
	record_put_track(&r, &t);
	record_put_lane(&r, &l);
	record_end(&r);
	assert_int_equal(record_open(&r, &rd), 0);
	record_take_key(&rd, &key2);
	record_take_track(&rd, &t2);
	record_take_lane(&rd, &l2);
	assert_false(rd.failed);
	assert_int_equal(rd.left, 0);
	assert_true(flow_key_equal(&key, &key2));
	assert_int_equal(t2.state, t.state);
	assert_int_equal(t2.isn[FAR].v, t.isn[FAR].v);
	assert_int_equal(t2.fin[NEAR].v, t.fin[NEAR].v);
	assert_memory_equal(&l2, &l, sizeof l);

	l.eth_len = 15;
	record_begin(&r, REC_ACCEL_FLOW, 1);
	record_put_lane(&r, &l);
	record_end(&r);
	assert_int_equal(record_open(&r, &rd), 0);
	record_take_lane(&rd, &l2);
	assert_true(rd.failed);
	t.state = TRACK_STATE_COUNT;
	record_begin(&r, REC_ACCEL_FLOW, 1);
	record_put_track(&r, &t);
	record_end(&r);
	assert_int_equal(record_open(&r, &rd), 0);
	record_take_track(&rd, &t2);
	assert_true(rd.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_of_flows_come_back),
		cmocka_unit_test(crc_is_castagnoli),
		cmocka_unit_test(layout_is_little_endian),
		cmocka_unit_test(reads_what_was_written),
		cmocka_unit_test(past_the_end_are_zeroes),
		cmocka_unit_test(every_flipped_bit_is_damage),
		cmocka_unit_test(a_reserved_byte_is_damage),
		cmocka_unit_test(every_other_length_is_damage),
		cmocka_unit_test(the_longest_record_fits),
		cmocka_unit_test(any_bytes_are_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
