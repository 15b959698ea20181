/* SPDX-License-Identifier: MIT */
/* agreed against a model that has a flag for each number; across the wrap too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "role/replica/agreed.h"

#define SPACE 600u

static uint64_t rng;

static uint32_t rnd(uint32_t n)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rng >> 33) % n;
}

static sut_seq num(uint32_t base, uint32_t at)
{
	return (sut_seq){ base + at };
}

/* How many runs of set flags there are. */
static unsigned runs(const bool *in)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SPACE; i++)
		n += in[i] && (i == 0 || !in[i - 1]);
	return n;
}

static void check(const struct agreed *a, const bool *in, uint32_t base)
{
	assert_int_equal(a->n, runs(in));
	for (unsigned k = 0; k < 20; k++) {
		uint32_t from = rnd(SPACE), len = rnd(SPACE - from + 1), i = from, n = 0, got_n;
		sut_seq got;

		while (i < from + len && in[i])
			i++;
		while (i + n < from + len && !in[i + n])
			n++;
		assert_int_equal(agreed_has(a, num(base, from), len), n == 0);
		assert_int_equal(agreed_gap(a, num(base, from), len, &got, &got_n), n != 0);
		if (n) {
			assert_int_equal(got.v, base + i);
			assert_int_equal(got_n, n);
		}
	}
}

static void is_what_a_flag_for_each_number_says(void **state)
{
	unsigned refused = 0;

	(void)state;
	for (uint32_t seed = 1; seed <= 300; seed++) {
		uint32_t base = seed % 3 ? rnd(UINT32_MAX) : 0u - rnd(SPACE);
		struct agreed a = { 0 };
		bool in[SPACE] = { false };

		rng = seed;
		for (unsigned step = 0; step < 120; step++) {
			uint32_t from = rnd(SPACE), len = rnd(rnd(6) ? 12 : 150);
			bool was[SPACE];

			len = len < SPACE - from ? len : SPACE - from;
			memcpy(was, in, sizeof in);
			memset(in + from, true, len);
			if (!agreed_add(&a, num(base, from), len)) {
				assert_true(runs(in) > AGREED_MAX);
				memcpy(in, was, sizeof in);
				refused++;
			}
			check(&a, in, base);
		}
	}
	assert_true(refused > 100);
}

static void forgets_what_lies_far_behind(void **state)
{
	struct agreed a = { 0 };
	sut_seq at = { 0xfffff000 };
	const uint32_t step = 1u << 28;

	(void)state;
	for (unsigned i = 0; i < 64; i++, at = seq_add(at, step))
		assert_true(agreed_add(&a, at, step));
	assert_int_equal(a.n, 1);
	assert_int_equal(seq_diff(a.r[0].to, a.r[0].from), AGREED_SPAN);
	assert_true(agreed_has(&a, seq_add(at, 0u - 5), 5));
	assert_false(agreed_has(&a, at, 1));
	/* A hole is forgotten with what lies before it. */
	assert_true(agreed_add(&a, seq_add(at, 100), 100));
	assert_int_equal(a.n, 2);
	assert_true(agreed_add(&a, seq_add(at, 200), AGREED_SPAN - 1));
	assert_int_equal(a.n, 1);
	/* Another place altogether. */
	assert_true(agreed_add(&a, seq_add(at, 9u << 28), 10));
	assert_int_equal(a.n, 1);
	assert_int_equal(seq_diff(a.r[0].to, a.r[0].from), 10);
	agreed_clear(&a);
	assert_false(agreed_has(&a, at, 1));
	assert_true(agreed_has(&a, at, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_what_a_flag_for_each_number_says),
		cmocka_unit_test(forgets_what_lies_far_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
