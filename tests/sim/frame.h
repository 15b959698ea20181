/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_FRAME_H
#define SUT_SIM_FRAME_H
/* frame - writes the simulated peers' TCP segments as frames, checksums complete. */
#include <stdint.h>

#define FRAME_SIZE 2048u /* longest frame that a peer sends */

/* Where one peer's frames come from and go to. */
struct ends {
	uint8_t ip; /* 4 or 6 */
	uint16_t vlan; /* VLAN id; 0: no tag */
	uint8_t src[16], dst[16]; /* IPv4 in the first four bytes */
	uint16_t sport, dport;
	uint8_t mark; /* lowest bits of the Ethernet source: whose frame it is */
};

struct frame_tcp {
	uint32_t seq, ack;
	uint16_t window;
	uint8_t flags;
	uint8_t opt_len; /* a multiple of 4 */
	uint8_t opt[40];
	uint32_t len; /* payload */
	uint8_t payload[1500];
};

/* Writes the frame (FRAME_SIZE bytes of room) and returns its length. */
uint32_t frame_build(const struct ends *e, const struct frame_tcp *t, uint16_t ip_id,
		     uint8_t *ret_frame);
#endif
