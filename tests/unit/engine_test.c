/* SPDX-License-Identifier: MIT */
/* The loop, and the engine over memory ports with a small role of the test's own. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <cmocka.h>

#include "app/clock.h"
#include "app/engine.h"
#include "app/loop.h"
#include "base/reason.h"
#include "core/env.h"
#include "core/outbox.h"
#include "port/arena.h"
#include "port/fault.h"
#include "port/mem.h"
#include "port/port.h"

/* The role "crossing": forwards each frame to the other port, and keeps `late` made frames for its timer. */
struct crossing {
	sut_time at; /* when the timer is due */
	unsigned late; /* made frames that are still to go out */
	sut_time last_now;
};

struct crossing_config {
	unsigned late;
	sut_time after; /* the timer, from the first frame on */
};

static const struct crossing_config *crossing_cfg;

static size_t crossing_need(const void *config)
{
	return config ? sizeof(struct crossing) : 0;
}

static void *crossing_init(void *block, const void *config, const struct role_env *env)
{
	struct crossing *c = block;

	(void)env;
	assert_int_equal((uintptr_t)block % 64, 0);
	crossing_cfg = config;
	c->at = SUT_NEVER;
	c->late = crossing_cfg->late;
	return c;
}

static void crossing_input(void *role, const struct burst *in, struct outbox *out)
{
	struct crossing *c = role;

	assert_int_equal(out->n, 0);
	assert_true(in->n >= 1 && in->n <= 64);
	assert_true(in->now >= c->last_now);
	c->last_now = in->now;
	if (c->late && c->at == SUT_NEVER)
		c->at = in->now + crossing_cfg->after;
	for (unsigned i = 0; i < in->n; i++)
		outbox_put(out, !in->port, in->pkts[i]);
}

/* Makes as many frames as there is room for; the rest stays due. */
static void crossing_expire(void *role, sut_time now, struct outbox *out)
{
	struct crossing *c = role;

	assert_int_equal(out->n, 0);
	assert_true(now >= c->last_now);
	while (now >= c->at && c->late) {
		struct packet *p = outbox_make(out, 1, 60);

		if (!p)
			return;
		memset(p->head, 0xee, 60);
		c->late--;
	}
	c->at = SUT_NEVER;
}

static sut_time crossing_deadline(const void *role)
{
	return ((const struct crossing *)role)->at;
}

static const struct port_desc crossing_ports[] = { { "left", PORT_FRAMES, false },
						   { "right", PORT_FRAMES, false },
						   { NULL, PORT_FRAMES, false } };

static const struct role_ops crossing_ops = {
	.name = "crossing",
	.ports = crossing_ports,
	.need = crossing_need,
	.init = crossing_init,
	.input = crossing_input,
	.expire = crossing_expire,
	.deadline = crossing_deadline,
};

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

static void push(struct port *m, unsigned first, unsigned n)
{
	uint8_t bytes[60] = { 0 };
	struct packet p = { .head = bytes, .head_len = sizeof bytes };

	for (unsigned i = first; i < first + n; i++) {
		memcpy(bytes, &i, sizeof i);
		assert_true(mem_push(m, &p));
	}
}

/* Expects exactly the frames first..first+n-1, in order, then `made` made ones. */
static void expect(struct port *m, unsigned first, unsigned n, unsigned made)
{
	struct packet p;

	for (unsigned i = first; i < first + n; i++) {
		assert_true(mem_pop(m, &p));
		assert_memory_equal(p.head, &i, sizeof i);
		free(p.head);
	}
	for (; made; made--) {
		assert_true(mem_pop(m, &p));
		assert_int_equal(p.head[0], 0xee);
		free(p.head);
	}
	assert_false(mem_pop(m, &p));
}

static int run(struct port *left, struct port *right, const struct crossing_config *c)
{
	struct engine_config cfg = {
		.ops = &crossing_ops,
		.role_config = c,
		.port = { left, right },
		.opt = { .quiet = true },
	};

	return engine_run(&cfg);
}

static void forwards_and_ends(void **state)
{
	const struct crossing_config c = { 0 };
	struct port *left = mem_open("left", &arena), *right = mem_open("right", &arena);

	(void)state;
	push(left, 0, 1000);
	push(right, 5000, 10);
	mem_end(left);
	mem_end(right);
	assert_int_equal(run(left, right, &c), 0);
	expect(right, 0, 1000, 0);
	expect(left, 5000, 10, 0);
	left->ops->close(left);
	right->ops->close(right);
}

/* A timer that makes more than an outbox holds is called until all is out, after the last frame too. */
static void drains_timers(void **state)
{
	const struct crossing_config c = { .late = 500, .after = SUT_MS(20) };
	struct port *left = mem_open("left", &arena), *right = mem_open("right", &arena);

	(void)state;
	push(left, 0, 3);
	mem_end(left);
	mem_end(right);
	assert_int_equal(run(left, right, &c), 0);
	expect(right, 0, 3, 500);
	left->ops->close(left);
	right->ops->close(right);
}

