/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_LOG_H
#define SUT_APP_LOG_H
/*
 * log - lines on standard error: "suture: text", with the time in front if asked for.
 *
 * A log is a value that its engine owns; nothing is buffered.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"

enum log_level {
	LOG_ERROR, /* something failed */
	LOG_NOTICE, /* readiness, a device that went away and came back: shown unless --quiet */
	LOG_INFO, /* -v */
	LOG_DEBUG, /* -vv: state changes of flows */
};

struct log {
	enum log_level level; /* the least important one that is shown */
	bool time; /* wall-clock time in front */
};

/* Writes one line (fmt without newline) if level is shown. */
void log_line(const struct log *l, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* How many lines of one sort may be written in a second. */
struct log_rate {
	sut_time since;
	uint32_t said, unsaid;
};

/* May one more be written now?  What may not is counted; the first that may again says how many those were. */
bool log_may(struct log_rate *r, const struct log *l, sut_time now);

static inline bool log_shows(const struct log *l, enum log_level level)
{
	return level <= l->level;
}
#endif
