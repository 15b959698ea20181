/* SPDX-License-Identifier: MIT */
#include "app/moves.h"

#include <errno.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	const struct move *x = a, *y = b;

	return x->order < y->order ? -1 : x->order > y->order;
}

static void add(struct moves *m, const struct sight *s, const struct row *row, enum move_part part)
{
	m->move[m->n++] = (struct move){ s->at, row, s->order, part };
}

static void add_step(struct moves *m, const struct ladder *l, const struct row *row)
{
	const struct step *t = &row->step;

	switch ((enum fate)t->fate) {
	case FATE_ALONE:
		add(m, step_sight(t), row, MOVE_ALONE);
		break;
	case FATE_PASSED:
		if (ladder_held(l, t) == 0) {
			add(m, step_sight(t), row, MOVE_THROUGH);
			break;
		}
		add(m, step_sight(t), row, MOVE_IN);
		add(m, &t->s[side_other(step_in(t))], row, MOVE_OUT);
		break;
	case FATE_SWALLOWED:
	case FATE_JOINED:
		add(m, step_sight(t), row, MOVE_IN);
		break;
	case FATE_MADE:
	case FATE_PIECE:
		add(m, step_sight(t), row, MOVE_OUT);
		break;
	}
}

int moves_of(const struct ladder *l, struct moves *ret_m)
{
	struct moves m = { .move = calloc(l->rows * 2 + 1, sizeof *m.move) };

	if (!m.move)
		return -ENOMEM;
	for (size_t i = 0; i < l->rows; i++) {
		if (l->row[i].is_fold)
			m.move[m.n++] = (struct move){ l->row[i].fold.from, &l->row[i],
						       l->row[i].fold.order, MOVE_FOLD };
		else
			add_step(&m, l, &l->row[i]);
	}
	qsort(m.move, m.n, sizeof *m.move, compare);
	*ret_m = m;
	return 0;
}

void moves_free(struct moves *m)
{
	free(m->move);
	m->move = NULL;
	m->n = 0;
}
