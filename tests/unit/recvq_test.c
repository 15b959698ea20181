/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "frame.h"
#include "queues.h"

#define SPACE 20000u
#define CELLS 2048u
#define FLOOD 60000u

static uint64_t rng = 5;
static struct queues_seg m;

static uint32_t rnd(uint32_t below)
{
	return frame_random(&rng) % below;
}

/* --- the model: a flag for each byte of the stream, and the touched places, newest first */

struct block {
	uint32_t left, right;
};

struct model {
	uint32_t isn;
	bool got[SPACE + 1];
	uint32_t nxt; /* place of rcv_nxt */
	uint32_t touched[64]; /* newest first */
	unsigned touches;
	bool dup;
	struct block dsack;
};

static struct block run_of(const struct model *d, uint32_t at)
{
	struct block b = { at, at };

	while (b.left > 0 && d->got[b.left - 1])
		b.left--;
	while (d->got[b.right])
		b.right++;
	return b;
}

static void model_insert(struct model *d, uint32_t at, uint32_t n)
{
	d->dup = false;
	for (uint32_t i = at; i < at + n; i++) {
		if (!d->got[i])
			continue;
		if (!d->dup)
			d->dsack = (struct block){ i, i };
		else if (d->dsack.right != i)
			continue;
		d->dup = true;
		d->dsack.right = i + 1;
	}
	for (uint32_t i = at; i < at + n; i++)
		d->got[i] = true;
	while (d->got[d->nxt])
		d->nxt++;
	if (at > d->nxt) {
		if (d->touches < 64)
			d->touches++;
		memmove(d->touched + 1, d->touched, (d->touches - 1) * sizeof d->touched[0]);
		d->touched[0] = at;
	}
}

/* The blocks of the runs that were touched, newest first, each once: their number, 4 at most. */
static unsigned model_blocks(const struct model *d, struct block ret_b[4])
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->touches && n < 4; i++) {
		struct block b = run_of(d, d->touched[i]);
		bool seen = b.right <= d->nxt;

		for (unsigned j = 0; j < n; j++)
			seen |= ret_b[j].left == b.left;
		if (!seen)
			ret_b[n++] = b;
	}
	return n;
}

/* "D100-200 300-400": what the option says, in places of the stream. */
static const char *option_text(const struct model *d, const uint8_t *opt, unsigned len, bool dsack)
{
	static char text[256];
	size_t at = 0;

	text[0] = '\0';
	for (unsigned i = 4; i < len; i += 8)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s%s%u-%u", i > 4 ? " " : "",
				       i == 4 && dsack ? "D" : "", load_be32(opt + i) - d->isn,
				       load_be32(opt + i + 4) - d->isn);
	return text;
}

static const char *model_text(const struct model *d, unsigned most)
{
	static char text[256];
	struct block b[4];
	unsigned n = model_blocks(d, b), out = 0;
	size_t at = 0;

	text[0] = '\0';
	if (d->dup) {
		at += (size_t)snprintf(text, sizeof text, "D%u-%u", d->dsack.left, d->dsack.right);
		out++;
	}
	for (unsigned i = 0; i < n && out < most; i++, out++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s%u-%u", at ? " " : "",
				       b[i].left, b[i].right);
	return text;
}

static void insert(struct queues *q, struct model *d, uint32_t at, uint32_t n, uint32_t head)
{
	uint32_t before_it = d->nxt;

	model_insert(d, at, n);
	assert_int_equal(recvq_insert(q->s, q->c, queues_seg(&m, d->isn, at, n, head)),
			 d->nxt - before_it);
	assert_int_equal(q->c->rcv_nxt, d->isn + d->nxt);
}

