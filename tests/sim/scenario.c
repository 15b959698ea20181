/* SPDX-License-Identifier: MIT */
#include "scenario.h"

#include <stdio.h>
#include <string.h>

#include "rng.h"
#include "role/handoff/front.h"
#include "role/replica/mirror_role.h"

const struct sim_role sim_roles[] = {
	{ "accel-near", &accel_near_ops, true, accel_near_held, accel_near_pending, false, false,
	  false },
	{ "wire", &wire_ops, false, NULL, NULL, false, false, false },
	{ "replica", NULL, false, NULL, NULL, true, true, false },
	{ "handoff", &front_role, false, NULL, NULL, false, false, false },
	{ "replica-direct", NULL, false, NULL, NULL, true, false, false },
	{ "stack", NULL, false, NULL, NULL, false, false, true },
	{ "stack-wire", &wire_ops, false, NULL, NULL, false, false, true },
	{ "stack-accel-near", &accel_near_ops, true, accel_near_held, accel_near_pending, false,
	  false, true },
	{ "stack-mirror", &replica_mirror_ops, false, NULL, NULL, false, false, true },
	{ "stack-replica", NULL, false, NULL, NULL, true, true, true },
	{ "stack-replica-direct", NULL, false, NULL, NULL, true, false, true },
	{ NULL, NULL, false, NULL, NULL, false, false, false },
};

static void draw_links(struct rng *r, struct scenario *s)
{
	bool wild = rng_chance(r, 40);

	s->lossy = rng_chance(r, 60);
	s->cut_pct = s->lossy && rng_chance(r, 20) ? rng_range(r, 1, 3) : 0;
	for (unsigned i = 0; i < LINKS; i++) {
		struct link_config *l = &s->link[i];
		bool lan = i < 2 && !wild;

		l->seed = rng_next(r);
		l->delay = (sut_time)rng_range(r, 1, lan ? 500 : 50000) * 1000;
		if (rng_chance(r, 40))
			l->jitter = (sut_time)rng_range(r, 0, lan ? 300 : 8000) * 1000;
		if (rng_chance(r, 20))
			l->rate_bps = (uint64_t)rng_range(r, 2, 200) * 1000000;
		if (s->lossy)
			l->loss_ppm = rng_range(r, 0, lan ? 5000 : 50000);
		if (rng_chance(r, 30))
			l->dup_ppm = rng_range(r, 0, 50000);
		if (rng_chance(r, 30))
			l->reorder_ppm = rng_range(r, 0, 50000);
	}
}

static void draw_features(struct rng *r, struct peer_config *c)
{
	static const uint16_t mss[] = { 1460, 1460, 1460, 1400, 1220, 536, 0, 256 };

	c->mss = mss[rng_below(r, 8)];
	if (c->ends.ip == 6 && c->mss == 1460)
		c->mss = 1440;
	c->wscale = rng_chance(r, 15) ? PEER_NO_WSCALE : (uint8_t)rng_below(r, 15);
	c->sack = rng_chance(r, 80);
	c->ts = rng_chance(r, 75);
	c->delay_acks = rng_chance(r, 50);
	c->ts_base = (uint32_t)rng_next(r);
	c->buffer = rng_range(r, 4096, rng_chance(r, 50) ? 65535 : 400000);
	if (c->wscale != PEER_NO_WSCALE && c->buffer < 2u << c->wscale)
		c->buffer = 2u << c->wscale; /* never closed by rounding alone */
}

static uint32_t draw_isn(struct rng *r)
{
	return rng_chance(r, 20) ? 0u - rng_below(r, 5000) : (uint32_t)rng_next(r);
}

/* A server's nature: the same for each connection to it. */
static void draw_server(struct rng *r, struct peer_config *c)
{
	static const uint16_t ports[] = { 80, 443, 80, 443, 8080, 22 };
	uint32_t kind = rng_below(r, 100);

	memset(c, 0, sizeof *c);
	c->ends.ip = rng_chance(r, 70) ? 4 : 6;
	c->ends.sport = ports[rng_below(r, 6)];
	c->ends.vlan = rng_chance(r, 20) ? (uint16_t)rng_range(r, 1, 4094) : 0;
	c->kind = kind < 7 ? PEER_CLOSED : kind < 10 ? PEER_SILENT : PEER_SERVER;
	draw_features(r, c);
	c->syn_data = rng_chance(r, 60);
	c->first_len = rng_chance(r, 15) ? rng_range(r, 1, 300) : 0;
}

