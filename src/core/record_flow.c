/* SPDX-License-Identifier: MIT */
#include "core/record_flow.h"

#include <errno.h>

void record_put_key(struct record *r, const struct flow_key *k)
{
	record_put(r, k->src, sizeof k->src);
	record_put(r, k->dst, sizeof k->dst);
	record_put16(r, be16_get(k->sport));
	record_put16(r, be16_get(k->dport));
	record_put32(r, k->where);
}

void record_take_key(struct record_reader *rd, struct flow_key *ret_k)
{
	record_take(rd, ret_k->src, sizeof ret_k->src);
	record_take(rd, ret_k->dst, sizeof ret_k->dst);
	ret_k->sport = be16_of(record_take16(rd));
	ret_k->dport = be16_of(record_take16(rd));
	ret_k->where = record_take32(rd);
}

void record_put_track(struct record *r, const struct track *t)
{
	record_put8(r, t->state);
	record_put8(r, t->opener);
	record_put8(r, t->fin_seen);
	record_put8(r, t->fin_acked);
	record_put8(r, t->edges_known);
	record_put8(r, t->isn_known);
	for (enum sut_side s = NEAR; s < SUT_SIDES; s++) {
		record_put32(r, t->isn[s].v);
		record_put32(r, t->fin[s].v);
	}
}

void record_take_track(struct record_reader *rd, struct track *ret_t)
{
	ret_t->state = record_take8(rd);
	ret_t->opener = record_take8(rd);
	ret_t->fin_seen = record_take8(rd);
	ret_t->fin_acked = record_take8(rd);
	ret_t->edges_known = record_take8(rd);
	ret_t->isn_known = record_take8(rd);
	for (enum sut_side s = NEAR; s < SUT_SIDES; s++) {
		ret_t->isn[s].v = record_take32(rd);
		ret_t->fin[s].v = record_take32(rd);
	}
	if (ret_t->state >= TRACK_STATE_COUNT || ret_t->opener >= SUT_SIDES)
		rd->failed = true;
}

void record_put_lane(struct record *r, const struct lane *l)
{
	record_put(r, l->eth, sizeof l->eth);
	record_put8(r, l->eth_len);
	record_put8(r, l->ip);
	record_put8(r, l->ttl);
	record_put8(r, l->tos);
	record_put32(r, l->flow_label);
	record_put(r, l->src, sizeof l->src);
	record_put(r, l->dst, sizeof l->dst);
	record_put16(r, l->sport);
	record_put16(r, l->dport);
}

void record_take_lane(struct record_reader *rd, struct lane *ret_l)
{
	record_take(rd, ret_l->eth, sizeof ret_l->eth);
	ret_l->eth_len = record_take8(rd);
	ret_l->ip = record_take8(rd);
	ret_l->ttl = record_take8(rd);
	ret_l->tos = record_take8(rd);
	ret_l->flow_label = record_take32(rd);
	record_take(rd, ret_l->src, sizeof ret_l->src);
	record_take(rd, ret_l->dst, sizeof ret_l->dst);
	ret_l->sport = record_take16(rd);
	ret_l->dport = record_take16(rd);
	if (ret_l->eth_len < 14 || ret_l->eth_len > sizeof ret_l->eth || ret_l->eth_len % 4 != 2 ||
	    (ret_l->ip != 4 && ret_l->ip != 6))
		rd->failed = true;
}

#define END_VERSION 1

void record_flow_end(struct record *r, const struct flow_key *k)
{
	record_begin(r, REC_FLOW_END, END_VERSION);
	record_put_key(r, k);
	record_end(r);
}

int record_take_flow_end(struct record_reader *rd, struct flow_key *ret_k)
{
	if (rd->version != END_VERSION)
		return -EPROTO;
	record_take_key(rd, ret_k);
	return rd->failed || rd->left ? -EINVAL : 0;
}
