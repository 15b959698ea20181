/* SPDX-License-Identifier: MIT */
#include "stack_world.h"

#include <errno.h>

static struct conn_quad quad(uint16_t rport)
{
	struct conn_quad q = { .lport = 80, .rport = rport };

	memcpy(q.laddr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x01", 16);
	memcpy(q.raddr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x0a", 16);
	return q;
}

/* A connection in SYN-SENT, as stack_connect() leaves it. */
static struct conn *make(struct world *w, uint16_t rport)
{
	struct conn_quad q = quad(rport);
	struct conn *c = conn_new(w->s, &q);

	if (c != NULL)
		conn_set_state(w->s, c, ST_SYN_SENT, "test");
	return c;
}

/* Random births and deaths, beside a list of who is there. */
static void finds_who_is_there(void **state)
{
	struct world *w = world_new();
	conn_id there[200] = { 0 };
	uint64_t rng = 5;

	(void)state;
	w->cfg.max_conns = 64;
	world_start(w);
	for (unsigned i = 0; i < 20000; i++) {
		uint16_t port = (uint16_t)(1 + frame_random(&rng) % 199);
		struct conn_quad q = quad(port);
		struct conn *c = table_find(w->s, &q);

		assert_int_equal(c != NULL, there[port] != 0);
		if (c != NULL) {
			assert_ptr_equal(c, conn_by_id(w->s, there[port]));
			conn_end(w->s, c, 0, "test");
			assert_null(conn_by_id(w->s, there[port]));
			there[port] = 0;
		} else if ((c = make(w, port)) != NULL) {
			there[port] = conn_id_of(w->s, c);
			assert_int_not_equal(there[port], 0);
		} else {
			assert_int_equal(w->s->used_conns, 64);
		}
	}
	world_sound(w);
	world_free(w);
}

/* A handle whose connection is gone finds nobody, though its slot is in use again. */
static void handles_grow_old(void **state)
{
	struct world *w = world_new();
	struct conn *c;
	conn_id old, id;

	(void)state;
	w->cfg.max_conns = 1;
	w->cfg.max_half_open = 1;
	world_start(w);
	c = make(w, 1);
	old = conn_id_of(w->s, c);
	assert_null(make(w, 2));
	assert_int_equal(world_count(w, STACK_NO_MEMORY), 1);
	conn_end(w->s, c, 0, "test");
	assert_null(conn_by_id(w->s, old));
	c = make(w, 3);
	id = conn_id_of(w->s, c);
	assert_true(id != old && (uint32_t)id == (uint32_t)old);
	assert_null(conn_by_id(w->s, old));
	assert_int_equal(stack_close(w->s, old, w->now), -EBADF);
	assert_null(conn_by_id(w->s, 0));
	assert_null(conn_by_id(w->s, UINT64_MAX));
	assert_null(listener_by_id(w->s, id));
	assert_null(conn_by_id(w->s, (id >> 32 << 32) | 5)); /* no such slot */
	world_free(w);
}

/* The dirty and ready lists are of slots: one that is given back while it stands in them does no harm. */
static void slots_in_lists(void **state)
{
	struct world *w = world_new();
	struct conn_ready r;
	struct conn *c[3];

	(void)state;
	world_start(w);
	for (uint16_t i = 0; i < 3; i++) {
		c[i] = make(w, (uint16_t)(1 + i));
		c[i]->flags |= CF_HELD;
		c[i]->user = i;
		conn_tell(w->s, c[i], CONN_READABLE);
		conn_tell(w->s, c[i], CONN_WRITABLE);
		conn_dirty(w->s, c[i]);
	}
	c[1]->flags &= ~(uint32_t)CF_HELD;
	conn_end(w->s, c[1], 0, "test"); /* gone */
	c[1] = make(w, 9); /* the same slot */
	assert_true(stack_next(w->s, &r));
	assert_true(r.user == 0 && r.events == (CONN_READABLE | CONN_WRITABLE));
	assert_true(stack_next(w->s, &r));
	assert_int_equal(r.user, 2);
	assert_false(stack_next(w->s, &r));
	conn_tell(w->s, c[0], CONN_READABLE);
	assert_true(stack_next(w->s, &r));
	assert_true(r.user == 0 && r.events == CONN_READABLE);
	conn_end(w->s, c[1], 0, "test");
	world_free(w);
}

/* MUST-42: the listener of an address goes before the one of any. */
static void listeners(void **state)
{
	struct world *w = world_new();
	struct stack_addr any = { .port = 80 }, one = { .port = 80 }, other = { .port = 81 };
	conn_id a, b, c;

	(void)state;
	world_start(w);
	memcpy(one.ip, quad(0).laddr, 16);
	assert_int_equal(stack_listen(w->s, &any, 1, 0, &a), 0);
	assert_int_equal(stack_listen(w->s, &one, 1, 0, &b), 0);
	assert_int_equal(stack_listen(w->s, &other, 1, 0, &c), 0);
	assert_ptr_equal(table_listener(w->s, one.ip, 80), listener_by_id(w->s, b));
	assert_ptr_equal(table_listener(w->s, w->cfg.net[1].ip, 80), listener_by_id(w->s, a));
	assert_ptr_equal(table_listener(w->s, one.ip, 81), listener_by_id(w->s, c));
	assert_null(table_listener(w->s, one.ip, 82));
	assert_null(conn_by_id(w->s, a));
	assert_int_equal(stack_close(w->s, a, w->now), 0);
	assert_null(listener_by_id(w->s, a));
	assert_null(table_listener(w->s, w->cfg.net[1].ip, 80));
	assert_ptr_equal(table_listener(w->s, one.ip, 81), listener_by_id(w->s, c));
	world_free(w);
}

/* 0.0.0.0 is every IPv4 address, however many there are, and lies between an address and zeros: in whatever order they came. */
static void listeners_ipv4(void **state)
{
	static const struct stack_addr any = { .port = 80 };
	static const struct stack_addr any4 = { .ip = { [10] = 0xff, [11] = 0xff }, .port = 80 };
	const uint8_t *ip[3];

	(void)state;
	for (unsigned first = 0; first < 3; first++) {
		struct world *w = world_new();
		const struct stack_addr *at[3] = { &any, &any4, NULL };
		struct stack_addr one = any;
		conn_id l[3];

		w->cfg.net[2] = w->cfg.net[0];
		w->cfg.net[2].ip[15] = 9;
		w->cfg.nets = 3;
		world_start(w);
		for (unsigned i = 0; i < 3; i++)
			ip[i] = w->cfg.net[i].ip;
		memcpy(one.ip, ip[0], 16);
		at[2] = &one;
		for (unsigned i = 0; i < 3; i++) {
			unsigned j = (first + i) % 3;

			assert_int_equal(stack_listen(w->s, at[j], 1, 0, &l[j]), 0);
			assert_int_equal(stack_listen(w->s, at[j], 1, 0, &l[j]), -EADDRINUSE);
		}
		assert_ptr_equal(table_listener(w->s, ip[0], 80), listener_by_id(w->s, l[2]));
		assert_ptr_equal(table_listener(w->s, ip[2], 80), listener_by_id(w->s, l[1]));
		assert_ptr_equal(table_listener(w->s, ip[1], 80), listener_by_id(w->s, l[0]));
		assert_int_equal(stack_close(w->s, l[0], w->now), 0);
		assert_null(table_listener(w->s, ip[1], 80));
		assert_ptr_equal(table_listener(w->s, ip[2], 80), listener_by_id(w->s, l[1]));
		world_free(w);
	}
}

/* RFC 6056: none is given twice, none below the range, and another remote end begins elsewhere. */
static void ephemeral_ports(void **state)
{
	static bool seen[65536];
	struct world *w = world_new();
	struct conn_quad q = quad(443), far = quad(444);
	unsigned apart = 0;

	(void)state;
	w->cfg.max_conns = 1024;
	world_start(w);
	for (unsigned i = 0; i < 1000; i++) {
		uint16_t port = table_port(w->s, &q), there = table_port(w->s, &far);
		struct conn *c;

		assert_true(port >= 16384 && !seen[port]);
		seen[port] = true;
		apart += there != port + 1;
		q.lport = port;
		c = conn_new(w->s, &q);
		assert_non_null(c);
		conn_set_state(w->s, c, ST_SYN_SENT, "test");
	}
	assert_true(apart > 900);
	world_free(w);
}

/* All are in use: there is none; one is given back: that one. */
static void ports_used_up(void **state)
{
	struct world *w = world_new();
	struct conn_quad q = quad(443);
	struct conn *c = NULL;

	(void)state;
	w->cfg.max_conns = 65536;
	world_start(w);
	for (uint32_t port = 16384; port < 65536; port++) {
		q.lport = (uint16_t)port;
		c = conn_new(w->s, &q);
		conn_set_state(w->s, c, ST_SYN_SENT, "test");
	}
	assert_int_equal(table_port(w->s, &q), 0);
	q = c->quad;
	conn_end(w->s, c, 0, "test");
	assert_int_equal(table_port(w->s, &q), 65535);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_who_is_there), cmocka_unit_test(handles_grow_old),
		cmocka_unit_test(slots_in_lists),     cmocka_unit_test(listeners),
		cmocka_unit_test(listeners_ipv4),     cmocka_unit_test(ephemeral_ports),
		cmocka_unit_test(ports_used_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
