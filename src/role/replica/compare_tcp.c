/* SPDX-License-Identifier: MIT */
#include "role/replica/compare_tcp.h"

#include <assert.h>
#include <string.h>

#include "role/replica/compare_out.h"
#include "role/replica/compare_tie.h"

/*
 * Theory of operation
 *
 * The primary's frames are kept whole, in order of arrival; the secondary's by their numbers.  When
 * a frame of either comes, it is laid over those of the other that wait: where both have a byte of
 * the same number that is not agreed yet, the bytes are compared, and are agreed or the two have
 * diverged.  A FIN is one byte behind the payload that equals no data.  A frame of the secondary's
 * all of which is agreed is dropped; so what waits of it is what the primary has not sent.
 *
 *     primary    |==== 1 ====|==== 2 ====|              waits in order: 1, 2
 *     secondary        |=== b ===|            |= c =|   waits by number: b, c
 *     agreed           ^^^^^^^^^^^                      once a comes: 1 goes out, then 2 when its rest is there
 *
 * A frame of the primary's goes out when it is the first in line and
 *
 *     all of its bytes are agreed, and its ack is not beyond the highest one that the secondary sent
 *     SYN   the secondary has sent one, too: that ties the two numberings together (compare_tie.h)
 *     RST   the secondary has sent one, too; its numbers do not matter
 *
 * What repeats bytes that were agreed when it came, and a probe with a number that is used already,
 * need not stand in line: the client may lack just these, and then nothing else would ever go on.
 *
 * A server that opens the same ports again begins a new epoch; frames of different epochs are never
 * compared.  The epoch of the comparison moves on when the primary's SYN goes out.
 */

/* A frame's bytes and their numbers; its SYN is not in it. */
struct piece {
	sut_seq seq;
	uint32_t len; /* payload, and 1 for a FIN */
	const uint8_t *payload;
	uint8_t flags;
};

static struct piece piece_of(const struct waiting *w, const uint8_t *frame)
{
	uint32_t syn = w->flags & TCP_SYN ? 1 : 0;

	return (struct piece){
		.seq = seq_add(w->seq, syn),
		.len = w->len - syn,
		.payload = frame + w->bytes,
		.flags = w->flags,
	};
}

static struct piece held_piece(const struct compare_turn *t, uint32_t at)
{
	return piece_of(waiting_of(t, at), compare_bytes(t, at));
}

static struct waiting waiting_read(const struct compare_turn *t, const struct view *v)
{
	struct waiting w = {
		.since = t->now,
		.serial = ++t->c->serial,
		.seq = { v->seq },
		.ack = { v->ack },
		.len = view_seg_len(v),
		.bytes = v->payload,
		.flags = v->flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK),
	};

	if (w.flags & TCP_RST) { /* may carry a text; no byte of the stream (RFC 1122, 4.2.2.12) */
		w.len = 0;
		w.flags &= TCP_RST | TCP_ACK;
	}
	return w;
}

static int32_t distance(sut_seq a, sut_seq b)
{
	return (int32_t)(a.v - b.v);
}

static sut_seq end_of(const struct waiting *w)
{
	return seq_add(w->seq, w->len);
}

/* Has piece p its FIN at number s? */
static bool fin_at(const struct piece *p, sut_seq s)
{
	return p->flags & TCP_FIN && seq_add(p->seq, p->len - 1).v == s.v;
}

/* Do the two, which both have the len numbers from `from` on, have the same there? */
static bool same(const struct piece *a, const struct piece *b, sut_seq from, uint32_t len)
{
	sut_seq last = seq_add(from, len - 1);
	bool fin = fin_at(a, last);

	if (fin != fin_at(b, last))
		return false;
	len -= fin;
	return memcmp(a->payload + seq_diff(from, a->seq), b->payload + seq_diff(from, b->seq),
		      len) == 0;
}

enum match { DISTINCT, EQUAL, DIFFERENT };

/* Lays the two over each other; what is equal is agreed. */
static enum match lay_over(struct compare_flow *c, const struct piece *a, const struct piece *b)
{
	sut_seq from = distance(a->seq, b->seq) > 0 ? a->seq : b->seq;
	sut_seq ea = seq_add(a->seq, a->len), eb = seq_add(b->seq, b->len);
	sut_seq end = distance(ea, eb) < 0 ? ea : eb;
	enum match m = DISTINCT;

