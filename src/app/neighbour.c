/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * For each target: which next hop does the routing table have for it out of the device; what does the neighbour table have for that.  Where
 * it has nothing valid, the kernel is told that the entry is in use, and resolves it as it would for a packet.  Any change that netlink
 * tells of (neighbours, links, routes, addresses) makes us look again at all: tables of back ends are short.  What was found stays told until
 * something else is: a back end that is gone is health's business.
 */
#include "app/neighbour.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "app/endpoint.h"
#include "proto/ip.h"

#define RETRY SUT_MS(500)
#define SOON SUT_MS(20) /* behind a change: they come in swarms */
#define REFRESH SUT_MS(10000)
#define VALID (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)
#define ANSWER 8192u

struct known {
	bool told;
	uint8_t to[6], own[6];
	unsigned ifindex;
};

struct neighbour {
	struct neighbour_config cfg;
	struct mnl_socket *ask, *watch;
	unsigned seq;
	sut_time next; /* when to look, and to let the kernel make sure */
	sut_time soon; /* to look since something has changed; SUT_NEVER: nothing has */
	struct known known[NEIGHBOUR_TARGETS];
};

/* An address as netlink has it. */
struct raw {
	uint8_t family, len;
	const uint8_t *bytes;
};

static struct raw raw_of(const uint8_t ip[16])
{
	return ip_is_mapped(ip) ? (struct raw){ AF_INET, 4, ip + 12 }
				: (struct raw){ AF_INET6, 16, ip };
}

/* Sends a request, and gives its answer to fn: 0 or -errno. */
static int request(struct neighbour *n, struct nlmsghdr *m, mnl_cb_t fn, void *ctx)
{
	uint8_t answer[ANSWER];
	unsigned self = mnl_socket_get_portid(n->ask);
	ssize_t len;
	int more = MNL_CB_OK;

	m->nlmsg_seq = ++n->seq;
	if (mnl_socket_sendto(n->ask, m, m->nlmsg_len) < 0)
		return -errno;
	while (more > MNL_CB_STOP) {
		len = mnl_socket_recvfrom(n->ask, answer, sizeof answer);
		if (len < 0)
			return -errno;
		more = mnl_cb_run(answer, (size_t)len, n->seq, self, fn, ctx);
		if (more < 0)
			return -errno;
		/* one message is the whole answer, unless it is an acknowledgement that is awaited */
		if (!(m->nlmsg_flags & NLM_F_ACK))
			break;
	}
	return 0;
}

static bool is_there(const struct nlmsghdr *m, const struct nlattr *a)
{
	const char *end = mnl_nlmsg_get_payload_tail(m);

	return mnl_attr_ok(a, (int)(end - (const char *)a));
}

/* Routes. */

struct route {
	bool found;
	uint8_t via[16];
};

static int take_route(const struct nlmsghdr *m, void *ctx)
{
	const struct rtmsg *r = mnl_nlmsg_get_payload(m);
	struct route *to = ctx;
	const struct nlattr *a;

	if (m->nlmsg_type != RTM_NEWROUTE || r->rtm_type != RTN_UNICAST)
		return MNL_CB_OK;
	to->found = true;
	for (a = mnl_nlmsg_get_payload_offset(m, sizeof *r); is_there(m, a); a = mnl_attr_next(a)) {
		unsigned len = mnl_attr_get_payload_len(a);

		if (mnl_attr_get_type(a) != RTA_GATEWAY)
			continue;
		if (len == 4)
			ip4_map(mnl_attr_get_payload(a), to->via);
		else if (len == 16)
			memcpy(to->via, mnl_attr_get_payload(a), 16);
	}
	return MNL_CB_OK;
}

/* The next hop to ip out of this device, which is ip itself on a link. */
static bool find_route(struct neighbour *n, unsigned ifindex, const uint8_t ip[16],
		       uint8_t ret_via[16])
{
	uint8_t buf[256];
	struct nlmsghdr *m = mnl_nlmsg_put_header(buf);
	struct raw a = raw_of(ip);
	struct route to = { 0 };
	struct rtmsg *r;

	m->nlmsg_type = RTM_GETROUTE;
	m->nlmsg_flags = NLM_F_REQUEST;
	r = mnl_nlmsg_put_extra_header(m, sizeof *r);
	r->rtm_family = a.family;
	r->rtm_dst_len = (unsigned char)(a.len * 8);
	mnl_attr_put(m, RTA_DST, a.len, a.bytes);
	mnl_attr_put_u32(m, RTA_OIF, ifindex);
	memcpy(to.via, ip, 16);
	if (request(n, m, take_route, &to) != 0 || !to.found)
		return false;
	memcpy(ret_via, to.via, 16);
	return true;
}

