/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * What a sender sends comes in at its own half and goes out at the other one.  Packets wait in a window, in the order of their
 * times.  One that goes out is looked at LAG after it was seen, so that the one that it came from is in the window even where
 * the two clocks differ a little; it is merged into that one's step, if there is one:
 *
 *   1. same place in the stream, same length: of several the one whose other fields agree best, then the oldest;
 *   2. some of the same bytes: pieces of one, or one of pieces (GSO, GRO, data moved into a SYN);
 *   3. the same bytes at another place, at about the same time: a wrong number, which is a fault.
 *
 * What goes out and has no such origin was made by the box.  What came in and has not gone out is decided when something
 * behind it has gone out, HOLD_MAX has passed, or the window is full.
 *
 * The shift of a direction is the difference of the two ISNs; without both SYNs, the difference that most packets with equal
 * payload have.  Until it is known, what goes out has to wait.
 */
#include "app/pairing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LAG SUT_MS(2) /* two clocks of one machine */
#define SOON SUT_MS(250) /* so much later something overtaken will not come any more */
#define NEARBY SUT_MS(50) /* a damaged packet is its origin's if it is no further */
#define QUICK SUT_MS(5) /* what an ACK may take more than others */
#define HOLD_MAX SUT_MS(60000)
#define WINDOW 1024u /* undecided packets of a connection */
#define VOTES 16u
#define VOTERS 128u

static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static struct step *at(struct pairing *p, size_t i)
{
	return &p->step[p->head + i];
}

void pairing_begin(struct pairing *p, const struct reading *reading, enum pairing_captures captures)
{
	*p = (struct pairing){ .reading = reading, .captures = captures, .learn_at = 8 };
}

void pairing_end(struct pairing *p)
{
	free(p->step);
	p->step = NULL;
	p->n = p->room = p->head = 0;
}

static bool comes_in(const struct step *t)
{
	return step_seen(t, step_in(t));
}

/* Comes in, and has not (wholly) gone out. */
static bool waits(const struct step *t)
{
	return !t->dead && comes_in(t) && t->fate == FATE_SWALLOWED;
}

