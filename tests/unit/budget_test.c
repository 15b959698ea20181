/* SPDX-License-Identifier: MIT */
#include "role/accel/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/be.h"

static const struct hash_key key = { { 0x9e3779b97f4a7c15u, 0xbf58476d1ce4e5b9u,
				       0x94d049bb133111ebu, 0xd6e8feb86659fd93u,
				       0xa0761d6478bd642fu } };

static const uint8_t *v4(uint32_t a)
{
	static uint8_t addr[16];

	memset(addr, 0, sizeof addr);
	addr[10] = addr[11] = 0xff;
	for (unsigned i = 0; i < 4; i++)
		addr[12 + i] = (uint8_t)(a >> (24 - 8 * i));
	return addr;
}

static void a_source_has_its_share(void **state)
{
	struct budget *b = calloc(1, sizeof *b);

	(void)state;
	budget_init(b, 1000, 3, &key);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(budget_take(b, v4(0xc0000201)), R_NONE);
	assert_int_equal(budget_take(b, v4(0xc0000201)), R_SYN_SOURCE);
	assert_int_equal(budget_take(b, v4(0xc0000202)), R_NONE);
	budget_give(b, v4(0xc0000201));
	assert_int_equal(budget_take(b, v4(0xc0000201)), R_NONE);
	assert_int_equal(b->pending, 4);
	free(b);
}

static void all_have_a_limit(void **state)
{
	struct budget *b = calloc(1, sizeof *b);

	(void)state;
	budget_init(b, 100, 3, &key);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(budget_take(b, v4(0xc6336400 + i)), R_NONE);
	assert_int_equal(budget_take(b, v4(0xcb007101)), R_SYN_BUDGET);
	for (uint32_t i = 0; i < 100; i++)
		budget_give(b, v4(0xc6336400 + i));
	assert_int_equal(b->pending, 0);
	for (unsigned i = 0; i < BUDGET_SLOTS; i++)
		assert_int_equal(b->count[0][i] | b->count[1][i], 0);
	free(b);
}

/* Forged sources, as many as may be: another one still gets its own share. */
static void forged_sources_do_not_use_up_anothers(void **state)
{
	struct budget *b = calloc(1, sizeof *b);
	unsigned refused = 0;

	(void)state;
	budget_init(b, 65536, 64, &key);
	for (uint32_t i = 0; i < 60000; i++)
		assert_int_equal(budget_take(b, v4(i * 2654435761u)), R_NONE);
	for (uint32_t i = 0; i < 32; i++)
		refused += budget_take(b, v4(0xc0000201)) != R_NONE;
	assert_int_equal(refused, 0);
	free(b);
}

static void hosts_of_one_ipv6_network_are_one(void **state)
{
	struct budget *b = calloc(1, sizeof *b);
	uint8_t a[16] = { 0x20, 0x01, 0x0d, 0xb8 };

	(void)state;
	budget_init(b, 1000, 2, &key);
	for (uint8_t i = 0; i < 2; i++) {
		a[15] = i;
		assert_int_equal(budget_take(b, a), R_NONE);
	}
	a[15] = 77;
	assert_int_equal(budget_take(b, a), R_SYN_SOURCE);
	a[7] = 1;
	assert_int_equal(budget_take(b, a), R_NONE);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_source_has_its_share),
		cmocka_unit_test(all_have_a_limit),
		cmocka_unit_test(forged_sources_do_not_use_up_anothers),
		cmocka_unit_test(hosts_of_one_ipv6_network_are_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
