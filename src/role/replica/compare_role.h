/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_COMPARE_ROLE_H
#define SUT_ROLE_REPLICA_COMPARE_ROLE_H
/*
 * compare_role - the role replica-compare: lets the primary's output go to the clients once the secondary has produced the same,
 * and asks for a checkpoint where it does not.
 *
 * Ports: 0 "primary-in", 1 "secondary-in" (frames in), 2 "out" (frames out), 3 "notify" (messages, optional), 4 "control".
 *
 * Messages at notify, as QEMU's colo-compare has them: out "DO_CHECKPOINT" (the two differ, or one is late); in "COLO_CHECKPOINT"
 * (the secondary is a copy of the primary now: what waits of the primary goes out, what waits of the secondary is dropped); in
 * "COLO_USERSPACE_PROXY_INIT", answered by "COLO_COMPARE_GET_XEN_INIT".
 * Commands at control: "checkpoint" does as COLO_CHECKPOINT; "failover": the primary is dead, what waits of it goes out as far as
 * the secondary has produced the same and is dropped beyond; then goes out what waits of the secondary, and from then on what it
 * sends, as it comes.  What still comes from the primary is dropped and counted.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"
#include "role/role.h"

/* Port indexes. */
enum { COMPARE_PRIMARY_IN, COMPARE_SECONDARY_IN, COMPARE_OUT, COMPARE_NOTIFY, COMPARE_CONTROL };

struct replica_compare_config {
	sut_time compare_timeout; /* a frame that waits for longer asks for a checkpoint: 3000 ms */
	sut_time expired_scan_cycle; /* how often that is looked for: 1000 ms */
	uint32_t max_queue_size; /* frames of one flow and side that wait: 1024 */
	uint32_t max_flows; /* 16384 */
	uint32_t
		hold_cells; /* 2 KB cells for waiting frames, of all flows: 65536; a million at most */
	sut_time idle_time; /* a flow without a packet and with nothing waiting is forgotten: 2 h */
};

void replica_compare_defaults(struct replica_compare_config *ret_c);

/* Why need() returned 0 for c: one sentence naming the setting; NULL where it did not. */
const char *replica_compare_config_error(const struct replica_compare_config *c);

extern const struct role_ops replica_compare_ops;

/*
 * For listings and scripts: the TCP flow of this client-to-server key ("OPEN primary 2 secondary 0 shift far 4000": frames that
 * wait of each, and the difference of the numbers where it is known).
 */
struct flow_key;
bool replica_compare_describe(const void *role, const struct flow_key *client_key, char *ret_s,
			      size_t size);
#endif
