/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_PLANE_BPF_INSIDE_H
#define SUT_APP_PLANE_BPF_INSIDE_H
/* plane_bpf_inside - what the files of plane_bpf share, and nobody else sees. */
#include <limits.h>

#include <bpf/libbpf.h>

#include "app/plane_bpf.h"

#define PLANE_BPF_DEVICES 16u

struct handoff; /* the skeleton */
struct bpf_link;
struct ring_buffer;

struct plane_bpf {
	struct handoff *skel;
	enum plane_bpf_side side;
	bool adopts;
	char why[PLANE_BPF_TEXT]; /* not adopts: why not */
	char pins[PATH_MAX / 2]; /* empty: none */
	int lock; /* the directory of pins, locked as long as the process lives; -1 */
	unsigned device[PLANE_BPF_DEVICES];
	unsigned devices;
	struct bpf_link *sockets;
	struct ring_buffer *ring;
	plane_report report; /* while plane_bpf_events() runs */
	void *report_ctx;
	unsigned report_max; /* how many more it takes */
	int ways, config, origins, origin_of, counts; /* descriptors of maps, the skeleton's */
};

/* 0 or -errno: the first of these is -errno's sentence in ret_err (PLANE_BPF_TEXT). */
int plane_bpf_fail(int err, const char *what, char *ret_err);

/* What libbpf says is of use to who changes the programs: SUTURE_BPF_DEBUG=1. */
void plane_bpf_choose_print(void);

/* plane_bpf_pins.c */

#define PLANE_BPF_SOCKETS "sockets" /* name of the link that is pinned */
#define PLANE_BPF_WAYS "ways" /* name of the map that says whose connections they are */

/* Makes the directory with what leads to it, and sees that it can hold pins: 0, or -errno with a sentence. */
int plane_bpf_pins_prepare(const char *path, char *ret_err);
/* Locks the directory: its descriptor, or -errno with a sentence (another process has it). */
int plane_bpf_pins_lock(const char *path, char *ret_err);
/* Says where the maps of the object, which is not loaded yet, are pinned, and their sizes: 0; -ESTALE: others are there; -errno. */
int plane_bpf_pins_set(const struct plane_bpf *pl, uint32_t max_ways);
/* Is what is there of path, or the nearest directory above it that is, in a BPF file system?  1, 0 or -errno. */
int plane_bpf_in_bpffs(const char *path);
void plane_bpf_pins_remove(const struct plane_bpf *pl);
void plane_bpf_pin_path(const struct plane_bpf *pl, const char *name, char ret_path[PATH_MAX]);

/* plane_bpf_attach.c */

/* 0 or -errno: the program for sockets, on a control group (NULL: all of the machine); or the link of an earlier process is taken up. */
int plane_bpf_sockets(struct plane_bpf *pl, const char *cgroup);
/* The program that our filter at this device runs, its identifier: 0, or -errno (nothing is there). */
int plane_bpf_attached(unsigned ifindex, enum bpf_tc_attach_point point, uint32_t *ret_id);
/* From all devices. */
void plane_bpf_detach(const struct plane_bpf *pl);

/* plane_bpf_host.c */

/* Does this kernel have the function that adopts, and is it switched on?  ret_why: why not. */
bool plane_bpf_kernel_adopts(char *ret_why);
#endif
