/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_MIRROR_ROLE_H
#define SUT_ROLE_REPLICA_MIRROR_ROLE_H
/*
 * mirror_role - the role replica-mirror: passes frames on between two ports, and copies those of one way, or of both, to a third.
 *
 * Ports: 0 "client" and 1 "primary", which what comes in at the other leaves by; 2 "mirror", where copies leave by, and nothing
 * that comes in is used.  Without 1 (optional) what comes in at 0 is only copied.
 */
#include <stddef.h>
#include <stdint.h>

#include "role/role.h"

/* Port indexes. */
enum { MIRROR_CLIENT, MIRROR_PRIMARY, MIRROR_MIRROR };

/* Which way is copied, in QEMU's words: TX is towards the guest, the primary. */
enum mirror_queue { MIRROR_TX, MIRROR_RX, MIRROR_ALL };

struct replica_mirror_config {
	uint8_t queue; /* enum mirror_queue: TX */
};

void replica_mirror_defaults(struct replica_mirror_config *ret_c);

/* Why need() returned 0 for c; NULL where it did not. */
const char *replica_mirror_config_error(const struct replica_mirror_config *c);

extern const struct role_ops replica_mirror_ops;
#endif
