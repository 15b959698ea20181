/* SPDX-License-Identifier: MIT */
#include "stack_peer.h"

#include <errno.h>

#include "base/compiler.h"

#define MSS 1448u
#define LAST (TCP_ACK | TCP_PSH)

/* Without SACK there are no tail loss probes: what comes is the timeouts. */
static struct peer *opened(unsigned rtt)
{
	struct peer *p = peer_new();

	p->sack = false;
	peer_open(p, rtt);
	return p;
}

/* ms since t */
static unsigned since(const struct peer *p, sut_time t)
{
	return (unsigned)((p->now - t) / 1000000);
}

/* Lets time pass until the next packet goes out; ms that it took. */
static unsigned wait_for_one(struct peer *p)
{
	sut_time begin = p->now;

	assert_int_equal(p->taken, p->n);
	while (p->taken == p->n) {
		sut_time d = stack_deadline(p->s);

		assert_true(d != SUT_NEVER);
		peer_until(p, d > p->now ? d : p->now + 1);
	}
	return since(p, begin);
}

static int error_of(struct peer *p)
{
	int64_t e = -1;

	assert_int_equal(stack_get(p->s, p->id, CONNOPT_ERROR, &e), 0);
	return (int)e;
}

/* --- RFC 6298, 5 */

/* 5.4 to 5.6: again, and each time after twice as long. */
static void timeouts_double(void **state)
{
	static const unsigned ms[] = { 300, 600, 1200, 2400, 4800 };
	struct peer *p = opened(100);

	(void)state;
	peer_write(p, 10);
	peer_expect(p, 1, 10, LAST);
	for (size_t i = 0; i < ARRAY_LEN(ms); i++) {
		assert_in_range(wait_for_one(p), ms[i], ms[i] + 1);
		peer_expect(p, 1, 10, LAST);
		peer_quiet(p);
	}
	assert_int_equal(stack_count(p->s, STACK_RTO), 5);
	peer_free(p);
}

/* 5.3: each ACK of something new starts it again; with many segments in flight nothing times out while ACKs come. */
static void restarted_by_each_ack(void **state)
{
	struct peer *p = opened(100);

	(void)state;
	peer_write(p, 10 * MSS);
	p->taken = p->n;
	for (uint32_t i = 1; i < 10; i++) {
		peer_passes(p, 250); /* below 300, nine times */
		peer_ack(p, 1 + i * MSS);
		peer_quiet(p);
	}
	assert_int_equal(stack_count(p->s, STACK_RTO), 0);
	peer_passes(p, 2000);
	assert_true(stack_count(p->s, STACK_RTO) > 0);
	peer_free(p);
}

/* What acknowledges nothing new does not: else a loss would never be found. */
static void not_restarted_by_others(void **state)
{
	struct peer *p = opened(100);

	(void)state;
	peer_write(p, 10);
	p->taken = p->n;
	for (int i = 0; i < 2; i++) {
		peer_passes(p, 140);
		p->wnd += 128;
		peer_ack(p, 1);
	}
	assert_in_range(wait_for_one(p), 18, 22);
	peer_expect(p, 1, 10, LAST);
	peer_free(p);
}

/* 5.2: all is acknowledged: off. */
static void off_when_all_is_acknowledged(void **state)
{
	struct peer *p = opened(100);

	(void)state;
	peer_write(p, 10);
	p->taken = p->n;
	peer_ack(p, 11);
	assert_true(peer_conn(p)->timer[T_RTX] == SUT_NEVER);
	peer_passes(p, 100000);
	peer_quiet(p);
	peer_free(p);
}

/* MUST-18 (Karn): without timestamps the ACK of what was sent twice is no measurement, and the back-off stays. */
static void karn(void **state)
{
	struct peer *p = peer_new();
	uint32_t srtt;

	(void)state;
	p->sack = p->ts = false;
	p->cfg.no_timestamps = true;
	peer_open(p, 100);
	srtt = peer_conn(p)->rtt.srtt;
	peer_write(p, 10);
	peer_passes(p, 310);
	p->taken = p->n;
	peer_ack(p, 11);
	assert_int_equal(peer_conn(p)->rtt.srtt, srtt);
	peer_write(p, 10);
	p->taken = p->n;
	assert_in_range(wait_for_one(p), 600, 601);
	p->taken = p->n;
	peer_ack(p, 21);
	peer_write(p, 10);
	p->taken = p->n;
	peer_passes(p, 100);
	peer_ack(p, 31); /* sent once */
	assert_int_equal(peer_conn(p)->rtt.backoff, 0);
	peer_free(p);
}

