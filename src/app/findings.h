/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_FINDINGS_H
#define SUT_APP_FINDINGS_H
/*
 * findings - what doctors have found: added one by one, printed for people or programs.
 *
 * Owns:     nothing: the array is the caller's.
 */
#include <stdbool.h>
#include <stdio.h>

#include "app/doctor.h"
#include "base/compiler.h"

/* The list that is being filled. */
struct findings {
	struct doctor_finding *f;
	unsigned n, max;
};

/* Adds one, unless the list is full; what mends it, where something does, is set by findings_mend() behind it. */
void findings_add(struct findings *l, enum doctor_severity s, const char *check, const char *fmt,
		  ...) SUT_PRINTF(4, 5);
void findings_mend(struct findings *l, const char *fmt, ...) SUT_PRINTF(2, 3);

/* Prints them, a JSON object a line or as text; quiet: not those that are well.  Returns how many are wrong. */
unsigned findings_print(const struct doctor_finding *f, unsigned n, bool json, bool quiet,
			FILE *to);
#endif
