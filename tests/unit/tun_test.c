/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "port/port.h"
#include "port/tun.h"
#include "port/tun_link.h"

static void reads_addresses(void **state)
{
	static const uint8_t ip4[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1 };
	static const uint8_t ip6[16] = { 0x20, 1, 0x0d, 0xb8, [15] = 1 };
	static const char *const wrong[] = {
		"",
		"192.0.2",
		"192.0.2.1/",
		"192.0.2.1/33",
		"192.0.2.1/0",
		"192.0.2.1/ 24",
		"192.0.2.1/24x",
		"2001:db8::1/129",
		"192.0.2.1/-1",
		"2001:db8::1/+6",
		"192.0.2.1/0024",
		"::ffff:192.0.2.1/120",
	};
	struct link_addr a;

	(void)state;
	assert_int_equal(link_addr_parse("192.0.2.1/24", &a), 0);
	assert_memory_equal(a.ip, ip4, 16);
	assert_int_equal(a.prefix, 24);
	assert_int_equal(link_addr_parse("192.0.2.1", &a), 0);
	assert_int_equal(a.prefix, 32);
	assert_int_equal(link_addr_parse("2001:db8::1/64", &a), 0);
	assert_memory_equal(a.ip, ip6, 16);
	assert_int_equal(a.prefix, 64);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(link_addr_parse(wrong[i], &a), -EINVAL);
	assert_int_equal(a.prefix, 64); /* untouched */
}

static void makes_frames(void **state)
{
	uint8_t eth[TUN_ETH] = { 0 };

	(void)state;
	assert_int_equal(tun_eth_header(0x45, eth), 0);
	assert_int_equal(eth[12] << 8 | eth[13], 0x0800);
	assert_int_equal(eth[0] & 1, 0); /* for one host */
	assert_int_equal(tun_eth_header(0x60, eth), 0);
	assert_int_equal(eth[12] << 8 | eth[13], 0x86dd);
	assert_int_equal(tun_eth_header(0x00, eth), -EPROTONOSUPPORT);
}

static void reads_specifications(void **state)
{
	static const char *const right[] = {
		"tun:sut0",
		"tun:sut0,no-offload",
		"tun:sut0,mtu=1280,addr=192.0.2.1/24,addr=2001:db8::1/64,no-offload",
	};
	static const char *const wrong[] = {
		"tun:",
		"tun:a-name-that-is-too-long",
		"tun:,no-offload",
		"tun:sut0,",
		"tun:sut0,offload",
		"tun:sut0,mtu=67",
		"tun:sut0,mtu=65536",
		"tun:sut0,mtu=x",
		"tun:sut0,addr=192.0.2.1/24/24",
		"tun:sut0,addr=1,addr=1,addr=1",
	};
	char why[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(right); i++)
		assert_int_equal(port_check(right[i], why, sizeof why), 0);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		*why = 0;
		assert_int_equal(port_check(wrong[i], why, sizeof why), -EINVAL);
		assert_non_null(strstr(why, "tun:"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_addresses),
		cmocka_unit_test(makes_frames),
		cmocka_unit_test(reads_specifications),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
