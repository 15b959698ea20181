/* SPDX-License-Identifier: MIT */
/*
 * flow - the life of a flow: entered at a client's SYN, one writer of its state, its one timer, its end.
 *
 * The timer is a function of the state (due_at); for open flows it is lazy: it looks twice per idle time whether
 * a packet came, and is never moved by packets.
 */
#include "role/accel/accel.h"

#include <string.h>

#define CLOSED_TIME SUT_MS(60000) /* a closed flow's last segments are still translated */
#define FULL_TIME SUT_MS(10000) /* a SYN that found no room may come again in that time */
#define BROKEN_TIME SUT_MS(60000) /* a broken promise is remembered */
#define RESET_AGAIN SUT_MS(1000) /* first repetition of a reset to the client; doubled each time */
#define RESETS_AGAIN 4

static const char *const state_names[] = {
#define X(id, text) #id,
	FLOW_STATES(X)
#undef X
};

struct flow_rec *rec_of(struct near *n, uint32_t f, enum sut_side sender)
{
	return flows_rec(n->flows, flow_rec_of(f, sender));
}

void edges_of(struct near *n, uint32_t f, struct track_edges ret_e[SUT_SIDES])
{
	for (enum sut_side s = NEAR; s < SUT_SIDES; s++) {
		struct flow_rec *r = rec_of(n, f, s);

		ret_e[s] = (struct track_edges){ &r->end, &r->acked };
	}
}

static void list_add(struct near *n, struct flow_list *l, uint32_t f)
{
	struct cold *c = &n->cold[f];

	c->next = FLOW_NONE;
	c->prev = l->last;
	if (l->last != FLOW_NONE)
		n->cold[l->last].next = f;
	else
		l->first = f;
	l->last = f;
}

static void list_del(struct near *n, struct flow_list *l, uint32_t f)
{
	struct cold *c = &n->cold[f];

	if (c->prev != FLOW_NONE)
		n->cold[c->prev].next = c->next;
	else
		l->first = c->next;
	if (c->next != FLOW_NONE)
		n->cold[c->next].prev = c->prev;
	else
		l->last = c->prev;
}

static bool evict_closed(struct near *n)
{
	uint32_t f = n->closed.first;

	if (f == FLOW_NONE)
		return false;
	count_event(&n->env, EV_FLOWS_EVICTED);
	flow_remove(n, f);
	return true;
}

uint32_t flow_enter(struct near *n, const struct flow_key *client_key)
{
	struct flow_key back;
	uint32_t f, rekeyed;
	int err;

	flow_key_reverse(client_key, ACCEL_SERVER, &back);
	rekeyed = flows_rekeyed(n->flows);
	err = flows_insert(n->flows, client_key, &back, &f);
	if (err && evict_closed(n))
		err = flows_insert(n->flows, client_key, &back, &f);
	n->env.counters->event[EV_REKEYED] += flows_rekeyed(n->flows) - rekeyed;
	if (err) {
		n->full_until = n->now + FULL_TIME;
		count_pass(&n->env, flows_count(n->flows) == flows_max(n->flows) ? R_FLOWS_FULL
										 : R_BUCKETS_FULL);
		return FLOW_NONE;
	}
	n->cold[f] = (struct cold){ .next = FLOW_NONE, .prev = FLOW_NONE };
	hold_init(&n->cold[f].hold);
	count_event(&n->env, EV_FLOWS_OPENED);
	return f;
}

void flow_shown(struct near *n, uint32_t f)
{
	struct cold *c = &n->cold[f];

	if (!c->pending)
		return;
	c->pending = 0;
	budget_give(&n->budget, rec_of(n, f, NEAR)->key.src);
}

