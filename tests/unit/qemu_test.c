/* SPDX-License-Identifier: MIT */
/* The port qemu: its frames, against plain sockets. */
#include <errno.h>

#include "stream_peer.h"

#include "base/compiler.h"
#include "port/stream_in.h"
#include "port/stream_out.h"

/* Frames of a burst to send, each in bytes of its own with room in front. */
struct frames {
	struct packet pkt[PORT_BURST];
	struct packet *list[PORT_BURST];
	uint8_t bytes[PORT_BURST][2100];
};

static struct packet *const *make_frames(unsigned n, uint32_t len)
{
	static struct frames f;

	for (unsigned i = 0; i < n; i++) {
		f.pkt[i] = (struct packet){ .head = f.bytes[i] + 64, .head_len = len };
		for (uint32_t k = 0; k < len; k++)
			f.pkt[i].head[k] = byte_of(i, k);
		f.list[i] = &f.pkt[i];
	}
	return f.list;
}

/* Reads a frame's prefix: its length without the header; ret_h is that header. */
static uint32_t read_prefix(int fd, bool vnet, uint8_t *ret_vnet_len, uint8_t ret_h[12])
{
	uint8_t b[8];
	uint32_t len;

	read_all(fd, b, vnet ? 8 : 4);
	len = load_be32(b);
	*ret_vnet_len = vnet ? b[7] : 0;
	read_all(fd, ret_h, *ret_vnet_len);
	return len - *ret_vnet_len;
}

/* The next frame at fd is number n, of that length. */
static void expect_frame(int fd, unsigned n, uint32_t len)
{
	static uint8_t bytes[STREAM_FRAME_MAX];
	uint8_t vnet_len, h[12];

	assert_int_equal(read_prefix(fd, false, &vnet_len, h), len);
	read_all(fd, bytes, len);
	assert_true(is_frame(bytes, n, len));
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

/* Virtio-net headers of every length come in as offload state and go out again. */
static void vnet_headers_pass(void **state)
{
	static const uint8_t lens[] = { 0, 10, 12, 10, 0, 12 };
	/* partial checksum at 34 + 16; a super-packet of 1448 a segment */
	static const uint8_t partial[12] = { 1, 0, 54, 0, 0, 0, 34, 0, 16, 0 };
	static const uint8_t gso[12] = { 1, 1, 66, 0, 0xa8, 5, 34, 0, 16, 0 };
	struct packet *pkts[PORT_BURST];
	uint8_t s[2000], vnet_len, h[12];
	size_t len = 0;
	int peer;
	struct port *p = pair("qemu:listen:unix:%s,vnet_hdr_support", &peer);

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		size_t at = len;

		len += put_frame(s + len, i, 100, true, lens[i]);
		if (lens[i])
			memcpy(s + at + 8, i == 2 ? gso : partial, lens[i]);
	}
	write_all(peer, s, len);
	assert_int_equal(turn(p, pkts), 6);
	for (unsigned i = 0; i < 6; i++) {
		assert_frame(pkts[i], i, 100);
		assert_int_equal(pkts[i]->off.vnet_len, lens[i] ? lens[i] : VNET_NONE);
		assert_int_equal(pkts[i]->off.csum, lens[i] ? CSUM_PARTIAL : CSUM_UNKNOWN);
		assert_int_equal(pkts[i]->off.csum_start, lens[i] ? 34 : 0);
		assert_int_equal(pkts[i]->off.gso_size, i == 2 ? 1448 : 0);
	}
	assert_int_equal(p->ops->send(p, pkts, 6), 6);
	for (unsigned i = 0; i < 6; i++) {
		uint8_t bytes[100];

		assert_int_equal(read_prefix(peer, true, &vnet_len, h), 100);
		assert_int_equal(vnet_len, lens[i]);
		if (lens[i])
			assert_memory_equal(h, i == 2 ? gso : partial, 10);
		read_all(peer, bytes, 100);
		assert_true(is_frame(bytes, i, 100));
	}
	p->ops->close(p);
	close(peer);
}

/* Headers that no device can follow: the frame is refused, the next one is not. */
static void impossible_offloads_are_refused(void **state)
{
	static const uint8_t bad[][12] = {
		{ 1, 0, 0, 0, 0, 0, 90, 0, 9, 0 }, /* the checksum ends behind the frame */
		{ 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff },
		{ 0, 1, 0, 0, 0, 0, 0, 0, 0, 0 }, /* segments of no bytes */
	};
	struct packet *pkts[PORT_BURST];
	uint8_t s[600];
	size_t len = 0;
	int peer;
	struct port *p = pair("qemu:listen:unix:%s,vnet_hdr_support", &peer);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		size_t at = len;

		len += put_frame(s + len, i, 100, true, 10);
		if (i < 3)
			memcpy(s + at + 8, bad[i], 10);
	}
	write_all(peer, s, len);
	assert_int_equal(turn(p, pkts), 1);
	assert_frame(pkts[0], 3, 100);
	assert_int_equal(stats_of(p).rx_errors, 3);
	p->ops->close(p);
	close(peer);
}

