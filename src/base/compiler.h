/* SPDX-License-Identifier: MIT */
#ifndef SUT_BASE_COMPILER_H
#define SUT_BASE_COMPILER_H
/* compiler - the only place where GNU extensions are named. */

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define prefetch(p) __builtin_prefetch(p)
#define prefetch_write(p) __builtin_prefetch((p), 1)

#define SUT_INLINE static inline __attribute__((always_inline))
#define SUT_NOINLINE __attribute__((noinline))
#define SUT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define SUT_FALLTHROUGH __attribute__((fallthrough))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* v with the bytes in memory most significant first: the same number on a big-endian machine. */
SUT_INLINE uint32_t be_swap32(uint32_t v)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap32(v);
#else
	return v;
#endif
}

/* The eight bytes that two words in memory, one behind the other, are. */
SUT_INLINE uint64_t mem_pair(uint32_t first, uint32_t second)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (uint64_t)second << 32 | first;
#else
	return (uint64_t)first << 32 | second;
#endif
}

/* The 8 bytes at p, in native order, at any alignment. */
SUT_INLINE uint64_t mem_load64(const void *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof v);
	return v;
}

/* Writes v in native order to p, at any alignment. */
SUT_INLINE void mem_store64(void *p, uint64_t v)
{
	__builtin_memcpy(p, &v, sizeof v);
}

/* The number of the lowest or the highest bit that is set in x, which must not be 0. */
SUT_INLINE unsigned bit_lowest(uint64_t x)
{
	return (unsigned)__builtin_ctzll(x);
}

SUT_INLINE unsigned bit_highest(uint64_t x)
{
	return 63u - (unsigned)__builtin_clzll(x);
}

/* Which of the eight numbers at p (aligned to 16 bytes) equal v: bit i stands for p[i]. */
SUT_INLINE unsigned match8x16(const uint16_t *p, uint16_t v)
{
#ifdef __SSE2__
	__m128i eq = _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)(const void *)p),
				     _mm_set1_epi16((short)v));

	return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(eq, _mm_setzero_si128()));
#else
	unsigned m = 0;

	for (unsigned i = 0; i < 8; i++)
		m |= (unsigned)(p[i] == v) << i;
	return m;
#endif
}
#endif
