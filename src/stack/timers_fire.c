/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "stack/recovery.h"

/* What happens when a connection's timers are due; timers.c arms them. */

#define R1 3u /* SHLD-10 */
#define R2 15u
#define R2_LEAST SUT_MS(100000) /* SHLD-11 */
#define R2_SYN SUT_MS(180000) /* MUST-23 */
#define PLATEAUS 4u

static sut_time rto(const struct conn *c)
{
	return timers_rto(c);
}

/* The connection is given up (MUST-20, MUST-12): the peer is told, if it can be, and the application. */
static void give_up(struct stack *s, struct conn *c, const char *why)
{
	int error = c->soft_error != 0 ? c->soft_error : ETIMEDOUT;

	stack_bump(s, STACK_TIMED_OUT);
	if (c->state >= ST_SYN_RECEIVED)
		reply_give_up(s, c);
	conn_end(s, c, error, why);
}

/* R2 is reached: by the user's timeout (MUST-21, 22), or by so many retransmissions and so much time (MUST-20). */
static bool beyond_r2(const struct stack *s, const struct conn *c)
{
	sut_time spent = s->now - c->rtx_first;

	if (c->user_timeout_ms !=
	    0) /* RFC 5482; T_USER is more exact, if the option was set in time */
		return spent >= SUT_MS(c->user_timeout_ms);
	if (c->state == ST_SYN_SENT || c->state == ST_SYN_RECEIVED)
		return spent >= R2_SYN;
	return c->rtx_count >= R2 && spent >= R2_LEAST;
}

/*
 * RFC 4821, in a modest form: a segment has timed out again and again and none of its size ever arrived, so maybe none can, and the
 * router that drops them does not say so.  The next smaller size that networks have is tried, and after as many timeouts the next one.
 * Segments that were not full are more likely just lost: they have more time.
 */
static void try_smaller(struct stack *s, struct conn *c)
{
	static const uint16_t v4[PLATEAUS] = { 1492, 1280, 1006, 576 };
	static const uint16_t v6[PLATEAUS] = { 1492, 1400, 1360, 1280 };
	const uint16_t *sizes = c->ip == 4 ? v4 : v6;
	const struct sent *x = sent_at(s, c->rec.first);
	uint32_t len = x->len < c->mss ? x->len : c->mss;
	uint32_t packet = len + (c->ip == 4 ? 40u : 60u);
	uint32_t whole = packet + (c->flags & CF_TS ? 12u : 0);
	uint32_t limit = whole < c->path_mtu ? whole : c->path_mtu;

	if (c->max_acked >= packet || (len < c->mss && c->rtx_count == R1))
		return;
	for (unsigned i = 0; i < PLATEAUS; i++) {
		if (sizes[i] < limit) {
			c->path_mtu = i + 1 < PLATEAUS ? sizes[i + 1] : sizes[i];
			negotiate_mss(s, c);
			return;
		}
	}
}

/* RFC 5927, 7.2: a "too big" that was not believed at once; the segment that it was about has timed out. */
static bool believe_icmp(struct stack *s, struct conn *c)
{
	bool ours = c->icmp_mtu != 0 && after(c->icmp_seq, c->snd_una);

	if (ours && c->icmp_mtu < c->path_mtu) {
		c->path_mtu = c->icmp_mtu;
		negotiate_mss(s, c);
	}
	c->icmp_mtu = 0;
	return ours;
}

static void syn_timeout(struct stack *s, struct conn *c)
{
	rtt_back_off(&c->rtt); /* 5.5 */
	c->flags |= CF_ACK_NOW; /* output.c: the SYN again */
	conn_dirty(s, c);
	timer_set(s, c, T_RTX, s->now + rto(c));
}

/* RFC 6298, 5.4 to 5.6 */
static void rtx(struct stack *s, struct conn *c)
{
	bool syn = c->state == ST_SYN_SENT || c->state == ST_SYN_RECEIVED;
	bool shut = !syn && c->snd_wnd == 0 && c->last_in > c->probed;

	if (c->rec.first == CONN_NONE && !(syn && c->snd_una == c->iss))
		return;
	if (c->rtx_count == 0)
		c->rtx_first = s->now;
	if (beyond_r2(s, c)) {
		give_up(s, c, syn ? "no answer to SYN" : "R2: no acknowledgement");
		return;
	}
	/*
	 * SHLD-17, MUST-37: a window that was shrunk to nothing is probed so, as long as the peer answers and somebody holds the
	 * connection: see persist().
	 */
	c->probed = s->now;
	if (!(shut && (c->flags & CF_HELD)) && c->rtx_count < UINT8_MAX)
		c->rtx_count++;
	if (c->rtx_count == R1 && !syn) {
		/* SHLD-9; of MUST-20 (a): there is no IP below that could take another way. */
		c->soft_error = c->soft_error != 0 ? c->soft_error : ETIMEDOUT;
		conn_tell(s, c, CONN_SOFT_ERROR);
	}
	if (syn && c->snd_una == c->iss) {
		syn_timeout(s, c);
		return;
	}
	if (!believe_icmp(s, c) && !shut && c->rtx_count % R1 == 0)
		try_smaller(s, c);
	recovery_timeout(s, c);
	rtt_back_off(&c->rtt); /* 5.5 */
	timer_set(s, c, T_RTX, s->now + rto(c));
	conn_dirty(s, c);
}

