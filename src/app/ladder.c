/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A sight goes through the reading of its half (what does it mean there?) and the pairing (where is it on the other side?).
 * What comes out of that, in order, is a step.  Plain steps in a row (data in order, ACKs) are a run: its first ones and its
 * last one become rows of their own, all others are counted in one fold between them.  The last one is kept aside until the
 * run ends.  Behind the limit of rows, steps of no interest are counted in `rest`.
 */
#include "app/ladder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HELD_LEAST \
	SUT_MS(1) /* kept longer than the quickest by this while the handshake goes on: held */
#define HELD_LATER SUT_MS(20) /* ... afterwards, when it may also have waited for its turn */
#define RUN_SHOWN 3u
#define FOLD_LEAST 4u /* packets in a fold */
#define ROWS_BEYOND 1000u /* rows of interest behind the limit */

#define BIT(note) (UINT32_C(1) << (note))
#define DULL (BIT(NOTE_DUP_ACK) | BIT(NOTE_WINDOW_UPDATE) | BIT(NOTE_DSACK))

struct ladder *ladder_open(const struct ladder_limits *limits, const struct flow_key *key,
			   bool guessed)
{
	struct ladder *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->limits = limits;
	l->key = *key;
	l->guessed = guessed;
	pairing_begin(&l->pairing, l->reading, limits->captures);
	return l;
}

void ladder_close(struct ladder *l)
{
	pairing_end(&l->pairing);
	free(l->row);
	free(l);
}

size_t ladder_bytes(const struct ladder *l)
{
	return sizeof *l + l->room * sizeof *l->row + l->pairing.room * sizeof *l->pairing.step;
}

bool ladder_is_over(const struct ladder *l)
{
	for (enum sut_side h = NEAR; h < SUT_SIDES; h++) {
		uint8_t state = l->reading[h].track.state;

		if ((l->pairing.halves >> h & 1) && state != TRACK_CLOSED &&
		    state != TRACK_TIME_WAIT)
			return false;
	}
	return true;
}

/* A SYN that took data on: it waited for that, however shortly, and goes out behind it. */
static bool took_on_data(const struct step *t)
{
	enum sut_side in = step_in(t);

	return !step_icmp(t) && (t->s[in].flags & TCP_SYN) &&
	       t->s[side_other(in)].len > t->s[in].len;
}

sut_time ladder_held(const struct ladder *l, const struct step *t)
{
	enum sut_side in = step_in(t);
	sut_time least = l->pairing.delay[t->sender].least, by;
	bool early = !l->synack_at[FAR] || t->s[in].at <= l->synack_at[FAR];

	if (t->fate != FATE_PASSED || t->s[side_other(in)].at <= t->s[in].at)
		return 0;
	by = t->s[side_other(in)].at - t->s[in].at;
	if (took_on_data(t))
		return by > least ? by - least : by;
	return by > least + (early ? HELD_LEAST : HELD_LATER) ? by - least : 0;
}

enum ladder_mode ladder_mode(const struct ladder *l)
{
	const struct pairing *p = &l->pairing;

	if (p->halves != 3)
		return LADDER_ONE_SIDE;
	if (p->promised)
		return p->syn_data ? LADDER_MERGE : LADDER_HOLD;
	if (!p->seq[NEAR].known || !p->seq[FAR].known)
		return LADDER_UNKNOWN;
	return p->seq[NEAR].by || p->seq[FAR].by ? LADDER_SHIFTED : LADDER_BYPASS;
}

uint64_t ladder_faults(const struct ladder *l)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < FAULT_COUNT; i++)
		n += l->pairing.faults[i];
	return n;
}

static int add_row(struct ladder *l, const struct row *r)
{
	if (l->rows == l->room) {
		size_t room = l->room ? l->room * 2 : 8;
		struct row *more = realloc(l->row, room * sizeof *more);

		if (!more)
			return -ENOMEM;
		l->row = more;
		l->room = room;
	}
	l->row[l->rows++] = *r;
	return 0;
}

static uint32_t all_notes(const struct step *t)
{
	return (step_seen(t, NEAR) ? t->n[NEAR].set : 0) | (step_seen(t, FAR) ? t->n[FAR].set : 0);
}

/* Data in order, or an ACK, that went its way. */
static bool is_plain(const struct ladder *l, const struct step *t)
{
	const struct sight *s = &t->s[step_any(t)];

	if (t->fate == FATE_MADE || t->fate == FATE_SWALLOWED || t->faults || step_icmp(t) ||
	    t->why == WHY_IN_SYN)
		return false;
	return (s->flags & (uint8_t) ~(TCP_PSH | TCP_ACK)) == 0 && !(all_notes(t) & ~DULL) &&
	       !(s->marks & (SIGHT_BAD_CSUM | SIGHT_BAD_OPTIONS)) && ladder_held(l, t) == 0;
}

/* Sent again, as far as can be seen: what only came late does not count. */
static bool is_again(const struct step *t)
{
	uint32_t n = all_notes(t);

	return (n & BIT(NOTE_RETRANSMIT)) || ((n & BIT(NOTE_FILLS)) && !(n & BIT(NOTE_LATE)));
}

