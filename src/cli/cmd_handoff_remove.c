/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "app/handoff_words.h"
#include "app/options.h"
#include "cli/cmd_handoff.h"
#include "cli/command.h"
#include "core/plane.h"

struct remove_flags {
	const char *client, *backend_port, *device; /* "if:eth0" */
	const char *pins;
};

#define FIELD(f) OPTION_FIELD(struct remove_flags, f)

/* clang-format off */
static const struct option_desc table[] = {
	{ .name = "client", .kind = OPTION_STRING, FIELD(client), .arg = "PORT",
	  .help = "of a front end: where its clients were" },
	{ .name = "backend-port", .kind = OPTION_STRING, FIELD(backend_port), .arg = "PORT",
	  .help = "of a front end: where its back ends were, if not there too" },
	{ .name = "if", .kind = OPTION_STRING, FIELD(device), .arg = "PORT",
	  .help = "of a back end: where front ends and clients were" },
	{ .name = "pins", .kind = OPTION_STRING, FIELD(pins), .arg = "DIR",
	  .help = "the directory of its maps; without it that of handoff front, or back" },
	{ .name = NULL },
};
/* clang-format on */

static int check(const struct option_usage *u, const struct remove_flags *c)
{
	int code;

	if (!c->client == !c->device)
		return options_complain(u,
					"--client PORT of a front end, or --if PORT of a back end");
	code = handoff_check_device(u, c->client ? "--client" : "--if",
				    c->client ? c->client : c->device);
	if (code < 0 && c->backend_port)
		code = handoff_check_device(u, "--backend-port", c->backend_port);
	return code;
}

/* What is there is taken up, and let go: 0, or -errno with a sentence. */
static int take_away(const struct remove_flags *c, char *ret_err, size_t err_size)
{
	const char *const device[] = { c->client ? c->client : c->device, c->backend_port };
	static const struct plane_config plane;
	const struct handoff_kernel_want w = {
		.back = c->device != NULL,
		.device = { device[0] + 3, device[1] ? device[1] + 3 : NULL },
		.pins = c->pins	    ? c->pins
			: c->client ? HANDOFF_PINS_FRONT
				    : HANDOFF_PINS_BACK,
		.plane = &plane,
		.only = true,
	};
	struct handoff_kernel k = { 0 };
	int err = handoff_kernel_claim(&w, &k, ret_err, err_size);

	if (err == 0)
		err = handoff_kernel_open(&w, &k, ret_err, err_size);
	for (unsigned i = 0; i < 2 && err == 0; i++)
		if (device[i])
			err = handoff_kernel_attach(&k, device[i] + 3, -1, ret_err, err_size);
	handoff_kernel_close(&k, false);
	return err;
}

int cmd_handoff_remove(int argc, char **argv)
{
	struct remove_flags cfg = { 0 };
	const struct option_group groups[] = { { NULL, table, &cfg }, { NULL, NULL, NULL } };
	const struct option_usage usage = {
		.command = "handoff remove",
		.synopsis = "--client PORT | --if PORT [OPTION]...",
		.about = "Takes away what a front end or an agent that has ended left in the "
			 "kernel: "
			 "its\n"
			 "programs, and the connections that it had given away or taken.\n",
		.groups = groups,
	};
	struct option_args args;
	char why[900];
	int code = options_run(&usage, argc, argv, &args);

	if (code < 0)
		code = check(&usage, &cfg);
	if (code >= 0)
		return code;
	if (take_away(&cfg, why, sizeof why) != 0) {
		fprintf(stderr, "suture handoff remove: %s\n", why);
		return 1;
	}
	return 0;
}
