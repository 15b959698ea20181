/* SPDX-License-Identifier: MIT */
/*
 * suture-sim - simulated connections through a role, a scenario per seed.
 *
 *	suture-sim [--seeds A-B] [--role NAME] [--share I/N] [--fates] [--shrink] [-q] [-v]
 *	suture-sim --seeds N --role NAME [--shrink] --script client|server
 *	suture-sim --roles
 *
 * Prints "seed N hash H" for each seed (-q: a summary only).  Every fourth seed is run again with
 * bursts split into single packets, which must give the same hash.  A seed that breaks an
 * invariant is run again with a trace; -v traces all.  --fates looks only at what becomes of the
 * connections of pairs, not at how: what a broken translation costs.  --shrink makes the first broken seed
 * of a world with our own TCP as simple as it still breaks, and traces that.  --script prints what one host of such a world saw as a
 * packet script for suture-pkt(7).  Exit codes: 0 all held, 1 not, 2 bad usage.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handoff_world.h"
#include "replica_world.h"
#include "stack_world.h"
#include "world.h"

struct args {
	uint64_t first, last;
	unsigned share, shares; /* this process's part: seeds that leave the remainder share */
	const struct sim_role *role;
	bool quiet, verbose;
	bool shrink; /* the first broken seed is made simple */
	unsigned script; /* of this host of the first seed, nothing else */
	bool roles; /* only say their names */
	bool fates; /* of pairs' connections: nothing else counts */
	bool traced; /* one broken seed is enough to read */
};

