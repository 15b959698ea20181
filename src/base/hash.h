/* SPDX-License-Identifier: MIT */
#ifndef SUT_BASE_HASH_H
#define SUT_BASE_HASH_H
/*
 * hash - a keyed multiply-fold for tables (fast, not a MAC), and SipHash-2-4 for what a peer
 * must not guess.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

struct hash_key {
	uint64_t k[5];
}; /* random; each word odd or not as it comes */

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
	uint64_t x = hash_fold(mem_load64(b) ^ key->k[0], mem_load64(b + 8) ^ key->k[1]);
	uint64_t y = hash_fold(mem_load64(b + 16) ^ key->k[2], mem_load64(b + 24) ^ key->k[3]);

	return hash_fold(x ^ mem_load64(b + 32), y ^ key->k[4]);
}

/*
 * Replaces a table's key by the next one: SipHash of the old one, so that who knows neither
 * learns nothing of the new one.
 */
void hash_key_next(struct hash_key *key);

/*
 * SipHash-2-4 (Aumasson, Bernstein 2012) of len bytes at p under a 16-byte key.  Used for
 * promised ISNs, cookies and MACs; checked against the published vectors.  The eight bytes of
 * its output, read as little-endian.
 */
uint64_t siphash(const uint8_t key[16], const void *p, size_t len);
#endif
