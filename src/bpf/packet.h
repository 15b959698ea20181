/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef SUT_BPF_PACKET_H
#define SUT_BPF_PACKET_H
/*
 * packet - where the headers of a packet are, and its fixed TCP fields.
 *
 * Owns:     one parse, by the same rules as proto/view.h: Ethernet with two tags at most, IPv4 with options, IPv6 with extension
 *           headers.
 * Does not: read TCP options (options.h).  Bytes come by load helpers: super-packets and payload outside the linear part are no matter.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "core/way.h"

/* clang-format off */
enum { ETH_LEN = 14, IP4_LEN = 20, IP6_LEN = 40, TCP_LEN = 20, ICMP_LEN = 8 };
enum { TYPE_IP4 = 0x0800, TYPE_IP6 = 0x86dd, TYPE_VLAN = 0x8100, TYPE_QINQ = 0x88a8, TYPE_QINQ_OLD = 0x9100 };
enum { P_ICMP = 1, P_TCP = 6, P_ICMP6 = 58 };
enum { F_FIN = 1, F_SYN = 2, F_RST = 4, F_ACK = 16 };
/* clang-format on */

struct pkt {
	struct way_key key; /* valid for PKT_TCP */
	__u32 l3, l4; /* offsets */
	__u32 ip_len, l4_len; /* bytes of the IP packet, and of what it carries */
	__u32 seq, ack, payload_len;
	__u16 window;
	__u8 ip, proto, flags;
	__u8 doff; /* bytes of the TCP header */
	__u8 fragment; /* the first one of several */
	__u8 routed; /* IPv6: the destination is a stop on the way, not what the checksum means */
};

enum pkt_kind {
	PKT_OTHER, /* nothing for us: later fragments and malformed ones too */
	PKT_IP, /* l3, l4, l4_len, proto are valid */
	PKT_TCP,
	PKT_FRAGMENT, /* the first fragment of a segment: key is valid, nothing else of TCP */
};

static __always_inline void map4(__u8 *ret_ip, const __u8 *ip4)
{
	__builtin_memset(ret_ip, 0, 10);
	ret_ip[10] = 0xff;
	ret_ip[11] = 0xff;
	__builtin_memcpy(ret_ip + 12, ip4, 4);
}

static __always_inline enum pkt_kind read_ip4(struct __sk_buff *skb, struct pkt *p)
{
	__u8 h[IP4_LEN];
	__u32 ihl, total, avail = skb->len - p->l3;

	if (bpf_skb_load_bytes(skb, p->l3, h, sizeof(h)) < 0 || h[0] >> 4 != 4)
		return PKT_OTHER;
	ihl = (h[0] & 15u) * 4;
	total = (__u32)h[2] << 8 | h[3];
	if (total == 0 && skb->gso_size != 0)
		total = avail;
	if (ihl < IP4_LEN || total > avail || total < ihl)
		return PKT_OTHER;
	if ((h[6] & 0x1f) | h[7]) /* not the first fragment */
		return PKT_OTHER;
	p->fragment = h[6] & 0x20;
	p->ip = 4;
	p->proto = h[9];
	p->l4 = p->l3 + ihl;
	p->ip_len = total;
	p->l4_len = total - ihl;
	map4(p->key.src, h + 12);
	map4(p->key.dst, h + 16);
	return PKT_IP;
}

/* Bytes of the IPv6 extension header of this kind whose length byte is n; 0: no such header. */
static __always_inline __u32 ext_len(__u8 kind, __u8 n)
{
	if (kind == 0 || kind == 43 || kind == 60)
		return (n + 1u) * 8;
	if (kind == 44)
		return 8;
	return kind == 51 ? (n + 2u) * 4 : 0;
}

/* Steps over extension headers, eight at most: false where they are cut short, too many, or not the first fragment. */
static __always_inline bool skip_ext(struct __sk_buff *skb, struct pkt *p)
{
	__u8 h[4];
	__u32 len;

	for (int i = 0; i < 8; i++) {
		if (ext_len(p->proto, 0) == 0)
			return true;
		if (p->l4_len < 8 || bpf_skb_load_bytes(skb, p->l4, h, sizeof(h)) < 0)
			return false;
		len = ext_len(p->proto, h[1]);
		if (len > p->l4_len)
			return false;
		if (p->proto == 44 && (h[2] | (h[3] & 0xf8)))
			return false;
		if (p->proto == 44)
			p->fragment |= h[3] & 1;
		if (p->proto == 43 && h[3] != 0 && (h[2] == 0 || h[2] == 2 || h[2] == 4) &&
		    len >= 24)
			p->routed = 1;
		p->proto = h[0];
		p->l4 += len;
		p->l4_len -= len;
	}
	return ext_len(p->proto, 0) == 0;
}

