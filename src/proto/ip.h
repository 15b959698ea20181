/* SPDX-License-Identifier: MIT */
#ifndef SUT_PROTO_IP_H
#define SUT_PROTO_IP_H
/* ip - Ethernet, VLAN, IPv4, IPv6 headers as on the wire, and the IPv6 extension header chain. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/be.h"
#include "base/reason.h"

/* clang-format off */
enum ether_type {
	ETH_IP4 = 0x0800, ETH_ARP = 0x0806, ETH_IP6 = 0x86dd,
	ETH_VLAN = 0x8100,	/* 802.1Q */
	ETH_QINQ = 0x88a8,	/* 802.1ad */
};

enum ip_proto { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17, IP_ICMP6 = 58 };
/* clang-format on */

struct eth_hdr {
	uint8_t dst[6], src[6];
	be16 type;
};

struct vlan_tag { /* stands between src and type: its ether type comes first */
	be16 tpid, tci;
};

struct ipv4_hdr { /* RFC 791 */
	uint8_t ver_ihl;
	uint8_t tos;
	be16 len;
	be16 id;
	be16 frag; /* flags << 13 | offset in 8-byte units */
	uint8_t ttl;
	uint8_t proto;
	be16 csum;
	uint8_t src[4], dst[4];
};

enum { IP4_DF = 0x4000, IP4_MF = 0x2000, IP4_OFFSET = 0x1fff };

struct ipv6_hdr { /* RFC 8200 */
	be32 ver_tc_flow;
	be16 payload_len;
	uint8_t next;
	uint8_t hop_limit;
	uint8_t src[16], dst[16];
};

_Static_assert(sizeof(struct eth_hdr) == 14 && sizeof(struct vlan_tag) == 4 &&
		       sizeof(struct ipv4_hdr) == 20 && sizeof(struct ipv6_hdr) == 40,
	       "wire headers have no padding");

/* Is the address of 16 bytes a v4-mapped IPv6 address (RFC 4291, 2.5.5.2)? */
static inline bool ip_is_mapped(const uint8_t addr[16])
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(addr, prefix, sizeof prefix) == 0;
}

/* Is it the unspecified address (::)?  0.0.0.0 is not. */
static inline bool ip_is_zero(const uint8_t addr[16])
{
	static const uint8_t zero[16];

	return memcmp(addr, zero, sizeof zero) == 0;
}

/* Have two addresses the same first bits, of 128? */
bool ip_same_net(const uint8_t a[16], const uint8_t b[16], unsigned bits);

/* Copies the address of 4 bytes at ip4 as a v4-mapped IPv6 address (RFC 4291, 2.5.5.2). */
void ip4_map(const uint8_t *ip4, uint8_t ret_addr[16]);

/* What stands behind the extension headers of an IPv6 packet. */
struct ip6_chain {
	uint8_t proto; /* what follows the chain */
	uint16_t len; /* bytes of the chain; 0: there is none */
	uint16_t frag; /* offset and M of the fragment header that ended the chain; else 0 */
};

/*
 * Walks the extension headers (hop-by-hop, routing, destination, AH, fragment) in the n bytes at
 * h, the first of which is of kind next.  Ends at whatever else is found, and at a fragment
 * header, but for one of offset 0 without more (RFC 6946).  R_NONE or R_IP6_EXT: cut short, or more
 * than eight.
 */
enum reason ip6_chain_read(uint8_t next, const uint8_t *h, uint32_t n, struct ip6_chain *ret_c);

/*
 * The destination that the pseudo-header means (RFC 8200, 8.1): the last one of a routing header
 * that is still to be followed (types 0, 2 and 4), else the header's.  n bytes at ip6, a header
 * and its chain, were read before.
 */
const uint8_t *ip6_final_dst(const uint8_t *ip6, uint32_t n);
#endif
