/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_VALUE_H
#define SUT_PKT_VALUE_H
/*
 * value - a number in a script: a constant, a sum of constants and names ("$P+1"), or "*" for
 * any.
 *
 * All arithmetic is modulo 2^32. A name alone that has no value yet takes the one it is
 * compared with.
 */
#include <stdbool.h>
#include <stdint.h>

#include "fault.h"
#include "lex.h"

#define VARS_MAX 64
#define VAR_NAME_MAX 24
#define VALUE_TERMS 3

/* The names of a script; the parser enters them. */
struct names {
	unsigned n;
	char name[VARS_MAX][VAR_NAME_MAX];
};

/* What they stand for in one run. */
struct vars {
	bool bound[VARS_MAX];
	uint32_t v[VARS_MAX];
};

/* One run of a script, for those who turn values into numbers. */
struct ctx {
	const struct names *names;
	struct vars *vars;
	struct fault *f;
};

struct value {
	bool any;
	uint8_t n; /* terms; 0 with any false: the constant 0 */
	struct {
		bool minus;
		int8_t var; /* -1: num */
		uint32_t num;
	} t[VALUE_TERMS];
};

/* Reads a value; false with a fault. */
bool value_parse(struct lex *l, struct names *names, struct value *ret_v, struct fault *f);

struct value value_const(uint32_t n);

/* The number; false with a fault that names what is unknown, also for "*". */
bool value_get(const struct value *v, const struct ctx *x, uint32_t *ret_n);

/* Are all its names known? */
bool value_known(const struct value *v, const struct vars *vars);

/* Does got fit?  Binds a lone unknown name; an unknown name in a sum never fits. */
bool value_fits(const struct value *v, struct vars *vars, uint32_t got);

/* The value as in a script, with what its names stand for: "$P+1 (5001)". */
void value_print(const struct value *v, const struct ctx *x, char *ret_s, size_t size);
#endif
