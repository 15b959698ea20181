/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_EXPLAIN_H
#define SUT_APP_EXPLAIN_H
/*
 * explain - reads one capture, or two of both sides of a box, and draws each connection as a ladder.
 *
 * A connection is shown when it is over and memory is short, else at the end; in the order of beginnings.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/flow_filter.h"
#include "app/ladder.h"
#include "app/ladder_text.h"

struct explain_config {
	const char *file[2]; /* the client's side first */
	unsigned files;
	struct flow_filter filter;
	struct ladder_limits limits;
	struct ladder_style style;
	const char *svg; /* a picture of the first connection goes there; NULL: none */
	bool quiet; /* only the picture */
	bool json;
	bool faulty; /* only connections with faults */
	bool progress; /* the number of frames so far, on standard error */
	size_t memory; /* bytes of ladders; beyond, connections are shown early */
	bool compare_clocks; /* find out the offset; else: */
	int64_t offset; /* what to add to the times of the second capture */
};

/* Returns the exit code: 0; 1 with a message on standard error, or if there are faults. */
int explain_run(const struct explain_config *cfg);
#endif
