/* SPDX-License-Identifier: MIT */
#include "handoff_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/ip.h"

#define MAX_CONNS 32u /* enough for all, with what lingers */

static void address(const uint8_t v4[4], uint16_t net, uint8_t last, uint8_t ip, uint8_t ret_ip[16])
{
	if (ip == 4) {
		ip4_map(v4, ret_ip);
		ret_ip[15] = last;
		return;
	}
	memset(ret_ip, 0, 16);
	store_be16(ret_ip, 0x2001);
	store_be16(ret_ip + 2, 0x0db8);
	store_be16(ret_ip + 4, net);
	ret_ip[15] = last;
}

void hand_ip_client(uint8_t ip, uint8_t ret_ip[16])
{
	address((const uint8_t *)"\xc0\x00\x02", 1, 9, ip, ret_ip);
}

void hand_ip_origin(uint8_t ip, uint8_t ret_ip[16])
{
	address((const uint8_t *)"\xc6\x33\x64", 2, 1, ip, ret_ip);
}

void hand_ip_front(uint8_t ip, uint8_t ret_ip[16])
{
	address((const uint8_t *)"\xc6\x33\x64", 2, 254, ip, ret_ip);
}

void hand_ip_back(unsigned i, uint8_t ip, uint8_t ret_ip[16])
{
	address((const uint8_t *)"\xcb\x00\x71", 3, (uint8_t)(10 + i), ip, ret_ip);
}

/* --- the network */

static void draw_link(struct rng *r, struct net_link_config *l, uint32_t delay_us, bool lossy)
{
	*l = (struct net_link_config){ .tick = NET_TICK, .burst = 64 };
	l->link.seed = rng_next(r);
	l->link.delay = (sut_time)rng_range(r, 1, delay_us) * 1000;
	if (rng_chance(r, 30))
		l->link.jitter = (sut_time)rng_range(r, 0, delay_us / 2) * 1000;
	if (rng_chance(r, 20))
		l->link.dup_ppm = rng_range(r, 0, 100000);
	if (rng_chance(r, 30))
		l->link.reorder_ppm = rng_range(r, 0, 100000);
	if (!lossy)
		return;
	l->link.loss_ppm = rng_range(r, 0, rng_chance(r, 30) ? 100000 : 30000);
	while (l->spells < 2 && rng_chance(r, 25)) {
		struct net_spell *s = &l->spell[l->spells++];

		s->from = RUN_FIRST + SUT_MS(rng_range(r, 0, 6000));
		s->until = s->from + SUT_MS(rng_range(r, 1, rng_chance(r, 30) ? 20000 : 1500));
		s->blackout = rng_chance(r, 50);
		s->delay = SUT_MS(rng_range(r, 1, rng_chance(r, 40) ? 4000 : 400));
	}
}

static void draw_network(struct rng *r, struct hand_plan *p)
{
	bool lossy[4] = { false };

	p->lossy = rng_chance(r, 60);
	for (unsigned i = 0; i < 4 && p->lossy; i++)
		lossy[i] = rng_chance(r, 60);
	draw_link(r, &p->outside, 20000, lossy[0]);
	draw_link(r, &p->inside, rng_chance(r, 80) ? 300 : 5000, lossy[1]);
	draw_link(r, &p->direct, 20000, lossy[2]);
	draw_link(r, &p->channel, rng_chance(r, 80) ? 400 : 8000, lossy[3]);
	p->inner = (struct net_link_config){ .burst = 64 };
	if (!p->lossy || !rng_chance(r, 15))
		return;
	p->inner.spells = 1; /* a host that does not come to it */
	p->inner.spell[0].from = RUN_FIRST + SUT_MS(rng_range(r, 0, 6000));
	p->inner.spell[0].until = p->inner.spell[0].from + SUT_MS(rng_range(r, 1, 8000));
	p->inner.spell[0].delay = SUT_MS(rng_range(r, 1, 4000));
}

