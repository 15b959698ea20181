/* SPDX-License-Identifier: MIT */
#ifndef SUT_TEST_BPF_RIG_H
#define SUT_TEST_BPF_RIG_H
/*
 * bpf_rig - a network namespace with a host in it, and a wire to that host: for tests of the BPF data plane.
 *
 * wire (our end: raw frames) === host (where programs are attached; 192.0.2.1 and 2001:db8::1, and the origins 198.51.100.1 and
 * 2001:db8:1::1 on lo).  Clients are 192.0.2.10 and 2001:db8::a, as frame.h has them; the host knows their link addresses.  All of
 * it is gone with the process.
 */
#include <errno.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "frame.h"

struct rig {
	int wire; /* AF_PACKET at our end */
	unsigned wire_index, host_index;
};

static inline int rig_run(const char *command)
{
	char text[512];

	snprintf(text, sizeof text, "{ %s; } >/dev/null 2>&1", command);
	return system(text);
}

/* 0, or 77 where this process may not do such things. */
static inline int rig_open(struct rig *r)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	const int on = 1;

	if (geteuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		return 77;
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 77;
	if (rig_run("ip link set lo up && ip link add wire type veth peer name host && "
		    "ip link set wire address 02:00:00:00:00:02 && ip link set host address "
		    "02:00:00:00:00:01 && "
		    "ip link set wire up && ip link set host up && "
		    "ip addr add 192.0.2.1/24 dev host && ip addr add 2001:db8::1/64 dev host "
		    "nodad") ||
	    rig_run("ip addr add 198.51.100.1/32 dev lo && ip addr add 2001:db8:1::1/128 dev lo && "
		    "ip neigh add 192.0.2.10 lladdr 02:00:00:00:00:02 dev host nud permanent && "
		    "ip -6 neigh add 2001:db8::a lladdr 02:00:00:00:00:02 dev host nud permanent"))
		return 77;
	r->wire_index = if_nametoindex("wire");
	r->host_index = if_nametoindex("host");
	at.sll_ifindex = (int)r->wire_index;
	r->wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	assert(r->wire >= 0);
	assert(bind(r->wire, (struct sockaddr *)&at, sizeof at) == 0);
	assert(setsockopt(r->wire, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) == 0);
	return 0;
}

static inline void rig_send(const struct rig *r, const struct frame *f)
{
	assert(write(r->wire, f->buf, f->len) == (ssize_t)f->len);
}

/* The next TCP segment that the host sends to the client: its length, or 0 if none comes within ms. */
static inline uint32_t rig_receive(const struct rig *r, uint8_t *ret_frame, uint32_t room, int ms)
{
	struct pollfd p = { r->wire, POLLIN, 0 };

	while (poll(&p, 1, ms) > 0) {
		ssize_t n = read(r->wire, ret_frame, room);

		if (n > 54 && ((ret_frame[12] == 8 && ret_frame[13] == 0 && ret_frame[23] == 6) ||
			       (ret_frame[12] == 0x86 && ret_frame[20] == 6)))
			return (uint32_t)n;
	}
	return 0;
}
#endif
