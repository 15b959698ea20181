/* SPDX-License-Identifier: MIT */
#include "role/replica/compare_flow.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/compiler.h"

/*
 * Theory of operation
 *
 * A flow is in the table from the first frame of either server on.  It stands in one of two chains:
 *
 *     idle      nothing waits; in order of the last frame, so both the one that a full table gives up
 *               and the one whose idle time is over are the first
 *     waiting   a frame of either server waits, or the secondary has sent a SYN or a RST that the
 *               primary has not; never given up
 *
 * So nothing needs a timer of its own: there is the next scan, which exists only while something
 * waits, and the end of the first idle flow's time.  Scans come at whole multiples of their cycle.
 *
 * Invariants: a flow with frames to send, which found no room in the outbox, is in ready as well;
 * out.frames is the number of frames in its queue; opened = in the table + idle + evicted.
 */

/* Where the parts lie in the block, and its size. */
struct layout {
	size_t flows, held, cold, bytes;
};

static size_t part(size_t *at, size_t bytes)
{
	size_t here = *at;

	*at += (bytes + 127) / 128 * 128;
	return here;
}

static struct layout layout_of(const struct replica_compare_config *c)
{
	struct layout l;
	size_t at = 0;

	(void)part(&at, sizeof(struct compare));
	l.flows = part(&at, flows_need(c->max_flows));
	l.held = part(&at, held_need(c->hold_cells + COMPARE_SPARE));
	l.cold = part(&at, sizeof(struct compare_flow) * (size_t)c->max_flows);
	l.bytes = at;
	return l;
}

size_t compare_need(const struct replica_compare_config *c)
{
	return layout_of(c).bytes;
}

struct compare *compare_lay_out(void *block, const struct replica_compare_config *c,
				const struct role_env *env)
{
	const struct chain empty = { FLOW_NONE, FLOW_NONE };
	struct layout l = layout_of(c);
	struct compare *r = block;
	uint8_t *b = block;
	struct hash_key key;

	for (unsigned i = 0; i < ARRAY_LEN(key.k); i++)
		key.k[i] = env->random(env->random_ctx);
	r->cfg = *c;
	r->env = env;
	r->flows = flows_init(b + l.flows, c->max_flows, &key);
	r->held = held_init(b + l.held, c->hold_cells + COMPARE_SPARE);
	r->cold = (struct compare_flow *)(void *)(b + l.cold);
	r->idle = r->waiting = r->ready = empty;
	r->next_scan = SUT_NEVER;
	return r;
}

void compare_set_ready(struct compare_turn *t, uint32_t f, bool on)
{
	chain_set(&t->c->ready, CHAIN_ROOM(t->c->cold, struct compare_flow, ready), f, on);
}

static bool is_waiting(const struct compare_flow *c)
{
	return c->side[NEAR].frames || c->side[FAR].frames || c->event_since != SUT_NEVER;
}

/* The first scan after now. */
static sut_time scan_after(const struct compare *c, sut_time now)
{
	sut_time cycle = c->cfg.expired_scan_cycle, since = now % cycle;

	return cycle - since > SUT_NEVER - now ? SUT_NEVER : now - since + cycle;
}

void compare_place(struct compare_turn *t, uint32_t f)
{
	const struct chain_room room = CHAIN_ROOM(t->c->cold, struct compare_flow, place);
	struct compare_flow *c = compare_cold(t, f);
	bool waits = is_waiting(c);

	if (c->place.in && waits == c->waits) {
		if (waits)
			return;
		chain_del(&t->c->idle, room, f);
	} else if (c->place.in) {
		chain_del(c->waits ? &t->c->waiting : &t->c->idle, room, f);
	}
	c->waits = waits;
	if (!waits)
		c->last = t->now;
	chain_add(waits ? &t->c->waiting : &t->c->idle, room, f);
	if (t->c->waiting.first == FLOW_NONE)
		t->c->next_scan = SUT_NEVER;
	else if (t->c->next_scan == SUT_NEVER)
		t->c->next_scan = scan_after(t->c, t->now);
}

void compare_tell(const struct compare_turn *t, uint32_t f, const char *from, const char *to,
		  const char *why)
{
	const struct role_env *env = t->c->env;
	struct trace_event ev = {
		.now = t->now,
		.key = &flows_rec(t->c->flows, flow_rec_of(f, NEAR))->key,
		.from = from,
		.to = to,
		.why = why,
	};

	if (env->trace)
		env->trace(env->trace_ctx, &ev);
}

struct flow_key compare_far_key(const struct flow_key *near)
{
	struct flow_key far = *near;

	far.where |= 1u << 24;
	return far;
}

