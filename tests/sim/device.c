/* SPDX-License-Identifier: MIT */
#include "device.h"

#include <assert.h>
#include <string.h>

#include "core/gso.h"
#include "proto/checksum.h"
#include "proto/ip.h"
#include "proto/view.h"

const char *device_send(const struct packet *p, device_frame *frame, void *ctx)
{
	uint8_t bytes[PACKET_MAX], seg[PACKET_MAX];
	struct packet whole = { .head = bytes, .head_len = packet_len(p), .off = p->off };
	struct gso g = { .count = 1 };
	struct view v;

	assert(packet_len(p) <= PACKET_MAX);
	memcpy(bytes, p->head, p->head_len);
	if (p->body_len)
		memcpy(bytes + p->head_len, p->body, p->body_len);
	if (whole.off.gso_type && view_parse(&whole, &v) == R_NONE)
		gso_plan(&whole, &v, &g);
	if (g.count == 1) {
		const char *wrong = NULL;

		if (whole.off.csum == CSUM_PARTIAL && !csum_finish(&whole))
			wrong = "a partial checksum outside of the frame";
		frame(ctx, &whole);
		return wrong;
	}
	for (uint32_t i = 0; i < g.count; i++) {
		struct packet one = { .head = seg, .head_len = gso_segment_len(&g, i) };

		gso_cut(&whole, &v, &g, i, seg);
		frame(ctx, &one);
	}
	return NULL;
}

const char *device_gather(const struct stack_out *o, const uint8_t eth[12], uint8_t *room,
			  struct packet *ret_p)
{
	struct packet p = { .head = room, .head_len = 14 + o->head_len, .off = o->off };

	memcpy(room, eth, 12);
	store_be16(room + 12, o->head[0] >> 4 == 6 ? ETH_IP6 : ETH_IP4);
	memcpy(room + 14, o->head, o->head_len);
	for (unsigned i = 0; i < o->n; i++) {
		memcpy(room + p.head_len, o->slice[i].bytes, o->slice[i].len);
		p.head_len += o->slice[i].len;
	}
	if (p.off.csum == CSUM_PARTIAL)
		p.off.csum_start = (uint16_t)(p.off.csum_start + 14);
	if (p.off.hdr_len)
		p.off.hdr_len = (uint16_t)(p.off.hdr_len + 14);
	*ret_p = p;
	return p.head_len == 14 + o->head_len + o->payload_len ? NULL : "slices of another length";
}
