/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * One hash table for three kinds of facts, told apart by the key's field `where`: a connection (its two ends in a fixed order; the
 * value says whether the first or the second of them is near), an IP address and an Ethernet address (the value is a side).
 * Open addressing, doubled at half full; facts are never removed: a replay is finite.
 */
#include "app/sides.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "base/hash.h"
#include "core/quad.h"
#include "proto/ip.h"
#include "proto/view.h"

enum kind { EMPTY, CONNECTION, IP_ADDR, ETH_ADDR };

struct fact {
	struct flow_key key; /* where holds the kind */
	uint8_t value;
};

struct sides {
	struct fact *fact;
	size_t room, used; /* room is a power of two */
	bool has_net;
	struct ip_net net;
};

int ip_net_read(const char *text, struct ip_net *ret_net)
{
	struct ip_net net = { .bits = 128 };
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	uint8_t ip4[4];
	char addr[64], junk;
	unsigned bits, most = 128;

	if (len >= sizeof addr)
		return -EINVAL;
	memcpy(addr, text, len);
	addr[len] = 0;
	if (inet_pton(AF_INET, addr, ip4) == 1) {
		ip4_map(ip4, net.addr);
		most = 32;
	} else if (inet_pton(AF_INET6, addr, net.addr) != 1) {
		return -EINVAL;
	}
	if (slash) {
		if (sscanf(slash + 1, "%3u%c", &bits, &junk) != 1 || bits > most ||
		    slash[1] < '0' || slash[1] > '9')
			return -EINVAL;
		net.bits = 128 - most + bits;
	}
	*ret_net = net;
	return 0;
}

/* A fixed key: a replay is deterministic, and its input is no attacker of this table. */
static const struct hash_key table_key = { { 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f,
					     0x165667b19e3779f9, 0x27d4eb2f165667c5,
					     0x85ebca77c2b2ae63 } };

/* Where key is, or where it belongs. */
static struct fact *slot_of(struct fact *fact, size_t room, const struct flow_key *key)
{
	size_t i = hash40(&table_key, key) & (room - 1);

	while (fact[i].key.where != EMPTY && !flow_key_equal(&fact[i].key, key))
		i = (i + 1) & (room - 1);
	return &fact[i];
}

static bool grow(struct sides *s)
{
	size_t room = s->room * 2;
	struct fact *bigger = calloc(room, sizeof *bigger);

	if (!bigger)
		return false;
	for (size_t i = 0; i < s->room; i++)
		if (s->fact[i].key.where != EMPTY)
			*slot_of(bigger, room, &s->fact[i].key) = s->fact[i];
	free(s->fact);
	s->fact = bigger;
	s->room = room;
	return true;
}

/* Remembers value for key, unless there is one and overwrite is not wanted.  Without memory it is not remembered. */
static uint8_t learn(struct sides *s, const struct flow_key *key, uint8_t value, bool overwrite)
{
	struct fact *f;

	if (s->used * 2 >= s->room && !grow(s) && s->used + 1 >= s->room)
		return value;
	f = slot_of(s->fact, s->room, key);
	if (f->key.where == EMPTY) {
		f->key = *key;
		f->value = value;
		s->used++;
	} else if (overwrite) {
		f->value = value;
	}
	return f->value;
}

static bool recall(struct sides *s, const struct flow_key *key, uint8_t *ret_value)
{
	const struct fact *f = slot_of(s->fact, s->room, key);

	if (f->key.where == EMPTY)
		return false;
	*ret_value = f->value;
	return true;
}

static struct flow_key ip_key(const uint8_t addr[16])
{
	struct flow_key k = { .where = IP_ADDR };

	memcpy(k.src, addr, 16);
	return k;
}

static struct flow_key eth_key(const uint8_t addr[6])
{
	struct flow_key k = { .where = ETH_ADDR };

	memcpy(k.src, addr, 6);
	return k;
}