struct totals {
	uint64_t seeds, frames, failed;
	uint64_t damaged, unseen;
	uint64_t hash; /* of all hashes, in order */
	struct world_fates fates;
	struct stack_fates stack;
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
		} else if (!strcmp(argv[i], "--shrink")) {
			a.shrink = true;
		} else if (!strcmp(argv[i], "--fates")) {
			a.fates = true;
		} else if (!strcmp(argv[i], "--script")) {
			a.script = !strcmp(value, "client")   ? SCRIPT_CLIENT
				   : !strcmp(value, "server") ? SCRIPT_SERVER
							      : SCRIPT_NONE;
			if (!a.script)
				return false;
			i++;
		} else if (!strcmp(argv[i], "--roles")) {
			a.roles = true;
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

/* Runs a seed in the world of its role. */
static void run_world(const struct args *a, uint64_t seed, const struct world_options *o,
		      struct world_result *ret_r)
{
	static struct pair_plan p;
	static struct hand_plan hand;
	static struct scenario s;

	if (a->role->stack) {
		static struct stack_plan hosts;

		stack_plan_draw(seed, a->role, &hosts);
		if (o->trace)
			stack_plan_print(&hosts);
		stack_world_run(&hosts, o, ret_r, &ret_r->stack);
	} else if (a->role->ops == &front_role) {
		hand_plan_draw(seed, &hand);
		if (o->trace)
			hand_plan_print(&hand);
		hand_world_run(&hand, o, ret_r);
	} else if (a->role->pair) {
		pair_plan_draw(seed, a->role->compare, &p);
		if (o->trace)
			pair_plan_print(&p);
		pair_world_run(&p, o, ret_r);
	} else {
		scenario_draw(seed, a->role, &s);
		if (o->trace)
			scenario_print(&s);
		world_run(&s, o, ret_r);
	}
}

/* Do two say the same of what broke, but for numbers? */
static bool same_fault(const char *a, const char *b)
{
	while (*a && *b) {
		while (*a >= '0' && *a <= '9')
			a++;
		while (*b >= '0' && *b <= '9')
			b++;
		if (*a != *b)
			return false;
		a += *a != '\0';
		b += *b != '\0';
	}
	return *a == *b;
}

/* Makes the plan of a seed that breaks as simple as it still breaks. */
static void shrink_plan(struct stack_plan *best)
{
	const struct world_options quiet = { 0 };
	static struct stack_plan next;
	struct world_result r, first;
	bool changed, progress = true;

	stack_world_run(best, &quiet, &first, &first.stack);
	if (!first.broken[0])
		return;
	while (progress) {
		progress = false;
		next = *best;
		for (unsigned i = 0; stack_plan_simplify(&next, i, &changed); i++, next = *best) {
			if (!changed)
				continue;
			stack_world_run(&next, &quiet, &r, &r.stack);
			if (r.broken[0] && same_fault(r.broken, first.broken)) {
				*best = next;
				progress = true;
			}
		}
	}
}

/* Prints the run of a broken seed, made simple. */
static void shrink(const struct args *a, uint64_t seed)
{
	const struct world_options loud = { .trace = true };
	static struct stack_plan p;
	struct world_result r;

	stack_plan_draw(seed, a->role, &p);
	shrink_plan(&p);
	printf("--- seed %" PRIu64 ", as simple as it still breaks\n", seed);
	stack_plan_print(&p);
	stack_world_run(&p, &loud, &r, &r.stack);
}

/* Prints what a host saw of a seed as a packet script. */
static void print_script(const struct args *a)
{
	const struct world_options o = { .script = a->script };
	static struct stack_plan p;
	struct world_result r;

	stack_plan_draw(a->first, a->role, &p);
	if (a->shrink)
		shrink_plan(&p);
	stack_world_run(&p, &o, &r, &r.stack);
}

/* Prints the whole run, of the first broken seed only. */
static void trace(const struct args *a, uint64_t seed, bool split)
{
	const struct world_options o = { .trace = true, .split = split, .fates = a->fates };
	struct world_result r;

	if (a->traced)
		return;
	if (a->shrink && a->role->stack) {
		shrink(a, seed);
		return;
	}
	printf("--- %s\n", split ? "split bursts" : "whole bursts");
	run_world(a, seed, &o, &r);
	fflush(stdout);
}

/* Runs one seed whole, and every fourth split as well. */
static void run_seed(struct args *a, uint64_t seed, struct world_result *ret_r)
{
	const struct world_options whole = { .trace = a->verbose, .fates = a->fates };
	const struct world_options parts = { .split = true, .fates = a->fates };
	struct world_result split = { 0 };

	run_world(a, seed, &whole, ret_r);
	if (!ret_r->broken[0] && seed % 4 == 0 &&
	    (!a->role->stack || a->role->ops || a->role->pair)) {
		run_world(a, seed, &parts, &split);
		if (split.broken[0] || split.hash != ret_r->hash)
			snprintf(ret_r->broken, sizeof ret_r->broken,
				 "split bursts give another output %.300s", split.broken);
	}
	if (!ret_r->broken[0] || a->verbose)
		return;
	trace(a, seed, false);
	if (split.hash)
		trace(a, seed, true);
	a->traced = true;
}

static void add_fates(struct world_fates *t, const struct world_fates *f)
{
	t->failovers += f->failovers;
	t->checkpoints += f->checkpoints;
	t->established += f->established;
	t->half_open += f->half_open;
	t->closing += f->closing;
	t->given_up += f->given_up;
	t->lost += f->lost;
	t->asked += f->asked;
	t->paws += f->paws;
	t->challenges += f->challenges;
}

static void add(struct totals *t, const struct world_result *r)
{
	t->seeds++;
	t->stack.conns += r->stack.conns;
	t->stack.done += r->stack.done;
	t->stack.failed += r->stack.failed;
	t->stack.bytes += r->stack.bytes;
	if (t->stack.idle_frames < r->stack.idle_frames)
		t->stack.idle_frames = r->stack.idle_frames;
	for (unsigned i = 0; i < STACK_COUNTER_COUNT; i++)
		t->stack.count[i] += r->stack.count[i];
	t->frames += r->frames;
	t->damaged += r->damaged;
	t->unseen += r->unseen;
	t->failed += r->broken[0] != '\0';
	add_fates(&t->fates, &r->fates);
	t->hash = (t->hash ^ r->hash) * 0x100000001b3u;
	for (unsigned i = 0; i < SUT_REASON_COUNT; i++) {
		t->counters.dropped[i] += r->counters.dropped[i];
		t->counters.passed[i] += r->counters.passed[i];
	}
	for (unsigned i = 0; i < SUT_EVENT_COUNT; i++)
		t->counters.event[i] += r->counters.event[i];
}

static void fates(const struct world_fates *f)
{
	printf("  failovers %" PRIu64 ", of connections: established %" PRIu64
	       ", half-open %" PRIu64 ", closing %" PRIu64 "; lost %" PRIu64 "\n",
	       f->failovers, f->established, f->half_open, f->closing, f->lost);
	printf("  checkpoints %" PRIu64 ", asked for %" PRIu64
	       "; worlds with a connection given up %" PRIu64 "; clients: dropped as old %" PRIu64
	       ", challenged %" PRIu64 "\n",
	       f->checkpoints, f->asked, f->given_up, f->paws, f->challenges);
}

/* What the seeds made happen: a part that never happens is not tested. */
static void summary(const struct totals *t)
{
	printf("seeds %" PRIu64 " frames %" PRIu64 " failed %" PRIu64 " hash %016" PRIx64 "\n",
	       t->seeds, t->frames, t->failed, t->hash);
	if (t->stack.conns) {
		printf("  connections %" PRIu64 ", ended in order %" PRIu64 ", otherwise %" PRIu64
		       ", payload %" PRIu64 ", most frames without progress %u\n",
		       t->stack.conns, t->stack.done, t->stack.failed, t->stack.bytes,
		       t->stack.idle_frames);
		for (unsigned i = 0; i < STACK_COUNTER_COUNT; i++)
			printf("  %s %" PRIu64 "\n", stack_counter_label((enum stack_counter)i),
			       t->stack.count[i]);
	}
	if (t->damaged)
		printf("  damaged frames %" PRIu64 ", not seen by their checksums %" PRIu64 "\n",
		       t->damaged, t->unseen);
	if (t->fates.failovers)
		fates(&t->fates);
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

/* On a terminal a long run without lines of its own says how far it is. */
static void show_progress(const struct args *a, uint64_t seed)
{
	if (seed % 256 == 0)
		fprintf(stderr, "\rsuture-sim: seed %" PRIu64 " of %" PRIu64 " to %" PRIu64, seed,
			a->first, a->last);
}

int main(int argc, char **argv)
{
	struct totals t = { 0 };
	struct world_result r;
	struct args a;
	bool progress;

	if (!parse(argc, argv, &a)) {
		fprintf(stderr,
			"usage: suture-sim [--seeds A-B] [--role NAME] [--share I/N] "
			"[--fates] [--shrink] [--script client|server] [--roles] [-q] [-v]\n");
		return 2;
	}
	for (const struct sim_role *s = sim_roles; a.roles && s->name; s++)
		puts(s->name);
	if (a.roles)
		return 0;
	if (a.script && a.role->stack) {
		print_script(&a);
		return 0;
	}
	progress = a.quiet && isatty(STDERR_FILENO);
	for (uint64_t seed = a.first; seed <= a.last; seed++) {
		if (progress)
			show_progress(&a, seed);
		if (seed % a.shares != a.share)
			continue;
		run_seed(&a, seed, &r);
		add(&t, &r);
		if (r.broken[0])
			printf("seed %" PRIu64 " BROKEN %s\n", seed, r.broken);
		else if (!a.quiet)
			printf("seed %" PRIu64 " hash %016" PRIx64 "\n", seed, r.hash);
	}
	if (progress)
		fputs("\r\033[K", stderr);
	if (a.quiet)
		summary(&t);
	return t.failed != 0;
}
