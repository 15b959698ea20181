/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef SUT_BPF_SOCKETS_H
#define SUT_BPF_SOCKETS_H
/*
 * sockets - what the host's own TCP says of connections that have ways: there, and gone.
 *
 * Owns:     nothing.
 * Does not: tell of sockets of other network namespaces (those have agents of their own), nor of connections without a way.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/maps.h"
#include "bpf/met.h"
#include "bpf/packet.h"

/* A word of the context, by a load of its own: the verifier takes no wider one. */
#define CTX32(field) (*(const volatile __u32 *)&(field))

/* The key of what the socket sends. */
static __always_inline bool key_of(const struct bpf_sock_ops *ops, struct way_key *ret_key)
{
	__u32 a[4];

	__builtin_memset(ret_key, 0, sizeof(*ret_key));
	if (ops->family == 2) {
		a[0] = ops->local_ip4;
		map4(ret_key->src, (__u8 *)a);
		a[0] = ops->remote_ip4;
		map4(ret_key->dst, (__u8 *)a);
	} else if (ops->family == 10) {
		a[0] = CTX32(ops->local_ip6[0]);
		a[1] = CTX32(ops->local_ip6[1]);
		a[2] = CTX32(ops->local_ip6[2]);
		a[3] = CTX32(ops->local_ip6[3]);
		__builtin_memcpy(ret_key->src, a, 16);
		a[0] = CTX32(ops->remote_ip6[0]);
		a[1] = CTX32(ops->remote_ip6[1]);
		a[2] = CTX32(ops->remote_ip6[2]);
		a[3] = CTX32(ops->remote_ip6[3]);
		__builtin_memcpy(ret_key->dst, a, 16);
	} else {
		return false;
	}
	ret_key->sport = bpf_htons((__u16)ops->local_port);
	ret_key->dport = (__u16)(bpf_ntohl(ops->remote_port));
	ret_key->dport = bpf_htons(ret_key->dport);
	return true;
}

static __always_inline void established(struct bpf_sock_ops *ops, struct way *out)
{
	struct way *in = bpf_map_lookup_elem(&ways, &out->mate);

	bpf_sock_ops_cb_flags_set(ops, BPF_SOCK_OPS_STATE_CB_FLAG);
	if (in && (in->flags & PENDING))
		lower(in, WAY_EXPECT | WAY_ADOPT | WAY_CLAMP);
	forget(out, WAY_SAW_RST);
}

static __always_inline int sockets(struct bpf_sock_ops *ops)
{
	const struct plane_cfg *cfg = config_get();
	struct way_key key, client;
	struct way *out;

	if (ops->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB && ops->op != BPF_SOCK_OPS_STATE_CB)
		return 1;
	if (!cfg || bpf_get_netns_cookie(ops) != cfg->netns || !key_of(ops, &key))
		return 1;
	out = bpf_map_lookup_elem(&ways, &key);
	if (!out)
		return 1;
	client_key(out, &key, &client);
	if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB) {
		established(ops, out);
		report(WAY_EV_ESTABLISHED, out->id, &client, 0, 0);
	} else if (ops->args[1] == BPF_TCP_CLOSE) {
		report(WAY_EV_CLOSED, out->id, &client, 0, 0);
	}
	return 1;
}
#endif
