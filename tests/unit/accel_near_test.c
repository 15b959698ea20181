/* SPDX-License-Identifier: MIT */
/*
 * What scripts cannot show of accel-near: records, limits, and a full outbox.  Behaviour is in tests/pkt/accel-near.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/env.h"
#include "core/make.h"
#include "core/flow_row.h"
#include "core/record.h"
#include "proto/checksum.h"
#include "proto/icmp.h"
#include "role/accel/near.h"

static const uint8_t client_addr[16] = { [10] = 0xff, 0xff, 192, 0, 2, 10 };
static const uint8_t server_addr[16] = { [10] = 0xff, 0xff, 198, 51, 100, 1 };

#define KEPT_MAX 32u

struct bench {
	struct accel_near_config cfg;
	struct counters counters;
	void *block, *role;
	struct outbox out, made; /* what the role sends; where the ends' packets are made */
	sut_time now;
	struct record kept[KEPT_MAX]; /* the journal */
	unsigned kept_count;
};

static uint64_t always(void *ctx)
{
	(void)ctx;
	return 0x9e3779b97f4a7c15u;
}

static void keep(void *ctx, const struct record *r)
{
	struct bench *b = ctx;

	if (b->kept_count < KEPT_MAX)
		b->kept[b->kept_count++] = *r;
}

static struct role_env env_of(struct bench *b)
{
	return (struct role_env){
		.secret = { 7 },
		.random = always,
		.counters = &b->counters,
		.journal = keep,
		.journal_ctx = b,
	};
}

static void start(struct bench *b)
{
	struct role_env env = env_of(b);
	size_t need = accel_near_ops.need(&b->cfg);

	assert_true(need > 0);
	b->block = aligned_alloc(64, (need + 63) & ~(size_t)63);
	memset(b->block, 0, need);
	b->role = accel_near_ops.init(b->block, &b->cfg, &env);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof *b);

	accel_near_defaults(&b->cfg);
	b->cfg.max_flows = 128;
	b->cfg.max_servers = 16;
	b->cfg.hold_cells = 64;
	b->cfg.first_contact_promise = true;
	b->cfg.mode = ACCEL_HOLD;
	b->now = SUT_MS(1000);
	start(b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	free(b->block);
	free(b);
	return 0;
}

/* How one end's packets look; the client's port tells flows apart. */
static struct lane lane(bool client, uint16_t port)
{
	struct lane l = {
		.eth_len = 14,
		.ip = 4,
		.ttl = 64,
		.sport = client ? port : 80,
		.dport = client ? 80 : port,
	};

	l.eth[5] = client ? 2 : 1;
	l.eth[11] = client ? 1 : 2;
	l.eth[12] = 8;
	memcpy(l.src, client ? client_addr : server_addr, 16);
	memcpy(l.dst, client ? server_addr : client_addr, 16);
	return l;
}

/* Gives the role what was made since the last time, all of one port. */
static void give(struct bench *b, unsigned port)
{
	struct burst in = { b->made.pkt, b->made.n, (uint16_t)port, b->now };

	outbox_clear(&b->out);
	accel_near_ops.input(b->role, &in, &b->out);
}

static void send_one(struct bench *b, unsigned port, uint16_t client_port, const struct make_tcp *m)
{
	struct lane l = lane(port == ACCEL_CLIENT, client_port);

	outbox_clear(&b->made);
	assert_true(make_tcp(&b->made, port, &l, m));
	give(b, port);
}

/* The i-th packet that the role sent. */
static struct view sent(struct bench *b, unsigned i, unsigned port)
{
	struct view v;

	assert_true(i < b->out.n);
	assert_int_equal(b->out.port[i], port);
	assert_int_equal(view_parse(b->out.pkt[i], &v), R_NONE);
	assert_true(csum_tcp_ok(b->out.pkt[i], &v));
	assert_true(csum_ip_ok(b->out.pkt[i], &v));
	return v;
}

