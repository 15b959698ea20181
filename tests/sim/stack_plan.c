/* SPDX-License-Identifier: MIT */
#include "stack_plan.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rng.h"
#include "stack_pair.h"

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

		s->from = RUN_FIRST + (sut_time)rng_range(r, 0, 4000000) * 1000;
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
	static const uint32_t sizes[] = { 2048,	 2048,	2500,	6000,	16384,	65535,
					  65535, 65535, 262144, 262144, 1000000 };

	return sizes[rng_below(r, sizeof sizes / sizeof sizes[0])];
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
	a->take = rng_chance(r, 90) ? 0 : rng_chance(r, 50) ? 65536 : rng_range(r, 1, 2000);
}

/* A connection on the ports of the one before: not where cookies are sent, whose ACKs outlive a connection. */
static void draw_reuse(struct rng *r, struct stack_plan *p, struct stack_conn_plan *c)
{
	if (c == p->conn || c->both || c[-1].both || p->host[1].max_half_open < 16 ||
	    !rng_chance(r, 15))
		return;
	c->reuses = true;
	c->ip = c[-1].ip;
	c->start = (sut_time)rng_below(r, rng_chance(r, 60) ? 2000000 : 70000000) * 1000;
}

/* A buffer of a few bytes makes a long run; then there are fewer of them. */
static void cap_length(const struct stack_plan *p, struct app_plan *a)
{
	for (unsigned i = 0; i < 2; i++)
		if ((p->host[i].sndbuf < 2500 || p->host[i].rcvbuf < 2500) && a->out_len > 10000)
			a->out_len = 10000;
}

static void draw_conn(struct rng *r, struct stack_plan *p, struct stack_conn_plan *c,
		      sut_time *start)
{
	draw_app(r, &c->app[0]);
	draw_app(r, &c->app[1]);
	cap_length(p, &c->app[0]);
	cap_length(p, &c->app[1]);
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
	if (!p->role->promises)
		c->both = rng_chance(r, 6);
	draw_reuse(r, p, c);
}

static const struct option_range {
	enum conn_option option;
	const char *name;
	uint32_t low, high;
} option_ranges[] = {
	{ CONNOPT_NODELAY, "nodelay", 0, 1 },
	{ CONNOPT_CORK, "cork", 0, 1 },
	{ CONNOPT_QUICKACK, "quickack", 0, 1 },
	{ CONNOPT_KEEPALIVE, "keepalive", 0, 1 },
	{ CONNOPT_TTL, "ttl", 1, 255 },
	{ CONNOPT_DSCP, "dscp", 0, 63 },
	{ CONNOPT_CC, "cc", 0, 1 },
	{ CONNOPT_SNDBUF, "sndbuf", 2048, 5000 },
	{ CONNOPT_SNDBUF, "sndbuf", 2048, 300000 },
	{ CONNOPT_RCVBUF, "rcvbuf", 2048, 5000 },
	{ CONNOPT_RCVBUF, "rcvbuf", 2048, 300000 },
};

#define OPTION_RANGES (sizeof option_ranges / sizeof option_ranges[0])

const char *stack_trouble_option(unsigned what)
{
	for (unsigned i = 0; i < OPTION_RANGES; i++)
		if (option_ranges[i].option == what)
			return option_ranges[i].name;
	return "?";
}

static void draw_trouble(struct rng *r, const struct stack_plan *p, struct trouble *t)
{
	static const uint32_t mtu[] = { 1280, 1300, 1400, 1500, 1500, 9000 };
	uint32_t kind = rng_below(r, 100);
	const struct option_range *o = &option_ranges[rng_below(r, OPTION_RANGES)];

	t->at = RUN_FIRST + (sut_time)rng_below(r, rng_chance(r, 70) ? 1000000 : 10000000) * 1000;
	t->conn = (uint8_t)rng_below(r, p->conns);
	t->side = (uint8_t)rng_below(r, 2);
	t->dice = (uint32_t)rng_next(r);
	t->kind = kind < 50 ? TROUBLE_FORGED : kind < 85 ? TROUBLE_OPTION : TROUBLE_MTU;
	if (kind >= 97 && !p->role->ops)
		t->kind = TROUBLE_JUMP;
	switch (t->kind) {
	case TROUBLE_FORGED:
		t->what = (uint8_t)rng_below(r, FORGED_KINDS);
		break;
	case TROUBLE_OPTION:
		t->what = (uint8_t)o->option;
		t->value = rng_range(r, o->low, o->high);
		break;
	case TROUBLE_MTU:
		t->value = mtu[rng_below(r, 6)];
		break;
	default:
		t->value = (int64_t)rng_range(r, 1, rng_chance(r, 50) ? 100 : 30000) * 1000000000;
		break;
	}
}

static void draw_troubles(struct rng *r, struct stack_plan *p)
{
	p->troubles = rng_range(r, 0, STACK_TROUBLES);
	for (unsigned i = 0; i < p->troubles; i++) {
		struct trouble t = { 0 };
		unsigned k = i;

		draw_trouble(r, p, &t);
		for (; k > 0 && p->trouble[k - 1].at > t.at; k--)
			p->trouble[k] = p->trouble[k - 1];
		p->trouble[k] = t;
	}
	if (rng_chance(r, 30))
		p->squeeze_ppm = rng_range(r, 1, 200000);
}

