/* SPDX-License-Identifier: MIT */
#include "net.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "proto/checksum.h"
#include "proto/ip.h"
#include "proto/print.h"
#include "proto/tcp.h"
#include "proto/view.h"

/*
 * Theory of operation
 *
 * What becomes of a frame on a link, in order:
 *
 *     a blackout     it is lost
 *     the MTU        it is lost; the node it came from may get an ICMP error by its link back, a delay later
 *     core/link.h    it is lost, or one or two copies have their times, which a spell and the tick make later
 *     the dice       its tail is cut, its window squeezed, a bit turned: in both copies
 *
 * Frames under way stand in one queue, by time, link, and order of sending.  The hash is kept for each end of each link: how
 * answers interleave with what passes through a node may depend on how a burst is split, the order at one end may not.
 */

void net_open(struct net *n, struct run *r, uint64_t seed)
{
	n->run = r;
	n->dice.s = seed;
}

void net_close(struct net *n)
{
	queue_clear(&n->queue);
}

void net_node(struct net *n, unsigned node, const struct net_node *cfg)
{
	assert(node < NET_NODES);
	n->node[node] = *cfg;
}

unsigned net_join(struct net *n, struct net_end from, struct net_end to,
		  const struct net_link_config *cfg)
{
	struct net_link *l = &n->link[n->links];

	assert(n->links < NET_LINKS && cfg->burst <= NET_BURST);
	assert(n->node[from.node].name && n->node[to.node].name);
	*l = (struct net_link){ .from = from, .to = to, .cfg = *cfg };
	link_init(&l->link, &cfg->link);
	return n->links++;
}

static bool same_end(struct net_end a, struct net_end b)
{
	return a.node == b.node && a.port == b.port;
}

unsigned net_link_from(const struct net *n, struct net_end at)
{
	for (unsigned i = 0; i < n->links; i++)
		if (same_end(n->link[i].from, at))
			return i;
	return NET_NONE;
}

unsigned net_link_to(const struct net *n, struct net_end at)
{
	for (unsigned i = 0; i < n->links; i++)
		if (same_end(n->link[i].to, at))
			return i;
	return NET_NONE;
}

/* --- the hash and the trace */

static const char *end_name(const struct net *n, struct net_end e)
{
	const struct net_node *node = &n->node[e.node];

	return node->ports ? node->ports[e.port] : node->name;
}

static void print_frame(const struct net *n, const struct net_link *l, bool arrives,
			const struct packet *p)
{
	char line[PRINT_MAX];

	print_packet(p, line, sizeof line);
	printf("%12.6f %-9s %s %-9s | %s\n", run_seconds(n->run), end_name(n, l->from),
	       arrives ? "=>" : "->", end_name(n, l->to), line);
}

void net_note(struct net *n, unsigned link, bool arrives, const struct packet *p)
{
	struct net_link *l = &n->link[link];
	uint64_t h = hash_fold(l->hash[arrives] ^ n->run->now, 0x9e3779b97f4a7c15u ^ packet_len(p));
	uint64_t word;
	uint32_t i = 0;

	for (; i + 8 <= p->head_len; i += 8) {
		memcpy(&word, p->head + i, 8);
		h = hash_fold(h ^ word, 0xd1b54a32d192ed03u);
	}
	for (; i < p->head_len; i++)
		h = (h ^ p->head[i]) * 0x100000001b3u;
	l->hash[arrives] = h;
	n->run->res->frames++;
	if (n->run->opt.trace)
		print_frame(n, l, arrives, p);
}

uint64_t net_hash(const struct net *n)
{
	uint64_t h = 0;

	for (unsigned i = 0; i < 2 * n->links; i++)
		h = hash_fold(h ^ n->link[i / 2].hash[i % 2], 0x9e3779b97f4a7c15u + i);
	return h;
}

/* --- what links do to frames */

static const struct net_spell *spell_of(const struct net *n, const struct net_link *l)
{
	for (unsigned i = 0; i < l->cfg.spells; i++) {
		const struct net_spell *s = &l->cfg.spell[i];

		if (s->from <= n->run->now && n->run->now < s->until)
			return s;
	}
	return NULL;
}

static void cut(struct net *n, struct packet *p)
{
	uint32_t most = p->head_len - 15 < 60 ? p->head_len - 15 : 60;

	p->head_len -= rng_range(&n->dice, 1, most);
}

static void squeeze(struct net *n, struct packet *p)
{
	struct csum_delta d = { 0 };
	struct tcp_hdr *t;
	uint16_t was, now;
	struct view v;

	if (view_parse(p, &v) != R_NONE || !v.tcp || v.flags & (TCP_SYN | TCP_RST))
		return;
	t = view_tcp(p, &v);
	was = be16_get(t->window);
	now = (uint16_t)(rng_chance(&n->dice, 10) ? 0 : was >> rng_range(&n->dice, 1, 6));
	t->window = be16_of(now);
	csum_swap16(&d, was, now);
	csum_apply((uint8_t *)&t->csum, &p->off, d);
}

bool net_sums(const struct packet *p)
{
	struct view v;

	return view_parse(p, &v) == R_NONE && v.tcp && csum_ip_ok(p, &v) && csum_tcp_ok(p, &v);
}

/*
 * Turns one bit, and marks the frame, but where no checksum covers the bit, and nobody is harmed: in the traffic class, flow label
 * and hop limit of IPv6.  A second bit could make the first one unseen.
 */
