/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "handoff_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/*
 * Theory of operation
 *
 * Virtual time jumps from event to event.  At one time: hosts' timers, troubles, applications' own timers, the flush of all hosts, the roles'
 * timers, frames and messages by link.
 */

#define GIVE_UP SUT_MS(4000000) /* connections that are not over by then never will be */
#define LINGER SUT_MS(60000)
#define IDLE SUT_MS(600000)
#define CLEAN (LINGER + SUT_MS(70000)) /* TIME-WAIT of a host, then a linger */
#define DRAIN (3 * IDLE)

/* --- hosts */

static uint64_t host_random(void *ctx)
{
	struct hand_stack *h = ctx;

	return rng_next(&h->rng);
}

static void host_trace(void *ctx, sut_time now, conn_id id, const char *from, const char *to,
		       const char *why)
{
	struct hand_stack *h = ctx;

	if (h->w->run.opt.trace)
		printf("%12.6f %s%u: %s -> %s (%s) %llx\n", (double)(now - RUN_FIRST) / 1e9,
		       h->who ? "host" : "client", h->who ? h->who - 1 : 0, from, to, why,
		       (unsigned long long)id);
}

void hand_host_open(struct hand_world *w, struct hand_stack *h, const struct stack_config *c)
{
	struct stack_env env = {
		.random = host_random, .emit = hand_net_emit, .trace = host_trace, .ctx = h
	};
	struct stack_addr any = { .port = HAND_PORT };
	char err[96];
	void *block;

	h->need = stack_need(c, err);
	if (!h->need) {
		fprintf(stderr, "stack_need: %s\n", err);
		abort();
	}
	block = mmap(NULL, h->need, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block == MAP_FAILED)
		abort();
	for (unsigned i = 0; i < sizeof env.secret; i++)
		env.secret[i] = (uint8_t)rng_next(&h->rng);
	h->s = stack_init(block, c, &env, w->run.now);
	h->dead = false;
	if (h->who && stack_listen(h->s, &any, 16, 0, &h->listener) < 0)
		abort();
}

void hand_host_close(struct hand_stack *h)
{
	(void)munmap(h->s, h->need);
	h->s = NULL;
	h->dead = true;
}

/* --- roles */

static void front_config(struct hand_world *w)
{
	const struct hand_plan *p = w->p;
	struct front_config *c = &w->cfg;
	char names[HAND_BACKS][16], all[64] = "default ", err[128];
	const char *name[HAND_BACKS];

	*c = (struct front_config){ .origins = 2,
				    .backends = p->backs,
				    .port_lo = 20000,
				    .port_hi = 20999,
				    .max_conns = p->max_conns,
				    .head_max = 16384,
				    .mtu = 1500,
				    .head_timeout = SUT_MS(10000),
				    .idle_timeout = IDLE,
				    .linger = LINGER,
				    .confirm_timeout = p->confirm,
				    .bad_close = p->bad_close,
				    .header = p->header };
	memcpy(c->key[0], "0123456789abcdef", 16);
	for (unsigned i = 0; i < 2; i++) {
		hand_ip_origin(i ? 6 : 4, c->origin[i].ip);
		c->origin[i].port = HAND_PORT;
	}
	if (p->own_address) {
		hand_ip_front(4, c->own_ip4);
		hand_ip_front(6, c->own_ip6);
	}
	for (unsigned i = 0; i < p->backs; i++) {
		struct front_backend *b = &c->backend[i];

		snprintf(names[i], sizeof names[i], "b%u", i % 100);
		name[i] = names[i];
		snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? "," : "",
			 name[i]);
		memcpy(b->name, names[i], sizeof names[i]);
		hand_ip_back(i, p->back[i].ip6 ? 6 : 4, b->at[p->back[i].ip6].ip);
		b->at[p->back[i].ip6].port = HAND_PORT;
		b->rungs = 7;
		b->far_host = p->back[i].far;
		b->has_agent = p->back[i].agent;
	}
	route_backends(&c->routes, name, p->backs);
	if (route_rule_read(&c->routes, all, name, p->backs, err) != 0)
		abort();
}

