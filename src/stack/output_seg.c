/* SPDX-License-Identifier: MIT */
#include "stack/emit.h"

/*
 * Segments that carry no new data: what each segment of a connection has (window, options, urgent pointer), ACKs, probes, and our SYN.
 * output.c says when.
 */

#define URG_MAX 0xffffu

/*
 * The window field, and rcv_adv follows.  It opens by a full segment or half the buffer, or stays as it was (MUST-39).
 * SHLD-14: it never shrinks, so where the scale rounds, it rounds up; only when small segments have drawn the edge two
 * units beyond the buffer in that way it rounds down (RFC 7323, 2.4), and what lies before rcv_adv is taken all the same.
 */
static uint16_t window_field(struct stack *s, struct conn *c, unsigned scale)
{
	uint32_t now = after(c->rcv_adv, c->rcv_nxt) ? c->rcv_adv - c->rcv_nxt : 0;
	uint32_t can = recvq_window(s, c), half = c->rcvbuf / 2, field;

	if (can < now || (can - now < c->rcv_mss && can - now < half))
		can = now;
	field = can >> scale;
	if (field << scale < now && now + c->recvq.unread <= c->rcvbuf + (2u << scale))
		field = (now + (1u << scale) - 1) >> scale;
	if (field > 0xffff)
		field = 0xffff;
	if (after(c->rcv_nxt + (field << scale), c->rcv_adv))
		c->rcv_adv = c->rcv_nxt + (field << scale);
	if (field == 0)
		c->flags |= CF_ZERO_WINDOW;
	else
		c->flags &= ~(uint32_t)CF_ZERO_WINDOW;
	return (uint16_t)field;
}

uint16_t output_window(struct stack *s, struct conn *c)
{
	return window_field(s, c, c->flags & CF_WSCALE ? c->rcv_wscale : 0);
}

unsigned output_options(struct stack *s, struct conn *c, bool sack, uint8_t ret_opt[40])
{
	unsigned n = 0;

	if (c->flags & CF_TS) { /* RFC 7323, 3.2: in every segment once agreed */
		ret_opt[0] = ret_opt[1] = TCPOPT_NOP;
		ret_opt[2] = TCPOPT_TIMESTAMPS;
		ret_opt[3] = 10;
		store_be32(ret_opt + 4, now_ms(s) + c->ts_off);
		store_be32(ret_opt + 8, c->ts_recent);
		n = 12;
	}
	if (sack && (c->flags & CF_SACK))
		n += recvq_sack_write(c, 40 - n, ret_opt + n);
	return n;
}

/* MUST-62: the pointer names the byte behind the urgent data; MUST-31: which may be of any length. */
static void add_urgent(struct conn *c, struct output_seg *o)
{
	uint32_t ahead = c->snd_up - o->seq;

	if (!(c->flags & CF_URG_OUT))
		return;
	if (!after(c->snd_up, c->snd_una)) {
		c->flags &= ~(uint32_t)CF_URG_OUT;
	} else if (after(c->snd_up, o->seq)) {
		o->flags |= TCP_URG; /* MUST-30 */
		o->urg = (uint16_t)(ahead < URG_MAX ? ahead : URG_MAX);
	}
}

/* Fills in what all segments of a synchronized connection have, and sends it with the payload that was gathered. */
int emit_segment(struct stack *s, struct conn *c, struct output_seg *o, bool sack)
{
	uint8_t opt[40];
	const struct emit_lane lane = { c->ttl, c->tos };

	o->ack = c->rcv_nxt;
	o->flags |= TCP_ACK;
	if (c->flags & CF_ECE)
		o->flags |= TCP_ECE;
	add_urgent(c, o);
	o->options_len = (uint8_t)output_options(s, c, sack, opt);
	o->options = opt;
	o->window = output_window(s, c);
	timers_ack_sent(s, c);
	return emit_gathered(s, c, &c->quad, &lane, o);
}

/*
 * MUST-34: an ACK whose number lies behind a window that was shrunk would not be taken.  But where nothing that was taken came in since a
 * timeout, it may be that the peer never knew of that window, and has all that was sent: to it the window's edge is old, and if the same
 * befell its ACKs both ends would wait for ever.  One number cannot be right in both cases, so then the ACKs take turns.
 */
static uint32_t acceptable_seq(struct conn *c)
{
	uint32_t edge = c->snd_una + c->snd_wnd;

	if (!after(c->snd_nxt, edge))
		return c->snd_nxt;
	if (c->rtx_count > 0)
		c->flags ^= CF_ACK_NXT;
	else
		c->flags &= ~(uint32_t)CF_ACK_NXT;
	return c->flags & CF_ACK_NXT ? c->snd_nxt : edge;
}

void output_ack(struct stack *s, struct conn *c)
{
	struct output_seg o = { .seq = acceptable_seq(c) };

	(void)emit_gather(s, c, 0, 0);
	(void)emit_segment(s, c, &o, true);
}

/* SHLD-12, MAY-6: no data in it; a number below the window makes the peer answer (RFC 9293, 3.8.4). */
void output_probe(struct stack *s, struct conn *c, bool keepalive)
{
	struct output_seg o = { .seq = c->snd_una - 1 };

	stack_bump(s, keepalive ? STACK_KEEPALIVES : STACK_WINDOW_PROBES);
	(void)emit_gather(s, c, 0, 0);
	(void)emit_segment(s, c, &o, false);
}

/* --- the handshake */

static void output_syn(struct stack *s, struct conn *c, bool again)
{
	bool synack = c->state == ST_SYN_RECEIVED;
	uint32_t data = again || synack ? 0 : negotiate_fastopen(s, c);
	const struct emit_lane lane = { c->ttl, c->tos };
	uint8_t opt[40];
	struct output_seg o = { .seq = c->iss, .flags = TCP_SYN, .options = opt };

	if (!again)
		recovery_begin(c);
	o.options_len = (uint8_t)negotiate_write(s, c, synack, opt);
	o.len = emit_gather(s, c, 0, data);
	if (synack) {
		o.flags |= TCP_ACK;
		o.ack = c->rcv_nxt;
		if (c->flags & CF_ECN)
			o.flags |= TCP_ECE;
	} else if (negotiate_asks_ecn(s, c)) {
		o.flags |= TCP_ECE | TCP_CWR;
	}
	o.window = window_field(s, c, 0); /* RFC 7323, 2.2: not scaled */
	if (again) {
		recovery_resent(s, c, c->rec.first, sent_at(s, c->rec.first)->len);
	} else if (recovery_sent(s, c, c->iss, 1 + o.len, SENT_SYN)) {
		c->snd_nxt = c->iss + 1 + o.len;
		c->last_out = s->now;
		c->bytes_out += o.len;
		s->count[STACK_BYTES_OUT] += o.len;
		if (o.len > 0)
			stack_bump(s, STACK_TFO_OUT);
	} else { /* no record is left: when one is */
		timers_data_sent(s, c);
		return;
	}
	if (synack)
		timers_ack_sent(s, c);
	(void)emit_gathered(s, c, &c->quad, &lane, &o);
	timers_data_sent(s, c);
}

/* Our SYN has no answer yet: it goes out, again where its timer or the peer's SYN (which came again, or at the same time) says so. */
void emit_handshake(struct stack *s, struct conn *c)
{
	if (c->rec.first == CONN_NONE)
		output_syn(s, c, false);
	else if ((c->flags & CF_ACK_NOW) && (sent_at(s, c->rec.first)->flags & SENT_SYN))
		output_syn(s, c, true);
	c->flags &= ~(uint32_t)CF_ACK_NOW;
}
