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
 * The hot path: translates p in place if it is an ordinary segment of a flow whose records have
 * FLOW_FAST. False, with nothing changed, if it needs known_segment().
 */
bool known_fast(struct turn *t, uint32_t rec, struct packet *p, struct view *v);

/*
 * Translates p, which side sent for flow f and which is in the outbox already, and follows
 * what it means.
 */
void known_segment(struct turn *t, uint32_t f, enum sut_side side, struct packet *p,
		   struct view *v);

/* Sends the withheld acknowledgement as far as the secondary has come. */
void known_release(struct turn *t, uint32_t f);

/* Learns the difference of the clocks from what the client echoes in v, if it does. */
void known_learn_clock(struct pair *c, const struct view *v, const struct tcp_options *o);

/*
 * Maps an ICMP error about the primary's packets to the secondary's numbers, if it is one of
 * ours.
 */
void known_icmp(struct turn *t, struct packet *p, const struct view *v);
#endif
