/* SPDX-License-Identifier: MIT */
#include "app/world_port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <net/if.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "app/clock.h"
#include "app/lines.h"
#include "base/compiler.h"
#include "port/port.h"

enum { TAG_TIMER = 1000, TAG_NEIGHBOUR, EVENTS = 64 };

struct world_port {
	struct port port;
	struct world_port_config cfg; /* targets are not looked at there */
	/* by index of health.h and neighbour.h */
	struct {
		struct world_target is; /* name "": none */
		bool asked; /* else only its link address is looked after */
		bool down; /* as far as the log knows */
	} target[HEALTH_TARGETS];
	struct health *health;
	struct neighbour *neighbour; /* NULL: no device */
	struct lines *lines;
	int timer, epoll;
	sut_time armed;
	struct log_rate said;
	struct port_stats stats;
};

static struct world_port *of(struct port *p)
{
	return (struct world_port *)p;
}

/* A target is up unless it was said that it is down. */
static void log_health(struct world_port *w, unsigned i, bool up, const char *why)
{
	char at[ENDPOINT_TEXT];

	if (w->target[i].down == !up)
		return;
	w->target[i].down = !up;
	if (!log_shows(&w->cfg.log, LOG_NOTICE) || !log_may(&w->said, &w->cfg.log, clock_now()))
		return;
	endpoint_write(&w->target[i].is.at, at);
	if (up)
		log_line(&w->cfg.log, LOG_NOTICE, "backend %s %s is up again", w->target[i].is.name,
			 at);
	else
		log_line(&w->cfg.log, LOG_NOTICE, "backend %s %s is down: %s", w->target[i].is.name,
			 at, why ? why : "failed");
}

static void tell_health(void *ctx, unsigned i, bool up, const char *why)
{
	struct world_port *w = ctx;
	char at[ENDPOINT_TEXT];

	log_health(w, i, up, why);
	endpoint_write(&w->target[i].is.at, at);
	if (!lines_add(w->lines, "backend %s %s %s%s%s", w->target[i].is.name, at,
		       up ? "up" : "down", why ? " " : "", why ? why : ""))
		w->stats.rx_dropped++;
}

static int write_mac(char ret_s[18], const uint8_t m[6])
{
	return snprintf(ret_s, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
			m[5]);
}

static void tell_neighbour(void *ctx, unsigned i, const uint8_t to[6], const uint8_t own[6],
			   unsigned ifindex)
{
	struct world_port *w = ctx;
	char at[ENDPOINT_TEXT], a[18], b[18], number[20] = "";

	endpoint_write(&w->target[i].is.at, at);
	write_mac(a, to);
	write_mac(b, own);
	if (w->cfg.ifindex)
		snprintf(number, sizeof number, " if %u", ifindex);
	if (!lines_add(w->lines, "backend %s %s mac %s via %s%s", w->target[i].is.name, at, a, b,
		       number))
		w->stats.rx_dropped++;
}

/* The timer. */

static sut_time deadline(const struct world_port *w)
{
	sut_time h = health_deadline(w->health),
		 n = w->neighbour ? neighbour_deadline(w->neighbour) : SUT_NEVER;

	return h < n ? h : n;
}

