/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <string.h>

#include "base/be.h"
#include "proto/tcp.h"

#define CWND_MAX 64u

uint8_t peer_byte(uint32_t content, bool from_client, uint32_t offset)
{
	uint32_t x = (offset + content) * 2654435761u + (from_client ? 0x5bd1e995u : 0);

	return (uint8_t)((x ^ x >> 15) >> 7);
}

static uint32_t tsval(struct peer *p, sut_time now)
{
	uint32_t ts = p->cfg.ts_base + (uint32_t)(now / SUT_MS(1));

	if (p->state == PEER_LISTEN || (p->ts_first == 0 && p->ts_last == 0))
		p->ts_first = ts;
	p->ts_last = ts;
	return ts;
}

static void opt(struct frame_tcp *t, const uint8_t *bytes, uint8_t n)
{
	memcpy(t->opt + t->opt_len, bytes, n);
	t->opt_len = (uint8_t)(t->opt_len + n);
}

static void opt_ts(struct frame_tcp *t, uint32_t val, uint32_t ecr)
{
	uint8_t o[12] = { TCPOPT_NOP, TCPOPT_NOP, TCPOPT_TIMESTAMPS, 10 };

	store_be32(o + 4, val);
	store_be32(o + 8, ecr);
	opt(t, o, sizeof o);
}

static void opts_syn(struct peer *p, struct frame_tcp *t, sut_time now)
{
	bool answer = p->state != PEER_SYN_SENT;

	if (p->cfg.mss)
		opt(t,
		    (uint8_t[]){ TCPOPT_MSS, 4, (uint8_t)(p->cfg.mss >> 8), (uint8_t)p->cfg.mss },
		    4);
	if (answer ? p->sack_on : p->cfg.sack)
		opt(t, (uint8_t[]){ TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK_PERMITTED, 2 }, 4);
	if (answer ? p->ts_on : p->cfg.ts)
		opt_ts(t, tsval(p, now), answer ? p->ts_recent : 0);
	if (answer ? p->scale_on : p->cfg.wscale != PEER_NO_WSCALE)
		opt(t, (uint8_t[]){ TCPOPT_NOP, TCPOPT_WSCALE, 3, p->cfg.wscale }, 4);
}

static void opt_sack(struct peer *p, struct frame_tcp *t)
{
	uint8_t n = p->ts_on ? 3 : 4, o[4 + 4 * 8] = { TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK };
	uint32_t base = p->peer_isn + 1;

	if (n > p->ooo_count)
		n = p->ooo_count;
	o[3] = (uint8_t)(2 + 8 * n);
	for (unsigned i = 0; i < n; i++) {
		store_be32(o + 4 + 8 * i, base + p->ooo[i].from);
		store_be32(o + 8 + 8 * i, base + p->ooo[i].to);
	}
	if (n)
		opt(t, o, (uint8_t)(4 + 8 * n));
}

static void emit(struct peer *p, const struct frame_tcp *t)
{
	uint8_t frame[FRAME_SIZE];

	p->send(p->send_ctx, frame, frame_build(&p->cfg.ends, t, p->ip_id++, frame));
}

/* The window field; remembers what it allows. */
static uint16_t window(struct peer *p, bool syn)
{
	unsigned scale = !syn && p->scale_on ? p->cfg.wscale : 0;
	uint32_t field = p->cfg.buffer >> scale;

	if (field > 65535)
		field = 65535;
	if (p->got + ((uint64_t)field << scale) > p->advertised)
		p->advertised = p->got + ((uint64_t)field << scale);
	return (uint16_t)field;
}

void peer_send_syn(struct peer *p, sut_time now)
{
	bool answer = p->state != PEER_SYN_SENT;
	struct frame_tcp t = {
		.seq = p->cfg.isn,
		.flags = answer ? TCP_SYN | TCP_ACK : TCP_SYN,
		.ack = answer ? p->peer_isn + 1 + p->got : 0,
		.window = window(p, true),
	};

	opts_syn(p, &t, now);
	p->told = p->got;
	emit(p, &t);
}

/* A segment's header as this end writes it once both ISNs are known. */
static struct frame_tcp header(struct peer *p, uint32_t at, sut_time now)
{
	struct frame_tcp t = {
		.seq = p->cfg.isn + 1 + at,
		.ack = p->peer_isn + 1 + p->got,
		.flags = TCP_ACK,
		.window = window(p, false),
	};

	p->told = p->got;
	if (p->ts_on)
		opt_ts(&t, tsval(p, now), p->ts_recent);
	return t;
}

void peer_send_ack(struct peer *p, sut_time now)
{
	struct frame_tcp t = header(p, p->nxt, now);

	if (p->sack_on)
		opt_sack(p, &t);
	p->ack_owed = 0;
	p->ack_at = SUT_NEVER;
	emit(p, &t);
}

void peer_send_rst(struct peer *p, uint32_t seq, bool with_ack, uint32_t ack)
{
	struct frame_tcp t = {
		.seq = seq,
		.ack = with_ack ? ack : 0,
		.flags = with_ack ? TCP_RST | TCP_ACK : TCP_RST,
	};

	emit(p, &t);
}

/* Sends up to most bytes from offset at, and the FIN if it is next. */
void peer_send_segment(struct peer *p, uint32_t at, uint32_t most, sut_time now)
{
	struct frame_tcp t = header(p, at, now);
	uint32_t room = p->peer_mss > t.opt_len + 8u ? p->peer_mss - t.opt_len : 8, n;

	if (p->cfg.seg_max && room > p->cfg.seg_max)
		room = p->cfg.seg_max;
	n = at < p->cfg.out_len ? p->cfg.out_len - at : 0;
	n = n > most ? most : n;
	n = n > room ? room : n;
	for (uint32_t i = 0; i < n; i++)
		t.payload[i] = peer_byte(p->cfg.content, p->cfg.kind == PEER_CLIENT, at + i);
	t.len = n;
	if (n)
		t.flags |= TCP_PSH;
	if (at + n == p->cfg.out_len && most > n) {
		t.flags |= TCP_FIN;
		n++;
	}
	p->ack_owed = 0;
	p->ack_at = SUT_NEVER;
	if (at + n > p->nxt)
		p->nxt = at + n;
	if (p->nxt > p->max)
		p->max = p->nxt;
	emit(p, &t);
}

/* Up to which offset the script lets us send now; out_len + 1 includes the FIN. */
static uint32_t limit(const struct peer *p, sut_time now)
{
	const struct peer_config *c = &p->cfg;

	if (now < p->think_until)
		return 0;
	if (p->got < c->wait_len && c->first_len < c->out_len)
		return c->first_len;
	return c->fin_early || p->got >= c->in_len ? c->out_len + 1 : c->out_len;
}

void peer_pump(struct peer *p, sut_time now)
{
	uint32_t end = limit(p, now), flight = p->cwnd * p->peer_mss;

	while (p->nxt < end && p->nxt < p->wnd_edge && p->nxt - p->una < flight) {
		uint64_t most = p->wnd_edge - p->nxt;

		if (most > end - p->nxt)
			most = end - p->nxt;
		peer_send_segment(p, p->nxt, (uint32_t)most, now);
	}
	if (p->cwnd > CWND_MAX)
		p->cwnd = CWND_MAX;
	if (p->una < end && p->rto_at == SUT_NEVER)
		p->rto_at = now + p->cfg.rto;
}
