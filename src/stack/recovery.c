/* SPDX-License-Identifier: MIT */
#include "stack/recovery.h"

#include <assert.h>

#include "stack/cc.h"

/*
 * Theory of operation
 *
 *     OPEN ──► DISORDER ──► RECOVERY ──┐       OPEN      nothing is odd
 *      ▲  ◄──────┘             │       │       DISORDER  something behind a gap has arrived, nothing counts as lost yet
 *      ├───────────────────────┘       ▼       RECOVERY  fast recovery: until snd_una passes `point`
 *      └───────────────────────────── LOSS     LOSS      after a timeout: the same
 *
 * An ACK goes through these steps: what it acknowledges leaves the list; its SACK blocks mark what has arrived; RTT; was something sent
 * needlessly; what is lost (RACK with SACK, duplicate ACKs and NewReno's partial ACKs without); cwnd.  What goes out is output.c's
 * work, which asks recovery_next() and recovery_allows().
 *
 * Without SACK (RFC 6582) a loss is found one a round trip: at the third duplicate ACK, then at each partial ACK.  Each duplicate ACK
 * stands for a segment that has arrived, so pipe shrinks by one (which is also limited transmit, RFC 3042).
 */

#define DUP_THRESH 3u
#define FAR_BEHIND (1u << 29)

void recovery_init(struct recovery *r)
{
	*r = (struct recovery){
		.first = CONN_NONE,
		.last = CONN_NONE,
		.t_first = CONN_NONE,
		.t_last = CONN_NONE,
		.next_lost = CONN_NONE,
		.last_lost = CONN_NONE,
		.hint = CONN_NONE,
		.reo_mult = 1,
	};
}

void recovery_begin(struct conn *c)
{
	struct recovery *r = &c->rec;

	r->point = r->fack = r->rtt_round = r->cc_round = r->cwr_point = c->iss;
	c->snd_sml = c->iss;
}

void recovery_clear(struct stack *s, struct conn *c)
{
	list_clear(s, c);
	recovery_init(&c->rec);
}

/*
 * MUST-18 (Karn): a segment that was sent once, or a timestamp.  The oldest segment of an ACK, so that the peer's delay is in it; once
 * a round trip, since the smoothing means that.
 */
static void measure(struct stack *s, struct conn *c, const struct delivery *d)
{
	struct recovery *r = &c->rec;
	uint32_t us;

	if (d->rtt != 0)
		rtt_lowest(&c->rtt, d->rtt, now_ms(s));
	if (d->acked == 0 || (before(d->ack, r->rtt_round) && c->rtt.backoff == 0))
		return;
	/* What filled a hole has let out what had waited behind it: the age of that is no RTT. */
	if (d->fresh && !d->resent) {
		us = (uint32_t)((s->now - d->oldest_at) / 1000);
	} else if (d->has_ts && d->tsecr != 0) {
		uint32_t ms = now_ms(s) - (d->tsecr - c->ts_off);

		if (ms > (s->now - c->opened) / 1000000 + 1)
			return; /* no timestamp of ours */
		us = ms * 1000;
	} else {
		return;
	}
	rtt_sample(&c->rtt, us, now_ms(s));
	r->rtt_round = c->snd_nxt;
}

/* RFC 5681, 2: nothing new in it, and something is outstanding. */
static bool is_duplicate(const struct conn *c, const struct seg *g, uint32_t acked)
{
	return acked == 0 && g->ack == c->snd_una && g->len == 0 && g->wnd == c->snd_wnd &&
	       c->rec.first != CONN_NONE && c->snd_nxt != c->snd_una;
}

/* Marks the first segment lost: NewReno knows of no more. */
static bool lose_first(struct stack *s, struct conn *c)
{
	uint32_t i = c->rec.first;
	struct sent *x;

	if (i == CONN_NONE)
		return false;
	x = sent_at(s, i);
	if (x->flags & SENT_LOST)
		return false;
	if (x->len > c->mss)
		(void)list_split(s, c, i, c->mss);
	list_lost(s, c, i);
	return true;
}

