/* SPDX-License-Identifier: MIT */
/* Commands at the control socket: the engine's own by a table, all others are the role's. */
#include <errno.h>
#include <string.h>

#include "app/control.h"
#include "app/engine_inside.h"

#define TAG_CONTROL (LOOP_TAGS - 1) /* behind the ports' */

_Static_assert(TAG_CONTROL >= PORTS_MAX, "tags of ports come first");

struct command {
	const char *name;
	const char *usage; /* its arguments; NULL: none */
	const char *help;
	void (*run)(struct engine *e, const char *args, struct control_reply *reply);
};

static void run_help(struct engine *e, const char *args, struct control_reply *reply);

static void run_ping(struct engine *e, const char *args, struct control_reply *reply)
{
	(void)args;
	reply_ok(reply, "%s", e->cfg->ops->name);
}

static const struct command commands[] = {
	{ "help", NULL, "list the commands", run_help },
	{ "ping", NULL, "say which role runs here", run_ping },
	{ "flows", "[json] [FROM]", "list connections, some hundred from FROM on", operate_flows },
	{ "stats", "[json]", "print the counters", operate_stats },
	{ "drain", "[end | off]",
	  "take no new connections; end once the last is gone; or take them again", operate_drain },
	{ "reload", NULL, "read the settings anew", operate_reload },
	{ NULL, NULL, NULL, NULL },
};

static void run_help(struct engine *e, const char *args, struct control_reply *reply)
{
	(void)args;
	for (const struct command *c = commands; c->name; c++)
		reply_data(reply, "%s%s%s: %s", c->name, c->usage ? " " : "",
			   c->usage ? c->usage : "", c->help);
	if (e->control_port >= 0)
		reply_ok(reply, "all others are for %s", e->cfg->ops->name);
	else
		reply_ok(reply, "%s", "");
}

/* Hands the line to the role, which answers in the same call. */
void engine_ask_role(struct engine *e, const char *line, struct control_reply *reply)
{
	uint8_t bytes[PACKET_ROOM + CONTROL_LINE_MAX];
	struct packet p = { .head = bytes + PACKET_ROOM, .head_len = (uint32_t)strlen(line) };
	struct packet *pkts[1] = { &p };

	memcpy(p.head, line, p.head_len);
	engine_tick(e);
	e->answer = reply;
	runner_input(&e->runner, (unsigned)e->control_port, pkts, 1, e->now);
	engine_flush(e);
	e->answer = NULL;
	if (!reply->ended)
		reply_error(reply, "%s did not answer", e->cfg->ops->name);
}

static void serve_line(void *ctx, const char *line, struct control_reply *reply)
{
	struct engine *e = ctx;
	size_t len = strcspn(line, " ");
	const char *args = line[len] ? line + len + 1 : "";

	for (const struct command *c = commands; c->name; c++) {
		if (strlen(c->name) != len || memcmp(c->name, line, len) != 0)
			continue;
		if (!c->usage && *args)
			reply_error(reply, "%s takes no arguments", c->name);
		else
			c->run(e, args, reply);
		return;
	}
	if (e->control_port >= 0)
		engine_ask_role(e, line, reply);
	else
		reply_error(reply, "unknown command '%.*s'", (int)len, line);
}

int engine_open_control(struct engine *e)
{
	char why[400];
	int err;

	e->control_port = -1;
	if (!e->opt.control)
		return 0;
	err = control_open(e->opt.control, &e->control, why, sizeof why);
	if (err)
		log_line(&e->log, LOG_ERROR, "%s", why);
	else
		e->control_port = role_control_port(e->cfg->ops);
	return err;
}

int engine_watch_control(struct engine *e)
{
	return e->control ? loop_watch(&e->loop, control_fd(e->control), TAG_CONTROL) : 0;
}

void engine_serve_control(struct engine *e, uint32_t ready)
{
	if (e->control_more || (ready >> TAG_CONTROL & 1))
		e->control_more = control_serve(e->control, serve_line, e);
}
