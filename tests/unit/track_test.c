/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/track.h"
#include "frame.h"

/*
 * Segments are written with numbers relative to their stream's ISN, from the opener (O) or the other (T).  All is
 * run with either side as the opener, and with ISNs at ordinary places and right before the wrap.
 */
enum who { O, T };

#define S TCP_SYN
#define A TCP_ACK
#define F TCP_FIN
#define R TCP_RST
#define SA (S | A)
#define FA (F | A)
#define RA (R | A)

struct seg {
	enum who who;
	uint8_t flags;
	uint32_t seq, ack, payload;
};

/* One flow under test. */
struct rig {
	struct track t;
	sut_seq end[2], acked[2]; /* by side */
	struct track_edges e[SUT_SIDES];
	enum sut_side opener;
	uint32_t isn[2]; /* by who */
};

static void rig_init(struct rig *r, enum sut_side opener, bool wrap)
{
	memset(r, 0, sizeof *r);
	for (int s = 0; s < 2; s++)
		r->e[s] = (struct track_edges){ &r->end[s], &r->acked[s] };
	r->opener = opener;
	r->isn[O] = wrap ? 0xfffffffe : 1000;
	r->isn[T] = wrap ? 0xffffffff : 5000;
}

static enum sut_side side_of(const struct rig *r, enum who w)
{
	return w == O ? r->opener : r->opener == NEAR ? FAR : NEAR;
}

static struct segment segment_of(const struct rig *r, const struct seg *g)
{
	return (struct segment){
		.sender = side_of(r, g->who),
		.flags = g->flags,
		.payload_len = g->payload,
		.len = g->payload + !!(g->flags & S) + !!(g->flags & F),
		.seq = { r->isn[g->who] + g->seq },
		.ack = { r->isn[!g->who] + g->ack },
	};
}

/* The first segment opens; later ones are taken in and must be part of the connection. */
static void play(struct rig *r, const struct seg *g, size_t n)
{
	for (size_t i = 0; i < n && g[i].flags; i++) {
		struct segment s = segment_of(r, &g[i]);

		if (i == 0)
			track_open(&r->t, &s, r->e);
		else
			assert_int_equal(track_segment(&r->t, &s, r->e), TV_OK);
	}
}

/*
 * How each state is reached.  In ESTABLISHED the opener has sent up to 11, the other up to 21, all acknowledged; FINs
 * end at 12 and 22, and in CLOSING neither is acknowledged.
 */
/* clang-format off */
#define OPEN { O, S, 0, 0, 0 }
#define ANSWER OPEN, { T, SA, 0, 1, 0 }
#define DATA ANSWER, { O, A, 1, 1, 0 }, { O, A, 1, 1, 10 }, { T, A, 1, 11, 20 }, { O, A, 11, 21, 0 }
#define FINS DATA, { O, FA, 11, 21, 0 }, { T, FA, 21, 11, 0 }
/* clang-format on */

/* clang-format off */
static const struct seg prelude[TRACK_STATE_COUNT][12] = {
	[TRACK_CLOSED] = { DATA, { O, R, 11, 0, 0 } },
	[TRACK_SYN_SENT] = { OPEN },
	[TRACK_SYN_RECEIVED] = { ANSWER },
	[TRACK_ESTABLISHED] = { DATA },
	[TRACK_FIN_OPENER] = { DATA, { O, FA, 11, 21, 0 } },
	[TRACK_FIN_OTHER] = { DATA, { T, FA, 21, 11, 0 } },
	[TRACK_CLOSING] = { FINS },
	[TRACK_TIME_WAIT] = { FINS, { O, A, 12, 22, 0 }, { T, A, 22, 12, 0 } },
};
/* clang-format on */

/* The verdict, or the next state where it is TV_OK. */
#define old "old"
#define new "new"
#define bad "bad"
#define G30 (1u << 30)

