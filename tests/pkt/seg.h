/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_SEG_H
#define SUT_PKT_SEG_H
/*
 * seg - what a script's line says of one packet: to be sent as it stands, or a pattern for one
 * that must come out.
 *
 * Does not: know addresses (flow.h) or bytes (frame.h).
 */
#include <stdbool.h>
#include <stdint.h>

#include "value.h"

#define SEG_OPTS_MAX 20
#define SEG_TEXT_MAX 256

enum seg_kind { SEG_TCP, SEG_ARP, SEG_UDP, SEG_ICMP, SEG_FRAME };
enum seg_frag { FRAG_NONE, FRAG_FIRST, FRAG_LATER };
enum seg_opts { OPTS_EXACT, OPTS_LOOSE, OPTS_ANY };
enum seg_payload { PAYLOAD_STREAM, PAYLOAD_TEXT, PAYLOAD_ANY };
enum seg_icmp { SI_UNREACHABLE, SI_TOO_BIG, SI_TIME, SI_ECHO, SI_REPLY, SI_QUENCH, SI_PARAM };
enum seg_unreach { SU_NET, SU_HOST, SU_PROTO, SU_PORT, SU_ADMIN };

/* One option. */
struct seg_opt {
	bool rest; /* "...": any number of options */
	uint8_t kind;
	uint8_t blocks; /* SACK */
	bool has_data; /* data is given, and counts */
	uint8_t data_len, data[40]; /* bytes behind kind, length (and experiment's number) */
	uint16_t exid;
	struct value a, b; /* MSS; scale; TSval, TSecr; MPTCP subtype */
	struct value edge[4][2];
};

/* What stands in brackets: link, IP, damage. */
struct seg_marks {
	bool bad_csum, bad_ip_csum, partial, stray, pad, ipopt, raw_set, vlan_set, df;
	uint8_t vlans, exts, ttl, tos, raw_len;
	uint8_t ext[4]; /* IPv6 extension headers' numbers */
	uint8_t raw[40]; /* option bytes in place of <...> */
	uint16_t vlan[2], gso, cut, quote;
	enum seg_frag frag;
	enum seg_payload payload;
	char text[SEG_TEXT_MAX];
};

struct seg {
	enum seg_kind kind;
	uint8_t flags;
	bool range_any, len_any, has_ack, has_win, has_urg;
	bool rest_any; /* "...": what was not said does not matter */
	struct value seq, end, ack, win, urg;
	uint32_t len; /* payload bytes; UDP: too */
	enum seg_opts opts;
	uint8_t nopts;
	struct seg_opt opt[SEG_OPTS_MAX];
	struct seg_marks m;
	enum seg_icmp icmp;
	enum seg_unreach unreach;
	struct value mtu;
	bool from_set, from_ip6;
	uint8_t from[16]; /* who sends the ICMP; else the sender by direction */
	struct seg *quote; /* owned; ICMP errors */
	uint8_t *bytes; /* owned; SEG_FRAME: len of them */
};

/* Reads the rest of the line.  False with a fault; seg_free() is right after either. */
bool seg_parse(struct lex *l, struct names *names, struct seg *ret_g, struct fault *f);

void seg_free(struct seg *g);

/* Reads an address: dotted IPv4 (becomes v4-mapped), or IPv6 without brackets. */
bool addr_parse(struct lex *l, uint8_t ret_addr[16], bool *ret_ip6);

/* Do all names that this packet needs have values? */
bool seg_known(const struct seg *g, const struct vars *vars);
#endif
