/* SPDX-License-Identifier: MIT */
#include "app/findings.h"

#include <stdarg.h>

#include "app/report.h"

void findings_add(struct findings *l, enum doctor_severity s, const char *check, const char *fmt,
		  ...)
{
	struct doctor_finding *f = &l->f[l->n];
	va_list ap;

	if (l->n == l->max)
		return;
	*f = (struct doctor_finding){ .severity = s, .check = check };
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
	l->n++;
}

void findings_mend(struct findings *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->f[l->n - 1].mend, sizeof l->f[0].mend, fmt, ap);
	va_end(ap);
}

static const char *const severities[] = { "ok", "note", "wrong" };

static void print_text(const struct doctor_finding *f, FILE *to)
{
	fprintf(to, "%-6s%-11s%s\n", severities[f->severity], f->check, f->text);
	if (*f->mend)
		fprintf(to, "      %-11smend: %s\n", "", f->mend);
}

static void print_json(const struct doctor_finding *f, FILE *to)
{
	fprintf(to, "{\"severity\":\"%s\",\"check\":\"%s\",\"text\":", severities[f->severity],
		f->check);
	report_json_string(f->text, to);
	if (*f->mend) {
		fprintf(to, ",\"mend\":");
		report_json_string(f->mend, to);
	}
	fprintf(to, "}\n");
}

unsigned findings_print(const struct doctor_finding *f, unsigned n, bool json, bool quiet, FILE *to)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < n; i++) {
		wrong += f[i].severity == DOCTOR_WRONG;
		if (quiet && f[i].severity == DOCTOR_OK)
			continue;
		if (json)
			print_json(&f[i], to);
		else
			print_text(&f[i], to);
	}
	return wrong;
}
