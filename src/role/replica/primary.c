/* SPDX-License-Identifier: MIT */
#include "role/replica/primary.h"

#include "core/segment.h"
#include "role/replica/guest.h"
#include "role/replica/half.h"
#include "role/replica/known.h"
#include "role/replica/stamp.h"

/*
 * Theory of operation
 *
 * A SYN or SYN-ACK of the primary settles what the client's segments only let one infer: P, and
 * the primary's clock at its first SYN.  It may come before or after the secondary's, and after
 * the client's first ACK, for it travels another way.
 *
 *  - Before P is known: told.  If S is known too, what waits goes on; else the secondary's SYN
 *    will leave translated.
 *  - P is known, and is the same: nothing but that it is sure now.
 *  - P lies before what the client's ACK taught: that was not the first one, put right
 *    (known_correct()).
 *  - The SYN is not known yet, or only the one before it on these ports: remembered until it comes (ahead.h).
 *  - Any other P is counted and changes nothing: a connection to come on these ports, or a
 *    primary that contradicts its own client.
 *
 * All its segments raise the floor of timestamps, for the failover, and the end of what it has
 * sent, for a checkpoint.
 */

/* Does the primary's SYN-ACK v answer the SYN of the connection that c is? */
static bool answers(const struct pair *c, const struct view *v)
{
	uint32_t first = c->track.isn[NEAR].v + 1;

	return pair_by_guest(c) || v->ack == first || v->ack == first + c->early;
}

static void take(struct pair *c, const struct view *v, const struct tcp_options *o)
{
	bool again = c->near_isn_sure && c->near_isn.v == v->seq;

	c->near_isn_known = c->near_isn_sure = true;
	c->near_isn = (sut_seq){ v->seq };
	c->primary = pair_offer(o);
	c->primary_end = seq_add(c->near_isn, view_seg_len(v));
	c->primary_end_known = true;
	if (again)
		return;
	c->near_has_ts = o->present & OPT_TS;
	c->near_tsval = c->near_has_ts ? o->tsval : 0;
}

static void half(struct turn *t, uint32_t f, const struct view *v, const struct tcp_options *o)
{
	struct pair *c = pair_of(t, f);

	take(c, v, o);
	if (c->far_isn_known) {
		half_learn(t, f);
		half_release(t, f);
	} else if (!pair_by_guest(c)) {
		half_doom(t, f, false);
	}
}

static bool contradicted(struct turn *t, uint32_t f, const struct view *v)
{
	struct pair *c = pair_of(t, f);

	if (!c->near_isn_sure && known_correct(t, f, v->seq)) {
		c->near_isn_sure = true;
		return true;
	}
	count_event(t->r->env, EV_CONTRADICTED);
	return false;
}

/* A SYN or SYN-ACK for a flow whose shift is known: false if it contradicts. */
static bool known(struct turn *t, uint32_t f, const struct view *v, const struct tcp_options *o)
{
	struct pair *c = pair_of(t, f);

	if (seqmap_knows(&c->seam.seq, FAR) && (c->track.isn_known & (1u << FAR)) &&
	    c->track.isn[FAR].v != v->seq) {
		return contradicted(t, f, v);
	}
	c->near_isn_sure = true;
	c->primary = pair_offer(o);
	pair_compare(t, f);
	return true;
}

/* Does the primary's SYN v begin another connection on the ports of f? */
static bool is_new(const struct pair *c, const struct view *v)
{
	if ((v->flags & TCP_ACK) || (c->near_isn_known && c->near_isn.v == v->seq))
		return false; /* the latter: a late copy */
	return pair_is_closed(c) ||
	       (pair_by_guest(c) && c->phase == PAIR_KNOWN && c->track.state == TRACK_SYN_SENT &&
		c->track.isn[FAR].v != v->seq);
}

/* False: it is of another connection. */
static bool syn(struct turn *t, uint32_t f, const struct view *v, const struct tcp_options *o)
{
	struct pair *c = pair_of(t, f);

	if ((v->flags & TCP_ACK) && !answers(c, v)) {
		ahead_put(t->r->ahead, &pair_rec(t, f, FAR)->key, v, o, t->now);
		return false;
	}
	if (is_new(c, v))
		pair_reopen(t, f, NULL);
	if (c->phase == PAIR_HALF)
		half(t, f, v, o);
	else if (c->phase == PAIR_KNOWN)
		return known(t, f, v, o);
	return true;
}

static void raise_floor(struct pair *c, const struct tcp_options *o)
{
	if (!(o->present & OPT_TS))
		return;
	if (!c->floor_known)
		c->floor = o->tsval;
	c->floor_known = true;
	stamp_edge(&c->floor, o->tsval);
}

/* Has v, no SYN, numbers that can be of f? */
static bool is_ours(struct turn *t, uint32_t f, const struct view *v)
{
	const struct pair *c = pair_of(t, f);
	bool known = c->phase == PAIR_KNOWN && pair_far_seen(c);

	if (track_event_of(v->flags) == TE_NONE || seam_keeps_seq(v->flags, v->seq))
		return false;
	return (c->primary_end_known && known_near_to(v->seq, c->primary_end)) ||
	       (known && known_near_to(v->seq, pair_rec(t, f, FAR)->end));
}

static void raise_end(struct pair *c, const struct view *v)
{
	sut_seq end = { v->seq + view_seg_len(v) };

	if (!c->primary_end_known)
		c->primary_end = end;
	c->primary_end_known = true;
	flow_edge(&c->primary_end, end.v);
}

void primary_segment(struct turn *t, uint32_t f, const struct packet *p, const struct view *v)
{
	enum track_event ev = track_event_of(v->flags);
	struct pair *c = pair_of(t, f);
	struct tcp_options o;

	c->restored = false;
	(void)view_options(p, v, &o);
	if (ev == TE_SYN || ev == TE_SYNACK) {
		if (!syn(t, f, v, &o))
			return;
	} else if (is_ours(t, f, v)) {
		raise_end(c, v);
	} else {
		return;
	}
	raise_floor(c, &o);
}

void primary_recall(struct turn *t, uint32_t f)
{
	const struct ahead_synack *s = ahead_get(t->r->ahead, &pair_rec(t, f, FAR)->key, t->now);
	struct pair *c = pair_of(t, f);
	struct view v = { 0 };

	if (!s)
		return;
	v.seq = s->seq;
	v.ack = s->ack;
	v.flags = s->flags;
	v.payload_len = s->payload_len;
	if (!answers(c, &v))
		return;
	take(c, &v, &s->o);
	raise_floor(c, &s->o);
}

void primary_stranger(struct turn *t, const struct flow_key *key, const struct packet *p,
		      const struct view *v)
{
	enum track_event ev = track_event_of(v->flags);
	struct tcp_options o;
	uint32_t f;

	if (ev == TE_SYN && guest_open(t, key, p, v, &f) == R_NONE) {
		primary_segment(t, f, p, v);
	} else if (ev == TE_SYNACK) {
		(void)view_options(p, v, &o);
		ahead_put(t->r->ahead, key, v, &o, t->now);
	}
}
