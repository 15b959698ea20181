/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/be.h"
#include "proc.h"
#include "scene.h"
#include "site.h"
#include "suites.h"
#include "tap.h"

static const struct plan plans[] = {
	{ "QEMU's pair, rewritten by suture", BY_QEMU, BY_SUTURE, BY_QEMU, true },
	{ "suture's mirror, QEMU's rewriter", BY_SUTURE, BY_QEMU, BY_NOBODY, true },
	{ "suture's mirror and rewriter, QEMU's secondary", BY_SUTURE, BY_SUTURE, BY_NOBODY, true },
	{ "QEMU's pair, compared by suture", BY_QEMU, BY_QEMU, BY_SUTURE, true },
	{ "suture's three between QEMUs", BY_BOTH, BY_SUTURE, BY_SUTURE, true },
	{ "suture's three alone", BY_SUTURE, BY_SUTURE, BY_SUTURE, false },
};

/* A server's segment, or the client's, as a frame. */
static uint32_t frame_of(struct seg g, uint32_t seq_add, uint32_t ack_add, uint8_t *ret_f)
{
	g.seq += seq_add;
	g.ack += ack_add;
	return seg_frame(&g, ret_f);
}

/* The client says g: both servers hear it, the secondary in its own numbers. */
static bool client_says(struct site *s, const struct seg *g, uint32_t d)
{
	uint8_t f[SEG_FRAME_MAX], far[SEG_FRAME_MAX];
	uint32_t len = seg_frame(g, f), far_len = frame_of(*g, 0, g->flags & ACK ? d : 0, far);

	return site_send(s, END_CLIENT, f, len) && site_expect(s, END_PRIMARY, f, len) &&
	       site_expect(s, END_SECONDARY, far, far_len);
}

/* Both servers say g (the secondary's form of it): the client hears the primary's. */
static bool servers_say(struct site *s, const struct seg *g, uint32_t d)
{
	uint8_t f[SEG_FRAME_MAX], near[SEG_FRAME_MAX];
	uint32_t len = seg_frame(g, f), near_len = frame_of(*g, 0u - d, 0, near);
	bool syn = g->flags & SYN;

	if (!site_send(s, END_PRIMARY, near, near_len) || !site_send(s, END_SECONDARY, f, len) ||
	    !site_expect(s, END_CLIENT, near, near_len))
		return false;
	if (s->plan->compare != BY_NOBODY)
		return true;
	return site_expect(s, END_SINK, syn ? f : near, syn ? len : near_len);
}

static bool client_says_once(struct site *s, struct seg g, uint32_t d)
{
	return client_says(s, &g, d) || tap_fail("  when the client said it");
}

static bool servers_say_once(struct site *s, struct seg g, uint32_t d)
{
	return servers_say(s, &g, d) || tap_fail("  when the servers said it");
}

/* A connection from its SYN to its end. */
static bool dialogue(struct site *s, uint16_t flow)
{
	struct talk t = { .flow = flow, .c = 1000, .p = 5000000, .s = 9000000u + flow };
	uint32_t d = t.s - t.p;

	if (!client_says_once(s, talk_syn(&t), d) || !servers_say_once(s, talk_synack(&t), d) ||
	    !client_says_once(s, talk_client(&t, ACK, 0), d))
		return false;
	for (unsigned i = 0; i < 4; i++)
		if (!client_says_once(s, talk_client(&t, ACK | PSH, 100 + i * 450), d) ||
		    !servers_say_once(s, talk_secondary(&t, ACK | PSH, 200 + i * 420), d) ||
		    !client_says_once(s, talk_client(&t, ACK, 0), d))
			return false;
	return client_says_once(s, talk_client(&t, ACK | FIN, 0), d) &&
	       servers_say_once(s, talk_secondary(&t, ACK | FIN, 0), d) &&
	       client_says_once(s, talk_client(&t, ACK, 0), d);
}

/* A dead QEMU is no skip: it stood on its own feet in the tests before. */
static bool started(struct site *s, const struct programs *prog, const struct plan *plan,
		    enum site_options o)
{
	char why[200];

	if (!site_start(s, prog, plan, o, why))
		return tap_fail("%s", why);
	return site_wake(s) || tap_fail("no frame passes all the way");
}

static void wirings(const struct programs *prog)
{
	for (unsigned i = 0; i < ARRAY_LEN(plans) * 4; i++) {
		const struct plan *plan = &plans[i / 4];
		enum site_options o = (enum site_options)(i % 4);
		struct site s;

		tap_begin("%s, %s, QEMU %s", plan->name,
			  o & SITE_VNET ? "vnet_hdr_support" : "plain",
			  o & SITE_QEMU_LISTENS ? "listens" : "connects");
		if (plan->compare == BY_SUTURE && !site_has_compare(prog)) {
			tap_skip("this suture cannot compare");
			continue;
		}
		if (started(&s, prog, plan, o))
			(void)(dialogue(&s, 1) && dialogue(&s, 2));
		site_stop(&s);
		(void)tap_end();
	}
}

/* Kills these programs, one after the other, and starts them anew: the others join them again. */
static void restarts(const struct programs *prog, const char *name, const enum program *p,
		     unsigned n, enum site_options o)
{
	struct site s;

	tap_begin("%s killed and started again, QEMU %s", name,
		  o & SITE_QEMU_LISTENS ? "listens" : "connects");
	if (started(&s, prog, &plans[0], o) && dialogue(&s, 1)) {
		for (unsigned i = 0; i < n; i++)
			proc_kill(s.pid[p[i]]);
		for (unsigned i = 0; i < n; i++)
			if (!site_run(&s, p[i]))
				(void)tap_fail("it does not connect again");
		if (!tap_failed() && !site_wake(&s))
			(void)tap_fail("no frame passes all the way afterwards");
		if (!tap_failed())
			(void)(dialogue(&s, 2) && dialogue(&s, 3));
	}
	site_stop(&s);
	(void)tap_end();
}

/*
 * QEMU 7.2's redirector reads no more once its peer was gone, so a secondary whose suture was started again has to be
 * started again, too.
 */
static void all_restarts(const struct programs *prog)
{
	static const enum program secondary[] = { PROG_SECONDARY }, primary[] = { PROG_PRIMARY },
				  ours[] = { PROG_REWRITE, PROG_SECONDARY };

	for (unsigned i = 0; i < 2; i++) {
		enum site_options o = i ? SITE_QEMU_LISTENS : 0;

		restarts(prog, "the secondary's QEMU", secondary, 1, o);
		restarts(prog, "the primary's QEMU", primary, 1, o);
		restarts(prog, "suture, and the secondary's QEMU,", ours, 2,
			 i ? o : SITE_RECONNECT);
	}
}

void suite_wiring(const struct programs *prog)
{
	char why[200];

	if (!rig_qemu_works(prog, why)) {
		tap_begin("wirings");
		tap_skip("%s", why);
		return;
	}
	wirings(prog);
	all_restarts(prog);
}
