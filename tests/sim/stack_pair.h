/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_STACK_PAIR_H
#define SUT_SIM_STACK_PAIR_H
/*
 * stack_pair - hosts with our own TCP at the ends of a replica_site: two servers, one of which may die.
 */
#include "replica_site.h"
#include "stack_plan.h"

/* What the seed means for the pair (p->pair); hosts and connections of p lose what two servers cannot agree upon. */
void stack_pair_draw(struct stack_plan *p);

struct stack_world;

/* Opens the site (w->pair) in the world's net. */
void stack_pair_open(struct stack_world *w);
/* A frame leaves a host. */
void stack_pair_sent(struct stack_world *w, unsigned side, const struct packet *p);
#endif
