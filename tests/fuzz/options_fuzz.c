/* SPDX-License-Identifier: MIT */
/* options_fuzz - bytes as TCP options: the reader and the cursor stay inside, and agree. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/tcp.h"

#define OPTIONS_MAX 40u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_offsets(const struct tcp_options *o, size_t len)
{
	size_t end = sizeof(struct tcp_hdr) + len;

	if (o->present & OPT_TS)
		assert(o->ts_off >= 22 && o->ts_off + 8u <= end);
	if (o->present & OPT_SACK) {
		assert(o->sack_count >= 1 && o->sack_count <= 4);
		assert(o->sack_off >= 22 && o->sack_off + 8u * o->sack_count <= end);
	}
	if (o->present & OPT_TFO)
		assert(o->tfo_len <= 16 && o->tfo_off >= 22 &&
		       (size_t)o->tfo_off + o->tfo_len <= end);
	assert(o->wscale <= TCP_WSCALE_MAX);
}

/* A walk by cursor says the same about the whole, and about TS and SACK. */
static void check_cursor(const uint8_t *opt, size_t len, enum reason r, const struct tcp_options *o)
{
	unsigned ts = 0, sack = 0;
	struct tcp_option c;
	size_t off = 0;
	bool fits = true;

	while (fits && tcp_option_next(opt, len, &off, &c)) {
		assert(c.len >= 1 && (size_t)c.off + c.len <= len && off <= len);
		fits = tcp_option_fits(&c);
		if (fits && c.kind == TCPOPT_TIMESTAMPS && !ts)
			ts = c.off + 22u;
		if (fits && c.kind == TCPOPT_SACK && !sack)
			sack = c.off + 22u;
	}
	assert((fits && off == len) == (r == R_NONE));
	assert(!(o->present & OPT_TS) == !ts && o->ts_off == ts);
	assert(!(o->present & OPT_SACK) == !sack && o->sack_off == sack);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = size < OPTIONS_MAX ? size : OPTIONS_MAX;
	uint8_t *opt = calloc(len ? len : 1, 1);
	struct tcp_options o;
	enum reason r;

	assert(opt);
	if (len)
		memcpy(opt, data, len);
	r = tcp_options_read(opt, len, &o);
	assert(r == R_NONE || r == R_TCP_OPT);
	check_offsets(&o, len);
	check_cursor(opt, len, r, &o);
	free(opt);
	return 0;
}
