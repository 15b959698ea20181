/* SPDX-License-Identifier: MIT */
#include "stack_pair.h"

#include <errno.h>

#include "stack/parts.h"

static struct pair p;
static conn_id l, a, b;

#define SA p.end[A].s
#define SB p.end[B].s
#define RTT (2 * p.delay + SUT_MS(1))

static void start(void)
{
	pair_init(&p);
	pair_start(&p);
}

static void start_open(void)
{
	start();
	pair_open(&p, &l, &a, &b);
}

static void stop(void)
{
	pair_stop(&p);
}

static int64_t get(struct stack *s, conn_id c, enum conn_option o)
{
	int64_t v = -1;

	assert_int_equal(stack_get(s, c, o, &v), 0);
	return v;
}

static int set(conn_id c, enum conn_option o, int64_t v)
{
	return stack_set(SA, c, o, v, p.now);
}

static struct conn_info info(struct stack *s, conn_id c)
{
	struct conn_info i;

	assert_int_equal(stack_info(s, c, p.now, &i), 0);
	return i;
}

static int write_text(struct stack *s, conn_id c, const char *text)
{
	return stack_write(s, c, text, strlen(text), p.now);
}

/* Reads all there is as text; what ended it is in *ret_end. */
static const char *read_text(struct stack *s, conn_id c, int *ret_end)
{
	static char buf[1024];
	size_t n = 0;
	int k;

	while ((k = stack_read(s, c, buf + n, sizeof buf - 1 - n, p.now)) > 0)
		n += (size_t)k;
	buf[n] = '\0';
	*ret_end = k;
	return buf;
}

static void expect_text(struct stack *s, conn_id c, const char *text, int end)
{
	int e;

	assert_string_equal(read_text(s, c, &e), text);
	assert_int_equal(e, end);
}

/* --- OPEN */

static int listen_on(const char *ip, uint16_t port, unsigned backlog)
{
	struct stack_addr at = pair_addr(ip, port);

	return stack_listen(SB, &at, backlog, 0, &l);
}

static void listen_errors(void **state)
{
	(void)state;
	start();
	assert_int_equal(listen_on("*", 0, 1), -EINVAL);
	assert_int_equal(listen_on("*", 80, 0), -EINVAL);
	assert_int_equal(listen_on("192.0.2.1", 80, 1), -EADDRNOTAVAIL);
	assert_int_equal(listen_on("192.0.2.2", 80, 1), 0);
	assert_int_equal(listen_on("192.0.2.2", 80, 1), -EADDRINUSE);
	assert_int_equal(listen_on("x2", 80, 1), 0); /* MUST-42 */
	assert_int_equal(listen_on("*", 80, 1), 0);
	assert_int_equal(listen_on("*", 80, 1), -EADDRINUSE);
	assert_int_equal(listen_on("*", 81, 1), 0);
	assert_int_equal(listen_on("*", 82, 1), -ENOSPC);
	assert_int_equal(stack_close(SB, l, p.now), 0);
	assert_int_equal(stack_close(SB, l, p.now), -EBADF);
	assert_int_equal(listen_on("*", 82, 1), 0);
	pair_check(&p);
	stop();
}

/* Of two listeners on a port the one of the address is asked first. */
static void listeners_by_address(void **state)
{
	struct stack_addr to = pair_addr("198.51.100.2", 80), v6 = pair_addr("x2", 80), peer;
	conn_id any, one, c;

	(void)state;
	start();
	assert_int_equal(listen_on("*", 80, 4), 0);
	any = l;
	assert_int_equal(listen_on("198.51.100.2", 80, 4), 0);
	one = l;
	assert_int_equal(stack_connect(SA, NULL, &to, 0, p.now, &c), 0);
	assert_int_equal(stack_connect(SA, NULL, &v6, 0, p.now, &c), 0);
	pair_run(&p, 2 * RTT);
	assert_int_equal(pair_events(&p, B, one), CONN_ACCEPTABLE);
	assert_int_equal(stack_accept(SB, one, 5, &b, &peer), 0);
	assert_memory_equal(peer.ip, pair_addr("192.0.2.1", 0).ip, 16);
	assert_int_equal(info(SB, b).user, 5);
	assert_int_equal(stack_accept(SB, one, 0, &b, &peer), -EAGAIN);
	assert_int_equal(stack_accept(SB, any, 0, &b, &peer), 0);
	assert_memory_equal(peer.ip, pair_addr("x1", 0).ip, 16);
	assert_int_equal(stack_accept(SB, b, 0, &c, &peer), -EINVAL);
	assert_int_equal(stack_accept(SB, 0, 0, &c, &peer), -EBADF);
	assert_int_equal(stack_accept(SB, 12345, 0, &c, &peer), -EBADF);
	stop();
}

static int connect_to(const char *from, uint16_t fport, const char *to, uint16_t tport)
{
	struct stack_addr r = pair_addr(to, tport), local;

	if (from != NULL)
		local = pair_addr(from, fport);
	return stack_connect(SB, from != NULL ? &local : NULL, &r, 0, p.now, &b);
}

