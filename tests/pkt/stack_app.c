/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A message is "[FLOW:] CALL WORD...". The flow says which connection is meant, and names its ends: the stack is the flow's
 * destination. A table gives the function of each call; it makes the call, and answers once, the flow's name in front.
 *
 * What is written is the flow's stream, as the script's packets have it; what is read is compared with the peer's.
 */
#include "stack_role.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lex.h"
#include "seg.h"

/* A call under way. */
struct call {
	struct stack_role *r;
	struct lex l;
	unsigned flow;
	struct app_conn *c; /* of the flow */
	sut_time now;
};

#define LISTENER_USER 1000u

static const char *errno_name(int err)
{
	static const struct {
		int err;
		const char *name;
	} names[] = {
		{ EAGAIN, "EAGAIN" },
		{ EBADF, "EBADF" },
		{ EINVAL, "EINVAL" },
		{ ENOSPC, "ENOSPC" },
		{ EPIPE, "EPIPE" },
		{ ENOTCONN, "ENOTCONN" },
		{ EISCONN, "EISCONN" },
		{ EADDRINUSE, "EADDRINUSE" },
		{ EADDRNOTAVAIL, "EADDRNOTAVAIL" },
		{ ENETUNREACH, "ENETUNREACH" },
		{ EHOSTUNREACH, "EHOSTUNREACH" },
		{ ECONNREFUSED, "ECONNREFUSED" },
		{ ECONNRESET, "ECONNRESET" },
		{ ECONNABORTED, "ECONNABORTED" },
		{ ETIMEDOUT, "ETIMEDOUT" },
		{ ENOBUFS, "ENOBUFS" },
		{ ENOMEM, "ENOMEM" },
		{ EMSGSIZE, "EMSGSIZE" },
		{ EOPNOTSUPP, "EOPNOTSUPP" },
		{ ENOPROTOOPT, "ENOPROTOOPT" },
		{ EPROTO, "EPROTO" },
		{ EACCES, "EACCES" },
	};
	static char other[16];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].err == err)
			return names[i].name;
	snprintf(other, sizeof other, "%d", err);
	return other;
}

static SUT_PRINTF(3, 4) void say(struct stack_role *r, unsigned flow, const char *fmt, ...)
{
	char text[512];
	int n = 0;
	va_list ap;

	if (flow < r->cfg.flows && r->cfg.flow[flow].name[0])
		n = snprintf(text, sizeof text, "%s: ", r->cfg.flow[flow].name);
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
	va_end(ap);
	stack_role_say(r, text);
}

/* "ok", "ok N", or "error NAME" for a result below 0. */
static void answer(const struct call *c, int64_t result)
{
	if (result < 0)
		say(c->r, c->flow, "error %s", errno_name((int)-result));
	else
		say(c->r, c->flow, "ok %lld", (long long)result);
}

static void answer_done(const struct call *c, int result)
{
	if (result < 0)
		answer(c, result);
	else
		say(c->r, c->flow, "ok");
}

static void misused(const struct call *c, const char *how)
{
	say(c->r, c->flow, "misused: %s", how);
}

/* The end of this direction of a flow. */
static struct stack_addr end_of(const struct conn *f, enum conn_dir d)
{
	struct stack_addr a = { .port = f->port[d] };

	memcpy(a.ip, f->addr[d], sizeof a.ip);
	return a;
}

static bool same_end(const struct conn *f, enum conn_dir d, const struct stack_addr *a)
{
	return f->port[d] == a->port && memcmp(f->addr[d], a->ip, sizeof a->ip) == 0;
}

unsigned stack_app_flow(const struct stack_role *r, const struct stack_addr *local,
			const struct stack_addr *remote)
{
	unsigned i = 0;

	while (i < r->cfg.flows && (!same_end(&r->cfg.flow[i], FROM_SOURCE, remote) ||
				    !same_end(&r->cfg.flow[i], FROM_DESTINATION, local)))
		i++;
	return i;
}

/* The listener's PORT, or the first listener. */
static struct app_listener *named_listener(struct call *c)
{
	uint64_t port;

	if (!lex_num_max(&c->l, 65535, &port))
		return &c->r->listener[0];
	for (unsigned i = 0; i < STACK_ROLE_LISTENERS; i++)
		if (c->r->listener[i].port == port)
			return &c->r->listener[i];
	return NULL;
}

/* --- options */

