/* SPDX-License-Identifier: MIT */
#include "stack_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "line.h"

/*
 * Theory of operation
 *
 * The hosts stand at the ends of a line (line.h), a role in its middle, or those of a replicated pair (stack_pair.h) between them.
 *
 * Virtual time jumps from event to event.  At one time: hosts' timers, troubles, connections that start and applications' own
 * timers, the flush of both hosts, the role's timers, frames by place.
 *
 * After every event: stack_check() of both hosts, what was read is what was written, an ACK covers nothing that was not sent.
 * At the end: each connection as its plan lets it end; after the last timer nothing is left in the hosts.
 */

#define GIVE_UP SUT_MS(3600000)
#define DRAIN_LIMIT (GIVE_UP + SUT_MS(4 * 3600000))

const char *stack_host_name(unsigned side)
{
	static const char *const name[] = { "client", "server", "secondary" };

	return name[side];
}

bool stack_host_lives(const struct stack_world *w, unsigned side)
{
	return !(w->pair && side == SERVER && w->pair->dead);
}

unsigned stack_conn_of_port(const struct stack_world *w, uint16_t port)
{
	for (unsigned i = w->p->conns; i-- > 0;) {
		struct stack_addr end[2];

		stack_plan_ends(w->p, i, end);
		if (w->started[i] && end[CLIENT].port == port)
			return i;
	}
	return w->p->conns;
}

/* --- troubles */

static void make_trouble(struct stack_world *w, const struct trouble *t)
{
	struct app *a = &w->app[t->conn][t->side];
	int r;

	switch (t->kind) {
	case TROUBLE_FORGED:
		stack_net_forge(w, t);
		break;
	case TROUBLE_OPTION:
		if (!a->id || a->over)
			break;
		stack_script_call(w, t->side, t->conn, "set %s %lld", stack_trouble_option(t->what),
				  (long long)t->value);
		r = stack_set(w->host[t->side], a->id, (enum conn_option)t->what, t->value,
			      w->run.now);
		stack_script_answer(w, t->side, t->conn, r, false);
		if (w->run.opt.trace)
			printf("%12.6f %s %u: set %s %lld: %d\n", run_seconds(&w->run),
			       stack_host_name(t->side), t->conn, stack_trouble_option(t->what),
			       (long long)t->value, r);
		break;
	case TROUBLE_MTU:
		stack_script_call(w, t->side, STACK_CONNS, "mtu %u", (unsigned)t->value);
		r = stack_set_mtu(w->host[t->side], (uint32_t)t->value);
		stack_script_answer(w, t->side, STACK_CONNS, r, false);
		if (r == 0)
			w->mtu[t->side] = (uint32_t)t->value;
		break;
	default: /* a machine that slept */
		if (w->script.w)
			printf("# the clocks jump here: a script's do not, and its timers are "
			       "never late\n");
		w->run.now += (sut_time)t->value;
		w->jumped += (sut_time)t->value;
		break;
	}
}

static void troubles(struct stack_world *w)
{
	while (w->troubles < w->p->troubles && w->p->trouble[w->troubles].at <= w->run.now)
		make_trouble(w, &w->p->trouble[w->troubles++]);
}

/* --- the run */

static sut_time next_event(const struct stack_world *w)
{
	sut_time at = SUT_NEVER;

	if (w->pair)
		at = sooner(pair_turns_at(w->pair), pair_site_deadline(w->pair));
	for (unsigned i = 0; i < w->hosts; i++)
		if (stack_host_lives(w, i))
			at = sooner(at, stack_deadline(w->host[i]));
	at = sooner(at, box_deadline(&w->box));
	at = sooner(at, stack_apps_deadline(w));
	return sooner(at, net_deadline(&w->net));
}

/* As next_event(), but troubles happen only while something else does. */
static sut_time next_or_trouble(const struct stack_world *w)
{
	sut_time at = next_event(w);

	if (at != SUT_NEVER && w->troubles < w->p->troubles)
		at = sooner(at, w->p->trouble[w->troubles].at);
	return at;
}

static void host_expire(struct stack_world *w, unsigned side)
{
	for (unsigned i = 0; stack_deadline(w->host[side]) <= w->run.now; i++) {
		if (i == 1000) {
			run_broken(&w->run, "a host's deadline stays due");
			return;
		}
		stack_expire(w->host[side], w->run.now);
		stack_apps_events(w, side);
	}
}

void stack_host_flush(struct stack_world *w, unsigned side)
{
	uint32_t seen;
	unsigned rounds = 0;

	do {
		seen = w->calls;
		stack_script_flush(w, side);
		stack_flush(w->host[side], w->run.now);
		stack_apps_events(w, side);
	} while (w->calls != seen && rounds++ < 1000);
}

/* The connection behind one that has ended, on its ports. */
static void follow_up(struct stack_world *w)
{
	for (unsigned i = 0; i + 1 < w->p->conns; i++) {
		if (w->ended[i] || !stack_apps_over(w, i))
			continue;
		w->ended[i] = true;
		if (w->p->conn[i + 1].reuses)
			w->start[i + 1] = w->run.now + w->p->conn[i + 1].start;
	}
}

static bool turn_is_due(const struct stack_world *w)
{
	return w->pair && pair_turns_at(w->pair) <= w->run.now;
}

