/* SPDX-License-Identifier: MIT */
#include "base/wheel.h"

#include <assert.h>

#include "base/compiler.h"

/*
 * Theory of operation
 *
 * Time is counted in ticks.  A tick number is read as digits of 8 bits, and each of the 6
 * digits has a level of 256 slots: 6 x 8 bits hold every tick that a 64-bit time can name, so
 * nothing is ever out of range.  A timer lies at the level of the highest digit in which its
 * tick differs from the present one, in the slot of its own digit there.
 *
 *     level 0    the next 256 ticks, exactly           (64 ms)
 *     level 1    256 slots of 64 ms                    (16 s)
 *     level 2    256 slots of 16 s                     (70 min)
 *     ...
 *
 * The present moves to the beginning of the first slot in use, until none begins at or before
 * now.  What lies in that slot either is due or agrees with the present in one digit more, and
 * moves down (a cascade).  A timer moves at most 5 times in its life, and not at all if it is
 * cancelled or moved before: so arming and cancelling never depend on how many are armed, and a
 * cascade touches the timers of one slot only.
 *
 * Invariants:
 * - All timers of one tick lie in one list, in order of arming: their slot is a function of
 *   tick and present, and a cascade keeps the order.
 * - Slots in use lie after the present, and those of a lower level begin before those of a
 *   higher one.  So the first slot is the lowest bit of the lowest level that has any.
 * - Passing over unused slots changes no timer's level, so the present may jump.
 *
 * Timers that are due wait in a list of their own.  One armed for the past joins its end.
 *
 * Lists are circular through a head, all by index; heads and timers share one array, so a timer
 * leaves without knowing which list it is in.  Index 0 is no list: next == 0 says "not armed",
 * and a zeroed block needs no set-up for timers that were never used.
 */

enum { BITS = 8, SLOTS = 1 << BITS, LEVELS = 6, DUE = 1, FIRST_SLOT = 2 };

#define HEADS ((uint32_t)(FIRST_SLOT + LEVELS * SLOTS))
#define TICK_LAST (SUT_NEVER / WHEEL_TICK) /* the last that begins before SUT_NEVER */

_Static_assert(TICK_LAST >> (BITS * LEVELS) == 0, "the levels hold every tick");

struct node {
	uint64_t tick;
	uint32_t next, prev; /* next is 0 where the timer is not armed */
};

struct wheel {
	sut_time now; /* of the last pop */
	uint64_t tick; /* the present: now in ticks, rounded down */
	uint64_t used[LEVELS][SLOTS / 64]; /* bit per slot that holds a timer */
	uint32_t n;
	struct node node[]; /* heads, then timers */
};

static void append(struct wheel *w, uint32_t head, uint32_t id)
{
	uint32_t last = w->node[head].prev;

	w->node[id].next = head;
	w->node[id].prev = last;
	w->node[last].next = id;
	w->node[head].prev = id;
	if (head >= FIRST_SLOT) {
		uint32_t slot = head - FIRST_SLOT;

		w->used[slot / SLOTS][slot % SLOTS / 64] |= (uint64_t)1 << slot % 64;
	}
}

static void detach(struct wheel *w, uint32_t id)
{
	uint32_t next = w->node[id].next, prev = w->node[id].prev;

	w->node[prev].next = next;
	w->node[next].prev = prev;
	w->node[id].next = 0;
	if (next == prev && next >= FIRST_SLOT && next < HEADS) {
		uint32_t slot = next - FIRST_SLOT;

		w->used[slot / SLOTS][slot % SLOTS / 64] &= ~((uint64_t)1 << slot % 64);
	}
}

/* Puts a timer that is in no list where its tick belongs. */
static void place(struct wheel *w, uint32_t id)
{
	uint64_t tick = w->node[id].tick;
	uint32_t head = DUE;

	if (tick > w->tick) {
		unsigned level = bit_highest(tick ^ w->tick) / BITS;

		head = FIRST_SLOT + level * SLOTS + (uint32_t)(tick >> (BITS * level)) % SLOTS;
	}
	append(w, head, id);
}

/* The first slot in use and the tick at which it begins; false if there is none. */
static bool first_slot(const struct wheel *w, uint32_t *ret_head, uint64_t *ret_start)
{
	for (unsigned level = 0; level < LEVELS; level++) {
		for (unsigned i = 0; i < SLOTS / 64; i++) {
			unsigned below = BITS * level;
			uint64_t slot;

			if (w->used[level][i] == 0)
				continue;
			slot = i * 64 + bit_lowest(w->used[level][i]);
			*ret_head = (uint32_t)(FIRST_SLOT + level * SLOTS + slot);
			*ret_start = (w->tick >> (below + BITS) << BITS | slot) << below;
			return true;
		}
	}
	return false;
}

/* Moves the present to tick, and what becomes due on the way to its list, in order. */
static void advance(struct wheel *w, uint64_t tick)
{
	uint32_t head, id;
	uint64_t start;

	while (first_slot(w, &head, &start) && start <= tick) {
		w->tick = start;
		while ((id = w->node[head].next) != head) {
			detach(w, id);
			place(w, id);
		}
	}
	w->tick = tick;
}

size_t wheel_need(uint32_t n)
{
	size_t size = sizeof(struct wheel) + ((size_t)HEADS + n) * sizeof(struct node);

	return (size + 63) & ~(size_t)63;
}

struct wheel *wheel_init(void *block, uint32_t n)
{
	struct wheel *w = block;

	assert(n <= (uint32_t)1 << 31);
	w->n = n;
	for (uint32_t i = DUE; i < HEADS; i++)
		w->node[i].next = w->node[i].prev = i;
	return w;
}

bool wheel_armed(const struct wheel *w, uint32_t i)
{
	assert(i < w->n);
	return w->node[HEADS + i].next != 0;
}

void wheel_cancel(struct wheel *w, uint32_t i)
{
	if (wheel_armed(w, i))
		detach(w, HEADS + i);
}

void wheel_arm(struct wheel *w, uint32_t i, sut_time at)
{
	wheel_cancel(w, i);
	if (at > TICK_LAST * WHEEL_TICK)
		return;
	w->node[HEADS + i].tick = at <= w->now ? w->tick : at / WHEEL_TICK + (at % WHEEL_TICK != 0);
	place(w, HEADS + i);
}

uint32_t wheel_pop(struct wheel *w, sut_time now)
{
	uint32_t id;

	if (now > w->now) {
		w->now = now;
		advance(w, now / WHEEL_TICK);
	}
	id = w->node[DUE].next;
	if (id == DUE)
		return WHEEL_NONE;
	detach(w, id);
	return id - HEADS;
}

sut_time wheel_deadline(const struct wheel *w)
{
	uint32_t head;
	uint64_t start;

	if (w->node[DUE].next != DUE)
		return w->now;
	return first_slot(w, &head, &start) ? start * WHEEL_TICK : SUT_NEVER;
}
