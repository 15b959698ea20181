/* SPDX-License-Identifier: MIT */
#ifndef SUT_TESTS_SIGHTS_H
#define SUT_TESTS_SIGHTS_H
/* sights - segments as captures show them, for tests of what is made of them: milliseconds, and any numbers. */
#include "app/sight.h"

static inline struct sight sight(unsigned ms, uint8_t flags, uint32_t seq, uint32_t len,
				 uint32_t ack)
{
	static uint64_t order;

	order++;
	return (struct sight){ .at = SUT_MS(1000 + (sut_time)ms),
			       .frame = order,
			       .order = order,
			       .flags = flags,
			       .seq = seq,
			       .len = len,
			       .hash = len,
			       .marks = SIGHT_HASHED,
			       .ack = ack,
			       .window = 500,
			       .ipid = 7 };
}
#endif
