/* SPDX-License-Identifier: MIT */
#include "replica_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica_lanes.h"
#include "role/replica/compare_flow.h"
#include "role/replica/pair.h"

/*
 * Theory of operation
 *
 * Who stands where, and the lanes: replica_lanes.h.
 *
 * Virtual time jumps from event to event.  At one time: turns (checkpoint, failover), connections
 * that start and peers' timers, the roles' timers, frames by lane.
 */

#define COMPARE_PORTS                                                                \
	(1u << COMPARE_PRIMARY_IN | 1u << COMPARE_SECONDARY_IN | 1u << COMPARE_OUT | \
	 1u << COMPARE_NOTIFY | 1u << COMPARE_CONTROL)
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

	net_put(&c->world->net, LANE_UP, &p);
}

static void primary_sends(void *ctx, const uint8_t *frame, uint32_t len)
{
	struct pair_conn *c = ctx;
	struct pair_world *w = c->world;
	struct packet p = { .head = (uint8_t *)frame, .head_len = len };
	struct view v;

	if (w->dead)
		return;
	pair_packet(w, conn_of(w, &p, &v), &v);
	if (w->dead)
		return;
	net_put(&w->net, LANE_P_OUT, &p);
	if (w->plan->copies)
		net_put(&w->net, LANE_P_COPY, &p);
}

static void secondary_sends(void *ctx, const uint8_t *frame, uint32_t len)
{
	struct pair_conn *c = ctx;
	struct packet p = { .head = (uint8_t *)frame, .head_len = len };

	net_put(&c->world->net, LANE_S_OUT, &p);
}

/* To the clients. */
static void down(struct pair_world *w, const struct packet *p)
{
	struct pair_conn *c;
	struct view v;

	c = conn_of(w, p, &v);
	if (c)
		pair_watch_down(c, p, &v);
	else
		run_broken(&w->run, "a frame of no connection goes to the clients");
	net_put(&w->net, LANE_DOWN, p);
}

static void check_reply(struct pair_world *w, const char *who, const struct packet *p)
{
	if (w->run.opt.trace)
		printf("%12.6f     %s says %.*s\n", run_seconds(&w->run), who, (int)p->head_len,
		       (const char *)p->head);
	if (p->head_len < 2 || memcmp(p->head, "ok", 2) != 0)
		run_broken(&w->run, "%s answers \"%.*s\"", who, (int)p->head_len,
			   (const char *)p->head);
}

static void rewriter_sent(void *ctx, unsigned port, struct packet *p)
{
	struct pair_world *w = ctx;
	struct pair_conn *c;
	struct view v;

	if (port == REPLICA_CONTROL) {
		check_reply(w, "rewriter", p);
		return;
	}
	if (port == REPLICA_SECONDARY) {
		net_put(&w->net, LANE_S_IN, p);
		return;
	}
	c = conn_of(w, p, &v);
	if (c)
		pair_watch_far(c, p, &v);
	if (w->compare.ops && port != REPLICA_NETWORK) {
		net_put(&w->net, LANE_COMPARE, p);
		return;
	}
	net_note(&w->net, LANE_COMPARE, false, p);
	if (w->failed_over)
		down(w, p);
	else if (port == REPLICA_NETWORK)
		run_broken(&w->run, "the rewriter spoke to the network before the failover");
}

static void compare_sent(void *ctx, unsigned port, struct packet *p)
{
	struct pair_world *w = ctx;

	if (port == COMPARE_OUT)
		down(w, p);
	else if (port == COMPARE_CONTROL)
		check_reply(w, "compare", p);
	else if (p->head_len == 13 && !memcmp(p->head, "DO_CHECKPOINT", 13))
		pair_asked(w);
	else
		run_broken(&w->run, "compare notifies \"%.*s\"", (int)p->head_len,
			   (const char *)p->head);
}

/* A frame of the clients goes to the pair; what is dead hears nothing. */
static void to_primary(struct pair_world *w, const struct packet *p)
{
	if (!w->dead)
		net_put(&w->net, LANE_P_IN, p);
}

static void to_secondary(struct pair_world *w, const struct packet *p)
{
	net_put(&w->net, w->failed_over && w->plan->network_port ? LANE_NETWORK : LANE_MIRROR, p);
}

static void mirror_sent(void *ctx, unsigned port, struct packet *p)
{
	struct pair_world *w = ctx;

	if (port == MIRROR_CLIENT)
		down(w, p);
	else if (port == MIRROR_PRIMARY)
		to_primary(w, p);
	else
		to_secondary(w, p);
}

