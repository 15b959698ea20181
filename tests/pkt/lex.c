/* SPDX-License-Identifier: MIT */
#include "lex.h"

#include <ctype.h>
#include <string.h>

static void blanks(struct lex *l)
{
	while (*l->p == ' ' || *l->p == '\t')
		l->p++;
}

static bool in_word(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_';
}

bool lex_end(struct lex *l)
{
	blanks(l);
	return *l->p == '\0';
}

bool lex_sym(struct lex *l, const char *s)
{
	blanks(l);
	if (strncmp(l->p, s, strlen(s)) != 0)
		return false;
	l->p += strlen(s);
	return true;
}

bool lex_word(struct lex *l, const char *s)
{
	blanks(l);
	if (strncmp(l->p, s, strlen(s)) != 0 || in_word(l->p[strlen(s)]))
		return false;
	l->p += strlen(s);
	return true;
}

static bool take(struct lex *l, size_t n, char *ret_s, size_t size)
{
	if (n == 0 || n >= size)
		return false;
	memcpy(ret_s, l->p, n);
	ret_s[n] = '\0';
	l->p += n;
	return true;
}

bool lex_name(struct lex *l, char *ret_s, size_t size)
{
	size_t n = 0;

	blanks(l);
	while (in_word(l->p[n]))
		n++;
	return take(l, n, ret_s, size);
}

bool lex_token(struct lex *l, char *ret_s, size_t size)
{
	blanks(l);
	return take(l, strcspn(l->p, " \t"), ret_s, size);
}

static int digit(char c, unsigned base)
{
	static const char digits[] = "0123456789abcdef";
	const char *d = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return d && (unsigned)(d - digits) < base ? (int)(d - digits) : -1;
}

bool lex_num(struct lex *l, uint64_t *ret_n)
{
	unsigned base = 10;
	const char *q;
	uint64_t n = 0;

	blanks(l);
	q = l->p;
	if (q[0] == '0' && q[1] == 'x') {
		base = 16;
		q += 2;
	}
	if (digit(*q, base) < 0)
		return false;
	for (; digit(*q, base) >= 0; q++)
		n = n * base + (uint64_t)digit(*q, base);
	l->p = q;
	*ret_n = n;
	return true;
}

bool lex_num_max(struct lex *l, uint64_t max, uint64_t *ret_n)
{
	struct lex was = *l;
	uint64_t n;

	if (!lex_num(l, &n) || n > max) {
		*l = was;
		return false;
	}
	*ret_n = n;
	return true;
}

static const struct {
	const char *name;
	sut_time ns;
} units[] = {
	{ "ns", 1 },
	{ "us", 1000 },
	{ "ms", 1000000 },
	{ "s", 1000000000 },
	{ "m", 60 * SUT_MS(1000) },
	{ "h", 3600 * SUT_MS(1000) },
};

bool lex_time(struct lex *l, sut_time *ret_t)
{
	struct lex was = *l;
	uint64_t whole, part = 0, scale = 1;

	if (!lex_num(l, &whole))
		return false;
	if (*l->p == '.')
		for (l->p++; digit(*l->p, 10) >= 0; l->p++) {
			part = part * 10 + (uint64_t)digit(*l->p, 10);
			scale *= 10;
		}
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (!lex_word(l, units[i].name))
			continue;
		*ret_t = whole * units[i].ns + part * units[i].ns / scale;
		return true;
	}
	*l = was;
	return false;
}

bool lex_hex(struct lex *l, uint8_t *ret_b, size_t max, size_t *ret_n)
{
	const char *q;
	size_t n = 0;

	blanks(l);
	for (q = l->p; digit(q[0], 16) >= 0 && digit(q[1], 16) >= 0; q += 2) {
		if (n == max)
			return false;
		ret_b[n++] = (uint8_t)(digit(q[0], 16) << 4 | digit(q[1], 16));
	}
	if (n == 0 || in_word(*q))
		return false;
	l->p = q;
	*ret_n = n;
	return true;
}

bool lex_string(struct lex *l, char *ret_s, size_t size)
{
	const char *end;
	size_t n;

	blanks(l);
	if (*l->p != '"' || !(end = strchr(l->p + 1, '"')))
		return false;
	n = (size_t)(end - l->p - 1);
	if (n >= size)
		return false;
	memcpy(ret_s, l->p + 1, n);
	ret_s[n] = '\0';
	l->p = end + 1;
	return true;
}
