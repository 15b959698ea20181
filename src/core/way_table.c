/* SPDX-License-Identifier: MIT */
#include "core/way_table.h"

#include <assert.h>
#include <string.h>

#define ALIGN 64u

static size_t round_up(size_t n)
{
	return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* A power of two, one bucket for each way or more. */
static uint32_t buckets_for(uint32_t max)
{
	uint32_t n = 16;

	while (n < max && n < 1u << 30)
		n *= 2;
	return n;
}

size_t way_table_need(uint32_t max)
{
	return round_up(sizeof(struct way_table)) +
	       round_up((size_t)buckets_for(max) * sizeof(uint32_t)) +
	       (size_t)max * sizeof(struct way_slot);
}

static uint32_t *bucket(const struct way_table *t, const struct way_key *key)
{
	uint32_t *b = (uint32_t *)(void *)((uint8_t *)(uintptr_t)t + t->at_buckets);
	uint64_t h = hash40(&t->hash, key);

	return b + (h & (t->buckets - 1));
}

static struct way_slot *slot(const struct way_table *t, uint32_t i)
{
	return (struct way_slot *)(void *)((uint8_t *)(uintptr_t)t + t->at_slots) + i;
}

void way_table_init(struct way_table *t, uint32_t max, const uint8_t secret[16])
{
	static const char label[] = "ways 0";
	char word[sizeof label];

	_Static_assert(sizeof(struct way_key) == 40, "hashed as five words");
	memcpy(word, label, sizeof label);
	for (unsigned i = 0; i < 5; i++) {
		word[5] = (char)('0' + i);
		t->hash.k[i] = siphash(secret, word, sizeof word);
	}
	t->max = max;
	t->buckets = buckets_for(max);
	t->at_buckets = (uint32_t)round_up(sizeof *t);
	t->at_slots = t->at_buckets + (uint32_t)round_up((size_t)t->buckets * sizeof(uint32_t));
}

struct way_slot *way_table_find(const struct way_table *t, const struct way_key *key)
{
	uint32_t i = *bucket(t, key);

	for (; i; i = slot(t, i - 1)->next)
		if (memcmp(&slot(t, i - 1)->key, key, sizeof *key) == 0)
			return slot(t, i - 1);
	return NULL;
}

struct way_slot *way_table_add(struct way_table *t, const struct way_key *key)
{
	uint32_t i = t->free, *b = bucket(t, key);
	struct way_slot *s;

	if (!i && t->fresh == t->max)
		return NULL;
	if (!i)
		i = ++t->fresh;
	else
		t->free = slot(t, i - 1)->next;
	s = slot(t, i - 1);
	memset(s, 0, sizeof *s);
	s->key = *key;
	s->used = 1;
	s->next = *b;
	*b = i;
	t->count++;
	return s;
}

void way_table_del(struct way_table *t, struct way_slot *s)
{
	uint32_t i = (uint32_t)(s - slot(t, 0)) + 1, *at = bucket(t, &s->key);

	while (*at != i) {
		assert(*at);
		at = &slot(t, *at - 1)->next;
	}
	*at = s->next;
	s->used = 0;
	s->next = t->free;
	t->free = i;
	t->count--;
}

struct way_slot *way_table_slot(const struct way_table *t, uint32_t i)
{
	struct way_slot *s = slot(t, i);

	return s->used ? s : NULL;
}
