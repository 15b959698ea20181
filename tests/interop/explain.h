/* SPDX-License-Identifier: MIT */
#ifndef SUT_INTEROP_EXPLAIN_H
#define SUT_INTEROP_EXPLAIN_H
/*
 * explain - finds the row of the table in doc/design/replica.md by which an answer of QEMU's may be another than ours: from the
 * fields that differ, and from what QEMU has seen of the flow before.
 */
#include "play.h"

enum row {
	ROW_SACK,
	ROW_TIMESTAMPS,
	ROW_SYNACK,
	ROW_NO_ACK,
	ROW_LATE_SYN,
	ROW_FORGED_SYN,
	ROW_EARLY_ACK,
	ROW_HALF_OPEN,
	ROW_AHEAD,
	ROW_IP_OPTIONS,
	ROW_FRAGMENTS,
	ROW_VLAN,
	ROW_BAD_SUM,
	ROW_ICMP,
	ROW_COUNT,
};

struct explain {
	uint8_t taint
		[PLAY_FLOWS]; /* the row + 1 by which QEMU's numbers of this flow are wrong; 0: they are right */
	unsigned count[ROW_COUNT];
};

const char *explain_row_name(enum row r);

/* Sees a step before it is played. */
void explain_see(struct explain *e, const struct step *st, const struct ideal *m);

play_explain explain_step; /* ctx is a struct explain */
#endif
