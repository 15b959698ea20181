/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * A line is: time, client, lane, (box, lane,) server, remarks.  A lane is drawn by itself: an arrow with the segment's text in
 * it.  Where the options do not fit beside the fields they go in the lane of a second line.
 */
#include "app/ladder_text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "app/ladder_words.h"
#include "app/moves.h"

#define LANE_MAX 80u
#define LEAST_ARROW 4u

enum glyph {
	G_POST,
	G_LINE,
	G_RIGHT,
	G_LEFT,
	G_BOX,
	G_MADE,
	G_ENDS,
	G_HELD,
	G_FAULT,
	G_FOLD,
	G_COUNT
};

static const char *const unicode[G_COUNT] = { "│", "─", "►", "◄", "┼", "●", "✗", "○", "‼", "⋮" };
static const char *const ascii[G_COUNT] = { "|", "-", ">", "<", "+", "*", "x", "o", "!", ":" };

enum colour { C_NONE, C_DIM, C_RED, C_GREEN, C_YELLOW };

struct lane {
	bool on; /* there is an arrow in it */
	bool right; /* towards the server */
	char text[160], options[200];
	bool options_below;
};

struct pen {
	const struct ladder *l;
	const struct ladder_style *style;
	const char *const *glyph;
	FILE *f;
	unsigned lane; /* columns */
};

static void colour(const struct pen *p, enum colour c)
{
	static const char *const code[] = { "\033[0m", "\033[2m", "\033[1;31m", "\033[32m",
					    "\033[33m" };

	if (p->style->colour)
		fputs(code[c], p->f);
}

static void repeat(const struct pen *p, const char *s, size_t n)
{
	while (n--)
		fputs(s, p->f);
}

/* Cuts s to at most n columns (its text is ASCII). */
static void cut(char *s, size_t n)
{
	if (strlen(s) <= n)
		return;
	s[n] = 0;
	if (n > 2)
		s[n - 1] = s[n - 2] = '.';
}

/* Text of what was seen in a half, and whether its options need a line of their own. */
static void fill_lane(const struct pen *p, const struct step *t, enum sut_side half,
		      struct lane *ret_lane)
{
	struct words text = WORDS(ret_lane->text), options = WORDS(ret_lane->options);
	size_t room = p->lane - LEAST_ARROW;

	words_segment(&text, p->l, t, half, p->style->absolute);
	words_options(&options, p->l, t, half, p->style->absolute);
	ret_lane->on = true;
	ret_lane->right = step_in(t) == NEAR;
	ret_lane->options_below = text.len + options.len > room && options.len;
	if (!ret_lane->options_below)
		words_add(&text, "%s", ret_lane->options);
	cut(ret_lane->text, room);
	cut(ret_lane->options, p->lane - 1);
}

static void draw_lane(const struct pen *p, const struct lane *lane)
{
	size_t len = strlen(lane->text), line;

	if (!lane->on) {
		repeat(p, " ", p->lane);
		return;
	}
	line = p->lane - len - 3; /* a blank on both sides, an arrow head */
	if (lane->right) {
		repeat(p, p->glyph[G_LINE], 1);
		fprintf(p->f, " %s ", lane->text);
		repeat(p, p->glyph[G_LINE], line - 1);
		fputs(p->glyph[G_RIGHT], p->f);
	} else {
		fputs(p->glyph[G_LEFT], p->f);
		repeat(p, p->glyph[G_LINE], line - 1);
		fprintf(p->f, " %s ", lane->text);
		repeat(p, p->glyph[G_LINE], 1);
	}
}

/* The second line of a lane. */
static void draw_options(const struct pen *p, const struct lane *lane)
{
	size_t len = lane->on && lane->options_below ? strlen(lane->options) : 0;

	if (lane->right) {
		fprintf(p->f, " %s", len ? lane->options : "");
		repeat(p, " ", p->lane - len - 1);
	} else {
		repeat(p, " ", p->lane - len - 1);
		fprintf(p->f, "%s ", len ? lane->options : "");
	}
}

static enum glyph box_glyph(const struct step *t, enum move_part part)
{
	if (t->faults && !(part == MOVE_IN && t->fate == FATE_PASSED))
		return G_FAULT;
	if (part == MOVE_THROUGH)
		return G_BOX;
	if (t->fate == FATE_SWALLOWED)
		return G_ENDS;
	return t->fate == FATE_MADE ? G_MADE : G_HELD;
}

static enum colour colour_of(const struct step *t, enum move_part part)
{
	if (t->faults)
		return C_RED;
	if (t->fate == FATE_MADE)
		return C_GREEN;
	if (t->fate == FATE_SWALLOWED)
		return C_DIM;
	return part == MOVE_IN || part == MOVE_OUT ? C_YELLOW : C_NONE;
}

/* The time since the connection began. */
static void draw_time(const struct pen *p, sut_time at)
{
	sut_time t = at > p->l->began ? at - p->l->began : 0;

	fprintf(p->f, "%7" PRIu64 ".%03" PRIu64 " ", t / 1000000, t / 1000 % 1000);
}

