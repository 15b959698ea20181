/* SPDX-License-Identifier: MIT */
#include "role/replica/compare_record.h"

#include <errno.h>

#include "base/compiler.h"
#include "core/record_flow.h"
#include "role/replica/compare_flow.h"
#include "role/replica/compare_tcp.h"

/*
 * The body, version 1: the primary's key; epoch, flags, ISN, shift; the two servers; the number of
 * agreed ranges, and these.  What the secondary has produced follows from what is agreed.
 *
 * Behind them all, if the primary is dead: a record without a body, which says so.
 */

#define VERSION 1
#define STATE_VERSION 1

enum { SAVED_BEGUN = 1, SAVED_DIVERGED = 2, SAVED_DIFFERS = 4, SAVED_SHIFT = 8, SAVED_ALL = 15 };

enum {
	SAVED_SYN = 1,
	SAVED_TALKS = 2,
	SAVED_END = 4,
	SAVED_ACKED = 8,
	SAVED_OLD_ACKED = 16,
	SAVED_RST = 32,
	SAVED_OLD_RST = 64,
	SAVED_SIDE_ALL = 127,
};

static void put_side(struct record *r, const struct output *o)
{
	record_put8(r, o->epoch);
	record_put8(r, (uint8_t)((o->syn ? SAVED_SYN : 0) | (o->talks ? SAVED_TALKS : 0) |
				 (o->has_end ? SAVED_END : 0) | (o->has_acked ? SAVED_ACKED : 0) |
				 (o->had_acked ? SAVED_OLD_ACKED : 0) | (o->rst ? SAVED_RST : 0) |
				 (o->had_rst ? SAVED_OLD_RST : 0)));
	record_put32(r, o->isn.v);
	record_put32(r, o->end.v);
	record_put32(r, o->acked.v);
	record_put32(r, o->old_acked.v);
}

static void take_side(struct record_reader *rd, struct output *o)
{
	uint8_t flags;

	o->epoch = record_take8(rd);
	flags = record_take8(rd);
	o->syn = flags & SAVED_SYN;
	o->talks = flags & SAVED_TALKS;
	o->has_end = flags & SAVED_END;
	o->has_acked = flags & SAVED_ACKED;
	o->had_acked = flags & SAVED_OLD_ACKED;
	o->rst = flags & SAVED_RST;
	o->had_rst = flags & SAVED_OLD_RST;
	o->isn.v = record_take32(rd);
	o->end.v = record_take32(rd);
	o->acked.v = record_take32(rd);
	o->old_acked.v = record_take32(rd);
	rd->failed |= flags > SAVED_SIDE_ALL;
	held_queue_init(&o->q);
}

static void put_agreed(struct record *r, const struct agreed *a)
{
	record_put8(r, (uint8_t)a->n);
	for (uint32_t i = 0; i < a->n; i++) {
		record_put32(r, a->r[i].from.v);
		record_put32(r, a->r[i].to.v);
	}
}

/* Built anew, so that whatever the record says it is a set. */
static void take_agreed(struct record_reader *rd, struct agreed *a)
{
	uint8_t n = record_take8(rd);

	rd->failed |= n > AGREED_MAX;
	for (uint8_t i = 0; i < n && !rd->failed; i++) {
		sut_seq from = { record_take32(rd) }, to = { record_take32(rd) };
		uint32_t len = seq_diff(to, from);

		if (len == 0 || len > AGREED_SPAN)
			rd->failed = true;
		else if (len == AGREED_SPAN) /* all that a set holds: in two halves */
			(void)(agreed_add(a, from, len / 2),
			       agreed_add(a, seq_add(from, len / 2), len / 2));
		else
			(void)agreed_add(a, from, len);
	}
	rd->failed |= a->n != n;
}

static uint8_t flags_of(const struct compare_flow *c)
{
	return (uint8_t)((c->begun ? SAVED_BEGUN : 0) | (c->diverged ? SAVED_DIVERGED : 0) |
			 (c->differs ? SAVED_DIFFERS : 0) |
			 (seqmap_knows(&c->map, FAR) ? SAVED_SHIFT : 0));
}