/* --- hosts */

static void draw_host(struct rng *r, struct stack_config *c)
{
	stack_config_default(c);
	c->max_conns = 128;
	c->max_listeners = 4;
	c->max_half_open = 32;
	c->cells = 1024;
	c->fastopen = false;
	c->ecn = rng_chance(r, 30);
	c->rcvbuf = rng_chance(r, 30) ? rng_range(r, 8192, 65536) : 262144;
	c->sndbuf = rng_chance(r, 30) ? rng_range(r, 8192, 65536) : 262144;
	c->cc = rng_chance(r, 20) ? STACK_NEWRENO : STACK_CUBIC;
	if (rng_chance(r, 30))
		c->mtu = rng_range(r, 1280, 1500);
}

static void add_net(struct stack_config *c, const uint8_t ip[16])
{
	memcpy(c->net[c->nets].ip, ip, 16);
	c->net[c->nets++].prefix = 128;
}

static void draw_client(struct rng *r, struct hand_plan *p)
{
	uint8_t ip[16];

	draw_host(r, &p->client);
	p->client.no_timestamps = rng_chance(r, 25);
	p->client.no_sack = rng_chance(r, 25);
	p->client.no_wscale = rng_chance(r, 25);
	for (unsigned f = 4; f <= 6; f += 2) {
		hand_ip_client((uint8_t)f, ip);
		add_net(&p->client, ip);
	}
}

static void draw_back(struct rng *r, struct hand_plan *p, unsigned i)
{
	struct hand_back_plan *b = &p->back[i];
	uint8_t ip[16];

	draw_host(r, &b->host);
	b->agent = rng_chance(r, 65);
	b->ip6 = rng_chance(r, 30);
	b->own = b->agent && rng_chance(r, 30);
	b->far = b->own && rng_chance(r, 50);
	b->guard = b->agent && (p->header || rng_chance(r, 50));
	b->max_flows = rng_chance(r, 10) ? rng_range(r, 1, 4) : 64;
	/* What an agent tells of is known to the front end before it promises anything. */
	b->host.no_timestamps = b->agent && rng_chance(r, 10);
	b->host.no_sack = b->agent && rng_chance(r, 10);
	b->host.no_wscale = b->agent && rng_chance(r, 10);
	for (unsigned f = 4; f <= 6; f += 2) {
		hand_ip_back(i, (uint8_t)f, ip);
		add_net(&b->host, ip);
		hand_ip_origin((uint8_t)f, ip);
		add_net(&b->host, ip);
	}
}

/* --- connections */

static uint32_t draw_size(struct rng *r, uint32_t big)
{
	if (rng_chance(r, 15))
		return 0;
	return rng_chance(r, 60) ? rng_range(r, 1, 3000) : rng_range(r, 1, big);
}

static void draw_requests(struct rng *r, struct hand_conn_plan *c)
{
	c->requests = rng_chance(r, 75) ? 1 : rng_range(r, 2, HAND_REQUESTS);
	for (unsigned k = 0; k < c->requests; k++) {
		struct hand_request *q = &c->request[k];

		q->head = rng_chance(r, 70) ? rng_range(r, 64, 400) : rng_range(r, 64, 9000);
		q->body = rng_chance(r, 30) ? draw_size(r, 60000) : 0;
		q->answer = draw_size(r, 100000);
	}
}

static void draw_leaving(struct rng *r, struct hand_conn_plan *c)
{
	uint32_t out = c->request[0].head + c->request[0].body, in = c->request[0].answer;

	if (!rng_chance(r, 12))
		return;
	c->leaves = rng_chance(r, 70) ? LEAVES_RESET : LEAVES_SILENT;
	c->leaves_out = rng_chance(r, 50) ? out : rng_range(r, 0, out);
	if (c->leaves_out == out && rng_chance(r, 70))
		c->leaves_in = rng_range(r, 0, in);
}

