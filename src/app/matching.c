/* SPDX-License-Identifier: MIT */
#include "app/matching.h"

#define NEARBY SUT_MS(50) /* a damaged packet is its origin's if it is no further */
#define QUICK SUT_MS(5) /* what an ACK may take more than others */
#define NOISE 20000 /* nanoseconds by which clocks differ once they were compared */
#define VOTES 16u
#define VOTERS 128u
#define ACK_ALIKE 32u
#define TS_ALIKE 12u

/* t is going out of the box: is it of the same kind as i, which came in? */
static bool same_kind(const struct step *i, const struct step *e)
{
	const struct sight *a = &i->s[step_in(i)], *b = &e->s[step_out(e)];

	return step_waits(i) && i->sender == e->sender && a->icmp == b->icmp &&
	       a->at <= b->at + MATCH_LAG && ((a->flags ^ b->flags) & (TCP_SYN | TCP_RST)) == 0;
}

static void note_delay(struct pairing *p, const struct step *t)
{
	struct pairing_delay *d = &p->delay[t->sender];
	const struct sight *in = &t->s[step_in(t)], *out = &t->s[step_out(t)];
	sut_time by = out->at > in->at ? out->at - in->at : 0;

	if (d->count++ == 0 || by < d->least)
		d->least = by;
	if (by > d->most)
		d->most = by;
	d->sum += by;
}

void match_note(struct pairing *p, const struct step *i)
{
	sut_time came = i->s[step_in(i)].at;

	if (came > p->matched[i->sender])
		p->matched[i->sender] = came;
}

/* e is i, on its way out. */
void match_merge(struct pairing *p, struct step *i, struct step *e)
{
	enum sut_side out = step_out(e);

	i->s[out] = e->s[out];
	i->n[out] = e->n[out];
	i->seen = 3;
	i->fate = FATE_PASSED;
	e->dead = 1;
	note_delay(p, i);
	match_note(p, i);
}

/* The same SACK blocks, but for the shift of what they are about? */
static bool same_sack(const struct sight *a, const struct sight *b, uint32_t by)
{
	if (a->sack_count != b->sack_count)
		return false;
	for (unsigned k = 0; k < a->sack_count; k++)
		if (b->sack[k][0] - a->sack[k][0] != by || b->sack[k][1] - a->sack[k][1] != by)
			return false;
	return true;
}

/* How well do the fields of a pair agree, those that a box may change with the changes that are known? */
static unsigned likeness(const struct pairing *p, const struct step *i, const struct step *e)
{
	enum sut_side sender = (enum sut_side)i->sender, peer = side_other(sender);
	const struct sight *a = &i->s[step_in(i)], *b = &e->s[step_out(e)];
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
	if (!p->seq[peer].known || same_sack(a, b, sign * p->seq[peer].by))
		score += 2;
	if (a->window == b->window)
		score += 1;
	return score;
}

/* An ACK whose number went wrong is its origin's all the same, if all else says so; otherwise the box made it. */
static bool believable(const struct pairing *p, const struct step *i, const struct step *e,
		       unsigned score)
{
	sut_time usual = p->delay[i->sender].least;
	const struct sight *a = &i->s[step_in(i)], *b = &e->s[step_out(e)];

	if (!sight_is_ack(b))
		return true;
	/* a later ACK of the box's own may be the same in all that counts */
	if (a->ipid != b->ipid && b->at > a->at + usual + QUICK)
		return false;
	if (score >= ACK_ALIKE && (score & TS_ALIKE) == TS_ALIKE)
		return true;
	return b->at <= a->at + usual + QUICK && a->at <= b->at + NOISE &&
	       (a->ipid == b->ipid || (score & TS_ALIKE) == TS_ALIKE) &&
	       a->sack_count == b->sack_count;
}

/* 1. The same place and length; better than `least`. */
struct step *match_same(struct pairing *p, const struct step *e, unsigned least)
{
	enum sut_side sender = (enum sut_side)e->sender;
	const struct sight *b = &e->s[step_out(e)];
	uint32_t seq = pairing_near(p, step_out(e), sender, b->seq);
	struct step *best = NULL;
	unsigned most = least;

	for (size_t k = 0; k < p->n; k++) {
		struct step *i = matching_at(p, k);
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
		if (score == MATCH_ALL)
			break;
	}
	return best;
}

static bool same_payload(const struct sight *a, const struct sight *b)
{
	return a->len == b->len && (!(a->marks & b->marks & SIGHT_HASHED) || a->hash == b->hash);
}

/* Has something gone out, or will it, that is at the place of i? */
static bool goes_out(struct pairing *p, const struct step *i)
{
	enum sut_side sender = (enum sut_side)i->sender;
	const struct sight *a = &i->s[step_in(i)];
	uint32_t seq = pairing_near(p, step_in(i), sender, a->seq);

	for (size_t k = 0; k < p->n; k++) {
		const struct step *e = matching_at(p, k);
		const struct sight *b = &e->s[step_out(e)];

		if (!e->dead && !step_came_in(e) && e->sender == i->sender && a->len == b->len &&
		    pairing_near(p, step_out(e), sender, b->seq) == seq)
			return true;
	}
	return false;
}

/* 3. The same thing at another place: only soon after it came in, and only if all else agrees. */
struct step *match_damaged(struct pairing *p, const struct step *e)
{
	const struct sight *b = &e->s[step_out(e)];

	for (size_t k = 0; k < p->n; k++) {
		struct step *i = matching_at(p, k);
		const struct sight *a = &i->s[step_in(i)];
		unsigned score;

		if (!same_kind(i, e) || i->left || !same_payload(a, b) || b->at > a->at + NEARBY ||
		    ((a->flags ^ b->flags) & TCP_FIN))
			continue;
		if (b->icmp != ICMP_OTHER)
			return i;
		score = likeness(p, i, e);
		if (score >= ACK_ALIKE + TS_ALIKE && (a->ipid == b->ipid) && (b->len || a->ipid) &&
		    (!b->len || !goes_out(p, i)))
			return i;
	}
	return NULL;
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
	const struct sight *a = &i->s[step_in(i)], *b = &e->s[step_out(e)];
	bool sure = a->len && (a->marks & b->marks & SIGHT_HASHED);

	return same_kind(i, e) && a->icmp == ICMP_OTHER && same_payload(a, b) &&
	       ((a->flags ^ b->flags) & (uint8_t)~TCP_PSH) == 0 &&
	       (sure || (a->window == b->window && b->at <= a->at + NEARBY));
}

/* Finds the shift of a sender by what most alike pairs have; at least `enough` of them. */
void match_shift(struct pairing *p, enum sut_side sender, unsigned enough)
{
	size_t n = p->n < VOTERS ? p->n : VOTERS;
	struct vote votes[VOTES] = { 0 };
	unsigned best = 0, all = 0;

	for (size_t k = 0; k < n; k++) {
		struct step *e = matching_at(p, k);

		if (e->dead || step_came_in(e) || e->sender != sender)
			continue;
		for (size_t j = 0; j < n; j++)
			if (alike(matching_at(p, j), e)) {
				const struct step *i = matching_at(p, j);
				uint32_t by = e->s[step_out(e)].seq - i->s[step_in(i)].seq;

				vote(votes, step_out(e) == FAR ? by : 0u - by);
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
