/* SPDX-License-Identifier: MIT */
/* icmp: each kind of error, quotes of every length, and the change of a quoted number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "frame.h"
#include "proto/checksum.h"
#include "proto/icmp.h"
#include "proto/view.h"

/* What is quoted: a whole frame without its Ethernet header. */
enum quote { Q_PLAIN, Q_OPTIONS, Q_CHAIN, Q_FIRST_FRAGMENT, Q_LATER_FRAGMENT, Q_UDP, Q_OTHER_IP };

static void quote4(struct frame *q, enum quote kind)
{
	frame_eth(q, NULL, 0x0800);
	frame_ip4(q, kind == Q_UDP ? 17 : 6, kind == Q_OPTIONS ? 24 : 0);
	frame_tcp(q, 0x18, FRAME_TS, 12);
	frame_payload(q, 100);
	if (kind == Q_FIRST_FRAGMENT)
		store_be16(q->buf + 20, 0x2000);
	if (kind == Q_LATER_FRAGMENT)
		store_be16(q->buf + 20, 0x0010);
	frame_end(q);
	if (kind == Q_OTHER_IP)
		q->buf[14] = 0x65;
}

static void quote6(struct frame *q, enum quote kind)
{
	bool frag = kind == Q_FIRST_FRAGMENT || kind == Q_LATER_FRAGMENT;

	frame_eth(q, NULL, 0x86dd);
	frame_ip6(q, kind == Q_CHAIN ? 60 : frag ? 44 : kind == Q_UDP ? 17 : 6, 6);
	if (kind == Q_CHAIN)
		frame_ext(q, 6, 24);
	if (frag)
		store_be16(frame_ext(q, 6, 8) + 2, kind == Q_FIRST_FRAGMENT ? 1 : 185 << 3);
	if (frag)
		q->buf[55] = 0;
	frame_tcp(q, 0x18, FRAME_TS, 12);
	frame_payload(q, 100);
	frame_end(q);
	if (kind == Q_OTHER_IP)
		q->buf[14] = 0x40;
}

/* An error of this type that quotes n bytes at most. */
static void error(struct frame *f, int version, unsigned type_code, uint32_t rest, enum quote kind,
		  uint32_t n)
{
	static struct frame q;
	uint8_t *h;

	if (version == 4)
		quote4(&q, kind);
	else
		quote6(&q, kind);
	frame_eth(f, NULL, version == 4 ? 0x0800 : 0x86dd);
	if (version == 4)
		frame_ip4(f, 1, 0);
	else
		frame_ip6(f, 58, 58);
	h = frame_add(f, NULL, 8);
	store_be16(h, (uint16_t)type_code);
	store_be32(h + 4, rest);
	frame_add(f, q.buf + 14, n < q.len - 14 ? n : q.len - 14);
	frame_end(f);
}

static enum reason read_error(const struct packet *p, struct view *v, struct icmp_error *e)
{
	assert_int_equal(view_parse(p, v), R_NONE);
	return icmp_error_read(p, v, e);
}

/* clang-format off */
static const struct {
	int version;
	unsigned type_code;
	uint32_t rest;
	enum icmp_kind kind;
	uint32_t mtu;
} kinds[] = {
	{ 4, 0x0000, 0, ICMP_OTHER, 0 },		/* echo reply */
	{ 4, 0x0800, 0, ICMP_OTHER, 0 },		/* echo */
	{ 4, 0x0400, 0, ICMP_OTHER, 0 },		/* source quench: deprecated (RFC 6633) */
	{ 4, 0x0501, 0, ICMP_OTHER, 0 },		/* redirect: says nothing of the connection */
	{ 4, 0x0300, 0, ICMP_UNREACHABLE, 0 },
	{ 4, 0x0303, 0x578, ICMP_UNREACHABLE, 0 },
	{ 4, 0x0304, 0x578, ICMP_TOO_BIG, 1400 },
	{ 4, 0x0304, 0xffff0578, ICMP_TOO_BIG, 1400 },
	{ 4, 0x030d, 0, ICMP_UNREACHABLE, 0 },
	{ 4, 0x0b00, 0, ICMP_TIME, 0 },
	{ 4, 0x0c00, 0, ICMP_PARAM, 0 },
	{ 6, 0x0104, 0, ICMP_UNREACHABLE, 0 },
	{ 6, 0x0200, 0x10500, ICMP_TOO_BIG, 0x10500 },
	{ 6, 0x0300, 0, ICMP_TIME, 0 },
	{ 6, 0x0401, 0, ICMP_PARAM, 0 },
	{ 6, 0x8000, 0, ICMP_OTHER, 0 },		/* echo request */
	{ 6, 0x8700, 0, ICMP_OTHER, 0 },		/* neighbour solicitation */
};
/* clang-format on */

