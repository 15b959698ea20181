/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "port/port.h"
#include "port/qemu_addr.h"

static const struct {
	const char *spec;
	struct qemu_addr is;
} good[] = {
	{ "192.0.2.1:4444", { .host = "192.0.2.1", .port = "4444" } },
	{ "example.org:1", { .host = "example.org", .port = "1" } },
	{ "[2001:db8::1]:65535", { .host = "2001:db8::1", .port = "65535" } },
	{ "listen::9000", { .listen = true, .port = "9000" } },
	{ "listen:[::]:9000", { .listen = true, .host = "::", .port = "9000" } },
	{ "listen:127.0.0.1:9", { .listen = true, .host = "127.0.0.1", .port = "9" } },
	{ "unix:/run/a.sock", { .local = true, .path = "/run/a.sock" } },
	{ "unix:a:b", { .local = true, .path = "a:b" } },
	{ "listen:unix:x", { .listen = true, .local = true, .path = "x" } },
	{ "h:1,vnet_hdr_support", { .host = "h", .port = "1", .vnet = true } },
	{ "h:1,vnet_hdr_support=on", { .host = "h", .port = "1", .vnet = true } },
	{ "h:1,vnet_hdr_support=off", { .host = "h", .port = "1" } },
	{ "unix:x,vnet_hdr_support", { .local = true, .path = "x", .vnet = true } },
};

/* What is wrong, and a word of what is said about it. */
static const struct {
	const char *spec, *says;
} bad[] = {
	{ "host", "port number" },
	{ "host:", "1 to 65535" },
	{ "host:0", "1 to 65535" },
	{ "host:65536", "1 to 65535" },
	{ "host:123456", "1 to 65535" },
	{ "host:12a", "1 to 65535" },
	{ "host:-1", "1 to 65535" },
	{ ":4444", "no host" },
	{ "[]:4444", "in the brackets" },
	{ "2001:db8::1:4444", "stands in brackets" },
	{ "listen:4444", "port number" },
	{ "listen:", "port number" },
	{ "unix:", "no path" },
	{ "listen:unix:", "no path" },
	{ "unix:,vnet_hdr_support", "no path" },
	{ "h:1,", "comma" },
	{ "h:1,vnet_hdr_support=yes", "comma" },
	{ "h:1,vnet_hdr_support,x", "comma" },
	{ "h:1,server", "comma" },
	{ "unix:a,b", "comma" },
};

static void reads_good_ones(void **state)
{
	char err[500], spec[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct qemu_addr a;

		assert_int_equal(qemu_addr_parse(good[i].spec, &a, err, sizeof err), 0);
		assert_int_equal(a.listen, good[i].is.listen);
		assert_int_equal(a.local, good[i].is.local);
		assert_int_equal(a.vnet, good[i].is.vnet);
		assert_string_equal(a.host, good[i].is.host);
		assert_string_equal(a.port, good[i].is.port);
		assert_string_equal(a.path, good[i].is.path);
		snprintf(spec, sizeof spec, "qemu:%s", good[i].spec);
		assert_int_equal(port_check(spec, err, sizeof err), 0);
	}
}

static void names_what_is_wrong(void **state)
{
	char err[500], spec[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(spec, sizeof spec, "qemu:%s", bad[i].spec);
		assert_int_equal(port_check(spec, err, sizeof err), -EINVAL);
		assert_non_null(strstr(err, bad[i].says));
		assert_non_null(strstr(err, bad[i].spec));
		assert_non_null(strstr(err, "expected qemu:"));
	}
	assert_int_equal(port_check("qemu:", err, sizeof err), -EINVAL);
	assert_non_null(strstr(err, "qemu:HOST:PORT"));
}

/* The longest that are taken, and one character more. */
static void lengths_are_limited(void **state)
{
	char spec[400], err[600];
	struct qemu_addr a;

	(void)state;
	for (int extra = 0; extra < 2; extra++) {
		snprintf(spec, sizeof spec, "unix:%0*d", QEMU_PATH_MAX - 1 + extra, 0);
		assert_int_equal(qemu_addr_parse(spec, &a, err, sizeof err), extra ? -EINVAL : 0);
		snprintf(spec, sizeof spec, "%0*d:1", QEMU_HOST_MAX - 1 + extra, 0);
		assert_int_equal(qemu_addr_parse(spec, &a, err, sizeof err), extra ? -EINVAL : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_good_ones),
		cmocka_unit_test(names_what_is_wrong),
		cmocka_unit_test(lengths_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
