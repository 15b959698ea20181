/* SPDX-License-Identifier: MIT */
#include "app/plane_port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>

#include "app/lines.h"
#include "app/plane_bpf.h"
#include "base/compiler.h"
#include "core/way_text.h"
#include "port/port.h"

/* What this port counts beside what the plane does. */
/* clang-format off */
#define PLANE_COUNTERS(X) \
	X(plane_bad_line, "lines to the data plane that say nothing it knows") \
	X(plane_refused,  "ways that the kernel did not take") \
	X(plane_destroyed,"sockets that were ended: of an older connection of a quad that is used anew, or of one that was taken back")
/* clang-format on */

enum {
#define X(name, text) N_##name,
	PLANE_COUNTERS(X)
#undef X
		PLANE_COUNTER_COUNT
};

#define ROWS (PLANE_COUNTER_COUNT + WAY_N_COUNT)

struct plane_port {
	struct port port;
	struct plane_bpf *plane;
	struct lines *lines;
	int epoll;
	bool listing; /* ways are being told, from behind `at` on */
	bool begun;
	struct way_key at;
	struct port_stats stats;
	uint64_t count[PLANE_COUNTER_COUNT];
	struct port_row rows[ROWS];
};

static struct plane_port *of(struct port *p)
{
	return (struct plane_port *)p;
}

/* To the role. */

static void say(struct plane_port *pp, const struct way_line *l)
{
	char text[WAY_LINE_MAX];
	size_t n = way_line_write(l, text);

	if (lines_put(pp->lines, NULL, text, n))
		pp->stats.rx++;
	else
		pp->stats.rx_dropped++;
}

static void take_event(void *ctx, const struct way_event *ev)
{
	const struct way_line l = { .kind = WAY_LINE_EVENT, .key = ev->key, .event = *ev };

	say(ctx, &l);
}

/* As many of the ways that were asked for as find room. */
static void list(struct plane_port *pp)
{
	struct way_line l = { .kind = WAY_LINE_HAVE };

	while (pp->listing && lines_room(pp->lines) > LINES_MAX / 2) {
		if (plane_bpf_list(pp->plane, pp->begun ? &pp->at : NULL, &l.key, &l.way)) {
			pp->begun = true;
			pp->at = l.key;
		} else {
			l = (struct way_line){ .kind = WAY_LINE_END };
			pp->listing = false;
		}
		say(pp, &l);
	}
}

static int plane_recv(struct port *p, struct packet **ret_pkts, unsigned max)
{
	struct plane_port *pp = of(p);
	unsigned n, room = lines_room(pp->lines);

	if (max == 0)
		return 0;
	/* What finds no room stays in the ring; half is left for answers. */
	if (room > LINES_MAX / 2)
		(void)plane_bpf_events(pp->plane, take_event, pp, room - LINES_MAX / 2);
	list(pp);
	n = lines_take(pp->lines, ret_pkts, max);
	p->more = pp->listing || !lines_are_empty(pp->lines);
	return (int)n;
}

/* From the role. */

static void answer_look(struct plane_port *pp, const struct way_key *key)
{
	struct way_line l = { .kind = WAY_LINE_NONE, .key = *key };
	uint64_t now = plane_bpf_now();

	if (plane_bpf_get(pp->plane, key, &l.way) == 0) {
		l.kind = WAY_LINE_SEEN;
		l.idle_ms = now > l.way.last_ns ? (way_u32)((now - l.way.last_ns) / 1000000u) : 0;
	}
	say(pp, &l);
	pp->port.more = true;
}

static void destroy(struct plane_port *pp, const struct way_key *key)
{
	int err = plane_bpf_destroy(pp->plane, key);

	if (err == 0)
		pp->count[N_plane_destroyed]++;
	else if (err != -ENOENT)
		pp->count[N_plane_refused]++;
}

