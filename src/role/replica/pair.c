/* SPDX-License-Identifier: MIT */
#include "role/replica/pair.h"

#include <errno.h>
#include <stddef.h>

#include "core/outbox.h"

/*
 * Theory of operation
 *
 * A flow is in the table from a SYN until one of: its timer, eviction, a refusal, or
 * the proof that its numbers cannot be known.  Its timer is a function of phase and state:
 *
 *     HALF                 half_open_time from the SYN; 1 s once what is held can only be given up
 *     SYN_SENT, _RECEIVED  the same from the last change, though the shift is known
 *     ESTABLISHED, FIN_*   idle_time without a packet    (lazy: a packet only sets FLOW_SEEN)
 *     CLOSING              time_wait without a packet    (lazy)
 *     TIME_WAIT, CLOSED    time_wait from then on, whatever comes
 *
 * Half-open and closed flows stand in one chain in the order in which they became so.  A full
 * table gives up the first of them: a flood of SYNs recycles its own flows, one of short
 * connections recycles closed ones, and an established flow is never given up.
 *
 * Invariants: FLOW_FAST only in KNOWN and ESTABLISHED with nothing held, and towards the client
 * only with no ACK withheld; seam and records agree; opened = in the table + closed + evicted.
 */

#define GIVE_UP_TIME SUT_MS(1000)

void pair_set_ready(struct turn *t, uint32_t f, bool on)
{
	chain_set(&t->r->ready, CHAIN_ROOM(t->r->pairs, struct pair, ready), f, on);
}

static void set_evictable(struct turn *t, uint32_t f, bool on)
{
	chain_set(&t->r->evictable, CHAIN_ROOM(t->r->pairs, struct pair, evict), f, on);
}

void pair_set_waiting(struct turn *t, uint32_t f, bool on)
{
	chain_set(&t->r->waiting, CHAIN_ROOM(t->r->pairs, struct pair, waiting), f, on);
}

unsigned pair_route(const struct rewrite *r, unsigned port)
{
	if (pair_side(port) == NEAR)
		return REPLICA_SECONDARY;
	if (r->failed_over && pair_joined(r, REPLICA_NETWORK))
		return REPLICA_NETWORK;
	if (pair_joined(r, REPLICA_COMPARE))
		return REPLICA_COMPARE;
	return port == REPLICA_SECONDARY && pair_joined(r, REPLICA_SECONDARY_OUT)
		       ? REPLICA_SECONDARY_OUT
		       : REPLICA_PRIMARY;
}

bool pair_is_closed(const struct pair *c)
{
	return c->track.state == TRACK_TIME_WAIT || c->track.state == TRACK_CLOSED;
}

/* Is the handshake not over yet? */
static bool is_half_open(const struct pair *c)
{
	return c->phase == PAIR_HALF || c->track.state == TRACK_SYN_SENT ||
	       c->track.state == TRACK_SYN_RECEIVED;
}

static sut_time later(sut_time now, sut_time by)
{
	return by > SUT_NEVER - now ? SUT_NEVER : now + by;
}

void pair_half_timer(struct turn *t, uint32_t f)
{
	const struct pair *c = pair_of(t, f);
	sut_time at = later(c->since, t->r->cfg.half_open_time);
	sut_time give_up = later(t->now, GIVE_UP_TIME);

	if (c->doomed && give_up < at)
		at = give_up;
	wheel_arm(t->r->wheel, f, at);
}

/* How long a flow in this state stays without a packet. */
static sut_time stays(const struct rewrite *r, const struct pair *c)
{
	if (is_half_open(c))
		return r->cfg.half_open_time;
	return pair_is_closed(c) || c->track.state == TRACK_CLOSING ? r->cfg.time_wait
								    : r->cfg.idle_time;
}

static void known_timer(struct turn *t, uint32_t f)
{
	for (enum sut_side s = NEAR; s < SUT_SIDES; s++)
		pair_rec(t, f, s)->flags &= ~(uint32_t)FLOW_SEEN;
	wheel_arm(t->r->wheel, f, later(t->now, stays(t->r, pair_of(t, f))));
}

