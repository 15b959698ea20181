/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <stdlib.h>

#include "box.h"
#include "line.h"
#include "proto/icmp.h"
#include "proto/ip.h"
#include "watch.h"

/*
 * Theory of operation
 *
 * Clients and servers stand at the ends of a line (line.h), the role in its middle.
 *
 * Virtual time jumps from event to event.  At one time: connections that start, then peers' timers
 * by connection, the role's timers, frames by place.  Arrivals at the box are rounded up to
 * NET_TICK, so that bursts of several packets happen; `split` gives the role the same burst one
 * packet at a time, and must change nothing.
 *
 * Everything is judged while it happens; at the end, whether each connection ended as it should,
 * and, once the timers have run out, whether the role still holds flows.
 */

#define GIVE_UP SUT_MS(3600000) /* connections that have not ended by then never will */
#define DRAIN_LIMIT SUT_MS(4 * 3600000)

struct conn {
	struct peer client, server;
	struct watch watch;
	struct world *world;
	bool started, over;
	sut_time start;
};

struct world {
	const struct scenario *s;
	struct run run;
	struct net net;
	struct conn conn[CONNS_MAX];
	struct box box;
};

static void client_sends(void *ctx, const uint8_t *frame, uint32_t len)
{
	struct conn *c = ctx;
	struct packet p = { .head = (uint8_t *)frame, .head_len = len };

	net_send(&c->world->net, (struct net_end){ LINE_CLIENT, 0 }, &p);
}

static void server_sends(void *ctx, const uint8_t *frame, uint32_t len)
{
	struct conn *c = ctx;
	struct packet p = { .head = (uint8_t *)frame, .head_len = len };

	net_send(&c->world->net, (struct net_end){ LINE_SERVER, 0 }, &p);
}

/* The running connection of a client's port, the latest one: NULL if there is none. */
static struct conn *conn_of(struct world *w, uint16_t client_port)
{
	for (unsigned i = w->s->conns; i-- > 0;)
		if (w->conn[i].started && w->s->conn[i].client.ends.sport == client_port)
			return &w->conn[i];
	return NULL;
}

static struct conn *conn_of_view(struct world *w, const struct packet *p, const struct view *v,
				 bool from_client)
{
	const struct tcp_hdr *t = view_tcp((struct packet *)p, v);

	return conn_of(w, be16_get(from_client ? t->sport : t->dport));
}

/* One wire frame that left the box. */
static void box_sent(void *ctx, unsigned port, struct packet *p)
{
	struct world *w = ctx;
	bool to_client = port == ACCEL_CLIENT;
	char text[200];
	const char *what;
	struct conn *c;
	struct view v;

	if (view_parse(p, &v) == R_NONE && v.tcp) {
		c = conn_of_view(w, p, &v, !to_client);
		what = c ? watch_out(&c->watch, to_client, p, &v, text, sizeof text)
			 : "a frame of no connection";
		if (what)
			run_broken(&w->run, "%s output: %s %s", to_client ? "near" : "far", what,
				   c ? text : "");
	} else if (!w->s->cut_pct && !v.proto) {
		run_broken(&w->run, "malformed output");
	}
	net_send(&w->net, (struct net_end){ LINE_BOX, (uint8_t)port }, p);
}

static void watch_arrival(struct world *w, bool from_client, const struct packet *p)
{
	struct conn *c;
	struct view v;

	if (view_parse(p, &v) != R_NONE || !v.tcp)
		return;
	c = conn_of_view(w, p, &v, from_client);
	if (c)
		watch_in(&c->watch, from_client, &v);
}

/* All that has arrived at one port of the box. */
static void at_box(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	struct world *w = ctx;

	for (unsigned i = 0; i < n; i++)
		watch_arrival(w, at.port == ACCEL_CLIENT, pkts[i]);
	box_input(&w->box, at.port, pkts, n, w->run.opt.split, w->run.now);
}

static void check_peer(struct world *w, const struct conn *c, const struct peer *p)
{
	if (p->fault[0])
		run_broken(&w->run, "connection %u: %s", (unsigned)(c - w->conn), p->fault);
}

static void deliver_icmp(struct world *w, const struct packet *p, const struct view *v)
{
	struct icmp_error e;
	struct conn *c;

	if (icmp_error_read(p, v, &e) != R_NONE || e.kind != ICMP_TOO_BIG)
		return;
	c = conn_of(w, e.sport);
	if (c)
		peer_too_big(&c->client, e.seq, e.mtu);
}

/* bytes as a window field of this scale shows them: rounded down, but never to nothing. */
static uint64_t as_shown(uint64_t bytes, unsigned scale)
{
	uint64_t field = bytes >> scale;

	if (field > 65535)
		field = 65535;
	return (bytes && !field ? 1 : field) << scale;
}

