/* SPDX-License-Identifier: MIT */
#ifndef SUT_CORE_FLOW_ROW_H
#define SUT_CORE_FLOW_ROW_H
/*
 * flow_row - one connection as operators see it, the same for every role: who, in what state, by how much it is shifted.
 *
 * Does not: print.  A role fills it in (role_ops.list), the app gives it its form.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/seq.h"
#include "base/time.h"
#include "core/quad.h"

struct flow_row {
	struct flow_key
		key; /* of what the near side sends: the client, or whoever stands outside */
	const char
		*mode; /* what the role does with it ("hold"); NULL where a role has but one way */
	const char *state; /* of the role or of the connection ("OPEN") */
	bool shifted; /* shift is known */
	bool clocked; /* the clocks' difference is known */
	uint32_t shift[SUT_SIDES]; /* far numbering - near numbering, by sender; modulo 2^32 */
	uint32_t clock[SUT_SIDES]; /* far timestamp clock - near one */
	uint64_t held_bytes; /* payload or frames that wait */
	bool uncounted; /* the role only passes it: bytes mean nothing */
	uint32_t bytes
		[SUT_SIDES]; /* of each side's stream that were seen, modulo 2^32, from the numbers */
	sut_time
		age_ns; /* since the connection, or its present state where a role keeps no more, was entered */
	bool measured; /* a TCP of our own: the next three are known */
	uint32_t cwnd; /* bytes */
	uint32_t srtt_us; /* 0: not measured yet */
	uint32_t retransmitted; /* segments */
};
#endif
