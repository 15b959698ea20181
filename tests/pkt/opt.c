/* SPDX-License-Identifier: MIT */
#include "opt.h"

#include <stdio.h>
#include <string.h>

#include "base/be.h"
#include "proto/tcp.h"

static bool parse_sack(struct lex *l, struct names *names, struct seg_opt *o, struct fault *f)
{
	uint64_t n;

	o->kind = TCPOPT_SACK;
	if (!lex_num_max(l, 4, &n) || n == 0)
		return fault_say(f, "\"sack N {a:b}...\", N from 1 to 4");
	o->blocks = (uint8_t)n;
	for (unsigned i = 0; i < n; i++)
		if (!lex_sym(l, "{") || !value_parse(l, names, &o->edge[i][0], f) ||
		    !lex_sym(l, ":") || !value_parse(l, names, &o->edge[i][1], f) ||
		    !lex_sym(l, "}"))
			return fault_say(f, "bad SACK block at \"%s\"", l->p);
	return true;
}

static bool parse_mptcp(struct lex *l, struct seg_opt *o, struct fault *f)
{
	uint64_t n;

	o->kind = TCPOPT_MPTCP;
	if (lex_word(l, "capable"))
		n = MPTCP_CAPABLE;
	else if (lex_word(l, "join"))
		n = MPTCP_JOIN;
	else if (!lex_num_max(l, 15, &n))
		return fault_say(f, "mptcp capable, join or a subtype");
	o->a = value_const((uint32_t)n);
	return true;
}

/* Optional bytes in hexadecimal. */
static bool parse_data(struct lex *l, struct seg_opt *o)
{
	size_t n;

	o->has_data = lex_hex(l, o->data, 38, &n);
	if (o->has_data)
		o->data_len = (uint8_t)n;
	return true;
}

static bool parse_tfo(struct lex *l, struct seg_opt *o, struct fault *f)
{
	o->kind = TCPOPT_TFO;
	if (lex_word(l, "cookiereq"))
		return o->has_data = true;
	parse_data(l, o);
	return o->has_data || fault_say(f, "tfo cookiereq, or a cookie");
}

static bool parse_exp(struct lex *l, struct seg_opt *o, struct fault *f)
{
	uint8_t b[2];
	size_t n;

	o->kind = TCPOPT_EXP2;
	if (!lex_hex(l, b, 2, &n) || n != 2)
		return fault_say(f, "exp-XXXX: four hexadecimal digits at \"%s\"", l->p);
	o->exid = load_be16(b);
	return parse_data(l, o);
}

static bool parse_unknown(struct lex *l, struct seg_opt *o, struct fault *f)
{
	uint64_t n;

	if (!lex_num_max(l, 255, &n) || n < 2)
		return fault_say(f, "unknown-N: a kind from 2 to 255");
	o->kind = (uint8_t)n;
	return parse_data(l, o);
}

/* Options of one word, and those of a word and one number. */
static const struct {
	const char *word;
	uint8_t kind;
	bool number, data;
} simple[] = {
	{ "nop", TCPOPT_NOP, false, false },
	{ "eol", TCPOPT_EOL, false, false },
	{ "sackOK", TCPOPT_SACK_PERMITTED, false, false },
	{ "mss", TCPOPT_MSS, true, false },
	{ "wscale", TCPOPT_WSCALE, true, false },
	{ "md5", TCPOPT_MD5, false, true },
	{ "ao", TCPOPT_AO, false, true },
};

bool opt_parse(struct lex *l, struct names *names, struct seg_opt *ret_o, struct fault *f)
{
	memset(ret_o, 0, sizeof *ret_o);
	if (lex_sym(l, "..."))
		return ret_o->rest = true;
	for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++) {
		if (!lex_word(l, simple[i].word))
			continue;
		ret_o->kind = simple[i].kind;
		if (simple[i].data)
			return parse_data(l, ret_o);
		return !simple[i].number || value_parse(l, names, &ret_o->a, f);
	}
	if (lex_word(l, "TS")) {
		ret_o->kind = TCPOPT_TIMESTAMPS;
		if (!lex_word(l, "val") || !value_parse(l, names, &ret_o->a, f) ||
		    !lex_word(l, "ecr") || !value_parse(l, names, &ret_o->b, f))
			return fault_say(f, "\"TS val N ecr N\" at \"%s\"", l->p);
		return true;
	}
	if (lex_word(l, "sack"))
		return parse_sack(l, names, ret_o, f);
	if (lex_word(l, "mptcp"))
		return parse_mptcp(l, ret_o, f);
	if (lex_word(l, "tfo"))
		return parse_tfo(l, ret_o, f);
	if (lex_sym(l, "exp-"))
		return parse_exp(l, ret_o, f);
	if (lex_sym(l, "unknown-"))
		return parse_unknown(l, ret_o, f);
	return fault_say(f, "unknown option at \"%s\"", l->p);
}

