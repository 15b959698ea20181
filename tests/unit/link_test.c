/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/link.h"

#define US(n) ((sut_time)(n)*1000)

/* One packet offered to a link: when, how long; and when it leaves, or why not (at 0). */
struct step {
	sut_time now;
	uint32_t len;
	enum reason reason;
	sut_time at;
};

#define STEPS 6

/* clang-format off */
static const struct {
	const char *what;
	struct link_config cfg;
	struct step step[STEPS];
} table[] = {
	{ "nothing set: at once", { 0 }, {
		{ 5, 60, R_NONE, 5 }, { 5, 60, R_NONE, 5 }, { 9, 60, R_NONE, 9 } } },
	{ "delay", { .delay = SUT_MS(20) }, {
		{ 0, 60, R_NONE, SUT_MS(20) }, { 7, 1514, R_NONE, SUT_MS(20) + 7 } } },
	{ "the 1st, 3rd and 4th are dropped", { .nth = { 4, 1, 3 } }, {
		{ 0, 60, R_WIRE_NTH, 0 }, { 0, 60, R_NONE, 0 }, { 1, 60, R_WIRE_NTH, 0 },
		{ 2, 60, R_WIRE_NTH, 0 }, { 3, 60, R_NONE, 3 } } },
	{ "all are lost", { .loss_ppm = 1000000 }, {
		{ 0, 60, R_WIRE_LOSS, 0 }, { 1, 60, R_WIRE_LOSS, 0 } } },
	{ "rate: one behind the other, 8 us per 1000 bytes at 1 Gbit/s",
	  { .rate_bps = 1000000000 }, {
		{ 0, 1000, R_NONE, US(8) }, { 0, 1000, R_NONE, US(16) }, { US(10), 125, R_NONE, US(17) },
		{ US(100), 125, R_NONE, US(101) } } },
	{ "rate and delay add", { .rate_bps = 8000000, .delay = SUT_MS(1) }, {
		{ 0, 1000, R_NONE, SUT_MS(2) }, { 0, 1000, R_NONE, SUT_MS(3) } } },
	{ "remainders are carried: three times 1/3 ns", { .rate_bps = 24000000000 }, {
		{ 0, 1, R_NONE, 0 }, { 0, 1, R_NONE, 0 }, { 0, 1, R_NONE, 1 } } },
	{ "full queue: what would not fit is dropped, room comes with time",
	  { .rate_bps = 8000000, .queue_bytes = 2000 }, {
		{ 0, 1000, R_NONE, SUT_MS(1) }, { 0, 1000, R_NONE, SUT_MS(2) }, { 0, 1, R_WIRE_QUEUE, 0 },
		{ US(500), 600, R_WIRE_QUEUE, 0 }, { US(500), 500, R_NONE, US(2500) } } },
	{ "an empty queue takes what is longer than it", { .rate_bps = 8000000, .queue_bytes = 100 }, {
		{ 0, 1000, R_NONE, SUT_MS(1) }, { 0, 60, R_WIRE_QUEUE, 0 } } },
	{ "reordered: half the delay later", { .delay = SUT_MS(10), .reorder_ppm = 1000000 }, {
		{ 0, 60, R_NONE, SUT_MS(15) } } },
	{ "reordered without delay: 1 ms later", { .reorder_ppm = 1000000 }, {
		{ 0, 60, R_NONE, SUT_MS(1) } } },
	{ "reordered by what was asked for", { .reorder_ppm = 1000000, .reorder_by = 77 }, {
		{ 0, 60, R_NONE, 77 } } },
};
/* clang-format on */

static void fates_are_as_tabled(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct link l;

		link_init(&l, &table[i].cfg);
		for (unsigned s = 0; s < STEPS && table[i].step[s].len; s++) {
			const struct step *want = &table[i].step[s];
			struct link_fate f = link_offer(&l, want->len, want->now);

			if (f.reason != want->reason || f.at[0] != want->at)
				fail_msg("%s, packet %u: want %s at %llu, got %s at %llu",
					 table[i].what, s + 1, reason_label(want->reason),
					 (unsigned long long)want->at, reason_label(f.reason),
					 (unsigned long long)f.at[0]);
		}
	}
}

#define N 200000

/* Within 5 % of what the chance makes expect: some ten standard deviations here. */
static void assert_near(const char *what, unsigned got, unsigned ppm)
{
	unsigned want = (unsigned)((uint64_t)N * ppm / 1000000);

	if (got < want - want / 20 || got > want + want / 20)
		fail_msg("%s: want about %u, got %u", what, want, got);
}

