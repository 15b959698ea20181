/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_AGREED_H
#define SUT_ROLE_REPLICA_AGREED_H
/*
 * agreed - a set of sequence numbers as a few ranges: which bytes of a stream both servers have produced, with the same value.
 *
 * Owns:     at most AGREED_MAX ranges that neither overlap nor touch, in order of their numbers.
 * Does not: know the bytes.
 *
 * All of them lie within AGREED_SPAN below the highest number in the set: what falls behind is forgotten, far outside of any
 * window.  A range that lies further off than that replaces the whole set.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/seq.h"

#define AGREED_MAX 16u
#define AGREED_SPAN (1u << 30)

struct agreed {
	uint32_t n;
	struct {
		sut_seq from, to; /* to: the first one behind */
	} r[AGREED_MAX];
};

/* The set of nothing is all zeroes. */
void agreed_clear(struct agreed *a);

/* Are the len numbers from `from` on all in?  True for none.  len is below AGREED_SPAN, here and below. */
bool agreed_has(const struct agreed *a, sut_seq from, uint32_t len);

/*
 * The first of the len numbers from `from` on that are not in: true, and the run that begins there; false if all are in.
 */
bool agreed_gap(const struct agreed *a, sut_seq from, uint32_t len, sut_seq *ret_from,
		uint32_t *ret_len);

/* Enters them: false, nothing changed, if that took more than AGREED_MAX ranges. */
bool agreed_add(struct agreed *a, sut_seq from, uint32_t len);
#endif
