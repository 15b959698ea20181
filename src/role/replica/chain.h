/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_CHAIN_H
#define SUT_ROLE_REPLICA_CHAIN_H
/*
 * chain - flows in the order in which something befell them: a flow joins at the end, and leaves from anywhere.
 *
 * Owns:     nothing: the links lie in the flows' cold state.
 * Does not: know what the order is.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/flow.h"

/* In the cold state of each flow, for each chain that it can be in. */
struct chain_links {
	uint32_t prev, next; /* flows; FLOW_NONE at the ends */
	bool in;
};

struct chain {
	uint32_t first, last; /* flows; FLOW_NONE where empty */
};

/* Where the links are: those of flow 0, and how many bytes behind them those of the next one. */
struct chain_room {
	uint8_t *links;
	size_t each;
};

/* The links in this member of the cold state, of which cold is the array. */
#define CHAIN_ROOM(cold, type, member)                                   \
	(struct chain_room)                                              \
	{                                                                \
		(uint8_t *)(cold) + offsetof(type, member), sizeof(type) \
	}

/* Puts flow f at the end; nothing where it is in already. */
void chain_add(struct chain *ch, struct chain_room r, uint32_t f);
/* Takes flow f out; nothing where it is not in. */
void chain_del(struct chain *ch, struct chain_room r, uint32_t f);
/* The one or the other. */
static inline void chain_set(struct chain *ch, struct chain_room r, uint32_t f, bool in)
{
	if (in)
		chain_add(ch, r, f);
	else
		chain_del(ch, r, f);
}
#endif
