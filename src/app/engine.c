/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * One thread, one role, its ports in one epoll set (level-triggered).  A turn: wait for a port, the role's deadline, a command, or a signal;
 * expire; one burst from each ready port, by index; one command of each client; what each call put in the outbox is sent at once.  So a busy port gets one burst
 * a turn and cannot starve another, and a packet's bytes live until it was sent: no new burst is read before.
 *
 * Ports without a descriptor (captures) are always ready.  A port whose device is down is asked every DOWN_RETRY whether it is back.
 * When every port has ended (captures only), timers run for DRAIN more, and the run ends.
 */
#include "app/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/clock.h"
#include "app/config.h"
#include "app/control.h"
#include "app/engine_inside.h"
#include "app/metrics.h"
#include "app/notify.h"
#include "app/report.h"
#include "app/sandbox.h"
#include "app/state.h"
#include "proto/print.h"

#define EXPIRE_ROUNDS 64u /* a turn gives up after that many; the next one goes on */

/* clang-format off */
#define FIELD(f) OPTION_FIELD(struct engine_options, f)

const struct option_desc engine_option_table[] = {
	{ .name = "verbose", .letter = 'v', .kind = OPTION_FLAG, FIELD(verbose),
	  .help = "say more, and print counters at the end" },
	{ .name = "debug", .kind = OPTION_FLAG, FIELD(debug), .fixed = 1,
	  .help = "log every change of a flow's state" },
	{ .name = "quiet", .letter = 'q', .kind = OPTION_FLAG, FIELD(quiet), .help = "errors only" },
	{ .name = "log-time", .kind = OPTION_FLAG, FIELD(log_time), .help = "put the time before each line" },
	{ .name = "stats", .kind = OPTION_FLAG, FIELD(stats), .help = "print counters at the end" },
	{ .name = "stats-interval", .kind = OPTION_TIME, FIELD(stats_interval), .arg = "TIME", .def = "0",
	  .help = "print counters every so often; 0 for never" },
	{ .name = "json", .kind = OPTION_FLAG, FIELD(json),
	  .help = "print counters on standard output, a JSON object a line" },
	{ .name = "trace-pcap", .kind = OPTION_STRING, FIELD(trace_pcap), .arg = "PATH",
	  .help = "record all frames: a file, or a directory for a file per port" },
	{ .name = "metrics", .kind = OPTION_STRING, FIELD(metrics), .arg = "[ADDR:]PORT", .check = metrics_check,
	  .help = "answer HTTP GET /metrics there, of 127.0.0.1 without ADDR" },
	{ .name = "control", .kind = OPTION_STRING, FIELD(control), .arg = "PATH", .check = control_check,
	  .help = "take commands at this unix socket" },
	{ .name = "journal", .kind = OPTION_STRING, FIELD(journal), .arg = "FILE",
	  .help = "accel near, handoff front: keep connections in this file as they come: a kill loses none" },
	{ .name = "journal-salvage", .kind = OPTION_FLAG, FIELD(journal_salvage), .fixed = 1,
	  .help = "of a damaged --journal use what lies before the damage" },
	{ .name = "no-sandbox", .kind = OPTION_FLAG, FIELD(no_sandbox), .fixed = 1,
	  .help = "keep all privileges and system calls, for debugging" },
	{ .name = "state", .kind = OPTION_STRING, FIELD(state), .arg = "FILE",
	  .help = "keep connections in this file from one run to the next" },
	{ .name = "config", .kind = OPTION_CONFIG, FIELD(config), .arg = "FILE",
	  .help = "read settings from this file, before the other flags" },
	{ .name = NULL },
};
/* clang-format on */

_Static_assert(PORTS_MAX == ENGINE_PORTS_MAX, "one limit");
_Static_assert(OUTBOX_PKTS <= 256, "a slot's queue holds a full outbox");

static uint64_t engine_random(void *ctx)
{
	uint64_t v = 0;

	(void)ctx;
	random_bytes(&v, sizeof v);
	return v;
}

static void engine_trace(void *ctx, const struct trace_event *ev)
{
	const struct engine *e = ctx;
	char src[46], dst[46];

	print_addr(ev->key->src, src, sizeof src);
	print_addr(ev->key->dst, dst, sizeof dst);
	log_line(&e->log, LOG_DEBUG, "%s.%u > %s.%u: %s -> %s: %s", src, be16_get(ev->key->sport),
		 dst, be16_get(ev->key->dport), ev->from, ev->to, ev->why);
}

