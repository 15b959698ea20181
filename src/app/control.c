/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A client is in one of two states: it has a reply that is not written yet, or it has none.  With one, only writing is waited for:
 * the next command stays in the client's own buffers.  Without one, bytes are read until there is a line; a line is answered, and what
 * the socket takes of the reply is written at once.  A turn answers one line of each client, so nobody can keep the loop for long.
 *
 * All descriptors are in an epoll set of our own, whose descriptor is in the engine's loop.
 */
#include "app/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define TAG_LISTENER CONTROL_CLIENTS
#define LOCK_TRIES 50u
#define LOCK_PAUSE_US 10000

struct client {
	int fd; /* -1: unused */
	uint64_t active; /* control.turn when it last did something */
	bool ended; /* it sends no more */
	bool closing; /* to be closed once its reply is written */
	bool waits_out; /* as the epoll set knows it */
	uint32_t in_len;
	char in[CONTROL_LINE_MAX];
	struct control_reply out;
	size_t sent;
};

struct control {
	int epoll, listener;
	int spare; /* given up to refuse a client when descriptors run out */
	uint64_t turn;
	struct sockaddr_un addr;
	struct stat file; /* as it was made */
	struct client client[CONTROL_CLIENTS];
};

/* Opening. */

static int complain(char *ret_err, size_t size, const char *path, const char *what)
{
	snprintf(ret_err, size, "control socket %s: %s", path, what);
	return -1;
}

/*
 * Nobody else looks for a stale file while the directory is locked; where it cannot be, never mind.  Others lock directories too, for
 * reasons and times of their own: they are not waited for.
 */
static int lock_directory(const char *path)
{
	char dir[sizeof((struct sockaddr_un *)0)->sun_path];
	char *slash;
	int fd;

	snprintf(dir, sizeof dir, "%s", path);
	slash = strrchr(dir, '/');
	if (!slash)
		snprintf(dir, sizeof dir, ".");
	else if (slash == dir)
		dir[1] = 0;
	else
		*slash = 0;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (unsigned i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; i++)
		(void)usleep(LOCK_PAUSE_US);
	return fd;
}

/* 0 if the file at the address is a socket where nobody listens, else -errno. */
static int check_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd, err = 0;

	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)addr, sizeof *addr) == 0 || errno == EAGAIN)
		err = -EADDRINUSE;
	else if (errno != ECONNREFUSED)
		err = errno == EPROTOTYPE ? -EEXIST : -errno;
	close(fd);
	return err;
}

/* Binds where nothing is, or only a stale file. */
static int bind_fresh(int fd, const struct sockaddr_un *addr)
{
	int err;

	/* the file is made with the descriptor's mode: there is no moment in which others could connect */
	if (fchmod(fd, 0600) < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)addr, sizeof *addr) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	err = check_stale(addr);
	if (err)
		return err;
	if (unlink(addr->sun_path) < 0 && errno != ENOENT)
		return -errno;
	return bind(fd, (const struct sockaddr *)addr, sizeof *addr) < 0 ? -errno : 0;
}

static int open_listener(struct control *c)
{
	int lock, err;

	c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->listener < 0)
		return -errno;
	lock = lock_directory(c->addr.sun_path);
	err = bind_fresh(c->listener, &c->addr);
	if (err == 0 &&
	    (listen(c->listener, CONTROL_CLIENTS) < 0 || lstat(c->addr.sun_path, &c->file) < 0))
		err = -errno;
	if (lock >= 0)
		close(lock);
	return err;
}

static int watch(struct control *c, int fd, uint32_t tag)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = tag };

	return epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int open_all(struct control *c)
{
	int err = open_listener(c);

	if (err)
		return err;
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (c->epoll < 0)
		return -errno;
	return watch(c, c->listener, TAG_LISTENER);
}

static const char *explain(int err)
{
	if (err == -EADDRINUSE)
		return "a running suture listens there: choose another path, or end that one";
	if (err == -EEXIST)
		return "there is a file that is no control socket: choose another path";
	return strerror(-err);
}

int control_check(const char *path, char *ret_err, size_t err_size)
{
	if (*path && strlen(path) < sizeof((struct sockaddr_un *)0)->sun_path)
		return 0;
	snprintf(ret_err, err_size,
		 *path ? "'%s' cannot be the path of a socket: it is longer than 107 bytes"
		       : "'%s' cannot be the path of a socket",
		 path);
	return -EINVAL;
}

int control_open(const char *path, struct control **ret_c, char *ret_err, size_t err_size)
{
	struct control *c;
	int err;

	if (!*path || strlen(path) >= sizeof c->addr.sun_path) {
		complain(ret_err, err_size, path,
			 *path ? "the path is longer than 107 bytes" : "no path is given");
		return *path ? -ENAMETOOLONG : -EINVAL;
	}
	c = calloc(1, sizeof *c);
	if (!c)
		return complain(ret_err, err_size, path, "out of memory"), -ENOMEM;
	c->epoll = c->listener = c->spare = -1;
	c->addr.sun_family = AF_UNIX;
	memcpy(c->addr.sun_path, path, strlen(path));
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		c->client[i].fd = -1;
	err = open_all(c);
	if (err) {
		complain(ret_err, err_size, path, explain(err));
		control_close(c);
		return err;
	}
	*ret_c = c;
	return 0;
}

static void drop(struct client *k)
{
	close(k->fd);
	k->fd = -1;
	reply_free(&k->out);
}

void control_close(struct control *c)
{
	struct stat now;

	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		if (c->client[i].fd >= 0)
			drop(&c->client[i]);
	if (c->file.st_ino && lstat(c->addr.sun_path, &now) == 0 && now.st_ino == c->file.st_ino &&
	    now.st_dev == c->file.st_dev)
		unlink(c->addr.sun_path);
	if (c->listener >= 0)
		close(c->listener);
	if (c->epoll >= 0)
		close(c->epoll);
	if (c->spare >= 0)
		close(c->spare);
	free(c);
}

