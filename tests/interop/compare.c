/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "compare_slow.h"
#include "judge.h"
#include "note.h"
#include "scene.h"
#include "suites.h"
#include "tap.h"

/*
 * The comparisons side by side.  What a step brings about is written as a word: a letter for each frame of the primary's that
 * comes out (a is the first that the case sent), "?" for any other frame, "!" for each DO_CHECKPOINT.  Each step says the word
 * of QEMU 7.2 and the word that is right; a case with a row has a step where the two differ.
 */

#define FRAMES_MAX 16u

struct run {
	struct judge *j; /* QEMU's, suture's */
	uint16_t flow;
	unsigned steps, differ;
	unsigned sent; /* frames of the primary's */
	struct {
		uint32_t len;
		uint8_t bytes[SEG_FRAME_MAX];
	} frame[FRAMES_MAX];
};

/* What came of a step, as a word. */
static void word_of(const struct run *r, const struct judged *d, char *ret_w, size_t size)
{
	size_t n = 0;

	for (unsigned i = 0; i < d->out.n && n + 1 < size; i++) {
		char c = '?';

		for (unsigned k = 0; k < r->sent && c == '?'; k++)
			if (r->frame[k].len == d->out.o[i].len &&
			    memcmp(r->frame[k].bytes, d->out.o[i].bytes, d->out.o[i].len) == 0)
				c = (char)('a' + k);
		ret_w[n++] = c;
	}
	for (unsigned i = 0; i < d->checkpoints && n + 1 < size; i++)
		ret_w[n++] = '!';
	ret_w[n] = '\0';
}

/* Both words of one step. */
static void expect(struct run *r, const struct judged d[2], const char *theirs, const char *ours,
		   const char *what)
{
	char w[2][32];

	r->steps++;
	r->differ += strcmp(theirs, ours) != 0;
	word_of(r, &d[0], w[0], sizeof w[0]);
	word_of(r, &d[1], w[1], sizeof w[1]);
	if (strcmp(w[0], theirs) != 0)
		(void)tap_fail("step %u, %s: QEMU \"%s\", expected \"%s\"", r->steps, what, w[0],
			       theirs);
	if (strcmp(w[1], ours) != 0)
		(void)tap_fail("step %u, %s: suture \"%s\", expected \"%s\"", r->steps, what, w[1],
			       ours);
	for (unsigned i = 0; i < d[1].out.n && strchr(w[1], '?'); i++)
		(void)tap_fail("  %s", seg_print(d[1].out.o[i].bytes, d[1].out.o[i].len));
}

static void send_both(struct run *r, enum server who, const uint8_t *f, uint32_t len,
		      const char *theirs, const char *ours)
{
	static struct judged d[2];

	if (who == PRIMARY_IN && r->sent < FRAMES_MAX) {
		r->frame[r->sent].len = len;
		memcpy(r->frame[r->sent++].bytes, f, len);
	}
	for (unsigned i = 0; i < 2; i++)
		if (!judge_frame(&r->j[i], who, f, len, &d[i])) {
			(void)tap_fail("%s stands still", i ? "suture" : "QEMU");
			return;
		}
	expect(r, d, theirs, ours, seg_print(f, len));
}

static void primary(struct run *r, struct seg g, const char *theirs, const char *ours)
{
	uint8_t f[SEG_FRAME_MAX];

	send_both(r, PRIMARY_IN, f, seg_frame(&g, f), theirs, ours);
}

static void secondary(struct run *r, struct seg g, const char *theirs, const char *ours)
{
	uint8_t f[SEG_FRAME_MAX];

	send_both(r, SECONDARY_IN, f, seg_frame(&g, f), theirs, ours);
}

static void tell(struct run *r, const char *message, const char *theirs, const char *ours)
{
	static struct judged d[2];

	for (unsigned i = 0; i < 2; i++)
		if (!judge_tell(&r->j[i], message, &d[i])) {
			(void)tap_fail("%s stands still", i ? "suture" : "QEMU");
			return;
		}
	expect(r, d, theirs, ours, message);
	if (strcmp(d[0].other, d[1].other) != 0)
		(void)tap_fail("QEMU answers \"%s\", suture \"%s\"", d[0].other, d[1].other);
}

/* A server's segment; both have the same numbers, as behind a rewriter. */
static struct seg server(const struct run *r, uint8_t flags, uint32_t off, uint32_t len)
{
	return (struct seg){
		.from = SECONDARY,
		.flow = r->flow,
		.flags = flags,
		.seq = 5000001 + off,
		.ack = 1001,
		.win = 502,
		.first = off,
		.len = len,
	};
}

/* The SYN-ACKs of both, so that a flow is known from its beginning. */
static void begin(struct run *r)
{
	struct seg g = server(r, SYN | ACK, 0, 0);

	g.seq--;
	primary(r, g, "", "");
	secondary(r, g, "a", "a");
}

