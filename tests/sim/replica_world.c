/* SPDX-License-Identifier: MIT */
#include "replica_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/view.h"

/*
 * Theory of operation
 *
 * Simulated peers at the ends of a replica_site.
 *
 * Virtual time jumps from event to event.  At one time: turns (checkpoint, failover), connections
 * that start and peers' timers, the roles' timers, frames by lane.
 */

#define GIVE_UP SUT_MS(600000) /* connections that have not ended by then never will */
/* A flow whose ends are done is forgotten by then; a FIN that P alone has sent is not seen. */
#define LINGER SUT_MS(200000)
#define DRAIN_LIMIT SUT_MS(4 * 3600000) /* all others are by then */

/* The latest connection of a client's port that has begun; where none has, the first one. */
static struct pair_conn *conn_of_port(struct pair_world *w, uint16_t port)
{
	struct pair_conn *first = NULL;

	for (unsigned i = w->plan->conns; i-- > 0;) {
		struct pair_conn *c = &w->conn[i];

		if (c->plan->out.ends.sport != port)
			continue;
		if (c->begun)
			return c;
		first = c;
	}
	return first;
}

static struct pair_conn *conn_of(struct pair_world *w, const struct packet *p, struct view *ret_v)
{
	const struct tcp_hdr *t;
	struct pair_conn *c;

	if (view_parse(p, ret_v) != R_NONE || !ret_v->tcp)
		return NULL;
	t = view_tcp(p, ret_v);
	c = conn_of_port(w, be16_get(t->sport));
	return c ? c : conn_of_port(w, be16_get(t->dport));
}

static void outside_sends(void *ctx, const uint8_t *frame, uint32_t len)
{
	struct pair_conn *c = ctx;
	struct packet p = { .head = (uint8_t *)frame, .head_len = len };

	pair_site_sent(&c->world->site, PAIR_OUTSIDE, &p);
}

static void primary_sends(void *ctx, const uint8_t *frame, uint32_t len)
{
	struct pair_conn *c = ctx;
	struct packet p = { .head = (uint8_t *)frame, .head_len = len };

	pair_site_sent(&c->world->site, PAIR_PRIMARY, &p);
}

static void secondary_sends(void *ctx, const uint8_t *frame, uint32_t len)
{
	struct pair_conn *c = ctx;
	struct packet p = { .head = (uint8_t *)frame, .head_len = len };

	pair_site_sent(&c->world->site, PAIR_SECONDARY, &p);
}

/* --- the site's hooks */

static unsigned number_of(void *ctx, const struct packet *p, struct view *ret_v)
{
	struct pair_world *w = ctx;
	const struct pair_conn *c = conn_of(w, p, ret_v);

	return c ? (unsigned)(c - w->conn) : NET_NONE;
}

static void seen(void *ctx, unsigned conn, const struct packet *p, const struct view *v,
		 bool by_primary)
{
	pair_watch_seen(&((struct pair_world *)ctx)->conn[conn], p, v, by_primary);
}

static void far(void *ctx, unsigned conn, const struct packet *p, const struct view *v)
{
	pair_watch_far(&((struct pair_world *)ctx)->conn[conn], p, v);
}

static void down(void *ctx, unsigned conn, const struct packet *p, const struct view *v)
{
	pair_watch_down(&((struct pair_world *)ctx)->conn[conn], p, v);
}

static void copy_peer(struct pair_conn *c)
{
	struct peer was = c->s;

	c->s = c->p;
	c->s.send = was.send;
	c->s.send_ctx = was.send_ctx;
	c->s.cfg.ends.mark = was.cfg.ends.mark;
	c->s.cfg.trims = was.cfg.trims;
	c->s.cfg.echo_slack = was.cfg.echo_slack;
	if (c->p.state != PEER_LISTEN)
		c->s_start = SUT_NEVER;
}

static void copy(void *ctx)
{
	struct pair_world *w = ctx;

	for (unsigned i = 0; i < w->plan->conns; i++)
		copy_peer(&w->conn[i]);
}

/* What the connections were doing when the primary'"'"'s death was found out. */
static void count_fates(void *ctx)
{
	struct pair_world *w = ctx;
	struct world_fates *f = &w->run.res->fates;

	for (unsigned i = 0; i < w->plan->conns; i++) {
		const struct pair_conn *c = &w->conn[i];

		if (!c->begun || c->over)
			continue;
		if (c->out.state < PEER_OPEN)
			f->half_open++;
		else if (c->out.state != PEER_OPEN || c->out.max > c->out.cfg.out_len ||
			 c->out.got > c->out.cfg.in_len || c->s.got > c->s.cfg.in_len)
			f->closing++;
		else
			f->established++;
	}
}

