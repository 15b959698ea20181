/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "base/packet.h"
#include "core/quad.h"
#include "proto/ip.h"
#include "proto/view.h"

#define V4(a, b, c, d)                               \
	{                                            \
		[10] = 0xff, [11] = 0xff, a, b, c, d \
	}
#define V6(last)                                    \
	{                                           \
		0x20, 0x01, 0x0d, 0xb8, [15] = last \
	}

/* A frame's outer facts, and the key that they make. */
/* clang-format off */
static const struct {
	const char *what;
	unsigned ip, port;
	uint16_t vlan[2];
	struct flow_key key;
} table[] = {
	{ "IPv4", 4, 0, { VLAN_NONE, VLAN_NONE },
	  { V4(192, 0, 2, 1), V4(198, 51, 100, 2), { { 0x9c, 0x40 } }, { { 0, 80 } }, 0x00ffffff } },
	{ "IPv4, one tag", 4, 1, { 7, VLAN_NONE },
	  { V4(192, 0, 2, 1), V4(198, 51, 100, 2), { { 0x9c, 0x40 } }, { { 0, 80 } }, 0x01007fff } },
	{ "IPv4, two tags", 4, 255, { 0xabc, 0x123 },
	  { V4(192, 0, 2, 1), V4(198, 51, 100, 2), { { 0x9c, 0x40 } }, { { 0, 80 } }, 0xffabc123 } },
	{ "priority tag names no VLAN", 4, 0, { 0, VLAN_NONE },
	  { V4(192, 0, 2, 1), V4(198, 51, 100, 2), { { 0x9c, 0x40 } }, { { 0, 80 } }, 0x00ffffff } },
	{ "IPv6", 6, 2, { VLAN_NONE, VLAN_NONE },
	  { V6(1), V6(2), { { 0x9c, 0x40 } }, { { 0, 80 } }, 0x02ffffff } },
};
/* clang-format on */

/* Lays headers with the key's addresses and ports at l3 = 14 and behind it; v says so. */
static void lay_out(size_t i, uint8_t *frame, struct view *ret_v)
{
	const struct flow_key *k = &table[i].key;
	uint16_t l4 = table[i].ip == 4 ? 34 : 54;

	memset(frame, 0xee, 128);
	if (table[i].ip == 4) {
		memcpy(frame + 14 + 12, k->src + 12, 4);
		memcpy(frame + 14 + 16, k->dst + 12, 4);
	} else {
		memcpy(frame + 14 + 8, k->src, 16);
		memcpy(frame + 14 + 24, k->dst, 16);
	}
	memcpy(frame + l4, &k->sport, 2);
	memcpy(frame + l4 + 2, &k->dport, 2);
	*ret_v = (struct view){
		.l3 = 14,
		.l4 = l4,
		.ip = (uint8_t)table[i].ip,
		.tcp = true,
		.vlan = { table[i].vlan[0], table[i].vlan[1] },
	};
}

static void keys_are_as_tabled(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		uint8_t frame[128];
		struct packet p = { .head = frame, .head_len = sizeof frame };
		struct view v;
		struct flow_key k;

		lay_out(i, frame, &v);
		memset(&k, 0xdd, sizeof k);
		flow_key_of(&p, &v, table[i].port, &k);
		if (!flow_key_equal(&k, &table[i].key))
			fail_msg("%s: another key", table[i].what);
	}
}

static void reverse_exchanges_the_ends_and_keeps_the_tags(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const struct flow_key *k = &table[i].key;
		struct flow_key r, back;

		flow_key_reverse(k, 9, &r);
		assert_memory_equal(r.src, k->dst, 16);
		assert_memory_equal(r.dst, k->src, 16);
		assert_int_equal(be16_get(r.sport), be16_get(k->dport));
		assert_int_equal(be16_get(r.dport), be16_get(k->sport));
		assert_int_equal(r.where, 9u << 24 | (k->where & 0xffffff));
		flow_key_reverse(&r, table[i].port, &back);
		assert_true(flow_key_equal(&back, k));
		flow_key_reverse(&r, table[i].port, &r); /* in place */
		assert_true(flow_key_equal(&r, k));
	}
}

static void every_bit_tells_keys_apart(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < sizeof(struct flow_key) * 8; bit++) {
		uint8_t bytes[sizeof(struct flow_key)];
		struct flow_key k = table[2].key;

		memcpy(bytes, &k, sizeof k);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		memcpy(&k, bytes, sizeof k);
		assert_false(flow_key_equal(&k, &table[2].key));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_as_tabled),
		cmocka_unit_test(reverse_exchanges_the_ends_and_keeps_the_tags),
		cmocka_unit_test(every_bit_tells_keys_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
