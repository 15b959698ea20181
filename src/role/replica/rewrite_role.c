/* SPDX-License-Identifier: MIT */
#include "role/replica/rewrite_role.h"

#include <stdio.h>

#include "base/compiler.h"
#include "core/env.h"
#include "core/outbox.h"
#include "proto/ip.h"
#include "role/replica/half.h"
#include "role/replica/known.h"
#include "role/replica/pair.h"
#include "role/replica/pair_record.h"

/*
 * Theory of operation
 *
 * Every packet goes on to the other port, in order; the exceptions are those that wait for
 * numbers (half.c), and the acknowledgements that are made (known.c).  What is no TCP,
 * malformed, a fragment, or of no flow passes untouched.
 *
 * A burst is handled in three stages: all packets are parsed and their keys formed; the table
 * is asked for all of them; then each is handled in order.  Where a packet entered or removed a
 * flow, later ones are looked up again.
 */

static const struct port_desc ports[] = {
	[REPLICA_PRIMARY] = { "primary", PORT_FRAMES },
	[REPLICA_SECONDARY] = { "secondary", PORT_FRAMES },
	{ NULL, PORT_FRAMES },
};

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
	size_t flows, wheel, held, pairs, bytes;
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
		.pairs = (struct pair *)(void *)(b + l.pairs),
		.evictable = { FLOW_NONE, FLOW_NONE },
		.ready = { FLOW_NONE, FLOW_NONE },
	};
	return r;
}

/* A burst between its stages. */
struct stages {
	struct view v[FLOW_BURST];
	struct flow_key key[FLOW_BURST];
	uint32_t rec[FLOW_BURST];
	bool skip[FLOW_BURST]; /* is no TCP segment; passed */
	enum reason why[FLOW_BURST];
};

static void parse(struct stages *s, const struct burst *in)
{
	for (unsigned i = 0; i < in->n; i++) {
		s->why[i] = view_parse(in->pkts[i], &s->v[i]);
		s->skip[i] = s->why[i] != R_NONE || !s->v[i].tcp;
		if (!s->skip[i])
			flow_key_of(in->pkts[i], &s->v[i], in->port, &s->key[i]);
	}
}

static void look_up(struct turn *t, struct stages *s, unsigned n)
{
	flows_find(t->r->flows, s->key, s->skip, n, s->rec);
	for (unsigned i = 0; i < n; i++)
		if (s->rec[i] != FLOW_NONE)
			prefetch(flows_rec(t->r->flows, s->rec[i] ^ 1));
}

/*
 * What is no whole TCP segment passes; ICMP errors about the primary's packets are mapped on
 * their way.
 */
static void pass_other(struct turn *t, enum sut_side side, struct packet *p, const struct view *v,
		       enum reason why)
{
	if (why == R_NONE)
		why = v->fragment ? R_FRAGMENT : R_NOT_TCP;
	count_pass(t->r->env, why);
	if (why == R_NOT_TCP && side == NEAR && v->ip != 0 &&
	    (v->proto == IP_ICMP || v->proto == IP_ICMP6))
		known_icmp(t, p, v);
	outbox_put(t->out, !side, p);
}

/*
 * Of no flow: a client's SYN enters one; all else is older than us, or opened by the guest,
 * whose primary we cannot hear.
 */
