/* SPDX-License-Identifier: MIT */
/*
 * engine_operate - what operators ask any role at the control socket: its connections, its counters, to take no new ones.
 *
 * A listing comes in pages, so that a million connections neither fill the memory nor stop the traffic: the answer to
 * "flows [json] FROM" ends with the number from which to go on, or with "end".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/control.h"
#include "app/engine_inside.h"
#include "app/flow_text.h"
#include "app/report.h"

#define PAGE 500u /* connections of one answer */
#define DRAIN_LOOK SUT_MS(200) /* how often a draining role is asked whether it is empty */

/* Takes word from the front of *args, if it is there. */
static bool take_word(const char **args, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*args, word, len) != 0 || ((*args)[len] && (*args)[len] != ' '))
		return false;
	*args += len + ((*args)[len] == ' ');
	return true;
}

void operate_flows(struct engine *e, const char *args, struct control_reply *reply)
{
	bool json = take_word(&args, "json"), more = true;
	char text[FLOW_TEXT_MAX], *end;
	struct flow_row row;
	uint32_t cursor;
	unsigned n = 0;

	cursor = (uint32_t)strtoul(args, &end, 10);
	if (*end) {
		reply_error(reply, "flows: expected [json] [FROM], not '%s'", args);
		return;
	}
	if (!e->cfg->ops->list) {
		reply_error(reply, "%s has no connections to list", e->cfg->ops->name);
		return;
	}
	engine_tick(e);
	while (n < PAGE && (more = e->cfg->ops->list(e->runner.role, &cursor, e->now, &row))) {
		if (json)
			flow_text_json(&row, text);
		else
			flow_text_line(&row, text);
		reply_data(reply, "%s", text);
		n++;
	}
	if (more)
		reply_ok(reply, "%" PRIu32, cursor);
	else
		reply_ok(reply, "end");
}

void operate_stats(struct engine *e, const char *args, struct control_reply *reply)
{
	bool json = take_word(&args, "json");
	char *text = NULL, *line, *next;
	size_t len = 0;
	FILE *f;

	if (*args) {
		reply_error(reply, "stats: expected [json], not '%s'", args);
		return;
	}
	f = open_memstream(&text, &len);
	if (f) {
		engine_report(e, json, f);
		fclose(f);
	}
	if (!f || !text) {
		reply_error(reply, "stats: out of memory");
		return;
	}
	for (line = text; *line; line = next) {
		size_t n = strcspn(line, "\n");

		next = line + n + (line[n] == '\n');
		reply_text(reply, line, n);
	}
	free(text);
	reply_ok(reply, "%s", "");
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
	log_line(&e->log, LOG_NOTICE,
		 off ? "takes new connections again" : "takes no new connections; %ld are left", n);
	reply_ok(reply, "%ld", n);
}

bool operate_drained(struct engine *e)
{
	if (e->now < e->next_drain)
		return false;
	e->next_drain = e->now + DRAIN_LOOK;
	return engine_ask_number(e, "drain") == 0;
}
