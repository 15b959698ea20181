/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_ACCEL_BUDGET_H
#define SUT_ROLE_ACCEL_BUDGET_H
/*
 * budget - how many connections whose client has not shown itself yet may be kept, for each source and in all.
 *
 * A SYN's source may be forged; who answers a promise, or whose server answers, has shown itself.  Until then a connection counts
 * against its source and against all.  Past the limits a SYN passes untouched, which is always right.
 *
 * Owns:     a counter for all, and two rows of counters by hashes of the source (an IPv4 address, or an IPv6 /64).  A source is judged by the
 *           smaller of its two: strangers that share both are rare, so a flood of forged sources does not use up another's share.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/reason.h"

#define BUDGET_SLOTS 16384u /* a power of 2 */

struct budget {
	uint32_t pending, max_pending, max_source;
	struct hash_key key;
	uint32_t count[2][BUDGET_SLOTS];
};

/* b is zeroed. */
void budget_init(struct budget *b, uint32_t max_pending, uint32_t max_source,
		 const struct hash_key *key);

/* One more of this source (IPv4 as v4-mapped): R_NONE; R_SYN_SOURCE, R_SYN_BUDGET: a limit is reached, nothing is counted. */
enum reason budget_take(struct budget *b, const uint8_t src[16]);

/* One less of a source for which budget_take was R_NONE. */
void budget_give(struct budget *b, const uint8_t src[16]);

/* The sum of all counters: 0 once all was given back. */
uint32_t budget_left(const struct budget *b);
#endif
