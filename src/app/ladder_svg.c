/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * Each move has a place from top to bottom; where nothing happened for a while there is more room, not in proportion: a
 * handshake of 40 ms and an ACK after 20 us are to be seen in one picture.  The box is a band between two posts: what passes it
 * crosses the band, the steeper the longer it took, and what is held crosses it from the row where it came in to the row where it
 * went out.
 *
 * Everything is placed first (measure), because the width of lanes and the height of the picture depend on all texts; then drawn.
 */
#include "app/ladder_svg.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app/ladder_words.h"
#include "app/moves.h"

#define MONO 6.65 /* width of a character of 11 px */
#define SANS 5.75
#define MARGIN 24.0
#define TIME_WIDTH 78.0
#define BAND 46.0
#define SLOPE 7.0 /* an arrow's fall over a lane */
#define REMARK_CHARS 52u
#define REMARK_LINES 3u
#define LINE 14.0
#define LANE_LEAST 190.0
#define LANE_MOST 560.0

static const char colour_plain[] = "#3b4252", colour_made[] = "#2e7d32", colour_held[] = "#b26a00",
		  colour_ends[] = "#8a8f98", colour_fault[] = "#c62828", colour_faint[] = "#9aa1ab";

struct lane_text {
	bool on;
	char text[160], options[200];
};

struct placed {
	const struct move *move;
	double y; /* where it begins */
	struct lane_text lane[SUT_SIDES];
	char remark[REMARK_LINES][REMARK_CHARS + 8];
	unsigned remarks;
};

struct svg {
	const struct ladder *l;
	const struct ladder_style *style;
	FILE *f;
	struct placed *placed;
	size_t n;
	double lane, height, top;
	double post[4]; /* client, box on the near side, box on the far side, server */
};

static void text_escaped(FILE *f, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '&')
			fputs("&amp;", f);
		else if (c == '<')
			fputs("&lt;", f);
		else if (c == '>')
			fputs("&gt;", f);
		else if (c == '"')
			fputs("&quot;", f);
		else
			fputc(c < 0x20 || c > 0x7e ? '?' : c, f);
	}
}

/* class: mono, note, time, ...; anchor: start, middle, end. */
static void text_at(const struct svg *s, double x, double y, const char *class, const char *anchor,
		    const char *colour, const char *text)
{
	fprintf(s->f, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\" fill=\"%s\">", x,
		y, class, anchor, colour);
	text_escaped(s->f, text);
	fputs("</text>\n", s->f);
}

static void line(const struct svg *s, double x1, double y1, double x2, double y2,
		 const char *colour, const char *more)
{
	fprintf(s->f, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" %s/>\n",
		x1, y1, x2, y2, colour, more);
}

static const char *colour_of(const struct move *m)
{
	const struct step *t = &m->row->step;

	if (t->faults && !(m->part == MOVE_IN && t->fate == FATE_PASSED))
		return colour_fault;
	if (t->fate == FATE_MADE)
		return colour_made;
	if (t->fate == FATE_SWALLOWED)
		return colour_ends;
	return m->part == MOVE_IN || m->part == MOVE_OUT ? colour_held : colour_plain;
}

/* Breaks text into lines; what is too long ends with dots. */
static void wrap(struct placed *p, const char *text)
{
	while (*text && p->remarks < REMARK_LINES) {
		size_t len = strlen(text), cut = len;
		char *to = p->remark[p->remarks++];

		if (len > REMARK_CHARS) {
			for (cut = REMARK_CHARS; cut > 0 && text[cut] != ' '; cut--)
				;
			cut = cut ? cut : REMARK_CHARS;
		}
		memcpy(to, text, cut);
		to[cut] = 0;
		text += cut;
		text += *text == ' ';
		if (*text && p->remarks == REMARK_LINES)
			memcpy(to + cut, " ...", sizeof " ...");
	}
}

static void place_step(const struct svg *s, struct placed *p)
{
	const struct step *t = &p->move->row->step;
	char remark[600];
	struct words w = WORDS(remark);

	for (enum sut_side h = NEAR; h < SUT_SIDES; h++) {
		struct lane_text *x = &p->lane[s->style->two ? h : NEAR];
		struct words text, options;

		if (!move_shows(p->move, h))
			continue;
		text = WORDS(x->text);
		options = WORDS(x->options);
		x->on = true;
		words_segment(&text, s->l, t, h, s->style->absolute);
		words_options(&options, s->l, t, h, s->style->absolute);
	}
	words_remark(&w, s->l, p->move, s->style->absolute);
	wrap(p, remark);
}

static bool has_options(const struct placed *p)
{
	return p->lane[NEAR].options[0] || p->lane[FAR].options[0];
}

