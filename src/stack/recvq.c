/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

#include <assert.h>

/*
 * Theory of operation
 *
 * Two chains of cells: `first` holds what is in order and unread, dense; `ofo` holds what lies behind gaps, sorted, disjoint, the
 * first copy of each byte.  A cell of ofo holds one run's bytes; neighbours that touch are joined where both fit in one cell, so
 * in a run any two neighbours hold more than a cell's worth together, and memory is at most twice the bytes.
 *
 * A byte that lies alone costs a whole cell.  So what is counted against the bounds is cells, not bytes: a connection's are bounded
 * by its receive buffer (twice over, and some), all of them by cfg.max_ofo, and the last sixteenth of the memory is not used for
 * what is out of order (nor is what is kept for the other direction), so what closes a gap finds room.
 * What does not fit is dropped, and counted: it was never SACKed.  Only where in-order data finds no cell at all, the connection
 * gives up what it holds behind gaps (RFC 2018, 8: a receiver may).
 *
 * SACK blocks are whole runs (RFC 2018, 4), newest first.  Most segments lengthen the newest run at the end of the chain, or open
 * one there: the blocks themselves know these runs' edges.  Only other ones are looked for by walking.
 */

void recvq_init(struct recvq *q)
{
	*q = (struct recvq){ .first = STORE_NONE, .last = STORE_NONE };
	hold_init(&q->ofo);
}

static struct cell *cell_at(const struct stack *s, uint32_t i)
{
	return store_cell(stack_store(s), i);
}

static uint32_t end_of(const struct cell *x)
{
	return x->seq.v + x->len;
}

/* The number of the payload's first byte. */
static uint32_t data_seq(const struct seg *g)
{
	return g->seq + !!(g->flags & TCP_SYN);
}

/* --- SACK blocks */

static void sack_remove(struct recvq *q, unsigned i)
{
	for (q->sacks--; i < q->sacks; i++) {
		q->sack_left[i] = q->sack_left[i + 1];
		q->sack_right[i] = q->sack_right[i + 1];
	}
}

/* The run [left, right) has changed: it is told first, and swallows the blocks that it grew out of. */
static void sack_note(struct recvq *q, uint32_t left, uint32_t right)
{
	for (unsigned i = q->sacks; i-- > 0;) {
		if (!before(q->sack_left[i], left) && !after(q->sack_right[i], right))
			sack_remove(q, i);
	}
	if (q->sacks < 4)
		q->sacks++;
	for (unsigned i = q->sacks - 1u; i > 0; i--) {
		q->sack_left[i] = q->sack_left[i - 1];
		q->sack_right[i] = q->sack_right[i - 1];
	}
	q->sack_left[0] = left;
	q->sack_right[0] = right;
}

/* The run around the byte at: false if none is held. */
static bool run_find(const struct stack *s, const struct recvq *q, uint32_t at, uint32_t *ret_left,
		     uint32_t *ret_right)
{
	uint32_t i = q->ofo.first;

	while (i != STORE_NONE) {
		const struct cell *x = cell_at(s, i);
		uint32_t left = x->seq.v, right = end_of(x);

		for (i = x->next; i != STORE_NONE && cell_at(s, i)->seq.v == right;) {
			x = cell_at(s, i);
			right = end_of(x);
			i = x->next;
		}
		if (before(at, left))
			return false;
		if (before(at, right)) {
			*ret_left = left;
			*ret_right = right;
			return true;
		}
	}
	return false;
}

/* rcv_nxt went on: blocks below it are history.  Runs that were pushed out by newer ones are told again where nothing else is. */
static void sack_prune(const struct stack *s, struct conn *c)
{
	struct recvq *q = &c->recvq;
	uint32_t left, right;

	for (unsigned i = q->sacks; i-- > 0;) {
		if (!after(q->sack_right[i], c->rcv_nxt))
			sack_remove(q, i);
	}
	if (q->sacks == 0 && q->ofo.first != STORE_NONE &&
	    run_find(s, q, cell_at(s, q->ofo.first)->seq.v, &left, &right))
		sack_note(q, left, right);
}

void recvq_duplicate(struct conn *c, uint32_t left, uint32_t right)
{
	struct recvq *q = &c->recvq;

	if (!before(left, right))
		return;
	if (q->dsack && left == q->dsack_right) {
		q->dsack_right = right;
		return;
	}
	q->dsack = true;
	q->dsack_left = left;
	q->dsack_right = right;
}

static uint8_t *put32(uint8_t *at, uint32_t v)
{
	store_be32(at, v);
	return at + 4;
}

