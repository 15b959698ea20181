/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sys/stat.h>

#include "app/clock.h"
#include "app/engine.h"
#include "app/handoff_back.h"
#include "app/handoff_doctor.h"
#include "app/settings.h"
#include "base/hash.h"
#include "cli/cmd_handoff.h"
#include "cli/command.h"
#include "core/plane.h"
#include "port/port.h"

/* All that can be set. */
struct back_settings {
	struct handoff_back back;
	struct engine_options engine;
};

/* One run. */
struct back_run {
	struct back_settings *set;
	struct hand_msg *known; /* adopt, shift, boot, why */
	struct handoff_kernel kernel;
	struct port *fronts;
};

/* clang-format off */
static const struct option_desc port_table[] = {
	{ .name = "if", .kind = OPTION_STRING, OPTION_FIELD(struct handoff_back, device), .arg = "PORT",
	  .help = "where front ends and clients are: if:NAME" },
	{ .name = "host", .kind = OPTION_STRING, OPTION_FIELD(struct handoff_back, host), .arg = "PORT",
	  .help = "with --plane user: where the server is" },
	{ .name = NULL },
};
/* clang-format on */

static void set_defaults(const void *ctx, void *block)
{
	struct back_settings *s = block;

	(void)ctx;
	options_defaults(handoff_back_table, &s->back.flags);
	options_defaults(handoff_keys_table, &s->back.key_flags);
	options_defaults(engine_option_table, &s->engine);
}

/* ctx: what this run has found out of the host, which settings do not say. */
static const char *finish(const void *ctx, void *block)
{
	const struct hand_msg *known = ctx;
	struct back_settings *s = block;
	const char *wrong = handoff_back_finish(&s->back);
	struct hand_msg *host = &s->back.role.host;

	host->adopt = known->adopt;
	host->shift = known->shift;
	host->boot = known->boot;
	memcpy(host->why, known->why, sizeof host->why);
	return wrong;
}

static int check_ports(const struct option_usage *u, const struct handoff_back *b)
{
	bool bpf = b->flags.plane == HANDOFF_PLANE_BPF;
	char why[300];
	int code = handoff_check_device(u, "--if", b->device);

	if (code >= 0)
		return code;
	if (bpf && b->host)
		return options_complain(u, "--host: only with --plane user");
	if (!bpf && !b->host)
		return options_complain(u,
					"--host PORT is missing: --plane user works between --if "
					"and --host");
	if (b->host && port_check(b->host, why, sizeof why) != 0)
		return options_complain(u, "--host: %s", why);
	if (b->host && strcmp(b->host, b->device) == 0)
		return options_complain(u, "--if and --host are the same port");
	return -1;
}

static struct plane_config plane_of(const struct handoff_back *b)
{
	struct plane_config c = {
		.max_ways = 2 * b->role.max_flows,
		.keys = b->role.keys,
		.unsigned_too = b->role.unsigned_too,
	};

	memcpy(c.key, b->role.key, sizeof c.key);
	memcpy(c.origin, b->role.origin, sizeof c.origin);
	return c;
}

/*
 * A number that changes when the host's ways are lost: with the file that they are pinned to, or with this process.
 */
static uint32_t boot_of(const struct handoff_back *b)
{
	const char *pins = b->flags.pins;
	char path[4200];
	uint32_t boot = 0;
	struct stat st;

	(void)random_bytes(&boot, sizeof boot);
	if (b->flags.plane == HANDOFF_PLANE_BPF && pins && *pins &&
	    snprintf(path, sizeof path, "%s/ways", pins) < (int)sizeof path && stat(path, &st) == 0)
		boot = (uint32_t)(st.st_ino * 2654435761u) ^ (uint32_t)st.st_ctim.tv_sec ^
		       (uint32_t)st.st_ctim.tv_nsec;
	return boot;
}

static int open_kernel(struct back_run *r, const struct handoff_kernel_want *w, char *ret_err,
		       size_t err_size)
{
	struct hand_msg *host = &r->set->back.role.host;
	int err = handoff_kernel_open(w, &r->kernel, ret_err, err_size);

	if (err == 0)
		host->adopt = handoff_kernel_adopts(&r->kernel, host->why, sizeof host->why);
	return err;
}

static int open_all(struct back_run *r, char *ret_err, size_t err_size)
{
	struct handoff_back *b = &r->set->back;
	const struct plane_config plane = plane_of(b);
	const struct handoff_kernel_want w = {
		.back = true,
		.device = { b->device + 3 },
		.pins = b->flags.pins,
		.cgroup = b->flags.cgroup,
		.no_adopt = b->flags.no_adopt,
		.plane = &plane,
	};
	bool bpf = b->flags.plane == HANDOFF_PLANE_BPF;
	int err = bpf ? handoff_kernel_claim(&w, &r->kernel, ret_err, err_size) : 0;

	b->channel.log = engine_log(&r->set->engine);
	if (err == 0)
		err = channel_port_open(&b->channel, &r->fronts, ret_err, err_size);
	if (err == 0 && bpf)
		err = open_kernel(r, &w, ret_err, err_size);
	if (b->flags.plane == HANDOFF_PLANE_USER)
		snprintf(b->role.host.why, sizeof b->role.host.why,
			 "the agent has no BPF programs");
	b->role.host.shift = 1;
	b->role.host.boot = boot_of(b);
	*r->known = b->role.host;
	return err;
}

