/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

#include "proto/ip.h"

bool addr_is_any4(const uint8_t ip[16])
{
	return ip_is_mapped(ip) && load_be32(ip + 12) == 0;
}

bool addr_is_ours(const struct stack *s, const uint8_t ip[16])
{
	for (unsigned i = 0; i < s->cfg.nets; i++) {
		if (memcmp(s->cfg.net[i].ip, ip, 16) == 0)
			return true;
	}
	return false;
}

/* Is ip the all-ones or (as it once was) the all-zeros address of the IPv4 network n?  RFC 3021: a /31 has neither. */
static bool is_broadcast(const struct stack_net *n, const uint8_t ip[16])
{
	uint32_t host, mask;

	if (!ip_is_mapped(n->ip) || n->prefix >= 127 || !ip_same_net(n->ip, ip, n->prefix))
		return false;
	mask = UINT32_MAX >> (n->prefix - 96);
	host = load_be32(ip + 12) & mask;
	return host == 0 || host == mask;
}

bool addr_is_many(const struct stack *s, const uint8_t ip[16])
{
	if (!ip_is_mapped(ip))
		return ip[0] == 0xff;
	if (ip[12] >= 224)
		return true;
	for (unsigned i = 0; i < s->cfg.nets; i++) {
		if (is_broadcast(&s->cfg.net[i], ip))
			return true;
	}
	return false;
}

bool addr_is_peer(const struct stack *s, const uint8_t ip[16])
{
	static const uint8_t loopback[16] = { [15] = 1 };

	if (ip_is_mapped(ip) && (ip[12] == 0 || ip[12] == 127))
		return false;
	if (ip_is_zero(ip) || memcmp(ip, loopback, 16) == 0)
		return false;
	return !addr_is_many(s, ip) && !addr_is_ours(s, ip);
}
