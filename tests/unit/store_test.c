/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/store.h"
#include "frame.h"

#define CELLS 64u
#define SPACE 4096u /* the model's bytes */

static uint64_t rng = 11;

static uint32_t rnd(uint32_t below)
{
	return frame_random(&rng) % below;
}

static struct store *new_store(uint32_t cells)
{
	struct store *s = aligned_alloc(64, (store_need(cells) + 63) / 64 * 64);

	assert_non_null(s);
	memset(s, 0, sizeof(uint64_t) * 8);
	return store_init(s, cells);
}

static struct frame f;
static struct view v;

/* A segment of n bytes, each `fill` (or the frame's own pattern for 0). */
static struct packet *segment(uint32_t n, uint8_t flags, uint8_t fill)
{
	struct packet *p;

	frame_eth(&f, NULL, 0x0800);
	frame_ip4(&f, 6, 0);
	frame_tcp(&f, flags, FRAME_TS, 12);
	frame_payload(&f, n);
	if (fill)
		memset(f.buf + f.len - n, fill, n);
	p = frame_end(&f);
	assert_int_equal(view_parse(p, &v), R_NONE);
	return p;
}

static enum reason insert(struct store *s, struct hold *h, uint32_t seq, uint32_t n, uint8_t flags,
			  uint8_t fill, uint32_t piece, uint16_t quota)
{
	struct packet *p = segment(n, flags, fill);

	return hold_insert(s, h, p, &v, (sut_seq){ seq }, true, seq + 1, piece, quota);
}

/* "100+50 150+0F": seq + length, P and F where set. */
static const char *shape(const struct store *s, const struct hold *h)
{
	static char text[1024];
	size_t at = 0;

	text[0] = '\0';
	for (uint32_t i = h->first; i != STORE_NONE; i = store_cell_const(s, i)->next) {
		const struct cell *c = store_cell_const(s, i);

		at += (size_t)snprintf(text + at, sizeof text - at, "%s%u+%u%s%s", at ? " " : "",
				       c->seq.v, c->len, c->flags & TCP_PSH ? "P" : "",
				       c->flags & TCP_FIN ? "F" : "");
	}
	return text;
}

struct piece_in {
	uint32_t seq, len;
	uint8_t flags;
};

/* Up to four segments, and the chain they make. */
/* clang-format off */
static const struct { const char *what; struct piece_in in[4]; uint32_t piece; const char *want; } table[] = {
	{ "one", { { 100, 50, 0 } }, 1000, "100+50" },
	{ "cut in pieces, PSH on the last", { { 100, 250, TCP_PSH } }, 100,
	  "100+100 200+100 300+50P" },
	{ "in order", { { 100, 50, 0 }, { 150, 50, 0 } }, 1000, "100+50 150+50" },
	{ "out of order", { { 150, 50, 0 }, { 100, 50, 0 } }, 1000, "100+50 150+50" },
	{ "a gap stays", { { 200, 50, 0 }, { 100, 50, 0 } }, 1000, "100+50 200+50" },
	{ "a gap is filled", { { 100, 50, 0 }, { 200, 50, 0 }, { 100, 150, 0 } }, 1000,
	  "100+50 150+50 200+50" },
	{ "two gaps in one", { { 110, 10, 0 }, { 130, 10, 0 }, { 100, 50, 0 } }, 1000,
	  "100+10 110+10 120+10 130+10 140+10" },
	{ "overlap on the left", { { 100, 50, 0 }, { 120, 50, 0 } }, 1000, "100+50 150+20" },
	{ "overlap on the right", { { 100, 50, 0 }, { 80, 50, 0 } }, 1000, "80+20 100+50" },
	{ "FIN with data", { { 100, 50, TCP_FIN } }, 1000, "100+50F" },
	{ "FIN on the last of pieces", { { 100, 150, TCP_FIN } }, 100, "100+100 200+50F" },
	{ "FIN alone", { { 100, 0, TCP_FIN } }, 1000, "100+0F" },
	{ "FIN behind data", { { 100, 50, 0 }, { 150, 0, TCP_FIN } }, 1000, "100+50 150+0F" },
	{ "FIN before its data", { { 150, 0, TCP_FIN }, { 100, 50, 0 } }, 1000, "100+50 150+0F" },
	{ "FIN new, data not", { { 100, 50, 0 }, { 100, 50, TCP_FIN } }, 1000, "100+50 150+0F" },
	{ "FIN again", { { 100, 50, TCP_FIN }, { 150, 0, TCP_FIN } }, 1000, "100+50F" },
	{ "FIN alone again, with data", { { 150, 0, TCP_FIN }, { 100, 50, TCP_FIN } }, 1000,
	  "100+50 150+0F" },
	{ "FIN and a gap before its tail", { { 130, 20, 0 }, { 100, 50, TCP_FIN } }, 1000,
	  "100+30 130+20 150+0F" },
	{ "wrap", { { 0xfffffff0, 32, 0 }, { 0xffffffe0, 64, 0 } }, 1000,
	  "4294967264+16 4294967280+32 16+16" },
};
/* clang-format on */

