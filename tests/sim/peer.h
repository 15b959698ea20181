/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_PEER_H
#define SUT_SIM_PEER_H
/*
 * peer - one end of a simulated TCP connection: small, scripted, and strict about what it is sent.
 *
 * Sends out_len bytes and a FIN, expects in_len bytes and a FIN; retransmits by time-out and on
 * three duplicate ACKs, with a congestion window, SACK blocks, timestamps and window scaling as
 * negotiated.  It notes as a fault whatever no correct network could bring it: an ACK of what was
 * never sent, wrong bytes, options that were not negotiated, an echoed timestamp that it never
 * sent, data beyond the window or longer than the MSS that it announced.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/packet.h"
#include "base/time.h"
#include "frame.h"
#include "proto/view.h"

enum peer_kind {
	PEER_CLIENT,
	PEER_SERVER,
	PEER_CLOSED, /* a server's port where nobody listens: answers by RST */
	PEER_SILENT, /* answers nothing */
};

struct peer_config {
	enum peer_kind kind;
	struct ends ends;
	uint32_t isn;
	uint16_t mss; /* announced; 0: option left out */
	uint8_t wscale; /* announced; PEER_NO_WSCALE: option left out */
	bool sack, ts; /* offered, or accepted */
	bool syn_data; /* server: takes data in a SYN without a cookie */
	bool delay_acks;
	bool fin_early; /* sends FIN behind its last byte, without waiting for the other's */
	uint32_t ts_base; /* TSval at time 0; one a millisecond */
	uint32_t buffer; /* receive window in bytes */
	uint32_t out_len, in_len;
	uint32_t first_len; /* of out_len, what may be sent before wait_len bytes were received */
	uint32_t wait_len;
	sut_time think; /* from established to the first byte */
	sut_time rto; /* first retransmission time-out */
	sut_time abort_at; /* resets the connection then, and forgets it; SUT_NEVER */
	uint32_t content; /* key of the bytes of this connection */

	/* An end that checks as a kernel does (peer_kernel.h); the rest is for such ends alone. */
	bool kernel;
	bool trims; /* what lies beyond the window is dropped, which is no fault */
	uint32_t echo_slack; /* ms by which an echo may miss what was sent */
	uint32_t ts_back; /* ms by which TSval may go back on its way; more is a fault */

	/* A temper of its own; 0: the usual one. */
	uint16_t seg_max; /* payload bytes of a segment */
	uint8_t cwnd; /* at first, in segments */
	sut_time delack;
	uint32_t abort_after; /* resets the connection when so many bytes were received */
};

#define PEER_NO_WSCALE 0xff

/* clang-format off */
#define PEER_STATES(X) \
	X(LISTEN)	/* a server before its SYN; a client before its start */ \
	X(SYN_SENT) \
	X(SYN_RECEIVED) \
	X(OPEN) \
	X(DONE)		/* all sent and acknowledged, all received, both FINs too */ \
	X(RESET)	/* by the other side's RST */ \
	X(REFUSED)	/* RST to the SYN */ \
	X(TIMED_OUT)	/* the SYN went unanswered */ \
	X(ABORTED)	/* reset by ourselves, as scripted */

enum peer_state {
#define X(id) PEER_##id,
	PEER_STATES(X)
#undef X
};
/* clang-format on */

#define PEER_RANGES 32

struct peer {
	struct peer_config cfg;
	enum peer_state state;
	void (*send)(void *ctx, const uint8_t *frame, uint32_t len);
	void *send_ctx;
	char fault[200]; /* empty: none */

	/* negotiated */
	bool ts_on, sack_on, scale_on;
	uint8_t peer_wscale;
	uint32_t peer_mss;
	uint32_t peer_isn;

	/* sending: offsets into the stream; out_len is the FIN */
	uint32_t una, nxt, max;
	uint64_t wnd_edge; /* highest offset that the other side allowed */
	uint32_t cwnd; /* segments */
	uint32_t recover; /* no second fast retransmission before this was acknowledged */
	uint8_t dup_acks, retries;
	uint16_t ip_id;
	uint32_t ts_first, ts_last; /* TSvals sent */
	sut_time rto_at, think_until;
	sut_time opened;

	/* receiving: offsets */
	uint32_t got; /* in order so far; in_len + 1 with the FIN */
	uint64_t advertised; /* highest offset that we allowed */
	struct {
		uint32_t from, to;
	} ooo[PEER_RANGES];
	uint8_t ooo_count, ack_owed;
	uint32_t ts_recent;
	uint32_t told; /* highest offset that we acknowledged */
	sut_time oow_at; /* when a segment without payload that lay outside was last answered */
	sut_time ack_at;

	uint32_t paws,
		challenges; /* segments dropped as old; as impossible, with a challenge ACK */
};

void peer_init(struct peer *p, const struct peer_config *cfg,
	       void (*send)(void *ctx, const uint8_t *frame, uint32_t len), void *ctx);

/* A client sends its SYN. */
void peer_open(struct peer *p, sut_time now);

/* A frame that came in, and its view; or an ICMP error. */
void peer_input(struct peer *p, const struct packet *pkt, const struct view *v, sut_time now);

/*
 * The path refuses segments of more than mtu bytes of IP packet (a "too big" that quoted this
 * seq).
 */
void peer_too_big(struct peer *p, uint32_t quoted_seq, uint32_t mtu);

void peer_expire(struct peer *p, sut_time now);
sut_time peer_deadline(const struct peer *p);

/* Ends a connection without a word. */
void peer_forget(struct peer *p);

/* Nothing more is to come from this end. */
bool peer_ended(const struct peer *p);

const char *peer_state_name(enum peer_state s);

/* The byte of a connection's stream: content key, who sends (1: client), offset. */
uint8_t peer_byte(uint32_t content, bool from_client, uint32_t offset);

/* For peer_send.c and peer.c alone. */
void peer_send_syn(struct peer *p, sut_time now);
void peer_send_ack(struct peer *p, sut_time now);
void peer_send_rst(struct peer *p, uint32_t seq, bool with_ack, uint32_t ack);
void peer_send_segment(struct peer *p, uint32_t at, uint32_t most, sut_time now);
void peer_pump(struct peer *p, sut_time now);
void peer_fault(struct peer *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#endif
