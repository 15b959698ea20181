/* SPDX-License-Identifier: MIT */
#include "app/health.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "proto/ip.h"

#define LINE_LEN 12u /* "HTTP/1.1 200" */

enum told { TOLD_NOTHING, TOLD_UP, TOLD_DOWN };

struct target {
	int fd; /* -1: not being asked */
	bool connected;
	sut_time next; /* to be asked, or to be given up */
	sut_time begun;
	uint32_t good, bad; /* in a row */
	enum told told;
	unsigned len;
	char line[LINE_LEN]; /* of the answer */
};

struct health {
	struct health_config cfg;
	struct target t[HEALTH_TARGETS];
};

/* The end of a question: why is NULL if it went well. */
static void judge(struct health *h, unsigned i, const char *why)
{
	struct target *t = &h->t[i];
	bool first = t->told == TOLD_NOTHING;

	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	t->next = t->begun + h->cfg.interval;
	t->good = why ? 0 : t->good + 1;
	t->bad = why ? t->bad + 1 : 0;
	if (!why && t->told != TOLD_UP && (first || t->good >= h->cfg.rise))
		t->told = TOLD_UP;
	else if (why && t->told != TOLD_DOWN && (first || t->bad >= h->cfg.fall))
		t->told = TOLD_DOWN;
	else
		return;
	h->cfg.tell(h->cfg.ctx, i, !why, why);
}

static const char *reason_of(int err)
{
	switch (err) {
	case ECONNREFUSED:
		return "refused";
	case ECONNRESET:
	case EPIPE:
		return "reset";
	case ETIMEDOUT:
		return "timeout";
	case ENETUNREACH:
	case EHOSTUNREACH:
		return "unreachable";
	default:
		return "failed";
	}
}

static void watch(struct health *h, unsigned i, uint32_t events, int op)
{
	struct epoll_event e = { .events = events, .data.u32 = h->cfg.tag + i };

	(void)epoll_ctl(h->cfg.epoll, op, h->t[i].fd, &e);
}

/*
 * A back end that has an origin's address too answers that address to itself: the host must not choose it as the source.  Whether the host has
 * the one to ask from is its own business: where not, it chooses.
 */
static void ask_from(const struct health *h, unsigned i, int fd)
{
	struct endpoint from = { .port = 0 };
	struct sockaddr_storage a;
	const int yes = 1;
	bool ip4 = ip_is_mapped(h->cfg.target[i].ip);
	socklen_t len;

	memcpy(from.ip, h->cfg.from[ip4 ? 0 : 1], sizeof from.ip);
	if (ip_is_zero(from.ip))
		return;
	len = endpoint_to_socket(&from, &a);
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
	(void)bind(fd, (const struct sockaddr *)&a, len);
}

static int bind_source(const struct health *h, unsigned i)
{
	struct endpoint from = { .port = 0 };
	struct sockaddr_storage a;
	socklen_t len;

	memcpy(from.ip, h->cfg.source[ip_is_mapped(h->cfg.target[i].ip) ? 0 : 1], 16);
	if (ip_is_zero(from.ip))
		return 0;
	len = endpoint_to_socket(&from, &a);
	return bind(h->t[i].fd, (const struct sockaddr *)&a, len);
}

static void ask(struct health *h, unsigned i, sut_time now)
{
	struct target *t = &h->t[i];
	struct sockaddr_storage a;
	socklen_t len = endpoint_to_socket(&h->cfg.target[i], &a);

	t->begun = now;
	t->next = now + h->cfg.timeout;
	t->connected = false;
	t->len = 0;
	t->fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->fd < 0) {
		judge(h, i, "failed");
		return;
	}
	ask_from(h, i, t->fd);
	if (bind_source(h, i) != 0) {
		judge(h, i, "no source address");
		return;
	}
	if (connect(t->fd, (const struct sockaddr *)&a, len) != 0 && errno != EINPROGRESS) {
		judge(h, i, reason_of(errno));
		return;
	}
	watch(h, i, EPOLLOUT, EPOLL_CTL_ADD);
}