static int insert(struct compare_turn *t, const struct flow_key *near, uint32_t *ret_flow)
{
	struct flow_key far = compare_far_key(near);
	uint32_t rekeyed = flows_rekeyed(t->c->flows);
	int err = flows_insert(t->c->flows, near, &far, ret_flow);

	if (err == -ENOSPC && t->c->idle.first != FLOW_NONE) {
		compare_end(t, t->c->idle.first, EV_FLOWS_EVICTED, "evicted");
		err = flows_insert(t->c->flows, near, &far, ret_flow);
	}
	if (err == -ENOBUFS)
		err = flows_insert(t->c->flows, near, &far, ret_flow);
	t->c->env->counters->event[EV_REKEYED] += flows_rekeyed(t->c->flows) - rekeyed;
	return err;
}

enum reason compare_open(struct compare_turn *t, const struct flow_key *near,
			 enum compare_kind kind, uint32_t *ret_flow)
{
	struct compare_flow *c;
	int err = insert(t, near, ret_flow);

	if (err)
		return err == -ENOSPC ? R_FLOWS_FULL : R_BUCKETS_FULL;
	c = compare_cold(t, *ret_flow);
	*c = (struct compare_flow){
		.kind = (uint8_t)kind,
		.checkpoint = t->c->checkpoint,
		.event_since = SUT_NEVER,
	};
	held_queue_init(&c->side[NEAR].q);
	held_queue_init(&c->side[FAR].q);
	compare_place(t, *ret_flow);
	compare_tell(t, *ret_flow, "NONE", "OPEN", "first frame");
	count_event(t->c->env, EV_FLOWS_OPENED);
	return R_NONE;
}

void compare_end(struct compare_turn *t, uint32_t f, enum event as, const char *why)
{
	compare_tell(t, f, "OPEN", "NONE", why);
	chain_del(compare_cold(t, f)->waits ? &t->c->waiting : &t->c->idle,
		  CHAIN_ROOM(t->c->cold, struct compare_flow, place), f);
	flows_remove(t->c->flows, f);
	count_event(t->c->env, as);
}

uint32_t compare_hold(struct compare_turn *t, uint32_t f, enum sut_side side,
		      const struct packet *p, const struct waiting *w, uint32_t prev)
{
	struct output *o = &compare_cold(t, f)->side[side];
	uint32_t at, cells = held_cells(p);
	enum reason why = R_QUOTA;

	if (o->frames < t->c->cfg.max_queue_size)
		why = t->c->cells + cells > t->c->cfg.hold_cells
			      ? R_STORE_FULL
			      : held_store(t->c->held, side, p, &at);
	if (why != R_NONE) {
		count_drop(t->c->env, why);
		compare_ask(t, f);
		return HELD_NONE;
	}
	memcpy(held_note(t->c->held, at), w, sizeof *w);
	held_link(t->c->held, &o->q, prev, at);
	t->c->cells += cells;
	o->frames++;
	return at;
}

uint32_t compare_unlink(struct compare_turn *t, uint32_t f, enum sut_side side, uint32_t prev)
{
	struct output *o = &compare_cold(t, f)->side[side];
	uint32_t cells = o->q.cells, at = held_unlink(t->c->held, &o->q, prev);

	o->frames--;
	t->c->cells -= cells - o->q.cells;
	return at;
}

void compare_drop(struct compare_turn *t, uint32_t f, uint32_t prev, enum reason why)
{
	held_forget(t->c->held, compare_unlink(t, f, FAR, prev));
	count_drop(t->c->env, why);
}

void compare_drop_all(struct compare_turn *t, uint32_t f, enum sut_side side, enum reason why)
{
	struct output *o = &compare_cold(t, f)->side[side];

	t->c->cells -= o->q.cells;
	t->c->env->counters->dropped[why] += held_clear(t->c->held, &o->q);
	o->frames = 0;
	if (side == NEAR)
		compare_cold(t, f)->again = 0;
}

const uint8_t *compare_bytes(const struct compare_turn *t, uint32_t at)
{
	struct packet p;
	unsigned port;

	(void)held_look(t->c->held, at, &port, &p);
	return p.head;
}

void compare_ask(struct compare_turn *t, uint32_t f)
{
	uint64_t cycle = t->now / t->c->cfg.expired_scan_cycle + 1;
	uint64_t *asked = f == FLOW_NONE ? &t->c->asked : &compare_cold(t, f)->asked;

	if (*asked == cycle || t->c->failed_over)
		return;
	*asked = cycle;
	t->c->owed++;
	count_event(t->c->env, EV_CHECKPOINT_ASKED);
}

void compare_diverge(struct compare_turn *t, uint32_t f, const char *why)
{
	struct compare_flow *c = compare_cold(t, f);

	if (!c->diverged) {
		count_event(t->c->env, EV_DIVERGED);
		compare_tell(t, f, "OPEN", "DIVERGED", why);
	}
	c->diverged = true;
	compare_ask(t, f);
}
