/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "base/wheel.h"

#define HOURS(n) SUT_MS((sut_time)(n)*3600000)
#define LAST_TICK (SUT_NEVER / WHEEL_TICK * WHEEL_TICK)

static uint64_t rng = 88172645463325252u;

static uint64_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static struct wheel *new_wheel(uint32_t n)
{
	size_t size = (wheel_need(n) + 63) & ~(size_t)63;
	void *block = aligned_alloc(64, size);

	assert_non_null(block);
	for (size_t i = 0; i < size; i++)
		((uint8_t *)block)[i] = 0;
	return wheel_init(block, n);
}

/* One timer, armed when the wheel's time is `now`: the first tick at which it fires. */
/* clang-format off */
static const struct {
	const char *what;
	sut_time now, at, fires;
} single[] = {
	{ "time 0, at once",          0,          0,                 0 },
	{ "1 ns rounds up to a tick", 0,          1,                 WHEEL_TICK },
	{ "a whole tick stays",       0,          WHEEL_TICK,        WHEEL_TICK },
	{ "1 ns past a tick",         0,          WHEEL_TICK + 1,    2 * WHEEL_TICK },
	{ "past fires at once",       SUT_MS(5),  SUT_MS(1),         SUT_MS(5) },
	{ "now fires at once",        SUT_MS(5) + 7, SUT_MS(5) + 7,  SUT_MS(5) + 7 },
	{ "end of level 0",           0,          255 * WHEEL_TICK,  255 * WHEEL_TICK },
	{ "begin of level 1",         0,          256 * WHEEL_TICK,  256 * WHEEL_TICK },
	{ "a minute",                 SUT_MS(17), SUT_MS(60017),     SUT_MS(60017) },
	{ "two hours",                SUT_MS(17), HOURS(2),          HOURS(2) },
	{ "ten days",                 HOURS(1),   HOURS(240),        HOURS(240) },
	{ "a century",                HOURS(1),   HOURS(876600),     HOURS(876600) },
	{ "the last tick",            HOURS(1),   LAST_TICK,         LAST_TICK },
};
/* clang-format on */

static void fires_as_tabled(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(single); i++) {
		struct wheel *w = new_wheel(3);
		sut_time d;
		unsigned wakes = 0;

		assert_int_equal(wheel_pop(w, single[i].now), WHEEL_NONE);
		wheel_arm(w, 1, single[i].at);
		assert_true(wheel_armed(w, 1));
		while ((d = wheel_deadline(w)) < single[i].fires) { /* cascades */
			assert_true(wakes++ < 6);
			assert_int_equal(wheel_pop(w, d), WHEEL_NONE);
		}
		if (d != single[i].fires)
			fail_msg("%s: deadline is late", single[i].what);
		if (d > single[i].now && wheel_pop(w, d - 1) != WHEEL_NONE)
			fail_msg("%s: fires early", single[i].what);
		if (wheel_pop(w, d) != 1)
			fail_msg("%s: does not fire", single[i].what);
		assert_false(wheel_armed(w, 1));
		assert_int_equal(wheel_pop(w, SUT_NEVER), WHEEL_NONE);
		assert_int_equal(wheel_deadline(w), SUT_NEVER);
		free(w);
	}
}

static void never_is_no_deadline(void **state)
{
	struct wheel *w = new_wheel(2);

	(void)state;
	wheel_arm(w, 0, SUT_NEVER);
	assert_false(wheel_armed(w, 0));
	wheel_arm(w, 0, SUT_MS(1));
	wheel_arm(w, 0, SUT_NEVER);
	assert_false(wheel_armed(w, 0));
	assert_int_equal(wheel_deadline(w), SUT_NEVER);
	assert_int_equal(wheel_pop(w, SUT_NEVER), WHEEL_NONE);
	wheel_arm(w, 0, HOURS(1)); /* the past, now */
	assert_int_equal(wheel_pop(w, SUT_NEVER), 0);
	free(w);
}

/*
 * A timer armed while a round is fired, for a time before others of that round, fires behind
 * them.
 */
static void armed_in_a_round_fires_in_it_last(void **state)
{
	struct wheel *w = new_wheel(4);

	(void)state;
	wheel_arm(w, 0, SUT_MS(1));
	wheel_arm(w, 1, SUT_MS(9));
	assert_int_equal(wheel_pop(w, SUT_MS(10) + 1), 0);
	wheel_arm(w, 2, SUT_MS(2));
	wheel_arm(w, 3, SUT_MS(10) + 1);
	assert_int_equal(wheel_deadline(w), SUT_MS(10) + 1);
	assert_int_equal(wheel_pop(w, SUT_MS(10) + 1), 1);
	assert_int_equal(wheel_pop(w, SUT_MS(10) + 1), 2);
	assert_int_equal(wheel_pop(w, SUT_MS(10) + 1), 3);
	assert_int_equal(wheel_pop(w, SUT_MS(10) + 1), WHEEL_NONE);
	free(w);
}

