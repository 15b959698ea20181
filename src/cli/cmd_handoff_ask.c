/* SPDX-License-Identifier: MIT */
/* Commands that ask a running front end or agent at its control socket; and the one that makes a key. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "app/channel_keys.h"
#include "app/control_client.h"
#include "app/options.h"
#include "app/report.h"
#include "cli/command.h"

struct ask_flags {
	const char *path;
	bool json;
	uint32_t slot;
};

struct ask_command {
	const char *command, *beside, *about;
	unsigned args;
	unsigned more_args; /* that may follow */
	const struct option_desc *options; /* beside --control; NULL: none */
	const char *verb; /* sent alone, or as "backend NAME VERB [ARGUMENT]" */
};

#define FIELD(f) OPTION_FIELD(struct ask_flags, f)

/* clang-format off */
static const struct option_desc socket_table[] = {
	{ .name = "control", .kind = OPTION_STRING, FIELD(path), .arg = "PATH",
	  .help = "the socket of the running suture" },
	{ .name = NULL },
};

static const struct option_desc json_table[] = {
	{ .name = "json", .kind = OPTION_FLAG, FIELD(json), .help = "print a JSON object for each line" },
	{ .name = NULL },
};

static const struct option_desc slot_table[] = {
	{ .name = "slot", .kind = OPTION_NUMBER, FIELD(slot), .arg = "N", .def = "0", .max = 1,
	  .help = "which of the two keys of a file it is to be" },
	{ .name = NULL },
};
/* clang-format on */

static const struct ask_command status_command = {
	.command = "handoff status",
	.beside = "[BACKEND]",
	.more_args = 1,
	.about =
		"Lists the back ends of a running front end: whether they serve, which rung of the "
		"ladder\n"
		"they get, and why not a better one.  Of an agent: what it tells of its host, and "
		"the\n"
		"front ends that it hears.\n",
	.options = json_table,
	.verb = "status",
};

static const struct ask_command drain_command = {
	.command = "handoff drain",
	.beside = "BACKEND",
	.about = "Gives a back end no new connections.  Those that it has go on.\n",
	.args = 1,
	.verb = "drain",
};

static const struct ask_command undrain_command = {
	.command = "handoff undrain",
	.beside = "BACKEND",
	.about = "Gives a back end connections again.\n",
	.args = 1,
	.verb = "undrain",
};

static const struct ask_command weight_command = {
	.command = "handoff weight",
	.beside = "BACKEND N",
	.about = "Gives a back end another weight, from 0 (only what nobody else can take) to "
		 "1000.\n",
	.args = 2,
	.verb = "weight",
};

static const struct ask_command rung_command = {
	.command = "handoff rung",
	.beside = "BACKEND adopt|shift|splice|auto",
	.about = "Forces the rung that new connections to a back end take, or lets the best one be "
		 "taken.\n",
	.args = 2,
	.verb = "rung",
};

static void print_text(void *ctx, const char *line)
{
	(void)ctx;
	puts(line);
}

/* The words of a line as members: key=value as they are, the others in an array. */
static void print_json(void *ctx, const char *line)
{
	const char *sep = "";
	char word[400];

	(void)ctx;
	fputs("{\"words\":[", stdout);
	for (int pass = 0; pass < 2; pass++) {
		const char *s = line;

		while (*s) {
			size_t len = strcspn(s, " ");
			const char *equal = memchr(s, '=', len);
			size_t key = equal ? (size_t)(equal - s) : 0;

			if (len && len < sizeof word && !equal == !pass) {
				memcpy(word, s, len);
				word[len] = 0;
				fputs(sep, stdout);
				if (equal) {
					word[key] = 0;
					report_json_string(word, stdout);
					putchar(':');
				}
				report_json_string(word + (equal ? key + 1 : 0), stdout);
				sep = ",";
			}
			s += len + (s[len] == ' ');
		}
		if (!pass)
			fputs("]", stdout);
		sep = ",";
	}
	puts("}");
}

static bool is_word(const char *s)
{
	return *s && strlen(s) < 100 && !strpbrk(s, " \n");
}

static int ask(const struct ask_command *what, const struct ask_flags *flags,
	       const struct option_args *args)
{
	static struct control_client c;
	char line[300], text[400] = "";
	int code;

	if (what->args)
		snprintf(line, sizeof line, "backend %s %s%s%s", args->arg[0], what->verb,
			 what->args > 1 ? " " : "", what->args > 1 ? args->arg[1] : "");
	else
		snprintf(line, sizeof line, "%s%s%s", what->verb, args->n ? " " : "",
			 args->n ? args->arg[0] : "");
	code = control_connect(&c, flags->path);
	if (code == 0)
		code = control_ask(&c, line, flags->json ? print_json : print_text, NULL, text,
				   sizeof text);
	if (code == 0 && *text && !flags->json && what->args)
		puts(text);
	if (code)
		fprintf(stderr, "suture %s: %s\n", what->command, c.error);
	control_disconnect(&c);
	return code ? 1 : 0;
}

static int run(const struct ask_command *what, int argc, char **argv)
{
	struct ask_flags flags = { 0 };
	const struct option_group groups[] = {
		{ NULL, socket_table, &flags },
		{ "Output", what->options, &flags },
		{ NULL, NULL, NULL },
	};
	char synopsis[100];
	const struct option_usage usage = {
		.command = what->command,
		.synopsis = synopsis,
		.about = what->about,
		.groups = groups,
		.min_args = what->args,
		.max_args = what->args + what->more_args,
		.beside = what->beside,
	};
	struct option_args args;
	int code;

	snprintf(synopsis, sizeof synopsis, "--control PATH%s%s%s",
		 what->options ? " [OPTION]..." : "", what->beside ? " " : "",
		 what->beside ? what->beside : "");
	code = options_run(&usage, argc, argv, &args);
	if (code >= 0)
		return code;
	if (!flags.path)
		return options_complain(&usage, "--control PATH is missing");
	for (unsigned i = 0; i < args.n; i++)
		if (!is_word(args.arg[i]))
			return options_complain(&usage, "'%s' is no name", args.arg[i]);
	return ask(what, &flags, &args);
}

int cmd_handoff_status(int argc, char **argv)
{
	return run(&status_command, argc, argv);
}

int cmd_handoff_drain(int argc, char **argv)
{
	return run(&drain_command, argc, argv);
}

int cmd_handoff_undrain(int argc, char **argv)
{
	return run(&undrain_command, argc, argv);
}

int cmd_handoff_weight(int argc, char **argv)
{
	return run(&weight_command, argc, argv);
}

int cmd_handoff_rung(int argc, char **argv)
{
	return run(&rung_command, argc, argv);
}

int cmd_handoff_key(int argc, char **argv)
{
	struct ask_flags flags = { 0 };
	const struct option_group groups[] = {
		{ NULL, slot_table, &flags },
		{ NULL, NULL, NULL },
	};
	const struct option_usage usage = {
		.command = "handoff key",
		.synopsis = "[--slot N]",
		.about = "Prints a line with a new random key, for the file that front ends and "
			 "agents "
			 "share:\n\n"
			 "    umask 077; suture handoff key >FILE\n",
		.groups = groups,
	};
	struct option_args args;
	char line[80];
	int code;

	options_defaults(slot_table, &flags);
	code = options_run(&usage, argc, argv, &args);
	if (code >= 0)
		return code;
	if (channel_keys_make(flags.slot, line) != 0) {
		fprintf(stderr, "suture handoff key: libsodium cannot be used on this machine\n");
		return 1;
	}
	puts(line);
	return 0;
}
