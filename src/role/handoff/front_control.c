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
#define ROWS_MAX (FRONT_FAMILIES * (ROW_MAX + 1))
#define QUIET SUT_MS(5000) /* after both ends: last ACKs that were lost have come again */

static void refuse(struct front *f, const char *what)
{
	front_sayf(f, FRONT_CONTROL, "error %s", what);
}

/* A line for each of its addresses, with a newline in front: their length.  Of one that leaves only as long as it has connections. */
static size_t rows_of(const struct front *f, uint32_t b, char ret_s[ROWS_MAX])
{
	size_t n = 0;

	if (f->backend[b].place != PLACE_USED && f->cfg.routes.conns[b] == 0)
		return 0;
	for (unsigned i = 0; i < FRONT_FAMILIES; i++) {
		if (!backend_has(f, b, i))
			continue;
		ret_s[n++] = '\n';
		n += ladder_row(f, b, i, ret_s + n, ROW_MAX);
	}
	return n;
}

static void status(struct front *f)
{
	char text[ANSWER_MAX], rows[ROWS_MAX];
	uint32_t here = 0, shown = 0;
	size_t n;

	for (uint32_t b = 0; b < f->cfg.backends; b++)
		here += f->backend[b].place == PLACE_USED;
	n = (size_t)snprintf(text, sizeof text, "ok %u back ends", here);

	for (uint32_t b = 0; b < f->cfg.backends; b++) {
		size_t len = rows_of(f, b, rows);

		if (n + len + 40 > sizeof text) {
			n += (size_t)snprintf(text + n, sizeof text - n,
					      "\nand %u more: status NAME", here - shown);
			break;
		}
		memcpy(text + n, rows, len);
		n += len;
		shown += f->backend[b].place == PLACE_USED;
	}
	front_say(f, FRONT_CONTROL, text, n);
}

static void status_one(struct front *f, const struct word *name)
{
	char text[2 * ROWS_MAX];
	size_t n = 0;

	for (uint32_t b = 0; b < f->cfg.backends && n <= ROWS_MAX; b++)
		if (word_is(name, backend_cfg(f, b)->name))
			n += rows_of(f, b, text + n);
	if (n == 0)
		refuse(f, "there is no such back end");
	else
		front_sayf(f, FRONT_CONTROL, "ok 1 back end%.*s", (int)n, text);
}

/* --- draining of all */

static uint32_t in_stack(const struct front *f)
{
	struct stack_usage u;

	stack_usage(f->stack, &u);
	return u.conns;
}

/* What is over, and quiet, needs us no more. */
static uint32_t over(const struct front *f)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->fresh; i++) {
		const struct hand *h = &f->hand[i];
		sut_time last = h->heard > h->since ? h->heard : h->since;

		n += h->id != 0 && h->state == FR_LINGER && f->now >= last + QUIET;
	}
	return n;
}

static void drain(struct front *f, bool on)
{
	uint32_t n, conns = in_stack(f);

	if (on != f->draining) {
		f->draining = on;
		front_listen(f, !on);
	}
	n = f->used - over(f);
	front_sayf(f, FRONT_CONTROL, "ok %u", n > conns ? n : conns);
}

/* --- a back end */

/* NULL, or what is wrong with it. */
static const char *set_rung(struct front *f, uint32_t b, const struct word *w)
{
	static const char *const names[] = { "adopt", "shift", "splice", "auto" };
	int r = word_among(w, names, 4);

	if (r < 0)
		return "rung is adopt, shift, splice or auto";
	if ((r == RUNG_ADOPT || r == RUNG_SHIFT) && !backend_cfg(f, b)->has_agent)
		return "it has no agent: only splice";
	f->backend[b].forced = (uint8_t)r;
	return NULL;
}

static const char *set_weight(struct front *f, uint32_t b, const struct word *w)
{
	uint64_t n;

	if (!word_number(w, ROUTE_WEIGHT_MAX, &n))
		return "weight is a number from 0 to 1000";
	f->cfg.routes.weight[b] = (uint32_t)n;
	f->backend[b].weight_told = true;
	return NULL;
}

/* The same: NULL, or what is wrong. */
static const char *backend_command(struct front *f, uint32_t b, struct words *w)
{
	static const char grammar[] = "backend NAME drain|undrain|weight N|rung "
				      "adopt|shift|splice|auto";
	struct word x = { NULL, 0 }, value = { NULL, 0 }, more;
	bool first = words_next(w, &x), second = words_next(w, &value);

	if (!first || words_next(w, &more))
		return grammar;
	if (!second && (word_is(&x, "drain") || word_is(&x, "undrain"))) {
		f->backend[b].draining = x.n == 5;
		return NULL;
	}
	if (second && word_is(&x, "weight"))
		return set_weight(f, b, &value);
	return second && word_is(&x, "rung") ? set_rung(f, b, &value) : grammar;
}

static void backend(struct front *f, struct words *w)
{
	struct word name = { NULL, 0 };
	int b = words_next(w, &name) ? backend_named(f, name.s, name.n) : -1;
	const char *wrong = b < 0 ? "there is no such back end"
				  : backend_command(f, (uint32_t)b, w);

	if (wrong) {
		refuse(f, wrong);
		return;
	}
	save_journal_backend(f, (uint32_t)b);
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