static void address(struct ends *e, unsigned client, unsigned server)
{
	static const uint8_t net6[4] = { 0x20, 0x01, 0x0d, 0xb8 };

	if (e->ip == 4) {
		memcpy(e->src, (uint8_t[]){ 192, 0, 2, (uint8_t)client }, 4);
		memcpy(e->dst, (uint8_t[]){ 198, 51, 100, (uint8_t)server }, 4);
		return;
	}
	memcpy(e->src, net6, 4);
	memcpy(e->dst, net6, 4);
	e->src[15] = (uint8_t)client;
	e->dst[14] = 1;
	e->dst[15] = (uint8_t)server;
}

static uint32_t draw_length(struct rng *r, uint32_t usual, uint32_t large)
{
	return rng_chance(r, 20) ? rng_below(r, large) : rng_range(r, 1, usual);
}

/* What both ends have to say; a server that speaks first is waited for. */
static void draw_script(struct rng *r, struct conn_plan *c)
{
	struct peer_config *cl = &c->client, *sv = &c->server;

	cl->out_len = sv->in_len = draw_length(r, rng_chance(r, 40) ? 200 : 3000, 120000);
	sv->out_len = cl->in_len = draw_length(r, 20000, 200000);
	if (sv->first_len > sv->out_len)
		sv->first_len = sv->out_len;
	sv->wait_len = sv->in_len;
	cl->first_len = sv->first_len ? 0 : cl->out_len;
	cl->wait_len = sv->first_len;
	cl->fin_early = rng_chance(r, 20);
	sv->fin_early = rng_chance(r, 60);
	cl->think = rng_chance(r, 50) ? 0 : (sut_time)rng_below(r, 30000) * 1000;
	sv->think = rng_chance(r, 70) ? 0 : (sut_time)rng_below(r, 30000) * 1000;
	cl->rto = SUT_MS(rng_range(r, 200, 1000));
	sv->rto = SUT_MS(rng_range(r, 200, 1000));
	cl->content = sv->content = (uint32_t)rng_next(r);
	cl->abort_at = sv->abort_at = SUT_NEVER;
}

static void draw_ports(struct rng *r, struct scenario *s, unsigned i, sut_time *start)
{
	struct conn_plan *c = &s->conn[i], *before = i ? &s->conn[i - 1] : NULL;
	struct peer_config *cl = &c->client, *sv = &c->server;

	c->reuses = -1;
	cl->ends.sport = (uint16_t)(40000 + i);
	cl->isn = draw_isn(r);
	sv->isn = draw_isn(r);
	if (before && before->server.ends.sport == sv->ends.sport && rng_chance(r, 60) &&
	    !memcmp(before->client.ends.dst, cl->ends.dst, 16)) {
		c->reuses = (int)i - 1;
		cl->ends = before->client.ends;
		sv->ends = before->server.ends;
		cl->isn = before->client.isn + before->client.out_len + rng_range(r, 100, 1u << 20);
		sv->isn = before->server.isn + before->server.out_len + rng_range(r, 100, 1u << 20);
		cl->ts_base = before->client.ts_base;
		sv->ts_base = before->server.ts_base;
		c->start = SUT_MS(rng_range(r, 500, 70000));
	} else {
		*start += SUT_MS(rng_chance(r, 50) ? rng_below(r, 20) : rng_below(r, 3000));
		c->start = *start;
	}
	sv->ends.dport = cl->ends.sport;
	if (rng_chance(r, 5))
		cl->abort_at = *start + SUT_MS(rng_below(r, 1000));
}

static void draw_conns(struct rng *r, struct scenario *s)
{
	struct peer_config server[2];
	sut_time start = RUN_FIRST + (sut_time)rng_below(r, 10000) * 1000;

	draw_server(r, &server[0]);
	draw_server(r, &server[1]);
	s->conns = rng_range(r, 1, CONNS_MAX);
	for (unsigned i = 0; i < s->conns; i++) {
		struct conn_plan *c = &s->conn[i];
		unsigned n = rng_chance(r, 25);

		/* Now and then a server is another one than it was when its options were learnt. */
		if (rng_chance(r, 10)) {
			draw_features(r, &server[n]);
			s->changes = true;
		}
		c->server = server[n];
		c->client.kind = PEER_CLIENT;
		c->client.ends = (struct ends){
			.ip = c->server.ends.ip,
			.vlan = c->server.ends.vlan,
			.dport = c->server.ends.sport,
		};
		address(&c->client.ends, 10 + rng_below(r, 2), 1 + n);
		memcpy(c->server.ends.src, c->client.ends.dst, 16);
		memcpy(c->server.ends.dst, c->client.ends.src, 16);
		draw_features(r, &c->client);
		draw_script(r, c);
		draw_ports(r, s, i, &start);
	}
}

