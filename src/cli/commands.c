/* SPDX-License-Identifier: MIT */
#include "cli/command.h"

#include <stddef.h>

/* clang-format off */
const struct command commands[] = {
#ifdef HAVE_ACCEL_NEAR
	{ "accel near", cmd_accel_near, "answer SYNs at once beside the client (0-RTT)" },
	{ "accel doctor", cmd_accel_doctor, "say what is wrong with the devices for accel near, and what mends it" },
#endif
	{ "completion", cmd_completion, "print a script that completes commands and options in a shell" },
	{ "drain",      cmd_drain,      "let a running suture take no new connections" },
	{ "explain",    cmd_explain,    "draw the connections of captures as ladders, of both sides of a box" },
	{ "flows",      cmd_flows,      "list the connections of a running suture" },
#ifdef HAVE_HANDOFF_BACK
	{ "handoff back", cmd_handoff_back, "the agent of a back end: let its server have connections of a front end" },
#endif
#ifdef HAVE_HANDOFF_FRONT
	{ "handoff front", cmd_handoff_front, "accept connections, read their first requests, and give them to back ends" },
#endif
#ifdef HAVE_HANDOFF
	{ "handoff doctor", cmd_handoff_doctor, "say what is wrong with a host for hand-offs, and what mends it" },
	{ "handoff drain", cmd_handoff_drain, "give a back end of a running front end no new connections" },
	{ "handoff key", cmd_handoff_key, "make a key for front ends and agents" },
	{ "handoff remove", cmd_handoff_remove, "take away what a front end or an agent left in the kernel" },
	{ "handoff rung", cmd_handoff_rung, "force how connections go to a back end" },
	{ "handoff status", cmd_handoff_status, "list the back ends of a running front end, and their rungs" },
	{ "handoff undrain", cmd_handoff_undrain, "give a back end connections again" },
	{ "handoff weight", cmd_handoff_weight, "give a back end another weight" },
#endif
	{ "reload",     cmd_reload,     "let a running suture read its settings anew" },
	{ "replay",     cmd_replay,     "run a role over captures, on the captures' time" },
#ifdef HAVE_REPLICA_REWRITE
	{ "replica compare", cmd_replica_compare, "let out what two servers agree on" },
	{ "replica checkpoint", cmd_replica_checkpoint, "tell a running replica that the secondary is a copy of the primary" },
	{ "replica failover", cmd_replica_failover, "tell a running replica that the primary is dead" },
	{ "replica mirror", cmd_replica_mirror, "pass frames on, and copy them to a third port" },
	{ "replica rewrite", cmd_replica_rewrite, "translate a secondary's numbers into the primary's" },
#endif
#ifdef HAVE_SERVE
	{ "serve",      cmd_serve,      "serve TCP connections by our own TCP, at a TUN device" },
#endif
	{ "stats",      cmd_stats,      "print the counters of a running suture" },
	{ "top",        cmd_top,        "show what a running suture does, anew every second" },
#ifdef HAVE_WIRE
	{ "wire",       cmd_wire,       "join two devices by a modelled link: delay, loss, rate" },
#endif
	{ "version",    cmd_version,    "print the version" },
	{ NULL, NULL, NULL },
};

const char *const command_sections[] = {
#ifdef HAVE_ACCEL_NEAR
	"accel-near",
#endif
#ifdef HAVE_HANDOFF_BACK
	"handoff-back",
#endif
#ifdef HAVE_HANDOFF_FRONT
	"handoff-front",
#endif
#ifdef HAVE_REPLICA_REWRITE
	"replica-compare", "replica-mirror", "replica-rewrite",
#endif
#ifdef HAVE_SERVE
	"serve",
#endif
#ifdef HAVE_WIRE
	"wire",
#endif
	NULL,
};
/* clang-format on */
