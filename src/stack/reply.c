/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

/*
 * Theory of operation
 *
 * What a segment gets that is not taken: a RST if nobody knows its connection, an ACK if somebody does.  Each kind is bounded, so that
 * neither a flood of forged segments nor a peer that disagrees about numbers makes us talk without end:
 *
 *  - RSTs to strangers: so many a second in all.
 *  - Challenge ACKs (RFC 5961): a few in five seconds for each connection, and in all a number that nobody can count on (RFC 5961, 10).
 *  - ACKs of unacceptable segments: where the segment had data, always; it is the peer's clock that sends data again.  A FIN alone is
 *    sent again by that clock too, but needs no bytes: a few in five seconds for each connection, which no peer that waits for its
 *    RTO gets near to.  Where it had neither, it may itself be such an ACK, and two ends could answer each other for ever: so one in
 *    500 ms, and each time that nothing acceptable came in between the interval doubles.  A keepalive probe asks for its answer: it
 *    waits for no doubling, and doubles nothing; the answer to it is acceptable to an end that agrees about numbers, so it
 *    cannot be part of a loop.
 */

#define CHALLENGES 10u /* for each connection, in */
#define CHALLENGE_MS 5000u
#define FINS 10u /* the same */
#define ANSWER_MS 500u
#define ANSWER_DOUBLINGS 7u

/* RFC 9293, 3.10.7.1: where the segment has an ACK the RST stands where that points, else it acknowledges the segment. */
void reply_rst(struct stack *s, const struct conn_quad *q, const struct seg *g)
{
	struct output_seg o = { .flags = TCP_RST };

	if ((g->flags & TCP_RST) || s->rst_left == 0)
		return;
	s->rst_left--;
	if (g->flags & TCP_ACK) {
		o.seq = g->ack;
	} else {
		o.ack = g->seq + g->len;
		o.flags |= TCP_ACK;
	}
	stack_bump(s, STACK_RESET_OUT);
	(void)output_emit(s, NULL, q, s->cfg.ttl ? s->cfg.ttl : 64, 0, &o);
}

/*
 * The number of a reset that ends what cannot be finished: what the peer expects next, or it is dropped (RFC 5961, 3.2).  A peer that was
 * heard since the timeout has acknowledged nothing beyond snd_una: it waits for that, and may have closed its window to all else.  Of one
 * that was not heard all may have arrived, and only its ACKs were lost.
 */
static uint32_t expected_seq(const struct conn *c)
{
	return c->rec.state == REC_LOSS && c->last_in >= c->rtx_first ? c->snd_una : c->snd_nxt;
}

static void reset_at(struct stack *s, struct conn *c, uint32_t seq)
{
	uint8_t opt[40];
	struct output_seg o = {
		.seq = seq,
		.ack = c->rcv_nxt,
		.flags = TCP_RST | TCP_ACK,
		.options = opt,
		.options_len = (uint8_t)output_options(s, c, false, opt),
	};

	stack_bump(s, STACK_RESET_OUT);
	(void)output_emit(s, c, &c->quad, c->ttl, c->tos, &o);
}

/* Within the window snd_nxt is always right: where it is not the very number, the peer asks, and is told (RFC 5961, 3.2). */
void reply_abort(struct stack *s, struct conn *c)
{
	bool within = before(c->snd_nxt, c->snd_una + c->snd_wnd);

	reset_at(s, c, within ? c->snd_nxt : expected_seq(c));
}

void reply_give_up(struct stack *s, struct conn *c)
{
	reset_at(s, c, expected_seq(c));
}

void reply_challenge(struct stack *s, struct conn *c)
{
	uint32_t now = now_ms(s);

	if (now - c->challenge_since >= CHALLENGE_MS) {
		c->challenge_since = now;
		c->challenge_left = CHALLENGES;
	}
	if (c->challenge_left == 0 || s->ack_left == 0) {
		stack_bump(s, STACK_CHALLENGE_MUTED);
		return;
	}
	c->challenge_left--;
	s->ack_left--;
	stack_bump(s, STACK_CHALLENGE_ACK);
	output_ack(s, c);
}

static bool is_keepalive(const struct conn *c, const struct seg *g)
{
	return g->seq == c->rcv_nxt - 1 && !(g->flags & TCP_SYN);
}

/* May a segment without sequence space (or a SYN) be answered now? */
static bool may_answer(struct conn *c, const struct seg *g, uint32_t now)
{
	bool keepalive = is_keepalive(c, g);

	if (now - c->answer_at < ANSWER_MS << (keepalive ? 0 : c->answers))
		return false;
	c->answer_at = now;
	if (!keepalive && c->answers < ANSWER_DOUBLINGS)
		c->answers++;
	return true;
}

/* The same of a FIN without data. */
static bool may_answer_fin(struct conn *c, uint32_t now)
{
	if (now - c->fins_since >= CHALLENGE_MS) {
		c->fins_since = now;
		c->fins_left = FINS;
	}
	if (c->fins_left == 0)
		return false;
	c->fins_left--;
	return true;
}

void reply_unacceptable(struct stack *s, struct conn *c, const struct seg *g)
{
	uint32_t now = now_ms(s);
	bool may = true;

	if (g->flags & TCP_RST)
		return;
	if (g->len == 0 || (g->flags & TCP_SYN))
		may = may_answer(c, g, now);
	else if (g->data_len == 0)
		may = may_answer_fin(c, now);
	if (may)
		output_ack(s, c);
	else
		stack_bump(s, STACK_OLD_ACKS_MUTED);
}