void engine_tick(struct engine *e)
{
	e->now = clock_now();
	e->ports.wall = e->now + e->wall_offset;
}

void engine_gather(const struct engine *e, struct report_port ports[PORTS_MAX],
		   struct report *ret_r)
{
	struct report r = {
		.ops = e->cfg->ops,
		.counters = &e->runner.counters,
		.ports = ports,
	};

	for (unsigned i = 0; i < e->ports.n; i++) {
		struct port *p = e->ports.slot[i].port;

		if (!p)
			continue;
		ports[r.port_count] = (struct report_port){ .name = e->ports.slot[i].name,
							    .spec = p->name };
		p->ops->stats(p, &ports[r.port_count].stats);
		if (p->ops->rows)
			ports[r.port_count].row_count = p->ops->rows(p, &ports[r.port_count].rows);
		r.port_count++;
	}
	*ret_r = r;
}

void engine_report(struct engine *e, bool json, FILE *f)
{
	struct report_port ports[PORTS_MAX];
	struct report r;

	engine_gather(e, ports, &r);
	if (json)
		report_json(&r, f);
	else
		report_text(&r, f);
}

/* Counters as asked for: text on stderr, JSON on stdout. */
static void report(struct engine *e)
{
	FILE *f = e->opt.json ? stdout : stderr;

	engine_report(e, e->opt.json, f);
	fflush(f);
}

static void take_answer(struct engine *e, const struct packet *p)
{
	if (e->answer && !e->answer->ended)
		reply_of_role(e->answer, (const char *)p->head, p->head_len);
	else
		e->runner.counters.dropped[R_NOT_JOINED]++;
}

/* What is queued for one port goes out. */
static void flush_port(struct engine *e, unsigned i)
{
	struct port_slot *s = &e->ports.slot[i];

	if (!s->queued)
		return;
	e->runner.counters.dropped[R_PORT_REFUSED] += ports_flush(&e->ports, i);
	for (unsigned j = 0; j < s->queued; j++)
		if (s->queue[j])
			runner_count_out(&e->runner, i, s->queue[j]);
	s->queued = 0;
}

static void flush_ports(struct engine *e, bool post)
{
	for (unsigned i = 0; i < e->ports.n; i++)
		if ((e->ports.slot[i].kind == PORT_POST) == post)
			flush_port(e, i);
}

/*
 * Frames are gathered by port, since a burst goes out by one call.  A message is not to be overtaken, nor to overtake: what it says (a way is laid, an
 * answer may be relied on) is in force when what stands behind it in the outbox goes out, and not before what stands in front has.  What goes by post
 * waits for all of it, since it says what is in force, and comes later than it was sent anyway.
 */
void engine_flush(struct engine *e)
{
	struct outbox *o = &e->runner.out;
	unsigned none = PORTS_MAX,
		 messages = none; /* the port of messages that was queued for last */

	engine_flush_journal(e);
	for (unsigned i = 0; i < o->n; i++) {
		unsigned port = o->port[i];
		struct port_slot *s;

		if (!runner_may_send(&e->runner, port))
			continue;
		s = &e->ports.slot[port];
		if ((int)port == e->control_port) {
			take_answer(e, o->pkt[i]);
			continue;
		}
		if (s->kind != PORT_POST && port != messages &&
		    (messages != none || s->kind == PORT_MSGS)) {
			flush_ports(e, false);
			messages = s->kind == PORT_MSGS ? port : none;
		}
		s->queue[s->queued++] = o->pkt[i];
	}
	flush_ports(e, false);
	flush_ports(e, true);
	engine_notice_traffic(e);
	outbox_clear(o);
}

static void expire(struct engine *e)
{
	for (unsigned i = 0; i < EXPIRE_ROUNDS && runner_deadline(&e->runner) <= e->now; i++) {
		runner_expire(&e->runner, e->now);
		engine_flush(e);
	}
}

static sut_time earlier(sut_time a, sut_time b)
{
	return a < b ? a : b;
}

/* The next thing to wake up for; 0 if a port is ready without being waited for. */
static sut_time next_deadline(const struct engine *e)
{
	sut_time t = runner_deadline(&e->runner);

	if (engine_ready_ports(e) || e->control_more || e->journal_more)
		return 0;
	t = earlier(t, earlier(e->next_report, e->next_pump));
	t = earlier(t, e->next_metrics);
	t = earlier(t, earlier(e->next_drain, e->next_look));
	return earlier(earlier(t, e->next_retry), e->end);
}

