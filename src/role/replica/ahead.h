/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_AHEAD_H
#define SUT_ROLE_REPLICA_AHEAD_H
/*
 * ahead - SYN-ACKs of the primary that came before the client's SYN: what the primary sends takes another way than the mirror.
 *
 * Owns:     one place for each of AHEAD_PLACES hashes, the latest in it.
 * Does not: open flows: a flood of SYN-ACKs costs no more than these places.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/time.h"
#include "core/quad.h"
#include "proto/tcp.h"
#include "proto/view.h"

#define AHEAD_PLACES 1024u
#define AHEAD_TIME SUT_MS(1000) /* how long one is remembered */

struct ahead_synack {
	struct flow_key key; /* as of the server's packets */
	sut_time until;
	uint32_t seq, ack, payload_len;
	uint8_t flags;
	struct tcp_options o;
};

struct ahead {
	struct hash_key hash;
	struct ahead_synack place[AHEAD_PLACES];
};

/* Remembers the SYN-ACK v with its options. */
void ahead_put(struct ahead *a, const struct flow_key *key, const struct view *v,
	       const struct tcp_options *o, sut_time now);

/* The one that is remembered under key, or NULL. */
const struct ahead_synack *ahead_get(const struct ahead *a, const struct flow_key *key,
				     sut_time now);
#endif
