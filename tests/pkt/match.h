/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_MATCH_H
#define SUT_PKT_MATCH_H
/*
 * match - does a frame that came out fit what the script expects?  Down to checksums, payload
 * bytes and offload state.
 */
#include "base/packet.h"
#include "frame.h"

/* A frame that came out, in one piece. */
struct caught {
	const uint8_t *b;
	size_t n;
	struct offload off;
};

/*
 * False with the first difference as x->f. Names are bound. A SYN that is not [stray] sets
 * lane->base: the stream begins there.
 */
bool match(const struct seg *want, struct lane_of *lane, const struct ctx *x,
	   const struct caught *got);
#endif
