/* SPDX-License-Identifier: MIT */
#ifndef SUT_STACK_STACK_H
#define SUT_STACK_STACK_H
/*
 * stack - a whole TCP (RFC 9293) for hosts of our own addresses: connections as server and as client, in one block.
 *
 * Owns:     connections, their buffers, listeners, timers.
 * Does not: I/O, clocks, randomness, allocation, routing, ARP.  It lives where packets are IP packets (a TUN device): frames'
 *           link headers are the caller's.
 * Time:     `now` (ns, monotonic, any origin) comes with every call and never goes back.
 * Output:   through stack_env.emit, at once and in order.  What may wait (ACKs, data that the application wrote) is emitted by
 *           stack_flush(): call it after each batch of packets and after each round of the application's calls.  So a
 *           batch is acknowledged once (RFC 9293, 3.8.6.3, MUST-58/59), at most STACK_ACK_EVERY bytes late.
 * Errors:   negative errno values with the meaning that POSIX sockets give them.
 * Names:    RFC 9293's.  Addresses are 16 bytes, IPv4 as v4-mapped IPv6; ports are in host order.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/packet.h"
#include "base/time.h"
#include "proto/view.h"

#define STACK_ACK_EVERY 65536u
#define STACK_SLICES 40u /* most pieces of payload in one packet */

struct stack;

/* A connection or a listener: 0 is none.  A handle whose connection is gone gets -EBADF, never another connection. */
typedef uint64_t conn_id;

struct stack_addr {
	uint8_t ip[16];
	uint16_t port; /* host order */
};

/* A piece of payload. */
struct stack_slice {
	const uint8_t *bytes;
	uint32_t len;
};

/*
 * An IP packet that goes out: its headers in one piece, PACKET_HEADROOM writable bytes in front of them, and the payload in
 * slices.  All is valid during the call only.  off as struct packet has it: with STACK_OFFLOAD_CSUM the checksum is
 * partial; with STACK_OFFLOAD_TSO a packet may be a super-packet (gso_type, gso_size, hdr_len).
 */
struct stack_out {
	uint8_t *head;
	uint32_t head_len;
	uint32_t n; /* slices */
	uint32_t payload_len;
	const struct stack_slice *slice;
	struct offload off;
};

enum { STACK_OFFLOAD_CSUM = 1, STACK_OFFLOAD_TSO = 2 };