static void same_payload(struct run *r)
{
	begin(r);
	primary(r, server(r, ACK | PSH, 0, 100), "", "");
	secondary(r, server(r, ACK | PSH, 0, 100), "b", "b");
	secondary(r, server(r, ACK | PSH, 100, 1000), "", "");
	primary(r, server(r, ACK | PSH, 100, 1000), "c", "c");
}

static void other_window(struct run *r)
{
	struct seg g;

	begin(r);
	primary(r, server(r, ACK | PSH, 0, 100), "", "");
	g = server(r, ACK | PSH, 0, 100);
	g.win = 77;
	g.ts = true;
	g.tsval = 5;
	secondary(r, g, "b", "b");
}

static void synacks(struct run *r)
{
	struct seg g = server(r, SYN | ACK, 0, 0);

	primary(r, g, "", "");
	g.seq += 7777777;
	secondary(r, g, "a", "a");
}

static void other_cuts(struct run *r)
{
	begin(r);
	primary(r, server(r, ACK, 0, 100), "", "");
	primary(r, server(r, ACK, 100, 100), "", "");
	secondary(r, server(r, ACK, 0, 200), "bc", "bc");
	primary(r, server(r, ACK, 200, 200), "", "");
	secondary(r, server(r, ACK, 200, 50), "", "");
	secondary(r, server(r, ACK, 250, 150), "d", "d");
}

static void differs(struct run *r)
{
	struct seg g;

	begin(r);
	primary(r, server(r, ACK | PSH, 0, 100), "", "");
	g = server(r, ACK | PSH, 0, 100);
	g.first = 9;
	secondary(r, g, "!", "!");
}

/* What waits of the primary goes out, what waits of the secondary does not. */
static void checkpoint(struct run *r)
{
	struct seg g;

	begin(r);
	primary(r, server(r, ACK | PSH, 0, 100), "", "");
	g = server(r, ACK | PSH, 0, 100);
	g.first = 9;
	secondary(r, g, "!", "!");
	primary(r, server(r, ACK | PSH, 100, 50), "!", "");
	tell(r, "COLO_CHECKPOINT", "bc", "bc");
	primary(r, server(r, ACK | PSH, 150, 10), "", "");
	secondary(r, server(r, ACK | PSH, 150, 10), "d", "d");
}

static void init(struct run *r)
{
	tell(r, "COLO_USERSPACE_PROXY_INIT", "", "");
}

static void shifted(struct run *r)
{
	struct seg g;

	begin(r);
	primary(r, server(r, ACK | PSH, 0, 100), "", "");
	g = server(r, ACK | PSH, 0, 100);
	g.seq += 7777;
	secondary(r, g, "b", "");
}

static void rst_data(struct run *r)
{
	begin(r);
	primary(r, server(r, RST | ACK, 0, 0), "", "");
	secondary(r, server(r, ACK | PSH, 0, 100), "b", "!");
	secondary(r, server(r, RST | ACK, 100, 0), "", "b");
}

static void fin_ack(struct run *r)
{
	begin(r);
	primary(r, server(r, FIN | ACK, 0, 0), "", "");
	secondary(r, server(r, ACK, 0, 0), "b", "");
	secondary(r, server(r, FIN | ACK, 0, 0), "", "b");
}

static void data_fin(struct run *r)
{
	begin(r);
	primary(r, server(r, FIN | ACK | PSH, 0, 100), "", "");
	secondary(r, server(r, ACK | PSH, 0, 100), "b", "");
	secondary(r, server(r, FIN | ACK, 100, 0), "", "b");
}

/* The secondary goes on where the primary has finished: QEMU sees no payload that could differ. */
static void fin_data(struct run *r)
{
	begin(r);
	primary(r, server(r, FIN | ACK, 0, 0), "", "");
	secondary(r, server(r, ACK | PSH, 0, 100), "b", "!");
}

static void swapped(struct run *r)
{
	begin(r);
	primary(r, server(r, ACK | PSH, 0, 100), "", "");
	primary(r, server(r, ACK | PSH, 100, 100), "", "");
	secondary(r, server(r, ACK | PSH, 100, 100), "!", "");
	secondary(r, server(r, ACK | PSH, 0, 100), "bc", "bc");
}

static void again(struct run *r)
{
	begin(r);
	primary(r, server(r, ACK | PSH, 0, 100), "", "");
	secondary(r, server(r, ACK | PSH, 0, 100), "b", "b");
	primary(r, server(r, ACK | PSH, 0, 100), "", "b");
}

static void pure_ack(struct run *r)
{
	struct seg g = server(r, ACK, 0, 0);

	begin(r);
	primary(r, g, "", "b");
	g.ack += 100;
	primary(r, g, "", "");
	secondary(r, g, "b", "c");
}

