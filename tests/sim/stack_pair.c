/* SPDX-License-Identifier: MIT */
#include "stack_pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stack_world.h"

/*
 * Theory of operation
 *
 *              UP            P_IN
 *     client ─────► gateway ──────► primary ── P_OUT ──► gateway ── DOWN ──► client
 *                      │                  └ P_COPY ► [rewrite]
 *                      └ MIRROR ► [rewrite] ── S_IN ──► secondary
 *                                     │   ◄─ S_OUT ─────────┘
 *                                     └ after the failover ── DOWN ──► client
 *
 * Both servers have the same address, the same configuration and the same application; each has its own dice, so numbers, clocks
 * and pace are each one's own.  The lanes, the joints and the primary's death are those of the replicated pairs of simulated peers
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
	if (w->opt.trace)
		printf("%12.6f *** the primary dies\n", stack_seconds(w));
	q->dead = true;
	q->failover_at = w->now + q->plan.detect;
}

static sut_time later(sut_time a, sut_time b)
{
	return a > b ? a : b;
}

static void failover(struct stack_world *w)
{
	struct stack_pair *q = w->pair;
	sut_time drained = later(q->link[LANE_MIRROR].last_out, q->link[LANE_P_COPY].last_out) +
			   SUT_MS(1);

	if (!q->draining && drained > w->now) {
		q->draining = true;
		q->failover_at = drained;
		return;
	}
	if (w->opt.trace)
		printf("%12.6f *** failover\n", stack_seconds(w));
	q->failover_at = SUT_NEVER;
	q->failed_over = true;
	w->res->fates.failovers++;
	box_tell(&q->rewrite, REPLICA_CONTROL, "failover", w->now);
}

sut_time stack_pair_deadline(const struct stack_world *w)
{
	sut_time at = box_deadline(&w->pair->rewrite);

	return at < w->pair->failover_at ? at : w->pair->failover_at;
}

void stack_pair_expire(struct stack_world *w)
{
	if (w->pair->failover_at <= w->now)
		failover(w);
	if (!box_expire(&w->pair->rewrite, w->now))
		stack_broken(w, "the rewriter's deadline stays due");
	if (!box_intact(&w->pair->rewrite) || !box_intact(&w->pair->mirror))
		stack_broken(w, "a role wrote behind its block");
}

bool stack_pair_gave_up(const struct stack_world *w)
{
	const struct counters *n = &w->res->counters;

	return n->dropped[R_QUOTA] || n->dropped[R_STORE_FULL] ||
	       (!w->pair->plan.copies && (n->passed[R_NOT_CLIENT] || n->passed[R_SYN_TFO]));
}

/* --- lanes */

static void put(struct stack_world *w, enum pair_lane lane, const struct packet *p)
{
	struct link_fate f = link_offer(&w->pair->link[lane], p->head_len, w->now);

	stack_net_observe(w, lane, 'o', pair_lane_name(lane), p);
	for (unsigned i = 0; i < f.copies; i++)
		queue_put(&w->queue, (f.at[i] + STACK_TICK - 1) / STACK_TICK * STACK_TICK, lane,
			  p->head, p->head_len);
}

void stack_pair_sent(struct stack_world *w, unsigned side, const struct packet *p)
{
	struct stack_pair *q = w->pair;

	if (side == CLIENT) {
		put(w, LANE_UP, p);
	} else if (side == SECONDARY) {
		put(w, LANE_S_OUT, p);
	} else if (!q->dead) {
		count_packet(w, p);
		if (q->dead)
			return;
		put(w, LANE_P_OUT, p);
		if (q->plan.copies)
			put(w, LANE_P_COPY, p);
	}
}

static void to_primary(struct stack_world *w, const struct packet *p)
{
	if (!w->pair->dead)
		put(w, LANE_P_IN, p);
}

static void to_secondary(struct stack_world *w, const struct packet *p)
{
	bool network = w->pair->failed_over && w->pair->plan.network_port;

	put(w, network ? LANE_NETWORK : LANE_MIRROR, p);
}