/* The client's frames at the gateway. */
static void clients_say(struct pair_world *w, struct packet *p)
{
	struct pair_conn *c;
	struct view v;

	c = conn_of(w, p, &v);
	pair_packet(w, c, &v);
	if (w->mirror.ops) {
		box_input(&w->mirror, MIRROR_CLIENT, &p, 1, false, w->run.now);
	} else {
		to_primary(w, p);
		to_secondary(w, p);
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
	if (!c || (at.node == PAIR_PRIMARY && w->dead))
		return;
	peer = at.node == PAIR_OUTSIDE ? &c->out : at.node == PAIR_PRIMARY ? &c->p : &c->s;
	peer_input(peer, pkts[0], &v, w->run.now);
}

/* What comes from the primary: its last words may die with it, and a dead one is not heard. */
static bool primary_is_heard(const struct pair_world *w)
{
	if (w->dead && w->plan->loses_in_flight)
		return false;
	return w->compare.ops || !w->compare_failed_over;
}

static void at_compare(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	struct pair_world *w = ctx;

	if (at.port == COMPARE_PRIMARY_IN && !primary_is_heard(w))
		return;
	box_input(&w->compare, at.port, pkts, n, w->run.opt.split, w->run.now);
}

static void at_gateway(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	struct pair_world *w = ctx;

	if (at.port == MIRROR_CLIENT) {
		clients_say(w, pkts[0]); /* one at a time */
	} else if (!primary_is_heard(w)) {
		return;
	} else if (w->mirror.ops) {
		box_input(&w->mirror, MIRROR_PRIMARY, pkts, n, w->run.opt.split, w->run.now);
	} else {
		for (unsigned i = 0; i < n; i++)
			down(w, pkts[i]);
	}
}

static void at_rewriter(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	struct pair_world *w = ctx;
	bool by_secondary = at.port == REPLICA_SECONDARY || at.port == REPLICA_SECONDARY_OUT;

	for (unsigned i = 0; i < n && !by_secondary; i++) {
		struct pair_conn *c;
		struct view v;

		c = conn_of(w, pkts[i], &v);
		if (c)
			pair_watch_seen(c, pkts[i], &v, at.port == REPLICA_PRIMARY_OUT);
	}
	box_input(&w->rewrite, at.port, pkts, n, w->run.opt.split, w->run.now);
}

static void check_faults(struct pair_world *w)
{
	for (unsigned i = 0; i < w->plan->conns; i++) {
		const struct pair_conn *c = &w->conn[i];
		const struct peer *peer[] = { &c->out, &c->p, &c->s };
		static const char *const who[] = { "outside", "primary", "secondary" };

		for (unsigned k = 0; k < 3; k++)
			if (peer[k]->fault[0] && !pair_gave_up(w) && !w->run.opt.fates)
				run_broken(&w->run, "connection %u, %s: %s", i, who[k],
					   peer[k]->fault);
	}
}

static void deliver(struct pair_world *w)
{
	while (!run_is_broken(&w->run) && pair_turns_at(w) > w->run.now && net_deliver(&w->net))
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
		else if (!w->dead)
			peer_open(&c->p, w->run.now);
	}
	if (guests && c->s_start <= w->run.now) {
		c->s_start = SUT_NEVER;
		c->begun = true;
		peer_open(&c->s, w->run.now);
	}
	expire(&c->out, w->run.now);
	if (!w->dead)
		expire(&c->p, w->run.now);
	expire(&c->s, w->run.now);
}

static void timers(struct pair_world *w)
{
	for (unsigned i = 0; i < w->plan->conns; i++)
		conn_timers(w, &w->conn[i]);
	box_expire(&w->rewrite, w->run.now);
	box_expire(&w->compare, w->run.now);
}

