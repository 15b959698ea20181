/* SPDX-License-Identifier: MIT */
#include "role/replica/chain.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define FLOWS 5u

struct cold {
	uint64_t other;
	struct chain_links links;
};

static struct cold cold[FLOWS];
static struct chain chain;

static int clear(void **state)
{
	(void)state;
	for (unsigned f = 0; f < FLOWS; f++)
		cold[f] = (struct cold){ .other = f };
	chain = (struct chain){ FLOW_NONE, FLOW_NONE };
	return 0;
}

static void set(uint32_t f, bool in)
{
	chain_set(&chain, CHAIN_ROOM(cold, struct cold, links), f, in);
}

/* Are these flows in it, in this order, seen from either end? */
static void expect(const uint32_t *flow, unsigned n)
{
	uint32_t at = chain.first, before = FLOW_NONE;

	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(at, flow[i]);
		assert_int_equal(cold[at].links.prev, before);
		assert_true(cold[at].links.in);
		before = at;
		at = cold[at].links.next;
	}
	assert_int_equal(at, FLOW_NONE);
	assert_int_equal(chain.last, before);
	for (unsigned f = 0; f < FLOWS; f++)
		assert_int_equal(cold[f].other, f);
}

static void flows_stand_in_the_order_in_which_they_came(void **state)
{
	(void)state;
	expect(NULL, 0);
	set(3, true);
	set(0, true);
	set(4, true);
	set(3, true); /* in already: it stays where it is */
	expect((const uint32_t[]){ 3, 0, 4 }, 3);
}

static void a_flow_leaves_from_anywhere(void **state)
{
	(void)state;
	for (uint32_t f = 0; f < FLOWS; f++)
		set(f, true);
	set(2, false);
	expect((const uint32_t[]){ 0, 1, 3, 4 }, 4);
	set(0, false);
	set(4, false);
	set(4, false); /* not in: nothing */
	expect((const uint32_t[]){ 1, 3 }, 2);
	set(0, true);
	expect((const uint32_t[]){ 1, 3, 0 }, 3);
	set(3, false);
	set(1, false);
	set(0, false);
	expect(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(flows_stand_in_the_order_in_which_they_came, clear),
		cmocka_unit_test_setup(a_flow_leaves_from_anywhere, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
