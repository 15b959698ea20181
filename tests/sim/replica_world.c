/* SPDX-License-Identifier: MIT */
#include "replica_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "proto/print.h"
#include "role/replica/compare_flow.h"
#include "role/replica/pair.h"

/*
 * Theory of operation
 *
 *              UP            P_IN
 *     client ─────► gateway ──────► P ── P_OUT ──► [compare]      (or the gateway, where there is none)
 *        ▲             │                   └ P_COPY ► [rewrite]
 *        │             └ MIRROR ► [rewrite] ── S_IN ──► S
 *        │                            │   ◄─ S_OUT ─────┘
 *        └──── DOWN ── [compare] ◄────┘ COMPARE
 *
 * Once the rewriter knows that P is dead, the clients' frames go to its port network, if it has one.
 *
 * Virtual time jumps from event to event.  At one time: turns (checkpoint, failover), connections
 * that start and peers' timers, the roles' timers, frames by lane.  Arrivals at a role are rounded
 * up, so that bursts happen.  The hash is kept per lane: the order within one is what the split of
 * a burst must not change.
 */

#define COMPARE_PORTS                                                                \
	(1u << COMPARE_PRIMARY_IN | 1u << COMPARE_SECONDARY_IN | 1u << COMPARE_OUT | \
	 1u << COMPARE_NOTIFY | 1u << COMPARE_CONTROL)
#define BOX_TICK ((sut_time)50000)
#define GIVE_UP SUT_MS(600000) /* connections that have not ended by then never will */
/* A flow whose ends are done is forgotten by then; a FIN that P alone has sent is not seen. */
#define LINGER SUT_MS(200000)
#define DRAIN_LIMIT SUT_MS(4 * 3600000) /* all others are by then */

void pair_broken(struct pair_world *w, const char *fmt, ...)
{
	va_list ap;

	if (w->res->broken[0])
		return;
	va_start(ap, fmt);
	vsnprintf(w->res->broken, sizeof w->res->broken, fmt, ap);
	va_end(ap);
	if (w->opt.trace)
		printf("%12.6f BROKEN %s\n", (double)(w->now - PAIR_FIRST) / 1e9, w->res->broken);
}

/* One frame at one end of a lane: for the hash and the trace. */
static void observe(struct pair_world *w, enum pair_lane lane, bool leaves, const struct packet *p)
{
	uint64_t h = hash_fold(w->hash[lane] ^ w->now,
			       0x9e3779b97f4a7c15u ^ (uint64_t)leaves << 32 ^ packet_len(p));
	char line[PRINT_MAX];
	uint64_t word;
	uint32_t i = 0;

	for (; i + 8 <= p->head_len; i += 8) {
		memcpy(&word, p->head + i, 8);
		h = hash_fold(h ^ word, 0xd1b54a32d192ed03u);
	}
	for (; i < p->head_len; i++)
		h = (h ^ p->head[i]) * 0x100000001b3u;
	w->hash[lane] = h;
	w->res->frames++;
	if (!w->opt.trace)
		return;
	print_packet(p, line, sizeof line);
	printf("%12.6f %s %-9s %c %s\n", (double)(w->now - PAIR_FIRST) / 1e9, leaves ? "to" : "at",
	       pair_lane_name(lane), pair_lane_dir(lane), line);
}

static bool ends_at_role(enum pair_lane lane)
{
	return lane != LANE_UP && lane != LANE_DOWN && lane != LANE_P_IN && lane != LANE_S_IN;
}

static void put(struct pair_world *w, enum pair_lane lane, const struct packet *p)
{
	struct link_fate f = link_offer(&w->link[lane], p->head_len, w->now);

	for (unsigned i = 0; i < f.copies; i++) {
		sut_time at = f.at[i];

		if (ends_at_role(lane))
			at = (at + BOX_TICK - 1) / BOX_TICK * BOX_TICK;
		queue_put(&w->queue, at, lane, p->head, p->head_len);
	}
}

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

	observe(c->world, LANE_UP, true, &p);
	put(c->world, LANE_UP, &p);
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
	observe(w, LANE_P_OUT, true, &p);
	put(w, LANE_P_OUT, &p);
	if (w->plan->copies)
		put(w, LANE_P_COPY, &p);
}

