/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

#include <errno.h>
#include <limits.h>

/* The application's calls on an open connection: data both ways (RFC 9293, 3.10.2 SEND, 3.10.3 RECEIVE). */

/* The connection that the application holds under this handle; NULL, and *ret_err: it is a listener's, or nobody's. */
static struct conn *held(struct stack *s, conn_id id, int *ret_err)
{
	struct conn *c = conn_by_id(s, id);

	if (c != NULL && (c->flags & CF_HELD))
		return c;
	*ret_err = listener_by_id(s, id) != NULL ? -ENOTCONN : -EBADF;
	return NULL;
}

/* The connection's error, once; 0: none. */
static int error_take(struct conn *c)
{
	int e = c->error;

	c->error = 0;
	return -e;
}

/* --- SEND */

static int may_write(struct conn *c)
{
	int e = error_take(c);

	if (e < 0)
		return e;
	return c->state == ST_CLOSED || (c->flags & CF_SHUT) ? -EPIPE : 0;
}

/* The connection of this handle, if there is one; *ret_e: 0 if it can be written to. */
static struct conn *writer(struct stack *s, conn_id id, int *ret_e)
{
	struct conn *c = held(s, id, ret_e);

	if (c != NULL)
		*ret_e = may_write(c);
	return c;
}

#define REF_MAX (1u << 30)

/* n of len bytes were taken: what follows. */
static int written(struct stack *s, struct conn *c, uint32_t n, size_t len)
{
	if (n < len)
		c->flags |= CF_WANT_WRITE;
	if (c->sendq.bytes > 0)
		cells_wait_off(s, c); /* ACKs will tell it */
	else if (n < len)
		cells_wait(s, c);
	if (n == 0)
		return -EAGAIN;
	c->flags |= CF_PUSH; /* MUST-61 */
	conn_dirty(s, c);
	return (int)n;
}

int stack_write(struct stack *s, conn_id id, const void *bytes, size_t len, sut_time now)
{
	int e = 0;
	struct conn *c = writer(s, id, &e);

	if (e < 0 || len == 0)
		return e;
	s->now = now;
	if (len > INT_MAX)
		len = INT_MAX;
	return written(s, c, sendq_write(s, c, bytes, (uint32_t)len), len);
}

int stack_write_ref(struct stack *s, conn_id id, const void *bytes, size_t len, uint64_t cookie,
		    sut_time now)
{
	int e = 0;
	struct conn *c = writer(s, id, &e);

	if (e < 0)
		return e;
	if (len == 0 || len > REF_MAX)
		return -EINVAL;
	s->now = now;
	return written(s, c, sendq_ref(s, c, bytes, (uint32_t)len, cookie), len);
}

int stack_write_fill(struct stack *s, conn_id id, size_t len, stack_filler fill, void *ctx,
		     sut_time now)
{
	int e = 0, n;
	struct conn *c = writer(s, id, &e);

	if (e < 0 || len == 0)
		return e;
	s->now = now;
	if (len > REF_MAX)
		len = REF_MAX;
	n = sendq_fill(s, c, (uint32_t)len, fill, ctx);
	if (n == -EAGAIN)
		return written(s, c, 0, len);
	if (n <= 0)
		return n < 0 ? n : -EAGAIN;
	/* fill() may have had no more; but where there is no room for more, somebody is to be told when there is. */
	return written(s, c, (uint32_t)n, sendq_room(s, c) == 0 ? len : (uint32_t)n);
}

int stack_write_urgent(struct stack *s, conn_id id, const void *bytes, size_t len, sut_time now)
{
	int e = 0, n;
	struct conn *c = writer(s, id, &e);

	if (e < 0 || len == 0)
		return e;
	s->now = now;
	if (len > INT_MAX)
		len = INT_MAX;
	n = written(s, c, sendq_write(s, c, bytes, (uint32_t)len), len);
	if (n > 0) {
		/* MUST-30, 31; MUST-62: the mark is the first byte behind the urgent ones. */
		uint32_t front = c->snd_una == c->iss ? c->iss + 1 : c->snd_una;

		c->snd_up = front + c->sendq.bytes;
		c->flags |= CF_URG_OUT;
	}
	return n;
}

