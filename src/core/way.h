/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_WAY_H
#define SUT_CORE_WAY_H
/*
 * way - what happens to the packets of one direction of a handed-off connection, as plain numbers.
 *
 * Owns:     the form of a way, of what is reported of it, and of the in-band header: one contract for the data plane in C
 *           (plane.h) and for the BPF programs, which keep ways in a hash map by way_key.
 * Does not: touch packets.  No pointers, no libc: a BPF program includes this file.
 * Names:    a host meets packets at three places.  FRONT: a front end's ingress; BACK_IN: a back end's ingress, on the way
 *           to its own TCP; BACK_OUT: its egress.  "client" is who opened the connection, "origin" is the address and port that it
 *           opened it to (the VIP); "host" is how a back end's own TCP names its end (the VIP too, where it has it).
 * Order:    addresses and ports as on the wire (IPv4 as v4-mapped IPv6); everything else is in the host's order.
 */
#ifdef __bpf__
typedef unsigned char way_u8;
typedef unsigned short way_u16;
typedef unsigned int way_u32;
typedef unsigned long long way_u64;
#else
#include <stdint.h>
typedef uint8_t way_u8;
typedef uint16_t way_u16;
typedef uint32_t way_u32;
typedef uint64_t way_u64;
#endif

/* Addresses and ports as the packet has them when it is met.  40 bytes, hashed as words. */
struct way_key {
	way_u8 src[16], dst[16];
	way_u16 sport, dport; /* network order */
	way_u32 zero;
};

/* clang-format off */
enum way_act {
	WAY_DROP,	/* counted */
	WAY_USER,	/* user space has it (its tap), the host's own TCP never sees it */
	WAY_HOST,	/* goes on where it was going: up to the host's TCP at ingress, out at egress */
	WAY_SEND,	/* link addresses are set, out at ifindex (or, in C, at the plane's port of that number) */
};

enum way_flag {
	WAY_SRC		= 1u << 0,	/* source address and port are replaced */
	WAY_DST		= 1u << 1,	/* destination likewise */
	WAY_SHIFT	= 1u << 2,	/* the additions below are made: seq; ack and SACK edges; TSval; TSecr */
	WAY_WINDOW	= 1u << 3,	/* the window field (no SYN) is scaled from one number of bits to another */
	WAY_CLAMP	= 1u << 4,	/* TSecr, after the addition, is brought into [tsecr_lo, tsecr_hi]: rule of SYN-RECEIVED */
	WAY_EXPECT	= 1u << 5,	/* pending: only a segment without SYN and RST, with ACK, whose seq is `expect` goes on */
	WAY_ADOPT	= 1u << 6,	/* BACK_IN, with EXPECT: that segment is given to the origin's listener as a finished handshake */
	WAY_LEARN	= 1u << 7,	/* BACK_OUT: the SYN-ACK is swallowed, and teaches the additions of this way and of its mate */
	WAY_UNLEARNT	= 1u << 8,	/* BACK_IN: until then everything but the SYN is dropped; taken away by LEARN */
	WAY_WATCH	= 1u << 9,	/* BACK_OUT: an ack (as the client will read it: seq space of the client) at or past `end` is reported, once */
	WAY_OPEN	= 1u << 10,	/* in-band: the pair was made by the SYN that carried a header */
	WAY_MUTE	= 1u << 11,	/* BACK_OUT: the host's answers are swallowed: the connection has another responder now */
	WAY_JOIN	= 1u << 12,	/* `expect` is not known, since the connection went on elsewhere: the next segment tells it */
};

/* Only what is just being laid has one of these: it is of another connection than what lay there, and nothing was seen of it yet. */
#define WAY_BEGINS ((way_u32)(WAY_EXPECT | WAY_UNLEARNT | WAY_LEARN | WAY_WATCH))

/*
 * How far the stream of a direction may go on between two segments that come by: what lies between was lost, or is late.  A segment that ends further
 * ahead, or behind what came by, is not what the other end waits for; who does not see the connection has one chance in 1024 to send one that is.
 */
#define WAY_NEAR (1u << 22)

