/* SPDX-License-Identifier: MIT */
/* print: exact lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "frame.h"
#include "proto/checksum.h"
#include "proto/print.h"
#include "proto/view.h"

#define OPT(s) s, sizeof s - 1
#define ENDS4 "192.0.2.10.40000 > 198.51.100.1.80: "
#define SEG ". 1000:1000(0) ack 2000 win 502"

static void check_line(const struct packet *p, const char *want)
{
	char line[PRINT_MAX];
	size_t len = print_packet(p, line, sizeof line);

	assert_int_equal(len, strlen(line));
	assert_string_equal(line, want);
}

static void check_segment(const struct packet *p, const char *want)
{
	char line[PRINT_MAX];
	struct view v;
	size_t len;

	assert_int_equal(view_parse(p, &v), R_NONE);
	assert_true(v.tcp);
	len = print_segment(p, &v, line, sizeof line);
	assert_int_equal(len, strlen(line));
	assert_string_equal(line, want);
}

static struct packet *segment(struct frame *f, uint8_t flags, const void *opt, size_t n)
{
	frame_eth(f, NULL, 0x0800);
	frame_ip4(f, 6, 0);
	frame_tcp(f, flags, opt, (uint32_t)n);
	return frame_end(f);
}

static void line_of_a_syn(void **state)
{
	struct frame f;

	(void)state;
	segment(&f, 0x02, OPT("\2\4\5\xb4\4\2\x08\x0a\0\0\0\x0a\0\0\0\0\1\3\3\7"));
	store_be16(f.buf + 48, 64240);
	frame_end(&f);
	check_line(&f.p, ENDS4 "S 1000:1000(0) win 64240 "
			       "<mss 1460,sackOK,TS val 10 ecr 0,nop,wscale 7>");
	check_segment(&f.p, "S 1000:1000(0) win 64240 "
			    "<mss 1460,sackOK,TS val 10 ecr 0,nop,wscale 7>");
}

static void line_of_data(void **state)
{
	struct frame f;

	(void)state;
	check_line(frame_segment(&f, 4, 100),
		   ENDS4 "P. 1000:1100(100) ack 2000 win 502 <nop,nop,TS val 10 ecr 20>");
	check_line(frame_segment(&f, 6, 100),
		   "2001:db8::a.40000 > 2001:db8:1::1.80: "
		   "P. 1000:1100(100) ack 2000 win 502 <nop,nop,TS val 10 ecr 20>");
	store_be32(f.buf + 58, 0xffffffff); /* the last number may wrap */
	frame_end(&f);
	check_segment(&f.p, "P. 4294967295:99(100) ack 2000 win 502 <nop,nop,TS val 10 ecr 20>");
}

static void flags_in_order(void **state)
{
	static const struct {
		uint8_t flags;
		const char *text;
	} cases[] = {
		{ 0x00, "none 1000:1000(0) win 502" },
		{ 0x01, "F 1000:1000(0) win 502" },
		{ 0x02, "S 1000:1000(0) win 502" },
		{ 0x04, "R 1000:1000(0) win 502" },
		{ 0x08, "P 1000:1000(0) win 502" },
		{ 0x10, ". 1000:1000(0) ack 2000 win 502" },
		{ 0x11, "F. 1000:1000(0) ack 2000 win 502" },
		{ 0x12, "S. 1000:1000(0) ack 2000 win 502" },
		{ 0x14, "R. 1000:1000(0) ack 2000 win 502" },
		{ 0x19, "FP. 1000:1000(0) ack 2000 win 502" },
		{ 0xc2, "SEW 1000:1000(0) win 502" },
		{ 0x52, "SE. 1000:1000(0) ack 2000 win 502" },
		{ 0x30, "U. 1000:1000(0) ack 2000 win 502 urg 7" },
		{ 0xff, "SFRPUEW. 1000:1000(0) ack 2000 win 502 urg 7" },
	};
	struct frame f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		segment(&f, cases[i].flags, NULL, 0);
		store_be16(f.buf + 52, 7);
		frame_end(&f);
		check_segment(&f.p, cases[i].text);
	}
}

