/* SPDX-License-Identifier: MIT */
#include <suture/stack.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ip.h"

/* Reads an address of either family: the number of bits in front of it in 16 bytes (96 or 0), or -EINVAL. */
static int read_ip(const char *text, uint8_t ret_ip[16])
{
	uint8_t ip[16], ip4[4];

	if (inet_pton(AF_INET6, text, ip) == 1) {
		memcpy(ret_ip, ip, 16);
		return ip_is_mapped(ip) ? 96 : 0;
	}
	if (inet_pton(AF_INET, text, ip4) != 1)
		return -EINVAL;
	ip4_map(ip4, ret_ip);
	return 96;
}

int sut_addr_read(const char *ip, uint16_t port, struct sut_addr *ret_a)
{
	int e = read_ip(ip, ret_a->ip);

	if (e < 0)
		return e;
	ret_a->port = port;
	return 0;
}

int sut_net_read(const char *text, struct sut_net *ret_n)
{
	const char *slash = strchr(text, '/');
	char ip[INET6_ADDRSTRLEN];
	struct sut_net n;
	unsigned long bits;
	char *end;
	int front;

	if (slash == NULL || (size_t)(slash - text) >= sizeof ip || slash[1] < '0' ||
	    slash[1] > '9')
		return -EINVAL;
	memcpy(ip, text, (size_t)(slash - text));
	ip[slash - text] = '\0';
	front = read_ip(ip, n.ip);
	if (front < 0)
		return front;
	bits = strtoul(slash + 1, &end, 10);
	if (*end != '\0' || bits > 128u - (unsigned)front)
		return -EINVAL;
	n.prefix = (uint8_t)((unsigned)front + bits);
	*ret_n = n;
	return 0;
}

const char *sut_addr_text(const struct sut_addr *a, char *ret_text)
{
	char ip[INET6_ADDRSTRLEN];

	if (ip_is_mapped(a->ip)) {
		inet_ntop(AF_INET, a->ip + 12, ip, sizeof ip);
		snprintf(ret_text, SUT_ADDR_TEXT, "%s:%u", ip, a->port);
	} else {
		inet_ntop(AF_INET6, a->ip, ip, sizeof ip);
		snprintf(ret_text, SUT_ADDR_TEXT, "[%s]:%u", ip, a->port);
	}
	return ret_text;
}
