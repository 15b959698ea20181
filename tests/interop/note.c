/* SPDX-License-Identifier: MIT */
#include "note.h"

#include <stdio.h>
#include <string.h>

#include "tap.h"

static char text[65536];

bool note_read(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;

	text[n] = '\0';
	if (f)
		(void)fclose(f);
	if (n == 0)
		perror(path);
	return n > 0;
}

bool note_has_row(const char *row)
{
	char want[160];

	if (!row)
		return true;
	(void)snprintf(want, sizeof want, "\n| %s |", row);
	return strstr(text, want) || tap_fail("the design note has no row \"%s\"", row);
}
