/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "proto/checksum.h"
#include "proto/icmp.h"
#include "role/handoff/front_inside.h"

/*
 * Rule 9: errors about what a back end sends come here, since it sends in the origin's name.  They belong to the hand-off whose client is where the
 * quoted packet went.  Where the back end sends the packets as they were quoted (adopt; shift, whose agent knows the shift) the error goes there as
 * it is, or, where that is behind a router, to its own address, quoted as sent from there.  Of a splice the quoted packet is turned into what the back end had sent, and the error into one to it.  The other way round, what was sent
 * from our own address to a splice's back end was the client's.
 *
 * Errors about connections in the stack are the stack's.
 */

struct quoted {
	struct way_key key; /* the packet, as it was quoted */
	uint32_t seq;
};

static void set_addr(uint8_t *ip, unsigned version, bool dst, const uint8_t addr[16])
{
	if (version == 4)
		memcpy(ip + (dst ? 16 : 12), addr + 12, 4);
	else
		memcpy(ip + (dst ? 24 : 8), addr, 16);
}

/* Rewrites the quoted packet, and the error's destination, which is the quoted source. */
static void rewrite(struct packet *p, struct view *v, const struct icmp_error *e,
		    const struct quoted *q)
{
	uint8_t *inner = p->head + e->quote, *t = p->head + e->quote_l4;
	struct view quoted = { .l3 = e->quote, .l4 = e->quote_l4, .ip = v->ip };

	set_addr(inner, v->ip, false, q->key.src);
	set_addr(inner, v->ip, true, q->key.dst);
	memcpy(t, &q->key.sport, 2);
	memcpy(t + 2, &q->key.dport, 2);
	store_be32(t + 4, q->seq);
	csum_ip_fill(p, &quoted);
	set_addr(p->head + v->l3, v->ip, true, q->key.src);
	csum_ip_fill(p, v);
	csum_icmp_fill(p, v);
}

static void send(struct front *f, struct packet *p, unsigned port, const uint8_t dst[6],
		 const uint8_t src[6])
{
	memcpy(p->head, dst, 6);
	memcpy(p->head + 6, src, 6);
	outbox_put(f->out, port, p);
	count_event(&f->env, EV_ICMP_FORWARDED);
}

/* About a packet to the client. */
static void to_backend(struct front *f, const struct hand *h, struct packet *p, struct view *v,
		       const struct icmp_error *e)
{
	const struct face *b = hand_face_const(f, h);
	struct quoted q = { .seq = e->seq };

	if (h->rung == RUNG_SPLICE) {
		q.key = h->key[BACK];
		q.seq += h->far_isn + 1 - h->d.snd_nxt;
		rewrite(p, v, e, &q);
	} else if (backend_cfg(f, h->backend)->far_host) {
		const struct stack_addr *at = hand_at(f, h);

		key_reverse(&h->key[CLIENT], &q.key);
		memcpy(q.key.src, at->ip, 16);
		q.key.sport = net16(at->port);
		rewrite(p, v, e, &q);
	}
	send(f, p, back_port(f), b->mac, b->via);
}

/* About a packet of the client's, from our own address to a splice's back end. */
static void to_client(struct front *f, const struct hand *h, struct packet *p, struct view *v,
		      const struct icmp_error *e)
{
	struct quoted q = { .key = h->key[CLIENT], .seq = e->seq };

	rewrite(p, v, e, &q);
	send(f, p, FRONT_CLIENT, h->lane.eth + 6, h->lane.eth);
}

bool icmp_forward(struct front *f, struct packet *p, const struct view *v)
{
	struct icmp_error e;
	struct way_key k = { 0 };
	struct view at = *v;
	enum side side;
	const struct hand *h;

	if (v->ip == 0 || v->fragment || v->proto != (v->ip == 4 ? IP_ICMP : IP_ICMP6) ||
	    p->body_len != 0 || icmp_error_read(p, v, &e) != R_NONE || e.kind == ICMP_OTHER)
		return false;
	/* Whoever answers what was quoted: its packets have the ends exchanged. */
	memcpy(k.src, e.dst, 16);
	memcpy(k.dst, e.src, 16);
	k.sport = net16(e.dport);
	k.dport = net16(e.sport);
	h = hand_find(f, &k, &side);
	if (h == NULL || !(h->flags & HF_LAID) || (h->flags & HF_PROBE))
		return false;
	if (!csum_icmp_ok(p, v)) {
		count_drop(&f->env, R_ICMP_CSUM);
		return true;
	}
	if (side == CLIENT)
		to_backend(f, h, p, &at, &e);
	else
		to_client(f, h, p, &at, &e);
	return true;
}
