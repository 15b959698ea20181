/* SPDX-License-Identifier: MIT */
#ifndef SUT_STACK_RECOVERY_H
#define SUT_STACK_RECOVERY_H
/*
 * recovery - what the files of loss recovery do for each other.  parts.h says what the rest of the stack calls.
 *
 * Owns:     recovery_list.c the records, recovery_sack.c the peer's SACK blocks, recovery_rack.c what is lost (RACK-TLP),
 *           recovery_cwnd.c the window during recovery and undoing it, recovery.c the order of it all at an ACK.
 */
#include "stack/parts.h"

/* What one ACK tells. */
struct delivery {
	uint32_t ack; /* snd_una as it will be */
	uint32_t acked; /* bytes that it moves by */
	uint32_t bytes; /* acknowledged or SACKed for the first time */
	uint32_t fack; /* highest sequence number that was (S)ACKed before it */
	uint32_t pipe; /* before it */
	uint32_t tsecr; /* valid if has_ts */
	bool has_ts;
	bool sacked; /* something was SACKed for the first time */
	bool original; /* of what was sent again the first copy has arrived: its timestamp is older than the second */
	bool resent; /* it acknowledges what was sent more than once, SACKed before or not */
	bool syn; /* it acknowledges our SYN */
	bool syn_resent; /* which had been sent more than once */
	bool syn_part; /* but not all the data that was in it */
	bool fresh; /* oldest_at is valid: something was not SACKed before */
	bool dsack;
	uint32_t dsack_left, dsack_right;
	sut_time oldest_at; /* when the oldest of that was sent */
	uint32_t rtt; /* of the youngest segment that it tells of, us; 0: not known */
};

static inline uint32_t sent_end(const struct sent *x)
{
	return x->seq + x->len;
}

/* --- recovery_list.c */

/* Cuts record i: its first len bytes stay in it, the rest is a record behind it.  false: there is none left. */
bool list_split(struct stack *s, struct conn *c, uint32_t i, uint32_t len);
/* Takes what ack covers off the list. */
void list_acked(struct stack *s, struct conn *c, struct delivery *d);
/* Record i (not SACKed before) has arrived. */
void list_sacked(struct stack *s, struct conn *c, uint32_t i, struct delivery *d);
/* Record i (neither SACKed nor lost) is lost. */
void list_lost(struct stack *s, struct conn *c, uint32_t i);
/* Record i goes out again. */
void list_resent(struct stack *s, struct conn *c, uint32_t i);
/* All that is not SACKed is lost; forget: and what was SACKed too, since the peer has thrown it away (RFC 2018, 8). */
void list_all_lost(struct stack *s, struct conn *c, bool forget);
/* What is lost and was not sent again is in flight after all. */
void list_none_lost(struct stack *s, struct conn *c);
/* Frees all records. */
void list_clear(struct stack *s, struct conn *c);

/* --- recovery_sack.c */

/* Marks what the SACK blocks of g say; finds a D-SACK. */
void sack_read(struct stack *s, struct conn *c, const struct seg *g, struct delivery *d);

/* --- recovery_rack.c */

/* Record x has arrived: RACK's clock, and whether the path reorders (RFC 8985, 6.2, steps 2 and 3). */
void rack_delivered(struct stack *s, struct conn *c, const struct sent *x, struct delivery *d);
/* Widens the reordering window after a D-SACK (step 4). */
void rack_dsack(struct conn *c, const struct delivery *d);
/* Marks what is lost, arms T_REORDER for what may be (step 5).  Was anything? */
bool rack_detect(struct stack *s, struct conn *c);
/* An ACK came while a tail loss probe was out (7.4): true if it repaired a loss. */
bool tlp_ack(struct conn *c, const struct delivery *d, bool duplicate);
/* Arms T_PROBE, or disarms it (7.2). */
void tlp_schedule(struct stack *s, struct conn *c);

/* --- recovery_cwnd.c */

/* Bytes in the network, by what is known. */
uint32_t recovery_pipe(const struct conn *c);
/* A loss was found: fast recovery begins (or goes on, if it is under way). */
void recovery_enter(struct stack *s, struct conn *c, const struct delivery *d);
/* snd_una has passed the point. */
void recovery_exit(struct conn *c);
/* cwnd for the ACK in hand (PRR). */
void recovery_prr(struct conn *c, const struct delivery *d);
/* Was the retransmission needless?  Then cwnd is as before, and nothing is lost. */
void recovery_undo(struct stack *s, struct conn *c, const struct delivery *d);
/* A window's reduction for ECN (RFC 3168, 6.1.2). */
void recovery_ecn(struct stack *s, struct conn *c, const struct delivery *d);
#endif
