/* SPDX-License-Identifier: MIT */
#ifndef SUT_TESTS_LIVE_SHA256_H
#define SUT_TESTS_LIVE_SHA256_H
/* sha256 - FIPS 180-4, for comparing what was sent with what arrived. */
#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint32_t h[8];
	uint64_t len;
	uint8_t block[64];
};

#define SHA256_HEX 65

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *p, size_t n);

/* The digest in hexadecimal, with its final 0; s is used up. */
void sha256_end(struct sha256 *s, char ret_hex[SHA256_HEX]);
#endif