/* The peer sends a frame that has no virtio-net header. */
static void hear_without_header(struct port *p, int peer)
{
	const uint8_t frame[8 + 14] = { 0, 0, 0, 14 };
	struct packet *got[PORT_BURST];
	int n = 0;

	assert_int_equal(write(peer, frame, sizeof frame), sizeof frame);
	for (unsigned i = 0; i < 1000 && n == 0; i++)
		n = p->ops->recv(p, got, PORT_BURST);
	assert_int_equal(n, 1);
}

/* Without a header to say it in, a checksum is finished, in a copy, and a super-packet cannot go. */
static void offloads_end_at_plain_streams(void **state)
{
	struct packet *const *list = make_frames(3, 100);
	uint8_t bytes[100], vnet_len, h[12];
	uint64_t sum = 0;
	int peer;

	for (unsigned with = 0; with < 2; with++) {
		/* a stream that could say it, but whose peer has no header, is no better */
		struct port *p = pair(with ? "qemu:listen:unix:%s,vnet_hdr_support"
					   : "qemu:listen:unix:%s",
				      &peer);

		(void)state;
		if (with)
			hear_without_header(p, peer);
		for (unsigned i = 0; i < 3; i++)
			list[i]->off = (struct offload){ .csum = CSUM_PARTIAL,
							 .csum_start = 34,
							 .csum_offset = 16 };
		list[1]->off.gso_type = GSO_TCP4;
		list[1]->off.gso_size = 1448;
		assert_int_equal(p->ops->send(p, list, 3), 3);
		assert_int_equal(stats_of(p).tx_too_long, 1);
		assert_int_equal(stats_of(p).tx, 2);
		for (unsigned i = 0; i < 3; i += 2) {
			assert_int_equal(read_prefix(peer, with, &vnet_len, h), 100);
			assert_int_equal(vnet_len, 0);
			read_all(peer, bytes, 100);
			assert_true(is_frame(list[i]->head, i, 100));
			assert_int_equal(list[i]->off.csum, CSUM_PARTIAL);
			assert_true(is_frame(bytes, i, 50));
			sum = 0;
			for (unsigned k = 34; k < 100; k += 2)
				sum += k == 50 ? load_be16(list[i]->head + 50)
					       : load_be16(bytes + k);
			while (sum >> 16)
				sum = (sum & 0xffff) + (sum >> 16);
			assert_int_equal(load_be16(bytes + 50), (uint16_t)~sum);
		}
		p->ops->close(p);
		close(peer);
	}
}

/* The longest frames, the header counted in; a byte more cannot go. */
static void longest_frames(void **state)
{
	static uint8_t s[STREAM_FRAME_MAX + 64], big[STREAM_FRAME_MAX + 65];
	struct packet *pkts[PORT_BURST], p1 = { .head = big + 64, .head_len = STREAM_FRAME_MAX };
	struct packet *one = &p1;
	size_t len, at = 0;
	int peer, n = 0;
	struct port *p = pair("qemu:listen:unix:%s", &peer);

	(void)state;
	len = put_frame(s, 5, STREAM_FRAME_MAX, false, 0);
	while (n == 0) {
		ssize_t k = send(peer, s + at, len - at, MSG_DONTWAIT);

		at += k > 0 ? (size_t)k : 0;
		n = turn(p, pkts);
	}
	assert_int_equal(n, 1);
	assert_frame(pkts[0], 5, STREAM_FRAME_MAX);
	memcpy(p1.head, s + 4, STREAM_FRAME_MAX);
	assert_int_equal(p->ops->send(p, &one, 1), 1);
	expect_frame(peer, 5, STREAM_FRAME_MAX);
	p1.head_len++;
	assert_int_equal(p->ops->send(p, &one, 1), 1);
	assert_int_equal(stats_of(p).tx_too_long, 1);
	p->ops->close(p);
	close(peer);
}

/* Payload that lies elsewhere follows its head, in short frames and long ones. */
static void bodies_follow(void **state)
{
	struct packet *const *list = make_frames(4, 1500);
	uint8_t copy[4][1500];
	int peer;
	struct port *p = pair("qemu:listen:unix:%s", &peer);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		uint32_t len = i % 2 ? 1500 : 100;

		memcpy(copy[i], list[i]->head, 1500);
		list[i]->head_len = 60;
		list[i]->body = copy[i] + 60;
		list[i]->body_len = len - 60;
		memset(list[i]->head + 60, 0xee, 1440);
	}
	assert_int_equal(p->ops->send(p, list, 4), 4);
	for (unsigned i = 0; i < 4; i++)
		expect_frame(peer, i, i % 2 ? 1500 : 100);
	p->ops->close(p);
	close(peer);
}

