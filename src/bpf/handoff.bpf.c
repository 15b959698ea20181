/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * handoff - the data plane of hand-offs inside the kernel: programs at the three places where a host meets packets.
 *
 * Theory of operation.  Ways (core/way.h) lie in a plain hash map; user space lays and removes them, a SYN with an in-band header makes
 * two.  Every program looks its packet's key up once and does what the way says; plane.c does the same to the same packets, and a
 * differential test holds the two together.
 *
 *     front      ingress of a front end: forwards; what is to an origin and has no way is dropped here, since the tap has it
 *     back_in    ingress of a back end, on the way to its own TCP; back_adopt is the same and can adopt, where the kernel can
 *     back_out   egress of a back end
 *     sockets    the life of the sockets that were made
 *     tap        the filter of the front end's AF_PACKET socket: exactly what no program has dealt with
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/run.h"
#include "bpf/sockets.h"
#include "bpf/tap.h"

char program_license[] SEC("license") = "Dual MIT/GPL";

SEC("tc")
int front(struct __sk_buff *skb)
{
	return run(skb, FRONT, false);
}

SEC("tc")
int back_in(struct __sk_buff *skb)
{
	return run(skb, BACK_IN, false);
}

SEC("tc")
int back_adopt(struct __sk_buff *skb)
{
	return run(skb, BACK_IN, true);
}

SEC("tc")
int back_out(struct __sk_buff *skb)
{
	return run(skb, BACK_OUT, false);
}

/* Not attached: run by the loader, with a struct plane_amend for a packet.  0, or 1: no such way. */
SEC("tc")
int amend(struct __sk_buff *skb)
{
	return amend_way(skb);
}

SEC("sockops")
int sock_ops(struct bpf_sock_ops *ops)
{
	return sockets(ops);
}

SEC("socket")
int tap(struct __sk_buff *skb)
{
	return tap_wants(skb) ? (int)skb->len : 0;
}
