/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_STACK_WORLD_H
#define SUT_SIM_STACK_WORLD_H
/*
 * stack_world - runs two hosts with our own TCP, links and a role between them, and judges what their applications see.
 *
 * The struct is for the files stack_*.c alone: stack_world.c has the hosts and the run, stack_net.c what its frames go through,
 * stack_app.c applications, stack_judge.c what must hold, stack_script.c the run of one host as a packet script.
 */
#include <stdbool.h>
#include <stdint.h>

#include "box.h"
#include "net.h"
#include "run.h"
#include "stack_mirror.h"
#include "stack_pair.h"
#include "stack_plan.h"
#include "stack_script.h"

#define STACK_PORT 80 /* the server listens there */
#define STACK_CLIENT_PORT 40000
#define STACK_SERVER_PORT 50000 /* of those that open at the same time */
#define STACK_MARK_AT 11 /* in frames: 1 and the side of the host that sent it */

enum { CLIENT, SERVER, SECONDARY, HOSTS };

struct app {
	struct stack_world *w;
	unsigned conn, side;
	conn_id id;
	bool open, over, shut, eof, aborted, readable;
	bool can_write;
	bool took; /* bytes were taken out of a packet */
	uint32_t wrote, read;
	uint8_t *stream; /* all that it writes */
	sut_time write_at, read_at; /* not before; SUT_NEVER: nothing is waited for */
	int error;
};

struct stack_world {
	const struct stack_plan *p;
	struct run run;
	struct stack_fates *fates;
	struct net net;
	struct rng host_rng[HOSTS];
	unsigned hosts; /* 2, or 3 with a replicated server */
	struct stack *host[HOSTS];
	uint32_t mtu[HOSTS]; /* of the hosts' devices, now */
	struct host_ctx {
		struct stack_world *w;
		unsigned side;
	} ctx[HOSTS];
	conn_id listener[HOSTS];
	struct app app[STACK_CONNS][HOSTS];
	bool started[STACK_CONNS], ended[STACK_CONNS];
	sut_time start[STACK_CONNS]; /* when it opens; SUT_NEVER: not yet known */
	unsigned retries[STACK_CONNS]; /* its ports were in use */
	struct box box;
	struct stack_mirror mirror; /* where the role is one */
	struct pair_site *pair; /* NULL: the server is one host */
	uint64_t refs, released; /* pieces that were lent to the hosts, and given back */
	uint32_t idle_frames; /* sent since an application got anywhere */
	unsigned troubles; /* that have happened */
	sut_time jumped; /* by what the clock has jumped */
	bool forging; /* one is under way */
	bool forged; /* segments of somebody else's have been given to a host */
	bool unseen; /* a damaged frame, whose checksum is right by chance, has been given to a host */
	uint32_t calls; /* of applications, so far */
	struct stack_script script;
};

void stack_world_run(const struct stack_plan *p, const struct world_options *o,
		     struct world_result *ret_r, struct stack_fates *ret_f);

const char *stack_host_name(unsigned side);
/* Which half of a plan is this host's? */
static inline unsigned stack_half(unsigned side)
{
	return side != CLIENT;
}

/* A primary may be dead. */
bool stack_host_lives(const struct stack_world *w, unsigned side);
/* The latest connection with this port of the client's that was opened; conns if none was. */
unsigned stack_conn_of_port(const struct stack_world *w, uint16_t port);
struct stack_addr stack_address(const struct stack_world *w, unsigned side, unsigned ip,
				uint16_t port);

/* stack_world.c: a host flushes, and its applications answer to what that tells them, until nothing is new. */
void stack_host_flush(struct stack_world *w, unsigned side);

/* --- stack_net.c */

/* A packet leaves a host: what a device does with it, and the link. */
int stack_net_emit(void *ctx, const struct stack_out *o);
/* Nodes and links. */
void stack_net_open(struct stack_world *w);
/* Is the role in the middle a mirror? */
bool stack_net_mirrors(const struct stack_world *w);
/* A frame leaves the role. */
void stack_net_box_sent(void *ctx, unsigned port, struct packet *p);
/* Frames have reached a host, which answers them. */
void stack_net_host_input(struct stack_world *w, unsigned side, struct packet **pkts, unsigned n);
/* A segment that somebody else made up, straight to a host. */
void stack_net_forge(struct stack_world *w, const struct trouble *t);

/* --- stack_app.c */

void stack_apps_init(struct stack_world *w);
void stack_apps_free(struct stack_world *w);
/* Connections that begin, and applications whose pause is over. */
void stack_apps_expire(struct stack_world *w);
sut_time stack_apps_deadline(const struct stack_world *w);
/* Tells the applications of a host what it has for them. */
void stack_apps_events(struct stack_world *w, unsigned side);
/* Those that got bytes straight out of packets go on. */
void stack_apps_took(struct stack_world *w, unsigned side);
/* Is this connection over at both ends, as far as an end can know? */
bool stack_apps_over(const struct stack_world *w, unsigned i);
/* Have all been opened, and are over? */
bool stack_apps_all_over(const struct stack_world *w);

/* --- stack_judge.c */

/* After every event. */
void stack_judge_step(struct stack_world *w);
/* An ACK covers nothing that this host has not sent. */
void stack_judge_ack(struct stack_world *w, unsigned side, const struct packet *p,
		     const struct view *v);
/* When the applications are done, or will never be. */
void stack_judge_conns(struct stack_world *w);
/* When the last timer has gone. */
void stack_judge_rest(struct stack_world *w);
#endif
