/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "role/handoff/front_inside.h"

/*
 * Hand-offs by slot and by key.  A slot is a timer of the wheel and the low bits of an id; a hand-off has a key for its client's packets, and
 * one for its back end's where these come here (splices and probes).  Slots that were never used are taken last.
 */

uint32_t hand_index(const struct front *f, const struct hand *h)
{
	return (uint32_t)(h - f->hand);
}

bool key_is_zero(const struct way_key *k)
{
	static const struct way_key zero;

	return memcmp(k, &zero, sizeof zero) == 0;
}

void key_reverse(const struct way_key *k, struct way_key *ret_k)
{
	struct way_key r = { .sport = k->dport, .dport = k->sport };

	memcpy(r.src, k->dst, 16);
	memcpy(r.dst, k->src, 16);
	*ret_k = r;
}

/* --- look-up */

static uint32_t *bucket(const struct front *f, const struct way_key *k)
{
	return &f->table[(uint32_t)hash40(&f->table_key, k) & f->table_mask];
}

struct hand *hand_find(struct front *f, const struct way_key *k, enum side *ret_side)
{
	uint32_t i = *bucket(f, k);

	while (i != 0) {
		struct hand *h = &f->hand[(i - 1) / 2];
		enum side side = (i - 1) % 2 ? BACK : CLIENT;

		if (memcmp(&h->key[side], k, sizeof *k) == 0) {
			*ret_side = side;
			return h;
		}
		i = h->next_hash[side];
	}
	return NULL;
}

void hand_key_add(struct front *f, struct hand *h, enum side side, const struct way_key *k)
{
	uint32_t *first = bucket(f, k);

	hand_key_del(f, h, side);
	if (side == CLIENT)
		count_event(&f->env, EV_FLOWS_OPENED);
	h->key[side] = *k;
	h->next_hash[side] = *first;
	*first = hand_index(f, h) * 2 + (uint32_t)side + 1;
	h->in_table |= (uint8_t)(1u << side);
}

void hand_key_del(struct front *f, struct hand *h, enum side side)
{
	uint32_t self = hand_index(f, h) * 2 + (uint32_t)side + 1, *from;

	if (!(h->in_table >> side & 1))
		return;
	for (from = bucket(f, &h->key[side]); *from != self;)
		from = &f->hand[(*from - 1) / 2].next_hash[(*from - 1) % 2];
	*from = h->next_hash[side];
	h->key[side] = (struct way_key){ 0 };
	h->in_table &= (uint8_t) ~(1u << side);
}

struct hand *hand_by_id(struct front *f, uint32_t id)
{
	uint32_t i = id & ((1u << ID_BITS) - 1);

	return id != 0 && i < f->cfg.max_conns && f->hand[i].id == id ? &f->hand[i] : NULL;
}

bool hand_was(const struct front *f, uint32_t id)
{
	uint32_t i = id & ((1u << ID_BITS) - 1);

	return id >> ID_BITS != 0 && i < f->fresh && f->hand[i].id != id;
}

/* --- life */

static void begin(struct front *f, uint32_t i, uint32_t id)
{
	struct hand *h = &f->hand[i];

	*h = (struct hand){
		.id = id,
		.next = h->next,
		.queued = h->queued,
		.backend = NONE,
		.rung = RUNG_NONE,
		.first = STORE_NONE,
		.last = STORE_NONE,
		.state = FR_FREE,
		.since = f->now,
		.born = f->now,
		.begun = f->now,
		.heard = f->now,
	};
	f->used++;
}

static uint32_t next_generation(struct front *f)
{
	f->generation = (f->generation + 1) & (UINT32_MAX >> ID_BITS);
	if (f->generation == 0)
		f->generation = 1;
	return f->generation;
}

void hand_renew(struct front *f, struct hand *h)
{
	h->id = next_generation(f) << ID_BITS | hand_index(f, h);
	h->begun = f->now;
}

bool hand_is_full(const struct front *f)
{
	return f->used == f->cfg.max_conns;
}

static void queue(struct front *f, uint32_t i)
{
	if (f->hand[i].queued)
		return;
	f->hand[i].queued = true;
	f->hand[i].next = f->free;
	f->free = i + 1;
}

