/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "device.h"
#include "handoff_world.h"
#include "proto/ip.h"

/*
 * Theory of operation
 *
 * Frames find their way by link addresses where a front end sends them, by IP addresses where a back end does: what is for the client goes
 * straight to it.  Messages travel as frames of a type of their own, with the line behind the Ethernet header; the name of the other end
 * that stands in front of a line at a role's port is put there and taken off here, as the channel does.
 */

enum { NODE_CLIENT, NODE_FRONT, NODE_AGENT, NODE_HOST = NODE_AGENT + HAND_BACKS };

#define TYPE_LINE 0x88b5u
#define FRONT_NAME "f0"
#define PORT_OF(end) ((end).port & 7u)
#define BACK_OF(end) ((unsigned)(end).port >> 3)

static void addresses(uint8_t eth[12], unsigned dst, unsigned src)
{
	memset(eth, 0, 12);
	eth[0] = eth[6] = 2;
	eth[5] = (uint8_t)dst;
	eth[11] = (uint8_t)src;
}

/* --- hosts */

static bool is_client(const uint8_t ip[16])
{
	uint8_t c[16];

	hand_ip_client(4, c);
	if (memcmp(c, ip, 16) == 0)
		return true;
	hand_ip_client(6, c);
	return memcmp(c, ip, 16) == 0;
}

static bool read_frame(struct hand_world *w, struct packet *p, struct view *v)
{
	if (view_parse(p, v) == R_NONE && v->ip)
		return true;
	run_broken(&w->run, "a malformed frame");
	return false;
}

/* A frame leaves back end i, its agent behind it. */
static void from_back(struct hand_world *w, unsigned i, struct packet *p)
{
	struct hand_back *b = &w->back[i];
	uint8_t src[16], dst[16];
	struct view v;

	if (!read_frame(w, p, &v))
		return;
	view_addrs(p, &v, src, dst);
	hand_watch_sums(w, "back end", p);
	if (is_client(dst))
		hand_watch_answer(w, (int)i + 1, p);
	net_put(&w->net, is_client(dst) ? b->direct : b->from, p);
}

static void client_out(struct hand_world *w, struct packet *p)
{
	uint16_t port;
	struct view v;

	if (!read_frame(w, p, &v) || !v.tcp)
		return;
	port = be16_get(view_tcp(p, &v)->sport);
	for (unsigned i = 0; i < w->p->conns; i++)
		if (w->conn[i].silent && w->p->conn[i].port == port &&
		    !(i + 1 < w->p->conns && w->p->conn[i + 1].reuses == (int)i &&
		      w->conn[i + 1].begun))
			return;
	hand_watch_syn(w, p, &v);
	net_put(&w->net, w->to_front, p);
}

static void host_frame(void *ctx, struct packet *p)
{
	struct hand_stack *h = ctx;
	struct hand_world *w = h->w;

	if (h->who == 0)
		client_out(w, p);
	else if (h->dead)
		return;
	else if (w->back[h->who - 1].p->agent)
		net_put(&w->net, w->back[h->who - 1].out, p);
	else
		from_back(w, h->who - 1, p);
}

int hand_net_emit(void *ctx, const struct stack_out *o)
{
	static uint8_t bytes[PACKET_MAX];
	struct hand_stack *h = ctx;
	uint8_t eth[12];
	const char *wrong;
	struct packet p;

	addresses(eth, HAND_MAC_FRONT, h->who ? HAND_MAC_BACK + h->who - 1 : HAND_MAC_CLIENT);
	wrong = device_gather(o, eth, bytes, &p);
	if (!wrong)
		wrong = device_send(&p, host_frame, h);
	if (wrong)
		run_broken(&h->w->run, "%s", wrong);
	return 0;
}

static void to_stack(struct hand_stack *h, struct packet **pkts, unsigned n)
{
	struct view v;

	for (unsigned i = 0; i < n && !h->dead; i++)
		if (view_parse(pkts[i], &v) == R_NONE && v.ip)
			(void)stack_input(h->s, pkts[i], &v, h->w->run.now);
}

static void at_client(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	struct hand_world *w = ctx;

	(void)at;
	to_stack(&w->client, pkts, n);
	hand_clients_run(w);
	stack_flush(w->client.s, w->run.now);
}

