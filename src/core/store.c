/* SPDX-License-Identifier: MIT */
#include "core/store.h"

#include <assert.h>

/*
 * The pool is a header of one cache line and the cells behind it.  Cells that were never used lie
 * above `fresh`; those given back form a list through cell.next.  So laying out touches no page of
 * the pool.
 *
 * A segment is inserted in two walks over the same gaps: the first counts the cells that they take
 * and can refuse, the second fills them.  A gap is a run of the segment's bytes that no cell holds
 * yet.
 *
 * Sequence numbers are compared as differences, right while all held data of a flow lies within
 * 2^31.
 */

struct store {
	_Alignas(64) uint32_t cells;
	uint32_t fresh; /* cells below were used at least once */
	uint32_t free_first; /* given back */
	uint32_t free; /* unused cells in all */
};

static struct cell *pool(struct store *s)
{
	return (struct cell *)(void *)(s + 1);
}

size_t store_need(uint32_t cells)
{
	return sizeof(struct store) + (size_t)cells * sizeof(struct cell);
}

struct store *store_init(void *block, uint32_t cells)
{
	struct store *s = block;

	*s = (struct store){ .cells = cells, .free_first = STORE_NONE, .free = cells };
	return s;
}

uint32_t store_free_cells(const struct store *s)
{
	return s->free;
}

struct cell *store_cell(struct store *s, uint32_t i)
{
	assert(i < s->fresh);
	return pool(s) + i;
}

const struct cell *store_cell_const(const struct store *s, uint32_t i)
{
	assert(i < s->fresh);
	return (const struct cell *)(const void *)(s + 1) + i;
}

static uint32_t cell_take(struct store *s)
{
	uint32_t i = s->free_first;

	assert(s->free > 0);
	s->free--;
	if (i == STORE_NONE)
		return s->fresh++;
	s->free_first = pool(s)[i].next;
	return i;
}

static void cell_give(struct store *s, uint32_t i)
{
	store_cell(s, i)->next = s->free_first;
	s->free_first = i;
	s->free++;
}

uint32_t store_take(struct store *s)
{
	return s->free > 0 ? cell_take(s) : STORE_NONE;
}

void store_give(struct store *s, uint32_t i)
{
	cell_give(s, i);
}

void hold_init(struct hold *h)
{
	*h = (struct hold){ .first = STORE_NONE, .last = STORE_NONE };
}

/* The number behind the cell's payload. */
static sut_seq data_end(const struct cell *c)
{
	return seq_add(c->seq, c->len);
}

/* The number behind all that the cell holds. */
static sut_seq cell_end(const struct cell *c)
{
	return seq_add(data_end(c), !!(c->flags & TCP_FIN));
}

/* A cursor over the gaps of one segment. */
struct gap {
	uint32_t prev, next; /* cells around it */
	sut_seq at, end; /* the gap, once found; before that, at is where to look from */
	sut_seq limit; /* behind the segment's payload */
};

static struct gap gap_start(const struct store *s, const struct hold *h, sut_seq seq, uint32_t len)
{
	struct gap g = { STORE_NONE, h->first, seq, seq, seq_add(seq, len) };

	/* Most segments come in order. */
	if (h->last != STORE_NONE && !seq_before(seq, data_end(store_cell_const(s, h->last)))) {
		g.prev = h->last;
		g.next = STORE_NONE;
	}
	return g;
}

/* Moves on to the next gap: false if there is none. */
static bool gap_find(const struct store *s, struct gap *g)
{
	g->at = g->end;
	for (; g->next != STORE_NONE;) {
		const struct cell *c = store_cell_const(s, g->next);

		if (seq_before(g->at, c->seq))
			break;
		if (seq_before(g->at, data_end(c)))
			g->at = data_end(c);
		g->prev = g->next;
		g->next = c->next;
	}
	if (!seq_before(g->at, g->limit))
		return false;
	g->end = g->limit;
	if (g->next != STORE_NONE && seq_before(store_cell_const(s, g->next)->seq, g->limit))
		g->end = store_cell_const(s, g->next)->seq;
	return true;
}

/* Where the FIN of a segment goes. */
enum fin_place { FIN_NOWHERE, FIN_LAST_PIECE, FIN_OWN_CELL };

/* What one insertion will do. */
struct plan {
	uint32_t cells; /* for payload, */
	enum fin_place fin; /* and one more for FIN_OWN_CELL */
};

