/* SPDX-License-Identifier: MIT */
#ifndef SUT_STACK_CC_H
#define SUT_STACK_CC_H
/*
 * cc - what the algorithms of congestion control share.  parts.h says what others call.
 *
 * Does not: see a connection: struct cc is all that an algorithm knows.
 */
#include "stack/parts.h"

#define CC_NO_SSTHRESH (UINT32_MAX / 2) /* RFC 5681, 3.1: arbitrarily high */

extern const struct cc_ops cc_cubic, cc_newreno;

/* The initial window of this mss (RFC 6928). */
uint32_t cc_initial(uint32_t mss);

/* cwnd grows by n bytes. */
void cc_grow(struct cc *cc, uint32_t n);

/* n bytes were acknowledged: slow start as far as it goes.  Those that are left for congestion avoidance. */
uint32_t cc_slow_start(struct cc *cc, uint32_t n);

/* Where CUBIC's curve is ms after its epoch began, bytes; the epoch has begun. */
uint32_t cubic_window(const struct cc *cc, uint32_t ms);

/* The same segment was lost at another timeout: cwnd is one mss again, ssthresh stays (RFC 5681, 3.1). */
void cc_collapse(struct cc *cc);
#endif