static void chains_as_tabled(void **state)
{
	struct store *s = new_store(CELLS);

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct hold h;

		hold_init(&h);
		for (size_t k = 0; k < 4 && table[i].in[k].seq; k++)
			insert(s, &h, table[i].in[k].seq, table[i].in[k].len, table[i].in[k].flags,
			       0, table[i].piece, CELLS);
		if (strcmp(shape(s, &h), table[i].want))
			fail_msg("%s: want %s, got %s", table[i].what, table[i].want, shape(s, &h));
		hold_clear(s, &h);
		assert_int_equal(store_free_cells(s), CELLS);
	}
	free(s);
}

static void duplicates_are_told(void **state)
{
	struct store *s = new_store(CELLS);
	struct hold h;

	(void)state;
	hold_init(&h);
	assert_int_equal(insert(s, &h, 100, 0, 0, 0, 100, 9), R_DUP_HELD);
	assert_int_equal(insert(s, &h, 100, 50, TCP_FIN, 0, 100, 9), R_NONE);
	assert_int_equal(insert(s, &h, 100, 50, 0, 0, 100, 9), R_DUP_HELD);
	assert_int_equal(insert(s, &h, 110, 10, TCP_PSH, 0, 100, 9), R_DUP_HELD);
	assert_int_equal(insert(s, &h, 150, 0, TCP_FIN, 0, 100, 9), R_DUP_HELD);
	assert_int_equal(h.cells, 1);
	assert_int_equal(h.bytes, 50);
	assert_int_equal(store_cell(s, h.first)->tsval, 101);
	assert_int_equal(store_cell(s, h.first)->has_ts, 1);
	free(s);
}

static void refusal_keeps_nothing(void **state)
{
	struct store *s = new_store(4);
	struct hold h, other;

	(void)state;
	hold_init(&h);
	hold_init(&other);
	assert_int_equal(insert(s, &h, 100, 20, 0, 0, 10, 2), R_NONE);
	assert_int_equal(insert(s, &h, 120, 5, 0, 0, 10, 2), R_QUOTA);
	assert_int_equal(insert(s, &h, 120, 0, TCP_FIN, 0, 10, 2), R_QUOTA);
	assert_int_equal(insert(s, &h, 90, 60, 0, 0, 10, 5), R_QUOTA);
	assert_int_equal(insert(s, &h, 90, 50, 0, 0, 10, 9), R_STORE_FULL);
	assert_string_equal(shape(s, &h), "100+10 110+10");
	assert_int_equal(h.bytes, 20);
	assert_int_equal(insert(s, &other, 7, 20, 0, 0, 10, 2), R_NONE);
	assert_int_equal(insert(s, &other, 27, 1, 0, 0, 10, 9), R_STORE_FULL);
	assert_int_equal(store_free_cells(s), 0);
	hold_clear(s, &h);
	assert_int_equal(store_free_cells(s), 2);
	assert_int_equal(insert(s, &other, 27, 1, 0, 0, 10, 9), R_NONE);
	assert_string_equal(shape(s, &other), "7+10 17+10 27+1");
	free(s);
}

static void dropping_leaves_what_is_not_acknowledged(void **state)
{
	struct store *s = new_store(CELLS);
	struct hold h;

	(void)state;
	hold_init(&h);
	insert(s, &h, 0xffffffec, 20, 0, 0, 10, CELLS);
	insert(s, &h, 0, 10, TCP_FIN, 0, 10, CELLS);
	hold_drop_before(s, &h, (sut_seq){ 0xfffffff5 });
	assert_int_equal(h.cells, 3);
	hold_drop_before(s, &h, (sut_seq){ 0xfffffff6 });
	assert_string_equal(shape(s, &h), "4294967286+10 0+10F");
	hold_drop_before(s, &h, (sut_seq){ 0 });
	assert_string_equal(shape(s, &h), "0+10F");
	hold_drop_before(s, &h, (sut_seq){ 10 }); /* the FIN is missing */
	assert_string_equal(shape(s, &h), "0+10F");
	hold_drop_before(s, &h, (sut_seq){ 11 });
	assert_string_equal(shape(s, &h), "");
	assert_int_equal(h.last, STORE_NONE);
	assert_int_equal(h.bytes, 0);
	assert_int_equal(h.cells, 0);
	free(s);
}

