/* SPDX-License-Identifier: MIT */
#ifndef SUT_BASE_PACKET_H
#define SUT_BASE_PACKET_H
/*
 * packet - one Ethernet frame as it travels through suture: bytes and offload state, never copied on the way.
 *
 * Bytes:   all headers lie in head; payload is the rest of head followed by body.  A frame that came from a
 *          port lies wholly in head (body_len is 0).  VLAN tags are always in the bytes, never beside them.
 * Owner:   the port that delivered it, until the outbox is flushed; a role keeps bytes by copying them.
 * Offload: what the sender's stack left for a device to do.  It goes out as it came in, unless a role changes
 *          the fields that it describes.
 */
#include <stdint.h>

/* Writable bytes in front of head: in packets from devices and made ones (for tags), and in every packet (for a length). */
#define PACKET_HEADROOM 64u
#define PACKET_ROOM 4u
#define PACKET_MAX 69632u /* longest frame: a 64 KB super-packet with its headers and tags */

enum csum_state {
	CSUM_UNKNOWN, /* nothing is known: treated as complete, corruption stays visible */
	CSUM_COMPLETE, /* the checksum field holds what the wire is to carry */
	/* the field holds the folded, not inverted pseudo-header sum; a device finishes it */
	CSUM_PARTIAL,
};

/*
 * gso_type is the virtio-net header's, verbatim, known to us or not (GSO_ECN is a flag bit).  csum_start and
 * csum_offset count from the frame's first byte and from csum_start; they mean something for CSUM_PARTIAL only.
 */
/* offload.vnet_len: the stream that it came on said that it has no such header. */
#define VNET_NONE 0xffu

enum { GSO_NONE = 0, GSO_TCP4 = 1, GSO_UDP = 3, GSO_TCP6 = 4, GSO_UDP_L4 = 5, GSO_ECN = 0x80 };

struct offload {
	uint8_t csum; /* enum csum_state */
	uint8_t gso_type; /* GSO_NONE: an ordinary frame */
	uint16_t gso_size; /* payload bytes per segment of a super-packet (TCP: its MSS) */
	uint16_t hdr_len; /* the sender's hint of the headers' length; 0 if none */
	uint16_t csum_start;
	uint16_t csum_offset;
	uint8_t vnet_len; /* bytes of virtio-net header that it came with on a stream; 0: not told */
};

struct packet {
	uint8_t *head;
	const uint8_t *body;
	uint32_t head_len, body_len; /* bytes */
	struct offload off;
};

/* The frame's whole length in bytes, Ethernet header included, FCS never. */
static inline uint32_t packet_len(const struct packet *p)
{
	return p->head_len + p->body_len;
}
#endif
