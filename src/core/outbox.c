/* SPDX-License-Identifier: MIT */
#include "core/outbox.h"

struct packet *outbox_make(struct outbox *o, unsigned port, uint32_t head_len)
{
	struct packet *p;

	if (outbox_room_made(o) == 0 || head_len > OUTBOX_SLOT - PACKET_HEADROOM)
		return NULL;
	p = &o->slot[o->made];
	*p = (struct packet){
		.head = o->arena[o->made] + PACKET_HEADROOM,
		.head_len = head_len,
		.off = { .csum = CSUM_COMPLETE },
	};
	o->made++;
	outbox_put(o, port, p);
	return p;
}
