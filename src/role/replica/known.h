/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_KNOWN_H
#define SUT_ROLE_REPLICA_KNOWN_H
/*
 * known - translates the segments of flows whose shift is known, and keeps the client's
 * acknowledgements within what the secondary has sent.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"
#include "core/flow.h"
#include "proto/view.h"
#include "role/replica/pair.h"

/*
 * The hot paths, of the client's segments and of the secondary's: translate p in place if it is
 * an ordinary segment of a flow whose record has FLOW_FAST and is up to date.  False, with
 * nothing changed, if it needs known_segment().
 */
bool known_fast_near(struct rewrite *r, uint32_t rec, struct packet *p, struct view *v);
bool known_fast_far(struct rewrite *r, uint32_t rec, struct packet *p, struct view *v);

/*
 * Translates p, which side sent for flow f and which is in the outbox already, and follows
 * what it means.
 */
void known_segment(struct turn *t, uint32_t f, enum sut_side side, struct packet *p,
		   struct view *v);

/* Sends the withheld acknowledgement as far as the secondary has come. */
void known_release(struct turn *t, uint32_t f);

#define KNOWN_OVERTAKEN_MAX \
	(1u << 24) /* how many bytes a server may have said before the first ACK */

/*
 * The primary's ISN, isn, is another than the client's first segment seemed to tell.  If that was
 * none that teaches, but one behind it, all is put right: true.  False, with nothing changed, if
 * isn explains nothing.
 */
bool known_correct(struct turn *t, uint32_t f, uint32_t isn);

/* Is a so near to b that they can be of one connection? */
static inline bool known_near_to(uint32_t a, sut_seq b)
{
	const uint32_t outside = 0x40000000u; /* as the tracker's */

	return a - b.v + outside < 2 * outside;
}

/*
 * Maps an ICMP error about the primary's packets to the secondary's numbers, if it is one of
 * ours.
 */
void known_icmp(struct turn *t, struct packet *p, const struct view *v);
#endif
