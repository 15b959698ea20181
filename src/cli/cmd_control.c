/* SPDX-License-Identifier: MIT */
/* Commands that ask a running suture something at its control socket (app/control.h): a row each. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "app/control.h"
#include "app/control_client.h"
#include "app/flow_text.h"
#include "app/options.h"
#include "app/report.h"
#include "cli/command.h"

#define STATES_MAX 16

struct control_flags {
	const char *path;
	bool json, end, off;
	const char *state[STATES_MAX], *not_state[STATES_MAX];
	uint32_t states, not_states;
};

struct request {
	const char *command; /* as it is called: "replica failover" */
	const char *line; /* what is sent */
	const char *about;
	const struct option_desc *options; /* beside --control; NULL: none */
	/* Asks, and prints the answers: the exit code.  NULL: sends the line, and prints what comes. */
	int (*ask)(struct control_client *c, const struct control_flags *flags);
};

#define FIELD(f) OPTION_FIELD(struct control_flags, f)

/* clang-format off */
static const struct option_desc socket_table[] = {
	{ .name = "control", .kind = OPTION_STRING, FIELD(path), .arg = "PATH", .check = control_check,
	  .help = "the socket of the running suture" },
	{ .name = NULL },
};

static const struct option_desc json_table[] = {
	{ .name = "json", .kind = OPTION_FLAG, FIELD(json), .help = "print JSON, one object a line" },
	{ .name = NULL },
};

static const struct option_desc flows_table[] = {
	{ .name = "json", .kind = OPTION_FLAG, FIELD(json), .help = "print JSON, one object a line" },
	{ .name = "state", .kind = OPTION_STRINGS, FIELD(state), OPTION_COUNT(struct control_flags, states), .arg = "STATE",
	  .help = "only those in this state; may be given again" },
	{ .name = "not-state", .kind = OPTION_STRINGS, FIELD(not_state), OPTION_COUNT(struct control_flags, not_states),
	  .arg = "STATE", .help = "none of those in this state: TIME-WAIT; may be given again" },
	{ .name = NULL },
};

static const struct option_desc drain_table[] = {
	{ .name = "json", .kind = OPTION_FLAG, FIELD(json), .help = "print a JSON object" },
	{ .name = "end", .kind = OPTION_FLAG, FIELD(end), .help = "end once no connection is left that needs it" },
	{ .name = "off", .kind = OPTION_FLAG, FIELD(off), .help = "take new connections again" },
	{ .name = NULL },
};
/* clang-format on */

static void print_line(void *ctx, const char *line)
{
	(void)ctx;
	puts(line);
}

static bool is_one(const char *state, const char *const *names, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcasecmp(names[i], state) == 0)
			return true;
	return false;
}

/* The fourth word of a line, or the member of an object. */
static void read_state(const struct control_flags *flags, const char *line, char ret_state[32])
{
	json_t *o = flags->json ? json_loads(line, 0, NULL) : NULL;
	const char *s = o ? json_string_value(json_object_get(o, "state")) : NULL;

	*ret_state = 0;
	if (s)
		snprintf(ret_state, 32, "%s", s);
	else if (!flags->json && sscanf(line, "%*s %*s %*s %31s", ret_state) != 1)
		*ret_state = 0;
	json_decref(o);
}

static void print_flow(void *ctx, const char *line)
{
	const struct control_flags *f = ctx;
	char state[32];

	if (f->states || f->not_states) {
		read_state(f, line, state);
		if ((f->states && !is_one(state, f->state, f->states)) ||
		    is_one(state, f->not_state, f->not_states))
			return;
	}
	puts(line);
}

static int ask_flows(struct control_client *c, const struct control_flags *flags)
{
	struct control_flags wanted = *flags;
	char line[64], next[64] = "0";
	int code = 0;

	if (!flags->json)
		puts(flow_text_heading);
	while (code == 0 && strcmp(next, "end") != 0) {
		snprintf(line, sizeof line, "flows %s%.20s", flags->json ? "json " : "", next);
		code = control_ask(c, line, print_flow, &wanted, next, sizeof next);
	}
	return code;
}

static int ask_stats(struct control_client *c, const struct control_flags *flags)
{
	char text[64];

	return control_ask(c, flags->json ? "stats json" : "stats", print_line, NULL, text,
			   sizeof text);
}

static int ask_drain(struct control_client *c, const struct control_flags *flags)
{
	char text[64];
	int code = control_ask(c,
			       flags->off   ? "drain off"
			       : flags->end ? "drain end"
					    : "drain",
			       print_line, NULL, text, sizeof text);

	if (code == 0 && flags->json)
		printf("{\"connections\":%ld}\n", strtol(text, NULL, 10));
	else if (code == 0 && strcmp(text, "1") == 0)
		puts("1 connection needs it still");
	else if (code == 0)
		printf("%s connections need it still\n", text);
	return code;
}