unsigned recvq_sack_write(struct conn *c, unsigned room, uint8_t *ret_opt)
{
	struct recvq *q = &c->recvq;
	unsigned most = room < 4 ? 0 : (room - 4) / 8, n = 0;
	uint8_t *at = ret_opt + 4;

	if (!(c->flags & CF_SACK) || most == 0 || (!q->dsack && q->sacks == 0))
		return 0;
	if (most > 4)
		most = 4;
	if (q->dsack) {
		at = put32(put32(at, q->dsack_left), q->dsack_right);
		q->dsack = false;
		n++;
	}
	for (unsigned i = 0; i < q->sacks && n < most; i++, n++) {
		/* A FIN that waits behind the last run is in it. */
		bool fin = q->fin_known && q->sack_right[i] == q->fin_seq;

		at = put32(put32(at, q->sack_left[i]), q->sack_right[i] + fin);
	}
	ret_opt[0] = TCPOPT_NOP;
	ret_opt[1] = TCPOPT_NOP;
	ret_opt[2] = TCPOPT_SACK;
	ret_opt[3] = (uint8_t)(2 + 8 * n);
	return 4 + 8 * n;
}

/* --- what is behind gaps */

static uint32_t ofo_quota(const struct conn *c)
{
	uint32_t n = c->rcvbuf / STORE_CELL_BYTES;

	return n > 30000 ? 60000 : 2 * n + 8;
}

static bool ofo_room(const struct stack *s, const struct conn *c)
{
	uint64_t most = s->cfg.max_ofo ? s->cfg.max_ofo : (uint64_t)s->cfg.cells / 4 * STORE_CELL;

	return c->recvq.ofo.cells < ofo_quota(c) && s->ofo_bytes + STORE_CELL <= most &&
	       cells_free_in(s) > s->cfg.cells / 16;
}

/* A new cell at seq behind prev (STORE_NONE: at the front); STORE_NONE: no memory for what is out of order. */
static uint32_t ofo_link(struct stack *s, struct conn *c, uint32_t prev, uint32_t seq)
{
	struct hold *h = &c->recvq.ofo;
	uint32_t *from = prev == STORE_NONE ? &h->first : &cell_at(s, prev)->next;
	uint32_t i = ofo_room(s, c) ? cells_take_in(s) : STORE_NONE;

	if (i == STORE_NONE)
		return STORE_NONE;
	cell_at(s, i)->seq = (sut_seq){ seq };
	cell_at(s, i)->next = *from;
	*from = i;
	if (h->last == prev)
		h->last = i;
	h->cells++;
	s->ofo_bytes += STORE_CELL;
	return i;
}

/* Takes the cell behind prev out of the chain, but does not give it back: its index. */
static uint32_t ofo_unlink(struct stack *s, struct conn *c, uint32_t prev)
{
	struct hold *h = &c->recvq.ofo;
	uint32_t *from = prev == STORE_NONE ? &h->first : &cell_at(s, prev)->next;
	uint32_t i = *from;

	*from = cell_at(s, i)->next;
	if (h->last == i)
		h->last = prev;
	h->cells--;
	h->bytes -= cell_at(s, i)->len;
	s->ofo_bytes -= STORE_CELL;
	return i;
}

static void ofo_clear(struct stack *s, struct conn *c)
{
	while (c->recvq.ofo.first != STORE_NONE)
		cells_give(s, ofo_unlink(s, c, STORE_NONE));
	c->recvq.sacks = 0;
}

/* The bytes of x are put behind those of to, where there is room for them. */
static bool cell_join(struct cell *to, const struct cell *x)
{
	if (to->len + x->len > (int)STORE_CELL_BYTES)
		return false;
	memcpy(to->bytes + to->len, x->bytes, x->len);
	to->len = (uint16_t)(to->len + x->len);
	return true;
}

/* Joins the cell behind i with it, where they touch. */
static void ofo_join(struct stack *s, struct conn *c, uint32_t i)
{
	struct cell *x = cell_at(s, i);
	uint32_t next = x->next;

	if (next != STORE_NONE && cell_at(s, next)->seq.v == end_of(x)) {
		uint16_t len = cell_at(s, next)->len;

		if (cell_join(x, cell_at(s, next))) {
			cells_give(s, ofo_unlink(s, c, i));
			c->recvq.ofo.bytes += len;
		}
	}
}

/* A segment's bytes on their way to ofo. */
struct insertion {
	const struct seg *g;
	uint32_t at, end; /* what is left of them */
	uint32_t prev; /* the cell behind which `at` belongs */
	uint32_t fresh; /* bytes that were new */
};

