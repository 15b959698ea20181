/* SPDX-License-Identifier: MIT */
#include "app/plane_bpf_inside.h"

/*
 * What a process that has ended left at a device, with its connections in maps that are pinned elsewhere.
 *
 * Theory of operation.  The kernel tells which program our filter at the device runs, and which maps that has.  If the map of ways is the one
 * of our own pins, it is ours to replace.  Else it is looked for in BPF file systems: pinned, it can be taken up by whoever is given that
 * directory, and its connections go on until then.  Pinned nowhere, nobody will ever take it up, and it is replaced.
 */
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/compiler.h"

#define MAPS_MAX 16u
#define FS "/sys/fs/bpf"

struct left {
	uint32_t map[MAPS_MAX]; /* identifiers */
	uint32_t maps;
	bool front;
};

/* What runs there by our filter: 0, or -errno; -ENOENT: nothing. */
static int left_at(unsigned ifindex, enum bpf_tc_attach_point point, struct left *ret_l)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof info, id;
	int fd, r = plane_bpf_attached(ifindex, point, &id);

	if (r < 0)
		return r;
	fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0)
		return -errno;
	info.nr_map_ids = MAPS_MAX;
	info.map_ids = (uintptr_t)ret_l->map;
	r = bpf_obj_get_info_by_fd(fd, &info, &len) < 0 ? -errno : 0;
	close(fd);
	ret_l->maps = info.nr_map_ids < MAPS_MAX ? info.nr_map_ids : MAPS_MAX;
	ret_l->front = strcmp(info.name, "front") == 0;
	return r;
}

/* Is what is pinned at path one of the maps? */
static bool pinned_at(const struct left *l, const char *path)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof info;
	int fd = bpf_obj_get(path);
	bool found = false;

	if (fd < 0)
		return false;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
		for (uint32_t i = 0; i < l->maps; i++)
			found |= l->map[i] == info.id;
	close(fd);
	return found;
}

/* Finds the directory under top where they are pinned. */
static bool find_under(const struct left *l, const char *top, char ret_dir[PATH_MAX])
{
	char copy[PATH_MAX], *const tops[] = { copy, NULL };
	bool found = false;
	FTSENT *e;
	FTS *fts;

	snprintf(copy, sizeof copy, "%s", top);
	fts = fts_open(tops, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	while (fts && !found && (e = fts_read(fts)) != NULL) {
		if (strcmp(e->fts_name, PLANE_BPF_WAYS) != 0 || !pinned_at(l, e->fts_path))
			continue;
		found = true;
		snprintf(ret_dir, PATH_MAX, "%.*s",
			 (int)(e->fts_pathlen - strlen("/" PLANE_BPF_WAYS)), e->fts_path);
	}
	if (fts)
		fts_close(fts);
	return found;
}

/* Where BPF file systems are mounted, and beside our own pins. */
static bool find(const struct left *l, const char *pins, char ret_dir[PATH_MAX])
{
	char beside[PATH_MAX];
	char *slash;

	if (plane_bpf_in_bpffs(FS) == 1 && find_under(l, FS, ret_dir))
		return true;
	snprintf(beside, sizeof beside, "%s", pins ? pins : "");
	slash = strrchr(beside, '/');
	if (!slash || slash == beside)
		return false;
	*slash = 0;
	return plane_bpf_in_bpffs(beside) == 1 && find_under(l, beside, ret_dir);
}

static bool is_own(const struct left *l, const char *pins)
{
	char path[PATH_MAX];

	if (!pins)
		return false;
	snprintf(path, sizeof path, "%s/" PLANE_BPF_WAYS, pins);
	return pinned_at(l, path);
}

int plane_bpf_left(unsigned ifindex, const char *pins, struct plane_bpf_left *ret_left)
{
	static const enum bpf_tc_attach_point point[] = { BPF_TC_INGRESS, BPF_TC_EGRESS };

	plane_bpf_choose_print();
	for (unsigned i = 0; i < ARRAY_LEN(point); i++) {
		struct left l = { 0 };

		if (left_at(ifindex, point[i], &l) < 0 || is_own(&l, pins) ||
		    !find(&l, pins, ret_left->pins))
			continue;
		ret_left->side = l.front ? PLANE_BPF_FRONT : PLANE_BPF_BACK;
		return -EEXIST;
	}
	return 0;
}
