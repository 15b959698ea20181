/* SPDX-License-Identifier: MIT */
/*
 * pass - segments of joined flows: translated in place and passed on.
 *
 * Ordinary segments of flows that need nothing but shifts take the hot path in near.c (FLOW_FAST); everything else
 * comes here: SYN, FIN, RST, windows to be rescaled, SACK blocks that the server never agreed to, segments larger than the
 * server's real MSS, and all until the server has left SYN-RECEIVED.
 */
#include "role/accel/accel.h"

#include <stddef.h>
#include <string.h>

#include "core/rewrite.h"
#include "proto/checksum.h"
#include "proto/icmp.h"
#include "proto/ip.h"

#define SYN_ACK_FLAGS (TCP_SYN | TCP_ACK)
#define HEARD_WINDOW (1u << 26) /* bytes that a server can be ahead when it is first heard */
#define EDGES_ALL 15u /* track.edges_known: end and acked of both sides */
#define MTU_LEAST4 576u /* RFC 1122, 3.3.2, and RFC 8200, 5: a sender need not go below */
#define MTU_LEAST6 1280u

void pass_set_records(struct near *n, uint32_t f)
{
	const struct cold *c = &n->cold[f];
	bool plain = c->server_heard && !c->restored && c->track.state == TRACK_ESTABLISHED &&
		     !c->strip_sack && c->real_mss >= c->promised_mss &&
		     !seam_rescales(&c->seam, NEAR) && !seam_rescales(&c->seam, FAR);

	for (enum sut_side s = NEAR; s < SUT_SIDES; s++) {
		struct flow_rec *r = rec_of(n, f, s);
		struct seam_add a = seam_add_of(&c->seam, s);

		r->add_seq = a.seq;
		r->add_ack = a.ack;
		r->add_ts = s == NEAR ? a.tsecr : a.tsval;
		r->flags = (plain && c->state == FS_OPEN ? FLOW_FAST : 0u) |
			   (c->state == FS_CLOSED ? 0u : r->flags & FLOW_SEEN) |
			   (s == FAR ? FLOW_TS_VAL : 0u);
	}
}

/* The server repeats its SYN-ACK: our acknowledgement was lost. */
static bool synack_again(struct near *n, const struct passing *in, const struct tcp_options *o)
{
	struct cold *c = &n->cold[in->flow];

	if (in->port != ACCEL_SERVER || (in->v->flags & SYN_ACK_FLAGS) != SYN_ACK_FLAGS ||
	    in->v->seq != c->far_isn)
		return false;
	drop(n, R_SWALLOWED_SYNACK);
	if (o->present & OPT_TS && !c->server_heard)
		c->synack_tsval[1] = o->tsval;
	flow_owe(n, in->flow, OWE_ACK_SERVER);
	return true;
}

static void note_late_syn(struct near *n, const struct passing *in)
{
	struct cold *c = &n->cold[in->flow];

	if ((in->v->flags & SYN_ACK_FLAGS) != TCP_SYN || in->v->seq == c->isn.v)
		return;
	c->late_syn_seen = 1;
	c->late_syn = in->v->seq;
}

/* The server answers a SYN that was passed in a live window. */
static void note_late_answer(struct near *n, const struct passing *in)
{
	struct cold *c = &n->cold[in->flow];

	if ((in->v->flags & SYN_ACK_FLAGS) != SYN_ACK_FLAGS || !c->late_syn_seen ||
	    in->v->ack != c->late_syn + 1)
		return;
	c->late_answered = 1;
	c->late_isn = in->v->seq;
}

/*
 * The client acknowledges that answer: a new connection runs over the flow.  Its options were agreed end to end, so
 * nothing but the shifts is left to do.
 */
