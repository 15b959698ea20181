/* SPDX-License-Identifier: MIT */
#include "stack/recovery.h"

/*
 * Theory of operation
 *
 * A peer repeats its SACK blocks in every ACK (RFC 2018, 4): a block that lies within one of the last ACK's says nothing new and
 * costs four comparisons.  For one that says something the records are found by walking from where the last walk ended: a block
 * grows at its end, by what came since.
 *
 * A block is believed if it lies within what is in flight, above the acknowledgement: ack < left < right <= snd_nxt.  The first block
 * may be a D-SACK instead (RFC 2883, 4): it lies below the acknowledgement, or within the second one.
 *
 * A block's edge in the middle of a super-packet cuts its record, at whole segments only: a peer that tells of single bytes makes no
 * more records than there are segments, and what it tells of less than a segment is not used.
 */

struct block {
	uint32_t left, right;
};

static bool within(struct block in, struct block out)
{
	return !before(in.left, out.left) && !after(in.right, out.right);
}

static bool overlaps(struct block a, struct block b)
{
	return before(a.left, b.right) && before(b.left, a.right);
}

static unsigned blocks_read(const struct seg *g, struct block ret_b[4])
{
	const uint8_t *at = g->p->head + g->v->l4 + g->opt.sack_off;
	unsigned n = g->opt.sack_count < 4 ? g->opt.sack_count : 4;

	for (unsigned i = 0; i < n; i++, at += 8)
		ret_b[i] = (struct block){ load_be32(at), load_be32(at + 4) };
	return n;
}

/* RFC 2883, 4; what it tells of must have been sent. */
static bool is_dsack(const struct conn *c, const struct block *b, unsigned n, uint32_t ack)
{
	if (!before(b[0].left, b[0].right) || after(b[0].right, c->snd_nxt))
		return false;
	if (before(b[0].left, ack))
		return !after(b[0].right, ack) && !before(b[0].left, ack - (1u << 30));
	return n > 1 && within(b[0], b[1]);
}

/* The first record that ends behind seq. */
static uint32_t seek(const struct stack *s, const struct recovery *r, uint32_t seq)
{
	uint32_t i = r->hint != CONN_NONE ? r->hint : r->first;

	while (i != CONN_NONE && before(seq, sent_at(s, i)->seq) &&
	       sent_at(s, i)->prev != CONN_NONE)
		i = sent_at(s, i)->prev;
	while (i != CONN_NONE && !after(sent_end(sent_at(s, i)), seq))
		i = sent_at(s, i)->next;
	return i;
}

/*
 * Cuts record i so that it begins at or behind left, and ends at or before right: the record that is left of it within the block, or
 * CONN_NONE if there is none.
 */
static uint32_t cut(struct stack *s, struct conn *c, uint32_t i, struct block b)
{
	struct sent *x = sent_at(s, i);
	uint32_t n;

	if (before(x->seq, b.left)) {
		n = b.left - x->seq + c->mss - 1;
		n -= n % c->mss;
		if (n >= x->len || !list_split(s, c, i, n))
			return CONN_NONE;
		i = x->next;
		x = sent_at(s, i);
	}
	if (after(sent_end(x), b.right)) {
		n = b.right - x->seq;
		if (!before(x->seq, b.right) || n < c->mss)
			return CONN_NONE;
		if (!list_split(s, c, i, n - n % c->mss))
			return CONN_NONE;
	}
	return i;
}

static void mark(struct stack *s, struct conn *c, struct block b, uint32_t from, struct delivery *d)
{
	uint32_t i = seek(s, &c->rec, from);

	while (i != CONN_NONE && before(sent_at(s, i)->seq, b.right)) {
		struct sent *x = sent_at(s, i);

		c->rec.hint = i;
		if (!(x->flags & SENT_SACKED)) {
			uint32_t j = cut(s, c, i, b);

			if (j != CONN_NONE) {
				list_sacked(s, c, j, d);
				i = c->rec.hint = j;
			}
		}
		i = sent_at(s, i)->next;
	}
}

/* Where a block begins to tell something new, or its right edge: nothing. */
static uint32_t news(const struct recovery *r, struct block b)
{
	for (unsigned k = 0; k < r->seen; k++) {
		struct block old = { r->seen_left[k], r->seen_right[k] };

		if (within(b, old))
			return b.right;
		if (overlaps(b, old) && !before(b.left, old.left))
			return old.right - 1; /* the record there may have been told of in part */
	}
	return b.left;
}

void sack_read(struct stack *s, struct conn *c, const struct seg *g, struct delivery *d)
{
	struct recovery *r = &c->rec;
	struct block b[4];
	unsigned n = blocks_read(g, b), first = 0, kept = 0;

	if (n > 0 && is_dsack(c, b, n, d->ack)) {
		d->dsack = true;
		d->dsack_left = b[0].left;
		d->dsack_right = b[0].right;
		first = 1;
	}
	for (unsigned k = first; k < n; k++) {
		uint32_t from;

		if (!after(b[k].left, d->ack) || !before(b[k].left, b[k].right) ||
		    after(b[k].right, c->snd_nxt))
			continue; /* no honest peer says so */
		from = news(r, b[k]);
		if (before(from, b[k].right))
			mark(s, c, b[k], from, d);
		b[kept++] = b[k];
	}
	r->seen = (uint8_t)kept;
	for (unsigned k = 0; k < kept; k++) {
		r->seen_left[k] = b[k].left;
		r->seen_right[k] = b[k].right;
	}
}
