/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A connection has a slot from accept() until its end is known, and the stack carries the slot's number as the connection's user.  A slot's id is
 * compared with that of an event, so a late event of an earlier connection finds nobody.
 *
 * Those that wait for a time are in a list by when that began; since all of a list wait equally long, only its front has to be looked at.  A
 * service that has nothing more to say finishes: FIN goes out behind what was written, what still comes is thrown away (closing with unread
 * data would be a reset, which can destroy the answer on its way), and the idle time is the limit for the peer's FIN, once it takes no more.
 *
 * Streams have an idle time of their own.  Nothing is noted as their bytes go by: four times in that time it is looked whether any did.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/mman.h>

#include "app/clock.h"
#include "app/serve_inside.h"

#define EVENTS_MAX 4096u /* of a turn; the next one goes on */
#define QUARTERS 4u
#define LOG_LOOK SUT_MS(100)

static const struct service *const services[] = { &service_http, &service_echo, &service_discard,
						  &service_chargen, &service_proxy };

const struct service *service_at(unsigned i)
{
	return i < sizeof services / sizeof services[0] ? services[i] : NULL;
}

const struct service *service_find(const char *name, size_t len)
{
	const struct service *s;

	for (unsigned i = 0; (s = service_at(i)); i++)
		if (strlen(s->name) == len && memcmp(s->name, name, len) == 0)
			return s;
	return NULL;
}

struct stack *serve_stack(struct serve *s)
{
	return s->stack;
}

sut_time serve_now(const struct serve *s)
{
	return s->now;
}

int64_t serve_wall(const struct serve *s)
{
	return (int64_t)((s->now + s->wall_offset) / 1000000000u);
}

bool serve_draining(const struct serve *s)
{
	return s->draining;
}

uint8_t *serve_scratch(struct serve *s)
{
	return s->scratch;
}

/* Slots. */

static uint32_t index_of(const struct serve *s, const struct serve_conn *c)
{
	return (uint32_t)(c - s->conn);
}

static struct serve_conn *take_slot(struct serve *s)
{
	struct serve_conn *c = NULL;

	if (s->unused != SERVE_NONE) {
		c = &s->conn[s->unused];
		s->unused = c->at[0].newer;
	} else if (s->high < s->cfg->flags.max_conns) {
		c = &s->conn[s->high++];
	}
	if (c) {
		memset(c, 0, sizeof *c);
		s->used++;
	}
	return c;
}

static void leave_list(struct serve *s, struct serve_conn *c, enum serve_list l)
{
	struct serve_link *at = &c->at[l];

	if (!at->in)
		return;
	if (at->older != SERVE_NONE)
		s->conn[at->older].at[l].newer = at->newer;
	else
		s->list[l].oldest = at->newer;
	if (at->newer != SERVE_NONE)
		s->conn[at->newer].at[l].older = at->older;
	else
		s->list[l].newest = at->older;
	at->in = false;
}

/* To the list's end: its time begins now. */
static void join_list(struct serve *s, struct serve_conn *c, enum serve_list l)
{
	struct serve_link *at = &c->at[l];

	leave_list(s, c, l);
	*at = (struct serve_link){
		.since = s->now, .older = s->list[l].newest, .newer = SERVE_NONE, .in = true
	};
	if (at->older != SERVE_NONE)
		s->conn[at->older].at[l].newer = index_of(s, c);
	else
		s->list[l].oldest = index_of(s, c);
	s->list[l].newest = index_of(s, c);
}

void serve_touch(struct serve *s, struct serve_conn *c)
{
	join_list(s, c, LIST_IDLE);
}

void serve_touch_log(struct serve *s, struct serve_conn *c)
{
	if (!c->at[LIST_LOG].in)
		join_list(s, c, LIST_LOG);
}

static void free_slot(struct serve *s, struct serve_conn *c)
{
	for (unsigned l = 0; l < SERVE_LISTS; l++)
		leave_list(s, c, (enum serve_list)l);
	c->id = 0;
	c->at[0].newer = s->unused;
	s->unused = index_of(s, c);
	s->used--;
}

