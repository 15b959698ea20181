/* SPDX-License-Identifier: MIT */
/* mem, and the wrappers trace and fault around it. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "port/arena.h"
#include "port/capture.h"
#include "port/fault.h"
#include "port/mem.h"
#include "port/port.h"
#include "port/trace.h"

static struct arena arena;

static int set_up(void **state)
{
	(void)state;
	return arena_open(&arena);
}

static int tear_down(void **state)
{
	(void)state;
	arena_close(&arena);
	return 0;
}

/* A frame of 60 bytes that carries a number. */
static struct packet numbered(uint8_t bytes[60], uint8_t n)
{
	for (unsigned i = 0; i < 60; i++)
		bytes[i] = n;
	return (struct packet){ .head = bytes, .head_len = 60, .off = { .gso_size = n } };
}

static void push(struct port *m, uint8_t n)
{
	uint8_t bytes[60];
	struct packet p = numbered(bytes, n);

	assert_true(mem_push(m, &p));
}

/* Takes what was sent: the number it carries, 0 if there is nothing. */
static unsigned pop(struct port *m)
{
	struct packet p;
	unsigned n;

	if (!mem_pop(m, &p))
		return 0;
	n = p.head[59];
	assert_int_equal(p.off.gso_size, n);
	free(p.head);
	return n;
}

static bool is_ready(const struct port *p)
{
	struct pollfd fd = { .fd = p->ops->fd(p), .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

static void delivers_in_order(void **state)
{
	struct port *m = mem_open("mem", &arena);
	struct packet *got[PORT_BURST];

	(void)state;
	assert_false(is_ready(m));
	assert_int_equal(m->ops->recv(m, got, PORT_BURST), 0);
	for (unsigned i = 1; i <= 100; i++)
		push(m, (uint8_t)i);
	assert_true(is_ready(m));
	assert_int_equal(m->ops->recv(m, got, PORT_BURST), PORT_BURST);
	for (unsigned i = 0; i < PORT_BURST; i++) {
		assert_int_equal(got[i]->head[0], i + 1);
		assert_int_equal(got[i]->off.gso_size, i + 1);
	}
	assert_true(is_ready(m));
	assert_int_equal(m->ops->recv(m, got, PORT_BURST), 100 - PORT_BURST);
	assert_false(is_ready(m));
	mem_end(m);
	assert_true(is_ready(m));
	assert_int_equal(m->ops->recv(m, got, PORT_BURST), -ENODATA);
	m->ops->close(m);
}

static void refuses_when_full(void **state)
{
	struct port *m = mem_open("mem", &arena);
	uint8_t bytes[5][60];
	struct packet p[5], *list[5];

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		p[i] = numbered(bytes[i], (uint8_t)(i + 1));
		list[i] = &p[i];
	}
	mem_set_room(m, 3);
	assert_int_equal(m->ops->send(m, list, 5), 3);
	assert_int_equal(m->ops->send(m, list + 3, 2), 0);
	assert_int_equal(pop(m), 1);
	assert_int_equal(m->ops->send(m, list + 3, 2), 1);
	for (unsigned i = 2; i <= 4; i++)
		assert_int_equal(pop(m), i);
	assert_int_equal(pop(m), 0);
	m->ops->close(m);
}

static void fault_misbehaves(void **state)
{
	const struct fault_plan plan = {
		.drop_rx = { 2, 5 }, .drop_tx = { 1 }, .refuse = 2, .take = 2, .burst = 3
	};
	struct port *m = mem_open("mem", &arena), *f = fault_wrap(m, &plan);
	struct packet *got[PORT_BURST], *all[4];
	uint8_t bytes[4][60];
	struct packet p[4];

	(void)state;
	for (unsigned i = 1; i <= 6; i++)
		push(m, (uint8_t)i);
	assert_int_equal(f->ops->recv(f, got, PORT_BURST), 2);
	assert_int_equal(got[0]->head[0], 1);
	assert_int_equal(got[1]->head[0], 3);
	assert_int_equal(f->ops->recv(f, got, PORT_BURST), 2);
	assert_int_equal(got[0]->head[0], 4);
	assert_int_equal(got[1]->head[0], 6);
	for (unsigned i = 0; i < 4; i++) {
		p[i] = numbered(bytes[i], (uint8_t)(i + 1));
		all[i] = &p[i];
	}
	assert_int_equal(f->ops->send(f, all, 4), 0);
	assert_int_equal(f->ops->send(f, all, 4), 0);
	assert_int_equal(f->ops->send(f, all, 4), 2);
	assert_int_equal(f->ops->send(f, all + 2, 2), 2);
	for (unsigned i = 2; i <= 4; i++)
		assert_int_equal(pop(m), i);
	assert_int_equal(pop(m), 0);
	f->ops->close(f);
}

/* Frames that were received and taken for sending are in the capture, those refused are not. */
static void trace_records(void **state)
{
	char path[] = "/tmp/suture-trace-XXXXXX", err[300];
	struct port *m = mem_open("mem", &arena), *t;
	struct packet *got[PORT_BURST];
	struct capture_writer *w;
	struct capture_frame frame;
	struct capture *c;
	sut_time wall = 5;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(capture_create(path, &w, err, sizeof err), 0);
	t = trace_wrap(m, w, &wall);
	push(m, 1);
	push(m, 2);
	mem_set_room(m, 1);
	assert_int_equal(t->ops->recv(t, got, PORT_BURST), 2);
	wall = 7;
	assert_int_equal(t->ops->send(t, got, 2), 1);
	t->ops->close(t);
	assert_int_equal(capture_finish(w, err, sizeof err), 0);

	assert_int_equal(capture_open(path, &c, err, sizeof err), 0);
	for (unsigned i = 0; i < 3; i++) {
		static const struct {
			uint64_t at;
			unsigned n;
		} expected[] = { { 5, 1 }, { 5, 2 }, { 7, 1 } };

		assert_int_equal(capture_next(c, &frame), 1);
		assert_int_equal(frame.at, expected[i].at);
		assert_int_equal(frame.bytes[0], expected[i].n);
	}
	assert_int_equal(capture_next(c, &frame), 0);
	capture_close(c);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delivers_in_order),
		cmocka_unit_test(refuses_when_full),
		cmocka_unit_test(fault_misbehaves),
		cmocka_unit_test(trace_records),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
