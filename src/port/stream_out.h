/* SPDX-License-Identifier: MIT */
#ifndef SUT_PORT_STREAM_OUT_H
#define SUT_PORT_STREAM_OUT_H
/*
 * stream_out - a ring of frames, as they stand in a stream, that wait until the peer takes more.
 *
 * Owns:     the bytes, and where frames begin: what is lost with a connection is counted by frames.
 * Does not: make system calls (but for its memory).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/uio.h>

#define STREAM_RING (4u << 20)

struct stream_out {
	uint8_t *mem;
	uint64_t in, out; /* bytes ever put, ever taken; the place is the remainder */
	uint64_t next; /* where the frame that out is in ends */
	uint32_t next_len; /* bytes of that frame, without what stands in front of it */
	bool vnet; /* frames carry the length of a virtio-net header */
};

/* A place in a list of iovecs. */
struct iov_cursor {
	const struct iovec *iov;
	size_t off;
};

/* What has left: frames whose last byte did, and their bytes. */
struct stream_done {
	uint64_t frames, bytes;
};

/* 0 or -errno. */
int stream_out_open(struct stream_out *o, bool vnet);
void stream_out_close(struct stream_out *o);

static inline uint32_t stream_out_waiting(const struct stream_out *o)
{
	return (uint32_t)(o->in - o->out);
}

/*
 * Puts size bytes from c, which moves on: the whole of a frame of len bytes, or, in an empty ring, the end of one.
 * False, nothing changed, if they do not fit.
 */
bool stream_out_put(struct stream_out *o, struct iov_cursor *c, uint32_t size, uint32_t len);

/* What waits, in order, as at most two pieces: their number. */
unsigned stream_out_iov(const struct stream_out *o, struct iovec ret_iov[2]);

/* The first n bytes of that are gone. */
struct stream_done stream_out_took(struct stream_out *o, uint64_t n);

/* Forgets all that waits: how many frames that were, one of which some bytes are gone among them. */
uint64_t stream_out_discard(struct stream_out *o);

/* Moves c by n bytes. */
void iov_skip(struct iov_cursor *c, uint64_t n);
#endif
