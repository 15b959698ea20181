/* SPDX-License-Identifier: MIT */
#include "core/fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/be.h"
#include "proto/ip.h"
#include "proto/print.h"

#define ADDR_TEXT 46u
#define DIGITS_MAX 20u /* of 64 bits */
#define QUAD_DST 16u
#define QUAD_SPORT 32u
#define QUAD_DPORT 34u

/* Is c one of the characters of s? */
static bool has(const char *s, char c)
{
	while (*s && *s != c)
		s++;
	return *s;
}

/* Writing */

/* Numbers and names are most of what is written, tens of them for a connection: they go without a format. */
static void put_bytes(struct fields_text *t, const char *s, size_t n)
{
	size_t room = t->max - t->n;

	if (n >= room) {
		t->cut = true;
		if (room)
			t->s[t->n] = '\0';
		return;
	}
	memcpy(t->s + t->n, s, n);
	t->n += n;
	t->s[t->n] = '\0';
}

void fields_put_bare(struct fields_text *t, const char *s)
{
	put_bytes(t, s, strlen(s));
}

static void put_number(struct fields_text *t, uint64_t v)
{
	char s[DIGITS_MAX];
	size_t at = sizeof s;

	do {
		s[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	put_bytes(t, s + at, sizeof s - at);
}

static void put_two(struct fields_text *t, uint64_t a, const char *between, uint64_t b)
{
	put_number(t, a);
	fields_put_bare(t, between);
	put_number(t, b);
}

static void put_mac(struct fields_text *t, const uint8_t mac[6])
{
	static const char digit[] = "0123456789abcdef";
	char s[17];

	for (unsigned i = 0; i < 6; i++) {
		if (i)
			s[3 * i - 1] = ':';
		s[3 * i] = digit[mac[i] >> 4];
		s[3 * i + 1] = digit[mac[i] & 15];
	}
	put_bytes(t, s, sizeof s);
}

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
	bool v6;

	print_addr(ip, s, sizeof s);
	v6 = has(s, ':');
	fields_put_bare(t, v6 ? "[" : "");
	fields_put_bare(t, s);
	fields_put_bare(t, v6 ? "]:" : ":");
	put_number(t, port);
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
		fields_put_bare(t, "none");
	for (unsigned i = 0; bits; i++, bits >>= 1) {
		if (!(bits & 1))
			continue;
		fields_put_bare(t, comma);
		if (f->names && i < f->count)
			fields_put_bare(t, f->names[i]);
		else
			put_number(t, i);
		comma = ",";
	}
}

static void put_name(struct fields_text *t, uint32_t v, const struct field *f)
{
	if (v < f->count)
		fields_put_bare(t, f->names[v]);
	else
		put_number(t, v);
}

static void put_port(struct fields_text *t, const uint8_t *ip, uint16_t port)
{
	if (port == 0 && ip_is_zero(ip))
		fields_put_bare(t, "none");
	else
		fields_put_addr(t, ip, port);
}

static void put_quad(struct fields_text *t, const uint8_t *q)
{
	fields_put_addr(t, q, load_be16(q + QUAD_SPORT));
	fields_put_bare(t, ">");
	fields_put_addr(t, q + QUAD_DST, load_be16(q + QUAD_DPORT));
}

/* What cannot stand in a text becomes "_": an operator's words must not make a line unreadable. */
static void put_text(struct fields_text *t, const char *s)
{
	bool bare = *s && !has(s, ' ');

	fields_put_bare(t, bare ? "" : "'");
	for (; *s; s++)
		put_bytes(t, *s < ' ' || *s > '~' || *s == '\'' ? "_" : s, 1);
	fields_put_bare(t, bare ? "" : "'");
}

static void put_u64(struct fields_text *t, const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	put_number(t, v);
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
		put_number(t, *p);
		break;
	case FIELD_U16:
		put_number(t, get16(p));
		break;
	case FIELD_U32:
		put_number(t, get32(p));
		break;
	case FIELD_U64:
		put_u64(t, p);
		break;
	case FIELD_TWO8:
		put_two(t, *p, "/", *q);
		break;
	case FIELD_TWO32:
		put_two(t, get32(p), "/", get32(q));
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
		put_mac(t, p);
		break;
	case FIELD_VERSION:
		put_two(t, get32(p) >> 16, ".", get32(p) & 0xffff);
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
		fields_put_bare(t, " ");
		fields_put_bare(t, table[i].name);
		fields_put_bare(t, "=");
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
