/* SPDX-License-Identifier: MIT */
/* The port qemu: its connections, which come, break and come again. */
#include <errno.h>
#include <netinet/in.h>

#include "stream_peer.h"

#include "base/compiler.h"
#include <sys/resource.h>
#include <sys/stat.h>

static uint8_t frame_bytes[64 + 2000];
static struct packet frame;
static struct packet *const list[] = { &frame };

/* Frame n of len bytes, to be sent as list. */
static void make_frame(unsigned n, uint32_t len)
{
	frame = (struct packet){ .head = frame_bytes + 64, .head_len = len };
	for (uint32_t k = 0; k < len; k++)
		frame.head[k] = byte_of(n, k);
}

static void send_frame(struct port *p, unsigned n)
{
	make_frame(n, 60);
	assert_int_equal(p->ops->send(p, list, 1), 1);
}

/* The next thing that fd brings is frame n, whole. */
static void expect_frame(int fd, unsigned n)
{
	uint8_t b[64];

	read_all(fd, b, sizeof b);
	assert_int_equal(load_be32(b), 60);
	assert_true(is_frame(b + 4, n, 60));
}

/* Frame n goes from the peer to the port. */
static void deliver(struct port *p, int peer, unsigned n)
{
	struct packet *pkts[PORT_BURST];
	uint8_t b[64];
	int got = 0;

	write_all(peer, b, put_frame(b, n, 60, false, 0));
	while (got == 0)
		got = turn(p, pkts);
	assert_int_equal(got, 1);
	assert_frame(pkts[0], n, 60);
}

/* Bytes that are no frames end the connection, after the frames before them; the next peer is served. */
static void malformed_ends_connection(void **state)
{
	static const struct {
		bool vnet;
		uint8_t bytes[8];
		unsigned n;
	} bad[] = {
		{ false, { 0, 0, 0, 0 }, 4 }, /* empty */
		{ false, { 0, 1, 0x10, 1 }, 4 }, /* 69633 */
		{ false, { 0xff, 0xff, 0xff, 0xff }, 4 },
		{ true, { 0, 0, 0, 0 }, 4 },
		{ true, { 0, 0, 0, 60, 0, 0, 0, 11 }, 8 }, /* no such header */
		{ true, { 0, 0, 0, 60, 1, 0, 0, 12 }, 8 },
		{ true, { 0, 0, 0, 12, 0, 0, 0, 12 }, 8 }, /* nothing but a header */
		{ true, { 0, 0, 0, 9, 0, 0, 0, 10 }, 8 },
	};
	struct packet *pkts[PORT_BURST];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		uint8_t b[200];
		size_t len;
		int peer;
		struct port *p = pair(bad[i].vnet ? "qemu:listen:unix:%s,vnet_hdr_support"
						  : "qemu:listen:unix:%s",
				      &peer);

		len = put_frame(b, 1, 60, bad[i].vnet, 0);
		memcpy(b + len, bad[i].bytes, bad[i].n);
		write_all(peer, b, len + bad[i].n);
		assert_int_equal(turn(p, pkts), 1);
		assert_frame(pkts[0], 1, 60);
		assert_int_equal(turn(p, pkts), -ENETDOWN);
		assert_true(p->down);
		assert_true(has_ended(peer));
		assert_int_equal(stats_of(p).rx_malformed, 1);
		assert_int_equal(stats_of(p).rx_cut, 0);
		assert_non_null(strstr(p->error, "malformed"));
		close(peer);
		peer = connect_unix();
		until(p, false);
		write_all(peer, b, len);
		assert_int_equal(turn(p, pkts), 1);
		assert_frame(pkts[0], 1, 60);
		assert_int_equal(stats_of(p).reconnects, 1);
		p->ops->close(p);
		close(peer);
	}
}

/* A frame that its peer did not finish is no part of what the next one says. */
static void cut_frame_is_forgotten(void **state)
{
	uint8_t b[64];
	int peer;
	struct port *p = pair("qemu:listen:unix:%s", &peer);

	(void)state;
	for (size_t cut = 1; cut < 64; cut += 7) {
		put_frame(b, 1, 60, false, 0);
		write_all(peer, b, cut);
		close(peer);
		until(p, true);
		peer = connect_unix();
		until(p, false);
		deliver(p, peer, 2);
	}
	assert_int_equal(stats_of(p).rx_cut, 9);
	assert_int_equal(stats_of(p).rx, 9);
	assert_int_equal(stats_of(p).rx_malformed, 0);
	p->ops->close(p);
	close(peer);
}

