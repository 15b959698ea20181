/* SPDX-License-Identifier: MIT */
#include "replica_world.h"

#include <stdio.h>

#include "proto/tcp.h"

/*
 * Theory of operation
 *
 * The turns of a pair's fate: checkpoints, the primary's death, its failover.
 *
 *     death ── detect ──► the streams are empty ──► compare and the rewriter are told
 *
 * Without compare the client has been told that bytes arrived which may still be in the mirror; who
 * switches over waits for them.  With it they were not acknowledged, and may be lost.  Nobody waits between
 * compare and the rewriter: a SYN-ACK in the secondary's numbers that compare lets out must not meet a
 * rewriter that still learns the primary's.
 *
 * At a checkpoint S becomes P, byte for byte; what the old S has sent and what was about to reach it go
 * with it: compare would take it for what the new one has said.  What the mirror still carries, S has had already: as P.
 */

#define ASKED_TIME SUT_MS(5) /* from compare's asking to the checkpoint */

static bool met(const struct pair_world *w, const struct pair_when *t, const struct pair_conn *c)
{
	if (t->packet == 0)
		return false;
	if (t->by == BY_PACKETS)
		return w->packets == t->packet;
	if (!c || c != &w->conn[t->conn])
		return false;
	return t->by == BY_CONN ? c->packets == t->packet : c->fin && c->since_fin == t->packet;
}

static void tell_trace(const struct pair_world *w, const char *what)
{
	if (w->run.opt.trace)
		printf("%12.6f *** %s\n", run_seconds(&w->run), what);
}

void pair_packet(struct pair_world *w, struct pair_conn *c, const struct view *v)
{
	w->packets++;
	if (c) {
		c->packets++;
		c->fin = c->fin || (v->flags & TCP_FIN);
		c->since_fin += c->fin;
	}
	if (w->dead)
		return;
	for (unsigned i = 0; i < PAIR_CHECKPOINTS_MAX; i++)
		if (met(w, &w->plan->checkpoint[i], c))
			w->checkpoint_at = w->run.now;
	if (!met(w, &w->plan->death, c))
		return;
	tell_trace(w, "the primary dies");
	w->dead = true;
	w->checkpoint_at = SUT_NEVER;
	w->failover_at = w->run.now + w->plan->detect;
}

/* What the connections were doing when the primary's death was found out. */
static void count_fates(struct pair_world *w)
{
	struct world_fates *f = &w->run.res->fates;

	f->failovers++;
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

static sut_time later(sut_time a, sut_time b)
{
	return a > b ? a : b;
}

static void tell_compare(struct pair_world *w)
{
	w->turning = true; /* what both have said goes out now, of either */
	if (w->compare.ops)
		box_tell(&w->compare, COMPARE_CONTROL, "failover", w->run.now);
	w->turning = false;
	w->compare_failed_over = true;
}

static void tell_rewriter(struct pair_world *w)
{
	w->failed_over = true;
	box_tell(&w->rewrite, REPLICA_CONTROL, "failover", w->run.now);
}

/* When all has arrived that was sent to the rewriter before the death was found out. */
static sut_time drained(const struct pair_world *w)
{
	return later(net_drained(&w->net, LANE_MIRROR), net_drained(&w->net, LANE_P_COPY)) +
	       SUT_MS(1);
}

static void failover(struct pair_world *w)
{
	if (w->plan->drains && !w->draining && drained(w) > w->run.now) {
		w->draining = true;
		w->failover_at = drained(w);
		return;
	}
	tell_trace(w, "failover");
	count_fates(w);
	w->failover_at = SUT_NEVER;
	if (w->plan->rewriter_first)
		tell_rewriter(w);
	tell_compare(w);
	if (!w->plan->rewriter_first)
		tell_rewriter(w);
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

static void checkpoint(struct pair_world *w)
{
	tell_trace(w, "checkpoint");
	w->checkpoint_at = SUT_NEVER;
	w->run.res->fates.checkpoints++;
	for (unsigned i = 0; i < w->plan->conns; i++)
		copy_peer(&w->conn[i]);
	net_lose(&w->net, LANE_S_IN);
	net_lose(&w->net, LANE_S_OUT);
	net_lose(&w->net, LANE_COMPARE);
	if (w->compare.ops && w->plan->tells_as_qemu)
		box_tell(&w->compare, COMPARE_NOTIFY, "COLO_CHECKPOINT", w->run.now);
	else if (w->compare.ops)
		box_tell(&w->compare, COMPARE_CONTROL, "checkpoint", w->run.now);
	box_tell(&w->rewrite, REPLICA_CONTROL, "checkpoint", w->run.now);
}

void pair_asked(struct pair_world *w)
{
	w->run.res->fates.asked++;
	if (!w->dead && w->checkpoint_at == SUT_NEVER)
		w->checkpoint_at = w->run.now + ASKED_TIME;
}

sut_time pair_turns_at(const struct pair_world *w)
{
	return w->checkpoint_at < w->failover_at ? w->checkpoint_at : w->failover_at;
}

void pair_turns(struct pair_world *w)
{
	if (w->checkpoint_at <= w->run.now)
		checkpoint(w);
	if (w->failover_at <= w->run.now)
		failover(w);
}
