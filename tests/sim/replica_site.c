/* SPDX-License-Identifier: MIT */
#include "replica_site.h"

#include <stdio.h>
#include <string.h>

#include "proto/view.h"
#include "role/replica/compare_flow.h"
#include "role/replica/pair.h"

#define COMPARE_PORTS                                                                \
	(1u << COMPARE_PRIMARY_IN | 1u << COMPARE_SECONDARY_IN | 1u << COMPARE_OUT | \
	 1u << COMPARE_NOTIFY | 1u << COMPARE_CONTROL)

/* --- out */

/* To those outside. */
static void down(struct pair_site *s, const struct packet *p)
{
	struct view v;
	unsigned c = s->hooks->conn(s->ctx, p, &v);

	if (c == NET_NONE)
		run_broken(s->run, "a frame of no connection goes to the clients");
	else if (s->hooks->down)
		s->hooks->down(s->ctx, c, p, &v);
	net_put(s->net, LANE_DOWN, p);
}

static void check_reply(struct pair_site *s, const char *who, const struct packet *p)
{
	if (s->run->opt.trace)
		printf("%12.6f     %s says %.*s\n", run_seconds(s->run), who, (int)p->head_len,
		       (const char *)p->head);
	if (p->head_len < 2 || memcmp(p->head, "ok", 2) != 0)
		run_broken(s->run, "%s answers \"%.*s\"", who, (int)p->head_len,
			   (const char *)p->head);
}

static void far(struct pair_site *s, const struct packet *p)
{
	struct view v;
	unsigned c = s->hooks->conn(s->ctx, p, &v);

	if (c != NET_NONE && s->hooks->far)
		s->hooks->far(s->ctx, c, p, &v);
}

static void rewriter_sent(void *ctx, unsigned port, struct packet *p)
{
	struct pair_site *s = ctx;

	if (port == REPLICA_CONTROL) {
		check_reply(s, "rewriter", p);
		return;
	}
	if (port == REPLICA_SECONDARY) {
		net_put(s->net, LANE_S_IN, p);
		return;
	}
	far(s, p);
	if (s->compare.ops && port != REPLICA_NETWORK) {
		net_put(s->net, LANE_COMPARE, p);
		return;
	}
	net_note(s->net, LANE_COMPARE, false, p);
	if (s->failed_over)
		down(s, p);
	else if (port == REPLICA_NETWORK)
		run_broken(s->run, "the rewriter spoke to the network before the failover");
}

static void compare_sent(void *ctx, unsigned port, struct packet *p)
{
	struct pair_site *s = ctx;

	if (port == COMPARE_OUT)
		down(s, p);
	else if (port == COMPARE_CONTROL)
		check_reply(s, "compare", p);
	else if (p->head_len == 13 && !memcmp(p->head, "DO_CHECKPOINT", 13))
		pair_asked(s);
	else
		run_broken(s->run, "compare notifies \"%.*s\"", (int)p->head_len,
			   (const char *)p->head);
}

/* A frame of the clients goes to the pair; what is dead hears nothing. */
static void to_primary(struct pair_site *s, const struct packet *p)
{
	if (!s->dead)
		net_put(s->net, LANE_P_IN, p);
}

static void to_secondary(struct pair_site *s, const struct packet *p)
{
	net_put(s->net, s->failed_over && s->plan->network_port ? LANE_NETWORK : LANE_MIRROR, p);
}

static void mirror_sent(void *ctx, unsigned port, struct packet *p)
{
	struct pair_site *s = ctx;

	if (port == MIRROR_CLIENT)
		down(s, p);
	else if (port == MIRROR_PRIMARY)
		to_primary(s, p);
	else
		to_secondary(s, p);
}

void pair_site_sent(struct pair_site *s, enum pair_node end, const struct packet *p)
{
	struct view v = { 0 };

	if (end != PAIR_PRIMARY) {
		net_put(s->net, end == PAIR_OUTSIDE ? LANE_UP : LANE_S_OUT, p);
		return;
	}
	if (!s->dead)
		pair_packet(s, s->hooks->conn(s->ctx, p, &v), &v);
	if (s->dead)
		return;
	net_put(s->net, LANE_P_OUT, p);
	if (s->plan->copies)
		net_put(s->net, LANE_P_COPY, p);
}

/* --- in */

/* The clients' frames at the gateway. */
static void clients_say(struct pair_site *s, struct packet *p)
{
	struct view v = { 0 };

	pair_packet(s, s->hooks->conn(s->ctx, p, &v), &v);
	if (s->mirror.ops) {
		box_input(&s->mirror, MIRROR_CLIENT, &p, 1, false, s->run->now);
	} else {
		to_primary(s, p);
		to_secondary(s, p);
	}
}

/* What comes from the primary: its last words may die with it, and a dead one is not heard. */
static bool primary_is_heard(const struct pair_site *s)
{
	if (s->dead && s->plan->loses_in_flight)
		return false;
	return s->compare.ops || !s->compare_failed_over;
}

