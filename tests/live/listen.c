/* SPDX-License-Identifier: MIT */
/* listen ADDR PORT tcp|mptcp|md5: a server that listens, says "ready", and answers nobody until it is ended. */
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

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &a.sin_addr) != 1)
		return 2;
	a.sin_port = htons((uint16_t)atoi(argv[2]));
	fd = socket(AF_INET, SOCK_STREAM, strcmp(argv[3], "mptcp") == 0 ? PROTO_MPTCP : 0);
	if (fd < 0 || (strcmp(argv[3], "md5") == 0 && want_signed(fd) != 0) ||
	    bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 16) != 0) {
		perror(argv[3]);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}
