/* SPDX-License-Identifier: MIT */
/*
 * conn_rate - how many fresh connections a second a client gets through: connect, GET, read to the end, close.
 *
 *	conn_rate HOST PORT PATH SECONDS AT-ONCE
 *
 * Keeps AT-ONCE connections busy in one thread, and prints "rate N failed N gap_ms N": connections a second, those
 * that failed, and the longest time without one that ended well (a stall shows there).
 * The server closes first, so the client's source ports are free at once, and wrap round soon.
 * Exit codes: 0 some got through, 1 none did, 2 bad usage.
 */
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { AT_ONCE_MAX = 1000, TICK_MS = 10 };

struct conn {
	int fd; /* -1: none, to be opened */
	bool asked; /* the request was sent */
	bool answered; /* something came back */
};

struct load {
	const struct addrinfo *addr;
	char request[600];
	size_t request_len;
	int epoll;
	unsigned at_once;
	uint64_t done, failed;
	uint64_t last_done, longest_gap; /* ns */
	struct conn conn[AT_ONCE_MAX];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void note_gap(struct load *l, uint64_t now)
{
	if (now - l->last_done > l->longest_gap)
		l->longest_gap = now - l->last_done;
}

static void conn_end(struct load *l, struct conn *c, bool well)
{
	close(c->fd);
	*c = (struct conn){ .fd = -1 };
	if (well) {
		uint64_t now = now_ns();

		l->done++;
		note_gap(l, now);
		l->last_done = now;
	} else {
		l->failed++;
	}
}

/* A fresh connection under way; what fails at once counts as failed. */
static void conn_begin(struct load *l, struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLOUT, .data.ptr = c };

	*c = (struct conn){ .fd = socket(l->addr->ai_family, SOCK_STREAM | SOCK_NONBLOCK, 0) };
	if (c->fd < 0) {
		l->failed++;
		return;
	}
	if ((connect(c->fd, l->addr->ai_addr, l->addr->ai_addrlen) < 0 && errno != EINPROGRESS) ||
	    epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0)
		conn_end(l, c, false);
}

static void ask(struct load *l, struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };

	if (send(c->fd, l->request, l->request_len, MSG_NOSIGNAL) != (ssize_t)l->request_len ||
	    epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &ev) < 0)
		conn_end(l, c, false);
	else
		c->asked = true;
}

/* Reads what is there; an end after an answer is a good end. */
static void hear(struct load *l, struct conn *c)
{
	char buf[4096];
	ssize_t n = read(c->fd, buf, sizeof buf);

	if (n > 0)
		c->answered = true;
	else if (n == 0 || errno != EAGAIN)
		conn_end(l, c, n == 0 && c->answered);
}

static void open_missing(struct load *l)
{
	for (unsigned i = 0; i < l->at_once; i++)
		if (l->conn[i].fd < 0)
			conn_begin(l, &l->conn[i]);
}

static void run(struct load *l, uint64_t end)
{
	struct epoll_event ev[64];

	l->last_done = now_ns();
	while (now_ns() < end) {
		int n;

		open_missing(l);
		n = epoll_wait(l->epoll, ev, 64, TICK_MS);
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;

			if (c->asked)
				hear(l, c);
			else
				ask(l, c);
		}
	}
	note_gap(l, now_ns());
}

static int usage(void)
{
	fputs("usage: conn_rate HOST PORT PATH SECONDS AT-ONCE\n", stderr);
	return 2;
}

/* Runs for that many seconds, and prints. */
static int measure(struct load *l, double seconds)
{
	uint64_t begin = now_ns();

	for (unsigned i = 0; i < AT_ONCE_MAX; i++)
		l->conn[i].fd = -1;
	l->epoll = epoll_create1(0);
	if (l->epoll < 0) {
		perror("conn_rate: epoll");
		return 1;
	}
	run(l, begin + (uint64_t)(seconds * 1e9));
	seconds = (double)(now_ns() - begin) / 1e9;
	printf("rate %.0f failed %llu gap_ms %.1f\n", (double)l->done / seconds,
	       (unsigned long long)l->failed, (double)l->longest_gap / 1e6);
	return l->done ? 0 : 1;
}

int main(int argc, char **argv)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
	static struct load l;
	struct addrinfo *addr;
	double seconds;
	int code;

	if (argc != 6)
		return usage();
	seconds = strtod(argv[4], NULL);
	l.at_once = (unsigned)strtoul(argv[5], NULL, 10);
	if (!(seconds > 0 && seconds < 1000) || l.at_once < 1 || l.at_once > AT_ONCE_MAX)
		return usage();
	code = getaddrinfo(argv[1], argv[2], &hints, &addr);
	if (code) {
		fprintf(stderr, "conn_rate: %s port %s: %s\n", argv[1], argv[2],
			gai_strerror(code));
		return 2;
	}
	l.addr = addr;
	l.request_len = (size_t)snprintf(l.request, sizeof l.request,
					 "GET %.500s HTTP/1.0\r\nHost: bench\r\n\r\n", argv[3]);
	code = measure(&l, seconds);
	freeaddrinfo(addr);
	return code;
}
