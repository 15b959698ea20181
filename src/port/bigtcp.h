/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_BIGTCP_H
#define SUT_PORT_BIGTCP_H
/*
 * bigtcp - a super-packet that is too long for its IP length field, as several that are not.
 *
 * Linux makes such ones where a device's gso_max_size or gro_max_size is above 65536 (BIG TCP): the length field is 0, and over IPv6
 * a hop-by-hop header with a jumbo option (RFC 2675) may stand in front of TCP.
 *
 * Pure: knows where the bytes of a piece are and what becomes of its headers; memory is the caller's.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"
#include "proto/view.h"

#define BIGTCP_FRAME_MAX \
	528384u /* longest frame: the kernel's limit is 8 * 65535 bytes, and headers */
#define BIGTCP_PIECES_MAX 17u
#define BIGTCP_HEADERS_MAX 256u /* Ethernet, two tags, IPv4 with options, TCP with options: 142 */

/* How a frame is cut. */
struct bigtcp {
	struct view v; /* of the whole */
	uint32_t skip; /* bytes of the hop-by-hop header, which the pieces go without */
	uint32_t headers; /* bytes of headers of each piece */
	uint32_t size; /* payload bytes of each piece but the last, whole segments */
	uint32_t count; /* pieces */
};

/* Could p need it?  Cheap, for every packet. */
static inline bool bigtcp_long(const struct packet *p)
{
	return packet_len(p) > 65535 && p->off.gso_type != GSO_NONE;
}

/*
 * How p (bytes in head and body, headers in head) is to be cut.  False if it is not to be, or cannot be: no TCP super-packet whose
 * length field is 0 and whose checksum is left to a device.
 */
bool bigtcp_plan(const struct packet *p, struct bigtcp *ret_b);

/* Bytes of piece i. */
uint32_t bigtcp_piece_len(const struct bigtcp *b, uint32_t i);

/*
 * Makes piece i (below count) of p in the bigtcp_piece_len() bytes at room: a super-packet of its own, or an ordinary frame if
 * one segment is left.  CWR stays on the first only, FIN and PSH on the last only.
 */
void bigtcp_piece(const struct packet *p, const struct bigtcp *b, uint32_t i, uint8_t *room,
		  struct packet *ret_piece);
#endif
