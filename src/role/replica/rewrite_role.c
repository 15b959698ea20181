/* SPDX-License-Identifier: MIT */
#include "role/replica/rewrite_role.h"

#include <errno.h>
#include <stdio.h>

#include "base/compiler.h"
#include "core/env.h"
#include "core/outbox.h"
#include "proto/ip.h"
#include "role/replica/command.h"
#include "role/replica/guest.h"
#include "role/replica/half.h"
#include "role/replica/known.h"
#include "role/replica/pair.h"
#include "role/replica/pair_record.h"
#include "role/replica/replica_list.h"
#include "role/replica/primary.h"

/*
 * Theory of operation
 *
 * Every packet of the clients goes on to the secondary, and every one of the secondary to where
 * its output is joined, in order; the exceptions are those that wait for numbers (half.c,
 * guest.c), and the acknowledgements that are made (known.c).  What is no TCP, malformed, a
 * fragment, or of no flow passes untouched.  What the primary sends is only looked at.
 *
 * All ports of one side give one key: the clients' that of `primary`, the servers' that of
 * `secondary`; so a flow has two keys however many ports are joined.
 *
 * A burst is handled in three stages: all packets are parsed and their keys formed, the tables'
 * lines sent for; the table is asked for all of them; then each is handled in order.  Where a
 * packet entered or removed a flow, later ones are looked up again.
 */

static const struct port_desc ports[] = {
	[REPLICA_PRIMARY] = { "primary", PORT_FRAMES, false },
	[REPLICA_SECONDARY] = { "secondary", PORT_FRAMES, false },
	[REPLICA_SECONDARY_OUT] = { "secondary-out", PORT_FRAMES, true },
	[REPLICA_PRIMARY_OUT] = { "primary-out", PORT_FRAMES, true },
	[REPLICA_COMPARE] = { "compare", PORT_FRAMES, true },
	[REPLICA_NETWORK] = { "network", PORT_FRAMES, true },
	[REPLICA_CONTROL] = { "control", PORT_MSGS, true },
	{ NULL, PORT_FRAMES, false },
};

/* Joined where nobody says what is: the two that no rewriter is without. */
#define JOINED_ALWAYS (1u << REPLICA_PRIMARY | 1u << REPLICA_SECONDARY)

void replica_rewrite_defaults(struct replica_rewrite_config *ret_c)
{
	*ret_c = (struct replica_rewrite_config){
		.max_flows = 65536,
		.hold_cells = 4096,
		.time_wait = SUT_MS(60000),
		.half_open_time = SUT_MS(60000),
		.idle_time = SUT_MS(7200000),
	};
}

const char *replica_rewrite_config_error(const struct replica_rewrite_config *c)
{
	if (flows_need(c->max_flows) == 0)
		return "max-flows must be from 1 to 67108864";
	if (c->hold_cells == 0 || c->hold_cells > HELD_CELLS_MAX)
		return "hold-cells must be from 1 to 1048576";
	if (c->time_wait == 0)
		return "time-wait must be more than 0";
	if (c->half_open_time == 0)
		return "half-open-time must be more than 0";
	if (c->idle_time == 0)
		return "idle-time must be more than 0";
	return NULL;
}

/* Where the parts lie in the block, and its size. */
struct layout {
	size_t flows, wheel, held, ahead, pairs, bytes;
};

static size_t part(size_t *at, size_t bytes)
{
	size_t here = *at;

	*at += (bytes + 127) / 128 * 128;
	return here;
}

static struct layout lay_out(const struct replica_rewrite_config *c)
{
	struct layout l;
	size_t at = 0;

	(void)part(&at, sizeof(struct rewrite));
	l.flows = part(&at, flows_need(c->max_flows));
	l.wheel = part(&at, wheel_need(c->max_flows));
	l.held = part(&at, held_need(c->hold_cells));
	l.ahead = part(&at, sizeof(struct ahead));
	l.pairs = part(&at, sizeof(struct pair) * (size_t)c->max_flows);
	l.bytes = at;
	return l;
}

static size_t rewrite_need(const void *config)
{
	return replica_rewrite_config_error(config) ? 0 : lay_out(config).bytes;
}

