/* SPDX-License-Identifier: MIT */
/*
 * save - joined flows and learnt servers as records, and back; and a flow as one line.
 *
 * Only joined flows are saved: a promise that the server has not answered yet cannot be kept by another box.
 */
#include "role/accel/accel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/flow_row.h"
#include "core/record_flow.h"

#define FLOW_VERSION 3 /* 2, which had no age, is still taken */
#define SERVER_KEPT_AGAIN SUT_MS(1000) /* a busy server teaches with every connection */

/* The fields of struct cold that a joined flow still uses, in one order for both ways. */
static void put_cold(struct record *r, const struct cold *c)
{
	record_put8(r, c->server_heard);
	record_put8(r, c->strip_sack);
	record_put8(r, c->hold_ran_out);
	record_put8(r, c->mode);
	record_put16(r, c->promised);
	record_put16(r, c->promised_mss);
	record_put16(r, c->real_mss);
	record_put16(r, c->client_window);
	record_put32(r, c->isn.v);
	record_put32(r, c->promise.v);
	record_put32(r, c->server_acked.v);
	record_put32(r, c->client_tsval);
	record_put32(r, c->promise_tsval);
	record_put32(r, c->synack_tsval[0]);
	record_put32(r, c->synack_tsval[1]);
	record_put32(r, c->far_isn);
	record_put32(r, c->seam.seq.shift[FAR]);
	record_put32(r, c->seam.ts[FAR]);
	record_put(r, c->seam.near_scale, sizeof c->seam.near_scale);
	record_put(r, c->seam.far_scale, sizeof c->seam.far_scale);
}

static void take_cold(struct record_reader *rd, struct cold *c)
{
	c->server_heard = record_take8(rd);
	c->strip_sack = record_take8(rd);
	c->hold_ran_out = record_take8(rd);
	c->mode = record_take8(rd);
	c->promised = record_take16(rd);
	c->promised_mss = record_take16(rd);
	c->real_mss = record_take16(rd);
	c->client_window = record_take16(rd);
	c->isn.v = record_take32(rd);
	c->promise.v = record_take32(rd);
	c->server_acked.v = record_take32(rd);
	c->client_tsval = record_take32(rd);
	c->promise_tsval = record_take32(rd);
	c->synack_tsval[0] = record_take32(rd);
	c->synack_tsval[1] = record_take32(rd);
	c->far_isn = record_take32(rd);
	c->seam.seq.shift[FAR] = record_take32(rd);
	c->seam.ts[FAR] = record_take32(rd);
	record_take(rd, c->seam.near_scale, sizeof c->seam.near_scale);
	record_take(rd, c->seam.far_scale, sizeof c->seam.far_scale);
	c->seam.seq.known = 1u << NEAR | 1u << FAR;
	c->client_acked = 1;
	c->journalled = c->restored = 1;
	c->released_tsval = c->client_tsval;
}

/* When the connection was opened, as far as is known. */
static sut_time opened_at(const struct cold *c)
{
	return c->promised_at ? c->promised_at : c->since;
}

static void save_flow(struct near *n, uint32_t f, sut_time now, struct record *r)
{
	const struct flow_rec *a = rec_of(n, f, NEAR), *b = rec_of(n, f, FAR);
	const struct cold *c = &n->cold[f];

	record_begin(r, REC_ACCEL_FLOW, FLOW_VERSION);
	record_put_key(r, &a->key);
	record_put8(r, c->state);
	record_put32(r, a->end.v);
	record_put32(r, a->acked.v);
	record_put32(r, b->end.v);
	record_put32(r, b->acked.v);
	put_cold(r, c);
	record_put_track(r, &c->track);
	record_put_lane(r, &c->client);
	record_put_lane(r, &c->server);
	record_put64(r, (uint64_t)(now - opened_at(c)));
	record_end(r);
}

