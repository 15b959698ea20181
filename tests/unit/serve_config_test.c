/* SPDX-License-Identifier: MIT */
#include "app/serve.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "app/serve_service.h"
#include "base/compiler.h"
#include "proto/print.h"

static struct serve_config cfg;
static char why[400];

static void begin(void)
{
	memset(&cfg, 0, sizeof cfg);
	cfg.flags.tun = "sut0";
}

static void add_addr(const char *s)
{
	cfg.flags.addr[cfg.flags.addrs++] = s;
}

static void add_port(const char *s)
{
	cfg.flags.port[cfg.flags.ports++] = s;
}

/* Is network i ours with bits of 128, and the host's address this one? */
static void expect_net(unsigned i, const char *ours, unsigned bits, const char *host)
{
	char s[46];

	print_addr(cfg.net[i].ip, s, sizeof s);
	assert_string_equal(s, ours);
	assert_int_equal(cfg.net[i].prefix, bits);
	print_addr(cfg.host[i].ip, s, sizeof s);
	assert_string_equal(s, host);
}

static void chooses_host_addresses(void **state)
{
	static const struct {
		const char *addr, *ours;
		unsigned bits;
		const char *host;
	} rows[] = {
		{ "192.0.2.2/24", "192.0.2.2", 120, "192.0.2.1" },
		{ "192.0.2.1/24", "192.0.2.1", 120, "192.0.2.2" },
		{ "192.0.2.77/30", "192.0.2.77", 126, "192.0.2.78" },
		{ "192.0.2.76/31", "192.0.2.76", 127, "192.0.2.77" },
		{ "192.0.2.77/31", "192.0.2.77", 127, "192.0.2.76" },
		{ "198.51.100.200/22", "198.51.100.200", 118, "198.51.100.1" },
		{ "2001:db8::2/64", "2001:db8::2", 64, "2001:db8::1" },
		{ "2001:db8::1/64", "2001:db8::1", 64, "2001:db8::2" },
		{ "2001:db8::ff00/127", "2001:db8::ff00", 127, "2001:db8::ff01" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		begin();
		add_addr(rows[i].addr);
		add_port("7 echo");
		assert_int_equal(serve_configure(&cfg, why, sizeof why), 0);
		expect_net(0, rows[i].ours, rows[i].bits, rows[i].host);
	}
	begin();
	add_addr("192.0.2.2/24");
	add_addr("192.0.2.1/24");
	add_addr("2001:db8::2/64");
	add_port("7 echo");
	cfg.flags.host_addr[cfg.flags.host_addrs++] = "2001:db8::7";
	assert_int_equal(serve_configure(&cfg, why, sizeof why), 0);
	expect_net(0, "192.0.2.2", 120, "192.0.2.3");
	expect_net(1, "192.0.2.1", 120, "192.0.2.3");
	expect_net(2, "2001:db8::2", 64, "2001:db8::7");
}

static void finds_services(void **state)
{
	static const char *const words[] = { "http", "/srv/a b", "echo", "proxy", "host:22" };

	(void)state;
	begin();
	add_addr("192.0.2.2/24");
	add_port("80");
	add_port("81 http /srv/c d");
	add_port("7");
	add_port("9 discard ");
	add_port("2222");
	assert_int_equal((cfg.words = (struct serve_words){ words, 5 },
			  serve_configure(&cfg, why, sizeof why)),
			 0);
	assert_int_equal(cfg.listens, 5);
	assert_ptr_equal(cfg.listen[0].service, &service_http);
	assert_string_equal(cfg.listen[0].arg, "/srv/a b");
	assert_int_equal(cfg.listen[1].port, 81);
	assert_string_equal(cfg.listen[1].arg, "/srv/c d");
	assert_ptr_equal(cfg.listen[2].service, &service_echo);
	assert_null(cfg.listen[2].arg);
	assert_ptr_equal(cfg.listen[3].service, &service_discard);
	assert_ptr_equal(cfg.listen[4].service, &service_proxy);
	assert_string_equal(cfg.listen[4].arg, "host:22");
}

static void refuses(void **state)
{
	static const struct {
		const char *addr, *host, *port, *word, *says;
	} rows[] = {
		{ NULL, NULL, "7 echo", NULL, "addr: no address" },
		{ "192.0.2.2", NULL, "7 echo", NULL, "no address with its network" },
		{ "192.0.2.2/32", NULL, "7 echo", NULL, "no room" },
		{ "192.0.2.256/24", NULL, "7 echo", NULL, "no address with its network" },
		{ "192.0.2.2/24", "192.0.2.2", "7 echo", NULL, "is one of ours" },
		{ "192.0.2.2/24", "192.0.3.1", "7 echo", NULL, "in no network" },
		{ "192.0.2.2/24", "192.0.2.1/24", "7 echo", NULL, "no address" },
		{ "192.0.2.2/24", NULL, NULL, NULL, "nothing is to be served" },
		{ "192.0.2.2/24", NULL, "0 echo", NULL, "1 to 65535" },
		{ "192.0.2.2/24", NULL, "65536 echo", NULL, "1 to 65535" },
		{ "192.0.2.2/24", NULL, "x echo", NULL, "1 to 65535" },
		{ "192.0.2.2/24", NULL, "7", NULL, "7 has no service" },
		{ "192.0.2.2/24", NULL, "7 ", NULL, "7 has no service" },
		{ "192.0.2.2/24", NULL, "7 ftp", NULL,
		  "'ftp' is no service: expected http DIR, echo" },
		{ "192.0.2.2/24", NULL, "7 echoes", NULL, "is no service" },
		{ "192.0.2.2/24", NULL, "80 http", NULL, "http needs DIR" },
		{ "192.0.2.2/24", NULL, "80", "http", "http needs DIR" },
		{ "192.0.2.2/24", NULL, "7 echo loud", NULL,
		  "7: echo takes nothing behind it: 'loud'" },
		{ "192.0.2.0/24", NULL, "7 echo", NULL, "address of the network itself" },
		{ "192.0.2.255/24", NULL, "7 echo", NULL, "broadcast address" },
		{ "192.0.2.3/30", NULL, "7 echo", NULL, "broadcast address" },
		{ "2001:db8::/64", NULL, "7 echo", NULL, "address of the network itself" },
		{ "127.0.0.2/8", NULL, "7 echo", NULL, "kernel keeps 127.0.0.0/8" },
		{ "::1/64", NULL, "7 echo", NULL, "kernel keeps ::1" },
		{ "0.0.0.5/24", NULL, "7 echo", NULL, "no addresses of hosts" },
		{ "224.0.0.5/24", NULL, "7 echo", NULL, "no address of a single host" },
		{ "ff02::5/64", NULL, "7 echo", NULL, "no address of a single host" },
		{ "192.0.2.2/24", "192.0.2.255", "7 echo", NULL, "--host-addr: '192.0.2.255'" },
		{ "192.0.2.2/24", NULL, "7 proxy x", NULL,
		  "--port: 7: proxy: 'x' is not HOST:PORT" },
		{ "192.0.2.2/24", NULL, "7 proxy x:65536", NULL, "is not HOST:PORT" },
		{ "192.0.2.2/24", NULL, "7 echo", "more",
		  "'more' belongs to no port: echo takes nothing" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		begin();
		if (rows[i].addr)
			add_addr(rows[i].addr);
		if (rows[i].host)
			cfg.flags.host_addr[cfg.flags.host_addrs++] = rows[i].host;
		if (rows[i].port)
			add_port(rows[i].port);
		*why = 0;
		cfg.words = (struct serve_words){ &rows[i].word, rows[i].word ? 1 : 0 };
		assert_int_equal(serve_configure(&cfg, why, sizeof why), -EINVAL);
		if (!strstr(why, rows[i].says))
			fail_msg("'%s' does not say '%s'", why, rows[i].says);
	}
	begin();
	add_addr("192.0.2.2/24");
	add_port("7 echo");
	add_port("7 discard");
	assert_int_equal(serve_configure(&cfg, why, sizeof why), -EINVAL);
	assert_non_null(strstr(why, "twice"));
	cfg.flags.ports = 1;
	cfg.flags.mtu = 1279;
	assert_int_equal(serve_configure(&cfg, why, sizeof why), 0);
	add_addr("2001:db8::2/64");
	assert_int_equal(serve_configure(&cfg, why, sizeof why), -EINVAL);
	assert_non_null(strstr(why, "--mtu: IPv6 (2001:db8::2/64) needs 1280"));
	cfg.flags.mtu = 0;
	cfg.flags.addrs = 0;
	add_addr("192.0.2.1/30");
	add_addr("192.0.2.2/30");
	assert_int_equal(serve_configure(&cfg, why, sizeof why), -EINVAL);
	assert_non_null(strstr(why, "no room for the host"));
	cfg.flags.addrs = 1;
	cfg.flags.tun = "a/b";
	assert_int_equal(serve_configure(&cfg, why, sizeof why), -EINVAL);
	assert_non_null(strstr(why, "--tun: 'a/b' is no name of a device"));
	cfg.flags.tun = NULL;
	assert_int_equal(serve_configure(&cfg, why, sizeof why), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chooses_host_addresses),
		cmocka_unit_test(finds_services),
		cmocka_unit_test(refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
