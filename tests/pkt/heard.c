/* SPDX-License-Identifier: MIT */
#include "heard.h"

#include <string.h>

#include "base/be.h"
#include "proto/ip.h"
#include "sum.h"

static bool read_ip4(const uint8_t *b, size_t n, struct heard *h, size_t *ret_l4, struct fault *f)
{
	size_t ihl = (size_t)(b[0] & 15) * 4, len = load_be16(b + 2);

	if (n < 20 || b[0] >> 4 != 4 || ihl < 20 || len < ihl || len > n)
		return fault_say(f, "the IPv4 header is damaged");
	h->tos = b[1];
	h->frag = (load_be16(b + 6) & (IP4_MF | IP4_OFFSET)) != 0;
	h->df = (load_be16(b + 6) & IP4_DF) != 0;
	h->ttl = b[8];
	h->proto = b[9];
	h->ipopt = ihl > 20;
	h->ip_csum_ok = sum_fold(sum_add(0, b, ihl)) == 0xffff;
	memset(h->src, 0, 12);
	memset(h->src + 10, 0xff, 2);
	memcpy(h->dst, h->src, 12);
	memcpy(h->src + 12, b + 12, 4);
	memcpy(h->dst + 12, b + 16, 4);
	*ret_l4 = ihl;
	h->l4_len = len - ihl;
	return true;
}

static bool read_ip6(const uint8_t *b, size_t n, struct heard *h, size_t *ret_l4, struct fault *f)
{
	size_t at = 40, len = (size_t)load_be16(b + 4) + 40, next;

	if (n < 40 || b[0] >> 4 != 6 || len > n)
		return fault_say(f, "the IPv6 header is damaged");
	h->tos = (uint8_t)(load_be16(b) >> 4);
	h->df = true; /* routers cut no IPv6 packet */
	h->ttl = b[7];
	h->proto = b[6];
	h->ip_csum_ok = true;
	memcpy(h->src, b + 8, 16);
	memcpy(h->dst, b + 24, 16);
	while (h->proto == 0 || h->proto == 43 || h->proto == 60 || h->proto == 44) {
		if (at + 8 > len || h->exts == sizeof h->ext)
			return fault_say(f, "IPv6 extension headers are damaged");
		h->frag |= h->proto == 44;
		if (h->proto != 44)
			h->ext[h->exts++] = h->proto;
		next = at + 8 + 8u * (h->proto == 44 ? 0 : b[at + 1]);
		h->proto = b[at];
		at = next;
	}
	if (at > len)
		return fault_say(f, "IPv6 extension headers are damaged");
	*ret_l4 = at;
	h->l4_len = len - at;
	return true;
}

bool heard_read(const uint8_t *b, size_t n, struct heard *ret_h, struct fault *f)
{
	struct heard h = { .eth = b };
	size_t at = 12, l4 = 0;
	uint16_t type;

	if (n < 14)
		return fault_say(f, "the frame is shorter than an Ethernet header");
	while ((type = load_be16(b + at)) == ETH_VLAN || type == ETH_QINQ) {
		if (h.vlans == 2 || at + 6 > n)
			return fault_say(f, "the VLAN tags are damaged");
		h.vlan[h.vlans++] = load_be16(b + at + 2) & 0xfff;
		at += 4;
	}
	at += 2;
	h.ip = type == ETH_IP4 ? 4 : type == ETH_IP6 ? 6 : 0;
	if (h.ip == 4 && !read_ip4(b + at, n - at, &h, &l4, f))
		return false;
	if (h.ip == 6 && !read_ip6(b + at, n - at, &h, &l4, f))
		return false;
	h.l4_off = at + l4;
	h.l4 = b + h.l4_off;
	if (h.ip != 0) {
		h.pseudo = sum_pseudo(h.src, h.dst, h.ip == 6, h.proto, h.l4_len);
		h.sum = sum_fold(sum_add(h.proto == IP_ICMP ? 0 : h.pseudo, h.l4, h.l4_len));
	}
	*ret_h = h;
	return true;
}
