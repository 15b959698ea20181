/* SPDX-License-Identifier: MIT */
#ifndef SUT_INTEROP_THEIRS_H
#define SUT_INTEROP_THEIRS_H
/*
 * theirs - what QEMU 7.2's filter-rewriter does to a frame, as its behaviour was observed: the test's statement of how its
 * answers look.  The real one must agree with it in every frame.
 */
#include <stdbool.h>
#include <stdint.h>

#include "seg.h"

#define THEIR_FLOWS 512u

enum their_state {
	T_CLOSED,
	T_SYN_SENT,
	T_SYN_RECEIVED,
	T_ESTABLISHED,
	T_CLOSE_WAIT,
	T_LAST_ACK,
	T_FIN_WAIT_1
};

struct their_flow {
	uint8_t key[12]; /* of the client's frames; all zero: empty */
	uint32_t offset, fin_seq;
	enum their_state state;
};

struct theirs {
	struct their_flow flow[THEIR_FLOWS];
	uint32_t others; /* flows in QEMU's table beside these */
	unsigned n;
};

/* Changes the frame (of len bytes, that came in at that side) as QEMU does.  Each frame leaves at the other side. */
void theirs_step(struct theirs *t, enum side from, uint8_t *frame, uint32_t len);
#endif
