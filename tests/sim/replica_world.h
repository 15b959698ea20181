/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_REPLICA_WORLD_H
#define SUT_SIM_REPLICA_WORLD_H
/*
 * replica_world - runs one plan of a replicated pair: clients, a primary that dies, a secondary that goes on, the roles
 * between them; and judges it.
 *
 * The struct is for the files replica_*.c alone.
 */
#include <stdbool.h>
#include <stdint.h>

#include "box.h"
#include "net.h"
#include "replica_plan.h"
#include "run.h"

struct pair_world;

struct pair_conn {
	struct peer out, p, s;
	struct pair_world *world;
	const struct pair_conn_plan *plan;
	sut_time start, s_start; /* of who opens it: the outside or P; and S, as a guest */
	uint32_t packets, since_fin; /* at the gateway */
	bool begun, fin, over;
	bool syn_seen, p_told; /* the rewriter has seen the client's SYN; then the primary's */
	bool ts_known; /* the rewriter has seen ts_last, the highest TSval of the primary's clock */
	uint32_t ts_last;
};

struct pair_world {
	const struct pair_plan *plan;
	struct run run;
	struct net net;
	struct pair_conn conn[PAIR_CONNS_MAX];
	struct box mirror, rewrite, compare;
	uint32_t packets; /* at the gateway */
	bool dead; /* the primary */
	bool failed_over; /* the rewriter knows */
	bool compare_failed_over;
	uint32_t compare_free; /* cells of it at the start */
	bool turning; /* compare is being told */
	bool draining; /* the failover waits for what is on its way */
	sut_time checkpoint_at, failover_at;
};

/* Runs p: with seed and options the same, so is all of *ret_r. */
void pair_world_run(const struct pair_plan *p, const struct world_options *o,
		    struct world_result *ret_r);

/* replica_turns.c: a packet of c (NULL: of none) is at the gateway, or leaves the primary. */
void pair_packet(struct pair_world *w, struct pair_conn *c, const struct view *v);
/* When the next turn is due; what is due by now is done. */
sut_time pair_turns_at(const struct pair_world *w);
void pair_turns(struct pair_world *w);
/* Compare has asked for a checkpoint. */
void pair_asked(struct pair_world *w);

/* replica_watch.c: a frame for the rewriter's port, of the side that speaks to the secondary or of the primary. */
void pair_watch_seen(struct pair_conn *c, const struct packet *p, const struct view *v,
		     bool by_primary);
/* A frame of the secondary that left the rewriter. */
void pair_watch_far(struct pair_conn *c, const struct packet *p, const struct view *v);
/* A frame on its way to the clients. */
void pair_watch_down(struct pair_conn *c, const struct packet *p, const struct view *v);
/*
 * Has the rewriter given up a connection whose primary it could not hear, or dropped what it could not hold and nobody
 * sends again?
 */
bool pair_gave_up(const struct pair_world *w);
#endif
