/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/env.h"
#include "core/outbox.h"
#include "core/record.h"
#include "core/way_text.h"
#include "proto/ip.h"
#include "role/handoff/front.h"

/* More hand-offs than lines find room in one call. */
#define HANDS 400u
#define FIRST_ID (1u << 20)

static struct front_config cfg;
static struct counters counters;
static struct role_env env;
static struct outbox out;
static uint64_t dice;
static uint8_t *block;
static void *role;
static sut_time now;
static unsigned laid; /* ways that lead to the link address that is looked for */
static const char *wanted = "mac=02:00:00:00:00:07";

static uint64_t next_random(void *ctx)
{
	(void)ctx;
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return dice ^ dice >> 29;
}

static void take_out(void)
{
	for (unsigned i = 0; i < out.n; i++) {
		char text[2048];

		if (out.port[i] != FRONT_PLANE)
			continue;
		memcpy(text, out.pkt[i]->head, out.pkt[i]->head_len);
		text[out.pkt[i]->head_len] = 0;
		laid += strncmp(text, "set ", 4) == 0 && strstr(text, wanted) != NULL;
	}
	outbox_clear(&out);
}

static void due(void)
{
	while (front_role.deadline(role) <= now) {
		front_role.expire(role, now, &out);
		take_out();
	}
}

static void say(unsigned port, const char *text)
{
	uint8_t bytes[PACKET_HEADROOM + WAY_LINE_MAX];
	struct packet p = { .head = bytes + PACKET_HEADROOM, .head_len = (uint32_t)strlen(text) },
		      *pkts[] = { &p };
	struct burst in = { pkts, 1, (uint16_t)port, now };

	memcpy(p.head, text, p.head_len);
	front_role.input(role, &in, &out);
	take_out();
	assert_null(front_check(role));
	due();
}

static void begin(void)
{
	const char *names[] = { "web1" };
	char err[128];

	cfg = (struct front_config){ .max_conns = HANDS,
				     .head_max = 16384,
				     .mtu = 1500,
				     .head_timeout = SUT_MS(10000),
				     .idle_timeout = SUT_MS(3600000),
				     .linger = SUT_MS(60000),
				     .confirm_timeout = SUT_MS(1000),
				     .origins = 1,
				     .backends = 1 };
	ip4_map((const uint8_t *)"\xc6\x33\x64\x01", cfg.origin[0].ip);
	cfg.origin[0].port = 80;
	memcpy(cfg.backend[0].name, "web1", 5);
	ip4_map((const uint8_t *)"\xcb\x00\x71\x0b", cfg.backend[0].at[0].ip);
	cfg.backend[0].at[0].port = 80;
	cfg.backend[0].rungs = 7;
	cfg.backend[0].has_agent = true;
	route_backends(&cfg.routes, names, 1);
	assert_int_equal(route_rule_read(&cfg.routes, "default web1", names, 1, err), 0);
	memset(&counters, 0, sizeof counters);
	env = (struct role_env){ .random = next_random,
				 .counters = &counters,
				 .ports = 1u << FRONT_CLIENT | 1u << FRONT_AGENTS |
					  1u << FRONT_PLANE | 1u << FRONT_WORLD };
	block = calloc(1, front_role.need(&cfg) + 64);
	assert_non_null(block);
	role = front_role.init(block + (64 - (uintptr_t)block % 64), &cfg, &env);
	due();
}

static void end(void)
{
	free(block);
}

/* Hand-offs that a process before this one has laid, and that the agent knows. */
static void find_hands(void)
{
	char text[256];

	for (unsigned i = 0; i < HANDS; i++) {
		snprintf(text, sizeof text,
			 "have 192.0.2.10:%u > 198.51.100.1:80 act=send id=%u if=3 expect=7",
			 10000 + i, FIRST_ID + i);
		say(FRONT_PLANE, text);
		snprintf(text, sizeof text,
			 "web1 state id=%u ack=7 is=there acked=1 fin=none rst=0", FIRST_ID + i);
		say(FRONT_AGENTS, text);
	}
	say(FRONT_PLANE, "end");
}

