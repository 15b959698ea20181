/* SPDX-License-Identifier: MIT */
#include "value.h"

#include <stdio.h>
#include <string.h>

static int name_index(struct names *names, const char *name)
{
	for (unsigned i = 0; i < names->n; i++)
		if (strcmp(names->name[i], name) == 0)
			return (int)i;
	if (names->n == VARS_MAX)
		return -1;
	snprintf(names->name[names->n], VAR_NAME_MAX, "%s", name);
	return (int)names->n++;
}

/* A name's characters: '-' is an operator here. */
static bool take_name(struct lex *l, char ret_s[VAR_NAME_MAX])
{
	static const char chars[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
	size_t n = strspn(l->p, chars);

	if (n == 0 || n >= VAR_NAME_MAX)
		return false;
	memcpy(ret_s, l->p, n);
	ret_s[n] = '\0';
	l->p += n;
	return true;
}

static bool term(struct lex *l, struct names *names, struct value *v, bool minus, struct fault *f)
{
	char name[VAR_NAME_MAX];
	uint64_t n = 0;
	int var = -1;

	if (v->n == VALUE_TERMS)
		return fault_say(f, "a value has more than %d terms", VALUE_TERMS);
	if (lex_sym(l, "$")) {
		if (!take_name(l, name) || (var = name_index(names, name)) < 0)
			return fault_say(f, "bad name, or too many, at \"$%s\"", l->p);
	} else if (!lex_num_max(l, UINT32_MAX, &n)) {
		return fault_say(f, "a number is missing at \"%s\"", l->p);
	}
	v->t[v->n].minus = minus;
	v->t[v->n].var = (int8_t)var;
	v->t[v->n].num = (uint32_t)n;
	v->n++;
	return true;
}

bool value_parse(struct lex *l, struct names *names, struct value *ret_v, struct fault *f)
{
	struct value v = { 0 };
	bool minus = false;

	if (lex_sym(l, "*")) {
		ret_v->any = true;
		ret_v->n = 0;
		return true;
	}
	do {
		if (!term(l, names, &v, minus, f))
			return false;
		minus = *l->p == '-';
	} while ((*l->p == '+' || *l->p == '-') && l->p++);
	*ret_v = v;
	return true;
}

struct value value_const(uint32_t n)
{
	struct value v = { .n = 1 };

	v.t[0].var = -1;
	v.t[0].num = n;
	return v;
}

bool value_known(const struct value *v, const struct vars *vars)
{
	for (unsigned i = 0; i < v->n; i++)
		if (v->t[i].var >= 0 && !vars->bound[v->t[i].var])
			return false;
	return true;
}

static uint32_t sum(const struct value *v, const struct vars *vars)
{
	uint32_t s = 0;

	for (unsigned i = 0; i < v->n; i++) {
		uint32_t n = v->t[i].var >= 0 ? vars->v[v->t[i].var] : v->t[i].num;

		s += v->t[i].minus ? 0u - n : n;
	}
	return s;
}

bool value_get(const struct value *v, const struct ctx *x, uint32_t *ret_n)
{
	if (v->any)
		return fault_say(x->f, "\"*\" is for expected packets only");
	for (unsigned i = 0; i < v->n; i++)
		if (v->t[i].var >= 0 && !x->vars->bound[v->t[i].var])
			return fault_say(x->f, "$%s has no value yet", x->names->name[v->t[i].var]);
	*ret_n = sum(v, x->vars);
	return true;
}

bool value_fits(const struct value *v, struct vars *vars, uint32_t got)
{
	if (v->any)
		return true;
	if (v->n == 1 && v->t[0].var >= 0 && !vars->bound[v->t[0].var]) {
		vars->bound[v->t[0].var] = true;
		vars->v[v->t[0].var] = got;
		return true;
	}
	return value_known(v, vars) && sum(v, vars) == got;
}

void value_print(const struct value *v, const struct ctx *x, char *ret_s, size_t size)
{
	size_t at = 0;
	bool named = false;

	if (v->any || v->n == 0) {
		snprintf(ret_s, size, "%s", v->any ? "*" : "0");
		return;
	}
	for (unsigned i = 0; i < v->n && at < size; i++) {
		const char *sign = v->t[i].minus ? "-" : i ? "+" : "";

		named |= v->t[i].var >= 0;
		at += (size_t)(v->t[i].var >= 0 ? snprintf(ret_s + at, size - at, "%s$%s", sign,
							   x->names->name[v->t[i].var])
						: snprintf(ret_s + at, size - at, "%s%u", sign,
							   v->t[i].num));
	}
	if (named && at < size)
		snprintf(ret_s + at, size - at, value_known(v, x->vars) ? " (%u)" : " (unknown)",
			 sum(v, x->vars));
}
