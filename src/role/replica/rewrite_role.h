/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_REWRITE_ROLE_H
#define SUT_ROLE_REPLICA_REWRITE_ROLE_H
/*
 * rewrite_role - the role replica-rewrite: the secondary's seam between the mirror of the
 * primary's input and the secondary.
 *
 * Ports: 0 "primary" (near: frames for the secondary come in here, its output leaves here), 1
 * "secondary" (far).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"
#include "role/role.h"

enum { REPLICA_PRIMARY, REPLICA_SECONDARY }; /* port indexes */

struct replica_rewrite_config {
	uint32_t max_flows; /* 65536 */
	uint32_t hold_cells; /* 2 KB cells for segments held until a shift is known: 4096 */
	sut_time time_wait; /* closed flows stay for: 60 s */
	sut_time half_open_time; /* flows without a finished handshake: 60 s */
	sut_time idle_time; /* established ones without a packet: 2 h */
};

void replica_rewrite_defaults(struct replica_rewrite_config *ret_c);

/* Why need() returned 0 for c: one sentence naming the setting; NULL where it did not. */
const char *replica_rewrite_config_error(const struct replica_rewrite_config *c);

extern const struct role_ops replica_rewrite_ops;

/*
 * For listings and scripts: the flow of this client-to-server key at the primary port
 * ("ESTABLISHED shift far 4000 ts far 400").
 */
struct flow_key;
bool replica_rewrite_describe(const void *role, const struct flow_key *client_key, char *ret_s,
			      size_t size);
#endif