/* A device that refuses for a while gets everything in order; one that refuses for ever costs frames, not the run. */
static void waits_for_full_device(void **state)
{
	const struct crossing_config c = { 0 };
	const struct fault_plan slow = { .refuse = 20, .take = 3 };
	struct port *left = mem_open("left", &arena), *right = mem_open("right", &arena);
	struct port *faulty = fault_wrap(right, &slow);

	(void)state;
	push(left, 0, 100);
	mem_end(left);
	mem_end(right);
	assert_int_equal(run(left, faulty, &c), 0);
	expect(right, 0, 100, 0);
	faulty->ops->close(faulty);
	left->ops->close(left);

	left = mem_open("left", &arena);
	right = mem_open("right", &arena);
	push(left, 0, 100);
	push(right, 500, 100);
	mem_end(left);
	mem_end(right);
	mem_set_room(right, 10);
	assert_int_equal(run(left, right, &c), 0);
	expect(right, 0, 10, 0);
	expect(left, 500, 100, 0);
	left->ops->close(left);
	right->ops->close(right);
}

/* A role that answers its first burst at a port of messages, and reads the counters at the second. */
static const struct role_env *mute_env;
static uint64_t mute_dropped;

static void *mute_init(void *block, const void *config, const struct role_env *env)
{
	(void)config;
	mute_env = env;
	return block;
}

static void mute_input(void *role, const struct burst *in, struct outbox *out)
{
	(void)role;
	mute_dropped = mute_env->counters->dropped[R_NOT_JOINED];
	for (unsigned i = 0; i < in->n; i++)
		outbox_put(out, i % 2 ? 1 : 7, in->pkts[i]);
}

static void mute_expire(void *role, sut_time now, struct outbox *out)
{
	(void)role;
	(void)now;
	(void)out;
}

static sut_time mute_deadline(const void *role)
{
	(void)role;
	return SUT_NEVER;
}

/* What leaves at a port of messages, or at none, is counted as dropped. */
static void counts_what_no_port_takes(void **state)
{
	static const struct port_desc mute_ports[] = { { "in", PORT_FRAMES, false },
						       { "messages", PORT_MSGS, false },
						       { NULL, PORT_FRAMES, false } };
	static const struct role_ops mute_ops = {
		.name = "mute",
		.ports = mute_ports,
		.need = crossing_need,
		.init = mute_init,
		.input = mute_input,
		.expire = mute_expire,
		.deadline = mute_deadline,
	};
	struct port *in = mem_open("in", &arena);
	const struct engine_config cfg = {
		.ops = &mute_ops,
		.role_config = &(struct crossing_config){ 0 },
		.port = { in },
		.opt = { .quiet = true },
	};

	(void)state;
	push(in, 0, 65);
	mem_end(in);
	assert_int_equal(engine_run(&cfg), 0);
	assert_int_equal(mute_dropped, 64);
	in->ops->close(in);
}

static void refuses_settings(void **state)
{
	struct port *left = mem_open("left", &arena), *right = mem_open("right", &arena);
	struct engine_config cfg = {
		.ops = &crossing_ops,
		.role_error = "(expected) impossible",
		.port = { left, right },
	};

	(void)state;
	assert_int_equal(engine_run(&cfg), 1);
	cfg.role_config = &(struct crossing_config){ 0 };
	cfg.port[1] = NULL;
	assert_int_equal(engine_run(&cfg), 1);
	cfg.spec[1] = "pcap:/nonexistent";
	assert_int_equal(engine_run(&cfg), 1);
	left->ops->close(left);
	right->ops->close(right);
}

/* The end comes by SIGTERM, through the loop, with the frames of before forwarded. */
static void *terminate(void *main_thread)
{
	usleep(50000);
	pthread_kill(*(pthread_t *)main_thread, SIGTERM);
	return NULL;
}

static void ends_on_signal(void **state)
{
	const struct crossing_config c = { 0 };
	struct port *left = mem_open("left", &arena), *right = mem_open("right", &arena);
	pthread_t self = pthread_self(), other;
	sigset_t set, old;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	push(left, 0, 5);
	assert_int_equal(pthread_create(&other, NULL, terminate, &self), 0);
	assert_int_equal(run(left, right, &c), 0);
	pthread_join(other, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	expect(right, 0, 5, 0);
	left->ops->close(left);
	right->ops->close(right);
}

static void loop_wakes(void **state)
{
	int fd = eventfd(1, EFD_NONBLOCK);
	struct loop_events ev;
	struct loop l;
	sut_time now = clock_now();

	(void)state;
	assert_int_equal(loop_open(&l), 0);
	assert_int_equal(loop_watch(&l, fd, 3), 0);
	assert_int_equal(loop_wait(&l, now, SUT_NEVER, &ev), 0);
	assert_int_equal(ev.ready, 1u << 3);
	loop_unwatch(&l, fd);
	assert_int_equal(loop_wait(&l, now, 0, &ev), 0);
	assert_int_equal(ev.ready, 0);
	/* never early; an earlier deadline replaces a later one */
	assert_int_equal(loop_wait(&l, now, now + SUT_MS(5), &ev), 0);
	assert_true(clock_now() >= now + SUT_MS(5));
	now = clock_now();
	assert_int_equal(loop_wait(&l, now, 0, &ev), 0);
	assert_int_equal(loop_wait(&l, now, now + 1, &ev), 0);
	raise(SIGUSR1);
	assert_int_equal(loop_wait(&l, now, SUT_NEVER, &ev), 0);
	assert_true(ev.report && !ev.terminate);
	loop_close(&l);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loop_wakes),
		cmocka_unit_test(forwards_and_ends),
		cmocka_unit_test(drains_timers),
		cmocka_unit_test(waits_for_full_device),
		cmocka_unit_test(refuses_settings),
		cmocka_unit_test(ends_on_signal),
		cmocka_unit_test(counts_what_no_port_takes),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