static void chances_come_out(void **state)
{
	struct link_config cfg = {
		.delay = SUT_MS(10),
		.loss_ppm = 200000,
		.seed = 1,
		.dup_ppm = 250000,
		.reorder_ppm = 500000,
	};
	unsigned lost = 0, dup = 0, late = 0;
	struct link l;

	(void)state;
	link_init(&l, &cfg);
	for (unsigned i = 0; i < N; i++) {
		struct link_fate f = link_offer(&l, 60, 0);

		lost += f.reason == R_WIRE_LOSS;
		dup += f.copies == 2;
		late += f.reason == R_NONE && f.at[0] == SUT_MS(15);
	}
	assert_near("lost", lost, 200000);
	assert_near("duplicated", dup, 200000);
	assert_near("reordered", late, 400000);
}

static void jitter_keeps_order_and_its_bounds(void **state)
{
	struct link_config cfg = { .delay = SUT_MS(5), .jitter = SUT_MS(2), .seed = 3 };
	sut_time last = 0, low = SUT_NEVER, high = 0;
	struct link l;

	(void)state;
	link_init(&l, &cfg);
	for (unsigned i = 0; i < N; i++) {
		sut_time now = i * US(700);
		struct link_fate f = link_offer(&l, 60, now);
		sut_time took = f.at[0] - now;

		assert_true(f.at[0] >= last);
		assert_true(took >= SUT_MS(5) && took <= SUT_MS(7));
		low = took < low ? took : low;
		high = took > high ? took : high;
		last = f.at[0];
	}
	assert_true(low < SUT_MS(5) + US(50) && high > SUT_MS(7) - US(50));
}

/*
 * The dice of packet n are its own: neither time, nor length, nor another impairment changes
 * whether it is lost.
 */
static void loss_depends_on_seed_and_number_alone(void **state)
{
	struct link_config a_cfg = { .loss_ppm = 300000, .seed = 9 }, b_cfg = a_cfg;
	unsigned differ = 0;
	struct link a, b, other;

	(void)state;
	b_cfg.jitter = SUT_MS(3);
	b_cfg.dup_ppm = b_cfg.reorder_ppm = 500000;
	b_cfg.rate_bps = 1000000000;
	link_init(&a, &a_cfg);
	link_init(&b, &b_cfg);
	a_cfg.seed = 10;
	link_init(&other, &a_cfg);
	for (unsigned i = 0; i < 10000; i++) {
		enum reason r = link_offer(&a, 60, 0).reason;

		assert_int_equal(r, link_offer(&b, 60 + i % 1000, i * US(10)).reason);
		differ += r != link_offer(&other, 60, 0).reason;
	}
	assert_true(differ > 3000);
}

/*
 * What leaves in any second is at most what the rate allows, and a busy transmitter is never idle.
 */
static void rate_is_exact(void **state)
{
	struct link_config cfg = { .rate_bps = 2999999999 };
	uint64_t bits = 0;
	struct link l;

	(void)state;
	link_init(&l, &cfg);
	for (unsigned i = 0; i < N; i++) {
		uint32_t len = 60 + i * 7 % 1455;
		struct link_fate f = link_offer(&l, len, 0);

		bits += (uint64_t)len * 8;
		assert_true(f.at[0] == bits * 1000000000 / cfg.rate_bps);
	}
}

/* What was offered keeps its times and its numbers; what comes later meets the new configuration. */
static void changes_from_the_next_packet_on(void **state)
{
	const struct link_config first = { .delay = SUT_MS(10), .nth = { 3 }, .seed = 1 };
	const struct link_config slow = { .delay = SUT_MS(20), .nth = { 3 }, .seed = 1 };
	const struct link_config lossy = { .loss_ppm = 500000, .seed = 2 };
	struct link l, anew;

	(void)state;
	link_init(&l, &first);
	assert_int_equal(link_offer(&l, 60, 0).at[0], SUT_MS(10));
	link_change(&l, &slow);
	assert_int_equal(link_offer(&l, 60, 0).at[0], SUT_MS(20));
	assert_int_equal(link_offer(&l, 60, 0).reason, R_WIRE_NTH);
	link_change(&l, &lossy);
	link_init(&anew, &lossy);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(link_offer(&l, 60, 0).reason, link_offer(&anew, 60, 0).reason);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fates_are_as_tabled),
		cmocka_unit_test(chances_come_out),
		cmocka_unit_test(jitter_keeps_order_and_its_bounds),
		cmocka_unit_test(loss_depends_on_seed_and_number_alone),
		cmocka_unit_test(rate_is_exact),
		cmocka_unit_test(changes_from_the_next_packet_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
