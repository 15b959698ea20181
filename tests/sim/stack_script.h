/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_STACK_SCRIPT_H
#define SUT_SIM_STACK_SCRIPT_H
/*
 * stack_script - prints what one host of a world saw and did, as a packet script for the role stack (suture-pkt(7)).
 *
 * Owns:     the names of the host's ISNs and clocks.
 * Does not: say how the network came to bring what it brought.
 */
#include <stdbool.h>
#include <stdint.h>

#include "stack_plan.h"

enum { SCRIPT_NONE, SCRIPT_CLIENT, SCRIPT_SERVER };

struct script_name {
	bool known, used; /* has a number; was printed with one */
	uint32_t value;
	unsigned serial;
};

struct stack_world;

struct stack_script {
	struct stack_world *w; /* NULL: nothing is printed */
	unsigned side;
	bool pending; /* something was said since the last flush */
	struct script_name isn[STACK_CONNS], clock[STACK_CONNS];
};

/* The settings and the flows. */
void stack_script_begin(struct stack_world *w, unsigned which);
/* A call of an application, and its answer; conn may be STACK_CONNS: of none. */
void stack_script_call(struct stack_world *w, unsigned side, unsigned conn, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void stack_script_answer(struct stack_world *w, unsigned side, unsigned conn, long result,
			 bool with_number);
/* Bytes were taken straight from a packet. */
void stack_script_took(struct stack_world *w, unsigned side, unsigned conn, uint32_t n,
		       uint32_t of);
void stack_script_flush(struct stack_world *w, unsigned side);
/* Frames as they reach the host, and packets as it emits them. */
void stack_script_in(struct stack_world *w, unsigned side, const struct packet *p);
void stack_script_out(struct stack_world *w, unsigned side, const struct packet *p);
#endif
