/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "proto/ip.h"
#include "role/handoff/back_inside.h"

static uint32_t *quads(const struct back *b)
{
	return (uint32_t *)(void *)((uint8_t *)(uintptr_t)b + b->at_quads);
}

static uint32_t *ids(const struct back *b)
{
	return (uint32_t *)(void *)((uint8_t *)(uintptr_t)b + b->at_ids);
}

struct back_hand *back_hand_at(const struct back *b, uint32_t slot)
{
	return (struct back_hand *)(void *)((uint8_t *)(uintptr_t)b + b->at_hands) + slot;
}

uint32_t back_hand_slot(const struct back *b, const struct back_hand *h)
{
	return (uint32_t)(h - back_hand_at(b, 0));
}

static bool is_end(const uint8_t ip[16], uint16_t port, const uint8_t key_ip[16], uint16_t key_port)
{
	return port == key_port && memcmp(ip, key_ip, 16) == 0;
}

int back_quad(const struct back *b, const struct way_key *in, struct way_key *ret_out)
{
	int found = -1;

	memset(ret_out, 0, sizeof *ret_out);
	memcpy(ret_out->src, in->dst, 16);
	ret_out->sport = in->dport;
	memcpy(ret_out->dst, in->src, 16);
	ret_out->dport = in->sport;
	for (unsigned i = 0; found < 0 && i < WAY_ORIGINS; i++) {
		const struct way_origin *o = &b->cfg.origin[i];

		if (ip_is_zero(o->ip) || (!is_end(o->ip, o->port, in->dst, in->dport) &&
					  !is_end(o->host_ip, o->host_port, in->dst, in->dport)))
			continue;
		found = (int)i;
		if (ip_is_zero(o->host_ip))
			continue;
		memcpy(ret_out->src, o->host_ip, 16);
		ret_out->sport = o->host_port;
	}
	return found;
}

static uint32_t *quad_bucket(const struct back *b, const struct way_key *out)
{
	return quads(b) + (hash40(&b->hash, out) & (b->buckets - 1));
}

static uint32_t *id_bucket(const struct back *b, unsigned front, uint32_t id)
{
	uint64_t words[5] = { id, front };

	return ids(b) + (hash40(&b->hash, words) & (b->buckets - 1));
}

struct back_hand *back_hand_by_quad(const struct back *b, const struct way_key *out)
{
	uint32_t i = *quad_bucket(b, out);

	for (; i; i = back_hand_at(b, i - 1)->next_quad)
		if (memcmp(&back_hand_at(b, i - 1)->out, out, sizeof *out) == 0)
			return back_hand_at(b, i - 1);
	return NULL;
}

struct back_hand *back_hand_by_in(const struct back *b, const struct way_key *in)
{
	struct way_key out;
	struct back_hand *h;

	(void)back_quad(b, in, &out);
	h = back_hand_by_quad(b, &out);
	if (h || b->strangers == 0)
		return h;
	for (uint32_t i = 0; i < b->fresh; i++) {
		h = back_hand_at(b, i);
		if (h->used && h->stranger && memcmp(&h->in, in, sizeof *in) == 0)
			return h;
	}
	return NULL;
}

struct back_hand *back_hand_by_id(const struct back *b, unsigned front, uint32_t id)
{
	uint32_t i = *id_bucket(b, front, id);

	for (; i; i = back_hand_at(b, i - 1)->next_id) {
		struct back_hand *h = back_hand_at(b, i - 1);

		if (h->front == front && h->id == id)
			return h;
	}
	return NULL;
}

void back_hand_name(struct back *b, struct back_hand *h, unsigned front, uint32_t id)
{
	uint32_t *at = id_bucket(b, front, id);

	back_hand_unname(b, h);
	h->found = false;
	h->front = (uint16_t)front;
	h->id = id;
	h->next_id = *at;
	*at = back_hand_slot(b, h) + 1;
	b->front[front - 1].hands++;
}

void back_hand_unname(struct back *b, struct back_hand *h)
{
	uint32_t *at = id_bucket(b, h->front, h->id);

	if (h->front == 0)
		return;
	while (*at != back_hand_slot(b, h) + 1) {
		assert(*at);
		at = &back_hand_at(b, *at - 1)->next_id;
	}
	*at = h->next_id;
	b->front[h->front - 1].hands--;
	h->front = 0;
}

