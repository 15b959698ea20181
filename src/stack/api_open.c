/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

#include <errno.h>

#include "proto/ip.h"

/* The application's calls that open and close (RFC 9293, 3.10.1 OPEN, 3.10.4 CLOSE, 3.10.5 ABORT). */

/* --- addresses */

/* MUST-44: the address of ours in remote's network, else the first of its family; NULL: none. */
static const uint8_t *source_for(const struct stack *s, const uint8_t remote[16])
{
	const uint8_t *first = NULL;

	for (unsigned i = 0; i < s->cfg.nets; i++) {
		const struct stack_net *n = &s->cfg.net[i];

		if (ip_is_mapped(n->ip) != ip_is_mapped(remote))
			continue;
		if (ip_same_net(n->ip, remote, n->prefix))
			return n->ip;
		if (first == NULL)
			first = n->ip;
	}
	return first;
}

/* --- OPEN, passive */

static struct listener *slot_free(const struct stack *s)
{
	for (uint32_t i = 0; i < s->cfg.max_listeners; i++) {
		if (listener_at(s, i)->gen % 2 == 0)
			return listener_at(s, i);
	}
	return NULL;
}

static bool is_taken(const struct stack *s, const struct stack_addr *local)
{
	for (uint32_t i = 0; i < s->cfg.max_listeners; i++) {
		const struct listener *l = listener_at(s, i);

		/* MUST-42: others may listen on the same port with another address. */
		if (l->gen % 2 == 1 && l->local.port == local->port &&
		    memcmp(l->local.ip, local->ip, 16) == 0)
			return true;
	}
	return false;
}

/* MUST-43: one address of ours, or any, or any IPv4 one (where there is one). */
static bool can_listen_on(const struct stack *s, const uint8_t ip[16])
{
	if (addr_is_ours(s, ip) || ip_is_zero(ip))
		return true;
	if (!addr_is_any4(ip))
		return false;
	for (unsigned i = 0; i < s->cfg.nets; i++) {
		if (ip_is_mapped(s->cfg.net[i].ip))
			return true;
	}
	return false;
}

int stack_listen(struct stack *s, const struct stack_addr *local, unsigned backlog, uint64_t user,
		 conn_id *ret_l)
{
	struct listener *l = slot_free(s);

	if (local->port == 0 || backlog == 0)
		return -EINVAL;
	if (!can_listen_on(s, local->ip))
		return -EADDRNOTAVAIL;
	if (is_taken(s, local))
		return -EADDRINUSE;
	if (l == NULL)
		return -ENOSPC;
	/* It may still stand in the ready list: that membership stays. */
	l->gen++;
	l->local = *local;
	l->user = user;
	l->rcvbuf = 0;
	l->wscale = 0;
	l->backlog = backlog;
	l->waiting = 0;
	l->half_open = 0;
	l->first = CONN_NONE;
	l->last = CONN_NONE;
	l->events = 0;
	s->used_listeners++;
	*ret_l = listener_id_of(s, l);
	return 0;
}

int stack_accept(struct stack *s, conn_id id, uint64_t user, conn_id *ret_c,
		 struct stack_addr *ret_peer)
{
	struct listener *l = listener_by_id(s, id);
	struct conn *c;

	if (l == NULL)
		return conn_by_id(s, id) != NULL ? -EINVAL : -EBADF;
	if (l->waiting == 0)
		return -EAGAIN;
	c = conn_at(s, l->first);
	l->first = c->next_wait;
	if (l->first == CONN_NONE)
		l->last = CONN_NONE;
	l->waiting--;
	c->flags &= ~(uint32_t)CF_WAITS;
	c->flags |= CF_HELD;
	c->next_wait = CONN_NONE;
	c->parent = CONN_NONE;
	c->user = user;
	*ret_c = conn_id_of(s, c);
	memcpy(ret_peer->ip, c->quad.raddr, 16);
	ret_peer->port = c->quad.rport;
	/* What happened while it waited. */
	if (c->recvq.unread > 0 || (c->flags & CF_FIN_IN))
		conn_tell(s, c, CONN_READABLE);
	if (c->flags & CF_URG_IN)
		conn_tell(s, c, CONN_URGENT);
	conn_tell(s, c, CONN_WRITABLE);
	return 0;
}

/* --- OPEN, active */

/* The quad of a connection to be opened, but for an ephemeral port; 0, or -errno. */
static int quad_of(const struct stack *s, const struct stack_addr *local,
		   const struct stack_addr *remote, struct conn_quad *ret_q)
{
	const uint8_t *from = source_for(s, remote->ip);

	if (!addr_is_peer(s, remote->ip) || remote->port == 0)
		return -EINVAL;
	if (from == NULL)
		return -ENETUNREACH;
	if (local != NULL && !ip_is_zero(local->ip)) {
		if (!addr_is_any4(local->ip) && !addr_is_ours(s, local->ip))
			return -EADDRNOTAVAIL;
		if (ip_is_mapped(local->ip) != ip_is_mapped(remote->ip))
			return -EINVAL;
		if (!addr_is_any4(local->ip))
			from = local->ip;
	}
	*ret_q = (struct conn_quad){ .lport = local != NULL ? local->port : 0,
				     .rport = remote->port };
	memcpy(ret_q->laddr, from, 16); /* MUST-45: it stays in the quad */
	memcpy(ret_q->raddr, remote->ip, 16);
	return 0;
}