/* --- the handshake */

/* 2.1 and 5.5: 1 s, doubling; MUST-23: for three minutes at least. */
static void syn_is_given_up(void **state)
{
	struct peer *p = peer_new();
	sut_time begin = p->now;
	unsigned syns = 0;

	(void)state;
	peer_connect(p);
	peer_expect(p, 0, 0, TCP_SYN);
	assert_in_range(wait_for_one(p), 1000, 1001);
	peer_expect(p, 0, 0, TCP_SYN);
	assert_in_range(wait_for_one(p), 2000, 2001);
	peer_expect(p, 0, 0, TCP_SYN);
	while (peer_conn(p)->state == ST_SYN_SENT) {
		assert_true(since(p, begin) < 400000);
		peer_passes(p, 1000);
		for (; p->taken < p->n; syns++)
			peer_expect(p, 0, 0, TCP_SYN);
	}
	assert_true(since(p, begin) >= 180000);
	assert_in_range(syns, 4, 6);
	assert_int_equal(error_of(p), ETIMEDOUT);
	peer_free(p);
}

/* RFC 6298, 5.7, and RFC 5681, 3.1: a SYN that was lost makes data begin carefully. */
static void syn_lost(void **state)
{
	struct peer *p = peer_new();

	(void)state;
	p->sack = p->ts = false;
	p->cfg.no_timestamps = true;
	peer_connect(p);
	peer_next(p);
	(void)wait_for_one(p);
	peer_next(p);
	peer_synack(p, 1);
	peer_flush(p);
	peer_expect(p, 1, 0, TCP_ACK);
	peer_write(p, 5000);
	peer_expect(p, 1, 1460, TCP_ACK);
	peer_quiet(p);
	assert_in_range(wait_for_one(p), 3000, 3001);
	peer_free(p);
}

/* --- giving up */

/* SHLD-9, 10, 11: told at the third; ended after fifteen and 100 s. */
static void r1_and_r2(void **state)
{
	struct peer *p = opened(100);
	sut_time begin;
	struct conn_ready r;
	uint32_t told = 0;
	int64_t soft = 0;

	(void)state;
	while (stack_next(p->s, &r))
		;
	peer_write(p, 10);
	begin = p->now;
	peer_passes(p, 3000);
	while (stack_next(p->s, &r))
		told |= r.events;
	assert_true(told & CONN_SOFT_ERROR);
	assert_int_equal(stack_get(p->s, p->id, CONNOPT_SOFT_ERROR, &soft), 0);
	assert_int_equal(soft, ETIMEDOUT);
	while (peer_conn(p)->state != ST_CLOSED) {
		assert_true(since(p, begin) < 3000000);
		peer_passes(p, 10000);
	}
	assert_true(since(p, begin) > 100000);
	assert_int_equal(error_of(p), ETIMEDOUT);
	assert_int_equal(stack_count(p->s, STACK_TIMED_OUT), 1);
	assert_true(p->out[p->n - 1].flags & TCP_RST);
	peer_free(p);
}

static void user_timeout(void **state)
{
	struct peer *p = opened(100);

	(void)state;
	assert_int_equal(stack_set(p->s, p->id, CONNOPT_USER_TIMEOUT_MS, 5000, p->now), 0);
	peer_write(p, 10);
	peer_passes(p, 4900);
	assert_int_equal(peer_conn(p)->state, ST_ESTABLISHED);
	peer_ack(p, 6); /* something: it begins anew */
	peer_passes(p, 4900);
	assert_int_equal(peer_conn(p)->state, ST_ESTABLISHED);
	peer_passes(p, 200);
	assert_int_equal(peer_conn(p)->state, ST_CLOSED);
	assert_int_equal(error_of(p), ETIMEDOUT);
	peer_free(p);
}

/* --- the closed window */

