/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Reports of the data plane move a hand-off through its states; each change is told to its front end.  A report names the quad and the id
 * of the way that it was seen on: one of an older connection of the quad, which comes late, has another id than the ways that lie there now.  After a
 * restart ids are learnt from the list of ways; a pair that was made in-band has none until it is given one, and all before its
 * OPENED is of another.
 *
 * A client's reset ends nothing by itself: only the host knows whether it was in its window, and a data plane that sees sockets reports
 * CLOSED.  Ours does not see them; it knows by the number that the host waits for (b), which nobody guesses.
 */
#include <string.h>

#include "role/handoff/back_inside.h"

static struct back_hand *hand_of(struct back_turn *t, const struct way_event *ev)
{
	struct back_hand *h = back_hand_by_in(t->b, &ev->key);

	if (!h || h->any_way || ev->id == h->way_id || (ev->id == 0 && h->in_band))
		return h;
	return NULL;
}

static void del_pair(struct back_turn *t, const struct way_key *in, const struct way_key *out)
{
	struct way_line a = { .kind = WAY_LINE_DEL, .key = *in },
			b = { .kind = WAY_LINE_DEL, .key = *out };

	if (!back_way_line(t, &a) || !back_way_line(t, &b))
		count_drop(t->b->env, R_OUTBOX_FULL);
}

static void opened(struct back_turn *t, const struct way_event *ev)
{
	struct back *b = t->b;
	struct way_key out;
	struct back_hand *h;

	(void)back_quad(b, &ev->key, &out);
	h = back_hand_by_quad(b, &out);
	if (!h) {
		h = back_hand_add(t, &ev->key, &out);
		if (!h) {
			if (!back_inline(b))
				count_drop(b->env, R_FLOWS_FULL);
			t->no_room = true;
			del_pair(t, &ev->key, &out);
			return;
		}
	} else if (h->stale) { /* its front end spoke of it first */
		h->stale = false;
	} else if (h->laid) {
		back_hand_unname(b, h);
		back_hand_renew(t, h);
		h->end = 0;
	} else if (h->muted) { /* its front end has given it up: the SYN was late */
		back_owe(b, h, DEBT_HUSH | DEBT_DESTROY);
	}
	h->in = ev->key;
	h->kind = BACK_OPEN;
	h->origin = (uint8_t)(ev->a % WAY_ORIGINS);
	h->laid = h->in_band = true;
	if (h->front)
		back_owe(b, h, DEBT_WATCH | DEBT_STATE);
}

static void refused(struct back_turn *t, struct back_hand *h, uint32_t error)
{
	bool half_open = h->learnt || error != 0;

	if (h->state != HAND_PENDING)
		return;
	h->refused = true;
	h->why = (int32_t)error;
	back_hand_enter(t, h, HAND_GONE, "refused");
	back_owe(t->b, h, DEBT_REFUSED | DEBT_STATE); /* whichever it still waits for */
	h->muted = true;
	/* Nothing may be adopted later, and what is still under way must not be answered: by its resets the client would know of two. */
	if (h->kind == BACK_ADOPT) {
		back_owe(t->b, h, DEBT_HUSH | DEBT_CLOSE);
		return;
	}
	back_owe(t->b, h, DEBT_HUSH | (half_open ? DEBT_DESTROY : 0u));
}

static void closing(struct back_turn *t, struct back_hand *h)
{
	if (h->state == HAND_GONE)
		return;
	if (h->fin_in && h->fin_out && h->state != HAND_CLOSING)
		back_hand_enter(t, h, HAND_CLOSING, "both FINs");
	back_news(t, h);
}

static void gone(struct back_turn *t, struct back_hand *h, const char *why)
{
	if (h->state != HAND_GONE)
		back_hand_enter(t, h, HAND_GONE, why);
	back_news(t, h);
}

static void there(struct back_turn *t, struct back_hand *h)
{
	if (h->state == HAND_PENDING) {
		back_hand_enter(t, h, HAND_THERE, "established");
		back_news(t, h);
	} else if (h->state == HAND_GONE && h->muted) {
		back_owe(t->b, h, DEBT_DESTROY); /* it came after it was given up */
	}
}