static void at_gateway(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	struct pair_site *s = ctx;

	if (at.port == MIRROR_CLIENT) {
		clients_say(s, pkts[0]); /* one at a time */
	} else if (!primary_is_heard(s)) {
		return;
	} else if (s->mirror.ops) {
		box_input(&s->mirror, MIRROR_PRIMARY, pkts, n, s->run->opt.split, s->run->now);
	} else {
		for (unsigned i = 0; i < n; i++)
			down(s, pkts[i]);
	}
}

static void at_rewriter(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	struct pair_site *s = ctx;
	bool by_secondary = at.port == REPLICA_SECONDARY || at.port == REPLICA_SECONDARY_OUT;

	for (unsigned i = 0; i < n && !by_secondary && s->hooks->seen; i++) {
		struct view v;
		unsigned c = s->hooks->conn(s->ctx, pkts[i], &v);

		if (c != NET_NONE)
			s->hooks->seen(s->ctx, c, pkts[i], &v, at.port == REPLICA_PRIMARY_OUT);
	}
	box_input(&s->rewrite, at.port, pkts, n, s->run->opt.split, s->run->now);
}

static void at_compare(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	struct pair_site *s = ctx;

	if (at.port != COMPARE_PRIMARY_IN || primary_is_heard(s))
		box_input(&s->compare, at.port, pkts, n, s->run->opt.split, s->run->now);
}

static void at_end(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	struct pair_site *s = ctx;

	if (at.node != PAIR_PRIMARY || !s->dead)
		s->hooks->input(s->ctx, at, pkts, n);
}

/* --- time */

sut_time pair_site_deadline(const struct pair_site *s)
{
	return sooner(box_deadline(&s->rewrite), box_deadline(&s->compare));
}

void pair_site_expire(struct pair_site *s)
{
	box_expire(&s->rewrite, s->run->now);
	box_expire(&s->compare, s->run->now);
}

static void judge_box(struct pair_site *s, const struct box *b, const char *who)
{
	if (box_fault(b))
		run_broken(s->run, "%s: %s", who, box_fault(b));
}

void pair_site_judge(struct pair_site *s)
{
	judge_box(s, &s->mirror, "mirror");
	judge_box(s, &s->rewrite, "rewriter");
	judge_box(s, &s->compare, "compare");
}

void pair_site_judge_rest(struct pair_site *s)
{
	unsigned left = box_flows(&s->rewrite, s->run->now) + box_flows(&s->compare, s->run->now);

	if (left)
		run_broken(s->run, "%u flows are left for ever", left);
	if (held_free(((struct rewrite *)s->rewrite.role)->held) != s->plan->rewrite.hold_cells)
		run_broken(s->run, "the rewriter still holds frames");
	if (s->compare.ops &&
	    held_free(((struct compare *)s->compare.role)->held) != s->compare_free)
		run_broken(s->run, "compare still holds frames");
}

bool pair_gave_up(const struct pair_site *s)
{
	const struct counters *n = &s->run->res->counters;

	if (!s->plan->compare && (n->dropped[R_QUOTA] || n->dropped[R_STORE_FULL]))
		return true;
	return !s->plan->copies && (n->passed[R_NOT_CLIENT] || n->passed[R_SYN_TFO]);
}

/* --- life */

void pair_site_open(struct pair_site *s, bool hosts_at_ticks)
{
	const struct pair_plan *p = s->plan;
	struct counters *n = &s->run->res->counters;
	const struct pair_manners manners = {
		.hosts_at_ticks = hosts_at_ticks,
		.burst = BOX_BURST,
		.input = { [PAIR_OUTSIDE] = at_end,
			   [PAIR_GATEWAY] = at_gateway,
			   [PAIR_PRIMARY] = at_end,
			   [PAIR_SECONDARY] = at_end,
			   [PAIR_REWRITE] = at_rewriter,
			   [PAIR_COMPARE] = at_compare },
		.ctx = s,
	};

	s->checkpoint_at = s->failover_at = SUT_NEVER;
	pair_lanes_open(s->net, p, &manners);
	s->rewrite.sent = rewriter_sent;
	s->compare.sent = compare_sent;
	s->mirror.sent = mirror_sent;
	s->mirror.ctx = s->rewrite.ctx = s->compare.ctx = s;
	box_open(&s->rewrite, &replica_rewrite_ops, &p->rewrite, pair_rewriter_ports(p),
		 p->seed ^ 0xaaaa, n);
	if (p->mirrors)
		box_open(&s->mirror, &replica_mirror_ops, &p->mirror, 7, p->seed, n);
	if (!p->compare)
		return;
	box_open(&s->compare, &replica_compare_ops, &p->comparing, COMPARE_PORTS, p->seed ^ 0x5555,
		 n);
	s->compare_free = held_free(((struct compare *)s->compare.role)->held);
}

void pair_site_close(struct pair_site *s)
{
	box_close(&s->mirror);
	box_close(&s->rewrite);
	box_close(&s->compare);
}
