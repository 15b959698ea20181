/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

#include "app/engine.h"
#include "app/handoff_doctor.h"
#include "app/handoff_front.h"
#include "app/settings.h"
#include "cli/cmd_handoff.h"
#include "cli/command.h"
#include "core/plane.h"
#include "port/port.h"

/* All that can be set. */
struct front_settings {
	struct handoff_front front;
	struct engine_options engine;
};

/* One run. */
struct front_run {
	struct front_settings *set;
	struct handoff_kernel kernel;
	struct port *agents, *world;
};

/* clang-format off */
static const struct option_desc port_table[] = {
	{ .name = "client", .kind = OPTION_STRING, OPTION_FIELD(struct handoff_front, client), .arg = "PORT",
	  .help = "where the clients are: if:NAME" },
	{ .name = "backend-port", .kind = OPTION_STRING, OPTION_FIELD(struct handoff_front, backend_port),
	  .arg = "PORT", .help = "where the back ends are, if not there too" },
	{ .name = NULL },
};
/* clang-format on */

static void set_defaults(const void *ctx, void *block)
{
	struct front_settings *s = block;

	(void)ctx;
	options_defaults(handoff_front_table, &s->front.flags);
	options_defaults(handoff_keys_table, &s->front.key_flags);
	options_defaults(engine_option_table, &s->engine);
}

static const char *finish(const void *ctx, void *block)
{
	struct front_settings *s = block;

	(void)ctx;
	return handoff_front_finish(&s->front);
}

static int check_ports(const struct option_usage *u, const struct handoff_front *f)
{
	bool bpf = f->flags.plane == HANDOFF_PLANE_BPF;
	char why[300];
	int code = -1;

	if (bpf || !f->client)
		code = handoff_check_device(u, "--client", f->client);
	else if (port_check(f->client, why, sizeof why) != 0)
		code = options_complain(u, "--client: %s", why);
	if (code < 0 && f->backend_port && bpf)
		code = handoff_check_device(u, "--backend-port", f->backend_port);
	else if (code < 0 && f->backend_port && port_check(f->backend_port, why, sizeof why) != 0)
		code = options_complain(u, "--backend-port: %s", why);
	if (code < 0 && f->client && f->backend_port && strcmp(f->client, f->backend_port) == 0)
		code = options_complain(u, "--client and --backend-port are the same port");
	return code;
}

/* What the data plane is told: a front end's has no origins of its own. */
static struct plane_config plane_of(const struct handoff_front *f)
{
	struct plane_config c = { .max_ways = 2 * f->role.max_conns };

	for (unsigned i = 0; i < f->role.origins && i < WAY_ORIGINS; i++) {
		memcpy(c.origin[i].ip, f->role.origin[i].ip, 16);
		memcpy(c.origin[i].host_ip, f->role.origin[i].ip, 16);
		c.origin[i].port = htons(f->role.origin[i].port);
		c.origin[i].host_port = c.origin[i].port;
	}
	return c;
}

/* Nothing is left that its agent would have to be spoken to for. */
static void drop_agent(void *ctx, const char *name)
{
	const struct front_run *r = ctx;

	if (r->agents)
		channel_port_drop(r->agents, name);
}

static int open_all(struct front_run *r, char *ret_err, size_t err_size)
{
	struct handoff_front *f = &r->set->front;
	bool bpf = f->flags.plane == HANDOFF_PLANE_BPF;
	const struct plane_config plane = plane_of(f);
	const struct handoff_kernel_want w = {
		.device = { bpf ? f->client + 3 : NULL,
			    bpf && f->backend_port ? f->backend_port + 3 : NULL },
		.pins = f->flags.pins,
		.plane = &plane,
	};
	int err = bpf ? handoff_kernel_claim(&w, &r->kernel, ret_err, err_size) : 0;

	f->channel.log = f->world.log = engine_log(&r->set->engine);
	f->world.gone = drop_agent;
	f->world.ctx = r;
	if (err == 0)
		err = world_port_open(&f->world, &r->world, ret_err, err_size);
	/* with a key also where there is no agent yet: a reload may name one */
	if (err == 0 && (f->channel.channel.peers || f->keys.valid))
		err = channel_port_open(&f->channel, &r->agents, ret_err, err_size);
	if (err == 0 && bpf)
		err = handoff_kernel_open(&w, &r->kernel, ret_err, err_size);
	return err;
}

static void close_all(struct front_run *r)
{
	handoff_kernel_close(&r->kernel, r->set->front.flags.at_end == 0);
	if (r->agents)
		r->agents->ops->close(r->agents);
	if (r->world)
		r->world->ops->close(r->world);
}

