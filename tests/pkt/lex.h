/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_LEX_H
#define SUT_PKT_LEX_H
/*
 * lex - a cursor over one line of a script. Every function skips blanks first; one that fails
 * moves nothing else.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"

struct lex {
	const char *p;
}; /* NUL-terminated, no comment, no newline */

/* Is nothing left? */
bool lex_end(struct lex *l);

/* Takes s if it comes next, whatever follows it. */
bool lex_sym(struct lex *l, const char *s);

/* Takes the word s: what follows must not be a letter, a digit, '-' or '_'. */
bool lex_word(struct lex *l, const char *s);

/* Takes a word of letters, digits, '-' and '_' of less than size bytes. */
bool lex_name(struct lex *l, char *ret_s, size_t size);

/* Takes everything up to a blank, of less than size bytes. */
bool lex_token(struct lex *l, char *ret_s, size_t size);

/* Takes a decimal number, or a hexadecimal one behind 0x. */
bool lex_num(struct lex *l, uint64_t *ret_n);

/* As lex_num, at most max. */
bool lex_num_max(struct lex *l, uint64_t max, uint64_t *ret_n);

/* Takes a number with an optional fraction and a unit: ns, us, ms, s, m or h. */
bool lex_time(struct lex *l, sut_time *ret_t);

/* Takes pairs of hexadecimal digits (no blanks between them), at most max bytes. */
bool lex_hex(struct lex *l, uint8_t *ret_b, size_t max, size_t *ret_n);

/* Takes text in double quotes (no escapes) of less than size bytes. */
bool lex_string(struct lex *l, char *ret_s, size_t size);
#endif