static void tells_the_kinds(void **state)
{
	struct icmp_error e;
	struct frame f;
	struct view v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		uint32_t fixed = kinds[i].version == 4 ? 20 : 40;

		error(&f, kinds[i].version, kinds[i].type_code, kinds[i].rest, Q_PLAIN, 200);
		assert_int_equal(read_error(&f.p, &v, &e), R_NONE);
		assert_int_equal(e.kind, kinds[i].kind);
		assert_int_equal(e.mtu, kinds[i].mtu);
		if (e.kind == ICMP_OTHER)
			continue;
		assert_true(e.sport == 40000 && e.dport == 80 && e.seq == 1000);
		assert_true(e.has_ack && e.ack == 2000);
		assert_int_equal(e.quote, 14 + fixed + 8);
		assert_int_equal(e.quote_l4, e.quote + fixed);
	}
}

/* clang-format off */
static const struct {
	int version;
	enum quote kind;
	uint32_t header;	/* of the quoted IP packet; 0: not to be read */
} quotes[] = {
	{ 4, Q_PLAIN, 20 }, { 4, Q_OPTIONS, 44 }, { 4, Q_FIRST_FRAGMENT, 20 },
	{ 4, Q_LATER_FRAGMENT, 0 }, { 4, Q_UDP, 0 }, { 4, Q_OTHER_IP, 0 },
	{ 6, Q_PLAIN, 40 }, { 6, Q_CHAIN, 64 }, { 6, Q_FIRST_FRAGMENT, 48 },
	{ 6, Q_LATER_FRAGMENT, 0 }, { 6, Q_UDP, 0 }, { 6, Q_OTHER_IP, 0 },
};
/* clang-format on */

static unsigned any_error(int version)
{
	return version == 4 ? 0x0301 : 0x0100;
}

static void reads_quotes_of_every_length(void **state)
{
	struct frame f;
	struct view v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(quotes); i++) {
		for (uint32_t n = 0; n < 180; n++) {
			struct icmp_error e = { .seq = 77 };
			uint32_t l4 = n - quotes[i].header;
			bool enough = quotes[i].header && n >= quotes[i].header + 8;
			struct packet c;

			error(&f, quotes[i].version, any_error(quotes[i].version), 0,
			      quotes[i].kind, n);
			c = frame_cut(&f.p, f.len);
			assert_int_equal(read_error(&c, &v, &e), enough ? R_NONE : R_ICMP_QUOTE);
			assert_int_equal(e.seq, enough ? 1000 : 77); /* untouched on failure */
			if (enough) {
				assert_int_equal(e.quote_l4 - e.quote, quotes[i].header);
				assert_int_equal(e.has_ack, l4 >= 12);
				assert_int_equal(e.ack, l4 >= 12 ? 2000 : 0);
			}
			free(c.head);
		}
	}
}

static void header_cut_short(void **state)
{
	struct icmp_error e;
	struct frame f;
	struct view v;

	(void)state;
	for (uint32_t n = 0; n < 8; n++) {
		struct packet c;

		frame_eth(&f, NULL, 0x0800);
		frame_ip4(&f, 1, 0);
		frame_add(&f, "\x03\1\0\0\0\0\0", n);
		frame_end(&f);
		c = frame_cut(&f.p, f.len);
		assert_int_equal(read_error(&c, &v, &e), R_ICMP_SHORT);
		free(c.head);
	}
	/* the rest of the header in body: all headers must lie in head */
	error(&f, 4, 0x0301, 0, Q_PLAIN, 28);
	f.p.head_len = 34 + 7;
	f.p.body = f.buf + f.p.head_len;
	f.p.body_len = f.len - f.p.head_len;
	assert_int_equal(read_error(&f.p, &v, &e), R_ICMP_SHORT);
}

static void other_protocols_and_fragments_are_no_errors(void **state)
{
	struct icmp_error e;
	struct frame f;
	struct view v;

	(void)state;
	frame_segment(&f, 4, 9);
	assert_int_equal(read_error(&f.p, &v, &e), R_NONE);
	assert_int_equal(e.kind, ICMP_OTHER);
	error(&f, 4, 0x0301, 0, Q_PLAIN, 28);
	store_be16(f.buf + 20, 0x0010);
	assert_int_equal(read_error(&f.p, &v, &e), R_NONE);
	assert_int_equal(e.kind, ICMP_OTHER);
	error(&f, 4, 0x0301, 0, Q_PLAIN, 28);
	f.buf[23] = 58; /* ICMPv6 in IPv4 */
	assert_int_equal(read_error(&f.p, &v, &e), R_NONE);
	assert_int_equal(e.kind, ICMP_OTHER);
}

