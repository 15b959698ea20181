/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_STEP_H
#define SUT_APP_STEP_H
/*
 * step - one packet of a connection with all that is known of it: as it was seen on one side of the box, or on both.
 *
 * Owns nothing.  Sides and senders are enum sut_side: NEAR is the client.  What NEAR sends comes in at the near half and goes out at
 * the far one; an ICMP error goes against the segment that it quotes, whose sender is meant.
 */
#include <stdint.h>

#include "app/reading.h"
#include "app/sight.h"
#include "base/seq.h"

/* clang-format off */
/* What became of it at the box. */
enum fate {
	FATE_ALONE,	/* there is no other side to compare with */
	FATE_PASSED,	/* came in and went out */
	FATE_MADE,	/* went out without having come in */
	FATE_SWALLOWED,	/* came in and did not go out */
	FATE_JOINED,	/* its bytes went out with others */
	FATE_PIECE,	/* went out: a further part of what came in as one */
};

#define FATE_REASONS(X) \
	X(NONE,		"") \
	X(PROMISE,	"promised by the box: the server has not answered yet") \
	X(PROMISE_AGAIN,"the promise again") \
	X(ACKS_SYNACK,	"the box acknowledges the server's SYN-ACK") \
	X(AS_ACK,	"what the server's SYN-ACK acknowledged") \
	X(SYN_BY_BOX,	"the box sends the SYN again") \
	X(SENT_AGAIN,	"the box sends this again") \
	X(RESET,	"reset by the box") \
	X(TOLD,		"told by the box") \
	X(ACK_BY_BOX,	"made by the box") \
	X(NOT_SENT,	"made by the box: nobody sent these bytes") \
	X(REAL_SYNACK,	"the server's answer; the client has the promise") \
	X(ACKS_PROMISE,	"acknowledges the promise: nothing to forward") \
	X(IN_SYN,	"leaves in the SYN") \
	X(IN_ANOTHER,	"leaves together with what follows") \
	X(HAD_ALREADY,	"held already: this copy goes no further") \
	X(SYN_KNOWN,	"the SYN is under way already") \
	X(GONE,		"not seen on the other side")

enum fate_reason {
#define X(id, text) WHY_##id,
	FATE_REASONS(X)
#undef X
	WHY_COUNT
};

/* What disagrees between the two sides. */
#define FAULTS(X) \
	X(SEQ,		"seq") \
	X(ACK,		"ack") \
	X(TSVAL,	"TSval") \
	X(TSECR,	"TSecr") \
	X(SACK,		"SACK") \
	X(QUOTE,	"the quoted seq") \
	X(WINDOW,	"window") \
	X(FLAGS,	"flags") \
	X(PAYLOAD,	"payload") \
	X(CHECKSUM,	"checksum") \
	X(BYTES,	"bytes")

enum fault {
#define X(id, text) FAULT_##id,
	FAULTS(X)
#undef X
	FAULT_COUNT
};
/* clang-format on */

#define FAULT_NUMBERS (FAULT_QUOTE + 1) /* those that are off by a number */

struct step {
	struct sight s[SUT_SIDES]; /* by half; valid where seen */
	struct notes n[SUT_SIDES];
	uint8_t seen; /* bit per half */
	uint8_t sender; /* enum sut_side */
	uint8_t fate, why; /* enum fate, enum fate_reason */
	uint16_t faults; /* bit per enum fault */
	uint16_t pieces; /* that it went out in, or that went out with it; 0: it alone */
	int32_t off[FAULT_NUMBERS]; /* what is too much in the number that went out */
	/* while it is paired */
	uint8_t dead, tried;
	uint32_t left; /* payload bytes that went out so far */
	uint64_t left_hash;
};

static inline enum sut_side side_other(enum sut_side s)
{
	return s == NEAR ? FAR : NEAR;
}

static inline bool step_seen(const struct step *t, enum sut_side half)
{
	return t->seen >> half & 1;
}

static inline bool step_has(const struct step *t, enum fault f)
{
	return t->faults >> f & 1;
}

/* A half where it was seen; either will do for what both have in common. */
static inline enum sut_side step_any(const struct step *t)
{
	return step_seen(t, NEAR) ? NEAR : FAR;
}

static inline bool step_icmp(const struct step *t)
{
	return t->s[step_any(t)].icmp != ICMP_OTHER;
}

/* Where it comes in to the box. */
static inline enum sut_side step_in(const struct step *t)
{
	return step_icmp(t) ? side_other((enum sut_side)t->sender) : (enum sut_side)t->sender;
}

/* As it was first seen. */
static inline const struct sight *step_sight(const struct step *t)
{
	enum sut_side in = step_in(t);

	return &t->s[step_seen(t, in) ? in : side_other(in)];
}

static inline sut_time step_at(const struct step *t)
{
	return step_sight(t)->at;
}
#endif
