/* SPDX-License-Identifier: MIT */
/* The role replica-mirror through its role_ops: which way is copied, what leaves where, in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/env.h"
#include "core/outbox.h"
#include "role/replica/mirror_role.h"

#define BURST 64u
#define ALL_PORTS (1u << MIRROR_CLIENT | 1u << MIRROR_PRIMARY | 1u << MIRROR_MIRROR)

static struct {
	uint64_t block[64];
	struct counters counters;
	struct role_env env;
	struct outbox out;
	void *role;
	struct packet pkt[BURST];
	uint8_t bytes[BURST][60];
} rig;

static void lay_out(uint8_t queue, uint32_t joined)
{
	struct replica_mirror_config c;

	memset(&rig, 0, sizeof rig);
	replica_mirror_defaults(&c);
	assert_int_equal(c.queue, MIRROR_TX);
	c.queue = queue;
	assert_null(replica_mirror_config_error(&c));
	assert_in_range(replica_mirror_ops.need(&c), 1, sizeof rig.block);
	rig.env = (struct role_env){ .ports = joined, .counters = &rig.counters };
	rig.role = replica_mirror_ops.init(rig.block, &c, &rig.env);
	for (unsigned i = 0; i < BURST; i++) {
		memset(rig.bytes[i], (int)i, sizeof rig.bytes[i]);
		rig.pkt[i] = (struct packet){
			.head = rig.bytes[i],
			.head_len = sizeof rig.bytes[i],
			.off = { .csum = CSUM_PARTIAL,
				 .gso_size = (uint16_t)(1000 + i),
				 .vnet_len = 12 },
		};
	}
}

static void put(unsigned port, unsigned n)
{
	struct packet *pkts[BURST];

	for (unsigned i = 0; i < n; i++)
		pkts[i] = &rig.pkt[i];
	outbox_clear(&rig.out);
	replica_mirror_ops.input(rig.role, &(struct burst){ pkts, (uint16_t)n, (uint16_t)port, 5 },
				 &rig.out);
}

/* All of the first n packets left at port, in order, as they came. */
static void left(unsigned port, unsigned n)
{
	unsigned at = 0;

	for (unsigned i = 0; i < rig.out.n; i++) {
		if (rig.out.port[i] != port)
			continue;
		assert_true(at < n);
		assert_ptr_equal(rig.out.pkt[i], &rig.pkt[at]);
		assert_int_equal(rig.out.pkt[i]->head[0], at);
		assert_int_equal(rig.out.pkt[i]->off.gso_size, 1000 + at);
		assert_int_equal(rig.out.pkt[i]->off.vnet_len, 12);
		at++;
	}
	assert_int_equal(at, n);
}

static void passes_and_copies(unsigned in, unsigned to, unsigned copies)
{
	put(in, BURST);
	assert_int_equal(rig.out.n, BURST + copies);
	left(to, BURST);
	left(MIRROR_MIRROR, copies);
	assert_int_equal(counters_dropped(&rig.counters), 0);
}

static void each_queue_is_one_way(void **state)
{
	(void)state;
	lay_out(MIRROR_TX, ALL_PORTS);
	passes_and_copies(MIRROR_CLIENT, MIRROR_PRIMARY, BURST);
	passes_and_copies(MIRROR_PRIMARY, MIRROR_CLIENT, 0);
	assert_int_equal(rig.counters.event[EV_MIRRORED], BURST);
	lay_out(MIRROR_RX, ALL_PORTS);
	passes_and_copies(MIRROR_CLIENT, MIRROR_PRIMARY, 0);
	passes_and_copies(MIRROR_PRIMARY, MIRROR_CLIENT, BURST);
	lay_out(MIRROR_ALL, ALL_PORTS);
	passes_and_copies(MIRROR_CLIENT, MIRROR_PRIMARY, BURST);
	passes_and_copies(MIRROR_PRIMARY, MIRROR_CLIENT, BURST);
	assert_int_equal(rig.counters.event[EV_MIRRORED], 2 * BURST);
	assert_true(replica_mirror_ops.deadline(rig.role) == SUT_NEVER);
}

static void nothing_comes_from_the_mirror(void **state)
{
	(void)state;
	lay_out(MIRROR_ALL, ALL_PORTS);
	put(MIRROR_MIRROR, 7);
	assert_int_equal(rig.out.n, 0);
	assert_int_equal(rig.counters.dropped[R_WRONG_WAY], 7);
}

static void without_a_primary_it_only_copies(void **state)
{
	(void)state;
	lay_out(MIRROR_TX, 1u << MIRROR_CLIENT | 1u << MIRROR_MIRROR);
	put(MIRROR_CLIENT, 9);
	assert_int_equal(rig.out.n, 9);
	left(MIRROR_MIRROR, 9);
	assert_int_equal(counters_dropped(&rig.counters), 0);
	lay_out(MIRROR_RX, 1u << MIRROR_CLIENT | 1u << MIRROR_MIRROR);
	put(MIRROR_CLIENT, 9);
	assert_int_equal(rig.out.n, 0);
	assert_int_equal(rig.counters.dropped[R_WRONG_WAY], 9);
}

static void impossible_settings_are_named(void **state)
{
	struct replica_mirror_config c = { .queue = 3 };

	(void)state;
	assert_int_equal(replica_mirror_ops.need(&c), 0);
	assert_non_null(strstr(replica_mirror_config_error(&c), "queue"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_queue_is_one_way),
		cmocka_unit_test(nothing_comes_from_the_mirror),
		cmocka_unit_test(without_a_primary_it_only_copies),
		cmocka_unit_test(impossible_settings_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