static const char *const option_names[CONNOPT_COUNT] = {
	[CONNOPT_NODELAY] = "nodelay",
	[CONNOPT_CORK] = "cork",
	[CONNOPT_KEEPALIVE] = "keepalive",
	[CONNOPT_KEEP_IDLE_MS] = "keep-idle",
	[CONNOPT_KEEP_INTERVAL_MS] = "keep-interval",
	[CONNOPT_KEEP_COUNT] = "keep-count",
	[CONNOPT_USER_TIMEOUT_MS] = "user-timeout",
	[CONNOPT_MSS] = "mss",
	[CONNOPT_TTL] = "ttl",
	[CONNOPT_DSCP] = "dscp",
	[CONNOPT_CC] = "cc",
	[CONNOPT_SNDBUF] = "sndbuf",
	[CONNOPT_RCVBUF] = "rcvbuf",
	[CONNOPT_ERROR] = "error",
	[CONNOPT_SOFT_ERROR] = "soft-error",
	[CONNOPT_URGENT] = "urgent",
	[CONNOPT_QUICKACK] = "quickack",
};

static bool option(struct lex *l, enum conn_option *ret_o)
{
	for (unsigned i = 0; i < CONNOPT_COUNT; i++)
		if (option_names[i] && lex_word(l, option_names[i])) {
			*ret_o = (enum conn_option)i;
			return true;
		}
	return false;
}

/* "OPTION VALUE"; 1: there is none. */
static int set_option(struct call *c, conn_id id)
{
	enum conn_option o;
	uint64_t n;

	if (!option(&c->l, &o) || !lex_num(&c->l, &n))
		return 1;
	return stack_set(c->r->s, id, o, (int64_t)n, c->now);
}

static void call_set(struct call *c)
{
	int err = set_option(c, c->c->id);

	if (err > 0)
		misused(c, "set OPTION VALUE");
	else
		answer_done(c, err);
}

static void call_get(struct call *c)
{
	enum conn_option o;
	int64_t v = 0;
	int err;

	if (!option(&c->l, &o)) {
		misused(c, "get OPTION");
		return;
	}
	err = stack_get(c->r->s, c->c->id, o, &v);
	if (err == 0 && (o == CONNOPT_ERROR || o == CONNOPT_SOFT_ERROR) && v > 0)
		say(c->r, c->flow, "ok %s", errno_name((int)v));
	else
		answer(c, err < 0 ? err : v);
}

/* "with OPTION VALUE ...": false and an answer if one was refused. */
static bool with_options(struct call *c, conn_id id)
{
	int err;

	if (!lex_word(&c->l, "with"))
		return true;
	while ((err = set_option(c, id)) == 0)
		;
	if (err < 0)
		answer(c, err);
	return err > 0;
}

/* --- opening */

/* "listen PORT [on ADDRESS] [backlog N] [with OPTION VALUE ...]" */
static void call_listen(struct call *c)
{
	struct stack_addr at = { .port = 0 };
	uint64_t port = 0, backlog = 8;
	unsigned i = 0;
	bool ip6;
	int err;

	while (i < STACK_ROLE_LISTENERS && c->r->listener[i].id != 0)
		i++;
	if (i == STACK_ROLE_LISTENERS || !lex_num_max(&c->l, 65535, &port) ||
	    (lex_word(&c->l, "on") && !addr_parse(&c->l, at.ip, &ip6)) ||
	    (lex_word(&c->l, "backlog") && !lex_num(&c->l, &backlog))) {
		misused(c, "listen PORT [on ADDRESS] [backlog N] [with OPTION VALUE ...]");
		return;
	}
	at.port = (uint16_t)port;
	err = stack_listen(c->r->s, &at, (unsigned)backlog, LISTENER_USER + i,
			   &c->r->listener[i].id);
	c->r->listener[i].port = at.port;
	if (err != 0 || with_options(c, c->r->listener[i].id))
		answer_done(c, err);
}

static void call_unlisten(struct call *c)
{
	struct app_listener *l = named_listener(c);

	if (l)
		answer_done(c, stack_close(c->r->s, l->id, c->now));
	else
		misused(c, "unlisten [PORT]");
}

/* Which flow is this connection's? */
static unsigned flow_of(struct stack_role *r, conn_id id)
{
	struct conn_info i;

	return stack_info(r->s, id, r->cfg.start, &i) == 0 ? stack_app_flow(r, &i.local, &i.remote)
							   : r->cfg.flows;
}

