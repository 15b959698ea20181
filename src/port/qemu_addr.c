/* SPDX-License-Identifier: MIT */
#include "port/qemu_addr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define EXPECTED                                                                    \
	"expected qemu:[listen:]HOST:PORT or qemu:[listen:]unix:PATH, and perhaps " \
	",vnet_hdr_support behind it"

/* Takes prefix off *s: false if it does not begin so. */
static bool take(const char **s, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(*s, prefix, len) != 0)
		return false;
	*s += len;
	return true;
}

/* Copies len bytes and an end: false if there is nothing to copy, or no room for it. */
static bool copy(char *dst, size_t size, const char *s, size_t len)
{
	if (len == 0 || len >= size)
		return false;
	memcpy(dst, s, len);
	dst[len] = '\0';
	return true;
}

static bool read_port(const char *s, size_t len, struct qemu_addr *a)
{
	unsigned n = 0;

	if (!copy(a->port, sizeof a->port, s, len))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		n = n * 10 + (unsigned)(s[i] - '0');
	}
	return n >= 1 && n <= 65535;
}

/* HOST:PORT of len bytes: NULL, or what is wrong with it. */
static const char *read_inet(const char *s, size_t len, struct qemu_addr *a)
{
	const char *colon = memrchr(s, ':', len), *host = s;
	size_t host_len;

	if (!colon)
		return "there is no port number";
	if (!read_port(colon + 1, (size_t)(s + len - colon - 1), a))
		return "the port is a number from 1 to 65535";
	host_len = (size_t)(colon - s);
	if (host_len >= 2 && s[0] == '[' && colon[-1] == ']') {
		host++;
		host_len -= 2;
		if (host_len == 0)
			return "there is no address in the brackets";
	} else if (memchr(s, ':', host_len)) {
		return "an IPv6 address stands in brackets, [2001:db8::1]:4444";
	}
	if (host_len == 0)
		return a->listen ? NULL : "there is no host to connect to";
	return copy(a->host, sizeof a->host, host, host_len) ? NULL : "the host's name is too long";
}

static const char *read_path(const char *s, size_t len, struct qemu_addr *a)
{
	if (len == 0)
		return "there is no path";
	return copy(a->path, sizeof a->path, s, len)
		       ? NULL
		       : "paths of sockets have at most 107 characters";
}

static const char *read_option(const char *s, struct qemu_addr *a)
{
	if (strcmp(s, "vnet_hdr_support") == 0 || strcmp(s, "vnet_hdr_support=on") == 0)
		a->vnet = true;
	else if (strcmp(s, "vnet_hdr_support=off") == 0)
		a->vnet = false;
	else
		return "what stands behind the comma is not known";
	return NULL;
}

int qemu_addr_parse(const char *spec, struct qemu_addr *ret_a, char *ret_err, size_t err_size)
{
	struct qemu_addr a = { 0 };
	const char *s = spec, *wrong;
	size_t len;

	a.listen = take(&s, "listen:");
	a.local = take(&s, "unix:");
	len = strcspn(s, ",");
	wrong = a.local ? read_path(s, len, &a) : read_inet(s, len, &a);
	if (!wrong && s[len])
		wrong = read_option(s + len + 1, &a);
	if (wrong) {
		snprintf(ret_err, err_size, "'qemu:%s' is not a stream: %s; %s", spec, wrong,
			 EXPECTED);
		return -EINVAL;
	}
	*ret_a = a;
	return 0;
}
