/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The file is read whole, sections of other commands are blanked out (their lines stay, so that lines are counted right), and libconfuse
 * parses the rest, with all options as strings or lists of strings.  Each value is noted with its line as it comes; when the file has
 * proved well-formed, the notes are applied with option_set(): those outside of a section, then those of the section.  The last of
 * several values for the same setting in the same place counts.
 *
 * libconfuse gives its callbacks no context, so the reading that is going on is in a variable of the thread.
 */
#include "app/config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <confuse.h>
#include <sys/stat.h>

#include "app/config_text.h"
#include "app/options.h"
#include "base/compiler.h"

#define SECTION_MAX 64u

/* A setting that the file gives. */
struct note {
	const struct option_desc *desc;
	void *config;
	char **value; /* as many as its list has; NULL: not given */
	unsigned values;
	unsigned *line; /* of each of them */
	unsigned last; /* line of the last one */
};

/* What option_set() got, and where it stood. */
struct kept {
	char *text;
	unsigned line;
};

struct config_file {
	char *path;
	struct kept *text;
	unsigned n, room;
};

struct reading {
	const struct option_usage *usage;
	const char *path;
	unsigned options; /* settings that can be given */
	struct note *note; /* twice as many: outside of the section, and in it */
	char section[SECTION_MAX];
	const struct note *noted; /* last; NULL: none yet */
	bool failed; /* and said */
	char *err;
	size_t err_size;
};

static _Thread_local struct reading *current;

