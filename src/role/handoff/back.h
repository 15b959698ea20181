/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_HANDOFF_BACK_H
#define SUT_ROLE_HANDOFF_BACK_H
/*
 * back - the role "handoff-back": the agent of a back end.  It takes what front ends announce, lays ways, and reports.
 *
 * Owns:     hand-offs by (front end, id), from the announcement to 60 s after their end.
 * Does not: adopt: that is the data plane's (BPF) at the port "plane".  Where that port is not joined, the role's own plane runs
 *           inline between the frame ports `front` (the network) and `host` (the server): shift only.
 *
 * Ports: front, host (frames, optional, both or none), control (messages: operators), fronts (messages: msg.h, each line with the
 * front end's name in front), plane (messages, optional: way_text.h).
 *
 * What the command line sends to the port control, beside "drain" and "drain off": "status", answered by "ok N hand-offs", then the line `host ...` of
 * msg.h that front ends are told, and a line for each front end: "front NAME hand-offs=N".
 */
#include "core/plane.h"
#include "role/handoff/msg.h"
#include "role/role.h"

enum back_port { BACK_FRONT, BACK_HOST, BACK_CONTROL, BACK_FRONTS, BACK_PLANE };

struct back_config {
	/*
	 * Explicit list: "8514=192.0.2.138:80" (host port = origin), or by convention: a connection to host port p belongs to the origin
	 * p - base + base address, port origin_port, for p in [base, base + n).
	 */
	struct way_origin origin[WAY_ORIGINS];
	unsigned origins;
	uint32_t max_flows;
	sut_time linger, idle_timeout;
	sut_time
		tell_after; /* what the data plane reports is told to a front end by then, in one line: a short connection changes five times in a row; 0: each at once */
	struct hand_msg host; /* what it says of its host: HAND_HOST, filled in by the app */
	uint8_t key[2][16]; /* of headers' MACs */
	uint8_t keys; /* bit per valid one */
	bool unsigned_too; /* --insecure-no-key */
	const char *error;
};

void back_defaults(struct back_config *ret_c);
/* What is impossible in c, or NULL. */
const char *back_config_error(const struct back_config *c);

extern const struct role_ops back_role;
#endif
