/* SPDX-License-Identifier: MIT */
#include "app/ladder_words.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "proto/print.h"

void words_add(struct words *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->s + w->len, w->size - w->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		w->len += (size_t)n < w->size - w->len ? (size_t)n : w->size - w->len - 1;
}

void words_part(struct words *w)
{
	if (w->len)
		words_add(w, "; ");
}

void words_time(struct words *w, sut_time t)
{
	if (t >= SUT_MS(1000))
		words_add(w, "%" PRIu64 ".%03" PRIu64 " s", t / 1000000000, t / 1000000 % 1000);
	else if (t >= SUT_MS(1))
		words_add(w, "%" PRIu64 ".%03" PRIu64 " ms", t / 1000000, t / 1000 % 1000);
	else
		words_add(w, "%" PRIu64 " us", t / 1000);
}

void words_bytes(struct words *w, uint64_t n)
{
	static const char unit[] = "kMGTPE";
	uint64_t whole = n, tenths = 0;
	unsigned i = 0;

	for (; whole >= 1000; i++) {
		tenths = whole % 1000 / 100;
		whole /= 1000;
	}
	if (i == 0)
		words_add(w, "%" PRIu64 " B", n);
	else
		words_add(w, "%" PRIu64 ".%" PRIu64 " %cB", whole, tenths, unit[i - 1]);
}

void words_end(struct words *w, const uint8_t addr[16], be16 port)
{
	char text[64];

	print_addr(addr, text, sizeof text);
	words_add(w, strchr(text, ':') ? "[%s]:%u" : "%s:%u", text, be16_get(port));
}

void words_connection(struct words *w, const struct ladder *l)
{
	uint32_t outer = l->key.where >> 12 & 0xfff, inner = l->key.where & 0xfff;

	words_end(w, l->key.src, l->key.sport);
	words_add(w, " > ");
	words_end(w, l->key.dst, l->key.dport);
	if (outer != 0xfff)
		words_add(w, " vlan %u", (unsigned)outer);
	if (inner != 0xfff)
		words_add(w, outer != 0xfff ? ".%u" : " vlan %u", (unsigned)inner);
}

/* Where relative numbers of a sender begin in a half: false if it is not known. */
static bool base_of(const struct ladder *l, enum sut_side half, enum sut_side sender,
		    uint32_t *ret_base)
{
	const struct pairing_shift *shift = &l->pairing.seq[sender];
	const struct reading_way *near = &l->reading[NEAR].way[sender],
				 *far = &l->reading[FAR].way[sender];

	if (shift->known && near->seen && far->seen && !(near->syn && far->syn)) {
		/* both halves count from the same byte: the one whose SYN was seen, or the earlier */
		uint32_t a = near->base, b = far->base - shift->by;

		if (far->syn || (!near->syn && (int32_t)(b - a) < 0))
			a = b;
		*ret_base = half == NEAR ? a : a + shift->by;
		return true;
	}
	*ret_base = half == NEAR ? near->base : far->base;
	return half == NEAR ? near->seen : far->seen;
}

uint32_t words_relative(const struct ladder *l, enum sut_side half, enum sut_side sender,
			uint32_t seq)
{
	uint32_t base;

	return base_of(l, half, sender, &base) ? seq - base : seq;
}

static uint32_t number(const struct ladder *l, enum sut_side half, enum sut_side sender,
		       uint32_t seq, bool absolute)
{
	return absolute ? seq : words_relative(l, half, sender, seq);
}

static void add_flags(struct words *w, uint8_t flags)
{
	static const char letters[] = "FSRP.UEW", order[] = "\1\0\2\3\5\6\7\4";

	if (flags == 0)
		words_add(w, "none");
	for (unsigned i = 0; i < 8; i++)
		if (flags >> order[i] & 1)
			words_add(w, "%c", letters[(unsigned)order[i]]);
}

static void add_icmp(struct words *w, const struct ladder *l, const struct step *t,
		     enum sut_side half, bool absolute)
{
	static const char *const what[] = {
		[ICMP_UNREACHABLE] = "unreachable",
		[ICMP_TOO_BIG] = "too big",
		[ICMP_TIME] = "time exceeded",
		[ICMP_PARAM] = "parameter problem",
	};
	const struct sight *s = &t->s[half];

	words_add(w, "ICMP %s", what[s->icmp]);
	if (s->icmp == ICMP_TOO_BIG)
		words_add(w, ", MTU %" PRIu32, s->mtu);
	words_add(w, ", of %" PRIu32, number(l, half, (enum sut_side)t->sender, s->seq, absolute));
}

void words_segment(struct words *w, const struct ladder *l, const struct step *t,
		   enum sut_side half, bool absolute)
{
	const struct sight *s = &t->s[half];
	enum sut_side sender = (enum sut_side)t->sender;
	uint32_t from = number(l, half, sender, s->seq, absolute);
	bool keepalive = notes_have(&t->n[half], NOTE_KEEPALIVE);

