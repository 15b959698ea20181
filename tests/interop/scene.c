/* SPDX-License-Identifier: MIT */
#include "scene.h"

#include <assert.h>

static void stamp(struct talk *t, struct seg *g)
{
	uint32_t server = 5000 + t->tick;

	t->tick++;
	if (!t->ts)
		return;
	g->ts = true;
	if (g->from == CLIENT) {
		g->tsval = 1000 + t->tick;
		g->tsecr = t->heard[SECONDARY];
	} else {
		g->tsval = server + t->e;
		g->tsecr = t->heard[CLIENT];
		t->heard[SECONDARY] = server;
	}
	if (g->from == CLIENT)
		t->heard[CLIENT] = g->tsval;
}

static struct seg begin(const struct talk *t, enum side from, uint8_t flags)
{
	struct seg g = t->base;

	g.from = from;
	g.flow = t->flow;
	g.flags = flags;
	g.win = (flags & SYN) ? 64240 : 502;
	g.syn_options = t->syn_options && (flags & SYN);
	return g;
}

struct seg talk_syn(struct talk *t)
{
	struct seg g = begin(t, CLIENT, SYN);

	g.seq = t->c;
	stamp(t, &g);
	g.tsecr = 0;
	return g;
}

struct seg talk_synack(struct talk *t)
{
	struct seg g = begin(t, SECONDARY, SYN | ACK);

	g.seq = t->s;
	g.ack = t->c + 1;
	stamp(t, &g);
	return g;
}

struct seg talk_client(struct talk *t, uint8_t flags, uint32_t len)
{
	struct seg g = begin(t, CLIENT, flags);

	g.seq = t->c + 1 + t->c_off;
	g.ack = flags & ACK ? t->p + 1 + (t->ahead > t->s_off ? t->ahead : t->s_off) : 0;
	g.first = t->c_off;
	g.len = len;
	t->c_off += len + !!(flags & FIN);
	stamp(t, &g);
	return g;
}

struct seg talk_secondary(struct talk *t, uint8_t flags, uint32_t len)
{
	struct seg g = begin(t, SECONDARY, flags);

	g.seq = t->s + 1 + t->s_off;
	g.ack = flags & ACK ? t->c + 1 + t->c_off : 0;
	g.first = t->s_off;
	g.len = len;
	t->s_off += len + !!(flags & FIN);
	stamp(t, &g);
	return g;
}

struct step *scene_add(struct scene *sc, struct seg g)
{
	assert(sc->n < SCENE_STEPS);
	sc->step[sc->n] = (struct step){ .g = g };
	return &sc->step[sc->n++];
}

struct step *scene_differs(struct scene *sc, struct seg g)
{
	struct step *s = scene_add(sc, g);

	s->differs = true;
	return s;
}

void scene_open(struct scene *sc, struct talk *t)
{
	scene_add(sc, talk_syn(t));
	scene_add(sc, talk_synack(t));
	scene_add(sc, talk_client(t, ACK, 0))->differs = t->ts && t->e != 0;
}
