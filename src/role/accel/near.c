/* SPDX-License-Identifier: MIT */
/*
 * near - theory of operation.
 *
 * Goal: connect() returns at once, and where the server takes data in a SYN the request travels with it; with no
 * byte acknowledged to the client that the server has not acknowledged, and no change to either end.
 *
 * A client's SYN is one of three things (promise.c): left alone (no record, never touched again); passed on and
 * remembered for as long as it may be repeated (VERIFYING), its SYN-ACK teaching us the server's options; or promised.
 *
 *               SYN, merge               first data, or the hold ran out
 *     promised ─────────────► KEPT ──────────────────────────┐
 *         │ SYN, hold                                        ▼        SYN-ACK                 client's ACK
 *         └──────────────────────────────────────────► FORWARDED ─────────────► ANSWERED ────────────────► OPEN
 *                                                            │ client's RST        (at once if it was seen)    │
 *                                                            ▼                                                 ▼
 *                                                         ABORTED                                          CLOSED
 *
 * From KEPT and FORWARDED a refusal or silence leads to BROKEN: the client is reset, and whatever it still sends too.
 *
 * Invariants: the promised ISN is a keyed hash of the quad and the client's ISN, so the same SYN gets the same answer.
 * The client's numbers are never changed (shift[NEAR] is 0).  Before OPEN nothing of the client but its SYN (and,
 * merging, its first data) has left the box, and nothing of the server has reached the client.  From OPEN on every
 * segment of either side is translated for as long as the flow is remembered, which is a minute longer than it lives.
 * What belongs to no flow passes untouched, with one exception: a first ACK that acknowledges what only this box can
 * have promised is reset, since nobody else can serve it.
 *
 * A burst is handled in three stages: all are parsed and their keys looked up with prefetch, then each in order; what
 * was looked up is looked up again if a flow was entered or removed in between.
 */
#include "role/accel/accel.h"

#include <errno.h>
#include <string.h>

#include "core/rewrite.h"
#include "proto/checksum.h"
#include "proto/ip.h"

#define MAX_FLOWS (1u << 24)

void pass_on(struct near *n, const struct passing *in)
{
	outbox_put(n->out, in->port == ACCEL_CLIENT ? ACCEL_SERVER : ACCEL_CLIENT, in->p);
}

void drop(struct near *n, enum reason why)
{
	count_drop(&n->env, why);
}

void leave_alone(struct near *n, const struct passing *in, enum reason why)
{
	count_pass(&n->env, why);
	pass_on(n, in);
}

/* A first ACK whose promise only this box can have made, of a flow that it no longer knows (RFC 9293, 3.5.2). */
static bool reset_orphan(struct near *n, const struct passing *in, const struct flow_key *k)
{
	struct make_tcp m = { .seq = in->v->ack, .flags = TCP_RST };
	struct lane client, server;
	uint32_t ignored;

	if (!(in->v->flags & TCP_ACK) || in->v->flags & (TCP_RST | TCP_SYN) ||
	    in->v->ack - 1 != promised_isn(n, k, in->v->seq - 1, &ignored))
		return false;
	lane_learn(&client, in->p, in->v);
	lane_reverse(&client, &server);
	if (make_tcp(n->out, ACCEL_CLIENT, &server, &m)) {
		count_event(&n->env, EV_RST_SENT);
		count_event(&n->env, EV_MADE);
		drop(n, R_NO_FLOW);
	} else {
		drop(n, R_OUTBOX_FULL); /* it comes again */
	}
	return true;
}

static void no_flow(struct near *n, struct passing *in, const struct flow_key *k)
{
	const unsigned mask = TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN;

	if (n->cfg.mode == ACCEL_BYPASS) {
		leave_alone(n, in, R_MODE_BYPASS);
	} else if (in->port == ACCEL_SERVER) {
		pass_on(n, in);
	} else if ((in->v->flags & mask) == TCP_SYN) {
		client_syn(n, in, k);
	} else if (in->v->flags & TCP_SYN && in->v->flags & (TCP_FIN | TCP_RST)) {
		leave_alone(n, in, R_TCP_FLAGS);
	} else if (!reset_orphan(n, in, k)) {
		leave_alone(n, in, R_NO_FLOW);
	}
}

