/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/segment.h"

#define N (1u << NEAR)
#define F (1u << FAR)

/* Both shifts are 4000 and 70 (near's stream 70, far's 4000); known says which are known. */
/* clang-format off */
static const struct {
	const char *what;
	enum sut_side sender, half;
	unsigned known;
	uint8_t flags;
	uint32_t seq, ack;
	enum reason reason;
	uint32_t near_seq, near_ack;
} table[] = {
	{ "near half needs nothing", NEAR, NEAR, 0, TCP_ACK, 5, 6, R_NONE, 5, 6 },
	{ "far sender, near half", FAR, NEAR, 0, TCP_ACK, 5, 6, R_NONE, 5, 6 },
	{ "far half, far sender", FAR, FAR, N | F, TCP_ACK, 5000, 170, R_NONE, 1000, 100 },
	{ "far half, near sender", NEAR, FAR, N | F, TCP_ACK, 170, 5000, R_NONE, 100, 1000 },
	{ "wraps", FAR, FAR, N | F, TCP_ACK, 1000, 10, R_NONE, 0u - 3000, 0u - 60 },
	{ "seq not known", FAR, FAR, N, TCP_ACK, 1, 1, R_UNKNOWN_SHIFT, 0, 0 },
	{ "ack not known", FAR, FAR, F, TCP_ACK, 1, 1, R_UNKNOWN_SHIFT, 0, 0 },
	{ "ack not needed", FAR, FAR, F, TCP_SYN, 5000, 0, R_NONE, 1000, 0 },
	{ "RST without ACK has its seq", FAR, FAR, F, TCP_RST, 0, 0, R_NONE, 0u - 4000, 0 },
	{ "refusal: seq 0 stays, unknown", FAR, FAR, N, TCP_RST | TCP_ACK, 0, 170, R_NONE, 0, 100 },
	{ "refusal: seq 0 stays, known", FAR, FAR, N | F, TCP_RST | TCP_ACK, 0, 170, R_NONE, 0, 100 },
	{ "RST|ACK in the stream", FAR, FAR, N | F, TCP_RST | TCP_ACK, 5000, 170, R_NONE, 1000, 100 },
};
/* clang-format on */

static void reads_as_tabled(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct seqmap map = { { 70, 4000 }, (uint8_t)table[i].known };
		struct view v = { .seq = table[i].seq,
				  .ack = table[i].ack,
				  .flags = table[i].flags,
				  .window = 7,
				  .payload_len = 0 };
		struct segment s;
		enum reason r;

		memset(&s, 0x5a, sizeof s);
		r = segment_read(&v, table[i].sender, table[i].half, &map, &s);
		if (r != table[i].reason)
			fail_msg("%s: reason %d", table[i].what, r);
		if (r != R_NONE) {
			assert_int_equal(s.seq.v, 0x5a5a5a5a);
			continue;
		}
		if (s.seq.v != table[i].near_seq ||
		    ((s.flags & TCP_ACK) && s.ack.v != table[i].near_ack))
			fail_msg("%s: got %u, %u", table[i].what, s.seq.v, s.ack.v);
		assert_int_equal(s.sender, table[i].sender);
		assert_int_equal(s.window, 7);
	}
}

static void length_counts_syn_and_fin(void **state)
{
	static const struct seqmap none;
	struct view v = { .flags = TCP_SYN | TCP_FIN, .payload_len = 10 };
	struct segment s;

	(void)state;
	assert_int_equal(segment_read(&v, NEAR, NEAR, &none, &s), R_NONE);
	assert_int_equal(s.len, 12);
	assert_int_equal(s.payload_len, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_as_tabled),
		cmocka_unit_test(length_counts_syn_and_fin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
