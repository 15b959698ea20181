/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "stack/cc.h"

#define MSS 1000u
#define RTT_US 100000u

static const enum stack_cc both[] = { STACK_CUBIC, STACK_NEWRENO };

/* A round trip in which all of cwnd is acknowledged, by ACKs of `per` bytes spread over it. */
static void round_trip(struct cc *cc, sut_time *now, uint32_t per)
{
	uint32_t left = cc->cwnd, acks = (left + per - 1) / per;

	for (uint32_t i = 0; i < acks; i++) {
		uint32_t n = left < per ? left : per;

		*now += (sut_time)RTT_US * 1000 / acks;
		cc_ops_of(cc)->acked(cc, n, true, RTT_US, *now);
		left -= n;
	}
}

/* --- what is the same for both */

static void initial_window(void **state)
{
	static const struct {
		uint32_t mss, iw;
	} rows[] = {
		{ 536, 5360 }, { 1460, 14600 }, { 1448, 14480 }, { 9000, 18000 }, { 4000, 14600 }
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(cc_initial(rows[i].mss), rows[i].iw); /* RFC 6928 */
}

/* The handshake tells the mss after the connection was made: the initial window is one of it. */
static void mss_of_the_handshake(void **state)
{
	struct cc cc;

	(void)state;
	cc_init(&cc, STACK_CUBIC, 536);
	cc_set_mss(&cc, 1448);
	assert_int_equal(cc.cwnd, 14480);
	cc_loss(&cc, 14480, 1);
	cc.cwnd = cc.ssthresh;
	cc_set_mss(&cc, 500);
	assert_int_equal(cc.cwnd, cc.ssthresh); /* later it stays as many bytes */
}

/* A recovery that began with small segments ends with large ones: where it goes on must hold one, or nothing is ever sent again. */
static void mss_grows_in_recovery(void **state)
{
	struct cc cc;

	(void)state;
	cc_init(&cc, STACK_CUBIC, 1448);
	cc_loss(&cc, 4000, 1);
	cc_set_mss(&cc, 8948);
	assert_true(cc.cwnd >= 8948);
	assert_int_equal(cc.ssthresh, 2 * 8948);
}

static void slow_start_doubles(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		struct cc cc;
		sut_time now = SUT_MS(1);

		cc_init(&cc, both[i], MSS);
		round_trip(&cc, &now, 2 * MSS);
		assert_int_equal(cc.cwnd, 20 * MSS);
		round_trip(&cc, &now, 2 * MSS);
		assert_int_equal(cc.cwnd, 40 * MSS);
	}
}

static void slow_start_ends_at_ssthresh(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		struct cc cc;
		sut_time now = SUT_MS(1);

		cc_init(&cc, both[i], MSS);
		cc.cwnd = 2 * MSS;
		cc.ssthresh = 7 * MSS;
		round_trip(&cc, &now, 2 * MSS);
		round_trip(&cc, &now, 2 * MSS);
		/* The rest is congestion avoidance's: of one segment not much. */
		assert_in_range(cc.cwnd, 7 * MSS, 7 * MSS + MSS / 4);
	}
}

static void unused_window_does_not_grow(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		struct cc cc;

		cc_init(&cc, both[i], MSS);
		for (int k = 0; k < 100; k++)
			cc_ops_of(&cc)->acked(&cc, MSS, false, RTT_US, SUT_MS(k));
		assert_int_equal(cc.cwnd, 10 * MSS);
		cc.ssthresh = 5 * MSS;
		for (int k = 0; k < 100; k++)
			cc_ops_of(&cc)->acked(&cc, MSS, false, RTT_US, SUT_MS(k));
		assert_int_equal(cc.cwnd, 10 * MSS);
	}
}

static void timeout_and_undo(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		struct cc cc;

		cc_init(&cc, both[i], MSS);
		cc.cwnd = 40 * MSS;
		cc_timeout(&cc, 40 * MSS, SUT_MS(1));
		assert_int_equal(cc.cwnd, MSS);
		assert_int_equal(cc.ssthresh, both[i] == STACK_CUBIC ? 28 * MSS : 20 * MSS);
		cc_undo(&cc);
		assert_int_equal(cc.cwnd, 40 * MSS);
		assert_int_equal(cc.ssthresh, CC_NO_SSTHRESH);
		cc.cwnd = 3 * MSS;
		cc_undo(&cc); /* once */
		assert_int_equal(cc.cwnd, 3 * MSS);
	}
}

static void ssthresh_has_a_floor(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		struct cc cc;

		cc_init(&cc, both[i], MSS);
		cc_loss(&cc, MSS, SUT_MS(1));
		assert_int_equal(cc.ssthresh, 2 * MSS); /* RFC 5681, equation 4 */
	}
}

static void idle_restarts(void **state)
{
	struct cc cc;

	(void)state;
	cc_init(&cc, STACK_NEWRENO, MSS);
	cc.cwnd = 100 * MSS;
	cc.ssthresh = 50 * MSS;
	cc_idle(&cc, SUT_MS(200), 200000);
	assert_int_equal(cc.cwnd, 100 * MSS);
	cc_idle(&cc, SUT_MS(201), 200000);
	assert_int_equal(cc.cwnd, 10 * MSS); /* RFC 5681, 4.1 */
	assert_int_equal(cc.ssthresh, 75 * MSS);
}

