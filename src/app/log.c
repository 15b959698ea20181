/* SPDX-License-Identifier: MIT */
#include "app/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "app/clock.h"

#define RATE_LINES 20u
#define RATE_TIME SUT_MS(1000)

static size_t put_time(char *s, size_t size)
{
	sut_time wall = clock_now() + clock_wall_offset();
	time_t sec = (time_t)(wall / 1000000000u);
	struct tm tm;
	size_t n;

	gmtime_r(&sec, &tm);
	n = strftime(s, size, "%Y-%m-%dT%H:%M:%S", &tm);
	return n +
	       (size_t)snprintf(s + n, size - n, ".%06uZ ", (unsigned)(wall % 1000000000u / 1000));
}

void log_line(const struct log *l, enum log_level level, const char *fmt, ...)
{
	char line[1024];
	size_t n = 0;
	va_list ap;

	if (!log_shows(l, level))
		return;
	if (l->time)
		n = put_time(line, sizeof line);
	n += (size_t)snprintf(line + n, sizeof line - n, "suture: ");
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof line - n, fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s\n", line);
}

bool log_may(struct log_rate *r, const struct log *l, sut_time now)
{
	if (now - r->since >= RATE_TIME) {
		if (r->unsaid)
			log_line(l, LOG_NOTICE, "%u lines of this sort were left out", r->unsaid);
		*r = (struct log_rate){ .since = now };
	}
	if (r->said < RATE_LINES) {
		r->said++;
		return true;
	}
	r->unsaid++;
	return false;
}
