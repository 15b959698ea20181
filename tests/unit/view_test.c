/* SPDX-License-Identifier: MIT */
/* view: frames of each kind, each reason, every truncation, and the short way against the general one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "frame.h"
#include "proto/view.h"

enum { MORE = 0x2000, DF = 0x4000 };

/* All that the header promises of a view, whatever the frame was. */
static void check_inside(const struct packet *p, const struct view *v, enum reason r)
{
	uint32_t fixed = v->ip == 4 ? 20 : v->ip == 6 ? 40 : 0;

	assert_true(v->vlans <= VLAN_TAGS_MAX);
	assert_true(r == R_NONE || !v->tcp);
	if (fixed)
		assert_true(v->l3 + fixed <= p->head_len);
	if (r == R_NONE && v->ip) {
		assert_true(v->l4 <= p->head_len);
		assert_true(v->l4 + v->l4_len <= packet_len(p));
	}
	if (v->tcp) {
		assert_true(v->payload <= p->head_len && v->payload >= v->l4 + 20);
		assert_int_equal(v->payload_len, v->l4_len - (uint32_t)(v->payload - v->l4));
		assert_true(!v->fragment && v->proto == 6);
	}
}

static void check_view(const struct view *a, const struct view *b)
{
	assert_int_equal(a->l3, b->l3);
	assert_int_equal(a->l4, b->l4);
	assert_int_equal(a->ip, b->ip);
	assert_int_equal(a->proto, b->proto);
	assert_int_equal(a->fragment, b->fragment);
	assert_int_equal(a->l4_len, b->l4_len);
	assert_int_equal(a->tcp, b->tcp);
	if (!a->tcp)
		return;
	assert_int_equal(a->payload, b->payload);
	assert_int_equal(a->payload_len, b->payload_len);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->window, b->window);
	assert_int_equal(a->seq, b->seq);
	assert_int_equal(a->ack, b->ack);
}

/* One well-formed TCP frame each. */
static void plain4(struct frame *f)
{
	frame_segment(f, 4, 100);
}

static void plain6(struct frame *f)
{
	frame_segment(f, 6, 100);
}

static void options4(struct frame *f)
{
	frame_eth(f, NULL, 0x0800);
	frame_ip4(f, 6, 40);
	frame_tcp(f, 0x02, "\x02\x04\x05\xb4", 4);
	frame_end(f);
}

static void tagged4(struct frame *f)
{
	frame_eth(f, (const uint32_t[]){ 0x8100e064, 0 }, 0x0800);
	frame_ip4(f, 6, 0);
	frame_tcp(f, 0x10, NULL, 0);
	frame_end(f);
}

static void qinq6(struct frame *f)
{
	frame_eth(f, (const uint32_t[]){ 0x88a80064, 0x81000007, 0 }, 0x86dd);
	frame_ip6(f, 6, 6);
	frame_tcp(f, 0x11, FRAME_TS, 12);
	frame_payload(f, 3);
	frame_end(f);
}

static void old_qinq4(struct frame *f)
{
	frame_eth(f, (const uint32_t[]){ 0x91000064, 0x81000000, 0 }, 0x0800);
	frame_ip4(f, 6, 4);
	frame_tcp(f, 0x10, NULL, 40);
	frame_end(f);
}

static void chain6(struct frame *f)
{
	frame_eth(f, NULL, 0x86dd);
	frame_ip6(f, 0, 6);
	frame_ext(f, 43, 16); /* hop-by-hop options; what comes next is routing */
	frame_ext(f, 60, 8); /* routing */
	frame_ext(f, 51, 24); /* destination options */
	frame_ext(f, 44, 16)[1] = 2; /* AH, whose length counts words but two */
	frame_ext(f, 6, 8)[1] = 0; /* a fragment header that cuts nothing */
	frame_tcp(f, 0x18, FRAME_TS, 12);
	frame_payload(f, 9);
	frame_end(f);
}

