/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "role/handoff/back_inside.h"

/*
 * A record is a hand-off with its owner; where the data plane is our own, its two ways too.  What a data plane that outlives
 * us has seen since, it tells itself (list), so of such a hand-off only who it belongs to is believed.
 */

#define VERSION 2u /* 1: without the order of announcements */

static void put_key(struct record *r, const struct way_key *k)
{
	record_put(r, k->src, 16);
	record_put(r, k->dst, 16);
	record_put(r, &k->sport, 2);
	record_put(r, &k->dport, 2);
}

static void take_key(struct record_reader *rd, struct way_key *ret_k)
{
	memset(ret_k, 0, sizeof *ret_k);
	record_take(rd, ret_k->src, 16);
	record_take(rd, ret_k->dst, 16);
	record_take(rd, &ret_k->sport, 2);
	record_take(rd, &ret_k->dport, 2);
}

static void put_name(struct record *r, const struct back *b, const struct back_hand *h)
{
	const char *name = h->front ? b->front[h->front - 1].name : "";

	record_put8(r, (uint8_t)strlen(name));
	record_put(r, name, strlen(name));
}

static void put_way(struct record *r, const struct way *w, sut_time now)
{
	record_put32(r, w->flags);
	record_put32(r, w->seq);
	record_put32(r, w->ack);
	record_put32(r, w->tsval);
	record_put32(r, w->tsecr);
	record_put8(r, w->from_scale);
	record_put8(r, w->to_scale);
	record_put8(r, w->front_wscale);
	record_put8(r, w->attrs.options);
	record_put32(r, w->expect);
	record_put32(r, w->end);
	record_put32(r, w->tsecr_lo);
	record_put32(r, w->tsecr_hi);
	record_put32(r, w->front_seq);
	record_put32(r, w->front_tsval);
	record_put16(r, w->new_sport);
	record_put16(r, w->new_dport);
	record_put(r, w->flags & WAY_DST ? w->new_dst : w->new_src, 16);
	record_put32(r, (uint32_t)((now > w->last_ns ? now - w->last_ns : 0) / 1000000));
}

static sut_time ago(sut_time now, uint32_t ms)
{
	sut_time ns = SUT_MS((sut_time)ms);

	return now > ns ? now - ns : 0;
}

static void take_way(struct record_reader *rd, struct way *w, sut_time now)
{
	*w = (struct way){ .act = WAY_HOST, .flags = record_take32(rd) };
	w->seq = record_take32(rd);
	w->ack = record_take32(rd);
	w->tsval = record_take32(rd);
	w->tsecr = record_take32(rd);
	w->from_scale = record_take8(rd) & 15;
	w->to_scale = record_take8(rd) & 15;
	w->front_wscale = record_take8(rd);
	w->attrs.options = record_take8(rd);
	w->expect = record_take32(rd);
	w->end = record_take32(rd);
	w->tsecr_lo = record_take32(rd);
	w->tsecr_hi = record_take32(rd);
	w->front_seq = record_take32(rd);
	w->front_tsval = record_take32(rd);
	w->new_sport = record_take16(rd);
	w->new_dport = record_take16(rd);
	record_take(rd, w->flags & WAY_DST ? w->new_dst : w->new_src, 16);
	w->last_ns = ago(now, record_take32(rd));
}

static void put_hand(struct record *r, const struct back_hand *h, sut_time now)
{
	put_key(r, &h->in);
	put_key(r, &h->out);
	record_put32(r, h->id);
	record_put8(r, h->kind);
	record_put8(r, h->state);
	record_put8(r, h->origin);
	record_put8(r, (uint8_t)(h->acked | h->fin_in << 1 | h->fin_out << 2 | h->rst << 3 |
				 h->muted << 4 | h->refused << 5 | h->learnt << 6 | h->had << 7));
	record_put32(r, h->seq);
	record_put32(r, h->front_seq);
	record_put32(r, h->end);
	record_put32(r, h->ack);
	record_put32(r, h->shift);
	record_put32(r, h->clock);
	record_put32(r, (uint32_t)h->why);
	record_put32(r, h->begun);
	record_put32(r, (uint32_t)((now > h->named ? now - h->named : 0) / 1000000));
	record_put32(r, (uint32_t)((now > h->since ? now - h->since : 0) / 1000000));
}