static void note_new_life(struct near *n, const struct passing *in)
{
	struct cold *c = &n->cold[in->flow];

	if (!c->late_answered || (in->v->flags & (TCP_SYN | TCP_ACK)) != TCP_ACK ||
	    in->v->seq != c->late_syn + 1 ||
	    in->v->ack + c->seam.seq.shift[FAR] != c->late_isn + 1 || !csum_tcp_ok(in->p, in->v))
		return;
	c->late_syn_seen = c->late_answered = 0;
	for (enum sut_side s = NEAR; s < SUT_SIDES; s++)
		c->seam.near_scale[s] = c->seam.far_scale[s] = 0;
	c->strip_sack = 0;
	c->real_mss = c->promised_mss = UINT16_MAX;
	c->server_heard = 1;
	pass_set_records(n, in->flow);
	journal_flow(n, in->flow);
}

/* The first segment behind its SYN-ACK shows that the server has left SYN-RECEIVED. */
static void note_server(struct near *n, const struct passing *in)
{
	struct cold *c = &n->cold[in->flow];

	if (c->server_heard || in->v->flags & TCP_SYN || !(in->v->flags & TCP_ACK) ||
	    (!c->restored && in->v->seq - (c->far_isn + 1) >= HEARD_WINDOW) ||
	    !csum_tcp_ok(in->p, in->v))
		return;
	c->server_heard = 1;
	pass_set_records(n, in->flow);
	if (c->hold_ran_out && in->v->payload_len && in->v->seq == c->far_isn + 1 &&
	    rec_of(n, in->flow, NEAR)->end.v == c->isn.v + 1) {
		server_of(n, in->flow)->speaks_until = n->now + n->cfg.learn_time;
		count_event(&n->env, EV_SPEAKS_FIRST);
	}
}

/* Room for payload in a segment towards the server with the options of this one. */
static uint32_t payload_room(const struct cold *c, const struct view *v)
{
	uint32_t opt = view_options_len(v);

	return c->real_mss > opt ? c->real_mss - opt : 1;
}

/* What is to be done with a segment, seen from the server's real MSS. */
enum fit { FIT_WHOLE, FIT_CUT, FIT_DROPPED };

/*
 * A segment beyond the server's real MSS.  A super-packet is cut smaller by the device.  The sender of a plain one is told
 * once, by ICMP, and sends again; one that does not listen, or need not (RFC 8200, 5), has its segments cut by the device.
 */
static enum fit fit_mss(struct near *n, const struct passing *in)
{
	struct cold *c = &n->cold[in->flow];
	uint32_t room = payload_room(c, in->v);
	uint32_t mtu = c->real_mss + (in->v->ip == 4 ? 40u : 60u);

	if (in->port != ACCEL_CLIENT || in->v->payload_len <= room ||
	    in->v->flags & (TCP_SYN | TCP_RST | TCP_URG) || !csum_tcp_ok(in->p, in->v))
		return FIT_WHOLE; /* what cannot be cut, or will be dropped by its receiver */
	if (in->p->off.gso_type != GSO_NONE) {
		if (in->p->off.gso_size > room)
			in->p->off.gso_size = (uint16_t)room;
		return FIT_WHOLE;
	}
	if (c->told_too_big || mtu < (in->v->ip == 4 ? MTU_LEAST4 : MTU_LEAST6))
		return FIT_CUT;
	c->told_too_big = 1;
	if (!make_too_big(n->out, ACCEL_CLIENT, in->p, in->v, mtu))
		return FIT_CUT;
	count_event(&n->env, EV_ICMP_SENT);
	count_event(&n->env, EV_MADE);
	drop(n, R_OVERSIZE);
	return FIT_DROPPED;
}

/* Takes off what lies behind the IP packet (padding, a trailer): a device that cuts would take it for payload. */
static void trim(struct packet *p, const struct view *v)
{
	uint32_t end = v->l4 + v->l4_len;
	uint32_t in_body = end > p->head_len ? end - p->head_len : 0;

	if (in_body < p->body_len)
		p->body_len = in_body;
	if (end < p->head_len)
		p->head_len = end;
}

/*
 * Makes a translated segment a super-packet, which the device cuts to what the server takes.  The device finishes the
 * checksums; the one that was there held (fit_mss).
 */
