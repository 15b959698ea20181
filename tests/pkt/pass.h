/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_PASS_H
#define SUT_PKT_PASS_H
/*
 * pass - a role for testing packet scripts themselves: passes everything between its ports "a"
 * and "b".
 *
 * What comes in at a also leaves at c, if that is joined. Messages at "notify" come back; commands at
 * "control" are "count", and "notify TEXT", which sends the text there.
 *
 * With a delay each packet is kept and sent that much later, so that timed output can be
 * tested. With spoil it does on purpose what a script must find out.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"
#include "role/role.h"

enum pass_spoil {
	SPOIL_NOTHING,
	SPOIL_SEQ, /* seq + 1, checksum not mended */
	SPOIL_PAYLOAD, /* last byte + 1, byte before it - 1 */
	SPOIL_TWICE, /* every packet goes out twice */
	SPOIL_LATE, /* delay and 1 ms more */
	SPOIL_BURST, /* drops what is not first in its burst */
	SPOIL_DROP, /* drops all */
	SPOIL_SPIN, /* deadline() stays in the past */
	SPOIL_UNJOINED, /* sends to c, joined or not */
};

struct pass_config {
	sut_time delay;
	uint32_t spoil; /* enum pass_spoil */
};

extern const struct role_ops pass_ops;

/* "PASS count N": packets so far. */
struct flow_key;
bool pass_describe(const void *role, const struct flow_key *near_key, char *ret_s, size_t size);
#endif
