/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_ENV_H
#define SUT_CORE_ENV_H
/* env - what a role gets from the world at its start: a secret, a random source, counters, a trace. */
#include <stdint.h>

#include "base/counters.h"
#include "base/time.h"
#include "core/quad.h"

/* One change of a flow's state, as the one function that changes it reports it. */
struct trace_event {
	sut_time now;
	const struct flow_key *key; /* of the near sender */
	const char *from, *to; /* names of states */
	const char *why; /* a few words */
};

struct record; /* core/record.h */

struct role_env {
	uint8_t secret[16];
	uint32_t
		ports; /* bit i: port i is joined to something; a role sends nothing to the others */
	uint64_t (*random)(void *ctx); /* 64 bits */
	void *random_ctx;
	struct counters *counters;
	void (*trace)(void *ctx, const struct trace_event *ev); /* may be NULL */
	void *trace_ctx;
	/*
	 * Keeps a record that must outlive the process: a shift was learnt, a flow that was told of has ended
	 * (record_flow_end()), something was learnt of a server.  It is kept before anything of the same call goes out.
	 * NULL: nobody keeps it.
	 */
	void (*journal)(void *ctx, const struct record *r);
	void *journal_ctx;
};

static inline void count_event(const struct role_env *env, enum event e)
{
	env->counters->event[e]++;
}

static inline void count_drop(const struct role_env *env, enum reason r)
{
	env->counters->dropped[r]++;
}

static inline void count_pass(const struct role_env *env, enum reason r)
{
	env->counters->passed[r]++;
}
#endif