static sut_time next_event(const struct pair_world *w)
{
	sut_time at = sooner(box_deadline(&w->rewrite), box_deadline(&w->compare));

	at = sooner(at, pair_turns_at(w));
	at = sooner(at, net_deadline(&w->net));
	for (unsigned i = 0; i < w->plan->conns; i++) {
		const struct pair_conn *c = &w->conn[i];

		at = sooner(at, c->start);
		at = sooner(at, c->plan->guest_opens ? c->s_start : SUT_NEVER);
		at = sooner(at, peer_deadline(&c->out));
		at = sooner(at, peer_deadline(&c->s));
		if (!w->dead)
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
	return peer_ended(&c->s) && (w->dead || peer_ended(&c->p));
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
	bool all = pair_turns_at(w) == SUT_NEVER;

	for (unsigned i = 0; i < w->plan->conns; i++) {
		if (!w->conn[i].over && conn_ended(w, &w->conn[i]))
			conn_over(w, &w->conn[i]);
		all = all && w->conn[i].over;
	}
	return all;
}

static void check_box(struct pair_world *w, const struct box *b, const char *who)
{
	if (box_fault(b))
		run_broken(&w->run, "%s: %s", who, box_fault(b));
}

static void step(struct pair_world *w, sut_time at)
{
	if (at > w->run.now)
		w->run.now = at;
	pair_turns(w);
	timers(w);
	check_faults(w);
	deliver(w);
	check_box(w, &w->mirror, "mirror");
	check_box(w, &w->rewrite, "rewriter");
	check_box(w, &w->compare, "compare");
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
	return c->out.state == PEER_OPEN && s && !c->world->compare.ops && c->world->failed_over;
}

/* Every connection ends well at all ends that live, but one that its client aborts. */
static bool judge(struct pair_world *w, const struct pair_conn *c)
{
	const struct peer *o = &c->out, *p = &c->p, *s = &c->s;

	if (o->cfg.abort_at != SUT_NEVER || pair_gave_up(w))
		return true;
	if (c->plan->s.abort_after && judge_abort(c))
		return true;
	if (o->state == PEER_DONE && s->state == PEER_DONE && (w->dead || p->state == PEER_DONE))
		return true;
	run_broken(&w->run,
		   "connection %u: outside %s with %u of %u, primary %s with %u of %u, secondary "
		   "%s with %u of %u",
		   (unsigned)(c - w->conn), peer_state_name(o->state), o->got, o->cfg.in_len + 1,
		   w->dead ? "dead" : peer_state_name(p->state), p->got, p->cfg.in_len + 1,
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
	bool clean = !pair_gave_up(w) && !w->run.res->fates.checkpoints;
	unsigned left;

	for (unsigned i = 0; i < w->plan->conns; i++) {
		clean = clean && w->conn[i].out.state == PEER_DONE;
		peer_forget(&w->conn[i].out);
		peer_forget(&w->conn[i].p);
		peer_forget(&w->conn[i].s);
	}
	run_until(w, w->run.now + (clean ? LINGER : DRAIN_LIMIT));
	left = box_flows(&w->rewrite, w->run.now);
	if (left)
		run_broken(&w->run, "%u flows are left after everything has ended", left);
	run_until(w, w->run.now + DRAIN_LIMIT);
	left = box_flows(&w->rewrite, w->run.now) + box_flows(&w->compare, w->run.now);
	if (left)
		run_broken(&w->run, "%u flows are left for ever", left);
	if (held_free(((struct rewrite *)w->rewrite.role)->held) != w->plan->rewrite.hold_cells)
		run_broken(&w->run, "the rewriter still holds frames");
	if (w->compare.ops &&
	    held_free(((struct compare *)w->compare.role)->held) != w->compare_free)
		run_broken(&w->run, "compare still holds frames");
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
	w->run.res->fates.given_up += pair_gave_up(w);
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
	const struct pair_manners manners = {
		.burst = BOX_BURST,
		.input = { [PAIR_OUTSIDE] = at_peer,
			   [PAIR_GATEWAY] = at_gateway,
			   [PAIR_PRIMARY] = at_peer,
			   [PAIR_SECONDARY] = at_peer,
			   [PAIR_REWRITE] = at_rewriter,
			   [PAIR_COMPARE] = at_compare },
		.ctx = w,
	};

	w->checkpoint_at = w->failover_at = SUT_NEVER;
	net_open(&w->net, &w->run, 0);
	pair_lanes_open(&w->net, p, &manners);
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
	w->rewrite.sent = rewriter_sent;
	w->compare.sent = compare_sent;
	w->mirror.sent = mirror_sent;
	w->mirror.ctx = w->rewrite.ctx = w->compare.ctx = w;
	box_open(&w->rewrite, &replica_rewrite_ops, &p->rewrite, pair_rewriter_ports(p),
		 p->seed ^ 0xaaaa, &w->run.res->counters);
	if (p->mirrors)
		box_open(&w->mirror, &replica_mirror_ops, &p->mirror, 7, p->seed,
			 &w->run.res->counters);
	if (p->compare) {
		box_open(&w->compare, &replica_compare_ops, &p->comparing, COMPARE_PORTS,
			 p->seed ^ 0x5555, &w->run.res->counters);
		w->compare_free = held_free(((struct compare *)w->compare.role)->held);
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
	box_close(&w->mirror);
	box_close(&w->rewrite);
	box_close(&w->compare);
	free(w);
}
