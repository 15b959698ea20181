/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef SUT_BPF_RUN_H
#define SUT_BPF_RUN_H
/*
 * run - one packet past one hook: what its way says, in the order of plane.c.
 *
 * Owns:     pending and learning ways, what is seen and reported of a packet, the verdict.
 * Does not: make ways but by headers (header.h); change bytes (apply.h).
 * Ways are changed in place, word by word: numbers first, then the flag that brings them into use.
 */
#include <linux/pkt_cls.h>

#include "bpf/adopt.h"
#include "bpf/apply.h"
#include "bpf/header.h"
#include "bpf/maps.h"
#include "bpf/options.h"
#include "bpf/packet.h"
#include "bpf/tap.h"

enum hook { FRONT, BACK_IN, BACK_OUT };

/* What a packet met: the arguments of all that follows. */
struct met {
	struct pkt p;
	struct opts o;
	struct scratch *s;
	struct way *w;
	__u32 flags; /* the way's, when the packet came */
	enum hook hook;
	bool can_adopt;
};

enum {
	CHANGES = WAY_SRC | WAY_DST | WAY_SHIFT | WAY_WINDOW | WAY_CLAMP,
	READS = WAY_SHIFT | WAY_CLAMP | WAY_LEARN | WAY_ADOPT,
};

static __always_inline const struct way_key *client_key(const struct way *w, const struct pkt *p,
							enum hook hook)
{
	return hook == BACK_OUT && w->mate.dport ? &w->mate : &p->key;
}

/* Notes bits of enum way_seen: those that are new. */
static __always_inline __u32 see(struct way *w, __u32 bits)
{
	if ((w->seen & bits) == bits)
		return 0;
	return bits & ~__sync_fetch_and_or(&w->seen, bits);
}

static __always_inline void touch(struct way *w, const struct pkt *p)
{
	w->last_ns = bpf_ktime_get_coarse_ns();
	__sync_fetch_and_add(&w->packets, 1);
	__sync_fetch_and_add(&w->bytes, p->ip_len);
}

/* FIN, RST, SYN and what is watched for, in the packet as it goes on. */
static __always_inline void watch(struct met *m, const struct way_key *key)
{
	struct way *w = m->w;
	const struct pkt *p = &m->p;
	bool out = m->hook == BACK_OUT;

	see(w, WAY_SAW_ANY);
	if (!out && (p->flags & (F_SYN | F_ACK)) == F_SYN && !(m->flags & WAY_UNLEARNT) &&
	    see(w, WAY_SAW_SYN))
		report(WAY_EV_SYN_IN, w->id, key, p->seq, 0);
	if (p->flags & F_FIN) {
		w->fin_end = p->seq + pkt_seg_len(p);
		if (see(w, WAY_SAW_FIN))
			report(out ? WAY_EV_FIN_OUT : WAY_EV_FIN_IN, w->id, key, w->fin_end, 0);
	}
	if ((p->flags & F_RST) && see(w, WAY_SAW_RST))
		report(out ? WAY_EV_RST_OUT : WAY_EV_RST_IN, w->id, key, p->seq, 0);
	if ((m->flags & WAY_WATCH) && (p->flags & (F_ACK | F_RST)) == F_ACK &&
	    (__s32)(p->ack - w->end) >= 0 && see(w, WAY_SAW_ACKED))
		report(WAY_EV_ACKED, w->id, key, p->ack, 0);
}

/* The additions of a pair out of the host's SYN-ACK; the second and later ones move the upper bound of TSecr. */
static __always_inline void learn(struct met *m)
{
	struct way *w = m->w, *mate = bpf_map_lookup_elem(&ways, &w->mate);
	__u32 tsval = m->o.ts ? get_at(m->s, m->o.ts) : 0;
	__u32 host_seq = m->p.seq + 1;

	if (!mate)
		return;
	if (m->o.ts)
		mate->tsecr_hi = tsval;
	if (!(mate->flags & WAY_UNLEARNT))
		return;
	w->seq = w->front_seq - host_seq;
	w->tsval = m->o.ts ? w->front_tsval + 1 - tsval : 0;
	w->from_scale = m->o.wscale ? m->s->new[m->o.wscale & 63] : 0;
	w->to_scale = w->front_wscale;
	mate->ack = 0u - w->seq;
	mate->tsecr = 0u - w->tsval;
	mate->tsecr_lo = tsval;
	__sync_fetch_and_or(&w->flags, WAY_SHIFT | (w->from_scale != w->to_scale ? WAY_WINDOW : 0));
	__sync_fetch_and_or(&mate->flags, WAY_SHIFT | (m->o.ts ? WAY_CLAMP : 0));
	__sync_fetch_and_and(&mate->flags, ~(__u32)WAY_UNLEARNT);
	report(WAY_EV_LEARNT, w->id, &w->mate, w->seq, w->tsval);
}

/* The host's first segment behind its SYN-ACK: its socket has left SYN-RECEIVED. */
static __always_inline void unclamp(const struct met *m)
{
	struct way *mate = bpf_map_lookup_elem(&ways, &m->w->mate);

	if (mate && (mate->flags & WAY_CLAMP))
		__sync_fetch_and_and(&mate->flags, ~(__u32)WAY_CLAMP);
}

static __always_inline bool expected(const struct met *m)
{
	return (m->p.flags & (F_SYN | F_RST | F_ACK)) == F_ACK && m->p.seq == m->w->expect;
}

