/* SPDX-License-Identifier: MIT */
#include "role/replica/known.h"

#include <string.h>

#include "core/outbox.h"
#include "core/rewrite.h"
#include "core/segment.h"
#include "proto/icmp.h"
#include "role/replica/command.h"
#include "role/replica/guest.h"
#include "role/replica/half.h"
#include "role/replica/primary.h"
#include "role/replica/reach.h"
#include "role/replica/stamp.h"

/*
 * Theory of operation
 *
 * Towards the secondary: ack and SACK edges += shift, TSecr += clock; from it: seq -= shift,
 * TSval -= clock.  The client's own stream needs no shift, both servers hear the same bytes.
 *
 * The primary may be ahead: then the client acknowledges bytes that the secondary has not sent.
 * TCP drops a segment with such an ack, its payload too, so the ack is lowered to the
 * secondary's highest byte, SACK blocks beyond are taken out, and the rest of the
 * acknowledgement is *withheld*: each time the secondary sends more, a pure ACK made in the
 * client's name follows it up to there, until nothing is withheld.  The tracker sees what the
 * secondary was told, so that a FIN counts as acknowledged when the secondary knows.
 *
 * The hot path is for segments with ACK alone (PSH, URG, ECE, CWR allowed), whose options can
 * hide nothing: none, or the aligned timestamps; numbers near to those seen; an ack that
 * neither goes back nor beyond.  All others take the slow path, which does the same and more.
 */

#define NOP_NOP_TS 0x0101080au
#define TS_ALIGNED 12u
#define TSECR_AT (sizeof(struct tcp_hdr) + 8)
#define OVERTAKEN_TIME SUT_MS(1000) /* how late that may come */

/* Has v no options, or the aligned timestamps? */
SUT_INLINE bool plain_options(const struct packet *p, const struct view *v)
{
	uint32_t len = view_options_len(v);

	return len == 0 || (len == TS_ALIGNED &&
			    load_be32(p->head + v->l4 + sizeof(struct tcp_hdr)) == NOP_NOP_TS);
}

/* What the hot paths ask alike. */
SUT_INLINE bool ordinary(const struct rewrite *r, const struct flow_rec *me, const struct packet *p,
			 const struct view *v)
{
	return (me->flags & (FLOW_FAST | PAIR_EPOCH_MASK)) == r->fast &&
	       (v->flags & (TCP_ACK | TCP_SYN | TCP_FIN | TCP_RST)) == TCP_ACK &&
	       plain_options(p, v);
}

bool known_fast_near(struct rewrite *r, uint32_t rec, struct packet *p, struct view *v)
{
	struct flow_rec *me = flows_rec(r->flows, rec);
	const struct flow_rec *peer = flows_rec_const(r->flows, rec + 1);
	sut_seq ack = { v->ack };

	if (!ordinary(r, me, p, v) || v->seq - peer->acked.v + REACH_FAST >= 2 * REACH_FAST ||
	    !known_near_to(v->ack, me->acked) || seq_before(peer->end, ack) ||
	    seq_before(ack, me->acked))
		return false;
	if (view_options_len(v) != 0)
		stamp_edge(pair_echo(me), load_be32(p->head + v->l4 + TSECR_AT));
	flow_rec_seen(me, v->seq + v->payload_len, v->ack);
	(void)rewrite_fast(p, v, 0, me->add_ack, me->add_ts, false);
	return true;
}

bool known_fast_far(struct rewrite *r, uint32_t rec, struct packet *p, struct view *v)
{
	struct flow_rec *me = flows_rec(r->flows, rec);
	uint32_t seq = v->seq + me->add_seq;

	if (!ordinary(r, me, p, v) || !known_near_to(seq, me->end) ||
	    !known_near_to(v->ack, me->acked))
		return false;
	flow_rec_seen(me, seq + v->payload_len, v->ack);
	*reach_window(me) = v->window | REACH_WINDOW_KNOWN;
	(void)rewrite_fast(p, v, me->add_seq, 0, me->add_ts, true);
	return true;
}

/* Keeps how the client's segments look, for those that may have to be made in its name. */
static void remember(struct pair *c, const struct packet *p, const struct view *v,
		     const struct tcp_options *o)
{
	c->withheld = (struct withheld){
		.any = c->withheld.any,
		.has_ts = o->present & OPT_TS,
		.window = v->window,
		.ack = { v->ack },
		.tsval = o->present & OPT_TS ? o->tsval : 0,
		.tsecr = o->present & OPT_TS ? o->tsecr : 0,
	};
	lane_learn(&c->lane, p, v);
}