/* All ways follow a back end that has moved, however many there are. */
static void moved(void **state)
{
	(void)state;
	begin();
	say(FRONT_WORLD, "backend web1 mac 02:00:00:00:00:02 via 02:00:00:00:00:01 if 3");
	find_hands();
	now += SUT_MS(60000);
	due();
	laid = 0;
	say(FRONT_WORLD, "backend web1 mac 02:00:00:00:00:07 via 02:00:00:00:00:01 if 3");
	assert_int_equal(laid, HANDS);
	assert_int_equal(counters.dropped[R_OUTBOX_FULL], 0);
	end();
}

static void have(unsigned client, unsigned slot)
{
	char text[256];

	snprintf(text, sizeof text,
		 "have 192.0.2.10:%u > 198.51.100.1:80 act=send id=%u if=3 expect=7",
		 10000 + client, FIRST_ID + slot);
	say(FRONT_PLANE, text);
}

static void none(unsigned client)
{
	char text[256];

	snprintf(text, sizeof text, "none 192.0.2.10:%u > 198.51.100.1:80", 10000 + client);
	say(FRONT_PLANE, text);
}

/* Slots are taken by their numbers, in any order, and as they come; none is used twice, none is lost. */
static void slots(void **state)
{
	(void)state;
	begin();
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = HANDS; i > HANDS / 2; i--)
			have(i - 1, 2 * (i - HANDS / 2) - 1);
		for (unsigned i = 0; i < HANDS / 2; i++)
			have(i, 1); /* there is one already */
		assert_int_equal(counters.dropped[R_FLOWS_FULL], round);
		have(HANDS, 0);
		assert_int_equal(counters.dropped[R_FLOWS_FULL], round + 1);
		for (unsigned i = 0; i < HANDS; i += 2)
			none(i);
		for (unsigned i = 0; i < HANDS; i += 2)
			have(i, i);
		for (unsigned i = 0; i < HANDS; i++)
			none(i);
	}
	assert_int_equal(counters.event[EV_FLOWS_OPENED], 3 * (HANDS + HANDS / 2));
	assert_int_equal(counters.event[EV_FLOWS_CLOSED], 3 * (HANDS + HANDS / 2));
	end();
}

static struct record told[8];
static unsigned n_told;

static void keep(void *ctx, const struct record *r)
{
	(void)ctx;
	assert_true(n_told < 8);
	told[n_told++] = *r;
}

static void lay_out(const struct front_config *c)
{
	free(block);
	block = calloc(1, front_role.need(c) + 64);
	assert_non_null(block);
	role = front_role.init(block + (64 - (uintptr_t)block % 64), c, &env);
}

/* What was told of a back end that is gone is not what one that comes later by its name is, after a restart either. */
static void told_of_another(void **state)
{
	struct front_config next;
	struct record r;
	uint32_t cursor = 0;

	(void)state;
	begin();
	env.journal = keep;
	env.ports |= 1u << FRONT_CONTROL;
	lay_out(&cfg);
	due();
	say(FRONT_CONTROL, "backend web1 drain");
	assert_int_equal(n_told, 1);
	next = cfg;
	memcpy(next.backend[0].name, "web2", 5);
	assert_int_equal(front_role.configure(role, &next), 0);
	now += SUT_MS(2000);
	due(); /* web1 is gone */
	next = cfg;
	assert_int_equal(front_role.configure(role, &next), 0);
	due();
	assert_int_equal(front_role.save(role, &cursor, now, &r), 0); /* the new one has nothing */
	lay_out(&next);
	for (unsigned i = 0; i < n_told; i++)
		assert_int_equal(front_role.restore(role, &told[i], now), 0);
	cursor = 0;
	assert_int_equal(front_role.save(role, &cursor, now, &r), 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moved),
		cmocka_unit_test(slots),
		cmocka_unit_test(told_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
