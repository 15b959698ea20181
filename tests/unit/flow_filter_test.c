/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/flow_filter.h"
#include "base/compiler.h"

/* 192.0.2.1:40000 to [2001:db8::1]:80, which no one ever saw. */
static struct flow_key example(void)
{
	struct flow_key k = { .src = { [10] = 0xff, 0xff, 192, 0, 2, 1 },
			      .dst = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 },
			      .sport = be16_of(40000),
			      .dport = be16_of(80) };

	return k;
}

static void ends(void **state)
{
	static const struct {
		const char *text;
		bool takes;
	} rows[] = {
		{ "192.0.2.1", true },
		{ "192.0.2.2", false },
		{ "80", true },
		{ "40000", true },
		{ "81", false },
		{ "192.0.2.1:40000", true },
		{ "192.0.2.1:80", false },
		{ "2001:db8::1", true },
		{ "[2001:db8::1]", true },
		{ "[2001:db8::1]:80", true },
		{ "[2001:db8::1]:81", false },
		{ "2001:db8::2", false },
	};
	struct flow_key k = example();

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		struct flow_filter f = { 0 };

		assert_int_equal(flow_filter_add(&f, rows[i].text), 0);
		assert_int_equal(flow_filter_takes(&f, &k), rows[i].takes);
	}
}

static void both_ends(void **state)
{
	struct flow_filter f = { 0 };
	struct flow_key k = example();

	(void)state;
	assert_true(flow_filter_takes(&f, &k));
	assert_int_equal(flow_filter_add(&f, "192.0.2.1:40000"), 0);
	assert_int_equal(flow_filter_add(&f, "80"), 0);
	assert_true(flow_filter_takes(&f, &k));
	assert_int_equal(flow_filter_add(&f, "443"), 0);
	assert_false(flow_filter_takes(&f, &k));
}

static void bad(void **state)
{
	static const char *const texts[] = {
		"",	     "x",	  "0",	  "65536",  "1.2.3",	   "1.2.3.4:",
		"1.2.3.4:0", "1.2.3.4:x", "[::1", "[::1]x", "[::1]:65536", "::1:2:3:4:5:6:7:8"
	};
	struct flow_filter f = { 0 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(flow_filter_add(&f, texts[i]), -EINVAL);
	assert_int_equal(f.n, 0);
	for (unsigned i = 0; i < FLOW_FILTER_ENDS; i++)
		assert_int_equal(flow_filter_add(&f, "80"), 0);
	assert_int_equal(flow_filter_add(&f, "80"), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends),
		cmocka_unit_test(both_ends),
		cmocka_unit_test(bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
