/* SPDX-License-Identifier: MIT */
/*
 * explain_fuzz - any frames, or any segments, in one or two captures make ladders that can be drawn in every form, within bounds.
 *
 * Input: a byte of how (bit 0: two captures, 1: all rows, 2: absolute, 3: frames, not segments, 4: few rows), then records.
 *   frame:   file and time step, length (2), so many bytes
 *   segment: 8 bytes: file, sender, connection; flags; seq; ack; length; window; time step; options
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/connections.h"
#include "app/ladder_json.h"
#include "app/ladder_svg.h"
#include "app/ladder_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RECORDS_MAX 3000u

struct feed {
	struct connections c;
	sut_time now;
	uint64_t n;
};

static void take(struct feed *f, unsigned file, const struct flow_key *key, struct sight *s)
{
	s->frame = s->order = ++f->n;
	assert(connections_add(&f->c, file, key, s) >= 0);
}

static size_t feed_frame(struct feed *f, const uint8_t *d, size_t size, unsigned files)
{
	struct capture_frame frame = { .bytes = d + 3 };
	struct flow_key key;
	struct sight s;
	enum sight_kind kind;
	uint32_t len;

	if (size < 3)
		return size;
	len = (uint32_t)(d[1] << 8 | d[2]);
	frame.len = len < size - 3 ? len : (uint32_t)(size - 3);
	frame.wire_len = d[0] & 2 ? len : frame.len;
	if (frame.wire_len < frame.len)
		frame.wire_len = frame.len;
	f->now += SUT_MS((sut_time)(d[0] >> 2) * (d[0] >> 2));
	frame.at = f->now;
	kind = sight_read(&frame, files == 2, &s, &key);
	assert(kind < SIGHT_KINDS);
	if (kind == SIGHT_TCP || kind == SIGHT_ICMP)
		take(f, files == 2 ? d[0] & 1 : 0, &key, &s);
	return 3 + frame.len;
}

static struct flow_key key_of(unsigned connection, unsigned sender)
{
	struct flow_key k = { .where = 0xffffff };

	k.src[15] = sender ? 2 : 1;
	k.dst[15] = sender ? 1 : 2;
	k.sport = be16_of((uint16_t)(sender ? 80 : 1000 + connection));
	k.dport = be16_of((uint16_t)(sender ? 1000 + connection : 80));
	return k;
}

/* Numbers are near each other, so that they meet; the far file's server counts from elsewhere. */
static size_t feed_segment(struct feed *f, const uint8_t *d, size_t size, unsigned files)
{
	unsigned file = files == 2 ? d[0] & 1 : 0, sender = d[0] >> 1 & 1;
	uint32_t shift = file ? 0xfffffff0u : 0;
	struct flow_key key;
	struct sight s = { 0 };

	if (size < 8)
		return size;
	f->now += (sut_time)d[6] * d[6] * 20000;
	if (d[6] == 255 && f->now > SUT_MS(3000))
		f->now -= SUT_MS(3000); /* a capture's times may go back */
	key = key_of(d[0] >> 2 & 1, sender);
	s.at = f->now;
	s.flags = d[1];
	s.seq = (uint32_t)d[2] * 10 + (sender ? shift : 0);
	s.ack = (uint32_t)d[3] * 10 + (sender ? 0 : shift);
	s.len = (uint32_t)d[4] * 10 * (d[7] & 1);
	s.hash = d[4];
	s.window = d[5];
	s.marks = (uint8_t)(d[0] >> 4 & (SIGHT_CUT | SIGHT_BAD_CSUM | SIGHT_HASHED));
	s.present = d[7] & 2 ? OPT_TS | OPT_WSCALE : 0;
	s.tsval = d[6];
	s.tsecr = d[3];
	s.sack_count = d[7] >> 2 & 3;
	s.icmp = (d[7] >> 4) == 15 ? ICMP_UNREACHABLE : ICMP_OTHER;
	for (unsigned i = 0; i < s.sack_count; i++) {
		s.sack[i][0] = s.ack + 10 * i;
		s.sack[i][1] = s.ack + 10 * i + d[5];
	}
	take(f, file, &key, &s);
	return 8;
}

static void draw(struct feed *f, const struct ladder_style *style, size_t most)
{
	FILE *out = fopen("/dev/null", "w");

	assert(out);
	while (f->c.first) {
		struct connection *x = f->c.first;

		assert(connections_finish(&f->c, x) == 0);
		assert(x->ladder->pairing.n == 0);
		assert(x->ladder->limits->all || x->ladder->rows <= most);
		assert(ladder_text(x->ladder, style, out) == 0);
		assert(ladder_svg(x->ladder, style, out) == 0);
		ladder_json(x->ladder, x->number, out);
		connections_remove(&f->c, x);
	}
	fclose(out);
	assert(f->c.bytes == 0 && f->c.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t how = size ? data[0] : 0;
	unsigned files = how & 1 ? 2 : 1;
	const struct ladder_limits limits = {
		.captures = files == 2 ? PAIRING_TWO : PAIRING_ONE,
		.all = how & 2,
		.strict = how & 16,
		.rows = how & 16 ? 5 : 300,
	};
	const struct ladder_style style = {
		.absolute = how & 4,
		.two = files == 2,
		.width = 100,
		.file = { "a<&\"", "b" },
	};
	struct feed f = { .now = 1 };
	size_t at = 1;

	assert(connections_open(&f.c, &limits) == 0);
	while (at < size && f.n < RECORDS_MAX) {
		if (how & 8)
			at += feed_frame(&f, data + at, size - at, files);
		else
			at += feed_segment(&f, data + at, size - at, files);
	}
	/* rows of interest beyond the limit, the fold of the rest, what a run had begun */
	draw(&f, &style, limits.rows + 1000 + 8);
	connections_close(&f.c);
	return 0;
}
