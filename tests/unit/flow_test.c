/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "core/flow.h"

static const struct hash_key secret = {
	{ 0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 0x2545f4914f6cdd1d,
	  0xd6e8feb86659fd93 },
};

static uint64_t rng = 88172645463325252u;

static uint64_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static struct flows *new_flows(uint32_t max)
{
	size_t size = (flows_need(max) + 63) & ~(size_t)63;
	void *block = aligned_alloc(64, size);

	assert_non_null(block);
	memset(block, 0, size);
	return flows_init(block, max, &secret);
}

/*
 * The nth connection between 192.0.2.0/24 and 198.51.100.0/24, from port 0; answers come in at
 * port 1.
 */
static void keys_of(uint32_t n, struct flow_key *ret_near, struct flow_key *ret_far)
{
	static const uint8_t net[2][15] = {
		{ [10] = 0xff, 0xff, 192, 0, 2 },
		{ [10] = 0xff, 0xff, 198, 51, 100 },
	};
	struct flow_key k = { .where = 0xffffff };

	memcpy(k.src, net[0], 15);
	memcpy(k.dst, net[1], 15);
	k.src[15] = (uint8_t)n;
	k.dst[15] = (uint8_t)(n >> 8);
	k.sport = be16_of((uint16_t)(1024 + n));
	k.dport = be16_of((uint16_t)(80 + (n >> 16)));
	*ret_near = k;
	flow_key_reverse(&k, 1, ret_far);
}

/*
 * Finds both directions of connection n by both ways; FLOW_NONE both, or two records of one
 * flow.
 */
static uint32_t find_both(struct flows *t, uint32_t n)
{
	struct flow_key k[2];
	uint32_t rec[2];

	keys_of(n, &k[NEAR], &k[FAR]);
	flows_find(t, k, NULL, 2, rec);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(flows_find_one(t, &k[i]), rec[i]);
	if (rec[NEAR] == FLOW_NONE) {
		assert_int_equal(rec[FAR], FLOW_NONE);
		return FLOW_NONE;
	}
	assert_int_equal(flow_of(rec[NEAR]), flow_of(rec[FAR]));
	assert_int_equal(flow_sender(rec[NEAR]), NEAR);
	assert_int_equal(flow_sender(rec[FAR]), FAR);
	for (unsigned i = 0; i < 2; i++)
		assert_true(flow_key_equal(&flows_rec_const(t, rec[i])->key, &k[i]));
	return flow_of(rec[NEAR]);
}

static int insert(struct flows *t, uint32_t n, uint32_t *ret_flow)
{
	struct flow_key near, far;

	keys_of(n, &near, &far);
	return flows_insert(t, &near, &far, ret_flow);
}

static void needs_a_sensible_size(void **state)
{
	(void)state;
	assert_int_equal(flows_need(0), 0);
	assert_int_equal(flows_need((1u << 26) + 1), 0);
	assert_int_equal(flows_need(UINT32_MAX), 0);
	assert_true(flows_need(1u << 26) >> 26 >= 128);
	assert_true(flows_need(1) > 0);
}

static void insert_finds_two_directions_and_removes_both(void **state)
{
	struct flows *t = new_flows(10);
	struct flow_key near, far;
	uint32_t f = 77, g = 77, gen = flows_generation(t);

	(void)state;
	keys_of(5, &near, &far);
	assert_int_equal(find_both(t, 5), FLOW_NONE);
	assert_int_equal(flows_insert(t, &near, &far, &f), 0);
	assert_int_equal(f, 0);
	assert_int_not_equal(flows_generation(t), gen);
	assert_true(flows_live(t, 0));
	assert_false(flows_live(t, 1));
	assert_int_equal(flows_count(t), 1);
	assert_int_equal(flows_max(t), 10);
	assert_int_equal(find_both(t, 5), 0);
	assert_int_equal(flows_rec(t, 1)->add_seq, 0);

	gen = flows_generation(t);
	assert_int_equal(flows_insert(t, &near, &far, &g), -EEXIST);
	assert_int_equal(flows_insert(t, &far, &near, &g), -EEXIST);
	far.where ^= 1;
	assert_int_equal(flows_insert(t, &near, &far, &g), -EEXIST);
	assert_int_equal(flows_insert(t, &far, &near, &g), -EEXIST);
	assert_int_equal(flows_insert(t, &far, &far, &g), -EEXIST); /* LAND */
	assert_int_equal(g, 77);
	assert_int_equal(flows_generation(t), gen);

	flows_remove(t, f);
	assert_int_not_equal(flows_generation(t), gen);
	assert_int_equal(find_both(t, 5), FLOW_NONE);
	assert_int_equal(flows_count(t), 0);
	assert_false(flows_live(t, 0));
	free(t);
}

