/* SPDX-License-Identifier: MIT */
#ifndef BENCH_REPLICA_FRAME_H
#define BENCH_REPLICA_FRAME_H
/*
 * replica_frame - TCP/IPv4 frames of one client and one server, as they travel on a socket chardev: a length, then the frame.
 *
 * Owns nothing.  Knows no flow: numbers are the caller's.
 */
#include <stddef.h>
#include <stdint.h>

enum {
	RFRAME_PREFIX = 4, /* the length in front, big-endian */
	RFRAME_L3 = 14, /* from here on offsets in the frame itself */
	RFRAME_L4 = 34,
	RFRAME_OPTIONS = 54,
	RFRAME_MAX = 1600, /* with its prefix */
};

struct rframe {
	uint8_t client; /* 192.0.2.client; the server is 198.51.100.1, port 80 */
	uint16_t port; /* the client's */
	uint8_t from_server;
	uint8_t flags; /* TCP_* */
	uint32_t seq, ack;
	uint16_t window;
	const uint8_t *options;
	uint8_t options_len; /* a multiple of 4, at most 40 */
	uint32_t payload_len;
};

/* Writes prefix and frame, checksums in full; payload bytes are a pattern.  Returns their length, at most RFRAME_MAX. */
size_t rframe_build(const struct rframe *f, uint8_t *ret_bytes);

/* Writes "NOP NOP TS" (12 bytes). */
void rframe_timestamps(uint8_t ret_opt[12], uint32_t tsval, uint32_t tsecr);
#endif
