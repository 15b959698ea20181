/* SPDX-License-Identifier: MIT */
#ifndef SUT_INTEROP_TAP_H
#define SUT_INTEROP_TAP_H
/* tap - the verdicts of the tests as TAP lines; what failed is said in comments before them. */
#include <stdbool.h>

#include "base/compiler.h"

/* Begins a test of this name; the one before has ended. */
void tap_begin(const char *fmt, ...) SUT_PRINTF(1, 2);

/* Says why the test that is running fails; it goes on.  Returns false.  More than some lines are not printed. */
bool tap_fail(const char *fmt, ...) SUT_PRINTF(1, 2);

/* A comment. */
void tap_note(const char *fmt, ...) SUT_PRINTF(1, 2);

/* The test that is running ends as skipped, for this reason; tap_end does nothing then. */
void tap_skip(const char *fmt, ...) SUT_PRINTF(1, 2);

/* The test that is running ends: ok if nothing failed.  Returns whether it was. */
bool tap_end(void);

/* Has the test that is running failed yet? */
bool tap_failed(void);

/* The plan.  Returns the exit code: 0 or 1. */
int tap_done(void);
#endif