/*
 * MUST-35, 36: a closed window is probed; MUST-37: for as long as the peer answers.  But a connection that no application holds any more is
 * not to be kept for ever by a peer that takes nothing.
 */
static void persist(struct stack *s, struct conn *c)
{
	if (!output_pending(c) || c->rec.first != CONN_NONE)
		return;
	if (c->probes > 0)
		c->unheard = c->last_in >= c->probed ? 0 : (uint8_t)(c->unheard + 1);
	if ((c->unheard >= R2 && c->user_timeout_ms == 0) ||
	    (c->probes >= R2 && !(c->flags & CF_HELD))) {
		give_up(s, c, "R2: the window stays closed");
		return;
	}
	if (c->probes < UINT8_MAX)
		c->probes++;
	c->probed = s->now;
	output_force(
		s, c); /* SWS avoidance: that it has waited so long is the override of 3.8.6.2.1 */
	if (c->rec.first == CONN_NONE && output_pending(c)) {
		output_probe(s, c, false);
		timers_persist(s, c);
	}
}

/* MUST-24 to 29 */
static void keep(struct stack *s, struct conn *c)
{
	sut_time idle = SUT_MS(c->keep_idle_ms), quiet = s->now - c->last_in;

	if (!(c->flags & CF_KEEPALIVE) || c->state < ST_ESTABLISHED || c->state == ST_TIME_WAIT)
		return;
	if (quiet < idle || c->rec.first != CONN_NONE || output_pending(c)) { /* MUST-26 */
		timer_set(s, c, T_KEEP, quiet < idle ? c->last_in + idle : s->now + idle);
		return;
	}
	if (c->keep_sent >= c->keep_count) { /* MUST-29: one lost answer does not end it */
		give_up(s, c, "keepalive: no answer");
		return;
	}
	c->keep_sent++;
	output_probe(s, c, true);
	timer_set(s, c, T_KEEP, s->now + SUT_MS(c->keep_interval_ms));
}

/* RFC 5482; a closed window counts from when the peer was last heard of (MUST-37). */
static void user(struct stack *s, struct conn *c)
{
	sut_time limit = SUT_MS(c->user_timeout_ms);

	if (c->user_timeout_ms == 0)
		return;
	if (c->rec.first == CONN_NONE && c->last_in + limit > s->now &&
	    c->state >= ST_ESTABLISHED) {
		if (output_pending(c))
			timer_set(s, c, T_USER, c->last_in + limit);
		return;
	}
	if (c->rec.first != CONN_NONE || output_pending(c))
		give_up(s, c, "user timeout");
}

static void wait(struct stack *s, struct conn *c)
{
	if (c->state == ST_TIME_WAIT)
		conn_end(s, c, 0, "2 MSL");
	else if (c->state == ST_FIN_WAIT_2 && !(c->flags & CF_HELD))
		conn_end(s, c, 0, "FIN-WAIT-2: nobody holds it");
}

static void fire(struct stack *s, struct conn *c, enum conn_timer t)
{
	switch (t) {
	case T_RTX:
		rtx(s, c);
		break;
	case T_PROBE:
		recovery_probe(s, c);
		break;
	case T_REORDER:
		recovery_reorder(s, c);
		conn_dirty(s, c);
		break;
	case T_PERSIST:
		persist(s, c);
		break;
	case T_DELACK:
		output_ack(s, c);
		break;
	case T_KEEP:
		keep(s, c);
		break;
	case T_USER:
		user(s, c);
		break;
	case T_WAIT:
		wait(s, c);
		break;
	case T_CORK:
		output_force(s, c);
		break;
	case T_COUNT:
	default:
		break;
	}
}

void timers_fire(struct stack *s, struct conn *c)
{
	/* A probe comes before the timeout that it may make needless. */
	static const uint8_t order[T_COUNT] = { T_REORDER, T_PROBE, T_USER, T_RTX, T_PERSIST,
						T_DELACK,  T_KEEP,  T_CORK, T_WAIT };
	uint32_t gen = c->gen;
	sut_time next = SUT_NEVER;

	c->armed = SUT_NEVER;
	for (unsigned i = 0; i < T_COUNT; i++) {
		enum conn_timer t = (enum conn_timer)order[i];

		if (c->timer[t] > s->now)
			continue;
		c->timer[t] = SUT_NEVER;
		fire(s, c, t);
		if (c->gen != gen || c->state == ST_CLOSED)
			return;
	}
	for (unsigned t = 0; t < T_COUNT; t++)
		if (c->timer[t] < next)
			next = c->timer[t];
	if (next < c->armed) {
		c->armed = next;
		wheel_arm(stack_wheel(s), conn_index(s, c), next);
	}
}
