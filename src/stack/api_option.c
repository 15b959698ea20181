/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

#include <errno.h>

/* Options of a connection, and what is known of it (RFC 9293, 3.10.6 STATUS). */

enum { BUF_LEAST = 2048, BUF_MOST = 1 << 30 };

static struct conn *held(const struct stack *s, conn_id id, int *ret_err)
{
	struct conn *c = conn_by_id(s, id);

	if (c != NULL && (c->flags & CF_HELD))
		return c;
	*ret_err = listener_by_id(s, id) != NULL ? -EOPNOTSUPP : -EBADF;
	return NULL;
}

/* --- setting */

static int set_flag(struct conn *c, uint32_t flag, int64_t value)
{
	if (value != 0 && value != 1)
		return -EINVAL;
	c->flags = value ? c->flags | flag : c->flags & ~flag;
	return 0;
}

static int set_within(uint32_t *to, int64_t value, int64_t least, int64_t most)
{
	if (value < least || value > most)
		return -EINVAL;
	*to = (uint32_t)value;
	return 0;
}

static int set_byte(uint8_t *to, int64_t value, int64_t least, int64_t most)
{
	uint32_t v = 0;
	int e = set_within(&v, value, least, most);

	if (e == 0)
		*to = (uint8_t)v;
	return e;
}

static uint32_t buffer_of(int64_t value)
{
	return value < BUF_LEAST ? BUF_LEAST : value > BUF_MOST ? BUF_MOST : (uint32_t)value;
}

static int set_buffer(struct stack *s, struct conn *c, enum conn_option o, int64_t value)
{
	if (value < 1)
		return -EINVAL;
	if (o == CONNOPT_RCVBUF) {
		c->rcvbuf = buffer_of(value); /* SHLD-14: recvq_window() keeps what was offered */
		api_window(s, c);
		return 0;
	}
	c->sndbuf = buffer_of(value);
	if ((c->flags & CF_WANT_WRITE) && sendq_room(s, c) > 0) {
		c->flags &= ~(uint32_t)CF_WANT_WRITE;
		conn_tell(s, c, CONN_WRITABLE);
	}
	return 0;
}

static int set_keepalive(struct stack *s, struct conn *c, int64_t value)
{
	int e = set_flag(c, CF_KEEPALIVE, value);

	if (e < 0)
		return e;
	if (value)
		timers_heard(s, c);
	else
		timer_off(s, c, T_KEEP);
	return 0;
}

static int set_mss(struct conn *c, int64_t value)
{
	if (c->state != ST_SYN_SENT || c->snd_nxt != c->iss)
		return -EISCONN;
	if (value < 48 || value > UINT16_MAX - 40)
		return -EINVAL;
	c->mss_limit = (uint16_t)value;
	return 0;
}

static int set_cc(struct conn *c, int64_t value)
{
	if (value != STACK_CUBIC && value != STACK_NEWRENO)
		return -EINVAL;
	if (c->cc.algo != value) {
		c->cc.algo = (uint8_t)value;
		cc_ops_of(&c->cc)->init(&c->cc);
	}
	return 0;
}

/* MUST-48, SHLD-21: it may change while the connection lasts. */
static int set_dscp(struct conn *c, int64_t value)
{
	if (value < 0 || value > 63)
		return -EINVAL;
	c->tos = (uint8_t)(value << 2);
	return 0;
}

static int set(struct stack *s, struct conn *c, enum conn_option o, int64_t value)
{
	switch (o) {
	case CONNOPT_NODELAY: /* MUST-17 */
		return set_flag(c, CF_NODELAY, value);
	case CONNOPT_CORK:
		return set_flag(c, CF_CORK, value);
	case CONNOPT_QUICKACK:
		return set_flag(c, CF_QUICKACK, value);
	case CONNOPT_KEEPALIVE: /* MUST-24 */
		return set_keepalive(s, c, value);
	case CONNOPT_KEEP_IDLE_MS: /* MUST-27 */
		return set_within(&c->keep_idle_ms, value, 1, INT32_MAX);
	case CONNOPT_KEEP_INTERVAL_MS:
		return set_within(&c->keep_interval_ms, value, 1, INT32_MAX);
	case CONNOPT_KEEP_COUNT:
		return set_byte(&c->keep_count, value, 1, 127);
	case CONNOPT_USER_TIMEOUT_MS: /* MUST-21 */
		return set_within(&c->user_timeout_ms, value, 0, INT32_MAX);
	case CONNOPT_MSS:
		return set_mss(c, value);
	case CONNOPT_TTL: /* MUST-49 */
		return set_byte(&c->ttl, value, 1, 255);
	case CONNOPT_DSCP:
		return set_dscp(c, value);
	case CONNOPT_CC:
		return set_cc(c, value);
	case CONNOPT_SNDBUF:
	case CONNOPT_RCVBUF:
		return set_buffer(s, c, o, value);
	case CONNOPT_ERROR:
	case CONNOPT_SOFT_ERROR:
	case CONNOPT_URGENT:
		return -EPERM; /* they are told, not set */
	case CONNOPT_COUNT:
		break;
	}
	return -ENOPROTOOPT;
}

