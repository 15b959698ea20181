/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_ACCEL_NEAR_H
#define SUT_ROLE_ACCEL_NEAR_H
/*
 * near - the role accel-near: a bump in the wire beside the client that promises SYN-ACKs and keeps the promises.
 *
 * Ports: 0 "client" (the near side), 1 "server" (the far side), both of frames.
 * See doc/design/accel.md for the theory; near.c opens with the states of a flow.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"
#include "role/role.h"

enum { ACCEL_CLIENT, ACCEL_SERVER, ACCEL_CONTROL }; /* port indexes */

/* clang-format off */
#define ACCEL_MODES(X) \
	X(AUTO,   "auto",   "verify at first; then merge on ports marked idempotent, hold on the others") \
	X(BYPASS, "bypass", "leave every connection alone") \
	X(VERIFY, "verify", "promise nothing; learn the servers' options") \
	X(HOLD,   "hold",   "promise, forward the SYN, hold data until the real SYN-ACK") \
	X(MERGE,  "merge",  "promise, and send the client's first data in the SYN")

enum accel_mode {
#define X(id, name, text) ACCEL_##id,
	ACCEL_MODES(X)
#undef X
	ACCEL_MODE_COUNT
};
/* clang-format on */

#define ACCEL_PORTS_MAX 64

/* A range of TCP ports, host order, both ends included. */
struct port_range {
	uint16_t first, last;
};

/* All that a user may set; accel_near_defaults() fills it. */
struct accel_near_config {
	enum accel_mode mode;
	struct port_range ports[ACCEL_PORTS_MAX]; /* promised ports: 80, 443, 8080, 8443 */
	uint32_t port_count;
	struct port_range idempotent[ACCEL_PORTS_MAX]; /* where `auto` may merge: 443, 8443 */
	uint32_t idempotent_count;
	/* promise to servers not learnt yet, with conservative options */
	bool first_contact_promise;
	/* testing aid: promised ISNs lie in the last 4096 numbers before 2^32 */
	bool isn_near_wrap;
	uint32_t max_flows; /* 262144 */
	uint32_t max_servers; /* learn cache entries: 16384 */
	uint32_t max_cookies; /* TCP Fast Open cookies kept: 16384 */
	bool fastopen_cookies; /* ask servers for them where SYNs may carry data: yes */
	uint32_t hold_cells; /* 2 KB cells for early data in all: 16384 */
	uint32_t max_pending; /* connections kept whose client has not shown itself: 65536 */
	uint32_t max_pending_source; /* ... of one source: 1024 */
	/* early data of one flow; the promised window is never more: 65535 at most, 29200 */
	uint32_t early_bytes;
	sut_time merge_hold; /* longest wait for first data: 5 ms */
	sut_time syn_timeout; /* no SYN-ACK: 60 s */
	sut_time negative_time; /* not promised after a failure: 60 s */
	sut_time learn_time; /* learnt options hold for: 10 min */
	/* established flow without a packet: 125 min (RFC 5382, REQ-5); then both ends are reset */
	sut_time idle_time;
};

void accel_near_defaults(struct accel_near_config *ret_c);

/* Why need() returned 0 for c: one sentence naming the setting; NULL where it did not. */
const char *accel_near_config_error(const struct accel_near_config *c);

extern const struct role_ops accel_near_ops;

/* Cells of early data that are held now. */
uint32_t accel_near_held(const void *role);

/* What counts against the budgets of connections whose client has not shown itself: 0 once all have ended. */
uint32_t accel_near_pending(const void *role);

/* For listings and scripts: the flow of this client key, as a line ("OPEN shift far 4000 ts far 400", "CLOSED shift ... TIME_WAIT", "FORWARDED held 120"); false if there is none. */
struct flow_key;
bool accel_near_describe(const void *role, const struct flow_key *client_key, char *ret_s,
			 size_t size);
#endif
