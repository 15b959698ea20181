/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_MAKE_H
#define SUT_CORE_MAKE_H
/*
 * make - builds packets of the engine's own: segments in the name of one end, and ICMP "too big".
 *
 * Everything below TCP comes from a lane: link addresses, tags, IP addresses, TTL, TOS and flow
 * label as the connection's own packets had them, so a made packet looks like its neighbours.
 * Checksums are written in full.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"
#include "core/outbox.h"
#include "proto/view.h"

/* How one end's packets look below TCP. */
struct lane {
	uint8_t eth[22]; /* Ethernet header with its tags */
	uint8_t eth_len; /* 14, 18 or 22 */
	uint8_t ip; /* 4 or 6 */
	uint8_t ttl, tos; /* hop limit and traffic class for IPv6; no ECN bits */
	uint32_t flow_label; /* IPv6, 20 bits */
	uint8_t src[16], dst[16]; /* IPv4 as v4-mapped */
	uint16_t sport, dport; /* host order */
};

/* Learns how the sender of v looks. */
void lane_learn(struct lane *l, const struct packet *p, const struct view *v);

/* The other end as it can be guessed before it was heard: everything exchanged; TTL 64. */
void lane_reverse(const struct lane *l, struct lane *ret_l);

/* A TCP segment's own part; numbers are as they go on the wire. */
struct make_tcp {
	uint32_t seq, ack;
	uint16_t window;
	uint8_t flags;
	uint8_t options_len; /* a multiple of 4, at most 40 */
	const uint8_t *options;
	uint32_t payload_len;
	const uint8_t *payload;
};

/* Queues the segment at port.  False, with nothing done, if the outbox has no room for it. */
bool make_tcp(struct outbox *o, unsigned port, const struct lane *l, const struct make_tcp *m);

/* Writes "NOP NOP TS" (12 bytes). */
void make_ts_option(uint8_t ret_opt[12], uint32_t tsval, uint32_t tsecr);

/*
 * Queues at port, to the sender of v, an ICMP "fragmentation needed" or ICMPv6 "packet too big"
 * for mtu bytes of IP packet, quoting p as it is now (28 or 48 bytes of headers and more, as much
 * as the RFCs ask within 576 or 1280).  In the name of the packet's destination.  False if the
 * outbox has no room.
 */
bool make_too_big(struct outbox *o, unsigned port, const struct packet *p, const struct view *v,
		  uint32_t mtu);
#endif