static void gives_the_quoted_addresses(void **state)
{
	static const uint8_t src4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 10 };
	static const uint8_t dst4[16] = { [10] = 0xff, 0xff, 198, 51, 100, 1 };
	struct icmp_error e;
	struct frame f;
	struct view v;

	(void)state;
	error(&f, 4, 0x0301, 0, Q_OPTIONS, 200);
	assert_int_equal(read_error(&f.p, &v, &e), R_NONE);
	assert_memory_equal(e.src, src4, 16);
	assert_memory_equal(e.dst, dst4, 16);
	error(&f, 6, 0x0101, 0, Q_CHAIN, 200);
	assert_int_equal(read_error(&f.p, &v, &e), R_NONE);
	assert_memory_equal(e.src, f.buf + e.quote + 8, 16);
	assert_memory_equal(e.dst, f.buf + e.quote + 24, 16);
}

/* Is the ICMP checksum of f right, by the plain sum? */
static bool icmp_csum_ok(const struct frame *f)
{
	uint32_t n = f->len - f->ip_len;
	uint32_t sum = f->version == 6 ? frame_pseudo(f, n) : 0;

	return frame_sum(sum, f->buf + f->ip_len, n) == 0xffff;
}

/* Is the quoted TCP checksum right?  The quote is whole. */
static bool quoted_csum_ok(const struct frame *f, const struct icmp_error *e)
{
	struct frame q = { .ip = e->quote, .version = f->version, .proto = 6 };
	uint32_t n = f->len - e->quote_l4;

	memcpy(q.buf, f->buf, f->len);
	return frame_sum(frame_pseudo(&q, n), f->buf + e->quote_l4, n) == 0xffff;
}

static void sets_the_quoted_seq(void **state)
{
	uint64_t seed = 10;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		size_t k = frame_random(&seed) % ARRAY_LEN(quotes);
		bool cut = frame_random(&seed) & 1;
		uint32_t n = cut ? quotes[k].header + 8 + frame_random(&seed) % 30 : 500;
		uint32_t seq = frame_random(&seed) % 8 ? frame_random(&seed) : 1000;
		struct icmp_error e, again;
		struct frame f;
		struct view v;
		uint8_t before[FRAME_MAX];

		if (!quotes[k].header)
			continue;
		error(&f, quotes[k].version, any_error(quotes[k].version), 0, quotes[k].kind, n);
		assert_true(icmp_csum_ok(&f));
		assert_int_equal(read_error(&f.p, &v, &e), R_NONE);
		memcpy(before, f.buf, f.len);
		icmp_error_set_seq(&f.p, &v, &e, seq);
		assert_int_equal(read_error(&f.p, &v, &again), R_NONE);
		assert_int_equal(again.seq, seq);
		assert_true(icmp_csum_ok(&f));
		if (!cut)
			assert_true(quoted_csum_ok(&f, &e));
		icmp_error_set_seq(&f.p, &v, &e, 1000);
		assert_int_equal(read_error(&f.p, &v, &again), R_NONE);
		assert_memory_equal(before + 34 + 8, f.buf + 34 + 8, f.len - 34 - 8);
	}
}

static void wrong_icmp_checksum_stays_wrong(void **state)
{
	struct icmp_error e;
	struct frame f;
	struct view v;

	(void)state;
	error(&f, 4, 0x0301, 0, Q_PLAIN, 28);
	f.buf[36] ^= 0x40;
	assert_int_equal(read_error(&f.p, &v, &e), R_NONE);
	icmp_error_set_seq(&f.p, &v, &e, 0xfffffff0);
	assert_false(icmp_csum_ok(&f));
	f.buf[36] ^= 0x40;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_the_kinds),
		cmocka_unit_test(reads_quotes_of_every_length),
		cmocka_unit_test(header_cut_short),
		cmocka_unit_test(other_protocols_and_fragments_are_no_errors),
		cmocka_unit_test(gives_the_quoted_addresses),
		cmocka_unit_test(sets_the_quoted_seq),
		cmocka_unit_test(wrong_icmp_checksum_stays_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
