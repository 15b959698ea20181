/* SPDX-License-Identifier: MIT */
#include "port/stream_batch.h"

#include <string.h>

#include "base/be.h"
#include "port/if_frame.h"
#include "proto/checksum.h"

/* Adds n bytes to the list; what lies right behind the last iovec becomes part of it. */
static void add(struct stream_batch *b, const uint8_t *p, size_t n)
{
	struct iovec *last = &b->iov[b->iovs];

	if (n == 0)
		return;
	if (b->iovs > 0 && (const uint8_t *)last[-1].iov_base + last[-1].iov_len == p) {
		last[-1].iov_len += n;
		return;
	}
	*last = (struct iovec){ (void *)(uintptr_t)p, n };
	b->iovs++;
}

static uint8_t *stage(struct stream_batch *b, uint32_t n)
{
	uint8_t *p = b->stage + b->staged;

	b->staged += n;
	add(b, p, n);
	return p;
}

static uint8_t *stage_bytes(struct stream_batch *b, const struct packet *p)
{
	uint8_t *bytes = stage(b, packet_len(p));

	memcpy(bytes, p->head, p->head_len);
	if (p->body_len)
		memcpy(bytes + p->head_len, p->body, p->body_len);
	return bytes;
}

/* Room for a frame, wholly copied. */
static bool has_room(const struct stream_batch *b, const struct packet *p)
{
	return b->frames < BATCH_FRAMES &&
	       BATCH_STAGE - b->staged >= packet_len(p) + STREAM_PREFIX_MAX;
}

/* The prefix of a frame with a virtio-net header of vnet_len bytes. */
static void put_prefix(struct stream_batch *b, const struct packet *p, bool vnet, uint8_t vnet_len)
{
	uint8_t *at = stage(b, STREAM_FIELD);

	store_be32(at, packet_len(p) + vnet_len);
	if (vnet)
		store_be32(stage(b, STREAM_FIELD), vnet_len);
	if (vnet_len) {
		struct virtio_net_hdr h;

		vnet_from_packet(p, &h);
		at = stage(b, vnet_len);
		memset(at, 0, vnet_len);
		memcpy(at, &h, sizeof h);
	}
}

/* Does the frame with its length in front lie next to one that is in the list, or to the next packet's? */
static bool is_chained(const struct stream_batch *b, const struct packet *p,
		       const struct packet *next)
{
	const uint8_t *begin = p->head - STREAM_FIELD;

	if (b->iovs > 0) {
		const struct iovec *last = &b->iov[b->iovs - 1];

		if ((const uint8_t *)last->iov_base + last->iov_len == begin)
			return true;
	}
	return next && !p->body_len && p->head + p->head_len == next->head - STREAM_FIELD;
}

/* A frame as it is, in place unless a copy is cheaper. */
static void put_frame(struct stream_batch *b, const struct packet *p, const struct packet *next,
		      bool vnet, uint8_t vnet_len)
{
	bool is_short = packet_len(p) <= BATCH_SHORT;

	if (vnet || (is_short && !is_chained(b, p, next))) {
		put_prefix(b, p, vnet, vnet_len);
		if (is_short)
			stage_bytes(b, p);
		else
			add(b, p->head, p->head_len);
	} else {
		store_be32(p->head - STREAM_FIELD, packet_len(p));
		add(b, p->head - STREAM_FIELD, STREAM_FIELD + p->head_len);
		is_short = false;
	}
	if (!is_short)
		add(b, p->body, p->body_len);
}

/* A frame whose checksum is left to a device, where nobody can be told. */
static void put_finished(struct stream_batch *b, const struct packet *p, bool vnet)
{
	struct packet copy = { .head_len = packet_len(p), .off = p->off };

	put_prefix(b, p, vnet, 0);
	copy.head = stage_bytes(b, p);
	(void)csum_finish(&copy); /* where it lies outside of the frame nothing can be done */
}

/* How long a header p gets on a stream that has them. */
static uint8_t header_for(struct stream_form *form, const struct packet *p)
{
	if (p->off.vnet_len) {
		form->vnet_len = p->off.vnet_len == VNET_NONE ? 0 : p->off.vnet_len;
		form->told = true;
	}
	return form->told ? form->vnet_len : STREAM_VNET_MAX;
}

/* Puts p in the list: its bytes on the stream, or 0. */
static uint32_t put(struct stream_batch *b, struct stream_form *form, const struct packet *p,
		    const struct packet *next)
{
	uint32_t len = packet_len(p);
	uint8_t vnet_len = form->vnet ? header_for(form, p) : 0;

	if (len == 0 || len > STREAM_FRAME_MAX - vnet_len)
		return 0;
	if (vnet_len == 0 && p->off.gso_type != GSO_NONE)
		return 0;
	if (vnet_len == 0 && p->off.csum == CSUM_PARTIAL)
		put_finished(b, p, form->vnet);
	else
		put_frame(b, p, next, form->vnet, vnet_len);
	return len + vnet_len + (form->vnet ? 2 * STREAM_FIELD : STREAM_FIELD);
}

void stream_batch_fill(struct stream_batch *b, struct stream_form *form, struct packet *const *pkts,
		       unsigned n)
{
	b->frames = b->iovs = 0;
	b->staged = 0;
	while (b->frames < n) {
		unsigned i = b->frames;

		if (i > 0 && !has_room(b, pkts[i]))
			break;
		b->size[i] = put(b, form, pkts[i], i + 1 < n ? pkts[i + 1] : NULL);
		b->frames++;
	}
}