/* Opens a flow: the client's ISN is 1000, the server's 9000; returns the promised ISN. */
static uint32_t open_flow(struct bench *b, uint16_t port)
{
	struct make_tcp m = { .seq = 1000, .flags = TCP_SYN, .window = 64240 };
	uint32_t promise;

	send_one(b, ACCEL_CLIENT, port, &m);
	assert_int_equal(b->out.n, 2);
	promise = sent(b, 1, ACCEL_CLIENT).seq;
	m = (struct make_tcp){ .seq = 1001, .ack = promise + 1, .flags = TCP_ACK, .window = 500 };
	send_one(b, ACCEL_CLIENT, port, &m);
	assert_int_equal(b->out.n, 0);
	m = (struct make_tcp){
		.seq = 9000, .ack = 1001, .flags = TCP_SYN | TCP_ACK, .window = 60000
	};
	send_one(b, ACCEL_SERVER, port, &m);
	assert_int_equal(b->out.n, 1);
	assert_int_equal(sent(b, 0, ACCEL_SERVER).ack, 9001);
	return promise;
}

static void check_translates(struct bench *b, uint16_t port, uint32_t promise)
{
	struct make_tcp m = {
		.seq = 9001,
		.ack = 1001,
		.flags = TCP_ACK,
		.window = 60000,
		.payload = (const uint8_t *)"hello",
		.payload_len = 5,
	};

	send_one(b, ACCEL_SERVER, port, &m);
	assert_int_equal(b->out.n, 1);
	assert_int_equal(sent(b, 0, ACCEL_CLIENT).seq, promise + 1);
	m = (struct make_tcp){ .seq = 1001, .ack = promise + 6, .flags = TCP_ACK, .window = 500 };
	send_one(b, ACCEL_CLIENT, port, &m);
	assert_int_equal(b->out.n, 1);
	assert_int_equal(sent(b, 0, ACCEL_SERVER).ack, 9006);
}

static void records_carry_flows_to_another_box(void **state)
{
	struct bench *b = *state;
	uint32_t promise[3], cursor = 0;
	struct record records[8];
	struct flow_row row;
	unsigned n = 0;

	for (uint16_t i = 0; i < 3; i++)
		promise[i] = open_flow(b, (uint16_t)(40000 + i));
	check_translates(b, 40001, promise[1]);
	b->now += SUT_MS(90000);
	while (n < 8 && accel_near_ops.save(b->role, &cursor, b->now, &records[n]))
		n++;
	assert_int_equal(n, 4); /* three flows and one server */

	free(b->block);
	start(b);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(accel_near_ops.restore(b->role, &records[i], b->now), 0);
	b->now += SUT_MS(1000);
	cursor = 0;
	while (accel_near_ops.list(b->role, &cursor, b->now, &row))
		assert_in_range(row.age_ns, SUT_MS(91000), SUT_MS(91999));
	for (uint16_t i = 0; i < 3; i++)
		check_translates(b, (uint16_t)(40000 + i), promise[i]);
	assert_int_equal(accel_near_ops.restore(b->role, &records[0], b->now), -EEXIST);
	records[0].bytes[20] ^= 1;
	assert_int_equal(accel_near_ops.restore(b->role, &records[0], b->now), -EINVAL);
}

/* Kinds of the kept records, a letter each. */
static void kinds_kept(const struct bench *b, char *ret_s)
{
	for (unsigned i = 0; i < b->kept_count; i++) {
		struct record_reader rd;

		assert_int_equal(record_open(&b->kept[i], &rd), 0);
		*ret_s++ = rd.kind == REC_ACCEL_FLOW	 ? 'f'
			   : rd.kind == REC_ACCEL_SERVER ? 's'
							 : 'e';
	}
	*ret_s = 0;
}

/* The process is gone without a word; another one begins with what was kept. */
static void killed(struct bench *b)
{
	unsigned n = b->kept_count;

	free(b->block);
	start(b);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(accel_near_ops.restore(b->role, &b->kept[i], b->now), 0);
	assert_int_equal(b->kept_count, n);
}

