/* SPDX-License-Identifier: MIT */
/* What two captures show of one connection: pairing, faults, folding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/ladder.h"

#include "sights.h"

enum { F = TCP_FIN, S = TCP_SYN, R = TCP_RST, P = TCP_PSH, A = TCP_ACK };

#define NEAR_ISN 500u
#define FAR_ISN 70000u
#define SHIFT (FAR_ISN - NEAR_ISN)

static const struct ladder_limits all = { .captures = PAIRING_TWO, .all = true, .rows = 300 },
				  folded = { .captures = PAIRING_TWO, .rows = 300 },
				  few = { .captures = PAIRING_TWO, .rows = 10, .strict = true };

static struct ladder *open_ladder(const struct ladder_limits *limits)
{
	static const struct flow_key key;
	struct ladder *l = ladder_open(limits, &key, false);

	assert_non_null(l);
	return l;
}

static void one(struct ladder *l, enum sut_side half, enum sut_side from, struct sight s)
{
	if (half == FAR && from == FAR)
		s.seq += SHIFT;
	if (half == FAR && from == NEAR && (s.flags & A))
		s.ack += SHIFT;
	assert_int_equal(ladder_add(l, half, from, &s), 0);
}

/* Through the box, in no time. */
static void both(struct ladder *l, enum sut_side from, struct sight s)
{
	one(l, from, from, s);
	one(l, side_other(from), from, s);
}

/* The handshake, through a box that shifts. */
static void handshake(struct ladder *l)
{
	both(l, NEAR, sight(0, S, 100, 0, 0));
	both(l, FAR, sight(20, S | A, NEAR_ISN, 0, 101));
	both(l, NEAR, sight(21, A, 101, 0, 501));
}

static const struct step *finish(struct ladder *l, size_t rows)
{
	assert_int_equal(ladder_finish(l), 0);
	assert_int_equal(l->rows, rows);
	return rows ? &l->row[rows - 1].step : NULL;
}

static void shifted(void **state)
{
	struct ladder *l = open_ladder(&all);
	const struct step *t;

	(void)state;
	handshake(l);
	both(l, NEAR, sight(22, A | P, 101, 10, 501));
	both(l, FAR, sight(42, A | P, 501, 30, 111));
	t = finish(l, 5);
	assert_int_equal(t->fate, FATE_PASSED);
	assert_int_equal(l->pairing.seq[FAR].by, SHIFT);
	assert_true(l->pairing.seq[NEAR].known && l->pairing.seq[NEAR].by == 0);
	assert_int_equal(ladder_faults(l), 0);
	assert_int_equal(ladder_mode(l), LADDER_SHIFTED);
	assert_int_equal(l->pairing.pairs, 5);
	ladder_close(l);
}

/* One number wrong: that one, and no other, is a fault. */
static void wrong_numbers(void **state)
{
	static const enum fault want[] = { FAULT_ACK,	 FAULT_SEQ,	 FAULT_PAYLOAD,
					   FAULT_WINDOW, FAULT_CHECKSUM, FAULT_FLAGS };

	(void)state;
	for (unsigned i = 0; i < sizeof want / sizeof want[0]; i++) {
		struct ladder *l = open_ladder(&all);
		struct sight s = sight(22, A | P, 101, 10, 501), spoilt = s;
		const struct step *t;

		spoilt.ack += want[i] == FAULT_ACK;
		spoilt.seq += want[i] == FAULT_SEQ;
		spoilt.hash += want[i] == FAULT_PAYLOAD;
		spoilt.window = want[i] == FAULT_WINDOW ? 501 : 500;
		spoilt.flags ^= want[i] == FAULT_FLAGS ? F : 0;
		spoilt.marks |= want[i] == FAULT_CHECKSUM ? SIGHT_BAD_CSUM : 0;
		handshake(l);
		one(l, NEAR, NEAR, s);
		one(l, FAR, NEAR, spoilt);
		t = finish(l, 4);
		assert_int_equal(t->faults, 1u << want[i]);
		assert_int_equal(ladder_faults(l), 1);
		if (want[i] < FAULT_NUMBERS)
			assert_int_equal(t->off[want[i]], 1);
		ladder_close(l);
	}
}

/* Data that went out at quite another place: known by its content. */
static void far_off(void **state)
{
	struct ladder *l = open_ladder(&all);
	struct sight s = sight(22, A | P, 101, 10, 501);
	const struct step *t;

	(void)state;
	handshake(l);
	one(l, NEAR, NEAR, s);
	s.seq -= 70000;
	one(l, FAR, NEAR, s);
	t = finish(l, 4);
	assert_int_equal(t->faults, 1u << FAULT_SEQ);
	assert_int_equal(t->off[FAULT_SEQ], -70000);
	ladder_close(l);
}