/* Puts [in->at, end) into the gap behind in->prev: false if memory ends. */
static bool ofo_fill(struct stack *s, struct conn *c, struct insertion *in, uint32_t end)
{
	while (in->at != end) {
		struct cell *x = in->prev == STORE_NONE ? NULL : cell_at(s, in->prev);
		uint32_t n = end - in->at;

		if (x == NULL || end_of(x) != in->at || x->len == STORE_CELL_BYTES) {
			uint32_t i = ofo_link(s, c, in->prev, in->at);

			if (i == STORE_NONE)
				return false;
			in->prev = i;
			x = cell_at(s, i);
		}
		if (n > STORE_CELL_BYTES - x->len)
			n = STORE_CELL_BYTES - x->len;
		view_payload_copy(in->g->p, in->g->v, in->g->data_off + (in->at - data_seq(in->g)),
				  n, x->bytes + x->len);
		x->len = (uint16_t)(x->len + n);
		c->recvq.ofo.bytes += n;
		in->at += n;
		in->fresh += n;
	}
	ofo_join(s, c, in->prev);
	return true;
}

/* Where the byte in->at belongs: behind the last cell that does not begin after it. */
static void ofo_seek(const struct stack *s, const struct conn *c, struct insertion *in)
{
	const struct hold *h = &c->recvq.ofo;
	uint32_t i = h->first;

	in->prev = h->last;
	if (h->last == STORE_NONE || !before(in->at, cell_at(s, h->last)->seq.v))
		return;
	for (in->prev = STORE_NONE; !before(in->at, cell_at(s, i)->seq.v); i = cell_at(s, i)->next)
		in->prev = i;
}

/* Walks over the bytes of a segment, piece by piece: held already, or new. False if memory ended. */
static bool ofo_walk(struct stack *s, struct conn *c, struct insertion *in)
{
	bool told = false;

	while (before(in->at, in->end)) {
		struct cell *x = in->prev == STORE_NONE ? NULL : cell_at(s, in->prev);
		uint32_t next = x == NULL ? c->recvq.ofo.first : x->next, end = in->end;

		if (x != NULL && before(in->at, end_of(x))) {
			end = before(end_of(x), end) ? end_of(x) : end;
			/* RFC 2883, 4: the first run of duplicates is told, however many cells hold it. */
			if (!told || c->recvq.dsack_right == in->at)
				recvq_duplicate(c, in->at, end);
			told = true;
			in->at = end;
		} else if (next != STORE_NONE && cell_at(s, next)->seq.v == in->at) {
			in->prev = next;
		} else {
			if (next != STORE_NONE && before(cell_at(s, next)->seq.v, end))
				end = cell_at(s, next)->seq.v;
			if (!ofo_fill(s, c, in, end))
				return false;
		}
	}
	return true;
}

/* The block of the run that holds the segment's first byte comes first. */
static void ofo_sack(const struct stack *s, struct conn *c, uint32_t left, uint32_t right,
		     uint32_t tail)
{
	struct recvq *q = &c->recvq;

	if (left == tail) { /* behind all that was there: a run of the blocks was lengthened? */
		for (unsigned i = 0; i < q->sacks; i++) {
			if (q->sack_right[i] == tail) {
				sack_note(q, q->sack_left[i], right);
				return;
			}
		}
	} else if (after(left, tail)) {
		sack_note(q, left, right);
		return;
	}
	if (run_find(s, q, left, &left, &right))
		sack_note(q, left, right);
}

/* Takes [at, end) of g, which begins behind a gap. */
static void ofo_insert(struct stack *s, struct conn *c, const struct seg *g, uint32_t at,
		       uint32_t end)
{
	struct recvq *q = &c->recvq;
	struct insertion in = { .g = g, .at = at, .end = end };
	uint32_t tail = q->ofo.last == STORE_NONE ? c->rcv_nxt : end_of(cell_at(s, q->ofo.last));
	bool whole;

	ofo_seek(s, c, &in);
	whole = ofo_walk(s, c, &in);
	if (!whole)
		stack_bump(s, STACK_OFO_DROPPED);
	if (in.at != at)
		ofo_sack(s, c, at, in.at, tail);
	if (in.fresh > 0)
		stack_bump(s, STACK_OUT_OF_ORDER);
	else if (whole)
		stack_bump(s, STACK_DUPLICATE);
}

/* --- what is in order */

/* The last cell if it has room, else a new one behind it; NULL: no memory. */
static struct cell *tail_cell(struct stack *s, struct recvq *q)
{
	struct cell *x = q->last == STORE_NONE ? NULL : cell_at(s, q->last);
	uint32_t i;

