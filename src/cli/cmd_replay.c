/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "app/options.h"
#include "app/replay.h"
#include "app/runner.h"
#include "cli/command.h"
#include "cli/roles.h"

struct replay_flags {
	const char *role, *client_net;
	const char *out[REPLAY_FILES_MAX];
	uint32_t out_count;
	uint64_t seed;
	sut_time drain;
	bool drain_all, offloaded, verbose, quiet, json;
};

/* clang-format off */
#define FIELD(f) OPTION_FIELD(struct replay_flags, f)

static const struct option_desc table[] = {
	{ .name = "role", .kind = OPTION_STRING, FIELD(role), .arg = "ROLE", .help = "accel-near or replica-rewrite" },
	{ .name = "output", .letter = 'o', .kind = OPTION_STRINGS, FIELD(out),
	  OPTION_COUNT(struct replay_flags, out_count), .arg = "[PORT=]FILE",
	  .help = "what leaves, at all ports or at one" },
	{ .name = "client-net", .kind = OPTION_STRING, FIELD(client_net), .arg = "ADDR/LEN",
	  .help = "who is in this network is on the near side" },
	{ .name = "drain", .kind = OPTION_TIME, FIELD(drain), .arg = "TIME", .def = "1s",
	  .help = "how long timers run after the last frame" },
	{ .name = "drain-all", .kind = OPTION_FLAG, FIELD(drain_all), .help = "let them run until none is left" },
	{ .name = "offloaded", .kind = OPTION_FLAG, FIELD(offloaded),
	  .help = "checksums that a sender left to its device are unfinished, not wrong" },
	{ .name = "seed", .kind = OPTION_NUMBER, FIELD(seed), .arg = "N", .def = "1",
	  .help = "changes the secret and the random bits" },
	{ .name = "verbose", .letter = 'v', .kind = OPTION_FLAG, FIELD(verbose), .help = "print each packet in (<) and out (>)" },
	{ .name = "quiet", .letter = 'q', .kind = OPTION_FLAG, FIELD(quiet), .help = "no summary" },
	{ .name = "json", .kind = OPTION_FLAG, FIELD(json), .help = "the summary as a JSON object" },
	{ .name = NULL },
};

static const char about[] =
	"Runs a role over captures, on the captures' time, without privilege: the same input gives\n"
	"the same output.  Frames come in at the role port that is named (client=c.pcap), or, of a\n"
	"capture that has both directions, at the one where their sender is: who sent the SYN is on\n"
	"the near side (client, primary); without a SYN, the end with the higher port.\n";
/* clang-format on */

/* The value of --role before the rest is read: the role has options of its own. */
static const char *find_role(int argc, char **argv)
{
	const char *name = NULL;

	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strncmp(argv[i], "--role=", 7) == 0)
			name = argv[i] + 7;
		else if (strcmp(argv[i], "--role") == 0 && i + 1 < argc)
			name = argv[++i];
	}
	return name;
}

/* "client=FILE" names a port of the role; anything else is a file for all. */
static struct replay_file file_of(const struct role_ops *ops, const char *arg)
{
	const char *eq = strchr(arg, '=');
	int port = eq ? role_port_index(ops, arg, (size_t)(eq - arg)) : -1;

	if (port < 0)
		return (struct replay_file){ REPLAY_ANY, arg };
	return (struct replay_file){ port, eq + 1 };
}

/* Looks arg as if it named a port, but none of frames that the role has? */
static bool names_no_port(const struct role_ops *ops, const char *arg)
{
	size_t word = strspn(arg, "abcdefghijklmnopqrstuvwxyz-");
	int port = role_port_index(ops, arg, word);

	return word > 0 && arg[word] == '=' && (port < 0 || ops->ports[port].kind != PORT_FRAMES);
}

/* "client, server" */
static const char *list_ports(const struct role_ops *ops, char *s, size_t size)
{
	size_t n = 0;

	*s = 0;
	for (unsigned i = 0; ops->ports[i].name && n < size; i++)
		if (ops->ports[i].kind == PORT_FRAMES)
			n += (size_t)snprintf(s + n, size - n, "%s%s", n ? ", " : "",
					      ops->ports[i].name);
	return s;
}

/* -1, or 2 after complaining. */
static int check_port_names(const struct role_ops *ops, const struct option_usage *u,
			    const struct replay_flags *flags, const struct option_args *args)
{
	char names[200];

	for (unsigned i = 0; i < args->n + flags->out_count; i++) {
		const char *arg = i < args->n ? args->arg[i] : flags->out[i - args->n];

		if (names_no_port(ops, arg))
			return options_complain(
				u, "'%s' names no port of %s (%s); write ./%s for a file", arg,
				ops->name, list_ports(ops, names, sizeof names), arg);
	}
	return -1;
}

