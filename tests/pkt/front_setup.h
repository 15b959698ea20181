/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_FRONT_SETUP_H
#define SUT_PKT_FRONT_SETUP_H
/*
 * front_setup - the configuration of handoff-front for scripts.
 *
 *     set origin ADDR:PORT           another one; the first is 198.51.100.1:80, or 2001:db8:1::1 with `set origin [..]:80` alone
 *     set own ADDR                   of splices and probes; none if not said
 *     set backend NAME=ADDR:PORT[,ADDR:PORT] [agent[=ADDR:PORT]] [far] [weight=N] [adopt|shift|splice ...]   the rungs that may be used; all if none is said
 *     set route TEXT                 a rule (route.h); without any every back end is in the default group
 */
#include "role/handoff/front.h"
#include "roles.h"

struct front_setup {
	struct front_config cfg; /* first: it is what the role is given */
	char route[16][96];
	unsigned routes;
	uint32_t weight[ROUTE_BACKENDS]; /* 0: 1 */
};

extern const struct setting front_settings[];
void front_setup_defaults(void *config);
bool front_setup_line(void *config, const char *key, const char *text);
void front_setup_anew(void *config);
void front_setup_flows(void *config, const struct conn *flow, unsigned n);
const char *front_setup_error(const void *config);
extern const char *const front_ways[];
#endif
