/* SPDX-License-Identifier: MIT */
/* What a program sees of libsuture: its header, and the shared library. */
#include <suture/stack.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define WAY 64u

struct parcel {
	int to;
	size_t len;
	unsigned char bytes[2048];
	struct sut_offload off;
};

static uint64_t now;
static struct sut_stack *end[2];
static struct parcel way[WAY];
static unsigned ways, traces;
static int side[2] = { 0, 1 };

static uint64_t clock_of_test(void *ctx)
{
	(void)ctx;
	return now;
}

static uint64_t random_of_test(void *ctx)
{
	static uint64_t n = 1;

	(void)ctx;
	return n = n * 6364136223846793005u + 1442695040888963407u;
}

static int output(void *ctx, const struct sut_packet *p)
{
	struct parcel *w = &way[ways++];
	unsigned char *at = w->bytes;

	assert_true(ways < WAY && p->len <= sizeof w->bytes);
	assert_true(p->iovs >= 1 && p->iovs <= SUT_IOVS);
	/* the room in front is the callback's */
	memset((unsigned char *)p->iov[0].iov_base - SUT_HEADROOM, 0xee, SUT_HEADROOM);
	w->to = !*(int *)ctx;
	w->len = p->len;
	w->off = p->off;
	for (unsigned i = 0; i < p->iovs; i++) {
		memcpy(at, p->iov[i].iov_base, p->iov[i].iov_len);
		at += p->iov[i].iov_len;
	}
	assert_int_equal(at - w->bytes, p->len);
	return 0;
}

static void trace(void *ctx, uint64_t at, uint64_t id, const char *from, const char *to,
		  const char *why)
{
	(void)ctx;
	assert_int_equal(at, now);
	assert_true(id != 0 && *from && *to && *why);
	traces++;
}

static struct sut_net net;

static struct sut_stack_config config(int which)
{
	struct sut_stack_config c;

	sut_stack_config_init(&c, sizeof c);
	assert_int_equal(c.size, sizeof c);
	assert_int_equal(sut_net_read(which ? "192.0.2.2/24" : "192.0.2.1/24", &net), 0);
	c.nets = &net;
	c.net_count = 1;
	c.memory = 8 << 20;
	c.max_conns = 64;
	c.max_half_open = 16;
	c.output = output;
	c.clock = clock_of_test;
	c.random = random_of_test;
	c.trace = trace;
	c.ctx = &side[which];
	return c;
}

static int make(const struct sut_stack_config *c, struct sut_stack **ret_s)
{
	char error[SUT_ERROR_TEXT] = "";
	int e = sut_stack_new(c, ret_s, error);

	assert_true((e == 0) == (error[0] == '\0') || e == -ENOMEM);
	return e;
}

static void start(uint32_t flags)
{
	now = 1000000000;
	ways = 0;
	for (int i = 0; i < 2; i++) {
		struct sut_stack_config c = config(i);

		c.flags |= flags;
		assert_int_equal(make(&c, &end[i]), 0);
	}
}

static void stop(void)
{
	sut_stack_free(end[0]);
	sut_stack_free(end[1]);
}

/* A millisecond each: what was sent arrives. */
static void run(unsigned ms)
{
	for (; ms > 0; ms--, now += 1000000) {
		unsigned n;

		sut_stack_run(end[0]);
		sut_stack_run(end[1]);
		n = ways;
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(sut_stack_input(end[way[i].to], way[i].bytes, way[i].len,
							 &way[i].off),
					 0);
		memmove(way, way + n, (ways - n) * sizeof way[0]);
		ways -= n;
		assert_null(sut_stack_check(end[0]));
		assert_null(sut_stack_check(end[1]));
	}
}

static sut_id l, a, b;

static void open_both(void)
{
	struct sut_addr to, peer;
	char text[SUT_ADDR_TEXT];

	assert_int_equal(sut_addr_read("192.0.2.2", 80, &to), 0);
	assert_int_equal(sut_listen(end[1], &to, 4, 1, &l), 0);
	assert_int_equal(sut_accept(end[1], l, 2, &b, &peer), -EAGAIN);
	assert_int_equal(sut_connect(end[0], NULL, &to, 3, &a), 0);
	run(4);
	assert_int_equal(sut_accept(end[1], l, 2, &b, &peer), 0);
	assert_memory_equal(sut_addr_text(&peer, text), "192.0.2.1:", 10);
}

