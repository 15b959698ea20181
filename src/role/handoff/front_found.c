/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "role/handoff/front_inside.h"

/*
 * Theory of operation
 *
 * A data plane in the kernel outlives us, so at the beginning it is asked what lies there.  What belongs to nothing that we have a record of was laid
 * by a process that was killed.  As far as anybody knows it is a live connection's, and packets go on by it; so it becomes a hand-off of which only
 * its ways are known, and which ends as others do: its agent says so, a while behind its FINs, or for want of packets.  Which agent that is
 * is not known: all are asked, and who knows the id has it; then it is a hand-off like any other.
 *
 * What was claimed for a splice whose numbers nobody knows goes at once, and the host's own TCP resets it.  The other way round, what we have a
 * record of, and does not lie there, was over: it is not laid again before a packet of it comes.
 */

#define SOON SUT_MS(1000) /* while agents may not be reached yet */
#define SOON_LAST SUT_MS(5000)

void found_ask(struct front *f)
{
	if (f->listed || !front_joined(f, FRONT_PLANE))
		return;
	f->listed = true;
	front_sayf(f, FRONT_PLANE, "list");
}

static bool is_to_origin(const struct front *f, const struct way_key *k)
{
	for (unsigned i = 0; i < f->cfg.origins; i++)
		if (f->cfg.origin[i].port == net16(k->dport) &&
		    memcmp(f->cfg.origin[i].ip, k->dst, 16) == 0)
			return true;
	return false;
}

/* Of a hand-off that was restored: what is laid anew does not go back. */
static void known(struct hand *h, enum side side, const struct way *w)
{
	if (side != CLIENT || !(h->flags & HF_RESTORED))
		return;
	h->flags |= HF_BPF | HF_LISTED;
	if (num_before(h->end, w->expect))
		h->end = w->expect;
}

static struct hand *begin(struct front *f, const struct way_key *client, const struct way *w)
{
	struct hand *h = hand_take(f, w->id);
	bool named = h != NULL; /* its agent knows it by this id */

	if (h == NULL)
		h = hand_new(f);
	if (h == NULL)
		return NULL;
	hand_key_add(f, h, CLIENT, client);
	h->rung = !key_is_zero(&w->mate) ? RUNG_SPLICE : named ? RUNG_ADOPT : RUNG_NONE;
	h->origin = w->origin;
	h->flags = HF_FOUND | HF_BPF | HF_ANSWERED;
	hand_set_state(f, h, FR_THERE, "found");
	hand_arm(f, h, f->now);
	return h;
}

static void have(struct front *f, const struct way_line *l)
{
	const struct way *w = &l->way;
	bool back = !key_is_zero(&w->mate) && !is_to_origin(f, &l->key) &&
		    is_to_origin(f, &w->mate);
	const struct way_key *client = back ? &w->mate : &l->key,
			     *other = back ? &l->key : &w->mate;
	enum side side;
	struct hand *h = hand_find(f, &l->key, &side);

	if (h != NULL) {
		known(h, side, w);
		return;
	}
	if (w->act != WAY_SEND || hand_find(f, client, &side) != NULL) { /* nobody's */
		way_remove(f, &l->key);
		return;
	}
	h = begin(f, client, w);
	if (h == NULL) {
		count_drop(&f->env, R_FLOWS_FULL);
		return;
	}
	if (!back)
		h->base = h->end = h->d.rcv_nxt = w->expect;
	if (h->rung == RUNG_SPLICE && hand_find(f, other, &side) == NULL)
		hand_key_add(f, h, BACK, other);
}

/* Is it restored, and not in the data plane? */
bool found_lost(const struct front *f, const struct hand *h)
{
	return front_joined(f, FRONT_PLANE) && (h->flags & (HF_RESTORED | HF_BPF)) == HF_RESTORED;
}

static void listed(struct front *f)
{
	for (uint32_t i = 0; i < f->fresh; i++) {
		struct hand *h = &f->hand[i];

		if (h->id == 0 || !(h->flags & HF_RESTORED) || (h->flags & HF_LISTED) ||
		    h->rung == RUNG_SPLICE || h->state == FR_LINGER)
			continue;
		h->flags &= (uint16_t)~HF_BPF;
		hand_arm(f, h, f->now);
	}
}

bool found_line(struct front *f, const struct way_line *l)
{
	if (l->kind == WAY_LINE_HAVE)
		have(f, l);
	else if (l->kind == WAY_LINE_END)
		listed(f);
	return l->kind == WAY_LINE_HAVE || l->kind == WAY_LINE_END;
}

void found_look(struct front *f, struct hand *h)
{
	struct hand_msg m = { .kind = HAND_ASK, .id = h->id };
	bool soon = f->now - h->born < SOON_LAST;

	hand_arm(f, h, f->now + (soon ? SOON : LOOK_AFTER));
	way_look(f, h);
	for (uint32_t b = 0; h->rung == RUNG_ADOPT && b < f->cfg.backends; b++)
		if (f->backend[b].place == PLACE_USED && backend_cfg(f, b)->has_agent)
			front_tell_agent(f, b, &m);
}

bool found_told(struct front *f, uint32_t b, const struct hand_msg *m)
{
	struct hand *h = m->kind == HAND_STATE ? hand_by_id(f, m->id) : NULL;

	if (h == NULL || !(h->flags & HF_FOUND))
		return false;
	if (m->state == HAND_UNKNOWN || h->rung != RUNG_ADOPT)
		return true;
	h->backend = b;
	h->flags &= (uint16_t)~HF_FOUND;
	h->flags |= HF_TOLD | HF_KNOWN | HF_RESTORED | HF_LISTED;
	over_count(f, h, true);
	return false;
}
