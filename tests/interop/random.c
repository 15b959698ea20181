/* SPDX-License-Identifier: MIT */
#include "random.h"

#include <stddef.h>

struct dice {
	uint64_t s;
};

static uint32_t roll(struct dice *d)
{
	uint64_t z = d->s += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)(z >> 32);
}

static uint32_t below(struct dice *d, uint32_t n)
{
	return roll(d) % n;
}

static bool chance(struct dice *d, uint32_t pct)
{
	return below(d, 100) < pct;
}

/* A connection that is being made up. */
struct person {
	struct talk t;
	struct seg syn, synack, last[SIDES];
	bool over;
};

static uint32_t isn(struct dice *d)
{
	return chance(d, 20) ? 0u - below(d, 4000) : chance(d, 5) ? 0 : roll(d);
}

static void born(struct person *p, struct dice *d, uint16_t flow)
{
	struct talk *t = &p->t;

	*p = (struct person){ .t.flow = flow };
	t->c = isn(d);
	t->p = isn(d);
	t->s = isn(d);
	if (chance(d, 15))
		t->s = t->p;
	t->ts = chance(d, 50);
	t->syn_options = chance(d, 60);
	if (!chance(d, 30))
		t->e = chance(d, 50) ? 0u - below(d, 100000) : roll(d) >> 4;
	t->tick = below(d, 1000000);
	if (chance(d, 8))
		t->base.vlans = 1;
	else if (chance(d, 8))
		t->base.ip6 = true;
	else if (chance(d, 8))
		t->base.vlans = 2;
	t->base.pad = t->base.vlans == 0 && chance(d, 20);
}

static void say(struct scene *sc, struct person *p, struct seg g)
{
	p->last[g.from] = g;
	scene_add(sc, g);
}

/* In the ordinary order, or in one that the mirror can make of it. */
static void opening(struct scene *sc, struct person *p, struct dice *d)
{
	struct talk *t = &p->t;
	struct seg ack;

	p->syn = talk_syn(t);
	p->synack = talk_synack(t);
	ack = talk_client(t, ACK, 0);
	scene_add(sc, p->syn);
	if (chance(d, 10))
		scene_add(sc, p->syn);
	if (chance(d, 6)) {
		say(sc, p, ack);
		say(sc, p, p->synack);
		return;
	}
	say(sc, p, p->synack);
	if (chance(d, 10))
		scene_add(sc, p->synack);
	if (chance(d, 6))
		say(sc, p, talk_secondary(t, ACK, 0));
	say(sc, p, ack);
}

static uint8_t odd_flags(struct dice *d)
{
	static const uint8_t some[] = { 0, 0, 0, PSH, PSH, ECE, CWR, PSH | URG };

	return some[below(d, sizeof some)];
}

static struct seg any(struct person *p, struct dice *d, enum side from)
{
	static const uint32_t sizes[] = { 0, 0, 1, 2, 99, 536, 1001, 1400 };
	uint32_t n = sizes[below(d, sizeof sizes / sizeof sizes[0])];
	uint8_t flags = ACK | odd_flags(d);

	return from == CLIENT ? talk_client(&p->t, flags, n) : talk_secondary(&p->t, flags, n);
}

/* The client misses the first of what the secondary sends now, and has the rest. */
static void gap(struct scene *sc, struct person *p, struct dice *d)
{
	struct talk *t = &p->t;
	uint32_t had = t->s_off, n = 1 + below(d, 1000);
	struct seg g;

	if (t->ahead > t->s_off)
		return;
	say(sc, p, talk_secondary(t, ACK, n));
	say(sc, p, talk_secondary(t, ACK, n));
	t->s_off = had;
	g = talk_client(t, ACK, 0);
	t->s_off = had + 2 * n;
	g.sacks = 1;
	g.sack[0][0] = g.ack + n;
	g.sack[0][1] = g.ack + 2 * n;
	say(sc, p, g);
}

static void ahead(struct scene *sc, struct person *p, struct dice *d)
{
	uint32_t to = p->t.s_off + 1 + below(d, 3000);

	if (to > p->t.ahead)
		p->t.ahead = to;
	say(sc, p, talk_client(&p->t, ACK, below(d, 2) * 100));
}

/* One frame that is out of the ordinary below TCP. */
static void strange(struct scene *sc, struct person *p, struct dice *d)
{
	struct seg g = any(p, d, (enum side)below(d, 2));

	if (chance(d, 40))
		g.bad_sum = true;
	else if (!g.ip6 && chance(d, 50))
		g.ip_options = (uint8_t)(4 * (1 + below(d, 10)));
	else if (!g.ip6)
		g.frag = chance(d, 50) ? FRAG_FIRST : FRAG_LATER;
	scene_add(sc, g);
}

static void icmp(struct scene *sc, const struct person *p)
{
	struct seg g = p->last[SECONDARY];

	if (g.ip6 || g.vlans || (g.flags & (SYN | RST)))
		return;
	g.seq += p->t.p - p->t.s;
	scene_add(sc, g)->kind = STEP_ICMP;
}

static void ending(struct scene *sc, struct person *p, struct dice *d)
{
	struct talk *t = &p->t;
	enum side first = (enum side)below(d, 2);

	p->over = true;
	switch (below(d, 5)) {
	case 0:
		say(sc, p, talk_secondary(t, RST | ACK, 0));
		return;
	case 1:
		say(sc, p, talk_secondary(t, RST, 0));
		return;
	case 2:
		say(sc, p, talk_client(t, RST | ACK, 0));
		return;
	default:
		break;
	}
	if (first == CLIENT)
		say(sc, p, talk_client(t, FIN | ACK, 0));
	say(sc, p, talk_secondary(t, FIN | ACK, below(d, 2) * 10));
	if (first == SECONDARY)
		say(sc, p, talk_client(t, FIN | ACK, 0));
	else
		say(sc, p, talk_client(t, ACK, 0));
	say(sc, p, talk_secondary(t, ACK, 0));
}

static void event(struct scene *sc, struct person *p, struct dice *d)
{
	uint32_t r = below(d, 100);

	if (p->over)
		return;
	if (r < 70)
		say(sc, p, any(p, d, (enum side)below(d, 2)));
	else if (r < 76)
		scene_add(sc, p->last[below(d, 2)]);
	else if (r < 82)
		gap(sc, p, d);
	else if (r < 86)
		ahead(sc, p, d);
	else if (r < 90)
		strange(sc, p, d);
	else if (r < 92)
		icmp(sc, p);
	else if (r < 94)
		scene_add(sc, p->synack);
	else if (r < 95)
		scene_add(sc, p->syn);
	else if (r < 96)
		scene_add(sc, p->syn)->g.seq += 1000000;
	else if (r < 98)
		ending(sc, p, d);
}

void random_scene(struct scene *ret_sc, uint32_t seed, uint16_t flow)
{
	struct dice d = { seed };
	uint32_t n = 1 + below(&d, RANDOM_TALKS), events = 10 + below(&d, 40);
	struct person who[RANDOM_TALKS];

	ret_sc->n = 0;
	for (uint32_t i = 0; i < n; i++) {
		born(&who[i], &d, (uint16_t)(flow + i));
		opening(ret_sc, &who[i], &d);
	}
	for (uint32_t i = 0; i < events * n; i++)
		event(ret_sc, &who[below(&d, n)], &d);
}
