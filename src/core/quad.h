/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_QUAD_H
#define SUT_CORE_QUAD_H
/*
 * quad - the key of one direction of a connection: where it comes in, its VLANs, addresses and ports.
 *
 * Two directions have two keys, so nothing is put in a canonical order.  40 bytes, compared and hashed as words.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/be.h"
#include "base/compiler.h"

struct packet;
struct view;

struct flow_key {
	uint8_t src[16], dst[16];	/* IPv4 as v4-mapped IPv6 */
	be16 sport, dport;
	uint32_t where;			/* port index << 24 | outer VLAN id << 12 | inner; 0xfff where there is no tag */
};

_Static_assert(sizeof(struct flow_key) == 40, "hashed as five words");

/* The key of v as it came in at the port with this index.  v->tcp must be true. */
void flow_key_of(const struct packet *p, const struct view *v, unsigned port,
		 struct flow_key *ret_key);

/* flow_key.where of a packet with the tags of v that came in at this port. */
uint32_t flow_key_where(const struct view *v, unsigned port);

/* The key under which answers to k come in at the port with this index: ends exchanged, same VLANs; ret_key may be k. */
void flow_key_reverse(const struct flow_key *k, unsigned port,
		      struct flow_key *ret_key);

/* The same key?  As five words, without a branch for each. */
SUT_INLINE bool flow_key_equal(const struct flow_key *a, const struct flow_key *b)
{
	uint64_t x[5], y[5];

	memcpy(x, a, sizeof x);
	memcpy(y, b, sizeof y);
	return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) |
		(x[4] ^ y[4])) == 0;
}
#endif
