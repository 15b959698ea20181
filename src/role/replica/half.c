/* SPDX-License-Identifier: MIT */
#include "role/replica/half.h"

#include <string.h>

#include "core/outbox.h"
#include "core/segment.h"
#include "role/replica/known.h"

/*
 * Theory of operation
 *
 * Three numbers make a shift: C and S, the ISNs of the client and of the secondary, are in
 * their SYNs; P, the primary's, is not visible here, but the client's first segment
 * acknowledges it.  C is known when a flow is entered; S and P come in either order.
 *
 * A segment *teaches* if its ack must be P + 1: it is the client's first (seq C + 1), and has
 * no SACK, which would tell that the primary has spoken.  What comes before the teacher waits,
 * from both sides, in order; a SYN always passes, as it came while P is unknown.  The rest that
 * can be known:
 *
 *  - The teacher comes before the secondary's SYN: it waits, and the SYN then leaves translated.
 *  - The first segment to be seen is not the first that was sent (seq behind C + 1): it waits 1
 *    s for one that was overtaken, then the flow is given up: a wrong shift would corrupt data
 *    after a takeover, an untouched flow only ends.
 *  - Data in the client's SYN that the primary took: the ack may cover its answer as well, so
 *    the flow is given up.
 *  - The secondary sends what is no SYN before its SYN: it lives in an older connection that we
 *    have not seen, the client's SYN was a duplicate.  Given up.
 *  - A lost first ACK whose successor also has seq C + 1, after the primary spoke first, looks
 *    like the first.  If the lost one was only overtaken it comes yet, and known.c puts P
 *    right; else nothing here can tell.
 *
 * What lies nowhere near the client's SYN is a stray of another connection, or forged: it passes.
 * A SYN with another ISN only becomes `pending`: if the secondary answers it by a SYN-ACK, it
 * was a new connection.
 */

#define FLIGHT_MAX (1u << 20) /* how far behind its SYN a client may be before we know the shift */

/* Where the client's first segment begins. */
static sut_seq first_seq(const struct pair *c)
{
	return seq_add(c->track.isn[NEAR], 1);
}