/* Room in front of a move for the time in which nothing happened. */
static double gap(sut_time by)
{
	double room = 0;

	for (sut_time t = by / 500000; t && room < 44; t >>= 1)
		room += 4;
	return room;
}

static double height_of(const struct svg *s, const struct placed *p)
{
	double h = 26;

	if (p->move->part == MOVE_FOLD)
		return 34;
	h += has_options(p) ? 12 : 0;
	if (s->style->two && p->move->part == MOVE_THROUGH)
		h += SLOPE + 3;
	if (h < 8 + LINE * p->remarks)
		h = 8 + LINE * p->remarks;
	return h;
}

/* How wide a lane has to be for the texts of p. */
static double lane_for(const struct svg *s, const struct placed *p)
{
	char text[300];
	struct words w = WORDS(text);
	size_t most = 0;

	if (p->move->part == MOVE_FOLD) {
		words_fold(&w, &p->move->row->fold);
		return ((double)w.len * (SANS + 0.5) + 44) / (s->style->two ? 2.2 : 1);
	}
	for (unsigned k = 0; k < SUT_SIDES; k++) {
		size_t a = strlen(p->lane[k].text), b = strlen(p->lane[k].options);

		most = a > most ? a : most;
		most = b > most ? b : most;
	}
	return (double)most * MONO + 34;
}

/* Where all goes. */
static void measure(struct svg *s, const struct moves *m)
{
	double y = s->top, widest = LANE_LEAST;
	sut_time last = s->l->began;

	for (size_t i = 0; i < m->n; i++) {
		struct placed *p = &s->placed[i];

		p->move = &m->move[i];
		if (p->move->part != MOVE_FOLD)
			place_step(s, p);
		y += p->move->at > last ? gap(p->move->at - last) : 0;
		last = p->move->part == MOVE_FOLD ? p->move->row->fold.to : p->move->at;
		p->y = y;
		y += height_of(s, p);
		widest = lane_for(s, p) > widest ? lane_for(s, p) : widest;
	}
	s->n = m->n;
	s->lane = widest > LANE_MOST ? LANE_MOST : widest;
	s->height = y + 10;
	s->post[0] = MARGIN + TIME_WIDTH;
	s->post[1] = s->post[0] + s->lane;
	s->post[2] = s->style->two ? s->post[1] + BAND : s->post[1];
	s->post[3] = s->style->two ? s->post[2] + s->lane : s->post[1];
}

static double right_post(const struct svg *s)
{
	return s->post[s->style->two ? 3 : 1];
}

/* An arrow over a lane, from y down by SLOPE, with its texts. */
static void arrow(const struct svg *s, const struct lane_text *x, enum sut_side lane, bool right,
		  double y, const char *colour)
{
	double left = s->post[lane == NEAR ? 0 : 2], width = s->lane;
	double from = right ? left : left + width, to = right ? left + width : left;
	double end = y + SLOPE, head = right ? -8 : 8;

	line(s, from, y, to, end, colour, "stroke-width=\"1.3\"");
	fprintf(s->f, "<polygon points=\"%.1f,%.1f %.1f,%.1f %.1f,%.1f\" fill=\"%s\"/>\n", to, end,
		to + head, end - 4.2, to + head, end + 3.6, colour);
	text_at(s, left + width / 2, y - 1.5, "mono", "middle", colour, x->text);
	text_at(s, left + width / 2, y + SLOPE + 10.5, "small", "middle", colour_faint,
		x->options[0] == ' ' ? x->options + 1 : x->options);
}

/* How much a packet that takes that long falls in the band. */
static double fall(sut_time by)
{
	double f = 1;

	for (sut_time t = by / 4000; t && f < 10; t >>= 1)
		f += 1;
	return f;
}

static const struct placed *find_out(const struct svg *s, const struct placed *in)
{
	for (const struct placed *p = in; p < s->placed + s->n; p++)
		if (p->move->row == in->move->row && p->move->part == MOVE_OUT)
			return p;
	return NULL;
}

/* The next one of the same sender that goes out: that is what p went with; the SYN, if it went in that. */
static void draw_joined(const struct svg *s, const struct placed *in, double x, double y, bool near)
{
	for (const struct placed *p = in + 1; p < s->placed + s->n; p++) {
		const struct move *m = p->move;

		if (m->part == MOVE_FOLD)
			return;
		if (m->row->step.sender != in->move->row->step.sender ||
		    m->row->step.fate != FATE_PASSED || m->part == MOVE_IN)
			continue;
		if (in->move->row->step.why == WHY_IN_SYN &&
		    !(step_sight(&m->row->step)->flags & TCP_SYN))
			continue;
		line(s, x, y, s->post[near ? 2 : 1], p->y + 14 + (m->part == MOVE_OUT ? 0 : SLOPE),
		     colour_held, "stroke-width=\"1.3\" stroke-dasharray=\"3 3\"");
		return;
	}
}

