/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_STACK_ROLE_H
#define SUT_PKT_STACK_ROLE_H
/*
 * stack_role - the library src/stack as a role for packet scripts: frames at the port net, the application's calls as
 * messages at the port app (stack_app.c).
 *
 * Owns:     the stack, the application's handles by flow, how much of each stream was written and read.
 * Does not: let two packets share a flush, but with `set batch yes`; check packets: that is the script's.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"
#include "base/time.h"
#include "conn.h"
#include "core/env.h"
#include "core/outbox.h"
#include "role/role.h"
#include "../sim/rng.h"
#include "stack/stack.h"

#define STACK_ROLE_FLOWS 16u /* SCRIPT_CONNS_MAX */
#define STACK_ROLE_LISTENERS 4u
#define STACK_ROLE_USERS 64u
#define STACK_ROLE_BYTES 65536u /* of one call */
#define STACK_ROLE_REFS (4u * 1024 * 1024) /* of all calls of write-ref */

enum stack_events { EVENTS_ENDS, EVENTS_ALL, EVENTS_NONE };

struct stack_role_config {
	uint32_t mtu, ttl, max_conns, max_half_open, cells, records, sndbuf, rcvbuf, max_ofo,
		gso_max;
	bool csum_offload, tso, timestamps, sack, wscale, ecn, fastopen, batch, flush_calls;
	uint32_t seed; /* of the stack's secret and dice; 0: the script's own */
	uint8_t cc, events;
	sut_time msl, fin_wait_2, start;
	const struct conn *flow; /* the script's: from the peer to the stack */
	unsigned flows;
};

enum stack_role_port { STACK_NET, STACK_APP };

/* What the application knows of the connection of a flow. */
struct app_conn {
	conn_id id;
	uint32_t written, read, peeked; /* bytes of the streams */
	uint32_t take; /* at most so many bytes a packet; 0: none are taken */
};

struct app_listener {
	conn_id id;
	uint16_t port;
};

struct stack_role {
	struct stack_role_config cfg;
	const struct role_env *env;
	struct stack_env senv;
	struct stack *s;
	struct app_conn conn[STACK_ROLE_FLOWS];
	struct app_listener listener[STACK_ROLE_LISTENERS];
	unsigned
		users; /* the application's name of a connection is the place of its flow in this list, and 1 */
	uint8_t user_flow[STACK_ROLE_USERS];
	sut_time flush_at; /* batches: when the flush is due */
	struct rng dice; /* with `set seed` */
	bool owed; /* `set flush-calls`: something came or was called since the last flush */
	uint32_t lent; /* bytes of refs that were lent to the stack; they are not used again */
	uint32_t refuse; /* the device refuses so many packets more */
	struct outbox *out; /* of the call under way */
	/* packets of the call under way; the outbox's own room is too small for super-packets */
	unsigned npkts;
	uint32_t used;
	struct packet pkt[OUTBOX_PKTS];
	uint8_t *arena;
	uint8_t buf[STACK_ROLE_BYTES];
	uint8_t refs[STACK_ROLE_REFS];
};

extern const struct role_ops stack_role_ops;

void stack_role_defaults(void *config);
const char *stack_role_error(const void *config);
/* The script's flows; they outlive the role. */
void stack_role_flows(void *config, const struct conn *flow, unsigned n);
/* "ESTABLISHED una 1 nxt 1001 ...", numbers relative to the first one of their direction. */
bool stack_role_describe(const void *role, const struct flow_key *near_key, char *ret_s,
			 size_t size);

/* A line of text goes out at the port app. */
void stack_role_say(struct stack_role *r, const char *text);

/* --- stack_app.c */

/* Makes the call that text names, and answers it by one message. */
void stack_app_call(struct stack_role *r, const char *text, sut_time now);
/* Tells the events that wait. */
void stack_app_events(struct stack_role *r);
/* The flow with these ends, or flows if there is none. */
unsigned stack_app_flow(const struct stack_role *r, const struct stack_addr *local,
			const struct stack_addr *remote);
#endif