bool pair_still_used(struct turn *t, uint32_t f)
{
	struct pair *c = pair_of(t, f);
	uint32_t seen = pair_rec(t, f, NEAR)->flags | pair_rec(t, f, FAR)->flags;

	if (!(seen & FLOW_SEEN) || pair_is_closed(c) || is_half_open(c))
		return false;
	c->restored = false;
	known_timer(t, f);
	return true;
}

/* Is nothing open but the numbers themselves?  For both directions alike. */
static bool is_settled(const struct pair *c)
{
	return c->phase == PAIR_KNOWN && c->track.state == TRACK_ESTABLISHED &&
	       c->held.first == HELD_NONE && (!c->far_has_ts || (c->ts_known && c->far_talks)) &&
	       pair_far_seen(c);
}

static bool near_is_fast(const struct pair *c)
{
	return c->stamps != STAMPS_UNKNOWN && c->lift_by == 0 && !seam_rescales(&c->seam, NEAR);
}

static bool far_is_fast(const struct rewrite *r, const struct pair *c)
{
	return !c->withheld.any && !c->copied && !seam_rescales(&c->seam, FAR) &&
	       (!r->failed_over || c->lifted || !c->ts_known);
}

void pair_refresh(struct turn *t, uint32_t f)
{
	const struct pair *c = pair_of(t, f);
	struct flow_rec *near = pair_rec(t, f, NEAR), *far = pair_rec(t, f, FAR);
	struct seam_add a = seam_add_of(&c->seam, NEAR), b = seam_add_of(&c->seam, FAR);
	bool settled = is_settled(c);
	uint32_t epoch = c->epoch << PAIR_EPOCH_SHIFT;

	near->add_ack = a.ack; /* add_seq: pair_echo(); the other's: reach_window() */
	near->add_ts = a.tsecr;
	far->add_seq = b.seq;
	far->add_ts = b.tsval;
	near->flags = (near->flags & FLOW_SEEN) | epoch |
		      (settled && near_is_fast(c) ? FLOW_FAST : 0);
	far->flags = (far->flags & FLOW_SEEN) | FLOW_TS_VAL | epoch |
		     (settled && far_is_fast(t->r, c) ? FLOW_FAST : 0);
}

static void tell(struct turn *t, uint32_t f, uint8_t from, uint8_t to, const char *why)
{
	const struct role_env *env = t->r->env;
	struct trace_event ev = {
		.now = t->now,
		.key = &pair_rec(t, f, NEAR)->key,
		.from = track_state_name(from),
		.to = track_state_name(to),
		.why = why,
	};

	if (env->trace)
		env->trace(env->trace_ctx, &ev);
}

/* The one place where what follows from a state is done: trace, timer, eviction, fast path. */
static void entered(struct turn *t, uint32_t f, uint8_t from, const char *why)
{
	const struct pair *c = pair_of(t, f);

	tell(t, f, from, c->track.state, why);
	set_evictable(t, f, is_half_open(c) || pair_is_closed(c));
	if (c->phase == PAIR_HALF)
		pair_half_timer(t, f);
	else
		known_timer(t, f);
	pair_refresh(t, f);
}

/* The one place where a phase changes but for its first. */
static void set_phase(struct turn *t, uint32_t f, enum pair_phase phase)
{
	struct pair *c = pair_of(t, f);

	t->r->half_open -= c->phase == PAIR_HALF;
	t->r->half_open += phase == PAIR_HALF;
	c->phase = (uint8_t)phase;
	if (phase != PAIR_HALF)
		pair_set_waiting(t, f, false);
}

static void edges_of(struct turn *t, uint32_t f, struct track_edges ret_e[SUT_SIDES])
{
	for (enum sut_side s = NEAR; s < SUT_SIDES; s++) {
		struct flow_rec *r = pair_rec(t, f, s);

		ret_e[s] = (struct track_edges){ &r->end, &r->acked };
	}
}