static void connect_errors(void **state)
{
	/* MUST-46 */
	static const char *const bad[] = { "192.0.2.255", "192.0.2.0",	     "198.51.100.255",
					   "224.0.0.1",	  "255.255.255.255", "0.0.0.0",
					   "0.1.2.3",	  "127.0.0.1",	     "240.0.0.1",
					   "*",		  "192.0.2.2" };
	struct stack_addr group = pair_addr("x1", 80), self = pair_addr("*", 80);

	(void)state;
	start();
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(connect_to(NULL, 0, bad[i], 80), -EINVAL);
	group.ip[0] = 0xff;
	assert_int_equal(stack_connect(SB, NULL, &group, 0, p.now, &b), -EINVAL);
	self.ip[15] = 1; /* ::1 */
	assert_int_equal(stack_connect(SB, NULL, &self, 0, p.now, &b), -EINVAL);
	assert_int_equal(connect_to(NULL, 0, "192.0.2.1", 0), -EINVAL);
	assert_int_equal(connect_to("203.0.113.1", 0, "192.0.2.1", 80), -EADDRNOTAVAIL);
	assert_int_equal(connect_to("x2", 0, "192.0.2.1", 80), -EINVAL);
	assert_int_equal(connect_to("*", 5000, "192.0.2.1", 80), 0);
	assert_int_equal(connect_to(NULL, 0, "192.0.2.1", 80), 0);
	assert_int_equal(connect_to("192.0.2.2", 5000, "192.0.2.1", 80), -EADDRINUSE);
	assert_int_equal(connect_to("198.51.100.2", 5000, "192.0.2.1", 80), 0);
	for (unsigned i = 3; i < 64; i++)
		assert_int_equal(connect_to(NULL, 0, "192.0.2.1", 80), 0);
	assert_int_equal(connect_to(NULL, 0, "192.0.2.1", 80), -ENOSPC);
	stop();
	pair_init(&p);
	p.cfg[B].nets = 1;
	pair_start(&p);
	assert_int_equal(connect_to(NULL, 0, "x1", 80), -ENETUNREACH);
	stop();
}

static void expect_source(const char *to, const char *from)
{
	assert_int_equal(connect_to(NULL, 0, to, 80), 0);
	assert_memory_equal(info(SB, b).local.ip, pair_addr(from, 0).ip, 16);
	assert_true(info(SB, b).local.port >= 1024);
}

/* MUST-44 */
static void source_address(void **state)
{
	(void)state;
	start();
	expect_source("192.0.2.77", "192.0.2.2");
	expect_source("198.51.100.77", "198.51.100.2");
	expect_source("203.0.113.5", "192.0.2.2");
	expect_source("x77", "x2");
	stop();
}

/* A port that nobody listens on; one that nobody answers for. */
static void connect_fails(void **state)
{
	struct stack_addr to = pair_addr("192.0.2.2", 81);

	(void)state;
	start();
	assert_int_equal(stack_connect(SA, NULL, &to, 0, p.now, &a), 0);
	assert_int_equal(stack_read(SA, a, &to, 1, p.now), -EAGAIN);
	pair_run(&p, RTT);
	assert_int_equal(pair_events(&p, A, a), CONN_ERROR);
	assert_int_equal(write_text(SA, a, "x"), -ECONNREFUSED);
	assert_int_equal(write_text(SA, a, "x"), -EPIPE); /* it is told once */
	expect_text(SA, a, "", 0);
	assert_int_equal(stack_shutdown(SA, a, p.now), -ENOTCONN);
	assert_int_equal(stack_close(SA, a, p.now), 0);
	assert_int_equal(stack_close(SA, a, p.now), -EBADF);
	p.cut = true;
	assert_int_equal(stack_connect(SA, NULL, &to, 0, p.now, &a), 0);
	pair_run(&p, SUT_MS(170000));
	assert_int_equal(info(SA, a).state, ST_SYN_SENT); /* MUST-23: 3 minutes at least */
	pair_run(&p, SUT_MS(200000));
	expect_text(SA, a, "", -ETIMEDOUT);
	expect_text(SA, a, "", 0);
	assert_int_equal(stack_abort(SA, a, p.now), 0);
	assert_int_equal(stack_abort(SA, a, p.now), -EBADF);
	pair_check(&p);
	stop();
}

/* --- SEND, RECEIVE */

static void handles(void **state)
{
	struct stack_slice slice;
	char c;

	(void)state;
	start_open();
	assert_int_equal(write_text(SB, l, "x"), -ENOTCONN);
	assert_int_equal(stack_read(SB, l, &c, 1, p.now), -ENOTCONN);
	assert_int_equal(stack_peek(SB, l, &c, 1), -ENOTCONN);
	assert_int_equal(stack_peek_slices(SB, l, &slice, 1), -ENOTCONN);
	assert_int_equal(stack_consume(SB, l, 0, p.now), -ENOTCONN);
	assert_int_equal(stack_shutdown(SB, l, p.now), -ENOTCONN);
	assert_int_equal(stack_set_take(SB, l, NULL, NULL), -ENOTCONN);
	assert_int_equal(stack_set(SB, l, CONNOPT_TTL, 3, p.now), -EOPNOTSUPP);
	assert_int_equal(stack_close(SA, a, p.now), 0);
	assert_int_equal(write_text(SA, a, "x"), -EBADF);
	assert_int_equal(stack_read(SA, a, &c, 1, p.now), -EBADF);
	assert_int_equal(stack_shutdown(SA, a, p.now), -EBADF);
	assert_int_equal(stack_set(SA, a, CONNOPT_TTL, 3, p.now), -EBADF);
	assert_int_equal(stack_info(SA, a, p.now, &(struct conn_info){ 0 }), 0); /* still there */
	assert_int_equal(stack_info(SA, 0, p.now, &(struct conn_info){ 0 }), -EBADF);
	stop();
}

