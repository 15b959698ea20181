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
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "app/plane_bpf_inside.h"
#include "bpf/handoff.skel.h"

#define FILTER_HANDLE 1u
#define FILTER_PRIORITY 0x5355u
#define MAX_WAYS 65536u
#define LINK_PIN "sockets"

int plane_bpf_fail(int err, const char *what, char *ret_err)
{
	snprintf(ret_err, PLANE_BPF_TEXT, "%s: %s", what, strerror(-err));
	return err;
}

/* Makes the directory with what leads to it, and sees that it can hold pins. */
static int pins_prepare(const char *path, char *ret_err)
{
	char part[PATH_MAX / 2];
	struct statfs fs;

	if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
		return plane_bpf_fail(-ENAMETOOLONG, "the directory for pins", ret_err);
	for (char *at = part + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = 0;
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return plane_bpf_fail(-errno, part, ret_err);
		*at = '/';
	}
	if (mkdir(part, 0700) < 0 && errno != EEXIST)
		return plane_bpf_fail(-errno, part, ret_err);
	if (statfs(part, &fs) < 0)
		return plane_bpf_fail(-errno, part, ret_err);
	if ((unsigned long)fs.f_type != BPF_FS_MAGIC) {
		rmdir(part);
		snprintf(ret_err, PLANE_BPF_TEXT, "%s is not on a BPF file system", path);
		return -EINVAL;
	}
	return 0;
}

struct pinned {
	struct bpf_map *map;
	const char *name;
};

#define PINNED 6u

static void pinned_list(const struct handoff *skel, struct pinned ret_p[PINNED])
{
	const struct pinned list[PINNED] = {
		{ skel->maps.ways, "ways" },	   { skel->maps.config, "config" },
		{ skel->maps.origins, "origins" }, { skel->maps.origin_of, "origin_of" },
		{ skel->maps.counts, "counts" },   { skel->maps.events, "events" },
	};

	memcpy(ret_p, list, sizeof list);
}

static void pin_path(const struct plane_bpf *pl, const char *name, char ret_path[PATH_MAX])
{
	snprintf(ret_path, PATH_MAX, "%s/%s", pl->pins, name);
}

/* The map of ways that is pinned keeps its size: the ways in it are worth more than another limit. */
static void size_ways(const struct plane_bpf *pl, uint32_t want)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof info;
	char path[PATH_MAX];
	int fd;

	if (pl->pins[0]) {
		pin_path(pl, "ways", path);
		fd = bpf_obj_get(path);
		if (fd >= 0) {
			if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
				want = info.max_entries;
			close(fd);
		}
	}
	bpf_map__set_max_entries(pl->skel->maps.ways, want);
}

/* Is what is pinned at path (if anything) a map of this form?  Another version of this program may have left it. */
static bool same_form(const struct bpf_map *map, const char *path)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof info;
	int fd = bpf_obj_get(path);
	bool same = true;

	if (fd < 0)
		return true;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
		same = info.key_size == bpf_map__key_size(map) &&
		       info.value_size == bpf_map__value_size(map);
	close(fd);
	return same;
}

