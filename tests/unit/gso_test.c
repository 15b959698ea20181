/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/gso.h"
#include "proto/checksum.h"
#include "proto/ip.h"

#define SEQ 0xfffffc00u /* wraps within the first segments */
#define ID 0xfffeu /* wraps too */
#define FRAME_MAX 66000u

/* What kind of super-packet to build. */
struct shape {
	uint8_t ip; /* 4 or 6 */
	uint8_t proto; /* IP_TCP or IP_UDP */
	uint8_t vlans;
	uint8_t options; /* bytes of TCP options, all NOP */
	uint8_t flags;
	uint16_t mss;
	uint32_t payload;
};

static uint32_t rng = 1;

static uint32_t rnd(uint32_t n)
{
	rng = rng * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(rng ^ rng >> 15) * n >> 32);
}

static uint32_t put_eth(uint8_t *f, const struct shape *s)
{
	uint32_t at = 12;

	memset(f, 2, 12);
	for (unsigned i = 0; i < s->vlans; i++, at += 4) {
		store_be16(f + at, ETH_VLAN);
		store_be16(f + at + 2, (uint16_t)(100 + i));
	}
	store_be16(f + at, s->ip == 4 ? ETH_IP4 : ETH_IP6);
	return at + 2;
}

static uint32_t put_ip(uint8_t *f, const struct shape *s, uint32_t l4_len)
{
	struct ipv6_hdr *h6 = (struct ipv6_hdr *)f;
	struct ipv4_hdr *h4 = (struct ipv4_hdr *)f;

	if (s->ip == 6) {
		*h6 = (struct ipv6_hdr){
			.ver_tc_flow = be32_of(6u << 28 | 0x12345),
			.payload_len = be16_of((uint16_t)l4_len),
			.next = s->proto,
			.hop_limit = 64,
			.src = { 0x20, 1, 0xd, 0xb8, [15] = 1 },
			.dst = { 0x20, 1, 0xd, 0xb8, [15] = 2 },
		};
		return sizeof *h6;
	}
	*h4 = (struct ipv4_hdr){
		.ver_ihl = 0x45,
		.len = be16_of((uint16_t)(sizeof *h4 + l4_len)),
		.id = be16_of(ID),
		.frag = be16_of(IP4_DF),
		.ttl = 64,
		.proto = s->proto,
		.src = { 192, 0, 2, 1 },
		.dst = { 198, 51, 100, 1 },
	};
	return sizeof *h4;
}

static uint32_t put_l4(uint8_t *f, const struct shape *s)
{
	if (s->proto == IP_UDP) {
		store_be16(f, 4000);
		store_be16(f + 2, 53);
		store_be16(f + 4, (uint16_t)(8 + s->payload));
		return 8;
	}
	*(struct tcp_hdr *)f = (struct tcp_hdr){
		.sport = be16_of(40000),
		.dport = be16_of(80),
		.seq = be32_of(SEQ),
		.ack = be32_of(77),
		.doff = (uint8_t)((20 + s->options) / 4 << 4),
		.flags = s->flags,
		.window = be16_of(1000),
	};
	memset(f + 20, TCPOPT_NOP, s->options);
	return 20u + s->options;
}

/*
 * Builds it in frame, the body split off at a random place; as a sender's stack leaves it: partial
 * checksum.
 */
static struct packet build(uint8_t *frame, const struct shape *s)
{
	uint32_t l4_hdr = s->proto == IP_UDP ? 8 : 20u + s->options, l3, l4, headers, split;
	struct packet p = { .head = frame };

	l3 = put_eth(frame, s);
	l4 = l3 + put_ip(frame + l3, s, l4_hdr + s->payload);
	headers = l4 + put_l4(frame + l4, s);
	for (uint32_t i = 0; i < s->payload; i++)
		frame[headers + i] = (uint8_t)rnd(256);
	split = rnd(2) ? s->payload : rnd(s->payload + 1);
	p.head_len = headers + split;
	p.body_len = s->payload - split;
	p.body = frame + p.head_len;
	p.off = (struct offload){
		.csum = CSUM_PARTIAL,
		.gso_size = s->mss,
		.gso_type = s->proto == IP_UDP ? GSO_UDP_L4
			    : s->ip == 4       ? GSO_TCP4
					       : GSO_TCP6,
		.csum_start = (uint16_t)l4,
		.csum_offset = s->proto == IP_UDP ? 6 : 16,
	};
	if (s->flags & TCP_CWR)
		p.off.gso_type |= GSO_ECN;
	return p;
}

static bool udp_ok(const struct packet *p, const struct view *v)
{
	const uint8_t *u = p->head + v->l4;

	return load_be16(u + 4) == v->l4_len && load_be16(u + 6) != 0 &&
	       csum_fold(csum_add(csum_pseudo(p, v, v->l4_len), u, v->l4_len)) == 0xffff;
}