static void both_ways(void **state)
{
	struct stack_slice slice[4];
	char buf[16];

	(void)state;
	start_open();
	assert_int_equal(pair_events(&p, A, a), CONN_WRITABLE);
	assert_int_equal(pair_events(&p, B, b), CONN_WRITABLE);
	expect_text(SA, a, "", -EAGAIN);
	assert_int_equal(stack_write(SA, a, "", 0, p.now), 0);
	assert_int_equal(write_text(SA, a, "hello "), 6);
	assert_int_equal(write_text(SA, a, "world"), 5);
	pair_run(&p, RTT);
	assert_int_equal(pair_events(&p, B, b), CONN_READABLE);
	assert_int_equal(stack_peek(SB, b, buf, 5), 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(stack_peek_slices(SB, b, slice, 4), 1);
	assert_int_equal(slice[0].len, 11);
	assert_int_equal(stack_consume(SB, b, 12, p.now), -EINVAL);
	assert_int_equal(stack_consume(SB, b, 6, p.now), 0);
	assert_int_equal(stack_read(SB, b, buf, 0, p.now), 0);
	expect_text(SB, b, "world", -EAGAIN);
	assert_int_equal(stack_peek(SB, b, buf, 5), -EAGAIN);
	assert_int_equal(stack_peek_slices(SB, b, slice, 4), -EAGAIN);
	assert_int_equal(write_text(SB, b, "yes"), 3);
	pair_run(&p, RTT);
	expect_text(SA, a, "yes", -EAGAIN);
	stop();
}

/* A full buffer, and room in it again. */
static void back_pressure(void **state)
{
	static uint8_t bytes[300000];
	int n;
	uint32_t unread, in = 0;

	(void)state;
	start_open();
	pair_events(&p, A, a);
	n = stack_write(SA, a, bytes, sizeof bytes, p.now);
	assert_int_equal(n, 262144);
	assert_int_equal(stack_write(SA, a, bytes, 1, p.now), -EAGAIN);
	pair_run(&p, SUT_MS(3000));
	assert_true(pair_events(&p, A, a) & CONN_WRITABLE);
	unread = info(SB, b).unread;
	assert_true(unread >= 262140 &&
		    unread <= 262144); /* what 16 bits and their scale can say */
	assert_int_equal(stack_count(SB, STACK_NO_MEMORY), 0);
	while (stack_write(SA, a, bytes, sizeof bytes, p.now) > 0)
		;
	/* The window is shut: probes go out, and nothing is lost by them. */
	pair_run(&p, SUT_MS(20000));
	assert_true(stack_count(SA, STACK_WINDOW_PROBES) > 2);
	assert_int_equal(info(SB, b).rcv_wnd, 0);
	/* Reading opens it: at once, not by the next probe. */
	while ((n = stack_read(SB, b, bytes, 100000, p.now)) > 0)
		in += (uint32_t)n;
	assert_int_equal(in, unread);
	pair_run(&p, 4 * RTT);
	assert_true(info(SB, b).unread > 10000);
	stop();
}

/* A reader that takes a little at a time does not send an ACK for each. */
static void window_updates_are_few(void **state)
{
	static uint8_t bytes[262144];
	uint32_t sent;

	(void)state;
	start_open();
	assert_int_equal(stack_write(SA, a, bytes, sizeof bytes, p.now), sizeof bytes);
	pair_run(&p, SUT_MS(2000));
	assert_int_equal(stack_set(SB, b, CONNOPT_KEEPALIVE, 0, p.now), 0);
	sent = p.sent;
	for (unsigned i = 0; i < 2000; i++) {
		assert_int_equal(stack_read(SB, b, bytes, 100, p.now), 100);
		stack_flush(SB, p.now);
	}
	assert_true(p.sent - sent >= 1 && p.sent - sent <= 10);
	stop();
}

static uint32_t taken;

static uint32_t take(void *ctx, uint64_t user, const uint8_t *bytes, uint32_t len)
{
	assert_ptr_equal(ctx, &taken);
	assert_int_equal(user, 9);
	assert_int_equal(bytes[0], 'a' + taken % 26);
	taken += len;
	return len;
}

static void take_from_packets(void **state)
{
	char text[27] = "abcdefghijklmnopqrstuvwxyz";

	(void)state;
	start_open();
	taken = 0;
	assert_int_equal(stack_set_take(SB, b, take, &taken), 0);
	pair_events(&p, B, b);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(write_text(SA, a, text), 26);
	pair_run(&p, 3 * RTT);
	assert_int_equal(taken, 2600);
	assert_int_equal(pair_events(&p, B, b), 0); /* nothing waits */
	assert_int_equal(info(SB, b).bytes_in, 2600);
	assert_int_equal(stack_set_take(SB, b, NULL, NULL), 0);
	assert_int_equal(write_text(SA, a, "rest"), 4);
	pair_run(&p, RTT);
	expect_text(SB, b, "rest", -EAGAIN);
	stop();
}

/* MUST-30 to 33, 62 */
static void urgent(void **state)
{
	char buf[8];

	(void)state;
	start_open();
	pair_events(&p, B, b);
	assert_int_equal(write_text(SA, a, "abc"), 3);
	assert_int_equal(stack_write_urgent(SA, a, "de", 2, p.now), 2);
	assert_int_equal(write_text(SA, a, "fg"), 2);
	assert_int_equal(get(SB, b, CONNOPT_URGENT), 0);
	pair_run(&p, RTT);
	assert_int_equal(pair_events(&p, B, b), CONN_READABLE | CONN_URGENT);
	assert_int_equal(get(SB, b, CONNOPT_URGENT), 5);
	assert_int_equal(stack_read(SB, b, buf, 4, p.now), 4);
	assert_int_equal(get(SB, b, CONNOPT_URGENT), 1);
	expect_text(SB, b, "efg", -EAGAIN);
	assert_int_equal(get(SB, b, CONNOPT_URGENT), 0);
	pair_run(&p, RTT);
	stop();
}

/* --- CLOSE, ABORT */

static void half_close(void **state)
{
	(void)state;
	start_open();
	pair_events(&p, B, b);
	assert_int_equal(write_text(SA, a, "bye"), 3);
	assert_int_equal(stack_shutdown(SA, a, p.now), 0);
	assert_int_equal(stack_shutdown(SA, a, p.now), 0);
	assert_int_equal(write_text(SA, a, "x"), -EPIPE);
	pair_run(&p, RTT);
	assert_int_equal(info(SA, a).state, ST_FIN_WAIT_2);
	assert_int_equal(info(SB, b).state, ST_CLOSE_WAIT);
	assert_int_equal(pair_events(&p, B, b), CONN_READABLE);
	expect_text(SB, b, "bye", 0);
	expect_text(SB, b, "", 0);
	assert_int_equal(write_text(SB, b, "still here"), 10);
	pair_run(&p, RTT);
	expect_text(SA, a, "still here", -EAGAIN);
	pair_events(&p, A, a);
	assert_int_equal(stack_close(SB, b, p.now), 0);
	pair_run(&p, RTT);
	assert_int_equal(pair_events(&p, A, a), CONN_READABLE | CONN_CLOSED);
	assert_int_equal(info(SA, a).state, ST_TIME_WAIT);
	expect_text(SA, a, "", 0);
	assert_int_equal(write_text(SA, a, "x"), -EPIPE);
	assert_int_equal(stack_info(SB, b, p.now, &(struct conn_info){ 0 }), -EBADF);
	assert_int_equal(stack_close(SA, a, p.now), 0);
	assert_int_equal(info(SA, a).state, ST_TIME_WAIT);
	pair_run(&p, SUT_MS(61000));
	assert_int_equal(stack_info(SA, a, p.now, &(struct conn_info){ 0 }), -EBADF);
	stop();
}

/* What was written goes out though the handle is void. */
static void close_sends_the_rest(void **state)
{
	static uint8_t bytes[200000];
	int n;
	size_t in = 0;

	(void)state;
	start_open();
	assert_int_equal(stack_write(SA, a, bytes, sizeof bytes, p.now), sizeof bytes);
	assert_int_equal(stack_close(SA, a, p.now), 0);
	pair_run(&p, SUT_MS(3000));
	while ((n = stack_read(SB, b, bytes, sizeof bytes, p.now)) > 0)
		in += (size_t)n;
	assert_int_equal(n, 0);
	assert_int_equal(in, sizeof bytes);
	/* FIN-WAIT-2 that nobody holds does not last for ever. */
	assert_int_equal(info(SA, a).state, ST_FIN_WAIT_2);
	pair_run(&p, SUT_MS(61000));
	assert_int_equal(stack_info(SA, a, p.now, &(struct conn_info){ 0 }), -EBADF);
	stop();
}

/* A peer that closed first, and is let go in FIN-WAIT-2. */
static void close_after_shutdown(void **state)
{
	struct conn_info i;

	(void)state;
	start_open();
	assert_int_equal(stack_shutdown(SA, a, p.now), 0);
	pair_run(&p, RTT);
	assert_int_equal(stack_close(SA, a, p.now), 0);
	pair_run(&p, SUT_MS(59000));
	assert_int_equal(stack_info(SA, a, p.now, &i), 0);
	pair_run(&p, SUT_MS(2000));
	assert_int_equal(stack_info(SA, a, p.now, &i), -EBADF);
	stop();
}

/* SHLD-3: data that nobody will read is not acknowledged as if somebody had. */
static void close_with_unread_data(void **state)
{
	(void)state;
	start_open();
	assert_int_equal(write_text(SA, a, "unread"), 6);
	pair_run(&p, RTT);
	pair_events(&p, A, a);
	assert_int_equal(stack_close(SB, b, p.now), 0);
	assert_int_equal(stack_info(SB, b, p.now, &(struct conn_info){ 0 }), -EBADF);
	pair_run(&p, RTT);
	assert_int_equal(pair_events(&p, A, a), CONN_ERROR);
	expect_text(SA, a, "", -ECONNRESET);
	assert_int_equal(write_text(SA, a, "x"), -EPIPE);
	assert_int_equal(get(SA, a, CONNOPT_ERROR), 0);
	stop();
}

/* MAY-1: and so it is with data that comes after CLOSE. */
static void data_after_close(void **state)
{
	(void)state;
	start_open();
	assert_int_equal(stack_close(SB, b, p.now), 0);
	pair_run(&p, RTT);
	assert_int_equal(write_text(SA, a, "x"), 1);
	pair_run(&p, RTT);
	assert_int_equal(get(SA, a, CONNOPT_ERROR), ECONNRESET);
	assert_int_equal(get(SA, a, CONNOPT_ERROR), 0);
	expect_text(SA, a, "", 0);
	stop();
}

static void abort_resets(void **state)
{
	(void)state;
	start_open();
	assert_int_equal(write_text(SA, a, "lost"), 4);
	assert_int_equal(stack_abort(SA, a, p.now), 0);
	assert_int_equal(write_text(SA, a, "x"), -EBADF);
	pair_run(&p, RTT);
	expect_text(SB, b, "", -ECONNRESET);
	assert_int_equal(stack_count(SA, STACK_RESET_OUT), 1);
	stop();
}

/* Before the handshake is over. */
static void close_in_the_handshake(void **state)
{
	struct stack_addr to = pair_addr("192.0.2.2", 80);
	struct conn_info i;

	(void)state;
	start();
	assert_int_equal(listen_on("*", 80, 4), 0);
	assert_int_equal(stack_connect(SA, NULL, &to, 0, p.now, &a), 0);
	assert_int_equal(stack_close(SA, a, p.now), 0);
	assert_int_equal(stack_info(SA, a, p.now, &i), -EBADF);
	/* with data it goes on behind the scenes */
	assert_int_equal(stack_connect(SA, NULL, &to, 0, p.now, &a), 0);
	assert_int_equal(write_text(SA, a, "one way"), 7);
	assert_int_equal(stack_close(SA, a, p.now), 0);
	pair_run(&p, 2 * RTT);
	assert_int_equal(stack_accept(SB, l, 0, &b, &to), 0);
	assert_int_equal(pair_events(&p, B, b), CONN_READABLE | CONN_WRITABLE);
	expect_text(SB, b, "one way", 0);
	stop();
}

/* Who waits in a listener that closes is reset. */
static void close_listener(void **state)
{
	struct stack_addr to = pair_addr("192.0.2.2", 80);
	conn_id c;

	(void)state;
	start_open();
	assert_int_equal(stack_connect(SA, NULL, &to, 0, p.now, &c), 0);
	pair_run(&p, 2 * RTT); /* it waits, and says nothing more */
	assert_int_equal(stack_close(SB, l, p.now), 0);
	pair_run(&p, RTT);
	expect_text(SA, c, "", -ECONNRESET);
	assert_int_equal(write_text(SA, a, "on"), 2); /* what was accepted stays */
	pair_run(&p, RTT);
	expect_text(SB, b, "on", -EAGAIN);
	stop();
}

/* --- options */

static void option_ranges(void **state)
{
	static const struct {
		enum conn_option o;
		int64_t least, most, by_default;
	} range[] = {
		{ CONNOPT_NODELAY, 0, 1, 0 },
		{ CONNOPT_CORK, 0, 1, 0 },
		{ CONNOPT_KEEPALIVE, 0, 1, 0 }, /* MUST-25 */
		{ CONNOPT_QUICKACK, 0, 1, 0 },
		{ CONNOPT_KEEP_IDLE_MS, 1, INT32_MAX, 7200000 }, /* MUST-28 */
		{ CONNOPT_KEEP_INTERVAL_MS, 1, INT32_MAX, 75000 },
		{ CONNOPT_KEEP_COUNT, 1, 127, 9 },
		{ CONNOPT_USER_TIMEOUT_MS, 0, INT32_MAX, 0 },
		{ CONNOPT_TTL, 1, 255, 64 },
		{ CONNOPT_DSCP, 0, 63, 0 },
		{ CONNOPT_CC, STACK_CUBIC, STACK_NEWRENO, STACK_CUBIC },
	};

	(void)state;
	start_open();
	for (unsigned i = 0; i < sizeof range / sizeof range[0]; i++) {
		assert_int_equal(get(SA, a, range[i].o), range[i].by_default);
		assert_int_equal(set(a, range[i].o, range[i].least - 1), -EINVAL);
		assert_int_equal(set(a, range[i].o, range[i].most + 1), -EINVAL);
		assert_int_equal(set(a, range[i].o, range[i].least), 0);
		assert_int_equal(get(SA, a, range[i].o), range[i].least);
		assert_int_equal(set(a, range[i].o, range[i].most), 0);
		assert_int_equal(get(SA, a, range[i].o), range[i].most);
		pair_check(&p);
	}
	assert_string_equal(info(SA, a).cc, "newreno");
	assert_int_equal(set(a, CONNOPT_ERROR, 0), -EPERM);
	assert_int_equal(set(a, CONNOPT_SOFT_ERROR, 0), -EPERM);
	assert_int_equal(set(a, CONNOPT_URGENT, 0), -EPERM);
	assert_int_equal(set(a, CONNOPT_COUNT, 0), -ENOPROTOOPT);
	assert_int_equal(set(a, CONNOPT_MSS, 1000), -EISCONN);
	assert_int_equal(set(a, CONNOPT_SNDBUF, 0), -EINVAL);
	assert_int_equal(set(a, CONNOPT_SNDBUF, 1), 0);
	assert_int_equal(get(SA, a, CONNOPT_SNDBUF), 2048);
	assert_int_equal(set(a, CONNOPT_RCVBUF, INT64_MAX), 0);
	assert_int_equal(get(SA, a, CONNOPT_RCVBUF), 1 << 30);
	stop();
}

static void mss_option(void **state)
{
	struct stack_addr to = pair_addr("192.0.2.2", 80);

	(void)state;
	start();
	assert_int_equal(listen_on("*", 80, 4), 0);
	assert_int_equal(stack_connect(SA, NULL, &to, 0, p.now, &a), 0);
	assert_int_equal(set(a, CONNOPT_MSS, 47), -EINVAL);
	assert_int_equal(set(a, CONNOPT_MSS, 1000), 0);
	assert_int_equal(get(SA, a, CONNOPT_MSS), 1000);
	pair_run(&p, 2 * RTT);
	assert_int_equal(set(a, CONNOPT_MSS, 500), -EISCONN);
	assert_int_equal(stack_accept(SB, l, 0, &b, &to), 0);
	assert_int_equal(info(SA, a).mss, 988); /* less timestamps */
	assert_int_equal(info(SB, b).mss, 988);
	stop();
}

/* A larger send buffer is room for a writer that waits. */
static void larger_sndbuf(void **state)
{
	static uint8_t bytes[300000];

	(void)state;
	start_open();
	p.cut = true;
	assert_int_equal(stack_write(SA, a, bytes, sizeof bytes, p.now), 262144);
	pair_events(&p, A, a);
	assert_int_equal(set(a, CONNOPT_SNDBUF, 400000), 0);
	assert_int_equal(pair_events(&p, A, a), CONN_WRITABLE);
	assert_int_equal(stack_write(SA, a, bytes, 1000, p.now), 1000);
	stop();
}

/* --- what SYNs agree on */

static void open_with(bool no_ts, bool no_sack, bool no_wscale)
{
	pair_init(&p);
	p.cfg[B].no_timestamps = no_ts;
	p.cfg[B].no_sack = no_sack;
	p.cfg[B].no_wscale = no_wscale;
	pair_start(&p);
	pair_open(&p, &l, &a, &b);
}

static void options_agreed(void **state)
{
	struct conn_info i;

	(void)state;
	for (unsigned k = 0; k < 8; k++) {
		open_with(k & 1, k & 2, k & 4);
		for (unsigned side = 0; side < 2; side++) {
			i = side ? info(SB, b) : info(SA, a);
			assert_int_equal(i.timestamps, !(k & 1));
			assert_int_equal(i.sack, !(k & 2));
			assert_int_equal(i.wscale, !(k & 4));
			assert_int_equal(i.rcv_wscale, k & 4 ? 0 : 3);
			assert_int_equal(i.mss, k & 1 ? 1460 : 1448);
			assert_true(i.ecn);
		}
		stop();
	}
}

static uint32_t isn(uint64_t secret, uint16_t port, sut_time now)
{
	struct stack s = { .now = now };
	struct conn_quad q = { .lport = port, .rport = 80 };

	memcpy(s.env.secret, &secret, sizeof secret);
	assert_int_not_equal(isn_ts_offset(&s, &q), isn_make(&s, &q) - (uint32_t)(now / 4000));
	return isn_make(&s, &q);
}

/* RFC 6528: by the clock for one connection, by a hash for others. */
static void sequence_numbers(void **state)
{
	uint32_t first = isn(1, 1000, 0);

	(void)state;
	assert_int_equal(isn(1, 1000, SUT_MS(4)) - first, 1000); /* MUST-8 */
	assert_int_not_equal(isn(1, 1001, 0), first);
	assert_int_not_equal(isn(2, 1000, 0), first); /* MUST-9 */
}

/* The second connection to a server that gave a cookie carries its data in the SYN. */
static void fast_open(void **state)
{
	struct stack_addr to = pair_addr("192.0.2.2", 80), peer;

	(void)state;
	start_open();
	assert_int_equal(stack_count(SA, STACK_TFO_OUT), 0);
	assert_int_equal(stack_connect(SA, NULL, &to, 0, p.now, &a), 0);
	assert_int_equal(write_text(SA, a, "early"), 5);
	pair_run(&p, p.delay + SUT_MS(1)); /* one way */
	assert_int_equal(stack_accept(SB, l, 0, &b, &peer), 0);
	expect_text(SB, b, "early", -EAGAIN);
	assert_int_equal(write_text(SB, b, "answer"), 6);
	pair_run(&p, RTT);
	expect_text(SA, a, "answer", -EAGAIN);
	assert_int_equal(stack_count(SA, STACK_TFO_OUT), 1);
	assert_int_equal(stack_count(SB, STACK_TFO_IN), 1);
	assert_true(info(SB, b).fastopen);
	pair_run(&p, SUT_MS(1000));
	assert_int_equal(info(SA, a).retrans_segs, 0);
	stop();
}

/* The SYN with data is lost: the one that goes again is an ordinary one. */
static void fast_open_lost(void **state)
{
	struct stack_addr to = pair_addr("192.0.2.2", 80), peer;

	(void)state;
	start_open();
	p.cut = true;
	assert_int_equal(stack_connect(SA, NULL, &to, 0, p.now, &a), 0);
	assert_int_equal(write_text(SA, a, "early"), 5);
	pair_run(&p, SUT_MS(500));
	p.cut = false;
	pair_run(&p, SUT_MS(3000));
	assert_int_equal(stack_accept(SB, l, 0, &b, &peer), 0);
	expect_text(SB, b, "early", -EAGAIN);
	assert_int_equal(stack_count(SB, STACK_TFO_IN), 0);
	stop();
}

/* --- memory */

/* Few cells for many writers: who was told that there is no room is told when there is. */
static void starved_writer(void **state)
{
	/* an eighth is for what comes in; the last quarter is for who has little */
	static const uint32_t gets[] = { 20, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0 };
	static uint8_t bytes[200000];
	struct stack_addr to = pair_addr("192.0.2.2", 80), peer;
	conn_id id[ARRAY_LEN(gets)], other;

	(void)state;
	pair_init(&p);
	p.cfg[A].cells = 32;
	p.cfg[A].max_conns = p.cfg[B].max_conns = 16;
	pair_start(&p);
	pair_open(&p, &l, &a, &b);
	id[0] = a;
	for (unsigned k = 1; k < ARRAY_LEN(gets); k++) {
		assert_int_equal(stack_connect(SA, NULL, &to, 0, p.now, &id[k]), 0);
		pair_run(&p, 2 * RTT);
		assert_int_equal(stack_accept(SB, l, 0, &other, &peer), 0);
		pair_events(&p, A, id[k]);
	}
	for (unsigned k = 0; k < ARRAY_LEN(gets); k++) {
		int n = stack_write(SA, id[k], bytes, sizeof bytes, p.now);

		assert_int_equal(n, gets[k] ? (int)(gets[k] * STORE_CELL_BYTES) : -EAGAIN);
	}
	/* One cell comes back; the first who is told of it has nothing more to write: then the second is. */
	assert_int_equal(stack_abort(SA, id[1], p.now), 0);
	assert_int_equal(pair_events(&p, A, id[9]), CONN_WRITABLE);
	stack_flush(SA, p.now);
	assert_int_equal(pair_events(&p, A, id[10]), CONN_WRITABLE);
	assert_int_equal(stack_write(SA, id[10], bytes, 1, p.now), 1);
	assert_int_equal(stack_write(SA, id[9], bytes, 1, p.now), -EAGAIN);
	pair_run(&p, 3 * RTT);
	assert_int_equal(pair_events(&p, A, id[9]), CONN_WRITABLE);
	assert_int_equal(stack_write(SA, id[9], bytes, 1, p.now), 1);
	pair_check(&p);
	stop();
}

/* --- listing */

static void listing(void **state)
{
	struct conn_info i;
	uint32_t cursor = 0;
	unsigned conns = 0, listeners = 0;

	(void)state;
	start_open();
	while (stack_list(SB, &cursor, p.now, &i)) {
		conns += i.state == ST_ESTABLISHED && i.id == b && i.local.port == 80;
		listeners += i.state == ST_LISTEN && i.id == l && i.user == 7;
	}
	assert_int_equal(conns, 1);
	assert_int_equal(listeners, 1);
	assert_false(stack_list(SB, &cursor, p.now, &i));
	i = info(SA, a);
	assert_int_equal(i.user, 8);
	assert_int_equal(i.remote.port, 80);
	assert_int_equal(i.snd_una, i.iss + 1);
	assert_string_equal(i.cc, "cubic");
	assert_string_equal(i.recovery, "open");
	assert_true(i.age > 0 && i.srtt_us >= 10000 && i.srtt_us < 11000);
	stop();
}

/* --- all of it at random */

#define FLOWS 6u

struct flow {
	conn_id id[2];
	uint64_t wrote[2], read[2]; /* [A]: by A */
	bool shut[2], over[2];
};

static uint64_t rng;

static uint32_t rnd(uint32_t below)
{
	return frame_random(&rng) % below;
}

static uint8_t stream(unsigned flow, int side, uint64_t at)
{
	return (uint8_t)(at * 13 + (at >> 9) + flow * 101 + (unsigned)side * 57);
}

static void random_write(struct flow *f, unsigned k, int side)
{
	static uint8_t buf[20000];
	uint32_t n = 1 + rnd(sizeof buf);
	int done;

	for (uint32_t i = 0; i < n; i++)
		buf[i] = stream(k, side, f->wrote[side] + i);
	done = stack_write(p.end[side].s, f->id[side], buf, n, p.now);
	if (done > 0)
		f->wrote[side] += (uint64_t)done;
	else
		assert_int_equal(done, f->shut[side] ? -EPIPE : -EAGAIN);
}

static void random_read(struct flow *f, unsigned k, int side)
{
	static uint8_t buf[20000];
	int n = stack_read(p.end[side].s, f->id[side], buf, 1 + rnd(sizeof buf), p.now);

	for (int i = 0; i < n; i++)
		assert_int_equal(buf[i], stream(k, !side, f->read[side] + (uint64_t)i));
	if (n > 0)
		f->read[side] += (uint64_t)n;
	assert_true(n >= 0 || n == -EAGAIN);
	if (n == 0) {
		assert_true(f->shut[!side]);
		assert_int_equal(f->read[side], f->wrote[!side]);
		f->over[side] = true;
	}
}

static void random_call(struct flow *f, unsigned k)
{
	int side = (int)rnd(2);

	switch (rnd(40)) {
	case 0:
		if (f->wrote[side] > 100000 && !f->shut[side]) {
			assert_int_equal(stack_shutdown(p.end[side].s, f->id[side], p.now), 0);
			f->shut[side] = true;
		}
		break;
	case 1:
		assert_int_equal(
			stack_set(p.end[side].s, f->id[side], CONNOPT_NODELAY, rnd(2), p.now), 0);
		break;
	case 2:
		assert_int_equal(stack_set(p.end[side].s, f->id[side], CONNOPT_CORK, rnd(2), p.now),
				 0);
		break;
	case 3:
		assert_int_equal(stack_set(p.end[side].s, f->id[side], CONNOPT_RCVBUF,
					   4096 + rnd(300000), p.now),
				 0);
		break;
	case 4:
		assert_int_equal(stack_set(p.end[side].s, f->id[side], CONNOPT_SNDBUF,
					   4096 + rnd(300000), p.now),
				 0);
		break;
	default:
		if (!f->shut[side] && rnd(2))
			random_write(f, k, side);
		else if (!f->over[side])
			random_read(f, k, side);
	}
}

static bool all_over(const struct flow f[FLOWS])
{
	for (unsigned k = 0; k < FLOWS; k++) {
		if (!f[k].over[A] || !f[k].over[B])
			return false;
	}
	return true;
}

/* Flows over a bad link with little memory: each byte arrives, in order, once; both stacks are sound at each step; in the end nothing is left. */
static void random_run(uint64_t seed, uint32_t lose, uint32_t hold, uint32_t cells)
{
	struct stack_addr any = pair_addr("*", 80), to = pair_addr("192.0.2.2", 80), peer;
	struct flow f[FLOWS] = { 0 };
	struct stack_usage u;

	rng = seed;
	pair_init(&p);
	p.rng = seed;
	p.cfg[A].cells = p.cfg[B].cells = cells;
	pair_start(&p);
	assert_int_equal(stack_listen(SB, &any, FLOWS, 0, &l), 0);
	for (unsigned k = 0; k < FLOWS; k++) {
		assert_int_equal(stack_connect(SA, NULL, &to, k, p.now, &f[k].id[A]), 0);
		pair_run(&p, 2 * RTT);
		assert_int_equal(stack_accept(SB, l, k, &f[k].id[B], &peer), 0);
	}
	p.lose = lose;
	p.hold = hold;
	while (!all_over(f)) {
		assert_true(p.now < SUT_MS(3600000));
		for (unsigned i = rnd(8); i > 0; i--) {
			unsigned k = rnd(FLOWS);

			random_call(&f[k], k);
		}
		(void)pair_step(&p, p.now + SUT_MS(10));
	}
	for (unsigned k = 0; k < 2 * FLOWS; k++)
		assert_int_equal(stack_close(p.end[k % 2].s, f[k / 2].id[k % 2], p.now), 0);
	pair_run(&p, SUT_MS(1000000));
	for (int i = 0; i < 2; i++) {
		stack_usage(p.end[i].s, &u);
		assert_int_equal(u.conns + u.cells + u.records + (uint32_t)u.ofo_bytes, 0);
	}
	stop();
}

static void random_runs(void **state)
{
	(void)state;
	random_run(1, 0, 0, 1024);
	random_run(2, 50, 0, 1024);
	random_run(3, 0, 10, 1024);
	random_run(4, 20, 20, 256);
	random_run(5, 8, 5, 64);
	for (uint64_t seed = 6; seed < 16; seed++)
		random_run(seed, 4 + (uint32_t)seed, (uint32_t)seed % 3 * 7, 40 + (uint32_t)seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listen_errors),
		cmocka_unit_test(listeners_by_address),
		cmocka_unit_test(connect_errors),
		cmocka_unit_test(source_address),
		cmocka_unit_test(connect_fails),
		cmocka_unit_test(handles),
		cmocka_unit_test(both_ways),
		cmocka_unit_test(back_pressure),
		cmocka_unit_test(window_updates_are_few),
		cmocka_unit_test(take_from_packets),
		cmocka_unit_test(urgent),
		cmocka_unit_test(half_close),
		cmocka_unit_test(close_sends_the_rest),
		cmocka_unit_test(close_after_shutdown),
		cmocka_unit_test(close_with_unread_data),
		cmocka_unit_test(data_after_close),
		cmocka_unit_test(abort_resets),
		cmocka_unit_test(close_in_the_handshake),
		cmocka_unit_test(close_listener),
		cmocka_unit_test(option_ranges),
		cmocka_unit_test(mss_option),
		cmocka_unit_test(larger_sndbuf),
		cmocka_unit_test(options_agreed),
		cmocka_unit_test(sequence_numbers),
		cmocka_unit_test(fast_open),
		cmocka_unit_test(fast_open_lost),
		cmocka_unit_test(starved_writer),
		cmocka_unit_test(listing),
		cmocka_unit_test(random_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
