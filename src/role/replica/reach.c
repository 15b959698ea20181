/* SPDX-License-Identifier: MIT */
#include "role/replica/reach.h"

#include "proto/tcp.h"

#define A_BIT (1u << 16)
#define UNKNOWN (1u << 24) /* where no window was heard of: more than any server begins with */
#define MOST (1u << 30)

/* By how many bits the secondary scales its windows, or may do so. */
static unsigned scale_of(const struct pair *c)
{
	if (!c->secondary.known)
		return TCP_WSCALE_MAX;
	return c->secondary.scaled ? c->secondary.scale : 0;
}

static uint32_t span(const struct pair *c, uint32_t window)
{
	uint64_t n = ((uint64_t)(window & 0xffff) << scale_of(c)) * 2 + A_BIT;

	if (!(window & REACH_WINDOW_KNOWN))
		return UNKNOWN;
	return n < MOST ? (uint32_t)n : MOST;
}

static bool within(uint32_t seq, uint32_t of, uint32_t by)
{
	return seq - of + by <= 2 * by;
}

bool reach_near(const struct pair *c, const struct flow_rec *near, struct flow_rec *far,
		const struct view *v)
{
	bool acked = c->track.edges_known & 1u << (FAR + 2),
	     end = c->track.edges_known & 1u << NEAR;
	uint32_t by = span(c, *reach_window(far));

	return (!acked && !end) || (acked && within(v->seq, far->acked.v, by)) ||
	       (end && within(v->seq, near->end.v, by));
}
