/* SPDX-License-Identifier: MIT */
/*
 * stack_load - the kernel's TCP as the other end of a stack that is measured, with cubic whatever the machine's default is.
 *
 *	stack_load push HOST PORT SECONDS FLOWS		writes; what counts is what was acknowledged
 *	stack_load pull HOST PORT SECONDS FLOWS		reads
 *	stack_load serve				is the other end itself: 9 discards, 19 pours
 *
 * The first fifth of the time is not counted.  Prints "gbit N".
 */
#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/tcp.h>

enum { FLOWS_MAX = 64, CHUNK = 256 << 10 };

static uint8_t bytes[CHUNK];

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void use_cubic(int fd)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) < 0)
		warn("cubic");
}

static int reach(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST }, *a;
	int fd, e = getaddrinfo(host, port, &hints, &a);

	if (e != 0)
		errx(1, "%s: %s", host, gai_strerror(e));
	fd = socket(a->ai_family, SOCK_STREAM, 0);
	if (fd < 0)
		err(1, "socket");
	use_cubic(fd);
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0)
		err(1, "%s port %s", host, port);
	freeaddrinfo(a);
	return fd;
}

static uint64_t acked(int fd)
{
	struct tcp_info i;
	socklen_t n = sizeof(i);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &n) < 0 ? 0 : i.tcpi_bytes_acked;
}

/* One turn of all flows: reads or writes where that is possible. */
static uint64_t turn(struct pollfd *f, unsigned n, bool push)
{
	uint64_t got = 0;

	if (poll(f, n, 100) < 0 && errno != EINTR)
		err(1, "poll");
	for (unsigned i = 0; i < n; i++) {
		ssize_t r;

		if (!f[i].revents)
			continue;
		r = push ? send(f[i].fd, bytes, CHUNK, MSG_DONTWAIT | MSG_NOSIGNAL)
			 : recv(f[i].fd, bytes, CHUNK, MSG_DONTWAIT);
		if (r == 0 || (r < 0 && errno != EAGAIN))
			errx(1, "flow %u ended early", i);
		got += r > 0 ? (uint64_t)r : 0;
	}
	return got;
}

static int load(char **argv, bool push)
{
	unsigned n = (unsigned)atoi(argv[5]);
	double seconds = atof(argv[4]);
	struct pollfd f[FLOWS_MAX];
	uint64_t begin, counted, end, bytes_before = 0, bytes_after = 0, read_in_all = 0;

	if (n < 1 || n > FLOWS_MAX || seconds <= 0)
		errx(2, "flows: 1 to %d; seconds: above 0", FLOWS_MAX);
	for (unsigned i = 0; i < n; i++)
		f[i] = (struct pollfd){ .fd = reach(argv[2], argv[3]),
					.events = push ? POLLOUT : POLLIN };
	begin = now_ns();
	end = begin + (uint64_t)(seconds * 1e9);
	counted = begin + (uint64_t)(seconds * 2e8);
	while (now_ns() < counted)
		read_in_all += turn(f, n, push);
	counted = now_ns();
	for (unsigned i = 0; push && i < n; i++)
		bytes_before += acked(f[i].fd);
	bytes_before += push ? 0 : read_in_all;
	while (now_ns() < end)
		read_in_all += turn(f, n, push);
	end = now_ns();
	for (unsigned i = 0; push && i < n; i++)
		bytes_after += acked(f[i].fd);
	bytes_after += push ? 0 : read_in_all;
	printf("gbit %.3f\n", (double)(bytes_after - bytes_before) * 8 / (double)(end - counted));
	return 0;
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	use_cubic(fd);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0)
		err(1, "port %u", port);
	return fd;
}

static void serve_one(int fd, bool pour)
{
	for (;;) {
		ssize_t n = pour ? send(fd, bytes, CHUNK, MSG_NOSIGNAL) : recv(fd, bytes, CHUNK, 0);

		if (n <= 0)
			_exit(0);
	}
}

static int serve(void)
{
	struct pollfd f[2] = { { .fd = listen_on(9), .events = POLLIN },
			       { .fd = listen_on(19), .events = POLLIN } };

	signal(SIGCHLD, SIG_IGN);
	puts("ready");
	fflush(stdout);
	for (;;) {
		if (poll(f, 2, -1) < 0)
			err(1, "poll");
		for (int i = 0; i < 2; i++) {
			int fd = f[i].revents ? accept(f[i].fd, NULL, NULL) : -1;

			if (fd >= 0 && fork() == 0)
				serve_one(fd, i == 1);
			if (fd >= 0)
				close(fd);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "serve") == 0)
		return serve();
	if (argc == 6 && (strcmp(argv[1], "push") == 0 || strcmp(argv[1], "pull") == 0))
		return load(argv, strcmp(argv[1], "push") == 0);
	fprintf(stderr, "usage: stack_load push|pull HOST PORT SECONDS FLOWS | serve\n");
	return 2;
}
