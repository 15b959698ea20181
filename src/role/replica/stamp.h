/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_STAMP_H
#define SUT_ROLE_REPLICA_STAMP_H
/*
 * stamp - the timestamps of a pair: by how much the servers' clocks differ, what the client
 * echoes, and the lift at the failover.
 *
 * Owns:     seam.ts[FAR], stamps, lifted, lift_by, lift_at, and the echo in the client's record.
 * Does not: change packets.
 */
#include <stdint.h>

#include "core/flow.h"
#include "proto/view.h"
#include "role/replica/pair.h"

/* Moves an edge of stamps up to v, as flow_edge(). */
SUT_INLINE void stamp_edge(uint32_t *s, uint32_t v)
{
	uint32_t ahead = v - *s;

	*s += ahead & (0u - (uint32_t)(ahead < 1u << 30));
}

/* Learns the difference of the clocks from near_tsval and far_tsval, if both are there. */
void stamp_learn(struct pair *c);

/* Takes in what the client echoes in v; pair_refresh() must follow. */
void stamp_heard(struct pair *c, struct flow_rec *near, const struct view *v,
		 const struct tcp_options *o);

/*
 * What tsecr of the client's, a near number, is to be for the secondary.
 *
 * While the secondary is in SYN-RECEIVED or SYN-SENT, Linux takes no echo but of its own SYNs;
 * the client may echo what the primary sent later.  After a lift, what is older than it echoes
 * the primary's clock, or the secondary's before the lift: it is mapped as before, but never
 * beyond the secondary's clock at the lift.
 */
uint32_t stamp_echo(const struct pair *c, uint32_t tsecr);

/*
 * The secondary's segment with options o is about to be translated.  The first one after the
 * failover is lifted: its TSval is made no less than any that the client can have seen from the
 * primary, by changing the clocks' difference for good.
 */
void stamp_lift(struct turn *t, uint32_t f, const struct tcp_options *o);
#endif