/* Keeps s's ack, whose rest the secondary is to hear of later. */
static void withhold(struct turn *t, uint32_t f, const struct packet *p, const struct view *v,
		     const struct tcp_options *o)
{
	struct pair *c = pair_of(t, f);

	if (c->withheld.any && seq_before((sut_seq){ v->ack }, c->withheld.ack))
		return;
	remember(c, p, v, o);
	c->withheld.any = true;
	pair_refresh(t, f);
}

/* Keeps ack and SACK edges of a segment of the client within what the secondary has sent; tell: the rest is for later. */
static void clamp(struct turn *t, uint32_t f, struct packet *p, struct view *v,
		  struct tcp_options *o, bool tell)
{
	sut_seq limit = pair_rec(t, f, FAR)->end;

	if (seq_before(limit, (sut_seq){ v->ack }) && known_near_to(v->ack, limit)) {
		if (tell && !(v->flags & TCP_RST))
			withhold(t, f, p, v, o);
		rewrite_ack(p, v, limit.v);
		count_pass(t->r->env, R_ACK_HELD);
	}
	rewrite_sack_clamp(p, v, o, limit.v);
}

/*
 * The end of the secondary's stream is not known, for a checkpoint made it a copy of the primary
 * in its handshake: what the client acknowledges, the copy has sent.
 */
static void trust_ack(struct turn *t, uint32_t f, const struct view *v)
{
	pair_rec(t, f, FAR)->end.v = v->ack;
	pair_of(t, f)->track.edges_known |= 1u << FAR;
}

static void map_echo(const struct pair *c, struct packet *p, const struct view *v,
		     struct tcp_options *o)
{
	if ((c->far_talks && c->lift_by == 0) || !c->ts_known || !(o->present & OPT_TS))
		return;
	o->tsecr = stamp_echo(c, o->tsecr) - c->seam.ts[FAR];
	rewrite_ts(p, v, o, o->tsval, o->tsecr);
}

void known_release(struct turn *t, uint32_t f)
{
	struct pair *c = pair_of(t, f);
	struct withheld *w = &c->withheld;
	sut_seq to = pair_rec(t, f, FAR)->end;
	struct segment s = { .sender = NEAR, .flags = TCP_ACK, .window = w->window };
	struct make_tcp m = { .flags = TCP_ACK };
	uint8_t ts[12];

	if (!w->any)
		return;
	if (!seq_before(to, w->ack))
		to = w->ack;
	if (seq_before(pair_rec(t, f, NEAR)->acked, to)) {
		s.seq = pair_rec(t, f, NEAR)->end;
		s.ack = to;
		m.seq = seqmap_to_far(&c->seam.seq, NEAR, s.seq).v;
		m.ack = seqmap_to_far(&c->seam.seq, FAR, to).v;
		m.window = seam_window_of(&c->seam, NEAR, w->window);
		make_ts_option(ts, w->tsval, stamp_echo(c, w->tsecr));
		m.options = ts;
		m.options_len = w->has_ts ? sizeof ts : 0;
		if (!make_tcp(t->out, REPLICA_SECONDARY, &c->lane, &m)) {
			pair_set_ready(t, f, true);
			return;
		}
		count_event(t->r->env, EV_MADE);
		count_event(t->r->env, EV_ACK_RELEASED);
		(void)pair_track(t, f, &s, "withheld acknowledgement sent");
	}
	if (seq_before(to, w->ack))
		return;
	w->any = false;
	pair_refresh(t, f);
}

/*
 * How far behind the true start of the server's stream ours lies, as an early ACK that was
 * overtaken shows; 0: it does not.  Time and what the secondary has said keep out the ACKs of a
 * client without a word, when the server's numbers have come round.
 */
