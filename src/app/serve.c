/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * One thread, one stack, one device.  A turn: wait for a packet, a kernel's descriptor of a proxied connection, the stack's deadline, the idle time
 * of a connection, a command or a signal; fire timers; read a burst of packets into the stack; let the services do what they can with what it
 * tells; flush, which acknowledges the burst once and sends what the services wrote.  The stack emits straight to the device.
 *
 * The end is a drain: listeners close, connections go on until their ends have closed them, for the drain time at most; what is left
 * then is reset, so that no peer waits for nothing.
 */
#include "app/serve.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/resource.h>

#include "app/clock.h"
#include "app/config.h"
#include "app/notify.h"
#include "app/sandbox.h"
#include "app/serve_inside.h"
#include "core/store.h"

#define GSO_MAX 65475u /* payload of a super-packet */
#define BUFFER_OFFLOAD (1u << 20)
#define BUFFER_PLAIN (256u << 10) /* more would overrun the device's queue of small packets */

static uint64_t random_bits(void *ctx)
{
	uint64_t v = 0;

	(void)ctx;
	random_bytes(&v, sizeof v);
	return v;
}

static void trace_state(void *ctx, sut_time now, conn_id id, const char *from, const char *to,
			const char *why)
{
	const struct serve *s = ctx;

	(void)now;
	log_line(&s->log, LOG_DEBUG, "%" PRIx64 ": %s -> %s: %s", id, from, to, why);
}

void serve_tick(struct serve *s)
{
	s->now = clock_now();
}

/* The stack. */

static void stack_settings(const struct serve *s, struct stack_config *ret_c)
{
	const struct serve_flags *f = &s->cfg->flags;
	const uint64_t buffer = f->buffer	? f->buffer
				: f->no_offload ? BUFFER_PLAIN
						: BUFFER_OFFLOAD;
	int mtu = tun_dev_mtu(&s->tun);

	stack_config_default(ret_c);
	ret_c->nets = s->cfg->nets;
	memcpy(ret_c->net, s->cfg->net, sizeof ret_c->net);
	ret_c->mtu = mtu > 0 ? (uint32_t)mtu : 1500;
	if (ret_c->mtu > GSO_MAX + 40) /* a super-packet holds a segment at least */
		ret_c->mtu = GSO_MAX + 40;
	ret_c->max_conns = f->max_conns;
	if (ret_c->max_half_open > f->max_conns)
		ret_c->max_half_open = f->max_conns;
	ret_c->max_listeners = SERVE_PORTS;
	ret_c->cells = (uint32_t)(f->memory / STORE_CELL);
	ret_c->sndbuf = ret_c->rcvbuf = (uint32_t)buffer;
	ret_c->gso_max = GSO_MAX;
	ret_c->offload = f->no_offload ? 0 : STACK_OFFLOAD_CSUM | STACK_OFFLOAD_TSO;
	ret_c->cc = f->cc;
}

static int open_stack(struct serve *s)
{
	struct stack_env env = { .random = random_bits, .emit = device_emit, .ctx = s };
	struct stack_config c;
	char why[96] = "";

	if (s->cfg->opt.debug)
		env.trace = trace_state;
	stack_settings(s, &c);
	s->block_bytes = stack_need(&c, why);
	if (s->block_bytes == 0) {
		log_line(&s->log, LOG_ERROR, "serve: %s", why);
		return -EINVAL;
	}
	s->block = mmap(NULL, s->block_bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->block == MAP_FAILED || random_bytes(env.secret, sizeof env.secret) != 0) {
		log_line(&s->log, LOG_ERROR, "serve: no memory for %zu bytes", s->block_bytes);
		s->block = s->block == MAP_FAILED ? NULL : s->block;
		return -ENOMEM;
	}
	(void)madvise(s->block, s->block_bytes, MADV_HUGEPAGE);
	serve_tick(s);
	s->stack = stack_init(s->block, &c, &env, s->now);
	return 0;
}

/* The loop. */

static sut_time earlier(sut_time a, sut_time b)
{
	return a < b ? a : b;
}

static sut_time next_deadline(const struct serve *s)
{
	sut_time t = stack_deadline(s->stack);

	if (s->control_more || s->more || stack_has_events(s->stack))
		return 0;
	t = earlier(t, conns_deadline(s));
	t = earlier(t, earlier(s->next_retry, s->next_report));
	t = earlier(t, s->next_metrics);
	return s->ending ? earlier(t, s->drain_end) : t;
}

static void report_if_due(struct serve *s, bool asked)
{
	if (s->now >= s->next_report) {
		s->next_report = s->now + s->cfg->opt.stats_interval;
		asked = true;
	}
	if (asked)
		operator_report(s);
}

/* The first signal drains; false: it was not the first. */
static bool end_gently(struct serve *s)
{
	if (s->ending && s->drain_end != SUT_NEVER)
		return false;
	s->ending = true;
	s->drain_end = s->now + s->cfg->flags.drain_time;
	conns_drain(s);
	notify_manager("STOPPING=1");
	if (s->used)
		log_line(&s->log, LOG_NOTICE, "ends: takes no new connections; %" PRIu32 " %s left",
			 s->used, s->used == 1 ? "is" : "are");
	return true;
}

static bool has_ended(const struct serve *s)
{
	return s->ending && (s->used == 0 || s->now >= s->drain_end);
}

