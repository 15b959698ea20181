/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_REPLICA_LANES_H
#define SUT_SIM_REPLICA_LANES_H
/*
 * replica_lanes - the network of a replicated pair: who stands where, and the lanes between them, which are links of the same numbers.
 *
 *              UP            P_IN
 *     outside ─────► gateway ──────► P ── P_OUT ──► [compare]      (or the gateway, where there is none)
 *        ▲             │                   └ P_COPY ► [rewrite]
 *        │             └ MIRROR ► [rewrite] ── S_IN ──► S
 *        │                            │   ◄─ S_OUT ─────┘
 *        └──── DOWN ── [compare] ◄────┘ COMPARE
 *
 * Once the rewriter knows that P is dead, the clients' frames go to its port network (NETWORK), if it has one.
 */
#include "net.h"
#include "replica_plan.h"

/*
 * The ports of roles are the roles' own.  The gateway has the mirror's; P, S and those outside have port 0.
 */
enum pair_node {
	PAIR_OUTSIDE,
	PAIR_GATEWAY,
	PAIR_PRIMARY,
	PAIR_SECONDARY,
	PAIR_REWRITE,
	PAIR_COMPARE,
	PAIR_NODES
};

/* What a node is given arrives here. */
typedef void pair_input(void *ctx, struct net_end at, struct packet **pkts, unsigned n);

/* How frames come to the nodes. */
struct pair_manners {
	bool hosts_at_ticks; /* to hosts too; to roles always */
	unsigned burst; /* most at once, to a role; to a host one */
	pair_input *input[PAIR_NODES];
	void *ctx;
};

/* Makes nodes and lanes in a net that was opened, and has none. */
void pair_lanes_open(struct net *n, const struct pair_plan *p, const struct pair_manners *m);

/* The ports that the rewriter of this plan has, as a bitmap. */
uint32_t pair_rewriter_ports(const struct pair_plan *p);
#endif
