/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "note.h"
#include "special.h"
#include "tap.h"

/*
 * The rows that one scene in lockstep cannot show: what happens after a time, and what happens after very many flows.
 */

#define FLOOD 16500u /* flows: QEMU keeps 16384 */

/* Sends one segment through r: true if the answer is that frame, at the other side. */
static bool answers(struct rig *r, const struct seg *g, const struct seg *want)
{
	static struct outs o;
	uint8_t f[SEG_FRAME_MAX];

	if (!rig_step(r, g->from, f, seg_frame(g, f), &o))
		return tap_fail("it stands still");
	return o.n == 1 && o.o[0].len == seg_frame(want, f) &&
	       memcmp(o.o[0].bytes, f, o.o[0].len) == 0;
}

static struct seg near(struct seg g, const struct talk *t)
{
	g.seq -= t->s - t->p;
	return g;
}

static struct seg far(struct seg g, const struct talk *t)
{
	g.ack += t->s - t->p;
	return g;
}

/* The handshake, through r. */
static bool open_flow(struct rig *r, struct talk *t)
{
	struct seg g = talk_syn(t), to;

	if (!answers(r, &g, &g))
		return false;
	g = talk_synack(t);
	if (!answers(r, &g, &g))
		return false;
	g = talk_client(t, ACK, 0);
	to = far(g, t);
	return answers(r, &g, &to);
}

/* The client closes, then the server. */
static bool close_flow(struct rig *r, struct talk *t)
{
	struct seg g = talk_client(t, ACK | FIN, 0), to = far(g, t);

	if (!answers(r, &g, &to))
		return false;
	g = talk_secondary(t, ACK | FIN, 0);
	to = near(g, t);
	if (!answers(r, &g, &to))
		return false;
	g = talk_client(t, ACK, 0);
	to = far(g, t);
	return answers(r, &g, &to);
}

void special_closed(const struct programs *prog)
{
	struct talk t = { .flow = 1, .c = 1000, .p = 5000000, .s = 9000000 }, u = t;
	struct rig q, s;
	char why[200];
	bool ok = rig_start(&q, RIG_QEMU_HUB, prog, "", why);

	tap_begin("row: closed flows");
	(void)note_has_row("closed flows");
	ok = rig_start(&s, RIG_SUTURE, prog, "--time-wait 50ms", why) && ok;
	if (!ok) {
		(void)tap_fail("%s", why);
	} else if (open_flow(&q, &t) && close_flow(&q, &t) && open_flow(&s, &u) &&
		   close_flow(&s, &u)) {
		struct seg late = talk_secondary(&t, ACK, 0), mapped = near(late, &t);
		bool gone = false;

		if (!answers(&q, &late, &mapped))
			(void)tap_fail("QEMU has forgotten the closed flow, too");
		for (unsigned i = 0; i < 200 && !gone && !tap_failed(); i++) {
			struct outs o = { 0 };

			gone = answers(&s, &late, &late);
			(void)rig_wait(&s, CLIENT, 1, gone ? 0 : 25, &o);
		}
		if (!gone)
			(void)tap_fail("suture remembers the closed flow after TIME-WAIT");
	} else {
		(void)tap_fail("the flow was not translated");
	}
	rig_stop(&q);
	rig_stop(&s);
	(void)tap_end();
}

/* SYNs of very many connections, each of which passes. */
static bool flood(struct rig *r)
{
	uint8_t f[SEG_FRAME_MAX];
	struct message m;
	unsigned in = 0, out = 0;

	while (out < FLOOD) {
		while (in < FLOOD && in - out < 64) {
			struct talk t = { .flow = (uint16_t)(100 + in % 20000), .c = in };
			struct seg g = talk_syn(&t);

			if (!stream_send(r->in[CLIENT], f, seg_frame(&g, f), 0))
				return false;
			in++;
		}
		if (stream_recv(r->out[SECONDARY], &m, 5000) != 1)
			return false;
		out++;
	}
	return true;
}

/* Is the flow still translated after the flood? */
static bool survives(struct rig *r, bool *ret_yes)
{
	struct talk t = { .flow = 1, .c = 1000, .p = 5000000, .s = 9000000 };
	struct seg g, to;

	if (!open_flow(r, &t) || !flood(r))
		return tap_fail("frames were lost");
	g = talk_client(&t, ACK | PSH, 100);
	to = far(g, &t);
	*ret_yes = answers(r, &g, &to);
	return !tap_failed();
}

void special_table_full(const struct programs *prog)
{
	struct rig q, s;
	char why[200];
	bool theirs = false, ours = false, ok = rig_start(&q, RIG_QEMU_HUB, prog, "", why);

	tap_begin("row: table full");
	(void)note_has_row("table full");
	ok = rig_start(&s, RIG_SUTURE, prog, "--max-flows 1000", why) && ok;
	if (!ok)
		(void)tap_fail("%s", why);
	else if (survives(&q, &theirs) && survives(&s, &ours) && (theirs || !ours))
		(void)tap_fail("after %u SYNs an established flow is %s by QEMU, %s by suture",
			       FLOOD, theirs ? "kept" : "forgotten", ours ? "kept" : "forgotten");
	rig_stop(&q);
	rig_stop(&s);
	(void)tap_end();
}
