/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

#include "base/compiler.h"

/*
 * Options of SYN segments.  Our SYN offers all that the configuration lets it; our SYN-ACK answers what the peer's SYN offered (the
 * CF_ flags, set by negotiate_read() before).  MSS stands in both, always (MUST-14, SHLD-5, MAY-3), and nowhere else (MUST-65):
 * no other file writes it.
 *
 *	MSS | SACK permitted, timestamps | NOP, window scale | Fast Open | zeros
 */

enum { HDR4 = 40, HDR6 = 60 }; /* bytes of IP and TCP headers without options */
enum { MSS_LEAST = 48 }; /* what a peer may squeeze a segment's payload down to */
enum { COOKIE_LEAST = 4 }; /* RFC 7413, 4.1.1 */
enum { ECN_SYNS = 2 }; /* so many of our SYNs ask for ECN */

static uint32_t headers(const struct conn *c)
{
	return c->ip == 6 ? HDR6 : HDR4;
}

/* What we can take in one segment (MUST-67): a datagram of the device's MTU, or of what whoever takes the connection over can take; datagrams that arrive in fragments are not taken. */
static uint32_t mss_offered(const struct stack *s, const struct conn *c)
{
	uint32_t mtu = s->offer_mtu && s->offer_mtu < s->cfg.mtu ? s->offer_mtu : s->cfg.mtu;
	uint32_t mss = mtu - headers(c);

	return c->mss_limit && c->mss_limit < mss ? c->mss_limit : mss;
}

/* The smallest scale with which the receive buffer fits the window field (RFC 7323, 2.3), and no less than what was set before. */
static uint8_t scale_offered(const struct conn *c)
{
	uint8_t n = c->rcv_wscale;

	while (n < TCP_WSCALE_MAX && c->rcvbuf >> n > 0xffff)
		n++;
	return n;
}

/* --- Fast Open cookies (RFC 7413, 4.1.3), by server */

static const struct fastopen_cookie *cookie_find(const struct stack *s, const struct conn *c)
{
	for (unsigned i = 0; i < STACK_COOKIES; i++) {
		const struct fastopen_cookie *k = &s->cookies[i];

		if (k->used && memcmp(k->server, c->quad.raddr, 16) == 0)
			return k;
	}
	return NULL;
}

/* The entry for the server of c: its own, else the one that was made longest ago. */
static struct fastopen_cookie *cookie_entry(struct stack *s, const struct conn *c)
{
	struct fastopen_cookie *k;

	for (unsigned i = 0; i < STACK_COOKIES; i++) {
		if (s->cookies[i].used && memcmp(s->cookies[i].server, c->quad.raddr, 16) == 0)
			return &s->cookies[i];
	}
	k = &s->cookies[s->next_cookie++ % STACK_COOKIES];
	*k = (struct fastopen_cookie){ .used = true };
	memcpy(k->server, c->quad.raddr, 16);
	return k;
}

/* Is Fast Open tried with this SYN?  One that goes again is an ordinary one: the first may have been lost for its option or data. */
static bool fastopen_tried(const struct stack *s, const struct conn *c)
{
	return s->cfg.fastopen && c->rtx_count == 0 && !(c->flags & CF_PASSIVE);
}

uint32_t negotiate_fastopen(const struct stack *s, const struct conn *c)
{
	const struct fastopen_cookie *k = fastopen_tried(s, c) ? cookie_find(s, c) : NULL;
	uint32_t most = s->cfg.mtu - headers(c) - 40;

	if (k == NULL || k->len == 0)
		return 0;
	/* Options of a SYN come off what the server's MSS lets through (RFC 6691). */
	if (most > k->mss)
		most = k->mss > 40 ? k->mss - 40u : 0;
	return c->sendq.bytes < most ? c->sendq.bytes : most;
}

