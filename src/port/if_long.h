/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_IF_LONG_H
#define SUT_PORT_IF_LONG_H
/*
 * if_long - what a port of a device has received and not handed out yet, and room for frames that no slot of the arena holds.
 *
 * Owns:     memory for the tails of frames of more than PACKET_MAX bytes, for the pieces that bigtcp makes of them, and for
 *           packets that must wait: a burst may become more packets than a port gives at once.  It is only mapped until it is used.
 * Does not: receive.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/uio.h>

#include "base/packet.h"
#include "port/bigtcp.h"
#include "port/port.h"

#define IF_LONG_QUEUE (PORT_BURST * BIGTCP_PIECES_MAX)

struct if_long {
	uint8_t *mem; /* mapped: the tails, then the pool */
	size_t used; /* bytes of the pool */
	unsigned n, next; /* of queue: how many there are, which goes out next */
	struct packet *queue[IF_LONG_QUEUE];
	struct packet
		own[IF_LONG_QUEUE]; /* by place in the queue: of pieces, and of those that wait */
};

/* 0 or -errno. */
int if_long_open(struct if_long *l);
void if_long_close(struct if_long *l);

/* Where the bytes of frame i of a burst go that are beyond its slot. */
struct iovec if_long_tail(const struct if_long *l, unsigned i);

/* Everything was handed out: a new burst may be queued. */
static inline bool if_long_empty(const struct if_long *l)
{
	return l->next == l->n;
}

/* Forgets the last burst, and its memory. */
static inline void if_long_reset(struct if_long *l)
{
	l->used = 0;
	l->n = l->next = 0;
}

/*
 * Queues p, which stays where it is, or its pieces if it is too long for its length field.  How many packets were queued: 0 if it can
 * neither stay whole (it has a body, its tail) nor be cut.
 */
unsigned if_long_put(struct if_long *l, struct packet *p);

/* Takes up to max packets.  What stays behind is copied out of the arena first. */
unsigned if_long_take(struct if_long *l, struct packet **ret_pkts, unsigned max);
#endif
