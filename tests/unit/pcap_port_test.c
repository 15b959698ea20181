/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "port/arena.h"
#include "port/capture.h"
#include "port/port.h"
#include "proto/checksum.h"
#include "proto/view.h"

#include "frame.h"

static char path[] = "/tmp/suture-pcap-XXXXXX";
static char spec[64];
static char err[600];
static struct arena arena;

static int set_up(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd < 0 || arena_open(&arena) != 0)
		return -1;
	close(fd);
	snprintf(spec, sizeof spec, "pcap:%s", path);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_close(&arena);
	return unlink(path);
}

/* Writes n bytes to the file as they are. */
static void put_file(const void *bytes, size_t n)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static size_t put32(uint8_t *at, uint32_t v)
{
	memcpy(at, &v, 4);
	return 4;
}

/* A file of the old format by hand, in the machine's byte order: ret_bytes takes a header and n frames of len bytes. */
static size_t build_pcap(uint8_t *ret_bytes, uint32_t magic, uint32_t link, unsigned n,
			 uint32_t caplen, uint32_t len)
{
	uint8_t *b = ret_bytes;

	b += put32(b, magic);
	b += put32(b, 4u << 16 | 2);
	b += put32(b, 0);
	b += put32(b, 0);
	b += put32(b, 65535);
	b += put32(b, link);
	for (unsigned i = 0; i < n; i++) {
		b += put32(b, 100 + i);
		b += put32(b, 5);
		b += put32(b, caplen);
		b += put32(b, len);
		memset(b, (int)i + 1, caplen);
		b += caplen;
	}
	return (size_t)(b - ret_bytes);
}

#define MAGIC_US 0xa1b2c3d4
#define MAGIC_NS 0xa1b23c4d

static struct port *open_port(void)
{
	struct port *p = NULL;

	assert_int_equal(port_open(spec, &arena, &p, err, sizeof err), 0);
	return p;
}

/* Frames written, in head alone and in head and body, come back in order with their times to the nanosecond. */
static void round_trip(void **state)
{
	struct packet p, *got[PORT_BURST];
	struct capture_writer *w;
	struct port_stats s;
	uint8_t bytes[3][1000];
	struct port *port;

	(void)state;
	assert_int_equal(capture_create(path, &w, err, sizeof err), 0);
	for (unsigned i = 0; i < 3; i++) {
		memset(bytes[i], (int)i + 65, sizeof bytes[i]);
		p = (struct packet){ .head = bytes[i], .head_len = 60 + i };
		if (i == 1) {
			p.body = bytes[i] + 61;
			p.body_len = 900;
		}
		capture_write(w, &p, 1234567890123456789u + i);
	}
	assert_int_equal(capture_finish(w, err, sizeof err), 0);

	port = open_port();
	assert_int_equal(port->ops->recv(port, got, 2), 2);
	assert_int_equal(port->ops->when(port), 1234567890123456789u);
	assert_int_equal(got[0]->head_len, 60);
	assert_int_equal(got[1]->head_len, 961);
	assert_memory_equal(got[1]->head, bytes[1], 961);
	assert_int_equal(port->ops->recv(port, got, 2), 1);
	assert_int_equal(port->ops->when(port), 1234567890123456791u);
	assert_memory_equal(got[0]->head, bytes[2], 62);
	assert_int_equal(port->ops->recv(port, got, 2), -ENODATA);
	port->ops->stats(port, &s);
	assert_int_equal(s.rx, 3);
	port->ops->close(port);
}

/* A checksum that was left to a device is in the file as the device would have written it; the packet stays as it was. */
static void finishes_checksums(void **state)
{
	struct packet *p, copy, *got[1];
	struct capture_writer *w;
	struct port *port;
	struct frame f;
	struct view v;

	(void)state;
	p = frame_segment(&f, 4, 700);
	view_parse(p, &v);
	copy = frame_cut(p, p->head_len);
	store_be16(p->head + v.l4 + 16, csum_pseudo(p, &v, v.l4_len));
	p->off = (struct offload){ .csum = CSUM_PARTIAL, .csum_start = v.l4, .csum_offset = 16 };
	assert_int_equal(capture_create(path, &w, err, sizeof err), 0);
	capture_write(w, p, 0);
	assert_int_equal(capture_finish(w, err, sizeof err), 0);
	assert_int_equal(p->off.csum, CSUM_PARTIAL);

	port = open_port();
	assert_int_equal(port->ops->recv(port, got, 1), 1);
	assert_memory_equal(got[0]->head, copy.head, copy.head_len);
	port->ops->close(port);
	free(copy.head);
}

