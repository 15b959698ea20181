/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <unistd.h>

#include "explain.h"
#include "note.h"
#include "play.h"
#include "random.h"
#include "special.h"
#include "suites.h"
#include "tap.h"

/* A connection with numbers of its own. */
static struct talk fresh(uint16_t flow)
{
	return (struct talk){
		.flow = flow,
		.c = 1000 + flow,
		.p = 5000000,
		.s = 9000000,
	};
}

static void named(struct play *p, const struct named_scene *n, uint16_t *flow)
{
	static struct scene sc;

	for (; n->name; n++, *flow = (uint16_t)(*flow + 8)) {
		struct talk t = fresh(*flow);

		sc.n = 0;
		n->make(&sc, &t);
		tap_begin("%s: %s", n->row ? "row" : "alike", n->name);
		(void)note_has_row(n->row);
		play_scene(p, &sc, NULL, NULL);
		(void)tap_end();
	}
}

#define SEEDS 200u

static void conversations(struct play *p, uint16_t *flow)
{
	static struct explain e;
	static struct scene sc;
	unsigned steps = 0, different = 0;

	tap_begin("%u random conversations", SEEDS);
	for (uint32_t seed = 1; seed <= SEEDS && !tap_failed(); seed++) {
		random_scene(&sc, seed, *flow);
		*flow = (uint16_t)(*flow + RANDOM_TALKS);
		play_scene(p, &sc, explain_step, &e);
		steps += p->steps;
		different += p->different;
		if (tap_failed())
			tap_note("seed %u", seed);
	}
	tap_note("%u frames, QEMU answers %u of them in another way:", steps, different);
	for (unsigned i = 0; i < ROW_COUNT; i++) {
		(void)note_has_row(explain_row_name((enum row)i));
		tap_note("  %5u %s", e.count[i], explain_row_name((enum row)i));
		if (e.count[i] == 0)
			(void)tap_fail("no conversation shows this row: %s",
				       explain_row_name((enum row)i));
	}
	(void)tap_end();
}

void suite_rewrite(const struct programs *prog)
{
	static struct play p;
	uint16_t flow = 0;
	char why[200];

	if (!rig_qemu_works(prog, why)) {
		tap_begin("rewriters side by side");
		tap_skip("%s", why);
		return;
	}
	if (!play_start(&p, prog, why)) {
		tap_begin("rewriters side by side");
		(void)tap_fail("%s", why);
		(void)tap_end();
	} else {
		named(&p, right_scenes, &flow);
		named(&p, row_scenes, &flow);
		conversations(&p, &flow);
	}
	play_stop(&p);
	special_closed(prog);
	special_table_full(prog);
}
