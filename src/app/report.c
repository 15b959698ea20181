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
	for (unsigned i = 0; i < p->row_count; i++)
		if (p->rows[i].value)
			fprintf(f, "  %-7s %-22s %12" PRIu64 "  %s\n", p->name, p->rows[i].name,
				p->rows[i].value, p->rows[i].text);
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
	for (unsigned i = 0; i < r->stack_rows; i++)
		if (r->stack[i].value)
			fprintf(f, "  stack   %-22s %12" PRIu64 "  %s\n", r->stack[i].name,
				r->stack[i].value, r->stack[i].text);
	for (unsigned i = 0; i < r->port_count; i++)
		text_port(&r->ports[i], f);
}

/* Bytes of the UTF-8 character at s (RFC 3629, 4); 0 if there is none. */
static size_t utf8_len(const unsigned char *s)
{
	/* by first byte: the last byte of the row, the length, and what the second byte may be */
	static const struct {
		unsigned char last, len, low, high;
	} rows[] = {
		{ 0x7f, 1, 0, 0 },	 { 0xc1, 0, 0, 0 },	  { 0xdf, 2, 0x80, 0xbf },
		{ 0xe0, 3, 0xa0, 0xbf }, { 0xec, 3, 0x80, 0xbf }, { 0xed, 3, 0x80, 0x9f },
		{ 0xef, 3, 0x80, 0xbf }, { 0xf0, 4, 0x90, 0xbf }, { 0xf3, 4, 0x80, 0xbf },
		{ 0xf4, 4, 0x80, 0x8f }, { 0xff, 0, 0, 0 },
	};
	unsigned row = 0;

	while (s[0] > rows[row].last)
		row++;
	if (rows[row].len > 1 && (s[1] < rows[row].low || s[1] > rows[row].high))
		return 0;
	for (size_t i = 2; i < rows[row].len; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return rows[row].len;
}

void report_json_string(const char *s, FILE *f)
{
	fputc('"', f);
	while (*s) {
		unsigned char c = (unsigned char)*s;
		size_t len = utf8_len((const unsigned char *)s);

		if (len == 0)
			fputs("\\ufffd", f);
		else if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < 0x20)
			fprintf(f, "\\u%04x", c);
		else
			fwrite(s, 1, len, f);
		s += len ? len : 1;
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

static void json_stack(const struct report *r, FILE *f)
{
	const char *sep = "";

	fputs(",\"stack\":{", f);
	for (unsigned i = 0; i < r->stack_rows; i++)
		if (r->stack[i].value)
			json_number(r->stack[i].name, r->stack[i].value, &sep, f);
	fputc('}', f);
}

static void json_port(const struct report_port *p, FILE *f)
{
	struct stat_row rows[PORT_ROWS];
	const char *sep = ",";

	port_rows(&p->stats, rows);
	report_json_string(p->name, f);
	fputs(":{\"port\":", f);
	report_json_string(p->spec, f);
	for (unsigned i = 0; i < PORT_ROWS; i++)
		if (rows[i].value)
			json_number(rows[i].name, rows[i].value, &sep, f);
	for (unsigned i = 0; i < p->row_count; i++)
		if (p->rows[i].value)
			json_number(p->rows[i].name, p->rows[i].value, &sep, f);
	fputc('}', f);
}

void report_json(const struct report *r, FILE *f)
{
	const char *sep = "";

	fputs("{\"role\":", f);
	report_json_string(r->ops->name, f);
	fputs(",\"events\":{", f);
	for (unsigned i = 0; i < SUT_EVENT_COUNT; i++)
		if (r->counters->event[i])
			json_number(event_label((enum event)i), r->counters->event[i], &sep, f);
	fputc('}', f);
	json_reasons("dropped", r->counters->dropped, f);
	json_reasons("passed", r->counters->passed, f);
	if (r->stack_rows)
		json_stack(r, f);
	fputs(",\"ports\":{", f);
	for (unsigned i = 0; i < r->port_count; i++) {
		fputs(i ? "," : "", f);
		json_port(&r->ports[i], f);
	}
	fputs("}}\n", f);
}
