/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_PAIR_H
#define SUT_ROLE_REPLICA_PAIR_H
/*
 * pair - one connection as the rewriter knows it: the primary's half and the secondary's, and
 * its life in the table.
 *
 * Owns:     the role's layout, the cold state of each flow, its timer, its place among the
 *           evictable and the ready.
 * Does not: read packets: half.h learns the numbers, known.h translates.
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
#include "role/replica/held.h"
#include "role/replica/rewrite_role.h"

/* clang-format off */
#define PAIR_PHASES(X) \
	X(HALF,     "the client's SYN was seen; the shift is not known yet") \
	X(KNOWN,    "the shift is known: everything is translated") \
	X(GIVEN_UP, "the shift cannot be known: what is held passes as it came, then it ends")

enum pair_phase {
#define X(id, text) PAIR_##id,
	PAIR_PHASES(X)
#undef X
	PAIR_PHASE_COUNT
};
/* clang-format on */

/*
 * An acknowledgement of what the secondary has not sent yet, as the client's last segment had
 * it; near numbers.
 */
struct withheld {
	bool any, has_ts;
	uint16_t window;
	sut_seq ack;
	uint32_t tsval, tsecr;
};

/* A place in a chain of flows. */
struct links {
	uint32_t prev, next;
	bool in;
};

struct pair {
	struct track track;
	struct seam seam;
	uint8_t phase; /* enum pair_phase */
	uint8_t why; /* enum reason; GIVEN_UP */
	bool far_isn_known; /* the secondary's SYN was seen: far_isn; */
	bool far_has_ts; /* it had timestamps: far_tsval, that of the first one */
	bool ts_known; /* seam.ts[FAR] is learnt */
	bool far_talks; /* it left its handshake: has sent data, or acknowledged some */
	bool teacher_held; /* among the held is the segment that tells the primary's ISN */
	bool doomed; /* HALF: the timer is the one that gives up */
	bool pending; /* a SYN with another ISN came: pending_isn; the secondary's answer decides */
	sut_seq pending_isn;
	uint32_t early; /* payload bytes of the client's SYN (TCP Fast Open) */
	sut_farseq far_isn; /* half of what is to be learnt: the one far number that is kept */
	uint32_t far_tsval;
	uint32_t far_tsval_last; /* of its last SYN */
	sut_time since; /* when the flow was opened, or its shift learnt */
	struct links evict, ready;
	struct held_queue held;
	struct withheld withheld;
	struct lane lane; /* of the client's packets; valid where withheld.any */
};

struct chain {
	uint32_t first, last; /* flows; FLOW_NONE where empty */
};

struct rewrite {
	struct replica_rewrite_config cfg;
	const struct role_env *env;
	struct flows *flows;
	struct pair *pairs; /* by flow */
	struct wheel *wheel; /* by flow */
	struct held *held;
	struct chain evictable; /* half-open and closed ones, the longest so first */
	struct chain ready; /* those that found no room in the outbox */
};

/* One call into the role. */
struct turn {
	struct rewrite *r;
	struct outbox *out;
	sut_time now;
};

static inline struct pair *pair_of(const struct turn *t, uint32_t f)
{
	return &t->r->pairs[f];
}

static inline struct flow_rec *pair_rec(const struct turn *t, uint32_t f, enum sut_side sender)
{
	return flows_rec(t->r->flows, flow_rec_of(f, sender));
}

/*
 * Enters a flow at the client's SYN (near numbers; early payload bytes): R_NONE and the flow,
 * phase HALF; or R_FLOWS_FULL, R_BUCKETS_FULL, R_STATE: nothing is entered.  A full table gives
 * up the flow that was half-open or closed for longest.
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

/* Starts flow f anew at this SYN: the ports are used again.  Held frames stay. */
void pair_reopen(struct turn *t, uint32_t f, const struct segment *syn);

/* Takes flow f out; what it holds is dropped.  as is the event to count. */
void pair_end(struct turn *t, uint32_t f, enum event as, const char *why);

/* Enters phase KNOWN: the shift of the seam is learnt. */
void pair_known(struct turn *t, uint32_t f);

/* Feeds s (near numbers) to the tracker, and follows it with all that depends on the state. */
enum track_verdict pair_track(struct turn *t, uint32_t f, const struct segment *s, const char *why);

/* Brings what is derived from the pair up to date: the records' additions, FLOW_FAST. */
void pair_refresh(struct turn *t, uint32_t f);

/*
 * Puts f among those that expire() serves as soon as the outbox is empty again, or takes it
 * off.
 */
void pair_set_ready(struct turn *t, uint32_t f, bool on);

/* (Re-)arms the timer of phase HALF. */
void pair_half_timer(struct turn *t, uint32_t f);

/*
 * Has the timer that fired only to be armed again, because packets came meanwhile?  Then that
 * was done.
 */
bool pair_still_used(struct turn *t, uint32_t f);

/* Is the connection over (TIME-WAIT, or reset)? */
bool pair_is_closed(const struct pair *c);
#endif
