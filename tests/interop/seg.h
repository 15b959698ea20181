/* SPDX-License-Identifier: MIT */
#ifndef SUT_INTEROP_SEG_H
#define SUT_INTEROP_SEG_H
/*
 * seg - a TCP segment as a test describes it, and its frame.  The bytes are made here, on a path of their own.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEG_FRAME_MAX 2048u

/* Whose side of the rewriter: the client's (the primary's mirror) or the secondary's. */
enum side { CLIENT, SECONDARY, SIDES };

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32, ECE = 64, CWR = 128 };

enum frag { NOT_FRAG, FRAG_FIRST, FRAG_LATER };

struct seg {
	enum side from;
	uint8_t flags;
	uint32_t seq, ack;
	uint16_t win, urg;
	uint32_t len; /* payload */
	uint32_t
		first; /* which byte of its sender's stream the payload begins with; in either numbering the same */
	bool ts;
	uint32_t tsval, tsecr;
	uint8_t sacks, sack_nops; /* blocks; bytes of NOP in the place of blocks */
	uint32_t sack[3][2];
	bool syn_options; /* MSS, SACK permitted, window scale */
	uint8_t fastopen; /* bytes of cookie: 0 or 8 */
	/* below TCP */
	uint16_t flow, port_of; /* flow - port_of makes the client's port; its stream of bytes */
	bool ip6, bad_sum, pad; /* pad: Ethernet padding behind a short segment */
	uint8_t vlans; /* 0 to 2 tags: 802.1Q, or 802.1ad before 802.1Q */
	uint8_t vid; /* added to their numbers */
	bool outer_q; /* 802.1Q twice */
	bool made; /* by the rewriter: IP id 0 */
	bool ip6_ext; /* an extension header of 8 bytes */
	uint8_t ip_options; /* bytes, a multiple of 4 */
	enum frag frag;
};

/* Writes the frame of g (SEG_FRAME_MAX bytes of room) and returns its length. */
uint32_t seg_frame(const struct seg *g, uint8_t *ret_frame);

/* ICMP "fragmentation needed" to the server about its segment g, from a router. */
uint32_t seg_icmp(const struct seg *g, uint8_t *ret_frame);

/* UDP from that side with n bytes that depend on what. */
uint32_t seg_udp(enum side from, uint32_t n, uint8_t what, uint8_t *ret_frame);

/* The plainest Internet checksum there is, folded, not inverted. */
uint16_t seg_sum(uint32_t sum, const uint8_t *b, uint32_t n);

/* The frame as one line; a static buffer, of which there are four. */
const char *seg_print(const uint8_t *frame, uint32_t len);
#endif
