/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_IF_FRAME_H
#define SUT_PORT_IF_FRAME_H
/*
 * if_frame - what AF_PACKET says beside a frame's bytes, to and from a struct packet: the virtio-net header and
 * the VLAN tag that the kernel has taken out.
 *
 * Pure: no system calls, so that it is tested without privilege.
 */
#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_net.h>

#include "base/packet.h"

/* Offload state from a received header; the header's fields are in the machine's byte order. */
void offload_from_vnet(const struct virtio_net_hdr *h, struct offload *ret_off);

/*
 * The header to send p with.  A complete or unknown checksum goes out as it is; the header length covers at least the checksum
 * field (the kernel demands it) and at most the frame.
 */
void vnet_from_packet(const struct packet *p, struct virtio_net_hdr *ret_h);

/*
 * Puts a tag back between the addresses and the type: head grows to the front by 4 (there is headroom), and offsets in
 * the offload state follow.  Frames shorter than the two addresses stay as they are.
 */
void vlan_insert(struct packet *p, uint16_t tpid, uint16_t tci);
#endif
