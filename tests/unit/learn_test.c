/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/record.h"
#include "role/accel/learn.h"

#define SERVERS 64u
static const uint8_t secret[16] = { 1, 2, 3 };

static int setup(void **state)
{
	void *block = aligned_alloc(64, (learn_need(SERVERS) + 63) & ~(size_t)63);

	memset(block, 0, learn_need(SERVERS));
	*state = learn_init(block, SERVERS, secret);
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* The key of a client that speaks to 198.51.100.host:port. */
static struct flow_key to(uint8_t host, uint16_t port)
{
	struct flow_key k = { .sport = be16_of(40000), .dport = be16_of(port), .where = 0xffffff };
	static const uint8_t net[16] = { [10] = 0xff, 0xff, 198, 51, 100, 0 };

	memcpy(k.dst, net, sizeof net);
	k.dst[15] = host;
	return k;
}

static void finds_by_address_port_and_tags(void **state)
{
	struct flow_key a = to(1, 80), b = to(2, 80), c = to(1, 81), d = to(1, 80);
	struct server *s = learn_enter(*state, &a, 5);

	d.where = 0xfff005;
	assert_ptr_equal(learn_find(*state, &a, 6), s);
	assert_null(learn_find(*state, &b, 6));
	assert_null(learn_find(*state, &c, 6));
	assert_null(learn_find(*state, &d, 6));
	a.sport = be16_of(50000);
	assert_ptr_equal(learn_enter(*state, &a, 7), s);
}

/* An option's absence is learnt only from a SYN that offered it. */
static void learns_what_was_offered(void **state)
{
	static const struct {
		const char *what;
		uint16_t offered, present, want_offered, want_has;
	} steps[] = {
		{ "nothing offered, nothing known", 0, OPT_MSS, 0, OPT_MSS },
		{ "timestamps offered and taken", OPT_TS, OPT_MSS | OPT_TS, OPT_TS,
		  OPT_MSS | OPT_TS },
		{ "SACK offered and refused; timestamps stay", OPT_SACK_PERMITTED, OPT_MSS,
		  OPT_TS | OPT_SACK_PERMITTED, OPT_MSS | OPT_TS },
		{ "timestamps offered and refused now", OPT_TS, OPT_MSS,
		  OPT_TS | OPT_SACK_PERMITTED, OPT_MSS },
		{ "an answer that nobody asked for counts for nothing", 0, OPT_WSCALE,
		  OPT_TS | OPT_SACK_PERMITTED, 0 },
	};
	struct flow_key k = to(1, 80);
	struct server *s = learn_enter(*state, &k, 0);

	s->negative_until = 99;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		struct tcp_options o = { .present = steps[i].present, .mss = 1400, .wscale = 9 };

		learn_synack(s, steps[i].offered, &o, 65160, i == 0, 10 + i);
		if (s->offered != steps[i].want_offered || s->has != steps[i].want_has)
			fail_msg("%s: offered %x has %x", steps[i].what, s->offered, s->has);
	}
	/* A promised SYN prolongs nothing. */
	assert_int_equal(s->learnt_at, 10);
	assert_int_equal(s->negative_until, 0);
	assert_int_equal(s->wscale, 0);
	assert_int_equal(s->window, 65160);
}

static void full_set_forgets_the_oldest(void **state)
{
	struct flow_key k = to(1, 80);
	uint32_t there = 0;

	learn_enter(*state, &k, 1);
	for (unsigned i = 0; i < 4000; i++) {
		struct flow_key other = to((uint8_t)(i & 0xff), (uint16_t)(1000 + i));

		learn_find(*state, &k, 10 + i);
		learn_enter(*state, &other, 10 + i);
	}
	assert_non_null(learn_find(*state, &k, 9999));
	for (uint32_t i = 0; i < learn_slots(*state); i++)
		there += learn_at(*state, i)->used;
	assert_int_equal(there, learn_slots(*state));
}

/* One miss is a short pause, misses in a row are longer ones, up to the limit. */
static void misses_pause_longer_and_longer(void **state)
{
	struct flow_key k = to(1, 80);
	struct server *s = learn_enter(*state, &k, 0);
	const sut_time most = SUT_MS(600000);

	learn_black(s, most, 0);
	assert_int_equal(s->black_until, SUT_MS(2000));
	learn_black(s, most, 0);
	assert_int_equal(s->black_until, SUT_MS(8000));
	for (unsigned i = 0; i < 100; i++)
		learn_black(s, most, 0);
	assert_int_equal(s->black_until, most);
	s->black_misses = 0;
	learn_black(s, SUT_MS(1000), 0);
	assert_int_equal(s->black_until, SUT_MS(1000));
}

static void saved_and_restored(void **state)
{
	struct flow_key k = to(7, 443), other = to(8, 443);
	struct server *s = learn_enter(*state, &k, 0), was;
	struct record r;
	struct record_reader rd;

	s->has = OPT_MSS | OPT_TS;
	s->mss = 1400;
	s->learnt = 1;
	s->learnt_at = SUT_MS(100);
	s->negative_until = SUT_MS(5000);
	s->takes_data = TAKES_YES;
	was = *s;
	learn_save(s, SUT_MS(1000), &r);
	memset(s, 0, sizeof *s);
	assert_int_equal(record_open(&r, &rd), 0);
	assert_int_equal(learn_restore(*state, &rd, SUT_MS(11000)), 0);
	s = learn_find(*state, &k, SUT_MS(11000));
	assert_non_null(s);
	assert_null(learn_find(*state, &other, 0));
	assert_int_equal(s->mss, was.mss);
	assert_int_equal(s->has, was.has);
	assert_int_equal(s->takes_data, was.takes_data);
	/* Ages, not times: 900 ms old, 4 s of negative time left. */
	assert_int_equal(s->learnt_at, SUT_MS(10100));
	assert_int_equal(s->negative_until, SUT_MS(15000));
}

static void damaged_records_change_nothing(void **state)
{
	struct flow_key k = to(7, 443);
	struct server *s = learn_enter(*state, &k, 0);
	struct record r;
	struct record_reader rd;

	learn_save(s, 0, &r);
	assert_int_equal(record_open(&r, &rd), 0);
	rd.version++;
	assert_int_equal(learn_restore(*state, &rd, 0), -EPROTO);
	assert_int_equal(record_open(&r, &rd), 0);
	rd.left -= 1;
	assert_int_equal(learn_restore(*state, &rd, 0), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds_by_address_port_and_tags, setup, teardown),
		cmocka_unit_test_setup_teardown(learns_what_was_offered, setup, teardown),
		cmocka_unit_test_setup_teardown(full_set_forgets_the_oldest, setup, teardown),
		cmocka_unit_test_setup_teardown(misses_pause_longer_and_longer, setup, teardown),
		cmocka_unit_test_setup_teardown(saved_and_restored, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_records_change_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