static void wrong_ack_of_server(void **state)
{
	struct ladder *l = open_ladder(&all);
	struct sight s = sight(30, A, 501, 0, 101), spoilt = s;
	const struct step *t;

	(void)state;
	handshake(l);
	spoilt.ack -= 3;
	one(l, FAR, FAR, s);
	one(l, NEAR, FAR, spoilt);
	t = finish(l, 4);
	assert_int_equal(t->faults, 1u << FAULT_ACK);
	assert_int_equal(t->off[FAULT_ACK], -3);
	ladder_close(l);
}

static void wrong_timestamps(void **state)
{
	struct ladder *l = open_ladder(&all);
	const struct step *t;

	(void)state;
	handshake(l);
	for (unsigned i = 0; i < 4; i++) {
		struct sight s = sight(30 + i, A | P, 501 + 10 * i, 10, 101);

		s.present = OPT_TS;
		s.tsval = 1000 + i;
		one(l, FAR, FAR, s);
		s.tsval += i == 3 ? 78 : 77;
		one(l, NEAR, FAR, s);
	}
	t = finish(l, 7);
	assert_int_equal(t->faults, 1u << FAULT_TSVAL);
	assert_int_equal(t->off[FAULT_TSVAL], 1);
	assert_int_equal(l->pairing.ts[FAR].agreed, 3);
	ladder_close(l);
}

/* A promise; the data is held. */
static void held(void **state)
{
	struct ladder *l = open_ladder(&all);
	struct sight ack = sight(41, A, 111, 0, 501);
	const struct step *t;

	(void)state;
	both(l, NEAR, sight(0, S, 100, 0, 0));
	one(l, NEAR, FAR, sight(1, S | A, NEAR_ISN, 0, 101));
	one(l, NEAR, NEAR, sight(2, A, 101, 0, 501));
	one(l, NEAR, NEAR, sight(3, A | P, 101, 10, 501));
	one(l, FAR, FAR, sight(40, S | A, NEAR_ISN, 0, 101));
	one(l, FAR, NEAR, sight(41, A | P, 101, 10, 501));
	ack.ipid = 8;
	one(l, FAR, NEAR, ack);
	finish(l, 6);
	t = &l->row[1].step;
	assert_int_equal(t->fate, FATE_MADE);
	assert_int_equal(t->why, WHY_PROMISE);
	t = &l->row[2].step;
	assert_int_equal(t->fate, FATE_SWALLOWED);
	assert_int_equal(t->why, WHY_ACKS_PROMISE);
	t = &l->row[3].step;
	assert_int_equal(t->fate, FATE_PASSED);
	assert_true(ladder_held(l, t) == SUT_MS(38));
	assert_int_equal(l->row[4].step.why, WHY_REAL_SYNACK);
	assert_int_equal(l->row[5].step.why, WHY_ACKS_SYNACK);
	assert_int_equal(ladder_mode(l), LADDER_HOLD);
	assert_int_equal(ladder_faults(l), 0);
	ladder_close(l);
}

/* A promise; the data leaves in the SYN. */
static void merged(void **state)
{
	struct ladder *l = open_ladder(&all);
	struct sight syn = sight(5, S, 100, 10, 0);

	(void)state;
	one(l, NEAR, NEAR, sight(0, S, 100, 0, 0));
	one(l, NEAR, FAR, sight(1, S | A, NEAR_ISN, 0, 101));
	one(l, NEAR, NEAR, sight(2, A, 101, 0, 501));
	one(l, NEAR, NEAR, sight(3, A | P, 101, 10, 501));
	one(l, FAR, NEAR, syn);
	one(l, FAR, FAR, sight(40, S | A, NEAR_ISN, 0, 111));
	finish(l, 5);
	assert_int_equal(l->row[0].step.fate, FATE_PASSED);
	assert_int_equal(l->row[0].step.pieces, 1);
	assert_true(ladder_held(l, &l->row[0].step) ==
		    SUT_MS(5)); /* so it goes out behind the data */
	assert_int_equal(l->row[3].step.fate, FATE_JOINED);
	assert_int_equal(l->row[3].step.why, WHY_IN_SYN);
	assert_int_equal(ladder_mode(l), LADDER_MERGE);
	assert_int_equal(ladder_faults(l), 0);
	ladder_close(l);
}

static struct sight clocked(struct sight s, uint32_t tsval)
{
	s.present |= OPT_TS;
	s.tsval = tsval;
	return s;
}

