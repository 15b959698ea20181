/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The text is a sequence of words, quoted strings, comments and single characters, as libconfuse's lexer has them.  A section is a
 * word and then "{", outside of all braces; it ends with the brace that closes it.
 */
#include "app/config_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum token { END, WORD, STRING, OPEN_STRING, OTHER };

struct scan {
	char *at;
	char *start; /* of the last token */
	size_t len;
};

static const char word_ends[] = " #\"'\t\n\r={}()+,";

/* Behind a quoted string; a backslash guards what follows it.  NULL if it has no end. */
static char *after_quoted(char *s)
{
	char quote = *s++;

	while (*s && *s != quote)
		s += s[0] == '\\' && s[1] ? 2 : 1;
	return *s ? s + 1 : NULL;
}

/* Behind blanks and comments. */
static char *after_blank(char *s)
{
	for (;;) {
		s += strspn(s, " \t\r\n");
		if (*s == '#' || (s[0] == '/' && s[1] == '/')) {
			s += strcspn(s, "\n");
		} else if (s[0] == '/' && s[1] == '*') {
			s += 2;
			while (*s && !(s[0] == '*' && s[1] == '/'))
				s++;
			s += *s ? 2 : 0;
		} else {
			return s;
		}
	}
}

static enum token next(struct scan *s)
{
	enum token t = OTHER;

	s->start = after_blank(s->at);
	if (!*s->start) {
		s->at = s->start;
		t = END;
	} else if (*s->start == '"' || *s->start == '\'') {
		char *end = after_quoted(s->start);

		s->at = end ? end : s->start + strlen(s->start);
		t = end ? STRING : OPEN_STRING;
	} else if (strchr(word_ends, *s->start)) {
		s->at = s->start + 1;
	} else {
		s->at = s->start + strcspn(s->start, word_ends);
		t = WORD;
	}
	s->len = (size_t)(s->at - s->start);
	return t;
}

static void blank(char *from, const char *to)
{
	for (; from < to; from++)
		if (*from != '\n')
			*from = ' ';
}

static bool is_name(const char *name, const struct scan *s)
{
	return strlen(name) == s->len && memcmp(name, s->start, s->len) == 0;
}

static bool is_known(const char *const *known, const struct scan *s)
{
	for (const char *const *k = known; k && *k; k++)
		if (is_name(*k, s))
			return true;
	return !known;
}

static unsigned line_of(const char *text, const char *at)
{
	unsigned line = 1;

	for (; text < at; text++)
		line += *text == '\n';
	return line;
}

/* Where a complaint goes. */
struct complaint {
	const char *text;
	unsigned *line;
	char *s;
	size_t size;
};

static int complain(const struct complaint *c, const char *what, const struct scan *s)
{
	*c->line = line_of(c->text, s->start);
	snprintf(c->s, c->size, "%s '%.*s'", what, (int)(s->len < 40 ? s->len : 40), s->start);
	return -EINVAL;
}

static int complain_name(const struct complaint *c, const struct scan *s, const char *const *known)
{
	size_t n;

	complain(c, "unknown section", s);
	n = strlen(c->s);
	for (const char *const *k = known; *k && n < c->size; k++)
		n += (size_t)snprintf(c->s + n, c->size - n, "%s %s",
				      k == known ? "; known are" : ",", *k);
	return -EINVAL;
}

int config_text_keep(char *text, const char *own, const char *const *known, unsigned *ret_line,
		     char *ret_err, size_t err_size)
{
	const struct complaint c = { text, ret_line, ret_err, err_size };
	struct scan s = { .at = text }, name = s, open = s;
	enum token t, last = OTHER;
	unsigned depth = 0;

	for (; (t = next(&s)) != END; last = t) {
		char brace = t == OTHER ? *s.start : 0;

		if (t == OPEN_STRING)
			return complain(&c, "this has no closing quote:", &s);
		if (t == WORD && depth == 0)
			name = s;
		if (brace == '{' && depth++ == 0) {
			open = last == WORD ? name : s;
			if (last == WORD && !is_name(own, &name) && !is_known(known, &name))
				return complain_name(&c, &name, known);
		}
		if (brace == '}' && depth && --depth == 0 && *open.start != '{' &&
		    !is_name(own, &open))
			blank(open.start, s.at);
	}
	return depth ? complain(&c, "this has no closing brace:", &open) : 0;
}
