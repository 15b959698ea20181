/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Messages may be lost, come twice and out of order, so what one means follows from what is there: an announcement that is known is
 * answered again and lays nothing; one of the same id or the same quad with other numbers is another connection, and takes the old one's place
 * where that is over, or its own front end's.  Another front end's living connection is left alone, and so is what its own front end
 * began later: a message that was long under way must not end what lives.  Front ends say when they began, by a clock that outlives their
 * restarts.  If a new clock is behind the old one (their host was started anew) that is believed after a minute; until then other rungs are taken.
 *
 * Taking away the ways of a shifted connection whose host may still speak would let numbers of the host's own through to the
 * client; so what is forgotten while it lives is muted first, and its ways go when the host has given up.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/be.h"
#include "proto/ip.h"
#include "role/handoff/back_inside.h"

/* To front ends. */

bool back_tell(struct back_turn *t, unsigned front, const struct hand_msg *m)
{
	char text[BACK_NAME_MAX + HAND_MSG_MAX];
	size_t n = strlen(t->b->front[front - 1].name);
	struct packet *p;

	if (!back_joined(t->b, BACK_FRONTS))
		return true;
	memcpy(text, t->b->front[front - 1].name, n);
	text[n++] = ' ';
	n += hand_msg_write(m, text + n);
	p = outbox_make(t->out, BACK_FRONTS, (uint32_t)n);
	if (p)
		memcpy(p->head, text, n);
	return p;
}

static void refusal(const struct back_hand *h, char why[HAND_WHY_MAX])
{
	if (h->why == 0)
		snprintf(why, HAND_WHY_MAX, "no-listener");
	else if (h->why == EOPNOTSUPP || h->why == EINVAL)
		snprintf(why, HAND_WHY_MAX, "options");
	else
		snprintf(why, HAND_WHY_MAX, "errno-%d", (int)h->why);
}

bool back_tell_hand(struct back_turn *t, const struct back_hand *h, enum back_debt what)
{
	struct hand_msg m = { .kind = HAND_STATE,
			      .id = h->id,
			      .state = h->state,
			      .acked = h->acked,
			      .fin_in = h->fin_in,
			      .fin_out = h->fin_out,
			      .rst = h->rst,
			      .ack = h->ack };

	if (h->front == 0)
		return true;
	if (h->state == HAND_GONE && back_hand_in_doubt(h))
		m.rst = 1; /* nobody else may answer its client */
	if (what == DEBT_READY)
		m.kind = HAND_READY;
	if (what == DEBT_REFUSED) {
		m.kind = HAND_REFUSED;
		refusal(h, m.why);
	}
	return back_tell(t, h->front, &m);
}

void back_host(const struct back *b, struct hand_msg *ret_m)
{
	*ret_m = b->cfg.host;
	ret_m->kind = HAND_HOST;
	ret_m->origins = 0;
	ret_m->guard = 1;
	for (unsigned i = 0; i < WAY_ORIGINS; i++) {
		if (!b->cfg.origin[i].port)
			continue;
		ret_m->origins |= UINT64_C(1) << i;
		ret_m->guard &= !!(b->cfg.origin[i].flags & WAY_ORIGIN_GUARD);
	}
	if (back_inline(b)) {
		ret_m->adopt = 0;
		ret_m->shift = back_joined(b, BACK_FRONT) && back_joined(b, BACK_HOST);
	}
	if (b->draining) {
		ret_m->adopt = ret_m->shift = 0;
		snprintf(ret_m->why, sizeof ret_m->why, "draining");
	}
}

/* Answers about what there is no hand-off of; the channel may lose them. */
static void refuse(struct back_turn *t, unsigned front, uint32_t id, const char *why)
{
	struct hand_msg m = { .kind = HAND_REFUSED, .id = id };

	snprintf(m.why, sizeof m.why, "%s", why);
	if (!back_tell(t, front, &m))
		count_drop(t->b->env, R_OUTBOX_FULL);
}

