/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/fields.h"
#include "role/handoff/front_inside.h"

/*
 * Other back ends and routes, while connections go on.
 *
 * Theory of operation
 *
 * A back end has a place, its index, which hand-offs, ways and timers know.  It is the same one as long as its name, its addresses and its agent
 * are: then it keeps its place, with its connections, its health and what was probed; a drain and a forced rung stay too, which are the name's, a weight is the new
 * one.  What is not in the new configuration, or not like that, LEAVES: it gets nothing new, but what it has goes on at its addresses, and its agent is
 * still spoken to, by its name.  When nothing of it is left its place is free, and the world and the channel are told
 * that they need not look after it any more ("backend NAME ADDR:PORT gone", "backend NAME gone").  One that comes back in the meantime is
 * taken back.
 *
 * Where a name has another agent by now, what is left of the old one is DEAF: its agent cannot be told from the new one, so nobody speaks to it,
 * and its connections are looked after by their packets alone.
 */

#define NOWHERE UINT8_MAX
#define LOOK SUT_MS(1000) /* is anything left of it? */

static bool same_addr(const struct stack_addr *a, const struct stack_addr *b)
{
	return a->port == b->port && (a->port == 0 || memcmp(a->ip, b->ip, 16) == 0);
}

static bool same_name(const struct front_backend *a, const struct front_backend *b)
{
	return strcmp(a->name, b->name) == 0;
}

/* Does now speak to the agent that was spoken to? */
static bool same_agent(const struct front_backend *was, const struct front_backend *now)
{
	return !was->has_agent || (now->has_agent && same_addr(&was->agent, &now->agent));
}

static bool same_host(const struct front_backend *was, const struct front_backend *now)
{
	return same_name(was, now) && same_addr(&was->at[0], &now->at[0]) &&
	       same_addr(&was->at[1], &now->at[1]) && was->far_host == now->far_host &&
	       same_agent(was, now);
}

/* --- places */

/* Where a back end that is here already is; NOWHERE.  One that is leaving is taken back. */
static uint8_t place_of(const struct front *f, const struct front_backend *c, uint64_t taken)
{
	for (unsigned i = 0; i < f->cfg.backends; i++)
		if (f->backend[i].place != PLACE_FREE && !(taken >> i & 1) &&
		    same_host(&f->cfg.backend[i], c))
			return (uint8_t)i;
	return NOWHERE;
}

static uint8_t free_place(const struct front *f, uint64_t taken)
{
	for (unsigned i = 0; i < ROUTE_BACKENDS; i++)
		if (f->backend[i].place == PLACE_FREE && !(taken >> i & 1))
			return (uint8_t)i;
	return NOWHERE;
}

static bool is_empty(const struct front *f, uint32_t b)
{
	if (f->cfg.routes.conns[b] != 0)
		return false;
	for (uint32_t i = 0; i < f->fresh; i++)
		if (f->hand[i].id != 0 && f->hand[i].backend == b)
			return false;
	return true;
}

/*
 * Does somebody who leaves, or will, speak to the agent of c under another name?  The channel knows agents by where they speak from, so it could
 * not tell the two apart.
 */
static bool is_spoken_to(const struct front *f, const struct front_backend *c, uint64_t taken)
{
	for (unsigned i = 0; i < f->cfg.backends; i++) {
		const struct front_backend *x = backend_cfg(f, i);

		if (f->backend[i].place != PLACE_FREE && !(taken >> i & 1) && x->has_agent &&
		    x->agent.port != 0 && !is_empty(f, i) && same_addr(&x->agent, &c->agent) &&
		    !same_name(x, c))
			return true;
	}
	return false;
}

/* A place for each: 0, -ENOSPC, or -EADDRINUSE. */
static int find_places(const struct front *f, const struct front_config *c,
		       uint8_t ret_place[ROUTE_BACKENDS], uint64_t *ret_taken)
{
	uint64_t taken = 0;

	for (unsigned i = 0; i < c->backends; i++) {
		ret_place[i] = place_of(f, &c->backend[i], taken);
		if (ret_place[i] != NOWHERE)
			taken |= UINT64_C(1) << ret_place[i];
	}
	for (unsigned i = 0; i < c->backends; i++) {
		if (ret_place[i] != NOWHERE)
			continue;
		ret_place[i] = free_place(f, taken);
		if (ret_place[i] == NOWHERE)
			return -ENOSPC;
		taken |= UINT64_C(1) << ret_place[i];
	}
	for (unsigned i = 0; i < c->backends; i++)
		if (c->backend[i].has_agent && is_spoken_to(f, &c->backend[i], taken))
			return -EADDRINUSE;
	*ret_taken = taken;
	return 0;
}

static void look_soon(struct front *f, uint32_t b)
{
	wheel_arm(f->wheel, f->cfg.max_conns + b, f->now);
}