/* SHLD-29, 30, MUST-36, 37: first after an RTO, doubling up to a minute, for as long as the peer answers. */
static void zero_window(void **state)
{
	static const unsigned ms[] = { 200, 400, 800, 1600, 3200 };
	struct peer *p = opened(10);
	sut_time begin;

	(void)state;
	p->wnd = 0;
	peer_ack(p, 1);
	peer_write(p, 5000);
	peer_quiet(p);
	for (size_t i = 0; i < ARRAY_LEN(ms); i++) {
		assert_in_range(wait_for_one(p), ms[i], ms[i] + 1);
		peer_expect(p, 0, 0, TCP_ACK); /* below the window: the peer has to answer */
		peer_ack(p, 1);
	}
	begin = p->now;
	while (since(p, begin) < 7200000) {
		assert_in_range(wait_for_one(p), 1, 60001);
		p->taken = p->n = 0;
		peer_ack(p, 1);
	}
	assert_int_equal(peer_conn(p)->state, ST_ESTABLISHED);
	p->wnd = PEER_WND;
	peer_ack(p, 1);
	peer_expect(p, 1, MSS, TCP_ACK);
	peer_free(p);
}

/* A peer that does not even answer is gone. */
static void zero_window_and_silence(void **state)
{
	struct peer *p = opened(10);
	sut_time begin;

	(void)state;
	p->wnd = 0;
	peer_ack(p, 1);
	peer_write(p, 5000);
	begin = p->now;
	while (peer_conn(p)->state != ST_CLOSED) {
		assert_true(since(p, begin) < 3000000);
		peer_passes(p, 1000);
	}
	assert_true(since(p, begin) > 100000);
	peer_free(p);
}

/* Nobody holds it any more and the peer takes nothing: it does not stay for ever. */
static void zero_window_of_an_orphan(void **state)
{
	struct peer *p = opened(10);
	sut_time begin = p->now;

	(void)state;
	p->wnd = 0;
	peer_ack(p, 1);
	peer_write(p, 5000);
	assert_int_equal(stack_close(p->s, p->id, p->now), 0);
	while (conn_by_id(p->s, p->id) != NULL) {
		assert_true(since(p, begin) < 3000000);
		(void)wait_for_one(p);
		p->taken = p->n = 0;
		peer_ack(p, 1);
	}
	peer_free(p);
}

/* --- delayed ACKs */

static void in(struct peer *p, uint32_t n)
{
	peer_says(p, LAST, p->snd, peer_conn(p)->snd_nxt - p->iss, NULL, 0, n);
	p->snd += n;
	peer_flush(p);
}

/* MUST-40, SHLD-18, 19 */
static void delayed_ack(void **state)
{
	struct peer *p = opened(10);

	(void)state;
	in(p, 10);
	peer_quiet(p);
	assert_in_range(wait_for_one(p), 40, 41);
	assert_int_equal(peer_expect(p, 1, 0, TCP_ACK)->ack, 11);
	in(p, MSS);
	peer_quiet(p);
	in(p, MSS);
	assert_int_equal(peer_expect(p, 1, 0, TCP_ACK)->ack, 11 + 2 * MSS);
	peer_passes(p, 100);
	peer_quiet(p);
	assert_int_equal(stack_set(p->s, p->id, CONNOPT_QUICKACK, 1, p->now), 0);
	in(p, 10);
	peer_expect(p, 1, 0, TCP_ACK);
	peer_free(p);
}

/* --- keepalive (MUST-24 to 29, SHLD-12) */

static void keepalive_is_off(void **state)
{
	struct peer *p = opened(10);

	(void)state;
	peer_passes(p, 40000000);
	peer_quiet(p); /* MUST-25 */
	peer_free(p);
}

static struct peer *kept(void)
{
	struct peer *p = opened(10);

	assert_int_equal(stack_set(p->s, p->id, CONNOPT_KEEPALIVE, 1, p->now), 0);
	assert_int_equal(stack_set(p->s, p->id, CONNOPT_KEEP_IDLE_MS, 10000, p->now), 0);
	assert_int_equal(stack_set(p->s, p->id, CONNOPT_KEEP_INTERVAL_MS, 1000, p->now), 0);
	assert_int_equal(stack_set(p->s, p->id, CONNOPT_KEEP_COUNT, 3, p->now), 0);
	return p;
}

static void keepalive_answered(void **state)
{
	struct peer *p = kept();

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_in_range(wait_for_one(p), 9999, 10001);
		peer_expect(p, 0, 0, TCP_ACK);
		peer_ack(p, 1);
	}
	peer_passes(p, 5000);
	in(p, 10); /* MUST-26: heard of lately */
	peer_passes(p, 100);
	peer_next(p);
	peer_passes(p, 9800);
	peer_quiet(p);
	peer_free(p);
}

