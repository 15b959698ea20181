/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_BOX_H
#define SUT_SIM_BOX_H
/*
 * box - one role as a world runs it: its block with guard bytes behind, its environment, its outbox.
 *
 * Does not: know what is joined to its ports.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"
#include "core/env.h"
#include "core/outbox.h"
#include "rng.h"
#include "role/role.h"

#define BOX_BURST 64

struct box {
	const struct role_ops *ops; /* NULL: there is no such box in this world */
	void *role;
	uint8_t *block;
	size_t need;
	struct role_env env;
	struct rng rng;
	struct outbox out;
	/* Whatever leaves, in order, as wire frames (device.h); messages as they are. */
	void (*sent)(void *ctx, unsigned port, struct packet *p);
	void *ctx;
	const char *fault; /* the first one */
};

/* Lays out the role; ports is the bitmap of what is joined.  b->sent and b->ctx are set before. */
void box_open(struct box *b, const struct role_ops *ops, const void *config, uint32_t ports,
	      uint64_t seed, struct counters *counters);

/* Gives it a burst, one packet at a time if split. */
void box_input(struct box *b, unsigned port, struct packet **pkts, unsigned n, bool split,
	       sut_time now);

/* Gives it a message. */
void box_tell(struct box *b, unsigned port, const char *text, sut_time now);

/* Fires what is due. */
void box_expire(struct box *b, sut_time now);

/* When it wants to be told next; SUT_NEVER, also where there is no box. */
sut_time box_deadline(const struct box *b);

/*
 * What it has done that no role may, or NULL: written behind its block, a deadline that stays due, a checksum for a device that
 * cannot complete it.
 */
const char *box_fault(const struct box *b);

/* Flows that it knows, by the records that it saves; a damaged one counts as a thousand. */
unsigned box_flows(const struct box *b, sut_time now);

void box_close(struct box *b);
#endif
