/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_STACK_MIRROR_H
#define SUT_SIM_STACK_MIRROR_H
/*
 * stack_mirror - looks over the shoulder of a replica-mirror between two hosts: each frame passes at once, as it was and in order; so
 * does its copy, where its way is copied.
 */
#include <stdint.h>

#include "box.h"
#include "role/replica/mirror_role.h"
#include "run.h"

struct stack_mirror {
	unsigned port; /* where the burst came in */
	unsigned n, passed, copied;
	uint64_t in[BOX_BURST]; /* a hash of each frame */
};

/* A burst comes in at a port; it has been answered. */
void stack_mirror_begin(struct stack_mirror *m, unsigned port, struct packet **pkts, unsigned n);
void stack_mirror_end(struct stack_mirror *m, const struct replica_mirror_config *c, struct run *r);

/* A frame leaves. */
void stack_mirror_sent(struct stack_mirror *m, unsigned port, const struct packet *p,
		       struct run *r);
#endif
