/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "stack_world.h"

/*
 * What must hold of a world with two hosts: after every event, when the applications are done, and when the last timer has gone.
 *
 * Frames that bring no application any further are bounded: nothing that two peers can say makes them answer each other for ever.  The
 * most that honest ends ever send so is a window of a connection or two that are lost and sent again.
 */

#define IDLE_FRAMES 20000

static void judge_memory(struct stack_world *w, unsigned side)
{
	const struct stack_config *c = &w->p->host[stack_half(side)];
	struct stack_usage u;

	stack_usage(w->host[side], &u);
	if (u.cells > c->cells || u.records > (c->records ? c->records : c->cells) ||
	    u.conns > c->max_conns)
		run_broken(&w->run, "%s has %u cells, %u records, %u connections",
			   stack_host_name(side), u.cells, u.records, u.conns);
}

void stack_judge_step(struct stack_world *w)
{
	for (unsigned i = 0; i < w->hosts; i++) {
		const char *what;

		if (!stack_host_lives(w, i))
			continue;
		what = stack_check(w->host[i], w->run.now);

		if (what)
			run_broken(&w->run, "%s: %s", stack_host_name(i), what);
		judge_memory(w, i);
	}
	if (w->idle_frames > w->fates->idle_frames)
		w->fates->idle_frames = w->idle_frames;
	if (w->idle_frames > IDLE_FRAMES)
		run_broken(&w->run, "%u frames in a row brought nobody anywhere", w->idle_frames);
	if (w->pair)
		pair_site_judge(w->pair);
	if (box_fault(&w->box))
		run_broken(&w->run, "the role: %s", box_fault(&w->box));
}

void stack_judge_ack(struct stack_world *w, unsigned side, const struct packet *p,
		     const struct view *v)
{
	const struct tcp_hdr *t = view_tcp((struct packet *)p, v);
	unsigned i = stack_conn_of_port(w, be16_get(side == CLIENT ? t->dport : t->sport));
	struct conn_info info;

	if (i >= w->p->conns || !(v->flags & TCP_ACK) || w->unseen || w->forged || !net_sums(p))
		return;
	if (!w->app[i][side].id ||
	    stack_info(w->host[side], w->app[i][side].id, w->run.now, &info) < 0)
		return;
	if (info.state >= ST_ESTABLISHED && info.state != ST_TIME_WAIT && !(v->flags & TCP_RST) &&
	    (int32_t)(v->ack - info.snd_nxt) > 0)
		run_broken(&w->run, "connection %u: an ACK of %u bytes more than were sent", i,
			   v->ack - info.snd_nxt);
}

/* --- at the end */

/*
 * A cookie keeps nothing: where the ACK that brings it back is lost, and the client has nothing to say before the server does, nobody
 * repeats anything (RFC 4987, 3.6).  The same goes for a promise whose server has given up: its reset may be lost.
 * And where a SYN comes twice, the second one may find the room that the first one did not: then there are two SYN-ACKs, and an ACK of
 * the cookie is none of the other.
 */
static bool lost_cookie(const struct stack_world *w, unsigned i)
{
	const struct app *c = &w->app[i][CLIENT], *s = &w->app[i][SERVER];
	bool nothing_said = !s->id && !c->wrote && !c->shut;
	bool cookies = stack_count(w->host[SERVER], STACK_COOKIES_SENT);

	return (cookies && !s->id && c->error) ||
	       (nothing_said && (cookies || (w->p->role->promises && stack_plan_harsh(w->p))));
}

static bool may_fail(const struct stack_world *w, unsigned i)
{
	const struct stack_conn_plan *p = &w->p->conn[i];

	return stack_plan_harsh(w->p) || w->jumped || w->app[i][CLIENT].aborted ||
	       w->app[i][SERVER].aborted || p->app[CLIENT].abort_after != UINT32_MAX ||
	       p->app[SERVER].abort_after != UINT32_MAX;
}

