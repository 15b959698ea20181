/* SPDX-License-Identifier: MIT */
/* names - what the stack's counters and states are called. */
#include "stack/stack.h"

#include <assert.h>

const char *stack_counter_label(enum stack_counter c)
{
	static const char *const labels[] = {
#define X(name, label, text) label,
		STACK_COUNTERS(X)
#undef X
	};

	assert(c < STACK_COUNTER_COUNT);
	return labels[c];
}

const char *stack_counter_text(enum stack_counter c)
{
	static const char *const texts[] = {
#define X(name, label, text) text,
		STACK_COUNTERS(X)
#undef X
	};

	assert(c < STACK_COUNTER_COUNT);
	return texts[c];
}

const char *conn_state_name(enum conn_state s)
{
	static const char *const names[] = {
		"CLOSED",     "LISTEN",	    "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1",
		"FIN-WAIT-2", "CLOSE-WAIT", "CLOSING",	"LAST-ACK",	"TIME-WAIT",
	};

	_Static_assert(sizeof(names) / sizeof(names[0]) == ST_TIME_WAIT + 1, "a name for each");
	assert(s <= ST_TIME_WAIT);
	return names[s];
}
