/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/reading.h"

#include "sights.h"

enum { F = TCP_FIN, S = TCP_SYN, R = TCP_RST, P = TCP_PSH, A = TCP_ACK };

#define BIT(what) (UINT32_C(1) << (what))

static struct notes add(struct reading *r, enum sut_side from, struct sight s)
{
	struct notes n;

	reading_add(r, &s, from, &n);
	return n;
}

/* A connection whose client counts from 100, its server from 500; each has sent 10 bytes. */
static void begin(struct reading *r)
{
	*r = (struct reading){ 0 };
	assert_int_equal(add(r, NEAR, sight(0, S, 100, 0, 0)).state, TRACK_SYN_SENT);
	assert_int_equal(add(r, FAR, sight(1, S | A, 500, 0, 101)).state, TRACK_SYN_RECEIVED);
	assert_int_equal(add(r, NEAR, sight(2, A, 101, 0, 501)).state, TRACK_ESTABLISHED);
	assert_int_equal(add(r, NEAR, sight(3, A | P, 101, 10, 501)).set, 0);
	assert_int_equal(add(r, FAR, sight(4, A | P, 501, 10, 111)).set, 0);
	assert_int_equal(add(r, NEAR, sight(5, A, 111, 0, 511)).set, 0);
}

static void syn_again(void **state)
{
	struct reading r = { 0 };
	struct notes n;

	(void)state;
	add(&r, NEAR, sight(0, S, 100, 0, 0));
	n = add(&r, NEAR, sight(1020, S, 100, 0, 0));
	assert_int_equal(n.set, BIT(NOTE_SYN_AGAIN));
	assert_true(n.after == SUT_MS(1020));
	/* the capture's time goes back */
	assert_int_equal(add(&r, NEAR, sight(900, S, 100, 0, 0)).after, 0);
	add(&r, FAR, sight(1021, S | A, 500, 0, 101));
	assert_int_equal(add(&r, FAR, sight(1500, S | A, 500, 0, 101)).set, BIT(NOTE_SYNACK_AGAIN));
}

static void retransmissions(void **state)
{
	struct reading r;
	struct notes n;

	(void)state;
	begin(&r);
	n = add(&r, FAR, sight(300, A, 501, 10, 111));
	assert_int_equal(n.set, BIT(NOTE_RETRANSMIT) | BIT(NOTE_NEEDLESS));
	assert_int_equal(n.from, 501);
	assert_int_equal(n.to, 511);
	/* more behind it: what is new is not said to be sent again */
	n = add(&r, FAR, sight(310, A, 506, 10, 111));
	assert_int_equal(n.set, BIT(NOTE_RETRANSMIT) | BIT(NOTE_PARTLY_NEW));
	assert_int_equal(n.to, 511);
	assert_int_equal(r.way[FAR].end, 516);
}

static void holes(void **state)
{
	struct reading r;
	struct notes n;

	(void)state;
	begin(&r);
	n = add(&r, FAR, sight(10, A, 531, 10, 111));
	assert_int_equal(n.set, BIT(NOTE_HOLE));
	assert_int_equal(n.from, 511);
	assert_int_equal(n.to, 531);
	/* the middle of it leaves two holes */
	n = add(&r, FAR, sight(100, A, 516, 5, 111));
	assert_int_equal(n.set, BIT(NOTE_FILLS));
	assert_int_equal(r.way[FAR].holes, 2);
	n = add(&r, FAR, sight(101, A, 511, 5, 111));
	assert_int_equal(n.from, 511);
	assert_int_equal(n.to, 516);
	n = add(&r, FAR, sight(102, A, 521, 10, 111));
	assert_int_equal(n.set, BIT(NOTE_FILLS));
	assert_int_equal(r.way[FAR].holes, 0);
	/* and again: now it is a retransmission */
	assert_true(
		notes_have(&(struct notes){ .set = add(&r, FAR, sight(103, A, 521, 10, 111)).set },
			   NOTE_RETRANSMIT));
	/* overtaken on the way */
	add(&r, FAR, sight(110, A, 551, 10, 111));
	n = add(&r, FAR, sight(111, A, 541, 10, 111));
	assert_int_equal(n.set, BIT(NOTE_FILLS) | BIT(NOTE_LATE));
}

static void acks(void **state)
{
	struct reading r;
	struct notes n;
	struct sight s;

	(void)state;
	begin(&r);
	add(&r, FAR, sight(10, A, 521, 10, 111));
	n = add(&r, NEAR, sight(11, A, 111, 0, 511));
	assert_int_equal(n.set, BIT(NOTE_DUP_ACK));
	assert_int_equal(n.count, 1);
	assert_int_equal(add(&r, NEAR, sight(12, A, 111, 0, 511)).count, 2);
	n = add(&r, NEAR, sight(13, A, 111, 0, 541));
	assert_int_equal(n.set, BIT(NOTE_ACK_UNSEEN));
	assert_int_equal(n.from, 531);
	s = sight(14, A, 111, 0, 541);
	s.window = 0;
	assert_int_equal(add(&r, NEAR, s).set, BIT(NOTE_ZERO_WINDOW));
	assert_int_equal(add(&r, FAR, sight(15, A, 541, 1, 111)).set, BIT(NOTE_WINDOW_PROBE));
	assert_int_equal(add(&r, NEAR, sight(16, A, 111, 0, 542)).set & BIT(NOTE_DUP_ACK), 0);
}

static void keepalive(void **state)
{
	struct reading r;

	(void)state;
	begin(&r);
	assert_int_equal(add(&r, FAR, sight(9000, A, 510, 0, 111)).set, BIT(NOTE_KEEPALIVE));
	assert_int_equal(add(&r, NEAR, sight(9001, A, 111, 0, 511)).set, BIT(NOTE_KEEPALIVE_ACK));
	assert_int_equal(add(&r, FAR, sight(9500, A, 510, 1, 111)).set, BIT(NOTE_KEEPALIVE));
}

static void reopens(void **state)
{
	struct reading r;
	struct sight again = sight(50, S, 100, 0, 0), other = sight(60, S, 900, 0, 0),
		     late = sight(190000, S, 900, 0, 0);

	(void)state;
	begin(&r);
	assert_false(reading_reopens(&r, &again, NEAR));
	assert_false(reading_reopens(&r, &other, NEAR));
	assert_true(reading_reopens(&r, &late, NEAR));
	add(&r, FAR, sight(55, R, 511, 0, 0));
	assert_true(reading_reopens(&r, &other, NEAR));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(syn_again), cmocka_unit_test(retransmissions),
		cmocka_unit_test(holes),     cmocka_unit_test(acks),
		cmocka_unit_test(keepalive), cmocka_unit_test(reopens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
