/* SPDX-License-Identifier: MIT */
/* fields_read - the reading half of fields.h. */
#include <string.h>

#include "base/be.h"
#include "core/fields.h"
#include "proto/ip.h"

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
	size_t i = 0;

	while (i < w->n && s[i] != '\0' && s[i] == w->s[i])
		i++;
	return i == w->n && s[i] == '\0';
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
	return !ip_is_mapped(ret_ip);
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

/* Index of the field with this name among those in which, looked for from `first` on, since lines are written in the order of the table; n: none. */
static unsigned field_named(const struct field *table, unsigned n, uint64_t which, unsigned first,
			    const struct word *name)
{
	for (unsigned j = 0, i = first; j < n; j++, i++) {
		if (i == n)
			i = 0;
		if (which >> i & 1 && word_is(name, table[i].name))
			return i;
	}
	return n;
}

bool fields_read(struct words *w, const struct field *table, unsigned n, void *to, uint64_t *which)
{
	uint64_t may = *which, was = 0;
	struct word word, name;
	unsigned next = 0;

	while (words_next(w, &word)) {
		unsigned i;

		if (!cut(&word, '=', &name))
			return false;
		i = field_named(table, n, may, next, &name);
		if (i == n || was >> i & 1 || !read_value(&table[i], &word, to))
			return false;
		was |= UINT64_C(1) << i;
		next = i + 1;
	}
	if (w->bad)
		return false;
	*which = was;
	return true;
}