/* A client's segment while its SYN is only being verified: all passes; another SYN begins anew. */
static void client_verifying(struct near *n, struct passing *in)
{
	struct cold *c = &n->cold[in->flow];
	struct flow_key k = rec_of(n, in->flow, NEAR)->key;

	if ((in->v->flags & (TCP_SYN | TCP_ACK)) != TCP_SYN) {
		/* It has the server's answer: it will not repeat its SYN. */
		if (c->verified)
			flow_may_go(n, in->flow);
		pass_on(n, in);
	} else if (in->v->seq == c->isn.v) {
		c->resent = 1; /* its RTT tells nothing now (Karn) */
		pass_on(n, in);
	} else {
		flow_remove(n, in->flow);
		in->flow = FLOW_NONE;
		client_syn(n, in, &k);
	}
}

/* The server speaks although it has no SYN yet: of an older connection, or of a living one whose SYN came again. */
static void kept_answer(struct near *n, const struct passing *in)
{
	if (n->cold[in->flow].client_acked)
		drop(n, R_STATE);
	else
		leave_alone(n, in, R_STATE);
}

/* Before the halves are joined every segment that changes anything is consumed, so it must be whole. */
static bool consumed_damaged(struct near *n, const struct passing *in, enum flow_state s)
{
	if (s == FS_OPEN || s == FS_CLOSED ||
	    (s == FS_VERIFYING && !(in->v->flags & (TCP_SYN | TCP_RST))) ||
	    csum_tcp_ok(in->p, in->v))
		return false;
	if (s == FS_VERIFYING)
		leave_alone(n, in, R_TCP_CSUM);
	else
		drop(n, R_TCP_CSUM);
	return true;
}

static void by_state(struct near *n, struct passing *in)
{
	bool client = in->port == ACCEL_CLIENT;
	enum flow_state s = (enum flow_state)n->cold[in->flow].state;

	if (consumed_damaged(n, in, s))
		return;
	switch (s) {
	case FS_VERIFYING:
		client ? client_verifying(n, in) : verify_answer(n, in);
		break;
	case FS_KEPT:
		client ? client_held(n, in) : kept_answer(n, in);
		break;
	case FS_BROKEN:
		client ? client_broken(n, in) : broken_answer(n, in);
		break;
	case FS_FORWARDED:
	case FS_ANSWERED:
	case FS_ABORTED:
		client ? client_held(n, in) : server_answer(n, in);
		break;
	case FS_OPEN:
	case FS_CLOSED:
		pass_open(n, in);
		break;
	case FS_FREE:
	case FLOW_STATE_COUNT:
		break;
	}
}

/* The hot path: an ordinary segment of a flow that needs only shifts. */
static bool pass_fast(struct near *n, struct flow_rec *r, const struct passing *in)
{
	struct view *v = in->v;
	bool ours = r->flags & FLOW_TS_VAL; /* the server's numbers are far ones */
	uint32_t seq = v->seq + (ours ? r->add_seq : 0), ack = v->ack + (ours ? r->add_ack : 0);

	if (!(r->flags & FLOW_FAST) ||
	    (v->flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) != TCP_ACK)
		return false;
	if (rewrite_fast(in->p, v, r->add_seq, r->add_ack, r->add_ts, ours) != R_NONE)
		return false;
	flow_rec_seen(r, seq + v->payload_len, ack);
	count_event(&n->env, EV_TRANSLATED);
	pass_on(n, in);
	return true;
}

static void not_tcp(struct near *n, const struct passing *in)
{
	if (in->v->fragment)
		leave_alone(n, in, R_FRAGMENT);
	else if (in->v->ip && (in->v->proto == IP_ICMP || in->v->proto == IP_ICMP6) &&
		 (n->cfg.mode != ACCEL_BYPASS || flows_count(n->flows)))
		pass_icmp(n, in);
	else
		leave_alone(n, in, R_NOT_TCP);
}

struct looked_up {
	struct view view[FLOW_BURST];
	struct flow_key key[FLOW_BURST];
	uint64_t hash[FLOW_BURST];
	enum reason bad[FLOW_BURST];
	bool skip[FLOW_BURST];
	uint32_t rec[FLOW_BURST];
	uint32_t generation;
};

