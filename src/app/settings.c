/* SPDX-License-Identifier: MIT */
#include "app/settings.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "app/config.h"

#define GROUPS_MAX 8

void *settings_in(const struct settings *s, const void *p, void *block)
{
	return (char *)block + ((const char *)p - (const char *)s->block);
}

int settings_read(const struct settings *s, void *ret_block, struct config_file **ret_file,
		  char *ret_err, size_t err_size)
{
	struct option_group groups[GROUPS_MAX + 1] = { 0 };
	struct option_usage usage = *s->usage;
	struct option_args args;
	int err;

	for (unsigned i = 0; i < GROUPS_MAX && s->usage->groups[i].table; i++) {
		groups[i] = s->usage->groups[i];
		groups[i].config = settings_in(s, groups[i].config, ret_block);
	}
	usage.groups = groups;
	memset(ret_block, 0, s->size);
	s->defaults(s->ctx, ret_block);
	err = options_parse(&usage, s->argc, s->argv, &args, ret_err, err_size);
	if (err == 0)
		*ret_file = args.file;
	return err;
}

static bool is_text(const struct option_desc *d)
{
	return d->kind == OPTION_STRING || d->kind == OPTION_STRINGS || d->kind == OPTION_CONFIG;
}

static bool same_text(const char *const *a, const char *const *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!a[i] != !b[i] || (a[i] && strcmp(a[i], b[i]) != 0))
			return false;
	return true;
}

/* How many bytes of the field count. */
static size_t used(const struct option_desc *d, uint32_t n)
{
	size_t entry = d->kind == OPTION_STRINGS ? sizeof(char *) : 4;

	return d->counted ? n * entry : d->size;
}

static bool is_same(const struct option_desc *d, const void *a, const void *b)
{
	const void *field_a = (const char *)a + d->offset, *field_b = (const char *)b + d->offset;
	uint32_t n = 1, m = 1;

	if (d->counted) {
		memcpy(&n, (const char *)a + d->count_offset, sizeof n);
		memcpy(&m, (const char *)b + d->count_offset, sizeof m);
	}
	if (n != m)
		return false;
	if (used(d, n) > d->size)
		return true; /* neither is set */
	if (is_text(d))
		return same_text(field_a, field_b, n);
	return memcmp(field_a, field_b, used(d, n)) == 0;
}

void settings_compare(const struct settings *s, void *next, setting_fn *fn, void *ctx)
{
	for (const struct option_group *g = s->usage->groups; g->table; g++) {
		const void *other = settings_in(s, g->config, next);

		for (const struct option_desc *d = g->table; d->name; d++)
			if (!is_same(d, g->config, other))
				fn(ctx, g, d, other);
	}
}

bool setting_may_change(const struct option_desc *d)
{
	return !d->fixed && (d->live || !is_text(d));
}

void settings_take(const struct settings *s, void *next)
{
	for (const struct option_group *g = s->usage->groups; g->table; g++)
		for (const struct option_desc *d = g->table; d->name; d++)
			if (is_text(d) && !d->live)
				memcpy((char *)settings_in(s, g->config, next) + d->offset,
				       (const char *)g->config + d->offset, d->size);
	memcpy(s->block, next, s->size);
}

size_t settings_where(const struct settings *s, const void *block, const struct config_file *file,
		      char *ret_s, size_t size)
{
	*ret_s = 0;
	return s->blamed ? config_where(file, s->blamed(s->ctx, block), ret_s, size) : 0;
}

int settings_run(const struct settings *s, const struct settings_use *use)
{
	struct option_args args;
	const char *wrong;
	char where[PATH_MAX + 32] = "--";
	int code;

	s->defaults(s->ctx, s->block);
	code = options_run(s->usage, s->argc, s->argv, &args);
	if (code >= 0)
		return code;
	code = use->check(use->ctx, s, &args);
	wrong = code < 0 && s->finish ? s->finish(s->ctx, s->block) : NULL;
	if (wrong && settings_where(s, s->block, args.file, where, sizeof where) == 0)
		snprintf(where, sizeof where, "--");
	if (wrong)
		code = options_complain(s->usage, "%s%s", where, wrong);
	if (code < 0)
		code = use->run(use->ctx, s);
	config_close(args.file);
	return code;
}
