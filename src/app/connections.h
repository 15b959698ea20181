/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_CONNECTIONS_H
#define SUT_APP_CONNECTIONS_H
/*
 * connections - the connections in one or two captures, each with its ladder, in the order in which they began.
 *
 * Owns: the ladders.  Of the same ends used again the last two are told apart: one half may still show the older one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/ladder.h"

struct connection {
	struct connection *in_bucket; /* the next one */
	struct connection *older; /* of the same ends; in no bucket itself */
	struct connection *newer; /* whose older this is */
	bool loose; /* in no bucket, and nobody's older */
	struct connection *before, *after; /* in the order of their beginnings */
	struct flow_key key; /* either direction, the smaller end first */
	struct ladder *ladder;
	unsigned near; /* which capture is the client's side */
	uint64_t number; /* from 1 */
};

struct connections {
	struct connection **bucket;
	size_t room, n; /* room is a power of two */
	size_t bytes; /* of all ladders */
	uint64_t opened;
	struct connection *first, *last;
	const struct ladder_limits *limits;
};

/* 0 or -ENOMEM. */
int connections_open(struct connections *c, const struct ladder_limits *limits);
void connections_close(struct connections *c);

/*
 * Gives s, of capture file (0 or 1), to its connection; one that is not known is opened, if s is a segment.  key is that of s.
 * 1; 0 if it belongs to none; -ENOMEM.
 */
int connections_add(struct connections *c, unsigned file, const struct flow_key *key,
		    const struct sight *s);

/* No more comes of x: decides the rest.  0 or -ENOMEM. */
int connections_finish(struct connections *c, struct connection *x);

/* Forgets x. */
void connections_remove(struct connections *c, struct connection *x);
#endif
