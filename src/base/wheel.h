/* SPDX-License-Identifier: MIT */
#ifndef SUT_BASE_WHEEL_H
#define SUT_BASE_WHEEL_H
/*
 * wheel - timers by index: arm, cancel and fire in constant time, in one caller-given block.
 *
 * Owns:     for each timer index 0..n-1 one deadline, and the order of arming.
 * Does not: know what a timer means; the caller's indices are its flows or jobs.
 * Ticks:    deadlines are rounded UP to ticks of WHEEL_TICK ns (250 us): never early, at most a
 *           tick late. Timers fire by tick, then in order of arming; one armed for the past
 *           counts as of the present tick.
 * Far:      every 64-bit time can be armed for; SUT_NEVER (and what lies behind the last whole
 *           tick) is no deadline.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"

#define WHEEL_TICK ((sut_time)250000)
#define WHEEL_NONE UINT32_MAX

struct wheel;

/* Bytes that a wheel for n timers needs (n up to 2^31): 16 for each, and 24 KB. */
size_t wheel_need(uint32_t n);

/* Lays a wheel out in block (wheel_need(n) bytes, zeroed, aligned to 64); time starts at 0. */
struct wheel *wheel_init(void *block, uint32_t n);

/*
 * Arms timer i for at; an armed one is moved (and counts as armed anew).  at in the past fires
 * at the next call; SUT_NEVER disarms.
 */
void wheel_arm(struct wheel *w, uint32_t i, sut_time at);

/* Disarms timer i; nothing happens if it is not armed. */
void wheel_cancel(struct wheel *w, uint32_t i);

bool wheel_armed(const struct wheel *w, uint32_t i);

/*
 * Takes the next timer due at or before now off the wheel: its index, or WHEEL_NONE.  Call
 *                                                          until WHEEL_NONE.
 * A timer armed in between for a time <= now fires in the same round, after those that were due
 * already.
 */
uint32_t wheel_pop(struct wheel *w, sut_time now);

/*
 * When wheel_pop next has something to do: possibly early (a cascade), never late; SUT_NEVER if
 * nothing is armed.
 */
sut_time wheel_deadline(const struct wheel *w);
#endif
