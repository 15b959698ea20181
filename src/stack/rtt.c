/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

/*
 * RFC 6298, section 2; in microseconds.  Which measurements may be taken is recovery.c's question (Karn's rule, MUST-18): here
 * each one is believed.  A back-off stays in force until the first of them (5.5 to 5.7 and the note below them).
 */

#define RTO_FIRST 1000000u /* (2.1) */
#define RTO_MIN 200000u /* the RFC's SHOULD is 1 s; what stacks have used for twenty years */
#define RTO_MAX 120000000u /* (2.5): at least 60 s */
#define GRANULARITY 1000u /* G: the wheel's tick and a batch's length are below it */
#define BACKOFF_MAX 16u /* RTO_MIN doubled so often is beyond RTO_MAX */
#define MIN_AGE_MS 60000u

void rtt_init(struct rtt *r)
{
	*r = (struct rtt){ .rto = RTO_FIRST };
}

void rtt_lowest(struct rtt *r, uint32_t us, uint32_t at_ms)
{
	if (r->min == 0 || us <= r->min || at_ms - r->min_at > MIN_AGE_MS) {
		r->min = us > 0 ? us : 1;
		r->min_at = at_ms;
	}
}

/* (2.2) and (2.3): alpha is 1/8, beta 1/4; RTTVAR before SRTT. */
static void smooth(struct rtt *r, uint32_t us)
{
	uint32_t off = us > r->srtt ? us - r->srtt : r->srtt - us;

	if (r->srtt == 0) {
		r->srtt = us;
		r->rttvar = us / 2;
		return;
	}
	r->rttvar = (uint32_t)(((uint64_t)r->rttvar * 3 + off) / 4);
	r->srtt = (uint32_t)(((uint64_t)r->srtt * 7 + us) / 8);
}

void rtt_sample(struct rtt *r, uint32_t us, uint32_t at_ms)
{
	uint64_t rto;

	if (us == 0)
		us = 1;
	if (us > RTO_MAX)
		us = RTO_MAX;
	rtt_lowest(r, us, at_ms);
	smooth(r, us);
	if (r->srtt == 0)
		r->srtt = 1;
	rto = (uint64_t)r->rttvar * 4;
	rto = r->srtt + (rto > GRANULARITY ? rto : GRANULARITY);
	if (rto < RTO_MIN)
		rto = RTO_MIN; /* (2.4) */
	r->rto = rto > RTO_MAX ? RTO_MAX : (uint32_t)rto;
	r->backoff = 0;
}

uint32_t rtt_rto(const struct rtt *r)
{
	uint64_t rto = (uint64_t)r->rto << (r->backoff < BACKOFF_MAX ? r->backoff : BACKOFF_MAX);

	return rto > RTO_MAX ? RTO_MAX : (uint32_t)rto;
}

void rtt_syn_lost(struct rtt *r)
{
	if (r->rto < 3 * RTO_FIRST)
		r->rto = 3 * RTO_FIRST;
	r->backoff = 0;
}

void rtt_back_off(struct rtt *r)
{
	if (r->backoff < BACKOFF_MAX)
		r->backoff++;
}
