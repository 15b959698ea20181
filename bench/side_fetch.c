/* SPDX-License-Identifier: MIT */
/*
 * side_fetch - how long each of many fetches waits for connect(), and for the first byte of a web server's answer.
 *
 *	side_fetch ADDRESS PORT PATH COUNT AT-ONCE
 *
 * AT-ONCE threads, which begin a little apart, fetch PATH COUNT times in all, each one fresh connection after another: with a
 * long delay nearly all of a fetch is waiting, and as many as are under way at once cost each other nothing.
 * Prints a line for each: milliseconds from just before connect() to its return, and to the first byte.
 * Exit codes: 0 all fetched, 1 one was not, 2 bad usage.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { COUNT_MAX = 100000, AT_ONCE_MAX = 100, PATIENCE_S = 20, APART_NS = 3000000 };

struct fetch {
	double connect_ms, first_ms;
};

struct plan {
	const struct addrinfo *addr;
	char request[600];
	size_t request_len;
	unsigned count, at_once;
	struct fetch *fetch; /* count of them */
};

/* The fetches first, first + at_once, first + 2 at_once, ... are this thread's. */
struct worker {
	const struct plan *plan;
	pthread_t thread;
	unsigned first;
	const char *failed; /* what, or NULL */
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* NULL, or what failed, with errno set. */
static const char *fetch_on(int fd, const struct plan *p, struct fetch *f)
{
	static const struct timeval patience = { .tv_sec = PATIENCE_S };
	const int one = 1;
	double begin;
	char buf[4096];
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	begin = now_ms();
	if (connect(fd, p->addr->ai_addr, p->addr->ai_addrlen) < 0)
		return "connect";
	f->connect_ms = now_ms() - begin;
	if (send(fd, p->request, p->request_len, MSG_NOSIGNAL) != (ssize_t)p->request_len)
		return "send";
	if (read(fd, buf, 1) != 1)
		return "first byte";
	f->first_ms = now_ms() - begin;
	do
		n = read(fd, buf, sizeof buf);
	while (n > 0);
	return n < 0 ? "read" : NULL;
}

static const char *fetch_one(const struct plan *p, struct fetch *f)
{
	int fd = socket(p->addr->ai_family, SOCK_STREAM, 0);
	const char *failed;

	if (fd < 0)
		return "socket";
	failed = fetch_on(fd, p, f);
	if (failed)
		perror(failed);
	close(fd);
	return failed;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	const struct timespec apart = { .tv_nsec = (long)w->first * APART_NS };

	nanosleep(&apart, NULL);
	for (unsigned i = w->first; i < w->plan->count && !w->failed; i += w->plan->at_once)
		w->failed = fetch_one(w->plan, &w->plan->fetch[i]);
	return NULL;
}

static int run(const struct plan *p)
{
	static struct worker worker[AT_ONCE_MAX];
	unsigned started = 0;
	int code = 0;

	for (unsigned i = 0; i < p->at_once && code == 0; i++) {
		worker[i] = (struct worker){ .plan = p, .first = i };
		if (pthread_create(&worker[i].thread, NULL, work, &worker[i]))
			code = 1;
		else
			started++;
	}
	for (unsigned i = 0; i < started; i++) {
		pthread_join(worker[i].thread, NULL);
		if (worker[i].failed)
			code = 1;
	}
	for (unsigned i = 0; i < p->count && code == 0; i++)
		printf("%.4f %.4f\n", p->fetch[i].connect_ms, p->fetch[i].first_ms);
	return code;
}

int main(int argc, char **argv)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
	struct addrinfo *addr = NULL;
	struct plan p = { 0 };
	int code = 2;

	if (argc == 6) {
		p.count = (unsigned)strtoul(argv[4], NULL, 10);
		p.at_once = (unsigned)strtoul(argv[5], NULL, 10);
	}
	if (p.count < 1 || p.count > COUNT_MAX || p.at_once < 1 || p.at_once > AT_ONCE_MAX ||
	    getaddrinfo(argv[1], argv[2], &hints, &addr)) {
		fputs("usage: side_fetch ADDRESS PORT PATH COUNT AT-ONCE\n", stderr);
		return code;
	}
	p.addr = addr;
	p.request_len = (size_t)snprintf(p.request, sizeof p.request,
					 "GET %.500s HTTP/1.0\r\nHost: bench\r\n\r\n", argv[3]);
	p.fetch = calloc(p.count, sizeof *p.fetch);
	code = p.fetch ? run(&p) : 1;
	free(p.fetch);
	freeaddrinfo(addr);
	return code;
}
