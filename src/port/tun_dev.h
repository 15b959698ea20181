/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_TUN_DEV_H
#define SUT_PORT_TUN_DEV_H
/*
 * tun_dev - a TUN device: IP packets to and from this machine's own kernel, one read or write each, with virtio-net headers.
 *
 * Owns:     the descriptor; with it the device, if it was made by opening it.
 * Does not: know of frames (tun.h), set addresses (tun_link.h), or wait.
 * Offloads: with them the kernel hands over super-packets (TCP, with ECN) and partial checksums; without, it completes and cuts them.
 *           Both may be written either way: the kernel takes them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <net/if.h>
#include <sys/uio.h>

#include "base/packet.h"
#include "port/port.h"

#define TUN_PIECES 44u /* most pieces of one packet that is written, the first one included */

struct tun_dev {
	int fd; /* -1: not open.  The same for the device's whole life, also when it was gone in between */
	int control; /* a socket of the namespace in which it was opened, for questions about it by name */
	char name[IFNAMSIZ];
	bool offload;
	bool down; /* a write was refused, or a read found the device gone: ask tun_dev_revive() from time to time */
	bool gone; /* there is no device behind the descriptor: it must not be waited on */
	bool made; /* by us: it goes when we close it */
	struct port_stats stats;
};

/*
 * Opens the device of that name, or makes it.  0, or -errno with a sentence in ret_err: -EPERM, -EBUSY (another program has it), -EINVAL (the
 * name, or a device of another kind), -ENOENT (no /dev/net/tun).
 */
int tun_dev_open(struct tun_dev *d, const char *name, bool offload, char *ret_err, size_t err_size);
void tun_dev_close(struct tun_dev *d);

/*
 * Reads one IP packet to ret_bytes, room bytes: its length, with what is left to do in ret_off (csum_start counts from the packet's
 * first byte); 0: none is there; -ENETDOWN: the device is gone; another -errno.
 */
int tun_dev_read(struct tun_dev *d, uint8_t *ret_bytes, uint32_t room, struct offload *ret_off);

/*
 * Writes one IP packet of len bytes out of v[1] to v[n - 1]; v[0] is overwritten (the virtio-net header goes there).
 * 0; -EAGAIN: not now; another -errno: it was refused, and is counted.
 */
int tun_dev_write(struct tun_dev *d, struct iovec *v, unsigned n, uint32_t len,
		  const struct offload *off);

/* While it is down: 0 if the device is there again and up, else -ENETDOWN. */
int tun_dev_revive(struct tun_dev *d);

/* The device's MTU, or -errno. */
int tun_dev_mtu(const struct tun_dev *d);
#endif
