/* SPDX-License-Identifier: MIT */
/*
 * peer - both ends of a test over the kernel's own TCP, for what curl and nginx cannot be asked to do.
 *
 *	peer sink PORT				serves for ever: reads to the end, answers "BYTES SHA256"
 *	peer push HOST PORT BYTES [SPORT]	sends made-up bytes, half-closes, compares the answer with its own
 *	peer chat HOST PORT COUNT		writes and reads COUNT lines with a peer echo, of growing length
 *	peer echo PORT				serves for ever: gives back what it gets
 *	peer greet PORT				serves for ever: speaks first (one line), then as echo
 *	peer late PORT				serves for ever: as sink, but answers a second later, in two parts
 *	peer early PORT				serves for ever: says "go" and half-closes, reads to the end, prints "BYTES SHA256"
 *	peer ws PORT				serves for ever: a WebSocket that gives back each message
 *	peer greeted HOST PORT COUNT		reads a line first, then as chat
 *	peer upload HOST PORT BYTES		with a peer early: waits for its end, then sends; prints "BYTES SHA256"
 *	peer abort HOST PORT BYTES		sends, and ends by a reset
 *	peer stay HOST PORT MS			a line there and back with a peer echo; after MS, if not 0, another; prints how it ends
 *	peer crowd HOST PORT COUNT		COUNT connections at once with a peer echo, each with a line of its own
 *	peer wschat HOST PORT COUNT		COUNT messages there and back over a WebSocket
 *	peer again HOST PORT COUNT SPORT	COUNT HTTP requests one after another, each from source port SPORT
 *	peer refused HOST PORT			connects and reads: prints how it ended, and after how many ms
 *	peer sha				the digest of standard input
 *
 * Before the verb: --mptcp, --fastopen, --md5=ADDRESS, --user-timeout=MS, --keepalive=S (ends.h).
 *
 * Exit codes: 0 all as it should be, 1 not, 2 bad usage.
 */
#include <errno.h>
#include <netinet/in.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ends.h"
#include "sha256.h"
#include "ws.h"

#define CHUNK 65536u

static uint8_t chunk[CHUNK];

/* Fills the chunk with bytes that depend on their place in the stream. */
static void make_up(uint64_t *x)
{
	for (size_t i = 0; i < CHUNK; i += 8) {
		*x ^= *x << 13;
		*x ^= *x >> 7;
		*x ^= *x << 17;
		memcpy(chunk + i, x, 8);
	}
}

/* Reads to the end; the line that says how much it was. */
static bool digest(int fd, char *ret_line, size_t room)
{
	struct sha256 s;
	unsigned long long total = 0;
	char hex[SHA256_HEX];
	ssize_t n;

	sha256_init(&s);
	while ((n = read(fd, chunk, CHUNK)) > 0) {
		sha256_add(&s, chunk, (size_t)n);
		total += (unsigned long long)n;
	}
	sha256_end(&s, hex);
	snprintf(ret_line, room, "%llu %s\n", total, hex);
	return n == 0;
}

static int serve_sink(int fd)
{
	char line[128];

	return digest(fd, line, sizeof(line)) && ends_write(fd, line, strlen(line)) ? 0 : 1;
}

static int serve_late(int fd)
{
	char line[128];

	if (!digest(fd, line, sizeof(line)))
		return 1;
	usleep(1000000);
	if (!ends_write(fd, line, 10))
		return 1;
	usleep(200000);
	return ends_write(fd, line + 10, strlen(line) - 10) ? 0 : 1;
}

static int serve_early(int fd)
{
	char line[128];

	if (!ends_write(fd, "go\n", 3) || shutdown(fd, SHUT_WR) < 0)
		return 1;
	if (!digest(fd, line, sizeof(line)))
		return 1;
	fputs(line, stdout);
	fflush(stdout);
	return 0;
}

static int serve_echo(int fd)
{
	ssize_t n;

	while ((n = read(fd, chunk, CHUNK)) > 0)
		if (!ends_write(fd, chunk, (size_t)n))
			return 1;
	return n < 0;
}

static int serve_greet(int fd)
{
	static const char hello[] = "220 server.example.org ready\r\n";

	return ends_write(fd, hello, sizeof(hello) - 1) ? serve_echo(fd) : 1;
}

/* Sends bytes that depend on their place, and half-closes; the line that says what they were. */
static bool send_made_up(int fd, unsigned long long bytes, char *ret_line, size_t room)
{
	uint64_t x = 0x9e3779b97f4a7c15u ^ bytes;
	char hex[SHA256_HEX];
	struct sha256 s;

	sha256_init(&s);
	for (unsigned long long left = bytes; left;) {
		size_t n = left < CHUNK ? (size_t)left : CHUNK;

		make_up(&x);
		if (!ends_write(fd, chunk, n))
			return false;
		sha256_add(&s, chunk, n);
		left -= n;
	}
	shutdown(fd, SHUT_WR);
	sha256_end(&s, hex);
	snprintf(ret_line, room, "%llu %s\n", bytes, hex);
	return true;
}

