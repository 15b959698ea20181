/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "frame.h"
#include "queues.h"

static uint64_t rng = 3;

static uint32_t rnd(uint32_t below)
{
	return frame_random(&rng) % below;
}

/* Writes n bytes of the stream from place `at` on: how many were taken. */
static uint32_t put(struct queues *q, uint32_t at, uint32_t n)
{
	static uint8_t buf[200000];

	assert_true(n <= sizeof buf);
	for (uint32_t i = 0; i < n; i++)
		buf[i] = queues_byte(at + i);
	return sendq_write(q->s, q->c, buf, n);
}

static unsigned lent;

static void give_back(void *ctx, uint64_t cookie)
{
	(void)ctx;
	free((void *)(uintptr_t)cookie);
	lent--;
}

/* The same, but the queue keeps none of the bytes. */
static uint32_t lend(struct queues *q, uint32_t at, uint32_t n)
{
	uint8_t *bytes = malloc(n);
	uint32_t done;

	assert_non_null(bytes);
	for (uint32_t i = 0; i < n; i++)
		bytes[i] = queues_byte(at + i);
	done = sendq_ref(q->s, q->c, bytes, n, (uintptr_t)bytes);
	assert_true(done == n || done == 0);
	lent += done != 0;
	if (!done)
		free(bytes);
	return done;
}

/* Fills at most so many bytes of the room. */
struct filler {
	uint32_t at, most;
};

static int fill(void *ctx, const struct stack_room *room, unsigned n)
{
	struct filler *f = ctx;
	uint32_t done = 0;

	for (unsigned i = 0; i < n; i++)
		for (uint32_t j = 0; j < room[i].len && done < f->most; j++)
			room[i].bytes[j] = queues_byte(f->at + done++);
	return (int)done;
}

static uint32_t filled(struct queues *q, uint32_t at, uint32_t n)
{
	struct filler f = { at, 1 + rnd(n) };
	int done = sendq_fill(q->s, q->c, n, fill, &f);

	assert_true(done > 0 || done == -EAGAIN);
	return done > 0 ? (uint32_t)done : 0;
}

/* The bytes [pos, pos + n) of the queue, whose front is place `front`. */
static void expect(struct queues *q, uint32_t front, uint32_t pos, uint32_t n)
{
	struct stack_slice slice[STACK_SLICES];
	uint32_t bytes = 0, at = 0;
	unsigned k = sendq_slices(q->s, q->c, pos, n, slice, STACK_SLICES, &bytes);

	assert_int_equal(bytes, n);
	for (unsigned i = 0; i < k; i++) {
		assert_true(slice[i].len > 0);
		for (uint32_t j = 0; j < slice[i].len; j++, at++)
			assert_int_equal(slice[i].bytes[j], queues_byte(front + pos + at));
	}
	assert_int_equal(at, n);
}

/* Writes, segments in order, retransmissions and ACKs, as they come. */
static void random_use(void **state)
{
	struct queues q;
	uint32_t front = 0, written = 0, next = 0;

	(void)state;
	queues_new(&q, 256);
	q.s->env.release = give_back;
	for (unsigned i = 0; i < 30000; i++) {
		uint32_t n = 1 + rnd(3000);

		switch (rnd(4)) {
		case 0:
			written += rnd(3) == 0	 ? lend(&q, written, n)
				   : rnd(2) == 0 ? filled(&q, written, n)
						 : put(&q, written, n);
			break;
		case 1: /* the next segment */
			n = n < written - next ? n : written - next;
			expect(&q, front, next - front, n);
			next += n;
			break;
		case 2: /* one again, anywhere */
			if (next > front) {
				uint32_t pos = rnd(next - front);

				n = n < next - front - pos ? n : next - front - pos;
				expect(&q, front, pos, n);
			}
			break;
		case 3:
			n = next > front ? rnd(next - front + 1) : 0;
			sendq_ack(q.s, q.c, n);
			front += n;
			break;
		}
		assert_int_equal(q.c->sendq.bytes, written - front);
		assert_int_equal(q.s->cells_out, 256 - store_free_cells(stack_store(q.s)));
	}
	assert_true(front > 1000000);
	sendq_ack(q.s, q.c, written - front);
	assert_int_equal(q.c->sendq.first, STORE_NONE);
	assert_int_equal(store_free_cells(stack_store(q.s)), 256);
	assert_int_equal(lent, 0);
	queues_free(&q);
}

