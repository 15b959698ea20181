/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_STREAM_SOCK_H
#define SUT_PORT_STREAM_SOCK_H
/*
 * stream_sock - stream sockets by address: names resolved once, listeners, connections begun without waiting.
 *
 * Owns:     the addresses, and the file of a listener's local socket.
 * Does not: try again, or wait for anything but the resolver.
 */
#include <stdbool.h>
#include <stddef.h>

#include <sys/socket.h>
#include <sys/types.h>

#include "port/qemu_addr.h"

#define STREAM_TARGETS 8

struct stream_target {
	struct sockaddr_storage addr;
	socklen_t len;
};

struct stream_sock {
	const struct qemu_addr *addr;
	struct stream_target target[STREAM_TARGETS];
	unsigned targets;
	/* the file that a listener made */
	bool made;
	dev_t dev;
	ino_t ino;
};

/* Resolves a (which stays the caller's): this may wait.  0, or -errno with a sentence in ret_err. */
int stream_sock_open(struct stream_sock *s, const struct qemu_addr *a, char *ret_err,
		     size_t err_size);

/*
 * A listening socket at the first address that can be had.  The file of a local socket that nobody listens on any more is replaced.
 * Its descriptor, or -errno with a sentence in ret_err.
 */
int stream_sock_listen(struct stream_sock *s, char *ret_err, size_t err_size);

/* Removes the file that listening made, if it still is that one. */
void stream_sock_unlisten(struct stream_sock *s);

/* Begins a connection to target i: a descriptor, or -errno. */
int stream_sock_connect(const struct stream_sock *s, unsigned i);

/* Has it been made?  0 yes, -EINPROGRESS not yet, or -errno. */
int stream_sock_connected(int fd);

/* Takes a waiting peer: a descriptor, or -errno (-EAGAIN: there is none). */
int stream_sock_accept(const struct stream_sock *s, int listener);
#endif