/* By name, or by what the names stand for; devices (/dev/null) may be named twice. */
static bool same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	if (strcmp(a, "-") == 0)
		return false;
	if (stat(a, &sa) != 0 || stat(b, &sb) != 0)
		return strcmp(a, b) == 0;
	return S_ISREG(sa.st_mode) && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* Fills in the files: -1, or 2 after complaining. */
static int set_files(struct replay_config *c, const struct option_usage *u,
		     const struct replay_flags *flags, const struct option_args *args)
{
	int code = check_port_names(c->ops, u, flags, args);

	if (code >= 0)
		return code;
	for (unsigned i = 0; i < args->n; i++)
		c->in[c->in_count++] = file_of(c->ops, args->arg[i]);
	for (unsigned i = 0; i < flags->out_count; i++)
		c->out[c->out_count++] = file_of(c->ops, flags->out[i]);
	for (unsigned i = 0; i < c->in_count; i++)
		if (!*c->in[i].file)
			return options_complain(u, "'%s' names no file", args->arg[i]);
	for (unsigned i = 0; i < c->out_count; i++)
		if (!*c->out[i].file)
			return options_complain(u, "--output: '%s' names no file", flags->out[i]);
	for (unsigned i = 0; i < c->in_count; i++)
		for (unsigned o = 0; o < c->out_count; o++)
			if (same_file(c->in[i].file, c->out[o].file))
				return options_complain(u, "%s is both input and output",
							c->in[i].file);
	for (unsigned i = 0; i < c->out_count; i++)
		for (unsigned o = 0; o < i; o++)
			if (same_file(c->out[i].file, c->out[o].file))
				return options_complain(u, "%s is an output twice", c->out[i].file);
	return -1;
}

static bool writes_stdout(const struct replay_config *c)
{
	for (unsigned i = 0; i < c->out_count; i++)
		if (strcmp(c->out[i].file, "-") == 0)
			return true;
	return false;
}

static int replay(const struct role_entry *role, const struct option_usage *u,
		  const struct replay_flags *flags, const void *role_config,
		  const struct option_args *args)
{
	struct replay_config c = {
		.ops = role->ops,
		.role_config = role_config,
		.role_error = role->config_error(role_config),
		.seed = flags->seed,
		.drain = flags->drain_all ? SUT_NEVER : flags->drain,
		.offloaded = flags->offloaded,
		.verbose = flags->verbose,
		.summary = !flags->quiet,
		.json = flags->json,
		.progress = isatty(STDERR_FILENO) && !flags->verbose,
	};
	struct ip_net net;
	int code = set_files(&c, u, flags, args);

	if (code >= 0)
		return code;
	if (c.role_error)
		return options_complain(u, "--%s", c.role_error);
	if (flags->client_net) {
		if (ip_net_read(flags->client_net, &net) != 0)
			return options_complain(
				u, "--client-net: '%s' is not a network, as in 192.0.2.0/24",
				flags->client_net);
		c.clients = &net;
	}
	if (writes_stdout(&c))
		c.summary = c.verbose = false;
	return replay_run(&c);
}

int cmd_replay(int argc, char **argv)
{
	const char *name = find_role(argc, argv);
	const struct role_entry *role = name ? role_find(name) : NULL;
	void *role_config = calloc(1, role ? role->config_size : 1);
	struct replay_flags flags = { 0 };
	struct option_group groups[3] = { { NULL, table, &flags } };
	const struct option_usage usage = {
		.command = "replay",
		.synopsis = "--role ROLE [ROLE'S OPTION]... [OPTION]... [PORT=]IN.pcap... -o "
			    "[PORT=]OUT.pcap",
		.about = about,
		.groups = groups,
		.min_args = 1,
		.max_args = REPLAY_FILES_MAX,
		.beside = "@file",
	};
	struct option_args args;
	char names[200];
	int code = 1;

	if (!role_config)
		return code;
	if (role) {
		groups[1] = (struct option_group){ role->ops->name, role->options, role_config };
		role->defaults(role_config);
	}
	options_defaults(table, &flags);
	role_names(names, sizeof names);
	if (name && !role)
		code = options_complain(&usage, "--role: '%s' is not one of %s", name, names);
	else
		code = options_run(&usage, argc, argv, &args);
	if (code < 0 && !role)
		code = options_complain(&usage, "--role is missing: one of %s", names);
	else if (code < 0)
		code = replay(role, &usage, &flags, role_config, &args);
	free(role_config);
	return code;
}
