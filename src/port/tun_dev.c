/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A descriptor of /dev/net/tun is attached to a device by TUNSETIFF.  All packets carry a virtio-net header of 10 bytes, with offloads or
 * not: so nothing that a caller hands over has to be cut or completed here.
 *
 * A device that is down is silent, and refuses what is written with EIO.  One that was removed leaves the descriptor attached to nothing:
 * EBADFD for each call, and always ready for epoll.  The same descriptor can be attached again when there is a device of that name; we do
 * not make one then: whoever removed it had reasons.  A device that was moved to another namespace works on, but has no name in ours.
 */
#include "port/tun_dev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/if_tun.h>
#include <linux/virtio_net.h>

#include "port/if_frame.h"

#define CLONE_DEVICE "/dev/net/tun"
#define OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

/* Asks about the device by name: 0 or -errno. */
static int ask(const struct tun_dev *d, unsigned long what, struct ifreq *ret_r)
{
	memset(ret_r, 0, sizeof *ret_r);
	memcpy(ret_r->ifr_name, d->name, sizeof d->name);
	return ioctl(d->control, what, ret_r) < 0 ? -errno : 0;
}

static bool exists(const struct tun_dev *d)
{
	struct ifreq r;

	return ask(d, SIOCGIFINDEX, &r) == 0;
}

/* Attaches the descriptor to the device: 0 or -errno, with what failed. */
static int attach(struct tun_dev *d, const char **ret_what)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
	int hdr = (int)sizeof(struct virtio_net_hdr);

	memcpy(r.ifr_name, d->name, sizeof d->name);
	*ret_what = "TUNSETIFF";
	if (ioctl(d->fd, TUNSETIFF, &r) < 0)
		return -errno;
	*ret_what = "TUNSETVNETHDRSZ";
	if (ioctl(d->fd, TUNSETVNETHDRSZ, &hdr) < 0)
		return -errno;
	*ret_what = "TUNSETOFFLOAD";
	if (ioctl(d->fd, TUNSETOFFLOAD, d->offload ? (unsigned long)OFFLOADS : 0ul) < 0)
		return -errno;
	return 0;
}

static int explain(const struct tun_dev *d, int err, const char *what, char *ret_err, size_t size)
{
	const char *advice = err == -EPERM || err == -EACCES
				     ? " (run as root, or with CAP_NET_ADMIN)"
			     : err == -EBUSY  ? " (another program has it open)"
			     : err == -EINVAL ? " (a device of that name is no TUN device)"
			     : err == -ENOENT ? " (the kernel's module tun is needed)"
					      : "";

	snprintf(ret_err, size, "tun:%s: %s: %s%s", d->name, what, strerror(-err), advice);
	return err;
}

int tun_dev_open(struct tun_dev *d, const char *name, bool offload, char *ret_err, size_t err_size)
{
	const char *what = CLONE_DEVICE;
	int err = 0;

	*d = (struct tun_dev){ .fd = -1, .control = -1, .offload = offload };
	if (!*name || strlen(name) >= sizeof d->name) {
		snprintf(ret_err, err_size, "tun:%s: device names have 1 to %d characters", name,
			 IFNAMSIZ - 1);
		return -EINVAL;
	}
	memcpy(d->name, name, strlen(name) + 1);
	d->control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	d->fd = open(CLONE_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (d->fd < 0 || d->control < 0)
		err = -errno;
	d->made = err == 0 && !exists(d);
	if (err == 0)
		err = attach(d, &what);
	if (err) {
		tun_dev_close(d);
		return explain(d, err, what, ret_err, err_size);
	}
	return 0;
}

void tun_dev_close(struct tun_dev *d)
{
	if (d->fd >= 0)
		close(d->fd);
	if (d->control >= 0)
		close(d->control);
	d->fd = d->control = -1;
}

/* The device was removed. */
static int lost(struct tun_dev *d)
{
	d->down = d->gone = true;
	return -ENETDOWN;
}

int tun_dev_read(struct tun_dev *d, uint8_t *ret_bytes, uint32_t room, struct offload *ret_off)
{
	struct virtio_net_hdr h;
	struct iovec v[2] = { { &h, sizeof h }, { ret_bytes, room } };
	ssize_t n;

	if (d->gone)
		return -ENETDOWN;
	while ((n = readv(d->fd, v, 2)) < 0 && errno == EINTR)
		;
	if (n < 0)
		return errno == EAGAIN ? 0 : errno == EBADFD ? lost(d) : -errno;
	if (n <= (ssize_t)sizeof h) {
		d->stats.rx_errors++;
		return 0;
	}
	offload_from_vnet(&h, ret_off);
	d->stats.rx++;
	d->stats.rx_bytes += (uint64_t)n - sizeof h;
	return (int)(n - (ssize_t)sizeof h);
}

static int refused(struct tun_dev *d, int err)
{
	if (err == -EMSGSIZE)
		d->stats.tx_too_long++;
	else
		d->stats.tx_dropped++;
	if (err == -EIO)
		d->down = true;
	return err == -EBADFD ? lost(d) : err;
}

int tun_dev_write(struct tun_dev *d, struct iovec *v, unsigned n, uint32_t len,
		  const struct offload *off)
{
	const struct packet p = { .head_len = len, .off = *off };
	struct virtio_net_hdr h;
	ssize_t done;

	if (d->gone) {
		d->stats.tx_dropped++;
		return -ENETDOWN;
	}
	vnet_from_packet(&p, &h);
	v[0] = (struct iovec){ &h, sizeof h };
	while ((done = writev(d->fd, v, (int)n)) < 0 && errno == EINTR)
		;
	if (done < 0)
		return errno == EAGAIN || errno == ENOBUFS ? -EAGAIN : refused(d, -errno);
	d->stats.tx++;
	d->stats.tx_bytes += len;
	return 0;
}

int tun_dev_revive(struct tun_dev *d)
{
	const char *what;
	struct ifreq r;
	int err;

	if (d->gone && (!exists(d) || attach(d, &what) != 0))
		return -ENETDOWN;
	d->gone = false;
	err = ask(d, SIOCGIFFLAGS, &r);
	if (err == 0 && !(r.ifr_flags & IFF_UP))
		return -ENETDOWN;
	d->down = false;
	return 0;
}

int tun_dev_mtu(const struct tun_dev *d)
{
	struct ifreq r;
	int err = ask(d, SIOCGIFMTU, &r);

	return err ? err : r.ifr_mtu;
}
