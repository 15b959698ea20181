/* SPDX-License-Identifier: MIT */
#include "stack_pair.h"

#include <stdlib.h>
#include <string.h>

#include "proto/tcp.h"
#include "stack/conn.h"
#include "stack_world.h"

/*
 * Theory of operation
 *
 * Both servers have the same address, the same configuration and the same application; each has its own dice, so numbers, clocks
 * and pace are each one's own.  A checkpoint copies the primary's stack, which is one block, and its applications' state.
 *
 * Of each frame that goes to the client is judged who speaks: the primary until the failover, then the secondary.  Where the primary's
 * output is compared, also that the secondary could go on behind it: that it has sent as much, and has all that is acknowledged.
 */

/* --- plans */

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
		c->app[1].take = 0; /* the taker of one host is not the other's */
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

/* Half of the primaries die while a connection has something to say. */
static void draw_death(const struct stack_plan *p, struct pair_plan *q)
{
	struct rng r = { .s = p->seed ^ 0x6465617468u };
	const struct stack_conn_plan *c;

	q->death.conn %= p->conns;
	for (unsigned i = 0; i < PAIR_CHECKPOINTS_MAX; i++)
		q->checkpoint[i].conn %= p->conns;
	if (!q->death.packet || !rng_chance(&r, 50))
		return;
	q->death.by = BY_CONN;
	c = &p->conn[q->death.conn];
	q->death.packet = rng_range(&r, 4, 6 + (c->app[0].out_len + c->app[1].out_len) / 1000);
}

void stack_pair_draw(struct stack_plan *p)
{
	struct pair_plan *q = &p->pair;

	pair_plan_draw(p->seed, p->role->compare, q);
	q->rewrite.hold_cells = 8192;
	/*
	 * What the old secondary had sent is taken for sent by the copy where nobody sees what the primary sends: with compare no client
	 * acknowledges it before (doc/design/replica.md, Limits).
	 */
	if (!q->compare && !q->copies)
		memset(q->checkpoint, 0, sizeof q->checkpoint);
	tame(p);
	draw_death(p, q);
}

/* --- frames */

void stack_pair_sent(struct stack_world *w, unsigned side, const struct packet *p)
{
	static const enum pair_node end[HOSTS] = { PAIR_OUTSIDE, PAIR_PRIMARY, PAIR_SECONDARY };

	pair_site_sent(w->pair, end[side], p);
}

static void at_host(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	stack_net_host_input(ctx,
			     at.node == PAIR_OUTSIDE   ? CLIENT
			     : at.node == PAIR_PRIMARY ? SERVER
						       : SECONDARY,
			     pkts, n);
}

static unsigned number_of(void *ctx, const struct packet *p, struct view *ret_v)
{
	struct stack_world *w = ctx;
	const struct tcp_hdr *t;
	unsigned i;

	if (view_parse(p, ret_v) != R_NONE || !ret_v->tcp)
		return NET_NONE;
	t = view_tcp((struct packet *)p, ret_v);
	i = be16_get(t->sport) == STACK_PORT ? be16_get(t->dport) : be16_get(t->sport);
	i = stack_conn_of_port(w, (uint16_t)i);
	return i < w->p->conns ? i : NET_NONE;
}

/* Could the secondary go on behind this frame of the primary's? */
static void judge_joint(struct stack_world *w, unsigned conn, const struct view *v)
{
	const struct app *p = &w->app[conn][SERVER], *s = &w->app[conn][SECONDARY];
	struct conn_info pi, si;
	int32_t end, ack;

	if (v->flags & (TCP_SYN | TCP_RST) || !p->id || !s->id ||
	    stack_info(w->host[SERVER], p->id, w->run.now, &pi) < 0 ||
	    stack_info(w->host[SECONDARY], s->id, w->run.now, &si) < 0)
		return;
	end = (int32_t)(v->seq - pi.iss + view_seg_len(v));
	ack = (int32_t)(v->ack - pi.irs);
	if (view_seg_len(v) && end > (int32_t)(si.snd_nxt - si.iss))
		run_broken(&w->run, "connection %u: up to %d goes out, the secondary has sent %d",
			   conn, end, (int32_t)(si.snd_nxt - si.iss));
	if (ack > (int32_t)(si.rcv_nxt - si.irs))
		run_broken(&w->run, "connection %u: %d is acknowledged, the secondary has %d", conn,
			   ack, (int32_t)(si.rcv_nxt - si.irs));
}

static void down(void *ctx, unsigned conn, const struct packet *p, const struct view *v)
{
	struct stack_world *w = ctx;
	const struct pair_site *s = w->pair;
	bool primary = p->head[STACK_MARK_AT] == SERVER + 1;

	if (!net_sums(p))
		run_broken(&w->run, "to the client: a wrong checksum");
	if (primary && s->compare_failed_over)
		run_broken(&w->run, "the dead primary is heard");
	if (!primary && !s->turning && !s->compare_failed_over)
		run_broken(&w->run, "the secondary is heard beside the primary");
	if (primary && s->compare.ops && !s->turning)
		judge_joint(w, conn, v);
}

/* --- turns */

static void copy(void *ctx)
{
	struct stack_world *w = ctx;
	struct stack *s = w->host[SECONDARY];
	char err[96];

	memcpy(s, w->host[SERVER], stack_need(&w->p->host[stack_half(SERVER)], err));
	s->env.ctx = &w->ctx[SECONDARY];
	w->listener[SECONDARY] = w->listener[SERVER];
	for (unsigned i = 0; i < w->p->conns; i++) {
		struct app *a = &w->app[i][SECONDARY];
		uint8_t *stream = a->stream;

		*a = w->app[i][SERVER];
		a->side = SECONDARY;
		a->stream = stream;
	}
}

/* What the connections were doing when the primary's death was found out. */
static void count_fates(void *ctx)
{
	struct stack_world *w = ctx;
	struct world_fates *f = &w->run.res->fates;

	for (unsigned i = 0; i < w->p->conns; i++) {
		const struct app *c = &w->app[i][CLIENT];

		if (!w->started[i] || c->over)
			continue;
		if (!c->open)
			f->half_open++;
		else if (c->shut || c->eof)
			f->closing++;
		else
			f->established++;
	}
}

void stack_pair_open(struct stack_world *w)
{
	static const struct pair_hooks hooks = {
		.input = at_host,
		.conn = number_of,
		.down = down,
		.copy = copy,
		.failover = count_fates,
	};

	*w->pair = (struct pair_site){
		.plan = &w->p->pair, .run = &w->run, .net = &w->net, .hooks = &hooks, .ctx = w
	};
	pair_site_open(w->pair, true);
}
