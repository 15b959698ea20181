/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_STACK_PAIR_H
#define SUT_SIM_STACK_PAIR_H
/*
 * stack_pair - the network of a world in which the server is a replicated pair of hosts with our own TCP: lanes, the rewriter,
 * a mirror, the primary's death and the failover.
 *
 * Does not: compare: what the primary says goes out at once.
 */
#include "box.h"
#include "replica_plan.h"
#include "stack_plan.h"

/* What the seed means for the pair; hosts and connections of p lose what two servers cannot agree upon. */
void stack_pair_draw(struct stack_plan *p, struct pair_plan *ret_pair);

struct stack_world;

struct stack_pair {
	struct pair_plan plan;
	struct box mirror, rewrite;
	uint32_t packets, of_conn[STACK_CONNS], since_fin[STACK_CONNS]; /* at the gateway */
	bool dead, failed_over, draining;
	sut_time failover_at;
};

void stack_pair_open(struct stack_world *w);
void stack_pair_close(struct stack_world *w);
/* A frame leaves a host. */
void stack_pair_sent(struct stack_world *w, unsigned side, const struct packet *p);
/* When the rewriter, or the failover, is due; then what is due happens. */
sut_time stack_pair_deadline(const struct stack_world *w);
void stack_pair_expire(struct stack_world *w);
/* Has the rewriter lost a connection that it could not know, or hold? */
bool stack_pair_gave_up(const struct stack_world *w);
#endif