static uint32_t overtaken(struct turn *t, uint32_t f, const struct view *v,
			  const struct tcp_options *o)
{
	const struct pair *c = pair_of(t, f);
	uint32_t first = c->track.isn[NEAR].v + 1;
	uint32_t by = c->track.isn[FAR].v + 1 - v->ack;

	if (c->near_isn_sure || pair_by_guest(c) || t->now - c->since >= OVERTAKEN_TIME ||
	    pair_rec(t, f, FAR)->end.v - c->track.isn[FAR].v > KNOWN_OVERTAKEN_MAX)
		return 0;
	if (by == 0 || by >= KNOWN_OVERTAKEN_MAX || (o->present & OPT_SACK) ||
	    v->seq - first > pair_rec(t, f, NEAR)->end.v - first ||
	    track_event_of(v->flags) != TE_ACK || c->track.state != TRACK_ESTABLISHED)
		return 0;
	return by;
}

/*
 * The segment that taught was not the client's first: the primary's ISN is less by this much.
 * All that was read through the wrong shift moves; what the client has acknowledged beyond what
 * the secondary could be told is owed to it.
 */
static void correct(struct turn *t, uint32_t f, uint32_t by)
{
	struct pair *c = pair_of(t, f);
	struct flow_rec *near = pair_rec(t, f, NEAR), *far = pair_rec(t, f, FAR);
	sut_seq isn = { c->track.isn[FAR].v - by };

	c->seam.seq.known &= (uint8_t) ~(1u << FAR);
	(void)seqmap_learn(&c->seam.seq, FAR, isn, c->far_isn);
	c->near_isn = isn;
	c->track.isn[FAR] = isn;
	far->end.v -= by;
	if (!c->withheld.any && c->lane.eth_len != 0) {
		c->withheld.any = true;
		c->withheld.ack = near->acked;
	}
	near->acked.v -= by;
	count_event(t->r->env, EV_CORRECTED);
	pair_refresh(t, f);
}

bool known_correct(struct turn *t, uint32_t f, uint32_t isn)
{
	const struct pair *c = pair_of(t, f);
	uint32_t by = c->track.isn[FAR].v - isn;

	if (pair_by_guest(c) || c->track.state != TRACK_ESTABLISHED || by >= KNOWN_OVERTAKEN_MAX ||
	    pair_rec(t, f, FAR)->end.v - c->track.isn[FAR].v > KNOWN_OVERTAKEN_MAX)
		return false;
	correct(t, f, by);
	known_release(t, f);
	return true;
}

/* A SYN without ACK of the client: never moves a living flow by itself. */
static void near_syn(struct turn *t, uint32_t f, const struct segment *s,
		     const struct tcp_options *o)
{
	struct pair *c = pair_of(t, f);

	if (pair_track(t, f, s, "SYN from the client") == TV_REOPEN && pair_is_closed(c)) {
		if (t->r->failed_over) {
			count_pass(t->r->env, R_NO_FLOW);
			pair_end(t, f, EV_FLOWS_CLOSED, "ports used again after the failover");
			return;
		}
		pair_reopen(t, f, s);
		c->client = pair_offer(o);
		primary_recall(t, f);
	} else if (s->seq.v != c->track.isn[NEAR].v) {
		c->pending = true;
		c->pending_isn = s->seq;
	}
}

static void shift(struct turn *t, uint32_t f, enum sut_side side, struct packet *p, struct view *v,
		  const struct tcp_options *o)
{
	const struct seam *s = &pair_of(t, f)->seam;

	rewrite_shift(p, v, o, seam_add_of(s, side));
	if (seam_rescales(s, side) && !(v->flags & TCP_SYN))
		rewrite_window(p, v, seam_window_of(s, side, v->window));
	count_event(t->r->env, EV_TRANSLATED);
}

/* What the client's segment tells beside its numbers; before anything in it is changed. */
static void hear_client(struct turn *t, uint32_t f, const struct packet *p, const struct view *v,
			const struct tcp_options *o)
{
	struct pair *c = pair_of(t, f);
	uint32_t by;

	if (c->lane.eth_len == 0)
		remember(c, p, v, o);
	if (track_event_of(v->flags) == TE_SYNACK && pair_by_guest(c) && !c->client.known) {
		c->client = pair_offer(o);
		pair_compare(t, f);
	}
	by = overtaken(t, f, v, o);
	if (by != 0) {
		correct(t, f, by);
		c->ts_known = c->ts_known && !(o->present & OPT_TS);
	}
	if (!c->ts_known && (o->present & OPT_TS)) {
		c->near_has_ts = true;
		c->near_tsval = o->tsecr;
		stamp_learn(c);
	}
	stamp_heard(c, pair_rec(t, f, NEAR), v, o);
	if (!pair_far_seen(c))
		trust_ack(t, f, v);
}