static void make_super(const struct cold *c, const struct passing *in)
{
	struct offload *off = &in->p->off;

	trim(in->p, in->v);
	if (off->csum != CSUM_PARTIAL) {
		view_tcp(in->p, in->v)->csum = be16_of(csum_pseudo(in->p, in->v, in->v->l4_len));
		off->csum = CSUM_PARTIAL;
		off->csum_start = in->v->l4;
		off->csum_offset = offsetof(struct tcp_hdr, csum);
	}
	off->gso_type = in->v->ip == 4 ? GSO_TCP4 : GSO_TCP6;
	off->gso_size = (uint16_t)payload_room(c, in->v);
	off->hdr_len = in->v->payload;
}

/* While the server is in SYN-RECEIVED it takes only TSecr between those of its SYN-ACKs. */
static void clamp_tsecr(const struct cold *c, struct passing *in, const struct tcp_options *o)
{
	uint32_t lo = c->synack_tsval[0], hi = c->synack_tsval[1];
	uint32_t ecr = o->tsecr + c->seam.ts[FAR], was = ecr;

	if (c->server_heard || in->port != ACCEL_CLIENT || !(o->present & OPT_TS) ||
	    !(in->v->flags & TCP_ACK))
		return;
	if (c->restored && (int32_t)(ecr - hi) > 0)
		return; /* it echoes what the server has sent since */
	if ((int32_t)(ecr - lo) < 0)
		ecr = lo;
	else if ((int32_t)(ecr - hi) > 0)
		ecr = hi;
	if (ecr != was)
		rewrite_ts(in->p, in->v, o, o->tsval, ecr);
}

static void translate(struct near *n, struct passing *in, struct tcp_options *o, enum fit fit)
{
	const struct cold *c = &n->cold[in->flow];
	enum sut_side sender = in->port == ACCEL_CLIENT ? NEAR : FAR;

	if (seam_rescales(&c->seam, sender) && !(in->v->flags & TCP_SYN))
		rewrite_window(in->p, in->v, seam_window_of(&c->seam, sender, in->v->window));
	rewrite_shift(in->p, in->v, o, seam_add_of(&c->seam, sender));
	if (sender == NEAR && c->strip_sack && o->present & OPT_SACK)
		rewrite_sack_strip(in->p, in->v, o);
	clamp_tsecr(c, in, o);
	count_event(&n->env, EV_TRANSLATED);
	if (fit == FIT_CUT)
		make_super(c, in);
	pass_on(n, in);
}

/* The tracker's word on a segment; false if the flow is gone and the packet is seen to. */
static bool follow(struct near *n, struct passing *in)
{
	struct cold *c = &n->cold[in->flow];
	enum sut_side sender = in->port == ACCEL_CLIENT ? NEAR : FAR;
	struct track_edges e[SUT_SIDES];
	struct segment s;
	enum track_verdict tv;
	uint8_t was = c->track.state;

	edges_of(n, in->flow, e);
	segment_read(in->v, sender, sender, &c->seam.seq, &s);
	tv = track_segment(&c->track, &s, e);
	if (tv == TV_REOPEN) {
		struct flow_key k = rec_of(n, in->flow, NEAR)->key;

		count_event(&n->env, EV_FLOWS_REOPENED);
		flow_remove(n, in->flow);
		in->flow = FLOW_NONE;
		if (sender == NEAR)
			client_syn(n, in, &k);
		else
			pass_on(n, in);
		return false;
	}
	if (tv == TV_INVALID)
		count_pass(&n->env, R_STATE);
	if (!(in->v->flags & TCP_RST))
		rec_of(n, in->flow, sender)->flags |= FLOW_SEEN;
	if (c->restored && c->track.edges_known == EDGES_ALL) {
		c->restored = 0;
		pass_set_records(n, in->flow);
	}
	if (c->track.state != was)
		pass_set_records(n, in->flow);
	return true;
}

