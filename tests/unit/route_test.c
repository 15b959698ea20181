/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "role/handoff/route.h"

static const char *const names[] = { "a", "b", "c" };
static struct route_table table;
static uint8_t source[16];
static const struct route_client client = { source, 0 };

static int fresh(void **state)
{
	(void)state;
	memset(&table, 0, sizeof(table));
	route_backends(&table, names, 3);
	return 0;
}

static void rule(const char *text)
{
	char err[128] = "";

	if (route_rule_read(&table, text, names, 3, err))
		fail_msg("%s: %s", text, err);
}

static int goes_at(unsigned origin, const char *method, const char *host, const char *path)
{
	char head[512];
	struct request r;

	snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: %s\r\nX-Key: %s\r\n\r\n", method,
		 path, host, path);
	assert_int_equal(request_read(head, strlen(head), sizeof(head), &r), REQUEST_OK);
	return route_choose(&table, &r, &(struct route_client){ source, origin }, 7, 0);
}

static int goes(const char *method, const char *host, const char *path)
{
	return goes_at(0, method, host, path);
}

static void first_match_wins(void **state)
{
	(void)state;
	rule("www.example.org/img/* a");
	rule("*.Example.org b");
	rule("POST,PUT /up c");
	rule("*/x*z a");
	assert_int_equal(goes("GET", "www.example.org", "/img/1.png"), 0);
	assert_int_equal(goes("GET", "WWW.EXAMPLE.ORG:80", "/img/"), 0);
	assert_int_equal(goes("GET", "www.example.org.", "/im"), 1);
	assert_int_equal(goes("GET", "a.b.example.org", "/"), 1);
	assert_int_equal(goes("GET", "example.org", "/"), -1);
	assert_int_equal(goes("GET", ".example.org", "/"), -1);
	assert_int_equal(goes("PUT", "h", "/up"), 2);
	assert_int_equal(goes("GET", "h", "/up"), -1);
	assert_int_equal(goes("PUT", "h", "/upp"), -1);
	assert_int_equal(goes("GET", "h", "/xyz"), 0);
	assert_int_equal(goes("GET", "h", "/xz"), 0);
	assert_int_equal(goes("GET", "h", "/xz/zy"), -1);
	assert_int_equal(route_choose(&table, NULL, &client, 7, 0), -1);
	rule("default b");
	assert_int_equal(goes("GET", "h", "/up"), 1);
	assert_int_equal(route_choose(&table, NULL, &client, 7, 0), 1);
}

/* Whoever comes goes there, whatever he says: only where that is the first rule, and nothing in the request is hashed. */
static void asks_nothing(void **state)
{
	(void)state;
	assert_false(route_asks_nothing(&table, 0));
	rule("default c");
	assert_false(route_asks_nothing(&table, 0));
	rule("* a,b by source");
	assert_true(route_asks_nothing(&table, 0));
	table.rule[0].pick = PICK_HASH_HEADER;
	assert_false(route_asks_nothing(&table, 0));
	table.rule[0].pick = PICK_TURN;
	table.rule[0].methods = 1;
	assert_false(route_asks_nothing(&table, 0));
}

static void alive_and_tried(void **state)
{
	(void)state;
	rule("* a,b");
	rule("default c");
	assert_int_equal(route_choose(&table, NULL, &client, 2, 0), 1);
	assert_int_equal(route_choose(&table, NULL, &client, 3, 2), 0);
	/* A rule that matches has the last word: its back ends are down, and the default is not for it. */
	assert_int_equal(route_choose(&table, NULL, &client, 7, 3), -1);
	table.weight[0] = 0;
	assert_int_equal(route_choose(&table, NULL, &client, 3, 0), 1);
	assert_int_equal(route_choose(&table, NULL, &client, 3, 0), 1);
	assert_int_equal(route_choose(&table, NULL, &client, 3, 2), 0);
}

