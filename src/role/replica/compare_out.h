/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_COMPARE_OUT_H
#define SUT_ROLE_REPLICA_COMPARE_OUT_H
/*
 * compare_out - what goes out, and when there is room for it: frames that may, checkpoints, the failover, the scan for what
 * waits too long, messages.
 */
#include <stdint.h>

#include "base/packet.h"
#include "role/replica/compare_flow.h"

/* Gives back what the last call has sent: the outbox was flushed. */
void compare_out_begin(struct compare_turn *t);

/* Sends the primary's frame p at once if nothing waits in front of it and it may go; else holds it. */
void compare_send_or_hold(struct compare_turn *t, uint32_t f, struct packet *p,
			  const struct waiting *w);

/* Sends what may go of f, as far as there is room, and puts f in its chains. */
void compare_release(struct compare_turn *t, uint32_t f);

/* Brings f up to the last checkpoint, of which it has not heard. */
void compare_catch_up(struct compare_turn *t, uint32_t f);

/* Serves those that found no room before. */
void compare_serve(struct compare_turn *t);

/* Sends the messages that are owed, as far as there is room. */
void compare_pay(struct compare_turn *t);

/* The secondary is a copy of the primary: its frames are dropped, the primary's go out, in order of arrival. */
void compare_checkpoint(struct compare_turn *t);

/* The primary is dead: its frames are dropped, the secondary's go out. */
void compare_failover(struct compare_turn *t);

/* Asks for a checkpoint if a frame waits for too long, or a flow has diverged. */
void compare_scan(struct compare_turn *t);
#endif
