/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/plane.h"
#include "core/way_text.h"

static int read_line(const char *s, struct way_line *ret_l)
{
	return way_line_read(s, strlen(s), ret_l);
}

/* Reads s, and expects that it is written the same. */
static struct way_line same(const char *s)
{
	char text[WAY_LINE_MAX];
	struct way_line l;
	size_t n;

	assert_int_equal(read_line(s, &l), 0);
	n = way_line_write(&l, text);
	assert_int_equal(n, strlen(s));
	assert_memory_equal(text, s, n);
	return l;
}

static void lines_are_written_as_they_are_read(void **state)
{
	struct way_line l;

	(void)state;
	same("del 192.0.2.1:40000 > 198.51.100.1:80");
	same("look [2001:db8::1]:40000 > [2001:db8::2]:80");
	same("list");
	same("end");
	same("amend 192.0.2.1:40000 > 198.51.100.1:80 flags=watch,mute id=1 end=7");
	same("none 192.0.2.1:1 > 198.51.100.1:80");
	same("destroy 198.51.100.1:80 > 192.0.2.1:40000");
	l = same("event time-wait 192.0.2.1:40000 > 198.51.100.1:80 id=7 a=4294967295 b=0");
	assert_int_equal(l.event.kind, WAY_EV_TIME_WAIT);
	assert_int_equal(l.event.a, UINT32_MAX);
	l = same("seen 192.0.2.1:40000 > 198.51.100.1:80 idle=5 packets=18446744073709551615 "
		 "bytes=0 seen=any,rst fin=9");
	assert_int_equal(l.way.seen, WAY_SAW_ANY | WAY_SAW_RST);
	assert_int_equal(l.idle_ms, 5);
	assert_int_equal(l.way.packets, UINT64_MAX);
}

static void a_way_says_what_is_not_0(void **state)
{
	struct way_line l;

	(void)state;
	same("set 192.0.2.1:40000 > 198.51.100.1:80 act=drop");
	l = same("set 192.0.2.1:40000 > 198.51.100.1:80 act=host flags=expect,adopt id=3 "
		 "expect=1001 "
		 "ts=10/20 mss=1460 ws=7/8 opts=ts,sack,ws mate=198.51.100.1:80>192.0.2.1:40000");
	assert_int_equal(l.way.act, WAY_HOST);
	assert_int_equal(l.way.flags, WAY_EXPECT | WAY_ADOPT);
	assert_int_equal(l.way.attrs.rcv_tsval, 10);
	assert_int_equal(l.way.attrs.rcv_tsecr, 20);
	assert_int_equal(l.way.attrs.rcv_wscale, 8);
	assert_memory_equal(l.way.mate.dst, l.key.src, 16);
	assert_int_equal(l.way.mate.sport, l.key.dport);
	l = same("have [2001:db8::1]:1 > [2001:db8::2]:65535 act=send flags=src,dst,shift,mute "
		 "id=1 if=3 "
		 "mac=02:00:00:00:00:01 from=02:00:00:00:00:02 src=192.0.2.1:7 dst=[::1]:8 "
		 "seq=4294967295 "
		 "ack=1 tsval=2 tsecr=3 scale=14/7 origin=63 end=9 clamp=4/5 front=6/7 fws=255");
	assert_int_equal(l.way.from_scale, 14);
	assert_int_equal(l.way.dmac[5], 1);
	assert_int_equal(l.way.front_tsval, 7);
}

static void the_longest_line_fits(void **state)
{
	char text[WAY_LINE_MAX];
	struct way_line l, again;
	size_t n;

	(void)state;
	memset(&l, 0, sizeof l);
	l.kind = WAY_LINE_SET;
	memset(&l.key, 0xff, 36);
	memset(&l.way, 0xff, offsetof(struct way, seen));
	l.way.act = WAY_SEND;
	l.way.flags = (1u << 12) - 1;
	l.way.from_scale = l.way.to_scale = l.way.attrs.snd_wscale = l.way.attrs.rcv_wscale = 14;
	l.way.origin = WAY_ORIGINS - 1;
	l.way.repeats = 0;
	memset(l.way.pad2, 0, sizeof l.way.pad2);
	memset(l.way.attrs.pad, 0, sizeof l.way.attrs.pad);
	l.way.attrs.options = 15;
	l.way.mate.zero = 0;
	n = way_line_write(&l, text);
	assert_true(n > 500 && n < WAY_LINE_MAX - 60);
	assert_int_equal(way_line_read(text, n, &again), 0);
	assert_memory_equal(&l.way, &again.way, sizeof l.way);
}

