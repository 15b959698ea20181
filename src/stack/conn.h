/* SPDX-License-Identifier: MIT */
#ifndef SUT_STACK_CONN_H
#define SUT_STACK_CONN_H
/*
 * conn - the transmission control block (RFC 9293, 3.3.1), and the stack around it: what the files of this folder share.
 *
 * Owns:     the layout.  Each part of it is changed by one file: the name behind it says which.
 * Does not: leave this folder; others see stack.h.
 * Memory:   one block; indices, never pointers (but the application's take(), which is a pointer by nature).  An idle
 *           connection costs sizeof(struct conn) + 16 (timer) + 8 (table): below 1 KB, asserted below.
 */
#include "base/hash.h"
#include "base/seq.h"
#include "base/wheel.h"
#include "core/store.h"
#include "stack/stack.h"

#define CONN_NONE UINT32_MAX

/* A connection's two ends, for the table: hashed as five words.  A listener has raddr and rport zero. */
struct conn_quad {
	uint8_t laddr[16], raddr[16];
	uint16_t lport, rport; /* host order */
	uint32_t zero;
};

_Static_assert(sizeof(struct conn_quad) == 40, "hashed as five words");

/* clang-format off */
enum conn_flag {
	CF_PASSIVE	= 1u << 0,	/* SYN-RECEIVED came out of LISTEN (MUST-11) */
	CF_TS		= 1u << 1,	/* timestamps were agreed (RFC 7323) */
	CF_SACK		= 1u << 2,	/* SACK was agreed (RFC 2018) */
	CF_WSCALE	= 1u << 3,	/* window scaling was agreed */
	CF_ECN		= 1u << 4,	/* ECN was agreed (RFC 3168) */
	CF_ECE		= 1u << 5,	/* ECE goes on every ACK until CWR is seen */
	CF_CWR		= 1u << 6,	/* the next new data carries CWR */
	CF_NODELAY	= 1u << 7,
	CF_CORK		= 1u << 8,
	CF_KEEPALIVE	= 1u << 9,
	CF_QUICKACK	= 1u << 10,
	CF_HELD		= 1u << 11,	/* the application has the handle */
	CF_WAITS	= 1u << 12,	/* finished, in its listener's queue */
	CF_SHUT		= 1u << 13,	/* FIN stands behind the send queue */
	CF_FIN_SENT	= 1u << 14,	/* FIN was sent at least once: snd_nxt counts it */
	CF_FIN_IN	= 1u << 15,	/* the peer's FIN was taken: rcv_nxt counts it */
	CF_ACK_NOW	= 1u << 16,	/* the flush sends an ACK whatever else there is */
	CF_DIRTY	= 1u << 17,	/* in the flush list */
	CF_READY	= 1u << 18,	/* in the ready list */
	CF_WANT_WRITE	= 1u << 19,	/* the application got -EAGAIN on write */
	CF_PUSH		= 1u << 20,	/* the last byte of the send queue carries PSH */
	CF_URG_OUT	= 1u << 21,	/* snd_up is ahead of snd_una */
	CF_URG_IN	= 1u << 22,	/* rcv_up is ahead of what was read */
	CF_ZERO_WINDOW	= 1u << 23,	/* our announced window is 0, or too small to be of use */
	CF_TFO		= 1u << 24,	/* data went, or came, in the SYN */
	CF_NO_READ	= 1u << 25,	/* closed by the application: data that comes now is reset */
	CF_ACK_NXT	= 1u << 26,	/* the last ACK beside a shrunk window stood at snd_nxt */
	CF_COOKIE	= 1u << 27,	/* made out of a SYN cookie */
	CF_STARVED	= 1u << 28,	/* waits for cells (cells.c) */
	CF_TABLE	= 1u << 29,	/* its quad is in the table */
	CF_TFO_COOKIE	= 1u << 30,	/* our SYN-ACK brings a Fast Open cookie (listen.c) */
};

enum conn_timer {
	T_RTX,		/* RFC 6298; SYN and FIN too */
	T_PROBE,	/* tail loss probe (RFC 8985, 7) */
	T_REORDER,	/* RACK's reordering window (RFC 8985, 6.2) */
	T_PERSIST,	/* zero-window probe (RFC 9293, 3.8.6.1) */
	T_DELACK,
	T_KEEP,
	T_USER,		/* R2 (RFC 9293, 3.8.3; RFC 5482) */
	T_WAIT,		/* TIME-WAIT, and FIN-WAIT-2 that nobody holds */
	T_CORK,
	T_COUNT
};
/* clang-format on */

