/* SPDX-License-Identifier: MIT */
/* Commands that ask a running suture something at its control socket (app/control.h): a row each. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "app/control.h"
#include "app/options.h"
#include "cli/command.h"

#define PATIENCE_S 5 /* for the whole of a reply */

struct request {
	const char *command; /* as it is called: "replica failover" */
	const char *line; /* what is sent */
	const char *about;
};

static const struct request failover = {
	.command = "replica failover",
	.line = "failover",
	.about = "Tells a running suture that the primary is dead: from now on the secondary "
		 "serves\n"
		 "the clients.\n",
};

static const struct request checkpoint = {
	.command = "replica checkpoint",
	.line = "checkpoint",
	.about = "Tells a running suture that the secondary has become a copy of the primary.\n",
};

struct control_flags {
	const char *path;
};

static const struct option_desc table[] = {
	{ .name = "control",
	  .kind = OPTION_STRING,
	  OPTION_FIELD(struct control_flags, path),
	  .arg = "PATH",
	  .help = "the socket of the running suture" },
	{ .name = NULL },
};

/* A conversation: what came and is not printed yet. */
struct talk {
	const struct request *what;
	const char *path;
	int fd;
	long long until; /* milliseconds of CLOCK_MONOTONIC */
	char buf[4096];
	size_t len;
};

static int fail(const struct talk *t, const char *why)
{
	fprintf(stderr, "suture %s: %s: %s\n", t->what->command, t->path, why);
	return 1;
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits for the socket: false when the time is over. */
static bool wait_for(const struct talk *t, short events)
{
	struct pollfd p = { .fd = t->fd, .events = events };
	long long left;

	while ((left = t->until - now_ms()) > 0) {
		int n = poll(&p, 1, (int)left);

		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR)
			return false;
	}
	return false;
}

static const char *explain(int err)
{
	switch (err) {
	case ENOENT:
		return "there is no such socket: is suture running with --control?";
	case ECONNREFUSED:
		return "nobody listens there: the suture that made it has ended";
	case EAGAIN:
		return "too many wait there already: try again";
	case EPROTOTYPE:
	case ENOTSOCK:
		return "that is no control socket";
	default:
		return strerror(err);
	}
}

static int open_talk(struct talk *t)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (!*t->path || strlen(t->path) >= sizeof addr.sun_path)
		return fail(t, "this cannot be the path of a socket");
	memcpy(addr.sun_path, t->path, strlen(t->path));
	t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->fd < 0)
		return fail(t, strerror(errno));
	if (connect(t->fd, (struct sockaddr *)&addr, sizeof addr) < 0)
		return fail(t, explain(errno));
	return 0;
}

static int send_line(const struct talk *t)
{
	char line[CONTROL_LINE_MAX];
	int len = snprintf(line, sizeof line, "%s\n", t->what->line);

	if (len >= (int)sizeof line)
		return fail(t, "the command is too long");
	for (int sent = 0; sent < len;) {
		ssize_t n = send(t->fd, line + sent, (size_t)(len - sent), MSG_NOSIGNAL);

		if (n >= 0)
			sent += (int)n;
		else if (errno != EAGAIN && errno != EINTR)
			return fail(t, strerror(errno));
		else if (!wait_for(t, POLLOUT))
			return fail(t, "no answer within 5 s");
	}
	return 0;
}

/* Reads on: 0, or 1 after complaining. */
static int read_more(struct talk *t)
{
	ssize_t n = recv(t->fd, t->buf + t->len, sizeof t->buf - t->len, 0);

	if (n > 0)
		t->len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		return fail(t, n == 0 ? "the answer broke off" : strerror(errno));
	else if (!wait_for(t, POLLIN))
		return fail(t, "no answer within 5 s");
	return 0;
}

/* Prints a line of the reply (its newline is in len): -1 to go on, else the exit code. */
static int show(const struct talk *t, const char *line, size_t len)
{
	if (len > 2 && memcmp(line, "= ", 2) == 0) {
		fwrite(line + 2, 1, len - 2, stdout);
		return -1;
	}
	if (len == 3 && memcmp(line, "ok\n", 3) == 0)
		return 0;
	if (len > 3 && memcmp(line, "ok ", 3) == 0) {
		fwrite(line + 3, 1, len - 3, stdout);
		return 0;
	}
	fprintf(stderr, "suture %s: ", t->what->command);
	if (len > 6 && memcmp(line, "error ", 6) == 0)
		fwrite(line + 6, 1, len - 6, stderr);
	else
		fprintf(stderr, "%s: the answer is not that of a control socket\n", t->path);
	return 1;
}

/* The reply to its end: the exit code. */
static int hear(struct talk *t)
{
	for (;;) {
		char *nl = memchr(t->buf, '\n', t->len);
		size_t len;
		int code;

		if (!nl) {
			if (t->len == sizeof t->buf)
				return fail(t, "a line of the answer is too long");
			if (read_more(t))
				return 1;
			continue;
		}
		len = (size_t)(nl - t->buf) + 1;
		code = show(t, t->buf, len);
		if (code >= 0)
			return code;
		t->len -= len;
		memmove(t->buf, t->buf + len, t->len);
	}
}

static int run(const struct request *what, int argc, char **argv)
{
	struct control_flags flags = { 0 };
	const struct option_group groups[] = { { NULL, table, &flags }, { NULL, NULL, NULL } };
	const struct option_usage usage = {
		.command = what->command,
		.synopsis = "--control PATH",
		.about = what->about,
		.groups = groups,
	};
	struct talk t = { .what = what, .fd = -1, .until = now_ms() + PATIENCE_S * 1000 };
	struct option_args args;
	int code = options_run(&usage, argc, argv, &args);

	if (code >= 0)
		return code;
	if (!flags.path)
		return options_complain(&usage, "--control PATH is missing");
	t.path = flags.path;
	code = open_talk(&t);
	if (code == 0)
		code = send_line(&t);
	if (code == 0)
		code = hear(&t);
	if (t.fd >= 0)
		close(t.fd);
	return code;
}

int cmd_replica_failover(int argc, char **argv)
{
	return run(&failover, argc, argv);
}

int cmd_replica_checkpoint(int argc, char **argv)
{
	return run(&checkpoint, argc, argv);
}
