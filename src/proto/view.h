/* SPDX-License-Identifier: MIT */
#ifndef SUT_PROTO_VIEW_H
#define SUT_PROTO_VIEW_H
/*
 * view - what one parse learns of a frame: where its headers are, and the fixed TCP fields.
 *
 * Owns nothing: offsets count from packet.head.  Numbers are as on the wire; which numbering they
 * belong to is known to whoever knows the half (core/segment.h).  The frame is parsed once and
 * not reparsed on its way.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"
#include "base/reason.h"
#include "proto/tcp.h"

#define VLAN_NONE 0xffffu
#define VLAN_TAGS_MAX 2

struct view {
	/* Offsets of the IP header, of what it carries, of the TCP payload (else as l4). */
	uint16_t l3, l4, payload;
	uint8_t ip; /* 4, 6, or 0: not IP (the rest means nothing then, but for vlan) */
	uint8_t proto; /* IP protocol after IPv6 extension headers */
	uint8_t vlans; /* tags: 0 to 2 */
	bool fragment; /* any fragment, the first one too: l4 may be no header, tcp is false */
	bool tcp; /* the TCP fields below are valid */
	uint8_t flags; /* TCP */
	uint16_t vlan[VLAN_TAGS_MAX]; /* TCI & 0x0fff, outermost first; else VLAN_NONE */
	uint16_t window; /* as on the wire, not scaled */
	uint32_t payload_len; /* TCP payload bytes by the IP length: without Ethernet padding */
	uint32_t l4_len; /* bytes of the IP payload from l4 on */
	uint32_t seq, ack; /* as on the wire */
};

/*
 * Reads Ethernet (802.1Q and 802.1ad tags, two at most), IPv4 with options, IPv6 with extension
 * headers (hop-by-hop, routing, destination, AH; a fragment header of offset 0 without more
 * counts as none), TCP.  Returns R_NONE for whatever is well-formed as far as it is read (ARP, UDP
 * and fragments too: see tcp), else the reason.  On a reason, ret_v holds what was read before
 * (ip, vlans), and tcp is false.  All headers must lie in p->head.
 */
enum reason view_parse(const struct packet *p, struct view *ret_v);

/*
 * As view_parse() for an IP packet without a link header, as a TUN device carries it: v->l3 is 0.  What is neither IPv4 nor
 * IPv6 is R_IP4_VERSION.
 */
enum reason view_parse_ip(const struct packet *p, struct view *ret_v);

/* The TCP header of v in p. */
static inline struct tcp_hdr *view_tcp(const struct packet *p, const struct view *v)
{
	return (struct tcp_hdr *)(p->head + v->l4);
}

/* Bytes of TCP options. */
static inline uint32_t view_options_len(const struct view *v)
{
	return (uint32_t)(v->payload - v->l4) - (uint32_t)sizeof(struct tcp_hdr);
}

/* Reads the options of v; see tcp_options_read. */
enum reason view_options(const struct packet *p, const struct view *v,
			 struct tcp_options *ret_opts);

/* Sequence space that the segment takes: payload, SYN and FIN (RFC 9293, 3.4). */
static inline uint32_t view_seg_len(const struct view *v)
{
	return v->payload_len + !!(v->flags & TCP_SYN) + !!(v->flags & TCP_FIN);
}

/* Copies n payload bytes from offset at (payload_len at most) out of head and body. */
void view_payload_copy(const struct packet *p, const struct view *v, uint32_t at, uint32_t n,
		       uint8_t *ret_bytes);

/* The addresses, 16 bytes each, IPv4 as v4-mapped IPv6.  v->ip must be 4 or 6. */
void view_addrs(const struct packet *p, const struct view *v, uint8_t ret_src[16],
		uint8_t ret_dst[16]);
#endif
