/* SPDX-License-Identifier: MIT */
#ifndef SUT_STACK_PARTS_H
#define SUT_STACK_PARTS_H
/*
 * parts - what each file of the stack does for the others: one section a file, in the order of a segment's way.
 *
 * Does not: hold anything.  The layout is conn.h's.
 */
#include "stack/conn.h"

/* A TCP segment that came in, as the steps of SEGMENT ARRIVES see it.  Trimmed to the window in step one. */
struct seg {
	const struct packet *p;
	const struct view *v;
	struct tcp_options opt;
	uint32_t seq, ack; /* host order */
	uint32_t len; /* sequence space as it came: payload, SYN, FIN */
	uint32_t data_off, data_len; /* what is left of the payload: offset in it, bytes */
	uint32_t wnd; /* scaled (a SYN's: not) */
	uint16_t urg;
	uint8_t flags;
	bool ce; /* IP said Congestion Experienced */
	bool ts_new; /* its timestamp is to be echoed from now on (RFC 7323, 4.3) */
	bool reopens; /* a SYN for a quad in TIME-WAIT: the new ISN lies above isn_floor (MAY-2) */
	uint32_t isn_floor;
};

/* --- addr.c: what an address can be */

/* 0.0.0.0, which is any IPv4 address. */
bool addr_is_any4(const uint8_t ip[16]);
bool addr_is_ours(const struct stack *s, const uint8_t ip[16]);
/* An address of many hosts: a group's, or a broadcast in a network of ours. */
bool addr_is_many(const struct stack *s, const uint8_t ip[16]);
/* Can a single host other than us have it (MUST-46, MUST-63)? */
bool addr_is_peer(const struct stack *s, const uint8_t ip[16]);

/* --- table.c: handles, look-ups, birth and death */

/* The connection with this quad, else NULL. */
struct conn *table_find(struct stack *s, const struct conn_quad *q);
/* The listener for this local end: one of its address before one of 0.0.0.0 before one of any; else NULL. */
struct listener *table_listener(struct stack *s, const uint8_t ip[16], uint16_t port);
/* A new connection in CLOSED, in the table, all timers off, options at their defaults; NULL: full. */
struct conn *conn_new(struct stack *s, const struct conn_quad *q);
/* Gives everything back: buffers, records, timers, lists.  The handle is void. */
void conn_free(struct stack *s, struct conn *c);
struct conn *conn_by_id(const struct stack *s, conn_id id);
struct listener *listener_by_id(const struct stack *s, conn_id id);
conn_id conn_id_of(const struct stack *s, const struct conn *c);
conn_id listener_id_of(const struct stack *s, const struct listener *l);
/* An ephemeral port for this remote end (RFC 6056, 3.3.3), 0 if none is free; local ip and remote are in q. */
uint16_t table_port(struct stack *s, const struct conn_quad *q);
/* Fills in a cleared TCB for q, with everything at its default: conn_new() does. */
void conn_setup(const struct stack *s, struct conn *c, const struct conn_quad *q);
/* The quad of c is free for another connection; c stays. */
void table_remove(struct stack *s, struct conn *c);

/* --- state.c: the one place where a state changes, and what that means */

/* Changes the state: trace, counters, timers, events. */
void conn_set_state(struct stack *s, struct conn *c, enum conn_state to, const char *why);
/* The connection is over with this error (positive errno, 0: closed in order): told to the application, freed if nobody holds it. */
void conn_end(struct stack *s, struct conn *c, int error, const char *why);
/* Tells the application, edge-triggered. */
void conn_tell(struct stack *s, struct conn *c, uint32_t events);
void listener_tell(struct stack *s, struct listener *l, uint32_t events);
/* Both FINs have passed (from FIN-WAIT-2, CLOSING, or FIN-WAIT-1 with FIN and ACK at once): TIME-WAIT. */
void conn_time_wait(struct stack *s, struct conn *c, const char *why);
/* Ends the connection that has been longest in TIME-WAIT and that nobody holds: its slot is needed.  False: there is none. */
bool conn_time_wait_cut(struct stack *s);
/* To be looked at by the next flush. */
void conn_dirty(struct stack *s, struct conn *c);
/* The flush: output_conn() for all that are dirty now. */
void conn_flush_all(struct stack *s);