/* RFC 6582, 3.2; true: something was marked. */
static bool newreno(struct stack *s, struct conn *c, struct delivery *d, bool duplicate)
{
	struct recovery *r = &c->rec;

	if (duplicate) {
		if (r->dupacks < UINT8_MAX)
			r->dupacks++;
		/* After a timeout they may be of what was sent before it, which pipe does not count. */
		if (r->state != REC_LOSS && r->sacked + c->mss < r->in_flight) {
			r->sacked += c->mss;
			d->bytes += c->mss;
		}
		return r->state < REC_RECOVERY && r->dupacks == DUP_THRESH &&
		       after(c->snd_una, r->point) && lose_first(s, c);
	}
	if (d->acked == 0)
		return false;
	if (r->state < REC_RECOVERY)
		r->dupacks = 0;
	/* The first of the acknowledged segments filled the hole; the others were told of by duplicates. */
	if (r->sacked > 0) {
		uint32_t told = d->acked > c->mss ? d->acked - c->mss : 0;

		told = told < r->sacked ? told : r->sacked;
		r->sacked -= told;
		d->bytes -= told < d->bytes ? told : d->bytes;
		if (r->first == CONN_NONE)
			r->sacked = 0;
	}
	return r->state == REC_RECOVERY && before(d->ack, r->point) && lose_first(s, c);
}

static bool find_losses(struct stack *s, struct conn *c, struct delivery *d, bool duplicate)
{
	struct recovery *r = &c->rec;

	if (!(c->flags & CF_SACK))
		return newreno(s, c, d, duplicate);
	if (d->sacked && d->acked == 0 && r->dupacks < UINT8_MAX)
		r->dupacks++;
	else if (d->acked != 0 && r->state < REC_RECOVERY)
		r->dupacks = 0;
	if (d->dsack)
		rack_dsack(c, d);
	return rack_detect(s, c);
}

/* The data of a Fast Open SYN that its SYN-ACK left out goes again at once (RFC 7413, 4.2.2); that is no congestion. */
static void syn_acked(struct stack *s, struct conn *c, const struct delivery *d)
{
	struct recovery *r = &c->rec;

	if (d->syn_part && !(sent_at(s, r->first)->flags & SENT_LOST))
		list_lost(s, c, r->first);
	if (d->syn_resent) {
		c->cc.cwnd = c->mss; /* RFC 5681, 3.1 */
		rtt_syn_lost(&c->rtt); /* RFC 6298, 5.7 */
	}
	c->max_acked = 0; /* a SYN's size says nothing */
}

/* true: a recovery has ended with this ACK. */
static bool state_after(struct stack *s, struct conn *c, const struct delivery *d, bool lost)
{
	struct recovery *r = &c->rec;
	bool over = r->state >= REC_RECOVERY && !before(d->ack, r->point) && d->acked != 0;

	if (over)
		recovery_exit(c);
	if (lost || (over && r->again)) /* a loss behind `point` is another one */
		recovery_enter(s, c, d);
	if (r->state < REC_RECOVERY)
		r->state = r->sacked > 0 ? REC_DISORDER : REC_OPEN;
	return over;
}

/* Marks that lie behind snd_una mean nothing but that; left alone they would be ahead of it when half of all numbers are used up. */
static void keep_behind(uint32_t *mark, uint32_t una)
{
	if (after(una - FAR_BEHIND, *mark))
		*mark = una - FAR_BEHIND;
}

/* Once a round trip, in which no more than a window's worth (FAR_BEHIND twice) goes by. */
static void keep_marks(struct conn *c)
{
	struct recovery *r = &c->rec;
	uint32_t una = c->snd_una;

	if (after(una - FAR_BEHIND, r->point))
		r->undo = false;
	keep_behind(&r->point, una);
	keep_behind(&r->cwr_point, una);
	keep_behind(&r->rtt_round, una);
	keep_behind(&r->dsack_round, una);
	keep_behind(&c->snd_sml, una);
	if (!after(c->icmp_seq, una))
		c->icmp_mtu = 0;
	r->seen = 0;
}

static void window_after(struct stack *s, struct conn *c, const struct delivery *d, bool lost)
{
	struct cc *cc = &c->cc;
	struct recovery *r = &c->rec;

	cc->rtt = d->rtt;
	cc->round = d->acked != 0 && !before(d->ack, r->cc_round);
	if (cc->round) {
		r->cc_round = c->snd_nxt;
		keep_marks(c);
	}
	if (r->state == REC_RECOVERY) {
		if (d->bytes > 0 || lost)
			recovery_prr(c, d);
	} else if (r->state == REC_LOSS) {
		cc_ops_of(cc)->acked(cc, d->bytes, true, c->rtt.srtt, s->now);
	} else if (d->acked > 0 && !d->syn) {
		/* RFC 3042, 2: what is only SACKed does not make it grow. */
		cc_ops_of(cc)->acked(cc, d->acked, r->limited, c->rtt.srtt, s->now);
	}
}

