/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "app/config.h"
#include "app/config_text.h"
#include "app/options.h"
#include "base/compiler.h"

struct cfg {
	bool flag;
	uint32_t number;
	uint64_t time;
	const char *string, *file;
	int mode;
	struct {
		uint16_t first, last;
	} range[4];
	uint32_t ranges;
	const char *many[4];
	uint32_t many_count;
};

static const char *const modes[] = { "one", "two", NULL };
static const char *const sections[] = { "test-it", "other", NULL };

#define F(f) OPTION_FIELD(struct cfg, f)

/* clang-format off */
static const struct option_desc table[] = {
	{ .name = "flag", .kind = OPTION_FLAG, F(flag), .help = "a flag" },
	{ .name = "max-number", .kind = OPTION_NUMBER, F(number), .arg = "N", .max = 1000, .help = "a number" },
	{ .name = "time", .kind = OPTION_TIME, F(time), .arg = "TIME", .help = "a time" },
	{ .name = "string", .kind = OPTION_STRING, F(string), .arg = "TEXT", .help = "a string" },
	{ .name = "mode", .kind = OPTION_ENUM, F(mode), .arg = "MODE", .help = "a mode", .names = modes },
	{ .name = "ports", .kind = OPTION_PORTS, F(range), OPTION_COUNT(struct cfg, ranges), .arg = "PORTS",
	  .help = "ranges" },
	{ .name = "many", .kind = OPTION_STRINGS, F(many), OPTION_COUNT(struct cfg, many_count), .arg = "TEXT",
	  .help = "strings" },
	{ .name = "config", .kind = OPTION_CONFIG, F(file), .arg = "FILE", .help = "the file" },
	{ .name = NULL },
};
/* clang-format on */