/* What a stack counts; the list yields enum, name and text. */
/* clang-format off */
#define STACK_COUNTERS(X) \
	X(SEGS_IN,          "segments_in",          "segments taken from the network, super-packets once") \
	X(SEGS_OUT,         "segments_out",         "segments sent, super-packets once") \
	X(BYTES_IN,         "payload_in",           "payload bytes delivered in order") \
	X(BYTES_OUT,        "payload_out",          "payload bytes sent for the first time") \
	X(RETRANS_SEGS,     "retransmitted",        "segments sent again") \
	X(RETRANS_BYTES,    "retransmitted_bytes",  "payload bytes sent again") \
	X(RTO,              "timeouts",             "retransmission timeouts (RFC 6298)") \
	X(TLP,              "tail_probes",          "tail loss probes (RFC 8985)") \
	X(FAST_RECOVERY,    "recoveries",           "fast recoveries entered") \
	X(SPURIOUS,         "spurious",             "retransmissions that a D-SACK or timestamp showed to be needless") \
	X(OPENED_ACTIVE,    "opened_active",        "connections opened by us") \
	X(OPENED_PASSIVE,   "opened_passive",       "connections accepted") \
	X(OPEN_FAILED,      "open_failed",          "connections that ended before they were established") \
	X(CLOSED,           "closed",               "connections that ended after both sides had closed") \
	X(RESET_IN,         "resets_taken",         "connections that a peer's reset ended") \
	X(RESET_OUT,        "resets_sent",          "resets sent") \
	X(TIMED_OUT,        "timed_out",            "connections given up: user timeout, keepalive, R2") \
	X(CHALLENGE_ACK,    "challenge_acks",       "challenge ACKs sent (RFC 5961)") \
	X(CHALLENGE_MUTED,  "challenge_muted",      "challenge ACKs not sent: their rate is limited") \
	X(OLD_ACKS_MUTED,   "answers_muted",        "ACKs for unacceptable segments not sent: their rate is limited") \
	X(LEFT_ALONE,       "left_alone",           "segments dropped without an answer: with no ACK, without the timestamps that were agreed upon, resets that are out of place, data behind a FIN") \
	X(PAWS,             "paws",                 "segments with a timestamp of the past (RFC 7323)") \
	X(DUPLICATE,        "duplicates",           "segments that held nothing new") \
	X(OUT_OF_ORDER,     "out_of_order",         "segments kept behind a gap") \
	X(OFO_DROPPED,      "out_of_order_dropped", "segments behind a gap not kept: their memory was used up") \
	X(NO_MEMORY,        "no_memory",            "segments not kept, or connections not opened: the stack's memory was used up") \
	X(WINDOW_PROBES,    "window_probes",        "probes of a zero window") \
	X(KEEPALIVES,       "keepalives",           "keepalive probes") \
	X(TIME_WAIT_CUT,    "time_wait_cut",        "connections whose TIME-WAIT was ended early: their places were needed") \
	X(COOKIES_SENT,     "cookies_sent",         "SYN cookies sent") \
	X(COOKIES_TAKEN,    "cookies_taken",        "connections out of SYN cookies") \
	X(COOKIES_BAD,      "cookies_bad",          "ACKs that held no cookie of ours") \
	X(ACCEPT_FULL,      "accept_full",          "handshakes put off: the application's queue was full") \
	X(TFO_IN,           "fastopen_in",          "SYNs whose data a Fast Open cookie let through") \
	X(TFO_OUT,          "fastopen_out",         "SYNs sent with data") \
	X(ECN_CE,           "ecn_ce",               "segments with Congestion Experienced") \
	X(ICMP_USED,        "icmp_used",            "ICMP errors acted upon") \
	X(ICMP_IGNORED,     "icmp_ignored",         "ICMP errors about no segment in flight (RFC 5927)") \
	X(ECHO,             "echoes",               "echo requests answered") \
	X(EMIT_REFUSED,     "emit_refused",         "packets that the device refused; TCP sends them again") \
	X(DETACHED,         "detached",             "connections taken out of the stack alive")
/* clang-format on */

enum stack_counter {
#define X(name, label, text) STACK_##name,
	STACK_COUNTERS(X)
#undef X
		STACK_COUNTER_COUNT
};

const char *stack_counter_label(enum stack_counter c);
const char *stack_counter_text(enum stack_counter c);

/* What the world gives; ctx comes with each call. */
struct stack_env {
	uint8_t secret
		[16]; /* for ISNs, cookies, the table; the same after a restart keeps cookies valid */
	uint64_t (*random)(void *ctx);
	/* 0, or -errno: the packet is lost as far as TCP is concerned.  Must not call the stack. */
	int (*emit)(void *ctx, const struct stack_out *p);
	/* One change of a connection's state; may be NULL. */
	void (*trace)(void *ctx, sut_time now, conn_id id, const char *from, const char *to,
		      const char *why);
	/* What stack_write_ref() was given is not needed any more; may be NULL.  Must not call the stack. */
	void (*release)(void *ctx, uint64_t cookie);
	void *ctx;
};

#define STACK_NETS 16u

struct stack_net {
	uint8_t ip[16]; /* ours; IPv4 as v4-mapped */
	uint8_t prefix; /* bits of it that name the network, of 128 (an IPv4 /24 is 120): its all-ones address is a broadcast */
};

