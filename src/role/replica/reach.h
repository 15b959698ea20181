/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_REACH_H
#define SUT_ROLE_REPLICA_REACH_H
/*
 * reach - can a segment of the client be one that the secondary takes, by its seq?
 *
 * Anybody can send a segment in the client's name to the servers, who refuse it for its seq.  What they refuse must
 * teach nobody else either: no acknowledgement that is withheld, no echo, no edge.
 *
 * Owns:     the secondary's window, in its record.
 * Does not: change packets, or decide what becomes of them.
 */
#include <stdbool.h>
#include <stdint.h>

#include "core/flow.h"
#include "proto/view.h"
#include "role/replica/pair.h"

#define REACH_WINDOW_KNOWN 0x10000u
#define REACH_FAST \
	(1u << 24) /* the hot path takes what lies that near to what the secondary acknowledged */

/*
 * What the secondary acknowledges is never shifted.  So the place of that addition is free in its record: there lie
 * the window field of its last segment, and REACH_WINDOW_KNOWN.
 */
static inline uint32_t *reach_window(struct flow_rec *far)
{
	return &far->add_ack;
}

/*
 * Does v, of the client, lie within twice the window (and a bit) of what the secondary has acknowledged, or of what the
 * client has sent before?  A window may have grown meanwhile, and we have not heard of it yet; a secondary that was
 * stopped finds all in its queue that came meanwhile.  True where nothing tells.
 */
bool reach_near(const struct pair *c, const struct flow_rec *near, struct flow_rec *far,
		const struct view *v);
#endif
