/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_FRAME_H
#define SUT_PKT_FRAME_H
/*
 * frame - a script's packet as bytes.  Shares no code with what is under test.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/packet.h"
#include "conn.h"
#include "seg.h"

/*
 * By how much [bad cksum] is wrong, in one's complement: a translation must keep the error as
 * it is.
 */
#define CSUM_ERROR 0x1234

/* Between which ends a packet travels, and where its sender's stream begins. */
struct lane_of {
	const struct conn *c;
	enum conn_dir dir; /* who sends */
	unsigned stream; /* see stream_byte() */
	uint32_t base; /* the sender's ISN in the numbers of this port */
};

/*
 * Writes the frame of g into buf (PACKET_MAX bytes) and describes it in ret_p. False with a
 * fault.
 */
bool frame_build(const struct seg *g, const struct lane_of *lane, const struct ctx *x, uint8_t *buf,
		 struct packet *ret_p);

/* Type and code of the ICMP or ICMPv6 message that g asks for. */
void frame_icmp_type(const struct seg *g, bool ip6, uint8_t ret_type_code[2]);
#endif