static struct sut_stack *stack_of(const char *const *text, unsigned n)
{
	struct sut_stack_config c = config(0);
	struct sut_net nets[4];
	struct sut_stack *s = NULL;

	for (unsigned i = 0; i < n; i++)
		assert_int_equal(sut_net_read(text[i], &nets[i]), 0);
	c.nets = nets;
	c.net_count = n;
	assert_int_equal(make(&c, &s), 0);
	return s;
}

static uint32_t events_of(int which, sut_id id, uint64_t user)
{
	struct sut_event e;
	uint32_t all = 0;

	while (sut_next(end[which], &e)) {
		if (e.id == id)
			assert_int_equal(e.user, user);
		all |= e.id == id ? e.events : 0;
	}
	return all;
}

/* --- */

static void addresses(void **state)
{
	static const char *const bad[] = { "192.0.2.1",	   "192.0.2.1/33",    "192.0.2.1/",
					   "192.0.2.1/-1", "192.0.2.1/8x",    "/8",
					   "x/8",	   "2001:db8::1/129", "2001:db8::1/+4" };
	struct sut_addr addr;
	struct sut_net n;
	char text[SUT_ADDR_TEXT];

	(void)state;
	assert_int_equal(sut_addr_read("192.0.2.1", 80, &addr), 0);
	assert_string_equal(sut_addr_text(&addr, text), "192.0.2.1:80");
	assert_int_equal(sut_addr_read("2001:db8::1", 65535, &addr), 0);
	assert_string_equal(sut_addr_text(&addr, text), "[2001:db8::1]:65535");
	assert_int_equal(sut_addr_read("example", 80, &addr), -EINVAL);
	assert_int_equal(sut_addr_read("", 80, &addr), -EINVAL);
	assert_int_equal(sut_net_read("192.0.2.1/24", &n), 0);
	assert_int_equal(n.prefix, 120);
	assert_int_equal(sut_net_read("2001:db8::1/64", &n), 0);
	assert_int_equal(n.prefix, 64);
	assert_int_equal(sut_net_read("192.0.2.1/0", &n), 0);
	assert_int_equal(n.prefix, 96);
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(sut_net_read(bad[i], &n), -EINVAL);
}

/* What c, changed so, is refused with. */
static void refuse(const struct sut_stack_config *c, const char *part)
{
	char error[SUT_ERROR_TEXT] = "";
	struct sut_stack *s = NULL;

	assert_int_equal(sut_stack_new(c, &s, error), -EINVAL);
	assert_null(s);
	assert_non_null(strstr(error, part));
}

static void refused(void)
{
	struct sut_stack_config c = config(0);
	struct sut_net twice[2];

	c.cc = 9;
	refuse(&c, "congestion control");
	c.cc = 2;
	refuse(&c, "congestion control");
	c = config(0);
	c.flags |= 128;
	refuse(&c, "flags");
	c = config(0);
	twice[0] = twice[1] = net;
	twice[1].prefix = 128;
	c.nets = twice;
	c.net_count = 2;
	refuse(&c, "twice");
	c = config(0);
	c.size = 0;
	refuse(&c, "size");
	c.size = 8;
	refuse(&c, "size");
	c = config(0);
	c.flags |= SUT_OFFLOAD_CSUM | SUT_OFFLOAD_TSO;
	c.gso_max = 0;
	refuse(&c, "super-packets");
}

static void configurations(void **state)
{
	struct sut_stack_config c = config(0);
	struct {
		struct sut_stack_config c;
		uint64_t later;
	} grown = { .c = c };
	struct sut_stack *s = NULL;

	(void)state;
	c.output = NULL;
	assert_int_equal(make(&c, &s), -EINVAL);
	c = config(0);
	c.net_count = 0;
	assert_int_equal(make(&c, &s), -EINVAL);
	c.net_count = 17;
	assert_int_equal(make(&c, &s), -EINVAL);
	c = config(0);
	c.mtu = 500;
	assert_int_equal(make(&c, &s), -EINVAL);
	assert_int_equal(sut_stack_new(&c, &s, NULL), -EINVAL);
	c = config(0);
	c.memory = 20000; /* not even for the fewest cells */
	assert_int_equal(make(&c, &s), -EINVAL);
	c.memory = 0;
	assert_int_equal(make(&c, &s), -EINVAL);
	refused();
	assert_null(s);
	/* an earlier version, which had no callbacks but output */
	c = config(0);
	c.size = offsetof(struct sut_stack_config, clock);
	c.clock = NULL;
	assert_int_equal(make(&c, &s), 0);
	sut_stack_free(s);
	/* a later one */
	grown.c.size = sizeof grown;
	assert_int_equal(make(&grown.c, &s), 0);
	sut_stack_free(s);
	grown.later = 1;
	assert_int_equal(make(&grown.c, &s), -E2BIG);
	sut_stack_free(NULL);
}