	if (s->icmp != ICMP_OTHER) {
		add_icmp(w, l, t, half, absolute);
		return;
	}
	add_flags(w, s->flags);
	if (s->len)
		words_add(w, " %" PRIu32 ":%" PRIu32 "(%" PRIu32 ")", from,
			  number(l, half, sender, s->seq + s->len, absolute), s->len);
	else if ((s->flags & (TCP_SYN | TCP_FIN | TCP_RST)) || keepalive || !(s->flags & TCP_ACK))
		words_add(w, " %" PRIu32, from);
	if (s->flags & TCP_ACK)
		words_add(w, " ack %" PRIu32,
			  number(l, half, side_other(sender), s->ack, absolute));
	if (!(s->flags & TCP_RST))
		words_add(w, " win %u", s->window);
}

static void add_ts(struct words *w, const struct ladder *l, enum sut_side half,
		   enum sut_side sender, const struct sight *s, bool absolute)
{
	const struct reading_way *mine = &l->reading[half].way[sender],
				 *peer = &l->reading[half].way[side_other(sender)];
	uint32_t val = s->tsval, ecr = s->tsecr;

	if (!absolute) {
		val -= mine->ts_base;
		ecr -= peer->has_ts ? peer->ts_base : 0;
	}
	words_add(w, absolute ? " TS %" PRIu32 : " TS %" PRId32, val);
	if (!(s->flags & TCP_ACK))
		return;
	words_add(w, absolute ? "/%" PRIu32 : "/%" PRId32, ecr);
}

void words_options(struct words *w, const struct ladder *l, const struct step *t,
		   enum sut_side half, bool absolute)
{
	static const struct {
		uint16_t bit;
		const char *name;
	} others[] = {
		{ OPT_SACK_PERMITTED, "sackOK" }, { OPT_MD5, "md5" }, { OPT_AO, "ao" },
		{ OPT_MPTCP, "mptcp" },		  { OPT_TFO, "tfo" },
	};
	const struct sight *s = &t->s[half];
	enum sut_side sender = (enum sut_side)t->sender;

	if (s->present & OPT_MSS)
		words_add(w, " mss %u", s->mss);
	if (s->present & OPT_WSCALE)
		words_add(w, " ws %u", s->wscale);
	for (unsigned i = 0; i < ARRAY_LEN(others); i++)
		if (s->present & others[i].bit)
			words_add(w, " %s", others[i].name);
	for (unsigned i = 0; i < s->sack_count; i++)
		words_add(w, " sack %" PRIu32 ":%" PRIu32,
			  number(l, half, side_other(sender), s->sack[i][0], absolute),
			  number(l, half, side_other(sender), s->sack[i][1], absolute));
	if (s->present & OPT_TS)
		add_ts(w, l, half, sender, s, absolute);
	if (s->marks & SIGHT_BAD_OPTIONS)
		words_add(w, " [bad options]");
}

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
		words_add(w, "leaves in %u pieces", t->pieces);
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

	switch (what) {
	case NOTE_SYN_AGAIN:
		again(x, "SYN repeated");
		break;
	case NOTE_SYNACK_AGAIN:
		again(x, "SYN-ACK repeated");
		break;
	case NOTE_RETRANSMIT:
		retransmission(x);
		break;
	case NOTE_FILLS:
		range(x, notes_have(x->n, NOTE_LATE) ? "out of order: " : "fills the hole ", "");
		break;
	case NOTE_HOLE:
		range(x, "", " is missing");
		break;
	case NOTE_DUP_ACK:
		words_part(x->w);
		words_add(x->w, "duplicate ACK #%" PRIu32, x->n->count);
		break;
	case NOTE_ACK_UNSEEN:
		range(x, "acknowledges ", ", which was not captured");
		break;
	case NOTE_DSACK:
		range(x, "", " came twice");
		break;
	case NOTE_SYN_OTHER:
	case NOTE_SYN_DATA:
	case NOTE_KEEPALIVE:
	case NOTE_KEEPALIVE_ACK:
	case NOTE_WINDOW_UPDATE:
	case NOTE_ZERO_WINDOW:
	case NOTE_WINDOW_OPENS:
	case NOTE_WINDOW_PROBE:
	case NOTE_STRAY:
	case NOTE_RST_WRONG:
	case NOTE_FIN_AGAIN:
	case NOTE_PICKED_UP:
		words_part(x->w);
		words_add(x->w, "%s", plain[what]);
		break;
	case NOTE_NEEDLESS:
	case NOTE_PARTLY_NEW:
	case NOTE_LATE:
	case NOTE_STATE:
	case NOTE_COUNT:
		break;
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
	x.from = number(l, half, of, n->from, absolute);
	x.to = number(l, half, of, n->to, absolute);
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
			  i == 0 || f->packets[more] == 0 ? " packets" : "", who[s]);
		if (f->bytes[s]) {
			words_add(w, " (");
			words_bytes(w, f->bytes[s]);
			words_add(w, ")");
		}
	}
	if (f->again)
		words_add(w, ", %" PRIu64 " retransmitted", f->again);
	if (f->dup_acks)
		words_add(w, ", %" PRIu64 " duplicate ACKs", f->dup_acks);
	words_add(w, ", ");
	words_time(w, f->to - f->from);
}

