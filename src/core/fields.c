/* SPDX-License-Identifier: MIT */
#include "core/fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/be.h"
#include "proto/ip.h"
#include "proto/print.h"

#define ADDR_TEXT 46u
#define QUAD_DST 16u
#define QUAD_SPORT 32u
#define QUAD_DPORT 34u

/* The first c of n bytes at s; NULL. */
static const char *find(const char *s, size_t n, char c)
{
	for (; n > 0; s++, n--)
		if (*s == c)
			return s;
	return NULL;
}

/* Writing */

SUT_PRINTF(2, 0) static void put_v(struct fields_text *t, const char *fmt, va_list ap)
{
	size_t room = t->max - t->n;
	int n = vsnprintf(t->s + t->n, room, fmt, ap);

	if (n < 0 || (size_t)n >= room) {
		t->cut = true;
		if (room)
			t->s[t->n] = '\0';
		return;
	}
	t->n += (size_t)n;
}

void fields_put(struct fields_text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_v(t, fmt, ap);
	va_end(ap);
}

void fields_put_addr(struct fields_text *t, const uint8_t ip[16], uint16_t port)
{
	char s[ADDR_TEXT];

	print_addr(ip, s, sizeof s);
	fields_put(t, find(s, strlen(s), ':') ? "[%s]:%u" : "%s:%u", s, (unsigned)port);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static void put_bits(struct fields_text *t, uint64_t bits, const struct field *f)
{
	const char *comma = "";

	if (!bits)
		fields_put(t, "none");
	for (unsigned i = 0; bits; i++, bits >>= 1) {
		if (!(bits & 1))
			continue;
		if (f->names && i < f->count)
			fields_put(t, "%s%s", comma, f->names[i]);
		else
			fields_put(t, "%s%u", comma, i);
		comma = ",";
	}
}

static void put_name(struct fields_text *t, uint32_t v, const struct field *f)
{
	if (v < f->count)
		fields_put(t, "%s", f->names[v]);
	else
		fields_put(t, "%u", (unsigned)v);
}

static void put_port(struct fields_text *t, const uint8_t *ip, uint16_t port)
{
	static const uint8_t none[16];

	if (port == 0 && memcmp(ip, none, sizeof none) == 0)
		fields_put(t, "none");
	else
		fields_put_addr(t, ip, port);
}

static void put_quad(struct fields_text *t, const uint8_t *q)
{
	fields_put_addr(t, q, load_be16(q + QUAD_SPORT));
	fields_put(t, ">");
	fields_put_addr(t, q + QUAD_DST, load_be16(q + QUAD_DPORT));
}

/* What cannot stand in a text becomes "_": an operator's words must not make a line unreadable. */
static void put_text(struct fields_text *t, const char *s)
{
	bool bare = *s && !find(s, strlen(s), ' ');

	fields_put(t, "%s", bare ? "" : "'");
	for (; *s; s++)
		fields_put(t, "%c", *s < ' ' || *s > '~' || *s == '\'' ? '_' : *s);
	fields_put(t, "%s", bare ? "" : "'");
}

static void put_u64(struct fields_text *t, const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	fields_put(t, "%llu", (unsigned long long)v);
}

static void put_list(struct fields_text *t, const uint8_t *p, const struct field *f)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	put_bits(t, v, f);
}

static void put_value(struct fields_text *t, const struct field *f, const uint8_t *base)
{
	const uint8_t *p = base + f->at, *q = base + f->at2;

	switch (f->kind) {
	case FIELD_U8:
		fields_put(t, "%u", (unsigned)*p);
		break;
	case FIELD_U16:
		fields_put(t, "%u", (unsigned)get16(p));
		break;
	case FIELD_U32:
		fields_put(t, "%u", (unsigned)get32(p));
		break;
	case FIELD_U64:
		put_u64(t, p);
		break;
	case FIELD_TWO8:
		fields_put(t, "%u/%u", (unsigned)*p, (unsigned)*q);
		break;
	case FIELD_TWO32:
		fields_put(t, "%u/%u", (unsigned)get32(p), (unsigned)get32(q));
		break;
	case FIELD_ENUM8:
		put_name(t, *p, f);
		break;
	case FIELD_ENUM32:
		put_name(t, get32(p), f);
		break;
	case FIELD_SET8:
		put_bits(t, *p, f);
		break;
	case FIELD_SET32:
		put_bits(t, get32(p), f);
		break;
	case FIELD_LIST64:
		put_list(t, p, f);
		break;
	case FIELD_ENUM2:
		put_name(t, (uint32_t)(*p != 0) + 2u * (*q != 0), f);
		break;
	case FIELD_PORT_NET:
		put_port(t, p, load_be16(q));
		break;
	case FIELD_PORT_HOST:
		put_port(t, p, get16(q));
		break;
	case FIELD_MAC:
		fields_put(t, "%02x:%02x:%02x:%02x:%02x:%02x", p[0], p[1], p[2], p[3], p[4], p[5]);
		break;
	case FIELD_VERSION:
		fields_put(t, "%u.%u", (unsigned)(get32(p) >> 16), (unsigned)(get32(p) & 0xffff));
		break;
	case FIELD_TEXT:
		put_text(t, (const char *)p);
		break;
	case FIELD_QUAD:
		put_quad(t, p);
		break;
	}
}

