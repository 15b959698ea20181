/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_WAY_TABLE_H
#define SUT_CORE_WAY_TABLE_H
/*
 * way_table - ways by their keys, in one laid-out block.
 *
 * Owns:     buckets of chains, a list of free slots; indices + 1 throughout, 0 for none.
 * Does not: know what a way does (plane.h).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "core/way.h"

struct way_slot {
	struct way_key key;
	uint32_t next; /* in its chain, or in the list of free ones */
	uint32_t used;
	struct way w;
};

struct way_table {
	struct hash_key hash;
	uint32_t max, buckets, count, free;
	uint32_t fresh; /* slots from here on were never used, and not touched */
	uint32_t at_buckets, at_slots; /* bytes from the table */
};

size_t way_table_need(uint32_t max);
/* Lays it out (way_table_need() bytes, zeroed, aligned to 64). */
void way_table_init(struct way_table *t, uint32_t max, const uint8_t secret[16]);
/* NULL where there is none. */
struct way_slot *way_table_find(const struct way_table *t, const struct way_key *key);
/* A slot for a key that is not there, its way all zero; NULL: full. */
struct way_slot *way_table_add(struct way_table *t, const struct way_key *key);
void way_table_del(struct way_table *t, struct way_slot *s);
/* The slot of this number below fresh; NULL where it is free. */
struct way_slot *way_table_slot(const struct way_table *t, uint32_t i);
#endif