/* "accept [PORT]": "ok", the flow's name in front. */
static void call_accept(struct call *c)
{
	struct app_listener *l = named_listener(c);
	struct stack_addr peer;
	conn_id id;
	int err;

	if (!l || c->r->users == STACK_ROLE_USERS) {
		misused(c, "accept [PORT]");
		return;
	}
	err = stack_accept(c->r->s, l->id, c->r->users + 1, &id, &peer);
	if (err < 0) {
		answer(c, err);
		return;
	}
	c->flow = flow_of(c->r, id);
	if (c->flow == c->r->cfg.flows || memcmp(peer.ip, c->r->cfg.flow[c->flow].addr[0], 16) != 0)
		misused(c, "what was accepted is none of the script's flows");
	else
		answer_done(c, 0);
	if (c->flow < c->r->cfg.flows) {
		c->r->conn[c->flow] = (struct app_conn){ .id = id };
		c->r->user_flow[c->r->users++] = (uint8_t)c->flow;
	}
}

/* --- data */

/* Is the byte at place off (the first byte is 0) of what the peer sends (or we) right? */
static uint8_t pattern(const struct call *c, enum conn_dir d, uint32_t off)
{
	return stream_byte(2 * c->flow + d, off + 1);
}

/* The length of "N", or of "text WORDS": the bytes are put to buf. */
static uint32_t to_write(struct call *c, uint32_t at)
{
	uint8_t *b = c->r->buf;
	uint64_t n;

	if (lex_word(&c->l, "text")) {
		lex_end(&c->l);
		n = strlen(c->l.p);
		memcpy(b, c->l.p, n);
		c->l.p += n;
		return (uint32_t)n;
	}
	if (!lex_num_max(&c->l, STACK_ROLE_BYTES, &n))
		return 0;
	for (uint32_t i = 0; i < n; i++)
		b[i] = pattern(c, FROM_DESTINATION, at + i);
	return (uint32_t)n;
}

static int write_bytes(struct call *c,
		       int (*write)(struct stack *, conn_id, const void *, size_t, sut_time))
{
	uint32_t n = to_write(c, c->c->written);
	int done = write(c->r->s, c->c->id, c->r->buf, n, c->now);

	if (done > 0)
		c->c->written += (uint32_t)done;
	return done;
}

static void call_write(struct call *c)
{
	answer(c, write_bytes(c, stack_write));
}

/* The bytes stay in the role, where nothing changes them. */
static int write_ref(struct stack *s, conn_id id, const void *bytes, size_t len, sut_time now)
{
	return stack_write_ref(s, id, bytes, len, 0, now);
}

static void call_write_ref(struct call *c)
{
	struct stack_role *r = c->r;
	uint32_t n = to_write(c, c->c->written);
	int done;

	if (n > STACK_ROLE_REFS - r->lent) {
		misused(c, "no room for so many bytes");
		return;
	}
	memcpy(r->refs + r->lent, r->buf, n);
	done = write_ref(r->s, c->c->id, r->refs + r->lent, n, c->now);
	if (done > 0) {
		c->c->written += (uint32_t)done;
		r->lent += (uint32_t)done;
	}
	answer(c, done);
}

static int fill(void *ctx, const struct stack_room *room, unsigned n)
{
	const uint8_t *from = ctx;
	uint32_t done = 0;

	for (unsigned i = 0; i < n; i++) {
		memcpy(room[i].bytes, from + done, room[i].len);
		done += room[i].len;
	}
	return (int)done;
}

static int write_fill(struct stack *s, conn_id id, const void *bytes, size_t len, sut_time now)
{
	return stack_write_fill(s, id, len, fill, (void *)(uintptr_t)bytes, now);
}

static void call_write_fill(struct call *c)
{
	answer(c, write_bytes(c, write_fill));
}

static void call_write_urgent(struct call *c)
{
	answer(c, write_bytes(c, stack_write_urgent));
}

