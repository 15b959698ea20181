/* SPDX-License-Identifier: MIT */
#include "role/handoff/request.h"

#include <string.h>

/*
 * Theory of operation
 *
 * A head is read once it is whole, line by line (RFC 9112, 2 to 6).  Before that only its first bytes are looked at, so that
 * what is no HTTP at all (a TLS hello, binary protocols) is told apart at once and not at the end of a time-out.
 *
 * Routing needs little of a head, and that little must be beyond doubt: the back end reads the same bytes with another parser.  So
 * every form that the RFCs leave to a parser's leniency is refused here, and no general parser is used: they accept most of these.
 */

struct line {
	const char *s;
	size_t n;
};

struct reading {
	const char *bytes, *at, *end; /* end: behind the empty line */
	struct request r;
	bool has_host, has_length, chunked;
	struct line authority; /* of an absolute target */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_one_of(char c, const char *set)
{
	for (; *set; set++)
		if (c == *set)
			return true;
	return false;
}

/* RFC 9110, 5.6.2 */
static bool is_token(char c)
{
	return is_digit(c) || is_alpha(c) || is_one_of(c, "!#$%&'*+-.^_`|~");
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Is t this word, which is in lower case? */
static bool is_word(struct line t, const char *word)
{
	size_t i;

	for (i = 0; i < t.n && word[i]; i++)
		if (lower(t.s[i]) != word[i])
			return false;
	return i == t.n && !word[i];
}

static bool same_nocase(struct line a, struct line b)
{
	size_t i;

	if (a.n != b.n)
		return false;
	for (i = 0; i < a.n; i++)
		if (lower(a.s[i]) != lower(b.s[i]))
			return false;
	return true;
}

static struct line trimmed(const char *s, size_t n)
{
	while (n && (*s == ' ' || *s == '\t'))
		s++, n--;
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	return (struct line){ s, n };
}

static struct request_text text_of(const struct reading *rd, struct line t)
{
	return (struct request_text){ (uint16_t)(t.s - rd->bytes), (uint16_t)t.n };
}

/* The next line without its CRLF; false where it holds a control character (RFC 9112, 2.2). */
static bool next_line(struct reading *rd, struct line *ret_l)
{
	const char *s = rd->at;

	for (; rd->at < rd->end; rd->at++) {
		unsigned char c = (unsigned char)*rd->at;

		if (c == '\r' && rd->at + 1 < rd->end && rd->at[1] == '\n') {
			*ret_l = (struct line){ s, (size_t)(rd->at - s) };
			rd->at += 2;
			return true;
		}
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return false;
}

static enum request_method method_of(struct line t)
{
	static const struct {
		char name[8];
		enum request_method method;
	} known[] = { { "GET", REQ_GET },	{ "HEAD", REQ_HEAD },
		      { "POST", REQ_POST },	{ "PUT", REQ_PUT },
		      { "DELETE", REQ_DELETE }, { "OPTIONS", REQ_OPTIONS },
		      { "PATCH", REQ_PATCH },	{ "CONNECT", REQ_CONNECT },
		      { "TRACE", REQ_TRACE } };
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i].name) == t.n && memcmp(known[i].name, t.s, t.n) == 0)
			return known[i].method;
	return REQ_OTHER;
}

/* What may be in the host part of a URI (RFC 3986, 3.2.2), IP literals with it. */
static bool is_host(struct line t)
{
	size_t i;

	for (i = 0; i < t.n; i++)
		if (!is_alpha(t.s[i]) && !is_digit(t.s[i]) &&
		    !is_one_of(t.s[i], "-._~%!$&'()*+,;=[]:"))
			return false;
	return true;
}

/* Takes a port off an authority; false where there is none to be had of it. */
static bool split_port(struct line *t)
{
	size_t i = t->n;

	while (i && is_digit(t->s[i - 1]))
		i--;
	if (t->n && t->s[0] == '[') {
		const char *close = memchr(t->s, ']', t->n);

		if (!close)
			return false;
		if (close + 1 == t->s + t->n)
			return true;
		if (close[1] != ':' || t->s + i != close + 2)
			return false;
		t->n = (size_t)(close + 1 - t->s);
		return true;
	}
	if (i && t->s[i - 1] == ':')
		t->n = i - 1;
	return !memchr(t->s, ':', t->n) && !memchr(t->s, ']', t->n);
}