static void fold_add(struct fold *f, const struct step *t)
{
	const struct sight *s = &t->s[step_any(t)];
	sut_time at = step_at(t);

	if (f->packets[NEAR] + f->packets[FAR] == 0) {
		f->from = at;
		f->order = step_sight(t)->order;
	}
	f->to = at;
	if (t->fate == FATE_PIECE)
		return;
	f->packets[t->sender]++;
	f->bytes[t->sender] += s->len;
	f->again += is_again(t);
	f->dup_acks += (all_notes(t) & BIT(NOTE_DUP_ACK)) != 0;
}

/* Shows t, unless there are too many. */
static int show(struct ladder *l, const struct step *t)
{
	const struct row r = { .step = *t };
	size_t limit = l->limits->rows;
	bool of_interest = t->faults ||
			   (!l->limits->strict && !is_plain(l, t) &&
			    (t->fate == FATE_MADE || t->fate == FATE_SWALLOWED ||
			     (t->s[step_any(t)].flags & (TCP_SYN | TCP_FIN | TCP_RST)) ||
			     step_icmp(t)));

	if (l->limits->all || l->rows < limit || (of_interest && l->rows < limit + ROWS_BEYOND))
		return add_row(l, &r);
	fold_add(&l->rest, t);
	return 0;
}

/* The last step of the run so far goes into the fold: a few are rows until there are more. */
static int fold_last(struct ladder *l)
{
	struct ladder_run *run = &l->run;

	fold_add(&run->fold, &run->last);
	if (++run->folded < FOLD_LEAST)
		return add_row(l, &(const struct row){ .step = run->last });
	if (run->folded == FOLD_LEAST) {
		l->rows -= FOLD_LEAST - 1;
		run->at = l->rows++;
	}
	l->row[run->at] = (struct row){ .is_fold = true, .fold = run->fold };
	return 0;
}

/* The run is over. */
static int end_run(struct ladder *l)
{
	struct ladder_run *run = &l->run;
	int err = run->has_last ? show(l, &run->last) : 0;

	memset(run, 0, sizeof *run);
	return err;
}

static int fold_step(struct ladder *l, const struct step *t)
{
	struct ladder_run *run = &l->run;
	int err;

	if (l->limits->all || !is_plain(l, t)) {
		err = end_run(l);
		return err ? err : show(l, t);
	}
	if (l->rows >= l->limits->rows && !run->has_last) {
		fold_add(&l->rest, t);
		return 0;
	}
	if (run->shown < RUN_SHOWN) {
		run->shown++;
		return show(l, t);
	}
	if (run->has_last && (err = fold_last(l)) != 0)
		return err;
	run->last = *t;
	run->has_last = true;
	return 0;
}

static void count_step(struct ladder *l, const struct step *t)
{
	enum sut_side in = step_in(t);
	l->made += t->fate == FATE_MADE;
	l->swallowed += t->fate == FATE_SWALLOWED;
	if (step_icmp(t))
		return;
	l->resets += (t->s[step_any(t)].flags & TCP_RST) != 0;
	/* of a connection that only one capture has, whatever is there */
	if (t->fate != FATE_ALONE && !step_seen(t, in))
		return;
	l->packets[t->sender]++;
	l->bytes[t->sender] += t->s[step_any(t)].len;
	l->again += is_again(t);
}

static int take_all(struct ladder *l, sut_time now)
{
	struct step *t;
	int err = 0;

	while (err == 0 && pairing_take(&l->pairing, now, &t)) {
		count_step(l, t);
		err = fold_step(l, t);
	}
	return err;
}

/* What the summary says about the beginning. */
static void note_times(struct ladder *l, enum sut_side half, enum sut_side sender,
		       const struct sight *s)
{
	if (sender == NEAR && (s->flags & TCP_SYN) && !l->syn_at[half])
		l->syn_at[half] = s->at;
	if (sender == FAR && (s->flags & TCP_SYN) && !l->synack_at[half])
		l->synack_at[half] = s->at;
	if (sender == FAR && s->len && !l->answer_at && (half == NEAR || !(l->pairing.halves & 1)))
		l->answer_at = s->at;
}

int ladder_add(struct ladder *l, enum sut_side half, enum sut_side sender, const struct sight *s)
{
	struct notes n = { 0 };
	int err;

	if (l->began == 0)
		l->began = s->at;
	l->ended = s->at;
	if (s->icmp == ICMP_OTHER) {
		reading_add(&l->reading[half], s, sender, &n);
		note_times(l, half, sender, s);
	}
	err = pairing_add(&l->pairing, half, sender, s, &n);
	return err ? err : take_all(l, s->at);
}

/* Only now is known what the least delay is. */
static void count_held(struct ladder *l)
{
	for (size_t i = 0; i < l->rows; i++) {
		sut_time held = l->row[i].is_fold ? 0 : ladder_held(l, &l->row[i].step);

		l->held += held != 0;
		if (held > l->held_most)
			l->held_most = held;
	}
}

int ladder_finish(struct ladder *l)
{
	int err;

	pairing_flush(&l->pairing);
	err = take_all(l, SUT_NEVER);
	if (err == 0)
		err = end_run(l);
	count_held(l);
	if (err == 0 && l->rest.packets[NEAR] + l->rest.packets[FAR]) {
		const struct row r = { .is_fold = true, .fold = l->rest };

		err = add_row(l, &r);
		l->row[l->rows - 1].fold.rest = true;
	}
	return err;
}
