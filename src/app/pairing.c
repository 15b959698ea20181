/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * What a sender sends comes in at its own half and goes out at the other one.  Packets wait in a window, in the order of their
 * times.  One that goes out is looked at MATCH_LAG after it was seen, so that the one that it came from is in the window even where
 * the two clocks differ a little; it is merged into that one's step, if there is one:
 *
 *   1. same place in the stream, same length: of several the one whose other fields agree best, then the oldest;
 *   2. some of the same bytes: pieces of one, or one of pieces (GSO, GRO, data moved into a SYN);
 *   3. the same bytes at another place, at about the same time: a wrong number, which is a fault.
 *
 * What goes out and has no such origin was made by the box.  What came in and has not gone out is decided when something
 * behind it has gone out, HOLD_MAX has passed, or the window is full.
 *
 * The shift of a direction is the difference of the two ISNs; without both SYNs, the difference that most packets with equal
 * payload have.  Until it is known, what goes out has to wait.
 */
#include "app/pairing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/matching.h"

#define SOON SUT_MS(250) /* so much later something overtaken will not come any more */
#define HOLD_MAX SUT_MS(60000)
#define WINDOW 1024u /* undecided packets of a connection */

void pairing_begin(struct pairing *p, const struct reading *reading, enum pairing_captures captures)
{
	*p = (struct pairing){ .reading = reading, .captures = captures, .learn_at = 8 };
}

void pairing_end(struct pairing *p)
{
	free(p->step);
	p->step = NULL;
	p->n = p->room = p->head = 0;
}

/* Only the first SYNs of a connection count. */
static void learn_isn(struct pairing *p, enum sut_side half, enum sut_side sender,
		      const struct sight *s)
{
	if (!(s->flags & TCP_SYN) || p->isn_known[sender] >> half & 1)
		return;
	p->isn_known[sender] |= (uint8_t)(1u << half);
	p->isn[sender][half] = s->seq;
	if (p->isn_known[sender] != 3)
		return;
	p->seq[sender].known = p->seq[sender].by_isn = true;
	p->seq[sender].by = p->isn[sender][FAR] - p->isn[sender][NEAR];
}

static void learn_synack(struct pairing *p, enum sut_side half, enum sut_side sender,
			 const struct sight *s)
{
	if (sender != FAR || !sight_is_synack(s))
		return;
	if (half == FAR && !p->synack_at)
		p->synack_at = s->at;
	if (!(s->present & OPT_TS))
		return;
	if (!(p->synacks >> half & 1))
		p->synack_ts[half] = s->tsval;
	p->synack_last = half == FAR ? s->tsval : p->synack_last;
	p->synacks |= (uint8_t)(1u << half);
	if (p->synacks != 3 || p->ts[FAR].known)
		return;
	p->ts[FAR].known = p->ts[FAR].by_isn = true;
	p->ts[FAR].by = p->synack_ts[FAR] - p->synack_ts[NEAR];
}

static int make_room(struct pairing *p)
{
	size_t room = p->room ? p->room * 2 : 8;
	struct step *more;

	if (p->head + p->n < p->room)
		return 0;
	if (p->head > p->room / 2) {
		memmove(p->step, p->step + p->head, p->n * sizeof *p->step);
		p->head = 0;
		return 0;
	}
	more = realloc(p->step, room * sizeof *more);
	if (!more)
		return -ENOMEM;
	p->step = more;
	p->room = room;
	return 0;
}

/* Why did the box make t? */
static enum fate_reason reason_made(const struct pairing *p, const struct step *t)
{
	enum sut_side out = step_out(t), sender = (enum sut_side)t->sender;
	const struct sight *s = &t->s[out];
	const struct reading_way *in = &p->reading[side_other(out)].way[sender];
	bool answered = p->synack_at && s->at + MATCH_LAG >= p->synack_at &&
			s->at <= p->synack_at + 2 * MATCH_LAG;

	if (s->icmp != ICMP_OTHER)
		return WHY_TOLD;
	if (s->flags & TCP_RST)
		return WHY_RESET;
	if (sight_is_synack(s))
		return WHY_PROMISE;
	if (s->flags & TCP_SYN)
		return WHY_SYN_BY_BOX;
	if (sight_is_ack(s) && answered && p->promised)
		return sender == NEAR ? WHY_ACKS_SYNACK : WHY_AS_ACK;
	if (sight_is_ack(s))
		return WHY_ACK_BY_BOX;
	if (in->seen && p->seq[sender].known &&
	    !number_before(in->end, pairing_near(p, out, sender, s->seq) +
					    (side_other(out) == FAR ? p->seq[sender].by : 0) +
					    sight_space(s)))
		return WHY_SENT_AGAIN;
	return WHY_NOT_SENT;
}

static void decide_made(struct pairing *p, struct step *t)
{
	enum sut_side sender = (enum sut_side)t->sender;
	const struct sight *s = &t->s[step_out(t)];

	t->fate = FATE_MADE;
	t->why = (uint8_t)reason_made(p, t);
	if (t->why == WHY_PROMISE && p->promised)
		t->why = WHY_PROMISE_AGAIN;
	if (sight_is_synack(s))
		p->promised = true;
	if (t->why == WHY_NOT_SENT && p->halves == 3 && p->shown[sender] &&
	    p->shown_at[sender] <= s->at && p->seq[sender].known) {
		t->faults |= (uint16_t)(1u << FAULT_BYTES);
		p->faults[FAULT_BYTES]++;
	} else if (t->why == WHY_NOT_SENT) {
		t->why = WHY_GONE;
	}
}

