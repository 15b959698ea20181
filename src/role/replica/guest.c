/* SPDX-License-Identifier: MIT */
#include "role/replica/guest.h"

#include "core/outbox.h"
#include "role/replica/half.h"
#include "role/replica/known.h"

/*
 * Theory of operation
 *
 * S is in the secondary's SYN.  P is in the primary's, where its output is looked at, and the
 * peer's SYN-ACK acknowledges it: P + 1.  So S and one of the two make the shift.  The SYN-ACK
 * echoes the timestamp of the primary's SYN as well.
 *
 *  - S's SYN first: passes as it is, and the SYN-ACK teaches.
 *  - P's SYN at primary-out first: S's SYN leaves translated.
 *  - The SYN-ACK before S's SYN (this guest is slower): it waits a second, then S's SYN leaves
 *    translated and the SYN-ACK follows.  Behind that second it passes as it came, given up.
 *  - A refusal (RST|ACK with seq 0, ack P + 1 and whatever data the SYN had) does all that too.
 *  - Data in the guest's SYN: the SYN-ACK acknowledges it or not, so it teaches nothing.
 *  - Both ends open at once: the peer's SYN tells nothing and passes, its SYN-ACK teaches.
 */

enum reason guest_open(struct turn *t, const struct flow_key *far_key, const struct packet *p,
		       const struct view *v, uint32_t *ret_flow)
{
	struct flow_key near;
	enum reason r;

	flow_key_reverse(far_key, REPLICA_PRIMARY, &near);
	r = pair_open(t, &near, NULL, ret_flow);
	if (r == R_NONE && t->port != REPLICA_PRIMARY_OUT)
		half_take_far_syn(pair_of(t, *ret_flow), p, v);
	return r;
}

bool guest_is_answer(const struct view *v)
{
	return track_event_of(v->flags) == TE_SYNACK || seam_keeps_seq(v->flags, v->seq);
}

/* Takes what an answer tells: false if it answers another SYN than the primary's. */
static bool take_answer(struct pair *c, const struct packet *p, const struct view *v)
{
	struct tcp_options o;

	(void)view_options(p, v, &o);
	if (c->near_isn_sure && v->ack != c->near_isn.v + 1 &&
	    v->ack != c->near_isn.v + 1 + c->early)
		return false;
	half_told(c, v, &o);
	if (v->flags & TCP_SYN)
		c->client = pair_offer(&o);
	return true;
}

/* An answer before the secondary's SYN: waits. */
static void hold_answer(struct turn *t, uint32_t f, const struct packet *p, const struct view *v)
{
	(void)take_answer(pair_of(t, f), p, v);
	half_hold(t, f, p);
	half_doom(t, f, true);
}

enum reason guest_answer_first(struct turn *t, const struct flow_key *near_key,
			       const struct packet *p, const struct view *v)
{
	enum reason r;
	uint32_t f;

	r = pair_open(t, near_key, NULL, &f);
	if (r != R_NONE)
		return r;
	hold_answer(t, f, p, v);
	return R_NONE;
}

bool guest_answers_anew(struct turn *t, uint32_t f, const struct packet *p, const struct view *v)
{
	const struct pair *c = pair_of(t, f);

	if (t->r->failed_over || c->phase != PAIR_KNOWN || !pair_is_closed(c) ||
	    track_event_of(v->flags) != TE_SYNACK)
		return false;
	if (c->near_isn_known && v->ack - c->near_isn.v - 1 <= c->early)
		return false;
	pair_reopen(t, f, NULL);
	hold_answer(t, f, p, v);
	return true;
}

/* Is the primary's ISN still a guess, because the SYN had data? */
static bool is_guess(const struct pair *c)
{
	return c->early != 0 && !c->near_isn_sure;
}

/*
 * v, a SYN, comes behind an answer that no guest has asked for.  That was a stray, or forged: it goes as it came, and
 * v opens the connection that these ports are for.
 */
static void open_instead(struct turn *t, uint32_t f, const struct view *v, struct packet *p)
{
	struct flow_key key = pair_rec(t, f, NEAR)->key;
	enum reason why = R_NO_FLOW;

	half_give_up(t, f, R_NOT_CLIENT);
	if (flows_live(t->r->flows, f)) { /* there was no room */
		half_hold(t, f, p);
		return;
	}
	if (!t->r->failed_over)
		why = half_open(t, &key, p, v);
	if (why != R_NONE)
		count_pass(t->r->env, why);
	outbox_put(t->out, REPLICA_SECONDARY, p);
}

static bool was_asked_for(const struct pair *c)
{
	return c->far_isn_known || c->near_isn_sure;
}

static void near_segment(struct turn *t, uint32_t f, struct packet *p, struct view *v)
{
	struct pair *c = pair_of(t, f);

	if (c->held.first != HELD_NONE && track_event_of(v->flags) == TE_SYN && !was_asked_for(c)) {
		open_instead(t, f, v, p);
		return;
	}
	if (c->held.first != HELD_NONE && !guest_is_answer(v)) { /* behind the answer */
		half_hold(t, f, p);
		return;
	}
	if (!guest_is_answer(v) || !take_answer(c, p, v)) {
		count_pass(t->r->env, v->flags & TCP_SYN ? R_WINDOW : R_UNKNOWN_SHIFT);
		outbox_put(t->out, REPLICA_SECONDARY, p);
		return;
	}
	if (!c->far_isn_known) {
		half_hold(t, f, p);
		half_doom(t, f, true);
		return;
	}
	outbox_put(t->out, REPLICA_SECONDARY, p);
	if (is_guess(c)) {
		count_pass(t->r->env, R_SYN_TFO);
		half_give_up(t, f, R_SYN_TFO);
		return;
	}
	half_learn(t, f);
	known_segment(t, f, NEAR, p, v);
	half_release(t, f);
}

static void far_segment(struct turn *t, uint32_t f, struct packet *p, struct view *v)
{
	struct pair *c = pair_of(t, f);

	outbox_put(t->out, t->to, p);
	if (!(v->flags & TCP_SYN)) {
		count_pass(t->r->env, R_UNKNOWN_SHIFT);
		return;
	}
	half_take_far_syn(c, p, v);
	if (!c->near_isn_known)
		return;
	if (is_guess(c)) {
		half_give_up(t, f, R_SYN_TFO);
		return;
	}
	half_learn(t, f);
	known_segment(t, f, FAR, p, v);
	half_release(t, f);
}

void guest_segment(struct turn *t, uint32_t f, enum sut_side side, struct packet *p, struct view *v)
{
	if (side == NEAR)
		near_segment(t, f, p, v);
	else
		far_segment(t, f, p, v);
}

void guest_reopen(struct turn *t, uint32_t f, const struct packet *p, const struct view *v)
{
	pair_reopen(t, f, NULL);
	half_take_far_syn(pair_of(t, f), p, v);
}
