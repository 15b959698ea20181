/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_HALF_H
#define SUT_ROLE_REPLICA_HALF_H
/*
 * half - connections whose shift is not known yet: what tells the numbers, what passes, and
 * what must wait.  Those that the guest opens are guest.h's, as far as they differ.
 *
 * Does not: translate (known.h), keep the flow's life (pair.h).
 */
#include <stdint.h>

#include "base/packet.h"
#include "core/flow.h"
#include "proto/view.h"
#include "role/replica/pair.h"

/*
 * A client's SYN of no flow came in under this key: enters it, or says why it passes
 * untouched.
 */
enum reason half_open(struct turn *t, const struct flow_key *key, const struct packet *p,
		      const struct view *v);

/*
 * A packet of side for flow f in phase HALF: sent on, translated if it told the shift, or held.
 */
void half_segment(struct turn *t, uint32_t f, enum sut_side side, struct packet *p, struct view *v);

/* Is v the secondary's answer to the SYN that contradicts flow f (pair.pending)? */
bool half_answers_pending(const struct pair *c, const struct view *v);

/*
 * Starts f anew at the SYN that the secondary's SYN-ACK v answers; v has told the secondary's
 * ISN.
 */
void half_restart(struct turn *t, uint32_t f, const struct packet *p, const struct view *v);

/*
 * Goes back to HALF from pair.copied: the secondary's SYN v shows that it opens the connection
 * itself, and has told its ISN.  v, in the outbox already, is translated if the rest is known.
 */
void half_again(struct turn *t, uint32_t f, struct packet *p, struct view *v);

/* The client's segment v acknowledges the primary's SYN and nothing more: takes its ISN and clock. */
void half_told(struct pair *c, const struct view *v, const struct tcp_options *o);

/*
 * The secondary's ISN and the clock of its first SYN: later ones repeat it, unless the
 * listener, or the guest, began anew.
 */
void half_take_far_syn(struct pair *c, const struct packet *p, const struct view *v);

/* Both ISNs are there: enters KNOWN.  What is held stays until half_release(). */
void half_learn(struct turn *t, uint32_t f);

/* Holds p, or counts why it is dropped.  Where no cell is free, the flow that has waited for longest is given up (R_STORE_FULL). */
void half_hold(struct turn *t, uint32_t f, const struct packet *p);

/*
 * Sends what f holds, in order: translated in phase KNOWN, as it came in GIVEN_UP (which then
 * ends the flow).
 */
void half_release(struct turn *t, uint32_t f);

/* Gives f up for this reason, and sends what it holds. */
void half_give_up(struct turn *t, uint32_t f, enum reason why);

/* How long may what is held wait: 1 s if nothing can end the wait (doomed), else half-open-time. */
void half_doom(struct turn *t, uint32_t f, bool doomed);

/* The timer of f fired in phase HALF. */
void half_timer(struct turn *t, uint32_t f);
#endif
