/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdio.h>

#include "app/options.h"
#include "cli/command.h"

struct version_config {
	bool json;
};

static const struct option_desc table[] = {
	{ .name = "json",
	  .kind = OPTION_FLAG,
	  OPTION_FIELD(struct version_config, json),
	  .help = "as a JSON object" },
	{ .name = NULL },
};

int cmd_version(int argc, char **argv)
{
	struct version_config cfg = { 0 };
	const struct option_group groups[] = { { NULL, table, &cfg }, { NULL, NULL, NULL } };
	const struct option_usage usage = {
		.command = "version",
		.synopsis = "[--json]",
		.about = "Prints the version of suture.\n",
		.groups = groups,
	};
	struct option_args args;
	int code = options_run(&usage, argc, argv, &args);

	if (code >= 0)
		return code;
	printf(cfg.json ? "{\"suture\":\"%s\"}\n" : "suture %s\n", SUT_VERSION);
	return 0;
}
