/* SPDX-License-Identifier: MIT */
#include "role/replica/compare_tie.h"

#include <string.h>

#include "proto/tcp.h"

/*
 * Theory of operation
 *
 * The rewriter in front of the secondary translates its numbers into the primary's, so normally
 * there is nothing to do.  It cannot translate the SYN-ACK (the primary's ISN is not known to it
 * then), and where there is no rewriter nothing is translated: so the two ISNs give a difference,
 * and each later number of the secondary's is read with and without it.  Windows are far smaller
 * than the space of numbers, so one of the two lies near what the secondary sends next.  Where both
 * do, because the ISNs lie close together (those of a copy do), the one that is just what is
 * expected counts, or else what counted last; but what repeats bytes as it was read last is no new
 * data by chance.
 *
 * A connection that is picked up on its way has no ISNs.  Its numbers are believed to be the same
 * ones; if the bytes say otherwise before any was agreed, the first data of both servers do as the
 * SYNs.
 */

#define AMBIGUOUS (1u << 20) /* both readings lie as near as segments out of order do */
#define TELLING 8u /* bytes that must be equal, at least */
#define PERIOD_MAX 4u /* data that repeat after so many bytes are equal to themselves elsewhere */

static int32_t distance(sut_seq a, sut_seq b)
{
	return (int32_t)(a.v - b.v);
}

static uint32_t size(int32_t d)
{
	return d < 0 ? 0u - (uint32_t)d : (uint32_t)d;
}

static void numbers_differ(struct compare_turn *t, uint32_t f)
{
	struct compare_flow *c = compare_cold(t, f);

	if (c->differs)
		return;
	c->differs = true;
	count_event(t->c->env, EV_NUMBERS_DIFFER);
	compare_tell(t, f, "OPEN", "OPEN", "the secondary's numbers are not the primary's");
}

/*
 * Is the number a near one, or one of its own?  Each reading lies so far from what is expected next;
 * negative: it repeats what was sent.
 */
static enum reading judge(const struct compare_flow *c, int32_t near, int32_t own)
{
	uint32_t n = size(near), o = size(own);
	bool both = n < AMBIGUOUS && o < AMBIGUOUS && c->reading != READ_NOTHING;
	bool again = (c->reading == READ_NEAR ? near : own) < 0, exact = n == 0 || o == 0;

	if (both && (again || !exact))
		return (enum reading)c->reading;
	if (exact)
		return n == 0 ? READ_NEAR : READ_OWN;
	return n <= o ? READ_NEAR : READ_OWN;
}

void compare_tie_read(struct compare_turn *t, uint32_t f, struct waiting *w)
{
	struct compare_flow *c = compare_cold(t, f);
	const struct output *s = &c->side[FAR];
	sut_seq own;

	if (!seqmap_knows(&c->map, FAR) || !s->has_end || c->map.shift[FAR] == 0)
		return;
	own = seqmap_to_near(&c->map, FAR, (sut_farseq){ w->seq.v });
	c->reading = (uint8_t)judge(c, distance(w->seq, s->end), distance(own, s->end));
	if (c->reading != READ_OWN)
		return;
	w->seq = own;
	numbers_differ(t, f);
}

/* Does a stand in front of b? */
static bool before(const struct waiting *a, const struct waiting *b)
{
	if (a->epoch != b->epoch)
		return epoch_after(b->epoch, a->epoch);
	if ((a->flags | b->flags) & WAITING_RAW)
		return !(a->flags & WAITING_RAW); /* raw ones at the end, as they came */
	return distance(a->seq, b->seq) < 0;
}

uint32_t compare_tie_place(const struct compare_turn *t, uint32_t f, const struct waiting *w)
{
	const struct held_queue *q = &compare_cold(t, f)->side[FAR].q;
	uint32_t prev = HELD_NONE, at = q->first;

	if (at == HELD_NONE || !before(w, waiting_of(t, q->last)))
		return q->last;
	for (; !before(w, waiting_of(t, at)); at = held_next(t->c->held, at))
		prev = at;
	return prev;
}