/* Links that carry less than the hosts think: of IPv6 at least 1280. */
static void draw_link_mtus(struct rng *r, struct stack_plan *p)
{
	static const uint32_t mtu[] = { 1280, 1400, 1400, 1492, 576, 1006 };
	bool ip6 = false;

	for (unsigned i = 0; i < p->conns; i++)
		ip6 = ip6 || p->conn[i].ip == 6;
	for (unsigned i = 0; i < LINKS; i += 3)
		if (rng_chance(r, 70)) {
			p->link_mtu[i] = mtu[rng_below(r, ip6 ? 4 : 6)];
			p->black_hole[i] = rng_chance(r, 30);
		}
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
	} else if (p->role->ops == &replica_mirror_ops) {
		replica_mirror_defaults(&p->config.mirror);
		p->config.mirror.queue = (uint8_t)rng_below(r, 3);
	} else {
		wire_defaults(&p->config.wire);
		p->config.wire.ring_bytes = 1u << 20;
	}
}

void stack_plan_draw(uint64_t seed, const struct sim_role *role, struct stack_plan *ret_p)
{
	struct rng r = { .s = seed ^ 0x737461636b000000u };
	sut_time start = RUN_FIRST;

	memset(ret_p, 0, sizeof(*ret_p));
	ret_p->seed = seed;
	ret_p->role = role;
	draw_links(&r, ret_p);
	draw_spells(&r, ret_p);
	draw_host(&r, 0, &ret_p->host[0]);
	draw_host(&r, 1, &ret_p->host[1]);
	ret_p->conns = rng_chance(&r, 50) ? 1 : rng_range(&r, 2, STACK_CONNS);
	for (unsigned i = 0; i < ret_p->conns; i++)
		draw_conn(&r, ret_p, &ret_p->conn[i], &start);
	draw_role(&r, ret_p);
	if (rng_chance(&r, 35))
		draw_troubles(&r, ret_p);
	if (!role->ops && rng_chance(&r, 15))
		draw_link_mtus(&r, ret_p);
	if (role->pair)
		stack_pair_draw(ret_p);
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

void stack_plan_ends(const struct stack_plan *p, unsigned i, struct stack_addr ret_end[2])
{
	const struct stack_conn_plan *c = &p->conn[i];

	assert(i < STACK_CONNS);
	/* cppcheck-suppress arrayIndexOutOfBoundsCond */
	while (i > 0 && p->conn[i].reuses)
		i--;
	for (unsigned k = 0; k < 2; k++)
		memcpy(ret_end[k].ip, p->host[k].net[c->ip == 6].ip, 16);
	ret_end[0].port = (uint16_t)(40000 + i);
	ret_end[1].port = c->both ? (uint16_t)(50000 + i) : 80;
}

static void print_troubles(const struct stack_plan *p)
{
	static const char *const forged[] = { "RST",	 "RST in the window",
					      "SYN",	 "SYN in the window",
					      "SYN-ACK", "FIN",
					      "data",	 "ACK" };

	if (p->squeeze_ppm)
		printf("  windows made smaller: %u ppm\n", p->squeeze_ppm);
	for (unsigned i = 0; i < LINKS; i++)
		if (p->link_mtu[i])
			printf("  link %u carries %u bytes%s\n", i, p->link_mtu[i],
			       p->black_hole[i] ? ", and tells nobody" : "");
	for (unsigned i = 0; i < p->troubles; i++) {
		const struct trouble *t = &p->trouble[i];

		printf("  at %.6f s ", (double)(t->at - RUN_FIRST) / 1e9);
		if (t->kind == TROUBLE_FORGED)
			printf("to the %s of %u a forged %s (%u)\n", t->side ? "server" : "client",
			       t->conn, forged[t->what], t->dice);
		else if (t->kind == TROUBLE_OPTION)
			printf("the %s of %u sets %s %" PRId64 "\n", t->side ? "server" : "client",
			       t->conn, stack_trouble_option(t->what), t->value);
		else if (t->kind == TROUBLE_MTU)
			printf("the %s's MTU is %" PRId64 "\n", t->side ? "server" : "client",
			       t->value);
		else
			printf("the clocks jump by %.3f s\n", (double)t->value / 1e9);
	}
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
	if (p->role->pair)
		pair_plan_print_site(&p->pair);
	print_troubles(p);
	for (unsigned i = 0; i < p->spells; i++)
		printf("  spell: link %u %.3f to %.3f s: %s %.3f ms\n", p->spell[i].link,
		       (double)(p->spell[i].from - RUN_FIRST) / 1e9,
		       (double)(p->spell[i].until - RUN_FIRST) / 1e9,
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
			       (double)(p->conn[i].start - (p->conn[i].reuses ? 0 : RUN_FIRST)) /
				       1e9,
			       a->out_len, a->write_chunk, a->way, (double)a->write_gap / 1e6,
			       a->read_chunk, (double)a->read_gap / 1e6, a->wait_for,
			       a->early_close ? ", closes early" : "",
			       a->nodelay ? ", nodelay" : "", a->cork ? ", cork" : "",
			       a->quickack ? ", quickack" : "", a->keepalive ? ", keepalive" : "");
			if (a->take)
				printf(", takes %u", a->take);
			if (p->conn[i].both || p->conn[i].reuses)
				printf(p->conn[i].both ? ", both open"
						       : ", ports of the one before");
			printf(a->abort_after == UINT32_MAX ? "\n" : ", aborts after %u\n",
			       a->abort_after);
		}
}
