/* SPDX-License-Identifier: MIT */
#include "role/replica/pair_record.h"

#include <errno.h>
#include <string.h>

#include "core/outbox.h"
#include "core/record_flow.h"
#include "role/replica/pair.h"

/*
 * The body, version 1: the client's key, flags, phase, age; the tracker; the edges; the numbers
 * learnt; what is withheld, with the lane that it will be sent in.  Additions, timers, chains
 * follow from these.
 */

#define VERSION 1

enum {
	SAVED_FAR_ISN = 1,
	SAVED_FAR_TS = 2,
	SAVED_TS = 4,
	SAVED_PENDING = 8,
	SAVED_WITHHELD = 16,
	SAVED_WITHHELD_TS = 32,
	SAVED_FAR_TALKS = 64,
};

static uint8_t flags_of(const struct pair *c)
{
	return (uint8_t)((c->far_isn_known ? SAVED_FAR_ISN : 0) |
			 (c->far_has_ts ? SAVED_FAR_TS : 0) | (c->ts_known ? SAVED_TS : 0) |
			 (c->pending ? SAVED_PENDING : 0) | (c->withheld.any ? SAVED_WITHHELD : 0) |
			 (c->withheld.has_ts ? SAVED_WITHHELD_TS : 0) |
			 (c->far_talks ? SAVED_FAR_TALKS : 0));
}

static void put_numbers(struct record *r, const struct pair *c)
{
	record_put32(r, c->early);
	record_put32(r, c->far_isn.v);
	record_put32(r, c->far_tsval);
	record_put32(r, c->far_tsval_last);
	record_put32(r, c->seam.seq.shift[FAR]);
	record_put32(r, c->seam.ts[FAR]);
	record_put32(r, c->pending_isn.v);
}

static void take_numbers(struct record_reader *rd, struct pair *c)
{
	c->early = record_take32(rd);
	c->far_isn.v = record_take32(rd);
	c->far_tsval = record_take32(rd);
	c->far_tsval_last = record_take32(rd);
	c->seam.seq.shift[FAR] = record_take32(rd);
	c->seam.ts[FAR] = record_take32(rd);
	c->pending_isn.v = record_take32(rd);
}

static void put_withheld(struct record *r, const struct withheld *w, const struct lane *l)
{
	record_put32(r, w->ack.v);
	record_put16(r, w->window);
	record_put32(r, w->tsval);
	record_put32(r, w->tsecr);
	record_put(r, l->eth, sizeof l->eth);
	record_put8(r, l->eth_len);
	record_put8(r, l->ip);
	record_put8(r, l->ttl);
	record_put8(r, l->tos);
	record_put32(r, l->flow_label);
}

static void take_withheld(struct record_reader *rd, struct withheld *w, struct lane *l)
{
	w->ack.v = record_take32(rd);
	w->window = record_take16(rd);
	w->tsval = record_take32(rd);
	w->tsecr = record_take32(rd);
	record_take(rd, l->eth, sizeof l->eth);
	l->eth_len = record_take8(rd);
	l->ip = record_take8(rd);
	l->ttl = record_take8(rd);
	l->tos = record_take8(rd);
	l->flow_label = record_take32(rd);
}

size_t pair_save(const void *role, uint32_t *cursor, sut_time now, struct record *ret_record)
{
	const struct rewrite *r = role;
	const struct flow_rec *near, *far;
	const struct pair *c;

	while (*cursor < flows_max(r->flows) && !flows_live(r->flows, *cursor))
		++*cursor;
	if (*cursor >= flows_max(r->flows))
		return 0;
	c = &r->pairs[*cursor];
	near = flows_rec_const(r->flows, flow_rec_of(*cursor, NEAR));
	far = flows_rec_const(r->flows, flow_rec_of(*cursor, FAR));
	++*cursor;

	record_begin(ret_record, REC_REPLICA_FLOW, VERSION);
	record_put_key(ret_record, &near->key);
	record_put8(ret_record, c->phase);
	record_put8(ret_record, flags_of(c));
	record_put64(ret_record, now > c->since ? (now - c->since) / SUT_MS(1) : 0);
	record_put_track(ret_record, &c->track);
	record_put32(ret_record, near->end.v);
	record_put32(ret_record, near->acked.v);
	record_put32(ret_record, far->end.v);
	record_put32(ret_record, far->acked.v);
	put_numbers(ret_record, c);
	put_withheld(ret_record, &c->withheld, &c->lane);
	record_end(ret_record);
	return ret_record->len;
}

