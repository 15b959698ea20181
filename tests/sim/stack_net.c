/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "line.h"
#include "proto/checksum.h"
#include "proto/ip.h"
#include "stack_world.h"

/*
 * Theory of operation
 *
 * What leaves a host goes through a device, which cuts and completes it, onto a link of the line, or of the pair.  All frames of one
 * place and time are given to a host before it flushes.
 */

/* --- out of hosts and the role */

/* One wire frame leaves a host. */
static void wire_out(void *ctx, struct packet *p)
{
	struct host_ctx *h = ctx;
	struct stack_world *w = h->w;
	struct view v;

	if (view_parse(p, &v) != R_NONE || (!v.tcp && v.proto != IP_ICMP && v.proto != IP_ICMP6)) {
		run_broken(&w->run, "malformed output");
		return;
	}
	if (v.tcp && (!csum_tcp_ok(p, &v) || !csum_ip_ok(p, &v)))
		run_broken(&w->run, "wrong checksum sent");
	if (w->pair)
		stack_pair_sent(w, h->side, p);
	else
		net_send(&w->net,
			 (struct net_end){ h->side == CLIENT ? LINE_CLIENT : LINE_SERVER, 0 }, p);
}

int stack_net_emit(void *ctx, const struct stack_out *o)
{
	static uint8_t bytes[PACKET_MAX];
	struct host_ctx *h = ctx;
	struct stack_world *w = h->w;
	uint8_t eth[12] = {
		[5] = (uint8_t)(2 - stack_half(h->side)), [11] = (uint8_t)(h->side + 1)
	};
	unsigned limit = w->mtu[h->side];
	const char *wrong;
	struct packet p;

	wrong = device_gather(o, eth, bytes, &p);
	if (wrong)
		run_broken(&w->run, "%s", wrong);
	if (!o->off.gso_type && p.head_len - 14 > limit)
		run_broken(&w->run, "a packet of %u bytes where the MTU is %u", p.head_len - 14,
			   limit);
	w->idle_frames++;
	stack_script_out(w, h->side, &p);
	wrong = device_send(&p, wire_out, h);
	if (wrong)
		run_broken(&w->run, "%s", wrong);
	return 0;
}

bool stack_net_mirrors(const struct stack_world *w)
{
	return w->p->role->ops == &replica_mirror_ops;
}

void stack_net_box_sent(void *ctx, unsigned port, struct packet *p)
{
	struct stack_world *w = ctx;

	if (stack_net_mirrors(w))
		stack_mirror_sent(&w->mirror, port, p, &w->run);
	net_send(&w->net, (struct net_end){ LINE_BOX, (uint8_t)port }, p);
}

/* --- hosts and the role get frames */

/* A damaged frame whose checksums are right: its bytes may be anything, if nobody made them so. */
static void damaged_input(struct stack_world *w, const struct packet *p)
{
	if (!(net_marks(p) & NET_UNSEEN))
		run_broken(&w->run, "the checksum of a damaged frame was made right on its way");
	w->unseen = true;
	w->run.res->unseen++;
}

static void host_input(struct stack_world *w, unsigned side, const struct packet *p)
{
	struct view v;

	if (view_parse(p, &v) != R_NONE || !v.ip)
		return;
	if (net_marks(p) && net_sums(p))
		damaged_input(w, p);
	if (v.tcp)
		stack_judge_ack(w, side, p, &v);
	stack_script_in(w, side, p);
	stack_input(w->host[side], p, &v, w->run.now);
}

/* What follows a batch of packets. */
static void host_answers(struct stack_world *w, unsigned side)
{
	stack_apps_took(w, side);
	stack_apps_events(w, side);
	stack_host_flush(w, side);
}

void stack_net_host_input(struct stack_world *w, unsigned side, struct packet **pkts, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		host_input(w, side, pkts[i]);
	host_answers(w, side);
}

static void at_host(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	stack_net_host_input(ctx, at.node == LINE_CLIENT ? CLIENT : SERVER, pkts, n);
}

static void at_box(void *ctx, struct net_end at, struct packet **pkts, unsigned n)
{
	struct stack_world *w = ctx;

	if (stack_net_mirrors(w))
		stack_mirror_begin(&w->mirror, at.port, pkts, n);
	box_input(&w->box, at.port, pkts, n, w->run.opt.split, w->run.now);
	if (stack_net_mirrors(w))
		stack_mirror_end(&w->mirror, &w->p->config.mirror, &w->run);
}

/* What a plan says of link i of a line. */
static struct net_link_config line_link(const struct stack_world *w, unsigned i)
{
	const struct stack_plan *p = w->p;
	struct net_link_config c = { .link = p->link[i],
				     .tick = NET_TICK,
				     .burst = w->p->role->ops && i % 3 == 0 ? BOX_BURST : NET_BURST,
				     .corrupt_ppm = p->corrupt_ppm,
				     .squeeze_ppm = p->squeeze_ppm,
				     .mtu = p->link_mtu[i],
				     .black_hole = p->black_hole[i] };

