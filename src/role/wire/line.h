/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_WIRE_LINE_H
#define SUT_ROLE_WIRE_LINE_H
/*
 * line - the frames that are on one direction of a wire: their bytes, and the order in which they
 * leave.
 *
 * Owns:     a ring of bytes, filled in order of arrival, and a heap of the times at which frames
 *           leave.
 * Does not: decide when a frame leaves (core/link.h), send.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/packet.h"
#include "base/time.h"

#define LINE_MIN (1u << 20) /* bytes: room for some frames of PACKET_MAX */
#define LINE_MAX ((uint64_t)1 << 36)

struct line;

/* Bytes for a ring of `ring` bytes (LINE_MIN to LINE_MAX; rounded up to 64) and all else. */
size_t line_need(uint64_t ring);

/* Lays a line out in block (line_need() bytes, zeroed, aligned to 64). */
struct line *line_init(void *block, uint64_t ring);

/*
 * Room for a frame of len bytes (PACKET_MAX at most) that leaves at `at` with this offload state:
 * the caller writes the frame there.  NULL if the ring is full.  Frames with the same `at` leave
 * in the order of these calls.
 */
uint8_t *line_hold(struct line *l, sut_time at, uint32_t len, const struct offload *off);

/* When the next frame leaves; SUT_NEVER if none is held. */
sut_time line_next(const struct line *l);

/*
 * Takes the next frame off the line; there must be one.  Its bytes, with PACKET_HEADROOM in front,
 * stay where they are until line_reclaim().
 */
void line_take(struct line *l, struct packet *ret_p);

/* Gives back the bytes of frames that were taken. */
void line_reclaim(struct line *l);

/* Frames held, and bytes of the ring in use. */
uint64_t line_frames(const struct line *l);
uint64_t line_used(const struct line *l);
#endif