/* "connect [to ADDRESS:PORT] [from any] [with OPTION VALUE ...] [write N]": the ends are the flow's otherwise. */
static void call_connect(struct call *c)
{
	struct stack_addr local = { .port = 0 }, remote = { .port = 0 };
	const struct stack_addr *from = &local;
	uint64_t port = 0;
	bool ip6;
	int err;

	if (c->flow < c->r->cfg.flows) {
		local = end_of(&c->r->cfg.flow[c->flow], FROM_DESTINATION);
		remote = end_of(&c->r->cfg.flow[c->flow], FROM_SOURCE);
	}
	if (lex_word(&c->l, "to")) {
		if (!addr_parse(&c->l, remote.ip, &ip6) || !lex_sym(&c->l, ":") ||
		    !lex_num_max(&c->l, 65535, &port)) {
			misused(c, "connect to ADDRESS:PORT");
			return;
		}
		remote.port = (uint16_t)port;
		from = NULL;
	}
	if (lex_word(&c->l, "anywhere")) /* the port is ours, the address is chosen (MUST-44) */
		memset(local.ip, 0, sizeof local.ip);
	*c->c = (struct app_conn){ 0 };
	c->r->user_flow[c->r->users++ % STACK_ROLE_USERS] = (uint8_t)c->flow;
	err = stack_connect(c->r->s, from, &remote, c->r->users, c->now, &c->c->id);
	if (err != 0 || !with_options(c, c->c->id)) {
		if (err != 0)
			answer(c, err);
		return;
	}
	if (lex_word(&c->l, "write"))
		call_write(c);
	else
		answer_done(c, 0);
}

/* Says what came: how many bytes, or how they are wrong; or the bytes themselves. */
static void answer_bytes(const struct call *c, int64_t n, uint32_t at, bool as_text)
{
	if (n <= 0) {
		answer(c, n);
		return;
	}
	if (as_text) {
		say(c->r, c->flow, "text %.*s", (int)n, (const char *)c->r->buf);
		return;
	}
	for (uint32_t i = 0; i < (uint64_t)n; i++)
		if (c->r->buf[i] != pattern(c, FROM_SOURCE, at + i)) {
			say(c->r, c->flow, "ok %lld, but byte %u of the stream is wrong",
			    (long long)n, at + i);
			return;
		}
	answer(c, n);
}

static uint32_t wanted(struct call *c, bool *ret_text)
{
	uint64_t n;

	*ret_text = lex_word(&c->l, "text");
	return lex_num_max(&c->l, STACK_ROLE_BYTES, &n) ? (uint32_t)n : 0;
}

/* "read [text] N" */
static void call_read(struct call *c)
{
	bool text;
	uint32_t n = wanted(c, &text), at = c->c->read;
	int got = stack_read(c->r->s, c->c->id, c->r->buf, n, c->now);

	if (got > 0)
		c->c->read += (uint32_t)got;
	answer_bytes(c, got, at, text);
}

static void call_peek(struct call *c)
{
	bool text;
	uint32_t n = wanted(c, &text);

	answer_bytes(c, stack_peek(c->r->s, c->c->id, c->r->buf, n), c->c->read, text);
}

/* "slices N": all bytes of up to N slices. */
static void call_slices(struct call *c)
{
	struct stack_slice s[64];
	uint32_t at = 0;
	bool text;
	uint32_t max = wanted(c, &text);
	int n = stack_peek_slices(c->r->s, c->c->id, s, max < 64 ? max : 64);

	for (int i = 0; i < n && at + s[i].len <= STACK_ROLE_BYTES; i++) {
		memcpy(c->r->buf + at, s[i].bytes, s[i].len);
		at += s[i].len;
	}
	answer_bytes(c, n < 0 ? n : (int64_t)at, c->c->read, text);
}

static void call_consume(struct call *c)
{
	bool text;
	uint32_t n = wanted(c, &text);
	int err = stack_consume(c->r->s, c->c->id, n, c->now);

	if (err >= 0)
		c->c->read += n;
	answer_done(c, err);
}

/* Straight from a packet: the bytes are checked, and told of. */
static uint32_t take(void *ctx, uint64_t user, const uint8_t *bytes, uint32_t len)
{
	struct stack_role *r = ctx;
	struct call c = { .r = r, .flow = r->user_flow[(user - 1) % STACK_ROLE_USERS] };
	struct app_conn *a = &r->conn[c.flow];
	uint32_t n = len < a->take ? len : a->take;
	unsigned wrong = 0;

	for (uint32_t i = 0; i < n; i++)
		wrong += bytes[i] != pattern(&c, FROM_SOURCE, a->read + i);
	a->read += n;
	say(r, c.flow, wrong ? "took %u of %u, %u wrong" : "took %u of %u", n, len, wrong);
	return n;
}

static void call_take(struct call *c)
{
	bool text;

	c->c->take = wanted(c, &text);
	answer_done(c, stack_set_take(c->r->s, c->c->id, c->c->take ? take : NULL, c->r));
}

/* --- closing */

static void call_shutdown(struct call *c)
{
	answer_done(c, stack_shutdown(c->r->s, c->c->id, c->now));
}