/* The next free slot; one that was taken by its number is passed over.  NONE: there is none. */
static uint32_t dequeue(struct front *f)
{
	while (f->free != 0) {
		uint32_t i = f->free - 1;

		f->free = f->hand[i].next;
		f->hand[i].queued = false;
		if (f->hand[i].id == 0)
			return i;
	}
	return f->fresh < f->cfg.max_conns ? f->fresh++ : NONE;
}

struct hand *hand_new(struct front *f)
{
	uint32_t i = dequeue(f);

	if (i == NONE)
		return NULL;
	begin(f, i, next_generation(f) << ID_BITS | i);
	return &f->hand[i];
}

/* Never used ones up to i are free from now on. */
static bool slot_reach(struct front *f, uint32_t i)
{
	if (i >= f->cfg.max_conns)
		return false;
	for (; f->fresh <= i; f->fresh++)
		queue(f, f->fresh);
	return f->hand[i].id == 0;
}

struct hand *hand_take(struct front *f, uint32_t id)
{
	uint32_t i = id & ((1u << ID_BITS) - 1);

	if (id >> ID_BITS == 0 || !slot_reach(f, i))
		return NULL;
	begin(f, i, id); /* it stays among the free ones until it is met there */
	return &f->hand[i];
}

void hand_cells_give(struct front *f, struct hand *h)
{
	while (h->first != STORE_NONE) {
		uint32_t i = h->first;

		h->first = store_cell(f->store, i)->next;
		store_give(f->store, i);
	}
	h->last = STORE_NONE;
}

void hand_free(struct front *f, struct hand *h)
{
	uint32_t i = hand_index(f, h);

	assert(h->id != 0);
	hand_cells_give(f, h);
	if (h->in_table >> CLIENT & 1)
		count_event(&f->env, EV_FLOWS_CLOSED);
	hand_key_del(f, h, CLIENT);
	hand_key_del(f, h, BACK);
	wheel_cancel(f->wheel, i);
	*h = (struct hand){ .next = h->next, .queued = h->queued };
	queue(f, i);
	f->used--;
}

/* --- states and timers */

const char *front_state_name(enum front_state s)
{
	static const char *const names[] = {
#define X(id, text) #id,
		FRONT_STATES(X)
#undef X
	};

	assert(s < FRONT_STATE_COUNT);
	return names[s];
}

void hand_arm(struct front *f, struct hand *h, sut_time at)
{
	wheel_arm(f->wheel, hand_index(f, h), at);
}

/* How long a state may last before its timer looks; SUT_NEVER: it has none of its own. */
static sut_time wait_of(const struct front *f, const struct hand *h)
{
	switch ((enum front_state)h->state) {
	case FR_READING:
		return f->cfg.head_timeout;
	case FR_ANSWERED:
		return SUT_MS(5000);
	case FR_ASKED:
	case FR_REPLAY:
		return SUT_MS(20); /* then it is asked, sent again */
	case FR_RETRACT:
		return SUT_MS(200); /* then it is told again */
	case FR_READY:
		return 0;
	case FR_CLOSING: /* without an agent nobody says when it is over */
		return f->cfg.linger < LOOK_AFTER ? f->cfg.linger : LOOK_AFTER;
	case FR_THERE:
		return LOOK_AFTER;
	case FR_LINGER:
		return f->cfg.linger;
	case FR_FREE:
	case FRONT_STATE_COUNT:
		break;
	}
	return SUT_NEVER;
}

void hand_set_state(struct front *f, struct hand *h, enum front_state s, const char *why)
{
	struct flow_key k = { 0 };
	sut_time wait;

	memcpy(k.src, h->key[CLIENT].src, 16);
	memcpy(k.dst, h->key[CLIENT].dst, 16);
	memcpy(&k.sport, &h->key[CLIENT].sport, 2);
	memcpy(&k.dport, &h->key[CLIENT].dport, 2);
	if (f->env.trace != NULL)
		f->env.trace(f->env.trace_ctx,
			     &(struct trace_event){ .now = f->now,
						    .key = &k,
						    .from = front_state_name(h->state),
						    .to = front_state_name(s),
						    .why = why });
	h->state = (uint8_t)s;
	h->since = f->now;
	h->sends = 0;
	wait = wait_of(f, h);
	hand_arm(f, h, wait == SUT_NEVER ? SUT_NEVER : f->now + wait);
}
