/* SPDX-License-Identifier: MIT */
#ifndef SUT_TESTS_STREAM_PEER_H
#define SUT_TESTS_STREAM_PEER_H
/* stream_peer - for tests of streams: a port under test, plain sockets at its other end, numbered frames. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "base/be.h"
#include "port/arena.h"
#include "port/port.h"
#include "port/qemu.h"
#include "port/stream_link.h"

#define PATIENCE_MS 5000 /* for what must happen; a test that passes waits for much less */

static const struct stream_times quick = {
	.retry_first = 5, .retry_most = 10, .connect = 200, .deaf = 20, .stuck = 50
};

static char dir[] = "/tmp/suture-qemu-XXXXXX";
static char path[64];
static struct arena arena;

static inline int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/s", dir);
	return arena_open(&arena);
}

static inline int tear_down(void **state)
{
	(void)state;
	arena_close(&arena);
	unlink(path);
	return rmdir(dir);
}

/* Each test leaves no file behind, even if the one before it failed. */
static inline int fresh(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

/* The port, or a failed test. */
static inline struct port *open_port(const char *format, const char *arg)
{
	char spec[200], err[500] = "";
	struct port *p;

	snprintf(spec, sizeof spec, format, arg);
	if (port_open(spec, &arena, &p, err, sizeof err) != 0)
		fail_msg("%s", err);
	qemu_set_times(p, &quick);
	return p;
}

static inline struct port_stats stats_of(struct port *p)
{
	struct port_stats s;

	p->ops->stats(p, &s);
	return s;
}

static inline bool wait_ready(struct port *p, int ms)
{
	struct pollfd f = { .fd = p->ops->fd(p), .events = POLLIN };

	return poll(&f, 1, ms) == 1;
}

/* As the engine has it: waits for the port's descriptor, then one recv.  The number of packets, or -errno. */
static inline int turn(struct port *p, struct packet **pkts)
{
	assert_true(wait_ready(p, PATIENCE_MS));
	return p->ops->recv(p, pkts, PORT_BURST);
}

/* Turns until the port is up or down. */
static inline void until(struct port *p, bool down)
{
	struct packet *pkts[PORT_BURST];

	for (unsigned i = 0; p->down != down && i < 1000; i++)
		(void)turn(p, pkts);
	assert_int_equal(p->down, down);
}

static inline int listen_unix(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(a.sun_path, path, strlen(path) + 1);
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static inline int connect_unix(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(a.sun_path, path, strlen(path) + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

/* A listening port and a plain peer of it. */
static inline struct port *pair(const char *format, int *ret_peer)
{
	struct port *p = open_port(format, path);

	*ret_peer = connect_unix();
	until(p, false);
	return p;
}

/* Byte k of frame n: no two frames alike. */
static inline uint8_t byte_of(unsigned n, uint32_t k)
{
	return (uint8_t)(n * 31 + k * 7 + (k >> 8));
}

/* Puts frame n of len bytes, the way a stream has it, at at: bytes in all. */
static inline size_t put_frame(uint8_t *at, unsigned n, uint32_t len, bool vnet, uint8_t vnet_len)
{
	size_t i = 4;

	store_be32(at, len + vnet_len);
	if (vnet) {
		store_be32(at + 4, vnet_len);
		memset(at + 8, 0, vnet_len);
		i = 8u + vnet_len;
	}
	for (uint32_t k = 0; k < len; k++)
		at[i + k] = byte_of(n, k);
	return i + len;
}

static inline bool is_frame(const uint8_t *p, unsigned n, uint32_t len)
{
	for (uint32_t k = 0; k < len; k++)
		if (p[k] != byte_of(n, k))
			return false;
	return true;
}

static inline void assert_frame(const struct packet *p, unsigned n, uint32_t len)
{
	assert_int_equal(p->head_len, len);
	assert_int_equal(p->body_len, 0);
	assert_true(is_frame(p->head, n, len));
}

static inline void write_all(int fd, const void *p, size_t n)
{
	assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
}

/* Reads exactly n bytes. */
static inline void read_all(int fd, uint8_t *p, size_t n)
{
	struct pollfd f = { .fd = fd, .events = POLLIN };

	while (n > 0) {
		ssize_t got;

		assert_int_equal(poll(&f, 1, PATIENCE_MS), 1);
		got = read(fd, p, n);
		assert_true(got > 0);
		p += got;
		n -= (size_t)got;
	}
}

static inline bool has_ended(int fd)
{
	struct pollfd f = { .fd = fd, .events = POLLIN };
	uint8_t b;

	assert_int_equal(poll(&f, 1, PATIENCE_MS), 1);
	return read(fd, &b, 1) <= 0;
}

#endif