/* A way with WAY_ADOPT: true if the packet goes on. */
static __always_inline bool try_adopt(struct __sk_buff *skb, struct met *m)
{
	__u32 tsval = m->o.ts ? get_at(m->s, m->o.ts) : 0;
	bool may_try = expected(m);
	int err = 0;

	switch (adopt(skb, &m->p, m->w, tsval, may_try, &err)) {
	case ADOPT_THERE:
		__sync_fetch_and_and(&m->w->flags, ~(__u32)(WAY_ADOPT | WAY_EXPECT));
		return true;
	case ADOPT_TRIED:
		count(may_try ? WAY_N_ADOPTED : WAY_N_NOT_EXPECTED);
		return may_try;
	case ADOPT_TIME_WAIT:
		report(WAY_EV_TIME_WAIT, m->w->id, &m->p.key, 0, 0);
		break;
	case ADOPT_REFUSED:
		report(WAY_EV_REFUSED, m->w->id, &m->p.key, (__u32)-err, 0);
		break;
	}
	count(WAY_N_NOT_EXPECTED);
	return false;
}

/* May the packet go on?  What may not is counted. */
static __always_inline bool admit(struct met *m)
{
	if (m->flags & WAY_MUTE) {
		count(WAY_N_SWALLOWED);
		return false;
	}
	if ((m->flags & WAY_EXPECT) && !(m->flags & WAY_ADOPT)) {
		if (!expected(m)) {
			count(WAY_N_NOT_EXPECTED);
			return false;
		}
		__sync_fetch_and_and(&m->w->flags, ~(__u32)WAY_EXPECT);
	}
	if ((m->flags & WAY_UNLEARNT) && (m->p.flags & (F_SYN | F_ACK)) != F_SYN) {
		count(WAY_N_NOT_EXPECTED);
		return false;
	}
	if (m->flags & WAY_LEARN) {
		if ((m->p.flags & (F_SYN | F_ACK)) == (F_SYN | F_ACK)) {
			learn(m);
			count(WAY_N_SWALLOWED);
			return false;
		}
		unclamp(m);
	}
	return true;
}

/* Reads the header where the way needs it: false if it is malformed. */
static __always_inline bool prepare(struct __sk_buff *skb, struct met *m)
{
	if (!(m->flags & (CHANGES | READS)))
		return true;
	if (!header_load(skb, &m->p, m->s))
		return false;
	if (m->flags & READS)
		opts_read(m->s, m->p.doff, &m->o);
	return !m->o.bad;
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
	default: /* dropped, or the tap has it */
		return TC_ACT_SHOT;
	}
}

static __always_inline int known(struct __sk_buff *skb, struct met *m)
{
	if (!prepare(skb, m)) {
		count(WAY_N_BAD_OPTIONS);
		return TC_ACT_SHOT;
	}
	touch(m->w, &m->p);
	if (!admit(m))
		return TC_ACT_SHOT;
	const struct way_key key = *client_key(m->w, &m->p, m->hook);
	if (m->flags & CHANGES) {
		if (!way_apply(skb, &m->p, m->w, m->flags, &m->o, m->s))
			return TC_ACT_SHOT;
		count(WAY_N_TRANSLATED);
	}
	if (m->flags & WAY_ADOPT) {
		if (!m->can_adopt) {
			report(WAY_EV_REFUSED, m->w->id, &key, 38, 0);
			return TC_ACT_SHOT;
		}
		if (!try_adopt(skb, m))
			return TC_ACT_SHOT;
	}
	watch(m, &key);
	return verdict(skb, m);
}

/* A segment that no way names. */
static __always_inline int unknown(struct met *m)
{
	const struct plane_origin_of *of;

	if (m->hook == BACK_OUT)
		return TC_ACT_OK;
	of = origin_at(m->p.key.dst, m->p.key.dport);
	if (m->hook == FRONT)
		return of ? TC_ACT_SHOT : TC_ACT_OK; /* the tap has what is to an origin */
	if (!of || !(of->flags & WAY_ORIGIN_GUARD))
		return TC_ACT_OK;
	count(WAY_N_NOT_ANNOUNCED);
	return TC_ACT_SHOT;
}

/* A SYN with a header: may make the pair of m.  False: dropped, counted. */
static __always_inline bool syn(struct __sk_buff *skb, struct met *m)
{
	if (m->w && !((m->flags & WAY_OPEN) && m->w->expect != m->p.seq))
		return true;
	if (!header_load(skb, &m->p, m->s))
		return true;
	opts_read(m->s, m->p.doff, &m->o);
	if (m->o.bad)
		return true;
	switch (header_open(&m->p, &m->o, m->s)) {
	case HEADER_TAKEN:
		m->w = bpf_map_lookup_elem(&ways, &m->p.key);
		m->flags = m->w ? m->w->flags : 0;
		return m->w != NULL;
	case HEADER_BAD:
		count(WAY_N_BAD_MAC);
		return false;
	case HEADER_FULL:
		count(WAY_N_NO_ROOM);
		return false;
	case HEADER_NONE:
		break;
	}
	return true;
}

static __always_inline int run(struct __sk_buff *skb, enum hook hook, bool can_adopt)
{
	struct met m = { .hook = hook, .can_adopt = can_adopt };
	enum pkt_kind kind;

	kind = pkt_read(skb, &m.p);
	if (kind != PKT_TCP)
		return kind == PKT_IP && hook == FRONT && icmp_ours(skb, &m.p) ? TC_ACT_SHOT
									       : TC_ACT_OK;
	m.s = scratch_get();
	if (!m.s)
		return TC_ACT_OK;
	m.w = bpf_map_lookup_elem(&ways, &m.p.key);
	m.flags = m.w ? m.w->flags : 0;
	if (hook == BACK_IN && (m.p.flags & (F_SYN | F_ACK)) == F_SYN && !syn(skb, &m))
		return TC_ACT_SHOT;
	return m.w ? known(skb, &m) : unknown(&m);
}
#endif
