/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_FAULT_H
#define SUT_PORT_FAULT_H
/*
 * fault - a wrapper around any port that misbehaves by plan: for tests.
 *
 * Owns:     the wrapped port.
 */
#include <stdint.h>

struct port;

#define FAULT_NTH_MAX 16

struct fault_plan {
	uint32_t drop_rx
		[FAULT_NTH_MAX]; /* frames received that vanish, counted from 1; 0 ends the list */
	uint32_t drop_tx[FAULT_NTH_MAX]; /* frames sent that vanish */
	uint32_t refuse; /* the first so many calls to send take nothing */
	uint32_t take; /* a call to send takes so many frames at most; 0: no limit */
	uint32_t burst; /* a call to recv yields so many at most; 0: no limit */
};

/* Wraps inner.  NULL if out of memory: inner is untouched then. */
struct port *fault_wrap(struct port *inner, const struct fault_plan *plan);
#endif
