/* SPDX-License-Identifier: MIT */
#include "proto/checksum.h"

/*
 * Theory of operation.  The one's complement sum does not care how its words are grouped or in
 * which byte order they are added, so long runs are added as native 64-bit words, carries counted
 * apart; only the folded 16 bits are then turned to network order.  A piece that starts at an odd
 * offset of the whole contributes its sum with the two bytes exchanged (RFC 1071, 2.B): that is
 * how a payload that begins in head and goes on in body after an odd number of bytes is summed
 * without copying it.
 */
#include <assert.h>
#include <string.h>

#include "proto/icmp.h"
#include "proto/ip.h"
#include "proto/tcp.h"
#include "proto/view.h"

#define TCP_CSUM_OFFSET 16u

/* Two sums run side by side, so that an addition need not wait for the carry of the one before. */
struct carry_sum {
	uint64_t lo[2], carry[2];
};

SUT_INLINE void add_word(struct carry_sum *s, unsigned lane, const uint8_t *b)
{
	uint64_t w;

	memcpy(&w, b, sizeof w);
	s->lo[lane] += w;
	s->carry[lane] += s->lo[lane] < w;
}

/* 32-bit halves and carries of s as a sum that cannot overflow. */
static uint64_t carry_total(const struct carry_sum *s)
{
	return (s->lo[0] & 0xffffffff) + (s->lo[0] >> 32) + s->carry[0] + (s->lo[1] & 0xffffffff) +
	       (s->lo[1] >> 32) + s->carry[1];
}

/* A folded sum of native words as one of network words. */
static uint16_t native_to_be(uint16_t folded)
{
	uint8_t b[2];

	memcpy(b, &folded, sizeof b);
	return load_be16(b);
}

/* The last 0 to 7 bytes; an odd one is the first half of a word. */
SUT_INLINE uint64_t sum_tail(const uint8_t *b, size_t len)
{
	uint8_t last[2] = { 0, 0 };
	uint32_t w4 = 0;
	uint16_t w2 = 0, w1;

	if (len & 4) {
		memcpy(&w4, b, sizeof w4);
		b += 4;
	}
	if (len & 2) {
		memcpy(&w2, b, sizeof w2);
		b += 2;
	}
	if (len & 1)
		last[0] = b[0];
	memcpy(&w1, last, sizeof w1);
	return (uint64_t)w4 + w2 + w1;
}

uint64_t csum_add(uint64_t sum, const void *p, size_t len)
{
	struct carry_sum s = { { 0, 0 }, { 0, 0 } };
	const uint8_t *b = p;

	for (; len >= 32; b += 32, len -= 32) {
		add_word(&s, 0, b);
		add_word(&s, 1, b + 8);
		add_word(&s, 0, b + 16);
		add_word(&s, 1, b + 24);
	}
	for (; len >= 8; b += 8, len -= 8)
		add_word(&s, 0, b);
	return sum + native_to_be(csum_fold(carry_total(&s) + sum_tail(b, len)));
}

/* The sum of len bytes of p from offset from on; from lies in head, the bytes may go on in body. */
static uint64_t sum_range(const struct packet *p, uint32_t from, uint32_t len)
{
	uint32_t in_head = p->head_len - from;
	uint64_t rest;

	assert(from <= p->head_len && len <= packet_len(p) - from);
	if (len <= in_head)
		return csum_add(0, p->head + from, len);
	rest = csum_fold(csum_add(0, p->body, len - in_head));
	if (in_head & 1)
		rest <<= 8;
	return csum_add(rest, p->head + from, in_head);
}

/* Inverts sum into the field at f, which counted as 0 in it. */
static void store_csum(uint8_t *f, uint64_t sum)
{
	store_be16(f, (uint16_t)~csum_fold(sum));
}

