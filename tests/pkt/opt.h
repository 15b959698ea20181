/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_OPT_H
#define SUT_PKT_OPT_H
/* opt - TCP options in scripts: text to pattern, pattern to bytes, pattern against bytes. */
#include "seg.h"

/* Reads one option of the list between "<" and ">". */
bool opt_parse(struct lex *l, struct names *names, struct seg_opt *ret_o, struct fault *f);

/*
 * Writes the options of g, padded with EOL to a multiple of 4; ret_b has 40 bytes or more.
 * False with a fault if a name is unknown, a pattern is no constant, or there are more than 40
 * bytes.
 */
bool opts_write(const struct seg *g, const struct ctx *x, uint8_t *ret_b, size_t *ret_n);

/*
 * Do the n option bytes at b fit the pattern g?  False with the difference as a fault; binds
 * names.
 */
bool opts_fit(const struct seg *g, const uint8_t *b, size_t n, struct vars *vars, struct fault *f);
#endif
