/* SPDX-License-Identifier: MIT */
#include "proto/checksum.h"
#include "role/handoff/front_inside.h"

#define NEAR_BY (1u << 20) /* of a client's stream, behind what was caught up */

/*
 * Packets of what is out of the stack.  Before their way is laid they are dropped: they come again.  From then on all are forwarded, whatever they
 * say; what they say is noted.  No SYN ends anything, and of resets only one
 * with the very number that follows the client's stream (rules 3 and 4): the back end's TCP judges them, and its agent says what came of it.  Of a splice the back end's own packets come by.
 */

/* Its reset has the number that follows what was taken from it: before the way is laid nobody else can judge it. */
static bool client_left(const struct hand *h, const struct view *v)
{
	return (v->flags & TCP_RST) && v->seq == h->d.rcv_nxt;
}

/* Its window as its newest segments tell: one that was closed may have opened. */
static void note_window(struct hand *h, const struct view *v)
{
	if ((v->flags & (TCP_ACK | TCP_SYN | TCP_RST)) == TCP_ACK && v->ack == h->d.snd_nxt &&
	    v->seq - h->d.rcv_nxt <= h->d.rcv_adv - h->d.rcv_nxt)
		h->d.snd_wnd = (uint32_t)v->window << h->d.snd_wscale;
}

static void held(struct front *f, struct hand *h, const struct packet *p, const struct view *v)
{
	if (!csum_tcp_ok(p, v)) {
		count_drop(&f->env, R_TCP_CSUM);
		return;
	}
	note_window(h, v);
	if ((h->state == FR_ASKED || h->state == FR_READY) && read_hold(f, h, p, v))
		return;
	count_drop(&f->env, R_HAND_HELD);
	if (h->state == FR_RETRACT && (v->flags & TCP_ACK) && num_before(h->d.snd_nxt, v->ack)) {
		over_lost(f, h); /* it has read an answer: of nobody else can it have the rest */
		return;
	}
	if (!client_left(h, v))
		return;
	count_event(&f->env, EV_CLIENT_LEFT);
	if (h->state == FR_RETRACT)
		h->flags |= HF_CLIENT_RST;
	else
		over_forget(f, h);
}

/* The plane knows where the client's stream stands, as far as it came by here. */
static bool is_exact(const struct front *f, const struct hand *h, const struct view *v)
{
	const struct way *w = plane_get(f->plane, &h->key[CLIENT]);

	return w != NULL && v->seq == w->expect;
}

/* Nobody who does not see the connection ends it by a FIN. */
static bool is_its_end(const struct front *f, const struct hand *h, enum side side,
		       const struct view *v)
{
	const struct way *w = plane_get(f->plane, &h->key[side]);

	return (v->flags & TCP_FIN) && w != NULL && way_is_near(w, v->seq + view_seg_len(v));
}

/* What is sent again must not be older than what went by since (PAWS); and nobody far off may make it newer than anything to come. */
static void note_clock(struct hand *h, const struct packet *p, const struct view *v)
{
	struct tcp_options o;

	if (!h->d.timestamps || v->seq - h->base > NEAR_BY || view_options(p, v, &o) != R_NONE ||
	    !(o.present & OPT_TS) || !num_before(h->d.ts_recent, o.tsval) || !csum_tcp_ok(p, v))
		return;
	h->d.ts_recent = o.tsval;
}

/* Does it acknowledge the FIN of this side, which came by?  Nothing lies behind that: a number that was guessed is another. */
static void note_ack(struct hand *h, enum side fin, const struct view *v)
{
	unsigned bit = fin == CLIENT ? HF_FIN_CLIENT : HF_FIN_BACK;

	if ((h->flags & bit) && (v->flags & (TCP_ACK | TCP_SYN | TCP_RST)) == TCP_ACK &&
	    v->ack == h->fin_end[fin])
		h->fins_acked |= (uint8_t)bit;
}

