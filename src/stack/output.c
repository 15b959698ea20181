/* SPDX-License-Identifier: MIT */
#include "stack/emit.h"
#include "stack/parts.h"

/*
 * Theory of operation
 *
 * The flush calls output_conn() for each connection to which something happened.  In this order, as far as the peer's window and cwnd
 * let: what is lost goes again, then new data, then the FIN behind it; and if none of these carried it, an ACK that is owed.  Whether a
 * short segment may go is said in one place (short_may_go): Nagle in the form of Minshall (one short segment in flight, not none;
 * SHLD-7), CORK, and what silly window avoidance asks (MUST-38).
 *
 * A packet that the device refuses is lost on its first link: its record stands, and recovery sends it again.
 *
 * What is left behind has a timer: T_RTX while anything is in flight, T_CORK while CORK holds something back, T_PERSIST else.
 */

bool output_carries_data(const struct conn *c)
{
	switch ((enum conn_state)c->state) {
	case ST_ESTABLISHED:
	case ST_FIN_WAIT_1:
	case ST_CLOSE_WAIT:
	case ST_CLOSING:
	case ST_LAST_ACK:
		return true;
	case ST_SYN_RECEIVED: /* RFC 7413, 4.2.2: a server's answer need not wait for the third segment */
		return (c->flags & (CF_TFO | CF_PASSIVE)) == (CF_TFO | CF_PASSIVE) &&
		       c->snd_nxt != c->iss;
	case ST_CLOSED:
	case ST_LISTEN:
	case ST_SYN_SENT:
	case ST_FIN_WAIT_2:
	case ST_TIME_WAIT:
	default:
		return false;
	}
}

/* The number of the send queue's first byte. */
static uint32_t queue_seq(const struct conn *c)
{
	return c->snd_una + (in_handshake(c) && c->snd_una == c->iss);
}

static uint32_t unsent(const struct conn *c)
{
	return c->flags & CF_FIN_SENT ? 0 : c->sendq.bytes - (c->snd_nxt - queue_seq(c));
}

static bool fin_waits(const struct conn *c)
{
	return (c->flags & (CF_SHUT | CF_FIN_SENT)) == CF_SHUT && !in_handshake(c);
}

bool output_pending(const struct conn *c)
{
	return output_carries_data(c) && (unsent(c) > 0 || fin_waits(c));
}

/* SHLD-15, MUST-34: nothing new into a window that was shrunk, however far. */
static uint32_t usable_window(const struct conn *c)
{
	uint32_t edge = c->snd_una + c->snd_wnd;

	return after(edge, c->snd_nxt) ? edge - c->snd_nxt : 0;
}

/* Most payload of one packet: whole segments of a super-packet, or one segment. */
static uint32_t packet_max(const struct stack *s, struct conn *c)
{
	if (!(s->cfg.offload & STACK_OFFLOAD_TSO) || c->flags & (CF_URG_OUT | CF_CWR))
		return c->mss; /* what is said of one segment must not be copied into others */
	if (c->gso_mss != c->mss) {
		c->gso_mss = c->mss;
		c->gso_bytes = s->cfg.gso_max - s->cfg.gso_max % c->mss;
		if (c->gso_bytes == 0)
			c->gso_bytes = c->mss;
	}
	return c->gso_bytes;
}

/* --- data */

bool output_again(struct stack *s, struct conn *c, uint32_t record, uint32_t limit)
{
	const struct sent *x = sent_at(s, record);
	uint32_t max = packet_max(s, c), len = x->len < limit ? x->len : limit;
	bool fin = (x->flags & SENT_FIN) && len == x->len && len <= max;
	struct output_seg o = { .seq = x->seq };

	if (len > max)
		len = max;
	o.len = emit_gather(s, c, x->seq - queue_seq(c), len - fin);
	if (o.len < len - fin)
		fin = false;
	if (fin)
		o.flags |= TCP_FIN;
	if (x->seq - queue_seq(c) + o.len == c->sendq.bytes && o.len > 0)
		o.flags |= TCP_PSH;
	if (o.len + fin == 0)
		return false;
	if (record == c->rec.first) /* it is the one that the timer is for */
		timer_off(s, c, T_RTX);
	recovery_resent(s, c, record, o.len + fin);
	timers_data_sent(s, c);
	return emit_segment(s, c, &o, false) >= 0;
}

static bool short_may_go(struct conn *c, bool force)
{
	if (force || (c->flags & CF_SHUT))
		return true;
	if (c->flags & CF_CORK)
		return false;
	return (c->flags & CF_NODELAY) || !after(c->snd_sml, c->snd_una); /* MUST-17, SHLD-7 */
}

/* As much of `len` bytes as whole segments make. */
static uint32_t whole(const struct conn *c, uint32_t len)
{
	if (len < c->mss)
		return 0;
	return len == c->mss || len == c->gso_bytes ? len : len - len % c->mss;
}

