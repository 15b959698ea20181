/* SPDX-License-Identifier: MIT */
#include "app/plane_bpf.h"

/* The BPF data plane on the running kernel: needs root, a namespace of its own, and says 77 (skipped) where it cannot have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "bpf_rig.h"

#define SEQ 1000u
#define ACK 2000u

static struct rig rig;

/* What was reported, in order. */
static struct way_event seen[64];
static unsigned seen_n;

static void note(void *ctx, const struct way_event *ev)
{
	(void)ctx;
	if (seen_n < 64)
		seen[seen_n++] = *ev;
}

static struct plane_bpf *open_plane(struct plane_bpf_config *c)
{
	struct plane_bpf *pl = NULL;
	char err[PLANE_BPF_TEXT] = "";

	seen_n = 0;
	if (plane_bpf_open(c, &pl, err) < 0)
		fail_msg("%s", err);
	assert_int_equal(plane_bpf_attach(pl, rig.host_index), 0);
	return pl;
}

/* Waits until an event of this kind was reported; NULL if it does not come. */
static const struct way_event *wait_for(struct plane_bpf *pl, enum way_event_kind kind)
{
	struct pollfd p = { plane_bpf_fd(pl), POLLIN, 0 };

	for (int i = 0; i < 200; i++) {
		assert_true(plane_bpf_events(pl, note, NULL) >= 0);
		for (unsigned k = 0; k < seen_n; k++)
			if (seen[k].kind == (uint32_t)kind)
				return &seen[k];
		poll(&p, 1, 10);
	}
	return NULL;
}

/* The key of frame.h's segments at the host, and its reverse. */
static struct way_key key_in(int version)
{
	struct way_key k = { .sport = htons(40000), .dport = htons(80) };

	if (version == 4) {
		memcpy(k.src, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x0a", 16);
		memcpy(k.dst, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x01", 16);
	} else {
		inet_pton(AF_INET6, "2001:db8::a", k.src);
		inet_pton(AF_INET6, "2001:db8:1::1", k.dst);
	}
	return k;
}

static struct way_key reversed(const struct way_key *k)
{
	struct way_key r = { .sport = k->dport, .dport = k->sport };

	memcpy(r.src, k->dst, 16);
	memcpy(r.dst, k->src, 16);
	return r;
}

static int listen_at(int version)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(80) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)version;
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static int accept_within(int fd, int ms)
{
	struct pollfd p = { fd, POLLIN, 0 };

	return poll(&p, 1, ms) > 0 ? accept(fd, NULL, NULL) : -1;
}

/* The pair of an announced adoption. */
static void lay_adoption(struct plane_bpf *pl, int version, uint32_t end)
{
	struct way_key in = key_in(version), out = reversed(&in);
	struct way a = { .act = WAY_HOST,
			 .flags = WAY_EXPECT | WAY_ADOPT,
			 .id = 7,
			 .expect = SEQ,
			 .mate = out,
			 .attrs = { .mss = 1400,
				    .snd_wscale = 7,
				    .rcv_wscale = 7,
				    .rcv_tsecr = 21,
				    .options = WAY_OPT_TS | WAY_OPT_SACK | WAY_OPT_WSCALE } };
	struct way b = { .act = WAY_HOST, .flags = WAY_WATCH, .id = 7, .end = end, .mate = in };

	assert_int_equal(plane_bpf_set(pl, &in, &a), 0);
	assert_int_equal(plane_bpf_set(pl, &out, &b), 0);
}

static void lift(struct plane_bpf *pl, int version)
{
	struct way_key in = key_in(version), out = reversed(&in);

	plane_bpf_del(pl, &in);
	plane_bpf_del(pl, &out);
}

static void segment(struct frame *f, int version, uint8_t flags, uint32_t seq, uint32_t ack,
		    uint32_t n)
{
	uint8_t *t;

	frame_segment(f, version, n);
	t = f->buf + f->l4;
	store_be32(t + 4, seq);
	store_be32(t + 8, ack);
	t[13] = flags;
	frame_end(f);
}

static const uint8_t *answer_tcp(const uint8_t *frame, int version)
{
	return frame + (version == 4 ? 34 : 54);
}

static void adopted(int version)
{
	struct plane_bpf_config c = { .side = PLANE_BPF_BACK };
	struct plane_bpf *pl = open_plane(&c);
	char why[PLANE_BPF_TEXT], got[64];
	int fd = listen_at(version), conn;
	uint8_t answer[2048];
	const uint8_t *t;
	struct frame f;
	struct way w;
	struct way_key k = key_in(version);

	if (!plane_bpf_adopts(pl, why)) {
		print_message("[  SKIPPED ] adoption: %s\n", why);
		plane_bpf_close(pl, PLANE_BPF_REMOVE);
		close(fd);
		skip();
	}
	lay_adoption(pl, version, SEQ + 10);
	/* What is not expected makes nothing. */
	segment(&f, version, 0x18, SEQ + 10, ACK, 10);
	rig_send(&rig, &f);
	assert_int_equal(accept_within(fd, 50), -1);
	assert_int_equal(plane_bpf_counter(pl, WAY_N_NOT_EXPECTED), 1);
	segment(&f, version, 0x18, SEQ, ACK, 10);
	rig_send(&rig, &f);
	conn = accept_within(fd, 2000);
	assert_true(conn >= 0);
	assert_int_equal(read(conn, got, sizeof got), 10);
	assert_non_null(wait_for(pl, WAY_EV_ESTABLISHED));
	assert_non_null(wait_for(pl, WAY_EV_ACKED));
	assert_int_equal(write(conn, "hello", 5), 5);
	do {
		uint32_t n = rig_receive(&rig, answer, sizeof answer, 2000);

		assert_true(n > 0);
		t = answer_tcp(answer, version);
		assert_int_equal(load_be32(t + 4), ACK);
		assert_int_equal(load_be32(t + 8), SEQ + 10);
		assert_true(load_be32(t + 24) >= 21 && load_be32(t + 24) < 21 + 5000);
		if (memcmp(t + 32, "hello", 5) == 0)
			break;
	} while (1);
	assert_int_equal(plane_bpf_get(pl, &k, &w), 0);
	assert_int_equal(w.flags & (WAY_ADOPT | WAY_EXPECT), 0);
	/* The client resets: the socket is gone. */
	segment(&f, version, 0x04, SEQ + 10, 0, 0);
	rig_send(&rig, &f);
	assert_non_null(wait_for(pl, WAY_EV_RST_IN));
	assert_non_null(wait_for(pl, WAY_EV_CLOSED));
	close(conn);
	close(fd);
	lift(pl, version);
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
}

static void test_adopts_ipv4(void **state)
{
	(void)state;
	adopted(4);
}

static void test_adopts_ipv6(void **state)
{
	(void)state;
	adopted(6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adopts_ipv4),
		cmocka_unit_test(test_adopts_ipv6),
	};
	int r = rig_open(&rig);

	if (r) {
		fprintf(stderr, "plane_bpf: needs root and namespaces: skipped\n");
		return r;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
