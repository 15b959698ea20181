/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_REPLICA_COMPARE_FLOW_H
#define SUT_ROLE_REPLICA_COMPARE_FLOW_H
/*
 * compare_flow - one flow as the two servers send it: what waits of each, what both have produced, and its life in the table.
 *
 * Owns:     the role's layout, the cold state of each flow, the waiting frames, the chains, the asking for checkpoints.
 * Does not: compare (compare_tcp.h, compare_other.h), or send (compare_out.h).
 *
 * The primary is NEAR, the secondary FAR; both send the same way, from server to client.  Near numbers are the primary's.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"
#include "base/reason.h"
#include "core/env.h"
#include "core/flow.h"
#include "core/outbox.h"
#include "core/seqmap.h"
#include "role/replica/agreed.h"
#include "role/replica/chain.h"
#include "role/replica/compare_role.h"
#include "role/replica/held.h"

/* How the frames of a flow are compared; which ones are one flow is a matter of the kind, too. */
enum compare_kind {
	COMPARE_TCP, /* bytes by their number; by addresses and ports */
	COMPARE_UDP, /* datagrams, what follows the IP header; by addresses and ports */
	COMPARE_ICMP, /* messages, likewise; by addresses */
	COMPARE_OTHER, /* all from the IP header on, fragments too; by addresses and protocol */
};

/* Flags of a waiting frame beside TCP's FIN, SYN, RST and ACK. */
enum {
	WAITING_RAW = 0x20, /* seq is in the secondary's own numbers, which cannot be read yet */
	WAITING_AGAIN = 0x40, /* nothing but what was agreed when it came: need not stay in line */
	WAITING_MATCHED = 0x80, /* no TCP: the secondary has sent the same */
};

/* What is known of a waiting frame. */
struct waiting {
	sut_time since;
	uint64_t serial; /* order of arrival, over all flows */
	sut_seq seq, ack; /* near numbers, but for WAITING_RAW; TCP only */
	uint32_t len; /* TCP: sequence space; else bytes to be compared */
	uint16_t bytes; /* where the payload, or what is to be compared, begins in the frame */
	uint8_t flags; /* enum tcp_flag's, and the above */
	uint8_t epoch; /* which connection with these ports it belongs to: counts modulo 256 */
};

_Static_assert(sizeof(struct waiting) <= HELD_NOTE, "lies beside its frame");

/*
 * The pool has more cells than may wait: those of frames that were sent are free only once the outbox is flushed, and whether a
 * frame finds room must not depend on how a burst is split.
 */
#define COMPARE_SPARE (OUTBOX_PKTS * (PACKET_MAX / HELD_CELL + 1))
#define COMPARE_CELLS_MAX 1000000u

_Static_assert(COMPARE_CELLS_MAX + COMPARE_SPARE <= HELD_CELLS_MAX, "a pool can be as large");

/* In which numbers the secondary sends, as far as that was told. */
enum reading { READ_NOTHING, READ_NEAR, READ_OWN };

/* What one server has sent. */
struct output {
	struct held_queue q; /* NEAR: in order of arrival; FAR: by epoch, then seq */
	uint32_t frames; /* in q */
	sut_seq isn, end; /* of its SYN; the highest seq + len.  Near, but for the ISN of FAR */
	sut_seq acked, old_acked; /* highest ack, in this epoch and the one before */
	uint8_t epoch;
	bool syn, talks; /* in this epoch it has sent a SYN, anything else */
	bool has_end, has_acked, had_acked; /* the numbers above mean something */
	bool rst, had_rst; /* it has sent a RST, in this epoch, in the one before */
};

/* A place in a chain of flows. */
struct compare_flow {
	uint8_t kind; /* enum compare_kind */
	uint8_t epoch; /* the connection that is being compared */
	bool begun; /* its numbers are tied together, by its SYNs or by a checkpoint */
	bool diverged; /* the two differ: only a checkpoint helps */
	bool waits; /* it is in the chain of those of which something waits */
	bool differs; /* the secondary has used numbers of its own: said once */
	uint8_t reading; /* enum reading: how the last of the secondary's numbers was read */
	bool cramped; /* agreed had no room for what was found equal */
	uint32_t checkpoint; /* the last one that it knows of */
	uint32_t flush; /* so many frames of the primary's go out, whatever the secondary does */
	uint32_t again; /* waiting frames of the primary's with WAITING_AGAIN */
	sut_seq isn; /* of the primary, where begun */
	struct seqmap map; /* FAR: the secondary's own numbers */
	struct agreed agreed; /* what both have produced */
	struct agreed produced; /* what the secondary has, agreed or waiting */
	struct output side[SUT_SIDES];
	sut_time
		event_since; /* the secondary's SYN or RST that the primary has not matched; SUT_NEVER */
	uint64_t asked; /* the scan cycle in which a checkpoint was asked for, plus 1 */
	sut_time last; /* since when it is idle */
	struct chain_links place; /* in idle or waiting */
	struct chain_links ready;
};

