/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_STREAM_BATCH_H
#define SUT_PORT_STREAM_BATCH_H
/*
 * stream_batch - packets as one list of iovecs in QEMU's stream format (stream_in.h), for one system call.
 *
 * A frame's length is written in the PACKET_ROOM in front of its head, so frames that lie in memory as they came from a
 * stream become one iovec.  Short frames that do not are copied together, because a copy is cheaper than an iovec.
 *
 * Owns:     the list, and the bytes that are in no packet: prefixes, copies.
 * Does not: change packets; only the room in front of them.
 */
#include <stdbool.h>
#include <stdint.h>

#include <sys/uio.h>

#include "base/packet.h"
#include "port/stream_in.h"

#define BATCH_FRAMES 256u
#define BATCH_STAGE (2 * (STREAM_FRAME_MAX + STREAM_PREFIX_MAX))
#define BATCH_SHORT 512u /* up to that many bytes a frame is copied */

struct stream_batch {
	unsigned frames, iovs;
	uint32_t staged; /* bytes of stage in use */
	uint32_t size[BATCH_FRAMES]; /* of each frame on the stream; 0: it cannot be said there */
	struct iovec iov[3 * BATCH_FRAMES];
	uint8_t stage[BATCH_STAGE];
};

/* How a stream writes its frames. */
struct stream_form {
	bool vnet; /* vnet_hdr_support */
	uint8_t vnet_len; /* the last length that was told, by the peer or with a packet; valid where told */
	bool told; /* until then packets of which nothing is told get the longest header: the peer may be as we are */
};

/*
 * Begins b anew with as many of the n packets (1 or more) as it holds: b->frames of them, 1 at least.  A packet whose offload state
 * cannot be said, for want of a virtio-net header, has its checksum finished (in a copy).  A super-packet gets
 * size 0 then, as one that is too long, and is not in the list.
 */
void stream_batch_fill(struct stream_batch *b, struct stream_form *form, struct packet *const *pkts,
		       unsigned n);
#endif
