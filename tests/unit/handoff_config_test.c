/* SPDX-License-Identifier: MIT */
#include "app/handoff_back.h"
#include "app/handoff_front.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "proto/print.h"

static struct handoff_front front;
static struct handoff_back back;

static int setup(void **state)
{
	(void)state;
	memset(&front, 0, sizeof front);
	options_defaults(handoff_front_table, &front.flags);
	front.client = "if:nowhere";
	front.flags.vip[front.flags.vips++] = "192.0.2.10:80";
	memset(&back, 0, sizeof back);
	options_defaults(handoff_back_table, &back.flags);
	back.device = "if:nowhere";
	back.key_flags.insecure = true;
	back.flags.listen = "192.0.2.21:4510";
	back.flags.front[back.flags.fronts++] = "fe=192.0.2.2";
	return 0;
}

static void backend(const char *text)
{
	front.flags.backend[front.flags.backends++] = text;
}

static void route(const char *text)
{
	front.flags.route[front.flags.routes++] = text;
}

static void origin(const char *text)
{
	back.flags.origin[back.flags.origins++] = text;
}

/* It is refused, and the sentence says this. */
static void front_is_wrong(const char *what)
{
	const char *wrong = handoff_front_finish(&front);

	assert_non_null(wrong);
	if (!strstr(wrong, what))
		fail_msg("'%s' does not say '%s'", wrong, what);
}

static void back_is_wrong(const char *what)
{
	const char *wrong = handoff_back_finish(&back);

	assert_non_null(wrong);
	if (!strstr(wrong, what))
		fail_msg("'%s' does not say '%s'", wrong, what);
}

static void ip_is(const uint8_t ip[16], const char *text)
{
	uint8_t want[16];

	assert_int_equal(endpoint_read_ip(text, strlen(text), want), 0);
	assert_memory_equal(ip, want, 16);
}

static void reads_a_front_end(void **state)
{
	(void)state;
	front.flags.vip[front.flags.vips++] = "[2001:db8::10]:8080";
	backend("web1=192.0.2.21:80,agent=192.0.2.21:4510,weight=5");
	backend("web2=[2001:db8::22]:8080,rungs=splice+shift,far");
	front.key_flags.insecure = true;
	route("www.example.org/static/* web1");
	route("default web1,web2 by source");
	assert_null(handoff_front_finish(&front));
	assert_int_equal(front.role.origins, 2);
	ip_is(front.role.origin[1].ip, "2001:db8::10");
	assert_int_equal(front.role.origin[1].port, 8080);
	assert_int_equal(front.role.backends, 2);
	assert_string_equal(front.role.backend[0].name, "web1");
	ip_is(front.role.backend[0].at[0].ip, "192.0.2.21");
	assert_int_equal(front.role.backend[0].rungs, 7);
	assert_true(front.role.backend[0].has_agent);
	assert_int_equal(front.role.backend[1].rungs, 1 << RUNG_SPLICE | 1 << RUNG_SHIFT);
	assert_true(front.role.backend[1].far_host && !front.role.backend[1].has_agent);
	assert_int_equal(front.role.routes.weight[0], 5);
	assert_int_equal(front.role.routes.weight[1], 1);
	assert_int_equal(front.role.routes.rules, 1);
	assert_true(front.role.routes.defaults == 1);
	assert_int_equal(front.channel.channel.peers, 1);
	assert_string_equal(front.channel.channel.peer[0].name, "web1");
	assert_int_equal(front.channel.channel.peer[0].at.port, 4510);
	assert_int_equal(front.role.port_lo, 10000);
	assert_int_equal(front.role.port_hi, 32767);
	assert_int_equal(front.world.targets, 2);
	assert_string_equal(front.world.device, "nowhere");
	assert_true(front_role.need(&front.role) > 0);
}

/* One name, an address of each family, in any order. */
static void reads_both_families(void **state)
{
	(void)state;
	backend("web1=192.0.2.21:80,[2001:db8::21]:8080,weight=5");
	backend("web2=[2001:db8::22]:80,rungs=splice,192.0.2.22:8080");
	assert_null(handoff_front_finish(&front));
	assert_int_equal(front.role.backends, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(front.role.backend[i].at[0].port, i ? 8080 : 80);
		assert_int_equal(front.role.backend[i].at[1].port, i ? 80 : 8080);
	}
	ip_is(front.role.backend[0].at[1].ip, "2001:db8::21");
	ip_is(front.role.backend[1].at[0].ip, "192.0.2.22");
	/* each is asked, and looked for, by itself */
	assert_int_equal(front.world.targets, 4);
	assert_string_equal(front.world.target[1].name, "web1");
	ip_is(front.world.target[1].at.ip, "2001:db8::21");
	assert_int_equal(front.role.routes.weight[0], 5);
}

