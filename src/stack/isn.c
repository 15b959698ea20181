/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

/* What a hash of a connection is for: it stands in the quad's spare word, so that no hash tells of another. */
enum { FOR_ISN = 1, FOR_TIMESTAMP = 2 };

static uint32_t hash(const struct stack *s, const struct conn_quad *q, uint32_t purpose)
{
	struct conn_quad k = *q;

	k.zero = purpose;
	return (uint32_t)siphash(s->env.secret, &k, sizeof k);
}

/* RFC 6528, 3: a clock of 4 us (MUST-8) and a keyed hash of the connection (MUST-9, SHLD-1). */
uint32_t isn_make(const struct stack *s, const struct conn_quad *q)
{
	return (uint32_t)(s->now / 4000) + hash(s, q, FOR_ISN);
}

/*
 * RFC 7323, 5.4: nobody learns of our uptime, and two connections cannot be told to be of one host by their clocks.  It is the same
 * for the same quad, so timestamps go on when it is used again: that is what shortens the peer's TIME-WAIT (RFC 6191).
 */
uint32_t isn_ts_offset(const struct stack *s, const struct conn_quad *q)
{
	return hash(s, q, FOR_TIMESTAMP);
}
