/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_COMPARE_OTHER_H
#define SUT_ROLE_REPLICA_COMPARE_OTHER_H
/*
 * compare_other - what is not TCP: a frame of the primary's goes out when the secondary has sent one of the same size with the
 * same bytes, in whatever order.
 */
#include <stdint.h>

#include "base/packet.h"
#include "proto/view.h"
#include "role/replica/compare_flow.h"

void compare_other_primary(struct compare_turn *t, uint32_t f, struct packet *p,
			   const struct view *v);
void compare_other_secondary(struct compare_turn *t, uint32_t f, struct packet *p,
			     const struct view *v);
#endif
