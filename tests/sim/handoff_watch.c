/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "handoff_world.h"
#include "core/flow_row.h"
#include "proto/checksum.h"
#include "proto/print.h"

/*
 * What must hold, seen from outside: after every event, when all connections are over, and when the last timer has gone.
 *
 *   - a segment that leaves a role has right checksums;
 *   - no acknowledgement goes to the client of bytes that have not arrived, at its host if that has the connection, at the front end else;
 *   - once a back end has sent a client anything of its answer nobody else does, but for a reset of the front end's;
 *   - what is read is what was written (the applications look);
 *   - without loss and troubles each connection ends with all bytes; with them, in one of the ways that they allow, and none hangs;
 *   - nothing of a connection outlives it by more than a linger.
 */

#define SPAN (1u << 21) /* more than anybody says on a connection */

static int conn_of(const struct hand_world *w, uint16_t port)
{
	for (unsigned i = w->p->conns; i-- > 0;)
		if (w->conn[i].begun && w->p->conn[i].port == port)
			return (int)i;
	return -1;
}

void hand_watch_syn(struct hand_world *w, const struct packet *p, const struct view *v)
{
	const struct tcp_hdr *t = view_tcp((struct packet *)(uintptr_t)p, v);
	int i = conn_of(w, be16_get(t->sport));
	struct hand_client *a;

	if (i < 0 || (v->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return;
	a = &w->conn[i];
	if (a->seen && a->isn == v->seq)
		return;
	a->seen = true;
	a->isn = v->seq;
	a->front_end = v->seq;
	a->responder = -1;
	a->has_iss = false;
}

void hand_watch_at_front(struct hand_world *w, const struct packet *p, const struct view *v)
{
	const struct tcp_hdr *t = view_tcp((struct packet *)(uintptr_t)p, v);
	int i = conn_of(w, be16_get(t->sport));
	struct hand_client *a = i >= 0 ? &w->conn[i] : NULL;
	uint32_t end = v->seq + view_seg_len(v);

	if (a && a->seen && !(v->flags & TCP_RST) && end - a->isn < SPAN &&
	    (int32_t)(end - a->front_end) > 0)
		a->front_end = end;
}

void hand_watch_sums(struct hand_world *w, const char *who, const struct packet *p)
{
	struct view v;

	if (view_parse(p, &v) == R_NONE && v.tcp && !net_sums(p))
		run_broken(&w->run, "the %s sends a wrong checksum", who);
}

/* The host's next number, where it has this connection and is not the other end of a splice. */
static bool host_has(struct hand_world *w, unsigned i, const struct packet *p, const struct view *v,
		     uint32_t *ret_next)
{
	struct stack *s = w->back[i].host.s;
	struct conn_info info;
	uint32_t cursor = 0;
	uint8_t src[16], dst[16];
	uint16_t port = be16_get(view_tcp((struct packet *)(uintptr_t)p, v)->dport);

	view_addrs(p, v, src, dst);
	while (stack_list(s, &cursor, w->run.now, &info))
		if (info.remote.port == port && memcmp(info.remote.ip, dst, 16) == 0 &&
		    info.state != ST_SYN_RECEIVED && info.state != ST_CLOSED) {
			*ret_next = info.rcv_nxt;
			return true;
		}
	return false;
}

static void watch_ack(struct hand_world *w, int responder, int i, const struct packet *p,
		      const struct view *v)
{
	struct hand_client *a = &w->conn[i];
	uint32_t next;

	if ((int32_t)(v->ack - a->front_end) > 0)
		run_broken(&w->run, "connection %d: %u bytes acknowledged that never came", i,
			   v->ack - a->front_end);
	if (responder == 0 || w->at_front >= 0 || !w->back[responder - 1].p->agent ||
	    w->back[responder - 1].host.dead)
		return;
	if (host_has(w, (unsigned)responder - 1, p, v, &next) && (int32_t)(v->ack - next) > 0)
		run_broken(&w->run,
			   "connection %d: %u bytes acknowledged that back end %d does not have", i,
			   v->ack - next, responder - 1);
}

void hand_watch_answer(struct hand_world *w, int responder, const struct packet *p)
{
	struct hand_client *a;
	struct view v;
	int i;

	if (view_parse(p, &v) != R_NONE || !v.tcp)
		return;
	i = conn_of(w, be16_get(view_tcp((struct packet *)(uintptr_t)p, &v)->dport));
	if (i < 0)
		return;
	a = &w->conn[i];
	/* What is said of an older connection on this quad has older numbers. */
	if (!a->seen || !(v.flags & TCP_ACK) || v.ack - a->isn - 1 > SPAN)
		return;
	if (responder == 0 && v.flags & TCP_SYN && v.ack == a->isn + 1) {
		a->iss = v.seq;
		a->has_iss = true;
	}
	if (!a->has_iss || v.seq - a->iss > SPAN)
		return;
	if (v.flags & TCP_RST) {
		a->reset |= responder == 0;
		return;
	}
	/* A SYN that was under way for longer than its connection lived, and than the front end had room for it. */
	if (responder == 0 && v.flags & TCP_SYN && a->over)
		return;
	watch_ack(w, responder, i, p, &v);
	/* An acknowledgement is no answer yet: as long as all bytes are kept, another may give it. */
	if (responder > 0 && !v.payload_len && !(v.flags & TCP_FIN))
		return;
	if (a->responder > 0 && a->responder != responder)
		run_broken(&w->run, "connection %d: answered by %s %d where back end %d has it", i,
			   responder ? "back end" : "the front end,", responder - 1,
			   a->responder - 1);
	a->responder = responder;
}

void hand_watch_step(struct hand_world *w)
{
	const char *what = hand_front_fault(&w->front);

	if (!what)
		what = box_fault(&w->front);
	if (what)
		run_broken(&w->run, "the front end: %s", what);
	what = stack_check(w->client.s, w->run.now);
	if (what)
		run_broken(&w->run, "the client: %s", what);
	for (unsigned i = 0; i < w->p->backs; i++) {
		if (w->back[i].host.dead)
			continue;
		what = stack_check(w->back[i].host.s, w->run.now);
		if (what)
			run_broken(&w->run, "host %u: %s", i, what);
		if (w->back[i].p->agent && box_fault(&w->back[i].agent))
			run_broken(&w->run, "agent %u: %s", i, box_fault(&w->back[i].agent));
	}
}

/* --- what becomes of connections */

/* Does its head fit the window that is told, which is as small as the smallest of all hosts? */
static bool fits(const struct hand_world *w, const struct hand_conn_plan *c)
{
	for (unsigned i = 0; i < w->p->backs; i++)
		for (unsigned k = 0; k < c->requests; k++)
			if (w->p->back[i].agent &&
			    c->request[k].head + 2048 > w->p->back[i].host.rcvbuf)
				return false;
	return true;
}

static bool says(const struct hand_client *a, const char *status)
{
	return strncmp(a->answer + 9, status, 3) == 0;
}

/* Is there somebody who can take it, before anything is known of what goes wrong? */
static bool servable(const struct hand_world *w, const struct hand_conn_plan *c)
{
	for (unsigned i = 0; i < w->p->backs; i++) {
		const struct hand_back_plan *b = &w->p->back[i];
		bool same = (c->ip == 6) == b->ip6;

		if (same && w->p->own_address)
			return true;
		if (b->agent && !b->far && b->max_flows > HAND_CONNS * 4)
			return true;
	}
	return false;
}

static bool allowed(const struct hand_world *w, unsigned i, enum hand_fate f)
{
	const struct hand_conn_plan *c = &w->p->conn[i];
	const struct hand_client *a = &w->conn[i];
	bool calm = hand_plan_is_calm(w->p);

	if (f == FATE_LEFT)
		return c->leaves != LEAVES_NEVER;
	if (f == FATE_HUNG)
		return w->hurt || (!calm && (w->gave_up || a->reset || c->says == SAYS_NOTHING));
	if (!calm && f == FATE_RESET)
		return true;
	switch (c->says) {
	case SAYS_REQUESTS:
		if (f != FATE_ANSWERED)
			return f == FATE_DONE || (!calm && f == FATE_CLOSED && a->got == 0);
		if (says(a, "431"))
			return !fits(w, c);
		if (says(a, "408"))
			return !calm;
		/* A back end is known a moment after the beginning. */
		return says(a, "503") &&
		       (!calm || !servable(w, c) || c->start < RUN_FIRST + SUT_MS(3000));
	case SAYS_GARBAGE:
		return f == (w->p->bad_close ? FATE_CLOSED : FATE_ANSWERED) ||
		       (!calm && f == FATE_CLOSED);
	case SAYS_HALF:
	case SAYS_TOO_MUCH: /* nothing of it came in time: whoever says nothing is closed */
		return f == FATE_ANSWERED || (!calm && f == FATE_CLOSED);
	case SAYS_NOTHING:
		return f == FATE_CLOSED;
	}
	return false;
}

void hand_watch_conns(struct hand_world *w)
{
	for (unsigned i = 0; i < w->p->conns; i++) {
		struct hand_client *a = &w->conn[i];

		if (a->begun && !allowed(w, i, a->fate))
			run_broken(&w->run, "connection %u: %s with %u of %u bytes (%.20s)", i,
				   hand_fate_name(a->fate), a->got, a->want, a->answer);
	}
}

/* What a role has, in a trace. */
static void list(const struct hand_world *w, const struct box *b, const char *who)
{
	struct flow_row row;
	uint32_t cursor = 0;
	char ip[46];

	if (!w->run.opt.trace)
		return;
	while (b->ops->list(b->role, &cursor, w->run.now, &row)) {
		(void)print_addr(row.key.src, ip, sizeof ip);
		printf("%12.6f %s: %s port %u: %s %s, %.3f s\n", run_seconds(&w->run), who, ip,
		       be16_get(row.key.sport), row.mode, row.state, (double)row.age_ns / 1e9);
	}
}

void hand_watch_rest(struct hand_world *w)
{
	unsigned n = hand_front_left(&w->front);

	if (n)
		list(w, &w->front, "front end");
	if (n)
		run_broken(&w->run, "the front end keeps %u hand-offs and ways for ever", n);
	for (unsigned i = 0; i < w->p->backs; i++) {
		if (!w->back[i].p->agent || w->back[i].host.dead)
			continue;
		n = hand_agent_left(&w->back[i].agent);
		if (n)
			list(w, &w->back[i].agent, "agent");
		if (n)
			run_broken(&w->run, "agent %u keeps %u hand-offs for ever", i, n);
	}
}
