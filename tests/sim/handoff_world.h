/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_HANDOFF_WORLD_H
#define SUT_SIM_HANDOFF_WORLD_H
/*
 * handoff_world - connections that are handed over: a client and its back ends with TCPs of our own, a front end, agents.
 *
 *              ┌───────────── direct ─────────────┐
 *     client ──┤ outside                          ├── agent ── host      (inline; or a host that is bare)
 *              └──────── front end ── inside ─────┘
 *                            ╰─────── channel ───────╯                   (messages)
 *
 *     handoff_world.c    the loop                   handoff_net.c      nodes and links
 *     handoff_client.c   the client's applications  handoff_serve.c    the hosts'
 *     handoff_watch.c    what must hold             handoff_trouble.c  what goes wrong
 *     handoff_inside.c   the roles' insides
 */
#include "box.h"
#include "handoff_plan.h"
#include "net.h"
#include "proto/view.h"
#include "role/handoff/back.h"
#include "role/handoff/front.h"
#include "run.h"

#define SERVES 64u /* connections of a host's application */

enum hand_fate {
	FATE_OPEN,
	FATE_DONE, /* all bytes, and both ends have closed */
	FATE_ANSWERED, /* by the front end itself */
	FATE_CLOSED, /* without a word */
	FATE_RESET, /* or timed out */
	FATE_LEFT, /* by its plan */
	FATE_HUNG, /* it has given up waiting */
	FATE_COUNT,
};

struct hand_world;

/* A client's end of a connection. */
struct hand_client {
	conn_id id;
	bool begun, over;
	enum hand_fate fate;
	char answer[96]; /* of the front end itself */
	uint8_t *bytes; /* all that it may send */
	uint32_t len, written, got, want;
	unsigned asked; /* requests that may be written */
	bool silent, shut;
	sut_time start, next_write, moved;
	/* what is seen on the wire */
	uint32_t isn, iss, front_end; /* seq: behind what has arrived at the front end */
	int responder; /* -1: none; 0: the front end; back end + 1 */
	bool seen, has_iss;
	bool reset; /* by the front end, which says so once: it may be lost */
};

/* A host's end. */
struct hand_serve {
	conn_id id;
	int conn; /* -1: not known yet */
	uint32_t got, sent;
	uint8_t first[8];
	bool shut;
	sut_time moved;
};

struct hand_stack {
	struct hand_world *w;
	unsigned who; /* 0: the client; back end + 1 */
	struct rng rng;
	struct stack *s;
	size_t need;
	conn_id listener;
	bool dead;
};

struct hand_back {
	const struct hand_back_plan *p;
	struct box agent;
	struct back_config cfg;
	struct hand_stack host;
	struct hand_serve serve[SERVES];
	unsigned to, from, direct, in, out, told, tells; /* links */
	unsigned boots;
};

struct hand_world {
	const struct hand_plan *p;
	struct run run;
	struct net net;
	struct hand_stack client;
	struct hand_client conn[HAND_CONNS];
	struct box front;
	struct front_config cfg;
	struct hand_back back[HAND_BACKS];
	unsigned to_front, to_client; /* links */
	int at_front; /* the back end whose frames the front end has in hand; -1: none */
	bool hurt; /* a part of it has died, or forgotten */
	bool gave_up; /* a host has: its reset may be lost */
	unsigned fronts; /* that there were before this */
	uint8_t troubles[HAND_TROUBLES]; /* how far each is */
};

void hand_world_run(const struct hand_plan *p, const struct world_options *o,
		    struct world_result *ret_r);

/* --- handoff_net.c */

void hand_net_open(struct hand_world *w);
int hand_net_emit(void *ctx, const struct stack_out *o);
void hand_net_front_sent(void *ctx, unsigned port, struct packet *p);
void hand_net_agent_sent(void *ctx, unsigned port, struct packet *p);
/* A line to the front end's port `world`. */
__attribute__((format(printf, 2, 3))) void hand_net_tell(struct hand_world *w, const char *fmt,
							 ...);
/* Who reads and writes: the link address of back end i. */
#define HAND_MAC_CLIENT 1u
#define HAND_MAC_FRONT 2u
#define HAND_MAC_BACK 16u

/* --- handoff_world.c */

void hand_front_open(struct hand_world *w);
void hand_agent_open(struct hand_world *w, unsigned i);
void hand_host_open(struct hand_world *w, struct hand_stack *h, const struct stack_config *c);
void hand_host_close(struct hand_stack *h);

/* --- handoff_client.c, handoff_serve.c */

void hand_clients_open(struct hand_world *w);
void hand_clients_close(struct hand_world *w);
void hand_clients_run(struct hand_world *w);
sut_time hand_clients_deadline(const struct hand_world *w);
void hand_serves_run(struct hand_world *w, unsigned i);
sut_time hand_serves_deadline(const struct hand_world *w, unsigned i);
bool hand_serves_over(const struct hand_world *w, unsigned i);
/* Byte `at` of what connection i is answered; what it may ask for by then. */
uint8_t hand_answer_byte(unsigned i, uint32_t at);
/* Bytes of answers that are owed once so much was asked; requests that are whole. */
uint32_t hand_owed(const struct hand_conn_plan *c, uint32_t got);
const char *hand_fate_name(enum hand_fate f);

/* --- handoff_trouble.c */

void hand_troubles_run(struct hand_world *w);
sut_time hand_troubles_deadline(const struct hand_world *w);

/* --- handoff_watch.c */

void hand_watch_syn(struct hand_world *w, const struct packet *p, const struct view *v);
void hand_watch_at_front(struct hand_world *w, const struct packet *p, const struct view *v);
/* A segment leaves for the client, by the front end (0), or by a back end + 1. */
void hand_watch_answer(struct hand_world *w, int responder, const struct packet *p);
/* A frame leaves a role. */
void hand_watch_sums(struct hand_world *w, const char *who, const struct packet *p);
void hand_watch_step(struct hand_world *w);
void hand_watch_conns(struct hand_world *w);
void hand_watch_rest(struct hand_world *w);

/* --- handoff_inside.c */

/* What must hold of the front end's insides, or NULL. */
const char *hand_front_fault(const struct box *b);
/* Hand-offs (probes aside) and ways that it has. */
unsigned hand_front_left(const struct box *b);
unsigned hand_agent_left(const struct box *b);
/* Does the front end forward this client's connection from its back end?  (a splice) */
bool hand_front_splices(const struct box *b, const struct packet *p, const struct view *v);
#endif