bool back_hands_full(const struct back *b)
{
	return b->free == 0 && b->fresh == b->max;
}

struct back_hand *back_hand_add(struct back_turn *t, const struct way_key *in,
				const struct way_key *out)
{
	struct back *b = t->b;
	uint32_t i = b->free, *at = quad_bucket(b, out);
	struct back_hand *h;

	if (back_hands_full(b))
		return NULL;
	if (!i)
		i = ++b->fresh;
	else
		b->free = back_hand_at(b, i - 1)->next_quad;
	h = back_hand_at(b, i - 1);
	memset(h, 0, sizeof *h);
	h->in = *in;
	h->out = *out;
	h->used = true;
	h->known = true;
	h->way_id = back_way_id(b);
	h->last = t->now;
	h->next_quad = *at;
	*at = i;
	b->count++;
	count_event(b->env, EV_FLOWS_OPENED);
	back_hand_enter(t, h, HAND_PENDING, "announced");
	return h;
}

uint32_t back_way_id(struct back *b)
{
	if (++b->way_ids == 0)
		b->way_ids = 1;
	return b->way_ids;
}

void back_hand_renew(struct back_turn *t, struct back_hand *h)
{
	h->owes = 0;
	h->laid = h->known = true;
	h->looked = h->muted = h->refused = h->learnt = false;
	h->news = h->hurried = false;
	h->any_way = h->in_band = h->stale = h->had = h->half = false;
	h->none = 0;
	h->way_id = back_way_id(t->b);
	h->acked = h->fin_in = h->fin_out = h->rst = 0;
	h->ack = 0;
	h->last = t->now;
	count_event(t->b->env, EV_FLOWS_REOPENED);
	back_hand_enter(t, h, HAND_PENDING, "announced anew");
}

void back_hand_free(struct back *b, struct back_hand *h)
{
	uint32_t i = back_hand_slot(b, h) + 1, *at = quad_bucket(b, &h->out);

	back_hand_unname(b, h);
	while (*at != i) {
		assert(*at);
		at = &back_hand_at(b, *at - 1)->next_quad;
	}
	*at = h->next_quad;
	wheel_cancel(back_wheel(b), i - 1);
	b->strangers -= h->stranger;
	h->used = false;
	h->next_quad = b->free;
	b->free = i;
	b->count--;
	count_event(b->env, EV_FLOWS_CLOSED);
}

bool back_hand_over(const struct back_hand *h)
{
	return h->state == HAND_GONE || (h->fin_in && h->fin_out);
}

bool back_hand_in_doubt(const struct back_hand *h)
{
	return h->had && !h->acked;
}

bool back_hand_speaks(const struct back_hand *h)
{
	return h->laid && !back_hand_over(h) && (h->kind != BACK_ADOPT || h->muted);
}

static const char *state_name(uint8_t s)
{
	static const char *const names[] = {
		[HAND_UNKNOWN] = "UNKNOWN", [HAND_PENDING] = "PENDING", [HAND_THERE] = "THERE",
		[HAND_CLOSING] = "CLOSING", [HAND_GONE] = "GONE",
	};

	return names[s];
}

void back_hand_enter(struct back_turn *t, struct back_hand *h, enum hand_state state,
		     const char *why)
{
	struct flow_key key = { .where = 0 };
	struct trace_event ev = { .now = t->now, .key = &key, .why = why };

	memcpy(key.src, h->in.src, 16);
	memcpy(key.dst, h->in.dst, 16);
	memcpy(&key.sport, &h->in.sport, 2);
	memcpy(&key.dport, &h->in.dport, 2);
	ev.from = state_name(h->state);
	ev.to = state_name((uint8_t)state);
	if (t->b->env->trace)
		t->b->env->trace(t->b->env->trace_ctx, &ev);
	h->had |= state == HAND_THERE || state == HAND_CLOSING;
	h->state = (uint8_t)state;
	h->since = t->now;
	back_arm(t, h);
}
