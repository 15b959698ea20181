/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_HANDOFF_FRONT_INSIDE_H
#define SUT_ROLE_HANDOFF_FRONT_INSIDE_H
/*
 * front_inside - the insides of handoff-front that its files share: a hand-off, a back end, and who does what with them.
 *
 *     front.c         the role's interface: block, bursts, time      front_table.c   hand-offs: slots, look-up, states, timers
 *     front_read.c    clients in the stack: requests, answers        front_out.c     packets and messages of our own
 *     front_over.c    the hand-over, step by step                    front_rung.c    the three rungs: what each sends
 *     front_pass.c    packets of what was handed over                front_way.c     ways, laid and taken away
 *     front_ladder.c  back ends: health, rungs, probes               front_control.c operators
 *     front_icmp.c    errors about a back end's packets              front_near.c    ARP and neighbour discovery
 *     front_save.c    records, listings                             front_renew.c    other back ends, while it runs
 *     front_found.c   what a process before us has laid
 */
#include "base/hash.h"
#include "base/wheel.h"
#include "core/env.h"
#include "core/make.h"
#include "core/outbox.h"
#include "core/plane.h"
#include "core/store.h"
#include "core/way_text.h"
#include "proto/ip.h"
#include "role/handoff/front.h"

#define NONE UINT32_MAX
#define MTU_MADE 2200u /* a packet of our own fits in a slot of the outbox */
#define NO_SCALE 0xff
#define LOOK_AFTER SUT_MS(15000) /* how often quiet ones are looked after */
#define ID_BITS 20u /* of a hand-off's id are its slot; above them its generation */

/* clang-format off */
#define FRONT_STATES(X) \
	X(FREE,     "no hand-off") \
	X(READING,  "in the stack: its request is not whole, or nobody can take it yet") \
	X(ANSWERED, "in the stack: it was given an answer of our own, and is being closed") \
	X(ASKED,    "out of the stack, still: the agent, or the back end's TCP, was asked") \
	X(READY,    "they are ready: its way is laid and its bytes are sent as soon as there is room") \
	X(REPLAY,   "its way is laid; its bytes are sent again until the back end has them") \
	X(RETRACT,  "nothing came of it: the agent was told to forget it, and has not said yet that it has") \
	X(THERE,    "the back end has it") \
	X(CLOSING,  "the back end has it, and a side has closed") \
	X(LINGER,   "it is over: its way stays for the last ACKs")

enum front_state {
#define X(id, text) FR_##id,
	FRONT_STATES(X)
#undef X
	FRONT_STATE_COUNT
};
/* clang-format on */

enum side { CLIENT, BACK }; /* whose packets */

enum hand_flag {
	HF_PROBE = 1, /* nobody's: it tries a rung with our own address as client */
	HF_FIN_CLIENT = 2, /* seen */
	HF_FIN_BACK = 4,
	HF_CLIENT_RST = 8, /* the client's reset went by, or was taken, with the exact number */
	HF_TOLD = 16, /* the agent knows the id: it is told to forget it */
	HF_SPLICED = 32, /* far_isn and the like are known */
	HF_ANSWERED = 64, /* the back end has sent the client something: it can go nowhere else */
	HF_LAID = 128, /* ways are laid in our own plane */
	HF_BPF = 256, /* and at the port plane */
	HF_FOUND = 512, /* a process before us laid its ways: nothing else is known of it */
	HF_RESTORED =
		1024, /* its ways are to be laid: it is from a record, or its back end has moved */
	HF_CLAIMED = 2048, /* the plane knows that what comes from the back end is ours */
	HF_KNOWN = 4096, /* its agent has spoken of this id: it need not be told of it again */
	HF_COUNTED = 8192, /* among its back end's connections */
	HF_JOURNALLED = 16384, /* a record of it was kept */
	HF_LISTED = 32768, /* of a record: its way lay in the data plane at the beginning */
};

