/* SPDX-License-Identifier: MIT */
#include "core/make.h"

#include <assert.h>
#include <string.h>

#include "proto/checksum.h"
#include "proto/icmp.h"
#include "proto/ip.h"

#define ETH_ADDRS 12u /* both link addresses */
#define V4_IN_16 12u /* where the IPv4 address lies in a v4-mapped one */
#define TTL_DEFAULT 64
#define ECN_BITS 3u
#define TOS_ICMP_ERROR 0xc0 /* precedence 6: RFC 1812, 4.3.2.5 */
#define ICMP4_MAX 576u /* IP bytes of an ICMP error at most: RFC 1812, 4.3.2.3, */
#define ICMP6_MAX 1280u /* and RFC 4443, 2.4(c) */

static void swap_bytes(uint8_t *ret_to, const uint8_t *from, size_t n)
{
	memcpy(ret_to, from + n, n);
	memcpy(ret_to + n, from, n);
}

void lane_learn(struct lane *l, const struct packet *p, const struct view *v)
{
	const uint8_t *ip = p->head + v->l3;
	const struct tcp_hdr *h = (const struct tcp_hdr *)(const void *)(p->head + v->l4);

	assert(v->tcp && v->l3 <= sizeof l->eth);
	*l = (struct lane){ .eth_len = (uint8_t)v->l3, .ip = v->ip };
	memcpy(l->eth, p->head, v->l3);
	view_addrs(p, v, l->src, l->dst);
	l->sport = be16_get(h->sport);
	l->dport = be16_get(h->dport);
	/* ECN marks belong to one packet: ECT is not for pure ACKs and SYNs (RFC 3168, 6.1), CE was set on the way. */
	if (v->ip == 4) {
		l->ttl = ((const struct ipv4_hdr *)(const void *)ip)->ttl;
		l->tos = (uint8_t)(((const struct ipv4_hdr *)(const void *)ip)->tos & ~ECN_BITS);
	} else {
		uint32_t first = load_be32(ip);

		l->ttl = ((const struct ipv6_hdr *)(const void *)ip)->hop_limit;
		l->tos = (uint8_t)(first >> 20 & 0xff & ~ECN_BITS);
		l->flow_label = first & 0xfffff;
	}
}

void lane_reverse(const struct lane *l, struct lane *ret_l)
{
	struct lane r = *l;

	swap_bytes(r.eth, l->eth, ETH_ADDRS / 2);
	memcpy(r.src, l->dst, sizeof r.src);
	memcpy(r.dst, l->src, sizeof r.dst);
	r.sport = l->dport;
	r.dport = l->sport;
	r.ttl = TTL_DEFAULT;
	r.flow_label = 0;
	*ret_l = r;
}

static uint32_t ip_hdr_len(uint8_t ip)
{
	return ip == 4 ? sizeof(struct ipv4_hdr) : sizeof(struct ipv6_hdr);
}

/* Writes the link and IP headers of l in front of l4_len bytes of proto; v learns where they are. */
static void put_headers(struct packet *p, const struct lane *l, enum ip_proto proto,
			uint32_t l4_len, struct view *v)
{
	*v = (struct view){
		.l3 = l->eth_len,
		.l4 = (uint16_t)(l->eth_len + ip_hdr_len(l->ip)),
		.ip = l->ip,
		.proto = (uint8_t)proto,
		.vlans = (uint8_t)((l->eth_len - sizeof(struct eth_hdr)) / sizeof(struct vlan_tag)),
		.vlan = { VLAN_NONE, VLAN_NONE },
		.l4_len = l4_len,
	};
	memcpy(p->head, l->eth, l->eth_len);
	if (l->ip == 4) {
		struct ipv4_hdr h = {
			.ver_ihl = 0x45,
			.tos = l->tos,
			.len = be16_of((uint16_t)(sizeof h + l4_len)),
			.frag = be16_of(IP4_DF), /* so id may be 0: RFC 6864, 4.1 */
			.ttl = l->ttl,
			.proto = (uint8_t)proto,
		};

		memcpy(h.src, l->src + V4_IN_16, sizeof h.src);
		memcpy(h.dst, l->dst + V4_IN_16, sizeof h.dst);
		memcpy(p->head + v->l3, &h, sizeof h);
		csum_ip_fill(p, v);
	} else {
		struct ipv6_hdr h = {
			.ver_tc_flow = be32_of(6u << 28 | (uint32_t)l->tos << 20 |
					       (l->flow_label & 0xfffff)),
			.payload_len = be16_of((uint16_t)l4_len),
			.next = (uint8_t)proto,
			.hop_limit = l->ttl,
		};

		memcpy(h.src, l->src, sizeof h.src);
		memcpy(h.dst, l->dst, sizeof h.dst);
		memcpy(p->head + v->l3, &h, sizeof h);
	}
}

