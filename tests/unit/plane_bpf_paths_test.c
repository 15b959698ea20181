/* SPDX-License-Identifier: MIT */
#include "app/plane_bpf.h"

/*
 * Packets through the programs as they are attached: a shifted connection of the host's own TCP, what a front end forwards, what its tap
 * sees, partial checksums and super-packets.  Needs root and a namespace of its own; 77 (skipped) without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include "bpf_rig.h"
#include "core/plane.h"
#include "proto/checksum.h"

#define SOON 2000 /* ms */
#define SURELY_NOT 100
#define FRONT_TS 500000u /* the front end's clock at the hand-off */

static struct rig rig;
static struct rig_heard heard;
static struct rig_frame got;

static struct plane_bpf *open_as(const struct plane_bpf_config *c)
{
	struct plane_bpf *pl = NULL;
	char err[PLANE_BPF_TEXT] = "";

	heard.n = 0;
	if (plane_bpf_open(c, &pl, err) < 0)
		fail_msg("%s", err);
	assert_int_equal(plane_bpf_attach(pl, rig.host_index), 0);
	return pl;
}

static const struct way_event *wait_for(struct plane_bpf *pl, enum way_event_kind kind)
{
	const struct way_event *ev = rig_wait(pl, &heard, kind, SOON);

	if (!ev)
		fail_msg("event %d does not come", (int)kind);
	return ev;
}

static void drain(int fd)
{
	while (rig_receive(fd, &got, 20))
		;
}

/* A shifted connection */

/* An ICMP "too big" about the segment seq from ip and port to the client, addressed to ip. */
static void make_icmp(struct frame *f, int version, const uint8_t ip[16], uint16_t port,
		      uint32_t seq, uint16_t mtu)
{
	uint32_t src = version == 4 ? 12 : 8, n = version == 4 ? 4 : 16;
	const uint8_t *address = ip + 16 - n;
	struct frame quoted;
	uint8_t *h;

	rig_segment(&quoted, version, 0x10, seq, SEQ, 0);
	h = quoted.buf + quoted.ip;
	memcpy(h + src + n, h + src, n);
	memcpy(h + src, address, n);
	store_be16(quoted.buf + quoted.l4, port);
	store_be16(quoted.buf + quoted.l4 + 2, CLIENT_PORT);
	frame_eth(f, NULL, version == 4 ? 0x0800 : 0x86dd);
	if (version == 4)
		frame_ip4(f, 1, 0);
	else
		frame_ip6(f, 58, 58);
	memcpy(f->buf + f->ip + src + n, address, n);
	h = frame_add(f, NULL, 8);
	h[0] = version == 4 ? 3 : 2;
	h[1] = version == 4 ? 4 : 0;
	store_be16(h + 6, mtu);
	frame_add(f, quoted.buf + quoted.ip, quoted.len - quoted.ip);
	frame_end(f);
}

/* Two origins: one that the host has, and one that it has under another address and port. */
static struct plane_bpf_config two_origins(int version)
{
	struct plane_bpf_config c = { .side = PLANE_BPF_BACK };
	struct way_origin *o = c.plane.origin;

	rig_ip(rig_origin(version), o[0].ip);
	o[0].port = htons(80);
	rig_ip(version == 4 ? "198.51.100.2" : "2001:db8:1::2", o[1].ip);
	o[1].port = htons(80);
	rig_ip(version == 4 ? "192.0.2.1" : "2001:db8::1", o[1].host_ip);
	o[1].host_port = htons(8080);
	for (unsigned i = 0; i < 16; i++)
		c.plane.key[1][i] = (uint8_t)(i + 1);
	c.plane.keys = 2;
	return c;
}