/* The cell behind which number n belongs: the last that does not begin after it, or STORE_NONE. */
static uint32_t cell_before(const struct store *s, const struct hold *h, sut_seq n)
{
	uint32_t prev = STORE_NONE;

	for (uint32_t i = h->first; i != STORE_NONE; i = store_cell_const(s, i)->next) {
		if (seq_before(n, store_cell_const(s, i)->seq))
			break;
		prev = i;
	}
	return prev;
}

/* Is a FIN held that takes the number n? */
static bool fin_held(const struct store *s, const struct hold *h, sut_seq n)
{
	for (uint32_t i = h->first; i != STORE_NONE; i = store_cell_const(s, i)->next) {
		const struct cell *c = store_cell_const(s, i);

		if ((c->flags & TCP_FIN) && data_end(c).v == n.v)
			return true;
	}
	return false;
}

static struct plan plan_insert(const struct store *s, const struct hold *h, const struct view *v,
			       sut_seq seq, uint32_t piece)
{
	struct gap g = gap_start(s, h, seq, v->payload_len);
	struct plan plan = { 0, FIN_NOWHERE };
	bool tail_new = false;

	while (gap_find(s, &g)) {
		plan.cells += (seq_diff(g.end, g.at) + piece - 1) / piece;
		tail_new = g.end.v == g.limit.v;
	}
	if ((v->flags & TCP_FIN) && !fin_held(s, h, g.limit))
		plan.fin = tail_new ? FIN_LAST_PIECE : FIN_OWN_CELL;
	return plan;
}

/* A new empty cell at seq, linked in behind prev. */
static struct cell *cell_link(struct store *s, struct hold *h, uint32_t prev, sut_seq seq)
{
	uint32_t i = cell_take(s);
	struct cell *c = store_cell(s, i);
	uint32_t *from = prev == STORE_NONE ? &h->first : &store_cell(s, prev)->next;

	c->seq = seq;
	c->len = 0;
	c->flags = 0;
	c->has_ts = 0;
	c->tsval = 0;
	c->next = *from;
	*from = i;
	if (h->last == prev)
		h->last = i;
	h->cells++;
	return c;
}

/* The index of the cell behind prev. */
static uint32_t cell_after(const struct store *s, const struct hold *h, uint32_t prev)
{
	return prev == STORE_NONE ? h->first : store_cell_const(s, prev)->next;
}

enum reason hold_insert(struct store *s, struct hold *h, const struct packet *p,
			const struct view *v, sut_seq seq, bool has_ts, uint32_t tsval,
			uint32_t piece, uint16_t max_cells)
{
	struct plan plan;
	struct gap g;
	struct cell *c = NULL;
	uint32_t want;

	assert(piece > 0 && piece <= STORE_CELL_BYTES);
	plan = plan_insert(s, h, v, seq, piece);
	want = plan.cells + (plan.fin == FIN_OWN_CELL);
	if (want == 0)
		return R_DUP_HELD;
	if (want + h->cells > max_cells)
		return R_QUOTA;
	if (want > s->free)
		return R_STORE_FULL;

	g = gap_start(s, h, seq, v->payload_len);
	while (gap_find(s, &g)) {
		for (sut_seq at = g.at; seq_before(at, g.end); at = data_end(c)) {
			uint32_t n = seq_diff(g.end, at);

			c = cell_link(s, h, g.prev, at);
			g.prev = cell_after(s, h, g.prev);
			c->len = (uint16_t)(n < piece ? n : piece);
			c->has_ts = has_ts;
			c->tsval = tsval;
			view_payload_copy(p, v, seq_diff(at, seq), c->len, c->bytes);
			h->bytes += c->len;
		}
	}
	if (c != NULL)
		c->flags = (uint8_t)(v->flags & TCP_PSH);
	if (plan.fin == FIN_OWN_CELL) {
		c = cell_link(s, h, cell_before(s, h, g.limit), g.limit);
		c->has_ts = has_ts;
		c->tsval = tsval;
	}
	assert(c != NULL); /* a cell was wanted */
	if (plan.fin != FIN_NOWHERE)
		c->flags |= TCP_FIN;
	return R_NONE;
}

static void drop_first(struct store *s, struct hold *h)
{
	uint32_t i = h->first;
	struct cell *c = store_cell(s, i);

	h->first = c->next;
	if (h->first == STORE_NONE)
		h->last = STORE_NONE;
	h->bytes -= c->len;
	h->cells--;
	cell_give(s, i);
}

void hold_drop_before(struct store *s, struct hold *h, sut_seq una)
{
	while (h->first != STORE_NONE && !seq_before(una, cell_end(store_cell(s, h->first))))
		drop_first(s, h);
}

void hold_clear(struct store *s, struct hold *h)
{
	while (h->first != STORE_NONE)
		drop_first(s, h);
}
