/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A connection has a slot from accept() until its end is known, and the stack carries the slot's number as the connection's user.  A slot's id is
 * compared with that of an event, so a late event of an earlier connection finds nobody.
 *
 * Those that have an idle time are in a list by the time at which something moved last; since all have the same idle time, only the front of the
 * list has to be looked at.  A service that has nothing more to say finishes: FIN goes out behind what was written, what still comes is thrown
 * away (closing with unread data would be a reset, which can destroy the answer on its way), and the idle time is the limit for the peer's FIN.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/mman.h>

#include "app/clock.h"
#include "app/serve_inside.h"
#include "proto/print.h"

#define LISTENER ((uint64_t)1 << 63) /* in a user: the rest is a port's index */
#define BACKLOG 1024u
#define ACCEPTS 256u /* at once, from one listener */
#define EVENTS_MAX 4096u /* of a turn; the next one goes on */

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
		s->unused = c->newer;
	} else if (s->high < s->cfg->flags.max_conns) {
		c = &s->conn[s->high++];
	}
	if (c) {
		memset(c, 0, sizeof *c);
		s->used++;
	}
	return c;
}

static void leave_list(struct serve *s, struct serve_conn *c)
{
	if (!c->timed)
		return;
	if (c->older != SERVE_NONE)
		s->conn[c->older].newer = c->newer;
	else
		s->oldest = c->newer;
	if (c->newer != SERVE_NONE)
		s->conn[c->newer].older = c->older;
	else
		s->newest = c->older;
	c->timed = false;
}

void serve_touch(struct serve *s, struct serve_conn *c)
{
	leave_list(s, c);
	c->timed = true;
	c->since = s->now;
	c->newer = SERVE_NONE;
	c->older = s->newest;
	if (s->newest != SERVE_NONE)
		s->conn[s->newest].newer = index_of(s, c);
	else
		s->oldest = index_of(s, c);
	s->newest = index_of(s, c);
}

static void free_slot(struct serve *s, struct serve_conn *c)
{
	leave_list(s, c);
	c->id = 0;
	c->newer = s->unused;
	s->unused = index_of(s, c);
	s->used--;
}

/* Ends. */

/* "echo", "http": what a connection that asked nothing in particular is called in the log. */
static void log_end(struct serve *s, const struct serve_conn *c)
{
	if (c->port->service != &service_http)
		serve_log_access(s, c, c->port->service->name, 0, c->bytes);
}

/* The service gives back what it holds, and the slot is free; the stack's part is the caller's. */
static void release(struct serve *s, struct serve_conn *c)
{
	log_end(s, c);
	if (c->port->service->closed)
		c->port->service->closed(s, c);
	free_slot(s, c);
}

void serve_abort(struct serve *s, struct serve_conn *c)
{
	conn_id id = c->id;

	release(s, c);
	(void)stack_abort(s->stack, id, s->now);
}

void serve_gone(struct serve *s, struct serve_conn *c, int err)
{
	conn_id id = c->id;

	(void)err;
	release(s, c);
	(void)stack_close(s->stack, id, s->now);
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
	serve_touch(s, c);
	err = stack_shutdown(s->stack, c->id, s->now);
	if (err && err != -EPIPE) {
		serve_gone(s, c, err);
		return;
	}
	(void)stack_set_take(s->stack, c->id, throw_away, NULL);
	read_away(s, c);
}

/* Beginnings. */

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
	(void)stack_set(s->stack, id, CONNOPT_NODELAY, 1, s->now);
	(void)stack_set(s->stack, id, CONNOPT_KEEPALIVE, 1, s->now);
	p->service->open(s, c);
	if (c->id == id)
		p->service->ready(s, c);
}