/* Neighbours. */

struct entry {
	bool valid;
	uint8_t mac[6];
};

static int take_entry(const struct nlmsghdr *m, void *ctx)
{
	const struct ndmsg *d = mnl_nlmsg_get_payload(m);
	struct entry *e = ctx;
	const struct nlattr *a;

	if (m->nlmsg_type != RTM_NEWNEIGH || !(d->ndm_state & VALID))
		return MNL_CB_OK;
	for (a = mnl_nlmsg_get_payload_offset(m, sizeof *d); is_there(m, a); a = mnl_attr_next(a)) {
		if (mnl_attr_get_type(a) != NDA_LLADDR || mnl_attr_get_payload_len(a) != 6)
			continue;
		memcpy(e->mac, mnl_attr_get_payload(a), 6);
		e->valid = true;
	}
	return MNL_CB_OK;
}

static struct nlmsghdr *put_neighbour(uint8_t *buf, unsigned ifindex, const uint8_t ip[16])
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(buf);
	struct raw a = raw_of(ip);
	struct ndmsg *d = mnl_nlmsg_put_extra_header(m, sizeof *d);

	d->ndm_family = a.family;
	d->ndm_ifindex = (int)ifindex;
	mnl_attr_put(m, NDA_DST, a.len, a.bytes);
	return m;
}

static bool find_neighbour(struct neighbour *n, unsigned ifindex, const uint8_t ip[16],
			   uint8_t ret_mac[6])
{
	uint8_t buf[256];
	struct nlmsghdr *m = put_neighbour(buf, ifindex, ip);
	struct entry e = { .valid = false };

	m->nlmsg_type = RTM_GETNEIGH;
	m->nlmsg_flags = NLM_F_REQUEST;
	if (request(n, m, take_entry, &e) != 0 || !e.valid)
		return false;
	memcpy(ret_mac, e.mac, 6);
	return true;
}

/* The kernel is to resolve it, or to make sure of it. */
static void use_neighbour(struct neighbour *n, unsigned ifindex, const uint8_t ip[16])
{
	uint8_t buf[256];
	struct nlmsghdr *m = put_neighbour(buf, ifindex, ip);
	struct ndmsg *d = mnl_nlmsg_get_payload(m);

	m->nlmsg_type = RTM_NEWNEIGH;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK;
	d->ndm_flags = NTF_USE;
	d->ndm_state = NUD_NONE;
	(void)request(n, m, NULL, NULL);
}

/* Looking. */

static bool find_own(const struct neighbour *n, uint8_t ret_mac[6])
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { 0 };
	bool ok;

	memcpy(r.ifr_name, n->cfg.device, sizeof n->cfg.device);
	ok = fd >= 0 && ioctl(fd, SIOCGIFHWADDR, &r) == 0 && r.ifr_hwaddr.sa_family == ARPHRD_ETHER;
	if (fd >= 0)
		close(fd);
	if (ok)
		memcpy(ret_mac, r.ifr_hwaddr.sa_data, 6);
	return ok;
}

static bool is_same(const struct known *a, const struct known *b)
{
	return a->told == b->told && a->ifindex == b->ifindex && memcmp(a->to, b->to, 6) == 0 &&
	       memcmp(a->own, b->own, 6) == 0;
}

/* One target: is it known now?  refresh: the kernel is to make sure. */
static bool look(struct neighbour *n, unsigned i, unsigned ifindex, const uint8_t own[6],
		 bool refresh)
{
	struct known *k = &n->known[i], now = { .told = true, .ifindex = ifindex };
	uint8_t via[16];

	memcpy(now.own, own, 6);
	if (!find_route(n, ifindex, n->cfg.target[i], via))
		return false;
	if (!find_neighbour(n, ifindex, via, now.to)) {
		if (refresh)
			use_neighbour(n, ifindex, via);
		return false;
	}
	if (refresh)
		use_neighbour(n, ifindex, via);
	if (!is_same(k, &now)) {
		*k = now;
		n->cfg.tell(n->cfg.ctx, i, k->to, k->own, k->ifindex);
	}
	return true;
}

static void look_at_all(struct neighbour *n, bool refresh, sut_time now)
{
	unsigned ifindex = if_nametoindex(n->cfg.device);
	bool all = ifindex != 0;
	uint8_t own[6];

	n->soon = SUT_NEVER;
	if (ifindex && find_own(n, own))
		for (unsigned i = 0; i < NEIGHBOUR_TARGETS; i++)
			all &= ip_is_zero(n->cfg.target[i]) || look(n, i, ifindex, own, refresh);
	else
		all = false;
	if (refresh || n->next > now + RETRY)
		n->next = now + (all ? REFRESH : RETRY);
}

