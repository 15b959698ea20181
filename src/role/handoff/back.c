/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * The agent has two shapes.  Beside a data plane (the port `plane`) it sees no packets: announcements of front ends become ways,
 * reports become states, both in lines.  Inline it stands between the network and a host that knows nothing of all this, has a data
 * plane of its own, and every frame passes through it; what is no TCP, or nobody's, goes through untouched.
 *
 * Invariants: a hand-off has one host's direction (back_quad), and is found by it; an id of a front end names one hand-off at most;
 * what is in debt is in the queue, and the deadline is due at once; a slot is free only when nothing is owed for it.
 */
#include "role/handoff/back.h"

#include <errno.h>
#include <string.h>

#include "role/handoff/back_inside.h"

#define ALIGN 64u
#define FLOWS_MAX (1u << 20)

static const struct port_desc ports[] = {
	[BACK_FRONT] = { "front", PORT_FRAMES, true },
	[BACK_HOST] = { "host", PORT_FRAMES, true },
	[BACK_CONTROL] = { "control", PORT_MSGS, true },
	[BACK_FRONTS] = { "fronts", PORT_POST, true },
	[BACK_PLANE] = { "plane", PORT_MSGS, true },
	{ NULL, PORT_FRAMES, false },
};

static size_t round_up(size_t n)
{
	return (n + ALIGN - 1) / ALIGN * ALIGN;
}

const char *back_config_error(const struct back_config *c)
{
	if (c->max_flows == 0 || c->max_flows > FLOWS_MAX)
		return "max-flows must be 1 to 1048576";
	if (c->linger == 0 || c->idle_timeout == 0)
		return "linger and idle-time must not be 0";
	return NULL;
}

void back_defaults(struct back_config *ret_c)
{
	*ret_c = (struct back_config){ .max_flows = 65536,
				       .linger = SUT_MS(60000),
				       .idle_timeout = SUT_MS(3600000),
				       .tell_after = SUT_MS(1),
				       .host = { .kind = HAND_HOST } };
}

static void plane_config_of(const struct back_config *c, struct plane_config *ret_p)
{
	*ret_p = (struct plane_config){ .max_ways = 2 * c->max_flows,
					.keys = c->keys,
					.unsigned_too = c->unsigned_too };
	memcpy(ret_p->key, c->key, sizeof ret_p->key);
	memcpy(ret_p->origin, c->origin, sizeof ret_p->origin);
}

static uint32_t buckets_of(uint32_t max)
{
	uint32_t n = 16;

	while (n < max)
		n *= 2;
	return n;
}

/* Where things lie in the block; its bytes. */
static size_t layout(struct back *b, const struct back_config *c)
{
	size_t at = round_up(sizeof *b);
	struct plane_config p;

	plane_config_of(c, &p);
	b->max = c->max_flows;
	b->buckets = buckets_of(c->max_flows);
	b->at_quads = (uint32_t)at;
	at += round_up((size_t)b->buckets * sizeof(uint32_t));
	b->at_ids = (uint32_t)at;
	at += round_up((size_t)b->buckets * sizeof(uint32_t));
	b->at_hands = (uint32_t)at;
	at += round_up((size_t)b->max * sizeof(struct back_hand));
	b->at_wheel = (uint32_t)at;
	at += round_up(wheel_need(b->max));
	b->at_plane = (uint32_t)at;
	return at + round_up(plane_need(&p));
}

static size_t back_need(const void *config)
{
	struct back b;

	return back_config_error(config) ? 0 : layout(&b, config);
}

/* Reports of our own data plane wait until the packet is done with. */
static void hear(void *ctx, const struct way_event *ev)
{
	struct back *b = ctx;

	if (b->n_events < BACK_EVENT_MAX)
		b->events[b->n_events++] = *ev;
}

static void *back_init(void *block, const void *config, const struct role_env *env)
{
	struct back *b = block;
	struct plane_config p;

	b->cfg = *(const struct back_config *)config;
	b->env = env;
	(void)layout(b, &b->cfg);
	for (unsigned i = 0; i < 5; i++)
		b->hash.k[i] = siphash(env->secret, &(uint32_t){ i }, sizeof(uint32_t));
	(void)wheel_init((uint8_t *)b + b->at_wheel, b->max);
	plane_config_of(&b->cfg, &p);
	memcpy(p.secret, env->secret, sizeof p.secret);
	(void)plane_init((uint8_t *)b + b->at_plane, &p, hear, b);
	return b;
}

/* Frames, inline. */

static enum reason reason_of(enum way_counter why)
{
	switch (why) {
	case WAY_N_SWALLOWED:
		return R_SWALLOWED;
	case WAY_N_NOT_ANNOUNCED:
		return R_NOT_ANNOUNCED;
	case WAY_N_BAD_MAC:
		return R_BAD_MAC;
	case WAY_N_BAD_OPTIONS:
		return R_TCP_OPT;
	case WAY_N_NO_ROOM:
		return R_FLOWS_FULL;
	case WAY_N_FRAGMENT:
		return R_FRAGMENT;
	case WAY_N_NOT_EXPECTED:
	case WAY_N_FORWARDED:
	case WAY_N_TRANSLATED:
	case WAY_N_ADOPTED:
	case WAY_N_EVENTS_LOST:
	case WAY_N_COUNT:
		break;
	}
	return R_NOT_EXPECTED;
}

