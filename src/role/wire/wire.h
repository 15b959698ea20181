/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_WIRE_WIRE_H
#define SUT_ROLE_WIRE_WIRE_H
/*
 * wire - the role wire: a cable between two ports, with a modelled link in each direction.
 *
 * Ports: 0 "a", 1 "b", both of frames.  Every frame, of whatever protocol, goes from one to the
 * other after its link's decision; nothing in it changes.  Super-packets are cut into the segments
 * that a real cable would carry, unless they are to stay one; then they meet the link as one
 * packet of their segments' bytes.
 */
#include <stdbool.h>
#include <stdint.h>

#include "core/link.h"
#include "role/role.h"

enum { WIRE_A, WIRE_B }; /* port indexes */

/* All that a user may set; wire_defaults() fills it. */
struct wire_config {
	struct link_config link[2]; /* by the port at which a frame comes in: from a, from b */
	uint64_t ring_bytes; /* memory for frames on the way, per direction: 64 MB */
	bool keep_gso; /* super-packets stay one */
};

void wire_defaults(struct wire_config *ret_c);

/* Why need() returned 0 for c: one sentence naming the setting; NULL where it did not. */
const char *wire_config_error(const struct wire_config *c);

extern const struct role_ops wire_ops;

/* Frames that came in at this port and have not left. */
uint64_t wire_held(const void *role, unsigned port);
#endif
