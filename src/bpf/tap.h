/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef SUT_BPF_TAP_H
#define SUT_BPF_TAP_H
/*
 * tap - which packets user space sees on a front end: those that no way forwards and that are for it.
 *
 * Owns:     nothing.
 * Does not: change or stop packets: the program `front` drops exactly what is seen here, so that the host's own TCP stays silent.
 */
#include "bpf/icmp.h"
#include "bpf/maps.h"
#include "bpf/packet.h"

static __always_inline bool tap_wants(struct __sk_buff *skb)
{
	const struct way *w;
	struct pkt p;

	switch (pkt_read(skb, &p)) {
	case PKT_OTHER:
	case PKT_FRAGMENT:
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
