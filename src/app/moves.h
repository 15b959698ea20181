/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_MOVES_H
#define SUT_APP_MOVES_H
/*
 * moves - the rows of a ladder in the order of drawing: what the box held comes twice, when it came in and when it went out.
 *
 * Owns: the list; the rows stay the ladder's.
 */
#include <stddef.h>

#include "app/ladder.h"

/* clang-format off */
enum move_part {
	MOVE_ALONE,	/* seen on one side, and there is no other */
	MOVE_THROUGH,	/* in and out */
	MOVE_IN,	/* comes in, and is held or goes no further */
	MOVE_OUT,	/* made by the box, or held until now */
	MOVE_FOLD
};
/* clang-format on */

struct move {
	sut_time at;
	const struct row *row;
	size_t order;
	enum move_part part;
};

struct moves {
	struct move *move;
	size_t n;
};

/* Is there an arrow in this half? */
static inline bool move_shows(const struct move *m, enum sut_side half)
{
	const struct step *t = &m->row->step;

	if (!step_seen(t, half))
		return false;
	if (m->part == MOVE_IN)
		return half == step_in(t);
	if (m->part == MOVE_OUT)
		return half != step_in(t);
	return true;
}

/* 0 or -ENOMEM. */
int moves_of(const struct ladder *l, struct moves *ret_m);
void moves_free(struct moves *m);
#endif
