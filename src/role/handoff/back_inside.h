/* SPDX-License-Identifier: MIT */
#ifndef SUT_ROLE_HANDOFF_BACK_INSIDE_H
#define SUT_ROLE_HANDOFF_BACK_INSIDE_H
/*
 * back_inside - what the files of the agent share: a hand-off, and who does what with it.
 *
 *     back.c         the role's interface: block, bursts, time     back_hand.c    hand-offs: slots, look-up
 *     back_msg.c     what front ends say and are told              back_event.c   what the data plane reports
 *     back_way.c     ways, laid and taken away; debts              back_time.c    what happens when nothing does
 *     back_control.c operators, listings                           back_save.c    records
 *     back_icmp.c    errors about the host's segments, inline
 *     back_found.c   what lies in the data plane after a restart
 */
#include "base/hash.h"
#include "base/wheel.h"
#include "core/env.h"
#include "core/flow_row.h"
#include "core/make.h"
#include "core/outbox.h"
#include "core/plane.h"
#include "core/record.h"
#include "core/way_text.h"
#include "role/handoff/back.h"

#define BACK_FRONT_MAX 64u
#define BACK_NAME_MAX 32u /* with its NUL */
#define BACK_EVENT_MAX 16u /* of one packet */
#define BACK_NEWS_MAX 256u /* hand-offs whose news wait */
#define BACK_PENDING SUT_MS(60000) /* what was announced and never comes is forgotten after */
#define BACK_ORDER \
	SUT_MS(60000) /* of two of a quad the older one is known, and is not taken, for so long */
#define BACK_REPLY SUT_MS(1000) /* the data plane has answered a look by then */

enum back_kind { BACK_ADOPT, BACK_SHIFT, BACK_OPEN };
enum back_way {
	BACK_WAY_IN = 1,
	BACK_WAY_OUT = 2,
	BACK_WAY_BOTH = 3
}; /* the client's direction, the host's */

/* What is owed for a hand-off: messages and ways, in this order. */
enum back_debt {
	DEBT_HUSH = 1, /* the host's answers are swallowed */
	DEBT_DESTROY = 2, /* the host's socket of this quad ends */
	DEBT_CLOSE = 4, /* the client's way goes; what the host says is still dealt with */
	DEBT_WAYS = 8,
	DEBT_WATCH = 16, /* ids, and the end that is watched for */
	DEBT_LOOK = 32,
	DEBT_DEL = 64,
	DEBT_READY = 128,
	DEBT_REFUSED = 256,
	DEBT_STATE = 512,
	DEBT_FREE = 1024, /* the slot, once all else is paid */
};

/* A hand-off.  The client's direction may come to the origin or to the host's own address; the host's is one and names it. */
struct back_hand {
	struct way_key in, out;
	uint32_t next_quad, next_id, next_debt; /* slots + 1 */
	uint32_t id; /* the front end's */
	uint32_t way_id; /* that its ways have, and reports of them */
	uint16_t front; /* + 1; 0: nobody's */
	uint16_t owes;
	bool used, in_debt;
	bool laid; /* ways of it lie in the data plane */
	bool known; /* ... as far as it has told: since a restart */
	bool found; /* among its ways after a restart, and nobody has named it yet */
	bool looked, muted, refused, learnt, has_lane, rst_told;
	bool had; /* its host had the connection: the client may have heard of it */
	bool any_way; /* restored: what id its ways have is not told yet */
	bool in_band; /* its ways may have no id yet: a SYN with a header made them */
	bool stale; /* the ways that lie there are another one's; the SYN that makes its own is still to come */
	bool news; /* its state is to be told, together with what else happens soon */
	bool hurried; /* its front end was told to send again at once */
	uint8_t kind; /* enum back_kind */
	uint8_t state; /* enum hand_state: back_hand_enter() alone */
	bool half; /* after a restart its ways were not a pair: they are nobody's */
	bool stranger; /* its ways are of no origin that is known */
	uint8_t lies; /* after a restart: enum back_way bits that were in the list */
	uint8_t told,
		none; /* enum back_way bits of what was looked for; of what of it was not there */
	uint8_t origin;
	uint8_t acked, fin_in, fin_out, rst;
	uint8_t snd_wscale, rcv_wscale, wscale, options;
	uint16_t mss;
	uint32_t seq, front_seq, front_tsval, end, ack;
	uint32_t shift, clock; /* learnt */
	uint32_t rst_seq; /* with rst_told: what the host, in an older connection, waits for */
	int32_t why; /* refused: errno, 0: nobody listens */
	uint32_t begun; /* by its front end's clock; 0: not said */
	sut_time named; /* when its front end spoke of it first */
	sut_time since, last; /* of the state; when a packet was last seen, as far as looked */
	struct lane lane; /* client to host, as the host meets it: inline */
};

struct back_front {
	char name[BACK_NAME_MAX];
	uint32_t hands;
	bool owes_host;
};

struct back {
	struct back_config cfg;
	const struct role_env *env;
	uint32_t max, count, free, fronts;
	uint32_t fresh; /* slots from here on were never used, and not touched */
	uint32_t way_ids; /* the last one that was given */
	uint32_t strangers;
	uint32_t debt_first, debt_last; /* slots + 1 */
	uint32_t buckets;
	uint32_t at_quads, at_ids, at_hands, at_wheel, at_plane; /* bytes from here */
	bool draining;
	bool asked_list, listing; /* the data plane was asked for all its ways; has not told all */
	uint32_t n_events;
	struct way_event events[BACK_EVENT_MAX];
	uint32_t n_news, news[BACK_NEWS_MAX]; /* slots; who was freed meanwhile has no news */
	sut_time news_at; /* with n_news: when they are told */
	struct back_front front[BACK_FRONT_MAX];
	struct hash_key hash;
};