void fields_write(struct fields_text *t, const struct field *table, uint64_t which,
		  const void *from)
{
	for (unsigned i = 0; which; i++, which >>= 1) {
		if (!(which & 1))
			continue;
		fields_put(t, " %s=", table[i].name);
		put_value(t, &table[i], from);
	}
}

static bool any(const uint8_t *p, size_t n)
{
	while (n-- > 0)
		if (p[n])
			return true;
	return false;
}

static bool has_value(const struct field *f, const uint8_t *base)
{
	const uint8_t *p = base + f->at, *q = base + f->at2;

	switch (f->kind) {
	case FIELD_U8:
	case FIELD_ENUM8:
	case FIELD_SET8:
	case FIELD_TEXT:
		return *p;
	case FIELD_U16:
		return any(p, 2);
	case FIELD_U32:
	case FIELD_ENUM32:
	case FIELD_SET32:
	case FIELD_VERSION:
		return any(p, 4);
	case FIELD_U64:
	case FIELD_LIST64:
		return any(p, 8);
	case FIELD_TWO8:
	case FIELD_ENUM2:
		return *p || *q;
	case FIELD_TWO32:
		return any(p, 4) || any(q, 4);
	case FIELD_PORT_NET:
	case FIELD_PORT_HOST:
		return any(p, 16) || any(q, 2);
	case FIELD_MAC:
		return any(p, 6);
	case FIELD_QUAD:
		return any(p, QUAD_DPORT + 2);
	}
	return false;
}

uint64_t fields_said(const struct field *table, unsigned n, const void *from)
{
	uint64_t said = 0;

	for (unsigned i = 0; i < n; i++)
		if (has_value(&table[i], from))
			said |= UINT64_C(1) << i;
	return said;
}

/* Reading */

/* Bytes of the word at s: to the next blank, or to the end of what is in quotes behind "=".  0: not well-formed. */
static size_t word_len(const char *s, size_t n)
{
	size_t i = 0, value = 0; /* where the value begins */

	for (; i < n && s[i] != ' '; i++) {
		if (s[i] <= ' ' || s[i] > '~')
			return 0;
		if (s[i] == '=' && value == 0)
			value = i + 1;
		if (s[i] != '\'')
			continue;
		if (i == 0 || i != value)
			return 0;
		for (i++; i < n && s[i] != '\''; i++)
			if (s[i] < ' ' || s[i] > '~')
				return 0;
		i++;
		return i > n || (i < n && s[i] != ' ') ? 0 : i;
	}
	return i;
}

bool words_next(struct words *w, struct word *ret_w)
{
	size_t n;

	if (w->bad || w->at == w->end)
		return false;
	if (w->begun && *w->at++ != ' ') {
		w->bad = true;
		return false;
	}
	n = word_len(w->at, (size_t)(w->end - w->at));
	if (n == 0) {
		w->bad = true;
		return false;
	}
	*ret_w = (struct word){ w->at, n };
	w->at += n;
	w->begun = true;
	return true;
}

bool word_is(const struct word *w, const char *s)
{
	return strlen(s) == w->n && memcmp(w->s, s, w->n) == 0;
}

int word_among(const struct word *w, const char *const *names, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (names[i] && word_is(w, names[i]))
			return (int)i;
	return -1;
}