bool make_tcp(struct outbox *o, unsigned port, const struct lane *l, const struct make_tcp *m)
{
	uint32_t hdr_len = (uint32_t)sizeof(struct tcp_hdr) + m->options_len;
	uint32_t l3_len = l->eth_len + ip_hdr_len(l->ip);
	struct tcp_hdr h = {
		.sport = be16_of(l->sport),
		.dport = be16_of(l->dport),
		.seq = be32_of(m->seq),
		.ack = be32_of(m->ack),
		.doff = (uint8_t)(hdr_len / 4 << 4),
		.flags = m->flags,
		.window = be16_of(m->window),
	};
	struct packet *p;
	struct view v;
	uint8_t *at;

	assert(m->options_len % 4 == 0 && m->options_len <= 40);
	if (m->payload_len > OUTBOX_SLOT)
		return false;
	p = outbox_make(o, port, l3_len + hdr_len + m->payload_len);
	if (p == NULL)
		return false;
	put_headers(p, l, IP_TCP, hdr_len + m->payload_len, &v);
	v.payload = (uint16_t)(v.l4 + hdr_len);
	v.payload_len = m->payload_len;
	v.tcp = true;

	at = p->head + v.l4;
	memcpy(at, &h, sizeof h);
	if (m->options_len != 0)
		memcpy(at + sizeof h, m->options, m->options_len);
	if (m->payload_len != 0)
		memcpy(at + hdr_len, m->payload, m->payload_len);
	csum_tcp_fill(p, &v);
	return true;
}

void make_ts_option(uint8_t ret_opt[12], uint32_t tsval, uint32_t tsecr)
{
	ret_opt[0] = TCPOPT_NOP;
	ret_opt[1] = TCPOPT_NOP;
	ret_opt[2] = TCPOPT_TIMESTAMPS;
	ret_opt[3] = 10;
	store_be32(ret_opt + 4, tsval);
	store_be32(ret_opt + 8, tsecr);
}

/* Copies n bytes from offset at of the frame out of head and body. */
static void copy_frame(const struct packet *p, uint32_t at, uint32_t n, uint8_t *ret_bytes)
{
	uint32_t in_head = p->head_len - at < n ? p->head_len - at : n;

	memcpy(ret_bytes, p->head + at, in_head);
	if (n > in_head)
		memcpy(ret_bytes + in_head, p->body, n - in_head);
}

/* How an error about v goes back to its sender, in the name of its destination. */
static void lane_of_error(struct lane *l, const struct packet *p, const struct view *v)
{
	*l = (struct lane){
		.eth_len = (uint8_t)v->l3,
		.ip = v->ip,
		.ttl = TTL_DEFAULT,
		.tos = v->ip == 4 ? TOS_ICMP_ERROR : 0,
	};
	memcpy(l->eth, p->head, v->l3);
	swap_bytes(l->eth, p->head, ETH_ADDRS / 2);
	view_addrs(p, v, l->dst, l->src);
}

bool make_too_big(struct outbox *o, unsigned port, const struct packet *p, const struct view *v,
		  uint32_t mtu)
{
	uint32_t max = v->ip == 4 ? ICMP4_MAX : ICMP6_MAX;
	uint32_t quote = v->l4 - v->l3 + v->l4_len;
	uint32_t above = ip_hdr_len(v->ip) + (uint32_t)sizeof(struct icmp_hdr);
	struct icmp_hdr h = {
		.type = v->ip == 4 ? 3 : 2,
		.code = v->ip == 4 ? 4 : 0,
		.rest = be32_of(v->ip == 4 && mtu > 0xffff ? 0xffff : mtu),
	};
	struct lane l;
	struct view made;
	struct packet *q;

	assert(v->ip != 0 && v->l3 <= sizeof l.eth);
	if (quote > max - above)
		quote = max - above;
	if (quote > packet_len(p) - v->l3)
		quote = packet_len(p) - v->l3;
	lane_of_error(&l, p, v);
	q = outbox_make(o, port, l.eth_len + above + quote);
	if (q == NULL)
		return false;
	put_headers(q, &l, v->ip == 4 ? IP_ICMP : IP_ICMP6, (uint32_t)sizeof h + quote, &made);
	memcpy(q->head + made.l4, &h, sizeof h);
	copy_frame(p, v->l3, quote, q->head + made.l4 + sizeof h);
	csum_icmp_fill(q, &made);
	return true;
}
