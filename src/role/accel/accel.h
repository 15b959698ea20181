/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_ACCEL_ACCEL_H
#define SUT_ROLE_ACCEL_ACCEL_H
/*
 * accel - the insides of accel-near that its files share: a flow's cold state, and who does what with it.
 *
 *     near.c      the role's interface; bursts; timers        promise.c  a client's SYN: promise it or not
 *     flow.c      life, states, timers, owed packets          hold.c     the client until the server has answered
 *     join.c      the server's answer: joining the halves     pass.c     segments of joined flows
 *     owe.c       packets of our own                          learn.c    what is known of servers
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/wheel.h"
#include "core/env.h"
#include "core/flow.h"
#include "core/make.h"
#include "core/outbox.h"
#include "core/seam.h"
#include "core/store.h"
#include "core/track.h"
#include "role/accel/budget.h"
#include "role/accel/cookies.h"
#include "role/accel/learn.h"
#include "role/accel/near.h"

#define MSS_LEAST 64u /* a smaller MSS is taken for this one: segments have to get somewhere */

/* clang-format off */
#define FLOW_STATES(X) \
	X(FREE,      "no flow") \
	X(VERIFYING, "SYN passed on unpromised: its SYN-ACK teaches us the server's options") \
	X(KEPT,      "promised; the SYN is kept back for the client's first data (merge)") \
	X(FORWARDED, "promised; the SYN is out, data is held until the server answers") \
	X(ANSWERED,  "the server answered; its SYN-ACK waits for the client's own ACK") \
	X(ABORTED,   "the client is gone, or never was: each SYN-ACK of the server's is reset") \
	X(BROKEN,    "the promise could not be kept: the client is told, until it cannot have missed it") \
	X(OPEN,      "joined: segments pass, translated") \
	X(CLOSED,    "ended; the last segments still pass, translated")

enum flow_state {
#define X(id, text) FS_##id,
	FLOW_STATES(X)
#undef X
	FLOW_STATE_COUNT
};
/* clang-format on */

/* Packets of our own that a flow owes; paid by flow_pay as far as the outbox has room, in this order. */
enum {
	OWE_PROMISE = 1, /* SYN-ACK to the client */
	OWE_SYN = 2, /* plain SYN to the server */
	OWE_SYN_DATA = 4, /* SYN with the first held data to the server */
	OWE_ACK_CLIENT = 8, /* the server's acknowledgement of data in SYN, to the client */
	OWE_ACK_SERVER = 16, /* the handshake's ACK to the server */
	OWE_RELEASE = 32, /* the held data to the server */
	OWE_RST_CLIENT = 64,
	OWE_RST_SERVER = 128,
	OWE_RST_ANSWER = 256, /* RST with seq = the ack that the server just sent (cold.rst_seq) */
	OWE_END = 512, /* nothing more: take the flow out when all is paid */
};

struct cold {
	uint8_t state; /* enum flow_state; set_state alone writes it */
	uint8_t syn_sent,
		resent; /* a SYN went out; a second one did (Karn: its RTT tells nothing) */
	uint8_t anew; /* promised without knowing the server: its answer is learnt as a first one */
	uint8_t told_too_big; /* the client was told once of a segment beyond the server's MSS */
	uint8_t client_acked; /* the client's own ACK of the promise was seen */
	/* a segment without SYN came from the server: it has left SYN-RECEIVED */
	uint8_t server_heard;
	uint8_t syn_tries; /* SYNs sent, of any kind */
	uint8_t data_in_syn; /* the last SYN carried data */
	uint8_t verified; /* VERIFYING: the SYN-ACK was seen */
	uint8_t resets; /* BROKEN: resets sent to the client on the timer */
	uint8_t hold_ran_out; /* no first data came in time */
	uint8_t strip_sack; /* promised SACK, the server refused it */
	uint8_t late_syn_seen, late_answered; /* late_syn and late_isn are valid */
	uint8_t idle_looks; /* idle timer looked and saw no packet */
	uint8_t queued; /* in the list of those that owe */
	uint8_t closed_listed; /* in the list of flows that may be evicted */
	uint8_t asked; /* its SYN, not promised, asked for a TFO cookie in the client's name */
	uint8_t mode; /* enum accel_mode: what was done with its SYN */
	uint8_t pending; /* counts against the budget: its client has not shown itself */
	uint8_t journalled; /* a record of it was kept: its end is to be kept too */
	uint8_t restored; /* from a record: what came since is not known; until both sides were heard again */
	uint16_t owe; /* OWE_* */
	uint16_t offered; /* OPT_* bits of the forwarded SYN */
	uint16_t promised; /* OPT_* bits of the promised SYN-ACK */
	uint16_t promised_mss, real_mss;
	uint16_t path_mss; /* of the client's SYN: what its path carries */
	uint16_t promised_window;
	uint16_t syn_window; /* the client's, bytes */
	uint16_t synack_window; /* the server's, bytes */
	uint16_t client_window; /* field of the client's last segment */
	uint8_t client_scale; /* of the client's SYN */
	uint8_t promised_scale;
	uint8_t syn_options_len;
	uint8_t syn_options[40]; /* of the SYN as it is forwarded */
	sut_seq isn; /* the client's */
	sut_seq promise; /* the promised ISN of the server */
	sut_seq syn_end; /* just behind what the SYN carried */
	sut_seq server_acked; /* ack of the real SYN-ACK */
	sut_seq released; /* held data before it has been sent */
	/* newest TSval that left with what the box sent: none goes back behind it (PAWS) */
	uint32_t released_tsval;
	uint32_t syn_tsval; /* the client's TSval in its SYN */
	uint32_t client_tsval; /* the client's last TSval */
	uint32_t promise_tsval; /* TSval of the promised SYN-ACK */
	uint32_t synack_tsval[2]; /* TSval of the first and the last real SYN-ACK, far clock */
	uint32_t synack_tsecr; /* what the first of them echoed */
	uint32_t far_isn; /* the server's ISN as it counts (a sut_farseq's value) */
	uint32_t rst_seq, rst_ack; /* of OWE_RST_ANSWER; rst_ack 0: without ACK */
	uint32_t late_syn; /* a SYN that was passed in a live window, */
	uint32_t late_isn; /* and the ISN of the server's answer to it, far numbers */
	uint32_t next, prev; /* list of owing or closed flows */
	struct hold hold;
	struct seam seam;
	struct track track;
	struct lane client, server; /* how each end's packets look */
	sut_time since; /* when the state was entered */
	sut_time promised_at;
	sut_time syn_at; /* when the last SYN went out */
	sut_time challenged_at; /* when a challenge ACK was last answered; 0: never */
	sut_time syn_wait; /* how long data in the SYN may stay unanswered */
};