static void take_hand(struct record_reader *rd, struct back_hand *h, sut_time now)
{
	uint8_t bits;

	take_key(rd, &h->in);
	take_key(rd, &h->out);
	h->id = record_take32(rd);
	h->kind = record_take8(rd);
	h->state = record_take8(rd);
	h->origin = record_take8(rd);
	bits = record_take8(rd);
	h->acked = bits & 1;
	h->fin_in = bits >> 1 & 1;
	h->fin_out = bits >> 2 & 1;
	h->rst = bits >> 3 & 1;
	h->muted = bits >> 4 & 1;
	h->refused = bits >> 5 & 1;
	h->learnt = bits >> 6 & 1;
	h->had = bits >> 7 & 1;
	h->seq = record_take32(rd);
	h->front_seq = record_take32(rd);
	h->end = record_take32(rd);
	h->ack = record_take32(rd);
	h->shift = record_take32(rd);
	h->clock = record_take32(rd);
	h->why = (int32_t)record_take32(rd);
	h->begun = record_take32(rd);
	h->named = ago(now, record_take32(rd));
	h->since = ago(now, record_take32(rd));
}

size_t back_save(const void *role, uint32_t *cursor, sut_time now, struct record *ret_record)
{
	const struct back *b = role;

	while (*cursor < b->fresh) {
		const struct back_hand *h = back_hand_at(b, (*cursor)++);
		const struct way *in, *out;

		if (!h->used || h->owes & DEBT_FREE)
			continue;
		in = plane_get(back_plane(b), &h->in);
		out = plane_get(back_plane(b), &h->out);
		record_begin(ret_record, REC_HANDOFF_BACK, VERSION);
		put_hand(ret_record, h, now);
		put_name(ret_record, b, h);
		record_put8(ret_record, in && out);
		if (in && out) {
			put_way(ret_record, in, now);
			put_way(ret_record, out, now);
		}
		record_end(ret_record);
		return ret_record->len;
	}
	return 0;
}

/* What a record holds. */
struct taken {
	struct back_hand h;
	char name[BACK_NAME_MAX];
	uint8_t name_len, ways;
	struct way in, out;
};

static int take(struct record_reader *rd, struct taken *x, sut_time now)
{
	memset(x, 0, sizeof *x);
	take_hand(rd, &x->h, now);
	x->name_len = record_take8(rd);
	if (x->name_len >= BACK_NAME_MAX)
		return -EINVAL;
	record_take(rd, x->name, x->name_len);
	x->ways = record_take8(rd);
	if (x->ways) {
		take_way(rd, &x->in, now);
		take_way(rd, &x->out, now);
	}
	if (rd->failed || rd->left || x->ways > 1 || x->h.kind > BACK_OPEN ||
	    x->h.state > HAND_GONE || x->h.state == HAND_UNKNOWN || x->h.origin >= WAY_ORIGINS)
		return -EINVAL;
	for (unsigned i = 0; i < x->name_len; i++)
		if (x->name[i] <= ' ' || x->name[i] > '~')
			return -EINVAL;
	return 0;
}

static void enter(struct back_turn *t, struct taken *x)
{
	struct back *b = t->b;
	struct back_hand *h = back_hand_add(t, &x->h.in, &x->h.out), *old;
	struct back_hand empty = *h;
	unsigned front = x->name_len ? back_front_of(b, x->name, x->name_len) : 0;
	*h = x->h;
	h->next_quad = empty.next_quad;
	h->used = true;
	h->id = 0;
	h->known = h->laid = back_inline(b) && x->ways;
	h->way_id = empty.way_id;
	h->any_way = !h->laid;
	h->last = t->now;
	old = front ? back_hand_by_id(b, front, x->h.id) : NULL;
	if (front && !old)
		back_hand_name(b, h, front, x->h.id);
	if (h->laid) {
		x->in.id = x->out.id = h->way_id;
		x->in.mate = h->out;
		x->out.mate = h->in;
		x->in.origin = x->out.origin = h->origin;
		(void)plane_set(back_plane(b), &h->in, &x->in, x->in.last_ns);
		(void)plane_set(back_plane(b), &h->out, &x->out, x->out.last_ns);
	}
	wheel_arm(back_wheel(b), back_hand_slot(b, h),
		  t->now + (h->state == HAND_THERE ? b->cfg.idle_timeout : b->cfg.linger));
}

int back_restore(void *role, const struct record *record, sut_time now)
{
	struct back_turn t = { .b = role, .now = now };
	struct record_reader rd;
	struct taken x;
	int err = record_open(record, &rd);

	if (err)
		return err;
	if (rd.kind == REC_FLOW_END)
		return 0;
	if (rd.kind != REC_HANDOFF_BACK || rd.version != VERSION)
		return -EPROTO;
	err = take(&rd, &x, now);
	if (err)
		return err;
	if (back_hand_by_quad(t.b, &x.h.out))
		return -EEXIST;
	if (back_hands_full(t.b))
		return -ENOSPC;
	enter(&t, &x);
	return 0;
}
