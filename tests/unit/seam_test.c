/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/seam.h"

static const struct seam seam = {
	.seq = { { 70, 4000 }, 3 },
	.ts = { 5, 900 },
	.near_scale = { 7, 2 },
	.far_scale = { 7, 9 },
};

static void adds_as_the_figure_says(void **state)
{
	struct seam_add near = seam_add_of(&seam, NEAR), far = seam_add_of(&seam, FAR);

	(void)state;
	assert_int_equal(near.seq, 70);
	assert_int_equal(near.ack, 4000);
	assert_int_equal(near.tsval, 5);
	assert_int_equal(near.tsecr, 900);
	assert_int_equal(far.seq, 0u - 4000);
	assert_int_equal(far.ack, 0u - 70);
	assert_int_equal(far.tsval, 0u - 900);
	assert_int_equal(far.tsecr, 0u - 5);
}

static void one_way_and_the_answer_cancel(void **state)
{
	struct seam_add near = seam_add_of(&seam, NEAR), far = seam_add_of(&seam, FAR);

	(void)state;
	/* What near sends as seq, far acknowledges; what near echoes, far sent. */
	assert_int_equal(near.seq + far.ack, 0);
	assert_int_equal(near.ack + far.seq, 0);
	assert_int_equal(near.tsval + far.tsecr, 0);
	assert_int_equal(near.tsecr + far.tsval, 0);
}

/* clang-format off */
static const struct { uint16_t win; uint8_t from, to; uint16_t want; } windows[] = {
	{ 502, 7, 7, 502 },
	{ 502, 7, 0, 64256 },
	{ 512, 7, 0, 65535 },		/* 65536 bytes do not fit */
	{ 65535, 14, 14, 65535 },
	{ 65535, 14, 0, 65535 },
	{ 65535, 0, 14, 3 },		/* never more than was offered */
	{ 16383, 0, 14, 1 },		/* never 0 from non-zero */
	{ 1, 0, 14, 1 },
	{ 0, 0, 14, 0 },
	{ 0, 14, 0, 0 },
};
/* clang-format on */

static void windows_as_tabled(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++)
		assert_int_equal(seam_window(windows[i].win, windows[i].from, windows[i].to),
				 windows[i].want);
}

static void windows_never_offer_more(void **state)
{
	(void)state;
	for (uint32_t win = 0; win < 65536; win += 13)
		for (uint8_t from = 0; from <= 14; from++)
			for (uint8_t to = 0; to <= 14; to++) {
				uint16_t got = seam_window((uint16_t)win, from, to);

				if (got > 1)
					assert_true((uint64_t)got << to <= (uint64_t)win << from);
				assert_int_equal(got == 0, win == 0);
			}
}

static void rescales_the_right_sender(void **state)
{
	(void)state;
	assert_false(seam_rescales(&seam, NEAR));
	assert_true(seam_rescales(&seam, FAR));
	assert_int_equal(seam_window_of(&seam, NEAR, 502), 502);
	assert_int_equal(seam_window_of(&seam, FAR, 3), 384); /* 1536 bytes, read with scale 2 */
}

static void only_a_refusal_keeps_its_seq(void **state)
{
	(void)state;
	assert_true(seam_keeps_seq(TCP_RST | TCP_ACK, 0));
	assert_false(seam_keeps_seq(TCP_RST | TCP_ACK, 1));
	assert_false(seam_keeps_seq(TCP_RST, 0));
	assert_false(seam_keeps_seq(TCP_ACK, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_as_the_figure_says),
		cmocka_unit_test(one_way_and_the_answer_cancel),
		cmocka_unit_test(windows_as_tabled),
		cmocka_unit_test(windows_never_offer_more),
		cmocka_unit_test(rescales_the_right_sender),
		cmocka_unit_test(only_a_refusal_keeps_its_seq),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
