/* SPDX-License-Identifier: MIT */
#ifndef SUTURE_STACK_H
#define SUTURE_STACK_H
/*
 * suture/stack.h - a whole TCP (RFC 9293) in a library, for IPv4 and IPv6: connections as server and as client, over any
 * carrier of IP packets.
 *
 * A stack does no I/O and starts no thread.  Its caller hands it IP packets (sut_stack_input), sends those that it puts out
 * (the output callback), and runs it when a deadline is reached (sut_stack_run).  Between these, the calls of the
 * application work as those of non-blocking sockets do.
 *
 *	for (;;) {
 *		poll(device, sut_stack_timeout(s));
 *		while (a packet can be read)
 *			sut_stack_input(s, packet, length, NULL);
 *		while (sut_next(s, &event))
 *			the application's part: sut_accept, sut_read, sut_write, sut_close ...
 *		sut_stack_run(s);
 *	}
 *
 * Errors:   negative errno values (-EAGAIN), with the meaning that POSIX sockets give them.
 * Time:     nanoseconds, monotonic, of any origin: the clock callback's.  Virtual time is as good as real time.
 * Threads:  one call at a time for each stack; stacks share nothing.
 * Callbacks must not call the stack that called them.
 * Memory:   one mapping per stack, bounded by its configuration, and touched only as it is used.
 * Addresses are 16 bytes, IPv4 as v4-mapped IPv6 (::ffff:192.0.2.1); ports are in host order.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0": the version of the library that runs. */
const char *sut_version(void);

/* --- addresses */

struct sut_addr {
	uint8_t ip[16];
	uint16_t port; /* host order */
};

/* An address of the stack's own, and how many of its 128 bits name its network: an IPv4 /24 has 120. */
struct sut_net {
	uint8_t ip[16];
	uint8_t prefix;
};

/* Bytes for every text that sut_addr_text() writes. */
#define SUT_ADDR_TEXT 56

/* Reads "192.0.2.1" or "2001:db8::1", and adds the port.  0, or -EINVAL: it is neither. */
int sut_addr_read(const char *ip, uint16_t port, struct sut_addr *ret_a);

/* Reads "192.0.2.1/24" or "2001:db8::1/64".  0, or -EINVAL. */
int sut_net_read(const char *text, struct sut_net *ret_n);

/* Writes "192.0.2.1:80" or "[2001:db8::1]:80", and returns ret_text (SUT_ADDR_TEXT bytes). */
const char *sut_addr_text(const struct sut_addr *a, char *ret_text);

/* --- packets */

/* How the checksum of a packet stands. */
enum sut_csum {
	SUT_CSUM_UNKNOWN, /* it is in the packet; one that comes in is verified */
	SUT_CSUM_COMPLETE, /* it is in the packet; of one that comes in a device has found it right */
	/* It is the pseudo-header's sum; a device finishes it, from csum_start on, into csum_start + csum_offset. */
	SUT_CSUM_PARTIAL,
};

/* What a packet leaves to a device: the fields of a virtio-net header.  gso_type 0 is an ordinary packet. */
struct sut_offload {
	uint8_t csum; /* enum sut_csum */
	uint8_t gso_type; /* 1: TCP over IPv4, 4: TCP over IPv6, + 0x80 with ECN */
	uint16_t gso_size; /* payload bytes of each segment of a super-packet */
	uint16_t hdr_len; /* bytes of all headers */
	uint16_t csum_start, csum_offset; /* from the IP header's first byte; from csum_start */
};

/* Bytes in front of iov[0] that the output callback may write: room for the header of its device. */
#define SUT_HEADROOM 64

/*
 * An IP packet that goes out: iov[0] holds its headers, the others its payload, len bytes in all.  All of it, iov too, is the
 * callback's to change, and valid during the call only.
 */
struct sut_packet {
	struct iovec *iov;
	unsigned iovs; /* 1 to SUT_IOVS */
	uint32_t len;
	struct sut_offload off;
};

#define SUT_IOVS 41

/* --- a stack */

struct sut_stack;

/* sut_stack_config.flags */
enum sut_stack_flag {
	SUT_TIMESTAMPS = 1, /* RFC 7323; on by default, as the next four */
	SUT_SACK = 2, /* RFC 2018 */
	SUT_WSCALE = 4, /* RFC 7323 */
	SUT_ECN = 8, /* RFC 3168 */
	SUT_FASTOPEN = 16, /* RFC 7413 */
	SUT_OFFLOAD_CSUM = 32, /* packets may go out with partial checksums */
	/* and, with the flag above, as super-packets of up to gso_max payload bytes */
	SUT_OFFLOAD_TSO = 64,
};

