/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

#include <errno.h>

/*
 * Connections that go on without this stack: what they may agree upon with their peers, and how they are taken out.
 *
 * A quiescent point is all that is needed: with nothing of ours unacknowledged, a connection is its two ends, a number each way, what
 * was agreed in the handshake, and what was read from nobody.  Congestion control and RTT begin anew wherever it goes on.
 */

enum { BUF_LEAST = 2048, BUF_MOST = 1 << 30, OFFER_LEAST = 576 };

int stack_listen_limits(struct stack *s, conn_id id, uint32_t rcvbuf, uint8_t wscale)
{
	struct listener *l = listener_by_id(s, id);

	if (l == NULL)
		return -EBADF;
	if (rcvbuf < BUF_LEAST || rcvbuf > BUF_MOST || wscale > TCP_WSCALE_MAX)
		return -EINVAL;
	l->rcvbuf = rcvbuf;
	l->wscale = wscale;
	return 0;
}

void stack_offer(struct stack *s, bool timestamps, bool sack, bool wscale)
{
	s->cfg.no_timestamps = !timestamps;
	s->cfg.no_sack = !sack;
	s->cfg.no_wscale = !wscale;
}

int stack_offer_mtu(struct stack *s, uint32_t mtu)
{
	if (mtu != 0 && mtu < OFFER_LEAST)
		return -EINVAL;
	s->offer_mtu = mtu;
	return 0;
}

/* Can it be taken out? */
static int may_detach(struct conn *c)
{
	int e = -c->error;

	if (e < 0) {
		c->error = 0;
		return e;
	}
	if (c->state != ST_ESTABLISHED && c->state != ST_CLOSE_WAIT)
		return -ENOTCONN;
	return c->snd_una != c->snd_nxt || c->sendq.bytes > 0 ? -EBUSY : 0;
}

static void tell(const struct stack *s, const struct conn *c, struct stack_detached *ret_d)
{
	*ret_d = (struct stack_detached){
		.iss = c->iss,
		.snd_nxt = c->snd_nxt,
		.irs = c->irs,
		.rcv_nxt = c->rcv_nxt,
		.acked = c->last_ack_sent,
		.rcv_adv = c->rcv_adv,
		.snd_wnd = c->snd_wnd,
		.peer_mss = (uint16_t)c->peer_mss,
		.snd_wscale = c->snd_wscale,
		.rcv_wscale = c->rcv_wscale,
		.timestamps = c->flags & CF_TS,
		.sack = c->flags & CF_SACK,
		.wscale = c->flags & CF_WSCALE,
		.ecn = c->flags & CF_ECN,
		.fin_in = c->flags & CF_FIN_IN,
		.tsval = now_ms(s) + c->ts_off,
		.ts_recent = c->ts_recent,
		.unread = c->recvq.unread,
		.kept = c->recvq.unread + c->recvq.ofo.bytes,
	};
	memcpy(ret_d->local.ip, c->quad.laddr, 16);
	memcpy(ret_d->remote.ip, c->quad.raddr, 16);
	ret_d->local.port = c->quad.lport;
	ret_d->remote.port = c->quad.rport;
}

/* What came in order and was not read. */
static void keep_unread(const struct stack *s, const struct conn *c, stack_keep keep, void *ctx)
{
	uint32_t seq = c->rcv_nxt - !!(c->flags & CF_FIN_IN) - c->recvq.unread;
	uint32_t skip = c->recvq.skip;

	for (uint32_t i = c->recvq.first; i != STORE_NONE;) {
		const struct cell *x = store_cell_const(stack_store(s), i);

		keep(ctx, seq, x->bytes + skip, x->len - skip);
		seq += x->len - skip;
		skip = 0;
		i = x->next;
	}
}

/* What lies behind gaps. */
static void keep_behind(const struct stack *s, const struct conn *c, stack_keep keep, void *ctx)
{
	for (uint32_t i = c->recvq.ofo.first; i != STORE_NONE;) {
		const struct cell *x = store_cell_const(stack_store(s), i);

		keep(ctx, x->seq.v, x->bytes, x->len);
		i = x->next;
	}
}

int stack_detach(struct stack *s, conn_id id, stack_keep keep, void *ctx, sut_time now,
		 struct stack_detached *ret_d)
{
	struct conn *c = conn_by_id(s, id);
	int e;

	if (c == NULL || !(c->flags & CF_HELD))
		return -EBADF;
	e = may_detach(c);
	if (e < 0)
		return e;
	s->now = now;
	tell(s, c, ret_d);
	if (keep != NULL) {
		keep_unread(s, c, keep, ctx);
		keep_behind(s, c, keep, ctx);
	}
	stack_bump(s, STACK_DETACHED);
	c->take = NULL;
	c->events = 0;
	c->flags &= ~(uint32_t)(CF_HELD | CF_WANT_WRITE);
	conn_end(s, c, 0, "detached"); /* silent: nobody holds it, so it is freed */
	return 0;
}

/* --- and back */

static void take_numbers(const struct stack *s, struct conn *c, const struct stack_detached *d)
{
	c->iss = d->iss;
	c->snd_una = c->snd_nxt = c->snd_up = d->snd_nxt;
	c->irs = d->irs;
	c->rcv_nxt = c->rcv_up = d->rcv_nxt;
	c->rcv_adv = d->rcv_adv;
	c->last_ack_sent = d->acked;
	c->snd_wnd = c->snd_wnd_max = d->snd_wnd;
	c->snd_wl1 = d->rcv_nxt - 1; /* whatever comes next tells of a newer window */
	c->snd_wl2 = d->snd_nxt;
	c->snd_wscale = d->snd_wscale;
	c->rcv_wscale = d->rcv_wscale;
	c->peer_mss = d->peer_mss;
	c->ts_recent = d->ts_recent;
	c->ts_recent_at = now_ms(s);
	c->ts_off = isn_ts_offset(s, &c->quad);
}

static uint32_t agreed(const struct stack_detached *d)
{
	return (d->timestamps ? CF_TS : 0u) | (d->sack ? CF_SACK : 0u) |
	       (d->wscale ? CF_WSCALE : 0u) | (d->ecn ? CF_ECN : 0u) | (d->fin_in ? CF_FIN_IN : 0u);
}

int stack_attach(struct stack *s, const struct stack_detached *d, uint32_t rcvbuf, uint64_t user,
		 sut_time now, conn_id *ret_c)
{
	struct conn_quad q = { .lport = d->local.port, .rport = d->remote.port };
	struct conn *c;

	memcpy(q.laddr, d->local.ip, 16);
	memcpy(q.raddr, d->remote.ip, 16);
	if (table_find(s, &q) != NULL)
		return -EADDRINUSE;
	s->now = now;
	c = conn_new(s, &q);
	if (c == NULL)
		return -ENOSPC;
	c->user = user;
	c->rcvbuf = rcvbuf;
	c->flags |= CF_HELD | CF_PASSIVE | agreed(d);
	take_numbers(s, c, d);
	negotiate_mss(s, c);
	recovery_begin(c);
	conn_set_state(s, c, d->fin_in ? ST_CLOSE_WAIT : ST_ESTABLISHED, "attached");
	c->flags |= CF_ACK_NOW;
	conn_dirty(s, c);
	*ret_c = conn_id_of(s, c);
	return 0;
}
