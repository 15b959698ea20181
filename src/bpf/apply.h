/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef SUT_BPF_APPLY_H
#define SUT_BPF_APPLY_H
/*
 * apply - changes the numbers and addresses of a segment as its way says.
 *
 * Owns:     the only stores to packets but for link addresses.
 * Does not: sum by hand: every change of a checksum goes through bpf_l3_csum_replace and bpf_l4_csum_replace, which know what the kernel
 *           has left for a device to finish.  The pseudo-header flag stands exactly for addresses.
 */
#include "bpf/maps.h"
#include "bpf/met.h"
#include "bpf/options.h"
#include "bpf/packet.h"

#define IP4_CSUM 10
#define IP4_SRC 12
#define IP6_SRC 8
#define TCP_CSUM 16

/* Header bytes of the packet into scratch.old and scratch.new. */
static __always_inline bool header_load(struct __sk_buff *skb, const struct pkt *p,
					struct scratch *s)
{
	__u32 n = p->doff;

	if (n < TCP_LEN || n > HEADER_MAX)
		return false;
	if (bpf_skb_load_bytes(skb, p->l4, s->old, n) < 0)
		return false;
	__builtin_memcpy(s->new, s->old, sizeof(s->new));
	return true;
}

/* Writes scratch.new back where it differs, with its checksum. */
static __always_inline bool header_store(struct __sk_buff *skb, const struct pkt *p,
					 struct scratch *s)
{
	__u32 n = p->doff & 0x3c;
	__s64 diff;

	if (n < TCP_LEN || n > HEADER_MAX)
		return false;
	diff = bpf_csum_diff((__be32 *)s->old, n, (__be32 *)s->new, n, 0);
	if (diff < 0 || bpf_skb_store_bytes(skb, p->l4, s->new, n, 0) < 0)
		return false;
	return bpf_l4_csum_replace(skb, p->l4 + TCP_CSUM, 0, (__u64)diff, 0) == 0;
}

static __always_inline void put32(__u8 *b, __u32 v)
{
	b[0] = (__u8)(v >> 24);
	b[1] = (__u8)(v >> 16);
	b[2] = (__u8)(v >> 8);
	b[3] = (__u8)v;
}

static __always_inline void set_at(struct scratch *s, __u32 at, __u32 v)
{
	s->new[at & 63] = (__u8)(v >> 24);
	s->new[(at + 1) & 63] = (__u8)(v >> 16);
	s->new[(at + 2) & 63] = (__u8)(v >> 8);
	s->new[(at + 3) & 63] = (__u8)v;
}

static __always_inline __u32 clamped(const struct way *w, __u32 tsecr)
{
	if (after(w->tsecr_lo, tsecr))
		return w->tsecr_lo;
	if (after(tsecr, w->tsecr_hi))
		return w->tsecr_hi;
	return tsecr;
}

static __always_inline __u16 scaled(__u16 window, __u8 from, __u8 to)
{
	__u64 field = (__u64)window << (from & 15) >> (to & 15);

	if (window != 0 && field == 0)
		return 1;
	return field > 0xffff ? 0xffff : (__u16)field;
}

/* seq, ack, window, in scratch.new and in p. */
static __always_inline void change_fields(struct pkt *p, const struct way *w, __u32 flags,
					  struct scratch *s)
{
	if (flags & WAY_SHIFT) {
		if (!(p->seq == 0 && (p->flags & (F_RST | F_ACK)) == (F_RST | F_ACK)))
			p->seq += w->seq;
		if (p->flags & F_ACK)
			p->ack += w->ack;
		put32(s->new + 4, p->seq);
		put32(s->new + 8, p->ack);
	}
	if ((flags & WAY_WINDOW) && !(p->flags & F_SYN)) {
		p->window = scaled(p->window, w->from_scale, w->to_scale);
		s->new[14] = (__u8)(p->window >> 8);
		s->new[15] = (__u8)p->window;
	}
}