bool word_number(const struct word *w, uint64_t max, uint64_t *ret_v)
{
	uint64_t v = 0;

	if (w->n == 0 || (w->n > 1 && w->s[0] == '0'))
		return false;
	for (size_t i = 0; i < w->n; i++) {
		unsigned d = (unsigned)(w->s[i] - '0');

		if (d > 9 || v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	if (v > max)
		return false;
	*ret_v = v;
	return true;
}

/* Cuts w at its first c: what is before it; w keeps what is behind.  False: there is none. */
static bool cut(struct word *w, char c, struct word *ret_before)
{
	const char *at = find(w->s, w->n, c);

	if (!at)
		return false;
	*ret_before = (struct word){ w->s, (size_t)(at - w->s) };
	w->n -= ret_before->n + 1;
	w->s = at + 1;
	return true;
}

static bool read_ip4(struct word w, uint8_t ret_ip[16])
{
	uint8_t b[4];
	uint64_t v;

	for (unsigned i = 0; i < 4; i++) {
		struct word part = w;

		if (i < 3 ? !cut(&w, '.', &part) : false)
			return false;
		if (!word_number(&part, 255, &v))
			return false;
		b[i] = (uint8_t)v;
	}
	ip4_map(b, ret_ip);
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One to four digits at *s into a group; false where there is none. */
static bool read_group(const char **s, const char *end, uint8_t *ret_b)
{
	uint32_t v = 0;
	unsigned n = 0;

	while (*s < end && n < 4 && hex_digit(**s) >= 0) {
		v = v << 4 | (uint32_t)hex_digit(*(*s)++);
		n++;
	}
	ret_b[0] = (uint8_t)(v >> 8);
	ret_b[1] = (uint8_t)v;
	return n != 0;
}

static bool is_mapped(const uint8_t ip[16])
{
	uint8_t again[16];

	ip4_map(ip + 12, again);
	return memcmp(again, ip, sizeof again) == 0;
}

/* Groups with one "::" at most; what is IPv4 has its dotted form only. */
static bool read_ip6(const struct word *w, uint8_t ret_ip[16])
{
	const char *s = w->s, *end = w->s + w->n;
	uint8_t b[16] = { 0 };
	unsigned n = 0, gap = 16;

	if (w->n >= 2 && s[0] == ':' && s[1] == ':') {
		gap = 0;
		s += 2;
	}
	while (s < end) {
		if (n == 16 || !read_group(&s, end, b + n))
			return false;
		n += 2;
		if (s == end)
			break;
		if (*s++ != ':' || s == end)
			return false;
		if (*s == ':') {
			if (gap != 16)
				return false;
			gap = n;
			s++;
		}
	}
	if (gap == 16 ? n != 16 : n > 14)
		return false;
	memset(ret_ip, 0, 16);
	if (gap == 16)
		gap = n;
	memcpy(ret_ip, b, gap);
	memcpy(ret_ip + 16 - (n - gap), b + gap, n - gap);
	return !is_mapped(ret_ip);
}

bool word_ip(const struct word *w, uint8_t ret_ip[16])
{
	return find(w->s, w->n, ':') ? read_ip6(w, ret_ip) : read_ip4(*w, ret_ip);
}

bool word_addr(const struct word *w, uint8_t ret_ip[16], uint16_t *ret_port)
{
	struct word port = *w, ip;
	uint8_t b[16];
	uint64_t v;

	if (w->n && w->s[0] == '[') {
		port.s++;
		port.n--;
		if (!cut(&port, ']', &ip) || port.n == 0 || port.s[0] != ':')
			return false;
		port.s++;
		port.n--;
		if (!read_ip6(&ip, b))
			return false;
	} else if (!cut(&port, ':', &ip) || !read_ip4(ip, b)) {
		return false;
	}
	if (!word_number(&port, 0xffff, &v))
		return false;
	memcpy(ret_ip, b, 16);
	*ret_port = (uint16_t)v;
	return true;
}

static void store16(uint8_t *p, uint64_t v)
{
	uint16_t x = (uint16_t)v;

	memcpy(p, &x, sizeof x);
}

static void store32(uint8_t *p, uint64_t v)
{
	uint32_t x = (uint32_t)v;

	memcpy(p, &x, sizeof x);
}

/* A number into `bytes` bytes at p. */
static bool read_number(const struct field *f, const struct word *w, unsigned bytes, uint8_t *p)
{
	uint64_t most = bytes == 8 ? UINT64_MAX : (UINT64_C(1) << (8 * bytes)) - 1, v;

	if (!word_number(w, f->max ? f->max : most, &v))
		return false;
	if (bytes == 1)
		*p = (uint8_t)v;
	else if (bytes == 2)
		store16(p, v);
	else if (bytes == 4)
		store32(p, v);
	else
		memcpy(p, &v, sizeof v);
	return true;
}

static bool read_two(const struct field *f, struct word w, unsigned bytes, uint8_t *base)
{
	struct word first;

	return cut(&w, '/', &first) && read_number(f, &first, bytes, base + f->at) &&
	       read_number(f, &w, bytes, base + f->at2);
}

/* Names or numbers of bits, each once, in rising order. */
static bool read_bits(const struct field *f, struct word w, uint64_t *ret_bits)
{
	uint64_t bits = 0;

	*ret_bits = 0;
	if (word_is(&w, "none"))
		return true;
	for (bool more = true; more;) {
		struct word one = w;
		uint64_t i;

		more = cut(&w, ',', &one);
		if (!more)
			one = w;
		if (f->names) {
			int at = word_among(&one, f->names, f->count);

			if (at < 0)
				return false;
			i = (uint64_t)at;
		} else if (!word_number(&one, 63, &i)) {
			return false;
		}
		if (bits >> i)
			return false;
		bits |= UINT64_C(1) << i;
	}
	*ret_bits = bits;
	return true;
}

static bool read_port(const struct word *w, bool net, uint8_t *ip, uint8_t *port)
{
	uint16_t v;

	if (word_is(w, "none")) {
		memset(ip, 0, 16);
		memset(port, 0, 2);
		return true;
	}
	if (!word_addr(w, ip, &v))
		return false;
	if (net)
		store_be16(port, v);
	else
		store16(port, v);
	return true;
}

static bool read_mac(const struct word *w, uint8_t *p)
{
	if (w->n != 17)
		return false;
	for (unsigned i = 0; i < 6; i++) {
		int hi = hex_digit(w->s[3 * i]), lo = hex_digit(w->s[3 * i + 1]);

		if (hi < 0 || lo < 0 || (i < 5 && w->s[3 * i + 2] != ':'))
			return false;
		p[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

static bool read_version(struct word w, uint8_t *p)
{
	struct word major;
	uint64_t a, b;

	if (!cut(&w, '.', &major) || !word_number(&major, 0xffff, &a) ||
	    !word_number(&w, 0xffff, &b))
		return false;
	store32(p, a << 16 | b);
	return true;
}

/* In quotes where it has to be, and only there: one form of each text. */
static bool read_text(const struct field *f, struct word w, uint8_t *p)
{
	if (w.n >= 2 && w.s[0] == '\'') {
		w.s++;
		w.n -= 2;
		if (w.n && !find(w.s, w.n, ' '))
			return false;
	} else if (w.n == 0) {
		return false;
	}
	if (w.n >= f->max)
		return false;
	if (w.n)
		memcpy(p, w.s, w.n);
	p[w.n] = '\0';
	return true;
}

static bool read_quad(struct word w, uint8_t *p)
{
	struct word src;
	uint16_t sport, dport;

	if (!cut(&w, '>', &src) || !word_addr(&src, p, &sport) ||
	    !word_addr(&w, p + QUAD_DST, &dport))
		return false;
	store_be16(p + QUAD_SPORT, sport);
	store_be16(p + QUAD_DPORT, dport);
	return true;
}

static bool read_value(const struct field *f, const struct word *w, uint8_t *base)
{
	uint8_t *p = base + f->at, *q = base + f->at2;
	uint64_t bits;
	int i;

	switch (f->kind) {
	case FIELD_U8:
		return read_number(f, w, 1, p);
	case FIELD_U16:
		return read_number(f, w, 2, p);
	case FIELD_U32:
		return read_number(f, w, 4, p);
	case FIELD_U64:
		return read_number(f, w, 8, p);
	case FIELD_TWO8:
		return read_two(f, *w, 1, base);
	case FIELD_TWO32:
		return read_two(f, *w, 4, base);
	case FIELD_ENUM8:
	case FIELD_ENUM32:
	case FIELD_ENUM2:
		i = word_among(w, f->names, f->count);
		if (i < 0)
			return false;
		if (f->kind == FIELD_ENUM32)
			store32(p, (uint64_t)i);
		else
			*p = (uint8_t)(f->kind == FIELD_ENUM2 ? i & 1 : i);
		if (f->kind == FIELD_ENUM2)
			*q = (uint8_t)(i >> 1 & 1);
		return true;
	case FIELD_SET8:
	case FIELD_SET32:
	case FIELD_LIST64:
		if (!read_bits(f, *w, &bits))
			return false;
		if (f->kind == FIELD_SET8)
			*p = (uint8_t)bits;
		else if (f->kind == FIELD_SET32)
			store32(p, bits);
		else
			memcpy(p, &bits, sizeof bits);
		return true;
	case FIELD_PORT_NET:
	case FIELD_PORT_HOST:
		return read_port(w, f->kind == FIELD_PORT_NET, p, q);
	case FIELD_MAC:
		return read_mac(w, p);
	case FIELD_VERSION:
		return read_version(*w, p);
	case FIELD_TEXT:
		return read_text(f, *w, p);
	case FIELD_QUAD:
		return read_quad(*w, p);
	}
	return false;
}

/* Index of the field with this name among those in which; n: none. */
static unsigned field_named(const struct field *table, unsigned n, uint64_t which,
			    const struct word *name)
{
	for (unsigned i = 0; i < n; i++)
		if (which >> i & 1 && word_is(name, table[i].name))
			return i;
	return n;
}

bool fields_read(struct words *w, const struct field *table, unsigned n, void *to, uint64_t *which)
{
	uint64_t may = *which, was = 0;
	struct word word, name;

	while (words_next(w, &word)) {
		unsigned i;

		if (!cut(&word, '=', &name))
			return false;
		i = field_named(table, n, may, &name);
		if (i == n || was >> i & 1 || !read_value(&table[i], &word, to))
			return false;
		was |= UINT64_C(1) << i;
	}
	if (w->bad)
		return false;
	*which = was;
	return true;
}
