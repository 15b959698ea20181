/* SPDX-License-Identifier: MIT */
#include "role/replica/compare_role.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "core/env.h"
#include "core/outbox.h"
#include "proto/ip.h"
#include "proto/view.h"
#include "role/replica/compare_flow.h"
#include "role/replica/compare_other.h"
#include "role/replica/compare_out.h"
#include "role/replica/compare_record.h"
#include "role/replica/compare_tcp.h"
#include "role/replica/replica_list.h"

/*
 * Theory of operation
 *
 * Frames of both servers run from server to client, so a flow has the same addresses and ports in
 * both, and its two keys differ by the port at which they come in.  The kind of a flow is part of
 * its keys.  What is not compared (no IP, neighbour discovery, what cannot be read) goes straight
 * out if it is the primary's, and is dropped if it is the secondary's.
 *
 * A burst is handled in three stages: all frames are parsed and their keys formed; the table is
 * asked for all of them; then each is handled in order.  Where a frame entered or ended a flow,
 * later ones are looked up again.
 */

static const struct port_desc ports[] = {
	[COMPARE_PRIMARY_IN] = { "primary-in", PORT_FRAMES, false },
	[COMPARE_SECONDARY_IN] = { "secondary-in", PORT_FRAMES, false },
	[COMPARE_OUT] = { "out", PORT_FRAMES, false },
	[COMPARE_NOTIFY] = { "notify", PORT_MSGS, true },
	[COMPARE_CONTROL] = { "control", PORT_MSGS, true },
	{ NULL, PORT_FRAMES, false },
};

_Static_assert((unsigned)COMPARE_PRIMARY_IN == NEAR && (unsigned)COMPARE_SECONDARY_IN == FAR,
	       "a port is the side whose frames come in there");

void replica_compare_defaults(struct replica_compare_config *ret_c)
{
	*ret_c = (struct replica_compare_config){
		.compare_timeout = SUT_MS(3000),
		.expired_scan_cycle = SUT_MS(1000),
		.max_queue_size = 1024,
		.max_flows = 16384,
		.hold_cells = 65536,
		.idle_time = SUT_MS(7200000),
	};
}

const char *replica_compare_config_error(const struct replica_compare_config *c)
{
	if (c->compare_timeout == 0)
		return "compare-timeout must be more than 0";
	if (c->expired_scan_cycle == 0)
		return "expired-scan-cycle must be more than 0";
	if (c->max_queue_size == 0)
		return "max-queue-size must be more than 0";
	if (flows_need(c->max_flows) == 0)
		return "max-flows must be from 1 to 67108864";
	if (c->hold_cells == 0 || c->hold_cells > COMPARE_CELLS_MAX)
		return "hold-cells must be from 1 to 1000000";
	if (c->idle_time == 0)
		return "idle-time must be more than 0";
	return NULL;
}

static size_t role_need(const void *config)
{
	return replica_compare_config_error(config) ? 0 : compare_need(config);
}

static void *role_init(void *block, const void *config, const struct role_env *env)
{
	return compare_lay_out(block, config, env);
}

/* A burst between its stages. */
struct stages {
	struct view v[FLOW_BURST];
	struct flow_key key[FLOW_BURST];
	uint32_t rec[FLOW_BURST];
	uint8_t kind[FLOW_BURST]; /* enum compare_kind */
	bool skip[FLOW_BURST]; /* is not compared, and why: */
	enum reason why[FLOW_BURST];
};

#define UDP_HEADER 8u

enum { MLD_FIRST = 130, ND_LAST = 137, MLD2_REPORT = 143 };

/* What hosts on one link tell each other: multicast listeners, routers, neighbours. */
static bool is_link_talk(const struct packet *p, const struct view *v)
{
	uint8_t type;

	if (v->ip != 6 || v->proto != IP_ICMP6 || v->fragment || v->l4_len == 0 ||
	    v->l4 >= p->head_len)
		return false;
	type = p->head[v->l4];
	return (type >= MLD_FIRST && type <= ND_LAST) || type == MLD2_REPORT;
}

static enum compare_kind kind_of(const struct packet *p, const struct view *v)
{
	if (v->tcp)
		return COMPARE_TCP;
	if (v->fragment)
		return COMPARE_OTHER;
	if (v->proto == IP_UDP && v->l4_len >= UDP_HEADER && v->l4 + UDP_HEADER <= p->head_len)
		return COMPARE_UDP;
	if (v->proto == (v->ip == 4 ? IP_ICMP : IP_ICMP6))
		return COMPARE_ICMP;
	return COMPARE_OTHER;
}