/*
 * What waited for one peer, its first frame half gone, is lost, and counted; the next peer's stream begins with a frame.  So when
 * the peer has gone, and when it only says that it has said all.
 */
static void half_written_is_forgotten(void **state)
{
	struct packet *pkts[PORT_BURST];
	uint8_t skip[1000];

	(void)state;
	for (unsigned gone = 0; gone < 2; gone++) {
		unsigned sent = 0;
		int old, peer;
		struct port *p = pair("qemu:listen:unix:%s", &old);

		make_frame(3, 2000);
		while (!p->congested) {
			assert_int_equal(p->ops->send(p, list, 1), 1);
			sent++;
		}
		read_all(old, skip, sizeof skip);
		if (gone)
			close(old);
		else
			shutdown(old, SHUT_WR);
		until(p, true);
		assert_false(p->congested);
		/* the kernel's share went, of a whole number of frames and perhaps a part */
		assert_true(stats_of(p).tx_dropped > 500);
		assert_int_equal(stats_of(p).tx + stats_of(p).tx_dropped, sent);
		send_frame(p, 4);
		assert_int_equal(stats_of(p).tx + stats_of(p).tx_dropped, sent + 1);
		peer = connect_unix();
		until(p, false);
		send_frame(p, 5);
		expect_frame(peer, 5);
		assert_int_equal(p->ops->recv(p, pkts, PORT_BURST), 0);
		assert_false(wait_ready(p, 0));
		p->ops->close(p);
		close(peer);
		if (!gone)
			close(old);
	}
}

/* A connecting port needs nobody there at first, and finds who comes back. */
static void connects_again(void **state)
{
	struct port *p = open_port("qemu:unix:%s", path);

	(void)state;
	assert_true(p->down);
	send_frame(p, 1);
	assert_int_equal(stats_of(p).tx_dropped, 1);
	for (unsigned i = 0; i < 3; i++) {
		int listener = listen_unix(), peer;

		until(p, false);
		peer = accept(listener, NULL, NULL);
		send_frame(p, i);
		expect_frame(peer, i);
		deliver(p, peer, i + 5);
		close(listener);
		unlink(path);
		close(peer);
		until(p, true);
		assert_non_null(strstr(p->error, "closed"));
	}
	assert_int_equal(stats_of(p).reconnects, 2);
	p->ops->close(p);
}

/* The last words of a peer that takes nothing any more are heard, and then it is hung up on; SIGPIPE ends nobody. */
static void last_words_are_heard(void **state)
{
	struct packet *pkts[PORT_BURST];
	uint8_t b[64];
	int peer;
	struct port *p = pair("qemu:listen:unix:%s", &peer);

	(void)state;
	write_all(peer, b, put_frame(b, 7, 60, false, 0));
	close(peer);
	send_frame(p, 1);
	assert_int_equal(stats_of(p).tx_dropped, 1);
	assert_int_equal(turn(p, pkts), 1);
	assert_frame(pkts[0], 7, 60);
	assert_int_equal(turn(p, pkts), -ENETDOWN);

	peer = connect_unix();
	until(p, false);
	shutdown(peer, SHUT_RD);
	send_frame(p, 1);
	assert_int_equal(turn(p, pkts), -ENETDOWN);
	assert_true(has_ended(peer));
	p->ops->close(p);
	close(peer);
}

/* One peer at a time: a second one is shown the door, the first goes on. */
static void second_peer_is_refused(void **state)
{
	struct packet *pkts[PORT_BURST];
	int peer, second;
	struct port *p = pair("qemu:listen:unix:%s", &peer);

	(void)state;
	second = connect_unix();
	assert_int_equal(turn(p, pkts), 0);
	assert_true(has_ended(second));
	assert_false(wait_ready(p, 0));
	assert_int_equal(stats_of(p).refused, 1);
	deliver(p, peer, 1);
	close(second);
	p->ops->close(p);
	close(peer);
}

