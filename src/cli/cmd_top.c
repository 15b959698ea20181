/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/clock.h"
#include "app/control.h"
#include "app/control_client.h"
#include "app/options.h"
#include "app/top.h"
#include "cli/command.h"

struct top_flags {
	const char *path;
	sut_time interval;
	bool once, json;
};

/* clang-format off */
#define FIELD(f) OPTION_FIELD(struct top_flags, f)

static const struct option_desc table[] = {
	{ .name = "control", .kind = OPTION_STRING, FIELD(path), .arg = "PATH", .check = control_check,
	  .help = "the socket of the running suture" },
	{ .name = "interval", .kind = OPTION_TIME, FIELD(interval), .arg = "TIME", .def = "1s", .min = SUT_MS(100),
	  .max = 3600u * SUT_MS(1000), .help = "between two looks" },
	{ .name = "once", .kind = OPTION_FLAG, FIELD(once), .help = "end after the first view" },
	{ .name = "json", .kind = OPTION_FLAG, FIELD(json), .help = "print a JSON object a line for each" },
	{ .name = NULL },
};
/* clang-format on */

static void take_stats(void *ctx, const char *line)
{
	top_take_stats(ctx, line);
}

static void take_flow(void *ctx, const char *line)
{
	top_take_flow(ctx, line);
}

/* Asks for all of a sample: 0, or as control_ask(). */
static int look(struct control_client *c, struct top_sample *s)
{
	char line[64], next[64] = "0";
	int code;

	top_begin(s, clock_now());
	code = control_ask(c, "stats json", take_stats, s, next, sizeof next);
	snprintf(next, sizeof next, "0");
	while (code == 0 && strcmp(next, "end") != 0 && !s->cut) {
		snprintf(line, sizeof line, "flows json %.20s", next);
		code = control_ask(c, line, take_flow, s, next, sizeof next);
		if (code == 1)
			return 0; /* a role without connections */
		s->cut |= s->listed == TOP_FLOWS_MAX && strcmp(next, "end") != 0;
	}
	return code;
}

static void wait_until(sut_time at)
{
	const struct timespec ts = { .tv_sec = (time_t)(at / 1000000000u),
				     .tv_nsec = (long)(at % 1000000000u) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

/* Prints one view: false if there is none. */
static bool view(const struct top_flags *flags, const struct top_sample *before,
		 const struct top_sample *now)
{
	json_t *d = top_difference(before, now);

	if (!d)
		return false;
	if (flags->json) {
		json_dumpf(d, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
		putchar('\n');
	} else {
		if (isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		top_print(d, stdout);
	}
	json_decref(d);
	return true;
}

/* View after view: the exit code. */
static int watch(struct control_client *c, const struct top_flags *flags)
{
	struct top_sample s[2] = { 0 };
	unsigned n = 0;
	int code = look(c, &s[0]);

	while (code == 0) {
		wait_until(s[n].at + flags->interval);
		n = !n;
		top_free(&s[n]);
		code = look(c, &s[n]);
		if (code == 0 && !view(flags, &s[!n], &s[n])) {
			snprintf(c->error, sizeof c->error, "%s: the answer is no JSON", c->path);
			code = -1;
		}
		if (fflush(stdout) != 0 || flags->once)
			break;
	}
	top_free(&s[0]);
	top_free(&s[1]);
	return code;
}

int cmd_top(int argc, char **argv)
{
	static struct control_client c;
	struct top_flags flags = { 0 };
	const struct option_group groups[] = { { NULL, table, &flags }, { NULL, NULL, NULL } };
	const struct option_usage usage = {
		.command = "top",
		.synopsis = "--control PATH [OPTION]...",
		.about = "Shows what a running suture does, anew every second: packets and bytes "
			 "of each\n"
			 "port, events, what it drops and why, and the connections that move "
			 "most.\n",
		.groups = groups,
	};
	struct option_args args;
	int code;

	options_defaults(table, &flags);
	code = options_run(&usage, argc, argv, &args);
	if (code >= 0)
		return code;
	if (!flags.path)
		return options_complain(&usage, "--control PATH is missing");
	code = control_connect(&c, flags.path);
	if (code == 0)
		code = watch(&c, &flags);
	if (code)
		fprintf(stderr, "suture top: %s\n", c.error);
	control_disconnect(&c);
	return code ? 1 : 0;
}