/* What a reset as the client would need, as long as nobody has shown it. */
static void note_lane(struct back *b, const struct way_key *out, const struct packet *p,
		      const struct view *v)
{
	struct back_hand *h = back_hand_by_quad(b, out);

	if (!h || h->has_lane)
		return;
	lane_learn(&h->lane, p, v);
	h->has_lane = true;
}

static void tell_events(struct back_turn *t)
{
	struct back *b = t->b;

	for (uint32_t i = 0; i < b->n_events; i++)
		back_event(t, &b->events[i]);
	b->n_events = 0;
}

static enum plane_hook hook_of(unsigned port)
{
	return port == BACK_FRONT ? PLANE_BACK_IN : PLANE_BACK_OUT;
}

static void pass_tcp(struct back_turn *t, unsigned port, struct packet *p, struct view *v)
{
	struct plane_verdict r = plane_run(back_plane(t->b), hook_of(port), p, v, t->now);
	struct way_key mate = { .zero = 0 };

	if (r.found)
		mate = r.w->mate; /* what is told may take the way away */
	t->no_room = false;
	tell_events(t);
	if (r.act == WAY_DROP) {
		count_drop(t->b->env, reason_of(r.why));
		return;
	}
	if (t->no_room) {
		count_drop(t->b->env, R_FLOWS_FULL);
		return;
	}
	if (r.found)
		count_event(t->b->env, EV_TRANSLATED);
	if (r.found && port == BACK_FRONT)
		note_lane(t->b, &mate, p, v);
	outbox_put(t->out, port == BACK_FRONT ? BACK_HOST : BACK_FRONT, p);
}

static void pass(struct back_turn *t, unsigned port, struct packet *p)
{
	unsigned to = port == BACK_FRONT ? BACK_HOST : BACK_FRONT;
	enum reason r;
	struct view v;

	if (!back_joined(t->b, to) || !back_inline(t->b)) {
		count_drop(t->b->env, R_WRONG_WAY);
		return;
	}
	r = view_parse(p, &v);
	if (r == R_NONE && v.tcp) {
		pass_tcp(t, port, p, &v);
		return;
	}
	if (r == R_NONE && v.fragment && plane_fragment(back_plane(t->b), hook_of(port), p, &v)) {
		count_drop(t->b->env, R_FRAGMENT);
		return;
	}
	if (r != R_NONE || port != BACK_FRONT || !back_icmp(t, p, &v))
		count_pass(t->b->env, r != R_NONE	   ? r
				      : v.ip && v.fragment ? R_FRAGMENT
							   : R_NOT_TCP);
	outbox_put(t->out, to, p);
}

static void back_input(void *role, const struct burst *in, struct outbox *out)
{
	struct back_turn t = { .b = role, .out = out, .now = in->now };

	for (unsigned i = 0; i < in->n; i++) {
		struct packet *p = in->pkts[i];

		switch ((enum back_port)in->port) {
		case BACK_FRONT:
		case BACK_HOST:
			pass(&t, in->port, p);
			break;
		case BACK_CONTROL:
			back_control(&t, p);
			break;
		case BACK_FRONTS:
			back_msg_input(&t, p);
			break;
		case BACK_PLANE:
			back_plane_input(&t, p);
			break;
		}
		back_pay(&t);
	}
}

static void back_expire(void *role, sut_time now, struct outbox *out)
{
	struct back_turn t = { .b = role, .out = out, .now = now };
	uint32_t i;

	while ((i = wheel_pop(back_wheel(t.b), now)) != WHEEL_NONE)
		back_fire(&t, back_hand_at(t.b, i));
	if (t.b->n_news && t.b->news_at <= now)
		back_news_due(t.b);
	back_pay(&t);
}

static sut_time back_deadline(const void *role)
{
	const struct back *b = role;

	sut_time at = wheel_deadline(back_wheel(b));

	if (back_owes(b))
		return 0;
	return b->n_news && b->news_at < at ? b->news_at : at;
}

static int back_configure(void *role, const void *config)
{
	struct back *b = role;
	const struct back_config *c = config;
	struct plane_config p;

	if (c->max_flows != b->cfg.max_flows)
		return -EBUSY;
	b->cfg = *c;
	plane_config_of(c, &p);
	memcpy(p.secret, b->env->secret, sizeof p.secret);
	plane_configure(back_plane(b), &p);
	for (uint32_t i = 0; i < b->fronts; i++)
		b->front[i].owes_host = true;
	return 0;
}

const struct role_ops back_role = {
	.name = "handoff-back",
	.ports = ports,
	.need = back_need,
	.init = back_init,
	.input = back_input,
	.expire = back_expire,
	.deadline = back_deadline,
	.save = back_save,
	.restore = back_restore,
	.configure = back_configure,
	.list = back_list,
};
