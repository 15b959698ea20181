/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/make.h"
#include "frame.h"
#include "proto/checksum.h"
#include "proto/icmp.h"
#include "proto/ip.h"
#include "proto/print.h"

static struct outbox box;
static struct frame f;

/* A segment of n payload bytes on a path with this many tags; tos 0xbb (ECN CE), TTL 61, flow label 0xabcde. */
static struct packet *heard(int version, unsigned tags, uint32_t n, struct view *ret_v)
{
	static const uint32_t tag[] = { 0x88a80007, 0x81000009, 0 };
	struct packet *p;

	frame_eth(&f, tag + 2 - tags, version == 4 ? ETH_IP4 : ETH_IP6);
	if (version == 4) {
		frame_ip4(&f, IP_TCP, 0);
		f.buf[f.ip + 1] = 0xbb;
		f.buf[f.ip + 8] = 61;
	} else {
		frame_ip6(&f, IP_TCP, IP_TCP);
		store_be32(f.buf + f.ip, 0x6bbabcde);
		f.buf[f.ip + 7] = 61;
	}
	frame_tcp(&f, TCP_ACK, NULL, 0);
	frame_payload(&f, n);
	p = frame_end(&f);
	assert_int_equal(view_parse(p, ret_v), R_NONE);
	return p;
}

static struct lane lane_of(int version, unsigned tags)
{
	struct packet *p;
	struct lane l;
	struct view v;

	p = heard(version, tags, 0, &v);
	lane_learn(&l, p, &v);
	return l;
}

/* The line that the packet prints as. */
static void assert_prints(const struct packet *p, const char *want)
{
	char line[PRINT_MAX];

	print_packet(p, line, sizeof line);
	assert_string_equal(line, want);
}

/* What is made, and how it prints: from 192.0.2.10.40000, or the documentation prefix of IPv6. */
/* clang-format off */
static const struct {
	struct make_tcp m;
	const char *four, *six;
} table[] = {
	{ { .seq = 7, .flags = TCP_SYN, .window = 64240, .options_len = 4,
	    .options = (const uint8_t *)"\x02\x04\x05\xb4" },
	  "192.0.2.10.40000 > 198.51.100.1.80: S 7:7(0) win 64240 <mss 1460>",
	  "2001:db8::a.40000 > 2001:db8:1::1.80: S 7:7(0) win 64240 <mss 1460>" },
	{ { .seq = 7, .ack = 9, .flags = TCP_ACK, .window = 1 },
	  "192.0.2.10.40000 > 198.51.100.1.80: . 7:7(0) ack 9 win 1",
	  "2001:db8::a.40000 > 2001:db8:1::1.80: . 7:7(0) ack 9 win 1" },
	{ { .seq = 0xffffffff, .ack = 9, .flags = TCP_ACK | TCP_PSH, .window = 1,
	    .payload_len = 3, .payload = (const uint8_t *)"abc" },
	  "192.0.2.10.40000 > 198.51.100.1.80: P. 4294967295:2(3) ack 9 win 1",
	  "2001:db8::a.40000 > 2001:db8:1::1.80: P. 4294967295:2(3) ack 9 win 1" },
	{ { .seq = 1, .ack = 2, .flags = TCP_RST | TCP_ACK },
	  "192.0.2.10.40000 > 198.51.100.1.80: R. 1:1(0) ack 2 win 0",
	  "2001:db8::a.40000 > 2001:db8:1::1.80: R. 1:1(0) ack 2 win 0" },
};
/* clang-format on */

static void segments_print_as_tabled(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		for (int version = 4; version <= 6; version += 2) {
			struct lane l = lane_of(version, 0);
			struct packet *p;
			struct view v;

			outbox_clear(&box);
			assert_true(make_tcp(&box, 3, &l, &table[i].m));
			assert_int_equal(box.n, 1);
			assert_int_equal(box.port[0], 3);
			p = box.pkt[0];
			assert_int_equal(p->off.csum, CSUM_COMPLETE);
			assert_int_equal(view_parse(p, &v), R_NONE);
			assert_true(csum_tcp_ok(p, &v));
			assert_true(csum_ip_ok(p, &v));
			assert_int_equal(packet_len(p), v.payload + v.payload_len);
			assert_prints(p, version == 4 ? table[i].four : table[i].six);
		}
}