/* Ways of the client's whose host has no connection yet. */
#define WAY_PENDING ((way_u32)(WAY_EXPECT | WAY_UNLEARNT | WAY_CLAMP))

/* What was seen of a direction; bits are reported once. */
enum way_seen {
	WAY_SAW_ANY	= 1u << 0,
	WAY_SAW_FIN	= 1u << 1,
	WAY_SAW_RST	= 1u << 2,
	WAY_SAW_ACKED	= 1u << 3,
	WAY_SAW_SYN	= 1u << 4,	/* a SYN on a live way: passed on, never ends anything */
};
/* clang-format on */

/* A client repeats its SYN and its reset some times; who does it for ever must not fill the reports of all others. */
#define WAY_REPEATS 32u

/* What an adopted connection has agreed upon with its client (as struct bpf_tcp_req_attrs has it, from the back end's view). */
struct way_attrs {
	way_u32 rcv_tsval; /* 0: the segment's own */
	way_u32 rcv_tsecr; /* seeds the back end's clock: the front end's TSval at the freeze, + 1 */
	way_u16 mss; /* the client's */
	way_u8 snd_wscale, rcv_wscale; /* the client's; what the front end told it */
	way_u8 options; /* WAY_OPT_* */
	way_u8 pad[3];
};

enum { WAY_OPT_TS = 1, WAY_OPT_SACK = 2, WAY_OPT_WSCALE = 4, WAY_OPT_ECN = 8 };

struct way {
	way_u32 act, flags; /* enum way_act; enum way_flag bits */
	way_u32 id; /* whoever made it; comes back in reports.  0: made in-band */
	way_u32 ifindex; /* WAY_SEND */
	way_u8 dmac[6], smac[6]; /* WAY_SEND */
	way_u8 new_src[16], new_dst[16];
	way_u16 new_sport, new_dport; /* network order */
	way_u32 seq, ack, tsval,
		tsecr; /* additions; ack and tsecr only where ACK is set; RST|ACK with seq 0 keeps it */
	way_u8 from_scale, to_scale; /* WAY_WINDOW: as seam_window() */
	way_u8 origin; /* index of the origin, for reports */
	way_u8 repeats; /* kept by the data plane: reports that were told once more; WAY_REPEATS at most */
	way_u32 expect; /* WAY_EXPECT; with UNLEARNT: the seq of the SYN; else behind what came by, kept by the data plane (plane.h) */
	way_u32 end; /* WAY_WATCH */
	way_u32 tsecr_lo,
		tsecr_hi; /* WAY_CLAMP; lo is set by the first SYN-ACK, hi by each (WAY_LEARN) */
	/*
	 * WAY_LEARN: the client's side of the seam, to learn against: the front end's seq behind its SYN (snd_nxt), its TSval then, and
	 * the window scale that it told the client.  The client's way of an OPEN pair: front_seq is the seq of the SYN that opened it.
	 */
	way_u32 front_seq, front_tsval;
	way_u8 front_wscale;
	way_u8 pad2[3];
	struct way_attrs attrs; /* WAY_ADOPT */
	struct way_key mate; /* the other direction's key at this host; all zero: none */
	/* kept by the data plane */
	way_u32 seen; /* enum way_seen bits */
	way_u32 fin_end; /* seq behind the FIN, as on the wire after the changes; with WAY_SAW_FIN */
	way_u64 last_ns; /* when the last packet came; the plane's clock */
	way_u64 packets, bytes; /* super-packets once; IP bytes */
};

/* clang-format off */
#define WAY_EVENTS(X) \
	X(OPENED,      "opened",      "a SYN with a header made a pair of ways; a: origin") \
	X(LEARNT,      "learnt",      "the SYN-ACK was swallowed; a: shift of the host's stream, b: of its clock") \
	X(ESTABLISHED, "established", "the host's TCP has the connection") \
	X(ACKED,       "acked",       "the host has acknowledged all that was to be caught up; a: ack") \
	X(FIN_IN,      "fin-in",      "the client's FIN went by; a: seq behind it") \
	X(FIN_OUT,     "fin-out",     "the host's FIN went by; a: seq behind it") \
	X(RST_IN,      "rst-in",      "a reset from the client's side went by; a: its seq, b: 1 if exact") \
	X(RST_OUT,     "rst-out",     "the host's reset went by; a: its seq") \
	X(SYN_IN,      "syn-in",      "a SYN for a live pair went by; a: its seq") \
	X(TIME_WAIT,   "time-wait",   "the host has this quad in TIME-WAIT: nothing was adopted") \
	X(REFUSED,     "refused",     "the host's TCP did not take the adoption; a: errno; 0: no listener") \
	X(CLOSED,      "closed",      "the host's TCP has let the connection go")
