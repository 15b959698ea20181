/* SPDX-License-Identifier: MIT */
#ifndef SUT_BASE_COUNTERS_H
#define SUT_BASE_COUNTERS_H
/*
 * counters - what an engine counts: packets by reason, and events by name.  One block per engine, no globals.
 *
 * A reason is counted once for each packet to which it applied; dropped[] holds those that ended there,
 * passed[] those that went on untouched.
 */
#include <stdint.h>

#include "base/reason.h"

/* clang-format off */
#define SUT_EVENTS(X) \
	X(PKTS_IN,        "packets_in",        "packets that came in") \
	X(PKTS_OUT,       "packets_out",       "packets that went out") \
	X(BYTES_IN,       "bytes_in",          "bytes that came in") \
	X(BYTES_OUT,      "bytes_out",         "bytes that went out") \
	X(FLOWS_OPENED,   "flows_opened",      "flows entered in the table") \
	X(FLOWS_CLOSED,   "flows_closed",      "flows ended by FIN, RST or time-out") \
	X(FLOWS_EVICTED,  "flows_evicted",     "flows ended to make room") \
	X(FLOWS_IDLE,     "flows_idle",        "flows ended for want of packets") \
	X(FLOWS_REOPENED, "flows_reopened",    "ports used again by a new connection") \
	X(WAYS_ORPHANED,  "ways_orphaned",     "hand-offs of whose two ways a restart has found one, or of each another's") \
	X(TRANSLATED,     "translated",        "packets whose numbers were shifted") \
	X(MADE,           "made",              "packets made by the engine itself") \
	X(PROMISED,       "promised",          "SYN-ACKs promised to clients") \
	X(PROMISE_KEPT,   "promise_kept",      "promises that the server's SYN-ACK redeemed") \
	X(PROMISE_BROKEN, "promise_broken",    "promises ended by a reset to the client") \
	X(PROMISE_UNUSED, "promise_unused",    "promises that the client never acknowledged: server reset") \
	X(MERGED,         "merged",            "SYNs sent with the client's first data") \
	X(MERGE_TAKEN,    "merge_taken",       "data in SYN that the server took") \
	X(MERGE_REFUSED,  "merge_refused",     "data in SYN that the server left: sent again at once") \
	X(MERGE_BLACK,    "merge_black",       "data in SYN without an answer: plain SYN sent") \
	X(COOKIE_ASKED,   "cookie_asked",      "TCP Fast Open cookies asked for in a client's name") \
	X(COOKIE_LEARNT,  "cookie_learnt",     "TCP Fast Open cookies that servers gave") \
	X(LEARNT,         "learnt",            "real SYN-ACKs that taught a server's options, or a connection's shift") \
	X(SPEAKS_FIRST,   "speaks_first",      "servers found to speak first") \
	X(HELD_BYTES,     "held_bytes",        "bytes of early data held") \
	X(RST_SENT,       "rst_sent",          "resets made by the engine") \
	X(ICMP_SENT,      "icmp_sent",         "ICMP errors made by the engine") \
	X(REKEYED,        "rekeyed",           "flow table given a new hash key") \
	X(ACK_RELEASED,   "ack_released",      "withheld acknowledgements sent") \
	X(MIRRORED,       "mirrored",          "frames copied to the mirror") \
	X(RELEASED,       "released",          "frames of the primary's sent: the secondary has produced the same") \
	X(FLUSHED,        "flushed",           "frames of the primary's sent: there was a checkpoint") \
	X(DIVERGED,       "diverged",          "times that the two servers differed in a flow") \
	X(NUMBERS_DIFFER, "numbers_differ",    "flows in numbers of the secondary's own: they would not survive a failover") \
	X(CHECKPOINT_ASKED, "checkpoint_asked", "checkpoints asked for") \
	X(CHECKPOINTS,    "checkpoints",       "commands: the secondary is a copy of the primary") \
	X(FAILOVERS,      "failovers",         "commands: the primary is dead") \
	X(TS_LIFTED,      "ts_lifted",         "connections whose timestamps were lifted after the failover") \
	X(CORRECTED,      "corrected",         "shifts put right by a later word") \
	X(CONTRADICTED,   "contradicted",      "SYNs of the primary that do not fit what its client acknowledged") \
	X(DISAGREED,      "disagreed",         "connections whose two servers negotiated different options") \
	X(HANDED_ADOPT,   "handed_adopt",      "connections handed over: adopted by the back end") \
	X(HANDED_SHIFT,   "handed_shift",      "connections handed over: the back end's agent shifts them") \
	X(HANDED_SPLICE,  "handed_splice",     "connections handed over: spliced by the front end") \
	X(RUNG_FAILED,    "rungs_failed",      "hand-overs that a back end, or its agent, did not take") \
	X(HAND_MOVED,     "handed_elsewhere",  "hand-overs tried with another back end: no rung of this one was left") \
	X(REPLAYED_AGAIN, "replayed_again",    "times that a request was sent to a back end again: it had not been acknowledged") \
	X(CLIENT_LEFT,    "client_left",       "clients that reset their connection before it was handed over") \
	X(HAND_LOST,      "handovers_lost",    "clients reset: an agent did not say whether a back end has the connection") \
	X(LATE_LINES,     "late_lines",        "lines of agents and of the data plane about what is over already") \
	X(ANSWERED_400,   "answered_400",      "clients answered: their request cannot be understood in one way only") \
	X(ANSWERED_408,   "answered_408",      "clients answered: their request took too long") \
	X(ANSWERED_431,   "answered_431",      "clients answered: the head of their request is too large") \
	X(ANSWERED_503,   "answered_503",      "clients answered: no back end can take them") \
	X(CLOSED_UNANSWERED, "closed_unanswered", "clients closed without an answer: they said nothing, or garbage, or nobody can take what is no HTTP") \
	X(PROBES_WELL,    "probes_well",       "rungs of back ends probed: they work") \
	X(PROBES_FAILED,  "probes_failed",     "rungs of back ends probed: they do not work") \
	X(FORWARDED,      "forwarded",         "packets of handed-over connections that the front end itself sent on") \
	X(ICMP_FORWARDED, "icmp_forwarded",    "ICMP errors about handed-over connections sent on to whom they are for")

enum event {
#define X(id, label, text) EV_##id,
	SUT_EVENTS(X)
#undef X
	SUT_EVENT_COUNT
};
/* clang-format on */

struct counters {
	uint64_t dropped[SUT_REASON_COUNT];
	uint64_t passed[SUT_REASON_COUNT];
	uint64_t event[SUT_EVENT_COUNT];
};

/* The metric name of e ("flows_opened"); never NULL. */
const char *event_label(enum event e);

/* What e counts, in a few words; never NULL. */
const char *event_text(enum event e);

/* The sum of dropped[]. */
uint64_t counters_dropped(const struct counters *c);
#endif
