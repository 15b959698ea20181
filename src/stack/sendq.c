/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

/*
 * A chain of cells, each full but the last: byte `pos` of the queue is found by walking.  Segments are taken from the queue in order, so
 * the cell behind the last one taken is kept as a place to walk on from; a retransmission walks from the front.
 */

void sendq_init(struct sendq *q)
{
	*q = (struct sendq){ .first = STORE_NONE, .last = STORE_NONE, .at_cell = STORE_NONE };
}

uint32_t sendq_room(const struct stack *s, const struct conn *c)
{
	const struct sendq *q = &c->sendq;
	uint32_t room = c->sndbuf > q->bytes ? c->sndbuf - q->bytes : 0;
	uint32_t memory = cells_room_out(s);

	if (q->last != STORE_NONE)
		memory += STORE_CELL_BYTES - store_cell_const(stack_store(s), q->last)->len;
	return room < memory ? room : memory;
}

/* The last cell if it has room, else a new one behind it; NULL: no memory. */
static struct cell *tail(struct stack *s, struct sendq *q)
{
	struct store *st = stack_store(s);
	struct cell *x = q->last == STORE_NONE ? NULL : store_cell(st, q->last);
	uint32_t i;

	if (x != NULL && x->len < STORE_CELL_BYTES)
		return x;
	i = cells_take_out(s);
	if (i == STORE_NONE)
		return NULL;
	if (x != NULL)
		x->next = i;
	else
		q->first = i;
	q->last = i;
	return store_cell(st, i);
}

uint32_t sendq_write(struct stack *s, struct conn *c, const uint8_t *bytes, uint32_t len)
{
	struct sendq *q = &c->sendq;
	uint32_t room = c->sndbuf > q->bytes ? c->sndbuf - q->bytes : 0;
	uint32_t done = 0;

	if (len > room)
		len = room;
	while (done < len) {
		struct cell *x = tail(s, q);
		uint32_t n;

		if (x == NULL)
			break;
		n = STORE_CELL_BYTES - x->len;
		if (n > len - done)
			n = len - done;
		memcpy(x->bytes + x->len, bytes + done, n);
		x->len = (uint16_t)(x->len + n);
		done += n;
	}
	q->bytes += done;
	return done;
}

/* The place `pos` bytes behind the front (pos < bytes): its cell, and the offset in it. */
static uint32_t place(const struct stack *s, const struct sendq *q, uint32_t pos, uint32_t *ret_off)
{
	uint32_t i = q->first, off = q->skip, left = pos;

	if (q->at_cell != STORE_NONE && q->at_pos <= pos) {
		i = q->at_cell;
		off = q->at_off;
		left = pos - q->at_pos;
	}
	for (;;) {
		const struct cell *x = store_cell_const(stack_store(s), i);
		uint32_t here = x->len - off;

		if (left < here) {
			*ret_off = off + left;
			return i;
		}
		left -= here;
		off = 0;
		i = x->next;
	}
}

unsigned sendq_slices(const struct stack *s, struct conn *c, uint32_t pos, uint32_t n,
		      struct stack_slice *ret_s, unsigned max, uint32_t *ret_bytes)
{
	struct sendq *q = &c->sendq;
	uint32_t i, off, done = 0;
	unsigned slices = 0;

	*ret_bytes = 0;
	if (pos >= q->bytes || n == 0)
		return 0;
	if (n > q->bytes - pos)
		n = q->bytes - pos;
	i = place(s, q, pos, &off);
	while (done < n && slices < max) {
		const struct cell *x = store_cell_const(stack_store(s), i);
		uint32_t here = x->len - off;

		if (here > n - done)
			here = n - done;
		ret_s[slices++] = (struct stack_slice){ x->bytes + off, here };
		done += here;
		/* The next segment begins here, or in the next cell once there is one. */
		q->at_cell = i;
		q->at_off = off + here;
		q->at_pos = pos + done;
		off = 0;
		i = x->next;
	}
	*ret_bytes = done;
	return slices;
}

static void drop_front(struct stack *s, struct sendq *q)
{
	uint32_t i = q->first;

	q->first = store_cell_const(stack_store(s), i)->next;
	if (q->first == STORE_NONE)
		q->last = STORE_NONE;
	if (q->at_cell == i)
		q->at_cell = STORE_NONE;
	q->skip = 0;
	cells_give(s, i);
}

void sendq_ack(struct stack *s, struct conn *c, uint32_t n)
{
	struct sendq *q = &c->sendq;

	if (n > q->bytes)
		n = q->bytes;
	q->bytes -= n;
	if (q->at_pos < n)
		q->at_cell = STORE_NONE;
	q->at_pos -= n;
	while (n > 0) {
		uint32_t here = store_cell_const(stack_store(s), q->first)->len - q->skip;

		if (n < here) {
			q->skip += n;
			break;
		}
		n -= here;
		drop_front(s, q);
	}
}

void sendq_clear(struct stack *s, struct conn *c)
{
	struct sendq *q = &c->sendq;

	cells_wait_off(s, c);
	while (q->first != STORE_NONE)
		drop_front(s, q);
	sendq_init(q);
}
