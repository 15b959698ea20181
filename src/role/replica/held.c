/* SPDX-License-Identifier: MIT */
#include "role/replica/held.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/compiler.h"

/*
 * The block: struct held, a bitmap with a bit for each cell that is in use, the cells.  A run
 * is found first-fit from the lowest word that may have a free bit; a full word costs one step.
 */

#define HEADER 64u /* of a frame's first cell; headroom and bytes follow */
#define BYTES (HEADER + PACKET_HEADROOM)

/* At the start of a frame's first cell. */
struct frame {
	uint32_t next; /* in the flow's queue, or among the taken */
	uint32_t cells;
	uint32_t len; /* bytes */
	uint32_t port;
	struct offload off;
	uint64_t note[HELD_NOTE / sizeof(uint64_t)];
};

struct held {
	uint32_t cells, free;
	uint32_t taken; /* first of the frames that wait for held_sweep() */
	uint32_t low; /* no word of the bitmap before this one has a free bit */
	uint64_t cells_off; /* where the cells begin, from this struct */
	uint64_t used[];
};

_Static_assert(sizeof(struct frame) <= HEADER && HELD_FLOW_CELLS < HELD_CELLS_MAX, "fits");

static size_t round_up(size_t n)
{
	return (n + 63) / 64 * 64;
}

static uint32_t words(uint32_t cells)
{
	return (cells + 63) / 64;
}

static size_t head_bytes(uint32_t cells)
{
	return round_up(sizeof(struct held) + words(cells) * sizeof(uint64_t));
}

size_t held_need(uint32_t cells)
{
	return head_bytes(cells) + (size_t)cells * HELD_CELL;
}

struct held *held_init(void *block, uint32_t cells)
{
	struct held *h = block;

	h->cells = cells;
	h->free = cells;
	h->taken = HELD_NONE;
	h->cells_off = head_bytes(cells);
	if (cells % 64)
		h->used[cells / 64] = ~0ull << cells % 64;
	return h;
}

void held_queue_init(struct held_queue *q)
{
	*q = (struct held_queue){ .first = HELD_NONE, .last = HELD_NONE };
}

static uint8_t *cell(struct held *h, uint32_t i)
{
	return (uint8_t *)h + h->cells_off + (size_t)i * HELD_CELL;
}

static struct frame *frame(struct held *h, uint32_t i)
{
	return (struct frame *)(void *)cell(h, i);
}

static bool is_used(const struct held *h, uint32_t i)
{
	return h->used[i / 64] >> i % 64 & 1;
}

static void mark(struct held *h, uint32_t first, uint32_t n, bool used)
{
	for (uint32_t i = first; i < first + n; i++) {
		if (used)
			h->used[i / 64] |= 1ull << i % 64;
		else
			h->used[i / 64] &= ~(1ull << i % 64);
	}
	if (used)
		h->free -= n;
	else
		h->free += n;
	if (!used && first / 64 < h->low)
		h->low = first / 64;
}

/* The first of n neighbouring free cells, or HELD_NONE. */
static uint32_t find_run(struct held *h, uint32_t n)
{
	uint32_t end = words(h->cells) * 64, run = 0;

	if (n > h->free)
		return HELD_NONE;
	while (h->low < words(h->cells) && h->used[h->low] == ~0ull)
		h->low++;
	for (uint32_t i = h->low * 64; i < end;) {
		if (i % 64 == 0 && h->used[i / 64] == ~0ull) {
			run = 0;
			i += 64;
			continue;
		}
		run = is_used(h, i) ? 0 : run + 1;
		i++;
		if (run == n)
			return i - n;
	}
	return HELD_NONE;
}

uint32_t held_cells(const struct packet *p)
{
	return (uint32_t)((BYTES + packet_len(p) + HELD_CELL - 1) / HELD_CELL);
}

enum reason held_store(struct held *h, unsigned port, const struct packet *p, uint32_t *ret_at)
{
	uint32_t len = packet_len(p), n = held_cells(p), i = find_run(h, n);