static void tell_unknown(struct back_turn *t, unsigned front, uint32_t id)
{
	struct hand_msg m = { .kind = HAND_STATE, .id = id, .state = HAND_UNKNOWN };

	if (back_is_listing(t->b))
		return; /* it may be in the list: the front end asks again */
	if (!back_tell(t, front, &m))
		count_drop(t->b->env, R_OUTBOX_FULL);
}

/* Announcements. */

static void key_of(const struct hand_msg *m, struct way_key *ret_in)
{
	memset(ret_in, 0, sizeof *ret_in);
	memcpy(ret_in->src, m->client, 16);
	memcpy(ret_in->dst, m->origin, 16);
	store_be16((uint8_t *)&ret_in->sport, m->client_port);
	store_be16((uint8_t *)&ret_in->dport, m->origin_port);
}

/* Why it cannot be taken whatever there is; NULL. */
static const char *impossible(const struct back *b, const struct hand_msg *m, int origin)
{
	struct hand_msg host;

	back_host(b, &host);
	if (b->draining)
		return "draining";
	if (origin < 0 || ip_is_mapped(m->client) != ip_is_mapped(m->origin))
		return "no-origin";
	if (m->kind == HAND_ADOPT ? !host.adopt : !host.shift)
		return m->kind == HAND_ADOPT ? "no-adopt" : "no-shift";
	if (m->kind == HAND_ADOPT && (m->options & ~host.options))
		return "options";
	return NULL;
}

static void take_over(struct back_hand *h, const struct hand_msg *m)
{
	h->kind = m->kind == HAND_ADOPT ? BACK_ADOPT : BACK_SHIFT;
	h->seq = m->seq;
	h->front_seq = m->ack;
	h->front_tsval = m->tsecr;
	h->end = m->end;
	h->mss = m->mss;
	h->snd_wscale = m->snd_wscale;
	h->rcv_wscale = m->rcv_wscale;
	h->wscale = m->wscale;
	h->options = m->options;
}

static bool is_repeat(const struct back_hand *h, unsigned front, const struct hand_msg *m)
{
	return h->front == front && h->id == m->id && h->seq == m->seq && h->front_seq == m->ack &&
	       h->kind == (m->kind == HAND_ADOPT ? BACK_ADOPT : BACK_SHIFT);
}

static bool lives(const struct back_hand *h)
{
	return h->state != HAND_PENDING && !back_hand_over(h);
}

static void name(struct back_turn *t, struct back_hand *h, unsigned front, const struct hand_msg *m)
{
	back_hand_name(t->b, h, front, m->id);
	h->begun = m->begun;
	h->named = t->now;
}

/* Did its front end begin it before what it calls h now? */
static bool is_outdated(const struct back_turn *t, const struct back_hand *h, unsigned front,
			const struct hand_msg *m)
{
	return h && h->front == front && h->id != m->id && h->begun && m->begun &&
	       t->now - h->named < BACK_ORDER && (int32_t)(m->begun - h->begun) < 0;
}

static void lay(struct back_turn *t, struct back_hand *h, unsigned front, const struct hand_msg *m)
{
	name(t, h, front, m);
	take_over(h, m);
	h->laid = true;
	back_owe(t->b, h, DEBT_WAYS | DEBT_READY);
}

/* The place of one that is over, or that its own front end gives up. */
static void replace(struct back_turn *t, struct back_hand *h, unsigned front,
		    const struct hand_msg *m, const struct way_key *in)
{
	/* A reset for a socket in TIME-WAIT would be one more packet, and that takes a newer SYN: ours, inline, is for what lives. */
	bool socket = h->laid && (lives(h) || !back_inline(t->b));

	if (memcmp(&h->in, in, sizeof *in) != 0) { /* it came by another address */
		struct way_line l = { .kind = WAY_LINE_DEL, .key = h->in };

		(void)back_way_line(t, &l);
		h->in = *in;
	}
	back_hand_renew(t, h);
	if (socket) /* before the answer: it would have the first try */
		back_owe(t->b, h, DEBT_HUSH | DEBT_DESTROY);
	lay(t, h, front, m);
}