void hand_front_open(struct hand_world *w)
{
	uint32_t ports = 1u << FRONT_CLIENT | 1u << FRONT_CONTROL | 1u << FRONT_AGENTS |
			 1u << FRONT_WORLD;

	if (w->p->backend_port)
		ports |= 1u << FRONT_BACKEND;
	w->front.sent = hand_net_front_sent;
	w->front.ctx = w;
	box_open(&w->front, &front_role, &w->cfg, ports,
		 w->p->seed ^ 0x7777 ^ (uint64_t)w->fronts << 32, &w->run.res->counters);
	for (unsigned i = 0; i < w->p->backs; i++)
		hand_net_tell(w, "backend b%u mac 02:00:00:00:00:%02x via 02:00:00:00:00:%02x", i,
			      HAND_MAC_BACK + i, HAND_MAC_FRONT);
}

static void origin(struct way_origin *o, const struct hand_back_plan *p, unsigned i, uint8_t ip)
{
	hand_ip_origin(ip, o->ip);
	if (p->own)
		hand_ip_back(i, ip, o->host_ip);
	else
		memcpy(o->host_ip, o->ip, 16);
	store_be16((uint8_t *)&o->port, HAND_PORT);
	o->host_port = o->port;
	o->flags = p->guard ? WAY_ORIGIN_GUARD : 0;
}

void hand_agent_open(struct hand_world *w, unsigned i)
{
	struct hand_back *b = &w->back[i];
	const struct stack_config *s = &b->p->host;

	back_defaults(&b->cfg);
	for (unsigned k = 0; k < 2; k++)
		origin(&b->cfg.origin[k], b->p, i, k ? 6 : 4);
	b->cfg.origins = 2;
	b->cfg.max_flows = b->p->max_flows;
	b->cfg.linger = LINGER;
	b->cfg.idle_timeout = IDLE;
	memcpy(b->cfg.key[0], "0123456789abcdef", 16);
	b->cfg.keys = 1;
	b->cfg.host = (struct hand_msg){
		.kind = HAND_HOST,
		.kernel = 6 << 16 | 1,
		.boot = b->boots + 1,
		.rcvwnd = s->rcvbuf < 65535 ? s->rcvbuf : 65535,
		.wscale = s->no_wscale ? 0 : 7,
		.options = (uint8_t)((s->no_timestamps ? 0 : WAY_OPT_TS) |
				     (s->no_sack ? 0 : WAY_OPT_SACK) |
				     (s->no_wscale ? 0 : WAY_OPT_WSCALE)),
		.shift = 1,
	};
	b->agent.sent = hand_net_agent_sent;
	b->agent.ctx = &b->host;
	box_open(&b->agent, &back_role, &b->cfg,
		 1u << BACK_FRONT | 1u << BACK_HOST | 1u << BACK_CONTROL | 1u << BACK_FRONTS,
		 w->p->seed ^ (0x9999 + i) ^ (uint64_t)b->boots << 32, &w->run.res->counters);
}

/* --- time */

static sut_time next_event(const struct hand_world *w)
{
	sut_time at = sooner(stack_deadline(w->client.s), hand_clients_deadline(w));

	at = sooner(at, box_deadline(&w->front));
	at = sooner(at, net_deadline(&w->net));
	at = sooner(at, hand_troubles_deadline(w));
	for (unsigned i = 0; i < w->p->backs; i++) {
		const struct hand_back *b = &w->back[i];

		if (b->host.dead)
			continue;
		at = sooner(at, stack_deadline(b->host.s));
		at = sooner(at, hand_serves_deadline(w, i));
		if (b->p->agent)
			at = sooner(at, box_deadline(&b->agent));
	}
	return at;
}

static void host_expire(struct hand_world *w, struct hand_stack *h)
{
	for (unsigned i = 0; !h->dead && stack_deadline(h->s) <= w->run.now; i++) {
		if (i == 1000) {
			run_broken(&w->run, "a host's deadline stays due");
			return;
		}
		stack_expire(h->s, w->run.now);
	}
}

