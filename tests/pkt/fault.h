/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_FAULT_H
#define SUT_PKT_FAULT_H
/*
 * fault - the first thing that went wrong with a script, as text of one or more lines; later
 * ones are not kept.
 */
#include <stdbool.h>

#include "base/compiler.h"

struct fault {
	bool set;
	char text[4096];
};

/*
 * Keeps the text if it is the first one. Always returns false, so that `return fault_say(...)`
 * fails.
 */
bool fault_say(struct fault *f, const char *fmt, ...) SUT_PRINTF(2, 3);
#endif