/* Where an arrow meets the box: a dot, a cross, or the way through. */
static void draw_box(const struct svg *s, const struct placed *p, double y, const char *colour)
{
	const struct step *t = &p->move->row->step;
	bool near = move_shows(p->move, NEAR);
	double x = s->post[near ? 1 : 2];
	const struct placed *out;

	if (p->move->part == MOVE_IN && t->fate == FATE_PASSED) {
		out = find_out(s, p);
		if (out)
			line(s, x, y + SLOPE, s->post[near ? 2 : 1], out->y + 14, colour_held,
			     "stroke-width=\"1.3\" stroke-dasharray=\"3 3\"");
	} else if (t->fate == FATE_SWALLOWED) {
		line(s, x - 4, y + SLOPE - 4, x + 4, y + SLOPE + 4, colour, "stroke-width=\"2\"");
		line(s, x - 4, y + SLOPE + 4, x + 4, y + SLOPE - 4, colour, "stroke-width=\"2\"");
	} else if (t->fate != FATE_PASSED) {
		if (t->fate == FATE_JOINED)
			draw_joined(s, p, x, y + SLOPE, near);
		fprintf(s->f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n", x,
			t->fate == FATE_JOINED ? y + SLOPE : y, colour);
	}
}

static void draw_through(const struct svg *s, const struct placed *p, const char *colour)
{
	const struct step *t = &p->move->row->step;
	enum sut_side in = step_in(t), out = side_other(in);
	sut_time by = t->s[out].at > t->s[in].at ? t->s[out].at - t->s[in].at : 0;
	double y = p->y + 14, down = fall(by);
	bool right = in == NEAR;

	arrow(s, &p->lane[in], in, right, y, colour);
	line(s, s->post[right ? 1 : 2], y + SLOPE, s->post[right ? 2 : 1], y + SLOPE + down, colour,
	     "stroke-width=\"1.3\" stroke-dasharray=\"2 2\"");
	arrow(s, &p->lane[out], out, right, y + SLOPE + down, colour);
}

static void draw_step(const struct svg *s, const struct placed *p)
{
	const char *colour = colour_of(p->move);
	const struct step *t = &p->move->row->step;
	bool right = step_in(t) == NEAR;
	char text[40];
	struct words w = WORDS(text);
	sut_time at = p->move->at > s->l->began ? p->move->at - s->l->began : 0;

	words_add(&w, "%" PRIu64 ".%03" PRIu64, at / 1000000, at / 1000 % 1000);
	text_at(s, s->post[0] - 10, p->y + 17, "time", "end", colour_faint, text);
	if (p->move->part == MOVE_THROUGH && s->style->two) {
		draw_through(s, p, colour);
	} else {
		for (enum sut_side lane = NEAR; lane < SUT_SIDES; lane++)
			if (p->lane[lane].on)
				arrow(s, &p->lane[lane], lane, right, p->y + 14, colour);
		if (p->move->part != MOVE_ALONE)
			draw_box(s, p, p->y + 14, colour);
	}
	for (unsigned i = 0; i < p->remarks; i++)
		text_at(s, right_post(s) + 16, p->y + 17 + LINE * i, "note", "start",
			colour == colour_ends ? colour_plain : colour, p->remark[i]);
}

static void draw_fold(const struct svg *s, const struct placed *p)
{
	char text[300];
	struct words w = WORDS(text);
	double left = s->post[0] + 8, width = right_post(s) - s->post[0] - 16;

	words_fold(&w, &p->move->row->fold);
	fprintf(s->f,
		"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"20\" rx=\"10\" "
		"fill=\"#f1f3f6\" stroke=\"#d5d9df\"/>\n",
		left, p->y + 6, width);
	text_at(s, left + width / 2, p->y + 20, "note", "middle", colour_plain, text);
}

static void draw_posts(const struct svg *s)
{
	char near[80], far[80];
	struct words a = WORDS(near), b = WORDS(far);
	double top = s->top - 6;

	words_end(&a, s->l->key.src, s->l->key.sport);
	words_end(&b, s->l->key.dst, s->l->key.dport);
	if (s->style->two)
		fprintf(s->f,
			"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
			"fill=\"#eef3fb\"/>\n",
			s->post[1], top, BAND, s->height - top);
	for (unsigned i = 0; i < (s->style->two ? 4u : 2u); i++)
		line(s, s->post[i], top, s->post[i], s->height, "#7b8494", "stroke-width=\"1.5\"");
	text_at(s, s->post[0], top - 22, "who", "middle", colour_plain, "client");
	text_at(s, s->post[0], top - 8, "small", "middle", colour_plain, near);
	text_at(s, right_post(s), top - 22, "who", "middle", colour_plain, "server");
	text_at(s, right_post(s), top - 8, "small", "middle", colour_plain, far);
	if (s->style->two)
		text_at(s, s->post[1] + BAND / 2, top - 8, "who", "middle", colour_plain, "box");
	text_at(s, MARGIN, top - 8, "time", "start", colour_faint, "ms");
}

