/* SPDX-License-Identifier: MIT */
#include "app/ladder_words.h"

#include <inttypes.h>

#include "base/compiler.h"

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

static uint32_t relative(const struct ladder *l, enum sut_side half, enum sut_side sender,
			 uint32_t seq)
{
	uint32_t base;

	return base_of(l, half, sender, &base) ? seq - base : seq;
}

uint32_t words_number(const struct ladder *l, enum sut_side half, enum sut_side sender,
		      uint32_t seq, bool absolute)
{
	return absolute ? seq : relative(l, half, sender, seq);
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
	words_add(w, ", of %" PRIu32,
		  words_number(l, half, (enum sut_side)t->sender, s->seq, absolute));
}

void words_segment(struct words *w, const struct ladder *l, const struct step *t,
		   enum sut_side half, bool absolute)
{
	const struct sight *s = &t->s[half];
	enum sut_side sender = (enum sut_side)t->sender;
	uint32_t from = words_number(l, half, sender, s->seq, absolute);
	bool keepalive = notes_have(&t->n[half], NOTE_KEEPALIVE);

	if (s->icmp != ICMP_OTHER) {
		add_icmp(w, l, t, half, absolute);
		return;
	}
	add_flags(w, s->flags);
	if (s->len)
		words_add(w, " %" PRIu32 ":%" PRIu32 "(%" PRIu32 ")", from,
			  words_number(l, half, sender, s->seq + s->len, absolute), s->len);
	else if ((s->flags & (TCP_SYN | TCP_FIN | TCP_RST)) || keepalive || !(s->flags & TCP_ACK))
		words_add(w, " %" PRIu32, from);
	if (s->flags & TCP_ACK)
		words_add(w, " ack %" PRIu32,
			  words_number(l, half, side_other(sender), s->ack, absolute));
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
			  words_number(l, half, side_other(sender), s->sack[i][0], absolute),
			  words_number(l, half, side_other(sender), s->sack[i][1], absolute));
	if (s->present & OPT_TS)
		add_ts(w, l, half, sender, s, absolute);
	if (s->marks & SIGHT_BAD_OPTIONS)
		words_add(w, " [bad options]");
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
		{ l->resets, l->resets == 1 ? "reset" : "resets" },
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
		words_add(w, "%" PRIu64 " FAULT%s", ladder_faults(l),
			  ladder_faults(l) == 1 ? "" : "S");
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
		words_add(w, "%s %" PRIu64 " packet%s, ", s == NEAR ? "client" : "server",
			  l->packets[s], l->packets[s] == 1 ? "" : "s");
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
