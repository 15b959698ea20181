/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

#include <errno.h>

/*
 * Theory of operation
 *
 * SEGMENT ARRIVES (RFC 9293, 3.10.7): input_segment() hands a segment through the RFC's steps in their order, each a function; a step
 * that says false has dealt with the segment (or the connection is gone: c must not be touched then).  SYN-SENT has steps of its own
 * (3.10.7.3), all other states share the others (3.10.7.4).  Where the RFC's later companions change a step it says so: RFC 5961 (RST,
 * SYN, ACK of off-path senders), RFC 7323 (PAWS), RFC 6191 and RFC 1337 (TIME-WAIT).
 *
 * Step one trims the segment to the window, so that all later steps see only what is new and fits; a segment that brings nothing new is
 * answered there.  What is to be sent because of a segment waits for the flush, but for ACKs of segments behind a gap: a peer without
 * SACK counts these.
 *
 * RSTs go through the steps untrimmed: their number must be exact.
 */

#define DAYS_24 ((uint32_t)24 * 86400 * 1000) /* ms */

/* Nothing is done about the segment. */
static bool leave_alone(struct stack *s)
{
	stack_bump(s, STACK_LEFT_ALONE);
	return false;
}

/* --- taking an ACK; shared by SYN-SENT and the others */

/* A closed connection has a FIN to send as soon as it is open. */
static void establish(struct stack *s, struct conn *c, const char *why)
{
	conn_set_state(s, c, ST_ESTABLISHED, why);
	if (c->flags & CF_SHUT)
		conn_set_state(s, c, ST_FIN_WAIT_1, "close");
}

/* The writer that met a full buffer is told once a good part of it is free. */
static void tell_room(struct stack *s, struct conn *c)
{
	uint32_t room, has = c->sendq.bytes;

	if (!(c->flags & CF_WANT_WRITE))
		return;
	room = sendq_room(s, c);
	if (has != 0 && room < c->sndbuf / 4 && room < has) /* memory may be what bounds it */
		return;
	c->flags &= ~(uint32_t)CF_WANT_WRITE;
	conn_tell(s, c, CONN_WRITABLE);
}

/* snd_una goes on to g->ack; syn: ours is acknowledged with it.  True: so is our FIN. */
static bool advance(struct stack *s, struct conn *c, const struct seg *g, bool syn)
{
	uint32_t acked = g->ack - c->snd_una, data = acked - syn;
	bool fin = (c->flags & CF_FIN_SENT) && g->ack == c->snd_nxt;

	recovery_ack(s, c, g, acked);
	if (acked == 0)
		return fin;
	if (fin)
		data--;
	if (data > 0)
		sendq_ack(s, c, data);
	c->snd_una = g->ack;
	timers_acked(s, c);
	tell_room(s, c);
	return fin;
}

/*
 * RFC 9293, 3.10.7.4, fifth: the window of the segment that is newest counts.  It may draw its right edge back (MUST-34): what is in
 * flight beyond it stays in flight.
 */
static void take_window(struct stack *s, struct conn *c, const struct seg *g)
{
	if (!before(c->snd_wl1, g->seq) && (c->snd_wl1 != g->seq || before(g->ack, c->snd_wl2)))
		return;
	c->snd_wl1 = g->seq;
	c->snd_wl2 = g->ack;
	if (c->snd_wnd == g->wnd) /* MUST-1: 32 bits, unsigned (REC-1) */
		return;
	if (c->snd_wnd == 0)
		recovery_opened(s, c);
	c->snd_wnd = g->wnd;
	if (g->wnd > c->snd_wnd_max)
		c->snd_wnd_max = g->wnd;
	timers_window(s, c);
}

/* Something may go out now that this ACK was taken. */
static void look_again(struct stack *s, struct conn *c)
{
	if (c->sendq.bytes > 0 || (c->flags & (CF_SHUT | CF_FIN_SENT)) == CF_SHUT ||
	    c->rec.next_lost != CONN_NONE)
		conn_dirty(s, c);
}

