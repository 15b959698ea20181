/* SPDX-License-Identifier: MIT */
#include "role/replica/chain.h"

static struct chain_links *links_of(struct chain_room r, uint32_t f)
{
	return (struct chain_links *)(void *)(r.links + r.each * f);
}

void chain_add(struct chain *ch, struct chain_room r, uint32_t f)
{
	struct chain_links *l = links_of(r, f);

	if (l->in)
		return;
	*l = (struct chain_links){ .prev = ch->last, .next = FLOW_NONE, .in = true };
	if (ch->last == FLOW_NONE)
		ch->first = f;
	else
		links_of(r, ch->last)->next = f;
	ch->last = f;
}

void chain_del(struct chain *ch, struct chain_room r, uint32_t f)
{
	struct chain_links *l = links_of(r, f);

	if (!l->in)
		return;
	if (l->prev == FLOW_NONE)
		ch->first = l->next;
	else
		links_of(r, l->prev)->next = l->next;
	if (l->next == FLOW_NONE)
		ch->last = l->prev;
	else
		links_of(r, l->next)->prev = l->prev;
	l->in = false;
}
