/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/env.h"
#include "core/flow_row.h"
#include "core/outbox.h"
#include "core/record.h"
#include "core/way_text.h"
#include "proto/ip.h"
#include "role/handoff/back.h"

static struct back_config cfg;
static struct counters counters;
static struct role_env env;
static struct outbox out;
static void *role;
static uint8_t *block;
static char lines[1024][WAY_LINE_MAX];
static unsigned ports[1024], n_lines;

static void *make(uint8_t **ret_block)
{
	size_t n = back_role.need(&cfg) + 64;

	*ret_block = calloc(1, n);
	assert_non_null(*ret_block);
	return back_role.init(*ret_block + (64 - (uintptr_t)*ret_block % 64), &cfg, &env);
}

static unsigned settle(void);
static void say(unsigned port, const char *text);

static void begin(uint32_t flows)
{
	back_defaults(&cfg);
	cfg.max_flows = flows;
	cfg.host.adopt = cfg.host.shift = 1;
	cfg.host.options = 7;
	ip4_map((const uint8_t *)"\xc6\x33\x64\x01", cfg.origin[0].ip);
	memcpy(cfg.origin[0].host_ip, cfg.origin[0].ip, 16);
	store_be16((uint8_t *)&cfg.origin[0].port, 80);
	cfg.origin[0].host_port = cfg.origin[0].port;
	memset(&counters, 0, sizeof counters);
	env = (struct role_env){ .counters = &counters,
				 .ports = 1u << BACK_CONTROL | 1u << BACK_FRONTS |
					  1u << BACK_PLANE };
	role = make(&block);
	settle();
	assert_string_equal(lines[n_lines - 1], "list");
	say(BACK_PLANE, "end");
	settle();
	n_lines = 0;
}

static void end(void)
{
	free(block);
}

static void take(void)
{
	for (unsigned i = 0; i < out.n; i++) {
		const struct packet *p = out.pkt[i];

		assert_true(n_lines < 1024 && p->head_len < WAY_LINE_MAX);
		memcpy(lines[n_lines], p->head, p->head_len);
		lines[n_lines][p->head_len] = '\0';
		ports[n_lines++] = out.port[i];
	}
	outbox_clear(&out);
}

/* What is owed is paid, as the app would call. */
static unsigned settle(void)
{
	unsigned calls = 0;

	take();
	while (back_role.deadline(role) == 0) {
		back_role.expire(role, 0, &out);
		assert_true(out.n > 0 && ++calls < 100);
		take();
	}
	return calls;
}

static void give(unsigned port, const char *const *text, unsigned n)
{
	struct packet p[64], *pkts[64];
	struct burst b = { .pkts = pkts, .n = (uint16_t)n, .port = (uint16_t)port, .now = 0 };

	for (unsigned i = 0; i < n; i++) {
		p[i] = (struct packet){ .head = (uint8_t *)(uintptr_t)text[i],
					.head_len = (uint32_t)strlen(text[i]) };
		pkts[i] = &p[i];
	}
	back_role.input(role, &b, &out);
}

static void say(unsigned port, const char *text)
{
	give(port, &text, 1);
}

static void announce(char *s, size_t size, unsigned i)
{
	snprintf(s, size,
		 "fe adopt id=%u client=192.0.2.10:%u origin=198.51.100.1:80 seq=1 ack=2 end=3 "
		 "mss=1460 "
		 "ws=7/7 opts=none ts=0/0",
		 i, 40000 + i);
}

/* A burst of announcements owes more lines than fit: all are written, in order, none twice. */
static void what_does_not_fit_is_paid_later(void **state)
{
	char text[64][200];
	const char *t[64];
	unsigned sets = 0, readies = 0;

	(void)state;
	begin(64);
	for (unsigned i = 0; i < 64; i++) {
		announce(text[i], sizeof text[i], i);
		t[i] = text[i];
	}
	give(BACK_FRONTS, t, 64);
	assert_true(settle() > 0);
	for (unsigned i = 0; i < n_lines; i++) {
		char want[40];

		if (ports[i] == BACK_PLANE) {
			sets++;
			continue;
		}
		assert_int_equal(ports[i], BACK_FRONTS);
		snprintf(want, sizeof want, "fe ready id=%u", readies++);
		assert_string_equal(lines[i], want);
		assert_int_equal(sets, 2 * readies); /* its ways were laid before */
	}
	assert_int_equal(readies, 64);
	assert_int_equal(counters_dropped(&counters), 0);
	end();
}

static void a_full_table_says_so(void **state)
{
	char text[200];

	(void)state;
	begin(3);
	for (unsigned i = 0; i < 4; i++) {
		announce(text, sizeof text, i);
		say(BACK_FRONTS, text);
	}
	settle();
	assert_string_equal(lines[n_lines - 1], "fe refused id=3 why=no-room");
	say(BACK_FRONTS, "fe forget id=1");
	announce(text, sizeof text, 3);
	say(BACK_FRONTS, text);
	settle();
	assert_string_equal(lines[n_lines - 1], "fe ready id=3");
	end();
}