static bool take_host(struct reading *rd, struct line t)
{
	if (!is_host(t) || !split_port(&t))
		return false;
	rd->r.host = text_of(rd, t);
	return true;
}

/* Length of "http" or "https" with what separates them from the authority; 0: neither. */
static size_t scheme_len(struct line t)
{
	size_t n = t.n > 4 && lower(t.s[4]) == 's' ? 5 : 4;

	if (t.n <= n + 3 || !is_word((struct line){ t.s, n }, n == 5 ? "https" : "http") ||
	    memcmp(t.s + n, "://", 3) != 0)
		return 0;
	return n + 3;
}

/* The target's four forms (RFC 9112, 3.2). */
static bool take_target(struct reading *rd, struct line t)
{
	const char *path, *query;
	size_t i;

	for (i = 0; i < t.n; i++)
		if ((unsigned char)t.s[i] <= ' ' || (unsigned char)t.s[i] >= 0x7f || t.s[i] == '#')
			return false;
	if (!t.n)
		return false;
	if (rd->r.method == REQ_CONNECT) {
		rd->authority = t;
		rd->r.path = text_of(rd, (struct line){ t.s, 0 });
		return is_host(t);
	}
	if (t.n == 1 && t.s[0] == '*') {
		rd->r.path = text_of(rd, t);
		return rd->r.method == REQ_OPTIONS;
	}
	if (t.s[0] != '/') {
		size_t skip = scheme_len(t);

		if (!skip)
			return false;
		t.s += skip;
		t.n -= skip;
		for (i = 0; i < t.n && t.s[i] != '/' && t.s[i] != '?'; i++)
			;
		rd->authority = (struct line){ t.s, i };
		if (!i || !is_host(rd->authority))
			return false;
		t.s += i;
		t.n -= i;
	}
	path = t.s;
	query = memchr(t.s, '?', t.n);
	rd->r.path = text_of(rd, (struct line){ path, query ? (size_t)(query - path) : t.n });
	return true;
}

/* METHOD SP target SP HTTP/1.x, and not one blank more. */
static bool take_first_line(struct reading *rd, struct line l)
{
	const char *sp = memchr(l.s, ' ', l.n), *version;

	if (!sp || sp == l.s || l.n < 14)
		return false;
	version = l.s + l.n - 9;
	if (version <= sp || memcmp(version, " HTTP/1.", 8) != 0 ||
	    (version[8] != '0' && version[8] != '1'))
		return false;
	rd->r.method = method_of((struct line){ l.s, (size_t)(sp - l.s) });
	rd->r.minor = (uint8_t)(version[8] - '0');
	return take_target(rd, (struct line){ sp + 1, (size_t)(version - sp - 1) });
}

static bool take_length(struct reading *rd, struct line v)
{
	size_t i;

	if (rd->has_length || !v.n || v.n > 18)
		return false;
	rd->has_length = true;
	for (i = 0; i < v.n; i++) {
		if (!is_digit(v.s[i]))
			return false;
		if (v.s[i] != '0')
			rd->r.has_body = true;
	}
	return true;
}

/* Only where "chunked" is the last coding is the end of a request known (RFC 9112, 6.3). */
static bool take_coding(struct reading *rd, struct line v)
{
	struct line last;
	size_t i;

	if (rd->chunked || rd->r.minor == 0)
		return false;
	for (i = v.n; i; i--)
		if (v.s[i - 1] == ',')
			break;
	last = trimmed(v.s + i, v.n - i);
	rd->chunked = rd->r.has_body = true;
	return is_word(last, "chunked");
}

