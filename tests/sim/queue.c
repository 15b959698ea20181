/* SPDX-License-Identifier: MIT */
#include "queue.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool before(const struct arrival *a, const struct arrival *b)
{
	if (a->at != b->at)
		return a->at < b->at;
	return a->place != b->place ? a->place < b->place : a->serial < b->serial;
}

static void grow(struct queue *q)
{
	q->max = q->max ? 2 * q->max : 256;
	q->heap = realloc(q->heap, q->max * sizeof *q->heap);
	if (!q->heap)
		abort();
}

void queue_put(struct queue *q, sut_time at, unsigned place, const uint8_t *bytes, uint32_t len)
{
	struct arrival a = { .at = at, .serial = q->serial++, .place = place };
	uint32_t i;

	a.frame = malloc(sizeof *a.frame + len);
	if (!a.frame)
		abort();
	a.frame->len = len;
	memset(a.frame->room, 0, sizeof a.frame->room);
	memcpy(a.frame->bytes, bytes, len);
	if (q->n == q->max)
		grow(q);
	i = q->n++;
	for (; i && before(&a, &q->heap[(i - 1) / 2]); i = (i - 1) / 2)
		q->heap[i] = q->heap[(i - 1) / 2];
	q->heap[i] = a;
}

const struct arrival *queue_next(const struct queue *q)
{
	return q->n ? &q->heap[0] : NULL;
}

struct arrival queue_take(struct queue *q)
{
	struct arrival top = q->heap[0], last = q->heap[--q->n];
	uint32_t i = 0, child;

	while ((child = 2 * i + 1) < q->n) {
		if (child + 1 < q->n && before(&q->heap[child + 1], &q->heap[child]))
			child++;
		if (!before(&q->heap[child], &last))
			break;
		q->heap[i] = q->heap[child];
		i = child;
	}
	q->heap[i] = last;
	return top;
}

void queue_clear(struct queue *q)
{
	while (q->n)
		free(q->heap[--q->n].frame);
	free(q->heap);
	memset(q, 0, sizeof *q);
}
