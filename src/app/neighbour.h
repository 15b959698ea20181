/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_NEIGHBOUR_H
#define SUT_APP_NEIGHBOUR_H
/*
 * neighbour - the link addresses that packets to some hosts need on a device: their next hop's, and the device's own.
 *
 * Owns:     two netlink sockets: one asks, one is told of changes.
 * Does not: send packets: the kernel resolves, when it is asked to use an entry of its table (which needs CAP_NET_ADMIN).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"

#define NEIGHBOUR_TARGETS 128u

struct neighbour_config {
	char device[16];
	uint8_t target[NEIGHBOUR_TARGETS][16]; /* zero: none at this index */
	/* Packets to target i leave from mac `own` of device ifindex to mac `to`: told when it changes. */
	void (*tell)(void *ctx, unsigned i, const uint8_t to[6], const uint8_t own[6],
		     unsigned ifindex);
	void *ctx;
};

struct neighbour;

/* 0, or -errno with a sentence in ret_err. */
int neighbour_open(const struct neighbour_config *c, struct neighbour **ret_n, char *ret_err,
		   size_t err_size);
void neighbour_close(struct neighbour *n);

/* Is readable where something has changed. */
int neighbour_fd(const struct neighbour *n);
void neighbour_ready(struct neighbour *n, sut_time now);

/* Another target i from now on; NULL: none. */
void neighbour_target(struct neighbour *n, unsigned i, const uint8_t ip[16], sut_time now);

/* Looks again at what is not known yet, and now and then at all. */
void neighbour_expire(struct neighbour *n, sut_time now);
sut_time neighbour_deadline(const struct neighbour *n);

/*
 * An address of this device and family (AF_INET, AF_INET6 but for link-local ones) that is none of the n in `but`; one of a network rather than
 * one that stands alone.  0 or -ENOENT.
 */
int neighbour_own_address(const char *device, int family, const uint8_t (*but)[16], unsigned n,
			  uint8_t ret_ip[16]);
#endif
