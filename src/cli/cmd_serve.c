/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "app/control.h"
#include "app/metrics.h"
#include "app/options.h"
#include "app/serve.h"
#include "app/serve_head.h"
#include "app/settings.h"
#include "cli/command.h"

/* clang-format off */
#define SERVE(f) OPTION_FIELD(struct serve_flags, f)
#define RUN(f) OPTION_FIELD(struct engine_options, f)

static const char *const cc_names[] = { "cubic", "newreno", NULL };

static const struct option_desc device_table[] = {
	{ .name = "tun", .kind = OPTION_STRING, SERVE(tun), .arg = "NAME",
	  .help = "the TUN device; made if it is not there" },
	{ .name = "addr", .kind = OPTION_STRINGS, SERVE(addr), OPTION_COUNT(struct serve_flags, addrs),
	  .arg = "ADDR/BITS", .help = "an address of ours and its network: 192.0.2.2/24" },
	{ .name = "host-addr", .kind = OPTION_STRINGS, SERVE(host_addr), OPTION_COUNT(struct serve_flags, host_addrs),
	  .arg = "ADDR", .help = "the kernel's own address in one of these networks; its first other one if not given" },
	{ .name = "mtu", .kind = OPTION_NUMBER, SERVE(mtu), .arg = "BYTES", .min = 576, .max = 65535, .fixed = 1,
	  .help = "the device's MTU; as it is if not given" },
	{ .name = "no-offload", .kind = OPTION_FLAG, SERVE(no_offload), .fixed = 1,
	  .help = "no super-packets, and no checksums left to the kernel" },
	{ .name = NULL },
};

static const struct option_desc service_table[] = {
	{ .name = "port", .kind = OPTION_STRINGS, SERVE(port), OPTION_COUNT(struct serve_flags, ports),
	  .arg = "PORT SERVICE [ARG]", .help = "serve there: http DIR, echo, discard, chargen, proxy HOST:PORT" },
	{ .name = "access-log", .kind = OPTION_STRING, SERVE(access_log), .arg = "FILE",
	  .help = "append a line for each request or connection" },
	{ .name = "idle-time", .kind = OPTION_TIME, SERVE(idle_time), .arg = "TIME", .def = "60s", .min = 1000000,
	  .max = 86400u * SUT_MS(1000), .help = "end an HTTP connection on which nothing moves for so long" },
	{ .name = "stream-idle-time", .kind = OPTION_TIME, SERVE(stream_idle_time), .arg = "TIME", .def = "1h",
	  .min = SUT_MS(100), .max = (uint64_t)2400 * 3600 * SUT_MS(1000), .or_zero = 1,
	  .help = "the same for the other services; 0 for never" },
	{ .name = "drain-time", .kind = OPTION_TIME, SERVE(drain_time), .arg = "TIME", .def = "5s",
	  .max = 86400u * SUT_MS(1000), .help = "at the end, let connections finish for so long" },
	{ .name = "max-conns", .kind = OPTION_SIZE, SERVE(max_conns), .arg = "N", .def = "64k", .min = 1, .fixed = 1,
	  .max = 4u << 20, .help = "connections at a time" },
	{ .name = "memory", .kind = OPTION_SIZE, SERVE(memory), .arg = "BYTES", .def = "256M", .fixed = 1, .min = 1u << 20,
	  .max = (uint64_t)1 << 40, .help = "for what all connections buffer" },
	{ .name = "buffer", .kind = OPTION_SIZE, SERVE(buffer), .arg = "BYTES", .def = "0", .min = 2 * HTTP_HEAD_MAX,
	  .max = 64u << 20, .or_zero = 1, .fixed = 1,
	  .help = "what one connection may buffer each way; 0: 1M, or 256k without offloads" },
	{ .name = "cc", .kind = OPTION_ENUM, SERVE(cc), .arg = "NAME", .def = "cubic", .fixed = 1, .names = cc_names,
	  .help = "congestion control: cubic or newreno" },
	{ .name = NULL },
};