int stack_set(struct stack *s, conn_id id, enum conn_option o, int64_t value, sut_time now)
{
	int e = 0;
	struct conn *c = held(s, id, &e);

	if (c == NULL)
		return e;
	s->now = now;
	e = set(s, c, o, value);
	if (e < 0)
		return e;
	if (o == CONNOPT_USER_TIMEOUT_MS)
		timers_user(s, c);
	if (o == CONNOPT_KEEP_IDLE_MS)
		timers_idle(s, c);
	/* What Nagle or a cork kept back may go now. */
	if ((o == CONNOPT_NODELAY || o == CONNOPT_CORK) && c->sendq.bytes > 0)
		conn_dirty(s, c);
	return 0;
}

/* --- getting */

static int64_t once(int16_t *error)
{
	int64_t e = *error;

	*error = 0;
	return e;
}

/* long: a case for each option */
int stack_get(struct stack *s, conn_id id, enum conn_option o, int64_t *ret_value)
{
	int e = 0;
	struct conn *c = held(s, id, &e);

	if (c == NULL)
		return e;
	switch (o) {
	case CONNOPT_NODELAY:
		*ret_value = !!(c->flags & CF_NODELAY);
		return 0;
	case CONNOPT_CORK:
		*ret_value = !!(c->flags & CF_CORK);
		return 0;
	case CONNOPT_QUICKACK:
		*ret_value = !!(c->flags & CF_QUICKACK);
		return 0;
	case CONNOPT_KEEPALIVE:
		*ret_value = !!(c->flags & CF_KEEPALIVE);
		return 0;
	case CONNOPT_KEEP_IDLE_MS:
		*ret_value = c->keep_idle_ms;
		return 0;
	case CONNOPT_KEEP_INTERVAL_MS:
		*ret_value = c->keep_interval_ms;
		return 0;
	case CONNOPT_KEEP_COUNT:
		*ret_value = c->keep_count;
		return 0;
	case CONNOPT_USER_TIMEOUT_MS:
		*ret_value = c->user_timeout_ms;
		return 0;
	case CONNOPT_MSS:
		*ret_value = c->state == ST_SYN_SENT && c->mss_limit ? c->mss_limit : c->mss;
		return 0;
	case CONNOPT_TTL:
		*ret_value = c->ttl;
		return 0;
	case CONNOPT_DSCP:
		*ret_value = c->tos >> 2;
		return 0;
	case CONNOPT_CC:
		*ret_value = c->cc.algo;
		return 0;
	case CONNOPT_SNDBUF:
		*ret_value = c->sndbuf;
		return 0;
	case CONNOPT_RCVBUF:
		*ret_value = c->rcvbuf;
		return 0;
	case CONNOPT_ERROR:
		*ret_value = once(&c->error);
		return 0;
	case CONNOPT_SOFT_ERROR: /* MUST-47 */
		*ret_value = once(&c->soft_error);
		return 0;
	case CONNOPT_URGENT: /* MUST-33 */
		*ret_value = api_urgent(c);
		return 0;
	case CONNOPT_COUNT:
		break;
	}
	return -ENOPROTOOPT;
}

/* --- inspection */

static const char *recovery_name(uint8_t state)
{
	switch ((enum recovery_state)state) {
	case REC_OPEN:
		return "open";
	case REC_DISORDER:
		return "disorder";
	case REC_RECOVERY:
		return "recovery";
	case REC_LOSS:
		return "loss";
	}
	return "?";
}

