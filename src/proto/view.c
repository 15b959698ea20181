/* SPDX-License-Identifier: MIT */
#include "proto/view.h"

/*
 * Theory of operation.  Nearly every frame is untagged IPv4 without options that carries TCP:
 * parse_plain() takes that one at fixed offsets and says yes or no.  Whatever it says no to,
 * healthy or not, goes the general way, which alone knows reasons; so the short way needs no
 * answer to "what is wrong", and the two cannot disagree about it.
 *
 * Invariants: v->ip is set only once the IP header (IPv4: with options) is known to lie in head;
 * v->l4 and l4_len only once l4 + l4_len is known to lie in the packet; v->tcp only once the TCP
 * header with its options lies in head.
 */
#include <assert.h>
#include <string.h>

#include "base/compiler.h"
#include "proto/ip.h"

#define ETH_QINQ_OLD 0x9100 /* outer tags of equipment older than 802.1ad */

static const struct view view_none = { .vlan = { VLAN_NONE, VLAN_NONE } };

/* Takes the fields of the TCP header at v->l4, which lies in head with doff bytes. */
SUT_INLINE void take_tcp(const struct packet *p, unsigned doff, struct view *v)
{
	const uint8_t *t = p->head + v->l4;
	uint32_t w = load_be32(t + 12); /* doff, flags, window */

	v->seq = load_be32(t + 4);
	v->ack = load_be32(t + 8);
	v->flags = (uint8_t)(w >> 16);
	v->window = (uint16_t)w;
	v->payload = (uint16_t)(v->l4 + doff);
	v->payload_len = v->l4_len - doff;
	v->tcp = true;
}

/* Untagged IPv4 without options, TCP, all well: true, and *v.  Else false, and *v as it was. */
SUT_INLINE bool parse_plain(const struct packet *p, struct view *v)
{
	enum { L3 = 14, L4 = L3 + 20 };
	const uint8_t *h = p->head;
	uint32_t total, doff;

	if (unlikely(p->head_len < L4 + 20))
		return false;
	/* Ether type, version and header length in one word; TOS is no matter. */
	if ((load_be32(h + 12) & 0xffffff00) != ((uint32_t)ETH_IP4 << 16 | 0x4500))
		return false;
	/* No fragment, in one word with the protocol; DF and TTL are no matter. */
	if ((load_be32(h + 20) & 0x3fff00ff) != IP_TCP)
		return false;
	total = load_be16(h + 16);
	doff = (uint32_t)(h[L4 + 12] >> 4) * 4;
	if (unlikely(total > packet_len(p) - L3 || doff < 20 || total < 20 + doff ||
		     L4 + doff > p->head_len))
		return false;
	*v = view_none;
	v->l3 = L3;
	v->l4 = L4;
	v->ip = 4;
	v->proto = IP_TCP;
	v->l4_len = total - 20;
	take_tcp(p, doff, v);
	return true;
}

static bool is_tag(unsigned type, unsigned depth)
{
	return type == ETH_VLAN || type == ETH_QINQ || (depth == 0 && type == ETH_QINQ_OLD);
}

/* Ethernet header and tags: leaves v->l3 behind them. */
static enum reason read_eth(const struct packet *p, struct view *v, unsigned *ret_type)
{
	uint32_t at = 12; /* of the ether type */
	unsigned type;

	if (p->head_len < at + 2)
		return R_ETH_SHORT;
	type = load_be16(p->head + at);
	while (is_tag(type, v->vlans)) {
		if (v->vlans == VLAN_TAGS_MAX)
			return R_ETH_TAGS;
		if (p->head_len < at + 6)
			return R_ETH_SHORT;
		v->vlan[v->vlans++] = load_be16(p->head + at + 2) & 0x0fff;
		at += 4;
		type = load_be16(p->head + at);
	}
	v->l3 = (uint16_t)(at + 2);
	*ret_type = type;
	return R_NONE;
}

static enum reason read_tcp(const struct packet *p, struct view *v)
{
	uint32_t in_head = p->head_len - v->l4, doff;

	if (v->l4_len < 20 || in_head < 20)
		return R_TCP_SHORT;
	doff = (uint32_t)(p->head[v->l4 + 12] >> 4) * 4;
	if (doff < 20 || doff > v->l4_len || doff > in_head)
		return R_TCP_DOFF;
	take_tcp(p, doff, v);
	return R_NONE;
}

/* What IP carries: v->l4, v->l4_len, v->proto and v->fragment are known. */
static enum reason read_l4(const struct packet *p, struct view *v)
{
	v->payload = v->l4;
	return v->proto == IP_TCP && !v->fragment ? read_tcp(p, v) : R_NONE;
}