/* Finds where e comes from.  False: it has to wait for a shift. */
static bool settle(struct pairing *p, struct step *e)
{
	const struct sight *s = &e->s[step_out(e)];
	struct step *i = NULL;

	if (sight_is_synack(s)) {
		if (!p->promised)
			i = match_same(p, e, 0);
	} else if (!p->seq[e->sender].known && !p->flushing) {
		return false;
	} else {
		i = match_same(p, e, 0);
		if (!i && match_bytes(p, e))
			return true;
		if (!i)
			i = match_damaged(p, e);
	}
	if (!i) {
		decide_made(p, e);
		return true;
	}
	match_merge(p, i, e);
	if (s->flags & TCP_SYN)
		match_syn_data(p, i, e);
	pairing_verify(p, i);
	return true;
}

/* What agrees in all is its origin: nothing better can come. */
static void settle_at_once(struct pairing *p, struct step *e)
{
	struct step *i;

	if (step_came_in(e) || !p->seq[e->sender].known || (e->s[step_out(e)].flags & TCP_SYN))
		return;
	i = match_same(p, e, MATCH_ALL - 1);
	if (!i)
		return;
	match_merge(p, i, e);
	e->tried = 1;
	pairing_verify(p, i);
}

static void learn_shifts(struct pairing *p, unsigned enough)
{
	for (enum sut_side s = NEAR; s < SUT_SIDES; s++)
		if (!p->seq[s].known && p->halves == 3)
			match_shift(p, s, enough);
}

/* Settles what has waited long enough, from the first that was not settled on. */
static void settle_until(struct pairing *p, sut_time now)
{
	if (p->postponed && p->n >= p->learn_at) {
		learn_shifts(p, 2);
		p->learn_at = p->n * 2;
	}
	if (p->postponed)
		p->next = 0;
	p->postponed = false;
	for (size_t k = p->next; k < p->n; k++) {
		struct step *e = matching_at(p, k);

		if (!p->flushing && step_at(e) + MATCH_LAG > now)
			break;
		if (!e->dead && !e->tried && !step_came_in(e)) {
			e->tried = settle(p, e);
			p->postponed |= !e->tried;
		}
		p->next = k + 1;
	}
}

int pairing_add(struct pairing *p, enum sut_side half, enum sut_side sender, const struct sight *s,
		const struct notes *n)
{
	struct step *t;

	if (make_room(p) != 0)
		return -ENOMEM;
	if (s->icmp == ICMP_OTHER) {
		learn_isn(p, half, sender, s);
		learn_synack(p, half, sender, s);
	}
	p->halves |= (uint8_t)(1u << half);
	t = matching_at(p, p->n++);
	memset(t, 0, sizeof *t);
	t->s[half] = *s;
	t->n[half] = *n;
	t->seen = (uint8_t)(1u << half);
	t->sender = (uint8_t)sender;
	t->fate = FATE_SWALLOWED;
	if (step_came_in(t) && s->icmp == ICMP_OTHER && !p->shown[sender]) {
		p->shown[sender] = true;
		p->shown_at[sender] = s->at;
	}
	if (p->captures == PAIRING_ONE) {
		t->tried = 1;
		return 0;
	}
	settle_at_once(p, t);
	settle_until(p, s->at);
	return 0;
}

void pairing_flush(struct pairing *p)
{
	p->flushing = true;
	learn_shifts(p, 1);
	settle_until(p, SUT_NEVER);
}

/* The window is full, and something waits for a shift that is not to be known. */
static void force(struct pairing *p)
{
	sut_time now = step_at(matching_at(p, p->n - 1));

	p->flushing = true;
	learn_shifts(p, 1);
	settle_until(p, now);
	p->flushing = false;
}

/* Came in, and did not go out as far as is known: is that final? */
static bool final(const struct pairing *p, const struct step *t, sut_time now)
{
	sut_time came = step_at(t);
	bool partly = t->left && t->left < t->s[step_in(t)].len;

	if (p->captures == PAIRING_ONE || p->flushing || p->n > WINDOW || now > came + HOLD_MAX)
		return true;
	if (t->fate != FATE_SWALLOWED)
		return !partly || now > came + SOON;
	return p->matched[t->sender] > came && now > came + SOON;
}

/* Is t a copy of what had come in before it? */
static bool came_before(const struct step *t)
{
	return notes_have(&t->n[step_in(t)], NOTE_RETRANSMIT);
}

static enum fate_reason reason_swallowed(const struct pairing *p, const struct step *t)
{
	const struct sight *s = &t->s[step_in(t)];

	if (s->icmp != ICMP_OTHER || !p->promised)
		return WHY_GONE;
	if (t->sender == FAR)
		return sight_is_synack(s) ? WHY_REAL_SYNACK : WHY_GONE;
	if (s->flags & TCP_SYN)
		return notes_have(&t->n[NEAR], NOTE_SYN_AGAIN) ? WHY_SYN_KNOWN : WHY_GONE;
	if (sight_is_ack(s) && p->isn_known[FAR] & 1 && s->ack == p->isn[FAR][NEAR] + 1)
		return WHY_ACKS_PROMISE;
	return came_before(t) ? WHY_HAD_ALREADY : WHY_GONE;
}

bool pairing_take(struct pairing *p, sut_time now, struct step **ret_t)
{
	while (p->n) {
		struct step *t = matching_at(p, 0);

		if (!t->dead && p->n > WINDOW && !step_came_in(t) && !t->tried)
			force(p);
		if (!t->dead && !(step_came_in(t) ? final(p, t, now) : t->tried))
			return false;
		p->head++;
		p->n--;
		p->next -= p->next > 0;
		if (t->dead)
			continue;
		if (p->halves != 3)
			t->fate = FATE_ALONE;
		else if (t->fate == FATE_SWALLOWED)
			t->why = (uint8_t)reason_swallowed(p, t);
		*ret_t = t;
		return true;
	}
	p->head = 0;
	return false;
}
