/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "role/handoff/msg.h"

static struct hand_msg same(const char *s)
{
	char text[HAND_MSG_MAX];
	struct hand_msg m;
	size_t n;

	assert_int_equal(hand_msg_read(s, strlen(s), &m), 0);
	n = hand_msg_write(&m, text);
	assert_int_equal(n, strlen(s));
	assert_memory_equal(text, s, n);
	return m;
}

static void lines_are_written_as_they_are_read(void **state)
{
	struct hand_msg m;

	(void)state;
	same("hello");
	m = same("adopt id=7 client=192.0.2.1:40000 origin=198.51.100.1:80 seq=1 ack=2 end=3 "
		 "mss=1460 ws=7/8 opts=ts,sack,ws ts=10/20");
	assert_int_equal(m.id, 7);
	assert_int_equal(m.client_port, 40000);
	assert_int_equal(m.origin_port, 80);
	assert_int_equal(m.snd_wscale, 7);
	assert_int_equal(m.rcv_wscale, 8);
	assert_int_equal(m.options, WAY_OPT_TS | WAY_OPT_SACK | WAY_OPT_WSCALE);
	assert_int_equal(m.tsval, 10);
	assert_int_equal(m.tsecr, 20);
	m = same("shift id=7 client=[2001:db8::1]:1 origin=[2001:db8::2]:80 seq=1 ack=2 end=3 ts=5 "
		 "wscale=9");
	assert_int_equal(m.wscale, 9);
	assert_int_equal(m.tsecr, 5);
	m = same("shift id=7 client=192.0.2.1:1 origin=192.0.2.2:80 seq=1 ack=2 end=3 ts=5 far=yes "
		 "wscale=9");
	assert_int_equal(m.far_host, 1);
	same("watch id=0 client=192.0.2.1:40000 origin=198.51.100.1:80 end=4294967295");
	m = same("watch id=0 client=192.0.2.1:40000 origin=198.51.100.1:80 end=4294967295 "
		 "begun=4294967295");
	assert_int_equal(m.begun, 4294967295);
	same("mute id=1");
	same("forget id=4294967295");
	same("ask id=1");
	same("ready id=1");
	m = same("refused id=1 why=no-room");
	assert_string_equal(m.why, "no-room");
	m = same("state id=1 ack=77 is=closing acked=1 fin=both rst=0");
	assert_int_equal(m.state, HAND_CLOSING);
	assert_int_equal(m.fin_in, 1);
	assert_int_equal(m.fin_out, 1);
	m = same("state id=1 ack=77 is=gone acked=0 fin=out rst=1");
	assert_int_equal(m.fin_in, 0);
	assert_int_equal(m.fin_out, 1);
	m = same("host opts=none kernel=6.18 boot=1 adopt=yes shift=no why='tcp_syncookies is 0' "
		 "rcvwnd=65535 wscale=7 origins=0,3,63");
	assert_string_equal(m.why, "tcp_syncookies is 0");
	assert_int_equal(m.kernel, 6 << 16 | 18);
	assert_true(m.origins == (UINT64_C(1) << 63 | 9));
	m = same(
		"host opts=none kernel=6.18 boot=1 adopt=no shift=yes why=ok rcvwnd=65535 wscale=7 "
		"origins=0 guard=yes");
	assert_int_equal(m.guard, 1);
	assert_int_equal(m.mtu, 0);
	m = same(
		"host opts=none kernel=6.18 boot=1 adopt=no shift=yes why=ok rcvwnd=65535 wscale=7 "
		"origins=0 mtu=1400");
	assert_int_equal(m.mtu, 1400);
	same("host opts=ecn kernel=6.1 boot=1 adopt=no shift=yes why='' rcvwnd=0 wscale=0 "
	     "origins=none");
}

static void what_is_not_quite_a_message_is_none(void **state)
{
	static const char *const bad[] = {
		"",
		"hello id=1",
		"hello ",
		"ask",
		"ask id=1 id=1",
		"ask id=1 seq=1",
		"ask id=1 far=yes",
		"ask id=1 begun=1",
		"ask id=1 mtu=1400",
		"host opts=none kernel=6.18 boot=1 adopt=no shift=yes why=ok rcvwnd=65535 wscale=7 "
		"origins=0 mtu=65536",
		"ask id=x",
		"adopt id=7 client=192.0.2.1:40000 origin=198.51.100.1:80 seq=1 ack=2 end=3 "
		"mss=1460 ws=7/8 opts=ts",
		"adopt id=7 client=192.0.2.1:40000 origin=198.51.100.1:80 seq=1 ack=2 end=3 "
		"mss=1460 ws=7/15 opts=ts ts=1/1",
		"adopt id=7 client=192.0.2.1:40000 origin=198.51.100.1:80 seq=1 ack=2 end=3 "
		"mss=65536 ws=7/8 opts=ts ts=1/1",
		"adopt id=7 client=192.0.2.1:40000 origin=198.51.100.1:80 seq=1 ack=2 end=3 "
		"mss=1460 ws=7/8 opts=ts ts=1",
		"state id=1 ack=77 is=lost acked=1 fin=both rst=0",
		"state id=1 ack=77 is=gone acked=2 fin=both rst=0",
		"refused id=1 why='no-room'",
		"refused id=1 why=no room",
		"refused id=1 why='no room",
		"refused id=1 why=",
		"refused id=1 why='a'b",
		"refused id=1 why=a='b c'",
	};
	struct hand_msg m, before;

	(void)state;
	memset(&m, 0x5a, sizeof m);
	before = m;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (hand_msg_read(bad[i], strlen(bad[i]), &m) == 0)
			print_message("taken: %s\n", bad[i]);
		assert_memory_equal(&m, &before, sizeof m);
	}
}

static void the_longest_message_fits(void **state)
{
	char text[HAND_MSG_MAX];
	struct hand_msg m, again;
	size_t n;

	(void)state;
	memset(&m, 0, sizeof m);
	m.kind = HAND_HOST;
	m.options = 15;
	m.kernel = m.boot = m.rcvwnd = UINT32_MAX;
	m.wscale = 14;
	m.origins = UINT64_MAX;
	m.guard = 1;
	m.mtu = UINT16_MAX;
	memset(m.why, 'w', sizeof m.why - 1);
	m.why[3] = ' ';
	n = hand_msg_write(&m, text);
	assert_int_equal(hand_msg_read(text, n, &again), 0);
	assert_memory_equal(&m, &again, sizeof m);
	memset(&m, 0, sizeof m);
	m.kind = HAND_ADOPT;
	memset(m.client, 0xff, sizeof m.client);
	memset(m.origin, 0xff, sizeof m.origin);
	m.client_port = m.origin_port = m.mss = UINT16_MAX;
	m.id = m.seq = m.ack = m.end = m.tsval = m.tsecr = UINT32_MAX;
	m.options = 15;
	n = hand_msg_write(&m, text);
	assert_int_equal(hand_msg_read(text, n, &again), 0);
	assert_memory_equal(&m, &again, sizeof m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_written_as_they_are_read),
		cmocka_unit_test(what_is_not_quite_a_message_is_none),
		cmocka_unit_test(the_longest_message_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
