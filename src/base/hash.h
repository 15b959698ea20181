/* SPDX-License-Identifier: MIT */
#ifndef SUT_BASE_HASH_H
#define SUT_BASE_HASH_H
/*
 * hash - a keyed multiply-fold for tables (fast, not a MAC), and SipHash-2-4 for what a peer must not guess.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

struct hash_key { uint64_t k[5]; };	/* random; each word odd or not as it comes */

/* a * b as 128 bits, the halves xored. */
SUT_INLINE uint64_t hash_fold(uint64_t a, uint64_t b)
{
	__extension__ unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Hash of the 40 bytes at p (any alignment, native word order).  For tables only. */
SUT_INLINE uint64_t hash40(const struct hash_key *key, const void *p)
{
	const uint8_t *b = p;
	uint64_t w0, w1, w2, w3, w4;	/* not an array: compilers would lay it down in memory */

	memcpy(&w0, b, 8);
	memcpy(&w1, b + 8, 8);
	memcpy(&w2, b + 16, 8);
	memcpy(&w3, b + 24, 8);
	memcpy(&w4, b + 32, 8);
	return hash_fold(hash_fold(w0 ^ key->k[0], w1 ^ key->k[1]) ^ w4,
			 hash_fold(w2 ^ key->k[2], w3 ^ key->k[3]) ^ key->k[4]);
}

/*
 * Replaces a table's key by the next one: SipHash of the old one, so that who knows neither learns nothing
 * of the new one.
 */
void hash_key_next(struct hash_key *key);

/*
 * SipHash-2-4 (Aumasson, Bernstein 2012) of len bytes at p under a 16-byte key.  Used for promised ISNs,
 * cookies and MACs; checked against the published vectors.  The eight bytes of its output, read as little-endian.
 */
uint64_t siphash(const uint8_t key[16], const void *p, size_t len);
#endif