static void by_turn(void **state)
{
	char order[8] = "";
	unsigned i;

	(void)state;
	rule("* a,b,c by turn");
	table.weight[0] = 5;
	for (i = 0; i < 7; i++)
		order[i] = *names[route_choose(&table, NULL, &client, 7, 0)];
	assert_string_equal(order, "aabacaa");
}

static void by_least(void **state)
{
	(void)state;
	rule("* a,b,c by least");
	table.conns[0] = 3;
	table.conns[1] = 4;
	table.conns[2] = 4;
	assert_int_equal(route_choose(&table, NULL, &client, 7, 0), 0);
	table.weight[1] = 2;
	assert_int_equal(route_choose(&table, NULL, &client, 7, 0), 1);
	assert_int_equal(route_choose(&table, NULL, &client, 6, 0), 1);
	table.conns[0] = table.conns[2] = 2;
	assert_int_not_equal(route_choose(&table, NULL, &client, 5, 0),
			     route_choose(&table, NULL, &client, 5, 0));
}

/* Shares follow the weights; where a back end goes only its keys move; the order of the list means nothing. */
static void by_hash(void **state)
{
	static const char *const other[] = { "c", "a", "b" };
	static struct route_table turned;
	char err[128];
	unsigned n[3] = { 0 }, moved = 0, i;

	(void)state;
	rule("* a,b,c by source");
	table.weight[0] = 2;
	route_backends(&turned, other, 3);
	turned.weight[1] = 2;
	assert_int_equal(route_rule_read(&turned, "* a,b,c by source", other, 3, err), 0);
	for (i = 0; i < 40000; i++) {
		int choice, less, same;

		memcpy(source + 12, &i, 4);
		choice = route_choose(&table, NULL, &client, 7, 0);
		less = route_choose(&table, NULL, &client, 3, 0);
		same = route_choose(&turned, NULL, &client, 7, 0);
		assert_in_range(choice, 0, 2);
		assert_int_equal(choice, route_choose(&table, NULL, &client, 7, 0));
		assert_string_equal(names[choice], other[same]);
		n[choice]++;
		moved += choice != 2 && less != choice;
	}
	memset(source, 0, sizeof(source));
	assert_int_equal(moved, 0);
	assert_in_range(n[0], 19400, 20600);
	assert_in_range(n[1], 9500, 10500);
	assert_in_range(n[2], 9500, 10500);
}

static void by_header(void **state)
{
	unsigned i, n[3] = { 0 };

	(void)state;
	rule("* a,b,c by header X-Key");
	for (i = 0; i < 300; i++) {
		char path[16];
		int choice;

		snprintf(path, sizeof(path), "/%u", i);
		choice = goes("GET", "h", path);
		source[15]++;
		assert_int_equal(choice, goes("GET", "h", path));
		n[choice]++;
	}
	assert_true(n[0] > 60 && n[1] > 60 && n[2] > 60);
}

static void rules_refused(void **state)
{
	static const char *const row[] = {
		"",
		"GET",
		"*",
		"* d",
		"* a,",
		"* a by",
		"* a by luck",
		"* a by header",
		"* a least",
		"* a by turn x",
		"a.*.org a",
		"*a a",
		"a.example.org:80 a",
		"get /x a",
		"/a?b a",
		"default",
		"* a by header a-name-that-is-far-too-long-to-be-one",
	};
	char err[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		err[0] = 0;
		if (route_rule_read(&table, row[i], names, 3, err) != -EINVAL || !err[0])
			fail_msg("\"%s\" is taken", row[i]);
	}
	assert_int_equal(table.rules, 0);
	rule("default a");
	assert_int_equal(route_rule_read(&table, "default b", names, 3, err), -EINVAL);
	for (i = 0; i < ROUTE_RULES; i++)
		rule("* a");
	assert_int_equal(route_rule_read(&table, "* a", names, 3, err), -EINVAL);
}

