/* SPDX-License-Identifier: MIT */
#ifndef SUT_PKT_TRAIL_H
#define SUT_PKT_TRAIL_H
/*
 * trail - what came out at each port in one run, in order; two runs of a script are compared by
 * it.
 */
#include "base/time.h"
#include "core/outbox.h"
#include "fault.h"
#include "match.h"
#include "script.h"

struct trail_out {
	sut_time at;
	struct caught c; /* bytes owned */
};

struct trail {
	unsigned n[SCRIPT_PORTS];
	struct trail_out *out[SCRIPT_PORTS]; /* owned */
	const struct port_desc *ports; /* of the role */
};

/* Copies a packet into the trail of its port. */
void trail_add(struct trail *t, unsigned port, const struct packet *p, sut_time now);

/* Are both equal?  If not, a fault names the first difference. */
bool trail_equal(const struct trail *a, const struct trail *b, const struct script *s,
		 struct fault *f);

/* What came out as number i at port: "1.250ms client < S. 5000:5000(0) ...", or a message in quotes. */
void trail_print(const struct trail *t, unsigned port, unsigned i, char *ret_s, size_t size);

void trail_free(struct trail *t);
#endif
