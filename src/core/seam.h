/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_SEAM_H
#define SUT_CORE_SEAM_H
/*
 * seam - everything that two halves of one connection disagree about, as numbers; pure arithmetic.
 *
 * Owns:     the shifts of both streams (seqmap), of both timestamp clocks, and the window scales
 *           of both halves.
 * Does not: touch bytes (rewrite.h).  No pointers, no loops: a BPF program may include this file.
 *
 *     near -> far   seq += shift[NEAR]  ack, SACK += shift[FAR]   TSval += ts[NEAR]  TSecr += ts[FAR]
 *     far  -> near  seq -= shift[FAR]   ack, SACK -= shift[NEAR]  TSval -= ts[FAR]   TSecr -= ts[NEAR]
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/seq.h"
#include "core/seqmap.h"
#include "proto/tcp.h"

struct seam {
	struct seqmap seq;
	/* far clock - near clock, by sender; 0 where there are no timestamps */
	uint32_t ts[SUT_SIDES];
	/*
	 * Window scale of each sender (as the number of bits) in each half; 0 where not scaled.
	 * near_scale[FAR] is what the near half believes of the far sender: what was promised.
	 */
	uint8_t near_scale[SUT_SIDES], far_scale[SUT_SIDES];
};

/* What to add to the fields of a segment from one sender to bring it into the other half's numbering. */
struct seam_add {
	uint32_t seq, ack, tsval, tsecr;
};

/* The additions for what sender sends.  Unknown shifts add 0: ask seqmap_knows first. */
static inline struct seam_add seam_add_of(const struct seam *s, enum sut_side sender)
{
	if (sender == NEAR)
		return (struct seam_add){ s->seq.shift[NEAR], s->seq.shift[FAR], s->ts[NEAR],
					  s->ts[FAR] };
	return (struct seam_add){ 0u - s->seq.shift[FAR], 0u - s->seq.shift[NEAR], 0u - s->ts[FAR],
				  0u - s->ts[NEAR] };
}

/*
 * Does a segment keep its seq in either numbering?  A RST|ACK that answers a SYN counts in no
 * stream: its seq is 0 (RFC 9293, 3.5.2, group 1), and the opener expects 0.
 */
static inline bool seam_keeps_seq(uint8_t flags, uint32_t seq)
{
	return seq == 0 && (flags & (TCP_RST | TCP_ACK)) == (TCP_RST | TCP_ACK);
}

/*
 * A window field, scaled by `from` bits, as a field scaled by `to` bits: rounded down, so that it
 * offers no more, but never to 0 from non-zero, which would stop a sender for good (RFC 7323, 2.2).
 */
static inline uint16_t seam_window(uint16_t win, uint8_t from, uint8_t to)
{
	uint64_t bytes = (uint64_t)win << from;
	uint64_t field = bytes >> to;

	if (win != 0 && field == 0)
		return 1;
	return field > 0xffff ? 0xffff : (uint16_t)field;
}

/* Do the window fields of this sender need rewriting? */
static inline bool seam_rescales(const struct seam *s, enum sut_side sender)
{
	return s->near_scale[sender] != s->far_scale[sender];
}

/* The window field of a segment (no SYN) from sender, as the other half must read it. */
static inline uint16_t seam_window_of(const struct seam *s, enum sut_side sender, uint16_t win)
{
	return sender == NEAR ? seam_window(win, s->near_scale[NEAR], s->far_scale[NEAR])
			      : seam_window(win, s->far_scale[FAR], s->near_scale[FAR]);
}
#endif