	if (i == HELD_NONE)
		return R_STORE_FULL;
	mark(h, i, n, true);
	*frame(h, i) = (struct frame){ HELD_NONE, n, len, port, p->off, { 0 } };
	memcpy(cell(h, i) + BYTES, p->head, p->head_len);
	if (p->body_len)
		memcpy(cell(h, i) + BYTES + p->head_len, p->body, p->body_len);
	*ret_at = i;
	return R_NONE;
}

void held_link(struct held *h, struct held_queue *q, uint32_t prev, uint32_t at)
{
	struct frame *f = frame(h, at);

	f->next = prev == HELD_NONE ? q->first : frame(h, prev)->next;
	if (prev == HELD_NONE)
		q->first = at;
	else
		frame(h, prev)->next = at;
	if (f->next == HELD_NONE)
		q->last = at;
	q->cells += f->cells;
}

uint32_t held_unlink(struct held *h, struct held_queue *q, uint32_t prev)
{
	uint32_t at = prev == HELD_NONE ? q->first : frame(h, prev)->next;
	struct frame *f = frame(h, at);

	assert(at != HELD_NONE);
	if (prev == HELD_NONE)
		q->first = f->next;
	else
		frame(h, prev)->next = f->next;
	if (f->next == HELD_NONE)
		q->last = prev;
	q->cells -= f->cells;
	f->next = HELD_NONE;
	return at;
}

enum reason held_put(struct held *h, struct held_queue *q, unsigned port, const struct packet *p)
{
	enum reason why;
	uint32_t i;

	if (q->cells + held_cells(p) > HELD_FLOW_CELLS)
		return R_QUOTA;
	why = held_store(h, port, p, &i);
	if (why == R_NONE)
		held_link(h, q, q->last, i);
	return why;
}

uint32_t held_look(struct held *h, uint32_t at, unsigned *ret_port, struct packet *ret_p)
{
	struct frame *f = frame(h, at);

	*ret_port = f->port;
	*ret_p = (struct packet){ .head = cell(h, at) + BYTES, .head_len = f->len, .off = f->off };
	return f->next;
}

void held_give(struct held *h, uint32_t at, struct packet *ret_p)
{
	unsigned port;

	(void)held_look(h, at, &port, ret_p);
	frame(h, at)->next = h->taken;
	h->taken = at;
}

void held_take(struct held *h, struct held_queue *q, unsigned *ret_port, struct packet *ret_p)
{
	uint32_t at = held_unlink(h, q, HELD_NONE);

	*ret_port = frame(h, at)->port;
	held_give(h, at, ret_p);
}

void held_forget(struct held *h, uint32_t at)
{
	mark(h, at, frame(h, at)->cells, false);
}

void held_drop(struct held *h, struct held_queue *q)
{
	held_forget(h, held_unlink(h, q, HELD_NONE));
}

void *held_note(struct held *h, uint32_t at)
{
	return frame(h, at)->note;
}

uint32_t held_next(struct held *h, uint32_t at)
{
	return frame(h, at)->next;
}

unsigned held_clear(struct held *h, struct held_queue *q)
{
	unsigned n = 0;

	for (; q->first != HELD_NONE; n++)
		held_drop(h, q);
	return n;
}

unsigned held_drop_ports(struct held *h, struct held_queue *q, uint32_t ports)
{
	uint32_t prev = HELD_NONE, at = q->first;
	unsigned n = 0;

	while (at != HELD_NONE) {
		uint32_t next = frame(h, at)->next;

		if (ports >> frame(h, at)->port & 1) {
			held_forget(h, held_unlink(h, q, prev));
			n++;
		} else {
			prev = at;
		}
		at = next;
	}
	return n;
}

void held_sweep(struct held *h)
{
	while (unlikely(h->taken != HELD_NONE)) {
		uint32_t i = h->taken;

		h->taken = frame(h, i)->next;
		mark(h, i, frame(h, i)->cells, false);
	}
}

uint32_t held_free(const struct held *h)
{
	return h->free;
}