enum sut_cc { SUT_CUBIC, SUT_NEWRENO };

/* 0 in a number is refused, but where its comment gives it a meaning. */
struct sut_stack_config {
	size_t size; /* of this struct as the caller knows it: sut_stack_config_init() sets it */
	/* the stack's own addresses: 1 to 16; read by sut_stack_new() only */
	const struct sut_net *nets;
	unsigned net_count;
	uint32_t flags; /* enum sut_stack_flag */
	uint32_t mtu; /* bytes of an IP packet: 576 (with IPv6: 1280) to 65535; default 1500 */
	/*
	 * payload bytes of a super-packet: mtu - 40 to 65475 (not 0), looked at with SUT_OFFLOAD_TSO only; default
	 * 65000
	 */
	uint32_t gso_max;
	size_t memory; /* bytes for everything; default 64 MB */
	uint32_t max_conns; /* connections of any state, TIME-WAIT too; default 4096 */
	uint32_t max_listeners; /* default 16 */
	/*
	 * handshakes under way in all, max_conns at most, beyond which SYN cookies are used; 0: they always are;
	 * default 1024
	 */
	uint32_t max_half_open;
	uint32_t sndbuf, rcvbuf; /* bytes that a connection may buffer; default 262144 */
	uint8_t ttl; /* of IP packets; default 64, and so is 0 */
	uint8_t cc; /* enum sut_cc */
	uint64_t msl; /* ns; TIME-WAIT lasts twice as long; default 30 s */
	/* 16 bytes, for sequence numbers and cookies; NULL: drawn at random */
	const uint8_t *secret;

	/* Sends a packet.  0, or -errno: it counts as lost, and TCP sends it again. */
	int (*output)(void *ctx, const struct sut_packet *p);
	uint64_t (*clock)(void *ctx); /* ns, never going back; NULL: CLOCK_MONOTONIC */
	uint64_t (*random)(void *ctx); /* 64 bits that nobody can guess; NULL: getrandom(2) */
	/* One change of a connection's state, in the RFC's names ("ESTABLISHED"), and why; or NULL. */
	void (*trace)(void *ctx, uint64_t now, uint64_t id, const char *from, const char *to,
		      const char *why);
	/* What sut_write_ref() was given is not needed any more; may be NULL where that is not called. */
	void (*release)(void *ctx, uint64_t cookie);
	void *ctx; /* for all of these */
};

/* Sets all of c to its defaults, and size to sizeof *c: call it as sut_stack_config_init(&c, sizeof c). */
void sut_stack_config_init(struct sut_stack_config *c, size_t size);

/* Bytes of every sentence that sut_stack_new() writes. */
#define SUT_ERROR_TEXT 96

/*
 * Makes a stack.  0, or
 *   -EINVAL  something in c is impossible or means nothing (an unknown flag, a size that no version has), an address is there
 *            twice, nets or output is missing, or memory is too small for the rest: ret_error (SUT_ERROR_TEXT bytes, or NULL) gets
 *            one sentence
 *   -E2BIG   c->size is that of a later version, and what it has more of is not zero
 *   -ENOMEM  the system has no memory
 *   or what getrandom(2) failed with.
 */
int sut_stack_new(const struct sut_stack_config *c, struct sut_stack **ret_s, char *ret_error);

/* Ends it: nothing is sent and no callback called, connections are just forgotten (sut_abort() resets one).  s may be NULL. */
void sut_stack_free(struct sut_stack *s);

/*
 * Takes an IP packet of len bytes that came in, with its offload state (NULL: an ordinary one whose checksums are verified).  It is
 * not kept.  0, or -EINVAL: it was dropped (malformed, not for us, a wrong checksum ...): sut_stack_dropped() tells why.
 */
int sut_stack_input(struct sut_stack *s, const void *packet, size_t len,
		    const struct sut_offload *off);

/* Why the last packet that was dropped was: one word, as the counters of suture(1) have it; "" if none was. */
const char *sut_stack_dropped(const struct sut_stack *s);

/* Sends what waits: data that was written, ACKs, window updates.  sut_stack_run() does it too. */
void sut_stack_flush(struct sut_stack *s);

/* Does all that is due by now, then what sut_stack_flush() does. */
void sut_stack_run(struct sut_stack *s);

/* When sut_stack_run() has something to do next, on the stack's clock: possibly early, never late; UINT64_MAX: never. */
uint64_t sut_stack_deadline(const struct sut_stack *s);

