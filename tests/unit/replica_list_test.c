/* SPDX-License-Identifier: MIT */
#include "role/replica/replica_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/env.h"
#include "core/make.h"
#include "core/outbox.h"
#include "role/replica/compare_role.h"
#include "role/replica/rewrite_role.h"

static struct outbox out, made;
static struct counters counters;

static uint64_t always(void *ctx)
{
	(void)ctx;
	return 0x9e3779b97f4a7c15u;
}

static void *start(const struct role_ops *ops, const void *config, uint32_t ports)
{
	static struct role_env env;
	size_t need = ops->need(config);
	void *block;

	env = (struct role_env){ .random = always, .counters = &counters, .ports = ports };
	assert_true(need > 0);
	block = aligned_alloc(128, (need + 127) & ~(size_t)127);
	assert_non_null(block);
	memset(block, 0, need);
	return ops->init(block, config, &env);
}

static void give(const struct role_ops *ops, void *role, unsigned port, bool client,
		 const struct make_tcp *m)
{
	struct lane l = { .eth_len = 14,
			  .ip = 4,
			  .ttl = 64,
			  .sport = client ? 40000 : 80,
			  .dport = client ? 80 : 40000 };
	uint8_t near[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 },
		far[16] = { [10] = 0xff, 0xff, 198, 51, 100, 2 };
	struct burst in = { .n = 1, .port = (uint16_t)port, .now = SUT_MS(5000) };

	l.eth[12] = 8;
	memcpy(l.src, client ? near : far, 16);
	memcpy(l.dst, client ? far : near, 16);
	outbox_clear(&made);
	outbox_clear(&out);
	assert_true(make_tcp(&made, port, &l, m));
	in.pkts = made.pkt;
	ops->input(role, &in, &out);
}

static void rewriters_connections(void **state)
{
	struct replica_rewrite_config cfg;
	struct flow_row row;
	uint32_t cursor = 0;
	void *role;

	(void)state;
	replica_rewrite_defaults(&cfg);
	cfg.max_flows = 16;
	role = start(&replica_rewrite_ops, &cfg, 3);
	assert_false(replica_rewrite_ops.list(role, &cursor, SUT_MS(6000), &row));
	give(&replica_rewrite_ops, role, REPLICA_PRIMARY, true,
	     &(struct make_tcp){ .seq = 1000, .flags = TCP_SYN });
	cursor = 0;
	assert_true(replica_rewrite_ops.list(role, &cursor, SUT_MS(6000), &row));
	assert_string_equal(row.state, "HALF");
	assert_string_equal(row.mode, "client");
	assert_false(row.shifted);
	give(&replica_rewrite_ops, role, REPLICA_SECONDARY, false,
	     &(struct make_tcp){ .seq = 9000, .ack = 1001, .flags = TCP_SYN | TCP_ACK });
	give(&replica_rewrite_ops, role, REPLICA_PRIMARY, true,
	     &(struct make_tcp){ .seq = 1001, .ack = 5001, .flags = TCP_ACK });
	cursor = 0;
	assert_true(replica_rewrite_ops.list(role, &cursor, SUT_MS(6000), &row));
	assert_string_equal(row.state, "ESTABLISHED");
	assert_true(row.shifted);
	assert_int_equal(row.shift[FAR], 4000);
	assert_int_equal(row.age_ns, SUT_MS(1000));
	assert_int_equal(be16_get(row.key.sport), 40000);
	assert_false(replica_rewrite_ops.list(role, &cursor, SUT_MS(6000), &row));
	free(role);
}

static void comparisons_connections(void **state)
{
	struct replica_compare_config cfg;
	struct flow_row row;
	uint32_t cursor = 0;
	void *role;

	(void)state;
	replica_compare_defaults(&cfg);
	cfg.max_flows = 16;
	cfg.hold_cells = 64;
	role = start(&replica_compare_ops, &cfg, 7);
	give(&replica_compare_ops, role, COMPARE_PRIMARY_IN, false,
	     &(struct make_tcp){ .seq = 9000, .ack = 1001, .flags = TCP_SYN | TCP_ACK });
	assert_true(replica_compare_ops.list(role, &cursor, SUT_MS(6000), &row));
	assert_string_equal(row.state, "WAITING");
	assert_string_equal(row.mode, "tcp");
	assert_true(row.held_bytes > 0);
	give(&replica_compare_ops, role, COMPARE_SECONDARY_IN, false,
	     &(struct make_tcp){ .seq = 7000, .ack = 1001, .flags = TCP_SYN | TCP_ACK });
	assert_int_equal(out.n, 1);
	cursor = 0;
	assert_true(replica_compare_ops.list(role, &cursor, SUT_MS(6000), &row));
	assert_string_equal(row.state, "AGREED");
	assert_false(replica_compare_ops.list(role, &cursor, SUT_MS(6000), &row));
	free(role);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rewriters_connections),
		cmocka_unit_test(comparisons_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
