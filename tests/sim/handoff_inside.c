/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "handoff_world.h"
#include "role/handoff/back_inside.h"
#include "role/handoff/front_inside.h"

/* Are all bytes that the client was told had arrived still here? */
static bool keeps(const struct front *f, const struct hand *h)
{
	uint32_t seq = h->base, end = h->end - h->d.fin_in;

	for (uint32_t i = h->first; i != STORE_NONE && num_before(seq, end);) {
		const struct cell *x = store_cell_const(f->store, i);

		if (x->seq.v != seq)
			return false;
		seq += x->len;
		i = x->next;
	}
	return !num_before(seq, end); /* behind it may be what nobody has acknowledged */
}

const char *hand_front_fault(const struct box *b)
{
	const struct front *f = b->role;

	for (uint32_t i = 0; i < f->fresh; i++) {
		const struct hand *h = &f->hand[i];

		if (h->id && h->state >= FR_ASKED && h->state <= FR_RETRACT &&
		    !(h->flags & (HF_PROBE | HF_RESTORED)) && !keeps(f, h))
			return "bytes that were acknowledged are not kept";
	}
	return front_check(f);
}

unsigned hand_front_left(const struct box *b)
{
	const struct front *f = b->role;
	unsigned n = f->used, ways = plane_count(f->plane);

	for (uint32_t i = 0; i < f->fresh; i++) {
		const struct hand *h = &f->hand[i];

		if (!h->id || !(h->flags & HF_PROBE))
			continue;
		n--;
		if (h->flags & HF_LAID)
			ways -= (h->in_table & 1u) +
				(h->rung == RUNG_SPLICE ? h->in_table >> 1 : 0u);
	}
	return n + ways;
}

/* Those of probes are younger than a minute. */
unsigned hand_agent_left(const struct box *b)
{
	const struct back *a = b->role;
	unsigned n = 0, used = 0;

	for (uint32_t i = 0; i < a->max; i++) {
		const struct back_hand *h = back_hand_at(a, i);
		uint8_t front[2][16];

		if (!h->used)
			continue;
		used++;
		hand_ip_front(4, front[0]);
		hand_ip_front(6, front[1]);
		n += memcmp(h->in.src, front[0], 16) != 0 && memcmp(h->in.src, front[1], 16) != 0;
	}
	if (plane_count(back_plane(a)) > 2 * used)
		n += 1000;
	return n;
}

bool hand_front_splices(const struct box *b, const struct packet *p, const struct view *v)
{
	struct front *f = b->role;
	const struct hand *h;
	struct way_key k, client;
	enum side side;

	way_key_of(p, v, &k);
	key_reverse(&k, &client);
	h = hand_find(f, &client, &side);
	return h && side == CLIENT && h->rung == RUNG_SPLICE && h->state >= FR_REPLAY;
}