/*
 * The same for poll(2): milliseconds from now, rounded up; -1: no limit.  And 0 where sut_next() has something to tell, as it may after
 * sut_stack_run(): so a loop that asks just before it waits loses no event.
 */
int sut_stack_timeout(const struct sut_stack *s);

/* The device's MTU has changed.  0, or -EINVAL: it is out of range. */
int sut_stack_set_mtu(struct sut_stack *s, uint32_t mtu);

/* Counter number i, from 0 on: 0, or -ENOENT: there is none.  ret_name ("segments_in") and ret_text (what it counts) may be NULL. */
int sut_stack_counter(const struct sut_stack *s, unsigned i, const char **ret_name,
		      const char **ret_text, uint64_t *ret_value);

/* --- connections; none of these calls blocks */

/*
 * A connection or a listener.  0 is none.  One that was closed is never that of another connection: it gets -EBADF.
 * `user` is the caller's own word for it; events bring it back.
 */
typedef uint64_t sut_id;

/*
 * Listens on local; an ip of zeros is every address of the stack, of both families, 0.0.0.0 (::ffff:0.0.0.0) every IPv4 one.  Where
 * several listen on one port, a connection comes to the one that names its address, else to that of 0.0.0.0, else to that of zeros.
 * backlog: connections that may wait to be accepted.
 * 0, or
 *   -EINVAL         port or backlog is 0
 *   -EADDRNOTAVAIL  local is not an address of the stack, or is 0.0.0.0 and the stack has no IPv4 address
 *   -EADDRINUSE     this very address and port is listened on
 *   -ENOSPC         max_listeners are in use
 */
int sut_listen(struct sut_stack *s, const struct sut_addr *local, unsigned backlog, uint64_t user,
	       sut_id *ret_l);

/* Takes the connection that waits longest.  ret_peer may be NULL.  0, -EAGAIN (none waits), -EINVAL (l is a connection), -EBADF. */
int sut_accept(struct sut_stack *s, sut_id l, uint64_t user, sut_id *ret_c,
	       struct sut_addr *ret_peer);

/*
 * Begins to connect.  local may be NULL, or have an ip of zeros, or 0.0.0.0 where remote is IPv4 (then it is the stack's address
 * in remote's network, else its first one of that family), or port 0 (a free one is chosen at random).  SUT_WRITABLE tells of
 * success, SUT_ERROR of failure; the error is then what sut_read() returns (-ECONNREFUSED, -ETIMEDOUT ...).  Data written
 * before the next flush goes with the SYN where Fast Open is on and the server gave us a cookie before.  0, or
 *   -EINVAL         remote is a broadcast, multicast or zero address or the stack's own, its port is 0, or local is of
 *                   the other family
 *   -ENETUNREACH    the stack has no address of remote's family
 *   -EADDRNOTAVAIL  local is not an address of the stack
 *   -EADDRINUSE     this connection exists
 *   -EAGAIN         no port is free
 *   -ENOSPC         max_conns are in use
 */
int sut_connect(struct sut_stack *s, const struct sut_addr *local, const struct sut_addr *remote,
		uint64_t user, sut_id *ret_c);

/*
 * Puts bytes into the send buffer: as many as it has room for.  Their number (0 only for len 0), or
 *   -EAGAIN    there is no room: SUT_WRITABLE comes when there is
 *   -EPIPE     sut_shutdown() was called, or the connection is over and its error was told
 *   -ENOTCONN  c is a listener
 *   -EBADF
 *   or the connection's error, once (-ECONNRESET, -ETIMEDOUT, -ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH, -EACCES, -EPROTO).
 */
ssize_t sut_write(struct sut_stack *s, sut_id c, const void *bytes, size_t len);

/*
 * As sut_write(), but the bytes stay where they are: they must be there, unchanged, until the release callback is called with this
 * cookie, once, when they are acknowledged or the connection is gone (but not by sut_stack_free()).  All of them are taken, or none; len is 1 to 1 GiB, else -EINVAL.
 */
ssize_t sut_write_ref(struct sut_stack *s, sut_id c, const void *bytes, size_t len,
		      uint64_t cookie);

/*
 * As sut_write() of up to len bytes, but fill() puts them where they are to be (readv(2), say): into the n pieces of room, from the
 * first one on.  It returns how many bytes it has put, or a negative errno value, which is returned; 0 is -EAGAIN, without
 * SUT_WRITABLE to come.  It must not call the stack.
 */
typedef int (*sut_fill)(void *ctx, const struct iovec *room, unsigned n);
ssize_t sut_write_fill(struct sut_stack *s, sut_id c, size_t len, sut_fill fill, void *ctx);