/* clang-format off */
static const struct {
	void (*build)(struct frame *f);
	uint8_t ip, vlans;
	uint16_t vlan[2], l3, l4, payload;
	uint32_t payload_len;
	uint8_t flags;
} good[] = {
	{ plain4,    4, 0, { VLAN_NONE, VLAN_NONE }, 14, 34, 66, 100, 0x18 },
	{ plain6,    6, 0, { VLAN_NONE, VLAN_NONE }, 14, 54, 86, 100, 0x18 },
	{ options4,  4, 0, { VLAN_NONE, VLAN_NONE }, 14, 74, 98, 0, 0x02 },
	{ tagged4,   4, 1, { 100, VLAN_NONE },       18, 38, 58, 0, 0x10 },
	{ qinq6,     6, 2, { 100, 7 },               22, 62, 94, 3, 0x11 },
	{ old_qinq4, 4, 2, { 100, 0 },               22, 46, 106, 0, 0x10 },
	{ chain6,    6, 0, { VLAN_NONE, VLAN_NONE }, 14, 126, 158, 9, 0x18 },
};
/* clang-format on */

static void reads_well_formed_frames(void **state)
{
	struct frame f;
	struct view v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		good[i].build(&f);
		assert_int_equal(view_parse(&f.p, &v), R_NONE);
		check_inside(&f.p, &v, R_NONE);
		assert_true(v.tcp);
		assert_int_equal(v.ip, good[i].ip);
		assert_int_equal(v.proto, 6);
		assert_int_equal(v.vlans, good[i].vlans);
		assert_int_equal(v.vlan[0], good[i].vlan[0]);
		assert_int_equal(v.vlan[1], good[i].vlan[1]);
		assert_int_equal(v.l3, good[i].l3);
		assert_int_equal(v.l4, good[i].l4);
		assert_int_equal(v.payload, good[i].payload);
		assert_int_equal(v.payload_len, good[i].payload_len);
		assert_int_equal(v.flags, good[i].flags);
		assert_int_equal(v.seq, 1000);
		assert_int_equal(v.ack, 2000);
		assert_int_equal(v.window, 502);
		assert_ptr_equal(view_tcp(&f.p, &v), f.buf + v.l4);
	}
}

static void no_truncation_reads_outside(void **state)
{
	struct frame f;
	struct view v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		good[i].build(&f);
		for (uint32_t n = 0; n < f.len; n++) {
			struct packet c = frame_cut(&f.p, n);
			enum reason r = view_parse(&c, &v);

			assert_int_not_equal(r, R_NONE);
			check_inside(&c, &v, r);
			c.body = f.buf + n;
			c.body_len = f.len - n;
			r = view_parse(&c, &v);
			assert_true((r == R_NONE) == (n >= good[i].payload));
			check_inside(&c, &v, r);
			free(c.head);
		}
	}
}

static void padding_is_no_payload(void **state)
{
	struct frame f;
	struct view v;

	(void)state;
	tagged4(&f);
	f.p.head_len += 6;
	assert_int_equal(view_parse(&f.p, &v), R_NONE);
	assert_int_equal(v.payload_len, 0);
	frame_segment(&f, 4, 1);
	f.p.head_len += 6;
	assert_int_equal(view_parse(&f.p, &v), R_NONE);
	assert_int_equal(v.payload_len, 1);
}

/* Frames to be spoilt: offsets are those of plain4 (IP at 14, TCP at 34) and plain6 (IP at 14, TCP at 54). */
static void three_tags(struct frame *f)
{
	frame_eth(f, (const uint32_t[]){ 0x88a80001, 0x81000002, 0x81000003, 0 }, 0x0800);
	frame_ip4(f, 6, 0);
	frame_tcp(f, 0x10, NULL, 0);
	frame_end(f);
}

static void long_chain(struct frame *f)
{
	frame_eth(f, NULL, 0x86dd);
	frame_ip6(f, 60, 6);
	for (int i = 0; i < 8; i++)
		frame_ext(f, 60, 8);
	frame_ext(f, 6, 8);
	frame_tcp(f, 0x10, NULL, 0);
	frame_end(f);
}

