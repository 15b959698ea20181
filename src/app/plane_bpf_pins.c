/* SPDX-License-Identifier: MIT */
#include "app/plane_bpf_inside.h"

/* Pins: maps that outlive the process, each by its name under one directory.  See plane_bpf.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "bpf/handoff.skel.h"

int plane_bpf_in_bpffs(const char *path)
{
	char part[PATH_MAX / 2];
	struct statfs fs;

	snprintf(part, sizeof part, "%s", path);
	while (statfs(part, &fs) < 0) {
		char *slash = strrchr(part, '/');

		if (errno != ENOENT || !slash || slash == part)
			return errno == ENOENT ? 0 : -errno;
		*slash = 0;
	}
	return (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

/* Makes the directory with what leads to it, where that can hold pins: nothing is left anywhere else. */
int plane_bpf_pins_prepare(const char *path, char *ret_err)
{
	char part[PATH_MAX / 2];
	int there;

	if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
		return plane_bpf_fail(-ENAMETOOLONG, "the directory for pins", ret_err);
	there = plane_bpf_in_bpffs(path);
	if (there < 0)
		return plane_bpf_fail(there, path, ret_err);
	if (!there) {
		snprintf(ret_err, PLANE_BPF_TEXT, "%s is not on a BPF file system", path);
		return -EINVAL;
	}
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
	return 0;
}

/* The kernel gives a lock back with the last descriptor: nothing is left of it after a SIGKILL. */
int plane_bpf_pins_lock(const char *path, char *ret_err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	err = errno;
	if (fd >= 0)
		close(fd);
	if (fd < 0 || err != EWOULDBLOCK)
		return plane_bpf_fail(-err, path, ret_err);
	snprintf(ret_err, PLANE_BPF_TEXT,
		 "%.80s: another process that runs has its maps there: give each its own --pins",
		 path);
	return -EBUSY;
}

struct pinned {
	struct bpf_map *map;
	const char *name;
};

#define PINNED 6u

static void pinned_list(const struct handoff *skel, struct pinned ret_p[PINNED])
{
	const struct pinned list[PINNED] = {
		{ skel->maps.ways, PLANE_BPF_WAYS }, { skel->maps.config, "config" },
		{ skel->maps.origins, "origins" },   { skel->maps.origin_of, "origin_of" },
		{ skel->maps.counts, "counts" },     { skel->maps.events, "events" },
	};

	memcpy(ret_p, list, sizeof list);
}

void plane_bpf_pin_path(const struct plane_bpf *pl, const char *name, char ret_path[PATH_MAX])
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
		plane_bpf_pin_path(pl, PLANE_BPF_WAYS, path);
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

int plane_bpf_pins_set(const struct plane_bpf *pl, uint32_t max_ways)
{
	struct pinned p[PINNED];
	char path[PATH_MAX];
	int r;

	size_ways(pl, max_ways);
	if (!pl->pins[0])
		return 0;
	pinned_list(pl->skel, p);
	for (unsigned i = 0; i < PINNED; i++) {
		plane_bpf_pin_path(pl, p[i].name, path);
		if (!same_form(p[i].map, path))
			return -ESTALE;
		r = bpf_map__set_pin_path(p[i].map, path);
		if (r < 0)
			return r;
	}
	return 0;
}

void plane_bpf_pins_remove(const struct plane_bpf *pl)
{
	struct pinned p[PINNED];
	char path[PATH_MAX];

	pinned_list(pl->skel, p);
	for (unsigned i = 0; i < PINNED; i++) {
		plane_bpf_pin_path(pl, p[i].name, path);
		unlink(path);
	}
	plane_bpf_pin_path(pl, PLANE_BPF_SOCKETS, path);
	unlink(path);
	rmdir(pl->pins);
}
