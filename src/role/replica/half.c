/* SPDX-License-Identifier: MIT */
#include "role/replica/half.h"

#include <string.h>

#include "core/outbox.h"
#include "core/segment.h"
#include "role/replica/guest.h"
#include "role/replica/known.h"
#include "role/replica/primary.h"
#include "role/replica/stamp.h"

/*
 * Theory of operation
 *
 * Three numbers make a shift: C and S, the ISNs of the client and of the secondary, are in
 * their SYNs.  P, the primary's, is told by the primary itself where its output is looked at
 * (primary.h); else it is not visible here, but the client's first segment acknowledges it.  C
 * is known when a flow is entered; S and P come in either order.
 *
 * A segment *teaches* if its ack must be P + 1: it is the client's first (seq C + 1), and has
 * no SACK, which would tell that the primary has spoken.  What comes before the teacher waits,
 * from both sides, in order; a SYN always passes, as it came while P is unknown.  The rest that
 * can be known without the primary's own word:
 *
 *  - The teacher comes before the secondary's SYN: it waits, and the SYN then leaves translated.
 *  - The first segment to be seen is not the first that was sent (seq behind C + 1): it waits 1
 *    s for one that was overtaken, then the flow is given up: a wrong shift would corrupt data
 *    after a takeover, an untouched flow only ends.
 *  - Data in the client's SYN that the primary took: the ack may cover its answer as well, so
 *    the flow is given up.
 *  - The secondary sends what is no SYN before its SYN: it lives in an older connection that we
 *    have not seen, the client's SYN was a duplicate.  Given up.
 *  - Where the first ACK is lost, and the primary speaks first, a later segment with seq C + 1 looks like the
 *    first.  But the primary has spoken because of a segment that acknowledged its SYN alone: if that one
 *    waits here, it counts, since the lowest ack is right.  If it was only overtaken it comes yet, and
 *    known.c puts P right; else nothing here can tell.
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

enum reason half_open(struct turn *t, const struct flow_key *key, const struct packet *p,
		      const struct view *v)
{
	static const struct seqmap none;
	struct tcp_options o;
	struct segment s;
	enum reason r;
	uint32_t f;

	if (track_event_of(v->flags) != TE_SYN)
		return R_TCP_FLAGS;
	(void)segment_read(v, NEAR, NEAR, &none, &s);
	r = pair_open(t, key, &s, &f);
	if (r != R_NONE)
		return r;
	(void)view_options(p, v, &o);
	pair_of(t, f)->client = pair_offer(&o);
	primary_recall(t, f);
	return R_NONE;
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

void half_told(struct pair *c, const struct view *v, const struct tcp_options *o)
{
	if (c->near_isn_known)
		return;
	c->near_isn_known = true;
	c->near_isn = (sut_seq){ v->ack - 1 };
	c->near_has_ts = o->present & OPT_TS;
	c->near_tsval = c->near_has_ts ? o->tsecr : 0;
}

/*
 * What the client has told is a bound: the primary's ISN lies before all that the client acknowledges.  Where no segment with seq C + 1
 * that acknowledged the SYN alone came through, one behind it that did may be among what waits, and the lowest is right.
 */
static void take_lowest(struct turn *t, uint32_t f)
{
	struct pair *c = pair_of(t, f);
	uint32_t at = c->held.first;
	struct tcp_options o;
	struct packet p;
	struct view v;
	unsigned port;

	while (at != HELD_NONE && !c->near_isn_sure && !pair_by_guest(c)) {
		at = held_look(t->r->held, at, &port, &p);
		if (pair_side(port) != NEAR || view_parse(&p, &v) != R_NONE || !v.tcp ||
		    (v.flags & (TCP_SYN | TCP_RST | TCP_ACK)) != TCP_ACK ||
		    c->near_isn.v - v.ack >= KNOWN_OVERTAKEN_MAX)
			continue;
		c->near_isn_known = false;
		(void)view_options(&p, &v, &o);
		half_told(c, &v, &o);
	}
}