	for (unsigned k = 0; k < p->spells; k++) {
		const struct spell *s = &p->spell[k];

		if (s->link == i)
			c.spell[c.spells++] = (struct net_spell){ s->from, s->until, s->blackout,
								  s->delay };
	}
	return c;
}

void stack_net_open(struct stack_world *w)
{
	const struct net_node client = { "client", NULL, at_host, w },
			      server = { "server", NULL, at_host, w },
			      box = { "box", line_ports, at_box, w };
	struct net_link_config cfg[LINKS];

	net_open(&w->net, &w->run, w->p->seed ^ 0x5555);
	if (w->pair) {
		stack_pair_open(w);
		return;
	}
	net_node(&w->net, LINE_CLIENT, &client);
	net_node(&w->net, LINE_BOX, &box);
	net_node(&w->net, LINE_SERVER, &server);
	for (unsigned i = 0; i < LINKS; i++)
		cfg[i] = line_link(w, i);
	line_join(&w->net, w->p->role->ops != NULL, cfg);
}

/* --- segments of nobody's */

static void forged_ends(const struct stack_world *w, const struct trouble *t, struct ends *ret_e)
{
	unsigned ip = w->p->conn[t->conn].ip;
	struct stack_addr end[2];

	stack_plan_ends(w->p, t->conn, end);
	*ret_e = (struct ends){ .ip = (uint8_t)ip,
				.sport = end[!t->side].port,
				.dport = end[t->side].port };
	memcpy(ret_e->src, end[!t->side].ip + (ip == 4 ? 12 : 0), ip == 4 ? 4 : 16);
	memcpy(ret_e->dst, end[t->side].ip + (ip == 4 ? 12 : 0), ip == 4 ? 4 : 16);
}

/*
 * What a blind attacker can send: numbers out of nothing, or in the window, but never just the right one (a RST at rcv_nxt, data in
 * the window: these hit by luck, and no TCP can tell).
 */
static void forged_segment(const struct trouble *t, const struct conn_info *i,
			   struct frame_tcp *ret_t)
{
	uint32_t window = i->rcv_wnd > 2 ? i->rcv_wnd - 2 : 1;
	uint32_t inside = i->rcv_nxt + 1 + t->dice % window,
		 outside = i->rcv_nxt - 100000 - t->dice % 1000000000;

	*ret_t = (struct frame_tcp){ .seq = outside, .ack = t->dice * 77, .window = 1000 };
	switch (t->what) {
	case FORGED_RST:
		ret_t->flags = TCP_RST;
		break;
	case FORGED_RST_INSIDE:
		ret_t->flags = TCP_RST;
		ret_t->seq = inside;
		break;
	case FORGED_SYN:
		ret_t->flags = TCP_SYN;
		break;
	case FORGED_SYN_INSIDE:
		ret_t->flags = TCP_SYN;
		ret_t->seq = inside;
		break;
	case FORGED_SYN_ACK:
		ret_t->flags = TCP_SYN | TCP_ACK;
		break;
	case FORGED_FIN:
		ret_t->flags = TCP_FIN | TCP_ACK;
		break;
	case FORGED_DATA:
		ret_t->flags = TCP_ACK;
		ret_t->len = 100;
		break;
	default:
		ret_t->flags = TCP_ACK;
		break;
	}
}

void stack_net_forge(struct stack_world *w, const struct trouble *t)
{
	struct stack_addr end[2];
	struct conn_info info = { .rcv_nxt = t->dice };
	uint8_t frame[FRAME_SIZE];
	struct frame_tcp seg;
	struct packet p = { .head = frame };
	struct ends e;
	unsigned i;

	stack_plan_ends(w->p, t->conn, end);
	i = stack_conn_of_port(w, end[CLIENT].port);
	if (i < w->p->conns && w->app[i][t->side].id)
		stack_info(w->host[t->side], w->app[i][t->side].id, w->run.now, &info);
	/* A SYN that comes for one's own SYN opens the connection to the attacker; he who knows the time wins. */
	if (info.state == ST_SYN_SENT && t->what != FORGED_RST && t->what != FORGED_ACK)
		return;
	forged_ends(w, t, &e);
	forged_segment(t, &info, &seg);
	p.head_len = frame_build(&e, &seg, 0, frame);
	net_note(&w->net,
		 net_link_to(&w->net,
			     (struct net_end){ t->side == CLIENT ? LINE_CLIENT : LINE_SERVER, 0 }),
		 true, &p);
	w->forged = w->forging = true;
	host_input(w, t->side, &p);
	w->forging = false;
	host_answers(w, t->side);
}
