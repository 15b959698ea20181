/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "proto/checksum.h"
#include "proto/ip.h"
#include "role/handoff/front_inside.h"

/*
 * Who has this address?  For the origins and our own addresses we do (RFC 826; RFC 4861, 7.2), where no data plane is joined and the host's own
 * kernel does not have them.  The answer names the link address that frames for us are to have.
 */

#define ARP_LEN 28u
#define NS_LEN 24u /* without options */
#define ND_SOLICIT 135
#define ND_ADVERT 136

static bool is_ours(const struct front *f, const uint8_t ip[16])
{
	if (ip_is_zero(ip))
		return false;
	for (unsigned i = 0; i < f->cfg.origins; i++)
		if (memcmp(f->cfg.origin[i].ip, ip, 16) == 0)
			return true;
	return memcmp(f->cfg.own_ip4, ip, 16) == 0 || memcmp(f->cfg.own_ip6, ip, 16) == 0;
}

/* The frame in hand, from its sender to us, turned round: its Ethernet header in a new packet of so many bytes behind it. */
static struct packet *answer_to(struct front *f, const struct packet *p, const struct view *v,
				uint32_t len)
{
	struct packet *q = outbox_make(front_box(f), FRONT_CLIENT, v->l3 + len);

	if (q == NULL) {
		count_drop(&f->env, R_OUTBOX_FULL);
		return NULL;
	}
	memcpy(q->head, p->head, v->l3);
	memcpy(q->head, p->head + 6, 6);
	memcpy(q->head + 6, f->own_mac, 6);
	count_event(&f->env, EV_MADE);
	return q;
}

static bool arp(struct front *f, const struct packet *p, const struct view *v)
{
	static const uint8_t request[8] = { 0, 1, 8, 0, 6, 4, 0, 1 };
	const uint8_t *a = p->head + v->l3;
	uint8_t target[16], *b;
	struct packet *q;

	if (load_be16(p->head + v->l3 - 2) != ETH_ARP || p->head_len < v->l3 + ARP_LEN ||
	    memcmp(a, request, sizeof request) != 0)
		return false;
	ip4_map(a + 24, target);
	if (!is_ours(f, target))
		return false;
	q = answer_to(f, p, v, ARP_LEN);
	if (q == NULL)
		return true;
	b = q->head + v->l3;
	memcpy(b, request, sizeof request);
	b[7] = 2;
	memcpy(b + 8, f->own_mac, 6);
	memcpy(b + 14, a + 24, 4);
	memcpy(b + 18, a + 8, 10);
	return true;
}

/* 40 bytes of IPv6, the advertisement, and our link address in an option. */
static void advertise(struct front *f, struct packet *q, const struct packet *p,
		      const struct view *v)
{
	const uint8_t *from = p->head + v->l3 + 8, *target = p->head + v->l4 + 8;
	uint8_t *ip = q->head + v->l3, *nd = ip + 40;
	struct view made = { .l3 = v->l3,
			     .l4 = (uint16_t)(v->l3 + 40),
			     .ip = 6,
			     .proto = IP_ICMP6,
			     .l4_len = NS_LEN + 8 };

	memset(ip, 0, 40 + NS_LEN + 8);
	ip[0] = 0x60;
	store_be16(ip + 4, NS_LEN + 8);
	ip[6] = IP_ICMP6;
	ip[7] = 255;
	memcpy(ip + 8, target, 16);
	memcpy(ip + 24, from, 16);
	nd[0] = ND_ADVERT;
	nd[4] = 0x60; /* solicited, override */
	memcpy(nd + 8, target, 16);
	nd[24] = 2;
	nd[25] = 1;
	memcpy(nd + 26, f->own_mac, 6);
	csum_icmp_fill(q, &made);
}

static bool solicited(struct front *f, const struct packet *p, const struct view *v)
{
	const uint8_t *ip = p->head + v->l3, *nd = p->head + v->l4;
	struct packet *q;

	if (v->ip != 6 || v->proto != IP_ICMP6 || v->fragment || v->l4_len < NS_LEN ||
	    p->head_len < v->l4 + v->l4_len || nd[0] != ND_SOLICIT || ip[7] != 255 ||
	    ip_is_zero(ip + 8) || !csum_icmp_ok(p, v) || !is_ours(f, nd + 8))
		return false;
	q = answer_to(f, p, v, 40 + NS_LEN + 8);
	if (q != NULL)
		advertise(f, q, p, v);
	return true;
}

bool near_answer(struct front *f, const struct packet *p, const struct view *v)
{
	if (front_joined(f, FRONT_PLANE) || !f->has_own_mac)
		return false;
	return v->ip == 0 ? arp(f, p, v) : solicited(f, p, v);
}
