/* SPDX-License-Identifier: MIT */
#ifndef SUT_TEST_BPF_RIG_H
#define SUT_TEST_BPF_RIG_H
/*
 * bpf_rig - a network namespace with a host in it, and two wires to that host: for tests of the BPF data plane.
 *
 *     wire (our end: raw frames) === host (192.0.2.1, 2001:db8::1; programs are attached here)
 *     far (our end: raw frames)  === away (the host's other device, where `front` sends things to)
 *
 * The origins 198.51.100.1 and 2001:db8:1::1 are on lo.  Clients are 192.0.2.10 and 2001:db8::a, as frame.h has them; the host knows their
 * link addresses.  All of it, and a /tmp of its own, is gone with the process.  Our ends take virtio-net headers: checksum and GSO state are seen as they are.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "app/plane_bpf.h"
#include "frame.h"
#include "proto/view.h"

#define SEQ 1000u
#define ACK 2000u
#define CLIENT_PORT 40000
#define RIG_FRAME 70000u

struct rig {
	int wire, far; /* AF_PACKET at our ends */
	unsigned host_index, away_index;
};

/* A frame that came, with its checksum and GSO state. */
struct rig_frame {
	struct virtio_net_hdr vnet;
	uint8_t bytes[RIG_FRAME];
	struct packet p;
	struct view v;
};

static inline int rig_run(const char *command)
{
	char text[600];

	snprintf(text, sizeof text, "{ %s; } >/dev/null 2>&1", command);
	return system(text);
}

/* May this process have BPF maps? */
static inline bool rig_has_bpf(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "rig", 4, 4, 1, NULL);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static inline int rig_tap(const char *device)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(device) };
	const int on = 1;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert(fd >= 0);
	assert(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) == 0);
	assert(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) == 0);
	assert(bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
	return fd;
}

