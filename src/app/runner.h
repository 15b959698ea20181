/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_RUNNER_H
#define SUT_APP_RUNNER_H
/*
 * runner - a role in its memory, with counters and an outbox: what live runs and replays have in common.
 *
 * Owns:     the role's block, mapped without reserving it, and the counters of packets and bytes in and out.
 * Does not: know where packets come from or go to: the caller empties the outbox after every call.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "core/env.h"
#include "core/outbox.h"
#include "role/role.h"

#define ROLE_PORTS_MAX 12 /* as many ports as a role may have */

struct runner {
	const struct role_ops *ops;
	void *role;
	void *block;
	size_t block_bytes;
	struct counters counters;
	struct role_env env;
	struct outbox out;
};

/*
 * Lays the role out; env gives secret, random source, trace, and the ports that are joined (its counters are replaced by the runner's own).
 * 0; -EINVAL if the role takes no such configuration; -ENOMEM.
 */
int runner_open(struct runner *r, const struct role_ops *ops, const void *config,
		const struct role_env *env);
void runner_close(struct runner *r);

/* A role in its memory, laid out beside the one that runs. */
struct runner_block {
	void *role;
	void *block;
	size_t bytes;
};

/* Lays the role out once more, with another configuration and the env and counters of r: as runner_open(). */
int runner_lay_out(struct runner *r, const void *config, struct runner_block *ret_b);

/* Puts b in the place of the role that runs, and that one in b. */
void runner_swap(struct runner *r, struct runner_block *b);
void runner_free(struct runner_block *b);

/* One burst into the role; counts what came in. */
void runner_input(struct runner *r, unsigned port, struct packet **pkts, unsigned n, sut_time now);

/* Fires timers once: the caller empties the outbox and calls again while the role's deadline is due. */
void runner_expire(struct runner *r, sut_time now);

static inline sut_time runner_deadline(const struct runner *r)
{
	return r->ops->deadline(r->role);
}

/*
 * May the role send at this port?  If not, what it put out there is a mistake of its own: it is counted as dropped,
 * and the caller forgets it.
 */
bool runner_may_send(struct runner *r, unsigned port);

/* Counts a packet that went out at port; messages are no packets. */
static inline void runner_count_out(struct runner *r, unsigned port, const struct packet *p)
{
	if (r->ops->ports[port].kind != PORT_FRAMES)
		return;
	r->counters.event[EV_PKTS_OUT]++;
	r->counters.event[EV_BYTES_OUT] += packet_len(p);
}

/* How many ports the role has, and which has this name (-1: none). */
unsigned role_port_count(const struct role_ops *ops);
int role_port_index(const struct role_ops *ops, const char *name, size_t len);

/* The port of operators' commands; -1: the role takes none. */
int role_control_port(const struct role_ops *ops);
#endif