size_t near_save(const void *role, uint32_t *cursor, sut_time now, struct record *ret_record)
{
	/* rec_of wants a table it may change; nothing is changed here. */
	struct near *n = (struct near *)(uintptr_t)role;
	uint32_t flows = flows_max(n->flows), servers = learn_slots(n->learn),
		 cookies = cookies_slots(n->cookies);

	for (; *cursor < flows; (*cursor)++) {
		uint32_t f = *cursor;

		if (flows_live(n->flows, f) &&
		    (n->cold[f].state == FS_OPEN || n->cold[f].state == FS_CLOSED)) {
			save_flow(n, f, now, ret_record);
			(*cursor)++;
			return ret_record->len;
		}
	}
	for (; *cursor - flows < servers; (*cursor)++) {
		const struct server *s = learn_at(n->learn, *cursor - flows);

		if (s->used) {
			learn_save(s, now, ret_record);
			(*cursor)++;
			return ret_record->len;
		}
	}
	for (; *cursor - flows - servers < cookies; (*cursor)++) {
		const struct cookie *k = cookies_at(n->cookies, *cursor - flows - servers);

		if (k->len) {
			cookie_save(k, ret_record);
			(*cursor)++;
			return ret_record->len;
		}
	}
	return 0;
}

void journal_flow(struct near *n, uint32_t f)
{
	struct record r;

	if (!n->env.journal)
		return;
	save_flow(n, f, n->now, &r);
	n->env.journal(n->env.journal_ctx, &r);
	n->cold[f].journalled = 1;
}

void journal_end(struct near *n, uint32_t f)
{
	struct record r;

	if (!n->env.journal || !n->cold[f].journalled)
		return;
	record_flow_end(&r, &rec_of(n, f, NEAR)->key);
	n->env.journal(n->env.journal_ctx, &r);
}

void journal_server(struct near *n, struct server *s)
{
	struct record r;

	if (!n->env.journal || (s->kept_at && n->now - s->kept_at < SERVER_KEPT_AGAIN))
		return;
	learn_save(s, n->now, &r);
	n->env.journal(n->env.journal_ctx, &r);
	s->kept_at = n->now;
}

static bool plausible(const struct cold *c)
{
	return (c->state == FS_OPEN || c->state == FS_CLOSED) && c->mode < ACCEL_MODE_COUNT &&
	       c->real_mss >= MSS_LEAST && c->client.ip == c->server.ip &&
	       c->seam.near_scale[NEAR] <= TCP_WSCALE_MAX &&
	       c->seam.near_scale[FAR] <= TCP_WSCALE_MAX &&
	       c->seam.far_scale[NEAR] <= TCP_WSCALE_MAX &&
	       c->seam.far_scale[FAR] <= TCP_WSCALE_MAX;
}

void journal_cookie(struct near *n, const struct cookie *k)
{
	struct record r;

	if (!n->env.journal || !k)
		return;
	cookie_save(k, &r);
	n->env.journal(n->env.journal_ctx, &r);
}

/* A flow from an earlier record, of which no packet was seen since, gives way to a later one. */
static void give_way(struct near *n, const struct flow_key *key)
{
	uint32_t rec = flows_find_one(n->flows, key), f = flow_of(rec);

	if (rec == FLOW_NONE || !n->cold[f].restored ||
	    (rec_of(n, f, NEAR)->flags | rec_of(n, f, FAR)->flags) & FLOW_SEEN)
		return;
	n->cold[f].journalled = 0;
	flow_remove(n, f);
}

static int restore_end(struct near *n, struct record_reader *rd)
{
	struct flow_key key;
	int err = record_take_flow_end(rd, &key);

	if (err == 0)
		give_way(n, &key);
	return err;
}

static int restore_flow(struct near *n, struct record_reader *rd)
{
	struct flow_key key, back;
	struct cold c = { .next = FLOW_NONE, .prev = FLOW_NONE };
	uint32_t edge[4], f;
	uint64_t age;
	uint8_t state;
	int err;

	if (rd->version != FLOW_VERSION && rd->version != 2)
		return -EPROTO;
	record_take_key(rd, &key);
	state = c.state = record_take8(rd);
	for (unsigned i = 0; i < 4; i++)
		edge[i] = record_take32(rd);
	take_cold(rd, &c);
	record_take_track(rd, &c.track);
	record_take_lane(rd, &c.client);
	record_take_lane(rd, &c.server);
	age = rd->version == 2 ? 0 : record_take64(rd);
	c.track.edges_known = 0; /* the ends may have gone on since */
	if (rd->failed || rd->left || !plausible(&c))
		return -EINVAL;
	flow_key_reverse(&key, ACCEL_SERVER, &back);
	give_way(n, &key);
	err = flows_insert(n->flows, &key, &back, &f);
	if (err)
		return err == -EEXIST ? err : -ENOSPC;
	c.state = FS_FREE;
	n->cold[f] = c;
	hold_init(&n->cold[f].hold);
	rec_of(n, f, NEAR)->end.v = edge[0];
	rec_of(n, f, NEAR)->acked.v = edge[1];
	rec_of(n, f, FAR)->end.v = edge[2];
	rec_of(n, f, FAR)->acked.v = edge[3];
	set_state(n, f, (enum flow_state)state, "restored");
	n->cold[f].promised_at = n->now > age ? n->now - age : 1;
	pass_set_records(n, f);
	return 0;
}

