/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "peer_kernel.h"
#include "proto/tcp.h"

#define SYN_RTO SUT_MS(1000)
#define RTO_MAX SUT_MS(4000)
#define SYN_RETRIES 6
#define DELACK SUT_MS(40)
#define EDGE_SLACK (1u << 14) /* a smaller window may be rounded up to the largest unit */
#define PROMISED 29200u /* a box that does not know this end may have promised that much */

const char *peer_state_name(enum peer_state s)
{
	static const char *const name[] = {
#define X(id) #id,
		PEER_STATES(X)
#undef X
	};

	return name[s];
}

/* Notes the first fault. */
void peer_fault(struct peer *p, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (p->fault[0])
		return;
	n = snprintf(p->fault, sizeof p->fault,
		     "%s (%s): ", p->cfg.kind == PEER_CLIENT ? "client" : "server",
		     peer_state_name(p->state));
	va_start(ap, fmt);
	vsnprintf(p->fault + n, sizeof p->fault - (size_t)n, fmt, ap);
	va_end(ap);
}

void peer_init(struct peer *p, const struct peer_config *cfg,
	       void (*send)(void *ctx, const uint8_t *frame, uint32_t len), void *ctx)
{
	memset(p, 0, sizeof *p);
	p->cfg = *cfg;
	p->send = send;
	p->send_ctx = ctx;
	p->rto_at = p->ack_at = SUT_NEVER;
	p->cwnd = cfg->cwnd ? cfg->cwnd : 10;
}

void peer_open(struct peer *p, sut_time now)
{
	p->state = PEER_SYN_SENT;
	p->rto_at = now + SYN_RTO;
	peer_send_syn(p, now);
}

bool peer_ended(const struct peer *p)
{
	return p->state >= PEER_DONE || p->cfg.kind == PEER_CLOSED || p->cfg.kind == PEER_SILENT;
}

static void end(struct peer *p, enum peer_state s)
{
	p->state = s;
	p->rto_at = p->ack_at = SUT_NEVER;
}

void peer_forget(struct peer *p)
{
	if (!peer_ended(p))
		end(p, PEER_ABORTED);
}

/* What a SYN, or the answer to ours, offers. */
static void negotiate(struct peer *p, const struct view *v, const struct tcp_options *o)
{
	p->peer_isn = v->seq;
	p->peer_mss = o->present & OPT_MSS ? o->mss : p->cfg.ends.ip == 4 ? 536 : 1220;
	if (p->peer_mss > 1460)
		p->peer_mss = 1460;
	p->ts_on = p->cfg.ts && (o->present & OPT_TS);
	p->sack_on = p->cfg.sack && (o->present & OPT_SACK_PERMITTED);
	p->scale_on = p->cfg.wscale != PEER_NO_WSCALE && (o->present & OPT_WSCALE);
	p->peer_wscale = p->scale_on ? o->wscale : 0;
	if (p->ts_on)
		p->ts_recent = o->tsval;
	p->wnd_edge = v->window;
}

static void opened(struct peer *p, sut_time now)
{
	p->state = PEER_OPEN;
	p->opened = now;
	p->retries = 0;
	p->rto_at = SUT_NEVER;
	p->think_until = now + p->cfg.think;
}

/* A SYN-ACK may have only what our SYN offered, and must echo a timestamp of ours. */
static void check_synack(struct peer *p, const struct tcp_options *o, sut_time now)
{
	if ((o->present & OPT_TS) && !p->cfg.ts)
		peer_fault(p, "SYN-ACK with timestamps that were not offered");
	if ((o->present & OPT_SACK_PERMITTED) && !p->cfg.sack)
		peer_fault(p, "SYN-ACK with SACK that was not offered");
	if ((o->present & OPT_WSCALE) && p->cfg.wscale == PEER_NO_WSCALE)
		peer_fault(p, "SYN-ACK with a window scale that was not offered");
	if (p->ts_on && peer_echo_is_strange(p, o, now))
		peer_fault(p, "SYN-ACK echoes timestamp %u, sent were %u to %u", o->tsecr,
			   p->ts_first, p->ts_last);
}

static void input_syn_sent(struct peer *p, const struct view *v, const struct tcp_options *o,
			   sut_time now)
{
	if (v->flags & TCP_ACK && v->ack != p->cfg.isn + 1) {
		/* A reset that meant an earlier connection is dropped (RFC 9293, 3.10.7.3). */
		if (v->flags & TCP_RST)
			return;
		peer_fault(p, "answer to the SYN acknowledges %u, not %u", v->ack, p->cfg.isn + 1);
		return;
	}
	if (v->flags & TCP_RST) {
		if (v->flags & TCP_ACK)
			end(p, PEER_REFUSED);
		return;
	}
	if ((v->flags & (TCP_SYN | TCP_ACK)) != (TCP_SYN | TCP_ACK)) {
		peer_fault(p, "neither SYN-ACK nor RST in answer to the SYN");
		return;
	}
	negotiate(p, v, o);
	check_synack(p, o, now);
	opened(p, now);
	peer_send_ack(p, now);
	peer_pump(p, now);
}

