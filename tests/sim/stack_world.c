/* SPDX-License-Identifier: MIT */
#include "stack_world.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "box.h"
#include "core/gso.h"
#include "peer.h"
#include "proto/checksum.h"
#include "proto/ip.h"
#include "proto/print.h"
#include "queue.h"

/*
 * Theory of operation
 *
 *     client host --link 0--> near [role] far --link 2--> server host
 *                 <--link 1--                 <--link 3--
 *
 * Virtual time jumps from event to event.  At one time: links change, connections that start, applications' own timers,
 * hosts' timers, the role's, frames by place.  All frames of one place and time are given to a host before it flushes.
 *
 * An application does something when it was told of a readiness, or when its own pause is over, and never looks by itself: an
 * event that is missing stalls it, and is found.
 *
 * After every event: stack_check() of both hosts, what was read is what was written, an ACK covers nothing that was not sent.
 * At the end: each connection as its plan lets it end; after the last timer nothing is left in the hosts.
 */

#define HOST_TICK ((sut_time)50000)
#define GIVE_UP SUT_MS(3600000)
#define DRAIN_LIMIT (GIVE_UP + SUT_MS(4 * 3600000))
#define PORT 80

enum { CLIENT, SERVER };

struct app {
	struct world *w;
	unsigned conn, side;
	conn_id id;
	bool open, over, shut, eof, aborted, readable;
	bool can_write;
	uint32_t wrote, read;
	uint8_t *stream; /* all that it writes */
	sut_time write_at, read_at; /* not before; SUT_NEVER: nothing is waited for */
	int error;
};

struct world {
	const struct stack_plan *p;
	struct world_options opt;
	struct world_result *res;
	struct stack_fates *fates;
	sut_time now;
	struct queue queue;
	struct link link[LINKS];
	struct rng rng, host_rng[2];
	uint64_t hash[PLACES];
	struct stack *host[2];
	struct host_ctx {
		struct world *w;
		unsigned side;
	} ctx[2];
	conn_id listener;
	struct app app[STACK_CONNS][2];
	bool started[STACK_CONNS];
	struct box box;
	uint64_t refs, released; /* pieces that were lent to the hosts, and given back */
	bool hurt; /* a frame was damaged: what a checksum lets through cannot be judged */
};

static void broken(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

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

static double seconds(const struct world *w)
{
	return (double)(w->now - FIRST) / 1e9;
}

/* --- frames */

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
	printf("%12.6f %-6s %c %s\n", seconds(w), name[at], dir, line);
}

static const struct spell *spell_of(const struct world *w, unsigned link)
{
	for (unsigned i = 0; i < w->p->spells; i++) {
		const struct spell *s = &w->p->spell[i];

		if (s->link == link && s->from <= w->now && w->now < s->until)
			return s;
	}
	return NULL;
}