/* Other rules for back ends that have other places here: counts stay, and who is not named gets nothing. */
static void renewed(void **state)
{
	static const char *const others[] = { "d", "b" };
	static const uint8_t place[] = { 2, 1 };
	struct route_table next = { 0 };
	char err[128];

	(void)state;
	rule("a.example a");
	rule("* a,b,c");
	table.conns[1] = 7;
	(void)goes("GET", "b.example", "/");
	route_backends(&next, others, 2);
	next.weight[0] = 5;
	assert_int_equal(route_rule_read(&next, "a.example d", others, 2, err), 0);
	assert_int_equal(route_rule_read(&next, "default d,b by least", others, 2, err), 0);
	route_renew(&table, &next, place);
	assert_int_equal(goes("GET", "a.example", "/"), 2);
	assert_int_equal(goes("GET", "b.example", "/"), 2);
	table.conns[2] = 100;
	assert_int_equal(goes("GET", "b.example", "/"), 1);
	assert_int_equal(table.weight[2], 5);
	assert_int_equal(table.conns[1], 7);
	assert_int_equal(table.rules, 1);
}

/* 0: 192.0.2.10:80, 1: 192.0.2.10:443, 2: [2001:db8::10]:80 */
static void three_origins(void)
{
	static const struct stack_addr origin[] = {
		{ .ip = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 10 }, .port = 80 },
		{ .ip = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 10 }, .port = 443 },
		{ .ip = { 0x20, 1, 0x0d, 0xb8, [15] = 0x10 }, .port = 80 },
	};

	route_origins(&table, origin, 3);
}

static int goes_silent(unsigned origin)
{
	return route_choose(&table, NULL, &(struct route_client){ source, origin }, 7, 0);
}

/* A rule is for the origins that it names: others pass it by, for whatever comes too. */
static void at_origins(void **state)
{
	(void)state;
	three_origins();
	rule("at :443 * a by source");
	rule("at 192.0.2.10:80,[2001:db8::10]:80 GET /x b");
	rule("at [2001:db8::10]:80 * c");
	rule("AT a");
	assert_int_equal(table.rule[0].origins, 2);
	assert_int_equal(table.rule[1].origins, 5);
	assert_int_equal(table.rule[3].origins, 0);
	assert_int_equal(goes_at(1, "GET", "h", "/x"), 0);
	assert_int_equal(goes_at(0, "GET", "h", "/x"), 1);
	assert_int_equal(goes_at(2, "GET", "h", "/x"), 1);
	assert_int_equal(goes_at(2, "GET", "h", "/y"), 2);
	assert_int_equal(goes_at(0, "GET", "h", "/y"), -1);
	assert_int_equal(goes_at(0, "GET", "at", "/y"), 0);
	assert_int_equal(goes_silent(1), 0);
	assert_int_equal(goes_silent(0), -1);
	assert_true(route_takes_all(&table, 1));
	assert_true(route_takes_all(&table, 2));
	assert_false(route_takes_all(&table, 0));
	/* the first rule that is for it counts */
	assert_true(route_asks_nothing(&table, 1));
	assert_false(route_asks_nothing(&table, 0));
	assert_false(route_asks_nothing(&table, 2));
}

/* The last resort of an origin comes before the general one, wherever it stands. */
static void default_of_origin(void **state)
{
	char err[128];

	(void)state;
	three_origins();
	rule("at :80 default b");
	rule("default c");
	rule("at :443 default a,b");
	assert_int_equal(goes_silent(0), 1);
	assert_int_equal(goes_silent(2), 1);
	assert_int_equal(goes_silent(1), 0);
	assert_int_equal(goes_silent(1), 1); /* by turns of its own */
	assert_int_equal(goes_silent(1), 0);
	assert_int_equal(route_rule_read(&table, "at :443 default c", names, 3, err), -EINVAL);
	assert_string_equal(err, "one of these origins has a default already");
	assert_int_equal(route_rule_read(&table, "default a", names, 3, err), -EINVAL);
	/* whom the general one names gets nothing where no origin is left to it: then he is named nowhere */
	assert_true(route_gives(&table, 0, 1));
	assert_false(route_gives(&table, 0, 0));
	assert_true(route_gives(&table, 1, 0));
	assert_true(route_gives(&table, 3, 2));
	assert_false(route_gives(&table, 3, 1));
}

