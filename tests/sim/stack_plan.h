/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_STACK_PLAN_H
#define SUT_SIM_STACK_PLAN_H
/* stack_plan - what a seed means for two hosts with our own TCP: links, hosts, connections, troubles; and how to make it simpler. */
#include <stdbool.h>
#include <stdint.h>

#include "core/link.h"
#include "replica_plan.h"
#include "role/accel/near.h"
#include "role/wire/wire.h"
#include "scenario.h"
#include "stack/stack.h"

#define STACK_CONNS 8
#define STACK_SPELLS 4
#define STACK_TROUBLES 12

/* How the application gives its bytes to its host: by stack_write(), stack_write_ref() or stack_write_fill(). */
enum { WRITE_COPY, WRITE_REF, WRITE_FILL };

/* One end of a connection, as its application behaves. */
struct app_plan {
	uint32_t out_len; /* bytes to send */
	uint32_t write_chunk, read_chunk; /* at most so many a call */
	sut_time write_gap, read_gap; /* after each call; 0: none */
	uint32_t wait_for; /* bytes to be read before the first is written */
	bool early_close; /* FIN right behind the last byte; else when the other's FIN was read */
	uint32_t abort_after; /* bytes read or written; UINT32_MAX: never */
	uint8_t way; /* WRITE_* */
	bool nodelay, cork, quickack, keepalive;
	uint32_t take; /* so many bytes of a packet at most are taken straight from it; 0: none */
};

struct stack_conn_plan {
	struct app_plan app[2]; /* client, server */
	sut_time start; /* where it reuses: after the end of the one before */
	uint8_t ip; /* 4 or 6 */
	bool both; /* both ends open it, at the same time */
	bool reuses; /* the ports of the one before */
	uint32_t content;
};

/* A time in which a link is another one. */
struct spell {
	sut_time from, until;
	uint8_t link;
	bool blackout; /* all is lost; else: */
	sut_time delay; /* this much more */
};

/* What somebody who sees nothing of a connection sends into it. */
enum forged {
	FORGED_RST,
	FORGED_RST_INSIDE, /* the window */
	FORGED_SYN,
	FORGED_SYN_INSIDE,
	FORGED_SYN_ACK,
	FORGED_FIN,
	FORGED_DATA,
	FORGED_ACK,
	FORGED_KINDS
};

enum trouble_kind {
	TROUBLE_FORGED, /* what: enum forged */
	TROUBLE_OPTION, /* what: enum conn_option, to value */
	TROUBLE_MTU, /* of the host's device: value */
	TROUBLE_JUMP, /* of both clocks: value, ns */
};

struct trouble {
	sut_time at;
	uint8_t kind, conn, side, what;
	uint32_t dice;
	int64_t value;
};

struct stack_plan {
	uint64_t seed;
	const struct sim_role *role;
	struct link_config
		link[LINKS]; /* client to box, box to client, box to server, server to box */
	uint32_t corrupt_ppm; /* frames with a bit turned */
	uint32_t squeeze_ppm; /* frames whose window field is made smaller */
	uint32_t link_mtu[LINKS]; /* bytes of IP packet; 0: no limit */
	bool black_hole[LINKS]; /* nobody is told of packets that are too long */
	unsigned spells;
	struct spell spell[STACK_SPELLS];
	unsigned troubles;
	struct trouble trouble[STACK_TROUBLES]; /* in order of time */
	struct stack_config host[2];
	unsigned conns;
	struct stack_conn_plan conn[STACK_CONNS];
	struct pair_plan pair; /* where the server is a pair */
	union {
		struct accel_near_config near;
		struct wire_config wire;
		struct replica_mirror_config mirror;
	} config;
};

void stack_plan_draw(uint64_t seed, const struct sim_role *role, struct stack_plan *ret_p);

/*
 * Makes the plan simpler in its step-th way (0 on): false where there are no more ways; *ret_changed says whether this one changes
 * anything.
 */
bool stack_plan_simplify(struct stack_plan *p, unsigned step, bool *ret_changed);

/* Can a connection of this plan fail without anybody's fault: time-outs in long blackouts, aborts? */
bool stack_plan_harsh(const struct stack_plan *p);

/* The ends of connection i: the client's, the server's. */
void stack_plan_ends(const struct stack_plan *p, unsigned i, struct stack_addr ret_end[2]);

/* Its name in packet scripts. */
const char *stack_trouble_option(unsigned what);

void stack_plan_print(const struct stack_plan *p);
#endif
