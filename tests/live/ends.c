/* SPDX-License-Identifier: MIT */
#include "ends.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static struct {
	bool mptcp, fastopen;
	const char *md5;
	int user_timeout; /* ms */
	int keepalive; /* s */
} asked;

int ends_fail(const char *what)
{
	fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
	return 1;
}

double ends_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

bool ends_ask(const char *word)
{
	if (strcmp(word, "--mptcp") == 0)
		asked.mptcp = true;
	else if (strcmp(word, "--fastopen") == 0)
		asked.fastopen = true;
	else if (strncmp(word, "--md5=", 6) == 0)
		asked.md5 = word + 6;
	else if (strncmp(word, "--user-timeout=", 15) == 0)
		asked.user_timeout = atoi(word + 15);
	else if (strncmp(word, "--keepalive=", 12) == 0)
		asked.keepalive = atoi(word + 12);
	else
		return false;
	return true;
}

bool ends_write(int fd, const void *p, size_t n)
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

size_t ends_read(int fd, void *p, size_t n)
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

/* The peer's address as a socket of this family knows it: a listener on both families sees IPv4 as mapped. */
static bool md5_address(int family, struct sockaddr_storage *ret_a)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = { .sin_family = AF_INET };
	char mapped[64];

	if (family == AF_INET) {
		if (inet_pton(AF_INET, asked.md5, &four.sin_addr) != 1)
			return false;
		memcpy(ret_a, &four, sizeof(four));
		return true;
	}
	snprintf(mapped, sizeof(mapped), "%s%s",
		 strchr(asked.md5, ':') ? "" : "::ffff:", asked.md5);
	if (inet_pton(AF_INET6, mapped, &six.sin6_addr) != 1)
		return false;
	memcpy(ret_a, &six, sizeof(six));
	return true;
}

/* When the kernel gives a silent peer up. */
static void set_patience(int fd)
{
	int one = 1, probes = 2;

	if (asked.user_timeout)
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &asked.user_timeout, sizeof(int));
	if (!asked.keepalive)
		return;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &asked.keepalive, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &asked.keepalive, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

/* A socket as it was asked for, or -1. */
static int make_socket(int family)
{
	int fd = socket(family, SOCK_STREAM, asked.mptcp ? IPPROTO_MPTCP : 0), one = 1;
	struct tcp_md5sig sig = { .tcpm_keylen = 6 };

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	set_patience(fd);
	if (asked.fastopen)
		setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one));
	if (!asked.md5)
		return fd;
	memcpy(sig.tcpm_key, "secret", 6);
	if (md5_address(family, &sig.tcpm_addr) &&
	    setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &sig, sizeof(sig)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Binds to a source port; true if there is none to bind to. */
static bool bind_port(int fd, int family, const char *sport)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
				  .ai_family = family,
				  .ai_socktype = SOCK_STREAM };
	struct addrinfo *from;
	bool ok;

	if (!*sport)
		return true;
	if (getaddrinfo(NULL, sport, &hints, &from) != 0)
		return false;
	ok = bind(fd, from->ai_addr, from->ai_addrlen) == 0;
	freeaddrinfo(from);
	return ok;
}

int ends_connect(const char *host, const char *port, const char *sport)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				  .ai_socktype = SOCK_STREAM };
	struct addrinfo *to;
	int fd;

	if (getaddrinfo(host, port, &hints, &to) != 0)
		return errno = EINVAL, -1;
	fd = make_socket(to->ai_family);
	if (fd < 0 || !bind_port(fd, to->ai_family, sport))
		goto bad;
	/* The last use of a source port may still wait for the ACK of its FIN. */
	for (int i = 0; i < 100; i++) {
		if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
			goto out;
		if (errno != EADDRNOTAVAIL)
			break;
		usleep(10000);
	}
bad:
	if (fd >= 0)
		close(fd);
	fd = -1;
out:
	freeaddrinfo(to);
	return fd;
}

int ends_serve(const char *port, int (*serve)(int fd))
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6,
				  .sin6_port = htons((uint16_t)atoi(port)) };
	int l = make_socket(AF_INET6), queue = 64;

	signal(SIGCHLD, SIG_IGN);
	setsockopt(l, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue));
	if (l < 0 || bind(l, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(l, 512) < 0)
		return ends_fail("cannot listen");
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
