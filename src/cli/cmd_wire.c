/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "app/engine.h"
#include "app/options.h"
#include "app/settings.h"
#include "cli/command.h"
#include "port/offload.h"
#include "port/port.h"
#include "role/wire/wire.h"

#define UNSET64 UINT64_MAX
#define UNSET32 UINT32_MAX

/* One direction's flags, or those for both. */
struct link_flags {
	sut_time delay, jitter, reorder_by;
	uint64_t rate;
	uint32_t loss, dup, reorder;
	uint32_t queue;
	uint32_t nth[LINK_NTH_MAX];
	uint32_t nth_count;
};

/* What is no part of a link. */
struct wire_flags {
	uint64_t seed, memory;
	bool gso;
};

/* clang-format off */
#define LINK(f) OPTION_FIELD(struct link_flags, f)
#define WIRE(f) OPTION_FIELD(struct wire_flags, f)

/* The same table three times: for both directions with defaults, and for each. */
#define LINK_OPTIONS(to, def_0) { \
	{ .name = "delay" to, .kind = OPTION_TIME, LINK(delay), .arg = "TIME", .def = def_0, \
	  .max = 3600u * SUT_MS(1000), .help = "one-way delay" }, \
	{ .name = "jitter" to, .kind = OPTION_TIME, LINK(jitter), .arg = "TIME", .def = def_0, \
	  .max = 3600u * SUT_MS(1000), .help = "up to this much more delay, at random; order is kept" }, \
	{ .name = "loss" to, .kind = OPTION_PPM, LINK(loss), .arg = "SHARE", .def = def_0, \
	  .max = 1000000, .help = "lose this share of frames: 1%, 0.01%, 50ppm" }, \
	{ .name = "dup" to, .kind = OPTION_PPM, LINK(dup), .arg = "SHARE", .def = def_0, \
	  .max = 1000000, .help = "send this share of frames twice" }, \
	{ .name = "reorder" to, .kind = OPTION_PPM, LINK(reorder), .arg = "SHARE", .def = def_0, \
	  .max = 1000000, .help = "let others overtake this share of frames" }, \
	{ .name = "reorder-by" to, .kind = OPTION_TIME, LINK(reorder_by), .arg = "TIME", .def = def_0, \
	  .max = 3600u * SUT_MS(1000), .help = "how late those come; 0 for half the delay, or 1ms" }, \
	{ .name = "rate" to, .kind = OPTION_RATE, LINK(rate), .arg = "RATE", .def = def_0, \
	  .max = (uint64_t)1000000000000, .help = "bits per second: 100mbit; 0 for no limit" }, \
	{ .name = "queue" to, .kind = OPTION_SIZE, LINK(queue), .arg = "BYTES", .def = def_0, \
	  .max = UNSET32 - 1, .help = "what may wait for the rate: 256k; 0 for no limit" }, \
	{ .name = "drop-nth" to, .kind = OPTION_LIST, LINK(nth), OPTION_COUNT(struct link_flags, nth_count), \
	  .arg = "N[,N]...", .help = "drop these frames, counted from 1" }, \
	{ .name = NULL }, \
}

static const struct option_desc both_table[] = LINK_OPTIONS("", "0");
static const struct option_desc ab_table[] = LINK_OPTIONS("-ab", NULL);
static const struct option_desc ba_table[] = LINK_OPTIONS("-ba", NULL);

static const struct option_desc wire_table[] = {
	{ .name = "seed", .kind = OPTION_NUMBER, WIRE(seed), .arg = "N", .def = "1",
	  .max = UINT64_MAX / 4, .help = "the same seed gives the same frames the same fates" },
	{ .name = "memory", .kind = OPTION_SIZE, WIRE(memory), .arg = "BYTES", .def = "64M",
	  .help = "for frames on the way, per direction" },
	{ .name = "gso", .kind = OPTION_FLAG, WIRE(gso),
	  .help = "keep super-packets whole: fast; each has one fate, and counts as one for drop-nth" },
	{ .name = NULL },
};
/* clang-format on */

static const struct link_flags unset = {
	.delay = UNSET64,
	.jitter = UNSET64,
	.reorder_by = UNSET64,
	.rate = UNSET64,
	.loss = UNSET32,
	.dup = UNSET32,
	.reorder = UNSET32,
	.queue = UNSET32,
	.nth_count = UNSET32,
};

static uint64_t pick64(uint64_t own, uint64_t both)
{
	return own == UNSET64 ? both : own;
}

static uint32_t pick32(uint32_t own, uint32_t both)
{
	return own == UNSET32 ? both : own;
}

/* A direction's own flags, and where there are none, those for both. */
static struct link_config link_of(const struct link_flags *own, const struct link_flags *both)
{
	const struct link_flags *list = own->nth_count == UNSET32 ? both : own;
	struct link_config c = {
		.delay = pick64(own->delay, both->delay),
		.jitter = pick64(own->jitter, both->jitter),
		.reorder_by = pick64(own->reorder_by, both->reorder_by),
		.rate_bps = pick64(own->rate, both->rate),
		.loss_ppm = pick32(own->loss, both->loss),
		.dup_ppm = pick32(own->dup, both->dup),
		.reorder_ppm = pick32(own->reorder, both->reorder),
		.queue_bytes = pick32(own->queue, both->queue),
	};

	for (uint32_t i = 0; i < list->nth_count && i < LINK_NTH_MAX; i++)
		c.nth[i] = list->nth[i];
	return c;
}

