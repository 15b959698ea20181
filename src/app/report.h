/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_REPORT_H
#define SUT_APP_REPORT_H
/* report - counters as text or as one JSON object on a line; zeroes are left out. */
#include <stdio.h>

#include "base/counters.h"
#include "port/port.h"
#include "role/role.h"

/* One port's part of a report. */
struct report_port {
	const char *name; /* of the role's port: "client" */
	const char *spec; /* what is there: "if:eth0" */
	struct port_stats stats;
	const struct port_row *rows; /* of its own */
	unsigned row_count;
};

/* A counter of something that only some have. */
struct report_row {
	const char *name, *text;
	uint64_t value;
};

struct report {
	const struct role_ops *ops;
	const struct counters *counters;
	const struct report_port *ports;
	unsigned port_count;
	const struct report_row *stack; /* of a TCP of our own */
	unsigned stack_rows; /* 0: there is none */
};

/* Lines of name, number, meaning. */
void report_text(const struct report *r, FILE *f);

/* {"role":...,"events":{},"dropped":{},"passed":{},"stack":{},"ports":{}} (stack where there is one) and a newline. */
void report_json(const struct report *r, FILE *f);

/* Writes s as a JSON string with its quotes; a byte that is no UTF-8 becomes U+FFFD. */
void report_json_string(const char *s, FILE *f);
#endif
