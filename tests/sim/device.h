/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_DEVICE_H
#define SUT_SIM_DEVICE_H
/*
 * device - what a network device does with a packet that leaves a host or a role: super-packets are cut, checksums completed.
 *
 * Does not: keep anything, or know where the frames go.
 */
#include "base/packet.h"
#include "stack/stack.h"

/* One wire frame: in one piece, its checksum complete; its bytes may be changed, and are gone behind the call. */
typedef void device_frame(void *ctx, struct packet *p);

/*
 * Gives frame() the wire frames of a packet, which may have a body and offload state.  NULL, or what is wrong with it: a partial
 * checksum that lies outside of it.
 */
const char *device_send(const struct packet *p, device_frame *frame, void *ctx);

/*
 * Puts what a stack emits behind an Ethernet header (14 bytes; its type is filled in here), into PACKET_MAX bytes at room.  NULL, or
 * what is wrong with it: slices that are not as long as they are said to be.
 */
const char *device_gather(const struct stack_out *o, const uint8_t eth[12], uint8_t *room,
			  struct packet *ret_p);
#endif
