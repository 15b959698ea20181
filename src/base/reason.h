/* SPDX-License-Identifier: MIT */
#ifndef SUT_BASE_REASON_H
#define SUT_BASE_REASON_H
/*
 * reason - why a packet could not be read, was dropped, or was left alone.
 *
 * One list yields the enum, the metric's label, and the text of logs and manuals.  A reason says why, not
 * what was done: a transparent role passes a malformed packet on and counts it, another may drop it.
 */

/* clang-format off */
#define SUT_REASONS(X) \
	/* reading a frame (proto) */ \
	X(NONE,            "none",              "nothing was wrong") \
	X(ETH_SHORT,       "eth-short",         "frame ends inside the Ethernet header or a VLAN tag") \
	X(ETH_TAGS,        "eth-tags",          "more than two VLAN tags") \
	X(IP4_SHORT,       "ip4-short",         "frame ends inside the IPv4 header") \
	X(IP4_VERSION,     "ip4-version",       "version field is not 4") \
	X(IP4_IHL,         "ip4-ihl",           "IPv4 header length below 20 or beyond the packet") \
	X(IP4_LEN,         "ip4-len",           "IPv4 total length is beyond the frame or below its header") \
	X(IP6_SHORT,       "ip6-short",         "frame ends inside the IPv6 header") \
	X(IP6_VERSION,     "ip6-version",       "version field is not 6") \
	X(IP6_LEN,         "ip6-len",           "IPv6 payload length is beyond the frame") \
	X(IP6_EXT,         "ip6-ext",           "IPv6 extension header is cut short or the chain is too long") \
	X(TCP_SHORT,       "tcp-short",         "packet ends inside the TCP header") \
	X(TCP_DOFF,        "tcp-doff",          "TCP data offset below 5 or beyond the packet") \
	X(TCP_OPT,         "tcp-opt",           "TCP option has a length below 2, beyond the header, or wrong for its kind") \
	X(TCP_CSUM,        "tcp-csum",          "TCP checksum is wrong") \
	X(IP_CSUM,         "ip-csum",           "IPv4 header checksum is wrong") \
	X(ICMP_CSUM,       "icmp-csum",         "ICMP checksum is wrong") \
	X(TCP_FLAGS,       "tcp-flags",         "flags that no TCP sends together (SYN|FIN, SYN|RST, none)") \
	X(ICMP_SHORT,      "icmp-short",        "packet ends inside the ICMP header") \
	X(ICMP_QUOTE,      "icmp-quote",        "ICMP error quotes too little, or what is not TCP") \
	X(FRAGMENT,        "fragment",          "IP fragment: no whole TCP segment in it") \
	X(NOT_TCP,         "not-tcp",           "not TCP over IP") \
	/* tables and limits (core) */ \
	X(FLOWS_FULL,      "flows-full",        "flow table is full") \
	X(BUCKETS_FULL,    "buckets-full",      "too many flows share a hash neighbourhood") \
	X(STORE_FULL,      "store-full",        "no cell left to hold the data") \
	X(QUOTA,           "quota",             "the flow's share of held data is used up") \
	X(OUTBOX_FULL,     "outbox-full",       "no room for an answer in this turn") \
	X(PORT_REFUSED,    "port-refused",      "the device refused the packet for 10 ms") \
	X(NOT_JOINED,      "not-joined",        "sent to a port of the role that is joined to nothing") \
	X(NO_FLOW,         "no-flow",           "no such flow: it was never ours, or is over and forgotten") \
	X(WINDOW,          "window",            "outside the window of its flow") \
	X(STATE,           "state",             "not possible in the flow's state") \
	X(UNKNOWN_SHIFT,   "unknown-shift",     "the flow's shift is not known yet") \
	/* accel */ \
	X(MODE_BYPASS,     "mode-bypass",       "left alone: mode or port says so") \
	X(SYN_TFO,         "syn-tfo",           "left alone: the client uses TCP Fast Open itself") \
	X(SYN_DATA,        "syn-data",          "left alone: SYN with data") \
	X(DRAINING,        "draining",          "left alone: no new connections are taken") \
	X(SYN_AUTH,        "syn-auth",          "left alone: TCP-AO or TCP-MD5 signs the numbers") \
	X(SYN_JOIN,        "syn-mp-join",       "left alone: MPTCP join") \
	X(SYN_UNLEARNT,    "syn-unlearnt",      "not promised: the server's options are not known yet") \
	X(SYN_NEGATIVE,    "syn-negative",      "not promised: the server refused or failed lately") \
	X(SYN_BUDGET,      "syn-budget",        "not promised: too many connections whose clients have not shown themselves") \
	X(SYN_SOURCE,      "syn-source",        "not promised: too many such connections of one source") \
	X(DUP_HELD,        "dup-held",          "duplicate of data that is held already") \
	X(BEYOND_PROMISE,  "beyond-promise",    "data beyond the promised window") \
	X(HELD_ACK,        "held-ack",          "acknowledgement of a promise: nothing to forward yet") \
	X(SWALLOWED_SYN,   "swallowed-syn",     "client's SYN retransmitted: the same promise again") \
	X(SWALLOWED_SYNACK, "swallowed-synack", "server's SYN-ACK: the client has its promise already") \
	X(OVERSIZE,        "oversize",          "segment larger than the server's real MSS: sender was told by ICMP") \
	X(CLIENT_GONE,     "client-gone",       "client reset the connection during the hold") \
	/* replica */ \
	X(ACK_HELD,        "ack-held",          "acknowledges what the secondary has not sent yet") \
	X(NOT_CLIENT,      "not-client",        "numbers of the primary are not known: flow passes untouched") \
	X(WRONG_WAY,       "wrong-way",         "came in at a port that nothing is taken from") \
	X(COMPARED,        "compared",          "the secondary's: compared, and never sent") \
	X(NOT_COMPARED,    "not-compared",      "not IP, or what hosts on a link tell each other: not compared") \
	X(PRIMARY_DEAD,    "primary-dead",      "the primary's: the secondary had not produced it at the failover") \
	X(MSG_UNKNOWN,     "msg-unknown",       "a message that means nothing here") \
	X(LOOKED_AT,       "looked-at",         "the primary's own output: read, goes no further") \
	X(STANDBY,         "standby",           "from the network before the failover: the primary has it") \
	X(FENCED,          "fenced",            "from the primary that was given up at the failover") \
	X(STALE,           "stale",             "held of the secondary when a checkpoint replaced it") \
	/* wire and fault */ \
	X(WIRE_LOSS,       "wire-loss",         "lost on purpose, at random") \
	X(WIRE_NTH,        "wire-nth",          "lost on purpose, by its number") \
	X(WIRE_QUEUE,      "wire-queue",        "the modelled queue is full") \
	/* stack */ \
	X(NOT_OURS,        "not-ours",          "to an address that is not the stack's") \
	X(BROADCAST,       "broadcast",         "to a broadcast or multicast address: no TCP answers") \
	X(BAD_SOURCE,      "bad-source",        "from an address that no other host has") \
	/* handoff */ \
	X(HAND_HELD,       "hand-held",         "of a client whose connection is being handed over: it comes again") \
	X(NOT_REACHED,     "not-reached",       "no packet came from this address lately: its link address is not known") \
	X(NOT_EXPECTED,    "not-expected",      "to a connection that its host does not have yet, or that is not its next number") \
	X(SWALLOWED,       "swallowed",         "of a host that answers instead of another one: nobody else sees it") \
	X(NOT_ANNOUNCED,   "not-announced",     "to an origin that only front ends send to, or that is not known") \
	X(BAD_MAC,         "bad-mac",           "SYN whose hand-off header has no valid MAC") \
	/* link */ \
	X(TOO_LONG,        "too-long",          "frame longer than suture can carry")

enum reason {
#define X(id, label, text) R_##id,
	SUT_REASONS(X)
#undef X
	SUT_REASON_COUNT
};
/* clang-format on */

/* The metric label of r, as in manuals ("tcp-doff"); never NULL. */
const char *reason_label(enum reason r);

/* One sentence without a full stop; never NULL. */
const char *reason_text(enum reason r);
#endif
