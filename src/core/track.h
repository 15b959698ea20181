/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_TRACK_H
#define SUT_CORE_TRACK_H
/*
 * track - the state of a connection as someone in the middle sees it, from a table
 * [side][event][state].
 *
 * Owns:     the state of one flow, who opened it, its FINs.  The edges (highest end and ack) lie
 *           in the two flow records, where the hot path keeps them up to date.
 * Does not: translate, time, or drop: it says what a segment means, its user decides.
 *
 * Works with one direction visible, and with flows that were picked up in mid-stream (they begin
 * as ESTABLISHED).  Where one half is invisible its FIN is too: such a flow never reaches CLOSING,
 * and ends by idle time.  All numbers are near numbers.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/seq.h"
#include "core/segment.h"

/* clang-format off */
#define TRACK_STATES(X) \
	X(CLOSED,       "no connection, or one that a reset ended") \
	X(SYN_SENT,     "the opener's SYN was seen") \
	X(SYN_RECEIVED, "the other's SYN-ACK (or its crossing SYN) was seen") \
	X(ESTABLISHED,  "the handshake's ACK, or data, was seen; or the flow was picked up in mid-stream") \
	X(FIN_OPENER,   "the opener's FIN was seen, the other's was not") \
	X(FIN_OTHER,    "the other's FIN was seen, the opener's was not") \
	X(CLOSING,      "both FINs were seen, not yet both acknowledged") \
	X(TIME_WAIT,    "both FINs were acknowledged")

enum track_state {
#define X(id, text) TRACK_##id,
	TRACK_STATES(X)
#undef X
	TRACK_STATE_COUNT
};
/* clang-format on */

enum track_event {
	TE_SYN,
	TE_SYNACK,
	TE_ACK,
	TE_FIN,
	TE_RST,
	TE_COUNT,
	TE_NONE = TE_COUNT /* flags that mean nothing together */
};

/* What a segment was found to be. */
enum track_verdict {
	TV_OK, /* part of the connection; state and edges follow it */
	TV_OLD, /* a duplicate or a stray: nothing changed (late SYN, RST with another seq) */
	/* a SYN that begins a new connection on closing or closed ports: nothing changed */
	TV_REOPEN,
	TV_INVALID, /* impossible in this state: nothing changed */
};

struct track {
	uint8_t state; /* enum track_state */
	uint8_t opener; /* enum sut_side; a guess (the first sender) if picked up in mid-stream */
	uint8_t fin_seen; /* bit per side */
	uint8_t fin_acked; /* bit per side whose FIN the other has acknowledged */
	/* bit per side: its end and acked are valid (bit side), (bit side + 2) */
	uint8_t edges_known;
	uint8_t isn_known; /* bit per side: its SYN was seen */
	sut_seq isn[SUT_SIDES]; /* near numbers; valid where isn_known */
	sut_seq fin[SUT_SIDES]; /* number just behind the FIN; valid where fin_seen */
};

/* The two records' edges, by sender. */
struct track_edges {
	sut_seq *end, *acked;
};

/*
 * Starts a flow at a SYN (state SYN_SENT), or at a SYN-ACK whose SYN was not visible
 * (SYN_RECEIVED, opened by the other side).  Whatever t and e held before is forgotten: also the
 * answer to TV_REOPEN.
 */
void track_open(struct track *t, const struct segment *syn, const struct track_edges e[SUT_SIDES]);

/*
 * Starts a flow in mid-stream: ESTABLISHED, or FIN_OPENER at a FIN; a SYN or SYN-ACK does as
 * track_open, a RST gives CLOSED.
 */
void track_pick_up(struct track *t, const struct segment *s, const struct track_edges e[SUT_SIDES]);

/*
 * Takes the next segment in.  Late SYNs never move an established flow.  Numbers 2^30 or more away
 * from what was seen are TV_INVALID and move nothing.
 *
 * A RST ends a flow only if its seq is exactly what the other side acknowledged last (RFC 5961,
 * 3.2), or the end of all that its sender has sent (the other may have taken that in, its ACK
 * delayed).  Where the other side is not visible: from that end to 64 KB right of it.
 */
enum track_verdict track_segment(struct track *t, const struct segment *s,
				 const struct track_edges e[SUT_SIDES]);

/* What flags mean: TE_NONE where no TCP sends them together, and for a FIN or data without ACK (RFC 9293, 3.10.7.4). */
enum track_event track_event_of(uint8_t flags);

/* "SYN_SENT", and what it means; never NULL. */
const char *track_state_name(enum track_state s);
const char *track_state_text(enum track_state s);
#endif
