/* SPDX-License-Identifier: MIT */
#include "core/flow.h"

#include <assert.h>
#include <errno.h>

#include "base/compiler.h"

/*
 * Theory of operation
 *
 *     block:   head | records, two a flow | buckets | links, one a flow
 *
 *     bucket:  tag  tag  tag  ... x 8      bits of the hash; 0 is an empty lane
 *              rec  rec  rec  ... x 8      a record's number
 *              away                        records at home here that lie in another bucket
 *
 * A hash names four buckets: its home, and three others a quarter, a half and three quarters of
 * the table further on (about: other bits of the hash vary the step, so that records of one
 * home spread).  A record lies in its home unless that was full.  There are two lanes per
 * record, so at most one bucket in twenty is full and less than 1 % of the records lie away
 * from home; a look-up that fails where away is 0 is over after one cache line.  A removal
 * leaves nothing behind: there are no tombstones, and away counts down again.
 *
 * Where all four are full, one of their 32 records moves to another of its own four.  Only if
 * none can, the insert is refused: chance does not bring that about (some 96 buckets would have
 * to be full), so somebody knows the key, and it is replaced.  Re-keying empties the buckets
 * and enters every record again; record numbers stay, so what a burst has found remains true.
 * It takes time in proportion to the table, so as many flows must be entered before the next
 * one.
 *
 * Free flows: those from `fresh` on were never used and come first, being free for longest;
 * then a list through the links, taken from its head, given back at its end.  A flow that is in
 * has the link LIVE.
 */

enum { LANES = 8, PROBES = 4, BUCKETS_MIN = 16, GROUP = 32 };

#define FLOWS_MAX ((uint32_t)1 << 26)
#define LIVE UINT32_MAX

struct bucket {
	_Alignas(64) uint16_t tag[LANES];
	uint32_t rec[LANES];
	uint32_t away;
};

_Static_assert(sizeof(struct bucket) == 64, "one cache line");

/* A full table uses four lanes of eight.  With BUCKETS_MIN the four candidates always differ. */
static uint32_t buckets_for(uint32_t max_flows)
{
	uint32_t n = (max_flows + 1) / 2;

	return n < BUCKETS_MIN ? BUCKETS_MIN : n;
}

static size_t records_size(uint32_t max_flows)
{
	return (size_t)max_flows * 2 * sizeof(struct flow_rec);
}

SUT_INLINE struct bucket *bucket_at(const struct flows *t, uint32_t i)
{
	uint8_t *block = (uint8_t *)(uintptr_t)t;

	return (struct bucket *)(void *)(block + FLOWS_HEAD + records_size(t->max)) + i;
}

static uint32_t *link_of(const struct flows *t, uint32_t f)
{
	return (uint32_t *)(void *)bucket_at(t, t->buckets) + f;
}

SUT_INLINE uint64_t hash_of(const struct flows *t, const struct flow_key *key)
{
	return hash40(&t->key, key);
}

SUT_INLINE uint16_t tag_of(uint64_t h)
{
	return (uint16_t)(h | 1);
}

/* The nth bucket in which a record with hash h may lie; n = 0 is its home. */
SUT_INLINE uint32_t candidate(const struct flows *t, uint64_t h, unsigned n)
{
	uint32_t step = (1u << 30) + ((uint32_t)h >> 4); /* 1/4 to 5/16 of 2^32 */
	uint32_t at = (uint32_t)(h >> 32) + n * step;

	return (uint32_t)((uint64_t)at * t->buckets >> 32);
}

SUT_INLINE uint32_t find_in(const struct flows *t, const struct bucket *b, uint64_t h,
			    const struct flow_key *key)
{
	unsigned lanes = match8x16(b->tag, tag_of(h));

	for (; lanes != 0; lanes &= lanes - 1) {
		uint32_t rec = b->rec[bit_lowest(lanes)];

		if (likely(flow_key_equal(&flows_rec_const(t, rec)->key, key)))
			return rec;
	}
	return FLOW_NONE;
}

/* One look-up without the stages. */
static SUT_NOINLINE uint32_t find(const struct flows *t, uint64_t h, const struct flow_key *key)
{
	const struct bucket *home = bucket_at(t, candidate(t, h, 0));
	uint32_t rec = find_in(t, home, h, key);

	if (home->away == 0)
		return rec;
	for (unsigned n = 1; n < PROBES && rec == FLOW_NONE; n++)
		rec = find_in(t, bucket_at(t, candidate(t, h, n)), h, key);
	return rec;
}

/*
 * What bucket b suggests for h, its line sent for: a record whose key is still to be compared,
 * or FLOW_NONE.
 */
