/* SPDX-License-Identifier: MIT */
#include "core/segment.h"

/* Which shifts the numbers of v need to be read from a far half: a bit per side. */
static uint8_t needed(const struct view *v, enum sut_side sender)
{
	unsigned bits = 0;

	if (!seam_keeps_seq(v->flags, v->seq))
		bits |= 1u << sender;
	if (v->flags & TCP_ACK)
		bits |= 1u << !sender;
	return (uint8_t)bits;
}

static enum sut_side other(enum sut_side s)
{
	return s == NEAR ? FAR : NEAR;
}

enum reason segment_read(const struct view *v, enum sut_side sender, enum sut_side half,
			 const struct seqmap *map, struct segment *ret_s)
{
	struct segment s = {
		.sender = sender,
		.flags = v->flags,
		.window = v->window,
		.len = view_seg_len(v),
		.payload_len = v->payload_len,
		.seq = { v->seq },
		.ack = { v->ack },
	};

	if (half == FAR) {
		uint8_t need = needed(v, sender);

		if ((map->known & need) != need)
			return R_UNKNOWN_SHIFT;
		if (need & (1u << sender))
			s.seq = seqmap_to_near(map, sender, (sut_farseq){ v->seq });
		if (v->flags & TCP_ACK)
			s.ack = seqmap_to_near(map, other(sender), (sut_farseq){ v->ack });
	}
	*ret_s = s;
	return R_NONE;
}
