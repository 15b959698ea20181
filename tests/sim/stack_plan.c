/* SPDX-License-Identifier: MIT */
#include "stack_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rng.h"

static void draw_links(struct rng *r, struct stack_plan *p)
{
	bool lossy = rng_chance(r, 60);

	for (unsigned i = 0; i < LINKS; i++) {
		struct link_config *l = &p->link[i];

		/* Without a role the inner two links are not there: the outer ones have all the trouble. */
		l->seed = rng_next(r);
		l->delay = (sut_time)rng_range(r, 1, rng_chance(r, 70) ? 20000 : 150000) * 1000;
		if (rng_chance(r, 40))
			l->jitter = (sut_time)rng_range(r, 0, 10000) * 1000;
		if (rng_chance(r, 25)) {
			l->rate_bps = (uint64_t)rng_range(r, 1, 100) * 1000000;
			l->queue_bytes = rng_range(r, 8000, 200000);
		}
		if (lossy)
			l->loss_ppm = rng_range(r, 0, rng_chance(r, 80) ? 30000 : 150000);
		if (rng_chance(r, 30))
			l->dup_ppm = rng_range(r, 0, 100000);
		if (rng_chance(r, 35))
			l->reorder_ppm = rng_range(r, 0, 100000);
	}
	if (lossy && rng_chance(r, 30))
		p->corrupt_ppm = rng_range(r, 0, 20000);
}

static void draw_spells(struct rng *r, struct stack_plan *p)
{
	p->spells = rng_chance(r, 30) ? rng_range(r, 1, STACK_SPELLS) : 0;
	for (unsigned i = 0; i < p->spells; i++) {
		struct spell *s = &p->spell[i];

		s->from = FIRST + (sut_time)rng_range(r, 0, 4000000) * 1000;
		s->until = s->from +
			   (sut_time)rng_range(r, 1000, rng_chance(r, 90) ? 3000000 : 40000000) *
				   1000;
		s->link = (uint8_t)rng_below(r, LINKS);
		s->blackout = rng_chance(r, 60);
		s->delay = (sut_time)rng_range(r, 10000, 900000) * 1000;
	}
}

static uint32_t draw_buffer(struct rng *r)
{
	static const uint32_t sizes[] = {
		2500, 6000, 16384, 65535, 65535, 262144, 262144, 1000000
	};

	return sizes[rng_below(r, 8)];
}

