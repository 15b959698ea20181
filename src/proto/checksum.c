/* SPDX-License-Identifier: MIT */
#include "proto/checksum.h"

uint64_t csum_add(uint64_t sum, const void *p, size_t len)
{
	const uint8_t *b = p;

	for (; len > 1; b += 2, len -= 2)
		sum += load_be16(b);
	if (len)
		sum += (uint64_t)b[0] << 8;
	return sum;
}
