/* SPDX-License-Identifier: MIT */
/*
 * replica_scene - a short TCP connection through a rewriter, frame by frame, and what it makes of each.
 *
 *	replica_scene DIR -- COMMAND [ARG]...
 *
 * COMMAND is started as a child and connects to the unix stream sockets DIR/primary and DIR/secondary.  Each frame is written on one side and
 * awaited on the other; for each, two lines: "NAME WHO in SEGMENT", "NAME WHO out SEGMENT".  The numbers are those of a connection whose
 * client talks to a primary with the initial sequence number 5000 and a timestamp clock of about 900000, and whose secondary has 9000 and
 * about 200000.  Exit codes: 0, 1 if a frame did not come out, 2 bad usage.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/be.h"
#include "base/compiler.h"
#include "base/packet.h"
#include "proto/checksum.h"
#include "proto/print.h"
#include "proto/tcp.h"
#include "proto/view.h"
#include "replica_frame.h"
#include "replica_subject.h"

enum { PATIENCE_MS = 3000 };

struct step {
	const char *name;
	bool secondary; /* who sends it: the secondary, or the client */
	uint8_t flags;
	uint32_t seq, ack, payload_len, tsval, tsecr;
	uint32_t sack[2]; /* edges; none if equal */
};

/* clang-format off */
static const struct step steps[] = {
	/* name       secondary  flags               seq    ack    len   tsval   tsecr   sack */
	{ "syn",      false, TCP_SYN,            1000,     0,     0,     10,      0, { 0, 0 } },
	{ "synack",   true,  TCP_SYN | TCP_ACK,  9000,  1001,     0, 200300,     10, { 0, 0 } },
	{ "first",    false, TCP_ACK,            1001,  5001,     0,     11, 900300, { 0, 0 } },
	{ "data1",    true,  TCP_ACK,            9001,  1001,  1460, 200310,     11, { 0, 0 } },
	{ "data2",    true,  TCP_ACK,           10461,  1001,  1460, 200310,     11, { 0, 0 } },
	{ "data3",    true,  TCP_ACK | TCP_PSH, 11921,  1001,  1460, 200310,     11, { 0, 0 } },
	{ "sack",     false, TCP_ACK,            1001,  6461,     0,     21, 900310, { 7921, 9381 } },
	{ "ts",       true,  TCP_ACK | TCP_PSH, 13381,  1001,   100, 200351,     21, { 0, 0 } },
};
/* clang-format on */

/* The options of s, as Linux lays them out: their length. */
static uint8_t put_options(const struct step *s, uint8_t ret_opt[40])
{
	static const uint8_t syn[] = { TCPOPT_MSS, 4, 5, 180, TCPOPT_SACK_PERMITTED, 2 };
	static const uint8_t tail[] = { TCPOPT_NOP, TCPOPT_WSCALE, 3, 7 };
	static const uint8_t sack[] = { TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK, 10 };
	uint8_t ts[12];

	rframe_timestamps(ts, s->tsval, s->tsecr);
	if (s->flags & TCP_SYN) {
		memcpy(ret_opt, syn, sizeof syn);
		memcpy(ret_opt + 6, ts + 2, 10);
		memcpy(ret_opt + 16, tail, sizeof tail);
		return 20;
	}
	memcpy(ret_opt, ts, sizeof ts);
	if (s->sack[0] == s->sack[1])
		return sizeof ts;
	memcpy(ret_opt + 12, sack, sizeof sack);
	store_be32(ret_opt + 16, s->sack[0]);
	store_be32(ret_opt + 20, s->sack[1]);
	return 24;
}

/* Prints "NAME WHO WAY SEGMENT" of the frame at h. */
static void show(const struct step *s, const char *way, uint8_t *h, uint32_t len)
{
	struct packet p = { .head = h, .head_len = len };
	char line[PRINT_MAX];
	struct view v;

	if (view_parse(&p, &v) != R_NONE || !v.tcp) {
		print_packet(&p, line, sizeof line);
		printf("%s %s\n", way, line);
		return;
	}
	print_segment(&p, &v, line, sizeof line);
	printf("%s %s %s %s%s\n", s->name, s->secondary ? "secondary" : "client", way, line,
	       csum_tcp_ok(&p, &v) ? "" : " [bad tcp cksum]");
}

static bool read_all(int fd, uint8_t *ret_p, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (len) {
		ssize_t n;

		if (poll(&p, 1, PATIENCE_MS) != 1)
			return false;
		n = recv(fd, ret_p, len, 0);
		if (n <= 0)
			return false;
		ret_p += n;
		len -= (size_t)n;
	}
	return true;
}

/* One frame through the rewriter. */
static bool play(const struct subject *r, const struct step *s)
{
	uint8_t opt[40], b[RFRAME_MAX];
	struct rframe f = {
		.client = 10,
		.port = 40000,
		.from_server = s->secondary,
		.flags = s->flags,
		.seq = s->seq,
		.ack = s->ack,
		.window = s->flags & TCP_SYN ? 64240 : 502,
		.options = opt,
		.options_len = put_options(s, opt),
		.payload_len = s->payload_len,
	};
	size_t len = rframe_build(&f, b);
	uint32_t n;

	show(s, "in", b + RFRAME_PREFIX, (uint32_t)len - RFRAME_PREFIX);
	if (send(r->fd[s->secondary], b, len, MSG_NOSIGNAL) != (ssize_t)len)
		return false;
	if (!read_all(r->fd[!s->secondary], b, RFRAME_PREFIX))
		return false;
	n = load_be32(b);
	if (n > sizeof b - RFRAME_PREFIX || !read_all(r->fd[!s->secondary], b + RFRAME_PREFIX, n))
		return false;
	show(s, "out", b + RFRAME_PREFIX, n);
	return true;
}

int main(int argc, char **argv)
{
	struct subject r;
	int code = 0;

	if (argc < 4 || strcmp(argv[2], "--") != 0) {
		fprintf(stderr, "usage: replica_scene DIR -- COMMAND [ARG]...\n");
		return 2;
	}
	subject_start(&r, argv[1], 2, argv + 3);
	subject_settle(&r); /* QEMU connects before its hub is there */
	for (size_t i = 0; i < ARRAY_LEN(steps) && code == 0; i++) {
		if (!play(&r, &steps[i])) {
			fprintf(stderr, "%s: no frame came out\n", steps[i].name);
			code = 1;
		}
	}
	subject_stop(&r);
	return code;
}