static void key_of(const struct packet *p, const struct view *v, enum compare_kind kind,
		   unsigned side, struct flow_key *ret_key)
{
	unsigned port = (unsigned)kind << 1 | side;

	if (kind == COMPARE_TCP) {
		flow_key_of(p, v, port, ret_key);
		return;
	}
	memset(ret_key, 0, sizeof *ret_key);
	view_addrs(p, v, ret_key->src, ret_key->dst);
	ret_key->where = flow_key_where(v, port);
	if (kind == COMPARE_UDP) {
		memcpy(&ret_key->sport, p->head + v->l4, 2);
		memcpy(&ret_key->dport, p->head + v->l4 + 2, 2);
	} else if (kind == COMPARE_OTHER) {
		ret_key->sport = be16_of(v->proto);
		ret_key->dport = be16_of(v->fragment);
	}
}

static void parse(struct stages *s, const struct burst *in)
{
	for (unsigned i = 0; i < in->n; i++) {
		const struct packet *p = in->pkts[i];
		struct view *v = &s->v[i];

		s->why[i] = view_parse(p, v);
		if (s->why[i] == R_NONE && (v->ip == 0 || is_link_talk(p, v)))
			s->why[i] = R_NOT_COMPARED;
		s->skip[i] = s->why[i] != R_NONE;
		if (s->skip[i])
			continue;
		s->kind[i] = (uint8_t)kind_of(p, v);
		key_of(p, v, (enum compare_kind)s->kind[i], in->port, &s->key[i]);
	}
}

/* Enters the flow of a frame: FLOW_NONE if the frame was dropped for want of room. */
static uint32_t open_flow(struct compare_turn *t, const struct stages *s, unsigned i)
{
	struct flow_key near = s->key[i];
	enum reason why;
	uint32_t f;

	near.where &= ~((uint32_t)1 << 24);
	why = compare_open(t, &near, (enum compare_kind)s->kind[i], &f);
	if (why == R_NONE)
		return f;
	count_drop(t->c->env, why);
	compare_ask(t, FLOW_NONE);
	return FLOW_NONE;
}

static void handle(struct compare_turn *t, struct stages *s, unsigned i, struct packet *p,
		   enum sut_side side)
{
	uint32_t f = s->rec[i] == FLOW_NONE ? open_flow(t, s, i) : flow_of(s->rec[i]);
	const struct view *v = &s->v[i];

	if (f == FLOW_NONE)
		return;
	compare_catch_up(t, f);
	if (s->kind[i] == COMPARE_TCP && side == NEAR)
		compare_tcp_primary(t, f, p, v);
	else if (s->kind[i] == COMPARE_TCP)
		compare_tcp_secondary(t, f, p, v);
	else if (side == NEAR)
		compare_other_primary(t, f, p, v);
	else
		compare_other_secondary(t, f, p, v);
}

static void straight(struct compare_turn *t, struct packet *p, enum sut_side side, enum reason why)
{
	if (side == FAR) {
		count_drop(t->c->env, why);
		return;
	}
	count_pass(t->c->env, why);
	outbox_put(t->out, COMPARE_OUT, p);
}

static void frames_in(struct compare_turn *t, const struct burst *in)
{
	struct stages s;
	uint32_t generation;

	parse(&s, in);
	flows_find(t->c->flows, s.key, s.skip, in->n, s.rec);
	generation = flows_generation(t->c->flows);
	for (unsigned i = 0; i < in->n; i++) {
		if (s.skip[i]) {
			straight(t, in->pkts[i], (enum sut_side)in->port, s.why[i]);
			continue;
		}
		if (flows_generation(t->c->flows) != generation)
			s.rec[i] = flows_find_one(t->c->flows, &s.key[i]);
		handle(t, &s, i, in->pkts[i], (enum sut_side)in->port);
	}
}

/* What the secondary sends once the primary is dead; behind what waits of the same flow. */
static void secondary_alone(struct compare_turn *t, const struct burst *in)
{
	struct stages s;

	parse(&s, in);
	flows_find(t->c->flows, s.key, s.skip, in->n, s.rec);
	for (unsigned i = 0; i < in->n; i++) {
		uint32_t f = s.skip[i] || s.rec[i] == FLOW_NONE ? FLOW_NONE : flow_of(s.rec[i]);
		const struct waiting w = { .since = t->now };

		if (f != FLOW_NONE && compare_cold(t, f)->ready.in)
			(void)compare_hold(t, f, FAR, in->pkts[i], &w,
					   compare_cold(t, f)->side[FAR].q.last);
		else
			outbox_put(t->out, COMPARE_OUT, in->pkts[i]);
	}
}

static bool is_text(const struct packet *p, const char *text)
{
	return p->head_len == strlen(text) && memcmp(p->head, text, p->head_len) == 0;
}