static bool is_syn(const struct view *v)
{
	return (v->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

enum reason half_open(struct turn *t, const struct flow_key *key, const struct view *v)
{
	static const struct seqmap none;
	struct segment s;
	uint32_t f;

	if (track_event_of(v->flags) != TE_SYN)
		return R_TCP_FLAGS;
	(void)segment_read(v, NEAR, NEAR, &none, &s);
	return pair_open(t, key, &s, &f);
}

/* Does this segment of the client tell the primary's ISN? */
static bool teaches(const struct pair *c, const struct packet *p, const struct view *v)
{
	struct tcp_options o;
	uint32_t first = first_seq(c).v - !!(v->flags & TCP_SYN);

	if (!(v->flags & TCP_ACK) || track_event_of(v->flags) == TE_NONE || v->seq != first)
		return false;
	(void)view_options(p, v, &o);
	return !(o.present & OPT_SACK);
}

/*
 * Both ISNs are there: the shift, and the difference of the clocks if the teacher has
 * timestamps.
 */
static void learn(struct turn *t, uint32_t f, const struct packet *p, const struct view *v)
{
	struct pair *c = pair_of(t, f);
	struct tcp_options o;

	(void)view_options(p, v, &o);
	(void)seqmap_learn(&c->seam.seq, NEAR, (sut_seq){ 0 }, (sut_farseq){ 0 });
	(void)seqmap_learn(&c->seam.seq, FAR, (sut_seq){ v->ack - 1 }, c->far_isn);
	known_learn_clock(c, v, &o);
	count_event(t->r->env, EV_LEARNT);
	pair_known(t, f);
}

void half_hold(struct turn *t, uint32_t f, enum sut_side side, const struct packet *p)
{
	struct pair *c = pair_of(t, f);
	enum reason r = held_put(t->r->held, &c->held, side, p);

	if (r == R_NONE)
		t->r->env->counters->event[EV_HELD_BYTES] += packet_len(p);
	else
		count_drop(t->r->env, r);
}

/*
 * Puts the first held frame of f into the outbox, which has room for it; one that fits is
 * copied, so that its cell is free.
 */
static struct packet *put_first(struct turn *t, uint32_t f, enum sut_side *ret_side)
{
	struct held_queue *q = &pair_of(t, f)->held;
	struct packet *p, was;
	unsigned side;
	bool fits;

	(void)held_look(t->r->held, q->first, &side, &was);
	fits = was.head_len <= OUTBOX_SLOT - PACKET_HEADROOM;
	p = outbox_make(t->out, !side, fits ? was.head_len : 0);
	if (fits) {
		memcpy(p->head, was.head, was.head_len);
		p->off = was.off;
		held_drop(t->r->held, q);
	} else {
		held_take(t->r->held, q, &side, p);
	}
	*ret_side = (enum sut_side)side;
	return p;
}

void half_release(struct turn *t, uint32_t f)
{
	struct pair *c = pair_of(t, f);

	while (c->held.first != HELD_NONE) {
		enum sut_side side;
		struct packet *p;
		struct view v;

		if (outbox_room_made(t->out) == 0) {
			pair_set_ready(t, f, true);
			return;
		}
		p = put_first(t, f, &side);
		if (c->phase == PAIR_GIVEN_UP)
			count_pass(t->r->env, (enum reason)c->why);
		else if (view_parse(p, &v) == R_NONE && v.tcp)
			known_segment(t, f, side, p, &v);
	}
	if (c->phase == PAIR_GIVEN_UP)
		pair_end(t, f, EV_FLOWS_CLOSED, "given up");
	else
		pair_refresh(t, f);
}

static void give_up(struct turn *t, uint32_t f, enum reason why)
{
	pair_of(t, f)->phase = PAIR_GIVEN_UP;
	pair_of(t, f)->why = (uint8_t)why;
	half_release(t, f);
}

void half_timer(struct turn *t, uint32_t f)
{
	if (pair_of(t, f)->doomed)
		give_up(t, f, R_NOT_CLIENT);
	else
		pair_end(t, f, EV_FLOWS_CLOSED, "handshake not finished in time");
}

/* Something of the client was held: how long may it wait? */
static void near_held(struct turn *t, uint32_t f, bool teacher)
{
	struct pair *c = pair_of(t, f);

	c->teacher_held = c->teacher_held || teacher;
	if (c->doomed == !c->teacher_held)
		return;
	c->doomed = !c->teacher_held;
	pair_half_timer(t, f);
}

static void near_syn(struct turn *t, uint32_t f, const struct view *v)
{
	struct pair *c = pair_of(t, f);

	if (v->seq != c->track.isn[NEAR].v) {
		c->pending = true;
		c->pending_isn = (sut_seq){ v->seq };
	}
}

/*
 * A reset by the client that needs no translation: it ends the flow if its seq is one that
 * the client has reached.
 */
static void near_reset(struct turn *t, uint32_t f, const struct view *v)
{
	const struct pair *c = pair_of(t, f);

	if (v->seq == first_seq(c).v || v->seq == pair_rec(t, f, NEAR)->end.v)
		pair_end(t, f, EV_FLOWS_CLOSED, "reset by the client");
}

/* Can v be of the connection that is being opened, or of the one that `pending` would open? */
static bool of_this_opening(const struct pair *c, const struct view *v)
{
	return v->seq - c->track.isn[NEAR].v < FLIGHT_MAX ||
	       (c->pending && v->seq - c->pending_isn.v < FLIGHT_MAX);
}

static void near_segment(struct turn *t, uint32_t f, struct packet *p, struct view *v)
{
	struct pair *c = pair_of(t, f);
	bool teacher;

	if (!(v->flags & TCP_ACK)) {
		outbox_put(t->out, REPLICA_SECONDARY, p);
		if (is_syn(v))
			near_syn(t, f, v);
		else if (v->flags & TCP_RST)
			near_reset(t, f, v);
		return;
	}
	if (!of_this_opening(c, v)) {
		count_pass(t->r->env, R_WINDOW);
		outbox_put(t->out, REPLICA_SECONDARY, p);
		return;
	}
	teacher = teaches(c, p, v);
	if (teacher && c->far_isn_known) {
		learn(t, f, p, v);
		outbox_put(t->out, REPLICA_SECONDARY, p);
		known_segment(t, f, NEAR, p, v);
		half_release(t, f);
		return;
	}
	half_hold(t, f, NEAR, p);
	if (c->early && v->seq == pair_rec(t, f, NEAR)->end.v)
		give_up(t, f, R_SYN_TFO);
	else
		near_held(t, f, teacher);
}

/* Finds the teacher among what is held; false if there is none. */
static bool find_teacher(struct turn *t, uint32_t f, struct packet *ret_p, struct view *ret_v)
{
	struct pair *c = pair_of(t, f);
	uint32_t at = c->held.first;
	unsigned side;

	while (at != HELD_NONE) {
		at = held_look(t->r->held, at, &side, ret_p);
		if (side == NEAR && view_parse(ret_p, ret_v) == R_NONE && ret_v->tcp &&
		    teaches(c, ret_p, ret_v))
			return true;
	}
	return false;
}

/* Does v acknowledge the client's SYN, its early data or not? */
static bool acks_syn(const struct turn *t, uint32_t f, const struct view *v)
{
	return v->ack == first_seq(pair_of(t, f)).v || v->ack == pair_rec(t, f, NEAR)->end.v;
}

/*
 * The secondary's ISN and the clock of its first SYN: later ones repeat it, unless the
 * listener began anew.
 */
static void take_far_syn(struct turn *t, uint32_t f, const struct packet *p, const struct view *v)
{
	struct pair *c = pair_of(t, f);
	struct tcp_options o;

	(void)view_options(p, v, &o);
	if (o.present & OPT_TS)
		c->far_tsval_last = o.tsval;
	if (c->far_isn_known && c->far_isn.v == v->seq)
		return;
	c->far_isn_known = true;
	c->far_isn = (sut_farseq){ v->seq };
	c->far_has_ts = o.present & OPT_TS;
	c->far_tsval = c->far_has_ts ? o.tsval : 0;
}

bool half_answers_pending(const struct pair *c, const struct view *v)
{
	return c->pending && (v->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK) &&
	       v->ack == c->pending_isn.v + 1;
}

void half_restart(struct turn *t, uint32_t f, const struct packet *p, const struct view *v)
{
	struct segment syn = {
		.sender = NEAR,
		.flags = TCP_SYN,
		.len = 1,
		.seq = pair_of(t, f)->pending_isn,
	};

	pair_reopen(t, f, &syn);
	take_far_syn(t, f, p, v);
}

/* The secondary's SYN: passes as it is, unless a held segment tells the rest. */
static void far_syn(struct turn *t, uint32_t f, struct packet *p, struct view *v)
{
	struct packet teacher;
	struct view tv;

	outbox_put(t->out, REPLICA_PRIMARY, p);
	if (half_answers_pending(pair_of(t, f), v))
		half_restart(t, f, p, v);
	else if ((v->flags & TCP_ACK) && !acks_syn(t, f, v))
		return;
	else
		take_far_syn(t, f, p, v);
	if (!find_teacher(t, f, &teacher, &tv))
		return;
	learn(t, f, &teacher, &tv);
	known_segment(t, f, FAR, p, v);
	half_release(t, f);
}

static void far_segment(struct turn *t, uint32_t f, struct packet *p, struct view *v)
{
	const struct pair *c = pair_of(t, f);

	if (v->flags & TCP_SYN) {
		far_syn(t, f, p, v);
		return;
	}
	if (seam_keeps_seq(v->flags, v->seq)) {
		outbox_put(t->out, REPLICA_PRIMARY, p);
		if (acks_syn(t, f, v))
			pair_end(t, f, EV_FLOWS_CLOSED, "refused by the secondary");
		return;
	}
	half_hold(t, f, FAR, p);
	if (!c->far_isn_known)
		give_up(t, f, R_NO_FLOW);
}

void half_segment(struct turn *t, uint32_t f, enum sut_side side, struct packet *p, struct view *v)
{
	if (side == NEAR)
		near_segment(t, f, p, v);
	else
		far_segment(t, f, p, v);
}
