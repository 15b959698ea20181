/* SPDX-License-Identifier: MIT */
#include "stack/parts.h"

#include <assert.h>

#include "proto/ip.h"

/*
 * Theory of operation
 *
 * Connections are found by their quad in a chained hash with a key that nobody outside knows, so nobody can fill one chain; and by
 * handle in constant time.  A handle is {generation, index}: the generation is odd while the slot is in use, and one more when it
 * is given back, so an old handle finds nothing, and no handle is 0.  A listener's index has its top bit set.
 *
 * Slots that were never used are taken last, so the memory of those is never touched.  A connection that is over but still held by
 * the application is in no chain: its quad is free for another one.
 *
 * The lists of who is to be looked at (dirty) and of who is to be told of (ready) are linked by slot, not by connection: a slot that
 * is given back stays in them, and whoever takes it next inherits the place.
 */

#define PORT_FIRST 16384u /* ephemeral ports, RFC 6056, 3.2 */
#define PORTS (65536u - PORT_FIRST)
#define LISTENER_BIT 0x80000000u

enum { FOR_PORT = 3 }; /* what a hash of a quad is for (isn.c has 1 and 2) */

static uint32_t *bucket_of(const struct stack *s, const struct conn_quad *q)
{
	uint32_t *table = stack_at(s, s->table);

	return &table[(uint32_t)hash40(&s->table_key, q) & s->table_mask];
}

struct conn *table_find(struct stack *s, const struct conn_quad *q)
{
	uint32_t i = *bucket_of(s, q); /* index + 1: zeroed is empty */

	while (i != 0) {
		struct conn *c = conn_at(s, i - 1);

		if (memcmp(&c->quad, q, sizeof *q) == 0)
			return c;
		i = c->next_hash;
	}
	return NULL;
}

void table_remove(struct stack *s, struct conn *c)
{
	uint32_t *from = bucket_of(s, &c->quad), self = conn_index(s, c) + 1;

	if (!(c->flags & CF_TABLE))
		return;
	while (*from != self)
		from = &conn_at(s, *from - 1)->next_hash;
	*from = c->next_hash;
	c->flags &= ~(uint32_t)CF_TABLE;
}

static void table_add(struct stack *s, struct conn *c)
{
	uint32_t *first = bucket_of(s, &c->quad);

	c->next_hash = *first;
	*first = conn_index(s, c) + 1;
	c->flags |= CF_TABLE;
}

/* --- listeners */

/* Does a listener of `local` listen on ip, and how nearly is it meant (MUST-42)?  0: no; 3: it is its address, 2: 0.0.0.0, 1: any. */
static unsigned fits(const uint8_t local[16], const uint8_t ip[16])
{
	if (memcmp(local, ip, 16) == 0)
		return 3;
	if (addr_is_any4(local) && ip_is_mapped(ip))
		return 2;
	return ip_is_zero(local);
}

struct listener *table_listener(struct stack *s, const uint8_t ip[16], uint16_t port)
{
	struct listener *found = NULL;
	uint32_t left = s->used_listeners;
	unsigned best = 0;

	for (uint32_t i = 0; left > 0 && i < s->cfg.max_listeners; i++) {
		struct listener *l = listener_at(s, i);

		if (l->gen % 2 == 0)
			continue;
		left--;
		if (l->local.port == port && fits(l->local.ip, ip) > best) {
			best = fits(l->local.ip, ip);
			found = l;
		}
	}
	return found;
}

/* --- handles */

conn_id conn_id_of(const struct stack *s, const struct conn *c)
{
	return (conn_id)c->gen << 32 | conn_index(s, c);
}

conn_id listener_id_of(const struct stack *s, const struct listener *l)
{
	return (conn_id)l->gen << 32 | LISTENER_BIT | (uint32_t)(l - listener_at(s, 0));
}

struct conn *conn_by_id(const struct stack *s, conn_id id)
{
	uint32_t i = (uint32_t)id, gen = (uint32_t)(id >> 32);

	if (i >= s->cfg.max_conns || gen % 2 == 0 || conn_at(s, i)->gen != gen)
		return NULL;
	return conn_at(s, i);
}

