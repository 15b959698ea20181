/* SPDX-License-Identifier: MIT */
/*
 * echo_tun - an echo server with a TCP of its own: "echo_tun sut0 192.0.2.2/24 7" opens the TUN device sut0 (making it, where it may) and
 * sends back all that is sent to port 7 of 192.0.2.2.  Give the other side of the device an address of that network:
 *	ip addr add 192.0.2.1/24 dev sut0; ip link set sut0 up
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <suture/stack.h>

static int output(void *ctx, const struct sut_packet *p)
{
	return writev(*(int *)ctx, p->iov, (int)p->iovs) < 0 ? -errno : 0;
}

static void echo(struct sut_stack *s, sut_id c)
{
	struct iovec iov;
	int pieces;

	while ((pieces = sut_peek_iov(s, c, &iov, 1)) == 1) {
		ssize_t n = sut_write(s, c, iov.iov_base, iov.iov_len);

		if (n <= 0)
			return; /* SUT_WRITABLE will come */
		sut_consume(s, c, (size_t)n);
	}
	if (pieces != -EAGAIN)
		sut_close(s, c);
}

int main(int argc, char **argv)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	struct pollfd device = { .fd = fd, .events = POLLIN };
	struct sut_stack_config c;
	struct sut_addr any = { .port = argc > 3 ? (uint16_t)atoi(argv[3]) : 0 };
	struct sut_net net;
	struct sut_stack *s;
	char packet[65536], error[SUT_ERROR_TEXT] = "usage: echo_tun DEVICE ADDRESS/BITS PORT";
	sut_id id;

	sut_stack_config_init(&c, sizeof c);
	c.nets = &net;
	c.net_count = 1;
	c.output = output;
	c.ctx = &fd;
	if (argc != 4 || sut_net_read(argv[2], &net) < 0 || sut_stack_new(&c, &s, error) < 0 ||
	    sut_listen(s, &any, 64, 0, &id) < 0)
		return fprintf(stderr, "%s\n", error), 1;
	strncpy(ifr.ifr_name, argv[1], IFNAMSIZ - 1);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		return perror(argv[1]), 1;
	for (;;) {
		struct sut_event e;
		ssize_t n;

		poll(&device, 1, sut_stack_timeout(s));
		for (int i = 0; i < 64 && (n = read(fd, packet, sizeof packet)) > 0; i++)
			sut_stack_input(s, packet, (size_t)n, NULL);
		while (sut_next(s, &e)) {
			while (sut_accept(s, e.id, 0, &id, NULL) == 0)
				echo(s, id);
			if (!(e.events & SUT_ACCEPTABLE))
				echo(s, e.id);
		}
		sut_stack_run(s);
	}
}
