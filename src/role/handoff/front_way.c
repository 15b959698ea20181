/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "role/handoff/front_inside.h"

/*
 * Ways of what was handed over.  They are always laid in our own plane; where a data plane is joined at the port `plane` they are laid there too,
 * and packets come here only until it has them.  So nothing that comes here lacks a way, and nothing comes here that was forwarded already.
 *
 * All stay with our own plane until the back end has acknowledged what was caught up: until then the client's timestamps are looked at, since what is
 * sent again must not be older than them (PAWS), and of a splice the back end's answers; its TSecr is held within what a TCP takes in SYN-RECEIVED.
 */

static uint16_t wire16(uint16_t host)
{
	return net16(host);
}

/* By how much the back end's clock is ahead of the one that the client knows: that goes on one above where ours stood still (PAWS). */
static uint32_t clock_shift(const struct hand *h)
{
	return h->far_ts - (h->d.tsval + 1);
}

static uint32_t stream_shift(const struct hand *h)
{
	return h->far_isn + 1 - h->d.snd_nxt;
}

static void to_backend(const struct front *f, const struct hand *h, struct way *w)
{
	const struct way *old = plane_get(f->plane, &h->key[CLIENT]);
	const struct face *b = hand_face_const(f, h);
	const struct stack_addr *at = hand_at(f, h);

	*w = (struct way){ .act = WAY_SEND, .id = h->id, .origin = h->origin, .expect = h->base };
	if (h->state >= FR_THERE)
		w->expect = h->end;
	if (old != NULL && num_before(w->expect, old->expect))
		w->expect = old->expect;
	memcpy(w->dmac, b->mac, 6);
	memcpy(w->smac, b->via, 6);
	if (h->rung != RUNG_SPLICE && !backend_cfg(f, h->backend)->far_host)
		return;
	w->flags |= WAY_DST;
	memcpy(w->new_dst, h->rung == RUNG_SPLICE ? h->key[BACK].src : at->ip, 16);
	w->new_dport = h->rung == RUNG_SPLICE ? h->key[BACK].sport : wire16(at->port);
}

static void splice_there(const struct hand *h, bool clamp, struct way *w)
{
	w->flags |= WAY_SRC | WAY_SHIFT;
	memcpy(w->new_src, h->key[BACK].dst, 16);
	w->new_sport = h->key[BACK].dport;
	w->ack = stream_shift(h);
	if (h->d.timestamps) {
		w->tsecr = clock_shift(h);
		w->tsecr_lo = w->tsecr_hi = h->far_ts;
		w->flags |= clamp ? WAY_CLAMP : 0u;
	}
	if (h->far_scale == NO_SCALE && h->d.snd_wscale != 0) {
		w->flags |= WAY_WINDOW;
		w->from_scale = h->d.snd_wscale;
	}
	w->mate = h->key[BACK];
}

static void splice_back(const struct front *f, const struct hand *h, struct way *w)
{
	const struct way *old = plane_get(f->plane, &h->key[BACK]);
	uint8_t scale = h->far_scale == NO_SCALE ? 0 : h->far_scale;

	*w = (struct way){ .act = WAY_SEND, .id = h->id, .origin = h->origin };
	w->expect = h->far_isn + 1;
	if (old != NULL && num_before(w->expect, old->expect))
		w->expect = old->expect;
	memcpy(w->dmac, h->lane.eth + 6, 6);
	memcpy(w->smac, h->lane.eth, 6);
	w->flags = WAY_SRC | WAY_DST | WAY_SHIFT;
	memcpy(w->new_src, h->key[CLIENT].dst, 16);
	memcpy(w->new_dst, h->key[CLIENT].src, 16);
	w->new_sport = h->key[CLIENT].dport;
	w->new_dport = h->key[CLIENT].sport;
	w->seq = 0u - stream_shift(h);
	if (h->d.timestamps)
		w->tsval = 0u - clock_shift(h);
	if (scale != h->d.rcv_wscale) {
		w->flags |= WAY_WINDOW;
		w->from_scale = scale;
		w->to_scale = h->d.rcv_wscale;
	}
	w->mate = h->key[CLIENT];
}

static void say(struct front *f, enum way_line_kind kind, const struct way_key *k,
		const struct way *w)
{
	struct way_line l = { .kind = kind, .key = *k };
	char text[WAY_LINE_MAX];

	if (w != NULL)
		l.way = *w;
	front_say(f, FRONT_PLANE, text, way_line_write(&l, text));
}

/* The clients' device: the back ends', where it is that one too; 0: not told. */
static uint32_t client_device(const struct front *f, const struct hand *h)
{
	if (f->client_ifindex != 0 || front_joined(f, FRONT_BACKEND))
		return f->client_ifindex;
	return hand_face_const(f, h)->ifindex;
}