static void report_if_due(struct engine *e, bool asked)
{
	if (e->now >= e->next_report) {
		e->next_report = e->now + e->opt.stats_interval;
		asked = true;
	}
	if (asked)
		report(e);
}

static bool has_drained(const struct engine *e)
{
	return e->end != SUT_NEVER && (e->now >= e->end || runner_deadline(&e->runner) >= e->end);
}

static int run(struct engine *e)
{
	while (!e->failed && !has_drained(e)) {
		struct loop_events ev;
		int err = loop_wait(&e->loop, e->now, next_deadline(e), &ev);

		if (err) {
			log_line(&e->log, LOG_ERROR, "waiting: %s", strerror(-err));
			return 1;
		}
		engine_tick(e);
		if (ev.terminate || ev.hangup)
			break;
		expire(e);
		engine_read_ports(e, ev.ready | engine_ready_ports(e));
		engine_serve_control(e, ev.ready);
		engine_serve_metrics(e, ev.ready);
		engine_turn_journal(e);
		report_if_due(e, ev.report);
		engine_notice(e);
		if (operate_drained(e)) {
			log_line(&e->log, LOG_NOTICE, "drained: no connection is left");
			break;
		}
	}
	return e->failed ? 1 : 0;
}

static void announce(const struct engine *e)
{
	char line[1000];
	int n = snprintf(line, sizeof line, "ready: %s", e->cfg->ops->name);

	for (unsigned i = 0; i < e->ports.n && n < (int)sizeof line; i++) {
		const struct port_slot *s = &e->ports.slot[i];

		if (s->port)
			n += snprintf(line + n, sizeof line - (size_t)n, " %s=%s", s->name,
				      s->port->name);
	}
	log_line(&e->log, LOG_NOTICE, "%s", line);
	notify_manager("READY=1");
}

static int open_runner(struct engine *e)
{
	struct role_env env = {
		.random = engine_random,
		.ports = ports_joined(e->cfg->ops, e->cfg->spec, e->cfg->port),
	};
	int err = random_bytes(env.secret, sizeof env.secret);

	if (e->control_port >= 0)
		env.ports |= (uint32_t)1 << e->control_port;
	if (e->opt.debug) {
		env.trace = engine_trace;
		env.trace_ctx = e;
	}
	if (err == 0 && engine_open_journal(e, &env) != 0)
		return -1; /* said already */
	if (err == 0)
		err = runner_open(&e->runner, e->cfg->ops, e->cfg->role_config, &env);
	if (err)
		log_line(&e->log, LOG_ERROR, "%s: %s", e->cfg->ops->name,
			 err == -EINVAL && e->cfg->role_error ? e->cfg->role_error
			 : err == -EINVAL		      ? "impossible settings"
							      : strerror(-err));
	return err;
}

/* Takes over what an earlier run has left: 0, or -errno (said already). */
static int load_state(struct engine *e)
{
	const char *path = e->opt.state;
	struct state_counts c;
	uint64_t wall, age;
	char why[600];
	int err;

	if (!path)
		return 0;
	if (!e->cfg->ops->save) {
		log_line(&e->log, LOG_ERROR, "--state: %s has nothing to keep", e->cfg->ops->name);
		return -EINVAL;
	}
	engine_tick(e);
	err = state_load(path, e->cfg->ops, e->runner.role, e->now, &c, why, sizeof why);
	if (err == 0)
		err = state_taken(path, why, sizeof why);
	if (err < 0)
		log_line(&e->log, LOG_ERROR, "%s", why);
	if (err)
		return err < 0 ? err : 0;
	wall = e->ports.wall / 1000000000u;
	age = wall > c.saved_at ? wall - c.saved_at : 0;
	log_line(&e->log, c.no_room + c.version + c.refused ? LOG_ERROR : LOG_NOTICE,
		 "state %s: %" PRIu32 " records of %" PRIu64 " s ago restored, %" PRIu32
		 " had no room, %" PRIu32 " of another version, %" PRIu32 " refused",
		 path, c.restored, age, c.no_room, c.version, c.refused);
	return 0;
}

