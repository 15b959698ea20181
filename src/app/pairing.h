/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_PAIRING_H
#define SUT_APP_PAIRING_H
/*
 * pairing - finds out which packet on one side of a box is which on the other, by how much the box shifts numbers, and whether
 * each packet agrees with that.
 *
 * Owns:     the packets of one connection that are not decided yet (a window, bounded), the shifts, what was verified.
 * Does not: keep what is decided: that is taken out in order.
 *
 * Of a connection that only one capture shows, each packet stands alone.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/step.h"

/* How many captures there are: with one, each packet stands alone at once. */
enum pairing_captures { PAIRING_ONE = 1, PAIRING_TWO = 2 };

/* By how much the far side's number is larger than the near side's: far = near + by. */
struct pairing_shift {
	bool known;
	bool by_isn; /* from the SYNs; else from pairs */
	uint32_t by;
	uint64_t agreed; /* pairs that agree */
};

struct pairing_delay {
	uint64_t count;
	sut_time least, most, sum;
};

struct pairing {
	const struct reading *reading; /* by half; the caller's */
	struct step *step; /* from head, n of them; room in all */
	size_t head, n, room, next;
	enum pairing_captures captures;
	uint8_t halves; /* bit per half that was seen */
	bool promised; /* a SYN-ACK went out before one came in */
	bool postponed; /* some wait for a shift */
	bool flushing;
	bool syn_data; /* data went into the SYN */
	bool shown[SUT_SIDES]; /* data or SYN of this sender was seen coming in, since: */
	sut_time shown_at[SUT_SIDES];
	uint8_t isn_known[SUT_SIDES]; /* [sender]: bit per half */
	uint32_t isn[SUT_SIDES][SUT_SIDES]; /* [sender][half] */
	struct pairing_shift seq[SUT_SIDES], ts[SUT_SIDES]; /* by sender */
	struct pairing_delay delay[SUT_SIDES]; /* by sender */
	sut_time matched[SUT_SIDES]; /* when the last that went out came in */
	sut_time synack_at; /* when the server's SYN-ACK came in; 0: not yet */
	uint8_t synacks; /* bit per half: a SYN-ACK with a TSval was seen */
	uint32_t synack_ts[SUT_SIDES]; /* by half: the first one's */
	uint32_t synack_last; /* the last one's on the far side */
	size_t learn_at; /* look for shifts again when the window has grown to this */
	uint64_t faults[FAULT_COUNT], pairs;
};

/* reading: two, by half, which the caller keeps up to date before it adds. */
void pairing_begin(struct pairing *p, const struct reading *reading,
		   enum pairing_captures captures);
void pairing_end(struct pairing *p);

/*
 * A packet was seen in a half, no earlier than those before it: 0 or -ENOMEM.
 */
int pairing_add(struct pairing *p, enum sut_side half, enum sut_side sender, const struct sight *s,
		const struct notes *n);

/* No more is to come: what is left can be taken. */
void pairing_flush(struct pairing *p);

/* Takes the next one of which all is known by now: true; valid until the next call on p. */
bool pairing_take(struct pairing *p, sut_time now, struct step **ret_t);

/* seq of half in near numbers; as it is where the shift is not known. */
static inline uint32_t pairing_near(const struct pairing *p, enum sut_side half,
				    enum sut_side sender, uint32_t seq)
{
	return half == NEAR ? seq : seq - p->seq[sender].by;
}

/* Compares what was seen on both sides of t (verify.c): sets its faults, counts what agrees. */
void pairing_verify(struct pairing *p, struct step *t);
#endif
