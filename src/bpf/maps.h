/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef SUT_BPF_MAPS_H
#define SUT_BPF_MAPS_H
/*
 * maps - what the programs keep and say: ways, settings, counters, reports.
 *
 * Owns:     the definitions of the maps; one line each to count and to report.
 * Does not: size the map of ways and the ring: the loader does.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "bpf/plane_cfg.h"
#include "core/way.h"

#define HEADER_MAX 60u /* a TCP header with all options */

/* Offsets from the start of the TCP header; 0: not there. */
struct opts {
	__u8 ts; /* of TSval; TSecr is 4 further */
	__u8 sack, blocks; /* of the first edge */
	__u8 wscale; /* of the shift count */
	__u8 header; /* of the kind byte of an in-band header */
	__u8 sack_ok; /* 1: SACK is permitted */
	__u8 bad;
};

struct opt_walk {
	__u32 at, end;
	struct opts o;
};

/* A packet's TCP header before and after, and what is too large for the stack.  One per CPU: programs run with soft interrupts off. */
struct scratch {
	__u8 old[64], new[64];
	struct way in, out;
	struct way_mac_input mac;
	struct opt_walk walk;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct way_key);
	__type(value, struct way);
} ways SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct plane_cfg);
} config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WAY_ORIGINS);
	__type(key, __u32);
	__type(value, struct way_origin);
} origins SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * WAY_ORIGINS);
	__type(key, struct plane_addr);
	__type(value, struct plane_origin_of);
} origin_of SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WAY_N_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1u << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline void count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&counts, &which);

	if (n)
		*n += 1;
}

static __always_inline struct scratch *scratch_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratches, &zero);
}

static __always_inline const struct plane_cfg *config_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&config, &zero);
}

/* key: of the client's direction. */
static __always_inline void report(__u32 kind, __u32 id, const struct way_key *key, __u32 a,
				   __u32 b)
{
	struct way_event *ev = bpf_ringbuf_reserve(&events, sizeof(*ev), 0);

	if (!ev) {
		count(WAY_N_EVENTS_LOST);
		return;
	}
	ev->kind = kind;
	ev->id = id;
	__builtin_memcpy(&ev->key, key, sizeof(ev->key));
	ev->a = a;
	ev->b = b;
	bpf_ringbuf_submit(ev, 0);
}

/* The origin that clients know by this address and port; NULL. */
static __always_inline const struct plane_origin_of *origin_at(const __u8 *ip, __u16 port)
{
	struct plane_addr a = { .port = port };

	__builtin_memcpy(a.ip, ip, sizeof(a.ip));
	return bpf_map_lookup_elem(&origin_of, &a);
}
#endif
