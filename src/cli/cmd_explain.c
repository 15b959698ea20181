/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include "app/explain.h"
#include "app/options.h"
#include "cli/command.h"

struct explain_flags {
	const char *flow[FLOW_FILTER_ENDS];
	uint32_t flow_count;
	uint32_t first, width;
	uint64_t memory;
	const char *svg, *offset;
	bool all, absolute, ascii, brief, faulty, json;
};

/* clang-format off */
#define FIELD(f) OPTION_FIELD(struct explain_flags, f)

static const struct option_desc table[] = {
	{ .name = "flow", .kind = OPTION_STRINGS, FIELD(flow), OPTION_COUNT(struct explain_flags, flow_count), .arg = "END",
	  .help = "only connections with this end: ADDRESS, PORT, ADDRESS:PORT" },
	{ .name = "first", .kind = OPTION_NUMBER, FIELD(first), .arg = "N", .min = 1,
	  .help = "at most so many rows of a connection, and faults" },
	{ .name = "all", .kind = OPTION_FLAG, FIELD(all), .help = "every packet: fold and leave out nothing" },
	{ .name = "absolute", .kind = OPTION_FLAG, FIELD(absolute), .help = "numbers as they are on the wire" },
	{ .name = "brief", .kind = OPTION_FLAG, FIELD(brief), .help = "no ladders, a summary of each connection" },
	{ .name = "faulty", .kind = OPTION_FLAG, FIELD(faulty), .help = "only connections with faults" },
	{ .name = "svg", .kind = OPTION_STRING, FIELD(svg), .arg = "FILE", .help = "draw the first connection as a picture, too" },
	{ .name = "json", .kind = OPTION_FLAG, FIELD(json), .help = "an object a line for each connection; with --all, for each packet" },
	{ .name = "offset", .kind = OPTION_STRING, FIELD(offset), .arg = "TIME", .def = "auto",
	  .help = "what to add to the second capture's times: 5ms, -1.5s" },
	{ .name = "ascii", .kind = OPTION_FLAG, FIELD(ascii), .help = "draw with plain characters" },
	{ .name = "width", .kind = OPTION_NUMBER, FIELD(width), .arg = "N", .min = 40, .max = 1000,
	  .help = "columns to draw in, about" },
	{ .name = "memory", .kind = OPTION_SIZE, FIELD(memory), .arg = "SIZE", .def = "256M", .min = 1024,
	  .help = "beyond this, connections are shown early" },
	{ .name = NULL },
};

static const char about[] =
	"Draws each connection of a capture as a ladder, and says in a few words what each packet is.\n"
	"With a second capture, of the other side of a box that changes numbers, the box is in the\n"
	"middle: what passed, what it held, made and swallowed, by how much it shifts numbers, and\n"
	"whether each packet agrees with that.  Give the client's side first.\n";
/* clang-format on */

#define ROWS 300u /* of a connection, unless --first says otherwise */
#define WIDTH 132u

static unsigned terminal_width(void)
{
	struct winsize w;

	if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col)
		return w.ws_col;
	return WIDTH;
}

/* "auto", or a time with a sign: false if it is neither. */
static bool read_offset(const char *text, struct explain_config *c)
{
	static const struct option_desc desc = { .name = "offset", .kind = OPTION_TIME, .size = 8 };
	bool back = *text == '-';
	uint64_t t;
	char why[200];

	c->compare_clocks = strcmp(text, "auto") == 0;
	if (c->compare_clocks)
		return true;
	if (option_set(&desc, &t, text + (back || *text == '+'), why, sizeof why) != 0)
		return false;
	c->offset = back ? -(int64_t)t : (int64_t)t;
	return true;
}

static int explain(const struct option_usage *u, const struct explain_flags *flags,
		   const struct option_args *args)
{
	struct explain_config c = {
		.file = { args->arg[0], args->n > 1 ? args->arg[1] : NULL },
		.files = args->n,
		.limits = { .captures = args->n == 2 ? PAIRING_TWO : PAIRING_ONE,
			    .all = flags->all,
			    .strict = flags->first != 0,
			    .rows = flags->first ? flags->first : ROWS },
		.style = { .absolute = flags->absolute,
			   .ascii = flags->ascii,
			   .brief = flags->brief,
			   .colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
			   .two = args->n == 2,
			   .width = flags->width ? flags->width : terminal_width() },
		.faulty = flags->faulty,
		.svg = flags->svg,
		.quiet = flags->svg && strcmp(flags->svg, "-") == 0,
		.json = flags->json,
		.progress = isatty(STDERR_FILENO),
		.memory = flags->memory,
	};

	for (unsigned i = 0; i < flags->flow_count; i++)
		if (flow_filter_add(&c.filter, flags->flow[i]) != 0)
			return options_complain(
				u,
				"--flow: '%s' is not an end, as in 192.0.2.1, 80, or 192.0.2.1:80",
				flags->flow[i]);
	if (args->n == 2 && strcmp(args->arg[0], "-") == 0 && strcmp(args->arg[1], "-") == 0)
		return options_complain(u, "both captures are standard input");
	if (!read_offset(flags->offset, &c))
		return options_complain(
			u, "--offset: '%s' is neither auto nor a time, as in 5ms or -1.5s",
			flags->offset);
	if (c.json && c.quiet)
		return options_complain(u, "--json and --svg=- write both to standard output");
	return explain_run(&c);
}

int cmd_explain(int argc, char **argv)
{
	struct explain_flags flags = { 0 };
	const struct option_group groups[] = { { NULL, table, &flags }, { 0 } };
	const struct option_usage usage = {
		.command = "explain",
		.synopsis = "[OPTION]... IN.pcap [OTHER-SIDE.pcap]",
		.beside = "@file",
		.about = about,
		.groups = groups,
		.min_args = 1,
		.max_args = 2,
	};
	struct option_args args;
	int code;

	options_defaults(table, &flags);
	code = options_run(&usage, argc, argv, &args);
	return code < 0 ? explain(&usage, &flags, &args) : code;
}