static void look_up(struct near *n, const struct burst *in, struct looked_up *l)
{
	for (unsigned i = 0; i < in->n; i++) {
		l->bad[i] = view_parse(in->pkts[i], &l->view[i]);
		l->skip[i] = !l->view[i].tcp;
		if (l->skip[i])
			continue;
		flow_key_of(in->pkts[i], &l->view[i], in->port, &l->key[i]);
		l->hash[i] = flows_touch(n->flows, &l->key[i]);
	}
	l->generation = flows_generation(n->flows);
	flows_find_touched(n->flows, l->key, l->hash, l->skip, in->n, l->rec);
}

static void one(struct near *n, const struct burst *in, struct looked_up *l, unsigned i)
{
	struct passing pass = {
		.p = in->pkts[i],
		.v = &l->view[i],
		.port = in->port,
		.flow = FLOW_NONE,
	};
	uint32_t rec = l->rec[i];

	if (l->bad[i]) {
		leave_alone(n, &pass, l->bad[i]);
		return;
	}
	if (l->skip[i]) {
		not_tcp(n, &pass);
		return;
	}
	if (unlikely(l->generation != flows_generation(n->flows)))
		rec = flows_find_one(n->flows, &l->key[i]);
	if (rec == FLOW_NONE) {
		no_flow(n, &pass, &l->key[i]);
		return;
	}
	pass.flow = flow_of(rec);
	if (!pass_fast(n, flows_rec(n->flows, rec), &pass))
		by_state(n, &pass);
}

static void near_input(void *role, const struct burst *in, struct outbox *out)
{
	struct near *n = role;
	struct looked_up l;

	n->out = out;
	n->now = in->now;
	owe_pay_all(n);
	if (in->port == ACCEL_CONTROL) {
		for (unsigned i = 0; i < in->n; i++)
			command(n, in->pkts[i]);
		return;
	}
	look_up(n, in, &l);
	for (unsigned i = 0; i < in->n; i++)
		one(n, in, &l, i);
}

static void near_expire(void *role, sut_time now, struct outbox *out)
{
	struct near *n = role;
	uint32_t f;

	n->out = out;
	n->now = now;
	owe_pay_all(n);
	while (n->owing.first == FLOW_NONE && (f = wheel_pop(n->wheel, now)) != WHEEL_NONE)
		flow_expire(n, f);
}

static sut_time near_deadline(const void *role)
{
	const struct near *n = role;

	return n->owing.first != FLOW_NONE ? 0 : wheel_deadline(n->wheel);
}

/* The block: struct near, then each part aligned to a cache line. */
struct layout {
	size_t flows, wheel, store, learn, cookies, cold, total;
};

static size_t place(size_t *at, size_t size)
{
	size_t here = (*at + 63) & ~(size_t)63;

	*at = here + size;
	return here;
}

static struct layout layout_of(const struct accel_near_config *c)
{
	size_t at = sizeof(struct near);
	struct layout l;

	l.flows = place(&at, flows_need(c->max_flows));
	l.wheel = place(&at, wheel_need(c->max_flows));
	l.store = place(&at, store_need(c->hold_cells));
	l.learn = place(&at, learn_need(c->max_servers));
	l.cookies = place(&at, cookies_need(c->max_cookies));
	l.cold = place(&at, (size_t)c->max_flows * sizeof(struct cold));
	l.total = at;
	return l;
}

void accel_near_defaults(struct accel_near_config *ret_c)
{
	*ret_c = (struct accel_near_config){
		.mode = ACCEL_AUTO,
		.ports = { { 80, 80 }, { 443, 443 }, { 8080, 8080 }, { 8443, 8443 } },
		.port_count = 4,
		.idempotent = { { 443, 443 }, { 8443, 8443 } },
		.idempotent_count = 2,
		.max_flows = 262144,
		.max_servers = 16384,
		.hold_cells = 16384,
		.max_cookies = 16384,
		.fastopen_cookies = true,
		.max_pending = 65536,
		.max_pending_source = 1024,
		.early_bytes = 29200,
		.merge_hold = SUT_MS(5),
		.syn_timeout = SUT_MS(60000),
		.negative_time = SUT_MS(60000),
		.learn_time = SUT_MS(600000),
		.idle_time = SUT_MS(7500000),
	};
}

