/* SPDX-License-Identifier: MIT */
#include "play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "explain.h"
#include "tap.h"

bool play_start(struct play *p, const struct programs *prog, char *ret_why)
{
	*p = (struct play){ .hub.pid = -1, .colo.pid = -1, .ours.pid = -1 };
	p->ideal = calloc(PLAY_FLOWS, sizeof *p->ideal);
	return p->ideal && rig_start(&p->hub, RIG_QEMU_HUB, prog, "", ret_why) &&
	       rig_start(&p->colo, RIG_QEMU_COLO, prog, "", ret_why) &&
	       rig_start(&p->ours, RIG_SUTURE, prog, "", ret_why);
}

void play_stop(struct play *p)
{
	rig_stop(&p->hub);
	rig_stop(&p->colo);
	rig_stop(&p->ours);
	free(p->ideal);
	p->ideal = NULL;
}

static uint32_t step_frame(const struct step *st, uint8_t *ret_frame)
{
	return st->kind == STEP_ICMP ? seg_icmp(&st->g, ret_frame) : seg_frame(&st->g, ret_frame);
}

static enum side step_side(const struct step *st)
{
	return st->kind == STEP_ICMP ? CLIENT : st->g.from;
}

/* What QEMU is expected to answer. */
static void expect_theirs(struct play *p, const struct step *st, struct outs *ret_o)
{
	uint8_t f[SEG_FRAME_MAX];
	uint32_t len = step_frame(st, f);

	ret_o->n = 0;
	if (st->kind == STEP_GIVE_UP)
		return;
	theirs_step(&p->theirs, step_side(st), f, len);
	outs_add(ret_o, (enum side) !step_side(st), f, len);
}

static void expect_ours(struct play *p, const struct step *st, struct outs *ret_o)
{
	struct ideal *m = &p->ideal[st->g.flow];
	uint8_t f[SEG_FRAME_MAX];
	struct segs out = { 0 };
	struct step as = *st;

	ret_o->n = 0;
	switch (st->kind) {
	case STEP_TCP:
		ideal_step(m, &st->g, &out);
		break;
	case STEP_TCP_ALONE:
		out = (struct segs){ .n = 1, .s = { st->g } };
		break;
	case STEP_GIVE_UP:
		ideal_give_up(m, &out);
		break;
	case STEP_ICMP:
		as.g.seq += m->known ? m->d : 0;
		outs_add(ret_o, SECONDARY, f, step_frame(&as, f));
		return;
	}
	for (unsigned i = 0; i < out.n; i++)
		outs_add(ret_o, (enum side) !out.s[i].from, f, seg_frame(&out.s[i], f));
}

/* Two forms of zero are one checksum. */
static bool frames_equal(const uint8_t *a, const uint8_t *b, uint32_t len)
{
	uint32_t at = 50; /* of the TCP checksum behind plain headers */

	if (memcmp(a, b, len) == 0)
		return true;
	return len >= 54 && load_be16(a + 12) == 0x0800 && a[14] == 0x45 && a[23] == 6 &&
	       memcmp(a, b, at) == 0 && memcmp(a + at + 2, b + at + 2, len - at - 2) == 0 &&
	       (load_be16(a + at) == 0 || load_be16(a + at) == 0xffff) &&
	       (load_be16(b + at) == 0 || load_be16(b + at) == 0xffff);
}

/* The next frame of that side from *at on, or NULL. */
static int next_of(const struct outs *o, enum side side, unsigned *at)
{
	while (*at < o->n && o->o[*at].side != side)
		++*at;
	return *at < o->n ? (int)(*at)++ : -1;
}

static bool side_equal(const struct outs *a, const struct outs *b, enum side side)
{
	unsigned i = 0, k = 0;

	for (;;) {
		int x = next_of(a, side, &i), y = next_of(b, side, &k);

		if (x < 0 || y < 0)
			return x < 0 && y < 0;
		if (a->o[x].len != b->o[y].len ||
		    !frames_equal(a->o[x].bytes, b->o[y].bytes, a->o[x].len))
			return false;
	}
}

