/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_METRICS_TEXT_H
#define SUT_APP_METRICS_TEXT_H
/*
 * metrics_text - what an engine counts in Prometheus' text format, version 0.0.4: every event, reason and port
 * counter that can be, zero or not.
 *
 * Names and HELP texts are made of the lists in counters.h, reason.h and port.h.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "app/report.h"
#include "role/role.h"

#define METRICS_STATES 32u
#define METRICS_ROWS_MAX 65536u /* connections that are looked at */

/* Connections by state. */
struct metrics_flows {
	bool known; /* the role can list them */
	bool complete; /* there were no more than METRICS_ROWS_MAX */
	unsigned states;
	struct {
		const char *name;
		uint32_t n;
	} state[METRICS_STATES];
};

struct metrics {
	struct report report;
	const struct metrics_flows *flows;
	uint64_t role_bytes; /* mapped for the role */
	uint64_t resident_bytes, virtual_bytes; /* of the process */
	double cpu_seconds;
};

/* Counts the connections of a role: each state that it has, and how many are in it. */
void metrics_count_flows(const struct role_ops *ops, const void *role, sut_time now,
			 struct metrics_flows *ret_f);

void metrics_text(const struct metrics *m, FILE *f);
#endif