/* The connection, its shifts; leaves s->top behind them. */
static void draw_head(struct svg *s, bool draw)
{
	char text[300];
	struct words w = WORDS(text);
	double y = MARGIN + 14;

	words_connection(&w, s->l);
	if (draw)
		text_at(s, MARGIN, y, "title", "start", "#1f2430", text);
	for (enum sut_side side = NEAR; side < SUT_SIDES && s->l->pairing.halves == 3; side++) {
		for (unsigned clock = 0; clock < 2; clock++) {
			w = WORDS(text);
			if (!(clock ? words_clock : words_shift)(&w, s->l, side))
				continue;
			y += LINE + 2;
			if (draw)
				text_at(s, MARGIN, y, "note", "start", colour_plain, text);
		}
	}
	s->top = y + 62;
}

static const struct {
	const char *colour, *what;
} legend[] = {
	{ colour_plain, "passed" },	    { colour_made, "made by the box" },
	{ colour_held, "held, or joined" }, { colour_ends, "goes no further" },
	{ colour_fault, "fault" },
};

/* Returns the height of it. */
static double draw_foot(const struct svg *s, double width, bool draw)
{
	char text[700] = "";
	struct words w = WORDS(text);
	size_t chars = (size_t)((width - 2 * MARGIN) / SANS), len;
	double y = s->height + 24, x = MARGIN;
	const char *at = text;

	words_summary(&w, s->l);
	while ((len = strlen(at)) > 0) {
		char part[400];
		size_t cut = len;

		if (chars > sizeof part - 1)
			chars = sizeof part - 1;
		if (len > chars)
			for (cut = chars; cut > 1 && at[cut] != ' '; cut--)
				;
		memcpy(part, at, cut);
		part[cut] = 0;
		if (draw)
			text_at(s, MARGIN, y, "note", "start",
				ladder_faults(s->l) ? colour_fault : colour_plain, part);
		at += cut;
		at += *at == ' ';
		y += LINE + 2;
	}
	for (unsigned i = 0; i < 5 && draw && s->style->two; i++) {
		line(s, x, y, x + 22, y, legend[i].colour, "stroke-width=\"2.5\"");
		text_at(s, x + 28, y + 4, "note", "start", colour_plain, legend[i].what);
		x += 28 + (double)strlen(legend[i].what) * SANS + 26;
	}
	return y + 16 - s->height;
}

static void draw(struct svg *s)
{
	double width, height;
	bool remarks = false;

	for (size_t i = 0; i < s->n; i++)
		remarks |= s->placed[i].remarks != 0;
	width = right_post(s) + (remarks ? 16 + REMARK_CHARS * SANS : 60) + MARGIN;
	if (width < 620)
		width = 620;
	height = s->height + draw_foot(s, width, false);
	fprintf(s->f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
		"viewBox=\"0 0 %.0f %.0f\">\n<style>"
		"text{font-family:sans-serif;font-size:11px}"
		".mono{font-family:monospace;font-size:11px}"
		".small{font-family:monospace;font-size:9.5px}"
		".time{font-family:monospace;font-size:10px}"
		".title{font-size:15px;font-weight:bold}.who{font-size:13px;font-weight:bold}"
		"</style>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
		width, height, width, height);
	draw_head(s, true);
	draw_posts(s);
	for (size_t i = 0; i < s->n; i++) {
		if (s->placed[i].move->part == MOVE_FOLD)
			draw_fold(s, &s->placed[i]);
		else
			draw_step(s, &s->placed[i]);
	}
	draw_foot(s, width, true);
	fputs("</svg>\n", s->f);
}

int ladder_svg(const struct ladder *l, const struct ladder_style *style, FILE *f)
{
	struct svg s = { .l = l, .style = style, .f = f };
	struct moves m;

	if (moves_of(l, &m) != 0)
		return -ENOMEM;
	s.placed = calloc(m.n + 1, sizeof *s.placed);
	if (!s.placed) {
		moves_free(&m);
		return -ENOMEM;
	}
	draw_head(&s, false);
	measure(&s, &m);
	draw(&s);
	free(s.placed);
	moves_free(&m);
	return 0;
}
