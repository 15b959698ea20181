/* SPDX-License-Identifier: MIT */
#include "port/tun_link.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "proto/ip.h"

#define REQUEST_MAX 512u

int link_addr_parse(const char *text, struct link_addr *ret_a)
{
	char ip[INET6_ADDRSTRLEN];
	uint8_t ip4[4];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	struct link_addr a = { 0 };
	unsigned long bits, most;
	char *end;

	if (len == 0 || len >= sizeof ip)
		return -EINVAL;
	memcpy(ip, text, len);
	ip[len] = 0;
	if (inet_pton(AF_INET, ip, ip4) == 1) {
		ip4_map(ip4, a.ip);
		most = 32;
	} else if (inet_pton(AF_INET6, ip, a.ip) == 1 && !ip_is_mapped(a.ip)) {
		most = 128;
	} else {
		return -EINVAL;
	}
	bits = most;
	if (slash && slash[1] >= '0' && slash[1] <= '9' && strlen(slash) <= 4) {
		bits = strtoul(slash + 1, &end, 10);
		if (*end)
			return -EINVAL;
	} else if (slash) {
		return -EINVAL;
	}
	if (bits == 0 || bits > most)
		return -EINVAL;
	a.prefix = (uint8_t)bits;
	*ret_a = a;
	return 0;
}

/* Sends a request and reads the kernel's answer: 0 or -errno. */
static int request(struct mnl_socket *s, struct nlmsghdr *h)
{
	_Alignas(struct nlmsghdr) char answer[4096];
	ssize_t n;

	h->nlmsg_seq++;
	h->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(s, answer, sizeof answer);
	if (n < 0)
		return -errno;
	return mnl_cb_run(answer, (size_t)n, h->nlmsg_seq, mnl_socket_get_portid(s), NULL, NULL) < 0
		       ? -errno
		       : 0;
}

static int set_link(struct mnl_socket *s, unsigned index, uint32_t mtu, uint32_t queue)
{
	_Alignas(struct nlmsghdr) char buf[REQUEST_MAX];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *m;

	h->nlmsg_type = RTM_NEWLINK;
	m = mnl_nlmsg_put_extra_header(h, sizeof *m);
	m->ifi_family = AF_UNSPEC;
	m->ifi_index = (int)index;
	m->ifi_flags = m->ifi_change = IFF_UP;
	if (mtu)
		mnl_attr_put_u32(h, IFLA_MTU, mtu);
	if (queue)
		mnl_attr_put_u32(h, IFLA_TXQLEN, queue);
	return request(s, h);
}

static int add_addr(struct mnl_socket *s, unsigned index, const struct link_addr *a)
{
	_Alignas(struct nlmsghdr) char buf[REQUEST_MAX];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	const bool ip4 = ip_is_mapped(a->ip);
	struct ifaddrmsg *m;

	h->nlmsg_type = RTM_NEWADDR;
	h->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	m = mnl_nlmsg_put_extra_header(h, sizeof *m);
	m->ifa_family = ip4 ? AF_INET : AF_INET6;
	m->ifa_prefixlen = a->prefix;
	m->ifa_index = index;
	/* nobody else is there to have the address: no waiting for objections */
	mnl_attr_put_u32(h, IFA_FLAGS, IFA_F_PERMANENT | (ip4 ? 0u : (uint32_t)IFA_F_NODAD));
	mnl_attr_put(h, IFA_LOCAL, ip4 ? 4 : 16, ip4 ? a->ip + 12 : a->ip);
	mnl_attr_put(h, IFA_ADDRESS, ip4 ? 4 : 16, ip4 ? a->ip + 12 : a->ip);
	return request(s, h);
}

static const char *advice(int err)
{
	return err == -EPERM ? " (run as root, or with CAP_NET_ADMIN)" : "";
}

static void addr_text(const struct link_addr *a, char *ret_s, size_t size)
{
	char ip[INET6_ADDRSTRLEN] = "?";
	const bool ip4 = ip_is_mapped(a->ip);

	(void)inet_ntop(ip4 ? AF_INET : AF_INET6, ip4 ? a->ip + 12 : a->ip, ip, sizeof ip);
	snprintf(ret_s, size, "%s/%u", ip, a->prefix);
}