/* clang-format off */
static const struct { const char *what; struct seg g; const char *want[TRACK_STATE_COUNT]; } matrix[] = {
	/*                                                         CL   SS    SR    ES    FO    FT    CG    TW */
	{ "O SYN again",            { O, S, 0, 0, 0 },           { new, "SS", "SR", old,  old,  old,  old,  old } },
	{ "O SYN anew",             { O, S, 7777, 0, 0 },        { new, new,  old,  old,  old,  old,  new,  new } },
	{ "T SYN crossing or again", { T, S, 0, 0, 0 },          { new, "SR", "SR", old,  old,  old,  old,  old } },
	{ "T SYN anew",             { T, S, 7777, 0, 0 },        { new, "SR", old,  old,  old,  old,  new,  new } },
	{ "O SYN-ACK",              { O, SA, 0, 1, 0 },          { old, "SR", "SR", old,  old,  old,  old,  old } },
	{ "O SYN-ACK, other ISN",   { O, SA, 7777, 1, 0 },       { old, old,  old,  old,  old,  old,  old,  old } },
	{ "T SYN-ACK",              { T, SA, 0, 1, 0 },          { old, "SR", "SR", old,  old,  old,  old,  old } },
	{ "T SYN-ACK, other ISN",   { T, SA, 7777, 1, 0 },       { old, "SR", old,  old,  old,  old,  old,  old } },
	{ "T SYN-ACK, of too much", { T, SA, 0, 2, 0 },          { old, old,  "SR", old,  old,  old,  old,  old } },
	{ "T SYN-ACK, of nothing",  { T, SA, 0, 0, 0 },          { old, old,  old,  old,  old,  old,  old,  old } },
	{ "O ACK",                  { O, A, 11, 21, 0 },         { old, "ES", "ES", "ES", "FO", "FT", "CG", "TW" } },
	{ "O data",                 { O, A, 11, 21, 100 },       { old, "ES", "ES", "ES", "FO", "FT", "CG", "TW" } },
	{ "O ACK of T's FIN",       { O, A, 12, 22, 0 },         { old, "ES", "ES", "ES", "FO", "FT", "CG", "TW" } },
	{ "O ACK of no SYN",        { O, A, 1, 0, 0 },           { old, "ES", old,  "ES", "FO", "FT", "CG", "TW" } },
	{ "O keeps alive",          { O, A, 10, 21, 0 },         { old, "ES", "ES", "ES", "FO", "FT", "CG", "TW" } },
	{ "T ACK of the SYN",       { T, A, 1, 1, 0 },           { old, "SR", "SR", "ES", "FO", "FT", "CG", "TW" } },
	{ "T data after the SYN",   { T, A, 1, 1, 20 },          { old, "SR", "ES", "ES", "FO", "FT", "CG", "TW" } },
	{ "T ACK of data",          { T, A, 21, 11, 0 },         { old, old,  "ES", "ES", "FO", "FT", "CG", "TW" } },
	{ "T ACK of O's FIN",       { T, A, 22, 12, 0 },         { old, old,  "ES", "ES", "FO", "FT", "CG", "TW" } },
	{ "T challenge ACK",        { T, A, 900000, 800000, 0 }, { old, old,  "ES", "ES", "FO", "FT", "CG", "TW" } },
	{ "O FIN",                  { O, FA, 11, 21, 0 },        { old, "FO", "FO", "FO", "FO", "CG", "CG", "TW" } },
	{ "O FIN with data",        { O, FA, 1, 21, 10 },        { old, "FO", "FO", "FO", "FO", "CG", "CG", "TW" } },
	{ "O FIN further on",       { O, FA, 15, 21, 0 },        { old, "FO", "FO", "FO", bad,  "CG", bad,  bad } },
	{ "O FIN before data",      { O, FA, 5, 21, 0 },         { old, "FO", "FO", bad,  bad,  bad,  bad,  bad } },
	{ "T FIN",                  { T, FA, 21, 11, 0 },        { old, old,  "FT", "FT", "CG", "FT", "CG", "TW" } },
	{ "T FIN, acks O's",        { T, FA, 21, 12, 0 },        { old, old,  "FT", "FT", "CG", "FT", "CG", "TW" } },
	{ "T FIN at once",          { T, FA, 1, 1, 0 },          { old, "FT", "FT", bad,  bad,  bad,  bad,  bad } },
	{ "O RST at its end",       { O, R, 11, 0, 0 },          { old, "CL", old,  "CL", "CL", "CL", "CL", old } },
	{ "O RST behind its FIN",   { O, R, 12, 0, 0 },          { old, "CL", old,  old,  "CL", old,  "CL", old } },
	{ "O RST left of its end",  { O, R, 10, 0, 0 },          { old, "CL", old,  old,  old,  old,  old,  old } },
	{ "O RST of its SYN",       { O, RA, 1, 1, 0 },          { old, "CL", "CL", old,  old,  old,  old,  old } },
	{ "O RST at its ISN",       { O, R, 0, 0, 0 },           { old, old,  old,  old,  old,  old,  old,  old } },
	{ "O RST 64 KB on",         { O, R, 65537, 0, 0 },       { old, old,  old,  old,  old,  old,  old,  old } },
	{ "T RST, acknowledged",    { T, R, 21, 0, 0 },          { old, old,  old,  "CL", "CL", "CL", "CL", old } },
	{ "T RST behind its FIN",   { T, R, 22, 0, 0 },          { old, old,  old,  old,  old,  "CL", "CL", old } },
	{ "T RST right of it",      { T, R, 23, 0, 0 },          { old, old,  old,  old,  old,  old,  old,  old } },
	{ "T RST of its SYN-ACK",   { T, R, 1, 0, 0 },           { old, old,  "CL", old,  old,  old,  old,  old } },
	{ "T refuses the SYN",      { T, RA, 60000, 1, 0 },      { old, "CL", "CL", old,  old,  old,  old,  old } },
	{ "T refuses, wrong ack",   { T, RA, 60000, 2, 0 },      { old, old,  old,  old,  old,  old,  old,  old } },
	{ "no flags",               { O, 0, 11, 21, 0 },         { bad, bad,  bad,  bad,  bad,  bad,  bad,  bad } },
	{ "FIN without ACK",        { O, F, 11, 21, 0 },         { bad, bad,  bad,  bad,  bad,  bad,  bad,  bad } },
	{ "SYN|FIN",                { O, S | F, 11, 21, 0 },     { bad, bad,  bad,  bad,  bad,  bad,  bad,  bad } },
	{ "SYN|RST",                { T, S | R, 11, 21, 0 },     { bad, bad,  bad,  bad,  bad,  bad,  bad,  bad } },
	{ "O seq far right",        { O, A, 12 + G30, 21, 0 },   { old, old,  old,  bad,  bad,  bad,  bad,  bad } },
	{ "O seq far left",         { O, A, 11 - G30, 21, 0 },   { old, old,  old,  bad,  bad,  bad,  bad,  bad } },
	{ "O ack far right",        { O, A, 11, 22 + G30, 0 },   { old, "ES", old,  bad,  bad,  bad,  bad,  bad } },
	{ "O ack far left",         { O, A, 11, 21 - G30, 0 },   { old, "ES", old,  bad,  bad,  bad,  bad,  bad } },
	{ "T seq far right",        { T, A, 22 + G30, 11, 0 },   { old, old,  old,  bad,  bad,  bad,  bad,  bad } },
	{ "T ack far left",         { T, A, 21, 11 - G30, 0 },   { old, old,  old,  bad,  bad,  bad,  bad,  bad } },
	{ "O FIN far right",        { O, FA, 12 + G30, 21, 0 },  { old, old,  old,  bad,  bad,  bad,  bad,  bad } },
};
#undef old
#undef new
#undef bad