/* Of one that had this name what operators have told is the name's. */
static void begin_anew(struct front *f, uint32_t b, const struct front_backend *c)
{
	int old = backend_named(f, c->name, strlen(c->name));

	ladder_new(f, b);
	f->cfg.routes.conns[b] = 0;
	if (old < 0)
		return;
	f->backend[b].draining = f->backend[old].draining;
	if (c->has_agent || f->backend[old].forced >= RUNG_SPLICE)
		f->backend[b].forced = f->backend[old].forced;
}

static void settle_in(struct front *f, uint32_t b, const struct front_backend *c)
{
	if (f->backend[b].place == PLACE_FREE)
		begin_anew(f, b, c);
	f->backend[b].place = PLACE_USED;
	f->backend[b].deaf = false;
	f->backend[b].weight_told = false;
	f->cfg.backend[b] = *c;
	look_soon(f, b);
}

/* --- those who leave */

/* Its agent is another one's by now: nobody waits for its word. */
static void deafen(struct front *f, uint32_t b)
{
	f->backend[b].deaf = true;
	for (uint32_t i = 0; i < f->fresh; i++)
		if (f->hand[i].id != 0 && f->hand[i].backend == b && f->hand[i].state >= FR_THERE)
			f->hand[i].flags &= (uint16_t)~HF_TOLD;
}

static void send_off(struct front *f, uint32_t b)
{
	const struct front_backend *c = backend_cfg(f, b);
	int heir = backend_named(f, c->name, strlen(c->name));

	f->backend[b].place = PLACE_LEAVING;
	if (heir >= 0 && !f->backend[b].deaf && !same_agent(c, backend_cfg(f, (uint32_t)heir)))
		deafen(f, b);
	look_soon(f, b);
}

/* Is somebody else at a place that has this name, and this address (port 0: any)? */
static bool is_had(const struct front *f, uint32_t but, const struct stack_addr *at)
{
	for (unsigned i = 0; i < f->cfg.backends; i++) {
		const struct front_backend *c = backend_cfg(f, i);

		if (i == but || f->backend[i].place == PLACE_FREE ||
		    !same_name(c, backend_cfg(f, but)))
			continue;
		if (at->port == 0 || same_addr(&c->at[0], at) || same_addr(&c->at[1], at))
			return true;
	}
	return false;
}

static void tell_gone(struct front *f, uint32_t b)
{
	static const struct stack_addr any;
	const struct front_backend *c = backend_cfg(f, b);

	for (unsigned i = 0; i < FRONT_FAMILIES; i++) {
		char text[64];
		struct fields_text t = { .s = text, .max = sizeof text };

		if (c->at[i].port == 0 || is_had(f, b, &c->at[i]))
			continue;
		fields_put_addr(&t, c->at[i].ip, c->at[i].port);
		front_sayf(f, FRONT_WORLD, "backend %s %.*s gone", c->name, (int)t.n, text);
	}
	if (!is_had(f, b, &any))
		front_sayf(f, FRONT_WORLD, "backend %s gone", c->name);
}

void renew_look(struct front *f, uint32_t b)
{
	if (!is_empty(f, b)) {
		wheel_arm(f->wheel, f->cfg.max_conns + b, f->now + LOOK);
		return;
	}
	tell_gone(f, b);
	f->backend[b] = (struct backend){ .place = PLACE_FREE };
	f->cfg.backend[b] = (struct front_backend){ .name = "" };
	while (f->cfg.backends > 0 && f->backend[f->cfg.backends - 1].place == PLACE_FREE)
		f->cfg.backends--;
	f->cfg.routes.backends = f->cfg.backends;
}

/* --- all of it */

int renew_backends(struct front *f, const struct front_config *c)
{
	uint8_t place[ROUTE_BACKENDS];
	uint64_t taken = 0, told = 0;
	int err = find_places(f, c, place, &taken);

	if (err < 0)
		return err;
	for (uint32_t b = 0; b < f->cfg.backends; b++)
		told |= (uint64_t)f->backend[b].weight_told << b;
	for (unsigned i = 0; i < c->backends; i++) {
		/* what was told of another one of its name is over */
		if (f->backend[place[i]].place == PLACE_FREE)
			told |= UINT64_C(1) << place[i];
		settle_in(f, place[i], &c->backend[i]);
		if (place[i] >= f->cfg.backends)
			f->cfg.backends = place[i] + 1u;
	}
	for (uint32_t b = 0; b < f->cfg.backends; b++)
		if (f->backend[b].place == PLACE_USED && !(taken >> b & 1))
			f->backend[b].place = PLACE_LEAVING;
	for (uint32_t b = 0; b < f->cfg.backends; b++)
		if (f->backend[b].place == PLACE_LEAVING)
			send_off(f, b);
	f->cfg.routes.backends = f->cfg.backends;
	route_renew(&f->cfg.routes, &c->routes, place);
	for (uint32_t b = 0; b < f->cfg.backends; b++)
		if (told >> b & 1)
			save_journal_backend(f, b);
	ladder_limits(f);
	return 0;
}