static void note_client(struct front *f, struct hand *h, const struct packet *p,
			const struct view *v)
{
	if (h->state == FR_REPLAY)
		note_clock(h, p, v);
	if (!(v->flags & (TCP_FIN | TCP_RST)) &&
	    !((v->flags & TCP_ACK) && num_before(h->d.snd_nxt, v->ack)))
		return;
	if (!csum_tcp_ok(p, v))
		return;
	if (client_left(h, v) && h->state == FR_REPLAY) {
		count_event(&f->env, EV_CLIENT_LEFT);
		h->flags |= HF_CLIENT_RST;
	}
	if ((v->flags & TCP_ACK) && !(v->flags & TCP_RST) && num_before(h->d.snd_nxt, v->ack))
		h->flags |= HF_ANSWERED;
	note_ack(h, BACK, v);
	if (is_its_end(f, h, CLIENT, v)) {
		h->fin_end[CLIENT] = v->seq + view_seg_len(v);
		over_fin(f, h, HF_FIN_CLIENT);
	}
	if ((v->flags & TCP_RST) && h->state >= FR_THERE && is_exact(f, h, v))
		over_gone(f, h, "the client has reset it");
}

/* Has it taken bytes of the request?  Then it may have acted upon them. */
static bool has_taken(const struct hand *h, const struct view *v)
{
	return (h->flags & HF_ANSWERED) || ((v->flags & TCP_ACK) && num_before(h->base, v->ack));
}

/* A splice's back end, in its own numbers but for ack, which is the client's.  False: h is elsewhere now. */
static bool note_backend(struct front *f, struct hand *h, const struct packet *p,
			 const struct view *v)
{
	bool reset = v->flags & TCP_RST;

	if (!csum_tcp_ok(p, v))
		return true;
	if (reset && h->state == FR_REPLAY && !has_taken(h, v)) {
		over_failed(f, h, "the back end has reset it");
		return false;
	}
	if ((v->flags & TCP_ACK) && num_before(h->acked, v->ack))
		h->acked = v->ack;
	h->flags |= HF_ANSWERED; /* it has the connection */
	if ((v->flags & TCP_ACK) && !num_before(v->ack, h->end))
		h->end = v->ack; /* what it expects next */
	if (h->state == FR_REPLAY && (reset || h->acked == h->end))
		over_there(f, h);
	note_ack(h, CLIENT, v);
	if (is_its_end(f, h, BACK, v)) {
		h->fin_end[BACK] = v->seq + view_seg_len(v) - (h->far_isn + 1 - h->d.snd_nxt);
		over_fin(f, h, HF_FIN_BACK);
	}
	if (reset)
		over_gone(f, h, "the back end has reset it");
	return true;
}

static void forward(struct front *f, struct packet *p, struct view *v)
{
	struct plane_verdict to = plane_run(f->plane, PLANE_FRONT, p, v, f->now);

	if (to.act == WAY_SEND) {
		count_event(&f->env, EV_FORWARDED);
		outbox_put(f->out, to.ifindex, p);
	} else {
		count_drop(&f->env, R_NO_FLOW);
	}
}

/* What a back end answers to a probe, or to a SYN of ours that it has answered before. */
static bool swallowed(struct front *f, struct hand *h, const struct view *v)
{
	if (h->flags & HF_PROBE) {
		count_drop(&f->env, R_STATE);
		if (h->state == FR_REPLAY && (v->flags & TCP_SYN))
			over_failed(f, h,
				    "it answers SYNs itself: no program of an agent is in its way");
		else if (h->state == FR_REPLAY && (v->flags & TCP_RST))
			over_failed(f, h, "it refuses the connection");
		return true;
	}
	if (!(v->flags & TCP_SYN))
		return false;
	count_drop(&f->env, R_STATE); /* our ACK was lost */
	if (h->state == FR_REPLAY)
		hand_arm(f, h, f->now);
	return true;
}

void pass_segment(struct front *f, struct hand *h, enum side side, struct packet *p, struct view *v)
{
	if (h->flags & HF_RESTORED)
		way_again(f, h);
	if (!(h->flags & HF_LAID)) {
		if (side == BACK)
			rung_answer(f, h, p, v);
		else
			held(f, h, p, v);
		return;
	}
	h->heard = f->now;
	if (side == CLIENT)
		note_client(f, h, p, v);
	else if (swallowed(f, h, v) || !note_backend(f, h, p, v))
		return;
	forward(f, p, v);
	if (side == CLIENT)
		way_passed(f, h);
}
