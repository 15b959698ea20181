/* SPDX-License-Identifier: MIT */
#include "app/options.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "app/config.h"
#include "app/option_value.h"
#include "base/compiler.h"

static bool takes_value(const struct option_desc *d)
{
	return d->kind != OPTION_FLAG;
}

/* The same name?  An underscore is as good as a hyphen: other programs spell their options so. */
static bool same_name(const char *name, const char *word, size_t len)
{
	size_t i = 0;

	while (i < len && name[i] && name[i] == (word[i] == '_' ? '-' : word[i]))
		i++;
	return i == len && !name[i];
}

static const struct option_desc *find_long(const struct option_usage *u, const char *name,
					   size_t len, void **ret_config)
{
	for (const struct option_group *g = u->groups; g && g->table; g++) {
		for (const struct option_desc *d = g->table; d->name; d++) {
			if (same_name(d->name, name, len)) {
				*ret_config = g->config;
				return d;
			}
		}
	}
	return NULL;
}

static const struct option_desc *find_short(const struct option_usage *u, char letter,
					    void **ret_config)
{
	for (const struct option_group *g = u->groups; g && g->table; g++) {
		for (const struct option_desc *d = g->table; d->name; d++) {
			if (d->letter && d->letter == letter) {
				*ret_config = g->config;
				return d;
			}
		}
	}
	return NULL;
}

/* Where the reading of argv stands. */
struct cursor {
	int i, argc;
	char *const *argv;
	const char **config; /* where set: only looks for the file of settings, and sets nothing */
	char *err;
	size_t err_size;
};