static const char *const short_name[] = { "CL", "SS", "SR", "ES", "FO", "FT", "CG", "TW" };
/* clang-format on */

static const char *outcome(enum track_verdict v, uint8_t state)
{
	switch (v) {
	case TV_OK:
		return short_name[state];
	case TV_OLD:
		return "old";
	case TV_REOPEN:
		return "new";
	case TV_INVALID:
		return "bad";
	}
	return "?";
}

/* fin_acked in fin_seen, states as the FINs say, no end behind its FIN. */
static void check_invariants(const struct rig *r)
{
	const struct track *t = &r->t;
	unsigned o = 1u << t->opener, fins = t->fin_seen;

	assert_int_equal(t->fin_acked & ~fins, 0);
	assert_true(t->state < TRACK_STATE_COUNT);
	if (t->state == TRACK_FIN_OPENER)
		assert_int_equal(fins, o);
	if (t->state == TRACK_FIN_OTHER)
		assert_int_equal(fins, 3 & ~o);
	if (t->state == TRACK_CLOSING || t->state == TRACK_TIME_WAIT)
		assert_int_equal(fins, 3);
	if (t->state == TRACK_CLOSING)
		assert_int_not_equal(t->fin_acked, 3);
	if (t->state == TRACK_TIME_WAIT)
		assert_int_equal(t->fin_acked, 3);
	for (int s = 0; s < 2; s++)
		if (fins & (1u << s))
			assert_int_equal(r->end[s].v, t->fin[s].v);
}