/* Can one listen on 0.0.0.0?  If not the error is -EADDRNOTAVAIL. */
static void listen4(const char *const *text, unsigned n, int can)
{
	struct sut_stack *s = stack_of(text, n);
	char got_text[SUT_ADDR_TEXT];
	struct sut_addr any;
	struct sut_info i;

	assert_int_equal(sut_addr_read("0.0.0.0", 80, &any), 0);
	assert_int_equal(sut_listen(s, &any, 1, 0, &l), can ? 0 : -EADDRNOTAVAIL);
	if (can) {
		assert_int_equal(sut_info(s, l, &i, sizeof i), 0);
		assert_string_equal(sut_addr_text(&i.local, got_text), "0.0.0.0:80");
		assert_int_equal(sut_listen(s, &any, 1, 0, &l), -EADDRINUSE);
	}
	sut_stack_free(s);
}

static void any_ipv4(void **state)
{
	static const char *const nets[] = { "192.0.2.1/24", "198.51.100.1/24", "2001:db8::1/64",
					    "192.0.2.9/24" };
	struct sut_addr any, to, to6;
	struct sut_info i;
	struct sut_stack *s;
	char text[SUT_ADDR_TEXT];

	(void)state;
	listen4(nets, 2, 1); /* the stack has no other */
	listen4(nets + 1, 2, 1);
	listen4(nets + 2, 1, 0);
	listen4(nets, 3, 1);
	s = stack_of(nets, 3);
	assert_int_equal(sut_addr_read("0.0.0.0", 7000, &any), 0);
	assert_int_equal(sut_addr_read("198.51.100.2", 80, &to), 0);
	assert_int_equal(sut_addr_read("2001:db8::2", 80, &to6), 0);
	assert_int_equal(sut_connect(s, &any, &to, 0, &a), 0);
	assert_int_equal(sut_info(s, a, &i, sizeof i), 0);
	assert_string_equal(sut_addr_text(&i.local, text), "198.51.100.1:7000");
	assert_int_equal(sut_connect(s, &any, &to6, 0, &a), -EINVAL);
	assert_int_equal(sut_connect(s, NULL, &any, 0, &a), -EINVAL);
	sut_stack_free(s);
}

/* Clock, randomness and secret of its own. */
static void own_world(void **state)
{
	struct sut_stack_config c = config(0);
	struct sut_stack *s;
	struct sut_addr to;

	(void)state;
	c.clock = NULL;
	c.random = NULL;
	c.trace = NULL;
	ways = 0;
	assert_int_equal(make(&c, &s), 0);
	assert_int_equal(sut_stack_timeout(s), -1);
	assert_int_equal(sut_stack_deadline(s), UINT64_MAX);
	sut_addr_read("192.0.2.2", 80, &to);
	assert_int_equal(sut_connect(s, NULL, &to, 0, &a), 0);
	sut_stack_flush(s);
	assert_int_equal(ways, 1);
	assert_true(sut_stack_timeout(s) >= 0 && sut_stack_timeout(s) <= 1001);
	sut_stack_free(s);
}

/* What sut_stack_run() has to tell is not slept over: the loop of the header calls it last. */
static void events_before_sleep(void **state)
{
	struct sut_stack_config c = config(0);
	struct sut_event e;
	struct sut_stack *s;
	struct sut_addr to;
	char byte;

	(void)state;
	assert_int_equal(make(&c, &s), 0);
	assert_int_equal(sut_stack_timeout(s), -1);
	sut_addr_read("192.0.2.77", 80, &to);
	assert_int_equal(sut_connect(s, NULL, &to, 5, &a), 0);
	sut_stack_run(s);
	while (sut_stack_deadline(s) != UINT64_MAX) { /* nobody answers */
		assert_int_equal(sut_next(s, &e), 0);
		now = sut_stack_deadline(s);
		sut_stack_run(s);
	}
	assert_int_equal(sut_stack_timeout(s), 0);
	assert_int_equal(sut_next(s, &e), 1);
	assert_int_equal(e.events, SUT_ERROR);
	assert_int_equal(sut_read(s, a, &byte, 1), -ETIMEDOUT);
	assert_int_equal(sut_stack_timeout(s), -1);
	sut_stack_free(s);
}