void half_learn(struct turn *t, uint32_t f)
{
	struct pair *c = pair_of(t, f);

	take_lowest(t, f);
	(void)seqmap_learn(&c->seam.seq, NEAR, (sut_seq){ 0 }, (sut_farseq){ 0 });
	(void)seqmap_learn(&c->seam.seq, FAR, c->near_isn, c->far_isn);
	stamp_learn(c);
	count_event(t->r->env, EV_LEARNT);
	pair_known(t, f);
	pair_compare(t, f);
}

/*
 * The pool is full: gives up another flow, the one that has waited for longest.  Who must wait does so for a moment;
 * what fills the pool are answers and acknowledgements of connections that are none.
 */
static bool make_way(struct turn *t, uint32_t f)
{
	uint32_t oldest = t->r->waiting.first;

	if (oldest == FLOW_NONE || oldest == f || outbox_room_made(t->out) == 0)
		return false;
	half_give_up(t, oldest, R_STORE_FULL);
	return true;
}

void half_hold(struct turn *t, uint32_t f, const struct packet *p)
{
	struct pair *c = pair_of(t, f);
	enum reason r = held_put(t->r->held, &c->held, t->port, p);

	while (r == R_STORE_FULL && make_way(t, f))
		r = held_put(t->r->held, &c->held, t->port, p);
	if (r == R_NONE)
		t->r->env->counters->event[EV_HELD_BYTES] += packet_len(p);
	else
		count_drop(t->r->env, r);
	if (c->phase == PAIR_HALF && c->held.first != HELD_NONE)
		pair_set_waiting(t, f, true);
}

/*
 * Puts the first held frame of f into the outbox, which has room for it; one that fits is
 * copied, so that its cell is free.
 */
static struct packet *put_first(struct turn *t, uint32_t f, enum sut_side *ret_side)
{
	struct held_queue *q = &pair_of(t, f)->held;
	struct packet *p, was;
	unsigned port;
	bool fits;

	(void)held_look(t->r->held, q->first, &port, &was);
	fits = was.head_len <= OUTBOX_SLOT - PACKET_HEADROOM;
	p = outbox_make(t->out, pair_route(t->r, port), fits ? was.head_len : 0);
	if (fits) {
		memcpy(p->head, was.head, was.head_len);
		p->off = was.off;
		held_drop(t->r->held, q);
	} else {
		held_take(t->r->held, q, &port, p);
	}
	*ret_side = pair_side(port);
	return p;
}

