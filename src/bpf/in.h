/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef SUT_BPF_IN_H
#define SUT_BPF_IN_H
/*
 * in - a segment on its way to a host, at FRONT and BACK_IN: step 2 of core/plane.h.
 *
 * Owns:     `expect` of the client's way, and what is seen of its segments.
 * Does not: adopt (adopt.h): that comes last, when the packet has its final form.
 */
#include "bpf/met.h"

/* What a client's SYN offers, for the SYN-ACK to be held against. */
static __always_inline __u8 offered(const struct opts *o)
{
	return (__u8)((o->ts ? WAY_OPT_TS : 0) | (o->sack_ok ? WAY_OPT_SACK : 0) |
		      (o->wscale ? WAY_OPT_WSCALE : 0));
}

static __always_inline bool expected(const struct met *m)
{
	return (m->p.flags & (F_SYN | F_RST | F_ACK)) == F_ACK && m->p.seq == m->w->expect;
}

/* Segments to a host that has no connection yet: false, if it is not to see this one. */
static __always_inline bool in_pending(struct met *m)
{
	struct way *w = m->w;
	__u8 kind = m->p.flags & (F_SYN | F_RST | F_ACK | F_FIN);

	if (w->flags & WAY_UNLEARNT) {
		if (kind != F_SYN || m->p.seq != w->expect ||
		    (m->mate && m->mate->flags & WAY_MUTE)) /* given up: nothing is to begin */
			return false;
		w->attrs.options = offered(&m->o);
		return true;
	}
	return !(w->flags & WAY_EXPECT) || expected(m);
}

/* Moves `expect` behind a segment that goes on from there, or from a little further on. */
static __always_inline void follow(struct met *m, __u32 end)
{
	struct way *w = m->w;

	if ((m->p.flags & (F_SYN | F_RST)) || (w->flags & PENDING) || !is_near(w, end))
		return;
	w->expect = end;
	if (w->flags & WAY_JOIN)
		lower(w, WAY_JOIN);
}

/* Both sides have ended, or the host has by a reset: whatever it answers a SYN now, the front end would not know of. */
static __always_inline bool is_over(const struct met *m)
{
	const struct way *w = m->w, *mate = m->mate;

	return mate && !(w->flags & PENDING) &&
	       ((mate->seen & WAY_SAW_RST) || (w->seen & mate->seen & WAY_SAW_FIN));
}

/* May what was told be told once more? */
static __always_inline bool again(struct way *w)
{
	if (w->repeats >= WAY_REPEATS)
		return false;
	w->repeats++;
	return true;
}

static __always_inline enum fate met_in(struct met *m)
{
	struct way *w = m->w;
	__u8 flags = m->p.flags;
	bool syn = (flags & (F_SYN | F_ACK)) == F_SYN;
	__u32 end = m->p.seq + pkt_seg_len(&m->p);

	if (!in_pending(m)) {
		count(WAY_N_NOT_EXPECTED);
		return DROPPED;
	}
	/* Where a side has ended each one may open the quad anew. */
	if (syn && !(w->flags & WAY_UNLEARNT) &&
	    (see(w, WAY_SAW_SYN) || (w->seen & (WAY_SAW_FIN | WAY_SAW_RST) && again(w))))
		tell(m, WAY_EV_SYN_IN, m->seq, 0);
	if (syn && is_over(m)) {
		count(WAY_N_NOT_EXPECTED);
		return DROPPED;
	}
	if (flags & F_RST) {
		bool exact = m->p.seq == w->expect && !(w->flags & WAY_JOIN);

		/* A forged one must not use up the report of the client's own. */
		if (see(w, WAY_SAW_RST) || (exact && again(w)))
			tell(m, WAY_EV_RST_IN, m->seq, exact);
	} else if ((flags & F_FIN) && !syn && is_near(w, end) && see(w, WAY_SAW_FIN)) {
		w->fin_end = m->seq + pkt_seg_len(&m->p);
		tell(m, WAY_EV_FIN_IN, w->fin_end, 0);
	}
	follow(m, end);
	return GOES;
}
#endif
