/* SPDX-License-Identifier: MIT */
#include "stack/cc.h"
#include "stack/recovery.h"

/*
 * Theory of operation
 *
 * During fast recovery cwnd is what is in the network plus what PRR (RFC 6937) lets out for the ACK in hand: in proportion to what was
 * delivered while more is in the network than ssthresh, and back up to ssthresh as in slow start else (SSRB), so
 * that a loss of half a window neither stops the sender nor makes it send in a burst.
 *
 * A reduction is undone when the retransmissions turn out to have been needless: the ACK for one carries a timestamp older than its
 * first retransmission (Eifel, RFC 3522 and 4015), or D-SACKs have told of all the bytes that were sent again (RFC 3708).
 */

/* Without SACK each duplicate ACK stands for a segment that has left the network (RFC 5681, 3.2). */
uint32_t recovery_pipe(const struct conn *c)
{
	const struct recovery *r = &c->rec;

	if (c->flags & CF_SACK)
		return r->in_flight;
	return r->in_flight > r->sacked ? r->in_flight - r->sacked : 0;
}

/*
 * What cwnd is reduced from (RFC 5681, 3.1: FlightSize, not cwnd).  ACKs are taken by the batch, and what they let out goes behind the
 * batch: in between less is in flight than the path held.  So where cwnd was what held the sender back, it is cwnd that counts
 * (RFC 9438, 4.6, allows it of who does not let an unused window grow).
 */
static uint32_t flight_size(const struct conn *c, uint32_t una)
{
	uint32_t n = c->snd_nxt - una;

	return n < c->cc.cwnd && !c->rec.limited ? n : c->cc.cwnd;
}

static void begin_undo(struct conn *c, uint32_t una)
{
	struct recovery *r = &c->rec;

	r->undo = true;
	r->undo_seq = una;
	r->undo_retrans = 0;
}

/* ECN's part of a reduction: the peer is told, and asked for no second one in this window. */
static void reduced(struct conn *c)
{
	c->rec.cwr_point = c->snd_nxt;
	if (c->flags & CF_ECN)
		c->flags |= CF_CWR;
}

void recovery_enter(struct stack *s, struct conn *c, const struct delivery *d)
{
	struct recovery *r = &c->rec;

	if (r->state >= REC_RECOVERY)
		return;
	stack_bump(s, STACK_FAST_RECOVERY);
	cc_loss(&c->cc, flight_size(c, c->snd_una), s->now);
	begin_undo(c, d->ack);
	r->again = false;
	reduced(c);
	r->state = REC_RECOVERY;
	r->point = c->snd_nxt;
	r->prr_delivered = r->prr_out = 0;
	r->prr_flight = d->pipe > 0 ? d->pipe : c->mss;
	r->tlp_out = false;
	timer_off(s, c, T_PROBE);
}

void recovery_exit(struct conn *c)
{
	struct recovery *r = &c->rec;

	if (r->state == REC_RECOVERY) {
		c->cc.cwnd = c->cc.ssthresh;
		if (r->reo_persist > 0 && --r->reo_persist == 0)
			r->reo_mult = 1;
	}
	r->state = REC_OPEN;
	r->dupacks = 0;
	if (!(c->flags & CF_SACK))
		r->sacked = 0;
}

void recovery_prr(struct conn *c, const struct delivery *d)
{
	struct recovery *r = &c->rec;
	uint32_t pipe = recovery_pipe(c), ssthresh = c->cc.ssthresh, send = 0;

	r->prr_delivered += d->bytes;
	if (pipe > ssthresh) {
		uint64_t due = ((uint64_t)r->prr_delivered * ssthresh + r->prr_flight - 1) /
			       r->prr_flight;

		if (due > r->prr_out)
			send = (uint32_t)(due - r->prr_out);
	} else {
		uint32_t banked = r->prr_delivered > r->prr_out ? r->prr_delivered - r->prr_out : 0;

		send = (banked > d->bytes ? banked : d->bytes) + c->mss;
		if (send > ssthresh - pipe)
			send = ssthresh - pipe;
	}
	/* The fast retransmission itself, and (RFC 6582, 3.2) the one that a partial ACK asks for. */
	if ((r->prr_out == 0 || (!(c->flags & CF_SACK) && d->acked != 0)) && send < c->mss)
		send = c->mss;
	c->cc.cwnd = pipe + send;
	if (c->cc.cwnd < c->mss)
		c->cc.cwnd = c->mss;
}

static void undo(struct stack *s, struct conn *c)
{
	struct recovery *r = &c->rec;

	stack_bump(s, STACK_SPURIOUS);
	cc_undo(&c->cc);
	list_none_lost(s, c);
	if (!(c->flags & CF_SACK))
		r->sacked = 0;
	r->state = r->sacked ? REC_DISORDER : REC_OPEN;
	r->dupacks = 0;
	r->limited = false; /* that was by the window of the recovery */
	r->undo = false;
}

void recovery_undo(struct stack *s, struct conn *c, const struct delivery *d)
{
	struct recovery *r = &c->rec;
	uint32_t n = d->dsack_right - d->dsack_left;

	if (!r->undo)
		return;
	if (r->state >= REC_RECOVERY && d->original) {
		/* What RACK took for lost was late: it is to be more patient. */
		r->reordering |= r->state == REC_RECOVERY;
		undo(s, c);
		return;
	}
	if (!d->dsack || before(d->dsack_left, r->undo_seq) || after(d->dsack_right, r->point) ||
	    r->undo_retrans == 0)
		return;
	r->undo_retrans -= n < r->undo_retrans ? n : r->undo_retrans;
	if (r->undo_retrans == 0)
		undo(s, c);
}

/* SHLD-8.  cwnd falls at once: nothing was lost, so the ACK clock runs on. */
void recovery_ecn(struct stack *s, struct conn *c, const struct delivery *d)
{
	struct recovery *r = &c->rec;

	if (!after(d->ack, r->cwr_point))
		return;
	reduced(c);
	if (r->state >= REC_RECOVERY)
		return;
	cc_loss(&c->cc, flight_size(c, c->snd_una), s->now);
	c->cc.cwnd = c->cc.ssthresh;
	r->undo = false;
}

void recovery_timeout(struct stack *s, struct conn *c)
{
	struct recovery *r = &c->rec;
	struct cc *cc = &c->cc;
	bool forget;

	if (r->first == CONN_NONE)
		return;
	stack_bump(s, STACK_RTO);
	c->timeouts++;
	if (r->state != REC_LOSS || r->timed_out != c->snd_una) {
		struct cc before_it = *cc;

		cc_timeout(cc, flight_size(c, c->snd_una), s->now);
		if (r->state >= REC_RECOVERY) { /* what there is to go back to lies before that */
			cc->prior_cwnd = before_it.prior_cwnd;
			cc->prior_ssthresh = before_it.prior_ssthresh;
			cc->prior_w_max = before_it.prior_w_max;
		}
		if (r->state < REC_RECOVERY || !r->undo)
			begin_undo(c, c->snd_una);
		reduced(c);
	} else {
		cc_collapse(cc);
	}
	/* The front one SACKed and not acknowledged for so long: the peer has thrown it away (RFC 2018, 8). */
	forget = !(c->flags & CF_SACK) || (sent_at(s, r->first)->flags & SENT_SACKED);
	list_all_lost(s, c, forget);
	r->state = REC_LOSS;
	r->timed_out = c->snd_una;
	r->point = c->snd_nxt;
	r->dupacks = 0;
	r->tlp_out = false;
	timer_off(s, c, T_REORDER);
	timer_off(s, c, T_PROBE);
}