SUT_INLINE uint32_t guess(struct flows *t, const struct bucket *b, uint64_t h)
{
	unsigned lanes = match8x16(b->tag, tag_of(h));
	uint32_t rec;

	if (unlikely(lanes == 0))
		return FLOW_NONE;
	rec = b->rec[bit_lowest(lanes)];
	prefetch_write(flows_rec(t, rec));
	return rec;
}

/* The same for a record that is not at home. */
static uint32_t guess_away(struct flows *t, uint64_t h)
{
	uint32_t rec = FLOW_NONE;

	for (unsigned n = 1; n < PROBES && rec == FLOW_NONE; n++)
		rec = guess(t, bucket_at(t, candidate(t, h, n)), h);
	return rec;
}

/*
 * One key in a hundred lies away from home: those are put off, so that its two lines are sent
 * for ahead as well.
 */
void flows_find_touched(struct flows *t, const struct flow_key *keys, const uint64_t *hash,
			const bool *skip, unsigned n, uint32_t *ret_rec)
{
	uint8_t away[FLOW_BURST];
	unsigned n_away = 0;

	assert(n <= FLOW_BURST);
	for (unsigned i = 0; i < n; i++) {
		const struct bucket *home;

		ret_rec[i] = FLOW_NONE;
		if (skip != NULL && skip[i])
			continue;
		home = bucket_at(t, flows_home(t, hash[i]));
		ret_rec[i] = guess(t, home, hash[i]);
		if (unlikely(ret_rec[i] == FLOW_NONE && home->away != 0)) {
			prefetch(bucket_at(t, candidate(t, hash[i], 1)));
			away[n_away++] = (uint8_t)i;
		}
	}
	for (unsigned i = 0; i < n_away; i++)
		ret_rec[away[i]] = guess_away(t, hash[away[i]]);
	for (unsigned i = 0; i < n; i++) {
		uint32_t rec = ret_rec[i];

		if (rec != FLOW_NONE &&
		    unlikely(!flow_key_equal(&flows_rec(t, rec)->key, &keys[i])))
			ret_rec[i] = find(t, hash[i], &keys[i]);
	}
}

void flows_find(struct flows *t, const struct flow_key *keys, const bool *skip, unsigned n,
		uint32_t *ret_rec)
{
	uint64_t hash[FLOW_BURST];

	assert(n <= FLOW_BURST);
	for (unsigned i = 0; i < n; i++) {
		if (skip == NULL || !skip[i])
			hash[i] = flows_touch(t, &keys[i]);
	}
	flows_find_touched(t, keys, hash, skip, n, ret_rec);
}

uint32_t flows_find_one(const struct flows *t, const struct flow_key *key)
{
	return find(t, hash_of(t, key), key);
}

/* Enters rec in the first of its candidates with room; false if there is none. */
static bool place(struct flows *t, uint64_t h, uint32_t rec)
{
	for (unsigned n = 0; n < PROBES; n++) {
		struct bucket *b = bucket_at(t, candidate(t, h, n));
		unsigned free_lanes = match8x16(b->tag, 0);

		if (free_lanes == 0)
			continue;
		b->tag[bit_lowest(free_lanes)] = tag_of(h);
		b->rec[bit_lowest(free_lanes)] = rec;
		bucket_at(t, candidate(t, h, 0))->away += n != 0;
		return true;
	}
	return false;
}

/* Takes rec, which is in, out of its bucket. */
static void displace(struct flows *t, uint64_t h, uint32_t rec)
{
	for (unsigned n = 0; n < PROBES; n++) {
		struct bucket *b = bucket_at(t, candidate(t, h, n));
		unsigned lanes = match8x16(b->tag, tag_of(h));

		for (; lanes != 0; lanes &= lanes - 1) {
			if (b->rec[bit_lowest(lanes)] != rec)
				continue;
			b->tag[bit_lowest(lanes)] = 0;
			bucket_at(t, candidate(t, h, 0))->away -= n != 0;
			return;
		}
	}
	assert(false); /* a record that is in lies in one of its buckets */
}

/*
 * Moves one record of a full bucket to another of its candidates; false if all of those are
 * full.
 */
static bool make_room_in(struct flows *t, struct bucket *b)
{
	for (unsigned lane = 0; lane < LANES; lane++) {
		uint32_t rec = b->rec[lane];
		uint64_t h = hash_of(t, &flows_rec(t, rec)->key);
		struct bucket *home = bucket_at(t, candidate(t, h, 0));

		if (!place(t, h, rec))
			continue;
		b->tag[lane] = 0;
		home->away -= b != home;
		return true;
	}
	return false;
}

static bool place_or_make_room(struct flows *t, uint64_t h, uint32_t rec)
{
	if (likely(place(t, h, rec)))
		return true;
	for (unsigned n = 0; n < PROBES; n++) {
		if (make_room_in(t, bucket_at(t, candidate(t, h, n))))
			return place(t, h, rec);
	}
	return false;
}

