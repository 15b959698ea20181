/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_SIGHT_H
#define SUT_APP_SIGHT_H
/*
 * sight - one TCP segment, or an ICMP error about one, as it was seen in a capture: a small copy that outlives the frame.
 *
 * Owns nothing.  Numbers are as on the wire.  A frame that was captured only in part is read as far as its headers are there.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"
#include "core/quad.h"
#include "port/capture.h"
#include "proto/icmp.h"

#define SIGHT_SACK_MAX 4

/* clang-format off */
/* What a frame turned out to be. */
enum sight_kind {
	SIGHT_TCP,
	SIGHT_ICMP,		/* an error that quotes a TCP segment; seq is the quoted one */
	SIGHT_NOT_TCP,
	SIGHT_FRAGMENT,		/* a part of an IP packet of TCP */
	SIGHT_MALFORMED,	/* or cut too short to be read */
	SIGHT_KINDS
};

enum sight_mark {
	SIGHT_CUT = 1,		/* only a part of the payload was captured */
	SIGHT_BAD_CSUM = 2,	/* whole, and neither right nor left to a device */
	SIGHT_HASHED = 4,	/* hash is valid */
	SIGHT_BAD_OPTIONS = 8,
	SIGHT_CUT_OPTIONS = 16, /* only some of the options were captured; those are there */
};
/* clang-format on */

struct sight {
	sut_time at; /* nanoseconds since 1970, by the first capture's clock */
	uint64_t frame; /* its number in its capture, from 1 */
	uint64_t order; /* its place among the frames of both captures */
	uint64_t hash; /* of the payload: sight_join() puts pieces together */
	uint32_t seq, ack;
	uint32_t len; /* payload bytes */
	uint32_t tsval, tsecr;
	uint32_t sack[SIGHT_SACK_MAX][2];
	uint32_t mtu; /* ICMP_TOO_BIG */
	uint16_t present; /* OPT_* */
	uint16_t window, mss, ipid;
	uint8_t flags; /* TCP */
	uint8_t wscale, sack_count;
	uint8_t icmp; /* enum icmp_kind; ICMP_OTHER: this is a segment */
	uint8_t marks; /* enum sight_mark */
};

/*
 * Reads f.  ret_key (SIGHT_TCP, SIGHT_ICMP) is that of the segment, or of the quoted segment, in the direction that it went;
 * port 0.  Payload is hashed where wanted.
 */
enum sight_kind sight_read(const struct capture_frame *f, bool hashed, struct sight *ret_s,
			   struct flow_key *ret_key);

/* Sequence space: payload, SYN and FIN. */
static inline uint32_t sight_space(const struct sight *s)
{
	return s->len + !!(s->flags & TCP_SYN) + !!(s->flags & TCP_FIN);
}

/* The number of the first payload byte. */
static inline uint32_t sight_data(const struct sight *s)
{
	return s->seq + !!(s->flags & TCP_SYN);
}

/* The hash of what has hash a, followed by len bytes with hash b. */
uint64_t sight_join(uint64_t a, uint64_t b, uint32_t len);
#endif
