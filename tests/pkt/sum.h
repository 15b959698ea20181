/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_SUM_H
#define SUT_PKT_SUM_H
/*
 * sum - the Internet checksum (RFC 1071) as a beginner would write it: a second opinion on
 * proto/checksum.h.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Adds n bytes, the first one in the high half. */
static inline uint32_t sum_add(uint32_t sum, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += (uint32_t)(i % 2 ? b[i] : b[i] << 8);
	return sum;
}

static inline uint16_t sum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Over addresses of 16 bytes (IPv4 as v4-mapped), protocol and length; folded. */
static inline uint16_t sum_pseudo(const uint8_t src[16], const uint8_t dst[16], bool ip6,
				  uint8_t proto, size_t len)
{
	uint32_t sum = (uint32_t)(proto + (len & 0xffff) + (len >> 16));

	sum = sum_add(sum, ip6 ? src : src + 12, ip6 ? 16 : 4);
	return sum_fold(sum_add(sum, ip6 ? dst : dst + 12, ip6 ? 16 : 4));
}
#endif
