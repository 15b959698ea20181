/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "app/options.h"
#include "base/compiler.h"

struct cfg {
	bool flag, other;
	uint8_t small;
	uint32_t number;
	uint64_t size, time, wait, rate, big;
	uint32_t share;
	const char *string;
	int mode;
	struct {
		uint16_t first, last;
	} range[4];
	uint32_t ranges;
	uint32_t list[3];
	const char *many[2];
	uint32_t many_count;
};

static const char *const modes[] = { "one", "two", "three", NULL };

#define F(f) OPTION_FIELD(struct cfg, f)

static int check_even(const char *text, char *ret_err, size_t err_size)
{
	if (strlen(text) % 2 == 0)
		return 0;
	snprintf(ret_err, err_size, "'%s' is odd", text);
	return -EINVAL;
}

static const struct option_desc table[] = {
	{ .name = "flag", .letter = 'f', .kind = OPTION_FLAG, F(flag), .help = "a flag" },
	{ .name = "other", .letter = 'x', .kind = OPTION_FLAG, F(other), .help = "another" },
	{ .name = "small", .kind = OPTION_NUMBER, F(small), .arg = "N", .help = "a byte" },
	{ .name = "number",
	  .letter = 'n',
	  .kind = OPTION_NUMBER,
	  F(number),
	  .arg = "N",
	  .def = "7",
	  .help = "a number",
	  .min = 2,
	  .max = 4000000000 },
	{ .name = "big", .kind = OPTION_NUMBER, F(big), .arg = "N", .help = "64 bits" },
	{ .name = "size",
	  .kind = OPTION_SIZE,
	  F(size),
	  .arg = "N",
	  .def = "64k",
	  .help = "a size" },
	{ .name = "time",
	  .kind = OPTION_TIME,
	  F(time),
	  .arg = "TIME",
	  .def = "1.5s",
	  .help = "a time" },
	{ .name = "some-wait",
	  .kind = OPTION_MS,
	  F(wait),
	  .arg = "TIME",
	  .def = "3000",
	  .help = "a time as others write it" },
	{ .name = "gap",
	  .kind = OPTION_TIME,
	  F(time),
	  .arg = "TIME",
	  .help = "a time, or none",
	  .min = 1000000,
	  .max = 3600000000000,
	  .or_zero = 1 },
	{ .name = "even",
	  .kind = OPTION_STRING,
	  F(string),
	  .arg = "TEXT",
	  .help = "a string that is judged",
	  .check = check_even },
	{ .name = "rate", .kind = OPTION_RATE, F(rate), .arg = "RATE", .help = "a rate" },
	{ .name = "share", .kind = OPTION_PPM, F(share), .arg = "SHARE", .help = "a share" },
	{ .name = "string",
	  .letter = 's',
	  .kind = OPTION_STRING,
	  F(string),
	  .arg = "TEXT",
	  .help = "a string" },
	{ .name = "mode",
	  .kind = OPTION_ENUM,
	  F(mode),
	  .arg = "MODE",
	  .help = "a mode",
	  .names = modes },
	{ .name = "ports",
	  .kind = OPTION_PORTS,
	  F(range),
	  OPTION_COUNT(struct cfg, ranges),
	  .arg = "PORTS",
	  .help = "ranges" },
	{ .name = "list", .kind = OPTION_LIST, F(list), .arg = "N[,N]...", .help = "numbers" },
	{ .name = "many",
	  .letter = 'm',
	  .kind = OPTION_STRINGS,
	  F(many),
	  OPTION_COUNT(struct cfg, many_count),
	  .arg = "TEXT",
	  .help = "strings" },
	{ .name = NULL },
};

static const struct option_desc second_table[] = {
	{ .name = "second",
	  .kind = OPTION_NUMBER,
	  F(number),
	  .arg = "N",
	  .help = "of another group" },
	{ .name = NULL },
};

static struct cfg cfg, second;
static struct option_args args;
static char err[300];