/* Timestamps and SACK edges, in scratch.new. */
static __always_inline void change_options(const struct pkt *p, const struct way *w, __u32 flags,
					   const struct opts *o, struct scratch *s)
{
	bool ack = p->flags & F_ACK;
	__u32 shift = flags & WAY_SHIFT;

	if (o->ts) {
		__u32 ecr = get_at(s, o->ts + 4u);

		if (shift)
			set_at(s, o->ts, get_at(s, o->ts) + w->tsval);
		if (ack && shift)
			ecr += w->tsecr;
		if (ack && (flags & WAY_CLAMP))
			ecr = clamped(w, ecr);
		set_at(s, o->ts + 4u, ecr);
	}
	if (!ack || !shift || !o->sack)
		return;
	for (__u32 i = 0; i < 8; i++) {
		if (i >= 2u * o->blocks)
			break;
		set_at(s, o->sack + 4 * i, get_at(s, o->sack + 4 * i) + w->ack);
	}
}

/* Is it an IPv4 address in IPv6? */
static __always_inline bool is_mapped(const __u8 *ip)
{
	const __u32 *w = (const __u32 *)ip;

	return w[0] == 0 && w[1] == 0 && w[2] == bpf_htonl(0xffff);
}

static __always_inline bool address_set(struct __sk_buff *skb, const struct pkt *p, __u32 at,
					const __u8 *old, const __u8 *new, __u32 n, bool summed)
{
	/* IPv6 has no header checksum to even an address out in what a device has summed: the store does. */
	__u64 flags = BPF_F_INVALIDATE_HASH | (n == 16 ? BPF_F_RECOMPUTE_CSUM : 0);
	__s64 diff = bpf_csum_diff((__be32 *)old, n, (__be32 *)new, n, 0);

	if (diff < 0 || bpf_skb_store_bytes(skb, at, new, n, flags) < 0)
		return false;
	if (n == 4 && bpf_l3_csum_replace(skb, p->l3 + IP4_CSUM, 0, (__u64)diff, 0) < 0)
		return false;
	if (!summed)
		return true;
	return bpf_l4_csum_replace(skb, p->l4 + TCP_CSUM, 0, (__u64)diff, BPF_F_PSEUDO_HDR) == 0;
}

/* Writes an address of the packet's family: source (0) or destination (1). */
static __always_inline bool address_change(struct __sk_buff *skb, struct pkt *p, __u32 which,
					   const __u8 *new)
{
	__u8 *old = which ? p->key.dst : p->key.src;
	bool done;

	if (p->ip == 4)
		done = address_set(skb, p, p->l3 + IP4_SRC + 4 * which, old + 12, new + 12, 4,
				   true);
	else
		done = address_set(skb, p, p->l3 + IP6_SRC + 16 * which, old, new, 16,
				   !(which && p->routed));
	__builtin_memcpy(old, new, 16);
	return done;
}

static __always_inline void change_ports(struct pkt *p, const struct way *w, __u32 flags,
					 struct scratch *s)
{
	if (flags & WAY_SRC) {
		p->key.sport = w->new_sport;
		__builtin_memcpy(s->new, &w->new_sport, 2);
	}
	if (flags & WAY_DST) {
		p->key.dport = w->new_dport;
		__builtin_memcpy(s->new + 2, &w->new_dport, 2);
	}
}

/*
 * Makes all changes of the way; the header is in scratch.  p follows.  False: the packet could not be written (it must be
 * dropped: it may be half changed).
 */
static __always_inline bool way_apply(struct __sk_buff *skb, struct pkt *p, const struct way *w,
				      __u32 flags, const struct opts *o, struct scratch *s)
{
	if ((flags & WAY_SRC) && is_mapped(w->new_src) != (p->ip == 4))
		return false;
	if ((flags & WAY_DST) && is_mapped(w->new_dst) != (p->ip == 4))
		return false;
	change_fields(p, w, flags, s);
	change_options(p, w, flags, o, s);
	change_ports(p, w, flags, s);
	if (!header_store(skb, p, s))
		return false;
	if ((flags & WAY_SRC) && !address_change(skb, p, 0, w->new_src))
		return false;
	if ((flags & WAY_DST) && !address_change(skb, p, 1, w->new_dst))
		return false;
	return true;
}
#endif