	if (x != NULL && x->len < STORE_CELL_BYTES)
		return x;
	i = cells_take_in(s);
	if (i == STORE_NONE)
		return NULL;
	if (x != NULL)
		x->next = i;
	else
		q->first = i;
	q->last = i;
	return cell_at(s, i);
}

/* Bytes [at, at + n) of g become readable: how many found memory. */
static uint32_t append(struct stack *s, struct conn *c, const struct seg *g, uint32_t at,
		       uint32_t n)
{
	struct recvq *q = &c->recvq;
	uint32_t done = 0;

	while (done < n) {
		struct cell *x = tail_cell(s, q);
		uint32_t m;

		if (x == NULL)
			break;
		m = STORE_CELL_BYTES - x->len;
		if (m > n - done)
			m = n - done;
		view_payload_copy(g->p, g->v, g->data_off + (at + done - data_seq(g)), m,
				  x->bytes + x->len);
		x->len = (uint16_t)(x->len + m);
		done += m;
	}
	q->unread += done;
	return done;
}

/* Offers the bytes to the application's take(): how many it took. */
static uint32_t offer(struct conn *c, const struct seg *g, uint32_t at, uint32_t n)
{
	uint32_t off = g->v->payload + g->data_off + (at - data_seq(g));
	uint32_t in_head = off < g->p->head_len ? g->p->head_len - off : 0, taken = 0;

	if (in_head > n)
		in_head = n;
	if (in_head > 0)
		taken = c->take(c->take_ctx, c->user, g->p->head + off, in_head);
	assert(taken <= in_head);
	if (taken == in_head && n > in_head)
		taken += c->take(c->take_ctx, c->user,
				 g->p->body + (off + in_head - g->p->head_len), n - in_head);
	assert(taken <= n);
	return taken;
}

/* Takes n bytes at rcv_nxt: false if memory ended. */
static bool take_in_order(struct stack *s, struct conn *c, const struct seg *g, uint32_t n)
{
	uint32_t taken = c->take != NULL && c->recvq.unread == 0 ? offer(c, g, c->rcv_nxt, n) : 0;

	c->rcv_nxt += taken;
	n -= taken;
	taken = append(s, c, g, c->rcv_nxt, n);
	if (taken < n && c->recvq.ofo.first != STORE_NONE) {
		/* What is in order comes first. */
		ofo_clear(s, c);
		stack_bump(s, STACK_OFO_DROPPED);
		taken += append(s, c, g, c->rcv_nxt + taken, n - taken);
	}
	c->rcv_nxt += taken;
	if (taken < n)
		stack_bump(s, STACK_NO_MEMORY);
	return taken == n;
}

/* What lies at rcv_nxt in ofo is behind no gap any more. */
static void absorb(struct stack *s, struct conn *c)
{
	struct recvq *q = &c->recvq;

	while (q->ofo.first != STORE_NONE && cell_at(s, q->ofo.first)->seq.v == c->rcv_nxt) {
		uint32_t i = ofo_unlink(s, c, STORE_NONE);
		struct cell *x = cell_at(s, i),
			    *last = q->last == STORE_NONE ? NULL : cell_at(s, q->last);

		c->rcv_nxt += x->len;
		q->unread += x->len;
		if (last != NULL && cell_join(last, x)) {
			cells_give(s, i);
			continue;
		}
		x->next = STORE_NONE;
		if (last != NULL)
			last->next = i;
		else
			q->first = i;
		q->last = i;
	}
}

/* Takes what of g lies between rcv_nxt and end. told: there was a duplicate in it before that. */
static void insert_in_order(struct stack *s, struct conn *c, const struct seg *g, uint32_t end,
			    bool told)
{
	struct recvq *q = &c->recvq;

	while (before(c->rcv_nxt, end)) {
		uint32_t stop = end, from;

		if (q->ofo.first != STORE_NONE && before(cell_at(s, q->ofo.first)->seq.v, end))
			stop = cell_at(s, q->ofo.first)->seq.v;
		if (stop != c->rcv_nxt && !take_in_order(s, c, g, stop - c->rcv_nxt))
			break;
		from = c->rcv_nxt;
		absorb(s, c);
		/* The part of g that was held already. */
		if (from != c->rcv_nxt && before(from, end) && !told) {
			recvq_duplicate(c, from, before(c->rcv_nxt, end) ? c->rcv_nxt : end);
			told = true;
		}
	}
	absorb(s, c);
	if (q->sacks > 0)
		sack_prune(s, c);
}

