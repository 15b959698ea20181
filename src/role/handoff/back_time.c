/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * One timer for each hand-off; what it means follows from the state:
 *
 *     PENDING           it never came: its ways are taken away, its front end is told
 *     THERE             no packet for the idle time: likewise
 *     CLOSING, GONE     the last ACKs are over: it is forgotten, ways and all
 *
 * What was found after a restart and is no pair has the time of what is pending, from its last packet on.
 *
 * Packets do not move timers.  When one fires, the data plane is looked at for the last packet: our own at once, another one by a line
 * that is answered by BACK_REPLY, when the timer fires again; what was not answered is asked anew, since silence says nothing.  If there was a
 * packet since, it is armed for what is left.
 */
#include "role/handoff/back_inside.h"

static sut_time patience(const struct back *b, const struct back_hand *h)
{
	switch ((enum hand_state)h->state) {
	case HAND_PENDING:
		return BACK_PENDING;
	case HAND_THERE:
		return h->half ? BACK_PENDING : b->cfg.idle_timeout;
	case HAND_CLOSING:
		return h->fin_in && h->fin_out ? b->cfg.linger : b->cfg.idle_timeout;
	case HAND_UNKNOWN:
	case HAND_GONE:
		break;
	}
	return b->cfg.linger;
}

void back_arm(struct back_turn *t, struct back_hand *h)
{
	h->looked = false;
	wheel_arm(back_wheel(t->b), back_hand_slot(t->b, h), t->now + patience(t->b, h));
}

static void see(struct back_hand *h, sut_time at)
{
	if (at > h->last)
		h->last = at;
}

static void look_inside(struct back_turn *t, struct back_hand *h)
{
	const struct way *in = plane_get(back_plane(t->b), &h->in),
			 *out = plane_get(back_plane(t->b), &h->out);

	if (in)
		see(h, in->last_ns);
	if (out)
		see(h, out->last_ns);
}

/* Over for good: its ways go, then it. */
static void end(struct back_turn *t, struct back_hand *h)
{
	bool speaks = back_hand_speaks(h);

	if (!back_hand_over(h))
		count_event(t->b->env, EV_FLOWS_IDLE);
	if (h->state != HAND_GONE) {
		back_hand_enter(t, h, HAND_GONE, "no packet");
		back_owe(t->b, h, DEBT_STATE);
	}
	if (speaks) {
		h->muted = true;
		back_owe(t->b, h, DEBT_HUSH | DEBT_DESTROY);
	}
	if (h->laid)
		back_owe(t->b, h, DEBT_DEL);
	back_owe(t->b, h, DEBT_FREE);
}

void back_fire(struct back_turn *t, struct back_hand *h)
{
	sut_time limit = patience(t->b, h);

	if (back_inline(t->b)) {
		look_inside(t, h);
	} else if (h->laid && (!h->looked || h->told != 3)) {
		h->looked = true;
		h->told = h->none = 0;
		back_owe(t->b, h, DEBT_LOOK);
		wheel_arm(back_wheel(t->b), back_hand_slot(t->b, h), t->now + BACK_REPLY);
		return;
	}
	h->looked = false;
	if (h->state != HAND_PENDING && h->state != HAND_GONE && h->last + limit > t->now)
		wheel_arm(back_wheel(t->b), back_hand_slot(t->b, h), h->last + limit);
	else
		end(t, h);
}

void back_seen(struct back_turn *t, struct back_hand *h, const struct way_line *l)
{
	sut_time idle = SUT_MS((sut_time)l->idle_ms);

	see(h, idle < t->now ? t->now - idle : 0);
	if (h->known)
		return;
	/* After a restart: what it had seen. */
	if (l->way.seen & WAY_SAW_FIN) {
		if (l->key.sport == h->in.sport && l->key.dport == h->in.dport)
			h->fin_in = 1;
		else
			h->fin_out = 1;
	}
}
