/* SPDX-License-Identifier: MIT */
#include "app/control_reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 2048u /* of a formatted line */

void reply_reset(struct control_reply *r)
{
	r->len = 0;
	r->ended = r->failed = false;
}

void reply_free(struct control_reply *r)
{
	free(r->text);
	*r = (struct control_reply){ 0 };
}

/* Room for n more bytes? */
static bool reserve(struct control_reply *r, size_t n)
{
	size_t room = r->room ? r->room : 4096;
	char *text;

	if (n > REPLY_MAX - r->len)
		return false;
	while (room - r->len < n)
		room *= 2;
	if (room == r->room)
		return true;
	text = realloc(r->text, room);
	if (!text)
		return false;
	r->text = text;
	r->room = room;
	return true;
}

static void add_line(struct control_reply *r, const char *prefix, const char *s, size_t n)
{
	size_t before = strlen(prefix);

	if (r->failed || !reserve(r, before + n + 1)) {
		r->failed = true;
		return;
	}
	memcpy(r->text + r->len, prefix, before);
	r->len += before;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		r->text[r->len++] = c < 0x20 || c == 0x7f ? '?' : s[i];
	}
	r->text[r->len++] = '\n';
}

static void end(struct control_reply *r, const char *word, const char *s, size_t n)
{
	static const char too_long[] = "the reply is too long";
	char prefix[16];

	if (r->ended)
		return;
	snprintf(prefix, sizeof prefix, "%s%s", word, n ? " " : "");
	add_line(r, prefix, s, n);
	if (r->failed) {
		reply_reset(r);
		add_line(r, "error ", too_long, strlen(too_long));
	}
	r->ended = true;
}

void reply_text(struct control_reply *r, const char *s, size_t n)
{
	if (!r->ended)
		add_line(r, "= ", s, n);
}

void reply_data(struct control_reply *r, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (!r->ended)
		add_line(r, "= ", line, strlen(line));
}

void reply_ok(struct control_reply *r, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	end(r, "ok", line, strlen(line));
}

void reply_error(struct control_reply *r, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	end(r, "error", line, strlen(line));
}

static size_t line_len(const char *s, size_t n)
{
	const char *nl = memchr(s, '\n', n);

	return nl ? (size_t)(nl - s) : n;
}

/* Is s the word, alone or with more behind a blank? */
static bool begins(const char *s, size_t n, const char *word)
{
	size_t len = strlen(word);

	return n >= len && memcmp(s, word, len) == 0 && (n == len || s[len] == ' ');
}

void reply_of_role(struct control_reply *r, const char *text, size_t len)
{
	size_t first = line_len(text, len);
	bool ok = begins(text, first, "ok");
	size_t skip = ok ? strlen("ok") : strlen("error");

	if (r->ended)
		return;
	if (!ok && !begins(text, first, "error")) {
		reply_error(r, "the role's answer is neither ok nor error");
		return;
	}
	for (size_t at = first + 1; at < len;) {
		size_t n = line_len(text + at, len - at);

		add_line(r, "= ", text + at, n);
		at += n + 1;
	}
	if (skip < first)
		skip++; /* the blank */
	end(r, ok ? "ok" : "error", text + skip, first - skip);
}
