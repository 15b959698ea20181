/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_REWRITE_H
#define SUT_CORE_REWRITE_H
/*
 * rewrite - changes the numbers of a segment in place, checksum included; the only code that
 * writes TCP fields of a passing packet.
 *
 * All changes are incremental (proto/checksum.h): a partial checksum stays as it is, a wrong one
 * stays wrong. v is kept true to the bytes (seq, ack, window, flags).  A GSO super-packet is one
 * packet and stays one.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"
#include "core/seam.h"
#include "proto/view.h"

/*
 * Adds a to seq, ack, SACK edges, TSval and TSecr.  ack, SACK and TSecr only where the ACK flag is
 * set (TSecr of a segment without ACK means nothing, RFC 7323, 3.2).  A RST|ACK with seq 0 keeps
 * its seq: see seam_keeps_seq().  The options must have been found well-formed by view_options(); o
 * is its result.
 */
void rewrite_shift(struct packet *p, struct view *v, const struct tcp_options *o,
		   struct seam_add a);

/*
 * The hot path of rewrite_shift: add_ts goes to TSval if ts_is_val, else to TSecr, and options are
 * read here.  Returns R_NONE, or R_TCP_OPT: nothing was changed.
 */
enum reason rewrite_fast(struct packet *p, struct view *v, uint32_t add_seq, uint32_t add_ack,
			 uint32_t add_ts, bool ts_is_val);

/* Sets one field. */
void rewrite_seq(struct packet *p, struct view *v, uint32_t seq);
void rewrite_ack(struct packet *p, struct view *v, uint32_t ack);
void rewrite_window(struct packet *p, struct view *v, uint16_t window);
/* Leaves nothing but SYN of the flags and the reserved bits beside the data offset: no ECN (RFC 3168), no AccECN. */
void rewrite_syn_flags(struct packet *p, struct view *v);
void rewrite_flags(struct packet *p, struct view *v, uint8_t flags);

/* Sets both timestamps; nothing where o says that there are none. */
void rewrite_ts(struct packet *p, const struct view *v, const struct tcp_options *o, uint32_t tsval,
		uint32_t tsecr);

/* Overwrites the n bytes at off (from the start of the TCP header; even or odd) by NOPs. */
void rewrite_nop(struct packet *p, const struct view *v, uint8_t off, uint8_t n);

/* Overwrites the SACK option, if there is one, by NOPs, and takes it out of o. */
void rewrite_sack_strip(struct packet *p, const struct view *v, struct tcp_options *o);

/*
 * Takes out the SACK blocks that have an edge beyond limit (numbers as now in the packet): the
 * others move up in their order, NOPs fill the end, and o follows.
 */
void rewrite_sack_clamp(struct packet *p, const struct view *v, struct tcp_options *o,
			uint32_t limit);

enum rewrite_end { REWRITE_SRC, REWRITE_DST };

/*
 * Sets the address (16 bytes, of the packet's family) and port (network order) of one end, in IP and in TCP: the sum of an IPv4 header
 * follows, and the TCP checksum, of which a partial one holds the addresses but not the ports.  False: another family; nothing changed.
 */
bool rewrite_addr(struct packet *p, const struct view *v, enum rewrite_end end,
		  const uint8_t ip[16], uint16_t port);
#endif
