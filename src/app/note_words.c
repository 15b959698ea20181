/* SPDX-License-Identifier: MIT */
/* What a ladder remarks on a packet: faults, what became of it, what it means. */
#include <inttypes.h>

#include "app/ladder_words.h"

const char *words_fault(enum fault f)
{
	static const char *const text[] = {
#define X(id, t) t,
		FAULTS(X)
#undef X
	};

	return text[f];
}

const char *words_reason(enum fate_reason r)
{
	static const char *const text[] = {
#define X(id, t) t,
		FATE_REASONS(X)
#undef X
	};

	return text[r];
}

static void add_fault(struct words *w, const struct step *t, enum fault f)
{
	enum sut_side in = step_in(t);

	if (f == FAULT_WINDOW)
		words_add(w, "window %u became %u", t->s[in].window, t->s[side_other(in)].window);
	else if (f == FAULT_CHECKSUM)
		words_add(w, "the checksum was right and is wrong");
	else if (f == FAULT_BYTES)
		words_add(w, "bytes went out that had not come in");
	else if (f >= FAULT_NUMBERS)
		words_add(w, "%s changed", words_fault(f));
	else if (t->off[f] < 0)
		words_add(w, "%s is %" PRId64 " too low", words_fault(f), -(int64_t)t->off[f]);
	else
		words_add(w, "%s is %" PRId32 " too high", words_fault(f), t->off[f]);
}

void words_faults(struct words *w, const struct step *t)
{
	bool any = false;

	for (enum fault f = 0; f < FAULT_COUNT; f++) {
		if (!step_has(t, f))
			continue;
		words_add(w, any ? ", " : "FAULT: ");
		add_fault(w, t, f);
		any = true;
	}
	if (any && t->seen == 3)
		words_add(w, " (frames %" PRIu64 " and %" PRIu64 ")", t->s[NEAR].frame,
			  t->s[FAR].frame);
	else if (any)
		words_add(w, " (frame %" PRIu64 ")", t->s[step_any(t)].frame);
}

void words_fate(struct words *w, const struct ladder *l, const struct step *t)
{
	sut_time held = ladder_held(l, t);

	if (held) {
		words_part(w);
		words_add(w, "held ");
		words_time(w, held);
	}
	if (t->why != WHY_NONE && t->fate != FATE_ALONE && t->fate != FATE_PASSED) {
		words_part(w);
		words_add(w, "%s", words_reason((enum fate_reason)t->why));
	}
	if (t->fate == FATE_PIECE) {
		words_part(w);
		words_add(w, "a further piece");
	}
	if (t->fate != FATE_PASSED || t->pieces == 0)
		return;
	words_part(w);
	if (t->s[step_any(t)].flags & TCP_SYN)
		words_add(w, "took the data of %u packet%s along", t->pieces,
			  t->pieces == 1 ? "" : "s");
	else if (t->s[step_in(t)].len > t->s[side_other(step_in(t))].len)
		words_add(w,
			  t->pieces > 1 ? "leaves in %u pieces"
					: "only a part of it was seen leaving",
			  t->pieces);
	else
		words_add(w, "%u packets in one", t->pieces);
}

struct note_text {
	struct words *w;
	const struct notes *n;
	uint32_t from, to;
};

static void range(const struct note_text *x, const char *before, const char *after)
{
	words_part(x->w);
	words_add(x->w, "%s%" PRIu32 ":%" PRIu32 "%s", before, x->from, x->to, after);
}

static void again(const struct note_text *x, const char *what)
{
	words_part(x->w);
	words_add(x->w, "%s after ", what);
	words_time(x->w, x->n->after);
}

static void retransmission(const struct note_text *x)
{
	range(x, "retransmission of ",
	      notes_have(x->n, NOTE_PARTLY_NEW) ? ", and more"
	      : notes_have(x->n, NOTE_NEEDLESS) ? ", acknowledged already"
						: "");
}

