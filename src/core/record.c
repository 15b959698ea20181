/* SPDX-License-Identifier: MIT */
#include "core/record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define HEADER 8u /* kind, version, 0, length of the body */
#define AT_VERSION 2u
#define AT_ZERO 3u
#define AT_LEN 4u
#define TRAILER 4u /* the CRC */

static uint32_t load_le(const uint8_t *p, unsigned n)
{
	uint32_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

static void store_le(uint8_t *p, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

/* Four bits at a time: records are short, and sixteen words can be checked by eye. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
	/* clang-format off */
	static const uint32_t nibble[16] = {	/* of the reflected polynomial 0x82f63b78 */
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
		0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	/* clang-format on */
	const uint8_t *b = p;

	crc = ~crc;
	for (size_t i = 0; i < n; i++) {
		crc ^= b[i];
		crc = crc >> 4 ^ nibble[crc & 15];
		crc = crc >> 4 ^ nibble[crc & 15];
	}
	return ~crc;
}

void record_begin(struct record *r, enum record_kind kind, uint8_t version)
{
	store_le(r->bytes, (uint64_t)kind, 2);
	r->bytes[AT_VERSION] = version;
	r->bytes[AT_ZERO] = 0;
	store_le(r->bytes + AT_LEN, 0, 4);
	r->len = HEADER;
}

void record_put(struct record *r, const void *p, size_t n)
{
	assert(n <= RECORD_MAX - TRAILER - r->len);
	if (n != 0)
		memcpy(r->bytes + r->len, p, n);
	r->len = (uint16_t)(r->len + n);
}

static void put_le(struct record *r, uint64_t v, unsigned n)
{
	uint8_t b[8];

	store_le(b, v, n);
	record_put(r, b, n);
}

void record_put8(struct record *r, uint8_t v)
{
	put_le(r, v, 1);
}

void record_put16(struct record *r, uint16_t v)
{
	put_le(r, v, 2);
}

void record_put32(struct record *r, uint32_t v)
{
	put_le(r, v, 4);
}

void record_put64(struct record *r, uint64_t v)
{
	put_le(r, v, 8);
}

void record_end(struct record *r)
{
	store_le(r->bytes + AT_LEN, r->len - HEADER, 4);
	store_le(r->bytes + r->len, crc32c(0, r->bytes, r->len), TRAILER);
	r->len = (uint16_t)(r->len + TRAILER);
}

int record_open(const struct record *r, struct record_reader *ret_rd)
{
	uint32_t body;

	if (r->len > RECORD_MAX || r->len < HEADER + TRAILER)
		return -EINVAL;
	body = r->len - HEADER - TRAILER;
	if (load_le(r->bytes + AT_LEN, 4) != body || r->bytes[AT_ZERO] != 0 ||
	    load_le(r->bytes + HEADER + body, 4) != crc32c(0, r->bytes, HEADER + body))
		return -EINVAL;
	*ret_rd = (struct record_reader){
		.p = r->bytes + HEADER,
		.left = body,
		.kind = (uint16_t)load_le(r->bytes, 2),
		.version = r->bytes[AT_VERSION],
	};
	return 0;
}

void record_take(struct record_reader *rd, void *ret_p, size_t n)
{
	if (n > rd->left || rd->failed) {
		rd->failed = true;
		memset(ret_p, 0, n);
		return;
	}
	memcpy(ret_p, rd->p, n);
	rd->p += n;
	rd->left -= n;
}

uint8_t record_take8(struct record_reader *rd)
{
	uint8_t b[1];

	record_take(rd, b, sizeof b);
	return b[0];
}

uint16_t record_take16(struct record_reader *rd)
{
	uint8_t b[2];

	record_take(rd, b, sizeof b);
	return (uint16_t)load_le(b, sizeof b);
}

uint32_t record_take32(struct record_reader *rd)
{
	uint8_t b[4];

	record_take(rd, b, sizeof b);
	return load_le(b, sizeof b);
}

uint64_t record_take64(struct record_reader *rd)
{
	uint8_t b[8];

	record_take(rd, b, sizeof b);
	return load_le(b, 4) | (uint64_t)load_le(b + 4, 4) << 32;
}