/* A call into the role. */
struct back_turn {
	struct back *b;
	struct outbox *out;
	sut_time now;
	bool no_room; /* a pair that was just made has to go again */
};

static inline bool back_joined(const struct back *b, unsigned port)
{
	return b->env->ports >> port & 1;
}

/* Is it not known yet what lies in the data plane? */
static inline bool back_is_listing(const struct back *b)
{
	return b->listing || (!b->asked_list && back_joined(b, BACK_PLANE));
}

/* Is the data plane our own? */
static inline bool back_inline(const struct back *b)
{
	return !back_joined(b, BACK_PLANE);
}

static inline struct plane *back_plane(const struct back *b)
{
	return (struct plane *)(void *)((uint8_t *)(uintptr_t)b + b->at_plane);
}

static inline struct wheel *back_wheel(const struct back *b)
{
	return (struct wheel *)(void *)((uint8_t *)(uintptr_t)b + b->at_wheel);
}

/* back_hand.c */
struct back_hand *back_hand_at(const struct back *b, uint32_t slot);
uint32_t back_hand_slot(const struct back *b, const struct back_hand *h);
/* The host's direction for a client's, by the list of origins; the origin's index, or -1: none (ret_out is the key turned round). */
int back_quad(const struct back *b, const struct way_key *in, struct way_key *ret_out);
struct back_hand *back_hand_by_quad(const struct back *b, const struct way_key *out);
/* By the client's direction. */
struct back_hand *back_hand_by_in(const struct back *b, const struct way_key *in);
struct back_hand *back_hand_by_id(const struct back *b, unsigned front, uint32_t id);
bool back_hands_full(const struct back *b);
/* A new one, PENDING; NULL: full.  back_hand_name() gives it to a front end. */
struct back_hand *back_hand_add(struct back_turn *t, const struct way_key *in,
				const struct way_key *out);
void back_hand_name(struct back *b, struct back_hand *h, unsigned front, uint32_t id);
void back_hand_unname(struct back *b, struct back_hand *h);
/* An id for ways that are to be laid: no other way of the quad has it. */
uint32_t back_way_id(struct back *b);
/* Forgets what is said of the connection, not its keys and owner: another one takes its place. */
void back_hand_renew(struct back_turn *t, struct back_hand *h);
void back_hand_free(struct back *b, struct back_hand *h);
void back_hand_enter(struct back_turn *t, struct back_hand *h, enum hand_state state,
		     const char *why);
bool back_hand_over(const struct back_hand *h);
/* Its host had it, and what was to be caught up was not seen to be acknowledged: may be it was. */
bool back_hand_in_doubt(const struct back_hand *h);
/* Would the client hear what it must not, were the ways just taken away: numbers of the host's own, or a second responder? */
bool back_hand_speaks(const struct back_hand *h);

/* back_way.c */
void back_owe(struct back *b, struct back_hand *h, unsigned debts);
/* Its state is owed, within tell_after. */
void back_news(struct back_turn *t, struct back_hand *h);
void back_news_due(struct back *b);
/* Pays as far as there is room. */
void back_pay(struct back_turn *t);
bool back_owes(const struct back *b);
/* Nothing of the client's reaches the host any more; what it says is still dealt with. */
void back_way_close(struct back_turn *t, const struct back_hand *h);
/* A line to the data plane, or what it says done; false: no room. */
bool back_way_line(struct back_turn *t, const struct way_line *l);

/* back_msg.c */
void back_msg_input(struct back_turn *t, const struct packet *p);
/* The front end of this name, + 1, made if it is new; 0: there are too many. */
unsigned back_front_of(struct back *b, const char *name, size_t n);
bool back_tell(struct back_turn *t, unsigned front, const struct hand_msg *m);
bool back_tell_hand(struct back_turn *t, const struct back_hand *h, enum back_debt what);
/* The line of the host, as it is at present. */
void back_host(const struct back *b, struct hand_msg *ret_m);

/* back_event.c */
void back_event(struct back_turn *t, const struct way_event *ev);
void back_plane_input(struct back_turn *t, const struct packet *p);

/* back_found.c */
/* A way that lies in the data plane since before a restart; then, that there are no more. */
void back_have(struct back_turn *t, const struct way_line *l);
void back_listed(struct back_turn *t);

/* back_time.c */
void back_arm(struct back_turn *t, struct back_hand *h);
void back_fire(struct back_turn *t, struct back_hand *h);
void back_seen(struct back_turn *t, struct back_hand *h, const struct way_line *l);

/* back_icmp.c */
/* An error about a segment of a shifted host, from the network, in the host's own terms: true; false: it is none, nothing was changed. */
bool back_icmp(struct back_turn *t, struct packet *p, const struct view *v);

/* back_control.c */
void back_control(struct back_turn *t, const struct packet *p);
bool back_list(const void *role, uint32_t *cursor, sut_time now, struct flow_row *ret_row);

/* back_save.c */
size_t back_save(const void *role, uint32_t *cursor, sut_time now, struct record *ret_record);
int back_restore(void *role, const struct record *record, sut_time now);
#endif
