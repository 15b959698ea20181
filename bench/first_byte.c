/* SPDX-License-Identifier: MIT */
/*
 * first_byte - how long a client waits for connect(), and for the first byte of a web server's answer.
 *
 *	first_byte HOST PORT PATH COUNT
 *
 * Fetches PATH COUNT times, one fresh connection after another, and prints two lines: "connect" and "first", each
 * with the 50th, 90th and 99th percentile in milliseconds.  Both times count from just before connect().
 * Exit codes: 0 all fetched, 1 one was not, 2 bad usage.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { COUNT_MAX = 1000000, PATIENCE_S = 10 };

struct target {
	const struct addrinfo *addr;
	char request[600];
	size_t request_len;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Reads what is left of the answer: true once the server has closed. */
static bool read_out(int fd)
{
	char buf[4096];
	ssize_t n;

	do
		n = read(fd, buf, sizeof buf);
	while (n > 0);
	return n == 0;
}

/* One fetch: NULL, or what failed, with errno set. */
static const char *fetch(const struct target *t, int fd, uint64_t *ret_connect, uint64_t *ret_first)
{
	static const struct timeval patience = { .tv_sec = PATIENCE_S };
	const int one = 1;
	uint64_t begin;
	char first;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	begin = now_ns();
	if (connect(fd, t->addr->ai_addr, t->addr->ai_addrlen) < 0)
		return "connect";
	*ret_connect = now_ns() - begin;
	if (write(fd, t->request, t->request_len) != (ssize_t)t->request_len)
		return "write";
	if (read(fd, &first, 1) != 1)
		return "read";
	*ret_first = now_ns() - begin;
	return read_out(fd) ? NULL : "read to the end";
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The smallest value that at least percent % of the n sorted ones do not exceed, in milliseconds. */
static double percentile(const uint64_t *v, size_t n, size_t percent)
{
	return (double)v[(n * percent + 99) / 100 - 1] / 1e6;
}

static void print_line(const char *name, uint64_t *v, size_t n)
{
	qsort(v, n, sizeof *v, by_size);
	printf("%s %.3f %.3f %.3f\n", name, percentile(v, n, 50), percentile(v, n, 90),
	       percentile(v, n, 99));
}

static int run(const struct target *t, size_t count)
{
	uint64_t *connect_ns = calloc(count, sizeof *connect_ns);
	uint64_t *first_ns = calloc(count, sizeof *first_ns);
	int code = 1;

	for (size_t i = 0; i < count; i++) {
		const char *failed = "socket";
		int fd = socket(t->addr->ai_family, SOCK_STREAM, 0);

		if (!connect_ns || !first_ns)
			goto out;
		if (fd >= 0) {
			failed = fetch(t, fd, &connect_ns[i], &first_ns[i]);
			if (failed)
				perror(failed);
			close(fd);
		}
		if (failed) {
			fprintf(stderr, "first_byte: connection %zu failed: %s\n", i + 1, failed);
			goto out;
		}
	}
	print_line("connect", connect_ns, count);
	print_line("first", first_ns, count);
	code = 0;
out:
	free(connect_ns);
	free(first_ns);
	return code;
}

int main(int argc, char **argv)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
	struct addrinfo *addr;
	struct target t;
	long count;
	int code;

	count = argc == 5 ? strtol(argv[4], NULL, 10) : 0;
	if (count < 1 || count > COUNT_MAX) {
		fputs("usage: first_byte HOST PORT PATH COUNT\n", stderr);
		return 2;
	}
	code = getaddrinfo(argv[1], argv[2], &hints, &addr);
	if (code) {
		fprintf(stderr, "first_byte: %s port %s: %s\n", argv[1], argv[2],
			gai_strerror(code));
		return 2;
	}
	t.addr = addr;
	t.request_len = (size_t)snprintf(t.request, sizeof t.request,
					 "GET %.500s HTTP/1.0\r\nHost: bench\r\n\r\n", argv[3]);
	code = run(&t, (size_t)count);
	freeaddrinfo(addr);
	return code;
}