/* Bytes to send, from snd_una on (a SYN is not in it): cells in order.  sendq.c */
struct sendq {
	uint32_t first, last; /* cells; STORE_NONE if empty */
	uint32_t skip; /* bytes of the first cell that are acknowledged */
	uint32_t bytes; /* held, sent or not */
	uint32_t cells;
	uint32_t at_cell, at_off, at_pos; /* a place looked up lately: pos bytes behind the front */
};

/* Bytes that came: in order and unread, and behind gaps.  recvq.c */
struct recvq {
	struct hold ofo; /* behind rcv_nxt; disjoint, in order of seq */
	uint32_t first, last, skip; /* cells in order; bytes of the first one that are read */
	uint32_t unread;
	/* SACK blocks in the order in which they are told, newest first (RFC 2018, 4) */
	uint32_t sack_left[4], sack_right[4];
	uint8_t sacks;
	bool dsack; /* the next ACK tells dsack_* first (RFC 2883) */
	uint32_t dsack_left, dsack_right;
	bool fin_known; /* a FIN waits behind a gap at fin_seq */
	uint32_t fin_seq;
};

/* RFC 6298; microseconds.  rtt.c */
struct rtt {
	uint32_t srtt, rttvar, rto; /* rto without back-off; srtt 0: none was measured */
	uint32_t min; /* the smallest of the last minute; 0: none */
	uint32_t min_at; /* ms */
	uint8_t backoff; /* doublings in force */
};

/* Congestion control.  cc.c; its algorithms see nothing else of a connection */
struct cc {
	uint32_t cwnd, ssthresh; /* bytes */
	uint32_t mss; /* bytes, follows conn.mss */
	uint8_t algo; /* enum stack_cc */
	bool round; /* recovery.c: the ACK in hand ends a round trip */
	uint32_t acked; /* bytes acknowledged that have not made cwnd grow yet */
	uint32_t rtt; /* recovery.c: of the ACK in hand, us; 0: it told none */
	uint32_t w_max, origin; /* cubic, bytes */
	uint32_t k_ms; /* cubic */
	uint32_t w_est; /* cubic's Reno-friendly window, bytes */
	uint32_t est_acked; /* cubic: bytes acknowledged that w_est does not know of */
	uint32_t per_mss,
		per_mss_at; /* cubic: bytes acknowledged for one more mss; found out when, ms */
	sut_time epoch; /* cubic; 0: none */
	uint32_t prior_cwnd, prior_ssthresh,
		prior_w_max; /* before the last reduction, to undo it */
	/* HyStart++ (RFC 9406): smallest RTTs of the last and this round, and when slow start was left; us, 0: none */
	uint32_t hs_last, hs_now, hs_baseline;
	uint8_t hs_samples, hs_rounds;
};

/* One segment or super-packet in flight, in order of seq.  recovery.c */
struct sent {
	uint32_t next, prev; /* records; CONN_NONE at the ends */
	uint32_t tnext, tprev; /* in order of transmission; a lost one: those to be sent again */
	uint32_t seq, len; /* sequence space: a SYN or FIN counts */
	uint32_t resent_ms; /* when it first went again */
	sut_time at; /* last (re)transmission */
	uint8_t flags; /* SENT_* */
	uint8_t times; /* retransmissions */
};

enum { SENT_SACKED = 1, SENT_LOST = 2, SENT_RETRANS = 4, SENT_FIN = 8, SENT_SYN = 16 };

enum recovery_state { REC_OPEN, REC_DISORDER, REC_RECOVERY, REC_LOSS };

/* Loss detection: scoreboard, RACK-TLP (RFC 8985), PRR (RFC 6937).  recovery.c */
struct recovery {
	uint32_t first, last, records; /* sent; how many */
	uint32_t t_first, t_last; /* those in flight, oldest transmission first */
	uint32_t next_lost, last_lost; /* those that are lost and not sent again, by seq */
	uint32_t hint; /* where the last SACK block ended */
	uint32_t in_flight; /* pipe: bytes sent, neither acknowledged, SACKed nor lost (RFC 6675) */
	uint32_t sacked, lost; /* bytes; without SACK sacked is what duplicate ACKs stand for */
	uint32_t seen_left[4], seen_right[4]; /* the last ACK's SACK blocks */
	uint32_t point; /* recovery ends when snd_una passes it */
	uint32_t timed_out; /* snd_una at the last timeout */
	uint8_t state; /* enum recovery_state */
	uint8_t dupacks;
	uint8_t reo_mult; /* RACK.reo_wnd_mult */
	uint8_t reo_persist;
	uint8_t seen;
	bool reordering; /* was seen */
	bool tlp_out; /* a tail loss probe is under way, and ends at tlp_end */
	bool tlp_retrans;
	bool limited; /* output.c: cwnd kept data from going out */
	bool undo; /* the last reduction can be undone */
	bool again; /* what was sent during this recovery is lost too: the next one begins with its end */
	bool dsack_seen; /* dsack_round means something */
	uint32_t tlp_end;
	uint32_t fack; /* highest sequence number SACKed or acknowledged */
	sut_time rack_at; /* RACK.xmit_ts */
	uint32_t rack_end, rack_rtt; /* RACK.end_seq; us */
	uint32_t dsack_round; /* snd_nxt at the last DSACK that widened the window */
	uint32_t rtt_round; /* snd_nxt at the last RTT measurement, */
	uint32_t cc_round; /* at the beginning of this round trip, */
	uint32_t cwr_point; /* and at the last reduction: ECN may ask for one a window */
	uint32_t prr_delivered, prr_out, prr_flight; /* RecoverFS */
	uint32_t undo_seq; /* snd_una when the retransmissions began */
	uint32_t undo_retrans; /* bytes sent again that no DSACK has shown to be needless */
};