static void note_end(struct near *n, uint32_t f)
{
	struct cold *c = &n->cold[f];

	if (c->state != FS_OPEN ||
	    (c->track.state != TRACK_TIME_WAIT && c->track.state != TRACK_CLOSED))
		return;
	set_state(n, f, FS_CLOSED, track_state_name((enum track_state)c->track.state));
	pass_set_records(n, f);
	journal_flow(n, f); /* else it would be restored as an open one */
}

/* A SYN, FIN or RST with a wrong checksum: its receiver will not believe it, so nobody may. */
static bool damaged(const struct passing *in)
{
	return in->v->flags & (TCP_SYN | TCP_FIN | TCP_RST) && !csum_tcp_ok(in->p, in->v);
}

void pass_open(struct near *n, struct passing *in)
{
	struct tcp_options o;
	enum fit fit = FIT_WHOLE;

	if (view_options(in->p, in->v, &o) != R_NONE)
		count_pass(&n->env, R_TCP_OPT); /* what was read before the bad one is translated */
	if (damaged(in)) {
		count_pass(&n->env, R_TCP_CSUM);
		translate(n, in, &o, FIT_WHOLE);
		return;
	}
	if (synack_again(n, in, &o))
		return;
	if (in->port == ACCEL_SERVER) {
		note_late_answer(n, in);
		note_server(n, in);
	} else {
		note_late_syn(n, in);
		note_new_life(n, in);
		fit = fit_mss(n, in);
		if (fit == FIT_DROPPED)
			return;
	}
	if (!follow(n, in))
		return;
	if (in->port == ACCEL_CLIENT) {
		n->cold[in->flow].client_window = in->v->window;
		if (o.present & OPT_TS)
			n->cold[in->flow].client_tsval = o.tsval;
	}
	note_end(n, in->flow);
	translate(n, in, &o, fit);
}

/* The key under which the packet that an error quotes came in. */
static struct flow_key quoted_key(const struct passing *in, const struct icmp_error *e)
{
	unsigned from = in->port == ACCEL_CLIENT ? ACCEL_SERVER : ACCEL_CLIENT;
	struct flow_key k = {
		.sport = be16_of(e->sport),
		.dport = be16_of(e->dport),
		.where = flow_key_where(in->v, from),
	};

	memcpy(k.src, e->src, sizeof k.src);
	memcpy(k.dst, e->dst, sizeof k.dst);
	return k;
}

/* Who believes an ICMP error for good wants it whole: ports and numbers of a damaged one may be another connection's. */
static bool intact(const struct passing *in)
{
	return csum_ip_ok(in->p, in->v) && csum_icmp_ok(in->p, in->v);
}

/*
 * An ICMP error.  From the client's side it quotes a segment of the server's in near numbers, which the server must
 * read in its own.  From the server's side the quoted seq is the client's, the same in both.  An unreachable server
 * ends a promise, if the quoted seq is the client's ISN (RFC 5927): the client would take the error for a passing one.
 */
void pass_icmp(struct near *n, const struct passing *in)
{
	struct icmp_error e;
	enum reason bad = icmp_error_read(in->p, in->v, &e);
	struct flow_key k;
	uint32_t rec;
	struct cold *c;

	if (bad || e.kind == ICMP_OTHER) {
		leave_alone(n, in, bad ? bad : R_NOT_TCP);
		return;
	}
	k = quoted_key(in, &e);
	rec = flows_find_one(n->flows, &k);
	if (rec == FLOW_NONE) {
		leave_alone(n, in, R_NO_FLOW);
		return;
	}
	c = &n->cold[flow_of(rec)];
	if (in->port == ACCEL_CLIENT && (c->state == FS_OPEN || c->state == FS_CLOSED)) {
		icmp_error_set_seq(in->p, in->v, &e, e.seq + c->seam.seq.shift[FAR]);
	} else if (in->port == ACCEL_SERVER && c->state == FS_FORWARDED &&
		   e.kind == ICMP_UNREACHABLE && e.seq == c->isn.v && intact(in)) {
		drop(n, R_STATE);
		break_promise(n, flow_of(rec), "ICMP unreachable");
		return;
	}
	pass_on(n, in);
}
