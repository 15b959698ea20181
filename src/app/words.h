/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_WORDS_H
#define SUT_APP_WORDS_H
/* words - text that grows in a buffer of the caller's; what does not fit is cut. */
#include <stddef.h>
#include <stdint.h>

#include "base/be.h"
#include "base/compiler.h"
#include "base/time.h"

struct words {
	char *s;
	size_t size, len;
};

/* In an array, which need not be empty before. */
#define WORDS(buf) words_in((buf), sizeof(buf))

static inline struct words words_in(char *s, size_t size)
{
	*s = 0;
	return (struct words){ s, size, 0 };
}

void words_add(struct words *w, const char *fmt, ...) SUT_PRINTF(2, 3);

/* "; " between parts. */
void words_part(struct words *w);

/* "12.345 ms", "1.234 s", "80 us". */
void words_time(struct words *w, sut_time t);
/* "78 B", "1.2 MB". */
void words_bytes(struct words *w, uint64_t n);
/* "192.0.2.1:80", "[2001:db8::1]:80". */
void words_end(struct words *w, const uint8_t addr[16], be16 port);
#endif