/* --- listen.c: LISTEN, SYN-RECEIVED's bookkeeping, cookies, Fast Open */

/* A segment for a listener and no connection (RFC 9293, 3.10.7.2). */
void listen_input(struct stack *s, struct listener *l, const struct conn_quad *q, struct seg *g);
/* The handshake of a passive connection is finished: true; false: the application's queue is full, drop the ACK (it comes again). */
bool listen_established(struct stack *s, struct conn *c);
/* Does g acknowledge a cookie that went out before c was half-open?  Then it was dealt with, and c may be gone. */
bool listen_other_isn(struct stack *s, const struct conn *c, struct seg *g);
/* A passive connection in SYN-RECEIVED or in the queue ends. */
void listen_forget(struct stack *s, struct conn *c);
/* The Fast Open option of our SYN-ACK (CF_TFO_COOKIE) in at most room bytes: its length without padding, or 0. */
unsigned listen_cookie_write(const struct stack *s, const struct conn *c, uint8_t *ret_at,
			     unsigned room);

/* --- isn.c: numbers that nobody may guess */
uint32_t isn_make(const struct stack *s, const struct conn_quad *q); /* RFC 6528 */
uint32_t isn_ts_offset(const struct stack *s, const struct conn_quad *q); /* RFC 7323, 5.4 */

/* --- negotiate.c: options of SYN segments */

/* Writes our SYN's or SYN-ACK's options (at most 40 bytes, a multiple of 4, padding zero): their length. */
unsigned negotiate_write(const struct stack *s, struct conn *c, bool synack, uint8_t ret_opt[40]);
/* Does our next SYN ask for ECN? */
bool negotiate_asks_ecn(const struct stack *s, const struct conn *c);
/*
 * Takes the peer's SYN (or SYN-ACK): what is agreed (CF_TS, CF_SACK, CF_WSCALE, CF_ECN), mss, scales, ts_recent, irs, rcv_nxt
 * (irs + 1), rcv_adv, snd_wnd, snd_wnd_max, snd_wl1, snd_wl2; keeps a Fast Open cookie that a SYN-ACK brought.
 */
void negotiate_read(struct stack *s, struct conn *c, const struct seg *g, bool synack);
/*
 * The peer's SYN came again, in SYN-RECEIVED: what it does not offer any more is not agreed (some leave options out when they hear
 * nothing, as something on the way may not like them), and our next SYN-ACK does not have it.
 */
void negotiate_again(struct stack *s, struct conn *c, const struct seg *g);
/* mss anew from peer_mss, path_mtu, options (MUST-16); tells cc. */
void negotiate_mss(struct stack *s, struct conn *c);
/* Bytes of the send queue that may go in our SYN: 0 where no Fast Open cookie is known.  A SYN that goes again carries none. */
uint32_t negotiate_fastopen(const struct stack *s, const struct conn *c);

/* --- input.c: SEGMENT ARRIVES (RFC 9293, 3.10.7), a function for each numbered step */
void input_segment(struct stack *s, struct conn *c, struct seg *g);
/* Does this SYN open a connection anew whose quad is in TIME-WAIT (RFC 6191)? */
bool input_reopens(const struct stack *s, const struct conn *c, const struct seg *g);

/* --- reply.c: segments without a connection's state */

/* A RST for a segment to nobody (3.10.7.1): rate-limited; none for a RST. */
void reply_rst(struct stack *s, const struct conn_quad *q, const struct seg *g);
/* A RST of a connection, with ACK: seq = snd_nxt where the peer's window has that, else as the next one. */
void reply_abort(struct stack *s, struct conn *c);
/* The same where nothing is acknowledged any more: seq is what the peer waits for, as far as that is known. */
void reply_give_up(struct stack *s, struct conn *c);
/* RFC 5961: an ACK of what we expect, limited for each connection and in all. */
void reply_challenge(struct stack *s, struct conn *c);
/* The ACK that an unacceptable segment gets (step one), limited so that no two peers answer each other for ever. */
void reply_unacceptable(struct stack *s, struct conn *c, const struct seg *g);

/* --- recvq.c: reassembly */

