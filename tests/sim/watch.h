/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_WATCH_H
#define SUT_SIM_WATCH_H
/*
 * watch - looks over the box's shoulder: every frame that goes into it or comes out, against the
 * invariants.
 *
 *   - no ACK leaves towards one end beyond what the other end acknowledged to the box (but for the
 *     SYN, towards the client)
 *   - the server's ISN as the client sees it never changes within a connection; the client's ISN
 *     arrives as it was sent
 *   - what comes out is well-formed, of the wire's size, its checksums right
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"
#include "proto/view.h"

/* What the watcher knows of one connection; offsets count from the byte behind the SYN. */
struct watch {
	uint32_t client_isn, server_isn;
	uint32_t near_isn; /* the server's, as the client was told */
	bool near_known;
	/* Highest offset + 1 that each has acknowledged to the box; 0: not even the SYN. */
	int64_t client_ack, server_ack;
};

void watch_init(struct watch *w, uint32_t client_isn, uint32_t server_isn);

/* A frame that comes from an end into the box. */
void watch_in(struct watch *w, bool from_client, const struct view *v);

/*
 * A frame that leaves the box for an end: NULL, or the invariant that it breaks, with the numbers
 * in ret_text.
 */
const char *watch_out(struct watch *w, bool to_client, const struct packet *p, const struct view *v,
		      char *ret_text, unsigned size);
#endif
