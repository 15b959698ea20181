/* SPDX-License-Identifier: MIT */
/*
 * trunk TRUNK DEVICE=TAGS ... - a switch with VLANs, for kernels that have none: what comes in at DEVICE leaves at TRUNK with the tags,
 * what comes in at TRUNK with exactly these tags leaves at DEVICE without them.
 *
 * TAGS are 32 bits each in hexadecimal, outermost first, separated by commas: "81000007" is VLAN 7, "88a80005,81006009" is VLAN 9 of
 * priority 3 inside service VLAN 5, and "0" is no tag.  Offload state goes along: super-packets and partial checksums stay what they are.
 * Prints "ready", and a line for each frame at TRUNK whose tags nobody has.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCESS_MAX 8
#define TAGS_MAX 4
#define MACS 12u
#define ROOM (4u * TAGS_MAX)

struct end {
	int fd;
	unsigned bytes; /* of tags */
	uint8_t tags[4 * TAGS_MAX];
};

/* A frame with its offload state, and room before it for tags. */
static struct {
	struct virtio_net_hdr vnet;
	uint8_t bytes[ROOM + 70000];
} buf;

static int open_device(const char *name)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, room = 8 << 20;

	a.sll_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || !a.sll_ifindex ||
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		perror(name);
		exit(1);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	return fd;
}

/* "DEVICE=TAG,TAG" */
static struct end open_access(char *arg)
{
	struct end e = { .fd = -1 };
	char *tags = strchr(arg, '=');

	if (!tags) {
		fprintf(stderr, "trunk: not DEVICE=TAGS: %s\n", arg);
		exit(2);
	}
	*tags++ = 0;
	for (char *t = strtok(tags, ","); t && e.bytes < sizeof(e.tags); t = strtok(NULL, ",")) {
		uint32_t tag = (uint32_t)strtoul(t, NULL, 16);

		for (unsigned i = 0; tag && i < 4; i++)
			e.tags[e.bytes++] = (uint8_t)(tag >> (24 - 8 * i));
	}
	e.fd = open_device(arg);
	return e;
}

/* Puts bytes in behind the addresses of the frame at *frame, or takes them out; what counts from the frame's start follows. */
static void retag(uint8_t **frame, size_t *len, const uint8_t *tags, int bytes)
{
	uint8_t *moved = *frame - bytes;

	memmove(moved, *frame, MACS);
	if (bytes > 0)
		memcpy(moved + MACS, tags, (size_t)bytes);
	*frame = moved;
	*len = (size_t)((ptrdiff_t)*len + bytes);
	if (buf.vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		buf.vnet.csum_start = (uint16_t)(buf.vnet.csum_start + bytes);
	if (buf.vnet.hdr_len)
		buf.vnet.hdr_len = (uint16_t)(buf.vnet.hdr_len + bytes);
}

/* The next frame of fd, with its outermost tag, which the kernel delivers beside it, back in place.  False if there is none. */
static bool take(int fd, uint8_t **ret_frame, size_t *ret_len)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct iovec iov[2] = { { &buf.vnet, sizeof(buf.vnet) },
				{ buf.bytes + ROOM, sizeof(buf.bytes) - ROOM } };
	struct msghdr m = { .msg_iov = iov,
			    .msg_iovlen = 2,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
	struct cmsghdr *c;
	struct tpacket_auxdata aux;

	if (n < (ssize_t)(sizeof(buf.vnet) + 14))
		return false;
	*ret_frame = buf.bytes + ROOM;
	*ret_len = (size_t)n - sizeof(buf.vnet);
	c = CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
		return true;
	memcpy(&aux, CMSG_DATA(c), sizeof(aux));
	if (aux.tp_status & TP_STATUS_VLAN_VALID) {
		uint16_t tag[2] = { htons(aux.tp_status & TP_STATUS_VLAN_TPID_VALID
						  ? aux.tp_vlan_tpid
						  : ETH_P_8021Q),
				    htons(aux.tp_vlan_tci) };

		retag(ret_frame, ret_len, (const uint8_t *)tag, 4);
	}
	return true;
}

static void give(int fd, uint8_t *frame, size_t len)
{
	struct iovec iov[2] = { { &buf.vnet, sizeof(buf.vnet) }, { frame, len } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };

	buf.vnet.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (sendmsg(fd, &m, 0) < 0)
		perror("trunk: a frame was refused");
}

static bool is_tag(const uint8_t *p)
{
	return (p[0] == 0x81 || p[0] == 0x88) && (p[1] == 0x00 || p[1] == 0xa8) &&
	       (p[0] == 0x81) == (p[1] == 0x00);
}

static void from_trunk(const struct end *e, unsigned n, uint8_t *frame, size_t len)
{
	for (unsigned i = 0; i < n; i++, e++) {
		if (len < MACS + e->bytes + 2 || memcmp(frame + MACS, e->tags, e->bytes) != 0 ||
		    is_tag(frame + MACS + e->bytes))
			continue;
		retag(&frame, &len, NULL, -(int)e->bytes);
		give(e->fd, frame, len);
		return;
	}
	printf("stray:");
	for (unsigned i = 0; i < 16; i++)
		printf(" %02x", frame[MACS + i]);
	printf("\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct end end[ACCESS_MAX];
	struct pollfd p[ACCESS_MAX + 1];
	unsigned n = 0;
	uint8_t *frame;
	size_t len;

	if (argc < 3 || argc > 2 + ACCESS_MAX) {
		fputs("usage: trunk TRUNK DEVICE=TAGS ...\n", stderr);
		return 2;
	}
	p[ACCESS_MAX] = (struct pollfd){ .fd = open_device(argv[1]), .events = POLLIN };
	for (; n + 2 < (unsigned)argc; n++) {
		end[n] = open_access(argv[n + 2]);
		p[n] = (struct pollfd){ .fd = end[n].fd, .events = POLLIN };
	}
	p[n] = p[ACCESS_MAX];
	puts("ready");
	fflush(stdout);
	for (;;) {
		poll(p, n + 1, -1);
		for (unsigned i = 0; i < n; i++)
			for (unsigned k = 0; k < 64 && take(p[i].fd, &frame, &len); k++) {
				retag(&frame, &len, end[i].tags, (int)end[i].bytes);
				give(p[n].fd, frame, len);
			}
		for (unsigned k = 0; k < 64 && take(p[n].fd, &frame, &len); k++)
			from_trunk(end, n, frame, len);
	}
}
