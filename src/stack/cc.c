/* SPDX-License-Identifier: MIT */
#include "stack/cc.h"

#include <assert.h>

/*
 * Theory of operation
 *
 * Slow start and congestion avoidance (MUST-19).  cwnd and ssthresh are bytes.  An algorithm says how cwnd grows (acked) and how much
 * is left of it after a loss (ssthresh); all else
 * is the same for each: the initial window, slow start, what a timeout does, undoing.
 *
 * cwnd itself is brought down by recovery.c, packet by packet (PRR, RFC 6937), or here at a timeout.
 *
 * Slow start counts all the bytes that an ACK is for, however many: peers acknowledge a batch at once, and so do we.  HyStart++ (RFC
 * 9406) ends the first slow start before it ends in a burst of losses: when the RTT of a round trip has risen, cwnd grows at a
 * quarter of the pace for some rounds, and if the RTT does not fall again congestion avoidance begins.
 */

static const struct cc_ops *const algos[] = {
	[STACK_CUBIC] = &cc_cubic,
	[STACK_NEWRENO] = &cc_newreno,
};

#define IW_BYTES 14600u
#define CWND_MAX (1u << 30) /* what a window can be (RFC 7323, 2.3) */

/* RFC 9406, 4.3 */
#define HS_RTT_LOW 4000u /* us */
#define HS_RTT_HIGH 16000u
#define HS_SAMPLES 8u
#define HS_GROWTH_DIVISOR 4u
#define HS_ROUNDS 5u

const struct cc_ops *cc_ops_of(const struct cc *cc)
{
	assert(cc->algo < ARRAY_LEN(algos));
	return algos[cc->algo];
}

/* RFC 6928, 2 */
uint32_t cc_initial(uint32_t mss)
{
	uint32_t most = 2 * mss > IW_BYTES ? 2 * mss : IW_BYTES;

	return 10 * mss < most ? 10 * mss : most;
}

void cc_init(struct cc *cc, enum stack_cc algo, uint32_t mss)
{
	*cc = (struct cc){ .algo = (uint8_t)algo, .mss = mss, .ssthresh = CC_NO_SSTHRESH };
	cc->cwnd = cc_initial(mss);
	cc_ops_of(cc)->init(cc);
}

void cc_set_mss(struct cc *cc, uint32_t mss)
{
	/* Still the initial window: it is one of the new mss (the handshake tells it after cc_init). */
	if (cc->cwnd == cc_initial(cc->mss) && cc->ssthresh == CC_NO_SSTHRESH)
		cc->cwnd = cc_initial(mss);
	else if (cc->cwnd < mss)
		cc->cwnd = mss;
	if (cc->ssthresh <
	    2 * mss) /* RFC 5681, (4): where a recovery ends there is room for a segment, of the new size too */
		cc->ssthresh = 2 * mss;
	cc->mss = mss;
}

void cc_grow(struct cc *cc, uint32_t n)
{
	cc->cwnd = n < CWND_MAX - cc->cwnd ? cc->cwnd + n : CWND_MAX;
}

/* RFC 9406, 4.2: a round trip has ended. */
static void hystart_round(struct cc *cc)
{
	cc->hs_last = cc->hs_now;
	cc->hs_now = 0;
	cc->hs_samples = 0;
	if (cc->hs_baseline != 0 && ++cc->hs_rounds >= HS_ROUNDS)
		cc->ssthresh = cc->cwnd;
}

static void hystart_sample(struct cc *cc)
{
	uint32_t rise = cc->hs_last / 8;

	if (cc->hs_now == 0 || cc->rtt < cc->hs_now)
		cc->hs_now = cc->rtt;
	if (cc->hs_samples < HS_SAMPLES)
		cc->hs_samples++;
	if (cc->hs_samples < HS_SAMPLES)
		return;
	if (cc->hs_baseline != 0) {
		if (cc->hs_now < cc->hs_baseline)
			cc->hs_baseline = 0; /* it has fallen again: slow start goes on */
		return;
	}
	rise = rise < HS_RTT_LOW ? HS_RTT_LOW : rise > HS_RTT_HIGH ? HS_RTT_HIGH : rise;
	if (cc->hs_last != 0 && cc->hs_now >= cc->hs_last + rise) {
		cc->hs_baseline = cc->hs_now;
		cc->hs_rounds = 0;
	}
}

uint32_t cc_slow_start(struct cc *cc, uint32_t n)
{
	uint32_t room;

	if (cc->ssthresh == CC_NO_SSTHRESH) {
		if (cc->round)
			hystart_round(cc);
		if (cc->rtt != 0)
			hystart_sample(cc);
	}
	if (cc->cwnd >= cc->ssthresh)
		return n;
	if (cc->hs_baseline != 0 && cc->ssthresh == CC_NO_SSTHRESH) {
		cc_grow(cc, n / HS_GROWTH_DIVISOR);
		return 0;
	}
	room = cc->ssthresh - cc->cwnd;
	cc_grow(cc, n < room ? n : room);
	return n < room ? 0 : n - room;
}

static void remember(struct cc *cc)
{
	cc->prior_cwnd = cc->cwnd;
	cc->prior_ssthresh = cc->ssthresh;
	cc->prior_w_max = cc->w_max;
}

void cc_loss(struct cc *cc, uint32_t flight, sut_time now)
{
	remember(cc);
	cc->ssthresh = cc_ops_of(cc)->ssthresh(cc, flight, now);
	cc->acked = 0;
}

void cc_timeout(struct cc *cc, uint32_t flight, sut_time now)
{
	cc_loss(cc, flight, now);
	cc->w_max = 0; /* RFC 9438, 4.8: the plateau is where congestion avoidance begins */
	cc_collapse(cc);
}

void cc_collapse(struct cc *cc)
{
	cc->cwnd = cc->mss; /* RFC 5681, 3.1: the loss window */
	cc->epoch = 0;
	cc->acked = 0;
}

void cc_undo(struct cc *cc)
{
	if (cc->prior_cwnd == 0)
		return;
	if (cc->cwnd < cc->prior_cwnd)
		cc->cwnd = cc->prior_cwnd;
	cc->ssthresh = cc->prior_ssthresh;
	cc->w_max = cc->prior_w_max;
	cc->epoch = 0;
	cc->prior_cwnd = 0;
}

void cc_idle(struct cc *cc, sut_time idle, uint32_t rto_us)
{
	uint32_t iw = cc_initial(cc->mss), most = cc->cwnd - cc->cwnd / 4;

	if (idle <= (sut_time)rto_us * 1000)
		return;
	if (cc->ssthresh != CC_NO_SSTHRESH && cc->ssthresh < most)
		cc->ssthresh = most; /* RFC 2861: the way back is a fast one */
	if (cc->cwnd > iw)
		cc->cwnd = iw;
	cc->epoch = 0;
}
