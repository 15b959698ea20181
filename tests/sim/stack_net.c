/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "core/gso.h"
#include "proto/checksum.h"
#include "proto/ip.h"
#include "proto/print.h"
#include "stack_world.h"

/*
 * Theory of operation
 *
 * Frames and links of a world with two hosts.  A host's packet is cut and completed as a device does it, and goes onto its
 * link, where it may be lost, doubled, reordered, damaged, have its window made smaller, or be too long: then an ICMP message
 * tells its sender, or nothing does.  All frames of one place and time are given to a host before it flushes.
 */

void stack_net_observe(struct stack_world *w, unsigned at, char dir, const char *name,
		       const struct packet *p)
{
	uint64_t h = hash_fold(w->hash[at] ^ w->now,
			       0x9e3779b97f4a7c15u ^ (uint64_t)dir << 32 ^ packet_len(p));
	char line[PRINT_MAX];
	uint64_t word;
	uint32_t i = 0;

	for (; i + 8 <= p->head_len; i += 8) {
		memcpy(&word, p->head + i, 8);
		h = hash_fold(h ^ word, 0xd1b54a32d192ed03u);
	}
	for (; i < p->head_len; i++)
		h = (h ^ p->head[i]) * 0x100000001b3u;
	w->hash[at] = h;
	w->res->frames++;
	if (!w->opt.trace)
		return;
	print_packet(p, line, sizeof line);
	printf("%12.6f %-6s %c %s\n", stack_seconds(w), name, dir, line);
}

static void observe(struct stack_world *w, enum spot at, char dir, const struct packet *p)
{
	static const char *const name[] = { "client", "near", "far", "server" };

	stack_net_observe(w, at, dir, name[at], p);
}

static const struct spell *spell_of(const struct stack_world *w, unsigned link)
{
	for (unsigned i = 0; i < w->p->spells; i++) {
		const struct spell *s = &w->p->spell[i];

		if (s->link == link && s->from <= w->now && w->now < s->until)
			return s;
	}
	return NULL;
}

/* Turns one bit behind the Ethernet header. */
static void damage(struct stack_world *w, uint8_t *bytes, uint32_t len)
{
	uint32_t bit = rng_below(&w->rng, (len - 14) * 8);

	bytes[14 + bit / 8] ^= (uint8_t)(1u << bit % 8);
}

/* The window field becomes smaller than its sender wrote it, the checksum stays right. */
static void squeeze(struct stack_world *w, uint8_t *bytes, uint32_t len)
{
	struct packet p = { .head = bytes, .head_len = len };
	struct csum_delta d = { 0 };
	struct tcp_hdr *t;
	uint16_t was, now;
	struct view v;

	if (view_parse(&p, &v) != R_NONE || !v.tcp || v.flags & (TCP_SYN | TCP_RST))
		return;
	t = view_tcp(&p, &v);
	was = be16_get(t->window);
	now = (uint16_t)(rng_chance(&w->rng, 10) ? 0 : was >> rng_range(&w->rng, 1, 6));
	t->window = be16_of(now);
	csum_swap16(&d, was, now);
	csum_apply((uint8_t *)&t->csum, &p.off, d);
}

/* The sender of a frame that is too long for link n is told, a link's delay later. */
static void tell_too_big(struct stack_world *w, unsigned n, const uint8_t *frame, uint32_t len)
{
	uint8_t b[14 + 40 + 8 + 512] = { 0 };
	struct packet p = { .head = b };
	uint32_t quote = len - 14 < 512 ? len - 14 : 512;
	bool ip6 = frame[14] >> 4 == 6;
	uint8_t *ip = b + 14, *icmp = ip + (ip6 ? 40 : 20);
	struct view v;

	memcpy(b, frame + 6, 6);
	memcpy(b + 6, frame, 6);
	memcpy(b + 12, frame + 12, 2);
	if (ip6) {
		ip[0] = 0x60;
		store_be16(ip + 4, (uint16_t)(8 + quote));
		ip[6] = IP_ICMP6;
		ip[7] = 64;
		memcpy(ip + 8, frame + 14 + 24, 16);
		memcpy(ip + 24, frame + 14 + 8, 16);
		icmp[0] = 2;
		store_be32(icmp + 4, w->p->link_mtu[n]);
	} else {
		ip[0] = 0x45;
		store_be16(ip + 2, (uint16_t)(28 + quote));
		ip[8] = 64;
		ip[9] = IP_ICMP;
		memcpy(ip + 12, frame + 14 + 16, 4);
		memcpy(ip + 16, frame + 14 + 12, 4);
		icmp[0] = 3;
		icmp[1] = 4;
		store_be16(icmp + 6, (uint16_t)w->p->link_mtu[n]);
	}
	memcpy(icmp + 8, frame + 14, quote);
	p.head_len = (uint32_t)(icmp - b) + 8 + quote;
	if (view_parse(&p, &v) != R_NONE)
		abort();
	csum_ip_fill(&p, &v);
	csum_icmp_fill(&p, &v);
	queue_put(&w->queue,
		  (w->now + w->p->link[n].delay + STACK_TICK - 1) / STACK_TICK * STACK_TICK,
		  n == 0 ? AT_CLIENT : AT_SERVER, b, p.head_len);
}

