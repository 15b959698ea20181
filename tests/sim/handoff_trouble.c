/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/record.h"
#include "handoff_world.h"

#define RECORDS 256u
#define NOTICED SUT_MS(700) /* a health check has failed by then */

/* --- a role is started anew */

static struct record kept[RECORDS];

static unsigned save_all(const struct box *b, sut_time now)
{
	uint32_t cursor = 0;
	unsigned n = 0;

	while (n < RECORDS && b->ops->save(b->role, &cursor, now, &kept[n]))
		n++;
	return n;
}

static void restore_all(struct hand_world *w, struct box *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int r = b->ops->restore(b->role, &kept[i], w->run.now);

		if (r != 0)
			run_broken(&w->run, "a record of its own is not taken: %d", r);
	}
}

static void agent_anew(struct hand_world *w, unsigned i, bool keeps)
{
	struct hand_back *b = &w->back[i];
	unsigned n;

	if (b->host.dead || !b->p->agent)
		return;
	n = keeps ? save_all(&b->agent, w->run.now) : 0;
	box_close(&b->agent);
	if (!keeps)
		b->boots++;
	w->hurt |= !keeps;
	hand_agent_open(w, i);
	restore_all(w, &b->agent, n);
}

static void front_anew(struct hand_world *w)
{
	unsigned n = save_all(&w->front, w->run.now);

	box_close(&w->front);
	w->fronts++;
	w->hurt = true; /* whoever was in its hands */
	hand_front_open(w);
	restore_all(w, &w->front, n);
}

/* --- hosts */

static void host_dies(struct hand_world *w, unsigned i)
{
	struct hand_back *b = &w->back[i];

	if (b->host.dead)
		return;
	w->hurt = true;
	hand_host_close(&b->host);
	if (b->p->agent) {
		box_close(&b->agent);
		net_lose(&w->net, b->in);
		net_lose(&w->net, b->out);
		net_lose(&w->net, b->told);
	}
	net_lose(&w->net, b->to);
	memset(b->serve, 0, sizeof b->serve);
}

static void host_lives(struct hand_world *w, unsigned i)
{
	struct hand_back *b = &w->back[i];

	if (!b->host.dead)
		return;
	net_lose(&w->net, b->to);
	hand_host_open(w, &b->host, &b->p->host);
	b->boots++;
	if (b->p->agent) {
		net_lose(&w->net, b->told);
		hand_agent_open(w, i);
	}
}

/* --- one after the other */

static void say(const struct hand_world *w, const struct hand_trouble *t, const char *what)
{
	static const char *const name[] = { "host", "agent", "front end", "drain", "health" };

	if (w->run.opt.trace)
		printf("%12.6f trouble: %s %u %s\n", run_seconds(&w->run), name[t->kind], t->back,
		       what);
}

static void begin(struct hand_world *w, const struct hand_trouble *t)
{
	char line[64];

	say(w, t, "begins");
	switch (t->kind) {
	case TROUBLE_HOST_DIES:
		host_dies(w, t->back);
		break;
	case TROUBLE_AGENT_ANEW:
		agent_anew(w, t->back, t->keeps);
		break;
	case TROUBLE_FRONT_ANEW:
		front_anew(w);
		break;
	case TROUBLE_DRAIN:
		snprintf(line, sizeof line, "backend b%u drain", t->back);
		box_tell(&w->front, FRONT_CONTROL, line, w->run.now);
		break;
	case TROUBLE_DOWN:
		hand_net_tell(w, "backend b%u down no answer", t->back);
		break;
	}
}

static void end(struct hand_world *w, const struct hand_trouble *t)
{
	char line[64];

	say(w, t, "ends");
	switch (t->kind) {
	case TROUBLE_HOST_DIES:
		host_lives(w, t->back);
		hand_net_tell(w, "backend b%u up", t->back);
		break;
	case TROUBLE_AGENT_ANEW:
	case TROUBLE_FRONT_ANEW:
		break;
	case TROUBLE_DRAIN:
		snprintf(line, sizeof line, "backend b%u undrain", t->back);
		box_tell(&w->front, FRONT_CONTROL, line, w->run.now);
		break;
	case TROUBLE_DOWN:
		hand_net_tell(w, "backend b%u up", t->back);
		break;
	}
}

/* When a dead host is said to be down; SUT_NEVER: it is alive by then. */
static sut_time noticed_at(const struct hand_trouble *t)
{
	bool seen = t->kind == TROUBLE_HOST_DIES && t->at + NOTICED < t->until;

	return seen ? t->at + NOTICED : SUT_NEVER;
}

void hand_troubles_run(struct hand_world *w)
{
	for (unsigned i = 0; i < w->p->troubles; i++) {
		const struct hand_trouble *t = &w->p->trouble[i];

		if (w->troubles[i] == 0 && t->at <= w->run.now) {
			w->troubles[i] = 1;
			begin(w, t);
		}
		if (w->troubles[i] == 1 && noticed_at(t) <= w->run.now) {
			w->troubles[i] = 2;
			hand_net_tell(w, "backend b%u down no answer", t->back);
		}
		if ((w->troubles[i] == 1 || w->troubles[i] == 2) && t->until <= w->run.now) {
			w->troubles[i] = 3;
			end(w, t);
		}
	}
}

sut_time hand_troubles_deadline(const struct hand_world *w)
{
	sut_time at = SUT_NEVER;

	for (unsigned i = 0; i < w->p->troubles; i++) {
		const struct hand_trouble *t = &w->p->trouble[i];

		if (w->troubles[i] == 0)
			at = sooner(at, t->at);
		else if (w->troubles[i] == 1)
			at = sooner(at, sooner(noticed_at(t), t->until));
		else if (w->troubles[i] == 2)
			at = sooner(at, t->until);
	}
	return at;
}
