/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

/*
 * What must hold between two calls.  Each function returns a sentence of what does not, or NULL.  All of a stack is walked over, so
 * this is for tests; nothing is changed, and chains that run in circles are noticed rather than followed for ever.
 *
 * The stack may have been left dirty: what a flush will do may still be undone.  So rules of the kind "something waits, so a timer runs"
 * take a connection in the flush list as one that something will happen to.
 */

/* What the connections hold together. */
struct sums {
	uint32_t conns, cells, cells_out, records, half_open, time_wait, dirty, ready, starved;
	uint64_t ofo;
};

/* --- chains of cells */

/* The cells from `first` to `last`: their number in *ret_cells, their bytes in *ret_bytes. */
static const char *check_chain(const struct stack *s, uint32_t first, uint32_t last, bool refs,
			       uint32_t *ret_cells, uint32_t *ret_bytes)
{
	uint32_t prev = STORE_NONE, cells = 0, bytes = 0;

	for (uint32_t i = first; i != STORE_NONE; i = store_cell_const(stack_store(s), i)->next) {
		const struct cell *x = store_cell_const(stack_store(s), i);

		if (++cells > s->cfg.cells)
			return "a chain of cells runs in a circle";
		uint32_t len = refs ? sendq_cell_len(x) : x->len;

		if (len == 0 || x->len > STORE_CELL_BYTES)
			return "a cell is empty, or too full";
		bytes += len;
		prev = i;
	}
	if (prev != last)
		return "a chain of cells does not end where it says";
	*ret_cells += cells;
	*ret_bytes = bytes;
	return NULL;
}

static const char *check_sendq(const struct stack *s, const struct conn *c, uint32_t *ret_cells)
{
	const struct sendq *q = &c->sendq;
	uint32_t bytes = 0, cells = 0;
	const char *e = check_chain(s, q->first, q->last, true, &cells, &bytes);

	if (e != NULL)
		return e;
	if (cells != q->cells)
		return "the cells of the send queue are miscounted";
	*ret_cells += cells;
	return bytes == q->bytes + q->skip ? NULL : "the send queue's bytes are miscounted";
}

/* What lies behind gaps: sorted, disjoint, behind rcv_nxt. */
static const char *check_ofo(const struct stack *s, const struct conn *c)
{
	const struct hold *h = &c->recvq.ofo;
	uint32_t end = c->rcv_nxt;

	for (uint32_t i = h->first; i != STORE_NONE;
	     i = store_cell_const(stack_store(s), i)->next) {
		const struct cell *x = store_cell_const(stack_store(s), i);

		if (i == h->first ? !after(x->seq.v, end) : before(x->seq.v, end))
			return "out-of-order data overlaps, or lies in order";
		end = x->seq.v + x->len;
	}
	if (c->recvq.fin_known && h->first != STORE_NONE && after(end, c->recvq.fin_seq))
		return "data is held behind a FIN";
	return NULL;
}

static const char *check_sack(const struct conn *c)
{
	const struct recvq *q = &c->recvq;

	if (q->sacks > 4 || (q->sacks > 0) != (q->ofo.first != STORE_NONE))
		return "SACK blocks without data behind a gap, or the reverse";
	for (unsigned i = 0; i < q->sacks; i++) {
		if (!after(q->sack_left[i], c->rcv_nxt) ||
		    !after(q->sack_right[i], q->sack_left[i]))
			return "a SACK block is empty, or of data in order";
		for (unsigned j = 0; j < i; j++) {
			if (before(q->sack_left[i], q->sack_right[j]) &&
			    before(q->sack_left[j], q->sack_right[i]))
				return "SACK blocks overlap";
		}
	}
	return NULL;
}

static const char *check_recvq(const struct stack *s, const struct conn *c, struct sums *sum)
{
	const struct recvq *q = &c->recvq;
	uint32_t bytes = 0, held = 0, cells = 0;
	const char *e = check_chain(s, q->first, q->last, false, &sum->cells, &bytes);

	if (e == NULL && bytes != q->unread + q->skip)
		e = "the unread bytes are miscounted";
	if (e == NULL)
		e = check_chain(s, q->ofo.first, q->ofo.last, false, &cells, &held);
	if (e != NULL)
		return e;
	if (held != q->ofo.bytes || cells != q->ofo.cells)
		return "the out-of-order bytes are miscounted";
	sum->cells += cells;
	sum->ofo += (uint64_t)cells * STORE_CELL;
	e = check_ofo(s, c);
	return e != NULL ? e : check_sack(c);
}

/* --- sequence numbers and flags */

/* Has the connection sent its SYN, and is it not over? */
static bool is_open(const struct conn *c)
{
	return c->state != ST_CLOSED && c->snd_nxt != c->iss;
}