static int push(int fd, unsigned long long bytes)
{
	char want[128], got[128] = "";

	if (!send_made_up(fd, bytes, want, sizeof(want)))
		return ends_fail("cannot send");
	ends_read(fd, got, sizeof(got) - 1);
	if (strcmp(want, got) != 0) {
		fprintf(stderr, "peer: sent %speer: they got %s\n", want, *got ? got : "nothing\n");
		return 1;
	}
	return 0;
}

static int upload(int fd, unsigned long long bytes)
{
	char go[4] = "", line[128];

	if (ends_read(fd, go, 4) != 3 || strncmp(go, "go\n", 3) != 0)
		return ends_fail("not told to go");
	usleep(200000);
	if (!send_made_up(fd, bytes, line, sizeof(line)))
		return ends_fail("cannot send");
	fputs(line, stdout);
	/* Their end came before ours: what is left to wait for is that all of ours is acknowledged. */
	for (int left = 1, i = 0; left && i < 1000; i++) {
		ioctl(fd, SIOCOUTQ, &left);
		usleep(10000);
	}
	return 0;
}

static int chat(int fd, int count)
{
	int one = 1;
	uint64_t x = 1;
	uint8_t back[CHUNK];

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (int i = 1; i <= count; i++) {
		size_t n = (size_t)i * 37 % 4000 + 1;

		make_up(&x);
		if (!ends_write(fd, chunk, n))
			return ends_fail("cannot send");
		if (ends_read(fd, back, n) != n || memcmp(back, chunk, n) != 0) {
			fprintf(stderr, "peer: line %d did not come back as it was\n", i);
			return 1;
		}
	}
	shutdown(fd, SHUT_WR);
	if (ends_read(fd, back, 1) != 0) {
		fprintf(stderr, "peer: bytes after the end\n");
		return 1;
	}
	return 0;
}

static int greeted(int fd, int count)
{
	char c = 0;

	while (c != '\n')
		if (ends_read(fd, &c, 1) != 1)
			return ends_fail("no greeting");
	return chat(fd, count);
}

/* Sends some, and gives up: the kernel says so by a reset. */
static int abort_it(int fd, int bytes)
{
	struct linger now = { .l_onoff = 1 };

	for (int i = 0; i < bytes; i += (int)CHUNK)
		if (!ends_write(fd, chunk,
				(size_t)(bytes - i < (int)CHUNK ? bytes - i : (int)CHUNK)))
			return ends_fail("cannot send");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	return 0;
}

/* A line there and back, then it waits for what comes; whoever ends it makes it a reset. */
static int stay(int fd, unsigned ms)
{
	struct linger now = { .l_onoff = 1 };
	char back[8];
	ssize_t n;

	if (!ends_write(fd, "hello\n", 6) || ends_read(fd, back, 6) != 6)
		return ends_fail("no line came back");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	puts("stays");
	fflush(stdout);
	if (ms) {
		usleep(ms * 1000);
		if (!ends_write(fd, "hello\n", 6) || ends_read(fd, back, 6) != 6)
			return ends_fail("no second line came back");
		puts("heard");
		fflush(stdout);
	}
	n = read(fd, chunk, CHUNK);
	puts(n > 0 ? "data" : n == 0 ? "eof" : errno == ECONNRESET ? "reset" : strerror(errno));
	return 0;
}

/* All connect before any writes, all write before any reads. */
static int crowd(const char *host, const char *port, int count)
{
	int *fd = calloc((size_t)count, sizeof(*fd));
	char line[64], back[64];
	int bad = 0;

	for (int i = 0; i < count; i++)
		if ((fd[i] = ends_connect(host, port, "")) < 0)
			return ends_fail("cannot connect");
	for (int i = 0; i < count; i++) {
		snprintf(line, sizeof(line), "this is connection %d of %d\n", i, count);
		if (!ends_write(fd[i], line, strlen(line)))
			return ends_fail("cannot send");
	}
	for (int i = count; i-- > 0;) {
		snprintf(line, sizeof(line), "this is connection %d of %d\n", i, count);
		shutdown(fd[i], SHUT_WR);
		if (ends_read(fd[i], back, sizeof(back)) != strlen(line) ||
		    memcmp(back, line, strlen(line)) != 0)
			bad += fprintf(stderr, "peer: connection %d did not get its line\n", i) > 0;
		close(fd[i]);
	}
	free(fd);
	return bad != 0;
}

