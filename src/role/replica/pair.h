/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_PAIR_H
#define SUT_ROLE_REPLICA_PAIR_H
/*
 * pair - one connection as the rewriter knows it: the primary's half and the secondary's, and
 * its life in the table.
 *
 * Owns:     the role's layout, the cold state of each flow, its timer, its place among the
 *           evictable, the waiting and the ready; where frames go.
 * Does not: read packets: half.h and guest.h learn the numbers, known.h translates.
 *
 * The client, or whoever stands outside, is NEAR; the secondary is FAR; near numbers are the
 * primary's.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/wheel.h"
#include "core/env.h"
#include "core/flow.h"
#include "core/make.h"
#include "core/seam.h"
#include "core/track.h"
#include "role/replica/ahead.h"
#include "role/replica/chain.h"
#include "role/replica/held.h"
#include "role/replica/rewrite_role.h"

/* clang-format off */
#define PAIR_PHASES(X) \
	X(HALF,     "a SYN was seen; the shift is not known yet") \
	X(KNOWN,    "the shift is known: everything is translated") \
	X(GIVEN_UP, "the shift cannot be known: what is held passes as it came, then it ends")

enum pair_phase {
#define X(id, text) PAIR_##id,
	PAIR_PHASES(X)
#undef X
	PAIR_PHASE_COUNT
};

/* Has the client timestamps? */
enum pair_stamps { STAMPS_UNKNOWN, STAMPS_NONE, STAMPS_SEEN };
/* clang-format on */

/*
 * An acknowledgement of what the secondary has not sent yet, as the client's last segment had
 * it; near numbers.  Where any is false the rest is as of the segment that told the shift.
 */
struct withheld {
	bool any, has_ts;
	uint16_t window;
	sut_seq ack;
	uint32_t tsval, tsecr;
};

/* What a SYN or SYN-ACK offers. */
struct offer {
	bool known, scaled, sack, ts;
	uint8_t scale;
};

/* A place in a chain of flows. */
struct pair {
	struct track track;
	struct seam seam;
	uint32_t epoch; /* of the commands that were applied: rewrite.epoch or older */
	uint8_t phase; /* enum pair_phase */
	uint8_t why; /* enum reason; GIVEN_UP */
	uint8_t stamps; /* enum pair_stamps */
	bool near_isn_known; /* near_isn, the primary's ISN: told by the client, or by the primary; */
	bool near_isn_sure; /* ... by the primary */
	bool near_has_ts; /* near_tsval, that belongs to far_tsval */
	bool far_isn_known; /* the secondary's SYN was seen: far_isn; */
	bool far_has_ts; /* it had timestamps: far_tsval, that of the first one */
	bool ts_known; /* seam.ts[FAR] is learnt */
	bool far_talks; /* it left its handshake: has sent data, or acknowledged some */
	bool doomed; /* HALF: the timer is the one that gives up */
	bool pending; /* a SYN with another ISN came: pending_isn; the secondary's answer decides */
	bool copied; /* a checkpoint ended HALF: a SYN of the secondary may still begin it anew */
	bool compared; /* what the servers offer was compared */
	bool floor_known; /* floor, the primary's highest TSval as seen at primary-out */
	bool primary_end_known; /* primary_end, the end of what it has sent, seen there */
	bool lifted; /* after the failover: a TSval has gone out */
	bool restored; /* from a record, and no packet was seen since: FLOW_SEEN says so of the hot path */
	sut_seq pending_isn;
	sut_seq near_isn;
	uint32_t near_tsval;
	uint32_t early; /* payload bytes of the opener's SYN (TCP Fast Open) */
	sut_farseq far_isn; /* half of what is to be learnt: the one far number that is kept */
	uint32_t far_tsval;
	uint32_t far_tsval_last; /* of its last SYN */
	uint32_t floor;
	sut_seq primary_end;
	uint32_t lift_by,
		lift_at; /* see stamp.h; lift_by 0: nothing older than lift_at is echoed */
	struct offer client, primary, secondary;
	sut_time since; /* when the flow was opened, or its shift learnt */
	struct chain_links evict, ready, waiting;
	struct held_queue held;
	struct withheld withheld;
	struct lane lane; /* of the client's packets; valid in KNOWN if eth_len is not 0 */
};

struct rewrite {
	struct replica_rewrite_config cfg;
	const struct role_env *env;
	struct flows *flows;
	struct pair *pairs; /* by flow */
	struct wheel *wheel; /* by flow */
	struct held *held;
	struct ahead *ahead;
	struct chain evictable; /* half-open and closed ones, the longest so first */
	struct chain waiting; /* those in HALF that hold frames, the longest so first */
	struct chain ready; /* those that found no room in the outbox */
	uint32_t joined; /* a bit per port */
	uint32_t half_open; /* flows in HALF */

	/* Commands: see command.h. */
	bool failed_over;
	bool renewing; /* a checkpoint was not applied to all of waiting yet */
	uint32_t epoch; /* commands so far */
	uint32_t checkpoint_epoch; /* that the last checkpoint began */
	uint32_t fast; /* FLOW_FAST and the epoch, as in the flags of records that are up to date */
};

