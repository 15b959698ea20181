/* SPDX-License-Identifier: MIT */
/*
 * suture-sim - simulated connections through a role, a scenario per seed.
 *
 *	suture-sim [--seeds A-B] [--role NAME] [--share I/N] [-q] [-v]
 *
 * Prints "seed N hash H" for each seed (-q: a summary only).  Every fourth seed is run again with
 * bursts split into single packets, which must give the same hash.  A seed that breaks an
 * invariant is run again with a trace; -v traces all. Exit codes: 0 all held, 1 not, 2 bad usage.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

struct args {
	uint64_t first, last;
	unsigned share, shares; /* this process's part: seeds that leave the remainder share */
	const struct sim_role *role;
	bool quiet, verbose;
	bool traced; /* one broken seed is enough to read */
};

struct totals {
	uint64_t seeds, frames, failed;
	uint64_t hash; /* of all hashes, in order */
	struct counters counters;
};

static const struct sim_role *role_named(const char *name)
{
	for (const struct sim_role *r = sim_roles; r->name; r++)
		if (!strcmp(r->name, name))
			return r;
	return NULL;
}

static bool parse(int argc, char **argv, struct args *ret_a)
{
	struct args a = { .first = 1, .last = 100, .shares = 1, .role = &sim_roles[0] };

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (!strcmp(argv[i], "-q")) {
			a.quiet = true;
		} else if (!strcmp(argv[i], "-v")) {
			a.verbose = true;
		} else if (!strcmp(argv[i], "--seeds")) {
			int n = sscanf(value, "%" SCNu64 "-%" SCNu64, &a.first, &a.last);

			if (n < 1)
				return false;
			if (n == 1)
				a.last = a.first;
			i++;
		} else if (!strcmp(argv[i], "--share")) {
			if (sscanf(value, "%u/%u", &a.share, &a.shares) != 2 || a.share >= a.shares)
				return false;
			i++;
		} else if (!strcmp(argv[i], "--role") && role_named(value)) {
			a.role = role_named(value);
			i++;
		} else {
			return false;
		}
	}
	*ret_a = a;
	return true;
}

/* Prints the whole run, of the first broken seed only. */
static void trace(const struct args *a, const struct scenario *s, bool split)
{
	const struct world_options o = { .trace = true, .split = split };
	struct world_result r;

	if (a->traced)
		return;
	printf("--- %s\n", split ? "split bursts" : "whole bursts");
	scenario_print(s);
	world_run(s, &o, &r);
	fflush(stdout);
}

/* Runs one seed whole, and every fourth split as well. */
static void run_seed(struct args *a, uint64_t seed, struct world_result *ret_r)
{
	const struct world_options whole = { .trace = a->verbose }, parts = { .split = true };
	struct world_result split = { 0 };
	struct scenario s;

	scenario_draw(seed, a->role, &s);
	if (a->verbose)
		scenario_print(&s);
	world_run(&s, &whole, ret_r);
	if (!ret_r->broken[0] && seed % 4 == 0) {
		world_run(&s, &parts, &split);
		if (split.broken[0] || split.hash != ret_r->hash)
			snprintf(ret_r->broken, sizeof ret_r->broken,
				 "split bursts give another output %.300s", split.broken);
	}
	if (!ret_r->broken[0] || a->verbose)
		return;
	trace(a, &s, false);
	if (split.hash)
		trace(a, &s, true);
	a->traced = true;
}

static void add(struct totals *t, const struct world_result *r)
{
	t->seeds++;
	t->frames += r->frames;
	t->failed += r->broken[0] != '\0';
	t->hash = (t->hash ^ r->hash) * 0x100000001b3u;
	for (unsigned i = 0; i < SUT_REASON_COUNT; i++) {
		t->counters.dropped[i] += r->counters.dropped[i];
		t->counters.passed[i] += r->counters.passed[i];
	}
	for (unsigned i = 0; i < SUT_EVENT_COUNT; i++)
		t->counters.event[i] += r->counters.event[i];
}

/* What the seeds made happen: a part that never happens is not tested. */
static void summary(const struct totals *t)
{
	printf("seeds %" PRIu64 " frames %" PRIu64 " failed %" PRIu64 " hash %016" PRIx64 "\n",
	       t->seeds, t->frames, t->failed, t->hash);
	for (unsigned i = 0; i < SUT_EVENT_COUNT; i++)
		if (t->counters.event[i])
			printf("  %s %" PRIu64 "\n", event_label((enum event)i),
			       t->counters.event[i]);
	for (unsigned i = 0; i < SUT_REASON_COUNT; i++)
		if (t->counters.dropped[i] || t->counters.passed[i])
			printf("  %s: dropped %" PRIu64 ", passed %" PRIu64 "\n",
			       reason_label((enum reason)i), t->counters.dropped[i],
			       t->counters.passed[i]);
}

int main(int argc, char **argv)
{
	struct totals t = { 0 };
	struct world_result r;
	struct args a;

	if (!parse(argc, argv, &a)) {
		fprintf(stderr,
			"usage: suture-sim [--seeds A-B] [--role NAME] [--share I/N] [-q] [-v]\n");
		return 2;
	}
	for (uint64_t seed = a.first; seed <= a.last; seed++) {
		if (seed % a.shares != a.share)
			continue;
		run_seed(&a, seed, &r);
		add(&t, &r);
		if (r.broken[0])
			printf("seed %" PRIu64 " BROKEN %s\n", seed, r.broken);
		else if (!a.quiet)
			printf("seed %" PRIu64 " hash %016" PRIx64 "\n", seed, r.hash);
	}
	if (a.quiet)
		summary(&t);
	return t.failed != 0;
}