/* A FIN stands at seq. The first one that is told counts, unless data is held behind it. */
static void note_fin(const struct stack *s, struct conn *c, uint32_t seq)
{
	struct recvq *q = &c->recvq;

	if (q->fin_known || before(seq, c->rcv_nxt) || (c->flags & CF_FIN_IN))
		return;
	if (q->ofo.last != STORE_NONE && after(end_of(cell_at(s, q->ofo.last)), seq))
		return;
	q->fin_known = true;
	q->fin_seq = seq;
}

uint32_t recvq_insert(struct stack *s, struct conn *c, const struct seg *g)
{
	struct recvq *q = &c->recvq;
	uint32_t at = data_seq(g), end = at + g->data_len, old = c->rcv_nxt;
	/* What of g was old may have been cut off, and told, before. */
	bool below = before(at, old), cut = g->data_off > 0 && q->dsack && q->dsack_right == at;

	if (g->flags & TCP_FIN)
		note_fin(s, c, end);
	if (q->fin_known && after(end, q->fin_seq))
		end = q->fin_seq; /* nothing comes behind a FIN */
	if (below) {
		recvq_duplicate(c, at, before(end, c->rcv_nxt) ? end : c->rcv_nxt);
		at = c->rcv_nxt;
	}
	if (!before(at, end))
		return 0;
	if (at == c->rcv_nxt)
		insert_in_order(s, c, g, end, below || cut);
	else
		ofo_insert(s, c, g, at, end);
	c->bytes_in += c->rcv_nxt - old;
	s->count[STACK_BYTES_IN] += c->rcv_nxt - old;
	return c->rcv_nxt - old;
}

bool recvq_fin(const struct conn *c)
{
	return c->recvq.fin_known && c->rcv_nxt == c->recvq.fin_seq && !(c->flags & CF_FIN_IN);
}

/* --- the application's side */

uint32_t recvq_read(struct stack *s, struct conn *c, uint8_t *ret_bytes, uint32_t len, bool peek)
{
	struct recvq *q = &c->recvq;
	uint32_t done = 0, skip = q->skip;

	if (len > q->unread)
		len = q->unread;
	for (uint32_t i = q->first; done < len; i = cell_at(s, i)->next) {
		const struct cell *x = cell_at(s, i);
		uint32_t n = x->len - skip;

		if (n > len - done)
			n = len - done;
		memcpy(ret_bytes + done, x->bytes + skip, n);
		done += n;
		skip = 0;
	}
	if (!peek)
		recvq_consume(s, c, done);
	return done;
}

unsigned recvq_slices(const struct stack *s, const struct conn *c, struct stack_slice *ret_s,
		      unsigned max)
{
	const struct recvq *q = &c->recvq;
	uint32_t skip = q->skip;
	unsigned n = 0;

	for (uint32_t i = q->first; i != STORE_NONE && n < max; i = cell_at(s, i)->next) {
		const struct cell *x = cell_at(s, i);

		ret_s[n++] = (struct stack_slice){ x->bytes + skip, x->len - skip };
		skip = 0;
	}
	return n;
}

void recvq_consume(struct stack *s, struct conn *c, uint32_t n)
{
	struct recvq *q = &c->recvq;

	assert(n <= q->unread);
	q->unread -= n;
	while (n > 0) {
		uint32_t i = q->first, here = cell_at(s, i)->len - q->skip;

		if (n < here) {
			q->skip += n;
			return;
		}
		n -= here;
		q->skip = 0;
		q->first = cell_at(s, i)->next;
		if (q->first == STORE_NONE)
			q->last = STORE_NONE;
		cells_give(s, i);
	}
}

void recvq_clear(struct stack *s, struct conn *c)
{
	struct recvq *q = &c->recvq;

	recvq_consume(s, c, q->unread);
	ofo_clear(s, c);
	recvq_init(q);
}

uint32_t recvq_window(const struct stack *s, const struct conn *c)
{
	const struct recvq *q = &c->recvq;
	uint32_t wnd = c->rcvbuf > q->unread ? c->rcvbuf - q->unread : 0;
	uint32_t memory = cells_room_in(s) + q->ofo.bytes;

	if (q->last != STORE_NONE)
		memory += STORE_CELL_BYTES - cell_at(s, q->last)->len;
	if (wnd > memory)
		wnd = memory;
	/* No more than the field can say. */
	if (wnd > 0xffffu << c->rcv_wscale)
		wnd = 0xffffu << c->rcv_wscale;
	/* SHLD-14: what was offered is not taken back. */
	if (before(c->rcv_nxt + wnd, c->rcv_adv))
		wnd = c->rcv_adv - c->rcv_nxt;
	return wnd;
}