/* How many bytes an option takes whose content is not given. */
static size_t plain_len(const struct seg_opt *o)
{
	switch (o->kind) {
	case TCPOPT_MSS:
		return 4;
	case TCPOPT_WSCALE:
		return 3;
	case TCPOPT_SACK_PERMITTED:
		return 2;
	case TCPOPT_SACK:
		return 2 + 8u * o->blocks;
	case TCPOPT_TIMESTAMPS:
		return 10;
	case TCPOPT_MD5:
		return 18;
	case TCPOPT_AO:
		return 16;
	case TCPOPT_MPTCP:
		return o->a.t[0].num == MPTCP_JOIN ? 12 : 4;
	case TCPOPT_EXP2:
		return 4u + o->data_len;
	default:
		return 2;
	}
}

/* What opt_len() says, of an option in a script. */
static size_t opt_len(const struct seg_opt *o)
{
	if (o->kind == TCPOPT_NOP || o->kind == TCPOPT_EOL)
		return 1;
	if (o->has_data && o->kind != TCPOPT_EXP2)
		return 2u + o->data_len;
	return plain_len(o);
}

/* Fills the bytes behind kind and length. */
static bool write_body(const struct seg_opt *o, const struct ctx *x, uint8_t *b)
{
	uint32_t m = 0, n = 0;

	if (!value_get(&o->a, x, &m) || !value_get(&o->b, x, &n))
		return false;
	if (o->kind == TCPOPT_MSS) {
		store_be16(b, (uint16_t)m);
	} else if (o->kind == TCPOPT_WSCALE) {
		b[0] = (uint8_t)m;
	} else if (o->kind == TCPOPT_TIMESTAMPS) {
		store_be32(b, m);
		store_be32(b + 4, n);
	} else if (o->kind == TCPOPT_MPTCP) {
		b[0] = (uint8_t)(m << 4 | (m == MPTCP_CAPABLE));
		b[1] = 1;
	} else if (o->kind == TCPOPT_EXP2) {
		store_be16(b, o->exid);
		b += 2;
	}
	for (unsigned i = 0; i < 2u * o->blocks; i++) {
		if (!value_get(&o->edge[i / 2][i % 2], x, &m))
			return false;
		store_be32(b + 4 * i, m);
	}
	if (o->has_data)
		memcpy(b, o->data, o->data_len);
	return true;
}

bool opts_write(const struct seg *g, const struct ctx *x, uint8_t *ret_b, size_t *ret_n)
{
	size_t n = 0;

	memset(ret_b, 0, 40);
	if (g->opts == OPTS_ANY)
		return fault_say(x->f, "\"<*>\" is for expected packets only");
	if (g->m.raw_set) {
		memcpy(ret_b, g->m.raw, g->m.raw_len);
		*ret_n = g->m.raw_len;
		return true;
	}
	for (unsigned i = 0; i < g->nopts; i++) {
		const struct seg_opt *o = &g->opt[i];
		size_t len = opt_len(o);

		if (o->rest)
			return fault_say(x->f, "\"...\" is for expected packets only");
		if (n + len > 40)
			return fault_say(x->f, "more than 40 bytes of options");
		ret_b[n] = o->kind;
		if (len > 1) {
			ret_b[n + 1] = (uint8_t)len;
			if (!write_body(o, x, ret_b + n + 2))
				return false;
		}
		n += len;
	}
	*ret_n = (n + 3) / 4 * 4;
	return true;
}

/* One option on the wire. */
struct wire_opt {
	uint8_t kind, len;
	const uint8_t *body;
};

/*
 * Cuts the n bytes at b into options; EOL ends, and what follows must be zero. Returns their
 * number, or -1.
 */
static int cut(const uint8_t *b, size_t n, struct wire_opt w[40])
{
	int count = 0;
	size_t at = 0;

	while (at < n) {
		uint8_t kind = b[at];
		uint8_t len = kind <= TCPOPT_NOP ? 1 : at + 1 < n ? b[at + 1] : 0;

		if (len == 0 || (kind > TCPOPT_NOP && len < 2) || at + len > n)
			return -1;
		w[count++] = (struct wire_opt){ kind, len, b + at + 2 };
		at += len;
		if (kind != TCPOPT_EOL)
			continue;
		for (; at < n; at++)
			if (b[at] != 0)
				return -1;
	}
	return count;
}

