/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef SUT_BPF_OUT_H
#define SUT_BPF_OUT_H
/*
 * out - a segment that the host sends, at BACK_OUT: step 3 of core/plane.h.
 *
 * Owns:     what the SYN-ACK teaches, and what the host's segments show of its connection.
 * Does not: see sockets: those report themselves (sockets.h), mostly before a segment shows it.
 */
#include "bpf/met.h"

#define NOT_SUPPORTED 95 /* EOPNOTSUPP */

static __always_inline void learn_window(struct met *m)
{
	struct way *w = m->w;
	__u8 scale = m->o.wscale ? m->s->new[m->o.wscale & 63] : 0;

	w->from_scale = scale > 14 ? 14 : scale;
	w->to_scale = w->front_wscale > 14 ? 0 : w->front_wscale;
	if (w->from_scale != w->to_scale)
		raise(w, WAY_WINDOW);
	else
		lower(w, WAY_WINDOW);
}

static __always_inline void learn_all(struct met *m)
{
	struct way *w = m->w, *mate = m->mate;
	__u32 tsval = met_tsval(m);

	w->seq = w->front_seq - (m->p.seq + 1);
	w->tsval = m->o.ts ? w->front_tsval - tsval : 0;
	learn_window(m);
	raise(w, WAY_SHIFT);
	forget(w, WAY_SAW_RST);
	mate->ack = 0u - w->seq;
	mate->tsecr = 0u - w->tsval;
	mate->tsecr_lo = mate->tsecr_hi = tsval;
	mate->expect = m->p.ack;
	raise(mate, WAY_SHIFT | WAY_CLAMP);
	lower(mate, WAY_UNLEARNT);
	tell(m, WAY_EV_LEARNT, w->seq, w->tsval);
}

static __always_inline bool lacks_an_option(const struct met *m)
{
	__u8 agreed = m->mate->attrs.options;

	return ((agreed & WAY_OPT_TS) && !m->o.ts) || ((agreed & WAY_OPT_SACK) && !m->o.sack_ok) ||
	       ((agreed & WAY_OPT_WSCALE) && !m->o.wscale);
}

/* A SYN-ACK on a way that learns; the client sees none. */
static __always_inline void learn(struct met *m)
{
	struct way *w = m->w, *mate = m->mate;
	bool first;

	if (!mate || !(mate->flags & (WAY_UNLEARNT | WAY_CLAMP)) || (w->flags & WAY_MUTE))
		return;
	first = mate->flags & WAY_UNLEARNT;
	if (m->p.ack != mate->expect + (first ? 1 : 0))
		return;
	if (lacks_an_option(m)) {
		raise(w, WAY_MUTE);
		tell(m, WAY_EV_REFUSED, NOT_SUPPORTED, 0);
	} else if (first || w->seq != w->front_seq - (m->p.seq + 1)) {
		learn_all(m);
	} else if (m->o.ts && after(met_tsval(m), mate->tsecr_hi)) {
		mate->tsecr_hi = met_tsval(m);
	}
}

/* Does a segment without SYN and RST show that the host has the connection? */
static __always_inline bool shows(const struct met *m)
{
	if (m->mate->flags & WAY_EXPECT)
		return true;
	/* A bare ACK of the SYN may be what SYN-RECEIVED answers to a segment that it does not take. */
	return (m->mate->flags & WAY_CLAMP) &&
	       (m->p.payload_len || (m->p.flags & F_FIN) || m->p.ack != m->mate->expect);
}

/* Is it out of an older connection of the quad? */
static __always_inline bool is_older(const struct met *m)
{
	__u32 past = m->p.ack - m->mate->expect;

	if (!(m->p.flags & F_ACK))
		return false;
	if (m->mate->flags & WAY_UNLEARNT)
		return past != 1 || !(m->p.flags & F_RST);
	return (m->mate->flags & WAY_EXPECT) && past > FIRST_BYTES;
}

/* A reset by a host that has no connection yet. */
static __always_inline enum fate refused(struct met *m)
{
	if (m->mate->flags & WAY_CLAMP)
		raise(m->w, WAY_MUTE);
	if (see(m->w, WAY_SAW_RST))
		tell(m, WAY_EV_REFUSED, 0, 0);
	return SWALLOWED;
}

static __always_inline void saw_end(struct met *m)
{
	struct way *w = m->w;

	if (m->p.flags & F_RST) {
		if (see(w, WAY_SAW_RST))
			tell(m, WAY_EV_RST_OUT, m->seq, 0);
	} else if ((m->p.flags & F_FIN) && see(w, WAY_SAW_FIN)) {
		w->fin_end = m->seq + pkt_seg_len(&m->p);
		tell(m, WAY_EV_FIN_OUT, w->fin_end, 0);
	}
}

static __always_inline enum fate met_out(struct met *m)
{
	__u32 pending = m->mate ? m->mate->flags & PENDING : 0;
	__u8 flags = m->p.flags;

	if ((m->w->flags & WAY_LEARN) && (flags & F_SYN)) {
		if ((flags & (F_SYN | F_ACK | F_RST)) == (F_SYN | F_ACK))
			learn(m);
		return SWALLOWED;
	}
	if (pending && (flags & F_RST))
		return is_older(m) ? SWALLOWED : refused(m);
	if (pending && (pending & WAY_UNLEARNT || is_older(m))) {
		tell(m, WAY_EV_TIME_WAIT, m->p.ack, 0);
		return SWALLOWED;
	}
	if (pending && !(flags & (F_SYN | F_RST)) && shows(m)) {
		lower(m->mate, WAY_EXPECT | WAY_ADOPT | WAY_CLAMP);
		forget(m->w, WAY_SAW_RST);
		tell(m, WAY_EV_ESTABLISHED, 0, 0);
	}
	saw_end(m);
	return GOES;
}
#endif