/* One connection, from the handshake to the last ACK. */
struct hand {
	struct way_key key[2]; /* as packets of that side come in; key[BACK]: splices and probes */
	uint32_t next_hash[2];
	uint32_t next; /* free slots: the next one, + 1 */
	bool queued; /* among them */
	uint32_t id; /* slot, and generation above it; 0: free */
	uint16_t flags; /* enum hand_flag */
	uint8_t in_table; /* bit per side */
	uint8_t state; /* enum front_state: hand_set_state() alone */
	uint8_t rung; /* enum front_rung */
	uint8_t origin;
	uint8_t refuse; /* index of the answer that it gets where it ends in ANSWERED */
	uint8_t sends; /* of the same thing, to back off by */
	uint32_t
		passed; /* packets of the client since it is THERE, until the plane in the kernel has its way */
	uint32_t backend; /* NONE */
	uint64_t tried; /* back ends that did not take it */
	conn_id conn; /* READING, ANSWERED */
	struct lane lane; /* of the client's packets */
	struct stack_detached d;
	uint32_t acked; /* by a splice's back end */
	/* behind the FIN of each side, as the client counts; where flags has it */
	uint32_t fin_end[2];
	uint8_t fins_acked; /* HF_FIN_*: those that the other side has */
	bool has_ended; /* its agent says so, and nobody waits for anything of it */
	uint32_t base,
		end; /* seq: of the first byte to be caught up, behind the last one (FIN included) */
	uint32_t first, last; /* cells with those bytes; STORE_NONE */
	/* splice: the back end's numbers */
	uint32_t far_isn, far_ts;
	uint8_t far_scale; /* NO_SCALE: it scales no windows, neither way */
	bool far_has_ts;
	sut_time since; /* the state was entered */
	sut_time born;
	sut_time begun; /* with this id */
	sut_time heard; /* a packet came by here, or the plane said so */
};

struct rung_state {
	bool probed, ok;
	char why[HAND_WHY_MAX]; /* why it cannot be taken; empty: it can */
	sut_time retry; /* it is probed again */
};

/* One address of a back end: how it is reached, whether it serves, what was probed by it. */
struct face {
	bool up;
	bool has_mac;
	uint8_t mac[6], via[6]; /* its link address; ours towards it */
	uint32_t ifindex; /* of a BPF plane; 0: not told */
	char down_why[64];
	struct rung_state rung[FRONT_ORIGINS]
			      [RUNG_NONE]; /* of each origin: its host may listen to some */
	uint32_t probe; /* hand-off that probes; NONE */
	uint32_t mtu; /* by the MSS of its last SYN-ACK to a splice; 0: none came */
	uint32_t conns; /* of the back end's, those that come by it */
};

/* Is anything at this index? */
enum place {
	PLACE_FREE,
	PLACE_USED,
	PLACE_LEAVING, /* not in the configuration any more: what it has goes on (front_renew.c) */
};

struct backend {
	struct face face[FRONT_FAMILIES]; /* of the addresses that it has */
	uint8_t place; /* enum place */
	bool deaf; /* its agent cannot be spoken to any more */
	bool weight_told; /* by a command: it is not the configuration's */
	bool draining;
	uint8_t forced; /* enum front_rung; RUNG_NONE: as probed */
	bool has_host;
	struct hand_msg host;
	uint32_t failures; /* rungs that failed, in all */
	bool greeted;
	sut_time hello; /* when the agent was asked last */
};

/* What the last packet of an address said of how it is reached. */
struct reach {
	uint8_t ip[16];
	uint8_t eth[22], eth_len; /* as it came in */
};

#define REACHES 1024u
#define CONFIRM_LAST SUT_MS(10000) /* for word that nothing is there */
#define REPLAY_LAST \
	SUT_MS(60000) /* for the bytes to be acknowledged where the connection is there */

