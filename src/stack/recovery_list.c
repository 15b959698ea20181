/* SPDX-License-Identifier: MIT */
#include "stack/recovery.h"

#include <assert.h>

/*
 * Theory of operation
 *
 * A record stands for one packet that went out and is not acknowledged: a segment, a super-packet, a SYN, a FIN.  All records of a
 * connection lie in a list by sequence number (next, prev).  Each of them is in one of three states, and two of these have a
 * list of their own (tnext, tprev):
 *
 *     in flight   neither SENT_SACKED nor SENT_LOST; counted in in_flight; listed by the time of transmission
 *     lost        SENT_LOST; counted in lost; listed by sequence number, to be sent again from the front
 *     SACKed      SENT_SACKED; counted in sacked; not listed
 *
 * So an ACK touches the records that it acknowledges, RACK those that it marks and one more, and the next retransmission is at
 * hand.  A record that is sent again goes to the end of the list by time.
 *
 * Records come out of one pool for the whole stack: a list of used ones, and behind it those that were never used.  Splitting may fail for
 * want of one; new data leaves some for that (recovery_room).
 */

static struct sent *rec(const struct stack *s, uint32_t i)
{
	return sent_at(s, i);
}

static uint32_t pool_size(const struct stack *s)
{
	return s->cfg.records ? s->cfg.records : s->cfg.cells;
}

static uint32_t pool_take(struct stack *s)
{
	uint32_t i;

	if (s->free_sent != 0) {
		i = s->free_sent - 1;
		s->free_sent = rec(s, i)->next;
	} else if (s->fresh_sent < pool_size(s)) {
		i = s->fresh_sent++;
	} else {
		return CONN_NONE;
	}
	s->used_sent++;
	return i;
}

static void pool_give(struct stack *s, uint32_t i)
{
	rec(s, i)->next = s->free_sent;
	s->free_sent = i + 1;
	s->used_sent--;
}

/*
 * A connection alone may have half of them; what is left is shared in the same way.  Of the last quarter it gets some only while it has no more
 * than a part of that, and the last eighth is for who has nothing in flight, and for splitting: however many peers acknowledge nothing, the
 * next connection does not stand still for that.
 */
bool recovery_room(const struct stack *s, const struct conn *c)
{
	uint32_t left = pool_size(s) - s->used_sent, last = pool_size(s) / 8;

	if (c->rec.records == 0)
		return left > 0;
	if (left > pool_size(s) / 4)
		return c->rec.records < left;
	return left > last && 8 * c->rec.records <= left - last;
}

/* The list that x's state has, or NULL. */
static uint32_t *tlist_first(struct recovery *r, const struct sent *x)
{
	if (x->flags & SENT_SACKED)
		return NULL;
	return x->flags & SENT_LOST ? &r->next_lost : &r->t_first;
}

static uint32_t *tlist_last(struct recovery *r, const struct sent *x)
{
	return x->flags & SENT_LOST ? &r->last_lost : &r->t_last;
}

static void tlist_remove(struct stack *s, struct recovery *r, uint32_t i)
{
	struct sent *x = rec(s, i);
	uint32_t *first = tlist_first(r, x), *last = tlist_last(r, x);

	if (first == NULL)
		return;
	if (x->tprev == CONN_NONE)
		*first = x->tnext;
	else
		rec(s, x->tprev)->tnext = x->tnext;
	if (x->tnext == CONN_NONE)
		*last = x->tprev;
	else
		rec(s, x->tnext)->tprev = x->tprev;
}

/* Puts i into its list behind `after` (CONN_NONE: in front). */
static void tlist_insert(struct stack *s, struct recovery *r, uint32_t i, uint32_t behind)
{
	struct sent *x = rec(s, i);
	uint32_t *first = tlist_first(r, x), *last = tlist_last(r, x);

	x->tprev = behind;
	if (behind == CONN_NONE) {
		x->tnext = *first;
		*first = i;
	} else {
		x->tnext = rec(s, behind)->tnext;
		rec(s, behind)->tnext = i;
	}
	if (x->tnext == CONN_NONE)
		*last = i;
	else
		rec(s, x->tnext)->tprev = i;
}

/* Lost records in order of seq: those that go out for the second time come in order, others are few. */
static void lost_insert(struct stack *s, struct recovery *r, uint32_t i)
{
	uint32_t behind = r->last_lost, seq = rec(s, i)->seq;

	if (r->next_lost != CONN_NONE && before(seq, rec(s, r->next_lost)->seq))
		behind = CONN_NONE;
	while (behind != CONN_NONE && before(seq, rec(s, behind)->seq))
		behind = rec(s, behind)->tprev;
	tlist_insert(s, r, i, behind);
}