/* The model: all timers in an array; the next one is found by looking at every one of them. */
enum { N = 97 };

struct model {
	sut_time now;
	uint64_t tick[N], order[N], orders;
	bool armed[N];
};

static void model_arm(struct model *m, uint32_t i, sut_time at)
{
	m->armed[i] = at <= LAST_TICK;
	m->tick[i] = at <= m->now ? m->now / WHEEL_TICK : (at - 1) / WHEEL_TICK + 1;
	m->order[i] = m->orders++;
}

static uint32_t model_first(const struct model *m)
{
	uint32_t best = WHEEL_NONE;

	for (uint32_t i = 0; i < N; i++) {
		if (m->armed[i] && (best == WHEEL_NONE || m->tick[i] < m->tick[best] ||
				    (m->tick[i] == m->tick[best] && m->order[i] < m->order[best])))
			best = i;
	}
	return best;
}

static uint32_t model_pop(struct model *m, sut_time now)
{
	uint32_t i;

	m->now = now > m->now ? now : m->now;
	i = model_first(m);
	if (i == WHEEL_NONE || m->tick[i] > m->now / WHEEL_TICK)
		return WHEEL_NONE;
	m->armed[i] = false;
	return i;
}

/* A length of time of any magnitude, up to 2^bits ns. */
static sut_time span(unsigned bits)
{
	return rnd() >> (64 - bits + rnd() % bits);
}

static void check_deadline(const struct wheel *w, const struct model *m)
{
	uint32_t i = model_first(m);
	sut_time d = wheel_deadline(w);

	if (i == WHEEL_NONE)
		assert_int_equal(d, SUT_NEVER);
	else
		assert_true(d <= m->tick[i] * WHEEL_TICK || d == m->now);
}

static void step(struct wheel *w, struct model *m, unsigned bits)
{
	uint32_t i = (uint32_t)(rnd() % N), want;
	sut_time at = m->now + span(bits);

	switch (rnd() % 8) {
	case 0:
		wheel_cancel(w, i);
		m->armed[i] = false;
		break;
	case 1: /* the past */
		at = m->now - span(bits) % (m->now + 1);
		/* fall through */
	case 2:
	case 3:
	case 4:
	case 5:
		if (rnd() % 3 == 0) /* many in one tick */
			at = (m->now / WHEEL_TICK + 300) * WHEEL_TICK - rnd() % 3;
		wheel_arm(w, i, at);
		model_arm(m, i, at);
		break;
	case 6: /* as a loop does it: at the deadline */
		at = wheel_deadline(w);
		at = at == SUT_NEVER ? m->now : at;
		/* fall through */
	default:
		do {
			want = model_pop(m, at);
			assert_int_equal(wheel_pop(w, at), want);
		} while (want != WHEEL_NONE && rnd() % 8 != 0);
	}
	assert_int_equal(wheel_armed(w, i), m->armed[i]);
	check_deadline(w, m);
}

static void agrees_with_the_model(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 60; round++) {
		struct wheel *w = new_wheel(N);
		struct model m = { 0 };
		unsigned bits = 20 + round % 40; /* up to 1 ms ... 18 years a step */

		for (unsigned i = 0; i < 3000 && m.now < SUT_NEVER / 4; i++)
			step(w, &m, bits);
		free(w);
	}
}

/*
 * Following nothing but deadlines, no timer is late, and wake-ups stay in proportion to timers.
 */
static void deadlines_alone_drive_it(void **state)
{
	enum { MANY = 100000 };
	struct wheel *w = new_wheel(MANY);
	sut_time *at = malloc(MANY * sizeof *at), d, last = 0;
	uint32_t i, fired = 0, wakes = 0;

	(void)state;
	assert_non_null(at);
	for (i = 0; i < MANY; i++) {
		at[i] = span(50);
		wheel_arm(w, i, at[i]);
	}
	while ((d = wheel_deadline(w)) != SUT_NEVER) {
		assert_true(d >= last);
		last = d;
		wakes++;
		while ((i = wheel_pop(w, d)) != WHEEL_NONE) {
			assert_true(at[i] <= d && d - at[i] < WHEEL_TICK);
			fired++;
		}
	}
	assert_int_equal(fired, MANY);
	assert_true(wakes <= 6 * MANY);
	free(at);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires_as_tabled),
		cmocka_unit_test(never_is_no_deadline),
		cmocka_unit_test(armed_in_a_round_fires_in_it_last),
		cmocka_unit_test(agrees_with_the_model),
		cmocka_unit_test(deadlines_alone_drive_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