static void turn(struct serve *s, const struct loop_events *ev)
{
	if (stack_deadline(s->stack) <= s->now)
		stack_expire(s->stack, s->now);
	conns_expire(s);
	if (ev->ready >> TAG_LINKS & 1)
		device_changed(s);
	device_retry(s);
	if (ev->ready >> TAG_TUN & 1)
		device_read(s);
	if (ev->ready >> TAG_KERNEL & 1)
		conns_kernel(s);
	conns_events(s);
	stack_flush(s->stack, s->now);
	operator_serve(s, ev->ready);
	report_if_due(s, ev->report);
	access_flush(s);
}

static int run(struct serve *s)
{
	while (!has_ended(s)) {
		struct loop_events ev;
		int err = loop_wait(&s->loop, s->now, next_deadline(s), &ev);

		if (err) {
			log_line(&s->log, LOG_ERROR, "waiting: %s", strerror(-err));
			return 1;
		}
		serve_tick(s);
		if (ev.hangup && !reload_by_signal(s))
			ev.terminate = true;
		if (ev.terminate && !end_gently(s))
			break;
		turn(s, &ev);
	}
	if (s->used)
		log_line(&s->log, LOG_NOTICE, "%" PRIu32 " connection%s reset", s->used,
			 s->used == 1 ? " is" : "s are");
	conns_abort(s);
	stack_flush(s->stack, s->now);
	return 0;
}

static void announce(const struct serve *s)
{
	char line[900];
	int n = snprintf(line, sizeof line, "ready: serve tun=%s", s->tun.name);

	for (unsigned i = 0; i < s->cfg->listens && n < (int)sizeof line; i++)
		n += snprintf(line + n, sizeof line - (size_t)n, " %u=%s", s->cfg->listen[i].port,
			      s->cfg->listen[i].service->name);
	log_line(&s->log, LOG_NOTICE, "%s", line);
	notify_manager("READY=1");
}

/* Opening and closing. */

static int open_log(struct serve *s)
{
	const char *path = s->cfg->flags.access_log;
	int fd = path ? access_file(path) : -1, err = path && fd < 0 ? fd : access_take(s, fd);

	if (err)
		log_line(&s->log, LOG_ERROR, "access-log: %s: %s", path, strerror(-err));
	return err;
}

static int open_buffers(struct serve *s)
{
	s->scratch = malloc(SERVE_SCRATCH);
	s->packet = malloc(PACKET_HEADROOM + PACKET_MAX);
	if (!s->scratch || !s->packet) {
		log_line(&s->log, LOG_ERROR, "packet buffers: out of memory");
		return -ENOMEM;
	}
	s->packet += PACKET_HEADROOM;
	return 0;
}

static void close_buffers(struct serve *s)
{
	free(s->scratch);
	if (s->packet)
		free(s->packet - PACKET_HEADROOM);
}

/* A file or a socket for each connection: as many as we may have. */
static void raise_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}

/* All that a run needs, in the order in which it can fail: 0, or -errno (said already). */
static int open_all(struct serve *s)
{
	char why[500];
	int err = open_buffers(s);

	if (err == 0)
		err = operator_open(s);
	if (err == 0)
		err = conns_open(s);
	if (err == 0)
		err = open_log(s);
	if (err == 0) {
		err = ports_start(s, why, sizeof why);
		if (err)
			log_line(&s->log, LOG_ERROR, "%s", why);
	}
	if (err == 0)
		err = device_open(s);
	if (err == 0)
		err = open_stack(s);
	if (err)
		return err;
	err = ports_listen(s, why, sizeof why);
	if (err)
		log_line(&s->log, LOG_ERROR, "%s", why);
	return err;
}

static void close_all(struct serve *s)
{
	device_close(s);
	conns_close(s);
	access_close(s);
	ports_stop(s);
	operator_close(s);
	if (s->block)
		munmap(s->block, s->block_bytes);
	close_buffers(s);
}

static int watch_all(struct serve *s)
{
	int err = device_watch(s);

	if (err == 0)
		err = loop_watch(&s->loop, s->epoll, TAG_KERNEL);
	if (err == 0 && s->links >= 0)
		err = loop_watch(&s->loop, s->links, TAG_LINKS);
	if (err == 0)
		err = operator_watch(s);
	return err;
}

/* With everything open: the exit code. */
static int run_opened(struct serve *s)
{
	int err = loop_open(&s->loop), code = 1;

	if (err) {
		log_line(&s->log, LOG_ERROR, "event loop: %s", strerror(-err));
		return 1;
	}
	err = watch_all(s);
	if (err)
		log_line(&s->log, LOG_ERROR, "event loop: %s", strerror(-err));
	if (err == 0 && !s->cfg->opt.no_sandbox)
		err = sandbox_begin(&s->log);
	if (err == 0) {
		serve_tick(s);
		if (s->cfg->opt.stats_interval)
			s->next_report = s->now + s->cfg->opt.stats_interval;
		announce(s);
		code = run(s);
		if (s->cfg->opt.stats || s->cfg->opt.verbose || s->cfg->opt.json)
			operator_report(s);
	}
	loop_close(&s->loop);
	return code;
}

int serve_run(const struct serve_config *c)
{
	struct serve *s = calloc(1, sizeof *s);
	int code = 1;

	if (!s)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	raise_descriptors();
	s->cfg = c;
	s->log = (struct log){ .level = engine_log_level(&c->opt), .time = c->opt.log_time };
	s->next_report = s->next_retry = s->drain_end = SUT_NEVER;
	s->wall_offset = clock_wall_offset();
	s->tun.fd = s->tun.control = s->epoll = s->access.fd = s->links = -1;
	if (open_all(s) == 0)
		code = run_opened(s);
	close_all(s);
	config_close(s->reread_file);
	free(s);
	return code;
}
