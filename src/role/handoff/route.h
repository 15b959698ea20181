/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_HANDOFF_ROUTE_H
#define SUT_ROLE_HANDOFF_ROUTE_H
/*
 * route - which back end answers a request: rules by what the request says, then a choice within a group.
 *
 * Owns:     rules, groups, weights, round-robin positions; the counts of connections that least-connections needs.
 * Does not: read bytes (request.h), know of rungs or health checks (the front end tells which back ends can be taken).
 * A rule matches if all that it names matches; the first that matches wins; the last resort is the default group (may be none: 503).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "role/handoff/request.h"

#define ROUTE_RULES 128u
#define ROUTE_BACKENDS 64u
#define ROUTE_TEXT 128u
#define ROUTE_WEIGHT_MAX 1000u

enum route_match {
	ROUTE_ANY,
	ROUTE_EXACT,
	ROUTE_PREFIX,
	ROUTE_WILDCARD /* "*.example.org": any one or more labels; in paths any bytes */
};
enum route_pick { PICK_TURN, PICK_LEAST, PICK_HASH_SOURCE, PICK_HASH_HEADER };

struct route_rule {
	enum route_match host_match, path_match;
	char host[ROUTE_TEXT], path[ROUTE_TEXT]; /* host in lower case, without port */
	uint16_t methods; /* bit per enum request_method; 0: any */
	uint64_t group; /* bit per back end */
	enum route_pick pick;
	char header
		[32]; /* PICK_HASH_HEADER: its name in lower case; a request without it is hashed by source */
};

struct route_table {
	unsigned rules, backends;
	struct route_rule rule[ROUTE_RULES];
	uint64_t name_hash
		[ROUTE_BACKENDS]; /* of their names: who gets a source does not depend on their order */
	uint32_t weight
		[ROUTE_BACKENDS]; /* 0: only new hand-offs that nobody else can take.  1 to 1000 */
	bool has_default;
	struct route_rule fallback; /* its matches are not looked at */
	/* state */
	uint32_t conns[ROUTE_BACKENDS]; /* counted by the front end */
	int32_t credit[ROUTE_RULES + 1][ROUTE_BACKENDS];
};

/*
 * One rule as a flag has it, in words:
 *
 *     [METHOD,...] MATCH BACKEND,... [by source | by header NAME | by least | by turn]
 *
 * MATCH is HOST, /PATH or HOST/PATH, or "*" (whatever comes, HTTP or not), or "default" (the last resort).  HOST may begin with "*."; PATH may
 * end with "*" (prefix) or hold one elsewhere (wildcard).  names are those of the back ends, in their order.  0, or -EINVAL with a sentence in
 * ret_err (128 bytes).
 */
int route_rule_read(struct route_table *t, const char *text, const char *const *names, unsigned n,
		    char *ret_err);

/* Says who the back ends are: their names, weight 1 each.  First of all. */
void route_backends(struct route_table *t, const char *const *names, unsigned n);

/*
 * Takes the rules and weights of next, whose i-th back end is number place[i] here, where there are t->backends by now.  Counts of connections
 * stay; turns begin anew.
 */
void route_renew(struct route_table *t, const struct route_table *next, const uint8_t *place);

/* Does a rule take whatever comes, HTTP or not?  The default is none. */
bool route_takes_all(const struct route_table *t);
/* Does the first rule, so that nothing a client says makes a difference? */
bool route_asks_nothing(const struct route_table *t);

/*
 * The back end for a request from this source, out of those in `alive` (bit per back end) and not in `tried`; -1 if none.
 * r NULL: nothing was said (the first bytes are not HTTP): rules that name neither host, path nor method can match.
 */
int route_choose(struct route_table *t, const struct request *r, const uint8_t source[16],
		 uint64_t alive, uint64_t tried);
#endif