/*
 * Enters the flows first to first + n - 1 that are in (n <= GROUP), bucket lines fetched ahead.
 */
static bool place_group(struct flows *t, uint32_t first, uint32_t n)
{
	uint64_t h[2 * GROUP];

	for (uint32_t i = 0; i < 2 * n; i++) {
		h[i] = hash_of(t, &flows_rec(t, 2 * first + i)->key);
		prefetch_write(bucket_at(t, candidate(t, h[i], 0)));
	}
	for (uint32_t i = 0; i < 2 * n; i++) {
		if (flows_live(t, first + i / 2) && !place_or_make_room(t, h[i], 2 * first + i))
			return false;
	}
	return true;
}

static bool rebuild(struct flows *t)
{
	memset(bucket_at(t, 0), 0, t->buckets * sizeof(struct bucket));
	for (uint32_t f = 0; f < t->fresh; f += GROUP) {
		uint32_t left = t->fresh - f;

		if (!place_group(t, f, left < GROUP ? left : GROUP))
			return false;
	}
	return true;
}

/* A neighbourhood is full: somebody may know the key. */
static void refused(struct flows *t)
{
	if (t->rekeyed != 0 && t->since_rekey < t->max)
		return;
	do
		hash_key_next(&t->key);
	while (!rebuild(t));
	t->rekeyed++;
	t->since_rekey = 0;
}

/* The flow that take_free() takes; there must be one. */
static uint32_t next_free(const struct flows *t)
{
	return t->fresh < t->max ? t->fresh : t->free_first - 1;
}

static void take_free(struct flows *t)
{
	uint32_t f = next_free(t);

	if (t->fresh < t->max) {
		t->fresh++;
	} else {
		t->free_first = *link_of(t, f);
		if (t->free_first == 0)
			t->free_last = 0;
	}
	*link_of(t, f) = LIVE;
}

static void give_back(struct flows *t, uint32_t f)
{
	if (t->free_last != 0)
		*link_of(t, t->free_last - 1) = f + 1;
	else
		t->free_first = f + 1;
	t->free_last = f + 1;
	*link_of(t, f) = 0;
}

size_t flows_need(uint32_t max_flows)
{
	if (max_flows == 0 || max_flows > FLOWS_MAX)
		return 0;
	return FLOWS_HEAD + records_size(max_flows) +
	       buckets_for(max_flows) * sizeof(struct bucket) +
	       (size_t)max_flows * sizeof(uint32_t);
}

struct flows *flows_init(void *block, uint32_t max_flows, const struct hash_key *key)
{
	struct flows *t = block;

	assert(flows_need(max_flows) != 0);
	t->key = *key;
	t->max = max_flows;
	t->buckets = buckets_for(max_flows);
	return t;
}

int flows_insert(struct flows *t, const struct flow_key *near, const struct flow_key *far,
		 uint32_t *ret_flow)
{
	uint64_t h[SUT_SIDES] = { hash_of(t, near), hash_of(t, far) };
	uint32_t f, rec;

	if (find(t, h[NEAR], near) != FLOW_NONE || find(t, h[FAR], far) != FLOW_NONE ||
	    flow_key_equal(near, far))
		return -EEXIST;
	if (t->count == t->max)
		return -ENOSPC;
	f = next_free(t);
	rec = flow_rec_of(f, NEAR);
	*flows_rec(t, rec) = (struct flow_rec){ .key = *near };
	*flows_rec(t, rec + 1) = (struct flow_rec){ .key = *far };
	if (!place_or_make_room(t, h[NEAR], rec)) {
		refused(t);
		return -ENOBUFS;
	}
	if (!place_or_make_room(t, h[FAR], rec + 1)) {
		displace(t, h[NEAR], rec);
		refused(t);
		return -ENOBUFS;
	}
	take_free(t);
	t->count++;
	t->generation++;
	t->since_rekey++;
	*ret_flow = f;
	return 0;
}

void flows_remove(struct flows *t, uint32_t f)
{
	assert(flows_live(t, f));
	for (uint32_t rec = 2 * f; rec <= 2 * f + 1; rec++)
		displace(t, hash_of(t, &flows_rec(t, rec)->key), rec);
	give_back(t, f);
	t->count--;
	t->generation++;
}

uint32_t flows_generation(const struct flows *t)
{
	return t->generation;
}

uint32_t flows_count(const struct flows *t)
{
	return t->count;
}

uint32_t flows_max(const struct flows *t)
{
	return t->max;
}

uint32_t flows_rekeyed(const struct flows *t)
{
	return t->rekeyed;
}

uint32_t flows_away(const struct flows *t)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < t->buckets; i++)
		sum += bucket_at(t, i)->away;
	return sum;
}

bool flows_live(const struct flows *t, uint32_t f)
{
	assert(f < t->max);
	return *link_of(t, f) == LIVE;
}
