/* SPDX-License-Identifier: MIT */
#include "app/sight.h"

#include <string.h>

#include "proto/checksum.h"
#include "proto/ip.h"
#include "proto/tcp.h"

/* The payload's hash is a polynomial in this, modulo 2^64: hashes of pieces can be joined. */
#define BASE UINT64_C(0x9e3779b97f4a7c15)

static uint64_t power(uint32_t n)
{
	uint64_t p = 1, square = BASE;

	for (; n; n >>= 1, square *= square)
		if (n & 1)
			p *= square;
	return p;
}

uint64_t sight_join(uint64_t a, uint64_t b, uint32_t len)
{
	return a * power(len) + b;
}

static uint64_t hash_of(const uint8_t *b, uint32_t n)
{
	const uint64_t p2 = BASE * BASE, p3 = p2 * BASE, p4 = p2 * p2;
	uint64_t h = 0;
	uint32_t i = 0;

	/* a byte counts as one more than its value: zeroes count too */
	for (; i + 4 <= n; i += 4)
		h = h * p4 + (b[i] + 1) * p3 + (b[i + 1] + 1) * p2 + (b[i + 2] + 1) * BASE +
		    (b[i + 3] + 1);
	for (; i < n; i++)
		h = h * BASE + b[i] + 1;
	return h;
}

static void read_options(const struct packet *p, const struct view *v, struct sight *s)
{
	const uint8_t *h = p->head + v->l4;
	struct tcp_options o;

	if (view_options(p, v, &o) != R_NONE)
		s->marks |= SIGHT_BAD_OPTIONS;
	s->present = o.present;
	s->mss = o.mss;
	s->wscale = o.wscale;
	s->tsval = o.tsval;
	s->tsecr = o.tsecr;
	if (!(o.present & OPT_SACK))
		return;
	s->sack_count = o.sack_count < SIGHT_SACK_MAX ? o.sack_count : SIGHT_SACK_MAX;
	for (unsigned i = 0; i < s->sack_count; i++) {
		s->sack[i][0] = load_be32(h + o.sack_off + 8 * i);
		s->sack[i][1] = load_be32(h + o.sack_off + 8 * i + 4);
	}
}

/* A field that holds just the pseudo header's sum was left to a device. */
static bool csum_bad(const struct packet *p, const struct view *v)
{
	return !csum_tcp_ok(p, v) && be16_get(view_tcp(p, v)->csum) != csum_pseudo(p, v, v->l4_len);
}

static void read_segment(const struct packet *p, const struct view *v, bool hashed, struct sight *s)
{
	bool whole = p->body_len == 0 && !(s->marks & SIGHT_CUT_OPTIONS);

	s->seq = v->seq;
	s->ack = v->ack;
	s->len = v->payload_len;
	s->flags = v->flags;
	s->window = v->window;
	if (v->ip == 4)
		s->ipid = load_be16(p->head + v->l3 + 4);
	read_options(p, v, s);
	if (!whole) {
		s->marks |= SIGHT_CUT;
		return;
	}
	if (csum_bad(p, v))
		s->marks |= SIGHT_BAD_CSUM;
	if (hashed) {
		s->hash = hash_of(p->head + v->payload, v->payload_len);
		s->marks |= SIGHT_HASHED;
	}
}

/* The key of the segment that an ICMP error is about. */
static struct flow_key quoted_key(const struct view *v, const struct icmp_error *e)
{
	struct flow_key k;

	memcpy(k.src, e->src, 16);
	memcpy(k.dst, e->dst, 16);
	k.sport = be16_of(e->sport);
	k.dport = be16_of(e->dport);
	k.where = flow_key_where(v, 0);
	return k;
}

static enum sight_kind read_other(const struct packet *p, const struct view *v, struct sight *s,
				  struct flow_key *ret_key)
{
	struct icmp_error e;

	if (v->fragment)
		return v->proto == IP_TCP ? SIGHT_FRAGMENT : SIGHT_NOT_TCP;
	if (v->ip == 0 || (v->proto != IP_ICMP && v->proto != IP_ICMP6) ||
	    icmp_error_read(p, v, &e) != R_NONE || e.kind == ICMP_OTHER)
		return SIGHT_NOT_TCP;
	s->icmp = (uint8_t)e.kind;
	s->mtu = e.kind == ICMP_TOO_BIG ? e.mtu : 0;
	s->seq = e.seq;
	*ret_key = quoted_key(v, &e);
	return SIGHT_ICMP;
}

#define HEADERS 256u /* bytes of all headers, where options are completed */

/*
 * A frame that was cut within TCP's options, as v says so far: makes p one whose head is a copy of the headers, without the options
 * that are not wholly there.
 */
static bool complete_options(struct packet *p, const struct view *v, uint8_t copy[HEADERS])
{
	uint32_t whole = packet_len(p), options = v->l4 + (uint32_t)sizeof(struct tcp_hdr), end;
	struct tcp_option o;
	size_t at = 0;

	if (p->body_len == 0 || p->head_len < options)
		return false;
	end = v->l4 + (p->head[v->l4 + 12] >> 4) * 4u;
	if (end <= p->head_len || end > HEADERS || end - v->l4 > v->l4_len)
		return false;
	memcpy(copy, p->head, p->head_len);
	while (tcp_option_next(copy + options, p->head_len - options, &at, &o))
		;
	memset(copy + options + at, TCPOPT_EOL, end - options - at);
	p->head = copy;
	p->head_len = end;
	p->body_len = whole - end;
	return true;
}

enum sight_kind sight_read(const struct capture_frame *f, bool hashed, struct sight *ret_s,
			   struct flow_key *ret_key)
{
	/*
	 * Parsing looks at headers only, which have to lie in head; of what was not captured it takes the length.  A super-packet
	 * that is too long for IP's length field has 0 there.
	 */
	struct packet p = {
		.head = (uint8_t *)(uintptr_t)f->bytes,
		.head_len = f->len,
		.body_len = f->wire_len > f->len ? f->wire_len - f->len : 0,
		.off.gso_type = GSO_TCP4,
	};
	uint8_t copy[HEADERS];
	enum reason bad;
	struct view v;

	*ret_s = (struct sight){ .at = f->at };
	if (p.body_len > UINT32_MAX - p.head_len)
		return SIGHT_MALFORMED;
	bad = view_parse(&p, &v);
	if (bad == R_TCP_DOFF && complete_options(&p, &v, copy)) {
		ret_s->marks |= SIGHT_CUT_OPTIONS;
		bad = view_parse(&p, &v);
	}
	if (bad)
		return SIGHT_MALFORMED;
	if (!v.tcp)
		return read_other(&p, &v, ret_s, ret_key);
	flow_key_of(&p, &v, 0, ret_key);
	read_segment(&p, &v, hashed, ret_s);
	return SIGHT_TCP;
}