/*
 * The window that reaches one end is what the other end shows, or showed in its SYN, through the
 * reader's scale.
 */
static void check_window(struct world *w, const struct peer *reader, const struct peer *writer,
			 const struct view *v)
{
	uint64_t shown = as_shown(writer->cfg.buffer, writer->scale_on ? writer->cfg.wscale : 0);
	uint64_t in_syn = as_shown(writer->cfg.buffer, 0);
	uint64_t read = (uint64_t)v->window << reader->peer_wscale;

	/* What was forgotten to make room passes as it is. */
	if (w->run.res->counters.event[EV_FLOWS_EVICTED] || v->flags & (TCP_SYN | TCP_RST) ||
	    reader->state != PEER_OPEN || writer->state < PEER_SYN_RECEIVED ||
	    writer->state > PEER_DONE)
		return;
	if (read != as_shown(shown, reader->peer_wscale) &&
	    read != as_shown(in_syn, reader->peer_wscale))
		run_broken(&w->run, "a window of %u was shown, of %u read", (unsigned)shown,
			   (unsigned)read);
}

static void at_peer(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	struct world *w = ctx;
	bool client = at.node == LINE_CLIENT;
	struct conn *c;
	struct view v;

	(void)n; /* one at a time */
	if (view_parse(pkts[0], &v) != R_NONE)
		return;
	c = v.tcp ? conn_of_view(w, pkts[0], &v, !client) : NULL;
	if (c) {
		check_window(w, client ? &c->client : &c->server, client ? &c->server : &c->client,
			     &v);
		peer_input(client ? &c->client : &c->server, pkts[0], &v, w->run.now);
		check_peer(w, c, client ? &c->client : &c->server);
	} else if (client && (v.proto == IP_ICMP || v.proto == IP_ICMP6)) {
		deliver_icmp(w, pkts[0], &v);
	}
}

static void conn_start(struct world *w, struct conn *c)
{
	c->started = true;
	c->start = SUT_NEVER;
	peer_open(&c->client, w->run.now);
}

/*
 * A connection whose ports are used again starts a while after the end of the one before.  A
 * server has one state for a pair of ends: what is left of the old one (a half-open connection
 * whose client gave up) is forgotten.
 */
static void conn_over(struct world *w, struct conn *c)
{
	int i = (int)(c - w->conn);

	c->over = true;
	if (i + 1 == (int)w->s->conns || w->s->conn[i + 1].reuses != i)
		return;
	w->conn[i + 1].start = w->run.now + w->s->conn[i + 1].start;
	peer_forget(&c->server);
}

static bool conn_ended(const struct conn *c)
{
	if (!c->started)
		return false;
	if (!peer_ended(&c->client))
		return false;
	return peer_ended(&c->server) || c->client.state != PEER_DONE;
}

static void peers_expire(struct world *w)
{
	for (unsigned i = 0; i < w->s->conns; i++) {
		struct conn *c = &w->conn[i];

		if (c->start <= w->run.now)
			conn_start(w, c);
		if (peer_deadline(&c->client) <= w->run.now)
			peer_expire(&c->client, w->run.now);
		if (peer_deadline(&c->server) <= w->run.now)
			peer_expire(&c->server, w->run.now);
		check_peer(w, c, &c->client);
		check_peer(w, c, &c->server);
	}
}

static void look_for_ends(struct world *w)
{
	for (unsigned i = 0; i < w->s->conns; i++)
		if (!w->conn[i].over && conn_ended(&w->conn[i]))
			conn_over(w, &w->conn[i]);
}

static sut_time next_event(const struct world *w)
{
	sut_time at = sooner(box_deadline(&w->box), net_deadline(&w->net));

	for (unsigned i = 0; i < w->s->conns; i++) {
		at = sooner(at, w->conn[i].start);
		at = sooner(at, peer_deadline(&w->conn[i].client));
		at = sooner(at, peer_deadline(&w->conn[i].server));
	}
	return at;
}

static bool all_over(const struct world *w)
{
	for (unsigned i = 0; i < w->s->conns; i++)
		if (!w->conn[i].over)
			return false;
	return true;
}

static void step(struct world *w, sut_time at)
{
	if (at > w->run.now)
		w->run.now = at;
	peers_expire(w);
	box_expire(&w->box, w->run.now);
	while (!run_is_broken(&w->run) && net_deliver(&w->net))
		;
	look_for_ends(w);
	if (box_fault(&w->box))
		run_broken(&w->run, "the role: %s", box_fault(&w->box));
}

/*
 * A connection that nothing hinders ends well at both ends; the others as their server makes them.
 */