/* What a record held before does not shine through in its next life. */
static void records_begin_zeroed(void **state)
{
	struct flows *t = new_flows(1);
	uint32_t f;

	(void)state;
	assert_int_equal(insert(t, 1, &f), 0);
	for (uint32_t rec = 0; rec < 2; rec++) {
		flows_rec(t, rec)->add_seq = 1;
		flows_rec(t, rec)->end.v = 2;
		flows_rec(t, rec)->flags = FLOW_FAST | FLOW_SEEN;
	}
	flows_remove(t, f);
	assert_int_equal(insert(t, 2, &f), 0);
	for (uint32_t rec = 0; rec < 2; rec++) {
		assert_int_equal(flows_rec(t, rec)->add_seq, 0);
		assert_int_equal(flows_rec(t, rec)->end.v, 0);
		assert_int_equal(flows_rec(t, rec)->flags, 0);
	}
	free(t);
}

static void oldest_free_flow_comes_first(void **state)
{
	static const uint32_t freed[] = { 2, 0, 3, 1 };
	struct flows *t = new_flows(4);
	uint32_t f;

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(insert(t, i, &f), 0);
		assert_int_equal(f, i);
	}
	f = 77;
	assert_int_equal(insert(t, 4, &f), -ENOSPC);
	assert_int_equal(f, 77);
	for (uint32_t i = 0; i < 3; i++)
		flows_remove(t, freed[i]);
	assert_int_equal(insert(t, 10, &f), 0);
	assert_int_equal(f, freed[0]);
	flows_remove(t, freed[3]);
	for (uint32_t i = 1; i < 4; i++) {
		assert_int_equal(insert(t, 10 + i, &f), 0);
		assert_int_equal(f, freed[i]);
	}
	assert_int_equal(insert(t, 4, &f), -ENOSPC);
	free(t);
}

static void skipped_keys_are_not_looked_at(void **state)
{
	struct flows *t = new_flows(100);
	struct flow_key *k = malloc(FLOW_BURST * sizeof *k);
	bool skip[FLOW_BURST];
	uint32_t rec[FLOW_BURST], f;

	(void)state;
	assert_non_null(k); /* k[i] of skipped ones stays uninitialised: valgrind and MSan watch */
	for (uint32_t n = 0; n < FLOW_BURST / 2; n++)
		assert_int_equal(insert(t, n, &f), 0);
	for (unsigned i = 0; i < FLOW_BURST; i++) {
		struct flow_key far;

		skip[i] = i % 3 == 1;
		if (!skip[i])
			keys_of(i, &k[i], &far);
	}
	flows_find(t, k, skip, FLOW_BURST, rec);
	for (unsigned i = 0; i < FLOW_BURST; i++) {
		bool there = i < FLOW_BURST / 2 && !skip[i];

		assert_int_equal(rec[i], there ? flow_rec_of(i, NEAR) : FLOW_NONE);
	}
	free(k);
	free(t);
}

/* Connections 0 to UNIVERSE - 1 come and go; the model knows which are in, and in which flow. */
enum { UNIVERSE = 6000 };

struct model {
	uint32_t flow[UNIVERSE]; /* FLOW_NONE if it is out */
	uint32_t count;
};