static void draw_conn(struct rng *r, struct hand_plan *p, unsigned i)
{
	struct hand_conn_plan *c = &p->conn[i];

	*c = (struct hand_conn_plan){ .reuses = -1, .ip = rng_chance(r, 35) ? 6 : 4 };
	c->port = (uint16_t)(40000 + i);
	c->start = RUN_FIRST +
		   SUT_MS(rng_chance(r, 80) ? rng_range(r, 300, 6000) : rng_range(r, 0, 300));
	c->says = !rng_chance(r, 10) ? SAYS_REQUESTS : (enum hand_says)rng_range(r, 1, 4);
	draw_requests(r, c);
	c->piece = rng_chance(r, 60) ? UINT32_MAX : rng_range(r, 1, 2000);
	c->gap = SUT_MS(rng_range(r, 0, 60));
	if (c->piece < 100)
		c->piece = c->request[0].head / 4 + 1;
	c->server_closes = rng_chance(r, 40);
	c->half_closes = rng_chance(r, 15);
	draw_leaving(r, c);
	if (i == 0 || !rng_chance(r, 25) || p->conn[i - 1].says != SAYS_REQUESTS)
		return;
	c->reuses = (int)i - 1;
	c->start = SUT_MS(rng_range(r, 0, 3000));
	c->ip = p->conn[i - 1].ip;
	c->port = p->conn[i - 1].port;
	p->conn[i - 1].server_closes = true; /* the client is free to come again */
	p->conn[i - 1].half_closes = false;
}

static void draw_trouble(struct rng *r, struct hand_plan *p)
{
	struct hand_trouble *t = &p->trouble[p->troubles++];

	t->kind = (enum hand_trouble_kind)rng_below(r, 5);
	t->back = rng_below(r, p->backs);
	t->at = RUN_FIRST + SUT_MS(rng_range(r, 0, 8000));
	t->until = t->at +
		   SUT_MS(rng_chance(r, 50) ? rng_range(r, 1, 3000) : rng_range(r, 1, 40000));
	t->keeps = rng_chance(r, 60);
}

void hand_plan_draw(uint64_t seed, struct hand_plan *ret_p)
{
	struct rng r = { seed * 0xd1b54a32d192ed03u + 77 };
	struct hand_plan *p = ret_p;

	memset(p, 0, sizeof *p);
	p->seed = seed;
	draw_network(&r, p);
	p->backs = rng_range(&r, 1, HAND_BACKS);
	p->conns = rng_range(&r, 1, HAND_CONNS);
	p->max_conns = rng_chance(&r, 8) ? rng_range(&r, 2, 8) : MAX_CONNS;
	p->confirm = SUT_MS(p->lossy && rng_chance(&r, 35) ? rng_range(&r, 50, 600) : 1000);
	p->backend_port = rng_chance(&r, 40);
	p->header = rng_chance(&r, 40);
	p->bad_close = rng_chance(&r, 30);
	p->own_address = rng_chance(&r, 85);
	draw_client(&r, p);
	for (unsigned i = 0; i < p->backs; i++)
		draw_back(&r, p, i);
	if (!p->own_address) /* nobody to splice to: an agent is needed, and the channel */
		p->header = false, p->back[0].agent = true;
	for (unsigned i = 0; i < p->conns; i++)
		draw_conn(&r, p, i);
	if (rng_chance(&r, 40))
		do
			draw_trouble(&r, p);
		while (p->troubles < HAND_TROUBLES && rng_chance(&r, 40));
}

bool hand_plan_is_calm(const struct hand_plan *p)
{
	return !p->lossy && !p->troubles && p->max_conns == MAX_CONNS;
}

/* --- in words */

