/* SPDX-License-Identifier: MIT */
/*
 * serve_log - the access log: whole lines, appended; opened anew when it was moved away.
 *
 * Lines wait in a buffer until the end of the turn.  What the file does not take (a full disk, a pipe whose reader sleeps) stays there; when
 * the buffer is full, lines are left out, and counted: never a part of one.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/serve_inside.h"
#include "base/compiler.h"
#include "proto/print.h"

#define BUFFER 65536u
#define LINE_MAX_BYTES 1600u /* a request line of 256 bytes, each of which may take 4 */

bool serve_logs(const struct serve *s)
{
	return s->access.fd >= 0;
}

int access_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		      0666);

	return fd < 0 ? -errno : fd;
}

int access_take(struct serve *s, int fd)
{
	struct access_log *a = &s->access;

	if (fd >= 0 && !a->text)
		a->text = malloc(BUFFER);
	if (fd >= 0 && !a->text) {
		close(fd);
		return -ENOMEM;
	}
	access_flush(s);
	if (a->fd >= 0)
		close(a->fd);
	a->fd = fd;
	if (fd < 0)
		a->len = 0; /* there is to be none */
	return 0;
}

void access_close(struct serve *s)
{
	struct access_log *a = &s->access;

	access_flush(s);
	if (a->fd >= 0 && a->len)
		log_line(&s->log, LOG_ERROR, "access log: the last %zu bytes could not be written",
			 a->len);
	if (a->fd >= 0)
		close(a->fd);
	free(a->text);
	a->text = NULL;
	a->fd = -1;
}

/* All that the file takes now: 0, or -errno. */
static int write_out(struct access_log *a)
{
	size_t done = 0;
	ssize_t n = 0;

	while (done < a->len && n >= 0) {
		n = write(a->fd, a->text + done, a->len - done);
		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 0;
	}
	memmove(a->text, a->text + done, a->len - done);
	a->len -= done;
	return n < 0 ? -errno : 0;
}

void access_flush(struct serve *s)
{
	struct access_log *a = &s->access;
	int err = a->fd >= 0 && a->len ? write_out(a) : 0;

	if (err && !a->failed)
		log_line(&s->log, LOG_ERROR, "access log: %s: %s", s->cfg->flags.access_log,
			 strerror(-err));
	a->failed = err != 0;
	if (err || !a->lost)
		return;
	log_line(&s->log, LOG_ERROR, "access log: %" PRIu64 " lines were left out", a->lost);
	a->lost = 0;
}

/* A line that grows, and is never cut short: its parts have bounds. */
struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
};

static SUT_PRINTF(2, 3) void add(struct line *l, const char *fmt, ...)
{
	size_t room = sizeof l->text - l->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->len, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->len += (size_t)n < room ? (size_t)n : room - 1;
}

/* What a client sent, as it may stand between quotes. */
static void add_quoted(struct line *l, const char *s)
{
	add(l, "\"");
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
			add(l, "\\x%02x", c);
		else
			add(l, "%c", c);
	}
	add(l, "\"");
}

static void keep(struct access_log *a, const struct line *l)
{
	if (l->len > BUFFER - a->len) {
		a->lost++;
		return;
	}
	memcpy(a->text + a->len, l->text, l->len);
	a->len += l->len;
}

void serve_log_access(struct serve *s, const struct serve_conn *c, const char *what,
		      unsigned status, uint64_t bytes, const char *cut)
{
	time_t t = (time_t)serve_wall(s);
	struct conn_info info = { 0 };
	struct line l = { .len = 0 };
	char addr[46], date[40];
	struct tm tm = { 0 };

	if (!serve_logs(s))
		return;
	gmtime_r(&t, &tm);
	strftime(date, sizeof date, "%d/%b/%Y:%H:%M:%S +0000", &tm);
	print_addr(c->peer.ip, addr, sizeof addr);
	(void)stack_info(s->stack, c->id, s->now, &info);
	add(&l, "%s - - [%s] ", addr, date);
	add_quoted(&l, what);
	if (status)
		add(&l, " %u", status);
	else
		add(&l, " -");
	add(&l, " %" PRIu64 " srtt=%" PRIu32 "us retrans=%" PRIu32, bytes, info.srtt_us,
	    info.retrans_segs);
	if (cut)
		add(&l, " cut=%s", cut);
	add(&l, "\n");
	keep(&s->access, &l);
	if (s->access.len > BUFFER / 2)
		access_flush(s);
}
