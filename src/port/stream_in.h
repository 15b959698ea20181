/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_STREAM_IN_H
#define SUT_PORT_STREAM_IN_H
/*
 * stream_in - the reader of QEMU's stream format: bytes as they come, frames in place.
 *
 *     4 bytes   length, most significant first: of all that follows but the next field
 *     4 bytes   only with vnet_hdr_support: how many bytes of virtio-net header the frame begins with, 0, 10 or 12
 *     length    the virtio-net header, the frame
 *
 * Owns:     where in the buffer what has not been read yet lies.
 * Does not: own the buffer's memory, make system calls, or look into frames.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"

#define STREAM_FIELD 4u /* bytes of a length */
#define STREAM_FRAME_MAX PACKET_MAX /* longest frame, its virtio-net header included */
#define STREAM_VNET_MAX 12u
#define STREAM_PREFIX_MAX (2 * STREAM_FIELD + STREAM_VNET_MAX)

#define STREAM_READ (256u << 10) /* bytes that can always be read at once */
#define STREAM_IN_BYTES (STREAM_READ + STREAM_FRAME_MAX + STREAM_PREFIX_MAX)

struct stream_in {
	uint8_t *mem; /* STREAM_IN_BYTES of it */
	uint32_t begin, end; /* what is between has not been taken */
	bool vnet; /* vnet_hdr_support */
};

/* A frame in the buffer: vnet_len bytes of virtio-net header lie in front of bytes, at least PACKET_ROOM in all. */
struct stream_frame {
	uint8_t *bytes;
	uint32_t len;
	uint8_t vnet_len;
};

enum stream_got {
	STREAM_MORE, /* the rest of the frame has not come yet */
	STREAM_WHOLE,
	/* the stream is not in the format: nothing behind this can be read */
	STREAM_EMPTY,
	STREAM_LONG,
	STREAM_VNET_LEN,
	STREAM_SHORT,
};

/* What is wrong, in a few words. */
const char *stream_got_text(enum stream_got g);

/* Where to put the bytes that come next: at least STREAM_READ if no whole frame waits.  Frames taken before are gone then. */
uint8_t *stream_in_room(struct stream_in *s, uint32_t *ret_bytes);

/* n bytes were put there. */
void stream_in_filled(struct stream_in *s, uint32_t n);

/* The next frame, without taking it: ret_f is written for STREAM_WHOLE.  An error is told as soon as its field is there. */
enum stream_got stream_in_peek(const struct stream_in *s, struct stream_frame *ret_f);

/* Takes the frame that peek found. */
void stream_in_take(struct stream_in *s, const struct stream_frame *f);

/* Bytes that wait. */
static inline uint32_t stream_in_bytes(const struct stream_in *s)
{
	return s->end - s->begin;
}

/* Forgets all that waits. */
static inline void stream_in_clear(struct stream_in *s)
{
	s->begin = s->end = 0;
}
#endif
