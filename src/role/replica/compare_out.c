/* SPDX-License-Identifier: MIT */
#include "role/replica/compare_out.h"

#include <string.h>

#include "role/replica/compare_tcp.h"

/*
 * Theory of operation
 *
 * The outbox holds 256 packets.  64 of them are for the frames of a burst that go straight through,
 * 64 for messages; what has waited may have the rest.  A flow that finds no room stays in ready, in
 * the order in which it is to be served, and expire() is due at once; frames that come for it
 * meanwhile stand behind those that wait.
 *
 * A checkpoint marks all that waits of the primary for sending, and puts its flows in ready by the
 * arrival of their first frames.  Flows of which nothing waits are not looked at: each knows how
 * many checkpoints it has seen, and catches up when its next frame comes.
 */

#define RESERVED 128u
#define ASK "DO_CHECKPOINT"

void compare_out_begin(struct compare_turn *t)
{
	held_sweep(t->c->held);
	t->c->given = 0;
}

static bool has_room(const struct compare_turn *t)
{
	return outbox_room(t->out) > RESERVED;
}

/* Sends the frame behind prev in the queue of side. */
static void give(struct compare_turn *t, uint32_t f, enum sut_side side, uint32_t prev)
{
	struct compare_flow *c = compare_cold(t, f);
	uint32_t at = compare_unlink(t, f, side, prev);
	struct packet *p = &t->c->out[t->c->given++];

	if (side == NEAR && waiting_of(t, at)->flags & WAITING_AGAIN)
		c->again--;
	if (side == NEAR && c->flush) {
		c->flush--;
		count_event(t->c->env, EV_FLUSHED);
	} else if (side == NEAR) {
		count_event(t->c->env, EV_RELEASED);
	}
	held_give(t->c->held, at, p);
	outbox_put(t->out, COMPARE_OUT, p);
}

static bool may_go(struct compare_turn *t, uint32_t f, const struct waiting *w)
{
	struct compare_flow *c = compare_cold(t, f);

	if (c->kind == COMPARE_TCP)
		return compare_tcp_may_go(t, f, w);
	return w->flags & WAITING_MATCHED;
}

void compare_send_or_hold(struct compare_turn *t, uint32_t f, struct packet *p,
			  const struct waiting *w)
{
	struct compare_flow *c = compare_cold(t, f);
	struct output *o = &c->side[NEAR];

	if ((o->frames == 0 || (w->flags & WAITING_AGAIN && c->flush == 0)) && may_go(t, f, w)) {
		outbox_put(t->out, COMPARE_OUT, p);
		count_event(t->c->env, EV_RELEASED);
		return;
	}
	if (compare_hold(t, f, NEAR, p, w, o->q.last) != HELD_NONE && w->flags & WAITING_AGAIN)
		c->again++;
}

/* The first in line: false if there was no room. */
static bool release_line(struct compare_turn *t, uint32_t f)
{
	struct compare_flow *c = compare_cold(t, f);
	const struct output *o = &c->side[NEAR];

	while (o->frames && (c->flush || may_go(t, f, waiting_of(t, o->q.first)))) {
		if (!has_room(t))
			return false;
		give(t, f, NEAR, HELD_NONE);
	}
	return true;
}

/* Those that need not stand in line. */
static bool release_again(struct compare_turn *t, uint32_t f)
{
	struct compare_flow *c = compare_cold(t, f);
	uint32_t prev = HELD_NONE, at = c->side[NEAR].q.first, next;

	for (; at != HELD_NONE && c->again; at = next) {
		const struct waiting *w = waiting_of(t, at);

		next = held_next(t->c->held, at);
		if (!(w->flags & WAITING_AGAIN) || !may_go(t, f, w)) {
			prev = at;
			continue;
		}
		if (!has_room(t))
			return false;
		give(t, f, NEAR, prev);
	}
	return true;
}

/* After the failover. */
static bool release_secondary(struct compare_turn *t, uint32_t f)
{
	const struct output *o = &compare_cold(t, f)->side[FAR];

	while (o->frames) {
		if (!has_room(t))
			return false;
		give(t, f, FAR, HELD_NONE);
	}
	return true;
}

