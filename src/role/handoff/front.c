/* SPDX-License-Identifier: MIT */
/*
 * front - theory of operation.
 *
 * Goal: a client's connection is accepted here, its request is read here, and it is answered by the back end that the request asks for, as if that
 * had accepted it; afterwards only the client's packets come by.
 *
 * A frame is one of four things, asked in this order: a question for our link address (front_near.c); an error about a packet of what was handed over
 * (front_icmp.c); a segment of a hand-off that is out of the stack (front_pass.c, by the states of front_over.c); the stack's.  After
 * each frame the stack is flushed and asked what it has to tell, so any split of a burst has the same output, and what the stack answers
 * goes back the way that the frame in hand came.
 *
 *     client ──► stack ──► front_read ──► route ──► ladder ──► front_over ──► rung, way ──► back end
 *                 request: bytes           back end  rung        states        packets
 *
 * Memory: one block; indices only, but for the parts' own places in it, which are found once by init().
 */
#include <errno.h>
#include <string.h>

#include "proto/checksum.h"
#include "role/handoff/front_inside.h"

#define MAX_CONNS (1u << ID_BITS)
#define HEAD_LEAST 65536u
#define ROOM 48u /* packets that one timer may ask for */

/* --- frames */

static void stack_turn(struct front *f)
{
	read_stack(f);
	stack_flush(f->stack, f->now);
	read_stack(f);
	stack_flush(f->stack, f->now);
}

static void to_stack(struct front *f, const struct packet *p, const struct view *v)
{
	enum reason r = stack_input(f->stack, p, v, f->now);

	if (r == R_NONE || r == R_NO_FLOW)
		reach_note(f, p, v);
	if (r != R_NONE)
		count_drop(&f->env, r);
	stack_turn(f);
}

static bool in_stack(const struct hand *h)
{
	return h->state == FR_READING || h->state == FR_ANSWERED;
}

