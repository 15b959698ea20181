/* SPDX-License-Identifier: MIT */
#include "app/plane_bpf.h"

/*
 * Theory of operation.  Programs and maps come out of one object.  Maps that outlive the process are pinned under a directory, each by its
 * name; loading takes up what is pinned there if it is of the same form.  A program is attached to a device by one filter with a fixed
 * number, so attaching it again replaces what an earlier process left, between two packets.  The program for sockets hangs on a control
 * group by a link that is pinned too, and is exchanged inside the link.
 *
 * The program that adopts needs a function that older kernels lack.  It is loaded only where the kernel has it; if it is refused
 * nevertheless, all is loaded anew with the program that does not.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "app/plane_bpf_inside.h"
#include "bpf/handoff.skel.h"

#define MAX_WAYS 65536u

int plane_bpf_fail(int err, const char *what, char *ret_err)
{
	snprintf(ret_err, PLANE_BPF_TEXT, "%s: %s", what, strerror(-err));
	return err;
}

/* Which programs of the object this side needs. */
static void choose_programs(struct handoff *skel, enum plane_bpf_side side, bool adopts)
{
	bool front = side == PLANE_BPF_FRONT;

	bpf_program__set_autoload(skel->progs.front, front);
	bpf_program__set_autoload(skel->progs.tap, front);
	bpf_program__set_autoload(skel->progs.back_in, !front && !adopts);
	bpf_program__set_autoload(skel->progs.back_adopt, !front && adopts);
	bpf_program__set_autoload(skel->progs.back_out, !front);
	bpf_program__set_autoload(skel->progs.sock_ops, !front);
}

static int load(struct plane_bpf *pl, uint32_t max_ways)
{
	int r;

	pl->skel = handoff__open();
	if (!pl->skel)
		return -errno;
	choose_programs(pl->skel, pl->side, pl->adopts);
	r = plane_bpf_pins_set(pl, max_ways ? max_ways : MAX_WAYS);
	if (r == 0)
		r = handoff__load(pl->skel);
	if (r < 0) {
		handoff__destroy(pl->skel);
		pl->skel = NULL;
	}
	return r;
}

static int load_some(struct plane_bpf *pl, const struct plane_bpf_config *c, char *ret_err)
{
	int r;

	pl->adopts = false;
	snprintf(pl->why, sizeof pl->why, "switched off");
	if (c->side == PLANE_BPF_BACK && !c->no_adopt)
		pl->adopts = plane_bpf_kernel_adopts(pl->why);
	r = load(pl, c->plane.max_ways);
	if (r < 0 && pl->adopts) {
		int first = r;

		pl->adopts = false;
		r = load(pl, c->plane.max_ways);
		if (r == 0)
			plane_bpf_fail(first, "the kernel refuses the program that adopts",
				       pl->why);
	}
	if (r == -ESTALE)
		snprintf(ret_err, PLANE_BPF_TEXT,
			 "%.80s: another version has left maps there: remove them", pl->pins);
	else if (r < 0)
		plane_bpf_fail(r, pl->pins[0] ? pl->pins : "BPF programs", ret_err);
	if (r < 0)
		return r;
	pl->ways = bpf_map__fd(pl->skel->maps.ways);
	pl->config = bpf_map__fd(pl->skel->maps.config);
	pl->origins = bpf_map__fd(pl->skel->maps.origins);
	pl->origin_of = bpf_map__fd(pl->skel->maps.origin_of);
	pl->counts = bpf_map__fd(pl->skel->maps.counts);
	return 0;
}

static int on_event(void *ctx, void *data, size_t size)
{
	struct plane_bpf *pl = ctx;

	if (size == sizeof(struct way_event) && pl->report)
		pl->report(pl->report_ctx, data);
	return --pl->report_max == 0 ? -ENOBUFS : 0; /* this one is taken, the next stays */
}

static int open_rest(struct plane_bpf *pl, const struct plane_bpf_config *c, char *ret_err)
{
	int r = plane_bpf_configure(pl, &c->plane);

	if (r < 0)
		return plane_bpf_fail(r, "the maps of keys and origins", ret_err);
	pl->ring = ring_buffer__new(bpf_map__fd(pl->skel->maps.events), on_event, pl, NULL);
	if (!pl->ring)
		return plane_bpf_fail(-errno, "the ring of reports", ret_err);
	r = c->side == PLANE_BPF_BACK ? plane_bpf_sockets(pl, c->cgroup) : 0;
	return r < 0 ? plane_bpf_fail(r, "the program for sockets", ret_err) : 0;
}

static int say_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

void plane_bpf_choose_print(void)
{
	if (!getenv("SUTURE_BPF_DEBUG"))
		libbpf_set_print(say_nothing);
}

int plane_bpf_open(const struct plane_bpf_config *c, struct plane_bpf **ret_pl, char *ret_err)
{
	struct plane_bpf *pl;
	int r = 0;

	plane_bpf_choose_print();
	pl = calloc(1, sizeof *pl);
	if (!pl)
		return plane_bpf_fail(-ENOMEM, "the data plane", ret_err);
	pl->lock = -1;
	pl->side = c->side;
	if (c->pins) {
		r = plane_bpf_pins_prepare(c->pins, ret_err);
		if (r == 0)
			r = pl->lock = plane_bpf_pins_lock(c->pins, ret_err);
		if (r >= 0) {
			r = 0;
			snprintf(pl->pins, sizeof pl->pins, "%s", c->pins);
		}
	}
	if (r == 0)
		r = load_some(pl, c, ret_err);
	if (r == 0)
		r = open_rest(pl, c, ret_err);
	if (r < 0) {
		plane_bpf_close(pl, PLANE_BPF_KEEP);
		return r;
	}
	*ret_pl = pl;
	return 0;
}

void plane_bpf_close(struct plane_bpf *pl, enum plane_bpf_end end)
{
	if (!pl)
		return;
	if (end == PLANE_BPF_REMOVE || !pl->pins[0]) {
		plane_bpf_detach(pl);
		if (pl->pins[0] && pl->skel)
			plane_bpf_pins_remove(pl);
	} else if (pl->sockets) {
		bpf_link__disconnect(pl->sockets);
	}
	ring_buffer__free(pl->ring);
	bpf_link__destroy(pl->sockets);
	handoff__destroy(pl->skel);
	if (pl->lock >= 0)
		close(pl->lock);
	free(pl);
}

int plane_bpf_fd(const struct plane_bpf *pl)
{
	return ring_buffer__epoll_fd(pl->ring);
}

int plane_bpf_events(struct plane_bpf *pl, plane_report report, void *ctx, unsigned max)
{
	int r;

	pl->report = report;
	pl->report_ctx = ctx;
	pl->report_max = max;
	r = ring_buffer__consume(pl->ring);
	pl->report = NULL;
	return r == -ENOBUFS ? (int)max : r;
}

bool plane_bpf_adopts(const struct plane_bpf *pl, char *ret_why)
{
	if (!pl->adopts)
		snprintf(ret_why, PLANE_BPF_TEXT, "%s", pl->why);
	return pl->adopts;
}

int plane_bpf_program(const struct plane_bpf *pl, const char *name)
{
	const struct bpf_program *prog = bpf_object__find_program_by_name(pl->skel->obj, name);
	int fd = prog ? bpf_program__fd(prog) : -1;

	return fd < 0 ? -ENOENT : fd;
}