/* Both queues empty: conn_new() calls these. */
void recvq_init(struct recvq *q);
void sendq_init(struct sendq *q);

/*
 * Takes the payload of g (already within the window; its first byte is g->seq, behind a SYN g->seq + 1); rcv_nxt follows, and
 * bytes_in.  The bytes that rcv_nxt went on by.  A FIN of g is noted in fin_known and fin_seq, whether it comes in order or
 * not; rcv_nxt does not count it: input.c takes it (rcv_nxt++, CF_FIN_IN) where recvq_fin() says so.
 */
uint32_t recvq_insert(struct stack *s, struct conn *c, const struct seg *g);
/* Has all come that stands before the peer's FIN, and was that not taken yet? */
bool recvq_fin(const struct conn *c);
uint32_t recvq_read(struct stack *s, struct conn *c, uint8_t *ret_bytes, uint32_t len, bool peek);
unsigned recvq_slices(const struct stack *s, const struct conn *c, struct stack_slice *ret_s,
		      unsigned max);
void recvq_consume(struct stack *s, struct conn *c, uint32_t n);
void recvq_clear(struct stack *s, struct conn *c);
/* A segment below rcv_nxt came: the next ACK tells it (RFC 2883). */
void recvq_duplicate(struct conn *c, uint32_t left, uint32_t right);
/* The SACK option for the next ACK in at most room bytes: its length (0, or 2 NOPs + 2 + 8n); a D-SACK is told once. */
unsigned recvq_sack_write(struct conn *c, unsigned room, uint8_t *ret_opt);
/* Bytes of window that can be offered: rcvbuf less what is unread, no more than memory allows; never left of rcv_adv. */
uint32_t recvq_window(const struct stack *s, const struct conn *c);

/* --- cells.c: the memory that all queues share, and who waits for some */

/* A cell, empty; STORE_NONE: none is left, or only those that are kept for the other direction. */
uint32_t cells_take_in(struct stack *s);
/* Where few are left, for a connection that has few (c->sendq.cells counts them). */
uint32_t cells_take_out(struct stack *s, struct conn *c);
void cells_give(struct stack *s, uint32_t i);
void cells_give_out(struct stack *s, struct conn *c, uint32_t i); /* one of cells_take_out() */
/* Cells for what comes in that can still be had. */
uint32_t cells_free_in(const struct stack *s);
/* Bytes that fit in cells that can still be had. */
uint32_t cells_room_in(const struct stack *s);
uint32_t cells_room_out(const struct stack *s, const struct conn *c);
/* Told CONN_WRITABLE when there are cells again: c, which has none. */
void cells_wait(struct stack *s, struct conn *c);
void cells_wait_off(struct stack *s, struct conn *c);
/* The flush: cells are there, and who was told first may have had no use for them: the next ones are told. */
void cells_tell(struct stack *s);

/* --- sendq.c */

/* Copies bytes in: how many (room of sndbuf, cells). */
uint32_t sendq_write(struct stack *s, struct conn *c, const uint8_t *bytes, uint32_t len);
/* Slices of n bytes from pos bytes behind snd_una's data on; their number (at most max; fewer bytes where they do not suffice). */
unsigned sendq_slices(const struct stack *s, struct conn *c, uint32_t pos, uint32_t n,
		      struct stack_slice *ret_s, unsigned max, uint32_t *ret_bytes);
/* One piece that somebody else keeps: len, or 0: there is no room at all. */
uint32_t sendq_ref(struct stack *s, struct conn *c, const uint8_t *bytes, uint32_t len,
		   uint64_t cookie);
/* As stack_write_fill(); -EAGAIN: no room. */
int sendq_fill(struct stack *s, struct conn *c, uint32_t len, stack_filler fill, void *ctx);
/* Bytes that a cell of a send queue stands for. */
uint32_t sendq_cell_len(const struct cell *x);
/* n bytes at the front are acknowledged. */
void sendq_ack(struct stack *s, struct conn *c, uint32_t n);
void sendq_clear(struct stack *s, struct conn *c);
uint32_t sendq_room(const struct stack *s, const struct conn *c);

/* --- output.c: what a connection sends */

