/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * An error about a segment of the host's quotes it as the client would have read it: the origin's address, the front end's numbering.  The
 * host's TCP looks whether the quoted seq is one that it has sent, so it must read its own, and its own address, or a
 * router's "too big" is as lost as if nobody had sent it.
 */
#include <string.h>

#include "proto/checksum.h"
#include "proto/icmp.h"
#include "proto/ip.h"
#include "role/handoff/back_inside.h"

/* The client's direction of the quoted segment, which travelled to the client. */
static void key_of(const struct icmp_error *e, struct way_key *ret_in)
{
	memset(ret_in, 0, sizeof *ret_in);
	memcpy(ret_in->src, e->dst, 16);
	memcpy(ret_in->dst, e->src, 16);
	store_be16((uint8_t *)&ret_in->sport, e->dport);
	store_be16((uint8_t *)&ret_in->dport, e->sport);
}

/* An IPv4 header's address, its sum by the difference: the quoted one may have been wrong before. */
static void set_ip4(uint8_t *ip, size_t at, const uint8_t *new)
{
	struct csum_delta d = { 0 };

	csum_swap32(&d, load_be32(ip + at), load_be32(new), false);
	memcpy(ip + at, new, 4);
	csum_apply(ip + offsetof(struct ipv4_hdr, csum), &(struct offload){ .csum = CSUM_COMPLETE },
		   d);
}

/* To the host's own address, quoting a segment that it sent from there. */
static void readdress(struct packet *p, const struct view *v, const struct icmp_error *e,
		      const struct way *w)
{
	uint8_t *l3 = p->head + v->l3, *quote = p->head + e->quote;

	if (v->ip == 4) {
		set_ip4(l3, offsetof(struct ipv4_hdr, dst), w->new_dst + 12);
		set_ip4(quote, offsetof(struct ipv4_hdr, src), w->new_dst + 12);
	} else {
		memcpy(l3 + offsetof(struct ipv6_hdr, dst), w->new_dst, 16);
		memcpy(quote + offsetof(struct ipv6_hdr, src), w->new_dst, 16);
	}
	memcpy(p->head + e->quote_l4, &w->new_dport, 2);
	csum_icmp_fill(p, v);
}

bool back_icmp(struct back_turn *t, struct packet *p, const struct view *v)
{
	struct way_key in;
	const struct way *w;
	struct icmp_error e;

	if (v->ip == 0 || v->fragment || v->proto != (v->ip == 4 ? IP_ICMP : IP_ICMP6) ||
	    p->body_len != 0 || icmp_error_read(p, v, &e) != R_NONE || e.kind == ICMP_OTHER ||
	    !csum_icmp_ok(p, v))
		return false;
	key_of(&e, &in);
	w = plane_get(back_plane(t->b), &in);
	if (!w || !(w->flags & WAY_SHIFT))
		return false;
	icmp_error_set_seq(p, v, &e, e.seq + w->ack);
	if (w->flags & WAY_DST)
		readdress(p, v, &e, w);
	count_event(t->b->env, EV_TRANSLATED);
	return true;
}