/* A connection that lived on while we did not is announced again: its front end never heard that it is there. */
static void claim(struct back_turn *t, struct back_hand *h, unsigned front,
		  const struct hand_msg *m)
{
	struct back_hand *named = back_hand_by_id(t->b, front, m->id);

	if (named)
		back_hand_unname(t->b, named);
	name(t, h, front, m);
	take_over(h, m);
	back_owe(t->b, h, DEBT_WATCH | DEBT_READY | DEBT_STATE);
}

static void announce(struct back_turn *t, unsigned front, const struct hand_msg *m)
{
	struct back *b = t->b;
	struct way_key in, out;
	struct back_hand *h, *named = back_hand_by_id(b, front, m->id);
	const char *why;
	int origin;

	key_of(m, &in);
	origin = back_quad(b, &in, &out);
	if (m->far_host) { /* as it is met here */
		memcpy(in.dst, out.src, 16);
		in.dport = out.sport;
	}
	h = back_hand_by_quad(b, &out);
	if (back_is_listing(b) && !(h && h->known))
		return; /* likewise: what lives must not have ways laid over it */
	if (h && is_repeat(h, front, m)) {
		back_owe(b, h,
			 h->refused		 ? DEBT_REFUSED
			 : h->state == HAND_GONE ? DEBT_STATE
						 : DEBT_READY);
		return;
	}
	if (h && h->found && !h->half && lives(h)) {
		claim(t, h, front, m);
		return;
	}
	why = impossible(b, m, origin);
	if (!why && h && lives(h) && h->front && h->front != front)
		why = "busy";
	if (!why && is_outdated(t, h, front, m))
		why = "older";
	if (!why && !h && back_hands_full(b))
		why = "no-room";
	if (why) {
		refuse(t, front, m->id, why);
		return;
	}
	if (named && named != h)
		back_hand_unname(b, named);
	if (h) {
		h->origin = (uint8_t)origin;
		replace(t, h, front, m, &in);
		return;
	}
	h = back_hand_add(t, &in, &out);
	h->origin = (uint8_t)origin;
	lay(t, h, front, m);
}

/* A pair that was made in-band, or will be as soon as its SYN comes. */
static void watch(struct back_turn *t, unsigned front, const struct hand_msg *m)
{
	struct back *b = t->b;
	struct way_key in, out;
	struct back_hand *h, *named = back_hand_by_id(b, front, m->id);

	key_of(m, &in);
	if (back_quad(b, &in, &out) < 0) {
		refuse(t, front, m->id, "no-origin");
		return;
	}
	h = back_hand_by_quad(b, &out);
	if (back_is_listing(b) && !(h && h->known))
		return;
	if (!h) {
		h = back_hand_add(t, &in, &out);
		if (!h) {
			refuse(t, front, m->id, "no-room");
			return;
		}
		h->kind = BACK_OPEN;
	} else if (h->front && (h->front != front || h->id != m->id) && lives(h)) {
		refuse(t, front, m->id, "busy");
		return;
	} else if (is_outdated(t, h, front, m)) {
		refuse(t, front, m->id, "older");
		return;
	} else if ((h->half && !h->front) ||
		   (h->front && back_hand_over(h) && (h->front != front || h->id != m->id))) {
		bool laid = h->laid;

		back_hand_renew(t, h); /* of another one; the SYN of this is still to come */
		h->laid = h->stale = laid;
	}
	if (named && named != h)
		back_hand_unname(b, named);
	if (h->front != front || h->id != m->id || h->end != m->end) {
		name(t, h, front, m);
		h->acked = h->acked && h->end == m->end;
		h->end = m->end;
	}
	if (h->laid && !h->stale && !h->acked)
		back_owe(b, h, DEBT_WATCH);
	back_owe(b, h, DEBT_STATE);
}