static void expect_option(struct queues *q, const struct model *d, unsigned room, unsigned most)
{
	uint8_t opt[40];
	unsigned len = recvq_sack_write(q->c, room, opt);

	assert_true(len <= room);
	if (len > 0) {
		assert_int_equal(opt[0], 1);
		assert_int_equal(opt[1], 1);
		assert_int_equal(opt[2], 5);
		assert_int_equal(opt[3], len - 2);
	}
	assert_string_equal(option_text(d, opt, len, d->dup), model_text(d, most));
}

static struct model d;

static void fresh(struct queues *q, uint32_t isn)
{
	d = (struct model){ .isn = isn };
	q->c->rcv_nxt = q->c->rcv_adv = isn;
}

/* Reads all there is and compares: places [from, nxt). */
static uint32_t read_all(struct queues *q, uint32_t from)
{
	uint8_t buf[777];
	uint32_t n;

	while ((n = recvq_read(q->s, q->c, buf, 1 + rnd(sizeof buf), false)) > 0) {
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(buf[i], queues_byte(from + i));
		from += n;
	}
	return from;
}

static void nothing_left(struct queues *q, uint32_t cells)
{
	assert_int_equal(store_free_cells(stack_store(q->s)), cells);
	assert_int_equal(q->s->ofo_bytes, 0);
	assert_int_equal(q->c->recvq.unread, 0);
}

/* Every three segments of 1 to 3 units within six, in every order: the exact blocks after each. */
static void three_segments(uint32_t unit, uint32_t isn)
{
	for (uint32_t k = 0; k < 18 * 18 * 18; k++) {
		struct queues q;
		uint32_t pick[3] = { k % 18, k / 18 % 18, k / 324 };

		queues_new(&q, 64);
		fresh(&q, isn);
		for (unsigned i = 0; i < 3; i++) {
			insert(&q, &d, pick[i] / 3 * unit, (pick[i] % 3 + 1) * unit, rnd(2 * unit));
			expect_option(&q, &d, 36, 4);
		}
		assert_int_equal(read_all(&q, 0), d.nxt);
		recvq_clear(q.s, q.c);
		nothing_left(&q, 64);
		queues_free(&q);
	}
}

static void orders_of_three(void **state)
{
	(void)state;
	three_segments(100, 1000);
	three_segments(1, 0xfffffffdu);
	three_segments(1500, 0xfffff000u);
}

/* The bytes in order of the chain behind gaps: sorted, disjoint, and the cells of a run dense. */
static void chain_is_sound(const struct queues *q)
{
	const struct hold *h = &q->c->recvq.ofo;
	uint32_t bytes = 0, cells = 0, end = q->c->rcv_nxt, len = STORE_CELL_BYTES;

	for (uint32_t i = h->first; i != STORE_NONE;
	     i = store_cell_const(stack_store(q->s), i)->next) {
		const struct cell *x = store_cell_const(stack_store(q->s), i);

		assert_true(x->len > 0 && !before(x->seq.v, end));
		assert_true(x->seq.v != end || len + x->len > STORE_CELL_BYTES);
		end = x->seq.v + x->len;
		len = x->len;
		bytes += x->len;
		cells++;
		if (x->next == STORE_NONE)
			assert_int_equal(h->last, i);
	}
	assert_int_equal(bytes, h->bytes);
	assert_int_equal(cells, h->cells);
	assert_int_equal(q->s->ofo_bytes, cells * STORE_CELL);
}

/* Every block is a whole run, no two are the same, and the newest is first. */
static void blocks_are_runs(const struct queues *q)
{
	const struct recvq *r = &q->c->recvq;
	struct block b[4];
	unsigned n = model_blocks(&d, b);

	assert_int_equal(r->sacks > 0, n > 0);
	if (n > 0 && d.touched[0] > d.nxt)
		assert_int_equal(r->sack_left[0] - d.isn, b[0].left);
	for (unsigned i = 0; i < r->sacks; i++) {
		struct block run = run_of(&d, r->sack_left[i] - d.isn);

		assert_int_equal(run.left, r->sack_left[i] - d.isn);
		assert_int_equal(run.right, r->sack_right[i] - d.isn);
		assert_true(run.left > d.nxt);
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(r->sack_left[i], r->sack_left[j]);
	}
}

