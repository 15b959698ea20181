/* SPDX-License-Identifier: MIT */
#ifndef SUT_PROTO_ICMP_H
#define SUT_PROTO_ICMP_H
/*
 * icmp - ICMP (RFC 792) and ICMPv6 (RFC 4443) errors, and the TCP packet that they quote.
 *
 * The quoted packet travelled against the error.  Eight quoted bytes of TCP (ports and seq)
 * suffice.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/be.h"
#include "base/packet.h"
#include "base/reason.h"

struct view;

struct icmp_hdr {
	uint8_t type, code;
	be16 csum;
	be32 rest; /* ICMP too big: next-hop MTU in the low 16 bits; ICMPv6: in all 32 */
};

enum icmp_kind {
	ICMP_OTHER, /* not an error that concerns a connection */
	ICMP_UNREACHABLE, /* host, port, protocol, administratively */
	ICMP_TOO_BIG, /* fragmentation needed; packet too big */
	ICMP_TIME, /* time exceeded */
	ICMP_PARAM, /* parameter problem */
};

struct icmp_error {
	enum icmp_kind kind;
	uint32_t mtu; /* ICMP_TOO_BIG */
	uint8_t src[16], dst[16]; /* of the quoted packet; IPv4 as v4-mapped */
	uint16_t sport, dport; /* of the quoted packet, host order */
	uint32_t seq; /* of the quoted packet, as on the wire */
	bool has_ack; /* at least 12 bytes were quoted: ack is there */
	uint32_t ack;
	uint16_t quote; /* offsets in head: quoted IP header, */
	uint16_t quote_l4; /* quoted TCP header */
};

/*
 * Reads the ICMP or ICMPv6 message of v (v->proto says which).  R_NONE with kind ICMP_OTHER for
 * what is no error; R_ICMP_SHORT; R_ICMP_QUOTE where an error does not quote a TCP packet up to
 * its seq.
 */
enum reason icmp_error_read(const struct packet *p, const struct view *v, struct icmp_error *ret_e);

/*
 * Replaces the quoted seq (as on the wire) and fixes the ICMP checksum by the difference; the
 * checksum of the quoted segment itself, where quoted, follows too.  e came from icmp_error_read
 * on the same packet.
 */
void icmp_error_set_seq(struct packet *p, const struct view *v, const struct icmp_error *e,
			uint32_t seq);
#endif