static bool is_synack(const struct sight *s)
{
	return (s->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
}

static bool pure_ack(const struct sight *s)
{
	return s->len == 0 && !(s->flags & (TCP_SYN | TCP_FIN | TCP_RST)) && (s->flags & TCP_ACK);
}

/* Only the first SYNs of a connection count. */
static void learn_isn(struct pairing *p, enum sut_side half, enum sut_side sender,
		      const struct sight *s)
{
	if (!(s->flags & TCP_SYN) || p->isn_known[sender] >> half & 1)
		return;
	p->isn_known[sender] |= (uint8_t)(1u << half);
	p->isn[sender][half] = s->seq;
	if (p->isn_known[sender] != 3)
		return;
	p->seq[sender].known = p->seq[sender].by_isn = true;
	p->seq[sender].by = p->isn[sender][FAR] - p->isn[sender][NEAR];
}

static void learn_synack(struct pairing *p, enum sut_side half, enum sut_side sender,
			 const struct sight *s)
{
	if (sender != FAR || !is_synack(s))
		return;
	if (half == FAR && !p->synack_at)
		p->synack_at = s->at;
	if (!(s->present & OPT_TS))
		return;
	if (!(p->synacks >> half & 1))
		p->synack_ts[half] = s->tsval;
	p->synack_last = half == FAR ? s->tsval : p->synack_last;
	p->synacks |= (uint8_t)(1u << half);
	if (p->synacks != 3 || p->ts[FAR].known)
		return;
	p->ts[FAR].known = p->ts[FAR].by_isn = true;
	p->ts[FAR].by = p->synack_ts[FAR] - p->synack_ts[NEAR];
}

static int make_room(struct pairing *p)
{
	size_t room = p->room ? p->room * 2 : 8;
	struct step *more;

	if (p->head + p->n < p->room)
		return 0;
	if (p->head > p->room / 2) {
		memmove(p->step, p->step + p->head, p->n * sizeof *p->step);
		p->head = 0;
		return 0;
	}
	more = realloc(p->step, room * sizeof *more);
	if (!more)
		return -ENOMEM;
	p->step = more;
	p->room = room;
	return 0;
}

static enum sut_side out_of(const struct step *t)
{
	return side_other(step_in(t));
}

/* t is going out of the box: is it of the same kind as i, which came in? */
static bool same_kind(const struct step *i, const struct step *e)
{
	const struct sight *a = &i->s[step_in(i)], *b = &e->s[out_of(e)];

	return waits(i) && i->sender == e->sender && a->icmp == b->icmp && a->at <= b->at + LAG &&
	       ((a->flags ^ b->flags) & (TCP_SYN | TCP_RST)) == 0;
}

/* How well do the fields of a pair agree, those that a box may change with the changes that are known? */
static unsigned likeness(const struct pairing *p, const struct step *i, const struct step *e)
{
	enum sut_side sender = (enum sut_side)i->sender, peer = side_other(sender);
	const struct sight *a = &i->s[step_in(i)], *b = &e->s[out_of(e)];
	uint32_t sign = step_in(i) == NEAR ? 1u : UINT32_MAX;
	bool ts = a->present & b->present & OPT_TS;
	unsigned score = 0;

	if (((a->flags ^ b->flags) & (TCP_FIN | TCP_ACK)) == 0)
		score += 16;
	if (!p->seq[peer].known || b->ack - a->ack == sign * p->seq[peer].by)
		score += 16;
	if (!ts || !p->ts[sender].known || b->tsval - a->tsval == sign * p->ts[sender].by)
		score += 8;
	if (!ts || !p->ts[peer].known || b->tsecr - a->tsecr == sign * p->ts[peer].by)
		score += 4;
	if (a->ipid == b->ipid)
		score += 2;
	if (a->sack_count == b->sack_count && a->window == b->window)
		score += 1;
	return score;
}

#define ALL_ALIKE 47u
#define ACK_ALIKE 32u

/* An ACK whose number went wrong is its origin's all the same, if all else says so; otherwise the box made it. */
static bool believable(const struct pairing *p, const struct step *i, const struct step *e,
		       unsigned score)
{
	sut_time usual = p->delay[i->sender].least;
	const struct sight *a = &i->s[step_in(i)], *b = &e->s[out_of(e)];

	if (!pure_ack(b) || (score >= ACK_ALIKE && (score & 12) == 12))
		return true;
	return b->at <= a->at + usual + QUICK && (a->ipid == b->ipid || (score & 12) == 12) &&
	       a->sack_count == b->sack_count;
}

/* 1. The same place and length; better than `least`. */
static struct step *find_same(struct pairing *p, const struct step *e, unsigned least)
{
	enum sut_side sender = (enum sut_side)e->sender;
	const struct sight *b = &e->s[out_of(e)];
	uint32_t seq = pairing_near(p, out_of(e), sender, b->seq);
	struct step *best = NULL;
	unsigned most = least;

	for (size_t k = 0; k < p->n; k++) {
		struct step *i = at(p, k);
		const struct sight *a = &i->s[step_in(i)];
		unsigned score;

		if (!same_kind(i, e) || i->left ||
		    pairing_near(p, step_in(i), sender, a->seq) != seq ||
		    (a->len != b->len && !(b->flags & TCP_SYN)))
			continue;
		score = likeness(p, i, e);
		if (score <= most || !believable(p, i, e, score))
			continue;
		most = score;
		best = i;
		if (score == ALL_ALIKE)
			break;
	}
	return best;
}

static void note_delay(struct pairing *p, const struct step *t)
{
	struct pairing_delay *d = &p->delay[t->sender];
	const struct sight *in = &t->s[step_in(t)], *out = &t->s[out_of(t)];
	sut_time by = out->at > in->at ? out->at - in->at : 0;

	if (d->count++ == 0 || by < d->least)
		d->least = by;
	if (by > d->most)
		d->most = by;
	d->sum += by;
}

static void note_matched(struct pairing *p, const struct step *i)
{
	sut_time came = i->s[step_in(i)].at;

	if (came > p->matched[i->sender])
		p->matched[i->sender] = came;
}

/* e is i, on its way out. */
static void merge(struct pairing *p, struct step *i, struct step *e)
{
	enum sut_side out = out_of(e);

	i->s[out] = e->s[out];
	i->n[out] = e->n[out];
	i->seen = 3;
	i->fate = FATE_PASSED;
	e->dead = 1;
	note_delay(p, i);
	note_matched(p, i);
}

/* The payload of a step in near numbers; for one that goes out, what is not in it yet. */
struct span {
	uint32_t from, to;
};

static struct span span_of(const struct pairing *p, const struct step *t, enum sut_side half)
{
	const struct sight *s = &t->s[half];
	uint32_t from = pairing_near(p, half, (enum sut_side)t->sender, sight_data(s));

	return (struct span){ from, from + s->len };
}

static bool overlap(struct span a, struct span b)
{
	return before(a.from, b.to) && before(b.from, a.to);
}

/* Bytes of i, or the hashes of them, have gone out up to here. */
static void note_left(struct pairing *p, struct step *i, const struct step *e, struct span b)
{
	struct span a = span_of(p, i, step_in(i));
	const struct sight *in = &i->s[step_in(i)], *out = &e->s[out_of(e)];
	uint32_t to = before(b.to, a.to) ? b.to : a.to;

	if (b.from == a.from + i->left && !before(a.to, b.to))
		i->left_hash = sight_join(i->left_hash, out->hash, out->len);
	else
		i->left_hash = 0;
	if (before(a.from + i->left, to))
		i->left = to - a.from;
	if (i->left == in->len && i->left_hash && (in->marks & out->marks & SIGHT_HASHED) &&
	    i->left_hash != in->hash) {
		i->faults |= (uint16_t)(1u << FAULT_PAYLOAD);
		p->faults[FAULT_PAYLOAD]++;
	}
}

/* What goes out as one and came in as several. */
struct group {
	unsigned n;
	struct step *last; /* the last that has not gone out in part before */
	struct step *any; /* the last of all */
	struct span sum; /* contiguous from the first */
	uint64_t hash;
	bool whole, hashed;
};

static void group_add(struct pairing *p, struct group *g, struct step *i, struct span b)
{
	struct span a = span_of(p, i, step_in(i));
	const struct sight *s = &i->s[step_in(i)];

	if (before(a.from, b.from) || before(b.to, a.to) || (g->n && g->sum.to != a.from))
		g->whole = false;
	if (g->n == 0)
		g->sum.from = a.from;
	g->sum.to = a.to;
	g->hash = sight_join(g->hash, s->hash, s->len);
	g->hashed = g->hashed && (s->marks & SIGHT_HASHED);
	g->n++;
	g->any = i;
	if (i->left == 0)
		g->last = i;
}

/* Of the same bytes at least some; SYNs have been paired already, but for the data that they took with them. */
static bool feeds(const struct pairing *p, const struct step *i, const struct step *e,
		  struct span b)
{
	const struct sight *a = &i->s[step_in(i)];

	return !i->dead && comes_in(i) && i->sender == e->sender && a->len &&
	       a->icmp == ICMP_OTHER && i->left < a->len && (waits(i) || i->left) &&
	       !(a->flags & TCP_SYN) && a->at <= e->s[out_of(e)].at + LAG &&
	       overlap(span_of(p, i, step_in(i)), b);
}

static void join(struct pairing *p, struct step *i, const struct step *e, struct span b,
		 uint8_t why)
{
	note_left(p, i, e, b);
	note_matched(p, i);
	if (i->fate != FATE_SWALLOWED)
		return;
	i->fate = FATE_JOINED;
	i->why = why;
}

/* Copies the group's fault to the step that stands for it. */
static void check_group(struct pairing *p, const struct group *g, struct span b, struct step *t,
			const struct sight *out)
{
	if (!g->whole || g->n < 2 || !g->hashed || !(out->marks & SIGHT_HASHED) ||
	    g->sum.from != b.from || g->sum.to != b.to || g->hash == out->hash)
		return;
	t->faults |= (uint16_t)(1u << FAULT_PAYLOAD);
	p->faults[FAULT_PAYLOAD]++;
}

/* Which steps e took its bytes from; they are marked, but for the one that is to be merged with e, if that is wanted. */
static struct group gather(struct pairing *p, struct step *e, struct span b, bool into_syn)
{
	struct group g = { .whole = true, .hashed = true };

	for (size_t k = 0; k < p->n; k++)
		if (feeds(p, at(p, k), e, b))
			group_add(p, &g, at(p, k), b);
	for (size_t k = 0; k < p->n && g.n; k++) {
		struct step *i = at(p, k);

		if (feeds(p, i, e, b) && (into_syn || i != g.last))
			join(p, i, e, b, into_syn ? WHY_IN_SYN : WHY_IN_ANOTHER);
	}
	return g;
}

/* 2. Some of the same bytes. */
static bool find_bytes(struct pairing *p, struct step *e)
{
	enum sut_side out = out_of(e);
	struct span b = span_of(p, e, out);
	struct group g;

	if (e->s[out].len == 0 || e->s[out].icmp != ICMP_OTHER)
		return false;
	g = gather(p, e, b, false);
	if (g.n == 0)
		return false;
	if (g.last) {
		struct step *i = g.last;

		note_left(p, i, e, b);
		merge(p, i, e);
		check_group(p, &g, b, i, &i->s[out]);
		i->pieces = (uint16_t)(g.n > 1 ? g.n : 0);
		if (i->left < i->s[step_in(i)].len)
			i->pieces = 1;
		pairing_verify(p, i);
		return true;
	}
	e->fate = FATE_PIECE;
	if (g.any->pieces < UINT16_MAX)
		g.any->pieces++;
	/* compared as if it were the whole, without becoming it */
	e->s[side_other(out)] = g.any->s[side_other(out)];
	e->seen = 3;
	pairing_verify(p, e);
	e->seen = (uint8_t)(1u << out);
	return true;
}

static bool same_payload(const struct sight *a, const struct sight *b)
{
	return a->len == b->len && (!(a->marks & b->marks & SIGHT_HASHED) || a->hash == b->hash);
}

/* 3. The same thing at another place: only soon after it came in, and only if all else agrees. */
static struct step *find_damaged(struct pairing *p, const struct step *e)
{
	const struct sight *b = &e->s[out_of(e)];

	for (size_t k = 0; k < p->n; k++) {
		struct step *i = at(p, k);
		const struct sight *a = &i->s[step_in(i)];
		unsigned score;

		if (!same_kind(i, e) || i->left || !same_payload(a, b) || b->at > a->at + NEARBY ||
		    ((a->flags ^ b->flags) & TCP_FIN))
			continue;
		if (b->icmp != ICMP_OTHER)
			return i;
		score = likeness(p, i, e);
		if (score >= 44 && (a->ipid == b->ipid) && (b->len || a->ipid))
			return i;
	}
	return NULL;
}

/* Why did the box make t? */
static enum fate_reason reason_made(const struct pairing *p, const struct step *t)
{
	enum sut_side out = out_of(t), sender = (enum sut_side)t->sender;
	const struct sight *s = &t->s[out];
	const struct reading_way *in = &p->reading[side_other(out)].way[sender];
	bool answered = p->synack_at && s->at + LAG >= p->synack_at &&
			s->at <= p->synack_at + 2 * LAG;

	if (s->icmp != ICMP_OTHER)
		return WHY_TOLD;
	if (s->flags & TCP_RST)
		return WHY_RESET;
	if (is_synack(s))
		return WHY_PROMISE;
	if (s->flags & TCP_SYN)
		return WHY_SYN_BY_BOX;
	if (pure_ack(s) && answered && p->promised)
		return sender == NEAR ? WHY_ACKS_SYNACK : WHY_AS_ACK;
	if (pure_ack(s))
		return WHY_ACK_BY_BOX;
	if (in->seen && p->seq[sender].known &&
	    !before(in->end, pairing_near(p, out, sender, s->seq) +
				     (side_other(out) == FAR ? p->seq[sender].by : 0) +
				     sight_space(s)))
		return WHY_SENT_AGAIN;
	return WHY_NOT_SENT;
}

static void decide_made(struct pairing *p, struct step *t)
{
	enum sut_side sender = (enum sut_side)t->sender;
	const struct sight *s = &t->s[out_of(t)];

	t->fate = FATE_MADE;
	t->why = (uint8_t)reason_made(p, t);
	if (t->why == WHY_PROMISE && p->promised)
		t->why = WHY_PROMISE_AGAIN;
	if (is_synack(s))
		p->promised = true;
	if (t->why == WHY_NOT_SENT && p->halves == 3 && p->shown[sender] &&
	    p->shown_at[sender] <= s->at && p->seq[sender].known) {
		t->faults |= (uint16_t)(1u << FAULT_BYTES);
		p->faults[FAULT_BYTES]++;
	} else if (t->why == WHY_NOT_SENT) {
		t->why = WHY_GONE;
	}
}

/* A SYN that goes out is paired with the SYN; data in it came in behind that. */
static void take_data_into_syn(struct pairing *p, struct step *syn, struct step *e)
{
	struct span b = span_of(p, syn, out_of(syn));
	struct group g;

	if (syn->s[out_of(syn)].len == 0 || syn->s[step_in(syn)].len)
		return;
	g = gather(p, e, b, true);
	p->syn_data = true;
	syn->pieces = (uint16_t)g.n;
	check_group(p, &g, b, syn, &syn->s[out_of(syn)]);
}

/* Finds where e comes from.  False: it has to wait for a shift. */
static bool settle(struct pairing *p, struct step *e)
{
	const struct sight *s = &e->s[out_of(e)];
	struct step *i = NULL;

	if (is_synack(s)) {
		if (!p->promised)
			i = find_same(p, e, 0);
	} else if (!p->seq[e->sender].known && !p->flushing) {
		return false;
	} else {
		i = find_same(p, e, 0);
		if (!i && find_bytes(p, e))
			return true;
		if (!i)
			i = find_damaged(p, e);
	}
	if (!i) {
		decide_made(p, e);
		return true;
	}
	merge(p, i, e);
	if (s->flags & TCP_SYN)
		take_data_into_syn(p, i, e);
	pairing_verify(p, i);
	return true;
}

/* What agrees in all is its origin: nothing better can come. */
static void settle_at_once(struct pairing *p, struct step *e)
{
	struct step *i;

	if (comes_in(e) || !p->seq[e->sender].known || (e->s[out_of(e)].flags & TCP_SYN))
		return;
	i = find_same(p, e, ALL_ALIKE - 1);
	if (!i)
		return;
	merge(p, i, e);
	e->tried = 1;
	pairing_verify(p, i);
}

struct vote {
	uint32_t shift;
	unsigned n;
};

static void vote(struct vote *votes, uint32_t shift)
{
	for (unsigned i = 0; i < VOTES; i++) {
		if (votes[i].n && votes[i].shift != shift)
			continue;
		votes[i].shift = shift;
		votes[i].n++;
		return;
	}
}

/* Might e be i?  Judged by what no shift changes. */
static bool alike(const struct step *i, const struct step *e)
{
	const struct sight *a = &i->s[step_in(i)], *b = &e->s[out_of(e)];
	bool sure = a->len && (a->marks & b->marks & SIGHT_HASHED);

	return same_kind(i, e) && a->icmp == ICMP_OTHER && same_payload(a, b) &&
	       ((a->flags ^ b->flags) & (uint8_t)~TCP_PSH) == 0 &&
	       (sure || (a->window == b->window && b->at <= a->at + NEARBY));
}

/* Finds the shift of a sender by what most alike pairs have; at least `enough` of them. */
static void learn_shift(struct pairing *p, enum sut_side sender, unsigned enough)
{
	size_t n = p->n < VOTERS ? p->n : VOTERS;
	struct vote votes[VOTES] = { 0 };
	unsigned best = 0, all = 0;

	for (size_t k = 0; k < n; k++) {
		struct step *e = at(p, k);

		if (e->dead || comes_in(e) || e->sender != sender)
			continue;
		for (size_t j = 0; j < n; j++)
			if (alike(at(p, j), e)) {
				const struct step *i = at(p, j);
				uint32_t by = e->s[out_of(e)].seq - i->s[step_in(i)].seq;

				vote(votes, out_of(e) == FAR ? by : 0u - by);
			}
	}
	for (unsigned i = 0; i < VOTES; i++) {
		all += votes[i].n;
		if (votes[i].n > votes[best].n)
			best = i;
	}
	if (votes[best].n < enough || votes[best].n * 2 < all)
		return;
	p->seq[sender].known = true;
	p->seq[sender].by = votes[best].shift;
}

static void learn_shifts(struct pairing *p, unsigned enough)
{
	for (enum sut_side s = NEAR; s < SUT_SIDES; s++)
		if (!p->seq[s].known && p->halves == 3)
			learn_shift(p, s, enough);
}

/* Settles what has waited long enough, from the first that was not settled on. */
static void settle_until(struct pairing *p, sut_time now)
{
	if (p->postponed && p->n >= p->learn_at) {
		learn_shifts(p, 2);
		p->learn_at = p->n * 2;
	}
	if (p->postponed)
		p->next = 0;
	p->postponed = false;
	for (size_t k = p->next; k < p->n; k++) {
		struct step *e = at(p, k);

		if (!p->flushing && step_at(e) + LAG > now)
			break;
		if (!e->dead && !e->tried && !comes_in(e)) {
			e->tried = settle(p, e);
			p->postponed |= !e->tried;
		}
		p->next = k + 1;
	}
}

int pairing_add(struct pairing *p, enum sut_side half, enum sut_side sender, const struct sight *s,
		const struct notes *n)
{
	struct step *t;

	if (make_room(p) != 0)
		return -ENOMEM;
	if (s->icmp == ICMP_OTHER) {
		learn_isn(p, half, sender, s);
		learn_synack(p, half, sender, s);
	}
	p->halves |= (uint8_t)(1u << half);
	t = at(p, p->n++);
	memset(t, 0, sizeof *t);
	t->s[half] = *s;
	t->n[half] = *n;
	t->seen = (uint8_t)(1u << half);
	t->sender = (uint8_t)sender;
	t->fate = FATE_SWALLOWED;
	if (comes_in(t) && s->icmp == ICMP_OTHER && !p->shown[sender]) {
		p->shown[sender] = true;
		p->shown_at[sender] = s->at;
	}
	if (p->captures == PAIRING_ONE) {
		t->tried = 1;
		return 0;
	}
	settle_at_once(p, t);
	settle_until(p, s->at);
	return 0;
}

void pairing_flush(struct pairing *p)
{
	p->flushing = true;
	learn_shifts(p, 1);
	settle_until(p, SUT_NEVER);
}

/* The window is full, and something waits for a shift that is not to be known. */
static void force(struct pairing *p)
{
	sut_time now = step_at(at(p, p->n - 1));

	p->flushing = true;
	learn_shifts(p, 1);
	settle_until(p, now);
	p->flushing = false;
}

/* Came in, and did not go out as far as is known: is that final? */
static bool final(const struct pairing *p, const struct step *t, sut_time now)
{
	sut_time came = step_at(t);
	bool partly = t->left && t->left < t->s[step_in(t)].len;

	if (p->captures == PAIRING_ONE || p->flushing || p->n > WINDOW || now > came + HOLD_MAX)
		return true;
	if (t->fate != FATE_SWALLOWED)
		return !partly || now > came + SOON;
	return p->matched[t->sender] > came && now > came + SOON;
}

/* Is t a copy of what had come in before it? */
static bool came_before(const struct step *t)
{
	return notes_have(&t->n[step_in(t)], NOTE_RETRANSMIT);
}

static enum fate_reason reason_swallowed(const struct pairing *p, const struct step *t)
{
	const struct sight *s = &t->s[step_in(t)];

	if (s->icmp != ICMP_OTHER || !p->promised)
		return WHY_GONE;
	if (t->sender == FAR)
		return is_synack(s) ? WHY_REAL_SYNACK : WHY_GONE;
	if (s->flags & TCP_SYN)
		return notes_have(&t->n[NEAR], NOTE_SYN_AGAIN) ? WHY_SYN_KNOWN : WHY_GONE;
	if (pure_ack(s) && p->isn_known[FAR] & 1 && s->ack == p->isn[FAR][NEAR] + 1)
		return WHY_ACKS_PROMISE;
	return came_before(t) ? WHY_HAD_ALREADY : WHY_GONE;
}

bool pairing_take(struct pairing *p, sut_time now, struct step **ret_t)
{
	while (p->n) {
		struct step *t = at(p, 0);

		if (!t->dead && p->n > WINDOW && !comes_in(t) && !t->tried)
			force(p);
		if (!t->dead && !(comes_in(t) ? final(p, t, now) : t->tried))
			return false;
		p->head++;
		p->n--;
		p->next -= p->next > 0;
		if (t->dead)
			continue;
		if (p->halves != 3)
			t->fate = FATE_ALONE;
		else if (t->fate == FATE_SWALLOWED)
			t->why = (uint8_t)reason_swallowed(p, t);
		*ret_t = t;
		return true;
	}
	p->head = 0;
	return false;
}
