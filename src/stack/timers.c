/* SPDX-License-Identifier: MIT */
#include "stack/recovery.h"

/*
 * Theory of operation
 *
 * A connection has one entry in the wheel, armed for the earliest of its timers or before it (conn.armed).  A timer that moves away
 * leaves the entry where it is: when it pops, what is due fires (timers_fire.c) and the entry is armed for what is left.  So
 * the timers that move with each packet cost two comparisons.
 *
 * Each function here is named after what happened.  Invariant: while something is unacknowledged T_RTX runs; while something is unsent
 * and nothing is unacknowledged, T_PERSIST or T_CORK does (output.c sees to that).
 */

#define DELACK SUT_MS(40) /* MUST-40: below 500 ms */
#define PERSIST_MAX SUT_MS(60000)

sut_time timers_rto(const struct conn *c)
{
	return (sut_time)rtt_rto(&c->rtt) * 1000;
}

void timer_set(struct stack *s, struct conn *c, enum conn_timer t, sut_time at)
{
	c->timer[t] = at;
	if (at < c->armed) {
		c->armed = at;
		wheel_arm(stack_wheel(s), conn_index(s, c), at);
	}
}

void timer_off(struct stack *s, struct conn *c, enum conn_timer t)
{
	(void)s;
	c->timer[t] = SUT_NEVER;
}

/* RFC 5482: from when the oldest byte that is unacknowledged was sent, something was acknowledged, or the limit was set. */
void timers_user(struct stack *s, struct conn *c)
{
	if (c->user_timeout_ms != 0 && (c->rec.first != CONN_NONE || output_pending(c)))
		timer_set(s, c, T_USER, s->now + SUT_MS(c->user_timeout_ms));
	else
		timer_off(s, c, T_USER);
}

/* RFC 6298, 5.1 */
void timers_data_sent(struct stack *s, struct conn *c)
{
	if (c->timer[T_RTX] == SUT_NEVER) {
		timer_set(s, c, T_RTX, s->now + timers_rto(c));
		if (c->timer[T_USER] == SUT_NEVER)
			timers_user(s, c);
	}
	timer_off(s, c, T_PERSIST);
	if (!output_pending(c))
		timer_off(s, c, T_CORK);
	if (c->state >= ST_ESTABLISHED)
		tlp_schedule(s, c);
}

/* RFC 6298, 5.2: all is acknowledged, off; 5.3: something is, from now on. */
void timers_acked(struct stack *s, struct conn *c)
{
	c->rtx_count = 0;
	c->probes = 0;
	c->unheard = 0;
	timer_off(s, c, T_USER);
	if (c->rec.first == CONN_NONE) {
		timer_off(s, c, T_RTX);
		timer_off(s, c, T_PROBE);
		timer_off(s, c, T_REORDER);
	} else {
		timer_set(s, c, T_RTX, s->now + timers_rto(c));
		timers_user(s, c);
		tlp_schedule(s, c);
	}
	if (output_pending(c))
		conn_dirty(s, c);
}

/* The application has set how long is idle (MUST-27): what runs already follows. */
void timers_idle(struct stack *s, struct conn *c)
{
	if (c->timer[T_KEEP] != SUT_NEVER && c->keep_sent == 0)
		timer_set(s, c, T_KEEP, c->last_in + SUT_MS(c->keep_idle_ms));
}

/* SHLD-29: the first probe comes after an RTO; SHLD-30: each after twice the time. */
void timers_persist(struct stack *s, struct conn *c)
{
	uint64_t wait = timers_rto(c) << (c->probes < 16 ? c->probes : 16);

	if (c->timer[T_PERSIST] != SUT_NEVER)
		return;
	timer_set(s, c, T_PERSIST, s->now + (wait < PERSIST_MAX ? wait : PERSIST_MAX));
	if (c->timer[T_USER] == SUT_NEVER)
		timers_user(s, c);
}

void timers_window(struct stack *s, struct conn *c)
{
	if (!output_pending(c))
		return;
	if (c->probes > 0 && after(c->snd_una + c->snd_wnd, c->snd_nxt)) {
		/* The probes' back-off is over.  But a wait that is not backed off goes on, or it might never end (3.8.6.2.1). */
		c->probes = 0;
		timer_off(s, c, T_PERSIST); /* the flush arms it again if it is still to be */
	}
	conn_dirty(s, c);
}

void timers_heard(struct stack *s, struct conn *c)
{
	c->last_in = s->now;
	c->keep_sent = 0;
	c->unheard = 0;
	if ((c->flags & CF_KEEPALIVE) && c->timer[T_KEEP] > s->now + SUT_MS(c->keep_idle_ms))
		timer_set(s, c, T_KEEP, s->now + SUT_MS(c->keep_idle_ms));
}

/*
 * SHLD-18, SHLD-19: after the second full segment, or a while; MUST-58, 59: the ACK goes with the flush behind the batch, but never
 * more than STACK_ACK_EVERY bytes late.
 */
void timers_data_in(struct stack *s, struct conn *c)
{
	uint32_t owed = c->rcv_nxt - c->last_ack_sent;
	uint32_t full = c->rcv_mss > 0 ? c->rcv_mss : 1;

	if (owed >= STACK_ACK_EVERY && c->state >= ST_ESTABLISHED) {
		output_ack(s, c);
	} else if ((c->flags & CF_QUICKACK) || owed >= 2 * full) {
		c->flags |= CF_ACK_NOW;
		conn_dirty(s, c);
	} else if (c->timer[T_DELACK] == SUT_NEVER) {
		timer_set(s, c, T_DELACK, s->now + DELACK);
	}
}

void timers_ack_sent(struct stack *s, struct conn *c)
{
	c->last_ack_sent = c->rcv_nxt;
	c->delack_bytes = 0;
	c->flags &= ~(uint32_t)CF_ACK_NOW;
	timer_off(s, c, T_DELACK);
}

/* A connection in FIN-WAIT-2 that nobody holds ends after a while (api_open.c: if it is let go there); TIME-WAIT: conn_time_wait(). */
void timers_state(struct stack *s, struct conn *c, enum conn_state from)
{
	switch ((enum conn_state)c->state) {
	case ST_CLOSED:
	case ST_LISTEN:
		for (unsigned t = 0; t < T_COUNT; t++)
			timer_off(s, c, (enum conn_timer)t);
		break;
	case ST_ESTABLISHED:
		if (from == ST_SYN_SENT || from == ST_SYN_RECEIVED)
			timers_heard(s, c);
		break;
	case ST_FIN_WAIT_2:
		if (!(c->flags & CF_HELD))
			timer_set(s, c, T_WAIT, s->now + s->cfg.linger_fin_wait_2);
		break;
	case ST_TIME_WAIT:
		for (unsigned t = 0; t < T_COUNT; t++)
			if (t != T_DELACK)
				timer_off(s, c, (enum conn_timer)t);
		break;
	case ST_SYN_SENT:
	case ST_SYN_RECEIVED:
	case ST_FIN_WAIT_1:
	case ST_CLOSE_WAIT:
	case ST_CLOSING:
	case ST_LAST_ACK:
	default:
		break;
	}
}
