/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_COMPARE_TIE_H
#define SUT_ROLE_REPLICA_COMPARE_TIE_H
/*
 * compare_tie - by which numbers the secondary's bytes are the primary's: the same ones, or all of them a constant further on.
 *
 * Does not: compare bytes, but for the first ones of a connection that was picked up on its way.
 */
#include <stdbool.h>
#include <stdint.h>

#include "role/replica/compare_flow.h"

/* The primary's SYN w begins the connection; the secondary's was seen.  What waits of the secondary gets its numbers. */
void compare_tie_syns(struct compare_turn *t, uint32_t f, const struct waiting *w);

/* The secondary has repeated its SYN, perhaps with another ISN. */
void compare_tie_again(struct compare_turn *t, uint32_t f);

/*
 * Turns w->seq, as the secondary sent it, into a near number: it may be one already, or one of the secondary's own; the one
 * that lies nearer to what is expected next counts.
 */
void compare_tie_read(struct compare_turn *t, uint32_t f, struct waiting *w);

/*
 * A flow that neither began by SYNs nor has anything agreed: if the first data that wait of both are equal but for their
 * numbers, these are learnt, what waits of the secondary gets its numbers, and true is returned.  Data that repeat themselves
 * teach nothing.
 */
bool compare_tie_data(struct compare_turn *t, uint32_t f);

/* Where in the secondary's queue w belongs: the frame in front of it, or HELD_NONE. */
uint32_t compare_tie_place(const struct compare_turn *t, uint32_t f, const struct waiting *w);
#endif
