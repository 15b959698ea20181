/* SPDX-License-Identifier: MIT */
#include "app/serve_head.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/compiler.h"

/* Characters. */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* RFC 9110, 5.6.2 */
static bool is_token(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int hex_of(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool text_is(struct http_text t, const char *word)
{
	return t.n == strlen(word) && memcmp(t.s, word, t.n) == 0;
}

static bool text_is_nocase(struct http_text t, const char *word)
{
	return t.n == strlen(word) && strncasecmp(t.s, word, t.n) == 0;
}

static struct http_text trim(const char *s, size_t n)
{
	while (n && is_blank(*s))
		s++, n--;
	while (n && is_blank(s[n - 1]))
		n--;
	return (struct http_text){ s, n };
}

/* Takes the next element of a list with commas off t; false at its end. */
static bool next_element(struct http_text *t, struct http_text *ret_e)
{
	const char *comma;
	size_t n;

	if (!t->s)
		return false;
	comma = memchr(t->s, ',', t->n);
	n = comma ? (size_t)(comma - t->s) : t->n;
	*ret_e = trim(t->s, n);
	*t = comma ? (struct http_text){ comma + 1, t->n - n - 1 } : (struct http_text){ 0 };
	return true;
}

/* The first line. */

/* Takes the next line off the head: its text without the end. */
static struct http_text next_line(const char **at, const char *end)
{
	const char *nl = memchr(*at, '\n', (size_t)(end - *at));
	struct http_text t = { *at, (size_t)(nl - *at) };

	*at = nl + 1;
	if (t.n && t.s[t.n - 1] == '\r')
		t.n--;
	return t;
}

/* 0, 400 or 505; *ret_minor is 0 or 1 (and above). */
static unsigned read_version(struct http_text t, unsigned *ret_minor)
{
	if (t.n != 8 || memcmp(t.s, "HTTP/", 5) != 0 || !is_digit(t.s[5]) || t.s[6] != '.' ||
	    !is_digit(t.s[7]))
		return 400;
	*ret_minor = (unsigned)(t.s[7] - '0');
	return t.s[5] == '1' ? 0 : 505;
}

static unsigned read_method(struct http_text t, enum http_method *ret_m)
{
	static const char *const others[] = { "POST",	 "PUT",	  "DELETE", "CONNECT",
					      "OPTIONS", "TRACE", "PATCH" };

	*ret_m = text_is(t, "GET") ? HTTP_GET : text_is(t, "HEAD") ? HTTP_HEAD : HTTP_OTHER;
	if (*ret_m != HTTP_OTHER)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (text_is(t, others[i]))
			return 405;
	for (size_t i = 0; i < t.n; i++)
		if (!is_token(t.s[i]))
			return 400;
	return t.n ? 501 : 400;
}

/* Decodes the target's path: 0, 400 or 414. */
static unsigned read_path(struct http_text t, char ret_path[HTTP_PATH_MAX])
{
	size_t n = 0;

	if (t.n == 0 || t.s[0] != '/')
		return 400;
	for (size_t i = 0; i < t.n; i++) {
		int c = (unsigned char)t.s[i];

		if (c == '%') {
			int high = i + 2 < t.n ? hex_of(t.s[i + 1]) : -1;
			int low = i + 2 < t.n ? hex_of(t.s[i + 2]) : -1;

			if (high < 0 || low < 0)
				return 400;
			c = high << 4 | low;
			i += 2;
		} else if (c <= ' ' || c >= 0x7f || c == '#') {
			return 400;
		}
		if (c == 0)
			return 400;
		if (n == HTTP_PATH_MAX - 1)
			return 414;
		ret_path[n++] = (char)c;
	}
	ret_path[n] = 0;
	return 0;
}

/* A target, its query included, is one word, which another reader could not divide elsewhere (RFC 9112, 3.2). */
static bool is_target(struct http_text t)
{
	for (size_t i = 0; i < t.n; i++) {
		const unsigned char c = (unsigned char)t.s[i];

		if (c <= ' ' || c == 0x7f || c == '#')
			return false;
	}
	return t.n > 0;
}

/* Leaves of a target with scheme, host and query the path. */
static struct http_text path_of(struct http_text t)
{
	const char *query;

	if (t.n >= 7 && strncasecmp(t.s, "http:", 5) == 0 && t.s[5] == '/' && t.s[6] == '/') {
		const char *slash = memchr(t.s + 7, '/', t.n - 7);

		if (!slash)
			return (struct http_text){ "/", 1 };
		t.n -= (size_t)(slash - t.s);
		t.s = slash;
	}
	query = memchr(t.s, '?', t.n);
	if (query)
		t.n = (size_t)(query - t.s);
	return t;
}

static unsigned read_first_line(struct http_head *h, unsigned *ret_minor)
{
	const char *end = h->line.s + h->line.n;
	const char *blank = memchr(h->line.s, ' ', h->line.n), *last = end;
	struct http_text method, target, version;
	unsigned status, method_status;

	while (last > h->line.s && last[-1] != ' ')
		last--;
	if (!blank || last <= blank + 1)
		return 400;
	method = (struct http_text){ h->line.s, (size_t)(blank - h->line.s) };
	target = (struct http_text){ blank + 1, (size_t)(last - 1 - (blank + 1)) };
	version = (struct http_text){ last, (size_t)(end - last) };
	status = read_version(version, ret_minor);
	method_status = read_method(method, &h->method);
	if (status || method_status == 400 || !is_target(target))
		return status ? status : 400;
	if (method_status)
		return method_status;
	h->target = path_of(target);
	return read_path(h->target, h->path);
}

/* Fields. */

struct fields {
	unsigned hosts, lengths;
	bool close, keep; /* Connection's words */
	bool body; /* one follows */
	bool coded; /* Transfer-Encoding is there */
};

static unsigned read_length(struct http_text v, struct fields *f)
{
	if (f->lengths++ || v.n == 0)
		return 400;
	for (size_t i = 0; i < v.n; i++) {
		if (!is_digit(v.s[i]))
			return 400;
		f->body |= v.s[i] != '0';
	}
	return 0;
}

static void read_connection(struct http_text v, struct fields *f)
{
	struct http_text word;

	while (next_element(&v, &word)) {
		f->close |= text_is_nocase(word, "close");
		f->keep |= text_is_nocase(word, "keep-alive");
	}
}

/* A field that may be given once: a second one makes it unreadable. */
static void take(struct http_text *field, struct http_text v)
{
	*field = field->s ? (struct http_text){ "", 0 } : v;
}

/* HOST[:PORT], or nothing (RFC 9110, 7.2): which files are served does not depend on it, but it has to be one. */
static bool is_host(struct http_text v)
{
	for (size_t i = 0; i < v.n; i++)
		if (!is_token(v.s[i]) && !strchr("[]:(),;=", v.s[i]))
			return false;
	return true;
}

static unsigned read_field(struct http_head *h, struct fields *f, struct http_text name,
			   struct http_text v)
{
	if (text_is_nocase(name, "host"))
		return f->hosts++ || !is_host(v) ? 400 : 0;
	if (text_is_nocase(name, "content-length"))
		return read_length(v, f);
	if (text_is_nocase(name, "transfer-encoding")) {
		f->coded = f->body = true;
		return text_is_nocase(v, "chunked") ? 0 : 501;
	}
	if (text_is_nocase(name, "connection"))
		read_connection(v, f);
	else if (text_is_nocase(name, "range"))
		take(&h->range, v);
	else if (text_is_nocase(name, "if-range"))
		take(&h->if_range, v);
	else if (text_is_nocase(name, "if-modified-since"))
		take(&h->if_modified_since, v);
	else if (text_is_nocase(name, "if-none-match"))
		take(&h->if_none_match, v);
	return 0;
}

static unsigned read_field_line(struct http_head *h, struct fields *f, struct http_text line)
{
	const char *colon = memchr(line.s, ':', line.n);
	size_t n = colon ? (size_t)(colon - line.s) : 0;

	for (size_t i = 0; i < n; i++)
		if (!is_token(line.s[i]))
			return 400; /* a folded line begins with a blank, too */
	if (n == 0)
		return 400;
	for (size_t i = n + 1; i < line.n; i++)
		if (((unsigned char)line.s[i] < ' ' && line.s[i] != '\t') || line.s[i] == 0x7f)
			return 400;
	return read_field(h, f, (struct http_text){ line.s, n }, trim(colon + 1, line.n - n - 1));
}

/* All fields: 0 or a status. */
static unsigned read_fields(struct http_head *h, const char *at, const char *end, unsigned minor)
{
	struct fields f = { 0 };

	for (;;) {
		struct http_text line = next_line(&at, end);
		unsigned status;

		if (line.n == 0)
			break;
		status = read_field_line(h, &f, line);
		if (status)
			return status;
	}
	if ((minor && !f.hosts) || (f.coded && (f.lengths || !minor)))
		return 400;
	/* what follows a body that is not read cannot be found */
	h->keep = !f.body && !f.close && (minor || f.keep);
	return 0;
}

/* The bytes up to the end of the head's blank line; 0: it is not there yet. */
static size_t head_len(const char *bytes, size_t n)
{
	for (const char *p = bytes; (p = memchr(p, '\n', n - (size_t)(p - bytes))); p++) {
		size_t left = n - (size_t)(p + 1 - bytes);

		if (left >= 1 && p[1] == '\n')
			return n - left + 1;
		if (left >= 2 && p[1] == '\r' && p[2] == '\n')
			return n - left + 2;
	}
	return 0;
}

/* Empty lines in front of a request are passed over (RFC 9112, 2.2). */
static size_t empty_lines(const char *bytes, size_t n)
{
	size_t at = 0;

	for (;;) {
		if (at < n && bytes[at] == '\n')
			at++;
		else if (at + 1 < n && bytes[at] == '\r' && bytes[at + 1] == '\n')
			at += 2;
		else
			return at;
	}
}

/* What is longer than it may be. */
static unsigned too_long(struct http_head *h, const char *bytes, size_t n)
{
	const char *nl = memchr(bytes, '\n', n);

	h->line.n = nl ? (size_t)(nl - bytes) : n;
	if (h->line.n && h->line.s[h->line.n - 1] == '\r')
		h->line.n--;
	return h->line.n > HTTP_LINE_MAX ? 414 : 431;
}

/* Is what is there more than a head may be? */
static bool is_too_long(const char *at, size_t skip, size_t len, size_t n)
{
	if (len == 0)
		return n >= HTTP_HEAD_MAX;
	return skip + len > HTTP_HEAD_MAX ||
	       !memchr(at, '\n', len < HTTP_LINE_MAX ? len : HTTP_LINE_MAX);
}

size_t http_head_read(const char *bytes, size_t n, struct http_head *ret_h, unsigned *ret_status)
{
	const size_t skip = empty_lines(bytes, n), len = head_len(bytes + skip, n - skip);
	const char *at = bytes + skip, *end = at + len;
	unsigned minor = 0, status;

	memset(ret_h, 0, offsetof(struct http_head, path) + 1);
	ret_h->line.s = at;
	if (is_too_long(at, skip, len, n)) {
		*ret_status = too_long(ret_h, at, n - skip);
		return n;
	}
	if (len == 0)
		return 0;
	ret_h->line = next_line(&at, end);
	status = read_first_line(ret_h, &minor);
	if (status == 0)
		status = read_fields(ret_h, at, end, minor);
	if (status)
		ret_h->keep = false;
	*ret_status = status;
	return skip + len;
}

/* Ranges. */

static bool read_number(struct http_text *t, uint64_t *ret_v)
{
	uint64_t v = 0;
	size_t i = 0;

	for (; i < t->n && is_digit(t->s[i]); i++) {
		if (v > (UINT64_MAX - 9) / 10)
			v = UINT64_MAX / 10 - 1; /* far beyond any file: stays there */
		v = v * 10 + (uint64_t)(t->s[i] - '0');
	}
	t->s += i;
	t->n -= i;
	*ret_v = v;
	return i > 0;
}

int http_range_read(struct http_text t, uint64_t size, uint64_t *ret_first, uint64_t *ret_last)
{
	uint64_t first = 0, last = 0;
	bool from, to;

	if (!t.s || t.n < 6 || strncasecmp(t.s, "bytes=", 6) != 0)
		return 0;
	t = trim(t.s + 6, t.n - 6);
	from = read_number(&t, &first);
	if (t.n == 0 || *t.s != '-')
		return 0;
	t.s++, t.n--;
	to = read_number(&t, &last);
	if (t.n || (!from && !to) || (from && to && last < first))
		return 0;
	if (!from) {
		if (last == 0 || size == 0)
			return -1;
		first = last < size ? size - last : 0;
		last = size - 1;
	} else if (first >= size) {
		return -1;
	} else if (!to || last >= size) {
		last = size - 1;
	}
	*ret_first = first;
	*ret_last = last;
	return 1;
}

/* Dates. */

static int month_of(const char *s)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (memcmp(s, names + 3 * i, 3) == 0)
			return i;
	return -1;
}

/* Reads s by a form: '2' is a digit, '_' a digit or a blank, 'a' a letter, 'M' begins a month; anything else stands for itself. */
static bool has_form(const char *s, const char *form)
{
	for (; *form; s++, form++) {
		bool well = *form == '2'   ? is_digit(*s)
			    : *form == '_' ? is_digit(*s) || *s == ' '
			    : *form == 'a' ? (*s | 0x20) >= 'a' && (*s | 0x20) <= 'z'
					   : *s == *form;

		if (!well)
			return false;
	}
	return true;
}

static int two(const char *s)
{
	return (s[0] == ' ' ? 0 : s[0] - '0') * 10 + (s[1] - '0');
}

/* Hours, minutes and seconds. */
static void read_clock(const char *s, struct tm *tm)
{
	tm->tm_hour = two(s);
	tm->tm_min = two(s + 3);
	tm->tm_sec = two(s + 6);
}

static bool read_imf(const char *s, struct tm *tm)
{
	if (!has_form(s, "aaa, 22 aaa 2222 22:22:22 GMT"))
		return false;
	tm->tm_mday = two(s + 5);
	tm->tm_mon = month_of(s + 8);
	tm->tm_year = two(s + 12) * 100 + two(s + 14) - 1900;
	read_clock(s + 17, tm);
	return true;
}

static bool read_rfc850(const char *s, struct tm *tm)
{
	static const char form[] = ", 22-aaa-22 22:22:22 GMT";
	const char *comma = strchr(s, ',');

	if (!comma || comma - s < 6 || !has_form(comma, form) || comma[strlen(form)])
		return false;
	s = comma;
	tm->tm_mday = two(s + 2);
	tm->tm_mon = month_of(s + 5);
	tm->tm_year = two(s + 9);
	if (tm->tm_year < 70)
		tm->tm_year += 100;
	read_clock(s + 12, tm);
	return true;
}

static bool read_asctime(const char *s, struct tm *tm)
{
	if (!has_form(s, "aaa aaa _2 22:22:22 2222"))
		return false;
	tm->tm_mon = month_of(s + 4);
	tm->tm_mday = two(s + 8);
	read_clock(s + 11, tm);
	tm->tm_year = two(s + 20) * 100 + two(s + 22) - 1900;
	return true;
}

int http_date_read(struct http_text t, int64_t *ret_seconds)
{
	struct tm tm = { 0 };
	char s[40];

	if (!t.s || t.n < 24 || t.n >= sizeof s)
		return -EINVAL;
	memcpy(s, t.s, t.n);
	memset(s + t.n, 0, sizeof s - t.n);
	if (!(t.n == 29 && read_imf(s, &tm)) && !(t.n == 24 && read_asctime(s, &tm)) &&
	    !read_rfc850(s, &tm))
		return -EINVAL;
	if (tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
	    tm.tm_min > 59 || tm.tm_sec > 60)
		return -EINVAL;
	*ret_seconds = timegm(&tm);
	return 0;
}

void http_date_write(int64_t seconds, char ret_s[HTTP_DATE_MAX])
{
	const time_t t = (time_t)seconds;
	struct tm tm = { 0 };

	gmtime_r(&t, &tm);
	if (strftime(ret_s, HTTP_DATE_MAX, "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0)
		ret_s[0] = 0; /* beyond the year 9999 */
}

/* Tags and types. */

bool http_tag_in(struct http_text list, const char *tag)
{
	struct http_text e;

	if (list.s && text_is(list, "*"))
		return true;
	while (next_element(&list, &e)) {
		if (e.n > 2 && memcmp(e.s, "W/", 2) == 0)
			e.s += 2, e.n -= 2;
		if (text_is(e, tag))
			return true;
	}
	return false;
}

const char *http_type_of(const char *path)
{
	static const struct {
		const char *end, *type;
	} types[] = {
		{ "html", "text/html; charset=utf-8" },
		{ "htm", "text/html; charset=utf-8" },
		{ "txt", "text/plain; charset=utf-8" },
		{ "md", "text/markdown; charset=utf-8" },
		{ "css", "text/css; charset=utf-8" },
		{ "csv", "text/csv; charset=utf-8" },
		{ "js", "text/javascript; charset=utf-8" },
		{ "mjs", "text/javascript; charset=utf-8" },
		{ "json", "application/json" },
		{ "xml", "application/xml" },
		{ "pdf", "application/pdf" },
		{ "wasm", "application/wasm" },
		{ "gz", "application/gzip" },
		{ "tar", "application/x-tar" },
		{ "zip", "application/zip" },
		{ "pcap", "application/vnd.tcpdump.pcap" },
		{ "svg", "image/svg+xml" },
		{ "png", "image/png" },
		{ "jpg", "image/jpeg" },
		{ "jpeg", "image/jpeg" },
		{ "gif", "image/gif" },
		{ "webp", "image/webp" },
		{ "ico", "image/x-icon" },
		{ "mp4", "video/mp4" },
		{ "woff2", "font/woff2" },
	};
	const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');

	for (size_t i = 0; dot && i < ARRAY_LEN(types); i++)
		if (strcasecmp(dot + 1, types[i].end) == 0)
			return types[i].type;
	return "application/octet-stream";
}

const char *http_status_text(unsigned status)
{
	static const struct {
		unsigned status;
		const char *text;
	} rows[] = {
		{ 200, "OK" },
		{ 206, "Partial Content" },
		{ 301, "Moved Permanently" },
		{ 304, "Not Modified" },
		{ 400, "Bad Request" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 408, "Request Timeout" },
		{ 414, "URI Too Long" },
		{ 416, "Range Not Satisfiable" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].status == status)
			return rows[i].text;
	return "Unknown";
}
