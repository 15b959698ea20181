/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef SUT_BPF_ICMP_H
#define SUT_BPF_ICMP_H
/*
 * icmp - ICMP errors about segments of connections that have ways.
 *
 * Owns:     whom a quoted segment belongs to, and how a host has to read the quote.
 * Does not: forward: at a front end user space has them (tap.h), and sends them on.
 * A host looks whether the quoted seq is one that it has sent.  So a back end whose stream is shifted must read its own number there, and its own
 * address.  Sums within the quote are left alone: nobody looks at them.
 */
#include "bpf/apply.h"
#include "bpf/maps.h"
#include "bpf/packet.h"

#define ICMP_CSUM 2

struct quote {
	struct way_key key; /* of the client's direction: the quoted segment went to the client */
	__u32 ip, tcp; /* offsets of the quoted headers */
};

static __always_inline bool quote_read4(struct __sk_buff *skb, const struct pkt *p, __u8 type,
					struct quote *ret_q)
{
	__u8 h[IP4_LEN];

	if (p->proto != P_ICMP || !(type == 3 || type == 11 || type == 12) ||
	    bpf_skb_load_bytes(skb, ret_q->ip, h, sizeof(h)) < 0)
		return false;
	if (h[0] >> 4 != 4 || h[9] != P_TCP || ((h[6] & 0x1f) | h[7]))
		return false;
	map4(ret_q->key.dst, h + 12);
	map4(ret_q->key.src, h + 16);
	ret_q->tcp = ret_q->ip + (h[0] & 15u) * 4;
	return true;
}

static __always_inline bool quote_read6(struct __sk_buff *skb, const struct pkt *p, __u8 type,
					struct quote *ret_q)
{
	__u8 h[IP6_LEN];

	if (p->proto != P_ICMP6 || type < 1 || type > 4 ||
	    bpf_skb_load_bytes(skb, ret_q->ip, h, sizeof(h)) < 0)
		return false;
	if (h[0] >> 4 != 6 || h[6] != P_TCP)
		return false;
	__builtin_memcpy(ret_q->key.dst, h + 8, 16);
	__builtin_memcpy(ret_q->key.src, h + 24, 16);
	ret_q->tcp = ret_q->ip + IP6_LEN;
	return true;
}

/* Reads what the error in p quotes: false if it is none, or quotes no TCP. */
static __always_inline bool quote_read(struct __sk_buff *skb, const struct pkt *p,
				       struct quote *ret_q)
{
	__u16 ports[2];
	__u8 type;

	__builtin_memset(ret_q, 0, sizeof(*ret_q));
	ret_q->ip = p->l4 + ICMP_LEN;
	if (bpf_skb_load_bytes(skb, p->l4, &type, 1) < 0)
		return false;
	if (!(p->ip == 4 ? quote_read4(skb, p, type, ret_q) : quote_read6(skb, p, type, ret_q)))
		return false;
	if (bpf_skb_load_bytes(skb, ret_q->tcp, ports, sizeof(ports)) < 0)
		return false;
	ret_q->key.dport = ports[0];
	ret_q->key.sport = ports[1];
	return true;
}

/* Is it an error about a segment of an origin, or of a way of ours? */
static __always_inline bool icmp_ours(struct __sk_buff *skb, const struct pkt *p)
{
	struct quote q;

	if (!quote_read(skb, p, &q))
		return false;
	return origin_at(q.key.dst, q.key.dport) || bpf_map_lookup_elem(&ways, &q.key);
}

/* Replaces n (4 or 16) bytes of the ICMP message. */
static __always_inline bool icmp_set(struct __sk_buff *skb, const struct pkt *p, __u32 at,
				     const void *old, const void *new, __u32 n)
{
	__s64 diff = bpf_csum_diff((__be32 *)old, n, (__be32 *)new, n, 0);

	if (diff < 0 || bpf_skb_store_bytes(skb, at, new, n, 0) < 0)
		return false;
	return bpf_l4_csum_replace(skb, p->l4 + ICMP_CSUM, 0, (__u64)diff, 0) == 0;
}

/* To the host's own address, quoting a segment that it sent from there. */
static __always_inline bool icmp_readdress(struct __sk_buff *skb, const struct pkt *p,
					   const struct quote *q, const struct way *w)
{
	__be16 ports[2], host[2];
	__s64 diff;

	if (is_mapped(w->new_dst) != (p->ip == 4))
		return false;
	if (bpf_skb_load_bytes(skb, q->tcp, ports, sizeof(ports)) < 0)
		return false;
	host[0] = w->new_dport;
	host[1] = ports[1];
	if (!icmp_set(skb, p, q->tcp, ports, host, 4))
		return false;
	if (p->ip == 4) {
		if (!icmp_set(skb, p, q->ip + IP4_SRC, p->key.dst + 12, w->new_dst + 12, 4))
			return false;
		diff = bpf_csum_diff((__be32 *)(p->key.dst + 12), 4, (__be32 *)(w->new_dst + 12), 4,
				     0);
		if (bpf_skb_store_bytes(skb, p->l3 + IP4_SRC + 4, w->new_dst + 12, 4,
					BPF_F_INVALIDATE_HASH) < 0)
			return false;
		return bpf_l3_csum_replace(skb, p->l3 + IP4_CSUM, 0, (__u64)diff, 0) == 0;
	}
	if (!icmp_set(skb, p, q->ip + IP6_SRC, p->key.dst, w->new_dst, 16))
		return false;
	diff = bpf_csum_diff((__be32 *)p->key.dst, 16, (__be32 *)w->new_dst, 16, 0);
	if (bpf_skb_store_bytes(skb, p->l3 + IP6_SRC + 16, w->new_dst, 16,
				BPF_F_INVALIDATE_HASH | BPF_F_RECOMPUTE_CSUM) < 0)
		return false;
	return bpf_l4_csum_replace(skb, p->l4 + ICMP_CSUM, 0, (__u64)diff, BPF_F_PSEUDO_HDR) == 0;
}

/* An error on its way to a back end's TCP: false if it cannot be made readable for it. */
static __always_inline bool icmp_in(struct __sk_buff *skb, const struct pkt *p)
{
	const struct way *w;
	__be32 old, new;
	struct quote q;

	if (!quote_read(skb, p, &q))
		return true;
	w = bpf_map_lookup_elem(&ways, &q.key);
	if (!w || !(w->flags & WAY_SHIFT))
		return true;
	if (bpf_skb_load_bytes(skb, q.tcp + 4, &old, sizeof(old)) < 0)
		return true;
	new = bpf_htonl(bpf_ntohl(old) + w->ack);
	if (!icmp_set(skb, p, q.tcp + 4, &old, &new, 4))
		return false;
	if ((w->flags & WAY_DST) && !icmp_readdress(skb, p, &q, w))
		return false;
	count(WAY_N_TRANSLATED);
	return true;
}
#endif
