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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <cmocka.h>

#include "app/clock.h"
#include "app/engine.h"
#include "app/loop.h"
#include "base/reason.h"
#include "core/env.h"
#include "core/outbox.h"
#include "core/record.h"
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

/* Where set: nothing may come in at one while the other is congested. */
static struct port *watched[2];
static unsigned turns; /* of the loop: how often it asked for the deadline */
static unsigned frames_left; /* so many more, and the run is told to end */

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
	if (watched[0])
		assert_false(watched[!in->port]->congested);
	if (frames_left && (frames_left -= in->n) == 0)
		raise(SIGTERM);
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
	turns++;
	return ((const struct crossing *)role)->at;
}

/* Ports that are taken for unused. */
static uint32_t crossing_left_alone;

static uint32_t crossing_unused(const void *role)
{
	(void)role;
	return crossing_left_alone;
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
	.unused = crossing_unused,
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
	const struct fault_plan slow = { .refuse = 2, .take = 3 };
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

/* Which port was sent to, a letter each; runs of frames that went by one call are one letter. */
static char sent_to[64];
static const struct port_ops *mem_ops;

static int logged_send(struct port *p, struct packet *const *pkts, unsigned n)
{
	size_t len = strlen(sent_to);

	assert_true(len < sizeof sent_to - 1);
	sent_to[len] = p->name[0];
	return mem_ops->send(p, pkts, n);
}

/* The role "laying" sends eight packets: mail, frame, message, frame, another frame, mail, frame, message. */
static void laying_input(void *role, const struct burst *in, struct outbox *out)
{
	static const uint8_t port[] = { 3, 0, 2, 0, 1, 3, 0, 2 };

	(void)role;
	assert_int_equal(in->n, 8);
	for (unsigned i = 0; i < 8; i++)
		outbox_put(out, port[i], in->pkts[i]);
}

/* A message is in force before what stands behind it leaves, and after what stands in front of it has; mail goes last, by one call. */
static void messages_keep_their_place(void **state)
{
	static const struct port_desc laying_ports[] = { { "frames", PORT_FRAMES, false },
							 { "other", PORT_FRAMES, false },
							 { "plane", PORT_MSGS, false },
							 { "mail", PORT_POST, false },
							 { NULL, PORT_FRAMES, false } };
	static const struct role_ops laying_ops = {
		.name = "laying",
		.ports = laying_ports,
		.need = crossing_need,
		.init = mute_init,
		.input = laying_input,
		.expire = mute_expire,
		.deadline = mute_deadline,
	};
	struct port *p[4] = { mem_open("frames", &arena), mem_open("other", &arena),
			      mem_open("plane", &arena), mem_open("mail", &arena) };
	const struct engine_config cfg = {
		.ops = &laying_ops,
		.role_config = &(struct crossing_config){ 0 },
		.port = { p[0], p[1], p[2], p[3] },
		.opt = { .quiet = true },
	};
	struct port_ops logged = *p[0]->ops;

	(void)state;
	mem_ops = p[0]->ops;
	logged.send = logged_send;
	push(p[0], 0, 8);
	for (unsigned i = 0; i < 4; i++) {
		p[i]->ops = &logged;
		mem_end(p[i]);
	}
	assert_int_equal(engine_run(&cfg), 0);
	assert_string_equal(sent_to, "fpfopm");
	for (unsigned i = 0; i < 4; i++)
		mem_ops->close(p[i]);
}

static char read_from[8];

static void reading_input(void *role, const struct burst *in, struct outbox *out)
{
	(void)role;
	(void)out;
	read_from[strlen(read_from)] = (char)('0' + in->port);
}

/* Mail that lies there together with word of the data plane is read behind it: it may speak of what is over by that. */
static void mail_is_read_last(void **state)
{
	static const struct port_desc reading_ports[] = { { "mail", PORT_POST, false },
							  { "plane", PORT_MSGS, false },
							  { NULL, PORT_FRAMES, false } };
	static const struct role_ops reading_ops = {
		.name = "reading",
		.ports = reading_ports,
		.need = crossing_need,
		.init = mute_init,
		.input = reading_input,
		.expire = mute_expire,
		.deadline = mute_deadline,
	};
	struct port *p[2] = { mem_open("mail", &arena), mem_open("plane", &arena) };
	const struct engine_config cfg = {
		.ops = &reading_ops,
		.role_config = &(struct crossing_config){ 0 },
		.port = { p[0], p[1] },
		.opt = { .quiet = true },
	};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		push(p[i], 0, 1);
		mem_end(p[i]);
	}
	assert_int_equal(engine_run(&cfg), 0);
	assert_string_equal(read_from, "10");
	for (unsigned i = 0; i < 2; i++)
		p[i]->ops->close(p[i]);
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

/* Runs until so many frames came in; 0: for 50 ms. */
static void run_watched(struct port *left, struct port *right, unsigned frames)
{
	const struct crossing_config c = { 0 };
	pthread_t self = pthread_self(), other;
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	watched[0] = crossing_left_alone ? NULL : left;
	watched[1] = right;
	turns = 0;
	frames_left = frames;
	if (!frames)
		assert_int_equal(pthread_create(&other, NULL, terminate, &self), 0);
	assert_int_equal(run(left, right, &c), 0);
	if (!frames)
		pthread_join(other, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	watched[0] = watched[1] = NULL;
}

/* Nothing is read that could go to a congested port, and all of it once it is not. */
static void waits_for_slow_peer(void **state)
{
	struct port *left = mem_open("left", &arena), *right = mem_open("right", &arena);

	(void)state;
	mem_set_limit(right, 10, 1);
	push(left, 0, 900);
	push(right, 5000, 200);
	run_watched(left, right, 1100);
	expect(right, 0, 900, 0);
	expect(left, 5000, 200, 0);
	left->ops->close(left);
	right->ops->close(right);
}

/* Both ways at once: neither is read for the other's sake, and both go on. */
static void waits_for_slow_peers(void **state)
{
	struct port *left = mem_open("left", &arena), *right = mem_open("right", &arena);

	(void)state;
	mem_set_limit(left, 10, 30);
	mem_set_limit(right, 10, 40);
	push(left, 0, 400);
	push(right, 5000, 400);
	run_watched(left, right, 800);
	expect(right, 0, 400, 0);
	expect(left, 5000, 400, 0);
	left->ops->close(left);
	right->ops->close(right);
}

/* A peer that takes nothing costs no time: what waits to be read does not wake the loop. */
static void sleeps_while_congested(void **state)
{
	struct port *left = mem_open("left", &arena), *right = mem_open("right", &arena);

	(void)state;
	mem_set_limit(right, 10, 0);
	push(left, 0, 900);
	run_watched(left, right, 0);
	expect(right, 0, 64, 0);
	assert_true(turns < 50);
	left->ops->close(left);
	right->ops->close(right);
}

/* What waits at a port that nobody uses any more keeps nothing from being read. */
static void reads_on_beside_an_unused_port(void **state)
{
	struct port *left = mem_open("left", &arena), *right = mem_open("right", &arena);

	(void)state;
	mem_set_limit(right, 10, 0);
	push(left, 0, 900);
	crossing_left_alone = 1u << 1;
	run_watched(left, right, 0);
	crossing_left_alone = 0;
	expect(right, 0, 900, 0);
	left->ops->close(left);
	right->ops->close(right);
}

/* A role with ports that may be left out, and commands. */
enum { TALKER_IN, TALKER_OUT, TALKER_NOTES, TALKER_CONTROL };

static const struct role_env *talker_env;
static uint32_t talker_ports;
static uint64_t talker_strays;

static void *talker_init(void *block, const void *config, const struct role_env *env)
{
	(void)config;
	talker_env = env;
	talker_ports = env->ports;
	return block;
}

static void say(struct outbox *out, unsigned port, const char *text)
{
	struct packet *p = outbox_make(out, port, (uint32_t)strlen(text));

	assert_non_null(p);
	memcpy(p->head, text, strlen(text));
}

static void talker_input(void *role, const struct burst *in, struct outbox *out)
{
	char text[100];

	(void)role;
	talker_strays = talker_env->counters->dropped[R_NOT_JOINED];
	if (in->port != TALKER_CONTROL) {
		for (unsigned i = 0; i < in->n; i++)
			outbox_put(out, in->port == TALKER_IN ? TALKER_OUT : TALKER_NOTES,
				   in->pkts[i]);
		return;
	}
	assert_int_equal(in->n, 1);
	snprintf(text, sizeof text, "%.*s", (int)in->pkts[0]->head_len, (char *)in->pkts[0]->head);
	say(out, TALKER_NOTES, text);
	if (strcmp(text, "mute") != 0)
		say(out, TALKER_CONTROL, "ok heard\nall of it");
	if (strcmp(text, "say it twice") == 0)
		say(out, TALKER_CONTROL, "ok twice");
}

static const struct port_desc talker_list[] = {
	[TALKER_IN] = { "in", PORT_FRAMES, false },
	[TALKER_OUT] = { "out", PORT_FRAMES, true },
	[TALKER_NOTES] = { "notes", PORT_MSGS, true },
	[TALKER_CONTROL] = { "control", PORT_MSGS, true },
	{ NULL, PORT_FRAMES, false },
};

static const struct role_ops talker_ops = {
	.name = "talker",
	.ports = talker_list,
	.need = crossing_need,
	.init = talker_init,
	.input = talker_input,
	.expire = mute_expire,
	.deadline = mute_deadline,
};

static void joins_what_is_given(void **state)
{
	struct port *in = mem_open("in", &arena), *notes = mem_open("notes", &arena);
	struct engine_config cfg = {
		.ops = &talker_ops,
		.role_config = &(struct crossing_config){ 0 },
		.port = { in, NULL, notes },
		.opt = { .quiet = true },
	};

	(void)state;
	push(in, 0, 65);
	push(notes, 100, 2);
	mem_end(in);
	mem_end(notes);
	assert_int_equal(engine_run(&cfg), 0);
	assert_int_equal(talker_ports, 1u << TALKER_IN | 1u << TALKER_NOTES);
	assert_int_equal(talker_strays, 64);
	expect(notes, 100, 2, 0);
	in->ops->close(in);
	notes->ops->close(notes);
}

/* What the owner is told: the ports by index.  It may put an end to the run. */
struct told {
	struct port *in, *notes;
	unsigned times;
	int err;
};

static int take_ports(void *ctx, struct port *const *port, char *ret_err, size_t err_size)
{
	struct told *t = ctx;

	t->times++;
	assert_ptr_equal(port[TALKER_IN], t->in);
	assert_ptr_equal(port[TALKER_NOTES], t->notes);
	assert_null(port[1]);
	snprintf(ret_err, err_size, "no");
	return t->err;
}

static void tells_of_its_ports(void **state)
{
	struct told t = { mem_open("in", &arena), mem_open("notes", &arena), 0, 0 };
	struct engine_config cfg = {
		.ops = &talker_ops,
		.role_config = &(struct crossing_config){ 0 },
		.port = { t.in, NULL, t.notes },
		.joined = take_ports,
		.hook_ctx = &t,
		.opt = { .quiet = true },
	};

	(void)state;
	mem_end(t.in);
	mem_end(t.notes);
	assert_int_equal(engine_run(&cfg), 0);
	t.err = -EPERM;
	assert_int_equal(engine_run(&cfg), 1);
	assert_int_equal(t.times, 2);
	t.in->ops->close(t.in);
	t.notes->ops->close(t.notes);
}

/* Asks a running engine, in a thread, and ends it. */
struct asker {
	const char *path;
	pthread_t engine;
	char heard[1000];
};

static void *ask(void *arg)
{
	static const char text[] = "ping\nping now\ntell me\nmute\nsay it twice\nhelp\n";
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct asker *a = arg;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t len = 0;
	ssize_t n;

	snprintf(addr.sun_path, sizeof addr.sun_path, "%s", a->path);
	while (connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
		usleep(1000);
	if (send(fd, text, sizeof text - 1, MSG_NOSIGNAL) == (ssize_t)sizeof text - 1 &&
	    shutdown(fd, SHUT_WR) == 0)
		while ((n = recv(fd, a->heard + len, sizeof a->heard - 1 - len, 0)) > 0)
			len += (size_t)n;
	close(fd);
	pthread_kill(a->engine, SIGTERM);
	return NULL;
}

/* Commands: the engine's own, the role's, answered and not. */
static void takes_commands(void **state)
{
	static const char want[] =
		"ok talker\n"
		"error ping takes no arguments\n"
		"= all of it\nok heard\n"
		"error talker did not answer\n"
		"= all of it\nok heard\n"
		"= help: list the commands\n"
		"= ping: say which role runs here\n"
		"= flows [json] [FROM]: list connections, some hundred from FROM on\n"
		"= stats [json]: print the counters\n"
		"= drain [end | off]: take no new connections; end once the last is gone; or take "
		"them again\n"
		"= reload: read the settings anew\n"
		"ok all others are for talker\n";
	struct port *in = mem_open("in", &arena), *notes = mem_open("notes", &arena);
	char path[] = "/tmp/engine_test.XXXXXX";
	struct asker a = { .path = path, .engine = pthread_self() };
	struct engine_config cfg = {
		.ops = &talker_ops,
		.role_config = &(struct crossing_config){ 0 },
		.port = { in, NULL, notes },
		.opt = { .quiet = true, .control = path },
	};
	struct packet p;
	pthread_t other;
	sigset_t set, old;

	(void)state;
	close(mkstemp(path));
	unlink(path);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	assert_int_equal(pthread_create(&other, NULL, ask, &a), 0);
	assert_int_equal(engine_run(&cfg), 0);
	pthread_join(other, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	assert_int_equal(talker_ports, 1u << TALKER_IN | 1u << TALKER_NOTES | 1u << TALKER_CONTROL);
	assert_string_equal(a.heard, want);
	assert_int_equal(access(path, F_OK), -1);
	/* what the role sends elsewhere meanwhile goes there */
	assert_true(mem_pop(notes, &p));
	assert_int_equal(p.head_len, strlen("tell me"));
	free(p.head);
	in->ops->close(in);
	notes->ops->close(notes);
}

/* A path that cannot be. */
static void refuses_control(void **state)
{
	struct port *left = mem_open("left", &arena), *right = mem_open("right", &arena);
	struct engine_config cfg = {
		.ops = &crossing_ops,
		.role_config = &(struct crossing_config){ 0 },
		.port = { left, right },
		.opt = { .quiet = true, .control = "/nonexistent/socket" },
	};

	(void)state;
	assert_int_equal(engine_run(&cfg), 1);
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

/* A role that remembers one number for as long as there is a file. */
static uint32_t remembered;

static size_t memory_save(const void *role, uint32_t *cursor, sut_time now,
			  struct record *ret_record)
{
	(void)role;
	(void)now;
	if ((*cursor)++ > 0)
		return 0;
	record_begin(ret_record, REC_REPLICA_FLOW, 1);
	record_put32(ret_record, remembered);
	record_end(ret_record);
	return ret_record->len;
}

static int memory_restore(void *role, const struct record *record, sut_time now)
{
	struct record_reader rd;

	(void)role;
	(void)now;
	assert_int_equal(record_open(record, &rd), 0);
	remembered = record_take32(&rd);
	return 0;
}

static int run_memory(const char *path)
{
	struct role_ops ops = crossing_ops;
	struct port *left = mem_open("left", &arena), *right = mem_open("right", &arena);
	const struct engine_config cfg = {
		.ops = &ops,
		.role_config = &(struct crossing_config){ 0 },
		.port = { left, right },
		.opt = { .quiet = true, .state = path },
	};
	int code;

	ops.save = memory_save;
	ops.restore = memory_restore;
	mem_end(left);
	mem_end(right);
	code = engine_run(&cfg);
	left->ops->close(left);
	right->ops->close(right);
	return code;
}

/* State goes from one run to the next, once; what cannot be read ends a run before it begins. */
static void keeps_state(void **state)
{
	char dir[] = "/tmp/engine_test.XXXXXX", path[64], old[64];
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/state", dir);
	snprintf(old, sizeof old, "%s/state.old", dir);
	remembered = 7;
	assert_int_equal(run_memory(path), 0);
	remembered = 8;
	assert_int_equal(run_memory(path), 0);
	assert_int_equal(remembered, 7);
	assert_int_equal(rename(old, path), 0);
	remembered = 9;
	assert_int_equal(run_memory(path), 0);
	assert_int_equal(remembered, 7);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(run_memory(path), 1);
	assert_int_equal(remove(path), 0);
	assert_int_equal(remove(old), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loop_wakes),
		cmocka_unit_test(messages_keep_their_place),
		cmocka_unit_test(mail_is_read_last),
		cmocka_unit_test(forwards_and_ends),
		cmocka_unit_test(drains_timers),
		cmocka_unit_test(waits_for_full_device),
		cmocka_unit_test(refuses_settings),
		cmocka_unit_test(ends_on_signal),
		cmocka_unit_test(counts_what_no_port_takes),
		cmocka_unit_test(waits_for_slow_peer),
		cmocka_unit_test(waits_for_slow_peers),
		cmocka_unit_test(sleeps_while_congested),
		cmocka_unit_test(reads_on_beside_an_unused_port),
		cmocka_unit_test(joins_what_is_given),
		cmocka_unit_test(tells_of_its_ports),
		cmocka_unit_test(takes_commands),
		cmocka_unit_test(refuses_control),
		cmocka_unit_test(keeps_state),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