static void take_line(struct plane_port *pp, const struct packet *p)
{
	struct way_line l;

	if (way_line_read((const char *)p->head, p->head_len, &l) != 0) {
		pp->count[N_plane_bad_line]++;
		return;
	}
	switch (l.kind) {
	case WAY_LINE_SET:
		pp->count[N_plane_refused] += plane_bpf_set(pp->plane, &l.key, &l.way) != 0;
		break;
	case WAY_LINE_AMEND:
		pp->count[N_plane_refused] += plane_bpf_amend(pp->plane, &l.key, &l.way) != 0;
		break;
	case WAY_LINE_DEL:
		(void)plane_bpf_del(pp->plane, &l.key); /* what is not there is as good */
		break;
	case WAY_LINE_LOOK:
		answer_look(pp, &l.key);
		break;
	case WAY_LINE_LIST:
		pp->listing = pp->port.more = true;
		pp->begun = false;
		break;
	case WAY_LINE_DESTROY:
		destroy(pp, &l.key);
		break;
	case WAY_LINE_SEEN:
	case WAY_LINE_HAVE:
	case WAY_LINE_END:
	case WAY_LINE_NONE:
	case WAY_LINE_EVENT:
		pp->count[N_plane_bad_line]++;
		break;
	}
}

static int plane_send(struct port *p, struct packet *const *pkts, unsigned n)
{
	struct plane_port *pp = of(p);

	for (unsigned i = 0; i < n; i++)
		take_line(pp, pkts[i]);
	pp->stats.tx += n;
	return (int)n;
}

/* The port. */

static sut_time plane_when(const struct port *p)
{
	(void)p;
	return SUT_NEVER;
}

static int plane_fd(const struct port *p)
{
	return ((const struct plane_port *)p)->epoll;
}

static void plane_stats(struct port *p, struct port_stats *ret_s)
{
	*ret_s = of(p)->stats;
}

static unsigned plane_rows(struct port *p, const struct port_row **ret_rows)
{
	static const struct {
		const char *name, *text;
	} rows[ROWS] = {
#define X(name, text) { #name, text },
		PLANE_COUNTERS(X)
#undef X
#define X(name, label, text) { label, text },
			WAY_COUNTERS(X)
#undef X
	};
	struct plane_port *pp = of(p);

	for (unsigned i = 0; i < ROWS; i++)
		pp->rows[i] = (struct port_row){
			rows[i].name, rows[i].text,
			i < PLANE_COUNTER_COUNT
				? pp->count[i]
				: plane_bpf_counter(pp->plane,
						    (enum way_counter)(i - PLANE_COUNTER_COUNT))
		};
	*ret_rows = pp->rows;
	return ROWS;
}

static void plane_close(struct port *p)
{
	struct plane_port *pp = of(p);

	if (pp->epoll >= 0)
		close(pp->epoll);
	if (pp->lines)
		lines_close(pp->lines);
	free(pp);
}

static const struct port_ops ops = {
	.recv = plane_recv,
	.when = plane_when,
	.send = plane_send,
	.fd = plane_fd,
	.stats = plane_stats,
	.rows = plane_rows,
	.close = plane_close,
};

int plane_port_open(struct plane_bpf *pl, struct port **ret_p, char *ret_err, size_t err_size)
{
	struct plane_port *pp = calloc(1, sizeof *pp);
	struct epoll_event e = { .events = EPOLLIN };
	int err = -ENOMEM;

	if (!pp)
		return err;
	pp->port.ops = &ops;
	snprintf(pp->port.name, sizeof pp->port.name, "bpf");
	pp->plane = pl;
	pp->lines = lines_open();
	pp->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (pp->lines &&
	    (pp->epoll < 0 || epoll_ctl(pp->epoll, EPOLL_CTL_ADD, plane_bpf_fd(pl), &e) != 0))
		err = -errno;
	else if (pp->lines)
		err = 0;
	if (err) {
		snprintf(ret_err, err_size, "bpf: %s", strerror(-err));
		plane_close(&pp->port);
		return err;
	}
	*ret_p = &pp->port;
	return 0;
}