static void check_cell(size_t row, unsigned state, enum sut_side opener, bool wrap)
{
	struct rig r, was;
	struct segment s;
	enum track_verdict v;
	const char *got;

	rig_init(&r, opener, wrap);
	play(&r, prelude[state], 12);
	assert_int_equal(r.t.state, state);
	check_invariants(&r);
	was = r;
	s = segment_of(&r, &matrix[row].g);
	v = track_segment(&r.t, &s, r.e);
	got = outcome(v, r.t.state);
	if (strcmp(got, matrix[row].want[state]))
		fail_msg("%s in %s: want %s, got %s (opener %d, wrap %d)", matrix[row].what,
			 track_state_name(state), matrix[row].want[state], got, opener, wrap);
	check_invariants(&r);
	if (v == TV_OK)
		return;
	assert_memory_equal(&r.t, &was.t, sizeof r.t);
	assert_memory_equal(r.end, was.end, sizeof r.end);
	assert_memory_equal(r.acked, was.acked, sizeof r.acked);
}

static void every_event_in_every_state(void **state)
{
	(void)state;
	for (size_t row = 0; row < sizeof matrix / sizeof matrix[0]; row++)
		for (unsigned st = 0; st < TRACK_STATE_COUNT; st++)
			for (int i = 0; i < 4; i++)
				check_cell(row, st, i & 1 ? FAR : NEAR, i & 2);
}