/* The SYN in the client's name, with a header for this origin, signed (or off by `wrong`). */
static void make_syn(struct frame *f, int version, const struct plane_bpf_config *c, uint8_t origin,
		     unsigned wrong)
{
	const struct way_origin *o = &c->plane.origin[origin];
	uint8_t opt[40] = "\x02\x04\x05\x78\x04\x02\x08\x0a\0\0\0\x0a\0\0\0\0\x03\x03\x07";
	struct way_mac_input in = { .key = { .sport = htons(CLIENT_PORT), .dport = o->port },
				    .seq = SEQ,
				    .ack = ACK,
				    .tsecr = FRONT_TS,
				    .key_index = 1,
				    .origin = origin,
				    .wscale = 9 };
	uint64_t mac;
	uint8_t *t;

	store_be32(opt + 12, FRONT_TS);
	memcpy(opt + 19,
	       (const uint8_t[]){ WAY_OPT_KIND, WAY_OPT_LEN, WAY_EXID >> 8, WAY_EXID & 0xff, 1,
				  origin, 9 },
	       7);
	rig_ip(rig_client(version), in.key.src);
	memcpy(in.key.dst, o->ip, 16);
	mac = way_mac(c->plane.key[1], &in) + wrong;
	memcpy(opt + 27, &mac, 8);
	frame_eth(f, NULL, version == 4 ? 0x0800 : 0x86dd);
	if (version == 4)
		frame_ip4(f, 6, 0);
	else
		frame_ip6(f, 6, 6);
	t = frame_tcp(f, 0x02, opt, 36);
	store_be32(t + 4, SEQ);
	store_be32(t + 8, ACK);
	rig_redirect(f, o->ip, 80);
}

static void send_as_client(int version, const struct way_origin *o, uint8_t flags, uint32_t seq,
			   uint32_t ack, uint32_t n)
{
	struct frame f;
	uint8_t *t;

	rig_segment(&f, version, flags, seq, ack, n);
	t = f.buf + f.l4;
	store_be32(t + 24, 11);
	store_be32(t + 28, FRONT_TS);
	rig_redirect(&f, o->ip, 80);
	rig_send(&rig, &f);
}

/* The host's segment with this payload, as the client would get it: in the front end's numbers, summed right. */
static void expect_shifted(int version, const struct way_origin *o, const char *text)
{
	size_t n = strlen(text);
	struct tcp_options opt;
	struct way_key k;

	do {
		assert_true(rig_receive(rig.wire, &got, SOON));
		assert_int_equal(got.v.flags & 0x02, 0); /* no SYN-ACK */
	} while (got.v.payload_len != n || memcmp(got.bytes + got.v.payload, text, n) != 0);
	way_key_of(&got.p, &got.v, &k);
	assert_memory_equal(k.src, o->ip, 16);
	assert_int_equal(k.sport, o->port);
	assert_int_equal(k.dport, htons(CLIENT_PORT));
	assert_int_equal(got.v.ip, version);
	assert_int_equal(got.v.seq, ACK);
	assert_int_equal(got.v.ack, SEQ + 11);
	assert_int_equal(view_options(&got.p, &got.v, &opt), R_NONE);
	assert_true(opt.tsval >= FRONT_TS && opt.tsval < FRONT_TS + 5000);
	assert_int_equal(opt.tsecr, 11);
	assert_int_equal(got.p.off.csum,
			 CSUM_COMPLETE); /* the host's device does no sums: see main() */
	assert_true(csum_tcp_ok(&got.p, &got.v));
	assert_true(csum_ip_ok(&got.p, &got.v));
}

