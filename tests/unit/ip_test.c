/* SPDX-License-Identifier: MIT */
#include "proto/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void an_address_is_mapped_by_its_first_twelve_bytes(void **state)
{
	const uint8_t ip4[4] = { 192, 0, 2, 1 };
	uint8_t a[16];

	(void)state;
	ip4_map(ip4, a);
	assert_true(ip_is_mapped(a));
	assert_memory_equal(a + 12, ip4, 4);
	for (unsigned bit = 0; bit < 128; bit++) {
		a[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		assert_int_equal(ip_is_mapped(a), bit >= 96);
		a[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
	}
}

static void only_the_unspecified_address_is_zero(void **state)
{
	uint8_t a[16] = { 0 };

	(void)state;
	assert_true(ip_is_zero(a));
	for (unsigned i = 0; i < 16; i++) {
		a[i] = 1;
		assert_false(ip_is_zero(a));
		a[i] = 0;
	}
	ip4_map((const uint8_t[4]){ 0 }, a);
	assert_false(ip_is_zero(a)); /* 0.0.0.0 */
}

/* Two addresses that differ in one bit share the networks before it. */
static void a_network_is_its_first_bits(void **state)
{
	const uint8_t a[16] = { 0x20, 0x01, 0x0d, 0xb8 };

	(void)state;
	for (unsigned bit = 0; bit < 128; bit++) {
		uint8_t b[16];

		memcpy(b, a, sizeof b);
		b[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		for (unsigned bits = 0; bits <= 128; bits++)
			assert_int_equal(ip_same_net(a, b, bits), bits <= bit);
	}
	assert_true(ip_same_net(a, a, 128));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_is_mapped_by_its_first_twelve_bytes),
		cmocka_unit_test(only_the_unspecified_address_is_zero),
		cmocka_unit_test(a_network_is_its_first_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