void flow_remove(struct near *n, uint32_t f)
{
	struct cold *c = &n->cold[f];

	hold_clear(n->store, &c->hold);
	if (c->closed_listed)
		list_del(n, &n->closed, f);
	if (c->queued)
		list_del(n, &n->owing, f);
	c->closed_listed = c->queued = 0;
	c->owe = 0;
	journal_end(n, f);
	set_state(n, f, FS_FREE, "removed");
	wheel_cancel(n->wheel, f);
	flows_remove(n->flows, f);
}

/* When the state of f next asks for something. */
static sut_time due_at(const struct near *n, const struct cold *c)
{
	switch ((enum flow_state)c->state) {
	case FS_BROKEN:
		return c->since +
		       (c->resets < RESETS_AGAIN ? (RESET_AGAIN << c->resets) : BROKEN_TIME);
	case FS_VERIFYING:
	case FS_ANSWERED:
	case FS_ABORTED:
		return c->since + n->cfg.syn_timeout;
	case FS_KEPT:
		return c->promised_at + n->cfg.merge_hold;
	case FS_FORWARDED: {
		sut_time retry = syn_retry_at(c);
		sut_time end = c->promised_at + n->cfg.syn_timeout;

		return retry < end ? retry : end;
	}
	case FS_OPEN:
		return n->now + n->cfg.idle_time / 2;
	case FS_CLOSED:
		return c->since + CLOSED_TIME;
	case FS_FREE:
	case FLOW_STATE_COUNT:
		break;
	}
	return SUT_NEVER;
}

void timer_arm(struct near *n, uint32_t f)
{
	sut_time at = due_at(n, &n->cold[f]);

	if (at == SUT_NEVER)
		wheel_cancel(n->wheel, f);
	else
		wheel_arm(n->wheel, f, at);
}

void flow_may_go(struct near *n, uint32_t f)
{
	struct cold *c = &n->cold[f];

	if (c->queued || c->closed_listed)
		return;
	list_add(n, &n->closed, f);
	c->closed_listed = 1;
}

static bool ended(enum flow_state s)
{
	return s == FS_CLOSED || s == FS_BROKEN || s == FS_ABORTED;
}

/* Does a flow in this state need the box to go on? */
static bool lives(enum flow_state s)
{
	return s == FS_KEPT || s == FS_FORWARDED || s == FS_ANSWERED || s == FS_OPEN;
}

/* The one writer of a flow's state: trace and timer hang off it. */
void set_state(struct near *n, uint32_t f, enum flow_state s, const char *why)
{
	struct cold *c = &n->cold[f];

	if (n->env.trace) {
		struct trace_event ev = {
			.now = n->now,
			.key = &rec_of(n, f, NEAR)->key,
			.from = state_names[c->state],
			.to = state_names[s],
			.why = why,
		};

		n->env.trace(n->env.trace_ctx, &ev);
	}
	if (c->state != FS_FREE && !ended((enum flow_state)c->state) && (s == FS_FREE || ended(s)))
		count_event(&n->env, EV_FLOWS_CLOSED);
	n->living += (uint32_t)lives(s) - (uint32_t)lives((enum flow_state)c->state);
	c->state = (uint8_t)s;
	c->since = n->now;
	if (s == FS_FREE || ended(s))
		flow_shown(n, f);
	if (ended(s))
		flow_may_go(n, f);
	timer_arm(n, f);
}

struct server *server_of(struct near *n, uint32_t f)
{
	return learn_enter(n->learn, &rec_of(n, f, NEAR)->key, n->now);
}

void break_promise(struct near *n, uint32_t f, const char *why)
{
	struct server *s = server_of(n, f);

	s->negative_until = n->now + n->cfg.negative_time;
	s->kept_at = 0;
	journal_server(n, s);
	end_promise(n, f, why);
}

void end_promise(struct near *n, uint32_t f, const char *why)
{
	count_event(&n->env, EV_PROMISE_BROKEN);
	hold_clear(n->store, &n->cold[f].hold);
	n->cold[f].owe &= OWE_RST_ANSWER;
	set_state(n, f, FS_BROKEN, why);
	flow_owe(n, f, OWE_RST_CLIENT);
}