uint16_t csum_pseudo(const struct packet *p, const struct view *v, uint32_t l4_len)
{
	const uint8_t *l3 = p->head + v->l3;
	uint64_t sum = (uint64_t)v->proto + (l4_len & 0xffff) + (l4_len >> 16);

	assert(v->ip == 4 || v->ip == 6);
	if (v->ip == 4)
		sum = csum_add(sum, l3 + offsetof(struct ipv4_hdr, src), 8);
	else
		sum = csum_add(csum_add(sum, l3 + offsetof(struct ipv6_hdr, src), 16),
			       ip6_final_dst(l3, (uint32_t)(v->l4 - v->l3)), 16);
	return csum_fold(sum);
}

bool csum_tcp_ok(const struct packet *p, const struct view *v)
{
	if (p->off.csum == CSUM_PARTIAL)
		return true;
	return csum_fold(sum_range(p, v->l4, v->l4_len) + csum_pseudo(p, v, v->l4_len)) == 0xffff;
}

bool csum_icmp_ok(const struct packet *p, const struct view *v)
{
	uint64_t sum = v->proto == IP_ICMP6 ? csum_pseudo(p, v, v->l4_len) : 0;

	return p->off.csum == CSUM_PARTIAL ||
	       csum_fold(sum_range(p, v->l4, v->l4_len) + sum) == 0xffff;
}

bool csum_ip_ok(const struct packet *p, const struct view *v)
{
	const uint8_t *l3 = p->head + v->l3;

	return v->ip != 4 || csum_fold(csum_add(0, l3, (l3[0] & 15u) * 4)) == 0xffff;
}

void csum_tcp_fill(struct packet *p, const struct view *v)
{
	uint8_t *f = p->head + v->l4 + TCP_CSUM_OFFSET;

	store_be16(f, 0);
	store_csum(f, sum_range(p, v->l4, v->l4_len) + csum_pseudo(p, v, v->l4_len));
	p->off.csum = CSUM_COMPLETE;
}

void csum_ip_fill(struct packet *p, const struct view *v)
{
	uint8_t *l3 = p->head + v->l3;
	uint8_t *f = l3 + offsetof(struct ipv4_hdr, csum);

	if (v->ip != 4)
		return;
	store_be16(f, 0);
	store_csum(f, csum_add(0, l3, (l3[0] & 15u) * 4));
}

void csum_ip_piece(struct packet *p, const struct view *v, uint32_t ids)
{
	if (v->ip == 4) {
		struct ipv4_hdr *ip = (struct ipv4_hdr *)(p->head + v->l3);

		ip->len = be16_of((uint16_t)(p->head_len - v->l3));
		ip->id = be16_of((uint16_t)(be16_get(ip->id) + ids));
		csum_ip_fill(p, v);
	} else {
		struct ipv6_hdr *ip = (struct ipv6_hdr *)(p->head + v->l3);

		ip->payload_len = be16_of((uint16_t)(p->head_len - v->l3 - sizeof *ip));
	}
}

void csum_icmp_fill(struct packet *p, const struct view *v)
{
	uint8_t *f = p->head + v->l4 + offsetof(struct icmp_hdr, csum);
	uint64_t sum = 0;

	if (v->proto == IP_ICMP6)
		sum = csum_pseudo(p, v, v->l4_len);
	store_be16(f, 0);
	store_csum(f, sum + sum_range(p, v->l4, v->l4_len));
	p->off.csum = CSUM_COMPLETE;
}

bool csum_finish(struct packet *p)
{
	uint32_t start = p->off.csum_start, at = start + p->off.csum_offset;
	uint16_t csum;

	if (p->off.csum != CSUM_PARTIAL)
		return true;
	if (at + 2 > p->head_len)
		return false;
	csum = (uint16_t)~csum_fold(sum_range(p, start, packet_len(p) - start));
	store_be16(p->head + at, csum ? csum : 0xffff); /* 0 would mean "none" to UDP */
	p->off.csum = CSUM_COMPLETE;
	return true;
}