static enum reason read_ip4(const struct packet *p, struct view *v)
{
	uint32_t in_head = p->head_len - v->l3;
	uint32_t avail = packet_len(p) - v->l3, ihl, total;
	const uint8_t *h = p->head + v->l3;

	if (in_head < sizeof(struct ipv4_hdr))
		return R_IP4_SHORT;
	if (h[0] >> 4 != 4)
		return R_IP4_VERSION;
	ihl = (h[0] & 15u) * 4;
	if (ihl < sizeof(struct ipv4_hdr) || ihl > in_head)
		return R_IP4_IHL;
	v->ip = 4;
	v->proto = h[9];
	total = load_be16(h + 2);
	if (total == 0 && p->off.gso_type != GSO_NONE)
		total = avail; /* a super-packet too long for the field */
	if (total > avail || total < ihl)
		return R_IP4_LEN;
	v->fragment = (load_be16(h + 6) & (IP4_MF | IP4_OFFSET)) != 0;
	v->l4 = (uint16_t)(v->l3 + ihl);
	v->l4_len = total - ihl;
	return read_l4(p, v);
}

static enum reason read_ip6(const struct packet *p, struct view *v)
{
	const uint32_t fixed = sizeof(struct ipv6_hdr);
	uint32_t in_head = p->head_len - v->l3;
	uint32_t avail = packet_len(p) - v->l3, len;
	const uint8_t *h = p->head + v->l3;
	struct ip6_chain c;
	enum reason r;

	if (in_head < fixed)
		return R_IP6_SHORT;
	if (h[0] >> 4 != 6)
		return R_IP6_VERSION;
	v->ip = 6;
	v->proto = h[6];
	in_head -= fixed;
	avail -= fixed;
	len = load_be16(h + 4);
	if (len == 0 && p->off.gso_type != GSO_NONE)
		len = avail; /* a super-packet too long for the field */
	if (len > avail)
		return R_IP6_LEN;
	r = ip6_chain_read(h[6], h + fixed, len < in_head ? len : in_head, &c);
	if (r != R_NONE)
		return r;
	v->proto = c.proto;
	v->fragment = c.frag != 0;
	v->l4 = (uint16_t)(v->l3 + fixed + c.len);
	v->l4_len = len - c.len;
	return read_l4(p, v);
}

static SUT_NOINLINE enum reason parse_any(const struct packet *p, struct view *v)
{
	unsigned type;
	enum reason r;

	*v = view_none;
	r = read_eth(p, v, &type);
	if (r != R_NONE)
		return r;
	if (type == ETH_IP4)
		return read_ip4(p, v);
	return type == ETH_IP6 ? read_ip6(p, v) : R_NONE;
}

enum reason view_parse(const struct packet *p, struct view *ret_v)
{
	return likely(parse_plain(p, ret_v)) ? R_NONE : parse_any(p, ret_v);
}

enum reason view_parse_ip(const struct packet *p, struct view *ret_v)
{
	*ret_v = view_none;
	if (p->head_len < 1)
		return R_IP4_SHORT;
	return p->head[0] >> 4 == 6 ? read_ip6(p, ret_v) : read_ip4(p, ret_v);
}

enum reason view_options(const struct packet *p, const struct view *v, struct tcp_options *ret_opts)
{
	return tcp_options_read(p->head + v->l4 + sizeof(struct tcp_hdr), view_options_len(v),
				ret_opts);
}

void view_payload_copy(const struct packet *p, const struct view *v, uint32_t at, uint32_t n,
		       uint8_t *ret_bytes)
{
	uint32_t from = v->payload + at, first = 0;

	assert(at <= v->payload_len && n <= v->payload_len - at);
	if (from < p->head_len) {
		first = p->head_len - from < n ? p->head_len - from : n;
		memcpy(ret_bytes, p->head + from, first);
	}
	if (n > first)
		memcpy(ret_bytes + first, p->body + (from + first - p->head_len), n - first);
}

void view_addrs(const struct packet *p, const struct view *v, uint8_t ret_src[16],
		uint8_t ret_dst[16])
{
	const uint8_t *h = p->head + v->l3;

	assert(v->ip == 4 || v->ip == 6);
	if (v->ip == 6) {
		memcpy(ret_src, h + offsetof(struct ipv6_hdr, src), 16);
		memcpy(ret_dst, h + offsetof(struct ipv6_hdr, dst), 16);
		return;
	}
	ip4_map(h + offsetof(struct ipv4_hdr, src), ret_src);
	ip4_map(h + offsetof(struct ipv4_hdr, dst), ret_dst);
}
