/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "app/doctor.h"
#include "app/engine.h"
#include "app/options.h"
#include "app/settings.h"
#include "cli/command.h"
#include "cli/roles.h"
#include "port/port.h"
#include "role/accel/near.h"

struct accel_ports {
	const char *client, *server;
};

/* clang-format off */
static const struct option_desc port_table[] = {
	{ .name = "client", .kind = OPTION_STRING, OPTION_FIELD(struct accel_ports, client), .arg = "PORT",
	  .help = "where the clients are: if:NAME" },
	{ .name = "server", .kind = OPTION_STRING, OPTION_FIELD(struct accel_ports, server), .arg = "PORT",
	  .help = "where the servers are: if:NAME" },
	{ .name = NULL },
};
/* clang-format on */

/* What is wrong with the devices and would go unnoticed otherwise: a line each; accel goes on. */
static void warn(const struct accel_ports *p)
{
	static const char *const role[DOCTOR_PORTS] = { "client", "server" };
	const char *name[DOCTOR_PORTS] = { p->client, p->server };
	struct doctor_finding f[DOCTOR_FINDINGS_MAX];
	struct doctor_facts facts;
	unsigned n;

	for (unsigned i = 0; i < DOCTOR_PORTS; i++) {
		if (!name[i] || strncmp(name[i], "if:", 3) != 0)
			return;
		name[i] += 3;
	}
	doctor_look(name, role, &facts);
	n = doctor_judge(&facts, f);
	for (unsigned i = 0; i < n; i++)
		if (f[i].severity == DOCTOR_WRONG && strcmp(f[i].check, "device") != 0 &&
		    strcmp(f[i].check, "capability") != 0)
			fprintf(stderr, "suture: warning: %s%s%s\n", f[i].text,
				*f[i].mend ? "; mend: " : "", f[i].mend);
}

/* Both ports must be given, and be well-formed: -1, or 2 after complaining. */
static int check_ports(const struct option_usage *usage, const struct accel_ports *p)
{
	const struct {
		const char *flag, *spec;
	} both[] = { { "--client", p->client }, { "--server", p->server } };
	char why[300];

	for (unsigned i = 0; i < 2; i++) {
		if (!both[i].spec)
			return options_complain(usage, "%s PORT is missing", both[i].flag);
		if (port_check(both[i].spec, why, sizeof why) != 0)
			return options_complain(usage, "%s: %s", both[i].flag, why);
	}
	if (strcmp(p->client, p->server) == 0)
		return options_complain(usage, "--client and --server are the same port");
	return -1;
}

/* All that can be set. */
struct accel_settings {
	struct accel_ports ports;
	struct accel_near_config role;
	struct engine_options engine;
};

static void set_defaults(const void *ctx, void *block)
{
	struct accel_settings *s = block;

	(void)ctx;
	accel_near_defaults(&s->role);
	options_defaults(engine_option_table, &s->engine);
}

static const char *find_error(const void *ctx, void *block)
{
	const struct accel_settings *s = block;

	(void)ctx;
	return accel_near_config_error(&s->role);
}

static int check(void *ctx, const struct settings *s, const struct option_args *args)
{
	const struct accel_settings *set = s->block;

	(void)ctx;
	(void)args;
	return check_ports(s->usage, &set->ports);
}

static int run(void *ctx, const struct settings *s)
{
	const struct accel_settings *set = s->block;
	struct engine_config *e = ctx;

	if (!set->engine.quiet)
		warn(&set->ports);
	e->spec[ACCEL_CLIENT] = set->ports.client;
	e->spec[ACCEL_SERVER] = set->ports.server;
	return engine_run_process(e, &set->engine);
}

int cmd_accel_near(int argc, char **argv)
{
	const struct role_entry *role = role_find("accel-near");
	struct accel_settings set = { 0 };
	const struct option_group groups[] = {
		{ "Ports", port_table, &set.ports },
		{ "Acceleration", role->options, &set.role },
		{ NULL, engine_option_table, &set.engine },
		{ NULL, NULL, NULL },
	};
	const struct option_usage usage = {
		.command = "accel near",
		.synopsis = "--client PORT --server PORT [OPTION]...",
		.about = "A bump in the wire beside the clients: answers their SYNs at once with a "
			 "promised\n"
			 "SYN-ACK, carries their first data towards the server without waiting for "
			 "its\n"
			 "handshake, and from the real SYN-ACK on shifts the numbers.  All else "
			 "passes.\n"
			 "Ends on SIGINT and SIGTERM; prints its counters on SIGUSR1.\n",
		.groups = groups,
		.sections = command_sections,
	};
	const struct settings settings = {
		.usage = &usage,
		.argc = argc,
		.argv = argv,
		.block = &set,
		.size = sizeof set,
		.defaults = set_defaults,
		.finish = find_error,
	};
	struct engine_config e = {
		.ops = role->ops,
		.role_config = &set.role,
		.settings = &settings,
	};
	const struct settings_use use = { .check = check, .run = run, .ctx = &e };

	return settings_run(&settings, &use);
}