static void reads_microseconds(void **state)
{
	uint8_t bytes[1000] = { 0 };
	struct packet *got[PORT_BURST];
	struct port *port;

	(void)state;
	put_file(bytes, build_pcap(bytes, MAGIC_US, 1, 2, 60, 60));
	port = open_port();
	assert_int_equal(port->ops->recv(port, got, PORT_BURST), 2);
	assert_int_equal(port->ops->when(port), 100000005000u);
	port->ops->close(port);
	put_file(bytes, build_pcap(bytes, MAGIC_NS, 1, 2, 60, 60));
	port = open_port();
	assert_int_equal(port->ops->recv(port, got, PORT_BURST), 2);
	assert_int_equal(port->ops->when(port), 100000000005u);
	port->ops->close(port);
}

static void skips_cut_frames(void **state)
{
	uint8_t bytes[1000] = { 0 };
	struct packet *got[PORT_BURST];
	struct port_stats s;
	struct port *port;

	(void)state;
	put_file(bytes, build_pcap(bytes, MAGIC_US, 1, 3, 60, 1514));
	port = open_port();
	assert_int_equal(port->ops->recv(port, got, PORT_BURST), -ENODATA);
	port->ops->stats(port, &s);
	assert_int_equal(s.rx, 0);
	assert_int_equal(s.rx_cut, 3);
	port->ops->close(port);
}

/* A file that ends in mid-frame yields the frames before, then an error that stays, and names the file. */
static void reports_truncation(void **state)
{
	uint8_t bytes[1000] = { 0 };
	struct packet *got[PORT_BURST];
	struct port *port;
	size_t n = build_pcap(bytes, MAGIC_US, 1, 2, 60, 60);

	(void)state;
	for (size_t cut = 1; cut < 76; cut++) {
		put_file(bytes, n - cut);
		port = open_port();
		assert_int_equal(port->ops->recv(port, got, PORT_BURST), 1);
		assert_int_equal(port->ops->recv(port, got, PORT_BURST), -EIO);
		assert_int_equal(port->ops->recv(port, got, PORT_BURST), -EIO);
		assert_non_null(strstr(port->error, path));
		port->ops->close(port);
	}
}

static void refuses_files(void **state)
{
	uint8_t bytes[1000] = { 0 };
	struct port *port;

	(void)state;
	put_file("", 0);
	assert_true(port_open(spec, &arena, &port, err, sizeof err) < 0);
	assert_non_null(strstr(err, path));
	put_file("this is no capture at all, is it?", 33);
	assert_true(port_open(spec, &arena, &port, err, sizeof err) < 0);
	assert_non_null(strstr(err, path));
	put_file(bytes, build_pcap(bytes, MAGIC_US, 113, 1, 60, 60)); /* Linux cooked */
	assert_true(port_open(spec, &arena, &port, err, sizeof err) < 0);
	assert_non_null(strstr(err, "LINUX_SLL"));
	assert_true(port_open("pcap:/nonexistent/file", &arena, &port, err, sizeof err) < 0);
	assert_non_null(strstr(err, "/nonexistent/file"));
}

static void refuses_specs(void **state)
{
	static const char *const bad[] = {
		"", "eth0", "if:", "pcap:", "IF:x", "tap:x", ":x", "if"
	};
	struct port *port;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(port_open(bad[i], &arena, &port, err, sizeof err), -EINVAL);
		/* of a bare name it says how that is written */
		assert_non_null(strstr(err, strcmp(bad[i], "eth0") ? "if:" : "if:eth0"));
	}
	assert_int_equal(port_check("if:x", err, sizeof err), 0);
	assert_true(port_open("if:a-name-of-16-chr", &arena, &port, err, sizeof err) < 0);
	assert_non_null(strstr(err, "a-name-of-16-chr"));
}

/* A disk that is full is noticed at the end at the latest. */
static void reports_full_disk(void **state)
{
	uint8_t bytes[PACKET_MAX] = { 0 };
	struct packet p = { .head = bytes, .head_len = PACKET_MAX };
	struct capture_writer *w;

	(void)state;
	assert_int_equal(capture_create("/dev/full", &w, err, sizeof err), 0);
	for (unsigned i = 0; i < 10; i++)
		capture_write(w, &p, i);
	assert_true(capture_finish(w, err, sizeof err) < 0);
	assert_non_null(strstr(err, "/dev/full"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),	      cmocka_unit_test(finishes_checksums),
		cmocka_unit_test(reads_microseconds), cmocka_unit_test(skips_cut_frames),
		cmocka_unit_test(reports_truncation), cmocka_unit_test(refuses_files),
		cmocka_unit_test(refuses_specs),      cmocka_unit_test(reports_full_disk),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