static void what_is_not_quite_a_line_is_none(void **state)
{
	static const char *const bad[] = {
		"",
		" list",
		"list ",
		"LIST",
		"del",
		"del 192.0.2.1:1",
		"del 192.0.2.1:1 < 192.0.2.2:2",
		"del 192.0.2.1:1  > 192.0.2.2:2",
		"del 192.0.2.1:1 > 192.0.2.2:2 ",
		"del 192.0.2.1:1 > 192.0.2.2:2 id=1",
		"del 192.0.2:1 > 192.0.2.2:2",
		"del 192.0.2.256:1 > 192.0.2.2:2",
		"del 192.0.2.01:1 > 192.0.2.2:2",
		"del 192.0.2.1.1:1 > 192.0.2.2:2",
		"del 192.0.2.1:65536 > 192.0.2.2:2",
		"del 192.0.2.1:-1 > 192.0.2.2:2",
		"del 192.0.2.1: > 192.0.2.2:2",
		"del 2001:db8::1:1 > 192.0.2.2:2",
		"del [2001:db8::1::]:1 > 192.0.2.2:2",
		"del [2001:db8:::1]:1 > 192.0.2.2:2",
		"del [2001:db8]:1 > 192.0.2.2:2",
		"del [1:2:3:4:5:6:7:8:9]:1 > 192.0.2.2:2",
		"del [1:2:3:4:5:6:7:12345]:1 > 192.0.2.2:2",
		"del [::ffff:c000:201]:1 > 192.0.2.2:2",
		"del [2001:DB8::1]:1 > 192.0.2.2:2",
		"set 192.0.2.1:1 > 192.0.2.2:2",
		"amend 192.0.2.1:1 > 192.0.2.2:2 act=host",
		"set 192.0.2.1:1 > 192.0.2.2:2 id=1",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=fly",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=host act=host",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=host id=01",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=host id=+1",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=host id=4294967296",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=host id=",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=host scale=15/0",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=host scale=1",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=host flags=dst,src",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=host flags=src,src",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=host flags=src,",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=host flags=",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=host mac=02:00:00:00:00",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=host mac=02:00:00:00:00:0g",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=host origin=64",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=host mate=192.0.2.1:1",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=host \"id=1\"",
		"set 192.0.2.1:1 > 192.0.2.2:2 act=host seen=any",
		"seen 192.0.2.1:1 > 192.0.2.2:2 idle=1",
		"event 192.0.2.1:1 > 192.0.2.2:2 id=1 a=1 b=1",
		"event fin-in 192.0.2.1:1 > 192.0.2.2:2 id=1 a=1",
		"del\t192.0.2.1:1 > 192.0.2.2:2",
	};
	struct way_line l, before;

	(void)state;
	memset(&l, 0xa5, sizeof l);
	before = l;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (read_line(bad[i], &l) == 0)
			print_message("taken: %s\n", bad[i]);
		assert_memory_equal(&l, &before, sizeof l);
	}
	assert_int_equal(way_line_read("list\0", 5, &l), -EINVAL);
}

/* Random ways, each with some of its words. */
static void every_way_reads_back(void **state)
{
	uint64_t rng = 88172645463325252u;
	char text[WAY_LINE_MAX];
	struct way_line l, again;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		uint8_t *b = (uint8_t *)&l;
		size_t n;

		memset(&l, 0, sizeof l);
		l.kind = WAY_LINE_HAVE;
		for (size_t i = 0; i < sizeof l.key - 4; i++) {
			rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
			b[offsetof(struct way_line, key) + i] = rng & 3 ? (uint8_t)(rng >> 8) : 0;
		}
		l.way.flags = (uint32_t)(rng >> 20) & 0xfff;
		l.way.act = (uint32_t)(rng >> 33) & 3;
		l.way.seq = (uint32_t)(rng >> 13);
		l.way.attrs.options = (uint8_t)(rng >> 7 & 15);
		if (rng & 16)
			l.way.mate = l.key;
		if (rng & 32)
			memcpy(l.way.new_src, l.key.dst, 16);
		n = way_line_write(&l, text);
		assert_int_equal(way_line_read(text, n, &again), 0);
		assert_memory_equal(&again, &l, sizeof l);
		for (size_t cut = 0; cut < n; cut += 7)
			(void)way_line_read(text, cut, &again);
	}
}

static void a_mac_is_of_all_its_parts(void **state)
{
	uint8_t key[16] = { 1, 2, 3 };
	struct way_mac_input in = { .seq = 1 };
	uint64_t mac = way_mac(key, &in);

	(void)state;
	for (size_t i = 0; i < sizeof in; i++) {
		((uint8_t *)&in)[i] ^= 1;
		assert_true(way_mac(key, &in) != mac);
		((uint8_t *)&in)[i] ^= 1;
	}
	key[15] ^= 1;
	assert_true(way_mac(key, &in) != mac);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_written_as_they_are_read),
		cmocka_unit_test(a_way_says_what_is_not_0),
		cmocka_unit_test(the_longest_line_fits),
		cmocka_unit_test(what_is_not_quite_a_line_is_none),
		cmocka_unit_test(every_way_reads_back),
		cmocka_unit_test(a_mac_is_of_all_its_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
