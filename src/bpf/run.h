/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef SUT_BPF_RUN_H
#define SUT_BPF_RUN_H
/*
 * run - one packet past one hook, in the order that core/plane.h lists.
 *
 * Owns:     the order, the counts of a way, the verdict.
 * Does not: make ways but by headers (header.h); change bytes (apply.h).
 */
#include <linux/pkt_cls.h>

#include "bpf/adopt.h"
#include "bpf/apply.h"
#include "bpf/header.h"
#include "bpf/icmp.h"
#include "bpf/in.h"
#include "bpf/met.h"
#include "bpf/out.h"

/* What the kernel of a program without the function says of an adoption: ENOSYS. */
#define NO_FUNCTION 38

enum { CHANGES = WAY_SRC | WAY_DST | WAY_SHIFT | WAY_WINDOW };

static __always_inline void account(struct met *m)
{
	see(m->w, WAY_SAW_ANY);
	m->w->last_ns = bpf_ktime_get_coarse_ns();
	__sync_fetch_and_add(&m->w->packets, 1);
	__sync_fetch_and_add(&m->w->bytes, m->p.ip_len);
}

/* What an acknowledgement says of the other direction, and to whom waits for it. */
static __always_inline void acknowledge(struct met *m)
{
	struct way *w = m->w, *mate = m->mate;

	if ((m->p.flags & (F_ACK | F_RST | F_SYN)) != F_ACK)
		return;
	if (mate && !(mate->flags & (PENDING | WAY_JOIN)) && is_near(mate, m->ack))
		mate->expect = m->ack;
	if (!(w->flags & WAY_WATCH) || after(w->end, m->ack))
		return;
	lower(w, WAY_WATCH);
	if (see(w, WAY_SAW_ACKED))
		tell(m, WAY_EV_ACKED, m->ack, 0);
}

/*
 * The segment that a way with EXPECT and ADOPT waits for, in the form that the host's TCP is to see.  False: it goes no
 * further (counted, reported).
 */
static __always_inline bool give(struct __sk_buff *skb, struct met *m, bool can_adopt)
{
	enum adoption got = ADOPT_REFUSED;
	int err = -NO_FUNCTION;

	if (can_adopt)
		got = adopt(skb, &m->p, m->w, met_tsval(m), true, &err);
	switch (got) {
	case ADOPT_THERE:
		lower(m->w, WAY_EXPECT | WAY_ADOPT);
		return true;
	case ADOPT_TRIED:
		count(WAY_N_ADOPTED);
		return true;
	case ADOPT_TIME_WAIT:
		tell(m, WAY_EV_TIME_WAIT, 0, 0);
		return false;
	default:
		tell(m, WAY_EV_REFUSED, (__u32)-err, 0);
		return false;
	}
}

/*
 * A segment that such a way does not wait for: the connection may be there already, and its socket is just about to say so.
 */
static __always_inline void look_whether_there(struct __sk_buff *skb, struct met *m, bool can_adopt)
{
	int err;

	if (can_adopt && !expected(m) && adopt(skb, &m->p, m->w, 0, false, &err) == ADOPT_THERE)
		lower(m->w, WAY_EXPECT | WAY_ADOPT);
}

static __always_inline int verdict(struct __sk_buff *skb, const struct met *m)
{
	switch (m->w->act) {
	case WAY_HOST:
		return TC_ACT_OK;
	case WAY_SEND:
		if (bpf_skb_store_bytes(skb, 0, m->w->dmac, 12, 0) < 0)
			return TC_ACT_SHOT;
		count(WAY_N_FORWARDED);
		return (int)bpf_redirect(m->w->ifindex, 0);
	default: /* the tap has it */
		return TC_ACT_SHOT;
	}
}

/* Step 5: false if the packet is of no use any more. */
static __always_inline bool change(struct __sk_buff *skb, struct met *m)
{
	__u32 flags = m->w->flags;

	if (flags & CHANGES)
		count(WAY_N_TRANSLATED);
	if (!(flags & (CHANGES | WAY_CLAMP)))
		return true;
	return way_apply(skb, &m->p, m->w, flags, &m->o, m->s);
}

/* Steps 2 to 4. */
static __always_inline enum fate judge(struct met *m, enum hook hook)
{
	enum fate fate = hook == BACK_OUT ? met_out(m) : met_in(m);

	if (fate == DROPPED)
		return fate;
	account(m);
	if (fate == GOES) {
		acknowledge(m);
		if (hook == BACK_OUT && (m->w->flags & WAY_MUTE))
			fate = SWALLOWED;
	}
	if (fate == SWALLOWED)
		count(WAY_N_SWALLOWED);
	return fate;
}