enum lay {
	LAY_CLAMP = 1, /* its back end may be in SYN-RECEIVED */
	LAY_OUTSIDE = 2, /* in the data plane that is joined, too */
	LAY_JOIN = 4, /* where no way of it lies: it went on without us */
};

static void lay(struct front *f, struct hand *h, unsigned how)
{
	const uint32_t join = how & LAY_JOIN ? WAY_JOIN : 0;
	const bool outside = how & LAY_OUTSIDE;
	const uint32_t ifindex = hand_face_const(f, h)->ifindex;
	struct way w;

	to_backend(f, h, &w);
	w.ifindex = back_port(f);
	w.flags |= join;
	if (h->rung == RUNG_SPLICE)
		splice_there(h, how & LAY_CLAMP, &w);
	if (plane_set(f->plane, &h->key[CLIENT], &w, f->now) < 0)
		count_drop(&f->env, R_FLOWS_FULL);
	if (outside) {
		w.ifindex = ifindex;
		say(f, WAY_LINE_SET, &h->key[CLIENT], &w);
		h->flags |= HF_BPF;
	}
	h->flags |= HF_LAID;
	if (h->rung != RUNG_SPLICE)
		return;
	splice_back(f, h, &w);
	w.flags |= join;
	w.ifindex = FRONT_CLIENT;
	if (plane_set(f->plane, &h->key[BACK], &w, f->now) < 0)
		count_drop(&f->env, R_FLOWS_FULL);
	if (outside) {
		w.ifindex = client_device(f, h);
		say(f, WAY_LINE_SET, &h->key[BACK], &w);
	}
}

static bool outside(const struct front *f, const struct hand *h)
{
	bool there = front_joined(f, FRONT_PLANE) && hand_face_const(f, h)->ifindex != 0;

	return there && !(h->flags & HF_PROBE) &&
	       (h->rung != RUNG_SPLICE || client_device(f, h) != 0);
}

void way_lay(struct front *f, struct hand *h)
{
	lay(f, h, LAY_CLAMP);
}

void way_settle(struct front *f, struct hand *h)
{
	h->passed = 0;
	lay(f, h, f->cfg.settle_after == 0 && outside(f, h) ? LAY_OUTSIDE : 0);
}

void way_outside(struct front *f, struct hand *h)
{
	if (!(h->flags & HF_BPF) && outside(f, h))
		lay(f, h, LAY_OUTSIDE);
}

void way_passed(struct front *f, struct hand *h)
{
	if (h->state != FR_THERE || (h->flags & HF_BPF) || h->passed >= f->cfg.settle_after)
		return;
	if (++h->passed == f->cfg.settle_after)
		way_outside(f, h);
}

void way_again(struct front *f, struct hand *h)
{
	bool lives = h->state == FR_THERE || h->state == FR_CLOSING; /* else it passes here */

	if (!hand_face_const(f, h)->has_mac)
		return;
	h->flags &= (uint16_t)~HF_RESTORED;
	if (h->state < FR_THERE)
		lay(f, h, LAY_CLAMP);
	else
		lay(f, h, lives && outside(f, h) ? LAY_JOIN | LAY_OUTSIDE : LAY_JOIN);
}

void way_moved(struct front *f, struct hand *h)
{
	if (!(h->flags & HF_BPF)) {
		way_again(f, h);
		return;
	}
	h->flags |= HF_RESTORED;
	hand_arm(f, h, f->now);
}

void way_remove(struct front *f, const struct way_key *k)
{
	say(f, WAY_LINE_DEL, k, NULL);
}

static void lift(struct front *f, struct hand *h, enum side side, bool told)
{
	if (!(h->in_table >> side & 1))
		return;
	if (h->flags & HF_LAID)
		(void)plane_del(f->plane, &h->key[side]);
	if (told)
		say(f, WAY_LINE_DEL, &h->key[side], NULL);
}

void way_lift(struct front *f, struct hand *h)
{
	bool bpf = h->flags & HF_BPF;

	lift(f, h, CLIENT, bpf);
	lift(f, h, BACK, (h->flags & HF_CLAIMED) || (bpf && h->rung == RUNG_SPLICE));
	h->flags &= (uint16_t) ~(HF_LAID | HF_BPF | HF_CLAIMED);
}

/*
 * It is over.  What still comes passes here: a SYN that the data plane sent on would be answered by whoever listens at the back end, or by its
 * socket in TIME-WAIT.
 */
void way_retire(struct front *f, struct hand *h)
{
	if (!(h->flags & HF_BPF))
		return;
	say(f, WAY_LINE_DEL, &h->key[CLIENT], NULL);
	h->flags &= (uint16_t)~HF_BPF;
	if (h->rung == RUNG_SPLICE)
		h->flags |= HF_CLAIMED;
}

