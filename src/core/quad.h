/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_QUAD_H
#define SUT_CORE_QUAD_H
/*
 * quad - the key of one direction of a connection: where it comes in, its VLANs, addresses and
 * ports.
 *
 * Two directions have two keys, so nothing is put in a canonical order.  40 bytes, compared and
 * hashed as words.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/be.h"
#include "base/compiler.h"
#include "base/packet.h"
#include "proto/ip.h"
#include "proto/view.h"

struct flow_key {
	uint8_t src[16], dst[16]; /* IPv4 as v4-mapped IPv6 */
	be16 sport, dport;
	/* port index << 24 | outer VLAN id << 12 | inner; 0xfff where there is no tag */
	uint32_t where;
};

_Static_assert(sizeof(struct flow_key) == 40, "hashed as five words");

/* A tag with VID 0 gives a priority and names no VLAN (802.1Q, 6.9): the same as none. */
SUT_INLINE uint32_t flow_vid(uint16_t tag)
{
	uint32_t vid = tag & 0xfff;

	return vid ? vid : 0xfff;
}

/* flow_key.where of a packet with the tags of v that came in at this port (below 256). */
SUT_INLINE uint32_t flow_key_where(const struct view *v, unsigned port)
{
	/* VLAN_NONE has all of its twelve low bits set: 0xfff is no VLAN's number (802.1Q, 9.6). */
	return (uint32_t)port << 24 | flow_vid(v->vlan[0]) << 12 | flow_vid(v->vlan[1]);
}

/* As flow_key_of for v->ip 6. */
void flow_key_of_ip6(const struct packet *p, const struct view *v, unsigned port,
		     struct flow_key *ret_key);

/*
 * The key of v as it came in at the port with this index.  v->tcp must be true.  Written as
 * whole words: they are read as such at once, and a load must not wait for several smaller
 * stores.
 */
SUT_INLINE void flow_key_of(const struct packet *p, const struct view *v, unsigned port,
			    struct flow_key *ret_key)
{
	const uint32_t mapped = be_swap32(0xffff); /* RFC 4291, 2.5.5.2 */
	uint8_t *at = (uint8_t *)ret_key;
	uint32_t src, dst, ports;

	assert(v->tcp && port < 256);
	if (unlikely(v->ip != 4)) {
		flow_key_of_ip6(p, v, port, ret_key);
		return;
	}
	memcpy(&src, p->head + v->l3 + offsetof(struct ipv4_hdr, src), 4);
	memcpy(&dst, p->head + v->l3 + offsetof(struct ipv4_hdr, dst), 4);
	memcpy(&ports, p->head + v->l4, 4);
	mem_store64(at, 0);
	mem_store64(at + 8, mem_pair(mapped, src));
	mem_store64(at + 16, 0);
	mem_store64(at + 24, mem_pair(mapped, dst));
	mem_store64(at + 32, mem_pair(ports, flow_key_where(v, port)));
}

/*
 * The key under which answers to k come in at the port with this index: ends exchanged, same
 * VLANs; ret_key may be k.
 */
void flow_key_reverse(const struct flow_key *k, unsigned port, struct flow_key *ret_key);

/* The same key?  As five words, without a branch for each. */
SUT_INLINE bool flow_key_equal(const struct flow_key *a, const struct flow_key *b)
{
	const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;

	return ((mem_load64(x) ^ mem_load64(y)) | (mem_load64(x + 8) ^ mem_load64(y + 8)) |
		(mem_load64(x + 16) ^ mem_load64(y + 16)) |
		(mem_load64(x + 24) ^ mem_load64(y + 24)) |
		(mem_load64(x + 32) ^ mem_load64(y + 32))) == 0;
}
#endif
