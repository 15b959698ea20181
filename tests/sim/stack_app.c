/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stack_world.h"

/*
 * Theory of operation
 *
 * An application does something when it was told of a readiness, or when its own pause is over, and never looks by itself: an
 * event that is missing stalls it, and is found.  A client opens its connections at their times, or a while after the connection
 * before on the same ports has ended; where both ends open, the server's application does so at the same time.
 */

#define RETRY SUT_MS(10000) /* where ports are still in use */
#define RETRIES 30

static const struct app_plan *plan_of(const struct app *a)
{
	return &a->w->p->conn[a->conn].app[stack_half(a->side)];
}

/* Who wrote more: a secondary says what the primary says, before or after it. */
static struct app *other(const struct app *a)
{
	struct app *peer = a->w->app[a->conn];

	if (a->side != CLIENT)
		return &peer[CLIENT];
	return peer[SECONDARY].wrote > peer[SERVER].wrote || peer[SECONDARY].shut ? &peer[SECONDARY]
										  : &peer[SERVER];
}

static void app_log(const struct app *a, const char *what, long n)
{
	if (n > 0)
		a->w->idle_frames = 0;
	if (a->w->run.opt.trace)
		printf("%12.6f %s %u: %s %ld (wrote %u, read %u)\n", run_seconds(&a->w->run),
		       stack_host_name(a->side), a->conn, what, n, a->wrote, a->read);
}

/* An answer that says no number. */
static int app_done(const struct app *a, const char *what, int r)
{
	app_log(a, what, r);
	stack_script_answer(a->w, a->side, a->conn, r, false);
	return r;
}

static int app_counted(const struct app *a, const char *what, int r)
{
	app_log(a, what, r);
	stack_script_answer(a->w, a->side, a->conn, r, true);
	return r;
}

static void app_end(struct app *a, int error)
{
	a->over = true;
	a->error = error;
	a->write_at = a->read_at = SUT_NEVER;
	a->w->idle_frames = 0;
	app_log(a, "over", error);
}

static int app_close(struct app *a)
{
	stack_script_call(a->w, a->side, a->conn, "close");
	return app_done(a, "close", stack_close(a->w->host[a->side], a->id, a->w->run.now));
}

static void app_failed(struct app *a, int error)
{
	app_close(a);
	app_end(a, error);
}

static void app_abort(struct app *a)
{
	stack_script_call(a->w, a->side, a->conn, "abort");
	app_done(a, "abort", stack_abort(a->w->host[a->side], a->id, a->w->run.now));
}

static bool app_aborts(struct app *a)
{
	if (a->wrote + a->read < plan_of(a)->abort_after)
		return false;
	app_abort(a);
	a->aborted = true;
	app_end(a, ECONNABORTED);
	return true;
}

/* --- bytes out */

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
	static const char *const call[] = { "write", "write-ref", "write-fill" };
	struct stack *s = a->w->host[a->side];
	unsigned way = plan_of(a)->way;
	int r;

	stack_script_call(a->w, a->side, a->conn, "%s %u", call[way], n);
	if (way == WRITE_REF) {
		r = stack_write_ref(s, a->id, a->stream + a->wrote, n, a->conn, a->w->run.now);
		a->w->refs += r > 0;
	} else if (way == WRITE_FILL) {
		r = stack_write_fill(s, a->id, n, app_fill, a, a->w->run.now);
	} else {
		r = stack_write(s, a->id, a->stream + a->wrote, n, a->w->run.now);
	}
	return app_counted(a, "write", r);
}

static void app_shutdown(struct app *a)
{
	int r;

	stack_script_call(a->w, a->side, a->conn, "shutdown");
	r = app_done(a, "shutdown", stack_shutdown(a->w->host[a->side], a->id, a->w->run.now));
	a->shut = true;
	if (r < 0)
		app_failed(a, -r);
}