/* --- NewReno */

static void newreno_one_a_round_trip(void **state)
{
	struct cc cc;
	sut_time now = SUT_MS(1);

	(void)state;
	cc_init(&cc, STACK_NEWRENO, MSS);
	cc.cwnd = cc.ssthresh = 20 * MSS;
	for (uint32_t i = 1; i <= 10; i++) {
		round_trip(&cc, &now, 2 * MSS);
		assert_int_equal(cc.cwnd, (20 + i) * MSS);
	}
	cc_loss(&cc, 30 * MSS, now);
	assert_int_equal(cc.ssthresh, 15 * MSS);
}

/* --- CUBIC against the formulas of RFC 9438, in floating point */

static double cube_root(double x)
{
	double y = x > 1 ? x : 1;

	for (int i = 0; i < 200; i++)
		y -= (y * y * y - x) / (3 * y * y);
	return y;
}

/* Section 4.2, in segments and seconds. */
static double w_cubic(double t, double w_max, double cwnd_epoch)
{
	double k = cube_root((w_max - cwnd_epoch) / 0.4);

	return 0.4 * (t - k) * (t - k) * (t - k) + w_max;
}

static void cubic_curve(void **state)
{
	static const uint32_t w_max[] = { 20, 100, 1000, 10000, 100000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(w_max); i++) {
		struct cc cc;
		double begin = w_max[i] * 0.7, w = w_max[i];

		cc_init(&cc, STACK_CUBIC, MSS);
		cc.cwnd = w_max[i] * MSS;
		cc_loss(&cc, cc.cwnd, SUT_MS(5));
		assert_int_equal(cc.ssthresh, w_max[i] * 700);
		cc.cwnd = cc.ssthresh;
		cc_ops_of(&cc)->acked(&cc, 1, true, RTT_US, SUT_MS(10)); /* the epoch begins */
		for (uint32_t ms = 0; ms < 60000; ms += 10) {
			double is = cubic_window(&cc, ms) / (double)MSS;
			double should = w_cubic(ms / 1000.0, w, begin);
			/* K is counted in milliseconds: the curve's slope times one of them. */
			double slack = 0.01 + should * 0.0005;

			if (should < 1 || should > 1000000)
				continue;
			assert_true(is > should - slack && is < should + slack);
		}
	}
}

/* cwnd follows the curve while it is above Reno's window, one RTT ahead as section 4.2's target is. */
static void cubic_follows_the_curve(void **state)
{
	struct cc cc;
	sut_time now = SUT_MS(1000), begin = now;

	(void)state;
	cc_init(&cc, STACK_CUBIC, MSS);
	cc.cwnd = 1000 * MSS;
	cc_loss(&cc, cc.cwnd, now);
	cc.cwnd = cc.ssthresh;
	for (int i = 0; i < 150; i++) {
		double t, low, high, is;

		round_trip(&cc, &now, 10 * MSS);
		t = (double)(now - begin) / 1e9;
		is = cc.cwnd / (double)MSS;
		low = w_cubic(t, 1000, 700);
		high = w_cubic(t + RTT_US / 1e6, 1000, 700);
		assert_true(is > low * 0.99 - 1 && is < high * 1.01 + 1);
	}
	assert_true(cc.cwnd > 1000 * MSS); /* beyond the plateau */
}

/* Section 4.3: where windows are small it grows as Reno would, alpha = 9/17 segments a round trip, then one. */
static void cubic_is_friendly(void **state)
{
	struct cc cc;
	sut_time now = SUT_MS(1000);
	double est = 14;

	(void)state;
	cc_init(&cc, STACK_CUBIC, MSS);
	cc.cwnd = 20 * MSS;
	cc_loss(&cc, cc.cwnd, now);
	cc.cwnd = cc.ssthresh;
	for (int i = 0; i < 12; i++) {
		/* RTT of 10 ms: the cubic curve hardly moves */
		uint32_t acks = cc.cwnd / MSS;

		est += (est < 20 ? 9.0 / 17 : 1) * acks * MSS / cc.cwnd;
		for (uint32_t k = 0; k < acks; k++) {
			now += 10000000 / acks;
			cc_ops_of(&cc)->acked(&cc, MSS, true, 10000, now);
		}
		assert_true(cc.cwnd / (double)MSS > est - 1.5 && cc.cwnd / (double)MSS < est + 1);
	}
}

static void cubic_fast_convergence(void **state)
{
	struct cc cc;

	(void)state;
	cc_init(&cc, STACK_CUBIC, MSS);
	cc.cwnd = 100 * MSS;
	cc_loss(&cc, cc.cwnd, SUT_MS(1));
	assert_int_equal(cc.w_max, 100 * MSS);
	cc.cwnd = 80 * MSS; /* lost before it was back */
	cc_loss(&cc, cc.cwnd, SUT_MS(100));
	assert_int_equal(cc.w_max, 68 * MSS);
	cc.cwnd = 90 * MSS;
	cc_loss(&cc, cc.cwnd, SUT_MS(200));
	assert_int_equal(cc.w_max, 90 * MSS);
}

