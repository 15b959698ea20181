/* SPDX-License-Identifier: MIT */
/* cc_newreno - RFC 5681 with bytes counted (its section 3.1, "RECOMMENDED"): one mss a round trip, one half at a loss. */
#include "stack/cc.h"

static void init(struct cc *cc)
{
	(void)cc;
}

static void acked(struct cc *cc, uint32_t n, bool limited, uint32_t srtt_us, sut_time now)
{
	(void)srtt_us;
	(void)now;
	if (!limited)
		return; /* a window that is not used says nothing about the path (RFC 7661) */
	cc->acked += cc_slow_start(cc, n);
	if (cc->acked >= cc->cwnd) {
		cc->acked -= cc->cwnd;
		cc_grow(cc, cc->mss);
	}
}

/* RFC 5681, equation 4 */
static uint32_t ssthresh(struct cc *cc, uint32_t flight, sut_time now)
{
	(void)now;
	return flight / 2 > 2 * cc->mss ? flight / 2 : 2 * cc->mss;
}

const struct cc_ops cc_newreno = { "newreno", init, acked, ssthresh };
