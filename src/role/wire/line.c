/* SPDX-License-Identifier: MIT */
#include "role/wire/line.h"

#include <assert.h>
#include <string.h>

/*
 * Theory of operation
 *
 * Frames lie in the ring in order of arrival, each behind a small header.  A position counts all
 * bytes ever put, so it grows for ever, orders frames by arrival, and names a place in the ring
 * (modulo its size).  An entry never wraps: what is left at the ring's end is filled by an entry
 * without a frame.
 *
 * The heap holds {time, position} of each frame on the line; its order by time and then by
 * position is the order in which frames leave.  Jitter, reordering and copies leave holes in the
 * ring: an entry that was taken is marked, and reclaiming moves the tail over marked entries only.
 * So memory is bound by the ring, not by the number of holes.
 */

#define ALIGN 16u

enum entry_state { ENTRY_HELD, ENTRY_GONE };

/* In front of each frame's headroom; the first 16 bytes alone make an entry without a frame. */
struct entry {
	uint32_t size; /* of all: this header, headroom, frame, up to ALIGN */
	uint32_t len; /* of the frame */
	uint32_t state;
	uint32_t pad;
	struct offload off;
};

struct leaving {
	sut_time at;
	uint64_t pos;
};

struct line {
	uint64_t ring; /* size in bytes */
	uint64_t head, tail; /* positions: next to put, oldest still in use */
	uint64_t count; /* of the heap */
	uint64_t ring_off; /* where the ring begins, from this struct */
};

#define ENTRY_MIN (sizeof(struct entry) + PACKET_HEADROOM)

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static uint64_t heap_bytes(uint64_t ring)
{
	return round_up((ring / ENTRY_MIN + 1) * sizeof(struct leaving), 64);
}

static struct leaving *heap_of(struct line *l)
{
	return (struct leaving *)((uint8_t *)l + round_up(sizeof *l, 64));
}

static const struct leaving *heap_top(const struct line *l)
{
	return (const struct leaving *)((const uint8_t *)l + round_up(sizeof *l, 64));
}

static struct entry *entry_at(struct line *l, uint64_t pos)
{
	return (struct entry *)((uint8_t *)l + l->ring_off + pos % l->ring);
}

static uint8_t *frame_of(struct entry *e)
{
	return (uint8_t *)e + sizeof *e + PACKET_HEADROOM;
}

size_t line_need(uint64_t ring)
{
	ring = round_up(ring, 64);
	return round_up(sizeof(struct line), 64) + heap_bytes(ring) + ring;
}

struct line *line_init(void *block, uint64_t ring)
{
	struct line *l = block;

	l->ring = round_up(ring, 64);
	l->ring_off = round_up(sizeof *l, 64) + heap_bytes(l->ring);
	return l;
}

static bool leaves_before(const struct leaving *a, const struct leaving *b)
{
	return a->at != b->at ? a->at < b->at : a->pos < b->pos;
}

static void heap_push(struct line *l, struct leaving x)
{
	struct leaving *h = heap_of(l);
	uint64_t i = l->count++;

	while (i && leaves_before(&x, &h[(i - 1) / 2])) {
		h[i] = h[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	h[i] = x;
}

static struct leaving heap_pop(struct line *l)
{
	struct leaving *h = heap_of(l), top = h[0], x = h[--l->count];
	uint64_t i = 0, child;

	while ((child = 2 * i + 1) < l->count) {
		if (child + 1 < l->count && leaves_before(&h[child + 1], &h[child]))
			child++;
		if (!leaves_before(&h[child], &x))
			break;
		h[i] = h[child];
		i = child;
	}
	h[i] = x;
	return top;
}

/* A place for size bytes in one piece: true, and head lies there; false if there is none. */
static bool make_room(struct line *l, uint64_t size)
{
	uint64_t to_end = l->ring - l->head % l->ring;
	uint64_t skip = size > to_end ? to_end : 0;
	struct entry *e;

	if (l->head - l->tail + skip + size > l->ring)
		return false;
	if (skip) {
		e = entry_at(l, l->head);
		e->size = (uint32_t)skip;
		e->state = ENTRY_GONE;
		l->head += skip;
	}
	return true;
}

uint8_t *line_hold(struct line *l, sut_time at, uint32_t len, const struct offload *off)
{
	uint64_t size = round_up(ENTRY_MIN + len, ALIGN);
	struct entry *e;

	assert(len <= PACKET_MAX);
	if (!make_room(l, size))
		return NULL;
	e = entry_at(l, l->head);
	*e = (struct entry){
		.size = (uint32_t)size,
		.len = len,
		.state = ENTRY_HELD,
		.off = *off,
	};
	heap_push(l, (struct leaving){ at, l->head });
	l->head += size;
	return frame_of(e);
}

sut_time line_next(const struct line *l)
{
	return l->count ? heap_top(l)->at : SUT_NEVER;
}

void line_take(struct line *l, struct packet *ret_p)
{
	struct entry *e;

	assert(l->count);
	e = entry_at(l, heap_pop(l).pos);
	e->state = ENTRY_GONE;
	*ret_p = (struct packet){ .head = frame_of(e), .head_len = e->len, .off = e->off };
}

void line_reclaim(struct line *l)
{
	while (l->tail != l->head) {
		const struct entry *e = entry_at(l, l->tail);

		if (e->state != ENTRY_GONE)
			return;
		l->tail += e->size;
	}
}

uint64_t line_frames(const struct line *l)
{
	return l->count;
}

uint64_t line_used(const struct line *l)
{
	return l->head - l->tail;
}