const char *accel_near_config_error(const struct accel_near_config *c)
{
	if (c->max_flows == 0 || c->max_flows > MAX_FLOWS)
		return "max-flows must be 1 to 16777216";
	if (c->max_servers == 0 || c->max_servers > MAX_FLOWS)
		return "max-servers must be 1 to 16777216";
	if (c->max_cookies == 0 || c->max_cookies > MAX_FLOWS)
		return "max-cookies must be 1 to 16777216";
	if (c->hold_cells == 0 || c->hold_cells > MAX_FLOWS)
		return "hold-cells must be 1 to 16777216";
	if (c->max_pending == 0)
		return "max-pending must be above 0";
	if (c->max_pending_source == 0)
		return "max-pending-source must be above 0";
	if (c->early_bytes == 0 || c->early_bytes > 65535)
		return "early-bytes must be 1 to 65535: a promised window is not scaled";
	if (c->merge_hold == 0 || c->merge_hold > SUT_MS(1000))
		return "merge-hold must be above 0 and at most 1s";
	if (c->syn_timeout < SUT_MS(1000))
		return "syn-timeout must be at least 1s";
	if (c->idle_time < SUT_MS(1000))
		return "idle-time must be at least 1s";
	return NULL;
}

static size_t near_need(const void *config)
{
	const struct accel_near_config *c = config;

	return accel_near_config_error(c) ? 0 : layout_of(c).total;
}

static struct hash_key table_key(const struct role_env *env)
{
	struct hash_key k;

	for (unsigned i = 0; i < ARRAY_LEN(k.k); i++)
		k.k[i] = env->random(env->random_ctx);
	return k;
}

/* Cells that the early data of one flow may take. */
static uint16_t cells_of(const struct accel_near_config *c)
{
	return (uint16_t)(c->early_bytes / 512 + 16);
}

static void *near_init(void *block, const void *config, const struct role_env *env)
{
	struct near *n = block;
	const struct accel_near_config *c = config;
	struct layout l = layout_of(c);
	struct hash_key key = table_key(env);
	uint8_t *b = block;

	n->cfg = *c;
	n->env = *env;
	n->flows = flows_init(b + l.flows, c->max_flows, &key);
	n->wheel = wheel_init(b + l.wheel, c->max_flows);
	n->store = store_init(b + l.store, c->hold_cells);
	n->learn = learn_init(b + l.learn, c->max_servers, env->secret);
	n->cookies = cookies_init(b + l.cookies, c->max_cookies, env->secret);
	budget_init(&n->budget, c->max_pending, c->max_pending_source, &key);
	n->cold = (struct cold *)(void *)(b + l.cold);
	n->owing = n->closed = (struct flow_list){ FLOW_NONE, FLOW_NONE };
	n->max_cells = cells_of(c);
	return n;
}

/* Timers that run keep their times; the next ones have the new ones. */
static int near_configure(void *role, const void *config)
{
	const struct accel_near_config *c = config;
	struct near *n = role;

	if (c->max_flows != n->cfg.max_flows || c->max_servers != n->cfg.max_servers ||
	    c->max_cookies != n->cfg.max_cookies || c->hold_cells != n->cfg.hold_cells)
		return -EBUSY;
	n->cfg = *c;
	n->budget.max_pending = c->max_pending;
	n->budget.max_source = c->max_pending_source;
	n->max_cells = cells_of(c);
	return 0;
}

static const struct port_desc ports[] = {
	[ACCEL_CLIENT] = { .name = "client", .kind = PORT_FRAMES },
	[ACCEL_SERVER] = { .name = "server", .kind = PORT_FRAMES },
	[ACCEL_CONTROL] = { .name = "control", .kind = PORT_MSGS, .optional = true },
	{ .name = NULL },
};

const struct role_ops accel_near_ops = {
	.name = "accel-near",
	.ports = ports,
	.need = near_need,
	.init = near_init,
	.input = near_input,
	.expire = near_expire,
	.deadline = near_deadline,
	.save = near_save,
	.restore = near_restore,
	.list = near_list,
	.configure = near_configure,
	.journals = true,
};
