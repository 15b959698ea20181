/* SPDX-License-Identifier: MIT */
#include "app/engine.h"

#include <stddef.h>


/* clang-format off */
#define FIELD(f) OPTION_FIELD(struct engine_options, f)

const struct option_desc engine_option_table[] = {
	{ .name = "verbose", .letter = 'v', .kind = OPTION_FLAG, FIELD(verbose),
	  .help = "say more, and print counters at the end" },
	{ .name = "debug", .kind = OPTION_FLAG, FIELD(debug),
	  .help = "log every change of a flow's state" },
	{ .name = "quiet", .letter = 'q', .kind = OPTION_FLAG, FIELD(quiet), .help = "errors only" },
	{ .name = "log-time", .kind = OPTION_FLAG, FIELD(log_time), .help = "put the time before each line" },
	{ .name = "stats", .kind = OPTION_FLAG, FIELD(stats), .help = "print counters at the end" },
	{ .name = "stats-interval", .kind = OPTION_TIME, FIELD(stats_interval), .arg = "TIME", .def = "0",
	  .help = "print counters every so often; 0 for never" },
	{ .name = "json", .kind = OPTION_FLAG, FIELD(json), .help = "print counters as one JSON object" },
	{ .name = "trace-pcap", .kind = OPTION_STRING, FIELD(trace_pcap), .arg = "PATH",
	  .help = "record all frames: a file, or a directory for a file per port" },
	{ .name = NULL },
};
/* clang-format on */

int engine_run(const struct engine_config *cfg)
{
	(void)cfg;
	return 1;
}