static void judge_conn(struct world *w, const struct conn *c)
{
	enum peer_state cl = c->client.state, sv = c->server.state;
	bool ok;

	if (c->client.cfg.abort_at != SUT_NEVER)
		return;
	switch (c->server.cfg.kind) {
	case PEER_CLOSED: /* one lost RST leaves a client that has nothing to say waiting */
		ok = cl == PEER_REFUSED || cl == PEER_RESET ||
		     (w->s->lossy && cl == PEER_OPEN && c->client.max == 0);
		break;
	case PEER_SILENT:
		ok = cl == PEER_TIMED_OUT || cl == PEER_RESET;
		break;
	case PEER_CLIENT:
	case PEER_SERVER:
	default:
		/* A server that has lost its timestamps is reset before a byte of its answer has passed. */
		ok = (cl == PEER_DONE && sv == PEER_DONE) ||
		     (w->s->changes && (cl == PEER_RESET || cl == PEER_REFUSED) &&
		      c->client.got == 0);
	}
	if (!ok && !(w->s->lossy && cl == PEER_TIMED_OUT))
		run_broken(&w->run,
			   "connection %u: client %s with %u of %u, server %s with %u of %u",
			   (unsigned)(c - w->conn), peer_state_name(cl), c->client.got,
			   c->client.cfg.in_len + 1, peer_state_name(sv), c->server.got,
			   c->server.cfg.in_len + 1);
}

static void run(struct world *w)
{
	sut_time at;

	while (!run_is_broken(&w->run) && !all_over(w)) {
		at = next_event(w);
		if (at == SUT_NEVER || at > RUN_FIRST + GIVE_UP)
			break;
		step(w, at);
	}
	w->run.res->ended = w->run.now - RUN_FIRST;
	for (unsigned i = 0; i < w->s->conns && !run_is_broken(&w->run); i++)
		judge_conn(w, &w->conn[i]);
	while (!run_is_broken(&w->run) && (at = next_event(w)) != SUT_NEVER &&
	       at < RUN_FIRST + DRAIN_LIMIT)
		step(w, at);
	if (!run_is_broken(&w->run) && box_flows(&w->box, w->run.now))
		run_broken(&w->run, "%u flows are left after everything has ended",
			   box_flows(&w->box, w->run.now));
	if (!run_is_broken(&w->run) && w->s->role->held && w->s->role->held(w->box.role))
		run_broken(&w->run, "%u cells are held after everything has ended",
			   w->s->role->held(w->box.role));
	if (!run_is_broken(&w->run) && w->s->role->pending && w->s->role->pending(w->box.role))
		run_broken(&w->run, "budgets count %u after everything has ended",
			   w->s->role->pending(w->box.role));
}

static void open_net(struct world *w)
{
	struct net_node client = { "client", NULL, at_peer, w },
			server = { "server", NULL, at_peer, w },
			box = { "box", line_ports, at_box, w };
	struct net_link_config cfg[LINKS];

	net_open(&w->net, &w->run, w->s->seed ^ 0x5555);
	net_node(&w->net, LINE_CLIENT, &client);
	net_node(&w->net, LINE_BOX, &box);
	net_node(&w->net, LINE_SERVER, &server);
	for (unsigned i = 0; i < LINKS; i++)
		cfg[i] = (struct net_link_config){ .link = w->s->link[i],
						   .tick = i % 3 ? 0 : NET_TICK,
						   .burst = i % 3 ? 1 : BOX_BURST,
						   .cut_pct = w->s->cut_pct };
	line_join(&w->net, true, cfg);
}

static void open_world(struct world *w)
{
	open_net(w);
	for (unsigned i = 0; i < w->s->conns; i++) {
		const struct conn_plan *plan = &w->s->conn[i];
		struct conn *c = &w->conn[i];

		c->world = w;
		c->start = plan->reuses < 0 ? plan->start : SUT_NEVER;
		peer_init(&c->client, &plan->client, client_sends, c);
		peer_init(&c->server, &plan->server, server_sends, c);
		watch_init(&c->watch, plan->client.isn, plan->server.isn);
	}
	w->box.sent = box_sent;
	w->box.ctx = w;
	box_open(&w->box, w->s->role->ops, &w->s->config, 1u << ACCEL_CLIENT | 1u << ACCEL_SERVER,
		 w->s->seed ^ 0xaaaa, &w->run.res->counters);
}

void world_run(const struct scenario *s, const struct world_options *o, struct world_result *ret_r)
{
	struct world *w = calloc(1, sizeof *w);

	if (!w)
		abort();
	run_begin(&w->run, o, ret_r);
	w->s = s;
	open_world(w);
	run(w);
	ret_r->hash = net_hash(&w->net);
	net_close(&w->net);
	box_close(&w->box);
	free(w);
}