void compare_release(struct compare_turn *t, uint32_t f)
{
	bool all = release_line(t, f) && release_again(t, f);

	if (all && t->c->failed_over)
		all = release_secondary(t, f);
	compare_set_ready(t, f, !all);
	compare_place(t, f);
}

void compare_serve(struct compare_turn *t)
{
	while (t->c->ready.first != FLOW_NONE && has_room(t))
		compare_release(t, t->c->ready.first);
}

void compare_pay(struct compare_turn *t)
{
	bool joined = t->c->env->ports >> COMPARE_NOTIFY & 1;

	if (!joined)
		t->c->owed = 0;
	while (t->c->owed) {
		struct packet *p = outbox_make(t->out, COMPARE_NOTIFY, sizeof ASK - 1);

		if (!p)
			return;
		memcpy(p->head, ASK, sizeof ASK - 1);
		t->c->owed--;
	}
}

/* The secondary's part of f becomes a copy of the primary's. */
static void equal(struct compare_turn *t, uint32_t f)
{
	struct compare_flow *c = compare_cold(t, f);

	c->checkpoint = t->c->checkpoint;
	if (c->diverged)
		compare_tell(t, f, "DIVERGED", "OPEN", "checkpoint");
	compare_drop_all(t, f, FAR, R_STALE);
	c->event_since = SUT_NEVER;
	c->diverged = false;
	c->asked = 0; /* that was answered */
	if (c->kind == COMPARE_TCP)
		compare_tcp_equal(c);
}

void compare_catch_up(struct compare_turn *t, uint32_t f)
{
	if (compare_cold(t, f)->checkpoint != t->c->checkpoint)
		equal(t, f);
}

static uint64_t first_serial(const struct compare_turn *t, uint32_t f)
{
	return waiting_of(t, compare_cold(t, f)->side[NEAR].q.first)->serial;
}

/* The two chains of flows a and b, in order of first_serial(), as one; linked by ready.next alone. */
static uint32_t merge(const struct compare_turn *t, uint32_t a, uint32_t b)
{
	uint32_t first = FLOW_NONE, *at = &first;

	while (a != FLOW_NONE && b != FLOW_NONE) {
		uint32_t *from = first_serial(t, a) < first_serial(t, b) ? &a : &b;

		*at = *from;
		at = &compare_cold(t, *at)->ready.next;
		*from = *at;
	}
	*at = a != FLOW_NONE ? a : b;
	return first;
}

/* Sorts a chain linked by ready.next: each slot holds a sorted one of 2^i flows, or none. */
static uint32_t sort(const struct compare_turn *t, uint32_t first)
{
	uint32_t slot[32], next, all = FLOW_NONE;

	for (unsigned i = 0; i < 32; i++)
		slot[i] = FLOW_NONE;
	for (; first != FLOW_NONE; first = next) {
		unsigned i = 0;

		next = compare_cold(t, first)->ready.next;
		compare_cold(t, first)->ready.next = FLOW_NONE;
		for (; slot[i] != FLOW_NONE; i++) {
			first = merge(t, slot[i], first);
			slot[i] = FLOW_NONE;
		}
		slot[i] = first;
	}
	for (unsigned i = 0; i < 32; i++)
		all = merge(t, slot[i], all);
	return all;
}

/* Takes all flows off ready; all of those of which a frame of the primary's waits, by arrival. */
static uint32_t line_up(struct compare_turn *t)
{
	uint32_t first = FLOW_NONE;

	while (t->c->ready.first != FLOW_NONE)
		compare_set_ready(t, t->c->ready.first, false);
	for (uint32_t f = t->c->waiting.first; f != FLOW_NONE; f = compare_cold(t, f)->place.next) {
		if (compare_cold(t, f)->side[NEAR].frames == 0)
			continue;
		compare_cold(t, f)->ready.next = first;
		first = f;
	}
	return sort(t, first);
}