	while (distance(end, from) > 0) {
		uint32_t len = seq_diff(end, from);

		if (!agreed_gap(&c->agreed, from, len, &from, &len))
			break;
		if (!same(a, b, from, len))
			return DIFFERENT;
		m = EQUAL;
		if (!agreed_add(&c->agreed, from, len)) {
			c->cramped = true;
			break;
		}
		from = seq_add(from, len);
	}
	return m;
}

/* Lays the primary's piece over what waits of the secondary; drops what is done with. */
static enum match lay_primary(struct compare_turn *t, uint32_t f, const struct piece *p)
{
	struct compare_flow *c = compare_cold(t, f);
	sut_seq end = seq_add(p->seq, p->len);
	uint32_t at = c->side[FAR].q.first, prev = HELD_NONE;
	enum match all = DISTINCT;

	while (at != HELD_NONE) {
		const struct waiting *w = waiting_of(t, at);
		uint32_t next = held_next(t->c->held, at);
		struct piece s = held_piece(t, at);
		enum match m;

		if (w->epoch != c->epoch || w->flags & WAITING_RAW || distance(s.seq, end) >= 0)
			break;
		m = lay_over(c, p, &s);
		if (m > all)
			all = m;
		if (agreed_has(&c->agreed, s.seq, s.len))
			compare_drop(t, f, prev, R_COMPARED);
		else
			prev = at;
		at = next;
	}
	return all;
}

/* Lays the secondary's piece over what waits of the primary. */
static enum match lay_secondary(struct compare_turn *t, uint32_t f, const struct piece *s)
{
	struct compare_flow *c = compare_cold(t, f);
	uint32_t at = c->side[NEAR].q.first;
	enum match all = DISTINCT;

	for (; at != HELD_NONE; at = held_next(t->c->held, at)) {
		struct piece p;
		enum match m;

		if (waiting_of(t, at)->epoch != c->epoch)
			continue;
		p = held_piece(t, at);
		m = lay_over(c, &p, s);
		if (m > all)
			all = m;
		if (agreed_has(&c->agreed, s->seq, s->len))
			break;
	}
	return all;
}

/* All of the primary's that wait, over all of the secondary's. */
static enum match lay_all(struct compare_turn *t, uint32_t f)
{
	struct compare_flow *c = compare_cold(t, f);
	enum match all = DISTINCT;

	for (uint32_t at = c->side[NEAR].q.first; at != HELD_NONE; at = held_next(t->c->held, at)) {
		struct piece p;
		enum match m;

		if (waiting_of(t, at)->epoch != c->epoch)
			continue;
		p = held_piece(t, at);
		m = lay_primary(t, f, &p);
		if (m > all)
			all = m;
	}
	return all;
}

/*
 * There was no room to say that all of the first frame is equal: is there now, and is there
 * something new?
 */
static bool lay_first(struct compare_turn *t, uint32_t f)
{
	struct compare_flow *c = compare_cold(t, f);
	uint32_t at = c->side[NEAR].q.first;
	struct piece p;

	c->cramped = at != HELD_NONE && c->side[FAR].frames;
	if (!c->cramped)
		return false;
	p = held_piece(t, at);
	if (waiting_of(t, at)->epoch != c->epoch || agreed_has(&c->agreed, p.seq, p.len))
		return false;
	(void)lay_primary(t, f, &p);
	return agreed_has(&c->agreed, p.seq, p.len);
}

/* The server has opened the ports again: what was is the epoch before. */
static void next_epoch(struct output *o)
{
	o->epoch++;
	o->old_acked = o->acked;
	o->had_acked = o->has_acked;
	o->had_rst = o->rst;
	o->has_acked = o->has_end = o->rst = o->talks = false;
}

/*
 * Does the SYN w begin another connection than the SYN before?  One of the same connection may have
 * another number, since the rewriter translates it or a listener was restarted, but acknowledges
 * the same SYN of the client's.
 */
static bool is_anew(const struct output *o, const struct waiting *w)
{
	if (o->syn && o->isn.v == w->seq.v)
		return false;
	return o->talks || (o->syn && o->has_acked && w->flags & TCP_ACK && o->acked.v != w->ack.v);
}

/*
 * A server has sent w: what that says of its connection; sets w->epoch.  near_isn: its SYN as the
 * rewriter may have translated it since; NULL if there is none.
 */
