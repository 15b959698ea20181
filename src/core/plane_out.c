/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The host's own TCP counts from an ISN and a clock of its own; the client goes on with the front end's.  The SYN-ACK has both
 * of the host's numbers, the way has the front end's, so one segment teaches the additions of both directions, and the client must not see it.
 * Until the host is out of SYN-RECEIVED it may send the SYN-ACK again, from a new ISN even, if it forgot the first: nothing of its stream
 * has reached the client by then, so the new one is learnt as the first was.
 *
 * What it sends while it cannot have the connection is not meant for the client: a reset to the SYN (nobody listens, or the
 * queue is full), or a segment out of an older connection of the same quad, which it keeps in TIME-WAIT, or whose end it has not heard of.
 */
#include <errno.h>

#include "core/plane_inside.h"

static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static void learn_window(struct way *w, const struct tcp_options *o)
{
	w->from_scale = o->present & OPT_WSCALE ? o->wscale : 0;
	w->to_scale = w->front_wscale > TCP_WSCALE_MAX ? 0 : w->front_wscale;
	w->flags &= ~(uint32_t)WAY_WINDOW;
	if (w->from_scale != w->to_scale)
		w->flags |= WAY_WINDOW;
}

static void learn_all(struct pass *x)
{
	struct way *w = &x->s->w, *m = &x->mate->w;
	bool ts = x->o.present & OPT_TS;

	w->seq = w->front_seq - (x->v->seq + 1);
	w->tsval = ts ? w->front_tsval - x->o.tsval : 0;
	w->flags |= WAY_SHIFT;
	w->seen &= ~(uint32_t)WAY_SAW_RST;
	learn_window(w, &x->o);
	m->ack = 0u - w->seq;
	m->tsecr = 0u - w->tsval;
	m->tsecr_lo = m->tsecr_hi = ts ? x->o.tsval : 0;
	m->expect = x->v->ack;
	m->flags &= ~(uint32_t)WAY_UNLEARNT;
	m->flags |= WAY_SHIFT | WAY_CLAMP;
	plane_tell(x, WAY_EV_LEARNT, w->seq, w->tsval);
}

static bool lacks_an_option(const struct pass *x)
{
	uint8_t agreed = x->mate->w.attrs.options;
	uint16_t has = x->o.present;

	return ((agreed & WAY_OPT_TS) && !(has & OPT_TS)) ||
	       ((agreed & WAY_OPT_SACK) && !(has & OPT_SACK_PERMITTED)) ||
	       ((agreed & WAY_OPT_WSCALE) && !(has & OPT_WSCALE));
}

/* A SYN-ACK on a way that learns; the client sees none. */
static void learn(struct pass *x)
{
	struct way *w = &x->s->w, *m = x->mate ? &x->mate->w : NULL;
	bool first;

	if (!m || !(m->flags & (WAY_UNLEARNT | WAY_CLAMP)) || (w->flags & WAY_MUTE))
		return;
	first = m->flags & WAY_UNLEARNT;
	if (x->v->ack != m->expect + first)
		return;
	if (lacks_an_option(x)) {
		w->flags |= WAY_MUTE;
		plane_tell(x, WAY_EV_REFUSED, EOPNOTSUPP, 0);
	} else if (first || w->seq != w->front_seq - (x->v->seq + 1)) {
		learn_all(x);
	} else if ((x->o.present & OPT_TS) && after(x->o.tsval, m->tsecr_hi)) {
		m->tsecr_hi = x->o.tsval;
	}
}

/* Does a segment without SYN and RST show that the host has the connection? */
static bool shows(const struct pass *x)
{
	const struct way *m = &x->mate->w;

	if (m->flags & WAY_EXPECT)
		return true;
	/* A bare ACK of the SYN may be what SYN-RECEIVED answers to a segment that it does not take. */
	return (m->flags & WAY_CLAMP) &&
	       (x->v->payload_len || (x->v->flags & TCP_FIN) || x->v->ack != m->expect);
}

static void established(struct pass *x)
{
	x->mate->w.flags &= ~(uint32_t)(WAY_EXPECT | WAY_ADOPT | WAY_CLAMP);
	x->s->w.seen &= ~(uint32_t)WAY_SAW_RST;
	plane_tell(x, WAY_EV_ESTABLISHED, 0, 0);
}

/* What the host has of the connection that mate waits for cannot be further on than this. */
#define FIRST_BYTES (1u << 20)

/* Is it out of an older connection of the quad? */
static bool is_older(const struct pass *x)
{
	const struct way *m = &x->mate->w;
	uint32_t past = x->v->ack - m->expect;

	if (!(x->v->flags & TCP_ACK))
		return false;
	if (m->flags & WAY_UNLEARNT)
		return past != 1 || !(x->v->flags & TCP_RST);
	return (m->flags & WAY_EXPECT) && past > FIRST_BYTES;
}

/* A reset by a host that has no connection yet. */
static enum pass_fate refused(struct pass *x)
{
	struct way *w = &x->s->w;

	if (x->mate->w.flags & WAY_CLAMP)
		w->flags |= WAY_MUTE;
	if (!(w->seen & WAY_SAW_RST))
		plane_tell(x, WAY_EV_REFUSED, 0, 0);
	w->seen |= WAY_SAW_RST;
	return PASS_SWALLOWED;
}

static void saw_end(struct pass *x)
{
	struct way *w = &x->s->w;
	uint32_t seq = pass_seq(x);

	if (x->v->flags & TCP_RST) {
		if (!(w->seen & WAY_SAW_RST))
			plane_tell(x, WAY_EV_RST_OUT, seq, 0);
		w->seen |= WAY_SAW_RST;
	} else if ((x->v->flags & TCP_FIN) && !(w->seen & WAY_SAW_FIN)) {
		w->seen |= WAY_SAW_FIN;
		w->fin_end = seq + view_seg_len(x->v);
		plane_tell(x, WAY_EV_FIN_OUT, w->fin_end, 0);
	}
}

enum pass_fate plane_out(struct pass *x)
{
	uint32_t pending = x->mate ? x->mate->w.flags & WAY_PENDING : 0;
	uint8_t flags = x->v->flags;

	if ((x->s->w.flags & WAY_LEARN) && (flags & TCP_SYN)) {
		if ((flags & (TCP_SYN | TCP_ACK | TCP_RST)) == (TCP_SYN | TCP_ACK))
			learn(x);
		return PASS_SWALLOWED;
	}
	if (pending && (flags & TCP_RST))
		return is_older(x) ? PASS_SWALLOWED : refused(x);
	if (pending && (pending & WAY_UNLEARNT || is_older(x))) {
		plane_tell(x, WAY_EV_TIME_WAIT, x->v->ack, 0);
		return PASS_SWALLOWED;
	}
	if (pending && !(flags & (TCP_SYN | TCP_RST)) && shows(x))
		established(x);
	saw_end(x);
	return PASS_GOES;
}
