/* SPDX-License-Identifier: MIT */
#include "role/replica/pair_record.h"

#include <errno.h>
#include <string.h>

#include "core/outbox.h"
#include "core/record_flow.h"
#include "role/replica/command.h"
#include "role/replica/pair.h"

/*
 * A flow's body, version 2: the client's key, phase, flags, age; the tracker; the edges and the
 * highest echo; the numbers learnt; what was offered, and the scales; what is withheld, with the
 * lane that it will be sent in.  Additions, timers, chains follow from these.  Commands that the
 * flow has not met yet are applied to what is written.
 *
 * The role's own state is a record in front of the flows', and only there is one where the primary
 * is dead: it has no body.
 */

#define VERSION 2
#define STATE_VERSION 1

/* One bit for each bool of a pair, in this order. */
/* clang-format off */
#define FLAGS(X) \
	X(far_isn_known) X(far_has_ts) X(ts_known) X(pending) X(withheld.any) X(withheld.has_ts) X(far_talks) \
	X(near_isn_known) X(near_isn_sure) X(near_has_ts) X(copied) X(compared) X(floor_known) \
	X(primary_end_known) X(lifted)
/* clang-format on */

#define X(member) +1
enum { FLAG_COUNT = FLAGS(X) };
#undef X

static uint32_t flags_of(const struct pair *c)
{
	uint32_t flags = 0, bit = 1;

#define X(member)                     \
	flags |= c->member ? bit : 0; \
	bit <<= 1;
	FLAGS(X)
#undef X
	return flags;
}

static void set_flags(struct pair *c, uint32_t flags)
{
#define X(member)              \
	c->member = flags & 1; \
	flags >>= 1;
	FLAGS(X)
#undef X
}

static void put_numbers(struct record *r, const struct pair *c)
{
	record_put32(r, c->early);
	record_put32(r, c->far_isn.v);
	record_put32(r, c->far_tsval);
	record_put32(r, c->far_tsval_last);
	record_put32(r, c->near_isn.v);
	record_put32(r, c->near_tsval);
	record_put32(r, c->seam.seq.shift[FAR]);
	record_put32(r, c->seam.ts[FAR]);
	record_put32(r, c->pending_isn.v);
	record_put32(r, c->floor);
	record_put32(r, c->primary_end.v);
	record_put32(r, c->lift_by);
	record_put32(r, c->lift_at);
}

static void take_numbers(struct record_reader *rd, struct pair *c)
{
	c->early = record_take32(rd);
	c->far_isn.v = record_take32(rd);
	c->far_tsval = record_take32(rd);
	c->far_tsval_last = record_take32(rd);
	c->near_isn.v = record_take32(rd);
	c->near_tsval = record_take32(rd);
	c->seam.seq.shift[FAR] = record_take32(rd);
	c->seam.ts[FAR] = record_take32(rd);
	c->pending_isn.v = record_take32(rd);
	c->floor = record_take32(rd);
	c->primary_end.v = record_take32(rd);
	c->lift_by = record_take32(rd);
	c->lift_at = record_take32(rd);
}

/* An offer is known (1), scaled (2), SACK (4), timestamps (8), and the scale above these. */
static void put_offer(struct record *r, const struct offer *o)
{
	record_put8(r, (uint8_t)(o->known | o->scaled << 1 | o->sack << 2 | o->ts << 3 |
				 o->scale << 4));
}

static void take_offer(struct record_reader *rd, struct offer *ret_o)
{
	uint8_t v = record_take8(rd);

	*ret_o = (struct offer){
		.known = v & 1,
		.scaled = v & 2,
		.sack = v & 4,
		.ts = v & 8,
		.scale = v >> 4,
	};
}

static void put_options(struct record *r, const struct pair *c)
{
	put_offer(r, &c->client);
	put_offer(r, &c->primary);
	put_offer(r, &c->secondary);
	for (enum sut_side s = NEAR; s < SUT_SIDES; s++) {
		record_put8(r, c->seam.near_scale[s]);
		record_put8(r, c->seam.far_scale[s]);
	}
}