static void secondary_sends(void *ctx, const uint8_t *frame, uint32_t len)
{
	struct pair_conn *c = ctx;
	struct packet p = { .head = (uint8_t *)frame, .head_len = len };

	observe(c->world, LANE_S_OUT, true, &p);
	put(c->world, LANE_S_OUT, &p);
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
		pair_broken(w, "a frame of no connection goes to the clients");
	observe(w, LANE_DOWN, true, p);
	put(w, LANE_DOWN, p);
}

static void check_reply(struct pair_world *w, const char *who, const struct packet *p)
{
	if (w->opt.trace)
		printf("%12.6f     %s says %.*s\n", (double)(w->now - PAIR_FIRST) / 1e9, who,
		       (int)p->head_len, (const char *)p->head);
	if (p->head_len < 2 || memcmp(p->head, "ok", 2) != 0)
		pair_broken(w, "%s answers \"%.*s\"", who, (int)p->head_len, (const char *)p->head);
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
		observe(w, LANE_S_IN, true, p);
		put(w, LANE_S_IN, p);
		return;
	}
	c = conn_of(w, p, &v);
	if (c)
		pair_watch_far(c, p, &v);
	observe(w, LANE_COMPARE, true, p);
	if (w->compare.ops && port != REPLICA_NETWORK)
		put(w, LANE_COMPARE, p);
	else if (w->failed_over)
		down(w, p);
	else if (port == REPLICA_NETWORK)
		pair_broken(w, "the rewriter spoke to the network before the failover");
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
		pair_broken(w, "compare notifies \"%.*s\"", (int)p->head_len,
			    (const char *)p->head);
}

/* A frame of the clients goes to the pair; what is dead hears nothing. */
static void to_primary(struct pair_world *w, const struct packet *p)
{
	if (!w->dead)
		put(w, LANE_P_IN, p);
}