/* Ends. */

/* What c->put is behind what the peer has acknowledged, modulo 2^32; a FIN or a SYN may count as one more. */
static uint32_t unacknowledged(const struct serve_conn *c, const struct conn_info *i)
{
	return (uint32_t)c->put - (i->snd_una - i->iss - 1);
}

uint64_t serve_acked(struct serve *s, const struct serve_conn *c)
{
	struct conn_info i;
	uint32_t left;

	if (stack_info(s->stack, c->id, s->now, &i) != 0)
		return c->put;
	left = unacknowledged(c, &i);
	if (left == UINT32_MAX) /* and the FIN */
		return c->put;
	return left <= c->put ? c->put - left : 0;
}

/* What a connection that asked nothing in particular is called in the log: "echo". */
static void log_end(struct serve *s, const struct serve_conn *c)
{
	uint64_t acked, bytes;

	if (!serve_logs(s) || c->port->service == &service_http)
		return;
	acked = serve_acked(s, c);
	bytes = c->port->service == &service_discard ? c->taken : acked;
	serve_log_access(s, c, c->port->service->name, 0, bytes,
			 c->cut		  ? c->cut
			 : acked < c->put ? "idle"
					  : NULL);
}

/* The service gives back what it holds, and the slot is free; the stack's part is the caller's. */
static void release(struct serve *s, struct serve_conn *c)
{
	struct serve_port *p = c->port;

	log_end(s, c);
	if (p->service->closed)
		p->service->closed(s, c);
	free_slot(s, c);
	ports_left(p);
}

void serve_abort(struct serve *s, struct serve_conn *c, const char *why)
{
	conn_id id = c->id;

	c->cut = why;
	release(s, c);
	(void)stack_abort(s->stack, id, s->now);
}

/* One word for the log. */
static const char *word_of(int err)
{
	switch (-err) {
	case 0:
		return NULL;
	case ECONNRESET:
	case EPIPE:
		return "reset";
	case ETIMEDOUT:
		return "timeout";
	default:
		return "error";
	}
}

/* As it stands: what was written is still sent. */
static void let_go(struct serve *s, struct serve_conn *c)
{
	conn_id id = c->id;

	release(s, c);
	(void)stack_close(s->stack, id, s->now);
}

void serve_gone(struct serve *s, struct serve_conn *c, int err)
{
	c->cut = word_of(err);
	let_go(s, c);
}

/* Has anything moved, either way, since this was asked last? */
static bool has_moved(struct serve *s, struct serve_conn *c)
{
	struct conn_info i;
	bool moved;

	if (stack_info(s->stack, c->id, s->now, &i) != 0)
		return false;
	moved = i.snd_una != c->seen_una || i.bytes_in != c->seen_in;
	c->seen_una = i.snd_una;
	c->seen_in = i.bytes_in;
	return moved;
}

/* Has the peer acknowledged anything since that was asked last? */
static bool has_taken(struct serve *s, struct serve_conn *c)
{
	const uint32_t una = c->seen_una;

	return has_moved(s, c) && c->seen_una != una;
}

static uint32_t throw_away(void *ctx, uint64_t user, const uint8_t *bytes, uint32_t len)
{
	(void)ctx;
	(void)user;
	(void)bytes;
	return len;
}

/* Reads what is there, for nobody. */
static void read_away(struct serve *s, struct serve_conn *c)
{
	int n;

	while ((n = stack_read(s->stack, c->id, s->scratch, SERVE_SCRATCH, s->now)) > 0)
		;
	if (n < 0 && n != -EAGAIN)
		serve_gone(s, c, n);
}

void serve_finish(struct serve *s, struct serve_conn *c)
{
	int err;

	if (c->finishing)
		return;
	c->finishing = true;
	leave_list(s, c, LIST_STREAM);
	serve_touch(s, c);
	(void)has_moved(s, c);
	err = stack_shutdown(s->stack, c->id, s->now);
	if (err && err != -EPIPE) {
		serve_gone(s, c, err);
		return;
	}
	(void)stack_set_take(s->stack, c->id, throw_away, NULL);
	read_away(s, c);
}