/* The same, with TCP's urgent mark behind the last byte that was taken (RFC 9293, 3.8.5).  New programs have no use for it (RFC 6093). */
ssize_t sut_write_urgent(struct sut_stack *s, sut_id c, const void *bytes, size_t len);

/*
 * Moves up to len bytes that came in order to ret_bytes: their number, or
 *   0          the peer has closed, and all was read (or len is 0); so it is when the connection is over and its error was told
 *   -EAGAIN    nothing is there: SUT_READABLE comes when there is
 *   -ENOTCONN  c is a listener
 *   -EBADF
 *   or the connection's error, once, as for sut_write().
 */
ssize_t sut_read(struct sut_stack *s, sut_id c, void *ret_bytes, size_t len);

/* As sut_read(), but the bytes stay. */
ssize_t sut_peek(struct sut_stack *s, sut_id c, void *ret_bytes, size_t len);

/* As sut_peek(), without a copy: up to max pieces of what can be read, valid until the next call on this stack.  Their number. */
int sut_peek_iov(struct sut_stack *s, sut_id c, struct iovec *ret_iov, unsigned max);

/* Takes n bytes that were looked at.  0, -EINVAL (there are less), -ENOTCONN, -EBADF. */
int sut_consume(struct sut_stack *s, sut_id c, size_t n);

/*
 * From now on payload that comes in order while nothing waits to be read is offered to take() out of the very packet; it returns how many
 * of the len bytes it took, from the first on.  The rest is there to be read.  NULL ends it.  0, -ENOTCONN, -EBADF.
 */
typedef uint32_t (*sut_take)(void *ctx, uint64_t user, const uint8_t *bytes, uint32_t len);
int sut_set_take(struct sut_stack *s, sut_id c, sut_take take, void *ctx);

/* Closes one direction: a FIN follows what was written; reading goes on.  0 (again too), -ENOTCONN (c is over, or a listener), -EBADF. */
int sut_shutdown(struct sut_stack *s, sut_id c);

/*
 * Lets go of c, which is void from now on.  What was written is still sent, then the FIN.  Where data that came was not read, the peer
 * gets a reset instead: read until 0 first.  In TIME-WAIT and later there is no reset, as both ends have closed: unread data is just
 * forgotten.  Of a listener, what waits to be accepted is reset.  0, -EBADF.
 */
int sut_close(struct sut_stack *s, sut_id c);

/* Lets go of c with a reset; what was written and not sent is thrown away.  0, -EBADF. */
int sut_abort(struct sut_stack *s, sut_id c);

/* --- events */

enum sut_event_bit {
	SUT_READABLE = 1, /* bytes that were not there before, or the peer's FIN */
	/* connected, and of a connection just accepted; or there is room again, after a write that did not take all */
	SUT_WRITABLE = 2,
	SUT_ACCEPTABLE = 4, /* a connection waits at the listener */
	SUT_ERROR = 8, /* the connection is over: sut_read() tells why */
	/*
	 * Both directions are closed, and acknowledged.  It may come in one event with SUT_READABLE, while data is
	 * still unread: read until 0 before sut_close().
	 */
	SUT_CLOSED = 16,
	SUT_URGENT = 32, /* the peer has announced urgent data: SUT_OPT_URGENT */
	/* ICMP tells of trouble on the way, the connection goes on: SUT_OPT_SOFT_ERROR */
	SUT_SOFT_ERROR = 64,
};

struct sut_event {
	sut_id id;
	uint64_t user;
	uint32_t events; /* enum sut_event_bit */
};

/* What is to be told next, oldest first: 1, or 0: nothing.  Each bit is told once for each time that it becomes true. */
int sut_next(struct sut_stack *s, struct sut_event *ret_e);

/* --- options */

enum sut_option {
	SUT_OPT_NODELAY, /* 0 or 1: small segments do not wait for ACKs (Nagle off) */
	SUT_OPT_CORK, /* 0 or 1: only full segments go out, for 200 ms at most */
	SUT_OPT_KEEPALIVE, /* 0 or 1 */
	SUT_OPT_KEEP_IDLE_MS, /* before the first probe; 1 or more, default 7200000 */
	SUT_OPT_KEEP_INTERVAL_MS, /* between probes; 1 or more, default 75000 */
	SUT_OPT_KEEP_COUNT, /* unanswered probes that end the connection: 1 to 127, default 9 */
	/* how long data may stay unacknowledged; 0: 15 retransmissions and at least 100 s */
	SUT_OPT_USER_TIMEOUT_MS,
	/* set, 48 to 65495, between sut_connect() and the next flush: a bound; get: payload of a full segment */
	SUT_OPT_MSS,
	SUT_OPT_TTL, /* 1 to 255 */
	SUT_OPT_DSCP, /* 0 to 63 */
	SUT_OPT_CC, /* enum sut_cc */
	SUT_OPT_SNDBUF, /* bytes; at least 2048 are given */
	SUT_OPT_RCVBUF, /* bytes; what was offered to the peer is not taken back */
	SUT_OPT_ERROR, /* get: the pending error, a positive errno value, and clears it; 0: none */
	/* get: what ICMP said last, a positive errno value, and clears it; 0: nothing */
	SUT_OPT_SOFT_ERROR,
	SUT_OPT_URGENT, /* get: bytes up to the urgent mark that are still to be read; 0: none */
	SUT_OPT_QUICKACK, /* 0 or 1: no delayed ACKs */
};