static const char *check_send_space(const struct conn *c)
{
	uint32_t flight = c->snd_nxt - c->snd_una;
	uint32_t marks = 0u + (c->snd_una == c->iss) + !!(c->flags & CF_FIN_SENT);

	if (!is_open(c))
		return NULL;
	if (after(c->snd_una, c->snd_nxt))
		return "snd_una is ahead of snd_nxt";
	if (flight > c->sendq.bytes + marks)
		return "what is in flight is not in the send queue";
	if ((c->flags & CF_FIN_SENT) && !(c->flags & CF_SHUT))
		return "a FIN was sent that nobody asked for";
	if ((c->flags & CF_FIN_SENT) && c->snd_una != c->snd_nxt &&
	    flight != c->sendq.bytes + marks)
		return "a FIN was sent before all data";
	return NULL;
}

static const char *check_receive_space(const struct conn *c)
{
	if (c->state < ST_SYN_RECEIVED)
		return NULL;
	/* A FIN takes no room in the window. */
	if (after(c->rcv_nxt, c->rcv_adv + 1))
		return "data beyond the window was taken";
	if (c->recvq.fin_known && before(c->recvq.fin_seq, c->rcv_nxt) && !(c->flags & CF_FIN_IN))
		return "rcv_nxt has passed a FIN that was not taken";
	if ((c->flags & CF_URG_IN) && !(c->flags & CF_FIN_IN) &&
	    !after(c->rcv_up, c->rcv_nxt - c->recvq.unread))
		return "an urgent mark was read, and is still announced";
	return NULL;
}

/* CLOSE and the peer's FIN, by state. */
static const char *check_fins(const struct conn *c)
{
	bool shut = c->flags & CF_SHUT, in = c->flags & CF_FIN_IN;

	switch ((enum conn_state)c->state) {
	case ST_CLOSED:
		return NULL;
	case ST_LISTEN:
		return "a connection is in LISTEN";
	case ST_SYN_SENT:
	case ST_SYN_RECEIVED:
		return in ? "a FIN was taken in the handshake" : NULL;
	case ST_ESTABLISHED:
		return in || shut ? "ESTABLISHED, but a side has closed" : NULL;
	case ST_FIN_WAIT_1:
	case ST_FIN_WAIT_2:
		return in || !shut ? "FIN-WAIT, but not because of a CLOSE of ours alone" : NULL;
	case ST_CLOSE_WAIT:
		return !in || shut ? "CLOSE-WAIT, but not because of the peer's FIN alone" : NULL;
	case ST_CLOSING:
	case ST_LAST_ACK:
	case ST_TIME_WAIT:
		return !in || !shut ? "both sides have closed, but one has not" : NULL;
	}
	return "a state that there is not";
}

/* --- timers */

static const char *check_timers(const struct stack *s, const struct conn *c)
{
	sut_time first = SUT_NEVER;

	for (unsigned t = 0; t < T_COUNT; t++)
		first = c->timer[t] < first ? c->timer[t] : first;
	if (c->armed > first)
		return "a timer will fire too late";
	if (c->armed != SUT_NEVER && !wheel_armed(stack_wheel(s), conn_index(s, c)))
		return "a timer is armed, but not in the wheel";
	if (c->flags & CF_DIRTY)
		return NULL;
	if (is_open(c) && c->snd_una != c->snd_nxt && c->state != ST_TIME_WAIT &&
	    c->timer[T_RTX] == SUT_NEVER)
		return "something is unacknowledged and no retransmission timer runs";
	if (output_pending(c) && c->snd_una == c->snd_nxt && c->timer[T_PERSIST] == SUT_NEVER &&
	    c->timer[T_CORK] == SUT_NEVER)
		return "something is unsent and no timer runs";
	if (c->state == ST_TIME_WAIT && c->timer[T_WAIT] == SUT_NEVER)
		return "TIME-WAIT without an end";
	if (c->state == ST_FIN_WAIT_2 && !(c->flags & CF_HELD) && c->timer[T_WAIT] == SUT_NEVER)
		return "FIN-WAIT-2 without an end, and nobody holds it";
	return NULL;
}

/* --- a connection */

static const char *check_holder(const struct stack *s, const struct conn *c)
{
	const struct listener *l;

	if (c->state == ST_CLOSED && !(c->flags & CF_HELD))
		return "a connection is over, and nobody holds it";
	if (c->state != ST_CLOSED && !(c->flags & CF_TABLE))
		return "a connection cannot be found by its ends";
	if ((c->flags & CF_HELD) && (c->flags & (CF_WAITS | CF_NO_READ)))
		return "a connection is held, and waits or is let go";
	if (c->parent == CONN_NONE)
		return c->flags & CF_WAITS ? "a connection waits for nobody" : NULL;
	if (c->parent >= s->cfg.max_listeners)
		return "a connection's listener does not exist";
	l = listener_at(s, c->parent);
	return l->gen % 2 == 0 ? "a connection has outlived its listener" : NULL;
}