/* Adds [from, to) to what was received, and takes in what is now in order. */
static void receive(struct peer *p, uint32_t from, uint32_t to)
{
	unsigned k = 0;

	for (unsigned i = 0; i < p->ooo_count; i++) {
		if (p->ooo[i].to < from || p->ooo[i].from > to) {
			p->ooo[k++] = p->ooo[i];
			continue;
		}
		from = p->ooo[i].from < from ? p->ooo[i].from : from;
		to = p->ooo[i].to > to ? p->ooo[i].to : to;
	}
	p->ooo_count = (uint8_t)k;
	if (from <= p->got) {
		p->got = to > p->got ? to : p->got;
		return;
	}
	if (p->ooo_count == PEER_RANGES)
		p->ooo_count--;
	memmove(&p->ooo[1], &p->ooo[0], p->ooo_count * sizeof p->ooo[0]);
	p->ooo[0].from = from; /* the latest block comes first (RFC 2018, section 4) */
	p->ooo[0].to = to;
	p->ooo_count++;
}

static void check_content(struct peer *p, const struct packet *pkt, const struct view *v,
			  uint32_t at)
{
	for (uint32_t i = 0; i < v->payload_len; i++) {
		uint8_t want = peer_byte(p->cfg.content, p->cfg.kind != PEER_CLIENT, at + i);

		if (pkt->head[v->payload + i] != want) {
			peer_fault(p, "byte %u of the stream is %02x, not %02x", at + i,
				   pkt->head[v->payload + i], want);
			return;
		}
	}
}

/* Payload and FIN: at is the offset of the first byte. */
static void input_data(struct peer *p, const struct packet *pkt, const struct view *v, uint32_t at,
		       sut_time now)
{
	uint32_t mss = p->cfg.mss ? p->cfg.mss : p->cfg.ends.ip == 4 ? 536 : 1220;
	uint32_t len = v->payload_len + !!(v->flags & TCP_FIN), before = p->got;

	if ((uint64_t)at + v->payload_len > p->cfg.in_len ||
	    ((v->flags & TCP_FIN) && at + v->payload_len != p->cfg.in_len)) {
		peer_fault(p, "bytes %u to %u and flags %02x, but the stream has %u", at,
			   at + v->payload_len, v->flags, p->cfg.in_len);
		return;
	}
	if (v->payload_len + view_options_len(v) > mss)
		peer_fault(p, "%u bytes and %u of options are beyond the MSS of %u", v->payload_len,
			   view_options_len(v), mss);
	if (p->cfg.trims && at + len > p->got + p->cfg.buffer) {
		peer_send_ack(p, now);
		return;
	}
	if (!p->cfg.trims &&
	    at + v->payload_len > p->advertised + (p->cfg.buffer < EDGE_SLACK ? EDGE_SLACK : 0) &&
	    at + v->payload_len > PROMISED)
		peer_fault(p, "bytes up to %u, the window ends at %u", at + v->payload_len,
			   (uint32_t)p->advertised);
	check_content(p, pkt, v, at);
	receive(p, at, at + len);
	if (p->cfg.abort_after && p->got >= p->cfg.abort_after) {
		peer_send_rst(p, p->cfg.isn + 1 + p->nxt, true, p->peer_isn + 1 + p->told);
		end(p, PEER_ABORTED);
		return;
	}
	p->ack_owed++;
	if (!p->cfg.delay_acks || p->ack_owed >= 2 || p->got != before + len || p->ooo_count ||
	    (v->flags & TCP_FIN))
		peer_send_ack(p, now);
	else if (p->ack_at == SUT_NEVER)
		p->ack_at = now + (p->cfg.delack ? p->cfg.delack : DELACK);
}

static void check_sack(struct peer *p, const struct packet *pkt, const struct view *v,
		       const struct tcp_options *o)
{
	const uint8_t *b = pkt->head + v->l4 + o->sack_off;

	if (!p->sack_on)
		peer_fault(p, "SACK blocks without SACK");
	for (unsigned i = 0; i < o->sack_count; i++, b += 8) {
		uint32_t from = load_be32(b) - p->cfg.isn - 1;
		uint32_t to = load_be32(b + 4) - p->cfg.isn - 1;

		if (from >= to || to > p->max)
			peer_fault(p, "SACK block %u to %u of %u bytes sent", from, to, p->max);
	}
}

