/* SPDX-License-Identifier: MIT */
#include "role/replica/ahead.h"

#include <string.h>

static uint32_t place_of(const struct ahead *a, const struct flow_key *key)
{
	return (uint32_t)hash40(&a->hash, key) % AHEAD_PLACES;
}

void ahead_put(struct ahead *a, const struct flow_key *key, const struct view *v,
	       const struct tcp_options *o, sut_time now)
{
	a->place[place_of(a, key)] = (struct ahead_synack){
		.key = *key,
		.until = now + AHEAD_TIME,
		.seq = v->seq,
		.ack = v->ack,
		.payload_len = v->payload_len,
		.flags = v->flags,
		.o = *o,
	};
}

const struct ahead_synack *ahead_get(const struct ahead *a, const struct flow_key *key,
				     sut_time now)
{
	const struct ahead_synack *s = &a->place[place_of(a, key)];

	return now < s->until && memcmp(&s->key, key, sizeof *key) == 0 ? s : NULL;
}
