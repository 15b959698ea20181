/* SPDX-License-Identifier: MIT */
#include "role/handoff/route.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"

/*
 * Theory of operation
 *
 * Rules are looked at in their order, but for those that are for other origins; the first that matches names a group, and within it one back end is chosen out of those that
 * live and were not tried: those with a weight first, those of weight 0 only where nobody else is left.
 *
 * By turn: every back end earns its weight in credit at each choice, the richest is taken and pays what all have earned together: so
 * weights 5, 1, 1 give a a b a c a a, not a a a a a b c.
 *
 * By hash: rendezvous hashing.  Each back end draws a number out of (key, its name), and the highest wins; so where one goes, only its own
 * keys move.  With weights the numbers are u^(1/w) for u in (0, 1), which is compared as -log2(u) / w, smallest first, in whole
 * numbers: front ends of any kind agree.
 */

/* --- choosing within a group */

/* -log2((u + 1) / 2^64) in 1/65536: 0 to 64 * 65536. */
static uint64_t minus_log2(uint64_t u)
{
	unsigned shift, i;
	uint64_t m, log;

	if (u == UINT64_MAX)
		return 0;
	u++;
	shift = (unsigned)__builtin_clzll(u);
	m = u << shift >> 32; /* 1.31 bits: in [1, 2) */
	log = 63 - shift;
	for (i = 0; i < 16; i++) {
		m = m * m >> 31;
		log <<= 1;
		if (m >> 32) {
			m >>= 1;
			log |= 1;
		}
	}
	return (64ull << 16) - log;
}

static uint32_t weight_of(const struct route_table *t, unsigned i)
{
	return t->weight[i] ? t->weight[i] : 1;
}

static int pick_hash(const struct route_table *t, uint64_t group, const void *key, size_t len)
{
	static const uint8_t zero[16];
	uint64_t in[2], best = UINT64_MAX;
	uint32_t best_weight = 1;
	int choice = -1;
	unsigned i;

	in[0] = siphash(zero, key, len);
	for (i = 0; i < t->backends; i++) {
		uint64_t far;

		if (!(group >> i & 1))
			continue;
		in[1] = t->name_hash[i];
		far = minus_log2(siphash(zero, in, sizeof(in)));
		if (choice < 0 || far * best_weight < best * weight_of(t, i)) {
			choice = (int)i;
			best = far;
			best_weight = weight_of(t, i);
		}
	}
	return choice;
}

static int pick_turn(struct route_table *t, unsigned rule, uint64_t group)
{
	int32_t *credit = t->credit[rule], total = 0;
	int choice = -1;
	unsigned i;

	for (i = 0; i < t->backends; i++) {
		if (!(group >> i & 1))
			continue;
		credit[i] += (int32_t)weight_of(t, i);
		total += (int32_t)weight_of(t, i);
		if (choice < 0 || credit[i] > credit[choice])
			choice = (int)i;
	}
	if (choice >= 0)
		credit[choice] -= total;
	return choice;
}

/* The fewest connections for its weight; among equals by turn. */
static int pick_least(struct route_table *t, unsigned rule, uint64_t group)
{
	uint64_t equal = 0;
	unsigned i, best = 0;

	for (i = 0; i < t->backends; i++) {
		uint64_t mine, its;

		if (!(group >> i & 1))
			continue;
		mine = (uint64_t)t->conns[i] * weight_of(t, best);
		its = (uint64_t)t->conns[best] * weight_of(t, i);
		if (!equal || mine < its) {
			equal = 1ull << i;
			best = i;
		} else if (mine == its) {
			equal |= 1ull << i;
		}
	}
	return pick_turn(t, rule, equal);
}