struct stack_config {
	struct stack_net net[STACK_NETS];
	unsigned nets;
	uint32_t mtu; /* bytes of IP packet: 576 (IPv6: 1280) to 65535 */
	uint32_t max_conns; /* connections of any state but LISTEN; TIME-WAIT counts */
	uint32_t max_listeners;
	uint32_t max_half_open; /* in SYN-RECEIVED in all; beyond it SYN cookies */
	uint32_t cells; /* of STORE_CELL bytes, for all buffers together */
	uint32_t
		records; /* of segments in flight, for all connections together; 0: as many as cells */
	uint32_t sndbuf, rcvbuf; /* bytes a connection may buffer; defaults for new ones */
	uint32_t max_ofo; /* bytes behind gaps in all; 0: a quarter of the cells */
	uint32_t gso_max; /* payload bytes of a super-packet, below 65536 - 60 */
	uint8_t offload; /* STACK_OFFLOAD_* */
	uint8_t ttl; /* 0: 64 */
	/* What is offered and taken in handshakes; all are on in stack_config_default(). */
	bool no_timestamps, no_sack, no_wscale, ecn, fastopen;
	uint8_t cc; /* enum stack_cc */
	sut_time msl; /* RFC 9293: 2 minutes; the default is 30 s, as most stacks have it */
	sut_time
		linger_fin_wait_2; /* FIN-WAIT-2 of a connection that nobody holds any more; 60 s */
};

enum stack_cc { STACK_CUBIC, STACK_NEWRENO };

void stack_config_default(struct stack_config *ret_c);

/* --- life */

/* Bytes for c, or 0 with one sentence in ret_err (96 bytes) of what is impossible. */
size_t stack_need(const struct stack_config *c, char *ret_err);

/* Lays a stack out in block (stack_need() bytes, zeroed, aligned to 64).  Cannot fail. */
struct stack *stack_init(void *block, const struct stack_config *c, const struct stack_env *env,
			 sut_time now);

/*
 * Takes an IP packet whose view was read (view_parse_ip, or view_parse for a frame).  It is not kept.  R_NONE, or why it was
 * dropped (counted in *drops of stack_init's env by the caller): not for us, malformed, wrong checksum.
 */
enum reason stack_input(struct stack *s, const struct packet *p, const struct view *v,
			sut_time now);

/* Emits what waits: data, ACKs, window updates. */
void stack_flush(struct stack *s, sut_time now);

/* Fires every timer due at or before now, and flushes. */
void stack_expire(struct stack *s, sut_time now);

/* When stack_expire() next has something to do: possibly early, never late; SUT_NEVER if nothing is pending. */
sut_time stack_deadline(const struct stack *s);

uint64_t stack_count(const struct stack *s, enum stack_counter c);

/* The device's MTU has changed. */
int stack_set_mtu(struct stack *s, uint32_t mtu);

/* Bytes and numbers in use, for bounds: cells, records, connections. */
struct stack_usage {
	uint32_t conns, half_open, time_wait, listeners, cells, records;
	uint64_t ofo_bytes;
};

void stack_usage(const struct stack *s, struct stack_usage *ret_u);

/* --- the application's calls; none blocks */

/*
 * LISTEN on local (ip all zero: every address of ours, both families; 0.0.0.0: every IPv4 one).  Of several on one port the one that
 * names the SYN's address is the one, else that of 0.0.0.0, else that of zeros.  backlog: connections that wait to be accepted.
 * -EADDRINUSE (this very address and port), -EADDRNOTAVAIL (not ours, or 0.0.0.0 and none of ours is IPv4), -EINVAL (port 0,
 * backlog 0), -ENOSPC.
 */
int stack_listen(struct stack *s, const struct stack_addr *local, unsigned backlog, uint64_t user,
		 conn_id *ret_l);

/*
 * What connections of SYNs that come to this listener from now on announce: never more than rcvbuf bytes (2048 at least; two units of the scale may
 * be added by rounding) before something is read, and a window scale of wscale (at most 14) or, where the buffer asks for it, more.  Between a change of
 * wscale and the handshakes that it is for must lie two minutes where SYN cookies were sent.  0, -EINVAL, -EBADF: no listener.
 */
int stack_listen_limits(struct stack *s, conn_id id, uint32_t rcvbuf, uint8_t wscale);