static void journal_survives_a_kill(void **state)
{
	struct bench *b = *state;
	uint32_t promise = open_flow(b, 40000), far = 0xc0000000u;
	struct make_tcp m = { .flags = TCP_ACK, .window = 60000, .ack = 1001 };
	char kinds[KEPT_MAX + 1];
	uint32_t cursor = 0;

	kinds_kept(b, kinds);
	assert_string_equal(kinds, "sf");
	killed(b);

	/* Meanwhile three gigabytes have gone by, of which the record knows nothing. */
	for (unsigned i = 0; i < 3; i++) {
		m = (struct make_tcp){
			.seq = 9001 + far + i * 5,
			.ack = 1001,
			.flags = TCP_ACK,
			.payload = (const uint8_t *)"hello",
			.payload_len = 5,
		};
		send_one(b, ACCEL_SERVER, 40000, &m);
		assert_int_equal(sent(b, 0, ACCEL_CLIENT).seq, promise + 1 + far + i * 5);
		m = (struct make_tcp){ .seq = 1001,
				       .ack = promise + 6 + far + i * 5,
				       .flags = TCP_ACK };
		send_one(b, ACCEL_CLIENT, 40000, &m);
		assert_int_equal(sent(b, 0, ACCEL_SERVER).ack, 9006 + far + i * 5);
	}

	/* An exact reset ends it: its edges were learnt anew. */
	m = (struct make_tcp){ .seq = 9006 + far + 10, .ack = 1001, .flags = TCP_RST | TCP_ACK };
	send_one(b, ACCEL_SERVER, 40000, &m);
	assert_int_equal(sent(b, 0, ACCEL_CLIENT).seq, promise + 6 + far + 10);
	b->now += SUT_MS(200000);
	outbox_clear(&b->out);
	accel_near_ops.expire(b->role, b->now, &b->out);
	kinds_kept(b, kinds);
	assert_string_equal(kinds, "sffe"); /* joined, closed, forgotten */
	killed(b);
	assert_int_equal(accel_near_ops.save(b->role, &cursor, b->now, &b->kept[9]),
			 b->kept[0].len);
}

static void full_table_passes_syns_unpromised(void **state)
{
	struct bench *b = *state;

	for (uint16_t i = 0; i < 200; i++) {
		struct make_tcp m = { .seq = 5, .flags = TCP_SYN, .window = 1000 };

		send_one(b, ACCEL_CLIENT, (uint16_t)(1000 + i), &m);
		assert_int_equal(b->out.n, i < 128 ? 2 : 1);
		assert_int_equal(sent(b, 0, ACCEL_SERVER).flags, TCP_SYN);
	}
	assert_int_equal(b->counters.passed[R_FLOWS_FULL] + b->counters.passed[R_BUCKETS_FULL],
			 200 - 128);
}

/*
 * SYNs whose time runs out together: every reset is sent, in as many calls as it takes.  Three a call, and one more flow
 * has begun to owe: with 127 of them the last call is asked for by what is owed, and by no timer.
 */
static void owed_packets_survive_a_full_outbox(void **state)
{
	struct bench *b = *state;
	unsigned resets = 0, calls = 0;

	for (uint16_t i = 0; i < 127; i++) {
		struct make_tcp m = { .seq = 5, .flags = TCP_SYN, .window = 1000 };

		send_one(b, ACCEL_CLIENT, (uint16_t)(1000 + i), &m);
	}
	b->now += SUT_MS(60500);
	while (accel_near_ops.deadline(b->role) <= b->now && calls++ < 1000) {
		outbox_clear(&b->out);
		/* All but three places are taken: what does not fit stays owed. */
		b->out.made = OUTBOX_MADE - 3;
		accel_near_ops.expire(b->role, b->now, &b->out);
		for (unsigned i = 0; i < b->out.n; i++)
			resets += b->out.port[i] == ACCEL_CLIENT;
	}
	assert_int_equal(resets, 127);
	assert_true(calls > 30);
	assert_true(accel_near_ops.deadline(b->role) > b->now);
}