/* Where the bytes of x are counted. */
static uint32_t *count_of(struct recovery *r, const struct sent *x)
{
	if (x->flags & SENT_SACKED)
		return &r->sacked;
	return x->flags & SENT_LOST ? &r->lost : &r->in_flight;
}

static void unlink_seq(struct stack *s, struct recovery *r, uint32_t i)
{
	struct sent *x = rec(s, i);

	if (x->prev == CONN_NONE)
		r->first = x->next;
	else
		rec(s, x->prev)->next = x->next;
	if (x->next == CONN_NONE)
		r->last = x->prev;
	else
		rec(s, x->next)->prev = x->prev;
	if (r->hint == i)
		r->hint = x->next;
}

static void link_seq(struct stack *s, struct recovery *r, uint32_t i, uint32_t behind)
{
	struct sent *x = rec(s, i);

	x->prev = behind;
	x->next = behind == CONN_NONE ? r->first : rec(s, behind)->next;
	if (behind == CONN_NONE)
		r->first = i;
	else
		rec(s, behind)->next = i;
	if (x->next == CONN_NONE)
		r->last = i;
	else
		rec(s, x->next)->prev = i;
}

bool recovery_sent(struct stack *s, struct conn *c, uint32_t seq, uint32_t len, uint8_t flags)
{
	struct recovery *r = &c->rec;
	uint32_t i = pool_take(s);

	if (i == CONN_NONE)
		return false;
	*rec(s, i) = (struct sent){ .seq = seq, .len = len, .at = s->now, .flags = flags };
	link_seq(s, r, i, r->last);
	r->records++;
	tlist_insert(s, r, i, r->t_last);
	r->in_flight += len;
	if (r->state == REC_RECOVERY)
		r->prr_out += len;
	return true;
}

bool list_split(struct stack *s, struct conn *c, uint32_t i, uint32_t len)
{
	struct sent *x = rec(s, i), *y;
	uint32_t j = pool_take(s);

	assert(len > 0 && len < x->len);
	if (j == CONN_NONE)
		return false;
	y = rec(s, j);
	*y = *x;
	y->seq += len;
	y->len -= len;
	y->flags &= (uint8_t)~SENT_SYN;
	x->len = len;
	x->flags &= (uint8_t)~SENT_FIN;
	link_seq(s, &c->rec, j, i);
	c->rec.records++;
	if (tlist_first(&c->rec, y) != NULL)
		tlist_insert(s, &c->rec, j, i);
	return true;
}

static void drop(struct stack *s, struct recovery *r, uint32_t i)
{
	struct sent *x = rec(s, i);

	*count_of(r, x) -= x->len;
	tlist_remove(s, r, i);
	unlink_seq(s, r, i);
	r->records--;
	pool_give(s, i);
}

/* The front n bytes of x are acknowledged; for RACK and RTT it is as if they had been a record of their own. */
static void note_acked(struct stack *s, struct conn *c, const struct sent *x, uint32_t n,
		       struct delivery *d)
{
	struct sent front = *x;
	uint32_t size = (n < c->mss ? n : c->mss) + (c->ip == 4 ? 40 : 60);

	front.len = n;
	if (x->flags & SENT_SYN) {
		d->syn = true;
		d->syn_resent = x->times > 0;
	}
	if (size > c->max_acked)
		c->max_acked = size;
	if (x->times > 0)
		d->resent = true;
	if (x->flags & SENT_SACKED)
		return;
	d->bytes += n;
	if (!d->fresh) {
		d->fresh = true;
		d->oldest_at = x->at;
	}
	if (x->times > 0 && d->has_ts && before(d->tsecr, x->resent_ms + c->ts_off))
		d->original = true;
	rack_delivered(s, c, &front, d);
}

void list_acked(struct stack *s, struct conn *c, struct delivery *d)
{
	struct recovery *r = &c->rec;

	while (r->first != CONN_NONE) {
		struct sent *x = rec(s, r->first);
		uint32_t n = d->ack - x->seq;

		if (!before(x->seq, d->ack))
			return;
		if (n >= x->len) {
			note_acked(s, c, x, x->len, d);
			drop(s, r, r->first);
			continue;
		}
		note_acked(s, c, x, n, d);
		d->syn_part = x->flags & SENT_SYN;
		*count_of(r, x) -= n;
		x->seq += n;
		x->len -= n;
		x->flags &= (uint8_t)~SENT_SYN;
		return;
	}
}

void list_sacked(struct stack *s, struct conn *c, uint32_t i, struct delivery *d)
{
	struct recovery *r = &c->rec;
	struct sent *x = rec(s, i);

	rack_delivered(s, c, x, d);
	d->bytes += x->len;
	d->sacked = true;
	*count_of(r, x) -= x->len;
	tlist_remove(s, r, i);
	x->flags = (uint8_t)((x->flags & ~SENT_LOST) | SENT_SACKED);
	r->sacked += x->len;
}