/* Beginnings. */

/* A connection of a service without an idle time of its own has that of streams, if there is one. */
static void time_stream(struct serve *s, struct serve_conn *c)
{
	if (!c->port->service->expired && !c->finishing && s->cfg->flags.stream_idle_time)
		join_list(s, c, LIST_STREAM);
	else
		leave_list(s, c, LIST_STREAM);
}

static void accept_one(struct serve *s, struct serve_port *p, conn_id id,
		       const struct stack_addr *peer, struct serve_conn *c)
{
	if (!c || s->draining) {
		if (c)
			free_slot(s, c);
		(void)stack_abort(s->stack, id, s->now);
		return;
	}
	c->id = id;
	c->port = p;
	c->peer = *peer;
	p->conns++;
	(void)stack_set(s->stack, id, CONNOPT_NODELAY, 1, s->now);
	(void)stack_set(s->stack, id, CONNOPT_KEEPALIVE, 1, s->now);
	time_stream(s, c);
	p->service->open(s, c);
	if (c->id == id)
		p->service->ready(s, c);
}

/* The listener tells once: so all of them, and there are no more than its backlog. */
static void accept_all(struct serve *s, struct serve_port *p)
{
	while (p->listener) {
		struct serve_conn *c = take_slot(s);
		struct stack_addr peer;
		conn_id id;

		if (stack_accept(s->stack, p->listener, c ? index_of(s, c) : LISTENER - 1, &id,
				 &peer) != 0) {
			if (c)
				free_slot(s, c);
			return;
		}
		accept_one(s, p, id, &peer, c);
	}
}

/* Events. */

/* Both ends have closed.  What the service has not taken yet waits for it all the same. */
static void leave_if_over(struct serve *s, struct serve_conn *c, conn_id id)
{
	struct conn_info i;

	if (c->id == id && c->over && (stack_info(s->stack, id, s->now, &i) != 0 || i.unread == 0))
		serve_gone(s, c, 0);
}

/* Why the connection is gone: -errno. */
static int error_of(struct serve *s, const struct serve_conn *c)
{
	int64_t err = 0;

	(void)stack_get(s->stack, c->id, CONNOPT_ERROR, &err);
	return err > 0 ? -(int)err : -ECONNRESET;
}

static void serve_event(struct serve *s, const struct conn_ready *r)
{
	struct serve_conn *c;

	if (r->user & LISTENER) {
		uint64_t i = r->user & ~LISTENER;

		if (i < SERVE_PLACES && s->port[i].listener == r->id)
			accept_all(s, &s->port[i]);
		return;
	}
	if (r->user >= s->high)
		return;
	c = &s->conn[r->user];
	if (c->id != r->id)
		return;
	if (r->events & CONN_ERROR) {
		serve_gone(s, c, error_of(s, c));
		return;
	}
	c->over = c->over || (r->events & CONN_CLOSED);
	if (c->finishing)
		read_away(s, c);
	else
		c->port->service->ready(s, c);
	leave_if_over(s, c, r->id);
}

void conns_events(struct serve *s)
{
	struct conn_ready r;
	unsigned n = 0;

	while (n < EVENTS_MAX && stack_next(s->stack, &r)) {
		serve_event(s, &r);
		n++;
	}
	s->more = n == EVENTS_MAX;
}

int serve_watch(struct serve *s, struct serve_conn *c, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				  .data.u32 = index_of(s, c) };

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

void conns_kernel(struct serve *s)
{
	struct epoll_event ev[64];
	int n = epoll_wait(s->epoll, ev, 64, 0);

	for (int i = 0; i < n; i++) {
		struct serve_conn *c = &s->conn[ev[i].data.u32];

		conn_id id = c->id;

		if (id && c->port->service->kernel) {
			c->port->service->kernel(s, c, ev[i].events);
			leave_if_over(s, c, id);
		}
	}
}

/* Time. */