/* All of it over an open socket: 0, or -errno with what was refused in ret_what. */
static int configure(struct mnl_socket *s, const char *dev, uint32_t mtu, uint32_t queue,
		     const struct link_addr *addr, unsigned n, char ret_what[64])
{
	unsigned index = if_nametoindex(dev);
	int err = index ? 0 : -ENODEV;

	snprintf(ret_what, 64, "no such device");
	if (err == 0) {
		snprintf(ret_what, 64, mtu ? "MTU %u and up" : "up", mtu);
		err = set_link(s, index, mtu, queue);
	}
	for (unsigned i = 0; i < n && err == 0; i++) {
		addr_text(&addr[i], ret_what, 64);
		err = add_addr(s, index, &addr[i]);
	}
	return err;
}

int link_configure(const char *dev, uint32_t mtu, uint32_t queue, const struct link_addr *addr,
		   unsigned n, char *ret_err, size_t err_size)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	char what[64] = "rtnetlink";
	int err = 0;

	if (!s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0)
		err = -errno;
	if (err == 0)
		err = configure(s, dev, mtu, queue, addr, n, what);
	if (err)
		snprintf(ret_err, err_size, "%s: %s: %s%s", dev, what, strerror(-err), advice(err));
	if (s)
		mnl_socket_close(s);
	return err;
}

/* Routes. */

struct route {
	unsigned index;
	bool local;
};

static int take_attr(const struct nlattr *a, void *ctx)
{
	struct route *r = ctx;

	if (mnl_attr_get_type(a) == RTA_OIF && mnl_attr_validate(a, MNL_TYPE_U32) >= 0)
		r->index = mnl_attr_get_u32(a);
	return MNL_CB_OK;
}

static int take_route(const struct nlmsghdr *h, void *ctx)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct route *r = ctx;

	if (h->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(h) < sizeof *m)
		return MNL_CB_OK;
	r->local = m->rtm_type == RTN_LOCAL;
	return mnl_attr_parse(h, sizeof *m, take_attr, r);
}

/* The answer to a question about a route comes without an acknowledgement behind it. */
static int ask_route(struct mnl_socket *s, const uint8_t ip[16], struct route *ret_r)
{
	_Alignas(struct nlmsghdr) char buf[4096];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	const bool ip4 = ip_is_mapped(ip);
	struct rtmsg *m;
	ssize_t n;

	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = 1;
	m = mnl_nlmsg_put_extra_header(h, sizeof *m);
	m->rtm_family = ip4 ? AF_INET : AF_INET6;
	m->rtm_dst_len = ip4 ? 32 : 128;
	mnl_attr_put(h, RTA_DST, ip4 ? 4 : 16, ip4 ? ip + 12 : ip);
	if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(s, buf, sizeof buf);
	if (n < 0)
		return -errno;
	return mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(s), take_route, ret_r) < 0
		       ? -errno
		       : 0;
}

int link_route(const uint8_t ip[16], unsigned *ret_index, bool *ret_local)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct route r = { 0 };
	int err = 0;

	if (!s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0)
		err = -errno;
	if (err == 0)
		err = ask_route(s, ip, &r);
	if (s)
		mnl_socket_close(s);
	if (err)
		return err;
	*ret_index = r.index;
	*ret_local = r.local;
	return 0;
}

/* Changes. */

int link_watch(void)
{
	const struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE), err;

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* Does one of the messages say that the device of this index is not up? */
static bool tells_down(const char *buf, ssize_t n, unsigned index)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;
	int left = (int)n;

	for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
		const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);

		if (h->nlmsg_type == RTM_NEWLINK && mnl_nlmsg_get_payload_len(h) >= sizeof *m &&
		    (unsigned)m->ifi_index == index && !(m->ifi_flags & IFF_UP))
			return true;
	}
	return false;
}

bool link_was_down(int watch, const char *dev)
{
	_Alignas(struct nlmsghdr) char buf[8192];
	const unsigned index = if_nametoindex(dev);
	bool down = false;
	ssize_t n;

	while ((n = recv(watch, buf, sizeof buf, 0)) > 0 || (n < 0 && errno == ENOBUFS))
		down |= n < 0 || tells_down(buf, n, index); /* ENOBUFS: some were lost */
	return down;
}