static void arm(struct world_port *w)
{
	sut_time at = deadline(w);
	struct itimerspec t = { 0 };

	if (at == w->armed)
		return;
	w->armed = at;
	if (at != SUT_NEVER) {
		t.it_value.tv_sec = (time_t)(at / 1000000000u);
		t.it_value.tv_nsec = (long)(at % 1000000000u);
		if (at == 0)
			t.it_value.tv_nsec = 1;
	}
	timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void serve(struct world_port *w, uint32_t tag, sut_time now)
{
	uint64_t ticks;

	if (tag == TAG_NEIGHBOUR)
		neighbour_ready(w->neighbour, now);
	else if (tag != TAG_TIMER)
		health_ready(w->health, tag, now);
	else if (read(w->timer, &ticks, sizeof ticks) < 0)
		ticks = 0; /* nothing there is as good */
}

/* The port. */

static int world_recv(struct port *p, struct packet **ret_pkts, unsigned max)
{
	struct world_port *w = of(p);
	struct epoll_event ev[EVENTS];
	sut_time now = clock_now();
	int n;

	if (max == 0)
		return 0;
	n = epoll_wait(w->epoll, ev, EVENTS, 0);
	for (int i = 0; i < n; i++)
		serve(w, ev[i].data.u32, now);
	health_expire(w->health, now);
	if (w->neighbour)
		neighbour_expire(w->neighbour, now);
	arm(w);
	n = (int)lines_take(w->lines, ret_pkts, max);
	w->stats.rx += (uint64_t)n;
	p->more = !lines_are_empty(w->lines);
	return n;
}

/* The target that a line of the role is about, "NAME ADDR:PORT gone": nothing need be known of it any more. */
static void forget(struct world_port *w, const char *name, const char *at)
{
	for (unsigned i = 0; i < HEALTH_TARGETS; i++) {
		char text[ENDPOINT_TEXT];

		endpoint_write(&w->target[i].is.at, text);
		if (w->target[i].asked || strcmp(w->target[i].is.name, name) != 0 ||
		    strcmp(text, at) != 0)
			continue;
		memset(&w->target[i], 0, sizeof w->target[i]);
		if (w->neighbour)
			neighbour_target(w->neighbour, i, NULL, clock_now());
	}
}

static bool is_known(const struct world_port *w, const char *name)
{
	for (unsigned i = 0; i < HEALTH_TARGETS; i++)
		if (strcmp(w->target[i].is.name, name) == 0)
			return true;
	return false;
}

static bool take_line(struct world_port *w, const char *line)
{
	char name[32], at[ENDPOINT_TEXT], word[8];

	if (sscanf(line, "backend %31s %55s %7s", name, at, word) == 3 && strcmp(word, "gone") == 0)
		forget(w, name, at);
	else if (sscanf(line, "backend %31s %7s", name, word) != 2 || strcmp(word, "gone") != 0)
		return false;
	else if (w->cfg.gone && !is_known(w, name))
		w->cfg.gone(w->cfg.ctx, name);
	return true;
}

static int world_send(struct port *p, struct packet *const *pkts, unsigned n)
{
	struct world_port *w = of(p);

	for (unsigned i = 0; i < n; i++) {
		char line[128];

		if (pkts[i]->head_len < sizeof line) {
			memcpy(line, pkts[i]->head, pkts[i]->head_len);
			line[pkts[i]->head_len] = 0;
		}
		if (pkts[i]->head_len < sizeof line && take_line(w, line))
			w->stats.tx++;
		else
			w->stats.tx_dropped++;
	}
	arm(w);
	return (int)n;
}

static sut_time world_when(const struct port *p)
{
	(void)p;
	return SUT_NEVER;
}

static int world_fd(const struct port *p)
{
	return ((const struct world_port *)p)->epoll;
}

static void world_stats(struct port *p, struct port_stats *ret_s)
{
	*ret_s = of(p)->stats;
}

static void world_close(struct port *p)
{
	struct world_port *w = of(p);

	if (w->health)
		health_close(w->health);
	if (w->neighbour)
		neighbour_close(w->neighbour);
	if (w->timer >= 0)
		close(w->timer);
	if (w->epoll >= 0)
		close(w->epoll);
	if (w->lines)
		lines_close(w->lines);
	free(w);
}

static const struct port_ops ops = {
	.recv = world_recv,
	.when = world_when,
	.send = world_send,
	.fd = world_fd,
	.stats = world_stats,
	.close = world_close,
};

/* Opening. */

static int watch(struct world_port *w, int fd, uint32_t tag)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = tag };

	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e) != 0 ? -errno : 0;
}

static struct health_config health_of(const struct world_port *w)
{
	struct health_config h = {
		.interval = w->cfg.interval,
		.timeout = w->cfg.timeout,
		.rise = w->cfg.rise,
		.fall = w->cfg.fall,
		.epoll = w->epoll,
		.tell = tell_health,
		.ctx = (void *)(uintptr_t)w,
	};

	memcpy(h.path, w->cfg.path, sizeof h.path);
	memcpy(h.from, w->cfg.own, sizeof h.from);
	memcpy(h.source, w->cfg.source, sizeof h.source);
	return h;
}

static int open_health(struct world_port *w)
{
	struct health_config h = health_of(w);

	w->health = health_open(&h, clock_now());
	return w->health ? 0 : -ENOMEM;
}

/* Whether it serves: is asked of it, or taken for granted. */
static void ask(struct world_port *w, unsigned i)
{
	w->target[i].asked = true;
	health_target(w->health, i, w->cfg.interval ? &w->target[i].is.at : NULL, clock_now());
	if (w->cfg.interval == 0)
		tell_health(w, i, true, NULL);
}