static void stranger(struct turn *t, enum sut_side side, struct packet *p, const struct view *v,
		     const struct flow_key *key)
{
	enum reason why = R_NO_FLOW;

	if ((v->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		why = side == NEAR ? half_open(t, key, v) : R_NOT_CLIENT;
	if (why != R_NONE)
		count_pass(t->r->env, why);
	outbox_put(t->out, !side, p);
}

static void segment(struct turn *t, uint32_t rec, struct packet *p, struct view *v)
{
	uint32_t f = flow_of(rec);
	enum sut_side side = flow_sender(rec);
	const struct pair *c = pair_of(t, f);

	if (c->phase == PAIR_HALF) {
		half_segment(t, f, side, p, v);
	} else if (c->held.first != HELD_NONE) {
		half_hold(t, f, side, p); /* behind those that found no room yet */
	} else {
		outbox_put(t->out, !side, p);
		known_segment(t, f, side, p, v);
	}
}

static void handle(struct turn *t, struct stages *s, unsigned i, struct packet *p, unsigned port)
{
	struct view *v = &s->v[i];

	if (s->skip[i]) {
		pass_other(t, (enum sut_side)port, p, v, s->why[i]);
	} else if (s->rec[i] == FLOW_NONE) {
		stranger(t, (enum sut_side)port, p, v, &s->key[i]);
	} else if (likely(known_fast(t, s->rec[i], p, v))) {
		outbox_put(t->out, !port, p);
	} else {
		segment(t, s->rec[i], p, v);
	}
}

_Static_assert((unsigned)REPLICA_PRIMARY == NEAR && (unsigned)REPLICA_SECONDARY == FAR,
	       "a port is the side whose packets come in there");

static void rewrite_input(void *role, const struct burst *in, struct outbox *out)
{
	struct turn t = { role, out, in->now };
	struct stages s;
	uint32_t generation;

	held_sweep(t.r->held);
	parse(&s, in);
	look_up(&t, &s, in->n);
	generation = flows_generation(t.r->flows);
	for (unsigned i = 0; i < in->n; i++) {
		if (flows_generation(t.r->flows) != generation && !s.skip[i])
			s.rec[i] = flows_find_one(t.r->flows, &s.key[i]);
		handle(&t, &s, i, in->pkts[i], in->port);
	}
}

/* Serves those that found no room before, each once: who finds none again is entered anew. */
static void serve_ready(struct turn *t)
{
	while (t->r->ready.first != FLOW_NONE && outbox_room_made(t->out) != 0) {
		uint32_t f = t->r->ready.first;
		struct pair *c = pair_of(t, f);

		pair_set_ready(t, f, false);
		if (c->phase == PAIR_KNOWN)
			known_release(t, f);
		if (c->phase != PAIR_HALF)
			half_release(t, f);
	}
}

static void fire(struct turn *t, uint32_t f)
{
	switch ((enum pair_phase)pair_of(t, f)->phase) {
	case PAIR_HALF:
		half_timer(t, f);
		break;
	case PAIR_KNOWN:
		if (!pair_still_used(t, f))
			pair_end(t, f, EV_FLOWS_CLOSED, "its time is up");
		break;
	case PAIR_GIVEN_UP:
	case PAIR_PHASE_COUNT:
		break;
	}
}

static void rewrite_expire(void *role, sut_time now, struct outbox *out)
{
	struct turn t = { role, out, now };
	uint32_t f;

	held_sweep(t.r->held);
	serve_ready(&t);
	while ((f = wheel_pop(t.r->wheel, now)) != WHEEL_NONE)
		fire(&t, f);
}

static sut_time rewrite_deadline(const void *role)
{
	const struct rewrite *r = role;

	return r->ready.first != FLOW_NONE ? 0 : wheel_deadline(r->wheel);
}

bool replica_rewrite_describe(const void *role, const struct flow_key *client_key, char *ret_s,
			      size_t size)
{
	const struct rewrite *r = role;
	uint32_t rec = flows_find_one(r->flows, client_key);
	const struct pair *c;
	int n;

	if (rec == FLOW_NONE)
		return false;
	c = &r->pairs[flow_of(rec)];
	n = snprintf(ret_s, size, "%s", track_state_name((enum track_state)c->track.state));
	if (n >= 0 && (size_t)n < size && seqmap_knows(&c->seam.seq, FAR))
		n += snprintf(ret_s + n, size - (size_t)n, " shift far %u", c->seam.seq.shift[FAR]);
	if (n >= 0 && (size_t)n < size && c->ts_known)
		(void)snprintf(ret_s + n, size - (size_t)n, " ts far %u", c->seam.ts[FAR]);
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
};
