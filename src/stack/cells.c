/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

/*
 * The cells of a stack are for both directions of all connections.  Of each direction an eighth of them is kept back from the other:
 * so writers cannot keep what was sent to us from being taken, readers that do not read cannot keep us from answering, and who answers
 * what it reads (an echo) never waits for memory that its own unread input holds.
 *
 * A connection whose write found no cell may have nothing in flight, and so nothing that would wake it: it waits in a list, and
 * is told when cells come back, the oldest first.
 */

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

uint32_t cells_room_out(const struct stack *s)
{
	uint32_t n = store_free_cells(stack_store(s)), kept = kept_back(s, used_in(s));

	return n > kept ? bytes_of(n - kept) : 0;
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

uint32_t cells_take_out(struct stack *s)
{
	uint32_t i = cells_room_out(s) > 0 ? take(s) : STORE_NONE;

	s->cells_out += i != STORE_NONE;
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

void cells_give(struct stack *s, uint32_t i)
{
	store_give(stack_store(s), i);
	if (s->starved_first && cells_room_out(s) > 0) {
		struct conn *c = conn_at(s, s->starved_first - 1);

		cells_wait_off(s, c);
		c->flags &= ~(uint32_t)CF_WANT_WRITE;
		conn_tell(s, c, CONN_WRITABLE);
	}
}

void cells_give_out(struct stack *s, uint32_t i)
{
	s->cells_out--;
	cells_give(s, i);
}