struct conn {
	struct conn_quad quad;
	uint32_t next_hash; /* table.c */
	uint32_t gen; /* of the handle; odd while in use */
	uint32_t flags; /* enum conn_flag */
	uint8_t state; /* enum conn_state (ST_*): conn_set_state() alone */
	uint8_t ip; /* 4 or 6 */
	uint8_t ttl, tos; /* tos: DSCP << 2 */
	uint64_t user;

	/* RFC 9293, 3.3.1; host order, numbers as on the wire */
	uint32_t iss, snd_una, snd_nxt, snd_wnd, snd_up, snd_wl1, snd_wl2;
	uint32_t snd_wnd_max; /* the largest window that was offered: for SWS avoidance */
	uint32_t irs, rcv_nxt, rcv_up;
	uint32_t
		rcv_adv; /* right edge of the window that was announced last: it never moves left */
	uint8_t snd_wscale, rcv_wscale;
	uint16_t mss_limit; /* CONNOPT_MSS; 0: none */
	uint32_t
		mss; /* payload bytes of a full segment as it goes out: options are taken off (MUST-16) */
	uint32_t peer_mss, path_mtu; /* as announced; as ICMP or black holes teach it */

	/* timestamps (RFC 7323) */
	uint32_t ts_recent, ts_recent_at; /* at: ms */
	uint32_t ts_off; /* our TSval = ms + ts_off */
	uint32_t last_ack_sent;

	uint32_t sndbuf, rcvbuf;
	uint32_t delack_bytes; /* in order, not acknowledged yet */
	uint32_t rcv_mss; /* the largest segment that came lately: what "full" means to the peer */
	uint32_t urg_read; /* bytes read when rcv_up was announced */
	struct sendq sendq;
	struct recvq recvq;
	struct rtt rtt;
	struct cc cc;
	struct recovery rec;

	/* timers.c */
	sut_time timer[T_COUNT]; /* SUT_NEVER: off */
	sut_time armed; /* the wheel's entry: never later than the earliest timer */
	sut_time opened, last_in, last_out; /* last_out: of new data */
	uint32_t keep_idle_ms, keep_interval_ms, user_timeout_ms;
	uint8_t keep_count, keep_sent;
	uint8_t probes; /* T_PERSIST's or SYN's or TLP's back-off */
	uint8_t rtx_count; /* retransmissions of snd_una in a row */
	uint8_t unheard; /* probes that nothing was heard after */
	sut_time probed; /* when the last one went out */
	uint32_t snd_sml; /* end of the last small segment: Nagle, as Minshall has it */
	uint32_t gso_mss, gso_bytes; /* most of a super-packet: whole segments of gso_mss */
	sut_time rtx_first; /* when the first of them was due: R2 counts from here */

	int16_t error, soft_error; /* positive errno */
	uint32_t events; /* to be told: enum conn_event bits */
	uint32_t next_dirty, next_ready; /* lists of struct stack */
	uint32_t parent; /* its listener, while it is in SYN-RECEIVED or waits */
	uint32_t next_wait; /* in the listener's queue */
	uint32_t next_tw, prev_tw; /* in TIME-WAIT, oldest first (state.c): index + 1 */
	uint32_t next_starved, prev_starved; /* cells.c: index + 1 */
	uint32_t challenge_left; /* of this interval: RFC 5961's limit for each connection */
	uint32_t challenge_since; /* ms */
	uint32_t
		answer_at; /* ms: when an unacceptable segment without data was answered last (reply.c) */
	uint8_t answers; /* doublings of that interval; 0 when an acceptable one comes */
	bool no_ect; /* a SYN of ours did not ask for ECN, so ECT is not set; CE is told of all the same (RFC 3168, 6.1.1) */
	uint8_t fins_left; /* of this interval: answers to FINs that came again */
	uint32_t fins_since; /* ms */
	uint16_t ip_id;
	uint16_t icmp_mtu; /* what was announced and is waited for (RFC 4821) */
	uint32_t icmp_seq; /* end of the segment that it was about */
	uint32_t max_acked; /* longest segment that arrived on this path, with headers */