/* A packet that a way names; its header is in scratch. */
static __always_inline int known(struct __sk_buff *skb, struct met *m, enum hook hook,
				 bool can_adopt)
{
	const __u32 both = WAY_EXPECT | WAY_ADOPT;
	bool adopts;

	if (m->o.bad) {
		count(WAY_N_BAD_OPTIONS);
		return TC_ACT_SHOT;
	}
	if (m->w->act == WAY_DROP) {
		count(WAY_N_NOT_EXPECTED);
		return TC_ACT_SHOT;
	}
	if (hook == BACK_IN && (m->w->flags & both) == both)
		look_whether_there(skb, m, can_adopt);
	adopts = hook == BACK_IN && (m->w->flags & both) == both;
	m->mate = m->w->mate.dport ? bpf_map_lookup_elem(&ways, &m->w->mate) : NULL;
	met_numbers(m);
	if (judge(m, hook) != GOES)
		return TC_ACT_SHOT;
	if (!change(skb, m)) {
		count(WAY_N_NOT_EXPECTED);
		return TC_ACT_SHOT;
	}
	if (adopts && !give(skb, m, can_adopt))
		return TC_ACT_SHOT;
	return verdict(skb, m);
}

/* A segment that no way names. */
static __always_inline int unknown(const struct pkt *p, enum hook hook)
{
	const struct plane_origin_of *of;

	if (hook == BACK_OUT)
		return TC_ACT_OK;
	of = origin_at(p->key.dst, p->key.dport);
	if (hook == FRONT)
		return of ? TC_ACT_SHOT : TC_ACT_OK; /* the tap has what is to an origin */
	if (!of || !(of->flags & WAY_ORIGIN_GUARD))
		return TC_ACT_OK;
	count(WAY_N_NOT_ANNOUNCED);
	return TC_ACT_SHOT;
}

/* Looks whether a SYN opens a pair: false if it goes no further. */
static __always_inline bool syn(struct met *m)
{
	enum header_result made;

	if ((m->p.flags & (F_SYN | F_ACK)) != F_SYN || (m->w && !pair_over(m->w, &m->p)))
		return true;
	made = header_open(&m->p, &m->o, m->s);
	if (made == HEADER_DROP && !m->w)
		return false;
	if (made == HEADER_TAKEN)
		m->w = bpf_map_lookup_elem(&ways, &m->p.key);
	return true;
}

/*
 * The first fragment of a segment: nobody here can change or forward a part, and the host, which puts them together behind us, must not see what
 * its ways would keep from it.  Without the first the others are nothing.
 */
static __always_inline int fragment(const struct pkt *p, enum hook hook)
{
	const struct way *w = bpf_map_lookup_elem(&ways, &p->key);

	if (!w && (hook != FRONT || !origin_at(p->key.dst, p->key.dport)))
		return unknown(p, hook);
	if (w && hook != FRONT && w->act == WAY_HOST && !(w->flags & ~WAY_WATCH))
		return TC_ACT_OK;
	count(WAY_N_FRAGMENT);
	return TC_ACT_SHOT;
}

/* What is IP and no segment: errors about segments are user space's at a front end, and made readable for a back end. */
static __always_inline int other(struct __sk_buff *skb, const struct pkt *p, enum hook hook)
{
	if (hook == FRONT)
		return icmp_ours(skb, p) ? TC_ACT_SHOT : TC_ACT_OK;
	if (hook == BACK_IN && !icmp_in(skb, p))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

static __always_inline int run(struct __sk_buff *skb, enum hook hook, bool can_adopt)
{
	enum pkt_kind kind;
	struct met m = {};

	kind = pkt_read(skb, &m.p);
	if (kind != PKT_TCP)
		return kind == PKT_IP	      ? other(skb, &m.p, hook)
		       : kind == PKT_FRAGMENT ? fragment(&m.p, hook)
					      : TC_ACT_OK;
	m.w = bpf_map_lookup_elem(&ways, &m.p.key);
	if (!m.w && hook != BACK_IN)
		return unknown(&m.p, hook);
	m.s = scratch_get();
	if (!m.s || !header_load(skb, &m.p, m.s))
		return TC_ACT_SHOT;
	opts_read(m.s, m.p.doff, &m.o);
	if (hook == BACK_IN && !syn(&m))
		return TC_ACT_SHOT;
	if (!m.w)
		return unknown(&m.p, hook);
	if (hook == BACK_OUT)
		client_key(m.w, &m.p.key, &m.key);
	else
		m.key = m.p.key;
	return known(skb, &m, hook, can_adopt);
}
#endif