static void call_close(struct call *c)
{
	answer_done(c, stack_close(c->r->s, c->c->id, c->now));
}

static void call_abort(struct call *c)
{
	answer_done(c, stack_abort(c->r->s, c->c->id, c->now));
}

/* --- the rest */

static void call_mtu(struct call *c)
{
	bool text;

	answer_done(c, stack_set_mtu(c->r->s, wanted(c, &text)));
}

/* "refuse N": the device takes none of the next N packets. */
static void call_refuse(struct call *c)
{
	bool text;

	c->r->refuse = wanted(c, &text);
	answer_done(c, 0);
}

/* `set flush-calls`: nothing else flushes; it says nothing, packets do. */
static void call_flush(struct call *c)
{
	c->r->owed = false;
	stack_flush(c->r->s, c->now);
}

static void call_count(struct call *c)
{
	for (unsigned i = 0; i < STACK_COUNTER_COUNT; i++)
		if (lex_word(&c->l, stack_counter_label((enum stack_counter)i))) {
			answer(c, (int64_t)stack_count(c->r->s, (enum stack_counter)i));
			return;
		}
	misused(c, "count COUNTER");
}

static void call_usage(struct call *c)
{
	struct stack_usage u;

	stack_usage(c->r->s, &u);
	say(c->r, STACK_ROLE_FLOWS,
	    "ok conns %u half-open %u time-wait %u listeners %u cells %u records %u ofo %llu",
	    u.conns, u.half_open, u.time_wait, u.listeners, u.cells, u.records,
	    (unsigned long long)u.ofo_bytes);
}

static const struct {
	const char *name;
	void (*make)(struct call *c);
} calls[] = {
	{ "listen", call_listen },
	{ "unlisten", call_unlisten },
	{ "accept", call_accept },
	{ "connect", call_connect },
	{ "write", call_write },
	{ "write-urgent", call_write_urgent },
	{ "write-ref", call_write_ref },
	{ "write-fill", call_write_fill },
	{ "read", call_read },
	{ "peek", call_peek },
	{ "slices", call_slices },
	{ "consume", call_consume },
	{ "take", call_take },
	{ "shutdown", call_shutdown },
	{ "close", call_close },
	{ "abort", call_abort },
	{ "set", call_set },
	{ "get", call_get },
	{ "mtu", call_mtu },
	{ "refuse", call_refuse },
	{ "flush", call_flush },
	{ "count", call_count },
	{ "usage", call_usage },
};

/* "NAME:" of a flow, else the first one. */
static unsigned named_flow(const struct stack_role *r, struct lex *l)
{
	struct lex was = *l;
	char name[CONN_NAME_MAX];

	if (lex_name(l, name, sizeof name) && lex_sym(l, ":"))
		for (unsigned i = 0; i < r->cfg.flows; i++)
			if (strcmp(r->cfg.flow[i].name, name) == 0)
				return i;
	*l = was;
	return 0;
}

void stack_app_call(struct stack_role *r, const char *text, sut_time now)
{
	struct call c = { .r = r, .l = { text }, .now = now };

	c.flow = named_flow(r, &c.l);
	c.c = &r->conn[c.flow];
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
		if (lex_word(&c.l, calls[i].name)) {
			calls[i].make(&c);
			if (!lex_end(&c.l))
				misused(&c, c.l.p);
			return;
		}
	misused(&c, "no such call");
}

/* The flow of the connection that the application calls so; none for a listener. */
static unsigned flow_of_user(const struct stack_role *r, uint64_t user)
{
	return user > 0 && user <= r->users ? r->user_flow[user - 1] : STACK_ROLE_FLOWS;
}

void stack_app_events(struct stack_role *r)
{
	static const char *const names[] = {
		"readable", "writable", "acceptable", "error", "closed", "urgent", "soft-error",
	};
	static const uint32_t shown[] = {
		[EVENTS_ENDS] = CONN_ERROR | CONN_CLOSED | CONN_URGENT | CONN_SOFT_ERROR,
		[EVENTS_ALL] = UINT32_MAX,
		[EVENTS_NONE] = 0,
	};
	struct conn_ready e;

	while (stack_next(r->s, &e)) {
		uint32_t events = e.events & shown[r->cfg.events];
		char text[128] = "event";
		size_t n = strlen(text);

		for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
			if (events >> i & 1)
				n += (size_t)snprintf(text + n, sizeof text - n, " %s", names[i]);
		if (events)
			say(r, flow_of_user(r, e.user), "%s", text);
	}
}
