/* SPDX-License-Identifier: MIT */
#include "port/stream_sock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/compiler.h"

/* A host that has vanished is noticed after about 11 s without an answer, whether something waits to be sent or not. */
#define KEEP_IDLE 5
#define KEEP_EVERY 2
#define KEEP_COUNT 3
#define USER_TIMEOUT_MS 11000

static int resolve_local(struct stream_sock *s)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&s->target[0].addr;

	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, s->addr->path, strlen(s->addr->path) + 1);
	s->target[0].len = sizeof *un;
	s->targets = 1;
	return 0;
}

static int resolve_inet(struct stream_sock *s, char *ret_err, size_t err_size)
{
	const struct qemu_addr *a = s->addr;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *list;
	int e;

	if (a->listen)
		hints.ai_flags |= AI_PASSIVE;
	e = getaddrinfo(*a->host ? a->host : NULL, a->port, &hints, &list);
	if (e) {
		snprintf(ret_err, err_size, "the name %s cannot be resolved: %s", a->host,
			 e == EAI_SYSTEM ? strerror(errno) : gai_strerror(e));
		return -EADDRNOTAVAIL;
	}
	for (struct addrinfo *i = list; i && s->targets < STREAM_TARGETS; i = i->ai_next) {
		struct stream_target *t = &s->target[s->targets++];

		memcpy(&t->addr, i->ai_addr, i->ai_addrlen);
		t->len = i->ai_addrlen;
	}
	freeaddrinfo(list);
	return 0;
}

int stream_sock_open(struct stream_sock *s, const struct qemu_addr *a, char *ret_err,
		     size_t err_size)
{
	*s = (struct stream_sock){ .addr = a };
	return a->local ? resolve_local(s) : resolve_inet(s, ret_err, err_size);
}

static void set(int fd, int level, int option, int value)
{
	/* what the kernel does not know here costs no correctness */
	(void)setsockopt(fd, level, option, &value, sizeof value);
}

static void tune(const struct stream_sock *s, int fd)
{
	if (s->addr->local)
		return;
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEP_EVERY);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEP_COUNT);
	set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
}

static int new_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

static const struct sockaddr *addr_of(const struct stream_target *t)
{
	return (const struct sockaddr *)&t->addr;
}

/* Makes way for a listener at s's path: 0 if nothing or nobody is there any more, or -errno. */
static int clear_path(const struct stream_sock *s)
{
	const struct stream_target *t = &s->target[0];
	struct stat st;
	int fd, err;

	if (lstat(s->addr->path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = new_socket(AF_UNIX);
	if (fd < 0)
		return fd;
	err = connect(fd, addr_of(t), t->len) == 0 ? EADDRINUSE : errno;
	close(fd);
	if (err != ECONNREFUSED)
		return err == EAGAIN ? -EADDRINUSE : -err;
	return unlink(s->addr->path) == 0 ? 0 : -errno;
}

/* Binds fd to t and listens: 0 or -errno. */
static int bind_listen(struct stream_sock *s, int fd, const struct stream_target *t)
{
	struct stat st;

	if (!s->addr->local)
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (t->addr.ss_family == AF_INET6)
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, *s->addr->host != '\0');
	if (bind(fd, addr_of(t), t->len) < 0)
		return -errno;
	if (s->addr->local && lstat(s->addr->path, &st) == 0) {
		s->made = true;
		s->dev = st.st_dev;
		s->ino = st.st_ino;
	}
	return listen(fd, 8) < 0 ? -errno : 0;
}

static int listen_at(struct stream_sock *s, const struct stream_target *t)
{
	int fd = new_socket(t->addr.ss_family), err;

	if (fd < 0)
		return fd;
	err = bind_listen(s, fd, t);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* Any address: one IPv6 socket takes IPv4 too, so that family comes first. */
static int listen_any(struct stream_sock *s)
{
	int err = -EADDRNOTAVAIL;

	for (unsigned want6 = 2; want6-- > 0;) {
		for (unsigned i = 0; i < s->targets; i++) {
			const struct stream_target *t = &s->target[i];

			if ((t->addr.ss_family == AF_INET6) != (want6 == 1) && !*s->addr->host)
				continue;
			err = listen_at(s, t);
			if (err >= 0)
				return err;
		}
	}
	return err;
}

static void say_listen_error(const struct stream_sock *s, int err, char *ret_err, size_t err_size)
{
	const struct qemu_addr *a = s->addr;

	if (a->local && err == -EEXIST)
		snprintf(ret_err, err_size, "%s is there and is no socket: choose another path",
			 a->path);
	else if (a->local && err == -EADDRINUSE)
		snprintf(ret_err, err_size, "another program listens on %s: end it first", a->path);
	else if (a->local)
		snprintf(ret_err, err_size, "cannot listen on %s: %s", a->path, strerror(-err));
	else
		snprintf(ret_err, err_size, "cannot listen on %s port %s: %s",
			 *a->host ? a->host : "any address", a->port, strerror(-err));
}

int stream_sock_listen(struct stream_sock *s, char *ret_err, size_t err_size)
{
	int err = s->addr->local ? clear_path(s) : 0;

	if (err == 0)
		err = listen_any(s);
	if (err < 0)
		say_listen_error(s, err, ret_err, err_size);
	return err;
}

void stream_sock_unlisten(struct stream_sock *s)
{
	struct stat st;

	if (s->made && lstat(s->addr->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->addr->path);
	s->made = false;
}

int stream_sock_connect(const struct stream_sock *s, unsigned i)
{
	const struct stream_target *t = &s->target[i];
	int fd = new_socket(t->addr.ss_family), err;

	if (fd < 0)
		return fd;
	tune(s, fd);
	if (connect(fd, addr_of(t), t->len) < 0 && errno != EINPROGRESS) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* A TCP that connects to a free port of its own host may meet itself there. */
static bool is_self(int fd)
{
	struct sockaddr_storage a = { 0 }, b = { 0 };
	socklen_t na = sizeof a, nb = sizeof b;

	return getsockname(fd, (struct sockaddr *)&a, &na) == 0 && a.ss_family != AF_UNIX &&
	       getpeername(fd, (struct sockaddr *)&b, &nb) == 0 && na == nb &&
	       memcmp(&a, &b, na) == 0;
}

int stream_sock_connected(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = 0;

	if (poll(&p, 1, 0) <= 0)
		return -EINPROGRESS;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	if (err)
		return -err;
	return is_self(fd) ? -ECONNREFUSED : 0;
}

int stream_sock_accept(const struct stream_sock *s, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return -errno;
	tune(s, fd);
	return fd;
}