static size_t save_state(const struct compare *r, uint32_t *cursor, struct record *ret_record)
{
	if (!r->failed_over || *cursor > flows_max(r->flows))
		return 0;
	++*cursor;
	record_begin(ret_record, REC_REPLICA_STATE, STATE_VERSION);
	record_end(ret_record);
	return ret_record->len;
}

size_t compare_save(const void *role, uint32_t *cursor, sut_time now, struct record *ret_record)
{
	const struct compare *r = role;
	struct compare_flow c;

	(void)now;
	while (*cursor < flows_max(r->flows) &&
	       (!flows_live(r->flows, *cursor) || r->cold[*cursor].kind != COMPARE_TCP))
		++*cursor;
	if (*cursor >= flows_max(r->flows))
		return save_state(r, cursor, ret_record);
	c = r->cold[*cursor];
	if (c.checkpoint != r->checkpoint)
		compare_tcp_equal(&c);
	record_begin(ret_record, REC_REPLICA_COMPARE, VERSION);
	record_put_key(ret_record, &flows_rec_const(r->flows, flow_rec_of(*cursor, NEAR))->key);
	++*cursor;
	record_put8(ret_record, c.epoch);
	record_put8(ret_record, flags_of(&c));
	record_put32(ret_record, c.isn.v);
	record_put32(ret_record, c.map.shift[FAR]);
	put_side(ret_record, &c.side[NEAR]);
	put_side(ret_record, &c.side[FAR]);
	put_agreed(ret_record, &c.agreed);
	record_end(ret_record);
	return ret_record->len;
}

/* One record's content. */
struct saved {
	struct flow_key key;
	struct compare_flow c;
};

static int read_saved(struct record_reader *rd, struct saved *s)
{
	struct compare_flow *c = &s->c;
	uint8_t flags;

	if (rd->version != VERSION)
		return -EPROTO;
	record_take_key(rd, &s->key);
	c->epoch = record_take8(rd);
	flags = record_take8(rd);
	c->begun = flags & SAVED_BEGUN;
	c->diverged = flags & SAVED_DIVERGED;
	c->differs = flags & SAVED_DIFFERS;
	c->map.known = flags & SAVED_SHIFT ? 1u << FAR : 0;
	c->isn.v = record_take32(rd);
	c->map.shift[FAR] = record_take32(rd);
	take_side(rd, &c->side[NEAR]);
	take_side(rd, &c->side[FAR]);
	take_agreed(rd, &c->agreed);
	c->produced = c->agreed;
	c->event_since = SUT_NEVER;
	return rd->failed || rd->left != 0 || flags > SAVED_ALL ||
			       s->key.where >> 24 != (COMPARE_TCP << 1 | NEAR)
		       ? -EINVAL
		       : 0;
}

static int restore_flow(struct compare *r, struct record_reader *rd, sut_time now)
{
	struct compare_turn t = { .c = r, .now = now };
	struct saved s = { 0 };
	struct compare_flow *c;
	struct chain_links place;
	uint32_t f;
	int err = read_saved(rd, &s);

	if (err)
		return err;
	if (flows_find_one(t.c->flows, &s.key) != FLOW_NONE)
		return -EEXIST;
	if (flows_count(t.c->flows) == flows_max(t.c->flows))
		return -ENOSPC;
	if (compare_open(&t, &s.key, COMPARE_TCP, &f) != R_NONE)
		return -ENOSPC;
	c = compare_cold(&t, f);
	place = c->place;
	*c = s.c;
	c->place = place;
	c->checkpoint = t.c->checkpoint;
	c->last = now;
	return 0;
}

static int restore_state(struct compare *r, const struct record_reader *rd)
{
	if (rd->version != STATE_VERSION)
		return -EPROTO;
	if (rd->left != 0)
		return -EINVAL;
	if (r->failed_over)
		return -EEXIST;
	r->failed_over = true;
	return 0;
}

int compare_restore(void *role, const struct record *record, sut_time now)
{
	struct record_reader rd;

	if (record_open(record, &rd) != 0)
		return -EINVAL;
	switch (rd.kind) {
	case REC_REPLICA_COMPARE:
		return restore_flow(role, &rd, now);
	case REC_REPLICA_STATE:
		return restore_state(role, &rd);
	default:
		return -EINVAL;
	}
}