static void step(struct stack_world *w, sut_time at)
{
	if (at > w->run.now)
		w->run.now = at;
	if (w->pair) {
		pair_turns(w->pair);
		pair_site_expire(w->pair);
	}
	for (unsigned i = 0; i < w->hosts; i++)
		if (stack_host_lives(w, i))
			host_expire(w, i);
	troubles(w);
	stack_apps_expire(w);
	for (unsigned i = 0; i < w->hosts; i++)
		if (stack_host_lives(w, i))
			stack_host_flush(w, i);
	box_expire(&w->box, w->run.now);
	while (!run_is_broken(&w->run) && !turn_is_due(w) && net_deliver(&w->net))
		;
	follow_up(w);
	stack_judge_step(w);
}

static void run(struct stack_world *w)
{
	sut_time at;

	while (!run_is_broken(&w->run) && !stack_apps_all_over(w)) {
		at = next_or_trouble(w);
		if (at == SUT_NEVER || at > RUN_FIRST + GIVE_UP + w->jumped)
			break;
		step(w, at);
	}
	w->run.res->ended = w->run.now - RUN_FIRST;
	stack_judge_conns(w);
	for (unsigned i = 0; i < w->p->conns; i++)
		for (unsigned j = 0; j < w->hosts; j++)
			if (stack_host_lives(w, j) && !w->app[i][j].over && w->app[i][j].id) {
				stack_script_call(w, j, i, "abort");
				stack_script_answer(
					w, j, i,
					stack_abort(w->host[j], w->app[i][j].id, w->run.now),
					false);
			}
	while (!run_is_broken(&w->run) && (at = next_event(w)) != SUT_NEVER &&
	       at < RUN_FIRST + DRAIN_LIMIT + w->jumped)
		step(w, at);
	if (!run_is_broken(&w->run))
		stack_judge_rest(w);
}

/* --- hosts */

static uint64_t host_random(void *ctx)
{
	struct host_ctx *h = ctx;

	return rng_next(&h->w->host_rng[h->side]);
}

static void host_release(void *ctx, uint64_t cookie)
{
	struct host_ctx *h = ctx;

	h->w->released++;
	if (cookie >= h->w->p->conns)
		run_broken(&h->w->run, "something was released that was never lent");
}

static void host_trace(void *ctx, sut_time now, conn_id id, const char *from, const char *to,
		       const char *why)
{
	struct host_ctx *h = ctx;

	if (h->w->run.opt.trace)
		printf("%12.6f %s: %s -> %s (%s) %llx\n", (double)(now - RUN_FIRST) / 1e9,
		       stack_host_name(h->side), from, to, why, (unsigned long long)id);
}

static void open_host(struct stack_world *w, unsigned side)
{
	struct stack_env env = { .random = host_random,
				 .emit = stack_net_emit,
				 .release = host_release,
				 .trace = host_trace,
				 .ctx = &w->ctx[side] };
	char err[96];
	size_t need = stack_need(&w->p->host[stack_half(side)], err);
	void *block;

	if (!need) {
		fprintf(stderr, "stack_need: %s\n", err);
		abort();
	}
	block = aligned_alloc(64, (need + 63) / 64 * 64);
	if (!block)
		abort();
	memset(block, 0, need);
	w->ctx[side] = (struct host_ctx){ w, side };
	w->mtu[side] = w->p->host[stack_half(side)].mtu;
	w->host_rng[side].s = w->p->seed ^ (0xaaaa + side);
	for (unsigned i = 0; i < sizeof env.secret; i++)
		env.secret[i] = (uint8_t)rng_next(&w->host_rng[side]);
	w->host[side] = stack_init(block, &w->p->host[stack_half(side)], &env, w->run.now);
}

static void open_world(struct stack_world *w)
{
	struct stack_addr any = { .port = STACK_PORT };

	stack_net_open(w);
	stack_apps_init(w);
	open_host(w, CLIENT);
	open_host(w, SERVER);
	if (w->pair)
		open_host(w, SECONDARY);
	stack_script_begin(w, w->run.opt.script);
	stack_script_call(w, SERVER, STACK_CONNS, "listen %u backlog 16", STACK_PORT);
	for (unsigned i = SERVER; i < w->hosts; i++)
		if (stack_listen(w->host[i], &any, 16, 0, &w->listener[i]) < 0)
			abort();
	stack_script_answer(w, SERVER, STACK_CONNS, 0, false);
	if (w->p->role->ops) {
		w->box.sent = stack_net_box_sent;
		w->box.ctx = w;
		box_open(&w->box, w->p->role->ops, &w->p->config, stack_net_mirrors(w) ? 7 : 3,
			 w->p->seed ^ 0x3333, &w->run.res->counters);
	}
}

static void close_world(struct stack_world *w)
{
	for (unsigned i = 0; i < w->hosts; i++) {
		for (unsigned c = 0; c < STACK_COUNTER_COUNT; c++)
			w->fates->count[c] += stack_count(w->host[i], (enum stack_counter)c);
		free(w->host[i]);
	}
	stack_apps_free(w);
	net_close(&w->net);
	box_close(&w->box);
	if (w->pair)
		pair_site_close(w->pair);
}

void stack_world_run(const struct stack_plan *p, const struct world_options *o,
		     struct world_result *ret_r, struct stack_fates *ret_f)
{
	struct stack_world *w = calloc(1, sizeof *w);

	if (!w)
		abort();
	run_begin(&w->run, o, ret_r);
	memset(ret_f, 0, sizeof *ret_f);
	w->p = p;
	w->fates = ret_f;
	w->hosts = 2;
	if (p->role->pair) {
		static struct pair_site site;

		w->pair = &site;
		w->hosts = 3;
	}
	open_world(w);
	run(w);
	ret_r->hash = net_hash(&w->net);
	close_world(w);
	free(w);
}