static void draw_step(const struct pen *p, const struct move *m)
{
	const struct step *t = &m->row->step;
	struct lane lane[SUT_SIDES] = { 0 };
	char text[500] = "";
	struct words w = WORDS(text);
	const char *post = p->glyph[G_POST], *box;

	for (enum sut_side h = NEAR; h < SUT_SIDES; h++)
		if (move_shows(m, h))
			fill_lane(p, t, h, &lane[p->style->two ? h : NEAR]);
	words_remark(&w, p->l, m, p->style->absolute);
	box = m->part == MOVE_ALONE ? post : p->glyph[box_glyph(t, m->part)];
	draw_time(p, m->at);
	fputs(post, p->f);
	colour(p, colour_of(t, m->part));
	draw_lane(p, &lane[NEAR]);
	if (p->style->two) {
		fputs(box, p->f);
		draw_lane(p, &lane[FAR]);
	}
	colour(p, C_NONE);
	fputs(post, p->f);
	if (w.len) {
		colour(p, t->faults ? C_RED : C_NONE);
		fprintf(p->f, " %s", text);
		colour(p, C_NONE);
	}
	fputc('\n', p->f);
	if (!lane[NEAR].options_below && !lane[FAR].options_below)
		return;
	fprintf(p->f, "%12s%s", "", post);
	draw_options(p, &lane[NEAR]);
	if (p->style->two) {
		fputs(post, p->f);
		draw_options(p, &lane[FAR]);
	}
	fprintf(p->f, "%s\n", post);
}

static void draw_fold(const struct pen *p, const struct move *m)
{
	char text[300] = "";
	struct words w = WORDS(text);

	words_add(&w, m->row->fold.rest ? "not shown: " : "... ");
	w.s += w.len;
	w.size -= w.len;
	w.len = 0;
	words_fold(&w, &m->row->fold);
	draw_time(p, m->at);
	colour(p, C_DIM);
	fprintf(p->f, "%s %s\n", p->glyph[G_FOLD], text);
	colour(p, C_NONE);
}

static void draw_ends(const struct pen *p)
{
	char near[80], far[80];
	struct words a = WORDS(near), b = WORDS(far);
	unsigned space = p->style->two ? p->lane * 2 + 1 : p->lane;

	words_add(&a, "client ");
	words_end(&a, p->l->key.src, p->l->key.sport);
	words_add(&b, "server ");
	words_end(&b, p->l->key.dst, p->l->key.dport);
	fprintf(p->f, "%12s", "");
	if (a.len + b.len + 8 > space) {
		fprintf(p->f, "%-*s%s\n", (int)space - 4, "client", "server");
		return;
	}
	fputs(near, p->f);
	if (p->style->two) {
		int middle = (int)p->lane - (int)a.len;

		if (middle > 0 && b.len < p->lane)
			fprintf(p->f, "%*s", middle + 2, "box"), space -= (unsigned)middle + 2;
	}
	fprintf(p->f, "%*s\n", (int)(space + 2 - a.len), far);
}

static void draw_head(const struct pen *p)
{
	const struct ladder *l = p->l;
	char text[300];
	struct words w = WORDS(text);
	sut_time t = l->began > p->style->begin ? l->began - p->style->begin : 0;

	words_connection(&w, l);
	fprintf(p->f, "%s, at %" PRIu64 ".%06" PRIu64 " s%s\n", text, t / 1000000000,
		t / 1000 % 1000000, l->guessed ? ", without its SYN" : "");
	if (!p->style->two)
		return;
	if (l->pairing.halves != 3) {
		fprintf(p->f, "  only in %s: nothing to compare with\n",
			p->style->file[l->pairing.halves & 1 ? NEAR : FAR]);
		return;
	}
	for (enum sut_side s = NEAR; s < SUT_SIDES; s++) {
		w = WORDS(text);
		if (words_shift(&w, l, s))
			fprintf(p->f, "  %s\n", text);
		w = WORDS(text);
		if (words_clock(&w, l, s))
			fprintf(p->f, "  %s\n", text);
	}
}

static unsigned lane_columns(const struct ladder_style *s)
{
	unsigned lanes = s->two ? 2 : 1, taken = s->two ? 52 : 50, least = s->two ? 34 : 50;
	unsigned lane = s->width > taken ? (s->width - taken) / lanes : 0;

	if (s->absolute)
		least += 22;
	if (lane < least)
		lane = least;
	return lane > LANE_MAX ? LANE_MAX : lane;
}

static int draw_moves(const struct pen *p)
{
	struct moves m;

	if (moves_of(p->l, &m) != 0)
		return -ENOMEM;
	draw_ends(p);
	for (size_t i = 0; i < m.n; i++) {
		if (m.move[i].part == MOVE_FOLD)
			draw_fold(p, &m.move[i]);
		else
			draw_step(p, &m.move[i]);
	}
	moves_free(&m);
	return 0;
}

int ladder_text(const struct ladder *l, const struct ladder_style *style, FILE *f)
{
	const struct pen p = {
		.l = l,
		.style = style,
		.glyph = style->ascii ? ascii : unicode,
		.f = f,
		.lane = lane_columns(style),
	};
	char text[600];
	struct words w = WORDS(text);

	draw_head(&p);
	if (!style->brief && draw_moves(&p) != 0)
		return -ENOMEM;
	words_summary(&w, l);
	colour(&p, ladder_faults(l) ? C_RED : C_NONE);
	fprintf(f, "  %s\n\n", text);
	colour(&p, C_NONE);
	return 0;
}