/* One note; those that only add to another one say nothing. */
static void add_note(const struct note_text *x, enum note what)
{
	static const char *const plain[NOTE_COUNT] = {
		[NOTE_SYN_OTHER] = "a SYN of another connection",
		[NOTE_SYN_DATA] = "data in the SYN",
		[NOTE_KEEPALIVE] = "keep-alive",
		[NOTE_KEEPALIVE_ACK] = "answers the probe",
		[NOTE_WINDOW_UPDATE] = "window update",
		[NOTE_ZERO_WINDOW] = "zero window",
		[NOTE_WINDOW_OPENS] = "window opens",
		[NOTE_WINDOW_PROBE] = "probe of a zero window",
		[NOTE_STRAY] = "no part of the connection",
		[NOTE_RST_WRONG] = "does not fit: to be ignored",
		[NOTE_FIN_AGAIN] = "FIN repeated",
		[NOTE_PICKED_UP] = "older than the capture",
	};

	if (plain[what]) {
		words_part(x->w);
		words_add(x->w, "%s", plain[what]);
	} else if (what == NOTE_SYN_AGAIN) {
		again(x, "SYN repeated");
	} else if (what == NOTE_SYNACK_AGAIN) {
		again(x, "SYN-ACK repeated");
	} else if (what == NOTE_RETRANSMIT) {
		retransmission(x);
	} else if (what == NOTE_FILLS) {
		range(x, notes_have(x->n, NOTE_LATE) ? "out of order: " : "fills the hole ", "");
	} else if (what == NOTE_HOLE) {
		range(x, "", " is missing");
	} else if (what == NOTE_DUP_ACK) {
		words_part(x->w);
		words_add(x->w, "duplicate ACK #%" PRIu32, x->n->count);
	} else if (what == NOTE_ACK_UNSEEN) {
		range(x, "acknowledges ", ", which was not captured");
	} else if (what == NOTE_DSACK) {
		range(x, "", " came twice");
	}
}

/* Does the other half say the same, so that once is enough? */
static bool said(const struct step *t, enum sut_side half, enum note what, bool held)
{
	if (half == NEAR || t->seen != 3 || !notes_have(&t->n[NEAR], what))
		return false;
	return what != NOTE_STATE || (t->n[NEAR].state == t->n[FAR].state && !held);
}

static void add_state(struct words *w, const struct step *t, enum sut_side half, bool held)
{
	const struct notes *n = &t->n[half];
	bool both = !held && t->seen == 3 && notes_have(&t->n[!half], NOTE_STATE) &&
		    t->n[!half].state == n->state;

	words_part(w);
	words_add(w, "%s%s",
		  t->fate == FATE_ALONE || both ? ""
		  : half == NEAR		? "near "
						: "far ",
		  track_state_name((enum track_state)n->state));
}

void words_notes(struct words *w, const struct ladder *l, const struct step *t, enum sut_side half,
		 bool absolute)
{
	const struct notes *n = &t->n[half];
	enum sut_side sender = (enum sut_side)t->sender, of = sender;
	struct note_text x = { .w = w, .n = n };
	bool held = ladder_held(l, t) != 0;

	if (!step_seen(t, half))
		return;
	if (notes_have(n, NOTE_ACK_UNSEEN) || notes_have(n, NOTE_DSACK))
		of = side_other(sender);
	x.from = words_number(l, half, of, n->from, absolute);
	x.to = words_number(l, half, of, n->to, absolute);
	for (enum note what = 0; what < NOTE_COUNT; what++)
		if (notes_have(n, what) && !said(t, half, what, held))
			add_note(&x, what);
	if ((t->s[half].marks & SIGHT_BAD_CSUM) && !step_has(t, FAULT_CHECKSUM) &&
	    !(half == FAR && t->seen == 3 && (t->s[NEAR].marks & SIGHT_BAD_CSUM))) {
		words_part(w);
		words_add(w, "wrong checksum");
	}
	if (notes_have(n, NOTE_STATE) && !said(t, half, NOTE_STATE, held))
		add_state(w, t, half, held);
}

void words_fold(struct words *w, const struct fold *f)
{
	static const char *const who[] = { "client", "server" };
	enum sut_side more = f->bytes[FAR] > f->bytes[NEAR] ? FAR : NEAR;

	for (unsigned i = 0; i < SUT_SIDES; i++) {
		enum sut_side s = i == 0 ? more : side_other(more);

		if (f->packets[s] == 0)
			continue;
		if (w->len)
			words_add(w, ", ");
		words_add(w, "%" PRIu64 "%s from the %s", f->packets[s],
			  i && f->packets[more] ? ""
			  : f->packets[s] == 1	? " packet"
						: " packets",
			  who[s]);
		if (f->bytes[s]) {
			words_add(w, " (");
			words_bytes(w, f->bytes[s]);
			words_add(w, ")");
		}
	}
	if (f->again)
		words_add(w, ", %" PRIu64 " retransmitted", f->again);
	if (f->dup_acks)
		words_add(w, ", %" PRIu64 " duplicate ACK%s", f->dup_acks,
			  f->dup_acks == 1 ? "" : "s");
	words_add(w, ", ");
	words_time(w, f->to > f->from ? f->to - f->from : 0);
}

void words_remark(struct words *w, const struct ladder *l, const struct move *m, bool absolute)
{
	const struct step *t = &m->row->step;
	bool goes_on = m->part == MOVE_IN && t->fate == FATE_PASSED;

	if (goes_on) {
		words_add(w, "held");
	} else {
		words_faults(w, t);
		words_fate(w, l, t);
	}
	for (enum sut_side h = NEAR; h < SUT_SIDES; h++)
		if (move_shows(m, h))
			words_notes(w, l, t, h, absolute);
}