/* An end that only listens never hears of a reset that was lost, or that came behind a window which was full. */
static bool unheard(const struct app *a, const struct app *peer)
{
	return !a->over && a->id && !(peer->over && peer->error);
}

static const char *state(const struct app *a)
{
	return a->over ? "over" : a->id ? "hangs" : "never was";
}

/* The primary may have died; then the secondary has gone on in its place, and nobody noticed. */
static void judge_pair(struct stack_world *w, unsigned i)
{
	const struct app *c = &w->app[i][CLIENT], *p = &w->app[i][SERVER],
			 *s = &w->app[i][SECONDARY];
	bool well = c->over && !c->error && s->over && !s->error &&
		    (w->pair->dead || (p->over && !p->error));

	w->fates->done += well;
	w->fates->failed += !well;
	w->fates->bytes += c->read + s->read;
	/* Where the client has ended well, nobody waits for a secondary that was behind. */
	if (w->pair->dead && c->over && !c->error)
		return;
	if (!well && !pair_gave_up(w->pair))
		run_broken(
			&w->run,
			"connection %u: client %s (%s) wrote %u read %u, primary %s (%s) wrote %u "
			"read %u, secondary %s (%s) wrote %u read %u",
			i, state(c), strerror(c->error), c->wrote, c->read,
			w->pair->dead ? "dead" : state(p), strerror(p->error), p->wrote, p->read,
			state(s), strerror(s->error), s->wrote, s->read);
}

static void judge_conn(struct stack_world *w, unsigned i)
{
	const struct app *c = &w->app[i][CLIENT], *s = &w->app[i][SERVER];
	bool well = c->over && s->over && c->error == 0 && s->error == 0;

	if (!w->started[i] && w->p->conn[i].reuses)
		return; /* the one before has not ended, and may not have to */
	w->fates->done += well;
	w->fates->failed += !well;
	w->fates->bytes += c->read + s->read;
	if (lost_cookie(w, i))
		return;
	if (!well && !may_fail(w, i))
		run_broken(
			&w->run,
			"connection %u: client %s (%s) wrote %u read %u, server %s (%s) wrote %u "
			"read %u",
			i, state(c), strerror(c->error), c->wrote, c->read, state(s),
			strerror(s->error), s->wrote, s->read);
	if (unheard(c, s) || unheard(s, c) || (!c->over && !c->id))
		run_broken(&w->run,
			   "connection %u hangs: client wrote %u read %u%s%s, server wrote %u "
			   "read %u%s%s",
			   i, c->wrote, c->read, c->eof ? " eof" : "", c->shut ? " shut" : "",
			   s->wrote, s->read, s->eof ? " eof" : "", s->shut ? " shut" : "");
}

void stack_judge_conns(struct stack_world *w)
{
	for (unsigned i = 0; i < w->p->conns && !run_is_broken(&w->run); i++)
		if (w->pair)
			judge_pair(w, i);
		else
			judge_conn(w, i);
}

void stack_judge_rest(struct stack_world *w)
{
	for (unsigned i = 0; i < w->hosts; i++) {
		struct stack_usage u;

		if (!stack_host_lives(w, i))
			continue;
		stack_usage(w->host[i], &u);
		if (u.conns || u.half_open || u.time_wait || u.cells || u.records || u.ofo_bytes)
			run_broken(&w->run,
				   "%s keeps %u connections (%u half-open, %u in TIME-WAIT), %u "
				   "cells, %u records",
				   stack_host_name(i), u.conns, u.half_open, u.time_wait, u.cells,
				   u.records);
	}
	if (w->refs != w->released &&
	    !(w->pair && (w->pair->dead || w->run.res->fates.checkpoints)))
		run_broken(&w->run, "%u pieces were lent, %u given back", (unsigned)w->refs,
			   (unsigned)w->released);
	if (w->pair)
		pair_site_judge_rest(w->pair);
	if (box_flows(&w->box, w->run.now))
		run_broken(&w->run, "the role keeps %u flows", box_flows(&w->box, w->run.now));
}
