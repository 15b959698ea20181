/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "app/sight.h"
#include "proto/checksum.h"
#include "proto/ip.h"
#include "proto/tcp.h"
#include "proto/view.h"

#define HEADERS 54u

/* A frame from port 1000 to port 80 with len payload bytes that begin at *data. */
static struct capture_frame frame(uint8_t bytes[2000], const char *data, uint32_t len)
{
	uint8_t *ip = bytes + 14, *t = ip + 20;
	struct packet p = { .head = bytes, .head_len = HEADERS + len, .off.csum = CSUM_COMPLETE };
	struct view v;

	memset(bytes, 0, 2000);
	bytes[12] = 8;
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)(40 + len));
	ip[8] = 64;
	ip[9] = IP_TCP;
	ip[15] = ip[19] = 9;
	store_be16(t, 1000);
	store_be16(t + 2, 80);
	store_be32(t + 4, 77);
	t[12] = 0x50;
	t[13] = TCP_ACK;
	memcpy(t + 20, data, len);
	assert_int_equal(view_parse(&p, &v), R_NONE);
	csum_ip_fill(&p, &v);
	csum_tcp_fill(&p, &v);
	return (struct capture_frame){
		.at = 5, .bytes = bytes, .len = p.head_len, .wire_len = p.head_len
	};
}

static struct sight read_one(const char *data, uint32_t len)
{
	uint8_t bytes[2000];
	struct capture_frame f = frame(bytes, data, len);
	struct flow_key key;
	struct sight s;

	assert_int_equal(sight_read(&f, true, &s, &key), SIGHT_TCP);
	return s;
}

/* The hash of a whole is that of its pieces, wherever it is cut; and it knows zeroes and order. */
static void hashes(void **state)
{
	static const char text[] = "a request of some length, for \0 example";
	const uint32_t n = sizeof text;
	uint64_t whole = read_one(text, n).hash;

	(void)state;
	for (uint32_t cut = 0; cut <= n; cut++)
		assert_true(sight_join(read_one(text, cut).hash, read_one(text + cut, n - cut).hash,
				       n - cut) == whole);
	assert_true(read_one("ab", 2).hash != read_one("ba", 2).hash);
	assert_true(read_one("\0\0", 2).hash != read_one("\0", 1).hash);
}

static void checksums(void **state)
{
	uint8_t bytes[2000];
	struct capture_frame f = frame(bytes, "data", 4);
	struct packet p = { .head = bytes, .head_len = f.len };
	struct flow_key key;
	struct sight s;
	struct view v;

	(void)state;
	sight_read(&f, true, &s, &key);
	assert_int_equal(s.marks, SIGHT_HASHED);
	bytes[HEADERS]++;
	sight_read(&f, true, &s, &key);
	assert_int_equal(s.marks, SIGHT_HASHED | SIGHT_BAD_CSUM);
	/* left to a device */
	assert_int_equal(view_parse(&p, &v), R_NONE);
	store_be16(bytes + 50, csum_pseudo(&p, &v, v.l4_len));
	sight_read(&f, true, &s, &key);
	assert_int_equal(s.marks, SIGHT_HASHED);
}

/* Cut frames are read as far as their headers are there. */
static void cut(void **state)
{
	uint8_t bytes[2000];
	struct capture_frame f = frame(bytes, "0123456789", 10);
	struct flow_key key;
	struct sight s;

	(void)state;
	f.len = HEADERS + 3;
	assert_int_equal(sight_read(&f, true, &s, &key), SIGHT_TCP);
	assert_int_equal(s.len, 10);
	assert_int_equal(s.seq, 77);
	assert_int_equal(s.marks, SIGHT_CUT);
	for (f.len = 0; f.len < HEADERS; f.len++) /* the fixed part must be there */
		assert_int_equal(sight_read(&f, true, &s, &key), SIGHT_MALFORMED);
}

/* Of options that were not captured wholly the whole ones are read. */
static void cut_options(void **state)
{
	static const uint8_t options[12] = { 2, 4, 5, 180, 8, 10, 0, 0, 0, 9, 0, 0 };
	uint8_t bytes[2000];
	struct capture_frame f = frame(bytes, "0123456789abcdefghijkl", 22);
	struct flow_key key;
	struct sight s;

	(void)state;
	/* twelve of the payload's bytes become a MSS and most of timestamps; the header says 32 + 2 more */
	memcpy(bytes + HEADERS, options, sizeof options);
	bytes[14 + 20 + 12] = 9 << 4;
	f.len = HEADERS + sizeof options;
	assert_int_equal(sight_read(&f, true, &s, &key), SIGHT_TCP);
	assert_int_equal(s.marks, SIGHT_CUT | SIGHT_CUT_OPTIONS);
	assert_int_equal(s.present, OPT_MSS);
	assert_int_equal(s.mss, 1460);
	assert_int_equal(s.len, 6);
	f.len = HEADERS;
	assert_int_equal(sight_read(&f, true, &s, &key), SIGHT_TCP);
	assert_int_equal(s.present, 0);
	/* a header that says more than there ever was is no cut one */
	bytes[14 + 20 + 12] = 15 << 4;
	f.wire_len = HEADERS + 22;
	assert_int_equal(sight_read(&f, true, &s, &key), SIGHT_MALFORMED);
}

static void others(void **state)
{
	uint8_t bytes[2000];
	struct capture_frame f = frame(bytes, "x", 1);
	struct flow_key key;
	struct sight s;

	(void)state;
	bytes[14 + 6] = 0x20;
	assert_int_equal(sight_read(&f, true, &s, &key), SIGHT_FRAGMENT);
	bytes[14 + 6] = 0;
	bytes[14 + 9] = 17;
	assert_int_equal(sight_read(&f, true, &s, &key), SIGHT_NOT_TCP);
	bytes[12] = 9;
	assert_int_equal(sight_read(&f, true, &s, &key), SIGHT_NOT_TCP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes),      cmocka_unit_test(checksums), cmocka_unit_test(cut),
		cmocka_unit_test(cut_options), cmocka_unit_test(others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