static bool body_fits(const struct seg_opt *o, const struct wire_opt *w, struct vars *vars)
{
	const uint8_t *b = w->body;

	switch (o->kind) {
	case TCPOPT_MSS:
		return value_fits(&o->a, vars, load_be16(b));
	case TCPOPT_WSCALE:
		return value_fits(&o->a, vars, b[0]);
	case TCPOPT_TIMESTAMPS:
		return value_fits(&o->a, vars, load_be32(b)) &&
		       value_fits(&o->b, vars, load_be32(b + 4));
	case TCPOPT_MPTCP:
		return value_fits(&o->a, vars, b[0] >> 4);
	case TCPOPT_SACK:
		for (unsigned i = 0; i < 2u * o->blocks; i++)
			if (!value_fits(&o->edge[i / 2][i % 2], vars, load_be32(b + 4 * i)))
				return false;
		return true;
	case TCPOPT_EXP2:
		return load_be16(b) == o->exid &&
		       (!o->has_data || memcmp(b + 2, o->data, o->data_len) == 0);
	default:
		return !o->has_data || memcmp(b, o->data, o->data_len) == 0;
	}
}

/* Is its length left open, since its content is not given? */
static bool any_len(const struct seg_opt *o)
{
	return !o->has_data && o->kind > TCPOPT_NOP && o->kind != TCPOPT_SACK_PERMITTED &&
	       (o->kind == TCPOPT_MPTCP || o->kind == TCPOPT_AO || o->kind == TCPOPT_EXP2 ||
		plain_len(o) == 2);
}

static bool opt_fits(const struct seg_opt *o, const struct wire_opt *w, struct vars *vars)
{
	if (o->kind != w->kind || (!any_len(o) && w->len != opt_len(o)) ||
	    (o->kind == TCPOPT_EXP2 && w->len < 4) || (o->kind == TCPOPT_MPTCP && w->len < 3))
		return false;
	return body_fits(o, w, vars);
}

/*
 * Fits pattern o[0..no) to w[0..nw); "..." tries the shortest run first. Names bound on a
 * wrong way are unbound again.
 */
static bool list_fits(const struct seg_opt *o, unsigned no, const struct wire_opt *w, unsigned nw,
		      struct vars *vars)
{
	struct vars was = *vars;

	if (no == 0)
		return nw == 0;
	if (o->rest) {
		for (unsigned skip = 0; skip <= nw; skip++)
			if (list_fits(o + 1, no - 1, w + skip, nw - skip, vars))
				return true;
		return false;
	}
	if (nw > 0 && opt_fits(o, w, vars) && list_fits(o + 1, no - 1, w + 1, nw - 1, vars))
		return true;
	*vars = was;
	return false;
}

static bool filler(uint8_t kind)
{
	return kind == TCPOPT_NOP || kind == TCPOPT_EOL;
}

/* Takes NOP and EOL out of both lists. */
static void thin(struct seg_opt *o, unsigned *no, struct wire_opt *w, int *nw)
{
	unsigned n = 0;
	int k = 0;

	for (unsigned i = 0; i < *no; i++)
		if (o[i].rest || !filler(o[i].kind))
			o[n++] = o[i];
	for (int i = 0; i < *nw; i++)
		if (!filler(w[i].kind))
			w[k++] = w[i];
	*no = n;
	*nw = k;
}

/* What a builder would have put behind options whose bytes are no multiple of 4. */
static void pad(struct seg_opt *o, unsigned *no)
{
	size_t len = 0;

	for (unsigned i = 0; i < *no; i++) {
		if (o[i].rest || o[i].kind == TCPOPT_EOL || any_len(&o[i]))
			return;
		len += opt_len(&o[i]);
	}
	if (len % 4 != 0)
		o[(*no)++] = (struct seg_opt){ .kind = TCPOPT_EOL };
}

bool opts_fit(const struct seg *g, const uint8_t *b, size_t n, struct vars *vars, struct fault *f)
{
	struct seg_opt o[SEG_OPTS_MAX + 1];
	struct wire_opt w[40];
	unsigned no = g->nopts;
	int nw = cut(b, n, w);

	if (g->opts == OPTS_ANY || (g->rest_any && g->nopts == 0 && !g->m.raw_set))
		return true;
	if (g->m.raw_set)
		return (n == g->m.raw_len && memcmp(b, g->m.raw, n) == 0) ||
		       fault_say(f, "option bytes differ");
	if (nw < 0)
		return fault_say(f, "options are malformed");
	memcpy(o, g->opt, sizeof g->opt);
	pad(o, &no);
	if (g->opts == OPTS_LOOSE)
		thin(o, &no, w, &nw);
	return list_fits(o, no, w, (unsigned)nw, vars) || fault_say(f, "options differ");
}