static void at_peer(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	struct pair_world *w = ctx;
	struct pair_conn *c;
	struct view v;
	struct peer *peer;

	(void)n; /* one at a time */
	c = conn_of(w, pkts[0], &v);
	if (!c)
		return;
	peer = at.node == PAIR_OUTSIDE ? &c->out : at.node == PAIR_PRIMARY ? &c->p : &c->s;
	peer_input(peer, pkts[0], &v, w->run.now);
}

static const struct pair_hooks hooks = {
	.input = at_peer,
	.conn = number_of,
	.seen = seen,
	.far = far,
	.down = down,
	.copy = copy,
	.failover = count_fates,
};

/* --- time */

static void check_faults(struct pair_world *w)
{
	for (unsigned i = 0; i < w->plan->conns; i++) {
		const struct pair_conn *c = &w->conn[i];
		const struct peer *peer[] = { &c->out, &c->p, &c->s };
		static const char *const who[] = { "outside", "primary", "secondary" };

		for (unsigned k = 0; k < 3; k++)
			if (peer[k]->fault[0] && !pair_gave_up(&w->site) && !w->run.opt.fates)
				run_broken(&w->run, "connection %u, %s: %s", i, who[k],
					   peer[k]->fault);
	}
}

static void deliver(struct pair_world *w)
{
	while (!run_is_broken(&w->run) && pair_turns_at(&w->site) > w->run.now &&
	       net_deliver(&w->net))
		check_faults(w);
}

static void expire(struct peer *p, sut_time now)
{
	if (peer_deadline(p) <= now)
		peer_expire(p, now);
}

static void conn_timers(struct pair_world *w, struct pair_conn *c)
{
	bool guests = c->plan->guest_opens;

	if (c->start <= w->run.now) {
		c->start = SUT_NEVER;
		c->begun = true;
		if (!guests)
			peer_open(&c->out, w->run.now);
		else if (!w->site.dead)
			peer_open(&c->p, w->run.now);
	}
	if (guests && c->s_start <= w->run.now) {
		c->s_start = SUT_NEVER;
		c->begun = true;
		peer_open(&c->s, w->run.now);
	}
	expire(&c->out, w->run.now);
	if (!w->site.dead)
		expire(&c->p, w->run.now);
	expire(&c->s, w->run.now);
}

static void timers(struct pair_world *w)
{
	for (unsigned i = 0; i < w->plan->conns; i++)
		conn_timers(w, &w->conn[i]);
	pair_site_expire(&w->site);
}

static sut_time next_event(const struct pair_world *w)
{
	sut_time at = pair_site_deadline(&w->site);

	at = sooner(at, pair_turns_at(&w->site));
	at = sooner(at, net_deadline(&w->net));
	for (unsigned i = 0; i < w->plan->conns; i++) {
		const struct pair_conn *c = &w->conn[i];

		at = sooner(at, c->start);
		at = sooner(at, c->plan->guest_opens ? c->s_start : SUT_NEVER);
		at = sooner(at, peer_deadline(&c->out));
		at = sooner(at, peer_deadline(&c->s));
		if (!w->site.dead)
			at = sooner(at, peer_deadline(&c->p));
	}
	return at;
}

static bool conn_ended(const struct pair_world *w, const struct pair_conn *c)
{
	if (!c->begun || !peer_ended(&c->out))
		return false;
	if (c->out.state != PEER_DONE && !c->plan->s.abort_after)
		return true;
	return peer_ended(&c->s) && (w->site.dead || peer_ended(&c->p));
}

/* Who takes its ports may begin, a while from now. */
static void conn_over(struct pair_world *w, struct pair_conn *c)
{
	struct pair_conn *next = c + 1;

	c->over = true;
	if (next == w->conn + w->plan->conns || next->plan->reuses != (int)(c - w->conn))
		return;
	next->start = w->run.now + next->plan->start;
	next->s_start = next->start + next->plan->lag;
}

static bool all_over(struct pair_world *w)
{
	bool all = pair_turns_at(&w->site) == SUT_NEVER;

	for (unsigned i = 0; i < w->plan->conns; i++) {
		if (!w->conn[i].over && conn_ended(w, &w->conn[i]))
			conn_over(w, &w->conn[i]);
		all = all && w->conn[i].over;
	}
	return all;
}

static void step(struct pair_world *w, sut_time at)
{
	if (at > w->run.now)
		w->run.now = at;
	pair_turns(&w->site);
	timers(w);
	check_faults(w);
	deliver(w);
	pair_site_judge(&w->site);
}

/*
 * The pair resets this one.  Who has sent more than the other before that, without a compare to
 * join them, leaves a client that no reset of the other can reach.
 */
