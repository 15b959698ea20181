/* SPDX-License-Identifier: MIT */
/* listen ADDR PORT tcp|mptcp|md5|v6only: a server that listens, says "ready", and answers nobody until it is ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define PROTO_MPTCP 262

static int want_signed(int fd)
{
	struct tcp_md5sig m = { .tcpm_keylen = 3, .tcpm_key = "key" };
	struct sockaddr_in *peer = (struct sockaddr_in *)&m.tcpm_addr;

	peer->sin_family = AF_INET;
	inet_pton(AF_INET, "192.0.2.77", &peer->sin_addr);
	return setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &m, sizeof m);
}

/* The address, and its length; 0: it is none. */
static socklen_t address_of(const char *ip, const char *port, struct sockaddr_storage *ret_a)
{
	struct sockaddr_in *a4 = (struct sockaddr_in *)ret_a;
	struct sockaddr_in6 *a6 = (struct sockaddr_in6 *)ret_a;

	if (inet_pton(AF_INET, ip, &a4->sin_addr) == 1) {
		a4->sin_family = AF_INET;
		a4->sin_port = htons((uint16_t)atoi(port));
		return sizeof *a4;
	}
	if (inet_pton(AF_INET6, ip, &a6->sin6_addr) != 1)
		return 0;
	a6->sin6_family = AF_INET6;
	a6->sin6_port = htons((uint16_t)atoi(port));
	return sizeof *a6;
}

int main(int argc, char **argv)
{
	struct sockaddr_storage a = { 0 };
	socklen_t len = argc == 4 ? address_of(argv[1], argv[2], &a) : 0;
	int fd, only;

	if (len == 0)
		return 2;
	only = strcmp(argv[3], "v6only") == 0;
	fd = socket(a.ss_family, SOCK_STREAM, strcmp(argv[3], "mptcp") == 0 ? PROTO_MPTCP : 0);
	if (fd < 0 || (strcmp(argv[3], "md5") == 0 && want_signed(fd) != 0) ||
	    (a.ss_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0) ||
	    bind(fd, (struct sockaddr *)&a, len) != 0 || listen(fd, 16) != 0) {
		perror(argv[3]);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}
