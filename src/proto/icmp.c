/* SPDX-License-Identifier: MIT */
#include "proto/icmp.h"

#include <stddef.h>
#include <string.h>

#include "proto/checksum.h"
#include "proto/ip.h"
#include "proto/tcp.h"
#include "proto/view.h"

#define QUOTE_MIN 8u /* bytes of TCP: ports and seq */
#define TCP_SEQ_OFF offsetof(struct tcp_hdr, seq)
#define TCP_ACK_OFF offsetof(struct tcp_hdr, ack)
#define TCP_CSUM_OFF offsetof(struct tcp_hdr, csum)

enum { ICMP4_UNREACH = 3, ICMP4_TIME = 11, ICMP4_PARAM = 12 };
enum { ICMP4_FRAG_NEEDED = 4 }; /* code of ICMP4_UNREACH */
enum { ICMP6_UNREACH = 1, ICMP6_BIG = 2, ICMP6_TIME = 3, ICMP6_PARAM = 4 };

static enum icmp_kind kind4(const struct icmp_hdr *h)
{
	switch (h->type) {
	case ICMP4_UNREACH:
		return h->code == ICMP4_FRAG_NEEDED ? ICMP_TOO_BIG : ICMP_UNREACHABLE;
	case ICMP4_TIME:
		return ICMP_TIME;
	case ICMP4_PARAM:
		return ICMP_PARAM;
	default:
		return ICMP_OTHER;
	}
}

static enum icmp_kind kind6(const struct icmp_hdr *h)
{
	switch (h->type) {
	case ICMP6_UNREACH:
		return ICMP_UNREACHABLE;
	case ICMP6_BIG:
		return ICMP_TOO_BIG;
	case ICMP6_TIME:
		return ICMP_TIME;
	case ICMP6_PARAM:
		return ICMP_PARAM;
	default:
		return ICMP_OTHER;
	}
}

static bool is_icmp(const struct view *v)
{
	return (v->ip == 4 && v->proto == IP_ICMP) || (v->ip == 6 && v->proto == IP_ICMP6);
}

/* Bytes of the message of v that lie in head. */
static uint32_t message_len(const struct packet *p, const struct view *v)
{
	uint32_t in_head = p->head_len - v->l4;

	return v->l4_len < in_head ? v->l4_len : in_head;
}

/*
 * The length fields of a quoted header are not looked at: the quote is cut, and hosts are known
 * to have changed them before quoting.  ret_len: of the IP header with all that belongs to it;
 * false if no TCP begins behind it.
 */
static bool quote_ip4(const uint8_t *q, uint32_t n, uint32_t *ret_len)
{
	uint32_t ihl;

	if (n < sizeof(struct ipv4_hdr) || q[0] >> 4 != 4)
		return false;
	ihl = (q[0] & 15u) * 4;
	if (ihl < sizeof(struct ipv4_hdr) || q[9] != IP_TCP || load_be16(q + 6) & IP4_OFFSET)
		return false;
	*ret_len = ihl;
	return true;
}

static bool quote_ip6(const uint8_t *q, uint32_t n, uint32_t *ret_len)
{
	const uint32_t fixed = sizeof(struct ipv6_hdr);
	struct ip6_chain c;

	if (n < fixed || q[0] >> 4 != 6 || ip6_chain_read(q[6], q + fixed, n - fixed, &c) != R_NONE)
		return false;
	if (c.proto != IP_TCP || c.frag >> 3)
		return false;
	*ret_len = fixed + c.len;
	return true;
}

static void take_addrs(const struct view *v, const uint8_t *q, struct icmp_error *e)
{
	if (v->ip == 4) {
		ip4_map(q + offsetof(struct ipv4_hdr, src), e->src);
		ip4_map(q + offsetof(struct ipv4_hdr, dst), e->dst);
	} else {
		memcpy(e->src, q + offsetof(struct ipv6_hdr, src), 16);
		memcpy(e->dst, q + offsetof(struct ipv6_hdr, dst), 16);
	}
}

/* Reads the quote of n bytes behind the ICMP header. */
static enum reason read_quote(const struct packet *p, const struct view *v, uint32_t n,
			      struct icmp_error *e)
{
	uint32_t at = v->l4 + (uint32_t)sizeof(struct icmp_hdr), len;
	const uint8_t *q = p->head + at, *t;
	bool ok = v->ip == 4 ? quote_ip4(q, n, &len) : quote_ip6(q, n, &len);

	if (!ok || n < len + QUOTE_MIN)
		return R_ICMP_QUOTE;
	t = q + len;
	take_addrs(v, q, e);
	e->sport = load_be16(t);
	e->dport = load_be16(t + 2);
	e->seq = load_be32(t + TCP_SEQ_OFF);
	e->has_ack = n - len >= TCP_ACK_OFF + 4;
	if (e->has_ack)
		e->ack = load_be32(t + TCP_ACK_OFF);
	e->quote = (uint16_t)at;
	e->quote_l4 = (uint16_t)(at + len);
	return R_NONE;
}

enum reason icmp_error_read(const struct packet *p, const struct view *v, struct icmp_error *ret_e)
{
	struct icmp_error e = { .kind = ICMP_OTHER };
	struct icmp_hdr h;
	enum reason r;

	if (is_icmp(v) && !v->fragment) {
		uint32_t n = message_len(p, v);

		if (n < sizeof h)
			return R_ICMP_SHORT;
		memcpy(&h, p->head + v->l4, sizeof h);
		e.kind = v->ip == 4 ? kind4(&h) : kind6(&h);
		if (e.kind == ICMP_TOO_BIG)
			e.mtu = be32_get(h.rest) & (v->ip == 4 ? 0xffff : UINT32_MAX);
		r = e.kind == ICMP_OTHER ? R_NONE : read_quote(p, v, n - (uint32_t)sizeof h, &e);
		if (r != R_NONE)
			return r;
	}
	*ret_e = e;
	return R_NONE;
}

void icmp_error_set_seq(struct packet *p, const struct view *v, const struct icmp_error *e,
			uint32_t seq)
{
	static const struct offload quoted = { .csum = CSUM_UNKNOWN };
	uint8_t *t = p->head + e->quote_l4, *f = t + TCP_CSUM_OFF;
	uint8_t *icmp_csum = p->head + v->l4 + offsetof(struct icmp_hdr, csum);
	struct csum_delta inner = { 0 }, outer;

	csum_swap32(&inner, load_be32(t + TCP_SEQ_OFF), seq, false);
	store_be32(t + TCP_SEQ_OFF, seq);
	outer = inner;
	if (v->l4 + message_len(p, v) >= e->quote_l4 + TCP_CSUM_OFF + 2) {
		uint16_t old = load_be16(f);

		csum_apply(f, &quoted, inner);
		csum_swap16(&outer, old, load_be16(f));
	}
	csum_apply(icmp_csum, &p->off, outer);
}
