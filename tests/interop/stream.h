/* SPDX-License-Identifier: MIT */
#ifndef SUT_INTEROP_STREAM_H
#define SUT_INTEROP_STREAM_H
/*
 * stream - one end of a stream of frames as QEMU's socket chardevs and socket netdevs speak it:
 * length (4 bytes, big-endian), with vnet_hdr_support the length of the virtio-net header (4 bytes), then so many bytes.
 *
 * Written anew for the tests: it shares no code with the port that is under test.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_MAX 69632u

struct stream {
	int fd; /* -1: not connected */
	bool vnet; /* there is the second field */
	size_t have;
	uint8_t *in; /* what was read and not given out yet */
};

/* One message as it came. */
struct message {
	uint32_t len; /* with the virtio-net header */
	uint32_t vnet_len;
	const uint8_t *bytes; /* until the next call */
};

/* A listening unix socket at path, or -1. */
int stream_listen(const char *path);

/* Takes one connection of a listening socket within ms; false if none came. */
bool stream_accept(struct stream *s, int listener, bool vnet, int ms);

/* Connects to path, trying for ms. */
bool stream_connect(struct stream *s, const char *path, bool vnet, int ms);

/* Sends one message whole; false if the peer is gone or takes nothing for 5 s. */
bool stream_send(struct stream *s, const void *bytes, uint32_t len, uint32_t vnet_len);

/* Sends bytes as they are, without a length. */
bool stream_send_raw(struct stream *s, const void *bytes, size_t len);

/* The next message within ms: 1; 0: none; -1: the peer has closed. */
int stream_recv(struct stream *s, struct message *ret_m, int ms);

void stream_close(struct stream *s);

/* Milliseconds of a clock that only grows. */
int64_t stream_now(void);
#endif
