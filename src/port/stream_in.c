/* SPDX-License-Identifier: MIT */
#include "port/stream_in.h"

#include <string.h>

#include "base/be.h"

const char *stream_got_text(enum stream_got g)
{
	switch (g) {
	case STREAM_EMPTY:
		return "a frame of length 0";
	case STREAM_LONG:
		return "a frame of more than 69632 bytes (is vnet_hdr_support the same on both "
		       "sides?)";
	case STREAM_VNET_LEN:
		return "a vnet header of neither 0, 10 nor 12 bytes (is vnet_hdr_support the same "
		       "on both sides?)";
	case STREAM_SHORT:
		return "a frame that is not longer than its vnet header";
	case STREAM_MORE:
	case STREAM_WHOLE:
		break;
	}
	return "nothing";
}

uint8_t *stream_in_room(struct stream_in *s, uint32_t *ret_bytes)
{
	uint32_t left = stream_in_bytes(s);

	if (s->begin && left)
		memmove(s->mem, s->mem + s->begin, left);
	s->begin = 0;
	s->end = left;
	*ret_bytes = STREAM_IN_BYTES - left;
	return s->mem + left;
}

void stream_in_filled(struct stream_in *s, uint32_t n)
{
	s->end += n;
}

/* The field of the virtio-net header's length, for a frame of len bytes. */
static enum stream_got check_vnet(uint32_t vnet_len, uint32_t len)
{
	if (vnet_len != 0 && vnet_len != 10 && vnet_len != STREAM_VNET_MAX)
		return STREAM_VNET_LEN;
	return vnet_len < len ? STREAM_WHOLE : STREAM_SHORT;
}

enum stream_got stream_in_peek(const struct stream_in *s, struct stream_frame *ret_f)
{
	uint8_t *p = s->mem + s->begin;
	uint32_t have = stream_in_bytes(s), prefix = STREAM_FIELD, len, vnet_len = 0;

	if (have < STREAM_FIELD)
		return STREAM_MORE;
	len = load_be32(p);
	if (len == 0)
		return STREAM_EMPTY;
	if (len > STREAM_FRAME_MAX)
		return STREAM_LONG;
	if (s->vnet) {
		enum stream_got g;

		prefix += STREAM_FIELD;
		if (have < prefix)
			return STREAM_MORE;
		vnet_len = load_be32(p + STREAM_FIELD);
		g = check_vnet(vnet_len, len);
		if (g != STREAM_WHOLE)
			return g;
	}
	if (have - prefix < len)
		return STREAM_MORE;
	*ret_f = (struct stream_frame){
		.bytes = p + prefix + vnet_len,
		.len = len - vnet_len,
		.vnet_len = (uint8_t)vnet_len,
	};
	return STREAM_WHOLE;
}

void stream_in_take(struct stream_in *s, const struct stream_frame *f)
{
	s->begin = (uint32_t)(f->bytes + f->len - s->mem);
}
