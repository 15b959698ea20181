/* SPDX-License-Identifier: MIT */
#include "core/link.h"

/*
 * Theory of operation
 *
 * A packet meets, in this order: the list of exact drops, random loss, the queue in front of a
 * transmitter that sends at the configured rate, the line (delay and jitter), reordering,
 * duplication.  What is lost took no time of the transmitter.
 *
 * Determinism: every packet draws the same number of random numbers, whatever becomes of it, so
 * that the fate of packet n depends on the seed and on n alone, and switching one impairment on
 * leaves the others' dice as they were.
 *
 * The transmitter is virtual: busy_until is the time at which it has sent all that it took, so
 * what waits is (busy_until - now) * rate.  Rounding to nanoseconds would make a fast link of
 * small packets slow by per cents; the remainder is carried in `rest`.
 *
 * Order: an ordinary packet never leaves before an earlier ordinary one, so jitter delays and
 * bunches but does not reorder.  A reordered packet, and a copy, stay outside of that chain.
 */

#define PPM 1000000u
#define NS_PER_S 1000000000u

void link_init(struct link *l, const struct link_config *cfg)
{
	*l = (struct link){ .cfg = *cfg, .rng = cfg->seed };
}

void link_change(struct link *l, const struct link_config *cfg)
{
	if (cfg->seed != l->cfg.seed)
		l->rng = cfg->seed;
	if (cfg->rate_bps != l->cfg.rate_bps)
		l->rest = 0;
	l->cfg = *cfg;
}

/* 64 random bits: a Weyl sequence, mixed (xor-shift and multiply, twice). */
static uint64_t draw(struct link *l)
{
	uint64_t z = l->rng += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static bool chance(uint64_t bits, uint32_t ppm)
{
	return (bits >> 32) * PPM >> 32 < ppm;
}

/* Uniform in [0, most], from 64 bits; the modulo's bias is below most / 2^64. */
static sut_time up_to(uint64_t bits, sut_time most)
{
	return most == SUT_NEVER ? bits : bits % (most + 1);
}

static bool is_nth(const struct link *l)
{
	for (unsigned i = 0; i < LINK_NTH_MAX && l->cfg.nth[i]; i++)
		if (l->cfg.nth[i] == l->count)
			return true;
	return false;
}

/* Bytes that wait for the transmitter, or are in it. */
static uint64_t backlog(const struct link *l, sut_time now)
{
	uint64_t rate = l->cfg.rate_bps, wait, part;

	if (l->busy_until <= now)
		return 0;
	wait = l->busy_until - now;
	part = wait % NS_PER_S;
	/* wait * rate / NS_PER_S, exactly, in parts that fit 64 bits. */
	return (wait / NS_PER_S * rate + part * (rate / NS_PER_S) +
		part * (rate % NS_PER_S) / NS_PER_S) /
	       8;
}

/*
 * Sends len bytes as soon as the transmitter is free.  Returns false if they would have to wait
 * behind a full queue.
 */
static bool transmit(struct link *l, uint32_t len, sut_time now)
{
	uint64_t waiting, work;

	if (l->cfg.rate_bps == 0) {
		l->busy_until = now;
		return true;
	}
	waiting = backlog(l, now);
	if (waiting && l->cfg.queue_bytes && waiting + len > l->cfg.queue_bytes)
		return false;
	if (l->busy_until < now) {
		l->busy_until = now;
		l->rest = 0;
	}
	work = (uint64_t)len * 8 * NS_PER_S + l->rest;
	l->busy_until += work / l->cfg.rate_bps;
	l->rest = work % l->cfg.rate_bps;
	return true;
}

static sut_time reorder_by(const struct link_config *c)
{
	if (c->reorder_by)
		return c->reorder_by;
	return c->delay / 2 ? c->delay / 2 : SUT_MS(1);
}

struct link_fate link_offer(struct link *l, uint32_t len, sut_time now)
{
	uint64_t loss = draw(l), jitter = draw(l), reorder = draw(l), dup = draw(l);
	uint64_t copy_jitter = draw(l);
	struct link_fate f = { .reason = R_NONE, .copies = 1 };

	l->count++;
	if (is_nth(l))
		return (struct link_fate){ .reason = R_WIRE_NTH };
	if (chance(loss, l->cfg.loss_ppm))
		return (struct link_fate){ .reason = R_WIRE_LOSS };
	if (!transmit(l, len, now))
		return (struct link_fate){ .reason = R_WIRE_QUEUE };
	f.at[0] = l->busy_until + l->cfg.delay + up_to(jitter, l->cfg.jitter);
	if (chance(reorder, l->cfg.reorder_ppm)) {
		f.at[0] += reorder_by(&l->cfg);
	} else {
		if (f.at[0] < l->last_out)
			f.at[0] = l->last_out;
		l->last_out = f.at[0];
	}
	if (chance(dup, l->cfg.dup_ppm)) {
		f.copies = 2;
		f.at[1] = f.at[0] + up_to(copy_jitter, l->cfg.jitter);
	}
	return f;
}