static void mirror_sent(void *ctx, unsigned port, struct packet *p)
{
	struct stack_world *w = ctx;

	if (port == MIRROR_CLIENT)
		put(w, LANE_DOWN, p);
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
			stack_broken(w, "the rewriter answers \"%.*s\"", (int)p->head_len,
				     (const char *)p->head);
	} else if (port == REPLICA_SECONDARY) {
		put(w, LANE_S_IN, p);
	} else if (w->pair->failed_over) {
		put(w, LANE_DOWN, p);
	} else if (port == REPLICA_NETWORK) {
		stack_broken(w, "the rewriter spoke to the network before the failover");
	}
}

/* What comes from the primary: its last words may die with it, and after the failover a dead one is not heard. */
static void primary_says(struct stack_world *w, struct packet *p)
{
	struct stack_pair *q = w->pair;

	if ((q->dead && q->plan.loses_in_flight) || q->failed_over)
		return;
	if (q->mirror.ops)
		box_input(&q->mirror, MIRROR_PRIMARY, &p, 1, false, w->now);
	else
		put(w, LANE_DOWN, p);
}

static void at_gateway(struct stack_world *w, struct packet *p)
{
	count_packet(w, p);
	if (w->pair->mirror.ops) {
		box_input(&w->pair->mirror, MIRROR_CLIENT, &p, 1, false, w->now);
	} else {
		to_primary(w, p);
		to_secondary(w, p);
	}
}

static void arrive(struct stack_world *w, enum pair_lane lane, struct packet *p)
{
	static const uint8_t port[LANES] = {
		[LANE_MIRROR] = REPLICA_PRIMARY,
		[LANE_NETWORK] = REPLICA_NETWORK,
		[LANE_P_COPY] = REPLICA_PRIMARY_OUT,
	};
	struct stack_pair *q = w->pair;

	switch ((unsigned)lane) {
	case LANE_UP:
		at_gateway(w, p);
		break;
	case LANE_P_IN:
		if (!q->dead)
			stack_net_host_input(w, SERVER, p);
		break;
	case LANE_S_IN:
		stack_net_host_input(w, SECONDARY, p);
		break;
	case LANE_DOWN:
		stack_net_host_input(w, CLIENT, p);
		break;
	case LANE_P_OUT:
		primary_says(w, p);
		break;
	case LANE_S_OUT:
		box_input(&q->rewrite,
			  q->plan.s_at_out_port ? REPLICA_SECONDARY_OUT : REPLICA_SECONDARY, &p, 1,
			  false, w->now);
		break;
	default:
		box_input(&q->rewrite, port[lane], &p, 1, false, w->now);
		break;
	}
}

void stack_pair_deliver(struct stack_world *w)
{
	const struct arrival *a;

	while ((a = queue_next(&w->queue)) && a->at <= w->now && !w->res->broken[0]) {
		enum pair_lane lane = (enum pair_lane)a->place;
		struct frame *f = queue_take(&w->queue).frame;
		struct packet p = { .head = f->bytes, .head_len = f->len };

		stack_net_observe(w, lane, 'i', pair_lane_name(lane), &p);
		arrive(w, lane, &p);
		free(f);
	}
}

/* --- life */

static uint32_t rewriter_ports(const struct pair_plan *p)
{
	return 1u << REPLICA_PRIMARY | 1u << REPLICA_SECONDARY | 1u << REPLICA_CONTROL |
	       (uint32_t)p->copies << REPLICA_PRIMARY_OUT |
	       (uint32_t)p->compare_port << REPLICA_COMPARE |
	       (uint32_t)p->out_port << REPLICA_SECONDARY_OUT |
	       (uint32_t)p->network_port << REPLICA_NETWORK;
}

void stack_pair_open(struct stack_world *w)
{
	struct stack_pair *q = w->pair;

	q->failover_at = SUT_NEVER;
	for (unsigned i = 0; i < LANES; i++)
		link_init(&q->link[i], &q->plan.lane[i]);
	q->rewrite.sent = rewriter_sent;
	q->mirror.sent = mirror_sent;
	q->rewrite.ctx = q->mirror.ctx = w;
	box_open(&q->rewrite, &replica_rewrite_ops, &q->plan.rewrite, rewriter_ports(&q->plan),
		 w->p->seed ^ 0xaaaa, &w->res->counters);
	if (q->plan.mirrors)
		box_open(&q->mirror, &replica_mirror_ops, &q->plan.mirror, 7, w->p->seed,
			 &w->res->counters);
}

void stack_pair_close(struct stack_world *w)
{
	box_close(&w->pair->mirror);
	box_close(&w->pair->rewrite);
}