/* A router says that the answer was too big: the host believes it, since it reads a number that it has sent. */
static void expect_smaller_mtu(int version, const struct way_origin *o, int conn)
{
	const uint16_t mtu = version == 4 ? 1000 : 1300;
	struct tcp_info info = { 0 };
	socklen_t len = sizeof info;
	struct frame f;

	assert_int_equal(getsockopt(conn, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	assert_int_equal(info.tcpi_pmtu, 1500);
	make_icmp(&f, version, o->ip, 80, ACK, mtu);
	rig_send(&rig, &f);
	for (int i = 0; i < 100 && info.tcpi_pmtu != mtu; i++) {
		poll(NULL, 0, 10);
		assert_int_equal(getsockopt(conn, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	}
	assert_int_equal(info.tcpi_pmtu, mtu);
	assert_int_equal(rig_run("ip route flush cache; ip -6 route flush cache"), 0);
}

static void shifted(int version, uint8_t origin)
{
	struct plane_bpf_config c = two_origins(version);
	const struct way_origin *o = &c.plane.origin[origin];
	struct plane_bpf *pl = open_as(&c);
	int fd = rig_listen(origin ? 8080 : 80, 0, 16), conn;
	const struct way_event *ev;
	struct way_key k;
	struct frame f;
	struct way w;
	char text[32];

	drain(rig.wire);
	make_syn(&f, version, &c, origin, 1);
	rig_send(&rig, &f);
	assert_false(rig_receive(rig.wire, &got, SURELY_NOT));
	assert_int_equal(plane_bpf_counter(pl, WAY_N_BAD_MAC), 1);
	make_syn(&f, version, &c, origin, 0);
	rig_send(&rig, &f);
	ev = wait_for(pl, WAY_EV_OPENED);
	assert_int_equal(ev->a, origin);
	k = ev->key;
	wait_for(pl, WAY_EV_LEARNT);
	assert_false(rig_receive(rig.wire, &got, SURELY_NOT));
	send_as_client(version, o, 0x18, SEQ + 1, ACK, 10);
	conn = rig_accept(fd, SOON);
	assert_true(conn >= 0);
	assert_int_equal(read(conn, text, sizeof text), 10);
	wait_for(pl, WAY_EV_ESTABLISHED);
	assert_int_equal(write(conn, "hello", 5), 5);
	expect_shifted(version, o, "hello");
	expect_smaller_mtu(version, o, conn);
	assert_int_equal(plane_bpf_get(pl, &k, &w), 0);
	assert_int_equal(w.flags & (WAY_UNLEARNT | WAY_CLAMP), 0);
	assert_int_equal(w.expect, SEQ + 11);
	close(conn);
	wait_for(pl, WAY_EV_FIN_OUT);
	send_as_client(version, o, 0x11, SEQ + 11, ACK + 6, 0);
	ev = wait_for(pl, WAY_EV_FIN_IN);
	assert_int_equal(ev->a, SEQ + 12);
	wait_for(pl, WAY_EV_CLOSED);
	close(fd);
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
}

static void test_shifts_ipv4(void **state)
{
	(void)state;
	shifted(4, 0);
}

static void test_shifts_ipv6(void **state)
{
	(void)state;
	shifted(6, 0);
}

static void test_shifts_to_another_address_ipv4(void **state)
{
	(void)state;
	shifted(4, 1);
}

static void test_shifts_to_another_address_ipv6(void **state)
{
	(void)state;
	shifted(6, 1);
}

/* A front end */

static struct plane_bpf_config front_config(void)
{
	struct plane_bpf_config c = { .side = PLANE_BPF_FRONT };

	for (unsigned i = 0; i < 2; i++) {
		rig_ip(rig_origin(i ? 6 : 4), c.plane.origin[i].ip);
		c.plane.origin[i].port = htons(80);
	}
	return c;
}

static struct way forwarding(void)
{
	struct way w = { .act = WAY_SEND, .ifindex = rig.away_index };

	memcpy(w.dmac, "\x02\0\0\0\0\x77", 6);
	memcpy(w.smac, "\x02\0\0\0\0\x78", 6);
	return w;
}

static void test_front_forwards_and_keeps_the_host_silent(void **state)
{
	const struct plane_bpf_config c = front_config();
	struct plane_bpf *pl = open_as(&c);

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		struct way_key k = rig_key(version, rig_origin(version), 80);
		struct way w = forwarding();
		struct frame f;

		drain(rig.wire);
		drain(rig.far);
		/* Nobody listens at the origin, and nobody says so: user space has it. */
		rig_segment(&f, version, 0x02, SEQ, 0, 0);
		rig_send(&rig, &f);
		assert_false(rig_receive(rig.wire, &got, SURELY_NOT));
		assert_int_equal(plane_bpf_set(pl, &k, &w), 0);
		rig_segment(&f, version, 0x18, SEQ, ACK, 700);
		rig_send(&rig, &f);
		assert_true(rig_receive(rig.far, &got, SOON));
		memcpy(f.buf, "\x02\0\0\0\0\x77\x02\0\0\0\0\x78", 12);
		assert_int_equal(got.p.head_len, f.len);
		assert_memory_equal(got.bytes, f.buf, f.len);
		/* What is to no origin is the host's: it resets. */
		rig_segment(&f, version, 0x10, SEQ, ACK, 0);
		rig_redirect(&f, k.dst, 81);
		rig_send(&rig, &f);
		assert_true(rig_receive(rig.wire, &got, SOON));
		assert_int_equal(got.v.flags & 0x04, 0x04);
	}
	assert_int_equal(plane_bpf_counter(pl, WAY_N_FORWARDED), 2);
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
}

/* The tap of a front end: a socket on the device, with the filter. */
static int tap_open(const struct plane_bpf *pl)
{
	int fd = rig_tap("host");

	assert_int_equal(plane_bpf_tap(pl, fd), 0);
	drain(fd);
	return fd;
}

static bool tap_sees(int fd, const struct frame *f)
{
	static uint8_t bytes[RIG_FRAME];
	struct pollfd p = { fd, POLLIN, 0 };

	rig_send(&rig, f);
	if (poll(&p, 1, SURELY_NOT) <= 0)
		return false;
	return read(fd, bytes, sizeof bytes) > 0;
}

static void test_tap_sees_what_it_must_and_no_more(void **state)
{
	const struct plane_bpf_config c = front_config();
	struct plane_bpf *pl = open_as(&c);
	int fd = tap_open(pl);

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		struct way_key k = rig_key(version, rig_origin(version), 80),
			       other = rig_key(version, rig_origin(version), 81);
		struct way send = forwarding(), user = { .act = WAY_USER };
		struct frame to_origin, to_other, icmp, icmp_other;

		rig_segment(&to_origin, version, 0x10, SEQ, ACK, 5);
		rig_segment(&to_other, version, 0x10, SEQ, ACK, 5);
		rig_redirect(&to_other, k.dst, 81);
		make_icmp(&icmp, version, k.dst, 80, ACK, 1400);
		make_icmp(&icmp_other, version, k.dst, 81, ACK, 1400);
		assert_true(tap_sees(fd, &to_origin));
		assert_false(tap_sees(fd, &to_other));
		assert_true(tap_sees(fd, &icmp));
		assert_false(tap_sees(fd, &icmp_other));
		assert_int_equal(plane_bpf_set(pl, &k, &send), 0);
		assert_int_equal(plane_bpf_set(pl, &other, &user), 0);
		assert_false(tap_sees(fd, &to_origin)); /* forwarded */
		assert_true(tap_sees(fd, &icmp)); /* about what is forwarded */
		assert_true(tap_sees(fd, &to_other));
		assert_true(tap_sees(fd, &icmp_other));
	}
	close(fd);
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
}

/* Partial checksums and super-packets: the same in C, on the same bytes */

static struct way translating(int version)
{
	struct way w = forwarding();

	w.flags = WAY_SHIFT | WAY_SRC | WAY_DST | WAY_WINDOW;
	w.seq = 0x12345678;
	w.ack = 0x9abcdef0;
	w.tsval = 77;
	w.tsecr = 0xfffffff0;
	w.from_scale = 7;
	w.to_scale = 3;
	rig_ip(version == 4 ? "203.0.113.5" : "2001:db8:5::5", w.new_src);
	rig_ip(version == 4 ? "203.0.113.6" : "2001:db8:6::6", w.new_dst);
	w.new_sport = htons(1234);
	w.new_dport = htons(4321);
	return w;
}

/* What plane_run() makes of f. */
static void run_c(struct frame *f, const struct way_key *k, const struct way *w, bool partial)
{
	const struct plane_config c = { .max_ways = 4 };
	struct plane *pl = plane_init(calloc(1, plane_need(&c)), &c, NULL, NULL);
	struct view v;

	f->p.off.csum = partial ? CSUM_PARTIAL : CSUM_COMPLETE;
	f->p.off.gso_type = partial ? GSO_TCP4 : GSO_NONE;
	assert_int_equal(plane_set(pl, k, w, 0), 0);
	assert_int_equal(view_parse(&f->p, &v), R_NONE);
	assert_int_equal(plane_run(pl, PLANE_FRONT, &f->p, &v, 0).act, WAY_SEND);
	free(pl);
}

static void translated(int version, uint32_t n, bool partial)
{
	const struct plane_bpf_config c = front_config();
	struct plane_bpf *pl = open_as(&c);
	struct way_key k = rig_key(version, rig_origin(version), 80);
	struct way w = translating(version);
	struct frame f;

	assert_int_equal(plane_bpf_set(pl, &k, &w), 0);
	drain(rig.far);
	rig_segment(&f, version, 0x18, SEQ, ACK, n);
	if (partial) {
		uint32_t sum = frame_pseudo(&f, f.len - f.l4);

		store_be16(f.buf + f.l4 + 16, (uint16_t)((sum & 0xffff) + (sum >> 16)));
	}
	rig_send_as(&rig, &f, partial, n > 1400 ? 1000 : 0);
	run_c(&f, &k, &w, partial);
	assert_true(rig_receive(rig.far, &got, SOON));
	assert_int_equal(got.p.off.csum, partial ? CSUM_PARTIAL : CSUM_COMPLETE);
	assert_int_equal(got.p.off.gso_size, n > 1400 ? 1000 : 0); /* still one */
	assert_int_equal(got.p.head_len, f.len);
	assert_memory_equal(got.bytes, f.buf, f.len);
	if (partial)
		assert_true(csum_finish(&got.p));
	got.p.off.csum = CSUM_COMPLETE;
	assert_true(csum_tcp_ok(&got.p, &got.v) && csum_ip_ok(&got.p, &got.v));
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
}

static void test_translates_complete_checksums(void **state)
{
	(void)state;
	translated(4, 100, false);
	translated(6, 101, false);
}

static void test_translates_partial_checksums(void **state)
{
	(void)state;
	translated(4, 100, true);
	translated(6, 101, true);
}

static void test_translates_super_packets(void **state)
{
	(void)state;
	translated(4, 3500, true);
	translated(6, 3501, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shifts_ipv4),
		cmocka_unit_test(test_shifts_ipv6),
		cmocka_unit_test(test_shifts_to_another_address_ipv4),
		cmocka_unit_test(test_shifts_to_another_address_ipv6),
		cmocka_unit_test(test_front_forwards_and_keeps_the_host_silent),
		cmocka_unit_test(test_tap_sees_what_it_must_and_no_more),
		cmocka_unit_test(test_translates_complete_checksums),
		cmocka_unit_test(test_translates_partial_checksums),
		cmocka_unit_test(test_translates_super_packets),
	};

	if (rig_open(&rig)) {
		fprintf(stderr, "plane_bpf_paths: needs root and namespaces: skipped\n");
		return 77;
	}
	/* What the host sends gets its checksum before it is changed, so that a wrong change shows. */
	if (rig_run("ethtool -K host tx off")) {
		fprintf(stderr, "plane_bpf_paths: needs ethtool: skipped\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