/* One record's content. */
struct saved {
	struct flow_key key;
	struct pair pair;
	uint64_t age_ms;
	uint32_t edge[4];
};

static bool sane(const struct saved *s, uint8_t flags)
{
	const struct pair *c = &s->pair;
	bool half = c->phase == PAIR_HALF;

	return (half || c->phase == PAIR_KNOWN) && flags < 2 * SAVED_FAR_TALKS &&
	       s->key.where >> 24 == REPLICA_PRIMARY &&
	       (half ? c->track.state == TRACK_SYN_SENT && !c->withheld.any : c->far_isn_known) &&
	       (!c->withheld.any ||
		((c->lane.eth_len == 14 || c->lane.eth_len == 18 || c->lane.eth_len == 22) &&
		 (c->lane.ip == 4 || c->lane.ip == 6)));
}

static int read_saved(const struct record *record, struct saved *s)
{
	struct record_reader rd;
	struct pair *c = &s->pair;
	uint8_t flags;

	if (record_open(record, &rd) != 0 || rd.kind != REC_REPLICA_FLOW)
		return -EINVAL;
	if (rd.version != VERSION)
		return -EPROTO;
	record_take_key(&rd, &s->key);
	c->phase = record_take8(&rd);
	flags = record_take8(&rd);
	s->age_ms = record_take64(&rd);
	record_take_track(&rd, &c->track);
	for (unsigned i = 0; i < ARRAY_LEN(s->edge); i++)
		s->edge[i] = record_take32(&rd);
	take_numbers(&rd, c);
	take_withheld(&rd, &c->withheld, &c->lane);
	c->far_isn_known = flags & SAVED_FAR_ISN;
	c->far_has_ts = flags & SAVED_FAR_TS;
	c->ts_known = flags & SAVED_TS;
	c->pending = flags & SAVED_PENDING;
	c->withheld.any = flags & SAVED_WITHHELD;
	c->withheld.has_ts = flags & SAVED_WITHHELD_TS;
	c->far_talks = flags & SAVED_FAR_TALKS;
	c->seam.seq.known = c->phase == PAIR_KNOWN ? 3 : 0;
	return rd.failed || rd.left != 0 || !sane(s, flags) ? -EINVAL : 0;
}

static void complete_lane(struct lane *l, const struct flow_key *k)
{
	memcpy(l->src, k->src, sizeof l->src);
	memcpy(l->dst, k->dst, sizeof l->dst);
	l->sport = be16_get(k->sport);
	l->dport = be16_get(k->dport);
}

int pair_restore(void *role, const struct record *record, sut_time now)
{
	struct turn t = { .r = role, .now = now };
	struct saved s = { 0 };
	sut_time age;
	uint32_t f;
	int err = read_saved(record, &s);

	if (err)
		return err;
	err = pair_adopt(&t, &s.key, &f);
	if (err)
		return err == -ENOBUFS ? -ENOSPC : err;
	age = s.age_ms < now / SUT_MS(1) ? SUT_MS(s.age_ms) : now;
	s.pair.since = now - age;
	complete_lane(&s.pair.lane, &s.key);
	pair_rec(&t, f, NEAR)->end.v = s.edge[0];
	pair_rec(&t, f, NEAR)->acked.v = s.edge[1];
	pair_rec(&t, f, FAR)->end.v = s.edge[2];
	pair_rec(&t, f, FAR)->acked.v = s.edge[3];
	pair_resume(&t, f, &s.pair);
	return 0;
}
