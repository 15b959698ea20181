/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_RECORD_H
#define SUT_CORE_RECORD_H
/*
 * record - one flow or one learnt fact as bytes: for listing, dumps, journals, moves to another
 * box.
 *
 * Little-endian on every machine, versioned, closed by a CRC-32C; ages in milliseconds instead of
 * times.
 *
 *     u16 kind   u8 version   u8 0   u32 length of the body   body   u32 crc of all before
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/seq.h"

#define RECORD_MAX 512u

struct record {
	uint16_t len; /* bytes used */
	uint8_t bytes[RECORD_MAX];
};

/* Kinds, one list for all roles: a number is never used again for another thing. */
enum record_kind {
	REC_ACCEL_FLOW = 1,
	REC_ACCEL_SERVER = 2,
	REC_REPLICA_FLOW = 3,
	REC_REPLICA_STATE = 5,
	REC_ACCEL_COOKIE = 6,
	REC_REPLICA_COMPARE = 4,
	REC_TIME =
		7, /* the wall clock, nanoseconds since 1970: of the records behind it in a journal */
	REC_FLOW_END = 8, /* the flow with this key is over: record_flow.h */
	REC_HANDOFF_FRONT = 9,
	REC_HANDOFF_BACK = 10,
	REC_HANDOFF_BACKEND = 11, /* what operators told a front end of a back end */
};

/* Writing: begin, put in order, end.  Overflow is an assertion: records have a fixed form. */
void record_begin(struct record *r, enum record_kind kind, uint8_t version);
void record_put(struct record *r, const void *p, size_t n);
void record_put8(struct record *r, uint8_t v);
void record_put16(struct record *r, uint16_t v);
void record_put32(struct record *r, uint32_t v);
void record_put64(struct record *r, uint64_t v);
void record_end(struct record *r);

/*
 * Reading: record_open checks length and CRC: 0, or -EINVAL (damaged).  Then take in the same
 * order; taking past the end sets failed, and yields zeroes.
 */
struct record_reader {
	const uint8_t *p;
	size_t left;
	uint16_t kind;
	uint8_t version;
	bool failed;
};

int record_open(const struct record *r, struct record_reader *ret_rd);
void record_take(struct record_reader *rd, void *ret_p, size_t n);
uint8_t record_take8(struct record_reader *rd);
uint16_t record_take16(struct record_reader *rd);
uint32_t record_take32(struct record_reader *rd);
uint64_t record_take64(struct record_reader *rd);

/* CRC-32C (Castagnoli) of n bytes at p, continuing from crc (0 to start). */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);
#endif