struct front {
	struct front_config cfg;
	struct role_env env;
	struct stack *stack;
	struct plane *plane;
	struct wheel *wheel; /* a timer for each slot, then one for each back end */
	struct store *store;
	uint32_t cells; /* of store */
	struct hand *hand;
	uint32_t *table; /* index * 2 + side, + 1; 0: none */
	uint32_t table_mask;
	struct hash_key table_key;
	uint32_t free, fresh, used;
	uint32_t evict_at; /* where the next one is looked for that may go */
	uint32_t generation;
	uint32_t next_port;
	struct backend backend[ROUTE_BACKENDS];
	conn_id listener[FRONT_ORIGINS];
	uint32_t rcvbuf;
	uint32_t mtu; /* what all hosts take: clients are told of it, and packets of our own fit */
	uint32_t client_ifindex; /* of a BPF plane; 0: not told */
	bool draining;
	bool listed; /* the data plane was asked what lies there */
	bool held_up; /* the outbox was full: there is more to do at once */
	uint8_t own_mac[6];
	bool has_own_mac;
	struct reach *reach;
	struct outbox *over; /* what did not fit in an outbox */
	uint32_t over_at; /* packets of it that are gone */
	char *head; /* bytes of a request, or to be sent again */
	size_t head_room;
	/* of this call */
	struct outbox *out;
	sut_time now;
	const struct packet *cur; /* the frame in hand, as it came in */
	const struct view *cur_view;
};

/* --- front_table.c */

/* A hand-off without a key, in READING; NULL: full. */
struct hand *hand_new(struct front *f);
bool hand_is_full(const struct front *f);
/* Another id: what is still said of the old one is not meant. */
void hand_renew(struct front *f, struct hand *h);
/* The bytes that were kept are not needed any more. */
void hand_cells_give(struct front *f, struct hand *h);
/* The slot is free for another; everything of it is given back. */
void hand_free(struct front *f, struct hand *h);
struct hand *hand_find(struct front *f, const struct way_key *k, enum side *ret_side);
struct hand *hand_by_id(struct front *f, uint32_t id);
/* Can it be the id of a hand-off that is over? */
bool hand_was(const struct front *f, uint32_t id);
/* Takes this slot, which must be free, for a hand-off that another process began; NULL: it is not, or there is none. */
struct hand *hand_take(struct front *f, uint32_t id);
void hand_key_add(struct front *f, struct hand *h, enum side side, const struct way_key *k);
void hand_key_del(struct front *f, struct hand *h, enum side side);
/* The one place where a state changes. */
void hand_set_state(struct front *f, struct hand *h, enum front_state s, const char *why);
void hand_arm(struct front *f, struct hand *h, sut_time at);
uint32_t hand_index(const struct front *f, const struct hand *h);
const char *front_state_name(enum front_state s);
bool key_is_zero(const struct way_key *k);
void key_reverse(const struct way_key *k, struct way_key *ret_k);

/* --- front_out.c */

/* Where the next packet of our own is made. */
struct outbox *front_box(struct front *f);
bool front_room(struct front *f, unsigned packets);
/* What did not fit goes first. */
void front_drain(struct front *f);
/* One message to a port that is joined. */
void front_say(struct front *f, unsigned port, const char *text, size_t len);
SUT_PRINTF(3, 4) void front_sayf(struct front *f, unsigned port, const char *fmt, ...);
void front_tell_agent(struct front *f, uint32_t b, const struct hand_msg *m);
/* The stack's packets. */
int front_emit(void *ctx, const struct stack_out *o);
void reach_note(struct front *f, const struct packet *p, const struct view *v);
/* Where packets to back ends go out. */
unsigned back_port(const struct front *f);

/* --- front_read.c */

void read_accept(struct front *f, conn_id listener, unsigned origin);
void read_event(struct front *f, struct hand *h, uint32_t events);
void read_expired(struct front *f, struct hand *h);
/* Takes h, which is in the stack or out of it, to whoever can take it; to nobody: an answer. */
void read_choose(struct front *f, struct hand *h);
enum refusal { REFUSE_400, REFUSE_408, REFUSE_431, REFUSE_503, REFUSE_CLOSE, REFUSE_RESET };
void read_refuse(struct front *f, struct hand *h, enum refusal why);
void read_stack(struct front *f);
/* Keeps what a client sends while it is in nobody's hands: it was not acknowledged, so it need not be kept (false: it is not), but is sent on sooner. */
bool read_hold(struct front *f, struct hand *h, const struct packet *p, const struct view *v);

