/* SPDX-License-Identifier: MIT */
#include "app/control_client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "app/control.h"

#define PATIENCE_MS 5000 /* for the whole of a reply */

static int fail(struct control_client *c, const char *why)
{
	snprintf(c->error, sizeof c->error, "%s: %s", c->path, why);
	return -1;
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits for the socket: false when the time is over. */
static bool wait_for(const struct control_client *c, short events, long long until)
{
	struct pollfd p = { .fd = c->fd, .events = events };
	long long left;

	while ((left = until - now_ms()) > 0) {
		int n = poll(&p, 1, (int)left);

		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR)
			return false;
	}
	return false;
}

/* Connecting to what is no socket is refused as well. */
static const char *explain_refusal(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0 || S_ISSOCK(st.st_mode))
		return "nobody listens there: the suture that made this socket has ended; start "
		       "one with "
		       "--control";
	return "that is no socket: give the path that the running suture has behind --control";
}

static const char *explain(int err, const char *path)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
		return "there is no such socket: is suture running with --control?";
	case ECONNREFUSED:
		return explain_refusal(path);
	case EACCES:
	case EPERM:
		return "permission is refused: the socket is for the user alone that runs suture; "
		       "ask as "
		       "that one, or as root";
	case EAGAIN:
		return "too many wait there already: try again";
	case EPIPE:
	case ECONNRESET:
		return "the suture that listened there has ended";
	case EPROTOTYPE:
	case ENOTSOCK:
		return "that is a socket of another kind, and no control socket";
	default:
		return strerror(err);
	}
}

int control_connect(struct control_client *c, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	c->fd = -1;
	c->path = path;
	c->len = 0;
	if (!*path || strlen(path) >= sizeof addr.sun_path)
		return fail(c, "this cannot be the path of a socket");
	memcpy(addr.sun_path, path, strlen(path));
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return fail(c, strerror(errno));
	if (connect(c->fd, (struct sockaddr *)&addr, sizeof addr) == 0)
		return 0;
	(void)fail(c, explain(errno, c->path));
	control_disconnect(c);
	return -1;
}

void control_disconnect(struct control_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static int send_line(struct control_client *c, const char *text, long long until)
{
	char line[CONTROL_LINE_MAX];
	int len = snprintf(line, sizeof line, "%s\n", text);

	if (len >= (int)sizeof line)
		return fail(c, "the command is too long");
	for (int sent = 0; sent < len;) {
		ssize_t n = send(c->fd, line + sent, (size_t)(len - sent), MSG_NOSIGNAL);

		if (n >= 0)
			sent += (int)n;
		else if (errno != EAGAIN && errno != EINTR)
			return fail(c, explain(errno, c->path));
		else if (!wait_for(c, POLLOUT, until))
			return fail(c, "no answer within 5 s");
	}
	return 0;
}

static int read_more(struct control_client *c, long long until)
{
	ssize_t n = recv(c->fd, c->buf + c->len, sizeof c->buf - c->len, 0);

	if (n > 0)
		c->len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		return fail(c, n == 0 ? "the answer broke off" : explain(errno, c->path));
	else if (!wait_for(c, POLLIN, until))
		return fail(c, "no answer within 5 s");
	return 0;
}

/* One line of the reply, its end a zero: 2 to go on, else as control_ask. */
static int take(struct control_client *c, char *line, control_line_fn *fn, void *ctx,
		char *ret_text, size_t size)
{
	if (strncmp(line, "= ", 2) == 0) {
		if (fn)
			fn(ctx, line + 2);
		return 2;
	}
	if (strcmp(line, "ok") == 0 || strncmp(line, "ok ", 3) == 0) {
		snprintf(ret_text, size, "%s", line[2] ? line + 3 : "");
		return 0;
	}
	if (strncmp(line, "error ", 6) == 0) {
		snprintf(c->error, sizeof c->error, "%s", line + 6);
		return 1;
	}
	return fail(c, "the answer is not that of a control socket");
}

int control_ask(struct control_client *c, const char *line, control_line_fn *fn, void *ctx,
		char *ret_text, size_t size)
{
	long long until = now_ms() + PATIENCE_MS;
	int code = send_line(c, line, until);

	while (code == 0) {
		char *nl = memchr(c->buf, '\n', c->len);
		size_t used;

		if (!nl) {
			if (c->len == sizeof c->buf)
				return fail(c, "a line of the answer is too long");
			code = read_more(c, until);
			continue;
		}
		*nl = 0;
		code = take(c, c->buf, fn, ctx, ret_text, size);
		used = (size_t)(nl - c->buf) + 1;
		c->len -= used;
		memmove(c->buf, c->buf + used, c->len);
		if (code != 2)
			return code;
		code = 0;
	}
	return -1;
}
