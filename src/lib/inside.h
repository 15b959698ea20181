/* SPDX-License-Identifier: MIT */
#ifndef SUT_LIB_INSIDE_H
#define SUT_LIB_INSIDE_H
/*
 * inside - what the files of the library share: the public stack, which is a pure one with a clock, randomness and memory.
 *
 * Owns:     the mapping that both lie in.
 * Does not: leave this folder; programs see suture/stack.h.
 */
#include <suture/stack.h>

#include "stack/stack.h"

struct sut_stack {
	struct stack *pure;
	size_t mapped; /* bytes, this struct included */
	enum reason dropped; /* the last packet that was; R_NONE: none */
	int (*output)(void *ctx, const struct sut_packet *p);
	uint64_t (*clock)(void *ctx);
	uint64_t (*random)(void *ctx);
	void (*trace)(void *ctx, uint64_t now, uint64_t id, const char *from, const char *to,
		      const char *why);
	void (*release)(void *ctx, uint64_t cookie);
	void *ctx;
	struct iovec iov[SUT_IOVS];
};

static inline sut_time stack_now(const struct sut_stack *s)
{
	return s->clock(s->ctx);
}

/*
 * Reads c, of whatever version, into *ret_c; what its version did not have is at its default.  0, or -EINVAL (no version has this
 * size) or -E2BIG, with a sentence in ret_error (SUT_ERROR_TEXT bytes).
 */
int lib_read(const struct sut_stack_config *c, struct sut_stack_config *ret_c, char *ret_error);

/*
 * The pure stack's configuration for c, whose memory, beside `beside` bytes, holds as many cells as fit.  0, or -EINVAL with a
 * sentence in ret_error (SUT_ERROR_TEXT bytes).
 */
int lib_configure(const struct sut_stack_config *c, size_t beside, struct stack_config *ret_c,
		  char *ret_error);
#endif