static void keepalive_unanswered(void **state)
{
	struct peer *p = kept();

	(void)state;
	assert_in_range(wait_for_one(p), 9999, 10001);
	peer_next(p);
	for (int i = 0; i < 2; i++) { /* MUST-29: one lost answer does not end it */
		assert_in_range(wait_for_one(p), 1000, 1001);
		peer_expect(p, 0, 0, TCP_ACK);
	}
	peer_passes(p, 1100);
	assert_int_equal(peer_conn(p)->state, ST_CLOSED);
	assert_int_equal(error_of(p), ETIMEDOUT);
	assert_int_equal(stack_count(p->s, STACK_KEEPALIVES), 3);
	peer_free(p);
}

/* --- the end */

/* MUST-13: 2 MSL. */
static void time_wait(void **state)
{
	struct peer *p = opened(10);

	(void)state;
	assert_int_equal(stack_close(p->s, p->id, p->now), 0);
	peer_flush(p);
	peer_expect(p, 1, 0, TCP_ACK | TCP_FIN);
	peer_says(p, TCP_ACK | TCP_FIN, p->snd, 2, NULL, 0, 0);
	peer_flush(p);
	peer_expect(p, 2, 0, TCP_ACK);
	assert_int_equal(peer_conn(p)->state, ST_TIME_WAIT);
	peer_passes(p, 59900);
	assert_non_null(conn_by_id(p->s, p->id));
	peer_passes(p, 200);
	assert_null(conn_by_id(p->s, p->id));
	peer_free(p);
}

static void fin_wait_2_of_an_orphan(void **state)
{
	struct peer *p = opened(10);

	(void)state;
	assert_int_equal(stack_close(p->s, p->id, p->now), 0);
	peer_flush(p);
	peer_next(p);
	peer_ack(p, 2);
	assert_int_equal(peer_conn(p)->state, ST_FIN_WAIT_2);
	peer_passes(p, 59900);
	assert_non_null(conn_by_id(p->s, p->id));
	peer_passes(p, 200);
	assert_null(conn_by_id(p->s, p->id));
	peer_free(p);
}

/* Held, it may stay as long as the peer sends. */
static void fin_wait_2_that_is_held(void **state)
{
	struct peer *p = opened(10);

	(void)state;
	assert_int_equal(stack_shutdown(p->s, p->id, p->now), 0);
	peer_flush(p);
	peer_next(p);
	peer_ack(p, 2);
	peer_passes(p, 600000);
	assert_int_equal(peer_conn(p)->state, ST_FIN_WAIT_2);
	peer_free(p);
}

/* --- paths that drop what is too long and do not say so (RFC 4821) */

static void black_hole(void **state)
{
	struct peer *p = opened(10);
	bool through = false;

	(void)state;
	peer_write(p, 20000);
	for (int i = 0; i < 100 && !through; i++) {
		for (; p->taken < p->n; p->taken++)
			if (p->out[p->taken].ip_len <= 1400)
				through = true;
		peer_passes(p, 100);
	}
	assert_true(through);
	assert_true(peer_conn(p)->mss < MSS);
	peer_free(p);
}

/* Segments of that size did arrive: then it is no black hole. */
static void no_black_hole(void **state)
{
	struct peer *p = opened(10);

	(void)state;
	peer_write(p, 20000);
	peer_ack(p, 1 + MSS);
	peer_passes(p, 20000);
	assert_int_equal(peer_conn(p)->mss, MSS);
	peer_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timeouts_double),
		cmocka_unit_test(restarted_by_each_ack),
		cmocka_unit_test(not_restarted_by_others),
		cmocka_unit_test(off_when_all_is_acknowledged),
		cmocka_unit_test(karn),
		cmocka_unit_test(syn_is_given_up),
		cmocka_unit_test(syn_lost),
		cmocka_unit_test(r1_and_r2),
		cmocka_unit_test(user_timeout),
		cmocka_unit_test(zero_window),
		cmocka_unit_test(zero_window_and_silence),
		cmocka_unit_test(zero_window_of_an_orphan),
		cmocka_unit_test(delayed_ack),
		cmocka_unit_test(keepalive_is_off),
		cmocka_unit_test(keepalive_answered),
		cmocka_unit_test(keepalive_unanswered),
		cmocka_unit_test(time_wait),
		cmocka_unit_test(fin_wait_2_of_an_orphan),
		cmocka_unit_test(fin_wait_2_that_is_held),
		cmocka_unit_test(black_hole),
		cmocka_unit_test(no_black_hole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