static void at_host(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	struct hand_world *w = ctx;
	unsigned i = at.node - NODE_HOST;

	if (w->back[i].host.dead)
		return;
	to_stack(&w->back[i].host, pkts, n);
	hand_serves_run(w, i);
	stack_flush(w->back[i].host.s, w->run.now);
}

/* --- messages */

/* Sends the line behind its first word, which has to be this name. */
static void send_line(struct hand_world *w, unsigned link, const struct packet *p, const char *name)
{
	uint8_t bytes[14 + HAND_MSG_MAX + 64];
	size_t skip = strlen(name) + 1;
	struct packet q = { .head = bytes };

	assert(p->head_len > skip && p->head_len < sizeof bytes - 14);
	if (memcmp(p->head, name, skip - 1) != 0 || p->head[skip - 1] != ' ') {
		run_broken(&w->run, "a line for nobody");
		return;
	}
	addresses(bytes, 0, 0);
	store_be16(bytes + 12, TYPE_LINE);
	q.head_len = 14 + p->head_len - (uint32_t)skip;
	memcpy(bytes + 14, p->head + skip, p->head_len - skip);
	if (w->run.opt.trace)
		printf("%12.6f line to %s: %.*s\n", run_seconds(&w->run), link >= 2 ? name : "?",
		       (int)(q.head_len - 14), bytes + 14);
	net_put(&w->net, link, &q);
}

/* Gives a role the lines that have come, with this name in front. */
static void take_lines(struct hand_world *w, struct box *b, unsigned port, const char *name,
		       struct packet **pkts, unsigned n)
{
	char text[HAND_MSG_MAX + 64];

	for (unsigned i = 0; i < n; i++) {
		uint8_t bytes[PACKET_HEADROOM + sizeof text];
		struct packet p = { .head = bytes + PACKET_HEADROOM }, *ptr = &p;

		(void)snprintf(text, sizeof text, "%s %.*s", name, (int)pkts[i]->head_len - 14,
			       pkts[i]->head + 14);
		p.head_len = (uint32_t)strlen(text);
		memcpy(p.head, text, p.head_len);
		box_input(b, port, &ptr, 1, false, w->run.now);
	}
}

void hand_net_tell(struct hand_world *w, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (w->run.opt.trace)
		printf("%12.6f world: %s\n", run_seconds(&w->run), text);
	box_tell(&w->front, FRONT_WORLD, text, w->run.now);
}

static void back_name(unsigned i, char ret_name[16])
{
	(void)snprintf(ret_name, 16, "b%u", i % 100);
}

/* --- roles */

void hand_net_front_sent(void *ctx, unsigned port, struct packet *p)
{
	struct hand_world *w = ctx;
	unsigned back = p->head[5] - HAND_MAC_BACK;
	struct view v;
	char name[16];

	if (port == FRONT_AGENTS) {
		unsigned i = p->head_len > 1 ? (unsigned)(p->head[1] - '0') : HAND_BACKS;

		if (i >= w->p->backs || !w->back[i].p->agent) {
			run_broken(&w->run, "a line for an agent that is not there");
			return;
		}
		back_name(i, name);
		send_line(w, w->back[i].told, p, name);
		return;
	}
	if (port == FRONT_CONTROL || !read_frame(w, p, &v))
		return;
	hand_watch_sums(w, "front end", p);
	if (p->head[5] == HAND_MAC_CLIENT && port == FRONT_CLIENT) {
		bool passed = w->at_front >= 0 && v.tcp && hand_front_splices(&w->front, p, &v);

		hand_watch_answer(w, passed ? w->at_front + 1 : 0, p);
		net_put(&w->net, w->to_client, p);
	} else if (back < w->p->backs &&
		   port == (w->p->backend_port ? FRONT_BACKEND : FRONT_CLIENT)) {
		net_put(&w->net, w->back[back].to, p);
	} else {
		run_broken(&w->run, "the front end sends to link address %u at port %u", p->head[5],
			   port);
	}
}

