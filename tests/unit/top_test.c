/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "app/top.h"

static struct top_sample before, now;
static char *text;

static int set_up(void **state)
{
	(void)state;
	top_begin(&before, SUT_MS(1000));
	top_begin(&now, SUT_MS(3000));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	top_free(&before);
	top_free(&now);
	free(text);
	text = NULL;
	return 0;
}

#define STATS(in, rx, doff)                                        \
	"{\"role\":\"accel-near\",\"events\":{\"packets_in\":" #in \
	",\"promised\":5},\"dropped\":{\"tcp-doff\":" #doff        \
	"},\"passed\":{},\"ports\":{\"client\":{\"port\":\"if:\\u001b[2J\",\"rx\":" #rx "}}}"

static void flow(struct top_sample *s, unsigned port, uint32_t near, uint32_t far)
{
	char line[300];

	snprintf(line, sizeof line,
		 "{\"src\":\"192.0.2.1\",\"sport\":%u,\"dst\":\"198.51.100.1\",\"dport\":80,"
		 "\"state\":\"OPEN\",\"bytes_near\":%u,\"bytes_far\":%u}",
		 port, near, far);
	top_take_flow(s, line);
}

static double rate(const json_t *d, const char *part, const char *name)
{
	return json_number_value(json_object_get(json_object_get(d, part), name));
}

static const char *print(const json_t *d)
{
	size_t len;
	FILE *f = open_memstream(&text, &len);

	top_print(d, f);
	fclose(f);
	return text;
}

/* A second, over two; what did not move is left out. */
static void tells_rates(void **state)
{
	json_t *d, *port;

	(void)state;
	top_take_stats(&before, STATS(100, 7, 1));
	top_take_stats(&now, STATS(300, 107, 1));
	d = top_difference(&before, &now);
	assert_non_null(d);
	assert_true(rate(d, "events", "packets_in") == 100);
	assert_int_equal(json_object_size(json_object_get(d, "events")), 1);
	assert_int_equal(json_object_size(json_object_get(d, "dropped")), 0);
	port = json_object_get(json_object_get(d, "ports"), "client");
	assert_true(json_number_value(json_object_get(port, "rx")) == 50);
	assert_string_equal(json_string_value(json_object_get(d, "role")), "accel-near");
	print(d);
	assert_non_null(strstr(text, "packets_in"));
	assert_null(strstr(text, "promised"));
	assert_null(strstr(text, "DROPPED"));
	assert_null(json_object_get(d, "stack"));
	assert_non_null(strstr(text, "if:?[2J"));
	assert_null(strchr(text, 033));
	json_decref(d);
}

/* Who has a TCP of its own counts what that does. */
static void tells_of_tcp(void **state)
{
	static const char line[] =
		"{\"role\":\"serve\",\"stack\":{\"segments_in\":%d,\"timeouts\":3}}";
	char was[100], is[100];
	json_t *d;

	(void)state;
	snprintf(was, sizeof was, line, 10);
	snprintf(is, sizeof is, line, 30);
	top_take_stats(&before, was);
	top_take_stats(&now, is);
	d = top_difference(&before, &now);
	assert_true(rate(d, "stack", "segments_in") == 10);
	assert_int_equal(json_object_size(json_object_get(d, "stack")), 1);
	print(d);
	assert_non_null(strstr(text, "\nTCP\nsegments_in "));
	json_decref(d);
}

/* Those that moved most come first, numbers wrap, and new connections count whole. */
static void orders_connections(void **state)
{
	json_t *d, *list;

	(void)state;
	top_take_stats(&before, STATS(1, 1, 1));
	top_take_stats(&now, STATS(1, 1, 1));
	flow(&before, 1, 0, 0);
	flow(&before, 2, 0xfffffff0, 5);
	flow(&before, 3, 50, 50);
	flow(&now, 1, 100, 0);
	flow(&now, 2, 0xf0, 105);
	flow(&now, 3, 50, 50);
	flow(&now, 4, 10, 1);
	d = top_difference(&before, &now);
	list = json_object_get(d, "connections");
	assert_int_equal(json_array_size(list), 3);
	for (size_t i = 0; i < 3; i++) {
		static const int port[] = { 2, 1, 4 };
		static const double near[] = { 128, 50, 5 };
		const json_t *row = json_array_get(list, i);

		assert_int_equal(json_integer_value(json_object_get(row, "sport")), port[i]);
		assert_true(json_number_value(json_object_get(row, "near")) == near[i]);
	}
	print(d);
	assert_non_null(strstr(text, "192.0.2.1.2 "));
	assert_non_null(strstr(text, "(of 4 connections)"));
	json_decref(d);
}

static void shows_no_more_than_it_says(void **state)
{
	json_t *d;

	(void)state;
	top_take_stats(&before, STATS(1, 1, 1));
	top_take_stats(&now, STATS(1, 1, 1));
	for (unsigned i = 0; i < TOP_FLOWS_MAX; i++)
		flow(&now, i, i, i);
	assert_false(now.cut);
	flow(&now, 60000, 1, 1);
	assert_true(now.cut);
	d = top_difference(&before, &now);
	assert_int_equal(json_array_size(json_object_get(d, "connections")), TOP_SHOWN);
	assert_non_null(strstr(print(d), "(of the first 5000 connections: there are more)"));
	json_decref(d);
}

/* Whatever else answers at that socket: no difference, or one without it. */
static void bears_nonsense(void **state)
{
	static const char *const bad[] = { "", "null", "[1]", "{", "{\"a\":1,\"a\":2}", "\xff" };
	json_t *d;

	(void)state;
	assert_null(top_difference(&before, &now));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		tear_down(NULL);
		set_up(NULL);
		top_take_stats(&before, STATS(1, 1, 1));
		top_take_stats(&now, STATS(2, 2, 2));
		if (i % 2)
			top_take_stats(&now, bad[i]);
		else
			top_take_flow(&now, bad[i]);
		assert_null(top_difference(&before, &now));
	}
	tear_down(NULL);
	set_up(NULL);
	top_take_stats(&before, "{\"ports\":7,\"events\":[],\"role\":{}}");
	top_take_stats(&now, "{\"ports\":{\"a\":3,\"b\":{\"rx\":\"x\"}},\"events\":{\"e\":-4}}");
	top_take_flow(&now, "{\"src\":4,\"bytes_near\":\"x\"}");
	d = top_difference(&before, &now);
	assert_non_null(d);
	print(d);
	json_decref(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tells_rates, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tells_of_tcp, set_up, tear_down),
		cmocka_unit_test_setup_teardown(orders_connections, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shows_no_more_than_it_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bears_nonsense, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