/* clang-format off */
static const struct {
	const char *bytes;
	size_t len;
	const char *text;
} options[] = {
	{ OPT("\1\1\5\x0a\0\0\0\1\0\0\0\2"), " <nop,nop,sack 1 {1:2}>" },
	{ OPT("\1\1\5\x12\0\0\0\1\0\0\0\2\xff\xff\xff\xff\0\0\0\5"),
	  " <nop,nop,sack 2 {1:2}{4294967295:5}>" },
	{ OPT("\3\3\x0e\0"), " <wscale 14,eol>" },
	{ OPT("\3\3\x0f\1"), " <wscale 15,nop>" },
	{ OPT("\0\0\0\0"), " <eol>" },
	{ OPT("\1\1\1\1"), " <nop,nop,nop,nop>" },
	{ OPT("\x13\x12" "0123456789abcdef\1\1"), " <md5,nop,nop>" },
	{ OPT("\x1d\4\0\0"), " <ao>" },
	{ OPT("\x1e\4\1\1"), " <mptcp capable>" },
	{ OPT("\x1e\4\x10\1"), " <mptcp join>" },
	{ OPT("\x1e\4\x20\1"), " <mptcp 2>" },
	{ OPT("\x22\2\1\1"), " <tfo cookiereq,nop,nop>" },
	{ OPT("\x22\6\0\x1a\xff\x05\1\1"), " <tfo 001aff05,nop,nop>" },
	{ OPT("\xfe\4\xf9\x89"), " <exp-f989>" },
	{ OPT("\xfd\6\0\x12" "ab\1\1"), " <exp-0012,nop,nop>" },
	{ OPT("\xfd\3" "a\1"), " <unknown-253,nop>" },
	{ OPT("\x45\4" "ab"), " <unknown-69>" },
	{ OPT("\1\2\3\5"), " <nop,[bad opt]>" },
	{ OPT("\2\3\5\1"), " <[bad opt]>" },
	{ OPT("\1\1\1\2"), " <nop,nop,nop,[bad opt]>" },
	{ OPT("\2\0\5\1"), " <[bad opt]>" },
	{ OPT("\2\4\5\xb4\x45\1\1\1"), " <mss 1460,[bad opt]>" },
};
/* clang-format on */

static void each_option(void **state)
{
	struct frame f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		char want[200] = SEG;

		memcpy(want + sizeof SEG - 1, options[i].text, strlen(options[i].text) + 1);
		check_segment(segment(&f, 0x10, options[i].bytes, options[i].len), want);
	}
}

static void marks_at_the_end(void **state)
{
	struct frame f;

	(void)state;
	frame_eth(&f, (const uint32_t[]){ 0x88a80064, 0x81000007, 0 }, 0x0800);
	frame_ip4(&f, 6, 0);
	frame_tcp(&f, 0x10, NULL, 0);
	check_line(frame_end(&f), ENDS4 SEG " [vlan 100] [vlan 7]");
	segment(&f, 0x10, NULL, 0);
	f.buf[50] ^= 1;
	check_line(&f.p, ENDS4 SEG " [bad tcp cksum]");
	f.buf[24] ^= 1;
	check_line(&f.p, ENDS4 SEG " [bad tcp cksum] [bad ip cksum]");
	f.p.off = (struct offload){ .csum = CSUM_PARTIAL, .gso_type = GSO_TCP4, .gso_size = 1448 };
	check_line(&f.p, ENDS4 SEG " [bad ip cksum] [partial] [gso 1448]");
	check_segment(&f.p, SEG);
	segment(&f, 0x10, NULL, 0);
	store_be16(f.buf + 20, 0x2000);
	check_line(frame_end(&f), "192.0.2.10 > 198.51.100.1: tcp, length 20 [frag]");
}

static void what_is_no_tcp(void **state)
{
	struct frame f;

	(void)state;
	frame_eth(&f, NULL, 0x0800);
	frame_ip4(&f, 17, 0);
	frame_payload(&f, 20);
	check_line(frame_end(&f), "192.0.2.10 > 198.51.100.1: udp, length 20");
	frame_eth(&f, NULL, 0x86dd);
	frame_ip6(&f, 132, 132);
	frame_payload(&f, 20);
	check_line(frame_end(&f), "2001:db8::a > 2001:db8:1::1: ip-proto-132, length 20");
	frame_eth(&f, NULL, 0x0800);
	frame_ip4(&f, 1, 0);
	frame_add(&f, "\x08\0\0\0\0\0\0\0", 8);
	check_line(frame_end(&f), "192.0.2.10 > 198.51.100.1: icmp, length 8");
	frame_eth(&f, NULL, 0x0806);
	frame_payload(&f, 46);
	check_line(frame_end(&f), "arp, length 46");
	frame_eth(&f, (const uint32_t[]){ 0x81000005, 0 }, 0x08cc);
	frame_payload(&f, 46);
	check_line(frame_end(&f), "ethertype 0x08cc, length 46 [vlan 5]");
}

static void icmp_errors_with_their_quote(void **state)
{
	struct frame q, f;

	(void)state;
	frame_segment(&q, 4, 100);
	frame_eth(&f, NULL, 0x0800);
	frame_ip4(&f, 1, 0);
	frame_add(&f, "\3\4\0\0\0\0\5\x78", 8);
	frame_add(&f, q.buf + 14, 28);
	check_line(frame_end(&f), "192.0.2.10 > 198.51.100.1: icmp too-big mtu 1400 of "
				  "192.0.2.10.40000 > 198.51.100.1.80 seq 1000, length 36");
	f.buf[34] = 11;
	check_line(&f.p, "192.0.2.10 > 198.51.100.1: icmp time-exceeded of "
			 "192.0.2.10.40000 > 198.51.100.1.80 seq 1000, length 36");
}

