/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "core/env.h"
#include "core/gso.h"
#include "core/outbox.h"
#include "core/record.h"
#include "proto/checksum.h"
#include "proto/icmp.h"
#include "proto/ip.h"
#include "proto/print.h"
#include "queue.h"
#include "rng.h"
#include "watch.h"

/*
 * Theory of operation
 *
 *     client --link 0--> near [role] far --link 2--> server
 *            <--link 1--                 <--link 3--
 *
 * Virtual time jumps from event to event.  At one time: connections that start, then peers' timers
 * by connection, the role's timers, frames by place.  Arrivals at the box are rounded up to
 * BOX_TICK, so that bursts of several packets happen; `split` gives the role the same burst one
 * packet at a time, and must change nothing.
 *
 * The hash is kept per place, for a burst's answers may interleave differently with what passes
 * through to the other side; the order within each place may not.
 *
 * Everything is judged while it happens; at the end, whether each connection ended as it should,
 * and, once the timers have run out, whether the role still holds flows.
 */

#define BOX_TICK ((sut_time)50000)
#define GIVE_UP SUT_MS(3600000) /* connections that have not ended by then never will */
#define DRAIN_LIMIT SUT_MS(4 * 3600000)
#define ROUNDS 1000 /* calls of expire() at one time */
#define GUARD 256 /* bytes behind the role's block that it must not touch */
#define BURST 64

struct conn {
	struct peer client, server;
	struct watch watch;
	struct world *world;
	bool started, over;
	sut_time start;
};

struct world {
	const struct scenario *s;
	struct world_options opt;
	struct world_result *res;
	sut_time now;
	struct queue queue;
	struct link link[LINKS];
	struct rng cut, role_rng;
	struct conn conn[CONNS_MAX];
	uint64_t hash[PLACES];
	struct role_env env;
	uint8_t *block;
	size_t need;
	void *role;
	struct outbox out;
};

static void broken(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (w->res->broken[0])
		return;
	va_start(ap, fmt);
	vsnprintf(w->res->broken, sizeof w->res->broken, fmt, ap);
	va_end(ap);
	if (w->opt.trace)
		printf("%12.6f BROKEN %s\n", (double)(w->now - FIRST) / 1e9, w->res->broken);
}

/* One frame at one place: for the hash and the trace.  dir is '>' towards the server. */
static void observe(struct world *w, enum spot at, char dir, const struct packet *p)
{
	static const char *const name[] = { "client", "near", "far", "server" };
	uint64_t h = hash_fold(w->hash[at] ^ w->now,
			       0x9e3779b97f4a7c15u ^ (uint64_t)dir << 32 ^ packet_len(p));
	char line[PRINT_MAX];
	uint64_t word;
	uint32_t i = 0;

	for (; i + 8 <= p->head_len; i += 8) {
		memcpy(&word, p->head + i, 8);
		h = hash_fold(h ^ word, 0xd1b54a32d192ed03u);
	}
	for (; i < p->head_len; i++)
		h = (h ^ p->head[i]) * 0x100000001b3u;
	w->hash[at] = h;
	w->res->frames++;
	if (!w->opt.trace)
		return;
	print_packet(p, line, sizeof line);
	printf("%12.6f %-6s %c %s\n", (double)(w->now - FIRST) / 1e9, name[at], dir, line);
}

/* Offers a frame to link n, which ends at `to`. */
static void put_on_link(struct world *w, unsigned n, enum spot to, const uint8_t *bytes,
			uint32_t len)
{
	struct link_fate f = link_offer(&w->link[n], len, w->now);
	bool box = to == AT_NEAR || to == AT_FAR;

	if (rng_chance(&w->cut, w->s->cut_pct))
		len -= rng_range(&w->cut, 1, len - 15 < 60 ? len - 15 : 60);
	for (unsigned i = 0; i < f.copies; i++) {
		sut_time at = f.at[i];

		if (box)
			at = (at + BOX_TICK - 1) / BOX_TICK * BOX_TICK;
		queue_put(&w->queue, at, to, bytes, len);
	}
}

