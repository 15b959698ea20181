/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_ACCEL_LEARN_H
#define SUT_ROLE_ACCEL_LEARN_H
/*
 * learn - what is known of each server (address, port, VLANs), from its own SYN-ACKs and refusals.
 *
 * Owns:     a fixed table of sets of LEARN_WAYS entries; a full set forgets the entry that was used longest ago.
 * Does not: decide: promise.c asks, join.c tells.
 *
 * An option's absence is learnt only from a SYN that offered it: offered says of which options the presence is known.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"
#include "core/quad.h"
#include "core/record.h"
#include "proto/tcp.h"

#define LEARN_WAYS 8u

/* What a server does with data in a SYN. */
enum takes_data { TAKES_UNKNOWN, TAKES_YES, TAKES_NO };

struct server {
	uint8_t addr[16];
	uint16_t port; /* host order */
	uint16_t used; /* the entry is taken */
	uint32_t vlans; /* as in flow_key.where, without the port index */
	uint16_t offered; /* OPT_WSCALE, OPT_SACK_PERMITTED, OPT_TS: asked of it */
	uint16_t has; /* OPT_MSS and those of offered that it accepted */
	uint16_t mss;
	uint16_t window; /* of its SYN-ACK, bytes */
	uint8_t wscale;
	uint8_t takes_data; /* enum takes_data */
	uint8_t black_misses; /* SYNs with data without an answer, in a row */
	uint8_t learnt; /* a SYN-ACK was seen */
	uint8_t gives_cookies; /* it takes data in a SYN with a cookie of its own (RFC 7413) */
	sut_time learnt_at;
	sut_time negative_until; /* not promised until then */
	sut_time speaks_until; /* it speaks first: its SYNs are not kept back */
	sut_time black_until; /* data in SYN got no answer */
	sut_time takes_until; /* takes_data counts until then */
	/* it broke a promise of timestamps: not promised until then (whoever answers for it, not all have them) */
	sut_time no_ts_until;
	sut_time rtt; /* SYN to SYN-ACK; 0: not known */
	sut_time used_at;
	sut_time kept_at; /* a record of it was kept in the journal then; 0: never */
};

struct learn;

/* Bytes for a cache of at least `servers` entries. */
size_t learn_need(uint32_t servers);
struct learn *learn_init(void *block, uint32_t servers, const uint8_t secret[16]);

/* The entry of the server that a client's key speaks to, or NULL.  Good until the next learn_enter. */
struct server *learn_find(struct learn *l, const struct flow_key *client_key, sut_time now);

/* The same, entered anew if it is not there. */
struct server *learn_enter(struct learn *l, const struct flow_key *client_key, sut_time now);

/*
 * Takes in a real SYN-ACK: offered are the OPT_ bits of the SYN it answers.  anew: that SYN asked for all that its client
 * can do, so the learning time begins; a promised SYN asks only for what is known already, and prolongs nothing.
 */
void learn_synack(struct server *s, uint16_t offered, const struct tcp_options *o, uint16_t window,
		  bool anew, sut_time now);

/*
 * A SYN with data got no answer: no more of them for a while.  One miss may be a lost packet and counts for two seconds; each
 * further one in a row four times as long, up to `most`.
 */
void learn_black(struct server *s, sut_time most, sut_time now);

/* Slots in the table, taken or not, for walks. */
uint32_t learn_slots(const struct learn *l);
const struct server *learn_at(const struct learn *l, uint32_t slot);

/* One entry as a record, and back: 0 or -EPROTO, -EINVAL. */
void learn_save(const struct server *s, sut_time now, struct record *ret_r);
int learn_restore(struct learn *l, struct record_reader *rd, sut_time now);
#endif