enum track_verdict pair_track(struct turn *t, uint32_t f, const struct segment *s, const char *why)
{
	struct pair *c = pair_of(t, f);
	struct track_edges e[SUT_SIDES];
	uint8_t from = c->track.state;
	enum track_verdict v;

	edges_of(t, f, e);
	v = track_segment(&c->track, s, e);
	pair_rec(t, f, s->sender)->flags |= FLOW_SEEN;
	if (c->track.state != from)
		entered(t, f, from, why);
	return v;
}

/*
 * Cold state and records as of a connection of which only this SYN was seen (NULL: one of the
 * guest's, in numbers that say nothing yet); held frames stay.
 */
static void begin(struct turn *t, uint32_t f, const struct segment *syn)
{
	struct pair *c = pair_of(t, f), old = *c;
	struct track_edges e[SUT_SIDES];

	*c = (struct pair){
		.track = { .state = TRACK_SYN_SENT, .opener = FAR },
		.phase = PAIR_HALF,
		.epoch = t->r->epoch,
		.since = t->now,
		.early = syn ? syn->payload_len : 0,
		.evict = old.evict,
		.ready = old.ready,
		.waiting = old.waiting,
		.held = old.held,
	};
	set_evictable(t, f, false);
	for (enum sut_side s = NEAR; s < SUT_SIDES; s++) {
		struct flow_rec *r = pair_rec(t, f, s);

		*r = (struct flow_rec){ .key = r->key };
	}
	edges_of(t, f, e);
	if (syn)
		track_open(&c->track, syn, e);
}

/* Makes room for one flow: false if no flow may be given up. */
static bool evict(struct turn *t)
{
	if (t->r->evictable.first == FLOW_NONE)
		return false;
	pair_end(t, t->r->evictable.first, EV_FLOWS_EVICTED, "evicted");
	return true;
}

static int insert(struct turn *t, const struct flow_key *near, uint32_t *ret_flow)
{
	uint32_t rekeyed = flows_rekeyed(t->r->flows);
	int err = pair_adopt(t, near, ret_flow);

	if (err == -ENOSPC && evict(t))
		err = pair_adopt(t, near, ret_flow);
	t->r->env->counters->event[EV_REKEYED] += flows_rekeyed(t->r->flows) - rekeyed;
	return err;
}

enum reason pair_open(struct turn *t, const struct flow_key *near, const struct segment *syn,
		      uint32_t *ret_flow)
{
	uint32_t f;

	switch (insert(t, near, &f)) {
	case 0:
		break;
	case -ENOSPC:
		return R_FLOWS_FULL;
	case -ENOBUFS:
		return R_BUCKETS_FULL;
	default:
		return R_STATE;
	}
	*pair_of(t, f) = (struct pair){ 0 };
	held_queue_init(&pair_of(t, f)->held);
	begin(t, f, syn);
	t->r->half_open++;
	entered(t, f, TRACK_CLOSED, syn ? "SYN from the client" : "opened by the guest");
	count_event(t->r->env, EV_FLOWS_OPENED);
	*ret_flow = f;
	return R_NONE;
}

void pair_reopen(struct turn *t, uint32_t f, const struct segment *syn)
{
	struct pair *c = pair_of(t, f);
	uint8_t from = c->track.state;

	set_phase(t, f, PAIR_HALF);
	pair_set_waiting(t, f, false); /* behind those of an older epoch */
	begin(t, f, syn);
	pair_set_waiting(t, f, c->held.first != HELD_NONE);
	entered(t, f, from, "ports used again");
	count_event(t->r->env, EV_FLOWS_REOPENED);
}

void pair_end(struct turn *t, uint32_t f, enum event as, const char *why)
{
	struct pair *c = pair_of(t, f);

	tell(t, f, c->track.state, TRACK_CLOSED, why);
	t->r->env->counters->dropped[R_UNKNOWN_SHIFT] += held_clear(t->r->held, &c->held);
	wheel_cancel(t->r->wheel, f);
	t->r->half_open -= c->phase == PAIR_HALF;
	set_evictable(t, f, false);
	pair_set_ready(t, f, false);
	pair_set_waiting(t, f, false);
	flows_remove(t->r->flows, f);
	count_event(t->r->env, as);
}

