/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stack/parts.h"

#define MS 1000u /* us */

static void before_a_measurement(void **state)
{
	struct rtt r;

	(void)state;
	rtt_init(&r);
	assert_int_equal(rtt_rto(&r), 1000 * MS); /* RFC 6298, 2.1 */
	r.backoff = 2;
	assert_int_equal(rtt_rto(&r), 4000 * MS); /* 5.5 */
}

/* 2.2: SRTT = R, RTTVAR = R / 2; 2.3: beta 1/4, then alpha 1/8. */
static void smooths_as_the_rfc_says(void **state)
{
	struct rtt r;

	(void)state;
	rtt_init(&r);
	rtt_sample(&r, 400 * MS, 0);
	assert_int_equal(r.srtt, 400 * MS);
	assert_int_equal(r.rttvar, 200 * MS);
	assert_int_equal(rtt_rto(&r), 1200 * MS);
	rtt_sample(&r, 800 * MS, 0);
	assert_int_equal(r.rttvar, 250 * MS); /* 3/4 200 + 1/4 400: with the old SRTT */
	assert_int_equal(r.srtt, 450 * MS);
	assert_int_equal(rtt_rto(&r), 1450 * MS);
}

static void stays_within_bounds(void **state)
{
	struct rtt r;

	(void)state;
	rtt_init(&r);
	for (int i = 0; i < 50; i++)
		rtt_sample(&r, 100, 0);
	assert_int_equal(rtt_rto(&r), 200 * MS);
	r.backoff = 3;
	assert_int_equal(rtt_rto(&r), 1600 * MS);
	r.backoff = 255;
	assert_int_equal(rtt_rto(&r), 120000 * MS);
	rtt_sample(&r, UINT32_MAX, 0);
	assert_true(rtt_rto(&r) <= 120000 * MS);
	rtt_init(&r);
	rtt_sample(&r, 0, 0); /* faster than the clock: but it was measured */
	assert_true(r.srtt > 0);
}

static void a_measurement_ends_the_back_off(void **state)
{
	struct rtt r;

	(void)state;
	rtt_init(&r);
	r.backoff = 4;
	rtt_sample(&r, 50 * MS, 0);
	assert_int_equal(r.backoff, 0);
}

static void smallest_of_a_minute(void **state)
{
	struct rtt r;

	(void)state;
	rtt_init(&r);
	rtt_sample(&r, 50 * MS, 1000);
	rtt_sample(&r, 20 * MS, 2000);
	rtt_sample(&r, 90 * MS, 3000);
	assert_int_equal(r.min, 20 * MS);
	rtt_lowest(&r, 15 * MS, 4000);
	assert_int_equal(r.min, 15 * MS);
	rtt_sample(&r, 80 * MS, 64000);
	assert_int_equal(r.min, 15 * MS);
	rtt_sample(&r, 80 * MS, 64001);
	assert_int_equal(r.min, 80 * MS);
	/* The clock of milliseconds wraps. */
	r.min_at = UINT32_MAX - 10;
	rtt_sample(&r, 90 * MS, 5);
	assert_int_equal(r.min, 80 * MS);
}

/* 5.7: data begins with 3 s after a SYN had to be sent again; the first measurement of data ends that. */
static void syn_lost(void **state)
{
	struct rtt r;

	(void)state;
	rtt_init(&r);
	r.backoff = 1;
	rtt_syn_lost(&r);
	assert_int_equal(rtt_rto(&r), 3000 * MS);
	rtt_sample(&r, 10 * MS, 0);
	assert_int_equal(rtt_rto(&r), 200 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_a_measurement),
		cmocka_unit_test(smooths_as_the_rfc_says),
		cmocka_unit_test(stays_within_bounds),
		cmocka_unit_test(a_measurement_ends_the_back_off),
		cmocka_unit_test(smallest_of_a_minute),
		cmocka_unit_test(syn_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
