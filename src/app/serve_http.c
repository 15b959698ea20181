/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A request's head stays in the connection's receive buffer until it is whole: so a connection that waits costs nothing here, and a second
 * request behind the first (pipelining) waits there too.  Then it is answered: a head is made, and with a file bytes go from the file to the send
 * buffer as there is room.  One answer at a time; when it is out, the next head is looked at.
 *
 * Paths are opened by openat2(RESOLVE_BENEATH): the kernel itself refuses whatever leads out of the directory, be it "..", a
 * symbolic link, or one that is put there in between.
 *
 * The idle time is for a head to come whole, from when it was waited for; and for an answer, from when some of it last went out.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "app/serve_service.h"
#include "base/compiler.h"

#define TAG_MAX 40u
#define SAIDS_MAX 1024u /* answers of a connection that wait for their line in the access log */

/* Files. */

/* Opens path below dir for reading: a descriptor or -errno. */
static int open_beneath(int dir, const char *path)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	do
		fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
	while (fd < 0 && (errno == EAGAIN || errno == EINTR)); /* something was renamed meanwhile */
	return fd < 0 ? -errno : (int)fd;
}

static int http_start(struct serve_port *p, const char *arg, char *ret_err, size_t err_size)
{
	int probe, err = 0;

	p->dir = open(arg, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->dir < 0)
		err = -errno;
	probe = err ? -1 : open_beneath(p->dir, ".");
	if (probe < 0 && err == 0)
		err = probe;
	if (probe >= 0)
		close(probe);
	if (err)
		snprintf(ret_err, err_size, "%s: %s%s", arg, strerror(-err),
			 err == -ENOSYS ? " (openat2: Linux 5.6 or newer is needed)" : "");
	return err;
}

static void http_stop(struct serve_port *p)
{
	if (p->dir >= 0)
		close(p->dir);
	p->dir = -1;
}

static unsigned status_of(int err)
{
	switch (-err) {
	case ENOENT:
	case ENOTDIR:
	case ENAMETOOLONG:
		return 404;
	case EXDEV:
	case ELOOP:
	case EACCES:
	case EPERM:
	case ENXIO:
		return 403;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return 503;
	default:
		return 500;
	}
}

/* Opens what path names: 200, with the file; 301 for a directory without its slash; or why not. */
static unsigned find_file(int dir, const char *path, int *ret_fd, struct stat *ret_st)
{
	char name[HTTP_PATH_MAX + 16];
	size_t len;
	int fd;

	path += strspn(path, "/");
	len = strlen(path);
	snprintf(name, sizeof name, "%s%s", path,
		 len == 0 || path[len - 1] == '/' ? "index.html" : "");
	fd = open_beneath(dir, name);
	if (fd < 0)
		return status_of(fd);
	if (fstat(fd, ret_st) < 0 || !S_ISREG(ret_st->st_mode)) {
		close(fd);
		return S_ISDIR(ret_st->st_mode) && len ? 301 : 403;
	}
	*ret_fd = fd;
	return 200;
}

/* Answers. */

#define OUT_MAX 768u /* of its head */
#define LOG_MAX 256u /* of a request line in the log */

/* One that is being sent: only connections that are busy have one. */
struct http_answer {
	int fd; /* of the file that is sent; -1: none */
	uint64_t at, left; /* in it */
	uint64_t sent; /* bytes of the file */
	uint16_t out_len, out_at;
	uint16_t short_body; /* bytes at the end of out that are the body */
	bool keep; /* the connection, behind it */
	unsigned status;
	char line[LOG_MAX];
	char out[OUT_MAX]; /* its head, or all of a short one */
};

