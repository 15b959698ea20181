/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/flow_row.h"
#include "core/record_flow.h"
#include "role/handoff/front_inside.h"

/*
 * What outlives the process: hand-offs whose way is laid.  Ways in a BPF data plane go on by themselves; our own are laid again from the record.
 * Bytes that were not acknowledged yet are not kept: the client has most of them still, and the rest is asked of the agent.  The back end is kept
 * by its name and address, since another configuration may have others: what one host has is not brought to another of its name.
 *
 * So does what operators have told of a back end: its weight, a drain, a forced rung.  Where none of it is said any more an empty record says so.
 */

#define VERSION 2
#define BACKEND_VERSION 1

enum told { TOLD_WEIGHT = 1, TOLD_DRAIN = 2 };

static void put_key(struct record *r, const struct way_key *k)
{
	record_put(r, k->src, 16);
	record_put(r, k->dst, 16);
	record_put(r, &k->sport, 2);
	record_put(r, &k->dport, 2);
}

static void take_key(struct record_reader *rd, struct way_key *ret_k)
{
	*ret_k = (struct way_key){ 0 };
	record_take(rd, ret_k->src, 16);
	record_take(rd, ret_k->dst, 16);
	record_take(rd, &ret_k->sport, 2);
	record_take(rd, &ret_k->dport, 2);
}

static void put_numbers(struct record *r, const struct hand *h)
{
	record_put32(r, h->d.iss);
	record_put32(r, h->d.snd_nxt);
	record_put32(r, h->d.irs);
	record_put32(r, h->d.rcv_nxt);
	record_put32(r, h->d.snd_wnd);
	record_put16(r, h->d.peer_mss);
	record_put8(r, h->d.snd_wscale);
	record_put8(r, h->d.rcv_wscale);
	record_put8(r, h->d.timestamps);
	record_put8(r, h->d.sack);
	record_put8(r, h->d.wscale);
	record_put32(r, h->d.tsval);
	record_put32(r, h->d.ts_recent);
	record_put32(r, h->base);
	record_put32(r, h->end);
	record_put32(r, h->far_isn);
	record_put32(r, h->far_ts);
	record_put8(r, h->far_scale);
}

static void take_numbers(struct record_reader *rd, struct hand *h)
{
	h->d.iss = record_take32(rd);
	h->d.snd_nxt = record_take32(rd);
	h->d.irs = record_take32(rd);
	h->d.rcv_nxt = record_take32(rd);
	h->d.snd_wnd = record_take32(rd);
	h->d.peer_mss = record_take16(rd);
	h->d.snd_wscale = record_take8(rd);
	h->d.rcv_wscale = record_take8(rd);
	h->d.timestamps = record_take8(rd);
	h->d.sack = record_take8(rd);
	h->d.wscale = record_take8(rd);
	h->d.tsval = record_take32(rd);
	h->d.ts_recent = record_take32(rd);
	h->base = record_take32(rd);
	h->end = record_take32(rd);
	h->far_isn = record_take32(rd);
	h->far_ts = record_take32(rd);
	h->far_scale = record_take8(rd);
	if ((h->far_scale > 14 && h->far_scale != NO_SCALE) || h->d.snd_wscale > 14 ||
	    h->d.rcv_wscale > 14)
		rd->failed = true;
}

