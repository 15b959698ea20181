/* SPDX-License-Identifier: MIT */
#include "app/plane_bpf_inside.h"

/* Ways and counters in the maps of the kernel.  See plane_bpf.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/handoff.skel.h"
#include "bpf/plane_cfg.h"

int plane_bpf_set(struct plane_bpf *pl, const struct way_key *key, const struct way *w)
{
	struct way old, new = *w;
	int r;

	if (!(w->flags & WAY_BEGINS) && bpf_map_lookup_elem(pl->ways, key, &old) == 0) {
		way_keep(&new, &old);
	} else {
		new.seen = new.fin_end = 0;
		new.packets = new.bytes = 0;
		new.last_ns = plane_bpf_now();
	}
	r = bpf_map_update_elem(pl->ways, key, &new, BPF_ANY);
	return r == -E2BIG || r == -ENOMEM ? -ENOSPC : r;
}

int plane_bpf_amend(struct plane_bpf *pl, const struct way_key *key, const struct way *w)
{
	struct {
		uint8_t eth[14];
		struct plane_amend a;
	} __attribute__((packed))
	in = { .a = { .key = *key, .flags = w->flags, .id = w->id, .end = w->end } };
	struct bpf_test_run_opts opts = { .sz = sizeof opts,
					  .data_in = &in,
					  .data_size_in = sizeof in };
	int r = bpf_prog_test_run_opts(bpf_program__fd(pl->skel->progs.amend), &opts);

	if (r < 0)
		return r;
	return opts.retval == 0 ? 0 : -ENOENT;
}

int plane_bpf_del(struct plane_bpf *pl, const struct way_key *key)
{
	return bpf_map_delete_elem(pl->ways, key);
}

int plane_bpf_get(const struct plane_bpf *pl, const struct way_key *key, struct way *ret_w)
{
	return bpf_map_lookup_elem(pl->ways, key, ret_w);
}

bool plane_bpf_list(const struct plane_bpf *pl, const struct way_key *prev, struct way_key *ret_key,
		    struct way *ret_w)
{
	struct way_key at;
	int r = bpf_map_get_next_key(pl->ways, prev, &at);

	while (r == 0) {
		*ret_key = at;
		if (bpf_map_lookup_elem(pl->ways, ret_key, ret_w) == 0)
			return true;
		r = bpf_map_get_next_key(pl->ways, ret_key, &at); /* that one is gone meanwhile */
	}
	return false;
}

uint64_t plane_bpf_counter(const struct plane_bpf *pl, enum way_counter c)
{
	int cpus = libbpf_num_possible_cpus();
	uint32_t index = c;
	uint64_t *each, sum = 0;

	if (cpus <= 0)
		return 0;
	each = calloc((size_t)cpus, sizeof *each);
	if (each && bpf_map_lookup_elem(pl->counts, &index, each) == 0)
		for (int i = 0; i < cpus; i++)
			sum += each[i];
	free(each);
	return sum;
}

uint64_t plane_bpf_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