/* --- RECEIVE */

/* Something to read: 0; else what the call returns, in *ret_n. */
static bool nothing_to_read(struct conn *c, int *ret_n)
{
	if (c->recvq.unread > 0)
		return false;
	*ret_n = error_take(c);
	if (*ret_n == 0 && !(c->flags & CF_FIN_IN) && c->state != ST_CLOSED)
		*ret_n = -EAGAIN;
	return true;
}

/* RFC 9293, 3.8.6.2.2 (MUST-39): the peer is told of a wider window when that is worth a segment. */
static void window_opened(struct stack *s, struct conn *c)
{
	uint32_t told = c->rcv_adv - c->rcv_nxt, now = recvq_window(s, c);
	uint32_t least = c->rcvbuf / 2 < c->mss ? c->rcvbuf / 2 : c->mss;

	if (c->state != ST_ESTABLISHED && c->state != ST_FIN_WAIT_1 && c->state != ST_FIN_WAIT_2)
		return;
	if (now < least || now - told < least)
		return;
	/* While the peer has half of what it could have, the ACKs of what comes next tell it. */
	if (now / 2 >= told || (c->flags & CF_ZERO_WINDOW)) {
		c->flags |= CF_ACK_NOW;
		conn_dirty(s, c);
	}
}

/* The number of the next byte that the application will read. */
static uint32_t read_seq(const struct conn *c)
{
	return c->rcv_nxt - !!(c->flags & CF_FIN_IN) - c->recvq.unread;
}

static void was_read(struct stack *s, struct conn *c)
{
	if ((c->flags & CF_URG_IN) && !before(read_seq(c), c->rcv_up))
		c->flags &= ~(uint32_t)CF_URG_IN;
	window_opened(s, c);
}

uint32_t api_urgent(const struct conn *c)
{
	uint32_t at = read_seq(c);

	return (c->flags & CF_URG_IN) && before(at, c->rcv_up) ? c->rcv_up - at : 0;
}

void api_window(struct stack *s, struct conn *c)
{
	window_opened(s, c);
}

int stack_read(struct stack *s, conn_id id, void *ret_bytes, size_t len, sut_time now)
{
	int n = 0;
	struct conn *c = held(s, id, &n);

	if (c == NULL || len == 0 || nothing_to_read(c, &n))
		return n;
	s->now = now;
	n = (int)recvq_read(s, c, ret_bytes, len > INT_MAX ? INT_MAX : (uint32_t)len, false);
	was_read(s, c);
	return n;
}

int stack_peek(struct stack *s, conn_id id, void *ret_bytes, size_t len)
{
	int n = 0;
	struct conn *c = held(s, id, &n);

	if (c == NULL || len == 0 || nothing_to_read(c, &n))
		return n;
	return (int)recvq_read(s, c, ret_bytes, len > INT_MAX ? INT_MAX : (uint32_t)len, true);
}

int stack_peek_slices(struct stack *s, conn_id id, struct stack_slice *ret_s, unsigned max)
{
	int n = 0;
	struct conn *c = held(s, id, &n);

	if (c == NULL || max == 0 || nothing_to_read(c, &n))
		return n;
	return (int)recvq_slices(s, c, ret_s, max);
}

int stack_consume(struct stack *s, conn_id id, size_t n, sut_time now)
{
	int e = 0;
	struct conn *c = held(s, id, &e);

	if (c == NULL)
		return e;
	if (n > c->recvq.unread)
		return -EINVAL;
	s->now = now;
	recvq_consume(s, c, (uint32_t)n);
	was_read(s, c);
	return 0;
}

int stack_set_take(struct stack *s, conn_id id, conn_take take, void *ctx)
{
	int e = 0;
	struct conn *c = held(s, id, &e);

	if (c == NULL)
		return e;
	c->take = take;
	c->take_ctx = ctx;
	return 0;
}
