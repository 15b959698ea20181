/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_OPTIONS_H
#define SUT_APP_OPTIONS_H
/*
 * options - one table of options drives the flags, the usage, and whatever else wants to list them.
 *
 * Owns:     nothing: a table is constant, the values go to the caller's config struct, strings stay where argv has them.
 * Does not: print or exit, but for options_run(), which commands call.
 *
 * A table is an array of struct option_desc ended by a NULL name:
 *
 *	static const struct option_desc table[] = {
 *		{ .name = "delay", .kind = OPTION_TIME, OPTION_FIELD(struct cfg, delay), .arg = "TIME",
 *		  .def = "0", .help = "one-way delay" },
 *		{ .name = NULL },
 *	};
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* clang-format off */
enum option_kind {
	OPTION_FLAG,	/* no value: the field becomes 1 (bool) */
	OPTION_NUMBER,	/* unsigned decimal number, or 0x hexadecimal */
	OPTION_SIZE,	/* number with k, M or G (1024, 1024^2, 1024^3): "64k" */
	OPTION_TIME,	/* nanoseconds from "5ms", "1.5s"; ns us ms s min h; a bare 0; ten years at most */
	OPTION_MS,	/* as OPTION_TIME, but a bare number counts milliseconds: "3000", "3s" */
	OPTION_PPM,	/* millionths from "1%", "0.1%", "50ppm"; a bare 0 */
	OPTION_RATE,	/* bits per second from "100mbit", "1.5gbit"; bit kbit mbit gbit; a bare 0 */
	OPTION_STRING,	/* const char *: points into argv */
	OPTION_ENUM,	/* index into names */
	OPTION_PORTS,	/* "80,443,8000-8999", "all", "none": pairs of uint16_t first, last; replaces the list */
	OPTION_LIST,	/* "1,5": numbers of uint32_t; replaces the list */
	OPTION_STRINGS,	/* const char * each time the option is given: appended */
	OPTION_CONFIG,	/* const char *: a file whose settings (config.h) come before those of all other flags */
};
/* clang-format on */

struct option_desc {
	const char *name; /* long name without dashes: "max-flows"; NULL ends a table */
	char letter; /* short form: 'v' for -v; 0 if there is none */
	enum option_kind kind;
	size_t offset; /* of the field in the config struct */
	size_t size; /* of a number's or enum's field: 1, 2, 4, 8; of a whole array for lists */
	const char *arg; /* name of the value in the usage: "TIME"; NULL for flags */
	const char *def; /* the default as one would type it; NULL: none to speak of */
	const char *help; /* one line, no full stop */
	uint64_t min,
		max; /* bounds of numbers, both ends included; max 0: as much as the field holds */
	const char *const *names; /* OPTION_ENUM: names by value, ended by NULL */
	size_t count_offset; /* lists: offset of a uint32_t that takes the number of entries; */
	unsigned char counted; /* ... 1 if there is one: else the list ends with a zero entry */
	unsigned char fixed; /* 1: cannot change while a command runs */
	unsigned char live; /* texts: 1: may change while it runs; others never may */
	unsigned char or_zero; /* numbers: 1: 0 is well, though below min */
	/* OPTION_STRING, OPTION_STRINGS: is text well-formed?  0, or -EINVAL with a sentence in ret_err.  NULL: any is. */
	int (*check)(const char *text, char *ret_err, size_t err_size);
};

#define OPTION_FIELD(type, field) \
	.offset = offsetof(type, field), .size = sizeof(((type *)0)->field)
#define OPTION_COUNT(type, field) .count_offset = offsetof(type, field), .counted = 1

/* Options that fill one config struct, with a heading for the usage (NULL: "Options"). */
struct option_group {
	const char *title;
	const struct option_desc *table; /* NULL ends an array of groups */
	void *config;
};

/* What a command takes, for parsing and for --help. */
struct option_usage {
	const char *command; /* "accel near" */
	const char
		*synopsis; /* what follows the command: "--client PORT --server PORT [OPTION]..." */
	const char *about; /* lines of text, each ended by a newline */
	const struct option_group *groups;
	unsigned min_args, max_args; /* how many arguments that are no options */
	const char *const
		*sections; /* that a file of settings may have, ended by NULL; NULL: any */
	/* what may stand beside the options, for completion: words, "@file", "@device"; NULL: nothing known */
	const char *beside;
};

#define OPTIONS_ARGS_MAX 16

struct config_file;

/* What is left beside the options. */
struct option_args {
	struct config_file *
		file; /* holds texts that the settings point to: config_close() it behind their last use */
	unsigned n;
	const char *arg[OPTIONS_ARGS_MAX];
};

/*
 * Sets the field of d in config from text: 0, or -EINVAL with ret_err saying what is wrong and what is expected
 * (without the option's name); nothing is changed then.  OPTION_FLAG takes NULL, "yes" or "no".
 */
int option_set(const struct option_desc *d, void *config, const char *text, char *ret_err,
	       size_t err_size);

/* Sets each field that has a default text; the table's own defaults must be valid (asserted). */
void options_defaults(const struct option_desc *table, void *config);

/*
 * Reads argv[0..argc-1] (the command's words are not in it): --name=value, --name value, -x value, -xvalue, -- ends options.
 * In a name an underscore is as good as a hyphen.  A file that an OPTION_CONFIG names is read first, wherever that stands.
 * Returns 0; 1 if --help or -h was met; -EINVAL with a sentence in ret_err that names the option.
 */
int options_parse(const struct option_usage *u, int argc, char *const *argv,
		  struct option_args *ret_args, char *ret_err, size_t err_size);

/* Prints the help text of u. */
void options_help(const struct option_usage *u, FILE *f);

/*
 * For commands: parses; prints help on stdout, or the error and a hint on stderr.
 * With --list-options as the last word it lists the options for a shell's completion: "--mode auto bypass", "--config @file", "--stats",
 * "--client @port", "--max-flows @value", and "* ..." for what stands beside them.
 * Returns -1 to go on, else the exit code (0 after --help, 2 after bad usage).
 */
int options_run(const struct option_usage *u, int argc, char *const *argv,
		struct option_args *ret_args);

/* For commands, after parsing: prints "suture COMMAND: message" and the hint to --help on stderr; returns 2. */
int options_complain(const struct option_usage *u, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
#endif
