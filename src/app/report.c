/* SPDX-License-Identifier: MIT */
#include "app/report.h"

#include <inttypes.h>

#include "base/compiler.h"

struct stat_row {
	const char *name, *text;
	uint64_t value;
};

/* The counters of a port as rows. */
#define PORT_ROWS 0 PORT_STATS(COUNT_ONE)
#define COUNT_ONE(name, text) +1

static void port_rows(const struct port_stats *s, struct stat_row ret_rows[PORT_ROWS])
{
	const struct stat_row rows[] = {
#define X(name, text) { #name, text, s->name },
		PORT_STATS(X)
#undef X
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		ret_rows[i] = rows[i];
}

static void text_reasons(const char *what, const uint64_t *n, FILE *f)
{
	for (unsigned i = 0; i < SUT_REASON_COUNT; i++)
		if (n[i])
			fprintf(f, "  %-8s%-22s %12" PRIu64 "  %s\n", what,
				reason_label((enum reason)i), n[i], reason_text((enum reason)i));
}

static void text_port(const struct report_port *p, FILE *f)
{
	struct stat_row rows[PORT_ROWS];

	port_rows(&p->stats, rows);
	fprintf(f, "  port %s (%s):", p->name, p->spec);
	for (unsigned i = 0; i < PORT_ROWS; i++)
		if (rows[i].value)
			fprintf(f, " %s %" PRIu64, rows[i].name, rows[i].value);
	fputc('\n', f);
}

void report_text(const struct report *r, FILE *f)
{
	fprintf(f, "suture: counters of %s\n", r->ops->name);
	for (unsigned i = 0; i < SUT_EVENT_COUNT; i++)
		if (r->counters->event[i])
			fprintf(f, "  %-30s %12" PRIu64 "  %s\n", event_label((enum event)i),
				r->counters->event[i], event_text((enum event)i));
	text_reasons("dropped", r->counters->dropped, f);
	text_reasons("passed", r->counters->passed, f);
	for (unsigned i = 0; i < r->port_count; i++)
		text_port(&r->ports[i], f);
}

void json_string(const char *s, FILE *f)
{
	fputc('"', f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < 0x20)
			fprintf(f, "\\u%04x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

/* "name":value, with a comma in front of all but the first of its object. */
static void json_number(const char *name, uint64_t v, const char **sep, FILE *f)
{
	fprintf(f, "%s\"%s\":%" PRIu64, *sep, name, v);
	*sep = ",";
}

static void json_reasons(const char *what, const uint64_t *n, FILE *f)
{
	const char *sep = "";

	fprintf(f, ",\"%s\":{", what);
	for (unsigned i = 0; i < SUT_REASON_COUNT; i++)
		if (n[i])
			json_number(reason_label((enum reason)i), n[i], &sep, f);
	fputc('}', f);
}

static void json_port(const struct report_port *p, FILE *f)
{
	struct stat_row rows[PORT_ROWS];
	const char *sep = ",";

	port_rows(&p->stats, rows);
	json_string(p->name, f);
	fputs(":{\"port\":", f);
	json_string(p->spec, f);
	for (unsigned i = 0; i < PORT_ROWS; i++)
		if (rows[i].value)
			json_number(rows[i].name, rows[i].value, &sep, f);
	fputc('}', f);
}

void report_json(const struct report *r, FILE *f)
{
	const char *sep = "";

	fputs("{\"role\":", f);
	json_string(r->ops->name, f);
	fputs(",\"events\":{", f);
	for (unsigned i = 0; i < SUT_EVENT_COUNT; i++)
		if (r->counters->event[i])
			json_number(event_label((enum event)i), r->counters->event[i], &sep, f);
	fputc('}', f);
	json_reasons("dropped", r->counters->dropped, f);
	json_reasons("passed", r->counters->passed, f);
	fputs(",\"ports\":{", f);
	for (unsigned i = 0; i < r->port_count; i++) {
		fputs(i ? "," : "", f);
		json_port(&r->ports[i], f);
	}
	fputs("}}\n", f);
}