/* --- front_over.c */

void over_begin(struct front *f, struct hand *h, uint32_t b, enum front_rung r);
void over_ready(struct front *f, struct hand *h);
void over_there(struct front *f, struct hand *h);
void over_failed(struct front *f, struct hand *h, const char *why);
void over_expired(struct front *f, struct hand *h);
/* The connection is over at the back end. */
void over_gone(struct front *f, struct hand *h, const char *why);
/* Who has it cannot be known: the client is reset. */
void over_lost(struct front *f, struct hand *h);
void over_fin(struct front *f, struct hand *h, unsigned fins);
/* It is over, and both have all of it, last ACKs included: another may have its place. */
bool over_may_go(const struct front *f, const struct hand *h);
/* Its agent says. */
void over_message(struct front *f, uint32_t b, const struct hand_msg *m);
/* Nobody's any more. */
void over_forget(struct front *f, struct hand *h);
void over_end(struct front *f, struct hand *h, const char *why);
/* It is one of its back end's connections, or no longer. */
void over_count(struct front *f, struct hand *h, bool on);

/* --- front_rung.c */

void rung_ask(struct front *f, struct hand *h);
/* Tells the agent again what was announced. */
void rung_announce(struct front *f, struct hand *h);
void rung_replay(struct front *f, struct hand *h);
/* A segment of the splice's back end before its way is laid. */
void rung_answer(struct front *f, struct hand *h, const struct packet *p, const struct view *v);
/* A reset as the client, to the back end. */
void rung_reset(struct front *f, struct hand *h);
void rung_lane(const struct front *f, const struct hand *h, struct lane *ret_l);

/* --- front_way.c */

void way_lay(struct front *f, struct hand *h);
void way_lift(struct front *f, struct hand *h);
/* The data plane forwards the client no more; we do, until it is lifted. */
void way_retire(struct front *f, struct hand *h);
/* The back end has all of it: its way is laid in a data plane elsewhere, and what was for SYN-RECEIVED is over. */
void way_settle(struct front *f, struct hand *h);
/* A packet of its client went by here: soon it is worth a way in the kernel. */
void way_passed(struct front *f, struct hand *h);
/* It lives for long already. */
void way_outside(struct front *f, struct hand *h);
/* The same anew, for a data plane that has lost it or for a hand-off that was restored. */
void way_again(struct front *f, struct hand *h);
void way_look(struct front *f, struct hand *h);
void way_claim(struct front *f, struct hand *h);
void way_message(struct front *f, const struct packet *p);
void way_report(void *ctx, const struct way_event *ev);

/* It is reached in another way: its ways are laid anew, in the data plane as soon as there is room. */
void way_moved(struct front *f, struct hand *h);
/* What lies in the data plane under this key is nobody's. */
void way_remove(struct front *f, const struct way_key *k);

/* --- front_found.c */

/* Asks, once, what a process before us has left in the data plane. */
void found_ask(struct front *f);
/* Is it a line of the answer?  Then it was dealt with. */
bool found_line(struct front *f, const struct way_line *l);
/* Is it restored, and not in the data plane?  A packet of it brings it back there. */
bool found_lost(const struct front *f, const struct hand *h);
/* Instead of what is done for others from time to time, as long as no agent has named it. */
void found_look(struct front *f, struct hand *h);
/* An agent speaks: true if that is of one that was found, and says nothing of it. */
bool found_told(struct front *f, uint32_t b, const struct hand_msg *m);

/* --- front_pass.c */

/* A segment whose key h has at this side. */
void pass_segment(struct front *f, struct hand *h, enum side side, struct packet *p,
		  struct view *v);

/* --- front_ladder.c */