static void follow(struct output *o, struct waiting *w, const sut_seq *near_isn)
{
	bool syn = w->flags & TCP_SYN;

	if (syn && !(near_isn && near_isn->v == w->seq.v)) {
		if (is_anew(o, w))
			next_epoch(o);
		o->has_end &= o->syn && o->isn.v == w->seq.v;
		o->syn = true;
		o->isn = w->seq;
	}
	o->talks |= !syn;
	o->rst |= (w->flags & TCP_RST) != 0;
	w->epoch = o->epoch;
	if ((w->flags & (TCP_ACK | TCP_RST)) != TCP_ACK)
		return;
	if (!o->has_acked || distance(w->ack, o->acked) > 0)
		o->acked = w->ack;
	o->has_acked = true;
}

static void follow_end(struct output *o, sut_seq end)
{
	if (!o->has_end || distance(end, o->end) > 0)
		o->end = end;
	o->has_end = true;
}

/* Has the secondary acknowledged as much? */
static bool ack_agreed(const struct compare_flow *c, const struct waiting *w)
{
	const struct output *s = &c->side[FAR];

	if (!(w->flags & TCP_ACK))
		return true;
	if (w->epoch == s->epoch)
		return s->has_acked && distance(w->ack, s->acked) <= 0;
	return s->had_acked && distance(w->ack, s->old_acked) <= 0;
}

/* Waits data of the primary's that the secondary has not produced? */
static bool primary_data_wait(const struct compare_turn *t, const struct compare_flow *c)
{
	const struct output *p = &c->side[NEAR], *s = &c->side[FAR];

	for (uint32_t at = p->q.first; at != HELD_NONE; at = held_next(t->c->held, at)) {
		const struct waiting *w = waiting_of(t, at);

		if (w->epoch == c->epoch && w->len && !agreed_has(&c->agreed, w->seq, w->len) &&
		    (!s->has_end || distance(end_of(w), s->end) > 0))
			return true;
	}
	return false;
}

/* One has reset the connection, and the other has produced more than it: true. */
static bool reset_against_data(const struct compare_turn *t, const struct compare_flow *c)
{
	const struct output *p = &c->side[NEAR], *s = &c->side[FAR];

	if (p->epoch != s->epoch || s->epoch != c->epoch || (!c->begun && !c->agreed.n))
		return false;
	if (p->rst && s->frames && s->has_end && (!p->has_end || distance(s->end, p->end) > 0))
		return true;
	return s->rst && p->frames && primary_data_wait(t, c);
}

/* The secondary's SYN or RST waits for the primary's as frames do. */
static void follow_events(struct compare_turn *t, uint32_t f)
{
	struct compare_flow *c = compare_cold(t, f);
	const struct output *p = &c->side[NEAR], *s = &c->side[FAR];
	bool syn = s->syn && !(c->begun && c->epoch == s->epoch) &&
		   !epoch_after(c->epoch, s->epoch);
	bool rst = s->rst && (epoch_after(s->epoch, p->epoch) || (p->epoch == s->epoch && !p->rst));

	if (!syn && !rst)
		c->event_since = SUT_NEVER;
	else if (c->event_since == SUT_NEVER)
		c->event_since = t->now;
}

/* The connection of the primary's SYN w begins: both have sent one. */
static void begin(struct compare_turn *t, uint32_t f, const struct waiting *w)
{
	compare_tie_syns(t, f, w);
	if (lay_all(t, f) == DIFFERENT)
		compare_diverge(t, f, "data differ");
	follow_events(t, f);
}

static bool is_begun_by(const struct compare_flow *c, const struct waiting *w)
{
	return c->begun && c->epoch == w->epoch && c->isn.v == w->seq.v;
}

bool compare_tcp_may_go(struct compare_turn *t, uint32_t f, const struct waiting *w)
{
	struct compare_flow *c = compare_cold(t, f);
	const struct output *s = &c->side[FAR];
	bool past = epoch_after(s->epoch, w->epoch); /* the secondary is done with that epoch */

	if (epoch_after(w->epoch, s->epoch))
		return false;
	if (w->flags & TCP_RST)
		return past ? s->had_rst : s->rst;
	if (!ack_agreed(c, w))
		return false;
	if (w->flags & TCP_SYN && !is_begun_by(c, w)) {
		if (past || !s->syn)
			return false;
		begin(t, f, w);
	}
	return w->epoch == c->epoch && agreed_has(&c->agreed, w->seq, w->len);
}

/* After a frame of either: picks the flow up if it was not, tells what differs, sends what may go. */
static void settle(struct compare_turn *t, uint32_t f, enum match m)
{
	struct compare_flow *c = compare_cold(t, f);

	if (compare_tie_data(t, f))
		m = lay_all(t, f);
	if (m == DIFFERENT)
		compare_diverge(t, f, "data differ");
	if (reset_against_data(t, c))
		compare_diverge(t, f, "reset against data");
	follow_events(t, f);
	compare_release(t, f);
	while (c->cramped && lay_first(t, f))
		compare_release(t, f);
}