static SUT_PRINTF(2, 3) int fail(struct cursor *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->err, c->err_size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* The value that follows an option as the next word; NULL if there is none. */
static const char *next_word(struct cursor *c)
{
	return c->i + 1 < c->argc ? c->argv[++c->i] : NULL;
}

static int apply(struct cursor *c, const struct option_desc *d, void *config, const char *shown,
		 const char *value)
{
	char why[256];

	if (!value && takes_value(d))
		return fail(c, "%s needs a value: %s%s%s", shown, d->arg ? d->arg : "VALUE",
			    d->help ? ", " : "", d->help ? d->help : "");
	if (c->config && d->kind == OPTION_CONFIG)
		*c->config = value;
	if (!c->config && option_set(d, config, value, why, sizeof why) != 0)
		return fail(c, "%s: %s", shown, why);
	return 0;
}

static int read_long(struct cursor *c, const struct option_usage *u)
{
	const char *word = c->argv[c->i], *name = word + 2, *eq = strchr(name, '=');
	size_t len = eq ? (size_t)(eq - name) : strlen(name);
	const struct option_desc *d;
	const char *value;
	char shown[64];
	void *config;

	snprintf(shown, sizeof shown, "--%.*s", (int)(len < 60 ? len : 60), name);
	d = find_long(u, name, len, &config);
	if (!d)
		return fail(c, "unknown option %s", shown);
	if (!takes_value(d) && eq)
		return fail(c, "%s takes no value", shown);
	value = eq ? eq + 1 : takes_value(d) ? next_word(c) : NULL;
	return apply(c, d, config, shown, value);
}

/* A cluster of short options: flags, and at most one with a value, at its end. */
static int read_short(struct cursor *c, const struct option_usage *u)
{
	const char *p = c->argv[c->i] + 1;

	while (*p) {
		const struct option_desc *d;
		const char *value = NULL;
		char shown[3] = { '-', *p, 0 };
		void *config;
		int err;

		d = find_short(u, *p++, &config);
		if (!d)
			return fail(c, "unknown option %s", shown);
		if (takes_value(d)) {
			value = *p ? p : next_word(c);
			p = "";
		}
		err = apply(c, d, config, shown, value);
		if (err)
			return err;
	}
	return 0;
}

static bool is_help(const struct option_usage *u, const char *word)
{
	void *config;

	if (strcmp(word, "--help") == 0)
		return true;
	return strcmp(word, "-h") == 0 && !find_short(u, 'h', &config);
}

static int check_args(struct cursor *c, const struct option_usage *u, const struct option_args *a)
{
	if (a->n < u->min_args)
		return fail(c, "too few arguments: expected %s", u->synopsis);
	if (a->n > u->max_args)
		return fail(c, "unexpected argument '%s'", a->arg[u->max_args]);
	return 0;
}

static int read_words(const struct cursor *cur, const struct option_usage *u,
		      struct option_args *ret_args)
{
	struct cursor c = *cur;
	struct option_args args = { 0 };
	bool ended = false;
	int err = 0;

	for (; c.i < c.argc; c.i++) {
		const char *word = c.argv[c.i];

		if (ended || word[0] != '-' || !word[1]) {
			if (args.n == OPTIONS_ARGS_MAX)
				return fail(&c, "too many arguments");
			args.arg[args.n++] = word;
			continue;
		}
		if (is_help(u, word))
			return 1;
		if (strcmp(word, "--") == 0)
			ended = true;
		else
			err = word[1] == '-' ? read_long(&c, u) : read_short(&c, u);
		if (err)
			return err;
	}
	err = check_args(&c, u, &args);
	if (err == 0)
		*ret_args = args;
	return err;
}

/* The file of settings that argv names; NULL: none, or a mistake that is found again. */
static const char *find_config(const struct option_usage *u, int argc, char *const *argv)
{
	const char *path = NULL;
	char why[400];
	struct cursor c = {
		.argc = argc,
		.argv = argv,
		.config = &path,
		.err = why,
		.err_size = sizeof why,
	};
	struct option_args ignored;

	return read_words(&c, u, &ignored) == 0 ? path : NULL;
}

int options_parse(const struct option_usage *u, int argc, char *const *argv,
		  struct option_args *ret_args, char *ret_err, size_t err_size)
{
	struct cursor c = { .argc = argc, .argv = argv, .err = ret_err, .err_size = err_size };
	const char *path = find_config(u, argc, argv);
	struct option_args args = { 0 };
	struct config_file *file = NULL;
	int err = 0;

	if (path)
		err = config_read(u, path, &file, ret_err, err_size);
	if (err == 0)
		err = read_words(&c, u, &args);
	else
		err = -EINVAL;
	if (err) {
		config_close(file);
		return err;
	}
	args.file = file;
	*ret_args = args;
	return 0;
}

void options_defaults(const struct option_desc *table, void *config)
{
	char why[256];

	for (const struct option_desc *d = table; d->name; d++) {
		int err = 0;

		if (d->def)
			err = option_set(d, config, d->def, why, sizeof why);
		assert(err == 0);
		(void)err;
	}
}

/* "  -v, --verbose" and "      --name=ARG" are padded to this column. */
#define HELP_COLUMN 30

static void print_option(const struct option_desc *d, FILE *f)
{
	char left[80], letter[8] = "    ";
	int n;

	if (d->letter)
		snprintf(letter, sizeof letter, "-%c, ", d->letter);
	n = snprintf(left, sizeof left, "  %s--%s%s%s", letter, d->name, d->arg ? " " : "",
		     d->arg ? d->arg : "");
	if (n >= HELP_COLUMN - 1)
		fprintf(f, "%s\n%*s%s", left, HELP_COLUMN, "", d->help);
	else
		fprintf(f, "%-*s%s", HELP_COLUMN, left, d->help);
	if (d->names) {
		fputs(": ", f);
		for (const char *const *s = d->names; *s; s++)
			fprintf(f, "%s%s", s == d->names ? "" : ", ", *s);
	}
	if (d->def)
		fprintf(f, " [%s]", *d->def ? d->def : "none");
	fputc('\n', f);
}

void options_help(const struct option_usage *u, FILE *f)
{
	fprintf(f, "usage: suture %s%s%s\n", u->command, *u->synopsis ? " " : "", u->synopsis);
	if (u->about)
		fprintf(f, "\n%s", u->about);
	for (const struct option_group *g = u->groups; g && g->table; g++) {
		fprintf(f, "\n%s:\n", g->title ? g->title : "Options");
		for (const struct option_desc *d = g->table; d->name; d++)
			print_option(d, f);
	}
	fputs("\n  -h, --help                  this text\n", f);
}

/* What a value of d can be, for completion. */
static const char *value_kind(const struct option_desc *d)
{
	if (strstr(d->arg, "FILE") || strcmp(d->arg, "PATH") == 0)
		return "@file";
	return strcmp(d->arg, "PORT") == 0 ? "@port" : "@value";
}

static void list_option(const struct option_desc *d, FILE *f)
{
	fprintf(f, "--%s", d->name);
	for (const char *const *s = d->names; s && *s; s++)
		fprintf(f, " %s", *s);
	if (!d->names && takes_value(d))
		fprintf(f, " %s", value_kind(d));
	fputc('\n', f);
}

/* One a line, in the form that options.h tells. */
static void list_options(const struct option_usage *u, FILE *f)
{
	for (const struct option_group *g = u->groups; g && g->table; g++)
		for (const struct option_desc *d = g->table; d->name; d++)
			list_option(d, f);
	fputs("--help\n", f);
	if (u->beside)
		fprintf(f, "* %s\n", u->beside);
}

int options_complain(const struct option_usage *u, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "suture %s: ", u->command);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry 'suture %s --help'.\n", u->command);
	return 2;
}

int options_run(const struct option_usage *u, int argc, char *const *argv,
		struct option_args *ret_args)
{
	char why[2000]; /* lists what is known */
	int err;

	if (argc > 0 && strcmp(argv[argc - 1], "--list-options") == 0) {
		list_options(u, stdout);
		return 0;
	}
	err = options_parse(u, argc, argv, ret_args, why, sizeof why);

	if (err == 1) {
		options_help(u, stdout);
		return 0;
	}
	return err ? options_complain(u, "%s", why) : -1;
}