void hand_net_agent_sent(void *ctx, unsigned port, struct packet *p)
{
	struct hand_stack *h = ctx; /* the agent's host */
	struct hand_world *w = h->w;
	struct hand_back *b = &w->back[h->who - 1];

	if (port == BACK_FRONTS) {
		send_line(w, b->tells, p, FRONT_NAME);
	} else if (port == BACK_FRONT) {
		from_back(w, h->who - 1, p);
	} else if (port == BACK_HOST) {
		hand_watch_sums(w, "agent", p);
		net_put(&w->net, b->in, p);
	}
}

static void at_front(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	struct hand_world *w = ctx;
	unsigned port = PORT_OF(at);
	struct view v;
	char name[16];

	if (port == FRONT_AGENTS) {
		back_name(BACK_OF(at), name);
		take_lines(w, &w->front, port, name, pkts, n);
		return;
	}
	w->at_front = (int)BACK_OF(at) - 1;
	for (unsigned i = 0; i < n && w->at_front < 0; i++)
		if (view_parse(pkts[i], &v) == R_NONE && v.tcp)
			hand_watch_at_front(w, pkts[i], &v);
	box_input(&w->front, port, pkts, n, w->run.opt.split, w->run.now);
	w->at_front = -1;
}

static void at_agent(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	struct hand_world *w = ctx;
	struct hand_back *b = &w->back[at.node - NODE_AGENT];

	if (b->host.dead)
		return;
	if (at.port == BACK_FRONTS)
		take_lines(w, &b->agent, at.port, FRONT_NAME, pkts, n);
	else
		box_input(&b->agent, at.port, pkts, n, w->run.opt.split, w->run.now);
}

/* --- nodes and links */

/* A link of this kind, with dice of its own. */
static unsigned join(struct hand_world *w, struct net_end from, struct net_end to,
		     const struct net_link_config *like)
{
	struct net_link_config c = *like;

	c.link.seed ^= (w->net.links + 1) * 0x9e3779b97f4a7c15u;
	return net_join(&w->net, from, to, &c);
}

static void join_back(struct hand_world *w, unsigned i)
{
	const struct hand_plan *p = w->p;
	struct hand_back *b = &w->back[i];
	unsigned port = p->backend_port ? FRONT_BACKEND : FRONT_CLIENT;
	struct net_end front = { NODE_FRONT, (uint8_t)(port | (i + 1) << 3) },
		       lines = { NODE_FRONT, (uint8_t)(FRONT_AGENTS | i << 3) },
		       agent = { (uint8_t)(NODE_AGENT + i), BACK_FRONT },
		       inner = { (uint8_t)(NODE_AGENT + i), BACK_HOST },
		       fronts = { (uint8_t)(NODE_AGENT + i), BACK_FRONTS },
		       host = { (uint8_t)(NODE_HOST + i), 0 }, client = { NODE_CLIENT, 0 };
	struct net_end end = b->p->agent ? agent : host;

	b->to = join(w, front, end, &p->inside);
	b->from = join(w, end, front, &p->inside);
	b->direct = join(w, end, client, &p->direct);
	if (!b->p->agent)
		return;
	b->in = join(w, inner, host, &p->inner);
	b->out = join(w, host, inner, &p->inner);
	b->told = join(w, lines, fronts, &p->channel);
	b->tells = join(w, fronts, lines, &p->channel);
}

void hand_net_open(struct hand_world *w)
{
	static const char *const agents[] = { "agent0", "agent1", "agent2" }, *const hosts[] = {
		"host0", "host1", "host2"
	};
	const struct net_end client = { NODE_CLIENT, 0 }, front = { NODE_FRONT, FRONT_CLIENT };
	struct net_node node = { "client", NULL, at_client, w };

	net_open(&w->net, &w->run, w->p->seed ^ 0x5555);
	net_node(&w->net, NODE_CLIENT, &node);
	node = (struct net_node){ "front", NULL, at_front, w };
	net_node(&w->net, NODE_FRONT, &node);
	for (unsigned i = 0; i < w->p->backs; i++) {
		node = (struct net_node){ agents[i], NULL, at_agent, w };
		net_node(&w->net, NODE_AGENT + i, &node);
		node = (struct net_node){ hosts[i], NULL, at_host, w };
		net_node(&w->net, NODE_HOST + i, &node);
	}
	w->to_front = join(w, client, front, &w->p->outside);
	w->to_client = join(w, front, client, &w->p->outside);
	for (unsigned i = 0; i < w->p->backs; i++)
		join_back(w, i);
}