/* More front ends than there is room for: the others are not listened to. */
static void front_ends_are_bounded(void **state)
{
	char text[40];

	(void)state;
	begin(3);
	for (unsigned i = 0; i < 70; i++) {
		snprintf(text, sizeof text, "fe%u hello", i);
		say(BACK_FRONTS, text);
		settle();
	}
	assert_int_equal(counters.dropped[R_MSG_UNKNOWN], 6);
	end();
}

static void another_size_needs_another_block(void **state)
{
	struct back_config c;

	(void)state;
	begin(3);
	c = cfg;
	c.max_flows = 4;
	assert_int_equal(back_role.configure(role, &c), -EBUSY);
	c.max_flows = 3;
	c.origin[0].port = 0;
	memset(c.origin[0].ip, 0, 16);
	assert_int_equal(back_role.configure(role, &c), 0);
	say(BACK_FRONTS, "fe adopt id=1 client=192.0.2.10:1 origin=198.51.100.1:80 seq=1 ack=2 "
			 "end=3 mss=1460 ws=7/7 opts=none ts=0/0");
	settle();
	assert_string_equal(lines[n_lines - 1], "fe refused id=1 why=no-origin");
	c.max_flows = 0;
	assert_int_equal(back_role.need(&c), 0);
	c.max_flows = 2u << 20;
	assert_int_equal(back_role.need(&c), 0);
	c.max_flows = 1;
	c.linger = 0;
	assert_non_null(back_config_error(&c));
	end();
}

static void records_are_checked(void **state)
{
	struct record rec, bad;
	uint32_t cursor = 0;
	uint8_t *block2;
	char text[200];
	void *other;

	(void)state;
	begin(1);
	announce(text, sizeof text, 0);
	say(BACK_FRONTS, text);
	settle();
	assert_true(back_role.save(role, &cursor, 0, &rec) > 0);
	assert_int_equal(back_role.restore(role, &rec, 0), -EEXIST);
	other = make(&block2);
	bad = rec;
	bad.bytes[20] ^= 1;
	assert_int_equal(back_role.restore(other, &bad, 0), -EINVAL);
	for (unsigned i = 0; i < 2; i++) { /* another version; another role's */
		bad = rec;
		bad.bytes[i == 0 ? 2 : 0]++;
		bad.bytes[bad.len - 4] = (uint8_t)crc32c(0, bad.bytes, bad.len - 4u);
		bad.bytes[bad.len - 3] = (uint8_t)(crc32c(0, bad.bytes, bad.len - 4u) >> 8);
		bad.bytes[bad.len - 2] = (uint8_t)(crc32c(0, bad.bytes, bad.len - 4u) >> 16);
		bad.bytes[bad.len - 1] = (uint8_t)(crc32c(0, bad.bytes, bad.len - 4u) >> 24);
		assert_int_equal(back_role.restore(other, &bad, 0), -EPROTO);
	}
	assert_int_equal(back_role.restore(other, &rec, 0), 0);
	announce(text, sizeof text, 1);
	free(block);
	block = block2;
	role = other;
	settle();
	say(BACK_PLANE, "have 192.0.2.10:40000 > 198.51.100.1:80 act=host flags=expect,adopt id=1 "
			"mate=198.51.100.1:80>192.0.2.10:40000");
	say(BACK_PLANE, "have 198.51.100.1:80 > 192.0.2.10:40000 act=host flags=watch id=1 "
			"mate=192.0.2.10:40000>198.51.100.1:80");
	say(BACK_PLANE, "end");
	settle();
	say(BACK_FRONTS, text);
	settle();
	assert_string_equal(lines[n_lines - 1], "fe refused id=1 why=no-room");
	end();
}

static void rows_say_who_and_how(void **state)
{
	struct flow_row row;
	uint32_t cursor = 0;
	char text[200];

	(void)state;
	begin(4);
	announce(text, sizeof text, 0);
	say(BACK_FRONTS, text);
	say(BACK_FRONTS, "fe shift id=1 client=192.0.2.10:40001 origin=198.51.100.1:80 seq=1 ack=2 "
			 "end=3 wscale=7 ts=0");
	say(BACK_PLANE, "event learnt 192.0.2.10:40001 > 198.51.100.1:80 id=2 a=100 b=4294967295");
	settle();
	assert_true(back_role.list(role, &cursor, 0, &row));
	assert_string_equal(row.mode, "adopt");
	assert_string_equal(row.state, "PENDING");
	assert_int_equal(be16_get(row.key.sport), 40000);
	assert_true(back_role.list(role, &cursor, 0, &row));
	assert_string_equal(row.mode, "shift");
	assert_true(row.shifted && row.clocked);
	assert_int_equal(row.shift[FAR], 0u - 100);
	assert_int_equal(row.clock[FAR], 1);
	assert_false(back_role.list(role, &cursor, 0, &row));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_does_not_fit_is_paid_later),
		cmocka_unit_test(a_full_table_says_so),
		cmocka_unit_test(front_ends_are_bounded),
		cmocka_unit_test(another_size_needs_another_block),
		cmocka_unit_test(records_are_checked),
		cmocka_unit_test(rows_say_who_and_how),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