static struct cfg cfg;
static struct option_args args;
static char path[] = "/tmp/suture-config-XXXXXX", err[2000];

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd >= 0)
		close(fd);
	return fd < 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static void put(const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

/* The file says text, the flags are flag (one word, or NULL): as options_parse(). */
static int parse(const char *text, const char *flag)
{
	const struct option_group groups[] = { { NULL, table, &cfg }, { NULL, NULL, NULL } };
	const struct option_usage u = {
		.command = "test it",
		.synopsis = "",
		.groups = groups,
		.sections = sections,
	};
	static char words[3][200];
	char *argv[3] = { words[0], words[1], words[2] };

	if (text)
		put(text, strlen(text));
	snprintf(words[0], sizeof words[0], "%s", flag ? flag : "--config");
	snprintf(words[1], sizeof words[1], "%s", flag ? "--config" : path);
	snprintf(words[2], sizeof words[2], "%s", path);
	memset(&cfg, 0, sizeof cfg);
	memset(&args, 0, sizeof args);
	*err = 0;
	return options_parse(&u, flag ? 3 : 2, argv, &args, err, sizeof err);
}

static void expect(const char *text)
{
	int got = parse(text, NULL);

	if (got != 0)
		fail_msg("%s: %s", text, err);
}

static void reads_flat(void **state)
{
	(void)state;
	expect("# a comment\nflag = yes\nmax-number = 0x10\ntime = 1.5ms\nmode = two\n"
	       "string = \"if:eth0\" // another\n/* and\n one */ ports = \"80,8000-8999\"");
	assert_true(cfg.flag);
	assert_int_equal(cfg.number, 16);
	assert_int_equal(cfg.time, 1500000);
	assert_int_equal(cfg.mode, 1);
	assert_string_equal(cfg.string, "if:eth0");
	assert_int_equal(cfg.ranges, 2);
	assert_string_equal(cfg.file, path);
	config_close(args.file);
	expect("flag = no");
	assert_false(cfg.flag);
	config_close(args.file);
	expect("");
	config_close(args.file);
}

static void reads_lists(void **state)
{
	(void)state;
	expect("ports = {80, 443, 8000-8999} many = {a, \"b c\"}");
	assert_int_equal(cfg.ranges, 3);
	assert_int_equal(cfg.range[2].last, 8999);
	assert_int_equal(cfg.many_count, 2);
	assert_string_equal(cfg.many[1], "b c");
	config_close(args.file);
	expect("ports = 80 ports += {81}\nmany = one");
	assert_int_equal(cfg.ranges, 2);
	assert_string_equal(cfg.many[0], "one");
	config_close(args.file);
	expect("ports = {}");
	assert_int_equal(cfg.ranges, 0);
	config_close(args.file);
}

/* The section of the command counts more than what stands outside, wherever it stands; others are not read. */
static void reads_its_section(void **state)
{
	(void)state;
	expect("test-it {\n max-number = 2\n string = own\n}\nmax-number = 1\ntime = 5ms\n"
	       "other { max-number = 3 nonsense = {1, 2} \"}\" '}' # }\n sub { } string = "
	       "\"x\\\"}\" }\n");
	assert_int_equal(cfg.number, 2);
	assert_int_equal(cfg.time, 5000000);
	assert_string_equal(cfg.string, "own");
	config_close(args.file);
	expect("test-it { max-number = 2 mode = two }\ntest-it { max-number = 4 }");
	assert_int_equal(cfg.number, 4);
	assert_int_equal(cfg.mode, 1);
	config_close(args.file);
}

static void flags_win(void **state)
{
	(void)state;
	assert_int_equal(parse("max-number = 1 string = file", "--max-number=7"), 0);
	assert_int_equal(cfg.number, 7);
	assert_string_equal(cfg.string, "file");
	config_close(args.file);
	assert_int_equal(parse("max-number = 1", "--max-number=x"), -22);
	assert_non_null(strstr(err, "--max-number: 'x' is not a number"));
	assert_int_equal(parse("max-number = x", "--help"), 1);
}

/* Each mistake names the file, the line, and what is wrong; the next file is read well. */
static void refuses(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *why;
	} rows[] = {
		{ "\nmax-numbr = 1", 2, "unknown setting 'max-numbr'; known are flag, max-number" },
		{ "test-it {\n\nnope = 1 }", 3, "unknown setting 'nope'; known are flag" },
		{ "config = x", 1, "unknown setting 'config'" },
		{ "\n\ntest-two { }", 3, "unknown section 'test-two'; known are test-it, other" },
		{ "time = 5ms\nmax-number = 1x\n", 2, "max-number: '1x' is not a number" },
		{ "max-number = 1001", 1, "max-number: '1001' is out of range: 0 to 1000" },
		{ "test-it {\ntime = 5\n}", 2, "time: '5' is not a time with its unit" },
		{ "mode = three", 1, "mode: 'three' is not one of one, two" },
		{ "flag = 1", 1, "flag: '1' is neither yes nor no" },
		{ "ports = {80,\n 0}", 2, "ports: '0' is not valid" },
		{ "many = {a, b, c, d, e}", 1, "many: given more than 4 times" },
		{ "many = {\"a\",\n\"b\", \"c\",\n\"d\", \"e\"}", 3,
		  "many: given more than 4 times" },
		{ "string = a b", 1,
		  "string: unknown setting 'b' behind it; a value of more than one word needs "
		  "quotes: string = \"a ...\"" },
		{ "\nmany = 80 echo", 2, "many = {\"80 ...\"}" },
		{ "many = {80 echo}", 1, "needs quotes" },
		{ "string = a\nb = 5", 2, "unknown setting 'b'; known are" },
		{ "flag", 1, "" },
		{ "flag = {yes, no}", 1, "" },
		{ "flag = yes }", 1, "" },
		{ "\ntest-it {\nflag = yes", 2, "no closing brace: 'test-it'" },
		{ "other {\nflag = yes", 1, "no closing brace: 'other'" },
		{ "ports = {80", 1, "no closing brace" },
		{ "string = \"x\\", 1, "no closing quote" },
		{ "string = \"x", 1, "" },
		{ "string = 'x", 1, "" },
		{ "string = \"\\999\"", 1, "" },
		{ "include(\"/etc/passwd\")", 1, "unknown setting 'include'" },
		{ "= = =", 1, "" },
		{ "{ }", 1, "" },
	};
	char where[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int got = parse(rows[i].text, NULL);

		snprintf(where, sizeof where, "%s:%u: ", path, rows[i].line);
		if (got != -22 || strncmp(err, where, strlen(where)) != 0 ||
		    !strstr(err, rows[i].why))
			fail_msg("'%s': %d, '%s'", rows[i].text, got, err);
		config_close(args.file);
		expect("max-number = 5");
		assert_int_equal(cfg.number, 5);
		config_close(args.file);
	}
}