/* What was acknowledged while the curve was flat must not make cwnd jump when it rises. */
static void cubic_keeps_no_credit(void **state)
{
	struct cc cc;
	sut_time k;
	uint32_t was;

	(void)state;
	cc_init(&cc, STACK_CUBIC, MSS);
	cc.cwnd = 1000 * MSS;
	cc_loss(&cc, cc.cwnd, SUT_MS(1000));
	cc.cwnd = cc.ssthresh;
	cc_ops_of(&cc)->acked(&cc, 1, true, 0, SUT_MS(1000));
	cc.cwnd = 1000 * MSS; /* K after that, on the plateau */
	k = SUT_MS(1000 + cc.k_ms);
	for (int i = 0; i < 5000; i++)
		cc_ops_of(&cc)->acked(&cc, MSS, true, 0, k);
	was = cc.cwnd;
	cc_ops_of(&cc)->acked(&cc, MSS, true, 0, k + SUT_MS(5000));
	assert_in_range(cc.cwnd, was, was + 2 * MSS);
}

/* Section 4.2: at most half as much again an RTT. */
static void cubic_never_jumps(void **state)
{
	struct cc cc;
	sut_time now = SUT_MS(1000);

	(void)state;
	cc_init(&cc, STACK_CUBIC, MSS);
	cc.cwnd = 2000 * MSS;
	cc_loss(&cc, cc.cwnd, now);
	cc.cwnd = cc.ssthresh;
	for (int i = 0; i < 400; i++) {
		uint32_t was = cc.cwnd;

		round_trip(&cc, &now, 10 * MSS);
		assert_true(cc.cwnd >= was &&
			    cc.cwnd <= was + was / 2 + MSS); /* at most half as much again */
	}
}

/* --- HyStart++ */

static void hystart_round(struct cc *cc, sut_time *now, uint32_t rtt)
{
	uint32_t acks = cc->cwnd / MSS;

	for (uint32_t i = 0; i < acks; i++) {
		cc->rtt = rtt;
		cc->round = i == 0;
		cc_ops_of(cc)->acked(cc, MSS, true, rtt, *now += 1000);
	}
}

static void hystart_leaves_slow_start(void **state)
{
	struct cc cc;
	sut_time now = SUT_MS(1);
	uint32_t was;

	(void)state;
	cc_init(&cc, STACK_CUBIC, MSS);
	hystart_round(&cc, &now, 40000);
	hystart_round(&cc, &now, 40000);
	assert_int_equal(cc.cwnd, 40 * MSS);
	hystart_round(&cc, &now, 44000); /* within an eighth, at least 4 ms: 5 ms here */
	assert_int_equal(cc.cwnd, 80 * MSS);
	hystart_round(&cc, &now,
		      52000); /* risen: a quarter of the pace from the eighth sample on */
	assert_in_range(cc.cwnd, 90 * MSS, 110 * MSS);
	was = cc.cwnd;
	hystart_round(&cc, &now, 52000);
	assert_in_range(cc.cwnd, was + was / 5, was + was / 3);
	for (int i = 0; i < 5; i++)
		hystart_round(&cc, &now, 52000);
	assert_true(cc.ssthresh != CC_NO_SSTHRESH); /* five rounds of that: congestion avoidance */
}

static void hystart_goes_on(void **state)
{
	struct cc cc;
	sut_time now = SUT_MS(1);
	uint32_t was;

	(void)state;
	cc_init(&cc, STACK_NEWRENO, MSS);
	hystart_round(&cc, &now, 40000);
	hystart_round(&cc, &now, 60000);
	assert_true(cc.hs_baseline != 0);
	hystart_round(&cc, &now, 40000); /* it was noise */
	assert_int_equal(cc.hs_baseline, 0);
	was = cc.cwnd;
	hystart_round(&cc, &now, 40000);
	assert_int_equal(cc.cwnd, 2 * was);
	assert_int_equal(cc.ssthresh, CC_NO_SSTHRESH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(initial_window),
		cmocka_unit_test(mss_of_the_handshake),
		cmocka_unit_test(mss_grows_in_recovery),
		cmocka_unit_test(slow_start_doubles),
		cmocka_unit_test(slow_start_ends_at_ssthresh),
		cmocka_unit_test(unused_window_does_not_grow),
		cmocka_unit_test(timeout_and_undo),
		cmocka_unit_test(ssthresh_has_a_floor),
		cmocka_unit_test(idle_restarts),
		cmocka_unit_test(newreno_one_a_round_trip),
		cmocka_unit_test(cubic_curve),
		cmocka_unit_test(cubic_follows_the_curve),
		cmocka_unit_test(cubic_is_friendly),
		cmocka_unit_test(cubic_fast_convergence),
		cmocka_unit_test(cubic_never_jumps),
		cmocka_unit_test(cubic_keeps_no_credit),
		cmocka_unit_test(hystart_leaves_slow_start),
		cmocka_unit_test(hystart_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