void ladder_init(struct front *f);
/* Another back end is at this place. */
void ladder_new(struct front *f, uint32_t b);
/* What clients are told follows what agents told of their hosts: after listening anew. */
void ladder_limits(struct front *f);
/* The line of one of its addresses in `status`: the length. */
size_t ladder_row(const struct front *f, uint32_t b, unsigned family, char *ret_s, size_t size);
/* The best rung for the client of h and its origin, not better than `from`; RUNG_NONE. */
enum front_rung ladder_rung(const struct front *f, uint32_t b, const struct hand *h,
			    enum front_rung from);
/* Back ends that can take h. */
uint64_t ladder_alive(const struct front *f, const struct hand *h);
/* The rung that h was to take. */
void ladder_failed(struct front *f, const struct hand *h, const char *why);
/* The same, where the agent said nothing: which is so for every address of the back end.  (A splice asks no agent, but the address.) */
void ladder_unanswered(struct front *f, const struct hand *h, const char *why);
void ladder_probed(struct front *f, struct hand *h, bool ok, const char *why);
void ladder_expired(struct front *f, uint32_t b);
void ladder_host(struct front *f, uint32_t b, const struct hand_msg *m);
void ladder_world(struct front *f, const struct packet *p);
const char *rung_name(enum front_rung r);
/* The one in the configuration; -1. */
int backend_named(const struct front *f, const char *name, size_t len);

/* --- front_renew.c */

/* Takes the back ends and routes of another configuration: 0, or -ENOSPC with nothing changed. */
int renew_backends(struct front *f, const struct front_config *c);
/* Has one that leaves nothing left?  Then its place is free. */
void renew_look(struct front *f, uint32_t b);

/* --- others */

/* Listens on the origins, or does no longer. */
void front_listen(struct front *f, bool on);
void control_command(struct front *f, const struct packet *p);
/* Is it one, and was it dealt with? */
bool icmp_forward(struct front *f, struct packet *p, const struct view *v);
bool near_answer(struct front *f, const struct packet *p, const struct view *v);
size_t front_save(const void *role, uint32_t *cursor, sut_time now, struct record *ret_record);
int front_restore(void *role, const struct record *record, sut_time now);
bool front_list(const void *role, uint32_t *cursor, sut_time now, struct flow_row *ret_row);
/* What must outlive the process is told of. */
void save_journal(struct front *f, struct hand *h);
void save_journal_end(struct front *f, const struct hand *h);
/* The same of what operators have told of a back end. */
void save_journal_backend(struct front *f, uint32_t b);

static inline const struct front_backend *backend_cfg(const struct front *f, uint32_t b)
{
	return &f->cfg.backend[b];
}

/* Of which family is this address? */
static inline unsigned ip_family(const uint8_t ip[16])
{
	return !ip_is_mapped(ip);
}

static inline bool backend_has(const struct front *f, uint32_t b, unsigned family)
{
	return f->cfg.backend[b].at[family].port != 0;
}

/* By which of its addresses does b have what this client sends?  That of the client's family, if it has one. */
static inline unsigned backend_family(const struct front *f, uint32_t b, const uint8_t client[16])
{
	unsigned family = ip_family(client);

	return backend_has(f, b, family) ? family : !family;
}

/* The same of a hand-off that has a back end. */
static inline unsigned hand_family(const struct front *f, const struct hand *h)
{
	return backend_family(f, h->backend, h->key[CLIENT].src);
}

static inline const struct stack_addr *hand_at(const struct front *f, const struct hand *h)
{
	return &backend_cfg(f, h->backend)->at[hand_family(f, h)];
}

static inline struct face *hand_face(struct front *f, const struct hand *h)
{
	return &f->backend[h->backend].face[hand_family(f, h)];
}

static inline const struct face *hand_face_const(const struct front *f, const struct hand *h)
{
	return &f->backend[h->backend].face[hand_family(f, h)];
}

static inline bool front_joined(const struct front *f, unsigned port)
{
	return f->env.ports >> port & 1;
}

/* Ports of ways are in network order. */
static inline uint16_t net16(uint16_t v)
{
	be16 b = be16_of(v);

	memcpy(&v, &b, 2);
	return v;
}

static inline bool num_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}
#endif