/* What comes to an address of ours, which may be the host's too, is ours: its TCP must not answer. */
void way_claim(struct front *f, struct hand *h)
{
	const struct way w = { .act = WAY_USER, .id = h->id };

	if (!front_joined(f, FRONT_PLANE))
		return;
	say(f, WAY_LINE_SET, &h->key[BACK], &w);
	h->flags |= HF_CLAIMED;
}

void way_look(struct front *f, struct hand *h)
{
	if (!(h->flags & HF_BPF))
		return;
	say(f, WAY_LINE_LOOK, &h->key[CLIENT], NULL);
	if (h->rung == RUNG_SPLICE)
		say(f, WAY_LINE_LOOK, &h->key[BACK], NULL);
}

/* --- what a data plane tells */

static void saw_fin(struct front *f, struct hand *h, enum side side, uint32_t end)
{
	h->fin_end[side] = end;
	over_fin(f, h, side == CLIENT ? HF_FIN_CLIENT : HF_FIN_BACK);
}

static void seen(struct front *f, struct hand *h, enum side side, const struct way_line *l)
{
	sut_time idle = SUT_MS(l->idle_ms), at = f->now > idle ? f->now - idle : 0;

	if (at > h->heard)
		h->heard = at;
	if (l->way.seen & WAY_SAW_FIN)
		saw_fin(f, h, side, l->way.fin_end);
	if ((l->way.seen & WAY_SAW_RST) && side == BACK)
		over_gone(f, h, "the back end has reset it");
}

static void ask_again(struct front *f, struct hand *h)
{
	struct hand_msg m = { .kind = HAND_ASK, .id = h->id };

	if ((h->flags & HF_TOLD) && h->backend != NONE)
		front_tell_agent(f, h->backend, &m);
}

/* Rule 3: a SYN or a reset of the client's ends nothing by itself; where all is over a SYN opens the quad anew when it comes again. */
static void event(struct front *f, struct hand *h, enum side side, const struct way_event *ev)
{
	if (h->state < FR_THERE)
		return;
	h->heard = f->now;
	if (ev->kind == WAY_EV_SYN_IN && h->state == FR_LINGER)
		over_end(f, h, "opened anew");
	else if (ev->kind == WAY_EV_RST_IN && ev->b == 1)
		over_gone(f, h,
			  side == CLIENT ? "the client has reset it" : "the back end has reset it");
	else if (ev->kind == WAY_EV_SYN_IN || ev->kind == WAY_EV_RST_IN)
		ask_again(f, h);
	else if (ev->kind == WAY_EV_FIN_IN && side == CLIENT)
		saw_fin(f, h, CLIENT, ev->a);
	else if (ev->kind == WAY_EV_FIN_OUT || (ev->kind == WAY_EV_FIN_IN && side == BACK))
		saw_fin(f, h, BACK, ev->a);
	else if (ev->kind == WAY_EV_RST_OUT)
		over_gone(f, h, "the back end has reset it");
}

/* One that was found may have another id than it was laid with. */
static bool is_of(const struct hand *h, const struct way_event *ev)
{
	return ev->id == h->id || (h->flags & HF_FOUND);
}

void way_message(struct front *f, const struct packet *p)
{
	struct way_line l;
	struct hand *h;
	enum side side;
	bool is_event;

	if (way_line_read((const char *)p->head, p->head_len, &l) < 0) {
		count_drop(&f->env, R_MSG_UNKNOWN);
		return;
	}
	if (found_line(f, &l))
		return;
	is_event = l.kind == WAY_LINE_EVENT;
	h = hand_find(f, is_event ? &l.event.key : &l.key, &side);
	if (h == NULL || (is_event && !is_of(h, &l.event))) { /* of what is over */
		count_event(&f->env, EV_LATE_LINES);
		return;
	}
	if (!(h->flags & (HF_LAID | HF_BPF))) /* claimed: the packets come here too */
		return;
	if (l.kind == WAY_LINE_SEEN)
		seen(f, h, side, &l);
	else if (l.kind == WAY_LINE_EVENT)
		event(f, h, side, &l.event);
	else if (l.kind == WAY_LINE_NONE && (h->flags & HF_FOUND))
		over_end(f, h, "its ways are gone");
	else if (l.kind == WAY_LINE_NONE && (h->flags & HF_BPF)) /* it has lost its ways */
		way_again(f, h);
}

/* Our own plane: what passes it passes front_pass.c too. */
void way_report(void *ctx, const struct way_event *ev)
{
	(void)ctx;
	(void)ev;
}
