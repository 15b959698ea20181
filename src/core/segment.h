/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_SEGMENT_H
#define SUT_CORE_SEGMENT_H
/*
 * segment - one TCP segment in near numbers: what trackers and roles think in.
 *
 * segment_read() is the only way from a packet of either half into near numbers.  To go back, a
 * passing packet is shifted in place (rewrite.h) and a made one is written by make.h from near
 * numbers through the seam.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"
#include "core/seam.h"
#include "proto/view.h"

struct segment {
	enum sut_side sender;
	uint8_t flags;
	uint16_t window; /* field as on the wire of the sender's half */
	uint32_t len; /* sequence space: payload, SYN, FIN */
	uint32_t payload_len;
	sut_seq seq;
	sut_seq ack; /* valid where TCP_ACK is set */
};

/*
 * Reads v, which sender sent in the numbers of `half` (NEAR: near numbers already).  A far half's
 * seq needs shift[sender], its ack shift[!sender]: returns R_NONE, or R_UNKNOWN_SHIFT (ret_s
 * untouched).  A RST|ACK with seq 0 has seq 0 in both numberings (seam_keeps_seq) and needs no
 * shift[sender].
 */
enum reason segment_read(const struct view *v, enum sut_side sender, enum sut_side half,
			 const struct seqmap *map, struct segment *ret_s);
#endif