/* Gives numbers to what waits of the secondary in this epoch, and puts it in order. */
static void read_all(struct compare_turn *t, uint32_t f)
{
	struct compare_flow *c = compare_cold(t, f);
	struct output *s = &c->side[FAR];
	uint32_t at = s->q.first, next;

	held_queue_init(&s->q);
	for (; at != HELD_NONE; at = next) {
		struct waiting *w = waiting_of(t, at);

		next = held_next(t->c->held, at);
		if (w->epoch == c->epoch) {
			sut_seq end;

			w->flags &= (uint8_t)~WAITING_RAW;
			compare_tie_read(t, f, w);
			end = seq_add(w->seq, w->len);
			if (distance(end, s->end) > 0)
				s->end = end;
			(void)agreed_add(&c->produced, w->seq, w->len);
		}
		held_link(t->c->held, &s->q, compare_tie_place(t, f, w), at);
	}
}

static void learn(struct compare_flow *c, sut_seq near, sut_farseq far)
{
	c->reading = READ_NOTHING;
	c->map = (struct seqmap){ { 0, 0 }, 0 };
	(void)seqmap_learn(&c->map, FAR, near, far);
}

void compare_tie_syns(struct compare_turn *t, uint32_t f, const struct waiting *w)
{
	struct compare_flow *c = compare_cold(t, f);
	struct output *s = &c->side[FAR];

	while (s->frames && epoch_after(w->epoch, waiting_of(t, s->q.first)->epoch)) {
		compare_drop(t, f, HELD_NONE, R_STALE);
		compare_diverge(t, f, "data of the connection before");
	}
	c->epoch = w->epoch;
	c->begun = true;
	c->isn = w->seq;
	learn(c, c->isn, (sut_farseq){ s->isn.v });
	agreed_clear(&c->agreed);
	(void)agreed_add(&c->agreed, c->isn, 1);
	c->produced = c->agreed;
	s->end = seq_add(c->isn, 1);
	s->has_end = true;
	read_all(t, f);
}

void compare_tie_again(struct compare_turn *t, uint32_t f)
{
	struct compare_flow *c = compare_cold(t, f);
	struct output *s = &c->side[FAR];

	if (!c->begun || c->epoch != s->epoch || s->has_end)
		return;
	learn(c, c->isn, (sut_farseq){ s->isn.v });
	s->end = seq_add(c->isn, 1);
	s->has_end = true;
}

/* The first frame with payload in a queue: where it lies, or HELD_NONE. */
static uint32_t first_data(const struct compare_turn *t, const struct output *o)
{
	uint32_t at = o->q.first;

	while (at != HELD_NONE && waiting_of(t, at)->len <= (waiting_of(t, at)->flags & TCP_FIN))
		at = held_next(t->c->held, at);
	return at;
}

/* Do the n bytes at b begin again after a few? */
static bool repeats(const uint8_t *b, uint32_t n)
{
	for (uint32_t k = 1; k <= PERIOD_MAX; k++)
		if (memcmp(b, b + k, n - k) == 0)
			return true;
	return false;
}

bool compare_tie_data(struct compare_turn *t, uint32_t f)
{
	struct compare_flow *c = compare_cold(t, f);
	struct output *p = &c->side[NEAR], *s = &c->side[FAR];
	const struct waiting *wp, *ws;
	const uint8_t *bp, *bs;
	uint32_t ap, as, n;

	if (c->begun || c->agreed.n || seqmap_knows(&c->map, FAR) || p->syn || s->syn ||
	    p->epoch != s->epoch)
		return false;
	ap = first_data(t, p);
	as = first_data(t, s);
	if (ap == HELD_NONE || as == HELD_NONE)
		return false;
	wp = waiting_of(t, ap);
	ws = waiting_of(t, as);
	bp = compare_bytes(t, ap) + wp->bytes;
	bs = compare_bytes(t, as) + ws->bytes;
	n = wp->len - (wp->flags & TCP_FIN);
	if (ws->len - (ws->flags & TCP_FIN) < n)
		n = ws->len - (ws->flags & TCP_FIN);
	if (wp->seq.v == ws->seq.v || n < TELLING || memcmp(bp, bs, n) != 0 || repeats(bp, n))
		return false;
	learn(c, wp->seq, (sut_farseq){ ws->seq.v });
	agreed_clear(&c->produced);
	s->end = wp->seq;
	s->has_end = true;
	read_all(t, f);
	return true;
}