/* Takes the oldest finished handshake of a listener: 0, -EAGAIN, -EBADF. */
int stack_accept(struct stack *s, conn_id id, uint64_t user, conn_id *ret_c,
		 struct stack_addr *ret_peer);

/*
 * Active OPEN.  local may be NULL, or have port 0 (an ephemeral one by RFC 6056) or ip all zero (the address of ours in remote's
 * network, else the first of its family).  The SYN goes out with the next flush; data written before that goes with it where
 * Fast Open is on and a cookie is known.  -EADDRINUSE, -EADDRNOTAVAIL, -EINVAL (broadcast, multicast, zero, our own), -ENETUNREACH (no
 * address of the family), -ENOSPC, -EAGAIN (no port left).
 */
int stack_connect(struct stack *s, const struct stack_addr *local, const struct stack_addr *remote,
		  uint64_t user, sut_time now, conn_id *ret_c);

/*
 * Bytes taken into the send buffer (0 < n <= len); -EAGAIN: no room (CONN_WRITABLE tells when there is); -ENOTCONN (listener),
 * -EPIPE: closed for sending, or the connection is gone without another error; else the connection's error, once.
 */
int stack_write(struct stack *s, conn_id id, const void *bytes, size_t len, sut_time now);

/*
 * As stack_write, but the bytes stay where they are: they must be there, unchanged, until env.release() is called with this cookie (it is
 * called once, when they are acknowledged or the connection is gone).  All of them are taken, or none; 0 < len <= 1 GiB.
 */
int stack_write_ref(struct stack *s, conn_id id, const void *bytes, size_t len, uint64_t cookie,
		    sut_time now);

/* Room in the send buffer, to be filled. */
struct stack_room {
	uint8_t *bytes;
	uint32_t len;
};

/*
 * As stack_write of up to len bytes, but fill() puts them where they are to be, so that a file's bytes are copied once: it fills the n
 * pieces of room from the first one on, and returns how many bytes it has put, or a negative error, which is returned; 0 is
 * -EAGAIN without CONN_WRITABLE to come.  It must not call the stack.
 */
typedef int (*stack_filler)(void *ctx, const struct stack_room *room, unsigned n);
int stack_write_fill(struct stack *s, conn_id id, size_t len, stack_filler fill, void *ctx,
		     sut_time now);

/* Bytes in order put to ret_bytes; 0: the peer has closed and all was read; -EAGAIN; the connection's error, once. */
int stack_read(struct stack *s, conn_id id, void *ret_bytes, size_t len, sut_time now);

/* As stack_read, but nothing is taken. */
int stack_peek(struct stack *s, conn_id id, void *ret_bytes, size_t len);

/* Up to max slices of what can be read, without a copy; valid until the next call on this stack.  Their number, or as stack_peek. */
int stack_peek_slices(struct stack *s, conn_id id, struct stack_slice *ret_s, unsigned max);

/* Takes n bytes that were looked at. */
int stack_consume(struct stack *s, conn_id id, size_t n, sut_time now);

/*
 * From now on payload that arrives in order while nothing waits to be read is given to take() straight from the packet; it returns
 * how many of the bytes it took (the rest is buffered).  It must not call the stack.  NULL switches it off.
 */
typedef uint32_t (*conn_take)(void *ctx, uint64_t user, const uint8_t *bytes, uint32_t len);
int stack_set_take(struct stack *s, conn_id id, conn_take take, void *ctx);

/* Half-close: FIN behind what was written. */
int stack_shutdown(struct stack *s, conn_id id, sut_time now);

/*
 * The application lets go: what was written is still sent, then FIN; the handle is void from now on.  Where unread data is lost
 * the peer gets a RST instead (RFC 9293, 3.10.4 and RFC 1122, 4.2.2.13).  A listener stops listening; what waited in it is reset.
 */
int stack_close(struct stack *s, conn_id id, sut_time now);

/* ABORT: RST, everything is thrown away; the handle is void. */
int stack_abort(struct stack *s, conn_id id, sut_time now);

/* --- connections that go on without this stack */

