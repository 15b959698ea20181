/* SPDX-License-Identifier: MIT */
#include "app/plane_bpf_port.h"

#include <errno.h>

#include "core/way_text.h"

#define NS_PER_MS 1000000u

struct mouth {
	plane_bpf_say say;
	void *ctx;
};

static void say_line(const struct mouth *m, const struct way_line *l)
{
	char text[WAY_LINE_MAX];

	m->say(m->ctx, text, way_line_write(l, text));
}

static void say_kind(const struct mouth *m, enum way_line_kind kind, const struct way_key *key)
{
	struct way_line l = { .kind = kind };

	if (key)
		l.key = *key;
	say_line(m, &l);
}

static int look(struct plane_bpf *pl, const struct way_key *key, const struct mouth *m)
{
	struct way_line l = { .kind = WAY_LINE_SEEN, .key = *key };
	uint64_t now, idle;

	if (plane_bpf_get(pl, key, &l.way) < 0) {
		say_kind(m, WAY_LINE_NONE, key);
		return 0;
	}
	now = plane_bpf_now();
	idle = now > l.way.last_ns ? (now - l.way.last_ns) / NS_PER_MS : 0;
	l.idle_ms = idle > UINT32_MAX ? UINT32_MAX : (uint32_t)idle;
	say_line(m, &l);
	return 0;
}

static int list(const struct plane_bpf *pl, const struct mouth *m)
{
	struct way_line l = { .kind = WAY_LINE_HAVE };
	struct way_key at;
	bool more = plane_bpf_list(pl, NULL, &l.key, &l.way);

	while (more) {
		say_line(m, &l);
		at = l.key;
		more = plane_bpf_list(pl, &at, &l.key, &l.way);
	}
	say_kind(m, WAY_LINE_END, NULL);
	return 0;
}

/* What could not be made or changed is not there. */
static int done(int r, const struct way_key *key, const struct mouth *m)
{
	if (r < 0)
		say_kind(m, WAY_LINE_NONE, key);
	return r;
}

int plane_bpf_line(struct plane_bpf *pl, const char *line, size_t len, plane_bpf_say say, void *ctx)
{
	const struct mouth m = { say, ctx };
	struct way_line l;
	int r = way_line_read(line, len, &l);

	if (r < 0)
		return r;
	switch (l.kind) {
	case WAY_LINE_SET:
		return done(plane_bpf_set(pl, &l.key, &l.way), &l.key, &m);
	case WAY_LINE_AMEND:
		return done(plane_bpf_amend(pl, &l.key, &l.way), &l.key, &m);
	case WAY_LINE_DEL:
		return plane_bpf_del(pl, &l.key);
	case WAY_LINE_LOOK:
		return look(pl, &l.key, &m);
	case WAY_LINE_LIST:
		return list(pl, &m);
	case WAY_LINE_DESTROY:
		return plane_bpf_destroy(pl, &l.key);
	case WAY_LINE_SEEN:
	case WAY_LINE_HAVE:
	case WAY_LINE_NONE:
	case WAY_LINE_END:
	case WAY_LINE_EVENT:
		break;
	}
	return -EINVAL;
}

static void say_event(void *ctx, const struct way_event *ev)
{
	struct way_line l = { .kind = WAY_LINE_EVENT, .key = ev->key, .event = *ev };

	say_line(ctx, &l);
}

int plane_bpf_reports(struct plane_bpf *pl, plane_bpf_say say, void *ctx)
{
	struct mouth m = { say, ctx };

	return plane_bpf_events(pl, say_event, &m);
}