static void draw_host(struct rng *r, unsigned i, struct stack_config *c)
{
	static const uint32_t mtu[] = { 1500, 1500, 1500, 1500, 1400, 1280, 9000, 1492 };
	static const uint8_t ip4[2][16] = {
		{ [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 },
		{ [10] = 0xff, [11] = 0xff, 192, 0, 2, 2 },
	};
	static const uint8_t ip6[2][16] = {
		{ 0x20, 0x01, 0x0d, 0xb8, [15] = 1 },
		{ 0x20, 0x01, 0x0d, 0xb8, [15] = 2 },
	};

	stack_config_default(c);
	memcpy(c->net[0].ip, ip4[i], 16);
	c->net[0].prefix = 120;
	memcpy(c->net[1].ip, ip6[i], 16);
	c->net[1].prefix = 64;
	c->nets = 2;
	c->mtu = mtu[rng_below(r, 8)];
	c->max_conns = 32;
	c->max_listeners = 2;
	c->max_half_open = rng_chance(r, 85) ? 16 : rng_below(r, 3);
	c->cells = rng_chance(r, 80) ? 6000 : rng_range(r, 40, 400);
	c->records = rng_chance(r, 85) ? 0 : rng_range(r, 16, 200);
	c->sndbuf = draw_buffer(r);
	c->rcvbuf = draw_buffer(r);
	c->no_timestamps = rng_chance(r, 25);
	c->no_sack = rng_chance(r, 25);
	c->no_wscale = rng_chance(r, 20);
	c->ecn = rng_chance(r, 30);
	c->fastopen = rng_chance(r, 30);
	c->cc = rng_chance(r, 60) ? STACK_CUBIC : STACK_NEWRENO;
	c->offload = rng_chance(r, 50)	 ? STACK_OFFLOAD_CSUM | STACK_OFFLOAD_TSO
		     : rng_chance(r, 50) ? STACK_OFFLOAD_CSUM
					 : 0;
}

static uint32_t draw_length(struct rng *r)
{
	switch (rng_below(r, 6)) {
	case 0:
		return 0;
	case 1:
		return rng_range(r, 1, 3);
	case 2:
		return rng_range(r, 1, 1500);
	case 3:
		return rng_range(r, 1000, 20000);
	case 4:
		return rng_range(r, 1000, 100000);
	default:
		return rng_range(r, 1, 400000);
	}
}

static void draw_app(struct rng *r, struct app_plan *a)
{
	a->out_len = draw_length(r);
	a->write_chunk = rng_chance(r, 60) ? 65536 : rng_range(r, 1, 3000);
	a->read_chunk = rng_chance(r, 60) ? 65536 : rng_range(r, 1, 3000);
	/* A chunk of a few bytes makes a long run; then there are fewer of them. */
	if (a->write_chunk < 300 && a->out_len > 20000)
		a->out_len = 20000;
	if (rng_chance(r, 20))
		a->write_gap = (sut_time)rng_below(r, 20000) * 1000;
	if (rng_chance(r, 20))
		a->read_gap = (sut_time)rng_below(r, 20000) * 1000;
	a->early_close = rng_chance(r, 60);
	a->abort_after = rng_chance(r, 5) ? rng_below(r, a->out_len + 2000) : UINT32_MAX;
	a->nodelay = rng_chance(r, 30);
	a->cork = rng_chance(r, 10);
	a->quickack = rng_chance(r, 15);
	a->keepalive = rng_chance(r, 15);
	a->way = rng_chance(r, 50) ? WRITE_COPY : rng_chance(r, 50) ? WRITE_REF : WRITE_FILL;
}

static void draw_conn(struct rng *r, struct stack_conn_plan *c, sut_time *start)
{
	draw_app(r, &c->app[0]);
	draw_app(r, &c->app[1]);
	/* One of them may wait for all that the other has to say; not both. */
	if (rng_chance(r, 50))
		c->app[1].wait_for = c->app[0].out_len;
	else if (rng_chance(r, 30))
		c->app[0].wait_for = c->app[1].out_len;
	/* Two that each wait for the other's FIN would wait for ever. */
	if (!c->app[0].early_close && !c->app[1].early_close)
		c->app[rng_below(r, 2)].early_close = true;
	*start += (sut_time)rng_below(r, rng_chance(r, 70) ? 2000 : 2000000) * 1000;
	c->start = *start;
	c->ip = rng_chance(r, 60) ? 4 : 6;
	c->content = (uint32_t)rng_next(r);
}

static void draw_role(struct rng *r, struct stack_plan *p)
{
	static const uint8_t modes[] = { ACCEL_HOLD, ACCEL_MERGE, ACCEL_AUTO };

	if (p->role->promises) {
		struct accel_near_config *c = &p->config.near;

		accel_near_defaults(c);
		c->mode = modes[rng_below(r, 3)];
		c->ports[0] = c->idempotent[0] = (struct port_range){ 80, 80 };
		c->port_count = c->idempotent_count = 1;
		c->first_contact_promise = rng_chance(r, 50);
		c->isn_near_wrap = rng_chance(r, 30);
		c->max_flows = 256;
		c->max_servers = 64;
		c->hold_cells = 512;
	} else {
		wire_defaults(&p->config.wire);
		p->config.wire.ring_bytes = 1u << 20;
	}
}

void stack_plan_draw(uint64_t seed, const struct sim_role *role, struct stack_plan *ret_p)
{
	struct rng r = { .s = seed * 0x9e3779b97f4a7c15u + 77 };
	sut_time start = FIRST;

	memset(ret_p, 0, sizeof(*ret_p));
	ret_p->seed = seed;
	ret_p->role = role;
	draw_links(&r, ret_p);
	draw_spells(&r, ret_p);
	draw_host(&r, 0, &ret_p->host[0]);
	draw_host(&r, 1, &ret_p->host[1]);
	ret_p->conns = rng_chance(&r, 50) ? 1 : rng_range(&r, 2, STACK_CONNS);
	for (unsigned i = 0; i < ret_p->conns; i++)
		draw_conn(&r, &ret_p->conn[i], &start);
	draw_role(&r, ret_p);
}

static bool shrink(uint32_t *n)
{
	if (*n < 2)
		return false;
	*n /= 2;
	return true;
}

static bool clear(void *p, size_t n)
{
	static const uint8_t zero[64];

	if (memcmp(p, zero, n) == 0)
		return false;
	memset(p, 0, n);
	return true;
}

/* The ways to make one link simpler. */
static bool simplify_link(struct link_config *l, unsigned way)
{
	switch (way) {
	case 0:
		return clear(&l->loss_ppm, sizeof(l->loss_ppm));
	case 1:
		return clear(&l->dup_ppm, sizeof(l->dup_ppm));
	case 2:
		return clear(&l->reorder_ppm, sizeof(l->reorder_ppm));
	case 3:
		return clear(&l->jitter, sizeof(l->jitter));
	default:
		return clear(&l->rate_bps, sizeof(l->rate_bps));
	}
}

/* The ways to make one end of one connection simpler. */
static bool simplify_app(struct app_plan *a, unsigned way)
{
	switch (way) {
	case 0:
		return shrink(&a->out_len);
	case 1:
		return clear(&a->write_gap, sizeof(a->write_gap));
	case 2:
		return clear(&a->read_gap, sizeof(a->read_gap));
	case 3:
		return a->write_chunk != 65536 ? (a->write_chunk = 65536) : false;
	case 4:
		return a->read_chunk != 65536 ? (a->read_chunk = 65536) : false;
	case 5:
		return a->abort_after != UINT32_MAX ? (a->abort_after = UINT32_MAX) : false;
	case 6:
		return a->cork ? !(a->cork = false) : false;
	case 7:
		return a->keepalive ? !(a->keepalive = false) : false;
	default:
		return a->quickack ? !(a->quickack = false) : false;
	}
}

static void drop_conn(struct stack_plan *p, unsigned i)
{
	memmove(&p->conn[i], &p->conn[i + 1], (p->conns - i - 1) * sizeof(p->conn[0]));
	p->conns--;
}

static bool simplify(struct stack_plan *p, unsigned step, bool *ret_changed)
{
	enum { LINK_WAYS = 5, APP_WAYS = 9, HOST_WAYS = 6 };

	*ret_changed = false;
	if (step < STACK_CONNS) {
		if (step < p->conns && p->conns > 1) {
			drop_conn(p, step);
			*ret_changed = true;
		}
		return true;
	}
	step -= STACK_CONNS;
	if (step < STACK_SPELLS) {
		if (step < p->spells) {
			p->spell[step] = p->spell[--p->spells];
			*ret_changed = true;
		}
		return true;
	}
	step -= STACK_SPELLS;
	if (step == 0) {
		*ret_changed = clear(&p->corrupt_ppm, sizeof(p->corrupt_ppm));
		return true;
	}
	step -= 1;
	if (step < LINKS * LINK_WAYS) {
		*ret_changed = simplify_link(&p->link[step / LINK_WAYS], step % LINK_WAYS);
		return true;
	}
	step -= LINKS * LINK_WAYS;
	if (step < STACK_CONNS * 2 * APP_WAYS) {
		unsigned i = step / (2 * APP_WAYS);

		if (i < p->conns)
			*ret_changed = simplify_app(&p->conn[i].app[step / APP_WAYS % 2],
						    step % APP_WAYS);
		return true;
	}
	step -= STACK_CONNS * 2 * APP_WAYS;
	if (step < 2 * HOST_WAYS) {
		struct stack_config *c = &p->host[step / HOST_WAYS];

		switch (step % HOST_WAYS) {
		case 0:
			*ret_changed = clear(&c->offload, sizeof(c->offload));
			break;
		case 1:
			*ret_changed = clear(&c->fastopen, sizeof(c->fastopen));
			break;
		case 2:
			*ret_changed = clear(&c->ecn, sizeof(c->ecn));
			break;
		case 3:
			*ret_changed = !c->no_sack && (c->no_sack = true);
			break;
		case 4:
			*ret_changed = !c->no_timestamps && (c->no_timestamps = true);
			break;
		default:
			*ret_changed = clear(&c->records, sizeof(c->records));
			break;
		}
		return true;
	}
	return false;
}

/* An end that waits for more than the other has to say would wait for ever. */
static void keep_possible(struct stack_plan *p)
{
	for (unsigned i = 0; i < p->conns; i++)
		for (unsigned j = 0; j < 2; j++) {
			struct app_plan *a = &p->conn[i].app[j];

			if (a->wait_for)
				a->wait_for = p->conn[i].app[!j].out_len;
		}
}

bool stack_plan_simplify(struct stack_plan *p, unsigned step, bool *ret_changed)
{
	bool more = simplify(p, step, ret_changed);

	keep_possible(p);
	return more;
}

bool stack_plan_harsh(const struct stack_plan *p)
{
	for (unsigned i = 0; i < p->spells; i++)
		if (p->spell[i].until - p->spell[i].from > 5000 * SUT_MS(1))
			return true;
	for (unsigned i = 0; i < LINKS; i++)
		if (p->link[i].loss_ppm > 100000)
			return true;
	return false;
}

void stack_plan_print(const struct stack_plan *p)
{
	printf("seed %" PRIu64 " role %s corrupt %u ppm\n", p->seed, p->role->name, p->corrupt_ppm);
	for (unsigned i = 0; i < LINKS; i++)
		printf("  link %u: delay %.3f ms, jitter %.3f ms, loss %u, dup %u, reorder %u ppm, "
		       "rate %" PRIu64 ", queue %u\n",
		       i, (double)p->link[i].delay / 1e6, (double)p->link[i].jitter / 1e6,
		       p->link[i].loss_ppm, p->link[i].dup_ppm, p->link[i].reorder_ppm,
		       p->link[i].rate_bps, p->link[i].queue_bytes);
	for (unsigned i = 0; i < p->spells; i++)
		printf("  spell: link %u %.3f to %.3f s: %s %.3f ms\n", p->spell[i].link,
		       (double)(p->spell[i].from - FIRST) / 1e9,
		       (double)(p->spell[i].until - FIRST) / 1e9,
		       p->spell[i].blackout ? "blackout" : "delay",
		       (double)p->spell[i].delay / 1e6);
	for (unsigned i = 0; i < 2; i++) {
		const struct stack_config *c = &p->host[i];

		printf("  %s: mtu %u, cells %u, records %u, half-open %u, sndbuf %u, rcvbuf "
		       "%u%s%s%s%s%s, offload %u, %s\n",
		       i ? "server" : "client", c->mtu, c->cells, c->records, c->max_half_open,
		       c->sndbuf, c->rcvbuf, c->no_timestamps ? "" : " ts",
		       c->no_sack ? "" : " sack", c->no_wscale ? "" : " wscale",
		       c->ecn ? " ecn" : "", c->fastopen ? " tfo" : "", c->offload,
		       c->cc == STACK_CUBIC ? "cubic" : "newreno");
	}
	for (unsigned i = 0; i < p->conns; i++)
		for (unsigned j = 0; j < 2; j++) {
			const struct app_plan *a = &p->conn[i].app[j];

			printf("  %u %s: IPv%u at %.3f s: out %u by %u (way %u) every %.3f ms, "
			       "reads %u "
			       "every %.3f ms, after %u%s%s%s%s%s",
			       i, j ? "server" : "client", p->conn[i].ip,
			       (double)(p->conn[i].start - FIRST) / 1e9, a->out_len, a->write_chunk,
			       a->way, (double)a->write_gap / 1e6, a->read_chunk,
			       (double)a->read_gap / 1e6, a->wait_for,
			       a->early_close ? ", closes early" : "",
			       a->nodelay ? ", nodelay" : "", a->cork ? ", cork" : "",
			       a->quickack ? ", quickack" : "", a->keepalive ? ", keepalive" : "");
			printf(a->abort_after == UINT32_MAX ? "\n" : ", aborts after %u\n",
			       a->abort_after);
		}
}
