/* SPDX-License-Identifier: MIT */
/*
 * deaths SUTURE - an accelerator with a journal is killed between packets and begins anew: what it has told a client holds.
 *
 * Both its ports are streams that end here, so every byte is ours to see, and nothing needs a privilege.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/be.h"
#include "proto/checksum.h"
#include "proto/ip.h"
#include "proto/tcp.h"
#include "proto/view.h"

enum { F = TCP_FIN, S = TCP_SYN, P = TCP_PSH, A = TCP_ACK };
enum end { CLIENT, SERVER }; /* who sends, and at which port */

#define PATIENCE_MS 20000
#define SERVER_ISN 5000u
#define TSVAL_OF_SERVER 700000u
#define CONNECTIONS_MAX 20000u /* more than fill a journal */
#define WAS_ALIVE_MS 60000u /* a promise made anew is no older than that */

static const char *suture;
static char dir[] = "/tmp/suture-deaths-XXXXXX";
static int listener[2] = { -1, -1 }, port[2] = { -1, -1 };
static pid_t box;

static void clean_up(void)
{
	static const char *const names[] = { "client",	    "server", "journal",
					     "journal.new", "log",    "control" };
	char path[100];

	if (box > 0) {
		kill(box, SIGKILL);
		waitpid(box, NULL, 0);
	}
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list ap;

	printf("not ok: ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	exit(1);
}

static void ready(int fd, const char *what)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, PATIENCE_MS) != 1)
		fail("nothing came: %s", what);
}

static struct sockaddr_un address(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof a.sun_path, "%s/%s", dir, name);
	return a;
}

static int listen_at(const char *name)
{
	struct sockaddr_un a = address(name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 1) < 0)
		fail("%s: %s", a.sun_path, strerror(errno));
	return fd;
}

/* The box. */