static void draw_near(struct rng *r, struct accel_near_config *c)
{
	static const enum accel_mode modes[] = {
		ACCEL_AUTO,  ACCEL_AUTO,  ACCEL_HOLD,  ACCEL_HOLD,
		ACCEL_MERGE, ACCEL_MERGE, ACCEL_MERGE, ACCEL_VERIFY,
	};

	accel_near_defaults(c);
	c->mode = rng_chance(r, 5) ? ACCEL_BYPASS : modes[rng_below(r, 8)];
	if (rng_chance(r, 60))
		c->merge_hold = SUT_MS(rng_range(r, 5, 200));
	c->first_contact_promise = rng_chance(r, 40);
	c->isn_near_wrap = rng_chance(r, 30);
	c->max_flows = rng_chance(r, 20) ? 4 : 256;
	c->max_servers = rng_chance(r, 20) ? 4 : 64;
	c->hold_cells = rng_chance(r, 20) ? rng_range(r, 4, 32) : 256;
	c->syn_timeout = SUT_MS(rng_range(r, 20000, 60000));
	c->negative_time = SUT_MS(rng_range(r, 1000, 60000));
	c->learn_time = SUT_MS(rng_range(r, 1000, 600000));
	c->idle_time = SUT_MS(200000);
	c->max_pending = rng_chance(r, 10) ? rng_range(r, 1, 3) : 256;
}

/*
 * The testing aid isn_near_wrap leaves promised ISNs 12 bits; a real ISN there would be taken for
 * a promise now and then, which with 32 bits does not happen.
 */
static void keep_clear(struct scenario *s)
{
	for (unsigned i = 0; i < s->conns && s->config.near.isn_near_wrap; i++)
		if (s->conn[i].server.isn >= 0xfffff000u)
			s->conn[i].server.isn -= 0x2000;
}

void scenario_draw(uint64_t seed, const struct sim_role *role, struct scenario *ret_s)
{
	struct rng r = { seed };

	memset(ret_s, 0, sizeof *ret_s);
	ret_s->seed = seed;
	ret_s->role = role;
	draw_links(&r, ret_s);
	draw_conns(&r, ret_s);
	if (role->promises) {
		draw_near(&r, &ret_s->config.near);
		keep_clear(ret_s);
	} else {
		wire_defaults(&ret_s->config.wire);
		ret_s->config.wire.ring_bytes = 1u << 20;
	}
}

static void print_peer(const char *what, const struct peer_config *c)
{
	printf("  %s port %u isn %u mss %u wscale %d%s%s ts_base %u buffer %u out %u first %u "
	       "think %llu us%s%s%s\n",
	       what, c->ends.sport, c->isn, c->mss, c->wscale == PEER_NO_WSCALE ? -1 : c->wscale,
	       c->sack ? " sack" : "", c->ts ? " ts" : "", c->ts_base, c->buffer, c->out_len,
	       c->first_len, (unsigned long long)c->think / 1000, c->syn_data ? " syn-data" : "",
	       c->fin_early ? " fin-early" : "",
	       c->kind == PEER_CLOSED	? " CLOSED"
	       : c->kind == PEER_SILENT ? " SILENT"
					: "");
}

void scenario_print(const struct scenario *s)
{
	static const char *const link[] = { "client>near", "near>client", "far>server",
					    "server>far" };

	printf("scenario of seed %llu: role %s", (unsigned long long)s->seed, s->role->name);
	if (s->role->promises) {
		const struct accel_near_config *c = &s->config.near;

		printf(" mode %d first_contact %d wrap %d flows %u servers %u cells %u", c->mode,
		       c->first_contact_promise, c->isn_near_wrap, c->max_flows, c->max_servers,
		       c->hold_cells);
	}
	printf(", %u%% cut\n", s->cut_pct);
	for (unsigned i = 0; i < LINKS; i++)
		printf("  link %s: delay %llu us jitter %llu us loss %u dup %u reorder %u ppm, "
		       "%llu bit/s\n",
		       link[i], (unsigned long long)s->link[i].delay / 1000,
		       (unsigned long long)s->link[i].jitter / 1000, s->link[i].loss_ppm,
		       s->link[i].dup_ppm, s->link[i].reorder_ppm,
		       (unsigned long long)s->link[i].rate_bps);
	for (unsigned i = 0; i < s->conns; i++) {
		printf(" connection %u, starts %.6f%s\n", i,
		       (double)(s->conn[i].start - (s->conn[i].reuses < 0 ? RUN_FIRST : 0)) / 1e9,
		       s->conn[i].reuses < 0 ? "" : " after the end of the one before: same ports");
		print_peer("client", &s->conn[i].client);
		print_peer("server", &s->conn[i].server);
	}
}
