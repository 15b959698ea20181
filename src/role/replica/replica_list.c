/* SPDX-License-Identifier: MIT */
#include "role/replica/replica_list.h"

#include "role/replica/command.h"
#include "role/replica/compare_flow.h"
#include "role/replica/pair.h"

/* The next flow from *cursor on; false if there is none. */
static bool next_flow(const struct flows *t, uint32_t *cursor, uint32_t *ret_f)
{
	while (*cursor < flows_max(t) && !flows_live(t, *cursor))
		(*cursor)++;
	if (*cursor >= flows_max(t))
		return false;
	*ret_f = (*cursor)++;
	return true;
}

static const char *pair_mode(const struct pair *c)
{
	return pair_by_guest(c) ? "guest" : "client";
}

/* A flow as it will be once it has taken over what commands have done. */
bool pair_list(const void *role, uint32_t *cursor, sut_time now, struct flow_row *ret_row)
{
	const struct rewrite *r = role;
	struct flow_rec near, far;
	struct pair c;
	uint32_t f;

	if (!next_flow(r->flows, cursor, &f))
		return false;
	c = r->pairs[f];
	near = *flows_rec_const(r->flows, flow_rec_of(f, NEAR));
	far = *flows_rec_const(r->flows, flow_rec_of(f, FAR));
	command_renew(r, &c, &near, &far);
	*ret_row = (struct flow_row){
		.key = near.key,
		.mode = pair_mode(&c),
		.state = c.phase == PAIR_KNOWN ? track_state_name((enum track_state)c.track.state)
					       : "HALF",
		.shifted = seqmap_knows(&c.seam.seq, FAR),
		.clocked = c.ts_known,
		.shift = { c.seam.seq.shift[NEAR], c.seam.seq.shift[FAR] },
		.clock = { c.seam.ts[NEAR], c.seam.ts[FAR] },
		.held_bytes = (uint64_t)c.held.cells * HELD_CELL,
		.age_ns = now > c.since ? now - c.since : 0,
	};
	for (enum sut_side s = NEAR; s < SUT_SIDES; s++)
		if (c.track.isn_known & (1u << s) && c.phase == PAIR_KNOWN)
			ret_row->bytes[s] = (s == NEAR ? near.end.v : far.end.v) -
					    c.track.isn[s].v - 1;
	return true;
}

static const char *const kinds[] = {
	[COMPARE_TCP] = "tcp",
	[COMPARE_UDP] = "udp",
	[COMPARE_ICMP] = "icmp",
	[COMPARE_OTHER] = "other",
};

bool compare_list(const void *role, uint32_t *cursor, sut_time now, struct flow_row *ret_row)
{
	const struct compare *c = role;
	const struct compare_flow *k;
	uint32_t f;

	if (!next_flow(c->flows, cursor, &f))
		return false;
	k = &c->cold[f];
	*ret_row = (struct flow_row){
		.key = flows_rec_const(c->flows, flow_rec_of(f, NEAR))->key,
		.mode = kinds[k->kind],
		.state = k->diverged ? "DIVERGED"
			 : k->waits  ? "WAITING"
				     : "AGREED",
		.shifted = seqmap_knows(&k->map, FAR),
		.shift = { 0, k->map.shift[FAR] },
		.held_bytes = ((uint64_t)k->side[NEAR].q.cells + k->side[FAR].q.cells) * HELD_CELL,
		.age_ns = now > k->last ? now - k->last : 0,
	};
	return true;
}