static void print_link(const char *name, const struct net_link_config *l)
{
	printf("  %s: delay %.3f ms, jitter %.3f, loss %u ppm, doubled %u, reordered %u\n", name,
	       (double)l->link.delay / 1e6, (double)l->link.jitter / 1e6, l->link.loss_ppm,
	       l->link.dup_ppm, l->link.reorder_ppm);
	for (unsigned i = 0; i < l->spells; i++)
		printf("    %s from %.3f to %.3f s by %.1f ms\n",
		       l->spell[i].blackout ? "nothing passes" : "slower",
		       (double)(l->spell[i].from - RUN_FIRST) / 1e9,
		       (double)(l->spell[i].until - RUN_FIRST) / 1e9,
		       (double)l->spell[i].delay / 1e6);
}

static void print_conn(const struct hand_plan *p, unsigned i)
{
	static const char *const says[] = { "requests", "garbage", "half a head", "a head too long",
					    "nothing" };
	static const char *const leaves[] = { "", ", resets at", ", is silent from" };
	const struct hand_conn_plan *c = &p->conn[i];

	printf("  connection %u: %s, IPv%u, port %u, %s%.3f s, pieces of %u each %.0f ms%s%s%s", i,
	       says[c->says], c->ip, c->port, c->reuses < 0 ? "at " : "again after ",
	       (double)(c->start - (c->reuses < 0 ? RUN_FIRST : 0)) / 1e9, c->piece,
	       (double)c->gap / 1e6, c->server_closes ? ", the server closes" : "",
	       c->half_closes ? ", half-closes" : "", leaves[c->leaves]);
	if (c->leaves)
		printf(" %u written, %u read", c->leaves_out, c->leaves_in);
	for (unsigned k = 0; k < c->requests; k++)
		printf("; %u + %u -> %u", c->request[k].head, c->request[k].body,
		       c->request[k].answer);
	putchar('\n');
}

static void print_options(const struct stack_config *c)
{
	printf("mtu %u, buffers %u/%u%s%s%s\n", c->mtu, c->rcvbuf, c->sndbuf,
	       c->no_timestamps ? ", no timestamps" : "", c->no_sack ? ", no SACK" : "",
	       c->no_wscale ? ", no window scale" : "");
}

static void print_trouble(const struct hand_trouble *t)
{
	static const char *const what[] = { "host dies", "agent is started anew",
					    "front end is started anew", "drained",
					    "said to be down" };

	printf("  trouble: %s, back end %u, %.3f to %.3f s%s\n", what[t->kind], t->back,
	       (double)(t->at - RUN_FIRST) / 1e9, (double)(t->until - RUN_FIRST) / 1e9,
	       t->keeps ? ", with its records" : "");
}

void hand_plan_print(const struct hand_plan *p)
{
	printf("seed %" PRIu64
	       ": %u back ends, %u connections%s%s%s%s, max-conns %u, patience %.0f ms\n",
	       p->seed, p->backs, p->conns, p->lossy ? ", lossy" : "", p->header ? ", headers" : "",
	       p->backend_port ? ", two ports" : "", p->own_address ? "" : ", no own address",
	       p->max_conns, (double)p->confirm / 1e6);
	print_link("outside", &p->outside);
	print_link("inside", &p->inside);
	print_link("direct", &p->direct);
	print_link("channel", &p->channel);
	print_link("inner", &p->inner);
	printf("  client: ");
	print_options(&p->client);
	for (unsigned i = 0; i < p->backs; i++) {
		const struct hand_back_plan *b = &p->back[i];

		printf("  back end %u: %s, IPv%u%s%s%s, max-flows %u, ", i,
		       b->agent ? "agent" : "bare", b->ip6 ? 6u : 4u, b->own ? ", own address" : "",
		       b->far ? ", far" : "", b->guard ? ", guarded" : "", b->max_flows);
		print_options(&b->host);
	}
	for (unsigned i = 0; i < p->conns; i++)
		print_conn(p, i);
	for (unsigned i = 0; i < p->troubles; i++)
		print_trouble(&p->trouble[i]);
}
