/* SPDX-License-Identifier: MIT */
#include "replica_site.h"

#include <stdio.h>

#include "proto/tcp.h"
#include "proto/view.h"

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

static bool met(const struct pair_site *s, const struct pair_when *t, unsigned conn)
{
	if (t->packet == 0)
		return false;
	if (t->by == BY_PACKETS)
		return s->packets == t->packet;
	if (conn == NET_NONE || conn != t->conn)
		return false;
	return (t->by == BY_CONN ? s->of_conn : s->since_fin)[conn] == t->packet;
}

static void tell_trace(const struct pair_site *s, const char *what)
{
	if (s->run->opt.trace)
		printf("%12.6f *** %s\n", run_seconds(s->run), what);
}

void pair_packet(struct pair_site *s, unsigned conn, const struct view *v)
{
	s->packets++;
	if (conn != NET_NONE) {
		s->of_conn[conn]++;
		if (s->since_fin[conn] || v->flags & TCP_FIN)
			s->since_fin[conn]++;
	}
	if (s->dead)
		return;
	for (unsigned i = 0; i < PAIR_CHECKPOINTS_MAX; i++)
		if (met(s, &s->plan->checkpoint[i], conn))
			s->checkpoint_at = s->run->now;
	if (!met(s, &s->plan->death, conn))
		return;
	tell_trace(s, "the primary dies");
	s->dead = true;
	s->checkpoint_at = SUT_NEVER;
	s->failover_at = s->run->now + s->plan->detect;
}

static sut_time later(sut_time a, sut_time b)
{
	return a > b ? a : b;
}

static void tell_compare(struct pair_site *s)
{
	s->turning = true; /* what both have said goes out now, of either */
	if (s->compare.ops)
		box_tell(&s->compare, COMPARE_CONTROL, "failover", s->run->now);
	s->turning = false;
	s->compare_failed_over = true;
}

static void tell_rewriter(struct pair_site *s)
{
	s->failed_over = true;
	box_tell(&s->rewrite, REPLICA_CONTROL, "failover", s->run->now);
}

/* When all has arrived that was sent to the rewriter before the death was found out. */
static sut_time drained(const struct pair_site *s)
{
	return later(net_drained(s->net, LANE_MIRROR), net_drained(s->net, LANE_P_COPY)) +
	       SUT_MS(1);
}

static void failover(struct pair_site *s)
{
	if (s->plan->drains && !s->draining && drained(s) > s->run->now) {
		s->draining = true;
		s->failover_at = drained(s);
		return;
	}
	tell_trace(s, "failover");
	s->run->res->fates.failovers++;
	if (s->hooks->failover)
		s->hooks->failover(s->ctx);
	s->failover_at = SUT_NEVER;
	if (s->plan->rewriter_first)
		tell_rewriter(s);
	tell_compare(s);
	if (!s->plan->rewriter_first)
		tell_rewriter(s);
}

static void checkpoint(struct pair_site *s)
{
	tell_trace(s, "checkpoint");
	s->checkpoint_at = SUT_NEVER;
	s->run->res->fates.checkpoints++;
	if (s->hooks->copy)
		s->hooks->copy(s->ctx);
	net_lose(s->net, LANE_S_IN);
	net_lose(s->net, LANE_S_OUT);
	net_lose(s->net, LANE_COMPARE);
	if (s->compare.ops && s->plan->tells_as_qemu)
		box_tell(&s->compare, COMPARE_NOTIFY, "COLO_CHECKPOINT", s->run->now);
	else if (s->compare.ops)
		box_tell(&s->compare, COMPARE_CONTROL, "checkpoint", s->run->now);
	box_tell(&s->rewrite, REPLICA_CONTROL, "checkpoint", s->run->now);
}

void pair_asked(struct pair_site *s)
{
	s->run->res->fates.asked++;
	if (!s->dead && s->checkpoint_at == SUT_NEVER)
		s->checkpoint_at = s->run->now + ASKED_TIME;
}

sut_time pair_turns_at(const struct pair_site *s)
{
	return s->checkpoint_at < s->failover_at ? s->checkpoint_at : s->failover_at;
}

void pair_turns(struct pair_site *s)
{
	if (s->checkpoint_at <= s->run->now)
		checkpoint(s);
	if (s->failover_at <= s->run->now)
		failover(s);
}