static void take_options(struct record_reader *rd, struct pair *c)
{
	take_offer(rd, &c->client);
	take_offer(rd, &c->primary);
	take_offer(rd, &c->secondary);
	for (enum sut_side s = NEAR; s < SUT_SIDES; s++) {
		c->seam.near_scale[s] = record_take8(rd);
		c->seam.far_scale[s] = record_take8(rd);
		if (c->seam.near_scale[s] > TCP_WSCALE_MAX || c->seam.far_scale[s] > TCP_WSCALE_MAX)
			rd->failed = true;
	}
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

/* One flow as it is, or as a record has it. */
struct saved {
	struct pair pair;
	struct flow_rec near, far;
	uint64_t age_ms;
};

static void write_flow(const struct saved *s, struct record *ret_record)
{
	const struct pair *c = &s->pair;

	record_begin(ret_record, REC_REPLICA_FLOW, VERSION);
	record_put_key(ret_record, &s->near.key);
	record_put8(ret_record, c->phase);
	record_put8(ret_record, c->stamps);
	record_put32(ret_record, flags_of(c));
	record_put64(ret_record, s->age_ms);
	record_put_track(ret_record, &c->track);
	record_put32(ret_record, s->near.end.v);
	record_put32(ret_record, s->near.acked.v);
	record_put32(ret_record, s->far.end.v);
	record_put32(ret_record, s->far.acked.v);
	record_put32(ret_record, s->near.add_seq); /* pair_echo() */
	put_numbers(ret_record, c);
	put_options(ret_record, c);
	put_withheld(ret_record, &c->withheld, &c->lane);
	record_end(ret_record);
}

size_t pair_save(const void *role, uint32_t *cursor, sut_time now, struct record *ret_record)
{
	const struct rewrite *r = role;
	struct saved s;
	uint32_t f;

	if (*cursor == 0) {
		++*cursor;
		if (r->failed_over) {
			record_begin(ret_record, REC_REPLICA_STATE, STATE_VERSION);
			record_end(ret_record);
			return ret_record->len;
		}
	}
	while (*cursor <= flows_max(r->flows) && !flows_live(r->flows, *cursor - 1))
		++*cursor;
	if (*cursor > flows_max(r->flows))
		return 0;
	f = (*cursor)++ - 1;
	s.pair = r->pairs[f];
	s.near = *flows_rec_const(r->flows, flow_rec_of(f, NEAR));
	s.far = *flows_rec_const(r->flows, flow_rec_of(f, FAR));
	s.age_ms = now > s.pair.since ? (now - s.pair.since) / SUT_MS(1) : 0;
	command_renew(r, &s.pair, &s.near, &s.far);
	write_flow(&s, ret_record);
	return ret_record->len;
}

static bool lane_is_sane(const struct lane *l)
{
	return (l->eth_len == 14 || l->eth_len == 18 || l->eth_len == 22) &&
	       (l->ip == 4 || l->ip == 6);
}

static bool sane(const struct saved *s, uint32_t flags)
{
	const struct pair *c = &s->pair;
	bool half = c->phase == PAIR_HALF;

	if ((!half && c->phase != PAIR_KNOWN) || flags >> FLAG_COUNT != 0 ||
	    c->stamps > STAMPS_SEEN || s->near.key.where >> 24 != REPLICA_PRIMARY)
		return false;
	if (half && (c->track.state != TRACK_SYN_SENT || c->withheld.any || c->copied))
		return false;
	return (c->lane.eth_len == 0 && !c->withheld.any) || lane_is_sane(&c->lane);
}

static int read_flow(struct record_reader *rd, struct saved *s)
{
	struct pair *c = &s->pair;
	uint32_t flags;

	if (rd->version != VERSION)
		return -EPROTO;
	record_take_key(rd, &s->near.key);
	c->phase = record_take8(rd);
	c->stamps = record_take8(rd);
	flags = record_take32(rd);
	s->age_ms = record_take64(rd);
	record_take_track(rd, &c->track);
	s->near.end.v = record_take32(rd);
	s->near.acked.v = record_take32(rd);
	s->far.end.v = record_take32(rd);
	s->far.acked.v = record_take32(rd);
	s->near.add_seq = record_take32(rd);
	take_numbers(rd, c);
	take_options(rd, c);
	take_withheld(rd, &c->withheld, &c->lane);
	set_flags(c, flags);
	c->seam.seq.known = c->phase == PAIR_KNOWN ? 3 : 0;
	return rd->failed || rd->left != 0 || !sane(s, flags) ? -EINVAL : 0;
}

static void complete_lane(struct lane *l, const struct flow_key *k)
{
	memcpy(l->src, k->src, sizeof l->src);
	memcpy(l->dst, k->dst, sizeof l->dst);
	l->sport = be16_get(k->sport);
	l->dport = be16_get(k->dport);
}

/* Makes way for another record of the flow with this key, if no packet of it was seen since it was restored. */
static bool give_way(struct turn *t, const struct flow_key *key)
{
	uint32_t rec = flows_find_one(t->r->flows, key), f = flow_of(rec);

	if (rec == FLOW_NONE || !pair_of(t, f)->restored ||
	    ((pair_rec(t, f, NEAR)->flags | pair_rec(t, f, FAR)->flags) & FLOW_SEEN))
		return false;
	pair_end(t, f, EV_FLOWS_CLOSED, "a later record");
	return true;
}

static int restore_flow(struct turn *t, struct record_reader *rd)
{
	struct saved s = { 0 };
	uint32_t f;
	int err = read_flow(rd, &s);
	sut_time age;

	if (err)
		return err;
	err = pair_adopt(t, &s.near.key, &f);
	if (err == -EEXIST && give_way(t, &s.near.key))
		err = pair_adopt(t, &s.near.key, &f);
	if (err)
		return err == -ENOBUFS ? -ENOSPC : err;
	age = s.age_ms < t->now / SUT_MS(1) ? SUT_MS(s.age_ms) : t->now;
	s.pair.since = t->now - age;
	complete_lane(&s.pair.lane, &s.near.key);
	pair_rec(t, f, NEAR)->end = s.near.end;
	pair_rec(t, f, NEAR)->acked = s.near.acked;
	pair_rec(t, f, NEAR)->add_seq = s.near.add_seq;
	pair_rec(t, f, FAR)->end = s.far.end;
	pair_rec(t, f, FAR)->acked = s.far.acked;
	pair_resume(t, f, &s.pair);
	return 0;
}

static int restore_state(struct rewrite *r, const struct record_reader *rd)
{
	if (rd->version != STATE_VERSION)
		return -EPROTO;
	if (rd->left != 0)
		return -EINVAL;
	return command_failover(r) ? 0 : -EEXIST;
}

static int restore_end(struct turn *t, struct record_reader *rd)
{
	struct flow_key key;
	uint32_t rec;
	int err = record_take_flow_end(rd, &key);

	if (err)
		return err;
	rec = flows_find_one(t->r->flows, &key);
	if (rec != FLOW_NONE)
		pair_end(t, flow_of(rec), EV_FLOWS_CLOSED, "over, says its record");
	return 0;
}

int pair_restore(void *role, const struct record *record, sut_time now)
{
	struct turn t = { .r = role, .now = now };
	struct record_reader rd;

	if (record_open(record, &rd) != 0)
		return -EINVAL;
	switch (rd.kind) {
	case REC_REPLICA_FLOW:
		return restore_flow(&t, &rd);
	case REC_FLOW_END:
		return restore_end(&t, &rd);
	case REC_REPLICA_STATE:
		return restore_state(t.r, &rd);
	default:
		return -EINVAL;
	}
}