static void step(struct hand_world *w, sut_time at)
{
	if (at > w->run.now)
		w->run.now = at;
	hand_troubles_run(w);
	host_expire(w, &w->client);
	hand_clients_run(w);
	stack_flush(w->client.s, w->run.now);
	for (unsigned i = 0; i < w->p->backs; i++) {
		struct hand_back *b = &w->back[i];

		if (b->host.dead)
			continue;
		host_expire(w, &b->host);
		hand_serves_run(w, i);
		stack_flush(b->host.s, w->run.now);
		if (b->p->agent)
			box_expire(&b->agent, w->run.now);
	}
	box_expire(&w->front, w->run.now);
	while (!run_is_broken(&w->run) && net_deliver(&w->net))
		;
	hand_watch_step(w);
}

static bool all_over(const struct hand_world *w)
{
	for (unsigned i = 0; i < w->p->conns; i++)
		if (!w->conn[i].over)
			return false;
	for (unsigned i = 0; i < w->p->backs; i++)
		if (!hand_serves_over(w, i))
			return false;
	return true;
}

static void run_until(struct hand_world *w, sut_time limit)
{
	sut_time at;

	while (!run_is_broken(&w->run) && (at = next_event(w)) < limit)
		step(w, at);
}

/* Did each connection end in a way that all saw? */
static bool all_clean(const struct hand_world *w)
{
	if (!hand_plan_is_calm(w->p))
		return false;
	for (unsigned i = 0; i < w->p->conns; i++)
		if (w->conn[i].fate != FATE_DONE)
			return false;
	return true;
}

static void run(struct hand_world *w)
{
	sut_time at;

	while (!run_is_broken(&w->run) && !all_over(w)) {
		at = next_event(w);
		if (at == SUT_NEVER || at > RUN_FIRST + GIVE_UP)
			break;
		step(w, at);
	}
	w->run.res->ended = w->run.now - RUN_FIRST;
	if (!run_is_broken(&w->run))
		hand_watch_conns(w);
	run_until(w, w->run.now + (all_clean(w) ? CLEAN : DRAIN));
	if (!run_is_broken(&w->run))
		hand_watch_rest(w);
}

/* --- life */

static void open_world(struct hand_world *w)
{
	for (unsigned i = 0; i < w->p->backs; i++)
		w->back[i].p = &w->p->back[i];
	hand_net_open(w);
	w->client = (struct hand_stack){ .w = w, .rng.s = w->p->seed ^ 0xaaaa };
	hand_host_open(w, &w->client, &w->p->client);
	front_config(w);
	w->at_front = -1;
	for (unsigned i = 0; i < w->p->backs; i++) {
		struct hand_back *b = &w->back[i];

		b->host = (struct hand_stack){ .w = w,
					       .who = i + 1,
					       .rng.s = w->p->seed ^ (0xbbbb + i) };
		hand_host_open(w, &b->host, &b->p->host);
		if (b->p->agent)
			hand_agent_open(w, i);
	}
	hand_front_open(w);
	hand_clients_open(w);
}

static void close_world(struct hand_world *w)
{
	for (unsigned i = 0; i < w->p->backs; i++) {
		if (w->back[i].host.s)
			hand_host_close(&w->back[i].host);
		if (w->back[i].agent.ops)
			box_close(&w->back[i].agent);
	}
	hand_host_close(&w->client);
	box_close(&w->front);
	hand_clients_close(w);
	net_close(&w->net);
}

void hand_world_run(const struct hand_plan *p, const struct world_options *o,
		    struct world_result *ret_r)
{
	struct hand_world *w = calloc(1, sizeof *w);

	if (!w)
		abort();
	run_begin(&w->run, o, ret_r);
	w->p = p;
	open_world(w);
	run(w);
	for (unsigned i = 0; i < p->conns; i++) {
		ret_r->stack.conns += w->conn[i].begun;
		ret_r->stack.done += w->conn[i].fate == FATE_DONE;
		ret_r->stack.failed += w->conn[i].begun && w->conn[i].fate != FATE_DONE;
		ret_r->stack.bytes += w->conn[i].got;
	}
	ret_r->hash = net_hash(&w->net);
	close_world(w);
	free(w);
}