/* A segment while no packet of the role's own fits. */
static void send_when_full(struct bench *b, unsigned port, uint16_t client_port,
			   const struct make_tcp *m)
{
	struct lane l = lane(port == ACCEL_CLIENT, client_port);
	struct burst in = { b->made.pkt, 1, (uint16_t)port, b->now };

	outbox_clear(&b->made);
	assert_true(make_tcp(&b->made, port, &l, m));
	outbox_clear(&b->out);
	b->out.made = OUTBOX_MADE;
	accel_near_ops.input(b->role, &in, &b->out);
	assert_int_equal(b->out.n, 0);
}

/* The SYN with data is still owed when a SYN-ACK comes that acknowledges the data: the debt is void. */
static void answer_overtakes_an_owed_syn(void **state)
{
	struct bench *b = *state;
	struct make_tcp m = { .seq = 1000, .flags = TCP_SYN, .window = 64240 };
	uint32_t promise;

	free(b->block);
	b->cfg.mode = ACCEL_MERGE;
	start(b);
	send_one(b, ACCEL_CLIENT, 40000, &m);
	promise = sent(b, 0, ACCEL_CLIENT).seq;
	m = (struct make_tcp){ .seq = 1001,
			       .ack = promise + 1,
			       .flags = TCP_ACK,
			       .window = 500,
			       .payload = (const uint8_t *)"hello",
			       .payload_len = 5 };
	send_when_full(b, ACCEL_CLIENT, 40000, &m);
	assert_int_equal(accel_near_ops.deadline(b->role), 0);
	m = (struct make_tcp){
		.seq = 9000, .ack = 1006, .flags = TCP_SYN | TCP_ACK, .window = 60000
	};
	send_when_full(b, ACCEL_SERVER, 40000, &m);
	outbox_clear(&b->out);
	accel_near_ops.expire(b->role, b->now, &b->out);
	assert_int_equal(b->out.n, 2);
	assert_int_equal(sent(b, 0, ACCEL_CLIENT).ack, 1006);
	assert_int_equal(sent(b, 1, ACCEL_SERVER).ack, 9001);
	assert_int_equal(accel_near_held(b->role), 0);
}

/* A segment that the device is to cut leaves without what lay behind its IP packet: it would become payload. */
static void cut_segments_lose_their_trailer(void **state)
{
	static const uint8_t data[1000];
	struct bench *b = *state;
	uint32_t promise = open_flow(b, 40000);
	struct make_tcp m = { .seq = 1001,
			      .ack = promise + 1,
			      .flags = TCP_ACK,
			      .window = 500,
			      .payload = data,
			      .payload_len = sizeof data };
	struct lane l = lane(true, 40000);
	struct view v;

	send_one(b, ACCEL_CLIENT, 40000, &m); /* the server's MSS is 536: told by ICMP, dropped */
	assert_int_equal(b->counters.dropped[R_OVERSIZE], 1);
	outbox_clear(&b->made);
	assert_true(make_tcp(&b->made, ACCEL_CLIENT, &l, &m));
	b->made.pkt[0]->head_len += 4; /* a frame check sequence that was left on */
	give(b, ACCEL_CLIENT);
	v = sent(b, 0, ACCEL_SERVER);
	assert_int_equal(b->out.pkt[0]->off.gso_size, 536);
	assert_int_equal(b->out.pkt[0]->off.csum, CSUM_PARTIAL);
	assert_int_equal(packet_len(b->out.pkt[0]), v.l4 + v.l4_len);
}

static void bad_settings_are_named(void **state)
{
	struct bench *b = *state;
	struct accel_near_config c = b->cfg;

	assert_null(accel_near_config_error(&c));
	c.early_bytes = 65536;
	assert_non_null(strstr(accel_near_config_error(&c), "early-bytes"));
	assert_int_equal(accel_near_ops.need(&c), 0);
	c = b->cfg;
	c.max_flows = 0;
	assert_non_null(strstr(accel_near_config_error(&c), "max-flows"));
}