static void chain_alone(struct frame *f)
{
	frame_eth(f, NULL, 0x86dd);
	frame_ip6(f, 60, 6);
	frame_ext(f, 60, 8);
	frame_end(f);
}

#define KEEP UINT32_MAX

/* clang-format off */
static const struct {
	const char *what;
	void (*build)(struct frame *f);
	uint32_t cut;			/* frame length, or KEEP */
	uint32_t at;			/* 16 bits there become value, or KEEP */
	uint16_t value;
	enum reason r;
	uint8_t ip;
} bad[] = {
	{ "nothing",               plain4, 0, KEEP, 0, R_ETH_SHORT, 0 },
	{ "no ether type",         plain4, 13, KEEP, 0, R_ETH_SHORT, 0 },
	{ "half a tag",            tagged4, 17, KEEP, 0, R_ETH_SHORT, 0 },
	{ "tag alone",             tagged4, 16, KEEP, 0, R_ETH_SHORT, 0 },
	{ "three tags",            three_tags, KEEP, KEEP, 0, R_ETH_TAGS, 0 },
	{ "no IPv4 header",        plain4, 14, KEEP, 0, R_IP4_SHORT, 0 },
	{ "19 bytes of IPv4",      plain4, 33, KEEP, 0, R_IP4_SHORT, 0 },
	{ "IPv4 says 6",           plain4, KEEP, 14, 0x6500, R_IP4_VERSION, 0 },
	{ "IPv4 header of 16",     plain4, KEEP, 14, 0x4400, R_IP4_IHL, 0 },
	{ "IPv4 header of 0",      plain4, KEEP, 14, 0x4000, R_IP4_IHL, 0 },
	{ "IPv4 header too long",  plain4, 60, 14, 0x4f00, R_IP4_IHL, 0 },
	{ "IPv4 longer than frame", plain4, KEEP, 16, 153, R_IP4_LEN, 4 },
	{ "IPv4 of length 0",      plain4, KEEP, 16, 0, R_IP4_LEN, 4 },
	{ "IPv4 of length 19",     plain4, KEEP, 16, 19, R_IP4_LEN, 4 },
	{ "IPv4 shorter than its options", options4, KEEP, 16, 59, R_IP4_LEN, 4 },
	{ "no IPv6 header",        plain6, 14, KEEP, 0, R_IP6_SHORT, 0 },
	{ "39 bytes of IPv6",      plain6, 53, KEEP, 0, R_IP6_SHORT, 0 },
	{ "IPv6 says 4",           plain6, KEEP, 14, 0x4000, R_IP6_VERSION, 0 },
	{ "IPv6 longer than frame", plain6, KEEP, 18, 133, R_IP6_LEN, 6 },
	{ "IPv6 cut",              plain6, 100, KEEP, 0, R_IP6_LEN, 6 },
	{ "chain beyond packet",   chain_alone, KEEP, 54, 0x3c01, R_IP6_EXT, 6 },
	{ "chain without end",     chain_alone, KEEP, KEEP, 0, R_IP6_EXT, 6 },
	{ "chain too long",        long_chain, KEEP, KEEP, 0, R_IP6_EXT, 6 },
	{ "no TCP header",         plain4, KEEP, 16, 20, R_TCP_SHORT, 4 },
	{ "19 bytes of TCP",       plain4, KEEP, 16, 39, R_TCP_SHORT, 4 },
	{ "19 bytes of TCP, IPv6", plain6, KEEP, 18, 19, R_TCP_SHORT, 6 },
	{ "TCP header of 16",      plain4, KEEP, 46, 0x4018, R_TCP_DOFF, 4 },
	{ "TCP header of 0",       plain6, KEEP, 66, 0x0018, R_TCP_DOFF, 6 },
	{ "TCP header beyond packet", plain4, KEEP, 16, 51, R_TCP_DOFF, 4 },
	{ "TCP header beyond packet, IPv6", plain6, KEEP, 18, 31, R_TCP_DOFF, 6 },
};
/* clang-format on */

