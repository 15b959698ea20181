/* SPDX-License-Identifier: MIT */
#include "app/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "app/option_value.h"
#include "proto/ip.h"

int endpoint_read_ip(const char *s, size_t len, uint8_t ret_ip[16])
{
	char text[INET6_ADDRSTRLEN];
	uint8_t ip[16], ip4[4];

	if (len >= 2 && s[0] == '[' && s[len - 1] == ']') {
		s++;
		len -= 2;
		if (!memchr(s, ':', len))
			return -EINVAL;
	}
	if (len == 0 || len >= sizeof text)
		return -EINVAL;
	memcpy(text, s, len);
	text[len] = 0;
	if (inet_pton(AF_INET, text, ip4) == 1)
		ip4_map(ip4, ip);
	else if (inet_pton(AF_INET6, text, ip) != 1)
		return -EINVAL;
	memcpy(ret_ip, ip, 16);
	return 0;
}

int endpoint_read(const char *s, size_t len, struct endpoint *ret_e)
{
	const char *colon = memrchr(s, ':', len);
	size_t before = colon ? (size_t)(colon - s) : 0;
	struct endpoint e = { 0 };
	uint64_t port;

	if (!colon || value_number(colon + 1, len - before - 1, &port) != 0 || port == 0 ||
	    port > 65535)
		return -EINVAL;
	if (memchr(s, ':', before) && s[0] != '[')
		return -EINVAL;
	if (endpoint_read_ip(s, before, e.ip) != 0)
		return -EINVAL;
	e.port = (uint16_t)port;
	*ret_e = e;
	return 0;
}

void endpoint_write(const struct endpoint *e, char ret_s[ENDPOINT_TEXT])
{
	bool four = ip_is_mapped(e->ip);
	char ip[INET6_ADDRSTRLEN] = "";

	inet_ntop(four ? AF_INET : AF_INET6, four ? e->ip + 12 : e->ip, ip, sizeof ip);
	if (e->port == 0)
		snprintf(ret_s, ENDPOINT_TEXT, "%s", ip);
	else
		snprintf(ret_s, ENDPOINT_TEXT, four ? "%s:%u" : "[%s]:%u", ip, e->port);
}

socklen_t endpoint_to_socket(const struct endpoint *e, struct sockaddr_storage *ret_a)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret_a;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_a;

	memset(ret_a, 0, sizeof *ret_a);
	if (ip_is_mapped(e->ip)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(e->port);
		memcpy(&v4->sin_addr, e->ip + 12, 4);
		return sizeof *v4;
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(e->port);
	memcpy(&v6->sin6_addr, e->ip, 16);
	return sizeof *v6;
}

int endpoint_of_socket(const struct sockaddr_storage *a, struct endpoint *ret_e)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
	struct endpoint e = { 0 };

	if (a->ss_family == AF_INET) {
		ip4_map((const uint8_t *)&v4->sin_addr, e.ip);
		e.port = ntohs(v4->sin_port);
	} else if (a->ss_family == AF_INET6) {
		memcpy(e.ip, &v6->sin6_addr, 16);
		e.port = ntohs(v6->sin6_port);
	} else {
		return -EAFNOSUPPORT;
	}
	*ret_e = e;
	return 0;
}
