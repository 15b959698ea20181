/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_COMPARE_TCP_H
#define SUT_ROLE_REPLICA_COMPARE_TCP_H
/*
 * compare_tcp - which of the primary's segments may go out, because the secondary has produced every byte of them and holds
 * every byte that they acknowledge.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"
#include "proto/view.h"
#include "role/replica/compare_flow.h"

/* A segment of the primary's for flow f: sent on, or held. */
void compare_tcp_primary(struct compare_turn *t, uint32_t f, struct packet *p,
			 const struct view *v);

/* A segment of the secondary's: compared, and dropped or held; what it lets out is sent. */
void compare_tcp_secondary(struct compare_turn *t, uint32_t f, struct packet *p,
			   const struct view *v);

/* May the primary's frame w, the first of its queue or WAITING_AGAIN, go out?  Its SYN then begins the connection. */
bool compare_tcp_may_go(struct compare_turn *t, uint32_t f, const struct waiting *w);

/* A checkpoint: the secondary's part of f becomes a copy of the primary's.  Its queue must be empty. */
void compare_tcp_equal(struct compare_flow *c);
#endif