int near_restore(void *role, const struct record *record, sut_time now)
{
	struct near *n = role;
	struct record_reader rd;
	int err = record_open(record, &rd);

	if (err)
		return err;
	n->now = now;
	if (rd.kind == REC_ACCEL_FLOW)
		return restore_flow(n, &rd);
	if (rd.kind == REC_ACCEL_SERVER)
		return learn_restore(n->learn, &rd, now);
	if (rd.kind == REC_ACCEL_COOKIE)
		return cookies_restore(n->cookies, &rd, now);
	if (rd.kind == REC_FLOW_END)
		return restore_end(n, &rd);
	return -EINVAL;
}

/* The tracker's state, where it says more than the flow's. */
static const char *track_word(const struct cold *c)
{
	return c->track.state == TRACK_ESTABLISHED
		       ? ""
		       : track_state_name((enum track_state)c->track.state);
}

bool accel_near_describe(const void *role, const struct flow_key *client_key, char *ret_s,
			 size_t size)
{
	struct near *n = (struct near *)(uintptr_t)role;
	uint32_t rec = flows_find_one(n->flows, client_key);
	const struct cold *c;

	if (rec == FLOW_NONE)
		return false;
	c = &n->cold[flow_of(rec)];
	if (c->state == FS_OPEN || c->state == FS_CLOSED)
		snprintf(ret_s, size, "%s shift far %u ts far %u%s%s",
			 flow_state_name((enum flow_state)c->state), c->seam.seq.shift[FAR],
			 c->seam.ts[FAR], *track_word(c) ? " " : "", track_word(c));
	else
		snprintf(ret_s, size, "%s held %u", flow_state_name((enum flow_state)c->state),
			 c->hold.bytes);
	return true;
}

uint32_t accel_near_held(const void *role)
{
	const struct near *n = role;

	return n->cfg.hold_cells - store_free_cells(n->store);
}

uint32_t accel_near_pending(const void *role)
{
	return budget_left(&((const struct near *)role)->budget);
}

static const char *mode_name(uint8_t mode)
{
	switch (mode) {
	case ACCEL_HOLD:
		return "hold";
	case ACCEL_MERGE:
		return "merge";
	default:
		return "verify";
	}
}

bool near_list(const void *role, uint32_t *cursor, sut_time now, struct flow_row *ret_row)
{
	struct near *n = (struct near *)(uintptr_t)role;
	const struct cold *c;
	uint32_t f;

	while (*cursor < flows_max(n->flows) && !flows_live(n->flows, *cursor))
		(*cursor)++;
	if (*cursor >= flows_max(n->flows))
		return false;
	f = (*cursor)++;
	c = &n->cold[f];
	*ret_row = (struct flow_row){
		.key = rec_of(n, f, NEAR)->key,
		.mode = mode_name(c->mode),
		.state = flow_state_name((enum flow_state)c->state),
		.shifted = seqmap_knows(&c->seam.seq, FAR),
		.clocked = seqmap_knows(&c->seam.seq, FAR) && c->promised & OPT_TS,
		.shift = { c->seam.seq.shift[NEAR], c->seam.seq.shift[FAR] },
		.clock = { c->seam.ts[NEAR], c->seam.ts[FAR] },
		.held_bytes = c->hold.bytes,
		.bytes = { rec_of(n, f, NEAR)->end.v - c->isn.v - 1,
			   rec_of(n, f, FAR)->end.v - c->promise.v - 1 },
		.age_ns = now - opened_at(c),
	};
	ret_row->uncounted = c->mode == ACCEL_VERIFY; /* nobody follows it */
	if (ret_row->uncounted)
		ret_row->bytes[NEAR] = 0;
	if (ret_row->uncounted || !ret_row->shifted)
		ret_row->bytes[FAR] = 0;
	return true;
}