static void datagrams(struct run *r)
{
	uint8_t f[SEG_FRAME_MAX];
	uint32_t n;

	for (uint8_t i = 0; i < 2; i++) {
		n = seg_udp(SECONDARY, 50, i, f);
		send_both(r, PRIMARY_IN, f, n, "", "");
	}
	n = seg_udp(SECONDARY, 50, 1, f);
	send_both(r, SECONDARY_IN, f, n, "b", "!"); /* ours takes it for another answer */
	n = seg_udp(SECONDARY, 50, 0, f);
	f[22] = 33; /* TTL */
	store_be16(f + 18, 9);
	store_be16(f + 24, 0);
	store_be16(f + 24, (uint16_t)~seg_sum(0, f + 14, 20));
	send_both(r, SECONDARY_IN, f, n, "a", "ab");
}

static void datagrams_in_order(struct run *r)
{
	static const char *const theirs[] = { "", "", "!", "ba" }, *const ours[] = { "", "", "a",
										     "b" };
	uint8_t f[SEG_FRAME_MAX];
	uint32_t n;

	for (uint8_t i = 0; i < 4; i++) {
		n = seg_udp(SECONDARY, 50, i % 2, f);
		send_both(r, i < 2 ? PRIMARY_IN : SECONDARY_IN, f, n, theirs[i], ours[i]);
	}
}

static void no_ip(struct run *r)
{
	uint8_t f[60] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6, 1 };

	send_both(r, PRIMARY_IN, f, 60, "a", "a");
	send_both(r, SECONDARY_IN, f, 60, "", "");
}

static void vlan(struct run *r)
{
	struct seg g = server(r, SYN | ACK, 0, 0);

	g.seq--;
	g.vlans = 1;
	primary(r, g, "a", "");
	secondary(r, g, "", "a");
	g = server(r, ACK | PSH, 0, 100);
	g.vlans = 1;
	primary(r, g, "b", "");
	g.first = 5;
	secondary(r, g, "", "!");
}

static void ip6(struct run *r)
{
	struct seg g = server(r, SYN | ACK, 0, 0);

	g.seq--;
	g.ip6 = true;
	primary(r, g, "a", "");
	secondary(r, g, "", "a");
	g = server(r, ACK | PSH, 0, 100);
	g.ip6 = true;
	primary(r, g, "b", "");
	g.first = 5;
	secondary(r, g, "", "!");
}

static const struct {
	const char *name, *row;
	void (*run)(struct run *r);
} cases[] = {
	{ "same payload, either side first", NULL, same_payload },
	{ "other window and options", NULL, other_window },
	{ "SYN-ACKs of different ISNs", NULL, synacks },
	{ "other segments of the same bytes", NULL, other_cuts },
	{ "payload differs", NULL, differs },
	{ "no IP", NULL, no_ip },
	{ "COLO_USERSPACE_PROXY_INIT", NULL, init },
	{ "datagrams in order", "two datagrams of P wait", datagrams_in_order },
	{ "datagrams in swapped order, other TTL and id", "two datagrams of P wait", datagrams },
	{ "COLO_CHECKPOINT", "asked already", checkpoint },
	{ "same payload at another seq", "seq off by a constant", shifted },
	{ "RST against data", "RST against data", rst_data },
	{ "FIN against ACK", "FIN against ACK, data and FIN against data", fin_ack },
	{ "FIN against data", "FIN against ACK, data and FIN against data", fin_data },
	{ "data and FIN against data", "FIN against ACK, data and FIN against data", data_fin },
	{ "secondary's segments swapped", "S's segments out of order", swapped },
	{ "retransmission by the primary alone", "P repeats what was compared", again },
	{ "ACK of the primary alone", "pure ACK no further than S's", pure_ack },
	{ "VLAN", "IPv6, VLAN, QinQ", vlan },
	{ "IPv6", "IPv6, VLAN, QinQ", ip6 },
};

static bool start_both(struct judge j[2], const struct programs *prog,
		       const struct judge_options *t)
{
	char why[200];

	j[1].pid = -1;
	if (judge_start(&j[0], true, prog, t, why) && judge_start(&j[1], false, prog, t, why))
		return true;
	return tap_fail("%s", why);
}

void suite_compare(const struct programs *prog)
{
	static const struct judge_options never[] = { { 1000000, 1000000, false },
						      { 1000000, 1000000, true } };
	static struct judge j[2];
	static struct run r;
	char why[200];

	if (!rig_qemu_works(prog, why)) {
		tap_begin("comparisons side by side");
		tap_skip("%s", why);
		return;
	}
	for (unsigned k = 0; k < 2 * ARRAY_LEN(cases); k++) {
		unsigned i = k / 2;

		tap_begin("%s: %s%s", cases[i].row ? "row" : "alike", cases[i].name,
			  k % 2 ? ", vnet_hdr_support" : "");
		(void)note_has_row(cases[i].row);
		r = (struct run){ .j = j, .flow = (uint16_t)(i + 1) };
		if (start_both(j, prog, &never[k % 2])) {
			cases[i].run(&r);
			if (!tap_failed() && (r.differ > 0) != (cases[i].row != NULL))
				(void)tap_fail("%u steps differ", r.differ);
		}
		judge_stop(&j[0]);
		judge_stop(&j[1]);
		(void)tap_end();
	}
	compare_timeout(prog);
	compare_flush(prog);
	compare_full(prog);
}
