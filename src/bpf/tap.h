/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef SUT_BPF_TAP_H
#define SUT_BPF_TAP_H
/*
 * tap - which packets user space sees on a front end: those that no way forwards and that are for it.
 *
 * Owns:     nothing.
 * Does not: change or stop packets: the program `front` drops exactly what is seen here, so that the host's own TCP stays silent.
 */
#include "bpf/maps.h"
#include "bpf/packet.h"

/* The key of the client's direction out of what an ICMP error quotes: false if it is none, or quotes no TCP. */
static __always_inline bool quoted_key(struct __sk_buff *skb, const struct pkt *p,
				       struct way_key *ret_key)
{
	__u32 at = p->l4 + ICMP_LEN;
	__u16 ports[2];
	__u8 type, h[IP6_LEN];

	if (bpf_skb_load_bytes(skb, p->l4, &type, 1) < 0)
		return false;
	if (p->ip == 4) {
		if (p->proto != P_ICMP || !(type == 3 || type == 11 || type == 12) ||
		    bpf_skb_load_bytes(skb, at, h, IP4_LEN) < 0 || h[9] != P_TCP)
			return false;
		map4(ret_key->dst, h + 12);
		map4(ret_key->src, h + 16);
		at += (h[0] & 15u) * 4;
	} else {
		if (p->proto != P_ICMP6 || type < 1 || type > 4 ||
		    bpf_skb_load_bytes(skb, at, h, IP6_LEN) < 0 || h[6] != P_TCP)
			return false;
		__builtin_memcpy(ret_key->dst, h + 8, 16);
		__builtin_memcpy(ret_key->src, h + 24, 16);
		at += IP6_LEN;
	}
	if (bpf_skb_load_bytes(skb, at, ports, sizeof(ports)) < 0)
		return false;
	ret_key->dport = ports[0];
	ret_key->sport = ports[1];
	ret_key->zero = 0;
	return true;
}

/* Is it an ICMP error about a segment of an origin, or of a way of ours? */
static __always_inline bool icmp_ours(struct __sk_buff *skb, const struct pkt *p)
{
	struct way_key key = {};

	if (!quoted_key(skb, p, &key))
		return false;
	return origin_at(key.dst, key.dport) || bpf_map_lookup_elem(&ways, &key);
}

static __always_inline bool tap_wants(struct __sk_buff *skb)
{
	const struct way *w;
	struct pkt p;

	switch (pkt_read(skb, &p)) {
	case PKT_OTHER:
		return false;
	case PKT_IP:
		return icmp_ours(skb, &p);
	case PKT_TCP:
		break;
	}
	w = bpf_map_lookup_elem(&ways, &p.key);
	if (w)
		return w->act == WAY_USER;
	return origin_at(p.key.dst, p.key.dport) != NULL;
}
#endif
