/* SPDX-License-Identifier: MIT */
#include "app/flow_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct flow_row row(void)
{
	struct flow_row r = {
		.key = { .src = { [10] = 0xff, 0xff, 192, 0, 2, 1 },
			 .dst = { [10] = 0xff, 0xff, 198, 51, 100, 2 },
			 .sport = be16_of(40000),
			 .dport = be16_of(80),
			 .where = 0xffffff },
		.mode = "hold",
		.state = "OPEN",
		.shifted = true,
		.clocked = true,
		.shift = { 0, 4000000000u },
		.clock = { 0, 17 },
		.held_bytes = 12,
		.bytes = { 100, 4294967295u },
		.age_ns = 1500000000u,
	};

	return r;
}

static void a_line(void **state)
{
	struct flow_row r = row();
	char s[FLOW_TEXT_MAX];

	(void)state;
	flow_text_line(&r, s);
	assert_string_equal(s, "192.0.2.1.40000         198.51.100.2.80         hold   OPEN        "
			       " 4000000000 17         "
			       "12       1.5s   100        4294967295");
	r.shifted = r.clocked = false;
	r.mode = NULL;
	r.age_ns = 7200000000000u;
	r.key.where = 5u << 12 | 7;
	flow_text_line(&r, s);
	assert_string_equal(s, "192.0.2.1.40000         198.51.100.2.80         -      OPEN        "
			       " -          -          "
			       "12       2h00   100        4294967295 vlan 5 7");
}

static void an_object(void **state)
{
	struct flow_row r = row();
	char s[FLOW_TEXT_MAX];

	(void)state;
	flow_text_json(&r, s);
	assert_string_equal(
		s,
		"{\"src\":\"192.0.2.1\",\"sport\":40000,\"dst\":\"198.51.100.2\",\"dport\":80,"
		"\"mode\":\"hold\","
		"\"state\":\"OPEN\",\"shift_near\":0,\"shift_far\":4000000000,\"clock_near\":0,"
		"\"clock_far\":17,"
		"\"held_bytes\":12,\"age_ms\":1500,\"bytes_near\":100,\"bytes_far\":4294967295}");
	r.shifted = r.clocked = false;
	r.mode = NULL;
	r.key.where = 5u << 12 | 7;
	flow_text_json(&r, s);
	assert_non_null(strstr(s, "\"vlan\":5,\"inner_vlan\":7,\"state\""));
	assert_null(strstr(s, "shift"));
}

/* What is only passed has no bytes that could be told. */
static void no_bytes(void **state)
{
	struct flow_row r = row();
	char s[FLOW_TEXT_MAX];

	(void)state;
	r.uncounted = true;
	flow_text_line(&r, s);
	assert_non_null(strstr(s, "1.5s   -          -"));
	flow_text_json(&r, s);
	assert_null(strstr(s, "bytes_"));
	assert_int_equal(s[strlen(s) - 1], '}');
}

/* The longest that there can be fits. */
static void the_longest(void **state)
{
	struct flow_row r = row();
	char s[FLOW_TEXT_MAX];

	(void)state;
	memset(r.key.src, 0xfe, 16);
	memset(r.key.dst, 0xfe, 16);
	r.state = "SOME_VERY_LONG_STATE";
	r.age_ns = UINT64_MAX;
	r.held_bytes = UINT64_MAX;
	r.key.where = 0xabcabc;
	flow_text_json(&r, s);
	assert_int_equal(s[strlen(s) - 1], '}');
	flow_text_line(&r, s);
	assert_non_null(strstr(s, "vlan"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line),
		cmocka_unit_test(an_object),
		cmocka_unit_test(no_bytes),
		cmocka_unit_test(the_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
