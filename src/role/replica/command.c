/* SPDX-License-Identifier: MIT */
#include "role/replica/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "core/outbox.h"
#include "role/replica/half.h"
#include "role/replica/reach.h"

/*
 * Theory of operation
 *
 * A million flows cannot be visited while a guest stands still, or while clients wait for the
 * first packet after a death.  So a command only counts the epoch on, in constant time.  A
 * flow's records carry the epoch that they are of beside FLOW_FAST, and the hot path compares
 * both as one word: the first segment of each flow takes the slow way, where the flow takes
 * over what it has missed.  Timers, save and describe do so too.  Checkpoints come first, then
 * at most one failover: behind it there is no other command.
 *
 * Only what waits for its numbers (phase HALF) cannot be left until a segment comes: those flows
 * stand in a chain, and expire() empties it.
 *
 * checkpoint   The secondary is a copy of the primary: shift and clock difference are zero.  It
 *              has sent what the primary has: at least what clients have acknowledged.  A flow in
 *              HALF is KNOWN by that, with the mark `copied`: the primary may not have answered the
 *              SYN at that time, then the copy answers it by an ISN of its own, which begins
 *              HALF anew.
 * failover     Nothing changes in a flow but that its next TSval is lifted (stamp.h).
 */

#define WORD_MAX 40

bool command_failover(struct rewrite *r)
{
	if (r->failed_over)
		return false;
	r->failed_over = true;
	r->fast = FLOW_FAST | ++r->epoch << PAIR_EPOCH_SHIFT;
	return true;
}

static void checkpoint(struct rewrite *r)
{
	r->checkpoint_epoch = ++r->epoch;
	r->fast = FLOW_FAST | r->epoch << PAIR_EPOCH_SHIFT;
	r->renewing = r->waiting.first != FLOW_NONE;
}

/* One answer, to the port that the question came from. */
static void answer(struct turn *t, const char *fmt, ...)
{
	char text[200];
	struct packet *p;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof text)
		n = sizeof text - 1;
	p = outbox_make(t->out, t->port, (uint32_t)n);
	if (p)
		memcpy(p->head, text, (size_t)n);
	else
		count_drop(t->r->env, R_OUTBOX_FULL);
}

static void run_failover(struct turn *t)
{
	struct rewrite *r = t->r;
	bool first = command_failover(r);

	if (first)
		count_event(r->env, EV_FAILOVERS);
	answer(t, "ok failed over%s: flows %u half-open %u", first ? "" : " already",
	       flows_count(r->flows), r->half_open);
}

static void run_checkpoint(struct turn *t)
{
	struct rewrite *r = t->r;

	if (r->failed_over) {
		answer(t,
		       "error the primary is dead since the failover: nothing can be a copy of it");
		return;
	}
	answer(t, "ok checkpoint: flows %u half-open %u", flows_count(r->flows), r->half_open);
	checkpoint(r);
	count_event(r->env, EV_CHECKPOINTS);
}

static const struct {
	const char *word;
	void (*run)(struct turn *t);
} commands[] = {
	{ "failover", run_failover },
	{ "checkpoint", run_checkpoint },
};

void command_run(struct turn *t, const struct packet *p)
{
	char word[WORD_MAX + 1];
	uint32_t n = p->head_len < WORD_MAX ? p->head_len : WORD_MAX;

	for (uint32_t i = 0; i < n; i++)
		word[i] = (char)(p->head[i] >= ' ' && p->head[i] < 0x7f ? p->head[i] : '?');
	word[n] = 0;
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
		if (packet_len(p) == n && strcmp(word, commands[i].word) == 0) {
			commands[i].run(t);
			return;
		}
	}
	answer(t, "error unknown command '%s': expected failover or checkpoint", word);
}

/* Moves edge s, valid where *known has bit, up to v. */
static void raise(sut_seq *s, uint8_t *known, unsigned bit, sut_seq v)
{
	if (!(*known & bit) || seq_before(*s, v))
		*s = v;
	*known = (uint8_t)(*known | bit);
}

/*
 * The copy has sent what the primary has.  Where that is not seen, the primary is taken to be no further
 * behind than the secondary was, and no less far than clients have acknowledged.
 */
static void raise_end(struct pair *c, const struct flow_rec *near, struct flow_rec *far)
{
	uint8_t *known = &c->track.edges_known;

	if (c->primary_end_known)
		*known = (uint8_t)(*known & ~(1u << FAR));
	if (*known & 1u << (NEAR + 2))
		raise(&far->end, known, 1u << FAR, near->acked);
	if (c->withheld.any)
		raise(&far->end, known, 1u << FAR, c->withheld.ack);
	if (c->primary_end_known)
		raise(&far->end, known, 1u << FAR, c->primary_end);
}

/* The secondary has become a copy of the primary. */
static void become_copy(struct pair *c, struct flow_rec *near, struct flow_rec *far)
{
	if (c->phase == PAIR_HALF) {
		if (c->near_isn_known)
			pair_far_began(c, near, far, c->near_isn);
		c->phase = PAIR_KNOWN;
		c->copied = true;
		c->doomed = false;
		c->far_has_ts = false; /* what it offered is forgotten */
	}
	raise_end(c, near, far);
	c->seam.seq = (struct seqmap){ .known = 3 };
	c->seam.ts[FAR] = 0;
	c->ts_known = true;
	c->near_isn_known = c->near_isn_known || (c->track.isn_known & 1u << FAR);
	if (c->track.isn_known & 1u << FAR)
		c->near_isn = c->track.isn[FAR];
	c->near_isn_sure = true; /* or does not matter: nothing is to be corrected any more */
	c->far_isn_known = c->near_isn_known;
	c->far_isn = (sut_farseq){ c->near_isn.v };
	c->far_talks = true;
	c->withheld.any = false;
	*reach_window(far) = 0; /* that was the old one's */
	memcpy(c->seam.far_scale, c->seam.near_scale, sizeof c->seam.far_scale);
	if (c->primary.known)
		c->secondary = c->primary;
}

static bool missed_checkpoint(const struct rewrite *r, const struct pair *c)
{
	return (int32_t)(c->epoch - r->checkpoint_epoch) < 0;
}

void command_renew(const struct rewrite *r, struct pair *c, struct flow_rec *near,
		   struct flow_rec *far)
{
	if (missed_checkpoint(r, c) && c->phase != PAIR_GIVEN_UP)
		become_copy(c, near, far);
	c->epoch = r->epoch;
}

void command_take_over(struct turn *t, uint32_t f)
{
	struct pair *c = pair_of(t, f);
	bool half = c->phase == PAIR_HALF, copy = missed_checkpoint(t->r, c);

	command_renew(t->r, c, pair_rec(t, f, NEAR), pair_rec(t, f, FAR));
	if (!copy || c->phase != PAIR_KNOWN) {
		pair_refresh(t, f);
		return;
	}
	t->r->env->counters->dropped[R_STALE] += held_drop_ports(
		t->r->held, &c->held, 1u << REPLICA_SECONDARY | 1u << REPLICA_SECONDARY_OUT);
	t->r->half_open -= half;
	if (half)
		pair_renewed(t, f, "checkpoint");
	half_release(t, f);
}

void command_release(struct turn *t)
{
	struct rewrite *r = t->r;

	while (r->renewing && outbox_room_made(t->out) != 0) {
		uint32_t f = r->waiting.first;

		r->renewing = f != FLOW_NONE && missed_checkpoint(r, pair_of(t, f));
		if (r->renewing)
			command_take_over(t, f);
	}
}
