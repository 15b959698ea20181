/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

/*
 * Theory of operation
 *
 * conn_set_state() alone changes a state; what follows from it (numbers of half-open connections, counters, timers, the trace, what
 * the application is told) follows here and nowhere else.
 *
 * Two lists, both of slots: dirty (something may go out; the flush empties it) and ready (the application is to be told; stack_next
 * empties it).  Membership is a flag, so a slot is in each at most once.
 */

#define LISTENER_BIT 0x80000000u
#define CUT_LOOKS 64u

/* --- states */

static bool in_handshake(enum conn_state st)
{
	return st == ST_SYN_SENT || st == ST_SYN_RECEIVED;
}

/* A listener's half-open connections are those in SYN-RECEIVED that are not in its queue. */
static void count_half_open(struct stack *s, const struct conn *c, enum conn_state from)
{
	bool mine = c->parent != CONN_NONE && !(c->flags & CF_WAITS);

	if (from == ST_SYN_RECEIVED) {
		s->half_open--;
		if (mine)
			listener_at(s, c->parent)->half_open--;
	}
	if (c->state == ST_SYN_RECEIVED) {
		s->half_open++;
		if (mine)
			listener_at(s, c->parent)->half_open++;
	}
}

/* --- the list of those in TIME-WAIT, oldest first */

static void tw_add(struct stack *s, struct conn *c)
{
	uint32_t self = conn_index(s, c) + 1;

	c->next_tw = 0;
	c->prev_tw = s->tw_last;
	if (s->tw_last != 0)
		conn_at(s, s->tw_last - 1)->next_tw = self;
	else
		s->tw_first = self;
	s->tw_last = self;
}

static void tw_remove(struct stack *s, struct conn *c)
{
	if (c->prev_tw != 0)
		conn_at(s, c->prev_tw - 1)->next_tw = c->next_tw;
	else
		s->tw_first = c->next_tw;
	if (c->next_tw != 0)
		conn_at(s, c->next_tw - 1)->prev_tw = c->prev_tw;
	else
		s->tw_last = c->prev_tw;
}

/*
 * RFC 9293, 3.6.1 wants 2 MSL (MUST-13); where the table is full of such connections, the one that has waited longest gives way to a new
 * one, as in most stacks: a server that closes first would stand still otherwise.
 */
bool conn_time_wait_cut(struct stack *s)
{
	uint32_t i = s->tw_first;

	for (unsigned n = 0; i != 0 && n < CUT_LOOKS; n++) {
		struct conn *c = conn_at(s, i - 1);

		if (!(c->flags & CF_HELD)) {
			stack_bump(s, STACK_TIME_WAIT_CUT);
			conn_end(s, c, 0, "its place is needed");
			return true;
		}
		i = c->next_tw;
	}
	return false;
}

static void count_state(struct stack *s, struct conn *c, enum conn_state from)
{
	if (from == ST_TIME_WAIT) {
		s->time_wait--;
		tw_remove(s, c);
	}
	if (in_handshake(from) && c->state == ST_ESTABLISHED)
		stack_bump(s, c->flags & CF_PASSIVE ? STACK_OPENED_PASSIVE : STACK_OPENED_ACTIVE);
	if (in_handshake(from) && c->state == ST_CLOSED)
		stack_bump(s, STACK_OPEN_FAILED);
	if (c->state == ST_TIME_WAIT) {
		s->time_wait++;
		tw_add(s, c);
		stack_bump(s, STACK_CLOSED);
	}
}

void conn_set_state(struct stack *s, struct conn *c, enum conn_state to, const char *why)
{
	enum conn_state from = c->state;

	if (from == to)
		return;
	c->state = (uint8_t)to;
	count_half_open(s, c, from);
	count_state(s, c, from);
	if (s->env.trace != NULL)
		s->env.trace(s->env.ctx, s->now, conn_id_of(s, c), conn_state_name(from),
			     conn_state_name(to), why);
	timers_state(s, c, from);
	if (to == ST_ESTABLISHED)
		conn_tell(s, c, CONN_WRITABLE);
	else if (to == ST_TIME_WAIT)
		conn_tell(s, c, CONN_CLOSED);
}

void conn_end(struct stack *s, struct conn *c, int error, const char *why)
{
	enum conn_state from = c->state;

	if (error == 0 && from == ST_LAST_ACK)
		stack_bump(s, STACK_CLOSED);
	conn_set_state(s, c, ST_CLOSED, why);
	listen_forget(s, c);
	table_remove(s, c);
	if (!(c->flags & CF_HELD)) {
		conn_free(s, c);
		return;
	}
	cells_wait_off(s, c);
	recovery_clear(s, c);
	sendq_clear(s, c);
	if (error != 0) /* RFC 9293, 3.10.7.4: all segment queues should be flushed */
		recvq_clear(s, c);
	c->take = NULL;
	c->error = (int16_t)error;
	/* MUST-12: the application learns of an abort. */
	if (error != 0)
		conn_tell(s, c, CONN_ERROR);
	else if (from != ST_TIME_WAIT)
		conn_tell(s, c, CONN_CLOSED);
}

