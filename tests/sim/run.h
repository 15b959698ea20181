/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_RUN_H
#define SUT_SIM_RUN_H
/*
 * run - one run of a world, whichever world it is: its time, what it was told to do, what came of it.
 *
 * Owns:     the note of the first invariant that is broken.
 * Does not: know what happens in the world.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/time.h"
#include "stack/stack.h"

#define RUN_FIRST SUT_MS(1000000) /* the time at which every run begins */

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
	uint64_t count[STACK_COUNTER_COUNT]; /* of all hosts */
};

struct world_result {
	uint64_t hash; /* of every frame at every place, with its time */
	char broken[400]; /* the invariant, and what broke it; empty: none */
	sut_time ended; /* virtual time that the run took */
	uint64_t frames;
	uint64_t damaged,
		unseen; /* frames with a turned bit; of those, what came to a host with checksums that are right */
	struct counters counters;
	struct world_fates fates;
	struct stack_fates stack;
};

struct run {
	sut_time now;
	struct world_options opt;
	struct world_result *res;
};

/* Begins at RUN_FIRST with an empty result. */
void run_begin(struct run *r, const struct world_options *o, struct world_result *ret_res);

/* Notes that an invariant is broken: the first one counts. */
void run_broken(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Has one been broken? */
static inline bool run_is_broken(const struct run *r)
{
	return r->res->broken[0] != '\0';
}

/* Seconds since the beginning. */
static inline double run_seconds(const struct run *r)
{
	return (double)(r->now - RUN_FIRST) / 1e9;
}

static inline sut_time sooner(sut_time a, sut_time b)
{
	return a < b ? a : b;
}
#endif