bool words_shift(struct words *w, const struct ladder *l, enum sut_side sender)
{
	const struct pairing *p = &l->pairing;
	const struct pairing_shift *s = &p->seq[sender];

	if (!s->known)
		return false;
	words_add(w, "%s numbers: ", sender == NEAR ? "client's" : "server's");
	if (s->by == 0)
		words_add(w, "the same on both sides");
	else
		words_add(w, "far = near + %" PRIu32, s->by);
	if (s->by_isn && s->by)
		words_add(w, " (ISN %" PRIu32 " - %s %" PRIu32 ")", p->isn[sender][FAR],
			  sender == FAR && p->promised ? "promised" : "ISN", p->isn[sender][NEAR]);
	words_add(w, "; %" PRIu64 " agree", s->agreed);
	return true;
}

bool words_clock(struct words *w, const struct ladder *l, enum sut_side sender)
{
	const struct pairing_shift *s = &l->pairing.ts[sender];

	if (!s->known || s->by == 0)
		return false;
	words_add(w, "%s TSval: far = near + %" PRIu32 "; %" PRIu64 " agree",
		  sender == NEAR ? "client's" : "server's", s->by, s->agreed);
	return true;
}

const char *words_mode(enum ladder_mode m)
{
	static const char *const name[] = {
		[LADDER_ONE_SIDE] = "one side", [LADDER_BYPASS] = "bypass",
		[LADDER_SHIFTED] = "shifted",	[LADDER_HOLD] = "hold",
		[LADDER_MERGE] = "merge",	[LADDER_UNKNOWN] = "unknown",
	};

	return name[m];
}

static void add_between(struct words *w, const char *what, sut_time from, sut_time to)
{
	if (!from || !to || to < from)
		return;
	words_part(w);
	words_add(w, "%s", what);
	words_time(w, to - from);
}

/* As the client saw it, and as the box did. */
static void add_handshakes(struct words *w, const struct ladder *l)
{
	sut_time near = l->synack_at[NEAR] - l->syn_at[NEAR],
		 far = l->synack_at[FAR] - l->syn_at[FAR];

	if (l->syn_at[NEAR] && l->synack_at[NEAR] >= l->syn_at[NEAR]) {
		words_part(w);
		words_add(w, "handshake ");
		words_time(w, near);
		words_add(w, " at the client");
	}
	if (l->syn_at[FAR] && l->synack_at[FAR] >= l->syn_at[FAR]) {
		words_add(w, ", ");
		words_time(w, far);
		words_add(w, " at the server's side");
	}
}

static void add_counts(struct words *w, const struct ladder *l)
{
	const struct {
		uint64_t n;
		const char *what;
	} rows[] = {
		{ l->again, "retransmitted" },
		{ l->made, "made by the box" },
		{ l->swallowed, "gone no further" },
		{ l->resets, "resets" },
	};
	bool two = l->pairing.halves == 3;

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].n == 0)
			continue;
		words_part(w);
		words_add(w, "%" PRIu64 " %s", rows[i].n, rows[i].what);
	}
	if (l->held) {
		words_part(w);
		words_add(w, "%" PRIu64 " held, up to ", l->held);
		words_time(w, l->held_most);
	}
	words_part(w);
	if (ladder_faults(l))
		words_add(w, "%" PRIu64 " FAULTS", ladder_faults(l));
	else if (two)
		words_add(w, "no faults");
	else
		words_add(w, "%s",
			  track_state_name((enum track_state)l->reading[NEAR].track.state));
}

void words_summary(struct words *w, const struct ladder *l)
{
	enum ladder_mode mode = ladder_mode(l);

	if (mode != LADDER_ONE_SIDE)
		words_add(w, "mode %s", words_mode(mode));
	for (enum sut_side s = NEAR; s < SUT_SIDES; s++) {
		words_part(w);
		words_add(w, "%s %" PRIu64 " packets, ", s == NEAR ? "client" : "server",
			  l->packets[s]);
		words_bytes(w, l->bytes[s]);
	}
	if (mode == LADDER_ONE_SIDE) {
		enum sut_side h = l->pairing.halves & 1 ? NEAR : FAR;

		add_between(w, "handshake ", l->syn_at[h], l->synack_at[h]);
		add_between(w, "first byte after ", l->syn_at[h], l->answer_at);
	} else {
		add_handshakes(w, l);
		add_between(w, "first byte after ", l->syn_at[NEAR], l->answer_at);
	}
	add_counts(w, l);
}