/* The same frames, in the same order at each side; between the sides there is no order. */
static bool outs_equal(const struct outs *a, const struct outs *b)
{
	return side_equal(a, b, CLIENT) && side_equal(a, b, SECONDARY);
}

static void show(const char *who, const struct outs *o)
{
	if (o->n == 0)
		(void)tap_fail("  %s: nothing", who);
	for (unsigned i = 0; i < o->n; i++)
		(void)tap_fail("  %s: to the %s: %s", who,
			       o->o[i].side == CLIENT ? "client" : "secondary",
			       seg_print(o->o[i].bytes, o->o[i].len));
}

static bool check(const struct step *st, unsigned i, const char *who, const struct outs *got,
		  const struct outs *want)
{
	uint8_t f[SEG_FRAME_MAX];
	uint32_t len = step_frame(st, f);

	if (outs_equal(got, want))
		return true;
	(void)tap_fail("step %u, from the %s: %s", i + 1,
		       step_side(st) == CLIENT ? "client" : "secondary", seg_print(f, len));
	show("expected", want);
	show(who, got);
	return false;
}

static bool run(struct rig *r, const struct step *st, struct outs *ret_o)
{
	uint8_t f[SEG_FRAME_MAX];
	uint32_t len = step_frame(st, f);

	ret_o->n = 0;
	return st->kind == STEP_GIVE_UP || rig_step(r, step_side(st), f, len, ret_o) ||
	       tap_fail("%s stands still or is gone", r->kind == RIG_SUTURE ? "suture" : "QEMU");
}

/* How the answers of a step are judged. */
struct judge {
	play_explain *explain;
	void *ctx;
};

/* Are QEMU's answer and ours alike, or different for a reason? */
static bool judge(const struct judge *j, const struct step *st, const struct ideal *m,
		  const struct outs *theirs, const struct outs *ours)
{
	bool alike = outs_equal(theirs, ours);

	if (!j->explain)
		return alike != st->differs;
	return alike || j->explain(j->ctx, st, m, theirs, ours);
}

/* False where nothing more can be learnt from this scene. */
static bool play_step(struct play *p, const struct judge *j, const struct step *st, unsigned i)
{
	static struct outs theirs, ours, hub, colo, got;
	struct ideal before = p->ideal[st->g.flow];
	bool ok;

	if (j->explain)
		explain_see(j->ctx, st, &before);
	expect_theirs(p, st, &theirs);
	expect_ours(p, st, &ours);
	if (!run(&p->hub, st, &hub) || !run(&p->colo, st, &colo) || !run(&p->ours, st, &got))
		return false;
	if (st->kind == STEP_GIVE_UP && !rig_wait(&p->ours, SECONDARY, ours.n, 20000, &got))
		return tap_fail("step %u: what waited was not given up", i + 1);
	ok = check(st, i, "QEMU (hub)", &hub, &theirs);
	ok = check(st, i, "QEMU (redirectors)", &colo, &theirs) && ok;
	ok = check(st, i, "suture", &got, &ours) && ok;
	p->steps++;
	p->different += !outs_equal(&hub, &got);
	if (ok && !judge(j, st, &before, &hub, &got)) {
		(void)tap_fail("step %u: QEMU's answer and ours are %s", i + 1,
			       st->differs ? "alike, though they should differ"
					   : "different, for no known reason");
		show("QEMU", &hub);
		show("suture", &got);
		ok = false;
	}
	return ok;
}

void play_scene(struct play *p, const struct scene *sc, play_explain *explain, void *ctx)
{
	struct judge j = { explain, ctx };

	p->steps = p->different = 0;
	for (unsigned i = 0; i < sc->n; i++)
		if (!play_step(p, &j, &sc->step[i], i))
			return;
}