static void *rewrite_init(void *block, const void *config, const struct role_env *env)
{
	const struct replica_rewrite_config *c = config;
	struct layout l = lay_out(c);
	struct rewrite *r = block;
	uint8_t *b = block;
	struct hash_key key;

	for (unsigned i = 0; i < ARRAY_LEN(key.k); i++)
		key.k[i] = env->random(env->random_ctx);
	*r = (struct rewrite){
		.cfg = *c,
		.env = env,
		.flows = flows_init(b + l.flows, c->max_flows, &key),
		.wheel = wheel_init(b + l.wheel, c->max_flows),
		.held = held_init(b + l.held, c->hold_cells),
		.ahead = (struct ahead *)(void *)(b + l.ahead),
		.pairs = (struct pair *)(void *)(b + l.pairs),
		.evictable = { FLOW_NONE, FLOW_NONE },
		.waiting = { FLOW_NONE, FLOW_NONE },
		.ready = { FLOW_NONE, FLOW_NONE },
		.joined = env->ports ? env->ports : JOINED_ALWAYS,
		.fast = FLOW_FAST,
	};
	r->ahead->hash = key;
	return r;
}

/* A burst between its stages. */
struct stages {
	struct view v[FLOW_BURST];
	struct flow_key key[FLOW_BURST];
	uint64_t hash[FLOW_BURST];
	uint32_t rec[FLOW_BURST];
	bool skip[FLOW_BURST]; /* is no TCP segment; passed */
	enum reason why[FLOW_BURST];
};

static void parse(struct turn *t, struct stages *s, const struct burst *in)
{
	enum sut_side side = pair_side(in->port);

	_Static_assert((unsigned)REPLICA_PRIMARY == NEAR && (unsigned)REPLICA_SECONDARY == FAR,
		       "a side is the port of its keys");
	for (unsigned i = 0; i < in->n; i++) {
		s->why[i] = view_parse(in->pkts[i], &s->v[i]);
		s->skip[i] = s->why[i] != R_NONE || !s->v[i].tcp;
		if (s->skip[i])
			continue;
		flow_key_of(in->pkts[i], &s->v[i], side, &s->key[i]);
		s->hash[i] = flows_touch(t->r->flows, &s->key[i]);
	}
}

/* The client's acknowledgements are measured by what the server has sent: its record is needed too. */
static void look_up(struct turn *t, struct stages *s, unsigned n)
{
	flows_find_touched(t->r->flows, s->key, s->hash, s->skip, n, s->rec);
	if (pair_side(t->port) == FAR)
		return;
	for (unsigned i = 0; i < n; i++)
		if (s->rec[i] != FLOW_NONE)
			prefetch(flows_rec(t->r->flows, s->rec[i] ^ 1));
}

/*
 * What is no whole TCP segment passes; ICMP errors about the primary's packets are mapped on
 * their way.
 */
static void pass_other(struct turn *t, struct packet *p, const struct view *v, enum reason why)
{
	if (why == R_NONE)
		why = v->fragment ? R_FRAGMENT : R_NOT_TCP;
	count_pass(t->r->env, why);
	if (why == R_NOT_TCP && pair_side(t->port) == NEAR && v->ip != 0 &&
	    (v->proto == IP_ICMP || v->proto == IP_ICMP6))
		known_icmp(t, p, v);
	outbox_put(t->out, t->to, p);
}

/* An answer whose SYN is still to come waits: true. */
static bool waits(struct turn *t, const struct packet *p, const struct view *v,
		  const struct flow_key *key)
{
	return pair_side(t->port) == NEAR && guest_is_answer(v) && !t->r->failed_over &&
	       guest_answer_first(t, key, p, v) == R_NONE;
}

/*
 * Of no flow: a SYN enters one, from whichever side; all else is older than us.  After the
 * failover nobody's numbers differ any more from those that clients are told.
 */