static void about(struct back_turn *t, struct back_hand *h, const struct way_event *ev)
{
	switch ((enum way_event_kind)ev->kind) {
	case WAY_EV_LEARNT:
		h->learnt = true;
		h->shift = ev->a;
		h->clock = ev->b;
		count_event(t->b->env, EV_LEARNT);
		break;
	case WAY_EV_ESTABLISHED:
		there(t, h);
		break;
	case WAY_EV_ACKED:
		there(t, h);
		h->acked = 1;
		h->ack = ev->a;
		back_news(t, h);
		break;
	case WAY_EV_FIN_IN:
		h->fin_in = 1;
		closing(t, h);
		break;
	case WAY_EV_FIN_OUT:
		there(t, h);
		h->fin_out = 1;
		closing(t, h);
		break;
	case WAY_EV_RST_IN:
		if (ev->b && back_inline(t->b) && h->state != HAND_PENDING) {
			h->rst = 1;
			gone(t, h, "reset by the client");
		}
		break;
	case WAY_EV_RST_OUT:
		h->rst = 1;
		gone(t, h, "reset by the host");
		break;
	case WAY_EV_TIME_WAIT:
		if (h->state != HAND_PENDING)
			break;
		h->rst_seq = ev->a;
		h->rst_told = true;
		/* The front end need not wait for its timer; once, or the two would drive each other where it cannot be ended. */
		back_owe(t->b, h, DEBT_DESTROY | (h->hurried ? 0u : DEBT_READY));
		h->hurried = true;
		break;
	case WAY_EV_REFUSED:
		refused(t, h, ev->a);
		break;
	case WAY_EV_CLOSED:
		if (h->state != HAND_PENDING) /* else an older connection's */
			gone(t, h, "closed");
		break;
	case WAY_EV_OPENED:
	case WAY_EV_SYN_IN:
	case WAY_EV_COUNT:
		break;
	}
}

void back_event(struct back_turn *t, const struct way_event *ev)
{
	struct back_hand *h;

	if (ev->kind == WAY_EV_OPENED) {
		opened(t, ev);
		return;
	}
	h = hand_of(t, ev);
	if (h)
		about(t, h, ev);
}

/* Lines of a data plane. */

static void about_way(struct back_turn *t, const struct way_line *l)
{
	struct back_hand *h = back_hand_by_quad(t->b, &l->key);
	bool of_host = h;
	uint8_t bit = of_host ? BACK_WAY_OUT : BACK_WAY_IN;

	if (!h)
		h = back_hand_by_in(t->b, &l->key);
	if (!h)
		return;
	h->told |= bit;
	if (l->kind == WAY_LINE_NONE) {
		h->none |= bit;
		if (h->none == BACK_WAY_BOTH)
			h->laid = false;
		return;
	}
	h->none &= (uint8_t)~bit;
	back_seen(t, h, l);
	if (!h->known && l->way.seen & WAY_SAW_RST && of_host) {
		h->rst = 1;
		gone(t, h, "reset by the host");
	}
	if (!h->known && h->fin_in && h->fin_out && h->state == HAND_THERE)
		closing(t, h);
}

void back_plane_input(struct back_turn *t, const struct packet *p)
{
	struct way_line l;

	if (way_line_read((const char *)p->head, p->head_len, &l)) {
		count_drop(t->b->env, R_MSG_UNKNOWN);
		return;
	}
	switch (l.kind) {
	case WAY_LINE_EVENT:
		back_event(t, &l.event);
		break;
	case WAY_LINE_HAVE:
		back_have(t, &l);
		break;
	case WAY_LINE_END:
		back_listed(t);
		break;
	case WAY_LINE_SEEN:
	case WAY_LINE_NONE:
		about_way(t, &l);
		break;
	case WAY_LINE_SET:
	case WAY_LINE_AMEND:
	case WAY_LINE_DEL:
	case WAY_LINE_LOOK:
	case WAY_LINE_LIST:
	case WAY_LINE_DESTROY:
		count_drop(t->b->env, R_MSG_UNKNOWN);
		break;
	}
}