void conn_time_wait(struct stack *s, struct conn *c, const char *why)
{
	if (c->state == ST_TIME_WAIT) {
		tw_remove(s, c);
		tw_add(s, c);
	}
	conn_set_state(s, c, ST_TIME_WAIT, why);
	timer_set(s, c, T_WAIT, s->now + 2 * s->cfg.msl); /* MUST-13 */
}

/* --- who is to be looked at */

void conn_dirty(struct stack *s, struct conn *c)
{
	uint32_t i = conn_index(s, c);

	if (c->flags & CF_DIRTY)
		return;
	c->flags |= CF_DIRTY;
	c->next_dirty = CONN_NONE;
	if (s->dirty_last == CONN_NONE)
		s->dirty_first = i;
	else
		conn_at(s, s->dirty_last)->next_dirty = i;
	s->dirty_last = i;
}

static struct conn *dirty_take(struct stack *s)
{
	struct conn *c = conn_at(s, s->dirty_first);

	s->dirty_first = c->next_dirty;
	if (s->dirty_first == CONN_NONE)
		s->dirty_last = CONN_NONE;
	c->flags &= ~(uint32_t)CF_DIRTY;
	return c;
}

/* MUST-58, MUST-59: all that came is processed before anything is acknowledged. */
void conn_flush_all(struct stack *s)
{
	/* Nobody should make himself dirty by being looked at; who does is not looked at for ever. */
	for (uint32_t n = 2 * s->cfg.max_conns; n > 0 && s->dirty_first != CONN_NONE; n--) {
		struct conn *c = dirty_take(s);

		if (c->gen % 2 == 1)
			output_conn(s, c);
	}
	cells_tell(s);
}

/* --- who is to be told */

static uint32_t *ready_next(struct stack *s, uint32_t i)
{
	return i & LISTENER_BIT ? &listener_at(s, i ^ LISTENER_BIT)->next_ready
				: &conn_at(s, i)->next_ready;
}

static void ready_add(struct stack *s, uint32_t i)
{
	*ready_next(s, i) = CONN_NONE;
	if (s->ready_last == CONN_NONE)
		s->ready_first = i;
	else
		*ready_next(s, s->ready_last) = i;
	s->ready_last = i;
}

static uint32_t ready_take(struct stack *s)
{
	uint32_t i = s->ready_first;

	s->ready_first = *ready_next(s, i);
	if (s->ready_first == CONN_NONE)
		s->ready_last = CONN_NONE;
	return i;
}

void conn_tell(struct stack *s, struct conn *c, uint32_t events)
{
	if (!(c->flags & CF_HELD))
		return;
	c->events |= events;
	if (c->flags & CF_READY)
		return;
	c->flags |= CF_READY;
	ready_add(s, conn_index(s, c));
}

void listener_tell(struct stack *s, struct listener *l, uint32_t events)
{
	l->events |= events;
	if (l->ready)
		return;
	l->ready = true;
	ready_add(s, (uint32_t)(l - listener_at(s, 0)) | LISTENER_BIT);
}

static bool tell_conn(struct stack *s, struct conn *c, struct conn_ready *ret_r)
{
	uint32_t events = c->events;

	c->flags &= ~(uint32_t)CF_READY;
	c->events = 0;
	if (c->gen % 2 == 0 || !(c->flags & CF_HELD) || events == 0)
		return false;
	*ret_r = (struct conn_ready){ conn_id_of(s, c), c->user, events };
	return true;
}

static bool tell_listener(struct stack *s, struct listener *l, struct conn_ready *ret_r)
{
	uint32_t events = l->events;

	l->ready = false;
	l->events = 0;
	if (l->gen % 2 == 0 || events == 0)
		return false;
	*ret_r = (struct conn_ready){ listener_id_of(s, l), l->user, events };
	return true;
}

bool stack_has_events(const struct stack *s)
{
	return s->ready_first != CONN_NONE;
}

bool stack_next(struct stack *s, struct conn_ready *ret_r)
{
	while (s->ready_first != CONN_NONE) {
		uint32_t i = ready_take(s);

		if (i & LISTENER_BIT ? tell_listener(s, listener_at(s, i ^ LISTENER_BIT), ret_r)
				     : tell_conn(s, conn_at(s, i), ret_r))
			return true;
	}
	return false;
}