static void a_made_segment_looks_like_its_neighbours(void **state)
{
	static const struct make_tcp m = { .flags = TCP_ACK,
					   .payload = (const uint8_t *)"x",
					   .payload_len = 1 };

	(void)state;
	for (unsigned tags = 0; tags <= 2; tags++)
		for (int version = 4; version <= 6; version += 2) {
			struct lane l = lane_of(version, tags);
			const uint8_t *ip;
			struct packet *p;
			struct view v;

			outbox_clear(&box);
			assert_true(make_tcp(&box, 0, &l, &m));
			p = box.pkt[0];
			assert_int_equal(view_parse(p, &v), R_NONE);
			assert_int_equal(v.vlans, tags);
			assert_memory_equal(p->head, f.buf, 14 + 4 * tags);
			ip = p->head + v.l3;
			if (version == 4) {
				assert_int_equal(ip[1], 0xb8); /* without ECN */
				assert_int_equal(load_be16(ip + 4), 0);
				assert_int_equal(load_be16(ip + 6), IP4_DF);
				assert_int_equal(ip[8], 61);
				assert_memory_equal(ip + 12, f.buf + f.ip + 12, 8);
			} else {
				assert_int_equal(load_be32(ip), 0x6b8abcde);
				assert_int_equal(ip[7], 61);
				assert_memory_equal(ip + 8, f.buf + f.ip + 8, 32);
			}
		}
}

static void the_other_end_is_guessed(void **state)
{
	struct lane l = lane_of(4, 1), r, back;
	struct make_tcp m = { .flags = TCP_ACK, .seq = 1, .ack = 1 };

	(void)state;
	lane_reverse(&l, &r);
	assert_int_equal(r.ttl, 64);
	assert_memory_equal(r.eth, l.eth + 6, 6);
	assert_memory_equal(r.eth + 6, l.eth, 6);
	assert_memory_equal(r.eth + 12, l.eth + 12, 10);
	outbox_clear(&box);
	assert_true(make_tcp(&box, 0, &r, &m));
	assert_prints(box.pkt[0],
		      "198.51.100.1.80 > 192.0.2.10.40000: . 1:1(0) ack 1 win 0 [vlan 9]");

	/* In place is allowed, and twice is once around but for the TTL. */
	back = r;
	lane_reverse(&back, &back);
	assert_memory_equal(back.eth, l.eth, sizeof l.eth);
	assert_int_equal(back.sport, l.sport);
}

static void no_room_does_nothing(void **state)
{
	static const uint8_t big[OUTBOX_SLOT];
	struct make_tcp m = { .flags = TCP_ACK, .payload = big, .payload_len = 2240 - 54 };
	struct lane l = lane_of(4, 0);
	struct packet *p;
	struct view v;

	(void)state;
	outbox_clear(&box);
	assert_true(make_tcp(&box, 0, &l, &m));
	m.payload_len++;
	assert_false(make_tcp(&box, 0, &l, &m));
	m.payload_len = UINT32_MAX;
	assert_false(make_tcp(&box, 0, &l, &m));
	assert_int_equal(box.n, 1);
	m.payload_len = 0;
	while (make_tcp(&box, 0, &l, &m))
		;
	assert_int_equal(box.n, OUTBOX_MADE);
	p = heard(4, 0, 10, &v);
	assert_false(make_too_big(&box, 0, p, &v, 1400));
	assert_int_equal(box.n, OUTBOX_MADE);
}

static void the_ts_option_is_aligned(void **state)
{
	uint8_t opt[12];

	(void)state;
	make_ts_option(opt, 10, 20);
	assert_memory_equal(opt, FRAME_TS, 12);
}

