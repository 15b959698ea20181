/* SPDX-License-Identifier: MIT */
/*
 * peer - both ends of a test over the kernel's own TCP, for what curl and nginx cannot be asked to do.
 *
 *	peer sink PORT				serves for ever: reads to the end, answers "BYTES SHA256"
 *	peer push HOST PORT BYTES [SPORT]	sends made-up bytes, half-closes, compares the answer with its own
 *	peer chat HOST PORT COUNT		writes and reads COUNT lines with a peer echo, of growing length
 *	peer echo PORT				serves for ever: gives back what it gets
 *	peer greet PORT				serves for ever: speaks first (one line), then as echo
 *	peer again HOST PORT COUNT SPORT	COUNT HTTP requests one after another, each from source port SPORT
 *	peer refused HOST PORT			connects and reads: prints how it ended, and after how many ms
 *	peer sha				the digest of standard input
 *
 * Exit codes: 0 all as it should be, 1 not, 2 bad usage.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sha256.h"

#define CHUNK 65536u

static uint8_t chunk[CHUNK];

static int fail(const char *what)
{
	fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
	return 1;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static bool write_all(int fd, const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n) {
		ssize_t w = write(fd, b, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return false;
		b += w;
		n -= (size_t)w;
	}
	return true;
}

/* Reads n bytes; what is there at the end of the stream. */
static size_t read_all(int fd, void *p, size_t n)
{
	uint8_t *b = p;
	size_t got = 0;

	while (got < n) {
		ssize_t r = read(fd, b + got, n - got);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			break;
		got += (size_t)r;
	}
	return got;
}

/* A connected socket, or -1; sport "" leaves the source port to the kernel. */
static int connect_to(const char *host, const char *port, const char *sport)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				  .ai_socktype = SOCK_STREAM };
	struct addrinfo *to, *from = NULL;
	int fd, one = 1;

	if (getaddrinfo(host, port, &hints, &to) != 0)
		return errno = EINVAL, -1;
	fd = socket(to->ai_family, SOCK_STREAM, 0);
	if (fd < 0)
		goto out;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (*sport) {
		hints.ai_family = to->ai_family;
		hints.ai_flags |= AI_PASSIVE;
		if (getaddrinfo(NULL, sport, &hints, &from) != 0 ||
		    bind(fd, from->ai_addr, from->ai_addrlen) < 0)
			goto bad;
	}
	/* The last use of a source port may still wait for the ACK of its FIN. */
	for (int i = 0; i < 100; i++) {
		if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
			goto out;
		if (errno != EADDRNOTAVAIL)
			break;
		usleep(10000);
	}
bad:
	close(fd);
	fd = -1;
out:
	freeaddrinfo(to);
	if (from)
		freeaddrinfo(from);
	return fd;
}

/* Listens on both families and hands each connection to a child that runs serve(). */
static int serve_for_ever(const char *port, int (*serve)(int fd))
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6,
				  .sin6_port = htons((uint16_t)atoi(port)) };
	int l = socket(AF_INET6, SOCK_STREAM, 0), one = 1, queue = 64;

	signal(SIGCHLD, SIG_IGN);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(l, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue));
	if (l < 0 || bind(l, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(l, 512) < 0)
		return fail("cannot listen");
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int fd = accept(l, NULL, NULL);

		if (fd < 0)
			continue;
		if (fork() == 0) {
			close(l);
			_exit(serve(fd));
		}
		close(fd);
	}
}

static int serve_sink(int fd)
{
	struct sha256 s;
	unsigned long long total = 0;
	char hex[SHA256_HEX], line[128];
	ssize_t n;

	sha256_init(&s);
	while ((n = read(fd, chunk, CHUNK)) > 0) {
		sha256_add(&s, chunk, (size_t)n);
		total += (unsigned long long)n;
	}
	if (n < 0)
		return 1;
	sha256_end(&s, hex);
	n = snprintf(line, sizeof(line), "%llu %s\n", total, hex);
	return write_all(fd, line, (size_t)n) ? 0 : 1;
}

static int serve_echo(int fd)
{
	ssize_t n;

	while ((n = read(fd, chunk, CHUNK)) > 0)
		if (!write_all(fd, chunk, (size_t)n))
			return 1;
	return n < 0;
}

static int serve_greet(int fd)
{
	static const char hello[] = "220 server.example.org ready\r\n";

	return write_all(fd, hello, sizeof(hello) - 1) ? serve_echo(fd) : 1;
}

/* Fills the chunk with bytes that depend on their place in the stream. */
static void make_up(uint64_t *x)
{
	for (size_t i = 0; i < CHUNK; i += 8) {
		*x ^= *x << 13;
		*x ^= *x >> 7;
		*x ^= *x << 17;
		memcpy(chunk + i, x, 8);
	}
}

