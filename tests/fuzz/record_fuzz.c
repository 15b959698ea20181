/* SPDX-License-Identifier: MIT */
/*
 * record_fuzz - bytes as a record, as they are and with length and CRC made right: the reader stays inside, and what was
 * written reads the same.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/record.h"

#define FRAME 12u /* header and CRC */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes fields of all widths until the end was passed. */
static void take_all(const struct record *r, struct record_reader rd)
{
	uint8_t b[16];

	for (unsigned i = 0; !rd.failed; i++) {
		assert(rd.p + rd.left == r->bytes + r->len - 4);
		switch (i % 5) {
		case 0:
			(void)record_take8(&rd);
			break;
		case 1:
			(void)record_take16(&rd);
			break;
		case 2:
			(void)record_take32(&rd);
			break;
		case 3:
			(void)record_take64(&rd);
			break;
		default:
			record_take(&rd, b, sizeof b);
		}
	}
	assert(record_take64(&rd) == 0);
}

static void check_as_it_is(const uint8_t *data, size_t size)
{
	struct record *r = calloc(1, sizeof *r);
	struct record_reader rd;

	assert(r);
	memcpy(r->bytes, data, size < RECORD_MAX ? size : RECORD_MAX);
	r->len = (uint16_t)(size < UINT16_MAX ? size : UINT16_MAX);
	if (record_open(r, &rd) == 0)
		take_all(r, rd);
	free(r);
}

static void check_written(const uint8_t *data, size_t size)
{
	size_t n = size < RECORD_MAX - FRAME ? size : RECORD_MAX - FRAME;
	struct record_reader rd, again;
	uint8_t back[RECORD_MAX];
	struct record r;

	record_begin(&r, REC_ACCEL_SERVER, 9);
	record_put(&r, data, n);
	record_end(&r);
	assert(record_open(&r, &rd) == 0);
	assert(rd.kind == REC_ACCEL_SERVER && rd.version == 9 && rd.left == n);
	again = rd;
	record_take(&rd, back, n);
	assert(!rd.failed && rd.left == 0 && (n == 0 || memcmp(back, data, n) == 0));
	take_all(&r, again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_as_it_is(data, size);
	check_written(data, size);
	return 0;
}