static void send_request(struct health *h, unsigned i)
{
	char text[700], at[ENDPOINT_TEXT];
	int n;

	endpoint_write(&h->cfg.target[i], at);
	n = snprintf(
		text, sizeof text,
		"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: suture\r\nConnection: close\r\n\r\n",
		h->cfg.path, at);
	if (n >= (int)sizeof text || send(h->t[i].fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		judge(h, i, "failed");
	else
		watch(h, i, EPOLLIN, EPOLL_CTL_MOD);
}

static void judge_line(struct health *h, unsigned i)
{
	const char *s = h->t[i].line;
	char why[24];

	if (memcmp(s, "HTTP/1.", 7) != 0 || s[8] != ' ' || !isdigit((unsigned char)s[9]) ||
	    !isdigit((unsigned char)s[10]) || !isdigit((unsigned char)s[11])) {
		judge(h, i, "no HTTP");
		return;
	}
	snprintf(why, sizeof why, "status %.3s", s + 9);
	judge(h, i, s[9] == '2' || s[9] == '3' ? NULL : why);
}

static void read_answer(struct health *h, unsigned i)
{
	struct target *t = &h->t[i];
	ssize_t n = recv(t->fd, t->line + t->len, LINE_LEN - t->len, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		judge(h, i, n < 0 ? reason_of(errno) : "no answer");
		return;
	}
	t->len += (unsigned)n;
	if (t->len == LINE_LEN)
		judge_line(h, i);
}

void health_ready(struct health *h, unsigned i, sut_time now)
{
	struct target *t = &h->t[i];
	socklen_t len = sizeof(int);
	int err = 0;

	(void)now;
	if (t->fd < 0)
		return;
	if (t->connected) {
		read_answer(h, i);
		return;
	}
	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
		err = errno;
	t->connected = true;
	if (err)
		judge(h, i, reason_of(err));
	else if (*h->cfg.path)
		send_request(h, i);
	else
		judge(h, i, NULL);
}

void health_expire(struct health *h, sut_time now)
{
	for (unsigned i = 0; i < HEALTH_TARGETS; i++) {
		struct target *t = &h->t[i];

		if (t->next > now)
			continue;
		if (t->fd >= 0)
			judge(h, i, "timeout");
		if (t->next <= now)
			ask(h, i, now);
	}
}

sut_time health_deadline(const struct health *h)
{
	sut_time at = SUT_NEVER;

	for (unsigned i = 0; i < HEALTH_TARGETS; i++)
		at = h->t[i].next < at ? h->t[i].next : at;
	return at;
}

struct health *health_open(const struct health_config *c, sut_time now)
{
	struct health *h = calloc(1, sizeof *h);

	if (!h)
		return NULL;
	h->cfg = *c;
	for (unsigned i = 0; i < HEALTH_TARGETS; i++)
		h->t[i] = (struct target){ .fd = -1, .next = c->target[i].port ? now : SUT_NEVER };
	return h;
}

void health_target(struct health *h, unsigned i, const struct endpoint *at, sut_time now)
{
	if (h->t[i].fd >= 0)
		close(h->t[i].fd);
	h->t[i] = (struct target){ .fd = -1, .next = at ? now : SUT_NEVER };
	h->cfg.target[i] = at ? *at : (struct endpoint){ .port = 0 };
}

void health_tune(struct health *h, const struct health_config *c)
{
	memcpy(h->cfg.path, c->path, sizeof h->cfg.path);
	h->cfg.interval = c->interval;
	h->cfg.timeout = c->timeout;
	h->cfg.rise = c->rise;
	h->cfg.fall = c->fall;
}

void health_close(struct health *h)
{
	for (unsigned i = 0; i < HEALTH_TARGETS; i++)
		if (h->t[i].fd >= 0)
			close(h->t[i].fd);
	free(h);
}