/* The index of a target; else of a free one, which it takes then; -1. */
static int index_of(struct world_port *w, const struct world_target *t)
{
	int free_one = -1;

	for (int i = (int)HEALTH_TARGETS - 1; i >= 0; i--) {
		const struct world_target *is = &w->target[i].is;

		if (!*is->name)
			free_one = i;
		else if (strcmp(is->name, t->name) == 0 && is->at.port == t->at.port &&
			 memcmp(is->at.ip, t->at.ip, 16) == 0)
			return i;
	}
	if (free_one < 0)
		return -1;
	w->target[free_one].is = *t;
	if (w->neighbour)
		neighbour_target(w->neighbour, (unsigned)free_one, t->at.ip, clock_now());
	return free_one;
}

/* These are asked from now on, and no others. */
static void set_targets(struct world_port *w, const struct world_target *t, unsigned n, bool anew)
{
	bool wanted[HEALTH_TARGETS] = { false };

	for (unsigned k = 0; k < n; k++) {
		int i = index_of(w, &t[k]);

		if (i < 0) {
			w->stats.rx_dropped++;
			continue;
		}
		wanted[i] = true;
		if (anew || !w->target[i].asked)
			ask(w, (unsigned)i);
	}
	for (unsigned i = 0; i < HEALTH_TARGETS; i++) {
		if (wanted[i] || !w->target[i].asked)
			continue;
		w->target[i].asked = false;
		health_target(w->health, i, NULL, clock_now());
	}
}

void world_port_renew(struct port *p, const struct world_port_config *c)
{
	struct world_port *w = of(p);
	bool anew = !w->cfg.interval != !c->interval || strcmp(w->cfg.path, c->path) != 0;
	struct health_config h;

	memcpy(w->cfg.path, c->path, sizeof w->cfg.path);
	w->cfg.interval = c->interval;
	w->cfg.timeout = c->timeout;
	w->cfg.rise = c->rise;
	w->cfg.fall = c->fall;
	w->cfg.log = c->log;
	h = health_of(w);
	health_tune(w->health, &h);
	set_targets(w, c->target, c->targets, anew);
	p->more = !lines_are_empty(w->lines);
	arm(w);
}

static int open_neighbour(struct world_port *w, char *ret_err, size_t err_size)
{
	struct neighbour_config n = {
		.tell = tell_neighbour,
		.ctx = w,
	};
	int err;

	if (!w->cfg.device)
		return 0;
	snprintf(n.device, sizeof n.device, "%s", w->cfg.device);
	err = neighbour_open(&n, &w->neighbour, ret_err, err_size);
	return err ? err : watch(w, neighbour_fd(w->neighbour), TAG_NEIGHBOUR);
}

static void tell_client(struct world_port *w)
{
	if (w->cfg.client && !lines_add(w->lines, "client if %u", if_nametoindex(w->cfg.client)))
		w->stats.rx_dropped++;
}

static int open_all(struct world_port *w, char *ret_err, size_t err_size)
{
	int err;

	w->lines = lines_open();
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (!w->lines || w->epoll < 0 || w->timer < 0)
		return w->lines ? -errno : -ENOMEM;
	tell_client(w);
	err = watch(w, w->timer, TAG_TIMER);
	if (err == 0)
		err = open_health(w);
	if (err == 0)
		err = open_neighbour(w, ret_err, err_size);
	if (err == 0)
		set_targets(w, w->cfg.target, w->cfg.targets, false);
	return err;
}

int world_port_open(const struct world_port_config *cfg, struct port **ret_p, char *ret_err,
		    size_t err_size)
{
	struct world_port *w = calloc(1, sizeof *w);
	int err;

	if (!w)
		return -ENOMEM;
	w->port.ops = &ops;
	snprintf(w->port.name, sizeof w->port.name, "world");
	w->cfg = *cfg;
	w->timer = w->epoll = -1;
	w->armed = SUT_NEVER;
	*ret_err = 0;
	err = open_all(w, ret_err, err_size);
	if (err) {
		if (!*ret_err)
			snprintf(ret_err, err_size, "world: %s", strerror(-err));
		world_close(&w->port);
		return err;
	}
	w->port.more = !lines_are_empty(w->lines);
	arm(w);
	*ret_p = &w->port;
	return 0;
}