/* A connection that was taken out: its numbers, in host order, as they go on the wire. */
struct stack_detached {
	struct stack_addr local, remote;
	uint32_t iss, snd_nxt; /* all before snd_nxt was acknowledged */
	uint32_t irs, rcv_nxt; /* rcv_nxt counts the peer's FIN where fin_in is set */
	uint32_t acked; /* what was acknowledged to the peer: not behind rcv_nxt */
	uint32_t
		rcv_adv; /* right edge of the window that the peer was told: whoever goes on must not draw it back */
	uint32_t snd_wnd; /* what the peer announced last, bytes */
	uint16_t peer_mss; /* as the peer's SYN had it (or the default) */
	uint8_t snd_wscale, rcv_wscale; /* of the peer's windows; of ours */
	bool timestamps, sack, wscale, ecn; /* agreed */
	bool fin_in;
	uint32_t tsval; /* our clock, now */
	uint32_t ts_recent; /* the peer's TSval that we would echo */
	uint32_t
		unread; /* bytes in order that nobody has read: they end at rcv_nxt (before the FIN) */
	uint32_t kept; /* bytes given to keep(): unread and what lay behind gaps */
};

/* A piece of what had come and was not read.  Must not call the stack. */
typedef void (*stack_keep)(void *ctx, uint32_t seq, const uint8_t *bytes, uint32_t len);

/*
 * Takes a connection out of the stack, alive: nothing is sent, not even an ACK that is owed, and the handle is void.  Whoever goes on
 * with it has the numbers in ret_d, and the bytes that came and were not read by keep() (may be NULL), in order of seq, those behind gaps last:
 * what was acknowledged of them will not come again.  The next segment of the peer finds no connection here, and is reset: let it
 * not come here.
 * 0; -EBADF; -EBUSY: something written is not acknowledged yet; -ENOTCONN: not in ESTABLISHED or CLOSE-WAIT; the connection's error.
 */
int stack_detach(struct stack *s, conn_id id, stack_keep keep, void *ctx, sut_time now,
		 struct stack_detached *ret_d);

/*
 * Puts a connection that was taken out of this stack back, if nobody else went on with it: its numbers are those of d, and what
 * was not read then is with the caller (it is not read again).  rcvbuf: what it may buffer from now on.  The next flush acknowledges all that came.
 * 0; -EADDRINUSE: its quad is in use here; -ENOSPC.
 */
int stack_attach(struct stack *s, const struct stack_detached *d, uint32_t rcvbuf, uint64_t user,
		 sut_time now, conn_id *ret_c);

/* What handshakes of later SYNs may agree upon, at most: who takes connections over may be able to do less than this stack. */
void stack_offer(struct stack *s, bool timestamps, bool sack, bool wscale);

/*
 * The MSS that SYNs and SYN-ACKs announce from now on is as if the device carried no more than this (576 at least), where that is less; 0: as the device is.
 * 0, -EINVAL.
 */
int stack_offer_mtu(struct stack *s, uint32_t mtu);

/* The application is told. */
enum conn_event {
	CONN_READABLE = 1, /* new data in order, or the peer's FIN */
	CONN_WRITABLE = 2, /* connected, or room after -EAGAIN */
	CONN_ACCEPTABLE = 4, /* a listener has a finished handshake */
	CONN_ERROR = 8, /* the connection is gone; stack_read says why */
	CONN_CLOSED = 16, /* both FINs are acknowledged; or it is in TIME-WAIT */
	CONN_URGENT = 32, /* urgent data is announced (RFC 9293, 3.8.5) */
	CONN_SOFT_ERROR = 64, /* CONNOPT_SOFT_ERROR says which; the connection goes on */
};

struct conn_ready {
	conn_id id;
	uint64_t user;
	uint32_t events; /* enum conn_event bits, edge-triggered */
};

/* The next one to be told of, oldest first; false if there is none. */
bool stack_next(struct stack *s, struct conn_ready *ret_r);

/* Is stack_next() to be called before the caller waits for anything?  (It may have nothing to tell all the same.) */
bool stack_has_events(const struct stack *s);

