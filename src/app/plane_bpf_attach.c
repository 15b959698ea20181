/* SPDX-License-Identifier: MIT */
#include "app/plane_bpf_inside.h"

/*
 * Where the programs run: on devices, by one filter each with a number of its own, and on a control group, by a link.  See plane_bpf.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "bpf/handoff.skel.h"

#define FILTER_HANDLE 1u
#define FILTER_PRIORITY 0x5355u

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

int plane_bpf_sockets(struct plane_bpf *pl, const char *cgroup)
{
	char path[PATH_MAX];
	int fd, r = 0;

	if (pl->pins[0]) {
		plane_bpf_pin_path(pl, PLANE_BPF_SOCKETS, path);
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

/* libbpf asks that what lies between the members is zero too: clang does not clear that where members are named. */
static struct bpf_tc_hook hook_of(unsigned ifindex, enum bpf_tc_attach_point point)
{
	struct bpf_tc_hook hook;

	memset(&hook, 0, sizeof hook);
	hook.sz = sizeof hook;
	hook.ifindex = (int)ifindex;
	hook.attach_point = point;
	return hook;
}

static struct bpf_tc_opts our_filter(void)
{
	struct bpf_tc_opts opts;

	memset(&opts, 0, sizeof opts);
	opts.sz = sizeof opts;
	opts.handle = FILTER_HANDLE;
	opts.priority = FILTER_PRIORITY;
	return opts;
}

static void detach(unsigned ifindex, enum bpf_tc_attach_point point)
{
	struct bpf_tc_hook hook = hook_of(ifindex, point);
	struct bpf_tc_opts opts = our_filter();

	bpf_tc_detach(&hook, &opts);
}

int plane_bpf_attached(unsigned ifindex, enum bpf_tc_attach_point point, uint32_t *ret_id)
{
	struct bpf_tc_hook hook = hook_of(ifindex, point);
	struct bpf_tc_opts opts = our_filter();
	int r = bpf_tc_query(&hook, &opts);

	if (r == 0)
		*ret_id = opts.prog_id;
	return r;
}

void plane_bpf_detach(const struct plane_bpf *pl)
{
	for (unsigned i = 0; i < pl->devices; i++) {
		detach(pl->device[i], BPF_TC_INGRESS);
		if (pl->side == PLANE_BPF_BACK)
			detach(pl->device[i], BPF_TC_EGRESS);
	}
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
	struct bpf_tc_hook hook = hook_of(ifindex, point);
	struct bpf_tc_opts opts = our_filter();

	opts.prog_fd = bpf_program__fd(prog);
	opts.flags = BPF_TC_F_REPLACE;
	return bpf_tc_attach(&hook, &opts);
}

int plane_bpf_attach(struct plane_bpf *pl, unsigned ifindex)
{
	struct bpf_tc_hook hook = hook_of(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
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
