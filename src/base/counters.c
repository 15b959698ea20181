/* SPDX-License-Identifier: MIT */
#include "base/counters.h"

static const struct {
	const char *label, *text;
} events[] = {
#define X(id, label, text) { label, text },
	SUT_EVENTS(X)
#undef X
};

const char *event_label(enum event e)
{
	return (unsigned)e < SUT_EVENT_COUNT ? events[e].label : "?";
}

const char *event_text(enum event e)
{
	return (unsigned)e < SUT_EVENT_COUNT ? events[e].text : "?";
}

uint64_t counters_dropped(const struct counters *c)
{
	uint64_t sum = 0;

	for (unsigned r = 0; r < SUT_REASON_COUNT; r++)
		sum += c->dropped[r];
	return sum;
}