static void toggle(struct flows *t, struct model *m, uint32_t n)
{
	uint32_t f = FLOW_NONE;
	int r;

	if (m->flow[n] != FLOW_NONE) {
		flows_remove(t, m->flow[n]);
		m->flow[n] = FLOW_NONE;
		m->count--;
		return;
	}
	r = insert(t, n, &f);
	if (m->count == flows_max(t)) {
		assert_int_equal(r, -ENOSPC);
		return;
	}
	assert_int_equal(r, 0);
	m->flow[n] = f;
	m->count++;
}

static void compare(struct flows *t, const struct model *m)
{
	uint32_t live = 0;

	for (uint32_t n = 0; n < UNIVERSE; n++)
		assert_int_equal(find_both(t, n), m->flow[n]);
	for (uint32_t f = 0; f < flows_max(t); f++)
		live += flows_live(t, f);
	assert_int_equal(live, m->count);
	assert_int_equal(flows_count(t), m->count);
}

static void agrees_with_the_model(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 7, 16, 17, 33, 100, 1000, 4001 };
	struct model *m = malloc(sizeof *m);

	(void)state;
	assert_non_null(m);
	for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
		struct flows *t = new_flows(sizes[s]);

		m->count = 0;
		memset(m->flow, 0xff, sizeof m->flow);
		for (unsigned i = 0; i < 100000; i++) {
			uint32_t n = (uint32_t)(rnd() % UNIVERSE);

			toggle(t, m, n);
			assert_int_equal(find_both(t, n), m->flow[n]);
			if (i % 20000 == 0)
				compare(t, m);
		}
		compare(t, m);
		for (uint32_t n = 0; n < UNIVERSE; n++) {
			if (m->flow[n] != FLOW_NONE)
				toggle(t, m, n);
		}
		compare(t, m);
		assert_int_equal(flows_away(t), 0);
		assert_int_equal(flows_rekeyed(t), 0);
		free(t);
	}
	free(m);
}

/*
 * By chance no table refuses before it is full, and every flow is found, also by bursts of any
 * length.
 */
static void fills_up_to_the_last_flow(void **state)
{
	enum { FULL = 300000 };
	struct flows *t = new_flows(FULL);
	struct flow_key k[FLOW_BURST], far;
	uint32_t f, rec[FLOW_BURST];

	(void)state;
	for (uint32_t n = 0; n < FULL; n++)
		assert_int_equal(insert(t, n, &f), 0);
	assert_int_equal(insert(t, FULL, &f), -ENOSPC);
	assert_true(flows_away(t) < 2 * FULL / 100);
	for (uint32_t n = 0, len = 1; n + len <= FULL; n += len, len = len % FLOW_BURST + 1) {
		for (uint32_t i = 0; i < len; i++)
			keys_of(n + i, &k[i], &far);
		flows_find(t, k, NULL, len, rec);
		for (uint32_t i = 0; i < len; i++)
			assert_int_equal(rec[i], flow_rec_of(n + i, NEAR));
	}
	for (uint32_t n = FULL; n < 2 * FULL; n++)
		assert_int_equal(find_both(t, n), FLOW_NONE);
	assert_int_equal(flows_rekeyed(t), 0);
	free(t);
}

/*
 * Who knows the key makes the first product of the hash 0, so the next word of the address does
 * not count: all such keys share hash, buckets and tag.
 */
static void crafted(const struct hash_key *key, uint64_t n, struct flow_key *ret_k)
{
	keys_of(0, ret_k, &(struct flow_key){ 0 });
	memcpy(ret_k->src, &key->k[0], 8);
	memcpy(ret_k->src + 8, &n, 8);
}

/*
 * Inserts flows with a crafted key of that side (the other is ordinary) until one is refused:
 * how many were taken.
 */
static uint32_t flood_side(struct flows *t, const struct hash_key *key, enum sut_side side,
			   uint32_t base, uint32_t limit)
{
	struct flow_key k, near, far;
	uint32_t f, n;
	int r = 0;

	for (n = 0; n < limit && r == 0; n++) {
		crafted(key, base + n, &k);
		keys_of(base + n, &near, &far);
		r = side == NEAR ? flows_insert(t, &k, &far, &f) : flows_insert(t, &far, &k, &f);
	}
	if (r == 0)
		return n;
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(flows_find_one(t, &k), FLOW_NONE);
	assert_int_equal(flows_find_one(t, &far), FLOW_NONE); /* all or nothing */
	return n - 1;
}

