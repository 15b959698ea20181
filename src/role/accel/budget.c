/* SPDX-License-Identifier: MIT */
#include "role/accel/budget.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "core/quad.h"
#include "proto/ip.h"

void budget_init(struct budget *b, uint32_t max_pending, uint32_t max_source,
		 const struct hash_key *key)
{
	b->max_pending = max_pending;
	b->max_source = max_source;
	b->key = *key;
}

/* The two counters of a source.  Hosts choose the lower half of their IPv6 addresses as they like. */
static void find(struct budget *b, const uint8_t src[16], uint32_t *ret_c[2])
{
	struct flow_key k = { .where = 0 };
	uint64_t h;

	memcpy(k.src, src, ip_is_mapped(src) ? 16 : 8);
	h = hash40(&b->key, &k);
	ret_c[0] = &b->count[0][h & (BUDGET_SLOTS - 1)];
	ret_c[1] = &b->count[1][h >> 32 & (BUDGET_SLOTS - 1)];
}

enum reason budget_take(struct budget *b, const uint8_t src[16])
{
	uint32_t *c[2];

	if (b->pending >= b->max_pending)
		return R_SYN_BUDGET;
	find(b, src, c);
	if ((*c[0] < *c[1] ? *c[0] : *c[1]) >= b->max_source)
		return R_SYN_SOURCE;
	b->pending++;
	(*c[0])++;
	(*c[1])++;
	return R_NONE;
}

uint32_t budget_left(const struct budget *b)
{
	uint32_t sum = b->pending;

	for (unsigned i = 0; i < BUDGET_SLOTS; i++)
		sum += b->count[0][i] + b->count[1][i];
	return sum;
}

void budget_give(struct budget *b, const uint8_t src[16])
{
	uint32_t *c[2];

	find(b, src, c);
	assert(b->pending && *c[0] && *c[1]);
	b->pending--;
	(*c[0])--;
	(*c[1])--;
}