static void bounds(void **state)
{
	struct stack_slice slice[4];
	struct queues q;
	uint32_t bytes = 7;

	(void)state;
	queues_new(&q, 256);
	q.c->sndbuf = 10000;
	assert_int_equal(sendq_room(q.s, q.c), 10000);
	assert_int_equal(put(&q, 0, 12000), 10000);
	assert_int_equal(sendq_room(q.s, q.c), 0);
	assert_int_equal(put(&q, 0, 1), 0);
	/* fewer slices than it takes */
	assert_int_equal(sendq_slices(q.s, q.c, 100, 5000, slice, 2, &bytes), 2);
	assert_int_equal(bytes, 2 * STORE_CELL_BYTES - 100);
	/* more than there is, and nothing */
	assert_int_equal(sendq_slices(q.s, q.c, 9999, 100, slice, 4, &bytes), 1);
	assert_int_equal(bytes, 1);
	assert_int_equal(sendq_slices(q.s, q.c, 10000, 1, slice, 4, &bytes), 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(sendq_slices(q.s, q.c, 0, 0, slice, 4, &bytes), 0);
	q.c->sndbuf = 5000; /* smaller than what is in it */
	assert_int_equal(sendq_room(q.s, q.c), 0);
	sendq_ack(q.s, q.c, 99999); /* no more than there is */
	assert_int_equal(q.c->sendq.bytes, 0);
	sendq_clear(q.s, q.c);
	assert_int_equal(store_free_cells(stack_store(q.s)), 256);
	queues_free(&q);
}

/* Writes to connection number k: how many cells it got. */
static uint32_t fill_cells(struct queues *q, unsigned k, uint32_t bytes)
{
	struct conn *c = conn_at(q->s, k);
	static uint8_t buf[1 << 20];
	uint32_t room = sendq_room(q->s, c), n;

	c->sndbuf = 1 << 20;
	n = sendq_write(q->s, c, buf, bytes);
	assert_int_equal(n, room < bytes ? room : bytes); /* what was said is had */
	assert_int_equal(sendq_room(q->s, c), room - n);
	return c->sendq.cells;
}

/*
 * An eighth of the memory is for the other direction.  Of what goes out a connection may have all but a quarter; what is left goes to who
 * has less than that, so that there is something for the next one.
 */
static void memory_is_shared(void **state)
{
	struct queues q;

	(void)state;
	queues_new(&q, 640);
	for (unsigned k = 0; k < QUEUES_CONNS; k++)
		conn_at(q.s, k)->sndbuf = 1 << 20;
	assert_int_equal(fill_cells(&q, 0, 1 << 20), 400); /* 560 less 160 */
	assert_int_equal(fill_cells(&q, 1, 1 << 20), 17);
	assert_int_equal(fill_cells(&q, 2, 1 << 20), 16);
	for (unsigned k = 3; k < QUEUES_CONNS; k++)
		(void)fill_cells(&q, k, 1 << 20);
	/* who has much gets nothing of what the others give back, but the next one does */
	sendq_clear(q.s, conn_at(q.s, 1));
	assert_int_equal(sendq_room(q.s, q.c), 0);
	assert_int_equal(fill_cells(&q, 1, 1 << 20), 9);
	for (unsigned k = 0; k < QUEUES_CONNS; k++)
		sendq_clear(q.s, conn_at(q.s, k));
	assert_int_equal(q.s->cells_out, 0);
	assert_int_equal(store_free_cells(stack_store(q.s)), 640);
	queues_free(&q);
}

/* Who waits is told when a cell is free, in order of asking; and if that one has no use for it, the next one. */
static void waiting(void **state)
{
	struct queues q;
	struct conn *a, *b;
	uint8_t byte = 1;

	(void)state;
	queues_new(&q, 16);
	a = conn_at(q.s, 6);
	b = conn_at(q.s, 7);
	for (unsigned k = 0; k < 5; k++)
		(void)fill_cells(&q, k, 50000);
	assert_int_equal(sendq_room(q.s, a), 0);
	assert_int_equal(cells_take_out(q.s, a), STORE_NONE);
	cells_wait(q.s, a);
	cells_wait(q.s, b);
	cells_wait(q.s, a);
	cells_tell(q.s); /* there is none */
	assert_true((a->flags & CF_STARVED) && (b->flags & CF_STARVED));
	sendq_ack(q.s, q.c, STORE_CELL_BYTES - 1);
	assert_true(a->flags & CF_STARVED);
	sendq_ack(q.s, q.c, 1);
	assert_false(a->flags & CF_STARVED);
	assert_true(a->events & CONN_WRITABLE);
	assert_true(b->flags & CF_STARVED);
	cells_tell(q.s); /* a has not taken it */
	assert_false(b->flags & CF_STARVED);
	assert_true(b->events & CONN_WRITABLE);
	assert_int_equal(sendq_write(q.s, b, &byte, 1), 1);
	assert_int_equal(cells_take_out(q.s, a), STORE_NONE);
	cells_wait(q.s, a);
	cells_wait(q.s, conn_at(q.s, 5));
	for (unsigned k = 0; k < QUEUES_CONNS; k++)
		sendq_clear(q.s, conn_at(q.s, k)); /* leaves the list, and wakes the others */
	assert_int_equal(q.s->starved_first, 0);
	assert_int_equal(q.s->starved_last, 0);
	assert_int_equal(store_free_cells(stack_store(q.s)), 16);
	queues_free(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_use),
		cmocka_unit_test(bounds),
		cmocka_unit_test(memory_is_shared),
		cmocka_unit_test(waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