static bool judge_abort(const struct pair_conn *c)
{
	bool s = c->s.state == PEER_ABORTED || c->s.state == PEER_RESET;

	if (c->out.state == PEER_RESET)
		return s;
	return c->out.state == PEER_OPEN && s && !c->world->site.compare.ops &&
	       c->world->site.failed_over;
}

/* Every connection ends well at all ends that live, but one that its client aborts. */
static bool judge(struct pair_world *w, const struct pair_conn *c)
{
	const struct peer *o = &c->out, *p = &c->p, *s = &c->s;

	if (o->cfg.abort_at != SUT_NEVER || pair_gave_up(&w->site))
		return true;
	if (c->plan->s.abort_after && judge_abort(c))
		return true;
	if (o->state == PEER_DONE && s->state == PEER_DONE &&
	    (w->site.dead || p->state == PEER_DONE))
		return true;
	run_broken(&w->run,
		   "connection %u: outside %s with %u of %u, primary %s with %u of %u, secondary "
		   "%s with %u of %u",
		   (unsigned)(c - w->conn), peer_state_name(o->state), o->got, o->cfg.in_len + 1,
		   w->site.dead ? "dead" : peer_state_name(p->state), p->got, p->cfg.in_len + 1,
		   peer_state_name(s->state), s->got, s->cfg.in_len + 1);
	return false;
}

static void run_until(struct pair_world *w, sut_time limit)
{
	sut_time at;

	while (!run_is_broken(&w->run) && (at = next_event(w)) != SUT_NEVER && at < limit)
		step(w, at);
}

/* All is said: what the roles still know has to go in time. */
static void judge_roles(struct pair_world *w)
{
	bool clean = !pair_gave_up(&w->site) && !w->run.res->fates.checkpoints;
	unsigned left;

	for (unsigned i = 0; i < w->plan->conns; i++) {
		clean = clean && w->conn[i].out.state == PEER_DONE;
		peer_forget(&w->conn[i].out);
		peer_forget(&w->conn[i].p);
		peer_forget(&w->conn[i].s);
	}
	run_until(w, w->run.now + (clean ? LINGER : DRAIN_LIMIT));
	left = box_flows(&w->site.rewrite, w->run.now);
	if (left)
		run_broken(&w->run, "%u flows are left after everything has ended", left);
	run_until(w, w->run.now + DRAIN_LIMIT);
	pair_site_judge_rest(&w->site);
}

static void run(struct pair_world *w)
{
	sut_time at;

	while (!run_is_broken(&w->run) && !all_over(w)) {
		at = next_event(w);
		if (at == SUT_NEVER || at > RUN_FIRST + GIVE_UP)
			break;
		step(w, at);
	}
	w->run.res->ended = w->run.now - RUN_FIRST;
	w->run.res->fates.given_up += pair_gave_up(&w->site);
	for (unsigned i = 0; i < w->plan->conns; i++) {
		if ((!run_is_broken(&w->run) || w->run.opt.fates) && !judge(w, &w->conn[i]))
			w->run.res->fates.lost++;
		w->run.res->fates.paws += w->conn[i].out.paws;
		w->run.res->fates.challenges += w->conn[i].out.challenges;
	}
	if (!run_is_broken(&w->run))
		judge_roles(w);
}

static void open_world(struct pair_world *w)
{
	const struct pair_plan *p = w->plan;
	net_open(&w->net, &w->run, 0);
	w->site = (struct pair_site){
		.plan = p, .run = &w->run, .net = &w->net, .hooks = &hooks, .ctx = w
	};
	pair_site_open(&w->site, false);
	for (unsigned i = 0; i < p->conns; i++) {
		struct pair_conn *c = &w->conn[i];

		c->world = w;
		c->plan = &p->conn[i];
		c->start = c->s_start = SUT_NEVER;
		if (c->plan->reuses < 0) {
			c->start = c->plan->start;
			c->s_start = c->start + c->plan->lag;
		}
		peer_init(&c->out, &c->plan->out, outside_sends, c);
		peer_init(&c->p, &c->plan->p, primary_sends, c);
		peer_init(&c->s, &c->plan->s, secondary_sends, c);
	}
}

void pair_world_run(const struct pair_plan *p, const struct world_options *o,
		    struct world_result *ret_r)
{
	struct pair_world *w = calloc(1, sizeof *w);

	if (!w)
		abort();
	run_begin(&w->run, o, ret_r);
	w->plan = p;
	open_world(w);
	run(w);
	ret_r->hash = net_hash(&w->net);
	net_close(&w->net);
	pair_site_close(&w->site);
	free(w);
}
