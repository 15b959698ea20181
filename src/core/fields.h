/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_FIELDS_H
#define SUT_CORE_FIELDS_H
/*
 * fields - lines of words, `name=value` for the most part, out of a struct and into it by one table.
 *
 * Owns:     the form of values: numbers, addresses with ports, link addresses, names, sets of names, text.
 * Does not: know lines (core/way_text.h, role/handoff/msg.h have the tables).
 * Strict:   one blank between words, none at the ends; a name at most once and only known ones; numbers are decimal, without sign and
 *           leading zeros.  So whoever reads a line has one reading of it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define FIELD_ADDR_MAX 48u /* "[v6]:65535", NUL included */

/* clang-format off */
enum field_kind {
	FIELD_U8, FIELD_U16, FIELD_U32, FIELD_U64,	/* at most max, where max is not 0 */
	FIELD_TWO8, FIELD_TWO32,	/* "N/N": at and at2; max for both */
	FIELD_ENUM8, FIELD_ENUM32,	/* names[value] */
	FIELD_SET8, FIELD_SET32,	/* "a,b": names[bit]; "none" */
	FIELD_LIST64,			/* "3,7": numbers of bits; "none" */
	FIELD_ENUM2,			/* names[at's byte | at2's byte << 1], each 0 or 1 */
	FIELD_PORT_NET,			/* "ADDRESS:PORT": 16 bytes at, port at2 in network order; all zero: "none" */
	FIELD_PORT_HOST,		/* the same with the port in host order */
	FIELD_MAC,			/* "aa:bb:cc:dd:ee:ff" */
	FIELD_VERSION,			/* "6.18": u32, major << 16 | minor */
	FIELD_TEXT, /* up to max bytes with NUL; in single quotes where it is empty or has blanks; what is no printable ASCII is "_" */
	FIELD_QUAD,			/* "SRC>DST": at is where two addresses of 16 bytes and two ports in network order lie */
};
/* clang-format on */

struct field {
	const char *name;
	enum field_kind kind;
	uint16_t at, at2; /* offsets in the struct */
	const char *const *names; /* NULL where a number has no name */
	uint32_t count; /* of names */
	uint32_t max;
};

/* Text that grows; what does not fit sets cut, and is not written. */
struct fields_text {
	char *s;
	size_t n, max;
	bool cut;
};

SUT_PRINTF(2, 3) void fields_put(struct fields_text *t, const char *fmt, ...);
/* The same without a format, and many times as fast. */
void fields_put_bare(struct fields_text *t, const char *s);
/* "192.0.2.1:80", "[2001:db8::1]:80"; port in host order. */
void fields_put_addr(struct fields_text *t, const uint8_t ip[16], uint16_t port);
/* " name=value" for each bit of which that is set. */
void fields_write(struct fields_text *t, const struct field *table, uint64_t which,
		  const void *from);
/* The bits of those of the first n fields whose values in `from` are not all zero. */
uint64_t fields_said(const struct field *table, unsigned n, const void *from);

struct word {
	const char *s;
	size_t n;
};

/* A line that is read word by word. */
struct words {
	const char *at, *end;
	bool begun, bad;
};

static inline struct words words_of(const char *text, size_t len)
{
	return (struct words){ text, text + len, false, false };
}

/* The next word; false at the end, or, with bad set, where the line is not well-formed. */
bool words_next(struct words *w, struct word *ret_w);
bool word_is(const struct word *w, const char *s);
/* Index of the name among n that the word is; -1. */
int word_among(const struct word *w, const char *const *names, unsigned n);
bool word_number(const struct word *w, uint64_t max, uint64_t *ret_v);
/* ADDRESS:PORT, port in host order. */
bool word_addr(const struct word *w, uint8_t ret_ip[16], uint16_t *ret_port);
/* An address alone: dotted, or IPv6 without brackets. */
bool word_ip(const struct word *w, uint8_t ret_ip[16]);

/*
 * Reads the rest of a line into `to` by those of the first n (up to 64) fields of a table whose bits are set in *which; false: not
 * well-formed, or another word.  *which is then what was there.
 */
bool fields_read(struct words *w, const struct field *table, unsigned n, void *to, uint64_t *which);
#endif