static bool take_header(struct reading *rd, struct line l)
{
	const char *colon = memchr(l.s, ':', l.n);
	struct line name, value;
	size_t i;

	if (!colon || colon == l.s)
		return false;
	name = (struct line){ l.s, (size_t)(colon - l.s) };
	for (i = 0; i < name.n; i++)
		if (!is_token(name.s[i]))
			return false; /* a blank in front of the colon, a folded line */
	value = trimmed(colon + 1, l.n - name.n - 1);
	if (is_word(name, "host")) {
		if (rd->has_host)
			return false;
		rd->has_host = true;
		/* RFC 9112, 3.2.2: the target's authority counts; two different ones are two readings. */
		if (rd->authority.s && !same_nocase(rd->authority, value))
			return false;
		return take_host(rd, value);
	}
	if (is_word(name, "content-length"))
		return take_length(rd, value);
	if (is_word(name, "transfer-encoding"))
		return take_coding(rd, value);
	if (is_word(name, "upgrade"))
		rd->r.upgrade = true;
	return true;
}

static enum request_result read_head(struct reading *rd)
{
	struct line l;

	if (!next_line(rd, &l) || !take_first_line(rd, l))
		return REQUEST_BAD;
	while (next_line(rd, &l)) {
		if (!l.n) {
			if (rd->chunked && rd->has_length)
				return REQUEST_BAD;
			if (!rd->has_host && (rd->r.minor == 1 ||
					      (rd->authority.s && !take_host(rd, rd->authority))))
				return REQUEST_BAD;
			return REQUEST_OK;
		}
		if (!take_header(rd, l))
			return REQUEST_BAD;
	}
	return REQUEST_BAD;
}

/* Can these first bytes begin a request? */
static bool may_begin(const char *bytes, size_t n)
{
	size_t i;

	for (i = 0; i < n && bytes[i] != ' '; i++)
		if (!is_token(bytes[i]) || i >= 24)
			return false;
	return i > 0 || n == 0;
}

/* Bytes up to behind the first empty line; 0: it is not there. */
static size_t whole(const char *bytes, size_t n)
{
	const char *at = bytes, *nl;

	while ((nl = memchr(at, '\n', n - (size_t)(at - bytes)))) {
		at = nl + 1;
		if (n - (size_t)(at - bytes) >= 2 && at[0] == '\r' && at[1] == '\n')
			return (size_t)(at + 2 - bytes);
		/* A bare newline ends lines for some parsers: the head is read now, and found bad. */
		if (n - (size_t)(at - bytes) >= 1 && at[0] == '\n')
			return (size_t)(at + 1 - bytes);
	}
	return 0;
}

/* A first line that is whole can be judged at once: whoever waits for more would wait for nothing. */
static bool first_line_is_bad(const char *bytes, size_t n)
{
	const char *nl = memchr(bytes, '\n', n);
	struct reading rd = { .bytes = bytes, .at = bytes, .end = nl ? nl + 1 : bytes };
	struct line l;

	return nl && (!next_line(&rd, &l) || !take_first_line(&rd, l));
}

enum request_result request_read(const char *bytes, size_t n, size_t max, struct request *ret_r)
{
	struct reading rd = { .bytes = bytes, .at = bytes };
	enum request_result result;
	size_t len;

	if (max > UINT16_MAX)
		max = UINT16_MAX;
	if (!may_begin(bytes, n) || first_line_is_bad(bytes, n))
		return REQUEST_BAD;
	len = whole(bytes, n);
	if (len > max || (!len && n > max))
		return REQUEST_TOO_LARGE;
	if (!len)
		return REQUEST_MORE;
	rd.end = bytes + len;
	result = read_head(&rd);
	if (result == REQUEST_OK) {
		rd.r.head_len = (uint16_t)len;
		rd.r.bytes = bytes;
		*ret_r = rd.r;
	}
	return result;
}

bool request_header(const struct request *r, const char *name, struct request_text *ret_value)
{
	struct reading rd = { .bytes = r->bytes, .at = r->bytes, .end = r->bytes + r->head_len };
	struct line l;

	if (!next_line(&rd, &l))
		return false;
	while (next_line(&rd, &l) && l.n) {
		const char *colon = memchr(l.s, ':', l.n);

		if (colon && is_word((struct line){ l.s, (size_t)(colon - l.s) }, name)) {
			*ret_value = text_of(&rd,
					     trimmed(colon + 1, (size_t)(l.s + l.n - colon - 1)));
			return true;
		}
	}
	return false;
}