/* Turns one bit behind the Ethernet header. */
static void damage(struct world *w, uint8_t *bytes, uint32_t len)
{
	uint32_t bit = rng_below(&w->rng, (len - 14) * 8);

	bytes[14 + bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static void put_on_link(struct world *w, unsigned n, enum spot to, uint8_t *bytes, uint32_t len)
{
	const struct spell *s = spell_of(w, n);
	struct link_fate f;

	if (s && s->blackout)
		return;
	f = link_offer(&w->link[n], len, w->now);
	if (rng_below(&w->rng, 1000000) < w->p->corrupt_ppm)
		damage(w, bytes, len);
	for (unsigned i = 0; i < f.copies; i++)
		queue_put(&w->queue,
			  (f.at[i] + (s ? s->delay : 0) + HOST_TICK - 1) / HOST_TICK * HOST_TICK,
			  to, bytes, len);
}

/* One wire frame leaves a host or the box. */
static void frame_out(struct world *w, enum spot at, uint8_t *bytes, uint32_t len)
{
	static const char dir[PLACES] = { '>', '<', '>', '<' };
	static const uint8_t link[PLACES] = { 0, 1, 2, 3 };
	static const uint8_t through[PLACES] = { AT_NEAR, AT_CLIENT, AT_SERVER, AT_FAR };
	struct packet p = { .head = bytes, .head_len = len };
	unsigned to = through[at];

	observe(w, at, dir[at], &p);
	if (!w->box.ops)
		to = at == AT_CLIENT ? AT_SERVER : AT_CLIENT;
	put_on_link(w, link[at], to, bytes, len);
}

/* Does what a device does with a packet: cuts super-packets, completes checksums.  bytes begin with the Ethernet header. */
static void device_out(struct world *w, enum spot at, struct packet *whole)
{
	static uint8_t seg[PACKET_MAX];
	struct gso g = { .count = 1 };
	struct view v;

	if (view_parse(whole, &v) != R_NONE ||
	    (!v.tcp && v.proto != IP_ICMP && v.proto != IP_ICMP6)) {
		broken(w, "malformed output");
		return;
	}
	if (whole->off.gso_type)
		gso_plan(whole, &v, &g);
	if (g.count == 1) {
		if (whole->off.csum == CSUM_PARTIAL && !csum_finish(whole))
			broken(w, "partial checksum outside of the frame");
		if (v.tcp && (!csum_tcp_ok(whole, &v) || !csum_ip_ok(whole, &v)))
			broken(w, "wrong checksum sent");
		frame_out(w, at, whole->head, whole->head_len);
		return;
	}
	for (uint32_t i = 0; i < g.count; i++) {
		gso_cut(whole, &v, &g, i, seg);
		frame_out(w, at, seg, gso_segment_len(&g, i));
	}
}

static int host_emit(void *ctx, const struct stack_out *o)
{
	static uint8_t bytes[PACKET_MAX];
	struct host_ctx *h = ctx;
	struct world *w = h->w;
	struct packet p = { .head = bytes, .head_len = 14 + o->head_len, .off = o->off };
	unsigned limit = w->p->host[h->side].mtu;

	memset(bytes, 0, 12);
	bytes[5] = (uint8_t)(2 - h->side);
	bytes[11] = (uint8_t)(h->side + 1);
	store_be16(bytes + 12, o->head[0] >> 4 == 6 ? ETH_IP6 : ETH_IP4);
	memcpy(bytes + 14, o->head, o->head_len);
	for (unsigned i = 0; i < o->n; i++) {
		memcpy(bytes + p.head_len, o->slice[i].bytes, o->slice[i].len);
		p.head_len += o->slice[i].len;
	}
	if (p.head_len != 14 + o->head_len + o->payload_len)
		broken(w, "slices of %u bytes in a packet of %u", p.head_len - 14 - o->head_len,
		       o->payload_len);
	if (p.off.csum == CSUM_PARTIAL)
		p.off.csum_start = (uint16_t)(p.off.csum_start + 14);
	if (p.off.hdr_len)
		p.off.hdr_len = (uint16_t)(p.off.hdr_len + 14);
	if (!o->off.gso_type && p.head_len - 14 > limit)
		broken(w, "a packet of %u bytes where the MTU is %u", p.head_len - 14, limit);
	device_out(w, h->side == CLIENT ? AT_CLIENT : AT_SERVER, &p);
	return 0;
}

static void box_emit(void *ctx, unsigned port, struct packet *p)
{
	struct world *w = ctx;
	uint8_t bytes[PACKET_MAX];

	memcpy(bytes, p->head, p->head_len);
	frame_out(w, port == ACCEL_CLIENT ? AT_NEAR : AT_FAR, bytes, p->head_len);
}

/* --- applications */

static const struct app_plan *plan_of(const struct app *a)
{
	return &a->w->p->conn[a->conn].app[a->side];
}

static struct app *other(const struct app *a)
{
	return &a->w->app[a->conn][!a->side];
}

static void app_log(const struct app *a, const char *what, long n)
{
	if (a->w->opt.trace)
		printf("%12.6f %s %u: %s %ld (wrote %u, read %u)\n", seconds(a->w),
		       a->side ? "server" : "client", a->conn, what, n, a->wrote, a->read);
}

static void app_end(struct app *a, int error)
{
	a->over = true;
	a->error = error;
	a->write_at = a->read_at = SUT_NEVER;
	app_log(a, "over", error);
}

static void app_failed(struct app *a, int error)
{
	stack_close(a->w->host[a->side], a->id, a->w->now);
	app_end(a, error);
}

static bool app_aborts(struct app *a)
{
	if (a->wrote + a->read < plan_of(a)->abort_after)
		return false;
	app_log(a, "abort", stack_abort(a->w->host[a->side], a->id, a->w->now));
	a->aborted = true;
	app_end(a, ECONNABORTED);
	return true;
}

/* Bytes of the stream into the room that there is. */
static int app_fill(void *ctx, const struct stack_room *room, unsigned n)
{
	struct app *a = ctx;
	uint32_t at = a->wrote;

	for (unsigned i = 0; i < n; i++) {
		memcpy(room[i].bytes, a->stream + at, room[i].len);
		at += room[i].len;
	}
	return (int)(at - a->wrote);
}

/* The next n bytes, in the way that this one has. */
static int app_give(struct app *a, uint32_t n)
{
	struct stack *s = a->w->host[a->side];
	int r;

	switch (plan_of(a)->way) {
	case WRITE_REF:
		r = stack_write_ref(s, a->id, a->stream + a->wrote, n, a->conn, a->w->now);
		a->w->refs += r > 0;
		return r;
	case WRITE_FILL:
		return stack_write_fill(s, a->id, n, app_fill, a, a->w->now);
	default:
		return stack_write(s, a->id, a->stream + a->wrote, n, a->w->now);
	}
}

static void app_write(struct app *a)
{
	const struct app_plan *p = plan_of(a);
	while (!a->over && a->can_write && a->write_at == SUT_NEVER && a->wrote < p->out_len &&
	       a->read >= p->wait_for && !app_aborts(a)) {
		uint32_t n = p->out_len - a->wrote < p->write_chunk ? p->out_len - a->wrote
								    : p->write_chunk;
		int r;

		r = app_give(a, n);
		app_log(a, "write", r);
		if (r == -EAGAIN) {
			a->can_write = false;
		} else if (r < 0) {
			app_failed(a, -r);
		} else {
			a->wrote += (uint32_t)r;
			if (p->write_gap)
				a->write_at = a->w->now + p->write_gap;
		}
	}
	if (!a->over && !a->shut && a->wrote == p->out_len && (p->early_close || a->eof) &&
	    a->open) {
		int r = stack_shutdown(a->w->host[a->side], a->id, a->w->now);

		app_log(a, "shutdown", r);
		a->shut = true;
		if (r < 0)
			app_failed(a, -r);
	}
}

static void app_verify(struct app *a, const uint8_t *bytes, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (bytes[i] !=
		    peer_byte(a->w->p->conn[a->conn].content, a->side != CLIENT, a->read + i)) {
			broken(a->w, "connection %u: %s read a wrong byte at %u", a->conn,
			       a->side ? "server" : "client", a->read + i);
			return;
		}
	a->read += n;
	if (a->read > other(a)->wrote)
		broken(a->w, "connection %u: %u read of %u written", a->conn, a->read,
		       other(a)->wrote);
}

static void app_read(struct app *a)
{
	const struct app_plan *p = plan_of(a);
	static uint8_t bytes[65536];

	while (!a->over && a->readable && a->read_at == SUT_NEVER && !a->eof && !app_aborts(a)) {
		int r = stack_read(a->w->host[a->side], a->id, bytes, p->read_chunk, a->w->now);

		app_log(a, "read", r);
		if (r == -EAGAIN) {
			a->readable = false;
		} else if (r < 0) {
			app_failed(a, -r);
		} else if (r == 0) {
			a->eof = true;
			if (!other(a)->shut || a->read != other(a)->wrote)
				broken(a->w, "connection %u: an end after %u of %u bytes", a->conn,
				       a->read, other(a)->wrote);
		} else {
			app_verify(a, bytes, (uint32_t)r);
			if (p->read_gap)
				a->read_at = a->w->now + p->read_gap;
		}
	}
}

static void app_run(struct app *a)
{
	if (a->over || !a->id)
		return;
	app_read(a);
	app_write(a);
	if (!a->over && a->eof && a->shut) {
		app_log(a, "close", stack_close(a->w->host[a->side], a->id, a->w->now));
		app_end(a, 0);
	}
}

static void app_options(struct app *a)
{
	const struct app_plan *p = plan_of(a);
	struct stack *s = a->w->host[a->side];

	if (p->nodelay)
		stack_set(s, a->id, CONNOPT_NODELAY, 1, a->w->now);
	if (p->cork)
		stack_set(s, a->id, CONNOPT_CORK, 1, a->w->now);
	if (p->quickack)
		stack_set(s, a->id, CONNOPT_QUICKACK, 1, a->w->now);
	if (p->keepalive) {
		stack_set(s, a->id, CONNOPT_KEEP_IDLE_MS, 1000, a->w->now);
		stack_set(s, a->id, CONNOPT_KEEP_INTERVAL_MS, 2000, a->w->now);
		stack_set(s, a->id, CONNOPT_KEEP_COUNT, 20, a->w->now);
		stack_set(s, a->id, CONNOPT_KEEPALIVE, 1, a->w->now);
	}
}

static struct stack_addr address(const struct world *w, unsigned side, unsigned ip, uint16_t port)
{
	struct stack_addr a = { .port = port };

	memcpy(a.ip, w->p->host[side].net[ip == 6].ip, 16);
	return a;
}

static void conn_start(struct world *w, unsigned i)
{
	struct app *a = &w->app[i][CLIENT];
	struct stack_addr from = address(w, CLIENT, w->p->conn[i].ip, (uint16_t)(40000 + i));
	struct stack_addr to = address(w, SERVER, w->p->conn[i].ip, PORT);
	int r;

	w->started[i] = true;
	w->fates->conns++;
	r = stack_connect(w->host[CLIENT], &from, &to, i, w->now, &a->id);
	app_log(a, "connect", r);
	if (r < 0) {
		app_end(a, -r);
		app_end(&w->app[i][SERVER], -r);
		return;
	}
	app_options(a);
	a->can_write = a->open = w->p->host[CLIENT].fastopen;
	app_run(a);
}

static void take_accepted(struct world *w)
{
	struct stack_addr peer;
	conn_id id;

	while (stack_accept(w->host[SERVER], w->listener, 0, &id, &peer) == 0) {
		unsigned i = peer.port - 40000u;
		struct app *a;

		if (i >= w->p->conns) {
			broken(w, "a connection of port %u", peer.port);
			return;
		}
		a = &w->app[i][SERVER];
		if (a->id)
			broken(w, "connection %u is accepted twice", i);
		a->id = id;
		a->open = a->can_write = a->readable = true;
		app_log(a, "accept", 0);
		app_options(a);
		app_run(a);
	}
}

static struct app *app_of(struct world *w, unsigned side, conn_id id)
{
	for (unsigned i = 0; i < w->p->conns; i++)
		if (w->app[i][side].id == id)
			return &w->app[i][side];
	return NULL;
}

static void take_events(struct world *w, unsigned side)
{
	struct conn_ready r;
	unsigned rounds = 0;

	while (stack_next(w->host[side], &r)) {
		struct app *a;

		if (rounds++ == 10000) {
			broken(w, "events without an end");
			return;
		}
		if (side == SERVER && r.id == w->listener) {
			take_accepted(w);
			continue;
		}
		a = app_of(w, side, r.id);
		if (!a || a->over)
			continue;
		app_log(a, "event", (long)r.events);
		if (r.events & (CONN_READABLE | CONN_ERROR | CONN_CLOSED))
			a->readable = true;
		if (r.events & CONN_WRITABLE)
			a->open = a->can_write = true;
		app_run(a);
		/* What nobody reads any more tells of its end by an event alone. */
		if (!a->over && r.events & CONN_ERROR && (a->eof || a->read_at != SUT_NEVER)) {
			int64_t e = 0;

			stack_get(w->host[side], a->id, CONNOPT_ERROR, &e);
			app_failed(a, e ? (int)e : EPIPE);
		}
	}
}

static void apps_expire(struct world *w)
{
	for (unsigned i = 0; i < w->p->conns; i++) {
		if (!w->started[i] && w->p->conn[i].start <= w->now)
			conn_start(w, i);
		for (unsigned j = 0; j < 2; j++) {
			struct app *a = &w->app[i][j];
			bool due = false;

			if (a->write_at <= w->now) {
				a->write_at = SUT_NEVER;
				due = true;
			}
			if (a->read_at <= w->now) {
				a->read_at = SUT_NEVER;
				due = true;
			}
			if (due)
				app_run(a);
		}
	}
}

/* --- hosts and the box get frames */

/* An ACK covers nothing that this host has not sent. */
static void check_ack(struct world *w, unsigned side, const struct packet *p, const struct view *v)
{
	const struct tcp_hdr *t = view_tcp((struct packet *)p, v);
	unsigned i = be16_get(side == CLIENT ? t->dport : t->sport) - 40000u;
	struct conn_info info;

	if (i >= w->p->conns || !(v->flags & TCP_ACK) || w->p->corrupt_ppm)
		return;
	if (!w->app[i][side].id || stack_info(w->host[side], w->app[i][side].id, w->now, &info) < 0)
		return;
	if (info.state >= ST_ESTABLISHED && info.state != ST_TIME_WAIT && !(v->flags & TCP_RST) &&
	    (int32_t)(v->ack - info.snd_nxt) > 0)
		broken(w, "connection %u: an ACK of %u bytes more than were sent", i,
		       v->ack - info.snd_nxt);
}

static void deliver_host(struct world *w, unsigned side)
{
	unsigned place = side == CLIENT ? AT_CLIENT : AT_SERVER;
	const struct arrival *a;

	while ((a = queue_next(&w->queue)) && a->at <= w->now && a->place == place) {
		struct frame *f = queue_take(&w->queue).frame;
		struct packet p = { .head = f->bytes, .head_len = f->len };
		struct view v;

		observe(w, place, side == CLIENT ? '<' : '>', &p);
		if (view_parse(&p, &v) == R_NONE && v.ip) {
			if (v.tcp)
				check_ack(w, side, &p, &v);
			stack_input(w->host[side], &p, &v, w->now);
		}
		free(f);
	}
	take_events(w, side);
	stack_flush(w->host[side], w->now);
	take_events(w, side);
}

static void deliver_box(struct world *w, unsigned place)
{
	struct frame *frames[BOX_BURST];
	struct packet pkt[BOX_BURST], *ptr[BOX_BURST];
	const struct arrival *a;
	unsigned n = 0;

	while (n < BOX_BURST && (a = queue_next(&w->queue)) && a->at <= w->now &&
	       a->place == place) {
		frames[n] = queue_take(&w->queue).frame;
		pkt[n] = (struct packet){ .head = frames[n]->bytes, .head_len = frames[n]->len };
		ptr[n] = &pkt[n];
		observe(w, place, place == AT_NEAR ? '>' : '<', &pkt[n]);
		n++;
	}
	box_input(&w->box, place == AT_NEAR ? ACCEL_CLIENT : ACCEL_SERVER, ptr, n, w->opt.split,
		  w->now);
	for (unsigned i = 0; i < n; i++)
		free(frames[i]);
}

static void deliver(struct world *w)
{
	const struct arrival *a;

	while ((a = queue_next(&w->queue)) && a->at <= w->now && !w->res->broken[0]) {
		if (a->place == AT_NEAR || a->place == AT_FAR)
			deliver_box(w, a->place);
		else
			deliver_host(w, a->place == AT_CLIENT ? CLIENT : SERVER);
	}
}

/* --- the run */

static sut_time sooner(sut_time a, sut_time b)
{
	return a < b ? a : b;
}

static sut_time next_event(const struct world *w)
{
	sut_time at = sooner(stack_deadline(w->host[0]), stack_deadline(w->host[1]));

	at = sooner(at, box_deadline(&w->box));
	if (queue_next(&w->queue))
		at = sooner(at, queue_next(&w->queue)->at);
	for (unsigned i = 0; i < w->p->conns; i++) {
		if (!w->started[i])
			at = sooner(at, w->p->conn[i].start);
		for (unsigned j = 0; j < 2; j++)
			at = sooner(at, sooner(w->app[i][j].write_at, w->app[i][j].read_at));
	}
	return at;
}

static bool all_over(const struct world *w)
{
	for (unsigned i = 0; i < w->p->conns; i++) {
		if (!w->started[i] || !w->app[i][CLIENT].over)
			return false;
		/* One that the server never had of a client that gave up, or of whose half it never heard. */
		if (!w->app[i][SERVER].over && (w->app[i][SERVER].id || !w->app[i][CLIENT].error))
			return false;
	}
	return true;
}

static void host_expire(struct world *w, unsigned side)
{
	for (unsigned i = 0; stack_deadline(w->host[side]) <= w->now; i++) {
		if (i == 1000) {
			broken(w, "a host's deadline stays due");
			return;
		}
		stack_expire(w->host[side], w->now);
		take_events(w, side);
	}
	stack_flush(w->host[side], w->now);
	take_events(w, side);
}

static void step(struct world *w, sut_time at)
{
	if (at > w->now)
		w->now = at;
	apps_expire(w);
	host_expire(w, CLIENT);
	host_expire(w, SERVER);
	if (!box_expire(&w->box, w->now))
		broken(w, "the role's deadline stays due");
	deliver(w);
	for (unsigned i = 0; i < 2; i++) {
		const char *what = stack_check(w->host[i], w->now);

		if (what)
			broken(w, "%s: %s", i ? "server" : "client", what);
	}
	if (!box_intact(&w->box))
		broken(w, "the role wrote behind its block");
}

/*
 * A cookie keeps nothing: where the ACK that brings it back is lost, and the client has nothing to say before the server does, nobody
 * repeats anything (RFC 4987, 3.6).
 */
static bool lost_cookie(const struct world *w, unsigned i)
{
	const struct app *c = &w->app[i][CLIENT], *s = &w->app[i][SERVER];

	return stack_count(w->host[SERVER], STACK_COOKIES_SENT) && !s->id && !c->wrote && !c->shut;
}

static void judge_conn(struct world *w, unsigned i)
{
	const struct app *c = &w->app[i][CLIENT], *s = &w->app[i][SERVER];
	bool well = c->over && s->over && c->error == 0 && s->error == 0;
	bool excused = stack_plan_harsh(w->p) || c->aborted || s->aborted ||
		       w->p->conn[i].app[0].abort_after != UINT32_MAX ||
		       w->p->conn[i].app[1].abort_after != UINT32_MAX;

	w->fates->done += well;
	w->fates->failed += !well;
	w->fates->bytes += c->read + s->read;
	if (lost_cookie(w, i))
		return;
	if (!well && !excused)
		broken(w,
		       "connection %u: client %s (%s) wrote %u read %u, server %s (%s) wrote %u "
		       "read %u",
		       i, c->over ? "over" : "hangs", strerror(c->error), c->wrote, c->read,
		       s->over ? "over"
		       : s->id ? "hangs"
			       : "never was",
		       strerror(s->error), s->wrote, s->read);
	/* A reset may be lost, and nobody repeats it: an end that only listens never hears of it. */
	if (!c->aborted && !s->aborted && (!c->over || (!s->over && s->id)))
		broken(w,
		       "connection %u hangs: client wrote %u read %u%s%s, server wrote %u read "
		       "%u%s%s",
		       i, c->wrote, c->read, c->eof ? " eof" : "", c->shut ? " shut" : "", s->wrote,
		       s->read, s->eof ? " eof" : "", s->shut ? " shut" : "");
}

static void judge_rest(struct world *w)
{
	for (unsigned i = 0; i < 2 && !w->res->broken[0]; i++) {
		struct stack_usage u;

		stack_usage(w->host[i], &u);
		if (u.conns || u.half_open || u.time_wait || u.cells || u.records || u.ofo_bytes)
			broken(w,
			       "%s keeps %u connections (%u half-open, %u in TIME-WAIT), %u cells, "
			       "%u records",
			       i ? "server" : "client", u.conns, u.half_open, u.time_wait, u.cells,
			       u.records);
	}
	if (!w->res->broken[0] && w->refs != w->released)
		broken(w, "%u pieces were lent, %u given back", (unsigned)w->refs,
		       (unsigned)w->released);
	if (!w->res->broken[0] && box_flows(&w->box, w->now))
		broken(w, "the role keeps %u flows", box_flows(&w->box, w->now));
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
	for (unsigned i = 0; i < w->p->conns && !w->res->broken[0]; i++)
		judge_conn(w, i);
	for (unsigned i = 0; i < w->p->conns; i++)
		for (unsigned j = 0; j < 2; j++)
			if (!w->app[i][j].over && w->app[i][j].id)
				stack_abort(w->host[j], w->app[i][j].id, w->now);
	while (!w->res->broken[0] && (at = next_event(w)) != SUT_NEVER && at < FIRST + DRAIN_LIMIT)
		step(w, at);
	if (!w->res->broken[0])
		judge_rest(w);
}

static uint64_t host_random(void *ctx)
{
	struct host_ctx *h = ctx;

	return rng_next(&h->w->host_rng[h->side]);
}

static void host_release(void *ctx, uint64_t cookie)
{
	struct host_ctx *h = ctx;

	h->w->released++;
	if (cookie >= h->w->p->conns)
		broken(h->w, "something was released that was never lent");
}

static void host_trace(void *ctx, sut_time now, conn_id id, const char *from, const char *to,
		       const char *why)
{
	struct host_ctx *h = ctx;

	if (h->w->opt.trace)
		printf("%12.6f %s: %s -> %s (%s) %llx\n", (double)(now - FIRST) / 1e9,
		       h->side ? "server" : "client", from, to, why, (unsigned long long)id);
}

static void open_host(struct world *w, unsigned side)
{
	struct stack_env env = { .random = host_random,
				 .emit = host_emit,
				 .release = host_release,
				 .trace = host_trace,
				 .ctx = &w->ctx[side] };
	char err[96];
	size_t need = stack_need(&w->p->host[side], err);
	void *block;

	if (!need) {
		fprintf(stderr, "stack_need: %s\n", err);
		abort();
	}
	block = aligned_alloc(64, (need + 63) / 64 * 64);
	if (!block)
		abort();
	memset(block, 0, need);
	w->ctx[side] = (struct host_ctx){ w, side };
	w->host_rng[side].s = w->p->seed ^ (0xaaaa + side);
	for (unsigned i = 0; i < sizeof env.secret; i++)
		env.secret[i] = (uint8_t)rng_next(&w->host_rng[side]);
	w->host[side] = stack_init(block, &w->p->host[side], &env, w->now);
}

static void open_app(struct world *w, unsigned i, unsigned side)
{
	struct app *a = &w->app[i][side];
	const struct app_plan *p = &w->p->conn[i].app[side];

	*a = (struct app){
		.w = w, .conn = i, .side = side, .write_at = SUT_NEVER, .read_at = SUT_NEVER
	};
	a->stream = malloc(p->out_len + 1);
	if (!a->stream)
		abort();
	for (uint32_t b = 0; b < p->out_len; b++)
		a->stream[b] = peer_byte(w->p->conn[i].content, side == CLIENT, b);
}

static void open_world(struct world *w)
{
	struct stack_addr any = { .port = PORT };

	w->now = FIRST;
	w->rng.s = w->p->seed ^ 0x5555;
	for (unsigned i = 0; i < LINKS; i++)
		link_init(&w->link[i], &w->p->link[i]);
	for (unsigned i = 0; i < STACK_CONNS; i++)
		for (unsigned j = 0; j < 2; j++)
			open_app(w, i, j);
	open_host(w, CLIENT);
	open_host(w, SERVER);
	if (stack_listen(w->host[SERVER], &any, 16, 0, &w->listener) < 0)
		abort();
	if (w->p->role->ops) {
		w->box.sent = box_emit;
		w->box.ctx = w;
		box_open(&w->box, w->p->role->ops, &w->p->config, 3, w->p->seed ^ 0x3333,
			 &w->res->counters);
	}
}

void stack_world_run(const struct stack_plan *p, const struct world_options *o,
		     struct world_result *ret_r, struct stack_fates *ret_f)
{
	struct world *w = calloc(1, sizeof *w);

	if (!w)
		abort();
	memset(ret_r, 0, sizeof *ret_r);
	memset(ret_f, 0, sizeof *ret_f);
	w->p = p;
	w->opt = *o;
	w->res = ret_r;
	w->fates = ret_f;
	open_world(w);
	run(w);
	for (unsigned i = 0; i < PLACES; i++)
		ret_r->hash = hash_fold(ret_r->hash ^ w->hash[i], 0x9e3779b97f4a7c15u + i);
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned c = 0; c < STACK_COUNTER_COUNT; c++)
			ret_f->count[c] += stack_count(w->host[i], (enum stack_counter)c);
		free(w->host[i]);
	}
	for (unsigned i = 0; i < STACK_CONNS; i++)
		for (unsigned j = 0; j < 2; j++)
			free(w->app[i][j].stream);
	queue_clear(&w->queue);
	box_close(&w->box);
	free(w);
}
