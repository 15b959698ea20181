/* SPDX-License-Identifier: MIT */
#ifndef SUT_BASE_BE_H
#define SUT_BASE_BE_H
/*
 * be - big-endian fields as byte structs, and loads and stores at any alignment.
 *
 * A field of type be16 or be32 has alignment 1, so a wire header is a plain struct of them: no packed
 * attribute, no aliasing exception.  Values leave and enter in host order only.
 */
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

typedef struct {
	uint8_t b[2];
} be16;
typedef struct {
	uint8_t b[4];
} be32;

/* The 16 bits at p, which may be unaligned, in host order. */
static inline uint16_t load_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* The 32 bits at p, which may be unaligned, in host order. */
static inline uint32_t load_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Writes v to the 2 bytes at p, most significant first. */
static inline void store_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Writes v to the 4 bytes at p, most significant first. */
static inline void store_be32(uint8_t *p, uint32_t v)
{
	/* two neighbours written byte by byte become forty instructions (gcc 12) */
	v = be_swap32(v);
	memcpy(p, &v, sizeof v);
}

static inline uint16_t be16_get(be16 f)
{
	return load_be16(f.b);
}

static inline uint32_t be32_get(be32 f)
{
	return load_be32(f.b);
}

static inline be16 be16_of(uint16_t v)
{
	return (be16){ { (uint8_t)(v >> 8), (uint8_t)v } };
}

static inline be32 be32_of(uint32_t v)
{
	return (be32){ { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v } };
}
#endif
