/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef SUT_BPF_MET_H
#define SUT_BPF_MET_H
/*
 * met - a packet that a way names: what the steps of core/plane.h share.
 *
 * Owns:     what is noted in ways, and reports.
 * Does not: decide (in.h, out.h), change bytes (apply.h).
 * Ways are changed in place, word by word: numbers first, then the flag that brings them into use.
 */
#include "bpf/maps.h"
#include "bpf/options.h"
#include "bpf/packet.h"

enum hook { FRONT, BACK_IN, BACK_OUT };

enum fate { GOES, SWALLOWED, DROPPED };

#define PENDING WAY_PENDING
/* What a host has of the connection that such a way waits for cannot be further on than this. */
#define FIRST_BYTES (1u << 20)

struct met {
	struct pkt p;
	struct opts o;
	struct scratch *s; /* the header is there */
	struct way *w, *mate; /* mate: NULL where there is none */
	struct way_key key; /* that events name */
	__u32 seq, ack; /* as the receiver reads them */
};

static __always_inline bool after(__u32 a, __u32 b)
{
	return (__s32)(a - b) > 0;
}

/* Does a segment that ends here go on from what came by of w's direction, or a little further on? */
static __always_inline bool is_near(const struct way *w, __u32 end)
{
	return (w->flags & WAY_JOIN) || end - w->expect <= WAY_NEAR;
}

/* The 32 bits at `at` of the header, wherever that is. */
static __always_inline __u32 get_at(const struct scratch *s, __u32 at)
{
	return (__u32)s->new[at & 63] << 24 | (__u32)s->new[(at + 1) & 63] << 16 |
	       (__u32)s->new[(at + 2) & 63] << 8 | s->new[(at + 3) & 63];
}

static __always_inline __u32 met_tsval(const struct met *m)
{
	return m->o.ts ? get_at(m->s, m->o.ts) : 0;
}

static __always_inline void tell(const struct met *m, __u32 kind, __u32 a, __u32 b)
{
	report(kind, m->w->id, &m->key, a, b);
}

static __always_inline void raise(struct way *w, __u32 flags)
{
	__sync_fetch_and_or(&w->flags, flags);
}

static __always_inline void lower(struct way *w, __u32 flags)
{
	__sync_fetch_and_and(&w->flags, ~flags);
}

/* Notes a bit of enum way_seen: true the first time. */
static __always_inline bool see(struct way *w, __u32 bit)
{
	return !(w->seen & bit) && !(__sync_fetch_and_or(&w->seen, bit) & bit);
}

static __always_inline void forget(struct way *w, __u32 bit)
{
	__sync_fetch_and_and(&w->seen, ~bit);
}

/* The client's direction of what a host sends under key: the mate, or the key turned round where there is none. */
static __always_inline void client_key(const struct way *w, const struct way_key *key,
				       struct way_key *ret_key)
{
	if (w->mate.dport) {
		*ret_key = w->mate;
		return;
	}
	__builtin_memcpy(ret_key->src, key->dst, 16);
	__builtin_memcpy(ret_key->dst, key->src, 16);
	ret_key->sport = key->dport;
	ret_key->dport = key->sport;
	ret_key->zero = 0;
}

static __always_inline bool keeps_seq(const struct pkt *p)
{
	return p->seq == 0 && (p->flags & (F_RST | F_ACK)) == (F_RST | F_ACK);
}

/* The numbers as they will be; once the way has been found. */
static __always_inline void met_numbers(struct met *m)
{
	bool shift = m->w->flags & WAY_SHIFT;

	m->seq = m->p.seq + (shift && !keeps_seq(&m->p) ? m->w->seq : 0);
	m->ack = m->p.ack + (shift ? m->w->ack : 0);
}

/* What user space adds to a way while packets change it; see struct plane_amend. */
static __always_inline int amend_way(struct __sk_buff *skb)
{
	struct plane_amend a;
	struct way *w;

	if (bpf_skb_load_bytes(skb, ETH_LEN, &a, sizeof(a)) < 0)
		return 1;
	w = bpf_map_lookup_elem(&ways, &a.key);
	if (!w)
		return 1;
	if (a.id)
		w->id = a.id;
	if (a.end)
		w->end = a.end;
	raise(w, a.flags);
	return 0;
}
#endif
