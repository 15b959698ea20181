/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_MATCHING_H
#define SUT_APP_MATCHING_H
/*
 * matching - which of the packets that wait in a pairing's window is it that goes out?  By place, by bytes, by likeness.
 *
 * For pairing.c alone; see the theory of operation there.  e is always a packet that goes out, i one that came in.
 */
#include "app/pairing.h"

#define MATCH_LAG SUT_MS(2) /* two clocks of one machine */
#define MATCH_ALL 49u /* the likeness of what agrees in everything */

static inline struct step *matching_at(struct pairing *p, size_t i)
{
	return &p->step[p->head + i];
}

static inline enum sut_side step_out(const struct step *t)
{
	return side_other(step_in(t));
}

static inline bool step_came_in(const struct step *t)
{
	return step_seen(t, step_in(t));
}

/* Came in, and has not (wholly) gone out. */
static inline bool step_waits(const struct step *t)
{
	return !t->dead && step_came_in(t) && t->fate == FATE_SWALLOWED;
}

static inline bool sight_is_synack(const struct sight *s)
{
	return (s->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
}

/* Nothing but an ACK. */
static inline bool sight_is_ack(const struct sight *s)
{
	return s->len == 0 && !(s->flags & (TCP_SYN | TCP_FIN | TCP_RST)) && (s->flags & TCP_ACK);
}

static inline bool number_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* The one at the same place and of the same length that is most like e, by more than least; NULL: there is none. */
struct step *match_same(struct pairing *p, const struct step *e, unsigned least);

/* One with the same content at another place, soon after it came in. */
struct step *match_damaged(struct pairing *p, const struct step *e);

/* i went out as e: one step of both. */
void match_merge(struct pairing *p, struct step *i, struct step *e);

/* Something that came in was seen to have gone out, whole or in part. */
void match_note(struct pairing *p, const struct step *i);

/* Finds the shift of a sender by what most pairs of alike packets have, at least `enough` of them. */
void match_shift(struct pairing *p, enum sut_side sender, unsigned enough);

/* joining.c: finds and marks those that e has bytes of; false if there are none. */
bool match_bytes(struct pairing *p, struct step *e);

/* syn went out as e: which steps' data went out in it? */
void match_syn_data(struct pairing *p, struct step *syn, struct step *e);
#endif