/* Of what only passes no bytes are counted, and none are listed. */
static void a_verified_flow_has_no_bytes(void **state)
{
	struct bench *b = *state;
	struct flow_row row;
	uint32_t cursor = 0;

	b->cfg.mode = ACCEL_VERIFY;
	assert_int_equal(accel_near_ops.configure(b->role, &b->cfg), 0);
	send_one(b, ACCEL_CLIENT, 4000, &(const struct make_tcp){ .seq = 1000, .flags = TCP_SYN });
	assert_true(accel_near_ops.list(b->role, &cursor, b->now, &row));
	assert_string_equal(row.state, "VERIFYING");
	assert_true(row.uncounted);
	assert_int_equal(row.bytes[NEAR], 0);
	assert_int_equal(row.bytes[FAR], 0);
}

/* An error about what the server sent, in near numbers, reaches the server in its own. */
static void check_maps_errors(struct bench *b, uint16_t port, uint32_t promise)
{
	struct make_tcp m = { .seq = promise + 1, .ack = 1001, .flags = TCP_ACK };
	struct lane l = lane(false, port);
	struct outbox quoted = { 0 };
	struct icmp_error e;
	struct view v;

	assert_true(make_tcp(&quoted, 0, &l, &m));
	assert_int_equal(view_parse(quoted.pkt[0], &v), R_NONE);
	outbox_clear(&b->made);
	assert_true(make_too_big(&b->made, ACCEL_CLIENT, quoted.pkt[0], &v, 1400));
	give(b, ACCEL_CLIENT);
	assert_int_equal(b->out.n, 1);
	assert_int_equal(view_parse(b->out.pkt[0], &v), R_NONE);
	assert_int_equal(icmp_error_read(b->out.pkt[0], &v, &e), R_NONE);
	assert_int_equal(e.seq, 9001);
	assert_true(csum_icmp_ok(b->out.pkt[0], &v));
}

/* Limits say so and change nothing; all else is in force at once, and what was joined goes on. */
static void settings_change_while_it_runs(void **state)
{
	struct bench *b = *state;
	struct accel_near_config c = b->cfg;
	const struct make_tcp syn = { .seq = 7, .flags = TCP_SYN };
	uint32_t promise = open_flow(b, 4000);
	uint64_t bypassed = b->counters.passed[R_MODE_BYPASS];

	c.mode = ACCEL_BYPASS;
	c.max_flows++;
	assert_int_equal(accel_near_ops.configure(b->role, &c), -EBUSY);
	c.max_flows--;
	c.hold_cells++;
	assert_int_equal(accel_near_ops.configure(b->role, &c), -EBUSY);
	c.hold_cells--;
	send_one(b, ACCEL_CLIENT, 4001, &syn);
	assert_int_equal(b->counters.passed[R_MODE_BYPASS], bypassed);
	assert_int_equal(accel_near_ops.configure(b->role, &c), 0);
	send_one(b, ACCEL_CLIENT, 4002, &syn);
	assert_int_equal(b->counters.passed[R_MODE_BYPASS], bypassed + 1);
	check_maps_errors(b, 4000, promise);
	check_translates(b, 4000, promise);
	/* its ports may be used again, and are none of ours then */
	send_one(b, ACCEL_CLIENT, 4000, &(const struct make_tcp){ .seq = 1001, .flags = TCP_RST });
	send_one(b, ACCEL_CLIENT, 4000, &(const struct make_tcp){ .seq = 5000, .flags = TCP_SYN });
	assert_int_equal(b->out.n, 1);
	assert_int_equal(sent(b, 0, ACCEL_SERVER).seq, 5000);
	assert_int_equal(b->counters.passed[R_MODE_BYPASS], bypassed + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(journal_survives_a_kill, setup, teardown),
		cmocka_unit_test_setup_teardown(records_carry_flows_to_another_box, setup,
						teardown),
		cmocka_unit_test_setup_teardown(full_table_passes_syns_unpromised, setup, teardown),
		cmocka_unit_test_setup_teardown(owed_packets_survive_a_full_outbox, setup,
						teardown),
		cmocka_unit_test_setup_teardown(answer_overtakes_an_owed_syn, setup, teardown),
		cmocka_unit_test_setup_teardown(cut_segments_lose_their_trailer, setup, teardown),
		cmocka_unit_test_setup_teardown(a_verified_flow_has_no_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_settings_are_named, setup, teardown),
		cmocka_unit_test_setup_teardown(settings_change_while_it_runs, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