/* The chain is in order, without overlap, and says of each byte what the model says. */
static void check_model(const struct store *s, const struct hold *h, uint32_t base,
			const uint8_t *model, uint32_t piece)
{
	uint32_t bytes = 0, cells = 0, behind = 0, last = STORE_NONE;

	for (uint32_t i = h->first; i != STORE_NONE; i = store_cell_const(s, i)->next) {
		const struct cell *c = store_cell_const(s, i);
		uint32_t at = c->seq.v - base;

		assert_true(at >= behind && c->len > 0 && c->len <= piece);
		for (; behind < at; behind++)
			assert_int_equal(model[behind], 0);
		assert_memory_equal(c->bytes, model + at, c->len);
		behind += c->len;
		bytes += c->len;
		cells++;
		last = i;
	}
	for (; behind < SPACE; behind++)
		assert_int_equal(model[behind], 0);
	assert_int_equal(bytes, h->bytes);
	assert_int_equal(cells, h->cells);
	assert_int_equal(last, h->last);
}

/* Random overlapping segments, each with bytes of its own, against an array: the first copy stays. */
static void equals_a_naive_model(void **state)
{
	static uint8_t model[SPACE];
	struct store *s = new_store(CELLS);

	(void)state;
	for (int round = 0; round < 400; round++) {
		uint32_t base = rnd(2) ? 0u - rnd(SPACE) : frame_random(&rng);
		uint32_t piece = 1 + rnd(rnd(2) ? 2032 : 200);
		uint16_t quota = (uint16_t)rnd(CELLS + 8);
		struct hold h;

		hold_init(&h);
		memset(model, 0, sizeof model);
		for (uint8_t k = 1; k < 30; k++) {
			uint32_t n = rnd(600), at = rnd(SPACE - n);
			uint32_t was = h.cells, fresh = 0;
			enum reason r = insert(s, &h, base + at, n, 0, k, piece, quota);

			for (uint32_t i = at; i < at + n; i++)
				fresh += model[i] == 0;
			if (r == R_NONE)
				for (uint32_t i = at; i < at + n; i++)
					model[i] = model[i] ? model[i] : k;
			assert_int_equal(r == R_DUP_HELD, fresh == 0);
			if (r != R_NONE)
				assert_int_equal(h.cells, was);
			assert_true(h.cells <= quota && h.cells <= CELLS);
			check_model(s, &h, base, model, piece);
		}
		if (rnd(2)) {
			uint32_t una = rnd(SPACE);

			hold_drop_before(s, &h, (sut_seq){ base + una });
			if (h.first != STORE_NONE) {
				const struct cell *c = store_cell_const(s, h.first);

				assert_true(c->seq.v + c->len - base > una);
			}
		}
		assert_int_equal(store_free_cells(s), CELLS - h.cells);
		hold_clear(s, &h);
		assert_int_equal(store_free_cells(s), CELLS);
	}
	free(s);
}

static void payload_may_lie_in_head_and_body(void **state)
{
	struct store *s = new_store(4);
	struct packet *p = segment(300, 0, 0), split;
	struct hold h;

	(void)state;
	split = *p;
	split.head_len = v.payload + 100u;
	split.body = p->head + split.head_len;
	split.body_len = p->head_len - split.head_len;
	hold_init(&h);
	assert_int_equal(hold_insert(s, &h, &split, &v, (sut_seq){ 0 }, false, 0, 2032, 4), R_NONE);
	assert_memory_equal(store_cell(s, h.first)->bytes, f.buf + v.payload, 300);
	assert_int_equal(store_cell(s, h.first)->has_ts, 0);
	free(s);
}

static void an_empty_store_is_full(void **state)
{
	struct store *s = new_store(0);
	struct hold h;

	(void)state;
	hold_init(&h);
	assert_int_equal(insert(s, &h, 1, 1, 0, 0, 10, 9), R_STORE_FULL);
	assert_true(store_need(1u << 31) > (size_t)1 << 41);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_as_tabled),
		cmocka_unit_test(duplicates_are_told),
		cmocka_unit_test(refusal_keeps_nothing),
		cmocka_unit_test(dropping_leaves_what_is_not_acknowledged),
		cmocka_unit_test(equals_a_naive_model),
		cmocka_unit_test(payload_may_lie_in_head_and_body),
		cmocka_unit_test(an_empty_store_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
