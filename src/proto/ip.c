/* SPDX-License-Identifier: MIT */
#include "proto/ip.h"

#include <stddef.h>

#define CHAIN_MAX 8 /* headers: each of the five kinds once, and some room */

enum ext_kind { /* RFC 8200, 4; RFC 4302 */
		EXT_HOPOPTS = 0,
		EXT_ROUTING = 43,
		EXT_FRAGMENT = 44,
		EXT_AH = 51,
		EXT_DSTOPTS = 60,
};

/* Offset in 8-byte units << 3, and M; two bits between them are reserved. */
#define FRAG_MASK 0xfff9u

enum routing_type {
	ROUTING_SOURCE = 0, /* RFC 2460: addresses in order of travel */
	ROUTING_MOBILE = 2, /* RFC 6275: one address */
	ROUTING_SEGMENTS = 4, /* RFC 8754: addresses, last one of the path first */
};

void ip4_map(const uint8_t *ip4, uint8_t ret_addr[16])
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	memcpy(ret_addr, prefix, sizeof prefix);
	memcpy(ret_addr + sizeof prefix, ip4, 4);
}

bool ip_same_net(const uint8_t a[16], const uint8_t b[16], unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

/*
 * Bytes of the extension header of this kind whose length byte is n; 0 if kind is no such header.
 */
static uint32_t ext_len(unsigned kind, uint8_t n)
{
	switch (kind) {
	case EXT_HOPOPTS:
	case EXT_ROUTING:
	case EXT_DSTOPTS:
		return (n + 1u) * 8;
	case EXT_FRAGMENT:
		return 8;
	case EXT_AH:
		return (n + 2u) * 4;
	default:
		return 0;
	}
}

enum reason ip6_chain_read(uint8_t next, const uint8_t *h, uint32_t n, struct ip6_chain *ret_c)
{
	unsigned count = 0, frag = 0;
	uint32_t at = 0, len;

	while (ext_len(next, 0) && !frag) {
		if (count++ == CHAIN_MAX || n - at < 8)
			return R_IP6_EXT;
		len = ext_len(next, h[at + 1]);
		if (len > n - at)
			return R_IP6_EXT;
		if (next == EXT_FRAGMENT)
			frag = load_be16(h + at + 2) & FRAG_MASK;
		next = h[at];
		at += len;
	}
	*ret_c = (struct ip6_chain){ next, (uint16_t)at, (uint16_t)frag };
	return R_NONE;
}

/*
 * The last address that the routing header of len bytes at r leads to; NULL if it is followed
 * already.
 */
static const uint8_t *routing_last(const uint8_t *r, uint32_t len)
{
	uint32_t addrs = (len - 8) / 16;

	if (r[3] == 0 || addrs == 0)
		return NULL;
	switch (r[2]) {
	case ROUTING_SOURCE:
	case ROUTING_MOBILE:
		return r + 8 + (addrs - 1) * 16;
	case ROUTING_SEGMENTS:
		return r + 8;
	default:
		return NULL;
	}
}

const uint8_t *ip6_final_dst(const uint8_t *ip6, uint32_t n)
{
	const uint8_t *dst = ip6 + offsetof(struct ipv6_hdr, dst);
	uint8_t next = ip6[offsetof(struct ipv6_hdr, next)];
	uint32_t at = sizeof(struct ipv6_hdr), len;

	for (; at + 8 <= n; at += len) {
		const uint8_t *last = NULL;

		len = ext_len(next, ip6[at + 1]);
		if (len == 0 || len > n - at)
			break;
		if (next == EXT_ROUTING)
			last = routing_last(ip6 + at, len);
		if (last)
			dst = last;
		next = ip6[at];
	}
	return dst;
}
