/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_RUN_H
#define SUT_PKT_RUN_H
/* run - plays a script against its role on virtual time. */
#include "trail.h"

struct run_options {
	unsigned burst; /* packets put in one burst at most; 1: one by one */
	bool verbose; /* print every packet and change of state, as TAP comments */
};

/* Plays s.  False with a fault.  ret_t holds what came out so far in any case. */
bool run_script(const struct script *s, const struct run_options *o, struct trail *ret_t,
		struct fault *f);
#endif