static void app_write(struct app *a)
{
	const struct app_plan *p = plan_of(a);

	while (!a->over && a->can_write && a->write_at == SUT_NEVER && a->wrote < p->out_len &&
	       a->read >= p->wait_for && !app_aborts(a)) {
		uint32_t n = p->out_len - a->wrote < p->write_chunk ? p->out_len - a->wrote
								    : p->write_chunk;
		int r = app_give(a, n);

		if (r == -EAGAIN) {
			a->can_write = false;
		} else if (r < 0) {
			app_failed(a, -r);
		} else {
			a->wrote += (uint32_t)r;
			if (p->write_gap)
				a->write_at = a->w->run.now + p->write_gap;
		}
	}
	if (!a->over && !a->shut && a->wrote == p->out_len && (p->early_close || a->eof) && a->open)
		app_shutdown(a);
}

/* --- bytes in */

static void app_verify(struct app *a, const uint8_t *bytes, uint32_t n)
{
	const uint8_t *right = other(a)->stream + a->read;

	if (a->read + n > other(a)->wrote) {
		run_broken(&a->w->run, "connection %u: %u read of %u written", a->conn, a->read + n,
			   other(a)->wrote);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		if (bytes[i] != right[i] && !a->w->unseen) {
			run_broken(&a->w->run, "connection %u: %s read a wrong byte at %u", a->conn,
				   stack_host_name(a->side), a->read + i);
			return;
		}
	a->read += n;
}

static void app_eof(struct app *a)
{
	a->eof = true;
	if (!other(a)->shut || a->read != other(a)->wrote)
		run_broken(&a->w->run, "connection %u: an end after %u of %u bytes", a->conn,
			   a->read, other(a)->wrote);
}

static void app_read(struct app *a)
{
	const struct app_plan *p = plan_of(a);
	static uint8_t bytes[65536];

	while (!a->over && a->readable && a->read_at == SUT_NEVER && !a->eof && !app_aborts(a)) {
		int r;

		stack_script_call(a->w, a->side, a->conn, "read %u", p->read_chunk);
		r = app_counted(a, "read",
				stack_read(a->w->host[a->side], a->id, bytes, p->read_chunk,
					   a->w->run.now));
		if (r == -EAGAIN) {
			a->readable = false;
		} else if (r < 0) {
			app_failed(a, -r);
		} else if (r == 0) {
			app_eof(a);
		} else {
			app_verify(a, bytes, (uint32_t)r);
			if (p->read_gap)
				a->read_at = a->w->run.now + p->read_gap;
		}
	}
}

/* Straight from a packet. */
static uint32_t app_take(void *ctx, uint64_t user, const uint8_t *bytes, uint32_t len)
{
	struct app *a = ctx;
	uint32_t n = len < plan_of(a)->take ? len : plan_of(a)->take;

	(void)user;
	if (a->over || a->eof)
		run_broken(&a->w->run, "connection %u: bytes are taken for one that is over",
			   a->conn);
	app_verify(a, bytes, n);
	app_log(a, "take", n);
	stack_script_took(a->w, a->side, a->conn, n, len);
	a->took = true;
	return n;
}

static void app_run(struct app *a)
{
	if (a->over || !a->id)
		return;
	app_read(a);
	app_write(a);
	if (!a->over && a->eof && a->shut) {
		app_close(a);
		app_end(a, 0);
	}
}

/* --- opening */

static void app_set(struct app *a, enum conn_option o, const char *name, int64_t value)
{
	stack_script_call(a->w, a->side, a->conn, "set %s %lld", name, (long long)value);
	app_done(a, name, stack_set(a->w->host[a->side], a->id, o, value, a->w->run.now));
}

static void app_options(struct app *a)
{
	const struct app_plan *p = plan_of(a);

	if (p->nodelay)
		app_set(a, CONNOPT_NODELAY, "nodelay", 1);
	if (p->cork)
		app_set(a, CONNOPT_CORK, "cork", 1);
	if (p->quickack)
		app_set(a, CONNOPT_QUICKACK, "quickack", 1);
	if (p->keepalive) {
		app_set(a, CONNOPT_KEEP_IDLE_MS, "keep-idle", 1000);
		app_set(a, CONNOPT_KEEP_INTERVAL_MS, "keep-interval", 2000);
		app_set(a, CONNOPT_KEEP_COUNT, "keep-count", 20);
		app_set(a, CONNOPT_KEEPALIVE, "keepalive", 1);
	}
	if (p->take) {
		stack_script_call(a->w, a->side, a->conn, "take %u", p->take);
		app_done(a, "take", stack_set_take(a->w->host[a->side], a->id, app_take, a));
	}
}

/* Opens this end of connection i: 0, or what stack_connect() says. */
static int app_connect(struct app *a)
{
	struct stack_world *w = a->w;
	struct stack_addr end[2];
	int r;

	stack_plan_ends(w->p, a->conn, end);
	stack_script_call(w, a->side, a->conn, "connect");
	r = app_done(a, "connect",
		     stack_connect(w->host[a->side], &end[a->side], &end[!a->side], a->conn,
				   w->run.now, &a->id));
	if (r < 0)
		return r;
	app_options(a);
	a->can_write = a->open = w->p->host[stack_half(a->side)].fastopen;
	app_run(a);
	return 0;
}

static void conn_start(struct stack_world *w, unsigned i)
{
	const struct stack_conn_plan *p = &w->p->conn[i];
	struct app *c = &w->app[i][CLIENT], *s = &w->app[i][SERVER];
	int r = app_connect(c);

	if (r == -EADDRINUSE && p->reuses && w->retries[i]++ < RETRIES) {
		w->start[i] = w->run.now + RETRY;
		return;
	}
	w->started[i] = true;
	w->start[i] = SUT_NEVER;
	w->fates->conns++;
	if (r < 0) {
		app_end(c, -r);
		app_end(s, -r);
	} else if (p->both && (r = app_connect(s)) < 0) {
		app_end(s, -r);
	}
}

/*
 * The ACK of a SYN cookie, or data behind it, may come again when the connection that it made is over: whoever keeps nothing cannot
 * know.  A SYN whose data a Fast Open cookie let through may, too (RFC 7413, 2.1).
 */
static bool cookie_again(const struct stack_world *w)
{
	return stack_count(w->host[SERVER], STACK_COOKIES_TAKEN) > 0 ||
	       stack_count(w->host[SERVER], STACK_TFO_IN) > 0;
}

/* What the mirror carried at a checkpoint comes to the copy again, which may have ended this connection: as the primary. */
static bool comes_again(const struct stack_world *w, unsigned side)
{
	return cookie_again(w) || (side == SECONDARY && w->run.res->fates.checkpoints);
}

static void take_accepted(struct stack_world *w, unsigned side)
{
	struct stack_addr peer;
	conn_id id;

	for (;;) {
		struct app *a;
		unsigned i;
		int r = stack_accept(w->host[side], w->listener[side], 0, &id, &peer);

		if (r == 0)
			w->idle_frames = 0;
		i = r == 0 ? stack_conn_of_port(w, peer.port) : STACK_CONNS;
		stack_script_call(w, side, STACK_CONNS, "accept");
		stack_script_answer(w, side, i < w->p->conns ? i : STACK_CONNS, r, false);
		if (r < 0)
			return;
		if (i >= w->p->conns) {
			run_broken(&w->run, "a connection of port %u", peer.port);
			return;
		}
		a = &w->app[i][side];
		if (a->id && a->over && comes_again(w, side)) {
			stack_script_call(w, side, i, "abort");
			stack_script_answer(w, side, i, stack_abort(w->host[side], id, w->run.now),
					    false);
			continue;
		}
		if (a->id)
			run_broken(&w->run, "connection %u is accepted twice", i);
		a->id = id;
		a->open = a->can_write = a->readable = true;
		app_log(a, "accept", 0);
		app_options(a);
		app_run(a);
	}
}

/* --- what hosts tell */

static struct app *app_of(struct stack_world *w, unsigned side, conn_id id)
{
	for (unsigned i = 0; i < w->p->conns; i++)
		if (w->app[i][side].id == id)
			return &w->app[i][side];
	return NULL;
}

static void app_event(struct app *a, uint32_t events)
{
	app_log(a, "event", (long)events);
	if (events & (CONN_READABLE | CONN_ERROR | CONN_CLOSED))
		a->readable = true;
	if (events & CONN_WRITABLE)
		a->open = a->can_write = true;
	app_run(a);
	/* What nobody reads any more tells of its end by an event alone. */
	if (!a->over && events & CONN_ERROR && (a->eof || a->read_at != SUT_NEVER)) {
		int64_t e = 0;

		stack_get(a->w->host[a->side], a->id, CONNOPT_ERROR, &e);
		app_failed(a, e ? (int)e : EPIPE);
	}
}

void stack_apps_events(struct stack_world *w, unsigned side)
{
	struct conn_ready r;
	unsigned rounds = 0;

	while (stack_next(w->host[side], &r)) {
		struct app *a;

		if (rounds++ == 10000) {
			run_broken(&w->run, "events without an end");
			return;
		}
		if (side != CLIENT && r.id == w->listener[side]) {
			take_accepted(w, side);
			continue;
		}
		a = app_of(w, side, r.id);
		if (a && !a->over)
			app_event(a, r.events);
	}
}

void stack_apps_took(struct stack_world *w, unsigned side)
{
	for (unsigned i = 0; i < w->p->conns; i++) {
		struct app *a = &w->app[i][side];

		if (a->took) {
			a->took = false;
			app_run(a);
		}
	}
}

/* --- time */

static void app_expire(struct app *a)
{
	bool due = a->write_at <= a->w->run.now || a->read_at <= a->w->run.now;

	if (a->write_at <= a->w->run.now)
		a->write_at = SUT_NEVER;
	if (a->read_at <= a->w->run.now)
		a->read_at = SUT_NEVER;
	if (due)
		app_run(a);
}

void stack_apps_expire(struct stack_world *w)
{
	for (unsigned i = 0; i < w->p->conns; i++) {
		if (!w->started[i] && w->start[i] <= w->run.now)
			conn_start(w, i);
		for (unsigned j = 0; j < w->hosts; j++)
			if (stack_host_lives(w, j))
				app_expire(&w->app[i][j]);
	}
}

sut_time stack_apps_deadline(const struct stack_world *w)
{
	sut_time at = SUT_NEVER;

	for (unsigned i = 0; i < w->p->conns; i++) {
		at = sooner(at, w->start[i]);
		for (unsigned j = 0; j < w->hosts; j++)
			if (stack_host_lives(w, j))
				at = sooner(at,
					    sooner(w->app[i][j].write_at, w->app[i][j].read_at));
	}
	return at;
}

bool stack_apps_over(const struct stack_world *w, unsigned i)
{
	const struct app *c = &w->app[i][CLIENT], *s = &w->app[i][SERVER];

	/* One that the server never had of a client that gave up, or of whose half it never heard. */
	if (w->pair)
		return w->started[i] && c->over && (w->app[i][SECONDARY].over || c->error) &&
		       (s->over || w->pair->dead || c->error);
	return w->started[i] && c->over && (s->over || (!s->id && c->error));
}

bool stack_apps_all_over(const struct stack_world *w)
{
	for (unsigned i = 0; i < w->p->conns; i++)
		if (!stack_apps_over(w, i))
			return false;
	return true;
}

void stack_apps_init(struct stack_world *w)
{
	for (unsigned i = 0; i < STACK_CONNS; i++) {
		w->start[i] = i < w->p->conns && !w->p->conn[i].reuses ? w->p->conn[i].start
								       : SUT_NEVER;
		for (unsigned j = 0; j < HOSTS; j++) {
			struct app *a = &w->app[i][j];
			uint32_t n = i < w->p->conns ? w->p->conn[i].app[stack_half(j)].out_len : 0;

			*a = (struct app){ .w = w,
					   .conn = i,
					   .side = j,
					   .write_at = SUT_NEVER,
					   .read_at = SUT_NEVER };
			a->stream = malloc(n + 1);
			if (!a->stream)
				abort();
			for (uint32_t k = 0; k < n; k++)
				a->stream[k] = peer_byte(w->p->conn[i].content, j == CLIENT, k);
		}
	}
}

void stack_apps_free(struct stack_world *w)
{
	for (unsigned i = 0; i < STACK_CONNS; i++)
		for (unsigned j = 0; j < HOSTS; j++)
			free(w->app[i][j].stream);
}
