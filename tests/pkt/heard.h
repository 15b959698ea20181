/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_HEARD_H
#define SUT_PKT_HEARD_H
/*
 * heard - a frame that came out, taken apart. Shares no parser and no checksum with what is
 * under test.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

/* What a frame was found to be. */
struct heard {
	const uint8_t *eth;
	uint8_t vlans, exts, ip, proto, ttl, tos; /* ip: 4, 6 or 0 */
	uint8_t ext[4];
	uint16_t vlan[2];
	bool ipopt, frag, df, ip_csum_ok;
	uint8_t src[16], dst[16];
	const uint8_t *l4;
	size_t l4_off, l4_len;
	uint16_t pseudo; /* folded sum of the pseudo-header */
	uint16_t sum; /* folded sum over everything, 0xffff if right */
};

/*
 * Reads the n bytes at b, options and payload not included. False with a fault if they are
 * damaged.
 */
bool heard_read(const uint8_t *b, size_t n, struct heard *ret_h, struct fault *f);
#endif