static void input_ack(struct peer *p, const struct view *v, sut_time now)
{
	uint32_t ack = v->ack - p->cfg.isn - 1;
	uint64_t edge;

	if (ack > p->max) {
		if (v->ack != p->cfg.isn) /* the SYN's own number is old, not new */
			peer_fault(p, "acknowledges %u of %u bytes sent", ack, p->max);
		return;
	}
	edge = ack + ((uint64_t)v->window << p->peer_wscale);
	if (edge > p->wnd_edge)
		p->wnd_edge = edge;
	if (ack < p->una)
		return;
	if (ack > p->una) {
		p->cwnd++;
		p->una = ack;
		p->dup_acks = p->retries = 0;
		p->rto_at = p->una < p->max ? now + p->cfg.rto : SUT_NEVER;
		if (p->nxt < p->una)
			p->nxt = p->una;
	} else if (v->payload_len == 0 && !(v->flags & TCP_FIN) && p->una < p->max &&
		   ++p->dup_acks == 3 && p->una >= p->recover) {
		p->recover = p->max;
		p->cwnd = p->cwnd > 3 ? p->cwnd / 2 : 2;
		peer_send_segment(p, p->una, p->max - p->una, now);
	}
}

/* RFC 5961: only the exact number resets; another one in the window is challenged. */
static void input_rst(struct peer *p, const struct view *v, sut_time now)
{
	uint32_t want = p->peer_isn + 1 + p->got;

	if (v->seq == want)
		end(p, PEER_RESET);
	else if (v->seq - want < p->cfg.buffer)
		peer_send_ack(p, now);
}

/* False: drop the segment. */
static bool check_ts(struct peer *p, const struct view *v, const struct tcp_options *o,
		     sut_time now)
{
	if (!(o->present & OPT_TS)) {
		if (p->ts_on)
			peer_fault(p, "segment without the timestamps that were negotiated");
		return !p->ts_on;
	}
	if (!p->ts_on) {
		peer_fault(p, "segment with timestamps that were not negotiated");
		return false;
	}
	if ((v->flags & TCP_ACK) && o->tsecr - p->ts_first > p->ts_last - p->ts_first) {
		if (p->state == PEER_SYN_RECEIVED)
			return false; /* as newer kernels drop it; progress is checked elsewhere */
		peer_fault(p, "echoes timestamp %u, sent were %u to %u", o->tsecr, p->ts_first,
			   p->ts_last);
		return false;
	}
	if ((int32_t)(o->tsval - p->ts_recent) < 0) { /* PAWS */
		peer_send_ack(p, now);
		return false;
	}
	if (v->seq - p->peer_isn - 1 <= p->got)
		p->ts_recent = o->tsval;
	return true;
}

static void check_done(struct peer *p)
{
	if (p->state == PEER_OPEN && p->una == p->cfg.out_len + 1 && p->got == p->cfg.in_len + 1)
		end(p, PEER_DONE);
}

/* Is this a segment to take in?  What else it wants is done. */
static bool accepts(struct peer *p, const struct view *v, const struct tcp_options *o, sut_time now)
{
	if (p->cfg.kernel)
		return peer_kernel_accepts(p, v, o, now);
	if (v->flags & TCP_SYN) {
		if (v->seq != p->peer_isn)
			peer_fault(p, "SYN with ISN %u on a connection with %u", v->seq,
				   p->peer_isn);
		else if (p->state == PEER_SYN_RECEIVED)
			peer_send_syn(p, now);
		else
			peer_send_ack(p, now);
		return false;
	}
	if (v->flags & TCP_RST) {
		input_rst(p, v, now);
		return false;
	}
	if (!(v->flags & TCP_ACK) || !check_ts(p, v, o, now))
		return false;
	return p->state != PEER_SYN_RECEIVED || v->ack - p->cfg.isn - 1 <= p->max;
}

/* A connection whose ISNs are both known. */
static void input_synchronized(struct peer *p, const struct packet *pkt, const struct view *v,
			       const struct tcp_options *o, sut_time now)
{
	uint32_t at = v->seq - p->peer_isn - 1;

	if (!accepts(p, v, o, now))
		return;
	if (p->state == PEER_SYN_RECEIVED)
		opened(p, now);
	if (o->present & OPT_SACK)
		check_sack(p, pkt, v, o);
	input_ack(p, v, now);
	if (view_seg_len(v) && at + view_seg_len(v) <= p->got)
		peer_send_ack(p, now); /* all of it is old */
	else if (view_seg_len(v))
		input_data(p, pkt, v, at, now);
	if (peer_ended(p))
		return;
	peer_pump(p, now);
	check_done(p);
}