/* All that can be set: flags, and the configuration that they make. */
struct wire_settings {
	struct link_flags link[3]; /* both directions, from A to B, from B to A */
	struct wire_flags flags;
	struct engine_options engine;
	struct wire_config role;
};

/* "eth0" means "if:eth0": memory of the caller's, or NULL. */
static char *port_spec(const char *arg)
{
	const char *prefix = strchr(arg, ':') ? "" : "if:";
	size_t size = strlen(prefix) + strlen(arg) + 1;
	char *spec = malloc(size);

	if (spec)
		snprintf(spec, size, "%s%s", prefix, arg);
	return spec;
}

/* One run: its ports are memory of its own. */
struct wire_run {
	struct engine_config engine;
	char *spec[2];
};

/* Two ports, well-formed and not the same: -1, or 2 after complaining. */
static int check_ports(const struct option_usage *usage, const char *const *spec)
{
	char why[300];

	for (unsigned i = 0; i < 2; i++)
		if (port_check(spec[i], why, sizeof why) != 0)
			return options_complain(usage, "%s", why);
	if (strcmp(spec[0], spec[1]) == 0)
		return options_complain(usage, "A and B are the same port: %s", spec[0]);
	return -1;
}

static int check(void *ctx, const struct settings *s, const struct option_args *args)
{
	struct wire_run *r = ctx;

	for (unsigned i = 0; i < 2; i++)
		r->engine.spec[i] = r->spec[i] = port_spec(args->arg[i]);
	return r->spec[0] && r->spec[1] ? check_ports(s->usage, r->engine.spec) : 1;
}

/*
 * Turns the segmentation offloads of a device port off; what cannot be turned off is cut in
 * software.
 */
static void segments_only(const char *spec, struct offload_saved *ret_s)
{
	int err;

	if (strncmp(spec, "if:", 3) != 0)
		return;
	err = offload_disable(spec + 3, ret_s);
	if (err)
		fprintf(stderr, "suture wire: %s: cannot turn all segmentation offloads off: %s\n",
			spec, strerror(-err));
}

/* The devices' offloads, once the ports are open. */
struct devices {
	const char *const *spec;
	bool keep;
	struct offload_saved saved[2];
};

static void prepare(void *ctx)
{
	struct devices *d = ctx;

	for (unsigned i = 0; i < 2 && !d->keep; i++)
		segments_only(d->spec[i], &d->saved[i]);
}

/*
 * Runs with the devices' offloads as they should be, and puts them back; a signal in between waits
 * for the engine.
 */
static int run(void *ctx, const struct settings *s)
{
	const struct wire_settings *w = s->block;
	struct engine_config *e = &((struct wire_run *)ctx)->engine;
	struct devices d = { .spec = e->spec, .keep = w->flags.gso };
	sigset_t set;
	int code;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	e->opened = prepare;
	e->opened_ctx = &d;
	code = engine_run_process(e, &w->engine);
	for (unsigned i = 2; i-- > 0;)
		offload_restore(&d.saved[i]);
	return code;
}

static void configure(const struct link_flags l[3], const struct wire_flags *flags,
		      struct wire_config *ret_c)
{
	wire_defaults(ret_c);
	for (unsigned i = 0; i < 2; i++) {
		ret_c->link[i] = link_of(&l[1 + i], &l[0]);
		ret_c->link[i].seed = flags->seed * 2 + i;
	}
	ret_c->ring_bytes = flags->memory;
	ret_c->keep_gso = flags->gso;
}

static void set_defaults(const void *ctx, void *block)
{
	struct wire_settings *s = block;

	(void)ctx;
	s->link[1] = s->link[2] = unset;
	options_defaults(both_table, &s->link[0]);
	options_defaults(wire_table, &s->flags);
	options_defaults(engine_option_table, &s->engine);
}

static const char *finish(const void *ctx, void *block)
{
	struct wire_settings *s = block;

	(void)ctx;
	configure(s->link, &s->flags, &s->role);
	return wire_config_error(&s->role);
}

int cmd_wire(int argc, char **argv)
{
	struct wire_settings set = { 0 };
	const struct option_group groups[] = {
		{ "Both directions", both_table, &set.link[0] },
		{ "From A to B only", ab_table, &set.link[1] },
		{ "From B to A only", ba_table, &set.link[2] },
		{ "The wire", wire_table, &set.flags },
		{ NULL, engine_option_table, &set.engine },
		{ NULL, NULL, NULL },
	};
	const struct option_usage usage = {
		.command = "wire",
		.synopsis = "A B [OPTION]...",
		.beside = "@device",
		.about = "Joins the devices A and B by a modelled link: every frame that comes in\n"
			 "at one leaves at the other, later or never.  A and B are interface\n"
			 "names, or ports (if:eth0).  Frames are counted, lost and delayed as the\n"
			 "segments that a cable would carry.\n",
		.groups = groups,
		.sections = command_sections,
		.min_args = 2,
		.max_args = 2,
	};
	const struct settings settings = {
		.usage = &usage,
		.argc = argc,
		.argv = argv,
		.block = &set,
		.size = sizeof set,
		.defaults = set_defaults,
		.finish = finish,
	};
	struct wire_run r = {
		.engine = { .ops = &wire_ops, .role_config = &set.role, .settings = &settings },
	};
	const struct settings_use use = { .check = check, .run = run, .ctx = &r };
	int code = settings_run(&settings, &use);

	free(r.spec[0]);
	free(r.spec[1]);
	return code;
}