/* One stream in random pieces: overlapping, twice, in any order, with reads in between. */
static void stream_once(uint32_t isn, uint32_t reach, uint32_t piece)
{
	struct queues q;
	uint32_t done = 0;

	queues_new(&q, CELLS);
	q.c->rcvbuf = 1 << 20; /* no quota */
	fresh(&q, isn);
	while (d.nxt < SPACE) {
		uint32_t at = d.nxt + rnd(reach), n = 1 + rnd(piece);

		at = at > piece ? at - rnd(piece) : at;
		if (rnd(4) == 0)
			at = d.nxt;
		if (at >= SPACE)
			at = SPACE - 1;
		if (n > SPACE - at)
			n = SPACE - at;
		insert(&q, &d, at, n, rnd(2 * piece));
		chain_is_sound(&q);
		blocks_are_runs(&q);
		if (rnd(3) == 0)
			done = read_all(&q, done);
	}
	assert_int_equal(read_all(&q, done), SPACE);
	assert_int_equal(q.s->count[STACK_BYTES_IN], SPACE);
	assert_int_equal(q.s->count[STACK_OFO_DROPPED], 0);
	nothing_left(&q, CELLS);
	queues_free(&q);
}

static void random_streams(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 12; i++)
		stream_once(frame_random(&rng), 1 + rnd(9000), 200 + rnd(4000));
	stream_once(0u - SPACE / 2, 60, 40);
}

static void only_what_fits_is_told(void **state)
{
	struct queues q;

	(void)state;
	queues_new(&q, 64);
	fresh(&q, 7);
	for (uint32_t i = 1; i < 6; i++)
		insert(&q, &d, i * 200, 100, 50);
	insert(&q, &d, 200, 100, 0);
	expect_option(&q, &d, 28, 3); /* beside timestamps */
	d.dup = false; /* told once */
	expect_option(&q, &d, 36, 4);
	expect_option(&q, &d, 12, 1);
	assert_int_equal(recvq_sack_write(q.c, 11, m.head), 0);
	q.c->flags &= ~(uint32_t)CF_SACK;
	assert_int_equal(recvq_sack_write(q.c, 40, m.head), 0);
	recvq_clear(q.s, q.c);
	queues_free(&q);
}

/* What was below the window when it came. */
static void told_of_old_data(void **state)
{
	uint8_t opt[40];
	struct queues q;

	(void)state;
	queues_new(&q, 64);
	fresh(&q, 0);
	insert(&q, &d, 0, 1000, 0);
	insert(&q, &d, 2000, 500, 0);
	recvq_duplicate(q.c, 100, 300);
	recvq_duplicate(q.c, 300, 400);
	recvq_duplicate(q.c, 50, 50);
	assert_string_equal(option_text(&d, opt, recvq_sack_write(q.c, 40, opt), true),
			    "D100-400 2000-2500");
	assert_string_equal(option_text(&d, opt, recvq_sack_write(q.c, 40, opt), false),
			    "2000-2500");
	/* partly below it: the old part is told, not the part that was held behind the gap */
	insert(&q, &d, 900, 1200, 0);
	assert_string_equal(option_text(&d, opt, recvq_sack_write(q.c, 40, opt), true),
			    "D900-1000");
	recvq_clear(q.s, q.c);
	queues_free(&q);
}

static const struct seg *fin(uint32_t isn, uint32_t at, uint32_t n)
{
	queues_seg(&m, isn, at, n, n);
	m.g.flags |= TCP_FIN;
	m.g.len++;
	return &m.g;
}