/* Whole lives: the state after each segment. */
/* clang-format off */
static const struct { const char *what; struct { struct seg g; const char *want; } step[12]; } lives[] = {
	{ "the opener closes first", { { OPEN, "SS" },
		{ { T, SA, 0, 1, 0 }, "SR" }, { { O, A, 1, 1, 0 }, "ES" },
		{ { O, FA, 1, 1, 0 }, "FO" }, { { T, A, 1, 2, 0 }, "FO" },
		{ { T, A, 1, 2, 500 }, "FO" },		/* half-closed */
		{ { O, A, 2, 501, 0 }, "FO" }, { { T, FA, 501, 2, 0 }, "CG" },
		{ { O, A, 2, 502, 0 }, "TW" }, { { T, FA, 501, 2, 0 }, "TW" },
		{ { O, A, 2, 502, 0 }, "TW" } } },
	{ "the other closes first", { { OPEN, "SS" },
		{ { T, SA, 0, 1, 0 }, "SR" }, { { O, A, 1, 1, 10 }, "ES" },
		{ { T, FA, 1, 11, 0 }, "FT" }, { { O, FA, 11, 2, 0 }, "CG" },
		{ { T, A, 2, 12, 0 }, "TW" } } },
	{ "both close at once", { { OPEN, "SS" },
		{ { T, SA, 0, 1, 0 }, "SR" }, { { O, A, 1, 1, 0 }, "ES" },
		{ { O, FA, 1, 1, 0 }, "FO" }, { { T, FA, 1, 1, 0 }, "CG" },
		{ { O, A, 2, 2, 0 }, "CG" }, { { T, A, 2, 2, 0 }, "TW" } } },
	{ "FIN and its answer in one", { { OPEN, "SS" },
		{ { T, SA, 0, 1, 0 }, "SR" }, { { O, FA, 1, 1, 10 }, "FO" },
		{ { T, FA, 1, 12, 5 }, "CG" }, { { O, A, 12, 7, 0 }, "TW" } } },
	{ "both open at once", { { OPEN, "SS" },
		{ { T, S, 0, 0, 0 }, "SR" }, { { O, SA, 0, 1, 0 }, "SR" },
		{ { T, SA, 0, 1, 0 }, "SR" }, { { T, A, 1, 1, 10 }, "ES" },
		{ { O, A, 1, 11, 0 }, "ES" } } },
	{ "SYN-ACK again", { { OPEN, "SS" },
		{ { T, SA, 0, 1, 0 }, "SR" }, { { T, SA, 0, 1, 0 }, "SR" },
		{ { O, A, 1, 1, 0 }, "ES" }, { { T, SA, 0, 1, 0 }, "old" },
		{ { O, A, 1, 1, 0 }, "ES" } } },
	{ "SYN-ACK overtaken by data", { { OPEN, "SS" },
		{ { T, A, 1, 1, 10 }, "SR" }, { { T, SA, 0, 1, 0 }, "SR" },
		{ { O, A, 1, 11, 0 }, "ES" } } },
	{ "SYN-ACK overtaken by the opener's ACK", { { OPEN, "SS" },
		{ { O, A, 1, 1, 0 }, "ES" }, { { T, SA, 0, 1, 0 }, "ES" },
		{ { T, SA, 0, 1, 0 }, "old" } } },
	{ "only the opener is visible", { { OPEN, "SS" },
		{ { O, A, 1, 1, 0 }, "ES" }, { { O, A, 1, 1, 100 }, "ES" },
		{ { O, A, 101, 5000, 0 }, "ES" }, { { O, FA, 101, 5001, 0 }, "FO" },
		{ { O, A, 102, 5002, 0 }, "FO" }, { { O, R, 102, 0, 0 }, "CL" } } },
	{ "only the other is visible", { { { T, SA, 0, 1, 0 }, "SR" },
		{ { T, A, 1, 100, 0 }, "ES" }, { { T, A, 1, 100, 50 }, "ES" },
		{ { T, FA, 51, 200, 0 }, "FT" }, { { T, FA, 51, 201, 0 }, "FT" },
		{ { T, R, 52, 0, 0 }, "CL" } } },
	{ "a FIN passed by, its retransmission seen", { { OPEN, "SS" },
		{ { T, SA, 0, 1, 0 }, "SR" }, { { O, A, 1, 1, 0 }, "ES" },
		{ { T, A, 1, 2, 0 }, "ES" },		/* of a FIN that we missed */
		{ { O, FA, 1, 1, 0 }, "FO" }, { { T, FA, 1, 2, 0 }, "CG" },
		{ { O, A, 2, 2, 0 }, "TW" } } },
	{ "refused", { { OPEN, "SS" }, { { T, RA, 33, 1, 0 }, "CL" },
		{ { O, S, 0, 0, 0 }, "new" } } },
	{ "Fast Open refused in part", { { { O, S, 0, 0, 100 }, "SS" },
		{ { T, SA, 0, 51, 0 }, "SR" }, { { O, A, 51, 1, 50 }, "ES" } } },
	{ "data behind its own FIN", { { OPEN, "SS" },
		{ { T, SA, 0, 1, 0 }, "SR" }, { { O, FA, 1, 1, 0 }, "FO" },
		{ { O, A, 2, 1, 100 }, "FO" }, { { T, FA, 1, 2, 0 }, "CG" },
		{ { O, A, 2, 2, 100 }, "TW" } } },
};
/* clang-format on */

static void lives_as_tabled(void **state)
{
	(void)state;
	for (size_t l = 0; l < sizeof lives / sizeof lives[0]; l++)
		for (int i = 0; i < 4; i++) {
			struct rig r;

			rig_init(&r, i & 1 ? FAR : NEAR, i & 2);
			for (size_t k = 0; k < 12 && lives[l].step[k].want; k++) {
				struct segment s = segment_of(&r, &lives[l].step[k].g);
				const char *got;

				if (k == 0) {
					track_open(&r.t, &s, r.e);
					got = short_name[r.t.state];
				} else {
					enum track_verdict v = track_segment(&r.t, &s, r.e);

					got = outcome(v, r.t.state);
				}
				if (strcmp(got, lives[l].step[k].want))
					fail_msg("%s, step %zu: want %s, got %s", lives[l].what, k,
						 lives[l].step[k].want, got);
				assert_int_equal(r.t.opener, r.opener);
				check_invariants(&r);
			}
		}
}