/* The ends in a fixed order; *ret_swapped says whether the sender became the second. */
static struct flow_key connection_key(const uint8_t src[16], const uint8_t dst[16], be16 sport,
				      be16 dport, bool *ret_swapped)
{
	struct flow_key k = { .where = CONNECTION };
	int order = memcmp(src, dst, 16);

	*ret_swapped = order > 0 || (order == 0 && be16_get(sport) > be16_get(dport));
	memcpy(k.src, *ret_swapped ? dst : src, 16);
	memcpy(k.dst, *ret_swapped ? src : dst, 16);
	k.sport = *ret_swapped ? dport : sport;
	k.dport = *ret_swapped ? sport : dport;
	return k;
}

static enum sut_side side_of_tcp(struct sides *s, const struct packet *p, const struct view *v,
				 uint8_t addr[2][16])
{
	const struct tcp_hdr *tcp = view_tcp(p, v);
	uint8_t syn = v->flags & (TCP_SYN | TCP_ACK), near_is_second;
	bool swapped, sender_is_near;
	struct flow_key k = connection_key(addr[0], addr[1], tcp->sport, tcp->dport, &swapped);

	if (syn & TCP_SYN)
		sender_is_near = !(syn & TCP_ACK);
	else
		sender_is_near = be16_get(tcp->sport) >= be16_get(tcp->dport);
	near_is_second = learn(s, &k, sender_is_near == swapped, syn == TCP_SYN);
	return near_is_second == swapped ? NEAR : FAR;
}

/* By where its addresses were met before. */
static enum sut_side side_of_other(struct sides *s, const struct packet *p, const struct view *v,
				   uint8_t addr[2][16])
{
	struct flow_key k;
	uint8_t value;

	for (unsigned end = 0; v->ip && end < 2; end++) {
		k = ip_key(addr[end]);
		if (recall(s, &k, &value))
			return end ? (enum sut_side) !value : (enum sut_side)value;
	}
	if (p->head_len >= sizeof(struct eth_hdr)) {
		k = eth_key(((const struct eth_hdr *)p->head)->src);
		if (recall(s, &k, &value))
			return (enum sut_side)value;
	}
	return NEAR;
}

static void learn_addresses(struct sides *s, const struct packet *p, uint8_t addr[2][16],
			    enum sut_side sender)
{
	const struct eth_hdr *eth = (const struct eth_hdr *)p->head;
	const uint8_t side = (uint8_t)sender;
	struct flow_key k;

	k = ip_key(addr[0]);
	learn(s, &k, side, false);
	k = ip_key(addr[1]);
	learn(s, &k, !side, false);
	k = eth_key(eth->src);
	learn(s, &k, side, false);
	k = eth_key(eth->dst);
	learn(s, &k, !side, false);
}

/* Does the IP header lie in the frame as far as its addresses go? */
static bool has_addresses(const struct packet *p, const struct view *v)
{
	return v->ip && p->head_len >= v->l3 + (v->ip == 4 ? sizeof(struct ipv4_hdr)
							   : sizeof(struct ipv6_hdr));
}

enum sut_side sides_of(struct sides *s, const struct packet *p)
{
	uint8_t addr[2][16] = { { 0 }, { 0 } };
	enum sut_side side = NEAR;
	bool sure = true;
	struct view v;

	view_parse(p, &v);
	if (!has_addresses(p, &v))
		v.ip = 0;
	if (v.ip)
		view_addrs(p, &v, addr[0], addr[1]);
	if (s->has_net && v.ip && ip_same_net(s->net.addr, addr[0], s->net.bits))
		side = NEAR;
	else if (s->has_net && v.ip && ip_same_net(s->net.addr, addr[1], s->net.bits))
		side = FAR;
	else if (v.tcp)
		side = side_of_tcp(s, p, &v, addr);
	else
		sure = false;
	if (!sure)
		return side_of_other(s, p, &v, addr);
	learn_addresses(s, p, addr, side);
	return side;
}

struct sides *sides_open(const struct ip_net *clients)
{
	struct sides *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->room = 1024;
	s->fact = calloc(s->room, sizeof *s->fact);
	if (!s->fact) {
		free(s);
		return NULL;
	}
	if (clients) {
		s->has_net = true;
		s->net = *clients;
	}
	return s;
}

void sides_close(struct sides *s)
{
	free(s->fact);
	free(s);
}
