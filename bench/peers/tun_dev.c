/* SPDX-License-Identifier: MIT */
#include "tun_dev.h"

#include <err.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

int tun_dev_open(const char *name, bool vnet)
{
	struct ifreq r = { .ifr_flags = (short)(IFF_TUN | IFF_NO_PI | (vnet ? IFF_VNET_HDR : 0)) };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK), size = TUN_VNET;

	if (fd < 0)
		err(1, "/dev/net/tun");
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &r) < 0)
		err(1, "%s", name);
	if (vnet && (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 ||
		     ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0))
		err(1, "%s: offloads", name);
	return fd;
}