/* Parses a command line of words between blanks. */
static int parse(const char *line)
{
	const struct option_group groups[] = { { NULL, table, &cfg },
					       { "Second", second_table, &second },
					       { NULL, NULL, NULL } };
	const struct option_usage u = { "test", "[A [B]]", "About.\n", groups, 0, 2, NULL, NULL };
	static char copy[300];
	char *argv[20], *save = NULL;
	int argc = 0;

	snprintf(copy, sizeof copy, "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	memset(&cfg, 0, sizeof cfg);
	memset(&args, 0, sizeof args);
	*err = 0;
	return options_parse(&u, argc, argv, &args, err, sizeof err);
}

static void reads_values(void **state)
{
	static const struct {
		const char *line;
		size_t offset;
		uint64_t expected;
	} rows[] = {
		{ "--size 4096", offsetof(struct cfg, size), 4096 },
		{ "--size=64k", offsetof(struct cfg, size), 65536 },
		{ "--size=1.5M", offsetof(struct cfg, size), 3 << 19 },
		{ "--size=2G", offsetof(struct cfg, size), 1ull << 31 },
		{ "--time 0", offsetof(struct cfg, time), 0 },
		{ "--time 7ns", offsetof(struct cfg, time), 7 },
		{ "--time 1.5us", offsetof(struct cfg, time), 1500 },
		{ "--time .5ms", offsetof(struct cfg, time), 500000 },
		{ "--time 20ms", offsetof(struct cfg, time), 20000000 },
		{ "--time 0.000000001s", offsetof(struct cfg, time), 1 },
		{ "--time 2min", offsetof(struct cfg, time), 120000000000 },
		{ "--time 1h", offsetof(struct cfg, time), 3600000000000 },
		{ "--some-wait 3000", offsetof(struct cfg, wait), 3000000000 },
		{ "--some_wait 2.5", offsetof(struct cfg, wait), 2500000 },
		{ "--some_wait=4s", offsetof(struct cfg, wait), 4000000000 },
		{ "--rate 100mbit", offsetof(struct cfg, rate), 100000000 },
		{ "--rate 1.5gbit", offsetof(struct cfg, rate), 1500000000 },
		{ "--rate 9kbit", offsetof(struct cfg, rate), 9000 },
		{ "--big 0xffffffffffffffff", offsetof(struct cfg, big), UINT64_MAX },
		{ "--big 18446744073709551615", offsetof(struct cfg, big), UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t v;

		assert_int_equal(parse(rows[i].line), 0);
		memcpy(&v, (const char *)&cfg + rows[i].offset, sizeof v);
		if (v != rows[i].expected)
			fail_msg("%s: %llu", rows[i].line, (unsigned long long)v);
	}
}

static void reads_shares(void **state)
{
	(void)state;
	assert_int_equal(parse("--share 1%"), 0);
	assert_int_equal(cfg.share, 10000);
	assert_int_equal(parse("--share 0.1%"), 0);
	assert_int_equal(cfg.share, 1000);
	assert_int_equal(parse("--share 0.0001%"), 0);
	assert_int_equal(cfg.share, 1);
	assert_int_equal(parse("--gap 0 --even ab"), 0);
	assert_int_equal(parse("--share 50ppm"), 0);
	assert_int_equal(cfg.share, 50);
	assert_int_equal(parse("--share 100%"), 0);
	assert_int_equal(cfg.share, 1000000);
}

static void reads_words(void **state)
{
	(void)state;
	assert_int_equal(parse("-f --string=a=b --mode three -n5 one --second 9 two"), 0);
	assert_true(cfg.flag && !cfg.other);
	assert_string_equal(cfg.string, "a=b");
	assert_int_equal(cfg.mode, 2);
	assert_int_equal(cfg.number, 5);
	assert_int_equal(second.number, 9);
	assert_int_equal(args.n, 2);
	assert_string_equal(args.arg[0], "one");
	assert_string_equal(args.arg[1], "two");
	assert_int_equal(parse("-xfn 5 -- --flag -"), 0);
	assert_true(cfg.flag && cfg.other && cfg.number == 5);
	assert_string_equal(args.arg[0], "--flag");
	assert_string_equal(args.arg[1], "-");
	assert_int_equal(parse("-m a --many=b"), 0);
	assert_int_equal(cfg.many_count, 2);
	assert_string_equal(cfg.many[1], "b");
}

static void reads_lists(void **state)
{
	(void)state;
	assert_int_equal(parse("--ports 80,443,8000-8999"), 0);
	assert_int_equal(cfg.ranges, 3);
	assert_int_equal(cfg.range[0].first, 80);
	assert_int_equal(cfg.range[0].last, 80);
	assert_int_equal(cfg.range[2].first, 8000);
	assert_int_equal(cfg.range[2].last, 8999);
	assert_int_equal(parse("--ports all"), 0);
	assert_int_equal(cfg.ranges, 1);
	assert_int_equal(cfg.range[0].last, 65535);
	assert_int_equal(parse("--ports 1 --ports none"), 0);
	assert_int_equal(cfg.ranges, 0);
	assert_int_equal(parse("--list 1,5"), 0);
	assert_int_equal(cfg.list[0], 1);
	assert_int_equal(cfg.list[1], 5);
	assert_int_equal(cfg.list[2], 0);
	assert_int_equal(parse("--list 1,2,3"), 0);
	assert_int_equal(cfg.list[2], 3);
}

/* Each message names the option and says what is wrong; nothing is changed. */
static void refuses(void **state)
{
	static const struct {
		const char *line, *option, *why;
	} rows[] = {
		{ "--nope", "--nope", "unknown" },
		{ "-q", "-q", "unknown" },
		{ "--numbe=5", "--numbe", "unknown" },
		{ "--number", "--number", "needs a value" },
		{ "-n", "-n", "needs a value" },
		{ "--number=", "--number", "not a number" },
		{ "--number=5x", "--number", "'5x' is not a number" },
		{ "--number=-5", "--number", "not a number" },
		{ "--number=1", "--number", "2 to 4000000000" },
		{ "--number=4000000001", "--number", "out of range" },
		{ "--small=256", "--small", "0 to 255" },
		{ "--big=18446744073709551616", "--big", "too large" },
		{ "--size=64q", "--size", "64k" },
		{ "--size=0.3k", "--size", "finer" },
		{ "--size=99999999999G", "--size", "too large" },
		{ "--time=5", "--time", "with its unit" },
		{ "--time=5sec", "--time", "with its unit" },
		{ "--time=ms", "--time", "with its unit" },
		{ "--time=1.5ns", "--time", "finer" },
		{ "--time=.s", "--time", "with its unit" },
		{ "--time=99999999999h", "--time", "too large" },
		{ "--gap=5us", "--gap", "out of range: 1ms to 1h, or 0" },
		{ "--gap=2h", "--gap", "out of range: 1ms to 1h, or 0" },
		{ "--even=abc", "--even", "'abc' is odd" },
		{ "--rate=5", "--rate", "100mbit" },
		{ "--rate=5Mbps", "--rate", "100mbit" },
		{ "--share=101%", "--share", "out of range: 0 to 100%" },
		{ "--share=0.5", "--share", "1%" },
		{ "--share=0.00001%", "--share", "finer" },
		{ "--mode=four", "--mode", "one, two, three" },
		{ "--mode=", "--mode", "one of" },
		{ "--flag=1", "--flag", "no value" },
		{ "--ports=80,", "--ports", "8000-8999" },
		{ "--ports=0", "--ports", "8000-8999" },
		{ "--ports=9-8", "--ports", "8000-8999" },
		{ "--ports=65536", "--ports", "8000-8999" },
		{ "--ports=1,2,3,4,5", "--ports", "more than 4" },
		{ "--list=1,0", "--list", "'0'" },
		{ "--list=1,2,3,4", "--list", "more than 3" },
		{ "-m a -m b -m c", "-m", "more than 2" },
		{ "a b c", "'c'", "unexpected" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int got = parse(rows[i].line);

		if (got >= 0 || !strstr(err, rows[i].option) || !strstr(err, rows[i].why))
			fail_msg("'%s': %d, '%s'", rows[i].line, got, err);
		assert_int_equal(cfg.number | cfg.size | cfg.time | cfg.ranges | cfg.list[0], 0);
	}
}

static void knows_help(void **state)
{
	(void)state;
	assert_int_equal(parse("--number 5 --help --nope"), 1);
	assert_int_equal(parse("-h"), 1);
	assert_int_equal(parse("--string --help"), 0);
	assert_int_equal(parse("-- --help"), 0);
}

static void sets_defaults(void **state)
{
	(void)state;
	memset(&cfg, 0, sizeof cfg);
	options_defaults(table, &cfg);
	assert_int_equal(cfg.number, 7);
	assert_int_equal(cfg.size, 65536);
	assert_int_equal(cfg.time, 1500000000);
	assert_null(cfg.string);
}

/* Every option, its value's name and its default are in the help text, and no line ends in a blank. */
static void prints_help(void **state)
{
	const struct option_group groups[] = { { NULL, table, &cfg }, { NULL, NULL, NULL } };
	const struct option_usage u = { "test", "[A [B]]", "About.\n", groups, 0, 2, NULL, NULL };
	char text[8192], flag[64];
	FILE *f = fmemopen(text, sizeof text, "w");

	(void)state;
	options_help(&u, f);
	fclose(f);
	assert_non_null(strstr(text, "usage: suture test [A [B]]\n"));
	for (const struct option_desc *d = table; d->name; d++) {
		snprintf(flag, sizeof flag, "--%s%s%s", d->name, d->arg ? " " : "",
			 d->arg ? d->arg : "");
		assert_non_null(strstr(text, flag));
	}
	assert_non_null(strstr(text, "one, two, three"));
	assert_non_null(strstr(text, "[1.5s]"));
	assert_null(strstr(text, " \n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_values),	 cmocka_unit_test(reads_shares),
		cmocka_unit_test(reads_words),	 cmocka_unit_test(reads_lists),
		cmocka_unit_test(refuses),	 cmocka_unit_test(knows_help),
		cmocka_unit_test(sets_defaults), cmocka_unit_test(prints_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