static int again(const char *host, const char *port, int count, const char *sport)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	char reply[4096];
	double longest = 0;

	for (int i = 1; i <= count; i++) {
		double began = ends_now_ms();
		int fd = ends_connect(host, port, sport);
		size_t n;

		if (fd < 0) {
			fprintf(stderr, "peer: use %d of port %s: ", i, sport);
			return ends_fail("cannot connect");
		}
		if (!ends_write(fd, request, sizeof(request) - 1))
			return ends_fail("cannot send");
		n = ends_read(fd, reply, sizeof(reply) - 1);
		close(fd);
		reply[n] = 0;
		if (n < 12 || memcmp(reply + 8, " 200", 4) != 0) {
			fprintf(stderr, "peer: use %d of port %s: no answer\n", i, sport);
			return 1;
		}
		if (ends_now_ms() - began > longest)
			longest = ends_now_ms() - began;
	}
	printf("longest %.1f ms\n", longest);
	return 0;
}

/* A reset may come between the handshake's end and connect()'s return: that is a reset too, and no refusal. */
static int refused(const char *host, const char *port)
{
	double began = ends_now_ms();
	int fd = ends_connect(host, port, "");
	ssize_t n = fd < 0 ? -1 : read(fd, chunk, CHUNK);
	const char *how = strerror(errno);

	if (n >= 0)
		how = n > 0 ? "data" : "eof";
	else if (errno == ECONNREFUSED || errno == ECONNRESET)
		how = errno == ECONNREFUSED ? "refused" : "reset";
	printf("%s %.0f\n", how, ends_now_ms() - began);
	return 0;
}

static int sha(void)
{
	struct sha256 s;
	char hex[SHA256_HEX];
	ssize_t n;

	sha256_init(&s);
	while ((n = read(0, chunk, CHUNK)) > 0)
		sha256_add(&s, chunk, (size_t)n);
	sha256_end(&s, hex);
	puts(hex);
	return n < 0;
}

/* The verbs that serve for ever, and those that talk over one connection: by name. */
static int (*server_of(const char *verb))(int fd)
{
	static const struct {
		const char *verb;
		int (*serve)(int fd);
	} servers[] = {
		{ "sink", serve_sink }, { "echo", serve_echo },	  { "greet", serve_greet },
		{ "late", serve_late }, { "early", serve_early }, { "ws", ws_echo },
	};

	for (size_t i = 0; i < sizeof(servers) / sizeof(*servers); i++)
		if (strcmp(servers[i].verb, verb) == 0)
			return servers[i].serve;
	return NULL;
}

/* VERB HOST PORT NUMBER [SPORT]; -1 if there is no such verb. */
static int talk(char **argv, const char *sport)
{
	static const char verbs[] = " push chat greeted upload wschat abort stay ";
	unsigned long long number = strtoull(argv[3], NULL, 10);
	char word[16];
	int fd, status;

	snprintf(word, sizeof(word), " %.12s ", argv[0]);
	if (!strstr(verbs, word))
		return -1;
	fd = ends_connect(argv[1], argv[2], sport);
	if (fd < 0)
		return ends_fail("cannot connect");
	switch (argv[0][0]) {
	case 'p':
		status = push(fd, number);
		break;
	case 'c':
		status = chat(fd, (int)number);
		break;
	case 'g':
		status = greeted(fd, (int)number);
		break;
	case 'a':
		status = abort_it(fd, (int)number);
		break;
	case 's':
		status = stay(fd, (unsigned)number);
		break;
	case 'u':
		status = upload(fd, number);
		break;
	default:
		status = ws_talk(fd, (int)number);
		break;
	}
	close(fd);
	return status;
}

static int usage(void)
{
	fputs("usage: peer sink|echo|greet|late|early|ws PORT |\n"
	      "       push|chat|greeted|upload|wschat|abort|stay|crowd HOST PORT NUMBER [SPORT] |\n"
	      "       again HOST PORT COUNT SPORT | refused HOST PORT | sha\n"
	      "       before these: --mptcp, --fastopen, --md5=ADDRESS, --user-timeout=MS, "
	      "--keepalive=S\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *verb;
	int status;

	signal(SIGPIPE, SIG_IGN);
	for (argv++, argc--; argc > 0 && ends_ask(*argv); argv++, argc--)
		;
	verb = argc > 0 ? *argv : "";
	if (argc == 2 && server_of(verb))
		return ends_serve(argv[1], server_of(verb));
	if (argc == 1 && strcmp(verb, "sha") == 0)
		return sha();
	if (argc == 3 && strcmp(verb, "refused") == 0)
		return refused(argv[1], argv[2]);
	if (argc == 5 && strcmp(verb, "again") == 0)
		return again(argv[1], argv[2], atoi(argv[3]), argv[4]);
	if (argc == 4 && strcmp(verb, "crowd") == 0)
		return crowd(argv[1], argv[2], atoi(argv[3]));
	if (argc != 4 && argc != 5)
		return usage();
	status = talk(argv, argc == 5 ? argv[4] : "");
	return status < 0 ? usage() : status;
}