static void fin_behind_a_gap(void **state)
{
	uint8_t opt[40];
	struct queues q;

	(void)state;
	queues_new(&q, 64);
	fresh(&q, 0);
	assert_int_equal(recvq_insert(q.s, q.c, fin(0, 100, 50)), 0);
	assert_false(recvq_fin(q.c));
	/* it is in the block that it ends */
	assert_string_equal(option_text(&d, opt, recvq_sack_write(q.c, 40, opt), false), "100-151");
	/* nothing is behind it */
	assert_int_equal(recvq_insert(q.s, q.c, queues_seg(&m, 0, 150, 10, 0)), 0);
	assert_int_equal(q.c->recvq.ofo.bytes, 50);
	/* nor is there a second one */
	assert_int_equal(recvq_insert(q.s, q.c, fin(0, 200, 0)), 0);
	assert_int_equal(recvq_insert(q.s, q.c, fin(0, 90, 0)), 0);
	assert_int_equal(recvq_insert(q.s, q.c, queues_seg(&m, 0, 0, 100, 0)), 150);
	assert_int_equal(q.c->rcv_nxt, 150);
	assert_true(recvq_fin(q.c));
	q.c->flags |= CF_FIN_IN;
	q.c->rcv_nxt++;
	assert_false(recvq_fin(q.c));
	assert_int_equal(read_all(&q, 0), 150);
	nothing_left(&q, 64);
	queues_free(&q);
}

static void fin_alone(void **state)
{
	struct queues q;

	(void)state;
	queues_new(&q, 64);
	fresh(&q, 0xffffffffu);
	assert_int_equal(recvq_insert(q.s, q.c, queues_seg(&m, 0xffffffffu, 10, 5, 0)), 0);
	/* one that would stand before held data is none */
	assert_int_equal(recvq_insert(q.s, q.c, fin(0xffffffffu, 12, 0)), 0);
	assert_false(q.c->recvq.fin_known);
	assert_int_equal(recvq_insert(q.s, q.c, fin(0xffffffffu, 0, 0)), 0);
	assert_false(q.c->recvq.fin_known);
	recvq_clear(q.s, q.c);
	assert_int_equal(recvq_insert(q.s, q.c, fin(0xffffffffu, 0, 0)), 0);
	assert_true(recvq_fin(q.c));
	queues_free(&q);
}

/* Every second byte of the window, one segment each. */
static void flood_of_single_bytes(void **state)
{
	struct queues q;
	uint32_t most = 2 * (65536 / STORE_CELL_BYTES) + 8, kept;

	(void)state;
	queues_new(&q, 1024);
	fresh(&q, 0);
	for (uint32_t i = 1; i < FLOOD; i += 2)
		recvq_insert(q.s, q.c, queues_seg(&m, 0, i, 1, 0));
	kept = q.c->recvq.ofo.bytes;
	assert_int_equal(q.c->recvq.ofo.cells, most);
	assert_int_equal(kept, most);
	assert_int_equal(q.s->count[STACK_OUT_OF_ORDER], most);
	assert_int_equal(q.s->count[STACK_OFO_DROPPED], FLOOD / 2 - most);
	/* what was SACKed is still there: the gaps between are enough */
	for (uint32_t i = 0; i < 2 * kept; i += 2)
		recvq_insert(q.s, q.c, queues_seg(&m, 0, i, 1, 0));
	assert_int_equal(q.c->rcv_nxt, 2 * kept);
	/* single bytes in order are dense */
	assert_int_equal(store_free_cells(stack_store(q.s)), 1023);
	assert_int_equal(read_all(&q, 0), 2 * kept);
	nothing_left(&q, 1024);
	queues_free(&q);
}

/* Neighbours that come to touch share a cell. */
static void neighbours_are_joined(void **state)
{
	struct queues q;

	(void)state;
	queues_new(&q, 256);
	fresh(&q, 0);
	for (uint32_t i = 11; i < 100; i += 2)
		insert(&q, &d, i, 1, 0);
	for (uint32_t i = 10; i < 101; i += 2)
		insert(&q, &d, i, 1, 1);
	assert_int_equal(q.c->recvq.ofo.cells, 1);
	assert_int_equal(q.c->recvq.ofo.bytes, 91);
	chain_is_sound(&q);
	recvq_clear(q.s, q.c);
	nothing_left(&q, 256);
	queues_free(&q);
}