void pair_give_up(struct turn *t, uint32_t f, enum reason why)
{
	set_phase(t, f, PAIR_GIVEN_UP);
	pair_of(t, f)->why = (uint8_t)why;
}

void pair_far_began(struct pair *c, struct flow_rec *near, struct flow_rec *far, sut_seq isn)
{
	const struct track_edges e[SUT_SIDES] = { { &near->end, &near->acked },
						  { &far->end, &far->acked } };
	struct segment syn = { .sender = FAR, .flags = TCP_SYN, .len = 1, .seq = isn };

	if (pair_by_guest(c)) {
		syn.payload_len = c->early;
		syn.len += c->early;
		track_open(&c->track, &syn, e);
		return;
	}
	syn.flags |= TCP_ACK;
	syn.ack = seq_add(c->track.isn[NEAR], 1);
	(void)track_segment(&c->track, &syn, e);
}

void pair_known(struct turn *t, uint32_t f)
{
	struct pair *c = pair_of(t, f);
	uint8_t from = c->track.state;

	set_phase(t, f, PAIR_KNOWN);
	c->since = t->now;
	c->doomed = false;
	pair_far_began(c, pair_rec(t, f, NEAR), pair_rec(t, f, FAR),
		       seqmap_to_near(&c->seam.seq, FAR, c->far_isn));
	entered(t, f, from, "both numberings of the server's ISN are known");
}

void pair_renewed(struct turn *t, uint32_t f, const char *why)
{
	struct pair *c = pair_of(t, f);

	if (c->phase == PAIR_KNOWN)
		pair_set_waiting(t, f, false);
	entered(t, f, c->track.state, why);
}

int pair_adopt(struct turn *t, const struct flow_key *near, uint32_t *ret_flow)
{
	struct flow_key far;
	int err;

	flow_key_reverse(near, REPLICA_SECONDARY, &far);
	err = flows_insert(t->r->flows, near, &far, ret_flow);
	if (err == -ENOBUFS)
		err = flows_insert(t->r->flows, near, &far, ret_flow);
	return err;
}

void pair_resume(struct turn *t, uint32_t f, const struct pair *c)
{
	*pair_of(t, f) = *c;
	held_queue_init(&pair_of(t, f)->held);
	pair_of(t, f)->epoch = t->r->epoch;
	pair_of(t, f)->restored = true;
	t->r->half_open += c->phase == PAIR_HALF;
	entered(t, f, TRACK_CLOSED, "restored");
	count_event(t->r->env, EV_FLOWS_OPENED);
	if (c->withheld.any)
		pair_set_ready(t, f, true);
}

struct offer pair_offer(const struct tcp_options *o)
{
	return (struct offer){
		.known = true,
		.scaled = o->present & OPT_WSCALE,
		.sack = o->present & OPT_SACK_PERMITTED,
		.ts = o->present & OPT_TS,
		.scale = o->present & OPT_WSCALE ? o->wscale : 0,
	};
}

/* The scales of one half: only where both of its ends offer to scale (RFC 7323, 2.2). */
static void scale(const struct offer *client, const struct offer *server,
		  uint8_t ret_scale[SUT_SIDES])
{
	bool both = client->scaled && server->scaled;

	ret_scale[NEAR] = both ? client->scale : 0;
	ret_scale[FAR] = both ? server->scale : 0;
}

void pair_compare(struct turn *t, uint32_t f)
{
	struct pair *c = pair_of(t, f);
	const struct offer *p = &c->primary, *s = &c->secondary;

	if (!p->known || !s->known || !c->client.known)
		return;
	scale(&c->client, p, c->seam.near_scale);
	scale(&c->client, s, c->seam.far_scale);
	if (!c->compared && c->client.ts + c->client.sack != 0 &&
	    ((c->client.ts && p->ts != s->ts) || (c->client.sack && p->sack != s->sack)))
		count_event(t->r->env, EV_DISAGREED);
	c->compared = true;
	pair_refresh(t, f);
}
