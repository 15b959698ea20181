/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_TOP_H
#define SUT_APP_TOP_H
/*
 * top - what a running suture did between two looks at its counters and connections: rates, as JSON and as text.
 *
 * Owns:     samples: what was asked for, as it came.
 * Does not: ask: its caller hands the lines in.  Wait, or know terminals.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "base/time.h"

#define TOP_FLOWS_MAX 5000u /* connections of a sample */
#define TOP_SHOWN 20u /* of them, those that moved most */

struct top_sample {
	sut_time at; /* when it was taken */
	json_t *stats; /* as "stats json" answers; NULL: not yet */
	json_t *flows; /* by who they are, each as "flows json" answers */
	uint32_t listed; /* connections that were handed in */
	bool cut; /* there are more */
	bool damaged; /* a line was no JSON object */
};

void top_begin(struct top_sample *s, sut_time now);
void top_free(struct top_sample *s);

/* One line of an answer; more connections than TOP_FLOWS_MAX are not taken. */
void top_take_stats(struct top_sample *s, const char *line);
void top_take_flow(struct top_sample *s, const char *line);

/*
 * What moved from one sample to the next, a second: a new object, or NULL if one of them is damaged or there is no memory.
 * {"role":...,"seconds":...,"ports":{"client":{"device":...,"rx":...,...}},"events":{},"dropped":{},"passed":{},
 *  "stack":{} (where it has a TCP of its own),"connections":[{"src":...,"near":...,"far":...}],"listed":...,"cut":...}
 */
json_t *top_difference(const struct top_sample *before, const struct top_sample *now);

/* Such an object for people, no line longer than some 110 columns. */
void top_print(const json_t *difference, FILE *f);
#endif
