/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/fields.h"
#include "role/handoff/route.h"

/*
 * The origins that a rule is for: addresses and ports, or ports alone, each of which has to be there.
 */

#define PORT_MAX 65535u

static int fail(char *ret_err, const char *what, const struct word *w)
{
	(void)snprintf(ret_err, 128, "%s: \"%.*s\"", what, (int)(w->n > 47 ? 47 : w->n), w->s);
	return -EINVAL;
}

/* The bits of those with this port, and with this address if there is one. */
static uint16_t origins_at(const struct route_table *t, const uint8_t *ip, uint64_t port)
{
	uint16_t bits = 0;

	for (unsigned i = 0; i < t->origins; i++)
		if (t->origin[i].port == port &&
		    (ip == NULL || memcmp(t->origin[i].ip, ip, 16) == 0))
			bits = (uint16_t)(bits | 1u << i);
	return bits;
}

static int read_one(const struct route_table *t, const struct word *w, uint16_t *ret_bits,
		    char *ret_err)
{
	struct word digits = { w->s + 1, w->n - 1 };
	uint8_t ip[16];
	uint64_t number;
	uint16_t port;

	if (w->n > 1 && w->s[0] == ':' && word_number(&digits, PORT_MAX, &number)) {
		*ret_bits = origins_at(t, NULL, number);
		return *ret_bits ? 0 : fail(ret_err, "no origin (vip) has this port", w);
	}
	if (!word_addr(w, ip, &port))
		return fail(ret_err,
			    "\"at\" needs origins, as :443, 192.0.2.10:443 or [2001:db8::10]:443, "
			    "not",
			    w);
	*ret_bits = origins_at(t, ip, port);
	return *ret_bits ? 0 : fail(ret_err, "there is no such origin (vip)", w);
}

void route_origins(struct route_table *t, const struct stack_addr *origin, unsigned n)
{
	assert(n <= ROUTE_ORIGINS);
	t->origins = n;
	for (unsigned i = 0; i < n; i++)
		t->origin[i] = origin[i];
}

int route_origins_read(const struct route_table *t, const char *s, size_t n, uint16_t *ret_bits,
		       char *ret_err)
{
	*ret_bits = 0;
	for (size_t at = 0; at <= n; at++) {
		const char *comma = n > at ? memchr(s + at, ',', n - at) : NULL;
		struct word w = { s + at, comma ? (size_t)(comma - s) - at : n - at };
		uint16_t bits;
		int err = read_one(t, &w, &bits, ret_err);

		if (err < 0)
			return err;
		*ret_bits = (uint16_t)(*ret_bits | bits);
		at += w.n;
	}
	return 0;
}