	conn_take take;
	void *take_ctx;

	uint64_t bytes_in, bytes_out, retrans_bytes;
	uint32_t segs_in, segs_out, retrans_segs, timeouts;
};

_Static_assert(sizeof(struct conn) <= 960, "an idle connection costs less than 1 KB");

struct listener {
	struct stack_addr local; /* ip zero: any; 0.0.0.0: any IPv4 one */
	uint64_t user;
	uint32_t gen; /* odd while in use */
	uint32_t rcvbuf; /* of its connections; 0: the configuration's */
	uint8_t wscale; /* least scale that they are told */
	uint32_t backlog, waiting, half_open;
	uint32_t first, last; /* finished handshakes, oldest first */
	uint32_t next_ready;
	uint32_t events;
	bool ready;
};

/* A Fast Open cookie that a server gave us (RFC 7413, 4.1.3), or len 0: it does not take any. */
struct fastopen_cookie {
	uint8_t server[16], bytes[16];
	uint8_t len;
	bool used; /* the entry holds something */
	uint16_t mss; /* of the server */
};

#define STACK_COOKIES 32u

/* A SYN cookie of ours that has become a connection: it must not become another one.  listen.c */
struct spent {
	uint32_t tag;
	uint32_t until; /* s */
};

#define STACK_SPENT 2048u
#define STACK_SPENT_WAYS 4u

struct stack {
	struct stack_config cfg;
	struct stack_env env;
	sut_time now; /* of the last call */
	uint64_t count[STACK_COUNTER_COUNT];

	/* parts of the block, as offsets from its start: at(s, off) */
	size_t conns, listeners, table, sent, wheel, store;
	uint32_t table_mask;
	struct hash_key table_key;
	uint32_t free_conn, fresh_conn,
		used_conns; /* index + 1, through next_hash; never used ones begin at */
	uint32_t free_sent, fresh_sent,
		used_sent; /* recovery_list.c: index + 1; never used ones begin at; zeroed is right */
	uint32_t half_open, time_wait, used_listeners;
	uint32_t tw_first, tw_last; /* index + 1 */
	uint64_t ofo_bytes;
	uint32_t dirty_first, dirty_last, ready_first, ready_last;
	uint32_t rst_left, ack_left,
		icmp_left; /* answers to strangers that this interval has left */
	uint32_t limits_since; /* ms */
	uint32_t port_salt;
	uint32_t starved_first,
		starved_last; /* cells.c: index + 1 of who waits for cells; 0: none */
	uint32_t cells_out; /* cells.c: how many hold what goes out */
	uint32_t offer_mtu; /* stack_offer_mtu; 0: cfg.mtu */
	struct fastopen_cookie cookies[STACK_COOKIES]; /* negotiate.c */
	uint32_t next_cookie;
	struct spent spent[STACK_SPENT];
	sut_time cookies_until; /* cookies were sent lately: ACKs of strangers may hold one */
	uint8_t emit_head[PACKET_HEADROOM + 128]; /* headers of the packet that goes out */
	struct stack_slice emit_slice[STACK_SLICES];
	unsigned emit_slices; /* in use (emit.c) */
};

static inline void *stack_at(const struct stack *s, size_t off)
{
	return (void *)((uintptr_t)s + off);
}

static inline struct conn *conn_at(const struct stack *s, uint32_t i)
{
	return (struct conn *)stack_at(s, s->conns) + i;
}

static inline uint32_t conn_index(const struct stack *s, const struct conn *c)
{
	return (uint32_t)(c - (struct conn *)stack_at(s, s->conns));
}

static inline struct listener *listener_at(const struct stack *s, uint32_t i)
{
	return (struct listener *)stack_at(s, s->listeners) + i;
}

static inline struct sent *sent_at(const struct stack *s, uint32_t i)
{
	return (struct sent *)stack_at(s, s->sent) + i;
}

static inline struct wheel *stack_wheel(const struct stack *s)
{
	return stack_at(s, s->wheel);
}

static inline struct store *stack_store(const struct stack *s)
{
	return stack_at(s, s->store);
}

static inline bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool after(uint32_t a, uint32_t b)
{
	return before(b, a);
}

static inline uint32_t now_ms(const struct stack *s)
{
	return (uint32_t)(s->now / 1000000);
}

static inline void stack_bump(struct stack *s, enum stack_counter c)
{
	s->count[c]++;
}
#endif