void half_release(struct turn *t, uint32_t f)
{
	struct pair *c = pair_of(t, f);

	while (c->held.first != HELD_NONE &&
	       c->phase != PAIR_HALF) { /* one of them may begin f anew */
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
	if (!flows_live(t->r->flows, f))
		return; /* and another one has ended it */
	if (c->phase == PAIR_GIVEN_UP)
		pair_end(t, f, EV_FLOWS_CLOSED, "given up");
	else
		pair_refresh(t, f);
}

void half_give_up(struct turn *t, uint32_t f, enum reason why)
{
	pair_give_up(t, f, why);
	half_release(t, f);
}

void half_timer(struct turn *t, uint32_t f)
{
	if (pair_of(t, f)->doomed)
		half_give_up(t, f, R_NOT_CLIENT);
	else
		pair_end(t, f, EV_FLOWS_CLOSED, "handshake not finished in time");
}

void half_doom(struct turn *t, uint32_t f, bool doomed)
{
	struct pair *c = pair_of(t, f);

	if (c->doomed == doomed)
		return;
	c->doomed = doomed;
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
	struct tcp_options o;
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
	(void)view_options(p, v, &o);
	if (teacher)
		half_told(c, v, &o);
	if (teacher && c->far_isn_known && c->held.first == HELD_NONE) {
		half_learn(t, f);
		outbox_put(t->out, REPLICA_SECONDARY, p);
		known_segment(t, f, NEAR, p, v);
		return;
	}
	/* Behind what came before it: older timestamps behind newer ones are dropped (PAWS). */
	half_hold(t, f, p);
	if (teacher && c->far_isn_known) {
		half_learn(t, f);
		half_release(t, f);
		return;
	}
	if (c->early && !c->near_isn_known && v->seq == pair_rec(t, f, NEAR)->end.v)
		half_give_up(t, f, R_SYN_TFO);
	else
		half_doom(t, f, !c->near_isn_known);
}

/* Takes the primary's ISN from the teacher among what is held, if there is one. */
static void find_teacher(struct turn *t, uint32_t f)
{
	struct pair *c = pair_of(t, f);
	uint32_t at = c->held.first;
	struct packet p;
	struct view v;
	unsigned port;

	while (at != HELD_NONE && !c->near_isn_known) {
		struct tcp_options o;

		at = held_look(t->r->held, at, &port, &p);
		if (pair_side(port) != NEAR || view_parse(&p, &v) != R_NONE || !v.tcp ||
		    !teaches(c, &p, &v))
			continue;
		(void)view_options(&p, &v, &o);
		half_told(c, &v, &o);
	}
}

/* Does v acknowledge the client's SYN, its early data or not? */
static bool acks_syn(const struct turn *t, uint32_t f, const struct view *v)
{
	return v->ack == first_seq(pair_of(t, f)).v || v->ack == pair_rec(t, f, NEAR)->end.v;
}

void half_take_far_syn(struct pair *c, const struct packet *p, const struct view *v)
{
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
	c->secondary = pair_offer(&o);
	if (pair_by_guest(c))
		c->early = v->payload_len;
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
	half_take_far_syn(pair_of(t, f), p, v);
	primary_recall(t, f);
}

void half_again(struct turn *t, uint32_t f, struct packet *p, struct view *v)
{
	const struct pair old = *pair_of(t, f);
	struct segment syn = {
		.sender = NEAR,
		.flags = TCP_SYN,
		.len = 1 + old.early,
		.payload_len = old.early,
		.seq = old.track.isn[NEAR],
	};
	struct pair *c = pair_of(t, f);

	pair_reopen(t, f, pair_by_guest(&old) ? NULL : &syn);
	c->client = old.client;
	half_take_far_syn(c, p, v);
	if (!old.near_isn_known)
		return;
	c->near_isn_known = true;
	c->near_isn_sure = old.near_isn_sure;
	c->near_isn = old.near_isn;
	c->near_has_ts = old.near_has_ts;
	c->near_tsval = old.near_tsval;
	c->primary = old.primary;
	half_learn(t, f);
	known_segment(t, f, FAR, p, v);
}

/* The secondary's SYN: passes as it is, unless the rest is known. */
static void far_syn(struct turn *t, uint32_t f, struct packet *p, struct view *v)
{
	struct pair *c = pair_of(t, f);

	outbox_put(t->out, t->to, p);
	if (half_answers_pending(c, v)) {
		if (t->r->failed_over) { /* a new connection */
			count_pass(t->r->env, R_NO_FLOW);
			half_give_up(t, f, R_NO_FLOW);
			return;
		}
		half_restart(t, f, p, v);
	} else if ((v->flags & TCP_ACK) && !acks_syn(t, f, v)) {
		return;
	} else {
		half_take_far_syn(c, p, v);
	}
	find_teacher(t, f);
	if (!c->near_isn_known)
		return;
	half_learn(t, f);
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
		outbox_put(t->out, t->to, p);
		if (acks_syn(t, f, v))
			pair_end(t, f, EV_FLOWS_CLOSED, "refused by the secondary");
		return;
	}
	half_hold(t, f, p);
	if (!c->far_isn_known)
		half_give_up(t, f, R_NO_FLOW);
}

void half_segment(struct turn *t, uint32_t f, enum sut_side side, struct packet *p, struct view *v)
{
	if (pair_by_guest(pair_of(t, f)))
		guest_segment(t, f, side, p, v);
	else if (side == NEAR)
		near_segment(t, f, p, v);
	else
		far_segment(t, f, p, v);
}