/*
 * Can w be compared with what the secondary has sent: is it of the connection that is being
 * compared, whose numbers are known or need not be?
 */
static bool comparable(const struct compare_flow *c, const struct waiting *w, enum sut_side side)
{
	return w->epoch == c->epoch && w->len != 0 && (c->begun || !c->side[side].syn);
}

/* Repeats what was agreed already, or probes with a number that was used before? */
static bool is_again(const struct compare_flow *c, const struct waiting *w)
{
	const struct output *p = &c->side[NEAR];

	if (w->epoch != c->epoch || w->flags & TCP_RST)
		return false;
	if (w->len == 0)
		return p->has_end && distance(w->seq, p->end) < 0;
	return agreed_has(&c->agreed, w->seq, w->len);
}

void compare_tcp_primary(struct compare_turn *t, uint32_t f, struct packet *p, const struct view *v)
{
	struct compare_flow *c = compare_cold(t, f);
	struct waiting w = waiting_read(t, v);
	enum match m = DISTINCT;

	follow(&c->side[NEAR], &w, NULL);
	if (is_again(c, &w)) {
		w.flags |= WAITING_AGAIN;
	} else if (comparable(c, &w, NEAR)) {
		struct piece piece = piece_of(&w, p->head);

		m = lay_primary(t, f, &piece);
	}
	if (!(w.flags & TCP_RST))
		follow_end(&c->side[NEAR], end_of(&w));
	compare_send_or_hold(t, f, p, &w);
	settle(t, f, m);
}

/* Keeps what the primary has not sent yet; what it has, or is kept already, is dropped. */
static void keep(struct compare_turn *t, uint32_t f, struct packet *p, const struct waiting *w)
{
	struct compare_flow *c = compare_cold(t, f);
	bool raw = w->flags & WAITING_RAW;

	if (w->len == 0 || (!raw && agreed_has(&c->agreed, w->seq, w->len)) ||
	    (!raw && agreed_has(&c->produced, w->seq, w->len))) {
		count_drop(t->c->env, R_COMPARED);
		return;
	}
	if (compare_hold(t, f, FAR, p, w, compare_tie_place(t, f, w)) == HELD_NONE)
		return;
	if (!raw)
		(void)agreed_add(&c->produced, w->seq, w->len);
}

void compare_tcp_secondary(struct compare_turn *t, uint32_t f, struct packet *p,
			   const struct view *v)
{
	struct compare_flow *c = compare_cold(t, f);
	struct output *s = &c->side[FAR];
	struct waiting w = waiting_read(t, v);
	enum match m = DISTINCT;

	follow(s, &w, c->begun && c->epoch == s->epoch ? &c->isn : NULL);
	if (w.flags & TCP_SYN) { /* an event, not a byte that waits */
		w.flags &= (uint8_t)~TCP_SYN;
		w.seq = seq_add(w.seq, 1);
		w.len--;
		compare_tie_again(t, f);
	}
	if (w.epoch != c->epoch || (s->syn && !c->begun))
		w.flags |= WAITING_RAW;
	else if (w.len != 0)
		compare_tie_read(t, f, &w);
	if (w.len != 0 && !(w.flags & WAITING_RAW)) {
		struct piece piece = piece_of(&w, p->head);

		follow_end(s, end_of(&w));
		if (!agreed_has(&c->agreed, w.seq, w.len))
			m = lay_secondary(t, f, &piece);
		if (agreed_has(&c->agreed, w.seq, w.len))
			(void)agreed_add(&c->produced, w.seq, w.len);
	}
	keep(t, f, p, &w);
	settle(t, f, m);
}

void compare_tcp_equal(struct compare_flow *c)
{
	struct output *p = &c->side[NEAR], *s = &c->side[FAR];
	struct held_queue q = s->q;

	*s = *p;
	s->q = q;
	s->frames = 0;
	c->epoch = p->epoch;
	c->isn = p->isn;
	c->begun = true;
	c->diverged = c->cramped = false;
	c->map = (struct seqmap){ { 0, 0 }, 0 };
	c->reading = READ_NOTHING;
	c->event_since = SUT_NEVER;
	agreed_clear(&c->agreed);
	if (p->has_end)
		(void)agreed_add(&c->agreed, seq_add(p->end, 0u - (AGREED_SPAN - 1)),
				 AGREED_SPAN - 1);
	c->produced = c->agreed;
}