/* "mode: auto -> merge" as an object. */
static void print_change(void *ctx, const char *line)
{
	const char *colon = strstr(line, ": "), *arrow = colon ? strstr(colon, " -> ") : NULL;
	char *name, *was;

	(void)ctx;
	if (!arrow)
		return;
	name = strndup(line, (size_t)(colon - line));
	was = strndup(colon + 2, arrow > colon + 2 ? (size_t)(arrow - colon - 2) : 0);
	if (name && was) {
		fputs("{\"setting\":", stdout);
		report_json_string(name, stdout);
		fputs(",\"was\":", stdout);
		report_json_string(was, stdout);
		fputs(",\"is\":", stdout);
		report_json_string(arrow + 4, stdout);
		puts("}");
	}
	free(name);
	free(was);
}

static int ask_reload(struct control_client *c, const struct control_flags *flags)
{
	char text[400] = "", *note;
	int code = control_ask(c, "reload", flags->json ? print_change : print_line, NULL, text,
			       sizeof text);

	if (code == 0 && !flags->json)
		puts(text);
	if (code || !flags->json)
		return code;
	note = strstr(text, "; ");
	printf("{\"changed\":%ld", strtol(text, NULL, 10));
	if (note) {
		fputs(",\"note\":", stdout);
		report_json_string(note + 2, stdout);
	}
	puts("}");
	return 0;
}

static const struct request failover = {
	.command = "replica failover",
	.line = "failover",
	.about = "Tells a running suture that the primary is dead: from now on the secondary "
		 "serves\n"
		 "the clients.\n",
};

static const struct request checkpoint = {
	.command = "replica checkpoint",
	.line = "checkpoint",
	.about = "Tells a running suture that the secondary has become a copy of the primary.\n",
};

static const struct request flows = {
	.command = "flows",
	.about = "Lists the connections of a running suture: both ends, mode, state, shifts, held\n"
		 "bytes, age, and the bytes that each side has sent (modulo 2^32).\n",
	.options = flows_table,
	.ask = ask_flows,
};

static const struct request stats = {
	.command = "stats",
	.about = "Prints the counters of a running suture: events, drop reasons, ports.\n",
	.options = json_table,
	.ask = ask_stats,
};

static const struct request drain = {
	.command = "drain",
	.about = "Lets a running suture take no new connections: they pass untouched.  Those that "
		 "it\n"
		 "has go on.\n",
	.options = drain_table,
	.ask = ask_drain,
};

static const struct request reload = {
	.command = "reload",
	.about = "Lets a running suture read its settings anew, from the file that --config named, "
		 "and\n"
		 "says what has changed.\n",
	.options = json_table,
	.ask = ask_reload,
};

static int run(const struct request *what, int argc, char **argv)
{
	static struct control_client c;
	struct control_flags flags = { 0 };
	const struct option_group groups[] = {
		{ NULL, socket_table, &flags },
		{ "Output", what->options, &flags },
		{ NULL, NULL, NULL },
	};
	const struct option_usage usage = {
		.command = what->command,
		.synopsis = what->options ? "--control PATH [OPTION]..." : "--control PATH",
		.about = what->about,
		.groups = groups,
	};
	struct option_args args;
	char text[400] = "";
	int code = options_run(&usage, argc, argv, &args);

	if (code >= 0)
		return code;
	if (!flags.path)
		return options_complain(&usage, "--control PATH is missing");
	if (flags.end && flags.off)
		return options_complain(&usage, "--end and --off contradict each other");
	code = control_connect(&c, flags.path);
	if (code == 0)
		code = what->ask ? what->ask(&c, &flags)
				 : control_ask(&c, what->line, print_line, NULL, text, sizeof text);
	if (code == 0 && *text)
		puts(text);
	if (code)
		fprintf(stderr, "suture %s: %s\n", what->command, c.error);
	control_disconnect(&c);
	return code ? 1 : 0;
}

int cmd_replica_failover(int argc, char **argv)
{
	return run(&failover, argc, argv);
}

int cmd_replica_checkpoint(int argc, char **argv)
{
	return run(&checkpoint, argc, argv);
}

int cmd_flows(int argc, char **argv)
{
	return run(&flows, argc, argv);
}

int cmd_stats(int argc, char **argv)
{
	return run(&stats, argc, argv);
}

int cmd_reload(int argc, char **argv)
{
	return run(&reload, argc, argv);
}

int cmd_drain(int argc, char **argv)
{
	return run(&drain, argc, argv);
}
