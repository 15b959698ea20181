/* SPDX-License-Identifier: MIT */
#include "lib/inside.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* The application's calls: those of the pure stack, at the time that the clock tells. */

_Static_assert((int)SUT_READABLE == CONN_READABLE && (int)SUT_WRITABLE == CONN_WRITABLE &&
		       (int)SUT_ACCEPTABLE == CONN_ACCEPTABLE && (int)SUT_ERROR == CONN_ERROR &&
		       (int)SUT_CLOSED == CONN_CLOSED && (int)SUT_URGENT == CONN_URGENT &&
		       (int)SUT_SOFT_ERROR == CONN_SOFT_ERROR,
	       "the same bits");
_Static_assert((int)SUT_OPT_QUICKACK == CONNOPT_QUICKACK && (int)SUT_OPT_CC == CONNOPT_CC &&
		       (int)SUT_OPT_MSS == CONNOPT_MSS && (int)SUT_OPT_ERROR == CONNOPT_ERROR &&
		       (int)SUT_OPT_QUICKACK + 1 == CONNOPT_COUNT,
	       "the same numbers");
_Static_assert((int)SUT_CUBIC == STACK_CUBIC && (int)SUT_NEWRENO == STACK_NEWRENO,
	       "the same numbers");

static struct stack_addr addr_in(const struct sut_addr *a)
{
	struct stack_addr to = { .port = a->port };

	memcpy(to.ip, a->ip, 16);
	return to;
}

static struct sut_addr addr_out(const struct stack_addr *a)
{
	struct sut_addr to = { .port = a->port };

	memcpy(to.ip, a->ip, 16);
	return to;
}

/* --- opening and closing */

int sut_listen(struct sut_stack *s, const struct sut_addr *local, unsigned backlog, uint64_t user,
	       sut_id *ret_l)
{
	struct stack_addr a = addr_in(local);

	return stack_listen(s->pure, &a, backlog, user, ret_l);
}

int sut_accept(struct sut_stack *s, sut_id l, uint64_t user, sut_id *ret_c,
	       struct sut_addr *ret_peer)
{
	struct stack_addr peer;
	int e = stack_accept(s->pure, l, user, ret_c, &peer);

	if (e == 0 && ret_peer != NULL)
		*ret_peer = addr_out(&peer);
	return e;
}

int sut_connect(struct sut_stack *s, const struct sut_addr *local, const struct sut_addr *remote,
		uint64_t user, sut_id *ret_c)
{
	struct stack_addr to = addr_in(remote), from = { .port = 0 };

	if (local != NULL)
		from = addr_in(local);
	return stack_connect(s->pure, local != NULL ? &from : NULL, &to, user, stack_now(s), ret_c);
}

int sut_shutdown(struct sut_stack *s, sut_id c)
{
	return stack_shutdown(s->pure, c, stack_now(s));
}

int sut_close(struct sut_stack *s, sut_id c)
{
	return stack_close(s->pure, c, stack_now(s));
}

int sut_abort(struct sut_stack *s, sut_id c)
{
	return stack_abort(s->pure, c, stack_now(s));
}

/* --- data */

ssize_t sut_write(struct sut_stack *s, sut_id c, const void *bytes, size_t len)
{
	return stack_write(s->pure, c, bytes, len, stack_now(s));
}

ssize_t sut_write_urgent(struct sut_stack *s, sut_id c, const void *bytes, size_t len)
{
	return stack_write_urgent(s->pure, c, bytes, len, stack_now(s));
}

ssize_t sut_write_ref(struct sut_stack *s, sut_id c, const void *bytes, size_t len, uint64_t cookie)
{
	return stack_write_ref(s->pure, c, bytes, len, cookie, stack_now(s));
}

/* The caller's fill(), which knows pieces by another name. */
struct filler {
	sut_fill fill;
	void *ctx;
};

static int fill_room(void *ctx, const struct stack_room *room, unsigned n)
{
	const struct filler *f = ctx;
	struct iovec iov[STACK_SLICES];

	if (n > STACK_SLICES)
		n = STACK_SLICES;
	for (unsigned i = 0; i < n; i++)
		iov[i] = (struct iovec){ room[i].bytes, room[i].len };
	return f->fill(f->ctx, iov, n);
}

ssize_t sut_write_fill(struct sut_stack *s, sut_id c, size_t len, sut_fill fill, void *ctx)
{
	struct filler f = { fill, ctx };

	return stack_write_fill(s->pure, c, len, fill_room, &f, stack_now(s));
}

ssize_t sut_read(struct sut_stack *s, sut_id c, void *ret_bytes, size_t len)
{
	return stack_read(s->pure, c, ret_bytes, len, stack_now(s));
}

ssize_t sut_peek(struct sut_stack *s, sut_id c, void *ret_bytes, size_t len)
{
	return stack_peek(s->pure, c, ret_bytes, len);
}

int sut_peek_iov(struct sut_stack *s, sut_id c, struct iovec *ret_iov, unsigned max)
{
	struct stack_slice slice[STACK_SLICES];
	int n = stack_peek_slices(s->pure, c, slice, max < STACK_SLICES ? max : STACK_SLICES);

	for (int i = 0; i < n; i++)
		ret_iov[i] = (struct iovec){ (void *)(uintptr_t)slice[i].bytes, slice[i].len };
	return n;
}

int sut_consume(struct sut_stack *s, sut_id c, size_t n)
{
	return stack_consume(s->pure, c, n, stack_now(s));
}

int sut_set_take(struct sut_stack *s, sut_id c, sut_take take, void *ctx)
{
	return stack_set_take(s->pure, c, take, ctx);
}

/* --- events and options */

int sut_next(struct sut_stack *s, struct sut_event *ret_e)
{
	struct conn_ready r;

	if (!stack_next(s->pure, &r))
		return 0;
	*ret_e = (struct sut_event){ r.id, r.user, r.events };
	return 1;
}

static bool is_option(enum sut_option o)
{
	return (unsigned)o < (unsigned)CONNOPT_COUNT;
}

int sut_set(struct sut_stack *s, sut_id c, enum sut_option o, int64_t value)
{
	if (!is_option(o))
		return -ENOPROTOOPT;
	return stack_set(s->pure, c, (enum conn_option)o, value, stack_now(s));
}

int sut_get(struct sut_stack *s, sut_id c, enum sut_option o, int64_t *ret_value)
{
	if (!is_option(o))
		return -ENOPROTOOPT;
	return stack_get(s->pure, c, (enum conn_option)o, ret_value);
}
