/* SPDX-License-Identifier: MIT */
#include "app/metrics_text.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "core/flow_row.h"

void metrics_count_flows(const struct role_ops *ops, const void *role, sut_time now,
			 struct metrics_flows *ret_f)
{
	struct metrics_flows f = { .known = ops->list != NULL, .complete = true };
	uint32_t cursor = 0, rows = 0;
	struct flow_row row;

	while (f.known && ops->list(role, &cursor, now, &row)) {
		unsigned i = 0;

		while (i < f.states && strcmp(f.state[i].name, row.state) != 0)
			i++;
		if (rows++ == METRICS_ROWS_MAX || i == METRICS_STATES) {
			f.complete = false;
			break;
		}
		if (i == f.states)
			f.state[f.states++].name = row.state;
		f.state[i].n++;
	}
	*ret_f = f;
}

/* "# HELP" and "# TYPE" of one family; a help text has a backslash before a backslash. */
static void head(const char *name, const char *type, const char *help, FILE *f)
{
	fprintf(f, "# HELP %s ", name);
	for (; *help; help++) {
		if (*help == '\\')
			fputc('\\', f);
		fputc(*help, f);
	}
	fprintf(f, "\n# TYPE %s %s\n", name, type);
}

/* name="value", with what would end it escaped; bytes that are no printable ASCII become '?'. */
static void label(const char *name, const char *value, FILE *f)
{
	fprintf(f, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', f);
		fputc(*value >= 0x20 && *value < 0x7f ? *value : '?', f);
	}
	fputc('"', f);
}

static void one(const char *name, const char *type, const char *help, uint64_t v, FILE *f)
{
	head(name, type, help, f);
	fprintf(f, "%s %" PRIu64 "\n", name, v);
}

/* Who stands at the end of connections, with a TCP of its own, counts packets and bytes in and out; all else is of roles in between. */
static bool may_happen(const struct report *r, unsigned event)
{
	return !r->stack_rows || event <= EV_BYTES_OUT;
}

static bool may_drop(const struct report *r, unsigned reason)
{
	return !r->stack_rows || reason < R_MODE_BYPASS ||
	       (reason >= R_NOT_OURS && reason <= R_BAD_SOURCE);
}

static void events(const struct report *r, FILE *f)
{
	const struct counters *c = r->counters;
	char name[100];

	for (unsigned i = 0; i < SUT_EVENT_COUNT; i++) {
		if (!may_happen(r, i))
			continue;
		snprintf(name, sizeof name, "suture_%s_total", event_label((enum event)i));
		one(name, "counter", event_text((enum event)i), c->event[i], f);
	}
}

static void reasons(const struct report *r, const char *name, const char *help, const uint64_t *n,
		    FILE *f)
{
	head(name, "counter", help, f);
	for (unsigned i = R_NONE + 1; i < SUT_REASON_COUNT; i++)
		if (may_drop(r, i))
			fprintf(f, "%s{reason=\"%s\"} %" PRIu64 "\n", name,
				reason_label((enum reason)i), n[i]);
}

/* Each counter of a port is a family with a row for each port. */
static void ports(const struct report *r, FILE *f)
{
	static const struct {
		const char *name, *help;
		size_t offset;
	} rows[] = {
#define X(field, text) { "suture_port_" #field "_total", text, offsetof(struct port_stats, field) },
		PORT_STATS(X)
#undef X
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		head(rows[i].name, "counter", rows[i].help, f);
		for (unsigned p = 0; p < r->port_count; p++) {
			uint64_t v;

			memcpy(&v, (const char *)&r->ports[p].stats + rows[i].offset, sizeof v);
			fprintf(f, "%s{", rows[i].name);
			label("port", r->ports[p].name, f);
			fputc(',', f);
			label("device", r->ports[p].spec, f);
			fprintf(f, "} %" PRIu64 "\n", v);
		}
	}
}

/* Counters that only one port has. */
static void port_rows(const struct report_port *p, FILE *f)
{
	char name[100];

	for (unsigned i = 0; i < p->row_count; i++) {
		snprintf(name, sizeof name, "suture_%s_total", p->rows[i].name);
		one(name, "counter", p->rows[i].text, p->rows[i].value, f);
	}
}

static void stack(const struct report *r, FILE *f)
{
	char name[100];

	for (unsigned i = 0; i < r->stack_rows; i++) {
		snprintf(name, sizeof name, "suture_stack_%s_total", r->stack[i].name);
		one(name, "counter", r->stack[i].text, r->stack[i].value, f);
	}
}

static void flows(const struct metrics_flows *flows, FILE *f)
{
	if (!flows->known)
		return;
	head("suture_flows", "gauge",
	     "connections in the table by state, of the first 65536, at most a second ago", f);
	for (unsigned i = 0; i < flows->states; i++) {
		fputs("suture_flows{", f);
		label("state", flows->state[i].name, f);
		fprintf(f, "} %" PRIu32 "\n", flows->state[i].n);
	}
	one("suture_flows_complete", "gauge", "1 if suture_flows counts all connections",
	    flows->complete, f);
}

void metrics_text(const struct metrics *m, FILE *f)
{
	head("suture_info", "gauge", "the version, and the role that runs", f);
	fputs("suture_info{", f);
	label("version", SUT_VERSION, f);
	fputc(',', f);
	label("role", m->report.ops->name, f);
	fputs("} 1\n", f);
	events(&m->report, f);
	reasons(&m->report, "suture_dropped_total", "packets that were dropped, by reason",
		m->report.counters->dropped, f);
	if (!m->report.stack_rows)
		reasons(&m->report, "suture_passed_total",
			"packets that were passed on untouched, by reason",
			m->report.counters->passed, f);
	ports(&m->report, f);
	for (unsigned i = 0; i < m->report.port_count; i++)
		port_rows(&m->report.ports[i], f);
	stack(&m->report, f);
	flows(m->flows, f);
	one("suture_role_memory_bytes", "gauge", "address space of the role's tables",
	    m->role_bytes, f);
	one("process_resident_memory_bytes", "gauge", "memory of the process", m->resident_bytes,
	    f);
	one("process_virtual_memory_bytes", "gauge", "address space of the process",
	    m->virtual_bytes, f);
	head("process_cpu_seconds_total", "counter", "processor time of the process", f);
	fprintf(f, "process_cpu_seconds_total %.3f\n", m->cpu_seconds);
}