/* A peer that reads slowly gets every frame that was taken, whole and in order, however the ring turns. */
static void slow_peer_gets_all(void **state)
{
	struct packet *const *list = make_frames(PORT_BURST, 2000);
	struct packet *pkts[PORT_BURST];
	unsigned sent = 0, got = 0, congested = 0, full = 0;
	int peer;
	struct port *p = pair("qemu:listen:unix:%s", &peer);

	(void)state;
	while (got < 6000) {
		/* until it is full, then a third is read, then again: three turns of the ring */
		while (sent < 6000) {
			int n = p->ops->send(p, list + sent % PORT_BURST,
					     PORT_BURST - sent % PORT_BURST);

			assert_true(n >= 0);
			congested += p->congested;
			sent += (unsigned)n;
			if (n == 0) {
				full++;
				break;
			}
		}
		for (unsigned i = 0; i < 700 && got < sent; i++, got++) {
			expect_frame(peer, got % PORT_BURST, 2000);
			if (wait_ready(p, 0))
				assert_int_equal(p->ops->recv(p, pkts, PORT_BURST), 0);
		}
	}
	assert_true(congested > 0 && full >= 3);
	assert_false(p->congested);
	assert_int_equal(stats_of(p).tx, sent);
	assert_int_equal(stats_of(p).tx_bytes, (uint64_t)sent * 2000);
	assert_int_equal(stats_of(p).tx_dropped, 0);
	assert_false(wait_ready(p, 0));
	p->ops->close(p);
	close(peer);
}

/* Sends until the ring takes no more. */
static unsigned fill_up(struct port *p, struct packet *const *list)
{
	unsigned sent = 0;
	int n;

	while ((n = p->ops->send(p, list, PORT_BURST)) > 0)
		sent += (unsigned)n;
	return sent;
}

/* Who reads nothing for long makes no one else wait, and loses frames; when he reads again all goes on. */
static void stuck_peer_loses(void **state)
{
	struct packet *const *list = make_frames(PORT_BURST, 2000);
	struct packet *pkts[PORT_BURST];
	int peer;
	struct port *p = pair("qemu:listen:unix:%s", &peer);
	unsigned sent;

	(void)state;
	sent = fill_up(p, list);
	assert_true(p->congested);
	assert_int_equal(stats_of(p).tx_dropped, 0);
	while (p->congested)
		assert_int_equal(turn(p, pkts), 0);
	assert_int_equal(p->ops->send(p, list, PORT_BURST), PORT_BURST);
	assert_int_equal(stats_of(p).tx_dropped, PORT_BURST);
	for (unsigned i = 0; i < sent; i++) {
		expect_frame(peer, i % PORT_BURST, 2000);
		if (wait_ready(p, 0))
			assert_int_equal(p->ops->recv(p, pkts, PORT_BURST), 0);
		if (i == 400)
			assert_true(p->congested);
	}
	assert_false(p->congested);
	assert_int_equal(p->ops->send(p, list + 9, 1), 1);
	expect_frame(peer, 9, 2000);
	p->ops->close(p);
	close(peer);
}

/* Messages: framed as frames are; the field of the header comes in and does not go out. */
static void messages_have_no_offload(void **state)
{
	struct packet *pkts[PORT_BURST];
	char spec[200], err[300];
	uint8_t s[100], vnet_len, h[12];
	struct port *p;
	int peer;

	(void)state;
	snprintf(spec, sizeof spec, "qemu:listen:unix:%s,vnet_hdr_support", path);
	assert_int_equal(port_open_msgs(spec, &arena, &p, err, sizeof err), 0);
	peer = connect_unix();
	until(p, false);
	write_all(peer, s, put_frame(s, 1, 15, true, 0));
	assert_int_equal(turn(p, pkts), 1);
	assert_frame(pkts[0], 1, 15);
	assert_int_equal(p->ops->send(p, pkts, 1), 1);
	assert_int_equal(read_prefix(peer, false, &vnet_len, h), 15);
	read_all(peer, s, 15);
	assert_true(is_frame(s, 1, 15));
	p->ops->close(p);
	close(peer);
	assert_int_equal(port_open_msgs("if:lo", &arena, &p, err, sizeof err), -EINVAL);
	assert_non_null(strstr(err, "qemu:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(frames_cut_anywhere, fresh),
		cmocka_unit_test_setup(many_frames_a_read, fresh),
		cmocka_unit_test_setup(frames_travel_on, fresh),
		cmocka_unit_test_setup(vnet_headers_pass, fresh),
		cmocka_unit_test_setup(impossible_offloads_are_refused, fresh),
		cmocka_unit_test_setup(offloads_end_at_plain_streams, fresh),
		cmocka_unit_test_setup(longest_frames, fresh),
		cmocka_unit_test_setup(bodies_follow, fresh),
		cmocka_unit_test_setup(slow_peer_gets_all, fresh),
		cmocka_unit_test_setup(stuck_peer_loses, fresh),
		cmocka_unit_test_setup(messages_have_no_offload, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
