/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_PLANE_BPF_H
#define SUT_APP_PLANE_BPF_H
/*
 * plane_bpf - the data plane of hand-offs inside the kernel: loads the programs of src/bpf, and keeps their maps.
 *
 * Owns:     the programs, where they are attached, the maps, and their pins under a directory.
 * Does not: decide which ways there are.  What ways do, and what is reported: core/way.h.
 * Restart:  with pins, everything stays as it is when the process ends (PLANE_BPF_KEEP, or death): packets go on by the ways that there are,
 *           and reports wait in the ring.  The next plane_bpf_open() takes the maps up and puts its programs in the place of the old ones.
 */
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/plane.h"
#include "core/way.h"

struct plane_bpf;

enum plane_bpf_side { PLANE_BPF_FRONT, PLANE_BPF_BACK };
enum plane_bpf_end { PLANE_BPF_KEEP, PLANE_BPF_REMOVE };

#define PLANE_BPF_TEXT 160u /* bytes of a sentence */

struct plane_bpf_config {
	enum plane_bpf_side side;
	struct plane_config plane; /* secret is not used; max_ways 0: 65536 */
	const char *
		pins; /* a directory of a BPF file system, made if it is missing; NULL: nothing outlives the process */
	const char *cgroup; /* whose sockets are told about (BACK); NULL: all of the machine */
	bool no_adopt; /* as if the kernel could not */
};

/* What a process that has ended left at a device. */
struct plane_bpf_left {
	enum plane_bpf_side side;
	char pins[PATH_MAX]; /* where its maps are */
};

/*
 * 0, or -EEXIST where programs are at the device whose ways are pinned elsewhere than under pins (NULL: nowhere): attaching others would cut
 * the connections of these ways.  What this user may not see, and what is pinned nowhere that can be found, does not count.
 */
int plane_bpf_left(unsigned ifindex, const char *pins, struct plane_bpf_left *ret_left);

/* 0, or -errno with a sentence in ret_err (PLANE_BPF_TEXT).  Nothing is attached to a device yet. */
int plane_bpf_open(const struct plane_bpf_config *c, struct plane_bpf **ret_pl, char *ret_err);

/* Without pins nothing can be kept: PLANE_BPF_KEEP removes as well.  NULL does nothing. */
void plane_bpf_close(struct plane_bpf *pl, enum plane_bpf_end end);

/* 0, or -errno: attaches the side's programs to an Ethernet device; what an earlier process attached there is replaced. */
int plane_bpf_attach(struct plane_bpf *pl, unsigned ifindex);

/* 0, or -errno: the filter for the AF_PACKET socket of a front end; from now on it sees what user space must see, and nothing else. */
int plane_bpf_tap(const struct plane_bpf *pl, int fd);

/* Other keys and origins, while it runs: 0 or -errno. */
int plane_bpf_configure(struct plane_bpf *pl, const struct plane_config *c);

/* As plane_set(), plane_amend(), plane_del(), plane_get() (a copy: 0 or -ENOENT), plane_counter(). */
int plane_bpf_set(struct plane_bpf *pl, const struct way_key *key, const struct way *w);
int plane_bpf_amend(struct plane_bpf *pl, const struct way_key *key, const struct way *w);
int plane_bpf_del(struct plane_bpf *pl, const struct way_key *key);
int plane_bpf_get(const struct plane_bpf *pl, const struct way_key *key, struct way *ret_w);
uint64_t plane_bpf_counter(const struct plane_bpf *pl, enum way_counter c);

/*
 * Walks all ways: prev NULL for the first; false at the end.  A way that is removed meanwhile may make the walk begin again: for lists, not
 * for decisions.
 */
bool plane_bpf_list(const struct plane_bpf *pl, const struct way_key *prev, struct way_key *ret_key,
		    struct way *ret_w);

/* Readable while there are reports. */
int plane_bpf_fd(const struct plane_bpf *pl);
/* Gives the reports there are to report, in order, max of them (not 0) at most, the rest stays; their number, or -errno. */
int plane_bpf_events(struct plane_bpf *pl, plane_report report, void *ctx, unsigned max);

/* Can connections be adopted on this host?  ret_why (PLANE_BPF_TEXT): why not. */
bool plane_bpf_adopts(const struct plane_bpf *pl, char *ret_why);

/*
 * Ends the socket of this quad (key: of the client's direction, to the host's own end) that is in TIME-WAIT, or is not the connection of its
 * ways, which are muted, or wait for another one: 0; -ENOENT: there is none; -EBUSY: it lives, and is theirs; another -errno.
 */
int plane_bpf_destroy(const struct plane_bpf *pl, const struct way_key *key);

/* What last_ns of ways counts by. */
uint64_t plane_bpf_now(void);

/* For tests: the descriptor of a program by name ("front", "back_in", "back_adopt", "back_out", "tap"); -ENOENT if it is not loaded. */
int plane_bpf_program(const struct plane_bpf *pl, const char *name);
#endif