struct compare {
	struct replica_compare_config cfg;
	const struct role_env *env;
	struct flows *flows;
	struct compare_flow *cold; /* by flow */
	struct held *held;
	struct chain idle; /* nothing waits: the longest idle one first */
	struct chain waiting; /* something waits */
	struct chain ready; /* what waits may go out: once there is room */
	uint32_t cells; /* of frames that wait */
	uint64_t serial;
	uint64_t asked; /* as compare_flow.asked, for what has no flow */
	uint32_t checkpoint; /* counts them */
	uint32_t owed; /* messages that found no room */
	sut_time next_scan; /* SUT_NEVER while nothing waits */
	bool failed_over;
	unsigned given; /* of out[], in this call */
	struct packet out[OUTBOX_PKTS];
};

/* One call into the role. */
struct compare_turn {
	struct compare *c;
	struct outbox *out;
	sut_time now;
};

static inline struct compare_flow *compare_cold(const struct compare_turn *t, uint32_t f)
{
	return &t->c->cold[f];
}

static inline struct waiting *waiting_of(const struct compare_turn *t, uint32_t at)
{
	return held_note(t->c->held, at);
}

/* Is epoch a later than b? */
static inline bool epoch_after(uint8_t a, uint8_t b)
{
	return (int8_t)(uint8_t)(a - b) > 0;
}

size_t compare_need(const struct replica_compare_config *c);
struct compare *compare_lay_out(void *block, const struct replica_compare_config *c,
				const struct role_env *env);

/*
 * Enters a flow: near is the key of the primary's frames.  R_NONE; R_FLOWS_FULL, R_BUCKETS_FULL: nothing is entered.  A full
 * table gives up the flow that is idle for longest.
 */
enum reason compare_open(struct compare_turn *t, const struct flow_key *near,
			 enum compare_kind kind, uint32_t *ret_flow);

/* The key of the secondary's frames of the flow whose primary's have this key. */
struct flow_key compare_far_key(const struct flow_key *near);

/* Takes f out, of which nothing waits. */
void compare_end(struct compare_turn *t, uint32_t f, enum event as, const char *why);

/* Puts f in the chain where it belongs: something waits, or nothing does (then at its end). */
void compare_place(struct compare_turn *t, uint32_t f);
void compare_set_ready(struct compare_turn *t, uint32_t f, bool on);

/*
 * Holds p in the queue of side, behind the frame prev (HELD_NONE: first), or drops and counts it and asks for a checkpoint.
 * Returns where it lies, or HELD_NONE.
 */
uint32_t compare_hold(struct compare_turn *t, uint32_t f, enum sut_side side,
		      const struct packet *p, const struct waiting *w, uint32_t prev);

/* Takes the frame behind prev out of the queue of side: it is in none then, and still held. */
uint32_t compare_unlink(struct compare_turn *t, uint32_t f, enum sut_side side, uint32_t prev);

/* Drops what the secondary's queue holds behind prev (HELD_NONE: its first), which is why. */
void compare_drop(struct compare_turn *t, uint32_t f, uint32_t prev, enum reason why);

/* Drops all frames of a side's queue. */
void compare_drop_all(struct compare_turn *t, uint32_t f, enum sut_side side, enum reason why);

/* The bytes of a held frame. */
const uint8_t *compare_bytes(const struct compare_turn *t, uint32_t at);

/* Asks for a checkpoint, but for each flow only once a scan cycle; FLOW_NONE: for what has none. */
void compare_ask(struct compare_turn *t, uint32_t f);

/* The two servers differ in flow f. */
void compare_diverge(struct compare_turn *t, uint32_t f, const char *why);

/* Reports a change to the trace. */
void compare_tell(const struct compare_turn *t, uint32_t f, const char *from, const char *to,
		  const char *why);
#endif
