/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_QEMU_H
#define SUT_PORT_QEMU_H
/*
 * qemu - frames, or messages, over a stream socket in QEMU's format: what its socket network devices and its network filters speak.
 *
 * Owns:     the connection, which it makes again when it ends; the buffers on both sides of it.
 * Does not: cut super-packets.  To a stream without virtio-net headers they cannot go: dropped, and counted in tx_too_long.
 *
 * Packets lie in place in the buffer that the socket was read to, with PACKET_ROOM in front, until the next recv.  What the peer does
 * not take at once waits in a ring of 4 MB: above 1 MB the port is congested, until less than 256 KB waits.  When the ring is full,
 * send takes no more; but when the peer took nothing for a second it is stuck: the port is not congested any more (one
 * dead peer must not stop the others), and what finds no room is dropped.
 */
#include <stddef.h>

struct arena;
struct port;
struct stream_times;

/* Is name (what stands behind "qemu:") well-formed?  0, or -EINVAL with what is expected in ret_err. */
int qemu_check(const char *name, char *ret_err, size_t err_size);

/* Opens a stream of frames; see port_open.  a is not used. */
int qemu_open(const char *name, struct arena *a, struct port **ret_p, char *ret_err,
	      size_t err_size);

/* Opens a stream of messages; see port_open_msgs. */
int qemu_open_msgs(const char *name, struct arena *a, struct port **ret_p, char *ret_err,
		   size_t err_size);

/* Other times than stream_times_default, for tests; from the next pause on. */
void qemu_set_times(struct port *p, const struct stream_times *t);
#endif
