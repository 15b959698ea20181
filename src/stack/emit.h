/* SPDX-License-Identifier: MIT */
#ifndef SUT_STACK_EMIT_H
#define SUT_STACK_EMIT_H
/*
 * emit - packets that go out: emit.c their headers and checksums, output_seg.c what stands in those of a connection.
 * output_emit (parts.h) is what others call.
 *
 * Owns:     stack.emit_head, emit_slice and emit_slices.
 */
#include "stack/parts.h"

struct emit_ip {
	uint8_t proto, ttl, tos; /* tos with its ECN bits */
	uint32_t l4_len;
};

struct emit_lane {
	uint8_t ttl, tos;
};

/* Writes the IP header from q's local end to its remote end: its length.  c may be NULL. */
uint32_t emit_ip(struct stack *s, struct conn *c, const struct conn_quad *q,
		 const struct emit_ip *ip, uint8_t *ret_at);
/* The pseudo-header's running sum (RFC 9293, 3.1; RFC 8200, 8.1). */
uint64_t emit_pseudo(const struct conn_quad *q, uint8_t proto, uint32_t l4_len);
/* Adds slices, of any lengths, to a running sum. */
uint64_t emit_sum_slices(uint64_t sum, const struct stack_slice *slice, unsigned n);
/* Hands a packet to the device. */
int emit_raw(struct stack *s, const struct stack_out *out);
/* Finds len bytes of the send queue from pos on for the packet that comes next: how many there are (fewer if they lie in many pieces). */
uint32_t emit_gather(struct stack *s, struct conn *c, uint32_t pos, uint32_t len);
/* Sends a segment with what was gathered last: o->len bytes of payload. */
int emit_gathered(struct stack *s, struct conn *c, const struct conn_quad *q,
		  const struct emit_lane *lane, const struct output_seg *o);
/* Fills in what all segments of a synchronized connection have, and sends it with the payload that was gathered. */
int emit_segment(struct stack *s, struct conn *c, struct output_seg *o, bool sack);
/* Our SYN, if it was not sent yet; again where CF_ACK_NOW asks for it. */
void emit_handshake(struct stack *s, struct conn *c);

static inline bool in_handshake(const struct conn *c)
{
	return c->state == ST_SYN_SENT || c->state == ST_SYN_RECEIVED;
}
#endif