/* The world of this process: 0, or 77 where it may not have one. */
static inline int rig_open(struct rig *r)
{
	if (geteuid() != 0 || !rig_has_bpf() || unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		return 77;
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/tmp", "tmpfs", 0, NULL) < 0)
		return 77;
	if (rig_run("ip link set lo up && ip link add wire type veth peer name host && "
		    "ip link add far type veth peer name away && "
		    "ip link set wire address 02:00:00:00:00:02 && "
		    "ip link set host address 02:00:00:00:00:01 && "
		    "for d in wire host far away; do ip link set $d up; done") ||
	    rig_run("ip addr add 192.0.2.1/24 dev host && ip addr add 2001:db8::1/64 dev host "
		    "nodad && "
		    "ip addr add 198.51.100.1/32 dev lo && ip addr add 2001:db8:1::1/128 dev lo && "
		    "ip neigh add 192.0.2.10 lladdr 02:00:00:00:00:02 dev host nud permanent && "
		    "ip -6 neigh add 2001:db8::a lladdr 02:00:00:00:00:02 dev host nud permanent"))
		return 77;
	r->host_index = if_nametoindex("host");
	r->away_index = if_nametoindex("away");
	r->wire = rig_tap("wire");
	r->far = rig_tap("far");
	return 0;
}

static inline int rig_sysctl(const char *name, const char *value)
{
	char path[128];
	FILE *f;
	int r;

	snprintf(path, sizeof path, "/proc/sys/net/ipv4/%s", name);
	f = fopen(path, "w");
	if (!f)
		return -1;
	r = fputs(value, f);
	return fclose(f) != 0 || r < 0 ? -1 : 0;
}

/* Sends f as it is, or with its checksum left to the device and as a super-packet (mss: 0: not). */
static inline void rig_send_as(const struct rig *r, const struct frame *f, bool partial,
			       uint16_t mss)
{
	static uint8_t bytes[sizeof(struct virtio_net_hdr) + FRAME_MAX];
	struct virtio_net_hdr h = { 0 };

	if (partial) {
		h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h.csum_start = (uint16_t)f->l4;
		h.csum_offset = 16;
	}
	if (mss) {
		h.gso_type = f->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
		h.gso_size = mss;
		h.hdr_len = (uint16_t)(f->l4 + (uint32_t)(f->buf[f->l4 + 12] >> 4) * 4);
	}
	memcpy(bytes, &h, sizeof h);
	memcpy(bytes + sizeof h, f->buf, f->len);
	assert(write(r->wire, bytes, sizeof h + f->len) == (ssize_t)(sizeof h + f->len));
}

static inline void rig_send(const struct rig *r, const struct frame *f)
{
	rig_send_as(r, f, false, 0);
}

/* The next TCP segment that comes at fd: false if none does within ms. */
static inline bool rig_receive(int fd, struct rig_frame *ret_f, int ms)
{
	struct pollfd p = { fd, POLLIN, 0 };

	while (poll(&p, 1, ms) > 0) {
		struct iovec to[2] = { { &ret_f->vnet, sizeof ret_f->vnet },
				       { ret_f->bytes, RIG_FRAME } };
		ssize_t n = readv(fd, to, 2);

		if (n <= (ssize_t)sizeof ret_f->vnet)
			continue;
		ret_f->p = (struct packet){
			.head = ret_f->bytes,
			.head_len = (uint32_t)n - (uint32_t)sizeof ret_f->vnet,
			.off = { .csum = ret_f->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM
						 ? CSUM_PARTIAL
						 : CSUM_COMPLETE,
				 .gso_type = ret_f->vnet.gso_type,
				 .gso_size = ret_f->vnet.gso_size,
				 .csum_start = ret_f->vnet.csum_start,
				 .csum_offset = ret_f->vnet.csum_offset },
		};
		if (view_parse(&ret_f->p, &ret_f->v) == R_NONE && ret_f->v.tcp)
			return true;
	}
	return false;
}

/* An address as ways have it. */
static inline void rig_ip(const char *text, uint8_t ret_ip[16])
{
	memset(ret_ip, 0, 16);
	if (inet_pton(AF_INET6, text, ret_ip) == 1)
		return;
	ret_ip[10] = ret_ip[11] = 0xff;
	assert(inet_pton(AF_INET, text, ret_ip + 12) == 1);
}

static inline const char *rig_client(int version)
{
	return version == 4 ? "192.0.2.10" : "2001:db8::a";
}

static inline const char *rig_origin(int version)
{
	return version == 4 ? "198.51.100.1" : "2001:db8:1::1";
}

/* The key of the client's segments to an address and port of the host, and of the answers. */
static inline struct way_key rig_key(int version, const char *dst, uint16_t port)
{
	struct way_key k = { .sport = htons(CLIENT_PORT), .dport = htons(port) };

	rig_ip(rig_client(version), k.src);
	rig_ip(dst, k.dst);
	return k;
}

static inline struct way_key rig_turned(const struct way_key *k)
{
	struct way_key r = { .sport = k->dport, .dport = k->sport };

	memcpy(r.src, k->dst, 16);
	memcpy(r.dst, k->src, 16);
	return r;
}

/* A segment of the client's, with timestamps 10 and 20, and n bytes; to dst instead of frame.h's where it is not NULL. */
static inline void rig_segment(struct frame *f, int version, uint8_t flags, uint32_t seq,
			       uint32_t ack, uint32_t n)
{
	uint8_t *t;

	frame_segment(f, version, n);
	t = f->buf + f->l4;
	store_be32(t + 4, seq);
	store_be32(t + 8, ack);
	t[13] = flags;
	frame_end(f);
}

static inline void rig_redirect(struct frame *f, const uint8_t ip[16], uint16_t port)
{
	memcpy(f->buf + f->ip + (f->version == 4 ? 16 : 24), f->version == 4 ? ip + 12 : ip,
	       f->version == 4 ? 4 : 16);
	store_be16(f->buf + f->l4 + 2, port);
	frame_end(f);
}

/* A listener for both families. */
static inline int rig_listen(uint16_t port, int protocol, int backlog)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const int on = 1;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -errno;
	assert(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
	assert(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, backlog) == 0);
	return fd;
}

/* A connection within ms; -1. */
static inline int rig_accept(int fd, int ms)
{
	struct pollfd p = { fd, POLLIN, 0 };

	return poll(&p, 1, ms) > 0 ? accept(fd, NULL, NULL) : -1;
}

/* What was reported. */
struct rig_heard {
	struct way_event ev[256];
	unsigned n;
};

static inline void rig_hear(void *ctx, const struct way_event *ev)
{
	struct rig_heard *h = ctx;

	if (h->n < 256)
		h->ev[h->n++] = *ev;
}

/* Waits until an event of this kind is there; NULL if it does not come within ms. */
static inline const struct way_event *rig_wait(struct plane_bpf *pl, struct rig_heard *h,
					       enum way_event_kind kind, int ms)
{
	struct pollfd p = { plane_bpf_fd(pl), POLLIN, 0 };

	for (; ms >= 0; ms -= 10) {
		assert(plane_bpf_events(pl, rig_hear, h, UINT32_MAX) >= 0);
		for (unsigned k = 0; k < h->n; k++)
			if (h->ev[k].kind == (uint32_t)kind)
				return &h->ev[k];
		poll(&p, 1, 10);
	}
	return NULL;
}
#endif