/* --- trimming (step one) */

static uint32_t window_edge(const struct conn *c)
{
	return after(c->rcv_adv, c->rcv_nxt) ? c->rcv_adv : c->rcv_nxt;
}

/* Takes the first n numbers of g away: less than all, and no SYN is among them. */
static void trim_left(struct seg *g, uint32_t n)
{
	g->seq += n;
	n = n < g->data_len ? n : g->data_len;
	g->data_off += n;
	g->data_len -= n;
	if (g->urg > n)
		g->urg = (uint16_t)(g->urg - n);
	else
		g->flags &= (uint8_t)~TCP_URG;
}

/* Leaves n bytes of payload, and no FIN. */
static void trim_right(struct seg *g, uint32_t n)
{
	g->data_len = n;
	g->flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
}

static void strip_syn(struct seg *g)
{
	g->flags &= (uint8_t)~TCP_SYN;
	g->seq++;
	g->len--;
}

/* --- TIME-WAIT */

/* A SYN that no segment of the old connection can be: newer by its timestamp, or by its number (RFC 6191; MAY-2). */
bool input_reopens(const struct stack *s, const struct conn *c, const struct seg *g)
{
	bool was = c->flags & CF_TS, is = g->opt.present & OPT_TS;

	if (c->state != ST_TIME_WAIT || (g->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return false;
	if (was && is && g->opt.tsval != c->ts_recent)
		return after(g->opt.tsval, c->ts_recent); /* SHLD-4 */
	/* Where we take no timestamps the old SYN may have had one too. */
	return (is && !was && !s->cfg.no_timestamps) || after(g->seq, c->rcv_nxt);
}

/* --- 3.10.7.4, for all states but CLOSED, LISTEN and SYN-SENT */

/*
 * RFC 7323, 5.3 R1.  (A RST is never judged by its timestamp.)  After 24 days without a segment the remembered timestamp says nothing
 * (5.5).  A segment without timestamps where they were agreed is dropped silently (3.2).
 */
static bool paws(struct stack *s, struct conn *c, struct seg *g)
{
	bool old;

	if (!(c->flags & CF_TS))
		return true;
	if (!(g->opt.present & OPT_TS)) /* step four answers a SYN */
		return (g->flags & TCP_SYN) != 0 || leave_alone(s);
	old = now_ms(s) - c->ts_recent_at > DAYS_24;
	if (before(g->opt.tsval, c->ts_recent) && !old) {
		stack_bump(s, STACK_PAWS);
		reply_unacceptable(s, c, g);
		return false;
	}
	/* 4.3: the timestamp to echo is that of the segment that the next ACK is for. */
	g->ts_new = !after(g->seq, c->last_ack_sent);
	return true;
}

/* MAY-12 (RFC 5961, 5): an ACK may lie back by as much as the largest window was, and never ahead. */
static bool ack_in_range(const struct conn *c, const struct seg *g)
{
	return !after(g->ack, c->snd_nxt) && !before(g->ack, c->snd_una - c->snd_wnd_max);
}

static void take_timestamp(const struct stack *s, struct conn *c, const struct seg *g)
{
	if (!g->ts_new)
		return;
	c->ts_recent = g->opt.tsval;
	c->ts_recent_at = now_ms(s);
}

/*
 * Something that was sent again, since our ACK was lost: the next ACK echoes the timestamp of this copy, or the peer would measure all
 * the time that it waited for the first one's answer, and wait ever longer.  So do other stacks; as long as it may be of this connection.
 */
static bool is_copy(const struct conn *c, const struct seg *g)
{
	return g->len > 0 && (g->flags & TCP_ACK) && c->rcv_nxt - (g->seq + g->len) <= c->rcvbuf &&
	       ack_in_range(c, g);
}

static bool step5_ack(struct stack *s, struct conn *c, struct seg *g);

/*
 * Nothing of g is new.  If it ends where we stand, its ACK counts all the same: of two FINs that crossed, the one that is sent again
 * brings the ACK that was lost; so does a keepalive, or a probe of a window that is closed both ways.
 */
static bool step1_old(struct stack *s, struct conn *c, struct seg *g)
{
	bool fin = g->flags & TCP_FIN, ends_here = g->seq + g->len == c->rcv_nxt;
	struct seg ack = *g;

	if (is_copy(c, g))
		take_timestamp(s, c, g);
	if (g->data_len > 0) {
		stack_bump(s, STACK_DUPLICATE);
		recvq_duplicate(c, g->seq, g->seq + g->data_len);
	}
	if (ends_here) {
		ack.data_len = 0;
		ack.flags &= (uint8_t)~TCP_FIN;
		if (!step5_ack(s, c, &ack))
			return false;
	}
	/* One that ends elsewhere is not the peer's, and must not keep the connection here. */
	if (c->state == ST_TIME_WAIT && fin && ends_here)
		conn_time_wait(s, c, "FIN again");
	reply_unacceptable(s, c, g);
	return false;
}

/*
 * What lies behind the window is cut off.  A segment at rcv_nxt that finds the window closed keeps its ACK, URG and RST (MUST-66);
 * its data is not taken, and the ACK that it gets says so.  A FIN takes no room.
 */
static bool step1_right(struct stack *s, struct conn *c, struct seg *g)
{
	uint32_t edge = window_edge(c), end = g->seq + g->data_len;

	if (after(g->seq, edge) || (g->seq == edge && edge != c->rcv_nxt && g->data_len > 0)) {
		reply_unacceptable(s, c, g);
		return false;
	}
	if (after(end, edge)) {
		trim_right(g, edge - g->seq);
		c->flags |= CF_ACK_NOW;
		conn_dirty(s, c);
	}
	return true;
}

/* SYN-RECEIVED: the peer's SYN again, or (of two SYNs that crossed, MUST-10) its SYN-ACK.  False: it was dealt with. */
static bool step1_syn(struct stack *s, struct conn *c, struct seg *g)
{
	if (c->state != ST_SYN_RECEIVED || !(g->flags & TCP_SYN) || g->seq != c->irs ||
	    (g->flags & TCP_RST))
		return true;
	if ((g->flags & TCP_ACK) && !(c->flags & CF_PASSIVE)) {
		strip_syn(g);
		return true;
	}
	if (!(g->flags & TCP_ACK))
		negotiate_again(s, c, g);
	if ((c->flags & CF_TS) && (g->opt.present & OPT_TS) &&
	    !before(g->opt.tsval, c->ts_recent)) {
		c->ts_recent = g->opt.tsval; /* RFC 7323, 4.3 */
		c->ts_recent_at = now_ms(s);
	}
	c->flags |= CF_ACK_NOW; /* output.c: our SYN-ACK again */
	conn_dirty(s, c);
	return false;
}

/* First: is it what we expect?  RFC 9293, 3.4, and 3.10.7.4 first; RFC 7323, 5.3. */
static bool step1_sequence(struct stack *s, struct conn *c, struct seg *g)
{
	uint32_t old = c->rcv_nxt - g->seq;

	if (!step1_syn(s, c, g))
		return false;
	if (g->flags & TCP_RST) /* unacceptable ones are dropped silently */
		return g->seq == c->rcv_nxt ||
		       (!before(g->seq, c->rcv_nxt) && before(g->seq, window_edge(c))) ||
		       leave_alone(s);
	if (!paws(s, c, g))
		return false;
	if (g->flags & TCP_SYN)
		return true; /* RFC 5961, 4: whatever its number */
	if (before(g->seq, c->rcv_nxt)) {
		if (old >= g->len)
			return step1_old(s, c, g);
		recvq_duplicate(c, g->seq, c->rcv_nxt);
		trim_left(g, old);
	}
	if (!step1_right(s, c, g))
		return false;
	c->answers = 0;
	timers_heard(s, c);
	return true;
}

/* The error that a RST is, by what the application was waiting for. */
static int reset_error(const struct conn *c)
{
	if (c->state == ST_SYN_RECEIVED)
		return c->flags & CF_PASSIVE ? ECONNRESET : ECONNREFUSED;
	/* CLOSING and LAST-ACK: all was said but the last ACK. */
	if ((c->state == ST_CLOSING || c->state == ST_LAST_ACK) && c->sendq.bytes == 0)
		return 0;
	return ECONNRESET;
}

/* Second: RST.  RFC 5961, 3: only the exact number ends a connection; SHLD-2: it may have data. */
static bool step2_rst(struct stack *s, struct conn *c, const struct seg *g)
{
	if (!(g->flags & TCP_RST))
		return true;
	if (c->state == ST_TIME_WAIT) /* RFC 1337: it ends no TIME-WAIT */
		return leave_alone(s);
	if (g->seq != c->rcv_nxt) {
		reply_challenge(s, c);
		return false;
	}
	stack_bump(s, STACK_RESET_IN);
	conn_end(s, c, reset_error(c), "RST");
	return false;
}

/*
 * (Third: security and precedence are no more.)  Fourth: a SYN is out of place (RFC 5961, 4).  Only a half-open connection out of LISTEN
 * that nobody knows of yet goes back there.
 */
static bool step4_syn(struct stack *s, struct conn *c, const struct seg *g)
{
	if (!(g->flags & TCP_SYN))
		return true;
	if (c->state == ST_SYN_RECEIVED &&
	    (c->flags & (CF_PASSIVE | CF_WAITS | CF_HELD)) == CF_PASSIVE &&
	    !before(g->seq, c->rcv_nxt) && before(g->seq, window_edge(c))) {
		conn_end(s, c, ECONNRESET, "SYN");
		return false;
	}
	reply_challenge(s, c);
	return false;
}

/* SYN-RECEIVED: the ACK of our SYN. */
static bool step5_syn_received(struct stack *s, struct conn *c, struct seg *g)
{
	if (!after(g->ack, c->snd_una) || after(g->ack, c->snd_nxt)) {
		reply_rst(s, &c->quad, g);
		return false;
	}
	if ((c->flags & CF_PASSIVE) && !listen_established(s, c))
		return false;
	c->snd_wnd = g->wnd;
	c->snd_wnd_max = g->wnd;
	c->snd_wl1 = g->seq;
	c->snd_wl2 = g->ack;
	(void)advance(s, c, g, true);
	establish(s, c, "ACK of our SYN");
	look_again(s, c);
	return true;
}

/* Our FIN is acknowledged. */
static bool step5_fin_acked(struct stack *s, struct conn *c)
{
	switch ((enum conn_state)c->state) {
	case ST_FIN_WAIT_1:
		conn_set_state(s, c, ST_FIN_WAIT_2, "ACK of our FIN");
		return true;
	case ST_CLOSING:
		conn_time_wait(s, c, "ACK of our FIN");
		return true;
	case ST_LAST_ACK:
		conn_end(s, c, 0, "ACK of our FIN");
		return false;
	case ST_CLOSED:
	case ST_LISTEN:
	case ST_SYN_SENT:
	case ST_SYN_RECEIVED:
	case ST_ESTABLISHED:
	case ST_FIN_WAIT_2:
	case ST_CLOSE_WAIT:
	case ST_TIME_WAIT:
	default:
		return true;
	}
}

/* Fifth: ACK.  One that lies back says nothing new, but the segment's text is taken. */
static bool step5_ack(struct stack *s, struct conn *c, struct seg *g)
{
	if (!(g->flags & TCP_ACK))
		return leave_alone(s);
	if (c->state == ST_SYN_RECEIVED)
		return step5_syn_received(s, c, g);
	if (!ack_in_range(c, g)) {
		if (g->len > 0)
			reply_challenge(s, c);
		else
			reply_unacceptable(s, c, g);
		return false;
	}
	if (before(g->ack, c->snd_una))
		return true;
	if (advance(s, c, g, false) && !step5_fin_acked(s, c))
		return false;
	take_window(s, c, g);
	look_again(s, c);
	return true;
}

/* Once the segment was found good: RFC 7323, 4.3; ECN's marks (RFC 3168, 6.1.3). */
static void take_marks(struct stack *s, struct conn *c, const struct seg *g)
{
	take_timestamp(s, c, g);
	if (!(c->flags & CF_ECN))
		return;
	if (g->flags & TCP_CWR)
		c->flags &= ~(uint32_t)CF_ECE;
	if (g->ce && g->data_len > 0) {
		stack_bump(s, STACK_ECN_CE);
		c->flags |= CF_ECE;
	}
}

/* The states in which the peer may still send: its FIN has not come. */
static bool takes_text(const struct conn *c)
{
	return c->state == ST_ESTABLISHED || c->state == ST_FIN_WAIT_1 || c->state == ST_FIN_WAIT_2;
}

/* Sixth: URG (MUST-30, 31).  The mark is the byte behind the urgent ones (MUST-62); a later one replaces it (MUST-32). */
static void step6_urg(struct stack *s, struct conn *c, const struct seg *g)
{
	uint32_t up = g->seq + g->urg;

	if (!(g->flags & TCP_URG) || !takes_text(c) || !after(up, c->rcv_nxt) ||
	    ((c->flags & CF_URG_IN) && !after(up, c->rcv_up)))
		return;
	c->rcv_up = up;
	c->flags |= CF_URG_IN;
	conn_tell(s, c, CONN_URGENT);
}

/* The length of one segment of the peer's: of a super-packet's pieces. */
static void note_size(const struct stack *s, struct conn *c, const struct seg *g)
{
	uint32_t most = s->cfg.mtu - (c->ip == 4 ? 40 : 60);
	uint32_t n = g->p->off.gso_type != GSO_NONE && g->p->off.gso_size < g->data_len
			     ? g->p->off.gso_size
			     : g->data_len;

	if (n > most) /* a super-packet whose device does not say so */
		n = most;
	if (n > c->rcv_mss)
		c->rcv_mss = n;
}

/* Seventh: text.  False: nobody will ever read it (RFC 9293, 3.6.1; SHLD-3): RST, and the connection is gone. */
static bool step7_text(struct stack *s, struct conn *c, const struct seg *g)
{
	bool gap = c->recvq.ofo.first != STORE_NONE;
	uint32_t n;

	if (!takes_text(c) || (g->data_len == 0 && !(g->flags & TCP_FIN))) {
		if (g->data_len > 0)
			(void)leave_alone(s);
		return true;
	}
	if ((c->flags & CF_NO_READ) && g->data_len > 0) {
		reply_abort(s, c);
		conn_end(s, c, ECONNRESET, "data after close");
		return false;
	}
	note_size(s, c, g);
	n = recvq_insert(s, c, g);
	/* The application may have taken it past the mark. */
	if ((c->flags & CF_URG_IN) && !after(c->rcv_up, c->rcv_nxt - c->recvq.unread))
		c->flags &= ~(uint32_t)CF_URG_IN;
	if (n > 0 && c->recvq.unread > 0)
		conn_tell(s, c, CONN_READABLE);
	if (n == 0 && (g->data_len > 0 || !recvq_fin(c))) {
		output_ack(s, c); /* behind a gap, at once (MAY-13, RFC 5681, 4.2); or no memory */
	} else if (gap) {
		c->flags |= CF_ACK_NOW; /* it fills a gap */
		conn_dirty(s, c);
	} else if (n > 0) {
		c->delack_bytes += n;
		timers_data_in(s, c);
	}
	return true;
}

/* Eighth: the peer's FIN, once all before it has come. */
static void step8_fin(struct stack *s, struct conn *c)
{
	if (!takes_text(c) || !recvq_fin(c))
		return;
	c->rcv_nxt++;
	c->flags |= CF_FIN_IN | CF_ACK_NOW;
	conn_dirty(s, c);
	conn_tell(s, c, CONN_READABLE);
	if (c->state == ST_ESTABLISHED)
		conn_set_state(s, c, ST_CLOSE_WAIT, "FIN");
	else if (c->state == ST_FIN_WAIT_1)
		conn_set_state(s, c, ST_CLOSING, "FIN"); /* ours is not acknowledged */
	else
		conn_time_wait(s, c, "FIN");
}

static void synchronized_state(struct stack *s, struct conn *c, struct seg *g)
{
	if (!step1_sequence(s, c, g) || !step2_rst(s, c, g) || !step4_syn(s, c, g) ||
	    !step5_ack(s, c, g))
		return;
	take_marks(s, c, g);
	step6_urg(s, c, g);
	if (step7_text(s, c, g))
		step8_fin(s, c);
}

/* --- 3.10.7.3, SYN-SENT */

/* First: an ACK of what was not sent gets a RST. */
static bool syn_sent_ack(struct stack *s, struct conn *c, const struct seg *g)
{
	if (!(g->flags & TCP_ACK))
		return true;
	if (after(g->ack, c->iss) && !after(g->ack, c->snd_nxt))
		return true;
	reply_rst(s, &c->quad, g);
	return false;
}

/* Second: a RST counts where its ACK does. */
static bool syn_sent_rst(struct stack *s, struct conn *c, const struct seg *g)
{
	if (!(g->flags & TCP_RST))
		return true;
	if (!(g->flags & TCP_ACK))
		return leave_alone(s);
	stack_bump(s, STACK_RESET_IN);
	conn_end(s, c, ECONNREFUSED, "RST");
	return false;
}

/* Fourth, with an ACK: the connection is open. */
static void syn_sent_open(struct stack *s, struct conn *c, struct seg *g)
{
	negotiate_read(s, c, g, true);
	c->last_ack_sent = c->rcv_nxt; /* nothing is owed but the ACK of the SYN */
	strip_syn(g);
	(void)advance(s, c, g, true);
	establish(s, c, "SYN-ACK");
	c->flags |= CF_ACK_NOW;
	conn_dirty(s, c);
	if (!step1_right(s, c, g))
		return;
	step6_urg(s, c, g);
	if (step7_text(s, c, g))
		step8_fin(s, c);
}

static void syn_sent_state(struct stack *s, struct conn *c, struct seg *g)
{
	if (!syn_sent_ack(s, c, g) || !syn_sent_rst(s, c, g))
		return;
	if (!(g->flags & TCP_SYN)) { /* fifth */
		(void)leave_alone(s);
		return;
	}
	if (g->flags & TCP_ACK) {
		syn_sent_open(s, c, g);
		return;
	}
	/* MUST-10: two SYNs have crossed.  Ours goes again, with an ACK. */
	negotiate_read(s, c, g, false);
	conn_set_state(s, c, ST_SYN_RECEIVED, "SYN");
	c->flags |= CF_ACK_NOW;
	conn_dirty(s, c);
}

void input_segment(struct stack *s, struct conn *c, struct seg *g)
{
	c->segs_in++;
	if (!(g->flags & TCP_SYN)) /* RFC 7323, 2.2 */
		g->wnd <<= c->snd_wscale;
	if (c->state == ST_SYN_SENT)
		syn_sent_state(s, c, g);
	else
		synchronized_state(s, c, g);
}
