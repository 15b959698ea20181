/* SPDX-License-Identifier: MIT */
#ifndef SUT_SIM_RNG_H
#define SUT_SIM_RNG_H
/* rng - the simulator's dice: equal on every machine and with every compiler. */
#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t s;
};

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->s += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Uniform in [0, n - 1]; 0 for n = 0. */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}

static inline uint32_t rng_range(struct rng *r, uint32_t low, uint32_t high)
{
	return low + rng_below(r, high - low + 1);
}

/* True in pct of a hundred cases. */
static inline bool rng_chance(struct rng *r, uint32_t pct)
{
	return rng_below(r, 100) < pct;
}
#endif
