/* SPDX-License-Identifier: MIT */
#include "core/gso.h"

#include <assert.h>
#include <string.h>

#include "proto/checksum.h"
#include "proto/ip.h"
#include "proto/tcp.h"

#define UDP_HDR 8u
#define UDP_LEN 4u /* offset of the length field in the UDP header */
#define UDP_CSUM 6u /* offset of the checksum field */

/* Bytes of the transport header of a super-packet that we can cut; 0 if it is none. */
static uint32_t l4_header(const struct packet *p, const struct view *v)
{
	switch (p->off.gso_type & ~GSO_ECN) {
	case GSO_TCP4:
	case GSO_TCP6:
		return v->tcp ? (uint32_t)(v->payload - v->l4) : 0;
	case GSO_UDP_L4:
		return v->ip && v->proto == IP_UDP && !v->fragment && v->l4_len >= UDP_HDR ? UDP_HDR
											   : 0;
	default:
		return 0;
	}
}

void gso_plan(const struct packet *p, const struct view *v, struct gso *ret_g)
{
	uint32_t hdr = p->off.gso_size ? l4_header(p, v) : 0;
	uint32_t headers = v->l4 + hdr, payload = v->l4_len - hdr;

	*ret_g = (struct gso){ .headers = packet_len(p), .count = 1 };
	if (hdr == 0 || headers > p->head_len || payload <= p->off.gso_size)
		return;
	*ret_g = (struct gso){
		.headers = headers,
		.payload = payload,
		.size = p->off.gso_size,
		.count = (payload + p->off.gso_size - 1) / p->off.gso_size,
	};
}

/* Payload bytes of segment i. */
static uint32_t piece(const struct gso *g, uint32_t i)
{
	return i + 1 < g->count ? g->size : g->payload - i * g->size;
}

uint32_t gso_segment_len(const struct gso *g, uint32_t i)
{
	return g->count == 1 ? g->headers : g->headers + piece(g, i);
}

/* Copies n bytes from offset at of the frame, which lies in head and body. */
static void copy_out(const struct packet *p, uint32_t at, uint32_t n, uint8_t *ret_bytes)
{
	uint32_t in_head = at < p->head_len ? p->head_len - at : 0;

	if (in_head > n)
		in_head = n;
	if (in_head)
		memcpy(ret_bytes, p->head + at, in_head);
	if (n > in_head)
		memcpy(ret_bytes + in_head, p->body + (at + in_head - p->head_len), n - in_head);
}

static void fix_tcp(struct packet *seg, const struct view *v, const struct gso *g, uint32_t i)
{
	struct tcp_hdr *t = view_tcp(seg, v);

	t->seq = be32_of(be32_get(t->seq) + i * g->size);
	if (i > 0)
		t->flags &= (uint8_t)~TCP_CWR;
	if (i + 1 < g->count)
		t->flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	csum_tcp_fill(seg, v);
}

static void fix_udp(struct packet *seg, const struct view *v)
{
	uint8_t *u = seg->head + v->l4;
	uint16_t csum;

	store_be16(u + UDP_LEN, (uint16_t)v->l4_len);
	store_be16(u + UDP_CSUM, 0);
	csum = (uint16_t)~csum_fold(csum_add(csum_pseudo(seg, v, v->l4_len), u, v->l4_len));
	store_be16(u + UDP_CSUM, csum ? csum : 0xffff);
}

void gso_cut(const struct packet *p, const struct view *v, const struct gso *g, uint32_t i,
	     uint8_t *ret_frame)
{
	uint32_t len = piece(g, i);
	struct packet seg = {
		.head = ret_frame,
		.head_len = g->headers + len,
		.off = { .csum = CSUM_COMPLETE },
	};
	struct view sv = *v;

	assert(g->count > 1 && i < g->count);
	copy_out(p, 0, g->headers, ret_frame);
	copy_out(p, g->headers + i * g->size, len, ret_frame + g->headers);
	sv.payload_len = len;
	sv.l4_len = g->headers - v->l4 + len;
	csum_ip_piece(&seg, &sv, i);
	if (v->tcp)
		fix_tcp(&seg, &sv, g, i);
	else
		fix_udp(&seg, &sv);
}