static uint32_t flood(struct flows *t, const struct hash_key *key, uint32_t base, uint32_t limit)
{
	return flood_side(t, key, NEAR, base, limit);
}

static void check_flood(struct flows *t, const struct hash_key *key, uint32_t base, uint32_t n)
{
	struct flow_key k;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t rec;

		crafted(key, base + i, &k);
		rec = flows_find_one(t, &k);
		assert_int_not_equal(rec, FLOW_NONE);
		assert_true(flow_key_equal(&flows_rec(t, rec)->key, &k));
	}
}

/*
 * The limits: four buckets of eight; one re-keying that keeps everything; the next only after
 * as many flows.
 */
static void flood_of_one_bucket_is_refused_and_rekeys(void **state)
{
	enum { MAX = 2000, PLAIN = 500, FIRST = 10000, SECOND = 20000, THIRD = 30000 };
	struct flows *t = new_flows(MAX);
	struct hash_key key = secret;
	uint32_t f, got;

	(void)state;
	for (uint32_t n = 0; n < PLAIN; n++)
		assert_int_equal(insert(t, n, &f), 0);
	got = flood(t, &key, FIRST, 100);
	assert_int_equal(got, 32); /* others lie there as well: they move away */
	assert_int_equal(flows_rekeyed(t), 1);
	assert_int_equal(flows_count(t), PLAIN + got);
	for (uint32_t n = 0; n < PLAIN; n++)
		assert_int_equal(find_both(t, n), n);
	check_flood(t, &key, FIRST, got);
	assert_int_equal(flood(t, &key, FIRST + got, 100),
			 100); /* the old key is worth nothing now */

	hash_key_next(&key);
	got = flood(t, &key, SECOND, 100);
	assert_int_equal(got, 32);
	assert_int_equal(flows_rekeyed(t), 1); /* too early */
	check_flood(t, &key, SECOND, got);
	for (uint32_t n = 0; n < MAX; n++) {
		flows_remove(t, find_both(t, n % PLAIN));
		assert_int_equal(insert(t, n % PLAIN, &f), 0);
	}
	assert_int_equal(flood(t, &key, SECOND + got, 1), 0);
	assert_int_equal(flows_rekeyed(t), 2);
	check_flood(t, &key, SECOND, got);
	for (uint32_t n = 0; n < PLAIN; n++)
		assert_int_not_equal(find_both(t, n), FLOW_NONE);
	for (f = 0; f < MAX; f++) {
		if (flows_live(t, f))
			flows_remove(t, f);
	}
	assert_int_equal(flows_away(t), 0); /* what was moved away is counted back as well */
	free(t);
}

/* The second key's refusal takes the first one back. */
static void half_a_flow_is_no_flow(void **state)
{
	struct flows *t = new_flows(1000);
	struct hash_key key = secret;
	struct flow_key near, far;
	uint32_t f;

	(void)state;
	assert_int_equal(flood_side(t, &secret, FAR, 0, 100), 32);
	assert_int_equal(flows_count(t), 32);
	assert_int_equal(flows_rekeyed(t), 1);
	keys_of(32, &near, &far); /* the ordinary key of the refused one */
	assert_int_equal(flows_insert(t, &near, &far, &f), 0);
	assert_int_equal(f, 32);
	check_flood(t, &secret, 0, 32);

	hash_key_next(&key); /* now without a re-keying that would sweep up */
	assert_int_equal(flood_side(t, &key, FAR, 100, 100), 32);
	assert_int_equal(flows_rekeyed(t), 1);
	free(t);
}

/*
 * Groups of equal hashes push each other about; what is removed is counted back wherever it
 * came to lie.
 */