static int set_pins(const struct plane_bpf *pl)
{
	struct pinned p[PINNED];
	char path[PATH_MAX];
	int r;

	if (!pl->pins[0])
		return 0;
	pinned_list(pl->skel, p);
	for (unsigned i = 0; i < PINNED; i++) {
		pin_path(pl, p[i].name, path);
		if (!same_form(p[i].map, path))
			return -ESTALE;
		r = bpf_map__set_pin_path(p[i].map, path);
		if (r < 0)
			return r;
	}
	return 0;
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
	size_ways(pl, max_ways ? max_ways : MAX_WAYS);
	r = set_pins(pl);
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

/* A descriptor of the control group; the root of the hierarchy may be mounted nowhere that this process can see. */
static int cgroup_open(const char *path)
{
	int fs, fd = -1;

	if (path) {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	fs = fsopen("cgroup2", FSOPEN_CLOEXEC);
	if (fs < 0)
		return -errno;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (fd < 0)
		fd = -errno;
	close(fs);
	return fd;
}

/* The link that an earlier process left goes on with the program of this one. */
static int sockets_take_up(struct plane_bpf *pl, const char *path)
{
	struct bpf_link *link = bpf_link__open(path);
	int r;

	if (!link)
		return -errno;
	r = bpf_link__update_program(link, pl->skel->progs.sock_ops);
	if (r < 0) {
		bpf_link__unpin(link);
		bpf_link__destroy(link);
		return r;
	}
	pl->sockets = link;
	return 0;
}

static int sockets_attach(struct plane_bpf *pl, const char *cgroup)
{
	char path[PATH_MAX];
	int fd, r = 0;

	if (pl->pins[0]) {
		pin_path(pl, LINK_PIN, path);
		if (sockets_take_up(pl, path) == 0)
			return 0;
	}
	fd = cgroup_open(cgroup);
	if (fd < 0)
		return fd;
	pl->sockets = bpf_program__attach_cgroup(pl->skel->progs.sock_ops, fd);
	if (!pl->sockets)
		r = -errno;
	close(fd);
	if (r == 0 && pl->pins[0])
		r = bpf_link__pin(pl->sockets, path);
	return r;
}

static int on_event(void *ctx, void *data, size_t size)
{
	struct plane_bpf *pl = ctx;

	if (size == sizeof(struct way_event) && pl->report)
		pl->report(pl->report_ctx, data);
	return 0;
}

static int open_rest(struct plane_bpf *pl, const struct plane_bpf_config *c, char *ret_err)
{
	int r = plane_bpf_configure(pl, &c->plane);

	if (r < 0)
		return plane_bpf_fail(r, "the maps of keys and origins", ret_err);
	pl->ring = ring_buffer__new(bpf_map__fd(pl->skel->maps.events), on_event, pl, NULL);
	if (!pl->ring)
		return plane_bpf_fail(-errno, "the ring of reports", ret_err);
	r = c->side == PLANE_BPF_BACK ? sockets_attach(pl, c->cgroup) : 0;
	return r < 0 ? plane_bpf_fail(r, "the program for sockets", ret_err) : 0;
}

static int say_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/* What libbpf says is of use to who changes the programs: SUTURE_BPF_DEBUG=1. */
static void choose_print(void)
{
	if (!getenv("SUTURE_BPF_DEBUG"))
		libbpf_set_print(say_nothing);
}

int plane_bpf_open(const struct plane_bpf_config *c, struct plane_bpf **ret_pl, char *ret_err)
{
	struct plane_bpf *pl;
	int r = 0;

	choose_print();
	pl = calloc(1, sizeof *pl);
	if (!pl)
		return plane_bpf_fail(-ENOMEM, "the data plane", ret_err);
	pl->side = c->side;
	if (c->pins) {
		r = pins_prepare(c->pins, ret_err);
		if (r == 0)
			snprintf(pl->pins, sizeof pl->pins, "%s", c->pins);
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

static void unpin_all(const struct plane_bpf *pl)
{
	struct pinned p[PINNED];
	char path[PATH_MAX];

	pinned_list(pl->skel, p);
	for (unsigned i = 0; i < PINNED; i++) {
		pin_path(pl, p[i].name, path);
		unlink(path);
	}
	pin_path(pl, LINK_PIN, path);
	unlink(path);
	rmdir(pl->pins);
}

static enum bpf_tc_attach_point points_of(enum plane_bpf_side side)
{
	return side == PLANE_BPF_FRONT ? BPF_TC_INGRESS : BPF_TC_INGRESS | BPF_TC_EGRESS;
}

static void detach(unsigned ifindex, enum bpf_tc_attach_point point)
{
	struct bpf_tc_hook hook = { .sz = sizeof hook,
				    .ifindex = (int)ifindex,
				    .attach_point = point };
	struct bpf_tc_opts opts = { .sz = sizeof opts,
				    .handle = FILTER_HANDLE,
				    .priority = FILTER_PRIORITY };

	bpf_tc_detach(&hook, &opts);
}

void plane_bpf_close(struct plane_bpf *pl, enum plane_bpf_end end)
{
	if (!pl)
		return;
	if (end == PLANE_BPF_REMOVE || !pl->pins[0]) {
		for (unsigned i = 0; i < pl->devices; i++) {
			detach(pl->device[i], BPF_TC_INGRESS);
			if (points_of(pl->side) & BPF_TC_EGRESS)
				detach(pl->device[i], BPF_TC_EGRESS);
		}
		if (pl->pins[0] && pl->skel)
			unpin_all(pl);
	} else if (pl->sockets) {
		bpf_link__disconnect(pl->sockets);
	}
	ring_buffer__free(pl->ring);
	bpf_link__destroy(pl->sockets);
	handoff__destroy(pl->skel);
	free(pl);
}

/* The programs find IP behind an Ethernet header, and write link addresses. */
static int is_ethernet(unsigned ifindex)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;
	struct ifreq ifr = { 0 };

	if (fd < 0)
		return -errno;
	if (!if_indextoname(ifindex, ifr.ifr_name) || ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		r = -errno;
	else if (ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER &&
		 ifr.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK)
		r = -EPROTONOSUPPORT;
	close(fd);
	return r;
}

static int attach(unsigned ifindex, enum bpf_tc_attach_point point, const struct bpf_program *prog)
{
	struct bpf_tc_hook hook = { .sz = sizeof hook,
				    .ifindex = (int)ifindex,
				    .attach_point = point };
	struct bpf_tc_opts opts = { .sz = sizeof opts,
				    .handle = FILTER_HANDLE,
				    .priority = FILTER_PRIORITY,
				    .prog_fd = bpf_program__fd(prog),
				    .flags = BPF_TC_F_REPLACE };

	return bpf_tc_attach(&hook, &opts);
}

int plane_bpf_attach(struct plane_bpf *pl, unsigned ifindex)
{
	struct bpf_tc_hook hook = { .sz = sizeof hook,
				    .ifindex = (int)ifindex,
				    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS };
	const struct bpf_program *in = pl->skel->progs.front;
	int r = is_ethernet(ifindex);

	if (r < 0)
		return r;
	if (pl->devices == PLANE_BPF_DEVICES)
		return -ENOSPC;
	r = bpf_tc_hook_create(&hook);
	if (r < 0 && r != -EEXIST)
		return r;
	if (pl->side == PLANE_BPF_BACK)
		in = pl->adopts ? pl->skel->progs.back_adopt : pl->skel->progs.back_in;
	r = attach(ifindex, BPF_TC_INGRESS, in);
	if (r == 0 && pl->side == PLANE_BPF_BACK) {
		r = attach(ifindex, BPF_TC_EGRESS, pl->skel->progs.back_out);
		if (r < 0)
			detach(ifindex, BPF_TC_INGRESS);
	}
	if (r == 0)
		pl->device[pl->devices++] = ifindex;
	return r;
}

int plane_bpf_tap(const struct plane_bpf *pl, int fd)
{
	int prog = bpf_program__fd(pl->skel->progs.tap);

	if (prog < 0)
		return -EINVAL;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &prog, sizeof prog) < 0 ? -errno : 0;
}

int plane_bpf_fd(const struct plane_bpf *pl)
{
	return ring_buffer__epoll_fd(pl->ring);
}

int plane_bpf_events(struct plane_bpf *pl, plane_report report, void *ctx)
{
	int r;

	pl->report = report;
	pl->report_ctx = ctx;
	r = ring_buffer__consume(pl->ring);
	pl->report = NULL;
	return r;
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
