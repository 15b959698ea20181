/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "app/doctor.h"
#include "app/findings.h"
#include "app/options.h"
#include "cli/command.h"

struct doctor_config {
	const char *client, *server;
	bool json, quiet;
};

#define FIELD(f) OPTION_FIELD(struct doctor_config, f)

/* clang-format off */
static const struct option_desc table[] = {
	{ .name = "client", .kind = OPTION_STRING, FIELD(client), .arg = "PORT",
	  .help = "where the clients are: if:NAME" },
	{ .name = "server", .kind = OPTION_STRING, FIELD(server), .arg = "PORT",
	  .help = "where the servers are: if:NAME" },
	{ .name = "quiet", .letter = 'q', .kind = OPTION_FLAG, FIELD(quiet), .help = "leave out what is well" },
	{ .name = "json", .kind = OPTION_FLAG, FIELD(json), .help = "print a JSON object for each finding" },
	{ .name = NULL },
};
/* clang-format on */

/* The device of "if:NAME"; NULL if it is not one. */
static const char *device_of(const char *spec)
{
	if (strncmp(spec, "if:", 3) != 0)
		return NULL;
	spec += 3;
	return *spec && strlen(spec) < DOCTOR_NAME && !strchr(spec, ':') && !strchr(spec, '/')
		       ? spec
		       : NULL;
}

static int find_devices(const struct option_usage *usage, const struct doctor_config *c,
			const char *ret_name[DOCTOR_PORTS])
{
	const struct {
		const char *flag, *spec;
	} both[] = { { "--client", c->client }, { "--server", c->server } };

	for (unsigned i = 0; i < DOCTOR_PORTS; i++) {
		if (!both[i].spec)
			return options_complain(usage, "%s PORT is missing", both[i].flag);
		ret_name[i] = device_of(both[i].spec);
		if (!ret_name[i])
			return options_complain(
				usage, "%s: '%s' is not a network interface: expected if:%s",
				both[i].flag, both[i].spec,
				strpbrk(both[i].spec, ":/") ? "NAME" : both[i].spec);
	}
	if (strcmp(ret_name[0], ret_name[1]) == 0)
		return options_complain(usage, "--client and --server are the same device");
	return -1;
}

int cmd_accel_doctor(int argc, char **argv)
{
	static const char *const role[DOCTOR_PORTS] = { "client", "server" };
	struct doctor_config cfg = { 0 };
	const struct option_group groups[] = { { NULL, table, &cfg }, { NULL, NULL, NULL } };
	const struct option_usage usage = {
		.command = "accel doctor",
		.synopsis = "--client PORT --server PORT [OPTION]...",
		.about = "Looks at the devices and the kernel that accel near is to work on, says "
			 "what is\n"
			 "wrong, and which command mends it.  Changes nothing.  Checks:\n\n"
#define X(name, text) "  " #name ": " text "\n"
		DOCTOR_CHECKS(X)
#undef X
			"\nExit code 1 if something is wrong.\n",
		.groups = groups,
	};
	struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
	const char *name[DOCTOR_PORTS];
	struct doctor_facts facts;
	struct option_args args;
	int code = options_run(&usage, argc, argv, &args);

	if (code < 0)
		code = find_devices(&usage, &cfg, name);
	if (code >= 0)
		return code;
	doctor_look(name, role, &facts);
	return findings_print(findings, doctor_judge(&facts, findings), cfg.json, cfg.quiet,
			      stdout) > 0;
}