static void cookie_learn(struct stack *s, const struct conn *c, const struct seg *g)
{
	const struct tcp_options *o = &g->opt;
	struct fastopen_cookie *k;

	if (!(o->present & OPT_TFO) || o->tfo_len < COOKIE_LEAST || o->tfo_len > 16 ||
	    o->tfo_len % 2 != 0)
		return;
	k = cookie_entry(s, c);
	k->len = o->tfo_len;
	k->mss = (uint16_t)c->peer_mss;
	memcpy(k->bytes, g->p->head + g->v->l4 + o->tfo_off, o->tfo_len);
}

/* --- writing */

static uint8_t *put_fastopen(const struct stack *s, const struct conn *c, uint8_t *at,
			     unsigned room)
{
	const struct fastopen_cookie *k = cookie_find(s, c);
	uint8_t len = k == NULL ? 0 : k->len;

	if (room < 2u + len)
		return at;
	*at++ = TCPOPT_TFO;
	*at++ = (uint8_t)(2 + len);
	if (len > 0)
		memcpy(at, k->bytes, len);
	return at + len;
}

/* What we offer, or are ready to agree to: until our SYN has gone out. Then it stands, whatever is set meanwhile. */
static void offer(const struct stack *s, struct conn *c)
{
	const struct stack_config *cfg = &s->cfg;

	if (c->snd_nxt != c->iss)
		return;
	c->flags &= ~(uint32_t)(CF_TS | CF_SACK | CF_WSCALE);
	c->flags |= cfg->no_timestamps ? 0 : CF_TS;
	c->flags |= cfg->no_sack ? 0 : CF_SACK;
	c->flags |= cfg->no_wscale ? 0 : CF_WSCALE;
	c->rcv_wscale = scale_offered(c);
}

/* RFC 3168, 6.1.1.1: something on the way may not like it. */
bool negotiate_asks_ecn(const struct stack *s, const struct conn *c)
{
	return s->cfg.ecn && c->rtx_count < ECN_SYNS;
}

unsigned negotiate_write(const struct stack *s, struct conn *c, bool synack, uint8_t ret_opt[40])
{
	bool ts, sack, scale;
	uint8_t *at = ret_opt;

	if (!synack)
		offer(s, c);
	ts = c->flags & CF_TS;
	sack = c->flags & CF_SACK;
	scale = c->flags & CF_WSCALE;
	memset(ret_opt, 0, 40); /* MUST-69: padding is zero */
	*at++ = TCPOPT_MSS;
	*at++ = 4;
	store_be16(at, (uint16_t)mss_offered(s, c));
	at += 2;
	if (ts) {
		*at++ = sack ? TCPOPT_SACK_PERMITTED : TCPOPT_NOP;
		*at++ = sack ? 2 : TCPOPT_NOP;
		*at++ = TCPOPT_TIMESTAMPS;
		*at++ = 10;
		store_be32(at, now_ms(s) + c->ts_off);
		store_be32(at + 4, synack ? c->ts_recent : 0);
		at += 8;
	} else if (sack) {
		*at++ = TCPOPT_NOP;
		*at++ = TCPOPT_NOP;
		*at++ = TCPOPT_SACK_PERMITTED;
		*at++ = 2;
	}
	if (scale) {
		*at++ = TCPOPT_NOP;
		*at++ = TCPOPT_WSCALE;
		*at++ = 3;
		*at++ = c->rcv_wscale;
	}
	if (synack)
		at += listen_cookie_write(s, c, at, 40 - (unsigned)(at - ret_opt));
	else if (fastopen_tried(s, c))
		at = put_fastopen(s, c, at, 40 - (unsigned)(at - ret_opt));
	return (unsigned)(at - ret_opt + 3) / 4 * 4;
}

/* --- reading */

/* RFC 3168, 6.1.1: an ECN-setup SYN has both flags, an ECN-setup SYN-ACK has ECE alone. */
static bool is_ecn_setup(const struct seg *g, bool synack)
{
	uint8_t ecn = g->flags & (TCP_ECE | TCP_CWR);

	return ecn == (synack ? TCP_ECE : TCP_ECE | TCP_CWR);
}