static void malformed_frames(void **state)
{
	struct packet empty = { .head_len = 0 };
	struct frame f;

	(void)state;
	check_line(&empty, "malformed eth-short, length 0");
	segment(&f, 0x10, NULL, 0);
	f.buf[46] = 0x40;
	check_line(&f.p, "192.0.2.10 > 198.51.100.1: malformed tcp-doff, length 54");
	f.buf[14] = 0x55;
	check_line(&f.p, "malformed ip4-version, length 54");
	frame_segment(&f, 6, 0);
	f.p.head_len = 60;
	store_be16(f.buf + 18, 6);
	check_line(&f.p, "2001:db8::a > 2001:db8:1::1: malformed tcp-short, length 60");
	f.p.head_len = 59;
	check_line(&f.p, "2001:db8::a > 2001:db8:1::1: malformed ip6-len, length 59");
}

static void addresses(void **state)
{
	static const struct {
		uint8_t addr[16];
		const char *text;
	} cases[] = {
		{ { 0 }, "::" },
		{ { [15] = 1 }, "::1" },
		{ { [0] = 1 }, "100::" },
		{ { 0x20, 1, 0xd, 0xb8, [15] = 1 }, "2001:db8::1" },
		{ { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1 },
		  "2001:db8:0:1:1:1:1:1" },
		{ { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1 }, "2001:db8::1:0:0:1" },
		{ { 0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0 }, "2001:db8:1:0:1::" },
		{ { 0x20, 1, 0xd, 0xb8, 0xab, 0xcd, 0, 0x10, 2, 0, 0x30, 0, 0, 4, 0, 5 },
		  "2001:db8:abcd:10:200:3000:4:5" },
		{ { [10] = 0xff, 0xff, 192, 0, 2, 1 }, "192.0.2.1" },
		{ { [10] = 0xff, 0xff, 203, 0, 113, 255 }, "203.0.113.255" },
		{ { [12] = 192, 0, 2, 1 }, "::c000:201" },
	};
	char s[46];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = print_addr(cases[i].addr, s, sizeof s);

		assert_int_equal(len, strlen(cases[i].text));
		assert_string_equal(s, cases[i].text);
	}
}

static void text_is_cut_to_its_room(void **state)
{
	static const char whole[] = ENDS4
		"P. 1000:1001(1) ack 2000 win 502 <nop,nop,TS val 10 ecr 20>";
	struct frame f;

	(void)state;
	frame_segment(&f, 4, 1);
	for (size_t size = 0; size <= sizeof whole; size++) {
		char *s = malloc(size ? size : 1);
		size_t len = print_packet(&f.p, s, size);

		assert_non_null(s);
		assert_int_equal(len,
				 size ? (size < sizeof whole ? size - 1 : sizeof whole - 1) : 0);
		if (size) {
			assert_int_equal(s[len], 0);
			assert_memory_equal(s, whole, len);
		}
		free(s);
	}
	assert_int_equal(print_packet(&f.p, NULL, 0), 0);
}

/* Every field at its longest, and the option that prints longest for its two bytes. */
static void the_longest_line_fits(void **state)
{
	char line[2 * PRINT_MAX];
	uint8_t opt[40];
	struct frame f;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof opt; i += 2)
		store_be16(opt + i, 0x2202);
	frame_eth(&f, (const uint32_t[]){ 0x88a80ffe, 0x81000ffe, 0 }, 0x86dd);
	frame_ip6(&f, 6, 6);
	memset(f.buf + f.ip + 8, 0xff, 32);
	memset(frame_tcp(&f, 0xff, opt, sizeof opt), 0xff, 12);
	memset(f.buf + f.l4 + 14, 0xff, 6);
	f.proto = 0; /* leave the checksum as it is: wrong */
	frame_end(&f);
	f.p.off.gso_type = GSO_TCP6;
	f.p.off.gso_size = 65535;
	len = print_packet(&f.p, line, sizeof line);
	assert_true(len > 480 && len + 5 < PRINT_MAX); /* 5: for more payload */
	assert_non_null(strstr(line, "[bad tcp cksum] [gso 65535]"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_of_a_syn),
		cmocka_unit_test(line_of_data),
		cmocka_unit_test(flags_in_order),
		cmocka_unit_test(each_option),
		cmocka_unit_test(marks_at_the_end),
		cmocka_unit_test(what_is_no_tcp),
		cmocka_unit_test(icmp_errors_with_their_quote),
		cmocka_unit_test(malformed_frames),
		cmocka_unit_test(addresses),
		cmocka_unit_test(text_is_cut_to_its_room),
		cmocka_unit_test(the_longest_line_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
