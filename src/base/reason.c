/* SPDX-License-Identifier: MIT */
#include "base/reason.h"

static const struct {
	const char *label, *text;
} reasons[] = {
#define X(id, label, text) { label, text },
	SUT_REASONS(X)
#undef X
};

const char *reason_label(enum reason r)
{
	return (unsigned)r < SUT_REASON_COUNT ? reasons[r].label : "?";
}

const char *reason_text(enum reason r)
{
	return (unsigned)r < SUT_REASON_COUNT ? reasons[r].text : "?";
}
