/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_REPLICA_SITE_H
#define SUT_SIM_REPLICA_SITE_H
/*
 * replica_site - the roles of a replicated pair, joined as replica_lanes.h shows: the gateway with its mirror, the rewriter, compare; and
 * their turns: checkpoints, the primary's death, the failover.
 *
 * Owns:     the boxes; who is dead, and who knows.
 * Does not: know the ends: simulated peers or hosts with our own TCP.  They are told of by hooks.
 */
#include "box.h"
#include "net.h"
#include "replica_lanes.h"
#include "replica_plan.h"
#include "run.h"

#define PAIR_SITE_CONNS 8u

/* What the world has for its site.  A hook may be NULL, but for conn() and input(). */
struct pair_hooks {
	/* Frames for the ends: nodes PAIR_OUTSIDE, PAIR_PRIMARY while it lives, PAIR_SECONDARY. */
	pair_input *input;
	/* Which connection's frame is this?  A number below PAIR_SITE_CONNS, or NET_NONE.  The view is set where it is one. */
	unsigned (*conn)(void *ctx, const struct packet *p, struct view *ret_v);
	/* A frame of a connection comes to the rewriter, from those outside or from the primary. */
	void (*seen)(void *ctx, unsigned conn, const struct packet *p, const struct view *v,
		     bool by_primary);
	/* One of the secondary leaves the rewriter. */
	void (*far)(void *ctx, unsigned conn, const struct packet *p, const struct view *v);
	/* One goes to those outside. */
	void (*down)(void *ctx, unsigned conn, const struct packet *p, const struct view *v);
	/* The secondary becomes what the primary is. */
	void (*copy)(void *ctx);
	/* The failover is here. */
	void (*failover)(void *ctx);
};

struct pair_site {
	const struct pair_plan *plan;
	struct run *run;
	struct net *net;
	const struct pair_hooks *hooks;
	void *ctx; /* of the hooks */
	struct box mirror, rewrite, compare;
	uint32_t compare_free; /* cells of it at the start */
	/* At the gateway: packets of all, of each connection, since a FIN of it. */
	uint32_t packets, of_conn[PAIR_SITE_CONNS], since_fin[PAIR_SITE_CONNS];
	bool dead; /* the primary */
	bool failed_over; /* the rewriter knows */
	bool compare_failed_over;
	bool turning; /* compare is being told */
	bool draining; /* the failover waits for what is on its way */
	sut_time checkpoint_at, failover_at;
};

/* Opens boxes and lanes in a net that was opened; s is all zero but for plan, run, net, hooks, ctx. */
void pair_site_open(struct pair_site *s, bool hosts_at_ticks);
void pair_site_close(struct pair_site *s);

/* A wire frame leaves an end. */
void pair_site_sent(struct pair_site *s, enum pair_node end, const struct packet *p);

/* replica_turns.c: a packet is at the gateway, or leaves the primary: maybe it is the one at which something happens. */
void pair_packet(struct pair_site *s, unsigned conn, const struct view *v);
/* Compare has asked for a checkpoint. */
void pair_asked(struct pair_site *s);
/* When the next turn is due; what is due by now is done. */
sut_time pair_turns_at(const struct pair_site *s);
void pair_turns(struct pair_site *s);

/* Of the boxes alone. */
sut_time pair_site_deadline(const struct pair_site *s);
void pair_site_expire(struct pair_site *s);
/* Notes what a box has done that none may. */
void pair_site_judge(struct pair_site *s);
/* All has ended, and time has passed: nothing may be held. */
void pair_site_judge_rest(struct pair_site *s);
/*
 * Has the rewriter given up a connection whose primary it could not hear, or dropped what it could not hold and nobody
 * sends again?
 */
bool pair_gave_up(const struct pair_site *s);
#endif
