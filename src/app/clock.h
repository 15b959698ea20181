/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_CLOCK_H
#define SUT_APP_CLOCK_H
/* clock - the only reader of clocks, and the only source of random bits. */
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"

/* CLOCK_MONOTONIC in nanoseconds. */
sut_time clock_now(void);

/* What to add to clock_now() for nanoseconds since 1970, as of now. */
sut_time clock_wall_offset(void);

/* Processor time of the process in nanoseconds. */
sut_time clock_cpu(void);

/* Fills n bytes from the kernel's random source: 0 or -errno. */
int random_bytes(void *ret_p, size_t n);
#endif
