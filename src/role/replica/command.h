/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_COMMAND_H
#define SUT_ROLE_REPLICA_COMMAND_H
/*
 * command - the operator's commands of the rewriter, and what they mean for each flow.
 *
 * Owns:     the epochs.
 * Does not: walk the table: a command moves the epoch, and each flow takes it over when it is next
 *           met.  Nobody can tell the difference but by looking at the time.
 */
#include "base/packet.h"
#include "core/flow.h"
#include "role/replica/pair.h"

/* Does what the message p says, and answers it. */
void command_run(struct turn *t, const struct packet *p);

/* The primary is dead: false if that was known. */
bool command_failover(struct rewrite *r);

/* What commands have done to a flow with this state and these records, which is not in the table. */
void command_renew(const struct rewrite *r, struct pair *c, struct flow_rec *near,
		   struct flow_rec *far);

/* The same for flow f, which is; what it held goes out. */
void command_take_over(struct turn *t, uint32_t f);

/* Call before anything is done with a flow outside the hot path. */
static inline void command_apply(struct turn *t, uint32_t f)
{
	if (unlikely(pair_of(t, f)->epoch != t->r->epoch))
		command_take_over(t, f);
}

/* After a checkpoint: sends what clients' frames wait, as far as there is room. */
void command_release(struct turn *t);
#endif
