/* SPDX-License-Identifier: MIT */
/*
 * serve_echo - the small services: echo (RFC 862), discard (RFC 863), chargen (RFC 864).
 *
 * Echo sends back all that came and then its own FIN: a half-close is echoed too.  Discard takes payload straight out of the packets.  Chargen sends
 * until the peer closes.
 */
#include <errno.h>
#include <string.h>

#include "app/serve_service.h"

/* Echo. */

static void nothing_to_open(struct serve *s, struct serve_conn *c)
{
	(void)s;
	(void)c;
}

static void echo_ready(struct serve *s, struct serve_conn *c)
{
	struct stack *t = serve_stack(s);
	uint8_t *bytes = serve_scratch(s);

	for (;;) {
		int n = stack_peek(t, c->id, bytes, SERVE_SCRATCH), done;

		if (n == -EAGAIN)
			return;
		if (n == 0) {
			serve_finish(s, c);
			return;
		}
		done = n < 0 ? n : stack_write(t, c->id, bytes, (size_t)n, serve_now(s));
		if (done == -EAGAIN)
			return; /* told when there is room: what is not taken stays unread */
		if (done < 0) {
			serve_gone(s, c, done);
			return;
		}
		c->put += (unsigned)done;
		(void)stack_consume(t, c->id, (size_t)done, serve_now(s));
	}
}

/* Discard. */

static uint32_t discard_take(void *ctx, uint64_t user, const uint8_t *bytes, uint32_t len)
{
	struct serve_conn *c = ctx;

	(void)user;
	(void)bytes;
	c->taken += len;
	return len;
}

static void discard_open(struct serve *s, struct serve_conn *c)
{
	(void)stack_set_take(serve_stack(s), c->id, discard_take, c);
}

/* What came before it was taken from the packets; and the end. */
static void discard_ready(struct serve *s, struct serve_conn *c)
{
	int n;

	while ((n = stack_read(serve_stack(s), c->id, serve_scratch(s), SERVE_SCRATCH,
			       serve_now(s))) > 0)
		c->taken += (unsigned)n;
	if (n == 0)
		serve_finish(s, c);
	else if (n != -EAGAIN)
		serve_gone(s, c, n);
}

/* Chargen. */

#define LINE 74u /* 72 characters, CR, LF */
#define CHARS 95u /* printable ones */
#define PERIOD (LINE * CHARS)

/* n bytes of the endless pattern from its place at on. */
static void write_pattern(uint8_t *ret_bytes, uint32_t n, uint32_t at)
{
	for (uint32_t i = 0; i < n; i++, at++) {
		uint32_t column = at % LINE, line = at / LINE;

		ret_bytes[i] = column == 72   ? '\r'
			       : column == 73 ? '\n'
					      : (uint8_t)(' ' + (line + column) % CHARS);
	}
}

static uint32_t ignore(void *ctx, uint64_t user, const uint8_t *bytes, uint32_t len)
{
	(void)ctx;
	(void)user;
	(void)bytes;
	return len;
}

/* What is being sent stays where it is, for as long as connections may refer to it: to the end. */
static uint8_t pattern[SERVE_SCRATCH];

static int chargen_start(struct serve_port *p, const char *arg, char *ret_err, size_t err_size)
{
	(void)p;
	(void)arg;
	(void)ret_err;
	(void)err_size;
	write_pattern(pattern, sizeof pattern, 0);
	return 0;
}

static void chargen_open(struct serve *s, struct serve_conn *c)
{
	(void)stack_set_take(serve_stack(s), c->id, ignore, NULL);
}

static void chargen_ready(struct serve *s, struct serve_conn *c)
{
	struct stack *t = serve_stack(s);
	uint8_t *bytes = serve_scratch(s);
	const uint32_t chunk = SERVE_SCRATCH - PERIOD;
	int n;

	while ((n = stack_read(t, c->id, bytes, SERVE_SCRATCH, serve_now(s))) > 0)
		;
	while (n == -EAGAIN) {
		int done = stack_write_ref(t, c->id, pattern + c->chargen, chunk, 0, serve_now(s));

		if (done == -EAGAIN)
			return;
		if (done < 0)
			n = done;
		else
			c->put += (unsigned)done;
		if (done > 0)
			c->chargen = (c->chargen + (unsigned)done) % PERIOD;
	}
	if (n == 0)
		serve_finish(s, c);
	else
		serve_gone(s, c, n);
}

const struct service service_echo = {
	.name = "echo",
	.help = "send back what comes",
	.open = nothing_to_open,
	.ready = echo_ready,
};

const struct service service_discard = {
	.name = "discard",
	.help = "throw away what comes",
	.open = discard_open,
	.ready = discard_ready,
};

const struct service service_chargen = {
	.name = "chargen",
	.help = "send characters until the peer closes",
	.start = chargen_start,
	.open = chargen_open,
	.ready = chargen_ready,
	.drain = serve_finish,
};