static void stranger(struct turn *t, struct packet *p, const struct view *v,
		     const struct flow_key *key)
{
	enum reason why = R_NO_FLOW;
	uint32_t f;

	if (waits(t, p, v, key))
		return;
	if ((v->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && !t->r->failed_over)
		why = pair_side(t->port) == NEAR	   ? half_open(t, key, p, v)
		      : track_event_of(v->flags) == TE_SYN ? guest_open(t, key, p, v, &f)
							   : R_TCP_FLAGS;
	if (why != R_NONE)
		count_pass(t->r->env, why);
	outbox_put(t->out, t->to, p);
}

static void segment(struct turn *t, uint32_t rec, struct packet *p, struct view *v)
{
	uint32_t f = flow_of(rec);
	enum sut_side side = flow_sender(rec);
	struct pair *c = pair_of(t, f);

	command_apply(t, f);
	c->restored = false;
	if (c->phase == PAIR_HALF) {
		half_segment(t, f, side, p, v);
	} else if (c->held.first != HELD_NONE) {
		half_hold(t, f, p); /* behind those that found no room yet */
	} else if (side == NEAR && guest_answers_anew(t, f, p, v)) {
		return; /* it waits */
	} else {
		outbox_put(t->out, t->to, p);
		known_segment(t, f, side, p, v);
	}
}

/* What the hot path does not take. */
static SUT_NOINLINE void handle(struct turn *t, struct stages *s, unsigned i, struct packet *p)
{
	if (s->skip[i])
		pass_other(t, p, &s->v[i], s->why[i]);
	else if (s->rec[i] == FLOW_NONE)
		stranger(t, p, &s->v[i], &s->key[i]);
	else
		segment(t, s->rec[i], p, &s->v[i]);
}

/* Segments on their way to the other side. */
static void pass(struct turn *t, struct stages *s, const struct burst *in)
{
	uint32_t generation = flows_generation(t->r->flows);
	bool far = pair_side(in->port) == FAR;
	unsigned translated = 0;

	for (unsigned i = 0; i < in->n; i++) {
		struct packet *p = in->pkts[i];
		uint32_t rec;

		if (flows_generation(t->r->flows) != generation && !s->skip[i])
			s->rec[i] = flows_find_one(t->r->flows, &s->key[i]);
		rec = s->rec[i];
		if (likely(rec != FLOW_NONE && (far ? known_fast_far(t->r, rec, p, &s->v[i])
						    : known_fast_near(t->r, rec, p, &s->v[i])))) {
			outbox_put(t->out, t->to, p);
			translated++;
		} else {
			handle(t, s, i, p);
		}
	}
	t->r->env->counters->event[EV_TRANSLATED] += translated;
}

/* What the primary sent: looked at. */
static void look(struct turn *t, struct stages *s, const struct burst *in)
{
	for (unsigned i = 0; i < in->n; i++) {
		uint32_t rec;

		count_drop(t->r->env, R_LOOKED_AT);
		if (s->skip[i])
			continue;
		rec = flows_find_one(t->r->flows, &s->key[i]);
		if (rec == FLOW_NONE) {
			primary_stranger(t, &s->key[i], in->pkts[i], &s->v[i]);
			continue;
		}
		command_apply(t, flow_of(rec));
		primary_segment(t, flow_of(rec), in->pkts[i], &s->v[i]);
	}
}

/* Is nothing taken from port?  For what reason, then. */
static enum reason refusal(const struct rewrite *r, unsigned port)
{
	bool network = pair_joined(r, REPLICA_NETWORK);

	switch (port) {
	case REPLICA_PRIMARY:
		return r->failed_over && network ? R_FENCED : R_NONE;
	case REPLICA_PRIMARY_OUT:
		return r->failed_over ? R_FENCED : R_NONE;
	case REPLICA_NETWORK:
		return r->failed_over ? R_NONE : R_STANDBY;
	case REPLICA_COMPARE:
		return R_WRONG_WAY;
	default:
		return R_NONE;
	}
}

static void rewrite_input(void *role, const struct burst *in, struct outbox *out)
{
	struct turn t = { role, out, in->now, in->port, in->port };
	struct stages s;
	enum reason no;

	held_sweep(t.r->held);
	if (in->port == REPLICA_CONTROL) {
		for (unsigned i = 0; i < in->n; i++)
			command_run(&t, in->pkts[i]);
		return;
	}
	no = refusal(t.r, in->port);
	if (no != R_NONE) {
		t.r->env->counters->dropped[no] += in->n;
		return;
	}
	t.to = pair_route(t.r, in->port);
	parse(&t, &s, in);
	if (in->port == REPLICA_PRIMARY_OUT) {
		look(&t, &s, in);
		return;
	}
	look_up(&t, &s, in->n);
	pass(&t, &s, in);
}

/* Serves those that found no room before, each once: who finds none again is entered anew. */
static void serve_ready(struct turn *t)
{
	while (t->r->ready.first != FLOW_NONE && outbox_room_made(t->out) != 0) {
		uint32_t f = t->r->ready.first;
		struct pair *c = pair_of(t, f);

		pair_set_ready(t, f, false);
		command_apply(t, f);
		if (c->phase == PAIR_KNOWN)
			known_release(t, f);
		if (c->phase != PAIR_HALF)
			half_release(t, f);
	}
}

static void fire(struct turn *t, uint32_t f)
{
	const struct pair *c = pair_of(t, f);
	bool half = c->phase == PAIR_HALF;

	command_apply(t, f);
	switch ((enum pair_phase)c->phase) {
	case PAIR_HALF:
		half_timer(t, f);
		break;
	case PAIR_KNOWN:
		if (!half && !pair_still_used(t, f))
			pair_end(t, f, EV_FLOWS_CLOSED, "its time is up");
		break;
	case PAIR_GIVEN_UP:
	case PAIR_PHASE_COUNT:
		break;
	}
}

/* Segments that are held cannot be moved: limits stay.  Timers that run keep their times. */
static int rewrite_configure(void *role, const void *config)
{
	const struct replica_rewrite_config *c = config;
	struct rewrite *r = role;

	if (c->max_flows != r->cfg.max_flows || c->hold_cells != r->cfg.hold_cells)
		return -EOPNOTSUPP;
	r->cfg = *c;
	return 0;
}

static void rewrite_expire(void *role, sut_time now, struct outbox *out)
{
	struct turn t = { role, out, now, REPLICA_PRIMARY, REPLICA_SECONDARY };
	uint32_t f;

	held_sweep(t.r->held);
	serve_ready(&t);
	command_release(&t);
	while ((f = wheel_pop(t.r->wheel, now)) != WHEEL_NONE)
		fire(&t, f);
}

static sut_time rewrite_deadline(const void *role)
{
	const struct rewrite *r = role;

	return r->ready.first != FLOW_NONE || r->renewing ? 0 : wheel_deadline(r->wheel);
}

/* After the failover all that the secondary sends goes to the network. */
static uint32_t rewrite_unused(const void *role)
{
	const struct rewrite *r = role;

	if (!r->failed_over || !pair_joined(r, REPLICA_NETWORK))
		return 0;
	return 1u << REPLICA_PRIMARY | 1u << REPLICA_SECONDARY_OUT | 1u << REPLICA_COMPARE;
}

bool replica_rewrite_describe(const void *role, const struct flow_key *client_key, char *ret_s,
			      size_t size)
{
	const struct rewrite *r = role;
	uint32_t rec = flows_find_one(r->flows, client_key);
	struct flow_rec near, far;
	struct pair c;
	int n;

	if (rec == FLOW_NONE)
		return false;
	c = r->pairs[flow_of(rec)];
	near = *flows_rec_const(r->flows, rec);
	far = *flows_rec_const(r->flows, rec ^ 1);
	command_renew(r, &c, &near, &far);
	n = snprintf(ret_s, size, "%s", track_state_name((enum track_state)c.track.state));
	if (n >= 0 && (size_t)n < size && seqmap_knows(&c.seam.seq, FAR))
		n += snprintf(ret_s + n, size - (size_t)n, " shift far %u", c.seam.seq.shift[FAR]);
	if (n >= 0 && (size_t)n < size && c.ts_known)
		(void)snprintf(ret_s + n, size - (size_t)n, " ts far %u", c.seam.ts[FAR]);
	return true;
}

const struct role_ops replica_rewrite_ops = {
	.name = "replica-rewrite",
	.ports = ports,
	.need = rewrite_need,
	.init = rewrite_init,
	.input = rewrite_input,
	.expire = rewrite_expire,
	.deadline = rewrite_deadline,
	.save = pair_save,
	.restore = pair_restore,
	.configure = rewrite_configure,
	.unused = rewrite_unused,
	.list = pair_list,
};