static void begin(void)
{
	char spec[2][200], journal[100], control[100], log[100];

	snprintf(spec[CLIENT], sizeof spec[0], "qemu:unix:%s/client", dir);
	snprintf(spec[SERVER], sizeof spec[0], "qemu:unix:%s/server", dir);
	snprintf(journal, sizeof journal, "%s/journal", dir);
	snprintf(control, sizeof control, "%s/control", dir);
	snprintf(log, sizeof log, "%s/log", dir);
	box = fork();
	if (box < 0)
		fail("fork: %s", strerror(errno));
	if (box == 0) {
		if (!freopen(log, "a", stderr))
			_exit(127);
		execl(suture, suture, "accel", "near", "--mode", "hold", "--client", spec[CLIENT],
		      "--server", spec[SERVER], "--journal", journal, "--control", control,
		      (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 2; i++) {
		ready(listener[i], "the box");
		port[i] = accept(listener[i], NULL, NULL);
	}
}

static void dies(void)
{
	kill(box, SIGKILL);
	waitpid(box, NULL, 0);
	box = 0;
	close(port[CLIENT]);
	close(port[SERVER]);
}

/* Asks at the control socket: the whole answer, or some of a long one. */
static const char *ask(const char *line)
{
	static char text[4096];
	struct sockaddr_un a = address("control");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len = 0;
	ssize_t n;

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
	    send(fd, line, strlen(line), MSG_NOSIGNAL) < 0 || shutdown(fd, SHUT_WR) < 0)
		fail("%s: %s", a.sun_path, strerror(errno));
	while (len < sizeof text - 1 && (n = read(fd, text + len, sizeof text - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = 0;
	close(fd);
	return text;
}

/* Segments. */

struct seg {
	uint8_t flags;
	uint16_t client_port;
	uint32_t seq, ack, tsval, tsecr;
	uint32_t len; /* of the payload */
};

static uint32_t put_options(uint8_t *o, const struct seg *s)
{
	static const uint8_t syn[8] = { 2, 4, 0x05, 0xb4, 4, 2, 8, 10 }, behind[4] = { 1, 3, 3, 7 },
			     plain[4] = { 1, 1, 8, 10 };
	uint32_t n = s->flags & S ? sizeof syn : sizeof plain;

	memcpy(o, s->flags & S ? syn : plain, n);
	store_be32(o + n, s->tsval);
	store_be32(o + n + 4, s->tsecr);
	n += 8;
	if (s->flags & S) {
		memcpy(o + n, behind, sizeof behind);
		n += sizeof behind;
	}
	return n;
}

static void sends(enum end from, struct seg s)
{
	uint8_t bytes[4 + 400] = { 0 }, *ip = bytes + 4 + 14, *t = ip + 20;
	uint32_t options = put_options(t + 20, &s), l4 = 20 + options + s.len;
	struct packet p = { .head = bytes + 4, .head_len = 34 + l4, .off.csum = CSUM_COMPLETE };
	struct view v;

	store_be32(bytes, p.head_len);
	bytes[4 + 5] = from == CLIENT ? 1 : 2;
	bytes[4 + 11] = from == CLIENT ? 2 : 1;
	bytes[4 + 12] = 8;
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)(20 + l4));
	ip[8] = 64;
	ip[9] = IP_TCP;
	store_be32(ip + 12, from == CLIENT ? 0xc0000201 : 0xc6336401);
	store_be32(ip + 16, from == CLIENT ? 0xc6336401 : 0xc0000201);
	store_be16(t, from == CLIENT ? s.client_port : 80);
	store_be16(t + 2, from == CLIENT ? 80 : s.client_port);
	store_be32(t + 4, s.seq);
	store_be32(t + 8, s.flags & A ? s.ack : 0);
	t[12] = (uint8_t)((20 + options) / 4 << 4);
	t[13] = s.flags;
	store_be16(t + 14, 500);
	if (view_parse(&p, &v) != R_NONE)
		abort();
	csum_ip_fill(&p, &v);
	csum_tcp_fill(&p, &v);
	if (write(port[from], bytes, 4 + p.head_len) != (ssize_t)(4 + p.head_len))
		fail("write: %s", strerror(errno));
}

static void take(int fd, uint8_t *b, size_t n)
{
	while (n > 0) {
		ssize_t got;

		ready(fd, "a frame");
		got = read(fd, b, n);
		if (got <= 0)
			fail("the box has closed a port");
		b += got;
		n -= (size_t)got;
	}
}

/* The next segment that comes out at a port; its options without timestamps in ret_options, 40 bytes. */
static struct seg comes_with(enum end at, uint8_t ret_options[40])
{
	uint8_t len[4], bytes[2000], *t = bytes + 34;
	struct packet p = { .head = bytes, .off.csum = CSUM_COMPLETE };
	struct tcp_options o;
	struct view v;
	struct seg s;

	take(port[at], len, 4);
	p.head_len = load_be32(len);
	if (p.head_len > sizeof bytes)
		fail("a frame of %u bytes", p.head_len);
	take(port[at], bytes, p.head_len);
	if (view_parse(&p, &v) != R_NONE || view_options(&p, &v, &o) != R_NONE ||
	    !csum_tcp_ok(&p, &v))
		fail("a frame that is no good TCP");
	s = (struct seg){ .flags = v.flags,
			  .client_port = load_be16(at == CLIENT ? t + 2 : t),
			  .seq = v.seq,
			  .ack = v.ack,
			  .tsval = o.tsval,
			  .tsecr = o.tsecr,
			  .len = v.payload_len };
	memset(ret_options, 0, 40);
	memcpy(ret_options, t + 20, view_options_len(&v));
	if (o.present & OPT_TS)
		memset(ret_options + o.ts_off - 20, 0, 8);
	return s;
}

static struct seg comes(enum end at, uint8_t flags)
{
	uint8_t options[40];
	struct seg s = comes_with(at, options);

	if (s.flags != flags)
		fail("flags 0x%02x came, not 0x%02x", s.flags, flags);
	return s;
}

static void same(const char *what, uint32_t is, uint32_t should)
{
	if (is != should)
		fail("%s is %u, not %u", what, is, should);
}

/* The tests. */

/* The first connection to a server passes as it is, and teaches. */
static void learns(void)
{
	sends(CLIENT, (struct seg){ S, 40000, 1000, 0, 10, 0, 0 });
	comes(SERVER, S);
	sends(SERVER, (struct seg){ S | A, 40000, SERVER_ISN, 1001, TSVAL_OF_SERVER, 10, 0 });
	comes(CLIENT, S | A);
}

/* A client that has not seen its promise sends the SYN again, to a box that has died meanwhile. */
static void promises_the_same(void)
{
	const struct seg syn = { S, 40001, 2000, 0, 20, 0, 0 };
	uint8_t options[2][40];
	struct seg first, again;

	sends(CLIENT, syn);
	first = comes_with(CLIENT, options[0]);
	comes(SERVER, S);
	same("flags of the promise", first.flags, S | A);
	for (int i = 0; i < 3; i++) {
		dies();
		begin();
		sends(CLIENT, syn);
		again = comes_with(CLIENT, options[1]);
		comes(SERVER, S);
		same("flags of the promise", again.flags, S | A);
		same("the promised number", again.seq, first.seq);
		same("its acknowledgement", again.ack, 2001);
		same("its echo", again.tsecr, 20);
		if (again.tsval - first.tsval > WAS_ALIVE_MS)
			fail("the promised clock went from %u to %u", first.tsval, again.tsval);
		if (memcmp(options[0], options[1], 40) != 0)
			fail("the promised options are others");
	}
}

/* A connection is joined: its promised ISN, and what the server's clock is shifted by. */
static struct seg joins(uint16_t client_port, uint32_t isn)
{
	struct seg promise;

	sends(CLIENT, (struct seg){ S, client_port, isn, 0, 30, 0, 0 });
	promise = comes(CLIENT, S | A);
	comes(SERVER, S);
	sends(CLIENT,
	      (struct seg){ A, client_port, isn + 1, promise.seq + 1, 31, promise.tsval, 0 });
	sends(SERVER,
	      (struct seg){ S | A, client_port, SERVER_ISN, isn + 1, TSVAL_OF_SERVER, 30, 0 });
	same("the handshake's acknowledgement", comes(SERVER, A).ack, SERVER_ISN + 1);
	return promise;
}

/* The box dies at once behind the ACK that joins: both sides are still translated. */
static void translates_on(void)
{
	struct seg promise = joins(40002, 3000), s;

	dies();
	begin();
	sends(SERVER,
	      (struct seg){ P | A, 40002, SERVER_ISN + 1, 3001, TSVAL_OF_SERVER + 5, 30, 100 });
	s = comes(CLIENT, P | A);
	same("the server's number", s.seq, promise.seq + 1);
	same("the server's clock", s.tsval, promise.tsval + 5);
	sends(CLIENT,
	      (struct seg){ P | A, 40002, 3001, promise.seq + 101, 40, promise.tsval + 5, 10 });
	s = comes(SERVER, P | A);
	same("the client's acknowledgement", s.ack, SERVER_ISN + 101);
	same("the client's echo", s.tsecr, TSVAL_OF_SERVER + 5);
}

/* Both ends say that they have ended, and acknowledge it. */
static void ends(uint16_t client_port, uint32_t isn, const struct seg *promise)
{
	sends(CLIENT,
	      (struct seg){ F | A, client_port, isn + 1, promise->seq + 1, 50, promise->tsval, 0 });
	comes(SERVER, F | A);
	sends(SERVER, (struct seg){ F | A, client_port, SERVER_ISN + 1, isn + 2,
				    TSVAL_OF_SERVER + 9, 50, 0 });
	comes(CLIENT, F | A);
	sends(CLIENT,
	      (struct seg){ A, client_port, isn + 2, promise->seq + 2, 51, promise->tsval + 9, 0 });
	comes(SERVER, A);
}

/* A connection ends, and the box dies within the minute in which it is still translated: it is not taken for an open one. */
static void knows_what_has_ended(void)
{
	struct seg promise = joins(40003, 4000);
	const char *text;

	ends(40003, 4000, &promise);
	dies();
	begin();
	text = ask("flows\n");
	text = strstr(text, "192.0.2.1.40003");
	if (!text || !strstr(text, "CLOSED") || strstr(text, "CLOSED") > strchr(text, '\n'))
		fail("the connection that has ended is listed otherwise: %s", text ? text : "not");
	/* Its last segments are still translated. */
	sends(SERVER,
	      (struct seg){ F | A, 40003, SERVER_ISN + 1, 4002, TSVAL_OF_SERVER + 19, 50, 0 });
	same("the last number", comes(CLIENT, F | A).seq, promise.seq + 1);
	/* One other is open still. */
	text = ask("drain\n");
	if (strcmp(text, "ok 1\n") != 0)
		fail("drain answers %s", text);
	(void)ask("drain off\n");
}

/* A connection ends while no box is there, and its ports are used again: each end hears what the other says. */
static void ports_are_used_again(void)
{
	struct seg s;

	(void)joins(40004, 5000);
	dies();
	begin();
	sends(CLIENT, (struct seg){ S, 40004, 900000, 0, 60, 0, 0 });
	s = comes(SERVER, S);
	same("the new number", s.seq, 900000);
	sends(SERVER,
	      (struct seg){ S | A, 40004, 77000, 900001, TSVAL_OF_SERVER + 30, s.tsval, 0 });
	s = comes(CLIENT, S | A);
	same("the answer's acknowledgement", s.ack, 900001);
	sends(CLIENT, (struct seg){ A, 40004, 900001, s.seq + 1, 61, s.tsval, 0 });
	same("the acknowledgement", comes(SERVER, A).ack, 77001);
	sends(SERVER, (struct seg){ P | A, 40004, 77001, 900001, TSVAL_OF_SERVER + 31, 61, 50 });
	same("the server's first byte", comes(CLIENT, P | A).seq, s.seq + 1);
}

/* Connections on one port after another come and go until the journal is rewritten; the box dies, and still has the one that stayed. */
static void is_rewritten(void)
{
	struct seg promise, s;
	struct stat was, is;
	char path[100];
	unsigned n = 0;

	snprintf(path, sizeof path, "%s/journal", dir);
	if (stat(path, &was) < 0)
		fail("%s: %s", path, strerror(errno));
	do {
		promise = joins((uint16_t)(10000 + n), 7000 * n);
		ends((uint16_t)(10000 + n), 7000 * n, &promise);
		if (stat(path, &is) < 0)
			fail("%s: %s", path, strerror(errno));
	} while (is.st_ino == was.st_ino && ++n < CONNECTIONS_MAX);
	if (is.st_ino == was.st_ino)
		fail("the journal has %lu bytes, and was not rewritten", (unsigned long)is.st_size);
	promise = joins(40005, 8000);
	dies();
	begin();
	sends(SERVER,
	      (struct seg){ P | A, 40005, SERVER_ISN + 1, 8001, TSVAL_OF_SERVER + 5, 30, 100 });
	s = comes(CLIENT, P | A);
	same("the server's number", s.seq, promise.seq + 1);
	if (strcmp(ask("drain\n"), "ok 3\n") != 0)
		fail("drain answers %s", ask("drain\n"));
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	suture = argv[1];
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir))
		return 1;
	atexit(clean_up);
	listener[CLIENT] = listen_at("client");
	listener[SERVER] = listen_at("server");
	begin();
	learns();
	promises_the_same();
	translates_on();
	knows_what_has_ended();
	ports_are_used_again();
	is_rewritten();
	printf("ok\n");
	return 0;
}