static void bound_of_all(void **state)
{
	struct queues q;

	(void)state;
	queues_new(&q, 256);
	q.s->cfg.max_ofo = 5 * STORE_CELL;
	fresh(&q, 0);
	for (uint32_t i = 1; i <= 8; i++)
		recvq_insert(q.s, q.c, queues_seg(&m, 0, i * 3000, 1000, 0));
	assert_int_equal(q.c->recvq.ofo.cells, 5);
	assert_int_equal(q.s->ofo_bytes, 5 * STORE_CELL);
	assert_int_equal(q.s->count[STACK_OFO_DROPPED], 3);
	assert_int_equal(q.c->recvq.sack_left[0], 15000); /* nothing is told that is not held */
	recvq_clear(q.s, q.c);
	nothing_left(&q, 256);
	queues_free(&q);
}

/* Where in-order data finds no cell, what lies behind gaps goes. */
static void order_comes_first(void **state)
{
	static uint8_t answer[4 * STORE_CELL];
	uint8_t opt[40];
	struct queues q;

	(void)state;
	queues_new(&q, 16);
	q.s->cfg.max_ofo = 1 << 20;
	fresh(&q, 0);
	for (uint32_t i = 0; i < 15; i++)
		recvq_insert(q.s, q.c, queues_seg(&m, 0, 40000 + i * 3000, 1000, 0));
	assert_int_equal(
		q.c->recvq.ofo.cells,
		13); /* an eighth is kept for what goes out, a sixteenth for what closes gaps */
	assert_int_equal(recvq_insert(q.s, q.c, queues_seg(&m, 0, 0, 5000, 0)), 5000);
	assert_int_equal(q.c->recvq.ofo.cells, 0);
	assert_int_equal(q.s->ofo_bytes, 0);
	assert_int_equal(recvq_sack_write(q.c, 40, opt), 0);
	/* and where all memory is used up, as much is taken as there is */
	q.c->rcvbuf = 1 << 20;
	while (recvq_insert(q.s, q.c, queues_seg(&m, 0, q.c->rcv_nxt, 5000, 0)) > 0)
		;
	assert_int_equal(q.c->rcv_nxt, 14 * STORE_CELL_BYTES);
	assert_true(q.s->count[STACK_NO_MEMORY] > 0);
	assert_int_equal(recvq_window(q.s, q.c), 0);
	/* who answers what it reads needs no memory that its own input holds */
	q.c->sndbuf = 1 << 20;
	assert_int_equal(sendq_write(q.s, q.c, answer, sizeof answer), STORE_CELL_BYTES);
	sendq_clear(q.s, q.c);
	assert_int_equal(read_all(&q, 0), 14 * STORE_CELL_BYTES);
	assert_int_equal(recvq_window(q.s, q.c), 14 * STORE_CELL_BYTES);
	nothing_left(&q, 16);
	queues_free(&q);
}

static void window_is_never_shrunk(void **state)
{
	struct queues q;

	(void)state;
	queues_new(&q, 64);
	fresh(&q, 0xfffffff0u);
	assert_int_equal(recvq_window(q.s, q.c), 65536);
	q.c->rcv_adv = q.c->rcv_nxt + 65536;
	insert(&q, &d, 0, 1000, 0);
	assert_int_equal(recvq_window(q.s, q.c), 64536);
	q.c->rcvbuf = 10000;
	assert_int_equal(recvq_window(q.s, q.c), 64536);
	q.c->rcv_adv = q.c->rcv_nxt;
	assert_int_equal(recvq_window(q.s, q.c), 9000);
	recvq_clear(q.s, q.c);
	queues_free(&q);
}

