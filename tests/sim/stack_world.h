/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_STACK_WORLD_H
#define SUT_SIM_STACK_WORLD_H
/* stack_world - runs two hosts with our own TCP, links and a role between them, and judges what their applications see. */
#include "stack_plan.h"
#include "world.h"

void stack_world_run(const struct stack_plan *p, const struct world_options *o,
		     struct world_result *ret_r, struct stack_fates *ret_f);
#endif