/* Leaves it to the next one: 0, or -errno (said already). */
static int store_state(struct engine *e)
{
	uint32_t records;
	char why[600];
	int err;

	if (!e->opt.state)
		return 0;
	engine_tick(e);
	err = state_store(e->opt.state, e->cfg->ops, e->runner.role, e->now, e->ports.wall,
			  &records, why, sizeof why);
	if (err)
		log_line(&e->log, LOG_ERROR, "%s", why);
	else
		log_line(&e->log, LOG_NOTICE, "state %s: %" PRIu32 " records saved", e->opt.state,
			 records);
	return err;
}

/* Tells the owner which ports there are: 0, or -errno (said already). */
static int tell_joined(struct engine *e)
{
	struct port *port[PORTS_MAX] = { NULL };
	char why[500];
	int err;

	if (!e->cfg->joined)
		return 0;
	for (unsigned i = 0; i < e->ports.n; i++)
		port[i] = e->ports.slot[i].port;
	err = e->cfg->joined(e->cfg->hook_ctx, port, why, sizeof why);
	if (err)
		log_line(&e->log, LOG_ERROR, "%s", why);
	return err;
}

/* With everything open: 0 to 1 as the exit code. */
static int run_opened(struct engine *e)
{
	int err = engine_watch_ports(e), code;

	if (err == 0)
		err = engine_watch_control(e);
	if (err == 0)
		err = engine_watch_metrics(e);
	if (err) {
		log_line(&e->log, LOG_ERROR, "event loop: %s", strerror(-err));
		return 1;
	}
	if (tell_joined(e) != 0)
		return 1;
	if (e->cfg->opened)
		e->cfg->opened(e->cfg->opened_ctx);
	/* files come behind it: what cannot be written with what is left is to be known now, not at the end */
	if ((e->cfg->sandbox && sandbox_begin(&e->log) != 0) || load_state(e) != 0 ||
	    engine_replay_journal(e) != 0)
		return 1;
	engine_tick(e);
	if (e->opt.stats_interval)
		e->next_report = e->now + e->opt.stats_interval;
	announce(e);
	code = run(e);
	notify_manager("STOPPING=1");
	if (store_state(e) != 0)
		code = 1;
	if (e->opt.stats || e->opt.verbose || e->opt.json)
		report(e);
	return code;
}

enum log_level engine_log_level(const struct engine_options *o)
{
	if (o->quiet)
		return LOG_ERROR;
	return o->debug ? LOG_DEBUG : o->verbose ? LOG_INFO : LOG_NOTICE;
}

struct log engine_log(const struct engine_options *o)
{
	return (struct log){ .level = engine_log_level(o), .time = o->log_time };
}

void engine_set_log(struct engine *e)
{
	e->log = engine_log(&e->opt);
}

int engine_run(const struct engine_config *cfg)
{
	struct engine *e = calloc(1, sizeof *e);
	char why[500];
	bool looped = false;
	int code = 1, err;

	if (!e)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ,
	       SIG_IGN); /* a file that may not grow is an error of that file, not the end */
	e->cfg = cfg;
	e->opt = cfg->opt;
	engine_set_log(e);
	e->next_report = e->next_retry = e->next_pump = e->end = e->next_drain = e->next_look =
		SUT_NEVER;
	e->wall_offset = clock_wall_offset();
	if (engine_open_control(e) != 0)
		goto out;
	if (engine_open_metrics(e) != 0)
		goto out_control;
	if (open_runner(e) != 0)
		goto out_control;
	if (ports_open(&e->ports, cfg->ops, cfg->spec, cfg->port, cfg->opt.trace_pcap, why,
		       sizeof why) != 0) {
		log_line(&e->log, LOG_ERROR, "%s", why);
		goto out_runner;
	}
	err = loop_open(&e->loop);
	if (err)
		log_line(&e->log, LOG_ERROR, "event loop: %s", strerror(-err));
	looped = err == 0;
	if (looped)
		code = run_opened(e);
	if (ports_close(&e->ports, &e->log) != 0)
		code = 1;
out_runner:
	runner_close(&e->runner);
out_control:
	engine_close_metrics(e);
	engine_close_journal(e);
	if (e->control)
		control_close(e->control);
	/* last: signals are blocked until then, or a second one would leave traces and sockets as they are */
	if (looped)
		loop_close(&e->loop);
out:
	config_close(e->reloaded);
	free(e);
	return code;
}

int engine_run_process(struct engine_config *cfg, const struct engine_options *opt)
{
	cfg->opt = *opt;
	cfg->sandbox = !opt->no_sandbox;
	return engine_run(cfg);
}