/* How long one waits in a list; SUT_NEVER: for ever. */
static sut_time period(const struct serve *s, enum serve_list l)
{
	const struct serve_flags *f = &s->cfg->flags;

	switch (l) {
	case LIST_IDLE:
		return f->idle_time;
	case LIST_STREAM:
		return f->stream_idle_time ? f->stream_idle_time / QUARTERS : SUT_NEVER;
	case LIST_LOG:
	case SERVE_LISTS:
		break;
	}
	return LOG_LOOK;
}

static sut_time list_deadline(const struct serve *s, enum serve_list l)
{
	const sut_time wait = period(s, l);

	if (s->list[l].oldest == SERVE_NONE || wait == SUT_NEVER)
		return SUT_NEVER;
	return s->conn[s->list[l].oldest].at[l].since + wait;
}

sut_time conns_deadline(const struct serve *s)
{
	sut_time t = SUT_NEVER;

	for (unsigned l = 0; l < SERVE_LISTS; l++) {
		sut_time own = list_deadline(s, (enum serve_list)l);

		t = own < t ? own : t;
	}
	return t;
}

/* The idle time is over: of who has closed only where its peer takes nothing either. */
static void expire_idle(struct serve *s, struct serve_conn *c)
{
	if (!c->finishing) {
		if (c->port->service->expired)
			c->port->service->expired(s, c);
	} else if (serve_acked(s, c) < c->put && has_taken(s, c)) {
		serve_touch(s, c);
	} else {
		c->cut = serve_acked(s, c) < c->put ? "idle" : NULL;
		let_go(s, c);
	}
}

static void expire_stream(struct serve *s, struct serve_conn *c)
{
	c->quiet = has_moved(s, c) ? 0 : (uint8_t)(c->quiet + 1);
	if (c->quiet >= QUARTERS)
		serve_abort(s, c, "idle");
	else
		join_list(s, c, LIST_STREAM);
}

static void expire_one(struct serve *s, struct serve_conn *c, enum serve_list l)
{
	leave_list(s, c, l);
	if (l == LIST_IDLE)
		expire_idle(s, c);
	else if (l == LIST_STREAM)
		expire_stream(s, c);
	else if (c->port->service->logged)
		c->port->service->logged(s, c);
}

void conns_expire(struct serve *s)
{
	for (unsigned l = 0; l < SERVE_LISTS; l++)
		while (list_deadline(s, (enum serve_list)l) <= s->now)
			expire_one(s, &s->conn[s->list[l].oldest], (enum serve_list)l);
}
static void each(struct serve *s, void (*fn)(struct serve *s, struct serve_conn *c))
{
	for (uint32_t i = 0; i < s->high; i++)
		if (s->conn[i].id)
			fn(s, &s->conn[i]);
}

static void drain_one(struct serve *s, struct serve_conn *c)
{
	if (!c->finishing && c->port->service->drain)
		c->port->service->drain(s, c);
}

void conns_drain(struct serve *s)
{
	s->draining = true;
	ports_unlisten(s);
	each(s, drain_one);
}

static void abort_one(struct serve *s, struct serve_conn *c)
{
	serve_abort(s, c, "drain");
}

void conns_abort(struct serve *s)
{
	each(s, abort_one);
}

void conns_time_streams(struct serve *s)
{
	each(s, time_stream);
}

/* Life. */

int conns_open(struct serve *s)
{
	s->unused = SERVE_NONE;
	for (unsigned l = 0; l < SERVE_LISTS; l++)
		s->list[l].oldest = s->list[l].newest = SERVE_NONE;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->conn_bytes = (size_t)s->cfg->flags.max_conns * sizeof *s->conn;
	s->conn = mmap(NULL, s->conn_bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->conn == MAP_FAILED)
		s->conn = NULL;
	if (s->epoll < 0 || !s->conn) {
		log_line(&s->log, LOG_ERROR, "connections: %s", strerror(errno));
		return -ENOMEM;
	}
	return 0;
}

void conns_close(struct serve *s)
{
	if (s->conn)
		munmap(s->conn, s->conn_bytes);
	if (s->epoll >= 0)
		close(s->epoll);
}
