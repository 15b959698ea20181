/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_GUEST_H
#define SUT_ROLE_REPLICA_GUEST_H
/*
 * guest - connections that the guest opens, while their shift is not known: the primary's guest
 * and the secondary's send a SYN each, the peer answers the primary's alone.
 */
#include "base/packet.h"
#include "core/flow.h"
#include "proto/view.h"
#include "role/replica/pair.h"

/*
 * The secondary's SYN of no flow, or the primary's (port says whose; far_key as of either): enters a
 * flow, or says why it passes untouched.
 */
enum reason guest_open(struct turn *t, const struct flow_key *far_key, const struct packet *p,
		       const struct view *v, uint32_t *ret_flow);

/* Could v, from the client's side, answer a SYN of the guest: a SYN-ACK, or a refusal? */
bool guest_is_answer(const struct view *v);

/* An answer of no flow: the secondary's SYN is late.  Enters a flow and holds p; or says why p passes. */
enum reason guest_answer_first(struct turn *t, const struct flow_key *near_key,
			       const struct packet *p, const struct view *v);

/*
 * The same where f is of an older connection with these ports, closed: true, and f begins anew; false if v is
 * nothing of the kind.
 */
bool guest_answers_anew(struct turn *t, uint32_t f, const struct packet *p, const struct view *v);

/* As half_segment(), for a flow that the guest opens. */
void guest_segment(struct turn *t, uint32_t f, enum sut_side side, struct packet *p,
		   struct view *v);

/* The secondary's guest uses the ports of f for a new connection: v, which passes as it is, opens it. */
void guest_reopen(struct turn *t, uint32_t f, const struct packet *p, const struct view *v);
#endif