/* Those of which nothing is to be sent: nothing waits any more. */
static void place_rest(struct compare_turn *t)
{
	uint32_t f = t->c->waiting.first, next;

	for (; f != FLOW_NONE; f = next) {
		next = compare_cold(t, f)->place.next;
		compare_place(t, f);
	}
}

void compare_checkpoint(struct compare_turn *t)
{
	uint32_t next, f;

	t->c->checkpoint++;
	t->c->asked = 0;
	count_event(t->c->env, EV_CHECKPOINTS);
	for (f = t->c->waiting.first; f != FLOW_NONE; f = compare_cold(t, f)->place.next) {
		equal(t, f);
		compare_cold(t, f)->flush = compare_cold(t, f)->side[NEAR].frames;
	}
	for (f = line_up(t); f != FLOW_NONE; f = next) {
		next = compare_cold(t, f)->ready.next;
		compare_set_ready(t, f, true);
	}
	place_rest(t);
	compare_serve(t);
}

/* Drops what waits of the primary and is not marked for sending. */
static void drop_primary(struct compare_turn *t, uint32_t f)
{
	struct compare_flow *c = compare_cold(t, f);
	struct output *o = &c->side[NEAR];
	uint32_t prev = HELD_NONE, at = o->q.first;

	c->event_since = SUT_NEVER;
	if (c->flush == o->frames)
		return;
	for (uint32_t i = 0; i < c->flush; i++) {
		prev = at;
		at = held_next(t->c->held, at);
	}
	while (at != HELD_NONE) {
		if (waiting_of(t, at)->flags & WAITING_AGAIN)
			c->again--;
		at = held_next(t->c->held, at);
		held_forget(t->c->held, compare_unlink(t, f, NEAR, prev));
		count_drop(t->c->env, R_PRIMARY_DEAD);
	}
}

/* What could go, but for want of room, is marked for sending. */
static void mark_free(struct compare_turn *t, uint32_t f)
{
	struct compare_flow *c = compare_cold(t, f);
	uint32_t i = 0, at = c->side[NEAR].q.first;

	for (; at != HELD_NONE; at = held_next(t->c->held, at)) {
		if (i++ < c->flush)
			continue;
		if (!may_go(t, f, waiting_of(t, at)))
			return;
		c->flush++;
	}
}

void compare_failover(struct compare_turn *t)
{
	uint32_t f;

	if (t->c->failed_over)
		return;
	t->c->failed_over = true;
	count_event(t->c->env, EV_FAILOVERS);
	t->c->owed = 0;
	for (f = t->c->waiting.first; f != FLOW_NONE; f = compare_cold(t, f)->place.next) {
		mark_free(t, f);
		drop_primary(t, f);
		compare_set_ready(t, f, true);
	}
	compare_serve(t);
}

/* When the oldest frame of either queue of f came. */
static sut_time oldest(const struct compare_turn *t, uint32_t f)
{
	const struct compare_flow *c = compare_cold(t, f);
	sut_time first = c->event_since;

	for (unsigned side = NEAR; side < SUT_SIDES; side++) {
		uint32_t at = c->side[side].q.first;

		for (; at != HELD_NONE; at = held_next(t->c->held, at))
			if (waiting_of(t, at)->since < first)
				first = waiting_of(t, at)->since;
	}
	return first;
}

void compare_scan(struct compare_turn *t)
{
	sut_time cycle = t->c->cfg.expired_scan_cycle, since = t->now % cycle;
	bool late = false;

	for (uint32_t f = t->c->waiting.first; f != FLOW_NONE; f = compare_cold(t, f)->place.next) {
		sut_time first = oldest(t, f);

		if (!compare_cold(t, f)->diverged &&
		    (first > t->now || t->now - first <= t->c->cfg.compare_timeout))
			continue;
		compare_cold(t, f)->asked = t->now / cycle + 1;
		late = true;
	}
	if (late)
		compare_ask(t, FLOW_NONE);
	t->c->next_scan = cycle - since > SUT_NEVER - t->now ? SUT_NEVER : t->now - since + cycle;
}