static void picks_up_in_mid_stream(void **state)
{
	struct rig r;
	struct segment s;

	(void)state;
	for (int wrap = 0; wrap < 2; wrap++) {
		rig_init(&r, NEAR, wrap);
		s = segment_of(&r, &(struct seg){ O, A, 500, 700, 10 });
		memset(&r.t, 0xff, sizeof r.t);
		track_pick_up(&r.t, &s, r.e);
		assert_int_equal(r.t.state, TRACK_ESTABLISHED);
		assert_int_equal(r.end[NEAR].v, r.isn[O] + 510);
		assert_int_equal(r.acked[NEAR].v, r.isn[T] + 700);

		/* Whose SYN-ACK this is cannot be told. */
		s = segment_of(&r, &(struct seg){ T, SA, 600, 510, 0 });
		assert_int_equal(track_segment(&r.t, &s, r.e), TV_OLD);

		/* The unseen side is measured by what the seen one acknowledged. */
		s = segment_of(&r, &(struct seg){ T, A, 700 + G30, 510, 0 });
		assert_int_equal(track_segment(&r.t, &s, r.e), TV_INVALID);
		s = segment_of(&r, &(struct seg){ T, R, 700, 0, 0 });
		assert_int_equal(track_segment(&r.t, &s, r.e), TV_OK);
		assert_int_equal(r.t.state, TRACK_CLOSED);

		s = segment_of(&r, &(struct seg){ T, FA, 700, 510, 0 });
		track_pick_up(&r.t, &s, r.e);
		assert_int_equal(r.t.state, TRACK_FIN_OPENER);
		assert_int_equal(r.t.opener, FAR);
		s = segment_of(&r, &(struct seg){ O, FA, 510, 701, 0 });
		assert_int_equal(track_segment(&r.t, &s, r.e), TV_OK);
		s = segment_of(&r, &(struct seg){ T, A, 701, 511, 0 });
		assert_int_equal(track_segment(&r.t, &s, r.e), TV_OK);
		assert_int_equal(r.t.state, TRACK_TIME_WAIT);

		s = segment_of(&r, &(struct seg){ T, SA, 0, 1, 0 });
		track_pick_up(&r.t, &s, r.e);
		assert_int_equal(r.t.state, TRACK_SYN_RECEIVED);
		assert_int_equal(r.t.opener, NEAR);
		s = segment_of(&r, &(struct seg){ T, R, 1, 1, 0 });
		track_pick_up(&r.t, &s, r.e);
		assert_int_equal(r.t.state, TRACK_CLOSED);
		/* An unknown ISN on closed ports is a new connection. */
		s = segment_of(&r, &(struct seg){ O, S, 9, 0, 0 });
		assert_int_equal(track_segment(&r.t, &s, r.e), TV_REOPEN);
	}
}

static void edges_only_grow(void **state)
{
	/* clang-format off */
	static const struct seg later[] = {
		{ O, A, 11, 21, 50 }, { O, A, 11, 21, 10 }, { O, A, 5, 15, 1 }, { O, A, 61, 20, 0 },
	};
	/* clang-format on */
	struct rig r;

	(void)state;
	for (int i = 0; i < 4; i++) {
		rig_init(&r, i & 1 ? FAR : NEAR, i & 2);
		play(&r, prelude[TRACK_ESTABLISHED], 12);
		for (size_t k = 0; k < 4; k++) {
			struct segment s = segment_of(&r, &later[k]);

			assert_int_equal(track_segment(&r.t, &s, r.e), TV_OK);
			assert_int_equal(r.end[r.opener].v, r.isn[O] + 61);
			assert_int_equal(r.acked[r.opener].v, r.isn[T] + 21);
		}
	}
}

static void the_hot_path_may_move_an_edge(void **state)
{
	struct rig r;
	struct segment s;

	(void)state;
	rig_init(&r, NEAR, true);
	play(&r, prelude[TRACK_CLOSING], 12);
	r.acked[FAR].v = r.isn[O] + 12; /* T's ACK of O's FIN went the short way */
	s = segment_of(&r, &(struct seg){ O, A, 12, 22, 0 });
	assert_int_equal(track_segment(&r.t, &s, r.e), TV_OK);
	assert_int_equal(r.t.state, TRACK_TIME_WAIT);
}

