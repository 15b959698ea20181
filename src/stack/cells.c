/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

/*
 * The cells of a stack are for both directions of all connections.  Of each direction an eighth of them is kept back from the other:
 * so writers cannot keep what was sent to us from being taken, readers that do not read cannot keep us from answering, and who answers
 * what it reads (an echo) never waits for memory that its own unread input holds.
 *
 * Peers that never read could hold all cells of what goes out.  So the last quarter of the memory is shared: there a connection takes a cell
 * only while it has no more than an eighth of those that are left.  And half of that quarter, as far as there may be connections, is
 * for who has none: so each has one, however many peers read nothing, as long as there are so many cells.
 *
 * A connection whose write found no cell and that has none has nothing in flight, and so nothing that would wake it: it waits in a list, and
 * is told when cells come back, the oldest first.  One that has some is told when they are acknowledged (input.c).  Who is told may have
 * no use for the cell any more, so the flush tells others as long as there are cells.
 */

enum { FEW = 4, PART = 8 }; /* parts of all cells, and of those that are left */

/* Of the cells that are free, those that a direction must leave: what the other one, which has used so many, lacks of its eighth. */
static uint32_t kept_back(const struct stack *s, uint32_t used)
{
	const uint32_t share = s->cfg.cells / 8;

	return used < share ? share - used : 0;
}

static uint32_t used_in(const struct stack *s)
{
	return s->cfg.cells - store_free_cells(stack_store(s)) - s->cells_out;
}

/* More than any window or buffer; sums of it and a window do not wrap. */
#define BYTES_MAX (1u << 30)

static uint32_t bytes_of(uint32_t cells)
{
	return cells > BYTES_MAX / STORE_CELL_BYTES ? BYTES_MAX : cells * STORE_CELL_BYTES;
}

uint32_t cells_free_in(const struct stack *s)
{
	uint32_t n = store_free_cells(stack_store(s)), kept = kept_back(s, s->cells_out);

	return n > kept ? n - kept : 0;
}

uint32_t cells_room_in(const struct stack *s)
{
	return bytes_of(cells_free_in(s));
}

/* Cells for what goes out that can still be had by some connection. */
static uint32_t free_out(const struct stack *s)
{
	uint32_t n = store_free_cells(stack_store(s)), kept = kept_back(s, used_in(s));

	return n > kept ? n - kept : 0;
}

/* How many of them c may take. */
static uint32_t share(const struct stack *s, const struct conn *c)
{
	const uint32_t few = s->cfg.cells / FEW, half = few / 2;
	const uint32_t last = half < s->cfg.max_conns ? half : s->cfg.max_conns;
	uint32_t n = free_out(s), easy = n > few ? n - few : 0, has = c->sendq.cells + easy;
	uint32_t more = n - easy > last ? n - easy - last : 0;

	/* In the last quarter one by one, while it has no more than a part of what is left. */
	if (more > 0 && more >= PART * has)
		return easy + (more - PART * has) / (PART + 1) + 1;
	return has == 0 && n > 0 ? 1 : easy;
}

uint32_t cells_room_out(const struct stack *s, const struct conn *c)
{
	return bytes_of(share(s, c));
}

static uint32_t take(struct stack *s)
{
	uint32_t i = store_take(stack_store(s));

	if (i != STORE_NONE) {
		struct cell *x = store_cell(stack_store(s), i);

		x->next = STORE_NONE;
		x->len = 0;
		x->flags = 0;
	}
	return i;
}

uint32_t cells_take_in(struct stack *s)
{
	return cells_free_in(s) > 0 ? take(s) : STORE_NONE;
}

uint32_t cells_take_out(struct stack *s, struct conn *c)
{
	uint32_t i = share(s, c) > 0 ? take(s) : STORE_NONE;

	if (i != STORE_NONE) {
		s->cells_out++;
		c->sendq.cells++;
	}
	return i;
}

void cells_wait(struct stack *s, struct conn *c)
{
	uint32_t i = conn_index(s, c) + 1;

	if (c->flags & CF_STARVED)
		return;
	c->flags |= CF_STARVED;
	c->next_starved = 0;
	c->prev_starved = s->starved_last;
	if (s->starved_last)
		conn_at(s, s->starved_last - 1)->next_starved = i;
	else
		s->starved_first = i;
	s->starved_last = i;
}

void cells_wait_off(struct stack *s, struct conn *c)
{
	if (!(c->flags & CF_STARVED))
		return;
	c->flags &= ~(uint32_t)CF_STARVED;
	if (c->prev_starved)
		conn_at(s, c->prev_starved - 1)->next_starved = c->next_starved;
	else
		s->starved_first = c->next_starved;
	if (c->next_starved)
		conn_at(s, c->next_starved - 1)->prev_starved = c->prev_starved;
	else
		s->starved_last = c->prev_starved;
}

/* The one that has waited longest; it has no cells (or it would not be here), so that one is left is all that it takes. */
static void tell_first(struct stack *s)
{
	struct conn *c = conn_at(s, s->starved_first - 1);

	cells_wait_off(s, c);
	c->flags &= ~(uint32_t)CF_WANT_WRITE;
	conn_tell(s, c, CONN_WRITABLE);
}

void cells_give(struct stack *s, uint32_t i)
{
	store_give(stack_store(s), i);
	if (s->starved_first && free_out(s) > 0)
		tell_first(s);
}

void cells_give_out(struct stack *s, struct conn *c, uint32_t i)
{
	s->cells_out--;
	c->sendq.cells--;
	cells_give(s, i);
}

void cells_tell(struct stack *s)
{
	for (uint32_t n = free_out(s); n > 0 && s->starved_first; n--)
		tell_first(s);
}
