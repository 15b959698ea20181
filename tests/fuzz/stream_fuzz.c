/* SPDX-License-Identifier: MIT */
/*
 * stream_fuzz - bytes as a stream of frames: read at once and in arbitrary pieces they are the same frames, the same end, and nothing
 * is read or moved outside of the buffer.
 *
 * The first byte: bit 0 vnet_hdr_support, the rest the seed of the pieces' lengths.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "port/stream_in.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read: the frames' bytes folded to one number, in order. */
struct seen {
	uint64_t frames, hash;
	enum stream_got end;
	uint32_t left;
};

static void fold(struct seen *s, uint64_t v)
{
	s->hash = (s->hash ^ v) * 0x100000001b3u;
}

/* Takes all frames that are there. */
static void take_all(struct stream_in *in, struct seen *s)
{
	struct stream_frame f;

	while ((s->end = stream_in_peek(in, &f)) == STREAM_WHOLE) {
		assert(f.len > 0 && f.len + f.vnet_len <= STREAM_FRAME_MAX);
		assert(f.bytes - f.vnet_len - PACKET_ROOM >= in->mem + in->begin);
		assert(f.bytes + f.len <= in->mem + in->end);
		assert(f.vnet_len == 0 || (in->vnet && (f.vnet_len == 10 || f.vnet_len == 12)));
		fold(s, f.len);
		fold(s, f.vnet_len);
		for (uint32_t i = 0; i < f.len + f.vnet_len; i++)
			fold(s, (f.bytes - f.vnet_len)[i]);
		s->frames++;
		/* as a user may */
		memset(f.bytes - PACKET_ROOM, 0xff, PACKET_ROOM);
		stream_in_take(in, &f);
	}
	s->left = stream_in_bytes(in);
}

/* Reads data in pieces of at most piece bytes; 0: of changing lengths, by seed. */
static struct seen read_pieces(const uint8_t *data, size_t size, bool vnet, size_t piece,
			       uint32_t seed)
{
	struct stream_in in = { .mem = malloc(STREAM_IN_BYTES), .vnet = vnet };
	struct seen s = { .hash = 1, .end = STREAM_MORE };

	assert(in.mem);
	while (size > 0 && s.end == STREAM_MORE) {
		uint32_t room;
		uint8_t *at = stream_in_room(&in, &room);
		size_t n = piece;

		assert(room >= STREAM_READ && at + room == in.mem + STREAM_IN_BYTES);
		if (n == 0) {
			seed = seed * 1664525u + 1013904223u;
			n = 1 + (seed >> 8) % (seed >> 30 == 0 ? 70000 : 40);
		}
		if (n > size)
			n = size;
		if (n > room)
			n = room;
		memcpy(at, data, n);
		stream_in_filled(&in, (uint32_t)n);
		data += n;
		size -= n;
		take_all(&in, &s);
	}
	free(in.mem);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool vnet = size > 0 && (data[0] & 1);
	struct seen whole, other;

	if (size == 0)
		return 0;
	whole = read_pieces(data + 1, size - 1, vnet, STREAM_READ, 0);
	for (unsigned i = 0; i < 3; i++) {
		size_t piece = i == 0 && size < 4096 ? 1 : 0;

		other = read_pieces(data + 1, size - 1, vnet, piece, data[0] + i);
		assert(other.frames == whole.frames && other.hash == whole.hash);
		assert(other.end == whole.end);
		assert(other.end != STREAM_MORE || other.left == whole.left);
	}
	return 0;
}
