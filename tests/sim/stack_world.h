/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_STACK_WORLD_H
#define SUT_SIM_STACK_WORLD_H
/* stack_world - runs two hosts with our own TCP, links and a role between them, and judges what their applications see. */
#include "stack_plan.h"
#include "world.h"

/* What the runs made happen: a part that never happens is not tested. */
struct stack_fates {
	uint64_t conns, done, failed; /* connections; ended in order; ended by time-outs or resets that the plan allows */
	uint64_t bytes;
	uint64_t count[STACK_COUNTER_COUNT]; /* of both hosts */
};

void stack_world_run(const struct stack_plan *p, const struct world_options *o,
		     struct world_result *ret_r, struct stack_fates *ret_f);
#endif
