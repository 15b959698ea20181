/* SPDX-License-Identifier: MIT */
#include "tap.h"

#include <stdarg.h>
#include <stdio.h>

#define LINES_MAX 24u /* of one test */

static struct {
	unsigned tests, bad, lines;
	bool running, failed;
	char name[128];
} tap;

void tap_begin(const char *fmt, ...)
{
	va_list ap;

	tap.tests++;
	tap.lines = 0;
	tap.failed = false;
	tap.running = true;
	va_start(ap, fmt);
	(void)vsnprintf(tap.name, sizeof tap.name, fmt, ap);
	va_end(ap);
}

bool tap_fail(const char *fmt, ...)
{
	va_list ap;

	tap.failed = true;
	if (tap.lines++ < LINES_MAX) {
		printf("# ");
		va_start(ap, fmt);
		vprintf(fmt, ap);
		va_end(ap);
		printf("\n");
		fflush(stdout);
	}
	return false;
}

void tap_note(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

void tap_skip(const char *fmt, ...)
{
	va_list ap;

	if (!tap.running)
		return;
	tap.running = false;
	printf("ok %u %s # SKIP ", tap.tests, tap.name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

bool tap_end(void)
{
	if (!tap.running)
		return true;
	tap.running = false;
	if (tap.lines > LINES_MAX)
		printf("# ... and %u more lines\n", tap.lines - LINES_MAX);
	printf("%s %u %s\n", tap.failed ? "not ok" : "ok", tap.tests, tap.name);
	fflush(stdout);
	tap.bad += tap.failed;
	return !tap.failed;
}

bool tap_failed(void)
{
	return tap.failed;
}

int tap_done(void)
{
	printf("1..%u\n", tap.tests);
	return tap.bad ? 1 : 0;
}