static int push(const char *host, const char *port, unsigned long long bytes, const char *sport)
{
	int fd = connect_to(host, port, sport);
	uint64_t x = 0x9e3779b97f4a7c15u ^ bytes;
	char hex[SHA256_HEX], want[128], got[128] = "";
	struct sha256 s;

	if (fd < 0)
		return fail("cannot connect");
	sha256_init(&s);
	for (unsigned long long left = bytes; left;) {
		size_t n = left < CHUNK ? (size_t)left : CHUNK;

		make_up(&x);
		if (!write_all(fd, chunk, n))
			return fail("cannot send");
		sha256_add(&s, chunk, n);
		left -= n;
	}
	shutdown(fd, SHUT_WR);
	sha256_end(&s, hex);
	snprintf(want, sizeof(want), "%llu %s\n", bytes, hex);
	read_all(fd, got, sizeof(got) - 1);
	close(fd);
	if (strcmp(want, got) != 0) {
		fprintf(stderr, "peer: sent %speer: they got %s\n", want, *got ? got : "nothing\n");
		return 1;
	}
	return 0;
}

static int chat(const char *host, const char *port, int count)
{
	int fd = connect_to(host, port, ""), one = 1;
	uint64_t x = 1;
	uint8_t back[CHUNK];

	if (fd < 0)
		return fail("cannot connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (int i = 1; i <= count; i++) {
		size_t n = (size_t)i * 37 % 4000 + 1;

		make_up(&x);
		if (!write_all(fd, chunk, n))
			return fail("cannot send");
		if (read_all(fd, back, n) != n || memcmp(back, chunk, n) != 0) {
			fprintf(stderr, "peer: line %d did not come back as it was\n", i);
			return 1;
		}
	}
	shutdown(fd, SHUT_WR);
	if (read_all(fd, back, 1) != 0) {
		fprintf(stderr, "peer: bytes after the end\n");
		return 1;
	}
	close(fd);
	return 0;
}

static int again(const char *host, const char *port, int count, const char *sport)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	char reply[4096];
	double longest = 0;

	for (int i = 1; i <= count; i++) {
		double began = now_ms();
		int fd = connect_to(host, port, sport);
		size_t n;

		if (fd < 0) {
			fprintf(stderr, "peer: use %d of port %s: ", i, sport);
			return fail("cannot connect");
		}
		if (!write_all(fd, request, sizeof(request) - 1))
			return fail("cannot send");
		n = read_all(fd, reply, sizeof(reply) - 1);
		close(fd);
		reply[n] = 0;
		if (n < 12 || memcmp(reply + 8, " 200", 4) != 0) {
			fprintf(stderr, "peer: use %d of port %s: no answer\n", i, sport);
			return 1;
		}
		if (now_ms() - began > longest)
			longest = now_ms() - began;
	}
	printf("longest %.1f ms\n", longest);
	return 0;
}

/* A reset may come between the handshake's end and connect()'s return: that is a reset too, and no refusal. */
static int refused(const char *host, const char *port)
{
	double began = now_ms();
	int fd = connect_to(host, port, "");
	ssize_t n = fd < 0 ? -1 : read(fd, chunk, CHUNK);
	const char *how = strerror(errno);

	if (n >= 0)
		how = n > 0 ? "data" : "eof";
	else if (errno == ECONNREFUSED || errno == ECONNRESET)
		how = errno == ECONNREFUSED ? "refused" : "reset";
	printf("%s %.0f\n", how, now_ms() - began);
	return 0;
}

static int sha(void)
{
	struct sha256 s;
	char hex[SHA256_HEX];
	ssize_t n;

	sha256_init(&s);
	while ((n = read(0, chunk, CHUNK)) > 0)
		sha256_add(&s, chunk, (size_t)n);
	sha256_end(&s, hex);
	puts(hex);
	return n < 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	signal(SIGPIPE, SIG_IGN);
	if (strcmp(verb, "sink") == 0 && argc == 3)
		return serve_for_ever(argv[2], serve_sink);
	if (strcmp(verb, "echo") == 0 && argc == 3)
		return serve_for_ever(argv[2], serve_echo);
	if (strcmp(verb, "greet") == 0 && argc == 3)
		return serve_for_ever(argv[2], serve_greet);
	if (strcmp(verb, "push") == 0 && (argc == 5 || argc == 6))
		return push(argv[2], argv[3], strtoull(argv[4], NULL, 10),
			    argc == 6 ? argv[5] : "");
	if (strcmp(verb, "chat") == 0 && argc == 5)
		return chat(argv[2], argv[3], atoi(argv[4]));
	if (strcmp(verb, "again") == 0 && argc == 6)
		return again(argv[2], argv[3], atoi(argv[4]), argv[5]);
	if (strcmp(verb, "refused") == 0 && argc == 4)
		return refused(argv[2], argv[3]);
	if (strcmp(verb, "sha") == 0 && argc == 2)
		return sha();
	fputs("usage: peer sink|echo|greet PORT | push HOST PORT BYTES [SPORT] | chat HOST PORT "
	      "COUNT |\n"
	      "       again HOST PORT COUNT SPORT | refused HOST PORT | sha\n",
	      stderr);
	return 2;
}
