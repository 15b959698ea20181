/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "app/config.h"
#include "app/option_text.h"
#include "app/settings.h"
#include "base/compiler.h"

struct block {
	const char *port; /* of one group */
	struct {
		bool flag;
		int mode;
		uint8_t small;
		uint16_t share;
		uint64_t size, time, rate;
		uint32_t list[3], numbers;
		struct {
			uint16_t first, last;
		} range[4];
		uint32_t ranges;
		const char *many[2];
		uint32_t many_count;
	} other;
	uint32_t derived;
};

static const char *const modes[] = { "one", "two", NULL };

#define F(f)                                                                       \
	.offset = offsetof(struct block, other.f) - offsetof(struct block, other), \
	.size = sizeof((struct block *)0)->other.f
#define COUNT(f)                                                                         \
	.count_offset = offsetof(struct block, other.f) - offsetof(struct block, other), \
	.counted = 1

/* clang-format off */
static const struct option_desc port_table[] = {
	{ .name = "port", .kind = OPTION_STRING, OPTION_FIELD(struct block, port), .arg = "PORT" },
	{ .name = NULL },
};

static const struct option_desc table[] = {
	{ .name = "flag", .kind = OPTION_FLAG, F(flag) },
	{ .name = "mode", .kind = OPTION_ENUM, F(mode), .arg = "MODE", .names = modes },
	{ .name = "small", .kind = OPTION_NUMBER, F(small), .arg = "N", .fixed = 1 },
	{ .name = "share", .kind = OPTION_PPM, F(share), .arg = "SHARE", .max = 60000 },
	{ .name = "size", .kind = OPTION_SIZE, F(size), .arg = "N", .def = "64k" },
	{ .name = "time", .kind = OPTION_TIME, F(time), .arg = "TIME" },
	{ .name = "wait", .kind = OPTION_MS, F(time), .arg = "TIME" },
	{ .name = "rate", .kind = OPTION_RATE, F(rate), .arg = "RATE" },
	{ .name = "list", .kind = OPTION_LIST, F(list), .arg = "N" },
	{ .name = "ports", .kind = OPTION_PORTS, F(range), COUNT(ranges), .arg = "PORTS" },
	{ .name = "many", .kind = OPTION_STRINGS, F(many), COUNT(many_count), .arg = "TEXT" },
	{ .name = NULL },
};
/* clang-format on */

static struct block now, next;
static char told[400];

static void set_defaults(const void *ctx, void *block)
{
	(void)ctx;
	options_defaults(table, &((struct block *)block)->other);
}

static const char *finish(const void *ctx, void *block)
{
	(void)ctx;
	(void)block;
	return NULL;
}

static void tell(void *ctx, const struct option_group *g, const struct option_desc *d,
		 const void *other)
{
	char was[100], is[100];
	size_t n = strlen(told);

	(void)ctx;
	option_text(d, g->config, was, sizeof was);
	option_text(d, other, is, sizeof is);
	snprintf(told + n, sizeof told - n, "%s %s>%s;", d->name, was, is);
}

/* Reads the flags of each line into a block of its own, and tells what differs. */
static const char *differences(const char *a, const char *b)
{
	const struct option_group groups[] = { { NULL, port_table, &now },
					       { NULL, table, &now.other },
					       { NULL, NULL, NULL } };
	const struct option_usage usage = { .command = "test", .synopsis = "", .groups = groups };
	struct settings s = {
		.usage = &usage,
		.block = &now,
		.size = sizeof now,
		.defaults = set_defaults,
		.finish = finish,
	};
	static char copy[2][200];
	char *argv[2][10], err[300];

	*told = 0;
	for (unsigned i = 0; i < 2; i++) {
		struct config_file *file;
		char *save = NULL;

		snprintf(copy[i], sizeof copy[i], "%s", i ? b : a);
		s.argc = 0;
		s.argv = argv[i];
		for (char *w = strtok_r(copy[i], " ", &save); w; w = strtok_r(NULL, " ", &save))
			argv[i][s.argc++] = w;
		if (settings_read(&s, i ? &next : &now, &file, err, sizeof err) != 0)
			fail_msg("%s", err);
		assert_null(file);
	}
	settings_compare(&s, &next, tell, NULL);
	settings_take(&s, &next);
	return told;
}

static void compares(void **state)
{
	(void)state;
	assert_string_equal(differences("", ""), "");
	assert_string_equal(differences("--flag --mode two", ""), "flag yes>no;mode two>one;");
	assert_string_equal(differences("--size 1k", "--size=1024"), "");
	assert_string_equal(differences("", "--size=3M"), "size 64k>3M;");
	assert_string_equal(differences("--ports 80,81", "--ports 80"), "ports 80,81>80;");
	assert_string_equal(differences("--ports 80,81", "--ports 80,81"), "");
	assert_string_equal(differences("--list 1,2", "--list 1"), "list 1,2>1;");
	assert_string_equal(differences("--many a --many b", "--many=a --many=b"), "");
	assert_string_equal(differences("--many a", "--many b"), "many a>b;");
	assert_string_equal(differences("--port if:a", "--port=if:a"), "");
	assert_string_equal(differences("--port if:a", ""), "port if:a>;");
}

/* What is taken has the new numbers, and the texts where they were. */
static void takes(void **state)
{
	const char *before;

	(void)state;
	differences("--port same --size 1k", "--port same --size 2k");
	before = now.port;
	assert_int_equal(now.other.size, 2048);
	assert_string_equal(before, "same");
	assert_ptr_not_equal(before, NULL);
	assert_ptr_equal(next.port, now.port);
}

static void knows_what_is_fixed(void **state)
{
	(void)state;
	assert_false(setting_may_change(&port_table[0]));
	assert_true(setting_may_change(&table[0]));
	assert_false(setting_may_change(&table[2]));
}

/* A value's text gives the value again. */
static void texts_are_values(void **state)
{
	static const struct {
		const char *name, *in, *out;
	} rows[] = {
		{ "flag", "yes", "yes" },
		{ "small", "254", "254" },
		{ "small", "255", "" }, /* nothing but ones: not set */
		{ "share", "1%", "1%" },
		{ "share", "0.15%", "1500ppm" },
		{ "size", "0", "0" },
		{ "size", "1.5k", "1536" },
		{ "size", "5G", "5G" },
		{ "time", "0", "0" },
		{ "time", "90s", "90s" },
		{ "time", "120min", "2h" },
		{ "time", "1.5us", "1500ns" },
		{ "wait", "3000", "3s" },
		{ "rate", "1500mbit", "1500mbit" },
		{ "rate", "1gbit", "1gbit" },
		{ "list", "7,8,9", "7,8,9" },
		{ "list", "none", "none" },
		{ "ports", "all", "1-65535" },
		{ "ports", "none", "none" },
		{ "ports", "80,90-99", "80,90-99" },
	};
	char text[100], again[100], err[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct option_desc *d = table;
		struct block b = { 0 };

		while (strcmp(d->name, rows[i].name) != 0)
			d++;
		assert_int_equal(option_set(d, &b.other, rows[i].in, err, sizeof err), 0);
		option_text(d, &b.other, text, sizeof text);
		assert_string_equal(text, rows[i].out);
		if (!*text)
			continue;
		assert_int_equal(option_set(d, &b.other, text, err, sizeof err), 0);
		option_text(d, &b.other, again, sizeof again);
		assert_string_equal(again, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compares),
		cmocka_unit_test(takes),
		cmocka_unit_test(knows_what_is_fixed),
		cmocka_unit_test(texts_are_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