/* Is it too long for link n?  Its sender may hear of that. */
static bool too_long(struct stack_world *w, unsigned n, const uint8_t *bytes, uint32_t len)
{
	if (!w->p->link_mtu[n] || len - 14 <= w->p->link_mtu[n])
		return false;
	if (!w->p->black_hole[n])
		tell_too_big(w, n, bytes, len);
	return true;
}

static void put_on_link(struct stack_world *w, unsigned n, enum spot to, uint8_t *bytes,
			uint32_t len)
{
	const struct spell *s = spell_of(w, n);
	struct link_fate f;

	if ((s && s->blackout) || too_long(w, n, bytes, len))
		return;
	f = link_offer(&w->link[n], len, w->now);
	if (rng_below(&w->rng, 1000000) < w->p->squeeze_ppm)
		squeeze(w, bytes, len);
	if (rng_below(&w->rng, 1000000) < w->p->corrupt_ppm)
		damage(w, bytes, len);
	for (unsigned i = 0; i < f.copies; i++)
		queue_put(&w->queue,
			  (f.at[i] + (s ? s->delay : 0) + STACK_TICK - 1) / STACK_TICK * STACK_TICK,
			  to, bytes, len);
}

/* One wire frame leaves a host or the role. */
static void frame_out(struct stack_world *w, enum spot at, uint8_t *bytes, uint32_t len)
{
	static const char dir[PLACES] = { '>', '<', '>', '<' };
	static const uint8_t link[PLACES] = { 0, 1, 2, 3 };
	static const uint8_t through[PLACES] = { AT_NEAR, AT_CLIENT, AT_SERVER, AT_FAR };
	struct packet p = { .head = bytes, .head_len = len };
	unsigned to = through[at];

	observe(w, at, dir[at], &p);
	if (!w->box.ops)
		to = at == AT_CLIENT ? AT_SERVER : AT_CLIENT;
	put_on_link(w, link[at], to, bytes, len);
}

static void wire_out(struct stack_world *w, unsigned side, uint8_t *bytes, uint32_t len)
{
	struct packet p = { .head = bytes, .head_len = len };

	if (w->pair)
		stack_pair_sent(w, side, &p);
	else
		frame_out(w, side == CLIENT ? AT_CLIENT : AT_SERVER, bytes, len);
}

/* Does what a device does with a packet: cuts super-packets, completes checksums.  bytes begin with the Ethernet header. */
static void device_out(struct stack_world *w, unsigned side, struct packet *whole)
{
	static uint8_t seg[PACKET_MAX];
	struct gso g = { .count = 1 };
	struct view v;

	if (view_parse(whole, &v) != R_NONE ||
	    (!v.tcp && v.proto != IP_ICMP && v.proto != IP_ICMP6)) {
		stack_broken(w, "malformed output");
		return;
	}
	if (whole->off.gso_type)
		gso_plan(whole, &v, &g);
	if (g.count == 1) {
		if (whole->off.csum == CSUM_PARTIAL && !csum_finish(whole))
			stack_broken(w, "partial checksum outside of the frame");
		if (v.tcp && (!csum_tcp_ok(whole, &v) || !csum_ip_ok(whole, &v)))
			stack_broken(w, "wrong checksum sent");
		wire_out(w, side, whole->head, whole->head_len);
		return;
	}
	for (uint32_t i = 0; i < g.count; i++) {
		gso_cut(whole, &v, &g, i, seg);
		wire_out(w, side, seg, gso_segment_len(&g, i));
	}
}

