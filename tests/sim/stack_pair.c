/* SPDX-License-Identifier: MIT */
#include "stack_pair.h"

#include <stdio.h>
#include <string.h>

#include "replica_lanes.h"
#include "stack_world.h"

/*
 * Theory of operation
 *
 * The lanes are those of replica_lanes.h.
 *
 * Both servers have the same address, the same configuration and the same application; each has its own dice, so numbers, clocks
 * and pace are each one's own.  The joints and the primary's death are those of the replicated pairs of simulated peers
 * (replica_plan.h), without compare: the failover waits until what is on its way to the rewriter has arrived.
 */

/* What two servers cannot agree upon, or what a dead one takes with it. */
static void tame(struct stack_plan *p)
{
	p->corrupt_ppm = p->squeeze_ppm = 0;
	p->spells = p->troubles = 0;
	memset(p->link_mtu, 0, sizeof p->link_mtu);
	for (unsigned i = 0; i < 2; i++) {
		p->host[i].fastopen = false;
		p->host[i].max_half_open = 16;
		p->host[i].cells = 6000;
		p->host[i].records = 0;
	}
	for (unsigned i = 0; i < p->conns; i++) {
		struct stack_conn_plan *c = &p->conn[i];

		if (c->reuses)
			c->start = c[-1].start + c->start % SUT_MS(2000);
		c->both = c->reuses = false;
		for (unsigned k = 0; k < 2; k++) {
			struct app_plan *a = &c->app[k];

			a->abort_after = UINT32_MAX;
			if (a->out_len > 60000)
				a->out_len = 60000;
			if (c->app[!k].wait_for > a->out_len)
				c->app[!k].wait_for = a->out_len;
		}
	}
}

void stack_pair_draw(struct stack_plan *p, struct pair_plan *ret_pair)
{
	pair_plan_draw(p->seed, false, ret_pair);
	memset(ret_pair->checkpoint, 0, sizeof ret_pair->checkpoint);
	ret_pair->rewrite.hold_cells = 8192;
	/* A SYN-ACK that comes before its SYN tells the rewriter nothing; then it has to guess from the first ACK. */
	ret_pair->lane[LANE_P_COPY].delay = ret_pair->lane[LANE_MIRROR].delay +
					    ret_pair->lane[LANE_MIRROR].jitter + SUT_MS(1);
	tame(p);
	ret_pair->death.conn %= p->conns;
}

/* --- turns */

/* A packet of connection i is at the gateway, or leaves the primary: maybe it is the one at which the primary dies. */
static void count_packet(struct stack_world *w, const struct packet *p)
{
	struct stack_pair *q = w->pair;
	const struct pair_when *d = &q->plan.death;
	const struct tcp_hdr *t;
	struct view v;
	unsigned i;
	bool now;

	if (view_parse(p, &v) != R_NONE || !v.tcp)
		return;
	t = view_tcp(p, &v);
	i = be16_get(t->sport) == STACK_PORT ? be16_get(t->dport) : be16_get(t->sport);
	i = stack_conn_of_port(w, (uint16_t)i);
	if (i >= w->p->conns)
		return;
	q->packets++;
	q->of_conn[i]++;
	if (q->since_fin[i] || v.flags & TCP_FIN)
		q->since_fin[i]++;
	if (q->dead || !d->packet)
		return;
	now = d->by == BY_PACKETS ? q->packets == d->packet
	      : i != d->conn	  ? false
	      : d->by == BY_CONN  ? q->of_conn[i] == d->packet
				  : q->since_fin[i] == d->packet;
	if (!now)
		return;
	if (w->run.opt.trace)
		printf("%12.6f *** the primary dies\n", run_seconds(&w->run));
	q->dead = true;
	q->failover_at = w->run.now + q->plan.detect;
}

static sut_time later(sut_time a, sut_time b)
{
	return a > b ? a : b;
}

static void failover(struct stack_world *w)
{
	struct stack_pair *q = w->pair;
	sut_time drained = later(net_drained(&w->net, LANE_MIRROR),
				 net_drained(&w->net, LANE_P_COPY)) +
			   SUT_MS(1);

	if (!q->draining && drained > w->run.now) {
		q->draining = true;
		q->failover_at = drained;
		return;
	}
	if (w->run.opt.trace)
		printf("%12.6f *** failover\n", run_seconds(&w->run));
	q->failover_at = SUT_NEVER;
	q->failed_over = true;
	w->run.res->fates.failovers++;
	box_tell(&q->rewrite, REPLICA_CONTROL, "failover", w->run.now);
}

sut_time stack_pair_deadline(const struct stack_world *w)
{
	sut_time at = box_deadline(&w->pair->rewrite);

	return at < w->pair->failover_at ? at : w->pair->failover_at;
}

void stack_pair_expire(struct stack_world *w)
{
	if (w->pair->failover_at <= w->run.now)
		failover(w);
	box_expire(&w->pair->rewrite, w->run.now);
	if (box_fault(&w->pair->rewrite) || box_fault(&w->pair->mirror))
		run_broken(&w->run, "a role: %s",
			   box_fault(box_fault(&w->pair->rewrite) ? &w->pair->rewrite
								  : &w->pair->mirror));
}