/* The programs, once the packet sockets are there: nothing of the clients' is missed. */
static int attach(void *ctx, struct port *const *port, char *ret_err, size_t err_size)
{
	static const unsigned taps[] = { FRONT_CLIENT, FRONT_BACKEND };
	struct front_run *r = ctx;
	int err = 0;

	for (unsigned i = 0; i < 2 && err == 0 && r->kernel.plane; i++) {
		struct port *p = port[taps[i]];

		if (p)
			err = handoff_kernel_attach(&r->kernel, p->name + 3, p->ops->fd(p), ret_err,
						    err_size);
	}
	return err;
}

static const char *renewed(void *ctx, void *next)
{
	struct front_settings *s = next;
	struct front_run *r = ctx;

	const struct channel_config *ch = &s->front.channel.channel;
	char why[300];
	const struct log log = engine_log(&s->engine);

	if (r->agents) {
		channel_port_log(r->agents, &log);
		channel_port_rekey(r->agents, &s->front.keys);
		if (channel_port_add(r->agents, ch->peer, ch->peers, why, sizeof why) != 0)
			fprintf(stderr, "suture: %s\n", why);
	}
	s->front.world.log = log;
	world_port_renew(r->world, &s->front.world);
	return handoff_keys_changed(&r->set->front.keys, &s->front.keys);
}

static void warn(const struct handoff_front *f, bool quiet)
{
	static struct handoff_patient p;
	uint32_t carries = handoff_front_carries(f);

	p = (struct handoff_patient){
		.bpf = f->flags.plane == HANDOFF_PLANE_BPF,
		.device = strncmp(f->client, "if:", 3) == 0 ? f->client + 3 : NULL,
		.other = f->backend_port ? f->world.device : NULL,
		.pins = f->flags.pins,
		.own_ports = { f->role.port_lo, f->role.port_hi },
		.origins = f->role.origins,
	};
	for (unsigned i = 0; i < p.origins; i++) {
		memcpy(p.origin[i].ip, f->role.origin[i].ip, 16);
		p.origin[i].port = f->role.origin[i].port;
	}
	handoff_warn_keys(&f->keys, quiet);
	if (!quiet && f->role.mtu > carries)
		fprintf(stderr,
			"suture: warning: --mtu %u is more than the devices carry (%u): what is "
			"longer is lost\n",
			f->role.mtu, carries);
	if (p.device)
		handoff_warn_host(&p, quiet);
}

static int run_opened(struct front_run *r, struct engine_config *e)
{
	struct handoff_front *f = &r->set->front;
	char why[900];
	int code = 1;

	if (open_all(r, why, sizeof why) != 0) {
		fprintf(stderr, "suture: %s\n", why);
	} else {
		e->spec[FRONT_CLIENT] = f->client;
		e->spec[FRONT_BACKEND] = f->backend_port;
		e->port[FRONT_WORLD] = r->world;
		e->port[FRONT_AGENTS] = r->agents;
		e->port[FRONT_PLANE] = r->kernel.port;
		e->joined = attach;
		e->renewed = renewed;
		e->hook_ctx = r;
		code = engine_run_process(e, &r->set->engine);
	}
	close_all(r);
	return code;
}

static const char *blamed(const void *ctx, const void *block)
{
	const struct front_settings *s = block;

	(void)ctx;
	return s->front.error.blamed;
}

static int check(void *ctx, const struct settings *s, const struct option_args *args)
{
	const struct front_settings *set = s->block;

	(void)ctx;
	(void)args;
	return check_ports(s->usage, &set->front);
}

static int run(void *ctx, const struct settings *s)
{
	struct front_settings *set = s->block;
	const struct front_config *role = &set->front.role;
	struct front_run r = { .set = set };
	struct engine_config e = { .ops = &front_role, .role_config = role, .settings = s };

	(void)ctx;
	if (front_role.need(role) == 0)
		return options_complain(s->usage, "%s",
					role->error ? role->error : "impossible settings");
	warn(&set->front, set->engine.quiet);
	return run_opened(&r, &e);
}

int cmd_handoff_front(int argc, char **argv)
{
	static struct front_settings set;
	const struct option_group groups[] = {
		{ "Ports", port_table, &set.front },
		{ "Hand-off", handoff_front_table, &set.front.flags },
		{ "Keys", handoff_keys_table, &set.front.key_flags },
		{ NULL, engine_option_table, &set.engine },
		{ NULL, NULL, NULL },
	};
	const struct option_usage usage = {
		.command = "handoff front",
		.synopsis = "--client PORT --vip ADDR:PORT --backend NAME=ADDR:PORT [OPTION]...",
		.about = "The front end: accepts connections, reads the first request of each, and "
			 "gives the\n"
			 "connection to a back end, which answers the client itself where it can.\n"
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
		.blamed = blamed,
	};
	const struct settings_use use = { .check = check, .run = run };
	int code = settings_run(&settings, &use);

	channel_keys_forget(&set.front.keys);
	return code;
}
