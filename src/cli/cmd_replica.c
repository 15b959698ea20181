/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "app/engine.h"
#include "app/options.h"
#include "app/settings.h"
#include "base/compiler.h"
#include "cli/command.h"
#include "cli/roles.h"
#include "port/port.h"
#include "role/replica/compare_role.h"
#include "role/replica/mirror_role.h"
#include "role/replica/rewrite_role.h"

/* The commands of the replica differ in their role, their ports and their texts. */
struct replica_command {
	const char *role; /* roles.h */
	const struct option_desc *ports; /* named as the role's: fill engine_config.spec */
	const char *title; /* of the role's own options in the help */
	const char *command, *synopsis, *about;
};

#define PORT(port_name, index, text)                                                    \
	{                                                                               \
		.name = (port_name), .kind = OPTION_STRING, .arg = "PORT",              \
		.offset = (index) * sizeof(const char *), .size = sizeof(const char *), \
		.help = (text)                                                          \
	}

static const struct option_desc rewrite_ports[] = {
	PORT("primary", REPLICA_PRIMARY,
	     "what the clients send, and where the secondary's output goes"),
	PORT("secondary", REPLICA_SECONDARY, "the secondary"),
	PORT("secondary-out", REPLICA_SECONDARY_OUT,
	     "the secondary's output, where a stream goes one way only"),
	PORT("primary-out", REPLICA_PRIMARY_OUT, "the primary's own output: only looked at"),
	PORT("compare", REPLICA_COMPARE, "where the secondary's output goes instead"),
	PORT("network", REPLICA_NETWORK, "the clients themselves, after the failover"),
	{ .name = NULL },
};

static const struct replica_command rewrite_command = {
	.role = "replica-rewrite",
	.ports = rewrite_ports,
	.title = "Rewriting",
	.command = "replica rewrite",
	.synopsis = "--primary PORT --secondary PORT [OPTION]...",
	.about = "The secondary's seam between the mirror of the primary's input and the "
		 "secondary:\n"
		 "learns by how much the secondary's numbers differ from the primary's in each\n"
		 "connection, and translates, so that it can take the connections over.\n"
		 "Ends on SIGINT and SIGTERM; prints its counters on SIGUSR1.\n",
};

static const struct option_desc compare_ports[] = {
	PORT("primary-in", COMPARE_PRIMARY_IN, "what the primary sends"),
	PORT("secondary-in", COMPARE_SECONDARY_IN, "what the secondary sends"),
	PORT("out", COMPARE_OUT,
	     "where the primary's frames go once the secondary has produced the same"),
	PORT("notify", COMPARE_NOTIFY, "messages: asks for checkpoints, and is told of them"),
	{ .name = NULL },
};

static const struct replica_command compare_command = {
	.role = "replica-compare",
	.ports = compare_ports,
	.title = "Comparison",
	.command = "replica compare",
	.synopsis = "--primary-in PORT --secondary-in PORT --out PORT [OPTION]...",
	.about = "Lets the primary's output go to the clients once the secondary has produced "
		 "the\n"
		 "same, and asks for a checkpoint where it does not, as QEMU's colo-compare does.\n"
		 "Ends on SIGINT and SIGTERM; prints its counters on SIGUSR1.\n",
};

static const struct option_desc mirror_ports[] = {
	PORT("client", MIRROR_CLIENT, "where the clients are"),
	PORT("primary", MIRROR_PRIMARY, "the primary; without it frames are only copied"),
	PORT("mirror", MIRROR_MIRROR, "where the copies go"),
	{ .name = NULL },
};

static const struct replica_command mirror_command = {
	.role = "replica-mirror",
	.ports = mirror_ports,
	.title = "Mirroring",
	.command = "replica mirror",
	.synopsis = "--client PORT [--primary PORT] --mirror PORT [OPTION]...",
	.about = "Passes frames on between the clients and the primary, and copies those of one "
		 "way,\n"
		 "or of both, to a third port.\n"
		 "Ends on SIGINT and SIGTERM; prints its counters on SIGUSR1.\n",
};

static unsigned index_of(const struct option_desc *d)
{
	return (unsigned)(d->offset / sizeof(const char *));
}

/* Ports that must be given are, and all are well-formed and different: -1, or 2 after complaining. */
static int check_ports(const struct option_usage *usage, const struct option_desc *table,
		       const struct port_desc *ports, const char *const *spec)
{
	char why[300];

	for (const struct option_desc *d = table; d->name; d++) {
		const char *s = spec[index_of(d)];

		if (!s && !ports[index_of(d)].optional)
			return options_complain(usage, "--%s PORT is missing", d->name);
		if (s && port_check(s, why, sizeof why) != 0)
			return options_complain(usage, "--%s: %s", d->name, why);
		for (const struct option_desc *e = table; s && e < d; e++)
			if (spec[index_of(e)] && strcmp(s, spec[index_of(e)]) == 0)
				return options_complain(usage, "--%s and --%s are the same port",
							e->name, d->name);
	}
	return -1;
}

/* All that can be set. */
struct replica_settings {
	const char *spec[ENGINE_PORTS_MAX];
	union {
		struct replica_rewrite_config rewrite;
		struct replica_compare_config compare;
		struct replica_mirror_config mirror;
	} role;
	struct engine_options engine;
};

static void set_defaults(const void *ctx, void *block)
{
	const struct role_entry *role = ctx;
	struct replica_settings *s = block;

	role->defaults(&s->role);
	options_defaults(engine_option_table, &s->engine);
}

static const char *find_error(const void *ctx, void *block)
{
	const struct role_entry *role = ctx;
	const struct replica_settings *s = block;

	return role->config_error(&s->role);
}

static int check(void *ctx, const struct settings *s, const struct option_args *args)
{
	const struct replica_settings *set = s->block;
	struct engine_config *e = ctx;

	(void)args;
	memcpy(e->spec, set->spec, sizeof e->spec);
	return check_ports(s->usage, s->usage->groups[0].table, e->ops->ports, e->spec);
}

static int run(void *ctx, const struct settings *s)
{
	const struct replica_settings *set = s->block;

	return engine_run_process(ctx, &set->engine);
}

static int command(const struct replica_command *cmd, int argc, char **argv)
{
	const struct role_entry *role = role_find(cmd->role);
	struct replica_settings set = { 0 };
	const struct option_group groups[] = {
		{ "Ports", cmd->ports, set.spec },
		{ cmd->title, role->options, &set.role },
		{ NULL, engine_option_table, &set.engine },
		{ NULL, NULL, NULL },
	};
	const struct option_usage usage = {
		.command = cmd->command,
		.synopsis = cmd->synopsis,
		.about = cmd->about,
		.groups = groups,
		.sections = command_sections,
	};
	const struct settings settings = {
		.usage = &usage,
		.argc = argc,
		.argv = argv,
		.block = &set,
		.size = sizeof set,
		.ctx = role,
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

int cmd_replica_rewrite(int argc, char **argv)
{
	return command(&rewrite_command, argc, argv);
}

int cmd_replica_compare(int argc, char **argv)
{
	return command(&compare_command, argc, argv);
}

int cmd_replica_mirror(int argc, char **argv)
{
	return command(&mirror_command, argc, argv);
}