/* Random segments near the edges and far from them: invariants hold, edges never go back, refusals change nothing. */
static void any_segments_keep_the_invariants(void **state)
{
	static const uint8_t flags[] = { S, SA, A, A, A, FA, R, RA, 0, S | F, F, A | TCP_PSH };
	uint64_t rng = 3;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		struct rig r, was;
		struct segment s;

		rig_init(&r, round & 1 ? FAR : NEAR, round & 2);
		s = segment_of(&r, &(struct seg){ frame_random(&rng) & 1 ? O : T,
						  flags[frame_random(&rng) % 12], 0, 0, 0 });
		track_pick_up(&r.t, &s, r.e);
		for (int k = 0; k < 40; k++) {
			uint32_t far = frame_random(&rng) % 20 == 0 ? frame_random(&rng) : 0;
			enum track_verdict v;

			was = r;
			s = segment_of(&r, &(struct seg){ frame_random(&rng) & 1 ? O : T,
							  flags[frame_random(&rng) % 12],
							  frame_random(&rng) % 6 + far,
							  frame_random(&rng) % 6 + far,
							  frame_random(&rng) % 3 });
			v = track_segment(&r.t, &s, r.e);
			if (v == TV_REOPEN) {
				assert_int_equal(s.flags, S);
				track_open(&r.t, &s, r.e);
				assert_int_equal(r.t.state, TRACK_SYN_SENT);
				assert_int_equal(r.t.opener, s.sender);
				continue;
			}
			check_invariants(&r);
			if (v != TV_OK)
				assert_memory_equal(&r.t, &was.t, sizeof r.t);
			for (unsigned b = 0; b < 2; b++) {
				/* An end moves back only to the FIN that proves it wrong. */
				if (was.t.edges_known & 1u << b &&
				    !(r.t.fin_seen & ~was.t.fin_seen & 1u << b))
					assert_false(seq_before(r.end[b], was.end[b]));
				if (was.t.edges_known & 4u << b)
					assert_false(seq_before(r.acked[b], was.acked[b]));
			}
		}
	}
}

static void names_are_the_lists(void **state)
{
	(void)state;
	assert_string_equal(track_state_name(TRACK_SYN_SENT), "SYN_SENT");
	assert_string_equal(track_state_name(TRACK_TIME_WAIT), "TIME_WAIT");
	assert_string_equal(track_state_text(TRACK_SYN_SENT), "the opener's SYN was seen");
	assert_string_equal(track_state_name(TRACK_STATE_COUNT), "?");
}

static void events_by_flags(void **state)
{
	(void)state;
	for (unsigned x = 0; x < 256; x += 8) { /* PSH, ACK, URG, ECE, CWR say nothing more */
		uint8_t extra = (uint8_t)(x & ~(unsigned)A);

		assert_int_equal(track_event_of(extra | S), TE_SYN);
		assert_int_equal(track_event_of(extra | SA), TE_SYNACK);
		assert_int_equal(track_event_of(extra | A), TE_ACK);
		assert_int_equal(track_event_of(extra | FA), TE_FIN);
		assert_int_equal(track_event_of(extra | R), TE_RST);
		assert_int_equal(track_event_of(extra | RA), TE_RST);
		assert_int_equal(track_event_of(extra | F), TE_NONE);
		assert_int_equal(track_event_of(extra | R | F), TE_NONE);
		assert_int_equal(track_event_of(extra | R | SA), TE_NONE);
		assert_int_equal(track_event_of(extra), TE_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_in_every_state),
		cmocka_unit_test(lives_as_tabled),
		cmocka_unit_test(picks_up_in_mid_stream),
		cmocka_unit_test(edges_only_grow),
		cmocka_unit_test(the_hot_path_may_move_an_edge),
		cmocka_unit_test(any_segments_keep_the_invariants),
		cmocka_unit_test(names_are_the_lists),
		cmocka_unit_test(events_by_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