/* One call into the role. */
struct turn {
	struct rewrite *r;
	struct outbox *out;
	sut_time now;
	unsigned port; /* where the burst came in */
	unsigned to; /* where what came in there goes to */
};

/* Above FLOW_SEEN in the flags of a record: the epoch's low bits. */
#define PAIR_EPOCH_SHIFT 3u
#define PAIR_EPOCH_MASK (UINT32_MAX << PAIR_EPOCH_SHIFT)

_Static_assert(FLOW_SEEN < 1u << PAIR_EPOCH_SHIFT, "no flag is in the epoch's place");

/*
 * The client's own stream is never shifted.  So the place of that addition is free in its record:
 * there the hot path keeps the highest TSecr that the client has sent (where stamps are SEEN).
 */
static inline uint32_t *pair_echo(struct flow_rec *near)
{
	return &near->add_seq;
}

static inline struct pair *pair_of(const struct turn *t, uint32_t f)
{
	return &t->r->pairs[f];
}

static inline struct flow_rec *pair_rec(const struct turn *t, uint32_t f, enum sut_side sender)
{
	return flows_rec(t->r->flows, flow_rec_of(f, sender));
}

/* Whose packets come in at this port, primary-out's among the server's. */
static inline enum sut_side pair_side(unsigned port)
{
	return port == REPLICA_PRIMARY || port == REPLICA_NETWORK ? NEAR : FAR;
}

static inline bool pair_joined(const struct rewrite *r, unsigned port)
{
	return r->joined >> port & 1;
}

/* Was this flow opened from the server's side? */
static inline bool pair_by_guest(const struct pair *c)
{
	return c->track.opener == FAR;
}

/* Where that goes which came in at port. */
unsigned pair_route(const struct rewrite *r, unsigned port);

/*
 * Enters a flow: R_NONE and the flow, phase HALF; or R_FLOWS_FULL, R_BUCKETS_FULL, R_STATE:
 * nothing is entered.  syn is the client's SYN (near numbers; early payload bytes), NULL for a
 * connection that the guest opens.  A full table gives up the flow that was half-open or closed
 * for longest.
 */
enum reason pair_open(struct turn *t, const struct flow_key *near, const struct segment *syn,
		      uint32_t *ret_flow);

/*
 * Enters a flow under this key, nobody evicted: 0, or as flows_insert().  pair_resume() must
 * follow.
 */
int pair_adopt(struct turn *t, const struct flow_key *near, uint32_t *ret_flow);

/* Completes an adopted flow, its records' edges set: its state is c. */
void pair_resume(struct turn *t, uint32_t f, const struct pair *c);

/* Starts flow f anew, syn as in pair_open(): the ports are used again.  Held frames stay. */
void pair_reopen(struct turn *t, uint32_t f, const struct segment *syn);

/* Takes flow f out; what it holds is dropped.  as is the event to count. */
void pair_end(struct turn *t, uint32_t f, enum event as, const char *why);

/*
 * What the server has sent before all else: its SYN, an answer or not, with isn in near numbers.  Into
 * the tracker and the edges alone.
 */
void pair_far_began(struct pair *c, struct flow_rec *near, struct flow_rec *far, sut_seq isn);

/* Enters phase KNOWN: the shift of the seam is learnt. */
void pair_known(struct turn *t, uint32_t f);

/* Nothing can be known of f any more, for this reason: what it holds is to go out. */
void pair_give_up(struct turn *t, uint32_t f, enum reason why);

/* The phase, state or epoch of f was changed from outside (command.h): follows it with all that depends on them. */
void pair_renewed(struct turn *t, uint32_t f, const char *why);

/* Feeds s (near numbers) to the tracker, and follows it with all that depends on the state. */
enum track_verdict pair_track(struct turn *t, uint32_t f, const struct segment *s, const char *why);

/* Brings what is derived from the pair up to date: the records' additions and flags. */
void pair_refresh(struct turn *t, uint32_t f);

/*
 * Puts f among those that expire() serves as soon as the outbox is empty again, or takes it
 * off.
 */
void pair_set_ready(struct turn *t, uint32_t f, bool on);

/* Puts f among those in HALF that hold something, or takes it off. */
void pair_set_waiting(struct turn *t, uint32_t f, bool on);

/* (Re-)arms the timer of phase HALF. */
void pair_half_timer(struct turn *t, uint32_t f);

/*
 * Has the timer that fired only to be armed again, because packets came meanwhile?  Then that
 * was done.
 */
bool pair_still_used(struct turn *t, uint32_t f);

/* Is the connection over (TIME-WAIT, or reset)? */
bool pair_is_closed(const struct pair *c);

/* Was the secondary, or somebody in its name, seen to send something?  Its end is valid then. */
static inline bool pair_far_seen(const struct pair *c)
{
	return c->track.edges_known & (1u << FAR);
}

/* Reads what a SYN offers. */
struct offer pair_offer(const struct tcp_options *o);

/*
 * The primary's or the secondary's offer has become known: the window scales of both halves follow
 * from them once all are there.  Servers that differ in what cannot be translated are counted.
 */
void pair_compare(struct turn *t, uint32_t f);
#endif
