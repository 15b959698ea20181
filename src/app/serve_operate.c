/* SPDX-License-Identifier: MIT */
/* serve_operate - what operators ask serve: its connections, its counters, to take no new ones; at the control socket and over HTTP. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/clock.h"
#include "app/control.h"
#include "app/listing.h"
#include "app/metrics.h"
#include "app/process_memory.h"
#include "app/serve_inside.h"
#include "core/flow_row.h"

#define FLOWS_AGE SUT_MS(1000) /* connections are counted no more often, whoever asks */

/* The stack as a role that can be listed. */

static const char *service_of(const struct serve *s, const struct conn_info *i)
{
	const struct serve_port *last = NULL;

	if (i->user < s->high && s->conn[i->user].id == i->id)
		return s->conn[i->user].port->service->name;
	/* of one that is not ours any more the port says it */
	for (unsigned p = 0; p < SERVE_PLACES; p++)
		if (s->port[p].service && s->port[p].port == i->local.port)
			last = &s->port[p];
	return last ? last->service->name : NULL;
}

static bool list(const void *role, uint32_t *cursor, sut_time now, struct flow_row *ret_row)
{
	const struct serve *s = role;
	struct conn_info i;

	do {
		if (!stack_list(s->stack, cursor, now, &i))
			return false;
	} while (i.state == ST_LISTEN);
	*ret_row = (struct flow_row){
		.key = { .sport = be16_of(i.remote.port),
			 .dport = be16_of(i.local.port),
			 .where = 0xffffff },
		.mode = service_of(s, &i),
		.state = conn_state_name(i.state),
		.held_bytes = (uint64_t)i.unsent + i.unread + i.ofo,
		.bytes = { [NEAR] = (uint32_t)i.bytes_in, [FAR] = (uint32_t)i.bytes_out },
		.age_ns = i.age,
		.measured = true,
		.cwnd = i.cwnd,
		.srtt_us = i.srtt_us,
		.retransmitted = i.retrans_segs,
	};
	memcpy(ret_row->key.src, i.remote.ip, 16);
	memcpy(ret_row->key.dst, i.local.ip, 16);
	return true;
}

static const struct port_desc ports[] = { { .name = "tun" }, { .name = NULL } };

const struct role_ops serve_ops = { .name = "serve", .ports = ports, .list = list };

/* Counters. */

static void gather(struct serve *s, struct report_port *port,
		   struct report_row rows[STACK_COUNTER_COUNT], struct report *ret_r)
{
	*port = (struct report_port){ .name = "tun", .spec = s->device, .stats = s->tun.stats };
	for (unsigned i = 0; i < STACK_COUNTER_COUNT; i++)
		rows[i] = (struct report_row){ stack_counter_label((enum stack_counter)i),
					       stack_counter_text((enum stack_counter)i),
					       stack_count(s->stack, (enum stack_counter)i) };
	*ret_r = (struct report){ .ops = &serve_ops,
				  .counters = &s->counters,
				  .ports = port,
				  .port_count = 1,
				  .stack = rows,
				  .stack_rows = STACK_COUNTER_COUNT };
}

static void write_report(void *ctx, bool json, FILE *f)
{
	struct report_row rows[STACK_COUNTER_COUNT];
	struct report_port port;
	struct report r;

	gather(ctx, &port, rows, &r);
	if (json)
		report_json(&r, f);
	else
		report_text(&r, f);
}

void operator_report(struct serve *s)
{
	FILE *f = s->cfg->opt.json ? stdout : stderr;

	write_report(s, s->cfg->opt.json, f);
	fflush(f);
}

static void write_metrics(void *ctx, FILE *f)
{
	struct serve *s = ctx;
	struct report_row rows[STACK_COUNTER_COUNT];
	struct report_port port;
	struct metrics m = {
		.flows = &s->flows,
		.role_bytes = s->block_bytes + s->conn_bytes,
		.cpu_seconds = (double)clock_cpu() / 1e9,
	};

	serve_tick(s);
	if (s->now >= s->flows_due) {
		metrics_count_flows(&serve_ops, s, s->now, &s->flows);
		s->flows_due = s->now + FLOWS_AGE;
	}
	gather(s, &port, rows, &m.report);
	process_memory(&m.resident_bytes, &m.virtual_bytes);
	metrics_text(&m, f);
}

/* Commands. */