static void accept_all(struct serve *s, struct serve_port *p)
{
	for (unsigned i = 0; i < ACCEPTS && p->listener; i++) {
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

int conns_listen(struct serve *s, char *ret_err, size_t err_size)
{
	for (unsigned i = 0; i < s->ports; i++) {
		struct serve_port *p = &s->port[i];
		const struct stack_addr any = { .port = p->port };
		int err = p->listener ? 0
				      : stack_listen(s->stack, &any, BACKLOG, LISTENER | i,
						     &p->listener);

		if (err) {
			snprintf(ret_err, err_size, "port %u: %s", p->port, strerror(-err));
			return err;
		}
	}
	return 0;
}

void conns_unlisten(struct serve *s)
{
	for (unsigned i = 0; i < s->ports; i++) {
		if (s->port[i].listener)
			(void)stack_close(s->stack, s->port[i].listener, s->now);
		s->port[i].listener = 0;
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

static void serve_event(struct serve *s, const struct conn_ready *r)
{
	struct serve_conn *c;

	if (r->user & LISTENER) {
		uint64_t i = r->user & ~LISTENER;

		if (i < s->ports && s->port[i].listener == r->id)
			accept_all(s, &s->port[i]);
		return;
	}
	if (r->user >= s->high)
		return;
	c = &s->conn[r->user];
	if (c->id != r->id)
		return;
	if (r->events & CONN_ERROR) {
		serve_gone(s, c, 0);
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

	for (unsigned i = 0; i < EVENTS_MAX && stack_next(s->stack, &r); i++)
		serve_event(s, &r);
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

sut_time conns_deadline(const struct serve *s)
{
	return s->oldest == SERVE_NONE ? SUT_NEVER
				       : s->conn[s->oldest].since + s->cfg->flags.idle_time;
}

void conns_expire(struct serve *s)
{
	while (conns_deadline(s) <= s->now) {
		struct serve_conn *c = &s->conn[s->oldest];

		leave_list(s, c);
		if (c->finishing)
			serve_gone(s, c, -ETIMEDOUT);
		else if (c->port->service->expired)
			c->port->service->expired(s, c);
	}
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
	conns_unlisten(s);
	each(s, drain_one);
}

void conns_abort(struct serve *s)
{
	each(s, serve_abort);
}

/* Life. */

static int start_ports(struct serve *s)
{
	const struct serve_config *cfg = s->cfg;
	char why[400];

	for (unsigned i = 0; i < cfg->listens; i++) {
		const struct serve_listen *l = &cfg->listen[i];
		struct serve_port *p = &s->port[i];
		int err;

		*p = (struct serve_port){ .service = l->service, .port = l->port, .dir = -1 };
		err = l->service->start ? l->service->start(p, l->arg, why, sizeof why) : 0;
		if (err) {
			log_line(&s->log, LOG_ERROR, "port %u: %s: %s", l->port, l->service->name,
				 why);
			return err;
		}
		s->ports++;
	}
	return 0;
}

int conns_open(struct serve *s)
{
	s->unused = s->oldest = s->newest = SERVE_NONE;
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
	return start_ports(s);
}

void conns_close(struct serve *s)
{
	if (s->conn)
		munmap(s->conn, s->conn_bytes);
	if (s->epoll >= 0)
		close(s->epoll);
	for (unsigned i = 0; i < s->ports; i++)
		if (s->port[i].service->stop)
			s->port[i].service->stop(&s->port[i]);
}

/* The access log. */

/* What a client sent, as it may stand between quotes. */
static void put_quoted(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
			fprintf(f, "\\x%02x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

void serve_log_access(struct serve *s, const struct serve_conn *c, const char *what,
		      unsigned status, uint64_t bytes)
{
	struct conn_info info = { 0 };
	char addr[46], date[40], code[12] = "-";
	time_t t = (time_t)serve_wall(s);
	struct tm tm = { 0 };

	if (!s->access)
		return;
	gmtime_r(&t, &tm);
	strftime(date, sizeof date, "%d/%b/%Y:%H:%M:%S +0000", &tm);
	print_addr(c->peer.ip, addr, sizeof addr);
	if (status)
		snprintf(code, sizeof code, "%u", status);
	(void)stack_info(s->stack, c->id, s->now, &info);
	fprintf(s->access, "%s - - [%s] ", addr, date);
	put_quoted(s->access, what);
	fprintf(s->access, " %s %llu srtt=%uus retrans=%u\n", code, (unsigned long long)bytes,
		info.srtt_us, info.retrans_segs);
	s->access_dirty = true;
}