/* Where a text stood is known as long as it is there; of one from elsewhere nothing is. */
static void knows_where(void **state)
{
	char where[200], line[220];
	const char *flag = "--many=from-a-flag";

	(void)state;
	assert_int_equal(
		parse("string = \"x\"\nmany = {\"a\",\n \"b\"}\n\nmany = {\"c\",\n\n \"d\"}", flag),
		0);
	assert_int_equal(cfg.many_count, 3);
	assert_true(config_where(args.file, cfg.string, where, sizeof where) > 0);
	snprintf(line, sizeof line, "%s:1: ", path);
	assert_string_equal(where, line);
	config_where(args.file, cfg.many[0], where, sizeof where);
	snprintf(line, sizeof line, "%s:5: ", path);
	assert_string_equal(where, line);
	config_where(args.file, cfg.many[1], where, sizeof where);
	snprintf(line, sizeof line, "%s:7: ", path);
	assert_string_equal(where, line);
	assert_int_equal(config_where(args.file, cfg.many[2], where, sizeof where), 0);
	assert_int_equal(config_where(args.file, NULL, where, sizeof where), 0);
	assert_int_equal(config_where(NULL, cfg.string, where, sizeof where), 0);
	config_close(args.file);
}

static void refuses_files(void **state)
{
	const struct option_group groups[] = { { NULL, table, &cfg }, { NULL, NULL, NULL } };
	const struct option_usage u = { .command = "test it", .synopsis = "", .groups = groups };
	struct config_file *f;

	(void)state;
	assert_int_equal(config_read(&u, "/nonexistent/x", &f, err, sizeof err), -2);
	assert_string_equal(err, "/nonexistent/x: No such file or directory");
	assert_true(config_read(&u, "/tmp", &f, err, sizeof err) < 0);
	assert_string_equal(err, "/tmp: this is no regular file");
	assert_true(config_read(&u, "/dev/zero", &f, err, sizeof err) < 0);
	put("flag = yes\0flag = no", 20);
	assert_true(config_read(&u, path, &f, err, sizeof err) < 0);
	assert_non_null(strstr(err, "zero byte"));
	assert_int_equal(truncate(path, (off_t)CONFIG_FILE_MAX + 1), 0);
	assert_true(config_read(&u, path, &f, err, sizeof err) < 0);
	assert_non_null(strstr(err, "longer than 1 MB"));
}

/* Any bytes: an answer, and the next file is read well. */
static void survives_any_bytes(void **state)
{
	static const char piece[][9] = {
		"flag",	   "=", "yes", "{", "}",  "\"", "'", "#",  "\n",    "/*", "*/",	 "//",
		"test-it", "(", ")",   ",", "\\", "+=", " ", "80", "ports", "${", "x:-", "\1\xff"
	};
	uint32_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		char text[200] = "";

		for (unsigned j = 0; j < 20; j++) {
			seed = seed * 1664525 + 1013904223;
			strcat(text, piece[(seed >> 16) % ARRAY_LEN(piece)]);
		}
		parse(text, NULL);
		config_close(args.file);
	}
	expect("max-number = 5");
	config_close(args.file);
}

static void blanks_sections(void **state)
{
	char text[] = "a = b c {\n d = {e}\n} own { x = {y} } f";
	char why[200];
	unsigned line;

	(void)state;
	assert_int_equal(config_text_keep(text, "own", NULL, &line, why, sizeof why), 0);
	assert_string_equal(text, "a = b    \n        \n  own { x = {y} } f");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_flat),	     cmocka_unit_test(reads_lists),
		cmocka_unit_test(reads_its_section), cmocka_unit_test(flags_win),
		cmocka_unit_test(refuses),	     cmocka_unit_test(knows_where),
		cmocka_unit_test(refuses_files),     cmocka_unit_test(survives_any_bytes),
		cmocka_unit_test(blanks_sections),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