/* Payload of the next new segment or super-packet, 0: none now.  `force`: SWS avoidance and Nagle have waited long enough. */
static uint32_t next_len(struct stack *s, struct conn *c, bool force)
{
	uint32_t left = unsent(c), window = usable_window(c), max = packet_max(s, c);
	uint32_t allowed = recovery_allows(s, c), len = left < max ? left : max;

	if (len > window)
		len = window;
	if (len > allowed) {
		c->rec.limited = true;
		len = whole(c, allowed);
	}
	if (len == 0)
		return 0;
	if (len ==
	    left) { /* the last there is: MUST-60 is that it goes some time, by force if need be */
		uint32_t full = whole(c, len);

		return full == len || short_may_go(c, force) ? len : full;
	}
	if (len >= c->mss)
		return whole(c, len); /* SHLD-28 */
	/* The window is less than a segment: as much as half of the largest it ever was will do (MUST-38, 3.8.6.2.1). */
	return force || len >= c->snd_wnd_max / 2 ? len : 0;
}

static void data_gone(struct stack *s, struct conn *c, const struct output_seg *o, bool fin)
{
	if (o->len % c->mss != 0)
		c->snd_sml = o->seq + o->len;
	c->snd_nxt += o->len + fin;
	if (fin)
		c->flags |= CF_FIN_SENT;
	c->last_out = s->now;
	c->bytes_out += o->len;
	s->count[STACK_BYTES_OUT] += o->len;
	timers_data_sent(s, c);
}

/* Sends the next `len` bytes (0: a FIN alone); false: refused, or no record is left. */
static bool output_new(struct stack *s, struct conn *c, uint32_t len)
{
	uint32_t pos = c->snd_nxt - queue_seq(c);
	struct output_seg o = { .seq = c->snd_nxt, .len = emit_gather(s, c, pos, len) };
	bool last = pos + o.len == c->sendq.bytes;
	bool fin = last && fin_waits(c) && usable_window(c) > o.len;

	if ((o.len == 0 && !fin) || !recovery_room(s, c) ||
	    !recovery_sent(s, c, o.seq, o.len + fin, fin ? SENT_FIN : 0))
		return false;
	if (last && o.len > 0)
		o.flags |= TCP_PSH; /* MUST-61; SHLD-27: once */
	if (fin)
		o.flags |= TCP_FIN;
	if (c->flags & CF_ECN && !c->no_ect && o.len > 0) { /* RFC 3168, 6.1: on new data only */
		o.ecn = 2;
		if (c->flags & CF_CWR)
			o.flags |= TCP_CWR;
		c->flags &= ~(uint32_t)CF_CWR;
	}
	data_gone(s, c, &o, fin);
	return emit_segment(s, c, &o, false) >= 0;
}

static void again(struct stack *s, struct conn *c)
{
	uint32_t i, len;

	while ((i = recovery_next(s, c, &len)) != CONN_NONE)
		if (!output_again(s, c, i, len))
			return;
}

static void fresh(struct stack *s, struct conn *c, bool force)
{
	uint32_t len;

	if (c->rec.first == CONN_NONE && unsent(c) > 0)
		cc_idle(&c->cc, s->now - c->last_out, rtt_rto(&c->rtt));
	c->rec.limited = false;
	while ((len = next_len(s, c, force)) > 0)
		if (!output_new(s, c, len))
			return;
	/* Slow start looks at what is in use: half of the window is (RFC 7661, 4.1). */
	if (c->cc.cwnd < c->cc.ssthresh && recovery_allows(s, c) < c->cc.cwnd / 2)
		c->rec.limited = true;
	if (fin_waits(c) && unsent(c) == 0 && usable_window(c) > 0)
		(void)output_new(s, c, 0); /* a FIN does not wait for cwnd */
}

/* SHLD-29: something waits and nothing is in flight whose ACK would come; CORK's time runs in any case. */
static void leave_timer(struct stack *s, struct conn *c)
{
	bool corked = c->flags & CF_CORK;

	if (!output_pending(c))
		return;
	if (corked && c->timer[T_CORK] == SUT_NEVER)
		timer_set(s, c, T_CORK, s->now + SUT_MS(200));
	if (c->rec.first == CONN_NONE && (!corked || usable_window(c) <= unsent(c)))
		timers_persist(s, c);
}

static bool is_synchronized(const struct conn *c)
{
	return c->state >= ST_ESTABLISHED;
}

static void send_what_may_go(struct stack *s, struct conn *c, bool force)
{
	/* SACK blocks would not fit beside a full segment's data. */
	if ((c->flags & CF_ACK_NOW) && (c->recvq.sacks > 0 || c->recvq.dsack) && is_synchronized(c))
		output_ack(s, c);
	if (output_carries_data(c) || c->rec.next_lost != CONN_NONE)
		again(s, c);
	if (output_carries_data(c)) {
		fresh(s, c, force);
		leave_timer(s, c);
	}
	if (is_synchronized(c) && (c->flags & CF_ACK_NOW))
		output_ack(s, c);
}

void output_conn(struct stack *s, struct conn *c)
{
	if (c->state == ST_CLOSED || c->state == ST_LISTEN)
		return;
	if (in_handshake(c) && c->snd_una == c->iss)
		emit_handshake(s, c);
	if (!in_handshake(c) || output_carries_data(c))
		send_what_may_go(s, c, false);
}

void output_force(struct stack *s, struct conn *c)
{
	if (output_carries_data(c))
		send_what_may_go(s, c, true);
}

bool output_one(struct stack *s, struct conn *c)
{
	uint32_t len = unsent(c), window = usable_window(c);

	if (!output_carries_data(c))
		return false;
	if (len > window)
		len = window;
	if (len > c->mss)
		len = c->mss;
	return len > 0 && output_new(s, c, len);
}