/* One rule for two origins has one turn; two rules have two. */
static void turns_of_origins(void **state)
{
	(void)state;
	three_origins();
	rule("at 192.0.2.10:80,:443 * a,b");
	rule("at [2001:db8::10]:80 * a,b");
	assert_int_equal(goes_silent(0), 0);
	assert_int_equal(goes_silent(2), 0);
	assert_int_equal(goes_silent(1), 1);
	assert_int_equal(goes_silent(0), 0);
	assert_int_equal(goes_silent(2), 1);
}

static void origins_refused(void **state)
{
	static const char *const row[][2] = {
		{ "at", "\"at\" needs origins, as :443, 192.0.2.10:443 or [2001:db8::10]:443, not: "
			"\"\"" },
		{ "at * a", "\"at\" needs origins, as :443, 192.0.2.10:443 or [2001:db8::10]:443, "
			    "not: \"*\"" },
		{ "at 192.0.2.10 * a", NULL },
		{ "at :80, * a", NULL },
		{ "at :x * a", NULL },
		{ "at : * a", NULL },
		{ "at 2001:db8::10:80 * a", NULL },
		{ "at :25 * a", "no origin (vip) has this port: \":25\"" },
		{ "at :80,192.0.2.11:80 * a", "there is no such origin (vip): \"192.0.2.11:80\"" },
		{ "at 192.0.2.10:25 * a", "there is no such origin (vip): \"192.0.2.10:25\"" },
		{ "at :80", "a route needs what it matches, and back ends" },
		{ "at :80 *", "a route needs back ends behind what it matches" },
		{ "at :80 at :443 * a", NULL },
	};
	char err[128];

	(void)state;
	three_origins();
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		err[0] = 0;
		if (route_rule_read(&table, row[i][0], names, 3, err) != -EINVAL || !err[0])
			fail_msg("\"%s\" is taken", row[i][0]);
		if (row[i][1])
			assert_string_equal(err, row[i][1]);
	}
	assert_int_equal(table.rules, 0);
	/* where no origin is known none can be named */
	table.origins = 0;
	assert_int_equal(route_rule_read(&table, "at :80 * a", names, 3, err), -EINVAL);
}

/* Rules for origins that are renewed stay theirs, and so do defaults. */
static void renewed_at(void **state)
{
	static const uint8_t place[] = { 2, 1 };
	static struct route_table next;
	char err[128];

	(void)state;
	three_origins();
	rule("at :80 * a");
	rule("at :443 default b");
	memset(&next, 0, sizeof(next));
	route_backends(&next, names, 2);
	route_origins(&next, table.origin, 3);
	assert_int_equal(route_rule_read(&next, "at :443 * a", names, 2, err), 0);
	assert_int_equal(route_rule_read(&next, "at :80 default b", names, 2, err), 0);
	route_renew(&table, &next, place);
	assert_int_equal(goes_silent(1), 2);
	assert_int_equal(goes_silent(0), 1);
	assert_true(route_asks_nothing(&table, 1));
	assert_false(route_asks_nothing(&table, 0));
	assert_true(route_gives(&table, 1, 2));
	assert_false(route_gives(&table, 0, 2));
	assert_true(route_gives(&table, 0, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(first_match_wins, fresh),
		cmocka_unit_test_setup(asks_nothing, fresh),
		cmocka_unit_test_setup(alive_and_tried, fresh),
		cmocka_unit_test_setup(by_turn, fresh),
		cmocka_unit_test_setup(by_least, fresh),
		cmocka_unit_test_setup(by_hash, fresh),
		cmocka_unit_test_setup(by_header, fresh),
		cmocka_unit_test_setup(rules_refused, fresh),
		cmocka_unit_test_setup(renewed, fresh),
		cmocka_unit_test_setup(at_origins, fresh),
		cmocka_unit_test_setup(default_of_origin, fresh),
		cmocka_unit_test_setup(turns_of_origins, fresh),
		cmocka_unit_test_setup(origins_refused, fresh),
		cmocka_unit_test_setup(renewed_at, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
