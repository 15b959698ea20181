/* SPDX-License-Identifier: MIT */
#include "app/top.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Samples. */

void top_begin(struct top_sample *s, sut_time now)
{
	*s = (struct top_sample){ .at = now, .flows = json_object() };
}

void top_free(struct top_sample *s)
{
	json_decref(s->stats);
	json_decref(s->flows);
	*s = (struct top_sample){ 0 };
}

static json_t *load(struct top_sample *s, const char *line)
{
	json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(j))
		s->damaged = true;
	return j;
}

void top_take_stats(struct top_sample *s, const char *line)
{
	json_decref(s->stats);
	s->stats = load(s, line);
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static json_int_t number_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* Who a connection is. */
static void name_flow(const json_t *flow, char *ret_s, size_t size)
{
	snprintf(ret_s, size,
		 "%s %" JSON_INTEGER_FORMAT " %s %" JSON_INTEGER_FORMAT " %" JSON_INTEGER_FORMAT
		 " %" JSON_INTEGER_FORMAT,
		 text_of(flow, "src"), number_of(flow, "sport"), text_of(flow, "dst"),
		 number_of(flow, "dport"), number_of(flow, "vlan"), number_of(flow, "inner_vlan"));
}

void top_take_flow(struct top_sample *s, const char *line)
{
	char name[300];
	json_t *flow;

	if (s->listed == TOP_FLOWS_MAX) {
		s->cut = true;
		return;
	}
	flow = load(s, line);
	name_flow(flow, name, sizeof name);
	s->listed++;
	if (json_object_set_new(s->flows, name, flow) != 0)
		s->damaged = true;
}

/* Differences. */

/* What is counted never goes down; if it did, it began anew. */
static json_int_t moved(const json_t *before, const json_t *now, const char *key)
{
	json_int_t a = number_of(before, key), b = number_of(now, key);

	return b >= a ? b - a : b;
}

/* Those numbers of two objects that moved, a second. */
static json_t *rates(const json_t *before, const json_t *now, double seconds)
{
	json_t *o = json_object(), *v;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)now, key,
			    v) if (json_is_integer(v) && moved(before, now, key) > 0)
		json_object_set_new(o, key, json_real((double)moved(before, now, key) / seconds));
	return o;
}

static json_t *ports(const json_t *before, const json_t *now, double seconds)
{
	json_t *all = json_object(), *v;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)now, key, v)
	{
		json_t *port = rates(json_object_get(before, key), v, seconds);

		json_object_set_new(port, "device", json_string(text_of(v, "port")));
		json_object_set_new(all, key, port);
	}
	return all;
}

struct mover {
	const json_t *flow;
	uint32_t near, far;
};

/* Bytes modulo 2^32; of a connection that is new, all. */
static uint32_t flow_moved(const json_t *before, const json_t *now, const char *key)
{
	return (uint32_t)number_of(now, key) - (uint32_t)number_of(before, key);
}

static int by_bytes(const void *a, const void *b)
{
	const struct mover *x = a, *y = b;
	uint64_t m = (uint64_t)x->near + x->far, n = (uint64_t)y->near + y->far;

	return m < n ? 1 : m > n ? -1 : 0;
}

/* A connection as it is shown: who, in what state, and how fast. */
static json_t *show(const struct mover *m, double seconds)
{
	static const char *const kept[] = {
		"src",	      "sport", "dst",	"dport",      "vlan",
		"inner_vlan", "mode",  "state", "held_bytes", "age_ms"
	};
	json_t *o = json_object();

	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
		json_t *v = json_object_get(m->flow, kept[i]);

		if (v)
			json_object_set(o, kept[i], v);
	}
	json_object_set_new(o, "near", json_real(m->near / seconds));
	json_object_set_new(o, "far", json_real(m->far / seconds));
	return o;
}

static json_t *movers(const struct top_sample *before, const struct top_sample *now, double seconds)
{
	struct mover *m = calloc(now->listed + 1, sizeof *m);
	json_t *list = json_array(), *v;
	const char *key;
	size_t n = 0;

	if (!m)
		return list;
	json_object_foreach(now->flows, key, v)
	{
		const json_t *was = json_object_get(before->flows, key);

		m[n] = (struct mover){ v, flow_moved(was, v, "bytes_near"),
				       flow_moved(was, v, "bytes_far") };
		n += m[n].near || m[n].far;
	}
	qsort(m, n, sizeof *m, by_bytes);
	for (size_t i = 0; i < n && i < TOP_SHOWN; i++)
		json_array_append_new(list, show(&m[i], seconds));
	free(m);
	return list;
}