/* --- options and inspection */

enum conn_option {
	CONNOPT_NODELAY, /* 0 or 1: Nagle off (MUST-17) */
	CONNOPT_CORK, /* 0 or 1: only full segments go out, for 200 ms at most */
	CONNOPT_KEEPALIVE, /* 0 or 1 (MUST-24, 25) */
	CONNOPT_KEEP_IDLE_MS, /* default 7200000 (MUST-28) */
	CONNOPT_KEEP_INTERVAL_MS, /* default 75000 */
	CONNOPT_KEEP_COUNT, /* default 9 */
	CONNOPT_USER_TIMEOUT_MS, /* R2; 0: 15 retransmissions, at least 100 s (SHLD-11); a SYN: 3 minutes (MUST-23) */
	CONNOPT_MSS, /* before the connection opens: an upper bound of what is announced and sent */
	CONNOPT_TTL,
	CONNOPT_DSCP, /* 0 to 63 (MUST-48) */
	CONNOPT_CC, /* enum stack_cc */
	CONNOPT_SNDBUF,
	CONNOPT_RCVBUF, /* the window is never shrunk */
	CONNOPT_ERROR, /* get: the pending error (positive errno), and clears it */
	CONNOPT_SOFT_ERROR, /* get: what ICMP said last (positive errno), and clears it */
	CONNOPT_URGENT, /* get: bytes up to the urgent mark that are still to be read (MUST-33), 0: none */
	CONNOPT_QUICKACK, /* 0 or 1: no delayed ACKs */
	CONNOPT_COUNT
};

int stack_set(struct stack *s, conn_id id, enum conn_option o, int64_t value, sut_time now);
int stack_get(struct stack *s, conn_id id, enum conn_option o, int64_t *ret_value);

/* Sends bytes with the urgent mark behind them. */
int stack_write_urgent(struct stack *s, conn_id id, const void *bytes, size_t len, sut_time now);

/* clang-format off */
#define CONN_STATES(X) \
	X(CLOSED) X(LISTEN) X(SYN_SENT) X(SYN_RECEIVED) X(ESTABLISHED) X(FIN_WAIT_1) X(FIN_WAIT_2) \
	X(CLOSE_WAIT) X(CLOSING) X(LAST_ACK) X(TIME_WAIT)
/* clang-format on */

enum conn_state {
#define X(name) ST_##name,
	CONN_STATES(X)
#undef X
};

/* "SYN-RECEIVED", as the RFC writes it. */
const char *conn_state_name(enum conn_state s);

/* What is known of a connection (as TCP_INFO has it). */
struct conn_info {
	conn_id id;
	uint64_t user;
	struct stack_addr local, remote;
	enum conn_state state;
	bool timestamps, sack, wscale, ecn, fastopen;
	uint8_t snd_wscale, rcv_wscale;
	const char *cc; /* "cubic" */
	const char *recovery; /* "open", "disorder", "recovery", "loss" */
	uint32_t mss; /* what is sent at most */
	uint32_t cwnd, ssthresh; /* bytes */
	uint32_t snd_wnd, rcv_wnd; /* bytes */
	uint32_t in_flight, unsent, unread, ofo; /* bytes */
	uint32_t srtt_us, rttvar_us, min_rtt_us, rto_us;
	uint64_t bytes_in, bytes_out, retrans_bytes;
	uint32_t segs_in, segs_out, retrans_segs, timeouts;
	uint32_t iss, irs, snd_una, snd_nxt, rcv_nxt;
	sut_time age;
};

int stack_info(const struct stack *s, conn_id id, sut_time now, struct conn_info *ret_i);

/* Walks all connections and listeners: *cursor starts at 0; false at the end. */
bool stack_list(const struct stack *s, uint32_t *cursor, sut_time now, struct conn_info *ret_i);

/* What must hold between two calls; a sentence of what does not, else NULL.  Slow: for tests. */
const char *stack_check(const struct stack *s, sut_time now);
#endif