/* Bytes of the send queue that never went out. */
static uint32_t unsent(const struct conn *c)
{
	uint32_t sent = c->snd_nxt - c->snd_una;

	if (c->snd_una == c->iss && sent > 0)
		sent--; /* the SYN */
	return c->sendq.bytes > sent ? c->sendq.bytes - sent : 0;
}

static void info_ends(const struct stack *s, const struct conn *c, struct conn_info *ret_i)
{
	ret_i->id = conn_id_of(s, c);
	ret_i->user = c->user;
	ret_i->state = (enum conn_state)c->state;
	memcpy(ret_i->local.ip, c->quad.laddr, 16);
	ret_i->local.port = c->quad.lport;
	memcpy(ret_i->remote.ip, c->quad.raddr, 16);
	ret_i->remote.port = c->quad.rport;
	ret_i->timestamps = c->flags & CF_TS;
	ret_i->sack = c->flags & CF_SACK;
	ret_i->wscale = c->flags & CF_WSCALE;
	ret_i->ecn = c->flags & CF_ECN;
	ret_i->fastopen = c->flags & CF_TFO;
	ret_i->snd_wscale = c->snd_wscale;
	ret_i->rcv_wscale = c->rcv_wscale;
}

static void info_numbers(const struct conn *c, struct conn_info *ret_i)
{
	ret_i->bytes_in = c->bytes_in;
	ret_i->bytes_out = c->bytes_out;
	ret_i->retrans_bytes = c->retrans_bytes;
	ret_i->segs_in = c->segs_in;
	ret_i->segs_out = c->segs_out;
	ret_i->retrans_segs = c->retrans_segs;
	ret_i->timeouts = c->timeouts;
	ret_i->iss = c->iss;
	ret_i->irs = c->irs;
	ret_i->snd_una = c->snd_una;
	ret_i->snd_nxt = c->snd_nxt;
	ret_i->rcv_nxt = c->rcv_nxt;
}

static void conn_tells(const struct stack *s, const struct conn *c, sut_time now,
		       struct conn_info *ret_i)
{
	*ret_i = (struct conn_info){ .cc = cc_ops_of(&c->cc)->name,
				     .recovery = recovery_name(c->rec.state) };
	info_ends(s, c, ret_i);
	info_numbers(c, ret_i);
	ret_i->mss = c->mss;
	ret_i->cwnd = c->cc.cwnd;
	ret_i->ssthresh = c->cc.ssthresh;
	ret_i->snd_wnd = c->snd_wnd;
	ret_i->rcv_wnd = c->rcv_adv - c->rcv_nxt;
	ret_i->in_flight = c->rec.in_flight;
	ret_i->unsent = unsent(c);
	ret_i->unread = c->recvq.unread;
	ret_i->ofo = c->recvq.ofo.bytes;
	ret_i->srtt_us = c->rtt.srtt;
	ret_i->rttvar_us = c->rtt.rttvar;
	ret_i->min_rtt_us = c->rtt.min;
	ret_i->rto_us = rtt_rto(&c->rtt);
	ret_i->age = now > c->opened ? now - c->opened : 0;
}

static void listener_tells(const struct stack *s, const struct listener *l, struct conn_info *ret_i)
{
	*ret_i = (struct conn_info){ .id = listener_id_of(s, l),
				     .user = l->user,
				     .local = l->local,
				     .state = ST_LISTEN,
				     .cc = "",
				     .recovery = "" };
}

int stack_info(const struct stack *s, conn_id id, sut_time now, struct conn_info *ret_i)
{
	const struct listener *l = listener_by_id(s, id);
	const struct conn *c = conn_by_id(s, id);

	if (l != NULL)
		listener_tells(s, l, ret_i);
	else if (c != NULL)
		conn_tells(s, c, now, ret_i);
	else
		return -EBADF;
	return 0;
}

bool stack_list(const struct stack *s, uint32_t *cursor, sut_time now, struct conn_info *ret_i)
{
	for (; *cursor < s->cfg.max_conns; ++*cursor) {
		const struct conn *c = conn_at(s, *cursor);

		if (c->gen % 2 == 1) {
			++*cursor;
			conn_tells(s, c, now, ret_i);
			return true;
		}
	}
	for (; *cursor - s->cfg.max_conns < s->cfg.max_listeners; ++*cursor) {
		const struct listener *l = listener_at(s, *cursor - s->cfg.max_conns);

		if (l->gen % 2 == 1) {
			++*cursor;
			listener_tells(s, l, ret_i);
			return true;
		}
	}
	return false;
}