/* Of what we offer, what the peer's SYN has too is agreed. */
static void read_flags(struct conn *c, const struct seg *g)
{
	if (!(g->opt.present & OPT_TS))
		c->flags &= ~(uint32_t)CF_TS;
	if (!(g->opt.present & OPT_SACK_PERMITTED))
		c->flags &= ~(uint32_t)CF_SACK;
	if (!(g->opt.present & OPT_WSCALE))
		c->flags &= ~(uint32_t)CF_WSCALE;
	c->snd_wscale = c->flags & CF_WSCALE ? g->opt.wscale : 0;
	if (!(c->flags & CF_WSCALE))
		c->rcv_wscale = 0;
}

static void read_windows(struct stack *s, struct conn *c, const struct seg *g)
{
	uint32_t wnd, told = c->rcv_adv - c->rcv_nxt; /* by our SYN, if that was first */

	c->irs = g->seq;
	c->rcv_nxt = g->seq + 1;
	/* A SYN's window is not scaled, its own or ours (RFC 7323, 2.2). */
	c->snd_wnd = g->wnd;
	c->snd_wnd_max = g->wnd;
	c->snd_wl1 = g->seq;
	c->snd_wl2 = g->ack;
	c->rcv_adv = c->rcv_nxt;
	wnd = recvq_window(s, c);
	if (wnd < told)
		wnd = told; /* SHLD-14 */
	c->rcv_adv += wnd > 0xffff ? 0xffff : wnd;
}

static uint32_t mss_announced(const struct conn *c, const struct seg *g)
{
	uint32_t mss = c->ip == 6 ? 1220 : 536; /* MUST-15 */

	if (g->opt.present & OPT_MSS)
		mss = g->opt.mss;
	return mss < MSS_LEAST ? MSS_LEAST : mss;
}

void negotiate_again(struct stack *s, struct conn *c, const struct seg *g)
{
	uint32_t mss = mss_announced(c, g);

	read_flags(c, g);
	if (!is_ecn_setup(g, false))
		c->flags &= ~(uint32_t)CF_ECN;
	if (mss < c->peer_mss)
		c->peer_mss = mss;
	negotiate_mss(s, c);
}

void negotiate_read(struct stack *s, struct conn *c, const struct seg *g, bool synack)
{
	offer(s, c);
	c->peer_mss = mss_announced(c, g);
	read_flags(c, g);
	c->flags &= ~(uint32_t)CF_ECN;
	if (s->cfg.ecn && is_ecn_setup(g, synack))
		c->flags |= CF_ECN;
	c->no_ect = c->rtx_count >= ECN_SYNS;
	read_windows(s, c, g);
	if (c->flags & CF_TS) {
		c->ts_recent = g->opt.tsval;
		c->ts_recent_at = now_ms(s);
	}
	if (synack && s->cfg.fastopen)
		cookie_learn(s, c, g);
	negotiate_mss(s, c);
}

void negotiate_mss(struct stack *s, struct conn *c)
{
	uint32_t mss = c->peer_mss ? c->peer_mss : c->ip == 6 ? 1220 : 536;
	uint32_t path = c->path_mtu && c->path_mtu < s->cfg.mtu ? c->path_mtu : s->cfg.mtu;

	/* MUST-16; RFC 9293, 3.7.1: the peer's MSS and the path's MTU count headers without options. */
	if (mss > path - headers(c))
		mss = path - headers(c);
	if (c->mss_limit && mss > c->mss_limit)
		mss = c->mss_limit;
	if (c->flags & CF_TS)
		mss = mss > 12 + MSS_LEAST ? mss - 12 : MSS_LEAST;
	c->mss = mss;
	cc_set_mss(&c->cc, mss);
}