/* The server left the data that came in the SYN: its first copy goes out again, with its own clock, though a second has come. */
static void left_in_syn(void **state)
{
	struct ladder *l = open_ladder(&all);
	struct sight ack = sight(241, A, 101, 0, 501);

	(void)state;
	one(l, NEAR, NEAR, clocked(sight(0, S, 100, 0, 0), 1000));
	one(l, NEAR, FAR, sight(1, S | A, NEAR_ISN, 0, 101));
	one(l, NEAR, NEAR, sight(2, A, 101, 0, 501));
	one(l, NEAR, NEAR, clocked(sight(3, A | P, 101, 10, 501), 1003));
	one(l, FAR, NEAR, clocked(sight(5, S, 100, 10, 0), 1000));
	one(l, NEAR, NEAR, clocked(sight(210, A | P, 101, 10, 501), 1210));
	one(l, FAR, FAR, sight(240, S | A, NEAR_ISN, 0, 101));
	ack.ipid = 8;
	one(l, FAR, NEAR, ack);
	one(l, FAR, NEAR, clocked(sight(241, A | P, 101, 10, 501), 1003));
	assert_int_equal(ladder_finish(l), 0);
	assert_int_equal(ladder_faults(l), 0);
	ladder_close(l);
}

/* One becomes three, three become one; of one a byte is changed. */
static void pieces(void **state)
{
	struct ladder *l = open_ladder(&all);
	struct sight whole = sight(30, A, 101, 30, 501), part[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		part[i] = sight(30, A, 101 + 10 * i, 10, 501);
		part[i].hash = 5 + i;
	}
	whole.hash = sight_join(sight_join(5, 6, 10), 7, 10);
	handshake(l);
	one(l, NEAR, NEAR, whole);
	for (unsigned i = 0; i < 3; i++)
		one(l, FAR, NEAR, part[i]);
	whole.seq += 30;
	for (unsigned i = 0; i < 3; i++) {
		part[i].seq += 30;
		one(l, NEAR, NEAR, part[i]);
	}
	one(l, FAR, NEAR, whole);
	assert_int_equal(ladder_faults(l), 0);
	whole.seq += 30;
	whole.hash++;
	one(l, NEAR, NEAR, whole);
	for (unsigned i = 0; i < 3; i++) {
		part[i].seq += 30;
		one(l, FAR, NEAR, part[i]);
	}
	finish(l, 12);
	assert_int_equal(l->row[3].step.pieces, 3);
	assert_int_equal(l->row[4].step.fate, FATE_PIECE);
	assert_int_equal(l->row[6].step.fate, FATE_JOINED);
	assert_int_equal(l->row[8].step.fate, FATE_PASSED);
	assert_int_equal(l->row[8].step.pieces, 3);
	assert_int_equal(l->row[9].step.faults, 1u << FAULT_PAYLOAD);
	assert_int_equal(ladder_faults(l), 1);
	ladder_close(l);
}

/* What came in twice and was lost once: the copy that is like the one that left is the one. */
static void lost_and_sent_again(void **state)
{
	struct ladder *l = open_ladder(&all);
	struct sight first = sight(30, A | P, 101, 10, 501),
		     second = sight(60, A | P, 101, 10, 501);

	(void)state;
	second.ipid = 8;
	handshake(l);
	one(l, NEAR, NEAR, first);
	both(l, NEAR, second);
	finish(l, 5);
	assert_int_equal(l->row[3].step.fate, FATE_SWALLOWED);
	assert_int_equal(l->row[3].step.why, WHY_GONE);
	assert_int_equal(l->row[4].step.fate, FATE_PASSED);
	ladder_close(l);
}

static void bytes_of_nobody(void **state)
{
	struct ladder *l = open_ladder(&all);
	const struct step *t;

	(void)state;
	handshake(l);
	one(l, FAR, NEAR, sight(30, A | P, 101, 10, 501));
	t = finish(l, 4);
	assert_int_equal(t->fate, FATE_MADE);
	assert_int_equal(t->faults, 1u << FAULT_BYTES);
	ladder_close(l);
}

/* A capture missed one of several that are alike: the next one is not that one, out of place. */
static void missed_alike(void **state)
{
	struct ladder *l = open_ladder(&all);

	(void)state;
	one(l, FAR, NEAR, sight(30, A | P, 101, 10, 501));
	for (unsigned i = 1; i < 12; i++)
		both(l, NEAR, sight(30, A | P, 101 + 10 * i, 10, 501));
	assert_int_equal(finish(l, 12)->fate, FATE_PASSED);
	assert_int_equal(ladder_faults(l), 0);
	ladder_close(l);
}

/* Older than the captures: the shift is what most pairs have. */
static void mid_stream(void **state)
{
	struct ladder *l = open_ladder(&all);

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		both(l, FAR, sight(10 * i, A | P, 501 + 20 * i, 20, 101 + 10 * i));
		both(l, NEAR, sight(10 * i + 1, A | P, 101 + 10 * i, 10, 521 + 20 * i));
	}
	finish(l, 12);
	assert_true(l->pairing.seq[FAR].known && !l->pairing.seq[FAR].by_isn);
	assert_int_equal(l->pairing.seq[FAR].by, SHIFT);
	assert_int_equal(ladder_faults(l), 0);
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(l->row[i].step.fate, FATE_PASSED);
	ladder_close(l);
}

