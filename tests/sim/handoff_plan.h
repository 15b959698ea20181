/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_HANDOFF_PLAN_H
#define SUT_SIM_HANDOFF_PLAN_H
/*
 * handoff_plan - what is to happen in a world of hand-offs: who is there, what the network does, what clients ask for, what goes wrong.
 *
 * Does not: run anything.
 */
#include <stdbool.h>
#include <stdint.h>

#include "core/link.h"
#include "net.h"
#include "rng.h"
#include "stack/stack.h"

#define HAND_CONNS 8u
#define HAND_BACKS 3u
#define HAND_REQUESTS 3u
#define HAND_TROUBLES 4u
#define HAND_PORT 80u

enum hand_says {
	SAYS_REQUESTS, /* whole ones */
	SAYS_GARBAGE, /* no HTTP */
	SAYS_HALF, /* a head that never ends */
	SAYS_TOO_MUCH, /* a head that is longer than any may be */
	SAYS_NOTHING,
};

enum hand_leaves { LEAVES_NEVER, LEAVES_RESET, LEAVES_SILENT };

struct hand_request {
	uint32_t head, body, answer; /* bytes */
};

struct hand_conn_plan {
	sut_time start; /* with reuses: so long after its end */
	int reuses; /* the connection whose quad it takes; -1: none */
	uint8_t ip; /* 4 or 6 */
	uint16_t port;
	enum hand_says says;
	unsigned requests;
	struct hand_request request[HAND_REQUESTS];
	uint32_t piece; /* most bytes that are written at once; the gap between them */
	sut_time gap;
	bool server_closes; /* behind its last answer; else the client, when it has that */
	bool half_closes; /* the client's FIN is behind its last request */
	enum hand_leaves leaves; /* once so much was written and so much was read */
	uint32_t leaves_out, leaves_in;
};

enum hand_trouble_kind {
	TROUBLE_HOST_DIES, /* host and agent; until: they are started anew */
	TROUBLE_AGENT_ANEW, /* the agent alone is started anew; keeps: from its records */
	TROUBLE_FRONT_ANEW, /* the front end is started anew from its records */
	TROUBLE_DRAIN, /* this back end gets no more, until */
	TROUBLE_DOWN, /* health says so, until */
};

struct hand_trouble {
	enum hand_trouble_kind kind;
	unsigned back;
	sut_time at, until;
	bool keeps;
};

struct hand_back_plan {
	bool agent; /* else bare: splice */
	bool ip6; /* its own address's family: splices are possible in it */
	bool own; /* its server listens on its own address, not on the origins' */
	bool far; /* front ends name its own address */
	bool guard; /* what was not announced is dropped in front of it */
	struct stack_config host;
	uint32_t max_flows;
};

struct hand_plan {
	uint64_t seed;
	bool lossy; /* something is lost on some link */
	unsigned troubles;
	struct hand_trouble trouble[HAND_TROUBLES];
	unsigned backs, conns;
	struct hand_back_plan back[HAND_BACKS];
	struct hand_conn_plan conn[HAND_CONNS];
	struct stack_config client;
	uint32_t max_conns; /* the front end's */
	sut_time confirm; /* how long it waits for word of a rung */
	bool backend_port; /* the front end's back ends are at a port of their own */
	bool header, bad_close, own_address;
	struct net_link_config outside, inside, direct, channel,
		inner; /* client - front end - back ends - client; messages; agent - host */
};

void hand_plan_draw(uint64_t seed, struct hand_plan *ret_p);
void hand_plan_print(const struct hand_plan *p);
/* Is everything there, and does everything arrive, so that each connection ends well? */
bool hand_plan_is_calm(const struct hand_plan *p);

/* Addresses, 16 bytes. */
void hand_ip_client(uint8_t ip, uint8_t ret_ip[16]);
void hand_ip_origin(uint8_t ip, uint8_t ret_ip[16]);
void hand_ip_front(uint8_t ip, uint8_t ret_ip[16]);
void hand_ip_back(unsigned i, uint8_t ip, uint8_t ret_ip[16]);
#endif
