/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

/* SipHash reads its key, its input and writes its output as little-endian 64-bit words. */
static uint64_t load_le64(const uint8_t *p)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static uint64_t rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static void rounds(uint64_t v[4], unsigned n)
{
	while (n-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

static void absorb(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	rounds(v, 2);
	v[0] ^= word;
}

/* The last word: what is left of the input, and the length's low byte on top. */
static uint64_t last_word(const uint8_t *p, size_t left, size_t len)
{
	uint64_t v = (uint64_t)(len & 0xff) << 56;

	for (size_t i = 0; i < left; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

uint64_t siphash(const uint8_t key[16], const void *p, size_t len)
{
	const uint8_t *at = p;
	uint64_t k0 = load_le64(key), k1 = load_le64(key + 8);
	uint64_t v[4] = {
		/* the ASCII text "somepseudorandomlygeneratedbytes" */
		k0 ^ 0x736f6d6570736575,
		k1 ^ 0x646f72616e646f6d,
		k0 ^ 0x6c7967656e657261,
		k1 ^ 0x7465646279746573,
	};
	size_t left = len;

	for (; left >= 8; left -= 8, at += 8)
		absorb(v, load_le64(at));
	absorb(v, last_word(at, left, len));
	v[2] ^= 0xff;
	rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void hash_key_next(struct hash_key *key)
{
	struct {
		struct hash_key old;
		uint64_t word;
	} in = { *key, 0 };
	uint8_t sip[16];

	memcpy(sip, key->k, sizeof sip);
	for (unsigned i = 0; i < ARRAY_LEN(key->k); i++) {
		in.word = i;
		key->k[i] = siphash(sip, &in, sizeof in);
	}
}