static uint32_t taken, take_most;

static uint32_t take(void *ctx, uint64_t user, const uint8_t *bytes, uint32_t len)
{
	uint32_t n = len < take_most ? len : take_most;

	assert_ptr_equal(ctx, &taken);
	assert_int_equal(user, 9);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(bytes[i], queues_byte(taken + i));
	taken += n;
	take_most -= n;
	return n;
}

static void taken_from_the_packet(void **state)
{
	struct queues q;

	(void)state;
	queues_new(&q, 64);
	fresh(&q, 3);
	taken = 0;
	take_most = 1700;
	q.c->take = take;
	q.c->take_ctx = &taken;
	q.c->user = 9;
	insert(&q, &d, 0, 1000, 300);
	assert_int_equal(taken, 1000);
	assert_int_equal(q.c->recvq.unread, 0);
	insert(&q, &d, 1000, 1000, 0); /* 700 of them, from the body */
	assert_int_equal(taken, 1700);
	assert_int_equal(q.c->recvq.unread, 300);
	take_most = 5000;
	insert(&q, &d, 2000, 1000, 1000); /* what waits comes first */
	assert_int_equal(taken, 1700);
	assert_int_equal(read_all(&q, 1700), 3000);
	taken = 3000;
	take_most = 100;
	insert(&q, &d, 3000, 1000, 400); /* head only in part: the body is not offered */
	assert_int_equal(taken, 3100);
	assert_int_equal(read_all(&q, 3100), 4000);
	nothing_left(&q, 64);
	queues_free(&q);
}

static void peek_and_slices(void **state)
{
	struct stack_slice slice[8];
	uint8_t buf[5000];
	struct queues q;
	unsigned n;
	uint32_t at = 500;

	(void)state;
	queues_new(&q, 64);
	fresh(&q, 0);
	insert(&q, &d, 0, 5000, 100);
	recvq_consume(q.s, q.c, 500);
	assert_int_equal(recvq_read(q.s, q.c, buf, sizeof buf, true), 4500);
	n = recvq_slices(q.s, q.c, slice, 8);
	assert_int_equal(n, 3);
	for (unsigned i = 0; i < n; i++) {
		assert_memory_equal(slice[i].bytes, buf + at - 500, slice[i].len);
		at += slice[i].len;
	}
	assert_int_equal(at, 5000);
	assert_int_equal(recvq_slices(q.s, q.c, slice, 1), 1);
	assert_int_equal(read_all(&q, 500), 5000);
	assert_int_equal(recvq_slices(q.s, q.c, slice, 8), 0);
	nothing_left(&q, 64);
	queues_free(&q);
}

/* Data in a SYN stands behind the SYN. */
static void data_in_a_syn(void **state)
{
	struct queues q;

	(void)state;
	queues_new(&q, 64);
	fresh(&q, 0);
	q.c->rcv_nxt = 1000;
	queues_seg(&m, 999, 0, 40, 40);
	m.g.flags = TCP_SYN;
	assert_int_equal(recvq_insert(q.s, q.c, &m.g), 40);
	assert_int_equal(q.c->rcv_nxt, 1040);
	assert_int_equal(read_all(&q, 0), 40);
	queues_free(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orders_of_three),	  cmocka_unit_test(random_streams),
		cmocka_unit_test(only_what_fits_is_told), cmocka_unit_test(told_of_old_data),
		cmocka_unit_test(fin_behind_a_gap),	  cmocka_unit_test(fin_alone),
		cmocka_unit_test(flood_of_single_bytes),  cmocka_unit_test(neighbours_are_joined),
		cmocka_unit_test(bound_of_all),		  cmocka_unit_test(order_comes_first),
		cmocka_unit_test(window_is_never_shrunk), cmocka_unit_test(taken_from_the_packet),
		cmocka_unit_test(peek_and_slices),	  cmocka_unit_test(data_in_a_syn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
