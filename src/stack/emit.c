/* SPDX-License-Identifier: MIT */
#include "stack/emit.h"

#include <assert.h>

#include "proto/checksum.h"
#include "proto/ip.h"

/*
 * The one place where headers are written: into s->emit_head, behind PACKET_HEADROOM bytes that are the device's.  The payload stays
 * where it is, in slices.
 */

#define V4_IN_16 12u
#define CSUM_OFFSET 16u /* of the checksum in the TCP header */
#define IP4_MTU_FLOOR 552u /* below it packets go out without DF */

/*
 * RFC 6864, 4.1: with DF set the id says nothing; it counts all the same, for those who look.  Path MTU discovery needs DF; where the
 * path's MTU is as low as it is believed to be, fragments are let.
 */
static void put_ip4(uint8_t *at, struct conn *c, const struct conn_quad *q,
		    const struct emit_ip *ip)
{
	struct ipv4_hdr h = {
		.ver_ihl = 0x45,
		.tos = ip->tos,
		.len = be16_of((uint16_t)(sizeof h + ip->l4_len)),
		.id = be16_of(c ? c->ip_id++ : 0),
		.frag = be16_of(c && c->path_mtu <= IP4_MTU_FLOOR ? 0 : IP4_DF),
		.ttl = ip->ttl,
		.proto = ip->proto,
	};

	memcpy(h.src, q->laddr + V4_IN_16, sizeof h.src);
	memcpy(h.dst, q->raddr + V4_IN_16, sizeof h.dst);
	h.csum = be16_of((uint16_t)~csum_fold(csum_add(0, &h, sizeof h)));
	memcpy(at, &h, sizeof h);
}

/* RFC 6437: the flow label is a hash of the connection that nobody can guess. */
static void put_ip6(uint8_t *at, const struct stack *s, const struct conn_quad *q,
		    const struct emit_ip *ip)
{
	uint32_t label = (uint32_t)hash40(&s->table_key, q) & 0xfffff;
	struct ipv6_hdr h = {
		.ver_tc_flow = be32_of(6u << 28 | (uint32_t)ip->tos << 20 | label),
		.payload_len = be16_of((uint16_t)ip->l4_len),
		.next = ip->proto,
		.hop_limit = ip->ttl,
	};

	memcpy(h.src, q->laddr, sizeof h.src);
	memcpy(h.dst, q->raddr, sizeof h.dst);
	memcpy(at, &h, sizeof h);
}

uint32_t emit_ip(struct stack *s, struct conn *c, const struct conn_quad *q,
		 const struct emit_ip *ip, uint8_t *ret_at)
{
	if (ip_is_mapped(q->laddr)) {
		put_ip4(ret_at, c, q, ip);
		return sizeof(struct ipv4_hdr);
	}
	put_ip6(ret_at, s, q, ip);
	return sizeof(struct ipv6_hdr);
}

uint64_t emit_pseudo(const struct conn_quad *q, uint8_t proto, uint32_t l4_len)
{
	uint32_t skip = ip_is_mapped(q->laddr) ? V4_IN_16 : 0, n = 16 - skip;
	uint64_t sum = csum_add(proto + (uint64_t)l4_len, q->laddr + skip, n);

	return csum_add(sum, q->raddr + skip, n);
}

uint64_t emit_sum_slices(uint64_t sum, const struct stack_slice *slice, unsigned n)
{
	bool odd = false;

	for (unsigned i = 0; i < n; i++) {
		uint64_t piece = csum_add(0, slice[i].bytes, slice[i].len);

		/* A piece at an odd offset counts with its bytes exchanged (RFC 1071, 2.B). */
		sum += odd ? (uint64_t)csum_fold(piece) << 8 : csum_fold(piece);
		odd ^= slice[i].len & 1;
	}
	return sum;
}

