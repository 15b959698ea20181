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
	struct world_port_config cfg;
	struct health *health; /* NULL: no checks */
	struct neighbour *neighbour; /* NULL: no device */
	struct lines *lines;
	int timer, epoll;
	sut_time armed;
	struct port_stats stats;
};

static struct world_port *of(struct port *p)
{
	return (struct world_port *)p;
}

static void tell_health(void *ctx, unsigned i, bool up, const char *why)
{
	struct world_port *w = ctx;
	char at[ENDPOINT_TEXT];

	endpoint_write(&w->cfg.target[i].at, at);
	if (!lines_add(w->lines, "backend %s %s %s%s%s", w->cfg.target[i].name, at,
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

	endpoint_write(&w->cfg.target[i].at, at);
	write_mac(a, to);
	write_mac(b, own);
	if (w->cfg.ifindex)
		snprintf(number, sizeof number, " if %u", ifindex);
	if (!lines_add(w->lines, "backend %s %s mac %s via %s%s", w->cfg.target[i].name, at, a, b,
		       number))
		w->stats.rx_dropped++;
}

/* The timer. */

static sut_time deadline(const struct world_port *w)
{
	sut_time h = w->health ? health_deadline(w->health) : SUT_NEVER,
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
	if (w->health)
		health_expire(w->health, now);
	if (w->neighbour)
		neighbour_expire(w->neighbour, now);
	arm(w);
	n = (int)lines_take(w->lines, ret_pkts, max);
	w->stats.rx += (uint64_t)n;
	p->more = !lines_are_empty(w->lines);
	return n;
}

/* Nobody listens here. */
static int world_send(struct port *p, struct packet *const *pkts, unsigned n)
{
	(void)pkts;
	of(p)->stats.tx_dropped += n;
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

static int open_health(struct world_port *w)
{
	struct health_config h = {
		.path = w->cfg.path,
		.interval = w->cfg.interval,
		.timeout = w->cfg.timeout,
		.rise = w->cfg.rise,
		.fall = w->cfg.fall,
		.targets = w->cfg.targets,
		.epoll = w->epoll,
		.tell = tell_health,
		.ctx = w,
	};

	memcpy(h.from, w->cfg.own, sizeof h.from);
	if (w->cfg.interval == 0) {
		for (unsigned i = 0; i < w->cfg.targets; i++)
			tell_health(w, i, true, NULL);
		return 0;
	}
	for (unsigned i = 0; i < w->cfg.targets; i++)
		h.target[i] = w->cfg.target[i].at;
	memcpy(h.source, w->cfg.source, sizeof h.source);
	w->health = health_open(&h, clock_now());
	return w->health ? 0 : -ENOMEM;
}

static int open_neighbour(struct world_port *w, char *ret_err, size_t err_size)
{
	struct neighbour_config n = {
		.targets = w->cfg.targets,
		.tell = tell_neighbour,
		.ctx = w,
	};
	int err;

	if (!w->cfg.device)
		return 0;
	snprintf(n.device, sizeof n.device, "%s", w->cfg.device);
	for (unsigned i = 0; i < w->cfg.targets; i++)
		memcpy(n.target[i], w->cfg.target[i].at.ip, 16);
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
	return err ? err : open_neighbour(w, ret_err, err_size);
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