/* Closed by both, but so lately that its host may still have its socket, in TIME-WAIT: the client opens the quad anew. */
static bool is_early(const struct back_turn *t, const struct back_hand *h)
{
	return h->fin_in && h->fin_out && h->laid && !back_inline(t->b) &&
	       h->since + t->b->cfg.linger > t->now;
}

/* Nothing more is wanted of it. */
static void forget(struct back_turn *t, struct back_hand *h)
{
	bool speaks = back_hand_speaks(h), early = is_early(t, h);

	if (h->state == HAND_PENDING && h->kind == BACK_ADOPT && h->muted)
		back_way_close(t, h);
	if (h->state == HAND_THERE && speaks)
		h->rst = 1; /* its host had it, and is reset */
	if (h->state != HAND_GONE)
		back_hand_enter(t, h, HAND_GONE, "forgotten");
	back_owe(t->b, h, DEBT_STATE);
	if (speaks) {
		h->muted = true;
		back_owe(t->b, h, DEBT_HUSH | DEBT_DESTROY);
	} else if (!h->muted) {
		if (early)
			back_owe(t->b, h, DEBT_HUSH | DEBT_DESTROY);
		if (h->laid)
			back_owe(t->b, h, DEBT_DEL);
		if (!back_hand_in_doubt(h)) /* or that must be said as often as it is asked for */
			back_owe(t->b, h, DEBT_FREE);
	}
}

static void about_id(struct back_turn *t, unsigned front, const struct hand_msg *m)
{
	struct back_hand *h = back_hand_by_id(t->b, front, m->id);

	if (!h) {
		tell_unknown(t, front, m->id);
		return;
	}
	if (m->kind == HAND_FORGET) {
		forget(t, h);
		return;
	}
	if (m->kind == HAND_MUTE && !h->muted) {
		h->muted = true;
		back_owe(t->b, h, DEBT_HUSH);
	}
	back_owe(t->b, h, DEBT_STATE);
}

static void do_msg(struct back_turn *t, unsigned front, const struct hand_msg *m)
{
	switch (m->kind) {
	case HAND_HELLO:
		t->b->front[front - 1].owes_host = true;
		break;
	case HAND_ADOPT:
	case HAND_SHIFT:
		announce(t, front, m);
		break;
	case HAND_WATCH:
		watch(t, front, m);
		break;
	case HAND_MUTE:
	case HAND_FORGET:
	case HAND_ASK:
		about_id(t, front, m);
		break;
	case HAND_HOST:
	case HAND_READY:
	case HAND_REFUSED:
	case HAND_STATE:
		count_drop(t->b->env, R_MSG_UNKNOWN);
		break;
	}
}

unsigned back_front_of(struct back *b, const char *name, size_t n)
{
	for (uint32_t i = 0; i < b->fronts; i++)
		if (strlen(b->front[i].name) == n && memcmp(b->front[i].name, name, n) == 0)
			return i + 1;
	if (b->fronts == BACK_FRONT_MAX)
		return 0;
	memcpy(b->front[b->fronts].name, name, n);
	b->front[b->fronts].name[n] = '\0';
	return ++b->fronts;
}

void back_msg_input(struct back_turn *t, const struct packet *p)
{
	const char *text = (const char *)p->head;
	struct hand_msg m;
	unsigned front;
	size_t n = 0;

	while (n < p->head_len && text[n] > ' ' && text[n] <= '~')
		n++;
	if (n == 0 || n >= BACK_NAME_MAX || n == p->head_len || text[n] != ' ' ||
	    hand_msg_read(text + n + 1, p->head_len - n - 1, &m)) {
		count_drop(t->b->env, R_MSG_UNKNOWN);
		return;
	}
	front = back_front_of(t->b, text, n);
	if (front)
		do_msg(t, front, &m);
	else
		count_drop(t->b->env, R_MSG_UNKNOWN);
}