static void check_tcp(const struct packet *seg, const struct view *v, const struct shape *s,
		      const struct gso *g, uint32_t i)
{
	uint8_t want = s->flags;

	if (i > 0)
		want &= (uint8_t)~TCP_CWR;
	if (i + 1 < g->count)
		want &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	assert_true(v->tcp);
	assert_int_equal(v->seq, SEQ + i * s->mss);
	assert_int_equal(v->flags, want);
	assert_int_equal(view_options_len(v), s->options);
	assert_true(csum_tcp_ok(seg, v));
}

/* One segment is a good frame by itself, and its payload is the next part of the whole. */
static void check_segment(struct packet *seg, const struct shape *s, const struct gso *g,
			  uint32_t i)
{
	struct view v;

	assert_int_equal(view_parse(seg, &v), R_NONE);
	assert_int_equal(v.vlans, s->vlans);
	assert_int_equal(v.l4 + v.l4_len, seg->head_len);
	assert_true(csum_ip_ok(seg, &v));
	if (s->ip == 4)
		assert_int_equal(load_be16(seg->head + v.l3 + 4), (uint16_t)(ID + i));
	if (s->proto == IP_TCP)
		check_tcp(seg, &v, s, g, i);
	else
		assert_true(udp_ok(seg, &v));
}

static void check_shape(const struct shape *s)
{
	static uint8_t frame[FRAME_MAX], cut[FRAME_MAX];
	struct packet p = build(frame, s);
	uint32_t at = 0, total = 0;
	struct view v;
	struct gso g;

	assert_int_equal(view_parse(&p, &v), R_NONE);
	gso_plan(&p, &v, &g);
	assert_int_equal(g.count, s->payload > s->mss ? (s->payload - 1) / s->mss + 1 : 1);
	if (g.count == 1) {
		assert_int_equal(gso_wire_len(&g), packet_len(&p));
		return;
	}
	for (uint32_t i = 0; i < g.count; i++) {
		struct packet seg = {
			.head = cut,
			.head_len = gso_segment_len(&g, i),
			.off = { .csum = CSUM_COMPLETE },
		};
		uint32_t n = seg.head_len - g.headers;

		memset(cut, 0xa5, seg.head_len + 1);
		gso_cut(&p, &v, &g, i, cut);
		assert_int_equal(cut[seg.head_len], 0xa5);
		assert_true(n == s->mss || i + 1 == g.count);
		check_segment(&seg, s, &g, i);
		assert_memory_equal(cut + g.headers, frame + g.headers + at, n);
		at += n;
		total += seg.head_len;
	}
	assert_int_equal(at, s->payload);
	assert_int_equal(total, gso_wire_len(&g));
}

static void segments_make_up_the_whole(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		struct shape s = {
			.ip = rnd(2) ? 4 : 6,
			.proto = rnd(4) ? IP_TCP : IP_UDP,
			.vlans = (uint8_t)rnd(3),
			.flags = TCP_ACK,
			.mss = (uint16_t)(1 + rnd(1460)),
		};

		if (s.proto == IP_TCP) {
			s.options = (uint8_t)(4 * rnd(11));
			s.flags |= (uint8_t)(rnd(256) & (TCP_FIN | TCP_PSH | TCP_CWR | TCP_ECE));
		}
		s.payload = s.mss * (1 + rnd(4)) + rnd(s.mss);
		check_shape(&s);
	}
}

static void edges(void **state)
{
	static const struct shape table[] = {
		{ 4, IP_TCP, 0, 12, TCP_ACK | TCP_PSH, 1448, 65000 }, /* as Linux sends */
		{ 4, IP_TCP, 0, 0, TCP_ACK, 1000, 2000 }, /* a whole number of segments */
		{ 6, IP_TCP, 0, 0, TCP_ACK, 1000, 1001 }, /* one byte in the last */
		{ 4, IP_TCP, 0, 0, TCP_ACK, 1000, 1000 }, /* one segment: not cut */
		{ 4, IP_TCP, 0, 0, TCP_ACK | TCP_FIN, 1000, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		check_shape(&table[i]);
}

static void what_is_not_known_stays_whole(void **state)
{
	static const uint8_t types[] = { GSO_NONE, GSO_UDP, 77 };
	static const struct shape s = { 4, IP_TCP, 0, 0, TCP_ACK, 100, 1000 };
	static uint8_t frame[2000];
	struct packet p = build(frame, &s);
	struct view v;
	struct gso g;

	(void)state;
	assert_int_equal(view_parse(&p, &v), R_NONE);
	for (size_t i = 0; i < sizeof types; i++) {
		p.off.gso_type = types[i];
		gso_plan(&p, &v, &g);
		assert_int_equal(g.count, 1);
		assert_int_equal(gso_wire_len(&g), packet_len(&p));
	}
	p.off.gso_type = GSO_TCP4;
	p.off.gso_size = 0;
	gso_plan(&p, &v, &g);
	assert_int_equal(g.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_make_up_the_whole),
		cmocka_unit_test(edges),
		cmocka_unit_test(what_is_not_known_stays_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