/* Rule 3: where all is over, a SYN opens the quad anew. */
static bool opens_anew(const struct hand *h, enum side side, const struct packet *p,
		       const struct view *v)
{
	return h->state == FR_LINGER && side == CLIENT &&
	       v->seq != h->d.irs && /* or a copy of its own, late */
	       (v->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN && csum_tcp_ok(p, v);
}

static void segment(struct front *f, struct packet *p, struct view *v)
{
	struct way_key k;
	enum side side;
	struct hand *h;

	way_key_of(p, v, &k);
	h = hand_find(f, &k, &side);
	if (h != NULL && opens_anew(h, side, p, v)) {
		over_end(f, h, "opened anew");
		h = NULL;
	}
	if (h == NULL || in_stack(h)) {
		to_stack(f, p, v);
		return;
	}
	pass_segment(f, h, side, p, v);
	stack_turn(f); /* a hand-off may have come back */
}

static void frame(struct front *f, struct packet *p)
{
	struct view v;
	enum reason r = view_parse(p, &v);

	if (r != R_NONE) {
		count_drop(&f->env, r);
		return;
	}
	f->cur = p;
	f->cur_view = &v;
	if (v.tcp)
		segment(f, p, &v);
	else if (near_answer(f, p, &v) || icmp_forward(f, p, &v))
		;
	else if (v.ip != 0)
		to_stack(f, p, &v);
	else
		count_drop(&f->env, R_NOT_TCP);
	f->cur = NULL;
}

/* --- messages */

/* Whose agent has this name?  Of one that leaves it is known as long as nobody else has its name. */
static int backend_of_agent(const struct front *f, const char *name, size_t len)
{
	int b = backend_named(f, name, len);

	for (unsigned i = 0; b < 0 && i < f->cfg.backends; i++) {
		const char *its = f->cfg.backend[i].name;

		if (f->backend[i].place == PLACE_LEAVING && !f->backend[i].deaf &&
		    strlen(its) == len && memcmp(its, name, len) == 0)
			b = (int)i;
	}
	return b;
}

static void agents_message(struct front *f, const struct packet *p)
{
	const char *text = (const char *)p->head;
	const char *blank = memchr(text, ' ', p->head_len);
	size_t name = blank != NULL ? (size_t)(blank - text) : 0;
	struct hand_msg m;
	int b = blank != NULL ? backend_of_agent(f, text, name) : -1;

	if (b < 0 || hand_msg_read(blank + 1, p->head_len - name - 1, &m) < 0) {
		count_drop(&f->env, R_MSG_UNKNOWN);
		return;
	}
	over_message(f, (uint32_t)b, &m);
}

static void message(struct front *f, unsigned port, const struct packet *p)
{
	switch ((enum front_port)port) {
	case FRONT_CONTROL:
		control_command(f, p);
		break;
	case FRONT_AGENTS:
		agents_message(f, p);
		break;
	case FRONT_PLANE:
		way_message(f, p);
		break;
	case FRONT_WORLD:
		ladder_world(f, p);
		break;
	case FRONT_CLIENT:
	case FRONT_BACKEND:
		return;
	}
	stack_turn(f);
}

/* --- the interface */

static void begin_call(struct front *f, struct outbox *out, sut_time now)
{
	f->out = out;
	f->now = now;
	f->cur = NULL;
	f->held_up = false;
	front_drain(f);
}

static void front_input(void *role, const struct burst *in, struct outbox *out)
{
	struct front *f = role;

	begin_call(f, out, in->now);
	for (unsigned i = 0; i < in->n; i++) {
		if (in->port == FRONT_CLIENT || in->port == FRONT_BACKEND)
			frame(f, in->pkts[i]);
		else
			message(f, in->port, in->pkts[i]);
	}
}

static void fire(struct front *f, uint32_t i)
{
	if (i >= f->cfg.max_conns)
		ladder_expired(f, i - f->cfg.max_conns);
	else
		over_expired(f, &f->hand[i]);
}

static void front_expire(void *role, sut_time now, struct outbox *out)
{
	struct front *f = role;
	uint32_t i;

	begin_call(f, out, now);
	found_ask(f);
	stack_expire(f->stack, now);
	stack_turn(f);
	while (front_room(f, ROOM) && (i = wheel_pop(f->wheel, now)) != WHEEL_NONE)
		fire(f, i);
	stack_turn(f);
}

static sut_time front_deadline(const void *role)
{
	const struct front *f = role;
	sut_time a = wheel_deadline(f->wheel), b = stack_deadline(f->stack);

	if (f->held_up || f->over_at < f->over->n)
		return 0;
	return a < b ? a : b;
}

/* --- configuration */

/* Of the stack's device. */
static uint32_t stack_mtu(const struct front_config *c)
{
	return c->mtu < MTU_MADE ? c->mtu : MTU_MADE;
}

static struct stack_config stack_config_of(const struct front_config *c)
{
	struct stack_config s;

	stack_config_default(&s);
	for (unsigned i = 0; i < c->origins; i++) {
		unsigned n = 0;

		while (n < s.nets && memcmp(s.net[n].ip, c->origin[i].ip, 16) != 0)
			n++;
		if (n < s.nets)
			continue;
		memcpy(s.net[n].ip, c->origin[i].ip, 16);
		s.net[n].prefix = 128;
		s.nets++;
	}
	s.mtu = stack_mtu(c);
	s.max_conns = c->max_conns;
	s.max_listeners = FRONT_ORIGINS;
	s.max_half_open = c->max_conns < 4096 ? (c->max_conns + 1) / 2 : 2048;
	s.cells = c->max_conns < 32 ? 64 : c->max_conns < 32768 ? 2 * c->max_conns : 65536;
	s.ecn = false; /* what is marked, and not echoed yet, could not be handed over */
	s.fastopen = false;
	return s;
}

static uint32_t store_cells(const struct front_config *c)
{
	return c->max_conns < 64 ? 64 : c->max_conns < 32768 ? c->max_conns : 32768;
}

static const char *wrong(const struct front_config *c)
{
	struct stack_config s;
	char why[96];

	if (c->origins == 0 || c->origins > FRONT_ORIGINS)
		return "there must be 1 to 16 origins";
	if (c->backends == 0 || c->backends > ROUTE_BACKENDS)
		return "there must be 1 to 64 back ends";
	for (unsigned i = 0; i < c->backends; i++)
		if (c->backend[i].at[0].port == 0 && c->backend[i].at[1].port == 0)
			return "a back end has no address";
	if (c->routes.backends != c->backends)
		return "the routes are for other back ends";
	if (c->max_conns == 0 || c->max_conns > MAX_CONNS - 1)
		return "max-conns must be 1 to 1048575";
	if (c->head_max < 64 || c->head_max > 65535)
		return "the longest head must be 64 to 65535 bytes";
	if (c->mtu < 1280 || c->mtu > 65535)
		return "the MTU must be 1280 to 65535";
	if (c->head_timeout == 0 || c->confirm_timeout == 0 || c->idle_timeout < SUT_MS(1000))
		return "a time-out is too short";
	if ((!ip_is_zero(c->own_ip4) || !ip_is_zero(c->own_ip6)) &&
	    (c->port_lo == 0 || c->port_hi < c->port_lo))
		return "the range of ports of our own is empty";
	s = stack_config_of(c);
	if (stack_need(&s, why) == 0)
		return "an origin's address is none that a host can have";
	for (unsigned i = 0; i < c->origins; i++)
		if (c->origin[i].port == 0)
			return "an origin has no port";
	return NULL;
}

struct layout {
	size_t stack, plane, wheel, store, hand, table, reach, over, head, total;
};

static size_t place(size_t *at, size_t size)
{
	size_t here = (*at + 63) & ~(size_t)63;

	*at = here + size;
	return here;
}

static uint32_t table_size(const struct front_config *c)
{
	uint32_t n = 64;

	while (n < 2 * c->max_conns)
		n *= 2;
	return n;
}

static size_t head_room(const struct front_config *c)
{
	return c->head_max + 1 > HEAD_LEAST ? c->head_max + 1 : HEAD_LEAST;
}

static struct plane_config plane_config_of(const struct front_config *c, const uint8_t secret[16])
{
	struct plane_config p = { .max_ways = 2 * c->max_conns };

	memcpy(p.secret, secret, 16);
	return p;
}

static struct layout layout_of(const struct front_config *c)
{
	static const uint8_t zero[16];
	const struct stack_config s = stack_config_of(c);
	const struct plane_config p = plane_config_of(c, zero);
	size_t at = sizeof(struct front);
	char err[96];
	struct layout l;

	l.stack = place(&at, stack_need(&s, err));
	l.plane = place(&at, plane_need(&p));
	l.wheel = place(&at, wheel_need(c->max_conns + ROUTE_BACKENDS));
	l.store = place(&at, store_need(store_cells(c)));
	l.hand = place(&at, (size_t)c->max_conns * sizeof(struct hand));
	l.table = place(&at, (size_t)table_size(c) * sizeof(uint32_t));
	l.reach = place(&at, REACHES * sizeof(struct reach));
	l.over = place(&at, sizeof(struct outbox));
	l.head = place(&at, head_room(c));
	l.total = at;
	return l;
}

static size_t front_need(const void *config)
{
	struct front_config *c = (struct front_config *)(uintptr_t)config;

	c->error = wrong(c);
	return c->error != NULL ? 0 : layout_of(c).total;
}

static struct hash_key random_key(const struct role_env *env)
{
	struct hash_key k;

	for (unsigned i = 0; i < 5; i++)
		k.k[i] = env->random(env->random_ctx);
	return k;
}

void front_listen(struct front *f, bool on)
{
	for (unsigned i = 0; i < f->cfg.origins; i++) {
		if (on)
			(void)stack_listen(f->stack, &f->cfg.origin[i],
					   f->cfg.max_conns < 4096 ? f->cfg.max_conns : 4096, i,
					   &f->listener[i]);
		else
			(void)stack_close(f->stack, f->listener[i], f->now);
	}
	if (on)
		ladder_limits(f);
}

static uint64_t next_random(void *ctx)
{
	const struct front *f = ctx;

	return f->env.random(f->env.random_ctx);
}

static void make_stack(struct front *f, void *at)
{
	const struct stack_config s = stack_config_of(&f->cfg);
	struct stack_env env = { .random = next_random, .emit = front_emit, .ctx = f };

	memcpy(env.secret, f->env.secret, 16);
	f->stack = stack_init(at, &s, &env, 0);
}

static void *front_init(void *block, const void *config, const struct role_env *env)
{
	struct front *f = block;
	const struct front_config *c = config;
	struct layout l = layout_of(c);
	const struct plane_config p = plane_config_of(c, env->secret);
	uint8_t *b = block;

	f->cfg = *c;
	f->env = *env;
	f->table_key = random_key(env);
	f->table_mask = table_size(c) - 1;
	f->generation = (uint32_t)env->random(env->random_ctx);
	f->next_port = (uint32_t)env->random(env->random_ctx);
	f->plane = plane_init(b + l.plane, &p, way_report, f);
	f->wheel = wheel_init(b + l.wheel, c->max_conns + ROUTE_BACKENDS);
	f->store = store_init(b + l.store, store_cells(c));
	f->cells = store_cells(c);
	f->hand = (struct hand *)(void *)(b + l.hand);
	f->table = (uint32_t *)(void *)(b + l.table);
	f->reach = (struct reach *)(void *)(b + l.reach);
	f->over = (struct outbox *)(void *)(b + l.over);
	f->head = (char *)(b + l.head);
	f->head_room = head_room(c);
	make_stack(f, b + l.stack);
	ladder_init(f);
	front_listen(f, true);
	return f;
}

static bool same_origins(const struct front_config *a, const struct front_config *b)
{
	bool same = a->origins == b->origins;

	for (unsigned i = 0; same && i < a->origins; i++)
		same = a->origin[i].port == b->origin[i].port &&
		       memcmp(a->origin[i].ip, b->origin[i].ip, 16) == 0;
	return same;
}

/* That of the devices may have changed. */
static void set_mtu(struct front *f, const struct front_config *c)
{
	if (c->mtu == f->cfg.mtu || stack_set_mtu(f->stack, stack_mtu(c)) != 0)
		return;
	f->cfg.mtu = c->mtu;
	ladder_limits(f);
}

/* Back ends, routes, time-outs and keys, from now on; limits are memory, and connections in the stack cannot move. */
static int front_configure(void *role, const void *config)
{
	const struct front_config *c = config;
	struct front *f = role;
	int err;

	if (c->max_conns != f->cfg.max_conns || c->head_max != f->cfg.head_max ||
	    c->header != f->cfg.header || !same_origins(c, &f->cfg))
		return -EOPNOTSUPP;
	err = renew_backends(f, c);
	if (err < 0)
		return err;
	set_mtu(f, c);
	f->cfg.head_timeout = c->head_timeout;
	f->cfg.idle_timeout = c->idle_timeout;
	f->cfg.linger = c->linger;
	f->cfg.confirm_timeout = c->confirm_timeout;
	f->cfg.bad_close = c->bad_close;
	memcpy(f->cfg.key, c->key, sizeof f->cfg.key);
	f->cfg.key_index = c->key_index;
	return 0;
}

static const struct port_desc ports[] = {
	[FRONT_CLIENT] = { .name = "client", .kind = PORT_FRAMES },
	[FRONT_BACKEND] = { .name = "backend", .kind = PORT_FRAMES, .optional = true },
	[FRONT_CONTROL] = { .name = "control", .kind = PORT_MSGS, .optional = true },
	[FRONT_AGENTS] = { .name = "agents", .kind = PORT_POST, .optional = true },
	[FRONT_PLANE] = { .name = "plane", .kind = PORT_MSGS, .optional = true },
	[FRONT_WORLD] = { .name = "world", .kind = PORT_MSGS, .optional = true },
	{ .name = NULL },
};

const struct role_ops front_role = {
	.name = "handoff-front",
	.ports = ports,
	.need = front_need,
	.init = front_init,
	.input = front_input,
	.expire = front_expire,
	.deadline = front_deadline,
	.save = front_save,
	.restore = front_restore,
	.configure = front_configure,
	.list = front_list,
	.journals = true,
};
