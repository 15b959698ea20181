/* SPDX-License-Identifier: MIT */
#ifndef SUT_INTEROP_IDEAL_H
#define SUT_INTEROP_IDEAL_H
/*
 * ideal - what a rewriter between the client's stream and the secondary should let out, worked out from the segments alone:
 * towards the secondary ack, SACK edges += D and TSecr += E; from it seq -= D and TSval -= E.
 */
#include <stdbool.h>
#include <stdint.h>

#include "seg.h"

#define IDEAL_HELD 8u
#define IDEAL_OUT 12u

struct ideal {
	bool syn, far_known, known, forgotten;
	uint32_t early; /* data in the SYN */
	uint32_t c, p, s; /* the client's, the primary's and the secondary's ISN */
	uint32_t d, e; /* s - p; the secondary's clock - the primary's */
	bool ts, talks; /* clocks are known; the secondary has left its handshake */
	uint32_t clock_first, clock_last; /* TSval of the secondary's SYN-ACKs */
	uint32_t sent,
		told; /* in the secondary's numbers: the end of what it has sent; the last ack it was told */
	uint32_t end; /* of what the client has sent */
	bool pending; /* a SYN of the client with another ISN was seen */
	uint32_t pending_isn;
	bool owed; /* ... acknowledgements beyond `sent` */
	struct seg owing; /* the client's segment that has them */
	struct seg held[IDEAL_HELD];
	unsigned n_held;
};

/* Segments that come out, each at the side that is not its `from`. */
struct segs {
	unsigned n;
	struct seg s[IDEAL_OUT];
};

void ideal_step(struct ideal *m, const struct seg *g, struct segs *ret_s);

/* The shift will not be known: what is held goes out as it came. */
void ideal_give_up(struct ideal *m, struct segs *ret_s);
#endif