static void damage(struct net *n, struct packet *p)
{
	uint32_t bit, at;
	bool ip6;

	if (p->head[NET_MARK_AT] & NET_DAMAGED)
		return;
	ip6 = load_be16(p->head + 12) == ETH_IP6;
	bit = rng_below(&n->dice, (p->head_len - 14) * 8);
	at = bit / 8;
	p->head[14 + at] ^= (uint8_t)(1u << bit % 8);
	if (ip6 && (at == 7 || (at < 4 && (bit < 4 || bit > 7))))
		return;
	p->head[NET_MARK_AT] |= NET_DAMAGED;
	if (net_sums(p))
		p->head[NET_MARK_AT] |= NET_UNSEEN;
	n->run->res->damaged++;
}

/* Does to a frame what the dice say; it may be in another place then. */
static void wear(struct net *n, const struct net_link_config *c, struct packet *p)
{
	static uint8_t bytes[PACKET_MAX];

	if (!c->cut_pct && !c->squeeze_ppm && !c->corrupt_ppm)
		return;
	memcpy(bytes, p->head, p->head_len);
	p->head = bytes;
	if (c->cut_pct && rng_chance(&n->dice, c->cut_pct))
		cut(n, p);
	if (!c->squeeze_ppm && !c->corrupt_ppm)
		return;
	if (rng_below(&n->dice, 1000000) < c->squeeze_ppm)
		squeeze(n, p);
	if (rng_below(&n->dice, 1000000) < c->corrupt_ppm)
		damage(n, p);
}

/* --- ICMP */

/* The sender's frame is too long for link l: its header turned round, as much of it as fits quoted; returns its length. */
static uint32_t too_big(const struct net_link *l, const uint8_t *frame, uint32_t len, uint8_t *b)
{
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
		store_be32(icmp + 4, l->cfg.mtu);
	} else {
		ip[0] = 0x45;
		store_be16(ip + 2, (uint16_t)(28 + quote));
		ip[8] = 64;
		ip[9] = IP_ICMP;
		memcpy(ip + 12, frame + 14 + 16, 4);
		memcpy(ip + 16, frame + 14 + 12, 4);
		icmp[0] = 3;
		icmp[1] = 4;
		store_be16(icmp + 6, (uint16_t)l->cfg.mtu);
	}
	memcpy(icmp + 8, frame + 14, quote);
	p.head_len = (uint32_t)(icmp - b) + 8 + quote;
	if (view_parse(&p, &v) != R_NONE)
		abort();
	csum_ip_fill(&p, &v);
	csum_icmp_fill(&p, &v);
	return p.head_len;
}

static sut_time at_tick(const struct net_link *l, sut_time at)
{
	return l->cfg.tick ? (at + l->cfg.tick - 1) / l->cfg.tick * l->cfg.tick : at;
}

/* Is it too long for l?  Its sender may hear of that. */
static bool too_long(struct net *n, const struct net_link *l, const struct packet *p)
{
	uint8_t b[14 + 40 + 8 + 512] = { 0 };
	unsigned back = net_link_to(n, l->from);
	uint32_t len;

	if (!l->cfg.mtu || p->head_len - 14 <= l->cfg.mtu)
		return false;
	if (l->cfg.black_hole || back == NET_NONE)
		return true;
	len = too_big(l, p->head, p->head_len, b);
	queue_put(&n->queue, at_tick(l, n->run->now + l->cfg.link.delay), back, b, len);
	return true;
}

/* --- under way */

void net_put(struct net *n, unsigned link, const struct packet *p)
{
	struct net_link *l = &n->link[link];
	const struct net_spell *s = spell_of(n, l);
	struct packet q = *p;
	struct link_fate f;

	assert(!p->body_len && p->head_len >= 14);
	net_note(n, link, false, p);
	if ((s && s->blackout) || too_long(n, l, p))
		return;
	f = link_offer(&l->link, p->head_len, n->run->now);
	wear(n, &l->cfg, &q);
	for (unsigned i = 0; i < f.copies; i++)
		queue_put(&n->queue, at_tick(l, f.at[i] + (s ? s->delay : 0)), link, q.head,
			  q.head_len);
}

bool net_send(struct net *n, struct net_end from, const struct packet *p)
{
	unsigned link = net_link_from(n, from);

	if (link != NET_NONE)
		net_put(n, link, p);
	return link != NET_NONE;
}

void net_lose(struct net *n, unsigned link)
{
	for (uint32_t i = 0; i < n->queue.n; i++)
		if (n->queue.heap[i].place == link)
			n->queue.heap[i].frame->len = 0;
}

sut_time net_drained(const struct net *n, unsigned link)
{
	return n->link[link].link.last_out;
}

sut_time net_deadline(const struct net *n)
{
	const struct arrival *a = queue_next(&n->queue);

	return a ? a->at : SUT_NEVER;
}

bool net_deliver(struct net *n)
{
	struct packet pkt[NET_BURST], *ptr[NET_BURST];
	struct frame *frames[NET_BURST];
	const struct arrival *a = queue_next(&n->queue);
	unsigned link, most, took = 0, full = 0;
	const struct net_node *node;

	if (!a || a->at > n->run->now)
		return false;
	link = a->place;
	node = &n->node[n->link[link].to.node];
	most = n->link[link].cfg.burst ? n->link[link].cfg.burst : 1;
	while (took < most && (a = queue_next(&n->queue)) && a->at <= n->run->now &&
	       a->place == link)
		frames[took++] = queue_take(&n->queue).frame;
	for (unsigned i = 0; i < took; i++) {
		if (frames[i]->len == 0)
			continue;
		pkt[full] = (struct packet){ .head = frames[i]->bytes, .head_len = frames[i]->len };
		ptr[full] = &pkt[full];
		net_note(n, link, true, &pkt[full++]);
	}
	if (full)
		node->input(node->ctx, n->link[link].to, ptr, full);
	for (unsigned i = 0; i < took; i++)
		free(frames[i]);
	return true;
}
