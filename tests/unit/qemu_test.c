/* SPDX-License-Identifier: MIT */
/* The port qemu: against plain sockets, and against itself. */
#include <errno.h>
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

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/be.h"
#include "base/compiler.h"
#include "port/arena.h"
#include "port/port.h"
#include "port/qemu.h"
#include "port/stream_in.h"
#include "port/stream_link.h"
#include "port/stream_out.h"

#define PATIENCE_MS 5000 /* for what must happen; a test that passes waits for much less */

static const struct stream_times quick = {
	.retry_first = 5, .retry_most = 10, .connect = 200, .stuck = 50
};

static char dir[] = "/tmp/suture-qemu-XXXXXX";
static char path[64];
static struct arena arena;

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/s", dir);
	return arena_open(&arena);
}

static int tear_down(void **state)
{
	(void)state;
	arena_close(&arena);
	unlink(path);
	return rmdir(dir);
}

/* Each test leaves no file behind, even if the one before it failed. */
static int fresh(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

/* The port, or a failed test. */
static struct port *open_port(const char *format, const char *arg)
{
	char spec[200], err[500] = "";
	struct port *p;

	snprintf(spec, sizeof spec, format, arg);
	if (port_open(spec, &arena, &p, err, sizeof err) != 0)
		fail_msg("%s", err);
	qemu_set_times(p, &quick);
	return p;
}

static struct port_stats stats_of(struct port *p)
{
	struct port_stats s;

	p->ops->stats(p, &s);
	return s;
}

static bool wait_ready(struct port *p, int ms)
{
	struct pollfd f = { .fd = p->ops->fd(p), .events = POLLIN };

	return poll(&f, 1, ms) == 1;
}

/* As the engine has it: waits for the port's descriptor, then one recv.  The number of packets, or -errno. */
static int turn(struct port *p, struct packet **pkts)
{
	assert_true(wait_ready(p, PATIENCE_MS));
	return p->ops->recv(p, pkts, PORT_BURST);
}

/* Turns until the port is up or down. */
static void until(struct port *p, bool down)
{
	struct packet *pkts[PORT_BURST];

	for (unsigned i = 0; p->down != down && i < 1000; i++)
		(void)turn(p, pkts);
	assert_int_equal(p->down, down);
}

static int listen_unix(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(a.sun_path, path, strlen(path) + 1);
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static int connect_unix(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(a.sun_path, path, strlen(path) + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

/* A listening port and a plain peer of it. */
static struct port *pair(const char *format, int *ret_peer)
{
	struct port *p = open_port(format, path);

	*ret_peer = connect_unix();
	until(p, false);
	return p;
}

/* Byte k of frame n: no two frames alike. */
static uint8_t byte_of(unsigned n, uint32_t k)
{
	return (uint8_t)(n * 31 + k * 7 + (k >> 8));
}

/* Puts frame n of len bytes, the way a stream has it, at at: bytes in all. */
static size_t put_frame(uint8_t *at, unsigned n, uint32_t len, bool vnet, uint8_t vnet_len)
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

static bool is_frame(const uint8_t *p, unsigned n, uint32_t len)
{
	for (uint32_t k = 0; k < len; k++)
		if (p[k] != byte_of(n, k))
			return false;
	return true;
}

static void assert_frame(const struct packet *p, unsigned n, uint32_t len)
{
	assert_int_equal(p->head_len, len);
	assert_int_equal(p->body_len, 0);
	assert_true(is_frame(p->head, n, len));
}

static void write_all(int fd, const void *p, size_t n)
{
	assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
}

/* Reads exactly n bytes. */
static void read_all(int fd, uint8_t *p, size_t n)
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

static bool has_ended(int fd)
{
	struct pollfd f = { .fd = fd, .events = POLLIN };
	uint8_t b;

	assert_int_equal(poll(&f, 1, PATIENCE_MS), 1);
	return read(fd, &b, 1) <= 0;
}

/* Frames of a burst to send, each in bytes of its own with room in front. */
struct burst_of {
	struct packet pkt[PORT_BURST];
	struct packet *list[PORT_BURST];
	uint8_t bytes[PORT_BURST][2100];
};

static void make_burst(struct burst_of *b, unsigned n, uint32_t len)
{
	for (unsigned i = 0; i < n; i++) {
		b->pkt[i] = (struct packet){ .head = b->bytes[i] + 64, .head_len = len };
		for (uint32_t k = 0; k < len; k++)
			b->pkt[i].head[k] = byte_of(i, k);
		b->list[i] = &b->pkt[i];
	}
}

/* Frames cut at every byte come whole, and in place. */
static void frames_cut_anywhere(void **state)
{
	static uint8_t s[400];
	struct packet *pkts[PORT_BURST];
	size_t len;
	int peer;
	struct port *p = pair("qemu:listen:unix:%s", &peer);

	(void)state;
	len = put_frame(s, 1, 60, false, 0);
	len += put_frame(s + len, 2, 1, false, 0);
	len += put_frame(s + len, 3, 99, false, 0);
	for (size_t cut = 1; cut < len; cut++) {
		unsigned got = 0;

		write_all(peer, s, cut);
		for (size_t sent = cut; got < 3;) {
			int n = turn(p, pkts);

			assert_true(n >= 0);
			for (int i = 0; i < n; i++) {
				static const uint32_t lens[] = { 60, 1, 99 };

				assert_frame(pkts[i], got + 1, lens[got]);
				store_be32(pkts[i]->head - PACKET_ROOM, 0xffffffff);
				got++;
			}
			if (sent < len && !wait_ready(p, 0)) {
				write_all(peer, s + sent, len - sent);
				sent = len;
			}
		}
	}
	assert_int_equal(stats_of(p).rx, 3 * (len - 1));
	assert_int_equal(stats_of(p).rx_bytes, 160 * (len - 1));
	assert_false(wait_ready(p, 0));
	p->ops->close(p);
	close(peer);
}

/* One read takes more than a burst; what waits in the buffer keeps the descriptor ready, and only that. */
static void many_frames_a_read(void **state)
{
	static uint8_t s[1000 * 14];
	struct packet *pkts[PORT_BURST];
	unsigned got = 0;
	size_t len = 0;
	int peer;
	struct port *p = pair("qemu:listen:unix:%s", &peer);

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		len += put_frame(s + len, i, 10, false, 0);
	write_all(peer, s, len);
	while (got < 1000) {
		int n = turn(p, pkts);

		assert_int_equal(n, got + PORT_BURST <= 1000 ? PORT_BURST : 1000 - got);
		for (int i = 0; i < n; i++)
			assert_frame(pkts[i], got++, 10);
	}
	/* it may look once more, in vain */
	if (wait_ready(p, 0))
		assert_int_equal(p->ops->recv(p, pkts, PORT_BURST), 0);
	assert_false(wait_ready(p, 0));
	p->ops->close(p);
	close(peer);
}

/* A burst goes out as it came in: from place to place, across ports. */
static void frames_travel_on(void **state)
{
	static uint8_t s[PORT_BURST * 2000], back[sizeof s];
	struct packet *pkts[PORT_BURST];
	size_t len = 0;
	int in, out;
	struct port *a = pair("qemu:listen:unix:%s", &in), *b;

	(void)state;
	unlink(path);
	b = pair("qemu:listen:unix:%s", &out);
	for (unsigned i = 0; i < 50; i++)
		len += put_frame(s + len, i, i % 2 ? 60 : 1514, false, 0);
	write_all(in, s, len);
	assert_int_equal(turn(a, pkts), 50);
	/* one of them has become shorter, one goes nowhere */
	pkts[7]->head_len = 40;
	memmove(pkts + 20, pkts + 21, 29 * sizeof *pkts);
	assert_int_equal(b->ops->send(b, pkts, 49), 49);
	len = 0;
	for (unsigned i = 0; i < 50; i++)
		if (i != 20)
			len += put_frame(s + len, i, i == 7 ? 40 : i % 2 ? 60 : 1514, false, 0);
	read_all(out, back, len);
	assert_memory_equal(back, s, len);
	assert_int_equal(stats_of(b).tx, 49);
	a->ops->close(a);
	b->ops->close(b);
	close(in);
	close(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(frames_cut_anywhere, fresh),
		cmocka_unit_test_setup(many_frames_a_read, fresh),
		cmocka_unit_test_setup(frames_travel_on, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