void recovery_ack(struct stack *s, struct conn *c, const struct seg *g, uint32_t acked)
{
	struct recovery *r = &c->rec;
	bool duplicate = is_duplicate(c, g, acked), lost, repaired, over;
	struct delivery d = {
		.ack = c->snd_una + acked,
		.acked = acked,
		.fack = r->fack,
		.pipe = recovery_pipe(c),
		.has_ts = (c->flags & CF_TS) && (g->opt.present & OPT_TS),
		.tsecr = g->opt.tsecr,
	};

	list_acked(s, c, &d);
	if ((c->flags & CF_SACK) && (g->opt.present & OPT_SACK))
		sack_read(s, c, g, &d);
	measure(s, c, &d);
	if (d.syn)
		syn_acked(s, c, &d);
	recovery_undo(s, c, &d);
	repaired = tlp_ack(c, &d, duplicate);
	lost = find_losses(s, c, &d, duplicate);
	if ((c->flags & CF_ECN) && (g->flags & TCP_ECE) &&
	    !d.syn) /* in a SYN-ACK it means something else */
		recovery_ecn(s, c, &d);
	over = state_after(s, c, &d, lost);
	if (repaired && r->state < REC_RECOVERY) { /* RFC 8985, 7.4.2: a loss all the same */
		recovery_enter(s, c, &d);
		recovery_exit(c);
	}
	if (!over) /* what it acknowledges was accounted for during the recovery */
		window_after(s, c, &d, lost);
	if (d.sacked && acked == 0)
		tlp_schedule(s, c);
}

void recovery_reorder(struct stack *s, struct conn *c)
{
	struct delivery d = { .ack = c->snd_una, .pipe = recovery_pipe(c) };

	if (!rack_detect(s, c))
		return;
	recovery_enter(s, c, &d);
	if (c->rec.state == REC_RECOVERY)
		recovery_prr(c, &d);
}

/*
 * Only after a timeout is it known that something was sent while the window was shut: the front (recovery_next()).  That no ACK came for so
 * long was the window's doing, not the path's: the timer is as before.
 */
void recovery_opened(struct stack *s, struct conn *c)
{
	uint32_t i = c->rec.first;

	if (c->rec.state != REC_LOSS || i == CONN_NONE ||
	    (sent_at(s, i)->flags & (SENT_SACKED | SENT_LOST)))
		return;
	list_lost(s, c, i);
	c->rtt.backoff = 0;
}

/* MAY-7, SHLD-16: what lies behind a window that was shrunk waits, but for the first: its ACK tells of the window. */
uint32_t recovery_next(struct stack *s, struct conn *c, uint32_t *ret_len)
{
	const struct recovery *r = &c->rec;
	uint32_t i = r->next_lost, room = recovery_allows(s, c), mss = c->mss;
	const struct sent *x;

	if (i == CONN_NONE)
		return CONN_NONE;
	x = sent_at(s, i);
	if (room < mss && room < x->len)
		return CONN_NONE;
	if (i != r->first && !before(x->seq, c->snd_una + c->snd_wnd))
		return CONN_NONE;
	assert(mss > 0);
	*ret_len = x->len <= room ? x->len : room - room % mss;
	return i;
}

void recovery_resent(struct stack *s, struct conn *c, uint32_t record, uint32_t len)
{
	struct recovery *r = &c->rec;
	struct sent *x = sent_at(s, record);

	if (len < x->len)
		(void)list_split(s, c, record, len);
	list_resent(s, c, record);
	if (r->state == REC_RECOVERY)
		r->prr_out += x->len;
	r->undo_retrans += x->len;
	c->retrans_segs++;
	stack_bump(s, STACK_RETRANS_SEGS);
	c->retrans_bytes += len;
	s->count[STACK_RETRANS_BYTES] += len;
}

uint32_t recovery_allows(const struct stack *s, const struct conn *c)
{
	uint32_t pipe = recovery_pipe(c);

	(void)s;
	return c->cc.cwnd > pipe ? c->cc.cwnd - pipe : 0;
}

/* RFC 1191, 6.4: that is no congestion, so cwnd stays.  A super-packet is too long only where its segments are. */
void recovery_mss(struct stack *s, struct conn *c)
{
	uint32_t i, next, was = c->mss;

	negotiate_mss(s, c);
	if (c->mss >= was)
		return;
	for (i = c->rec.first; i != CONN_NONE; i = next) {
		const struct sent *x = sent_at(s, i);

		next = x->next;
		if (!(x->flags & (SENT_SACKED | SENT_LOST | SENT_SYN)) && x->len > c->mss)
			list_lost(s, c, i);
	}
}
