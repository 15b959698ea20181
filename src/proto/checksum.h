/* SPDX-License-Identifier: MIT */
#ifndef SUT_PROTO_CHECKSUM_H
#define SUT_PROTO_CHECKSUM_H
/*
 * checksum - the Internet checksum: full (RFC 1071), incremental (RFC 1624), and what offloads
 * make of it.
 *
 * The incremental form keeps a wrong checksum wrong by the same amount: corruption is never
 * laundered.  0x0000 and 0xffff are the same value to a receiver; an update whose delta is zero
 * leaves the field alone.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/be.h"
#include "base/compiler.h"
#include "base/packet.h"

struct view;

/* Adds the len bytes at p to a running sum; a piece of odd length must be the last one. */
uint64_t csum_add(uint64_t sum, const void *p, size_t len);

/*
 * Folds a running sum to 16 bits, not inverted.  Each step adds a number to itself with the
 * halves exchanged: the upper half of the result is the sum of both, its carry brought round.
 */
static inline uint16_t csum_fold(uint64_t sum)
{
	uint32_t half;

	sum += sum << 32 | sum >> 32;
	half = (uint32_t)(sum >> 32);
	half += half << 16 | half >> 16;
	return (uint16_t)(half >> 16);
}

/*
 * A change of fields, collected before it is applied once.  Replacing a field old by new adds
 * ~old + new; odd says that the field starts at an odd offset of what is summed.
 */
struct csum_delta {
	uint64_t sum;
};

SUT_INLINE void csum_swap16(struct csum_delta *d, uint16_t old, uint16_t new)
{
	d->sum += (uint64_t)(uint16_t)~old + new;
}

/* As csum_swap16 for 32 bits at an even or odd offset; equal values add nothing that matters. */
SUT_INLINE void csum_swap32(struct csum_delta *d, uint32_t old, uint32_t new, bool odd)
{
	uint64_t s = (uint64_t)(uint32_t)~old + new; /* folded once, by csum_apply */

	d->sum += odd ? s << 8 : s; /* a swap of bytes is a rotation by 8 in one's complement */
}

/*
 * Applies d to the 16-bit checksum field at f, that of TCP, UDP or ICMP.  d changes only what lies
 * outside the pseudo-header (numbers, options, flags, payload); so with off CSUM_PARTIAL the
 * field stays as it is.  A d of zero in one's complement leaves f alone.
 */
SUT_INLINE void csum_apply(uint8_t *f, const struct offload *off, struct csum_delta d)
{
	uint16_t old = load_be16(f), new = (uint16_t)~csum_fold(d.sum + (uint16_t)~old);

	/* Of the two forms of zero the fold makes 0x0000; a d of zero is to leave 0xffff. */
	if (off->csum != CSUM_PARTIAL && likely(new != 0 || old != 0xffff))
		store_be16(f, new);
}

/*
 * The pseudo-header's folded sum, not inverted, for the L4 part (l4_len bytes: header and
 * payload) of v in p.
 */
uint16_t csum_pseudo(const struct packet *p, const struct view *v, uint32_t l4_len);

/* Does the TCP checksum of v in p hold (sums to 0xffff)?  A partial one holds by definition. */
bool csum_tcp_ok(const struct packet *p, const struct view *v);

/* Does the checksum of the ICMP or ICMPv6 message of v hold?  A partial one holds by definition. */
bool csum_icmp_ok(const struct packet *p, const struct view *v);

/* Does the IPv4 header's checksum hold?  True for IPv6. */
bool csum_ip_ok(const struct packet *p, const struct view *v);

/* Writes the full TCP checksum of v in p, and marks p complete. */
void csum_tcp_fill(struct packet *p, const struct view *v);

/* Writes the IPv4 header checksum of v in p; nothing for IPv6. */
void csum_ip_fill(struct packet *p, const struct view *v);

/*
 * Makes the IP header of v say that p is as long as its head, which is a piece of a longer packet; an IPv4 id goes ids further on.  With
 * the header's checksum.
 */
void csum_ip_piece(struct packet *p, const struct view *v, uint32_t ids);

/*
 * Writes the full ICMP or ICMPv6 checksum of v in p (whole message in head), and marks p
 * complete.
 */
void csum_icmp_fill(struct packet *p, const struct view *v);

/*
 * Completes a partial checksum in software, as a device would (for ports without offload).  The
 * field lies at off.csum_start + off.csum_offset.  Returns false, nothing changed, if that is not
 * inside head.
 */
bool csum_finish(struct packet *p);
#endif