static void names_what_is_wrong(void **state)
{
	struct frame f;
	struct view v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct packet c;
		enum reason r;

		bad[i].build(&f);
		if (bad[i].at != KEEP)
			store_be16(f.buf + bad[i].at, bad[i].value);
		c = frame_cut(&f.p, bad[i].cut == KEEP ? f.len : bad[i].cut);
		r = view_parse(&c, &v);
		if (r != bad[i].r || v.ip != bad[i].ip)
			fail_msg("%s: %s, ip %u", bad[i].what, reason_label(r), v.ip);
		check_inside(&c, &v, r);
		free(c.head);
	}
}

static void what_is_no_tcp_is_well_formed(void **state)
{
	static const uint16_t types[] = { 0x0806, 0x88cc, 0x0026, 0x8847 };
	struct frame f;
	struct view v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		frame_eth(&f, (const uint32_t[]){ 0x81000005, 0 }, types[i]);
		frame_payload(&f, 46);
		assert_int_equal(view_parse(frame_end(&f), &v), R_NONE);
		assert_true(v.ip == 0 && !v.tcp && v.vlans == 1 && v.vlan[0] == 5);
	}
	/* 0x9100 is a tag outside only */
	frame_eth(&f, (const uint32_t[]){ 0x81000005, 0x91000006, 0 }, 0x0800);
	frame_payload(&f, 46);
	assert_int_equal(view_parse(frame_end(&f), &v), R_NONE);
	assert_true(v.ip == 0 && v.vlans == 1 && v.vlan[0] == 5 && v.l3 == 18);
	frame_eth(&f, NULL, 0x0800);
	frame_ip4(&f, 17, 0);
	frame_payload(&f, 5);
	assert_int_equal(view_parse(frame_end(&f), &v), R_NONE);
	assert_true(v.ip == 4 && v.proto == 17 && !v.tcp && v.l4 == 34 && v.l4_len == 5);
	frame_eth(&f, NULL, 0x86dd);
	frame_ip6(&f, 60, 59);
	frame_ext(&f, 135, 8); /* mobility: not walked over */
	frame_payload(&f, 16);
	assert_int_equal(view_parse(frame_end(&f), &v), R_NONE);
	assert_true(v.ip == 6 && v.proto == 135 && !v.tcp && v.l4 == 62 && v.l4_len == 16);
}

static void fragments_are_no_segments(void **state)
{
	static const struct {
		uint16_t field4, field6;
		bool fragment;
	} kinds[] = {
		{ MORE, 1, true },
		{ 185, 185 << 3, true },
		{ MORE | 185, 185 << 3 | 1, true },
		{ DF, 6, false },
	};
	struct frame f;
	struct view v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		frame_segment(&f, 4, 10);
		store_be16(f.buf + 20, kinds[i].field4);
		assert_int_equal(view_parse(&f.p, &v), R_NONE);
		assert_int_equal(v.fragment, kinds[i].fragment);
		assert_int_equal(v.tcp, !kinds[i].fragment);
		assert_true(v.proto == 6 && v.l4 == 34 && v.l4_len == 42);

		frame_eth(&f, NULL, 0x86dd);
		frame_ip6(&f, 44, 6);
		store_be16(frame_ext(&f, 6, 8) + 2, kinds[i].field6);
		f.buf[55] = 0;
		frame_tcp(&f, 0x10, NULL, 0);
		assert_int_equal(view_parse(frame_end(&f), &v), R_NONE);
		assert_int_equal(v.fragment, kinds[i].fragment);
		assert_int_equal(v.tcp, !kinds[i].fragment);
		assert_true(v.proto == 6 && v.l4 == 62 && v.l4_len == 20);
	}
}

