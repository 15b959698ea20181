/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_PEER_KERNEL_H
#define SUT_SIM_PEER_KERNEL_H
/*
 * peer_kernel - which segments a peer takes in that checks as Linux does: PAWS, the window, RFC 5961.
 *
 * Does not: take anything in.
 */
#include <stdbool.h>

#include "peer.h"

/*
 * Is v, of a connection whose ISNs are both known, to be taken in?  If not it was answered, or
 * has ended the connection.  What only a wrong translation can bring is a fault.
 */
bool peer_kernel_accepts(struct peer *p, const struct view *v, const struct tcp_options *o,
			 sut_time now);

/* Does o echo what this end cannot have sent by now? */
bool peer_echo_is_strange(const struct peer *p, const struct tcp_options *o, sut_time now);
#endif