struct listener *listener_by_id(const struct stack *s, conn_id id)
{
	uint32_t i = (uint32_t)id ^ LISTENER_BIT, gen = (uint32_t)(id >> 32);

	if (i >= s->cfg.max_listeners || gen % 2 == 0 || listener_at(s, i)->gen != gen)
		return NULL;
	return listener_at(s, i);
}

/* --- birth and death */

static struct conn *slot_take(struct stack *s)
{
	struct conn *c;

	if (s->free_conn != 0) {
		c = conn_at(s, s->free_conn - 1);
		s->free_conn = c->next_hash;
	} else if (s->fresh_conn < s->cfg.max_conns) {
		c = conn_at(s, s->fresh_conn++);
	} else {
		return NULL;
	}
	s->used_conns++;
	return c;
}

/* What a slot keeps from one connection to the next: its generation and its places in the lists. */
static void slot_clear(struct conn *c)
{
	struct conn fresh = {
		.gen = c->gen,
		.flags = c->flags & (CF_DIRTY | CF_READY),
		.next_dirty = c->next_dirty,
		.next_ready = c->next_ready,
	};

	*c = fresh;
}

void conn_setup(const struct stack *s, struct conn *c, const struct conn_quad *q)
{
	c->quad = *q;
	c->quad.zero = 0;
	c->ip = ip_is_mapped(q->laddr) ? 4 : 6;
	c->ttl = s->cfg.ttl ? s->cfg.ttl : 64; /* MUST-49 */
	c->sndbuf = s->cfg.sndbuf;
	c->rcvbuf = s->cfg.rcvbuf;
	c->path_mtu = s->cfg.mtu;
	c->rcv_mss = c->ip == 4 ? 536 : 1220;
	c->keep_idle_ms = 7200000; /* MUST-28; CF_KEEPALIVE is off: MUST-25 */
	c->keep_interval_ms = 75000;
	c->keep_count = 9;
	c->parent = CONN_NONE;
	c->next_wait = CONN_NONE;
	c->armed = SUT_NEVER;
	c->challenge_since = c->answer_at = c->fins_since = now_ms(s) - 60000; /* long ago */
	c->opened = s->now;
	c->last_in = s->now;
	c->last_out = s->now;
	for (unsigned t = 0; t < T_COUNT; t++)
		c->timer[t] = SUT_NEVER;
	recvq_init(&c->recvq);
	sendq_init(&c->sendq);
	rtt_init(&c->rtt);
	recovery_init(&c->rec);
	cc_init(&c->cc, s->cfg.cc, c->rcv_mss);
}

struct conn *conn_new(struct stack *s, const struct conn_quad *q)
{
	struct conn *c = slot_take(s);

	if (c == NULL && conn_time_wait_cut(s))
		c = slot_take(s);
	if (c == NULL) {
		stack_bump(s, STACK_NO_MEMORY);
		return NULL;
	}
	slot_clear(c);
	c->gen++;
	conn_setup(s, c, q);
	table_add(s, c);
	return c;
}

void conn_free(struct stack *s, struct conn *c)
{
	assert(c->gen % 2 == 1 && c->state == ST_CLOSED);
	cells_wait_off(s, c);
	recovery_clear(s, c);
	sendq_clear(s, c);
	recvq_clear(s, c);
	wheel_cancel(stack_wheel(s), conn_index(s, c));
	table_remove(s, c);
	slot_clear(c);
	c->gen++;
	c->next_hash = s->free_conn;
	s->free_conn = conn_index(s, c) + 1;
	s->used_conns--;
}

/* --- ephemeral ports */

uint16_t table_port(struct stack *s, const struct conn_quad *q)
{
	struct conn_quad k = *q;
	uint32_t offset;

	k.lport = 0;
	k.zero = FOR_PORT;
	offset = (uint32_t)siphash(s->env.secret, &k, sizeof k);
	k.zero = 0;
	for (uint32_t i = 0; i < PORTS; i++) {
		k.lport = (uint16_t)(PORT_FIRST + (offset + s->port_salt++) % PORTS);
		if (table_find(s, &k) == NULL)
			return k.lport;
	}
	return 0;
}
