/* SPDX-License-Identifier: MIT */
#include "role/replica/stamp.h"

static bool is_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

void stamp_learn(struct pair *c)
{
	if (!c->far_has_ts || !c->near_has_ts)
		return;
	c->seam.ts[FAR] = c->far_tsval - c->near_tsval;
	c->ts_known = true;
}

void stamp_heard(struct pair *c, struct flow_rec *near, const struct view *v,
		 const struct tcp_options *o)
{
	if (!(v->flags & TCP_ACK) || (v->flags & TCP_RST))
		return;
	if (!(o->present & OPT_TS)) {
		if (c->stamps == STAMPS_UNKNOWN)
			c->stamps = STAMPS_NONE;
		return;
	}
	if (c->stamps != STAMPS_SEEN)
		*pair_echo(near) = o->tsecr;
	c->stamps = STAMPS_SEEN;
	stamp_edge(pair_echo(near), o->tsecr);
	if (!is_before(o->tsecr, c->lift_at))
		c->lift_by = 0;
}

uint32_t stamp_echo(const struct pair *c, uint32_t tsecr)
{
	uint32_t far = tsecr + c->seam.ts[FAR];

	if (c->lift_by != 0 && is_before(tsecr, c->lift_at)) {
		far += c->lift_by;
		if (is_before(c->lift_at + c->seam.ts[FAR], far))
			far = c->lift_at + c->seam.ts[FAR];
	}
	if (c->far_talks || !c->ts_known)
		return far;
	if (is_before(far, c->far_tsval))
		return c->far_tsval;
	return is_before(c->far_tsval_last, far) ? c->far_tsval_last : far;
}

/* The highest TSval that the client can have seen from the primary: false if nothing tells. */
static bool highest(const struct pair *c, const struct flow_rec *near, uint32_t *ret_ts)
{
	if (c->stamps != STAMPS_SEEN && !c->floor_known)
		return false;
	*ret_ts = c->stamps == STAMPS_SEEN ? near->add_seq : c->floor; /* pair_echo() */
	if (c->floor_known && is_before(*ret_ts, c->floor))
		*ret_ts = c->floor;
	return true;
}

void stamp_lift(struct turn *t, uint32_t f, const struct tcp_options *o)
{
	struct pair *c = pair_of(t, f);
	uint32_t floor, by;

	if (!t->r->failed_over || c->lifted || !c->ts_known || !(o->present & OPT_TS))
		return;
	c->lifted = true;
	if (highest(c, pair_rec(t, f, NEAR), &floor)) {
		by = floor - (o->tsval - c->seam.ts[FAR]);
		if ((int32_t)by > 0) {
			c->seam.ts[FAR] -= by;
			c->lift_by = by;
			c->lift_at = floor;
			count_event(t->r->env, EV_TS_LIFTED);
		}
	}
	pair_refresh(t, f);
}
