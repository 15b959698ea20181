/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Offloads and boxes change where a stream is cut into packets.  So bytes are followed: a step that came in knows how many of
 * its bytes have left, and a packet that goes out is made of the steps that overlap it.  One of them, the last that had not left
 * at all, stands for it and is merged with it; the others are marked as joined.  If all of them have begun to leave already, what
 * goes out is a further piece.
 *
 * Hashes of the payload can be joined, so content is compared where the pieces make up a whole exactly.
 */
#include "app/matching.h"

/* The payload of a step in near numbers; for one that goes out, what is not in it yet. */
struct span {
	uint32_t from, to;
};

/* What goes out as one and came in as several. */
struct group {
	unsigned n;
	struct step *last; /* the last that has not gone out in part before */
	struct step *any; /* the last of all */
	struct span sum; /* contiguous from the first */
	uint64_t hash;
	bool whole, hashed;
};

static struct span span_of(const struct pairing *p, const struct step *t, enum sut_side half)
{
	const struct sight *s = &t->s[half];
	uint32_t from = pairing_near(p, half, (enum sut_side)t->sender, sight_data(s));

	return (struct span){ from, from + s->len };
}

static bool overlap(struct span a, struct span b)
{
	return number_before(a.from, b.to) && number_before(b.from, a.to);
}

/* Bytes of i, or the hashes of them, have gone out up to here. */
static void note_left(struct pairing *p, struct step *i, const struct step *e, struct span b)
{
	struct span a = span_of(p, i, step_in(i));
	const struct sight *in = &i->s[step_in(i)], *out = &e->s[step_out(e)];
	uint32_t to = number_before(b.to, a.to) ? b.to : a.to;

	if (b.from == a.from + i->left && !number_before(a.to, b.to))
		i->left_hash = sight_join(i->left_hash, out->hash, out->len);
	else
		i->left_hash = 0;
	if (number_before(a.from + i->left, to))
		i->left = to - a.from;
	if (i->left == in->len && i->left_hash && (in->marks & out->marks & SIGHT_HASHED) &&
	    i->left_hash != in->hash) {
		i->faults |= (uint16_t)(1u << FAULT_PAYLOAD);
		p->faults[FAULT_PAYLOAD]++;
	}
}

static void group_add(struct pairing *p, struct group *g, struct step *i, struct span b)
{
	struct span a = span_of(p, i, step_in(i));
	const struct sight *s = &i->s[step_in(i)];

	if (number_before(a.from, b.from) || number_before(b.to, a.to) ||
	    (g->n && g->sum.to != a.from))
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

	return !i->dead && step_came_in(i) && i->sender == e->sender && a->len &&
	       a->icmp == ICMP_OTHER && i->left < a->len && (step_waits(i) || i->left) &&
	       !(a->flags & TCP_SYN) && a->at <= e->s[step_out(e)].at + MATCH_LAG &&
	       overlap(span_of(p, i, step_in(i)), b);
}

static void join(struct pairing *p, struct step *i, const struct step *e, struct span b,
		 uint8_t why)
{
	note_left(p, i, e, b);
	match_note(p, i);
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
		if (feeds(p, matching_at(p, k), e, b))
			group_add(p, &g, matching_at(p, k), b);
	for (size_t k = 0; k < p->n && g.n; k++) {
		struct step *i = matching_at(p, k);

		if (feeds(p, i, e, b) && (into_syn || i != g.last))
			join(p, i, e, b, into_syn ? WHY_IN_SYN : WHY_IN_ANOTHER);
	}
	return g;
}

/* 2. Some of the same bytes. */
bool match_bytes(struct pairing *p, struct step *e)
{
	enum sut_side out = step_out(e);
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
		match_merge(p, i, e);
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

/* A SYN that goes out is paired with the SYN; data in it came in behind that. */
void match_syn_data(struct pairing *p, struct step *syn, struct step *e)
{
	struct span b = span_of(p, syn, step_out(syn));
	struct group g;

	if (syn->s[step_out(syn)].len == 0 || syn->s[step_in(syn)].len)
		return;
	g = gather(p, e, b, true);
	p->syn_data = true;
	syn->pieces = (uint16_t)g.n;
	check_group(p, &g, b, syn, &syn->s[step_out(syn)]);
}