void list_lost(struct stack *s, struct conn *c, uint32_t i)
{
	struct sent *x = rec(s, i);

	assert(!(x->flags & (SENT_SACKED | SENT_LOST)));
	tlist_remove(s, &c->rec, i);
	c->rec.in_flight -= x->len;
	c->rec.lost += x->len;
	x->flags |= SENT_LOST;
	lost_insert(s, &c->rec, i);
}

void list_resent(struct stack *s, struct conn *c, uint32_t i)
{
	struct recovery *r = &c->rec;
	struct sent *x = rec(s, i);

	tlist_remove(s, r, i);
	*count_of(r, x) -= x->len;
	x->flags = (uint8_t)((x->flags & ~SENT_LOST) | SENT_RETRANS);
	r->in_flight += x->len;
	x->at = s->now;
	if (x->times == 0)
		x->resent_ms = now_ms(s);
	if (x->times < UINT8_MAX)
		x->times++;
	tlist_insert(s, r, i, r->t_last);
}

void list_all_lost(struct stack *s, struct conn *c, bool forget)
{
	struct recovery *r = &c->rec;

	r->t_first = r->t_last = r->next_lost = r->last_lost = CONN_NONE;
	r->in_flight = r->lost = 0;
	if (forget) {
		r->sacked = 0;
		r->seen = 0;
	}
	for (uint32_t i = r->first; i != CONN_NONE; i = rec(s, i)->next) {
		struct sent *x = rec(s, i);

		if (forget)
			x->flags &= (uint8_t)~SENT_SACKED;
		if (x->flags & SENT_SACKED)
			continue;
		x->flags |= SENT_LOST;
		r->lost += x->len;
		tlist_insert(s, r, i, r->last_lost);
	}
}

void list_none_lost(struct stack *s, struct conn *c)
{
	struct recovery *r = &c->rec;
	uint32_t i;

	while ((i = r->next_lost) != CONN_NONE) {
		struct sent *x = rec(s, i);
		uint32_t behind = r->t_last;

		tlist_remove(s, r, i);
		x->flags &= (uint8_t)~SENT_LOST;
		r->lost -= x->len;
		r->in_flight += x->len;
		while (behind != CONN_NONE && rec(s, behind)->at > x->at)
			behind = rec(s, behind)->tprev;
		tlist_insert(s, r, i, behind);
	}
}

void list_clear(struct stack *s, struct conn *c)
{
	while (c->rec.first != CONN_NONE)
		drop(s, &c->rec, c->rec.first);
}

/* --- what must hold */

static const char *check_tlist(const struct stack *s, const struct recovery *r, bool lost)
{
	uint32_t prev = CONN_NONE, bytes = 0, i = lost ? r->next_lost : r->t_first;

	for (; i != CONN_NONE; prev = i, i = rec(s, i)->tnext) {
		const struct sent *x = rec(s, i);

		if (x->tprev != prev)
			return "a record's neighbour by time does not know it";
		if (x->flags & SENT_SACKED || !(x->flags & SENT_LOST) == lost)
			return "a record is in a list that its state has not";
		if (prev != CONN_NONE && lost && !before(rec(s, prev)->seq, x->seq))
			return "lost records are not in order";
		if (prev != CONN_NONE && !lost && rec(s, prev)->at > x->at)
			return "records are not in order of their transmission";
		bytes += x->len;
	}
	if (prev != (lost ? r->last_lost : r->t_last))
		return "a list by time ends elsewhere";
	return bytes == (lost ? r->lost : r->in_flight) ? NULL
							: "bytes in flight or lost were miscounted";
}

const char *recovery_check(const struct stack *s, const struct conn *c)
{
	const struct recovery *r = &c->rec;
	uint32_t prev = CONN_NONE, sacked = 0, n = 0, at = c->snd_una;
	const char *e;

	for (uint32_t i = r->first; i != CONN_NONE; prev = i, i = rec(s, i)->next) {
		const struct sent *x = rec(s, i);

		if (x->prev != prev)
			return "a record's neighbour does not know it";
		if (x->seq != at || x->len == 0)
			return "records leave a gap, or overlap";
		if (x->flags & SENT_SACKED)
			sacked += x->len;
		at = sent_end(x);
		n++;
	}
	if (n != r->records)
		return "records were miscounted";
	if (prev != r->last || (c->state != ST_CLOSED && at != c->snd_nxt))
		return "records do not end where what was sent does";
	if ((c->flags & CF_SACK) && sacked != r->sacked)
		return "SACKed bytes were miscounted";
	e = check_tlist(s, r, false);
	return e != NULL ? e : check_tlist(s, r, true);
}