static __always_inline enum pkt_kind read_ip6(struct __sk_buff *skb, struct pkt *p)
{
	__u8 h[IP6_LEN];
	__u32 len, avail = skb->len - p->l3;

	if (bpf_skb_load_bytes(skb, p->l3, h, sizeof(h)) < 0 || h[0] >> 4 != 6)
		return PKT_OTHER;
	avail -= IP6_LEN;
	len = (__u32)h[4] << 8 | h[5];
	if (len == 0 && skb->gso_size != 0)
		len = avail;
	if (len > avail)
		return PKT_OTHER;
	p->ip = 6;
	p->proto = h[6];
	p->l4 = p->l3 + IP6_LEN;
	p->ip_len = len + IP6_LEN;
	p->l4_len = len;
	__builtin_memcpy(p->key.src, h + 8, 16);
	__builtin_memcpy(p->key.dst, h + 24, 16);
	return skip_ext(skb, p) ? PKT_IP : PKT_OTHER;
}

static __always_inline bool is_tag(__u32 type, int depth)
{
	return type == TYPE_VLAN || type == TYPE_QINQ || (depth == 0 && type == TYPE_QINQ_OLD);
}

static __always_inline enum pkt_kind read_ip(struct __sk_buff *skb, struct pkt *p)
{
	__u16 type;

	p->l3 = ETH_LEN;
	for (int i = 0; i <= 2; i++) {
		if (bpf_skb_load_bytes(skb, p->l3 - 2, &type, sizeof(type)) < 0)
			return PKT_OTHER;
		type = bpf_ntohs(type);
		if (!is_tag(type, i))
			break;
		p->l3 += 4;
	}
	if (type == TYPE_IP4)
		return read_ip4(skb, p);
	return type == TYPE_IP6 ? read_ip6(skb, p) : PKT_OTHER;
}

static __always_inline enum pkt_kind read_tcp(struct __sk_buff *skb, struct pkt *p)
{
	struct {
		__be16 sport, dport;
		__be32 seq, ack;
		__u8 doff, flags;
		__be16 window, csum, urg;
	} h;

	if (p->l4_len < TCP_LEN || bpf_skb_load_bytes(skb, p->l4, &h, sizeof(h)) < 0)
		return PKT_OTHER;
	p->doff = (__u8)((h.doff >> 4) * 4);
	if (p->doff < TCP_LEN || p->doff > p->l4_len)
		return PKT_OTHER;
	p->key.sport = h.sport;
	p->key.dport = h.dport;
	p->seq = bpf_ntohl(h.seq);
	p->ack = bpf_ntohl(h.ack);
	p->window = bpf_ntohs(h.window);
	p->flags = h.flags;
	p->payload_len = p->l4_len - p->doff;
	return PKT_TCP;
}

/* Who the first fragment is from and for. */
static __always_inline enum pkt_kind read_ports(struct __sk_buff *skb, struct pkt *p)
{
	__be16 ports[2];

	if (p->l4_len < sizeof(ports) || bpf_skb_load_bytes(skb, p->l4, ports, sizeof(ports)) < 0)
		return PKT_OTHER;
	p->key.sport = ports[0];
	p->key.dport = ports[1];
	return PKT_FRAGMENT;
}

/* Reads a packet; *ret_p is written throughout. */
static __always_inline enum pkt_kind pkt_read(struct __sk_buff *skb, struct pkt *ret_p)
{
	enum pkt_kind kind;

	__builtin_memset(ret_p, 0, sizeof(*ret_p));
	kind = read_ip(skb, ret_p);
	if (kind == PKT_IP && ret_p->proto == P_TCP)
		return ret_p->fragment ? read_ports(skb, ret_p) : read_tcp(skb, ret_p);
	return ret_p->fragment ? PKT_OTHER : kind;
}

/* Sequence space that the segment takes. */
static __always_inline __u32 pkt_seg_len(const struct pkt *p)
{
	return p->payload_len + !!(p->flags & F_SYN) + !!(p->flags & F_FIN);
}
#endif