/* Does v answer a SYN that no guest has sent?  The primary's may have had data that the secondary's had not. */
static bool answers_nothing(struct turn *t, uint32_t f, const struct view *v)
{
	const struct pair *c = pair_of(t, f);
	sut_seq end = pair_rec(t, f, FAR)->end;

	if (!pair_by_guest(c) || c->track.state != TRACK_SYN_SENT || !guest_is_answer(v))
		return false;
	if (c->primary_end_known && seq_before(end, c->primary_end))
		end = c->primary_end;
	return seq_before(end, (sut_seq){ v->ack });
}

/* Will the secondary refuse v, of the client, for its numbers? */
static bool is_stray(struct turn *t, uint32_t f, const struct view *v)
{
	if (answers_nothing(t, f, v))
		return true;
	return (v->flags & (TCP_SYN | TCP_ACK)) == TCP_ACK &&
	       !reach_near(pair_of(t, f), pair_rec(t, f, NEAR), pair_rec(t, f, FAR), v);
}

/* A segment of the client that is to teach nothing; an old one, or forged: translated as the others. */
static void pass_stray(struct turn *t, uint32_t f, struct packet *p, struct view *v,
		       struct tcp_options *o)
{
	const struct pair *c = pair_of(t, f);

	count_pass(t->r->env, R_WINDOW);
	if (pair_far_seen(c) && !guest_is_answer(v)) /* lowered, an answer would become one */
		clamp(t, f, p, v, o, false);
	map_echo(c, p, v, o);
	shift(t, f, NEAR, p, v, o);
}

static void near_segment(struct turn *t, uint32_t f, struct packet *p, struct view *v,
			 struct tcp_options *o)
{
	struct pair *c = pair_of(t, f);
	struct segment s;

	if (is_stray(t, f, v)) {
		pass_stray(t, f, p, v, o);
		return;
	}
	if (v->flags & TCP_ACK) {
		hear_client(t, f, p, v, o);
		clamp(t, f, p, v, o, true);
		map_echo(c, p, v, o);
	}
	(void)segment_read(v, NEAR, NEAR, &c->seam.seq, &s);
	if (track_event_of(v->flags) == TE_SYN) {
		near_syn(t, f, &s, o);
		return;
	}
	shift(t, f, NEAR, p, v, o);
	if (pair_track(t, f, &s, "segment of the client") == TV_INVALID)
		count_pass(t->r->env, R_STATE);
	pair_refresh(t, f);
	known_release(t, f);
}

/* Does s show that the secondary has left its handshake? */
static bool has_left_handshake(const struct pair *c, const struct segment *s)
{
	if (pair_by_guest(c))
		return s->flags & TCP_ACK;
	return s->payload_len > 0 || (s->flags & TCP_FIN) ||
	       seq_before(seq_add(c->track.isn[NEAR], 1), s->ack);
}

/* If it has not, s may be a SYN-ACK, whose clock bounds what may be echoed. */
static void listen_to(struct turn *t, uint32_t f, const struct segment *s,
		      const struct tcp_options *o)
{
	struct pair *c = pair_of(t, f);

	if (c->far_talks)
		return;
	if (s->flags & TCP_SYN) {
		if (o->present & OPT_TS)
			c->far_tsval_last = o->tsval;
	} else if (has_left_handshake(c, s)) {
		c->far_talks = true;
		pair_refresh(t, f);
	}
}

/* Does the guest's SYN v begin another connection on the ports of c? */
static bool is_new_of_guest(const struct pair *c, const struct view *v)
{
	if (track_event_of(v->flags) != TE_SYN || (pair_by_guest(c) && v->seq == c->far_isn.v))
		return false;
	return pair_is_closed(c) || (pair_by_guest(c) && c->track.state == TRACK_SYN_SENT);
}

/* Has the SYN v of the copied c the number that the primary gave? */
static bool is_the_primarys(struct turn *t, uint32_t f, const struct view *v)
{
	const struct pair *c = pair_of(t, f);
	bool acked = c->track.edges_known & 1u << (NEAR + 2);

	return (c->near_isn_known && c->near_isn.v == v->seq) ||
	       (acked && pair_rec(t, f, NEAR)->acked.v == v->seq + 1);
}

