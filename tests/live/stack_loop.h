/* SPDX-License-Identifier: MIT */
/*
 * stack_loop - a stack of libsuture behind a TUN device: what stands between them, and the loop that runs both.
 *
 * Owns: the device, the stack, and how both are set up by words (loop_word).  Does not: know what is said over connections.
 */
#ifndef TESTS_LIVE_STACK_LOOP_H
#define TESTS_LIVE_STACK_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include <suture/stack.h>

/* "--no-sack", "--addr=192.0.2.2/24" ...: see stack_end.c.  False if it is none of these. */
bool loop_word(const char *word);

/* Opens the device, and makes the stack.  0, or 1 with a sentence on standard error. */
int loop_open(const char *device);
void loop_close(void);

/* A socket by which our connections are made as the words say (keepalive, user timeout). */
void loop_prepare(sut_id c);

/*
 * Moves packets and calls told() for each event, until done() or so many ms have passed (0: no limit).
 * 0, or -1: the time is up, or stop() was called by a signal.
 */
int loop_run(uint64_t ms, void (*told)(const struct sut_event *e), bool (*done)(void));

struct sut_stack *loop_stack(void);

/* Milliseconds of the stack's clock. */
uint64_t loop_ms(void);

/* Prints every counter that is not 0. */
void loop_counters(void);
#endif