/* Sends what may go now: SYN, retransmissions first, new data, FIN; or an ACK if one is owed.  Called by the flush. */
void output_conn(struct stack *s, struct conn *c);
/* Sends an ACK at once. */
void output_ack(struct stack *s, struct conn *c);
/* Sends the first `limit` bytes of this record again, and notes it (recovery_resent); false: the device refused. */
bool output_again(struct stack *s, struct conn *c, uint32_t record, uint32_t limit);
/* A zero-window or keepalive probe: one byte or none, below the window (RFC 9293, 3.8.6.1 and 3.8.4). */
void output_probe(struct stack *s, struct conn *c, bool keepalive);
/* Sends one segment of new data if the window lets it, whatever cwnd, Nagle and CORK say: a tail loss probe; was there any? */
bool output_one(struct stack *s, struct conn *c);
/* The same for all that is held back by Nagle, SWS avoidance or CORK: their time is up. */
void output_force(struct stack *s, struct conn *c);
/* Is there data (or a FIN) that has not been sent? */
bool output_pending(const struct conn *c);
/* May the state send data (and a FIN)? */
bool output_carries_data(const struct conn *c);

struct output_seg { /* one segment of any kind */
	uint32_t seq, ack, pos, len; /* pos: of the payload in the send queue */
	uint8_t flags;
	uint16_t window; /* as on the wire */
	uint16_t urg;
	uint8_t options_len;
	uint8_t ecn; /* IP's ECN bits */
	const uint8_t *options;
	bool payload; /* take len bytes out of the send queue */
};

/* Builds headers (lane: q, ip, ttl, tos) and emits; the one place that does.  c may be NULL: no payload then. */
int output_emit(struct stack *s, struct conn *c, const struct conn_quad *q, uint8_t ttl,
		uint8_t tos, const struct output_seg *o);

/* The options that every segment of c carries (timestamps, SACK in what is left): their length. */
unsigned output_options(struct stack *s, struct conn *c, bool sack, uint8_t ret_opt[40]);
/* The window field for the next segment, and rcv_adv follows. */
uint16_t output_window(struct stack *s, struct conn *c);

/* --- timers.c: named after what happened */
void timer_set(struct stack *s, struct conn *c, enum conn_timer t, sut_time at);
void timer_off(struct stack *s, struct conn *c, enum conn_timer t);
void timers_state(struct stack *s, struct conn *c, enum conn_state from); /* by conn_set_state */
void timers_data_sent(struct stack *s, struct conn *c); /* something with sequence space went out */
void timers_acked(struct stack *s, struct conn *c); /* snd_una advanced: RFC 6298, 5.2 and 5.3 */
void timers_heard(struct stack *s, struct conn *c); /* any acceptable segment: keepalive */
void timers_data_in(struct stack *s, struct conn *c); /* in-order data: delayed ACK */
void timers_ack_sent(struct stack *s, struct conn *c);
/* Data waits and nothing is in flight: T_PERSIST, unless it runs. */
void timers_persist(struct stack *s, struct conn *c);
void timers_idle(struct stack *s, struct conn *c); /* keep_idle_ms is another */
void timers_window(struct stack *s, struct conn *c); /* snd_wnd changed: persist */
/* The user timeout was set, or begins anew: something was sent, or acknowledged. */
void timers_user(struct stack *s, struct conn *c);
/* RTO with its back-off, ns. */
sut_time timers_rto(const struct conn *c);
/* The wheel has popped c: everything due. */
void timers_fire(struct stack *s, struct conn *c);

/* --- rtt.c */
void rtt_init(struct rtt *r);
void rtt_sample(struct rtt *r, uint32_t us, uint32_t at_ms);
/* An RTT that the smoothing is not to know of: the smallest may be it. */
void rtt_lowest(struct rtt *r, uint32_t us, uint32_t at_ms);
/* A timeout: RTO doubles, as far as that changes anything. */
void rtt_back_off(struct rtt *r);
/* The handshake is over and a SYN of it had to be sent again (RFC 6298, 5.7). */
void rtt_syn_lost(struct rtt *r);
uint32_t rtt_rto(
	const struct rtt *r); /* us, with back-off, within 200 ms (1 s until measured) to 120 s */

