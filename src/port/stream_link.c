/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The engine waits on one descriptor for the port's life, while sockets come and go.  So that one is an epoll instance, and in it are
 * the connection, the listener, a timer, and an eventfd by which the port says that it has more to deliver from its buffer.  Nobody ever
 * asks it which of them is ready: each state knows what to try, and trying costs little.
 *
 *     connecting   LINK_WAIT ── timer ──► LINK_CONNECTING ──► LINK_UP ── end, error ──► LINK_WAIT
 *                      ▲─── refused, or no answer in time ───┘
 *     listening    LINK_WAIT ── a peer came ──► LINK_UP ── end, error ──► LINK_WAIT
 *
 * The pause grows only while nothing useful came of the connections: an end that accepts and closes at once is not hurried.
 *
 * A listener has one peer at a time.  A second one is closed at once, and counted.  It could wait in the backlog instead, but there it
 * would look connected: its owner would see nothing wrong while its frames stand still (and QEMU waits in a write to a
 * character device, with all of the guest).  A refusal is seen at both ends, and whoever is refused tries again.
 *
 * accept fails for want of descriptors with the peer still waiting, which would be reported for ever: then nobody listens for a while.
 */
#include "port/stream_link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

const struct stream_times stream_times_default = {
	.retry_first = 100,
	.retry_most = 1000,
	.connect = 3000,
	.deaf = 1000,
	.stuck = 1000,
};

static int watch(struct stream_link *l, int op, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events };

	return epoll_ctl(l->fd, op, fd, &ev) < 0 ? -errno : 0;
}

void stream_link_set_timer(struct stream_link *l, unsigned ms)
{
	struct itimerspec t = {
		.it_value = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 },
	};

	timerfd_settime(l->timer, 0, &t, NULL);
}

bool stream_link_fired(struct stream_link *l)
{
	uint64_t count;

	return read(l->timer, &count, sizeof count) == sizeof count;
}

void stream_link_set_ready(struct stream_link *l, bool ready)
{
	uint64_t count = 1;
	ssize_t n;

	if (ready == l->ready)
		return;
	l->ready = ready;
	if (ready)
		n = write(l->event, &count, sizeof count);
	else
		n = read(l->event, &count, sizeof count);
	(void)n; /* the counter goes from 0 to 1 and back */
}