static uint32_t age_ms(sut_time now, sut_time then)
{
	sut_time ms = now > then ? (now - then) / 1000000 : 0;

	return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static void write_hand(const struct front *f, const struct hand *h, sut_time now, struct record *r)
{
	const struct stack_addr *at = hand_at(f, h);
	char name[32] = { 0 };

	(void)snprintf(name, sizeof name, "%s", backend_cfg(f, h->backend)->name);
	record_begin(r, REC_HANDOFF_FRONT, VERSION);
	record_put32(r, h->id);
	record_put8(r, h->state);
	record_put8(r, h->rung);
	record_put8(r, h->origin);
	record_put16(r, h->flags | HF_LAID); /* or about to be */
	record_put(r, name, sizeof name);
	record_put(r, at->ip, sizeof at->ip);
	record_put16(r, at->port);
	put_key(r, &h->key[CLIENT]);
	put_key(r, &h->key[BACK]);
	record_put_lane(r, &h->lane);
	put_numbers(r, h);
	record_put32(r, age_ms(now, h->since));
	record_put32(r, age_ms(now, h->heard));
	record_end(r);
}

/* Has another host the name of its back end by now? */
static bool is_renamed(const struct front *f, uint32_t b)
{
	const char *name = backend_cfg(f, b)->name;

	return f->backend[b].place == PLACE_LEAVING && backend_named(f, name, strlen(name)) >= 0;
}

/* One that was found is found again, as long as no packet has shown how its client is reached. */
static bool is_kept(const struct front *f, const struct hand *h)
{
	return h->id != 0 && (h->flags & (HF_LAID | HF_RESTORED)) && !(h->flags & HF_PROBE) &&
	       h->backend != NONE && h->lane.ip != 0 && !is_renamed(f, h->backend);
}

/* --- what was told of back ends */

static void write_backend(const struct front *f, uint32_t b, struct record *r)
{
	const struct backend *x = &f->backend[b];
	char name[32] = { 0 };

	(void)snprintf(name, sizeof name, "%s", backend_cfg(f, b)->name);
	record_begin(r, REC_HANDOFF_BACKEND, BACKEND_VERSION);
	record_put(r, name, sizeof name);
	record_put8(r,
		    (uint8_t)((x->weight_told ? TOLD_WEIGHT : 0) | (x->draining ? TOLD_DRAIN : 0)));
	record_put8(r, x->forced);
	record_put32(r, f->cfg.routes.weight[b]);
	record_end(r);
}

static bool is_told_of(const struct backend *x)
{
	return x->place == PLACE_USED && (x->weight_told || x->draining || x->forced != RUNG_NONE);
}

/* The front end may have other back ends by now: then there is nothing to do. */
static int restore_backend(struct front *f, struct record_reader *rd)
{
	char name[32];
	uint32_t weight;
	uint8_t told, forced;
	int b;

	if (rd->version != BACKEND_VERSION)
		return -EPROTO;
	record_take(rd, name, sizeof name);
	told = record_take8(rd);
	forced = record_take8(rd);
	weight = record_take32(rd);
	name[sizeof name - 1] = 0;
	if (rd->failed || rd->left != 0 || forced > RUNG_NONE || weight > ROUTE_WEIGHT_MAX)
		return -EINVAL;
	b = backend_named(f, name, strlen(name));
	if (b < 0)
		return 0;
	f->backend[b].draining = told & TOLD_DRAIN;
	if (forced >= RUNG_SPLICE || backend_cfg(f, (uint32_t)b)->has_agent)
		f->backend[b].forced = forced;
	f->backend[b].weight_told = told & TOLD_WEIGHT;
	if (told & TOLD_WEIGHT)
		f->cfg.routes.weight[b] = weight;
	return 0;
}

/* Back ends first, then hand-offs. */
size_t front_save(const void *role, uint32_t *cursor, sut_time now, struct record *ret_record)
{
	const struct front *f = role;

	while (*cursor < ROUTE_BACKENDS) {
		uint32_t b = (*cursor)++;

		if (!is_told_of(&f->backend[b]))
			continue;
		write_backend(f, b, ret_record);
		return ret_record->len;
	}
	while (*cursor - ROUTE_BACKENDS < f->fresh) {
		const struct hand *h = &f->hand[(*cursor)++ - ROUTE_BACKENDS];

		if (!is_kept(f, h))
			continue;
		write_hand(f, h, now, ret_record);
		return ret_record->len;
	}
	return 0;
}

/* A record as it was read, before there is a place for it. */
struct read {
	struct hand h;
	struct way_key key[2];
	char name[32];
	struct stack_addr at;
	uint32_t id, since, heard;
	uint8_t state;
};

static int read_hand(const struct record *record, struct read *ret_r)
{
	struct record_reader rd;
	struct hand *h = &ret_r->h;

	*ret_r = (struct read){ 0 };
	if (record_open(record, &rd) < 0 || rd.kind != REC_HANDOFF_FRONT)
		return -EINVAL;
	if (rd.version != VERSION)
		return -EPROTO;
	ret_r->id = record_take32(&rd);
	ret_r->state = record_take8(&rd);
	h->rung = record_take8(&rd);
	h->origin = record_take8(&rd);
	h->flags = record_take16(&rd);
	record_take(&rd, ret_r->name, sizeof ret_r->name);
	record_take(&rd, ret_r->at.ip, sizeof ret_r->at.ip);
	ret_r->at.port = record_take16(&rd);
	take_key(&rd, &ret_r->key[CLIENT]);
	take_key(&rd, &ret_r->key[BACK]);
	record_take_lane(&rd, &h->lane);
	take_numbers(&rd, h);
	ret_r->since = record_take32(&rd);
	ret_r->heard = record_take32(&rd);
	ret_r->name[sizeof ret_r->name - 1] = 0;
	if (rd.failed || rd.left != 0 || h->rung >= RUNG_NONE || ret_r->state < FR_REPLAY ||
	    ret_r->state >= FRONT_STATE_COUNT || h->origin >= FRONT_ORIGINS ||
	    (h->flags & (HF_LAID | HF_PROBE)) != HF_LAID ||
	    (h->rung == RUNG_SPLICE) != !key_is_zero(&ret_r->key[BACK]))
		return -EINVAL;
	return 0;
}

static sut_time ago(sut_time now, uint32_t ms)
{
	return now > SUT_MS(ms) ? now - SUT_MS(ms) : 0;
}

static void take_over(struct front *f, struct hand *h, const struct read *r)
{
	const struct hand *from = &r->h;
	uint8_t state = r->state == FR_REPLAY || r->state == FR_RETRACT ? FR_THERE : r->state;

	h->rung = from->rung;
	h->origin = from->origin;
	h->flags = from->flags & (HF_FIN_CLIENT | HF_FIN_BACK | HF_TOLD | HF_SPLICED | HF_CLAIMED);
	h->flags |= HF_ANSWERED;
	/* It may lie there since, and is taken away at the end. */
	h->flags |= front_joined(f, FRONT_PLANE) && state != FR_LINGER ? HF_BPF : 0;
	h->lane = from->lane;
	h->d = from->d;
	memcpy(h->d.local.ip, r->key[CLIENT].dst, 16);
	memcpy(h->d.remote.ip, r->key[CLIENT].src, 16);
	h->d.local.port = net16(r->key[CLIENT].dport);
	h->d.remote.port = net16(r->key[CLIENT].sport);
	h->base = from->base;
	h->end = from->end;
	h->far_isn = from->far_isn;
	h->far_ts = from->far_ts;
	h->far_scale = from->far_scale;
	hand_key_add(f, h, CLIENT, &r->key[CLIENT]);
	if (h->rung == RUNG_SPLICE)
		hand_key_add(f, h, BACK, &r->key[BACK]);
	if (state != FR_LINGER)
		over_count(f, h, true);
	hand_set_state(f, h, (enum front_state)state, "restored");
	h->since = ago(f->now, r->since);
	h->heard = ago(f->now, r->heard);
	if (f->env.journal != NULL)
		h->flags |= HF_JOURNALLED;
	h->flags |=
		HF_RESTORED; /* its ways are laid when the link address of its back end is known */
	if (state == FR_LINGER)
		hand_arm(f, h, h->since + f->cfg.linger);
	else
		hand_arm(f, h, f->now);
}

/* One that was told of is over: it need not be there. */
static int restore_end(struct front *f, struct record_reader *rd)
{
	struct way_key k = { 0 };
	struct flow_key at;
	struct hand *h;
	enum side side;
	int e = record_take_flow_end(rd, &at);

	if (e < 0)
		return e;
	memcpy(k.src, at.src, 16);
	memcpy(k.dst, at.dst, 16);
	memcpy(&k.sport, &at.sport, 2);
	memcpy(&k.dport, &at.dport, 2);
	h = hand_find(f, &k, &side);
	if (h != NULL && (h->flags & HF_RESTORED)) {
		over_count(f, h, false);
		hand_free(f, h);
	}
	return 0;
}

/* Is its back end the host that it was? */
static bool is_there(const struct front *f, uint32_t b, const struct stack_addr *at)
{
	const struct stack_addr *is = backend_cfg(f, b)->at;
	bool same = false;

	for (unsigned i = 0; i < FRONT_FAMILIES; i++)
		same |= is[i].port == at->port && memcmp(is[i].ip, at->ip, 16) == 0;
	return same;
}

int front_restore(void *role, const struct record *record, sut_time now)
{
	struct front *f = role;
	struct record_reader rd;
	struct read r;
	struct hand *h;
	enum side side;
	int b, e;

	if (record_open(record, &rd) == 0 && rd.kind == REC_FLOW_END)
		return restore_end(f, &rd);
	if (record_open(record, &rd) == 0 && rd.kind == REC_HANDOFF_BACKEND)
		return restore_backend(f, &rd);
	e = read_hand(record, &r);
	if (e < 0)
		return e;
	b = backend_named(f, r.name, strlen(r.name));
	if (b < 0 || !is_there(f, (uint32_t)b, &r.at))
		return -EINVAL; /* another configuration: there is no such back end */
	h = hand_find(f, &r.key[CLIENT], &side);
	if (h != NULL && (h->flags & HF_RESTORED)) { /* a later record of it */
		over_count(f, h, false);
		hand_free(f, h);
	} else if (h != NULL) {
		return -EEXIST;
	}
	if (r.h.rung == RUNG_SPLICE && hand_find(f, &r.key[BACK], &side) != NULL)
		return -EEXIST;
	f->now = now;
	h = hand_take(f, r.id);
	if (h == NULL)
		return -ENOSPC;
	h->backend = (uint32_t)b;
	take_over(f, h, &r);
	return 0;
}

/* --- listings */

bool front_list(const void *role, uint32_t *cursor, sut_time now, struct flow_row *ret_row)
{
	const struct front *f = role;

	while (*cursor < f->fresh) {
		const struct hand *h = &f->hand[(*cursor)++];
		struct flow_row row = { .uncounted = true };

		if (h->id == 0 || (h->flags & HF_PROBE))
			continue;
		memcpy(row.key.src, h->key[CLIENT].src, 16);
		memcpy(row.key.dst, h->key[CLIENT].dst, 16);
		memcpy(&row.key.sport, &h->key[CLIENT].sport, 2);
		memcpy(&row.key.dport, &h->key[CLIENT].dport, 2);
		row.key.where = 0xffffff;
		row.mode = h->rung < RUNG_NONE ? rung_name((enum front_rung)h->rung) : "none";
		row.state = front_state_name((enum front_state)h->state);
		row.age_ns = now > h->born ? now - h->born : 0;
		row.held_bytes = h->first != STORE_NONE ? h->end - h->base : 0;
		if (h->flags & HF_SPLICED) {
			row.shifted = true;
			row.shift[FAR] = h->far_isn + 1 - h->d.snd_nxt;
		}
		*ret_row = row;
		return true;
	}
	return false;
}

bool front_describe(const void *role, const struct flow_key *client_key, char *ret_s, size_t size)
{
	struct front *f = (struct front *)(uintptr_t)role;
	struct way_key k = { 0 };
	const struct hand *h;
	enum side side;

	memcpy(k.src, client_key->src, 16);
	memcpy(k.dst, client_key->dst, 16);
	memcpy(&k.sport, &client_key->sport, 2);
	memcpy(&k.dport, &client_key->dport, 2);
	h = hand_find(f, &k, &side);
	if (h == NULL || side != CLIENT)
		return false;
	(void)snprintf(ret_s, size, "%s %s %s", front_state_name((enum front_state)h->state),
		       h->backend != NONE ? rung_name((enum front_rung)h->rung) : "-",
		       h->backend != NONE ? backend_cfg(f, h->backend)->name : "-");
	return true;
}

const char *front_check(const void *role)
{
	const struct front *f = role;
	uint32_t cells = f->cells, used = 0;

	for (uint32_t i = 0; i < f->fresh; i++) {
		const struct hand *h = &f->hand[i];

		used += h->id != 0;
		for (uint32_t c = h->id != 0 ? h->first : STORE_NONE; c != STORE_NONE; cells--)
			c = store_cell_const(f->store, c)->next;
		if (h->id != 0 && (h->state == FR_READING || h->state == FR_ANSWERED) &&
		    h->conn == 0)
			return "a hand-off is in the stack, and is not";
	}
	if (used != f->used)
		return "hand-offs are miscounted";
	if (cells != store_free_cells(f->store))
		return "a cell is lost, or in use twice";
	return stack_check(f->stack, f->now);
}

/* --- the journal */

void save_journal(struct front *f, struct hand *h)
{
	struct record r;

	if (f->env.journal == NULL || !is_kept(f, h))
		return;
	write_hand(f, h, f->now, &r);
	f->env.journal(f->env.journal_ctx, &r);
	h->flags |= HF_JOURNALLED;
}

static void flow_key_of_hand(const struct way_key *k, struct flow_key *ret_k)
{
	*ret_k = (struct flow_key){ 0 };
	memcpy(ret_k->src, k->src, 16);
	memcpy(ret_k->dst, k->dst, 16);
	memcpy(&ret_k->sport, &k->sport, 2);
	memcpy(&ret_k->dport, &k->dport, 2);
}

void save_journal_end(struct front *f, const struct hand *h)
{
	struct flow_key k;
	struct record r;

	if (f->env.journal == NULL || !(h->flags & HF_JOURNALLED))
		return;
	flow_key_of_hand(&h->key[CLIENT], &k);
	record_flow_end(&r, &k);
	f->env.journal(f->env.journal_ctx, &r);
}

void save_journal_backend(struct front *f, uint32_t b)
{
	struct record r;

	if (f->env.journal == NULL || f->backend[b].place != PLACE_USED)
		return;
	write_backend(f, b, &r);
	f->env.journal(f->env.journal_ctx, &r);
}
