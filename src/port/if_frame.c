/* SPDX-License-Identifier: MIT */
#include "port/if_frame.h"

#include <string.h>

#include "base/be.h"

/* A hint may be as long as a whole linear super-packet: the kernel would then want that much memory in one piece. */
#define HDR_LEN_MAX 256u

void offload_from_vnet(const struct virtio_net_hdr *h, struct offload *ret_off)
{
	struct offload off = { .csum = CSUM_UNKNOWN };

	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		off.csum = CSUM_PARTIAL;
		off.csum_start = h->csum_start;
		off.csum_offset = h->csum_offset;
	} else if (h->flags & VIRTIO_NET_HDR_F_DATA_VALID) {
		off.csum = CSUM_COMPLETE;
	}
	off.hdr_len = h->hdr_len;
	if (h->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		off.gso_type = h->gso_type;
		off.gso_size = h->gso_size;
	}
	*ret_off = off;
}

void vnet_from_packet(const struct packet *p, struct virtio_net_hdr *ret_h)
{
	const struct offload *off = &p->off;
	struct virtio_net_hdr h = { 0 };
	uint32_t hdr_len = off->hdr_len, len = packet_len(p);

	if (hdr_len > HDR_LEN_MAX)
		hdr_len = HDR_LEN_MAX;
	if (off->csum == CSUM_PARTIAL) {
		uint32_t end = off->csum_start + off->csum_offset + 2u;

		h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h.csum_start = off->csum_start;
		h.csum_offset = off->csum_offset;
		hdr_len = hdr_len < end ? end : hdr_len;
	}
	if (off->gso_type != GSO_NONE) {
		h.gso_type = off->gso_type;
		h.gso_size = off->gso_size;
	}
	h.hdr_len = (uint16_t)(hdr_len < len ? hdr_len : len);
	*ret_h = h;
}

void vlan_insert(struct packet *p, uint16_t tpid, uint16_t tci)
{
	if (p->head_len < 12)
		return;
	p->head -= 4;
	p->head_len += 4;
	memmove(p->head, p->head + 4, 12);
	store_be16(p->head + 12, tpid);
	store_be16(p->head + 14, tci);
	if (p->off.csum == CSUM_PARTIAL)
		p->off.csum_start = (uint16_t)(p->off.csum_start + 4);
	if (p->off.hdr_len)
		p->off.hdr_len = (uint16_t)(p->off.hdr_len + 4);
}
