/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Ways outlive the agent, where they are pinned; what it knew of them may not.  It asks for all of them when it is started, and each
 * belongs to a hand-off by then: one of a record, or one that is made of what the way says, and has no front end until that names it.
 *
 * An agent that is killed between two lines leaves half a pair, or two halves of different pairs: the new one's host direction beside the old one's
 * client direction.  Such ways are nobody's, but packets may still pass one of them, so they end as what is pending does, a minute behind the last
 * packet; and nobody can claim them.  A pair whose origin is not in the list any more ends as every other.
 */
#include <string.h>

#include "role/handoff/back_inside.h"

static void turn(const struct way_key *k, struct way_key *ret_k)
{
	struct way_key r = { .sport = k->dport, .dport = k->sport };

	memcpy(r.src, k->dst, 16);
	memcpy(r.dst, k->src, 16);
	*ret_k = r;
}

/* Which direction is it?  Where no end of it is an origin's, or both are, only the way itself says so. */
static enum back_way side_of(const struct back *b, const struct way_line *l, int *ret_origin)
{
	bool hosts = l->way.flags & WAY_LEARN || l->way.end;
	struct way_key turned, other;
	int from, to;

	turn(&l->key, &turned);
	from = back_quad(b, &turned, &other);
	to = back_quad(b, &l->key, &other);
	if ((from >= 0) != (to >= 0))
		hosts = from >= 0;
	*ret_origin = hosts ? from : to;
	return hosts ? BACK_WAY_OUT : BACK_WAY_IN;
}

/* Both keys of the pair that it is half of. */
static void pair_of(const struct back *b, const struct way_line *l, enum back_way side,
		    struct way_key *ret_in, struct way_key *ret_out)
{
	const struct way_key *mate = l->way.mate.dport ? &l->way.mate : NULL;

	if (side == BACK_WAY_IN) {
		*ret_in = l->key;
		if (back_quad(b, &l->key, ret_out) < 0 && mate)
			*ret_out = *mate;
		return;
	}
	*ret_out = l->key;
	turn(&l->key, ret_in);
	if (mate)
		*ret_in = *mate;
}

/* The id of a way from before a restart; later ones are others. */
static void has_id(struct back_turn *t, struct back_hand *h, uint32_t id)
{
	if (id > t->b->way_ids)
		t->b->way_ids = id;
	if (h->known) /* it was made since then: what is told may be older */
		return;
	if (h->any_way || h->way_id == 0) {
		h->any_way = false;
		h->way_id = id;
	} else if (id != 0 && id != h->way_id) {
		h->half = true;
	}
	h->in_band |= id == 0;
}

static struct back_hand *found(struct back_turn *t, const struct way_key *in,
			       const struct way_key *out, int origin)
{
	struct back_hand *h = back_hand_add(t, in, out);

	if (!h) {
		if (!back_inline(t->b))
			count_drop(t->b->env, R_FLOWS_FULL);
		return NULL;
	}
	h->origin = (uint8_t)(origin < 0 ? 0 : origin);
	h->stranger = origin < 0;
	t->b->strangers += h->stranger;
	h->found = h->laid = h->any_way = true;
	h->known = false;
	return h;
}

/* What the client's direction says of a hand-off that nobody knows. */
static void read_in(struct back_turn *t, struct back_hand *h, const struct way *w)
{
	h->kind = w->flags & WAY_OPEN			  ? BACK_OPEN
		  : w->flags & (WAY_UNLEARNT | WAY_SHIFT) ? BACK_SHIFT
							  : BACK_ADOPT;
	h->learnt = w->flags & WAY_SHIFT;
	h->shift = 0u - w->ack;
	h->clock = 0u - w->tsecr;
	if (!(w->flags & WAY_PENDING))
		back_hand_enter(t, h, HAND_THERE, "found");
}

void back_have(struct back_turn *t, const struct way_line *l)
{
	struct way_key in, out;
	struct back_hand *h;
	enum back_way side;
	int origin;

	side = side_of(t->b, l, &origin);
	pair_of(t->b, l, side, &in, &out);
	h = back_hand_by_quad(t->b, &out);
	if (!h)
		h = found(t, &in, &out, origin);
	if (!h)
		return;
	h->laid = true;
	h->lies |= (uint8_t)side;
	has_id(t, h, l->way.id);
	if (h->known)
		return;
	if (h->found && side == BACK_WAY_IN)
		read_in(t, h, &l->way);
	/* What it has seen since the records were written, or ever. */
	if (side == (h->found ? BACK_WAY_IN : BACK_WAY_OUT))
		back_owe(t->b, h, DEBT_LOOK);
}

static void is_half(struct back_turn *t, struct back_hand *h)
{
	h->half = true;
	count_event(t->b->env, EV_WAYS_ORPHANED);
	if (h->found) /* packets of it put its end off */
		back_hand_enter(t, h, HAND_THERE, "half a pair");
	else
		back_hand_enter(t, h, (enum hand_state)h->state, "half a pair");
}

void back_listed(struct back_turn *t)
{
	struct back *b = t->b;

	b->listing = false;
	for (uint32_t i = 0; i < b->fresh; i++) {
		struct back_hand *h = back_hand_at(b, i);

		if (!h->used || h->known)
			continue;
		if (!h->laid) { /* what has none is no more */
			if (h->state != HAND_GONE)
				back_hand_enter(t, h, HAND_GONE, "no ways");
			back_owe(b, h, DEBT_STATE | DEBT_FREE);
		} else if (h->half || h->lies != BACK_WAY_BOTH) {
			is_half(t, h);
		}
	}
}
