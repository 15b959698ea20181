/* SPDX-License-Identifier: MIT */
#include "app/ladder_json.h"

#include <inttypes.h>

#include "app/ladder_words.h"
#include "app/moves.h"
#include "app/report.h"

static const char *const side_name[] = { "client", "server" }, *const half_name[] = { "near",
										      "far" };

/* An object that is being written: what comes between its members. */
struct object {
	FILE *f;
	const char *sep;
};

static void key(struct object *o, const char *name)
{
	fprintf(o->f, "%s\"%s\":", o->sep, name);
	o->sep = ",";
}

static void number(struct object *o, const char *name, uint64_t v)
{
	key(o, name);
	fprintf(o->f, "%" PRIu64, v);
}

static void string(struct object *o, const char *name, const char *s)
{
	key(o, name);
	report_json_string(s, o->f);
}

static void truth(struct object *o, const char *name, bool v)
{
	key(o, name);
	fputs(v ? "true" : "false", o->f);
}

/* Nanoseconds as seconds. */
static void seconds(struct object *o, const char *name, sut_time t)
{
	key(o, name);
	fprintf(o->f, "%" PRIu64 ".%09" PRIu64, t / 1000000000, t % 1000000000);
}

static struct object inner(struct object *o, const char *name)
{
	key(o, name);
	fputc('{', o->f);
	return (struct object){ o->f, "" };
}

static void end(const struct object *o)
{
	fputc('}', o->f);
}

static void json_end(struct object *o, const char *name, const uint8_t addr[16], be16 port)
{
	char text[80];
	struct words w = WORDS(text);

	words_end(&w, addr, port);
	string(o, name, text);
}

static void json_connection(struct object *o, const struct ladder *l)
{
	uint32_t outer = l->key.where >> 12 & 0xfff, in = l->key.where & 0xfff;

	json_end(o, "client", l->key.src, l->key.sport);
	json_end(o, "server", l->key.dst, l->key.dport);
	if (outer != 0xfff)
		number(o, "vlan", outer);
	if (in != 0xfff)
		number(o, "inner_vlan", in);
}

static void json_shift(struct object *o, const char *name, const struct pairing_shift *s)
{
	struct object x;

	if (!s->known)
		return;
	x = inner(o, name);
	number(&x, "by", s->by);
	number(&x, "agree", s->agreed);
	end(&x);
}

static void json_side(struct object *o, const struct ladder *l, enum sut_side s)
{
	const struct pairing_delay *d = &l->pairing.delay[s];
	struct object x = inner(o, s == NEAR ? "from_client" : "from_server"), y;

	number(&x, "packets", l->packets[s]);
	number(&x, "bytes", l->bytes[s]);
	json_shift(&x, "shift", &l->pairing.seq[s]);
	json_shift(&x, "clock", &l->pairing.ts[s]);
	if (d->count) {
		y = inner(&x, "delay");
		seconds(&y, "least", d->least);
		seconds(&y, "mean", d->sum / d->count);
		seconds(&y, "most", d->most);
		end(&y);
	}
	end(&x);
}

static void json_half(struct object *o, const struct ladder *l, enum sut_side h)
{
	struct object x;

	if (!(l->pairing.halves >> h & 1))
		return;
	x = inner(o, half_name[h]);
	string(&x, "state", track_state_name((enum track_state)l->reading[h].track.state));
	if (l->syn_at[h] && l->synack_at[h] >= l->syn_at[h])
		seconds(&x, "handshake", l->synack_at[h] - l->syn_at[h]);
	end(&x);
}

static void json_faults(struct object *o, const struct ladder *l)
{
	struct object x = inner(o, "faults");

	for (enum fault f = 0; f < FAULT_COUNT; f++)
		if (l->pairing.faults[f])
			number(&x, words_fault(f), l->pairing.faults[f]);
	end(&x);
}

static void json_summary(const struct ladder *l, uint64_t id, FILE *f)
{
	struct object o = { f, "" };

	fputc('{', f);
	number(&o, "connection", id);
	json_connection(&o, l);
	seconds(&o, "began", l->began);
	seconds(&o, "lasted", l->ended > l->began ? l->ended - l->began : 0);
	truth(&o, "syn_seen", !l->guessed);
	string(&o, "mode", words_mode(ladder_mode(l)));
	for (enum sut_side s = NEAR; s < SUT_SIDES; s++)
		json_side(&o, l, s);
	for (enum sut_side h = NEAR; h < SUT_SIDES; h++)
		json_half(&o, l, h);
	if (l->answer_at && l->syn_at[NEAR] && l->answer_at >= l->syn_at[NEAR])
		seconds(&o, "first_byte", l->answer_at - l->syn_at[NEAR]);
	number(&o, "retransmitted", l->again);
	number(&o, "resets", l->resets);
	if (l->pairing.halves == 3) {
		number(&o, "pairs", l->pairing.pairs);
		number(&o, "made", l->made);
		number(&o, "swallowed", l->swallowed);
		number(&o, "held", l->held);
		seconds(&o, "held_most", l->held_most);
		json_faults(&o, l);
	}
	end(&o);
	fputc('\n', f);
}

/* As a half saw it: numbers as on the wire. */
static void json_sight(struct object *o, const struct ladder *l, const struct step *t,
		       enum sut_side half)
{
	const struct sight *s = &t->s[half];
	struct object x = inner(o, half_name[half]);
	char text[300];
	struct words w = WORDS(text);

	number(&x, "frame", s->frame);
	seconds(&x, "at", s->at);
	words_segment(&w, l, t, half, false);
	words_options(&w, l, t, half, false);
	string(&x, "text", text);
	number(&x, "seq", s->seq);
	if (s->icmp == ICMP_OTHER) {
		number(&x, "flags", s->flags);
		if (s->flags & TCP_ACK)
			number(&x, "ack", s->ack);
		number(&x, "len", s->len);
		number(&x, "window", s->window);
		if (s->present & OPT_TS) {
			number(&x, "tsval", s->tsval);
			number(&x, "tsecr", s->tsecr);
		}
	}
	end(&x);
}

static void json_step(const struct ladder *l, uint64_t id, const struct step *t, FILE *f)
{
	static const char *const fate[] = {
		[FATE_ALONE] = "alone",		[FATE_PASSED] = "passed", [FATE_MADE] = "made",
		[FATE_SWALLOWED] = "swallowed", [FATE_JOINED] = "joined", [FATE_PIECE] = "piece",
	};
	const struct row row = { .step = *t };
	const struct move move = { .row = &row, .part = MOVE_THROUGH };
	struct object o = { f, "" };
	char text[600];
	struct words w = WORDS(text);

	fputc('{', f);
	number(&o, "connection", id);
	seconds(&o, "at", step_at(t) > l->began ? step_at(t) - l->began : 0);
	string(&o, "sender", side_name[t->sender]);
	string(&o, "fate", fate[t->fate]);
	if (ladder_held(l, t))
		seconds(&o, "held", ladder_held(l, t));
	for (enum sut_side h = NEAR; h < SUT_SIDES; h++)
		if (step_seen(t, h))
			json_sight(&o, l, t, h);
	truth(&o, "fault", t->faults != 0);
	words_remark(&w, l, &move, false);
	string(&o, "remark", text);
	end(&o);
	fputc('\n', f);
}

void ladder_json(const struct ladder *l, uint64_t id, FILE *f)
{
	for (size_t i = 0; l->limits->all && i < l->rows; i++)
		json_step(l, id, &l->row[i].step, f);
	json_summary(l, id, f);
}
