/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_REWRITE_ROLE_H
#define SUT_ROLE_REPLICA_REWRITE_ROLE_H
/*
 * rewrite_role - the role replica-rewrite: the secondary's seam between the mirror of the primary's input and the secondary.
 *
 * Ports, all but the first two optional.  A stream that goes one way only needs a port for each way; one that goes both ways
 * serves as both.
 *
 *   0 primary        in: what the clients send (the primary's mirror).  out: what the secondary sends, unless 2 or 4 says otherwise
 *   1 secondary      out: what the clients send.  in: what the secondary sends
 *   2 secondary-out  in: what the secondary sends, as 1.  out: what came in at 1, instead of 0
 *   3 primary-out    in: what the primary itself sends; looked at (its SYN and SYN-ACK tell its numbers), counted, never sent on
 *   4 compare        out: what the secondary sends, wherever it came in, instead of 0 and 2.  What comes in is dropped and counted
 *   5 network        the clients themselves, once the primary is dead: nothing goes out before "failover", and what comes in is
 *                    dropped and counted; afterwards it takes the place of 0 in both ways, and of 2 and 4, and frames at 0 and 3 are
 *                    dropped and counted.  Where it is not joined, all goes on its way after the failover as before, but for 3
 *   6 control        commands: "failover", "checkpoint" (role.h); each takes the same time however many flows there are
 *
 * failover:   the primary is dead.  Flows that are translated stay so for as long as they live; the first TSval that goes to a
 *             client afterwards is no less than the last that it has seen.  New connections pass untouched.
 * checkpoint: the secondary has become a copy of the primary: every shift and clock difference becomes zero, and stays known.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"
#include "role/role.h"

/* Port indexes. */
enum {
	REPLICA_PRIMARY,
	REPLICA_SECONDARY,
	REPLICA_SECONDARY_OUT,
	REPLICA_PRIMARY_OUT,
	REPLICA_COMPARE,
	REPLICA_NETWORK,
	REPLICA_CONTROL
};

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