static void a_connection(void **state)
{
	struct sut_info i;
	struct iovec iov[4];
	char buf[64];
	uint64_t timeout;

	(void)state;
	start(0);
	traces = 0;
	open_both();
	assert_true(traces >= 4);
	assert_int_equal(events_of(0, a, 3), SUT_WRITABLE);
	assert_int_equal(events_of(1, b, 2), SUT_WRITABLE);
	assert_int_equal(sut_read(end[0], a, buf, sizeof buf), -EAGAIN);
	assert_int_equal(sut_write(end[0], a, "hello", 5), 5);
	assert_int_equal(sut_write_urgent(end[0], a, "!", 1), 1);
	timeout = sut_stack_deadline(end[0]);
	sut_stack_flush(end[0]);
	assert_true(sut_stack_deadline(end[0]) <= timeout);
	run(3);
	assert_int_equal(events_of(1, b, 2), SUT_READABLE | SUT_URGENT);
	assert_int_equal(sut_peek(end[1], b, buf, 3), 3);
	assert_int_equal(sut_peek_iov(end[1], b, iov, 4), 1);
	assert_int_equal(iov[0].iov_len, 6);
	assert_memory_equal(iov[0].iov_base, "hello!", 6);
	assert_int_equal(sut_consume(end[1], b, 2), 0);
	assert_int_equal(sut_consume(end[1], b, 20), -EINVAL);
	assert_int_equal(sut_info(end[1], b, &i, sizeof i), 0);
	assert_int_equal(i.unread, 4);
	assert_int_equal(i.state, SUT_STATE_ESTABLISHED);
	assert_int_equal(i.flags & 15,
			 SUT_INFO_TIMESTAMPS | SUT_INFO_SACK | SUT_INFO_WSCALE | SUT_INFO_ECN);
	assert_int_equal(i.local.port, 80);
	assert_int_equal(sut_read(end[1], b, buf, sizeof buf), 4);
	assert_int_equal(sut_shutdown(end[0], a), 0);
	run(3);
	assert_int_equal(sut_read(end[1], b, buf, sizeof buf), 0);
	assert_int_equal(sut_close(end[1], b), 0);
	run(3);
	assert_int_equal(events_of(0, a, 3) & SUT_CLOSED, SUT_CLOSED);
	assert_int_equal(sut_close(end[0], a), 0);
	assert_int_equal(sut_close(end[0], a), -EBADF);
	assert_int_equal(sut_abort(end[0], a), -EBADF);
	assert_int_equal(sut_shutdown(end[1], l), -ENOTCONN);
	stop();
}

static uint32_t got;

static uint32_t take(void *ctx, uint64_t user, const uint8_t *bytes, uint32_t len)
{
	assert_ptr_equal(ctx, &got);
	assert_int_equal(user, 2);
	assert_int_equal(bytes[0], 'x');
	got += len;
	return len;
}

/* Checksums left to the device come out right at a stack that is told so, and wrong at one that is not. */
static void offload(void **state)
{
	(void)state;
	start(SUT_OFFLOAD_CSUM);
	open_both();
	got = 0;
	assert_int_equal(sut_set_take(end[1], b, take, &got), 0);
	assert_int_equal(sut_write(end[0], a, "xyz", 3), 3);
	sut_stack_flush(end[0]);
	assert_int_equal(ways, 1);
	assert_int_equal(way[0].off.csum, SUT_CSUM_PARTIAL);
	assert_int_equal(way[0].off.csum_start, 20);
	assert_int_equal(way[0].off.csum_offset, 16);
	assert_string_equal(sut_stack_dropped(end[1]), "");
	assert_int_equal(sut_stack_input(end[1], way[0].bytes, way[0].len, NULL), -EINVAL);
	assert_string_equal(sut_stack_dropped(end[1]), "tcp-csum");
	run(2);
	assert_int_equal(got, 3);
	stop();
}

static void bad_packets(void **state)
{
	static const unsigned char junk[80000] = { 0x45 };
	uint64_t v;

	(void)state;
	start(0);
	assert_int_equal(sut_stack_input(end[0], junk, 0, NULL), -EINVAL);
	assert_int_equal(sut_stack_input(end[0], junk, 20, NULL), -EINVAL);
	assert_int_equal(sut_stack_input(end[0], junk, sizeof junk, NULL), -EINVAL);
	assert_string_equal(sut_stack_dropped(end[0]), "too-long");
	assert_int_equal(sut_stack_counter(end[0], 0, NULL, NULL, &v), 0);
	assert_int_equal(v, 0);
	stop();
}

