/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_HANDOFF_FRONT_H
#define SUT_ROLE_HANDOFF_FRONT_H
/*
 * front - the role "handoff-front": accepts connections to its origins, reads the first request, and gives the connection away.
 *
 * Owns:     a stack that listens on the origins; the hand-offs, from the request to the last ACK; the ladder of each back end
 *           (adopt, shift, splice), probed and cached; catch-up bytes until the back end has them.
 * Does not: have a data plane of its own where one is joined at the port "plane" (BPF): then ways are messages, and packets of
 *           handed-off connections come here only as long as no way forwards them.
 *
 * Ports: client (frames: clients, and back ends unless the next one is joined), backend (frames, optional), control (messages:
 * operators), agents (messages: msg.h, each line with the back end's name in front), plane (messages, optional: way_text.h), world (messages
 * in: "backend NAME [ADDR:PORT] up|down [why]" health, "backend NAME [ADDR:PORT] mac AA:.. via AA:.. (own) [if N]", of all its addresses where none is named;
 * "client if N": the device of the port client, where it is not the back ends'; all from the app;
 * out: "backend NAME ADDR:PORT gone", "backend NAME gone": nothing is left of what is not in the configuration any more).
 *
 * What the command line sends to the port control, one line each, beside "drain" and "drain off" that every role has:
 *     status [NAME]                 answered by "ok N back ends", then a line for each: "NAME ADDR:PORT up|down|draining|removed weight=N conns=N rung=R",
 *                                   and behind it for each rung better than R "adopt: WHY" or "shift: WHY", joined by "; "
 *     backend NAME drain|undrain    no new hand-offs to it; those that are there go on
 *     backend NAME weight N         0 to 1000
 *     backend NAME rung adopt|shift|splice|auto
 * Where the port plane is not joined nobody else answers ARP and neighbour solicitations for the origins and own_ip4, own_ip6: the role does.
 */
#include "role/handoff/msg.h"
#include "role/handoff/route.h"
#include "role/role.h"
#include "stack/stack.h"

#define FRONT_ORIGINS ROUTE_ORIGINS

enum front_port {
	FRONT_CLIENT,
	FRONT_BACKEND,
	FRONT_CONTROL,
	FRONT_AGENTS,
	FRONT_PLANE,
	FRONT_WORLD
};
enum front_rung { RUNG_ADOPT, RUNG_SHIFT, RUNG_SPLICE, RUNG_NONE };

#define FRONT_FAMILIES 2u /* IPv4, IPv6: the index of what there is one of for each */

struct front_backend {
	char name[32];
	/* what the stock server listens on, one of each family (shift with convention, splice, health); port 0: none.  At least one is there */
	struct stack_addr at[FRONT_FAMILIES];
	uint8_t rungs; /* bit per enum front_rung that may be used; all: 7 */
	bool far_host; /* behind a router: packets to it get its own address as destination */
	bool has_agent;
	struct stack_addr
		agent; /* where it is, as far as it is known: another one is another host, when back ends are renewed */
};

struct front_config {
	struct stack_addr origin[FRONT_ORIGINS];
	unsigned origins;
	struct front_backend backend[ROUTE_BACKENDS];
	unsigned backends;
	struct route_table routes;
	uint8_t own_ip4[16],
		own_ip6[16]; /* the front end's own addresses: splices and probes come from them; zero: none */
	uint16_t port_lo, port_hi; /* of splices and probes */
	uint32_t max_conns, head_max; /* bytes of a request's head; 16384 */
	uint32_t mtu;
	sut_time head_timeout, idle_timeout, linger; /* 10 s; 1 h; 60 s */
	sut_time confirm_timeout; /* of a rung, before the next one is taken: 1 s */
	uint32_t
		settle_after; /* packets of a client that pass here before its way is laid in the kernel: most connections end before; 0: none */
	bool bad_close; /* garbage: close instead of 400 */
	bool header; /* in-band headers; else shift is announced */
	uint8_t key[2][16]; /* of headers' MACs; derived from the channel's keys */
	uint8_t key_index;
	const char *error; /* set by need() where it is 0 */
};

extern const struct role_ops front_role;

/* For listings and scripts: the hand-off of this client's key ("THERE adopt web1"); false: there is none. */
struct flow_key;
bool front_describe(const void *role, const struct flow_key *client_key, char *ret_s, size_t size);

/* What must hold between two calls; a sentence of what does not, else NULL.  Slow: for tests. */
const char *front_check(const void *role);
#endif
