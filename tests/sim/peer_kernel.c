/* SPDX-License-Identifier: MIT */
#include "peer_kernel.h"

#include "proto/tcp.h"

/*
 * Theory of operation
 *
 * The order is that of Linux: in SYN-RECEIVED the echo and a repeated SYN, then for all states
 * PAWS, the window, RST, SYN, and at last the ack.  A segment that fails is answered by an ACK
 * or a challenge ACK; one without payload at most twice a second, so that two ends that disagree
 * do not talk for ever.  24 idle days, after which PAWS forgets, do not happen here.
 *
 * A fault is what no correct network brings, whatever it loses, repeats or reorders: options
 * that were not negotiated, an ack of what was never sent, an echo of what was never said, a
 * clock that goes back by more than the way explains, or leaps.
 */

#define OOW_TIME SUT_MS(500)
#define OLD_ACK (1 << 20) /* an ack by so much behind is no late one */
#define TS_LEAP 900000 /* ms */

bool peer_echo_is_strange(const struct peer *p, const struct tcp_options *o, sut_time now)
{
	uint32_t last = p->ts_last;

	if (p->cfg.kernel && p->state == PEER_SYN_SENT)
		last = p->cfg.ts_base + (uint32_t)(now / SUT_MS(1));
	return o->tsecr - p->ts_first + p->cfg.echo_slack >
	       last - p->ts_first + 2 * p->cfg.echo_slack;
}

/* An ACK to what lies outside, if it is time for one. */
static bool refuse(struct peer *p, const struct view *v, sut_time now)
{
	if (v->flags & TCP_RST)
		return false;
	if (v->payload_len == 0 && p->oow_at && now - p->oow_at < OOW_TIME)
		return false;
	if (v->payload_len == 0)
		p->oow_at = now;
	peer_send_ack(p, now);
	return false;
}

static bool challenge(struct peer *p, const struct view *v, sut_time now)
{
	p->challenges++;
	return refuse(p, v, now);
}

static bool options_agree(struct peer *p, const struct view *v, const struct tcp_options *o)
{
	if (v->flags & (TCP_RST | TCP_SYN))
		return true;
	if (p->ts_on && !(o->present & OPT_TS))
		peer_fault(p, "segment without the timestamps that were negotiated");
	if (!p->ts_on && (o->present & OPT_TS))
		peer_fault(p, "segment with timestamps that were not negotiated");
	return p->ts_on == !!(o->present & OPT_TS);
}

static bool paws_accepts(struct peer *p, const struct view *v, const struct tcp_options *o)
{
	int32_t ahead = (int32_t)(o->tsval - p->ts_recent);

	if (!p->ts_on || !(o->present & OPT_TS) || (v->flags & TCP_RST))
		return true;
	if (ahead > TS_LEAP && !(v->flags & TCP_SYN))
		peer_fault(p, "timestamp %u leaps, the last was %u", o->tsval, p->ts_recent);
	if (ahead >= 0)
		return true;
	p->paws++;
	if (-(int64_t)ahead > p->cfg.ts_back && !(v->flags & TCP_SYN))
		peer_fault(p, "timestamp %u is %d ms behind %u", o->tsval, -ahead, p->ts_recent);
	return false;
}

/* In SYN-RECEIVED only the exact ack opens; Linux resets whoever sends another. */
static bool opening_accepts(struct peer *p, const struct view *v)
{
	if (v->ack == p->cfg.isn + 1)
		return true;
	peer_fault(p, "acknowledges %u in the handshake, not %u", v->ack, p->cfg.isn + 1);
	return false;
}

static bool ack_accepts(struct peer *p, const struct view *v, sut_time now)
{
	int32_t ack = (int32_t)(v->ack - p->cfg.isn - 1);

	if (ack > (int32_t)p->max) {
		peer_fault(p, "acknowledges %d of %u bytes sent", ack, p->max);
		return challenge(p, v, now);
	}
	if (ack < (int32_t)p->una - OLD_ACK)
		return challenge(p, v, now);
	return true;
}

static bool window_accepts(const struct peer *p, const struct view *v, int32_t at)
{
	int64_t end = (int64_t)at + view_seg_len(v);

	return end >= p->told && at <= (int64_t)p->got + p->cfg.buffer;
}

static bool reset_accepts(struct peer *p, const struct view *v, int32_t at, sut_time now)
{
	if (at == (int32_t)p->got) {
		p->state = PEER_RESET;
		p->rto_at = p->ack_at = SUT_NEVER;
		return false;
	}
	(void)v;
	p->challenges++;
	peer_send_ack(p, now);
	return false;
}

bool peer_kernel_accepts(struct peer *p, const struct view *v, const struct tcp_options *o,
			 sut_time now)
{
	int32_t at = (int32_t)(v->seq - p->peer_isn - 1);
	bool echoes = p->ts_on && (v->flags & TCP_ACK) && !(v->flags & TCP_RST) &&
		      (o->present & OPT_TS);

	if (p->state == PEER_SYN_RECEIVED) {
		if ((v->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && v->seq == p->peer_isn) {
			peer_send_syn(p, now);
			return false;
		}
		if (echoes && o->tsecr - p->ts_first > p->ts_last - p->ts_first)
			return false;
	}
	if (!options_agree(p, v, o))
		return false;
	if (!paws_accepts(p, v, o) || !window_accepts(p, v, at))
		return refuse(p, v, now);
	if (v->flags & TCP_RST)
		return reset_accepts(p, v, at, now);
	if (v->flags & TCP_SYN)
		return challenge(p, v, now);
	if (!(v->flags & TCP_ACK))
		return false;
	if (echoes && peer_echo_is_strange(p, o, now))
		peer_fault(p, "echoes timestamp %u, sent were %u to %u", o->tsecr, p->ts_first,
			   p->ts_last);
	if (p->state == PEER_SYN_RECEIVED ? !opening_accepts(p, v) : !ack_accepts(p, v, now))
		return false;
	if (p->ts_on && at <= (int32_t)p->told)
		p->ts_recent = o->tsval;
	return true;
}
