/* SPDX-License-Identifier: MIT */
#ifndef SUT_INTEROP_COMPARE_SLOW_H
#define SUT_INTEROP_COMPARE_SLOW_H
/* compare_slow - comparisons over time and with full queues; each is a test of its own. */
#include "rig.h"

/* A frame that the other server does not produce asks for checkpoints. */
void compare_timeout(const struct programs *prog);

/* In which order what waited is released to a slow reader. */
void compare_flush(const struct programs *prog);

/* What becomes of more frames than may wait. */
void compare_full(const struct programs *prog);
#endif
