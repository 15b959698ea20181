/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_WORLD_H
#define SUT_SIM_WORLD_H
/*
 * world - runs one scenario: clients and servers, four links, the role between them; and judges
 * it.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/counters.h"
#include "scenario.h"
#include "stack/stack.h"

struct world_options {
	bool trace; /* print every frame at every place */
	bool split; /* give the role its bursts one packet at a time */
	bool fates; /* pairs: only what becomes of connections counts, not how */
	unsigned script; /* stack_script.h: print the run of a host as a packet script */
};

/* What befell replicated pairs. */
struct world_fates {
	uint64_t failovers, checkpoints;
	uint64_t established, half_open, closing; /* connections, at failovers */
	uint64_t lost; /* connections that did not end well */
	uint64_t given_up; /* worlds in which a connection's numbers could not be known */
	uint64_t asked; /* for checkpoints, by compare */
	uint64_t paws, challenges; /* segments that clients dropped, or challenged */
};

/* What befell hosts with our own TCP: a part that never happens is not tested. */
struct stack_fates {
	uint64_t conns, done,
		failed; /* connections; ended in order; ended by time-outs or resets that the plan allows */
	uint64_t bytes;
	uint32_t idle_frames; /* most frames in a row that brought no application any further */
	uint64_t count[STACK_COUNTER_COUNT]; /* of both hosts */
};

struct world_result {
	uint64_t hash; /* of every frame at every place, with its time */
	char broken[400]; /* the invariant, and what broke it; empty: none */
	sut_time ended; /* virtual time that the run took */
	uint64_t frames;
	struct counters counters;
	struct world_fates fates;
	struct stack_fates stack;
};

void world_run(const struct scenario *s, const struct world_options *o, struct world_result *ret_r);
#endif
