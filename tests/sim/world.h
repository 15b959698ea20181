/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_WORLD_H
#define SUT_SIM_WORLD_H
/*
 * world - runs one scenario: clients and servers, four links, the role between them; and judges
 * it.
 */
#include "run.h"
#include "scenario.h"

void world_run(const struct scenario *s, const struct world_options *o, struct world_result *ret_r);
#endif