/* Payload bytes of the packet that is too big, and of its IP packet how many are quoted. */
/* clang-format off */
static const struct { int version; unsigned tags; uint32_t payload, split, quoted; } too_big[] = {
	{ 4, 0, 1460, 0, 548 },		/* 576 in all */
	{ 4, 1, 1460, 54, 548 },	/* payload in body */
	{ 4, 2, 10, 0, 50 },		/* shorter than that: all of it */
	{ 4, 0, 508, 100, 548 },
	{ 4, 0, 509, 100, 548 },
	{ 6, 0, 1440, 0, 1232 },	/* 1280 in all */
	{ 6, 2, 1440, 300, 1232 },
	{ 6, 1, 100, 0, 160 },
};
/* clang-format on */

static void errors_quote_what_was_too_big(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof too_big / sizeof too_big[0]; i++) {
		int version = too_big[i].version;
		struct icmp_error e;
		struct packet *p, cut, *q;
		struct view v, w;
		uint32_t icmp_len;

		p = heard(version, too_big[i].tags, too_big[i].payload, &v);
		cut = *p;
		if (too_big[i].split) {
			cut.head_len = v.payload + too_big[i].split - 54;
			cut.body = p->head + cut.head_len;
			cut.body_len = p->head_len - cut.head_len;
		}
		outbox_clear(&box);
		assert_true(make_too_big(&box, 1, &cut, &v, 1300));
		assert_int_equal(box.port[0], 1);
		q = box.pkt[0];
		assert_int_equal(view_parse(q, &w), R_NONE);
		assert_true(csum_ip_ok(q, &w));
		assert_int_equal(w.proto, version == 4 ? IP_ICMP : IP_ICMP6);

		/* Back to the sender, in the name of the destination, by the way it came. */
		assert_memory_equal(q->head, f.buf + 6, 6);
		assert_memory_equal(q->head + 6, f.buf, 6);
		assert_memory_equal(q->head + 12, f.buf + 12, v.l3 - 12u);
		if (version == 4) {
			assert_memory_equal(q->head + w.l3 + 12, f.buf + v.l3 + 16, 4);
			assert_memory_equal(q->head + w.l3 + 16, f.buf + v.l3 + 12, 4);
		} else {
			assert_memory_equal(q->head + w.l3 + 8, f.buf + v.l3 + 24, 16);
			assert_memory_equal(q->head + w.l3 + 24, f.buf + v.l3 + 8, 16);
		}

		icmp_len = packet_len(q) - w.l4;
		assert_int_equal(icmp_len, 8 + too_big[i].quoted);
		assert_int_equal(q->head[w.l4], version == 4 ? 3 : 2);
		assert_int_equal(q->head[w.l4 + 1], version == 4 ? 4 : 0);
		assert_int_equal(load_be32(q->head + w.l4 + 4), 1300);
		assert_memory_equal(q->head + w.l4 + 8, f.buf + v.l3, too_big[i].quoted);

		/* The sum with the plainest code; then with the reader. */
		if (version == 4)
			assert_int_equal(frame_sum(0, q->head + w.l4, icmp_len), 0xffff);
		else
			assert_int_equal(
				frame_sum(58 + icmp_len + frame_sum(0, q->head + w.l3 + 8, 32),
					  q->head + w.l4, icmp_len),
				0xffff);
		assert_int_equal(icmp_error_read(q, &w, &e), R_NONE);
		assert_int_equal(e.kind, ICMP_TOO_BIG);
		assert_int_equal(e.mtu, 1300);
		assert_int_equal(e.sport, 40000);
		assert_int_equal(e.seq, 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_print_as_tabled),
		cmocka_unit_test(a_made_segment_looks_like_its_neighbours),
		cmocka_unit_test(the_other_end_is_guessed),
		cmocka_unit_test(no_room_does_nothing),
		cmocka_unit_test(the_ts_option_is_aligned),
		cmocka_unit_test(errors_quote_what_was_too_big),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