/*
 * 0, or
 *   -EINVAL       the value is out of range
 *   -ENOPROTOOPT  there is no such option
 *   -EPERM        it can only be got
 *   -EISCONN      SUT_OPT_MSS: the SYN has gone out
 *   -EOPNOTSUPP   c is a listener
 *   -EBADF
 */
int sut_set(struct sut_stack *s, sut_id c, enum sut_option o, int64_t value);

/* 0, -ENOPROTOOPT, -EOPNOTSUPP, -EBADF. */
int sut_get(struct sut_stack *s, sut_id c, enum sut_option o, int64_t *ret_value);

/* --- what is known */

enum sut_state {
	SUT_STATE_CLOSED,
	SUT_STATE_LISTEN,
	SUT_STATE_SYN_SENT,
	SUT_STATE_SYN_RECEIVED,
	SUT_STATE_ESTABLISHED,
	SUT_STATE_FIN_WAIT_1,
	SUT_STATE_FIN_WAIT_2,
	SUT_STATE_CLOSE_WAIT,
	SUT_STATE_CLOSING,
	SUT_STATE_LAST_ACK,
	SUT_STATE_TIME_WAIT,
};

/* "SYN-RECEIVED"; "?" for what is no state. */
const char *sut_state_name(enum sut_state state);

/* sut_info.flags */
enum sut_info_flag {
	SUT_INFO_TIMESTAMPS = 1, /* agreed with the peer, as the next three */
	SUT_INFO_SACK = 2,
	SUT_INFO_WSCALE = 4,
	SUT_INFO_ECN = 8,
	SUT_INFO_FASTOPEN = 16, /* data went, or came, in the SYN */
};

/* A function has the name too: C++ needs the word struct in front of it ("struct sut_info i;"), as for stat(2). */
struct sut_info {
	sut_id id;
	uint64_t user;
	struct sut_addr local, remote;
	enum sut_state state;
	uint32_t flags; /* enum sut_info_flag */
	uint8_t snd_wscale, rcv_wscale;
	const char *cc; /* "cubic" */
	const char *recovery; /* "open", "disorder", "recovery", "loss" */
	uint32_t mss; /* payload bytes of a full segment */
	uint32_t cwnd, ssthresh; /* bytes */
	/* bytes that the peer takes now; that we have offered and not got */
	uint32_t snd_wnd, rcv_wnd;
	uint32_t in_flight, unsent, unread, out_of_order; /* bytes */
	uint32_t srtt_us, rttvar_us, min_rtt_us, rto_us;
	/* payload, in order; for the first time; again */
	uint64_t bytes_in, bytes_out, retrans_bytes;
	uint32_t segs_in, segs_out, retrans_segs, timeouts;
	uint32_t iss, irs, snd_una, snd_nxt, rcv_nxt; /* sequence numbers */
	uint64_t age; /* ns */
};

/* Fills the first size bytes of *ret_i, whatever version it is of: call it with sizeof *ret_i.  0, -EBADF. */
int sut_info(const struct sut_stack *s, sut_id c, struct sut_info *ret_i, size_t size);

/* Walks over all connections and listeners, those that are let go too: *cursor begins at 0.  1, or 0: that was all. */
int sut_list(const struct sut_stack *s, uint32_t *cursor, struct sut_info *ret_i, size_t size);

struct sut_usage {
	uint32_t conns, half_open, time_wait, listeners;
	uint64_t buffered; /* bytes of memory that data takes, both ways */
	uint64_t out_of_order; /* of these, for data behind gaps */
};

void sut_stack_usage(const struct sut_stack *s, struct sut_usage *ret_u);

/* For tests: looks whether the stack is sound, slowly.  NULL, or a sentence of what is not. */
const char *sut_stack_check(const struct sut_stack *s);

#ifdef __cplusplus
}
#endif
#endif