static const char *check_conn(const struct stack *s, const struct conn *c, struct sums *sum)
{
	const char *e = check_sendq(s, c, &sum->cells_out);

	if (e == NULL)
		e = check_recvq(s, c, sum);
	if (e == NULL)
		e = check_send_space(c);
	if (e == NULL)
		e = check_receive_space(c);
	if (e == NULL)
		e = check_fins(c);
	if (e == NULL)
		e = check_timers(s, c);
	if (e == NULL)
		e = check_holder(s, c);
	if (e == NULL)
		e = recovery_check(s, c);
	sum->conns++;
	sum->half_open += c->state == ST_SYN_RECEIVED;
	sum->time_wait += c->state == ST_TIME_WAIT;
	sum->starved += !!(c->flags & CF_STARVED);
	for (uint32_t i = c->rec.first; e == NULL && i != CONN_NONE; i = sent_at(s, i)->next)
		sum->records++;
	return e;
}

/* --- lists of the stack */

static const char *check_dirty(const struct stack *s, uint32_t want)
{
	uint32_t n = 0, prev = CONN_NONE;

	for (uint32_t i = s->dirty_first; i != CONN_NONE; i = conn_at(s, i)->next_dirty) {
		if (!(conn_at(s, i)->flags & CF_DIRTY) || ++n > want)
			return "the flush list has a connection that it should not";
		prev = i;
	}
	if (prev != s->dirty_last || n != want)
		return "the flush list has lost a connection";
	return NULL;
}

static const char *check_starved(const struct stack *s, uint32_t want)
{
	uint32_t n = 0, prev = 0;

	for (uint32_t i = s->starved_first; i != 0; i = conn_at(s, i - 1)->next_starved) {
		const struct conn *c = conn_at(s, i - 1);

		if (!(c->flags & CF_STARVED) || c->prev_starved != prev || ++n > want)
			return "the list of who waits for memory is broken";
		prev = i;
	}
	if (prev != s->starved_last || n != want)
		return "the list of who waits for memory has lost a connection";
	return NULL;
}

static const char *check_listener(const struct stack *s, uint32_t l)
{
	const struct listener *p = listener_at(s, l);
	uint32_t n = 0, half = 0, prev = CONN_NONE;

	for (uint32_t i = p->first; i != CONN_NONE; i = conn_at(s, i)->next_wait) {
		if (!(conn_at(s, i)->flags & CF_WAITS) || conn_at(s, i)->parent != l ||
		    ++n > p->waiting)
			return "a listener's queue has a connection that it should not";
		prev = i;
	}
	if (n != p->waiting || prev != p->last || n > p->backlog)
		return "a listener's queue is miscounted";
	for (uint32_t i = 0; i < s->fresh_conn; i++) {
		const struct conn *c = conn_at(s, i);

		half += c->gen % 2 == 1 && c->parent == l && c->state == ST_SYN_RECEIVED &&
			!(c->flags & CF_WAITS);
	}
	return half == p->half_open ? NULL : "a listener's half-open connections are miscounted";
}

static const char *check_listeners(const struct stack *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->cfg.max_listeners; i++) {
		const char *e = NULL;

		if (listener_at(s, i)->gen % 2 == 1) {
			n++;
			e = check_listener(s, i);
		}
		if (e != NULL)
			return e;
	}
	return n == s->used_listeners ? NULL : "the listeners are miscounted";
}

static const char *check_sums(const struct stack *s, const struct sums *sum)
{
	const char *e = NULL;

	if (sum->conns != s->used_conns)
		return "the connections are miscounted";
	if (sum->half_open != s->half_open)
		return "the half-open connections are miscounted";
	if (sum->time_wait != s->time_wait)
		return "the connections in TIME-WAIT are miscounted";
	if (sum->cells_out != s->cells_out)
		return "the cells of what goes out are miscounted";
	if (sum->cells + sum->cells_out != s->cfg.cells - store_free_cells(stack_store(s)))
		return "a cell is lost, or in use twice";
	if (sum->records != s->used_sent)
		return "a record is lost, or in use twice";
	if (sum->ofo != s->ofo_bytes)
		return "the memory of out-of-order data is miscounted";
	e = check_dirty(s, sum->dirty);
	return e != NULL ? e : check_starved(s, sum->starved);
}

const char *stack_check(const struct stack *s, sut_time now)
{
	struct sums sum = { 0 };
	const char *e = now < s->now ? "time went back" : NULL;

	for (uint32_t i = 0; e == NULL && i < s->fresh_conn; i++) {
		const struct conn *c = conn_at(s, i);

		sum.dirty += !!(c->flags & CF_DIRTY); /* a slot keeps its place */
		if (c->gen % 2 == 1)
			e = check_conn(s, c, &sum);
	}
	if (e == NULL)
		e = check_listeners(s);
	return e != NULL ? e : check_sums(s, &sum);
}
