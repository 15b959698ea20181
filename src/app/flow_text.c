/* SPDX-License-Identifier: MIT */
#include "app/flow_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/compiler.h"
#include "proto/print.h"

/* A text that grows, and stays ended. */
struct text {
	char *s;
	size_t len;
};

static SUT_PRINTF(2, 3) void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->s + t->len, FLOW_TEXT_MAX - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n;
	if (t->len >= FLOW_TEXT_MAX)
		t->len = FLOW_TEXT_MAX - 1;
}

/* "192.0.2.1.4000", with VLANs behind it: "192.0.2.1.4000 vlan 7". */
static void end_of(const uint8_t addr[16], be16 port, char ret_s[64])
{
	char a[46];

	print_addr(addr, a, sizeof a);
	snprintf(ret_s, 64, "%s.%u", a, be16_get(port));
}

static void age_of(sut_time ns, char ret_s[24])
{
	uint64_t s = ns / 1000000000u;

	if (s < 100)
		snprintf(ret_s, 24, "%" PRIu64 ".%" PRIu64 "s", s, ns / 100000000u % 10);
	else if (s < 6000)
		snprintf(ret_s, 24, "%" PRIu64 "m%02" PRIu64, s / 60, s % 60);
	else
		snprintf(ret_s, 24, "%" PRIu64 "h%02" PRIu64, s / 3600, s / 60 % 60);
}

const char flow_text_heading[] =
	"NEAR                    FAR                     MODE   STATE        "
	"SHIFT      CLOCK      HELD     AGE    SENT       GOT";

void flow_text_line(const struct flow_row *r, char ret_s[FLOW_TEXT_MAX])
{
	struct text t = { .s = ret_s };
	char near[64], far[64], age[24], shift[16] = "-", clock[16] = "-";
	char sent[16] = "-", got[16] = "-";
	uint32_t outer = r->key.where >> 12 & 0xfff, inner = r->key.where & 0xfff;

	end_of(r->key.src, r->key.sport, near);
	end_of(r->key.dst, r->key.dport, far);
	age_of(r->age_ns, age);
	if (r->shifted)
		snprintf(shift, sizeof shift, "%" PRIu32, r->shift[FAR]);
	if (r->clocked)
		snprintf(clock, sizeof clock, "%" PRIu32, r->clock[FAR]);
	if (!r->uncounted) {
		snprintf(sent, sizeof sent, "%" PRIu32, r->bytes[NEAR]);
		snprintf(got, sizeof got, "%" PRIu32, r->bytes[FAR]);
	}
	add(&t, "%-23s %-23s %-6s %-12s %-10s %-10s %-8" PRIu64 " %-6s %-10s %-10s", near, far,
	    r->mode ? r->mode : "-", r->state, shift, clock, r->held_bytes, age, sent, got);
	if (outer != 0xfff)
		add(&t, " vlan %" PRIu32, outer);
	if (inner != 0xfff)
		add(&t, " %" PRIu32, inner);
	if (r->measured)
		add(&t, " cwnd %" PRIu32 " srtt %" PRIu32 "us retrans %" PRIu32, r->cwnd,
		    r->srtt_us, r->retransmitted);
	while (t.len && t.s[t.len - 1] == ' ')
		t.s[--t.len] = 0;
}

void flow_text_json(const struct flow_row *r, char ret_s[FLOW_TEXT_MAX])
{
	struct text t = { .s = ret_s };
	char src[46], dst[46];
	uint32_t outer = r->key.where >> 12 & 0xfff, inner = r->key.where & 0xfff;

	print_addr(r->key.src, src, sizeof src);
	print_addr(r->key.dst, dst, sizeof dst);
	add(&t, "{\"src\":\"%s\",\"sport\":%u,\"dst\":\"%s\",\"dport\":%u", src,
	    be16_get(r->key.sport), dst, be16_get(r->key.dport));
	if (outer != 0xfff)
		add(&t, ",\"vlan\":%" PRIu32, outer);
	if (inner != 0xfff)
		add(&t, ",\"inner_vlan\":%" PRIu32, inner);
	if (r->mode)
		add(&t, ",\"mode\":\"%s\"", r->mode);
	add(&t, ",\"state\":\"%s\"", r->state);
	if (r->shifted)
		add(&t, ",\"shift_near\":%" PRIu32 ",\"shift_far\":%" PRIu32, r->shift[NEAR],
		    r->shift[FAR]);
	if (r->clocked)
		add(&t, ",\"clock_near\":%" PRIu32 ",\"clock_far\":%" PRIu32, r->clock[NEAR],
		    r->clock[FAR]);
	add(&t, ",\"held_bytes\":%" PRIu64 ",\"age_ms\":%" PRIu64, r->held_bytes,
	    (uint64_t)(r->age_ns / 1000000u));
	if (!r->uncounted)
		add(&t, ",\"bytes_near\":%" PRIu32 ",\"bytes_far\":%" PRIu32, r->bytes[NEAR],
		    r->bytes[FAR]);
	if (r->measured)
		add(&t, ",\"cwnd\":%" PRIu32 ",\"srtt_us\":%" PRIu32 ",\"retransmitted\":%" PRIu32,
		    r->cwnd, r->srtt_us, r->retransmitted);
	add(&t, "}");
}