static void client_sends(void *ctx, const uint8_t *frame, uint32_t len)
{
	struct conn *c = ctx;
	struct packet p = { .head = (uint8_t *)frame, .head_len = len };

	observe(c->world, AT_CLIENT, '>', &p);
	put_on_link(c->world, 0, AT_NEAR, frame, len);
}

static void server_sends(void *ctx, const uint8_t *frame, uint32_t len)
{
	struct conn *c = ctx;
	struct packet p = { .head = (uint8_t *)frame, .head_len = len };

	observe(c->world, AT_SERVER, '<', &p);
	put_on_link(c->world, 3, AT_FAR, frame, len);
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
static void box_sent_frame(struct world *w, bool to_client, struct packet *p)
{
	enum spot at = to_client ? AT_NEAR : AT_FAR;
	char text[200];
	const char *what;
	struct conn *c;
	struct view v;

	observe(w, at, to_client ? '<' : '>', p);
	if (view_parse(p, &v) == R_NONE && v.tcp) {
		c = conn_of_view(w, p, &v, !to_client);
		what = c ? watch_out(&c->watch, to_client, p, &v, text, sizeof text)
			 : "a frame of no connection";
		if (what)
			broken(w, "%s output: %s %s", to_client ? "near" : "far", what,
			       c ? text : "");
	} else if (!w->s->cut_pct && !v.proto) {
		broken(w, "malformed output");
	}
	put_on_link(w, to_client ? 1 : 2, to_client ? AT_CLIENT : AT_SERVER, p->head, p->head_len);
}

/* Does what a device does with a packet: cuts super-packets, completes checksums. */
static void box_sent(struct world *w, unsigned port, const struct packet *p)
{
	static uint8_t bytes[PACKET_MAX];
	static uint8_t seg[PACKET_MAX];
	struct packet whole = { .head = bytes, .head_len = packet_len(p), .off = p->off };
	struct gso g = { .headers = packet_len(p), .count = 1 };
	struct view v;

	assert(packet_len(p) <= PACKET_MAX);
	memcpy(bytes, p->head, p->head_len);
	if (p->body_len)
		memcpy(bytes + p->head_len, p->body, p->body_len);
	if (whole.off.gso_type && view_parse(&whole, &v) == R_NONE)
		gso_plan(&whole, &v, &g);
	if (g.count == 1) {
		if (whole.off.csum == CSUM_PARTIAL && !csum_finish(&whole))
			broken(w, "partial checksum outside of the frame");
		box_sent_frame(w, port == ACCEL_CLIENT, &whole);
		return;
	}
	for (uint32_t i = 0; i < g.count; i++) {
		struct packet one = { .head = seg, .head_len = gso_segment_len(&g, i) };

		gso_cut(&whole, &v, &g, i, seg);
		box_sent_frame(w, port == ACCEL_CLIENT, &one);
	}
}

static void flush(struct world *w)
{
	for (unsigned i = 0; i < w->out.n; i++)
		box_sent(w, w->out.port[i], w->out.pkt[i]);
	outbox_clear(&w->out);
}

static void role_expire(struct world *w)
{
	const struct role_ops *ops = w->s->role->ops;

	for (unsigned i = 0; ops->deadline(w->role) <= w->now; i++) {
		if (i == ROUNDS) {
			broken(w, "deadline() stays due");
			return;
		}
		ops->expire(w->role, w->now, &w->out);
		flush(w);
	}
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

/* The box gets n frames at one port. */
static void box_input(struct world *w, unsigned port, struct frame **frames, unsigned n)
{
	struct packet pkt[BURST], *ptr[BURST];
	unsigned step = w->opt.split ? 1 : n;
	struct burst in = { .n = (uint16_t)step, .port = (uint16_t)port, .now = w->now };

	for (unsigned i = 0; i < n; i++) {
		pkt[i] = (struct packet){ .head = frames[i]->bytes, .head_len = frames[i]->len };
		ptr[i] = &pkt[i];
		observe(w, port == ACCEL_CLIENT ? AT_NEAR : AT_FAR,
			port == ACCEL_CLIENT ? '>' : '<', &pkt[i]);
		watch_arrival(w, port == ACCEL_CLIENT, &pkt[i]);
	}
	for (unsigned at = 0; at < n; at += step) {
		in.pkts = ptr + at;
		w->s->role->ops->input(w->role, &in, &w->out);
		flush(w);
	}
}

/* All that arrived at the box at this place and time, in one burst. */
static void deliver_box(struct world *w, enum spot place)
{
	struct frame *frames[BURST];
	const struct arrival *a;
	unsigned n = 0;

	while (n < BURST && (a = queue_next(&w->queue)) && a->at <= w->now && a->place == place)
		frames[n++] = queue_take(&w->queue).frame;
	box_input(w, place == AT_NEAR ? ACCEL_CLIENT : ACCEL_SERVER, frames, n);
	for (unsigned i = 0; i < n; i++)
		free(frames[i]);
}

static void check_peer(struct world *w, const struct conn *c, const struct peer *p)
{
	if (p->fault[0])
		broken(w, "connection %u: %s", (unsigned)(c - w->conn), p->fault);
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
	if (w->res->counters.event[EV_FLOWS_EVICTED] || v->flags & (TCP_SYN | TCP_RST) ||
	    reader->state != PEER_OPEN || writer->state < PEER_SYN_RECEIVED ||
	    writer->state > PEER_DONE)
		return;
	if (read != as_shown(shown, reader->peer_wscale) &&
	    read != as_shown(in_syn, reader->peer_wscale))
		broken(w, "a window of %u was shown, of %u read", (unsigned)shown, (unsigned)read);
}

static void deliver_peer(struct world *w, bool client)
{
	struct frame *f = queue_take(&w->queue).frame;
	struct packet p = { .head = f->bytes, .head_len = f->len };
	struct conn *c;
	struct view v;

	observe(w, client ? AT_CLIENT : AT_SERVER, client ? '<' : '>', &p);
	if (view_parse(&p, &v) == R_NONE) {
		c = v.tcp ? conn_of_view(w, &p, &v, !client) : NULL;
		if (c) {
			check_window(w, client ? &c->client : &c->server,
				     client ? &c->server : &c->client, &v);
			peer_input(client ? &c->client : &c->server, &p, &v, w->now);
			check_peer(w, c, client ? &c->client : &c->server);
		} else if (client && (v.proto == IP_ICMP || v.proto == IP_ICMP6)) {
			deliver_icmp(w, &p, &v);
		}
	}
	free(f);
}

static void deliver(struct world *w)
{
	const struct arrival *a;

	while ((a = queue_next(&w->queue)) && a->at <= w->now && !w->res->broken[0]) {
		if (a->place == AT_NEAR || a->place == AT_FAR)
			deliver_box(w, a->place);
		else
			deliver_peer(w, a->place == AT_CLIENT);
	}
}

static void conn_start(struct world *w, struct conn *c)
{
	c->started = true;
	c->start = SUT_NEVER;
	peer_open(&c->client, w->now);
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
	w->conn[i + 1].start = w->now + w->s->conn[i + 1].start;
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

		if (c->start <= w->now)
			conn_start(w, c);
		if (peer_deadline(&c->client) <= w->now)
			peer_expire(&c->client, w->now);
		if (peer_deadline(&c->server) <= w->now)
			peer_expire(&c->server, w->now);
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

static sut_time sooner(sut_time a, sut_time b)
{
	return a < b ? a : b;
}

static sut_time next_event(const struct world *w)
{
	sut_time at = w->s->role->ops->deadline(w->role);

	if (queue_next(&w->queue))
		at = sooner(at, queue_next(&w->queue)->at);
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
	if (at > w->now)
		w->now = at;
	peers_expire(w);
	role_expire(w);
	deliver(w);
	look_for_ends(w);
	for (unsigned i = 0; i < GUARD; i++)
		if (w->block[w->need + i] != 0xa5)
			broken(w, "the role wrote behind its block");
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
		broken(w, "connection %u: client %s with %u of %u, server %s with %u of %u",
		       (unsigned)(c - w->conn), peer_state_name(cl), c->client.got,
		       c->client.cfg.in_len + 1, peer_state_name(sv), c->server.got,
		       c->server.cfg.in_len + 1);
}

/* Flows that the role still knows. */
static unsigned flows_left(struct world *w)
{
	uint32_t cursor = 0;
	unsigned n = 0;
	struct record_reader rd;
	struct record r;

	while (w->s->role->ops->save(w->role, &cursor, w->now, &r)) {
		if (record_open(&r, &rd))
			broken(w, "save() gave a damaged record");
		n += rd.kind == REC_ACCEL_FLOW || rd.kind == REC_REPLICA_FLOW;
	}
	return n;
}

static void run(struct world *w)
{
	sut_time at;

	while (!w->res->broken[0] && !all_over(w)) {
		at = next_event(w);
		if (at == SUT_NEVER || at > FIRST + GIVE_UP)
			break;
		step(w, at);
	}
	w->res->ended = w->now - FIRST;
	for (unsigned i = 0; i < w->s->conns && !w->res->broken[0]; i++)
		judge_conn(w, &w->conn[i]);
	while (!w->res->broken[0] && (at = next_event(w)) != SUT_NEVER && at < FIRST + DRAIN_LIMIT)
		step(w, at);
	if (!w->res->broken[0] && flows_left(w))
		broken(w, "%u flows are left after everything has ended", flows_left(w));
	if (!w->res->broken[0] && w->s->role->held && w->s->role->held(w->role))
		broken(w, "%u cells are held after everything has ended",
		       w->s->role->held(w->role));
	if (!w->res->broken[0] && w->s->role->pending && w->s->role->pending(w->role))
		broken(w, "budgets count %u after everything has ended",
		       w->s->role->pending(w->role));
}

static uint64_t role_random(void *ctx)
{
	return rng_next(ctx);
}

static void open_role(struct world *w)
{
	const struct role_ops *ops = w->s->role->ops;
	size_t size;

	w->need = ops->need(&w->s->config);
	assert(w->need);
	size = (w->need + GUARD + 63) / 64 * 64;
	w->block = aligned_alloc(64, size);
	if (!w->block)
		abort();
	memset(w->block, 0, w->need);
	memset(w->block + w->need, 0xa5, size - w->need);
	w->env = (struct role_env){
		.random = role_random,
		.random_ctx = &w->role_rng,
		.counters = &w->res->counters,
	};
	for (unsigned i = 0; i < sizeof w->env.secret; i++)
		w->env.secret[i] = (uint8_t)rng_next(&w->role_rng);
	w->role = ops->init(w->block, &w->s->config, &w->env);
}

static void open_world(struct world *w)
{
	w->now = FIRST;
	w->cut.s = w->s->seed ^ 0x5555;
	w->role_rng.s = w->s->seed ^ 0xaaaa;
	for (unsigned i = 0; i < LINKS; i++)
		link_init(&w->link[i], &w->s->link[i]);
	for (unsigned i = 0; i < w->s->conns; i++) {
		const struct conn_plan *plan = &w->s->conn[i];
		struct conn *c = &w->conn[i];

		c->world = w;
		c->start = plan->reuses < 0 ? plan->start : SUT_NEVER;
		peer_init(&c->client, &plan->client, client_sends, c);
		peer_init(&c->server, &plan->server, server_sends, c);
		watch_init(&c->watch, plan->client.isn, plan->server.isn);
	}
	open_role(w);
}

void world_run(const struct scenario *s, const struct world_options *o, struct world_result *ret_r)
{
	struct world *w = calloc(1, sizeof *w);

	if (!w)
		abort();
	memset(ret_r, 0, sizeof *ret_r);
	w->s = s;
	w->opt = *o;
	w->res = ret_r;
	open_world(w);
	run(w);
	for (unsigned i = 0; i < PLACES; i++)
		ret_r->hash = hash_fold(ret_r->hash ^ w->hash[i], 0x9e3779b97f4a7c15u + i);
	queue_clear(&w->queue);
	free(w->block);
	free(w);
}
