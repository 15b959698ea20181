/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_ENDPOINT_H
#define SUT_APP_ENDPOINT_H
/*
 * endpoint - addresses with ports, as text, as bytes, and as the kernel's sockets have them.
 *
 * IPv4 is v4-mapped IPv6 in ip; text has IPv6 in brackets where a port follows.  No names, no scopes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/socket.h>

struct endpoint {
	uint8_t ip[16];
	uint16_t port; /* host order; 0: none */
};

#define ENDPOINT_TEXT 56u /* longest text, with its zero */

/* "192.0.2.1" or "2001:db8::1", with or without brackets, from the first len bytes of s: 0 or -EINVAL. */
int endpoint_read_ip(const char *s, size_t len, uint8_t ret_ip[16]);

/* "192.0.2.1:80", "[2001:db8::1]:80"; the port is 1 to 65535: 0 or -EINVAL. */
int endpoint_read(const char *s, size_t len, struct endpoint *ret_e);

/* Writes what endpoint_read() reads; without a port (0) only the address, without brackets. */
void endpoint_write(const struct endpoint *e, char ret_s[ENDPOINT_TEXT]);

/* For sockets of that address's family: the length of *ret_a. */
socklen_t endpoint_to_socket(const struct endpoint *e, struct sockaddr_storage *ret_a);

/* 0; -EAFNOSUPPORT: neither family. */
int endpoint_of_socket(const struct sockaddr_storage *a, struct endpoint *ret_e);
#endif