static SUT_PRINTF(3, 4) int fail(struct reading *r, unsigned line, const char *fmt, ...)
{
	int n = 0;
	va_list ap;

	if (r->failed)
		return -EINVAL;
	r->failed = true;
	if (line)
		n = snprintf(r->err, r->err_size, "%s:%u: ", r->path, line);
	else
		n = snprintf(r->err, r->err_size, "%s: ", r->path);
	if (n < 0 || (size_t)n >= r->err_size)
		return -EINVAL;
	va_start(ap, fmt);
	vsnprintf(r->err + n, r->err_size - (size_t)n, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* May stand in a file: all but the file's own name. */
static bool is_setting(const struct option_desc *d)
{
	return d->kind != OPTION_CONFIG;
}

static bool is_list(const struct option_desc *d)
{
	return d->kind == OPTION_PORTS || d->kind == OPTION_LIST || d->kind == OPTION_STRINGS;
}

/* Notes. */

static unsigned count_options(const struct option_usage *u)
{
	unsigned n = 0;

	for (const struct option_group *g = u->groups; g && g->table; g++)
		for (const struct option_desc *d = g->table; d->name; d++)
			n += is_setting(d);
	return n;
}

static int open_notes(struct reading *r)
{
	unsigned i = 0;

	r->options = count_options(r->usage);
	r->note = calloc(2 * r->options + 1, sizeof *r->note);
	if (!r->note)
		return -ENOMEM;
	for (const struct option_group *g = r->usage->groups; g && g->table; g++) {
		for (const struct option_desc *d = g->table; d->name; d++) {
			if (!is_setting(d))
				continue;
			r->note[i].desc = r->note[r->options + i].desc = d;
			r->note[i].config = r->note[r->options + i].config = g->config;
			i++;
		}
	}
	return 0;
}

static void forget(struct note *n)
{
	for (unsigned i = 0; i < n->values; i++)
		free(n->value[i]);
	free(n->value);
	n->value = NULL;
	n->values = 0;
}

static void forget_all(struct note *n)
{
	forget(n);
	free(n->line);
	n->line = NULL;
}

static void close_notes(struct reading *r)
{
	for (unsigned i = 0; r->note && i < 2 * r->options; i++)
		forget_all(&r->note[i]);
	free(r->note);
}

/* libconfuse: a value is there, or one more of a list. */
static int take_note(cfg_t *cfg, cfg_opt_t *opt)
{
	struct reading *r = current;
	unsigned first = strcmp(cfg_name(cfg), r->section) == 0 ? r->options : 0;
	struct note *n = &r->note[first];
	unsigned *line;

	while (strcmp(n->desc->name, cfg_opt_name(opt)) != 0)
		n++;
	forget(n);
	r->noted = n;
	n->last = (unsigned)cfg->line;
	line = realloc(n->line, (cfg_opt_size(opt) + 1) * sizeof *line);
	if (!line)
		return -1;
	n->line = line;
	line[cfg_opt_size(opt) ? cfg_opt_size(opt) - 1 : 0] = n->last;
	n->value = calloc(cfg_opt_size(opt) + 1, sizeof *n->value);
	if (!n->value)
		return -1;
	for (unsigned i = 0; i < cfg_opt_size(opt); i++) {
		const char *text = cfg_opt_getnstr(opt, i);

		n->value[i] = strdup(text ? text : "");
		if (!n->value[i])
			return -1;
		n->values++;
	}
	return 0;
}

/* Parsing. */

/* "mode, ports, idempotent" */
static void list_settings(const struct reading *r, char *ret_s, size_t size)
{
	size_t n = 0;

	*ret_s = 0;
	for (unsigned i = 0; i < r->options && n < size; i++)
		n += (size_t)snprintf(ret_s + n, size - n, "%s%s", i ? ", " : "",
				      r->note[i].desc->name);
}

/* Does what is no setting stand behind a value in the same line? */
static bool is_rest_of_value(unsigned line)
{
	return current->noted && current->noted->last == line;
}

static void complain_quotes(const cfg_t *cfg, const char *word)
{
	const struct note *n = current->noted;
	const bool many = is_list(n->desc);

	fail(current, (unsigned)cfg->line,
	     "%s: unknown setting %s behind it; a value of more than one word needs quotes: %s = "
	     "%s\"%s ...\"%s",
	     n->desc->name, word, n->desc->name, many ? "{" : "",
	     n->values ? n->value[n->values - 1] : "", many ? "}" : "");
}

/* libconfuse: something is wrong. */
static SUT_PRINTF(2, 0) void complain(cfg_t *cfg, const char *fmt, va_list ap)
{
	static const char unknown[] = "no such option ";
	char text[300], known[1500];

	vsnprintf(text, sizeof text, fmt, ap);
	if (strncmp(text, unknown, strlen(unknown)) == 0) {
		if (is_rest_of_value((unsigned)cfg->line)) {
			complain_quotes(cfg, text + strlen(unknown));
			return;
		}
		list_settings(current, known, sizeof known);
		fail(current, (unsigned)cfg->line, "unknown setting %s; known are %s",
		     text + strlen(unknown), known);
	} else {
		fail(current, (unsigned)cfg->line,
		     "%s; a value with blanks, commas or one of #{}()+= needs quotes, "
		     "a list is {80, \"8000-8999\"}",
		     text);
	}
}

static void describe_options(const struct reading *r, cfg_opt_t *ret_opts)
{
	for (unsigned i = 0; i < r->options; i++) {
		const struct option_desc *d = r->note[i].desc;

		assert(d); /* as many as were counted */
		if (is_list(d))
			ret_opts[i] = (cfg_opt_t)CFG_STR_LIST(d->name, NULL, CFGF_NODEFAULT);
		else
			ret_opts[i] = (cfg_opt_t)CFG_STR(d->name, NULL, CFGF_NODEFAULT);
		ret_opts[i].validcb = take_note;
	}
}

/* Notes all that text says. */
static int parse(struct reading *r, char *text, size_t len)
{
	cfg_opt_t *opts = calloc(2 * (size_t)r->options + 3, sizeof *opts);
	cfg_opt_t *flat = opts ? opts + r->options + 1 : NULL;
	FILE *f = len ? fmemopen(text, len, "r") : NULL;
	cfg_t *cfg = NULL;
	int err = -ENOMEM;

	if (!opts || (len && !f))
		goto out;
	describe_options(r, opts);
	describe_options(r, flat);
	flat[r->options] = (cfg_opt_t)CFG_SEC(r->section, opts, CFGF_NONE);
	current = r;
	cfg = cfg_init(flat, CFGF_NONE);
	if (!cfg)
		goto out;
	cfg_set_error_function(cfg, complain);
	err = f && cfg_parse_fp(cfg, f) != CFG_SUCCESS ? fail(r, (unsigned)cfg->line, "unreadable")
						       : 0;
out:
	if (cfg)
		cfg_free(cfg);
	current = NULL;
	if (f)
		fclose(f);
	free(opts);
	return err;
}

/* Applying. */

/* Keeps a text for as long as the file is open: NULL if there is no memory. */
static const char *keep(struct config_file *f, char *text, unsigned line)
{
	if (text && f->n == f->room) {
		unsigned room = f->room ? 2 * f->room : 16;
		struct kept *more = realloc(f->text, room * sizeof *more);

		if (!more) {
			free(text);
			return NULL;
		}
		f->text = more;
		f->room = room;
	}
	if (text)
		f->text[f->n++] = (struct kept){ text, line };
	return text;
}

size_t config_where(const struct config_file *f, const char *text, char *ret_s, size_t size)
{
	for (unsigned i = 0; f && text && i < f->n; i++)
		if (f->text[i].text == text) {
			int n = snprintf(ret_s, size, "%s:%u: ", f->path, f->text[i].line);

			return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
		}
	return 0;
}

/* "80,443" of a list's values; "none" of an empty list. */
static char *join(const struct note *n)
{
	size_t size = sizeof "none", len = 0;
	char *s;

	for (unsigned i = 0; i < n->values; i++)
		size += strlen(n->value[i]) + 1;
	s = malloc(size);
	if (!s)
		return NULL;
	snprintf(s, size, "%s", n->values ? "" : "none");
	for (unsigned i = 0; i < n->values; i++)
		len += (size_t)snprintf(s + len, size - len, "%s%s", i ? "," : "", n->value[i]);
	return s;
}

static int set(struct reading *r, const struct note *n, unsigned line, const char *text)
{
	char why[300];

	if (!text)
		return fail(r, 0, "out of memory");
	if (option_set(n->desc, n->config, text, why, sizeof why) != 0)
		return fail(r, line, "%s: %s", n->desc->name, why);
	return 0;
}

static int apply(struct reading *r, const struct note *n, struct config_file *f)
{
	int err = 0;

	if (!n->value)
		return 0;
	if (n->desc->kind != OPTION_STRINGS)
		return set(r, n, n->last, keep(f, join(n), n->last));
	for (unsigned i = 0; i < n->values && err == 0; i++)
		err = set(r, n, n->line[i], keep(f, strdup(n->value[i]), n->line[i]));
	return err;
}

static int apply_all(struct reading *r, struct config_file **ret_file)
{
	struct config_file *f = calloc(1, sizeof *f);
	int err = 0;

	if (f)
		f->path = strdup(r->path);
	if (!f || !f->path) {
		free(f);
		return fail(r, 0, "out of memory");
	}
	for (unsigned i = 0; i < 2 * r->options && err == 0; i++)
		err = apply(r, &r->note[i], f);
	if (err)
		config_close(f);
	else
		*ret_file = f;
	return err;
}

/* The file. */

static int open_regular(struct reading *r, size_t *ret_size)
{
	int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0) {
		int err = -errno;

		fail(r, 0, "%s", strerror(errno));
		return err;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (size_t)st.st_size <= CONFIG_FILE_MAX) {
		*ret_size = (size_t)st.st_size;
		return fd;
	}
	close(fd);
	return fail(r, 0,
		    S_ISREG(st.st_mode) ? "the file is longer than 1 MB"
					: "this is no regular file");
}

/* All of it, ended by a zero: 0 or -errno. */
static int load(struct reading *r, char **ret_text, size_t *ret_len)
{
	size_t size = 0, len = 0;
	int fd = open_regular(r, &size);
	char *text;
	ssize_t n;

	if (fd < 0)
		return fd;
	text = malloc(size + 1);
	while (text && len < size && (n = read(fd, text + len, size - len)) > 0)
		len += (size_t)n;
	close(fd);
	if (!text)
		return fail(r, 0, "out of memory");
	text[len] = 0;
	if (strlen(text) != len) {
		free(text);
		return fail(r, 0, "this is no text: there is a zero byte in it");
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

/* "accel-near" of the command "accel near". */
static void name_section(struct reading *r)
{
	snprintf(r->section, sizeof r->section, "%s", r->usage->command);
	for (char *c = r->section; *c; c++)
		if (*c == ' ')
			*c = '-';
}

/* Passes over the sections of other commands: 0, or -EINVAL and said. */
static int own_section(struct reading *r, char *text)
{
	char why[300];
	unsigned line;

	if (config_text_keep(text, r->section, r->usage->sections, &line, why, sizeof why) == 0)
		return 0;
	return fail(r, line, "%s", why);
}

int config_read(const struct option_usage *u, const char *path, struct config_file **ret_file,
		char *ret_err, size_t err_size)
{
	struct reading r = { .usage = u, .path = path, .err = ret_err, .err_size = err_size };
	char *text = NULL;
	size_t len = 0;
	int err;

	name_section(&r);
	err = load(&r, &text, &len);
	if (err == 0)
		err = own_section(&r, text);
	if (err == 0)
		err = open_notes(&r);
	if (err == 0)
		err = parse(&r, text, len);
	if (err == 0)
		err = apply_all(&r, ret_file);
	if (err && !r.failed)
		fail(&r, 0, "%s", strerror(-err));
	close_notes(&r);
	free(text);
	return err;
}

void config_close(struct config_file *f)
{
	for (unsigned i = 0; f && i < f->n; i++)
		free(f->text[i].text);
	if (f) {
		free(f->text);
		free(f->path);
	}
	free(f);
}
