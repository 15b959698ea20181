/* SPDX-License-Identifier: MIT */
#include "stack/recovery.h"

/*
 * Theory of operation (RFC 8985)
 *
 * RACK: a segment is lost when one that was sent sufficiently later has arrived.  "Sufficiently" is the reordering window: nothing until
 * reordering was seen and three segments' worth has been SACKed; a quarter of the smallest RTT else, more after D-SACKs have told that
 * it was too little.  What may be lost but is not yet is looked at again when T_REORDER fires.
 *
 * The records in flight are listed by the time of their transmission, so those that were sent before the youngest that arrived
 * stand in front.
 *
 * TLP: two RTTs after the last transmission, if nothing came back, the last segment goes out again (or a new one, if there is
 * any): its ACK tells of what was lost at the tail before a timeout would.
 */

#define DUP_THRESH 3u
#define REO_PERSIST 16u
#define TLP_FIRST_US 1000000u /* until an RTT was measured */
#define TLP_ACK_DELAY_US 200000u /* the longest that a peer keeps the ACK of a single segment */

/* RACK_sent_after: was 1 sent after 2? */
static bool sent_after(sut_time t1, uint32_t end1, sut_time t2, uint32_t end2)
{
	return t1 > t2 || (t1 == t2 && after(end1, end2));
}

void rack_delivered(struct stack *s, struct conn *c, const struct sent *x, struct delivery *d)
{
	struct recovery *r = &c->rec;
	uint32_t end = sent_end(x), rtt = (uint32_t)((s->now - x->at) / 1000);

	if (after(end, r->fack))
		r->fack = end;
	else if (before(end, d->fack) && x->times == 0)
		r->reordering = true;
	if (x->times > 0) {
		/* Is it the first copy that arrived? (step 2) */
		uint32_t tsval = (uint32_t)(x->at / 1000000) + c->ts_off;

		if ((d->has_ts && before(d->tsecr, tsval)) || rtt < c->rtt.min)
			return;
	}
	if (d->rtt == 0 || rtt < d->rtt)
		d->rtt = rtt > 0 ? rtt : 1;
	r->rack_rtt = rtt;
	if (r->rack_at == 0 || sent_after(x->at, end, r->rack_at, r->rack_end)) {
		r->rack_at = x->at;
		r->rack_end = end;
	}
}

void rack_dsack(struct conn *c, const struct delivery *d)
{
	struct recovery *r = &c->rec;

	if (r->dsack_seen && before(d->ack, r->dsack_round))
		return; /* once a round trip */
	r->dsack_seen = true;
	r->dsack_round = c->snd_nxt;
	if (r->reo_mult < UINT8_MAX)
		r->reo_mult++;
	r->reo_persist = REO_PERSIST;
}

static uint32_t reo_wnd(const struct conn *c)
{
	const struct recovery *r = &c->rec;
	uint64_t us;

	if (!r->reordering &&
	    (r->state >= REC_RECOVERY || r->dupacks >= DUP_THRESH || r->sacked > 2 * c->mss))
		return 0;
	us = (uint64_t)r->reo_mult * (c->rtt.min / 4);
	return us < c->rtt.srtt ? (uint32_t)us : c->rtt.srtt;
}

bool rack_detect(struct stack *s, struct conn *c)
{
	struct recovery *r = &c->rec;
	sut_time window = ((sut_time)r->rack_rtt + reo_wnd(c)) * 1000, wake = 0;
	uint32_t i, next;
	bool lost = false;

	timer_off(s, c, T_REORDER);
	for (i = r->t_first; i != CONN_NONE; i = next) {
		const struct sent *x = sent_at(s, i);

		next = x->tnext;
		if (!sent_after(r->rack_at, r->rack_end, x->at, sent_end(x)))
			break;
		if (x->at + window <= s->now) {
			r->again |= r->state == REC_RECOVERY && !before(x->seq, r->point);
			list_lost(s, c, i);
			lost = true;
		} else if (x->at + window > wake) {
			wake = x->at + window;
		}
	}
	if (wake > 0)
		timer_set(s, c, T_REORDER, wake);
	return lost;
}

bool tlp_ack(struct conn *c, const struct delivery *d, bool duplicate)
{
	struct recovery *r = &c->rec;
	bool repaired = false;

	if (!r->tlp_out || before(d->ack, r->tlp_end))
		return false;
	if (!r->tlp_retrans)
		r->tlp_out = false; /* the new data of the probe has arrived */
	else if (d->dsack && d->dsack_right == r->tlp_end)
		r->tlp_out = false; /* both copies have */
	else if (after(d->ack, r->tlp_end))
		r->tlp_out = false, repaired = true;
	else if (duplicate && !d->sacked)
		r->tlp_out = false;
	return repaired;
}

void tlp_schedule(struct stack *s, struct conn *c)
{
	const struct recovery *r = &c->rec;
	uint64_t pto = c->rtt.srtt ? 2 * (uint64_t)c->rtt.srtt : TLP_FIRST_US;

	if (!(c->flags & CF_SACK) || r->tlp_out || r->first == CONN_NONE || r->sacked || r->lost ||
	    r->state >= REC_RECOVERY || c->timer[T_RTX] == SUT_NEVER) {
		timer_off(s, c, T_PROBE);
		return;
	}
	if (r->first == r->last && sent_at(s, r->first)->len <= c->mss)
		pto += TLP_ACK_DELAY_US;
	if (pto < 10000)
		pto = 10000; /* a batch, a scheduler: as much as that is no sign of loss */
	pto = s->now + pto * 1000;
	timer_set(s, c, T_PROBE, pto < c->timer[T_RTX] ? pto : c->timer[T_RTX]);
}

void recovery_probe(struct stack *s, struct conn *c)
{
	struct recovery *r = &c->rec;
	uint32_t i = r->last;
	bool fresh;

	if (i == CONN_NONE || r->tlp_out || r->state >= REC_RECOVERY)
		return;
	stack_bump(s, STACK_TLP);
	r->tlp_out = true;
	r->tlp_retrans = false;
	fresh = output_one(s, c);
	if (!fresh) {
		struct sent *x = sent_at(s, i);

		r->tlp_retrans = true;
		if (x->len > c->mss && list_split(s, c, i, x->len - c->mss))
			i = x->next;
		output_again(s, c, i, c->mss);
	}
	r->tlp_end = c->snd_nxt;
	timer_off(s, c, T_PROBE);
	timer_set(s, c, T_RTX, s->now + (sut_time)rtt_rto(&c->rtt) * 1000);
}
