/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_FLOW_H
#define SUT_CORE_FLOW_H
/*
 * flow - the table of connections: from a packet's key to its record, in bursts.
 *
 * Owns:     a bucket index (64-byte buckets of eight 16-bit tags and eight indexes), two
 *           64-byte records per flow, one per direction, and the generation.
 * Does not: own cold state (the role keeps an array indexed by flow), decide lifetimes.
 *
 * Flow f has the records 2f (sent by NEAR) and 2f + 1 (sent by FAR), so a record's number tells
 * flow and sender. A look-up takes two cache misses, each prefetched a stage ahead:
 * flows_find() on a burst does all of it.  What it found may be changed by an earlier packet of
 * the same burst: users compare flows_generation() and look again with flows_find_one() if it
 * moved. At most 4 buckets are probed; past that an insert is refused with -ENOBUFS and the
 * table re-keyed, so that the next attempt finds room; not again before as many flows were
 * entered as the table may hold (so its cost is bounded).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/seq.h"
#include "core/quad.h"

#define FLOW_NONE UINT32_MAX
#define FLOW_BURST 64

/* What flow_rec.flags says. */
enum {
	FLOW_FAST = 1, /* ordinary segments need no more than core/rewrite's shift */
	FLOW_TS_VAL = 2, /* add_ts applies to TSval; else to TSecr */
	FLOW_SEEN = 4, /* a packet came since the idle timer last looked */
};

/*
 * One direction.  The three add_ numbers turn the sender's numbering into the receiver's,
 * modulo 2^32.
 */
struct flow_rec {
	struct flow_key key;
	uint32_t add_seq, add_ack, add_ts;
	sut_seq end; /* highest seq + length that this side has sent, near numbers */
	sut_seq acked; /* highest ack that this side has sent, near numbers */
	uint32_t flags; /* FLOW_* */
};

_Static_assert(sizeof(struct flow_rec) == 64, "one cache line");

/* The head of the table; its members are for flow.c and the inline functions below alone. */
struct flows {
	struct hash_key key;
	uint32_t max, buckets;
	uint32_t count, fresh;
	uint32_t free_first, free_last; /* flow + 1; 0 where the list is empty */
	uint32_t generation, rekeyed;
	uint64_t since_rekey; /* flows entered */
};

#define FLOWS_HEAD 128u /* bytes in front of the records, which the buckets follow */
_Static_assert(sizeof(struct flows) <= FLOWS_HEAD, "records begin behind the head");

/* Bytes for max_flows flows; 0 if max_flows is 0 or above 2^26. */
size_t flows_need(uint32_t max_flows);

/* Lays the table out in block (flows_need() bytes, zeroed, aligned to 64).  key is random. */
struct flows *flows_init(void *block, uint32_t max_flows, const struct hash_key *key);

/*
 * Looks n keys up (n <= FLOW_BURST).  ret_rec[i] is the record's number or FLOW_NONE.
 * keys[i] with skip[i] set are not looked at (FLOW_NONE); skip may be NULL.
 */
void flows_find(struct flows *t, const struct flow_key *keys, const bool *skip, unsigned n,
		uint32_t *ret_rec);

/*
 * The same in two steps, faster where there is work between two keys (parsing) behind which the
 * first miss can hide: flows_touch() sends for a key's bucket and returns its hash, which
 * flows_find_touched() is given for each key.
 */
void flows_find_touched(struct flows *t, const struct flow_key *keys, const uint64_t *hash,
			const bool *skip, unsigned n, uint32_t *ret_rec);

/* One key, without the stages. */
uint32_t flows_find_one(const struct flows *t, const struct flow_key *key);

/*
 * Enters a flow with the keys of its two directions.  Its records are zeroed but for the keys.
 * Returns 0; -EEXIST if one of the keys is there, or both are the same; -ENOSPC if max_flows
 * are; -ENOBUFS if the neighbourhood is full.
 */
int flows_insert(struct flows *t, const struct flow_key *near, const struct flow_key *far,
		 uint32_t *ret_flow);

/* Takes flow f out.  Its index is used again, the oldest free one first. */
void flows_remove(struct flows *t, uint32_t f);

/* Moves whenever a flow was entered or removed. */
uint32_t flows_generation(const struct flows *t);

/* Flows that are in, and the most there may be. */
uint32_t flows_count(const struct flows *t);
uint32_t flows_max(const struct flows *t);

/* How often the table was re-keyed. */
uint32_t flows_rekeyed(const struct flows *t);

/*
 * Records outside their home bucket: less than 1 % of a full table, or the hash is bad.  Walks
 * the buckets.
 */
uint32_t flows_away(const struct flows *t);

/* Is f (below flows_max) in?  For walks. */
bool flows_live(const struct flows *t, uint32_t f);

/* The number of the bucket in which a record with hash h is at home. */
SUT_INLINE uint32_t flows_home(const struct flows *t, uint64_t h)
{
	return (uint32_t)((h >> 32) * t->buckets >> 32);
}

SUT_INLINE uint64_t flows_touch(const struct flows *t, const struct flow_key *key)
{
	uint64_t h = hash40(&t->key, key);

	prefetch((const uint8_t *)t + FLOWS_HEAD + ((size_t)t->max * 2 + flows_home(t, h)) * 64);
	return h;
}

/* The record of a number that find gave. */
SUT_INLINE struct flow_rec *flows_rec(struct flows *t, uint32_t rec)
{
	return (struct flow_rec *)(void *)((uint8_t *)t + FLOWS_HEAD) + rec;
}

SUT_INLINE const struct flow_rec *flows_rec_const(const struct flows *t, uint32_t rec)
{
	return (const struct flow_rec *)(const void *)((const uint8_t *)t + FLOWS_HEAD) + rec;
}

static inline uint32_t flow_of(uint32_t rec)
{
	return rec >> 1;
}
static inline enum sut_side flow_sender(uint32_t rec)
{
	return rec & 1 ? FAR : NEAR;
}
static inline uint32_t flow_rec_of(uint32_t flow, enum sut_side sender)
{
	return flow << 1 | sender;
}

/*
 * Moves s up to v if v is after it, less than 2^30 (what lies further out is garbage, and moves nothing),
 * without a branch: v is as good as random to a predictor.
 */
SUT_INLINE void flow_edge(sut_seq *s, uint32_t v)
{
	uint32_t ahead = v - s->v;

	s->v += ahead & (0u - (uint32_t)(ahead < 1u << 30));
}

/*
 * The hot path's tracking: its sender was seen to send up to near_seq_end and to acknowledge
 * near_ack (near numbers; the segment has its ACK flag set).
 */
SUT_INLINE void flow_rec_seen(struct flow_rec *r, uint32_t near_seq_end, uint32_t near_ack)
{
	flow_edge(&r->end, near_seq_end);
	flow_edge(&r->acked, near_ack);
	r->flags |= FLOW_SEEN;
}
#endif