static SUT_PRINTF(2, 3) void add(struct http_answer *h, const char *fmt, ...)
{
	size_t room = sizeof h->out - h->out_len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(h->out + h->out_len, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		h->out_len = (uint16_t)(h->out_len + ((size_t)n < room ? (size_t)n : room - 1));
}

/* The lines that each answer has. */
static void begin(struct serve *s, struct http_answer *h, unsigned status, bool keep)
{
	char date[HTTP_DATE_MAX];

	h->status = status;
	h->keep = keep && !serve_draining(s);
	http_date_write(serve_wall(s), date);
	add(h, "HTTP/1.1 %u %s\r\nServer: suture\r\nDate: %s\r\nConnection: %s\r\n", status,
	    http_status_text(status), date, h->keep ? "keep-alive" : "close");
}

/* The last part of the path and a slash, relative: nothing in it can name another host. */
static void add_location(struct http_answer *h, const struct http_head *head)
{
	const char *at = head->target.s + head->target.n;

	while (at > head->target.s && at[-1] != '/')
		at--;
	add(h, "Location: ./%.*s/\r\n", (int)(head->target.s + head->target.n - at), at);
}

/* An answer without a file. */
static void answer_status(struct serve *s, struct http_answer *h, const struct http_head *head,
			  unsigned status)
{
	char text[64];

	begin(s, h, status, head->keep);
	snprintf(text, sizeof text, "%u %s\n", status, http_status_text(status));
	if (status == 405)
		add(h, "Allow: GET, HEAD\r\n");
	/* a longer one would not fit */
	if (status == 301 && head->target.n < 400)
		add_location(h, head);
	add(h, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n\r\n",
	    strlen(text));
	if (head->method != HTTP_HEAD) {
		add(h, "%s", text);
		h->short_body = (uint16_t)strlen(text);
	}
}

static bool is_directory(const char *path)
{
	return path[strlen(path) - 1] == '/';
}

/* What is known of a file, for conditions. */
struct validators {
	char tag[TAG_MAX], date[HTTP_DATE_MAX];
	int64_t modified; /* seconds */
};

static void validators_of(const struct stat *st, struct validators *ret_v)
{
	ret_v->modified = st->st_mtim.tv_sec;
	http_date_write(ret_v->modified, ret_v->date);
	snprintf(ret_v->tag, sizeof ret_v->tag, "\"%llx.%lx-%llx\"",
		 (unsigned long long)st->st_mtim.tv_sec, (unsigned long)st->st_mtim.tv_nsec,
		 (unsigned long long)st->st_size);
}

/* RFC 9110, 13.2.2: has the client this file already? */
static bool is_known(const struct http_head *head, const struct validators *v)
{
	int64_t since;

	if (head->if_none_match.s)
		return http_tag_in(head->if_none_match, v->tag);
	return head->if_modified_since.s && http_date_read(head->if_modified_since, &since) == 0 &&
	       v->modified <= since;
}

/* RFC 9110, 13.1.5: is the range one of the file as it is now? */
static bool range_counts(const struct http_head *head, const struct validators *v)
{
	const struct http_text t = head->if_range;

	if (head->method != HTTP_GET || !head->range.s)
		return false;
	return !t.s || (t.n == strlen(v->tag) && memcmp(t.s, v->tag, t.n) == 0) ||
	       (t.n == strlen(v->date) && memcmp(t.s, v->date, t.n) == 0);
}

static void answer_file(struct serve *s, struct http_answer *h, const struct http_head *head,
			int fd, const struct stat *st)
{
	const uint64_t size = (uint64_t)st->st_size;
	uint64_t first = 0, last = size - 1;
	struct validators v;
	unsigned status = 200;
	int range = 0;

	validators_of(st, &v);
	if (range_counts(head, &v))
		range = http_range_read(head->range, size, &first, &last);
	if (is_known(head, &v))
		status = 304;
	else if (range)
		status = range > 0 ? 206 : 416;
	begin(s, h, status, head->keep);
	add(h, "ETag: %s\r\nLast-Modified: %s\r\nAccept-Ranges: bytes\r\n", v.tag, v.date);
	if (status == 206)
		add(h, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", first, last,
		    size);
	if (status == 416)
		add(h, "Content-Range: bytes */%" PRIu64 "\r\n", size);
	if (status == 200 || status == 206)
		add(h, "Content-Type: %s\r\nContent-Length: %" PRIu64 "\r\n",
		    http_type_of(is_directory(head->path) ? "x.html" : head->path),
		    last - first + 1);
	else if (status == 416)
		add(h, "Content-Length: 0\r\n");
	add(h, "\r\n");
	if ((status == 200 || status == 206) && head->method == HTTP_GET && size) {
		h->at = first;
		h->left = last - first + 1;
		h->fd = fd;
	} else {
		close(fd);
	}
}

/* Makes the answer to a head that was read with this status: false if there is no memory. */
static bool answer(struct serve *s, struct serve_conn *c, const struct http_head *head,
		   unsigned status)
{
	struct http_answer *h = calloc(1, sizeof *h);
	struct stat st = { 0 };
	int fd = -1;

	if (!h)
		return false;
	c->http.answer = h;
	h->fd = -1;
	snprintf(h->line, sizeof h->line, "%.*s", (int)(head->line.n < 1000 ? head->line.n : 1000),
		 head->line.s);
	if (status == 0)
		status = find_file(c->port->dir, head->path, &fd, &st);
	if (status == 200)
		answer_file(s, h, head, fd, &st);
	else
		answer_status(s, h, head, status);
	return true;
}

/* The access log. */

/* What the log will say of an answer, once it is known how much of it came to its client. */
struct http_said {
	struct http_said *next;
	uint64_t end; /* of its last byte, among those that the connection was given to send */
	uint64_t body; /* bytes of it */
	unsigned status;
	bool whole; /* all of it was given */
	char line[];
};

/* Says what is known: acked is how much of all was acknowledged. */
static void log_said(struct serve *s, struct serve_conn *c, const struct http_said *a,
		     uint64_t acked)
{
	const uint64_t missing = acked < a->end ? a->end - acked : 0;
	const bool cut = !a->whole || missing;

	serve_log_access(s, c, a->line, a->status, a->body > missing ? a->body - missing : 0,
			 !cut	  ? NULL
			 : c->cut ? c->cut
				  : "idle");
}

/* Logs the answers that were acknowledged; at the end of the connection, all. */
static void log_answers(struct serve *s, struct serve_conn *c, bool all)
{
	const uint64_t acked = c->http.said ? serve_acked(s, c) : 0;

	while (c->http.said && (all || c->http.said->end <= acked)) {
		struct http_said *a = c->http.said;

		log_said(s, c, a, acked);
		c->http.said = a->next;
		c->http.saids--;
		free(a);
	}
	if (c->http.said)
		serve_touch_log(s, c);
}

/* The answer is out, or as much of it as there will be; where there is no memory, it is logged as if all had come. */
static void say_answer(struct serve *s, struct serve_conn *c, bool whole)
{
	const struct http_answer *h = c->http.answer;
	struct http_said *a = serve_logs(s) ? malloc(sizeof *a + strlen(h->line) + 1) : NULL;

	if (!a) {
		serve_log_access(s, c, h->line, h->status, h->sent + h->short_body,
				 whole ? NULL : c->cut);
		return;
	}
	*a = (struct http_said){
		.end = c->put, .body = h->sent + h->short_body, .status = h->status, .whole = whole
	};
	if (h->short_body && h->out_at < h->out_len)
		a->body = h->out_at > h->out_len - h->short_body
				  ? (uint64_t)(h->out_at - (h->out_len - h->short_body))
				  : 0;
	memcpy(a->line, h->line, strlen(h->line) + 1);
	if (c->http.said)
		c->http.said_last->next = a;
	else
		c->http.said = a;
	c->http.said_last = a;
	c->http.saids++;
}

/* The answer is out, or as much of it as there will be: is the connection to be kept? */
static bool answered(struct serve *s, struct serve_conn *c)
{
	struct http_answer *h = c->http.answer;
	const bool keep = h->keep, whole = h->out_at == h->out_len && h->left == 0;

	if (h->fd >= 0)
		close(h->fd);
	say_answer(s, c, whole);
	c->http.answer = NULL;
	free(h);
	log_answers(s, c, false);
	return keep;
}

/* Sending. */

enum progress { DONE, BLOCKED, GONE };

/* Writes n bytes or as many as there is room for. */
static enum progress put(struct serve *s, struct serve_conn *c, const void *bytes, size_t n,
			 size_t *ret_n)
{
	int done = stack_write(serve_stack(s), c->id, bytes, n, serve_now(s));

	if (done == -EAGAIN)
		return BLOCKED;
	if (done < 0) {
		serve_gone(s, c, done);
		return GONE;
	}
	*ret_n = (size_t)done;
	c->put += (size_t)done;
	serve_touch(s, c);
	return DONE;
}

/* Bytes of the file, from where it is being sent on, straight into the send buffer. */
static int read_file(void *ctx, const struct stack_room *room, unsigned n)
{
	const struct http_answer *h = ctx;
	struct iovec v[STACK_SLICES];
	ssize_t got;

	for (unsigned i = 0; i < n; i++)
		v[i] = (struct iovec){ room[i].bytes, room[i].len };
	got = preadv(h->fd, v, (int)n, (off_t)h->at);
	return got > 0 ? (int)got : -EIO;
}

static enum progress put_file(struct serve *s, struct serve_conn *c)
{
	struct http_answer *h = c->http.answer;
	size_t want = h->left < SERVE_SCRATCH ? (size_t)h->left : SERVE_SCRATCH;
	int n = stack_write_fill(serve_stack(s), c->id, want, read_file, h, serve_now(s));

	if (n == -EAGAIN)
		return BLOCKED;
	if (n == -EIO) {
		/* it has become shorter, or cannot be read: what was promised cannot be kept */
		serve_abort(s, c, "file");
		return GONE;
	}
	if (n < 0) {
		serve_gone(s, c, n);
		return GONE;
	}
	h->at += (unsigned)n;
	h->left -= (unsigned)n;
	h->sent += (unsigned)n;
	c->put += (unsigned)n;
	serve_touch(s, c);
	return DONE;
}

static enum progress send_answer(struct serve *s, struct serve_conn *c)
{
	struct http_answer *h = c->http.answer;
	enum progress p = DONE;
	size_t n;

	while (p == DONE && h->out_at < h->out_len) {
		p = put(s, c, h->out + h->out_at, (size_t)(h->out_len - h->out_at), &n);
		if (p == DONE)
			h->out_at = (uint16_t)(h->out_at + n);
	}
	while (p == DONE && h->left)
		p = put_file(s, c);
	return p;
}

/* Receiving. */

static bool has_closed(struct serve *s, struct serve_conn *c)
{
	struct conn_info i;

	return stack_info(serve_stack(s), c->id, serve_now(s), &i) == 0 && i.state == ST_CLOSE_WAIT;
}

/* Takes the next request, if it is there: true: an answer to it is to be sent. */
static bool next_request(struct serve *s, struct serve_conn *c)
{
	struct stack *t = serve_stack(s);
	char *bytes = (char *)serve_scratch(s);
	struct http_head head;
	unsigned status = 0;
	size_t len;
	int n;

	if (c->http.saids >= SAIDS_MAX) /* goes on when some were acknowledged: http_logged() */
		return false;
	n = stack_peek(t, c->id, bytes, HTTP_HEAD_MAX);

	if (n == -EAGAIN)
		return false;
	if (n < 0) {
		serve_gone(s, c, n);
		return false;
	}
	len = n ? http_head_read(bytes, (size_t)n, &head, &status) : 0;
	if (len == 0) {
		if (n == 0 || has_closed(s, c))
			serve_finish(s, c);
		return false;
	}
	if (!answer(s, c, &head, status)) {
		serve_abort(s, c, "memory");
		return false;
	}
	(void)stack_consume(t, c->id, len, serve_now(s));
	return true;
}

static void http_open(struct serve *s, struct serve_conn *c)
{
	c->http = (struct http_conn){ 0 };
	serve_touch(s, c);
}

static void http_ready(struct serve *s, struct serve_conn *c)
{
	log_answers(s, c, false);
	while (c->http.answer || next_request(s, c)) {
		if (send_answer(s, c) != DONE)
			return;
		if (!answered(s, c)) {
			serve_finish(s, c);
			return;
		}
	}
}

static void http_logged(struct serve *s, struct serve_conn *c)
{
	const bool full = c->http.saids >= SAIDS_MAX;

	log_answers(s, c, false);
	if (full && !c->finishing)
		http_ready(s, c);
}

static void http_closed(struct serve *s, struct serve_conn *c)
{
	if (c->http.answer)
		(void)answered(s, c);
	log_answers(s, c, true);
}

static void http_drain(struct serve *s, struct serve_conn *c)
{
	if (c->http.answer)
		c->http.answer->keep = false;
	else
		serve_finish(s, c);
}

static void http_expired(struct serve *s, struct serve_conn *c)
{
	const struct http_head none = { .line = { "-", 1 } };
	uint8_t byte;

	serve_touch(s, c);
	if (c->http.answer) {
		serve_abort(s, c, "idle"); /* its client takes nothing */
	} else if (stack_peek(serve_stack(s), c->id, &byte, 1) == 1) {
		if (answer(s, c, &none, 408))
			http_ready(s, c);
		else
			serve_abort(s, c, "memory");
	} else {
		serve_finish(s, c);
	}
}

const struct service service_http = {
	.name = "http",
	.arg = "DIR",
	.help = "serve the files of a directory",
	.start = http_start,
	.stop = http_stop,
	.open = http_open,
	.ready = http_ready,
	.closed = http_closed,
	.drain = http_drain,
	.expired = http_expired,
	.logged = http_logged,
};