/* --- cc.c: its algorithms are a table of functions; units are bytes */
struct cc_ops {
	const char *name;
	void (*init)(struct cc *cc);
	/* n bytes were acknowledged in order or by SACK, outside recovery; was cwnd in use? */
	void (*acked)(struct cc *cc, uint32_t n, bool limited, uint32_t srtt_us, sut_time now);
	/* loss by SACK or ECN: ssthresh for flight bytes in flight */
	uint32_t (*ssthresh)(struct cc *cc, uint32_t flight, sut_time now);
};

const struct cc_ops *cc_ops_of(const struct cc *cc);
void cc_init(struct cc *cc, enum stack_cc algo, uint32_t mss); /* IW10 (RFC 6928) */
void cc_set_mss(struct cc *cc, uint32_t mss);
void cc_loss(struct cc *cc, uint32_t flight, sut_time now); /* enters recovery: ssthresh, prior_* */
void cc_timeout(struct cc *cc, uint32_t flight, sut_time now); /* cwnd = 1 mss */
void cc_undo(struct cc *cc);
void cc_idle(struct cc *cc, sut_time idle, uint32_t rto_us); /* RFC 5681, 4.1 */

/* --- recovery.c */
void recovery_init(struct recovery *r);
/* Our SYN is about to go out: iss is known. */
void recovery_begin(struct conn *c);
/* [seq, seq + len) went out for the first time: false: no record left, it must not be sent. */
bool recovery_sent(struct stack *s, struct conn *c, uint32_t seq, uint32_t len, uint8_t flags);
/* Is there a record left for new data of c?  The more it has, the fewer it gets, so that no peer that never acknowledges takes all. */
bool recovery_room(const struct stack *s, const struct conn *c);
/* An acceptable ACK (una < ack <= nxt, or a duplicate): scoreboard, RTT, loss, cwnd.  Called before snd_una moves. */
void recovery_ack(struct stack *s, struct conn *c, const struct seg *g, uint32_t acked);
/* The next record to send again and how many bytes of it, as far as cwnd and PRR let; CONN_NONE: none. */
uint32_t recovery_next(struct stack *s, struct conn *c, uint32_t *ret_len);
void recovery_resent(struct stack *s, struct conn *c, uint32_t record, uint32_t len);
/* Bytes of new data that cwnd (PRR, limited transmit) lets out now. */
uint32_t recovery_allows(const struct stack *s, const struct conn *c);
void recovery_timeout(struct stack *s, struct conn *c); /* T_RTX: all is lost but what was SACKed */
void recovery_reorder(struct stack *s, struct conn *c); /* T_REORDER */
void recovery_probe(struct stack *s, struct conn *c); /* T_PROBE */
/* The window was shut, and opens: what went out into it meanwhile was thrown away. */
void recovery_opened(struct stack *s, struct conn *c);
/* path_mtu is another: so is mss; if that fell, what is in flight and too long is lost (RFC 1191). */
void recovery_mss(struct stack *s, struct conn *c);
void recovery_clear(struct stack *s, struct conn *c);
/* What must hold of the records between two calls; a sentence of what does not, else NULL. */
const char *recovery_check(const struct stack *s, const struct conn *c);

/*
 * --- api.c: the application's calls
 *
 * CLOSE and shutdown set CF_SHUT and change the state at once: ESTABLISHED to FIN-WAIT-1, CLOSE-WAIT to LAST-ACK; output.c sends the
 * FIN behind the last byte.  In SYN-SENT and SYN-RECEIVED they set CF_SHUT only: input.c goes on from ESTABLISHED to FIN-WAIT-1 (from
 * CLOSE-WAIT to LAST-ACK) where CF_SHUT is set.  A closed connection has CF_HELD off and CF_NO_READ on.
 * A listener's slot is taken and given back here (gen, local, used_listeners); table_listener() finds those with an odd gen.
 */

/* Bytes up to the urgent mark that are still to be read (MUST-33). */
uint32_t api_urgent(const struct conn *c);
/* The window may have grown: an ACK tells it where that is worth one. */
void api_window(struct stack *s, struct conn *c);

/* --- icmp_in.c */
enum reason icmp_in(struct stack *s, const struct packet *p, const struct view *v);
#endif
