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

#include "replica_site.h"

struct pair_world;

struct pair_conn {
	struct peer out, p, s;
	struct pair_world *world;
	const struct pair_conn_plan *plan;
	sut_time start, s_start; /* of who opens it: the outside or P; and S, as a guest */
	bool begun, over;
	bool syn_seen, p_told; /* the rewriter has seen the client's SYN; then the primary's */
	bool ts_known; /* the rewriter has seen ts_last, the highest TSval of the primary's clock */
	uint32_t ts_last;
};

struct pair_world {
	const struct pair_plan *plan;
	struct run run;
	struct net net;
	struct pair_conn conn[PAIR_CONNS_MAX];
	struct pair_site site;
};

/* Runs p: with seed and options the same, so is all of *ret_r. */
void pair_world_run(const struct pair_plan *p, const struct world_options *o,
		    struct world_result *ret_r);

/* replica_watch.c: a frame for the rewriter's port, of the side that speaks to the secondary or of the primary. */
void pair_watch_seen(struct pair_conn *c, const struct packet *p, const struct view *v,
		     bool by_primary);
/* A frame of the secondary that left the rewriter. */
void pair_watch_far(struct pair_conn *c, const struct packet *p, const struct view *v);
/* A frame on its way to the clients. */
void pair_watch_down(struct pair_conn *c, const struct packet *p, const struct view *v);
#endif