void neighbour_expire(struct neighbour *n, sut_time now)
{
	if (n->next <= now)
		look_at_all(n, true, now);
	else if (n->soon <= now)
		look_at_all(n, false, now);
}

void neighbour_target(struct neighbour *n, unsigned i, const uint8_t ip[16], sut_time now)
{
	n->known[i] = (struct known){ .told = false };
	memset(n->cfg.target[i], 0, 16);
	if (!ip)
		return;
	memcpy(n->cfg.target[i], ip, 16);
	n->next = now;
}

sut_time neighbour_deadline(const struct neighbour *n)
{
	return n->soon < n->next ? n->soon : n->next;
}

void neighbour_ready(struct neighbour *n, sut_time now)
{
	uint8_t bytes[ANSWER];

	/* what changed does not matter: tables are short; but the network may be busy */
	while (recv(mnl_socket_get_fd(n->watch), bytes, sizeof bytes, MSG_DONTWAIT) >= 0 ||
	       errno == ENOBUFS)
		;
	if (n->soon == SUT_NEVER)
		n->soon = now + SOON;
}

/* Life. */

static struct mnl_socket *open_socket(unsigned groups)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	const struct timeval patience = { .tv_sec = 1 };

	if (s && mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID) == 0) {
		(void)setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVTIMEO, &patience,
				 sizeof patience);
		return s;
	}
	if (s)
		mnl_socket_close(s);
	return NULL;
}

int neighbour_open(const struct neighbour_config *c, struct neighbour **ret_n, char *ret_err,
		   size_t err_size)
{
	struct neighbour *n = calloc(1, sizeof *n);
	int err;

	if (!n)
		return -ENOMEM;
	n->cfg = *c;
	n->soon = SUT_NEVER;
	n->ask = open_socket(0);
	n->watch = open_socket(RTMGRP_NEIGH | RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE |
			       RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
	if (!n->ask || !n->watch) {
		err = -errno;
		snprintf(ret_err, err_size, "netlink: %s", strerror(-err));
		neighbour_close(n);
		return err;
	}
	*ret_n = n;
	return 0;
}

void neighbour_close(struct neighbour *n)
{
	if (n->ask)
		mnl_socket_close(n->ask);
	if (n->watch)
		mnl_socket_close(n->watch);
	free(n);
}

int neighbour_fd(const struct neighbour *n)
{
	return mnl_socket_get_fd(n->watch);
}

/* The address of a, if it is one that may be taken: 0 or -EINVAL. */
static int address_of(const struct ifaddrs *a, int family, uint8_t ret_ip[16])
{
	struct sockaddr_storage s = { 0 };
	struct endpoint e;

	if (!a->ifa_addr || a->ifa_addr->sa_family != family)
		return -EINVAL;
	memcpy(&s, a->ifa_addr,
	       family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
	if (endpoint_of_socket(&s, &e) != 0 ||
	    (family == AF_INET6 && e.ip[0] == 0xfe && (e.ip[1] & 0xc0) == 0x80))
		return -EINVAL;
	memcpy(ret_ip, e.ip, 16);
	return 0;
}

static bool stands_alone(const struct ifaddrs *a)
{
	const struct sockaddr_in *v4 = (const void *)a->ifa_netmask;
	const struct sockaddr_in6 *v6 = (const void *)a->ifa_netmask;

	if (!a->ifa_netmask)
		return true;
	return a->ifa_addr->sa_family == AF_INET ? v4->sin_addr.s_addr == INADDR_BROADCAST
						 : v6->sin6_addr.s6_addr[15] == 0xff;
}

int neighbour_own_address(const char *device, int family, const uint8_t (*but)[16], unsigned n,
			  uint8_t ret_ip[16])
{
	struct ifaddrs *all, *a;
	int err = -ENOENT;
	bool sure = false;

	if (getifaddrs(&all) != 0)
		return -errno;
	for (a = all; a && !sure; a = a->ifa_next) {
		bool left_out = strcmp(a->ifa_name, device) != 0;
		uint8_t ip[16];

		if (left_out || address_of(a, family, ip) != 0)
			continue;
		for (unsigned i = 0; i < n; i++)
			left_out |= memcmp(but[i], ip, 16) == 0;
		if (left_out || (err == 0 && stands_alone(a)))
			continue;
		memcpy(ret_ip, ip, 16);
		sure = !stands_alone(a);
		err = 0;
	}
	freeifaddrs(all);
	return err;
}