static void to_secondary(struct pair_world *w, const struct packet *p)
{
	put(w, w->failed_over && w->plan->network_port ? LANE_NETWORK : LANE_MIRROR, p);
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
static void at_gateway(struct pair_world *w, struct packet *p)
{
	struct pair_conn *c;
	struct view v;

	c = conn_of(w, p, &v);
	pair_packet(w, c, &v);
	if (w->mirror.ops) {
		box_input(&w->mirror, MIRROR_CLIENT, &p, 1, false, w->now);
	} else {
		to_primary(w, p);
		to_secondary(w, p);
	}
}

static void at_peer(struct pair_world *w, enum pair_lane lane, const struct packet *p)
{
	struct pair_conn *c;
	struct view v;
	struct peer *peer;

	c = conn_of(w, p, &v);
	if (!c || (lane == LANE_P_IN && w->dead))
		return;
	peer = lane == LANE_DOWN ? &c->out : lane == LANE_P_IN ? &c->p : &c->s;
	peer_input(peer, p, &v, w->now);
}

/* What comes from the primary: its last words may die with it, and a dead one is not heard. */
static bool primary_is_heard(const struct pair_world *w)
{
	if (w->dead && w->plan->loses_in_flight)
		return false;
	return w->compare.ops || !w->compare_failed_over;
}

static void at_role(struct pair_world *w, enum pair_lane lane, struct packet **pkts, unsigned n)
{
	static const uint8_t port[LANES] = {
		[LANE_MIRROR] = REPLICA_PRIMARY,     [LANE_NETWORK] = REPLICA_NETWORK,
		[LANE_P_COPY] = REPLICA_PRIMARY_OUT, [LANE_S_OUT] = REPLICA_SECONDARY,
		[LANE_P_OUT] = COMPARE_PRIMARY_IN,   [LANE_COMPARE] = COMPARE_SECONDARY_IN,
	};
	bool compare = lane == LANE_P_OUT || lane == LANE_COMPARE;

	if (lane == LANE_P_OUT && !primary_is_heard(w))
		return;
	if (compare && !w->compare.ops && w->mirror.ops) {
		box_input(&w->mirror, MIRROR_PRIMARY, pkts, n, w->opt.split, w->now);
		return;
	}
	if (compare && !w->compare.ops) {
		for (unsigned i = 0; i < n; i++)
			down(w, pkts[i]);
		return;
	}
	for (unsigned i = 0; i < n && !compare && lane != LANE_S_OUT; i++) {
		struct pair_conn *c;
		struct view v;

		c = conn_of(w, pkts[i], &v);
		if (c)
			pair_watch_seen(c, pkts[i], &v, lane == LANE_P_COPY);
	}
	box_input(compare ? &w->compare : &w->rewrite,
		  lane == LANE_S_OUT && w->plan->s_at_out_port ? REPLICA_SECONDARY_OUT : port[lane],
		  pkts, n, w->opt.split, w->now);
}

static void arrive(struct pair_world *w, enum pair_lane lane, struct packet **pkts, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		observe(w, lane, false, pkts[i]);
	if (ends_at_role(lane))
		at_role(w, lane, pkts, n);
	else if (lane == LANE_UP)
		at_gateway(w, pkts[0]);
	else
		at_peer(w, lane, pkts[0]);
}

/* What is next: at a role all that arrives at one time, else one frame. */
static void deliver_next(struct pair_world *w, enum pair_lane lane)
{
	struct packet pkt[BOX_BURST], *ptr[BOX_BURST];
	struct frame *frames[BOX_BURST];
	unsigned n = 0, most = ends_at_role(lane) ? BOX_BURST : 1, full = 0;
	const struct arrival *a;

	while (n < most && (a = queue_next(&w->queue)) && a->at <= w->now && a->place == lane)
		frames[n++] = queue_take(&w->queue).frame;
	for (unsigned i = 0; i < n; i++) {
		if (frames[i]->len == 0)
			continue;
		pkt[full] = (struct packet){ .head = frames[i]->bytes, .head_len = frames[i]->len };
		ptr[full] = &pkt[full];
		full++;
	}
	if (full)
		arrive(w, lane, ptr, full);
	for (unsigned i = 0; i < n; i++)
		free(frames[i]);
}

static void check_faults(struct pair_world *w)
{
	for (unsigned i = 0; i < w->plan->conns; i++) {
		const struct pair_conn *c = &w->conn[i];
		const struct peer *peer[] = { &c->out, &c->p, &c->s };
		static const char *const who[] = { "outside", "primary", "secondary" };

		for (unsigned k = 0; k < 3; k++)
			if (peer[k]->fault[0] && !pair_gave_up(w) && !w->opt.fates)
				pair_broken(w, "connection %u, %s: %s", i, who[k], peer[k]->fault);
	}
}

static void deliver(struct pair_world *w)
{
	const struct arrival *a;

	while ((a = queue_next(&w->queue)) && a->at <= w->now && !w->res->broken[0] &&
	       pair_turns_at(w) > w->now) {
		deliver_next(w, (enum pair_lane)a->place);
		check_faults(w);
	}
}

static void expire(struct peer *p, sut_time now)
{
	if (peer_deadline(p) <= now)
		peer_expire(p, now);
}

static void conn_timers(struct pair_world *w, struct pair_conn *c)
{
	bool guests = c->plan->guest_opens;

	if (c->start <= w->now) {
		c->start = SUT_NEVER;
		c->begun = true;
		if (!guests)
			peer_open(&c->out, w->now);
		else if (!w->dead)
			peer_open(&c->p, w->now);
	}
	if (guests && c->s_start <= w->now) {
		c->s_start = SUT_NEVER;
		c->begun = true;
		peer_open(&c->s, w->now);
	}
	expire(&c->out, w->now);
	if (!w->dead)
		expire(&c->p, w->now);
	expire(&c->s, w->now);
}

static void timers(struct pair_world *w)
{
	for (unsigned i = 0; i < w->plan->conns; i++)
		conn_timers(w, &w->conn[i]);
	if (!box_expire(&w->rewrite, w->now) ||
	    (w->compare.ops && !box_expire(&w->compare, w->now)))
		pair_broken(w, "deadline() stays due");
}

static sut_time sooner(sut_time a, sut_time b)
{
	return a < b ? a : b;
}

static sut_time next_event(const struct pair_world *w)
{
	sut_time at = sooner(box_deadline(&w->rewrite), box_deadline(&w->compare));

	at = sooner(at, pair_turns_at(w));
	if (queue_next(&w->queue))
		at = sooner(at, queue_next(&w->queue)->at);
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
	next->start = w->now + next->plan->start;
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

static void step(struct pair_world *w, sut_time at)
{
	if (at > w->now)
		w->now = at;
	pair_turns(w);
	timers(w);
	check_faults(w);
	deliver(w);
	if (!box_intact(&w->mirror) || !box_intact(&w->rewrite) || !box_intact(&w->compare))
		pair_broken(w, "a role wrote behind its block");
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
	pair_broken(w,
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

	while (!w->res->broken[0] && (at = next_event(w)) != SUT_NEVER && at < limit)
		step(w, at);
}

/* All is said: what the roles still know has to go in time. */
static void judge_roles(struct pair_world *w)
{
	bool clean = !pair_gave_up(w) && !w->res->fates.checkpoints;
	unsigned left;

	for (unsigned i = 0; i < w->plan->conns; i++) {
		clean = clean && w->conn[i].out.state == PEER_DONE;
		peer_forget(&w->conn[i].out);
		peer_forget(&w->conn[i].p);
		peer_forget(&w->conn[i].s);
	}
	run_until(w, w->now + (clean ? LINGER : DRAIN_LIMIT));
	left = box_flows(&w->rewrite, w->now);
	if (left)
		pair_broken(w, "%u flows are left after everything has ended", left);
	run_until(w, w->now + DRAIN_LIMIT);
	left = box_flows(&w->rewrite, w->now) + box_flows(&w->compare, w->now);
	if (left)
		pair_broken(w, "%u flows are left for ever", left);
	if (held_free(((struct rewrite *)w->rewrite.role)->held) != w->plan->rewrite.hold_cells)
		pair_broken(w, "the rewriter still holds frames");
	if (w->compare.ops &&
	    held_free(((struct compare *)w->compare.role)->held) != w->compare_free)
		pair_broken(w, "compare still holds frames");
}

static void run(struct pair_world *w)
{
	sut_time at;

	while (!w->res->broken[0] && !all_over(w)) {
		at = next_event(w);
		if (at == SUT_NEVER || at > PAIR_FIRST + GIVE_UP)
			break;
		step(w, at);
	}
	w->res->ended = w->now - PAIR_FIRST;
	w->res->fates.given_up += pair_gave_up(w);
	for (unsigned i = 0; i < w->plan->conns; i++) {
		if ((!w->res->broken[0] || w->opt.fates) && !judge(w, &w->conn[i]))
			w->res->fates.lost++;
		w->res->fates.paws += w->conn[i].out.paws;
		w->res->fates.challenges += w->conn[i].out.challenges;
	}
	if (!w->res->broken[0])
		judge_roles(w);
}

static uint32_t rewriter_ports(const struct pair_plan *p)
{
	return 1u << REPLICA_PRIMARY | 1u << REPLICA_SECONDARY | 1u << REPLICA_CONTROL |
	       (uint32_t)p->copies << REPLICA_PRIMARY_OUT |
	       (uint32_t)p->compare_port << REPLICA_COMPARE |
	       (uint32_t)p->out_port << REPLICA_SECONDARY_OUT |
	       (uint32_t)p->network_port << REPLICA_NETWORK;
}

static void open_world(struct pair_world *w)
{
	const struct pair_plan *p = w->plan;

	w->now = PAIR_FIRST;
	w->checkpoint_at = w->failover_at = SUT_NEVER;
	for (unsigned i = 0; i < LANES; i++)
		link_init(&w->link[i], &p->lane[i]);
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
	box_open(&w->rewrite, &replica_rewrite_ops, &p->rewrite, rewriter_ports(p),
		 p->seed ^ 0xaaaa, &w->res->counters);
	if (p->mirrors)
		box_open(&w->mirror, &replica_mirror_ops, &p->mirror, 7, p->seed,
			 &w->res->counters);
	if (p->compare) {
		box_open(&w->compare, &replica_compare_ops, &p->comparing, COMPARE_PORTS,
			 p->seed ^ 0x5555, &w->res->counters);
		w->compare_free = held_free(((struct compare *)w->compare.role)->held);
	}
}

void pair_world_run(const struct pair_plan *p, const struct world_options *o,
		    struct world_result *ret_r)
{
	struct pair_world *w = calloc(1, sizeof *w);

	if (!w)
		abort();
	memset(ret_r, 0, sizeof *ret_r);
	w->plan = p;
	w->opt = *o;
	w->res = ret_r;
	open_world(w);
	run(w);
	for (unsigned i = 0; i < LANES; i++)
		ret_r->hash = hash_fold(ret_r->hash ^ w->hash[i], 0x9e3779b97f4a7c15u + i);
	queue_clear(&w->queue);
	box_close(&w->mirror);
	box_close(&w->rewrite);
	box_close(&w->compare);
	free(w);
}