static uint64_t released;

static void release(void *ctx, uint64_t cookie)
{
	(void)ctx;
	released += cookie;
}

static int fill_letters(void *ctx, const struct iovec *room, unsigned n)
{
	assert_ptr_equal(ctx, &released);
	assert_true(n >= 1 && room[0].iov_len >= 3);
	memcpy(room[0].iov_base, "abc", 3);
	return 3;
}

static int fill_fails(void *ctx, const struct iovec *room, unsigned n)
{
	(void)ctx;
	(void)room;
	(void)n;
	return -EIO;
}

/* Bytes that stay where they are, and bytes that are put where they are to be. */
static void other_writes(void **state)
{
	static const char text[] = "of mine";
	struct sut_stack_config c;
	char buf[16];

	(void)state;
	start(0);
	c = config(0);
	sut_stack_free(end[0]);
	c.release = release;
	assert_int_equal(make(&c, &end[0]), 0);
	open_both();
	released = 0;
	assert_int_equal(sut_write_ref(end[0], a, text, 7, 5), 7);
	assert_int_equal(sut_write_ref(end[0], a, text, 0, 5), -EINVAL);
	assert_int_equal(sut_write_fill(end[0], a, 10, fill_letters, &released), 3);
	assert_int_equal(sut_write_fill(end[0], a, 10, fill_fails, NULL), -EIO);
	assert_int_equal(released, 0);
	run(100);
	assert_int_equal(released, 5);
	assert_int_equal(sut_read(end[1], b, buf, sizeof buf), 10);
	assert_memory_equal(buf, "of mineabc", 10);
	stop();
}

static void options_and_lists(void **state)
{
	const char *name, *text;
	struct sut_usage u;
	struct sut_info i;
	uint32_t cursor = 0;
	unsigned n = 0;
	int64_t v = -1;
	uint64_t count;

	(void)state;
	start(0);
	open_both();
	assert_int_equal(sut_set(end[0], a, SUT_OPT_TTL, 3), 0);
	assert_int_equal(sut_get(end[0], a, SUT_OPT_TTL, &v), 0);
	assert_int_equal(v, 3);
	assert_int_equal(sut_set(end[0], a, SUT_OPT_TTL, 300), -EINVAL);
	assert_int_equal(sut_set(end[0], a, (enum sut_option)17, 0), -ENOPROTOOPT);
	assert_int_equal(sut_get(end[0], a, (enum sut_option) - 1, &v), -ENOPROTOOPT);
	assert_int_equal(sut_set(end[1], l, SUT_OPT_TTL, 3), -EOPNOTSUPP);
	assert_int_equal(sut_get(end[0], 0, SUT_OPT_TTL, &v), -EBADF);
	for (; sut_list(end[1], &cursor, &i, sizeof i); n++)
		assert_true(i.state == SUT_STATE_LISTEN || i.id == b);
	assert_int_equal(n, 2);
	/* a program that knows less of it */
	memset(&i, 0x55, sizeof i);
	assert_int_equal(sut_info(end[0], a, &i, offsetof(struct sut_info, flags)), 0);
	assert_int_equal(i.user, 3);
	assert_int_equal(i.flags, 0x55555555);
	assert_int_equal(sut_info(end[0], 0, &i, sizeof i), -EBADF);
	sut_stack_usage(end[1], &u);
	assert_int_equal(u.conns, 1);
	assert_int_equal(u.listeners, 1);
	for (n = 0; sut_stack_counter(end[0], n, &name, &text, &count) == 0; n++)
		assert_true(*name && *text);
	assert_true(n > 30);
	assert_int_equal(sut_stack_set_mtu(end[0], 1400), 0);
	assert_int_equal(sut_stack_set_mtu(end[0], 100), -EINVAL);
	assert_string_equal(sut_state_name(SUT_STATE_SYN_RECEIVED), "SYN-RECEIVED");
	assert_string_equal(sut_state_name((enum sut_state)99), "?");
	assert_int_equal(sut_version()[0], '0');
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),	cmocka_unit_test(configurations),
		cmocka_unit_test(own_world),	cmocka_unit_test(events_before_sleep),
		cmocka_unit_test(a_connection), cmocka_unit_test(offload),
		cmocka_unit_test(bad_packets),	cmocka_unit_test(options_and_lists),
		cmocka_unit_test(other_writes), cmocka_unit_test(any_ipv4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
