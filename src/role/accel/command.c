/* SPDX-License-Identifier: MIT */
/*
 * command - operators' commands at the port "control".
 *
 *     drain       no SYN is promised any more: new connections pass untouched.  Answers "ok N": so many still need the box
 *     drain off   promises again
 */
#include "role/accel/accel.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is(const struct packet *p, const char *line)
{
	return p->head_len == strlen(line) && memcmp(p->head, line, p->head_len) == 0;
}

static void answer(struct near *n, const char *text)
{
	size_t len = strlen(text);
	struct packet *p = outbox_make(n->out, ACCEL_CONTROL, (uint32_t)len);

	if (p)
		memcpy(p->head, text, len);
	else
		drop(n, R_OUTBOX_FULL);
}

void command(struct near *n, const struct packet *p)
{
	char text[120];

	if (is(p, "drain") || is(p, "drain off")) {
		n->draining = is(p, "drain");
		snprintf(text, sizeof text, "ok %" PRIu32, n->living);
		answer(n, text);
	} else {
		snprintf(text, sizeof text,
			 "error unknown command '%.*s': accel-near knows drain [off]",
			 (int)(p->head_len < 40 ? p->head_len : 40), (const char *)p->head);
		answer(n, text);
	}
}