json_t *top_difference(const struct top_sample *before, const struct top_sample *now)
{
	double seconds = (double)(now->at - before->at) / 1e9;
	json_t *o;

	if (before->damaged || now->damaged || !before->stats || !now->stats ||
	    now->at <= before->at)
		return NULL;
	o = json_object();
	json_object_set_new(o, "role", json_string(text_of(now->stats, "role")));
	json_object_set_new(o, "seconds", json_real(seconds));
	json_object_set_new(o, "ports",
			    ports(json_object_get(before->stats, "ports"),
				  json_object_get(now->stats, "ports"), seconds));
	for (unsigned i = 0; i < 4; i++) {
		static const char *const part[] = { "events", "dropped", "passed", "stack" };

		/* only who has a TCP of its own */
		if (i == 3 && !json_object_get(now->stats, part[i]))
			break;
		json_object_set_new(o, part[i],
				    rates(json_object_get(before->stats, part[i]),
					  json_object_get(now->stats, part[i]), seconds));
	}
	json_object_set_new(o, "connections", movers(before, now, seconds));
	json_object_set_new(o, "listed", json_integer(now->listed));
	json_object_set_new(o, "cut", json_boolean(now->cut));
	return o;
}

/* Text. */

/* Four digits at most, and the power of a thousand: "0.25", "999", "12.3k". */
static const char *human(double v, char ret_s[16])
{
	static const char power[] = " kMGTPE";
	unsigned p = 0;

	for (; v >= 999.5 && power[p + 1]; p++)
		v /= 1000;
	snprintf(ret_s, 16, "%.*f%c", v >= 99.95 || v == 0 ? 0 : v >= 9.995 ? 1 : 2, v, power[p]);
	if (p == 0)
		ret_s[strlen(ret_s) - 1] = 0;
	return ret_s;
}

/* What another process calls something: no controls for the terminal, and not too long. */
static const char *plain(const char *s, char ret_s[48])
{
	size_t n = 0;

	for (; *s && n < 47; s++)
		ret_s[n++] = *s >= 0x20 && *s < 0x7f ? *s : '?';
	ret_s[n] = 0;
	return ret_s;
}

static double rate_of(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static void print_ports(const json_t *o, FILE *f)
{
	static const char *const shown[] = { "rx", "rx_bytes", "tx", "tx_bytes" };
	char s[16], name[48];
	const char *key;
	json_t *v;

	fprintf(f, "%-16s %-28s %10s %10s %10s %10s\n", "PORT", "DEVICE", "IN", "IN BYTES", "OUT",
		"OUT BYTES");
	json_object_foreach((json_t *)(uintptr_t)o, key, v)
	{
		fprintf(f, "%-16s ", plain(key, name));
		fprintf(f, "%-28s", plain(text_of(v, "device"), name));
		for (unsigned i = 0; i < 4; i++)
			fprintf(f, " %10s", human(rate_of(v, shown[i]), s));
		fputc('\n', f);
	}
}

/* Names and rates, three a line, under a heading. */
static void print_rates(const char *heading, const json_t *o, FILE *f)
{
	char s[16], name[48];
	const char *key;
	unsigned n = 0;
	json_t *v;

	if (json_object_size(o) == 0)
		return;
	fprintf(f, "\n%s\n", heading);
	json_object_foreach((json_t *)(uintptr_t)o, key, v)
	{
		fprintf(f, "%s%-22s %10s", n % 3 ? "   " : "", plain(key, name),
			human(json_number_value(v), s));
		if (++n % 3 == 0)
			fputc('\n', f);
	}
	if (n % 3)
		fputc('\n', f);
}

static void print_connections(const json_t *d, FILE *f)
{
	const json_t *list = json_object_get(d, "connections");
	char end[80], s[16], name[48];
	json_t *v;
	size_t i;

	fprintf(f, "\n%-47s %-7s %-12s %9s %9s\n", "CONNECTION", "MODE", "STATE", "NEAR", "FAR");
	json_array_foreach((json_t *)(uintptr_t)list, i, v)
	{
		snprintf(end, sizeof end, "%s.%" JSON_INTEGER_FORMAT,
			 plain(text_of(v, "src"), name), number_of(v, "sport"));
		fprintf(f, "%-23s ", end);
		snprintf(end, sizeof end, "%s.%" JSON_INTEGER_FORMAT,
			 plain(text_of(v, "dst"), name), number_of(v, "dport"));
		fprintf(f, "%-23s ", end);
		fprintf(f, "%-7s ", plain(*text_of(v, "mode") ? text_of(v, "mode") : "-", name));
		fprintf(f, "%-12s", plain(text_of(v, "state"), name));
		fprintf(f, " %9s", human(rate_of(v, "near"), s));
		fprintf(f, " %9s\n", human(rate_of(v, "far"), s));
	}
	if (json_is_true(json_object_get(d, "cut")))
		fprintf(f, "(of the first %u connections: there are more)\n", TOP_FLOWS_MAX);
	else
		fprintf(f, "(of %" JSON_INTEGER_FORMAT " connection%s)\n", number_of(d, "listed"),
			number_of(d, "listed") == 1 ? "" : "s");
}

void top_print(const json_t *d, FILE *f)
{
	char name[48];

	fprintf(f, "suture %s, a second, over %.1f s\n\n", plain(text_of(d, "role"), name),
		rate_of(d, "seconds"));
	print_ports(json_object_get(d, "ports"), f);
	print_rates("EVENTS", json_object_get(d, "events"), f);
	print_rates("DROPPED", json_object_get(d, "dropped"), f);
	print_rates("PASSED ON UNTOUCHED", json_object_get(d, "passed"), f);
	print_rates("TCP", json_object_get(d, "stack"), f);
	print_connections(d, f);
}