static const struct option_desc run_table[] = {
	{ .name = "verbose", .letter = 'v', .kind = OPTION_FLAG, RUN(verbose),
	  .help = "say more, and print counters at the end" },
	{ .name = "debug", .kind = OPTION_FLAG, RUN(debug), .fixed = 1, .help = "log every change of a connection's state" },
	{ .name = "quiet", .letter = 'q', .kind = OPTION_FLAG, RUN(quiet), .help = "errors only" },
	{ .name = "log-time", .kind = OPTION_FLAG, RUN(log_time), .help = "put the time before each line" },
	{ .name = "stats", .kind = OPTION_FLAG, RUN(stats), .help = "print counters at the end" },
	{ .name = "stats-interval", .kind = OPTION_TIME, RUN(stats_interval), .arg = "TIME", .def = "0",
	  .help = "print counters every so often; 0 for never" },
	{ .name = "json", .kind = OPTION_FLAG, RUN(json),
	  .help = "print counters on standard output, a JSON object a line" },
	{ .name = "trace-pcap", .kind = OPTION_STRING, RUN(trace_pcap), .arg = "FILE",
	  .help = "record all packets" },
	{ .name = "metrics", .kind = OPTION_STRING, RUN(metrics), .arg = "[ADDR:]PORT", .check = metrics_check,
	  .help = "answer HTTP GET /metrics there, of 127.0.0.1 without ADDR" },
	{ .name = "control", .kind = OPTION_STRING, RUN(control), .arg = "PATH", .check = control_check,
	  .help = "take commands at this unix socket" },
	{ .name = "no-sandbox", .kind = OPTION_FLAG, RUN(no_sandbox), .fixed = 1,
	  .help = "keep all privileges and system calls, for debugging" },
	{ .name = "config", .kind = OPTION_CONFIG, RUN(config), .arg = "FILE",
	  .help = "read settings from this file, before the other flags" },
	{ .name = NULL },
};
/* clang-format on */

_Static_assert(STACK_CUBIC == 0 && STACK_NEWRENO == 1, "cc_names is in this order");

static void set_defaults(const void *ctx, void *block)
{
	struct serve_config *c = block;

	(void)ctx;
	options_defaults(service_table, &c->flags);
	options_defaults(run_table, &c->opt);
}

static int check(void *ctx, const struct settings *s, const struct option_args *args)
{
	struct serve_config *c = ctx;
	char why[500];

	c->settings = s;
	c->file = args->file;
	c->words = (struct serve_words){ args->arg, args->n };
	return serve_configure(c, why, sizeof why) ? options_complain(s->usage, "%s", why) : -1;
}

static int run(void *ctx, const struct settings *s)
{
	(void)s;
	return serve_run(ctx);
}

int cmd_serve(int argc, char **argv)
{
	struct serve_config c = { 0 };
	const struct option_group groups[] = {
		{ "The device", device_table, &c.flags },
		{ "Services", service_table, &c.flags },
		{ NULL, run_table, &c.opt },
		{ NULL, NULL, NULL },
	};
	const struct option_usage usage = {
		.command = "serve",
		.synopsis = "--tun NAME --addr ADDR/BITS --port PORT SERVICE [ARG] [OPTION]...",
		.beside = "http echo discard chargen proxy @file",
		.about = "Serves TCP connections by suture's own TCP, at addresses of a TUN "
			 "device.\n"
			 "The service of each --port stands behind it (--port 80 http /srv/www), "
			 "or in one\n"
			 "word with it (--port \"80 http /srv/www\").\n",
		.groups = groups,
		.sections = command_sections,
		.max_args = OPTIONS_ARGS_MAX,
	};
	const struct settings settings = {
		.usage = &usage,
		.argc = argc,
		.argv = argv,
		.block = &c,
		.size = sizeof c,
		.defaults = set_defaults,
	};
	const struct settings_use use = { .check = check, .run = run, .ctx = &c };

	return settings_run(&settings, &use);
}