/* Where no descriptor is left for a peer, it waits, and nobody is kept busy by that. */
static void no_descriptor_left(void **state)
{
	struct port *p = open_port("qemu:listen:unix:%s", path);
	struct packet *pkts[PORT_BURST];
	struct rlimit old, none;
	int peer = connect_unix();

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(p->ops->recv(p, pkts, PORT_BURST), -ENETDOWN);
	assert_non_null(strstr(p->error, "accept"));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_false(wait_ready(p, 0));
	until(p, false);
	deliver(p, peer, 1);
	p->ops->close(p);
	close(peer);
}

/* The file of a listener: a dead one's is replaced, a living one's is not, nor is any other file; it goes with its port. */
static void listener_minds_the_file(void **state)
{
	char spec[200], err[500];
	struct port *p, *other;
	struct stat st;
	FILE *f;

	(void)state;
	close(listen_unix()); /* leaves its file behind */
	assert_int_equal(stat(path, &st), 0);
	p = open_port("qemu:listen:unix:%s", path);
	snprintf(spec, sizeof spec, "qemu:listen:unix:%s", path);
	assert_int_equal(port_open(spec, &arena, &other, err, sizeof err), -EADDRINUSE);
	assert_non_null(strstr(err, path));
	assert_non_null(strstr(err, "another program"));
	p->ops->close(p);
	assert_int_equal(stat(path, &st), -1);

	/* a file that came in its place is left alone */
	p = open_port("qemu:listen:unix:%s", path);
	unlink(path);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(port_open(spec, &arena, &other, err, sizeof err), -EEXIST);
	assert_non_null(strstr(err, "no socket"));
	p->ops->close(p);
	assert_int_equal(stat(path, &st), 0);
}

/* A number of a port where nobody is: taken and given back. */
static unsigned free_port(int family)
{
	struct sockaddr_storage a = { .ss_family = (sa_family_t)family };
	socklen_t len = family == AF_INET ? sizeof(struct sockaddr_in)
					  : sizeof(struct sockaddr_in6);
	int fd = socket(family, SOCK_STREAM, 0);
	unsigned n = 0;

	if (fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0 &&
	    getsockname(fd, (struct sockaddr *)&a, &len) == 0)
		n = family == AF_INET ? ntohs(((struct sockaddr_in *)&a)->sin_port)
				      : ntohs(((struct sockaddr_in6 *)&a)->sin6_port);
	if (fd >= 0)
		close(fd);
	return n;
}

/* Over TCP two ports find each other, whoever comes first, and again when one was away. */
static void tcp_finds_each_other(void **state)
{
	static const struct {
		int family;
		const char *listen, *connect;
	} ways[] = {
		{ AF_INET, "qemu:listen:127.0.0.1:%s", "qemu:127.0.0.1:%s" },
		{ AF_INET, "qemu:listen::%s", "qemu:localhost:%s" },
		{ AF_INET6, "qemu:listen:[::1]:%s", "qemu:[::1]:%s" },
	};
	struct packet *pkts[PORT_BURST];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct port *c, *l;
		char number[12];

		snprintf(number, sizeof number, "%u", free_port(ways[i].family));
		if (strcmp(number, "0") == 0)
			continue; /* no IPv6 here */
		c = open_port(ways[i].connect, number);
		(void)turn(c, pkts);
		assert_true(c->down);
		for (unsigned again = 0; again < 2; again++) {
			l = open_port(ways[i].listen, number);
			until(c, false);
			until(l, false);
			send_frame(c, again);
			assert_int_equal(turn(l, pkts), 1);
			assert_frame(pkts[0], again, 60);
			assert_int_equal(l->ops->send(l, pkts, 1), 1);
			assert_int_equal(turn(c, pkts), 1);
			assert_frame(pkts[0], again, 60);
			l->ops->close(l);
			until(c, true);
		}
		c->ops->close(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(malformed_ends_connection, fresh),
		cmocka_unit_test_setup(cut_frame_is_forgotten, fresh),
		cmocka_unit_test_setup(half_written_is_forgotten, fresh),
		cmocka_unit_test_setup(connects_again, fresh),
		cmocka_unit_test_setup(last_words_are_heard, fresh),
		cmocka_unit_test_setup(second_peer_is_refused, fresh),
		cmocka_unit_test_setup(no_descriptor_left, fresh),
		cmocka_unit_test_setup(listener_minds_the_file, fresh),
		cmocka_unit_test_setup(tcp_finds_each_other, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
