/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_GSO_H
#define SUT_CORE_GSO_H
/*
 * gso - a super-packet as the wire segments that a device would make of it: how many, how long,
 * and each of them.
 *
 * Knows TCP over IPv4 and IPv6, and UDP segmentation (GSO_UDP_L4).  Anything else counts as the
 * one frame that it is.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"
#include "proto/view.h"

/* How a frame is cut. */
struct gso {
	uint32_t headers; /* bytes that each segment repeats: everything in front of the payload */
	uint32_t payload; /* bytes in all */
	uint32_t size; /* payload bytes per segment; the last one may be shorter */
	uint32_t count; /* segments; 1: the frame goes as it is, and must not be cut */
};

/* Reads how p, of which v is the view, is to be cut. */
void gso_plan(const struct packet *p, const struct view *v, struct gso *ret_g);

/* Bytes on the wire of all segments together. */
static inline uint32_t gso_wire_len(const struct gso *g)
{
	return g->headers * g->count + g->payload;
}

/* Bytes of segment i. */
uint32_t gso_segment_len(const struct gso *g, uint32_t i);

/*
 * Writes segment i (below g->count, which is 2 or more) to ret_frame, which holds
 * gso_segment_len() bytes: own seq, IPv4 id and lengths; FIN and PSH on the last only, CWR on the
 * first only; checksums complete.
 */
void gso_cut(const struct packet *p, const struct view *v, const struct gso *g, uint32_t i,
	     uint8_t *ret_frame);
#endif
