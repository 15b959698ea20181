/* SPDX-License-Identifier: MIT */
#include "stack/cc.h"

/*
 * Theory of operation (RFC 9438)
 *
 *     W(t) = C (t - K)^3 + W_max        segments, seconds; C = 0.4, beta = 0.7
 *
 * An epoch of congestion avoidance begins with the first ACK after a reduction.  Here times are milliseconds and windows bytes.  How
 * fast cwnd is to grow is found out once a millisecond at most, as "so many bytes acknowledged for one more mss"; an ACK adds
 * to a count and compares.  A division is made there and not on the way of each ACK.
 *
 * The cube of 2^20 ms (17 minutes) fits in 64 bits with room: times are bounded by that.
 */

#define SPAN_MAX (1 << 20) /* ms */
#define BETA_NUM 7u
#define BETA_DEN 10u

static void init(struct cc *cc)
{
	cc->epoch = 0;
}

/* The cube root of x, rounded down: one bit of it after the other. */
static uint32_t cube_root(uint64_t x)
{
	uint32_t y = 0;

	for (int bit = 20; bit >= 0; bit--) {
		uint64_t z = y | 1u << bit;

		if (z * z * z <= x)
			y = (uint32_t)z;
	}
	return y;
}

/* C times the cube of ms, as bytes of segments of mss. */
static int64_t cubic_bytes(int64_t ms, uint32_t mss)
{
	int64_t cube;

	if (ms > SPAN_MAX)
		ms = SPAN_MAX;
	if (ms < -SPAN_MAX)
		ms = -SPAN_MAX;
	cube = ms * ms * ms / 100000; /* 1e-4 s^3: times 0.4 is below a millionth of 2^63 / 65535 */
	return cube / 10000 * mss * 4 / 10 + cube % 10000 * mss * 4 / 100000;
}

uint32_t cubic_window(const struct cc *cc, uint32_t ms)
{
	int64_t w = (int64_t)cc->origin + cubic_bytes((int64_t)ms - cc->k_ms, cc->mss);

	return w < cc->mss ? cc->mss : w > INT32_MAX ? INT32_MAX : (uint32_t)w;
}

/* 4.2: K = cbrt((W_max - cwnd_epoch) / C) */
static void epoch_begin(struct cc *cc, sut_time now)
{
	cc->epoch = now > 0 ? now : 1;
	cc->w_est = cc->cwnd;
	cc->est_acked = 0;
	cc->per_mss = 0;
	if (cc->cwnd >= cc->w_max) {
		cc->k_ms = 0;
		cc->origin = cc->cwnd;
		return;
	}
	cc->origin = cc->w_max;
	cc->k_ms = cube_root((uint64_t)(cc->w_max - cc->cwnd) * 2500000000u / cc->mss);
}

/* 4.3: alpha is 3 (1 - beta) / (1 + beta) = 9/17 until the window is as large as before the reduction, then 1. */
static void reno_follow(struct cc *cc)
{
	uint64_t grown = (uint64_t)cc->est_acked * cc->mss / cc->cwnd;

	if (cc->w_est < cc->prior_cwnd)
		grown = grown * 9 / 17;
	/* What does not make a byte is kept. */
	if (grown == 0)
		return;
	cc->w_est = cc->w_est + grown < INT32_MAX ? cc->w_est + (uint32_t)grown : INT32_MAX;
	cc->est_acked = 0;
}

/* 4.2, 4.4 and 4.5: where the curve has cwnd one RTT from now, at most half as much again. */
static uint32_t target(const struct cc *cc, uint32_t srtt_us, sut_time now)
{
	uint64_t ms = (now - cc->epoch) / 1000000 + srtt_us / 1000;
	uint32_t w = cubic_window(cc, ms < SPAN_MAX ? (uint32_t)ms : SPAN_MAX);
	uint32_t most = cc->cwnd + cc->cwnd / 2;

	if (w < cc->cwnd)
		w = cc->cwnd;
	return w > most ? most : w;
}

static void pace(struct cc *cc, uint32_t srtt_us, sut_time now)
{
	uint32_t more, ms = (uint32_t)(now / 1000000);
	uint64_t per = UINT32_MAX;

	if (cc->per_mss != 0 && cc->per_mss_at == ms)
		return;
	cc->per_mss_at = ms;
	reno_follow(cc);
	more = target(cc, srtt_us, now) - cc->cwnd;
	if (cc->w_est > cc->cwnd + more) /* 4.3: there cwnd is Reno's */
		cc->cwnd = cc->w_est;
	else if (more > 0) /* cwnd is acknowledged once an RTT: so it grows by `more` in one */
		per = (uint64_t)cc->cwnd * cc->mss / more;
	cc->per_mss = per > UINT32_MAX ? UINT32_MAX : per == 0 ? 1 : (uint32_t)per;
	/* What was acknowledged while the window stood still is no credit for now. */
	if (cc->acked > cc->per_mss)
		cc->acked = cc->per_mss;
}

static void acked(struct cc *cc, uint32_t n, bool limited, uint32_t srtt_us, sut_time now)
{
	if (!limited)
		return; /* 5.8: a window that is not used does not grow */
	n = cc_slow_start(cc, n);
	if (n == 0)
		return;
	if (cc->epoch == 0)
		epoch_begin(cc, now);
	cc->est_acked += n;
	pace(cc, srtt_us, now);
	for (cc->acked += n; cc->acked >= cc->per_mss; cc->acked -= cc->per_mss)
		cc_grow(cc, cc->mss);
}

/* 4.6 and 4.7, fast convergence: who lost before it was back where it was gives room to the others. */
static uint32_t ssthresh(struct cc *cc, uint32_t flight, sut_time now)
{
	uint32_t left = (uint32_t)((uint64_t)flight * BETA_NUM / BETA_DEN);

	(void)now;
	if (cc->cwnd < cc->w_max)
		cc->w_max = (uint32_t)((uint64_t)cc->cwnd * (BETA_DEN + BETA_NUM) / (2 * BETA_DEN));
	else
		cc->w_max = cc->cwnd;
	cc->epoch = 0;
	return left > 2 * cc->mss ? left : 2 * cc->mss;
}

const struct cc_ops cc_cubic = { "cubic", init, acked, ssthresh };
