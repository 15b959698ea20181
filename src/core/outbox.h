/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_OUTBOX_H
#define SUT_CORE_OUTBOX_H
/*
 * outbox - what goes out, each packet with its port, in order; and the room in which packets are made.
 *
 * Emptied by the app after every call into a role, so a role always finds it empty.  A role that cannot put all it has
 * keeps the rest and lets deadline() be due at once.  A burst of 64 passing packets always fits beside OUTBOX_MADE made ones.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/packet.h"

#define OUTBOX_PKTS 256u
#define OUTBOX_MADE 128u /* packets that may be made in one call */
#define OUTBOX_SLOT 2304u /* bytes of a made packet, its headroom included */

struct outbox {
	uint16_t n, made;
	uint16_t port[OUTBOX_PKTS];
	struct packet *pkt[OUTBOX_PKTS];
	struct packet slot[OUTBOX_MADE];
	uint8_t arena[OUTBOX_MADE][OUTBOX_SLOT];
};

static inline void outbox_clear(struct outbox *o)
{
	o->n = 0;
	o->made = 0;
}

/* Passing packets that still fit. */
static inline unsigned outbox_room(const struct outbox *o)
{
	return OUTBOX_PKTS - o->n;
}

/* Packets that may still be made: leaves room for a whole burst passing through. */
static inline unsigned outbox_room_made(const struct outbox *o)
{
	unsigned room = outbox_room(o), made = OUTBOX_MADE - o->made;

	room = room > 64 ? room - 64 : 0;
	return room < made ? room : made;
}

/* Sends p out at port.  There must be room. */
static inline void outbox_put(struct outbox *o, unsigned port, struct packet *p)
{
	o->pkt[o->n] = p;
	o->port[o->n++] = (uint16_t)port;
}

/*
 * A new packet for port, with head_len bytes of undefined content in head (at most OUTBOX_SLOT - PACKET_HEADROOM), already queued;
 * no offload, CSUM_COMPLETE.  NULL if outbox_room_made() is 0 or head_len is too much.
 */
struct packet *outbox_make(struct outbox *o, unsigned port, uint32_t head_len);
#endif