static void asks_all_without_routes(void **state)
{
	(void)state;
	backend("web1=192.0.2.21:80");
	backend("web2=192.0.2.22:80");
	assert_null(handoff_front_finish(&front));
	assert_true(front.role.routes.defaults == 1);
	assert_int_equal(front.role.routes.fallback[0].group, 3);
	/* nobody is spoken to: no key is needed */
	assert_int_equal(front.channel.channel.peers, 0);
}

static void refuses_bad_front_ends(void **state)
{
	static const struct {
		const char *vip, *backend, *route, *what;
	} bad[] = {
		{ "192.0.2.10", NULL, NULL, "vip: '192.0.2.10'" },
		{ "192.0.2.10:80", NULL, NULL, "given twice" },
		{ NULL, "web1", NULL, "backend: 'web1'" },
		{ NULL, "=192.0.2.21:80", NULL, "backend: '=" },
		{ NULL, "80=192.0.2.21:80", NULL, "backend: '80=" },
		{ NULL, "we b=192.0.2.21:80", NULL, "backend: 'we b" },
		{ NULL, "web1=", NULL, "the address is missing" },
		{ NULL, "web1=192.0.2.21", NULL, "expected an address" },
		{ NULL, "web1=192.0.2.21:80,weight=1001", NULL, "'weight=1001'" },
		{ NULL, "web1=192.0.2.21:80,weight=", NULL, "'weight='" },
		{ NULL, "web1=192.0.2.21:80,agent=x", NULL, "'agent=x'" },
		{ NULL, "web1=192.0.2.21:80,agent=192.0.2.21:1,agent=192.0.2.21:2", NULL,
		  "'agent=192.0.2.21:2'" },
		{ NULL, "web1=192.0.2.21:80,rungs=jump", NULL, "'rungs=jump'" },
		{ NULL, "web1=192.0.2.21:80,rungs=", NULL, "'rungs='" },
		{ NULL, "web1=192.0.2.21:80,near", NULL, "'near'" },
		{ NULL, "web0=192.0.2.21:80", NULL, "'web0' is given twice" },
		{ NULL, "web1=192.0.2.21:80,192.0.2.22:80", NULL,
		  "one address of each family is enough" },
		{ NULL, "web1=192.0.2.21:80,2001:db8::21:80", NULL,
		  "an address of the other family" },
		{ NULL, "web1=192.0.2.21:80,agent=192.0.2.21:4510", NULL,
		  "key-file FILE is missing" },
		{ NULL, "web1=192.0.2.21:80", "default web9", "route 'default web9'" },
		{ NULL, "web1=192.0.2.21:80", "", "route ''" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		setup(state);
		backend("web0=192.0.2.20:80");
		if (bad[i].vip)
			front.flags.vip[front.flags.vips++] = bad[i].vip;
		if (bad[i].backend)
			backend(bad[i].backend);
		if (bad[i].route)
			route(bad[i].route);
		front_is_wrong(bad[i].what);
	}
	setup(state);
	front_is_wrong("backend NAME=ADDR:PORT is missing");
	setup(state);
	front.flags.vips = 0;
	backend("web0=192.0.2.20:80");
	front_is_wrong("vip ADDR:PORT is missing");
	setup(state);
	backend("web0=192.0.2.20:80");
	front.flags.check_path = "health";
	front_is_wrong("check-path: 'health'");
	setup(state);
	backend("web0=192.0.2.20:80");
	front.flags.own[front.flags.owns++] = "here";
	front_is_wrong("own: 'here'");
}

/* Sixty-four of everything have room, names of 31 letters too. */
static void has_room_for_all(void **state)
{
	static char text[ROUTE_BACKENDS][100];

	(void)state;
	front.key_flags.insecure = true;
	for (unsigned i = 0; i < ROUTE_BACKENDS; i++) {
		snprintf(text[i], sizeof text[i],
			 "a_name_of_thirty_one_letters_%02u=192.0.2.%u:80,agent=192.0.2.%u:1", i,
			 100 + i, 100 + i);
		backend(text[i]);
	}
	assert_null(handoff_front_finish(&front));
	assert_int_equal(front.channel.channel.peers, 64);
	assert_int_equal(front.role.routes.fallback[0].group, UINT64_MAX);
}

static void reads_an_agent(void **state)
{
	(void)state;
	origin("192.0.2.10:80");
	origin("8514=192.0.2.138:443");
	back.flags.host_addr[back.flags.host_addrs++] = "192.0.2.21";
	back.flags.origin_base = "8600=192.0.2.255:80/3";
	back.flags.front[back.flags.fronts++] = "fe2=192.0.2.3:99";
	back.flags.guard = true;
	assert_null(handoff_back_finish(&back));
	assert_int_equal(back.role.origins, 5);
	ip_is(back.role.origin[0].host_ip, "192.0.2.10");
	assert_int_equal(back.role.origin[0].host_port, back.role.origin[0].port);
	ip_is(back.role.origin[1].ip, "192.0.2.138");
	ip_is(back.role.origin[1].host_ip, "192.0.2.21");
	ip_is(back.role.origin[3].ip, "192.0.3.0"); /* the one behind .255 */
	assert_int_equal(back.role.origin[0].flags, WAY_ORIGIN_GUARD);
	assert_int_equal(back.channel.channel.peers, 2);
	assert_int_equal(back.channel.channel.peer[0].at.port, 0);
	assert_int_equal(back.channel.channel.peer[1].at.port, 99);
	assert_false(back.channel.channel.begins);
	assert_true(back.role.unsigned_too);
	assert_true(back.role.host.kernel > 0 && back.role.host.rcvwnd > 1000);
	assert_true(back_role.need(&back.role) > 0);
}

static void refuses_bad_agents(void **state)
{
	static const char *const bad_origins[] = { "192.0.2.10", "0=192.0.2.10:80",
						   "65536=192.0.2.10:80", "x=192.0.2.10:80",
						   "80=" };
	static const char *const bad_bases[] = { "8500=192.0.2.1:80", "192.0.2.1:80/4",
						 "8500=192.0.2.1:80/0", "8500=192.0.2.1:80/65",
						 "65530=192.0.2.1:80/10" };

	for (unsigned i = 0; i < ARRAY_LEN(bad_origins); i++) {
		setup(state);
		origin(bad_origins[i]);
		back_is_wrong("origin: '");
	}
	for (unsigned i = 0; i < ARRAY_LEN(bad_bases); i++) {
		setup(state);
		back.flags.origin_base = bad_bases[i];
		back_is_wrong("origin-base: '");
	}
	setup(state);
	back_is_wrong("origin ADDR:PORT is missing");
	setup(state);
	origin("8500=192.0.2.1:80");
	back_is_wrong("host-addr ADDR is missing");
	setup(state);
	back.key_flags.insecure = false;
	back_is_wrong("key-file FILE is missing");
	setup(state);
	back.key_flags.key_file = "/nowhere/keys";
	back_is_wrong("only one of them");
	setup(state);
	back.flags.listen = NULL;
	back_is_wrong("listen ADDR:PORT is missing");
	setup(state);
	back.flags.fronts = 0;
	back_is_wrong("front NAME=ADDR is missing");
	setup(state);
	back.flags.front[back.flags.fronts++] = "fe=192.0.2.3";
	back_is_wrong("'fe' is given twice");
}

/* The same keys at both ends make the same MACs. */
static void derives_the_keys_of_headers(void **state)
{
	char path[] = "/tmp/handoff_config_test.XXXXXX", line[80];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	for (unsigned i = 2; i-- > 0;) {
		assert_int_equal(channel_keys_make(i, line), 0);
		assert_int_equal(dprintf(fd, "%s\n", line), 67);
	}
	close(fd);
	backend("web1=192.0.2.21:80,agent=192.0.2.21:4510");
	origin("192.0.2.10:80");
	back.key_flags = (struct handoff_keys_settings){ .key_file = path };
	front.key_flags = back.key_flags;
	assert_null(handoff_front_finish(&front));
	assert_null(handoff_back_finish(&back));
	unlink(path);
	assert_int_equal(front.role.key_index, 1);
	assert_int_equal(back.role.keys, 3);
	assert_false(back.role.unsigned_too);
	assert_memory_equal(front.role.key, back.role.key, sizeof front.role.key);
	assert_memory_not_equal(front.role.key[0], front.role.key[1], 16);
}

/* lo carries as much as there can be. */
static void asks_the_devices_for_their_mtu(void **state)
{
	(void)state;
	backend("web1=192.0.2.21:80");
	assert_null(handoff_front_finish(&front));
	assert_int_equal(front.role.mtu, 1500);
	front.client = "if:lo";
	assert_null(handoff_front_finish(&front));
	assert_int_equal(front.role.mtu, 65535);
	assert_int_equal(handoff_front_carries(&front), 65535);
	front.flags.mtu = 1400;
	assert_null(handoff_front_finish(&front));
	assert_int_equal(front.role.mtu, 1400);
	origin("192.0.2.10:80");
	assert_null(handoff_back_finish(&back));
	assert_int_equal(back.role.host.mtu, 0);
	back.device = "if:lo";
	assert_null(handoff_back_finish(&back));
	assert_int_equal(back.role.host.mtu, 65535);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(asks_the_devices_for_their_mtu, setup),
		cmocka_unit_test_setup(reads_a_front_end, setup),
		cmocka_unit_test_setup(reads_both_families, setup),
		cmocka_unit_test_setup(asks_all_without_routes, setup),
		cmocka_unit_test_setup(refuses_bad_front_ends, setup),
		cmocka_unit_test_setup(has_room_for_all, setup),
		cmocka_unit_test_setup(reads_an_agent, setup),
		cmocka_unit_test_setup(refuses_bad_agents, setup),
		cmocka_unit_test_setup(derives_the_keys_of_headers, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
