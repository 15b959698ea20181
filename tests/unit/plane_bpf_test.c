/* SPDX-License-Identifier: MIT */
#include "app/plane_bpf.h"

/*
 * Adoption by the running kernel's TCP, and what a process leaves behind.  Needs root and a namespace of its own; 77 (skipped) without.
 * Waiting has limits of seconds, which are reached only where something is wrong.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "app/plane_port.h"
#include "bpf_rig.h"
#include "port/port.h"

#define SOON 2000 /* ms */
#define SURELY_NOT 100

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static struct rig rig;
static struct rig_heard heard;
static struct rig_frame answer;
static char pins[64];

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

/* Skips the test where this kernel cannot adopt. */
static struct plane_bpf *open_adopter(void)
{
	const struct plane_bpf_config c = { .side = PLANE_BPF_BACK };
	struct plane_bpf *pl = open_as(&c);
	char why[PLANE_BPF_TEXT];

	if (plane_bpf_adopts(pl, why))
		return pl;
	print_message("no adoption: %s\n", why);
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
	skip();
	return NULL;
}

static const struct way_event *wait_for(struct plane_bpf *pl, enum way_event_kind kind)
{
	return rig_wait(pl, &heard, kind, SOON);
}

/* The pair of an announced adoption of the client's connection to the origin. */
static void announce_at(struct plane_bpf *pl, int version, uint32_t seq, uint32_t end)
{
	struct way_key in = rig_key(version, rig_origin(version), 80), out = rig_turned(&in);
	struct way a = { .act = WAY_HOST,
			 .flags = WAY_EXPECT | WAY_ADOPT,
			 .id = 7,
			 .expect = seq,
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

static void announce(struct plane_bpf *pl, int version, uint32_t end)
{
	announce_at(pl, version, SEQ, end);
}

static void send_segment(int version, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t n)
{
	struct frame f;

	rig_segment(&f, version, flags, seq, ack, n);
	rig_send(&rig, &f);
}

/* Takes the connection away: its socket, and its ways. */
static void end_connection(struct plane_bpf *pl, int version, uint32_t seq)
{
	struct way_key in = rig_key(version, rig_origin(version), 80), out = rig_turned(&in);

	send_segment(version, 0x04, seq, 0, 0);
	assert_non_null(wait_for(pl, WAY_EV_CLOSED));
	plane_bpf_del(pl, &in);
	plane_bpf_del(pl, &out);
}

/* Waits for the host's segment with this payload; its view is in `answer`. */
static void expect_answer(const char *text)
{
	size_t n = strlen(text);

	while (rig_receive(rig.wire, &answer, SOON))
		if (answer.v.payload_len == n &&
		    memcmp(answer.bytes + answer.v.payload, text, n) == 0)
			return;
	fail_msg("no answer \"%s\"", text);
}

static void adopted(int version)
{
	struct plane_bpf *pl = open_adopter();
	struct way_key k = rig_key(version, rig_origin(version), 80);
	int fd = rig_listen(80, 0, 16), conn;
	const struct way_event *ev;
	struct tcp_options o;
	struct way w;
	char got[64];

	announce(pl, version, SEQ + 10);
	/* What is not expected makes nothing. */
	send_segment(version, 0x18, SEQ + 10, ACK, 10);
	send_segment(version, 0x02, SEQ, 0, 0);
	send_segment(version, 0x04, SEQ, 0, 0);
	assert_int_equal(rig_accept(fd, SURELY_NOT), -1);
	assert_int_equal(plane_bpf_counter(pl, WAY_N_NOT_EXPECTED), 3);
	send_segment(version, 0x18, SEQ, ACK, 10);
	conn = rig_accept(fd, SOON);
	assert_true(conn >= 0);
	assert_int_equal(read(conn, got, sizeof got), 10);
	assert_int_equal(plane_bpf_counter(pl, WAY_N_ADOPTED), 1);
	ev = wait_for(pl, WAY_EV_ESTABLISHED);
	assert_non_null(ev);
	assert_int_equal(ev->id, 7);
	assert_memory_equal(&ev->key, &k, sizeof k);
	ev = wait_for(pl, WAY_EV_ACKED);
	assert_non_null(ev);
	assert_int_equal(ev->a, SEQ + 10);
	/* It goes on in the front end's numbers, and by its clock. */
	assert_int_equal(write(conn, "hello", 5), 5);
	expect_answer("hello");
	assert_int_equal(answer.v.seq, ACK);
	assert_int_equal(answer.v.ack, SEQ + 10);
	assert_int_equal(view_options(&answer.p, &answer.v, &o), R_NONE);
	assert_true(o.tsval >= 21 && o.tsval < 21 + 5000);
	assert_int_equal(o.tsecr, 10);
	assert_int_equal(plane_bpf_get(pl, &k, &w), 0);
	assert_int_equal(w.flags & (WAY_ADOPT | WAY_EXPECT), 0);
	assert_int_equal(w.packets, 1);
	end_connection(pl, version, SEQ + 10);
	ev = wait_for(pl, WAY_EV_RST_IN);
	assert_non_null(ev);
	assert_int_equal(ev->b, 1); /* exact */
	close(conn);
	close(fd);
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

/* The host closes first: its socket is in TIME-WAIT when the client's port comes again. */
static void leave_time_wait(struct plane_bpf *pl, int fd)
{
	int conn;

	announce(pl, 4, SEQ + 10);
	send_segment(4, 0x18, SEQ, ACK, 10);
	conn = rig_accept(fd, SOON);
	assert_true(conn >= 0);
	assert_int_equal(read(conn, (char[16]){ 0 }, 16), 10);
	close(conn);
	assert_non_null(wait_for(pl, WAY_EV_FIN_OUT));
	send_segment(4, 0x11, SEQ + 10, ACK + 1, 0);
	assert_non_null(wait_for(pl, WAY_EV_FIN_IN));
	assert_non_null(wait_for(pl, WAY_EV_CLOSED));
	heard.n = 0;
}

static void test_time_wait_is_seen_and_destroyed(void **state)
{
	struct plane_bpf *pl = open_adopter();
	struct way_key k = rig_key(4, rig_origin(4), 80);
	int fd = rig_listen(80, 0, 16), conn;

	(void)state;
	assert_int_equal(plane_bpf_destroy(pl, &k), -ENOENT); /* the listener stays */
	leave_time_wait(pl, fd);
	announce(pl, 4, SEQ + 10);
	send_segment(4, 0x18, SEQ, ACK, 10);
	assert_non_null(wait_for(pl, WAY_EV_TIME_WAIT));
	assert_int_equal(rig_accept(fd, SURELY_NOT), -1);
	assert_int_equal(plane_bpf_destroy(pl, &k), 0);
	assert_int_equal(plane_bpf_destroy(pl, &k), -ENOENT);
	send_segment(4, 0x18, SEQ, ACK, 10);
	conn = rig_accept(fd, SOON);
	assert_true(conn >= 0);
	assert_non_null(wait_for(pl, WAY_EV_ESTABLISHED));
	assert_non_null(wait_for(pl, WAY_EV_ACKED)); /* of the new one */
	assert_int_equal(plane_bpf_destroy(pl, &k), -EBUSY); /* what lives is left alone */
	end_connection(pl, 4, SEQ + 10);
	close(conn);
	close(fd);
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
}

/* Nobody has told the host that the connection before it is over: it is not the one that was announced. */
static void test_an_older_connection_is_not_taken_for_it(void **state)
{
	struct plane_bpf *pl = open_adopter();
	struct way_key k = rig_key(4, rig_origin(4), 80);
	int fd = rig_listen(80, 0, 16), old, conn;
	const uint32_t seq = SEQ + 0x80000000u - 1000;
	struct way w;

	(void)state;
	announce(pl, 4, SEQ + 10);
	send_segment(4, 0x18, SEQ, ACK, 10);
	old = rig_accept(fd, SOON);
	assert_true(old >= 0);
	assert_non_null(wait_for(pl, WAY_EV_ESTABLISHED));
	assert_int_equal(plane_bpf_destroy(pl, &k), -EBUSY);
	while (rig_receive(rig.wire, &answer, SURELY_NOT))
		;
	heard.n = 0;
	announce_at(pl, 4, seq, seq + 10);
	send_segment(4, 0x18, seq, ACK, 10);
	assert_int_equal(write(old, "old", 3), 3);
	assert_non_null(wait_for(pl, WAY_EV_TIME_WAIT));
	assert_null(rig_wait(pl, &heard, WAY_EV_ESTABLISHED, SURELY_NOT));
	assert_null(rig_wait(pl, &heard, WAY_EV_ACKED, 0));
	assert_int_equal(plane_bpf_destroy(pl, &k), 0);
	assert_false(
		rig_receive(rig.wire, &answer, SURELY_NOT)); /* not a word of it, nor a reset */
	assert_null(rig_wait(pl, &heard, WAY_EV_REFUSED, 0));
	assert_int_equal(plane_bpf_get(pl, &k, &w), 0);
	assert_int_equal(w.flags & (WAY_ADOPT | WAY_EXPECT), WAY_ADOPT | WAY_EXPECT);
	send_segment(4, 0x18, seq, ACK, 10);
	conn = rig_accept(fd, SOON);
	assert_true(conn >= 0);
	assert_non_null(wait_for(pl, WAY_EV_ACKED));
	heard.n = 0;
	end_connection(pl, 4, seq + 10);
	close(conn);
	close(old);
	close(fd);
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
}

/* Fills the queue of a listener with a backlog of 0 by a connection of the host's own. */
static int fill_queue(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(80) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, "198.51.100.1", &a.sin_addr);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static void test_a_full_queue_is_no_adoption(void **state)
{
	struct plane_bpf *pl = open_adopter();
	struct way_key k = rig_key(4, rig_origin(4), 80);
	int fd = rig_listen(80, 0, 0), own = fill_queue(), first, conn;
	struct way w;

	(void)state;
	announce(pl, 4, SEQ + 10);
	send_segment(4, 0x18, SEQ, ACK, 10);
	assert_null(rig_wait(pl, &heard, WAY_EV_ESTABLISHED, SURELY_NOT));
	assert_int_equal(plane_bpf_counter(pl, WAY_N_ADOPTED),
			 1); /* the kernel took it, and made nothing */
	assert_int_equal(plane_bpf_get(pl, &k, &w), 0);
	assert_int_equal(w.flags & (WAY_ADOPT | WAY_EXPECT), WAY_ADOPT | WAY_EXPECT);
	first = rig_accept(fd, SOON);
	assert_true(first >= 0);
	send_segment(4, 0x18, SEQ, ACK, 10); /* a retransmission tries again */
	conn = rig_accept(fd, SOON);
	assert_true(conn >= 0);
	assert_non_null(wait_for(pl, WAY_EV_ESTABLISHED));
	end_connection(pl, 4, SEQ + 10);
	close(conn);
	close(first);
	close(own);
	close(fd);
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
}

/* Announces, sends, and expects a refusal for this reason. */
static void refused(struct plane_bpf *pl, uint32_t why)
{
	const struct way_event *ev;

	heard.n = 0;
	announce(pl, 4, SEQ + 10);
	send_segment(4, 0x18, SEQ, ACK, 10);
	ev = wait_for(pl, WAY_EV_REFUSED);
	assert_non_null(ev);
	assert_int_equal(ev->a, why);
	assert_false(rig_receive(rig.wire, &answer, SURELY_NOT)); /* no reset */
}

static void test_refusals_have_a_reason(void **state)
{
	struct plane_bpf *pl = open_adopter();
	int fd;

	(void)state;
	while (rig_receive(rig.wire, &answer, SURELY_NOT))
		;
	refused(pl, 0); /* nobody listens */
	fd = rig_listen(80, 0, 16);
	assert_int_equal(rig_sysctl("tcp_timestamps", "0"), 0);
	refused(pl, EINVAL);
	assert_int_equal(rig_sysctl("tcp_timestamps", "1"), 0);
	assert_int_equal(rig_sysctl("tcp_sack", "0"), 0);
	refused(pl, EINVAL);
	assert_int_equal(rig_sysctl("tcp_sack", "1"), 0);
	close(fd);
	fd = rig_listen(80, IPPROTO_MPTCP, 16);
	if (fd >= 0) {
		refused(pl, EINVAL);
		close(fd);
	}
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
}

static void test_without_cookies_there_is_no_adoption(void **state)
{
	const struct plane_bpf_config c = { .side = PLANE_BPF_BACK };
	struct plane_bpf *pl;
	char why[PLANE_BPF_TEXT] = "";

	(void)state;
	assert_int_equal(rig_sysctl("tcp_syncookies", "0"), 0);
	pl = open_as(&c);
	assert_false(plane_bpf_adopts(pl, why));
	assert_non_null(strstr(why, "tcp_syncookies") ? why : strstr(why, "6.9"));
	assert_int_equal(plane_bpf_program(pl, "back_adopt"), -ENOENT);
	assert_true(plane_bpf_program(pl, "back_in") >= 0);
	refused(pl, ENOSYS);
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
	assert_int_equal(rig_sysctl("tcp_syncookies", "1"), 0);
}

/* n reports: answers out of an older connection, which are told of each time. */
static void flood(struct plane_bpf *pl, int n)
{
	struct bpf_test_run_opts opts = { .sz = sizeof opts, .repeat = n };
	struct way_key in = rig_key(4, rig_origin(4), 80), out = rig_turned(&in);
	const struct way a = { .act = WAY_HOST, .flags = WAY_UNLEARNT, .expect = SEQ, .mate = out };
	const struct way b = { .act = WAY_HOST, .flags = WAY_LEARN, .mate = in };
	struct frame f;

	assert_int_equal(plane_bpf_set(pl, &out, &b), 0);
	assert_int_equal(plane_bpf_set(pl, &in, &a), 0);
	rig_segment(&f, 4, 0x10, SEQ, ACK, 0);
	memcpy(f.buf + f.ip + 12, out.src + 12, 4);
	memcpy(f.buf + f.ip + 16, out.dst + 12, 4);
	memcpy(f.buf + f.l4, &out.sport, 2);
	memcpy(f.buf + f.l4 + 2, &out.dport, 2);
	frame_end(&f);
	opts.data_in = f.buf;
	opts.data_size_in = f.len;
	assert_int_equal(bpf_prog_test_run_opts(plane_bpf_program(pl, "back_out"), &opts), 0);
}

/* More reports than a port has lines for wait in the ring. */
static void test_a_burst_of_reports_is_told_whole(void **state)
{
	const struct plane_bpf_config c = { .side = PLANE_BPF_BACK };
	struct plane_bpf *pl = open_as(&c);
	struct packet *lines[PORT_BURST];
	struct port *port;
	char err[200];
	int n, all = 0;

	(void)state;
	assert_int_equal(plane_port_open(pl, &port, err, sizeof err), 0);
	flood(pl, 5000);
	while ((n = port->ops->recv(port, lines, PORT_BURST)) > 0)
		all += n;
	assert_int_equal(all, 5000);
	port->ops->close(port);
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
}

/* Restarts */

static void mount_pins(void)
{
	char template[] = "/tmp/suture-bpf-XXXXXX";

	assert_non_null(mkdtemp(template));
	assert_int_equal(mount("bpf", template, "bpf", 0, NULL), 0);
	snprintf(pins, sizeof pins, "%s/agents/one", template);
}

static void unmount_pins(void)
{
	char top[64];

	snprintf(top, sizeof top, "%s", pins);
	*strstr(top, "/agents") = 0;
	assert_int_equal(umount2(top, MNT_DETACH), 0);
	assert_int_equal(rmdir(top), 0);
}

static bool is_there(const char *name)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof path, "%s/%s", pins, name);
	return stat(path, &st) == 0;
}

static int filters(const char *at)
{
	char command[128];

	snprintf(command, sizeof command, "tc filter show dev host %s | grep -q bpf", at);
	return rig_run(command) == 0;
}

static struct plane_bpf_config guarded(void)
{
	struct plane_bpf_config c = { .side = PLANE_BPF_BACK, .pins = pins };

	c.plane.max_ways = 100;
	rig_ip(rig_origin(4), c.plane.origin[0].ip);
	c.plane.origin[0].port = htons(80);
	c.plane.origin[0].flags = WAY_ORIGIN_GUARD;
	return c;
}

static void test_what_is_pinned_outlives_the_process(void **state)
{
	struct plane_bpf_config c;
	struct plane_bpf *pl;
	struct way_key k = rig_key(4, rig_origin(4), 80);
	struct way w = { .act = WAY_HOST, .id = 9 }, got;

	(void)state;
	mount_pins();
	c = guarded();
	pl = open_as(&c);
	send_segment(4, 0x10, SEQ, ACK, 0);
	assert_int_equal(plane_bpf_counter(pl, WAY_N_NOT_ANNOUNCED), 1);
	assert_int_equal(plane_bpf_set(pl, &k, &w), 0);
	plane_bpf_close(pl, PLANE_BPF_KEEP);
	/* Nobody is there, and the programs go on; what they report waits. */
	send_segment(4, 0x11, SEQ, ACK, 0);
	assert_true(filters("ingress") && filters("egress"));
	c.plane.max_ways = 200; /* the map that is there keeps its size */
	pl = open_as(&c);
	assert_non_null(wait_for(pl, WAY_EV_FIN_IN));
	assert_int_equal(plane_bpf_counter(pl, WAY_N_NOT_ANNOUNCED), 1);
	assert_int_equal(plane_bpf_get(pl, &k, &got), 0);
	assert_int_equal(got.id, 9);
	assert_int_equal(got.packets, 1);
	assert_int_equal(plane_bpf_set(pl, &k, &w), 0); /* another way, the same counts */
	assert_int_equal(plane_bpf_get(pl, &k, &got), 0);
	assert_int_equal(got.packets, 1);
	assert_int_equal(got.seen, WAY_SAW_ANY | WAY_SAW_FIN);
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
	assert_false(filters("ingress") || filters("egress"));
	assert_false(is_there("ways") || is_there(""));
	unmount_pins();
}

/* A process that does not come to its end. */
static void die_with(const struct plane_bpf_config *c)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct plane_bpf *pl;
		char err[PLANE_BPF_TEXT];

		if (plane_bpf_open(c, &pl, err) < 0 || plane_bpf_attach(pl, rig.host_index) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

static void test_a_dead_agents_programs_are_replaced(void **state)
{
	struct plane_bpf_config c = { .side = PLANE_BPF_BACK };
	struct plane_bpf *pl;

	(void)state;
	die_with(&c);
	assert_true(filters("ingress"));
	pl = open_as(&c);
	assert_int_not_equal(
		rig_run("test $(tc filter show dev host ingress | grep -c direct-action) = 1"), -1);
	assert_int_equal(rig_run("test $(tc filter show dev host ingress | grep -c back_) = 1"), 0);
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
	assert_false(filters("ingress"));
	/* And with pins: the link of the sockets is taken up as well. */
	mount_pins();
	c.pins = pins;
	die_with(&c);
	assert_true(is_there("sockets") && is_there("ways"));
	pl = open_as(&c);
	assert_true(is_there("sockets"));
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
	assert_false(is_there("sockets"));
	unmount_pins();
}

static void test_pins_need_a_bpf_file_system(void **state)
{
	const struct plane_bpf_config c = { .side = PLANE_BPF_BACK, .pins = "/tmp/suture-no-bpf" };
	struct plane_bpf *pl = NULL;
	char err[PLANE_BPF_TEXT] = "";

	(void)state;
	assert_int_equal(plane_bpf_open(&c, &pl, err), -EINVAL);
	assert_non_null(strstr(err, "not on a BPF file system"));
	assert_null(pl);
	assert_int_not_equal(access("/tmp/suture-no-bpf", F_OK), 0);
}

static void test_maps_of_another_version_are_refused(void **state)
{
	struct plane_bpf_config c;
	struct plane_bpf *pl = NULL;
	char path[128], err[PLANE_BPF_TEXT] = "";
	int fd;

	(void)state;
	mount_pins();
	c = guarded();
	plane_bpf_close(open_as(&c), PLANE_BPF_KEEP);
	snprintf(path, sizeof path, "%s/ways", pins);
	assert_int_equal(unlink(path), 0);
	fd = bpf_map_create(BPF_MAP_TYPE_HASH, "ways", 40, 8, 100, NULL);
	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
	assert_int_equal(plane_bpf_open(&c, &pl, err), -ESTALE);
	assert_non_null(strstr(err, "another version"));
	assert_int_equal(unlink(path), 0);
	plane_bpf_close(open_as(&c), PLANE_BPF_REMOVE);
	unmount_pins();
}

static void test_a_directory_is_one_process_s(void **state)
{
	struct plane_bpf_config c;
	struct plane_bpf *pl, *other = NULL;
	char err[PLANE_BPF_TEXT] = "";

	(void)state;
	mount_pins();
	c = guarded();
	pl = open_as(&c);
	assert_int_equal(plane_bpf_open(&c, &other, err), -EBUSY);
	assert_null(other);
	assert_non_null(strstr(err, "another process"));
	assert_true(filters("ingress") && is_there("ways"));
	plane_bpf_close(pl, PLANE_BPF_KEEP);
	plane_bpf_close(open_as(&c), PLANE_BPF_REMOVE);
	unmount_pins();
}

/* Whoever is given its pins can take it up: it is not there to be replaced by others. */
static void test_what_a_dead_agent_left_is_told(void **state)
{
	struct plane_bpf_config c;
	struct plane_bpf_left left;
	char other[80];

	(void)state;
	mount_pins();
	c = guarded();
	snprintf(other, sizeof other, "%s-other", pins);
	assert_int_equal(plane_bpf_left(rig.host_index, other, &left), 0);
	die_with(&c);
	assert_int_equal(plane_bpf_left(rig.host_index, pins, &left), 0);
	assert_int_equal(plane_bpf_left(rig.host_index, other, &left), -EEXIST);
	assert_string_equal(left.pins, pins);
	assert_int_equal(left.side, PLANE_BPF_BACK);
	plane_bpf_close(open_as(&c), PLANE_BPF_REMOVE);
	assert_int_equal(plane_bpf_left(rig.host_index, other, &left), 0);
	/* what is pinned nowhere can be taken up by nobody */
	c.pins = NULL;
	die_with(&c);
	assert_true(filters("ingress"));
	assert_int_equal(plane_bpf_left(rig.host_index, other, &left), 0);
	plane_bpf_close(open_as(&c), PLANE_BPF_REMOVE);
	unmount_pins();
}

/* Maps */

static void test_ways_are_set_amended_listed(void **state)
{
	struct plane_bpf_config c = { .side = PLANE_BPF_FRONT, .plane = { .max_ways = 2 } };
	struct plane_bpf *pl = open_as(&c);
	struct way_key k[3], got;
	struct way w = { .act = WAY_HOST, .id = 1, .end = 5 }, read;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		k[i] = rig_key(4, rig_origin(4), (uint16_t)(81 + i));
	assert_int_equal(plane_bpf_amend(pl, &k[0], &w), -ENOENT);
	assert_false(plane_bpf_list(pl, NULL, &got, &read));
	assert_int_equal(plane_bpf_set(pl, &k[0], &w), 0);
	assert_int_equal(plane_bpf_set(pl, &k[1], &w), 0);
	assert_int_equal(plane_bpf_set(pl, &k[2], &w), -ENOSPC);
	assert_int_equal(plane_bpf_set(pl, &k[1], &w), 0);
	w.flags = WAY_MUTE;
	w.id = 3;
	w.end = 0;
	assert_int_equal(plane_bpf_amend(pl, &k[0], &w), 0);
	assert_int_equal(plane_bpf_get(pl, &k[0], &read), 0);
	assert_int_equal(read.flags, WAY_MUTE);
	assert_int_equal(read.id, 3);
	assert_int_equal(read.end, 5);
	assert_true(plane_bpf_list(pl, NULL, &got, &read));
	assert_true(plane_bpf_list(pl, &got, &got, &read));
	assert_false(plane_bpf_list(pl, &got, &got, &read));
	assert_int_equal(plane_bpf_del(pl, &k[0]), 0);
	assert_int_equal(plane_bpf_del(pl, &k[0]), -ENOENT);
	assert_int_equal(plane_bpf_get(pl, &k[0], &read), -ENOENT);
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
}

/* The ring holds some 16000 reports. */
static void test_reports_that_nobody_reads_are_counted(void **state)
{
	const struct plane_bpf_config c = { .side = PLANE_BPF_BACK };
	struct plane_bpf *pl = open_as(&c);
	uint64_t lost;
	int n;

	(void)state;
	flood(pl, 30000);
	lost = plane_bpf_counter(pl, WAY_N_EVENTS_LOST);
	assert_true(lost > 0);
	n = plane_bpf_events(pl, rig_hear, &heard, UINT32_MAX);
	assert_int_equal((uint64_t)n + lost, 30000);
	heard.n = 0;
	flood(pl, 1); /* there is room again */
	assert_non_null(wait_for(pl, WAY_EV_TIME_WAIT));
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
}

/* One client that resets its connection for ever does not fill the ring. */
static void test_one_client_cannot_fill_the_ring(void **state)
{
	const struct plane_bpf_config c = { .side = PLANE_BPF_FRONT };
	struct plane_bpf *pl = open_as(&c);
	struct way_key k = rig_key(4, rig_origin(4), 80);
	const struct way w = { .act = WAY_USER, .expect = SEQ };
	struct bpf_test_run_opts opts = { .sz = sizeof opts, .repeat = 30000 };
	struct frame f;

	(void)state;
	assert_int_equal(plane_bpf_set(pl, &k, &w), 0);
	rig_segment(&f, 4, 0x04, SEQ, 0, 0);
	opts.data_in = f.buf;
	opts.data_size_in = f.len;
	assert_int_equal(bpf_prog_test_run_opts(plane_bpf_program(pl, "front"), &opts), 0);
	assert_int_equal(plane_bpf_events(pl, rig_hear, &heard, UINT32_MAX), 1 + WAY_REPEATS);
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
}

/* A connection that was taken back lives: muted, its socket may be ended. */
static void test_a_muted_connection_can_be_ended(void **state)
{
	struct plane_bpf *pl = open_adopter();
	struct way_key k = rig_key(4, rig_origin(4), 80), out = rig_turned(&k);
	const struct way mute = { .flags = WAY_MUTE };
	int fd = rig_listen(80, 0, 16), conn;

	(void)state;
	announce(pl, 4, SEQ + 10);
	send_segment(4, 0x18, SEQ, ACK, 10);
	conn = rig_accept(fd, SOON);
	assert_true(conn >= 0);
	assert_int_equal(plane_bpf_destroy(pl, &k), -EBUSY);
	while (rig_receive(rig.wire, &answer, SURELY_NOT))
		;
	assert_int_equal(plane_bpf_amend(pl, &out, &mute), 0);
	assert_int_equal(plane_bpf_destroy(pl, &k), 0);
	assert_non_null(wait_for(pl, WAY_EV_CLOSED));
	assert_false(rig_receive(rig.wire, &answer, SURELY_NOT)); /* no reset either */
	plane_bpf_del(pl, &k);
	plane_bpf_del(pl, &out);
	close(conn);
	close(fd);
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
}

/* Sockets of another namespace */

static void connect_elsewhere(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(80) },
			   c = { .sin_family = AF_INET, .sin_port = htons(CLIENT_PORT) };
	int l, fd;

	if (unshare(CLONE_NEWNET) < 0 ||
	    rig_run("ip link set lo up && ip addr add 198.51.100.1/32 dev lo && "
		    "ip addr add 192.0.2.10/32 dev lo"))
		_exit(1);
	l = rig_listen(80, 0, 16);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	inet_pton(AF_INET, "198.51.100.1", &a.sin_addr);
	inet_pton(AF_INET, "192.0.2.10", &c.sin_addr);
	if (l < 0 || bind(fd, (struct sockaddr *)&c, sizeof c) < 0 ||
	    connect(fd, (struct sockaddr *)&a, sizeof a) < 0 || rig_accept(l, SOON) < 0)
		_exit(2);
	_exit(0);
}

static void test_sockets_of_other_namespaces_are_not_told(void **state)
{
	const struct plane_bpf_config c = { .side = PLANE_BPF_BACK };
	struct plane_bpf *pl = open_as(&c);
	int status;
	pid_t child;

	(void)state;
	announce(pl, 4, SEQ + 10);
	child = fork();
	if (child == 0)
		connect_elsewhere();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_null(rig_wait(pl, &heard, WAY_EV_ESTABLISHED, SURELY_NOT));
	assert_int_equal(heard.n, 0);
	plane_bpf_close(pl, PLANE_BPF_REMOVE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adopts_ipv4),
		cmocka_unit_test(test_adopts_ipv6),
		cmocka_unit_test(test_time_wait_is_seen_and_destroyed),
		cmocka_unit_test(test_an_older_connection_is_not_taken_for_it),
		cmocka_unit_test(test_a_full_queue_is_no_adoption),
		cmocka_unit_test(test_a_burst_of_reports_is_told_whole),
		cmocka_unit_test(test_refusals_have_a_reason),
		cmocka_unit_test(test_without_cookies_there_is_no_adoption),
		cmocka_unit_test(test_what_is_pinned_outlives_the_process),
		cmocka_unit_test(test_a_dead_agents_programs_are_replaced),
		cmocka_unit_test(test_pins_need_a_bpf_file_system),
		cmocka_unit_test(test_a_directory_is_one_process_s),
		cmocka_unit_test(test_what_a_dead_agent_left_is_told),
		cmocka_unit_test(test_maps_of_another_version_are_refused),
		cmocka_unit_test(test_ways_are_set_amended_listed),
		cmocka_unit_test(test_reports_that_nobody_reads_are_counted),
		cmocka_unit_test(test_one_client_cannot_fill_the_ring),
		cmocka_unit_test(test_a_muted_connection_can_be_ended),
		cmocka_unit_test(test_sockets_of_other_namespaces_are_not_told),
	};

	if (rig_open(&rig)) {
		fprintf(stderr, "plane_bpf: needs root and namespaces: skipped\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
