/* SPDX-License-Identifier: MIT */
#include "port/bigtcp.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "proto/checksum.h"
#include "proto/ip.h"

#define JUMBO_LEN 8u /* bytes of a hop-by-hop header that holds a jumbo option and nothing else */
#define OPT_JUMBO 0xc2u /* RFC 2675, 2 */
/* A device makes segments of what has less than its gso_max_size, 65536 as a rule; a tag may be added. */
#define PIECE_MAX (65535u - 4u)

static bool is_tcp(const struct packet *p)
{
	unsigned type = p->off.gso_type & ~(unsigned)GSO_ECN;

	return (type == GSO_TCP4 || type == GSO_TCP6) && p->off.gso_size &&
	       p->off.csum == CSUM_PARTIAL;
}

/* The bytes of what follows the IPv6 header that a piece leaves out: true if all is as the kernel makes it. */
static bool read_jumbo(const struct packet *p, const struct view *v, uint32_t *ret_skip)
{
	const uint8_t *ip = p->head + v->l3, *h = ip + sizeof(struct ipv6_hdr);
	uint32_t chain = v->l4 - v->l3 - (uint32_t)sizeof(struct ipv6_hdr);

	*ret_skip = chain;
	if (chain == 0)
		return true; /* newer kernels do without */
	return chain == JUMBO_LEN && ip[offsetof(struct ipv6_hdr, next)] == 0 && h[1] == 0 &&
	       h[2] == OPT_JUMBO && h[3] == 4 && load_be32(h + 4) == v->l4_len + JUMBO_LEN;
}

/* Is the length field, of IPv4 or IPv6, zero? */
static bool no_length(const struct packet *p, const struct view *v)
{
	return load_be16(p->head + v->l3 + (v->ip == 4 ? 2 : 4)) == 0;
}

bool bigtcp_plan(const struct packet *p, struct bigtcp *ret_b)
{
	struct bigtcp b = { 0 };

	if (!is_tcp(p) || view_parse(p, &b.v) != R_NONE || !b.v.tcp || !no_length(p, &b.v) ||
	    p->off.csum_start != b.v.l4)
		return false;
	if (b.v.ip == 6 && !read_jumbo(p, &b.v, &b.skip))
		return false;
	b.headers = b.v.payload - b.skip;
	if (b.headers > BIGTCP_HEADERS_MAX || b.v.payload_len == 0)
		return false;
	b.size = (PIECE_MAX - b.headers) / p->off.gso_size * p->off.gso_size;
	if (b.size == 0)
		return false;
	b.count = (b.v.payload_len + b.size - 1) / b.size;
	if (b.count > BIGTCP_PIECES_MAX)
		return false;
	*ret_b = b;
	return true;
}

static uint32_t payload_of(const struct bigtcp *b, uint32_t i)
{
	return i + 1 < b->count ? b->size : b->v.payload_len - i * b->size;
}

uint32_t bigtcp_piece_len(const struct bigtcp *b, uint32_t i)
{
	return b->headers + payload_of(b, i);
}

/* The headers, without the hop-by-hop header. */
static void copy_headers(const struct packet *p, const struct bigtcp *b, uint8_t *to)
{
	uint32_t before = b->skip ? b->v.l3 + (uint32_t)sizeof(struct ipv6_hdr) : 0;

	memcpy(to, p->head, before);
	memcpy(to + before, p->head + before + b->skip, b->headers - before);
	if (b->skip)
		to[b->v.l3 + offsetof(struct ipv6_hdr, next)] = IP_TCP;
}

static void fix_tcp(struct packet *piece, const struct view *v, const struct bigtcp *b, uint32_t i)
{
	struct tcp_hdr *t = view_tcp(piece, v);

	t->seq = be32_of(be32_get(t->seq) + i * b->size);
	if (i > 0) {
		t->flags &= (uint8_t)~TCP_CWR;
		piece->off.gso_type &= (uint8_t)~GSO_ECN;
	}
	if (i + 1 < b->count)
		t->flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	t->csum = be16_of(csum_pseudo(piece, v, v->l4_len));
}

void bigtcp_piece(const struct packet *p, const struct bigtcp *b, uint32_t i, uint8_t *room,
		  struct packet *ret_piece)
{
	uint32_t n = payload_of(b, i);
	struct packet piece = { .head = room, .head_len = b->headers + n, .off = p->off };
	struct view v = b->v;

	assert(i < b->count);
	copy_headers(p, b, room);
	view_payload_copy(p, &b->v, i * b->size, n, room + b->headers);
	v.l4 = (uint16_t)(v.l4 - b->skip);
	v.payload = (uint16_t)b->headers;
	v.payload_len = n;
	v.l4_len = b->headers - v.l4 + n;
	piece.off.csum_start = v.l4;
	piece.off.hdr_len = (uint16_t)b->headers;
	csum_ip_piece(&piece, &v, i * (b->size / p->off.gso_size));
	fix_tcp(&piece, &v, b, i);
	if (n <= p->off.gso_size) {
		piece.off.gso_type = GSO_NONE;
		piece.off.gso_size = 0;
	}
	*ret_piece = piece;
}