void stream_link_want_out(struct stream_link *l, bool want)
{
	if (want == l->wants_out)
		return;
	l->wants_out = want;
	watch(l, EPOLL_CTL_MOD, l->conn, want ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void set_deaf(struct stream_link *l, bool deaf)
{
	if (deaf == l->deaf)
		return;
	l->deaf = deaf;
	watch(l, EPOLL_CTL_MOD, l->listener, deaf ? 0 : EPOLLIN);
}

static void say(struct stream_link *l, const char *what, const char *more)
{
	snprintf(l->why, sizeof l->why, "%s: %s", what, more);
}

static void hang_up(struct stream_link *l)
{
	if (l->conn >= 0)
		close(l->conn); /* which takes it out of the epoll instance */
	l->conn = -1;
	l->state = LINK_WAIT;
	l->wants_out = false;
}

/* After a pause, which is longer the next time. */
static void wait_a_while(struct stream_link *l)
{
	stream_link_set_timer(l, l->retry);
	l->retry = l->retry * 2 < l->times.retry_most ? l->retry * 2 : l->times.retry_most;
}

/* The connection could not be made: the next address at once, and after the last one a pause. */
static void try_failed(struct stream_link *l, int err)
{
	say(l, "connect", strerror(-err));
	hang_up(l);
	if (++l->target < l->sock.targets) {
		stream_link_set_timer(l, 1);
		return;
	}
	l->target = 0;
	wait_a_while(l);
}

static void came_up(struct stream_link *l)
{
	int err = watch(l, l->state == LINK_CONNECTING ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, l->conn,
			EPOLLIN);

	if (err) {
		try_failed(l, err);
		return;
	}
	stream_link_set_timer(l, 0);
	l->state = LINK_UP;
	l->ups++;
}

/* Is the connection that was begun there by now? */
static void look(struct stream_link *l)
{
	int err = stream_sock_connected(l->conn);

	if (err == 0)
		came_up(l);
	else if (err != -EINPROGRESS)
		try_failed(l, err);
	else if (stream_link_fired(l))
		try_failed(l, -ETIMEDOUT);
}

static void begin(struct stream_link *l)
{
	int fd = stream_sock_connect(&l->sock, l->target), err;

	if (fd < 0) {
		try_failed(l, fd);
		return;
	}
	l->conn = fd;
	err = watch(l, EPOLL_CTL_ADD, fd, EPOLLOUT);
	if (err) {
		try_failed(l, err);
		return;
	}
	l->state = LINK_CONNECTING;
	stream_link_set_timer(l, l->times.connect);
	look(l);
}

/* Takes the next peer: its descriptor, or -errno. */
static int next_peer(struct stream_link *l)
{
	int fd = stream_sock_accept(&l->sock, l->listener);

	if (fd < 0 && fd != -EAGAIN && fd != -EINTR && fd != -ECONNABORTED) {
		say(l, "accept", strerror(-fd));
		set_deaf(l, true);
	}
	return fd;
}

static void receive_peer(struct stream_link *l)
{
	if (l->deaf && stream_link_fired(l))
		set_deaf(l, false);
	l->conn = next_peer(l);
	if (l->conn >= 0)
		came_up(l);
	else if (l->deaf)
		stream_link_set_timer(l, l->times.deaf);
}

bool stream_link_step(struct stream_link *l)
{
	if (l->addr.listen)
		receive_peer(l);
	else if (l->state == LINK_CONNECTING)
		look(l);
	else if (stream_link_fired(l))
		begin(l);
	return l->state == LINK_UP;
}

void stream_link_drop(struct stream_link *l, const char *what, const char *more)
{
	say(l, what, more);
	hang_up(l);
	stream_link_set_ready(l, false);
	stream_link_set_timer(l, 0);
	if (l->addr.listen)
		set_deaf(l, false);
	else
		wait_a_while(l);
}

void stream_link_refuse(struct stream_link *l)
{
	int fd;

	if (!l->addr.listen || l->deaf)
		return;
	while ((fd = next_peer(l)) >= 0) {
		close(fd);
		l->refused++;
	}
}

static int open_fds(struct stream_link *l)
{
	int err;

	l->fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->fd < 0)
		return -errno;
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->timer < 0)
		return -errno;
	l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->event < 0)
		return -errno;
	err = watch(l, EPOLL_CTL_ADD, l->timer, EPOLLIN);
	return err ? err : watch(l, EPOLL_CTL_ADD, l->event, EPOLLIN);
}

static int open_listener(struct stream_link *l, char *ret_err, size_t err_size)
{
	int err;

	l->listener = stream_sock_listen(&l->sock, ret_err, err_size);
	if (l->listener < 0)
		return l->listener;
	err = watch(l, EPOLL_CTL_ADD, l->listener, EPOLLIN);
	if (err)
		snprintf(ret_err, err_size, "listen: %s", strerror(-err));
	return err;
}

int stream_link_open(struct stream_link *l, const struct qemu_addr *a, char *ret_err,
		     size_t err_size)
{
	int err;

	*l = (struct stream_link){
		.addr = *a,
		.times = stream_times_default,
		.retry = stream_times_default.retry_first,
		.fd = -1,
		.timer = -1,
		.event = -1,
		.listener = -1,
		.conn = -1,
	};
	err = open_fds(l);
	if (err)
		snprintf(ret_err, err_size, "descriptors: %s", strerror(-err));
	else
		err = stream_sock_open(&l->sock, &l->addr, ret_err, err_size);
	if (err == 0 && a->listen)
		err = open_listener(l, ret_err, err_size);
	else if (err == 0)
		begin(l);
	if (err)
		stream_link_close(l);
	return err;
}

void stream_link_close(struct stream_link *l)
{
	int fds[] = { l->conn, l->listener, l->event, l->timer, l->fd };

	stream_sock_unlisten(&l->sock);
	for (unsigned i = 0; i < sizeof fds / sizeof fds[0]; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}
