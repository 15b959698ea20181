/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

#include <assert.h>
#include <errno.h>

/*
 * A chain of cells, each full but the last: byte `pos` of the queue is found by walking.  Segments are taken from the queue in order, so
 * the cell behind the last one taken is kept as a place to walk on from; a retransmission walks from the front.
 *
 * A cell may also stand for bytes that somebody else keeps (CELL_REF): then it holds where they are, how many, and what to call them
 * when they are not needed any more.
 */

#define CELL_REF 0x80u /* cell.flags */

struct ref {
	const uint8_t *bytes;
	uint64_t cookie;
	uint32_t len;
};

static struct ref ref_of(const struct cell *x)
{
	struct ref r;

	memcpy(&r, x->bytes, sizeof(r));
	return r;
}

uint32_t sendq_cell_len(const struct cell *x)
{
	return x->flags & CELL_REF ? ref_of(x).len : x->len;
}

static const uint8_t *bytes_of(const struct cell *x)
{
	return x->flags & CELL_REF ? ref_of(x).bytes : x->bytes;
}

/* Room in a cell for bytes of our own. */
static uint32_t room_in(const struct cell *x)
{
	return x->flags & CELL_REF ? 0 : STORE_CELL_BYTES - x->len;
}

void sendq_init(struct sendq *q)
{
	*q = (struct sendq){ .first = STORE_NONE, .last = STORE_NONE, .at_cell = STORE_NONE };
}

uint32_t sendq_room(const struct stack *s, const struct conn *c)
{
	const struct sendq *q = &c->sendq;
	uint32_t room = c->sndbuf > q->bytes ? c->sndbuf - q->bytes : 0;
	uint32_t memory = cells_room_out(s, c);

	if (q->last != STORE_NONE)
		memory += room_in(store_cell_const(stack_store(s), q->last));
	return room < memory ? room : memory;
}

/* Puts a cell behind the last one. */
static void append(struct stack *s, struct sendq *q, uint32_t i)
{
	if (q->last != STORE_NONE)
		store_cell(stack_store(s), q->last)->next = i;
	else
		q->first = i;
	q->last = i;
}

/* The last cell if it has room, else a new one behind it; NULL: no memory. */
static struct cell *tail(struct stack *s, struct conn *c)
{
	struct store *st = stack_store(s);
	struct sendq *q = &c->sendq;
	struct cell *x = q->last == STORE_NONE ? NULL : store_cell(st, q->last);
	uint32_t i;

	if (x != NULL && room_in(x) > 0)
		return x;
	i = cells_take_out(s, c);
	if (i == STORE_NONE)
		return NULL;
	append(s, q, i);
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
		struct cell *x = tail(s, c);
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

uint32_t sendq_ref(struct stack *s, struct conn *c, const uint8_t *bytes, uint32_t len,
		   uint64_t cookie)
{
	struct sendq *q = &c->sendq;
	struct ref r = { bytes, cookie, len };
	uint32_t i;

	if (q->bytes >= c->sndbuf)
		return 0;
	i = cells_take_out(s, c);
	if (i == STORE_NONE)
		return 0;
	store_cell(stack_store(s), i)->flags = CELL_REF;
	memcpy(store_cell(stack_store(s), i)->bytes, &r, sizeof(r));
	append(s, q, i);
	q->bytes += len;
	return len;
}

/*
 * Places for up to len bytes: first what the last cell has (*ret_tail: it has some), then new cells, which are a chain of their
 * own until they are filled.
 */
static unsigned fill_places(struct stack *s, struct conn *c, uint32_t len, struct stack_room *ret_r,
			    bool *ret_tail, uint32_t *ret_fresh)
{
	struct store *st = stack_store(s);
	const struct sendq *q = &c->sendq;
	struct cell *x = q->last == STORE_NONE ? NULL : store_cell(st, q->last);
	uint32_t *next = ret_fresh;
	unsigned n = 0;

	*ret_tail = x != NULL && room_in(x) > 0 && len > 0;
	*ret_fresh = STORE_NONE;
	if (*ret_tail) {
		ret_r[0].bytes = x->bytes + x->len;
		ret_r[0].len = room_in(x) < len ? room_in(x) : len;
		len -= ret_r[n++].len;
	}
	while (len > 0 && n < STACK_SLICES) {
		uint32_t i = cells_take_out(s, c);

		if (i == STORE_NONE)
			break;
		*next = i;
		next = &store_cell(st, i)->next;
		ret_r[n].bytes = store_cell(st, i)->bytes;
		ret_r[n].len = len < STORE_CELL_BYTES ? len : STORE_CELL_BYTES;
		len -= ret_r[n++].len;
	}
	return n;
}

int sendq_fill(struct stack *s, struct conn *c, uint32_t len, stack_filler fill, void *ctx)
{
	struct store *st = stack_store(s);
	struct sendq *q = &c->sendq;
	struct stack_room room[STACK_SLICES];
	uint32_t space = c->sndbuf > q->bytes ? c->sndbuf - q->bytes : 0, fresh, left;
	bool tail;
	unsigned n = fill_places(s, c, len < space ? len : space, room, &tail, &fresh);
	int got = n > 0 ? fill(ctx, room, n) : 0;

	left = got > 0 ? (uint32_t)got : 0;
	q->bytes += left;
	for (unsigned k = 0; k < n; k++) {
		uint32_t here = left < room[k].len ? left : room[k].len, i = fresh;

		left -= here;
		if (k == 0 && tail) {
			store_cell(st, q->last)->len =
				(uint16_t)(store_cell(st, q->last)->len + here);
			continue;
		}
		fresh = store_cell(st, i)->next;
		store_cell(st, i)->next = STORE_NONE;
		store_cell(st, i)->len = (uint16_t)here;
		if (here > 0)
			append(s, q, i);
		else
			cells_give_out(s, c, i);
	}
	assert(left == 0); /* fill() has put no more than there was room for */
	return n > 0 ? got : -EAGAIN;
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
		uint32_t here = sendq_cell_len(x) - off;

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
		uint32_t here = sendq_cell_len(x) - off;

		if (here > n - done)
			here = n - done;
		ret_s[slices++] = (struct stack_slice){ bytes_of(x) + off, here };
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

static void drop_front(struct stack *s, struct conn *c)
{
	struct sendq *q = &c->sendq;
	uint32_t i = q->first;
	const struct cell *x = store_cell_const(stack_store(s), i);

	if (x->flags & CELL_REF && s->env.release != NULL)
		s->env.release(s->env.ctx, ref_of(x).cookie);
	q->first = x->next;
	if (q->first == STORE_NONE)
		q->last = STORE_NONE;
	if (q->at_cell == i)
		q->at_cell = STORE_NONE;
	q->skip = 0;
	cells_give_out(s, c, i);
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
		uint32_t here = sendq_cell_len(store_cell_const(stack_store(s), q->first)) -
				q->skip;

		if (n < here) {
			q->skip += n;
			break;
		}
		n -= here;
		drop_front(s, c);
	}
}

void sendq_clear(struct stack *s, struct conn *c)
{
	struct sendq *q = &c->sendq;

	cells_wait_off(s, c);
	while (q->first != STORE_NONE)
		drop_front(s, c);
	sendq_init(q);
}
