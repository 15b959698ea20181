/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_SCENARIO_H
#define SUT_SIM_SCENARIO_H
/* scenario - what a seed means: links, servers, connections, and the role's settings. */
#include <stdbool.h>
#include <stdint.h>

#include "core/link.h"
#include "peer.h"
#include "role/accel/near.h"
#include "role/wire/wire.h"
#include "run.h"

#define CONNS_MAX 6
#define LINKS 4 /* client to box, box to client, box to server, server to box */

struct sim_role {
	const char *name;
	const struct role_ops *ops;
	bool promises; /* answers SYNs in the server's name */
	uint32_t (*held)(const void *role); /* cells that hold data now; NULL: it holds none */
	uint32_t (*pending)(
		const void *role); /* what counts against a budget; NULL: there is none */
	bool pair; /* a replicated pair (replica_plan.h), not this scenario */
	bool compare; /* with a role that compares the two */
	bool stack; /* hosts with our own TCP at both ends (stack_plan.h); ops may be NULL: no box */
};

extern const struct sim_role sim_roles[]; /* ends with a NULL name; the first one is the default */

struct conn_plan {
	struct peer_config client, server;
	sut_time start;
	int reuses; /* the connection whose ports it takes `start` after its end; -1: none */
};

struct scenario {
	uint64_t seed;
	const struct sim_role *role;
	union {
		struct accel_near_config near;
		struct wire_config wire;
	} config;
	struct link_config link[LINKS];
	uint32_t cut_pct; /* of frames: their tail is cut off on a link */
	bool changes; /* a server's options are not what they were for each of its connections */
	bool lossy;
	unsigned conns;
	struct conn_plan conn[CONNS_MAX];
};

void scenario_draw(uint64_t seed, const struct sim_role *role, struct scenario *ret_s);

/* Prints it, a line for each part. */
void scenario_print(const struct scenario *s);
#endif