/* A reset may be lost, and a client that waits for the server to speak would never find out: it is told again. */
static void reset_again(struct near *n, uint32_t f)
{
	struct cold *c = &n->cold[f];

	if (c->resets >= RESETS_AGAIN) {
		flow_remove(n, f);
		return;
	}
	c->resets++;
	flow_owe(n, f, OWE_RST_CLIENT);
	timer_arm(n, f);
}

/* An open flow's timer: gone after two looks without a packet in between. */
static void look_idle(struct near *n, uint32_t f)
{
	struct flow_rec *a = rec_of(n, f, NEAR), *b = rec_of(n, f, FAR);

	if ((a->flags | b->flags) & FLOW_SEEN) {
		a->flags &= ~(uint32_t)FLOW_SEEN;
		b->flags &= ~(uint32_t)FLOW_SEEN;
		n->cold[f].idle_looks = 0;
	} else if (++n->cold[f].idle_looks >= 2) {
		count_event(&n->env, EV_FLOWS_IDLE);
		set_state(n, f, FS_CLOSED, "idle");
		flow_owe(n, f, OWE_RST_CLIENT | OWE_RST_SERVER | OWE_END);
		return;
	}
	timer_arm(n, f);
}

/*
 * A closed flow's time is over.  If it is not closed, whatever we were told (by a forged RST, say), its segments still come,
 * and it stays.
 */
static void look_closed(struct near *n, uint32_t f)
{
	struct flow_rec *a = rec_of(n, f, NEAR), *b = rec_of(n, f, FAR);

	if (!((a->flags | b->flags) & FLOW_SEEN)) {
		flow_remove(n, f);
		return;
	}
	a->flags &= ~(uint32_t)FLOW_SEEN;
	b->flags &= ~(uint32_t)FLOW_SEEN;
	n->cold[f].since = n->now;
	if (n->cold[f].closed_listed) {
		list_del(n, &n->closed, f);
		list_add(n, &n->closed, f);
	}
	timer_arm(n, f);
}

static void answer_unacked(struct near *n, uint32_t f)
{
	n->cold[f].rst_seq = n->cold[f].server_acked.v;
	n->cold[f].rst_ack = 0;
	count_event(&n->env, EV_PROMISE_UNUSED);
	set_state(n, f, FS_ABORTED, "the client never acknowledged the promise");
	flow_owe(n, f, OWE_RST_ANSWER);
}

void flow_expire(struct near *n, uint32_t f)
{
	switch ((enum flow_state)n->cold[f].state) {
	case FS_KEPT:
		hold_expired(n, f);
		break;
	case FS_FORWARDED:
		syn_unanswered(n, f);
		break;
	case FS_ANSWERED:
		answer_unacked(n, f);
		break;
	case FS_OPEN:
		look_idle(n, f);
		break;
	case FS_BROKEN:
		reset_again(n, f);
		break;
	case FS_CLOSED:
		look_closed(n, f);
		break;
	case FS_VERIFYING:
	case FS_ABORTED:
		flow_remove(n, f);
		break;
	case FS_FREE:
	case FLOW_STATE_COUNT:
		break;
	}
}

/* Those that owe stand in one list, in the order in which they began to. */
void owing_add(struct near *n, uint32_t f)
{
	struct cold *c = &n->cold[f];

	if (c->queued)
		return;
	if (c->closed_listed) {
		list_del(n, &n->closed, f);
		c->closed_listed = 0;
	}
	list_add(n, &n->owing, f);
	c->queued = 1;
}

void owing_del(struct near *n, uint32_t f)
{
	struct cold *c = &n->cold[f];

	if (!c->queued)
		return;
	list_del(n, &n->owing, f);
	c->queued = 0;
	if (ended((enum flow_state)c->state))
		flow_may_go(n, f);
}

const char *flow_state_name(enum flow_state s)
{
	return state_names[s];
}