/* The ports are used again, and v, which passes as it is, is the secondary's first word. */
static bool begins_anew(struct turn *t, uint32_t f, struct packet *p, struct view *v)
{
	struct pair *c = pair_of(t, f);
	bool pending = half_answers_pending(c, v), guest = is_new_of_guest(c, v);
	bool again = c->copied && (v->flags & TCP_SYN) && !is_the_primarys(t, f, v);

	if (!pending && !guest && !again)
		return false;
	if (t->r->failed_over) {
		count_pass(t->r->env, R_NO_FLOW);
		pair_end(t, f, EV_FLOWS_CLOSED, "ports used again after the failover");
	} else if (pending) {
		half_restart(t, f, p, v);
	} else if (guest) {
		guest_reopen(t, f, p, v);
	} else {
		half_again(t, f, p, v);
	}
	return true;
}

/*
 * The listener of the secondary was restarted in mid-handshake, after the primary itself had told
 * its ISN: the last SYN-ACK counts.
 */
static void relearn(struct turn *t, uint32_t f, const struct packet *p, const struct view *v)
{
	struct pair *c = pair_of(t, f);

	if (track_event_of(v->flags) != TE_SYNACK || pair_by_guest(c) || c->copied ||
	    c->track.state != TRACK_SYN_RECEIVED || v->seq == c->far_isn.v ||
	    v->ack != c->track.isn[NEAR].v + 1)
		return;
	half_take_far_syn(c, p, v);
	c->seam.seq.known &= (uint8_t) ~(1u << FAR);
	(void)seqmap_learn(&c->seam.seq, FAR, c->track.isn[FAR], c->far_isn);
	stamp_learn(c);
	pair_compare(t, f);
	pair_refresh(t, f);
}

static void far_segment(struct turn *t, uint32_t f, struct packet *p, struct view *v,
			const struct tcp_options *o)
{
	struct pair *c = pair_of(t, f);
	struct segment s;

	if (begins_anew(t, f, p, v))
		return;
	relearn(t, f, p, v);
	c->copied = false;
	if (!(v->flags & (TCP_SYN | TCP_RST)))
		*reach_window(pair_rec(t, f, FAR)) = v->window | REACH_WINDOW_KNOWN;
	stamp_lift(t, f, o);
	(void)segment_read(v, FAR, FAR, &c->seam.seq, &s);
	shift(t, f, FAR, p, v, o);
	if (pair_track(t, f, &s, "segment of the secondary") == TV_INVALID)
		count_pass(t->r->env, R_STATE);
	listen_to(t, f, &s, o);
	pair_refresh(t, f);
	known_release(t, f);
}

void known_segment(struct turn *t, uint32_t f, enum sut_side side, struct packet *p, struct view *v)
{
	struct tcp_options o;

	/* A receiver reads up to a malformed option as we do, and takes the segment. */
	if (view_options(p, v, &o) != R_NONE)
		count_pass(t->r->env, R_TCP_OPT);
	if (side == NEAR)
		near_segment(t, f, p, v, &o);
	else
		far_segment(t, f, p, v, &o);
}

/* The key of the client's packets, from what an error quotes of the primary's. */
static struct flow_key client_key(const struct view *v, const struct icmp_error *e)
{
	struct flow_key k = {
		.sport = be16_of(e->dport),
		.dport = be16_of(e->sport),
		.where = (uint32_t)REPLICA_PRIMARY << 24 | (v->vlan[0] & 0xfffu) << 12 |
			 (v->vlan[1] & 0xfffu),
	};

	memcpy(k.src, e->dst, sizeof k.src);
	memcpy(k.dst, e->src, sizeof k.dst);
	return k;
}

void known_icmp(struct turn *t, struct packet *p, const struct view *v)
{
	struct icmp_error e;
	struct flow_key k;
	uint32_t rec;
	const struct pair *c;

	if (icmp_error_read(p, v, &e) != R_NONE || e.kind == ICMP_OTHER)
		return;
	k = client_key(v, &e);
	rec = flows_find_one(t->r->flows, &k);
	if (rec == FLOW_NONE)
		return;
	command_apply(t, flow_of(rec));
	c = pair_of(t, flow_of(rec));
	if (c->phase != PAIR_KNOWN)
		return;
	icmp_error_set_seq(p, v, &e, seqmap_to_far(&c->seam.seq, FAR, (sut_seq){ e.seq }).v);
	count_event(t->r->env, EV_TRANSLATED);
}
