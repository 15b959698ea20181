/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_HANDOFF_ROUTE_H
#define SUT_ROLE_HANDOFF_ROUTE_H
/*
 * route - which back end answers a request: rules by what the request says, then a choice within a group.
 *
 * Owns:     rules, groups, weights, round-robin positions; the counts of connections that least-connections needs.
 * Does not: read bytes (request.h), know of rungs or health checks (the front end tells which back ends can be taken).
 * A rule is for some origins, or for all, and matches if all that it names matches; the first that matches wins; the last resort is the default group of
 * the origin, then the general one (may be none: 503).  Origins are named by their index in the list of route_origins().
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "role/handoff/request.h"
#include "stack/stack.h"

#define ROUTE_RULES 128u
#define ROUTE_BACKENDS 64u
#define ROUTE_ORIGINS 16u
#define ROUTE_DEFAULTS (ROUTE_ORIGINS + 1) /* one of each origin, and the general one */
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
	uint16_t origins; /* bit per origin that it is for; 0: all */
	enum route_match host_match, path_match;
	char host[ROUTE_TEXT], path[ROUTE_TEXT]; /* host in lower case, without port */
	uint16_t methods; /* bit per enum request_method; 0: any */
	uint64_t group; /* bit per back end */
	enum route_pick pick;
	char header
		[32]; /* PICK_HASH_HEADER: its name in lower case; a request without it is hashed by source */
};

struct route_table {
	unsigned rules, defaults, backends, origins;
	struct stack_addr origin[ROUTE_ORIGINS];
	struct route_rule rule[ROUTE_RULES];
	struct route_rule
		fallback[ROUTE_DEFAULTS]; /* their matches are not looked at; no origin is in two */
	uint64_t name_hash
		[ROUTE_BACKENDS]; /* of their names: who gets a source does not depend on their order */
	uint64_t named[ROUTE_ORIGINS]; /* of each origin: whom its rules and its default name */
	uint32_t weight
		[ROUTE_BACKENDS]; /* 0: only new hand-offs that nobody else can take.  1 to 1000 */
	/* state */
	uint32_t conns[ROUTE_BACKENDS]; /* counted by the front end */
	int32_t credit[ROUTE_RULES + ROUTE_DEFAULTS][ROUTE_BACKENDS];
};

/*
 * One rule as a flag has it, in words:
 *
 *     [at ORIGIN,...] [METHOD,...] MATCH BACKEND,... [by source | by header NAME | by least | by turn]
 *
 * ORIGIN is ADDR:PORT, or :PORT for each with this port; "at" in front is never a host (which can be written "AT").  MATCH is HOST, /PATH or HOST/PATH,
 * or "*" (whatever comes, HTTP or not), or "default" (the last resort).  HOST may begin with "*."; PATH may end with "*" (prefix) or hold one elsewhere
 * (wildcard).  names are those of the back ends, in their order.  0, or -EINVAL with a sentence in ret_err (128 bytes).
 */
int route_rule_read(struct route_table *t, const char *text, const char *const *names, unsigned n,
		    char *ret_err);
/* The ORIGINs alone, s to s + n, as bits of the index: 0, or -EINVAL in the same way. */
int route_origins_read(const struct route_table *t, const char *s, size_t n, uint16_t *ret_bits,
		       char *ret_err);

/* Says who the back ends are: their names, weight 1 each.  First of all. */
void route_backends(struct route_table *t, const char *const *names, unsigned n);
/* Says which origins rules can be for.  Before rules are read. */
void route_origins(struct route_table *t, const struct stack_addr *origin, unsigned n);

/*
 * Takes the rules and weights of next, whose i-th back end is number place[i] here, where there are t->backends by now.  Counts of connections
 * stay; turns begin anew.
 */
void route_renew(struct route_table *t, const struct route_table *next, const uint8_t *place);

/* Does a rule for this origin take whatever comes, HTTP or not?  The default is none. */
bool route_takes_all(const struct route_table *t, unsigned origin);
/* Does the first rule for it, so that nothing a client says makes a difference? */
bool route_asks_nothing(const struct route_table *t, unsigned origin);
/* May this back end get connections to this origin?  One that is named nowhere counts as everywhere. */
bool route_gives(const struct route_table *t, unsigned origin, unsigned backend);

struct route_client {
	const uint8_t *source; /* 16 bytes */
	unsigned origin; /* that it came to */
};

/*
 * The back end for a request of this client, out of those in `alive` (bit per back end) and not in `tried`; -1 if none.
 * r NULL: nothing was said (the first bytes are not HTTP): rules that name neither host, path nor method can match.
 */
int route_choose(struct route_table *t, const struct request *r, const struct route_client *client,
		 uint64_t alive, uint64_t tried);
#endif