static void say(struct compare_turn *t, unsigned port, const char *text)
{
	uint32_t n = (uint32_t)strlen(text);
	struct packet *p = outbox_make(t->out, port, n);

	if (p)
		memcpy(p->head, text, n);
	else
		count_drop(t->c->env, R_OUTBOX_FULL);
}

static void notified(struct compare_turn *t, const struct packet *p)
{
	if (is_text(p, "COLO_CHECKPOINT") && !t->c->failed_over)
		compare_checkpoint(t);
	else if (is_text(p, "COLO_USERSPACE_PROXY_INIT"))
		say(t, COMPARE_NOTIFY, "COLO_COMPARE_GET_XEN_INIT");
	else
		count_drop(t->c->env, R_MSG_UNKNOWN);
}

static void commanded(struct compare_turn *t, const struct packet *p)
{
	const char *answer = "ok";

	if (is_text(p, "failover")) {
		answer = t->c->failed_over ? "ok failed over already" : "ok failed over";
		compare_failover(t);
	} else if (!is_text(p, "checkpoint"))
		answer = "error unknown command: checkpoint or failover";
	else if (t->c->failed_over)
		answer = "error the primary is dead: there was a failover";
	else
		compare_checkpoint(t);
	say(t, COMPARE_CONTROL, answer);
}

static void role_input(void *role, const struct burst *in, struct outbox *out)
{
	struct compare_turn t = { role, out, in->now };

	compare_out_begin(&t);
	if (in->port == COMPARE_SECONDARY_IN && t.c->failed_over)
		secondary_alone(&t, in);
	else if (in->port == COMPARE_PRIMARY_IN && t.c->failed_over)
		t.c->env->counters->dropped[R_FENCED] += in->n;
	else if (in->port == COMPARE_OUT)
		t.c->env->counters->dropped[R_WRONG_WAY] += in->n;
	else if (in->port <= COMPARE_SECONDARY_IN)
		frames_in(&t, in);
	else
		for (unsigned i = 0; i < in->n; i++)
			(in->port == COMPARE_NOTIFY ? notified : commanded)(&t, in->pkts[i]);
	compare_pay(&t);
}

static sut_time idle_end(const struct compare *c)
{
	sut_time last;

	if (c->idle.first == FLOW_NONE)
		return SUT_NEVER;
	last = c->cold[c->idle.first].last;
	return c->cfg.idle_time > SUT_NEVER - last ? SUT_NEVER : last + c->cfg.idle_time;
}

/* Frames that are held cannot be moved, and scans have numbers: limits and the cycle stay. */
static int role_configure(void *role, const void *config)
{
	const struct replica_compare_config *c = config;
	struct compare *r = role;

	if (c->max_flows != r->cfg.max_flows || c->hold_cells != r->cfg.hold_cells ||
	    c->expired_scan_cycle != r->cfg.expired_scan_cycle)
		return -EOPNOTSUPP;
	r->cfg = *c;
	return 0;
}

static void role_expire(void *role, sut_time now, struct outbox *out)
{
	struct compare_turn t = { role, out, now };

	compare_out_begin(&t);
	compare_serve(&t);
	if (now >= t.c->next_scan)
		compare_scan(&t);
	while (idle_end(t.c) <= now)
		compare_end(&t, t.c->idle.first, EV_FLOWS_IDLE, "idle");
	compare_pay(&t);
}

static sut_time role_deadline(const void *role)
{
	const struct compare *c = role;
	sut_time idle = idle_end(c);

	if (c->ready.first != FLOW_NONE || c->owed)
		return 0;
	return idle < c->next_scan ? idle : c->next_scan;
}

bool replica_compare_describe(const void *role, const struct flow_key *client_key, char *ret_s,
			      size_t size)
{
	const struct compare *c = role;
	const struct compare_flow *f;
	struct flow_key near;
	uint32_t rec;
	int n;

	flow_key_reverse(client_key, COMPARE_TCP << 1 | NEAR, &near);
	rec = flows_find_one(c->flows, &near);
	if (rec == FLOW_NONE)
		return false;
	f = &c->cold[flow_of(rec)];
	n = snprintf(ret_s, size, "%s primary %u secondary %u", f->diverged ? "DIVERGED" : "OPEN",
		     f->side[NEAR].frames, f->side[FAR].frames);
	if (n >= 0 && (size_t)n < size && seqmap_knows(&f->map, FAR))
		(void)snprintf(ret_s + n, size - (size_t)n, " shift far %u", f->map.shift[FAR]);
	return true;
}

const struct role_ops replica_compare_ops = {
	.name = "replica-compare",
	.ports = ports,
	.need = role_need,
	.init = role_init,
	.input = role_input,
	.expire = role_expire,
	.deadline = role_deadline,
	.save = compare_save,
	.restore = compare_restore,
	.configure = role_configure,
	.list = compare_list,
};