int stack_net_emit(void *ctx, const struct stack_out *o)
{
	static uint8_t bytes[PACKET_MAX];
	struct host_ctx *h = ctx;
	struct stack_world *w = h->w;
	struct packet p = { .head = bytes, .head_len = 14 + o->head_len, .off = o->off };
	unsigned limit = w->mtu[h->side];

	memset(bytes, 0, 12);
	bytes[5] = (uint8_t)(2 - stack_half(h->side));
	bytes[11] = (uint8_t)(h->side + 1);
	store_be16(bytes + 12, o->head[0] >> 4 == 6 ? ETH_IP6 : ETH_IP4);
	memcpy(bytes + 14, o->head, o->head_len);
	for (unsigned i = 0; i < o->n; i++) {
		memcpy(bytes + p.head_len, o->slice[i].bytes, o->slice[i].len);
		p.head_len += o->slice[i].len;
	}
	if (p.head_len != 14 + o->head_len + o->payload_len)
		stack_broken(w, "slices of %u bytes in a packet of %u",
			     p.head_len - 14 - o->head_len, o->payload_len);
	if (p.off.csum == CSUM_PARTIAL)
		p.off.csum_start = (uint16_t)(p.off.csum_start + 14);
	if (p.off.hdr_len)
		p.off.hdr_len = (uint16_t)(p.off.hdr_len + 14);
	if (!o->off.gso_type && p.head_len - 14 > limit)
		stack_broken(w, "a packet of %u bytes where the MTU is %u", p.head_len - 14, limit);
	w->idle_frames++;
	stack_script_out(w, h->side, &p);
	device_out(w, h->side, &p);
	return 0;
}

void stack_net_box_sent(void *ctx, unsigned port, struct packet *p)
{
	struct stack_world *w = ctx;
	uint8_t bytes[PACKET_MAX];

	memcpy(bytes, p->head, p->head_len);
	frame_out(w, port == ACCEL_CLIENT ? AT_NEAR : AT_FAR, bytes, p->head_len);
}

/* --- hosts and the role get frames */

static void host_input(struct stack_world *w, unsigned side, const struct packet *p)
{
	struct view v;

	if (!w->pair)
		observe(w, side == CLIENT ? AT_CLIENT : AT_SERVER, side == CLIENT ? '<' : '>', p);
	if (view_parse(p, &v) != R_NONE || !v.ip)
		return;
	if (v.tcp)
		stack_judge_ack(w, side, p, &v);
	stack_script_in(w, side, p);
	stack_input(w->host[side], p, &v, w->now);
}

/* What follows a batch of packets. */
static void host_answers(struct stack_world *w, unsigned side)
{
	stack_apps_took(w, side);
	stack_apps_events(w, side);
	stack_host_flush(w, side);
}

void stack_net_host_input(struct stack_world *w, unsigned side, const struct packet *p)
{
	host_input(w, side, p);
	host_answers(w, side);
}

static void deliver_host(struct stack_world *w, unsigned side)
{
	unsigned place = side == CLIENT ? AT_CLIENT : AT_SERVER;
	const struct arrival *a;

	while ((a = queue_next(&w->queue)) && a->at <= w->now && a->place == place) {
		struct frame *f = queue_take(&w->queue).frame;
		struct packet p = { .head = f->bytes, .head_len = f->len };

		host_input(w, side, &p);
		free(f);
	}
	host_answers(w, side);
}

static void deliver_box(struct stack_world *w, unsigned place)
{
	struct frame *frames[BOX_BURST];
	struct packet pkt[BOX_BURST], *ptr[BOX_BURST];
	const struct arrival *a;
	unsigned n = 0;

	while (n < BOX_BURST && (a = queue_next(&w->queue)) && a->at <= w->now &&
	       a->place == place) {
		frames[n] = queue_take(&w->queue).frame;
		pkt[n] = (struct packet){ .head = frames[n]->bytes, .head_len = frames[n]->len };
		ptr[n] = &pkt[n];
		observe(w, place, place == AT_NEAR ? '>' : '<', &pkt[n]);
		n++;
	}
	box_input(&w->box, place == AT_NEAR ? ACCEL_CLIENT : ACCEL_SERVER, ptr, n, w->opt.split,
		  w->now);
	for (unsigned i = 0; i < n; i++)
		free(frames[i]);
}

void stack_net_deliver(struct stack_world *w)
{
	const struct arrival *a;

	if (w->pair) {
		stack_pair_deliver(w);
		return;
	}
	while ((a = queue_next(&w->queue)) && a->at <= w->now && !w->res->broken[0]) {
		if (a->place == AT_NEAR || a->place == AT_FAR)
			deliver_box(w, a->place);
		else
			deliver_host(w, a->place == AT_CLIENT ? CLIENT : SERVER);
	}
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
		stack_info(w->host[t->side], w->app[i][t->side].id, w->now, &info);
	/* A SYN that comes for one's own SYN opens the connection to the attacker; he who knows the time wins. */
	if (info.state == ST_SYN_SENT && t->what != FORGED_RST && t->what != FORGED_ACK)
		return;
	forged_ends(w, t, &e);
	forged_segment(t, &info, &seg);
	p.head_len = frame_build(&e, &seg, 0, frame);
	w->forged = w->forging = true;
	host_input(w, t->side, &p);
	w->forging = false;
	host_answers(w, t->side);
}
