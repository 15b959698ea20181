/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/be.h"
#include "port/stream_batch.h"

#define FRAMES 40u

static struct stream_batch batch;
static uint8_t mem[FRAMES][2048];
static struct packet pkt[FRAMES];
static struct packet *list[FRAMES];

/* Frames of len bytes, gap apart (counted from one's end to the next one's begin). */
static void lay_out(uint32_t len, uint32_t gap)
{
	uint8_t *p = &mem[0][0] + 64;

	for (unsigned i = 0; i < FRAMES; i++) {
		pkt[i] = (struct packet){ .head = p, .head_len = len };
		memset(p, (int)i + 1, len);
		list[i] = &pkt[i];
		p += len + gap;
	}
}

/* All bytes of the list, one behind the other: their number. */
static size_t flatten(uint8_t *ret_bytes)
{
	size_t n = 0;

	for (unsigned i = 0; i < batch.iovs; i++) {
		assert_true(batch.iov[i].iov_len > 0);
		memcpy(ret_bytes + n, batch.iov[i].iov_base, batch.iov[i].iov_len);
		n += batch.iov[i].iov_len;
	}
	return n;
}

static void assert_stream(uint32_t len)
{
	static uint8_t bytes[sizeof mem];
	const uint8_t *p = bytes;

	assert_int_equal(batch.frames, FRAMES);
	assert_int_equal(flatten(bytes), FRAMES * (len + 4));
	for (unsigned i = 0; i < FRAMES; i++, p += len + 4) {
		assert_int_equal(batch.size[i], len + 4);
		assert_int_equal(load_be32(p), len);
		assert_int_equal(p[4], i + 1);
		assert_int_equal(p[len + 3], i + 1);
	}
}

/* Frames that lie as in a stream are one piece, and nothing of them is copied. */
static void neighbours_are_one_piece(void **state)
{
	static const uint32_t lens[] = { 1, 60, 1514 };
	struct stream_form plain = { 0 };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		lay_out(lens[i], 4);
		stream_batch_fill(&batch, &plain, list, FRAMES);
		assert_int_equal(batch.iovs, 1);
		assert_int_equal(batch.staged, 0);
		assert_stream(lens[i]);
	}
}

/* Others: a piece each where they are long, copied together where they are short. */
static void strangers(void **state)
{
	struct stream_form plain = { 0 };

	(void)state;
	lay_out(1514, 64);
	stream_batch_fill(&batch, &plain, list, FRAMES);
	assert_int_equal(batch.iovs, FRAMES);
	assert_stream(1514);
	lay_out(60, 64);
	stream_batch_fill(&batch, &plain, list, FRAMES);
	assert_int_equal(batch.iovs, 1);
	assert_int_equal(batch.staged, FRAMES * 64);
	assert_stream(60);
}

/* Only the room in front is written. */
static void packets_stay_as_they_are(void **state)
{
	struct stream_form vnet = { .vnet = true, .vnet_len = 12, .told = true }, plain = { 0 };

	(void)state;
	for (unsigned with = 0; with < 2; with++) {
		lay_out(1000, 8);
		memset(pkt[0].head - 8, 0xaa, 8);
		memset(pkt[FRAMES - 1].head + 1000, 0xaa, 8);
		stream_batch_fill(&batch, with ? &vnet : &plain, list, FRAMES);
		for (unsigned i = 0; i < FRAMES; i++)
			for (unsigned k = 0; k < 1000; k++)
				assert_int_equal(pkt[i].head[k], i + 1);
		for (unsigned k = 0; k < 8; k++)
			assert_int_equal(pkt[FRAMES - 1].head[1000 + k], 0xaa);
		for (unsigned k = 0; k < 4; k++)
			assert_int_equal(pkt[0].head[-8 + (int)k], 0xaa);
	}
}

/* More copies than there is room for end a batch early, and the next one goes on. */
static void copies_are_limited(void **state)
{
	static uint8_t big[STREAM_FRAME_MAX];
	struct packet one = { .head = big,
			      .head_len = STREAM_FRAME_MAX,
			      .off = {
				      .csum = CSUM_PARTIAL, .csum_start = 34, .csum_offset = 16 } };
	struct packet *many[3] = { &one, &one, &one };
	struct stream_form plain = { 0 };

	(void)state;
	stream_batch_fill(&batch, &plain, many, 3);
	assert_int_equal(batch.frames, 2);
	assert_int_equal(batch.size[0], STREAM_FRAME_MAX + 4);
	stream_batch_fill(&batch, &plain, many + 2, 1);
	assert_int_equal(batch.frames, 1);
}

/* A super-packet goes to a peer that was not heard yet with a header; to one that has none, not at all. */
static void super_packets_to_strangers(void **state)
{
	struct stream_form unheard = { .vnet = true }, heard = { .vnet = true, .told = true },
			   plain = { 0 };
	struct packet *one[1] = { &pkt[0] };

	(void)state;
	lay_out(1500, 64);
	pkt[0].off = (struct offload){ .csum = CSUM_PARTIAL,
				       .gso_type = GSO_TCP4,
				       .gso_size = 1448,
				       .csum_start = 34,
				       .csum_offset = 16 };
	stream_batch_fill(&batch, &unheard, one, 1);
	assert_int_equal(batch.size[0], 1500 + 8 + 12);
	stream_batch_fill(&batch, &heard, one, 1);
	assert_int_equal(batch.size[0], 0);
	stream_batch_fill(&batch, &plain, one, 1);
	assert_int_equal(batch.size[0], 0);
	pkt[0].off = (struct offload){ 0 };
	stream_batch_fill(&batch, &unheard, one, 1);
	assert_int_equal(batch.size[0], 1500 + 8 + 12);
	pkt[0].off.vnet_len = VNET_NONE;
	stream_batch_fill(&batch, &unheard, one, 1);
	assert_int_equal(batch.size[0], 1500 + 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours_are_one_piece),   cmocka_unit_test(strangers),
		cmocka_unit_test(packets_stay_as_they_are),   cmocka_unit_test(copies_are_limited),
		cmocka_unit_test(super_packets_to_strangers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
