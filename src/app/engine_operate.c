/* SPDX-License-Identifier: MIT */
/*
 * engine_operate - what operators ask any role at the control socket: its connections, its counters, to take no new ones.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/control.h"
#include "app/engine_inside.h"
#include "app/listing.h"

#define DRAIN_LOOK SUT_MS(200) /* how often a draining role is asked whether it is empty */

void operate_flows(struct engine *e, const char *args, struct control_reply *reply)
{
	engine_tick(e);
	listing_flows(e->cfg->ops, e->runner.role, e->now, args, reply);
}

static void write_report(void *ctx, bool json, FILE *f)
{
	engine_report(ctx, json, f);
}

void operate_stats(struct engine *e, const char *args, struct control_reply *reply)
{
	listing_stats(write_report, e, args, reply);
}

long engine_ask_number(struct engine *e, const char *line)
{
	struct control_reply r = { 0 };
	long n = -1;

	engine_ask_role(e, line, &r);
	if (r.len > 3 && memcmp(r.text, "ok ", 3) == 0)
		n = strtol(r.text + 3, NULL, 10);
	reply_free(&r);
	return n;
}

void operate_drain(struct engine *e, const char *args, struct control_reply *reply)
{
	bool off = strcmp(args, "off") == 0, ends = strcmp(args, "end") == 0;
	long n;

	if (*args && !off && !ends) {
		reply_error(reply, "drain: expected nothing, 'end' or 'off', not '%s'", args);
		return;
	}
	n = e->control_port < 0 ? -1 : engine_ask_number(e, off ? "drain off" : "drain");
	if (n < 0) {
		reply_error(reply, "%s cannot be drained", e->cfg->ops->name);
		return;
	}
	e->draining = !off;
	if (ends || off)
		e->next_drain = ends ? e->now : SUT_NEVER;
	if (off)
		log_line(&e->log, LOG_NOTICE, "takes new connections again");
	else
		log_line(&e->log, LOG_NOTICE, "takes no new connections; %ld %s left", n,
			 n == 1 ? "is" : "are");
	reply_ok(reply, "%ld", n);
}

bool operate_drained(struct engine *e)
{
	if (e->now < e->next_drain)
		return false;
	e->next_drain = e->now + DRAIN_LOOK;
	return engine_ask_number(e, "drain") == 0;
}
