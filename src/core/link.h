/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_LINK_H
#define SUT_CORE_LINK_H
/*
 * link - one direction of a modelled link: delay, jitter, loss, duplication, reordering, rate and
 * queue, and exact drops.
 *
 * Owns:     the decisions, and the virtual transmitter.  All from one seed: the same packets give
 *           the same fates.
 * Does not: hold bytes: it says when a packet leaves, or why it never does; the caller keeps it
 *           until then.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/reason.h"
#include "base/time.h"

#define LINK_NTH_MAX 16

struct link_config {
	sut_time delay; /* one way */
	/* Uniform in [0, jitter] on top of delay; order is kept unless reorder says otherwise. */
	sut_time jitter;
	uint32_t loss_ppm, dup_ppm, reorder_ppm; /* chances in millionths */
	sut_time reorder_by; /* how much later a reordered packet leaves; 0: delay / 2 or 1 ms */
	uint64_t rate_bps; /* bits per second, Ethernet header included; 0: no limit */
	uint32_t queue_bytes; /* what may wait to be sent; 0: no limit; one packet always may */
	uint32_t nth[LINK_NTH_MAX]; /* to drop, counted from 1, in any order; 0 ends the list */
	uint64_t seed;
};

struct link {
	struct link_config cfg;
	uint64_t rng;
	uint64_t count; /* packets offered so far */
	sut_time busy_until; /* when the transmitter is free */
	uint64_t rest; /* what busy_until was rounded down by, in ns * bits per second */
	sut_time last_out; /* when the last in-order packet leaves */
};

void link_init(struct link *l, const struct link_config *cfg);

/* Another configuration from the next packet on; what was offered keeps its times, and the numbers go on.  Another seed begins anew. */
void link_change(struct link *l, const struct link_config *cfg);

/*
 * What becomes of a packet: R_NONE and one or two times to leave; or R_WIRE_LOSS, R_WIRE_NTH,
 * R_WIRE_QUEUE.
 */
struct link_fate {
	enum reason reason;
	uint8_t copies; /* 1 or 2 where reason is R_NONE */
	sut_time at[2];
};

/*
 * Offers a packet of len bytes (a super-packet counts as its segments' bytes: pass the wire
 * length).  Packets that leave at the same time leave in the order in which they were offered.  A
 * copy leaves up to `jitter` after its original.
 */
struct link_fate link_offer(struct link *l, uint32_t len, sut_time now);

/* What an offer spends: the transmitter's time, and the place in the order. */
struct link_spent {
	sut_time busy_until;
	uint64_t rest;
	sut_time last_out;
};

static inline struct link_spent link_spent(const struct link *l)
{
	return (struct link_spent){ l->busy_until, l->rest, l->last_out };
}

/* Takes back what was spent since then: the caller had no room for the packet, which is not sent. */
static inline void link_take_back(struct link *l, const struct link_spent *then)
{
	l->busy_until = then->busy_until;
	l->rest = then->rest;
	l->last_out = then->last_out;
}
#endif