int stack_connect(struct stack *s, const struct stack_addr *local, const struct stack_addr *remote,
		  uint64_t user, sut_time now, conn_id *ret_c)
{
	struct conn_quad q;
	struct conn *c;
	int e = quad_of(s, local, remote, &q);

	if (e < 0)
		return e;
	s->now = now;
	if (q.lport == 0)
		q.lport = table_port(s, &q);
	else if (table_find(s, &q) != NULL)
		return -EADDRINUSE;
	if (q.lport == 0)
		return -EAGAIN;
	c = conn_new(s, &q);
	if (c == NULL)
		return -ENOSPC;
	c->user = user;
	c->flags |= CF_HELD;
	c->iss = isn_make(s, &q);
	c->ts_off = isn_ts_offset(s, &q);
	c->snd_una = c->iss;
	c->snd_nxt = c->iss;
	c->snd_up = c->iss;
	conn_set_state(s, c, ST_SYN_SENT, "connect");
	conn_dirty(s, c);
	*ret_c = conn_id_of(s, c);
	return 0;
}

/* --- CLOSE and ABORT */

/* The connections that came through this listener and that nobody has accepted end with a reset. */
static void listener_end(struct stack *s, struct listener *l)
{
	uint32_t self = (uint32_t)(l - listener_at(s, 0));

	for (uint32_t i = 0; i < s->fresh_conn && (l->waiting > 0 || l->half_open > 0); i++) {
		struct conn *c = conn_at(s, i);

		if (c->gen % 2 == 0 || c->parent != self || (c->flags & CF_HELD))
			continue;
		reply_abort(s, c);
		conn_end(s, c, 0, "listener closed");
	}
	l->gen++;
	l->events = 0;
	s->used_listeners--;
}

/* The handle is void. */
static void let_go(struct stack *s, struct conn *c)
{
	cells_wait_off(s, c);
	c->flags &= ~(uint32_t)(CF_HELD | CF_WANT_WRITE);
	c->flags |= CF_NO_READ;
	c->take = NULL;
	c->events = 0;
}

/* A FIN behind what was written: see parts.h. */
static void shut(struct stack *s, struct conn *c, const char *why)
{
	if (c->flags & CF_SHUT)
		return;
	c->flags |= CF_SHUT;
	if (c->state == ST_ESTABLISHED)
		conn_set_state(s, c, ST_FIN_WAIT_1, why);
	else if (c->state == ST_CLOSE_WAIT)
		conn_set_state(s, c, ST_LAST_ACK, why);
	conn_dirty(s, c);
}

int stack_shutdown(struct stack *s, conn_id id, sut_time now)
{
	struct conn *c = conn_by_id(s, id);

	if (c == NULL || !(c->flags & CF_HELD))
		return listener_by_id(s, id) != NULL ? -ENOTCONN : -EBADF;
	if (c->state == ST_CLOSED)
		return -ENOTCONN;
	s->now = now;
	shut(s, c, "shutdown");
	return 0;
}

/* Has something come that the application will never see? */
static bool loses_data(const struct conn *c)
{
	return c->state != ST_TIME_WAIT && (c->recvq.unread > 0 || c->recvq.ofo.bytes > 0);
}

static void conn_close(struct stack *s, struct conn *c)
{
	let_go(s, c);
	if (c->state == ST_CLOSED) {
		conn_free(s, c);
	} else if (loses_data(c)) { /* SHLD-3 */
		reply_abort(s, c);
		conn_end(s, c, 0, "close with unread data");
	} else if (c->state == ST_SYN_SENT && c->sendq.bytes == 0) {
		conn_end(s, c, 0, "close");
	} else {
		if (c->state == ST_TIME_WAIT)
			recvq_clear(s, c); /* what is unread is not to take memory for two MSL */
		if (c->state == ST_FIN_WAIT_2)
			timer_set(s, c, T_WAIT, s->now + s->cfg.linger_fin_wait_2);
		shut(s, c, "close");
	}
}

int stack_close(struct stack *s, conn_id id, sut_time now)
{
	struct listener *l = listener_by_id(s, id);
	struct conn *c = conn_by_id(s, id);

	if (l == NULL && (c == NULL || !(c->flags & CF_HELD)))
		return -EBADF;
	s->now = now;
	if (l != NULL)
		listener_end(s, l);
	else
		conn_close(s, c);
	return 0;
}

int stack_abort(struct stack *s, conn_id id, sut_time now)
{
	struct conn *c = conn_by_id(s, id);

	if (c == NULL || !(c->flags & CF_HELD))
		return stack_close(s, id, now);
	s->now = now;
	let_go(s, c);
	switch ((enum conn_state)c->state) {
	case ST_SYN_RECEIVED:
	case ST_ESTABLISHED:
	case ST_FIN_WAIT_1:
	case ST_FIN_WAIT_2:
	case ST_CLOSE_WAIT:
		reply_abort(s, c);
		break;
	case ST_CLOSED:
		conn_free(s, c);
		return 0;
	case ST_LISTEN:
	case ST_SYN_SENT:
	case ST_CLOSING:
	case ST_LAST_ACK:
	case ST_TIME_WAIT:
		break;
	}
	conn_end(s, c, 0, "abort");
	return 0;
}