/* --- matching */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool equal_nocase(const char *a, const char *b, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

/* Where "*" stands for any bytes, none too. */
static bool glob(const char *pattern, const char *s, size_t n)
{
	const char *star = NULL;
	size_t i = 0, back = 0;

	while (i < n) {
		if (*pattern == '*') {
			star = ++pattern;
			back = i;
		} else if (*pattern == s[i]) {
			pattern++;
			i++;
		} else if (star) {
			pattern = star;
			i = ++back;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

static bool host_matches(const struct route_rule *r, const char *s, size_t n)
{
	size_t len = strlen(r->host);

	if (r->host_match == ROUTE_ANY)
		return true;
	if (n && s[n - 1] == '.')
		n--; /* the root's dot */
	if (r->host_match == ROUTE_EXACT)
		return n == len && equal_nocase(s, r->host, n);
	/* "*.example.org": host holds ".example.org", and something stands in front of it */
	return n > len && equal_nocase(s + n - len, r->host, len);
}

static bool path_matches(const struct route_rule *r, const char *s, size_t n)
{
	size_t len = strlen(r->path);

	switch (r->path_match) {
	case ROUTE_ANY:
		return true;
	case ROUTE_EXACT:
		return n == len && memcmp(s, r->path, n) == 0;
	case ROUTE_PREFIX:
		return n >= len && memcmp(s, r->path, len) == 0;
	case ROUTE_WILDCARD:
		return glob(r->path, s, n);
	}
	return false;
}

static bool matches(const struct route_rule *rule, const struct request *r)
{
	if (!r)
		return !rule->methods && rule->host_match == ROUTE_ANY &&
		       rule->path_match == ROUTE_ANY;
	if (rule->methods && !(rule->methods >> r->method & 1))
		return false;
	return host_matches(rule, r->bytes + r->host.at, r->host.len) &&
	       path_matches(rule, r->bytes + r->path.at, r->path.len);
}

static bool is_for(const struct route_rule *rule, unsigned origin)
{
	return rule->origins == 0 || (rule->origins >> origin & 1);
}

/* index: of a rule, or behind ROUTE_RULES of a default. */
static int pick(struct route_table *t, unsigned index, const struct request *r,
		const uint8_t source[16], uint64_t can)
{
	const struct route_rule *rule = index < ROUTE_RULES ? &t->rule[index]
							    : &t->fallback[index - ROUTE_RULES];
	struct request_text value;
	uint64_t group = 0;
	unsigned i;

	can &= rule->group;
	for (i = 0; i < t->backends; i++)
		if ((can >> i & 1) && t->weight[i])
			group |= 1ull << i;
	if (!group)
		group = can;
	if (!group)
		return -1;
	switch (rule->pick) {
	case PICK_TURN:
		return pick_turn(t, index, group);
	case PICK_LEAST:
		return pick_least(t, index, group);
	case PICK_HASH_HEADER:
		if (r && request_header(r, rule->header, &value))
			return pick_hash(t, group, r->bytes + value.at, value.len);
		return pick_hash(t, group, source, 16);
	case PICK_HASH_SOURCE:
		return pick_hash(t, group, source, 16);
	}
	return -1;
}

static uint64_t all_of(const struct route_table *t)
{
	return t->backends == 64 ? UINT64_MAX : (1ull << t->backends) - 1;
}

bool route_takes_all(const struct route_table *t, unsigned origin)
{
	for (unsigned i = 0; i < t->rules; i++)
		if (is_for(&t->rule[i], origin) && matches(&t->rule[i], NULL))
			return true;
	return false;
}

bool route_asks_nothing(const struct route_table *t, unsigned origin)
{
	unsigned i = 0;

	while (i < t->rules && !is_for(&t->rule[i], origin))
		i++;
	return i < t->rules && matches(&t->rule[i], NULL) && t->rule[i].pick != PICK_HASH_HEADER;
}

/* The default of this origin: that of its own, or else the general one; -1. */
static int default_of(const struct route_table *t, unsigned origin)
{
	int found = -1;

	for (unsigned i = 0; i < t->defaults; i++)
		if (t->fallback[i].origins ? t->fallback[i].origins >> origin & 1 : found < 0)
			found = (int)i;
	return found;
}

static void name_groups(struct route_table *t)
{
	for (unsigned o = 0; o < ROUTE_ORIGINS; o++) {
		int last = default_of(t, o);

		t->named[o] = last < 0 ? 0 : t->fallback[last].group;
		for (unsigned i = 0; i < t->rules; i++)
			if (is_for(&t->rule[i], o))
				t->named[o] |= t->rule[i].group;
	}
}

bool route_gives(const struct route_table *t, unsigned origin, unsigned backend)
{
	uint64_t all = 0;

	for (unsigned o = 0; o < ROUTE_ORIGINS; o++)
		all |= t->named[o];
	return (t->named[origin] | ~all) >> backend & 1;
}

int route_choose(struct route_table *t, const struct request *r, const struct route_client *client,
		 uint64_t alive, uint64_t tried)
{
	uint64_t can = alive & ~tried & all_of(t);
	int last = default_of(t, client->origin);

	for (unsigned i = 0; i < t->rules; i++)
		if (is_for(&t->rule[i], client->origin) && matches(&t->rule[i], r))
			return pick(t, i, r, client->source, can);
	if (last < 0)
		return -1;
	return pick(t, ROUTE_RULES + (unsigned)last, r, client->source, can);
}

void route_backends(struct route_table *t, const char *const *names, unsigned n)
{
	static const uint8_t zero[16];
	unsigned i;

	assert(n <= ROUTE_BACKENDS);
	t->backends = n;
	for (i = 0; i < n; i++) {
		t->name_hash[i] = siphash(zero, names[i], strlen(names[i]));
		t->weight[i] = 1;
	}
}

static uint64_t moved(uint64_t group, const uint8_t *place, unsigned n)
{
	uint64_t to = 0;

	for (unsigned i = 0; i < n; i++)
		if (group >> i & 1)
			to |= 1ull << place[i];
	return to;
}

void route_renew(struct route_table *t, const struct route_table *next, const uint8_t *place)
{
	const unsigned n = next->backends;

	t->rules = next->rules;
	memcpy(t->rule, next->rule, sizeof(t->rule));
	t->defaults = next->defaults;
	memcpy(t->fallback, next->fallback, sizeof(t->fallback));
	for (unsigned i = 0; i < t->rules; i++)
		t->rule[i].group = moved(t->rule[i].group, place, n);
	for (unsigned i = 0; i < t->defaults; i++)
		t->fallback[i].group = moved(t->fallback[i].group, place, n);
	for (unsigned i = 0; i < n; i++) {
		t->name_hash[place[i]] = next->name_hash[i];
		t->weight[place[i]] = next->weight[i];
	}
	name_groups(t);
	memset(t->credit, 0, sizeof(t->credit));
}

/* --- reading rules */

struct word {
	const char *s;
	size_t n;
};

static struct word next_word(const char **text)
{
	struct word w;

	while (**text == ' ' || **text == '\t')
		(*text)++;
	w.s = *text;
	while (**text && **text != ' ' && **text != '\t')
		(*text)++;
	w.n = (size_t)(*text - w.s);
	return w;
}

static bool word_is(struct word w, const char *s)
{
	return w.n == strlen(s) && memcmp(w.s, s, w.n) == 0;
}

/* Takes the next element off a list with commas. */
static bool next_of_list(struct word *list, struct word *ret_e)
{
	const char *comma;

	if (!list->s)
		return false;
	comma = memchr(list->s, ',', list->n);
	*ret_e = (struct word){ list->s, comma ? (size_t)(comma - list->s) : list->n };
	*list = comma ? (struct word){ comma + 1, list->n - ret_e->n - 1 }
		      : (struct word){ NULL, 0 };
	return true;
}

static int method_of(struct word w)
{
	static const char *const name[] = { "GET",     "HEAD",	"POST",	   "PUT",  "DELETE",
					    "OPTIONS", "PATCH", "CONNECT", "TRACE" };
	unsigned i;

	for (i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		if (word_is(w, name[i]))
			return (int)i;
	return -1;
}

/* Are all elements of this word methods?  Then their bits. */
static uint16_t methods_of(struct word w)
{
	uint16_t bits = 0;
	struct word e;

	while (next_of_list(&w, &e)) {
		int m = method_of(e);

		if (m < 0)
			return 0;
		bits = (uint16_t)(bits | 1u << m);
	}
	return bits;
}

static int fail(char *ret_err, const char *what, struct word w)
{
	if (w.n)
		snprintf(ret_err, 128, "%s: \"%.*s\"", what, (int)(w.n > 30 ? 30 : w.n), w.s);
	else
		snprintf(ret_err, 128, "%s", what);
	return -EINVAL;
}

static int read_host(struct route_rule *r, struct word w, char *ret_err)
{
	size_t i;

	if (!w.n || word_is(w, "*"))
		return 0;
	r->host_match = ROUTE_EXACT;
	if (w.n > 2 && w.s[0] == '*' && w.s[1] == '.') {
		r->host_match = ROUTE_WILDCARD;
		w.s++;
		w.n--;
	}
	if (w.n >= ROUTE_TEXT)
		return fail(ret_err, "this host is too long", w);
	for (i = 0; i < w.n; i++) {
		if (w.s[i] == ':' && w.s[0] != '[')
			return fail(ret_err, "a host is matched without its port", w);
		if (w.s[i] == '*')
			return fail(ret_err,
				    "in a host \"*\" can only stand in front, as in *.example.org",
				    w);
		r->host[i] = lower(w.s[i]);
	}
	r->host[i] = 0;
	return 0;
}

static int read_path(struct route_rule *r, struct word w, char *ret_err)
{
	const char *star = memchr(w.s, '*', w.n);

	if (!w.n)
		return 0;
	if (w.n >= ROUTE_TEXT)
		return fail(ret_err, "this path is too long", w);
	if (memchr(w.s, '?', w.n))
		return fail(ret_err, "a path is matched without its query", w);
	r->path_match = !star ? ROUTE_EXACT : star == w.s + w.n - 1 ? ROUTE_PREFIX : ROUTE_WILDCARD;
	if (r->path_match == ROUTE_PREFIX)
		w.n--;
	memcpy(r->path, w.s, w.n);
	r->path[w.n] = 0;
	return 0;
}

static int read_match(struct route_rule *r, struct word w, char *ret_err)
{
	const char *slash = memchr(w.s, '/', w.n);
	struct word host = { w.s, slash ? (size_t)(slash - w.s) : w.n };
	struct word path = { slash ? slash : w.s, slash ? w.n - host.n : 0 };
	int err = read_host(r, host, ret_err);

	return err ? err : read_path(r, path, ret_err);
}

static int read_group(struct route_rule *r, struct word w, const char *const *names, unsigned n,
		      char *ret_err)
{
	struct word e;
	unsigned i;

	while (next_of_list(&w, &e)) {
		for (i = 0; i < n && !word_is(e, names[i]); i++)
			;
		if (!e.n)
			return fail(ret_err, "a name is missing in the list of back ends", e);
		if (i == n && memchr(e.s, '/', e.n))
			return fail(
				ret_err,
				"expected back ends; methods in front of a path are in capitals, "
				"known ones; not",
				e);
		if (i == n)
			return fail(ret_err, "no back end has this name", e);
		r->group |= 1ull << i;
	}
	return 0;
}

static int read_pick(struct route_rule *r, const char **text, char *ret_err)
{
	struct word by = next_word(text), what, extra;

	r->pick = PICK_TURN;
	if (!by.n)
		return 0;
	if (!word_is(by, "by"))
		return fail(ret_err,
			    "\"by source\", \"by header NAME\", \"by least\" or \"by turn\" can "
			    "follow, not",
			    by);
	what = next_word(text);
	if (word_is(what, "source")) {
		r->pick = PICK_HASH_SOURCE;
	} else if (word_is(what, "least")) {
		r->pick = PICK_LEAST;
	} else if (word_is(what, "header")) {
		size_t i;

		what = next_word(text);
		if (!what.n || what.n >= sizeof(r->header))
			return fail(ret_err,
				    "\"by header\" needs a header's name of up to 31 letters",
				    what);
		for (i = 0; i < what.n; i++)
			r->header[i] = lower(what.s[i]);
		r->pick = PICK_HASH_HEADER;
	} else if (!word_is(what, "turn")) {
		return fail(ret_err, "\"by\" what? source, header NAME, least or turn; not", what);
	}
	extra = next_word(text);
	return extra.n ? fail(ret_err, "nothing can follow here", extra) : 0;
}

/* Is there a default already for one of its origins, or in general if it is general? */
static bool has_default(const struct route_table *t, const struct route_rule *r)
{
	for (unsigned i = 0; i < t->defaults; i++)
		if (r->origins ? r->origins & t->fallback[i].origins : !t->fallback[i].origins)
			return true;
	return false;
}

static int add(struct route_table *t, const struct route_rule *r, bool last, char *ret_err)
{
	static const struct word none;

	if (last && has_default(t, r))
		return fail(ret_err,
			    r->origins ? "one of these origins has a default already"
				       : "there is a default already",
			    none);
	if (!last && t->rules == ROUTE_RULES)
		return fail(ret_err, "128 routes are the most", none);
	if (last)
		t->fallback[t->defaults++] = *r;
	else
		t->rule[t->rules++] = *r;
	name_groups(t);
	return 0;
}

/* "at ORIGIN,..." in front, if it is there: ret_w is the word behind it. */
static int read_at(const struct route_table *t, const char **text, struct route_rule *r,
		   struct word *ret_w, char *ret_err)
{
	struct word w = next_word(text);
	int err = 0;

	if (word_is(w, "at")) {
		w = next_word(text);
		err = route_origins_read(t, w.s, w.n, &r->origins, ret_err);
		w = next_word(text);
	}
	*ret_w = w;
	return err;
}

int route_rule_read(struct route_table *t, const char *text, const char *const *names, unsigned n,
		    char *ret_err)
{
	struct route_rule r = { 0 };
	struct word w;
	bool last;
	int err = read_at(t, &text, &r, &w, ret_err);

	if (err)
		return err;
	r.methods = methods_of(w);
	if (r.methods)
		w = next_word(&text);
	if (!w.n)
		return fail(ret_err, "a route needs what it matches, and back ends", w);
	last = !r.methods && word_is(w, "default");
	if (!last)
		err = read_match(&r, w, ret_err);
	if (err)
		return err;
	w = next_word(&text);
	if (!w.n)
		return fail(ret_err, "a route needs back ends behind what it matches", w);
	err = read_group(&r, w, names, n, ret_err);
	if (!err)
		err = read_pick(&r, &text, ret_err);
	return err ? err : add(t, &r, last, ret_err);
}