bool stack_pair_gave_up(const struct stack_world *w)
{
	const struct counters *n = &w->run.res->counters;

	return n->dropped[R_QUOTA] || n->dropped[R_STORE_FULL] ||
	       (!w->pair->plan.copies && (n->passed[R_NOT_CLIENT] || n->passed[R_SYN_TFO]));
}

/* --- lanes */

void stack_pair_sent(struct stack_world *w, unsigned side, const struct packet *p)
{
	struct stack_pair *q = w->pair;

	if (side == CLIENT) {
		net_put(&w->net, LANE_UP, p);
	} else if (side == SECONDARY) {
		net_put(&w->net, LANE_S_OUT, p);
	} else if (!q->dead) {
		count_packet(w, p);
		if (q->dead)
			return;
		net_put(&w->net, LANE_P_OUT, p);
		if (q->plan.copies)
			net_put(&w->net, LANE_P_COPY, p);
	}
}

static void to_primary(struct stack_world *w, const struct packet *p)
{
	if (!w->pair->dead)
		net_put(&w->net, LANE_P_IN, p);
}

static void to_secondary(struct stack_world *w, const struct packet *p)
{
	bool network = w->pair->failed_over && w->pair->plan.network_port;

	net_put(&w->net, network ? LANE_NETWORK : LANE_MIRROR, p);
}

static void mirror_sent(void *ctx, unsigned port, struct packet *p)
{
	struct stack_world *w = ctx;

	if (port == MIRROR_CLIENT)
		net_put(&w->net, LANE_DOWN, p);
	else if (port == MIRROR_PRIMARY)
		to_primary(w, p);
	else
		to_secondary(w, p);
}

static void rewriter_sent(void *ctx, unsigned port, struct packet *p)
{
	struct stack_world *w = ctx;

	if (port == REPLICA_CONTROL) {
		if (p->head_len < 2 || memcmp(p->head, "ok", 2) != 0)
			run_broken(&w->run, "the rewriter answers \"%.*s\"", (int)p->head_len,
				   (const char *)p->head);
	} else if (port == REPLICA_SECONDARY) {
		net_put(&w->net, LANE_S_IN, p);
	} else if (w->pair->failed_over) {
		net_put(&w->net, LANE_DOWN, p);
	} else if (port == REPLICA_NETWORK) {
		run_broken(&w->run, "the rewriter spoke to the network before the failover");
	}
}

/* What comes from the primary: its last words may die with it, and after the failover a dead one is not heard. */
static void primary_says(struct stack_world *w, struct packet *p)
{
	struct stack_pair *q = w->pair;

	if ((q->dead && q->plan.loses_in_flight) || q->failed_over)
		return;
	if (q->mirror.ops)
		box_input(&q->mirror, MIRROR_PRIMARY, &p, 1, false, w->run.now);
	else
		net_put(&w->net, LANE_DOWN, p);
}

static void clients_say(struct stack_world *w, struct packet *p)
{
	count_packet(w, p);
	if (w->pair->mirror.ops) {
		box_input(&w->pair->mirror, MIRROR_CLIENT, &p, 1, false, w->run.now);
	} else {
		to_primary(w, p);
		to_secondary(w, p);
	}
}

static void at_gateway(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (at.port == MIRROR_CLIENT)
			clients_say(ctx, pkts[i]);
		else
			primary_says(ctx, pkts[i]);
}

static void at_host(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	struct stack_world *w = ctx;
	unsigned side = at.node == PAIR_OUTSIDE	  ? CLIENT
			: at.node == PAIR_PRIMARY ? SERVER
						  : SECONDARY;

	if (stack_host_lives(w, side))
		stack_net_host_input(w, side, pkts, n);
}

static void at_rewriter(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	struct stack_world *w = ctx;

	box_input(&w->pair->rewrite, at.port, pkts, n, w->run.opt.split, w->run.now);
}

/* --- life */

void stack_pair_open(struct stack_world *w)
{
	const struct pair_manners manners = {
		.hosts_at_ticks = true,
		.burst = 1,
		.input = { [PAIR_OUTSIDE] = at_host,
			   [PAIR_GATEWAY] = at_gateway,
			   [PAIR_PRIMARY] = at_host,
			   [PAIR_SECONDARY] = at_host,
			   [PAIR_REWRITE] = at_rewriter },
		.ctx = w,
	};
	struct stack_pair *q = w->pair;

	q->failover_at = SUT_NEVER;
	pair_lanes_open(&w->net, &q->plan, &manners);
	q->rewrite.sent = rewriter_sent;
	q->mirror.sent = mirror_sent;
	q->rewrite.ctx = q->mirror.ctx = w;
	box_open(&q->rewrite, &replica_rewrite_ops, &q->plan.rewrite, pair_rewriter_ports(&q->plan),
		 w->p->seed ^ 0xaaaa, &w->run.res->counters);
	if (q->plan.mirrors)
		box_open(&q->mirror, &replica_mirror_ops, &q->plan.mirror, 7, w->p->seed,
			 &w->run.res->counters);
}

void stack_pair_close(struct stack_world *w)
{
	box_close(&w->pair->mirror);
	box_close(&w->pair->rewrite);
}