/* A list of flows by index, oldest first. */
struct flow_list {
	uint32_t first, last;
};

struct near {
	struct accel_near_config cfg;
	struct role_env env;
	struct flows *flows;
	struct wheel *wheel;
	struct store *store;
	struct learn *learn;
	struct budget budget;
	struct cookies *cookies;
	struct cold *cold;
	struct flow_list owing, closed;
	uint16_t max_cells; /* of one flow */
	uint32_t living; /* flows that cannot go on without us */
	bool draining; /* nothing new is promised */
	sut_time full_until; /* no room lately: nothing new is promised until then */
	struct outbox *out; /* of this call */
	sut_time now; /* of this call */
};

/* A packet on its way through the role. */
struct passing {
	struct packet *p;
	struct view *v;
	unsigned port; /* where it came in */
	uint32_t flow; /* FLOW_NONE if it belongs to none */
};

/* command.c */
void command(struct near *n, const struct packet *p);

/* near.c */
void pass_on(struct near *n, const struct passing *in);
void drop(struct near *n, enum reason why);
void leave_alone(struct near *n, const struct passing *in, enum reason why);

/* owe.c */
/* The options of a SYN with data: their length. */
uint8_t syn_data_options(struct near *n, const struct cold *c, uint8_t ret_opt[40]);
/* Puts an option behind those of a SYN, in place of their padding: their new length, a multiple of 4; 0 if there is no room, and they are as long as they were. */
unsigned options_add(uint8_t opt[40], unsigned len, const uint8_t *more, unsigned more_len);

/* flow.c */
struct flow_rec *rec_of(struct near *n, uint32_t f, enum sut_side sender);
void edges_of(struct near *n, uint32_t f, struct track_edges ret_e[SUT_SIDES]);
/* FLOW_NONE if there is no room; counted */
uint32_t flow_enter(struct near *n, const struct flow_key *client_key);
void flow_remove(struct near *n, uint32_t f);
void flow_shown(struct near *n, uint32_t f); /* its client, or its server, is no forgery */
void set_state(struct near *n, uint32_t f, enum flow_state s, const char *why);
void timer_arm(struct near *n, uint32_t f);
void flow_expire(struct near *n, uint32_t f);
struct server *server_of(struct near *n, uint32_t f); /* entered anew if it was forgotten */
void flow_may_go(struct near *n, uint32_t f); /* evicted first when room is needed */
void break_promise(struct near *n, uint32_t f,
		   const char *why); /* and promises the server no more for a while */
void end_promise(struct near *n, uint32_t f, const char *why);
void owing_add(struct near *n, uint32_t f);
void owing_del(struct near *n, uint32_t f);
const char *flow_state_name(enum flow_state s);

/* owe.c */
/* and pays at once as far as there is room */
void flow_owe(struct near *n, uint32_t f, unsigned owe);
void owe_pay_all(struct near *n);

/* promise.c */
void client_syn(struct near *n, struct passing *in, const struct flow_key *k);
uint32_t promised_isn(const struct near *n, const struct flow_key *k, uint32_t client_isn,
		      uint32_t *ret_ts_base);
void promise_again(struct near *n, const struct passing *in);

/* hold.c */
void client_held(struct near *n, struct passing *in);
void client_broken(struct near *n, struct passing *in);
void hold_expired(struct near *n, uint32_t f);
void syn_unanswered(struct near *n, uint32_t f);
sut_time syn_retry_at(const struct cold *c);

/* join.c */
void server_answer(struct near *n, const struct passing *in);
void flow_join(struct near *n, uint32_t f);
void broken_answer(struct near *n, const struct passing *in);
void verify_answer(struct near *n, const struct passing *in);

/* save.c */
void journal_flow(struct near *n, uint32_t f);
void journal_end(struct near *n, uint32_t f);
void journal_server(struct near *n, struct server *s);
void journal_cookie(struct near *n, const struct cookie *k);
size_t near_save(const void *role, uint32_t *cursor, sut_time now, struct record *ret_record);
int near_restore(void *role, const struct record *record, sut_time now);
bool near_list(const void *role, uint32_t *cursor, sut_time now, struct flow_row *ret_row);

/* pass.c */
void pass_open(struct near *n, struct passing *in);
void pass_set_records(struct near *n, uint32_t f);
void pass_icmp(struct near *n, const struct passing *in);
#endif
