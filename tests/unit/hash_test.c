/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"

/* The authors' test: the key is 00 01 ... 0f, the nth input the n bytes 00 01 ... */
static const uint64_t vectors[64] = {
	/* clang-format off */
	0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
	0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
	0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
	0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
	0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd,
	0xbed65cf21aa2ee98, 0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8,
	0xb8ad50c6f649af94, 0xbce192de8a85b8ea, 0x17d835b85bbb15f3, 0x2f2e6163076bcfad,
	0xde4daaaca71dc9a5, 0xa6a2506687956571, 0xad87a3535c49ef28, 0x32d892fad841c342,
	0x7127512f72f27cce, 0xa7f32346f95978e3, 0x12e0b01abb051238, 0x15e034d40fa197ae,
	0x314dffbe0815a3b4, 0x027990f029623981, 0xcadcd4e59ef40c4d, 0x9abfd8766a33735c,
	0x0e3ea96b5304a7d0, 0xad0c42d6fc585992, 0x187306c89bc215a9, 0xd4a60abcf3792b95,
	0xf935451de4f21df2, 0xa9538f0419755787, 0xdb9acddff56ca510, 0xd06c98cd5c0975eb,
	0xe612a3cb9ecba951, 0xc766e62cfcadaf96, 0xee64435a9752fe72, 0xa192d576b245165a,
	0x0a8787bf8ecb74b2, 0x81b3e73d20b49b6f, 0x7fa8220ba3b2ecea, 0x245731c13ca42499,
	0xb78dbfaf3a8d83bd, 0xea1ad565322a1a0b, 0x60e61c23a3795013, 0x6606d7e446282b93,
	0x6ca4ecb15c5f91e1, 0x9f626da15c9625f3, 0xe51b38608ef25f57, 0x958a324ceb064572,
	/* clang-format on */
};

static uint64_t rng = 88172645463325252u;

static uint64_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static void siphash_gives_the_published_vectors(void **state)
{
	uint8_t key[16], in[64 + 1];

	(void)state;
	for (size_t i = 0; i < sizeof key; i++)
		key[i] = (uint8_t)i;
	for (size_t at = 0; at < 2; at++) { /* aligned, then not */
		for (size_t i = 0; i < 64; i++)
			in[at + i] = (uint8_t)i;
		for (size_t n = 0; n < ARRAY_LEN(vectors); n++) {
			uint64_t got = siphash(key, in + at, n);

			if (got != vectors[n])
				fail_msg("%zu bytes: want %016llx, got %016llx", n,
					 (unsigned long long)vectors[n], (unsigned long long)got);
		}
	}
}

static void fold_is_the_product_of_128_bits(void **state)
{
	(void)state;
	assert_int_equal(hash_fold(3, 5), 15);
	assert_int_equal(hash_fold(0, UINT64_MAX), 0);
	assert_int_equal(hash_fold(UINT64_MAX, UINT64_MAX), UINT64_MAX); /* ...fe ^ ...01 */
	assert_int_equal(hash_fold((uint64_t)1 << 63, 4), 2);
}

static unsigned ones(uint64_t x)
{
	unsigned n = 0;

	for (; x != 0; x &= x - 1)
		n++;
	return n;
}

/* Each bit of the input moves about half of the output's, each bit of the key as well. */
static void hash40_mixes_every_bit(void **state)
{
	enum { TRIES = 64 };

	(void)state;
	for (unsigned bit = 0; bit < 80 * 8; bit++) {
		unsigned moved = 0;

		for (unsigned i = 0; i < TRIES; i++) {
			uint64_t in[10];
			struct hash_key key;
			uint64_t before;

			for (size_t w = 0; w < ARRAY_LEN(in); w++)
				in[w] = rnd();
			memcpy(key.k, in + 5, sizeof key);
			before = hash40(&key, in);
			in[bit / 64] ^= (uint64_t)1 << bit % 64;
			memcpy(key.k, in + 5, sizeof key);
			moved += ones(before ^ hash40(&key, in));
		}
		if (moved < TRIES * 24 || moved > TRIES * 40)
			fail_msg("bit %u moves %u of 64", bit, moved / TRIES);
	}
}

static void hash40_reads_at_any_alignment(void **state)
{
	struct hash_key key = { { 1, 2, 3, 4, 5 } };
	uint8_t bytes[48], at0[40];

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(rnd() >> 8);
	for (size_t at = 0; at <= 8; at++) {
		memcpy(at0, bytes + at, 40);
		assert_int_equal(hash40(&key, bytes + at), hash40(&key, at0));
	}
}

static void next_key_differs_in_every_word_and_is_a_function_of_the_old(void **state)
{
	struct hash_key a = { { 1, 2, 3, 4, 5 } }, b = a, c;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		c = a;
		hash_key_next(&a);
		hash_key_next(&b);
		assert_memory_equal(&a, &b, sizeof a);
		for (size_t w = 0; w < ARRAY_LEN(a.k); w++)
			assert_int_not_equal(a.k[w], c.k[w]);
	}
	b = c;
	b.k[4] ^= 1; /* the last word counts as well */
	hash_key_next(&b);
	for (size_t w = 0; w < ARRAY_LEN(a.k); w++)
		assert_int_not_equal(a.k[w], b.k[w]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_gives_the_published_vectors),
		cmocka_unit_test(fold_is_the_product_of_128_bits),
		cmocka_unit_test(hash40_mixes_every_bit),
		cmocka_unit_test(hash40_reads_at_any_alignment),
		cmocka_unit_test(next_key_differs_in_every_word_and_is_a_function_of_the_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