/* clang-format on */

enum way_event_kind {
#define X(name, label, text) WAY_EV_##name,
	WAY_EVENTS(X)
#undef X
		WAY_EV_COUNT
};

struct way_event {
	way_u32 kind; /* enum way_event_kind */
	way_u32 id; /* of the way that it was seen on */
	struct way_key key; /* of the client's direction at this host */
	way_u32 a, b;
};

/* What a data plane counts, by index (a per-CPU array in BPF). */
/* clang-format off */
#define WAY_COUNTERS(X) \
	X(FORWARDED,    "way_forwarded",    "packets sent on to a back end") \
	X(TRANSLATED,   "way_translated",   "packets whose numbers or addresses were changed") \
	X(ADOPTED,      "way_adopted",      "segments given to a listener as a finished handshake") \
	X(SWALLOWED,    "way_swallowed",    "SYN-ACKs and muted answers of a back end that nobody else sees") \
	X(NOT_EXPECTED, "way_not_expected", "segments dropped since the connection was not there yet") \
	X(NOT_ANNOUNCED,"way_not_announced","segments to an origin that nobody had announced, dropped") \
	X(BAD_MAC,      "way_bad_mac",      "SYNs whose header had no valid MAC, dropped") \
	X(BAD_OPTIONS,  "way_bad_options",  "segments with malformed TCP options, dropped") \
	X(FRAGMENT,     "way_fragment",     "first fragments of segments that a way would change, keep back or send on, dropped") \
	X(NO_ROOM,      "way_no_room",      "hand-offs not taken: the map of ways is full") \
	X(EVENTS_LOST,  "way_events_lost",  "reports lost: nobody read them in time")
/* clang-format on */

enum way_counter {
#define X(name, label, text) WAY_N_##name,
	WAY_COUNTERS(X)
#undef X
		WAY_N_COUNT
};

/*
 * The in-band header: a TCP option on the SYN that a front end sends in the client's name (RFC 6994, experiment identifier
 * WAY_EXID).  The SYN's ack field (no ACK flag) holds the front end's snd_nxt, its TSecr the front end's TSval: a receiver
 * that does not know of this ignores all three.
 *
 *     kind 254   len 16   ExID (2)   flags | key index (1)   origin (1)   wscale (1)   0 (1)   MAC (8)
 *
 * MAC: SipHash-2-4, little-endian, over struct way_mac_input.
 */
#define WAY_OPT_KIND 254
#define WAY_OPT_LEN 16
#define WAY_EXID 0x5355

struct way_header {
	way_u8 kind, len;
	way_u8 exid[2]; /* network order */
	way_u8 key; /* which of the two keys */
	way_u8 origin; /* index into the agent's list of origins */
	way_u8 wscale; /* that the front end told the client; 0xff: none */
	way_u8 zero;
	way_u8 mac[8];
};

struct way_mac_input {
	struct way_key key; /* as the back end meets it */
	way_u32 seq, ack, tsecr; /* host order; tsecr 0 without timestamps */
	way_u8 key_index, origin, wscale, zero;
};

#define WAY_ORIGINS 64u

/* An origin of a back end: index = place in the list. */
struct way_origin {
	way_u8 ip[16]; /* what clients know; all zero: unused entry */
	way_u8 host_ip
		[16]; /* what the host's TCP listens on; the same where the host has the origin's address */
	way_u16 port, host_port; /* network order */
	way_u32 flags; /* WAY_ORIGIN_* */
};

/* Packets to this origin (address as clients know it) that no way names are dropped: only a front end may send them. */
enum { WAY_ORIGIN_GUARD = 1 };

#endif