static uint32_t put_tcp(uint8_t *at, const struct conn_quad *q, const struct output_seg *o)
{
	uint32_t len = (uint32_t)sizeof(struct tcp_hdr) + o->options_len;
	struct tcp_hdr h = {
		.sport = be16_of(q->lport),
		.dport = be16_of(q->rport),
		.seq = be32_of(o->seq),
		.ack = be32_of(o->ack),
		.doff = (uint8_t)(len / 4 << 4),
		.flags = o->flags,
		.window = be16_of(o->window),
		.urg = be16_of(o->urg),
	};

	assert(o->options_len % 4 == 0 && o->options_len <= 40);
	memcpy(at, &h, sizeof h);
	if (o->options_len > 0)
		memcpy(at + sizeof h, o->options, o->options_len);
	return len;
}

/* MUST-2: in full, or the pseudo-header's part of it for a device that does the rest. */
static void put_checksum(const struct stack *s, const struct conn_quad *q, uint8_t *tcp,
			 uint32_t tcp_len, struct stack_out *out)
{
	uint64_t sum = emit_pseudo(q, IP_TCP, tcp_len + out->payload_len);

	if (s->cfg.offload & STACK_OFFLOAD_CSUM) {
		out->off.csum = CSUM_PARTIAL;
		out->off.csum_start = (uint16_t)(tcp - out->head);
		out->off.csum_offset = CSUM_OFFSET;
		store_be16(tcp + CSUM_OFFSET, csum_fold(sum));
		return;
	}
	out->off.csum = CSUM_COMPLETE;
	sum = csum_add(sum, tcp, tcp_len);
	sum = emit_sum_slices(sum, out->slice, out->n);
	store_be16(tcp + CSUM_OFFSET, (uint16_t)~csum_fold(sum));
}

static int send(struct stack *s, const struct stack_out *out)
{
	int r = s->env.emit(s->env.ctx, out);

	if (r < 0)
		stack_bump(s, STACK_EMIT_REFUSED);
	return r;
}

int emit_raw(struct stack *s, const struct stack_out *out)
{
	return send(s, out);
}

uint32_t emit_gather(struct stack *s, struct conn *c, uint32_t pos, uint32_t len)
{
	uint32_t bytes = 0;

	s->emit_slices =
		len == 0 ? 0 : sendq_slices(s, c, pos, len, s->emit_slice, STACK_SLICES, &bytes);
	return bytes;
}

int emit_gathered(struct stack *s, struct conn *c, const struct conn_quad *q,
		  const struct emit_lane *lane, const struct output_seg *o)
{
	uint32_t tcp_len = (uint32_t)sizeof(struct tcp_hdr) + o->options_len;
	struct emit_ip ip = {
		.proto = IP_TCP,
		.ttl = lane->ttl,
		.tos = (uint8_t)(lane->tos | o->ecn),
		.l4_len = tcp_len + o->len,
	};
	struct stack_out out = {
		.head = s->emit_head + PACKET_HEADROOM,
		.n = s->emit_slices,
		.slice = s->emit_slice,
		.payload_len = o->len,
	};
	uint32_t l4 = emit_ip(s, c, q, &ip, out.head);

	(void)put_tcp(out.head + l4, q, o);
	out.head_len = l4 + tcp_len;
	put_checksum(s, q, out.head + l4, tcp_len, &out);
	/* Before the peer's SYN there is no mss. */
	if (c != NULL && !(o->flags & TCP_SYN) && o->len > c->mss) {
		assert(s->cfg.offload & STACK_OFFLOAD_TSO);
		out.off.gso_type = ip_is_mapped(q->laddr) ? GSO_TCP4 : GSO_TCP6;
		out.off.gso_size = (uint16_t)c->mss;
		out.off.hdr_len = (uint16_t)out.head_len;
	}
	stack_bump(s, STACK_SEGS_OUT);
	if (c != NULL)
		c->segs_out++;
	return send(s, &out);
}

int output_emit(struct stack *s, struct conn *c, const struct conn_quad *q, uint8_t ttl,
		uint8_t tos, const struct output_seg *o)
{
	struct output_seg seg = *o;
	const struct emit_lane lane = { ttl, tos };

	seg.len = o->payload && c != NULL ? emit_gather(s, c, o->pos, o->len)
					  : emit_gather(s, c, 0, 0);
	return emit_gathered(s, c, q, &lane, &seg);
}
