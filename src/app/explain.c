/* SPDX-License-Identifier: MIT */
#include "app/explain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/clock.h"
#include "app/clocks.h"
#include "app/connections.h"
#include "app/ladder_json.h"
#include "app/ladder_svg.h"
#include "app/merge.h"
#include "app/words.h"

#define PROGRESS_EVERY SUT_MS(200)

struct explain {
	const struct explain_config *cfg;
	struct merge merge;
	struct connections connections;
	struct ladder_style style;
	uint64_t frames, kind[SIGHT_KINDS];
	uint64_t filtered; /* segments of connections that were not asked for */
	uint64_t stray_icmp, cut;
	uint64_t earlier; /* frames that are older than those before them in their capture */
	sut_time last[2]; /* the time of each capture's last frame */
	uint64_t number[2]; /* frames of each capture */
	uint64_t shown, faults, faulty, one_sided, early;
	sut_time next_progress;
	struct clocks clocks;
	bool drawn;
};

static void show_progress(struct explain *x)
{
	sut_time t;

	if (!x->cfg->progress || x->frames % 1024)
		return;
	t = clock_now();
	if (t < x->next_progress)
		return;
	x->next_progress = t + PROGRESS_EVERY;
	fprintf(stderr, "\rsuture explain: %" PRIu64 " frames", x->frames);
}

static void end_progress(const struct explain *x)
{
	if (x->next_progress)
		fputs("\r\033[K", stderr);
}

/* The first connection becomes the picture: 0 or -errno after a message. */
static int draw(struct explain *x, const struct ladder *l)
{
	const char *file = x->cfg->svg;
	bool out = strcmp(file, "-") == 0;
	FILE *f = out ? stdout : fopen(file, "w");
	int err;

	x->drawn = true;
	if (!f) {
		err = -errno;
		fprintf(stderr, "suture explain: %s: %s\n", file, strerror(errno));
		return err;
	}
	err = ladder_svg(l, &x->style, f);
	if (!out && (ferror(f) | fclose(f)) && err == 0) {
		fprintf(stderr, "suture explain: %s: not all could be written\n", file);
		err = -EIO;
	}
	return err;
}

static int put(struct explain *x, const struct connection *c)
{
	if (!x->cfg->json)
		return ladder_text(c->ladder, &x->style, stdout);
	ladder_json(c->ladder, c->number, stdout);
	return 0;
}

/* Shows a connection of which no more is to come, and forgets it. */
static int show(struct explain *x, struct connection *c)
{
	struct ladder *l = c->ladder;
	int err = connections_finish(&x->connections, c);
	uint64_t faults = ladder_faults(l);

	if (err)
		return err;
	x->shown++;
	x->faults += faults;
	x->faulty += faults != 0;
	x->one_sided += l->pairing.halves != 3;
	x->style.file[NEAR] = x->cfg->file[c->near];
	x->style.file[FAR] = x->cfg->file[!c->near];
	if (x->cfg->svg && c->number == 1)
		err = draw(x, l);
	if (err == 0 && !x->cfg->quiet && (!x->cfg->faulty || faults))
		err = put(x, c);
	connections_remove(&x->connections, c);
	return err;
}

/* Shows connections until there is room again: those that are over, from the oldest on; if that is not enough, all. */
static int make_room(struct explain *x)
{
	size_t enough = x->cfg->memory / 4 * 3;
	int err = 0;

	for (unsigned all = 0; all < 2; all++) {
		struct connection *c = x->connections.first, *after;

		for (; c && err == 0 && x->connections.bytes > enough; c = after) {
			after = c->after;
			if (!all && !ladder_is_over(c->ladder))
				continue;
			x->early += all;
			err = show(x, c);
		}
	}
	return err;
}

static int take(struct explain *x, const struct capture_frame *f, unsigned file)
{
	struct flow_key key;
	struct sight s;
	enum sight_kind kind = sight_read(f, x->cfg->files == 2, &s, &key);
	int got;

	x->number[file]++;
	x->kind[kind]++;
	x->cut += f->len < f->wire_len;
	x->earlier += f->at < x->last[file];
	x->last[file] = f->at;
	if (kind != SIGHT_TCP && kind != SIGHT_ICMP)
		return 0;
	if (!flow_filter_takes(&x->cfg->filter, &key)) {
		x->filtered++;
		return 0;
	}
	s.frame = x->number[file];
	s.order = x->frames;
	got = connections_add(&x->connections, file, &key, &s);
	x->stray_icmp += got == 0;
	if (got >= 0 && x->connections.bytes > x->cfg->memory)
		got = make_room(x);
	return got < 0 ? got : 0;
}

static int read_all(struct explain *x)
{
	struct capture_frame f;
	unsigned file;
	int got, err = 0;

	while (err == 0 && (got = merge_next(&x->merge, &f, &file)) == 1) {
		if (x->frames++ == 0)
			x->style.begin = f.at;
		show_progress(x);
		err = take(x, &f, file);
	}
	end_progress(x);
	if (err == 0 && got < 0) {
		fprintf(stderr, "suture explain: %s\n", x->merge.error);
		err = got;
	} else if (err) {
		fprintf(stderr, "suture explain: %s\n", strerror(-err));
	}
	return err;
}