static void input_listen(struct peer *p, const struct packet *pkt, const struct view *v,
			 const struct tcp_options *o, sut_time now)
{
	if (v->flags & (TCP_RST | TCP_ACK))
		return;
	if (!(v->flags & TCP_SYN))
		return;
	negotiate(p, v, o);
	p->got = 0;
	if (p->cfg.syn_data && v->payload_len) {
		check_content(p, pkt, v, 0);
		receive(p, 0, v->payload_len);
	}
	p->state = PEER_SYN_RECEIVED;
	p->rto_at = now + SYN_RTO;
	p->think_until = SUT_NEVER;
	peer_send_syn(p, now);
}

/* Nobody is there: RFC 9293, 3.10.7.1. */
static void input_closed(struct peer *p, const struct view *v)
{
	if (v->flags & TCP_RST)
		return;
	if (v->flags & TCP_ACK)
		peer_send_rst(p, v->ack, false, 0);
	else
		peer_send_rst(p, 0, true, v->seq + view_seg_len(v));
}

/* After the end: the last ACK may have been lost. */
static void input_done(struct peer *p, const struct view *v, sut_time now)
{
	if (!(v->flags & TCP_RST) && view_seg_len(v))
		peer_send_ack(p, now);
}

void peer_input(struct peer *p, const struct packet *pkt, const struct view *v, sut_time now)
{
	struct tcp_options o;

	if (view_options(pkt, v, &o) != R_NONE) {
		peer_fault(p, "malformed options");
		return;
	}
	if (p->cfg.kind == PEER_SILENT)
		return;
	if (p->cfg.kind == PEER_CLOSED) {
		input_closed(p, v);
		return;
	}
	switch (p->state) {
	case PEER_LISTEN:
		if (p->cfg.kind == PEER_SERVER)
			input_listen(p, pkt, v, &o, now);
		break;
	case PEER_SYN_SENT:
		input_syn_sent(p, v, &o, now);
		break;
	case PEER_SYN_RECEIVED:
	case PEER_OPEN:
		input_synchronized(p, pkt, v, &o, now);
		break;
	case PEER_DONE:
		input_done(p, v, now);
		break;
	case PEER_RESET:
	case PEER_REFUSED:
	case PEER_TIMED_OUT:
	case PEER_ABORTED:
		input_closed(p, v);
		break;
	}
}

void peer_too_big(struct peer *p, uint32_t quoted_seq, uint32_t mtu)
{
	uint32_t at = quoted_seq - p->cfg.isn - 1, hdr = p->cfg.ends.ip == 4 ? 40 : 60;

	if (p->state != PEER_OPEN || at > p->max)
		return;
	if (mtu < hdr + 64) {
		peer_fault(p, "told of an MTU of %u", mtu);
		return;
	}
	if (mtu - hdr < p->peer_mss) {
		p->peer_mss = mtu - hdr;
		p->nxt = p->una;
	}
}

static void expire_rto(struct peer *p, sut_time now)
{
	sut_time rto = p->state == PEER_OPEN ? p->cfg.rto : SYN_RTO;

	p->retries++;
	for (unsigned i = 0; i < p->retries && rto < RTO_MAX; i++)
		rto *= 2;
	p->rto_at = now + rto;
	if (p->state == PEER_SYN_SENT && p->retries > SYN_RETRIES) {
		end(p, PEER_TIMED_OUT);
		return;
	}
	if (p->state != PEER_OPEN) {
		peer_send_syn(p, now);
		return;
	}
	p->nxt = p->una;
	p->cwnd = 1;
	p->recover = p->dup_acks = 0;
	if (p->wnd_edge <= p->una)
		peer_send_segment(p, p->una, 1, now); /* probe of a closed window */
	else
		peer_pump(p, now);
}

void peer_expire(struct peer *p, sut_time now)
{
	if (p->cfg.abort_at <= now && p->state >= PEER_SYN_SENT && !peer_ended(p)) {
		if (p->state == PEER_OPEN)
			peer_send_rst(p, p->cfg.isn + 1 + p->nxt, true, p->peer_isn + 1 + p->got);
		end(p, PEER_ABORTED);
		return;
	}
	if (p->state == PEER_OPEN && p->think_until <= now && p->think_until != 0) {
		p->think_until = 0;
		peer_pump(p, now);
	}
	if (p->ack_at <= now)
		peer_send_ack(p, now);
	if (p->rto_at <= now)
		expire_rto(p, now);
}

sut_time peer_deadline(const struct peer *p)
{
	sut_time at = p->rto_at < p->ack_at ? p->rto_at : p->ack_at;

	if (p->state == PEER_OPEN && p->think_until && p->think_until < at)
		at = p->think_until;
	if (p->state >= PEER_SYN_SENT && !peer_ended(p) && p->cfg.abort_at < at)
		at = p->cfg.abort_at;
	return at;
}