static void close_all(struct back_run *r)
{
	handoff_kernel_close(&r->kernel, r->set->back.flags.at_end == 0);
	if (r->fronts)
		r->fronts->ops->close(r->fronts);
}

static int attach(void *ctx, struct port *const *port, char *ret_err, size_t err_size)
{
	struct back_run *r = ctx;

	(void)port;
	return r->kernel.plane ? handoff_kernel_attach(&r->kernel, r->set->back.device + 3, -1,
						       ret_err, err_size)
			       : 0;
}

static const char *renewed(void *ctx, void *next)
{
	const struct back_settings *s = next;
	struct back_run *r = ctx;
	const struct plane_config plane = plane_of(&s->back);
	const struct log log = engine_log(&s->engine);
	const struct handoff_kernel_want w = { .back = true, .plane = &plane };

	channel_port_rekey(r->fronts, &s->back.keys);
	channel_port_log(r->fronts, &log);
	if (r->kernel.plane)
		(void)handoff_kernel_configure(&r->kernel, &w);
	return handoff_keys_changed(&r->set->back.keys, &s->back.keys);
}

static void warn(const struct handoff_back *b, bool quiet)
{
	static struct handoff_patient p;

	p = (struct handoff_patient){
		.back = true,
		.bpf = b->flags.plane == HANDOFF_PLANE_BPF,
		.device = b->device + 3,
		.pins = b->flags.pins,
		.origins = b->role.origins,
	};
	for (unsigned i = 0; i < p.origins; i++)
		handoff_patient_origin(&p, i, &b->role.origin[i]);
	handoff_warn_keys(&b->keys, quiet);
	if (p.bpf)
		handoff_warn_host(&p, quiet);
}

static int run_opened(struct back_run *r, struct engine_config *e)
{
	struct handoff_back *b = &r->set->back;
	char why[900];
	int code = 1;

	if (open_all(r, why, sizeof why) != 0) {
		fprintf(stderr, "suture: %s\n", why);
	} else {
		if (b->flags.plane == HANDOFF_PLANE_USER) {
			e->spec[BACK_FRONT] = b->device;
			e->spec[BACK_HOST] = b->host;
		}
		e->port[BACK_FRONTS] = r->fronts;
		e->port[BACK_PLANE] = r->kernel.port;
		e->joined = attach;
		e->renewed = renewed;
		e->hook_ctx = r;
		code = engine_run_process(e, &r->set->engine);
	}
	close_all(r);
	return code;
}

static int check(void *ctx, const struct settings *s, const struct option_args *args)
{
	const struct back_settings *set = s->block;

	(void)ctx;
	(void)args;
	if (set->engine.journal)
		return options_complain(s->usage,
					"--journal: an agent keeps none: what its host has is in "
					"the kernel; see --state");
	return check_ports(s->usage, &set->back);
}

static int run(void *ctx, const struct settings *s)
{
	struct back_settings *set = s->block;
	const struct back_config *role = &set->back.role;
	struct back_run r = { .set = set, .known = ctx };
	struct engine_config e = { .ops = &back_role, .role_config = role, .settings = s };

	if (back_role.need(role) == 0)
		return options_complain(s->usage, "%s",
					role->error ? role->error : "impossible settings");
	warn(&set->back, set->engine.quiet);
	return run_opened(&r, &e);
}

int cmd_handoff_back(int argc, char **argv)
{
	static struct back_settings set;
	static struct hand_msg known;
	const struct option_group groups[] = {
		{ "Ports", port_table, &set.back },
		{ "Hand-off", handoff_back_table, &set.back.flags },
		{ "Keys", handoff_keys_table, &set.back.key_flags },
		{ NULL, engine_option_table, &set.engine },
		{ NULL, NULL, NULL },
	};
	const struct option_usage usage = {
		.command = "handoff back",
		.synopsis = "--if PORT --listen ADDR:PORT --front NAME=ADDR --origin ADDR:PORT "
			    "[OPTION]...",
		.about = "The agent of a back end: takes what front ends announce, lets the server "
			 "of this\n"
			 "host have the connections, and reports what becomes of them.\n"
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
		.finish = finish,
		.ctx = &known,
	};
	const struct settings_use use = { .check = check, .run = run, .ctx = &known };
	int code = settings_run(&settings, &use);

	channel_keys_forget(&set.back.keys);
	return code;
}