/* A fragment's body is not taken for a header: kind 60 behind a fragment header stays where it is. */
static void fragment_ends_the_chain(void **state)
{
	struct frame f;
	struct view v;

	(void)state;
	frame_eth(&f, NULL, 0x86dd);
	frame_ip6(&f, 44, 6);
	store_be16(frame_ext(&f, 60, 8) + 2, 185 << 3);
	f.buf[55] = 0;
	frame_payload(&f, 3);
	assert_int_equal(view_parse(frame_end(&f), &v), R_NONE);
	assert_true(v.fragment && v.proto == 60 && v.l4 == 62 && v.l4_len == 3);
}

static void length_zero_is_for_super_packets(void **state)
{
	struct frame f;
	struct view v;

	(void)state;
	frame_segment(&f, 4, 3000);
	store_be16(f.buf + 16, 0);
	assert_int_equal(view_parse(&f.p, &v), R_IP4_LEN);
	f.p.off.gso_type = GSO_TCP4;
	assert_int_equal(view_parse(&f.p, &v), R_NONE);
	assert_int_equal(v.payload_len, 3000);
	frame_segment(&f, 6, 3000);
	store_be16(f.buf + 18, 0);
	assert_int_equal(view_parse(&f.p, &v), R_TCP_SHORT);
	f.p.off.gso_type = GSO_TCP6 | GSO_ECN;
	assert_int_equal(view_parse(&f.p, &v), R_NONE);
	assert_int_equal(v.payload_len, 3000);
}

static void longest_super_packet(void **state)
{
	static uint8_t body[PACKET_MAX];
	struct frame f;
	struct view v;

	(void)state;
	frame_segment(&f, 4, 0);
	f.p.body = body;
	f.p.body_len = 65535 - 52;
	store_be16(f.buf + 16, 65535);
	assert_int_equal(view_parse(&f.p, &v), R_NONE);
	assert_int_equal(v.payload_len, 65535 - 52);
	f.p.body_len = PACKET_MAX - f.p.head_len;
	store_be16(f.buf + 16, 0);
	f.p.off.gso_type = GSO_TCP4;
	assert_int_equal(view_parse(&f.p, &v), R_NONE);
	assert_int_equal(v.payload_len, f.p.body_len);
}

/* The same packet with a tag goes the general way: both must say the same, whatever was done to the headers. */
static void short_way_agrees_with_general(void **state)
{
	struct frame f;
	uint64_t seed = 6;
	int tcp = 0;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		uint32_t n = frame_random(&seed) % 4, cut;
		struct packet a, b;
		struct view va, vb;
		enum reason ra, rb;

		frame_segment(&f, 4, frame_random(&seed) % 40);
		while (n--)
			f.buf[14 + frame_random(&seed) % 40] = (uint8_t)(frame_random(&seed) >> 3);
		if (frame_random(&seed) & 1)
			store_be16(f.buf + 16, (uint16_t)(frame_random(&seed) % 100));
		cut = frame_random(&seed) & 1 ? f.len : 14 + frame_random(&seed) % (f.len - 13);
		a = frame_cut(&f.p, cut);
		memmove(f.buf + 16, f.buf + 12, f.len - 12);
		store_be32(f.buf + 12, 0x81000009);
		f.p.head_len += 4;
		b = frame_cut(&f.p, cut + 4);
		ra = view_parse(&a, &va);
		rb = view_parse(&b, &vb);
		assert_int_equal(ra, rb);
		check_inside(&a, &va, ra);
		assert_true(va.vlans == 0 && vb.vlans == 1 && vb.vlan[0] == 9);
		vb.l3 = (uint16_t)(vb.l3 - 4);
		vb.l4 = (uint16_t)(vb.l4 ? vb.l4 - 4 : 0);
		vb.payload = (uint16_t)(vb.payload ? vb.payload - 4 : 0);
		check_view(&va, &vb);
		tcp += va.tcp;
		free(a.head);
		free(b.head);
	}
	assert_true(tcp > 10000 && tcp < 90000);
}