/* A side that goes out is captured a little before the one that comes in. */
static void out_before_in(void **state)
{
	struct ladder *l = open_ladder(&all);

	(void)state;
	handshake(l);
	one(l, NEAR, FAR, sight(30, A | P, 501, 10, 101));
	one(l, FAR, FAR, sight(31, A | P, 501, 10, 101));
	assert_int_equal(finish(l, 4)->fate, FATE_PASSED);
	ladder_close(l);
}

/* Lots of data: a few rows; what is not decided is bounded too. */
static void folding(void **state)
{
	struct ladder *l = open_ladder(&folded);

	(void)state;
	handshake(l);
	for (unsigned i = 0; i < 20000; i++) {
		both(l, FAR, sight(30 + i, A, 501 + 10 * i, 10, 101));
		both(l, NEAR, sight(30 + i, A, 101, 0, 511 + 10 * i));
		assert_true(l->pairing.n < 100 && l->rows < 20);
	}
	both(l, NEAR, sight(30000, F | A, 101, 0, 200501));
	/* SYN, SYN-ACK, ACK, three of the run, the fold, the last one, FIN */
	finish(l, 9);
	assert_true(l->row[6].is_fold);
	assert_int_equal(l->row[6].fold.packets[FAR] + l->row[6].fold.packets[NEAR], 40000 - 4);
	assert_false(l->row[7].is_fold);
	assert_int_equal(l->row[8].step.s[NEAR].flags, F | A);
	assert_int_equal(l->bytes[FAR], 200000);
	ladder_close(l);
}

/* A short run is not folded. */
static void short_run(void **state)
{
	struct ladder *l = open_ladder(&folded);

	(void)state;
	handshake(l);
	for (unsigned i = 0; i < 6; i++)
		both(l, FAR, sight(30 + i, A, 501 + 10 * i, 10, 101));
	finish(l, 9);
	for (unsigned i = 0; i < 9; i++)
		assert_false(l->row[i].is_fold);
	ladder_close(l);
}

/* Behind the limit only faults. */
static void limited(void **state)
{
	struct ladder *l = open_ladder(&few);
	struct sight s = sight(500, A | P, 101, 10, 501);

	(void)state;
	handshake(l);
	for (unsigned i = 0; i < 50; i++)
		both(l, FAR, sight(30 + i, A, 501 + 20 * i, 10, 101));
	/* runs of plain data, each ended by a hole */
	for (unsigned run = 0; run < 3; run++) {
		for (unsigned i = 0; i < 20; i++)
			both(l, FAR, sight(100 + run, A, 2001 + 300 * run + 10 * i, 10, 101));
	}
	one(l, NEAR, NEAR, s);
	s.ack++;
	one(l, FAR, NEAR, s);
	finish(l, 12);
	assert_int_equal(l->row[10].step.faults, 1u << FAULT_ACK);
	assert_true(l->row[11].is_fold && l->row[11].fold.rest);
	assert_int_equal(l->row[11].fold.packets[FAR], 50 - 7 + 60);
	ladder_close(l);
}

/* One capture only has it: nothing is held against the box, and nothing waits for ever. */
static void one_side(void **state)
{
	struct ladder *l = open_ladder(&folded);

	(void)state;
	one(l, NEAR, NEAR, sight(0, S, 100, 0, 0));
	one(l, NEAR, FAR, sight(20, S | A, NEAR_ISN, 0, 101));
	for (unsigned i = 0; i < 5000; i++) {
		one(l, NEAR, FAR, sight(30 + i, A, 501 + 10 * i, 10, 101));
		assert_true(l->pairing.n < 1100);
	}
	assert_int_equal(ladder_finish(l), 0);
	assert_int_equal(ladder_mode(l), LADDER_ONE_SIDE);
	assert_int_equal(ladder_faults(l), 0);
	assert_int_equal(l->row[1].step.fate, FATE_ALONE);
	assert_int_equal(l->packets[FAR], 5001);
	ladder_close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shifted),	    cmocka_unit_test(wrong_numbers),
		cmocka_unit_test(far_off),	    cmocka_unit_test(wrong_ack_of_server),
		cmocka_unit_test(wrong_timestamps), cmocka_unit_test(held),
		cmocka_unit_test(merged),	    cmocka_unit_test(left_in_syn),
		cmocka_unit_test(pieces),	    cmocka_unit_test(lost_and_sent_again),
		cmocka_unit_test(bytes_of_nobody),  cmocka_unit_test(missed_alike),
		cmocka_unit_test(mid_stream),	    cmocka_unit_test(out_before_in),
		cmocka_unit_test(folding),	    cmocka_unit_test(short_run),
		cmocka_unit_test(limited),	    cmocka_unit_test(one_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