static void run_flows(struct serve *s, const char *args, struct control_reply *reply)
{
	serve_tick(s);
	listing_flows(&serve_ops, s, s->now, args, reply);
}

static void run_stats(struct serve *s, const char *args, struct control_reply *reply)
{
	listing_stats(write_report, s, args, reply);
}

static void run_ping(struct serve *s, const char *args, struct control_reply *reply)
{
	(void)s;
	if (*args)
		reply_error(reply, "ping takes no arguments");
	else
		reply_ok(reply, "serve");
}

static void run_drain(struct serve *s, const char *args, struct control_reply *reply)
{
	bool off = strcmp(args, "off") == 0, ends = strcmp(args, "end") == 0;
	char why[200];

	if (*args && !off && !ends) {
		reply_error(reply, "drain: expected nothing, 'end' or 'off', not '%s'", args);
		return;
	}
	if (off && s->ending) {
		reply_error(reply, "drain: the end was asked for already");
		return;
	}
	if (off) {
		s->draining = false;
		if (ports_listen(s, why, sizeof why) != 0) {
			reply_error(reply, "drain: %s", why);
			return;
		}
	} else {
		conns_drain(s);
	}
	if (ends) {
		s->ending = true;
		s->drain_end = SUT_NEVER;
	}
	if (off)
		log_line(&s->log, LOG_NOTICE, "takes new connections again");
	else
		log_line(&s->log, LOG_NOTICE, "takes no new connections; %" PRIu32 " %s left",
			 s->used, s->used == 1 ? "is" : "are");
	reply_ok(reply, "%" PRIu32, s->used);
}

static const struct {
	const char *name, *help;
	void (*run)(struct serve *s, const char *args, struct control_reply *reply);
} commands[] = {
	{ "ping", "ping: say what runs here", run_ping },
	{ "flows", "flows [json] [FROM]: list connections, some hundred from FROM on", run_flows },
	{ "stats", "stats [json]: print the counters", run_stats },
	{ "reload", "reload: read the settings anew, and open the access log anew", reload_run },
	{ "drain",
	  "drain [end | off]: take no new connections; end once the last is gone; or take them "
	  "again",
	  run_drain },
};

static void serve_line(void *ctx, const char *line, struct control_reply *reply)
{
	size_t len = strcspn(line, " ");
	const char *args = line[len] ? line + len + 1 : "";

	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		if (strlen(commands[i].name) != len || memcmp(commands[i].name, line, len) != 0)
			continue;
		commands[i].run(ctx, args, reply);
		return;
	}
	if (strcmp(line, "help") != 0) {
		reply_error(reply, "unknown command '%.*s'", (int)len, line);
		return;
	}
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		reply_data(reply, "%s", commands[i].help);
	reply_ok(reply, "%s", "");
}

/* Life. */

int operator_open(struct serve *s)
{
	const struct engine_options *o = &s->cfg->opt;
	char why[400];
	int err = 0;

	s->next_metrics = SUT_NEVER;
	if (o->control)
		err = control_open(o->control, &s->control, why, sizeof why);
	if (err == 0 && o->metrics)
		err = metrics_open(o->metrics, write_metrics, s, &s->metrics, why, sizeof why);
	if (err)
		log_line(&s->log, LOG_ERROR, "%s", why);
	return err;
}

void operator_close(struct serve *s)
{
	if (s->metrics)
		metrics_close(s->metrics);
	if (s->control)
		control_close(s->control);
	s->metrics = NULL;
	s->control = NULL;
}

int operator_watch(struct serve *s)
{
	int err = 0;

	if (s->control)
		err = loop_watch(&s->loop, control_fd(s->control), TAG_CONTROL);
	if (err == 0 && s->metrics)
		err = loop_watch(&s->loop, metrics_fd(s->metrics), TAG_METRICS);
	return err;
}

void operator_serve(struct serve *s, uint32_t ready)
{
	sut_time wait;

	if (s->control_more || (ready >> TAG_CONTROL & 1))
		s->control_more = control_serve(s->control, serve_line, s);
	if (!s->metrics || (!(ready >> TAG_METRICS & 1) && s->now < s->next_metrics))
		return;
	metrics_serve(s->metrics);
	wait = metrics_timeout(s->metrics);
	s->next_metrics = wait == SUT_NEVER ? SUT_NEVER : s->now + wait;
}