/* What there is besides connections, in words and as members of an object. */
static void counts(const struct explain *x,
		   void (*put_count)(const char *name, const char *text, uint64_t n))
{
	put_count("not_tcp", "not TCP", x->kind[SIGHT_NOT_TCP]);
	put_count("fragments", "IP fragments of TCP", x->kind[SIGHT_FRAGMENT]);
	put_count("unreadable", "unreadable", x->kind[SIGHT_MALFORMED]);
	put_count("cut", "cut short", x->cut);
	put_count("out_of_order", "out of order in their capture", x->earlier);
	put_count("stray_icmp", "ICMP errors about none of them", x->stray_icmp);
	put_count("filtered", "of other connections", x->filtered);
	put_count("early", "connections shown before their end (--memory)", x->early);
	if (x->cfg->files == 2)
		put_count("one_sided", "connections in one capture only", x->one_sided);
}

static void text_count(const char *name, const char *text, uint64_t n)
{
	(void)name;
	if (n)
		printf(", %" PRIu64 " %s", n, text);
}

static void json_count(const char *name, const char *text, uint64_t n)
{
	(void)text;
	if (n)
		printf(",\"%s\":%" PRIu64, name, n);
}

static void text_offset(const struct explain *x)
{
	char text[80];
	struct words w = WORDS(text);
	int64_t by = x->clocks.offset;

	words_time(&w, (sut_time)(by < 0 ? -by : by));
	printf("the second capture's clock is %s %s", text, by < 0 ? "ahead" : "behind");
	if (x->cfg->compare_clocks)
		printf(", by %" PRIu64 " packets of one direction and %" PRIu64 " of the other",
		       x->clocks.there, x->clocks.back);
	fputs(": its times are shown as the first one's\n", stdout);
}

static void summary(const struct explain *x)
{
	if (x->clocks.offset)
		text_offset(x);
	printf("%" PRIu64 " frames, %" PRIu64 " connection%s", x->frames, x->shown,
	       x->shown == 1 ? "" : "s");
	counts(x, text_count);
	if (x->cfg->files == 2 && x->faults)
		printf(", %" PRIu64 " FAULT%s in %" PRIu64 " connection%s", x->faults,
		       x->faults == 1 ? "" : "S", x->faulty, x->faulty == 1 ? "" : "s");
	else if (x->cfg->files == 2)
		fputs(", no faults", stdout);
	fputc('\n', stdout);
}

static void json_summary(const struct explain *x)
{
	printf("{\"frames\":%" PRIu64 ",\"connections\":%" PRIu64, x->frames, x->shown);
	counts(x, json_count);
	if (x->cfg->files == 2)
		printf(",\"faults\":%" PRIu64 ",\"faulty\":%" PRIu64 ",\"offset_ns\":%" PRId64,
		       x->faults, x->faulty, x->clocks.offset);
	fputs("}\n", stdout);
}

static int run(struct explain *x)
{
	int err = read_all(x), bad = err;

	/* what was read before the damage is worth seeing */
	while (x->connections.first && err != -ENOMEM) {
		err = show(x, x->connections.first);
		bad = bad ? bad : err;
	}
	if (x->cfg->svg && !x->drawn) {
		fputs("suture explain: no connection to draw\n", stderr);
		bad = bad ? bad : -ENOENT;
	}
	if (x->cfg->json)
		json_summary(x);
	else if (!x->cfg->quiet)
		summary(x);
	return bad || x->faults ? 1 : 0;
}

/* By how much the second capture has to be moved. */
static void align(struct explain *x)
{
	const struct explain_config *cfg = x->cfg;

	if (cfg->files != 2)
		return;
	x->clocks.offset = cfg->offset;
	if (cfg->compare_clocks && strcmp(cfg->file[0], "-") != 0 && strcmp(cfg->file[1], "-") != 0)
		clocks_compare(cfg->file[0], cfg->file[1], &x->clocks);
	merge_shift(&x->merge, 1, x->clocks.offset);
}

int explain_run(const struct explain_config *cfg)
{
	struct explain *x = calloc(1, sizeof *x);
	char why[600];
	int code = 1;

	if (!x || connections_open(&x->connections, &cfg->limits) != 0) {
		free(x);
		fputs("suture explain: out of memory\n", stderr);
		return 1;
	}
	x->cfg = cfg;
	x->style = cfg->style;
	if (merge_open(&x->merge, cfg->file, cfg->files, why, sizeof why) == 0) {
		align(x);
		code = run(x);
		merge_close(&x->merge);
	} else {
		fprintf(stderr, "suture explain: %s\n", why);
	}
	connections_close(&x->connections);
	free(x);
	return code;
}
