/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_BACK_SETUP_H
#define SUT_PKT_BACK_SETUP_H
/*
 * back_setup - the settings of handoff-back in scripts: which origins there are, and what it says of its host.
 *
 * Owns:     origin 0: 198.51.100.1:80 and origin 1: [2001:db8::1]:80, both served as themselves; origin 2: 198.51.100.2:80, served at
 *           203.0.113.5:8080.
 */
#include "role/handoff/back.h"
#include "roles.h"

void back_setup_defaults(void *config);
const char *back_setup_error(const void *config);
/* "MODE STATE" of the connection with this key, as listings have them. */
bool back_setup_describe(const void *role, const struct flow_key *near_key, char *ret_s,
			 size_t size);
extern const struct setting back_settings[];
extern const char *const back_ways[];
#endif
