/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "core/fields.h"
#include "role/handoff/front_inside.h"

/*
 * Operators' commands at the port control, each answered by one message (front.h has the list).
 */

#define ANSWER_MAX 2200u /* a message fits in a slot of the outbox */
#define ROW_MAX 512u

static void refuse(struct front *f, const char *what)
{
	front_sayf(f, FRONT_CONTROL, "error %s", what);
}

static void status(struct front *f)
{
	char text[ANSWER_MAX], row[ROW_MAX];
	int head = snprintf(text, sizeof text, "ok %u back ends", f->cfg.backends);
	size_t n = (size_t)head;

	for (uint32_t b = 0; b < f->cfg.backends; b++) {
		size_t len = ladder_row(f, b, row, sizeof row);

		if (n + len + 40 > sizeof text) {
			n += (size_t)snprintf(text + n, sizeof text - n,
					      "\nand %u more: status NAME", f->cfg.backends - b);
			break;
		}
		text[n++] = '\n';
		memcpy(text + n, row, len);
		n += len;
	}
	front_say(f, FRONT_CONTROL, text, n);
}

static void status_one(struct front *f, const struct word *name)
{
	char row[ROW_MAX];
	int b = backend_named(f, name->s, name->n);

	if (b < 0)
		refuse(f, "there is no such back end");
	else
		front_sayf(f, FRONT_CONTROL, "ok 1 back end\n%.*s",
			   (int)ladder_row(f, (uint32_t)b, row, sizeof row), row);
}

/* --- draining of all */

static uint32_t in_stack(const struct front *f)
{
	struct stack_usage u;

	stack_usage(f->stack, &u);
	return u.conns;
}

static void drain(struct front *f, bool on)
{
	if (on != f->draining) {
		f->draining = on;
		front_listen(f, !on);
	}
	front_sayf(f, FRONT_CONTROL, "ok %u", f->used > in_stack(f) ? f->used : in_stack(f));
}

/* --- a back end */

static bool set_rung(struct front *f, uint32_t b, const struct word *w)
{
	static const char *const names[] = { "adopt", "shift", "splice", "auto" };
	int r = word_among(w, names, 4);

	if (r < 0)
		return false;
	f->backend[b].forced = (uint8_t)r;
	return true;
}

static bool backend_command(struct front *f, uint32_t b, struct words *w)
{
	struct word x, value;
	uint64_t n;

	if (!words_next(w, &x))
		return false;
	if (word_is(&x, "drain") || word_is(&x, "undrain")) {
		f->backend[b].draining = x.n == 5;
		return !words_next(w, &value);
	}
	if (!words_next(w, &value))
		return false;
	if (word_is(&x, "weight") && word_number(&value, 1000, &n)) {
		f->cfg.routes.weight[b] = (uint32_t)n;
		return !words_next(w, &x);
	}
	return word_is(&x, "rung") && set_rung(f, b, &value);
}

static void backend(struct front *f, struct words *w)
{
	struct word name = { NULL, 0 };
	int b = words_next(w, &name) ? backend_named(f, name.s, name.n) : -1;

	if (b < 0)
		refuse(f, "there is no such back end");
	else if (!backend_command(f, (uint32_t)b, w))
		refuse(f, "backend NAME drain|undrain|weight N|rung adopt|shift|splice|auto");
	else
		front_sayf(f, FRONT_CONTROL, "ok");
}

static bool one_of(struct front *f, const struct word *first, struct words *w)
{
	struct word x;

	if (word_is(first, "status")) {
		if (words_next(w, &x))
			status_one(f, &x);
		else
			status(f);
		return true;
	}
	if (word_is(first, "drain")) {
		bool more = words_next(w, &x);

		if (more && !word_is(&x, "off"))
			return false;
		drain(f, !more);
		return true;
	}
	if (!word_is(first, "backend"))
		return false;
	backend(f, w);
	return true;
}

void control_command(struct front *f, const struct packet *p)
{
	struct words w = words_of((const char *)p->head, p->head_len);
	struct word first = { NULL, 0 };

	if (!words_next(&w, &first) || !one_of(f, &first, &w))
		refuse(f, "handoff-front knows status [NAME], drain [off], backend NAME ...");
}