static void crowds_leave_nothing_behind(void **state)
{
	uint32_t seen = 0;

	(void)state;
	for (uint32_t round = 0; round < 200; round++) {
		struct flows *t = new_flows(32);
		uint32_t f, n;

		for (n = 0; n < 32; n++) {
			struct flow_key k[2];

			for (uint32_t i = 0; i < 2; i++) {
				crafted(&secret, n, &k[i]);
				k[i].where = round << 8 | (2 * n + i) % (2 + round % 3);
			}
			if (flows_insert(t, &k[NEAR], &k[FAR], &f) != 0)
				break;
		}
		seen += flows_away(t);
		for (f = 0; f < n; f++)
			flows_remove(t, f);
		assert_int_equal(flows_away(t), 0);
		free(t);
	}
	assert_true(seen > 1000);
}

/* A bucket that was once too small works as before when its flood is over: no traces stay. */
static void removal_leaves_nothing_behind(void **state)
{
	struct flows *t = new_flows(2000), *fresh = new_flows(2000);
	uint32_t f;
	struct flow_key k, near, far;

	(void)state;
	for (unsigned round = 0; round < 1000; round++) {
		for (uint32_t n = 0; n < 30; n++) {
			crafted(&secret, n, &k);
			keys_of(n, &near, &far);
			assert_int_equal(flows_insert(t, &k, &far, &f), 0);
			assert_true(flows_live(t, f));
		}
		for (uint32_t n = 0; n < 30; n++) {
			crafted(&secret, n * 7 % 30, &k);
			flows_remove(t, flow_of(flows_find_one(t, &k)));
		}
	}
	assert_int_equal(flows_count(t), 0);
	assert_int_equal(flows_away(t), 0);
	assert_int_equal(flows_rekeyed(t), 0);
	for (uint32_t n = 0; n < 2000; n++)
		assert_int_equal(find_both(t, n), FLOW_NONE);
	for (uint32_t n = 0; n < 2000; n++)
		assert_int_equal(insert(t, n, &f), insert(fresh, n, &f));
	for (uint32_t n = 0; n < 2000; n++)
		assert_int_not_equal(find_both(t, n), FLOW_NONE);
	free(fresh);
	free(t);
}

/* The edge moves to what is after it, modulo 2^32, and never back. */
static void edges_follow_the_newest(void **state)
{
	static const struct {
		uint32_t from, seen, to;
	} table[] = {
		{ 100, 200, 200 },
		{ 200, 100, 200 },
		{ 5, 5, 5 },
		{ 0xfffffff0, 0x10, 0x10 },
		{ 0x10, 0xfffffff0, 0x10 },
		{ 0, 0x3fffffff, 0x3fffffff },
		{ 0, 0x40000000, 0 },
		{ 0, 0x80000001, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct flow_rec r = { .flags = FLOW_FAST,
				      .end = { table[i].from },
				      .acked = { 7 } };

		flow_rec_seen(&r, table[i].seen, 9);
		assert_int_equal(r.end.v, table[i].to);
		assert_int_equal(r.acked.v, 9);
		assert_int_equal(r.flags, FLOW_FAST | FLOW_SEEN);
	}
	for (unsigned i = 0; i < 100000; i++) {
		sut_seq s = { (uint32_t)rnd() }, v = { (uint32_t)rnd() };
		sut_seq want = v.v - s.v < 1u << 30 ? v : s;

		flow_edge(&s, v.v);
		assert_int_equal(s.v, want.v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(needs_a_sensible_size),
		cmocka_unit_test(insert_finds_two_directions_and_removes_both),
		cmocka_unit_test(records_begin_zeroed),
		cmocka_unit_test(oldest_free_flow_comes_first),
		cmocka_unit_test(skipped_keys_are_not_looked_at),
		cmocka_unit_test(agrees_with_the_model),
		cmocka_unit_test(fills_up_to_the_last_flow),
		cmocka_unit_test(flood_of_one_bucket_is_refused_and_rekeys),
		cmocka_unit_test(half_a_flow_is_no_flow),
		cmocka_unit_test(crowds_leave_nothing_behind),
		cmocka_unit_test(removal_leaves_nothing_behind),
		cmocka_unit_test(edges_follow_the_newest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
