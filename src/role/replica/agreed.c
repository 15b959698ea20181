/* SPDX-License-Identifier: MIT */
#include "role/replica/agreed.h"

#include <assert.h>
#include <string.h>

/*
 * Ranges are ordered by their distance from the first one; all distances are below AGREED_SPAN, and
 * those of what may be asked for lie within AGREED_SPAN on either side, so signed differences of 32
 * bits say what comes first.
 */

static int32_t behind(sut_seq a, sut_seq b)
{
	return (int32_t)(a.v - b.v);
}

void agreed_clear(struct agreed *a)
{
	a->n = 0;
}

/* The first range that ends behind s: its index, or n. */
static uint32_t find(const struct agreed *a, sut_seq s)
{
	uint32_t i = 0;

	while (i < a->n && behind(a->r[i].to, s) <= 0)
		i++;
	return i;
}

bool agreed_gap(const struct agreed *a, sut_seq from, uint32_t len, sut_seq *ret_from,
		uint32_t *ret_len)
{
	sut_seq end = seq_add(from, len), at = from;
	uint32_t i = find(a, from);

	if (i < a->n && behind(a->r[i].from, from) <= 0)
		at = a->r[i++].to;
	if (behind(end, at) <= 0)
		return false;
	if (i < a->n && behind(end, a->r[i].from) > 0)
		end = a->r[i].from;
	*ret_from = at;
	*ret_len = seq_diff(end, at);
	return true;
}

bool agreed_has(const struct agreed *a, sut_seq from, uint32_t len)
{
	sut_seq at;
	uint32_t n;

	return !agreed_gap(a, from, len, &at, &n);
}

/* Takes out the ranges i to j - 1. */
static void take_out(struct agreed *a, uint32_t i, uint32_t j)
{
	memmove(&a->r[i], &a->r[j], (a->n - j) * sizeof a->r[0]);
	a->n -= j - i;
}

/* Forgets what lies too far below the highest number. */
static void forget(struct agreed *a)
{
	sut_seq low = seq_add(a->r[a->n - 1].to, 0u - AGREED_SPAN);
	uint32_t i = find(a, low);

	take_out(a, 0, i);
	if (behind(a->r[0].from, low) < 0)
		a->r[0].from = low;
}

/* Does nothing in the set lie within AGREED_SPAN of this range? */
static bool is_far(const struct agreed *a, sut_seq from, sut_seq to)
{
	const int32_t span = (int32_t)AGREED_SPAN;

	return behind(from, a->r[a->n - 1].to) >= span || behind(a->r[a->n - 1].to, to) >= span;
}

bool agreed_add(struct agreed *a, sut_seq from, uint32_t len)
{
	sut_seq to = seq_add(from, len);
	uint32_t i, j;

	assert(len < AGREED_SPAN);
	if (len == 0)
		return true;
	if (a->n && is_far(a, from, to))
		a->n = 0;
	/* i to j - 1: the ranges that it overlaps or touches. */
	for (i = 0; i < a->n && behind(a->r[i].to, from) < 0;)
		i++;
	for (j = i; j < a->n && behind(a->r[j].from, to) <= 0; j++) {
		if (behind(a->r[j].from, from) < 0)
			from = a->r[j].from;
		if (behind(a->r[j].to, to) > 0)
			to = a->r[j].to;
	}
	if (i == j) {
		if (a->n == AGREED_MAX)
			return false;
		memmove(&a->r[i + 1], &a->r[i], (a->n - i) * sizeof a->r[0]);
		a->n++;
		j = i + 1;
	}
	a->r[i].from = from;
	a->r[i].to = to;
	take_out(a, i + 1, j);
	forget(a);
	return true;
}