static void random_bytes_never_lead_outside(void **state)
{
	static const uint16_t types[] = { 0x0800, 0x86dd, 0x8100, 0x88a8 };
	uint64_t seed = 7;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		uint32_t n = frame_random(&seed) % 160;
		uint8_t *b = malloc(n + 1);
		struct packet p = { .head = b, .head_len = n };
		struct tcp_options o;
		struct view v;
		enum reason r;

		assert_non_null(b);
		for (uint32_t k = 0; k < n; k++)
			b[k] = (uint8_t)frame_random(&seed);
		for (uint32_t k = 12; k + 2 < n && k < 24; k += 4)
			store_be16(b + k, types[frame_random(&seed) % 4]);
		r = view_parse(&p, &v);
		check_inside(&p, &v, r);
		if (v.tcp)
			view_options(&p, &v, &o);
		free(b);
	}
}

static void copies_payload_over_the_seam_of_head_and_body(void **state)
{
	struct frame f;
	struct view v;
	struct packet *p = frame_segment(&f, 4, 50);

	(void)state;
	for (uint32_t cut = 66; cut <= f.len; cut++) {
		struct packet c = frame_cut(p, cut);

		c.body = f.buf + cut;
		c.body_len = f.len - cut;
		assert_int_equal(view_parse(&c, &v), R_NONE);
		for (uint32_t at = 0; at <= 50; at += 5) {
			uint8_t *got = malloc(51 - at);

			assert_non_null(got);
			view_payload_copy(&c, &v, at, 50 - at, got);
			assert_memory_equal(got, f.buf + 66 + at, 50 - at);
			view_payload_copy(&c, &v, at, 0, got);
			free(got);
		}
		free(c.head);
	}
}

static void gives_addresses_as_16_bytes(void **state)
{
	static const uint8_t src4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 10 };
	static const uint8_t dst4[16] = { [10] = 0xff, 0xff, 198, 51, 100, 1 };
	uint8_t src[16], dst[16];
	struct frame f;
	struct view v;

	(void)state;
	assert_int_equal(view_parse(frame_segment(&f, 4, 0), &v), R_NONE);
	view_addrs(&f.p, &v, src, dst);
	assert_memory_equal(src, src4, 16);
	assert_memory_equal(dst, dst4, 16);
	assert_int_equal(view_parse(frame_segment(&f, 6, 0), &v), R_NONE);
	view_addrs(&f.p, &v, src, dst);
	assert_memory_equal(src, f.buf + 22, 16);
	assert_memory_equal(dst, f.buf + 38, 16);
}

static void reads_options_and_sequence_length(void **state)
{
	struct tcp_options o;
	struct frame f;
	struct view v;

	(void)state;
	assert_int_equal(view_parse(frame_segment(&f, 6, 7), &v), R_NONE);
	assert_int_equal(view_options_len(&v), 12);
	assert_int_equal(view_options(&f.p, &v, &o), R_NONE);
	assert_true(o.present == OPT_TS && o.tsval == 10 && o.tsecr == 20 && o.ts_off == 24);
	assert_int_equal(view_seg_len(&v), 7);
	v.flags = TCP_SYN;
	assert_int_equal(view_seg_len(&v), 8);
	v.flags = TCP_SYN | TCP_FIN;
	assert_int_equal(view_seg_len(&v), 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_well_formed_frames),
		cmocka_unit_test(no_truncation_reads_outside),
		cmocka_unit_test(padding_is_no_payload),
		cmocka_unit_test(names_what_is_wrong),
		cmocka_unit_test(what_is_no_tcp_is_well_formed),
		cmocka_unit_test(fragments_are_no_segments),
		cmocka_unit_test(fragment_ends_the_chain),
		cmocka_unit_test(length_zero_is_for_super_packets),
		cmocka_unit_test(longest_super_packet),
		cmocka_unit_test(short_way_agrees_with_general),
		cmocka_unit_test(random_bytes_never_lead_outside),
		cmocka_unit_test(copies_payload_over_the_seam_of_head_and_body),
		cmocka_unit_test(gives_addresses_as_16_bytes),
		cmocka_unit_test(reads_options_and_sequence_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