int control_fd(const struct control *c)
{
	return c->epoll;
}

/* Clients. */

/* A place for one more: a free one, or that of the client that was silent for longest. */
static struct client *place(struct control *c)
{
	struct client *oldest = &c->client[0];

	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		struct client *k = &c->client[i];

		if (k->fd < 0)
			return k;
		if (k->active < oldest->active)
			oldest = k;
	}
	drop(oldest);
	return oldest;
}

static void welcome(struct control *c, int fd)
{
	struct client *k = place(c);

	*k = (struct client){ .fd = fd, .active = ++c->turn };
	if (watch(c, fd, (uint32_t)(k - c->client)) != 0)
		drop(k);
}

/* Out of descriptors: the one that waits is refused, or it would wake us for ever. */
static void refuse(struct control *c)
{
	int fd;

	if (c->spare < 0)
		return;
	close(c->spare);
	fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	c->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void accept_clients(struct control *c)
{
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		int fd = accept4(c->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
			welcome(c, fd);
		else if (errno == EMFILE || errno == ENFILE)
			refuse(c);
		else if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static bool has_reply(const struct client *k)
{
	return k->sent < k->out.len;
}

static bool has_line(const struct client *k)
{
	return memchr(k->in, '\n', k->in_len) != NULL;
}

static void read_some(struct control *c, struct client *k)
{
	ssize_t n;

	if (k->in_len == sizeof k->in || k->ended)
		return;
	n = recv(k->fd, k->in + k->in_len, sizeof k->in - k->in_len, 0);
	if (n > 0) {
		k->in_len += (uint32_t)n;
		k->active = ++c->turn;
	} else if (n == 0) {
		k->ended = true;
	} else if (errno != EAGAIN && errno != EINTR) {
		k->ended = true;
		k->in_len = 0;
	}
}

static void write_some(struct control *c, struct client *k)
{
	ssize_t n = send(k->fd, k->out.text + k->sent, k->out.len - k->sent, MSG_NOSIGNAL);

	if (n > 0) {
		k->sent += (size_t)n;
		k->active = ++c->turn;
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		k->sent = k->out.len;
		k->closing = true;
	}
	if (k->sent == k->out.len) {
		reply_free(&k->out);
		k->sent = 0;
	}
}

/* Takes the first line out of the buffer; false if a byte of it is no text. */
static bool take_line(struct client *k, char ret_line[CONTROL_LINE_MAX])
{
	size_t len = (size_t)((char *)memchr(k->in, '\n', k->in_len) - k->in), n = 0;
	bool text = true, blank = false;

	for (size_t i = 0; i < len; i++) {
		unsigned char ch = (unsigned char)k->in[i];

		if (ch == ' ' || ch == '\t' || (ch == '\r' && i + 1 == len)) {
			blank = n > 0;
			continue;
		}
		text &= ch >= 0x20 && ch != 0x7f;
		if (blank)
			ret_line[n++] = ' ';
		ret_line[n++] = k->in[i];
		blank = false;
	}
	ret_line[n] = 0;
	k->in_len -= (uint32_t)(len + 1);
	memmove(k->in, k->in + len + 1, k->in_len);
	return text;
}

static void answer(struct client *k, control_fn *fn, void *ctx)
{
	char line[CONTROL_LINE_MAX];

	if (!take_line(k, line))
		reply_error(&k->out, "the command is not a line of text");
	else if (!*line)
		reply_error(&k->out, "no command was given");
	else
		fn(ctx, line, &k->out);
	if (!k->out.ended)
		reply_error(&k->out, "nobody answered");
}

/* Answers what can be answered: at most one line. */
static void serve(struct control *c, struct client *k, control_fn *fn, void *ctx)
{
	if (!has_reply(k) && !k->closing) {
		if (has_line(k)) {
			answer(k, fn, ctx);
		} else if (k->in_len == sizeof k->in) {
			reply_error(&k->out, "the line is longer than %u bytes", CONTROL_LINE_MAX);
			k->closing = true;
		}
		if (has_reply(k))
			write_some(c, k);
	}
	if (!has_reply(k) && (k->closing || (k->ended && !has_line(k))))
		drop(k);
}

/* Waits for writing while there is a reply, else for reading. */
static void update_watch(struct control *c, struct client *k)
{
	struct epoll_event ev = { .data.u32 = (uint32_t)(k - c->client) };

	if (k->waits_out == has_reply(k))
		return;
	k->waits_out = has_reply(k);
	ev.events = k->waits_out ? EPOLLOUT : EPOLLIN;
	if (epoll_ctl(c->epoll, EPOLL_CTL_MOD, k->fd, &ev) < 0)
		drop(k);
}

bool control_serve(struct control *c, control_fn *fn, void *ctx)
{
	struct epoll_event ev[CONTROL_CLIENTS + 1];
	int n = epoll_wait(c->epoll, ev, CONTROL_CLIENTS + 1, 0);
	bool more = false;

	for (int i = 0; i < n; i++) {
		struct client *k = &c->client[ev[i].data.u32 % CONTROL_CLIENTS];

		if (ev[i].data.u32 == TAG_LISTENER)
			accept_clients(c);
		else if (k->fd >= 0 && has_reply(k))
			write_some(c, k);
		else if (k->fd >= 0)
			read_some(c, k);
	}
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		struct client *k = &c->client[i];

		if (k->fd >= 0)
			serve(c, k, fn, ctx);
		if (k->fd >= 0)
			update_watch(c, k);
		more |= k->fd >= 0 && !has_reply(k) && has_line(k);
	}
	return more;
}
